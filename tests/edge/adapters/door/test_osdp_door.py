"""A door behind a controller that runs the real firmware: the link, the key, what is refused."""

import binascii
import contextlib
import ctypes
import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from edge.adapters.door import osdp_door, osdp_panel
from edge.adapters.door.osdp_door import LATCHED, REFUSED, OsdpDoor, score
from edge.doorway import door_signals
from edge.doorway.door_signals import Signal
from edge.parts import DoorLost
from edge.wire import pair_key
from edge.wire.door_inputs import INPUTS, REPORT_LEN
from edge.wire.unit import ConfigError, ControllerDoor
from tests.controller import KEY, REARM, Cable, ControllerProcess
from tests.doors import SAVED_S, lost, rests, until
from tests.levels import QUIET, but

pytestmark = pytest.mark.system  # real processes

OPEN = door_signals.action(Signal.OPEN, 400)
RECONNECTS = 300
GUARD_S = 1.5  # the relay falls so long after the last frame (firmware/guard.py)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    cable = Cable(tmp_path / "port")
    yield cable
    cable.unplug()


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here waits three seconds for a controller that is not there."""
    monkeypatch.setattr(osdp_door, "START_S", 0.5)


@contextlib.contextmanager
def opened(cable: Cable, key: bytes = KEY, **said: object) -> Iterator[OsdpDoor]:
    made = OsdpDoor(
        msgspec.convert({"kind": "osdp", "port": str(cable.path), **said}, ControllerDoor), key
    )
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def controlled(cable: Cable, **made: object) -> Iterator[ControllerProcess]:
    controller = ControllerProcess(cable, **made)  # type: ignore[arg-type]
    try:
        assert not controller.pins.relay
        yield controller
    finally:
        controller.close()


def wait_s(condition: object, most_s: float = 30) -> float:
    """For how long it was waited."""
    start_s = time.monotonic()
    until(condition, most_s)  # type: ignore[arg-type]
    return time.monotonic() - start_s


def held() -> tuple[int, int]:
    """Threads and descriptors of this process. What tests before this one left may still go."""
    gc.collect()
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


# The port and the start.


def test_no_port_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DoorLost, match=r"there is no serial port .*/none for the controller"):
        OsdpDoor(ControllerDoor(port=str(tmp_path / "none")), KEY)


def test_a_file_is_no_port(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("")
    with pytest.raises(DoorLost, match="cannot be used as a serial port"):
        OsdpDoor(ControllerDoor(port=str(tmp_path / "port")), KEY)


def test_a_port_that_another_program_has(cable: Cable) -> None:
    with (
        opened(cable),
        pytest.raises(DoorLost, match="in use by another program"),
    ):
        OsdpDoor(ControllerDoor(port=str(cable.path)), KEY)


def test_a_silent_controller_is_no_reason_not_to_start(cable: Cable) -> None:
    start_s = time.monotonic()
    with opened(cable) as silent:
        assert time.monotonic() - start_s < osdp_door.START_S + 5
        assert "does not answer; check its supply" in lost(silent)
        for call in (lambda: silent.apply(OPEN), silent.read_inputs, silent.settle):
            with pytest.raises(DoorLost, match="does not answer"):
                call()
        assert silent.take_turns() == (0, 0)
        silent.illuminate(True)
        with controlled(cable) as controller:
            until(lambda: rests(silent))
            silent.apply(OPEN)
            until(controller.pulses_ms)


def test_what_is_no_controller_is_not_taken_for_one(cable: Cable) -> None:
    """Something else talks on the line: rubbish, and what looks like the start of a frame."""

    def told() -> bool:  # as long as it talks: what was heard before the last try is forgotten
        cable.write(b"\x53\x80\x08\x00\x04" + os.urandom(20))
        time.sleep(0.05)
        return "no controller with address 0 at 115200 baud" in lost(other)

    with opened(cable) as other:
        until(told)


def test_another_address_does_not_answer(cable: Cable) -> None:
    with controlled(cable, address=5), opened(cable) as other:
        until(lambda: "does not answer" in lost(other))
    cable.plug()
    with controlled(cable, address=5), opened(cable, address=5) as right:
        until(lambda: rests(right))


# The key.


@pytest.mark.parametrize("theirs", [bytes(range(16)), pair_key.DEFAULT, None])
def test_with_another_key_nothing_opens(cable: Cable, theirs: bytes | None) -> None:
    with controlled(cable, key=theirs) as controller, opened(cable) as wrong:
        until(lambda: "has another key than this unit" in lost(wrong))
        for _ in range(20):
            with pytest.raises(DoorLost):
                wrong.apply(OPEN)
            time.sleep(0.05)
        assert not any(pins.relay for pins in controller.history)


def test_the_right_key_is_found_after_the_wrong_one(cable: Cable) -> None:
    """The controller was paired anew; a few tries make it deaf for some seconds."""
    with controlled(cable, key=bytes(range(16))) as controller, opened(cable) as unit:
        until(lambda: "another key" in lost(unit))
        controller.key = KEY
        controller.power(False)
        controller.power(True)
        until(lambda: rests(unit))


def test_a_key_file(tmp_path: Path) -> None:
    file = tmp_path / "controller.key"
    file.write_text(pair_key.to_text(KEY) + "\n")
    file.chmod(0o600)
    assert pair_key.read(file) == KEY


@pytest.mark.parametrize(
    ("text", "mode", "told"),
    [
        (None, 0o600, "cannot be read (No such file"),
        ("", 0o600, "has not the 32 hexadecimal digits"),
        ("0102030405060708", 0o600, "has not the 32 hexadecimal digits"),
        (KEY.hex() + "00", 0o600, "has not the 32 hexadecimal digits"),
        ("zz" * 16, 0o600, "has not the 32 hexadecimal digits"),
        ("\xff\xfe" * 40, 0o600, "has not the 32 hexadecimal digits"),
        (pair_key.DEFAULT.hex(), 0o600, "default key, which everybody knows"),
        ("7e" * 16, 0o600, "all its bytes are alike"),
        (KEY.hex(), 0o640, "can be read by others"),
        (KEY.hex(), 0o604, "can be read by others"),
    ],
)
def test_what_is_no_key_file(tmp_path: Path, text: str | None, mode: int, told: str) -> None:
    file = tmp_path / "controller.key"
    if text is not None:
        file.write_text(text, "latin-1")
        file.chmod(mode)
    with pytest.raises(ConfigError) as said:
        pair_key.read(file)
    assert told in str(said.value)
    assert KEY.hex() not in str(said.value), "a log is no place for a key"


def test_each_start_challenges_with_other_numbers(cable: Cable) -> None:
    """libosdp takes them from C's rand(), which begins alike in every process."""
    said = []
    with controlled(cable) as controller:
        for _ in range(2):
            ctypes.CDLL(None).srand(1)  # as a process starts
            controller.frames.clear()
            with opened(cable) as unit:
                until(lambda: rests(unit))
            frames = b"".join(data for _, data in controller.frames)
            challenge = frames.index(b"\x03\x11\x01\x76") + 4
            said.append(frames[challenge : challenge + 8])
    assert len(said[0]) == 8
    assert said[0] != said[1]


