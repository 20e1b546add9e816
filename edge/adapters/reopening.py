"""Parts that may be lost at the start: each is opened again and again until it is there.

A unit starts with what works. A port here answers as a lost part does (it raises the part's
WorldFailure) until its device has been opened; from then on the device answers itself.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from edge.adapters.trust.sources import TrustInbox
from edge.backoff import Backoff
from edge.doorway.door_signals import DoorAction
from edge.doorway.input_levels import InputLevels
from edge.doorway.ports import Door
from edge.judge.ports import TrustSource
from edge.judge.verdict import TrustState
from edge.parts import CameraLost, DoorLost, Part, StoreLost, TrustLost, WorldFailure
from edge.report.ports import CountStore, StoreLoss
from edge.report.tally import ClosedCell, OpenCell
from edge.sight.frame import Sighting
from edge.sight.ports import Scanner
from edge.threads import Progress, Threads
from edge.wire import report
from edge.wire.trust import TrustError

RETRY_S = 1.0
RETRY_S_MAX = 30.0
OPEN_S_MAX = 60.0
"""An attempt that takes so long hangs, and only another process can try again."""
OPENS_S = 10.0
"""A part that is being opened for so long counts as lost."""
FAILURES = (WorldFailure, TrustError, ImportError)
"""What an attempt may raise; the message is a sentence for people."""


class Closes(Protocol):
    """A part that can be closed."""

    def close(self) -> None:
        """Give it back."""


P = TypeVar("P", bound=Closes)


class PartOpener(Generic[P]):
    """Opens a part in its own thread, because an attempt may take seconds."""

    def __init__(
        self,
        part: Part,
        open_part: Callable[[], P],
        threads: Threads,
        failure: str | None = None,
    ) -> None:
        """`open_part` raises one of FAILURES where it fails; it is called until it does not.
        `failure`: the sentence of an attempt that was made before.
        """
        self._name = part
        self._open_part = open_part
        self._begun_s = time.monotonic()
        self._failure = failure
        self._part: P | None = None
        self._opened = threading.Event()
        self._closed = threading.Event()
        self._thread = threads.start(f"{part} opener", self._run)

    def part(self) -> P | None:
        """The part; None: it is not open yet."""
        return self._part

    def failure(self) -> str | None:
        """Why it counts as lost; None: it is open, or the first attempt is still young."""
        if self._part is not None:
            return None
        if self._failure is None and time.monotonic() - self._begun_s > OPENS_S:
            return f"the {self._name} does not open"
        return self._failure

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when it is open."""
        self._opened.wait(seconds)

    def close(self) -> None:
        """Try no more, and give the part back. An attempt that hangs is left to itself."""
        self._closed.set()
        self._thread.join(timeout=2)
        if self._part is not None:
            self._part.close()

    def _run(self, progress: Progress) -> None:
        backoff = Backoff(RETRY_S, RETRY_S_MAX)
        while not self._closed.is_set():
            try:
                with progress.allow(OPEN_S_MAX):
                    part = self._open_part()
            except FAILURES as error:
                self._failure = str(error)
            else:
                self._part = part
                self._opened.set()
                return
            due_s = time.monotonic() + backoff.take_wait_s()
            while time.monotonic() < due_s and not self._closed.wait(0.5):
                progress.tick()


class ReopeningScanner:
    """The port Scanner over a camera or imager that may not be there yet."""

    def __init__(self, open_scanner: Callable[[], Scanner], threads: Threads) -> None:
        self._opener = PartOpener("camera", open_scanner, threads)

    def latest(self) -> Sighting | None:
        """As of Scanner. Raises CameraLost."""
        scanner = self._opener.part()
        if scanner is not None:
            return scanner.latest()
        failure = self._opener.failure()
        if failure is not None:
            raise CameraLost(failure)
        return None

    def wait(self, seconds: float) -> None:
        """As of Scanner."""
        scanner = self._opener.part()
        (scanner or self._opener).wait(seconds)

    def close(self) -> None:
        """Give the device back."""
        self._opener.close()


class StartableTrust(TrustSource, Closes, Protocol):
    """A source of trust documents with its own thread."""

    @property
    def inbox(self) -> TrustInbox:
        """Where the broker's documents are put."""

    def start(self) -> None:
        """Look for newer documents from now on."""


