"""The interval holds the true time, whatever happens to power, quartz and battery."""

import math
import random
import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import BUILT_S
from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import (
    DRIFT_PPM,
    NEVER_S,
    RTC_READ_S,
    SETTLED_S,
    Interval,
    Now,
    Reckoning,
    Relation,
    RtcReading,
    StoredClock,
    Sync,
    TimeSpan,
)
from tests import ROOT

PPM = 10.0
DAY_S = 86400.0
RTC_RESET_S = 946684800  # 2000-01-01: where a DS3231 begins anew


@dataclass
class ClockedUnit:
    """A unit in a true world that it does not see: quartz, battery, power."""

    rng: random.Random
    true_s: float = BUILT_S + 90 * DAY_S
    rtc: str = "none"  # or "alive", "dead": a dead one begins anew with the power
    rtc_count: float = 0.0
    kept: StoredClock = field(default_factory=StoredClock)

    def __post_init__(self) -> None:
        self.rtc_rate = 1 + self.rng.uniform(-PPM, PPM) * 1e-6
        self.rtc_count = RTC_RESET_S + self.rng.uniform(0, 1e9)
        self.boot()

    def boot(self) -> None:
        """Power on: bootloader and kernel take their time."""
        self.rate = 1 + self.rng.uniform(-DRIFT_PPM, DRIFT_PPM) * 1e-6
        self.monotonic_s = 0.0
        if self.rtc == "dead":
            self.rtc_count = RTC_RESET_S
        self._pass(self.rng.uniform(5, SETTLED_S - 20))
        self.clock = Reckoning(self.kept, self.reading(), self.monotonic_s, PPM)
        self.earliest_s = self.clock.at(self.monotonic_s).earliest_s
        assert self.earliest_s >= self.kept.floor_s
        self.check()

    def _pass(self, seconds: float) -> None:
        self.true_s += seconds
        self.monotonic_s += seconds * self.rate
        self.rtc_count += seconds * self.rtc_rate

    def reading(self) -> RtcReading | None:
        if self.rtc == "none":
            return None
        late_s = self.rng.uniform(0, RTC_READ_S)
        return RtcReading(int(self.rtc_count - late_s), self.monotonic_s)

    def check(self, synced: bool = False) -> None:
        now = self.clock.at(self.monotonic_s)
        assert now.earliest_s <= self.true_s <= now.latest_s
        assert synced or now.earliest_s >= self.earliest_s
        self.earliest_s = now.earliest_s

    # What may happen to it.

    def runs(self, seconds: float) -> None:
        self._pass(seconds)
        self.check()

    def looks(self) -> None:
        self.clock.take_rtc(self.reading())
        self.check()

    def saves(self) -> None:
        self.kept = self.clock.to_store(self.monotonic_s)
        assert self.kept.floor_s <= self.true_s

    def syncs(self, trip_s: float, error_s: float) -> None:
        asked_s = self.monotonic_s
        asked_true_s = self.true_s
        self._pass(trip_s)
        said_s = self.rng.uniform(asked_true_s, self.true_s) + self.rng.uniform(-error_s, error_s)
        trip_s = self.monotonic_s - asked_s
        sync = Sync(said_s + trip_s / 2, error_s + 0.001 + trip_s / 2, self.monotonic_s)
        assert self.clock.take_sync(sync, self.reading()) is None  # nothing was wrong before
        assert self.clock.at(self.monotonic_s).source == "sync"
        self.check(synced=True)

    def loses_power(self, seconds: float) -> None:
        self.true_s += seconds
        if self.rtc == "alive":
            self.rtc_count += seconds * self.rtc_rate
        self.boot()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("runs"), st.floats(0.05, 40 * DAY_S)),
        st.tuples(st.just("runs"), st.floats(0.05, 600)),
        st.tuples(st.just("looks")),
        st.tuples(st.just("saves")),
        st.tuples(st.just("syncs"), st.floats(0.01, 10), st.floats(0, 1)),
        st.tuples(st.just("loses_power"), st.floats(0, 900 * DAY_S)),
    ),
    max_size=30,
)


