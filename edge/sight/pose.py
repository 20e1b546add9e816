"""The pose of a flat symbol in a picture, from the middles of its three finder patterns.

They do not determine how many modules it has, nor where the fourth corner is (its tilt). Both are
tried, and judged by the timing and alignment patterns that must then appear.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.sight import pixels, symbol_patterns
from edge.sight.finders import Triple
from edge.sight.frame import Luma
from edge.sight.pixels import Field, Matrix

Points = npt.NDArray[np.float64]

_PIXELS = 4.0  # a module, in the picture that is searched
_OFF = 0.08  # of the size: the largest error of the finders' estimate
_REACH = 7.0  # modules by which the fourth corner may differ from a parallelogram's
_ROUGHLY_MIN = 0.25  # before the four points are refined
_FIT_MIN = 0.5  # those that are read have 0.7 and more
_SIZE_MAX = 101


class Pose(NamedTuple):
    """One possible pose."""

    fit: float  # -1 to 1
    size: int  # modules a side
    to_pixels: Matrix  # from modules, the symbol's top left corner at 0, 0


def find(luma: Luma, triple: Triple) -> Pose | None:
    """The pose that fits best; None: nothing fits."""
    scale = min(1.5, _PIXELS / triple.module)
    picture = pixels.blurred(pixels.scaled(luma, scale), 3)
    seen = pixels.whitened(picture, int(9 * triple.module * scale) | 1)
    if triple.light:
        seen = -seen
    three = (triple.middles + 0.5) * scale - 0.5
    low, high = triple.size * (1 - _OFF) - 1, triple.size * (1 + _OFF) + 1
    sizes = [size for size in symbol_patterns.SIZES if low <= size <= min(high, _SIZE_MAX)]
    if not sizes:
        return None
    fit, size, four = max(
        (_fourth(seen, three, size) for size in sizes), key=lambda tried: tried[0]
    )
    if fit < _ROUGHLY_MIN:
        return None
    fit, four = _refined(seen, four, size)
    if fit < _FIT_MIN:
        return None
    back = np.array(
        [(1 / scale, 0, 0.5 / scale - 0.5), (0, 1 / scale, 0.5 / scale - 0.5), (0, 0, 1)]
    )
    return Pose(fit, size, back @ _homographies(four[None], size)[0])


def _fourth(seen: Field, three: Points, size: int) -> tuple[float, int, Points]:
    """The fourth corner at the best of all whole modules around; how well it fits."""
    across, down = (three[1] - three[0]) / (size - 7), (three[2] - three[0]) / (size - 7)
    steps = np.arange(-_REACH, _REACH + 1)
    off = (steps[:, None, None] * across + steps[:, None] * down).reshape(-1, 2)
    fourth = three[1] + three[2] - three[0] + off
    fours = np.concatenate([np.broadcast_to(three, (len(fourth), 3, 2)), fourth[:, None]], axis=1)
    fits = _fits(seen, fours, size, finders=False)
    best = int(np.argmax(fits))
    return float(fits[best]), size, fours[best]


def _refined(seen: Field, four: Points, size: int) -> tuple[float, Points]:
    """Each of the four points moved by fractions of a module, the fourth by more."""
    module = np.stack([four[1] - four[0], four[2] - four[0]]) / (size - 7)
    moves = np.array([(x, y) for x in (-1, 0, 1) for y in (-1, 0, 1)]) @ module
    fit, step = -1.0, 0.5
    for _ in range(4):
        for point in (3, 0, 1, 2):
            fours = np.repeat(four[None], len(moves), axis=0)
            fours[:, point] += moves * step * (1.0 if point == 3 else 0.5)
            fits = _fits(seen, fours, size, finders=True)
            best = int(np.argmax(fits))
            fit, four = float(fits[best]), fours[best]
        step *= 0.6
    return fit, four


def _fits(seen: Field, fours: Points, size: int, *, finders: bool) -> Field:
    """How well each of `fours` (n x 4 x 2) agrees with the modules that are known."""
    places, values, weights = _model(size, finders)
    x, y, depth = np.moveaxis(_homographies(fours, size).astype(np.float32) @ places, 1, 0)
    depth = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
    values_seen = pixels.sampled(seen, x / depth, y / depth)
    spread = np.sqrt((values_seen * values_seen) @ weights) + 1e-6
    return np.asarray(values_seen @ values / spread, np.float32)


@lru_cache(maxsize=32)
def _model(size: int, finders: bool) -> tuple[Field, Field, Field]:
    """Places of known modules (3 x n, homogeneous), what is there (weighted), and the weights."""
    same, dark = symbol_patterns.fixed_modules(size)
    rows, columns = np.nonzero(same)
    low, high = 8, size - 8
    corner = ((rows < low) & ((columns < low) | (columns >= high))) | (
        (rows >= high) & (columns < low)
    )
    if not finders:
        rows, columns, corner = rows[~corner], columns[~corner], corner[~corner]
    weights = np.where(corner, 0.35, 1.0).astype(np.float32)
    values = np.where(dark[rows, columns], -1.0, 1.0)
    values -= (values * weights).sum() / weights.sum()
    values *= weights / np.sqrt((weights * values * values).sum())
    places = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
    return places.astype(np.float32), values.astype(np.float32), weights


def _homographies(fours: Points, size: int) -> Points:
    """From modules to pixels, for each four middles: three finders and the fourth corner's.

    The unit square to a quadrilateral (Heckbert 1989, 2.2.3), and modules to the unit square.
    """
    a, b, c, d = np.moveaxis(fours, 1, 0)
    off, right, down = a - b + d - c, b - d, c - d
    scale = right[:, 0] * down[:, 1] - down[:, 0] * right[:, 1]
    scale = np.where(np.abs(scale) < 1e-6, 1e-6, scale)  # a fourth corner on the line of two
    g = (off[:, 0] * down[:, 1] - down[:, 0] * off[:, 1]) / scale
    h = (right[:, 0] * off[:, 1] - off[:, 0] * right[:, 1]) / scale
    homographies = np.empty((len(fours), 3, 3))
    homographies[:, :2, 0] = b - a + g[:, None] * b
    homographies[:, :2, 1] = c - a + h[:, None] * c
    homographies[:, :2, 2] = a
    homographies[:, 2] = np.stack([g, h, np.ones(len(g))], axis=1)
    k = 1 / (size - 2 * symbol_patterns.FINDER)
    shift = -symbol_patterns.FINDER * k
    return np.asarray(homographies @ np.array([(k, 0, shift), (0, k, shift), (0, 0, 1)]))
