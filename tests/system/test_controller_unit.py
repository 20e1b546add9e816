"""The whole unit, `menshen-edge run` with pictures as its camera; a controller behind the wall."""

import base64
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.wire import pair_key
from edge.wire.code import Code, Colour, encode
from tests.campus import end, put_frame, symbol
from tests.conftest import CITY, related, write_unit
from tests.controller import KEY, Cable, ControllerProcess
from tests.doors import SAVED_S, until
from tests.firmware.pty.harness import micropython
from tests.runtime import runtime

pytestmark = pytest.mark.system  # real processes

WALL = symbol("HTTPS://EXAMPLE.ORG/NO-DOOR-CODE")
ISSUED_S = 60  # ago: the RTC of these units stands still
OPENS = "green: opens"


class ControllerUnit:
    """A running unit, and what it says."""

    def __init__(self, card: Path, folder: Path) -> None:
        self.frames = card.parent / "frames"
        self.said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", str(card), "--show"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"RUNTIME_DIRECTORY": str(folder)},
        )
        self._number = len(list(self.frames.iterdir()))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def show(self, colour: Colour = Colour.GREEN) -> str:
        """Hold up somebody's code until something is said of it; what was said."""
        now_s = int(time.time()) - ISSUED_S
        sub = base64.urlsafe_b64encode(os.urandom(8)).decode().rstrip("=")
        code = Code(colour=colour, sub=sub, iat_s=now_s, exp_s=now_s + 600)
        picture, before = symbol(encode(code, CITY)), len(self.said)
        self._hold(picture, lambda: self.decided(before), 20)
        return self.decided(before)

    def decided(self, before: int = 0) -> str:
        """The first decision after so many lines; empty: none."""
        lines = [line for line in self.said[before:] if re.search(": (opens|stays shut), ", line)]
        return lines[0] if lines else ""

    def ignores(self, seconds: float) -> None:
        """Nothing is said of a green code that is held up for so long."""
        before = len(self.said)
        now_s = int(time.time()) - ISSUED_S
        code = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=now_s, exp_s=now_s + 600)
        until_s = time.monotonic() + seconds
        self._hold(symbol(encode(code, CITY)), lambda: time.monotonic() > until_s, seconds + 20)
        assert not self.decided(before)

    def hears(self, word: str) -> None:
        until(lambda: any(word in line for line in self.said), 75)

    def _hold(self, picture: Any, enough: Any, most_s: float) -> None:
        end_s = time.monotonic() + most_s
        while not enough():
            assert time.monotonic() < end_s, f"it said {self.said}"
            self._number += 1
            put_frame(self.frames, self._number, picture)
            time.sleep(0.1)
        self._number += 1
        put_frame(self.frames, self._number, WALL)

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())


class Wall:
    """What is behind the wall and in front of it."""

    def __init__(self, folder: Path, interpreter: tuple[str, ...], unlock_ms: int = 400) -> None:
        self.cable = Cable(folder / "port")
        self.controller = ControllerProcess(self.cable, interpreter=interpreter)
        self.card = made_card(folder / "card", self.cable.path, unlock_ms)
        assert not self.controller.pins.relay

    @contextmanager
    def unit(self) -> Iterator[ControllerUnit]:
        with runtime() as folder:
            made = ControllerUnit(self.card, folder)
            try:
                yield made
            finally:
                made.process.kill()
                made.process.wait(10)

    def opens(self, unit: ControllerUnit) -> None:
        """A green code opens, and the relay's pulse ends."""
        before = len(self.controller.pulses_ms())
        assert OPENS in unit.show()
        until(lambda: len(self.controller.pulses_ms()) > before)


def made_card(card: Path, port: Path, unlock_ms: int = 400, **more: object) -> Path:
    now_s = int(time.time())
    said = {"kind": "osdp", "port": str(port), "unlock_ms": unlock_ms, **more}
    path = related(write_unit(card, now_s, door=said), now_s)
    put_frame(card / "frames", 1, WALL)
    (card / "controller.key").write_text(pair_key.to_text(KEY))
    (card / "controller.key").chmod(0o600)
    return path


@pytest.fixture
def interpreter() -> tuple[str, ...]:
    try:
        return tuple(micropython())
    except RuntimeError as error:
        pytest.fail(str(error))


@pytest.fixture
def wall(tmp_path: Path, interpreter: tuple[str, ...]) -> Iterator[Wall]:
    made = Wall(tmp_path, interpreter)
    yield made
    made.controller.close()


@pytest.fixture
def slow(tmp_path: Path, interpreter: tuple[str, ...]) -> Iterator[Wall]:
    """Its pulses are eight seconds long."""
    made = Wall(tmp_path, interpreter, 8000)
    yield made
    made.controller.close()


@pytest.mark.hardware
def test_green_opens_red_does_not_and_the_end_is_at_rest(wall: Wall) -> None:
    with wall.unit() as unit:
        wall.opens(unit)
        assert 398 <= wall.controller.pulses_ms()[0] < 800
        assert any(pins.green and pins.relay for pins in wall.controller.history)
        assert "stays shut" in unit.show(Colour.RED)
        until(lambda: wall.controller.pins.red)
        assert len(wall.controller.pulses_ms()) == 1
        assert end(unit.process) == 0
        until(lambda: not any(wall.controller.pins[2:4]))


