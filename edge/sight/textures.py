"""Where in a frame something is as finely patterned as a QR symbol: cheap, and often wrong.

A symbol has steps in both directions everywhere; an edge has them in one, a wall in none, and
noise is averaged away first. A frame of 1280 x 720 takes about 0.3 ms, a seventh of zxing-cpp's
time on an empty hall.
"""

import numpy as np

from edge.ports import Luma
from edge.sight import pixels
from edge.sight.pixels import Box

WHOLE_MAX = 400 * 400
"""A picture of so few pixels is one region."""

_CELL = 4  # pixels of the quarter-size frame: 16 of the frame itself
_STEP_MIN = 6.0  # a mean step of luma from which a cell is patterned, in a frame that is lit
_STEP_DARK = 0.15  # of the mean of a frame darker than 40: there less will do
_ABOVE_NOISE = 2.0  # times the step in the frame's quiet quarter
_STRONG = 0.35  # of the strongest step: a symbol by itself, without what is patterned around it
_CELLS_MIN = 9


def find(luma: Luma, most: int = 3) -> list[Box]:
    """Boxes in pixels of the frame, the largest first; none where nothing is patterned."""
    high, wide = luma.shape
    if high * wide <= WHOLE_MAX:
        return [(0, 0, wide, high)]
    small = pixels.halved(pixels.halved(luma))
    if min(small.shape) <= 4 * _CELL:
        return []
    steps = pixels.slopes(small, _CELL)
    quiet = float(np.partition(steps, steps.size // 4, axis=None)[steps.size // 4])
    least = min(_STEP_MIN, max(2.5, _STEP_DARK * float(small.mean())))
    least = max(least, _ABOVE_NOISE * min(quiet, 7.5))  # patterned all over: no quiet quarter
    smooth = pixels.blurred(steps, 3)
    strongest = float(smooth.max())
    if strongest <= least:
        return []
    side = 4 * _CELL
    boxes: list[Box] = []
    for level in (max(least, _STRONG * strongest), least):
        for area, box in sorted(pixels.blobs((smooth > level).astype(np.uint8)), reverse=True):
            if area >= _CELLS_MIN and not any(_alike(box, other) for other in boxes):
                boxes.append(box)
    return [tuple(side * edge for edge in box) for box in boxes[:most]]  # type: ignore[misc]


def _alike(one: Box, other: Box) -> bool:
    """Whether they share most of the larger."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return min(wide, high) > 0 and wide * high > 0.5 * max(areas)
