"""Plays one signal at a time on lights and buzzer, and switches the illuminator."""

from edge.doorway import door_signals
from edge.doorway.door_signals import DoorAction, Signal
from edge.doorway.ports import Door


class Display:
    """Lights, buzzer and illuminator of one door. Times are monotonic seconds."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._until_s = float("-inf")
        self._not_ready_due_s = float("-inf")
        self._lit = False

    def is_busy(self, at_s: float) -> bool:
        """Whether a signal is shown at `at_s`."""
        return at_s < self._until_s

    def show(self, action: DoorAction, at_s: float) -> None:
        """Play `action`; it replaces a signal that is still playing. Raises DoorLost."""
        self._until_s = at_s + action.lasts_ms / 1000
        self._door.apply(action)

    def is_not_ready_due(self, at_s: float) -> bool:
        """Whether it is time for the next flash of *not ready*."""
        return at_s >= self._not_ready_due_s

    def show_not_ready(self, at_s: float) -> None:
        """Flash *not ready* once. Raises DoorLost."""
        self._not_ready_due_s = at_s + door_signals.NOT_READY_EVERY_S
        self.show(door_signals.action(Signal.NOT_READY), at_s)

    def illuminate(self, on: bool) -> None:
        """Switch the illuminator on or off, if it is not so already. Raises DoorLost."""
        if on != self._lit:
            self._door.illuminate(on)
            self._lit = on
