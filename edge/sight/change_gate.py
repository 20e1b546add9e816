"""The change gate: whether a frame shows anything that the last decoded frame did not.

It runs in the unit's own process, on each frame at low resolution, so it uses numpy alone and is
cheap.

A frame is cut into blocks of 8 x 8 pixels. From each block the same block of the last decoded frame
is subtracted, fitted to today's brightness by one factor and one offset a block, so that a lamp's
flicker and the camera's exposure cancel out. The usual residual is noise, and each block learns its
own: a bright wall has more of it than a dark one. A block with a far larger residual has moved.
"""

import numpy as np
import numpy.typing as npt

from edge.sight.frame import Luma

SMALL_WIDTH = 320
"""Pixels, about: a symbol at the limit of what is read is then 20 pixels wide, two or three blocks.
"""

BLOCK = 8
SKIP = 2  # rows: every second one is enough and costs half
MOVED = 4.0
"""A residual of so many times the noise is motion. The 30 free pixels of a block with Gaussian
noise reach it once in 10^11 blocks, and a factor of 3 once in 10^7; a camera's noise is not quite
Gaussian."""
FLOOR = 4.0
"""The least noise, in levels squared: rounding and JPEG errors."""
NOISE_MAX = 600.0
"""The most noise, in levels squared (two frames of sigma 17): motion that never ends counts as
noise in the end, but never so much that it could hide a symbol's modules, tens of levels apart."""
SHRINK = 8.0
"""A flat block shows no change of the light; its factor is kept near 1, as if its contrast were
this many times the noise."""
LEARN = 1 / 12  # the step towards the newest residual while nothing moves,
LEARN_EVERY = 4  # in one of so many frames
RISE = 1.02  # the noise grows by this with each frame of motion, so new noise is learnt in seconds

Blocks = npt.NDArray[np.float32]


class ChangeGate:
    """Takes frames in their order. `note_decoded`: the frame taken last was decoded."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = ()
        self._seen: _GateFrame | None = None
        self._decoded: _GateFrame | None = None
        self._spare: _GateFrame | None = None
        self._noise: Blocks | None = None  # levels squared, of each block
        self._most = np.empty(0, np.float32)  # what may be left where nothing has moved
        self._frames = 0

    def take_frame(self, small: Luma) -> bool:
        """Whether `small` (uint8, height x width) shows something new."""
        if small.shape != self._shape:
            self._shape = small.shape
            self._noise = self._seen = self._decoded = self._spare = None
        if min(small.shape) < BLOCK:
            return True
        seen = self._seen = self._seen or self._spare or _GateFrame(small.shape)
        if self._decoded is None:
            seen.take(small, None)
            return True
        seen.take(small, self._decoded)
        self._frames += 1
        if self._noise is None:  # the second frame: most of it is noise, whatever moves in it
            left = seen.left(self._decoded, FLOOR)
            self._noise = np.full_like(left, np.clip(np.median(left), FLOOR, NOISE_MAX))
        elif self._frames % LEARN_EVERY and (seen.at_most(self._decoded) <= self._most).all():
            return False
        else:
            left = seen.left(self._decoded, self._noise)
        moved = left > MOVED * self._noise
        learnt: Blocks = self._noise + LEARN * (left - self._noise)
        learnt[moved] = self._noise[moved] * RISE
        np.clip(learnt, FLOOR, NOISE_MAX, out=self._noise)
        self._most = MOVED * self._noise
        return bool(moved.any())

    def note_decoded(self) -> None:
        """The frame seen last was decoded: the next ones are compared with it."""
        if self._seen is not None:
            self._spare, self._decoded, self._seen = self._decoded, self._seen, None


class _GateFrame:
    """A frame's pixels, and of each block the mean, the variance, and the covariance with the
    same block of the frame decoded last.

    Its arrays are used again: fresh ones of this size come from the kernel page by page, which
    costs more than the sums.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._rows, self._columns = shape[0] // BLOCK, shape[1] // BLOCK
        width = self._columns * BLOCK
        self.pixels: Blocks = np.zeros((self._rows, BLOCK // SKIP, width), np.float32)
        self._sums: Blocks = np.zeros((3, self._rows, width), np.float32)
        self._weights = np.full(BLOCK, SKIP / (BLOCK * BLOCK), np.float32)
        self.mean = self.variance = self.common = self._sums[0]

    def take(self, small: Luma, before: "_GateFrame | None") -> None:
        """Fill with a frame."""
        lines, width = small[: self._rows * BLOCK : SKIP], self._columns * BLOCK
        np.copyto(self.pixels.reshape(-1, width), lines[:, :width])
        other = self if before is None else before
        np.add.reduce(self.pixels, axis=1, out=self._sums[0])
        np.einsum("rkc,rkc->rc", self.pixels, self.pixels, out=self._sums[1])
        np.einsum("rkc,rkc->rc", self.pixels, other.pixels, out=self._sums[2])
        means = (self._sums.reshape(-1, BLOCK) @ self._weights).reshape(3, self._rows, -1)
        self.mean, squares, products = means
        self.variance = squares - self.mean * self.mean
        self.common = products - self.mean * other.mean

    def at_most(self, before: "_GateFrame") -> Blocks:
        """No less than `left`, and quicker: as if the light were the same."""
        most: Blocks = self.variance + before.variance - 2 * self.common
        return most

    def left(self, before: "_GateFrame", noise: Blocks | float) -> Blocks:
        """The mean square of what is left of each block when `before` is taken away from it, as
        bright as it is now; in levels squared.
        """
        hold = SHRINK * noise
        factor = np.divide(self.common + hold, before.variance + hold, dtype=np.float32)
        np.clip(factor, 0.5, 2.0, out=factor)
        left: Blocks = self.variance + factor * (factor * before.variance - 2 * self.common)
        return left


def small_of(luma: Luma) -> Luma:
    """Every n-th pixel of `luma`, for a camera that gives no low resolution of its own."""
    step = max(1, round(luma.shape[1] / SMALL_WIDTH))
    return luma[::step, ::step]
