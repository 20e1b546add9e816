"""The failed parts of a unit: which, since when, and what was logged.

A part is logged once when it fails and once when it works again. Store and door can fail while
somebody passes, so their log lines wait for the next probe: the log must not show when someone
passed.
"""

import logging

from edge.parts import Part, WorldFailure

log = logging.getLogger("menshen")

PROBED_PARTS: tuple[Part, ...] = ("store", "door")
"""Reported at probe times only, so that neither log nor health shows when someone passed."""


class Failures:
    """The failed parts of one unit."""

    def __init__(self) -> None:
        self._sentences: dict[Part, str] = {}
        self._since_s: dict[Part, float] = {}
        self._unlogged: dict[Part, str] = {}
        self._logged: dict[Part, str] = {}
        self._at_probe: frozenset[Part] = frozenset()  # of PROBED_PARTS
        self._at_glance: frozenset[Part] = frozenset()

    def __contains__(self, part: Part) -> bool:
        return part in self._sentences

    def __bool__(self) -> bool:
        return bool(self._sentences)

    @property
    def failed_at_probe(self) -> frozenset[Part]:
        """The parts that did not work at the last probe or glance; health reports these."""
        return self._at_probe | self._at_glance

    def note(self, failure: WorldFailure, at_s: float) -> None:
        """Note that `failure.part` does not work, at `at_s` monotonic seconds."""
        part = failure.part
        self._since_s.setdefault(part, at_s)
        self._sentences[part] = self._unlogged[part] = str(failure)
        if part not in PROBED_PARTS:
            self._log(part)

    def clear(self, part: Part) -> None:
        """Note that `part` works."""
        self._since_s.pop(part, None)
        self._sentences.pop(part, None)
        if part not in PROBED_PARTS:
            self._log(part)

    def note_probe(self) -> None:
        """A probe has ended: write the log lines that waited for it; update what health reports."""
        for part in PROBED_PARTS:
            self._log(part)
        self._at_probe = frozenset(self._sentences) & set(PROBED_PARTS)
        self.note_glance(inputs_lost=False, store_probed=False)

    def note_glance(self, *, inputs_lost: bool, store_probed: bool) -> None:
        """Between two probes: update what health reports of the parts that no passage touches.

        `inputs_lost`: the door's inputs cannot be read, for which nobody need pass.
        `store_probed`: the store was probed just now.
        """
        if store_probed:
            self._log("store")
            self._at_probe = self._at_probe - {"store"} | frozenset(self._sentences) & {"store"}
        door: frozenset[Part] = frozenset({"door"}) if inputs_lost else frozenset()
        self._at_glance = door | frozenset(self._sentences) - set(PROBED_PARTS)

    def _log(self, part: Part) -> None:
        """Log the newest failure of `part`, if it is not logged yet, or that it works again."""
        sentence = self._unlogged.pop(part, None)
        if sentence is not None and sentence != self._logged.get(part):
            self._logged[part] = sentence
            log.error("%s", sentence)
        if part not in self._sentences and self._logged.pop(part, None) is not None:
            log.warning("the %s works again", part)


class Notice:
    """A problem that is logged when it changes; the caller updates it at probe times."""

    def __init__(self, recovery: str) -> None:
        """`recovery`: the sentence that is logged when the problem is over."""
        self._recovery = recovery
        self._sentence: str | None = None

    def update(self, sentence: str | None) -> None:
        """`sentence`: the problem now; None: there is none."""
        if sentence != self._sentence:
            self._sentence = sentence
            log.warning("%s", sentence or self._recovery)
