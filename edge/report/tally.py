"""How many, and never who. One open cell a category, told only when it holds k different codes.

No field here could hold a code. What tells codes apart is a keyed hash in memory, under a key that
changes with the day and dies with the process; a cell keeps only the number of them.
Why cells: DECISIONS.md, 4.
"""

import hashlib
import random
from dataclasses import dataclass, replace

from edge.clock.time_interval import Now
from edge.wire.report import CATEGORIES, Category

DAY_S = 86400


@dataclass(frozen=True, slots=True)
class OpenCell:
    """An open cell: it stays here and grows until `distinct` has reached `threshold`."""

    category: Category
    from_s: int  # Unix seconds UTC, where the cell before it ended
    count: int  # decisions
    distinct: int  # different codes in its richest day
    threshold: int  # k plus a random extra, so that the k-th arrival does not show


@dataclass(frozen=True, slots=True)
class ClosedCell:
    """A cell that may be told; `next` takes its place."""

    cell: OpenCell
    until_s: int  # Unix seconds UTC
    next: OpenCell


def first_cells(now: Now, period_s: int, k: int, rng: random.Random) -> list[OpenCell]:
    """A new unit's cells, all of them and with one beginning: the first red code must not show."""
    return [_fresh(category, _period(now, period_s), k, rng) for category in CATEGORIES]


class Tally:
    """The open cells of one unit. `count` and `close` say what follows; `keep` makes it so.

    In two steps because the disk comes between: what could not be made durable did not happen.
    """

    def __init__(
        self, cells: dict[Category, OpenCell], period_s: int, k: int, rng: random.Random
    ) -> None:
        """`cells`: one for each category."""
        self._cells = {c: _raised(cell, k, rng) for c, cell in cells.items()}
        self._period_s = period_s
        self._k = k
        self._rng = rng
        self._boundary: int | None = None
        self._day: tuple[int, int] | None = None
        self._key = b""
        self._seen: dict[Category, frozenset[bytes]] = {}
        self._counted: dict[Category, frozenset[bytes]] = {}  # what `keep` will make `_seen`

    def follow(self, period_s: int, k: int, now: Now) -> None:
        """The site's newer rules: a larger `k` counts for the open cells at once, a smaller one
        for those that begin from now on. No cell closes before a boundary of the new period.

        A raised threshold is durable with the cell's next count; a restart before that still
        asks for the present k.
        """
        self._cells = {c: _raised(cell, k, self._rng) for c, cell in self._cells.items()}
        if period_s != self._period_s:
            self._boundary = _period(now, period_s)
        self._k, self._period_s = k, period_s

    def count(self, category: Category, subject: bytes, now: Now) -> OpenCell:
        """The cell of `category` as it is after one more decision about `subject`."""
        self._turn_day(now)
        cell = self._cells[category]
        seen = self._seen.get(category, frozenset())
        if len(seen) < cell.threshold:  # more need not be told apart
            seen |= {hashlib.blake2b(subject, key=self._key, digest_size=8).digest()}
        self._counted = {category: seen}
        return replace(cell, count=cell.count + 1, distinct=max(cell.distinct, len(seen)))

    def keep(self, cell: OpenCell) -> None:
        """`cell`, the last one that `count` gave, is durable."""
        self._cells[cell.category] = cell
        self._seen |= self._counted

    def close(self, now: Now) -> list[ClosedCell]:
        """At a boundary: the cells that hold enough. Between boundaries: none."""
        self._turn_day(now)
        boundary_s = _period(now, self._period_s)
        if self._boundary is None:
            self._boundary = boundary_s
        if boundary_s == self._boundary:
            return []
        return [
            ClosedCell(cell, until_s, _fresh(cell.category, until_s, self._k, self._rng))
            for cell in self._cells.values()
            if min(cell.distinct, cell.count) >= cell.threshold
            for until_s in [max(cell.from_s, boundary_s)]
        ]

    def keep_closed(self, closed: list[ClosedCell], now: Now) -> None:
        """`closed` is durable; the boundary is behind us."""
        self._boundary = _period(now, self._period_s)
        for each in closed:
            self._cells[each.cell.category] = each.next
            self._seen.pop(each.cell.category, None)

    def _turn_day(self, now: Now) -> None:
        """A new key each day, so that nobody's days can be put together.

        Day handles change at midnight UTC, so our day does too; where the clock stands still or
        is set, a day of running counts as well. A turn too many only makes a cell wait longer.
        """
        day = (now.interval.earliest_s // DAY_S, int(now.monotonic_s // DAY_S))
        if day != self._day:
            self._day = day
            self._key = self._rng.randbytes(32)
            self._seen = {}


def _period(now: Now, period_s: int) -> int:
    """The start of the period that `now` is in, Unix seconds UTC."""
    at_s = now.interval.earliest_s
    return at_s - at_s % period_s


def _fresh(category: Category, from_s: int, k: int, rng: random.Random) -> OpenCell:
    return OpenCell(category, from_s, 0, 0, _threshold(k, rng))


def _raised(cell: OpenCell, k: int, rng: random.Random) -> OpenCell:
    """A cell that was begun under a lower k must still reach this one."""
    return cell if cell.threshold >= k else replace(cell, threshold=_threshold(k, rng))


def _threshold(k: int, rng: random.Random) -> int:
    return k + rng.randint(0, k // 2)
