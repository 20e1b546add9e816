"""`menshen-edge try`: lets an installer test each input and output of a door, one after the other.

It prints one line for each event. No code is judged or counted, and nothing is written to disk.
"""

import select
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from edge.doorway import door_signals
from edge.doorway.door_signals import DoorAction, LightStep, Signal
from edge.doorway.ports import Door
from edge.wire.door_inputs import Input

TICK_S = 0.05
SHOW_S = 2.0  # for each light and sound

_LIGHTS = (
    ("green light", LightStep(0, True, False, False)),
    ("red light", LightStep(0, False, True, False)),
    ("buzzer", LightStep(0, False, False, True)),
)


class InputSentences(NamedTuple):
    """The texts for an input: its name, its two levels, and what the installer does to move it."""

    name: str
    yes: str
    no: str
    do: str


WORDS: dict[Input, InputSentences] = {
    "contact": InputSentences("door contact", "open", "shut", "open the door and shut it"),
    "exit_button": InputSentences("exit button", "pressed", "not pressed", "press it"),
    "fire": InputSentences("fire contact", "ALARM", "at rest", "have the fire panel open its loop"),
    "help_button": InputSentences("help button", "pressed", "not pressed", "press it"),
    "tamper": InputSentences("lid switch", "lid open", "lid shut", "open the lid and shut it"),
    "turn": InputSentences("turn sensor, in", "turned", "still", "walk in"),
    "turn_out": InputSentences("turn sensor, out", "turned", "still", "walk out"),
}


def _print(line: str) -> None:
    print(line, flush=True)


class Trial:
    """The test of one door, and the inputs that have moved so far."""

    def __init__(
        self, door: Door, wired: frozenset[Input], say: Callable[[str], None] = _print
    ) -> None:
        """`wired`: the inputs that unit.toml names."""
        self._door = door
        self._wired = [name for name in WORDS if name in wired]
        self._say = say
        self._level: dict[Input, bool | None] = {}
        self._moved: set[Input] = set()  # inputs that have changed their level, or turned

    @property
    def unmoved(self) -> list[str]:
        """The names of the inputs that have not moved yet."""
        return [WORDS[name].name for name in self._wired if name not in self._moved]

    def watch_inputs(self, seconds: float, is_enough: Callable[[], bool]) -> None:
        """Print each change of an input until all have moved, `is_enough` is true, or `seconds` are
        over.
        """
        self._say("Inputs:" if self._wired else "Inputs: none is wired (unit.toml).")
        self._read_inputs(first=True)
        until_s = time.monotonic() + seconds
        while self.unmoved and not is_enough() and time.monotonic() < until_s:
            time.sleep(TICK_S)
            self._read_inputs()

    def try_outputs(self, illuminator: bool) -> None:
        """Switch on each light and the buzzer by itself, then the illuminator."""
        self._say("Lights and sounds, two seconds each:")
        rest_ms = round(SHOW_S * 1000)
        for name, step in _LIGHTS:
            self._say(f"  {name}")
            self._door.apply(
                DoorAction(Signal.UNREADABLE, 0, (step, LightStep(rest_ms, False, False, False)))
            )
            self._watch_for(SHOW_S + 0.3)
        if illuminator:
            self._say("  illuminator")
            self._door.illuminate(True)
            self._watch_for(SHOW_S)
            self._door.illuminate(False)

    def pulse_relay(self, unlock_ms: int) -> None:
        """Pulse the relay once."""
        if self._door.read_inputs().latched:
            self._say("The controller is latched and will not pulse; re-arm it from inside.")
        until_s = time.monotonic() + 2
        while not self._door.settle() and time.monotonic() < until_s:
            time.sleep(TICK_S)
        self._say(f"Relay: on for {unlock_ms / 1000:g} s. Open the door, and shut it again.")
        self._door.apply(door_signals.action(Signal.OPEN, unlock_ms))
        self._watch_for(unlock_ms / 1000)
        until_s = time.monotonic() + 2
        while not self._door.settle() and time.monotonic() < until_s:
            time.sleep(TICK_S)
        self._say("Relay: off." if self._door.settle() else "Relay: STILL ON; check its wiring.")

    def _watch_for(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            time.sleep(TICK_S)
            self._read_inputs()

    def _read_inputs(self, first: bool = False) -> None:
        inputs = self._door.read_inputs()
        turns = dict(zip(("turn", "turn_out"), self._door.take_turns(), strict=True))
        for name in self._wired:
            words = WORDS[name]
            if name in turns:
                if turns[name]:
                    self._moved.add(name)
                    self._say(f"  {words.name}: {words.yes}")
                elif first:
                    self._say(f"  {words.name}: {words.no} ({words.do})")
                continue
            is_active = inputs.level(name)
            if first:
                level = (
                    "not reported" if is_active is None else words.yes if is_active else words.no
                )
                self._say(f"  {words.name}: {level} ({words.do})")
            elif is_active is not None and is_active != self._level.get(name):
                self._moved.add(name)
                self._say(f"  {words.name}: {words.yes if is_active else words.no}")
            self._level[name] = is_active


def read_enter() -> bool:
    """Whether somebody has pressed Enter at the terminal, and consume it; False: no terminal."""
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return False
    sys.stdin.readline()
    return True


def confirm(question: str) -> bool:
    """Ask a question at the terminal. Returns whether the answer is yes; False: no terminal."""
    if not sys.stdin.isatty():
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes", "是")
    except EOFError:
        return False
