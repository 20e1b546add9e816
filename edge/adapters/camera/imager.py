"""A barcode imager on a serial port, or on USB as a serial port (CDC-ACM): texts instead of frames.

The unit only listens. Mode, light and trigger are set at the imager with its maker's setup codes
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
"""A text counts as still shown for this long after it was last read. Some imagers repeat the code
in front of them, others send it once. When it comes, the door may be busy with the pulse before it
(3 s by default)."""

SHOWN_MAX = 8

EVERY_S = 0.1
"""How often there is a sighting while nothing is read: the loop must know that nothing is shown."""

RETRY_S = 0.25
RETRY_S_MAX = 5.0


class Imager:
    """The port `Scanner` over an imager. A thread reads its serial port and reopens a lost one."""

    def __init__(self, camera: CameraConfig, threads: Threads | None = None) -> None:
        """Returns at once; if the port cannot be opened, `latest` raises CameraLost."""
        self._port, self._baud = camera.source, camera.baud
        self._lock = threading.Lock()
        self._has_news = threading.Event()
        self._closed = threading.Event()
        self._shown: dict[bytes, float] = {}  # text: when it was read last
        self._read_s: float | None = None  # time of the last text; None: `latest` has returned it
        self._sighting_s = float("-inf")  # time of the last sighting
        self._lost: str | None = None  # why the port cannot be read
        self._bug: Exception | None = None
        self._was_open = False
        self._thread = (threads or Threads()).start("imager", self._run)

    def latest(self) -> Sighting | None:
        """The texts that are shown, the one shown for longest first; None: nothing new.

        Never waits. Raises CameraLost while the port is gone.
        """
        with self._lock:
            self._has_news.clear()
            if self._bug is not None:
                raise self._bug
            if self._lost is not None:
                raise CameraLost(self._lost)
            now_s = time.monotonic()
            is_early = self._read_s is None and now_s < self._sighting_s + EVERY_S
            if not self._was_open or is_early:
                return None
            seen_s = now_s if self._read_s is None else self._read_s
            self._shown = {t: at_s for t, at_s in self._shown.items() if now_s - at_s < SHOWN_S}
            self._sighting_s, self._read_s = now_s, None
            return Sighting(seen_s, tuple(Symbol(text, ()) for text in self._shown))

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when something was read."""
        self._has_news.wait(seconds)

    def close(self) -> None:
        """Stop the thread, which closes the port."""
        self._closed.set()
        self._thread.join(timeout=2)

    def _run(self, progress: Progress) -> None:
        try:
            self._keep_listening(progress)
        except Exception as error:  # our own bug: `latest` raises it, and the unit restarts
            with self._lock:
                self._bug = error
                self._has_news.set()
            raise

    def _keep_listening(self, progress: Progress) -> None:
        backoff = Backoff(RETRY_S, RETRY_S_MAX)
        while not self._closed.is_set():
            progress.tick()
            try:
                with serial_port.open_port(self._port, self._baud, SILENT_S) as port:
                    self._note_opened()
                    backoff.reset()
                    self._listen(port, progress)
            except serial_port.FAILURES as error:
                self._note_gone(error)
                self._closed.wait(backoff.take_wait_s())

    def _listen(self, port: serial_port.Port, progress: Progress) -> None:
        framing = Framing()
        while not self._closed.is_set():
            progress.tick()
            data = port.read(max(1, port.in_waiting))
            texts = framing.feed(data) if data else framing.end_text()
            if texts:
                self._note_texts(texts)

    def _note_texts(self, texts: list[bytes]) -> None:
        with self._lock:
            self._read_s = time.monotonic()
            for text in texts:
                self._shown[text] = self._read_s
            while len(self._shown) > SHOWN_MAX:
                del self._shown[next(iter(self._shown))]
            self._has_news.set()

    def _note_opened(self) -> None:
        if not self._was_open:
            device = Path(self._port).resolve()
            target = "" if str(device) == self._port else f" (now {device})"
            log.info("listening to the imager at %s%s, %d baud", self._port, target, self._baud)
        with self._lock:
            self._was_open, self._lost = True, None

    def _note_gone(self, error: Exception) -> None:
        with self._lock:
            self._lost = _sentence(self._port, error)
            self._shown.clear()
            self._read_s = None
            self._has_news.set()


def _sentence(port: str, error: Exception) -> str:
    """What is wrong with the port, and what to do about it."""
    if getattr(error, "errno", None) == errno.ENOENT:
        return (
            f"there is no imager at {port}; check its plug and `ls -l /dev/serial/by-id`. "
            "An imager in keyboard mode has no port: switch it to USB-COM "
            "(edge/adapters/camera/imagers.md)"
        )
    return serial_port.error_sentence(port, "the imager", error)
