"""One lane: `AntiPassback`, `TurnstilePassage` and `Occupancy` together.

Their common state is saved in one file in RAM (`ports.RestartMemory`), so that a restart of the
program does not lose it.
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
    """The saved state: marks under a key of this boot, and counts. No code, name or time of day."""

    passes: anti_passback.SavedPasses
    passage: turnstile.SavedPassage
    inside: Annotated[int, msgspec.Meta(ge=0, le=INSIDE_MAX)]


@dataclass(frozen=True, slots=True)
class Sensors:
    """Which turn contacts are wired (unit.toml, `turn` and `turn_out`)."""

    turn: bool = False
    turn_out: bool = False


@dataclass(frozen=True, slots=True)
class Opening:
    """The state after an opening that is planned and has not happened yet."""

    passback: AntiPassback
    mark: bytes
    people: int
    given_back: bool  # whether this code has had a turn given back before


@dataclass(frozen=True, slots=True)
class LaneChange:
    """The result of one tick. If `changed`, save the state before the relay pulses."""

    pulse: bool = False  # let the next person of a party through, with a pulse as the first
    changed: bool = False  # the state to save has changed


class Lane:
    """One lane. To open: `plan_opening`, save the result of `to_save`, then `commit`.

    These are separate steps because saving may fail; then the opening does not happen.
    """

    def __init__(self, key: bytes, now: Now, sensors: Sensors, memory: bytes | None) -> None:
        """`key`: 32 random bytes. `memory`: the data saved since the boot; None after a power cut.

        Data that cannot be decoded is treated as None.
        """
        saved = _decode(memory)
        self._sensors = sensors
        self._passback = AntiPassback(saved.passes if saved else anti_passback.no_passes(key, now))
        self._passage = (
            TurnstilePassage(saved.passage if saved else turnstile.SavedPassage())
            if sensors.turn
            else None
        )
        self._inside = Occupancy(saved.inside if saved else 0)

    @property
    def is_busy(self) -> bool:
        """Whether somebody is passing, so that the next person must wait."""
        return self._passage is not None and self._passage.is_busy

    @property
    def sensor_fault(self) -> bool:
        """Whether the turn sensor is faulty. Report it at probe times only."""
        return self._passage is not None and self._passage.fault

    @property
    def inside(self) -> int:
        """People inside, including those who were let in and have not turned yet; 0 if this unit
        does not see both directions.
        """
        if self._passage is None or not self._sensors.turn_out:
            return 0
        return self._inside.people + (0 if self._passage.fault else self._passage.expected)

    def judge(self, verdict: Verdict, limits: PassbackLimits, now: Now) -> Verdict:
        """`verdict`, changed by what this lane remembers of earlier openings."""
        return self._passback.judge(verdict, limits, now)

    def plan_opening(
        self, verdict: Genuine | Unsure, people: int, limits: PassbackLimits, now: Now
    ) -> Opening:
        """Plan an opening for `people`; the state of the lane does not change."""
        passback = AntiPassback(self._passback.to_save())
        mark = passback.mark(verdict.subject)
        passback.note_opened(verdict, people, self._passage is not None, limits, now)
        return Opening(passback, mark, people, not passback.may_give_back(mark))

    def commit(self, opening: Opening) -> None:
        """Apply `opening`, which is saved and counted; the relay pulses now."""
        self._passback = opening.passback
        if self._passage:
            self._passage.note_opened(opening.mark, opening.people, opening.given_back)
            if self._passage.fault:  # their turns are not seen, so count them as inside now
                self._inside.add_turns(opening.people, 0)

    def tick(
        self, turns: tuple[int, int], relay_at_rest: bool, limits: PassbackLimits, now: Now
    ) -> LaneChange:
        """Follow who passes. `turns`: turns in and out since the last call; `relay_at_rest`: the
        relay may be pulsed.
        """
        if self._passage is None:
            return LaneChange()
        before = self._passage.to_save()
        pulse = False
        changed = self._sensors.turn_out and self._inside.add_turns(*turns)
        for event in self._passage.tick(turns[0], relay_at_rest, now.monotonic_s):
            changed = True
            match event:
                case NextMayPass(mark):
                    self._passback.spend_turn(mark, now)
                    pulse = True
                case TurnSpent(mark):
                    self._passback.spend_turn(mark, now)
                case NobodyPassed(mark):
                    self._passback.give_back(mark)
                case _:
                    assert_never(event)
        return LaneChange(pulse, changed or self._passage.to_save() != before)

    def forget(self, limits: PassbackLimits, now: Now) -> None:
        """Drop marks that are no longer needed."""
        self._passback.forget(limits, now)

    def to_save(self, opening: Opening | None = None) -> bytes:
        """The state to save, with `opening` applied if given: MessagePack, 0.6 MB at most."""
        passback = opening.passback if opening else self._passback
        sensor = self._passage.to_save() if self._passage else turnstile.SavedPassage()
        return msgspec.msgpack.encode(SavedLane(passback.to_save(), sensor, self._inside.people))


def _decode(memory: bytes | None) -> SavedLane | None:
    if memory is None:
        return None
    try:
        return msgspec.msgpack.decode(memory, type=SavedLane)
    except (msgspec.MsgspecError, RecursionError):
        return None
