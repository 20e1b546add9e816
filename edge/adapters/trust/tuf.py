"""What this unit believes, through python-tuf's client (TUF specification 1.0, section 5).

One client, three ways in: the card's own folder, a stick, and the broker's retained topics. It
verifies; `accept` understands; then the whole is kept as a generation. A failure is one sentence
in the log and leaves the last good generation in use. Source: edge/wire/trust.md.
"""

import logging
import os
import stat
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from tuf.api import exceptions as wrong
from tuf.api.metadata import TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge.adapters.trust import generations
from edge.adapters.trust.generations import Generations
from edge.clock.reckoning import Now
from edge.judge.belief import Bundle
from edge.wire import repository, trust
from edge.wire.repository import FILE_LEN_MAX, FILES_MAX, LISTS_MAX, TOTAL_LEN_MAX
from edge.wire.trust import TrustError

log = logging.getLogger("menshen")
logging.getLogger("tuf").setLevel(logging.ERROR)  # what it has to say comes as exceptions

T = TypeVar("T")
"""What a bundle is when it is understood."""

LOOK_S = 2.0  # how often the ways in are looked at
AGAIN_S_MAX = 3600.0
RETRY_S = 60.0  # what failed is tried again, unless it has changed before
CHUNK_LEN = 65_536
INBOX_LEN_MAX = 32 * 1024 * 1024  # bytes held from the broker until they are a generation

_CONFIG = UpdaterConfig(
    max_root_rotations=256,
    root_max_length=65_536,
    timestamp_max_length=16_384,
    snapshot_max_length=FILE_LEN_MAX,
    targets_max_length=FILE_LEN_MAX,
)


class Source(Protocol):
    """A way in: files of a repository that nobody has verified."""

    name: str  # for people

    def mark(self) -> object:
        """Something else as soon as there may be something new; None: nothing is there."""

    def open(self, file: str) -> Iterator[bytes]:
        """The pieces of `file`. Raises FileNotFoundError, OSError."""


class Folder:
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


class Inbox:
    """What the broker retains, as it comes in; bounded, and emptied when it was taken.

    `put` is called by the network's thread.
    """

    name = "the broker"

    def __init__(self) -> None:
        self.again: Callable[[], None] = lambda: None  # asks the broker for all of it once more
        self._again_due_s = 0.0
        self._again_wait_s = RETRY_S
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

    def empty(self, mark: object) -> None:
        """All of it is in a generation now, unless more came after `mark`; changes come again."""
        with self._lock:
            if mark != self._changes:
                return
            self._files.clear()
            self._len = 0
            self._full = False
            self._again_wait_s = RETRY_S

    def incomplete(self, now_s: float) -> None:
        """Something is needed that was not needed before, or was lost on its way: ask for it.

        Seldomer each time: a broker that lacks it must not be asked by every unit every minute.
        """
        if now_s >= self._again_due_s:
            self._again_due_s = now_s + self._again_wait_s
            self._again_wait_s = min(AGAIN_S_MAX, 2 * self._again_wait_s)
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


class _TooMuch(wrong.DownloadLengthMismatchError):
    """What a role signs is more than a unit takes."""


class Older(TrustError):
    """A repository that is older than what the unit has, and changes nothing."""


class Incomplete(TrustError):
    """A repository that lacks a file which this unit needs."""


