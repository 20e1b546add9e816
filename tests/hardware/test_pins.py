"""hardware/pins.toml holds on every board it is for, and nothing opens or lights while booting."""

import copy
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import gpiozero
import msgspec
import pytest
from gpiozero.pins.mock import MockFactory

from edge.adapters.door import gpio_door
from edge.wire import unit
from edge.wire.door_inputs import INPUTS
from firmware import guard
from firmware import pins as controllers
from hardware.drawings.firmware import source
from hardware.pins import (
    DOWN_AT_RESET,
    HEADER,
    PICO,
    PICO_GPIOS,
    PICO_LED,
    RELAY,
    UART,
    read,
    violations,
)
from provisioning import pins as provisioned
from provisioning.files import ProvisioningError

BOARDS = {"3B": "a02082", "4B": "c03114", "Zero2W": "902120", "5B": "c04170"}
"""Model as gpiozero names it, and a revision code of it."""


def test_the_file_keeps_every_rule() -> None:
    assert list(violations(read())) == []


BROKEN: dict[str, tuple[str, str, Any]] = {
    "buzzer has the same pin as red": ("buzzer", "bcm", 27),
    "green is on a pin that has another use": ("green", "bcm", 14),
    "turn is on a pin that has another use": ("turn", "bcm", 2),
    "green would be on while booting": ("green", "bcm", 7),
    "relay would be on while booting": ("relay", "active", "low"),
    "relay is on a pin that changes at boot": ("relay", "bcm", 18),
    "relay is not an output": ("relay", "direction", "input"),
    "red is an output with a pull": ("red", "pull", "down"),
    "fire is an input without a pull": ("fire", "pull", None),
    "tamper names a source that is not in [sources]": ("tamper", "source", ["hearsay"]),
    "tamper needs a role, a reason (why) and a source": ("tamper", "why", ""),
}
BROKEN_CONTROLLER: dict[str, tuple[str, str, Any]] = {
    "the controller's red has the same pin as the controller's green": ("red", "gp", 7),
    "the controller's tamper is on a GPIO that a Pico does not have": ("tamper", "gp", 29),
    "the controller's fire is on a GPIO that the Pico itself uses": ("fire", "gp", 24),
    "the controller's relay is on a GPIO that the Pico itself uses": ("relay", "gp", 25),
    "the controller's relay would be on while starting": ("relay", "active", "low"),
    "the controller's relay is not an output": ("relay", "direction", "input"),
    "the controller's uart_tx is on a pin that UART0 cannot send on": ("uart_tx", "gp", 4),
    "the controller's uart_rx is on a pin that UART0 cannot receive on": ("uart_rx", "gp", 5),
    "the controller's rearm is an input without a pull": ("rearm", "pull", None),
    "the controller's buzzer is an output with a pull": ("buzzer", "pull", "up"),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_broken_rule_is_noticed(sentence: str) -> None:
    name, field, value = BROKEN[sentence]
    file = copy.deepcopy(read())
    setattr(file.pins[name], field, value)
    assert sentence in list(violations(file))


@pytest.mark.parametrize("sentence", BROKEN_CONTROLLER)
def test_a_broken_rule_of_the_controller_is_noticed(sentence: str) -> None:
    name, field, value = BROKEN_CONTROLLER[sentence]
    file = copy.deepcopy(read())
    setattr(file.controller[name], field, value)
    assert sentence in list(violations(file))


def test_the_controllers_own_numbers_are_made_from_the_file() -> None:
    there = Path(controllers.__file__).read_text("utf-8")
    assert there == source(), "make drawings writes firmware/pins.py anew"
    for name, pin in read().controller.items():
        assert getattr(controllers, name.upper()) == pin.gp


def test_the_controllers_light_is_the_boards_own() -> None:
    assert read().controller["heartbeat"].gp == PICO_LED


def test_both_ways_of_driving_a_door_read_and_drive_the_same() -> None:
    """What a controller has besides is its link, its pairing and its own lamp."""
    file = read()
    own = {"uart_tx", "uart_rx", "rs485_de", "rearm", "pairing", "heartbeat"}
    assert set(file.controller) - own == set(file.pins) - {"illuminator"}
    for name in set(file.controller) - own:
        assert file.controller[name].direction == file.pins[name].direction, name


@pytest.fixture(params=BOARDS)
def board(request: pytest.FixtureRequest) -> Iterator[MockFactory]:
    factory = MockFactory(revision=BOARDS[request.param])
    assert factory.board_info.model == request.param
    yield factory
    factory.close()


def test_every_pin_is_on_the_header_and_free(board: MockFactory) -> None:
    for name, pin in read().pins.items():
        ((header, place),) = board.board_info.find_pin(f"GPIO{pin.bcm}")
        assert header.name == "J8", name
        assert "gpio" in place.interfaces, name
        assert place.pull == "", f"{name} is on a pin with a resistor of the board's own"


def test_the_drawings_header_is_the_boards(board: MockFactory) -> None:
    places = {}
    for bcm in range(28):
        ((header, place),) = board.board_info.find_pin(f"GPIO{bcm}")
        assert header.name == "J8"
        places[bcm] = place.number
    assert places == HEADER


def test_the_drawings_pico_has_each_gpio_once_and_a_ground_in_each_place_left() -> None:
    """Raspberry Pi Pico Datasheet, 2.1."""
    grounds = {3, 8, 13, 18, 23, 28, 33, 38}
    others = {30, 35, 36, 37, 39, 40}  # RUN, ADC_VREF, 3V3, 3V3_EN, VSYS, VBUS
    assert set(PICO) == PICO_GPIOS
    assert sorted([*PICO.values(), *grounds, *others]) == list(range(1, 41))


def test_every_output_is_low_from_its_first_moment(board: MockFactory) -> None:
    for name, pin in read().pins.items():
        if pin.direction != "output":
            continue
        under = board.pin(f"GPIO{pin.bcm}")
        under.clear_states()
        device = gpiozero.DigitalOutputDevice(pin.bcm, initial_value=False, pin_factory=board)
        assert [state.state for state in under.states].count(True) == 0, name
        device.on()
        assert under.states[-1].state, name
        device.close()


def test_every_input_reads_its_cut_cable_as_the_file_says(board: MockFactory) -> None:
    cut_means_yes = {"contact", "fire", "tamper"}
    for name, pin in read().pins.items():
        if pin.direction != "input":
            continue
        device = gpiozero.DigitalInputDevice(
            pin.bcm, pull_up=None, active_state=pin.active == "high", pin_factory=board
        )
        under = board.pin(f"GPIO{pin.bcm}")
        under.drive_high() if pin.pull == "up" else under.drive_low()
        assert bool(device.value) == (name in cut_means_yes), name
        device.close()


def test_the_roles_are_those_of_a_units_configuration() -> None:
    assert set(read().pins) == {field.name for field in msgspec.structs.fields(unit.DoorPins)}
    needed = {f.name for f in msgspec.structs.fields(unit.DoorPins) if f.required}
    assert needed == set(provisioned.ALWAYS)


def test_provisioning_gives_these_pins() -> None:
    file = read()
    extra = [name for name in file.pins if name not in provisioned.ALWAYS]
    given = msgspec.structs.asdict(provisioned.door_pins(extra))
    assert given == {name: pin.bcm for name, pin in file.pins.items()}
    bare = msgspec.structs.asdict(provisioned.door_pins())
    assert {name for name, pin in bare.items() if pin is not None} == set(provisioned.ALWAYS)
    with pytest.raises(ProvisioningError, match="'lift' cannot be wired"):
        provisioned.door_pins(["lift"])


def test_the_table_for_people_says_the_same(board: MockFactory) -> None:
    text = resources.files("hardware").joinpath("README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (\d+) \| (\w+) \| (\w+) \|", text, re.MULTILINE)
    expected = []
    for name, pin in read().pins.items():
        ((_, place),) = board.board_info.find_pin(f"GPIO{pin.bcm}")
        expected.append((name, str(pin.bcm), str(place.number), pin.direction, pin.active))
    assert rows == expected


def test_a_unit_takes_the_outputs_that_this_file_would() -> None:
    assert unit.FIT_FOR_RELAY == RELAY
    assert set(DOWN_AT_RESET) - UART == unit.FIT_FOR_OUTPUT


def test_the_unit_reads_each_input_by_the_level_that_this_file_names() -> None:
    inputs = {name: pin for name, pin in read().pins.items() if pin.direction == "input"}
    rests_closed = {name for name, row in INPUTS.items() if row.rests_closed}
    assert {name for name, pin in inputs.items() if pin.active == "high"} == rests_closed
    assert {pin.pull for pin in inputs.values()} == {"up"}, "as the adapter pulls them"


def test_unit_and_controller_rest_the_relay_alike() -> None:
    """Two programs, one kind of one-shot: neither may be quicker than it."""
    assert gpio_door.REST_S * 1000 == guard.REST_MS_MIN
    assert guard.PULSE_MS_MAX == unit.UNLOCK_MS_MAX