@given(st.integers(0, 2**32), st.sampled_from(["none", "alive", "dead"]), STEPS)
def test_the_true_time_lies_in_the_interval(seed: int, rtc: str, steps: list[tuple]) -> None:
    unit = ClockedUnit(random.Random(seed), rtc=rtc)
    for name, *values in steps:
        getattr(unit, name)(*values)


def unit(rtc: str = "none", seed: int = 1) -> ClockedUnit:
    return ClockedUnit(random.Random(seed), rtc=rtc)


def interval(of: ClockedUnit) -> Interval:
    return of.clock.at(of.monotonic_s)


def width_s(of: ClockedUnit) -> int:
    return interval(of).latest_s - interval(of).earliest_s


def related(seed: int = 1) -> ClockedUnit:
    """A unit that was synced, has run, and has written down its RTC's relation."""
    made = unit("alive", seed)
    made.syncs(0.1, 0.1)
    made.runs(SETTLED_S)
    made.saves()
    assert made.kept.relation is not None
    return made


def test_a_new_unit_knows_the_builds_date_and_no_end() -> None:
    new = Reckoning(StoredClock(), None, 20.0, PPM)
    assert new.at(20.0) == Interval(BUILT_S, NEVER_S, "build")
    assert new.at(120.0).earliest_s == BUILT_S + 99  # and what has passed, less the drift
    assert new.at(120.0).latest_s == NEVER_S


def test_a_sync_gives_both_ends_and_they_drift_apart() -> None:
    synced = unit()
    synced.syncs(0.2, 0.1)
    assert width_s(synced) <= 2
    synced.runs(DAY_S)
    assert 15 <= width_s(synced) <= 20  # 100 ppm to each side: 17.3 s a day


def test_after_a_power_cut_only_the_floor_is_known() -> None:
    cut = unit()
    cut.syncs(0.2, 0.1)
    cut.runs(3600)
    cut.saves()
    cut.runs(200)
    cut.loses_power(7 * DAY_S)
    assert interval(cut).source == "floor"
    assert interval(cut).latest_s == NEVER_S
    assert cut.kept.floor_s <= interval(cut).earliest_s < cut.kept.floor_s + 2


def test_a_related_rtc_brings_the_time_through_a_power_cut() -> None:
    cut = related()
    cut.loses_power(30 * DAY_S)
    assert (interval(cut).source, cut.clock.rtc) == ("rtc", "ok")
    assert 51 <= width_s(cut) < 60  # its drift in thirty days, and little more


def test_an_rtc_that_no_sync_has_related_is_not_believed() -> None:
    new = unit("alive")
    new.looks()
    assert (interval(new).source, interval(new).latest_s) == ("build", NEVER_S)
    assert new.clock.rtc == "unrelated"


def test_an_rtc_narrows_weeks_without_a_network() -> None:
    alone, looking = related(), related()
    alone.runs(40 * DAY_S)
    looking.runs(40 * DAY_S)
    looking.looks()
    assert width_s(alone) > 600
    assert width_s(looking) < 80


def test_a_dead_battery_is_told_and_not_believed() -> None:
    dead = unit("dead")
    dead.syncs(0.1, 0.1)
    dead.runs(SETTLED_S)
    dead.saves()
    dead.loses_power(DAY_S)
    assert dead.clock.rtc == "broken"
    assert "battery" in (dead.clock.fault or "")
    assert interval(dead).source == "floor"


def test_a_dead_battery_does_not_pass_for_a_living_one_after_short_lives() -> None:
    """Synced within its first minutes, cut, and slow to boot: it shows more than at the sync."""
    for seed in range(200):
        dead = unit("dead", seed)
        for _ in range(3):
            dead.syncs(0.1, 0.1)
            dead.saves()
            dead.loses_power(DAY_S)  # `check` there: the interval holds


def test_an_rtc_behind_the_floor_is_broken() -> None:
    relation = Relation(1000, 1000 * (BUILT_S + 5000), 600, 1000)
    clock = Reckoning(StoredClock(BUILT_S + 9000, 0, relation), RtcReading(2000, 20.0), 20.0, PPM)
    assert clock.rtc == "broken"
    assert clock.at(20.0) == Interval(BUILT_S + 9000, NEVER_S, "floor")
    assert "contradicts" in (clock.fault or "")


