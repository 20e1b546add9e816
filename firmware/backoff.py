"""Back-off after a panel failed to prove its key: each wait is longer.

Milliseconds wrap at 2**30 as in guard.py; call `update` in every cycle of the loop.
"""

from guard import ticks_diff

FAILURES_MAX = 3  # within FAILURES_MS
FAILURES_MS = 10_000
WAIT_MS_MIN = 2_000
WAIT_MS_MAX = 60_000  # 2, 4, 8, 16, 32, 60, 60 ...
QUIET_MS = 600_000  # after this long without a failure the next wait is the shortest again


class FailureBackoff:
    """A wrong MAC or a wrong cryptogram is a failure; the third within 10 s starts a wait."""

    def __init__(self, now_ms):
        self._count = 0
        self._first_ms = now_ms  # time of the first failure in `_count`
        self._last_ms = now_ms
        self._next_wait_ms = WAIT_MS_MIN
        self._current_wait_ms = 0  # 0: not waiting

    def note_failure(self, now_ms):
        self.update(now_ms)
        if self._count == 0:
            self._first_ms = now_ms
        self._count += 1
        self._last_ms = now_ms
        if self._count >= FAILURES_MAX:
            self._count = 0
            self._current_wait_ms = self._next_wait_ms
            self._next_wait_ms = min(self._next_wait_ms * 2, WAIT_MS_MAX)

    def is_waiting(self, now_ms):
        """Whether handshakes are ignored now."""
        self.update(now_ms)
        return self._current_wait_ms > 0

    def update(self, now_ms):
        quiet_ms = ticks_diff(now_ms, self._last_ms)
        if quiet_ms < 0:  # the clock went back: start the wait again
            self._last_ms = self._first_ms = now_ms
            return
        if self._current_wait_ms and quiet_ms >= self._current_wait_ms:
            self._current_wait_ms = 0
        if self._count and ticks_diff(now_ms, self._first_ms) > FAILURES_MS:
            self._count = 0
        if quiet_ms >= QUIET_MS:
            self._next_wait_ms = WAIT_MS_MIN
            self._last_ms = now_ms
