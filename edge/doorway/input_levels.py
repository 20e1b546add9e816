"""The levels of a door's inputs (`edge/wire/door_inputs.py` lists the inputs)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.wire.door_inputs import Input


@dataclass(frozen=True, slots=True)
class InputLevels:
    """The debounced inputs of a door: each level has been stable for at least 20 ms.

    A press that began and ended since the last reading is reported once.
    """

    levels: Mapping[Input, bool] = field(default_factory=dict)  # of the wired inputs
    latched: bool | None = (
        None  # the controller stays shut until re-armed from inside; None: no controller
    )

    def level(self, name: Input) -> bool | None:
        """Whether the input is active; None: it is not wired."""
        return self.levels.get(name)
