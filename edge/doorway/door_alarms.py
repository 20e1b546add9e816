"""What the doorway itself has to say: forced, held, fire, tamper, latched, help.

Nothing that leaves a unit shows one person's passage, except an alarm (DECISIONS.md, 4). So an
ordinary way in or out must never raise one. The terms are the field's: *door forced open*, *door
held open*, *request to exit*.
"""

from dataclasses import dataclass

from edge.doorway.input_levels import InputLevels
from edge.wire.door_inputs import INPUTS
from edge.wire.report import ALARMS, Alarm

GRACE_S = 2.0
"""A leaf pulled in the last moment of a pulse is seen open a little later."""

EXIT_S = 5.0
"""After the exit button, which releases the lock by its own wiring, the leaf may be opened for so
long; a release that a wiring holds for longer keeps the button's second pole closed as long."""

OPEN_S = 0.5
"""An opening that does not last this long is a leaf that rattles, or a contact that bounces."""

SHUT_S = 1.0
"""And one that begins sooner after the leaf fell shut is the same opening: it has bounced back."""

ALARM_HOLD_S = 60.0
"""An alarm is told until its cause has been away for so long. So every regular message says it, a
press of the help button is told for a minute, and none can begin more often than once a minute."""

REMIND_S = 10.0
"""How often the buzzer reminds of a door that stands open."""


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """What is to be told now."""

    alarms: tuple[Alarm, ...] = ()  # in the order of `report.Alarm`
    remind: bool = False  # the buzzer asks to shut the door; true until `note_reminded` is called


class DoorAlarms:
    """One door. Its state is a few moments; nothing of it outlives the program."""

    def __init__(self, held_s: float) -> None:
        """`held_s`: open for longer than this with nobody let through, it is held."""
        self._held_s = held_s
        self._leaf = _DoorLeaf()
        self._first = True
        self._excused_until_s = float("-inf")  # till when the leaf may be opened
        self._passed_s = float("-inf")  # when somebody was let through last
        self._pressed = False
        self._caused_s: dict[Alarm, float] = {}  # when each cause was there last
        self._remind_s = float("-inf")

    def note_released(self, until_s: float) -> None:
        """The relay lets somebody through until `until_s`, monotonic seconds."""
        self._excused_until_s = max(self._excused_until_s, until_s + GRACE_S)
        self._passed_s = max(self._passed_s, until_s)

    def tick(self, inputs: InputLevels | None, at_s: float) -> AlarmChange:
        """What the door says at `at_s`, monotonic seconds; None: it cannot be asked.

        While it cannot, alarms stay as they are, and what opens at once afterwards was forced by
        nobody: a request to exit may have gone unseen. So it is when the program starts.
        """
        if inputs is None or inputs.level("contact") is None or self._first:
            self._first = False
            self._excused_until_s = max(self._excused_until_s, at_s + EXIT_S)
        if inputs is None:
            self._leaf = _DoorLeaf()
            self._caused_s = dict.fromkeys(self._told(at_s), at_s)
            return AlarmChange(self._told(at_s))
        exit_pressed = inputs.level("exit_button")
        if exit_pressed:
            self._excused_until_s = max(self._excused_until_s, at_s + EXIT_S)
            if not self._pressed:  # a button that was taped down lets nobody through for ever
                self._passed_s = max(self._passed_s, at_s)
        self._pressed = bool(exit_pressed)
        if inputs.level("fire"):  # the lock has no power, people leave; the buzzer is quiet
            self._excused_until_s = max(self._excused_until_s, at_s + EXIT_S)
            self._passed_s = max(self._passed_s, at_s)
        self._leaf = self._leaf.seen(inputs.level("contact"), at_s, at_s <= self._excused_until_s)
        held = self._held(at_s)
        causes: dict[Alarm, bool | None] = {
            "latched": inputs.latched,
            # Where no request to exit is wired, every way out by the handle would look like this.
            "forced": exit_pressed is not None and self._leaf.forced(at_s),
            "held": held,
        }
        causes |= {row.alarm: inputs.level(name) for name, row in INPUTS.items() if row.alarm}
        self._caused_s |= {alarm: at_s for alarm, there in causes.items() if there}
        return AlarmChange(self._told(at_s), held and at_s >= self._remind_s)

    def note_reminded(self, at_s: float) -> None:
        """The buzzer has asked, at `at_s`."""
        self._remind_s = at_s + REMIND_S

    def _held(self, at_s: float) -> bool:
        """Nobody was let through for `held_s`, and the leaf stood open all that time."""
        since_s = self._leaf.opened_s
        return since_s is not None and at_s - max(since_s, self._passed_s) > self._held_s

    def _told(self, at_s: float) -> tuple[Alarm, ...]:
        caused = self._caused_s
        return tuple(a for a in ALARMS if a in caused and at_s - caused[a] < ALARM_HOLD_S)


@dataclass(frozen=True, slots=True)
class _DoorLeaf:
    """Open or shut, as far as the contact and its bouncing tell."""

    opened_s: float | None = None  # when it was opened; None: it is shut, or nobody knows
    closed_s: float | None = None  # since when the contact says shut again
    excused: bool = False  # somebody was let through

    def seen(self, is_open: bool | None, at_s: float, may_open: bool) -> "_DoorLeaf":
        """What it is, now that the contact says `is_open`; `may_open`: people are let through."""
        if is_open is None or (self.opened_s is None and not is_open):
            return _DoorLeaf()
        if self.opened_s is None:
            return _DoorLeaf(at_s, excused=may_open)
        closed_s = None if is_open else at_s if self.closed_s is None else self.closed_s
        if closed_s is not None and at_s - closed_s >= SHUT_S:
            return _DoorLeaf()
        excused = self.excused or (may_open and not self._settled(at_s))
        return _DoorLeaf(self.opened_s, closed_s, excused)

    def forced(self, at_s: float) -> bool:
        """It stands open, and nobody was let through."""
        return self.closed_s is None and self._settled(at_s) and not self.excused

    def _settled(self, at_s: float) -> bool:
        return self.opened_s is not None and at_s - self.opened_s >= OPEN_S
