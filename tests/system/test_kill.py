"""SIGKILL at every commit, send and pin write, of the door, the broker and the collector.

strace kills a process as it enters its n-th call of a kind, so each moment is met exactly. After
each death the hardware and the disks are looked at from outside; then the next life begins on the
same disks. Nothing may be lost or counted twice, and the relay must come to rest.
"""

import base64
import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.wire.code import Code, Colour, encode
from tests import killer
from tests.campus import Books, Campus, CampusDoor, end, symbol
from tests.keeper import ONE_SHOT_MS, ledger

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

UNLOCK_MS = 100
SHOWN_S = 0.12
MOMENTS_MAX = {"fdatasync": 14, "pwrite64": 16, "sendto": 26, "write": 14}
"""Beyond these a life repeats itself: start, connect, count, close, send, acknowledge, pulse."""


class KilledCrowd(threading.Thread):
    """One green code after another in front of a camera, each of somebody else."""

    def __init__(self, campus: Campus, door: CampusDoor) -> None:
        super().__init__(daemon=True)
        self.campus, self.door = campus, door
        self.gone = threading.Event()

    def run(self) -> None:
        while not self.gone.wait(SHOWN_S):
            now_s = int(time.time())
            sub = base64.urlsafe_b64encode(os.urandom(8))[:11].decode()
            code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s, exp_s=now_s + 600)
            self.door.show(symbol(encode(code, self.campus.city)))

    def leave(self) -> None:
        self.gone.set()
        self.join()


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    counts = {"k": 2, "period_s": 1, "demo": True}
    with Campus(tmp_path, ["north"], rules={"counts": counts}) as campus:
        campus.doors["north"].edit(door={"unlock_ms": UNLOCK_MS}, counts={"report_s": 1})
        yield campus


@pytest.fixture
def crowd(campus: Campus) -> Iterator[KilledCrowd]:
    crowd = KilledCrowd(campus, campus.doors["north"])
    crowd.start()
    yield crowd
    crowd.leave()


def opened(campus: Campus, door: CampusDoor) -> Books | None:
    """The books; None while the unit has died before its file was made."""
    try:
        return campus.books(door)
    except (sqlite3.OperationalError, TypeError):
        assert door.closings() == 0
        return None


def test_a_door_killed_at_each_moment(campus: Campus, crowd: KilledCrowd) -> None:
    door = campus.doors["north"]
    broker, collector = campus.broker(), campus.collector()
    broker.wait_for("ready")
    collector.wait_for("ready")
    pulses_lost = left_high = 0
    for call, most in MOMENTS_MAX.items():
        for nth in range(1, most + 1):
            process = killer.start(door.command(), call, nth, stderr=subprocess.PIPE)
            said = process.communicate(timeout=60)[1].decode()
            assert process.returncode == killer.KILLED, f"alive at {call} {nth}: {said}"
            left_high += door.link.state().levels.get(door.pins()["relay"], False)
            books = opened(campus, door)
            if books is not None:
                assert books.balanced, f"killed at {call} {nth}: {books}"
                missing = books.green - door.closings()
                # Counted and not yet pulsed is the one thing that a death may leave.
                assert pulses_lost <= missing <= pulses_lost + 1, f"killed at {call} {nth}"
                pulses_lost = missing
    last = subprocess.Popen(door.command(), stderr=subprocess.DEVNULL)
    time.sleep(3)
    crowd.leave()
    time.sleep(2.5)  # the last reports and their acknowledgements
    assert end(last) == 0
    books = campus.books(door)
    assert books.balanced
    assert books.green - door.closings() == pulses_lost
    assert books.stored > 50
    state = door.link.state()
    assert not any(state.levels.values())
    assert not state.relay_closed
    # A pulse whose program died lasts until the next one starts or the one-shot ends it, no other.
    long = [moved for moved in ledger(door.ledger) if (moved.for_ms or 0) > 5 * UNLOCK_MS]
    assert len(long) <= left_high
    assert all((moved.for_ms or 0) <= ONE_SHOT_MS for moved in long)


@pytest.mark.parametrize(
    ("program", "call", "moments"),
    [
        ("collector", "fdatasync", range(1, 7)),
        ("collector", "write", range(1, 9)),
        ("broker", "write", range(1, 13)),
    ],
)
def test_the_centre_killed_at_each_moment(
    program: str, call: str, moments: range, campus: Campus, crowd: KilledCrowd
) -> None:
    door = campus.doors["north"]
    programs = {"broker": campus.broker(), "collector": None}
    programs["broker"].wait_for("ready")
    programs["collector"] = campus.collector()
    programs["collector"].wait_for("ready")
    unit = subprocess.Popen(door.command(), stderr=subprocess.DEVNULL)
    for nth in moments:
        programs[program].kill()
        prefix = killer.prefix(call, nth)
        programs[program] = getattr(campus, program)(prefix=prefix)
        assert programs[program].process.wait(60) == killer.KILLED, f"{call} {nth}"
    programs[program] = getattr(campus, program)()
    programs[program].wait_for("ready")
    settled(campus, crowd)
    assert end(unit) == 0
    books = campus.books(door)
    assert books.balanced
    assert books.stored > books.unacknowledged + books.open
    assert books.green == door.closings()
    assert not door.link.state().relay_closed


def settled(campus: Campus, crowd: KilledCrowd) -> None:
    """Wait until cells arrive again, send the crowd home, and wait for the last of them."""
    until_s = time.monotonic() + 300  # both ends wait longer after each failure, a minute at most
    before = stored_cells(campus)
    while stored_cells(campus) <= before + 1:
        assert time.monotonic() < until_s, "nothing has arrived since the last start"
        time.sleep(0.5)
    crowd.leave()
    before, calm_s = 0, time.monotonic()
    while time.monotonic() - calm_s < 4:  # a report a second, eight cells in each
        assert time.monotonic() < until_s, "cells arrive for ever"
        time.sleep(0.5)
        if stored_cells(campus) != before:
            before, calm_s = stored_cells(campus), time.monotonic()


def stored_cells(campus: Campus) -> int:
    """How many cells the collector has."""
    with closing(sqlite3.connect(campus.store, timeout=5)) as centre:
        return int(centre.execute("SELECT count(*) FROM cells").fetchone()[0])
