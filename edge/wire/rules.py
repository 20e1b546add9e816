"""A site's rules: who may pass its doors when, and what they do when they are not sure.

`site/<site>.json`: plain JSON, trusted because of the signature that the trust repository has
beside it. `read` understands it, `for_door` makes it ready for one door. Source: rules.md.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from edge.wire import timetable
from edge.wire.code import Colour
from edge.wire.decode import DecodeError, decode_json
from edge.wire.report import Category
from edge.wire.timetable import Stretch, Timetable
from edge.wire.trust import Group, Name, Seconds, TrustError
from edge.wire.unit import UNLOCK_MS_MAX

LEN_MAX = 1024 * 1024  # bytes of the document
PASSES_MAX = 512
GRANTS_MAX = 4000  # in one pass: the city's own figure is 3,700 companies
DOORS_MAX = 512
CLOSED_MAX = 400
K_MIN = 10
PERIOD_S_MIN = 900
SLOW = "slow"
"""The word of a scope that lengthens the pulse; it lets nobody in."""

Grant = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9:._-]{1,32}(?!\n)$")]
"""One word of a code's `scope`, as `staff:acme`."""
Company = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9._-]{1,32}(?!\n)$")]
"""What stands behind a grant's first colon, or an issuer's name."""
Zone = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_+/-]{1,64}(?!\n)$")]
ClockTime = Annotated[str, msgspec.Meta(max_length=16)]
"""A time of the day, `00:00` to `24:00`; `_check` has the sentence for people."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ColourName = Literal["green", "yellow", "red"]
Choice = Literal["shut", "open"]
AgeH = Annotated[int, msgspec.Meta(ge=1, le=24 * 366)]
Window = Annotated[int, msgspec.Meta(ge=5, le=3600)]
PulseMs = Annotated[int, msgspec.Meta(ge=100, le=UNLOCK_MS_MAX)]
Passback = Annotated[int, msgspec.Meta(ge=0, le=86400)]
Inside = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
ClosedDays = Annotated[list[date], msgspec.Meta(max_length=CLOSED_MAX)]
DAYS: tuple[Day, ...] = get_args(Day)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")


class _RulesTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the document."""


class UnsureRules(_RulesTable, frozen=True, kw_only=True):
    """What an unsure code meets. `open` lets in whom this door would let in if it were sure.

    `read` refuses `open` for `issuer`: who signed such a code is not known, so anybody could.
    """

    issuer: Choice = "shut"
    time: Choice = "shut"
    status: Choice = "shut"
    trust: Choice = "shut"
    start: Choice = "shut"


class HolderTerms(_RulesTable, frozen=True, kw_only=True):
    """Codes that a phone signs itself."""

    back_s: Window = 90  # how far behind the door's time a proof may be
    ahead_s: Window = 60  # and how far ahead of it
    required: bool = False  # no bearer codes
    door_named: bool = False  # a proof must name this door


class DocumentAges(_RulesTable, frozen=True, kw_only=True):
    """From which age on trust documents are stale, old, expired; and what is long-lived."""

    stale_h: AgeH = 48
    old_h: AgeH = 168
    expired_h: AgeH = 720
    long_life_s: Seconds = 86400
    status_h: AgeH = 48


class CountingRules(_RulesTable, frozen=True, kw_only=True):
    """When an anonymous cell may leave a unit; a demo site may have small ones."""

    k: Annotated[int, msgspec.Meta(ge=1, le=1000)] = K_MIN
    period_s: Annotated[int, msgspec.Meta(ge=1, le=86400)] = PERIOD_S_MIN
    demo: bool = False
    merged: dict[Category, Category] = {}  # counted as another: rare ones reach k together