@pytest.mark.hardware
def test_the_cable_is_cut_in_mid_pulse_and_put_back(slow: Wall) -> None:
    with slow.unit() as unit:
        assert OPENS in unit.show()
        until(lambda: slow.controller.pins.relay)
        slow.cable.cut = True
        until(slow.controller.pulses_ms)
        assert slow.controller.pulses_ms()[0] < 6000
        until(lambda: slow.controller.pins.red)  # it says by itself that this door is not ready
        unit.ignores(2)
        slow.cable.cut = False
        back_s = time.monotonic()
        assert OPENS in unit.show(), "nothing that is not counted opens, and all that is, does"
        until(lambda: slow.controller.pins.relay)
        assert time.monotonic() - back_s < 15
        assert unit.process.poll() is None


@pytest.mark.hardware
def test_a_unit_is_killed_in_mid_pulse(slow: Wall) -> None:
    with slow.unit() as unit:
        assert OPENS in unit.show()
        until(lambda: slow.controller.pins.relay)
        unit.process.kill()
        killed_s = time.monotonic()
        until(lambda: not slow.controller.pins.relay)
        assert 1.0 < slow.controller.pins.at_s - killed_s < 4.0  # 1.5 s after its last frame
        time.sleep(1)
    with slow.unit() as unit:
        time.sleep(SAVED_S)
        assert len(slow.controller.pulses_ms()) == 1, "a start opens nothing"
        assert OPENS in unit.show()
        until(lambda: slow.controller.pins.relay)


@pytest.mark.hardware
def test_with_another_key_it_runs_says_so_and_opens_nothing(wall: Wall) -> None:
    (wall.card.parent / "controller.key").write_text(pair_key.to_text(bytes(range(16))))
    with wall.unit() as unit:
        unit.hears("has another key than this unit")
        unit.ignores(3)
        assert not any(pins.relay for pins in wall.controller.history)
        assert end(unit.process) == 0
        said = "\n".join(unit.said)
        assert said.count("has another key") == 1
        assert KEY.hex() not in said


@pytest.mark.hardware
def test_a_controller_that_comes_later(wall: Wall) -> None:
    wall.controller.power(False)
    with wall.unit() as unit:
        unit.hears("does not answer; check its supply")
        unit.ignores(1)
        wall.controller.power(True)
        wall.opens(unit)


@pytest.mark.hardware
def test_an_installer_tries_it(wall: Wall) -> None:
    """`menshen-edge try`: an input that moves, the lights, one pulse."""
    card = made_card(wall.card.parent.parent / "tried", wall.cable.path, 400, inputs=["contact"])
    command = [sys.executable, "-m", "edge", "try", str(card), "--relay", "--seconds", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith("  door contact"):
                wall.controller.tap("contact", 0.3)
                break
        said = process.stdout.read()
    assert process.returncode == 0, said
    assert "Relay: off." in said
    assert len(wall.controller.pulses_ms()) == 1


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("rm controller.key", "cannot be read (No such file or directory)"),
        ("echo 0102 > controller.key", "has not the 32 hexadecimal digits"),
        (f"echo {pair_key.DEFAULT.hex()} > controller.key", "default key, which everybody knows"),
        ("chmod 644 controller.key", "can be read by others than its owner; chmod 600"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_sentence(tmp_path: Path, spoil: str, told: str) -> None:
    cable = Cable(tmp_path / "port")
    card = made_card(tmp_path / "card", cable.path)
    subprocess.run(["sh", "-c", spoil], cwd=card.parent, check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "edge", "run", str(card)], capture_output=True, text=True, timeout=60
    )
    cable.unplug()
    assert ran.returncode == 2, ran.stderr
    said = [line for line in ran.stderr.splitlines() if "this card belongs" not in line]
    assert len(said) == 1, ran.stderr
    assert told in said[0]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        ("rm ../port", "there is no serial port"),
        ("rm ../port; touch ../port", "cannot be used as a serial port"),
    ],
)
def test_a_port_that_is_missing_at_the_start_is_tried_again(
    tmp_path: Path, spoil: str, told: str
) -> None:
    """The unit starts all the same, and its log has the reason."""
    cable = Cable(tmp_path / "port")
    card = made_card(tmp_path / "card", cable.path)
    subprocess.run(["sh", "-c", spoil], cwd=card.parent, check=True)
    command = [sys.executable, "-m", "edge", "run", str(card), "--seconds", "3"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    cable.unplug()
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count(told) == 1, ran.stderr


def test_without_libosdp_it_says_what_to_install(tmp_path: Path) -> None:
    cable = Cable(tmp_path / "port")
    card = made_card(tmp_path / "card", cable.path)
    program = (
        "import sys; sys.modules['osdp'] = None\n"
        f"sys.argv = ['menshen-edge', 'run', {str(card)!r}]\n"
        "from edge.__main__ import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    cable.unplug()
    assert ran.returncode == 2
    assert 'osdp is not installed; install it with: pip install "menshen[osdp]"' in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_direct_door_needs_no_libosdp() -> None:
    program = (
        "import sys; sys.modules['osdp'] = None; import edge.adapters.door.gpio_door, edge.__main__"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
