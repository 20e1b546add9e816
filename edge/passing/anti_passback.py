"""The same code again: still in view, used already, or shown before this unit started.

Kept in memory only, as keyed hashes that nobody can turn back, and no longer than needed. What
must outlive a restart of the program is saved as `SavedPasses` in a file in RAM
(`adapters/storage/ram.py`). A power cut erases it; for a while after it, codes that were issued
before the start are `Unsure`. Why: ARCHITECTURE.md, *Twice, and who passes*.
"""

from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from edge.clock.time_interval import Now
from edge.judge.verdict import Genuine, Proof, Reason, Refused, Unsure, Verdict
from edge.passing.marks import enter, mark_of
from edge.wire.rules import HolderTerms

PASSES_MAX = 8192
"""Codes remembered after an opening. Only an opening enters one, and a lane lets 30 people a
minute through at most (PERCo TTR-04, technical data): full after four and a half hours of that
without a pause, so no passback time below it is ever cut short. Beyond, the oldest opening goes."""

PROOFS_MAX = 8192
"""Phones remembered, likewise one an opening; the longest window (two hours and MARGIN_S) ends
before that many have passed."""

MARGIN_S = 30
"""A used proof is kept so much longer than its window: time may have been set meanwhile."""


Mark = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class PassRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is remembered of a code after an opening."""

    at_s: float  # monotonic, the last opening
    left: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0  # turns that its party still has
    given_back: bool = False  # nobody walked through once: that is forgiven once


class UsedProof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The newest proof of one phone that opened this door."""

    iat_s: int  # Unix seconds by the phone's clock
    until_s: float  # monotonic; from then on its age alone refuses it


