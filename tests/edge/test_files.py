"""Whole files: a cut leaves the old content or the new, and what was left over is cleared away."""

import errno
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replace_puts_the_new_content_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "document"
    files.replace(path, b"one")
    files.replace(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["document"]


def test_create_refuses_what_is_there_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    files.create(path, b"first", 0o600)
    with pytest.raises(FileExistsError):
        files.create(path, b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["key"]


def test_a_passing_file_of_a_killed_program_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / f".document{files.PASSING}").write_bytes(b"half of")
    files.replace(tmp_path / "document", b"whole")
    assert names(tmp_path) == ["document"]


def test_a_passing_name_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"kept")
    (tmp_path / f".document{files.PASSING}").symlink_to(elsewhere)
    files.replace(tmp_path / "document", b"whole")
    assert elsewhere.read_bytes() == b"kept"
    assert not (tmp_path / "document").is_symlink()


FULL = """
import resource, signal, sys
from pathlib import Path
from edge import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2, 2))
try:
    files.replace(Path(sys.argv[1]), b"longer than that")
except OSError as error:
    print(error.errno)
"""


@pytest.mark.system
def test_a_full_disk_keeps_the_old_content(tmp_path: Path) -> None:
    """A file-size limit stands for a full disk."""
    path = tmp_path / "document"
    files.replace(path, b"old")
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == [str(errno.EFBIG)]
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["document"]


KILLED = """
import os, signal, sys
from pathlib import Path
from edge import files
before = os.fsync
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
files.replace(Path(sys.argv[1]), b"new")
"""


@pytest.mark.system
def test_a_kill_before_the_rename_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "document"
    files.replace(path, b"old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["document"]
