"""The decoder in a separate process, which may raise, hang, crash or leak and is then restarted.

It gets one frame at a time, in memory that it can only read, and has a deadline for each frame. Its
error output is passed on only where it cannot contain anything that was read from a code.
"""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

import edge
from edge import extras
from edge.sight import decoder_messages
from edge.sight.frame import Luma

PROGRAM = (sys.executable, "-P", "-B", "-m", "edge.sight")  # no module from the current folder

START_S = 30.0
"""How long a start may take. Loading the libraries takes half a second on a development machine,
and several seconds from a busy SD card."""

STEADY_READS = 200  # after so many frames its memory has reached its usual size
MEASURE_EVERY = 16  # frames

_PAGE_LEN = os.sysconf("SC_PAGESIZE")
_ERRORS_LEN_MAX = 16 * 1024
_FATAL = re.compile(r"^Fatal Python error: ([A-Za-z ]{1,40})", re.MULTILINE)
_LINE = re.compile(r'^  File "[^"\n]*/edge/sight/(\w{1,40}\.py)", line (\d{1,6})', re.MULTILINE)
_MISSING = re.compile(r"ModuleNotFoundError: No module named '([\w.]{1,60})'")
_ROOT = str(Path(edge.__file__).parents[1])


class DecoderLost(Exception):
    """The process died, hung or did not start. The message contains nothing read from a code."""


