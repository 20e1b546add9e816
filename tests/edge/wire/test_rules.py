"""A site's rules: what is refused with which sentence, and hours, judged over an interval."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire import rules, timetable
from edge.wire.code import Colour
from edge.wire.timetable import Stretch, Timetable, certainly
from edge.wire.trust import TrustError

PLAIN: dict[str, Any] = {"site": "park", "version": 1, "signed_s": 1_800_000_000}
NEVER_S = 2**62  # how a unit that does not know says *latest*: edge.clock.time_interval.NEVER_S
WORKDAYS = ["mon", "tue", "wed", "thu", "fri"]


def read(**fields: Any) -> rules.SiteRules:
    return rules.read(msgspec.json.encode(PLAIN | fields), "park")


def door(*groups: str, **fields: Any) -> rules.DoorRules:
    return rules.for_door(read(**fields), groups or ("park",))


def at(zone: str, said: str) -> int:
    """Unix seconds of a wall clock's `2027-03-01 09:00`; of a time that comes twice, the first."""
    return int(datetime.fromisoformat(said).replace(tzinfo=ZoneInfo(zone)).timestamp())


def staff(*week: dict[str, Any], zone: str = "UTC", **fields: Any) -> tuple[Timetable, ...]:
    """The hours of `staff:acme` on a site with this one pass."""
    passes = [{"grants": ["staff:acme"], "hours": list(week)}]
    return door(zone=zone, grants=passes, **fields).when("staff:acme", "city")


# What is said and cannot be believed


def test_the_plain_document_opens_for_green_and_for_nobody_unsure() -> None:
    plain = door()
    assert plain.opens == {Colour.GREEN}
    assert set(msgspec.structs.astuple(plain.unsure)) == {"shut"}
    assert (plain.passback_s, plain.counts.k, plain.inside_max) == (300, 10, None)
    assert certainly(plain.when(None, "city"), 0, NEVER_S) is True


