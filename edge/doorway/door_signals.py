"""The signals: what lights, buzzer and relay do, and for how long (ARCHITECTURE.md, *What a person
is told*).

An action contains its own end, so a door comes to rest without another command.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from edge.wire.unit import UNLOCK_MS_MAX

NOT_READY_EVERY_S = 3.0


class Signal(Enum):
    """What the lights and the buzzer mean; the value is how `menshen-edge check` describes it."""

    OPEN = "green, one short: come in"
    REFUSED = "red, two short: refused"
    REFRESH = "red, slow blink, two long: refresh your code"
    UNREADABLE = "green and red in turn: closer, brighter, hold still"
    HELP = "green and red together, three short: ask for help"
    FULL = "red, double blink, one long: full, please wait"
    NOT_READY = "red, one flash: this unit is not ready"
    SHUT_ME = "no light, five quick: the door stands open, please shut it"


class LightStep(NamedTuple):
    """The levels from `at_ms` after the start of the action until the next step."""

    at_ms: int
    green: bool
    red: bool
    buzzer: bool


@dataclass(frozen=True, slots=True)
class DoorAction:
    """Lights, buzzer and one bounded relay pulse. In the last step all is off."""

    signal: Signal
    unlock_ms: int  # 0: no pulse
    steps: tuple[LightStep, ...]

    @property
    def lasts_ms(self) -> int:
        """When lights and buzzer are off again, in ms after the start."""
        return self.steps[-1].at_ms


class _SignalPattern(NamedTuple):
    """One signal: light phases as (ms, green, red), and buzzer sounds as (from, to) in ms."""

    lights: tuple[tuple[int, bool, bool], ...]
    sounds: tuple[tuple[int, int], ...]


_ONE_SHORT = ((0, 120),)
_TWO_SHORT = ((0, 120), (240, 360))
_THREE_SHORT = ((0, 120), (240, 360), (480, 600))
_TWO_LONG = ((0, 400), (600, 1000))  # a buzzer has one pitch, so the length differs

_FIVE_QUICK = tuple((at_ms, at_ms + 60) for at_ms in range(0, 600, 120))

_PATTERNS = {
    Signal.OPEN: _SignalPattern(((1500, True, False),), _ONE_SHORT),
    Signal.REFUSED: _SignalPattern(((2000, False, True),), _TWO_SHORT),
    Signal.REFRESH: _SignalPattern(((500, False, True), (500, False, False)) * 3, _TWO_LONG),
    Signal.UNREADABLE: _SignalPattern(((250, True, False), (250, False, True)) * 3, ()),
    Signal.HELP: _SignalPattern(((2500, True, True),), _THREE_SHORT),
    Signal.FULL: _SignalPattern(
        ((150, False, True), (150, False, False), (150, False, True), (550, False, False)) * 2,
        ((0, 400),),
    ),
    Signal.NOT_READY: _SignalPattern(((150, False, True),), ()),
    Signal.SHUT_ME: _SignalPattern(((540, False, False),), _FIVE_QUICK),
}


def action(signal: Signal, unlock_ms: int = 0) -> DoorAction:
    """The action of a signal; green stays on for as long as the door is unlocked.

    Raises ValueError if `unlock_ms` is not within 0 to UNLOCK_MS_MAX.
    """
    if not 0 <= unlock_ms <= UNLOCK_MS_MAX:
        raise ValueError(f"an unlock of {unlock_ms} ms is not within 0 to {UNLOCK_MS_MAX} ms")
    pattern = _PATTERNS[signal]
    if signal is Signal.OPEN and unlock_ms > pattern.lights[0][0]:
        pattern = _SignalPattern(((unlock_ms, True, False),), pattern.sounds)
    return DoorAction(signal, unlock_ms, tuple(_steps(pattern)))


def _steps(pattern: _SignalPattern) -> Iterator[LightStep]:
    changes = {edge for sound in pattern.sounds for edge in sound}
    lights = []
    at_ms = 0
    for phase_ms, green, red in pattern.lights:
        lights.append((at_ms, green, red))
        changes.add(at_ms)
        at_ms += phase_ms
    end_ms = max([at_ms, *(until for _, until in pattern.sounds)])
    for change_ms in sorted(changes - {end_ms}):
        green, red = False, False
        if change_ms < at_ms:
            _, green, red = [phase for phase in lights if phase[0] <= change_ms][-1]
        buzzer = any(start <= change_ms < until for start, until in pattern.sounds)
        yield LightStep(change_ms, green, red, buzzer)
    yield LightStep(end_ms, False, False, False)
