"""`menshen-edge try` as an installer runs it at a door, and its trial on gpiozero's mock pins."""

import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory

from edge import BUILT_S, commissioning
from edge.adapters.door.gpio_door import GpioDoor
from edge.commissioning import Trial
from edge.doorway.door_signals import DoorAction
from edge.doorway.input_levels import InputLevels
from edge.wire.door_inputs import INPUTS
from edge.wire.unit import DoorPins
from hardware import pins
from tests.conftest import write_unit
from tests.edge.look.test_command import one_sentence, systemctl
from tests.keeper import keeper, ledger

OUTPUTS = {"green": 22, "red": 27, "buzzer": 12, "relay": 17, "illuminator": 13}
WIRED = OUTPUTS | {name: pins.read().pins[name].bcm for name in INPUTS}
LOOPS = {name for name, row in INPUTS.items() if row.rests_closed}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commissioning, "SHOW_S", 0.3)


@pytest.fixture
def factory() -> Iterator[Any]:
    factory = MockFactory(revision="a02082")
    for name in LOOPS:  # every loop closed at rest is closed
        pin = factory.pin(WIRED[name])
        pin._set_pull = lambda value, pin=pin: setattr(pin, "_pull", value)
        pin._state = False
    yield factory
    factory.reset()


def hand(factory: Any, *names: str) -> Any:
    """A hand that moves one input after the other, as somebody watches; it never has enough."""
    moves = [
        move
        for name in names
        for pin in [factory.pin(WIRED[name])]
        for move in (
            (pin.drive_high, pin.drive_low) if name in LOOPS else (pin.drive_low, pin.drive_high)
        )
    ]

    def enough() -> bool:
        if moves:
            moves.pop(0)()
        return False

    return enough


def tried(factory: Any, *moved: str) -> tuple[Trial, list[str]]:
    lines: list[str] = []
    door = GpioDoor(DoorPins(**WIRED), factory)
    it = Trial(door, frozenset(INPUTS), lines.append)
    it.watch_inputs(3 if len(moved) == len(INPUTS) else 1.5, hand(factory, *moved))
    door.close()
    return it, lines


def test_every_input_is_shown_live_in_plain_words(factory: Any) -> None:
    it, lines = tried(factory, *INPUTS)
    assert lines[:8] == [
        "Inputs:",
        "  door contact: shut (open the door and shut it)",
        "  exit button: not pressed (press it)",
        "  fire contact: at rest (have the fire panel open its loop)",
        "  help button: not pressed (press it)",
        "  lid switch: lid shut (open the lid and shut it)",
        "  turn sensor, in: still (walk in)",
        "  turn sensor, out: still (walk out)",
    ]
    moved = lines[8:]
    assert moved.index("  door contact: open") < moved.index("  door contact: shut")
    for said in (
        "  turn sensor, in: turned",
        "  turn sensor, out: turned",
        "  exit button: pressed",
        "  fire contact: ALARM",
        "  help button: pressed",
        "  lid switch: lid open",
    ):
        assert moved.count(said) == 1
    assert it.unmoved == []


def test_what_nobody_moved_is_named(factory: Any) -> None:
    it, lines = tried(factory, "contact", "turn", "help_button")
    assert it.unmoved == ["exit button", "fire contact", "lid switch", "turn sensor, out"]
    assert not [line for line in lines if "exit button: pressed" in line]


def test_each_output_is_shown_by_itself_and_the_relay_rests(factory: Any, quick: None) -> None:
    door = GpioDoor(DoorPins(**WIRED), factory)
    it = Trial(door, frozenset(), [].append)
    it.try_outputs(illuminator=True)
    when: dict[str, list[float]] = {}
    for name, number in OUTPUTS.items():
        pin = factory.pin(number)
        when[name] = [state.state for state in pin.states]
    assert when == {name: [False] if name == "relay" else [False, True, False] for name in OUTPUTS}
    it.pulse_relay(200)
    assert [state.state for state in factory.pin(17).states] == [False, True, False]
    door.close()


class Latched:
    """A controller that holds itself shut and says so."""

    def read_inputs(self) -> InputLevels:
        return InputLevels(latched=True)

    def take_turns(self) -> tuple[int, int]:
        return 0, 0

    def settle(self) -> bool:
        return True

    def apply(self, action: DoorAction) -> None:
        """It refuses."""


