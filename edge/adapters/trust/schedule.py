"""When each way in is looked at, and when what failed is tried again."""

import logging

from edge.adapters.trust.sources import DocumentSource

log = logging.getLogger("menshen")

LOOK_S = 2.0  # how often the ways in are looked at
RETRY_S = 60.0  # what failed is tried again, unless it has changed before


class SourceSchedule:
    """One source, and what became of what it last had."""

    def __init__(self, source: DocumentSource, spoken: bool = False) -> None:
        """`spoken`: the log also reports old documents, for the person who brought them."""
        self.source, self.spoken = source, spoken
        self.seen: object = None
        self._done: object = None  # the mark that was dealt with
        self._again_s = 0.0
        self._logged = ""

    def take_due(self, now_s: float) -> bool:
        """Whether there is something new that has stood still since the last look."""
        mark, before = self.source.mark(), self.seen
        self.seen = mark
        if mark is None:
            self._done, self._logged = None, ""  # a stick that comes back is answered again
        if mark is None or mark != before:
            return False
        return mark != self._done or now_s >= self._again_s

    def note_done(self) -> None:
        """Dealt with until it changes."""
        self._done, self._again_s, self._logged = self.seen, float("inf"), ""

    def note_failure(self, now_s: float, sentence: str) -> None:
        """Try again later; the same sentence is logged once."""
        self._done, self._again_s = self.seen, now_s + RETRY_S
        if sentence and sentence != self._logged:
            log.warning("%s", sentence)
        self._logged = sentence