def test_what_is_written_can_be_read_again() -> None:
    said = read(grants=[{"grants": ["staff:acme"], "hours": [{"from": "07:00", "until": "09:00"}]}])
    assert rules.read(rules.encode(said), "park") == said


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"opnes": ["green"]}, "unknown field `opnes`"),
        ({"unsure": {"times": "open"}}, "unknown field `times`"),
        ({"opens": ["blue"]}, "Invalid enum value 'blue'"),
        ({"opens": "green"}, "Expected `array`"),
        ({"version": 0}, ">= 1"),
        ({"version": "1"}, "Expected `int`"),
        ({"unsure": {"issuer": "open"}}, "anybody's would open; leave unsure.issuer shut"),
        ({"unsure": {"time": "ajar"}}, "Invalid enum value 'ajar'"),
        ({"doors": [{"groups": ["lab"], "unsure": {"issuer": "open"}}]}, "at the doors of 'lab'"),
        ({"doors": [{"groups": []}]}, "length >= 1"),
        ({"doors": [{"groups": ["lab"], "counts": {"k": 20}}]}, "unknown field `counts`"),
        ({"doors": [{"groups": ["Lab"]}]}, r"doors\[0\].groups\[0\] has letters or a length"),
        ({"zone": "Mars/Base"}, "'Mars/Base', which this machine does not know"),
        ({"zone": "Europe"}, "'Europe', which this machine does not know"),
        ({"zone": "/etc/passwd"}, "'/etc/passwd', which this machine does not know"),
        ({"zone": "../x"}, "zone has letters or a length"),
        ({"zone": ""}, "zone has letters or a length"),
        ({"passback_s": -1}, ">= 0"),
        ({"holder": {"back_s": 4}}, ">= 5"),
        ({"holder": {"ahead_s": 3601}}, "<= 3600"),
        ({"ages": {"old_h": 24}}, "ages in a wrong order"),
        ({"ages": {"expired_h": 100}}, "ages in a wrong order"),
        ({"counts": {"k": 9}}, "counts.k below 10; only a demo site"),
        ({"counts": {"period_s": 899}}, "counts.period_s below 900; only a demo site"),
        ({"counts": {"merged": {"blue": "red"}}}, "Invalid enum value 'blue'"),
        ({"counts": {"merged": {"expired": "expired"}}}, "merged itself"),
        (
            {"counts": {"merged": {"expired": "not-yet", "not-yet": "not-here"}}},
            "merge 'expired' into 'not-yet', which is merged itself",
        ),
        ({"inside_max": 0}, ">= 1"),
        ({"slow_ms": 10_001}, "<= 10000"),
        ({"slow_ms": 99}, ">= 100"),
        ({"closed": ["2027-02-30"]}, "date"),
        ({"closed": ["2027-01-01"] * 401}, "length <= 400"),
        ({"visitors": "sometimes"}, "visitors"),
        ({"visitors": []}, "length >= 1"),
        ({"visitors": [{"from": "9:00", "until": "17:00"}]}, "'9:00', which is no time of a day"),
        ({"visitors": [{"from": "09:00", "until": "24:01"}]}, "'24:01', which is no time of a day"),
        ({"visitors": [{"from": "09:00", "until": "09:00"}]}, "no stretch of a day"),
        ({"visitors": [{"from": "24:00", "until": "09:00"}]}, "no stretch of a day"),
        ({"visitors": [{"from": "09:00", "until": "17:00", "days": []}]}, "length >= 1"),
        ({"visitors": [{"from": "09:00", "until": "17:00", "days": ["may"]}]}, "'may'"),
        ({"grants": [{"grants": []}]}, "length >= 1"),
        ({"grants": [{"grants": ["staff acme"]}]}, r"grants\[0\].grants\[0\] has letters"),
        ({"grants": [{"grants": ["staff:acme\n"]}]}, r"grants\[0\].grants\[0\] has letters"),
        ({"grants": [{"grants": ["slow"]}]}, "only lengthens the pulse"),
        (
            {"grants": [{"grants": ["night"], "hours": [{"from": "x", "until": "06:00"}]}]},
            "hours for 'night' with 'x'",
        ),
        ({"requires": ["lab"]}, "require 'lab', but no entry of grants"),
        ({"doors": [{"groups": ["lab"], "requires": ["key"]}]}, "'key' at the doors of 'lab'"),
        ({"suspended": ["staff:acme"]}, r"suspended\[0\] has letters"),
        ({"grants": [{"grants": ["a"]}] * 513}, "length <= 512"),
    ],
)
def test_each_refusal_is_one_clear_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TrustError, match=sentence) as refused:
        read(**fields)
    said = str(refused.value)
    assert "\n" not in said
    assert "regex" not in said
    assert len(said) < 300


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"site": "park"}', b" " * (rules.LEN_MAX + 1)],
    ids=["empty", "torn", "a list", "no text", "too deep", "too little", "too long"],
)
def test_what_is_no_document_is_told(data: bytes) -> None:
    with pytest.raises(TrustError, match=r"^the site's rules are"):
        rules.read(data, "park")


def test_rules_of_another_site_are_refused() -> None:
    with pytest.raises(TrustError, match="of site 'park', this unit is at 'mall'"):
        rules.read(msgspec.json.encode(PLAIN), "mall")


def test_a_demo_site_may_have_small_cells() -> None:
    assert read(counts={"k": 1, "period_s": 1, "demo": True}).counts.k == 1


def test_nothing_is_written_that_could_not_be_read() -> None:
    with pytest.raises(TrustError, match="Mars"):
        rules.encode(rules.SiteRules(site="park", version=1, signed_s=0, zone="Mars/Base"))


# One door


def test_of_two_overrides_the_later_one_counts_and_what_none_says_is_the_sites() -> None:
    said: dict[str, Any] = {
        "passback_s": 60,
        "slow_ms": 9000,
        "inside_max": 40,
        "doors": [
            {"groups": ["park/ward"], "opens": [], "passback_s": 10, "inside_max": None},
            {"groups": ["park/ward-3", "x"], "opens": ["green", "yellow"]},
        ],
    }
    three = door("park", "park/ward", "park/ward-3", **said)
    assert (three.opens, three.passback_s) == ({Colour.GREEN, Colour.YELLOW}, 10)
    assert (three.slow_ms, three.inside_max) == (9000, None)
    assert door("park/ward", **said).opens == frozenset()
    assert (door("park", **said).opens, door("park", **said).inside_max) == ({Colour.GREEN}, 40)
    assert door("park/ward-33", **said).passback_s == 60  # a group is equal or it is not


