"""A smaller picture: each of its pixels is the mean of those that it stands for."""

import numpy as np
import numpy.typing as npt

from edge.sight.frame import Luma


def shrink(luma: Luma, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """`luma` (uint8, height x width) as `rows` x `columns`."""
    height, width = luma.shape
    y = np.linspace(0, height, rows, endpoint=False).astype(np.intp)
    x = np.linspace(0, width, columns, endpoint=False).astype(np.intp)
    bands = np.add.reduceat(luma, y, axis=0, dtype=np.uint32)
    summed = np.add.reduceat(bands, x, axis=1)
    pixels = np.diff(y, append=height)[:, None] * np.diff(x, append=width)[None, :]
    shrunk: npt.NDArray[np.float64] = summed / np.maximum(pixels, 1)
    return shrunk