class OpeningHours(_RulesTable, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A stretch of the day on some weekdays; `until` at or before `from` is the next day's."""

    from_: ClockTime
    until: ClockTime  # 24:00 is the end of the day
    days: Annotated[tuple[Day, ...], msgspec.Meta(min_length=1, max_length=7)] = DAYS


Week = Annotated[list[OpeningHours], msgspec.Meta(max_length=32)]


class GrantRule(_RulesTable, frozen=True, kw_only=True):
    """Who may pass when, and where: any of these grants, within any of these hours."""

    grants: Annotated[list[Grant], msgspec.Meta(min_length=1, max_length=GRANTS_MAX)]
    hours: Week = []  # none: at all hours
    doors: Annotated[list[Group], msgspec.Meta(max_length=64)] = []  # none: every door of the site
    issuers: Annotated[list[Name], msgspec.Meta(max_length=64)] = []  # who may say so; none: any
    closed_days: Choice = "shut"


Visitors = (
    Literal["always", "never"]
    | Annotated[list[OpeningHours], msgspec.Meta(min_length=1, max_length=32)]
)


class DoorOverrides(_RulesTable, frozen=True, kw_only=True):
    """What is different at the doors of some groups; what is not written stays the site's."""

    groups: Annotated[list[Group], msgspec.Meta(min_length=1, max_length=64)]
    opens: tuple[ColourName, ...] | msgspec.UnsetType = msgspec.UNSET
    unsure: UnsureRules | msgspec.UnsetType = msgspec.UNSET
    passback_s: Passback | msgspec.UnsetType = msgspec.UNSET
    holder: HolderTerms | msgspec.UnsetType = msgspec.UNSET
    inside_max: Inside | msgspec.UnsetType | None = msgspec.UNSET
    slow_ms: PulseMs | msgspec.UnsetType = msgspec.UNSET
    requires: Annotated[list[Grant], msgspec.Meta(max_length=64)] | msgspec.UnsetType = (
        msgspec.UNSET
    )
    visitors: Visitors | msgspec.UnsetType = msgspec.UNSET
    closed: ClosedDays | msgspec.UnsetType = msgspec.UNSET


class SiteRules(_RulesTable, frozen=True, kw_only=True):
    """The document; a higher `version` replaces a lower one, never the other way."""

    site: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    signed_s: Seconds
    zone: Zone = "UTC"
    opens: tuple[ColourName, ...] = ("green",)
    unsure: UnsureRules = UnsureRules()
    passback_s: Passback = 300  # 0: off
    holder: HolderTerms = HolderTerms()
    ages: DocumentAges = DocumentAges()
    counts: CountingRules = CountingRules()
    inside_max: Inside | None = None  # people; where one unit sees both directions
    slow_ms: PulseMs = 8000
    grants: Annotated[list[GrantRule], msgspec.Meta(max_length=PASSES_MAX)] = []
    requires: Annotated[list[Grant], msgspec.Meta(max_length=64)] = []
    visitors: Visitors = "always"
    closed: ClosedDays = []
    suspended: Annotated[list[Company], msgspec.Meta(max_length=GRANTS_MAX)] = []
    doors: Annotated[list[DoorOverrides], msgspec.Meta(max_length=DOORS_MAX)] = []


def read(data: bytes, site: str) -> SiteRules:
    """Understand the rules of `site`. Raises TrustError with one sentence."""
    document = parse(data)
    if document.site != site:
        raise TrustError(f"these rules are of site {document.site!r}, this unit is at {site!r}")
    return document


def parse(data: bytes) -> SiteRules:
    """As `read`, for any site. Raises TrustError."""
    if len(data) > LEN_MAX:
        raise TrustError(f"the site's rules are larger than {LEN_MAX} bytes; nobody needs so many")
    try:
        document = decode_json(data, SiteRules, LEN_MAX)
    except DecodeError as error:
        raise TrustError(f"the site's rules are not understood: {_plain(error)}") from None
    _check(document)
    return document


def encode(document: SiteRules) -> bytes:
    """The document as people can read it. Raises TrustError for what `parse` would refuse."""
    data = msgspec.json.format(msgspec.json.encode(document), indent=1)
    parse(data)
    return data


@dataclass(frozen=True, slots=True)
class DoorRules:
    """The rules as one door needs them: overrides laid over, hours and grants ready to be asked."""

    opens: frozenset[Colour]
    unsure: UnsureRules
    passback_s: int
    holder: HolderTerms
    ages: DocumentAges
    counts: CountingRules
    inside_max: int | None
    slow_ms: int
    suspended: frozenset[str]
    ways: Mapping[str, tuple["GrantHours", ...]]  # grant -> its hours here
    visitors: Timetable | None  # a code without such a grant; None: it may not pass

    def when(self, scope: str | None, issuer: str) -> tuple[Timetable, ...]:
        """The hours of a code: those of each of its grants that counts here, else a visitor's.

        None at all: it is not for this door.
        """
        ways = tuple(
            way.table
            for word in (scope.split(" ") if scope and self.ways else ())
            for way in self.ways.get(word, ())
            if not way.issuers or issuer in way.issuers
        )
        if ways:
            return ways
        return () if self.visitors is None else (self.visitors,)

    def suspends(self, scope: str | None, issuer: str) -> bool:
        """Whether the code is of a suspended company: by its issuer's name or by any grant.

        A grant's company stands between its first colon and its second, if it has one.
        """
        if not self.suspended:
            return False
        if issuer in self.suspended:
            return True
        words = scope.split(" ") if scope else []
        return any(":" in word and word.split(":")[1] in self.suspended for word in words)


@dataclass(frozen=True, slots=True)
class GrantHours:
    """The hours of one grant at this door, and which issuers may grant it (empty: any)."""

    issuers: frozenset[str]
    table: Timetable


def for_door(site: SiteRules, groups: Collection[str]) -> DoorRules:
    """The rules of the door in these groups.

    An entry of `doors` applies if one of its groups is the door's. They are laid over the site's
    own fields in the order in which they are listed: of two that say a field, the later one counts.
    """
    values: dict[str, object] = {}
    for door in site.doors:
        if not set(groups).isdisjoint(door.groups):
            fields = {name: getattr(door, name) for name in _OVERRIDDEN}
            values |= {name: value for name, value in fields.items() if value is not msgspec.UNSET}
    here = msgspec.structs.replace(site, **values)
    zone, closed = ZoneInfo(here.zone), frozenset(here.closed)
    ways: dict[str, tuple[GrantHours, ...]] = {}
    for each in here.grants:
        if each.doors and set(groups).isdisjoint(each.doors):
            continue
        table = Timetable(
            zone, _week(each.hours), closed if each.closed_days == "shut" else frozenset()
        )
        way = GrantHours(frozenset(each.issuers), table)
        for grant in dict.fromkeys(each.grants):
            if not here.requires or grant in here.requires:
                ways[grant] = (*ways.get(grant, ()), way)
    if here.requires or here.visitors == "never":
        visitors = None
    else:
        week = [] if here.visitors == "always" else here.visitors
        visitors = Timetable(zone, _week(week), closed)
    return DoorRules(
        opens=frozenset(Colour[name.upper()] for name in here.opens),
        unsure=here.unsure,
        passback_s=here.passback_s,
        holder=here.holder,
        ages=here.ages,
        counts=here.counts,
        inside_max=here.inside_max,
        slow_ms=here.slow_ms,
        suspended=frozenset(here.suspended),
        ways=ways,
        visitors=visitors,
    )


_OVERRIDDEN = [name for name in DoorOverrides.__struct_fields__ if name != "groups"]


def _week(hours: list[OpeningHours]) -> tuple[Stretch, ...]:
    if not hours:
        return timetable.WHOLE_WEEK
    return tuple(
        sorted(
            {
                Stretch(DAYS.index(day), from_min, until_min)
                for each in hours
                for from_min, until_min in [_stretch(each)]
                for day in each.days
            }
        )
    )


def _stretch(hours: OpeningHours) -> tuple[int, int]:
    from_min, until_min = _minutes(hours.from_), _minutes(hours.until)
    return from_min, until_min if from_min < until_min else until_min + timetable.DAY_MIN


def _minutes(clock: str) -> int:
    hour, _, minute = clock.partition(":")
    return 60 * int(hour) + int(minute)


def _check(site: SiteRules) -> None:
    """What the types cannot say. Raises TrustError."""
    try:
        ZoneInfo(site.zone)
    except (ValueError, OSError, LookupError):
        raise TrustError(
            f"the site's rules name the time zone {site.zone!r}, which this machine does not know; "
            "write an IANA name such as 'Europe/Berlin'"
        ) from None
    if not site.ages.stale_h <= site.ages.old_h <= site.ages.expired_h:
        raise TrustError(
            "the site's rules have ages in a wrong order; stale_h is the least, expired_h the most"
        )
    _check_counts(site.counts)
    for entry in site.grants:
        _check_hours(entry.hours, f"for {entry.grants[0]!r}")
        if SLOW in entry.grants:
            raise TrustError(
                f"the site's rules give hours to {SLOW!r}, which only lengthens the pulse; "
                "name another grant"
            )
    named = {grant for entry in site.grants for grant in entry.grants}
    places: list[tuple[str, SiteRules | DoorOverrides]] = [("", site)]
    places += [(f" at the doors of {door.groups[0]!r}", door) for door in site.doors]
    for where, place in places:
        if place.unsure and place.unsure.issuer == "open":
            raise TrustError(
                f"the site's rules open{where} for an unknown issuer: nobody can tell who signed "
                "such a code, so anybody's would open; leave unsure.issuer shut"
            )
        if isinstance(place.visitors, list):
            _check_hours(place.visitors, f"for visitors{where}")
        for grant in place.requires or ():
            if grant not in named:
                raise TrustError(
                    f"the site's rules require {grant!r}{where}, but no entry of grants says "
                    "when it may pass; add one"
                )


def _check_counts(counts: CountingRules) -> None:
    if not counts.demo and counts.k < K_MIN:
        raise TrustError(
            f"the site's rules have counts.k below {K_MIN}; only a demo site may do that"
        )
    if not counts.demo and counts.period_s < PERIOD_S_MIN:
        raise TrustError(
            f"the site's rules have counts.period_s below {PERIOD_S_MIN}; "
            "only a demo site may do that"
        )
    for rare, into in counts.merged.items():
        if into in counts.merged:
            raise TrustError(
                f"the site's rules merge {rare!r} into {into!r}, which is merged itself; "
                "name the category that is counted in the end"
            )


def _check_hours(hours: list[OpeningHours], where: str) -> None:
    for each in hours:
        for clock in (each.from_, each.until):
            if not _CLOCK.fullmatch(clock):
                raise TrustError(
                    f"the site's rules have hours {where} with {clock!r}, which is no time of "
                    "a day; write it as 07:30"
                )
        if each.from_ in (each.until, "24:00"):
            raise TrustError(
                f"the site's rules have hours {where} from {each.from_} until {each.until}, "
                "which is no stretch of a day; a whole day is from 00:00 until 24:00"
            )


def _plain(error: DecodeError) -> str:
    """msgspec's own sentence, without a pattern that few can read."""
    where = re.search(r"matching regex .* - at `(key in )?\$\.?(.*)`$", str(error))
    if where:
        return f"{where[2]} has letters or a length that are not allowed there"
    return str(error)


PLAIN = for_door(SiteRules(site="plain", version=1, signed_s=0), ())
"""The rules of a door without any: green opens, and no unsure code does."""
