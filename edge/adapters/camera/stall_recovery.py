"""The newest frame of a camera. A thread takes the frames and restarts a camera that has stalled.

`latest` returns the newest frame; older ones are dropped and counted. A driver's call may hang, as
libcamera's do when a cable was moved. Then only the thread hangs, and `latest` raises CameraLost.
After DRIVER_S_MAX the watch over the threads ends the program, and systemd restarts it.
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from edge.parts import CameraLost
from edge.sight.frame import Frame, Luma
from edge.threads import Progress, Threads

TAKE_S = 0.5
"""How long a driver waits for one frame."""
STALLED_S = 1.5
"""After this long without a frame the camera is restarted, and after as long again it is reopened.
libcamera itself reports after 1 s that its frontend has timed out."""
LOST_S = 3.0
"""After this long without a frame `latest` raises CameraLost."""
DRIVER_S_MAX = 60.0
"""A call of the driver that takes this long hangs; only a new process can use the camera again."""
REOPEN_S = 2.0
"""The wait between two attempts to open a camera that is gone."""


class LentFrame(NamedTuple):
    """A frame whose memory may belong to the driver."""

    frame: Frame
    give_back: Callable[[], None]  # returns that memory to the driver; never raises


class CameraDriver(Protocol):
    """A camera's library. Only one thread calls it at a time; its calls may take a while."""

    def open(self) -> None:
        """Open and start. Raises CameraLost, and nothing is open after that."""

    def restart(self) -> None:
        """Stop and start the open camera. Raises CameraLost."""

    def take(self) -> LentFrame | None:
        """The next frame; None: none came within TAKE_S. Raises CameraLost if it is gone."""

    def close(self) -> None:
        """Give the device back. Never raises."""


class StallRecovery:
    """The port `FrameSource`. A frame's memory is valid until the next frame is taken."""

    def __init__(
        self,
        driver: CameraDriver,
        monotonic_s: Callable[[], float] = time.monotonic,
        threaded: bool = True,
        threads: Threads | None = None,
    ) -> None:
        """Open `driver` and start the thread. Raises CameraLost.

        `threaded`: if False, the caller calls `take_turn` instead of a thread.
        """
        self._driver = driver
        self._monotonic_s = monotonic_s
        self._lock = threading.Condition()
        self._waiting: LentFrame | None = None
        self._lent: LentFrame | None = None
        self._closed = threading.Event()
        self._reason = ""
        self._bug: Exception | None = None
        self.dropped = 0
        driver.open()
        self._open, self._restarted = True, False
        self._frame_s = self._waiting_since_s = monotonic_s()
        self._thread = (threads or Threads()).start("camera", self._run) if threaded else None

    def latest(self) -> Frame | None:
        """The newest frame not yet taken; None: nothing new. Frees the memory of the one before.

        Raises CameraLost when no frame has come for LOST_S.
        """
        if self._bug is not None:
            raise self._bug
        with self._lock:
            lent, self._waiting = self._waiting, None
            if lent is not None:
                previous, self._lent = self._lent, lent
                if previous is not None:
                    previous.give_back()
                return lent.frame
        if self._monotonic_s() - self._frame_s > LOST_S:
            raise CameraLost(
                self._reason or "the camera has stopped giving frames; check its cable or plug"
            )
        return None

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a frame not yet taken."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting is not None, seconds)

    def close(self) -> None:
        """Stop the thread, which closes the device. A thread that hangs is abandoned after 2 s."""
        self._closed.set()
        if self._thread is None:
            self._close_driver()
        else:
            self._thread.join(timeout=2)

    def take_turn(self) -> float:
        """Take one frame, or restart or reopen the camera. Returns the seconds to rest after it."""
        try:
            if not self._open:
                self._driver.open()
                self._open, self._restarted = True, False
                self._waiting_since_s = self._monotonic_s()
            lent = self._driver.take()
            if lent is not None:
                self._put(lent)
            elif self._monotonic_s() - self._waiting_since_s >= STALLED_S:
                self._recover()
        except CameraLost as lost:
            self._reason = str(lost)
            if not self._open:
                return REOPEN_S
            self._close_driver()
        return 0.0

    def _put(self, lent: LentFrame) -> None:
        with self._lock:
            if self._waiting is not None:
                self.dropped += 1
                self._waiting.give_back()
            self._waiting = lent
            self._lock.notify_all()
        self._frame_s = self._waiting_since_s = self._monotonic_s()
        self._restarted, self._reason = False, ""

    def _recover(self) -> None:
        """Restart the camera, or close it if that was tried; the next turn opens it again."""
        self._give_back_frames()
        if self._restarted:
            self._close_driver()
            return
        self._driver.restart()
        self._restarted = True
        self._waiting_since_s = self._monotonic_s()

    def _give_back_frames(self) -> None:
        """Return every frame's memory, as the driver needs before it stops."""
        with self._lock:
            for lent in (self._waiting, self._lent):
                if lent is not None:
                    lent.give_back()
            self._waiting = self._lent = None

    def _close_driver(self) -> None:
        self._give_back_frames()
        self._driver.close()
        self._open = False

    def _run(self, progress: Progress) -> None:
        rest_s = 0.0
        try:
            while not self._closed.wait(rest_s):
                with progress.allow(DRIVER_S_MAX):
                    rest_s = self.take_turn()
        except Exception as error:  # our own bug: `latest` raises it, and the unit restarts
            self._bug = error
            raise
        finally:
            self._close_driver()


def thinned(luma: Luma, width: int) -> Luma:
    """`luma` at about `width` pixels a row: each pixel is the mean of four points of its block."""
    step = luma.shape[1] // width
    if step < 2:
        return luma
    rows, columns = luma.shape[0] // step * step, luma.shape[1] // step * step
    half = step // 2
    points = [luma[y:rows:step, x:columns:step] for y in (0, half) for x in (0, half)]
    total = points[0].astype(np.uint16)
    for point in points[1:]:
        total += point
    return (total >> 2).astype(np.uint8)
