"""From a flattened symbol to its modules, by a filter that is fitted to the symbol's fixed modules.

About one module in eight is the same in every symbol: finder, timing and alignment patterns. A
linear filter over the neighbourhood of a module is fitted to those (ridge regression) and then
estimates the others. So it undoes any blur of this picture: lens, motion, ink, a grid slightly off.
The result counts only if the symbol's own error correction accepts it.
"""

from collections.abc import Iterator

import numpy as np

from edge.sight import pixels, symbol_patterns
from edge.sight.pixels import Field
from edge.sight.symbol_patterns import Grid

SAMPLES = 2
"""A module, each way, in a flattened symbol."""

MARGIN = 4
"""Modules around it that are flattened with it."""

_REACH = 4  # samples to each side of a module's middle: two modules
_RIDGE = 0.03  # of one sample's own power; larger is stiffer


def taught(flat: Field, size: int, row: int = MARGIN, column: int = MARGIN) -> Grid:
    """The modules of the symbol whose top left one is at `row`, `column` (modules) of `flat`."""
    same, dark = symbol_patterns.fixed_modules(size)
    seen = np.pad(flat, _REACH, mode="edge")
    top, left = SAMPLES * row + 1, SAMPLES * column + 1  # seen's own margin is the filter's reach
    span = SAMPLES * size
    near = np.stack(
        [
            seen[top + y : top + y + span : SAMPLES, left + x : left + x + span : SAMPLES]
            for y in range(2 * _REACH)
            for x in range(2 * _REACH)
        ]
        + [np.ones((size, size), np.float32)]
    )
    lessons, truth = near[:, same], np.where(dark[same], 1.0, -1.0).astype(np.float32)
    power = np.einsum("is,js->ij", lessons, lessons)  # BLAS would wake every core for it, and wait
    power.flat[:: len(power) + 1] += _RIDGE * lessons.shape[1]
    learnt = np.linalg.solve(power, lessons @ truth)
    modules = np.tensordot(learnt, near, 1) > 0
    return np.where(same, dark, modules)


def plain(flat: Field, size: int, row: int = MARGIN, column: int = MARGIN) -> Iterator[Grid]:
    """The modules by thresholds: the mean of 5 x 5 modules, of 9 x 9, and none."""
    same, dark = symbol_patterns.fixed_modules(size)
    part = flat[SAMPLES * row :, SAMPLES * column :][: SAMPLES * size, : SAMPLES * size]
    seen = pixels.smaller(np.ascontiguousarray(part), (size, size))
    for threshold in (pixels.mean(seen, 5), pixels.mean(seen, 9), 0.0):
        yield np.where(same, dark, seen < threshold)
