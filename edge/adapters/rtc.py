"""The battery RTC, read through sysfs: no root, nothing is ever set."""

import time
from pathlib import Path

from edge.clock.time_interval import RTC_READ_S, RtcReading

TIME_S_MAX = 2**40  # no chip counts so far; a file that says so is none


class SysfsRtc:
    """An RTC as Linux shows it: one number in a file (Documentation/ABI/testing/rtc-cdev)."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> RtcReading | None:
        """What it shows; None: no RTC, or one that lost its time, or no answer in RTC_READ_S."""
        before_s = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        try:
            shown_s = int(self._path.read_bytes()[:32])
        except (OSError, ValueError):  # EINVAL: the chip says that its oscillator has stopped
            return None
        after_s = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        if after_s - before_s > RTC_READ_S or not 0 <= shown_s <= TIME_S_MAX:
            return None
        return RtcReading(shown_s, after_s)