class Decoder:
    """The decoder's process. Call `start` before the first frame and after each DecoderLost."""

    def __init__(self, decoder: str, deadline_s: float, program: Sequence[str] = PROGRAM) -> None:
        """`deadline_s`: seconds for one frame; after that the process is killed.

        `decoder`: as in unit.toml. `program`: the command to start instead of `edge.sight`.
        """
        self._decoder = decoder
        self._deadline_s = deadline_s
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._memory: decoder_messages.FrameMemory | None = None
        self._has_memory = False  # this process has the frame's memory
        self._has_frame = False  # this process was sent a frame
        self._errors = b""  # the beginning of its error output
        self._reads = 0  # frames that this process has read
        self._steady_len = self._len = 0  # its bytes in RAM: at STEADY_READS, and now
        self._errors_len = 0  # bytes of error output since the last answer
        self.complaints_len = 0  # bytes of error output of frames that it did answer

    @property
    def running(self) -> bool:
        """Whether `read` may be called."""
        return self._socket is not None

    @property
    def grown_len(self) -> int:
        """Bytes in RAM that this process has gained since STEADY_READS; 0 before that."""
        return self._len - self._steady_len if self._steady_len else 0

    def start(self, budget_s: float) -> None:
        """Start a process in place of the one before, and wait until it is ready.

        `budget_s`: seconds for one frame, rescues included; 0: no rescues. Raises DecoderLost.
        """
        self.stop()
        self._reads = self._steady_len = self._len = 0
        self._has_memory = self._has_frame = False
        self._errors, self._errors_len = b"", 0
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = self._spawn(its, budget_s)
        except OSError as error:
            ours.close()
            raise DecoderLost(f"its process cannot be started: {error.strerror}") from None
        finally:
            its.close()
        self._socket = ours
        if not isinstance(self._receive_answer(START_S), decoder_messages.DecoderReady):
            raise self._end_as_lost("answered before it got a request")

    def read(
        self, luma: Luma, seen_s: float
    ) -> decoder_messages.ReadResult | decoder_messages.ReadFailed:
        """What `luma` shows. Raises DecoderLost; the process has ended then."""
        assert self._socket is not None  # noqa: S101 -- the caller has started it
        if self._memory is None or self._memory.length < luma.size:
            if self._memory is not None:
                self._memory.close()
            self._memory, self._has_memory = decoder_messages.FrameMemory(luma.size), False
        self._memory.put(luma)
        height, width = luma.shape
        request = decoder_messages.ReadRequest(width, height, seen_s)
        memory = None if self._has_memory else self._memory
        self._has_frame = self._has_memory = True
        try:
            decoder_messages.send_request(self._socket, request, memory)
        except OSError:
            raise self._end_as_lost("ended") from None
        answer = self._receive_answer(self._deadline_s)
        if isinstance(answer, decoder_messages.DecoderReady):
            raise self._end_as_lost("answered out of turn")
        self._reads += 1
        self.complaints_len += self._errors_len
        self._errors_len = 0
        if self._reads % MEASURE_EVERY == 0:
            self._measure()
        return answer

    def kill(self) -> None:
        """End the process. Any thread may call it; a `read` that waits raises DecoderLost."""
        process = self._process
        if process is not None:
            process.kill()

    def stop(self) -> None:
        """Kill the process and free what belongs to it. It has no state to save."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # SIGKILL also ends a process that SIGSTOP has stopped
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """End the process and forget the frame; safe to call twice."""
        self.stop()
        if self._memory is not None:
            self._memory.close()
            self._memory = None

    def _spawn(self, its: socket.socket, budget_s: float) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        process = subprocess.Popen(
            [*self._program, *map(str, (its.fileno(), os.getpid(), self._decoder, budget_s))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(its.fileno(),),
            env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert process.stderr is not None  # noqa: S101 -- stderr=PIPE above
        os.set_blocking(process.stderr.fileno(), False)
        return process

    def _receive_answer(self, timeout_s: float) -> decoder_messages.Answer:
        """Its next message. Drains its error output, so that a full pipe does not block it."""
        assert self._socket is not None and self._process is not None  # noqa: S101
        assert self._process.stderr is not None  # noqa: S101
        events = select.poll()
        events.register(self._socket, select.POLLIN)
        events.register(self._process.stderr, select.POLLIN)
        deadline_s = time.monotonic() + timeout_s
        while (wait_s := deadline_s - time.monotonic()) > 0:
            ready = {fd for fd, _ in events.poll(wait_s * 1000)}
            if self._process.stderr.fileno() in ready and not self._drain_errors():
                events.unregister(self._process.stderr)
            if self._socket.fileno() not in ready:
                continue
            try:
                answer = decoder_messages.receive_answer(self._socket)
            except (OSError, msgspec.MsgspecError, RecursionError):
                raise self._end_as_lost("answered nonsense") from None
            if answer is None:
                raise self._end_as_lost("ended")
            return answer
        raise self._end_as_lost(f"gave no answer in {timeout_s:g} s")

    def _drain_errors(self) -> bool:
        """Take what is in its error output. Returns False if that is closed."""
        assert self._process is not None and self._process.stderr is not None  # noqa: S101
        try:
            complaints = os.read(self._process.stderr.fileno(), 65_536)
        except BlockingIOError:
            return True
        self._errors_len += len(complaints)
        self._errors = (self._errors + complaints)[:_ERRORS_LEN_MAX]
        return bool(complaints)

    def _measure(self) -> None:
        assert self._process is not None  # noqa: S101 -- it has just answered
        statm = Path(f"/proc/{self._process.pid}/statm").read_bytes()
        self._len = int(statm.split()[1]) * _PAGE_LEN
        if not self._steady_len and self._reads >= STEADY_READS:
            self._steady_len = self._len

    def _end_as_lost(self, how: str) -> DecoderLost:
        """End the process. Returns the exception to raise; `how` says what it did."""
        process = self._process
        assert process is not None  # noqa: S101
        if how == "ended":
            try:
                status = process.wait(1.0)
                how = f"ended with status {status}" if status >= 0 else f"ended by {_name(-status)}"
            except subprocess.TimeoutExpired:
                how = "hung up"
        process.kill()
        process.wait()
        self._drain_errors()
        errors = self._errors.decode(errors="replace")
        self.stop()
        if not self._has_frame:  # its error output cannot hold anything read from a frame
            last = errors.strip().rpartition("\n")[2]
            missing = _MISSING.fullmatch(last)
            if missing:
                import_error = ModuleNotFoundError(last, name=missing[1])
                last = extras.sentence(import_error, "unit") or last
            return DecoderLost(f"it {how}: {last[:300]}" if last else f"it {how}")
        fatal, line = _FATAL.search(errors), _LINE.search(errors)
        where = f", in {line[1]} line {line[2]}" if line and fatal else ""
        return DecoderLost(f"it {how}{where}")


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
