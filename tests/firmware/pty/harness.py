"""The real firmware in the real MicroPython of Unix, at the end of a pseudo-terminal.

    with Running(key=KEY) as door:
        ...  # door.port is a serial port's path; give it to libosdp or edge.adapters.door.osdp_door
        door.levels = inputs.CONTACT | inputs.TAMPER  # bits of firmware/inputs.py
        door.wait(lambda: door.relay, 2)  # the pins now: relay, green, red, buzzer
        door.history  # every change of the pins, oldest first: Pins(ms, relay, green, red, buzzer)
        door.linked, door.latched, door.losses
        door.stalled_ms  # for how long in all this machine let the firmware wait
        door.cut(), door.restore()  # the cable; what is sent while it is cut is lost
        door.mute(1), door.deaf(1)  # the panel's next command, or the next answer, is lost
        door.restart()  # power off and on; `latched` is kept, as the board stores it
        door.captured  # what went over the cable, with `capture=True`: ("in" or "out", bytes)
        door.inject(data)  # bytes on the wire towards the firmware, as from a third party

`clock="driven"` gives the firmware a clock that only `door.at(ms)` moves, and no cable. `peer.py`
is a panel of our own that speaks through `door.exchange(data)`, in either clock; `door.hang_up()`
ends its use of the port. Needs `make .cache/trixie-micropython`; MicroPython 1.25 of Debian 13.
"""

import contextlib
import fcntl
import os
import select
import subprocess
import threading
import time
import tty
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.firmware.pty.pulses import pulses_ms

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
FIRMWARE = ROOT / "firmware"
KEY = bytes.fromhex("7b1d5f0c93a24e68b7d0416f2c8e95aa")


@dataclass(frozen=True)
class PtyPins:
    """Levels from `ms` of the controller's clock on."""

    ms: int
    relay: bool = False
    green: bool = False
    red: bool = False
    buzzer: bool = False


