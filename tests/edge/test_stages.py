"""Decision, door, replay, tally, clock, health: each a pure idea, each broken in its own way."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import BUILT_S
from edge.clock.time_interval import NEVER_S, Interval, Now, interval
from edge.doorway import door_signals
from edge.doorway.door_signals import Signal
from edge.judge.site_decision import decide
from edge.judge.verdict import Genuine, Reason, Refused, TrustState, Unsure
from edge.passing.answered_codes import CODES_MAX, GONE_S, AnsweredCodes
from edge.report import health
from edge.report.tally import DAY_S, Tally, first_cells
from edge.wire import report
from edge.wire.code import Code, Colour
from edge.wire.rules import PLAIN
from edge.wire.trust import Issuers, Trust
from edge.wire.unit import UNLOCK_MS_MAX

NOBODY = Trust(Issuers(version=1, signed_s=0, issuers=[]))
CODE = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=1, exp_s=2)


def genuine(colour: Colour, **claims: object) -> Genuine:
    return Genuine(replace(CODE, **claims), colour, b"city/x")


def test_only_a_genuine_code_of_an_accepted_colour_opens() -> None:
    opening = [
        verdict
        for verdict in (
            *(genuine(colour) for colour in Colour),
            *(Refused(reason, b"") for reason in Reason if reason not in UNSURE),
            *(Unsure(reason, b"") for reason in UNSURE),
        )
        if decide(verdict, PLAIN, now(0)).opens
    ]
    assert opening == [genuine(Colour.GREEN)]
    assert not decide(genuine(Colour.GREEN), replace(PLAIN, opens=frozenset()), now(0)).opens
    fever_clinic = replace(PLAIN, opens=frozenset(Colour))
    assert decide(genuine(Colour.RED), fever_clinic, now(0)).opens


UNSURE = (
    Reason.UNKNOWN_ISSUER, Reason.TIME_UNKNOWN, Reason.STATUS_UNKNOWN, Reason.STATUS_OLD,
    Reason.TRUST_OLD, Reason.TRUST_EXPIRED, Reason.JUST_STARTED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("verdict", "signal", "category"),
    [
        (genuine(Colour.GREEN), Signal.OPEN, "green"),
        (genuine(Colour.YELLOW), Signal.HELP, "yellow"),
        (genuine(Colour.RED), Signal.REFUSED, "red"),
        (Refused(Reason.EXPIRED, b""), Signal.REFRESH, "expired"),
        (Refused(Reason.NOT_HERE, b""), Signal.REFUSED, "not-here"),
        (Refused(Reason.NOT_YET, b""), Signal.REFUSED, "not-yet"),
        (Refused(Reason.BAD_SIGNATURE, b""), Signal.REFUSED, "not-genuine"),
        (Refused(Reason.MALFORMED, b""), Signal.REFUSED, "not-genuine"),
        (Refused(Reason.PROOF_MISSING, b""), Signal.REFUSED, "not-genuine"),
        (Unsure(Reason.UNKNOWN_ISSUER, b""), Signal.HELP, "unsure-issuer"),
        (Unsure(Reason.TIME_UNKNOWN, b""), Signal.HELP, "unsure-time"),
        (Unsure(Reason.STATUS_UNKNOWN, b""), Signal.HELP, "unsure-status"),
    ],
)
def test_each_outcome_has_its_signal_and_its_count(
    verdict: Genuine | Refused | Unsure, signal: Signal, category: str
) -> None:
    decision = decide(verdict, PLAIN, now(0))
    assert (decision.signal, decision.category) == (signal, category)
    assert decision.category in report.CATEGORIES


def test_a_party_passes_as_many_and_nobody_when_shut() -> None:
    assert decide(genuine(Colour.GREEN, party=4), PLAIN, now(0)).people == 4
    assert decide(genuine(Colour.RED, party=4), PLAIN, now(0)).people == 0


@pytest.mark.parametrize("signal", Signal)
def test_every_action_ends_dark_and_silent(signal: Signal) -> None:
    action = door_signals.action(signal)
    assert action.steps[-1][1:] == (False, False, False)
    assert action.steps[0].at_ms == 0
    assert all(a.at_ms < b.at_ms for a, b in pairwise(action.steps))
    assert 0 < action.lasts_ms <= 10_000
    assert action.unlock_ms == 0


def test_signals_differ_without_their_colours() -> None:
    """One man in twelve does not see red from green: shape and sound must tell them apart."""
    seen = set()
    for signal in set(Signal) - {Signal.NOT_READY}:
        rhythm = tuple(
            (s.at_ms, s.green or s.red, s.buzzer) for s in door_signals.action(signal).steps
        )
        assert rhythm not in seen
        seen.add(rhythm)


def test_green_stays_as_long_as_the_door_is_unlocked() -> None:
    action = door_signals.action(Signal.OPEN, 5000)
    assert action.lasts_ms == action.unlock_ms == 5000
    assert all(step.green for step in action.steps[:-1])


@pytest.mark.parametrize("unlock_ms", [-1, UNLOCK_MS_MAX + 1])
def test_no_pulse_without_bounds(unlock_ms: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        door_signals.action(Signal.OPEN, unlock_ms)


def test_a_code_in_view_is_answered_once_per_outcome() -> None:
    view = AnsweredCodes(b"k" * 32)
    assert not view.keep_in_view(b"a", "green", 0.0)
    view.note_answered(b"a", "green", 0.0)
    assert view.keep_in_view(b"a", "green", GONE_S)
    assert view.keep_in_view(b"a", "green", 2 * GONE_S)  # kept in view by the reading before
    assert not view.keep_in_view(b"a", "expired", 2 * GONE_S)
    assert not view.keep_in_view(b"b", "green", 2 * GONE_S)
    assert not view.keep_in_view(b"a", "green", 3 * GONE_S + 0.1)


def test_time_in_which_nobody_looked_lets_nobody_leave() -> None:
    view = AnsweredCodes(b"k" * 32)
    view.note_answered(b"a", "green", 0.0)
    view.skip_time(20.0)
    assert view.keep_in_view(b"a", "green", 20.5)
    assert not view.keep_in_view(b"a", "green", 30.0)


def test_memory_of_what_is_in_view_is_bounded_and_holds_no_code() -> None:
    view = AnsweredCodes(b"k" * 32)
    for n in range(3 * CODES_MAX):
        view.note_answered(b"subject %d" % n, "green", n / 1000)
    assert len(view._entries) <= CODES_MAX
    assert view.keep_in_view(b"subject %d" % (3 * CODES_MAX - 1), "green", 1.0)
    assert not any(b"subject" in mark for mark in view._entries)


def now(at_s: float, wall_s: int | None = None) -> Now:
    return Now(interval(BUILT_S + 10**6 + at_s if wall_s is None else wall_s), at_s)


def tally(k: int = 10, seed: int = 1) -> Tally:
    rng = random.Random(seed)
    cells = first_cells(now(0), 900, k, rng)
    return Tally({cell.category: cell for cell in cells}, 900, k, rng)


def counted(cells: Tally, people: list[int], at: Now) -> None:
    for who in people:
        cells.keep(cells.count("green", b"%d" % who, at))


def test_a_cell_waits_for_k_and_more() -> None:
    for seed in range(20):
        cells = tally(seed=seed)
        cells.close(now(0))
        counted(cells, list(range(9)), now(1))
        assert cells.close(now(901)) == []
        cells.keep_closed([], now(901))
        counted(cells, list(range(100, 110)), now(902))
        (closed,) = cells.close(now(1801))
        assert closed.cell.count == 19
        assert closed.cell.threshold >= 10
        assert closed.next.from_s == closed.until_s
        cells.keep_closed([closed], now(1801))
        assert cells.close(now(2701)) == []


def test_the_threshold_varies() -> None:
    cells = [tally(seed=seed).count("green", b"x", now(0)) for seed in range(40)]
    assert {cell.threshold for cell in cells} == set(range(10, 16))


def test_the_same_code_counts_twice_but_is_one_of_k() -> None:
    cells = tally()
    cells.close(now(0))
    counted(cells, [1] * 50, now(1))
    assert cells.close(now(901)) == []
    assert cells.count("green", b"1", now(902)).count == 51


def test_days_are_not_added_up() -> None:
    """Nine codes today and nine tomorrow may be the same nine people: the richest day counts."""
    cells = tally()
    cells.close(now(0))
    counted(cells, list(range(9)), now(1))
    counted(cells, list(range(9)), now(DAY_S + 1))
    assert cells.close(now(DAY_S + 901)) == []


def test_a_decision_that_was_not_made_durable_is_not_kept() -> None:
    cells = tally()
    cells.close(now(0))
    lost = [cells.count("green", b"%d" % who, now(1)) for who in range(40)]
    assert {cell.count for cell in lost} == {cell.distinct for cell in lost} == {1}
    counted(cells, [1], now(2))
    assert cells.close(now(901)) == []


def test_a_cell_begun_under_a_lower_k_waits_for_the_present_one() -> None:
    """A demo's card that is put to work."""
    rng = random.Random(1)
    demo = first_cells(now(0), 900, 2, rng)
    cells = Tally({cell.category: cell for cell in demo}, 900, 10, rng)
    cells.close(now(0))
    counted(cells, list(range(9)), now(1))
    assert cells.close(now(901)) == []
    cells.keep_closed([], now(901))
    counted(cells, list(range(9, 16)), now(902))
    assert [each.cell.count for each in cells.close(now(1801))] == [16]


