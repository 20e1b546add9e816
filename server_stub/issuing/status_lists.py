"""The issuer's status lists as files: signed, and brought up to date every minute.

A list is written anew when an entry has changed, and else every six hours so that doors know it
as fresh; not oftener, for a city has thousands of issuers and each list goes to every door.
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
    """The lists cannot be written; one sentence that says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class PublishedList:
    """One list as it lies in its file."""

    path: Path
    set_count: int
    size: int  # bytes
    renewed: bool  # or kept, for it says the same and is fresh


def publish(estate: Estate, issuer: str, engine: sa.Engine, now_s: int) -> list[PublishedList]:
    """Bring the files of all lists of `issuer` up to date. Raises EstateError, ListsError."""
    key = estate.status_key(issuer)
    folder = estate.status_folder(issuer)
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        with files.locked(folder):
            with store.writing(engine) as connection:
                revocation.free(connection, now_s)
                found = revocation.set_entries(connection, issuer)
            return [_renew(folder, issuer, n, set_, key, now_s) for n, set_ in found.items()]
    except OSError as error:
        raise ListsError(
            f"the status lists in {folder} cannot be written ({error.strerror or error}); let "
            f"this user write there, or make room"
        ) from None
    except sa.exc.SQLAlchemyError as error:
        raise ListsError(
            f"the store {engine.url!r} fails ({store.reason(error)}) and no status list was "
            f"renewed; free its disk or end what holds it, and try again"
        ) from None


class Renewal:
    """Publishes in a thread of its own until it is stopped; a failure is logged, then repeated."""

    def __init__(self, estate: Estate, issuer: str, engine: sa.Engine) -> None:
        self._of = estate, issuer, engine
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status lists", daemon=True)

    def start(self) -> None:
        """Publish once, and from now on. Raises EstateError, ListsError."""
        self._publish()
        self._thread.start()

    def stop(self) -> None:
        """Returns when nothing is written any more."""
        self._end.set()
        self._thread.join()

    def _publish(self) -> None:
        publish(*self._of, int(time.time()))

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
    renewed = not _still_good(before, data, name, key, now_s)
    if renewed:
        folder.mkdir(parents=True, exist_ok=True)
        files.replace(path, data)
    return PublishedList(path, len(entries), len(data), renewed)


def _still_good(before: bytes, data: bytes, name: str, key: keys.PrivateKey, now_s: int) -> bool:
    try:
        old, new = (status.read(one, [key.public], name) for one in (before, data))
    except TrustError:  # there was none, or it was torn
        return False
    return old.entries == new.entries and 0 <= now_s - old.iat_s < FRESH_S
