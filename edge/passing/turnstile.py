"""Turnstile: whether somebody passed after an opening.

With a turn sensor one pulse is one turn: a turnstile unlocks for one person and locks behind them.
A party therefore passes one by one, and the relay pulses for the next person when the one before
has turned. A person of the party who does not come keeps the turn: the same code uses it when it is
shown again within passback time. Without a sensor, an opening is one pulse for the whole party, as
with a door, and the unit does not learn who passed.

The next code waits until the current turn is seen or given up, so that each turn belongs to one
opening. If nobody passes after an opening, its turn is given back to the code: once for each code,
and only if the sensor has seen a turn lately. The sensor cannot see somebody who ducks below the
arm (their code keeps its turn), nor that two people pass in one turn.
"""

from dataclasses import dataclass, replace

import msgspec

LATCH_S = 5.0
"""How long a turnstile waits for the person after a pulse, whatever the pulse's length (PERCo
TTR-04, assembly and operation manual, 5.5.3). Measured from the moment when the relay is off, so
that a person who has begun to turn has time to finish."""

LATE_S = 60.0
"""A turn up to this long after a turn was given back still uses it: some turnstiles wait longer,
and their alarm for a person who stands between the arms comes after 30 s (same manual, 5.11.1)."""

TURNLESS_MAX = 5
"""After so many openings in a row without a turn, the sensor is considered faulty."""


@dataclass(frozen=True, slots=True)
class NextMayPass:
    """The next person of a party may pass: spend one turn, then pulse the relay."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class NobodyPassed:
    """Nobody passed: give the turn back to the code."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class TurnSpent:
    """A turn without a pulse: another person of the party, or a turn given back too early."""

    mark: bytes


Event = NextMayPass | NobodyPassed | TurnSpent


class SavedPassage(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What `TurnstilePassage` knows about its sensor; it survives a restart of the program."""

    turnless: int = 0  # openings in a row without a turn
    turned_lately: bool = False  # whether a turn was seen at one of the last few openings


@dataclass(frozen=True, slots=True)
class _OpenPassage:
    """An opening that waits for its turn."""

    mark: bytes
    turns_left: int  # of its party, after this one
    given_back: bool  # whether this code has had a turn given back before
    has_turned: bool = False  # the next person waits until the relay is off
    at_rest_since_s: float | None = None  # when the relay was first seen off, monotonic


class TurnstilePassage:
    """The passage through one lane with a turn sensor."""

    def __init__(self, saved: SavedPassage) -> None:
        """`saved`: the state of this boot; after a power cut `SavedPassage()`, with which no turn
        is given back until a first turn is seen.
        """
        self._turnless = saved.turnless
        self._turned_lately = saved.turned_lately
        self._open: _OpenPassage | None = None
        self._given_back: tuple[bytes, float] | None = None  # the mark, and when

    def to_save(self) -> SavedPassage:
        """The state for the file in RAM."""
        return SavedPassage(self._turnless, self._turned_lately)

    @property
    def fault(self) -> bool:
        """Whether the sensor is considered faulty."""
        return self._turnless >= TURNLESS_MAX

    @property
    def expected(self) -> int:
        """People who were let in and have not turned yet."""
        return self._open.turns_left + (not self._open.has_turned) if self._open else 0

    @property
    def is_busy(self) -> bool:
        """Whether somebody is passing, so that the next person must wait. With a faulty sensor
        nobody waits.
        """
        return self._open is not None and not self.fault

    def note_opened(self, mark: bytes, people: int, given_back: bool) -> None:
        """The relay pulses for the first of `people`. An opening that still waits is given up."""
        if self._open:
            self._note_turnless()
        self._open = _OpenPassage(mark, people - 1, given_back)
        self._given_back = None  # a late turn is taken for a turn of this opening

    def tick(self, turns: int, relay_at_rest: bool, at_s: float) -> list[Event]:
        """What happened in this tick. `turns`: seen since the last call; `relay_at_rest`: the relay
        may be pulsed again.
        """
        events: list[Event] = []
        if turns:
            self._turnless, self._turned_lately = 0, True
            events += self._take_turns(turns, at_s)
        if self._open and relay_at_rest:
            events += self._follow_rest(self._open, at_s)
        return events

    def _take_turns(self, turns: int, at_s: float) -> list[Event]:
        passage = self._open
        if passage is None:
            late, self._given_back = self._given_back, None
            return [TurnSpent(late[0])] if late and at_s - late[1] <= LATE_S else []
        extra = min(turns - (not passage.has_turned), passage.turns_left)
        turns_left = passage.turns_left - extra
        self._open = (
            replace(passage, turns_left=turns_left, has_turned=True) if turns_left else None
        )
        return [TurnSpent(passage.mark)] * extra

    def _follow_rest(self, passage: _OpenPassage, at_s: float) -> list[Event]:
        if passage.has_turned:
            self._open = _OpenPassage(passage.mark, passage.turns_left - 1, passage.given_back)
            return [NextMayPass(passage.mark)]
        if passage.at_rest_since_s is None:
            self._open = replace(passage, at_rest_since_s=at_s)
            return []
        if at_s - passage.at_rest_since_s < LATCH_S:
            return []
        self._open = None
        self._note_turnless()
        if not self._turned_lately or passage.given_back:
            return []
        self._given_back = (passage.mark, at_s)
        return [NobodyPassed(passage.mark)]

    def _note_turnless(self) -> None:
        """An opening ended without a turn. After TURNLESS_MAX in a row, none is given back."""
        self._turnless = min(self._turnless + 1, TURNLESS_MAX)
        self._turned_lately = self._turned_lately and not self.fault
