"""A writer killed at each of its system calls has kept every row that it acknowledged."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests import killer

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        shutil.which("strace") is None, reason="strace is not installed: `make test` brings it in"
    ),
]

ROWS = 3
WRITER = """
import os, sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("pragma journal_mode=wal")
base.execute("pragma synchronous=full")
base.execute("create table if not exists row (number integer primary key)")
for number in range(int(sys.argv[2])):
    base.execute("insert into row values (?)", (number,))
    os.write(1, b"%d\\n" % number)  # the acknowledgement: after the commit
"""
COUNTER = """
import os, sys, threading
file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY)
def write(times):
    for _ in range(times):
        os.write(file, b"x")
        os.fdatasync(file)
thread = threading.Thread(target=write, args=(2,))
thread.start()
thread.join()
write(4)
"""


def writer(base: Path) -> list[str]:
    return [sys.executable, "-S", "-c", WRITER, str(base), str(ROWS)]


def counter(file: Path) -> list[str]:
    return [sys.executable, "-S", "-c", COUNTER, str(file)]


def test_every_acknowledged_row_is_there_after_a_kill_at_each_call(tmp_path: Path) -> None:
    calls = ("fdatasync", "pwrite64")
    made = killer.counts(
        writer(tmp_path / "whole"), calls, tmp_path / "trace", stdout=subprocess.DEVNULL
    )
    assert made["fdatasync"] > ROWS
    assert made["pwrite64"] > ROWS
    short = 0
    for call, nth in killer.moments(made):
        base = tmp_path / f"{call}-{nth}"
        process = killer.start(writer(base), call, nth, stdout=subprocess.PIPE, text=True)
        said, _ = process.communicate(timeout=60)
        acknowledged = [int(line) for line in said.split()]
        assert process.returncode == killer.KILLED, f"{call} {nth} killed nobody"
        short += len(acknowledged) < ROWS
        assert kept(base)[: len(acknowledged)] == acknowledged, f"lost by a kill at {call} {nth}"
    assert short > ROWS  # or the kills came after everything


def kept(base: Path) -> list[int]:
    with sqlite3.connect(base) as opened:
        if not opened.execute("select 1 from sqlite_master where name = 'row'").fetchone():
            return []
        return [number for (number,) in opened.execute("select number from row order by number")]


def test_the_call_that_kills_has_not_happened_and_threads_count_alone(tmp_path: Path) -> None:
    assert killer.counts(
        counter(tmp_path / "whole"), ("fdatasync", "openat"), tmp_path / "trace", tmp_path / "whole"
    ) == {"fdatasync": 4, "openat": 1}
    sizes = []
    for nth in range(1, 6):
        file = tmp_path / f"file-{nth}"
        process = killer.start(counter(file), "write", nth, path=file)
        sizes.append((process.wait(60) == killer.KILLED, file.stat().st_size))
    # the first thread writes two; the second reaches its own third write with four in the file
    assert sizes == [(True, 0), (True, 1), (True, 4), (True, 5), (False, 6)]


def test_a_command_that_outlives_its_kills_ends_when_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", "import time; print(1, flush=True); time.sleep(60)"]
    process = killer.start(command, "fdatasync", 1, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "1\n"
    process.terminate()
    assert process.wait(30) != 0
    assert process.stdout.read() == ""  # nobody holds the pipe any more


def test_a_command_that_fails_by_itself_counts_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        killer.counts(
            [sys.executable, "-S", "-c", "raise SystemExit(3)"], ("fdatasync",), tmp_path / "t"
        )
