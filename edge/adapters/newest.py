"""A slot for one frame: whoever comes late finds the newest, and the older ones are counted."""

import threading

from edge.ports import Frame


class Newest:
    """Filled by a camera's thread, emptied by the loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frame: Frame | None = None
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Replace what is there."""
        with self._lock:
            self.dropped += self._frame is not None
            self._frame = frame

    def take(self) -> Frame | None:
        """The newest frame, once."""
        with self._lock:
            frame, self._frame = self._frame, None
            return frame
