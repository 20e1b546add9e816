"""What a camera saw in one frame, and the QR symbols that were read in it: plain values."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge.parts import Trouble

if TYPE_CHECKING:  # numpy is of the extra `unit`: without it the command still answers --help
    import numpy as np
    import numpy.typing as npt

    Luma = npt.NDArray[np.uint8]
else:
    Luma = Any


@dataclass(frozen=True, slots=True)
class Exposure:
    """How the sensor took a frame, as its driver reports it."""

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
    """What was seen in one frame, or read by an imager."""

    seen_s: float  # monotonic seconds, of the frame
    symbols: tuple[Symbol, ...] = ()
    unread: tuple[Corners, ...] = ()  # where something looks like a QR symbol and was not read
    size: tuple[int, int] = (0, 0)  # width, height of the frame in pixels; (0, 0): an imager
    dim: bool = False  # the illuminator is wanted
    trouble: Trouble | None = None
    steps: tuple[tuple[str, float], ...] = ()
    """What the decoder tried on this frame, in its order, and the ms of each; empty: nothing had
    moved since the frame before, whose symbols these are."""
