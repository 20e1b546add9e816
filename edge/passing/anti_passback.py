"""Anti-passback: whether a code or a proof has already opened this door.

Used codes are kept in memory only, as keyed hashes that cannot be reversed, and no longer than
needed. They are saved as `SavedPasses` in a file in RAM (`adapters/storage/ram.py`), so that they
survive a restart of the program. A power cut erases them: for a while after it, codes that were
issued before the start are `Unsure`. Why: ARCHITECTURE.md, *Anti-passback and turns*.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from edge.clock.time_interval import Now
from edge.judge.verdict import Genuine, Proof, Reason, Refused, Unsure, Verdict
from edge.passing.marks import enter, mark_of
from edge.wire.rules import HolderTerms

PASSES_MAX = 8192
"""The most codes that are remembered; then the oldest opening is dropped. Only openings add codes,
and a lane lets at most 30 people a minute through (PERCo TTR-04, technical data), so it takes four
and a half hours without a pause to fill. No passback time below that is cut short."""

PROOFS_MAX = 8192
"""The most proofs that are remembered, one for each phone. The longest window (two hours and
MARGIN_S) ends before so many phones can pass."""

MARGIN_S = 30
"""How much longer than its window a used proof is kept: the time may have been set meanwhile."""


Mark = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class PassRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is remembered of a code that has opened this door."""

    at_s: float  # monotonic, the last opening
    turns_left: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0  # that its party still has
    given_back: bool = False  # whether it has had a turn given back; only once


class UsedProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The newest proof of one phone that opened this door."""

    iat_s: int  # Unix seconds by the phone's clock
    until_s: float  # monotonic; from then on it is refused for its age


class SavedPasses(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The state of `AntiPassback`."""

    key: Annotated[bytes, msgspec.Meta(min_length=16, max_length=64)]
    started_s: float  # monotonic, when the memory was last empty
    passes: dict[Mark, PassRecord]  # the oldest opening first
    proofs: dict[Mark, UsedProof]


def no_passes(key: bytes, now: Now) -> SavedPasses:
    """The state after a power cut: nothing is remembered. `key`: 16 to 64 random bytes."""
    return SavedPasses(key, now.monotonic_s, {}, {})


@dataclass(frozen=True, slots=True)
class PassbackLimits:
    """The site's rules about repeated use."""

    passback_s: int  # 0: a bearer code opens each time it is shown
    holder: HolderTerms  # the window of a proof

    @property
    def window_s(self) -> int:
        """For how many seconds a used proof could open again, if the unit is sure of the time."""
        return self.holder.back_s + self.holder.ahead_s + MARGIN_S

    def proof_reusable_s(self, proof: Proof, now: Now) -> float:
        """For how many seconds from now a used proof could open again: until it is certainly too
        old. That is its window, or longer if the unit is not sure of the time.
        """
        fresh_s = proof.iat_s + self.holder.back_s - now.interval.earliest_s
        return max(self.window_s, fresh_s * 1.001 + MARGIN_S)  # .001: clocks drift


