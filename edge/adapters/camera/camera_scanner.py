"""Reads codes from a camera: changed frames go to the decoder's process, its results to the loop.

A thread takes the newest frame, decides whether to decode it (`edge/sight/frame_pacing.py`), and
sends it to the decoder (`decoder_supervisor.py`). The camera drops the frames that come meanwhile.
While nothing moves, the last reading is reported again with each frame, because the code is still
there. This process decodes nothing, so no picture can crash the unit.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, runtime_checkable

from edge.adapters.camera.decoder_process import PROGRAM
from edge.adapters.camera.decoder_supervisor import (
    BUDGET_S,
    DEADLINE_S,
    REPORT_S,
    DecoderSupervisor,
)
from edge.parts import CameraLost
from edge.sight.camera_health import ViewHealth
from edge.sight.change_gate import small_of
from edge.sight.frame import Frame, Sighting
from edge.sight.frame_pacing import FrameArrivals, FramePacing
from edge.sight.ports import FrameSource
from edge.threads import Progress, Threads

KEEP_S = 0.5
"""How long a sighting with symbols waits for the loop before one without symbols replaces it."""

VIEWED_MIN = 64  # pixels a side: a smaller picture says nothing about the camera's health

HANGS_S = 10.0
"""How long a call of the camera may take. Reading a large picture from a folder takes seconds."""
CLOSE_S = 5.0  # how long `close` waits for a thread that hangs in the camera's driver
LOST_POLL_S = 0.1
TURN_S_MAX = 60.0
"""A turn may start a decoder and wait for a camera; a driver that hangs for so long never ends, and
only another process has a camera again."""


@runtime_checkable
class Waitable(Protocol):
    """A camera that can be waited for; the others are polled."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a new frame."""


class CameraScanner:
    """The port `Scanner` over a camera."""

    def __init__(
        self,
        camera: FrameSource,
        decoder: str,
        *,
        budget_s: float = BUDGET_S,
        deadline_s: float = DEADLINE_S,
        report_s: float = REPORT_S,
        program: Sequence[str] = PROGRAM,
        threads: Threads | None = None,
    ) -> None:
        """`decoder`: as in unit.toml. `program`: the command to start instead of `edge.sight`."""
        self._camera = camera
        self._supervisor = DecoderSupervisor(decoder, budget_s, deadline_s, report_s, program)
        self._pacing = FramePacing()
        self._arrivals = FrameArrivals()
        self._view = ViewHealth()
        self._last: Sighting | None = None  # the last reading; None: this scene was not read
        self.dropped = 0  # sightings that the loop did not take

        self._lock = threading.Condition()  # guards the next three
        self._sighting: Sighting | None = None  # the newest one, not yet taken
        self._camera_lost: str | None = None
        self._bug: Exception | None = None
        self._call_begun_s = float("inf")  # the camera's call that runs now; inf: none

        self._closed = threading.Event()
        self._thread = (threads or Threads()).start("scanner", self._run)

    @property
    def decoded(self) -> int:
        """Frames that the decoder has read."""
        return self._supervisor.decoded

    def latest(self) -> Sighting | None:
        """The newest sighting not yet taken; None: nothing new.

        Raises CameraLost, also when the decoder is lost.
        """
        with self._lock:
            if self._bug is not None:
                raise self._bug
            sighting, self._sighting = self._sighting, None
            lost = self._camera_lost or self._supervisor.lost
        if time.monotonic() - self._call_begun_s > HANGS_S:
            raise CameraLost("the camera's driver hangs; check its cable")
        if sighting is None and lost is not None:
            raise CameraLost(lost)
        return sighting

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a new sighting."""
        with self._lock:
            self._lock.wait_for(lambda: self._sighting is not None, seconds)

    def close(self) -> None:
        """End the thread, the decoder and the camera; safe to call twice."""
        self._closed.set()
        deadline_s = time.monotonic() + CLOSE_S
        while self._thread.is_alive() and time.monotonic() < deadline_s:
            self._supervisor.kill()  # so that the thread does not wait for an answer
            self._thread.join(0.1)
        self._supervisor.close()
        self._camera.close()

    def _run(self, progress: Progress) -> None:
        try:
            while not self._closed.is_set():
                with progress.allow(TURN_S_MAX):
                    self._take_turn()
        except Exception as error:  # our own bug: `latest` raises it, and the unit restarts
            if self._closed.is_set():
                return
            with self._lock:
                self._bug = error
                self._lock.notify_all()
            raise

    def _take_turn(self) -> None:
        self._supervisor.tend()
        try:
            with self._timed_call():
                frame = self._camera.latest()
        except CameraLost as lost:
            with self._lock:
                self._camera_lost = str(lost)
            self._last = None
            self._closed.wait(LOST_POLL_S)
            return
        if frame is None:
            self._pause()
            return
        with self._lock:
            self._camera_lost = None
        self._arrivals.note(frame.seen_s, time.monotonic())
        self._process(frame)

    @contextmanager
    def _timed_call(self) -> Iterator[None]:
        """Note when a call of the camera begins, so that `latest` notices one that hangs."""
        self._call_begun_s = time.monotonic()
        try:
            yield
        finally:
            self._call_begun_s = float("inf")

    def _pause(self) -> None:
        """Wait until the next frame may have come."""
        if isinstance(self._camera, Waitable):
            with self._timed_call():
                self._camera.wait(LOST_POLL_S)
        else:
            self._closed.wait(self._arrivals.pause_s(time.monotonic()))

    def _process(self, frame: Frame) -> None:
        small = small_of(frame.luma) if frame.small is None else frame.small
        if min(small.shape) >= VIEWED_MIN:
            self._view.take_frame(small, frame.exposure, frame.seen_s)
        if not self._pacing.take(small, frame.seen_s):
            if self._last is not None:
                self._put(replace(self._last, seen_s=frame.seen_s, steps=()))
            self._supervisor.use_quiet_moment()
            return
        if not self._supervisor.running or self._supervisor.is_lethal(small):
            self._last = None
            return
        self._pacing.note_decoding()
        result = self._supervisor.read(frame, small)
        if isinstance(result, int):  # the decoder died
            self._last = None
            self._pacing.note_spoilt(result, frame.seen_s)
            return
        self._last = result
        self._pacing.note_read(bool(result.unread), frame.seen_s)
        self._put(result)

    def _put(self, sighting: Sighting) -> None:
        """Offer `sighting` to the loop, in place of one that it has not taken."""
        sighting = replace(sighting, dim=self._view.dim, trouble=self._view.trouble)
        with self._lock:
            waiting = self._sighting
            if waiting is not None:
                self.dropped += 1
                recent = sighting.seen_s - waiting.seen_s < KEEP_S
                if waiting.symbols and not sighting.symbols and recent:
                    return
                if not sighting.steps:  # the loop has not had the decoder's steps yet
                    sighting = replace(sighting, steps=waiting.steps)
            self._sighting = sighting
            self._lock.notify_all()
