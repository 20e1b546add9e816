"""`firmware/pins.py`, made from `pins.toml`: the controller has no TOML reader."""

from hardware import pins

_HEAD = (
    '"""The controller\'s pins: GPIO numbers of the RP2040 and RP2350, from hardware/pins.toml."""'
)


def source() -> str:
    """Return the whole file."""
    constants = (f"{name.upper()} = {pin.gp}" for name, pin in pins.read().controller.items())
    return "\n".join((_HEAD, "", *constants, ""))
