"""The system's clock and its error, for units whose owner keeps it with chrony and NTS.

Until chrony has reached its servers, the system's date is only a saved or built-in one. So the
kernel is asked: adjtimex(2) reports whether the clock is synchronised and how far it may be off.
"""

import ctypes
import time

from edge.clock.time_interval import SYSTEM_ERROR_S, Sync

_UNSYNCHRONISED = 5  # TIME_ERROR
_STRUCT_LEN = 512  # struct timex has 208 bytes or fewer


class _Timex(ctypes.Structure):
    """The beginning of struct timex. With `modes` 0 the call only reads."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("rest", ctypes.c_char * _STRUCT_LEN),
    )


def read() -> Sync | None:
    """The system's time now; None: the kernel does not report it as synchronised."""
    timex = _Timex()
    state = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    if state in (-1, _UNSYNCHRONISED):
        return None
    error_s = max(SYSTEM_ERROR_S, timex.maxerror / 1e6)
    return Sync(time.time(), error_s, time.clock_gettime(time.CLOCK_MONOTONIC_RAW))