@pytest.mark.parametrize("jump_s", [-(10**6), -60, -4, 4, 60, 10**6])
def test_an_rtc_that_jumps_is_not_believed_until_the_next_sync(jump_s: int) -> None:
    jumped = related()
    jumped.looks()
    jumped.rtc_count += jump_s
    told = jumped.clock.take_rtc(jumped.reading())
    assert "not trusted until the next sync" in (told or "")
    assert jumped.clock.rtc == "broken"
    jumped.check()
    jumped.runs(600)
    jumped.looks()
    assert jumped.clock.rtc == "broken"
    jumped.saves()
    assert jumped.kept.relation is None
    jumped.syncs(0.1, 0.1)
    assert jumped.clock.rtc == "ok"
    jumped.saves()
    jumped.loses_power(DAY_S)
    assert interval(jumped).source == "rtc"


def test_a_jump_within_a_wide_interval_is_noticed_against_the_quartz() -> None:
    jumped = related()
    jumped.loses_power(900 * DAY_S)
    assert width_s(jumped) > 1500  # so wide that the RTC would not contradict it
    jumped.rtc_count += 60
    assert "it jumped" in (jumped.clock.take_rtc(jumped.reading()) or "")
    jumped.check()


@given(st.floats(0, 0.999), st.floats(0, 0.999), st.floats(0, RTC_READ_S), st.floats(0, RTC_READ_S))
def test_whole_seconds_cost_a_relation_no_truth(
    first: float, then: float, late_s: float, late_then_s: float
) -> None:
    """A perfect sync, a perfect RTC: what is left is the grain of its seconds and slow reading."""
    count, start_s = 10**9 + first, BUILT_S + 5000.0
    clock = Reckoning(StoredClock(), None, 400.0, PPM)
    clock.take_sync(Sync(start_s, 0.0, 400.0), RtcReading(int(count - late_s), 400.0))
    relation = clock.to_store(400.0).relation
    assert relation is not None
    passed_s = 50 + then
    span = relation.span(RtcReading(int(count + passed_s - late_then_s), 450.0), 0.0)
    assert span.earliest_s <= start_s + passed_s <= span.latest_s
    assert span.latest_s - span.earliest_s < 2.5


def test_an_rtc_that_walks_away_slowly_is_noticed_too() -> None:
    walking = related()
    for _ in range(20):
        walking.runs(10)
        walking.rtc_count += 0.5  # each step far below a jump
        walking.looks()
    assert walking.clock.rtc == "broken"


def test_an_rtc_that_is_away_for_a_moment_is_not_broken() -> None:
    glitched = related()
    glitched.clock.take_rtc(None)
    assert glitched.clock.rtc == "none"
    glitched.looks()
    assert glitched.clock.rtc == "ok"


def test_a_sync_wins_over_a_floor_that_ran_ahead() -> None:
    """However the floor came there: an RTC set ahead, a card edited, a time server that lied."""
    true_s = BUILT_S + 1000.0
    clock = Reckoning(StoredClock(BUILT_S + 10**8, 0, None), None, 20.0, PPM)
    told = clock.take_sync(Sync(true_s, 0.5, 30.0), None)
    assert "ahead; it has been put right" in (told or "")
    assert clock.at(30.0) == Interval(BUILT_S + 999, BUILT_S + 1001, "sync")
    assert clock.to_store(30.0).floor_s == BUILT_S + 999  # lowered on the disk as well


def test_a_sync_from_before_the_build_is_not_believed() -> None:
    clock = Reckoning(StoredClock(), None, 20.0, PPM)
    told = clock.take_sync(Sync(BUILT_S - 60.0, 1.0, 30.0), None)
    assert "is not accepted" in (told or "")
    assert clock.at(30.0).latest_s == NEVER_S


