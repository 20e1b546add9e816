"""What has been answered and is still in view: the same code is not answered twice."""

from edge.judge.verdict import Reason
from edge.passing.marks import mark_of

GONE_S = 3.0
"""A code not read for this long has left: one frame in two is read, so a gap means little."""

CODES_MAX = 256


class AnsweredCodes:
    """What has been answered and is still being shown."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key
        self._entries: dict[bytes, tuple[float, frozenset[str]]] = {}  # last read, outcomes told

    def skip_time(self, unseen_s: float) -> None:
        """Nobody looked for `unseen_s` seconds: that time says nothing about who has left."""
        self._entries = {
            mark: (at_s + unseen_s, told) for mark, (at_s, told) in self._entries.items()
        }

    def keep_in_view(self, subject: bytes, outcome: str, at_s: float) -> bool:
        """Whether this was answered with this outcome and has not left since; keeps it in view.

        `outcome`: the decision's `why`.
        """
        mark = mark_of(self._key, b"view", subject)
        last_s, told = self._entries.get(mark, (float("-inf"), frozenset[str]()))
        if at_s - last_s > GONE_S:
            return False
        self._entries[mark] = (at_s, told)
        return outcome in told

    def note_answered(self, subject: bytes, outcome: str, at_s: float) -> None:
        """Remember it. The longest unseen goes when there are too many."""
        mark = mark_of(self._key, b"view", subject)
        self._entries = {m: seen for m, seen in self._entries.items() if at_s - seen[0] <= GONE_S}
        while len(self._entries) >= CODES_MAX and mark not in self._entries:
            del self._entries[min(self._entries, key=lambda m: self._entries[m][0])]
        told = self._entries[mark][1] if mark in self._entries else frozenset[str]()
        self._entries[mark] = (at_s, told | {outcome})

    def note_opened(self, subject: bytes, outcome: str, at_s: float) -> None:
        """As `note_answered`. A person who still shows the code that let them in gets no *used*."""
        self.note_answered(subject, outcome, at_s)
        self.note_answered(subject, Reason.USED.value, at_s)
