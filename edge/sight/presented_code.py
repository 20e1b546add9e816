"""Which of the symbols in view are presented, in which order, and when a person holds up something
that cannot be read.

A person holds a code up for seconds, large and near the middle. A symbol that stays in one place
longer than anybody holds a phone is part of the wall, whatever it contains and whatever moves
before it: a poster neither blocks the door nor opens it. Nothing here leaves the unit or is
counted. Of a symbol's text only a keyed hash is kept, for as long as its place is.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, sqrt
from typing import NamedTuple

from edge.sight.frame import Corners, Symbol

GONE_S = 3.0
"""A symbol that was not seen for so long has left, as in `edge.passing.answered_codes`. Decoders
miss frames, so a shorter gap means little."""

WALL_S = 60.0
"""A symbol that was seen for so long in one place is part of the wall. A phone camera takes up to
20 s for a code (CovPass, field reports), so a person who holds one very still for three times that
was answered long before; and a hand moves more than STILL within that time."""

WALL_KEPT_S = 300.0
"""After so long out of view a symbol is no longer part of the wall. People who queue before a
poster hide it for a minute or two."""

STILL = 0.1
"""A symbol that stays moves by less than this share of its side plus STILL_FRAME of the frame's
longer side: corners jitter by a pixel or two, and coarsely located regions by more."""
STILL_FRAME = 0.01

SHAKEN = 0.25
"""A part of the wall is recognised within this share of its side: a turnstile shakes its camera."""

STRAY_S = 1.0
"""Each sighting out of place takes so much off the time that a symbol has stayed: one is a
decoder's error, and a hand makes many."""

FRESH_S = 5.0
"""A symbol that came so lately counts double against older ones."""

HELD_S = 0.8
"""A symbol that is held up for so long without being read is unreadable. Most codes are read within
a few frames, and a person who has waited a second looks for an answer."""

HELD_SIGHTINGS = 3

NEW_S = 20.0
"""Later than this after it came, *unreadable* is not shown for it: clothes and leaves look like
codes too."""

AGAIN_S = 6.0
"""*Unreadable* is shown again for the same symbol after so long."""

APART_S = 3.0
"""The least time between two showings of *unreadable*, for any symbols; the lights play for 1.5 s.
"""

READ_S = 5.0
"""A symbol that was read this lately is not unreadable: it has had its answer."""

QUIET_S = 1.0
"""For so long after a presented code was read, *unreadable* is not shown: the answer is on its way.
"""

LARGE = 0.08
"""The least side, as a share of the frame's shorter side: a smaller symbol is too far away to be
meant."""

MIDDLE = 0.7
"""The greatest distance from the middle, as a share of the way to the edge, in both directions."""

BLIND_S = 2.0
"""After a longer gap between two sightings, that time does not count as absence."""

PLACES_MAX = 384
"""Enough for a wall full of codes: zxing-cpp reads up to 255 in one frame. A symbol without room
would always be new, and so never part of the wall."""

COPIES_MAX, UNREAD_MAX = 8, 32
"""So many copies of one code in a frame, and so many unread symbols, are examined, the largest
first: each is compared with every other."""


