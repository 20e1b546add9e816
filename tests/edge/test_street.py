"""The simulated street: whatever the seed does, what must hold holds."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.doorway import door_signals
from edge.doorway.door_signals import Signal
from edge.loop import PROBE_S
from edge.parts import StoreLost
from edge.passing.answered_codes import GONE_S
from edge.report.tally import OpenCell
from edge.wire import keys, report
from tests.world import KINDS, Street, StreetVisit, Troubles, ledger

HOUR_S = 3600


def seeds(of: range) -> list[Any]:
    """The first two always, the rest where there is time."""
    return [*of[:2], *(pytest.param(seed, marks=pytest.mark.slow) for seed in of[2:])]


@pytest.mark.parametrize("seed", seeds(range(8)))
def test_quiet_street_answers_every_visit_once(seed: int, tmp_path: Path) -> None:
    street = Street(seed, tmp_path, per_hour=300).run(HOUR_S)
    answered = 0
    for visit in street.visits:
        answers = [d for d in street.decisions if visit.from_s <= d[0] < visit.until_s]
        answered += bool(answers) or visit.kind == "poster"
        due = {KINDS[visit.kind][1]} | ({"used"} if visit.again else set())
        assert {category for _, category, _ in answers} <= due
        for before, after in pairwise(at_s for at_s, _, _ in answers):
            assert after - before > GONE_S, "answered again while still in view"
    # A visit of a second may go unread, and one that comes while a pulse runs may leave too soon.
    assert answered >= 0.8 * len(street.visits) > 100
    decided = Counter(category for _, category, _ in street.decisions)
    assert sum(decided.values()) == ledger(street).decided
    assert ledger(street).balanced


@pytest.mark.parametrize("seed", seeds(range(100, 112)))
def test_rough_street_loses_and_doubles_nothing(seed: int, tmp_path: Path) -> None:
    troubles = Troubles(
        power_cuts=2,
        restarts=4,
        broker_outages=1,
        camera_losses=3,
        door_losses=3,
        clock_steps=4,
        lost_acks=0.3,
    )
    street = Street(seed, tmp_path, per_hour=600, troubles=troubles).run(2 * HOUR_S)
    found = ledger(street)
    assert found.balanced, f"seed {seed}: {found}"
    decided = Counter(category for _, category, _ in street.decisions)
    for category, count in found.by_category.items():
        assert decided[category] <= count
    # The door is asked before the count, and fails between the two in no tick of this street.
    assert sum(found.by_category.values()) == sum(decided.values())
    opened = sum(opens for _, _, opens in street.decisions)
    assert opened == len(street.pulses) <= found.by_category["green"]


@pytest.mark.slow
def test_everything_arrives_once_the_broker_is_back(tmp_path: Path) -> None:
    street = Street(7, tmp_path, per_hour=600, troubles=Troubles(lost_acks=0.5, repeats=0.5))
    street.centre.down_until_s = street.monotonic_s + 3 * HOUR_S + 10
    street.run(3 * HOUR_S)
    assert not street.centre.messages
    assert len(street.store.unacknowledged(100)) > report.CELLS_MAX
    street.run(HOUR_S)
    numbers = sorted(number for _, number in street.centre.cells)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(street.store.unacknowledged(100)) <= 2
    assert ledger(street).balanced


def test_door_without_a_broker_decides_just_the_same(tmp_path: Path) -> None:
    wired = Street(3, tmp_path / "a", per_hour=300, troubles=Troubles(lost_acks=0, repeats=0))
    alone = Street(3, tmp_path / "b", per_hour=300, wired=False)
    assert wired.run(HOUR_S).decisions == alone.run(HOUR_S).decisions
    assert alone.pulses
    assert ledger(alone).balanced


@pytest.mark.slow
def test_cells_are_contiguous_and_hold_k_different_codes(tmp_path: Path) -> None:
    street = Street(11, tmp_path, per_hour=900).run(3 * HOUR_S)
    cells = [street.centre.cells[key] for key in sorted(street.centre.cells)]
    assert len(cells) > 10
    ended: dict[str, int] = {}
    for cell in cells:
        assert cell.count >= 10
        assert cell.until_s % 900 == 0
        assert ended.get(cell.category, cell.from_s) == cell.from_s
        assert cell.until_s > cell.from_s
        ended[cell.category] = cell.until_s


@pytest.mark.slow
def test_newer_rules_of_counting_hold_without_a_restart(tmp_path: Path) -> None:
    """A larger k holds for all that is told from then on, a smaller one for new cells."""
    street = Street(13, tmp_path, per_hour=900, troubles=Troubles(lost_acks=0, repeats=0))
    street.run(HOUR_S)
    began = len(street.centre.cells)
    assert began > 2
    wall_s = [street.wall_s]
    for k, period_s in ((60, 1800), (10, 900)):
        counts = msgspec.structs.replace(street.rules.counts, k=k, period_s=period_s)
        street.bring(replace(street.rules, counts=counts))
        street.run(3 * HOUR_S)
        wall_s.append(street.wall_s)
    cells = [street.centre.cells[key] for key in sorted(street.centre.cells)][began:]
    strict = [cell for cell in cells if cell.until_s <= wall_s[1] and cell.until_s > wall_s[0]]
    later = [cell for cell in cells if cell.until_s > wall_s[1]]
    assert strict
    assert all(cell.count >= 60 and cell.until_s % 1800 == 0 for cell in strict)
    assert all(cell.count >= 60 for cell in later if cell.from_s < wall_s[1])
    small = [cell for cell in later if cell.count < 60]
    assert small
    assert all(cell.from_s >= wall_s[1] - 5 for cell in small)
    assert ledger(street).balanced


def test_a_restart_without_rtc_and_network_goes_on_knowing_the_time(tmp_path: Path) -> None:
    """What a sync told is kept in RAM; a power cut forgets it."""
    street = Street(14, tmp_path, per_hour=600, kinds={"green": (1, "green")}, rtc=False)
    street.run(600)
    assert {category for _, category, _ in street.decisions} <= {"green", "used", "unsure-time"}
    street.centre.down_until_s = float("inf")
    street.restart()
    begun = len(street.decisions)
    street.run(600)
    assert {category for _, category, _ in street.decisions[begun:]} <= {"green", "used"}
    assert street.pulses[-1][0] > street.monotonic_s - 300
    street.power_cut()
    begun = len(street.decisions)
    street.run(600)
    assert {category for _, category, _ in street.decisions[begun:]} == {"unsure-time"}


@pytest.mark.slow
def test_one_person_again_and_again_is_never_told(tmp_path: Path) -> None:
    """k counts codes: a hundred visits of three people stay on the unit."""
    street = Street(5, tmp_path, per_hour=3000, kinds={"green": (1, "green")})
    street.rng.randrange = lambda _n: 3 * len(street.visits) % 9 // 3  # type: ignore[method-assign]
    street.run(2 * HOUR_S)
    assert ledger(street).open == ledger(street).decided > 100
    assert not street.centre.cells


def test_unready_unit_says_so_and_opens_nothing(tmp_path: Path) -> None:
    street = Street(2, tmp_path, per_hour=600)
    street.troubles.camera_losses = 0
    street.run(60)
    opened = len(street.pulses)
    street.camera_lost = True
    street.rng.random = lambda: 0.5  # type: ignore[method-assign]
    street.run(30)
    assert len(street.pulses) == opened
    flashes = [at for at, signal in street.actions if signal is Signal.NOT_READY]
    assert 9 <= len(flashes) <= 11


def test_what_cannot_be_counted_does_not_open(tmp_path: Path) -> None:
    street = Street(2, tmp_path, per_hour=900, kinds={"green": (1, "green")})
    street.run(60)
    opened = len(street.pulses)
    assert opened
    count = street.store.count

    def full(_cell: object) -> None:
        raise StoreLost("the disk is full")

    street.store.count = full  # type: ignore[method-assign]
    street.run(60)
    assert len(street.pulses) == opened
    assert street.actions[-1][1] is Signal.NOT_READY
    street.store.count = count  # type: ignore[method-assign]
    street.run(60)
    assert len(street.pulses) > opened
    assert ledger(street).by_category["green"] == len(street.pulses)


def test_a_relay_that_cannot_be_set_counts_nobody(tmp_path: Path) -> None:
    """And the operator is told, at the next probe, whoever comes by."""
    street = Street(2, tmp_path, per_hour=900, kinds={"green": (1, "green")}).run(60)
    decided = ledger(street).decided
    assert decided
    street.door_lost = True
    street.rng.random = lambda: 0.5  # type: ignore[method-assign]
    street.run(130)
    assert ledger(street).decided == decided
    said = [report.decode_health(m.payload) for m in street.centre.messages if m.leaf == "health"]
    assert said[-1].door == "lost"


def test_a_slow_disk_answers_a_code_in_view_once(tmp_path: Path) -> None:
    """A card that stalls for seconds in a commit: nobody has left meanwhile."""
    street = Street(1, tmp_path)
    street.next_visit_s = float("inf")
    text = street.people.text("green", 1, int(street.wall_s))
    street.visit = StreetVisit("green", text, street.monotonic_s, street.monotonic_s + 15)
    count = street.store.count

    def slow(cell: OpenCell) -> None:
        count(cell)
        street.monotonic_s += 4
        street.wall_s += 4

    street.store.count = slow  # type: ignore[method-assign]
    street.run(15)
    assert len(street.pulses) == 1


def test_health_of_the_store_moves_with_no_passage(tmp_path: Path) -> None:
    """The disk is full and free again; only the probe's times show in what leaves."""
    said = []
    for folder, per_hour in (("busy", 900.0), ("empty", 0.0)):
        street = Street(3, tmp_path / folder, per_hour=per_hour or 1)
        if not per_hour:
            street.next_visit_s = float("inf")
        probe, count = street.store.probe, street.store.count

        def full(*_: object) -> None:
            raise StoreLost("the disk is full")

        street.run(130)
        street.store.probe = street.store.count = full  # type: ignore[assignment,method-assign]
        street.run(130)
        street.store.probe, street.store.count = probe, count  # type: ignore[method-assign]
        street.run(130)
        health = [m for m in street.centre.messages if m.leaf == "health"]
        said.append([(m.at_s, report.decode_health(m.payload).store) for m in health])
    assert said[0] == said[1]
    assert {store for _, store in said[0]} == {"ok", "full"}


