"""Codes that the door has answered and that are still in view, so that none is answered twice."""

from edge.judge.verdict import Reason
from edge.passing.marks import mark_of

GONE_S = 3.0
"""A code that was not read for this long has left. The camera reads about one frame in two, so a
shorter gap means little."""

CODES_MAX = 256


class AnsweredCodes:
    """The answered codes that are still being shown."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key
        self._entries: dict[bytes, tuple[float, frozenset[str]]] = {}  # last read at, outcomes

    def skip_time(self, unwatched_s: float) -> None:
        """The camera was not read for `unwatched_s` seconds: do not count them as absence."""
        self._entries = {
            mark: (at_s + unwatched_s, outcomes) for mark, (at_s, outcomes) in self._entries.items()
        }

    def keep_in_view(self, subject: bytes, outcome: str, at_s: float) -> bool:
        """Note that the code is in view at `at_s`, monotonic seconds. Returns whether it already
        got this outcome and has not left since.

        `outcome`: the decision's `why`.
        """
        mark = mark_of(self._key, b"view", subject)
        last_s, outcomes = self._entries.get(mark, (float("-inf"), frozenset[str]()))
        if at_s - last_s > GONE_S:
            return False
        self._entries[mark] = (at_s, outcomes)
        return outcome in outcomes

    def note_answered(self, subject: bytes, outcome: str, at_s: float) -> None:
        """Remember the answer. If there are too many codes, the one read longest ago is dropped."""
        mark = mark_of(self._key, b"view", subject)
        self._entries = {
            m: entry for m, entry in self._entries.items() if at_s - entry[0] <= GONE_S
        }
        while len(self._entries) >= CODES_MAX and mark not in self._entries:
            del self._entries[min(self._entries, key=lambda m: self._entries[m][0])]
        outcomes = self._entries[mark][1] if mark in self._entries else frozenset[str]()
        self._entries[mark] = (at_s, outcomes | {outcome})

    def note_opened(self, subject: bytes, outcome: str, at_s: float) -> None:
        """As `note_answered`; in addition, the code gets no *used* while it stays in view."""
        self.note_answered(subject, outcome, at_s)
        self.note_answered(subject, Reason.USED.value, at_s)
