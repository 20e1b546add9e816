"""A camera's frames, read: what has changed goes to the decoder's process, its finds to the loop.

A thread takes the newest frame, asks the gate whether anything moved, and has it read. Frames that
come meanwhile are the camera's to drop. While nothing moves, what was read is told again with each
frame, because it is still there. Nothing in this process decodes: no picture can crash the unit.

Nothing is said of a decoder that died in the moment it died, since that is somebody's moment, but
at fixed times.
"""

import hashlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, runtime_checkable

from edge.adapters.camera.decoder_process import PROGRAM, Decoder, DecoderLost
from edge.parts import CameraLost
from edge.sight.camera_health import View
from edge.sight.frame import Frame, Luma, Sighting, Symbol
from edge.sight.gate import Gate, small_of
from edge.sight.ports import Camera
from edge.sight.shared import Failed

log = logging.getLogger("menshen")

BUDGET_S = 0.075
"""Of a frame, all in all. Visits of 0.8 s on a processor five times slower (200 of each code): with
0.060, 0.075 and 0.090 s 90, 90 and 91 % of version 8 are read and 66, 68 and 70 % of version 12,
zxing-cpp alone 66 and 46 %; with the last some are lost that zxing-cpp reads."""
DEADLINE_S = 1.0  # of a frame, for all of it

AGAIN_S = 1.0
"""So often a still scene is decoded all the same: the gate is not asked to be perfect."""
UNREAD_AGAIN_S = 0.25
"""And this often while something is there that was not read: other rescues have their turn."""
AFTER_MOTION = 10
"""Frames decoded after the last that moved: still ones are what several of them are averaged from.
"""

KEEP_S = 0.5
"""For so long what was read and not yet taken is not replaced by a frame in which nothing was."""

WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before the decoder is started again, by how often it died in the last minute."""
CALM_S = 60.0
SPOILT_S = 2.0
"""So long a scene that killed the decoder is not shown to it again unless something moves, and
twice as long each time."""
CAREFUL_DEATHS = 2
"""So many in the last minute, and it is started without rescues: zxing-cpp alone, so that what
hangs on a wall and kills a rescue does not blind the door."""
CAREFUL_S = 300.0  # without a death, and it has its rescues again
DEATHS_MAX = 5  # in a row, with no frame read: nobody is served, and the loop must know
STARTS_MAX = 2  # in a row, that failed
FAILURES_MAX = 10  # exceptions in a row: a process that raises at everything is made anew
LETHAL_MAX = 16  # frames that are known again

GROWN_LEN = 32 * 1024 * 1024
"""Bytes that the decoder may hold over what it held at first; zbar leaks (its issue 258)."""

SAY_S = 600.0  # the fixed times at which the log hears of the decoder

VIEWED_MIN = 64  # pixels: smaller pictures say nothing of a camera

HANGS_S = 10.0
"""So long a camera may take to say that it has nothing new; a folder's, a large picture."""
CLOSE_S = 5.0  # for a camera that does not come back from its driver
POLL_S = 0.003
IDLE_POLL_S = 0.03  # where no frames come
EARLY = 0.7  # of the usual time between two frames: until then none is looked for
LOST_POLL_S = 0.1
PERIOD_S_MAX = 0.2


