"""The direct door on gpiozero's mock pins, whose histories show every level and when."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import gpiozero
import msgspec
import pytest
from gpiozero.pins.mock import MockFactory, MockPin

from edge.adapters.door import gpio_door, kept_outputs
from edge.adapters.door.gpio_door import BOUNCE_S, GpioDoor, InputPin
from edge.doorway import door_signals
from edge.doorway.door_signals import Signal
from edge.doorway.input_levels import InputLevels
from edge.parts import DoorLost
from edge.wire.door_inputs import INPUTS, Input
from edge.wire.unit import DoorPins
from hardware import pins as pins_file
from tests.levels import LEVELS, QUIET, but


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


def test_no_glitch_at_construction_and_low_at_the_end(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    assert [state.state for state in relay(factory).states] == [False]
    door_.apply(door_signals.action(Signal.OPEN, 1000))
    wait(lambda: relay(factory).state)
    door_.close()
    assert not relay(factory).state
    door_.close()


def test_no_output_glitches_at_construction_nor_at_the_end(factory: Any) -> None:
    every = DoorPins(green=22, red=27, buzzer=12, relay=17, illuminator=13)
    numbers = [n for n in msgspec.structs.astuple(every) if n is not None]
    for _ in range(2):  # a second program finds them as the first has left them
        door_ = GpioDoor(every, factory)
        assert [factory.pin(n).function for n in numbers] == ["output"] * 5
        door_.close()
        assert [factory.pin(n).function for n in numbers] == ["input"] * 5
    for number in numbers:
        assert [state.state for state in factory.pin(number).states] == [False], number


def test_a_pulse_lasts_as_long_as_it_says(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    start_s = time.monotonic()
    door_.apply(door_signals.action(Signal.OPEN, 300))
    wait(lambda: relay(factory).state)
    wait(lambda: factory.pin(23).state)
    wait(lambda: not relay(factory).state)
    assert 0.3 <= time.monotonic() - start_s < 2
    door_.close()


def test_another_signal_does_not_cut_a_pulse_nor_lengthen_it(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    start_s = time.monotonic()
    door_.apply(door_signals.action(Signal.OPEN, 300))
    wait(lambda: relay(factory).state)
    door_.apply(door_signals.action(Signal.REFUSED))
    wait(lambda: not relay(factory).state)
    assert 0.3 <= time.monotonic() - start_s < 2
    wait(lambda: factory.pin(24).state)
    door_.close()


def test_nothing_but_an_opening_moves_the_relay(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    for signal in Signal:
        door_.apply(door_signals.action(signal))
        time.sleep(0.02)
    assert [state.state for state in relay(factory).states] == [False]
    door_.close()


def test_lights_follow_the_action_and_rest(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    door_.apply(door_signals.action(Signal.NOT_READY))
    wait(lambda: factory.pin(24).state)
    wait(lambda: not factory.pin(24).state)
    assert not factory.pin(23).state
    door_.close()


def test_the_last_word_refuses_an_endless_pulse(factory: Any, pins: DoorPins) -> None:
    forged = door_signals.DoorAction(Signal.OPEN, 10**9, door_signals.action(Signal.OPEN).steps)
    door_ = GpioDoor(pins, factory)
    door_.apply(forged)
    time.sleep(0.05)
    assert not relay(factory).state
    door_.close()


def test_a_light_that_fails_is_told_before_the_next_count_and_cuts_no_pulse(
    factory: Any, pins: DoorPins
) -> None:
    door_ = GpioDoor(pins, factory)
    green = factory.pin(23)
    set_state = green._set_state

    def broken(_value: object) -> None:
        raise OSError("the chip is gone")

    green._set_state = broken
    start_s = time.monotonic()
    door_.apply(door_signals.action(Signal.OPEN, 300))
    wait(lambda: door_._lost is not None)
    with pytest.raises(DoorLost, match="chip is gone"):
        door_.settle()
    wait(lambda: not relay(factory).state)
    assert time.monotonic() - start_s >= 0.3, "a dark light has cut a pulse"
    with pytest.raises(DoorLost, match="chip is gone"):
        door_.settle()
    green._set_state = set_state
    wait(door_.settle)
    door_.close()


def test_a_relay_that_goes_on_and_fails_is_brought_to_rest(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    pin = relay(factory)
    set_state = pin._set_state

    def half(value: object) -> None:
        set_state(value)
        if value:
            raise OSError("set, and then gone")

    pin._set_state = half
    with pytest.raises(DoorLost, match="set, and then gone"):
        door_.apply(door_signals.action(Signal.OPEN, 5000))
    wait(lambda: not pin.state)
    door_.close()


def test_no_pi_is_one_sentence(pins: DoorPins, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without lgpio, or with it and no chip; and never by a fallback to the registers."""
    monkeypatch.setattr("gpiozero.Device.pin_factory", None)
    for named in ("lgpio", None):
        if named is None:
            monkeypatch.delenv("GPIOZERO_PIN_FACTORY")
        else:
            monkeypatch.setenv("GPIOZERO_PIN_FACTORY", named)
        with pytest.raises(
            DoorLost, match=r"need lgpio|there is no /dev/gpiochip|whose boards"
        ) as e:
            GpioDoor(pins)
        assert "\n" not in str(e.value)


