"""Symbols that nobody can use again: a screen with a code on it can be photographed.

The middle of each is filled with grey. What is left are its corners and rim, enough to aim and
to focus by, and less than any error correction can restore (level H restores 30 %; ISO/IEC 18004,
6.5).
"""

from collections.abc import Iterable

import numpy as np

from edge.sight.frame import Corners, Luma

SHARE = 0.7  # of each side, so half of the modules


def covered(luma: Luma, symbols: Iterable[Corners]) -> Luma:
    """A copy of `luma` with the middle of each of `symbols` filled."""
    shown = luma.copy()
    height, width = luma.shape
    for corners in symbols:
        points = np.array(corners, float)
        points = points.mean(0) + SHARE * (points - points.mean(0))
        left, top = np.clip(np.floor(points.min(0)), 0, (width, height)).astype(int)
        right, bottom = np.clip(np.ceil(points.max(0)) + 1, 0, (width, height)).astype(int)
        part = shown[top:bottom, left:right]
        if part.size == 0:
            continue
        y, x = np.mgrid[top:bottom, left:right]
        sides = [
            (other[0] - one[0]) * (y - one[1]) - (other[1] - one[1]) * (x - one[0])
            for one, other in zip(points, np.roll(points, -1, axis=0), strict=True)
        ]
        inside = np.all([s >= 0 for s in sides], axis=0) | np.all([s <= 0 for s in sides], axis=0)
        part[inside] = int(part.mean())
    return shown
