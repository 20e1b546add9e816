"""Reads a door's inputs in each tick, logs alarms that begin or end, and requests the reminder."""

import logging

from edge.doorway.door_alarms import DoorAlarms
from edge.doorway.input_levels import InputLevels
from edge.doorway.ports import Door
from edge.wire.report import ALARMS, Alarm

log = logging.getLogger("menshen")

_SENTENCES: dict[Alarm, str] = {
    "fire": "fire: the fire contact has opened, or its cable is cut",
    "tamper": "tamper: a housing is open",
    "latched": "latched: the controller stays shut; find out why, then re-arm it from inside",
    "forced": "door forced open: it was opened without a release",
    "held": "door held open: somebody must shut it",
    "help": "help: somebody at the door pressed the help button",
}

if set(_SENTENCES) != set(ALARMS):  # mypy checks that no other is in it, not that all are
    raise AssertionError(f"_SENTENCES lacks {set(ALARMS) - set(_SENTENCES)}")


class DoorWatch:
    """The inputs of one door."""

    def __init__(self, door: Door, held_s: float) -> None:
        """`held_s`: seconds that the door may stay open before it counts as held."""
        self._door = door
        self._door_alarms = DoorAlarms(held_s)
        self._inputs: InputLevels | None = None
        self.alarms: tuple[Alarm, ...] = ()
        self.reminder_due = False  # whether the buzzer should sound

    @property
    def readable(self) -> bool:
        """Whether the inputs could be read in this tick."""
        return self._inputs is not None

    @property
    def latched(self) -> bool:
        """Whether nothing may open: the controller is latched, or the inputs cannot be read."""
        return self._inputs is None or bool(self._inputs.latched)

    def read(self, at_s: float) -> None:
        """Read the inputs at `at_s`, monotonic seconds, and log alarms that begin or end.

        Raises DoorLost; then the alarms stay as they are.
        """
        self._inputs = None
        try:
            self._inputs = self._door.read_inputs()
        finally:
            change = self._door_alarms.tick(self._inputs, at_s)
            self.reminder_due = change.reminder_due
            before, self.alarms = self.alarms, change.alarms
            for alarm in ALARMS:
                if alarm in change.alarms and alarm not in before:
                    log.warning("%s", _SENTENCES[alarm])
                if alarm in before and alarm not in change.alarms:
                    log.warning("%s is over", alarm)

    def note_released(self, until_s: float) -> None:
        """Somebody is let through until `until_s`, monotonic seconds."""
        self._door_alarms.note_released(until_s)

    def note_reminded(self, at_s: float) -> None:
        """The buzzer has sounded."""
        self._door_alarms.note_reminded(at_s)
