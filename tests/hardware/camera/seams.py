"""Run a program of this project on the real picamera2, over libcamera's virtual camera.

`python -m tests.hardware.camera.seams MODULE [ARGUMENT]...`. What that camera lacks of a Raspberry
Pi's is stood in for here, below picamera2 or beside what this project asks of it (README.md).
"""

import os
import runpy
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

for absent in ("pykms", "pidng", "pidng.camdefs", "pidng.core"):
    sys.modules[absent] = MagicMock()  # a monitor without a desktop, and DNG files

import libcamera  # noqa: E402
import picamera2  # noqa: E402

STALL = Path(os.environ["MENSHEN_STALL"])
"""A number written here stalls the sensor, until the camera has been started so often."""

PID = os.environ.get("MENSHEN_PID")
"""Where this process says who it is."""


class TwoPlanes:
    """A buffer of one plane, as picamera2 makes it, in the two planes of NV12.

    Raspberry Pi's pipeline divides it itself; the virtual camera writes to the second one.
    """

    _made = libcamera.FrameBuffer
    Plane = libcamera.FrameBuffer.Plane

    def __new__(cls, planes: list[Any]) -> Any:
        (luma,) = planes  # stays itself: picamera2 knows the buffer by its file
        chroma = cls.Plane()
        chroma.fd, chroma.offset, chroma.length = luma.fd, luma.length * 2 // 3, luma.length // 3
        luma.length = chroma.offset
        return cls._made([luma, chroma])


class Sensor:
    """The pace of a sensor: the oldest request that waits gets the next frame.

    The virtual camera alone fills a request in the moment it is queued.
    """

    _queue = libcamera.Camera.queue_request
    _start, _stop = libcamera.Camera.start, libcamera.Camera.stop

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[tuple[Any, Any]] = deque()
        self._period_s = 1 / 30
        self._starts = 0  # that it takes to bring a stalled one back

    def start(self, camera: Any, controls: Any = None) -> None:
        for control, value in (controls or {}).items():
            if control.name == "FrameDurationLimits":
                self._period_s = value[0] / 1e6
        self._starts = max(0, self._starts - 1)
        Sensor._start(camera, controls)

    def queue(self, camera: Any, request: Any) -> None:
        with self._lock:
            self._waiting.append((camera, request))

    def stop(self, camera: Any) -> None:
        with self._lock:
            self._waiting.clear()
            Sensor._stop(camera)

    def run(self) -> None:
        while True:
            time.sleep(self._period_s)
            if STALL.exists():
                self._starts = int(STALL.read_text())
                STALL.unlink()
            with self._lock:
                if self._waiting and not self._starts:
                    Sensor._queue(*self._waiting.popleft())


def raw_modes(device: Any) -> list[dict[str, Any]]:
    """The virtual camera has no raw stream that could be asked for its modes."""
    return [{"format": "SBGGR10", "size": (1280, 720)}]


sensor = Sensor()
libcamera.FrameBuffer = TwoPlanes
libcamera.Camera.start = lambda camera, controls=None: sensor.start(camera, controls)
libcamera.Camera.queue_request = lambda camera, request: sensor.queue(camera, request)
libcamera.Camera.stop = lambda camera: sensor.stop(camera)
picamera2.Picamera2._get_raw_modes = raw_modes
threading.Thread(target=sensor.run, name="sensor", daemon=True).start()

if __name__ == "__main__":
    if PID:
        Path(PID).write_text(str(os.getpid()))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
