"""The firmware in the real MicroPython, and libosdp's control panel: a peer nobody here wrote.

In real time. Bounds are those that hold on a busy machine: a pulse may end late when the simulated
controller's process has to wait, it may never end early, and what must not happen never may.
"""

import time
from collections.abc import Iterator

import pytest

from tests.firmware.pty.harness import KEY, Running
from tests.firmware.pty.libosdp import INPUT, LOCAL, OUTPUT, REMOTE, ControlPanel
from tests.firmware.pty.peer import Peer

pytestmark = pytest.mark.hardware

OPEN, EXIT, FIRE, HELP, TURN, TURN_OUT, LATCHED, TAMPER, REARM = (1 << n for n in range(9))
LATE_MS = 60  # beside what the machine let the firmware wait (door.stalled_ms)
DEFAULT_KEY = bytes(range(0x30, 0x40))
OUT, LED, BUZ, COMSET, STATUS = 1, 2, 3, 6, 9  # libosdp's own numbers of its commands


@pytest.fixture(scope="module")
def door() -> Iterator[Running]:
    with Running(capture=True) as running:
        yield running


@pytest.fixture(scope="module")
def pair(door: Running) -> Iterator[ControlPanel]:
    with ControlPanel(door.port, KEY) as panel:
        assert panel.wait(lambda: panel.secure, 20)
        yield panel


@pytest.fixture
def panel(pair: ControlPanel, door: Running) -> ControlPanel:
    """In session, with a pulse saved up, nothing new."""
    door.restore()
    if not pair.secure:
        pair.restart()
        assert pair.wait(lambda: pair.secure, 20)
    door.levels = 0
    pair.wait(lambda: False, 2.3)
    pair.told.clear()
    pair.answers.clear()
    assert pair.secure
    return pair


def pulses(door: Running, panel: ControlPanel, ms: int) -> list[int]:
    """Ask for one; return those that came, in ms.

    Where the machine held a frame up for 1.5 s, the controller refuses it: ask again.
    """
    before = len(door.pulses())
    for _ in range(3):
        losses = door.losses
        assert panel.pulse(ms)
        panel.wait(lambda: len(door.pulses()) > before, ms / 1000 + 5)
        if len(door.pulses()) > before or door.losses == losses:
            break
    return door.pulses()[before:]


def test_with_the_pairs_key_it_is_online_in_a_second_or_so(door: Running) -> None:
    start = time.monotonic()
    with Running() as other, ControlPanel(other.port, KEY) as panel:
        assert panel.wait(lambda: panel.secure, 20)
        assert panel.wait(lambda: other.linked, 5)
        assert time.monotonic() - start < 20
        assert panel.wait(lambda: (INPUT, bytes(8)) in panel.told, 5)  # how things are, unasked


def test_a_pulse_has_its_width(door: Running, panel: ControlPanel) -> None:
    for ms in (300, 1000, 3000):
        panel.wait(lambda: False, 2.1)  # one each two seconds
        stalled_ms = door.stalled_ms
        (told,) = pulses(door, panel, ms)
        assert ms - 5 <= told <= ms + LATE_MS + door.stalled_ms - stalled_ms
    assert (OUT, True) in panel.answers
    assert panel.wait(lambda: panel.told and panel.told[-1] == (OUTPUT, b"\0"), 3)


def test_on_for_ever_is_refused_and_libosdp_stays(door: Running, panel: ControlPanel) -> None:
    before = len(door.history)
    for code, tenths in ((2, 0), (4, 0), (2, 50), (5, 0), (3, 10), (9, 10)):
        assert panel.out(code, tenths)
        assert panel.wait(lambda: panel.answers, 5)
        assert panel.answers.pop() == (OUT, True)
        assert panel.wait(lambda: panel.told, 5)
        assert panel.told.pop() == (OUTPUT, b"\0")
    assert panel.secure
    assert not any(pins.relay for pins in door.history[before:])


def test_inputs_are_told_unasked_and_each_change_once(door: Running, panel: ControlPanel) -> None:
    for n, bit in enumerate((OPEN, EXIT, FIRE, HELP, TURN, TURN_OUT)):
        panel.told.clear()
        door.levels = bit
        assert panel.wait(lambda: panel.told, 5)
        door.levels = 0
        assert panel.wait(lambda: len(panel.told) > 1, 5)
        panel.wait(lambda: False, 0.3)
        assert panel.told == [(INPUT, bytes(int(m == n) for m in range(8))), (INPUT, bytes(8))]