def micropython() -> list[str]:
    """The command of the Debian folder's own MicroPython, run by its own loader."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "menshen" / "trixie"
    binary = folder / "usr/bin/micropython"
    loader = next(iter(sorted((folder / "usr/lib").glob("*/ld-linux*"))), None)
    if not binary.exists() or loader is None:
        raise RuntimeError("MicroPython for Unix is missing; run: make .cache/trixie-micropython")
    return [str(loader), "--library-path", str(loader.parent), str(binary)]


class Running:
    """A controller that runs; see this module's own text. `key` of None: not paired."""

    def __init__(
        self,
        key: bytes | None = KEY,
        latch: str = "none",
        clock: str = "real",
        levels: int = 0,
        latched: bool = False,
        capture: bool = False,
        firmware: Path = FIRMWARE,
    ) -> None:
        self.history: list[PtyPins] = []
        self.captured: list[tuple[str, bytes]] = []
        self.latched = latched
        self.linked = False
        self.losses = 0  # how often the controller missed its panel for 1.5 s
        self.stalled_ms = 0  # for how long in all the machine kept it from its turns
        self._firmware = firmware
        self._key = key.hex() if key is not None else "none"
        self._latch = latch
        self._clock = clock
        self._levels = levels
        self._capture = capture
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._ats = 0
        self._cut = False
        self._mute = self._deaf = 0
        self._closing = False
        self._peer = -1  # our own panel's end of the line
        self._threads: list[threading.Thread] = []
        # Two pseudo-terminals and, between them, the cable.
        self._host, host_end = os.openpty()
        self._line, self._line_end = os.openpty()
        tty.setraw(host_end)
        tty.setraw(self._line_end)
        self.port = os.ttyname(host_end)
        self._host_end = host_end  # kept open: a closed one would end reading on the other side
        fcntl.fcntl(self._line_end, fcntl.F_SETFL, os.O_NONBLOCK | os.O_RDWR)

    def __enter__(self) -> "Running":
        self._start()
        if self._clock == "real":
            cable = threading.Thread(target=self._carry, daemon=True)
            cable.start()
            self._threads.append(cable)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._closing = True
        self.hang_up()
        for thread in self._threads:
            thread.join(timeout=5)
        for descriptor in (self._host, self._host_end, self._line, self._line_end):
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """Of MicroPython's process."""
        assert self._process is not None
        return self._process.pid

    # the pins

    @property
    def pins(self) -> PtyPins:
        """The levels now."""
        return self.history[-1] if self.history else PtyPins(0)

    @property
    def relay(self) -> bool:
        return self.pins.relay

    @property
    def green(self) -> bool:
        return self.pins.green

    @property
    def red(self) -> bool:
        return self.pins.red

    @property
    def buzzer(self) -> bool:
        return self.pins.buzzer

    def pulses(self) -> list[int]:
        """The relay's pulses that have ended, in ms of the controller's clock."""
        return pulses_ms(self.history)

    @property
    def levels(self) -> int:
        """The inputs' bits, as firmware/inputs.py names them."""
        return self._levels

    @levels.setter
    def levels(self, levels: int) -> None:
        self._levels = levels
        self._tell(f"levels {levels}")

    def wait(self, until: Callable[[], object], seconds: float) -> None:
        """Return when `until()` is true; raise AssertionError after `seconds`."""
        end = time.monotonic() + seconds
        with self._changed:
            while not until():
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not so within {seconds} s; the pins were {self.history}")
                self._changed.wait(min(left, 0.05))

    # the cable

    def cut(self) -> None:
        self._cut = True

    def restore(self) -> None:
        self._cut = False

    def mute(self, commands: int) -> None:
        """Lose so many of the panel's next commands."""
        self._mute = commands

    def deaf(self, answers: int) -> None:
        """Lose so many of the firmware's next answers."""
        self._deaf = answers

    def inject(self, data: bytes) -> None:
        """Put bytes on the wire towards the firmware."""
        os.write(self._line, data)

    def restart(self) -> None:
        """Take the supply away, and give it back."""
        self._stop()
        with contextlib.suppress(BlockingIOError):
            while os.read(self._line_end, 4096):  # what nobody heard
                pass
        self._start()

    # a driven clock, and a panel of our own

    def at(self, ms: int) -> None:
        """Set the clock, and wait until the firmware has turned with it."""
        before = self._ats
        self._tell(f"at {ms}")
        self.wait(lambda: self._ats > before, 30)

    def exchange(self, data: bytes, seconds: float = 30) -> bytes:
        """Say `data` to the firmware; return its answer, a whole frame."""
        if self._peer < 0:
            driven = self._clock == "driven"
            self._peer = self._line if driven else os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        os.write(self._peer, data)
        answer = b""
        while len(answer) < 6 or len(answer) < 1 + (answer[3] | answer[4] << 8):
            if not select.select([self._peer], [], [], seconds)[0]:
                raise AssertionError(f"no answer to {data.hex()}; only {answer.hex()!r}")
            answer += os.read(self._peer, 4096)
        return answer

    def hang_up(self) -> None:
        """Leave the port to another panel."""
        if self._peer not in (-1, self._line):
            os.close(self._peer)
        self._peer = -1

    # inside

    def _start(self) -> None:
        commands, self._commands = os.pipe()
        fcntl.fcntl(commands, fcntl.F_SETFL, os.O_NONBLOCK)
        arguments = [str(HERE / "door.py"), str(self._firmware), self._key, self._latch]
        arguments += [str(int(self.latched)), self._clock, str(self._line_end)]
        process = self._process = subprocess.Popen(
            [*micropython(), *arguments],
            stdin=commands,
            stdout=subprocess.PIPE,
            pass_fds=[self._line_end],
            cwd=HERE,
        )
        os.close(commands)
        before = len(self.history)
        reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        reader.start()
        self._threads.append(reader)
        self._tell(f"levels {self._levels}")
        if self._clock == "driven":
            self.at(0)
        self.wait(lambda: len(self.history) > before or process.poll() is not None, 20)
        if process.poll() is not None:
            raise RuntimeError("the firmware did not start; what it said is above")

    def _stop(self) -> None:
        process = self._process
        if process is None:
            return
        self._process = None
        process.kill()
        process.wait()
        os.close(self._commands)
        with self._changed:
            self.linked = False
            if self.history:
                self.history.append(PtyPins(self.history[-1].ms))

    def _tell(self, text: str) -> None:
        if self._process is not None:
            os.write(self._commands, text.encode() + b"\n")

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            word, *values = line.decode().split()
            numbers = [int(value) for value in values]
            with self._changed:
                if process is not self._process:
                    return
                if word == "out":
                    self.history.append(PtyPins(numbers[0], *map(bool, numbers[1:])))
                elif word == "at":
                    self._ats += 1
                elif word == "stalled":
                    self.stalled_ms += numbers[0]
                else:
                    self.losses += word == "linked" and self.linked and not numbers[0]
                    setattr(self, word, bool(numbers[0]))
                self._changed.notify_all()

    def _carry(self) -> None:
        """The cable."""
        ends = {self._host: (self._line, "in"), self._line: (self._host, "out")}
        while not self._closing:
            for end in select.select(list(ends), [], [], 0.1)[0]:
                data = os.read(end, 4096)
                to, way = ends[end]
                if self._capture:
                    self.captured.append((way, data))
                if way == "in" and self._mute:
                    self._mute -= 1
                elif way == "out" and self._deaf:
                    self._deaf -= 1
                elif not self._cut:
                    os.write(to, data)