def test_a_cut_sensor_is_told_at_a_fixed_time_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the moment of the passage that showed it: that would be a trace of somebody."""
    street = Street(6, tmp_path, per_hour=900, kinds={"green": (1, "green")}, turnstile=True)
    street.run(600)
    assert not [said for said in caplog.messages if "turn sensor" in said]
    opened = len(street.pulses)
    started_s = street.monotonic_s
    street.cable_cut = True
    told_s = []
    while street.monotonic_s < started_s + 600:
        before = len(caplog.messages)
        street.tick()
        told_s += [street.monotonic_s] * any("turn sensor" in m for m in caplog.messages[before:])
    (told,) = told_s
    assert (told - 1000) % PROBE_S < 1
    assert street.loop._lane.sensor_fault
    assert len(street.pulses) - opened > 40
    street.cable_cut = False
    street.run(120)
    assert "the turn sensors work again" in caplog.messages


@pytest.mark.parametrize("memory", [False, True])
def test_a_disk_that_fails_is_told_at_a_fixed_time(
    memory: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It fails while somebody passes, and works again when somebody does; no moment is told."""
    street = Street(2, tmp_path, per_hour=900, kinds={"green": (1, "green")}).run(70)
    port, name = (street.memory, "save") if memory else (street.store, "count")
    works = getattr(port, name)

    def full(_: object) -> None:
        raise StoreLost("the disk is full")

    told_s = []
    for broken in (full, works):
        setattr(port, name, broken)
        for _ in range(int(130 / 0.1)):
            before = len(caplog.messages)
            street.tick()
            told_s += [street.monotonic_s] * (len(caplog.messages) - before)
    assert [s for s in caplog.messages if "disk is full" in s]
    assert caplog.messages[-1] == "the store works again"
    assert all((s - 1000) % PROBE_S < 1 for s in told_s)