class ReopeningTrust:
    """The port TrustSource over documents that may not be readable yet."""

    def __init__(
        self,
        open_trust: Callable[[], StartableTrust],
        threads: Threads,
        first: StartableTrust | None = None,
        failure: str | None = None,
    ) -> None:
        """`first`: what the attempt at the start has opened; `failure`: why it has not."""
        self.again: Callable[[], None] = lambda: None
        """Asks the broker for all documents once more; any thread may call it."""

        def started() -> StartableTrust:
            trust = first or open_trust()
            trust.inbox.again = lambda: self.again()
            trust.start()
            if first is None:
                self.again()
            return trust

        self._opener = PartOpener("trust", started, threads, failure)

    def put(self, file: str, data: bytes) -> None:
        """A document of the broker; dropped until there is somebody to verify it."""
        trust = self._opener.part()
        if trust is not None:
            trust.inbox.put(file, data)

    def latest(self) -> TrustState | None:
        """As of TrustSource. Raises TrustLost until the first documents were read."""
        trust = self._opener.part()
        if trust is not None:
            return trust.latest()
        failure = self._opener.failure()
        if failure is not None:
            raise TrustLost(failure)
        return None

    def close(self) -> None:
        """Look no more."""
        self._opener.close()


class ReopeningDoor:
    """The port Door over pins or a controller that may not be there yet.

    Opening takes no time, so the loop's own reading of the inputs tries it.
    """

    def __init__(self, open_door: Callable[[], Door]) -> None:
        self._open_door = open_door
        self._door: Door | None = None
        self._failure = DoorLost("the door was not opened yet")
        self._backoff = Backoff(RETRY_S, RETRY_S_MAX)
        self._due_s = float("-inf")
        with suppress(DoorLost):
            self._opened()

    def apply(self, action: DoorAction) -> None:
        """As of Door. Raises DoorLost."""
        self._present().apply(action)

    def settle(self) -> bool:
        """As of Door. Raises DoorLost."""
        return self._present().settle()

    def illuminate(self, on: bool) -> None:
        """As of Door. Raises DoorLost."""
        self._present().illuminate(on)

    def take_turns(self) -> tuple[int, int]:
        """As of Door."""
        return (0, 0) if self._door is None else self._door.take_turns()

    def read_inputs(self) -> InputLevels:
        """As of Door; opens it where an attempt is due. Raises DoorLost."""
        return self._opened().read_inputs()

    def close(self) -> None:
        """Everything at rest."""
        if self._door is not None:
            self._door.close()

    def _present(self) -> Door:
        if self._door is None:
            raise self._failure
        return self._door

    def _opened(self) -> Door:
        if self._door is None and time.monotonic() >= self._due_s:
            try:
                self._door = self._open_door()
            except DoorLost as failure:
                self._failure = failure
                self._due_s = time.monotonic() + self._backoff.take_wait_s()
        return self._present()


class OpenStore(CountStore, Closes, Protocol):
    """A count store that is open."""


class ReopeningStore:
    """The port CountStore over a disk that may not be usable yet. A probe tries it.

    Until then this unit reports under an installation made for this run, without any counts.
    """

    def __init__(self, open_store: Callable[[], OpenStore], rng: random.Random) -> None:
        self._open_store = open_store
        self._store: OpenStore | None = None
        self._failure = StoreLost("the store was not opened yet")
        self._run_installation = rng.randbytes(8).hex()
        with suppress(StoreLost):
            self._opened()

    @property
    def installation(self) -> str:
        """The store's, or this run's."""
        return self._run_installation if self._store is None else self._store.installation

    @property
    def session(self) -> int:
        """The store's, or 1."""
        return 1 if self._store is None else self._store.session

    def take_loss(self) -> StoreLoss | None:
        """As of CountStore."""
        return None if self._store is None else self._store.take_loss()

    def cells(self) -> dict[report.Category, OpenCell]:
        """As of CountStore. Raises StoreLost."""
        return self._present().cells()

    def begin(self, cells: list[OpenCell]) -> None:
        """As of CountStore. Raises StoreLost."""
        self._present().begin(cells)

    def probe(self) -> None:
        """As of CountStore; opens it where it is not open. Raises StoreLost."""
        self._opened().probe()

    def count(self, cell: OpenCell) -> None:
        """As of CountStore. Raises StoreLost."""
        self._present().count(cell)

    def close_cells(self, closed: list[ClosedCell]) -> None:
        """As of CountStore. Raises StoreLost."""
        self._present().close_cells(closed)

    def unacknowledged(self, most: int) -> list[report.Cell]:
        """As of CountStore. Raises StoreLost."""
        return self._present().unacknowledged(most)

    def acknowledge(self, ack: report.Ack) -> bool:
        """As of CountStore. Raises StoreLost."""
        return self._present().acknowledge(ack)

    def close(self) -> None:
        """Give the file back."""
        if self._store is not None:
            self._store.close()

    def _present(self) -> OpenStore:
        if self._store is None:
            raise self._failure
        return self._store

    def _opened(self) -> OpenStore:
        if self._store is None:
            try:
                self._store = self._open_store()
            except StoreLost as failure:
                self._failure = failure
        return self._present()