class TufTrust(Generic[T]):
    """The unit's `TrustSource`. Raises TrustError when there is nothing to begin with."""

    def __init__(
        self,
        card: Path,
        state: Path,
        site: str,
        accept: Callable[[Bundle], T],
        now: Callable[[], Now],
        stick: Path | None = None,
    ) -> None:
        """`card`: the folder of the first repository, with the root that is trusted, `root.json`;
        `accept` understands a bundle or raises TrustError; `now` is called by this object's own
        thread: only `earliest` of it says what has expired.
        """
        self.inbox = Inbox()
        self._site, self._accept, self._now = site, accept, now
        self._root = _root(card)
        self._kept = Generations(state / "trust")
        self._new: deque[T] = deque(maxlen=1)
        first = Folder(card, f"the card {card}")
        self._current: Path | None = None
        self._bundle = self._begin(first)
        self._watched = [_Watched(first), _Watched(self.inbox)]
        if stick is not None:
            self._watched.append(_Watched(Folder(stick, f"the stick {stick}"), spoken=True))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="trust", daemon=True)

    def start(self) -> None:
        """Look at the ways in from now on."""
        self._thread.start()

    def latest(self) -> T | None:
        """What `accept` made of the newest bundle, once."""
        with suppress(IndexError):
            return self._new.popleft()
        return None

    def close(self) -> None:
        """Look no more. A refresh that is under way is left to itself: it is taken or it is not."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def refresh(self, source: Source) -> bool:
        """Take what `source` has that is newer; whether it had something.

        Raises TrustError with one sentence; then all is as it was.
        """
        now = self._now()
        try:
            if _is_same(source, self._current):
                return False
            with self._kept.next(self._current) as passing:
                client = _Client(passing, self._root, source, now.interval.earliest_s)
                bundle = client.bundle(self._site, now.powered_s)
                if bundle.version == self._bundle.version:
                    return False
                self._take(bundle, passing, client.needed)
        except wrong.BadVersionNumberError as error:
            raise Older(f"{source.name}: {_why(error)}") from None
        except wrong.DownloadHTTPError as error:
            raise Incomplete(f"{source.name}: {_why(error)}") from None
        except Exception as error:
            raise TrustError(f"{source.name}: {_why(error)}") from None
        return True

    def _take(self, bundle: Bundle, passing: Path, needed: set[Path]) -> None:
        understood = self._accept(bundle)
        for folder in (passing / "metadata", passing / "targets"):
            for path in folder.iterdir():  # the roots lie deeper
                if path.is_file() and not path.is_symlink() and path not in needed:
                    path.unlink()
        (passing / "accepted").unlink(missing_ok=True)
        (passing / "accepted").write_text(repr(bundle.accepted_s))
        self._current = self._kept.take(passing, self._current)
        self._bundle = bundle
        self._new.append(understood)

    def _begin(self, card: Folder) -> Bundle:
        """The last good generation, or the first from the card."""
        for generation in self._kept.newest_first():
            try:
                bundle, understood = _load(generation, self._root, self._site, self._accept)
            except Exception as error:
                log.warning(
                    "generation %s of the trust documents cannot be used (%s); "
                    "the one before it is taken",
                    generation.name,
                    _why(error),
                )
                continue
            self._current = generation
            self._new.append(understood)
            return bundle
        try:
            with self._kept.next(None) as passing:
                client = _Client(passing, self._root, card, 0)
                bundle = client.bundle(self._site, self._now().powered_s)
                self._take(bundle, passing, client.needed)
        except OSError as error:
            raise TrustError(
                f"what {card.name} says cannot be kept: {_why(error)}; make room for "
                "this unit's state, and make it writable"
            ) from None
        except Exception as error:
            raise TrustError(f"{card.name} cannot be believed: {_why(error)}") from None
        return bundle

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_S):
            for watched in self._watched:
                if watched.due(time.monotonic()):
                    self._try(watched)

    def _try(self, watched: "_Watched") -> None:
        source, mark = watched.source, watched.seen
        try:
            taken = self.refresh(source)
        except TrustError as error:
            told = watched.spoken or not isinstance(error, Older)
            watched.failed(
                time.monotonic(), f"{error}; what this unit believes stays as it is" * told
            )
            if source is self.inbox and isinstance(error, Incomplete):
                self.inbox.incomplete(time.monotonic())
            return
        watched.settled()
        if source is self.inbox:
            self.inbox.empty(mark)
        if taken:
            log.info("%s: took version %d of what to believe", source.name, self._bundle.version)
        elif watched.spoken:
            log.info("%s has nothing newer than this unit", source.name)


class _Watched:
    """One source, and what became of what it last had."""

    def __init__(self, source: Source, spoken: bool = False) -> None:
        """`spoken`: somebody stands beside it who wants to know that it is old."""
        self.source, self.spoken = source, spoken
        self.seen: object = None
        self._done: object = None  # the mark that was dealt with
        self._again_s = 0.0
        self._said = ""

    def due(self, now_s: float) -> bool:
        """Whether there is something new that has stood still since the last look."""
        mark, before = self.source.mark(), self.seen
        self.seen = mark
        if mark is None:
            self._done, self._said = None, ""  # a stick that comes back is answered again
        if mark is None or mark != before:
            return False
        return mark != self._done or now_s >= self._again_s

    def settled(self) -> None:
        """Dealt with until it changes."""
        self._done, self._again_s, self._said = self.seen, float("inf"), ""

    def failed(self, now_s: float, sentence: str) -> None:
        """To be tried again; the same sentence is said once."""
        self._done, self._again_s = self.seen, now_s + RETRY_S
        if sentence and sentence != self._said:
            log.warning("%s", sentence)
        self._said = sentence


def load(card: Path, state: Path, site: str, accept: Callable[[Bundle], T]) -> T:
    """What a unit would begin with, read only: its last good generation, or its card's.

    Raises TrustError.
    """
    root = _root(card)
    for generation in Generations(state / "trust").newest_first():
        with suppress(Exception):
            return _load(generation, root, site, accept)[1]
    try:
        with tempfile.TemporaryDirectory() as passing:
            generations.copy(None, Path(passing))
            source = Folder(card, f"the card {card}")
            return accept(_Client(Path(passing), root, source, 0).bundle(site, 0.0))
    except Exception as error:
        raise TrustError(f"the card {card} cannot be believed: {_why(error)}") from None


def _load(
    generation: Path, root: bytes, site: str, accept: Callable[[Bundle], T]
) -> tuple[Bundle, T]:
    """Verify a generation again, from itself alone. Nothing in it is expired: its age is judged
    by the steps of age, and an old list is better than none. Raises whatever is wrong.
    """
    with tempfile.TemporaryDirectory() as passing:
        generations.copy(generation, Path(passing))
        source = Folder(generation, f"trust generation {generation.name}")
        bundle = _Client(Path(passing), root, source, 0).bundle(site, _accepted_s(generation))
        return bundle, accept(bundle)


def _is_same(source: Source, generation: Path | None) -> bool:
    """Whether both have the same timestamp, and so the same of everything."""
    if generation is None:
        return False
    try:
        mine = (generation / "metadata" / "timestamp.json").read_bytes()
    except OSError:
        return False
    return b"".join(_bounded(repository.TIMESTAMP, source.open(repository.TIMESTAMP))) == mine


def _accepted_s(generation: Path) -> float:
    """When it was accepted, by powered-on time; unreadable: always, so that it counts as old."""
    try:
        return float((generation / "accepted").read_text())
    except (OSError, ValueError):
        return 0.0


def _root(card: Path) -> bytes:
    try:
        return (card / "root.json").read_bytes()
    except OSError as error:
        raise TrustError(
            f"the trusted root {card / 'root.json'} cannot be read ({error.strerror}); "
            "copy the folder again from the card"
        ) from None


class _Fetcher(FetcherInterface):
    """Files by their names; what is not there is an HTTP 404 to python-tuf."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return _bounded(url, self._source.open(url))
        except FileNotFoundError:
            raise wrong.DownloadHTTPError(f"{url} is missing", 404) from None


