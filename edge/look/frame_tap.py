"""A camera that passes its frames on and keeps copies, so that boxes are drawn on their frame."""

import threading
import time
from collections import deque
from dataclasses import replace

from edge.sight.frame import Frame
from edge.sight.ports import FrameSource

KEPT = 6
"""Frames that a sighting may be behind, decoded and drawn; each is a copy of the whole luma."""

POLL_S = 0.003  # of a camera that cannot be waited for
RATE_FRAMES = 30  # from which the frame rate is computed


class Tee:
    """A port `FrameSource` around another; its frames are asked for from any thread."""

    def __init__(self, camera: FrameSource) -> None:
        self._camera = camera
        self._lock = threading.Lock()
        self._kept: deque[Frame] = deque(maxlen=KEPT)
        self._seen_s: deque[float] = deque(maxlen=RATE_FRAMES)

    def latest(self) -> Frame | None:
        """What the camera gives; raises CameraLost as it does."""
        frame = self._camera.latest()
        if frame is not None:
            copy = replace(frame, luma=frame.luma.copy(), small=None)
            with self._lock:
                self._kept.append(copy)
                self._seen_s.append(frame.seen_s)
        return frame

    def close(self) -> None:
        """Give the camera back and forget the frames."""
        self._camera.close()
        with self._lock:
            self._kept.clear()

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there may be a new frame."""
        wait = getattr(self._camera, "wait", None)
        if wait is None:
            time.sleep(min(seconds, POLL_S))
        else:
            wait(seconds)

    def frame(self, seen_s: float) -> Frame | None:
        """The frame that was seen then; None: it is forgotten, and no other will do."""
        with self._lock:
            return next((frame for frame in self._kept if frame.seen_s == seen_s), None)

    @property
    def dropped(self) -> int | None:
        """Frames that nobody took in time; None: this camera does not count them."""
        return getattr(self._camera, "dropped", None)

    @property
    def frames_per_s(self) -> float:
        """How many are taken, by their own times; 0 before the second."""
        with self._lock:
            if len(self._seen_s) < 2:
                return 0.0
            passed_s = self._seen_s[-1] - self._seen_s[0]
            return (len(self._seen_s) - 1) / passed_s if passed_s > 0 else 0.0