def test_a_limit_of_people_that_nobody_counts_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    street = Street(6, tmp_path)
    believed = street.loop._trust_state
    street.loop._trust_state = replace(believed, rules=replace(believed.rules, inside_max=5))
    street.run(130)
    told = [said for said in caplog.messages if "does not see both directions" in said]
    assert len(told) == 1


def test_a_forged_acknowledgement_frees_nothing(tmp_path: Path) -> None:
    street = Street(4, tmp_path, per_hour=900, troubles=Troubles(lost_acks=1.0)).run(HOUR_S)
    kept = street.store.unacknowledged(report.CELLS_MAX)
    assert kept
    ack = report.Ack(
        site="campus",
        unit="north-1",
        installation=street.store.installation,
        first=kept[0].number,
        last=kept[-1].number,
        digest=report.digest(kept[-1]),
    )
    stranger = keys.private_key(b"s" * 32)
    street.centre.acks.append((street.monotonic_s, report.sign_ack(ack, stranger)))
    street.centre.acks.append((street.monotonic_s, b"torn"))
    street.run(10)
    assert street.store.unacknowledged(report.CELLS_MAX) == kept


def test_deep_messages_from_the_centre_are_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They stay retained at the broker, and would end the program at each of its starts."""
    street = Street(1, tmp_path, per_hour=60).run(600)
    for data in (b'{"x":' + b"[" * 5000, b'{"payload":' + b'{"x":' * 5000, b"[" * 100_000):
        street.centre.acks.append((street.monotonic_s, data))
        street.centre.answers.append((street.monotonic_s, data))
    before = ledger(street).decided
    street.run(1800)
    assert sum("an acknowledgement is not accepted" in line for line in caplog.messages) == 3
    assert sum("a time is not accepted" in line for line in caplog.messages) == 3
    assert ledger(street).decided > before


def test_messages_have_one_size_and_fixed_times(tmp_path: Path) -> None:
    """A busy street and an empty one look alike from outside until k people have come."""
    busy = Street(9, tmp_path / "a", per_hour=60).run(HOUR_S)
    empty = Street(9, tmp_path / "b")
    empty.next_visit_s = float("inf")
    empty.run(HOUR_S)
    assert ledger(busy).decided > 30
    assert not ledger(empty).decided
    seen = [
        [(m.at_s, m.leaf, len(m.payload)) for m in street.centre.messages]
        for street in (busy, empty)
    ]
    counts = [[entry for entry in each if entry[1] == "counts"] for each in seen]
    assert counts[0] == counts[1]
    assert {entry[2] for entry in counts[0]} == {report.COUNTS_LEN}
    health = [{entry[2] for entry in each if entry[1] == "health"} for each in seen]
    assert health == [{report.HEALTH_LEN}] * 2


@pytest.mark.parametrize("turn", [False, True])
def test_not_ready_is_shown_for_no_longer_than_it_is_so(turn: bool, tmp_path: Path) -> None:
    """A link that comes back serves at once, whoever comes by and whenever it is tried next."""
    street = Street(3, tmp_path, turnstile=turn)
    street.next_visit_s = float("inf")
    street.run(PROBE_S + 5)
    street.door_lost = True
    street.run(5)
    street.door_lost = False
    street.run(door_signals.NOT_READY_EVERY_S + 1)
    back_s = street.monotonic_s
    street.actions.clear()
    street.run(30)
    assert not street.actions, f"not ready is still shown, {street.actions[0][0] - back_s:.0f} s on"
