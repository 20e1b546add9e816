"""Keeps what doors believe current, and says what the broker must retain of it.

The online keys sign here: a new timestamp every few hours, and a new snapshot when somebody has
put newer documents into the repository, or an issuer has made a newer status list. They can sign
nothing else. Source: edge/wire/trust.md.
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
"""How old a timestamp gets. A door's trust is stale after two days, unless its site says else."""
LOOK_S = 15.0
"""How long a change may wait, so that the lists of many issuers make one publication."""
STATUS_S = 30 * 86400
SETTLE_S = 1.0  # after a subscription, until what the broker retains has come
AGAIN_S = 60.0

_log = logging.getLogger("menshen.trust")


class PublisherError(ValueError):
    """The repository cannot be kept current; one sentence that says what is wrong."""


def renew(estate: Estate, now_s: int, every_s: int = RENEW_S, above: int = 0) -> dict[str, bytes]:
    """Bring the repository up to date: newer status lists, snapshot, timestamp.

    `above`: the last timestamp's version that doors were given; another machine's may be older.

    Returns its current files by name. Raises TrustError, EstateError.
    """
    try:
        with files.locked(estate.root):
            before = read_repository(estate.repository)
            if TIMESTAMP not in before:
                raise PublisherError(
                    f"nothing is published in {estate.repository}; run: menshen-provision publish "
                    f"{estate.root}"
                )
            known = {**before, **_lists(estate, before, now_s)}
            last = wire.read(known[TIMESTAMP])
            due = last.signed_s + every_s <= now_s or last.version < above
            known |= wire.published(known, _online(estate, known), now_s, renew=due)
            current = wire.current(known)
            _write(estate.repository, before, {name: known[name] for name in current})
    except BrokenRepository as error:
        raise PublisherError(f"{estate.repository} cannot be published: {error}") from None
    except OSError as error:
        raise PublisherError(
            f"{error.filename or estate.repository} cannot be used ({error.strerror})"
        ) from None
    return {name: known[name] for name in current}


class Publisher:
    """What the broker must be told so that it retains the repository, and nothing else of it.

    Files and signatures are looked at by a thread of its own, because the collector has no time.
    """

    def __init__(self, estate: Estate, every_s: int = RENEW_S, look_s: float = LOOK_S) -> None:
        self._estate, self._every_s, self._look_s = estate, every_s, look_s
        self._lock = threading.Lock()
        self._wanted: dict[str, tuple[bytes, bytes]] = {}  # topic -> SHA-256, payload
        self._retained: dict[str, bytes] | None = None  # topic -> SHA-256; None: not known
        self._known_s = 0.0
        self._seen: object = None
        self._timestamp_due_s = 0.0
        self._above = 0
        self._told = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trust", daemon=True)

    def start(self) -> None:
        """Keep the repository current from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Returns when nothing is signed or written any more."""
        self._stop.set()
        self._thread.join()

    def note_connected(self) -> None:
        """The broker sends what it retains from now on; before that nothing is known of it."""
        with self._lock:
            self._retained, self._known_s = {}, time.monotonic() + SETTLE_S

    def note_retained(self, topic: str, payload: bytes) -> None:
        """What the broker holds at `topic`; empty: nothing."""
        with self._lock:
            if self._retained is None:
                return
            if payload:
                self._retained[topic] = hashlib.sha256(payload).digest()
            else:
                self._retained.pop(topic, None)

    def take_due(self) -> list[tuple[str, bytes]]:
        """Topics and payloads to retain now, the timestamp after all else, then what is cleared."""
        with self._lock:
            if self._retained is None or time.monotonic() < self._known_s or not self._wanted:
                return []
            news = [
                (topic, data)
                for topic, (digest, data) in self._wanted.items()
                if self._retained.get(topic) != digest
            ]
            gone = [(topic, b"") for topic in self._retained.keys() - self._wanted.keys()]
            self._retained = {topic: digest for topic, (digest, _) in self._wanted.items()}
        return [*news, *gone]

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stop.wait(wait_s):
            wait_s = self._look_s
            try:
                self._look(int(time.time()))
                self._told = ""
            except (PublisherError, EstateError) as error:
                wait_s = max(self._look_s, AGAIN_S)
                if str(error) != self._told:
                    self._told = str(error)
                    _log.error("%s; doors keep what they have", error)

    def _look(self, now_s: int) -> None:
        """Read the files only when one has changed, or the timestamp is due."""
        seen = _marks(self._estate)
        if seen == self._seen and now_s < self._timestamp_due_s:
            return
        current = renew(self._estate, now_s, self._every_s, self._above)
        last = wire.read(current[TIMESTAMP])
        self._above, self._timestamp_due_s = last.version, last.signed_s + self._every_s
        self._seen = _marks(self._estate)
        wanted = {
            wire.topic(name): (hashlib.sha256(current[name]).digest(), current[name])
            for name in sorted(current, key=wire.order)
        }
        with self._lock:
            self._wanted = wanted


