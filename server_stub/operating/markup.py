"""The operators' page as HTML: doors and counts. All that a unit has said is escaped."""

import datetime
from collections.abc import Sequence
from html import escape

from server_stub.operating.overview import COLOURS, PARTS, Door, Entry, Hours, Why
from server_stub.operating.words import Language, say

DOORS_SHOWN = 60  # more than anybody reads; the search finds the others

_SHAPE = {"online": "●", "silent": "◐", "offline": "○", "unknown": "?"}
_MARK = {"green": "●", "yellow": "▲", "red": "■"}


def clock(at_s: int, now_s: int) -> str:
    """Local time; with the date when it is not today."""
    at = datetime.datetime.fromtimestamp(at_s)
    today = at.date() == datetime.datetime.fromtimestamp(now_s).date()
    return f"{at:%H:%M}" if today else f"{at:%Y-%m-%d %H:%M}"


def tally(doors: Sequence[Door], language: Language) -> str:
    """How many are online, how many are not, how many need somebody."""
    online = sum(d.status == "online" for d in doors)
    troubled = sum(bool(d.problems) for d in doors)
    parts = [
        ("online", online, "●"),
        ("not", len(doors) - online, "○"),
        ("problem", troubled, "!"),
    ]
    return "".join(
        f'<div class="figure {name}{"" if n else " nought"}"><b>{n}</b>'
        f'<span><i aria-hidden="true">{shape}</i> {say(language, f"tally-{name}")}</span></div>'
        for name, n, shape in parts
    )


def door_list(doors: Sequence[Door], find: str, language: Language, now_s: int) -> str:
    """A card for each door whose name holds `find`."""
    if not doors:
        return f'<p class="empty">{say(language, "none")}</p>'
    found = [d for d in doors if find.strip().lower() in d.name]
    cards = "".join(_card(d, language, now_s) for d in found[:DOORS_SHOWN])
    more = len(found) - DOORS_SHOWN
    rest = f'<p class="empty">{say(language, "more", n=more)}</p>' if more > 0 else ""
    return f'<ul class="doors">{cards}</ul>{rest}'


def _card(door: Door, language: Language, now_s: int) -> str:
    since = (
        ""
        if door.since_s is None
        else f"<small>{say(language, 'since', time=clock(door.since_s, now_s))}</small>"
    )
    why = _why_not_online(door, language, now_s)
    why = f'<p class="why">{why}</p>' if why else ""
    return (
        f'<li class="door {door.status}{" troubled" if door.problems else ""}'
        f'{" alarmed" if door.alarms else ""}">'
        f'<h3><span class="site">{escape(door.site)}/</span>{escape(door.unit)}</h3>'
        f'<p class="status"><i aria-hidden="true">{_SHAPE[door.status]}</i> '
        f"<b>{say(language, door.status)}</b> {since}</p>"
        f"{_alarms(door, language)}"
        f"{why}"
        f"{_health(door, language)}</li>"
    )


def _alarms(door: Door, language: Language) -> str:
    """What the door cries out, above everything else that is said of it."""
    said = "".join(
        f'<li><i aria-hidden="true">!</i> {say(language, f"alarm-{alarm}")}</li>'
        for alarm in door.alarms
    )
    name = say(language, "alarms")
    return f'<ul class="alarms" aria-label="{name}">{said}</ul>' if said else ""


def _why_not_online(door: Door, language: Language, now_s: int) -> str:
    if door.status == "online":
        return ""
    if door.status == "offline":
        if door.health_s is None:
            return say(language, "why-offline-bare")
        return say(language, "why-offline", time=clock(door.health_s, now_s))
    return say(language, f"why-{door.status}", time=clock(door.heard_s, now_s))


def _health(door: Door, language: Language) -> str:
    health = door.health
    if health is None:
        return f'<p class="why">{say(language, "no-health")}</p>'
    items = [
        _item(
            say(language, part),
            say(language, str(health[part])),
            bad=f"{part}-{health[part]}" in door.problems,
        )
        for part in PARTS
        if part != "trust" and health.get(part, "none") != "none"
    ]
    age = say(language, "trust-of", version=health["trust_version"], days=health["trust_age_d"])
    step = str(health["trust"])
    bad = f"trust-{step}" in door.problems
    items.append(
        _item(say(language, "trust"), f"{say(language, step)}, {age}" if bad else age, bad=bad)
    )
    up = say(language, "up", hours=health["uptime_h"])
    program = escape(str(health["version"])[:40])
    return f'<dl>{"".join(items)}</dl><p class="program">{program} · {up}</p>'


def _item(name: str, value: str, bad: bool) -> str:
    mark = "!" if bad else "✓"
    return (
        f'<div class="{"bad" if bad else "good"}"><dt>{name}</dt>'
        f'<dd><i aria-hidden="true">{mark}</i> {value}</dd></div>'
    )


def hours_table(table: Hours, doors_n: int, language: Language, now_s: int) -> str:
    """Rows are hours, columns are what was decided."""
    heads = "".join(
        f'<th scope="col" class="{c if c in COLOURS else "other"}">'
        f'<i aria-hidden="true">{_MARK.get(c, "◇")}</i> {say(language, c)}</th>'
        for c in table.categories
    )
    rows = "".join(
        f'<tr><th scope="row">{clock(start_s, now_s)}</th>'
        + "".join(
            f"<td>{_entry(table.entries[start_s, c], doors_n, language, now_s)}</td>"
            for c in table.categories
        )
        + "</tr>"
        for start_s in table.starts_s
    )
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>'
        f'<th scope="col">{say(language, "hour")}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _entry(entry: Entry, doors_n: int, language: Language, now_s: int) -> str:
    parts = []
    if entry.cells:
        parts.append(f"<b>{entry.count:,}</b><small>{span(entry, language, now_s)}</small>")
    for why in Why:
        n = entry.missing.get(why, 0)
        if n == doors_n:
            return f'<span class="{why.value}">{say(language, why.value)}</span>'
        if n and why is not Why.BEFORE:
            what = say(language, why.value)
            words = say(language, "at-doors", what=what, n=n, all=doors_n)
            parts.append(f'<small class="{why.value}">{words}</small>')
    return "".join(parts)


def span(entry: Entry, language: Language, now_s: int) -> str:
    """`11:07 to 12:15, 2 cells`."""
    word = "span-1" if entry.cells == 1 else "span"
    start, end = clock(entry.from_s, now_s), clock(entry.until_s, now_s)
    return say(language, word, start=start, end=end, cells=entry.cells)
