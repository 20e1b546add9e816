"""The pins of `hardware/pins.toml`, in the form of a unit's configuration."""

from collections.abc import Sequence
from importlib import resources

import msgspec

from edge.wire.decode import decode_toml
from edge.wire.unit import DoorPins
from provisioning.files import ProvisioningError

ALWAYS = ("green", "red", "buzzer", "relay")
"""The pins of every unit that drives its door itself; the other pins are optional."""


class _WiredPin(msgspec.Struct):
    bcm: int


class _WiredPins(msgspec.Struct):
    pins: dict[str, _WiredPin]


def door_pins(extra: Sequence[str] = ()) -> DoorPins:
    """The pins of a door with ALWAYS and `extra` wired. Raises ProvisioningError."""
    text = resources.files("hardware").joinpath("pins.toml").read_bytes()
    pins = decode_toml(text, _WiredPins).pins
    for name in extra:
        if name not in pins:
            others = ", ".join(n for n in pins if n not in ALWAYS)
            raise ProvisioningError(f"{name[:60]!r} cannot be wired; choose from: {others}")
    return DoorPins(**{name: pins[name].bcm for name in (*ALWAYS, *extra)})