def test_a_turn_between_two_polls_is_told(door: Running, panel: ControlPanel) -> None:
    """As short as the debouncing lets through: the firmware is not fast on a busy machine."""
    for _ in range(20):
        panel.told.clear()
        door.levels = TURN
        time.sleep(0.04)
        door.levels = 0
        panel.wait(lambda: len(panel.told) > 1, 1)
        if panel.told == [(INPUT, bytes((0, 0, 0, 0, 1, 0, 0, 0))), (INPUT, bytes(8))]:
            return
    pytest.fail(f"only {panel.told}")


def test_tamper_is_told(door: Running, panel: ControlPanel) -> None:
    door.levels = TAMPER
    assert panel.wait(lambda: (LOCAL, b"\1\0") in panel.told, 5)
    assert (INPUT, bytes(7) + b"\1") in panel.told
    door.levels = 0
    assert panel.wait(lambda: (LOCAL, b"\0\0") in panel.told, 5)


def test_lights_and_buzzer(door: Running, panel: ControlPanel) -> None:
    assert panel.led(3, 600, 200, 100)
    assert panel.wait(lambda: door.red and door.green, 5)
    assert panel.wait(lambda: not door.red and not door.green, 5)
    assert panel.buzzer(100, 100, 2)
    before = len(door.history)
    assert panel.wait(lambda: sum(pins.buzzer for pins in door.history[before:]) == 2, 5)
    assert panel.wait(lambda: not door.buzzer, 5)
    assert panel.answers == [(LED, True), (BUZ, True)]


def test_status_queries_and_comset_keep_libosdp_online(door: Running, panel: ControlPanel) -> None:
    for kind, report in ((INPUT, bytes(8)), (OUTPUT, b"\0"), (LOCAL, bytes(2)), (REMOTE, b"\0")):
        assert panel.status(kind)
        assert panel.wait(lambda: panel.answers, 5)
        assert panel.answers.pop() == (STATUS, True)
        assert panel.wait(lambda: panel.told, 5)
        assert panel.told.pop() == (kind, report)
    assert panel.comset(5, 9600)
    assert panel.wait(lambda: (COMSET, True) in panel.answers, 5)
    panel.wait(lambda: False, 0.5)
    assert panel.secure  # at the address and the speed that it had


def test_a_cable_cut_in_mid_pulse(door: Running, panel: ControlPanel) -> None:
    """The relay falls 1.5 s after the last frame, and no new session brings the pulse back."""
    before, stalled_ms = len(door.pulses()), door.stalled_ms
    start = time.monotonic()
    assert panel.pulse(10_000)
    assert panel.wait(lambda: door.relay, 5)
    door.cut()
    cut_ms = (time.monotonic() - start) * 1000
    door.wait(lambda: len(door.pulses()) > before, 10)
    late_ms = LATE_MS + cut_ms + door.stalled_ms - stalled_ms
    assert 1_400 <= door.pulses()[before] <= 1_500 + late_ms
    door.wait(lambda: not door.linked, 5)
    door.wait(lambda: door.red and not door.green, 5)  # the flash of a lost link
    door.restore()
    panel.restart()
    assert panel.wait(lambda: panel.secure, 20)
    panel.wait(lambda: False, 2)
    assert not door.relay
    assert len(door.pulses()) == before + 1


@pytest.mark.parametrize("lost", ["command", "answer"])
def test_what_is_lost_is_said_again_and_nothing_done_twice(
    door: Running, panel: ControlPanel, lost: str
) -> None:
    """libosdp says the same frame again after a second."""
    before = len(door.pulses())
    if lost == "command":
        door.mute(1)
    else:
        door.deaf(1)
    assert panel.pulse(300)
    assert panel.wait(lambda: (OUT, True) in panel.answers, 10)
    assert panel.secure
    panel.wait(lambda: len(door.pulses()) > before, 5)
    panel.wait(lambda: False, 1)
    assert len(door.pulses()) == before + 1


