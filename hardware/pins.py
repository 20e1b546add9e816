"""`pins.toml`, read and judged: what each pin is for, and one sentence for each rule it breaks."""

from collections.abc import Iterator
from importlib import resources
from typing import Literal

import msgspec

from edge.wire.decode import decode_toml

DOWN_AT_RESET = range(9, 28)
"""BCM numbers that the Pi pulls down until a program starts (pins.toml, source "reset")."""

UART = {14, 15}
"""The Pi's serial port; they move at boot."""

TAKEN = {0, 1, 2, 3} | UART
"""HAT EEPROM, I2C with the clock, UART with the controller."""

RELAY = {17, *range(22, 28)}
"""Where a relay may be: pulled down at reset, and used by nothing that moves at boot."""

ON_A_PICO = {*range(23), 26, 27, 28}
"""GPIO numbers on a Pico's pins (Raspberry Pi Pico Datasheet, 2.1); 23, 24, 29 serve the board."""

PICO_LED = 25
"""The board's own LED, on no pin (the same)."""

PICO_LAST = 28
"""The last GPIO that a program may have to itself; 29 measures the supply (the same)."""

UART0_TX = {0, 12, 16, 28}
UART0_RX = {1, 13, 17, 29}
"""Where the controller's UART0 may be (RP2040 Datasheet, 1.4.3, GPIO functions, F2)."""

HEADER = {
    2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19,
    9: 21, 25: 22, 11: 23, 8: 24, 7: 26, 0: 27, 1: 28, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35,
    16: 36, 26: 37, 20: 38, 21: 40,
}  # fmt: skip
"""Broadcom number to place on the 40-pin header (pins.toml, source "header"); a test holds it to
gpiozero's boards."""

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
    """The file as it is shipped."""
    text = resources.files("hardware").joinpath("pins.toml").read_bytes()
    return decode_toml(text, PinsFile)


def wrongs(file: PinsFile) -> Iterator[str]:
    """One sentence for each rule that a pin breaks."""
    yield from _unit_wrongs(file)
    yield from _controller_wrongs(file)


def _unit_wrongs(file: PinsFile) -> Iterator[str]:
    taken: dict[int, str] = {}
    for name, pin in file.pins.items():
        yield from _used_twice(name, pin.bcm, taken)
        if pin.bcm in TAKEN:
            yield f"{name} is on a pin that others need"
        if pin.direction == _OUT and (pin.active != "high" or pin.bcm not in DOWN_AT_RESET):
            yield f"{name} would be on while booting"
        yield from _said(name, pin, file.sources)
    if file.pins["relay"].bcm not in RELAY:
        yield "relay is on a pin that moves at boot"
    if file.pins["relay"].direction != _OUT:
        yield "relay is no output"


def _controller_wrongs(file: PinsFile) -> Iterator[str]:
    taken: dict[int, str] = {}
    for name, pin in file.controller.items():
        of = f"the controller's {name}"
        yield from _used_twice(of, pin.gp, taken)
        if not 0 <= pin.gp <= PICO_LAST:
            yield f"{of} is on a GPIO that a Pico does not have"
        elif pin.gp not in ON_A_PICO and (name, pin.gp) != ("heartbeat", PICO_LED):
            yield f"{of} is on a GPIO that the Pico keeps for itself"
        if pin.direction == _OUT and pin.active != "high":
            yield f"{of} would be on while starting"
        yield from _said(of, pin, file.sources)
    if file.controller["uart_tx"].gp not in UART0_TX:
        yield "the controller's uart_tx is on a pin that UART0 cannot send on"
    if file.controller["uart_rx"].gp not in UART0_RX:
        yield "the controller's uart_rx is on a pin that UART0 cannot listen on"
    if file.controller["relay"].direction != _OUT:
        yield "the controller's relay is no output"


def _used_twice(name: str, number: int, taken: dict[int, str]) -> Iterator[str]:
    if number in taken:
        yield f"{name} has the pin of {taken[number]}"
    taken[number] = name


def _said(name: str, pin: _PinRow, sources: dict[str, str]) -> Iterator[str]:
    if pin.direction == _OUT and pin.pull is not None:
        yield f"{name} is an output with a pull"
    if pin.direction != _OUT and pin.pull is None:
        yield f"{name} floats"
    if any(source not in sources for source in pin.source):
        yield f"{name} names no source"
    if not (pin.source and pin.role and pin.why):
        yield f"{name} gives no reason"
