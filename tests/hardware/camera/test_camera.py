"""Our camera adapter on the real picamera2, in a Debian 13: pictures in, symbols and openings out.

README.md says what is real here and what is not.
"""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from edge.wire import code, keys
from edge.wire.code import Code, Colour
from tests import scenes
from tests.campus import Campus, CampusDoor
from tests.hardware import trixie
from tests.looking import PLAIN, rng

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(240)]

BROUGHT = trixie.ROOT / ".cache" / "camera"
PLACE = "/run/menshen-camera"
LIBCAMERAS = "/usr/share/libcamera/pipeline/virtual"
HOLDS = 8  # frames of each picture: half a second
SEAMS = ("python3", "-P", "-m", "tests.hardware.camera.seams")
PATIENCE_S = 90.0

Luma = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CameraTown:
    """A door with a battery clock and no network, and what its camera sees, over and over."""

    folder: Path
    door: CampusDoor
    texts: dict[str, str]  # "green", "another", "forged"
    pictures: list[Luma]  # as a JPEG decoder sees them

    def command(self, *words: str, pipelines: str = "virtual", keeper: bool = False) -> list[str]:
        """How to run a program of this project in the Debian 13 before the virtual camera."""
        env = {
            "LD_PRELOAD": f"{PLACE}/brought/preload.so",
            "LIBCAMERA_LOG_LEVELS": "*:WARN",
            "LIBCAMERA_PIPELINES_MATCH_LIST": pipelines,
            "MENSHEN_PID": f"{PLACE}/town/pid",
            "MENSHEN_STALL": f"{PLACE}/town/stall",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{PLACE}/house:{PLACE}/brought/wheels",
            "RUNTIME_DIRECTORY": str(self.door.runtime),
        }
        binds = {
            trixie.ROOT / "edge": f"{PLACE}/house/edge",
            trixie.ROOT / "tests": f"{PLACE}/house/tests",
            BROUGHT: f"{PLACE}/brought",
            self.folder: f"{PLACE}/town",
            self.folder / "libcamera": LIBCAMERAS,
        }
        pairs = (f"{name}={value}" for name, value in env.items())
        kept = ("tests.keeper.door", f"{PLACE}/town/north.pins", "--") if keeper else ()
        return trixie.command("env", *pairs, *SEAMS, *kept, *words, binds=binds)

    def run(self, *words: str, pipelines: str = "virtual") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words, pipelines=pipelines),
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE_S,
        )

    @contextmanager
    def running(self, *words: str, keeper: bool = False) -> Iterator[subprocess.Popen[str]]:
        """The same, to be listened to; `tell` and `pid` are of the program inside."""
        (self.folder / "pid").unlink(missing_ok=True)
        process = subprocess.Popen(
            self.command(*words, keeper=keeper),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                self.tell(signal.SIGKILL)
            process.communicate()

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def tell(self, number: signal.Signals) -> None:
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        subprocess.run([*as_root, "kill", f"-{number.value}", str(self.pid)], check=True)

    @property
    def unit_toml(self) -> str:
        return f"{PLACE}/town/{self.door.card.relative_to(self.folder)}/unit.toml"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraTown]:
    trixie.has("camera")
    if not (BROUGHT / "preload.so").exists():
        pytest.fail("picamera2 for Debian 13 is missing; run: make .cache/camera/preload.so")
    folder = tmp_path_factory.mktemp("camera")
    with Campus(folder, [], ["north"]) as campus:
        door = campus.doors["north"]
        rtc = f"{PLACE}/town/{(campus.frames / 'north.rtc').relative_to(folder)}"
        door.edit(camera={"kind": "picamera", "source": "", "frames_per_s": 15}, clock={"rtc": rtc})
        stranger = keys.private_key(b"nobody".ljust(32))
        texts = {
            "green": bearer(campus.city),
            "another": bearer(campus.city),
            "forged": bearer(stranger),
        }
        (folder / "libcamera").mkdir()
        shutil.copy(Path(__file__).with_name("virtual.yaml"), folder / "libcamera")
        yield CameraTown(folder, door, texts, pictures(folder / "pictures", list(texts.values())))


def bearer(city: keys.PrivateKey) -> str:
    now_s = int(time.time())
    sub = base64.urlsafe_b64encode(os.urandom(8))[:11].decode()
    return code.encode(
        Code(colour=Colour.GREEN, sub=sub, iat_s=now_s - 5, exp_s=now_s + 3600), city
    )


def pictures(folder: Path, texts: list[str]) -> list[Luma]:
    """Each text is held up for a while, and nothing before it. What a JPEG decoder makes of it."""
    folder.mkdir()
    seen = []
    for n, text in enumerate(texts):
        for scene in (scenes.empty(rng(n)), scenes.still(text, rng(n), PLAIN)):
            first = folder / f"{len(seen) * HOLDS}.jpg"
            Image.fromarray(scene).convert("RGB").save(first, quality=92, subsampling="4:2:0")
            for again in range(1, HOLDS):
                first.with_name(f"{len(seen) * HOLDS + again}.jpg").hardlink_to(first)
            picture = Image.open(first)
            picture.draft("YCbCr", picture.size)
            seen.append(np.asarray(picture)[..., 0])
    return seen