def test_two_syncs_that_agree_narrow_and_a_later_one_wins() -> None:
    clock = Reckoning(StoredClock(), None, 20.0, PPM)
    start_s = BUILT_S + 5000.0
    assert clock.take_sync(Sync(start_s, 0.1, 30.0), None) is None
    assert clock.take_sync(Sync(start_s + 13, 6.0, 40.0), None) is None  # a slow line
    assert clock.at(40.0) == Interval(BUILT_S + 5009, BUILT_S + 5011, "sync")
    told = clock.take_sync(Sync(start_s + 900, 1.0, 50.0), None)
    assert "behind; it has been put right" in (told or "")
    assert clock.at(50.0) == Interval(BUILT_S + 5899, BUILT_S + 5901, "sync")


def test_a_vouched_for_system_clock_counts_but_not_against_a_signed_time() -> None:
    clock = Reckoning(StoredClock(), None, 20.0, PPM)
    assert clock.take_sync(Sync(BUILT_S + 5000.0, 5.0, 30.0), None, "system") is None
    assert clock.at(30.0) == Interval(BUILT_S + 4995, BUILT_S + 5005, "system")
    assert clock.take_sync(Sync(BUILT_S + 9000.0, 1.0, 40.0), None) is not None  # it was wrong
    told = clock.take_sync(Sync(BUILT_S + 5020.0, 5.0, 50.0), None, "system")
    assert "does not count against a signed time" in (told or "")
    assert clock.at(50.0) == Interval(BUILT_S + 9008, BUILT_S + 9012, "sync")


def test_the_next_program_of_this_boot_knows_what_a_sync_told() -> None:
    true_s = BUILT_S + 5000.0
    clock = Reckoning(StoredClock(), None, 20.0, PPM)
    assert clock.sync is None
    clock.take_sync(Sync(true_s, 0.5, 30.0), None)
    again = Reckoning(clock.to_store(40.0), None, 4030.0, PPM, clock.sync)
    now = again.at(4030.0)
    assert now.source == "sync"
    assert true_s + 3998 <= now.earliest_s <= true_s + 4000 <= now.latest_s <= true_s + 4002
    assert again.at(4030.0) == clock.at(4030.0)


def test_a_vouched_for_system_clock_is_no_sync_to_remember() -> None:
    clock = Reckoning(StoredClock(), None, 20.0, PPM)
    clock.take_sync(Sync(BUILT_S + 5000.0, 5.0, 30.0), None, "system")
    assert clock.sync is None


def test_a_sync_of_this_boot_is_held_against_floor_and_rtc() -> None:
    sync = TimeSpan(BUILT_S + 5000.0, BUILT_S + 5002.0, 30.0)
    later = Reckoning(
        StoredClock(), None, 20.0, PPM, sync
    )  # a reading from the future: another boot's
    assert later.at(20.0).latest_s == NEVER_S
    ahead = Reckoning(StoredClock(BUILT_S + 10**8), None, 40.0, PPM, sync)
    assert ahead.at(40.0) == Interval(BUILT_S + 5009, BUILT_S + 5013, "sync")
    relation = Relation(2000, 1000 * BUILT_S, 500, 2000)
    wrong = Reckoning(StoredClock(0, 0, relation), RtcReading(900_000, 40.0), 40.0, PPM, sync)
    assert wrong.rtc == "broken"
    assert wrong.at(40.0).source == "sync"
    before = Reckoning(StoredClock(), None, 40.0, PPM, TimeSpan(0.0, BUILT_S - 1.0, 30.0))
    assert before.at(40.0) == Interval(BUILT_S, NEVER_S, "build")


def test_powered_on_time_adds_up_over_starts() -> None:
    first = Reckoning(StoredClock(), None, 20.0, PPM)
    kept = first.to_store(1020.0)
    assert kept.powered_s == 1000
    assert Reckoning(kept, None, 5.0, PPM).powered_s(65.0) == 1060


def test_nobody_in_a_unit_asks_the_systems_date_but_two_that_say_so() -> None:
    asked = re.compile(r"\btime\.(time|time_ns|localtime|gmtime|ctime)\(|\.(now|utcnow|today)\(")
    edge = ROOT / "edge"
    files = {
        p.relative_to(edge).as_posix() for p in edge.rglob("*.py") if asked.search(p.read_text())
    }
    assert files == {
        "__main__.py",  # `check`, at a desk
        "adapters/kernel_clock.py",  # where unit.toml says so
    }


