"""The boot configuration that a unit's pins need: lines for `config.txt`, from `pins.toml`.

The firmware sets the pins a few seconds after power-on, before Linux; until then the chip's own
pulls hold them, and the resistors outside hold them always. One set of lines serves every model:
what only one needs stands under its filter. Sources, named beside each line:

gpio      Raspberry Pi documentation, config.txt, GPIO control: `op` output, `dl` driving low,
          `ip` input, `pu`/`pd` pull; applied in order, seconds after power-on
filter    the same, conditional filters: `[all]` resets, `[pi5]`
scope     the same, device tree: `dtparam` after a `dtoverlay` is that overlay's; an empty
          `dtoverlay=` ends this
strict    github.com/raspberrypi/linux, pull requests 6117 and 6150: `strict_gpiod` sets
          persist_gpio_outputs=n for pinctrl-bcm2835 and pinctrl-rp1
rtc       boot/overlays/README of github.com/raspberrypi/firmware: i2c-rtc; pull request 5803 of
          raspberrypi/linux: `rtc=off` takes the Pi 5's own clock away, so that ours is rtc0
uart      Raspberry Pi documentation, configuring UARTs: on a 3, 4 and Zero 2 W `disable-bt` gives
          the good UART (ttyAMA0) to pins 14 and 15; issue 3239 and pull request 3294 of
          raspberrypi/documentation: on a Pi 5 serial0 is the debug connector, and
          `dtparam=uart0=on` brings ttyAMA0 to 14 and 15
watchdog  boot/overlays/README: `watchdog`; systemd's RuntimeWatchdogSec= feeds it (bring-up.md)
"""

from collections.abc import Iterator, Mapping

from hardware import pins

PORT = "/dev/ttyAMA0"
"""The UART on pins 14 and 15, by the name that it has on every model with these lines."""


def lines(wired: Mapping[str, int], *, uart: bool = False, camera: bool = True) -> Iterator[str]:
    """The lines for a unit. `wired`: its pins, Broadcom numbers by the names of pins.toml; `uart`:
    whether a controller is on pins 14 and 15; `camera`: whether it has the Pi's own camera.
    """
    known = pins.read().pins
    yield "[all]"
    yield "# end what an overlay above may have begun (scope)"
    yield "dtoverlay="
    yield "# the pins of a program that died go back to inputs, and the relay to rest (strict)"
    yield "dtparam=strict_gpiod"
    for name, bcm in wired.items():
        yield f"# {name} (gpio)"
        yield f"gpio={bcm}={_level(known[name])}"
    yield "# a kernel that hangs is started again (watchdog)"
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
