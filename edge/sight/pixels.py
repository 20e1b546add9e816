"""What is done to pictures, by OpenCV: cut, resize, flatten the light, warp, sample, match."""

import cv2
import numpy as np
import numpy.typing as npt

from edge.sight.boxes import Box
from edge.sight.frame import Luma

cv2.setNumThreads(1)

Field = npt.NDArray[np.float32]
"""A picture of numbers, height x width: whitened luma, scores, displacements."""

Matrix = npt.NDArray[np.float64]
"""A homography, 3 x 3."""


def cut(luma: Luma, box: Box) -> Luma:
    """What is in `box`, its rows one after the other; not to be written to."""
    left, top, right, bottom = box
    return np.ascontiguousarray(luma[top:bottom, left:right])


def scaled(luma: Luma, scale: float) -> Luma:
    """Averaged when smaller, cubic when larger; never less than a pixel."""
    if scale == 1:
        return luma
    size = tuple(max(1, round(n * scale)) for n in reversed(luma.shape))
    return _luma(
        cv2.resize(luma, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    )


def thresholded(luma: Luma, window: int) -> Luma:
    """0 or 255: darker or lighter than the mean of the `window` (odd, pixels) around, less five."""
    binary = cv2.THRESH_BINARY
    return _luma(cv2.adaptiveThreshold(luma, 255, cv2.ADAPTIVE_THRESH_MEAN_C, binary, window, 5))


def blurred(luma: Luma, window: int) -> Luma:
    """The mean of `window` x `window` pixels."""
    return _luma(cv2.blur(luma, (window, window)))


def sharpened(luma: Luma, radius: float, smooth: float) -> Luma:
    """Details up to `radius` pixels five times as strong, those up to `smooth` (noise) averaged."""
    near = cv2.GaussianBlur(luma, (0, 0), radius)
    return _luma(cv2.GaussianBlur(cv2.addWeighted(luma, 5, near, -4, 0), (0, 0), smooth))


def mean(field: Field, window: int) -> Field:
    """The mean of `window` x `window` values."""
    return _field(cv2.blur(field, (window, window)))


def whitened(luma: Luma | Field, window: int) -> Field:
    """Away from the mean of the `window` around, in its standard deviations, at most 2.5."""
    values = luma.astype(np.float32)
    middle = mean(values, window)
    spread = np.sqrt(np.maximum(mean(values * values, window) - middle * middle, 16))
    return np.clip((values - middle) / spread, -2.5, 2.5)


def smaller(field: Field, size: tuple[int, int]) -> Field:
    """Averaged down to `size` (height, width)."""
    return _field(cv2.resize(field, size[::-1], interpolation=cv2.INTER_AREA))


def padded(luma: Luma, by: int) -> Luma:
    """With `by` pixels more on each side, as the pixels at the edge."""
    return _luma(cv2.copyMakeBorder(luma, by, by, by, by, cv2.BORDER_REPLICATE))


def warped(luma: Luma, from_output: Matrix, size: tuple[int, int]) -> Luma:
    """`size` (height, width) pixels, each taken from where `from_output` sends it."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE
    return _luma(cv2.warpPerspective(luma, from_output, size[::-1], flags=flags, borderMode=edge))


def sampled(field: Field, x: Field, y: Field) -> Field:
    """The values at the places `x`, `y` (pixels, the middle of the first one at 0), linear."""
    return _field(cv2.remap(field, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def homography(square: float, corners: npt.NDArray[np.float32]) -> Matrix:
    """From a square of this side to `corners` (4 x 2, clockwise from its top left)."""
    flat = np.array([(0, 0), (square, 0), (square, square), (0, square)], np.float32)
    return np.asarray(cv2.getPerspectiveTransform(flat, corners.astype(np.float32)))


def matched(picture: Field, template: Field) -> Field:
    """How well `template` fits at each place, -1 to 1; its top left is at the place."""
    return _field(cv2.matchTemplate(picture, template, cv2.TM_CCOEFF_NORMED))


def turned(field: Field, degrees: float) -> Field:
    """Turned about its middle, the corners filled with 1."""
    high, wide = field.shape
    turn = cv2.getRotationMatrix2D(((wide - 1) / 2, (high - 1) / 2), degrees, 1.0)
    return _field(cv2.warpAffine(field, turn, (wide, high), borderValue=1.0))


def peak(field: Field) -> tuple[float, int, int]:
    """The largest value, its column and its row."""
    _, value, _, (x, y) = cv2.minMaxLoc(field)
    return float(value), int(x), int(y)


def slopes(luma: Luma, cell: int) -> npt.NDArray[np.uint8]:
    """The smaller of the mean steps to the right and down, in cells of `cell` x `cell` pixels."""
    here, right, below = luma[:-1, :-1], luma[:-1, 1:], luma[1:, :-1]
    high, wide = (n // cell for n in here.shape)
    across, down = (
        cv2.resize(
            cv2.absdiff(here, there)[: high * cell, : wide * cell],
            (wide, high),
            interpolation=cv2.INTER_AREA,
        )
        for there in (right, below)
    )
    return _luma(cv2.min(across, down))


def halved(luma: Luma) -> Luma:
    """Half as wide and high, averaged."""
    high, wide = luma.shape
    return _luma(cv2.resize(luma, (wide // 2, high // 2), interpolation=cv2.INTER_AREA))


def blobs(mask: npt.NDArray[np.uint8]) -> list[tuple[int, Box]]:
    """The connected parts of what is not 0: how many cells each has, and its box."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    return [
        (int(area), (int(x), int(y), int(x + wide), int(y + high)))
        for x, y, wide, high, area in stats[1:]
    ]


def _luma(array: object) -> Luma:
    return np.asarray(array, np.uint8)


def _field(array: object) -> Field:
    return np.asarray(array, np.float32)
