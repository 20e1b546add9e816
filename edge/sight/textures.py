"""Regions of a frame with a pattern as fine as a QR symbol's: cheap, and often wrong.

A symbol has steps in both directions everywhere; an edge has them in one, a wall in none, and
noise is averaged away first. A frame of 1280 x 720 takes about 0.3 ms, a seventh of zxing-cpp's
time on an empty hall.
"""

import numpy as np

from edge.sight import pixels
from edge.sight.boxes import Box
from edge.sight.frame import Luma

WHOLE_MAX = 400 * 400
"""A picture of so few pixels is one region."""

_CELL = 4  # pixels of the quarter-size frame: 16 of the frame itself
_STEP_MIN = 6.0  # a mean step of luma from which a cell is patterned, in a frame that is lit
_STEP_FAINT = 2.5  # never less; between the two, only where it is square
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
    noise = _ABOVE_NOISE * min(quiet, 7.5)  # patterned all over: no quiet quarter
    least = max(noise, min(_STEP_MIN, max(_STEP_FAINT, _STEP_DARK * float(small.mean()))))
    smooth = pixels.blurred(steps, 3)
    strongest = float(smooth.max())
    boxes: list[Box] = []
    if strongest > least:
        for level in (max(least, _STRONG * strongest), least):
            boxes += [
                box
                for area, box in _parts(smooth, level)
                if area >= _CELLS_MIN and not any(_alike(box, other) for other in boxes)
            ]
    else:
        boxes = [box for area, box in _parts(smooth, max(noise, _STEP_FAINT)) if _square(area, box)]
    side = 4 * _CELL
    return [
        (left * side, top * side, right * side, bottom * side)
        for left, top, right, bottom in boxes[:most]
    ]


def _parts(steps: Luma, level: float) -> list[tuple[int, Box]]:
    """What is above `level`, the largest first: its cells and its box."""
    return sorted(pixels.blobs((steps > level).astype(np.uint8)), reverse=True)


def _square(cells: int, box: Box) -> bool:
    """Whether it fills a box that is nearly square: a faint hall has edges and no such place."""
    wide, high = box[2] - box[0], box[3] - box[1]
    return cells >= 4 * _CELLS_MIN and cells > 0.65 * wide * high and 0.6 < wide / high < 1.7


def _alike(one: Box, other: Box) -> bool:
    """Whether they share most of the larger."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return min(wide, high) > 0 and wide * high > 0.5 * max(areas)
