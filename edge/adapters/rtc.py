"""The battery-backed RTC, read through sysfs. It needs no root and never sets the RTC."""

import time
from pathlib import Path

from edge.clock.time_interval import RTC_READ_S, RtcReading

TIME_S_MAX = 2**40  # no RTC counts this far: a larger number is not an RTC's

READS = 5
"""A read that takes longer than RTC_READ_S is repeated, up to this many reads in all."""
READS_S = 1.0
"""No read begins later than this after the first one, because the door waits meanwhile."""


class SysfsRtc:
    """An RTC as a file with one number, the seconds (Linux: Documentation/ABI/testing/rtc-cdev)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> RtcReading | None:
        """Its time; None: no RTC, an RTC that lost its time, or no read within RTC_READ_S.

        Slow reads are repeated, because a busy machine delays one, and a unit that starts without
        its RTC refuses codes until the next look at it.
        """
        start_s = _now_s()
        for _ in range(READS):
            before_s = _now_s()
            if before_s - start_s > READS_S:
                return None
            try:
                shown_s = int(self._path.read_bytes()[:32])
            except (OSError, ValueError):  # EINVAL: the chip reports that its oscillator stopped
                return None
            after_s = _now_s()
            if not 0 <= shown_s <= TIME_S_MAX:
                return None
            if after_s - before_s <= RTC_READ_S:
                return RtcReading(shown_s, after_s)
        return None


def _now_s() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
