"""A unit starts with what works, and reports what does not: parts lost at the start and in mid-run.

Real processes: the unit, the broker. What it reports is read as the collector would read it.
"""

import json
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edge.wire import report
from tests.campus import Campus, CampusDoor, end, symbol
from tests.centre import CentreClient, collector_client

pytestmark = pytest.mark.system
SOON_S = 30.0
"""The unit's own bounds are seconds; a busy machine is given ten times as long."""


class HealthWatch:
    """A unit's process, watched by the health that it reports."""

    def __init__(self, campus: Campus, name: str = "north", prefix: tuple[str, ...] = ()) -> None:
        self.door: CampusDoor = campus.doors[name]
        self.centre: CentreClient = collector_client(campus.estate, campus.broker_port)
        assert self.centre.start()
        assert self.centre.subscribe("menshen/1/+/+/health")
        self.process = subprocess.Popen(
            [*prefix, *self.door.command()], stderr=subprocess.PIPE, text=True
        )

    def wait_for(self, most_s: float = SOON_S, **fields: Any) -> report.HealthReport:
        """The first health message with these values."""
        until_s = time.monotonic() + most_s
        last: object = None
        while (left_s := until_s - time.monotonic()) > 0:
            assert self.process.poll() is None, self.process.stderr
            last = health = report.decode_health(self.centre.next(left_s).payload)
            if all(getattr(health, name) == value for name, value in fields.items()):
                return health
        raise AssertionError(f"never {fields}; last {last}")

    def close(self) -> None:
        end(self.process)
        self.centre.stop()


@pytest.fixture
def watched(campus: Campus) -> Iterator[Callable[[], HealthWatch]]:
    """Starts a unit; it ends with the test, however that ends."""
    with ExitStack() as stack:

        def start() -> HealthWatch:
            unit = HealthWatch(campus)
            stack.callback(unit.close)
            return unit

        yield start


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    with Campus(tmp_path, ["north"]) as campus:
        campus.broker().wait_for("ready")
        yield campus


def damage_trust(door: CampusDoor) -> Callable[[], None]:
    timestamp = door.card / "trust" / "metadata" / "timestamp.json"
    whole = timestamp.read_bytes()
    timestamp.write_bytes(b"{}")
    return lambda: timestamp.write_bytes(whole) and None


def remove_frames(door: CampusDoor) -> Callable[[], None]:
    shutil.move(door.frames, door.frames.with_name("away"))
    return lambda: shutil.move(door.frames.with_name("away"), door.frames) and None


def block_state(door: CampusDoor) -> Callable[[], None]:
    state = door.card / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.write_text("in the way")
    return state.unlink


LOST: dict[str, tuple[Callable[[CampusDoor], Callable[[], None]], str, str]] = {
    "camera": (remove_frames, "lost", "ok"),
    "store": (block_state, "full", "ok"),
    "trust": (damage_trust, "expired", "fresh"),
}


@pytest.mark.parametrize("part", LOST)
def test_a_part_that_is_lost_at_the_start_is_reported_and_comes_back(
    part: str, campus: Campus, watched: Callable[[], HealthWatch]
) -> None:
    lose, bad, good = LOST[part]
    restore = lose(campus.doors["north"])
    unit = watched()
    health = unit.wait_for(**{part: bad})
    others = {name for name in LOST if name != part}
    assert all(getattr(health, name) == LOST[name][2] for name in others)
    restore()
    unit.door.show(symbol("https://example.org/a-poster"))  # a camera works when it gives a frame
    unit.wait_for(**{part: good})


def test_a_camera_that_is_lost_in_mid_run_ends_nothing(watched: Callable[[], HealthWatch]) -> None:
    unit = watched()
    session = unit.wait_for(camera="ok").session
    restore = remove_frames(unit.door)
    unit.wait_for(camera="lost")
    time.sleep(5)
    assert unit.process.poll() is None
    restore()
    unit.door.show(symbol("https://example.org/a-poster"))
    assert unit.wait_for(camera="ok").session == session, "it is the same program"


@pytest.mark.hardware  # it waits for two probes, a minute each
def test_a_disk_that_is_lost_in_mid_run_is_reported_and_comes_back(
    watched: Callable[[], HealthWatch],
) -> None:
    unit = watched()
    unit.wait_for(store="ok")
    pid = unit.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, limits[1]))
    unit.wait_for(150, store="full")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    unit.wait_for(150, store="ok")


def test_a_door_that_is_lost_at_the_start_is_reported(
    campus: Campus, watched: Callable[[], HealthWatch]
) -> None:
    """A controller whose port is not there."""
    door = campus.doors["north"]
    path = door.card / "unit.toml"
    key = door.card / "pair.key"
    key.write_text("30313233343536373839414243444546\n")
    key.chmod(0o600)
    text = path.read_text()
    controlled = {"kind": "osdp", "port": "/dev/serial/by-id/none", "key": str(key)}
    head, _, tail = text.partition("[door]")
    rest = tail.partition("\n[camera]")[2]
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in controlled.items())
    path.write_text(f"{head}[door]\n{lines}\n\n[camera]{rest}")
    unit = watched()
    health = unit.wait_for(door="lost")
    assert (health.camera, health.store) == ("ok", "ok")
    unit.process.send_signal(signal.SIGTERM)
    assert unit.process.wait(20) == 0
