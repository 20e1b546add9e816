"""The Pi's camera through picamera2: the Y plane of its YUV420 stream, without colour conversion.

picamera2 comes with Raspberry Pi OS (python3-picamera2) or the extra `pi`.
"""

import threading
import time
from typing import Any

import numpy as np

from edge.adapters.newest import Newest
from edge.ports import CameraLost, Frame
from edge.wire.unit import Camera

STALLED_S = 3.0
"""A camera that gives no frame for this long is lost; libcamera's own limit is 1 s a frame."""


class PiCamera:
    """A thread takes frames; `latest` never waits. Raises CameraLost when there is no camera."""

    def __init__(self, camera: Camera) -> None:
        try:
            from picamera2 import Picamera2
        except ImportError:
            raise CameraLost(
                "picamera2 is not installed; on Raspberry Pi OS: apt install python3-picamera2, "
                "and make the virtual environment with --system-site-packages"
            ) from None
        except ValueError as error:  # its compiled parts were made for another numpy
            raise CameraLost(
                f"picamera2 does not fit this numpy ({error}); use the one of the system: "
                "pip uninstall numpy in the virtual environment"
            ) from None
        self._size = (camera.width, camera.height)
        try:
            self._device: Any = Picamera2()
            self._device.configure(
                self._device.create_video_configuration(
                    main={"size": self._size, "format": "YUV420"},
                    controls={"FrameRate": camera.frames_per_s},
                    buffer_count=3,
                )
            )
            self._device.start()
        except (RuntimeError, IndexError, OSError) as error:
            raise CameraLost(
                f"no camera answers ({error}); check the ribbon cable and "
                "`rpicam-hello --list-cameras`"
            ) from None
        self._newest = Newest()
        self._started_s = self._last_s = time.monotonic()
        self._failed: str | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def latest(self) -> Frame | None:
        """The newest frame; raises CameraLost when the camera failed or stalled."""
        frame = self._newest.take()
        if frame is not None:
            self._last_s = frame.seen_s
            return frame
        if self._failed is not None:
            raise CameraLost(f"the camera failed ({self._failed}); check its cable, then restart")
        if time.monotonic() - self._last_s > STALLED_S:
            raise CameraLost("the camera has stopped giving frames; check its cable, then restart")
        return None

    def close(self) -> None:
        """Stop the thread, then the camera."""
        self._closed = True
        self._thread.join(timeout=2)
        self._device.stop()
        self._device.close()

    def _run(self) -> None:
        width, height = self._size
        while not self._closed:
            try:
                planes = self._device.capture_array("main")  # (height * 3 / 2, stride), uint8
            except (RuntimeError, OSError) as error:
                self._failed = str(error) or type(error).__name__
                return
            luma = np.ascontiguousarray(planes[:height, :width])
            self._newest.put(Frame(luma, time.monotonic()))