class _Box(NamedTuple):
    """The bounding box of some corners, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def side(self) -> float:
        return sqrt(max(self.right - self.left, 1) * max(self.bottom - self.top, 1))

    @property
    def middle(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def away(self, other: "_Box") -> float:
        """The distance between the middles, in pixels."""
        (x, y), (other_x, other_y) = self.middle, other.middle
        return hypot(x - other_x, y - other_y)

    def moved(self, other: "_Box") -> float:
        """The largest difference between the four edges, in pixels."""
        return max(abs(a - b) for a, b in zip(self, other, strict=True))

    def holds(self, point: tuple[float, float]) -> bool:
        return self.left <= point[0] <= self.right and self.top <= point[1] <= self.bottom


@dataclass(slots=True, eq=False)
class _Sighted:
    """Something in view, from frame to frame."""

    mark: bytes | None  # what was read there; None: nothing yet
    box: _Box  # where it was last
    anchor: _Box  # where it stays
    came_s: float
    last_s: float
    still_s: float = 0.0  # for how long it was seen there
    sightings: int = 0  # since it came
    read_s: float = -inf
    told_s: float = -inf

    @property
    def wall(self) -> bool:
        return self.still_s >= WALL_S

    def keeps_s(self) -> float:
        """For how long it is remembered out of view; a visitor's, no longer than GONE_S."""
        return min(max(GONE_S, self.still_s * WALL_KEPT_S / WALL_S), WALL_KEPT_S)

    def note_seen(self, box: _Box, at_s: float, slack_px: float) -> None:
        """It is at `box` now."""
        unseen_s = max(0.0, at_s - self.last_s)
        if unseen_s > GONE_S:
            self.came_s, self.told_s, self.sightings = at_s, -inf, 0
            unseen_s = 0.0
        if box.moved(self.anchor) <= STILL * self.anchor.side + slack_px:
            self.still_s = min(self.still_s + unseen_s, WALL_S)
        elif not self.wall:
            self.still_s -= STRAY_S
        if self.still_s <= 0:
            self.still_s, self.anchor = 0.0, box
        self.box, self.last_s = box, max(at_s, self.last_s)
        self.sightings += 1


