"""The same code again. Now: a code that stays in view is answered once and then met with silence.

Held in memory only, as keyed hashes that nobody can turn back. Passback time and proofs that work
once will live here.
"""

import hashlib

GONE_S = 3.0
"""A code not read for this long has left: one frame in two is read, so a gap means little."""

KEPT_MAX = 256


class InView:
    """What has been answered and is still being shown."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes, made anew at every start."""
        self._key = key
        self._last_s: dict[bytes, float] = {}

    def excuse(self, unseen_s: float) -> None:
        """Nobody looked for `unseen_s` seconds: that time says nothing about who has left."""
        self._last_s = {mark: last_s + unseen_s for mark, last_s in self._last_s.items()}

    def still(self, subject: bytes, outcome: str, at_s: float) -> bool:
        """Whether this was answered with this outcome and has not left since; keeps it in view."""
        mark = self._mark(subject, outcome)
        last_s = self._last_s.get(mark)
        if last_s is None or at_s - last_s > GONE_S:
            return False
        self._last_s[mark] = at_s
        return True

    def answered(self, subject: bytes, outcome: str, at_s: float) -> None:
        """Remember it. The longest unseen goes when there are too many."""
        self._last_s = {m: s for m, s in self._last_s.items() if at_s - s <= GONE_S}
        while len(self._last_s) >= KEPT_MAX:
            del self._last_s[min(self._last_s, key=self._last_s.__getitem__)]
        self._last_s[self._mark(subject, outcome)] = at_s

    def _mark(self, subject: bytes, outcome: str) -> bytes:
        return hashlib.blake2b(
            outcome.encode() + b"/" + subject, key=self._key, digest_size=16
        ).digest()
