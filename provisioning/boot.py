"""A unit's lines for the boot partition's `config.txt`: its pins are at rest from boot on."""

from collections.abc import Iterator

import msgspec

from edge.wire.unit import ControllerDoor, UnitConfig
from hardware import boot

NAME = "config.txt.add"
"""The file on the card; its first lines explain how to use it."""

CONFIG = "/boot/firmware/config.txt"
"""Where Raspberry Pi OS mounts the boot partition (Raspberry Pi documentation, config.txt)."""

_ON_PINS = ("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0")
"""The names of the Pi's own serial port. Any other port is on USB and needs no pin."""


def addition(unit: UnitConfig) -> bytes:
    """The lines for `unit`, for every model of Pi that hardware/ supports."""
    return "\n".join((*_heading(unit), *_lines(unit), "")).encode()


def _heading(unit: UnitConfig) -> Iterator[str]:
    yield f"# Menshen: the boot configuration of unit {unit.name}, site {unit.site}."
    yield "# On the unit, in its configuration's folder, as root (a second time changes nothing):"
    yield f"#   grep -q '^# Menshen' {CONFIG} || cat {NAME} >> {CONFIG}; reboot"
    yield "# or copy these lines to the end of config.txt on the SD card's boot partition."
    if _uart(unit):
        yield "# In cmdline.txt there, remove console=serial0,115200: that port drives the door."
    yield "# The source of each line: hardware/boot.py."


def _lines(unit: UnitConfig) -> Iterator[str]:
    door = unit.door
    if isinstance(door, ControllerDoor):
        wired = {} if door.illuminator is None else {"illuminator": door.illuminator}
    else:
        pins = msgspec.structs.asdict(door.pins)
        wired = {name: bcm for name, bcm in pins.items() if bcm is not None}
    return boot.lines(wired, uart=_uart(unit), camera=unit.camera.kind == "picamera")


def _uart(unit: UnitConfig) -> bool:
    return isinstance(unit.door, ControllerDoor) and unit.door.port in _ON_PINS
