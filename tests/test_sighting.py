"""What the loop makes of a sighting beside its symbols: the illuminator, and a camera's trouble."""

import logging
from pathlib import Path

import pytest

from edge.loop import PROBE_S
from edge.wire import report
from tests.world import TICK_S, Street


def quiet(seed: int, folder: Path) -> Street:
    """A street where nobody comes by."""
    street = Street(seed, folder)
    street.next_visit_s = float("inf")
    return street


def test_the_illuminator_follows_what_the_eyes_want(tmp_path: Path) -> None:
    street = quiet(21, tmp_path)
    street.dim = True
    street.run(10 * TICK_S)
    street.dim = False
    street.run(10 * TICK_S)
    assert street.lamp == [True, False]


def test_a_lamp_that_could_not_be_lit_is_lit_when_the_door_works_again(tmp_path: Path) -> None:
    street = quiet(22, tmp_path)
    street.dim = street.door_lost = True
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
    street.trouble = "covered"
    with caplog.at_level(logging.WARNING):
        street.run(PROBE_S / 4)
        assert not caplog.messages
        street.run(3 * PROBE_S)
        street.trouble = None
        street.run(3 * PROBE_S)
    assert [m for m in caplog.messages if "camera" in m] == [
        "the camera is covered; see what is before its lens",
        "the camera sees well again",
    ]
    said = [
        report.decode_health(m.payload).camera for m in street.centre.messages if m.leaf == "health"
    ]
    assert said[0] == "ok" and "covered" in said and said[-1] == "ok"
    assert street.decisions == []
