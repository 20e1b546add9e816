"""The operators' page as HTML: doors and counts. `templates/` escapes everything a unit reports."""

import datetime
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from server_stub import templates
from server_stub.operating.overview import (
    COLOURS,
    PARTS,
    DoorState,
    HourCount,
    HourlyCounts,
    NoCountReason,
)
from server_stub.operating.words import Language, say, say_unknown, say_word

DOORS_SHOWN = 60  # more than a person reads; the search finds the others

_SHAPE = {"online": "●", "silent": "◐", "offline": "○", "unknown": "?"}
_MARK = {"green": "●", "yellow": "▲", "red": "■"}

_TEMPLATES = templates.environment(Path(__file__).with_name("templates"))


class Part(NamedTuple):
    """One part of a door and its state."""

    name: str
    value: str
    bad: bool


class HealthLine(NamedTuple):
    """The last health report of a door."""

    parts: list[Part]
    program: str
    up: str


class DoorCard(NamedTuple):
    """One door in the list."""

    door: DoorState
    shape: str
    why: str  # why it is not online
    health: HealthLine | None
    unknown: list[str]  # fields of a later version


class Gap(NamedTuple):
    """Doors whose count is missing from an hour, and why."""

    kind: str
    text: str
    all_doors: bool


class HourCell(NamedTuple):
    """One cell of the table; `total` is empty if nothing was published."""

    total: str
    span: str
    gaps: list[Gap]


class Head(NamedTuple):
    """One column of the table."""

    category: str
    kind: str
    mark: str


def clock(at_s: int, now_s: int) -> str:
    """Local time, with the date if it is not today."""
    at = datetime.datetime.fromtimestamp(at_s)
    today = at.date() == datetime.datetime.fromtimestamp(now_s).date()
    return f"{at:%H:%M}" if today else f"{at:%Y-%m-%d %H:%M}"


def text(tag: str, content: str, kind: str = "") -> str:
    """`content` as one element of class `kind`."""
    return _TEMPLATES.get_template("text.html").render(tag=tag, text=content, kind=kind)


def news(language: Language, now_s: int) -> str:
    """The line that says that the page is live, and as of when."""
    at = datetime.datetime.fromtimestamp(now_s)
    return _render("news.html", language, now_s, time=f"{at:%X}")


def tally(doors: Sequence[DoorState], language: Language) -> str:
    """How many doors are online, how many are not, and how many have a problem."""
    online_n = sum(d.status == "online" for d in doors)
    problem_n = sum(bool(d.problems) for d in doors)
    parts = [
        ("online", online_n, "●"),
        ("not", len(doors) - online_n, "○"),
        ("problem", problem_n, "!"),
    ]
    return _render("tally.html", language, 0, parts=parts)


def door_list(doors: Sequence[DoorState], find: str, language: Language, now_s: int) -> str:
    """A card for each door whose name contains `find`."""
    matching = [d for d in doors if find.strip().lower() in d.name]
    return _render(
        "doors.html",
        language,
        now_s,
        doors_n=len(doors),
        cards=[_card(d, language, now_s) for d in matching[:DOORS_SHOWN]],
        more=len(matching) - DOORS_SHOWN,
    )


def _card(door: DoorState, language: Language, now_s: int) -> DoorCard:
    why = _why_not_online(door, language, now_s)
    unknown = [say_unknown(language, f"{name} {_plain(value)}") for name, value in door.unknown]
    return DoorCard(door, _SHAPE[door.status], why, _health(door, language), unknown)


def _plain(value: object) -> str:
    """The value of a field of a later version, without JSON's quotation marks and brackets."""
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return value if isinstance(value, str) else json.dumps(value)


def _why_not_online(door: DoorState, language: Language, now_s: int) -> str:
    if door.status == "online":
        return ""
    if door.status == "offline":
        if door.health_s is None:
            return say(language, "why-offline-bare")
        return say(language, "why-offline", time=clock(door.health_s, now_s))
    return say(language, f"why-{door.status}", time=clock(door.last_message_s, now_s))


def _health(door: DoorState, language: Language) -> HealthLine | None:
    health = door.health
    if health is None:
        return None
    parts = [
        Part(
            say(language, part),
            say_word(language, part, str(health[part])),
            bad=f"{part}-{health[part]}" in door.problems,
        )
        for part in PARTS
        if part != "trust" and health.get(part, "none") != "none"
    ]
    age = say(language, "trust-of", version=health["trust_version"], days=health["trust_age_d"])
    freshness = str(health["trust"])
    bad = f"trust-{freshness}" in door.problems
    value = f"{say_word(language, 'trust', freshness)}, {age}" if bad else age
    parts.append(Part(say(language, "trust"), value, bad))
    up = say(language, "up", hours=health["uptime_h"])
    return HealthLine(parts, str(health["version"])[:40], up)


def hours_table(table: HourlyCounts, doors_n: int, language: Language, now_s: int) -> str:
    """The table of counts: rows are hours, columns are categories."""
    heads = [Head(c, c if c in COLOURS else "other", _MARK.get(c, "◇")) for c in table.categories]
    rows = [
        (
            start_s,
            [_cell(table.entries[start_s, c], doors_n, language, now_s) for c in table.categories],
        )
        for start_s in table.starts_s
    ]
    return _render("hours.html", language, now_s, heads=heads, rows=rows)


def _cell(entry: HourCount, doors_n: int, language: Language, now_s: int) -> HourCell:
    gaps = []
    for why in NoCountReason:
        n = entry.missing.get(why, 0)
        what = say(language, why.value)
        if n == doors_n:
            return HourCell("", "", [Gap(why.value, what, all_doors=True)])
        if n and why is not NoCountReason.NOT_INSTALLED:
            sentence = say(language, "at-doors", what=what, n=n, all=doors_n)
            gaps.append(Gap(why.value, sentence, all_doors=False))
    if not entry.cells:
        return HourCell("", "", gaps)
    return HourCell(f"{entry.count:,}", span(entry, language, now_s), gaps)


def tip(name: str, entry: HourCount, language: Language, now_s: int) -> str:
    """The tooltip of a bar in the chart."""
    words = span(entry, language, now_s)
    return _render("tip.html", language, now_s, name=name, count=f"{entry.count:,}", span=words)


def span(entry: HourCount, language: Language, now_s: int) -> str:
    """`11:07 to 12:15, 2 cells`."""
    word = "span-1" if entry.cells == 1 else "span"
    start, end = clock(entry.from_s, now_s), clock(entry.until_s, now_s)
    return say(language, word, start=start, end=end, cells=entry.cells)


def _render(template: str, language: Language, now_s: int, **values: object) -> str:
    """`template` with `say` in `language` and `clock` as of `now_s`."""
    return _TEMPLATES.get_template(template).render(
        say=partial(say, language),
        say_word=partial(say_word, language),
        clock=partial(clock, now_s=now_s),
        **values,
    )
