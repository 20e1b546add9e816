"""Door alarms: door forced, door held, fire, tamper, latched, help.

Nothing that leaves a unit shows one person's passage, except an alarm (DECISIONS.md, 4). So an
ordinary passage in or out must never raise an alarm.
"""

from dataclasses import dataclass

from edge.doorway.input_levels import InputLevels
from edge.wire.door_inputs import INPUTS
from edge.wire.report import ALARMS, Alarm

GRACE_S = 2.0
"""A leaf that is pulled in the last moment of a pulse shows as open a little later."""

EXIT_S = 5.0
"""How long after the exit button, which releases the lock by its own wires, the leaf may be opened.
Wiring that releases the lock for longer keeps the button's second pole closed for as long."""

OPEN_S = 0.5
"""A shorter opening is a leaf that rattles, or a contact that bounces."""

SHUT_S = 1.0
"""An opening that begins sooner after the leaf fell shut is the same opening: it has bounced."""

ALARM_HOLD_S = 60.0
"""An alarm ends when its cause has been absent for this long. So every regular health message shows
it, a press of the help button lasts for a minute, and no alarm begins more than once a minute."""

REMIND_S = 10.0
"""How often the buzzer sounds while the door is held open."""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """The alarms after a tick."""

    alarms: tuple[Alarm, ...] = ()  # in the order of `report.Alarm`
    reminder_due: bool = False  # for the buzzer; true until `note_reminded`


class DoorAlarms:
    """The alarms of one door. A restart of the program clears them."""

    def __init__(self, held_s: float) -> None:
        """`held_s`: the door is held if it is open for longer than this with nobody let through."""
        self._held_s = held_s
        self._leaf = _DoorLeaf()
        self._is_first_tick = True
        self._may_open_until_s = float("-inf")  # until then the leaf may be opened
        self._last_passage_s = float("-inf")  # when somebody was last let through
        self._exit_was_pressed = False
        self._cause_s: dict[Alarm, float] = {}  # when the cause of each alarm was last present
        self._remind_s = float("-inf")

    def note_released(self, until_s: float) -> None:
        """Somebody is let through until `until_s`, monotonic seconds."""
        self._may_open_until_s = max(self._may_open_until_s, until_s + GRACE_S)
        self._last_passage_s = max(self._last_passage_s, until_s)

    def tick(self, inputs: InputLevels | None, at_s: float) -> AlarmChange:
        """The alarms at `at_s`, monotonic seconds. `inputs` None: the door cannot be read.

        While it cannot be read, the alarms stay as they are. An opening shortly afterwards is not
        *forced*, because a request to exit may have been missed; nor is one after the start of
        the program.
        """
        if inputs is None or inputs.level("contact") is None or self._is_first_tick:
            self._is_first_tick = False
            self._may_open_until_s = max(self._may_open_until_s, at_s + EXIT_S)
        if inputs is None:
            self._leaf = _DoorLeaf()
            self._cause_s = dict.fromkeys(self._active_alarms(at_s), at_s)
            return AlarmChange(self._active_alarms(at_s))
        exit_pressed = inputs.level("exit_button")
        if exit_pressed:
            self._may_open_until_s = max(self._may_open_until_s, at_s + EXIT_S)
            if not self._exit_was_pressed:  # a button that is taped down counts once
                self._last_passage_s = max(self._last_passage_s, at_s)
        self._exit_was_pressed = bool(exit_pressed)
        if inputs.level("fire"):  # the lock has no power and people leave: no buzzer
            self._may_open_until_s = max(self._may_open_until_s, at_s + EXIT_S)
            self._last_passage_s = max(self._last_passage_s, at_s)
        self._leaf = self._leaf.updated(
            inputs.level("contact"), at_s, at_s <= self._may_open_until_s
        )
        is_held = self._is_held(at_s)
        causes: dict[Alarm, bool | None] = {
            "latched": inputs.latched,
            # Without a request to exit, every exit by the handle would look forced.
            "forced": exit_pressed is not None and self._leaf.is_forced(at_s),
            "held": is_held,
        }
        causes |= {row.alarm: inputs.level(name) for name, row in INPUTS.items() if row.alarm}
        self._cause_s |= {alarm: at_s for alarm, is_present in causes.items() if is_present}
        return AlarmChange(self._active_alarms(at_s), is_held and at_s >= self._remind_s)

    def note_reminded(self, at_s: float) -> None:
        """The buzzer has sounded, at `at_s`."""
        self._remind_s = at_s + REMIND_S

    def _is_held(self, at_s: float) -> bool:
        """Whether the leaf has been open for `held_s` with nobody let through."""
        opened_s = self._leaf.opened_s
        return opened_s is not None and at_s - max(opened_s, self._last_passage_s) > self._held_s

    def _active_alarms(self, at_s: float) -> tuple[Alarm, ...]:
        cause_s = self._cause_s
        return tuple(a for a in ALARMS if a in cause_s and at_s - cause_s[a] < ALARM_HOLD_S)


@dataclass(frozen=True, slots=True)
class _DoorLeaf:
    """The door leaf, open or shut, debounced from the contact."""

    opened_s: float | None = None  # when it was opened; None: shut or unknown
    closed_s: float | None = None  # when the contact first said shut again
    may_be_open: bool = False  # somebody was let through: not forced

    def updated(self, is_open: bool | None, at_s: float, may_open: bool) -> "_DoorLeaf":
        """The leaf after a reading. `is_open`: the contact, None if unknown; `may_open`: somebody
        is let through.
        """
        if is_open is None or (self.opened_s is None and not is_open):
            return _DoorLeaf()
        if self.opened_s is None:
            return _DoorLeaf(at_s, may_be_open=may_open)
        closed_s = None if is_open else at_s if self.closed_s is None else self.closed_s
        if closed_s is not None and at_s - closed_s >= SHUT_S:
            return _DoorLeaf()
        may_be_open = self.may_be_open or (may_open and not self._is_settled(at_s))
        return _DoorLeaf(self.opened_s, closed_s, may_be_open)

    def is_forced(self, at_s: float) -> bool:
        """Whether it is open, and nobody was let through."""
        return self.closed_s is None and self._is_settled(at_s) and not self.may_be_open

    def _is_settled(self, at_s: float) -> bool:
        return self.opened_s is not None and at_s - self.opened_s >= OPEN_S
