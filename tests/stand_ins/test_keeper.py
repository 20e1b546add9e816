"""The pins outlive the program that drove them, and the relay behind its one-shot does not."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.keeper import RELAY_PIN, KeeperLost, Link, keeper, ledger

pytestmark = pytest.mark.system  # real processes

ONE_SHOT_MS = 400

PROGRAM = """
import sys
import gpiozero
from tests.keeper.pins import KeptFactory
gpiozero.Device.pin_factory = KeptFactory(sys.argv[1])
print("made", flush=True)
sys.stdin.readline()
relay = gpiozero.DigitalOutputDevice({pin}, initial_value=False)
print("low", flush=True)
if sys.argv[2] == "open":
    relay.on()
    print("high", flush=True)
    sys.stdin.readline()
"""


def program(path: Path, what: str) -> subprocess.Popen[str]:
    """A process that makes the pins, waits for a line, drives the relay low, and perhaps high."""
    command = [sys.executable, "-c", PROGRAM.format(pin=RELAY_PIN), str(path), what]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def opened(path: Path, count: int) -> None:
    """Wait until the ledger tells of `count` openings of the relay's contact."""
    until = time.monotonic() + 10
    while sum(line.relay == "opened" for line in ledger(path)) < count:
        assert time.monotonic() < until, "the one-shot never ended"
        time.sleep(0.01)


def test_a_killed_program_leaves_its_pin_high_and_the_relay_opens_by_itself(tmp_path: Path) -> None:
    with keeper(tmp_path / "pins", tmp_path / "ledger", one_shot_ms=ONE_SHOT_MS) as link:
        killed = program(tmp_path / "pins", "open")
        assert said(killed) == "made"
        assert link.state().levels == {}
        go(killed)
        assert (said(killed), said(killed)) == ("low", "high")
        killed.send_signal(signal.SIGKILL)
        killed.wait(10)

        opened(tmp_path / "ledger", 1)
        state = link.state()
        assert state.levels[RELAY_PIN]  # as Raspberry Pi OS leaves it
        assert not state.relay_closed
        assert state.closings == 1

        again = program(tmp_path / "pins", "rest")
        assert said(again) == "made"
        assert link.state().levels[RELAY_PIN]  # a new program changes nothing until it sets the pin
        go(again)
        assert said(again) == "low"
        assert again.wait(10) == 0
        assert not link.state().levels[RELAY_PIN]

    closed, open_again = ledger(tmp_path / "ledger")
    assert (closed.relay, open_again.relay, open_again.why) == ("closed", "opened", "one-shot")
    assert open_again.for_ms == pytest.approx(ONE_SHOT_MS)


def test_a_program_that_ends_lets_go_of_its_pins_and_the_relay_opens(tmp_path: Path) -> None:
    with keeper(tmp_path / "pins", tmp_path / "ledger") as link:
        ending = program(tmp_path / "pins", "open")
        go(ending)
        assert (said(ending), said(ending), said(ending)) == ("made", "low", "high")
        assert link.state().relay_closed
        go(ending)
        assert ending.wait(10) == 0
        assert link.state() == ({RELAY_PIN: False}, False, 1)
    assert [line.why for line in ledger(tmp_path / "ledger")] == ["pin high", "pin freed"]


def test_a_pulse_that_ends_in_time_closes_the_relay_just_as_long(tmp_path: Path) -> None:
    with keeper(tmp_path / "pins", tmp_path / "ledger") as link:
        for _ in range(2):
            link.drive(RELAY_PIN, True)
            link.drive(RELAY_PIN, True)  # no rising edge
            assert link.state().relay_closed
            link.drive(RELAY_PIN, False)
            assert not link.state().relay_closed
        link.drive(RELAY_PIN, True)
        link.free(RELAY_PIN)
        assert link.state().closings == 3
    lines = ledger(tmp_path / "ledger")
    assert [line.relay for line in lines] == ["closed", "opened"] * 3
    assert [line.why for line in lines[1::2]] == ["pin low", "pin low", "pin freed"]
    assert all(
        b.for_ms == pytest.approx(b.at_ms - a.at_ms, abs=0.01)
        for a, b in zip(lines[::2], lines[1::2], strict=True)
    )


def test_a_pin_left_high_closes_the_relay_no_second_time(tmp_path: Path) -> None:
    with keeper(tmp_path / "pins", tmp_path / "ledger", one_shot_ms=30) as link:
        link.drive(RELAY_PIN, True)
        opened(tmp_path / "ledger", 1)
        link.drive(RELAY_PIN, True)
        assert (link.state().relay_closed, link.state().closings) == (False, 1)
        link.drive(RELAY_PIN, False)
        link.drive(RELAY_PIN, True)
        assert (link.state().relay_closed, link.state().closings) == (True, 2)


def test_another_pin_moves_no_relay_and_nonsense_ends_its_own_connection_alone(
    tmp_path: Path,
) -> None:
    with keeper(tmp_path / "pins", tmp_path / "ledger") as link:
        link.drive(22, True)
        for line in (b"set 17 2\n", b"set 99 1\n", b"open\n", b"\xff\n", b"x" * 200):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(str(tmp_path / "pins"))
                stranger.sendall(line)
                assert stranger.recv(1) == b""
        state = link.state()
        assert (state.levels, state.relay_closed, state.closings) == ({22: True}, False, 0)
    assert ledger(tmp_path / "ledger") == []


def test_a_program_is_told_when_the_keeper_is_gone(tmp_path: Path) -> None:
    with keeper(tmp_path / "pins", tmp_path / "ledger") as link:
        other = Link(tmp_path / "pins")
        assert link.state().closings == 0
    with pytest.raises(KeeperLost):
        other.drive(RELAY_PIN, True)
    with pytest.raises(KeeperLost):
        Link(tmp_path / "nobody", wait_s=0)


def test_the_products_own_command_runs_on_kept_pins(tmp_path: Path) -> None:
    """Bad input passes through it as it came; with pins but no way to start it says how."""
    with keeper(tmp_path / "pins", tmp_path / "ledger"):
        door = [sys.executable, "-m", "tests.keeper.door", str(tmp_path / "pins")]
        ran = subprocess.run(
            [*door, "--", "run", str(tmp_path / "unit.toml")], capture_output=True, text=True
        )
        assert ran.returncode == 2
        assert ran.stderr.startswith("menshen-edge: ")
        assert subprocess.run([*door, "run"], capture_output=True).returncode == 1
