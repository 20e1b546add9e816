"""Every input of `edge/wire/door_inputs.py` is where it must be; a new one needs no other code."""

import re
from typing import get_args, get_type_hints

import pytest

from edge import commissioning
from edge.doorway.door_alarms import DoorAlarms
from edge.doorway.input_levels import InputLevels
from edge.wire import door_inputs, report
from edge.wire.door_inputs import INPUTS, LATCHED_PLACE, Input, InputRow
from edge.wire.unit import DoorPins
from hardware import pins
from tests import ROOT

OUTPUTS = {"green", "red", "buzzer", "relay", "illuminator"}


def test_each_has_its_pin_in_unit_toml() -> None:
    assert set(get_type_hints(DoorPins)) == OUTPUTS | set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_each_has_its_pin_on_the_board_and_reads_a_cut_cable_alike(name: Input) -> None:
    pin = pins.read().pins[name]
    assert (pin.active == "high") == INPUTS[name].rests_closed


@pytest.mark.parametrize("name", INPUTS)
def test_each_has_its_words_for_the_installer(name: Input) -> None:
    assert all(commissioning.WORDS[name])


def test_each_has_its_bit_in_the_firmware() -> None:
    source = (ROOT / "firmware" / "inputs.py").read_text()
    bits: dict[str, int] = {}
    for names, values in re.findall(r"^([A-Z_, ]+) = ([\d, ]+)(?:  #.*)?$", source, re.MULTILINE):
        bits |= dict(zip(names.split(", "), map(int, values.split(", ")), strict=True))
    told = {name.upper(): 1 << row.place for name, row in INPUTS.items()}
    told["LATCHED"] = 1 << LATCHED_PLACE
    assert {name: bits[name] for name in told} == told
    assert bits["COUNT"] == door_inputs.REPORT_LEN
    assert "REARM" in bits, "and the bit that is reported to nobody"


def test_each_has_its_pin_and_its_level_in_the_firmware() -> None:
    source = (ROOT / "firmware" / "board.py").read_text()
    read = re.findall(r"^    \(pins\.(\w+), inputs\.(\w+), ([01])\),$", source, re.MULTILINE)
    told = {
        (name.upper(), name.upper(), str(int(row.rests_closed))) for name, row in INPUTS.items()
    }
    assert set(read) - {("REARM", "REARM", "0")} == told


def test_each_has_its_place_on_the_page_of_the_controllers_messages() -> None:
    page = (ROOT / "firmware" / "osdp.md").read_text("utf-8")
    listed = page.partition("**Inputs** of ISTATR")[2].partition(": ")[2].partition(".")[0]
    places = {int(number): name for number, name in re.findall(r"(\d+) (\w+)", listed)}
    names = {row.place: name.split("_")[0] for name, row in INPUTS.items()}
    assert places == names | {LATCHED_PLACE: "latched"}
    assert f"ISTATR, {door_inputs.REPORT_LEN} inputs" in page


def test_no_place_is_used_twice_and_each_alarm_is_one() -> None:
    places = [*(row.place for row in INPUTS.values()), LATCHED_PLACE]
    assert sorted(places) == list(range(door_inputs.REPORT_LEN))
    assert {row.alarm for row in INPUTS.values() if row.alarm} <= set(get_args(report.Alarm))


def test_a_new_input_with_an_alarm_needs_no_other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A button that calls the guard, raised as *help*: a row, and the doorway follows."""
    monkeypatch.setitem(INPUTS, "call_button", InputRow(8, False, alarm="help"))  # type: ignore[arg-type]
    doorway = DoorAlarms(30.0)
    said = InputLevels({"contact": False, "call_button": False})  # type: ignore[dict-item]
    assert doorway.tick(said, 0.0).alarms == ()
    called = InputLevels({"contact": False, "call_button": True})  # type: ignore[dict-item]
    assert doorway.tick(called, 1.0).alarms == ("help",)
