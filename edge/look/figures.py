"""The figures of one frame. No field could hold a code's text."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from edge.look import grid, sharpness
from edge.parts import Trouble
from edge.sight.frame import Corners, Exposure, Frame, Luma, Sighting, Symbol
from edge.wire import code
from edge.wire.foreign_formats import FORMATS

DOOR_CODES = (code.PREFIX, *(each.prefix for each in FORMATS.values()))
"""How the text of a door code begins, ours and the foreign ones that units understand."""

CLIPPED = 250  # luma from which on a highlight is white whatever it was

LEAST_SIDE = 64  # pixels; what is smaller is measured with some of its surroundings

Kind = Literal["door", "other", "unread"]


@dataclass(frozen=True, slots=True)
class Region:
    """Where a symbol is, or something that looks like one. Lengths in pixels of the frame."""

    kind: Kind  # a door code, a QR symbol of something else, or not read
    corners: Corners
    side_px: float
    tilt_degrees: float
    modules: int | None = None  # on a side; None: the pattern of a QR symbol is not to be seen
    module_px: float | None = None
    contrast: float | None = None  # luma between light and dark modules


@dataclass(frozen=True, slots=True)
class Light:
    """Luma of what is measured, 0 to 255."""

    mean: float
    clipped: float  # share of pixels that are white whatever they were


Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the frame; the last two exclusive."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One look at one frame."""

    size: tuple[int, int]  # width, height
    regions: tuple[Region, ...]  # the one that counts comes first
    measured: Box  # where sharpness and light are measured: that region, or the middle
    edge_px: float | None  # how wide its edges are; None: it has none
    light: Light
    frame_mean: float  # luma of the whole frame
    exposure: Exposure | None
    dim: bool
    trouble: Trouble | None
    steps: tuple[tuple[str, float], ...]  # what the decoder tried and the ms of each

    @property
    def first(self) -> Region | None:
        """The region that the advice is about."""
        return self.regions[0] if self.regions else None

    @property
    def sharpness(self) -> int | None:
        """0 to 100, larger is sharper, without an end that could be reached."""
        return None if self.edge_px is None else round(100 / (1 + (self.edge_px / 1.5) ** 2))

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"sharpness": self.sharpness}


def measure(frame: Frame, sighting: Sighting) -> Figures:
    """All figures of `frame`, in which the decoder saw `sighting`."""
    luma = frame.luma
    height, width = luma.shape
    regions = [
        _region("door" if is_door_code(s) else "other", s.corners, luma)
        for s in sighting.symbols
        if len(s.corners) == 4
    ]
    regions += [_region("unread", c, luma) for c in sighting.unread if len(c) == 4]
    regions.sort(key=_weight, reverse=True)
    box = _around(regions[0].corners, width, height) if regions else _middle(width, height)
    left, top, right, bottom = box
    part = luma[top:bottom, left:right]
    return Figures(
        size=(width, height),
        regions=tuple(regions),
        measured=box,
        edge_px=sharpness.edge_width(part),
        light=Light(float(part.mean()), float((part >= CLIPPED).mean())),
        frame_mean=float(luma[::4, ::4].mean()),
        exposure=frame.exposure,
        dim=sighting.dim,
        trouble=sighting.trouble,
        steps=sighting.steps,
    )


def is_door_code(symbol: Symbol) -> bool:
    """Whether it begins like a door code; nothing is verified."""
    return symbol.data.startswith(DOOR_CODES)


def _region(kind: Kind, corners: Corners, luma: Luma) -> Region:
    side, tilt = grid.side_px(corners), grid.tilt_degrees(corners)
    match = grid.find(luma, corners)
    if match is None:
        return Region(kind, corners, side, tilt)
    return Region(kind, corners, side, tilt, match.modules, side / match.modules, match.contrast)


def _weight(region: Region) -> tuple[int, float]:
    """A door code before what might be one, that before a poster; the larger before the smaller."""
    return ("other", "unread", "door").index(region.kind), region.side_px


def _around(corners: Corners, width: int, height: int) -> Box:
    points = np.array(corners)
    least, most = points.min(0), points.max(0)
    more = np.maximum(LEAST_SIDE - (most - least), 0) // 2
    left, top = np.clip(least - more, 0, (max(0, width - 8), max(0, height - 8)))
    right, bottom = np.clip(most + more + 1, (left + 8, top + 8), (width, height))
    return int(left), int(top), int(right), int(bottom)


def _middle(width: int, height: int) -> Box:
    side = sharpness.SIDE_MAX
    left, top = max(0, width - side) // 2, max(0, height - side) // 2
    return left, top, width - left, height - top