def test_a_larger_k_counts_at_once_and_a_smaller_one_for_new_cells() -> None:
    for seed in range(20):
        cells = tally(seed=seed)
        cells.close(now(0))
        counted(cells, list(range(20)), now(1))
        cells.follow(900, 40, now(2))
        assert cells.close(now(901)) == []
        cells.keep_closed([], now(901))
        cells.follow(900, 10, now(902))
        assert cells.close(now(1801)) == []
        cells.keep_closed([], now(1801))
        counted(cells, list(range(20, 90)), now(1802))
        (closed,) = cells.close(now(2701))
        assert closed.cell.count == 90
        assert closed.cell.threshold >= 40
        assert 10 <= closed.next.threshold <= 15


def test_a_raised_k_has_its_random_extra_too() -> None:
    """Else each cell that was open when the rules changed would show its k-th arrival."""
    raised = set()
    for seed in range(80):
        cells = tally(k=2, seed=seed)
        cells.follow(900, 10, now(0))
        raised.add(cells.count("green", b"x", now(0)).threshold)
    assert raised == set(range(10, 16))


@pytest.mark.parametrize("period_s", [300, 600, 3600, 7 * 900 + 1])
def test_a_new_period_closes_nothing_before_its_own_boundary(period_s: int) -> None:
    cells = tally()
    at_s = 900 - (BUILT_S + 10**6 - 5) % 900 + 450  # in the middle of a period
    cells.close(now(at_s))
    counted(cells, list(range(20)), now(at_s))
    begun_s = cells.count("green", b"", now(at_s)).from_s
    changed = now(at_s + 1)
    cells.follow(period_s, 10, changed)
    for _ in range(3 * period_s):
        at_s += 1
        closed = cells.close(now(at_s))
        if closed:
            break
        cells.keep_closed([], now(at_s))
    (each,) = closed
    assert each.until_s % period_s == 0
    assert begun_s <= changed.interval.earliest_s < each.until_s
    assert each.until_s - changed.interval.earliest_s <= period_s


