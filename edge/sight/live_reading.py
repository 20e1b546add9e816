"""Frames, each read within a time budget: zxing-cpp first, then rescues for what it missed.

A region that looks like a symbol is followed from frame to frame. The time that zxing-cpp leaves
goes to rescues on it, in turn; those that do not fit into this frame run on the next one. They are
tried on the sharpest of the last frames first: of the visits that only the most expensive rescue
reads, it reads the sharpest frame in four of five. While a rescue waits that does not fit beside
zxing-cpp on a whole frame, it gets every second frame, and zxing-cpp then reads only the likeliest
region. A rescue starts only if it is expected to end within the budget; the expectation is learnt
from its earlier runs.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from edge.sight import cascade, pixels, zxing
from edge.sight.boxes import Box, around, meet
from edge.sight.cascade import CascadeResult, Decoder
from edge.sight.frame import Corners, Luma, Symbol
from edge.sight.rescues import ALONE, LIVE, Attempt, Rescue
from edge.sight.tracks import Best, CodeRegion, Track, Tracks, due, in_turn

LEARN = 0.3  # the step from a rescue's expected time towards its measured time
FORGET = 0.98  # the expected time shrinks by this when it never fits: one slow moment must not rule
KNOWN_S = 0.5  # a text that was read this lately is not new; a region located then is still there

Steps = list[tuple[str, float]]
T = TypeVar("T")


class Live:
    """The frames of one camera, in their order."""

    def __init__(
        self,
        decoder: Decoder,
        budget_s: float,
        rescues: Sequence[Rescue] | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`budget_s`: for one frame in total. `clock`: seconds, to measure each step.

        Raises ImportError with a sentence if zbar's library is needed and missing.
        """
        if rescues is None:
            rescues = ALONE[1:] if decoder == "pyzbar" else LIVE
        self._rescues = [r for r in rescues if r.needs != "zbar" or decoder != "zxing-cpp"]
        self._name = "zbar" if decoder == "pyzbar" else "zxing-cpp"
        self._read = _zbar() if decoder == "pyzbar" else zxing.read
        if decoder == "both":
            _zbar()  # raises now if it is missing
        self._budget_s = budget_s
        self._clock = clock
        self._tracks = Tracks()
        self._expected_s = {r.name: r.cost * cascade.frame_s() for r in self._rescues}
        self._beside_s = budget_s  # the time that the last whole frame left for rescues
        self._waits = False  # a rescue waits for a frame of its own
        self._rested = True  # the frame before was not searched for patterns, or need not be
        self._read_s: dict[bytes, float] = {}  # when each text was read last

    def look(self, luma: Luma, seen_s: float) -> CascadeResult:
        """Read `luma` (uint8, height x width), seen at `seen_s` (monotonic seconds)."""
        end_s = self._clock() + self._budget_s
        self._read_s = {d: s for d, s in self._read_s.items() if 0 <= seen_s - s <= KNOWN_S}
        steps: Steps = []
        symbols: tuple[Symbol, ...] = ()
        tracks: list[Track] = []
        if self._waits:
            tracks = due(self._follow(luma, zxing.ZxingResult(), seen_s, steps), seen_s)
        self._waits = False
        if tracks:
            symbols = self._likeliest(luma, in_turn(tracks)[0], steps)
            symbols = symbols or self._rescued(luma, tracks, end_s, steps, whole=False)
        else:
            result = self._timed(self._name, lambda: self._read(luma), steps)
            symbols = result.symbols
            quiet = not (symbols or result.located or len(self._tracks))
            self._rested = not (quiet and self._rested)
            if quiet and self._rested:  # an empty scene is searched in every second frame
                return CascadeResult((), (), tuple(steps))
            news = any(s.data not in self._read_s for s in symbols)
            tracks = self._follow(luma, result, seen_s, steps, patterned=not news)
            self._beside_s = end_s - self._clock()
            if not news:  # a new text must not wait for a rescue of something else
                symbols += self._rescued(luma, due(tracks, seen_s), end_s, steps, whole=True)
        self._read_s |= {s.data: seen_s for s in symbols}
        return CascadeResult(symbols, _unread(tracks, symbols, seen_s), tuple(steps))

    def _follow(
        self,
        luma: Luma,
        result: zxing.ZxingResult,
        seen_s: float,
        steps: Steps,
        *,
        patterned: bool = True,
    ) -> list[Track]:
        """The regions of this frame in which nothing is read yet, the likeliest first.

        `patterned`: also regions that only look like a symbol's pattern.
        """
        read = [around(s.corners) for s in result.symbols]

        def follow() -> list[Track]:
            shown = zxing.ZxingResult((), result.located, result.sizes) if patterned else result
            places = [
                CodeRegion(a.box, a.located, a.sizes)
                for a in cascade.regions(luma, shown)
                if not any(meet(a.box, box) for box in read)
            ]
            return self._tracks.follow(luma, places, seen_s)

        return self._timed("regions", follow, steps)

    def _likeliest(self, luma: Luma, track: Track, steps: Steps) -> tuple[Symbol, ...]:
        """Run the first decoder on one region, and keep what it locates there."""
        box = track.place.box
        result = self._timed(
            f"{self._name} on a region", lambda: self._read(pixels.cut(luma, box)), steps
        )
        track.place = CodeRegion(
            box, tuple(_moved(c, box[:2]) for c in result.located), result.sizes
        )
        if result.located:
            track.located_s = track.seen_s
        return tuple(Symbol(s.data, _moved(s.corners, box[:2])) for s in result.symbols)

    def _rescued(
        self, luma: Luma, tracks: Sequence[Track], end_s: float, steps: Steps, *, whole: bool
    ) -> tuple[Symbol, ...]:
        """What the rescues read before `end_s`. `whole`: zxing-cpp has read the whole frame."""
        tried: set[tuple[Track, str]] = set()
        while True:
            picked = self._pick(tracks, tried, end_s - self._clock(), whole=whole)
            if picked is None:
                return ()
            track, rescue = picked
            tried.add((track, rescue.name))
            symbols = self._timed(rescue.name, partial(_run, rescue, track, luma), steps)
            took_s = steps[-1][1] / 1e3
            self._expected_s[rescue.name] += LEARN * (took_s - self._expected_s[rescue.name])
            track.note_try(rescue.name, took_s, read=bool(symbols))
            if symbols:
                return symbols

    def _pick(
        self,
        tracks: Sequence[Track],
        tried: set[tuple[Track, str]],
        left_s: float,
        *,
        whole: bool,
    ) -> tuple[Track, Rescue] | None:
        """The next rescue, on the region that has had the least of its share."""
        for track in in_turn(tracks):
            for rescue in self._order(track, whole=whole):
                if (track, rescue.name) in tried:
                    continue
                if rescue.needs == "located" and not track.place.located:
                    continue
                expected_s = self._expect_s(track, rescue)
                if (
                    expected_s > self._beside_s
                    and _best_for(rescue, track) is None
                    and rescue.name != track.won
                ):
                    continue  # too expensive for a frame that is no sharper than its last one
                if expected_s <= left_s:
                    return track, rescue
                if whole and expected_s <= self._budget_s:
                    self._waits = True
                elif not tried:
                    self._forget(track, rescue)
        return None

    def _order(self, track: Track, *, whole: bool) -> list[Rescue]:
        """The rescue that read it last comes first, then the one that was tried least. In a frame
        that is not read whole, those that would not fit beside zxing-cpp come first.
        """
        return sorted(
            self._rescues,
            key=lambda r: (
                r.name != track.won,
                not whole and self._expect_s(track, r) <= self._beside_s,
                track.rounds.get(r.name, 0),
            ),
        )

    def _expect_s(self, track: Track, rescue: Rescue) -> float:
        return track.cost_s.get(rescue.name, self._expected_s[rescue.name])

    def _forget(self, track: Track, rescue: Rescue) -> None:
        cost_s = track.cost_s if rescue.name in track.cost_s else self._expected_s
        cost_s[rescue.name] *= FORGET

    def _timed(self, name: str, step: Callable[[], T], steps: Steps) -> T:
        since_s = self._clock()
        value = step()
        steps.append((name, (self._clock() - since_s) * 1e3))
        return value


