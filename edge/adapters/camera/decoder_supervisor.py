"""The decoder's supervisor: it starts the process, sends it frames to read, and restarts it.

A decoder that dies, hangs, grows or keeps raising is restarted, after a longer wait the more often
it died. One that dies twice within a minute runs without rescues. Deaths are logged at fixed times,
so that the log does not show when someone stood at the door.
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
"""For one frame, rescues included. Measured in visits of 0.8 s on a processor five times slower,
200 of each code: budgets of 0.060, 0.075 and 0.090 s read 90, 90 and 91 % of version 8, and 66, 68
and 70 % of version 12; zxing-cpp alone reads 66 and 46 %. With 0.090 s some codes are missed that
zxing-cpp alone reads."""
DEADLINE_S = 1.0  # for one frame; after that the process counts as hung

WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""The wait before a restart, by the number of deaths in the last CALM_S. A success does not reset
it as it resets a back-off: a decoder that reads frames between two deaths still dies again."""
CALM_S = 60.0
CAREFUL_DEATHS = 2
"""After so many deaths in the last CALM_S the decoder runs without rescues, with zxing-cpp alone.
So a picture on a wall that kills a rescue does not stop the door from reading codes."""
CAREFUL_S = 300.0  # after this long without a death it gets its rescues back
DEATHS_MAX = 5  # in a row with no frame read: the decoder is reported as lost
STARTS_MAX = 2  # failed starts in a row: the same
FAILURES_MAX = 10  # exceptions in a row: the process is restarted
LETHAL_MAX = 16  # frames that killed the decoder and are remembered

GROWN_LEN = 32 * 1024 * 1024
"""Bytes by which the decoder's memory may grow; zbar leaks (its issue 258)."""

REPORT_S = 600.0  # between two log reports about the decoder


