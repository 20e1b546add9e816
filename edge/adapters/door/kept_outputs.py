"""Whether the kernel leaves a dead program's outputs as they were: the relay of one killed in
mid-pulse would stay on until the one-shot ends it.

Raspberry Pi's kernels keep them unless told otherwise, mainline's do not (raspberrypi/linux, pull
requests 6117 and 6150). Each driver has its own parameter for it, and `strict_gpiod` sets only
that of the board's (bcm2712-rpi.dtsi names pinctrl_rp1, the older boards' pinctrl_bcm2835), while
one kernel has both: so the driver of the very chip is asked.
"""

from pathlib import Path

SYS = Path("/sys")
CURE = "add the line dtparam=strict_gpiod to /boot/firmware/config.txt and restart the unit"


def are_kept(chip: int, sys: Path = SYS) -> bool | None:
    """Whether outputs of `gpiochip<chip>` outlive their program; None: this kernel does not say."""
    device = (sys / f"bus/gpio/devices/gpiochip{chip}").resolve()
    driver = (device.parent / "driver").resolve().name  # pinctrl-bcm2835; pinctrl-rp1 on a Pi 5
    module = sys / "module" / driver.replace("-", "_")
    try:
        value = (module / "parameters" / "persist_gpio_outputs").read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return {"Y": True, "N": False}.get(value.strip())
