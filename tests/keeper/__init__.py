"""A door's pins and relay in a process of their own: what a test asks, and how it starts one.

The protocol, over a Unix stream socket, one line a request:

    set PIN 0|1   the program drives an output        answer: one byte, `.`
    free PIN      the pin is an input again           answer: one byte, `.`
    state         what the hardware says now          answer: one line of JSON, a `State`
"""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

RELAY_PIN = 17
ONE_SHOT_MS = 5000
DONE = b"."


class KeeperLost(ConnectionError):
    """The process that keeps the pins is gone."""


class State(NamedTuple):
    """The hardware of one door at one moment."""

    levels: dict[int, bool]  # of every pin that was ever driven; a freed pin is pulled low
    relay_closed: bool  # the contact behind the one-shot, not the pin
    closings: int  # of the relay, since the keeper started


class Link:
    """One connection to a keeper; may be shared by threads."""

    def __init__(self, path: Path | str, wait_s: float = 5.0) -> None:
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        until = time.monotonic() + wait_s
        while True:
            try:
                self._socket.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > until:
                    self._socket.close()
                    raise KeeperLost(f"no keeper listens at {path}") from None
                time.sleep(0.02)

    def drive(self, pin: int, level: bool) -> None:
        """Return once the level is on the pin, so a kill at any moment leaves a definite state."""
        self._ask(f"set {pin} {int(level)}\n", DONE)

    def free(self, pin: int) -> None:
        """Stop driving the pin; the resistor at the relay's input pulls it low."""
        self._ask(f"free {pin}\n", DONE)

    def state(self) -> State:
        said: dict[str, Any] = json.loads(self._ask("state\n", b"\n"))
        levels = {int(pin): bool(level) for pin, level in said["levels"].items()}
        return State(levels, said["relay_closed"], said["closings"])

    def close(self) -> None:
        self._socket.close()

    def _ask(self, line: str, end: bytes) -> bytes:
        with self._lock:
            try:
                self._socket.sendall(line.encode())
                answer = b""
                while not answer.endswith(end):
                    got = self._socket.recv(65536)
                    if not got:
                        raise KeeperLost("the keeper of the pins is gone")
                    answer += got
            except OSError as error:
                raise KeeperLost(f"the keeper of the pins is gone: {error}") from None
            return answer


class Moved(NamedTuple):
    """One line of the ledger: the relay closed, or opened again."""

    relay: str  # "closed" or "opened"
    at_ms: float  # monotonic, the machine's
    closing: int  # counts from 1
    for_ms: float | None  # how long it was closed; None on a closing
    why: str  # "pin high"; "pin low", "pin freed" or "one-shot"


def ledger(path: Path) -> list[Moved]:
    """What the relay did, in order. Each line was on the disk before its cause was answered."""
    if not path.exists():
        return []
    return [Moved(**json.loads(line)) for line in path.read_text().splitlines()]


@contextlib.contextmanager
def keeper(
    path: Path, ledger_path: Path, relay_pin: int = RELAY_PIN, one_shot_ms: int = ONE_SHOT_MS
) -> Iterator[Link]:
    """Run a keeper process and give a link to it; the process ends with the block."""
    command = [sys.executable, "-m", "tests.keeper", str(path), str(ledger_path)]
    command += ["--relay", str(relay_pin), "--one-shot-ms", str(one_shot_ms)]
    process = subprocess.Popen(command)
    try:
        link = Link(path, wait_s=60)
        yield link
        link.close()
    finally:
        process.terminate()
        process.wait(10)
