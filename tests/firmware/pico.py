"""A Pico in the RP2040 emulator (rp2040py), with its wires: UART0, USB, pins, power.

Only what a real bench could touch is touched: the image is loaded as a UF2, keys come over USB,
settings lie on the flash that the firmware itself wrote. Time is the device's own; one of its
seconds may take half a minute of ours.
"""

import time
from pathlib import Path

import pins
from rp2040py.clock.simulation_clock import SimulationClock
from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.memory_map import FLASH_START_ADDRESS
from rp2040py.peripherals.uart import RPUART
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel

WALL_S_MAX = 240  # of ours, for one wait: the emulator itself never gives up


_DR, _FR, _IBRD, _ICR = 0x00, 0x18, 0x24, 0x44
_TX_INTERRUPT, _TX_EMPTY, _TX_FULL, _BUSY = 1 << 5, 1 << 7, 1 << 5, 1 << 3
_FIFO_LEN = 32
_TIMER = 0x40054


class Pl011(RPUART):
    """The emulator's UART, sending as the PL011 does: a byte takes its time on the line.

    rp2040py 0.3.6 sends at once and asserts the transmit interrupt for ever, in which MicroPython's
    handler never comes to an end. The chip asserts it when its FIFO has run down, until cleared
    (RP2040 datasheet, 4.2.6).
    """

    def __init__(self, like: RPUART) -> None:
        super().__init__(like.rp2040, like.name, like.irq, like.dreq)
        self._waiting: list[int] = []
        self._sent = self.rp2040.clock.create_alarm(self._next)

    def reset(self) -> None:
        super().reset()
        self._waiting.clear()

    @property
    def flags(self) -> int:
        flags = super().flags & ~_TX_EMPTY
        if not self._waiting:
            return flags | _TX_EMPTY
        return flags | _BUSY | (_TX_FULL if len(self._waiting) >= _FIFO_LEN else 0)

    def check_interrupts(self) -> None:
        self.rp2040.set_interrupt(self.irq, bool(self._interrupt_status & self._interrupt_mask))

    def write_uint32(self, offset: int, value: int) -> None:
        if offset != _DR:
            super().write_uint32(offset, value)
            return
        if len(self._waiting) < _FIFO_LEN:
            self._waiting.append(value & 0xFF)
        if len(self._waiting) == 1:
            self._sent.schedule(self._byte_ns())

    def _byte_ns(self) -> float:
        return 10 * 1e9 / max(self.baud_rate, 1)

    def _next(self) -> None:
        if not self._waiting:
            return
        byte = self._waiting.pop(0)
        if self.on_byte:
            self.on_byte(byte)
        if self._waiting:
            self._sent.schedule(self._byte_ns())
        if len(self._waiting) <= _FIFO_LEN // 2:
            self._interrupt_status |= _TX_INTERRUPT
            self.check_interrupts()


