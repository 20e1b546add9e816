"""The firmware as the controller of a door, in a process of its own, on a cable that can be cut."""

import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time
import tty
from pathlib import Path
from typing import NamedTuple

from edge.wire.door_inputs import INPUTS, LATCHED_PLACE, REPORT_LEN
from tests.firmware.pty.pulses import pulses_ms

ROOT = Path(__file__).parents[2]
KEY = bytes(range(1, 17))
PLACES = {"latched": LATCHED_PLACE} | {name: row.place for name, row in INPUTS.items()}
REARM = REPORT_LEN
CPYTHON = (sys.executable, "-B")


class ControllerPins(NamedTuple):
    at_s: float  # monotonic, when this side heard of it
    ms: int  # by the controller's own clock
    relay: bool
    green: bool
    red: bool
    buzzer: bool
    latched: bool


class Cable:
    """A serial line behind a link, as /dev/serial/by-id/… is one; the far end is `end`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = self._near = -1
        self.cut = False
        self.plug()

    def plug(self) -> None:
        self.end, self._near = pty.openpty()
        tty.setraw(self._near, termios.TCSANOW)
        os.set_blocking(self.end, False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._near))

    def unplug(self) -> None:
        """The port is gone, as that of a USB adapter that was pulled out."""
        self.path.unlink(missing_ok=True)
        ends = self.end, self._near
        self.end = self._near = -1
        for end in ends:
            if end >= 0:
                os.close(end)

    def read(self, wait_s: float) -> bytes:
        end = self.end
        try:
            if end < 0 or not select.select([end], [], [], wait_s)[0]:
                time.sleep(wait_s if end < 0 else 0)
                return b""
            data = os.read(end, 4096)
        except (OSError, ValueError):  # unplugged, or nobody has it open
            time.sleep(wait_s)
            return b""
        return b"" if self.cut else data

    def write(self, data: bytes) -> None:
        try:
            if self.end >= 0 and not self.cut:
                os.write(self.end, data)
        except OSError:
            return


class ControllerProcess:
    """Runs until `close`; `power(False)` takes its supply away."""

    def __init__(
        self,
        cable: Cable,
        key: bytes | None = KEY,
        address: int = 0,
        latch: str = "none",
        interpreter: tuple[str, ...] = CPYTHON,
    ) -> None:
        self.cable = cable
        self.key, self.address, self.latch = key, address, latch
        self._interpreter = interpreter
        self.history: list[ControllerPins] = []
        self.frames: list[tuple[float, bytes]] = []  # what came over the line
        self._levels = 0
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._reader = threading.Thread()
        self._lock = threading.Lock()
        self.power(True)
        self._threads = [
            threading.Thread(target=self._carry, name="cable", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pins(self) -> ControllerPins:
        until_s = time.monotonic() + 10
        while not self.history:
            assert time.monotonic() < until_s, "the controller does not start"
            time.sleep(0.01)
        return self.history[-1]

    def power(self, on: bool) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait(10)
                assert self._process.stdin
                assert self._process.stdout
                self._process.stdin.close()
                self._reader.join(10)
                self._process.stdout.close()
                self._process = None
            if not on:
                return
            folders = [str(ROOT / "firmware")]
            if self._interpreter == CPYTHON:
                folders.append(str(ROOT / "tests" / "firmware"))
            latched = bool(self.history) and self.history[-1].latched
            command = [*self._interpreter, str(ROOT / "tests" / "controller" / "line.py"), *folders]
            command += [self.key.hex() if self.key else "none", str(self.address), self.latch]
            command.append(str(int(latched)))
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)
            self._reader = threading.Thread(target=self._heard, args=(self._process,), daemon=True)
            self._reader.start()
            self._say(f"i {self._levels}")

    def level(self, place: str | int, on: bool) -> None:
        """An input changes; `place` is one of PLACES or REARM."""
        bit = 1 << (PLACES[place] if isinstance(place, str) else place)
        self._levels = self._levels | bit if on else self._levels & ~bit
        with self._lock:
            self._say(f"i {self._levels}")

    def tap(self, place: str | int, for_s: float = 0.06) -> None:
        """On, and off again."""
        self.level(place, True)
        time.sleep(for_s)
        self.level(place, False)
        time.sleep(for_s)

    def pulses_ms(self) -> list[int]:
        """How long each pulse of the relay was that has ended, by the controller's own clock."""
        return pulses_ms(self.history)

    def close(self) -> None:
        self._ended = True
        self.power(False)
        for thread in self._threads:
            thread.join(10)
        self.cable.unplug()

    def _carry(self) -> None:
        while not self._ended:
            data = self.cable.read(0.02)
            if data:
                self.frames.append((time.monotonic(), data))
                with self._lock:
                    self._say(f"r {data.hex()}")

    def _say(self, line: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(line.encode() + b"\n")
            except BrokenPipeError:
                return

    def _heard(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout
        for line in process.stdout:
            kind, *rest = line.decode().split()
            if kind == "s":
                self.cable.write(bytes.fromhex(rest[0]))
            elif kind == "o":
                ms, *levels = map(int, rest)
                self.history.append(ControllerPins(time.monotonic(), ms, *map(bool, levels)))
