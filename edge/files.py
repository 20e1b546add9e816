"""Files that are written whole or not at all: by a unit, by provisioning and by the central side.

A power cut or a kill leaves either what was there before or all of the new content. The new content
goes under a passing name in the same folder, reaches the disk, and takes its place by one rename
(rename(2)); then the folder's entry reaches the disk as well.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSING = ".passing"
"""Ends the name of a file that is being written; one that is left over was never in use."""


def replace(path: Path, data: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Replace the content of `path` by `data`. One writer at a time; raises OSError.

    `durable`: False for a file in RAM, which a power cut removes anyway.
    """
    passing = _write(path, data, mode, durable)
    try:
        passing.replace(path)
    except OSError:
        passing.unlink(missing_ok=True)
        raise
    if durable:
        sync(path.parent)


def create(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Make `path` with `data`. Raises FileExistsError if it exists, and other OSErrors."""
    passing = _write(path, data, mode, durable=True)
    try:
        os.link(passing, path)  # unlike rename, link refuses an existing name
    finally:
        passing.unlink(missing_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring a file's content, or a folder's entries, to the disk (fsync(2)). Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Wait for the lock of `folder` and hold it (flock(2))."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(path: Path, data: bytes, mode: int, durable: bool) -> Path:
    """Write `data` under the passing name of `path`, in a file that nobody else can have made."""
    passing = path.with_name(f".{path.name}{PASSING}")
    passing.unlink(missing_ok=True)  # left over by a program that was killed
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(passing, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if durable:
                os.fsync(file.fileno())
    except OSError:
        passing.unlink(missing_ok=True)
        raise
    return passing
