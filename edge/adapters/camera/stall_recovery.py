"""The newest frame of a camera. A thread takes them, and brings a camera back that has stalled.

Whoever comes late finds the newest; the older ones are counted. A driver's call may hang, as in
libcamera when a cable was moved: it hangs here, in the thread, while `latest` goes on saying that
the camera is lost, until the program is started again (`edge/__main__.py`).
"""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from edge.parts import CameraLost
from edge.sight.frame import Frame, Luma

TAKE_S = 0.5
"""How long a driver waits for one frame."""
STALLED_S = 1.5
"""No frame for so long, and the camera is started again; no frame for as long after that, and it is
opened again. libcamera itself says after 1 s that its frontend has timed out."""
LOST_S = 3.0
"""No frame for so long, and the camera is lost for whoever asks."""
REOPEN_S = 2.0
"""Between two tries to open a camera that is gone."""


class LentFrame(NamedTuple):
    """A frame whose memory may be the driver's."""

    frame: Frame
    give_back: Callable[[], None]  # gives that memory back; never raises


class CameraDriver(Protocol):
    """A camera by its library. Only one thread calls it at a time; its calls may take a while."""

    def open(self) -> None:
        """Open and start. Raises CameraLost, and then nothing is open."""

    def restart(self) -> None:
        """Stop and start what is open. Raises CameraLost."""

    def take(self) -> LentFrame | None:
        """The next frame; None: none came within TAKE_S. Raises CameraLost: it is gone."""

    def close(self) -> None:
        """Give the device back. Never raises."""


class StallRecovery:
    """The port Camera. Memory of a frame is the driver's until the next one is taken."""

    def __init__(
        self,
        driver: CameraDriver,
        monotonic_s: Callable[[], float] = time.monotonic,
        threaded: bool = True,
    ) -> None:
        """Open `driver`, and begin. Raises CameraLost. Without a thread the caller takes turns."""
        self._driver = driver
        self._monotonic_s = monotonic_s
        self._lock = threading.Condition()
        self._waiting: LentFrame | None = None
        self._lent: LentFrame | None = None
        self._ended = threading.Event()
        self._why = ""
        self._broken: Exception | None = None
        self.dropped = 0
        driver.open()
        self._open, self._restarted = True, False
        self._seen_s = self._waits_from_s = monotonic_s()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        if threaded:
            self._thread.start()

    def latest(self) -> Frame | None:
        """The newest frame not yet taken; the memory of the one before goes back.

        Raises CameraLost when none has come for LOST_S.
        """
        if self._broken is not None:
            raise self._broken
        with self._lock:
            lent, self._waiting = self._waiting, None
            if lent is not None:
                before, self._lent = self._lent, lent
                if before is not None:
                    before.give_back()
                return lent.frame
        if self._monotonic_s() - self._seen_s > LOST_S:
            raise CameraLost(
                self._why or "the camera has stopped giving frames; check its cable or plug"
            )
        return None

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a frame not yet taken."""
        with self._lock:
            self._lock.wait_for(lambda: self._waiting is not None, seconds)

    def close(self) -> None:
        """Stop the thread, which gives the device back; one that hangs is left to its end."""
        self._ended.set()
        if self._thread.ident is None:
            self._give_back()
        else:
            self._thread.join(timeout=2)

    def take_turn(self) -> float:
        """One turn of the thread, at most one frame or one remedy; how long to rest after it."""
        try:
            if not self._open:
                self._driver.open()
                self._open, self._restarted = True, False
                self._waits_from_s = self._monotonic_s()
            lent = self._driver.take()
            if lent is not None:
                self._put(lent)
            elif self._monotonic_s() - self._waits_from_s >= STALLED_S:
                self._bring_back()
        except CameraLost as lost:
            self._why = str(lost)
            if not self._open:
                return REOPEN_S
            self._give_back()
        return 0.0

    def _put(self, lent: LentFrame) -> None:
        with self._lock:
            if self._waiting is not None:
                self.dropped += 1
                self._waiting.give_back()
            self._waiting = lent
            self._lock.notify_all()
        self._seen_s = self._waits_from_s = self._monotonic_s()
        self._restarted, self._why = False, ""

    def _bring_back(self) -> None:
        self._take_back()
        if self._restarted:
            self._give_back()
            return
        self._driver.restart()
        self._restarted = True
        self._waits_from_s = self._monotonic_s()

    def _take_back(self) -> None:
        """Every frame's memory goes back before the driver is stopped."""
        with self._lock:
            for lent in (self._waiting, self._lent):
                if lent is not None:
                    lent.give_back()
            self._waiting = self._lent = None

    def _give_back(self) -> None:
        self._take_back()
        self._driver.close()
        self._open = False

    def _run(self) -> None:
        rest_s = 0.0
        try:
            while not self._ended.wait(rest_s):
                rest_s = self.take_turn()
        except Exception as error:  # our own bug: whoever asks raises it, and the unit starts again
            self._broken = error
        self._give_back()


def thinned(luma: Luma, width: int) -> Luma:
    """`luma` at about `width` pixels a row: the mean of four points of what becomes one pixel."""
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
