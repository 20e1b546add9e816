"""What must be true at a door, promise by promise, on the simulated street.

What is not kept yet is an expected failure that names what is missing; each is written so that
it passes once that is built, and then the mark must go.
"""

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from edge import BUILT_S
from edge.adapters import board
from edge.adapters.door.osdp_door import OsdpDoor
from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import (
    Interval,
    Now,
    Reckoning,
    RtcReading,
    StoredClock,
    Sync,
    interval,
)
from edge.doorway import door_signals
from edge.doorway.door_signals import Signal
from edge.judge.verdict import (
    Genuine,
    Place,
    Reason,
    Refused,
    RevocationList,
    TrustState,
    Unsure,
    verify,
)
from edge.parts import DoorLost
from edge.report.tally import OpenCell
from edge.wire import holder, keys, status, trust, unit
from edge.wire.code import Code, Colour, StatusEntry, encode
from edge.wire.rules import PLAIN
from tests import ROOT
from tests.conftest import CITY, issuers
from tests.controller import KEY, Cable, ControllerProcess
from tests.doors import lost, rests, until
from tests.keeper import keeper
from tests.world import KINDS, OPENING, Street, StreetVisit, Troubles, ledger

NOW_S = BUILT_S + 10**6
HERE = Place(frozenset({"campus"}))
PHONE = keys.private_key(bytes(32))
GREEN = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=NOW_S, exp_s=NOW_S + 600)


def judged(
    code: Code,
    now: Interval | None = None,
    lists: Mapping[tuple[str, str], RevocationList] | None = None,
) -> object:
    believed = trust.Trust(issuers(NOW_S))
    return verify(
        encode(code, CITY).encode(),
        TrustState(believed, lists=lists or {}, signed_s=NOW_S),
        HERE,
        Now(now or interval(NOW_S + 60), 0),
        IssuerFloors(),
    )


def shown(street: Street, kind: str, who: int = 1, text: bytes = b"") -> int:
    """Hold one code up for three seconds, let it leave; how often the relay pulsed."""
    before = len(street.pulses)
    text = text or street.people.text(kind, who, int(street.wall_s))
    street.visit = StreetVisit(kind, text, street.monotonic_s, street.monotonic_s + 3)
    street.next_visit_s = float("inf")
    street.run(4)
    street.visit = None
    street.next_visit_s = float("inf")
    street.run(6)
    return len(street.pulses) - before


def test_1_a_green_code_opens_with_no_network_at_all(tmp_path: Path) -> None:
    street = Street(1, tmp_path, wired=False)
    assert shown(street, "green") == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OPENING])