@pytest.fixture(scope="module")
def told(town: CameraTown) -> dict[str, Any]:
    """What the probe says."""
    numbers = str(len(town.pictures)), str(len(town.texts))
    ran = town.run("tests.hardware.camera.probe", f"{PLACE}/town", *numbers)
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def test_it_is_the_real_picamera2_with_the_units_own_configuration(told: dict[str, Any]) -> None:
    assert told["picamera2"] == f"{PLACE}/brought/wheels/picamera2/__init__.py"
    assert told["configuration"] == {"main": [1280, 720], "lores": [320, 180]}
    assert told["allocator"] == "DmaAllocator"  # its own
    assert told["raw"] is None


def test_a_frame_is_the_picture_in_both_resolutions(town: CameraTown, told: dict[str, Any]) -> None:
    """Luma of the whole range, unscaled; the small one of the same moment.

    JPEG decoders differ by a few steps of luma in a few pixels; the next picture differs by noise.
    """
    matched = set()
    with np.load(town.folder / "frames.npz") as frames:
        for n in range(len(frames.files) // 2):
            luma, small = frames[f"luma{n}"], frames[f"small{n}"]
            apart = [np.abs(luma.astype(int) - picture) for picture in town.pictures]
            means = [float(one.mean()) for one in apart]
            best = int(np.argmin(means))
            assert means[best] < 1, f"frame {n} is none of the pictures: {means}"
            assert apart[best].max() <= 10
            matched.add(best)
            shrunk = [one.reshape(180, 4, 320, 4).mean((1, 3)) for one in town.pictures]
            means = [float(np.abs(small - one).mean()) for one in shrunk]
            assert int(np.argmin(means)) == best
            assert means[best] < 5  # bilinear, where ours is a mean
    assert matched == set(range(len(town.pictures)))


def test_frames_are_the_drivers_own_memory_and_in_order(told: dict[str, Any]) -> None:
    frames = told["frames"]
    assert not frames["copied"]
    assert frames["in_order"]
    assert frames["youngest_s"] >= 0
    assert frames["oldest_s"] < 5  # the sensor's time, on our clock; a busy machine is late
    assert frames["exposures"] == ["None"]  # this camera tells none, and that is no fault


def test_a_stalled_sensor_is_started_again_and_then_opened_again(told: dict[str, Any]) -> None:
    assert told["stalls"] == [
        ["restart"],
        ["restart", "close", "open"],
        ["restart", "close", "open", "restart"],
    ]


def test_what_was_opened_is_given_back(told: dict[str, Any]) -> None:
    """Open files, mapped buffers and threads, over four openings and a decoder's process."""
    opened, closed = told["reopened"]["open"], told["reopened"]["closed"]
    assert all(maps >= 8 for _, maps, _ in opened), opened
    assert {maps for _, maps, _ in closed} == {0}
    assert closed == closed[:1] * len(closed)
    assert told["left"][1:] == closed[0][1:]


def test_the_symbols_come_out(town: CameraTown, told: dict[str, Any]) -> None:
    assert told["read"] == sorted(town.texts.values())


def test_look_shows_an_installer_what_the_camera_sees(town: CameraTown) -> None:
    with town.running("edge", "look", town.unit_toml, "--json") as look:
        assert look.stdout
        while True:
            seen = json.loads(until(look.stdout.readline, "{"))
            assert seen["size"] == [1280, 720]
            assert seen["exposure"] is None
            kinds = [region["kind"] for region in seen["regions"]]
            if kinds == ["door"] and seen["advice"][0]["key"] == "ready":
                break
        assert seen["regions"][0]["modules"] == 45
        town.tell(signal.SIGINT)
        look.communicate(timeout=PATIENCE_S)
    assert look.returncode == 0


def test_a_door_opens_to_what_its_camera_sees(town: CameraTown) -> None:
    """The whole unit, its relay kept by another process: once for each genuine code."""
    with town.running("run", town.unit_toml, "--show", keeper=True) as unit:
        assert unit.stdout
        for _ in range(2):
            assert until(unit.stdout.readline, ": opens").startswith("green: ")
        until(unit.stdout.readline, ": stays shut")
        family = [town.pid, *children(town.pid)]
        assert len(family) == 2, "the unit and its decoder"
        town.tell(signal.SIGTERM)
        _, errors = unit.communicate(timeout=PATIENCE_S)
    assert unit.returncode == 0, errors
    assert "Traceback" not in errors
    assert not [one for one in family if Path(f"/proc/{one}").exists()]
    assert town.door.closings() == 2


def test_no_camera_is_one_sentence(town: CameraTown) -> None:
    ran = town.run("edge", "look", town.unit_toml, "--seconds", "5", pipelines="none")
    assert (ran.returncode, ran.stdout) == (2, "")
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("menshen-edge: no camera answers (")
    assert "Traceback" not in ran.stderr


def until(read: Callable[[], str], word: str) -> str:
    """The next line with `word`."""
    for line in iter(read, ""):
        if word in line:
            return line
    raise AssertionError(f"it ended and never said {word!r}")


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for one in threads for child in one.read_text().split()]
