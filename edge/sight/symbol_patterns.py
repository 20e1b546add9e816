"""A QR symbol as a grid of modules: its fixed patterns, and a picture of a grid.

`size` is the number of modules a side: 17 + 4 x version. True is dark. Source: ISO/IEC 18004.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge.sight.frame import Luma

Grid = npt.NDArray[np.bool_]

SIZES = range(21, 178, 4)
FINDER = 3.5
"""From a symbol's corner to the middle of its finder pattern, in modules."""


@lru_cache(maxsize=8)
def fixed_modules(size: int) -> tuple[Grid, Grid]:
    """Which modules are the same in every symbol of this size (size x size), and their values:
    finder, timing and alignment patterns and the one dark module.
    """
    same, dark = (np.zeros((size, size), bool) for _ in range(2))
    for row, column in _alignment(size):
        same[row - 2 : row + 3, column - 2 : column + 3] = True
        dark[row - 2 : row + 3, column - 2 : column + 3] = _rings(5)
    along = np.arange(8, size - 8)
    same[6, along] = same[along, 6] = True
    dark[6, along] = dark[along, 6] = along % 2 == 0
    corner = np.zeros((8, 8), bool)
    corner[:7, :7] = _rings(7)
    corner[2:5, 2:5] = True
    for rows, columns in ((1, 1), (1, -1), (-1, 1)):
        same[::rows, ::columns][:8, :8] = True
        dark[::rows, ::columns][:8, :8] = corner
    same[size - 8, 8] = dark[size - 8, 8] = True
    return same, dark


def picture(grid: Grid) -> Luma:
    """`grid` upright, three pixels a module, with its quiet zone."""
    luma = np.where(grid, 0, 255).astype(np.uint8)
    return np.pad(luma.repeat(3, 0).repeat(3, 1), 12, constant_values=255)


def _rings(side: int) -> Grid:
    """A dark frame around a light one around a dark middle."""
    rings = np.ones((side, side), bool)
    rings[1:-1, 1:-1] = False
    rings[side // 2, side // 2] = True
    return rings


def _alignment(size: int) -> list[tuple[int, int]]:
    """Rows and columns of the middles of the alignment patterns (annex E)."""
    version = (size - 17) // 4
    if version < 2:
        return []
    last, count = size - 7, version // 7 + 2
    step = -(-(last - 6) // (count - 1))
    step = 26 if version == 32 else step + step % 2
    places = [6, *(last - step * i for i in reversed(range(count - 1)))]
    corners = {(6, 6), (6, last), (last, 6)}
    return [(row, column) for row in places for column in places if (row, column) not in corners]
