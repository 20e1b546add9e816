"""From a frame that can be read to the relay's pin, the durable count on the way."""

import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gpiozero.pins.mock import MockFactory, MockPin

from edge.adapters.camera.camera_scanner import CameraScanner
from edge.adapters.door.gpio_door import GpioDoor
from edge.adapters.storage.counts import DiskCountStore
from edge.adapters.storage.ram import RamFile
from edge.clock.time_interval import Now, Sync, interval
from edge.judge.verdict import Place, TrustState
from edge.loop import Loop, Ports, UnitSettings
from edge.wire.trust import Trust
from edge.wire.unit import DoorPins
from tests import scenes
from tests.bench.check import sub, text
from tests.bench.figure import Figure, median, ratio
from tests.bench.frames import legible, zxing
from tests.conftest import issuers
from tests.lens import Lens
from tests.runtime import runtime

SEED = 5
PINS = DoorPins(green=23, red=24, buzzer=25, relay=17)
UNLOCK_MS = 300  # long enough that a busy machine does not sleep through the pulse
SLOWER = 5  # a Pi's processor beside this one, roughly


class _Pin(MockPin):
    """Knows when it last went high."""

    rose_s = 0.0

    def _set_state(self, value: float) -> None:
        if value and not self._state:
            self.rose_s = time.perf_counter()
        super()._set_state(value)


class _Clock:
    """Time that passes only between two people."""

    def __init__(self, at_s: int) -> None:
        self.now = Now(interval(at_s), time.monotonic())

    def read(self) -> Now:
        return self.now

    def passed(self, seconds: float) -> None:
        self.now = Now(self.now.interval, self.now.monotonic_s + seconds)

    def note_sync(self, sync: Sync) -> None:
        """Nobody is asked here."""


def figures(rounds: int, at_s: int) -> list[Figure]:
    """The real loop, decoder's process, store and door; only lens, clock and pins are ours."""
    rng = np.random.default_rng(SEED)
    ours: list[float] = []
    decode: list[float] = []
    commit: list[float] = []
    factory = MockFactory(pin_class=_Pin)
    with tempfile.TemporaryDirectory() as folder, runtime() as opened:
        clock, camera = _Clock(at_s + 10), Lens()
        store = DiskCountStore(Path(folder) / "state", "campus/bench", random.Random(SEED))
        door = GpioDoor(PINS, factory)
        relay = factory.pin(PINS.relay)
        memory = RamFile(opened)
        eyes = CameraScanner(camera, "zxing-cpp")
        loop = Loop(
            Ports(clock, eyes, door, store, None, memory),
            TrustState(Trust(issuers(at_s)), signed_s=at_s),
            Place(frozenset({"campus"})),
            UnitSettings(unlock_ms=UNLOCK_MS, report_s=60),
            random.Random(SEED),
        )
        camera.shows(scenes.empty(rng))
        _until(lambda: eyes.wait(1.0) is None and eyes.latest() is not None, "no decoder")
        base = _base(Path(folder) / "peer.db")
        for number in range(rounds):
            luma = legible(text(at_s, sub=sub(number), scope="staff:acme"), rng)
            start = time.perf_counter()
            zxing(luma)
            decoded = time.perf_counter()
            base.execute("UPDATE cell SET count = count + 1")
            committed = time.perf_counter()
            decode.append(decoded - start)
            commit.append(committed - decoded)
            relay.rose_s = 0.0
            start = time.perf_counter()
            camera.shows(luma)
            _until(lambda: _ticked(loop, eyes) and relay.rose_s > 0, "it did not open")
            _until(door.settle, "the relay did not come to rest")
            ours.append(relay.rose_s - start)
            clock.passed(60)
        base.close()
        eyes.close()
        door.close()
        store.close()
    peer = [3 * a + b for a, b in zip(decode, commit, strict=True)]
    p95 = float(np.percentile(ours, 95))
    return [
        Figure("pin_ms", "a legible frame to the relay's pin", median(ours) * 1e3, "ms"),
        Figure("commit_ms", "one durable commit alone", median(commit) * 1e3, "ms"),
        Figure("pin_by_peer", "  to the pin / (3 zxing-cpp + commit)", ratio(ours, peer), "x", 1.0),
        Figure("pin_p95_slow_ms", f"  95th percentile, x {SLOWER}", p95 * SLOWER * 1e3, "ms", 300),
    ]


def _ticked(loop: Loop, eyes: CameraScanner) -> bool:
    eyes.wait(1.0)
    loop.tick()
    return True


def _until(there: Callable[[], bool], otherwise: str) -> None:
    end_s = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end_s, otherwise
        time.sleep(0.001)


def _base(path: Path) -> sqlite3.Connection:
    """A table of one row, as durable as the unit's own."""
    base = sqlite3.connect(path, isolation_level=None)
    base.execute("PRAGMA locking_mode=EXCLUSIVE")
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE cell (count INTEGER NOT NULL)")
    base.execute("INSERT INTO cell VALUES (0)")
    return base