def test_a_grant_counts_where_it_is_for_and_only_from_whom_it_may_come() -> None:
    said: dict[str, Any] = {
        "visitors": "never",
        "grants": [
            {"grants": ["staff:acme"], "doors": ["park/a"], "issuers": ["acme", "city"]},
            {"grants": ["staff:bolt"]},
        ],
    }
    assert door("park/a", **said).when("staff:acme", "acme")
    assert not door("park/a", **said).when("staff:acme", "bolt")
    assert not door("park/b", **said).when("staff:acme", "acme")
    assert door("park/b", **said).when("x staff:bolt slow", "anybody")
    assert not door("park/b", **said).when(None, "city")
    assert not door("park/b", **said).when("staff", "city")


def test_a_door_that_requires_a_grant_counts_no_other() -> None:
    said: dict[str, Any] = {
        "grants": [{"grants": ["staff:acme", "staff:bolt"]}, {"grants": ["keys"]}],
        "doors": [{"groups": ["park/archive"], "requires": ["keys"]}],
    }
    archive = door("park/archive", **said)
    assert archive.when("keys", "city")
    assert archive.when("staff:acme keys", "city")
    assert not archive.when("staff:acme", "city")
    assert not archive.when(None, "city")
    assert door("park", **said).when(None, "city")


def test_several_grants_open_what_each_of_them_does() -> None:
    said = {
        "grants": [
            {"grants": ["early"], "hours": [{"from": "06:00", "until": "12:00"}]},
            {"grants": ["late"], "hours": [{"from": "12:00", "until": "18:00"}]},
        ]
    }
    both = door(**said).when("late early", "city")
    noon_s = at("UTC", "2027-03-01 12:00")
    assert certainly(both, noon_s - 5, noon_s + 5) is True  # no seam where one takes over
    assert certainly(door(**said).when("early", "city"), noon_s - 5, noon_s + 5) is None


def test_two_entries_for_one_grant_open_what_each_of_them_does() -> None:
    shifts = [("06:00", "14:00"), ("14:00", "22:00")]
    twice = [{"grants": ["crew"], "hours": [{"from": a, "until": b}]} for a, b in shifts]
    crew = door(grants=twice).when("crew", "city")
    for clock, is_open in {"05:59": False, "06:00": True, "14:00": True, "22:00": False}.items():
        moment_s = at("UTC", f"2027-03-01 {clock}")
        assert certainly(crew, moment_s, moment_s) is is_open


@pytest.mark.parametrize(
    ("scope", "issuer", "shut"),
    [
        ("staff:acme", "city", True),
        ("visitor:acme slow", "city", True),
        ("staff:bolt staff:acme", "city", True),
        ("staff:acme:north", "city", True),
        (None, "acme", True),
        ("staff:bolt", "acme", True),
        ("staff:acme2", "city", False),
        ("acme", "city", False),  # a grant of that name is no company
        ("acme:staff", "city", False),
        ("staff:north:acme", "city", False),
        (None, "city", False),
        ("staff:bolt", "acme-2", False),
    ],
)
def test_a_suspended_company(scope: str | None, issuer: str, shut: bool) -> None:
    assert door(suspended=["acme"]).suspends(scope, issuer) is shut
    assert not door().suspends(scope, issuer)


# Hours


def test_office_hours_from_the_first_second_to_the_last() -> None:
    office = staff({"from": "07:30", "until": "09:00", "days": WORKDAYS})
    monday = "2027-03-01 "
    opens_s, shuts_s = at("UTC", monday + "07:30"), at("UTC", monday + "09:00")
    assert certainly(office, opens_s, opens_s) is True
    assert certainly(office, opens_s - 1, opens_s - 1) is False
    assert certainly(office, shuts_s - 1, shuts_s - 1) is True
    assert certainly(office, shuts_s, shuts_s) is False
    saturday_s = at("UTC", "2027-03-06 08:00")
    assert certainly(office, saturday_s, saturday_s) is False


def test_an_hour_within_another_takes_nothing_away() -> None:
    day = staff({"from": "08:00", "until": "18:00"}, {"from": "09:00", "until": "10:00"})
    noon_s = at("UTC", "2027-03-01 12:00")
    assert certainly(day, noon_s - 4 * 3600, noon_s + 6 * 3600 - 1) is True