def test_a_new_key_is_random_and_none_that_is_known() -> None:
    made = {pair_key.new_key() for _ in range(1000)}
    assert len(made) == 1000
    assert all(pair_key.from_text(pair_key.to_text(key)) == key for key in made)


# The link.


def test_a_cut_cable_ends_the_pulse_and_brings_none_back(cable: Cable) -> None:
    with controlled(cable) as controller, opened(cable) as unit:
        until(lambda: rests(unit))
        unit.apply(door_signals.action(Signal.OPEN, 8000))
        until(lambda: controller.pins.relay)
        cable.cut = True
        until(controller.pulses_ms)
        assert controller.pulses_ms()[0] <= 8000
        assert 1000 * GUARD_S - 400 <= controller.pulses_ms()[0] < 1000 * (GUARD_S + 2)
        assert "does not answer" in lost(unit)
        cable.cut = False
        back_s = wait_s(lambda: rests(unit))
        assert back_s < 8, "libosdp alone would have waited for minutes"
        time.sleep(1)
        assert len(controller.pulses_ms()) == 1, "the pulse came back with the link"
        unit.apply(OPEN)
        until(lambda: len(controller.pulses_ms()) == 2)


@pytest.mark.parametrize("back_s", [0.3, 1.3, 4.0])
def test_a_pulse_that_was_lost_on_its_way_does_not_come_late(cable: Cable, back_s: float) -> None:
    """libosdp alone sends it again for nine seconds: to whom would it open then?"""
    with controlled(cable) as controller, opened(cable) as unit:
        until(lambda: rests(unit))
        cable.cut = True
        asked_s = time.monotonic()
        unit.apply(OPEN)
        time.sleep(back_s)
        cable.cut = False
        until(lambda: rests(unit))
        time.sleep(0.5)
        late = [p.at_s - asked_s for p in controller.history if p.relay]
        assert all(at_s < osdp_panel.LINK_S + 1 for at_s in late), late
        if back_s >= 1.3:
            assert not late


