"""A USB camera through OpenCV, for a laptop and for `make demo CAMERA=/dev/video0`."""

import re
import threading
import time
from typing import Any

from edge.adapters.newest import Newest
from edge.ports import CameraLost, Frame
from edge.wire.unit import Camera

_VIDEO = re.compile(r"/dev/video(\d{1,3})")


class Webcam:
    """A thread takes frames; `latest` never waits. Raises CameraLost when there is no camera."""

    def __init__(self, camera: Camera) -> None:
        try:
            import cv2
        except ImportError:
            raise CameraLost(
                "OpenCV is not installed; pip install opencv-python-headless, or use a Pi camera"
            ) from None
        self._gray = cv2.COLOR_BGR2GRAY
        self._convert = cv2.cvtColor
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # we say it ourselves
        number = _VIDEO.fullmatch(camera.source)  # V4L2 is opened by number, not by name
        self._device: Any = (
            cv2.VideoCapture(int(number[1]), cv2.CAP_V4L2)
            if number
            else cv2.VideoCapture(camera.source)
        )
        if not self._device.isOpened():
            raise CameraLost(
                f"no camera answers at {camera.source}; check its plug and `ls /dev/video*`"
            )
        self._device.set(cv2.CAP_PROP_FRAME_WIDTH, camera.width)
        self._device.set(cv2.CAP_PROP_FRAME_HEIGHT, camera.height)
        self._newest = Newest()
        self._failed = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def latest(self) -> Frame | None:
        """The newest frame; raises CameraLost when the camera was unplugged."""
        frame = self._newest.take()
        if frame is None and self._failed:
            raise CameraLost("the camera has stopped giving frames; check its plug, then restart")
        return frame

    def close(self) -> None:
        """Stop the thread, then the camera."""
        self._closed = True
        self._thread.join(timeout=2)
        self._device.release()

    def _run(self) -> None:
        while not self._closed:
            got, picture = self._device.read()
            if not got:
                self._failed = True
                return
            self._newest.put(Frame(self._convert(picture, self._gray), time.monotonic()))