def test_a_latched_controller_is_told_and_an_input_it_does_not_tell_too() -> None:
    lines: list[str] = []
    it = Trial(Latched(), frozenset({"contact"}), lines.append)  # type: ignore[arg-type]
    it.watch_inputs(0, lambda: True)
    it.pulse_relay(100)
    assert "  door contact: not reported (open the door and shut it)" in lines
    assert "The controller is latched and will not pulse; re-arm it from inside." in lines
    assert it.unmoved == ["door contact"]


def card(folder: Path, **inputs: int) -> Path:
    door = {"kind": "direct", "unlock_ms": 300, "pins": {**OUTPUTS, **inputs}}
    return write_unit(folder / "card", BUILT_S + 10**6, door=door)


def command(*arguments: object, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", "try", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"PATH": path or os.environ["PATH"], "GPIOZERO_PIN_FACTORY": "mock"},
    )


@pytest.mark.system
def test_at_a_terminal_it_asks_before_the_lock_is_released(tmp_path: Path) -> None:
    """On pins that outlive it, with the relay behind them: one pulse after a yes, none before."""
    unit = card(tmp_path, help_button=6)
    before = sorted(path.name for path in unit.parent.iterdir())
    with keeper(tmp_path / "pins", tmp_path / "ledger") as link:
        terminal, inside = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.keeper.door", tmp_path / "pins", "--", "try", unit],
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        os.close(inside)
        shown = TerminalLines(terminal)
        shown.until("help button: not pressed (press it)")
        os.write(terminal, b"\n")
        shown.until("illuminator")
        shown.until("Pulse the relay for 0.3 s? The lock is released. [y/N]")
        assert link.state().closings == 0
        os.write(terminal, b"y\n")
        shown.until("Relay: off.")
        shown.until("Not seen to move: help button. Check each one's cable and its pin.")
        assert process.wait(10) == 1
        assert link.state().closings == 1
        assert not any(link.state().levels.values())
        os.close(terminal)
    assert [moved.relay for moved in ledger(tmp_path / "ledger")] == ["closed", "opened"]
    assert sorted(path.name for path in unit.parent.iterdir()) == before, "nothing is written"


class TerminalLines:
    """What a terminal has shown."""

    def __init__(self, terminal: int) -> None:
        self._terminal, self._text = terminal, ""

    def until(self, said: str, seconds: float = 30) -> None:
        until_s = time.monotonic() + seconds
        while said not in self._text:
            assert time.monotonic() < until_s, f"{said!r} was not shown, but {self._text!r}"
            if select.select([self._terminal], [], [], 0.2)[0]:
                try:
                    self._text += os.read(self._terminal, 4096).decode()
                except OSError:  # Linux says so of a terminal whose other end is closed
                    assert said in self._text, self._text
                    return


@pytest.mark.system
def test_without_a_terminal_nothing_is_released_unless_it_was_said(tmp_path: Path) -> None:
    unit = card(tmp_path)
    done: dict[str, subprocess.CompletedProcess[str]] = {}

    def run(*options: str) -> None:
        done[" ".join(options)] = command(unit, *options)

    both = [threading.Thread(target=run, args=options) for options in ((), ("--relay",))]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [(d.returncode, d.stderr) for d in done.values()] == [(0, "")] * 2
    assert "none is wired" in done[""].stdout
    assert done[""].stdout.endswith("The relay was not tried.\n")
    assert done["--relay"].stdout.endswith("Relay: off.\n")


@pytest.mark.system
def test_it_leaves_the_door_to_the_units_service(tmp_path: Path) -> None:
    unit = card(tmp_path)
    path = f"{systemctl(tmp_path, 'active')}:{os.environ['PATH']}"
    said = one_sentence(command(unit, path=path))
    assert "the door is busy: this unit's service is running" in said
    assert "systemctl stop menshen-edge.service" in said


@pytest.mark.system
def test_what_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    assert "cannot be read" in one_sentence(command(tmp_path / "unit.toml"))
    twice = card(tmp_path, contact=17)
    assert "pin 17 is used twice" in one_sentence(command(twice))
