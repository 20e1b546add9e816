"""Keeps the repository of trust documents current, and lists the messages the broker must retain.

The online keys sign here: a new timestamp every few hours, and a new snapshot when the repository
has newer documents or an issuer has made a newer status list. They can sign nothing else.
Source: edge/wire/trust.md.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from edge import files
from edge.wire import repository as wire
from edge.wire.repository import TIMESTAMP, BrokenRepository, OnlineKeys
from server_stub.estate import Estate, EstateError

RENEW_S = 6 * 3600
"""The greatest age of a timestamp. A door's trust is stale after two days by default."""
LOOK_S = 15.0
"""How often to look for changes, so that the lists of many issuers make one publication."""
STATUS_S = 30 * 86400  # how long the metadata of status lists is valid
SETTLE_S = 1.0  # after a subscription, until the broker has sent its retained messages
RETRY_S = 60.0

_log = logging.getLogger("menshen.trust")


class PublisherError(ValueError):
    """The repository cannot be kept current; one sentence says why."""


def renew(estate: Estate, now_s: int, every_s: int = RENEW_S, above: int = 0) -> dict[str, bytes]:
    """Bring the repository up to date: newer status lists, snapshot, timestamp.

    `above`: the version of the last published timestamp. The repository's own may be older, if
    another machine wrote it.
    Returns the current files by name. Raises PublisherError, TrustError, EstateError.
    """
    try:
        with files.locked(estate.root):
            before = read_repository(estate.repository)
            if TIMESTAMP not in before:
                raise PublisherError(
                    f"nothing is published in {estate.repository}; run: menshen-provision publish "
                    f"{estate.root}"
                )
            files_by_name = {**before, **_newer_lists(estate, before, now_s)}
            last = wire.read(files_by_name[TIMESTAMP])
            is_due = last.signed_s + every_s <= now_s or last.version < above
            online_keys = _online_keys(estate, files_by_name)
            files_by_name |= wire.published(files_by_name, online_keys, now_s, renew=is_due)
            current = {name: files_by_name[name] for name in wire.current(files_by_name)}
            _write(estate.repository, before, current)
    except BrokenRepository as error:
        raise PublisherError(f"cannot publish {estate.repository}: {error}") from None
    except OSError as error:
        raise PublisherError(
            f"cannot use {error.filename or estate.repository} ({error.strerror})"
        ) from None
    return current


class Publisher:
    """Computes the messages after which the broker retains the current repository and no more.

    A separate thread reads files and signs, so that the collector's loop does not wait for it.
    """

    def __init__(self, estate: Estate, every_s: int = RENEW_S, look_s: float = LOOK_S) -> None:
        self._estate, self._every_s, self._look_s = estate, every_s, look_s
        self._lock = threading.Lock()
        self._current: dict[str, tuple[bytes, bytes]] = {}  # topic -> SHA-256, payload
        self._retained: dict[str, bytes] | None = None  # topic -> SHA-256; None: unknown
        self._settled_s = 0.0  # by the monotonic clock; `_retained` is complete from then on
        self._marks: object = None  # of the files, when they were read last
        self._timestamp_due_s = 0.0
        self._above = 0
        self._last_error = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trust", daemon=True)

    def start(self) -> None:
        """Start the thread that keeps the repository current."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; returns when the last signature is written."""
        self._stop.set()
        self._thread.join()

    def note_connected(self) -> None:
        """A new connection: the broker now sends its retained messages again."""
        with self._lock:
            self._retained, self._settled_s = {}, time.monotonic() + SETTLE_S

    def note_retained(self, topic: str, payload: bytes) -> None:
        """The broker retains `payload` at `topic`; an empty payload: nothing."""
        with self._lock:
            if self._retained is None:
                return
            if payload:
                self._retained[topic] = hashlib.sha256(payload).digest()
            else:
                self._retained.pop(topic, None)

    def take_due(self) -> list[tuple[str, bytes]]:
        """Topics and payloads to publish as retained now, and note them as published.

        The timestamp comes after all other documents, then empty payloads for outdated topics.
        """
        with self._lock:
            if self._retained is None or time.monotonic() < self._settled_s or not self._current:
                return []
            newer = [
                (topic, data)
                for topic, (digest, data) in self._current.items()
                if self._retained.get(topic) != digest
            ]
            outdated = [(topic, b"") for topic in self._retained.keys() - self._current.keys()]
            self._retained = {topic: digest for topic, (digest, _) in self._current.items()}
        return [*newer, *outdated]

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = self._look_s
            try:
                self._look(int(time.time()))
                self._last_error = ""
            except (PublisherError, EstateError) as error:
                wait_s = max(self._look_s, RETRY_S)
                if str(error) != self._last_error:
                    self._last_error = str(error)
                    _log.error("%s; doors keep their present documents", error)

    def _look(self, now_s: int) -> None:
        """Read the files only when one has changed, or the timestamp is due."""
        if _marks(self._estate) == self._marks and now_s < self._timestamp_due_s:
            return
        current = renew(self._estate, now_s, self._every_s, self._above)
        last = wire.read(current[TIMESTAMP])
        self._above, self._timestamp_due_s = last.version, last.signed_s + self._every_s
        self._marks = _marks(self._estate)
        messages = {
            wire.topic(name): (hashlib.sha256(current[name]).digest(), current[name])
            for name in sorted(current, key=wire.order)
        }
        with self._lock:
            self._current = messages


