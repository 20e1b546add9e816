"""The data of the operators' page, computed from a store connection and a time.

A count is shown at the hour in which its cell ended. A cell may span many hours, because it stays
open on the unit until it holds k people. An hour without a published count shows words and never 0,
because the central side does not know the number.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edge.wire import report
from server_stub.store import cells, units

HOUR_S = 3600
HOURS = 24
SILENT_S = 180  # a unit reports its health every 60 s, with jitter: three reports are missing
COLOURS = ("green", "yellow", "red")

Status = Literal["online", "silent", "offline", "unknown"]


@dataclass(frozen=True, slots=True)
class DoorState:
    """One door according to its last messages. Times are Unix seconds UTC."""

    site: str
    unit: str
    status: Status
    since_s: int | None  # since when it has this status, as far as the collector saw it
    first_s: int
    last_message_s: int
    health: dict[str, Any] | None
    health_s: int | None
    problems: tuple[str, ...]  # names of words, as "camera-lost"; alarms first
    alarms: tuple[str, ...] = ()  # of its last health report
    unknown: tuple[tuple[str, Any], ...] = ()  # fields of a later version, with their values

    @property
    def name(self) -> str:
        """`campus/north-1`."""
        return f"{self.site}/{self.unit}"


class NoCountReason(Enum):
    """Why an hour of a door shows no count; the value names the word."""

    CELL_OPEN = "held"  # fewer than k people, or none: the unit keeps the cell open
    COUNTED_LATER = "later"  # the cell went on; it is counted at the hour in which it ended
    NO_MESSAGE = "no-word"  # the door has sent no message since
    NOT_INSTALLED = "before"  # the door did not exist yet


@dataclass(slots=True)
class HourCount:
    """One category in one hour, at one door or summed over several."""

    count: int = 0
    from_s: int = 0
    until_s: int = 0
    cells: int = 0
    missing: dict[NoCountReason, int] = field(
        default_factory=dict
    )  # how many doors are not in `count`


@dataclass(frozen=True, slots=True)
class HourlyCounts:
    """The table: rows are hours (Unix seconds of their start, newest first)."""

    starts_s: tuple[int, ...]
    categories: tuple[str, ...]
    entries: dict[tuple[int, str], HourCount]


def doors(connection: Connection, now_s: int) -> list[DoorState]:
    """Every door in the store: doors with alarms first, then those offline or with problems."""
    every = [_door(row._mapping, now_s) for row in connection.execute(sa.select(units))]
    return sorted(
        every, key=lambda d: (not d.alarms, d.status == "online", not d.problems, d.site, d.unit)
    )


def hours(
    connection: Connection, doors: Sequence[DoorState], now_s: int, offset_s: int
) -> HourlyCounts:
    """The counts of `doors` in the last HOURS hours; `offset_s` is local time minus UTC."""
    last = (now_s + offset_s) // HOUR_S
    rows = range(last, last - HOURS, -1)
    hour = (cells.c.until_s - 1 + offset_s) // HOUR_S  # `until_s` is exclusive
    published: dict[tuple[str, str], dict[str, dict[int, Any]]] = {}
    for row in connection.execute(
        sa.select(
            cells.c.site,
            cells.c.unit,
            cells.c.category,
            hour.label("hour"),
            sa.func.sum(cells.c.count).label("sum"),
            sa.func.count().label("cells"),
            sa.func.min(cells.c.from_s).label("from_s"),
            sa.func.max(cells.c.until_s).label("until_s"),
        )
        .where(cells.c.until_s > rows[-1] * HOUR_S - offset_s)
        .group_by(cells.c.site, cells.c.unit, cells.c.category, sa.literal_column("hour"))
    ):
        unit = published.setdefault((row.site, row.unit), {})
        unit.setdefault(row.category, {})[row.hour] = row
    counted = {c for d in doors for c in published.get((d.site, d.unit), {})}
    categories = (*COLOURS, *sorted(counted - set(COLOURS)))
    entries: dict[tuple[int, str], HourCount] = {}
    for door in doors:
        unit = published.get((door.site, door.unit), {})
        for category in categories:
            for at, start_s in ((at, at * HOUR_S - offset_s) for at in rows):
                entry = entries.setdefault((start_s, category), HourCount())
                _add(entry, unit.get(category, {}), at, start_s, door)
    return HourlyCounts(tuple(at * HOUR_S - offset_s for at in rows), categories, entries)


def _add(entry: HourCount, by_hour: dict[int, Any], at: int, start_s: int, door: DoorState) -> None:
    row = by_hour.get(at)
    if row is None:
        why = _why(by_hour, at, start_s, door)
        entry.missing[why] = entry.missing.get(why, 0) + 1
        return
    entry.from_s = min(entry.from_s or row.from_s, row.from_s)
    entry.until_s = max(entry.until_s, row.until_s)
    entry.count += int(row.sum)
    entry.cells += row.cells


def _why(by_hour: dict[int, Any], at: int, start_s: int, door: DoorState) -> NoCountReason:
    end_s = start_s + HOUR_S
    if any(later > at and row.from_s < end_s for later, row in by_hour.items()):
        return NoCountReason.COUNTED_LATER
    if end_s <= door.first_s:
        return NoCountReason.NOT_INSTALLED
    if door.status != "online" and door.last_message_s < end_s:
        return NoCountReason.NO_MESSAGE
    return NoCountReason.CELL_OPEN


def _door(row: Any, now_s: int) -> DoorState:
    last_message_s = max(row["first_s"], row["state_s"] or 0, row["health_s"] or 0)
    status: Status
    since_s = row["state_s"]
    if row["online"] is None:
        status, since_s = "unknown", row["first_s"]
    elif not row["online"]:
        status = "offline"
    elif now_s - last_message_s > SILENT_S:
        status, since_s = "silent", last_message_s
    else:
        status = "online"
    return DoorState(
        row["site"],
        row["unit"],
        status,
        since_s,
        row["first_s"],
        last_message_s,
        row["health"],
        row["health_s"],
        tuple(_problems(row["health"] or {})),
        tuple((row["health"] or {}).get("alarms", ())),  # older units report none
        tuple(_unknown_fields(row["health"] or {}, row["unknown"] or {})),
    )


def _unknown_fields(
    health: dict[str, Any], others: dict[str, dict[str, Any]]
) -> Iterable[tuple[str, Any]]:
    yield from ((name, value) for name, value in health.items() if name not in _HEALTH)
    for _, fields in sorted(others.items()):
        yield from fields.items()


def _problems(health: dict[str, Any]) -> Iterable[str]:
    for alarm in health.get("alarms", ()):
        yield f"alarm-{alarm}"
    for part, good in PARTS.items():
        if part in health and health[part] not in good:
            yield f"{part}-{health[part]}"


PARTS = {
    "camera": ("ok",),
    "door": ("ok",),
    "store": ("ok",),
    "verifier": ("ok",),
    "queue": ("ok",),
    "clock": ("sync", "system", "rtc"),
    "rtc": ("ok", "none", "unrelated"),
    "trust": ("fresh",),
}
"""The parts in a unit's health report, with the values that mean no problem."""

_HEALTH = frozenset(report.HealthReport.__struct_fields__) - {"unknown"}
