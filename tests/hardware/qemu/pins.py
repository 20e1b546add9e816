"""The guest's pins from outside: read, driven and watched through QEMU's qtest socket.

Source: BCM2835 ARM Peripherals (2012), chapter 6, General Purpose I/O; a Pi 3's peripherals begin
at 0x3f000000 for the processor (there: 0x7e000000, the bus address).
"""

import socket
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from queue import Empty, Queue

GPFSEL0 = 0x3F20_0000  # 6.1, GPIO Function Select Registers: ten pins of three bits in each
GPSET0 = 0x3F20_001C  # 6.1, GPIO Pin Output Set Register 0
GPCLR0 = 0x3F20_0028  # 6.1, GPIO Pin Output Clear Register 0
GPLEV0 = 0x3F20_0034  # 6.1, GPIO Pin Level Register 0

DEVICE = "/machine/soc/peripherals/gpio"  # QEMU's own name of it


class Function(IntEnum):
    """What a pin is, by its bits in GPFSEL (6.1, table 6-2); the six others are ALT0 to ALT5."""

    INPUT = 0
    OUTPUT = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """An output that moved, at the host's monotonic time."""

    pin: int
    high: bool
    at_s: float


class QemuPins:
    """QEMU's GPIO block behind a connected qtest socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers: Queue[str] = Queue()
        self._lock = threading.Condition()
        self._edges: list[Edge] = []
        self._reader = threading.Thread(target=self._read, name="qtest", daemon=True)
        self._reader.start()
        self._ask(f"irq_intercept_out {DEVICE}")

    def function(self, pin: int) -> int:
        """Its function now: a `Function`, or the number of an alternate one."""
        return self._register(GPFSEL0 + pin // 10 * 4) >> pin % 10 * 3 & 0b111

    def level(self, pin: int) -> bool:
        """Whether its level register says high. Of an input it is what was driven last, for there
        are no pulls here.
        """
        return bool(self._register(GPLEV0) >> pin & 1)

    def driven_high(self, pin: int) -> bool:
        """Whether the chip itself holds it high: an output whose level is high."""
        return self.function(pin) == Function.OUTPUT and self.level(pin)

    def drive(self, pin: int, high: bool) -> None:
        """Set the level of an input, as a wire from outside does.

        QEMU keeps one level a pin, whoever set it, so this is what the guest reads then.
        """
        assert self.function(pin) == Function.INPUT, f"pin {pin} is driven by the guest itself"
        self._ask(f"writel {GPSET0 if high else GPCLR0:#x} {1 << pin:#x}")

    def edges(self, pin: int, since_s: float = 0.0) -> list[Edge]:
        """Every change of this output since `since_s`, told by QEMU as it happens.

        QEMU tells a level only where it differs from the one it told last: a pin that was high when
        its program died is told to fall and rise only after it has fallen once more.
        """
        with self._lock:
            return [edge for edge in self._edges if edge.pin == pin and edge.at_s >= since_s]

    def wait(self, pin: int, high: bool, since_s: float, most_s: float) -> Edge | None:
        """The first such edge since then, or None when it does not come within `most_s`."""
        until_s = time.monotonic() + most_s
        with self._lock:
            while True:
                for edge in self._edges:
                    if edge.pin == pin and edge.high == high and edge.at_s >= since_s:
                        return edge
                if not self._lock.wait(max(0.0, until_s - time.monotonic())):
                    return None

    def _register(self, address: int) -> int:
        return int(self._ask(f"readl {address:#x}"), 16)

    def _ask(self, command: str) -> str:
        self._connection.sendall(command.encode() + b"\n")
        try:
            answer = self._answers.get(timeout=30)
        except Empty:
            raise ConnectionError(f"QEMU does not answer {command!r}") from None
        assert answer.startswith("OK"), f"{command}: {answer}"
        return answer[2:].strip()

    def _read(self) -> None:
        """`IRQ raise 17`, `IRQ lower 17`, or the answer to a command."""
        with self._connection.makefile() as lines:
            for line in lines:
                at_s = time.monotonic()
                if not line.startswith("IRQ "):
                    self._answers.put(line.strip())
                    continue
                _, what, pin = line.split()
                with self._lock:
                    self._edges.append(Edge(int(pin), what == "raise", at_s))
                    self._lock.notify_all()
