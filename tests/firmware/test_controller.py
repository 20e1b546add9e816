"""The controller's rules, judged from the line and the pins. Runs in MicroPython and in CPython."""

import unittest

import inputs
import panel
from controller import Controller
from panel import Panel

KEY = bytes(range(1, 17))
PERIOD = 2**30
START = PERIOD - 30_000  # the clock turns over in the middle of most tests


class Door:
    """A controller, a clock that a test moves by hand, and what its pins did."""

    def __init__(self, key=KEY, latch="none", latched=False, levels=0, start=START, **more):
        self.at = start
        self.seed = 1
        self.levels = levels
        self.controller = Controller(key, 0, latch, latched, self.random, self.now, **more)
        self.on_ms = 0  # how long the relay was on
        self.out = self.controller.turn(levels, self.now)

    @property
    def now(self):
        return self.at % PERIOD

    def random(self, n):
        out = bytearray()
        for _ in range(n):
            self.seed = (self.seed * 1664525 + 1013904223) % 2**32
            out.append(self.seed >> 24)
        return bytes(out)

    def go(self, ms, step=5):
        """Let `ms` pass in silence."""
        end = self.at + ms
        while self.at < end:
            by = min(step, end - self.at)
            self.at += by
            self.out = self.controller.turn(self.levels, self.now)
            self.on_ms += by if self.out.relay else 0

    def say(self, data):
        """Put `data` on the line; return the answer's bytes."""
        self.controller.receive(data, self.now)
        answer = self.controller.send()
        self.out = self.controller.turn(self.levels, self.now)
        return answer


class Pair:
    """A panel and its door."""

    def __init__(self, key=KEY, **more):
        self.door = Door(**more)
        self.panel = Panel(key, self.door.random)

    def plain(self, code, data=b"", block=b""):
        return self.panel.parse(self.door.say(self.panel.plain(code, data, block)))

    def ask(self, code, data=b""):
        return self.panel.parse(self.door.say(self.panel.secured(code, data)))

    def meet(self):
        """A new session."""
        self.panel.again()
        self.plain(panel.ID, b"\0")
        self.plain(panel.CAP, b"\0")
        reply = self.panel.parse(self.door.say(self.panel.challenge()))
        reply = self.panel.parse(self.door.say(self.panel.challenged(reply)))
        assert reply.code == panel.RMAC_I
        return self

    def poll(self, ms, every_ms=50):
        """Poll for `ms`; return what was told besides ACK."""
        told = []
        end = self.door.at + ms
        while self.door.at < end:
            self.door.go(min(every_ms, end - self.door.at))
            reply = self.ask(panel.POLL)
            if reply.code != panel.ACK:
                told.append((reply.code, bytes(reply.data)))
        return told

    def ready(self):
        """A session that has run for a while: pulses are saved up, and nothing is new."""
        self.meet()
        self.poll(3000)
        self.door.on_ms = 0
        return self


class SessionTest(unittest.TestCase):
    def test_a_session(self):
        pair = Pair().meet()
        self.assertEqual(pair.ask(panel.POLL).block, 0x18)
        pair.poll(500)
        self.assertEqual(pair.ask(panel.POLL).block, 0x16)
        self.assertTrue(pair.door.controller.linked(pair.door.now))

    def test_a_pulse(self):
        pair = Pair().ready()
        reply = pair.ask(panel.OUT, panel.pulse(1000))
        self.assertEqual((reply.code, bytes(reply.data)), (panel.OSTATR, b"\1"))
        told = pair.poll(2000)
        self.assertEqual(pair.door.on_ms, 995)
        self.assertEqual(told, [(panel.OSTATR, b"\0")])


if __name__ == "__main__":
    unittest.main()
