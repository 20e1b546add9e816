"""The decoder's process with a fault that a frame calls by its first pixel.

Started by tests in place of `edge.sight`: `python -m tests.harmed SOCKET PARENT DECODER BUDGET_S`.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge.sight import __main__ as program
from edge.sight.cascade import CascadeResult
from edge.sight.frame import Luma
from edge.sight.live_reading import Live

SECRET = "DC1:NOBODY-MAY-READ-THIS"  # noqa: S105 -- stands for what a code says

_kept: list[bytearray] = []


def _raise() -> None:
    raise ValueError(f"{SECRET} is wrong")


def _complain() -> None:
    os.write(2, (SECRET.encode() + b"\n") * 20_000)


def _complain_and_die() -> None:
    os.write(2, b"Fatal Python error: " + SECRET.encode() + b'\n  File "' + SECRET.encode())
    os.abort()


def _exit() -> None:
    print(SECRET, file=sys.stderr, flush=True)
    os._exit(3)


def _spin() -> None:
    while True:
        pass


def _segfault() -> None:
    ctypes.string_at(0)


def _leak() -> None:
    _kept.append(bytearray(os.urandom(1024)) * 1024 * 2)


def _write() -> None:
    """As a library that keeps a picture for whoever looks into a fault."""
    Path("frame").write_bytes(_luma.tobytes())


def _scribble() -> None:
    _luma.flags.writeable = True
    _luma[:] = 0


FAULTS: dict[int, Callable[[], None]] = {
    201: _raise,
    202: _segfault,
    203: _spin,
    204: lambda: os.kill(os.getpid(), signal.SIGSTOP),
    205: lambda: os.kill(os.getpid(), signal.SIGKILL),
    206: lambda: _kept.append(bytearray(1 << 30)),
    207: _complain,
    208: _complain_and_die,
    209: _exit,
    210: _leak,
    211: _write,
    212: lambda: time.sleep(0.2),
    213: _scribble,
    214: lambda: _segfault() if float(sys.argv[-1]) else None,
}
BY_NAME = {fault.__name__.strip("_"): level for level, fault in FAULTS.items()} | {
    "stop": 204,
    "kill": 205,
    "all the memory": 206,
    "slow": 212,
    "rescue": 214,
}

_luma: Luma = np.zeros((1, 1), np.uint8)
_look = Live.look


def look(live: Live, luma: Luma, seen_s: float) -> CascadeResult:
    """The fault that the frame names, then the frame."""
    global _luma
    _luma = luma
    fault = FAULTS.get(int(luma[0, 0]))
    if fault is not None:
        fault()
    return _look(live, luma, seen_s)


if __name__ == "__main__":
    Live.look = look  # type: ignore[method-assign]
    program.main()
