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
    cells = (pixels.blurred(steps, 3) > least).astype(np.uint8)
    found = sorted(pixels.blobs(cells), reverse=True) if cells.any() else []
    side = 4 * _CELL
    return [
        (left * side, top * side, right * side, bottom * side)
        for area, (left, top, right, bottom) in found[:most]
        if area >= _CELLS_MIN
    ]