class AntiPassback:
    """The used codes and proofs of one door.

    Before each pulse, call `note_opened` or `spend_turn`, then save `to_save`.
    """

    def __init__(self, saved: SavedPasses) -> None:
        """`saved`: the state of this boot; `no_passes()` after a power cut."""
        self._key = saved.key
        self._started_s = saved.started_s
        self._passes = dict(saved.passes)
        self._proofs = dict(saved.proofs)

    def to_save(self) -> SavedPasses:
        """The state for the file in RAM."""
        return SavedPasses(self._key, self._started_s, dict(self._passes), dict(self._proofs))

    def mark(self, subject: bytes) -> bytes:
        """The keyed hash that is kept in place of `subject`: 16 bytes."""
        return mark_of(self._key, b"code", subject)

    def judge(self, verdict: Verdict, limits: PassbackLimits, now: Now) -> Verdict:
        """Refuse a used code or proof; doubt one that may have been used before a power cut.

        A party with turns left gets a verdict for that many people. *Refused* outranks *unsure*,
        and *unsure* outranks *genuine*.
        """
        if isinstance(verdict, Refused):
            return verdict
        genuine = _without_doubt(verdict)
        proof = genuine.proof if genuine else None
        record = self._record(self.mark(verdict.subject), limits, now)
        if (proof and self._is_used(proof, now)) or (record and record.turns_left == 0):
            return Refused(Reason.USED, verdict.subject, verdict.issue_date, proof)
        return self._with_doubt(verdict, record.turns_left if record else None, limits, now)

    def note_opened(
        self,
        verdict: Genuine | Unsure,
        people: int,
        turn_sensor: bool,
        limits: PassbackLimits,
        now: Now,
    ) -> None:
        """The door opens now for `people`.

        `turn_sensor`: whether one is wired, so that this pulse is for the first person only.
        Without a sensor the pulse is for all of them.
        """
        self.forget(limits, now)
        genuine = _without_doubt(verdict)
        if genuine and genuine.proof:
            holder = mark_of(self._key, b"proof", genuine.proof.holder)
            until_s = now.monotonic_s + limits.proof_reusable_s(genuine.proof, now)
            used_proof = UsedProof(genuine.proof.iat_s, until_s)
            enter(self._proofs, holder, used_proof, PROOFS_MAX)
        if limits.passback_s:
            mark = self.mark(verdict.subject)
            before = self._passes.get(mark, PassRecord(0.0))
            turns_left = people - 1 if turn_sensor else 0
            record = PassRecord(now.monotonic_s, turns_left, before.given_back)
            enter(self._passes, mark, record, PASSES_MAX)

    def spend_turn(self, mark: bytes, now: Now) -> None:
        """Take one turn from the code: the next of a party is let through, or a late turn came."""
        record = self._passes.get(mark)
        if record and record.turns_left:
            record = msgspec.structs.replace(
                record, turns_left=record.turns_left - 1, at_s=now.monotonic_s
            )
            enter(self._passes, mark, record, PASSES_MAX)

    def may_give_back(self, mark: bytes) -> bool:
        """Whether a turn may be given back to this code: it has had none given back yet."""
        record = self._passes.get(mark)
        return record is not None and not record.given_back

    def give_back(self, mark: bytes) -> None:
        """Nobody passed: give the turn back to the code, once. Used proofs stay used."""
        record = self._passes.get(mark)
        if record and not record.given_back:
            self._passes[mark] = msgspec.structs.replace(
                record, turns_left=record.turns_left + 1, given_back=True
            )

    def forget(self, limits: PassbackLimits, now: Now) -> bool:
        """Drop records that are no longer needed. Returns whether there were any."""
        before = len(self._passes) + len(self._proofs)
        self._passes = {m: p for m, p in self._passes.items() if self._record(m, limits, now)}
        self._proofs = {m: u for m, u in self._proofs.items() if now.monotonic_s < u.until_s}
        return len(self._passes) + len(self._proofs) < before

    def _record(self, mark: bytes, limits: PassbackLimits, now: Now) -> PassRecord | None:
        record = self._passes.get(mark)
        return record if record and now.monotonic_s - record.at_s < limits.passback_s else None

    def _with_doubt(
        self, verdict: Genuine | Unsure, turns_left: int | None, limits: PassbackLimits, now: Now
    ) -> Genuine | Unsure:
        """`verdict` for the `turns_left`, with the doubt about the start below its other doubts."""
        if isinstance(verdict, Unsure):
            if verdict.otherwise is None:
                return verdict
            return replace(
                verdict, otherwise=self._with_doubt(verdict.otherwise, turns_left, limits, now)
            )
        if turns_left is not None and turns_left < verdict.code.party:
            verdict = replace(verdict, code=replace(verdict.code, party=turns_left))
        if self._is_before_start(verdict, limits, now):
            return Unsure(Reason.JUST_STARTED, verdict.subject, verdict.issue_date, verdict)
        return verdict

    def _is_used(self, proof: Proof, now: Now) -> bool:
        used_proof = self._proofs.get(mark_of(self._key, b"proof", proof.holder))
        return (
            used_proof is not None
            and now.monotonic_s < used_proof.until_s
            and proof.iat_s <= used_proof.iat_s
        )

    def _is_before_start(self, genuine: Genuine, limits: PassbackLimits, now: Now) -> bool:
        """Whether this code may have opened this door before the memory started.

        The latest possible time of the start is calculated back from now, so it becomes known as
        soon as the time does. While the time has no upper bound, every code may be older than the
        start. A phone's clock may be ahead, so its proofs are taken to be older by that much.
        """
        running_s = now.monotonic_s - self._started_s
        start_latest_s = now.interval.latest_s - int(running_s)
        if genuine.proof:
            iat_s, until_s = genuine.proof.iat_s - limits.holder.ahead_s, limits.window_s
        else:
            iat_s, until_s = genuine.code.iat_s, limits.passback_s
        return running_s < until_s and iat_s <= start_latest_s


def _without_doubt(verdict: Genuine | Unsure) -> Genuine | None:
    """The genuine verdict below all doubts; None: there is none."""
    inner: Genuine | Unsure | None = verdict
    while isinstance(inner, Unsure):
        inner = inner.otherwise
    return inner
