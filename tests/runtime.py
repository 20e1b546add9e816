"""The folder in RAM that systemd would make for a unit, for the tests that start a real one."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.adapters.storage.ram import RamFile
from edge.adapters.system_clock import monotonic_s
from edge.clock.time_interval import Now, interval
from edge.passing.lane import Lane, Sensors
from edge.wire.rules import PLAIN

RAM = Path("/dev/shm")


@contextmanager
def runtime() -> Iterator[Path]:
    """A folder for RUNTIME_DIRECTORY; what is in it began a passback time ago.

    So a code is not unsure for having been issued before the unit was started.
    """
    folder = Path(tempfile.mkdtemp(prefix="menshen-", dir=RAM))
    try:
        long_ago = Now(interval(time.time()), monotonic_s() - PLAIN.passback_s)
        memory = Lane(os.urandom(32), long_ago, Sensors(), None)
        RamFile(folder).save(memory.to_save())
        yield folder
    finally:
        shutil.rmtree(folder)


def within(folder: Path) -> list[str]:
    """What to put before a unit's command."""
    return ["env", f"RUNTIME_DIRECTORY={folder}"]