class DecoderSupervisor:
    """Keeps one decoder process running. Only `kill` and `lost` may be used from other threads."""

    def __init__(
        self,
        decoder: str,
        budget_s: float = BUDGET_S,
        deadline_s: float = DEADLINE_S,
        report_s: float = REPORT_S,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """`decoder`: as in unit.toml. `program`: the command to start instead of `edge.sight`."""
        self._decoder = Decoder(decoder, deadline_s, program)
        self._budget_s = budget_s
        self._careful = False  # runs without rescues
        self._deaths: deque[float] = deque(maxlen=len(WAITS_S))
        self._deaths_in_row = self._failed_starts = self._exceptions_in_row = 0
        self._lethal: deque[bytes] = deque(maxlen=LETHAL_MAX)
        self._start_s = float("-inf")  # the earliest time of the next start
        self._report_s = report_s
        self._report_due_s = time.monotonic() + report_s
        self._failed = 0  # failures since the last report
        self._reason = ""  # of the last failure
        self._closed = False
        self.decoded = 0  # frames
        self.lost: str | None = None  # why no frame can be read; None: the decoder works

    @property
    def running(self) -> bool:
        """Whether `read` may be called."""
        return self._decoder.running

    def tend(self) -> None:
        """Start the decoder if it is due, and write the log report if that is due."""
        now_s = time.monotonic()
        if now_s >= self._report_due_s:
            self._report(now_s)
        if not self._decoder.running and now_s >= self._start_s:
            self._start()

    def use_quiet_moment(self) -> None:
        """While nothing moves: restart the decoder if it has grown or may have rescues again."""
        recovered = self._careful and time.monotonic() - self._deaths[-1] >= CAREFUL_S
        if self._decoder.grown_len > GROWN_LEN or recovered:
            self._start()

    def is_lethal(self, small: Luma) -> bool:
        """Whether this very frame has killed the decoder before."""
        return bool(self._lethal) and _digest(small) in self._lethal

    def read(self, frame: Frame, small: Luma) -> Sighting | int:
        """What `frame` shows; an int if the decoder died: its number of deaths in the last CALM_S.

        `small`: the frame at low resolution, by which `is_lethal` recognises it.
        """
        begun_s = time.monotonic()
        try:
            answer = self._decoder.read(frame.luma, frame.seen_s)
        except DecoderLost as lost:
            return self._note_death(lost, small)
        self.decoded += 1
        self._deaths_in_row = 0
        self.lost = None
        height, width = frame.luma.shape
        sighting = Sighting(frame.seen_s, size=(width, height))
        if isinstance(answer, ReadFailed):
            self._note_exception(answer)
            return replace(sighting, steps=(("failed", (time.monotonic() - begun_s) * 1e3),))
        self._exceptions_in_row = 0
        if self._decoder.grown_len > 2 * GROWN_LEN:  # no quiet moment came
            self._start()
        symbols = tuple(Symbol(data, corners) for data, corners in answer.symbols)
        return replace(sighting, symbols=symbols, unread=answer.unread, steps=answer.steps)

    def kill(self) -> None:
        """End the process; a start that fails after this is ignored. Any thread may call it."""
        self._closed = True
        self._decoder.kill()

    def close(self) -> None:
        """End the process and forget the frame."""
        self._closed = True
        self._decoder.close()

    def _note_exception(self, answer: ReadFailed) -> None:
        self._failed += 1
        self._reason = f"it raised {answer.where}"
        self._exceptions_in_row += 1
        if self._exceptions_in_row >= FAILURES_MAX:
            self._exceptions_in_row = 0
            self._start()

    def _note_death(self, lost: DecoderLost, small: Luma) -> int:
        now_s = time.monotonic()
        self._failed += 1
        self._reason = str(lost)
        self._deaths.append(now_s)
        self._deaths_in_row += 1
        if self._deaths_in_row >= DEATHS_MAX:
            self.lost = f"the decoder dies at every frame ({lost}); reinstall this program"
        recent_deaths = self._recent_deaths(now_s)
        self._start_s = now_s + WAITS_S[min(recent_deaths, len(WAITS_S)) - 1]
        self._lethal.append(_digest(small))
        return recent_deaths

    def _start(self) -> None:
        """Start the decoder; after STARTS_MAX failed starts in a row `lost` gives the reason."""
        now_s = time.monotonic()
        still_careful = self._careful and now_s - self._deaths[-1] < CAREFUL_S
        self._careful = still_careful or self._recent_deaths(now_s) >= CAREFUL_DEATHS
        try:
            self._decoder.start(0.0 if self._careful else self._budget_s)
        except DecoderLost as lost:
            if self._closed:
                return
            self._failed_starts += 1
            self._start_s = time.monotonic() + WAITS_S[min(self._failed_starts, len(WAITS_S) - 1)]
            if self._failed_starts >= STARTS_MAX:
                self.lost = (
                    f"the decoder cannot be started: {lost}; if this names no remedy, "
                    "reinstall this program"
                )
            return
        self._failed_starts = 0
        if self._deaths_in_row < DEATHS_MAX:
            self.lost = None

    def _recent_deaths(self, now_s: float) -> int:
        return sum(now_s - death_s < CALM_S for death_s in self._deaths)

    def _report(self, now_s: float) -> None:
        """Log the failures since the last report."""
        self._report_due_s += self._report_s * ((now_s - self._report_due_s) // self._report_s + 1)
        complaints_len, self._decoder.complaints_len = self._decoder.complaints_len, 0
        if complaints_len:  # they may hold a code that it read
            log.warning(
                "the decoder wrote %d bytes of error output, not shown because it may hold a code",
                complaints_len,
            )
        if self._failed:
            log.warning(
                "the decoder failed %d times in the last %.0f s and still runs; the last time %s",
                self._failed,
                self._report_s,
                self._reason,
            )
        self._failed = 0


def _digest(small: Luma) -> bytes:
    """A hash by which a frame is recognised and that reveals nothing of it."""
    return hashlib.blake2b(small.tobytes(), digest_size=16).digest()
