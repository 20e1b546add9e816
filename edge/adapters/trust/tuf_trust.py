"""What this unit trusts: newer trust documents from three sources, kept as generations.

`sources.py` has the sources, `schedule.py` decides when each is tried, `client.py` verifies through
python-tuf; `accept` understands; then the whole is kept as a generation. A failure is one sentence
in the log and leaves the last good generation in use. Source: edge/wire/trust.md.
"""

import logging
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

from edge.adapters.trust import client, generations
from edge.adapters.trust.client import Client, IncompleteDocuments, OlderDocuments
from edge.adapters.trust.generations import Generations
from edge.adapters.trust.schedule import LOOK_S, SourceSchedule
from edge.adapters.trust.sources import DocumentSource, TrustFolder, TrustInbox
from edge.clock.time_interval import Now
from edge.judge.trust_documents import Bundle
from edge.threads import Progress, Threads
from edge.wire import repository
from edge.wire.trust import TrustError

log = logging.getLogger("menshen")

REFRESH_S_MAX = 600.0
"""For one source: a slow stick, and the signatures of thousands of issuers on a slow processor."""

T = TypeVar("T")
"""What a bundle is when it is understood."""


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
        threads: Threads | None = None,
    ) -> None:
        """`card`: the folder of the first repository, with the root that is trusted, `root.json`;
        `accept` understands a bundle or raises TrustError; `now` is called by this object's own
        thread: only its `earliest` decides what has expired.
        """
        self.inbox = TrustInbox()
        self._site, self._accept, self._now = site, accept, now
        self._root = _root(card)
        self._kept = Generations(state / "trust")
        self._new: deque[T] = deque(maxlen=1)
        first = TrustFolder(card, f"the card {card}")
        self._current: Path | None = None
        self._bundle = self._begin(first)
        self._watched = [SourceSchedule(first), SourceSchedule(self.inbox)]
        if stick is not None:
            self._watched.append(
                SourceSchedule(TrustFolder(stick, f"the stick {stick}"), spoken=True)
            )
        self._stop = threading.Event()
        self._threads = threads or Threads()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look at the ways in from now on."""
        self._thread = self._threads.start("trust", self._watch)

    def latest(self) -> T | None:
        """What `accept` made of the newest bundle, once."""
        with suppress(IndexError):
            return self._new.popleft()
        return None

    def close(self) -> None:
        """Look no more. A refresh that is under way is left to itself: it is taken or it is not."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def refresh(self, source: DocumentSource) -> bool:
        """Take what `source` has that is newer; whether it had something.

        Raises TrustError with one sentence; then all is as it was.
        """
        now = self._now()
        try:
            if _is_same(source, self._current):
                return False
            with self._kept.next(self._current) as passing:
                reader = Client(passing, self._root, source, now.interval.earliest_s)
                bundle = reader.bundle(self._site, now.powered_s)
                if bundle.version == self._bundle.version:
                    return False
                self._take(bundle, passing, reader.needed)
        except Exception as error:
            raise client.failure(source.name, error) from None
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

    def _begin(self, card: TrustFolder) -> Bundle:
        """The last good generation, or the first from the card."""
        for generation in self._kept.newest_first():
            try:
                bundle, understood = _load(generation, self._root, self._site, self._accept)
            except Exception as error:
                log.warning(
                    "generation %s of the trust documents cannot be used (%s); "
                    "the one before it is taken",
                    generation.name,
                    client.why(error),
                )
                continue
            self._current = generation
            self._new.append(understood)
            return bundle
        try:
            with self._kept.next(None) as passing:
                reader = Client(passing, self._root, card, 0)
                bundle = reader.bundle(self._site, self._now().powered_s)
                self._take(bundle, passing, reader.needed)
        except OSError as error:
            log.warning(
                "the documents of %s cannot be kept: %s; make room for this unit's state, and make "
                "it writable",
                card.name,
                client.why(error),
            )
            return self._read_unkept(card)
        except Exception as error:
            raise TrustError(f"{card.name} cannot be trusted: {client.why(error)}") from None
        return bundle

    def _read_unkept(self, card: TrustFolder) -> Bundle:
        """The card's documents where the disk takes no generation: they are verified and used."""
        try:
            with tempfile.TemporaryDirectory() as passing:
                generations.copy(None, Path(passing))
                reader = Client(Path(passing), self._root, card, 0)
                bundle = reader.bundle(self._site, self._now().powered_s)
            self._new.append(self._accept(bundle))
        except Exception as error:
            raise TrustError(f"{card.name} cannot be trusted: {client.why(error)}") from None
        return bundle

    def _watch(self, progress: Progress) -> None:
        while not self._stop.wait(LOOK_S):
            progress.tick()
            for watched in self._watched:
                with progress.allow(REFRESH_S_MAX):  # a slow stick, thousands of issuers
                    if watched.take_due(time.monotonic()):
                        self._try(watched)

    def _try(self, watched: "SourceSchedule") -> None:
        source, mark = watched.source, watched.seen
        try:
            taken = self.refresh(source)
        except TrustError as error:
            is_logged = watched.spoken or not isinstance(error, OlderDocuments)
            watched.note_failure(
                time.monotonic(), f"{error}; the documents in use stay as they are" * is_logged
            )
            if source is self.inbox and isinstance(error, IncompleteDocuments):
                self.inbox.request_again(time.monotonic())
            return
        watched.note_done()
        if source is self.inbox:
            self.inbox.clear(mark)
        if taken:
            log.info(
                "%s: took version %d of the trust documents", source.name, self._bundle.version
            )
        elif watched.spoken:
            log.info("%s has nothing newer than this unit", source.name)


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
            source = TrustFolder(card, f"the card {card}")
            return accept(Client(Path(passing), root, source, 0).bundle(site, 0.0))
    except Exception as error:
        raise TrustError(f"the card {card} cannot be trusted: {client.why(error)}") from None


def _load(
    generation: Path, root: bytes, site: str, accept: Callable[[Bundle], T]
) -> tuple[Bundle, T]:
    """Verify a generation again, from itself alone. Nothing in it is expired: its age is judged
    by the steps of age, and an old list is better than none. Raises whatever is wrong.
    """
    with tempfile.TemporaryDirectory() as passing:
        generations.copy(generation, Path(passing))
        source = TrustFolder(generation, f"trust generation {generation.name}")
        bundle = Client(Path(passing), root, source, 0).bundle(site, _accepted_s(generation))
        return bundle, accept(bundle)


def _is_same(source: DocumentSource, generation: Path | None) -> bool:
    """Whether both have the same timestamp, and so the same of everything."""
    if generation is None:
        return False
    try:
        mine = (generation / "metadata" / "timestamp.json").read_bytes()
    except OSError:
        return False
    return b"".join(client.bounded(repository.TIMESTAMP, source.open(repository.TIMESTAMP))) == mine


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
