"""Our own panel (tests/firmware/panel.py) at the controller's line: it can lie inside a session."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import panel as osdp
from panel import ReferencePanel, Reply

from tests.firmware.pty.harness import KEY, Running


class Peer:
    """Speaks to a `Running` controller."""

    def __init__(self, door: Running, key: bytes = KEY) -> None:
        self.door = door
        self.panel = ReferencePanel(key, os.urandom)

    def say(self, frame: bytes) -> Reply:
        return self.panel.parse(self.door.exchange(frame))

    def ask(self, code: int, data: bytes = b"") -> Reply:
        """A frame of the session."""
        return self.say(self.panel.secured(code, data))

    def meet(self) -> None:
        """A new session."""
        self.panel.again()
        self.panel.sequence = 0  # the first frame has the number 1: none is spent on a plain one
        reply = self.say(self.panel.challenge())
        assert self.say(self.panel.challenged(reply)).code == osdp.RMAC_I

    def hostile(
        self, wrong: bytes = b"\1\0\0\0", code: int = osdp.OUT, data: bytes | None = None
    ) -> Reply:
        """A frame with the right CRC and sequence number, and a MAC that is wrong by `wrong`."""
        data = osdp.pulse(1000) if data is None else data
        frame = self.panel.secured(code, data, sequence=self.panel.next(), wrong_mac=wrong)
        return self.say(frame)
