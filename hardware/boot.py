"""The boot configuration that a unit's pins need: lines for `config.txt`, from `pins.toml`.

The Pi's firmware sets the pins a few seconds after power-on, before Linux starts. Until then the
chip's pulls hold them; the external resistors always hold them. One set of lines works on every
model: lines for a single model are under its filter. Each line names one of these sources:

gpio      Raspberry Pi documentation, config.txt, GPIO control: `op` output, `dl` driving low,
          `ip` input, `pu`/`pd` pull; applied in order, seconds after power-on
filter    the same, conditional filters: `[all]` resets, `[pi5]`
scope     the same, device tree: `dtparam` after a `dtoverlay` belongs to that overlay; an
          empty `dtoverlay=` ends this
strict    github.com/raspberrypi/linux, pull requests 6117 and 6150: `strict_gpiod` sets
          persist_gpio_outputs=n for pinctrl-bcm2835 and pinctrl-rp1
rtc       boot/overlays/README of github.com/raspberrypi/firmware: i2c-rtc; pull request 5803 of
          raspberrypi/linux: `rtc=off` disables the Pi 5's own clock, so that ours is rtc0
uart      Raspberry Pi documentation, configuring UARTs: on a 3, 4 and Zero 2 W `disable-bt` puts
          the full UART (ttyAMA0) on pins 14 and 15; issue 3239 and pull request 3294 of
          raspberrypi/documentation: on a Pi 5 serial0 is the debug connector, and
          `dtparam=uart0=on` puts ttyAMA0 on 14 and 15
watchdog  boot/overlays/README: `watchdog`; systemd's RuntimeWatchdogSec= feeds it (bring-up.md)
"""

from collections.abc import Iterator, Mapping

from hardware import pins

PORT = "/dev/ttyAMA0"
"""The UART on pins 14 and 15; with these lines it has this name on every model."""


def lines(wired: Mapping[str, int], *, uart: bool = False, camera: bool = True) -> Iterator[str]:
    """Yield the lines for a unit.

    `wired`: its pins, Broadcom numbers by the names in pins.toml. `uart`: a controller is on pins
    14 and 15. `camera`: the unit has a camera on the Pi's camera port.
    """
    pin_table = pins.read().pins
    yield "[all]"
    yield "# end the scope of an overlay above (scope)"
    yield "dtoverlay="
    yield "# after a program died its pins become inputs again, so the relay turns off (strict)"
    yield "dtparam=strict_gpiod"
    for name, bcm in wired.items():
        yield f"# {name} (gpio)"
        yield f"gpio={bcm}={_level(pin_table[name])}"
    yield "# restart after a kernel hang (watchdog)"
    yield "dtparam=watchdog=on"
    if camera:
        yield "camera_auto_detect=1"
    yield "# the clock with its battery (rtc)"
    yield "dtoverlay=i2c-rtc,ds3231"
    yield "dtoverlay="
    if uart:
        yield f"# the controller, on pins 14 and 15: {PORT} (uart)"
        yield "enable_uart=1"
        yield "dtoverlay=disable-bt"
        yield "dtoverlay="
    yield "[pi5]"
    yield "dtparam=rtc=off"
    if uart:
        yield "dtparam=uart0=on"
    yield "[all]"


def _level(pin: pins.UnitPin) -> str:
    if pin.direction == "output":
        return "op,dl"
    return "ip,pu" if pin.pull == "up" else "ip,pd"