def test_between_is_not_known() -> None:
    office = staff({"from": "07:30", "until": "09:00"})
    opens_s, shuts_s = at("UTC", "2027-03-01 07:30"), at("UTC", "2027-03-01 09:00")
    assert certainly(office, opens_s - 1, opens_s) is None
    assert certainly(office, opens_s, shuts_s - 1) is True
    assert certainly(office, opens_s, shuts_s) is None
    assert certainly(office, opens_s - 1, shuts_s) is None  # the whole of it lies inside
    assert certainly(office, shuts_s, opens_s + 86_400 - 1) is False
    assert certainly(office, opens_s, opens_s + timetable.WIDEST_S + 1) is None
    assert certainly(office, opens_s, NEVER_S) is None


def test_what_is_always_or_never_open_needs_no_clock() -> None:
    assert certainly(staff(), 0, NEVER_S) is True
    assert certainly((), 0, NEVER_S) is False
    holidays = staff(closed=["2027-03-01"])
    assert certainly(holidays, 0, NEVER_S) is None
    assert certainly(holidays, at("UTC", "2027-03-02 00:00"), NEVER_S) is True  # it is over


def test_a_night_shift_belongs_to_the_day_it_begins_on() -> None:
    night = staff(
        {"from": "22:00", "until": "06:00", "days": ["fri"]}, zone="Asia/Shanghai", closed=[]
    )
    for when, is_open in {
        "2027-03-05 05:00": False,  # Friday morning: Thursday night is not a shift
        "2027-03-05 21:59": False,
        "2027-03-05 22:00": True,
        "2027-03-06 00:00": True,
        "2027-03-06 05:59": True,
        "2027-03-06 06:00": False,
        "2027-03-06 22:00": False,
    }.items():
        moment_s = at("Asia/Shanghai", when)
        assert certainly(night, moment_s, moment_s) is is_open, when
    midnight_s = at("Asia/Shanghai", "2027-03-06 00:00")
    assert certainly(night, midnight_s - 5, midnight_s + 5) is True


def test_a_closed_day_takes_what_begins_on_it_and_leaves_what_runs_into_it() -> None:
    night = staff({"from": "22:00", "until": "06:00"}, closed=["2027-03-06"])
    for when, is_open in {"03-06 05:00": True, "03-06 23:00": False, "03-07 05:00": False}.items():
        moment_s = at("UTC", f"2027-{when}")
        assert certainly(night, moment_s, moment_s) is is_open, when


def test_closed_days_stop_those_without_hours_too_but_not_who_may_pass_them() -> None:
    said: dict[str, Any] = {
        "closed": ["2027-03-06"],
        "grants": [{"grants": ["staff"]}, {"grants": ["guard"], "closed_days": "open"}],
        "doors": [{"groups": ["park/gate"], "closed": []}],
    }
    noon_s = at("UTC", "2027-03-06 12:00")
    for scope, groups, is_open in [
        ("staff", "park", False),
        (None, "park", False),
        ("guard", "park", True),
        (None, "park/gate", True),
    ]:
        assert certainly(door(groups, **said).when(scope, "city"), noon_s, noon_s) is is_open


def test_all_day_has_no_seam_at_midnight() -> None:
    every_day = staff({"from": "00:00", "until": "24:00", "days": WORKDAYS}, zone="Asia/Tokyo")
    midnight_s = at("Asia/Tokyo", "2027-03-03 00:00")
    assert certainly(every_day, midnight_s - 3600, midnight_s + 3600) is True
    saturday_s = at("Asia/Tokyo", "2027-03-06 00:00")
    assert certainly(every_day, saturday_s - 1, saturday_s) is None


# Clocks that change: Berlin went from 02:00 to 03:00 on 2027-03-28 (01:00 UTC) and from 03:00 to
# 02:00 on 2027-10-31 (01:00 UTC).

SPRING_S = at("UTC", "2027-03-28 01:00")
AUTUMN_S = at("UTC", "2027-10-31 01:00")


def berlin(from_: str, until: str) -> tuple[Timetable, ...]:
    return staff({"from": from_, "until": until}, zone="Europe/Berlin")


def stretch(tables: tuple[Timetable, ...], around_s: int) -> tuple[int, int]:
    (found,) = [
        s for s in timetable.stretches(tables, around_s, around_s) if s[0] <= around_s < s[1]
    ]
    return found


def test_a_night_is_an_hour_shorter_in_spring_and_longer_in_autumn() -> None:
    night = berlin("22:00", "06:00")
    for change_s, length_h in ((SPRING_S, 7), (AUTUMN_S, 9), (SPRING_S + 86_400, 8)):
        from_s, until_s = stretch(night, change_s)
        assert until_s - from_s == length_h * 3600


