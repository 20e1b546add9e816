"""How sharp a picture is: how wide its edges are.

An edge between dark and light that the lens draws sharply is crossed within one or two pixels, one
out of focus within many. The width says the same of a bright and a dim scene, of a near and a far
code. The usual measure, the variance of the Laplacian, takes the sensor's noise for sharpness.
"""

import numpy as np
import numpy.typing as npt

from edge.sight.frame import Luma

SIDE_MAX = 480
"""Pixels a side of the measured part: more pixels cost more and change nothing."""

SHARP = 0.7
"""The width of an edge that the lens draws as finely as pixels can show it."""

LEAST_CONTRAST = 24.0
"""Luma between the two sides of an edge; a scene without any such edge has no sharpness to tell."""

LEAST_EDGES = 12

STEPS = (4, 2, 1)
"""How many pixels are taken together, one after the other: the coarse first, in which the noise is
a quarter and breaks no wide edge into narrow ones, the fine only for what is too sharp for it."""

ENOUGH = 0.9
"""Width in pixels of a step from which on that step measures well."""

_SMOOTHED = 1.0
"""Variance in pixels² of the binomial filter below, taken from the widths again."""

_GAUSS = np.sqrt(np.float32(2 * np.pi))
"""An edge blurred by a Gaussian of sigma: its height over its steepest slope is sigma * this."""

_Grey = npt.NDArray[np.float32]


def edge_width(luma: Luma) -> float | None:
    """The usual width in pixels of the stronger edges in the middle of `luma` (height x width).

    It is the sigma of the Gaussian that would have blurred them so; 0.3 is the least that can be
    told. None: no edges to measure.
    """
    middle = _middle(luma)
    width: float | None = None
    for step in STEPS:
        coarse = _width(_coarse(middle, step))
        if coarse is None:
            continue
        width = float(np.sqrt(max((coarse * step) ** 2 - (step**2 - 1) / 12, 0.09)))
        if coarse >= ENOUGH:
            break
    return width


def _width(grey: _Grey) -> float | None:
    if min(grey.shape) < 8:
        return None
    smooth = _smooth(grey)
    edges = (_edges(smooth[::2]), _edges(np.ascontiguousarray(smooth.T[::2])))
    heights, widths = (np.concatenate(both) for both in zip(*edges, strict=True))
    if len(heights) < LEAST_EDGES:
        return None
    strongest = float(np.percentile(heights, 98))
    widths = widths[heights >= 0.6 * strongest]
    if len(widths) < LEAST_EDGES:
        return None
    sigma = float(np.percentile(widths, 30))
    return float(np.sqrt(max(sigma * sigma - _SMOOTHED, 0.0)))


def _middle(luma: Luma) -> Luma:
    height, width = luma.shape
    y, x = max(0, height - SIDE_MAX) // 2, max(0, width - SIDE_MAX) // 2
    return luma[y : y + SIDE_MAX, x : x + SIDE_MAX]


def _coarse(luma: Luma, step: int) -> _Grey:
    """The mean of each `step` x `step` pixels."""
    if step == 1:
        return luma.astype(np.float32)
    height, width = luma.shape[0] // step, luma.shape[1] // step
    rows = luma[: height * step, : width * step].reshape(height, step, width * step)
    coarse: _Grey = rows.sum(1, dtype=np.float32).reshape(height, width, step).mean(2) / step
    return coarse


def _smooth(grey: _Grey) -> _Grey:
    """Binomial 1 4 6 4 1 both ways: noise becomes a quarter, an edge's variance 1 pixel² more."""
    for _ in range(2):
        grey = grey[:-4] + grey[4:] + 4 * (grey[1:-3] + grey[3:-1]) + 6 * grey[2:-2]
        grey = np.ascontiguousarray(grey.T)
    return grey / np.float32(256)


def _edges(smooth: _Grey) -> tuple[_Grey, _Grey]:
    """Height and width of each edge along the rows: a run that only rises or only falls."""
    slope = np.diff(smooth, axis=1)
    slope[:, 0] = 0  # a run never goes from one row into the next with any height
    flat = slope.ravel()
    rises = flat > 0
    starts = np.flatnonzero(np.diff(rises, prepend=~rises[0]))
    height = np.abs(np.add.reduceat(flat, starts))
    tall = height >= LEAST_CONTRAST
    steepest = np.maximum.reduceat(np.abs(flat), starts)[tall]
    return height[tall], height[tall] / steepest / _GAUSS