def test_2_nothing_else_opens(kind: str, tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    assert shown(street, kind) == 0
    assert shown(street, "green") == 1, "the door was not working at all"


def test_2_a_crashed_program_opens_nothing_when_it_starts_again(tmp_path: Path) -> None:
    street = Street(1, tmp_path, troubles=Troubles())
    shown(street, "green")
    before = len(street.pulses)
    for kind in [k for k in KINDS if k not in OPENING] * 2:
        text = street.people.text(kind, 1, int(street.wall_s))
        street.visit = StreetVisit(kind, text, street.monotonic_s, float("inf"))
        street.power_cut()  # with somebody in view
        street.run(3)
    street.visit = None
    street.power_cut()
    street.next_visit_s = float("inf")
    street.run(3)
    assert len(street.pulses) == before


def test_2_a_replayed_code_does_not_open_again(tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    text = street.people.text("green", 1, int(street.wall_s))
    assert shown(street, "green", text=text) == 1
    assert shown(street, "green", text=text) == 0
    street.restart()
    assert shown(street, "green", text=text) == 0
    street.power_cut()
    assert shown(street, "green", text=text) == 0
    assert street.decisions[-1][1] == "unsure-start"
    street.run(PLAIN.passback_s)
    assert shown(street, "green", text=text) == 1


def test_2_a_revoked_code_is_refused() -> None:
    lister = keys.private_key(bytes(range(32)))
    data = status.write([7], 100, "city/2027", NOW_S, lister)
    lists = {("city", "city/2027"): status.read(data, [lister.public], "city/2027")}
    assert isinstance(
        judged(replace(GREEN, status=StatusEntry(7, "city/2027")), lists=lists), Refused
    )
    assert isinstance(
        judged(replace(GREEN, status=StatusEntry(8, "city/2027")), lists=lists), Genuine
    )


@pytest.mark.parametrize("rtc", [True, False])
def test_2_a_wound_back_clock_opens_nothing(rtc: bool, tmp_path: Path) -> None:
    """A power cut, and an RTC that was turned back or is not there; no network to ask."""
    street = Street(1, tmp_path)
    old = street.people.text("green", 1, int(street.wall_s))
    street.next_visit_s = float("inf")
    street.run(7200)  # a slot is written now and then
    street.has_rtc, street.wired = rtc, False
    street.rtc_ahead_s -= 7200
    street.power_cut()
    street.run(400)
    assert shown(street, "expired", text=old) == 0
    assert street.decisions[-1][1] == "expired"


def test_2_no_rtc_brings_an_old_code_back() -> None:
    """Power cuts, an RTC set back, a battery taken out: the floor and doubt are all they bring."""
    clock = Reckoning(StoredClock(), RtcReading(5_000_000, 400.0), 400.0, 10.0)
    clock.take_sync(Sync(NOW_S + 7200.0, 0.5, 401.0), RtcReading(5_000_001, 401.0))
    kept = clock.to_store(700.0)
    for shows_s in (None, 0, 4_000_000, 5_000_300 - 7200, 5_000_302):
        rtc = RtcReading(shows_s, 20.0) if shows_s is not None else None
        after = Reckoning(kept, rtc, 20.0, 10.0).at(20.0)
        assert after.earliest_s >= NOW_S + 7200
        old = judged(GREEN, after)
        assert isinstance(old, Refused)
        assert old.reason is Reason.EXPIRED
        new = judged(replace(GREEN, iat_s=NOW_S + 7200, exp_s=NOW_S + 9000), after)
        # Only a related RTC that has gone on says enough to open.
        assert isinstance(new, Genuine if shows_s == 5_000_302 else Unsure)


def test_2_a_holder_code_is_not_accepted_bare() -> None:
    assert isinstance(judged(replace(GREEN, cnf=b"k" * 32)), Refused)


def test_2_a_stripped_holder_code_is_refused_and_a_whole_one_opens(tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    bare = replace(GREEN, iat_s=int(street.wall_s), exp_s=int(street.wall_s) + 600)
    bare = replace(bare, cnf=PHONE.public)
    inner = encode(bare, street.people.city)
    assert shown(street, "bare", text=inner.encode()) == 0
    whole = holder.encode(inner, int(street.wall_s), None, PHONE)
    assert shown(street, "holder", text=whole.encode()) == 1


@pytest.mark.system
def test_2_a_cut_cable_opens_nothing(tmp_path: Path) -> None:
    """The controller's relay falls, and what was asked for meanwhile never comes."""
    cable = Cable(tmp_path / "port")
    controller = ControllerProcess(cable)
    made = OsdpDoor(unit.ControllerDoor(port=str(cable.path)), KEY)
    try:
        until(lambda: rests(made))
        made.apply(door_signals.action(Signal.OPEN, 8000))
        until(lambda: controller.pins.relay)
        cable.cut = True
        until(controller.pulses_ms)
        until(lambda: lost(made))
        with pytest.raises(DoorLost):
            made.apply(door_signals.action(Signal.OPEN, 8000))
        cable.cut = False
        until(lambda: rests(made))
        time.sleep(0.5)
        (lasted_ms,) = controller.pulses_ms()
        assert lasted_ms < 8000
        assert not controller.pins.relay
    finally:
        made.close()
        controller.close()


def test_2_a_card_from_another_door_opens_nothing(tmp_path: Path) -> None:
    board.bind(tmp_path, None, "10000000deadbeef")
    with pytest.raises(unit.ConfigError, match="put it back"):
        board.bind(tmp_path, None, "1000000012345678")


@pytest.mark.parametrize(
    ("kind", "signal"),
    [
        ("expired", Signal.REFRESH),
        ("elsewhere", Signal.REFUSED),
        ("red", Signal.REFUSED),
        ("yellow", Signal.HELP),
        ("stranger", Signal.HELP),
    ],
)
def test_3_who_is_refused_learns_why(kind: str, signal: Signal, tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    shown(street, kind)
    assert {said for _, said in street.actions} == {signal}


def test_3_a_poster_is_nobody(tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    shown(street, "poster")
    assert not street.actions
    assert not street.decisions


def test_3_a_fault_is_not_a_refusal(tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    street.camera_lost = True
    street.rng.random = lambda: 0.5  # type: ignore[method-assign]
    street.next_visit_s = float("inf")
    street.run(10)
    assert {said for _, said in street.actions} == {Signal.NOT_READY}


def test_4_not_knowing_is_its_own_outcome_and_count(tmp_path: Path) -> None:
    street = Street(1, tmp_path, wired=False, rtc=False)  # a unit that wakes in 1970
    shown(street, "stranger")
    text = street.people.text("green", 1, int(street.wall_s))
    shown(street, "green", text=text)
    assert {c for _, c, _ in street.decisions} == {"unsure-issuer", "unsure-time"}
    assert not street.pulses


def test_5_nothing_below_k_is_ever_told(tmp_path: Path) -> None:
    street = Street(1, tmp_path, per_hour=400).run(3600)
    assert ledger(street).decided > 200
    assert all(cell.count >= 10 for cell in street.centre.cells.values())
    assert "sub" not in OpenCell.__slots__  # no field could hold one


def test_6_each_opening_is_counted_once(tmp_path: Path) -> None:
    troubles = Troubles(power_cuts=4, broker_outages=2, lost_acks=0.5, repeats=0.5)
    street = Street(6, tmp_path, per_hour=600, troubles=troubles).run(3600)
    found = ledger(street)
    assert found.balanced
    assert found.by_category["green"] == len(street.pulses) > 100


def test_6_a_wiped_broker_loses_nothing(tmp_path: Path) -> None:
    """What the broker forgets is sent again: only the collector's acknowledgement frees a cell."""
    street = Street(8, tmp_path, per_hour=600, troubles=Troubles(lost_acks=1.0)).run(3600)
    assert street.centre.cells
    street.centre.cells.clear()
    street.troubles.lost_acks = 0.0
    street.run(1200)
    assert sorted(number for _, number in street.centre.cells)[0] == 1
    assert ledger(street).balanced


@pytest.mark.system
def test_7_a_dead_program_leaves_the_relay_to_the_one_shot(tmp_path: Path) -> None:
    """SIGKILL in mid-pulse, with real pins that keep their level: the wiring ends the pulse."""
    program = (
        "import sys, time, gpiozero\n"
        "from tests.keeper.pins import KeptFactory\n"
        "from edge.adapters.door.gpio_door import GpioDoor\n"
        "from edge.doorway import door_signals\n"
        "from edge.wire.unit import DoorPins\n"
        "pins = DoorPins(green=23, red=24, buzzer=25, relay=17)\n"
        f"made = GpioDoor(pins, KeptFactory({str(tmp_path / 'pins')!r}))\n"
        "made.apply(door_signals.action(door_signals.Signal.OPEN, 10_000))\n"
        "print('open', flush=True)\n"
        "time.sleep(60)\n"
    )
    with keeper(tmp_path / "pins", tmp_path / "ledger", one_shot_ms=700) as link:
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert process.stdout
        assert process.stdout.readline() == b"open\n"
        assert link.state().relay_closed
        process.kill()
        process.wait()
        assert link.state().levels[17], (
            "the pin itself stays high: that is what the one-shot is for"
        )
        time.sleep(0.8)
        assert not link.state().relay_closed


@pytest.mark.parametrize("lock", ["fail-safe", "fail-secure"])
def test_7_a_hung_kernel_a_fire_alarm_and_a_power_failure_are_wired_for(lock: str) -> None:
    """The drawing an electrician builds from says what each of them does.

    tests/hardware/test_drawings.py follows its wires, tests/house/test_faults.py the table.
    """
    hardware = ROOT / "hardware"
    drawing = (hardware / f"{lock}.svg").read_text("utf-8")
    for fault in ("Fire alarm", "All supply lost", "Program dead, kernel hung"):
        assert f">{fault}" in drawing
    assert "fire panel: opens" in drawing


def test_the_street_itself_can_fail(tmp_path: Path) -> None:
    """A relay that pulses for a red code is noticed: the checks are not decoration."""
    street = Street(1, tmp_path, kinds={"red": (1, "red")}, per_hour=3000)
    street.rules = replace(street.rules, opens=frozenset(Colour))
    street.power_cut()
    with pytest.raises(AssertionError, match="pulsed for a red code"):
        street.run(60)


def test_a_genuine_code_is_genuine() -> None:
    assert isinstance(judged(GREEN), Genuine)
