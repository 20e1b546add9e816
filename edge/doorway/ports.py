"""The door that the loop needs: lights, buzzer, relay, inputs. No call waits."""

from typing import Protocol

from edge.doorway.door_signals import DoorAction
from edge.doorway.input_levels import InputLevels


class Door(Protocol):
    """The relay, the lights and the buzzer. At rest the relay is off (hardware/README.md)."""

    def apply(self, action: DoorAction) -> None:
        """Start `action` and return at once; it ends by itself. Raises DoorLost."""

    def settle(self) -> bool:
        """Whether the relay is off and may be pulsed again: two openings are two pulses.

        Raises DoorLost while a pin cannot be set; each call tries to bring it to rest.
        """

    def illuminate(self, on: bool) -> None:
        """Light what is held before the camera, or cease to. Raises DoorLost."""

    def take_turns(self) -> tuple[int, int]:
        """Turns in and turns out since the last call; (0, 0) where no sensor is wired."""

    def read_inputs(self) -> InputLevels:
        """What the door says now. Raises DoorLost."""

    def close(self) -> None:
        """Everything at rest; safe to call twice."""
