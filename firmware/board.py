"""The Pico's hardware: pins, line, watchdog, USB. Only this file and boot.py use `machine`.

Every output is low until the loop sets it. If the loop stops, the watchdog resets the chip, which
pulls every pin down (hardware/pins.toml).
"""

import sys
import time

import inputs
import machine
import pins
from guard import ticks_diff
from machine import UART, Pin

WATCHDOG_MS = 2_000  # longer than the slowest write to the flash, short enough at a door
LINE_LEN = 256  # bytes of buffer each way: more than any frame (frames.py)
SETTLE_MS = 10  # for the pull-up of a pin with a long cable
SENDING_MS_MAX = 300  # 256 bytes at 9,600 baud; a longer transmission blocks the other devices

# Pin, bit, and the level that means active (hardware/pins.toml, `active`).
_INPUTS = (
    (pins.CONTACT, inputs.CONTACT, 1),
    (pins.EXIT_BUTTON, inputs.EXIT_BUTTON, 0),
    (pins.FIRE, inputs.FIRE, 1),
    (pins.HELP_BUTTON, inputs.HELP_BUTTON, 0),
    (pins.TURN, inputs.TURN, 0),
    (pins.TURN_OUT, inputs.TURN_OUT, 0),
    (pins.TAMPER, inputs.TAMPER, 1),
    (pins.REARM, inputs.REARM, 0),
)


def is_jumper_fitted() -> bool:
    """Whether the pairing jumper is fitted."""
    pin = Pin(pins.PAIRING, Pin.IN, Pin.PULL_UP)
    time.sleep_ms(SETTLE_MS)
    return not pin.value()


def serial() -> bytes:
    """Return the number that identifies this board."""
    return machine.unique_id()


def now_ms() -> int:
    """Return milliseconds that wrap at 2**30."""
    return time.ticks_ms()  # type: ignore[return-value]  # the stubs use a special type


class Board:
    """Pins and watchdog. Creating it turns all outputs off and starts the watchdog."""

    def __init__(self) -> None:
        self._relay = Pin(pins.RELAY, Pin.OUT, value=0)
        self._green = Pin(pins.GREEN, Pin.OUT, value=0)
        self._red = Pin(pins.RED, Pin.OUT, value=0)
        self._buzzer = Pin(pins.BUZZER, Pin.OUT, value=0)
        self._heartbeat = Pin(pins.HEARTBEAT, Pin.OUT, value=0)
        self._inputs = tuple(
            (Pin(pin, Pin.IN, Pin.PULL_UP), bit, active) for pin, bit, active in _INPUTS
        )
        self._de = Pin(pins.RS485_DE, Pin.OUT, value=0)
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        time.sleep_ms(SETTLE_MS)

    def feed(self) -> None:
        """Restart the watchdog's timeout of `WATCHDOG_MS`."""
        self._watchdog.feed()

    def read_levels(self) -> int:
        """Return the inputs now, not debounced: bits of inputs.py."""
        levels = 0
        for pin, bit, active in self._inputs:
            if pin.value() == active:
                levels |= bit
        return levels

    def set_outputs(
        self, relay: bool, green: bool, red: bool, buzzer: bool, heartbeat: bool
    ) -> bool:
        """Set the outputs; return whether the relay's pin then has that level."""
        self._relay.value(relay)
        self._green.value(green)
        self._red.value(red)
        self._buzzer.value(buzzer)
        self._heartbeat.value(heartbeat)
        return self._relay.value() == relay

    def turn_off(self) -> None:
        """Turn every output off and release the line."""
        self._de.value(0)
        self.set_outputs(False, False, False, False, False)


class Line:
    """UART0 to the unit, through an RS-485 transceiver or directly."""

    def __init__(self, baud: int) -> None:
        self._de = Pin(pins.RS485_DE, Pin.OUT, value=0)
        Pin(pins.UART_RX, Pin.IN, Pin.PULL_UP)  # a cut wire reads as an idle line
        self._uart = UART(
            0,
            baudrate=baud,
            tx=Pin(pins.UART_TX),
            rx=Pin(pins.UART_RX),
            txbuf=LINE_LEN,
            rxbuf=LINE_LEN,
            timeout=0,
            timeout_char=0,
        )
        self._sending = False
        self._send_start_ms = 0

    def read(self) -> bytes:
        """Return the bytes since the last call; may be empty."""
        return self._uart.read() or b"" if self._uart.any() else b""

    def write(self, frame: bytes) -> None:
        """Drive the line and start to send; `update` releases it."""
        self._de.value(1)
        self._sending = True
        self._send_start_ms = now_ms()
        self._uart.write(frame)

    def update(self) -> None:
        """Release the line after the last bit, at the latest after `SENDING_MS_MAX`."""
        if self._sending:
            sending_ms = ticks_diff(now_ms(), self._send_start_ms)
            if self._uart.txdone() or not 0 <= sending_ms < SENDING_MS_MAX:
                self._de.value(0)
                self._sending = False


class Usb:
    """The serial port over USB, which exists only if the jumper was fitted at power-on."""

    def __init__(self) -> None:
        import select

        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self) -> bytes:
        """Return one received byte, or empty."""
        return sys.stdin.buffer.read(1) if self._poll.poll(0) else b""

    def write(self, reply: bytes) -> None:
        sys.stdout.buffer.write(reply)
