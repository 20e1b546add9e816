"""The system's clocks; only `edge.clock` says what they are worth."""

import time

from edge.clock import Now, interval


class SystemClock:
    """Wall time and monotonic time."""

    def read(self) -> Now:
        """One reading of both."""
        return Now(interval(time.time()), time.monotonic())

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)
