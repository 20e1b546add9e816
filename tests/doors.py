"""Both ways of driving a door, with what is behind them: the hardware as a test sees it.

A `Rig` has the door as the loop has it (`door`), and tells what its relay and lights did, by the
clock of whoever drives the pins.
"""

import contextlib
import time
import tomllib
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gpiozero.pins.mock import MockFactory

from edge.adapters.door.gpio_door import GpioDoor
from edge.adapters.door.osdp_door import OsdpDoor
from edge.doorway.ports import Door
from edge.parts import DoorLost
from edge.wire.door_inputs import INPUTS, Input
from edge.wire.unit import ControllerDoor, DoorPins
from tests.controller import KEY, Cable, ControllerProcess

ROOT = Path(__file__).parent.parent
PINS = {
    name: (pin["bcm"], pin["active"] == "high")
    for name, pin in tomllib.loads((ROOT / "hardware" / "pins.toml").read_text())["pins"].items()
}
LAMP = PINS["illuminator"][0]


class DoorLights(NamedTuple):
    """The outputs from `at_ms` on."""

    at_ms: float
    relay: bool
    green: bool
    red: bool
    buzzer: bool


class Rig(Protocol):
    """One door and its hardware."""

    door: Door
    lamps: MockFactory  # the unit's own pins

    def shown(self) -> list[DoorLights]:
        """Every change of the outputs, the oldest first."""

    def say(self, name: Input, yes: bool) -> None:
        """An input says yes (open, pressed, alarm) or no."""

    def lose(self) -> None:
        """The hardware is gone from the unit."""

    def find(self) -> None:
        """It is there again."""

    def again(self) -> None:
        """Another door on the same hardware; the one before was closed."""


class Direct:
    """gpiozero's mock of a Pi 3B."""

    def __init__(self, wired: tuple[Input, ...]) -> None:
        self.lamps = MockFactory(revision="a02082")
        names = ("relay", "green", "red", "buzzer", "illuminator", *wired)
        self._pins = DoorPins(**{name: PINS[name][0] for name in names})
        self._set: dict[int, Any] = {}
        self._wired = wired
        self.again()

    def again(self) -> None:
        self.door: Door = GpioDoor(self._pins, self.lamps)
        for name in self._wired:  # gpiozero's pull-ups say what a cut cable would
            self.say(name, False)

    def shown(self) -> list[DoorLights]:
        changes = []
        for name in ("relay", "green", "red", "buzzer"):
            pin = self.lamps.pin(PINS[name][0])
            at_s = pin._last_change
            for state in reversed(pin.states):  # each tells how long after the one before it was
                changes.append((at_s * 1000, name, bool(state.state)))
                at_s -= state.timestamp
        return _together(changes)

    def say(self, name: Input, yes: bool) -> None:
        bcm, active_high = PINS[name]
        pin = self.lamps.pin(bcm)
        (pin.drive_high if yes == active_high else pin.drive_low)()

    def lose(self) -> None:
        def broken(_value: object) -> None:
            raise OSError("the chip is gone")

        for bcm in (self._pins.relay, self._pins.green, self._pins.red, self._pins.buzzer):
            pin = self.lamps.pin(bcm)
            self._set[bcm] = pin._set_state
            pin._set_state = broken

    def find(self) -> None:
        for bcm, set_state in self._set.items():
            self.lamps.pin(bcm)._set_state = set_state

    def close(self) -> None:
        self.door.close()
        self.lamps.reset()


class Safe:
    """The firmware on a cable."""

    def __init__(
        self, folder: Path, wired: tuple[Input, ...], interpreter: tuple[str, ...]
    ) -> None:
        self.lamps = MockFactory(revision="a02082")
        self.cable = Cable(folder / "controller")
        self.controller = ControllerProcess(self.cable, interpreter=interpreter)
        assert not self.controller.pins.relay
        self._said = ControllerDoor(port=str(self.cable.path), inputs=list(wired), illuminator=LAMP)
        self.again()

    def again(self) -> None:
        self.door: Door = OsdpDoor(self._said, KEY, self.lamps)

    def shown(self) -> list[DoorLights]:
        return [DoorLights(p.ms, *p[2:6]) for p in list(self.controller.history)]

    def say(self, name: Input, yes: bool) -> None:
        self.controller.level(name, yes)

    def lose(self) -> None:
        self.cable.cut = True

    def find(self) -> None:
        self.cable.cut = False

    def close(self) -> None:
        self.door.close()
        self.controller.close()
        self.lamps.reset()


@contextlib.contextmanager
def rig(
    kind: str,
    folder: Path,
    interpreter: tuple[str, ...],
    wired: tuple[Input, ...] = tuple(INPUTS),
) -> Iterator[Rig]:
    """A door that works; `kind`: direct, or safe: the firmware in `interpreter`."""
    made = Direct(wired) if kind == "direct" else Safe(folder, wired, interpreter)
    try:
        until(lambda: rests(made.door))
        made.door.read_inputs()
        made.door.take_turns()
        yield made
    finally:
        made.close()


SAVED_S = 2.1
"""After this long the controller has a pulse to give beside the first one (firmware/guard.py)."""


def rests(door: Door) -> bool:
    """Whether it may be pulsed; not while it is lost."""
    with contextlib.suppress(DoorLost):
        return door.settle()
    return False


def lost(door: Door) -> str:
    """Why it is lost; empty: it is not."""
    try:
        door.settle()
    except DoorLost as why:
        return str(why)
    return ""


def until(condition: Callable[[], Any], most_s: float = 20.0) -> None:
    """Wait; a busy machine is slow, not wrong."""
    end_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.005)


def pulses_ms(shown: list[DoorLights]) -> list[float]:
    """How long each pulse of the relay was, those that have ended."""
    return [b - a for a, b in relay_ms(shown)]


def relay_ms(shown: list[DoorLights]) -> list[tuple[float, float]]:
    """When each pulse began and ended."""
    found, start = [], None
    for now in shown:
        if now.relay and start is None:
            start = now.at_ms
        elif not now.relay and start is not None:
            found.append((start, now.at_ms))
            start = None
    return found


def lights(shown: list[DoorLights]) -> list[tuple[bool, bool]]:
    """What the two lights showed, one after the other; not what they showed while one of them had
    changed already and the other one not yet.
    """
    seen: list[tuple[bool, bool]] = []
    ends_ms = [then.at_ms for then in shown[1:]] + [float("inf")]
    began_ms = 0.0
    for now, then_ms in zip(shown, ends_ms, strict=True):
        if not seen or seen[-1] != (now.green, now.red):
            began_ms = now.at_ms
        if then_ms - began_ms >= SEEN_MS and (not seen or seen[-1] != (now.green, now.red)):
            seen.append((now.green, now.red))
    return seen


SEEN_MS = 60
"""Shorter is no light: the shortest step is 150 ms."""


def sounds(shown: list[DoorLights]) -> int:
    """How often the buzzer began."""
    levels = [False, *(now.buzzer for now in shown)]
    return sum(b and not a for a, b in pairwise(levels))


def _together(changes: list[tuple[float, str, bool]]) -> list[DoorLights]:
    """Each pin's own history, as one."""
    now = dict.fromkeys(("relay", "green", "red", "buzzer"), False)
    found = []
    for at_ms, name, level in sorted(changes, key=lambda change: change[0]):
        now[name] = level
        found.append(DoorLights(at_ms, **now))
    return found
