"""What happened after an opening: somebody turned the turnstile, or nobody went.

With a turn sensor one pulse is one turn: a turnstile unlocks for one person and locks behind them.
So a party is let through one after the other, the next pulse when the one before has turned; who
does not come keeps their turn, and the same code shown again within passback time uses it. Without
a sensor an opening is one pulse for all of them, as through a door, and nothing more is known.

One after the other: who is next waits until the turn before is seen or given up, so that each
turn has its opening. An opening that nobody walked through is given back, once a code, and only
while the sensor has lately been seen turning. What a sensor cannot see: who ducks below the arm
(their code has its turn once more), and two people in one turn.
"""

from dataclasses import dataclass, replace

import msgspec

LATCH_S = 5.0
"""A turnstile waits so long for the person after a pulse, whatever the pulse's length (PERCo
TTR-04, assembly and operation manual, 5.5.3). Counted from the relay's rest, so that who has
begun to turn has time to end."""

LATE_S = 60.0
"""A turn this long after an opening was given back is still its turn: some turnstiles wait longer,
and their alarm for who stands between the arms comes after 30 s (the same manual, 5.11.1)."""

TURNLESS_MAX = 5
"""So many openings in a row with no turn, and it is the sensor that does not see."""


@dataclass(frozen=True, slots=True)
class NextMayPass:
    """The next of a party may pass: one turn is spent, then the relay pulses."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class NobodyPassed:
    """Nobody walked through: the code has its turn again."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class TurnSpent:
    """A turn more than pulses: one of the party's, or one that was given back too early."""

    mark: bytes


Event = NextMayPass | NobodyPassed | TurnSpent


class SavedPassage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What `TurnstilePassage` knows of its sensor; a restart of the program must not forgive it."""

    turnless: int = 0  # openings in a row with no turn
    lately: bool = False  # whether it turned at one of the last few openings


@dataclass(frozen=True, slots=True)
class _OpenPassage:
    """An opening whose turn is awaited."""

    mark: bytes
    more: int  # turns of its party after this one
    forgiven: bool  # whether this code has been given one back before
    turned: bool = False  # seen; the next of the party waits for the relay's rest
    rested_s: float | None = None  # since when the relay is at rest


class TurnstilePassage:
    """One lane with a turn sensor; a lane without a sensor has none of these."""

    def __init__(self, saved: SavedPassage) -> None:
        """`saved`: of this boot, or `SavedPassage()`: nothing is given back until a first turn."""
        self._turnless = saved.turnless
        self._lately = saved.lately
        self._open: _OpenPassage | None = None
        self._given_back: tuple[bytes, float] | None = None  # and when

    def to_save(self) -> SavedPassage:
        """For the file in RAM."""
        return SavedPassage(self._turnless, self._lately)

    @property
    def fault(self) -> bool:
        """Whether the sensor is not to be believed."""
        return self._turnless >= TURNLESS_MAX

    @property
    def expected(self) -> int:
        """People who were let in and have not turned yet."""
        return self._open.more + (not self._open.turned) if self._open else 0

    @property
    def is_busy(self) -> bool:
        """Somebody is passing; whoever is next waits. A sensor at fault keeps nobody waiting."""
        return self._open is not None and not self.fault

    def note_opened(self, mark: bytes, people: int, forgiven: bool) -> None:
        """The relay pulses for the first of `people`. Whose turn was awaited stays unknown."""
        if self._open:
            self._missed()
        self._open = _OpenPassage(mark, people - 1, forgiven)
        self._given_back = None  # its turn, if it still comes, is this one's

    def tick(self, turns: int, resting: bool, at_s: float) -> list[Event]:
        """`turns` seen since the last call; `resting`: the relay may be pulsed again."""
        events: list[Event] = []
        if turns:
            self._turnless, self._lately = 0, True
            events += self._turned(turns, at_s)
        if self._open and resting:
            events += self._rested(self._open, at_s)
        return events

    def _turned(self, turns: int, at_s: float) -> list[Event]:
        now = self._open
        if now is None:
            late, self._given_back = self._given_back, None
            return [TurnSpent(late[0])] if late and at_s - late[1] <= LATE_S else []
        extra = min(turns - (not now.turned), now.more)
        more = now.more - extra
        self._open = replace(now, more=more, turned=True) if more else None
        return [TurnSpent(now.mark)] * extra

    def _rested(self, now: _OpenPassage, at_s: float) -> list[Event]:
        if now.turned:
            self._open = _OpenPassage(now.mark, now.more - 1, now.forgiven)
            return [NextMayPass(now.mark)]
        if now.rested_s is None:
            self._open = replace(now, rested_s=at_s)
            return []
        if at_s - now.rested_s < LATCH_S:
            return []
        self._open = None
        self._missed()
        if not self._lately or now.forgiven:
            return []
        self._given_back = (now.mark, at_s)
        return [NobodyPassed(now.mark)]

    def _missed(self) -> None:
        """An opening ended with no turn. A few in a row, and nothing is given back any more."""
        self._turnless = min(self._turnless + 1, TURNLESS_MAX)
        self._lately = self._lately and not self.fault
