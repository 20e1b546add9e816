"""One unit in one guest: its card, its program, and what is held before its camera."""

import time

from tests.hardware.qemu.card import UNIT_TOML, Card
from tests.hardware.qemu.machine import Pi

START_S = 180
"""The most that `menshen-edge run` may take until it is ready, on a busy machine."""


class QemuUnit:
    """`menshen-edge run` in the guest, as systemd would start it."""

    def __init__(self, pi: Pi, card: Card) -> None:
        self.pi = pi
        self.card = card
        self.runs = False
        self._watched = False

    def start(self) -> None:
        """Start it and wait until it is ready."""
        if not self._watched:
            self.pi.run("notified.py & soon 60 'test -e /run/notified'", 120)
            self.pi.run("held_up.sh &")
            self._watched = True
        self.pi.run(": >/run/notified")
        self.pi.run(
            "RUNTIME_DIRECTORY=/run/menshen NOTIFY_SOCKET=/run/notify "
            f"menshen-edge run {UNIT_TOML} --show >/run/unit 2>&1 & unit=$!"
        )
        self.pi.run(
            f"soon {START_S} 'grep -q READY=1 /run/notified || ! kill -0 $unit'; "
            "grep -q READY=1 /run/notified || { cat /run/unit; false; }",
            START_S + 60,
        )
        self.runs = True

    def show(self, picture: bytes) -> float:
        """Hold `picture` before its camera, in place of the one before; returns the monotonic
        second of the host.
        """
        at_s = time.monotonic()
        self.pi.put("/run/shown", picture)
        return at_s

    def kill(self, signal: str) -> None:
        """Send a signal, without waiting for what comes of it."""
        self.pi.run(f"kill -{signal} $unit")

    def ended(self, code: int) -> None:
        """Wait for its end by `code`, and that of its decoder."""
        self.pi.run("wait $unit", code=code)
        self.runs = False
        self.pi.run("soon 20 '! ps | grep -q \"[e]dge.sight\"' || { ps; false; }")

    def said(self) -> str:
        """Everything that it printed."""
        return self.pi.run("cat /run/unit")

    def story(self) -> str:
        """For a failure's message."""
        return self.said() + self.pi.console()
