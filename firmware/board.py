"""The Pico itself: pins, line, watchdog, USB. Nothing else here touches `machine` but boot.py.

Every output is low until the loop says otherwise, and low again whenever it stops saying so: the
watchdog resets the chip, which pulls every pin down (hardware/pins.toml).
"""

import sys
import time

import inputs
import machine
import pins
from guard import ticks_diff
from machine import UART, Pin

WATCHDOG_MS = 2_000  # longer than the slowest write to the flash, shorter than anybody waits
LINE_LEN = 256  # bytes kept each way: more than any frame (frames.py)
SETTLE_MS = 10  # for the pull-up of a pin that a long cable hangs on
SENT_MS_MAX = 300  # 256 bytes at 9,600 baud; a line held for longer would silence all others

# Which bit each pin makes, and the level that means yes (hardware/pins.toml, `active`).
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


def jumper() -> bool:
    """Whether the pairing jumper is fitted."""
    pin = Pin(pins.PAIRING, Pin.IN, Pin.PULL_UP)
    time.sleep_ms(SETTLE_MS)
    return not pin.value()


def serial() -> bytes:
    """What tells this board from every other."""
    return machine.unique_id()


def now_ms() -> int:
    """Ticks: they wrap at 2**30."""
    return time.ticks_ms()  # type: ignore[return-value]  # the stubs have a type of their own for it


class Board:
    """Outputs at rest from the moment it is made, and the watchdog running."""

    def __init__(self) -> None:
        self._relay = Pin(pins.RELAY, Pin.OUT, value=0)
        self._green = Pin(pins.GREEN, Pin.OUT, value=0)
        self._red = Pin(pins.RED, Pin.OUT, value=0)
        self._buzzer = Pin(pins.BUZZER, Pin.OUT, value=0)
        self._heartbeat = Pin(pins.HEARTBEAT, Pin.OUT, value=0)
        self._inputs = tuple((Pin(pin, Pin.IN, Pin.PULL_UP), bit, yes) for pin, bit, yes in _INPUTS)
        self._de = Pin(pins.RS485_DE, Pin.OUT, value=0)
        self._watchdog = machine.WDT(timeout=WATCHDOG_MS)
        time.sleep_ms(SETTLE_MS)

    def feed(self) -> None:
        """Not yet: for another `WATCHDOG_MS` the chip is not reset."""
        self._watchdog.feed()

    def levels(self) -> int:
        """The inputs as they are at this moment: bits of inputs.py, and they bounce."""
        levels = 0
        for pin, bit, yes in self._inputs:
            if pin.value() == yes:
                levels |= bit
        return levels

    def show(self, relay: bool, green: bool, red: bool, buzzer: bool, heartbeat: bool) -> bool:
        """Set the outputs; return whether the relay's pin then is as it was told."""
        self._relay.value(relay)
        self._green.value(green)
        self._red.value(red)
        self._buzzer.value(buzzer)
        self._heartbeat.value(heartbeat)
        return self._relay.value() == relay

    def rest(self) -> None:
        """Everything off, the line let go."""
        self._de.value(0)
        self.show(False, False, False, False, False)


class Line:
    """UART0 towards the unit, through an RS-485 transceiver or straight."""

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
        self._sent_ms = 0

    def read(self) -> bytes:
        """What came since; empty where nothing did."""
        return self._uart.read() or b"" if self._uart.any() else b""

    def write(self, frame: bytes) -> None:
        """Take the line and start to send; `turn` lets go of it."""
        self._de.value(1)
        self._sending = True
        self._sent_ms = now_ms()
        self._uart.write(frame)

    def update(self) -> None:
        """Let go of the line as soon as the last bit has left, and in any case soon."""
        if self._sending:
            held_ms = ticks_diff(now_ms(), self._sent_ms)
            if self._uart.txdone() or not 0 <= held_ms < SENT_MS_MAX:
                self._de.value(0)
                self._sending = False


class Usb:
    """The serial port of the USB socket, which is there only while the jumper is fitted."""

    def __init__(self) -> None:
        import select

        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)

    def read(self) -> bytes:
        """A byte that came, empty where none did."""
        return sys.stdin.buffer.read(1) if self._poll.poll(0) else b""

    def write(self, answer: bytes) -> None:
        sys.stdout.buffer.write(answer)
