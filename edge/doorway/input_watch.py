"""A door's inputs, tick by tick: their levels, the alarms that begin and end, the reminder."""

import logging

from edge.doorway.door_alarms import DoorAlarms
from edge.doorway.input_levels import InputLevels
from edge.doorway.ports import Door
from edge.wire.report import ALARMS, Alarm

log = logging.getLogger("menshen")

_SENTENCES: dict[Alarm, str] = {
    "fire": "fire: the fire contact says alarm",
    "tamper": "tamper: a housing is open",
    "latched": "latched: the controller holds itself shut; see why, then re-arm it from inside",
    "forced": "door forced open: nobody had released it",
    "held": "door held open: nobody has shut it",
    "help": "help: somebody asks for it at the door",
}


class DoorWatch:
    """The inputs of one door."""

    def __init__(self, door: Door, held_s: float) -> None:
        """`held_s`: seconds that the door may stand open before it is held."""
        self._door = door
        self._doorway = DoorAlarms(held_s)
        self._inputs: InputLevels | None = None
        self.alarms: tuple[Alarm, ...] = ()
        self.remind = False  # the buzzer asks to shut the door

    @property
    def readable(self) -> bool:
        """Whether the door could be asked in this tick."""
        return self._inputs is not None

    @property
    def latched(self) -> bool:
        """The controller holds itself shut, or the door cannot be asked: nothing opens."""
        return self._inputs is None or bool(self._inputs.latched)

    def read(self, at_s: float) -> None:
        """Read the inputs at `at_s`, monotonic seconds, and log each alarm's begin and end.

        Raises DoorLost; the alarms stay as they are.
        """
        self._inputs = None
        try:
            self._inputs = self._door.read_inputs()
        finally:
            state = self._doorway.tick(self._inputs, at_s)
            self.remind = state.remind
            before, self.alarms = self.alarms, state.alarms
            for alarm in ALARMS:
                if alarm in state.alarms and alarm not in before:
                    log.warning("%s", _SENTENCES[alarm])
                if alarm in before and alarm not in state.alarms:
                    log.warning("%s is over", alarm)

    def note_released(self, until_s: float) -> None:
        """The relay lets somebody through until `until_s`, monotonic seconds."""
        self._doorway.note_released(until_s)

    def note_reminded(self, at_s: float) -> None:
        """The buzzer has asked to shut the door."""
        self._doorway.note_reminded(at_s)
