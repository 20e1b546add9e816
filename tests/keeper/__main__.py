"""`python -m tests.keeper SOCKET LEDGER`: keep the levels of a door's pins, whoever drives them.

Raspberry Pi OS (`persist_gpio_outputs=Y`) leaves an output as its dead program left it. So
does this process: a level stays until somebody sets another. Behind the relay's pin sits the
one-shot of the wiring: a rising edge closes the relay while the pin is high, for N ms at most;
then it stays open until the next rising edge. Every move of the relay is a line in LEDGER.
"""

import argparse
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TextIO

from tests.keeper import DONE, ONE_SHOT_MS, RELAY_PIN

PINS = range(28)
LINE_LEN_MAX = 64


class Relay:
    """The one-shot and the contact behind it. Times are monotonic ms, given by the caller."""

    def __init__(self, one_shot_ms: float, book: TextIO) -> None:
        self.closings = 0
        self._one_shot_ms = one_shot_ms
        self._book = book
        self._high = False
        self._closed_ms: float | None = None

    @property
    def closed(self) -> bool:
        return self._closed_ms is not None

    @property
    def ends_ms(self) -> float | None:
        """When the one-shot will open the relay by itself; None: it is open."""
        return None if self._closed_ms is None else self._closed_ms + self._one_shot_ms

    def level(self, high: bool, now_ms: float, why: str) -> None:
        """The pin's level now. Only a rise starts the one-shot."""
        self.pass_time(now_ms)
        rose, self._high = high and not self._high, high
        if rose:
            self.closings += 1
            self._closed_ms = now_ms
            self._write("closed", now_ms, None, why)
        elif not high:
            self._open(now_ms, why)

    def pass_time(self, now_ms: float) -> None:
        ends_ms = self.ends_ms
        if ends_ms is not None and now_ms >= ends_ms:
            self._open(ends_ms, "one-shot")  # the wiring was punctual even if we were not

    def _open(self, at_ms: float, why: str) -> None:
        if self._closed_ms is not None:
            for_ms, self._closed_ms = at_ms - self._closed_ms, None
            self._write("opened", at_ms, for_ms, why)

    def _write(self, relay: str, at_ms: float, for_ms: float | None, why: str) -> None:
        line = {"relay": relay, "at_ms": round(at_ms, 3), "closing": self.closings}
        line |= {"for_ms": None if for_ms is None else round(for_ms, 3), "why": why}
        self._book.write(json.dumps(line) + "\n")
        self._book.flush()
        os.fsync(self._book.fileno())


class KeptBoard:
    """The pins, with one of them leading to the relay."""

    def __init__(self, relay_pin: int, relay: Relay) -> None:
        self.relay = relay
        self._relay_pin = relay_pin
        self._levels: dict[int, bool] = {}

    def answer(self, line: str, now_ms: float) -> bytes:
        """Do what one request says. Raises ValueError when it is none."""
        self.relay.pass_time(now_ms)
        match line.split():
            case ["set", pin, ("0" | "1") as level] if pin.isdigit() and int(pin) in PINS:
                self._put(int(pin), level == "1", now_ms, "pin high" if level == "1" else "pin low")
                return DONE
            case ["free", pin] if pin.isdigit() and int(pin) in PINS:
                self._put(int(pin), False, now_ms, "pin freed")
                return DONE
            case ["state"]:
                said = {"levels": self._levels, "relay_closed": self.relay.closed}
                return json.dumps(said | {"closings": self.relay.closings}).encode() + b"\n"
        raise ValueError(f"not a request: {line[:40]!r}")

    def _put(self, pin: int, level: bool, now_ms: float, why: str) -> None:
        self._levels[pin] = level
        if pin == self._relay_pin:
            self.relay.level(level, now_ms, why)


def now_ms() -> float:
    return time.monotonic_ns() / 1e6


def serve(listener: socket.socket, board: KeptBoard) -> None:
    """Answer everybody, one request at a time, until terminated."""
    waiting = selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    started: dict[socket.socket, bytes] = {}
    while True:
        ends_ms = board.relay.ends_ms
        ready = waiting.select(None if ends_ms is None else max(0.0, (ends_ms - now_ms()) / 1000))
        board.relay.pass_time(now_ms())
        for key, _ in ready:
            peer = key.fileobj
            assert isinstance(peer, socket.socket)
            if peer is listener:
                peer, _ = listener.accept()
                waiting.register(peer, selectors.EVENT_READ)
                started[peer] = b""
            elif not _hear(peer, started, board):
                waiting.unregister(peer)
                del started[peer]
                peer.close()


def _hear(peer: socket.socket, started: dict[socket.socket, bytes], board: KeptBoard) -> bool:
    """Answer the whole lines that came from `peer`; False when it is gone or talks nonsense."""
    try:
        got = peer.recv(4096)
        *lines, started[peer] = (started[peer] + got).split(b"\n")
        for line in lines:
            peer.sendall(board.answer(line.decode("ascii"), now_ms()))
    except (OSError, ValueError):
        return False
    return bool(got) and len(started[peer]) <= LINE_LEN_MAX


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.keeper", description=__doc__)
    parser.add_argument("socket", type=Path, help="where to listen; a dead keeper's is taken over")
    parser.add_argument("ledger", type=Path, help="a line for every move of the relay, appended")
    parser.add_argument("--relay", type=int, default=RELAY_PIN, metavar="PIN", help="BCM number")
    parser.add_argument("--one-shot-ms", type=int, default=ONE_SHOT_MS, metavar="N")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with given.ledger.open("a") as book, socket.socket(socket.AF_UNIX) as listener:
        given.socket.unlink(missing_ok=True)
        listener.bind(str(given.socket))
        listener.listen()
        serve(listener, KeptBoard(given.relay, Relay(given.one_shot_ms, book)))


if __name__ == "__main__":
    main()
