"""One lane: who has passed, who is passing, who is inside, and what of it a restart must not lose.

Puts `AntiPassback`, `TurnstilePassage` and `Occupancy` together, and their memory into the
bytes of one file in RAM (`ports.RestartMemory`).
"""

from dataclasses import dataclass
from typing import Annotated, assert_never

import msgspec

from edge.clock.time_interval import Now
from edge.judge.verdict import Genuine, Unsure, Verdict
from edge.passing import anti_passback, turnstile
from edge.passing.anti_passback import AntiPassback, PassbackLimits
from edge.passing.occupancy import INSIDE_MAX, Occupancy
from edge.passing.turnstile import NextMayPass, NobodyPassed, TurnSpent, TurnstilePassage


class SavedLane(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Marks under a key of this boot, and counts: no code, no name, no time of day."""

    passed: anti_passback.SavedPasses
    passage: turnstile.SavedPassage
    inside: Annotated[int, msgspec.Meta(ge=0, le=INSIDE_MAX)]


@dataclass(frozen=True, slots=True)
class Sensors:
    """Which turn contacts are wired (unit.toml, `turn` and `turn_out`)."""

    turn: bool = False
    turn_out: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """What an opening changes, before it happens."""

    passed: AntiPassback
    mark: bytes
    people: int
    forgiven: bool


@dataclass(frozen=True, slots=True)
class LaneChange:
    """What one tick brought. What changed is saved before the relay pulses."""

    pulse: bool = False  # the next of a party: as the party's first
    changed: bool = False


class Lane:
    """`plan_opening` says what follows, `to_save` what to save before it; `commit` applies it.

    In steps because memory and disk come between: what could not be kept did not happen.
    """

    def __init__(self, key: bytes, now: Now, sensors: Sensors, memory: bytes | None) -> None:
        """`key`: 32 random bytes. `memory`: what was saved in this boot, None after a power cut.

        A memory that is not what we wrote counts as none.
        """
        saved = _decode(memory)
        self._sensors = sensors
        self._passed = AntiPassback(saved.passed if saved else anti_passback.no_passes(key, now))
        self._passage = (
            TurnstilePassage(saved.passage if saved else turnstile.SavedPassage())
            if sensors.turn
            else None
        )
        self._inside = Occupancy(saved.inside if saved else 0)

    @property
    def is_busy(self) -> bool:
        """Somebody is passing: whoever is next waits."""
        return self._passage is not None and self._passage.is_busy

    @property
    def sensor_fault(self) -> bool:
        """Whether the turn sensor is not to be believed: to be told, but at fixed times only."""
        return self._passage is not None and self._passage.fault

    @property
    def inside(self) -> int:
        """People inside, with those who were let in and are still turning; 0 where not seen."""
        if self._passage is None or not self._sensors.turn_out:
            return 0
        return self._inside.people + (0 if self._passage.fault else self._passage.expected)

    def judge(self, verdict: Verdict, limits: PassbackLimits, now: Now) -> Verdict:
        """`verdict` with what this lane remembers."""
        return self._passed.judge(verdict, limits, now)

    def plan_opening(
        self, verdict: Genuine | Unsure, people: int, limits: PassbackLimits, now: Now
    ) -> Opening:
        """The relay is about to pulse for `people`."""
        passed = AntiPassback(self._passed.to_save())
        mark = passed.mark(verdict.subject)
        passed.note_opened(verdict, people, self._passage is not None, limits, now)
        return Opening(passed, mark, people, not passed.may_give_back(mark))

    def commit(self, opening: Opening) -> None:
        """It is saved and counted; the relay pulses now."""
        self._passed = opening.passed
        if self._passage:
            self._passage.note_opened(opening.mark, opening.people, opening.forgiven)
            if self._passage.fault:  # nobody sees them turn: they count as inside
                self._inside.add_turns(opening.people, 0)

    def tick(
        self, turned: tuple[int, int], resting: bool, limits: PassbackLimits, now: Now
    ) -> LaneChange:
        """`turned`: turns in and out since the last call; `resting`: the relay may be pulsed."""
        if self._passage is None:
            return LaneChange()
        before = self._passage.to_save()
        pulse = False
        changed = self._sensors.turn_out and self._inside.add_turns(*turned)
        for event in self._passage.tick(turned[0], resting, now.monotonic_s):
            changed = True
            match event:
                case NextMayPass(mark):
                    self._passed.spend_turn(mark, now)
                    pulse = True
                case TurnSpent(mark):
                    self._passed.spend_turn(mark, now)
                case NobodyPassed(mark):
                    self._passed.give_back(mark)
                case _:
                    assert_never(event)
        return LaneChange(pulse, changed or self._passage.to_save() != before)

    def forget(self, limits: PassbackLimits, now: Now) -> None:
        """Drop marks whose time is over."""
        self._passed.forget(limits, now)

    def to_save(self, opening: Opening | None = None) -> bytes:
        """The memory, with `opening` in it: MessagePack, 0.6 MB at most."""
        passed = opening.passed if opening else self._passed
        sensor = self._passage.to_save() if self._passage else turnstile.SavedPassage()
        return msgspec.msgpack.encode(SavedLane(passed.to_save(), sensor, self._inside.people))


def _decode(memory: bytes | None) -> SavedLane | None:
    if memory is None:
        return None
    try:
        return msgspec.msgpack.decode(memory, type=SavedLane)
    except (msgspec.MsgspecError, RecursionError):
        return None