def test_a_port_that_is_pulled_out_and_put_back(cable: Cable) -> None:
    with controlled(cable), opened(cable) as unit:
        cable.unplug()
        assert wait_s(lambda: lost(unit)) < 2
        until(lambda: "there is no serial port" in lost(unit))
        time.sleep(3)
        cable.plug()
        assert wait_s(lambda: rests(unit)) < 8


def test_a_controller_without_power(cable: Cable) -> None:
    with controlled(cable) as controller, opened(cable) as unit:
        controller.power(False)
        until(lambda: "does not answer" in lost(unit))
        time.sleep(10)  # libosdp has given up by now
        controller.power(True)
        assert wait_s(lambda: rests(unit)) < 8
        unit.apply(OPEN)
        until(controller.pulses_ms)


def test_hundreds_of_reconnects_leave_nothing_behind(
    cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a port that comes and goes, which is quick; each is a handshake and a session."""
    monkeypatch.setattr(osdp_panel, "REOPEN_S", 0.01)
    monkeypatch.setattr(osdp_panel, "GIVEN_UP_S", 0.05)
    with controlled(cable) as controller, opened(cable) as unit:
        before = held()
        for number in range(RECONNECTS):
            cable.unplug()
            until(lambda: lost(unit))
            cable.plug()
            until(lambda: not lost(unit))
            if number == 20:
                before = held()
        assert all(after <= held_before for after, held_before in zip(held(), before, strict=True))
        assert unit._panel.sessions >= RECONNECTS
        until(lambda: rests(unit))
        unit.apply(OPEN)
        until(controller.pulses_ms)


def test_a_closed_door_leaves_neither_thread_nor_descriptor(cable: Cable) -> None:
    with controlled(cable):
        for _ in range(3):
            with opened(cable):
                pass
        before = held()
        for _ in range(3):
            with opened(cable) as unit:
                until(lambda: rests(unit))
            with pytest.raises(DoorLost, match="this door is closed"):
                unit.apply(OPEN)
        assert all(after <= held_before for after, held_before in zip(held(), before, strict=True))


def test_an_edge_while_the_link_is_down_is_no_lost_turn(cable: Cable) -> None:
    with controlled(cable) as controller, opened(cable, inputs=["turn"]) as unit:
        until(lambda: rests(unit))
        controller.tap("turn")
        cable.cut = True
        until(lambda: lost(unit))
        controller.tap("turn")
        controller.tap("turn")
        cable.cut = False
        until(lambda: rests(unit))
        counted = 0

        def all_counted() -> bool:
            nonlocal counted
            counted += unit.take_turns()[0]
            return counted == 3

        until(all_counted)


def test_a_turnstile_that_stands_between_its_arms_at_the_start_is_no_turn(cable: Cable) -> None:
    with controlled(cable) as controller:
        controller.level("turn", True)
        time.sleep(0.2)
        with opened(cable, inputs=["turn"]) as unit:
            until(lambda: rests(unit))
            time.sleep(0.3)
            assert unit.take_turns() == (0, 0)


def test_a_turn_is_one_whatever_else_moves_meanwhile(cable: Cable) -> None:
    wired = ["turn", "contact"]
    with controlled(cable) as controller, opened(cable, inputs=wired) as unit:
        until(lambda: rests(unit))
        controller.level("turn", True)
        for _ in range(3):
            controller.tap("contact")
        until(lambda: unit.read_inputs().level("contact"))
        time.sleep(0.3)
        assert unit.take_turns() == (1, 0)


# Somebody on the cable.


def forged(answer: bytes, block: bytes, code: int, data: bytes) -> bytes:
    """In the place of `answer`: right address, sequence and check sum, and no MAC."""
    control = answer[4] & 0x07 | (8 if block else 0)
    length = 5 + len(block) + 1 + len(data) + 2
    frame = bytes((0x53, answer[1], length, 0, control)) + block + bytes((code,)) + data
    return frame + binascii.crc_hqx(frame, 0x1D0F).to_bytes(2, "little")


class Tapped(Cable):
    """Somebody in the middle, who exchanges every other answer of a session."""

    lie: tuple[bytes, int, bytes] | None = None
    told = 0

    def write(self, data: bytes) -> None:
        answer = data[1:] if data[:1] == b"\xff" else data
        in_session = len(answer) > 6 and answer[4] & 8 and answer[6] in (0x16, 0x18)
        if self.lie is not None and in_session and self.told % 2 == 0:
            data = forged(answer, *self.lie)
        self.told += bool(in_session)
        super().write(data)


EVERYTHING = bytes([1] * REPORT_LEN)


@pytest.mark.parametrize(
    ("block", "code", "data"),
    [(bytes((3, kind, 1)), 0x49, EVERYTHING) for kind in (0x11, 0x12, 0x14, 0x17)]
    + [(b"", 0x49, EVERYTHING), (bytes((3, 0x12, 1)), 0x4A, b"\x01")],
)
def test_what_somebody_on_the_cable_says_is_not_believed(
    tmp_path: Path, block: bytes, code: int, data: bytes
) -> None:
    cable = Tapped(tmp_path / "port")
    with controlled(cable), opened(cable, inputs=list(INPUTS)) as unit:
        until(lambda: rests(unit))
        unit.read_inputs()
        cable.lie = block, code, data
        for _ in range(20):
            with contextlib.suppress(DoorLost):
                assert unit.read_inputs() == but(QUIET, latched=False)
            with contextlib.suppress(DoorLost):
                assert unit.settle()
            assert unit.take_turns() == (0, 0)
            time.sleep(0.05)
        assert cable.told, "nobody lied"
        cable.lie = None
        until(lambda: rests(unit))


# What the controller refuses.


def test_a_latched_controller_is_a_fault_until_it_is_rearmed(cable: Cable) -> None:
    with controlled(cable, latch="tamper") as controller, opened(cable, inputs=["tamper"]) as unit:
        until(lambda: rests(unit))
        controller.level("tamper", True)
        until(lambda: lost(unit) == LATCHED)
        assert unit.read_inputs().latched
        assert unit.read_inputs().level("tamper")
        with pytest.raises(DoorLost, match="re-arm"):
            unit.apply(OPEN)
        unit.apply(door_signals.action(Signal.NOT_READY))  # the door shows it all the same
        until(lambda: any(pins.red for pins in controller.history))
        controller.level("tamper", False)
        time.sleep(0.5)
        assert lost(unit) == LATCHED
        controller.level(REARM, True)
        until(lambda: rests(unit))
        controller.level(REARM, False)
        assert not any(pins.relay for pins in controller.history)
        unit.apply(OPEN)
        until(controller.pulses_ms)


def test_a_refused_pulse_is_a_fault_for_a_while(cable: Cable) -> None:
    """The controller has one pulse to give after its start, and the next two seconds later."""
    with controlled(cable) as controller, opened(cable) as unit:
        until(lambda: rests(unit))
        unit.apply(door_signals.action(Signal.OPEN, 100))
        until(lambda: rests(unit))
        unit.apply(door_signals.action(Signal.OPEN, 100))
        until(lambda: lost(unit) == REFUSED)
        with pytest.raises(DoorLost, match="refused a pulse"):
            unit.apply(OPEN)
        until(lambda: rests(unit))
        assert len(controller.pulses_ms()) == 1
        time.sleep(SAVED_S)
        unit.apply(OPEN)
        until(lambda: len(controller.pulses_ms()) == 2)


# What is sent.


@pytest.mark.parametrize("signal", Signal)
def test_each_command_ends_by_itself(signal: Signal) -> None:
    """A unit that dies in the middle leaves no light and no sound."""
    action = door_signals.action(signal)
    for at_ms, command in score(action):
        lasts_ms = 100 * (
            command["on_count"] if osdp_panel.sounds(command) else command["timer_count"]
        )
        assert at_ms + lasts_ms <= action.lasts_ms + 400


def test_hours_of_standing_there_cost_little(cable: Cable) -> None:
    with controlled(cable) as controller, opened(cable) as unit:
        until(lambda: rests(unit))
        time.sleep(1)
        frames, used_s = len(controller.frames), time.process_time()
        time.sleep(3)
        assert time.process_time() - used_s < 0.25 * 3, "the test's own threads included"
        assert 3 * 5 < len(controller.frames) - frames < 3 * 40
        assert rests(unit)
