"""The decoder's supervisor: it starts the process, reads frames through it, and replaces it.

A decoder that dies, hangs, grows or raises again and again is restarted, after a longer wait each
time; one that dies twice within a minute runs without rescues. A death is logged at fixed times and
not when it happens, because someone stood at the door then.
"""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from edge.adapters.camera.decoder_process import PROGRAM, Decoder, DecoderLost
from edge.sight.decoder_messages import ReadFailed
from edge.sight.frame import Frame, Luma, Sighting, Symbol

log = logging.getLogger("menshen")

BUDGET_S = 0.075
"""Of a frame, all in all. Visits of 0.8 s on a processor five times slower (200 of each code): with
0.060, 0.075 and 0.090 s 90, 90 and 91 % of version 8 are read and 66, 68 and 70 % of version 12,
zxing-cpp alone 66 and 46 %; with the last some are lost that zxing-cpp reads."""
DEADLINE_S = 1.0  # of a frame, for all of it

WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before the decoder is started again, by how often it died in the last minute: not a back-off that
a success resets, since a decoder that reads between two deaths dies again all the same."""
CALM_S = 60.0
CAREFUL_DEATHS = 2
"""So many in the last minute, and it is started without rescues: zxing-cpp alone, so that what
hangs on a wall and kills a rescue does not blind the door."""
CAREFUL_S = 300.0  # without a death, and it has its rescues again
DEATHS_MAX = 5  # in a row, with no frame read: nobody is served, and the loop must know
STARTS_MAX = 2  # in a row, that failed
FAILURES_MAX = 10  # exceptions in a row: a process that raises at everything is replaced
LETHAL_MAX = 16  # frames that are recognised

GROWN_LEN = 32 * 1024 * 1024
"""Bytes that the decoder may hold over what it held at first; zbar leaks (its issue 258)."""

REPORT_S = 600.0  # the fixed times at which the log hears of the decoder


class DecoderSupervisor:
    """One decoder's process after the other. One thread calls it, but for `kill` and `lost`."""

    def __init__(
        self,
        decoder: str,
        budget_s: float = BUDGET_S,
        deadline_s: float = DEADLINE_S,
        report_s: float = REPORT_S,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """`decoder`: as in unit.toml. `program`: what is started in place of `edge.sight`."""
        self._decoder = Decoder(decoder, deadline_s, program)
        self._budget_s = budget_s
        self._careful = False  # started without rescues
        self._deaths: deque[float] = deque(maxlen=len(WAITS_S))
        self._deaths_row = self._starts_row = self._failures_row = 0
        self._lethal: deque[bytes] = deque(maxlen=LETHAL_MAX)
        self._start_s = float("-inf")  # when it may be started
        self._report_s = report_s
        self._report_due_s = time.monotonic() + report_s
        self._failed = 0  # times, since the log heard of it
        self._why = ""  # the last one's reason
        self._closed = False
        self.decoded = 0  # frames
        self.lost: str | None = None  # why nobody is served; None: somebody is

    @property
    def running(self) -> bool:
        """Whether it may be asked to read."""
        return self._decoder.running

    def tend(self) -> None:
        """Start it where it is due, and log what has become of it at the fixed times."""
        now_s = time.monotonic()
        if now_s >= self._report_due_s:
            self._report(now_s)
        if not self._decoder.running and now_s >= self._start_s:
            self._start()

    def use_quiet_moment(self) -> None:
        """Nobody needs it now: restart it if it has grown or may have its rescues back."""
        calmed = self._careful and time.monotonic() - self._deaths[-1] >= CAREFUL_S
        if self._decoder.grown_len > GROWN_LEN or calmed:
            self._start()

    def is_lethal(self, small: Luma) -> bool:
        """Whether it has died of this very frame."""
        return bool(self._lethal) and _mark(small) in self._lethal

    def read(self, frame: Frame, small: Luma) -> Sighting | int:
        """What it makes of `frame`; a number: it died of it, its n-th death lately."""
        begun_s = time.monotonic()
        try:
            answer = self._decoder.read(frame.luma, frame.seen_s)
        except DecoderLost as lost:
            return self._note_death(lost, small)
        self.decoded += 1
        self._deaths_row = 0
        self.lost = None
        height, width = frame.luma.shape
        seen = Sighting(frame.seen_s, size=(width, height))
        if isinstance(answer, ReadFailed):
            self._note_exception(answer)
            return replace(seen, steps=(("failed", (time.monotonic() - begun_s) * 1e3),))
        self._failures_row = 0
        if self._decoder.grown_len > 2 * GROWN_LEN:  # no quiet moment came
            self._start()
        symbols = tuple(Symbol(data, corners) for data, corners in answer.symbols)
        return replace(seen, symbols=symbols, unread=answer.unread, steps=answer.steps)

    def kill(self) -> None:
        """End the process, from any thread, and start no other."""
        self._closed = True
        self._decoder.kill()

    def close(self) -> None:
        """End the process and forget the frame."""
        self._closed = True
        self._decoder.close()

    def _note_exception(self, answer: ReadFailed) -> None:
        self._failed += 1
        self._why = f"it raised {answer.where}"
        self._failures_row += 1
        if self._failures_row >= FAILURES_MAX:
            self._failures_row = 0
            self._start()

    def _note_death(self, lost: DecoderLost, small: Luma) -> int:
        now_s = time.monotonic()
        self._failed += 1
        self._why = str(lost)
        self._deaths.append(now_s)
        self._deaths_row += 1
        if self._deaths_row >= DEATHS_MAX:
            self.lost = f"the decoder dies at every frame ({lost}); reinstall this program"
        lately = self._deaths_lately(now_s)
        self._start_s = now_s + WAITS_S[min(lately, len(WAITS_S)) - 1]
        self._lethal.append(_mark(small))
        return lately

    def _start(self) -> None:
        """Start it, or say why it cannot be started."""
        now_s = time.monotonic()
        shaken = self._careful and now_s - self._deaths[-1] < CAREFUL_S
        self._careful = shaken or self._deaths_lately(now_s) >= CAREFUL_DEATHS
        try:
            self._decoder.start(0.0 if self._careful else self._budget_s)
        except DecoderLost as lost:
            if self._closed:
                return
            self._starts_row += 1
            self._start_s = time.monotonic() + WAITS_S[min(self._starts_row, len(WAITS_S) - 1)]
            if self._starts_row >= STARTS_MAX:
                self.lost = (
                    f"the decoder cannot be started: {lost}; if that names nothing to do, "
                    "reinstall this program"
                )
            return
        self._starts_row = 0
        if self._deaths_row < DEATHS_MAX:
            self.lost = None

    def _deaths_lately(self, now_s: float) -> int:
        return sum(now_s - death_s < CALM_S for death_s in self._deaths)

    def _report(self, now_s: float) -> None:
        """Log what has become of it since the last time."""
        self._report_due_s += self._report_s * ((now_s - self._report_due_s) // self._report_s + 1)
        complaints_len, self._decoder.complaints_len = self._decoder.complaints_len, 0
        if complaints_len:  # they may hold what it read
            log.warning("the decoder wrote %d bytes of complaints, not shown", complaints_len)
        if self._failed:
            log.warning(
                "the decoder failed %d times in the last %.0f s and goes on; last, %s",
                self._failed,
                self._report_s,
                self._why,
            )
        self._failed = 0


def _mark(small: Luma) -> bytes:
    """A hash that recognises a frame and shows nothing of it."""
    return hashlib.blake2b(small.tobytes(), digest_size=16).digest()
