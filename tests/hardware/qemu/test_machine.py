"""The machine itself: a guest that fails says so, and nothing of it stays behind."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hardware.qemu.machine import GuestFailed, Pi
from tests.hardware.trixie import ROOT

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(400)]

STARTED = """
import sys, time
from pathlib import Path
from tests.hardware.qemu.machine import Pi
pi = Pi(Path(sys.argv[1]), Path(sys.argv[2]), "", Path("/dev/null"))
print(pi.name, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folders() -> Iterator[tuple[Path, Path]]:
    """What is laid over the guest's disk, nothing; and a place to work in."""
    with tempfile.TemporaryDirectory(prefix="menshen-pi-") as folder:
        contents, work = Path(folder) / "contents", Path(folder) / "work"
        contents.mkdir()
        work.mkdir()
        yield contents, work


def processes(name: str) -> list[str]:
    """Whatever still runs under this guest's name."""
    told = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True)
    return [line for line in told.stdout.splitlines() if name in line]


def test_a_guest_that_does_not_start_is_told_with_its_console(folders: tuple[Path, Path]) -> None:
    """There is nothing on this one's disk."""
    with Pi(*folders, "", Path("/dev/null")) as pi:
        assert processes(pi.name)
        with pytest.raises(GuestFailed, match="the kernel gave up") as failed:
            pi.ready()
        assert "Kernel panic - not syncing" in str(failed.value)
        with pytest.raises(GuestFailed, match="was not tried: the guest hangs"):
            pi.run("true")
    assert processes(pi.name) == []
    assert not list(folders[1].glob("*.cpio")), "300 MB stay behind"


def test_a_test_that_is_killed_takes_its_guest_along(folders: tuple[Path, Path]) -> None:
    test = subprocess.Popen(
        [sys.executable, "-c", STARTED, *map(str, folders)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert test.stdout
        name = test.stdout.readline().strip()
        assert name
        assert any("qemu-system-aarch64" in line for line in processes(name))
    finally:
        test.send_signal(signal.SIGKILL)
        test.communicate(timeout=30)
    until_s = time.monotonic() + 20
    while processes(name):
        assert time.monotonic() < until_s, processes(name)
        time.sleep(0.1)
