"""Regions that look like a symbol, followed from frame to frame, and the rescues tried on each.

A region is recognised by its place. A code that is held up moves with the hand, so each of its
frames is a new chance; a poster looks the same in every frame. A region that does not change
although every rescue was tried is tried less and less often.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edge.sight.boxes import Box, area, meet, shared
from edge.sight.frame import Corners, Luma

KEPT_S = 0.5
"""A region that was out of sight for so long is forgotten with its sharpest frame, so that the code
of a person who has left is not read. A shake hides a code for a few frames."""

TRACKS_MAX = 6

PATIENCE = 24
"""Tries without a change before the waits begin: every rescue more than once."""
WAIT_S = 0.2
WAIT_MAX_S = 10.0
"""Each further try doubles the wait up to this; a poster then costs one try in this time."""

LATELY = 0.9
"""The number of tries that counts against a region shrinks by this with each frame."""

FADES = 0.95
"""The sharpness of the sharpest frame shrinks by this with each frame, so that a new frame that is
a little less sharp is tried as well."""

CELLS = 16  # a region is compared by the means of so many cells across and down
SAMPLES = 4  # each of so many pixels across and down
NOISE = 3.0  # levels squared, of such a mean: a sensor's sigma of 7, seen twice
CHANGED = 0.1  # of the contrast: a move by a quarter of a cell changes more

_SPREAD = np.arange(CELLS * SAMPLES)

Marks = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CodeRegion:
    """Where one frame shows something like a symbol."""

    box: Box
    located: tuple[Corners, ...] = ()  # symbols in the box that zxing-cpp placed and did not read
    sizes: tuple[int, ...] = ()  # modules a side of each; 0: unknown


@dataclass(slots=True)
class Best:
    """A region as it was in the sharpest of the last frames."""

    luma: Luma  # the place's box, a copy
    place: CodeRegion
    seen_s: float
    sharpness: float  # as it counts now: it fades
    tried: set[str] = field(default_factory=set)  # rescues


@dataclass(slots=True, eq=False)
class Track:
    """One region in view."""

    place: CodeRegion
    seen_s: float
    anchor: Box  # where it was when it last changed
    marks: Marks  # how it looked there
    weight: float = 1.0  # its share of the tries, beside the others
    tries: int = 0  # in vain, since it changed
    lately: float = 0.0  # tries of any kind, the old ones faded
    due_s: float = float("-inf")
    won: str = ""  # the rescue that read it last
    located_s: float = float("-inf")  # when zxing-cpp placed a symbol here
    rounds: dict[str, int] = field(default_factory=dict)  # how often each rescue was tried here
    cost_s: dict[str, float] = field(default_factory=dict)  # what each took here, the last time
    best: Best | None = None

    def note_try(self, rescue: str, took_s: float, *, read: bool) -> None:
        """`rescue` was tried on it in the frame of `seen_s`."""
        self.rounds[rescue] = self.rounds.get(rescue, 0) + 1
        self.cost_s[rescue] = took_s
        self.lately += 1
        self.tries = 0 if read else self.tries + 1
        if read:
            self.won, self.best = rescue, None
        late = self.tries - PATIENCE
        if late >= 0:
            self.due_s = self.seen_s + min(WAIT_S * 2.0 ** min(late, 30), WAIT_MAX_S)

    def keep_sharpest(self, luma: Luma) -> None:
        """Keep the region as it is in `luma` now, if it is about as sharp as it has been."""
        left, top, right, bottom = self.place.box
        seen = luma[top:bottom, left:right]
        sharp = _sharpness(seen)
        best = self.best
        if best is None or sharp >= best.sharpness or self.seen_s - best.seen_s > KEPT_S:
            self.best = best = Best(seen.copy(), self.place, self.seen_s, sharp)
        best.sharpness *= FADES


class Tracks:
    """What is in view. Frames come in their order."""

    def __init__(self) -> None:
        self._tracks: list[Track] = []

    def __len__(self) -> int:
        return len(self._tracks)

    def follow(self, luma: Luma, places: Sequence[CodeRegion], seen_s: float) -> list[Track]:
        """The regions of `luma` (uint8, height x width), one for each of `places`, likeliest first.

        `seen_s`: monotonic seconds. What was tried before is known of those seen before.
        """
        free = [t for t in self._tracks if 0 <= seen_s - t.seen_s <= KEPT_S]
        seen = []
        for rank, place in enumerate(places):
            track = max(free, key=lambda t: _alike(t.place.box, place.box), default=None)
            if track is None or not meet(track.place.box, place.box):
                track = Track(place, seen_s, place.box, _marks(luma, place.box))
            else:
                free.remove(track)
                self._renew(track, luma, place, seen_s)
            track.weight = 1 / (1 + rank) ** 2
            track.lately *= LATELY
            track.keep_sharpest(luma)
            if place.located:
                track.located_s = seen_s
            seen.append(track)
        self._tracks = [*seen, *sorted(free, key=lambda t: -t.seen_s)][:TRACKS_MAX]
        return self._tracks[: len(seen)]

    @staticmethod
    def _renew(track: Track, luma: Luma, place: CodeRegion, seen_s: float) -> None:
        track.place, track.seen_s = place, seen_s
        if _changed(_marks(luma, track.anchor), track.marks):
            track.anchor, track.marks = place.box, _marks(luma, place.box)
            track.tries, track.due_s = 0, float("-inf")


def due(tracks: Sequence[Track], seen_s: float) -> list[Track]:
    """Those of `tracks` that do not wait."""
    return [track for track in tracks if track.due_s <= seen_s]


def in_turn(tracks: Sequence[Track]) -> list[Track]:
    """`tracks`, first what has had the least of its share lately."""
    return sorted(tracks, key=lambda track: (track.lately + 1) / track.weight)


def _alike(one: Box, other: Box) -> float:
    """From 0, nothing in common, to 1, the same."""
    return shared(one, other) / max(area(one), area(other), 1)


def _sharpness(luma: Luma) -> float:
    """The mean step between every second pixel, in levels; noise is in it, in each frame alike."""
    seen = luma[::2, ::2].astype(np.int16)
    return sum(float(np.abs(np.diff(seen, axis=axis)).mean()) for axis in (0, 1))


def _marks(luma: Luma, box: Box) -> Marks:
    """The means of CELLS x CELLS cells of `box`, less their own mean: light and noise are gone."""
    left, top, right, bottom = box
    rows = top + _SPREAD * (bottom - top) // len(_SPREAD)
    columns = left + _SPREAD * (right - left) // len(_SPREAD)
    samples = luma.take(rows, 0, mode="clip").take(columns, 1, mode="clip").astype(np.float32)
    sums = samples.reshape(CELLS, SAMPLES, -1).sum(1).reshape(CELLS, CELLS, SAMPLES).sum(2)
    marks: Marks = sums * (1 / SAMPLES**2)
    marks -= marks.mean()
    return marks


def _changed(now: Marks, before: Marks) -> bool:
    """Whether they differ by more than noise does."""
    differ = now - before
    contrast = float(np.vdot(before, before))
    return float(np.vdot(differ, differ)) > NOISE * before.size + CHANGED * contrast
