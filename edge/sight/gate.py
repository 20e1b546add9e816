"""The change gate: whether a frame shows anything that the frame decoded last did not.

It runs in the unit's own process, on each frame at low resolution, so it is numpy alone and cheap.

A frame is cut into blocks of 8 x 8 pixels. Of each block we ask how much is left of it when the
same block of the frame decoded last is taken away, as bright as it is now: one factor and one
offset a block, so a lamp's flicker and the camera's own exposure leave nothing. What is always
left is noise, and each block learns its own: a bright wall has more of it than a dark one. A block
in which far more is left has moved.
"""

import numpy as np
import numpy.typing as npt

from edge.ports import Luma

SMALL_WIDTH = 320
"""Pixels, about: a symbol at the limit of what is read is then 20 pixels wide, two or three blocks.
"""

BLOCK = 8
MOVED = 4.0
"""Times the noise. 62 free pixels of Gaussian noise reach 3 once in 10^13 blocks; a camera's own
noise is not quite Gaussian."""
FLOOR = 4.0
"""The least that counts as noise, in levels squared: rounding, and a JPEG's own errors."""
NOISE_MAX = 600.0
"""The most, in levels squared (two frames of sigma 17): what moves for ever is noise at last, but
never so much that a symbol's modules, tens of levels apart, could move within it."""
SHRINK = 8.0
"""A flat block says nothing of the light; its factor is held near 1, as if it had this many times
the noise in contrast."""
LEARN = 1 / 48  # of the way to what was just seen, while nothing moves
RISE = 1.02  # a frame, where something moves: an unknown noise is learnt after some seconds

Blocks = npt.NDArray[np.float32]


class Gate:
    """Sees frames in their order. `moved` looks; `decoded` says that this one was decoded."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._seen: tuple[Blocks, Blocks, Blocks] | None = None  # pixels, mean and contrast
        self._decoded: tuple[Blocks, Blocks, Blocks] | None = None
        self._noise: Blocks | None = None  # levels squared, of each block

    def moved(self, small: Luma) -> bool:
        """Whether `small` (uint8, height x width) shows something new."""
        rows, columns = small.shape[0] // BLOCK, small.shape[1] // BLOCK
        pixels = small[: rows * BLOCK, : columns * BLOCK].astype(np.float32)
        mean = _means(pixels)
        contrast = _means(pixels * pixels) - mean * mean
        self._seen = pixels, mean, contrast
        if small.shape != self._shape:
            self._shape = small.shape
            self._noise = self._decoded = None
        if self._decoded is None or rows * columns == 0:
            return True
        before, before_mean, before_contrast = self._decoded
        common = _means(pixels * before) - mean * before_mean
        known = FLOOR if self._noise is None else self._noise
        left = _left(contrast, before_contrast, common, known)
        if self._noise is None:  # the second frame: most of it is noise, whatever moves in it
            self._noise = np.full_like(left, np.clip(np.median(left), FLOOR, NOISE_MAX))
        moved = left > MOVED * self._noise
        learnt: Blocks = self._noise + LEARN * (left - self._noise)
        learnt[moved] = self._noise[moved] * RISE
        np.clip(learnt, FLOOR, NOISE_MAX, out=self._noise)
        return bool(moved.any())

    def decoded(self) -> None:
        """The frame seen last was decoded: the next ones are compared with it."""
        self._decoded = self._seen


def small_of(luma: Luma) -> Luma:
    """Every n-th pixel of `luma`, for a camera that gives no low resolution of its own."""
    step = max(1, round(luma.shape[1] / SMALL_WIDTH))
    return luma[::step, ::step]


def _means(pixels: Blocks) -> Blocks:
    """The mean of each block: rows first, which numpy adds fastest."""
    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    sums = pixels.reshape(rows, BLOCK, columns * BLOCK).sum(axis=1)
    means: Blocks = sums.reshape(rows, columns, BLOCK).sum(axis=2)
    means *= 1 / (BLOCK * BLOCK)
    return means


def _left(contrast: Blocks, before: Blocks, common: Blocks, noise: Blocks | float) -> Blocks:
    """The mean square of what is left of each block, in levels squared.

    `contrast` and `before`: variance now and then; `common`: their covariance.
    """
    hold = SHRINK * noise
    factor: Blocks = np.divide(common + hold, before + hold, dtype=np.float32)
    np.clip(factor, 0.5, 2.0, out=factor)
    left: Blocks = contrast + factor * (factor * before - 2 * common)
    return left
