"""The decoder's process: `python -m edge.sight SOCKET PARENT DECODER BUDGET_S`.

Nobody starts it by hand: `adapters/decoder.py` does, with one end of a socket pair, its own
process id, and what unit.toml says. It may crash alone, and a frame stays in memory: this process
writes no file, dumps no core, is not swapped where it may lock memory, and never outlives the unit.
"""

import ctypes
import faulthandler
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import get_args

import numpy as np

from edge.sight import decoder_messages
from edge.sight.cascade import Decoder
from edge.sight.live_reading import Live

DATA_LEN_MAX = 256 * 1024 * 1024  # bytes; beyond it allocation raises MemoryError
FILES_MAX = 64

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4  # prctl(2)
_MCL_ALL_ON_FAULT = 7  # mlockall(2): MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT


def main() -> None:
    """Answer one frame after the other until the unit hangs up."""
    fd, parent, decoder, budget_s = sys.argv[1:]
    confine(int(parent))
    assert decoder in get_args(Decoder)  # noqa: S101 -- unit.toml's reader has checked it
    with socket.socket(fileno=int(fd)) as unit:
        serve(unit, decoder, float(budget_s))  # type: ignore[arg-type]


def confine(parent: int) -> None:
    """Leave nothing behind, and do not outlive `parent`."""
    faulthandler.enable()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # sent to both: the unit decides
        signal.signal(number, signal.SIG_IGN)
    with suppress(OSError):  # in some containers
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first to go, before the unit
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_DATA, DATA_LEN_MAX),
        (resource.RLIMIT_NOFILE, FILES_MAX),
    ):
        resource.setrlimit(limit, (most, most))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0)  # core_pattern's pipes do not ask RLIMIT_CORE
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the death signal was set
        sys.exit()
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        libc.mlockall(_MCL_ALL_ON_FAULT)  # less than all would make allocations fail


def serve(unit: socket.socket, decoder: Decoder, budget_s: float) -> None:
    """What it reads is a view of the shared memory: the next frame is written over it.

    Raises ImportError with a sentence when zbar's library is missing and asked for.
    """
    live = Live(decoder, budget_s)
    decoder_messages.send_answer(unit, decoder_messages.DecoderReady())
    memory = None
    while (asked := decoder_messages.receive_request(unit)) is not None:
        look, fd = asked
        if fd is not None:
            memory = decoder_messages.mapped(fd)
        assert memory is not None  # noqa: S101 -- it comes with the first frame
        luma = np.frombuffer(memory, np.uint8, look.width * look.height)
        try:
            result = live.look(luma.reshape(look.height, look.width), look.seen_s)
        except Exception as error:  # whatever it is, the next frame is another one
            decoder_messages.send_answer(unit, decoder_messages.ReadFailed(_where(error)))
            live = Live(decoder, budget_s)  # what it had gathered may be to blame
            continue
        symbols = tuple((symbol.data, symbol.corners) for symbol in result.symbols)
        decoder_messages.send_answer(
            unit, decoder_messages.ReadResult(symbols, result.unread, result.steps)
        )


def _where(error: Exception) -> str:
    """The type and the line of ours: an exception's own words could hold what was read."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if Path(f.filename).parent == Path(__file__).parent] or frames
    at = f"{Path(ours[-1].filename).name} line {ours[-1].lineno}" if ours else "nowhere"
    return f"{type(error).__name__} in {at}"


if __name__ == "__main__":
    main()
