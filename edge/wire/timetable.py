"""When a door may be passed: hours on the wall clock of a time zone, checked for a time interval.

A stretch belongs to the day on which it begins: a night shift from 22:00 to 06:00 on a Friday ends
on Saturday morning, even if that Saturday is a closed day. Source: rules.md, section 4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

WIDEST_S = 8 * 86400
"""A door whose time is uncertain by more than this is not asked for hours at all."""

DAY_MIN = 24 * 60


class Stretch(NamedTuple):
    """One stretch of a week, in minutes of the wall clock; `until_min` may be on the next day."""

    weekday: int  # 0 is Monday: the day on which it begins
    from_min: int  # 0 to 1439
    until_min: int  # above from_min, at most from_min + 1440


@dataclass(frozen=True, slots=True)
class Timetable:
    """A repeating week without its closed days. No stretch at all: never open."""

    zone: ZoneInfo
    week: tuple[Stretch, ...]
    closed: frozenset[date] = frozenset()

    def always(self, after_s: int) -> bool:
        """Whether it is open at every moment from `after_s` on, whatever the time is."""
        if self.week != WHOLE_WEEK:
            return False
        if not self.closed:
            return True
        return max(self.closed) < datetime.fromtimestamp(after_s, self.zone).date()


WHOLE_WEEK = tuple(Stretch(weekday, 0, DAY_MIN) for weekday in range(7))


def certainly(tables: Iterable[Timetable], earliest_s: int, latest_s: int) -> bool | None:
    """Whether one of `tables` is open at every moment of [earliest_s, latest_s], Unix seconds UTC.

    True: open throughout. False: shut throughout. None: open at some moments of it.
    An interval wider than WIDEST_S is only judged by what is always or never open.
    """
    tables = [table for table in tables if table.week]
    if any(table.always(earliest_s) for table in tables):
        return True
    if not tables:
        return False
    if latest_s - earliest_s > WIDEST_S:
        return None
    touched = False
    for from_s, until_s in stretches(tables, earliest_s, latest_s):
        if from_s <= earliest_s and latest_s < until_s:
            return True
        touched = touched or (from_s <= latest_s and earliest_s < until_s)
    return None if touched else False


def stretches(tables: Iterable[Timetable], earliest_s: int, latest_s: int) -> list[tuple[int, int]]:
    """What `tables` leave open together around [earliest_s, latest_s]: [from_s, until_s), rising.

    Stretches that touch are one, so a door that is open all day has no seam at midnight.
    """
    joined: list[tuple[int, int]] = []
    for from_s, until_s in sorted(
        stretch for table in tables for stretch in _around(table, earliest_s, latest_s)
    ):
        if joined and from_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(until_s, joined[-1][1]))
        else:
            joined.append((from_s, until_s))
    return joined


def _around(table: Timetable, earliest_s: int, latest_s: int) -> Iterator[tuple[int, int]]:
    """Every stretch that begins from the day before the interval on; none is longer than a day."""
    first = datetime.fromtimestamp(earliest_s, table.zone).date().toordinal() - 1
    last = datetime.fromtimestamp(latest_s, table.zone).date().toordinal()
    for ordinal in range(first, last + 1):
        yield from _of_day(table, ordinal)


@lru_cache(maxsize=4096)
def _of_day(table: Timetable, ordinal: int) -> tuple[tuple[int, int], ...]:
    """The stretches of `table` that begin on one day, as Unix seconds."""
    day = date.fromordinal(ordinal)
    if day in table.closed:
        return ()
    parts = []
    for weekday, from_min, until_min in table.week:
        if weekday != day.weekday():
            continue
        from_s = _moment(table.zone, day, from_min, last=False)
        until_s = _moment(table.zone, day, until_min, last=True)
        if from_s < until_s:  # a whole stretch may fall into the hour that a clock skips
            parts.append((from_s, until_s))
    return tuple(parts)


def _moment(zone: ZoneInfo, day: date, after_min: int, *, last: bool) -> int:
    """When the wall clock of `zone` shows this, Unix seconds UTC.

    A time that comes twice (clocks go back) is its first or its `last` moment; a time that is
    skipped (clocks go forward) is the moment of the change.
    """
    days, minute = divmod(after_min, DAY_MIN)
    wall = datetime.combine(
        day + timedelta(days=days), time(minute // 60, minute % 60), tzinfo=zone
    )
    first_s = int(wall.replace(fold=0).timestamp())
    last_s = int(wall.replace(fold=1).timestamp())
    if last_s < first_s:  # PEP 495: in a gap, and only there, fold 1 is the earlier one
        return _change(zone, last_s, first_s)
    return last_s if last else first_s


def _change(zone: ZoneInfo, before_s: int, after_s: int) -> int:
    """The second between the two in which the zone's offset changes."""
    offset = _offset(zone, before_s)
    while after_s - before_s > 1:
        middle_s = (before_s + after_s) // 2
        if _offset(zone, middle_s) == offset:
            before_s = middle_s
        else:
            after_s = middle_s
    return after_s


def _offset(zone: ZoneInfo, at_s: int) -> timedelta | None:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).utcoffset()