@runtime_checkable
class Waits(Protocol):
    """A camera that can be waited for; the others are asked again and again."""

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a new frame."""


class Symbols:
    """The port `Eyes` over a camera."""

    def __init__(
        self,
        camera: Camera,
        decoder: str,
        *,
        budget_s: float = BUDGET_S,
        deadline_s: float = DEADLINE_S,
        say_s: float = SAY_S,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """`decoder`: as in unit.toml. `program`: what is started in place of `edge.sight`."""
        self._camera = camera
        self._decoder = Decoder(decoder, deadline_s, program)
        self._budget_s = budget_s
        self._careful = False  # started without rescues
        self._gate = Gate()
        self._view = View()
        self.decoded = 0  # frames
        self.dropped = 0  # sightings that nobody took
        self._last: Sighting | None = None  # None: nothing is known of this scene
        self._again_s = float("-inf")  # when a still scene is decoded again
        self._hold = 0  # frames still to decode after motion
        self._deaths: deque[float] = deque(maxlen=len(WAITS_S))
        self._deaths_row = self._starts_row = self._failures_row = 0
        self._lethal: deque[bytes] = deque(maxlen=LETHAL_MAX)
        self._start_s = float("-inf")  # when the decoder may be started
        self._say_s = say_s
        self._say_due_s = time.monotonic() + say_s
        self._failed = 0  # times, since the log heard of it
        self._why = ""  # the last one's reason
        self._period_s = 0.0  # between frames
        self._before_s = 0.0  # when the last frame was seen
        self._expect_s = 0.0  # when the next one may come

        self._slot = threading.Condition()  # guards what follows
        self._sighting: Sighting | None = None
        self._camera_lost: str | None = None
        self._decoder_lost: str | None = None
        self._broken: Exception | None = None
        self._asks_since_s = float("inf")  # the camera, without an answer so far

        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="symbols", daemon=True)
        self._thread.start()

    def latest(self) -> Sighting | None:
        """The newest sighting not yet taken. Raises CameraLost; what it says of the decoder too."""
        with self._slot:
            if self._broken is not None:
                raise self._broken
            sighting, self._sighting = self._sighting, None
            lost = self._camera_lost or self._decoder_lost
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
            self._decoder.kill()  # it need not wait for an answer
            self._thread.join(0.1)
        self._decoder.close()
        self._camera.close()

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                self._turn()
        except Exception as error:  # our own bug: the loop raises it, and the unit starts again
            if self._closed.is_set():
                return
            with self._slot:
                self._broken = error
                self._slot.notify_all()

    def _turn(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._say_due_s:
            self._say(now_s)
        if not self._decoder.running and now_s >= self._start_s:
            self._start()
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
        self._expect(frame)
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
        if isinstance(self._camera, Waits):
            with self._asking():
                self._camera.wait(LOST_POLL_S)
        else:
            late_s = time.monotonic() - self._expect_s
            self._closed.wait(max(POLL_S, -late_s, min(IDLE_POLL_S, late_s / 8)))

    def _expect(self, frame: Frame) -> None:
        """Learn how often frames come: each look for one costs as much as a tenth of a gate."""
        gap_s = min(max(frame.seen_s - self._before_s, 0.0), PERIOD_S_MAX)
        self._before_s = frame.seen_s
        self._period_s += (gap_s - self._period_s) / 8
        self._expect_s = time.monotonic() + EARLY * min(gap_s, self._period_s)

    def _see(self, frame: Frame) -> None:
        small = small_of(frame.luma) if frame.small is None else frame.small
        if min(small.shape) >= VIEWED_MIN:
            self._view.saw(small, frame.exposure, frame.seen_s)
        if self._gate.moved(small):
            self._hold = AFTER_MOTION
        if not (self._hold or frame.seen_s >= self._again_s):
            if self._last is not None:
                self._tell(replace(self._last, seen_s=frame.seen_s, steps=()))
            calmed = self._careful and time.monotonic() - self._deaths[-1] >= CAREFUL_S
            if self._decoder.grown_len > GROWN_LEN or calmed:  # nobody needs it at the moment
                self._start()
            return
        if not self._decoder.running or self._is_lethal(small):
            self._last = None
            return
        self._gate.decoded()
        self._hold = max(0, self._hold - 1)
        self._last = self._read(frame, small)
        if self._last is not None:
            self._again_s = frame.seen_s + (UNREAD_AGAIN_S if self._last.unread else AGAIN_S)
            self._tell(self._last)

    def _read(self, frame: Frame, small: Luma) -> Sighting | None:
        """What the decoder makes of it; None: it died of it."""
        begun_s = time.monotonic()
        try:
            answer = self._decoder.read(frame.luma, frame.seen_s)
        except DecoderLost as lost:
            self._died(lost, frame, small)
            return None
        self.decoded += 1
        self._deaths_row = 0
        self._fail(None)
        height, width = frame.luma.shape
        seen = Sighting(frame.seen_s, size=(width, height))
        if isinstance(answer, Failed):
            self._raised(answer)
            return replace(seen, steps=(("failed", (time.monotonic() - begun_s) * 1e3),))
        self._failures_row = 0
        if self._decoder.grown_len > 2 * GROWN_LEN:  # no quiet moment came
            self._start()
        symbols = tuple(Symbol(data, corners) for data, corners in answer.symbols)
        return replace(seen, symbols=symbols, unread=answer.unread, steps=answer.steps)

    def _raised(self, answer: Failed) -> None:
        self._failed += 1
        self._why = f"it raised {answer.where}"
        self._failures_row += 1
        if self._failures_row >= FAILURES_MAX:
            self._failures_row = 0
            self._start()

    def _died(self, lost: DecoderLost, frame: Frame, small: Luma) -> None:
        now_s = time.monotonic()
        self._failed += 1
        self._why = str(lost)
        self._deaths.append(now_s)
        self._deaths_row += 1
        if self._deaths_row >= DEATHS_MAX:
            self._fail(f"the decoder dies at every frame ({lost}); install this program anew")
        lately = self._deaths_lately(now_s)
        self._start_s = now_s + WAITS_S[min(lately, len(WAITS_S)) - 1]
        self._lethal.append(_mark(small))
        self._last = None
        self._hold = 0
        self._again_s = frame.seen_s + SPOILT_S * 2 ** (lately - 1)

    def _start(self) -> None:
        """Start the decoder, or say why it cannot be."""
        now_s = time.monotonic()
        shaken = self._careful and now_s - self._deaths[-1] < CAREFUL_S
        self._careful = shaken or self._deaths_lately(now_s) >= CAREFUL_DEATHS
        try:
            self._decoder.start(0.0 if self._careful else self._budget_s)
        except DecoderLost as lost:
            if self._closed.is_set():
                return
            self._starts_row += 1
            self._start_s = time.monotonic() + WAITS_S[min(self._starts_row, len(WAITS_S) - 1)]
            if self._starts_row >= STARTS_MAX:
                self._fail(
                    f"the decoder cannot be started: {lost}; if that names nothing to do, install "
                    "this program anew"
                )
            return
        self._starts_row = 0
        if self._deaths_row < DEATHS_MAX:
            self._fail(None)

    def _deaths_lately(self, now_s: float) -> int:
        return sum(now_s - death_s < CALM_S for death_s in self._deaths)

    def _fail(self, sentence: str | None) -> None:
        with self._slot:
            self._decoder_lost = sentence

    def _is_lethal(self, small: Luma) -> bool:
        """Whether the decoder has died of this very frame."""
        return bool(self._lethal) and _mark(small) in self._lethal

    def _tell(self, told: Sighting) -> None:
        told = replace(told, dim=self._view.dim, trouble=self._view.trouble)
        with self._slot:
            waiting = self._sighting
            if waiting is not None:
                self.dropped += 1
                lately = told.seen_s - waiting.seen_s < KEEP_S
                if waiting.symbols and not told.symbols and lately:
                    return
                if not told.steps:  # what was decoded is new to whoever takes this one
                    told = replace(told, steps=waiting.steps)
            self._sighting = told
            self._slot.notify_all()

    def _say(self, now_s: float) -> None:
        """What has become of the decoder since the last time."""
        self._say_due_s += self._say_s * ((now_s - self._say_due_s) // self._say_s + 1)
        complaints_len, self._decoder.complaints_len = self._decoder.complaints_len, 0
        if complaints_len:  # they may hold what it read
            log.warning("the decoder wrote %d bytes of complaints, not shown", complaints_len)
        if self._failed:
            log.warning(
                "the decoder failed %d times in the last %.0f s and goes on; last, %s",
                self._failed, self._say_s, self._why,
            )  # fmt: skip
        self._failed = 0


def _mark(small: Luma) -> bytes:
    """By which a frame is known again, and nothing else."""
    return hashlib.blake2b(small.tobytes(), digest_size=16).digest()
