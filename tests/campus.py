"""A provisioned site with its real programs: broker, collector, doors on pins that outlive them.

Everything runs as it would on its own machine; only the pins (`tests.keeper`) and the pictures in
front of the cameras are ours.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import segno
import tomli_w

from edge.adapters.storage.clock_slots import Slots
from edge.clock.time_interval import Relation, StoredClock
from edge.wire import keys, unit
from provisioning import authority, issuers, repository, sites, units
from tests.centre import ISSUER, SITE, Program, free_port
from tests.keeper import Link, keeper, ledger
from tests.runtime import runtime, within

Luma = npt.NDArray[np.uint8]

FAST = 30.0  # frames a second


@dataclass
class CampusDoor:
    """One unit's card, its eyes and its hardware."""

    name: str
    card: Path
    frames: Path
    socket: Path
    ledger: Path
    link: Link
    runtime: Path
    shown: int = 0

    def command(self, *more: str, program: str = "tests.keeper.door") -> list[str]:
        """The unit's own command, on kept pins; `program` takes the same arguments."""
        run = ["run", str(self.card / "unit.toml"), *more]
        python = [sys.executable, "-m", program, str(self.socket)]
        return [*within(self.runtime), *python, "--", *run]

    def show(self, luma: Luma) -> None:
        """The next thing that its camera sees (uint8, height x width)."""
        self.shown += 1
        put_frame(self.frames, self.shown, luma)

    def edit(self, **tables: dict[str, Any] | str) -> None:
        """Change unit.toml: an installer's hand."""
        path = self.card / "unit.toml"
        config = tomllib.loads(path.read_text())
        for name, change in tables.items():
            config[name] = config.get(name, {}) | change if isinstance(change, dict) else change
        path.write_text(tomli_w.dumps(config))

    def pins(self) -> dict[str, int]:
        """Its pins by what they do."""
        return dict(tomllib.loads((self.card / "unit.toml").read_text())["door"]["pins"])

    def closings(self) -> int:
        """How often the physical relay closed, by the ledger of its hardware."""
        return sum(moved.relay == "closed" for moved in ledger(self.ledger))


@dataclass(frozen=True)
class Books:
    """Where the decisions of one unit are, read from the disks."""

    decided: int
    stored: int
    unacknowledged: int
    open: int
    green: int  # of all of them

    @property
    def balanced(self) -> bool:
        return self.decided == self.stored + self.unacknowledged + self.open


