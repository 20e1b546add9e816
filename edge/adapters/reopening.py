"""Parts that may be lost at the start: each is opened again and again until it is there.

A unit starts with what works. A port here answers as a lost part does (it raises the part's
WorldFailure) until its device has been opened; from then on the device answers itself.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from edge.backoff import Backoff
from edge.doorway.door_signals import DoorAction
from edge.doorway.input_levels import InputLevels
from edge.doorway.ports import Door
from edge.judge.ports import TrustSource
from edge.judge.verdict import TrustState
from edge.parts import CameraLost, DoorLost, Part, TrustLost, WorldFailure
from edge.sight.frame import Sighting
from edge.sight.ports import Scanner
from edge.threads import Progress, Threads
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
    """A part that can be given back."""

    def close(self) -> None:
        """Give it back."""


P = TypeVar("P", bound=Closes)


class PartOpener(Generic[P]):
    """Opens a part in a thread of its own, because an attempt may take seconds."""

    def __init__(self, part: Part, open_part: Callable[[], P], threads: Threads) -> None:
        """`open_part` raises one of FAILURES where it fails; it is called until it does not."""
        self._name = part
        self._open_part = open_part
        self._begun_s = time.monotonic()
        self._failure: str | None = None
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
    """A source of trust documents with a thread of its own."""

    def start(self) -> None:
        """Look for newer documents from now on."""


class ReopeningTrust:
    """The port TrustSource over documents that may not be readable yet."""

    def __init__(self, open_trust: Callable[[], StartableTrust], threads: Threads) -> None:
        def opened() -> StartableTrust:
            trust = open_trust()
            trust.start()
            return trust

        self._opener = PartOpener("trust", opened, threads)

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
