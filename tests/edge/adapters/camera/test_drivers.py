"""Cameras: what is asked of the driver, whose memory a frame is, and how a stalled one comes back.

picamera2 is stood in for by its documented surface (its manual and 0.3.31), over real memory maps;
V4L2 by linuxpy's surface (0.25). Time is injected: nothing here waits for it but where it says so.
"""

import errno
import mmap
import os
import subprocess
import sys
import threading
import time
import types
from collections import deque
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from linuxpy.video import device as v4l2
from PIL import Image

from edge.adapters.camera import stall_recovery
from edge.adapters.camera.camera_scanner import Waitable
from edge.adapters.camera.picamera import BUFFERS, PiCamera
from edge.adapters.camera.pictures import PictureError, from_jpeg
from edge.adapters.camera.stall_recovery import LentFrame, StallRecovery, thinned
from edge.adapters.camera.webcam import BRIGHT, DARK, ExposureControl, Webcam
from edge.parts import CameraLost
from edge.sight.frame import Frame
from edge.wire.unit import CameraConfig


class CameraClock:
    """Monotonic seconds, moved by whoever waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


# The thread's part, with a driver of the test's own.


class Scripted:
    """A Driver that does as its script says: a frame, None (nothing in time), or a CameraLost."""

    def __init__(self, clock: CameraClock) -> None:
        self.clock = clock
        self.script: deque[Any] = deque()
        self.done: list[str] = []
        self.out = 0  # frames whose memory has not come back
        self.opens: deque[CameraLost] = deque()

    def open(self) -> None:
        self.done.append(f"open at {self.clock.now_s:.1f}")
        if self.opens:
            raise self.opens.popleft()

    def restart(self) -> None:
        assert self.out == 0, "stopped with memory still lent"
        self.done.append(f"restart at {self.clock.now_s:.1f}")

    def take(self) -> LentFrame | None:
        what = self.script.popleft() if self.script else None
        if isinstance(what, CameraLost):
            raise what
        self.clock.now_s += 0.1 if what is not None else stall_recovery.TAKE_S
        if what is None:
            return None
        self.out += 1
        given = [False]

        def back() -> None:
            assert not given[0], "given back twice"
            given[0] = True
            self.out -= 1

        return LentFrame(Frame(np.full((2, 2), what, np.uint8), self.clock.now_s), back)

    def close(self) -> None:
        assert self.out == 0, "closed with memory still lent"
        self.done.append(f"close at {self.clock.now_s:.1f}")


def scripted() -> tuple[Scripted, StallRecovery, CameraClock]:
    clock = CameraClock()
    driver = Scripted(clock)
    return driver, StallRecovery(driver, clock, threaded=False), clock


def level(camera: StallRecovery) -> int | None:
    frame = camera.latest()
    return None if frame is None else int(frame.luma[0, 0])


def test_the_newest_frame_wins_and_the_memory_of_the_others_goes_back() -> None:
    driver, camera, _ = scripted()
    driver.script += [1, 2, 3]
    for _ in range(3):
        camera.take_turn()
    assert level(camera) == 3
    assert (camera.dropped, driver.out) == (2, 1)
    assert level(camera) is None
    assert driver.out == 1, "it is still being looked at"
    driver.script += [4]
    camera.take_turn()
    assert driver.out == 2
    assert level(camera) == 4
    assert driver.out == 1
    camera.close()
    assert driver.out == 0


def test_a_stalled_camera_is_started_again_then_opened_again() -> None:
    driver, camera, clock = scripted()
    driver.script += [1]
    camera.take_turn()
    assert level(camera) == 1
    said = []
    while clock.now_s < 1008:
        camera.take_turn()
        try:
            camera.latest()
        except CameraLost as lost:
            said.append((round(clock.now_s - 1000.1, 1), str(lost)))
    assert driver.done[1:5] == [
        "restart at 1001.6",
        "close at 1003.1",
        "open at 1003.1",
        "restart at 1004.6",
    ]
    assert said[0] == (3.5, "the camera has stopped giving frames; check its cable or plug")
    driver.script += [2]
    camera.take_turn()
    assert level(camera) == 2, "and when frames come it works again"
    assert len(driver.script) == 0


def test_a_frame_after_a_restart_is_soon_enough_to_go_unnoticed() -> None:
    driver, camera, _ = scripted()
    driver.script += [1, None, None, None, 2]
    for _ in range(5):
        camera.take_turn()
        camera.latest()
    assert [done.split()[0] for done in driver.done] == ["open", "restart"]


def test_a_camera_that_is_gone_is_opened_again_until_it_is_there() -> None:
    driver, camera, clock = scripted()
    driver.script += [1, CameraLost("the plug was pulled")]
    driver.opens += [CameraLost("no camera answers")] * 3
    rests = [camera.take_turn()]
    assert level(camera) == 1
    rests.append(camera.take_turn())
    for _ in range(3):
        rests.append(camera.take_turn())
        clock.now_s += rests[-1]
    assert rests == [
        0.0,
        0.0,
        stall_recovery.REOPEN_S,
        stall_recovery.REOPEN_S,
        stall_recovery.REOPEN_S,
    ]
    with pytest.raises(CameraLost, match=r"no camera answers"):
        camera.latest()
    driver.script += [7]
    camera.take_turn()
    assert level(camera) == 7
    driver.script += [None]
    camera.take_turn()
    clock.now_s += stall_recovery.LOST_S
    with pytest.raises(CameraLost, match="has stopped giving frames"):
        camera.latest()


def test_no_camera_at_the_start_is_told_at_once() -> None:
    driver = Scripted(CameraClock())
    driver.opens += [CameraLost("no camera answers")]
    with pytest.raises(CameraLost, match=r"no camera answers"):
        StallRecovery(driver, driver.clock)


def test_a_driver_that_hangs_holds_nobody_up() -> None:
    """With the thread, and so in real time."""
    hangs = threading.Event()

    class HangingDriver(Scripted):
        def take(self) -> LentFrame | None:
            hangs.wait(20)
            return None

    clock = CameraClock()
    camera = StallRecovery(HangingDriver(clock), clock)
    began_s = time.monotonic()
    assert camera.latest() is None
    clock.now_s += 3.1
    with pytest.raises(CameraLost, match="stopped giving frames"):
        camera.latest()
    assert time.monotonic() - began_s < 1
    camera.close()
    assert time.monotonic() - began_s < 4
    hangs.set()


def test_a_driver_that_raises_what_nobody_foresaw_is_told_to_whoever_asks() -> None:
    class Raises(Scripted):
        def take(self) -> LentFrame | None:
            raise ZeroDivisionError("our own bug")

    driver = Raises(CameraClock())
    camera = StallRecovery(driver, driver.clock)
    camera._thread.join(5)
    with pytest.raises(ZeroDivisionError, match="our own bug"):
        camera.latest()
    assert driver.done[-1].startswith("close"), "the device is given back all the same"
    camera.close()


def test_the_thread_takes_frames_and_ends() -> None:
    class Paced(Scripted):
        def take(self) -> LentFrame | None:
            time.sleep(0.005)
            return super().take()

    clock = CameraClock()
    driver = Paced(clock)
    driver.script += list(range(50))
    camera = StallRecovery(driver, clock)
    until_s = time.monotonic() + 5
    while driver.script and time.monotonic() < until_s:
        camera.latest()
    camera.close()
    assert not camera._thread.is_alive()
    assert driver.done[-1].startswith("close")
    assert driver.out == 0


def test_who_waits_is_woken_by_the_frame() -> None:
    driver, camera, _ = scripted()
    driver.script += [1]
    threading.Timer(0.05, camera.take_turn).start()
    began_s = time.monotonic()
    camera.wait(10)
    assert level(camera) == 1
    camera.wait(0.02)
    assert 0.06 < time.monotonic() - began_s < 5
    assert isinstance(camera, Waitable), "the decoder's thread waits for it and does not ask"


def test_a_thinned_picture_is_the_mean_of_four_points() -> None:
    luma = np.zeros((720, 1280), np.uint8)
    luma[::4, ::4] = 200
    assert thinned(luma, 320).shape == (180, 320)
    assert set(np.unique(thinned(luma, 320))) == {50}
    assert thinned(luma, 1000) is luma
    assert thinned(np.full((481, 643), 255, np.uint8), 320).max() == 255


# picamera2.


class Picamera2:
    """picamera2's surface: requests that hold buffers, jobs that wait for them, controls."""

    clock: CameraClock
    told: list[str]
    model = "imx708"
    focuses = True
    stalled = False
    fails: str | None = None
    late = 0  # so many waits are in vain before a frame comes
    has_tuning = True
    metadata: dict[str, Any]
    opened: "Picamera2"

    def __init__(self, tuning: Any = None) -> None:
        type(self).opened = self
        self.tuning = tuning
        self.started = False
        self.controls: dict[str, Any] = {}
        self.free: list[dict[str, mmap.mmap]] = []
        self.held = 0
        self.jobs: list[Job] = []
        self.count = 0

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        return [{"Model": Picamera2.model, "Num": 0}] if Picamera2.model else []

    @staticmethod
    def load_tuning_file(name: str) -> dict[str, Any]:
        if not Picamera2.has_tuning:
            raise RuntimeError("Tuning file not found")
        assert name == f"{Picamera2.model}.json"
        modes = {"normal": {"shutter": [100, 66666], "gain": [1.0, 16.0]}, "short": {}, "long": {}}
        channel = {"exposure_modes": modes, "y_target": [0, 0.16]}
        agc = {"channels": [channel, {"exposure_modes": dict(modes)}]}
        return {"version": 2.0, "algorithms": [{"rpi.noise": {}}, {"rpi.agc": agc}]}

    @staticmethod
    def find_tuning_algo(tuning: dict[str, Any], name: str) -> Any:
        return next(algo for algo in tuning["algorithms"] if name in algo)[name]

    @property
    def camera_controls(self) -> dict[str, Any]:
        names = ["AeExposureMode", "AeConstraintMode", "NoiseReductionMode", "Sharpness"]
        return dict.fromkeys(
            [*names, *(["AfMode", "AfRange", "AfSpeed", "LensPosition"] * self.focuses)]
        )

    def create_video_configuration(self, **asked: Any) -> dict[str, Any]:
        return asked

    def configure(self, asked: dict[str, Any]) -> None:
        assert not self.started
        self.asked = asked
        self.sizes = {name: asked[name]["size"] for name in ("main", "lores")}
        for _ in range(asked["buffer_count"]):
            planes = {}
            for name, (width, height) in self.sizes.items():
                assert asked[name]["format"] == "YUV420"
                planes[name] = mmap.mmap(-1, (width + 64) * height * 3 // 2)  # rows are padded
            self.free.append(planes)

    def set_controls(self, controls: dict[str, Any]) -> None:
        unknown = controls.keys() - self.camera_controls.keys()
        if unknown:
            raise RuntimeError(f"Control {unknown} is not advertised by libcamera")
        self.controls |= controls

    def start(self) -> None:
        self.told.append("start")
        self.started = True

    def stop(self) -> None:
        assert not self.jobs, "stopped with a job that waits: it would block"
        assert self.held == 0, "stopped with requests still held"
        self.told.append("stop")
        self.started = False

    def close(self) -> None:
        self.told.append("close")
        self.started = False

    def cancel_all_and_flush(self) -> None:
        self.jobs.clear()

    def capture_request(self, wait: bool) -> "Job":
        assert not wait, "it may wait for ever"
        job = Job(self)
        self.jobs.append(job)
        return job


class Job:
    def __init__(self, camera: Picamera2) -> None:
        self.camera = camera

    def get_result(self, timeout: float) -> "Request":
        camera = self.camera
        assert self in camera.jobs, "this job was cancelled"
        if camera.fails:
            raise RuntimeError(camera.fails)
        type(camera).late -= 1
        if camera.stalled or type(camera).late >= 0 or not camera.free:
            camera.clock.now_s += timeout
            raise TimeoutError
        camera.jobs.remove(self)
        camera.clock.now_s += 1 / 15
        return Request(camera)


class Request:
    def __init__(self, camera: Picamera2) -> None:
        self.camera = camera
        self.planes = camera.free.pop(0)
        camera.held += 1
        camera.count += 1
        self.config = camera.asked
        for name, (width, height) in camera.sizes.items():
            plane = np.frombuffer(self.planes[name], np.uint8).reshape(height * 3 // 2, width + 64)
            plane[:] = 200  # chroma and padding
            plane[:height, :width] = camera.count % 100

    def get_metadata(self) -> dict[str, Any]:
        return self.camera.metadata

    def release(self) -> None:
        assert self.planes is not None, "released twice"
        self.camera.free.append(self.planes)
        self.camera.held -= 1
        self.planes = None  # type: ignore[assignment]


class MappedArray:
    def __init__(self, request: Request, stream: str, reshape: bool = True, write: bool = True):
        assert not write
        self.request, self.stream = request, stream

    def __enter__(self) -> "MappedArray":
        width, height = self.request.camera.sizes[self.stream]
        flat = np.frombuffer(self.request.planes[self.stream], np.uint8)
        self.array = flat.reshape(height * 3 // 2, width + 64)
        return self

    def __exit__(self, *_: object) -> None:
        del self.array


@pytest.fixture
def pi(monkeypatch: pytest.MonkeyPatch) -> type[Picamera2]:
    """A new stand-in, in the place of picamera2 and libcamera."""
    fresh: Any = type("Picamera2", (Picamera2,), {"clock": CameraClock(), "told": []})
    fresh.metadata = {"ExposureTime": 4160, "AnalogueGain": 4.0, "DigitalGain": 1.5}
    picamera2: Any = types.ModuleType("picamera2")
    picamera2.Picamera2, picamera2.MappedArray = fresh, MappedArray
    libcamera: Any = types.ModuleType("libcamera")
    libcamera.ColorSpace = types.SimpleNamespace(Sycc=lambda: "sYCC")

    def named(*names: str) -> types.SimpleNamespace:
        return types.SimpleNamespace(**{name: name for name in names})

    libcamera.controls = types.SimpleNamespace(
        AeExposureModeEnum=named("Short"),
        AeConstraintModeEnum=named("Highlight"),
        AfModeEnum=named("Manual", "Continuous"),
        AfRangeEnum=named("Macro"),
        AfSpeedEnum=named("Fast"),
        draft=types.SimpleNamespace(NoiseReductionModeEnum=named("Off")),
    )
    monkeypatch.setitem(sys.modules, "picamera2", picamera2)
    monkeypatch.setitem(sys.modules, "libcamera", libcamera)
    monkeypatch.setattr(Picamera2, "model", "imx708")
    monkeypatch.setattr(Picamera2, "has_tuning", True)
    return fresh


def by(pi: type[Picamera2], **settings: Any) -> StallRecovery:
    return StallRecovery(PiCamera(CameraConfig(**settings)), pi.clock, threaded=False)


def test_the_luma_is_the_drivers_memory_without_padding_or_chroma(pi: type[Picamera2]) -> None:
    camera = by(pi, width=640, height=480)
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert frame.small is not None
    assert (frame.luma.shape, frame.small.shape) == ((480, 640), (180, 320))
    assert set(np.unique(frame.luma)) == set(np.unique(frame.small)) == {1}
    held = np.frombuffer(next(iter(held_planes(frame))), np.uint8)
    assert np.shares_memory(frame.luma, held)
    assert not frame.luma.flags.owndata
    assert pi.opened.held == 1
    camera.take_turn()
    assert camera.latest() is not None
    assert pi.opened.held == 1, "the one before went back"
    camera.close()
    assert (pi.opened.held, pi.told[-1]) == (0, "close")


def held_planes(frame: Frame) -> list[Any]:
    """The memory below a frame's luma."""
    below: Any = frame.luma
    while getattr(below, "base", None) is not None:
        below = below.base
    return [below]


def test_it_is_set_up_for_codes(pi: type[Picamera2]) -> None:
    by(pi, frames_per_s=20, shutter_us_max=3000, gain_max=8.0)
    asked, controls = pi.opened.asked, pi.opened.controls
    assert (asked["queue"], asked["raw"], asked["colour_space"]) == (False, None, "sYCC")
    assert asked["controls"] == {"FrameRate": 20}
    assert asked["buffer_count"] == BUFFERS
    assert controls == {
        "AeExposureMode": "Short",
        "AeConstraintMode": "Highlight",
        "NoiseReductionMode": "Off",
        "Sharpness": 0.0,
        "AfMode": "Continuous",
        "AfRange": "Macro",
        "AfSpeed": "Fast",
    }
    agc = Picamera2.find_tuning_algo(pi.opened.tuning, "rpi.agc")
    stages = {"shutter": [100, 3000], "gain": [1.0, 8.0]}
    for channel in agc["channels"]:
        assert channel["exposure_modes"] == dict.fromkeys(("normal", "short", "long"), stages)
    assert agc["channels"][0]["y_target"] == [0, 0.16], "the rest of the tuning stays"


def test_a_lens_is_held_where_the_unit_says(pi: type[Picamera2]) -> None:
    by(pi, focus_m=0.25)
    controls = pi.opened.controls
    assert (controls["AfMode"], controls["LensPosition"]) == ("Manual", 4.0)
    assert "AfRange" not in controls


@pytest.mark.parametrize("focus_m", [None, 0.2])
def test_a_fixed_lens_is_not_asked_to_focus(pi: type[Picamera2], focus_m: float | None) -> None:
    pi.focuses = False
    by(pi, focus_m=focus_m)
    assert not [name for name in pi.opened.controls if name.startswith(("Af", "Lens"))]


def test_a_camera_without_a_tuning_of_its_own_starts_too(
    pi: type[Picamera2], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picamera2, "has_tuning", False)
    camera = by(pi)
    assert pi.opened.tuning is None
    camera.take_turn()
    assert camera.latest() is not None


def test_a_frame_is_dated_by_the_sensor(pi: type[Picamera2]) -> None:
    camera = by(pi)
    seen_s = time.monotonic() - 0.04
    pi.metadata |= {"SensorTimestamp": int(seen_s * 1e9), "LensPosition": 4.5}
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert frame.seen_s == pytest.approx(seen_s, abs=1e-6)
    assert frame.exposure is not None
    exposure = frame.exposure
    assert (exposure.shutter_us, exposure.gain, exposure.lens_dioptres) == (4160, 6.0, 4.5)


@pytest.mark.parametrize("off_s", [3600.0, -3600.0, 0.5])
def test_a_date_of_another_clock_is_not_taken(pi: type[Picamera2], off_s: float) -> None:
    camera = by(pi)
    pi.metadata = {"SensorTimestamp": int((time.monotonic() + off_s) * 1e9)}
    before_s = time.monotonic()
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert before_s <= frame.seen_s <= time.monotonic()
    assert frame.exposure is None


def test_whoever_looks_slowly_never_stops_the_sensor(pi: type[Picamera2]) -> None:
    camera = by(pi)
    for turn in range(200):
        camera.take_turn()
        assert pi.opened.held <= 3
        if turn % 9 == 0:
            assert camera.latest() is not None
    assert pi.opened.count == 200, "every frame came"
    assert camera.dropped > 150


def test_a_stalled_pi_camera_is_brought_back(pi: type[Picamera2]) -> None:
    camera = by(pi)
    for _ in range(3):
        camera.take_turn()
        camera.latest()
    pi.stalled = True
    while pi.clock.now_s < 1006:
        camera.take_turn()
    assert pi.told[:4] == ["start", "stop", "start", "close"]
    with pytest.raises(CameraLost, match="stopped giving frames"):
        camera.latest()
    pi.stalled = False
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None


def test_a_late_frame_is_still_taken(pi: type[Picamera2]) -> None:
    """One asked for and given up would hold its buffer for ever."""
    camera = by(pi)
    for _ in range(50):
        pi.late = 2
        while camera.latest() is None:
            camera.take_turn()
    assert pi.told == ["start"]
    assert pi.opened.held == 1
    assert len(pi.opened.free) == BUFFERS - 1


def test_a_pi_camera_that_fails_is_opened_again(pi: type[Picamera2]) -> None:
    camera = by(pi)
    camera.take_turn()
    assert camera.latest() is not None
    pi.fails = "the camera frontend has timed out"
    camera.take_turn()
    assert pi.told == ["start", "close"]
    pi.fails = None
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert pi.told == ["start", "close", "start"]


def test_no_pi_camera_is_one_sentence(pi: type[Picamera2], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Picamera2, "model", "")
    with pytest.raises(CameraLost, match=r"no camera answers .*ribbon cable"):
        by(pi)


def test_no_picamera2_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setitem(sys.modules, "libcamera", None)
    with pytest.raises(CameraLost, match="picamera2 is not installed"):
        PiCamera(CameraConfig())


def test_a_picamera2_for_another_numpy_is_one_sentence(
    pi: type[Picamera2], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Raspberry Pi OS's picamera2 fails where pip has brought a newer numpy."""
    said = "numpy.dtype size changed, may indicate binary incompatibility"
    (tmp_path / "picamera2.py").write_text(f"raise ValueError({said!r})")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "picamera2", raising=False)
    with pytest.raises(CameraLost, match="does not fit this numpy"):
        PiCamera(CameraConfig())


# V4L2.


class Control:
    """A control of linuxpy's: a value within bounds, or one that the camera does not let us set."""

    def __init__(self, low: int, high: int, value: int, refuses: bool = False) -> None:
        self.minimum, self.maximum = low, high
        self._value, self._refuses = value, refuses

    @property
    def value(self) -> int:
        return self._value

    @value.setter
    def value(self, value: int) -> None:
        if self._refuses:
            raise AttributeError("MenuControl auto_exposure is not writeable: read-only")
        assert isinstance(value, int)
        assert self.minimum <= value <= self.maximum
        self._value = value


class LinuxpyCamera:
    """A USB camera at linuxpy's surface: Device and VideoCapture in one, frames through a pipe."""

    offers: dict[str, float]  # format: frames a second
    frame: bytes
    plugged = True
    error = errno.ENODEV
    controls: dict[int, Control]
    line = 0  # bytes; 0: the driver does not say
    told: list[str]
    readable: tuple[int, int]
    timestamp_s: float | None = None

    def __init__(self, source: Any, size: int = 0) -> None:
        if isinstance(source, LinuxpyCamera):
            self.device = source

    # Device

    @property
    def info(self) -> Any:
        def paces(found: Any, width: int, height: int) -> list[Any]:
            return [types.SimpleNamespace(max_fps=self.offers[found.name])]

        return types.SimpleNamespace(fps_intervals=paces)

    def fileno(self) -> int:
        return self.readable[0]

    def open(self) -> None:
        if not self.plugged:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "/dev/video3")
        self.told.append("capture" if hasattr(self, "device") else "open")

    def close(self) -> None:
        self.told.append("stop" if hasattr(self, "device") else "close")

    # VideoCapture

    def formats(self) -> list[Any]:
        return [types.SimpleNamespace(pixel_format=v4l2.PixelFormat[name]) for name in self.offers]

    def set_format(self, width: int, height: int, chosen: Any) -> None:
        self.told.append(chosen.name)
        type(self).format = v4l2.Format(width, height, chosen, 0, self.line)

    format: Any = None

    def set_fps(self, fps: float) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    def get_format(self) -> Any:
        return self.format

    @property
    def buffer(self) -> "LinuxpyCamera":
        return self

    def raw_read(self) -> Any:
        if not self.plugged:
            raise OSError(self.error, os.strerror(self.error))
        os.read(self.readable[0], 1)
        stamped_s = time.monotonic() if self.timestamp_s is None else self.timestamp_s
        return types.SimpleNamespace(data=self.frame, timestamp=stamped_s)


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A camera that is plugged in; `comes(n)` makes n frames readable."""
    ends = os.pipe()
    fresh: Any = type(
        "Usb", (LinuxpyCamera,), {"offers": {"YUYV": 30.0}, "told": [], "controls": {}}
    )
    fresh.readable, fresh.frame = ends, b""
    fresh.comes = staticmethod(lambda frames=1: os.write(ends[1], b"x" * frames))
    monkeypatch.setattr(v4l2, "Device", fresh)
    monkeypatch.setattr(v4l2, "VideoCapture", fresh)
    monkeypatch.setattr("edge.adapters.camera.webcam.TAKE_S", 0.01)
    yield fresh
    for end in ends:
        os.close(end)


LUMA = np.arange(640 * 480, dtype=np.uint32).astype(np.uint8).reshape(480, 640)
SIZE = {"kind": "webcam", "source": "/dev/video3", "width": 640, "height": 480}


def packed(first: int, padding: int = 0) -> bytes:
    """LUMA at every second byte of rows that are padded."""
    rows = np.full((480, 1280 + padding), 128, np.uint8)
    rows[:, first:1280:2] = LUMA
    return rows.tobytes()


@pytest.mark.parametrize(
    ("name", "line", "data"),
    [
        ("GREY", 0, LUMA.tobytes()),
        ("NV12", 640, LUMA.tobytes() + b"\x80" * (640 * 240)),
        ("YUV420", 640, LUMA.tobytes() + b"\x80" * (640 * 240)),
        ("YUYV", 1280, packed(0)),
        ("YUYV", 1344, packed(0, 64)),
        ("UYVY", 0, packed(1)),
    ],
)
def test_luma_is_sliced_out_of_what_a_usb_camera_sends(
    usb: Any, name: str, line: int, data: bytes
) -> None:
    usb.offers, usb.line, usb.frame = {name: 30.0}, line, data
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    usb.comes()
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert (frame.luma == LUMA).all()
    assert frame.small is not None
    assert frame.small.shape == (240, 320)
    camera.close()
    assert usb.told[-2:] == ["stop", "close"]


def compressed(quality: int = 90) -> bytes:
    colours = np.random.default_rng(1).integers(0, 255, (30, 40, 3), np.uint8)
    colours = colours.repeat(16, 0).repeat(16, 1)
    buffer = BytesIO()
    Image.fromarray(colours).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def without_huffman_tables(data: bytes) -> bytes:
    """As Motion-JPEG comes from many cameras: the standard tables are left out."""
    at, kept = 2, [data[:2]]
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] != 0xC4:
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def test_of_motion_jpeg_the_luma_is_decoded(usb: Any) -> None:
    usb.offers, usb.frame = {"MJPEG": 30.0}, compressed()
    full = np.asarray(Image.open(BytesIO(usb.frame)).convert("L")).astype(int)
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    for data in (usb.frame, without_huffman_tables(usb.frame)):
        usb.frame = data
        usb.comes()
        camera.take_turn()
        frame = camera.latest()
        assert frame is not None
        assert np.abs(frame.luma - full).mean() < 2
    assert len(without_huffman_tables(compressed())) < len(compressed())


def claims(width: int, height: int) -> bytes:
    """A JPEG of which a bit or two have turned where it tells its size."""
    data = compressed()
    at = data.index(b"\xff\xc0") + 5  # baseline DCT: length, precision, then height and width
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("MJPEG", compressed()[:3000]),
        ("MJPEG", b""),
        ("MJPEG", claims(65535, 65535)),
        ("MJPEG", claims(8000, 6000)),
        ("YUYV", packed(0)[:-1]),
        ("GREY", b""),
    ],
    ids=["half a JPEG", "no JPEG", "a bomb", "eight times too large", "a byte too few", "nothing"],
)
def test_a_torn_frame_is_passed_over(usb: Any, name: str, data: bytes) -> None:
    usb.offers, usb.frame = {name: 30.0}, data
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    usb.comes()
    camera.take_turn()
    assert camera.latest() is None


def test_a_jpeg_of_another_kind_is_one_sentence() -> None:
    with pytest.raises(PictureError, match="damaged"):
        from_jpeg(b"P5 10 10 255\n" + b"x" * 100)


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ({"MJPEG": 30, "YUYV": 30, "GREY": 30}, "GREY"),
        ({"MJPEG": 30, "YUYV": 10}, "MJPEG"),
        ({"YUYV": 10, "RGB24": 60}, "YUYV"),
        ({"H264": 30, "MJPEG": 5, "NV12": 15, "YUYV": 15}, "NV12"),
    ],
)
def test_the_format_that_costs_least_is_taken_where_it_is_quick_enough(
    usb: Any, offers: dict[str, float], chosen: str
) -> None:
    usb.offers = offers
    Webcam(CameraConfig(**SIZE)).open()
    assert chosen in usb.told


def test_only_the_newest_of_the_frames_that_wait_is_taken(usb: Any) -> None:
    usb.frame = packed(0)
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    usb.comes(3)
    camera.take_turn()
    assert camera.latest() is not None
    camera.take_turn()
    assert camera.latest() is None


def test_a_usb_camera_is_dated_by_its_driver_when_that_has_our_clock(usb: Any) -> None:
    usb.frame = packed(0)
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    now_s = time.monotonic()
    for stamped_s, dated in ((now_s - 0.05, True), (now_s + 1000, False), (0.0, False)):
        usb.timestamp_s = stamped_s
        usb.comes()
        camera.take_turn()
        frame = camera.latest()
        assert frame is not None
        assert (frame.seen_s == stamped_s) is dated
        assert now_s - 0.06 <= frame.seen_s <= time.monotonic()


def test_unplugged_and_plugged_in_again(usb: Any) -> None:
    clock = CameraClock()
    usb.frame = packed(0)
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), clock, threaded=False)
    usb.comes()
    camera.take_turn()
    assert camera.latest() is not None
    usb.plugged = False
    usb.comes()  # an unplugged device is readable, and says so
    rests = [camera.take_turn() for _ in range(4)]
    assert rests == [0.0, stall_recovery.REOPEN_S, stall_recovery.REOPEN_S, stall_recovery.REOPEN_S]
    clock.now_s += 3 * stall_recovery.REOPEN_S
    with pytest.raises(CameraLost, match=r"no camera answers at /dev/video3 .*check its plug"):
        camera.latest()
    usb.plugged = True
    camera.take_turn()
    assert camera.latest() is not None
    assert usb.told.count("open") == 2


def test_a_usb_camera_that_stalls_is_started_again(usb: Any) -> None:
    clock = CameraClock()
    usb.frame = packed(0)
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), clock, threaded=False)
    for _ in range(3):
        clock.now_s += 0.8
        camera.take_turn()
    assert usb.told == ["open", "YUYV", "capture", "stop", "capture"]
    usb.comes()
    camera.take_turn()
    assert camera.latest() is not None


def steered(
    light: float, camera: CameraConfig, gain: bool = True, frames: int = 60
) -> tuple[float, Any]:
    """Mean luma in the end, and what was set, in a scene whose grey wants 1 / `light` ms."""
    shutter, amplifier = Control(1, 10_000, 156), Control(0, 100, 50) if gain else None
    exposing = ExposureControl(shutter, amplifier, camera)
    mean = 0.0
    for frame in range(frames):
        times = 1 + 15 * amplifier.value / 100 if amplifier else 1.0
        linear = 0.16 * light * shutter.value / 10 * times
        mean = 255 * min(1.0, linear) ** (1 / 2.2)
        exposing.follow(mean, frame / 15)
    return mean, (shutter.value, amplifier.value if amplifier else None)


@pytest.mark.parametrize("light", [0.03, 0.1, 0.3, 1.0, 8.0])
def test_a_usb_camera_is_exposed_by_a_short_shutter_first_then_gain(light: float) -> None:
    mean, (shutter, gain) = steered(light, CameraConfig())
    assert DARK <= mean <= BRIGHT
    assert shutter <= 41, "4.1 ms"
    assert gain == 0 or shutter == 41, "gain only where the shutter is not enough"


def test_without_gain_and_without_light_the_shutter_stays_short() -> None:
    mean, (shutter, _) = steered(0.01, CameraConfig(), gain=False)
    assert (mean < DARK, shutter) == (True, 41)


def test_gain_stays_within_its_bound() -> None:
    _, (shutter, gain) = steered(0.001, CameraConfig(gain_max=4.0))
    assert (shutter, gain) == (41, 20)


def test_a_usb_camera_is_steered_where_it_lets_us(usb: Any) -> None:
    mode = Control(0, 3, 3)
    usb.controls = {
        v4l2.ControlID.EXPOSURE_AUTO: mode,
        v4l2.ControlID.EXPOSURE_ABSOLUTE: Control(1, 10_000, 333),
        v4l2.ControlID.GAIN: Control(0, 255, 0),
    }
    usb.frame = bytes(len(packed(0)))
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    usb.comes()
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert frame.exposure is not None
    assert (mode.value, frame.exposure.shutter_us, frame.exposure.gain) == (1, 4100, 1.0)
    usb.comes()
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert frame.exposure is not None
    assert frame.exposure.gain == pytest.approx(4.0), "it was black"


def test_a_usb_camera_that_exposes_itself_keeps_its_pace(usb: Any) -> None:
    """Else it takes a tenth of a second and more a frame in low light."""
    pace = Control(0, 1, 1)
    usb.controls = {
        v4l2.ControlID.EXPOSURE_AUTO: Control(0, 3, 3, refuses=True),
        v4l2.ControlID.EXPOSURE_AUTO_PRIORITY: pace,
    }
    usb.frame = packed(0)
    camera = StallRecovery(Webcam(CameraConfig(**SIZE)), threaded=False)
    assert pace.value == 0
    usb.comes()
    camera.take_turn()
    frame = camera.latest()
    assert frame is not None
    assert frame.exposure is None


def test_a_device_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    """With linuxpy itself, on nothing, on a file, on a folder and on a terminal."""
    plain = tmp_path / "video0"
    plain.write_bytes(b"")
    here, there = os.openpty()
    for source in ("/dev/video99", str(plain), str(tmp_path), os.ttyname(there)):
        with pytest.raises(CameraLost, match=r"no camera answers at .*check its plug") as lost:
            StallRecovery(Webcam(CameraConfig(kind="webcam", source=source)))
        assert "\n" not in str(lost.value)
    os.close(here)
    os.close(there)


@pytest.mark.system
def test_no_camera_brings_opencv_into_the_units_process() -> None:
    said = "import sys; from edge.adapters.camera import picamera, pictures, webcam;"
    said += "print([m for m in ('cv2', 'zxingcpp', 'pyzbar') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
