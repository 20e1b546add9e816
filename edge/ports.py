"""What the core needs of the world. Adapters fulfil these; `tests/world.py` does so in memory.

A failing world is an exception from here, caught once in the loop: signal *not ready*, the relay
at rest. No port waits: each call returns at once with what there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edge.inputs import Inputs as Inputs

if TYPE_CHECKING:  # the decoder's process needs a Symbol, and not 10 MiB of what judges it
    from edge.clock import Now, Sync
    from edge.door import DoorAction
    from edge.health import Part, Trouble
    from edge.tally import Cell, Closed
    from edge.verdict import Believed
    from edge.wire import report

if TYPE_CHECKING:  # numpy is of the extra `unit`: without it the command still answers --help
    import numpy as np
    import numpy.typing as npt

    Luma = npt.NDArray[np.uint8]
else:
    Luma = Any


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
class Exposure:
    """How the sensor took a frame, as its driver tells."""

    shutter_us: int
    gain: float  # analogue and digital together; 1 is none
    lens_dioptres: float | None = None  # 1 / metres; None: a fixed lens


@dataclass(frozen=True, slots=True)
class Frame:
    """What the camera saw. Whoever keeps a frame copies it: its memory may be the driver's."""

    luma: Luma  # uint8, height x width
    seen_s: float  # monotonic seconds, by the sensor's timestamp where it has one
    small: Luma | None = None  # the same at low resolution, where the camera gives one
    exposure: Exposure | None = None


Corners = tuple[tuple[int, int], ...]
"""Four points in pixels (x, y) of the frame, clockwise from the symbol's own top left."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One QR symbol that was read."""

    data: bytes
    corners: Corners  # empty: an imager gave the text and not the place


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen in one frame, or told by an imager."""

    seen_s: float  # monotonic seconds, of the frame
    symbols: tuple[Symbol, ...] = ()
    unread: tuple[Corners, ...] = ()  # where something looks like a QR symbol and was not read
    size: tuple[int, int] = (0, 0)  # width, height of the frame in pixels; (0, 0): an imager
    dim: bool = False  # the illuminator is wanted
    trouble: Trouble | None = None
    steps: tuple[tuple[str, float], ...] = ()
    """What the decoder tried on this frame, in its order, and the ms of each; empty: nothing had
    moved since the frame before, whose symbols these are."""


class Clock(Protocol):
    """Time."""

    def read(self) -> Now:
        """One reading; the loop takes one a tick."""

    def synced(self, sync: Sync) -> None:
        """Take an authenticated sync; what it contradicts is told in the log."""


class Camera(Protocol):
    """A camera; `adapters/symbols.py` reads what it sees."""

    def latest(self) -> Frame | None:
        """The newest frame not yet taken, older ones dropped; None: nothing new.

        Raises CameraLost.
        """

    def close(self) -> None:
        """Give the device back."""


class Eyes(Protocol):
    """What is shown at the door: a camera and its decoder, or an imager."""

    def latest(self) -> Sighting | None:
        """The newest sighting not yet taken; None: nothing new. Never waits. Raises CameraLost.

        One with symbols may wait half a second for its taker, though a frame without any followed.
        """

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a new sighting."""

    def close(self) -> None:
        """Give the device back."""


class Door(Protocol):
    """The relay, the lights and the buzzer. At rest the relay is off (hardware/README.md)."""

    def apply(self, action: DoorAction) -> None:
        """Start `action` and return at once; it ends by itself. Raises DoorLost."""

    def resting(self) -> bool:
        """Whether the relay is off and may be pulsed again: two openings are two pulses.

        Raises DoorLost while a pin cannot be set; each call tries to bring it to rest.
        """

    def illuminate(self, on: bool) -> None:
        """Light what is held before the camera, or cease to. Raises DoorLost."""

    def turned(self) -> tuple[int, int]:
        """Turns in and turns out since the last call; (0, 0) where no sensor is wired."""

    def inputs(self) -> Inputs:
        """What the door says now. Raises DoorLost."""

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