# Floors per issuer key.

A, B = b"a" * 32, b"b" * 32
UNTIL_S = BUILT_S + 35 * 86400


def dark(monotonic_s: float = 0.0, earliest_s: int = BUILT_S) -> Now:
    """After a power cut, without an RTC."""
    return Now(Interval(earliest_s, NEVER_S, "floor"), monotonic_s)


def known(at_s: int, monotonic_s: float = 0.0) -> Now:
    return Now(Interval(at_s - 1, at_s + 1, "sync"), monotonic_s)


def test_a_code_dates_its_own_issuer_and_goes_on_with_time() -> None:
    floors = IssuerFloors()
    floors.raise_to(A, BUILT_S + 7200, UNTIL_S, dark())
    assert floors.of(A, dark()).earliest_s == BUILT_S + 7200
    assert floors.of(A, dark(1000.0)).earliest_s == BUILT_S + 8199
    assert floors.of(B, dark(1000.0)) == dark().interval
    floors.raise_to(A, BUILT_S + 60, UNTIL_S, dark())  # an older code lowers nothing
    assert floors.of(A, dark()).earliest_s == BUILT_S + 7200


def test_an_iat_after_latest_moves_nothing() -> None:
    floors, now = IssuerFloors(), known(BUILT_S + 5000)
    floors.raise_to(A, BUILT_S + 5002, UNTIL_S, now)
    assert floors.of(A, now) == now.interval
    floors.raise_to(A, BUILT_S + 5001, UNTIL_S, now)
    assert floors.of(A, now) == Interval(BUILT_S + 5001, BUILT_S + 5001, "sync")


def test_a_floor_never_passes_the_keys_window() -> None:
    floors = IssuerFloors()
    floors.raise_to(A, UNTIL_S + 90 * 86400, UNTIL_S, dark())
    assert floors.of(A, dark()).earliest_s == UNTIL_S
    assert floors.of(A, dark(10.0**6)).earliest_s == UNTIL_S


def test_a_key_that_signs_ninety_days_ahead_moves_nobody_else_and_one_sync_heals_it() -> None:
    """Rogue codes among honest ones, at a door that has lost the time."""
    rng = random.Random(7)
    floors, true_s, refused, rogue_s = IssuerFloors(), BUILT_S + 3600, 0, UNTIL_S + 90 * 86400
    for step in range(400):
        now = dark(float(step * 10))
        if rng.random() < 0.05:
            floors.raise_to(B, true_s + 90 * 86400, rogue_s, now)
        iat_s = true_s + step * 10 - 30
        refused += floors.of(A, now).earliest_s >= iat_s + 600
        floors.raise_to(A, iat_s, UNTIL_S, now)
    assert refused == 0
    now = known(true_s + 4000, 4000.0)
    assert floors.of(B, dark(4000.0)).earliest_s > true_s + 80 * 86400
    assert floors.of(B, now) == now.interval  # a floor after latest is certainly wrong
    floors.note_sync(now)
    assert floors.of(B, dark(4000.0)) == dark().interval
    assert floors.of(A, dark(4000.0)).earliest_s > true_s + 3900  # what is possible stays


@given(
    st.lists(st.tuples(st.sampled_from([A, B]), st.integers(0, 10**7), st.floats(0, 10**5))),
    st.integers(0, 10**7),
)
def test_a_floor_of_true_iats_never_passes_the_true_time(
    codes: list[tuple[bytes, int, float]], start_s: int
) -> None:
    floors, passed_s = IssuerFloors(), 0.0
    for key, age_s, later_s in codes:
        passed_s += later_s
        true_s = BUILT_S + 10**7 + start_s + passed_s * (1 + DRIFT_PPM * 1e-6)
        now = dark(passed_s)
        floors.raise_to(key, math.floor(true_s) - age_s, NEVER_S, now)
        for each in (A, B):
            assert BUILT_S <= floors.of(each, now).earliest_s <= true_s
