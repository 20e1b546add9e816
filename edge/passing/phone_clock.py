"""An old proof: a picture of a code, or a phone whose clock is wrong."""

from dataclasses import replace

from edge.clock.time_interval import Now
from edge.judge.verdict import Reason, Refused, Verdict
from edge.passing.marks import enter, mark_of

CLOCK_S = 15.0
"""Within this time a phone that makes its codes itself has shown the next one."""

PHONES_MAX = 64


class PhoneClocks:
    """A proof that is too old: a picture of a code, or a phone that is alive and late.

    Only a phone that makes its codes itself shows a newer one, newer by about the time between.
    """

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key
        self._first: dict[bytes, tuple[int, float]] = {}  # iat, monotonic
        self._alive: dict[bytes, float] = {}  # until when its clock is what is wrong

    def judge(self, verdict: Verdict, now: Now) -> Verdict:
        """PROOF_OLD becomes PHONE_CLOCK where the phone was seen to go on; all else stays."""
        if not isinstance(verdict, Refused) or verdict.reason is not Reason.PROOF_OLD:
            return verdict
        proof = verdict.proof
        if proof is None:
            return verdict
        at_s, mark = now.monotonic_s, mark_of(self._key, b"phone", proof.holder)
        iat_s, first_s = self._first.get(mark, (proof.iat_s, float("-inf")))
        passed_s, newer_s = at_s - first_s, proof.iat_s - iat_s
        if passed_s > CLOCK_S:
            enter(self._first, mark, (proof.iat_s, at_s), PHONES_MAX)
        elif 0 < newer_s <= passed_s + CLOCK_S:
            enter(self._alive, mark, at_s + CLOCK_S, PHONES_MAX)
        if at_s < self._alive.get(mark, float("-inf")):
            return replace(verdict, reason=Reason.PHONE_CLOCK)
        return verdict