def test_midnight_makes_no_k_of_half_as_many() -> None:
    """Day handles change at midnight UTC: eight people before and after are not sixteen."""
    cells = tally()
    before_s = 86400 * (BUILT_S // 86400 + 3) - 600
    cells.close(now(0, wall_s=before_s))
    counted(cells, list(range(8)), now(1, wall_s=before_s))
    counted(cells, list(range(100, 108)), now(1200, wall_s=before_s + 1200))
    assert cells.close(now(1800, wall_s=before_s + 1800)) == []


def test_when_a_rare_category_began_does_not_show() -> None:
    early, late = tally(), tally()
    for cells, first_s in ((early, 10), (late, 3 * 900 + 10)):
        cells.close(now(0))
        for at_s in range(900, 3 * 900 + 1, 900):
            cells.keep_closed(cells.close(now(at_s)), now(at_s))
        for who in range(20):
            cells.keep(cells.count("red", b"%d" % who, now(max(first_s, 0) + who)))
    found = [cells.close(now(4 * 900))[0].cell.from_s for cells in (early, late)]
    assert found[0] == found[1]


def test_a_clock_that_steps_back_makes_no_cell_that_ends_before_it_began() -> None:
    cells = tally()
    cells.close(now(0))
    counted(cells, list(range(20)), now(1))
    (closed,) = cells.close(now(2, wall_s=BUILT_S + 900 * 50))
    assert closed.until_s >= closed.cell.from_s


def test_counts_add_up_whatever_comes() -> None:
    @given(
        st.lists(
            st.tuples(st.sampled_from(report.CATEGORIES), st.integers(0, 40), st.integers(0, 2000)),
            max_size=300,
        )
    )
    def run(arrivals: list[tuple[report.Category, int, int]]) -> None:
        cells = tally(k=3)
        at_s, told, decided = 0, 0, 0
        for category, who, later_s in arrivals:
            at_s += later_s
            closed = cells.close(now(at_s))
            told += sum(each.cell.count for each in closed)
            assert all(each.cell.distinct >= 3 for each in closed)
            cells.keep_closed(closed, now(at_s))
            cells.keep(cells.count(category, b"%d" % who, now(at_s)))
            decided += 1
        assert told + sum(cell.count for cell in cells._cells.values()) == decided

    run()


def test_a_clock_before_the_build_is_no_clock() -> None:
    assert interval(0) == Interval(BUILT_S, NEVER_S, "build")
    assert interval(BUILT_S - 1).source == "build"
    set_clock = interval(BUILT_S + 100)
    assert set_clock.earliest_s < BUILT_S + 100 < set_clock.latest_s


def test_health_says_what_failed_and_how_old_the_cells_are() -> None:
    late = report.Cell(number=1, category="green", from_s=0, until_s=900, count=10)
    believed = TrustState(NOBODY, version=7, signed_s=BUILT_S + 10**6)
    well = health.message((), None, 3, believed, 0.0, now(7300))
    assert (well.queue, well.camera, well.uptime_h, well.trust_version) == ("ok", "ok", 2, 7)
    ill = health.message({"camera", "store"}, late, 3, believed, 0.0, now(7300))
    assert (ill.camera, ill.door, ill.store, ill.queue) == ("lost", "ok", "full", "full")
    assert health.message((), late, 3, believed, 0.0, now(7300)).queue == "late"
    blind = health.message((), None, 3, believed, 0.0, now(7300), "covered")
    assert (blind.camera, blind.door) == ("covered", "ok")
    gone = health.message({"camera"}, None, 3, believed, 0.0, now(7300), "covered")
    assert gone.camera == "lost", "what the last frame showed does not matter any more"


@pytest.mark.parametrize(
    ("days", "step"), [(1, "fresh"), (2, "stale"), (7, "old"), (30, "expired")]
)
def test_health_says_how_old_the_documents_are(days: int, step: str) -> None:
    """By the date, and by the time that power was on since: the larger."""
    believed = TrustState(NOBODY, signed_s=BUILT_S + 10**6)
    later = now(0, wall_s=BUILT_S + 10**6 + days * DAY_S + 5)
    said = health.message((), None, 3, believed, 0.0, later)
    assert (said.trust, said.trust_age_d) == (step, days)
    powered = replace(now(5), powered_s=days * DAY_S + 5.0)
    said = health.message((), None, 3, believed, 0.0, powered)
    assert (said.trust, said.trust_age_d) == (step, days)