def _best_for(rescue: Rescue, track: Track) -> Best | None:
    """The sharpest of the last frames, if `rescue` has not tried it and can use it."""
    best = track.best
    if best is None or rescue.name in best.tried:
        return None
    return best if best.place.located or rescue.needs != "located" else None


def _run(rescue: Rescue, track: Track, luma: Luma) -> tuple[Symbol, ...]:
    """Run on the sharpest of the last frames; if it was tried already, on this one, `luma`."""
    place, best = track.place, _best_for(rescue, track)
    if best is None:
        return rescue.run(Attempt(luma, place.box, place.located, place.sizes))
    best.tried.add(rescue.name)
    left, top, right, bottom = best.place.box
    located = tuple(_moved(c, (-left, -top)) for c in best.place.located)
    part = (0, 0, right - left, bottom - top)
    symbols = rescue.run(Attempt(best.luma, part, located, best.place.sizes))
    return tuple(Symbol(s.data, _moved(s.corners, (left, top))) for s in symbols)


def _zbar() -> Callable[[Luma], zxing.ZxingResult]:
    """zbar as a first decoder. Raises ImportError with a sentence."""
    from edge.sight import zbar

    return lambda luma: zxing.ZxingResult(zbar.read(luma))


def _unread(
    tracks: Sequence[Track], symbols: Sequence[Symbol], seen_s: float
) -> tuple[Corners, ...]:
    """Where a symbol was located lately, in regions where none of `symbols` is."""
    read = [around(s.corners) for s in symbols]
    return tuple(
        corners
        for track in tracks
        if seen_s - track.located_s <= KNOWN_S
        for corners in track.place.located or (_whole(track.place.box),)
        if not any(meet(around(corners), box) for box in read)
    )


def _whole(box: Box) -> Corners:
    left, top, right, bottom = box
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _moved(corners: Corners, by: tuple[int, int]) -> Corners:
    return tuple((by[0] + x, by[1] + y) for x, y in corners)