class Campus:
    """An estate in `folder` and what runs of it. Use it as a context: all ends with the block."""

    def __init__(
        self,
        folder: Path,
        doors: Sequence[str],
        alone: Sequence[str] = (),
        frames: Path | None = None,
        rules: dict[str, Any] | None = None,
    ) -> None:
        """Provision `doors`, and `alone` as doors without a broker, on a demo site with `rules`.

        `frames`: the folder before the cameras, better in memory than on a disk.
        """
        self.frames = frames or folder / "frames"
        self.folder = folder
        self.estate = folder / "estate"
        self.broker_port = free_port()
        self.store = folder / "centre.db"
        self.doors: dict[str, CampusDoor] = {}
        self._opened = ExitStack()
        authority.create_authority(self.estate)
        issuers.create_issuer(self.estate, ISSUER, from_s=int(time.time()) - 86400)
        sites.create_site(self.estate, SITE, demo=True)
        if rules is not None:
            (folder / "rules.json").write_text(json.dumps(rules))
            sites.change_rules(self.estate, SITE, folder / "rules.json")
        repository.publish(self.estate)
        for name in (*doors, *alone):
            self._add(name, name not in alone)

    def __enter__(self) -> "Campus":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.store}"

    @property
    def city(self) -> keys.PrivateKey:
        """The key that signs this estate's codes."""
        path = self.estate / "issuers" / ISSUER / "issuer.key"
        return keys.private_from_pem(path.read_text())

    def broker(self, prefix: Sequence[str] = ()) -> Program:
        state = self.folder / "broker"
        port = ("--port", self.broker_port)
        return self.program("broker", self.estate, "--state", state, *port, prefix=prefix)

    def collector(self, prefix: Sequence[str] = (), look_s: float = 15) -> Program:
        where = ("--store", self.store_url, "--broker-port", self.broker_port)
        return self.program("collector", self.estate, *where, "--look-s", look_s, prefix=prefix)

    def program(self, *arguments: object, prefix: Sequence[str] = ()) -> Program:
        """Any `menshen-server` command, killed at the end if it still runs."""
        program = Program(*arguments, prefix=prefix)
        self._opened.callback(program.kill)
        return program

    def books(self, door: CampusDoor) -> Books:
        """Raises sqlite3.OperationalError while the unit still runs: it has its file alone."""
        with closing(sqlite3.connect(door.card / "state" / "counts.db", timeout=0.5)) as mine:
            installation, decided = mine.execute(
                "SELECT installation, decided FROM unit"
            ).fetchone()
            closed = mine.execute("SELECT number, count, category FROM closed_cell").fetchall()
            opened = mine.execute("SELECT category, count FROM open_cell").fetchall()
        stored: dict[int, tuple[str, int]] = {}
        if self.store.exists():
            with closing(sqlite3.connect(self.store, timeout=5)) as centre:
                rows = centre.execute(
                    "SELECT number, category, count FROM cells WHERE unit = ? AND installation = ?",
                    (door.name, installation),
                ).fetchall()
            stored = {number: (category, count) for number, category, count in rows}
            assert len(stored) == len(rows), "the collector has a cell twice"
        waiting = [(category, n) for number, n, category in closed if number not in stored]
        everything = [*stored.values(), *waiting, *opened]
        return Books(
            decided=decided,
            stored=sum(count for _, count in stored.values()),
            unacknowledged=sum(count for _, count in waiting),
            open=sum(count for _, count in opened),
            green=sum(count for category, count in everything if category == "green"),
        )

    def _add(self, name: str, wired: bool) -> None:
        frames = self.frames / name
        frames.mkdir(parents=True)
        camera = unit.CameraConfig(kind="pictures", source=str(frames), frames_per_s=FAST)
        port = {"broker_port": self.broker_port} if wired else {"broker": False}
        order = units.UnitOrder(name=name, camera=camera, **port)  # type: ignore[arg-type]
        card = units.create_card(self.estate, SITE, order).path
        if not wired:
            self._opened.callback(BatteryClock.of(card, self.frames / f"{name}.rtc").stop)
        socket, book = self.folder / f"{name}.pins", self.folder / f"{name}.relay"
        link = self._opened.enter_context(keeper(socket, book))
        folder = self._opened.enter_context(runtime())
        self.doors[name] = CampusDoor(name, card, frames, socket, book, link, folder)


class BatteryClock(threading.Thread):
    """The hardware below Linux's RTC file: it counts from a date of its own, whoever runs."""

    BEHIND_S = 700_000_000

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self.path = path
        self._stopped = threading.Event()
        self._put()

    @classmethod
    def of(cls, card: Path, path: Path) -> "BatteryClock":
        """The RTC of this card's unit, running, related to true time when it was installed."""
        clock = cls(path)
        (card / "state").mkdir()
        Slots(card / "state").save(StoredClock(int(time.time()) - 60, 60, clock.relation()))
        config = tomllib.loads((card / "unit.toml").read_text())
        config["clock"] = {"rtc": str(clock.path)}
        (card / "unit.toml").write_text(tomli_w.dumps(config))
        clock.start()
        return clock

    def relation(self) -> Relation:
        """What a sync tells a unit of it; the file may be late by a second on a busy machine."""
        shown_s = int(self.path.read_text())
        return Relation(shown_s, self.BEHIND_S * 1000, 2000, shown_s)

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            self._put()

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _put(self) -> None:
        hidden = self.path.with_suffix(".next")
        hidden.write_text(f"{int(time.time()) - self.BEHIND_S}\n")
        hidden.rename(self.path)


def put_frame(folder: Path, number: int, luma: Luma) -> None:
    """Frame `number` for a camera that looks into `folder`; only the newest few are kept."""
    height, width = luma.shape
    hidden = folder / ".next"
    hidden.write_bytes(b"P5 %d %d 255\n" % (width, height) + luma.tobytes())
    hidden.rename(folder / f"{number:09d}.pgm")
    (folder / f"{number - 8:09d}.pgm").unlink(missing_ok=True)


def symbol(text: str, scale: int = 4) -> Luma:
    """A QR symbol as a perfect picture: uint8, for tests that are not about sight."""
    rows = segno.make_qr(text, error="m").matrix_iter(scale=scale, border=4)
    return np.where(np.array(list(rows)) > 0, 0, 255).astype(np.uint8)


def end(process: subprocess.Popen[Any], most_s: float = 10) -> int:
    """SIGTERM, and the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(most_s)
