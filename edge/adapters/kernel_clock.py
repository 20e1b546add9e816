"""The system's clock, for units whose owner keeps it by chrony with NTS, and its state in Linux.

Before chrony has heard from its servers the system's date is whatever was saved or built in, so
adjtimex(2) reports whether the clock is synchronised and by how much it may be wrong.
"""

import ctypes
import time

from edge.clock.time_interval import SYSTEM_ERROR_S, Sync

_UNSYNCHRONISED = 5  # TIME_ERROR
_STRUCT_LEN = 512  # struct timex has 208 bytes or fewer


class _Timex(ctypes.Structure):
    """The beginning of struct timex; `modes` 0 only reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("rest", ctypes.c_char * _STRUCT_LEN),
    )


def read() -> Sync | None:
    """The system's time now; None while the kernel does not call it synchronised."""
    timex = _Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    if state in (-1, _UNSYNCHRONISED):
        return None
    error_s = max(SYSTEM_ERROR_S, timex.maxerror / 1e6)
    return Sync(time.time(), error_s, time.clock_gettime(time.CLOCK_MONOTONIC_RAW))
