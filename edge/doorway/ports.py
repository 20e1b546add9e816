"""The interface of a door: lights, buzzer, relay, inputs. No call blocks."""

from typing import Protocol

from edge.doorway.door_signals import DoorAction
from edge.doorway.input_levels import InputLevels


class Door(Protocol):
    """The relay, the lights and the buzzer. At rest the relay is off (hardware/README.md)."""

    def apply(self, action: DoorAction) -> None:
        """Start `action` and return at once; it ends by itself. Raises DoorLost."""

    def settle(self) -> bool:
        """Whether the relay is off and may be pulsed again: two openings must be two pulses.

        Raises DoorLost while a pin cannot be set; each call tries again to switch it off.
        """

    def illuminate(self, on: bool) -> None:
        """Switch the illuminator on or off. Raises DoorLost."""

    def take_turns(self) -> tuple[int, int]:
        """Turns in and turns out since the last call; (0, 0) if no sensor is wired."""

    def read_inputs(self) -> InputLevels:
        """The inputs now. Raises DoorLost."""

    def close(self) -> None:
        """Switch everything off and release the device; safe to call twice."""
