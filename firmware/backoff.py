"""When to listen to a panel again that could not prove itself: later each time.

Milliseconds wrap at 2**30 as in guard.py; `turn` must be called at every turn of the loop.
"""

from guard import ticks_diff

FAILURES_MAX = 3  # within FAILURES_MS
FAILURES_MS = 10_000
WAIT_MS_MIN = 2_000
WAIT_MS_MAX = 60_000  # 2, 4, 8, 16, 32, 60, 60 ...
QUIET_MS = 600_000  # without a failure, and the next wait is the shortest again


class FailureBackoff:
    """A wrong MAC or a wrong cryptogram is a failure; the third within 10 s makes us wait."""

    def __init__(self, now_ms):
        self._count = 0
        self._first_ms = now_ms  # of the failures that count
        self._last_ms = now_ms
        self._wait_ms = WAIT_MS_MIN  # the next one
        self._waiting_ms = 0  # the one that runs; 0: none

    def note_failure(self, now_ms):
        self.turn(now_ms)
        if self._count == 0:
            self._first_ms = now_ms
        self._count += 1
        self._last_ms = now_ms
        if self._count >= FAILURES_MAX:
            self._count = 0
            self._waiting_ms = self._wait_ms
            self._wait_ms = min(self._wait_ms * 2, WAIT_MS_MAX)

    def is_waiting(self, now_ms):
        """Whether no handshake is listened to now."""
        self.turn(now_ms)
        return self._waiting_ms > 0

    def turn(self, now_ms):
        since = ticks_diff(now_ms, self._last_ms)
        if since < 0:  # a clock that goes back: wait once more
            self._last_ms = self._first_ms = now_ms
            return
        if self._waiting_ms and since >= self._waiting_ms:
            self._waiting_ms = 0
        if self._count and ticks_diff(now_ms, self._first_ms) > FAILURES_MS:
            self._count = 0
        if since >= QUIET_MS:
            self._wait_ms = WAIT_MS_MIN
            self._last_ms = now_ms