class SavedPasses(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """All that `AntiPassback` knows."""

    key: Annotated[bytes, msgspec.Meta(min_length=16, max_length=64)]
    started_s: float  # monotonic, the start with an empty memory
    passes: dict[Mark, PassRecord]  # the oldest opening first
    proofs: dict[Mark, UsedProof]


def no_passes(key: bytes, now: Now) -> SavedPasses:
    """The empty memory of a unit that starts; `key`: 16 to 64 random bytes."""
    return SavedPasses(key, now.monotonic_s, {}, {})


@dataclass(frozen=True, slots=True)
class PassbackLimits:
    """What the site's rules say about repeats."""

    passback_s: int  # 0: a bearer code opens as often as it is shown
    holder: HolderTerms  # the window of a proof

    @property
    def window_s(self) -> int:
        """For how long a proof that has opened this door could do so again, by a clock that is
        sure of the time.
        """
        return self.holder.back_s + self.holder.ahead_s + MARGIN_S

    def kept_s(self, proof: Proof, now: Now) -> float:
        """For how long from now a used proof could open again: until it is certainly too old.

        That is its window, and longer where the door does not know how late it is.
        """
        fresh_s = proof.iat_s + self.holder.back_s - now.interval.earliest_s
        return max(self.window_s, fresh_s * 1.001 + MARGIN_S)  # .001: clocks drift


class AntiPassback:
    """Who has passed. Before each pulse `note_opened` or `spend_turn`; then save; then pulse."""

    def __init__(self, saved: SavedPasses) -> None:
        """`saved`: of this boot, or `no_passes()` after a power cut."""
        self._key = saved.key
        self._started_s = saved.started_s
        self._passes = dict(saved.passes)
        self._proofs = dict(saved.proofs)

    def to_save(self) -> SavedPasses:
        """For the file in RAM."""
        return SavedPasses(self._key, self._started_s, dict(self._passes), dict(self._proofs))

    def mark(self, subject: bytes) -> bytes:
        """What stands for `subject` in memory: 16 bytes, worthless without the key."""
        return mark_of(self._key, b"code", subject)

    def judge(self, verdict: Verdict, limits: PassbackLimits, now: Now) -> Verdict:
        """Refuse what was used; doubt what may have been used before a power cut.

        A party that has turns left comes back with as many people. Refused outranks unsure,
        unsure outranks genuine.
        """
        if isinstance(verdict, Refused):
            return verdict
        genuine = _otherwise(verdict)
        proof = genuine.proof if genuine else None
        done = self._within(self.mark(verdict.subject), limits, now)
        if (proof and self._used(proof, now)) or (done and done.left == 0):
            return Refused(Reason.USED, verdict.subject, verdict.issue_date, proof)
        return self._doubted(verdict, done.left if done else None, limits, now)

    def note_opened(
        self, verdict: Genuine | Unsure, people: int, turns: bool, limits: PassbackLimits, now: Now
    ) -> None:
        """This door opens now for `people`.

        `turns`: a sensor tells one turn from the next, so this pulse is for the first person
        alone. Without one a pulse is for all of them.
        """
        self.forget(limits, now)
        genuine = _otherwise(verdict)
        if genuine and genuine.proof:
            holder = mark_of(self._key, b"proof", genuine.proof.holder)
            until_s = now.monotonic_s + limits.kept_s(genuine.proof, now)
            used = UsedProof(genuine.proof.iat_s, until_s)
            enter(self._proofs, holder, used, PROOFS_MAX)
        if limits.passback_s:
            mark = self.mark(verdict.subject)
            before = self._passes.get(mark, PassRecord(0.0))
            left = people - 1 if turns else 0
            done = PassRecord(now.monotonic_s, left, before.given_back)
            enter(self._passes, mark, done, PASSES_MAX)

    def spend_turn(self, mark: bytes, now: Now) -> None:
        """One turn fewer is left: the next of a party is let through, or a late turn came."""
        done = self._passes.get(mark)
        if done and done.left:
            done = msgspec.structs.replace(done, left=done.left - 1, at_s=now.monotonic_s)
            enter(self._passes, mark, done, PASSES_MAX)

    def may_give_back(self, mark: bytes) -> bool:
        """Whether this code has not been forgiven a turn yet."""
        done = self._passes.get(mark)
        return done is not None and not done.given_back

    def give_back(self, mark: bytes) -> None:
        """Nobody walked through: the code has that turn again, once. Used proofs stay used."""
        done = self._passes.get(mark)
        if done and not done.given_back:
            self._passes[mark] = msgspec.structs.replace(done, left=done.left + 1, given_back=True)

    def forget(self, limits: PassbackLimits, now: Now) -> bool:
        """Drop what no longer counts; whether there was any."""
        before = len(self._passes) + len(self._proofs)
        self._passes = {m: p for m, p in self._passes.items() if self._within(m, limits, now)}
        self._proofs = {m: u for m, u in self._proofs.items() if now.monotonic_s < u.until_s}
        return len(self._passes) + len(self._proofs) < before

    def _within(self, mark: bytes, limits: PassbackLimits, now: Now) -> PassRecord | None:
        done = self._passes.get(mark)
        return done if done and now.monotonic_s - done.at_s < limits.passback_s else None

    def _doubted(
        self, verdict: Genuine | Unsure, left: int | None, limits: PassbackLimits, now: Now
    ) -> Genuine | Unsure:
        """`verdict` for the turns that are `left`, with our own doubt below all others."""
        if isinstance(verdict, Unsure):
            if verdict.otherwise is None:
                return verdict
            return replace(verdict, otherwise=self._doubted(verdict.otherwise, left, limits, now))
        if left is not None and left < verdict.code.party:
            verdict = replace(verdict, code=replace(verdict.code, party=left))
        if self._before_start(verdict, limits, now):
            return Unsure(Reason.JUST_STARTED, verdict.subject, verdict.issue_date, verdict)
        return verdict

    def _used(self, proof: Proof, now: Now) -> bool:
        used = self._proofs.get(mark_of(self._key, b"proof", proof.holder))
        return used is not None and now.monotonic_s < used.until_s and proof.iat_s <= used.iat_s

    def _before_start(self, genuine: Genuine, limits: PassbackLimits, now: Now) -> bool:
        """Whether this code may have opened this door before its memory began.

        The latest that the start can have been is reckoned back from now: it becomes known as
        soon as the time does, and without a bound everything may have been before it. A phone may
        be ahead, so its proofs count as older by that much.
        """
        running_s = now.monotonic_s - self._started_s
        start_latest_s = now.interval.latest_s - int(running_s)
        if genuine.proof:
            iat_s, until_s = genuine.proof.iat_s - limits.holder.ahead_s, limits.window_s
        else:
            iat_s, until_s = genuine.code.iat_s, limits.passback_s
        return running_s < until_s and iat_s <= start_latest_s


def _otherwise(verdict: Genuine | Unsure) -> Genuine | None:
    """What the code is, doubts aside; None where nobody can say."""
    inner: Genuine | Unsure | None = verdict
    while isinstance(inner, Unsure):
        inner = inner.otherwise
    return inner
