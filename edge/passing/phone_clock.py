"""A proof that is too old: is it a picture of a code, or does the phone have a wrong clock?"""

from dataclasses import replace

from edge.clock.time_interval import Now
from edge.judge.verdict import Reason, Refused, Verdict
from edge.passing.marks import enter, mark_of

CLOCK_S = 15.0
"""Within this time a phone that makes its own codes shows the next one."""

PHONES_MAX = 64


class PhoneClocks:
    """Recognises phones whose clock is slow.

    Such a phone makes its own codes: soon it shows a newer proof, newer by about the time that has
    passed. A picture does not change.
    """

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key
        self._first: dict[bytes, tuple[int, float]] = {}  # iat_s, and when it was read (monotonic)
        self._slow_until_s: dict[bytes, float] = {}  # until then its clock is taken to be slow

    def judge(self, verdict: Verdict, now: Now) -> Verdict:
        """Replace PROOF_OLD by PHONE_CLOCK if the phone has shown a newer proof; else no change."""
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
            enter(self._slow_until_s, mark, at_s + CLOCK_S, PHONES_MAX)
        if at_s < self._slow_until_s.get(mark, float("-inf")):
            return replace(verdict, reason=Reason.PHONE_CLOCK)
        return verdict
