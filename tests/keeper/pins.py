"""gpiozero pins whose levels live in a keeper process and so outlive the program."""

from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

from tests.keeper import Link


class KeptPin(MockPin):
    """A mock pin that puts each level it is given onto the keeper's pin before it returns.

    Making one changes nothing there: a pin that was left high stays high until it is set.
    """

    def _set_function(self, value: str) -> None:
        driven = self._function == "output"
        super()._set_function(value)
        if driven and value == "input":
            self.factory.link.free(self._number)

    def _set_state(self, value: float) -> None:
        super()._set_state(value)
        self.factory.link.drive(self._number, bool(value))


class KeptFactory(MockFactory):
    """Pins of the keeper at `path`. Raises KeeperLost, here or at a pin, when it is gone."""

    def __init__(self, path: Path | str, **board: Any) -> None:
        super().__init__(pin_class=KeptPin, **board)
        self.link = Link(path)

    def close(self) -> None:
        super().close()
        self.link.close()
