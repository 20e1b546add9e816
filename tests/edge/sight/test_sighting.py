"""What the loop makes of a sighting: who is answered, what is unreadable, light, and trouble."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from edge.doorway.door_signals import Signal
from edge.loop import PROBE_S
from edge.sight.frame import Sighting, Symbol
from edge.wire import report
from tests.world import FRAME, TICK_S, Street

BRIGHT = Sighting(0.0, size=FRAME)
DIM = replace(BRIGHT, dim=True)
MIDDLE = ((500, 220), (780, 220), (780, 500), (500, 500))
WALL = ((60, 100), (210, 100), (210, 250), (60, 250))


def quiet(seed: int, folder: Path) -> Street:
    """A street where nobody comes by."""
    street = Street(seed, folder)
    street.next_visit_s = float("inf")
    return street


def test_the_illuminator_follows_what_the_eyes_want(tmp_path: Path) -> None:
    street = quiet(21, tmp_path)
    street.seen = DIM
    street.run(10 * TICK_S)
    street.seen = BRIGHT
    street.run(10 * TICK_S)
    assert street.lamp == [True, False]


def test_a_lamp_that_could_not_be_lit_is_lit_when_the_door_works_again(tmp_path: Path) -> None:
    street = quiet(22, tmp_path)
    street.seen, street.door_lost = DIM, True
    street.run(TICK_S)
    assert street.lamp == [], "this seed mends the door in its first tick"
    street.run(600 * TICK_S)
    assert not street.door_lost
    assert street.lamp == [True]


def test_a_cameras_trouble_is_told_at_the_probes_and_nowhere_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    street = quiet(23, tmp_path)
    street.run(3 * PROBE_S)
    street.seen = replace(BRIGHT, trouble="covered")
    with caplog.at_level(logging.WARNING):
        street.run(PROBE_S / 4)
        assert not caplog.messages
        street.run(3 * PROBE_S)
        street.seen = BRIGHT
        street.run(3 * PROBE_S)
    assert [m for m in caplog.messages if "camera" in m] == [
        "the camera is covered; uncover its lens",
        "the camera sees well again",
    ]
    said = [
        report.decode_health(m.payload).camera for m in street.centre.messages if m.leaf == "health"
    ]
    assert said[0] == "ok" and "covered" in said and said[-1] == "ok"
    assert street.decisions == []


def test_what_cannot_be_read_is_told_by_its_own_signal_and_not_counted(tmp_path: Path) -> None:
    street = quiet(24, tmp_path)
    street.run(5)
    street.seen = replace(BRIGHT, unread=(MIDDLE,))
    street.run(3)
    street.seen = BRIGHT
    street.run(30)
    assert [signal for _, signal in street.actions] == [Signal.UNREADABLE]
    assert street.decisions == []
    assert all(cell.count == 0 for cell in street.store.cells().values())


def test_a_poster_neither_holds_up_nor_is_answered(tmp_path: Path) -> None:
    bare, walled = (Street(25, tmp_path / name, per_hour=120) for name in ("bare", "walled"))
    poster = Symbol(b"https://example.org/menu", WALL)
    walled.seen = replace(BRIGHT, symbols=(poster,), unread=(WALL[::-1],))
    bare.run(1800)
    walled.run(1800)
    assert len(bare.decisions) > 20
    assert walled.decisions == bare.decisions
    assert walled.actions == bare.actions


def test_a_genuine_code_left_on_the_wall_opens_no_second_time(tmp_path: Path) -> None:
    street = Street(26, tmp_path, per_hour=1e-6, kinds={"green": (1, "green")})
    street.run(10)  # the first visitor, who leaves the code behind
    assert [opened for _, _, opened in street.decisions] == [True]
    glued = street.visits[0].text
    for _ in range(8):  # people who stand before it hide it now and then
        street.seen = replace(BRIGHT, symbols=(Symbol(glued, WALL),))
        street.run(100)
        street.seen = BRIGHT
        street.run(5)
    assert len(street.pulses) == 1
