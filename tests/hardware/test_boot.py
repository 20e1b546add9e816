"""What a card adds to config.txt: read here as the Pi's firmware reads it, for each model."""

import subprocess
from pathlib import Path

import pytest

from edge.wire.door_inputs import INPUTS
from edge.wire.unit import CameraConfig, ControllerDoor, DirectDoor, UnitConfig
from hardware import boot, pins
from provisioning import boot as cards
from provisioning.pins import door_pins

FILTERS = {"3B": "pi3", "4B": "pi4", "5B": "pi5", "Zero2W": "pi02"}
"""Raspberry Pi documentation, conditional filters."""

EVERYTHING = door_pins(["illuminator", *INPUTS])
CONTROLLED = ControllerDoor(port=boot.PORT, illuminator=13)


def unit(door: DirectDoor | ControllerDoor, **more: CameraConfig) -> UnitConfig:
    return UnitConfig(name="north-1", site="campus", groups=["campus"], door=door, **more)


def seen(text: bytes, model: str) -> list[str]:
    """The settings that apply to a model: a filter holds until the next."""
    applies, settings = True, []
    for line in text.decode("ascii").splitlines():
        if line.startswith("["):
            applies = line in ("[all]", f"[{FILTERS[model]}]")
        elif applies and line and not line.startswith("#"):
            settings.append(line)
    return settings


def base_params(settings: list[str]) -> set[str]:
    """The `dtparam`s that reach the board itself and not an overlay above them."""
    within, found = "", set()
    for line in settings:
        name, _, value = line.partition("=")
        if name == "dtoverlay":
            within = value
        elif name == "dtparam" and not within:
            found.add(value)
    return found


def levels(settings: list[str]) -> dict[int, str]:
    """What `gpio=` lines leave each pin as; a later one wins."""
    found = {}
    for line in settings:
        name, _, rest = line.partition("=")
        if name == "gpio":
            number, _, level = rest.partition("=")
            found[int(number)] = level
    return found


@pytest.mark.parametrize("model", FILTERS)
def test_every_pin_rests_before_linux_starts(model: str) -> None:
    settings = seen(cards.addition(unit(DirectDoor(pins=EVERYTHING))), model)
    expected = {}
    for pin in pins.read().pins.values():
        pull = {"up": "ip,pu", "down": "ip,pd", None: "op,dl"}[pin.pull]
        expected[pin.bcm] = pull
    assert levels(settings) == expected
    assert levels(settings)[17] == "op,dl"


@pytest.mark.parametrize("model", FILTERS)
@pytest.mark.parametrize("door", [DirectDoor(pins=door_pins()), CONTROLLED])
def test_a_dead_programs_pins_go_back_and_a_hung_kernel_starts_again(
    door: DirectDoor | ControllerDoor, model: str
) -> None:
    settings = seen(cards.addition(unit(door)), model)
    assert {"strict_gpiod", "watchdog=on"} <= base_params(settings)
    assert "dtoverlay=i2c-rtc,ds3231" in settings
    assert ("rtc=off" in base_params(settings)) == (model == "5B"), "whose clock is rtc0"


@pytest.mark.parametrize("model", FILTERS)
def test_a_controller_on_the_pins_gets_the_good_uart(model: str) -> None:
    settings = seen(cards.addition(unit(CONTROLLED)), model)
    assert {"enable_uart=1", "dtoverlay=disable-bt"} <= set(settings)
    assert ("uart0=on" in base_params(settings)) == (model == "5B")
    assert levels(settings) == {13: "op,dl"}, "the relay is not on these pins"
    assert b"console=serial0" in cards.addition(unit(CONTROLLED))


@pytest.mark.parametrize(
    "door",
    [
        DirectDoor(pins=door_pins()),
        ControllerDoor(port="/dev/serial/by-id/usb-FTDI_USB-RS485-if00"),
    ],
)
def test_where_no_uart_is_used_none_is_switched_on(door: DirectDoor | ControllerDoor) -> None:
    text = cards.addition(unit(door))
    assert b"uart" not in text
    assert b"console" not in text


def test_what_is_not_wired_is_left_alone() -> None:
    found = levels(seen(cards.addition(unit(DirectDoor(pins=door_pins(["fire"])))), "4B"))
    assert set(found) == {22, 27, 12, 17, 5}


def test_a_unit_with_other_eyes_needs_no_pi_camera() -> None:
    usb = CameraConfig(kind="webcam", source="/dev/video0")
    assert b"camera_auto_detect" not in cards.addition(unit(CONTROLLED, camera=usb))
    assert b"camera_auto_detect=1" in cards.addition(unit(CONTROLLED))


@pytest.mark.system
def test_it_can_be_added_twice_and_says_how(tmp_path: Path) -> None:
    """The command on its first lines, run by a shell on a file of ours."""
    text = cards.addition(unit(DirectDoor(pins=door_pins())))
    (tmp_path / cards.NAME).write_bytes(text)
    config = tmp_path / "config.txt"
    config.write_text("dtparam=audio=on\n[cm4]\notg_mode=1\n")
    (said,) = [line for line in text.decode().splitlines() if line.startswith("#   grep")]
    command = said.lstrip("# ").removesuffix("; reboot").replace(cards.CONFIG, str(config))
    for _ in range(2):
        subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    assert config.read_bytes() == b"dtparam=audio=on\n[cm4]\notg_mode=1\n" + text