class Pico:
    """One board. An input is grounded or let go; the firmware's pulls do the rest."""

    def __init__(self, image: Path, baud: int = 115_200, flash: bytes = b"") -> None:
        """`flash`: what another one's flash held, its image and its files."""
        self.simulator = Simulator(rp2040=RP2040(SimulationClock()))
        self.chip = self.simulator.rp2040
        self.chip.load_bootrom(BOOTROM_B1)
        self.chip.logger = ConsoleLogger(LogLevel.ERROR)
        load_uf2(image, self.chip)
        self.chip.flash[: len(flash)] = flash
        self._grounded: set[int] = set()
        for pin in self.chip.gpio:
            pin.add_listener(lambda state, _old, pin=pin: self._wire(pin, state))
        self.usb = USBCDC(self.chip.usb_ctrl)
        self.usb_connected = False
        self.usb.on_device_connected = self._connected
        self.usb_said = bytearray()
        self.usb.on_serial_data = self.usb_said.extend
        self.said = bytearray()  # on UART0, since it was last cleared
        self.answers = 0  # how often the line fell silent after something was said
        self.spoken_untaken = 0  # bytes that were sent while the transceiver listened
        self._bits_end: list[float] = []  # when each byte had left, ms
        self.chip.uart[0] = self.chip.peripherals[0x40034] = Pl011(self.chip.uart[0])
        self.chip.uart[0].on_byte = self._heard
        self._byte_ns = 11 * 10**9 // baud
        self._to_say = bytearray()
        self._speak = self.chip.clock.create_alarm(self._next_byte)
        self.edges: dict[int, list[tuple[float, bool]]] = {}
        self.resets = 0
        self.chip.watchdog.on_watchdog_trigger = self._watchdog

    def _wire(self, pin, state) -> None:
        """A pad reads what it drives; rp2040py 0.3.6 leaves that out."""
        if state in (GPIOPinState.HIGH, GPIOPinState.LOW):
            pin.set_input_value(state == GPIOPinState.HIGH)
        elif pin.index not in self._grounded:
            pin.release_input()

    def _heard(self, byte: int) -> None:
        if not self._bits_end or self.ms - self._bits_end[-1] > 2:
            self.answers += 1
        self._bits_end.append(self.ms)
        self.said.append(byte)
        self.spoken_untaken += not self.driven_high(pins.RS485_DE)

    def last_bit_before(self, at_ms: float) -> float:
        return max(end for end in self._bits_end if end <= at_ms)

    def flash(self) -> bytes:
        """All of its flash: the image, then the files."""
        return bytes(self.chip.flash[: 2 * 1024 * 1024])

    def watchdog_left_ms(self) -> float:
        """The RP2040 counts two for each microsecond (erratum RP2040-E1)."""
        return self.chip.watchdog.timer.counter / 2_000

    def set_watchdog_left(self, ms: float) -> None:
        self.chip.watchdog.timer.set(int(ms * 2_000))

    def stop_ticks(self) -> None:
        """The microsecond timer stands still; everything else runs on."""
        timer = self.chip.peripherals[_TIMER]
        still = {offset: timer.read_uint32(offset) for offset in (0x24, 0x28)}
        read = timer.read_uint32
        timer.read_uint32 = lambda offset: still[offset] if offset in still else read(offset)

    def _connected(self) -> None:
        self.usb_connected = True

    def _watchdog(self) -> None:
        self.resets += 1
        self.chip.enter_reset(from_watchdog=True)
        self.chip.leave_reset()

    @property
    def ms(self) -> float:
        return self.chip.clock.nanos / 1e6

    def watch(self, *pins: int) -> None:
        """Note every change of what these pins drive, from now on."""
        for pin in pins:
            edges = self.edges[pin] = []
            self.chip.gpio[pin].add_listener(
                lambda state, _old, edges=edges: edges.append((self.ms, int(state) == 1))
            )

    def driven_high(self, pin: int) -> bool:
        return self.chip.gpio[pin].output_enable and self.chip.gpio[pin].output_value

    def ground(self, pin: int) -> None:
        self._grounded.add(pin)
        self.chip.gpio[pin].set_input_value(False)

    def let_go(self, pin: int) -> None:
        self._grounded.discard(pin)
        self.chip.gpio[pin].release_input()

    def power_on(self) -> None:
        self.chip.core.pc = FLASH_START_ADDRESS

    def run(self, ms: float, until=lambda: False) -> bool:
        """Let `ms` of device time pass, or less; return whether `until` came true.

        Raises: TimeoutError where that takes too long here.
        """
        end = self.ms + ms
        give_up = time.monotonic() + WALL_S_MAX
        self.simulator.stopped = False
        while not until():
            if self.ms >= end:
                return until()
            if time.monotonic() > give_up:
                raise TimeoutError(f"{ms} ms of the device took more than {WALL_S_MAX} s here")
            self.simulator._execute_batch()
        return True

    def say(self, frame: bytes) -> None:
        """Put `frame` on UART0's line, a byte at a time at the line's pace."""
        self._to_say += frame
        self._speak.schedule(self._byte_ns)

    def _next_byte(self) -> None:
        if self._to_say:
            self.chip.uart[0].feed_byte(self._to_say.pop(0))
            self._speak.schedule(self._byte_ns)

    def type(self, line: bytes) -> None:
        for byte in line:
            self.usb.send_serial_byte(byte)
