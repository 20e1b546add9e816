"""The battery RTC, read through sysfs: no root, nothing is ever set."""

import time
from pathlib import Path

from edge.clock.time_interval import RTC_READ_S, RtcReading

TIME_S_MAX = 2**40  # no chip counts so far: such a file is damaged

READS = 5
"""A read that takes longer than RTC_READ_S is repeated up to so often in all,"""
READS_S = 1.0
"""but none begins later than this after the first: the door waits meanwhile."""


class SysfsRtc:
    """An RTC as Linux shows it: one number in a file (Documentation/ABI/testing/rtc-cdev)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> RtcReading | None:
        """What it shows; None: no RTC, one that lost its time, or none of READS was quick enough.

        A busy machine delays one read; a unit that starts without the RTC refuses codes until it
        looks again.
        """
        start_s = _now_s()
        for _ in range(READS):
            before_s = _now_s()
            if before_s - start_s > READS_S:
                return None
            try:
                shown_s = int(self._path.read_bytes()[:32])
            except (
                OSError,
                ValueError,
            ):  # EINVAL: the chip reports that its oscillator has stopped
                return None
            after_s = _now_s()
            if not 0 <= shown_s <= TIME_S_MAX:
                return None
            if after_s - before_s <= RTC_READ_S:
                return RtcReading(shown_s, after_s)
        return None


def _now_s() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