def test_office_hours_follow_the_wall_clock() -> None:
    office = berlin("09:00", "17:00")
    winter_s, summer_s = at("UTC", "2027-03-27 08:00"), at("UTC", "2027-03-28 07:00")
    for opens_s in (winter_s, summer_s):
        assert certainly(office, opens_s - 1, opens_s - 1) is False
        assert certainly(office, opens_s, opens_s) is True


def test_a_time_that_is_skipped_is_the_moment_of_the_change() -> None:
    assert stretch(berlin("02:30", "04:00"), SPRING_S) == (SPRING_S, SPRING_S + 3600)
    assert stretch(berlin("01:00", "02:30"), SPRING_S - 1) == (SPRING_S - 3600, SPRING_S)
    skipped = berlin("02:10", "02:50")
    assert certainly(skipped, SPRING_S - 7200, SPRING_S + 7200) is False


def test_a_time_that_comes_twice_begins_with_the_first_and_ends_with_the_last() -> None:
    assert stretch(berlin("02:30", "04:00"), AUTUMN_S) == (AUTUMN_S - 1800, AUTUMN_S + 2 * 3600)
    assert stretch(berlin("01:00", "02:30"), AUTUMN_S) == (AUTUMN_S - 7200, AUTUMN_S + 1800)


def test_an_island_that_skipped_a_whole_day() -> None:
    """Samoa crossed the date line: 2011-12-30, a Friday, did not happen there."""
    friday = staff({"from": "09:00", "until": "17:00", "days": ["fri"]}, zone="Pacific/Apia")
    change_s = at("UTC", "2011-12-30 10:00")
    assert certainly(friday, change_s - 86_400, change_s + 2 * 86_400) is False
    every = staff({"from": "00:00", "until": "24:00", "days": WORKDAYS}, zone="Pacific/Apia")
    assert certainly(every, change_s - 3600, change_s - 1) is True  # Thursday evening
    assert certainly(every, change_s, change_s) is False  # Saturday


ZONES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe")


@st.composite
def timetables(draw: st.DrawFn) -> Timetable:
    week = draw(
        st.sets(
            st.builds(
                lambda weekday, from_min, length: Stretch(weekday, from_min, from_min + length),
                st.integers(0, 6),
                st.integers(0, 1439),
                st.integers(1, 1440),
            ),
            max_size=8,
        )
    )
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    days = st.integers(-3, 3).map(lambda n: datetime(2027, 10, 31).date() + timedelta(days=n))
    return Timetable(zone, tuple(sorted(week)), frozenset(draw(st.sets(days, max_size=2))))


NEAR_A_CHANGE = st.one_of(
    *(
        st.integers(change_s - 3 * 86_400, change_s + 3 * 86_400)
        for change_s in (SPRING_S, AUTUMN_S)
    )
)


@given(
    st.lists(timetables(), max_size=3),
    NEAR_A_CHANGE,
    st.integers(0, 90_000),
    st.lists(st.integers(0, 90_000), max_size=8),
)
def test_certain_of_an_interval_is_certain_of_its_every_moment(
    tables: list[Timetable], earliest_s: int, width_s: int, inside: list[int]
) -> None:
    sure = certainly(tables, earliest_s, earliest_s + width_s)
    moments = {earliest_s, earliest_s + width_s, *(earliest_s + n % (width_s + 1) for n in inside)}
    answers = {certainly(tables, moment_s, moment_s) for moment_s in moments}
    assert None not in answers  # one moment is open or shut
    if sure is not None:
        assert answers == {sure}


@given(timetables(), NEAR_A_CHANGE)
def test_hours_are_what_the_wall_clock_says(table: Timetable, at_s: int) -> None:
    """Against the plain reading, on days when no clock changes."""
    wall = datetime.fromtimestamp(at_s, table.zone)
    offsets = {
        (datetime.fromtimestamp(at_s, table.zone) + timedelta(days=n)).utcoffset()
        for n in (-2, -1, 0, 1, 2)
    }
    if len(offsets) > 1:
        return
    said = False
    for weekday, from_min, until_min in table.week:
        for days_ago in (0, 1):
            day = wall.date() - timedelta(days=days_ago)
            minute = wall.hour * 60 + wall.minute + days_ago * 1440
            begins = day.weekday() == weekday and day not in table.closed
            said = said or (begins and from_min <= minute < until_min)
    assert certainly([table], at_s, at_s) is said