class _Client(Updater):
    """python-tuf's client, with our own time and without its search through all delegations.

    Both need what python-tuf keeps to itself. It asks the system for the time, which a door does
    not believe: `_trusted_set.reference_time` is our clock's `earliest` instead. And it looks for
    a document at every delegation in turn, four thousand times four thousand with as many
    issuers: here the role of a path is known by its name. tests/edge/adapters/trust/test_tuf.py
    notices if either has no effect any more.
    """

    def __init__(self, passing: Path, root: bytes, source: Source, earliest_s: int) -> None:
        folders = str(passing / "metadata"), str(passing / "targets")
        super().__init__(
            folders[0],
            "metadata",
            folders[1],
            "targets",
            _Fetcher(source),
            _CONFIG,
            bootstrap=root,
        )
        self._metadata, self.needed = passing / "metadata", set[Path]()
        self._at(earliest_s)
        self._documents: dict[str, bytes] = {}
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._total_len = 0

    def bundle(self, site: str, accepted_s: float) -> Bundle:
        """Refresh, and everything that a door of `site` needs. Raises what is wrong."""
        self.refresh()
        needed = [self._take("issuers"), self._take(f"site/{site}")]
        for path in (repository.ISSUERS, repository.site(site)):
            if path not in self._documents:
                raise wrong.RepositoryError(f"the repository has no {path}")
        offline = [self._trusted_set.root, self._trusted_set.targets, *filter(None, needed)]
        timestamp = self._trusted_set.timestamp
        for role in ("timestamp", "snapshot", "targets"):
            self._needs(role)
        # An issuer that forgets its list must not keep its neighbours from news: the age of a
        # status list is written in the list itself and judged by whoever reads it.
        self._at(0)
        for issuer in trust.document(self._documents[repository.ISSUERS]).issuers:
            if not issuer.sites or site in issuer.sites:
                for role in (f"status/{issuer.name}", f"keys/{issuer.name}"):
                    try:
                        self._take(role)
                    except _TooMuch as error:  # nor must one that signs too much
                        log.warning("%s, which is too much: they are left out", error)
        if timestamp.version >= 2**32:
            raise wrong.RepositoryError("the timestamp's version is no time")
        return Bundle(
            documents=self._documents,
            keys=self._keys,
            version=timestamp.version,
            signed_s=_signed_s(timestamp.unrecognized_fields),
            until_s=min(int(signed.expires.timestamp()) for signed in offline),
            accepted_s=accepted_s,
        )

    def _at(self, earliest_s: int) -> None:
        self._trusted_set.reference_time = datetime.fromtimestamp(earliest_s, UTC)

    def _take(self, role: str) -> Targets | None:
        """The role's metadata and its documents; None where the repository does not have it."""
        delegations = self._trusted_set.targets.delegations
        handed = (delegations.roles or {}).get(role) if delegations else None
        if delegations is None or handed is None:
            return None
        if f"{role}.json" not in self._trusted_set.snapshot.meta:
            return None
        found = self._load_targets(role, Targets.type)
        self._needs(role)
        own = [info for path, info in found.targets.items() if handed.is_delegated_path(path)]
        length = sum(info.length for info in own)
        if length > FILE_LEN_MAX or self._total_len + length > TOTAL_LEN_MAX:
            raise _TooMuch(f"{role} has {length} bytes of documents")
        if len(own) > LISTS_MAX:
            raise _TooMuch(f"{role} has {len(own)} documents; {LISTS_MAX} at most")
        self._total_len += length
        held = [delegations.keys[keyid] for keyid in handed.keyids]
        publics = tuple(bytes.fromhex(k.keyval["public"]) for k in held if k.keytype == "ed25519")
        for info in own:
            self._documents[info.path] = self._document(info)
            self._keys[info.path] = publics
        return found

    def _document(self, info: TargetFile) -> bytes:
        path = Path(self._generate_target_file_path(info))
        if self.find_cached_target(info) is None:
            path.unlink(missing_ok=True)  # never write into a file of the generation before
            self.download_target(info)
        self.needed.add(path)
        return path.read_bytes()

    def _needs(self, role: str) -> None:
        self.needed.add(self._metadata / Path(repository.metadata_file(role)).name)


