"""The issuer's status lists as signed files, brought up to date every minute.

A list is rewritten when an entry has changed, and otherwise every six hours, so that doors see it
as fresh. Not more often, because each list goes to every door and a city has thousands of issuers.
"""

import logging
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from edge import files
from edge.wire import keys, status
from edge.wire.trust import TrustError
from server_stub import store
from server_stub.estate import Estate
from server_stub.issuing import revocation

RENEW_S = 60.0
FRESH_S = 6 * 3600

_log = logging.getLogger("menshen.lists")


class ListsError(ValueError):
    """The lists cannot be written; one sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class PublishedList:
    """One list as it is in its file."""

    path: Path
    set_count: int
    size: int  # bytes
    renewed: bool  # False: kept, because it has the same entries and is fresh


def publish(estate: Estate, issuer: str, engine: sa.Engine, now_s: int) -> list[PublishedList]:
    """Bring the files of all lists of `issuer` up to date. Raises EstateError, ListsError."""
    key = estate.status_key(issuer)
    folder = estate.status_folder(issuer)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with files.locked(folder):
            with store.writing(engine) as connection:
                revocation.free(connection, now_s)
                lists = revocation.set_entries(connection, issuer)
            return [_renew(folder, issuer, n, bits, key, now_s) for n, bits in lists.items()]
    except OSError as error:
        raise ListsError(
            f"cannot write the status lists in {folder} ({error.strerror or error}); let this "
            f"user write there, or free disk space"
        ) from None
    except sa.exc.SQLAlchemyError as error:
        raise ListsError(
            f"database error in {engine.url!r} ({store.reason(error)}), no status list was "
            f"renewed; free disk space or stop the program that locks it, and try again"
        ) from None


class Renewal:
    """Publishes every minute in its own thread until stopped; logs a failure and tries again."""

    def __init__(self, estate: Estate, issuer: str, engine: sa.Engine) -> None:
        self._arguments = estate, issuer, engine
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status lists", daemon=True)

    def start(self) -> None:
        """Publish once now, then every minute. Raises EstateError, ListsError."""
        self._publish()
        self._thread.start()

    def stop(self) -> None:
        """Stop publishing; returns when the last write has ended."""
        self._end.set()
        self._thread.join()

    def _publish(self) -> None:
        publish(*self._arguments, int(time.time()))

    def _run(self) -> None:
        while not self._end.wait(RENEW_S):
            try:
                self._publish()
            except ValueError as error:
                _log.error("%s", error)


def _renew(
    folder: Path, issuer: str, number: int, entries: list[int], key: keys.PrivateKey, now_s: int
) -> PublishedList:
    path, name = folder / f"{number}.cwt", revocation.list_name(issuer, number)
    data = status.write(entries, revocation.COUNT, name, now_s, key, ttl_s=FRESH_S)
    before = path.read_bytes() if path.exists() else b""
    renewed = not _is_current(before, data, name, key, now_s)
    if renewed:
        folder.mkdir(parents=True, exist_ok=True)
        files.replace(path, data)
    return PublishedList(path, len(entries), len(data), renewed)


def _is_current(before: bytes, data: bytes, name: str, key: keys.PrivateKey, now_s: int) -> bool:
    try:
        old, new = (status.read(one, [key.public], name) for one in (before, data))
    except TrustError:  # the file was missing or damaged
        return False
    return old.entries == new.entries and 0 <= now_s - old.iat_s < FRESH_S
