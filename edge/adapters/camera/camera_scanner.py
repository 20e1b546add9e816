"""A camera's frames, read: what has changed goes to the decoder's process, its finds to the loop.

A thread takes the newest frame, asks whether it is to be decoded (`edge/sight/frame_pacing.py`),
and has it read (`decoder_supervisor.py`). The camera drops the frames that come in the meantime.
While nothing moves, the last reading is reported again with each frame, because the code is still
there. Nothing in this process decodes: no picture can crash the unit.
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

KEEP_S = 0.5
"""For so long what was read and not yet taken is not replaced by a frame in which nothing was."""

VIEWED_MIN = 64  # pixels: smaller pictures say nothing of a camera

HANGS_S = 10.0
"""So long a camera may take to say that it has nothing new; a folder's, a large picture."""
CLOSE_S = 5.0  # for a camera that does not come back from its driver
LOST_POLL_S = 0.1


@runtime_checkable
class Waitable(Protocol):
    """A camera that can be waited for; the others are asked again and again."""

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
    ) -> None:
        """`decoder`: as in unit.toml. `program`: what is started in place of `edge.sight`."""
        self._camera = camera
        self._supervisor = DecoderSupervisor(decoder, budget_s, deadline_s, report_s, program)
        self._pacing = FramePacing()
        self._arrivals = FrameArrivals()
        self._view = ViewHealth()
        self._last: Sighting | None = None  # None: nothing is known of this scene
        self.dropped = 0  # sightings that nobody took

        self._slot = threading.Condition()  # guards what follows
        self._sighting: Sighting | None = None
        self._camera_lost: str | None = None
        self._broken: Exception | None = None
        self._asks_since_s = float("inf")  # the camera, without an answer so far

        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eyes", daemon=True)
        self._thread.start()

    @property
    def decoded(self) -> int:
        """Frames that the decoder has read."""
        return self._supervisor.decoded

    def latest(self) -> Sighting | None:
        """The newest sighting not yet taken. Raises CameraLost; what it says of the decoder too."""
        with self._slot:
            if self._broken is not None:
                raise self._broken
            sighting, self._sighting = self._sighting, None
            lost = self._camera_lost or self._supervisor.lost
        if time.monotonic() - self._asks_since_s > HANGS_S:
            raise CameraLost("the camera's driver hangs; check its cable")
        if sighting is None and lost is not None:
            raise CameraLost(lost)
        return sighting

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a new sighting."""
        with self._slot:
            self._slot.wait_for(lambda: self._sighting is not None, seconds)

    def close(self) -> None:
        """Thread, decoder, camera; safe to call twice."""
        self._closed.set()
        until_s = time.monotonic() + CLOSE_S
        while self._thread.is_alive() and time.monotonic() < until_s:
            self._supervisor.kill()  # it need not wait for an answer
            self._thread.join(0.1)
        self._supervisor.close()
        self._camera.close()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._take_turn()
        except Exception as error:  # our own bug: the loop raises it, and the unit starts again
            if self._closed.is_set():
                return
            with self._slot:
                self._broken = error
                self._slot.notify_all()

    def _take_turn(self) -> None:
        self._supervisor.tend()
        try:
            with self._asking():
                frame = self._camera.latest()
        except CameraLost as lost:
            with self._slot:
                self._camera_lost = str(lost)
            self._last = None
            self._closed.wait(LOST_POLL_S)
            return
        if frame is None:
            self._pause()
            return
        with self._slot:
            self._camera_lost = None
        self._arrivals.note(frame.seen_s, time.monotonic())
        self._see(frame)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._asks_since_s = time.monotonic()
        try:
            yield
        finally:
            self._asks_since_s = float("inf")

    def _pause(self) -> None:
        """Until a frame may be there."""
        if isinstance(self._camera, Waitable):
            with self._asking():
                self._camera.wait(LOST_POLL_S)
        else:
            self._closed.wait(self._arrivals.pause_s(time.monotonic()))

    def _see(self, frame: Frame) -> None:
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
        read = self._supervisor.read(frame, small)
        if isinstance(read, int):
            self._last = None
            self._pacing.note_spoilt(read, frame.seen_s)
            return
        self._last = read
        self._pacing.note_read(bool(read.unread), frame.seen_s)
        self._put(read)

    def _put(self, sighting: Sighting) -> None:
        """Put it where the loop takes it."""
        sighting = replace(sighting, dim=self._view.dim, trouble=self._view.trouble)
        with self._slot:
            waiting = self._sighting
            if waiting is not None:
                self.dropped += 1
                lately = sighting.seen_s - waiting.seen_s < KEEP_S
                if waiting.symbols and not sighting.symbols and lately:
                    return
                if not sighting.steps:  # what was decoded is new to the next taker
                    sighting = replace(sighting, steps=waiting.steps)
            self._sighting = sighting
            self._slot.notify_all()
