"""The door that the loop needs: lights, buzzer, relay, inputs. No call waits."""

from typing import Protocol

from edge.doorway.input_levels import Inputs
from edge.doorway.light_signals import DoorAction


class Door(Protocol):
    """The relay, the lights and the buzzer. At rest the relay is off (hardware/README.md)."""

    def apply(self, action: DoorAction) -> None:
        """Start `action` and return at once; it ends by itself. Raises DoorLost."""

    def resting(self) -> bool:
        """Whether the relay is off and may be pulsed again: two openings are two pulses.

        Raises DoorLost while a pin cannot be set; each call tries to bring it to rest.
        """

    def illuminate(self, on: bool) -> None:
        """Light what is held before the camera, or cease to. Raises DoorLost."""

    def turned(self) -> tuple[int, int]:
        """Turns in and turns out since the last call; (0, 0) where no sensor is wired."""

    def inputs(self) -> Inputs:
        """What the door says now. Raises DoorLost."""

    def close(self) -> None:
        """Everything at rest; safe to call twice."""
