"""A unit as a process: how soon it is there, and how much memory it takes."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from edge.wire import keys
from edge.wire.unit import CameraConfig
from provisioning import authority, files, issuers, repository, sites, units
from provisioning.estate import now_s
from tests import scenes
from tests.bench.check import sub, text
from tests.bench.figure import Figure, median, race, ratio
from tests.bench.frames import legible
from tests.campus import BatteryClock
from tests.centre import ISSUER, SITE, free_port, running
from tests.keeper import keeper
from tests.runtime import runtime, within

SEED = 7
FRAMES_PER_S = 15


def figures(rounds: int, frames: int) -> list[Figure]:
    """Start of the command, start to first decision, and memory after `frames` pictures."""
    times = race(
        {"help": lambda: _run("-m", "edge", "--help"), "python": lambda: _run("-c", "pass")},
        rounds,
        calls=1,
    )
    first: list[float] = []
    rng = np.random.default_rng(SEED)
    with tempfile.TemporaryDirectory() as name, _site(Path(name)) as (card, pins, city):
        eyes = card / "frames"
        for number in range(rounds):
            _show(eyes, legible(text(now_s(), city, sub=sub(number)), rng))
            start = time.perf_counter()
            with _door(pins, card / "unit.toml") as door:
                _decided(door)
                first.append(time.perf_counter() - start)
        with _door(pins, card / "unit.toml") as door:
            _decided(door)
            for number in range(rounds, rounds + frames):
                said = text(now_s(), city, sub=sub(number))
                _show(eyes, scenes.empty(rng) if number % 4 else legible(said, rng))
                time.sleep(1 / FRAMES_PER_S)
            beside = sum(_beside_mib(pid, door.pid) for pid in _children(door.pid))
            highest, resident = _memory_mib(door.pid, "VmHWM"), _memory_mib(door.pid, "VmRSS")
    by_python = ratio(times["help"], times["python"])
    return [
        Figure("help_s", "start of menshen-edge --help", median(times["help"]), "s"),
        Figure("help_by_python", "  start / python -c pass", by_python, "x"),
        Figure("first_decision_s", "start of a unit to its first decision", median(first), "s", 2),
        Figure("memory_mib", f"both processes, {frames} frames", highest + beside, "MiB", 100),
        Figure("resident_mib", "  after them", resident + beside, "MiB", 100),
        Figure("decoder_mib", "  of it the decoder's", beside, "MiB"),
    ]


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)


@contextmanager
def _site(folder: Path) -> Iterator[tuple[Path, Path, keys.PrivateKey]]:
    """A provisioned unit's card, its pins, its issuer's key; the broker runs."""
    estate, port = folder / "estate", free_port()
    authority.create_authority(estate)
    issuers.create_issuer(estate, ISSUER)
    sites.create_site(estate, SITE)
    repository.publish(estate)
    camera = CameraConfig(kind="pictures", source="frames", frames_per_s=FRAMES_PER_S)
    card = units.create_card(
        estate, SITE, units.UnitOrder(name="bench", camera=camera, broker_port=port)
    ).path
    (card / "frames").mkdir()
    clock = BatteryClock.of(card, folder / "rtc")
    with (
        ExitStack() as opened,
        running("broker", estate, "--state", folder / "broker", "--port", port),
        keeper(folder / "pins", folder / "ledger"),
    ):
        opened.callback(clock.stop)
        yield card, folder / "pins", files.signing_key(estate / "issuers" / ISSUER / "issuer.key")


@contextmanager
def _door(pins: Path, unit_toml: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.keeper.door", str(pins), "--"]
    command += ["run", str(unit_toml), "--show"]
    with runtime() as folder:
        door = subprocess.Popen([*within(folder), *command], stdout=subprocess.PIPE, text=True)
        try:
            yield door
        finally:
            door.terminate()
            door.wait(10)


def _decided(door: subprocess.Popen[str]) -> None:
    """Wait for the unit's first decision: the green code that is before its camera."""
    assert door.stdout
    said = door.stdout.readline()
    assert "opens" in said, f"the unit said {said!r} to a green code"


def _show(eyes: Path, luma: scenes.Luma) -> None:
    """Put a finished picture where the unit's camera looks; names rise."""
    part = eyes / "next.part"
    Image.fromarray(luma).save(part, format="PPM")
    part.rename(eyes / f"{time.monotonic_ns():020}.pgm")


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()  # a child belongs to the thread that made it
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _beside_mib(pid: int, other: int) -> float:
    """What `pid` has in RAM and does not share with `other`: its own pages, and the files that
    only it maps. Whoever is not root sees less of a process that cannot be dumped: all of it.
    """
    try:
        mappings = _mappings(pid)
    except PermissionError:
        return _memory_mib(pid, "VmRSS")
    files = {name for name, _, _ in _mappings(other) if name.startswith("/")}
    kib = sum(anonymous if name in files else rss for name, rss, anonymous in mappings)
    return kib / 1024


def _mappings(pid: int) -> list[tuple[str, int, int]]:
    """File, KiB in RAM and KiB of it anonymous, of each mapping."""
    found = re.findall(
        r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)\n(?:(?![0-9a-f]+-).*\n)*?Rss: +(\d+) kB\n"
        r"(?:(?![0-9a-f]+-).*\n)*?Anonymous: +(\d+) kB",
        Path(f"/proc/{pid}/smaps").read_text(),
        re.MULTILINE,
    )
    return [(name, int(rss), int(anonymous)) for name, rss, anonymous in found]


def _memory_mib(pid: int, field: str) -> float:
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found, f"/proc/{pid}/status has no {field}"
    return int(found[1]) / 1024