def test_no_chip_and_no_rights_are_two_sentences(tmp_path: Path) -> None:
    gone = OSError("can not open gpiochip")
    assert "run on a Raspberry Pi, or give the unit a controller" in gpio_door._no_chip(
        tmp_path, gone
    )
    chip = tmp_path / "gpiochip0"
    chip.touch()
    assert "(can not open gpiochip)" in gpio_door._no_chip(tmp_path, gone)
    chip.chmod(0)
    if not os.access(chip, os.R_OK):  # root may always
        assert "a member of the group gpio" in gpio_door._no_chip(tmp_path, gone)


def test_a_folder_in_which_lgpio_can_make_no_pipe_is_told(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    said = gpio_door._no_chip(tmp_path, FileNotFoundError(2, "No such file", ".lgd-nfy-3"))
    assert "start in one that this user may write to, or name one: LG_WD=/tmp" in said


def test_a_chip_that_may_not_be_used_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpiochip0").touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    said = gpio_door._no_chip(tmp_path, OSError("can not open gpiochip"))
    assert f"this user may not use {tmp_path}/gpiochip0; make it a member of the group gpio" in said


def at_rest(factory: Any) -> bool:
    """Nothing was ever high, and every pin is an input again."""
    return not any(
        state.state or pin.function != "input"
        for pin in factory.pins.values()
        if pin.function == "output" or pin.pull == "floating"
        for state in pin.states
    )


def test_a_pin_in_use_is_one_sentence(factory: Any, pins: DoorPins) -> None:
    first = gpiozero.DigitalInputDevice(pins.buzzer, pin_factory=factory)
    said = "pin 25, which unit.toml names for buzzer, is in use by another program"
    with pytest.raises(DoorLost, match=said):
        GpioDoor(pins, factory)
    first.close()
    assert at_rest(factory), "what was had before is given back, and was never high"
    GpioDoor(pins, factory).close()


def test_a_pin_that_another_program_has_is_the_same_sentence(factory: Any, pins: DoorPins) -> None:
    """As lgpio says it of a line that another process holds."""
    said = gpio_door._cannot_have("relay", 17, factory, OSError("GPIO busy"))
    assert "pin 17, which unit.toml names for relay, is in use by another program" in said


def test_a_board_without_the_pin_is_one_sentence(pins: DoorPins) -> None:
    old = MockFactory(revision="0002")  # the first of all, with 26 pins
    assert old.board_info.model == "B"
    wide = msgspec.structs.replace(pins, tamper=26)
    with pytest.raises(
        DoorLost, match=r"model B\) has no pin 26, which unit\.toml names for tamper"
    ):
        GpioDoor(wide, old)
    assert at_rest(old)


# What the kernel does with a dead program's pins.


class KernelsPins(MockFactory):
    """Where lgpio cannot be had, mock pins under its name."""

    chip = 0


KernelsPins.__module__ = "gpiozero.pins.lgpio"


def kernel(folder: Path, driver: str, **parameters: str) -> Path:
    """A /sys whose gpiochip0 is driven by `driver`, and what each module's parameter says."""
    device = folder / "devices/platform/soc/3f200000.gpio"
    (device / "gpiochip0").mkdir(parents=True)
    (folder / "bus/platform/drivers" / driver).mkdir(parents=True)
    (device / "driver").symlink_to(folder / "bus/platform/drivers" / driver)
    (folder / "bus/gpio/devices").mkdir(parents=True)
    (folder / "bus/gpio/devices/gpiochip0").symlink_to(device / "gpiochip0")
    for module, said in parameters.items():
        (folder / "module" / module / "parameters").mkdir(parents=True)
        (folder / "module" / module / "parameters/persist_gpio_outputs").write_text(said)
    return folder


def test_a_kernel_that_keeps_outputs_drives_no_relay(tmp_path: Path, pins: DoorPins) -> None:
    factory = KernelsPins(revision="a02082")
    keeps = kernel(tmp_path / "y", "pinctrl-bcm2835", pinctrl_bcm2835="Y\n")
    with pytest.raises(
        DoorLost, match=r"persist_gpio_outputs=Y.* dtparam=strict_gpiod to .*config"
    ):
        GpioDoor(pins, factory, keeps)
    assert not factory.pins, "not even an input was made of a pin"
    frees = kernel(tmp_path / "n", "pinctrl-bcm2835", pinctrl_bcm2835="N\n")
    GpioDoor(pins, factory, frees).close()


def test_a_kernel_that_does_not_say_is_told_and_serves(
    tmp_path: Path, pins: DoorPins, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    GpioDoor(pins, KernelsPins(revision="a02082"), tmp_path / "none").close()
    assert "only the one-shot behind the pin is sure to end that pulse" in caplog.text


def test_pins_that_are_not_the_kernels_are_not_asked_of(
    factory: Any, tmp_path: Path, pins: DoorPins, caplog: pytest.LogCaptureFixture
) -> None:
    keeps = kernel(tmp_path, "pinctrl-bcm2835", pinctrl_bcm2835="Y\n")
    GpioDoor(pins, factory, keeps).close()
    assert not caplog.messages


@pytest.mark.parametrize(
    ("driver", "parameters", "kept"),
    [
        ("pinctrl-bcm2835", {}, None),
        ("pinctrl-bcm2835", {"pinctrl_bcm2835": "Y\n"}, True),
        ("pinctrl-bcm2835", {"pinctrl_bcm2835": "N\n", "pinctrl_rp1": "Y\n"}, False),
        ("pinctrl-rp1", {"pinctrl_bcm2835": "Y\n", "pinctrl_rp1": "N\n"}, False),
        ("pinctrl-rp1", {"pinctrl_bcm2835": "N\n", "pinctrl_rp1": "Y\n"}, True),
        ("gpio-mockup", {"pinctrl_bcm2835": "Y\n"}, None),
        ("pinctrl-rp1", {"pinctrl_rp1": "maybe\n"}, None),
        ("pinctrl-rp1", {"pinctrl_rp1": "\N{DEGREE SIGN}"}, None),
    ],
)
def test_the_driver_of_the_chip_is_asked_whether_it_keeps_outputs(
    tmp_path: Path, driver: str, parameters: dict[str, str], kept: bool | None
) -> None:
    """One kernel has both drivers, and strict_gpiod cures the board's own alone."""
    assert kept_outputs.are_kept(0, kernel(tmp_path, driver, **parameters)) is kept
    assert kept_outputs.are_kept(4, tmp_path) is None


def test_the_relay_goes_on_before_apply_returns(factory: Any, pins: DoorPins) -> None:
    """However late the player is, a counted opening has its pulse."""
    door_ = GpioDoor(pins, factory)
    door_.apply(door_signals.action(Signal.OPEN, 100))
    assert relay(factory).state
    door_.close()


def test_a_relay_that_fails_is_told_at_once(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    pin = relay(factory)
    set_state = pin._set_state

    def broken(_value: object) -> None:
        raise OSError("the chip is gone")

    pin._set_state = broken
    with pytest.raises(DoorLost, match="chip is gone"):
        door_.apply(door_signals.action(Signal.OPEN, 300))
    pin._set_state = set_state
    assert not pin.state
    door_.close()


def test_two_openings_are_two_pulses(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    assert door_.settle()
    door_.apply(door_signals.action(Signal.OPEN, 200))
    assert not door_.settle()
    wait(lambda: relay(factory).state)
    door_.apply(door_signals.action(Signal.OPEN, 5000))
    wait(lambda: not relay(factory).state)
    assert not door_.settle(), "the one-shot needs a low before the next edge"
    wait(door_.settle)
    door_.apply(door_signals.action(Signal.OPEN, 200))
    wait(lambda: relay(factory).state)
    assert [state.state for state in relay(factory).states] == [False, True, False, True]
    door_.close()


def turn(pin: MockPin) -> None:
    """The contact closes to ground while the arms move, and opens again."""
    pin.drive_low()
    pin.drive_high()


def test_the_illuminator_is_lit_as_asked_and_dark_at_the_end(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(msgspec.structs.replace(pins, illuminator=13), factory)
    lamp = factory.pin(13)
    for on in (True, True, False, True):
        door_.illuminate(on)
        assert lamp.state == on
    door_.apply(door_signals.action(Signal.REFUSED))
    wait(lambda: factory.pin(24).state)
    assert lamp.state, "a signal is shown beside it"
    assert [state.state for state in lamp.states] == [False, True, False, True]
    door_.close()
    assert not lamp.state
    with pytest.raises(DoorLost, match="cannot be set any more"):
        door_.illuminate(True)
    assert not lamp.state


def test_without_an_illuminator_none_is_lit(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    door_.illuminate(True)
    assert not factory.pin(13).states[-1].state
    door_.close()


def test_turns_are_counted_each_way_and_told_once(factory: Any) -> None:
    both = DoorPins(green=22, red=27, buzzer=12, relay=17, turn=23, turn_out=26)
    door_ = GpioDoor(both, factory)
    assert door_.take_turns() == (0, 0)
    turn(factory.pin(23))
    turn(factory.pin(23))
    turn(factory.pin(26))
    assert door_.take_turns() == (2, 1)
    assert door_.take_turns() == (0, 0)
    factory.pin(23).drive_low()  # between the arms, and still there
    assert door_.take_turns() == (1, 0)
    assert door_.take_turns() == (0, 0)
    door_.close()


def test_a_contact_that_is_closed_at_the_start_is_no_turn(factory: Any) -> None:
    def stuck(pin: MockPin) -> None:
        pin._set_pull = lambda value: setattr(pin, "_pull", value)
        pin._state = False

    stuck(factory.pin(23))
    door_ = GpioDoor(DoorPins(green=22, red=27, buzzer=12, relay=17, turn=23), factory)
    assert door_.take_turns() == (0, 0)
    door_.close()


def test_a_turn_contact_is_pulled_up_and_debounced(factory: Any) -> None:
    door_ = GpioDoor(DoorPins(green=22, red=27, buzzer=12, relay=17, turn=23), factory)
    assert factory.pin(23).pull == "up"
    assert factory.pin(23).bounce == BOUNCE_S
    assert factory.pin(26).pull == "floating", "a pin that nobody wired is touched"
    door_.close()
    turn(factory.pin(23))
    assert door_.take_turns() == (0, 0), "a closed door still listens"


def test_without_a_sensor_nobody_turns(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    assert door_.take_turns() == (0, 0)
    door_.close()


# What the door says: levels.

PIN: dict[Input, int] = {name: pins_file.read().pins[name].bcm for name in LEVELS}
WIRED = DoorPins(green=22, red=27, buzzer=12, relay=17, **PIN)


@pytest.fixture
def quiet(factory: Any) -> Any:
    """Every loop closed at rest is closed, before the program starts."""
    for name in (name for name in PIN if INPUTS[name].rests_closed):
        pin = factory.pin(PIN[name])
        pin._set_pull = lambda value, pin=pin: setattr(pin, "_pull", value)
        pin._state = False
    return factory


def yes(factory: Any, name: Input, said: bool) -> None:
    """By the wiring: contact, fire and tamper say it by an open loop, the buttons by closing."""
    pin = factory.pin(PIN[name])
    pin.drive_high() if said == (INPUTS[name].rests_closed) else pin.drive_low()


def test_a_door_at_rest_says_no_to_everything(quiet: Any) -> None:
    door_ = GpioDoor(WIRED, quiet)
    assert door_.read_inputs() == QUIET
    assert [quiet.pin(n).pull for n in PIN.values()] == ["up"] * len(PIN)
    assert [quiet.pin(n).bounce for n in PIN.values()] == [BOUNCE_S] * len(PIN)
    door_.close()


@pytest.mark.parametrize("name", PIN)
def test_each_input_says_yes_by_its_own_level(quiet: Any, name: Input) -> None:
    door_ = GpioDoor(WIRED, quiet)
    for _ in range(2):
        yes(quiet, name, True)
        said = but(QUIET, **{name: True})
        assert door_.read_inputs() == door_.read_inputs() == said
        yes(quiet, name, False)
        assert door_.read_inputs() == QUIET
    door_.close()


@pytest.mark.parametrize("name", PIN)
def test_a_press_between_two_calls_is_told_once(quiet: Any, name: Input) -> None:
    door_ = GpioDoor(WIRED, quiet)
    for _ in range(3):
        yes(quiet, name, True)
        yes(quiet, name, False)
    assert door_.read_inputs().level(name) is True
    assert door_.read_inputs() == QUIET
    door_.close()


def test_what_is_so_at_the_start_is_told(factory: Any) -> None:
    """The mock's pulled-up pins are high: as with every cable cut."""
    door_ = GpioDoor(WIRED, factory)
    assert door_.read_inputs() == but(QUIET, **{name: INPUTS[name].rests_closed for name in PIN})
    door_.close()


def test_what_is_not_wired_says_nothing(factory: Any, pins: DoorPins) -> None:
    door_ = GpioDoor(pins, factory)
    assert door_.read_inputs() == InputLevels()
    door_.close()


def test_a_level_that_no_edge_told_of_is_found_by_looking_and_must_hold(factory: Any) -> None:
    device = gpiozero.DigitalInputDevice(24, pull_up=True, pin_factory=factory)
    level = InputPin(device, yes_is_high=False)
    pin = factory.pin(24)
    pin.when_changed = None  # the kernel has lost every edge
    pin.drive_low()
    assert [level.take(at_s) for at_s in (1.0, 1.005, 1.019, 1.021)] == [False, False, False, True]
    pin.drive_high()
    assert level.take(2.0)
    pin.drive_low()
    assert level.take(2.01), "it came back: bounce"
    pin.drive_high()
    assert level.take(2.021), "and starts again"
    assert level.take(2.03)
    assert not level.take(2.042)
    device.close()


def test_a_pin_that_cannot_be_read_is_told(quiet: Any) -> None:
    door_ = GpioDoor(WIRED, quiet)

    def broken() -> bool:
        raise OSError("the chip is gone")

    quiet.pin(5)._get_state = broken
    with pytest.raises(DoorLost, match=r"cannot be read any more .*chip is gone"):
        door_.read_inputs()
    door_.close()
