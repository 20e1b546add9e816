"""What is true of a door however it is driven: by the unit's own pins, or by a controller that runs
the real firmware in MicroPython (`make test-hardware`; in CPython test_osdp_door.py tries it).

Times are those of whoever drives the pins. A pulse may be up to LONGER_MS longer than was asked: a
controller counts in tenths of a second, and a busy machine is slow.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.adapters.door.gpio_door import REST_S
from edge.doorway import door_signals
from edge.doorway.door_signals import LightStep, Signal
from edge.doorway.input_levels import InputLevels
from edge.parts import DoorLost
from edge.wire.door_inputs import INPUTS, Input
from tests.doors import (
    LAMP,
    SAVED_S,
    DoorLights,
    Rig,
    lights,
    lost,
    pulses_ms,
    relay_ms,
    rests,
    rig,
    sounds,
    until,
)
from tests.firmware.pty.harness import micropython
from tests.levels import LEVELS, QUIET, but

pytestmark = pytest.mark.slow  # left out of make test-quick

LONGER_MS = 400
TRIES = 4  # of what a busy machine may miss: a light of 150 ms

KINDS = ["direct", pytest.param("safe", marks=pytest.mark.hardware)]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """How the door is driven."""
    return str(request.param)


@pytest.fixture
def interpreter(kind: str) -> tuple[str, ...]:
    """MicroPython for what is behind the wall."""
    if kind == "direct":
        return ()
    try:
        return tuple(micropython())
    except RuntimeError as error:
        pytest.fail(str(error))


@pytest.fixture
def hung(kind: str, interpreter: tuple[str, ...], tmp_path: Path) -> Iterator[Rig]:
    """A door with all that can be wired."""
    with rig(kind, tmp_path, interpreter) as made:
        yield made


@pytest.fixture
def bare(kind: str, interpreter: tuple[str, ...], tmp_path: Path) -> Iterator[Rig]:
    """A door without any input."""
    with rig(kind, tmp_path, interpreter, ()) as made:
        yield made


def dark(now: DoorLights) -> bool:
    return not (now.relay or now.green or now.red or now.buzzer)


def since(rig: Rig, start: int) -> list[DoorLights]:
    return rig.shown()[start:]


def played(rig: Rig, action: door_signals.DoorAction) -> list[DoorLights]:
    """What the outputs did for it, until they were at rest again."""
    start = len(rig.shown())
    rig.door.apply(action)
    time.sleep(action.lasts_ms / 1000)
    until(lambda: dark(rig.shown()[-1]))
    return since(rig, start)


def pulsed(rig: Rig, times: int) -> None:
    """Wait until it has pulsed so often."""
    until(lambda: len(pulses_ms(rig.shown())) == times)


def seen(
    rig: Rig, action: door_signals.DoorAction, right: Callable[[list[DoorLights]], bool]
) -> None:
    """A machine that does too much may miss a short light; never each time."""
    tries = []
    for _ in range(TRIES):
        tries.append(played(rig, action))
        if right(tries[-1]):
            return
        until(lambda: rests(rig.door))
    raise AssertionError(f"never right: {tries}")


def test_at_rest_from_the_start_to_the_end(hung: Rig) -> None:
    assert not any(now.relay for now in hung.shown())
    assert dark(hung.shown()[-1])
    hung.door.close()
    hung.door.close()
    assert not any(now.relay for now in hung.shown())
    assert dark(hung.shown()[-1])


@pytest.mark.parametrize("ms", [100, 350, 1200])
def test_one_pulse_of_the_length_that_was_asked(hung: Rig, ms: int) -> None:
    hung.door.apply(door_signals.action(Signal.OPEN, ms))
    assert not hung.door.settle()
    until(lambda: pulses_ms(hung.shown()))
    until(lambda: rests(hung.door))
    (lasted_ms,) = pulses_ms(hung.shown())
    assert ms - 2 <= lasted_ms <= ms + LONGER_MS  # 2: two clocks, each in whole ms


def test_no_second_pulse_while_one_runs(hung: Rig) -> None:
    hung.door.apply(door_signals.action(Signal.OPEN, 500))
    hung.door.apply(door_signals.action(Signal.OPEN, 5000))
    until(lambda: hung.shown()[-1].relay)
    hung.door.apply(door_signals.action(Signal.OPEN, 5000))
    until(lambda: pulses_ms(hung.shown()))
    time.sleep(0.5)
    (lasted_ms,) = pulses_ms(hung.shown())
    assert 498 <= lasted_ms <= 500 + LONGER_MS
    assert not hung.shown()[-1].relay


def test_it_rests_between_two_pulses(hung: Rig) -> None:
    time.sleep(SAVED_S)
    for number in (1, 2):
        until(lambda: rests(hung.door))
        hung.door.apply(door_signals.action(Signal.OPEN, 200))
        pulsed(hung, number)
        assert not hung.door.settle(), "the one-shot needs a low before the next edge"
    (_, ended_ms), (began_ms, _) = relay_ms(hung.shown())
    assert began_ms - ended_ms >= REST_S * 1000 - 2


def test_another_signal_neither_cuts_nor_lengthens_a_pulse(hung: Rig) -> None:
    hung.door.apply(door_signals.action(Signal.OPEN, 600))
    until(lambda: hung.shown()[-1].relay)
    hung.door.apply(door_signals.action(Signal.REFUSED))
    until(lambda: hung.shown()[-1].red)
    until(lambda: pulses_ms(hung.shown()))
    assert 598 <= pulses_ms(hung.shown())[0] <= 600 + LONGER_MS


def test_an_endless_pulse_is_none(hung: Rig) -> None:
    for ms in (10**9, 10_001, -1):
        hung.door.apply(
            door_signals.DoorAction(Signal.OPEN, ms, door_signals.action(Signal.OPEN).steps)
        )
        time.sleep(0.2)
    assert not any(now.relay for now in hung.shown())
    assert hung.door.settle()


@pytest.mark.parametrize("signal", Signal)
def test_lights_and_sounds_of_each_signal(hung: Rig, signal: Signal) -> None:
    """As `edge/doorway/door_signals.py` lists them, in order, and then nothing."""
    action = door_signals.action(signal)
    steps = [DoorLights(s.at_ms, False, s.green, s.red, s.buzzer) for s in action.steps]

    def right(found: list[DoorLights]) -> bool:
        return without_dark(lights(found)) == without_dark(lights(steps)) and (
            sounds(found) == sounds(steps)
        )

    seen(hung, action, right)
    assert not any(now.relay for now in hung.shown())


def without_dark(seen: list[tuple[bool, bool]]) -> list[tuple[bool, bool]]:
    """From the first light to the last."""
    lit = [n for n, pair in enumerate(seen) if any(pair)]
    return seen[lit[0] : lit[-1] + 1] if lit else []


def test_a_light_lasts_as_long_as_its_step(hung: Rig) -> None:
    steps = (
        LightStep(0, True, False, True),
        LightStep(700, False, True, False),
        LightStep(1000, False, False, False),
    )

    def right(found: list[DoorLights]) -> bool:
        green = [now.at_ms for now in found if now.green]
        red = [now.at_ms for now in found if now.red and not now.green]
        return bool(
            green and red and 600 < red[0] - green[0] < 800 and 200 < found[-1].at_ms - red[0] < 400
        )

    seen(hung, door_signals.DoorAction(Signal.OPEN, 0, steps), right)


@pytest.mark.parametrize("name", LEVELS)
def test_each_input_is_told(hung: Rig, name: Input) -> None:
    def told() -> InputLevels:
        return but(hung.door.read_inputs(), latched=None)

    assert told() == QUIET
    for _ in range(2):
        hung.say(name, True)
        until(lambda: hung.door.read_inputs().level(name))
        assert told() == but(QUIET, **{name: True})
        hung.say(name, False)
        until(lambda: not hung.door.read_inputs().level(name))


def test_a_short_press_is_told_once(hung: Rig) -> None:
    names: tuple[Input, ...] = ("help_button", "exit_button")
    for name in names:
        hung.say(name, True)
        time.sleep(0.08)
        hung.say(name, False)
        time.sleep(1.0)
        first, second = hung.door.read_inputs(), hung.door.read_inputs()
        assert first.level(name), "it ended before anybody asked"
        assert not second.level(name), "it was told twice"


def test_turns_are_counted_each_way_and_none_is_lost(hung: Rig) -> None:
    turns: tuple[tuple[Input, int], ...] = (("turn", 12), ("turn_out", 5))
    for name, times in turns:
        for _ in range(times):
            hung.say(name, True)
            time.sleep(0.06)
            hung.say(name, False)
            time.sleep(0.06)
    counted = [0, 0]

    def all_counted() -> bool:
        turns_in, turns_out = hung.door.take_turns()
        counted[0] += turns_in
        counted[1] += turns_out
        return counted == [12, 5]

    until(all_counted)
    time.sleep(0.3)
    assert hung.door.take_turns() == (0, 0)


def test_what_is_not_wired_is_not_told(bare: Rig) -> None:
    assert bare.door.read_inputs().levels == {}
    assert bare.door.take_turns() == (0, 0)


def test_lost_and_found(hung: Rig) -> None:
    hung.lose()
    with contextlib.suppress(DoorLost):
        hung.door.apply(door_signals.action(Signal.REFUSED))
    until(lambda: lost(hung.door))
    with pytest.raises(DoorLost):
        hung.door.settle()
    with pytest.raises(DoorLost):
        hung.door.apply(door_signals.action(Signal.OPEN, 500))
    hung.find()
    until(lambda: rests(hung.door))
    assert not any(now.relay for now in hung.shown())
    hung.door.apply(door_signals.action(Signal.OPEN, 500))
    until(lambda: pulses_ms(hung.shown()))


def test_closed_in_mid_pulse_everything_rests(hung: Rig) -> None:
    hung.door.apply(door_signals.action(Signal.OPEN, 8000))
    until(lambda: hung.shown()[-1].relay)
    hung.door.close()
    until(lambda: dark(hung.shown()[-1]), 5)
    assert pulses_ms(hung.shown())[0] < 4000
    hung.door.close()


def test_a_door_after_another(hung: Rig) -> None:
    """A service that starts again finds a door that works."""
    hung.door.apply(door_signals.action(Signal.OPEN, 300))
    until(lambda: hung.shown()[-1].relay)
    hung.door.close()
    hung.again()
    until(lambda: rests(hung.door))
    time.sleep(SAVED_S)
    before = len(pulses_ms(hung.shown()))
    hung.door.apply(door_signals.action(Signal.OPEN, 300))
    until(lambda: len(pulses_ms(hung.shown())) > before)


def test_the_illuminator_is_the_units_own(hung: Rig) -> None:
    lamp = hung.lamps.pin(LAMP)
    for on in (True, True, False, True):
        hung.door.illuminate(on)
        assert lamp.state == on
    hung.door.close()
    assert not lamp.state


def test_every_input_has_its_test() -> None:
    assert {*LEVELS, "turn", "turn_out"} == set(INPUTS)
