"""The relay's pulses, out of what the controller's pins did."""

from collections.abc import Iterable
from typing import Protocol

TICKS = 2**30  # where MicroPython's milliseconds wrap


class PinLevels(Protocol):
    """The pins at `ms` of the controller's clock."""

    @property
    def ms(self) -> int: ...
    @property
    def relay(self) -> bool: ...


def pulses_ms(history: Iterable[PinLevels]) -> list[int]:
    """How long each pulse was that has ended, by the controller's own clock."""
    found, start = [], None
    for pins in list(history):
        if pins.relay and start is None:
            start = pins.ms
        elif not pins.relay and start is not None:
            found.append((pins.ms - start) % TICKS)
            start = None
    return found
