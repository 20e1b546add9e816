"""A site's rules for people: five example sites, and tables of a file's rules, door by door."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.table import Table

from edge.wire import rules, timetable
from edge.wire.decode import DecodeError, read_json
from edge.wire.rules import DoorRules, SiteRules
from edge.wire.timetable import Timetable
from edge.wire.trust import TrustError
from provisioning.files import ProvisioningError

EXAMPLES = Path(__file__).parent / "examples" / "sites"
WORDS_SHOWN = 4  # of a company list that may have thousands
DOORS_SHOWN = 12


def example_names() -> list[str]:
    """The names of the example sites."""
    return sorted(p.stem for p in EXAMPLES.glob("*.json") if b'"site"' in p.read_bytes())


def template(kind: str, site: str) -> SiteRules:
    """The example `kind` as version 1 of the rules of `site`, with its door groups renamed.

    Raises ProvisioningError.
    """
    if kind not in example_names():
        raise ProvisioningError(
            f"there is no example site {kind!r}; choose {', '.join(example_names())}"
        )
    fields = msgspec.to_builtins(rules.read((EXAMPLES / f"{kind}.json").read_bytes(), kind))

    def renamed(group: str) -> str:
        return site + group.removeprefix(kind) if f"{group}/".startswith(f"{kind}/") else group

    for entry in fields["grants"]:
        entry["doors"] = [renamed(group) for group in entry["doors"]]
    for door in fields["doors"]:
        door["groups"] = [renamed(group) for group in door["groups"]]
    try:
        return msgspec.convert(
            fields | {"site": site, "version": 1, "signed_s": int(time.time())}, SiteRules
        )
    except msgspec.ValidationError as error:
        raise ProvisioningError(f"{site!r} cannot be a site's name: {error}") from None


def read(path: Path) -> SiteRules:
    """Read the rules of any site from a file. Raises ProvisioningError."""
    try:
        fields = read_json(path, dict[str, Any], rules.LEN_MAX)
        return rules.parse(msgspec.json.encode(fields))
    except (DecodeError, TrustError) as error:
        raise ProvisioningError(f"{path}: {error}") from None


def show(site: SiteRules, groups: Sequence[str]) -> tuple[list[Table], list[str]]:
    """A table of the week of a door in `groups`; if empty, one for each door that differs.

    Also a sentence for each setting that is allowed but may be a mistake.
    """
    doors = [tuple(groups)] if groups else list(_doors(site))
    notes = list(_notes(site))
    if len(doors) > DOORS_SHOWN:
        notes.append(f"{len(doors) - DOORS_SHOWN} more doors differ; show one with --group")
    return [_week(site, door) for door in doors[:DOORS_SHOWN]], notes


def _doors(site: SiteRules) -> Iterator[tuple[str, ...]]:
    """The groups of a door in the site only, then of a door in each named group and its parents."""
    all_groups = {g for entry in site.grants for g in entry.doors}
    all_groups |= {g for door in site.doors for g in door.groups}
    yield (site.site,)
    for group in sorted(all_groups - {site.site}):
        parents = [g for g in sorted({*all_groups, site.site}) if f"{group}/".startswith(f"{g}/")]
        yield tuple(dict.fromkeys([site.site, *parents]))


def _week(site: SiteRules, groups: tuple[str, ...]) -> Table:
    door = rules.for_door(site, groups)
    title = f"A door in {', '.join(groups)}"
    table = Table("who", "signed by", title=title, caption=_about(door))
    table.add_column("when", no_wrap=True)
    table.add_column("closed days", no_wrap=True)
    grants_by_hours: dict[tuple[rules.GrantHours, ...], list[str]] = {}
    for grant, hours in door.ways.items():
        grants_by_hours.setdefault(hours, []).append(grant)
    for hours, grants in grants_by_hours.items():
        for each in hours:
            issuers = _shortened(sorted(each.issuers)) or "any"
            table.add_row(_shortened(grants), issuers, *_hours(each.table))
    if door.visitors is None:
        table.add_row("anybody else", "any", "never", "never")
    else:
        table.add_row("anybody else", "any", *_hours(door.visitors))
    return table


def _hours(table: Timetable) -> tuple[str, str]:
    """The hours as `mon-fri  07:30-08:30`, one paragraph for each run of days with equal hours.

    Then the same for closed days: `never` or `as ever`.
    """
    days = [
        f"\n{'':9}".join(
            f"{_clock(stretch.from_min)}-{_clock(stretch.until_min)}"
            for stretch in table.week
            if stretch.weekday == weekday
        )
        for weekday in range(7)
    ]
    lines, first = [], 0
    for weekday in range(7):
        if weekday < 6 and days[weekday + 1] == days[weekday]:
            continue
        run = "-".join(dict.fromkeys((rules.DAYS[first], rules.DAYS[weekday])))
        if days[weekday]:
            lines.append(f"{run:<7}  {days[weekday]}")
        first = weekday + 1
    when = "always" if table.week == timetable.WHOLE_WEEK else "\n".join(lines)
    return when, "never" if table.closed else "as ever"


def _clock(minute: int) -> str:
    """`06:00`, also for the next day: an end before its start can only be on the next day."""
    if minute > timetable.DAY_MIN:
        minute -= timetable.DAY_MIN
    return f"{minute // 60:02}:{minute % 60:02}"


def _about(door: DoorRules) -> str:
    colours = [colour.name.lower() for colour in sorted(door.opens)]
    unsure = [kind for kind, does in msgspec.structs.asdict(door.unsure).items() if does == "open"]
    clauses = [
        f"opens for {', '.join(colours)}" if colours else "opens for nobody",
        f"also when unsure of {', '.join(unsure)}" if unsure else "never when unsure",
        f"again after {door.passback_s} s" if door.passback_s else "again at once",
    ]
    if door.inside_max is not None:
        clauses.append(f"at most {door.inside_max} inside")
    if door.holder.required:
        clauses.append("only codes that a phone signs")
    if door.holder.door_named:
        clauses.append("only codes for this door")
    return "; ".join(clauses)


def _notes(site: SiteRules) -> Iterator[str]:
    free = [entry.grants[0] for entry in site.grants if not entry.issuers]
    if free:
        yield f"any issuer may grant {_shortened(free)}; `issuers` limits who may"
    companies = {word.split(":")[1] for e in site.grants for word in e.grants if ":" in word}
    issuers = {name for entry in site.grants for name in entry.issuers}
    for company in site.suspended:
        is_named = company in companies | issuers
        yield f"{company!r} is suspended" + ("" if is_named else ", and nothing here names it")
    days = [*site.closed, *(day for door in site.doors for day in door.closed or ())]
    if days and max(days) < _today():
        yield f"every closed day is in the past; the last was {max(days)}"
    if site.counts.demo:
        yield f"a demo site: counts of {site.counts.k} people may be published"


def _today() -> date:
    return datetime.now(UTC).date()


def _shortened(words: Sequence[str]) -> str:
    more = f" and {len(words) - WORDS_SHOWN} more" if len(words) > WORDS_SHOWN else ""
    return ", ".join(words[:WORDS_SHOWN]) + more
