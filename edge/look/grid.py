"""A QR symbol's grid in the picture: how many modules, how large, how tilted.

The corners alone do not tell how many modules there are, and the text is not asked: the pattern
that every symbol has is laid over the picture in each of its 40 sizes, and the best fit taken.
Source: ISO/IEC 18004, 6.3.3 (finder patterns) and 6.3.5 (timing patterns).
"""

from functools import lru_cache
from math import acos, degrees, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.sight.frame import Corners, Luma

VERSIONS = range(1, 41)
FITS = 0.5
"""Correlation of finder and timing patterns from which a fit is accepted."""

_Points = npt.NDArray[np.float64]  # n x 2, (x, y)


class Grid(NamedTuple):
    """What was found between four corners."""

    modules: int  # on a side
    contrast: float  # luma between light and dark modules


def side_px(corners: Corners) -> float:
    """The mean length of the four sides."""
    return float(np.hypot(*_sides(corners).T).mean())


def tilt_degrees(corners: Corners) -> float:
    """How far the symbol is turned away from the camera; its turn in the picture does not count.

    A square seen at an angle is a square pressed together along one axis, whichever: the ratio of
    the two singular values is the cosine.
    """
    top, right, bottom, left = _sides(corners)
    singular = np.linalg.svd(np.array([(top - bottom) / 2, (right - left) / 2]), compute_uv=False)
    return degrees(acos(min(1.0, float(singular[1] / max(singular[0], 1e-9)))))


def find(luma: Luma, corners: Corners) -> Grid | None:
    """The modules between `corners`; None where no such pattern is to be seen."""
    to_frame = _homography(corners)
    if to_frame is None:
        return None
    best, match = FITS, None
    for version in VERSIONS:
        modules = 17 + 4 * version
        finder_at, finder_dark, timing_at, timing_dark = _pattern(modules)
        finder = _sample(luma, to_frame, finder_at)
        fit = _correlation(finder, finder_dark)
        if abs(fit) <= best:
            continue
        timing = _correlation(_sample(luma, to_frame, timing_at), timing_dark)
        fit = min(abs(fit), timing if fit > 0 else -timing)  # light on dark: both turned round
        if fit > best:
            best = fit
            dark, light = finder[finder_dark].mean(), finder[~finder_dark].mean()
            match = Grid(modules, abs(float(light - dark)))
    return match


def _sides(corners: Corners) -> _Points:
    points = np.array(corners, float)
    sides: _Points = np.roll(points, -1, axis=0) - points
    return sides


def _homography(corners: Corners) -> _Points | None:
    """From the unit square to `corners`; None where they span nothing."""
    rows, right = [], []
    for (u, v), (x, y) in zip(((0, 0), (1, 0), (1, 1), (0, 1)), corners, strict=True):
        rows.append((u, v, 1, 0, 0, 0, -u * x, -v * x))
        rows.append((0, 0, 0, u, v, 1, -u * y, -v * y))
        right += [x, y]
    try:
        solved = np.linalg.solve(np.array(rows, float), np.array(right, float))
    except np.linalg.LinAlgError:
        return None
    return np.append(solved, 1.0).reshape(3, 3)


def _sample(luma: Luma, to_frame: _Points, at: _Points) -> npt.NDArray[np.float64]:
    x, y, w = to_frame @ np.column_stack([at, np.ones(len(at))]).T
    w = np.where(np.abs(w) < 1e-9, 1e-9, w)
    height, width = luma.shape
    columns = np.clip(x / w, 0, width - 1).astype(np.intp)
    rows = np.clip(y / w, 0, height - 1).astype(np.intp)
    sampled: npt.NDArray[np.float64] = luma[rows, columns].astype(np.float64)
    return sampled


def _correlation(values: npt.NDArray[np.float64], dark: npt.NDArray[np.bool_]) -> float:
    """1: light and dark are where they should be; -1: the other way round."""
    values = values - values.mean()
    expected = np.where(dark, -1.0, 1.0)
    expected -= expected.mean()
    size = sqrt(float(values @ values) * float(expected @ expected))
    return float(values @ expected) / size if size else 0.0


@lru_cache(maxsize=len(VERSIONS))
def _pattern(
    modules: int,
) -> tuple[_Points, npt.NDArray[np.bool_], _Points, npt.NDArray[np.bool_]]:
    """Middles of modules in the unit square and which are dark: finders, then timing patterns."""
    across = np.abs(np.arange(-4, 5))
    ring = np.maximum(across[:, None], across[None, :])  # 4 is the light border around a finder
    finder: list[tuple[float, float]] = []
    dark: list[bool] = []
    for cx, cy in ((3, 3), (modules - 4, 3), (3, modules - 4)):
        for dy in range(-4, 5):
            for dx in range(-4, 5):
                if 0 <= cx + dx < modules and 0 <= cy + dy < modules:
                    finder.append((cx + dx, cy + dy))
                    dark.append(ring[dy + 4, dx + 4] in (0, 1, 3))
    along = np.arange(8, modules - 8)
    six = np.full(len(along), 6)
    timing = np.concatenate([np.column_stack([along, six]), np.column_stack([six, along])])
    timing_dark = np.concatenate([along % 2 == 0] * 2)
    middles = (np.array(finder) + 0.5) / modules, (timing + 0.5) / modules
    return middles[0], np.array(dark), middles[1], timing_dark
