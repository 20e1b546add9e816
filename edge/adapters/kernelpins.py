"""Whether the kernel leaves a dead program's outputs as they were: the relay of one killed in
mid-pulse would stay on until the one-shot ends it.

Raspberry Pi's kernels keep them unless told otherwise; mainline's do not (raspberrypi/linux,
pull requests 6117 and 6150).
"""

from collections.abc import Iterable
from pathlib import Path

_MODULES = Path("/sys/module")
PARAMETERS = (
    _MODULES / "pinctrl_bcm2835/parameters/persist_gpio_outputs",  # up to the Pi 4, Zero 2 W
    _MODULES / "pinctrl_rp1/parameters/persist_gpio_outputs",  # Pi 5
)

CURE = "add the line dtparam=strict_gpiod to /boot/firmware/config.txt and start the unit anew"


def kept(parameters: Iterable[Path] = PARAMETERS) -> bool | None:
    """Whether outputs outlive their program; None: this kernel does not say.

    A Pi has one of the drivers built in or loaded; where both are, the worse answer counts.
    """
    said = [_read(path) for path in parameters]
    if True in said:
        return True
    return False if False in said else None


def _read(path: Path) -> bool | None:
    """The kernel shows a bool parameter as Y or N."""
    try:
        return {"Y": True, "N": False}.get(path.read_text("ascii").strip())
    except (OSError, UnicodeDecodeError):
        return None
