"""Read and check `pins.toml`: the use of each pin, and one sentence for each broken rule."""

from collections.abc import Iterator
from importlib import resources
from typing import Literal

import msgspec

from edge.wire.decode import decode_toml

DOWN_AT_RESET = range(9, 28)
"""BCM numbers that the Pi pulls down until a program starts (pins.toml, source "reset")."""

UART = {14, 15}
"""The Pi's serial port; they move at boot."""

RESERVED = {0, 1, 2, 3} | UART
"""Pins with another use: HAT EEPROM, I2C with the clock, UART with the controller."""

RELAY = {17, *range(22, 28)}
"""Pins allowed for the relay: pulled down at reset and stable at boot."""

PICO_GPIOS = {*range(23), 26, 27, 28}
"""GPIO numbers on a Pico's pins (Raspberry Pi Pico Datasheet, 2.1); the board uses 23, 24, 29."""

PICO_LED = 25
"""The board's own LED, not on a pin (same source)."""

PICO_LAST = 28
"""The last GPIO that a program may use alone; 29 measures the supply (same source)."""

UART0_TX = {0, 12, 16, 28}
UART0_RX = {1, 13, 17, 29}
"""Pins allowed for the controller's UART0 (RP2040 Datasheet, 1.4.3, GPIO functions, F2)."""

HEADER = {
    2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19,
    9: 21, 25: 22, 11: 23, 8: 24, 7: 26, 0: 27, 1: 28, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35,
    16: 36, 26: 37, 20: 38, 21: 40,
}  # fmt: skip
"""Broadcom number to position on the 40-pin header (pins.toml, source "header"); a test compares it
with gpiozero's boards."""

PICO = {
    0: 1, 1: 2, 2: 4, 3: 5, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12, 10: 14, 11: 15, 12: 16, 13: 17,
    14: 19, 15: 20, 16: 21, 17: 22, 18: 24, 19: 25, 20: 26, 21: 27, 22: 29, 26: 31, 27: 32, 28: 34,
}  # fmt: skip
"""GPIO number to pin of a Pico (Raspberry Pi Pico Datasheet, 2.1)."""

_OUT = "output"


class _PinRow(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    direction: Literal["input", "output"]
    active: Literal["high", "low"]
    role: str
    why: str
    source: list[str]
    pull: Literal["up", "down"] | None = None


class UnitPin(_PinRow, forbid_unknown_fields=True, kw_only=True):
    """A pin of the unit, by its Broadcom number."""

    bcm: int


class ControllerPin(_PinRow, forbid_unknown_fields=True, kw_only=True):
    """A pin of the controller, by its GPIO number."""

    gp: int


class PinsFile(msgspec.Struct, forbid_unknown_fields=True):
    """The whole file."""

    sources: dict[str, str]
    pins: dict[str, UnitPin]
    controller: dict[str, ControllerPin]


def read() -> PinsFile:
    """Read the shipped file."""
    text = resources.files("hardware").joinpath("pins.toml").read_bytes()
    return decode_toml(text, PinsFile)


def violations(file: PinsFile) -> Iterator[str]:
    """Yield one sentence for each broken rule."""
    yield from _unit_violations(file)
    yield from _controller_violations(file)


def _unit_violations(file: PinsFile) -> Iterator[str]:
    users: dict[int, str] = {}
    for name, pin in file.pins.items():
        yield from _shared_pin(name, pin.bcm, users)
        if pin.bcm in RESERVED:
            yield f"{name} is on a pin that has another use"
        if pin.direction == _OUT and (pin.active != "high" or pin.bcm not in DOWN_AT_RESET):
            yield f"{name} would be on while booting"
        yield from _row_violations(name, pin, file.sources)
    if file.pins["relay"].bcm not in RELAY:
        yield "relay is on a pin that changes at boot"
    if file.pins["relay"].direction != _OUT:
        yield "relay is not an output"


def _controller_violations(file: PinsFile) -> Iterator[str]:
    users: dict[int, str] = {}
    for name, pin in file.controller.items():
        label = f"the controller's {name}"
        yield from _shared_pin(label, pin.gp, users)
        if not 0 <= pin.gp <= PICO_LAST:
            yield f"{label} is on a GPIO that a Pico does not have"
        elif pin.gp not in PICO_GPIOS and (name, pin.gp) != ("heartbeat", PICO_LED):
            yield f"{label} is on a GPIO that the Pico itself uses"
        if pin.direction == _OUT and pin.active != "high":
            yield f"{label} would be on while starting"
        yield from _row_violations(label, pin, file.sources)
    if file.controller["uart_tx"].gp not in UART0_TX:
        yield "the controller's uart_tx is on a pin that UART0 cannot send on"
    if file.controller["uart_rx"].gp not in UART0_RX:
        yield "the controller's uart_rx is on a pin that UART0 cannot receive on"
    if file.controller["relay"].direction != _OUT:
        yield "the controller's relay is not an output"


def _shared_pin(name: str, number: int, users: dict[int, str]) -> Iterator[str]:
    if number in users:
        yield f"{name} has the same pin as {users[number]}"
    users[number] = name


def _row_violations(name: str, pin: _PinRow, sources: dict[str, str]) -> Iterator[str]:
    if pin.direction == _OUT and pin.pull is not None:
        yield f"{name} is an output with a pull"
    if pin.direction != _OUT and pin.pull is None:
        yield f"{name} is an input without a pull"
    if any(source not in sources for source in pin.source):
        yield f"{name} names a source that is not in [sources]"
    if not (pin.source and pin.role and pin.why):
        yield f"{name} needs a role, a reason (why) and a source"