def _signed_s(fields: Mapping[str, object]) -> int:
    signed_s = fields.get(repository.SIGNED_S)
    if type(signed_s) is not int or not 0 <= signed_s < 2**32:
        raise wrong.RepositoryError("the timestamp does not say when it was signed")
    return signed_s


def _pieces(handle: int) -> Iterator[bytes]:
    with os.fdopen(handle, "rb") as file:
        while piece := file.read(CHUNK_LEN):
            yield piece


def _bounded(file: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > FILE_LEN_MAX:
            raise wrong.DownloadLengthMismatchError(f"{file} does not end")
        yield piece


_SENTENCES: Sequence[tuple[type[Exception], str]] = (
    (wrong.BadVersionNumberError, "it is older than what this unit has, or parts do not belong "
     "together"),
    (wrong.ExpiredMetadataError, "it has expired; bring a fresh one"),
    (wrong.UnsignedMetadataError, "it is not signed by those who may"),
    (wrong.DownloadLengthMismatchError, "a file is longer than it may be"),
    (wrong.LengthOrHashMismatchError, "a file was altered"),
    (wrong.DownloadHTTPError, "it is not complete"),
)  # fmt: skip


def _why(error: Exception) -> str:
    """One sentence, in words for the person who holds the stick."""
    detail = " ".join(str(error).split())[:200]
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'} cannot be used ({error.strerror})"
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return f"{sentence} ({detail})"
    return detail or type(error).__name__