def read_repository(folder: Path) -> dict[str, bytes]:
    """The files of a repository by name."""
    found = sorted(p for kind in ("metadata", "targets") for p in (folder / kind).rglob("*"))
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in found
        if p.is_file() and not p.name.startswith(".")
    }


def _lists(estate: Estate, known: Mapping[str, bytes], now_s: int) -> dict[str, bytes]:
    """The files of those issuers whose status lists are newer than what is published."""
    targets = wire.newest(known, "targets")
    handed = wire.read(targets).roles if targets else {}
    added: dict[str, bytes] = {}
    for issuer, paths in estate.status_lists().items():
        role = f"status/{issuer}"
        if role not in handed or targets is None:
            _log.warning("issuer %s has status lists and is not published yet", issuer)
            continue
        documents = {
            wire.status_list(issuer, name): path.read_bytes() for name, path in paths.items()
        }
        data = wire.newest(known, role)
        there = wire.read(data) if data else None
        listed = {p: hashlib.sha256(d).hexdigest() for p, d in documents.items()}
        if there and there.documents == listed and there.until_s > now_s + STATUS_S // 3:
            continue
        key = estate.status_key(issuer)
        if handed[role].keys != (key.public,):
            _log.error("the status key of issuer %s is not the one that doors believe", issuer)
            continue
        version = max(now_s, there.version + 1 if there else 1)
        added |= wire.role_files(role, version, now_s + STATUS_S, documents, key)
    return added


def _online(estate: Estate, known: Mapping[str, bytes]) -> OnlineKeys:
    root = wire.newest(known, "root")
    if root is None:
        raise PublisherError(f"{estate.repository} has no root; publish it again")
    roles = wire.read(root).roles
    found = []
    for kind, held in zip(("snapshot", "timestamp"), estate.online(), strict=True):
        mine = [key for key in held if key.public in roles[kind].keys]
        if not mine:
            raise PublisherError(f"the newest root names another {kind} key than this server has")
        found.append(mine[0])
    return OnlineKeys(*found)


def _write(folder: Path, before: Mapping[str, bytes], current: Mapping[str, bytes]) -> None:
    """The timestamp last; then away with what is of no use any more."""
    for name in sorted(current, key=wire.order):
        if before.get(name) != current[name]:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            files.replace(folder / name, current[name])
    for name in before.keys() - current.keys():
        (folder / name).unlink()


def _marks(estate: Estate) -> object:
    """Something else as soon as a file of the repository, a key or a status list has changed."""
    found = [*estate.root.glob("issuers/*/status/*.cwt"), *estate.repository.rglob("*")]
    found += estate.root.glob("server/*.key")
    marks = []
    for path in found:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        marks.append((str(path), stat.st_mtime_ns, stat.st_size))
    return sorted(marks)
