"""The firmware in the real MicroPython, and a panel of our own that lies inside sessions.

The firmware's clock is driven by the test: hours of polls and back-off pass in a minute. What runs
in real time is in test_libosdp.py and in `make soak-osdp`.
"""

import os
import random
from collections.abc import Iterator

import panel as osdp
import pytest

from tests.firmware.pty.harness import Running
from tests.firmware.pty.peer import Peer

pytestmark = pytest.mark.hardware

HOSTILE = 100_000
RECONNECTS = 1_000
HOURS = 4
POLL_MS = 100  # as libosdp's Python package polls
PERIOD = 2**30
STATUS = {
    osdp.LSTAT: osdp.LSTATR,
    osdp.ISTAT: osdp.ISTATR,
    osdp.OSTAT: osdp.OSTATR,
    osdp.RSTAT: osdp.RSTATR,
}


class Hour:
    """A controller, a panel, and the clock between them."""

    def __init__(self, door: Running, start_ms: int = 0) -> None:
        self.door = door
        self.peer = Peer(door)
        self.ms = start_ms
        self.go(0)

    def go(self, ms: int) -> None:
        self.ms += ms
        self.door.at(self.ms % PERIOD)

    def pulse(self, ms: int = 500) -> int:
        """Ask for one and let it end; return what the relay was said to be."""
        told = self.peer.ask(osdp.OUT, osdp.pulse(ms)).data[0]
        self.go(ms)
        return int(told)


@pytest.fixture
def hour() -> Iterator[Hour]:
    with Running(clock="driven") as door:
        yield Hour(door)


def hostile(peer: Peer, pick: random.Random, recorded: list[bytes]) -> tuple[int, bytes]:
    """The command and the bytes of a frame that is right but for its MAC."""
    kind = pick.randrange(10)
    if kind < 6:
        code, data = (
            osdp.OUT,
            osdp.pulse(pick.choice((100, 1000, 10_000)), code=pick.choice((5, 5, 2, 4))),
        )
    elif kind < 8:
        code, data = osdp.POLL, b""
    elif kind < 9:
        code, data = pick.choice((*STATUS, osdp.LED, osdp.BUZ, osdp.KEYSET)), b""
    else:
        code, data = pick.randrange(256), pick.randbytes(pick.randrange(1, 40))
    panel = peer.panel
    if kind == 0 and recorded:
        # An honest frame of an earlier session, with the number that is due now and its own MAC.
        old = bytearray(pick.choice(recorded))
        old[4] = old[4] & 0xFC | panel.next()
        return old[7], panel.crc(bytes(old[:-2]))
    wrong = (1 << pick.randrange(32)).to_bytes(4, "little") if kind < 5 else pick.randbytes(4)
    if wrong == bytes(4):
        wrong = b"\1\0\0\0"
    return code, panel.secured(code, data, sequence=panel.next(), wrong_mac=wrong)


@pytest.mark.timeout(900)
def test_hostile_frames_inside_a_session_never_move_the_relay(hour: Hour) -> None:
    """Each one in a living session of its own, for each one ends it; back-off is waited out."""
    seed = int.from_bytes(os.urandom(4), "big")
    pick = random.Random(seed)
    peer, panel = hour.peer, hour.peer.panel
    recorded: list[bytes] = []
    for _ in range(20):  # an honest time, of which a frame is kept each
        hour.go(3_000)
        peer.meet()
        frame = panel.secured(osdp.OUT, osdp.pulse(500))
        assert peer.say(frame).data[0] == 1
        recorded.append(frame)
        hour.go(500)
    assert len(hour.door.pulses()) == 20
    before = len(hour.door.history)
    for n in range(HOSTILE):
        if n % 2 == 0:
            hour.go(10_100)  # two failures within 10 s are borne; so each finds a session
        peer.meet()
        if n % 7 == 0:
            assert peer.ask(osdp.POLL).code != osdp.NAK  # it is alive
        code, frame = hostile(peer, pick, recorded)
        reply = peer.say(frame)
        where = f"seed {seed}, frame {n}: {frame.hex()}"
        assert reply.code == STATUS.get(code, osdp.NAK), where
        assert reply.block == 0, where
        if n % 97 == 0:  # and the session is over
            assert peer.say(panel.secured(osdp.OUT, osdp.pulse(500))).code == osdp.NAK, where
            hour.go(50)
    hour.go(1)
    assert not any(pins.relay for pins in hour.door.history[before:]), f"seed {seed}"
    hour.go(20_000)
    peer.meet()
    assert hour.pulse() == 1  # it would have moved
    hour.door.wait(lambda: len(hour.door.pulses()) == 21, 10)


def test_a_thousand_reconnects(hour: Hour) -> None:
    """Each session opens the door once; now and then silence, or the controller restarts."""
    for n in range(RECONNECTS):
        hour.go((3_000, 9_000, 1_000)[n % 3])
        if n % 50 == 49:
            hour.door.restart()  # its clock is 0 again
            hour.ms = 0
            hour.go(3_000)
        hour.peer.meet()
        hour.go(2_000 if n % 3 == 2 else 1_000)
        hour.peer.ask(osdp.POLL)
        hour.go(1_000)
        assert hour.pulse(200) == 1, n
        hour.go(1)
    assert len(hour.door.pulses()) == RECONNECTS
    assert all(200 <= ms <= 201 for ms in hour.door.pulses())


@pytest.mark.timeout(600)
def test_hours_of_polling_in_one_session() -> None:
    """The chain of MACs holds over all of it, over the clock's turning over too."""
    with Running(clock="driven") as door:
        hour = Hour(door, PERIOD - HOURS * 1_800_000)
        hour.peer.meet()
        pulses = 0
        for n in range(HOURS * 3_600_000 // POLL_MS):
            hour.go(POLL_MS)
            reply = hour.peer.ask(osdp.POLL)
            assert reply.block in (0x16, 0x18), (n, reply)
            if n % 600 == 599:
                door.levels = 1 << n // 600 % 6
                assert hour.pulse() == 1, n
                pulses += 1
        hour.go(1)
        assert len(door.pulses()) == pulses
        assert door.losses == 0
