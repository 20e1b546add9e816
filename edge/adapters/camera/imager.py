"""A barcode imager on a serial port or on USB as one (CDC-ACM): text, not frames, through pyserial.

It only listens: mode, light and trigger are set at the imager with its maker's setup codes
(edge/adapters/camera/imagers.md).
"""

import errno
import logging
import threading
import time
from pathlib import Path

from edge.adapters import serial_port
from edge.adapters.camera.imager_framing import SILENT_S, Framing
from edge.backoff import Backoff
from edge.parts import CameraLost
from edge.sight.frame import Sighting, Symbol
from edge.threads import Progress, Threads
from edge.wire.unit import CameraConfig

log = logging.getLogger("menshen")

SHOWN_S = 3.0
"""For so long after it was read a text counts as still shown. Imagers repeat what is held before
them, or say it once and go silent; and the door may be busy with the pulse before (3 s by default)
when they do."""

SHOWN_MAX = 8

EVERY_S = 0.1
"""How often there is a sighting while nothing is read: that nobody shows anything is news too."""

RETRY_S = 0.25
RETRY_S_MAX = 5.0


class Imager:
    """A thread reads the port and opens it again when it was gone; `latest` never waits."""

    def __init__(self, camera: CameraConfig, threads: Threads | None = None) -> None:
        """Returns at once; `latest` raises CameraLost if the port is missing."""
        self._port, self._baud = camera.source, camera.baud
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._closed = threading.Event()
        self._shown: dict[bytes, float] = {}  # text: when it was read last
        self._read_s: float | None = None  # of texts that were not taken yet
        self._looked_s = float("-inf")
        self._lost: str | None = None
        self._broken: Exception | None = None
        self._named = False
        self._thread = (threads or Threads()).start("imager", self._run)

    def latest(self) -> Sighting | None:
        """The texts that are shown, the longest shown first; raises CameraLost while the port is
        gone.
        """
        with self._lock:
            self._news.clear()
            if self._broken is not None:
                raise self._broken
            if self._lost is not None:
                raise CameraLost(self._lost)
            now_s = time.monotonic()
            if not self._named or (self._read_s is None and now_s < self._looked_s + EVERY_S):
                return None
            seen_s = now_s if self._read_s is None else self._read_s
            self._shown = {t: at_s for t, at_s in self._shown.items() if now_s - at_s < SHOWN_S}
            self._looked_s, self._read_s = now_s, None
            return Sighting(seen_s, tuple(Symbol(text, ()) for text in self._shown))

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when something was read."""
        self._news.wait(seconds)

    def close(self) -> None:
        """Stop the thread, and give the port back."""
        self._closed.set()
        self._thread.join(timeout=2)

    def _run(self, progress: Progress) -> None:
        try:
            self._keep_listening(progress)
        except Exception as error:  # our own bug: the loop raises it, and the unit starts again
            with self._lock:
                self._broken = error
                self._news.set()
            raise

    def _keep_listening(self, progress: Progress) -> None:
        backoff = Backoff(RETRY_S, RETRY_S_MAX)
        while not self._closed.is_set():
            progress.tick()
            try:
                with serial_port.open_port(self._port, self._baud, SILENT_S) as port:
                    self._opened()
                    backoff.reset()
                    self._listen(port, progress)
            except serial_port.FAILURES as error:
                self._gone(error)
                self._closed.wait(backoff.take_wait_s())

    def _listen(self, port: serial_port.Port, progress: Progress) -> None:
        framing = Framing()
        while not self._closed.is_set():
            progress.tick()
            data = port.read(max(1, port.in_waiting))
            texts = framing.feed(data) if data else framing.silence()
            if texts:
                self._read(texts)

    def _read(self, texts: list[bytes]) -> None:
        with self._lock:
            self._read_s = time.monotonic()
            for text in texts:
                self._shown[text] = self._read_s
            while len(self._shown) > SHOWN_MAX:
                del self._shown[next(iter(self._shown))]
            self._news.set()

    def _opened(self) -> None:
        if not self._named:
            device = Path(self._port).resolve()
            also = "" if str(device) == self._port else f" (now {device})"
            log.info("listening to the imager at %s%s, %d baud", self._port, also, self._baud)
        with self._lock:
            self._named, self._lost = True, None

    def _gone(self, error: Exception) -> None:
        with self._lock:
            self._lost = _sentence(self._port, error)
            self._shown.clear()
            self._read_s = None
            self._news.set()


def _sentence(port: str, error: Exception) -> str:
    """What to do about it."""
    if getattr(error, "errno", None) == errno.ENOENT:
        return (
            f"there is no imager at {port}; check its plug and `ls -l /dev/serial/by-id`. "
            "One that types like a keyboard has no port: switch it to USB-COM "
            "(edge/adapters/camera/imagers.md)"
        )
    return serial_port.error_sentence(port, "the imager", error)
