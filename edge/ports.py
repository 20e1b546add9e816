"""What the core needs of the world. Adapters fulfil these; `tests/world.py` does so in memory.

A failing world is an exception from here, caught once in the loop: signal *not ready*, the relay
at rest. No port waits: each call returns at once with what there is.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.clock import Now, Sync
from edge.door import DoorAction
from edge.health import Part
from edge.tally import Cell, Closed
from edge.verdict import Believed
from edge.wire import report

Luma = npt.NDArray[np.uint8]


class WorldFailure(Exception):  # the ones below name what failed
    """A device or service failed; the message is one sentence for people."""

    part: Part


class CameraLost(WorldFailure):
    """No camera, or it stopped giving frames."""

    part = "camera"


class DoorLost(WorldFailure):
    """The pins are gone."""

    part = "door"


class StoreLost(WorldFailure):
    """The disk is full, read-only or gone: nothing can be counted, so nothing may open."""

    part = "store"


class VerifierWrong(WorldFailure):
    """This machine judges known codes wrongly: nothing it says may open a door."""

    part = "verifier"


@dataclass(frozen=True, slots=True)
class Frame:
    """What the camera saw."""

    luma: Luma  # uint8, height x width
    seen_s: float  # monotonic seconds


@dataclass(frozen=True, slots=True)
class Symbol:
    """One QR symbol found in a frame."""

    data: bytes
    corners: tuple[tuple[int, int], ...]  # four points in pixels (x, y), from the top left


class Clock(Protocol):
    """Time."""

    def read(self) -> Now:
        """One reading; the loop takes one a tick."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def synced(self, sync: Sync) -> None:
        """Take an authenticated sync; what it contradicts is told in the log."""


class Camera(Protocol):
    """Eyes."""

    def latest(self) -> Frame | None:
        """The newest frame not yet taken, older ones dropped; None: nothing new.

        Raises CameraLost.
        """

    def close(self) -> None:
        """Give the device back."""


class Reader(Protocol):
    """QR decoding."""

    def read(self, luma: Luma) -> tuple[Symbol, ...]:
        """Every QR symbol in the picture. Never raises for what a picture shows."""


class Door(Protocol):
    """The relay, the lights and the buzzer. At rest the relay is off (hardware/README.md)."""

    def apply(self, action: DoorAction) -> None:
        """Start `action` and return at once; it ends by itself. Raises DoorLost."""

    def resting(self) -> bool:
        """Whether the relay is off and may be pulsed again: two openings are two pulses.

        Raises DoorLost while a pin cannot be set; each call tries to bring it to rest.
        """

    def turned(self) -> tuple[int, int]:
        """Turns in and turns out since the last call; (0, 0) where no sensor is wired."""

    def close(self) -> None:
        """Everything at rest; safe to call twice."""


class Store(Protocol):
    """What must outlive a power cut: integers only. Every change is durable when its call returns.

    Each method raises StoreLost.
    """

    installation: str
    session: int  # one more at every start

    def cells(self) -> dict[report.Category, Cell]:
        """The open cells."""

    def begin(self, cells: list[Cell]) -> None:
        """Keep those of `cells` whose category has no open cell yet."""

    def probe(self) -> None:
        """One small durable change: whether the disk still takes one."""

    def count(self, cell: Cell) -> None:
        """One decision more: keep `cell`, which replaces the open one of its category."""

    def close_cells(self, closed: list[Closed]) -> None:
        """Number what leaves the open cells and keep it until it is acknowledged."""

    def unacknowledged(self, most: int) -> list[report.Cell]:
        """The oldest closed cells, rising by number."""

    def acknowledged(self, ack: report.Ack) -> bool:
        """Forget what the collector has stored; False when `ack` does not fit what is kept."""


class Memory(Protocol):
    """What outlives a restart of the program and not a power cut: marks of who passed."""

    def load(self) -> bytes | None:
        """What was saved last in this boot of the computer; None after a power cut."""

    def save(self, data: bytes) -> None:
        """Keep `data` in the place of what was there. Raises StoreLost."""


class Uplink(Protocol):
    """The way to the centre; may be down for days."""

    def send(self, leaf: report.Leaf, payload: bytes) -> None:
        """Hand over a message; what cannot be sent now is dropped and told by `connected`.

        `ask` is sent at most once: a late one would be answered in vain.
        """

    def received(self) -> list[tuple[report.Leaf, bytes]]:
        """What came down since the last call; a bounded queue, the oldest dropped."""

    def connected(self) -> bool:
        """Whether the broker has us now."""

    def close(self) -> None:
        """Say goodbye."""


class TrustSource(Protocol):
    """What keeps the documents that a unit believes, and brings newer ones."""

    def latest(self) -> Believed | None:
        """What is newer than what was asked for last; None: nothing. Never waits, never raises."""
