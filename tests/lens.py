"""A camera whose frames a test puts in; the newest waits, the others are counted."""

import threading
import time

from edge.sight.frame import Frame, Luma


class Lens:
    """The port Camera."""

    def __init__(self) -> None:
        self._slot = threading.Condition()
        self._frame: Frame | None = None
        self.dropped = 0
        self.failure: Exception | None = None
        self.closed = False

    @property
    def empty(self) -> bool:
        """Whether the last frame was taken."""
        return self._frame is None

    def shows(self, luma: Luma, seen_s: float | None = None, small: Luma | None = None) -> None:
        with self._slot:
            self.dropped += self._frame is not None
            self._frame = Frame(luma, time.monotonic() if seen_s is None else seen_s, small)
            self._slot.notify_all()

    def latest(self) -> Frame | None:
        if self.failure is not None:
            raise self.failure
        with self._slot:
            frame, self._frame = self._frame, None
            return frame

    def wait(self, seconds: float) -> None:
        with self._slot:
            self._slot.wait_for(lambda: not self.empty, seconds)

    def close(self) -> None:
        self.closed = True
