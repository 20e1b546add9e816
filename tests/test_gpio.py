"""The direct door on gpiozero's mock pins, whose histories show every level and when."""

import time
from typing import Any

import msgspec
import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from edge import door
from edge.adapters.gpio import BOUNCE_S, GpioDoor
from edge.door import Signal
from edge.ports import DoorLost
from edge.wire.unit import Pins


@pytest.fixture
def factory() -> Any:
    factory = MockFactory(revision="a02082")
    yield factory
    factory.reset()


def relay(factory: Any) -> MockPin:
    return factory.pin(17)


def wait(condition: Any, most_s: float = 2.0) -> None:
    until_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.005)


def test_no_glitch_at_construction_and_low_at_the_end(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    assert [state.state for state in relay(factory).states] == [False]
    door_.apply(door.action(Signal.OPEN, 1000))
    wait(lambda: relay(factory).state)
    door_.close()
    assert not relay(factory).state
    door_.close()


def test_a_pulse_lasts_as_long_as_it_says(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    start_s = time.monotonic()
    door_.apply(door.action(Signal.OPEN, 300))
    wait(lambda: relay(factory).state)
    wait(lambda: factory.pin(23).state)
    wait(lambda: not relay(factory).state)
    assert 0.3 <= time.monotonic() - start_s < 2
    door_.close()


def test_another_signal_does_not_cut_a_pulse_nor_lengthen_it(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    start_s = time.monotonic()
    door_.apply(door.action(Signal.OPEN, 300))
    wait(lambda: relay(factory).state)
    door_.apply(door.action(Signal.REFUSED))
    wait(lambda: not relay(factory).state)
    assert 0.3 <= time.monotonic() - start_s < 2
    wait(lambda: factory.pin(24).state)
    door_.close()


def test_nothing_but_an_opening_moves_the_relay(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    for signal in Signal:
        door_.apply(door.action(signal))
        time.sleep(0.02)
    assert [state.state for state in relay(factory).states] == [False]
    door_.close()


def test_lights_follow_the_action_and_rest(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    door_.apply(door.action(Signal.NOT_READY))
    wait(lambda: factory.pin(24).state)
    wait(lambda: not factory.pin(24).state)
    assert not factory.pin(23).state
    door_.close()


def test_the_last_word_refuses_an_endless_pulse(factory: Any, pins: Pins) -> None:
    forged = door.DoorAction(Signal.OPEN, 10**9, door.action(Signal.OPEN).steps)
    door_ = GpioDoor(pins, factory)
    door_.apply(forged)
    time.sleep(0.05)
    assert not relay(factory).state
    door_.close()


def test_a_light_that_fails_is_told_before_the_next_count_and_cuts_no_pulse(
    factory: Any, pins: Pins
) -> None:
    door_ = GpioDoor(pins, factory)
    green = factory.pin(23)
    set_state = green._set_state

    def broken(_value: object) -> None:
        raise OSError("the chip is gone")

    green._set_state = broken
    start_s = time.monotonic()
    door_.apply(door.action(Signal.OPEN, 300))
    wait(lambda: door_._lost is not None)
    with pytest.raises(DoorLost, match="chip is gone"):
        door_.resting()
    wait(lambda: not relay(factory).state)
    assert time.monotonic() - start_s >= 0.3, "a dark light has cut a pulse"
    with pytest.raises(DoorLost, match="chip is gone"):
        door_.resting()
    green._set_state = set_state
    wait(door_.resting)
    door_.close()


def test_a_relay_that_goes_on_and_fails_is_brought_to_rest(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    pin = relay(factory)
    set_state = pin._set_state

    def half(value: object) -> None:
        set_state(value)
        if value:
            raise OSError("set, and then gone")

    pin._set_state = half
    with pytest.raises(DoorLost, match="set, and then gone"):
        door_.apply(door.action(Signal.OPEN, 5000))
    wait(lambda: not pin.state)
    door_.close()


def test_no_pi_is_one_sentence(pins: Pins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "lgpio")
    monkeypatch.setattr("gpiozero.Device.pin_factory", None)
    with pytest.raises(DoorLost, match="cannot be driven"):
        GpioDoor(pins)


def test_a_pin_in_use_is_one_sentence(factory: Any, pins: Pins) -> None:
    first = GpioDoor(pins, factory)
    with pytest.raises(DoorLost, match="cannot be driven"):
        GpioDoor(pins, factory)
    first.close()


def test_the_relay_goes_on_before_apply_returns(factory: Any, pins: Pins) -> None:
    """However late the player is, a counted opening has its pulse."""
    door_ = GpioDoor(pins, factory)
    door_.apply(door.action(Signal.OPEN, 100))
    assert relay(factory).state
    door_.close()


def test_a_relay_that_fails_is_told_at_once(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    pin = relay(factory)
    set_state = pin._set_state

    def broken(_value: object) -> None:
        raise OSError("the chip is gone")

    pin._set_state = broken
    with pytest.raises(DoorLost, match="chip is gone"):
        door_.apply(door.action(Signal.OPEN, 300))
    pin._set_state = set_state
    assert not pin.state
    door_.close()


def test_two_openings_are_two_pulses(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    assert door_.resting()
    door_.apply(door.action(Signal.OPEN, 200))
    assert not door_.resting()
    wait(lambda: relay(factory).state)
    door_.apply(door.action(Signal.OPEN, 5000))
    wait(lambda: not relay(factory).state)
    assert not door_.resting(), "the one-shot needs a low before the next edge"
    wait(door_.resting)
    door_.apply(door.action(Signal.OPEN, 200))
    wait(lambda: relay(factory).state)
    assert [state.state for state in relay(factory).states] == [False, True, False, True]
    door_.close()


def turn(pin: MockPin) -> None:
    """The contact closes to ground while the arms move, and opens again."""
    pin.drive_low()
    pin.drive_high()


def test_the_illuminator_is_lit_as_asked_and_dark_at_the_end(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(msgspec.structs.replace(pins, illuminator=13), factory)
    lamp = factory.pin(13)
    for on in (True, True, False, True):
        door_.illuminate(on)
        assert lamp.state == on
    door_.apply(door.action(Signal.REFUSED))
    wait(lambda: factory.pin(24).state)
    assert lamp.state, "a signal is shown beside it"
    assert [state.state for state in lamp.states] == [False, True, False, True]
    door_.close()
    assert not lamp.state
    with pytest.raises(DoorLost, match="cannot be set any more"):
        door_.illuminate(True)
    assert not lamp.state


def test_without_an_illuminator_none_is_lit(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    door_.illuminate(True)
    assert not factory.pin(13).states[-1].state
    door_.close()


def test_turns_are_counted_each_way_and_told_once(factory: Any) -> None:
    both = Pins(green=22, red=27, buzzer=12, relay=17, turn=23, turn_out=26)
    door_ = GpioDoor(both, factory)
    assert door_.turned() == (0, 0)
    turn(factory.pin(23))
    turn(factory.pin(23))
    turn(factory.pin(26))
    assert door_.turned() == (2, 1)
    assert door_.turned() == (0, 0)
    factory.pin(23).drive_low()  # between the arms, and still there
    assert door_.turned() == (1, 0)
    assert door_.turned() == (0, 0)
    door_.close()


def test_a_contact_that_is_closed_at_the_start_is_no_turn(factory: Any) -> None:
    def stuck(pin: MockPin) -> None:
        pin._set_pull = lambda value: setattr(pin, "_pull", value)
        pin._state = False

    stuck(factory.pin(23))
    door_ = GpioDoor(Pins(green=22, red=27, buzzer=12, relay=17, turn=23), factory)
    assert door_.turned() == (0, 0)
    door_.close()


def test_a_turn_contact_is_pulled_up_and_debounced(factory: Any) -> None:
    door_ = GpioDoor(Pins(green=22, red=27, buzzer=12, relay=17, turn=23), factory)
    assert factory.pin(23).pull == "up"
    assert factory.pin(23).bounce == BOUNCE_S
    assert factory.pin(26).pull == "floating", "a pin that nobody wired is touched"
    door_.close()
    turn(factory.pin(23))
    assert door_.turned() == (0, 0), "a closed door still listens"


def test_without_a_sensor_nobody_turns(factory: Any, pins: Pins) -> None:
    door_ = GpioDoor(pins, factory)
    assert door_.turned() == (0, 0)
    door_.close()
