"""The counts of a unit: one open cell for each category, sent only when it holds k different codes.

No field of a cell can hold a code. Codes are distinguished by keyed hashes, which are in memory
only; their key changes daily and is lost with the process. A cell contains only their number.
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
    """An open cell: it stays on the unit and grows until `distinct` reaches `threshold`."""

    category: Category
    from_s: int  # Unix seconds UTC, the end of the cell before it
    count: int  # decisions
    distinct: int  # different codes on the day with the most
    threshold: int  # k plus a random number, to hide the arrival of the k-th code


@dataclass(frozen=True, slots=True)
class ClosedCell:
    """A cell that may be sent; `next` takes its place."""

    cell: OpenCell
    until_s: int  # Unix seconds UTC
    next: OpenCell


def first_cells(now: Now, period_s: int, k: int, rng: random.Random) -> list[OpenCell]:
    """The cells of a new unit, one for each category. All begin at one time, so that the first red
    code does not show.
    """
    return [_new_cell(category, _period_start_s(now, period_s), k, rng) for category in CATEGORIES]


class Tally:
    """The open cells of one unit.

    `count` and `close` return new cells; `keep` and `keep_closed` apply them. These are separate
    steps because the disk may fail between them: a change that is not durable does not happen.
    """

    def __init__(
        self, cells: dict[Category, OpenCell], period_s: int, k: int, rng: random.Random
    ) -> None:
        """`cells`: one for each category."""
        self._cells = {c: _with_threshold(cell, k, rng) for c, cell in cells.items()}
        self._period_s = period_s
        self._k = k
        self._rng = rng
        self._boundary_s: int | None = None
        self._day: tuple[int, int] | None = None
        self._day_key = b""
        self._marks: dict[Category, frozenset[bytes]] = {}
        self._pending_marks: dict[Category, frozenset[bytes]] = {}  # `keep` adds them to `_marks`

    def follow(self, period_s: int, k: int, now: Now) -> None:
        """Apply newer rules of the site. A larger `k` applies to the open cells at once, a smaller
        one to cells that begin from now on. No cell closes before a boundary of the new period.

        A raised threshold is durable with the cell's next count; a restart before that applies
        the present k again.
        """
        self._cells = {c: _with_threshold(cell, k, self._rng) for c, cell in self._cells.items()}
        if period_s != self._period_s:
            self._boundary_s = _period_start_s(now, period_s)
        self._k, self._period_s = k, period_s

    def count(self, category: Category, subject: bytes, now: Now) -> OpenCell:
        """The cell of `category` after one more decision about `subject`; not applied yet."""
        self._change_day_key(now)
        cell = self._cells[category]
        marks = self._marks.get(category, frozenset())
        if len(marks) < cell.threshold:  # beyond that the number does not matter
            marks |= {hashlib.blake2b(subject, key=self._day_key, digest_size=8).digest()}
        self._pending_marks = {category: marks}
        return replace(cell, count=cell.count + 1, distinct=max(cell.distinct, len(marks)))

    def keep(self, cell: OpenCell) -> None:
        """Apply `cell`, the result of the last `count`, which is now durable."""
        self._cells[cell.category] = cell
        self._marks |= self._pending_marks

    def close(self, now: Now) -> list[ClosedCell]:
        """At a boundary: the cells that hold enough codes; between boundaries: none."""
        self._change_day_key(now)
        boundary_s = _period_start_s(now, self._period_s)
        if self._boundary_s is None:
            self._boundary_s = boundary_s
        if boundary_s == self._boundary_s:
            return []
        return [
            ClosedCell(cell, until_s, _new_cell(cell.category, until_s, self._k, self._rng))
            for cell in self._cells.values()
            if min(cell.distinct, cell.count) >= cell.threshold
            for until_s in [max(cell.from_s, boundary_s)]
        ]

    def keep_closed(self, closed: list[ClosedCell], now: Now) -> None:
        """Apply `closed`, the result of `close`, which is now durable."""
        self._boundary_s = _period_start_s(now, self._period_s)
        for each in closed:
            self._cells[each.cell.category] = each.next
            self._marks.pop(each.cell.category, None)

    def _change_day_key(self, now: Now) -> None:
        """Change the key each day, so that one person's days cannot be linked.

        Day handles change at midnight UTC, so the key does too. It also changes after a day of
        running, in case the clock stands still or is set. An extra change only makes a cell wait
        longer.
        """
        day = (now.interval.earliest_s // DAY_S, int(now.monotonic_s // DAY_S))
        if day != self._day:
            self._day = day
            self._day_key = self._rng.randbytes(32)
            self._marks = {}


def _period_start_s(now: Now, period_s: int) -> int:
    """The start of the period that contains `now`, Unix seconds UTC."""
    at_s = now.interval.earliest_s
    return at_s - at_s % period_s


def _new_cell(category: Category, from_s: int, k: int, rng: random.Random) -> OpenCell:
    return OpenCell(category, from_s, 0, 0, _threshold(k, rng))


def _with_threshold(cell: OpenCell, k: int, rng: random.Random) -> OpenCell:
    """`cell` with a threshold for `k`, if it began under a lower k."""
    return cell if cell.threshold >= k else replace(cell, threshold=_threshold(k, rng))


def _threshold(k: int, rng: random.Random) -> int:
    return k + rng.randint(0, k // 2)
