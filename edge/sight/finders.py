"""The three finder patterns of a symbol, found by template matching, which tolerates noise, blur
and glare.

The template is the pattern averaged over all rotations, so one template fits every rotation. It is
matched at a few sizes on a picture of about 256 pixels, light on dark as well as dark on light.
"""

from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.sight import pixels
from edge.sight.frame import Luma
from edge.sight.pixels import Field

_LONG = 256  # pixels of the matched picture's longer side; half and a quarter are matched too
_MODULES = (1.7, 2.2, 2.9)  # pixels a module, each size reaching to the next
_OCTAVES = 3
_WIDE = 9  # modules of the template: the pattern and a light frame
_PAD = 8  # pixels around, so that a pattern at the picture's edge is found
_FIT_MIN = 0.42  # of one match; clean patterns reach 0.8, text and noise 0.5
_TRIPLE_MIN = 1.75  # the sum of three matches that belong to one symbol
_TRIPLE_AS_GOOD = 0.15  # a triple this close to the best is returned as well
_PEAKS = 6  # of each size
_MOST = 10  # finders kept


class Finder(NamedTuple):
    """A place that looks like a finder pattern."""

    fit: float
    x: float  # its middle, in pixels
    y: float
    module: float  # pixels
    light: bool  # a light pattern on dark


class Triple(NamedTuple):
    """Three finders that may belong to one symbol."""

    fit: float
    middles: npt.NDArray[np.float64]  # top left, top right, bottom left; 3 x 2, pixels
    module: float  # pixels
    size: float  # modules a side, about
    light: bool


def find(luma: Luma) -> list[Finder]:
    """The places in `luma` that look like a finder pattern, the best first."""
    scale = min(1.0, _LONG / max(luma.shape))
    picture = pixels.scaled(luma, scale)
    if scale > 0.7:  # nothing has been averaged: the noise is still there
        picture = pixels.blurred(picture, 3)
    picture = pixels.padded(picture, _PAD)
    finders: list[Finder] = []
    for octave in range(_OCTAVES):
        step, seen = 2**octave, picture.astype(np.float32)
        for module in _MODULES:
            template = _template(module)
            if min(picture.shape) < len(template) + 2:
                continue
            fits = pixels.matched(seen, template)
            apart = int(3 * module)
            for light, scores in ((False, fits), (True, -fits)):
                for _ in range(_PEAKS):
                    fit, x, y = pixels.peak(scores)
                    if fit < _FIT_MIN:
                        break
                    right, down = ((n + len(template) / 2) * step - _PAD for n in (x, y))
                    at = right / scale, down / scale
                    finders.append(Finder(fit, *at, module * step / scale, light))
                    scores[max(0, y - apart) : y + apart + 1, max(0, x - apart) : x + apart + 1] = 0
        picture = pixels.halved(picture)
    return _distinct(sorted(finders, reverse=True))


def _distinct(finders: list[Finder]) -> list[Finder]:
    """The best at each place; its core alone may fit at half the size, so both sizes are kept."""
    kept: list[Finder] = []
    for finder in finders:
        if all(
            np.hypot(finder.x - k.x, finder.y - k.y) > 3 * k.module
            or not 1 / 1.5 < finder.module / k.module < 1.5
            for k in kept
        ):
            kept.append(finder)
        if len(kept) == _MOST:
            break
    return kept


def triples(finders: list[Finder], most: int) -> list[Triple]:
    """Threes of `found` that stand like a symbol's, the likeliest first."""
    threes = np.array(list(permutations(range(len(finders)), 3)), int)
    if not len(threes):
        return []
    fit, x, y, module, light = np.array(finders, float).T[:, threes]
    right, down = (np.stack([x[:, i] - x[:, 0], y[:, i] - y[:, 0]]) for i in (1, 2))
    across, along = (np.maximum(np.hypot(*side), 1e-6) for side in (right, down))
    sine = (right[0] * down[1] - right[1] * down[0]) / (across * along)
    mean, uneven, longer = module.mean(1), module.max(1) / module.min(1), across / along
    total = fit.sum(1) + 0.4 * sine - 0.5 * np.abs(np.log(longer)) - 0.4 * np.log(uneven)
    stands = (
        (np.ptp(light, axis=1) == 0)
        & (uneven < 1.8)
        & (sine > 0.75)
        & (np.abs(np.log(longer)) < 0.6)
        & (np.minimum(across, along) > 11 * mean)
        & (np.maximum(across, along) < 100 * mean)
        & (total > _TRIPLE_MIN)
    )
    best = sorted(np.flatnonzero(stands), key=lambda i: -total[i])[:most]
    return [
        Triple(
            float(total[i]),
            np.stack([x[i], y[i]], axis=1),
            float(mean[i]),
            float((across[i] + along[i]) / 2 / mean[i] + 7),
            bool(light[i, 0]),
        )
        for i in best
        if total[i] > total[best[0]] - _TRIPLE_AS_GOOD
    ]


@lru_cache(maxsize=len(_MODULES))
def _template(module: float) -> Field:
    """The pattern with `module` pixels a module, averaged over the turns."""
    fine = 8
    upright = np.ones((_WIDE * fine, _WIDE * fine), np.float32)
    for inset, value in ((1, -1), (2, 1), (3, -1)):
        upright[inset * fine : -inset * fine, inset * fine : -inset * fine] = value
    turns = [pixels.turned(upright, degrees) for degrees in np.arange(0, 90, 11.25)]
    side = round(_WIDE * module)
    return pixels.smaller(np.mean(turns, axis=0, dtype=np.float32), (side, side))