class PresentedCodes:
    """The symbols of one camera. It gets every sighting, in order."""

    def __init__(self, key: bytes) -> None:
        """`key`: 16 to 64 random bytes."""
        self._key = key
        self._places: list[_Sighted] = []
        self._size = (0, 0)
        self._looked_s = -inf
        self._read_s = -inf
        self._told_s = -inf
        self._busy_until_s = -inf

    def look(
        self,
        symbols: Sequence[Symbol],
        unread: Sequence[Corners],
        size: tuple[int, int],
        seen_s: float,
    ) -> tuple[Symbol, ...]:
        """Those of `symbols` that are presented: large, near the middle and new ones first.

        `unread`: where something looks like a symbol and was not read. `size`: width and height of
        the frame in pixels. A symbol without corners comes from an imager and is always presented.
        """
        self._excuse(seen_s)
        self._places = [p for p in self._places if seen_s - p.last_s <= p.keeps_s()]
        self._size = size
        taken: set[_Sighted] = set()
        ranked: list[tuple[float, Symbol]] = []
        boxes: list[_Box] = []
        copies: Counter[bytes] = Counter()
        for symbol in sorted(symbols, key=lambda symbol: -_area(symbol.corners)):
            if not symbol.corners:
                ranked.append((inf, symbol))
                continue
            box, mark = _box(symbol.corners), self._mark(symbol.data)
            boxes.append(box)
            copies[mark] += 1
            if copies[mark] > COPIES_MAX:
                continue
            place = self._place(box, mark, taken, seen_s)
            place.read_s = seen_s
            if not place.wall:
                ranked.append((self._weight(symbol.corners, place, seen_s), symbol))
        regions = sorted((_box(region) for region in unread if region), key=lambda box: -box.side)
        for box in regions[:UNREAD_MAX]:
            if not any(read.holds(box.middle) for read in boxes):
                self._place(box, None, taken, seen_s)
        if ranked:
            self._read_s = seen_s
        ranked.sort(key=lambda pair: pair[0], reverse=True)
        return tuple(symbol for _, symbol in ranked)

    def note_answered(self, until_s: float) -> None:
        """The door answers a code, with lights until `until_s` (monotonic seconds)."""
        self._busy_until_s = max(self._busy_until_s, until_s)

    def take_unreadable(self, at_s: float) -> bool:
        """Whether to show *unreadable* now, at `at_s`.

        It is not due again until the symbol has left or AGAIN_S have passed, so call this only when
        the lights are free.
        """
        if at_s < self._busy_until_s or at_s - self._read_s < QUIET_S:
            return False
        if at_s - self._told_s < APART_S:
            return False
        meant = [p for p in self._places if self._held_up(p) and at_s - p.told_s >= AGAIN_S]
        for place in meant:
            place.told_s = self._told_s = at_s
        return bool(meant)

    def _held_up(self, place: _Sighted) -> bool:
        """Whether it is in the newest sighting, was not read, and is prominent."""
        since_s = max(place.came_s, place.read_s + READ_S)
        held = HELD_S <= place.last_s - since_s <= NEW_S and place.sightings >= HELD_SIGHTINGS
        return (
            held
            and not place.wall
            and place.last_s == self._looked_s
            and _prominent(place.box, self._size)
        )

    def _place(self, box: _Box, mark: bytes | None, taken: set[_Sighted], at_s: float) -> _Sighted:
        """The place of this sighting, known or new; it is added to `taken`."""
        slack_px = STILL_FRAME * max(self._size)
        near: list[_Sighted] = []
        for sought in (None,) if mark is None else (mark, None):  # an unread one only if need be
            near = near or [
                place
                for place in self._places
                if (mark is None or place.mark == sought)
                and place not in taken
                and _same(place, box, mark, slack_px)
            ]
        if near:
            place = min(near, key=lambda p: (p.mark != mark, p.box.moved(box)))
            place.mark = place.mark or mark
        else:
            if len(self._places) >= PLACES_MAX:
                self._places.remove(min(self._places, key=lambda p: (p.wall, p.last_s)))
            place = _Sighted(mark, box, box, at_s, at_s)
            self._places.append(place)
        place.note_seen(box, at_s, slack_px)
        taken.add(place)
        return place

    def _weight(self, corners: Corners, place: _Sighted, at_s: float) -> float:
        """A symbol's rank; the highest is answered first."""
        width, height = self._size
        x, y = place.box.middle
        reach = hypot(width, height) / 2
        away = min(1.0, hypot(x - width / 2, y - height / 2) / reach) if reach else 0.0
        fresh = 2.0 if at_s - place.came_s < FRESH_S else 1.0
        return _area(corners) * (1 - 0.75 * away) * fresh

    def _excuse(self, seen_s: float) -> None:
        """A gap between sightings does not count as absence."""
        unseen_s = seen_s - self._looked_s
        if BLIND_S < unseen_s < inf:
            for place in self._places:
                place.came_s += unseen_s
                place.last_s += unseen_s
                place.read_s += unseen_s
                place.told_s += unseen_s
        self._looked_s = max(self._looked_s, seen_s)

    def _mark(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key, digest_size=16, person=b"shown").digest()


def _same(place: _Sighted, box: _Box, mark: bytes | None, slack_px: float) -> bool:
    """Whether `box`, where `mark` or nothing was read, may be a sighting of `place`."""
    if mark is not None and place.mark not in (None, mark):
        return False
    if place.wall:
        adopted = mark is not None and place.mark is None  # a code before an unread poster is new
        part = STILL if adopted else SHAKEN
        return box.moved(place.anchor) <= part * place.anchor.side + slack_px
    large, small = max(box.side, place.box.side), min(box.side, place.box.side)
    return large <= 2 * small and box.away(place.box) <= large


def _prominent(box: _Box, size: tuple[int, int]) -> bool:
    """Whether it is large enough and near enough to the middle to be meant for the door."""
    (x, y), (width, height) = box.middle, size
    return (
        box.side >= LARGE * min(size) > 0
        and abs(x - width / 2) <= MIDDLE * width / 2
        and abs(y - height / 2) <= MIDDLE * height / 2
    )


def _box(corners: Corners) -> _Box:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return _Box(min(xs), min(ys), max(xs), max(ys))


def _area(corners: Corners) -> float:
    """Square pixels within the corners (the shoelace formula)."""
    turned = (*corners[1:], *corners[:1])
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, turned, strict=True))) / 2