def read_repository(folder: Path) -> dict[str, bytes]:
    """The contents of a repository's files by name."""
    paths = sorted(p for kind in ("metadata", "targets") for p in (folder / kind).rglob("*"))
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in paths
        if p.is_file() and not p.name.startswith(".")
    }


def _newer_lists(
    estate: Estate, files_by_name: Mapping[str, bytes], now_s: int
) -> dict[str, bytes]:
    """New files for those issuers whose status lists are newer than the published ones."""
    targets = wire.newest(files_by_name, "targets")
    roles = wire.read(targets).roles if targets else {}
    new_files: dict[str, bytes] = {}
    for issuer, paths in estate.status_lists().items():
        role = f"status/{issuer}"
        if role not in roles or targets is None:
            _log.warning("issuer %s has status lists, but is not published yet", issuer)
            continue
        documents = {
            wire.status_list(issuer, name): path.read_bytes() for name, path in paths.items()
        }
        data = wire.newest(files_by_name, role)
        old = wire.read(data) if data else None
        digests = {p: hashlib.sha256(d).hexdigest() for p, d in documents.items()}
        if old and old.documents == digests and old.until_s > now_s + STATUS_S // 3:
            continue
        key = estate.status_key(issuer)
        if roles[role].keys != (key.public,):
            _log.error("doors do not trust the status key that issuer %s has here", issuer)
            continue
        version = max(now_s, old.version + 1 if old else 1)
        new_files |= wire.role_files(role, version, now_s + STATUS_S, documents, key)
    return new_files


def _online_keys(estate: Estate, files_by_name: Mapping[str, bytes]) -> OnlineKeys:
    root = wire.newest(files_by_name, "root")
    if root is None:
        raise PublisherError(f"{estate.repository} has no root; publish it again")
    roles = wire.read(root).roles
    online_keys = []
    for kind, candidates in zip(("snapshot", "timestamp"), estate.online(), strict=True):
        trusted = [key for key in candidates if key.public in roles[kind].keys]
        if not trusted:
            raise PublisherError(
                f"this server does not have the {kind} key that the newest root names; copy the "
                f"estate's server folder here"
            )
        online_keys.append(trusted[0])
    return OnlineKeys(*online_keys)


def _write(folder: Path, before: Mapping[str, bytes], current: Mapping[str, bytes]) -> None:
    """Write newer files, the timestamp last; then delete the outdated ones."""
    for name in sorted(current, key=wire.order):
        if before.get(name) != current[name]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            files.replace(folder / name, current[name])
    for name in before.keys() - current.keys():
        (folder / name).unlink()


def _marks(estate: Estate) -> object:
    """Path, time and size of the repository's files, the keys and the status lists.

    They differ when one of these files has changed.
    """
    paths = [*estate.root.glob("issuers/*/status/*.cwt"), *estate.repository.rglob("*")]
    paths += estate.root.glob("server/*.key")
    marks = []
    for path in paths:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        marks.append((str(path), stat.st_mtime_ns, stat.st_size))
    return sorted(marks)
