"""The ways in for trust documents: the card's folder, a stick, and the broker's retained topics.

Nothing here is verified; `client.py` does that.
"""

import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from edge.backoff import Backoff
from edge.wire import repository
from edge.wire.repository import FILE_LEN_MAX, FILES_MAX

log = logging.getLogger("menshen")

CHUNK_LEN = 65_536
INBOX_LEN_MAX = 32 * 1024 * 1024  # bytes held from the broker until they are a generation
AGAIN_S, AGAIN_S_MAX = 60.0, 3600.0  # between two times that the broker is asked for everything


class DocumentSource(Protocol):
    """A way in: files of a repository that nobody has verified."""

    name: str  # for people

    def mark(self) -> object:
        """Something else as soon as there may be something new; None: nothing is there."""

    def open(self, file: str) -> Iterator[bytes]:
        """The pieces of `file`. Raises FileNotFoundError, OSError."""


class TrustFolder:
    """A repository in a folder: the card's, or a stick's."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self.name = name

    def mark(self) -> object:
        """The timestamp's first bytes: every change of a repository changes them, and what is
        longer than any timestamp is refused when it is read.
        """
        try:
            return next(self.open(repository.TIMESTAMP), b"")
        except OSError:
            return None

    def open(self, file: str) -> Iterator[bytes]:
        """Only from plain files: a pipe or a device on a stick would never end."""
        if any(part in ("", ".", "..") for part in file.split("/")):
            raise FileNotFoundError(file)
        handle = os.open(self._path / file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise FileNotFoundError(file)
        return _pieces(handle)


class TrustInbox:
    """What the broker retains, as it comes in; bounded, and emptied when it was taken.

    `put` is called by the network's thread.
    """

    name = "the broker"

    def __init__(self) -> None:
        self.again: Callable[[], None] = lambda: None  # asks the broker for all of it once more
        self._again_due_s = 0.0
        self._backoff = Backoff(AGAIN_S, AGAIN_S_MAX)
        self._lock = threading.Lock()
        self._files: dict[str, bytes] = {}
        self._len = 0
        self._changes = 0
        self._full = False

    def put(self, file: str, data: bytes) -> None:
        """One retained file; empty bytes: it is gone. What is too much is left out."""
        with self._lock:
            self._len -= len(self._files.pop(file, b""))
            if data:
                many = len(self._files) >= FILES_MAX
                if len(data) > FILE_LEN_MAX or many or self._len + len(data) > INBOX_LEN_MAX:
                    if not self._full:
                        log.warning("the broker holds more trust documents than a unit takes")
                    self._full = True
                    return
                self._files[file] = data
                self._len += len(data)
            self._changes += 1

    def clear(self, mark: object) -> None:
        """All of it is in a generation now, unless more came after `mark`; changes come again."""
        with self._lock:
            if mark != self._changes:
                return
            self._files.clear()
            self._len = 0
            self._full = False
            self._backoff.reset()

    def request_again(self, now_s: float) -> None:
        """Something is needed that was not needed before, or was lost on its way: ask for it.

        Seldomer each time: a broker that lacks it must not be asked by every unit every minute.
        """
        if now_s >= self._again_due_s:
            self._again_due_s = now_s + self._backoff.take_wait_s()
            self.again()

    def mark(self) -> object:
        """Rises with each message; None while there is no timestamp, which comes last."""
        with self._lock:
            return self._changes if repository.TIMESTAMP in self._files else None

    def open(self, file: str) -> Iterator[bytes]:
        """Raises FileNotFoundError."""
        with self._lock:
            if file not in self._files:
                raise FileNotFoundError(file)
            return iter((self._files[file],))


def _pieces(handle: int) -> Iterator[bytes]:
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(CHUNK_LEN):
            yield piece