def test_keyset_is_refused(door: Running, panel: ControlPanel) -> None:
    """libosdp goes offline at a NAK, and comes back with the key that always was."""
    assert panel.keyset(bytes(range(16)))
    assert panel.wait(lambda: not panel.secure, 5)
    panel.restart()
    assert panel.wait(lambda: panel.secure, 20)


def test_captured_frames_replayed(door: Running, panel: ControlPanel) -> None:
    """All that opened the door a while ago, into the session, into none, and after a restart."""
    start = len(door.captured)
    assert pulses(door, panel, 500)
    recorded = [data for way, data in door.captured[start:] if way == "in"]
    everything = [data for way, data in door.captured if way == "in"]
    assert any(b"\x17\x68" in data for data in recorded)
    before = len(door.pulses())
    for data in recorded:  # in session; libosdp loses it and is not helped
        door.inject(data)
        time.sleep(0.002)
    for data in everything[-400:]:
        door.inject(data)
        time.sleep(0.001)
    door.restart()
    for data in everything[-400:]:
        door.inject(data)
        time.sleep(0.001)
    panel.restart()
    panel.wait(lambda: panel.secure, 10)
    for data in recorded:  # in the session of a controller that has restarted
        door.inject(data)
        time.sleep(0.002)
    time.sleep(1)
    assert len(door.pulses()) == before
    assert not door.relay
    panel.restart()
    panel.wait(lambda: panel.secure, 70) or pytest.fail("no session after the replays")


@pytest.mark.parametrize(
    "key", [bytes(range(1, 17)), DEFAULT_KEY, None], ids=("wrong", "default", "no")
)
def test_a_panel_with_another_key_gets_nowhere(key: bytes | None) -> None:
    with Running() as door:
        for secure in (True, False) if key else (False,):  # libosdp enforces nothing without a key
            with ControlPanel(door.port, key, secure=secure) as panel:
                panel.wait(lambda panel=panel: panel.secure, 2)
                assert not panel.secure
                panel.pulse(1000)
                panel.out(2, 0)
                panel.wait(lambda: False, 1)
        assert not door.pulses()
        assert not door.relay
        assert not door.linked


@pytest.mark.parametrize("key", [None, DEFAULT_KEY], ids=("no", "default"))
def test_a_controller_without_a_key_of_its_own_serves_nobody(key: bytes | None) -> None:
    with Running(key=key) as door:
        for secure in (True, False):
            with ControlPanel(door.port, key or KEY, secure=secure) as panel:
                panel.wait(lambda panel=panel: panel.secure, 2)
                assert not panel.secure
                panel.pulse(1000)
                panel.wait(lambda: False, 0.5)
        assert not door.pulses()
        assert not door.relay
        assert any(pins.red for pins in door.history)


def test_tamper_latches_and_power_does_not_help() -> None:
    with Running(latch="tamper") as door, ControlPanel(door.port, KEY) as panel:
        assert panel.wait(lambda: panel.secure, 20)
        door.levels = TAMPER
        door.wait(lambda: door.latched, 5)
        door.levels = 0
        door.restart()
        door.wait(lambda: door.latched, 5)
        panel.restart()
        assert panel.wait(lambda: panel.secure, 20)
        panel.pulse(500)
        panel.wait(lambda: False, 2)
        assert not door.pulses() and not door.relay
        assert any(kind == INPUT and report[6] for kind, report in panel.told)
        door.levels = REARM
        door.wait(lambda: not door.latched, 5)
        door.levels = 0
        assert pulses(door, panel, 500)


def test_a_back_off_ends_by_itself() -> None:
    """libosdp asks again each second, and is online as soon as the controller listens."""
    with Running() as other:
        peer = Peer(other)
        for _ in range(3):
            peer.meet()
            peer.hostile()
        other.hang_up()
        with ControlPanel(other.port, KEY) as panel:
            assert panel.wait(lambda: panel.secure, 10)


def test_it_reconnects_again_and_again(door: Running, panel: ControlPanel) -> None:
    """Here as often as libosdp takes a second for each; a thousand times in test_peer.py."""
    for n in range(20):
        panel.restart()
        assert panel.wait(lambda: panel.secure, 20), n
        assert panel.wait(lambda: door.linked, 5), n
    assert pulses(door, panel, 200)
