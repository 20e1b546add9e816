"""Rescues: ways to read a part of a picture that zxing-cpp did not read, tried one after the other.

Each rescue reads some symbols that the ones before it do not. Their order follows what each adds
for its time, measured on photographs and door scenes (`make bench-sight`). A text comes only from a
decoder's own error correction, so a rescue may guess and still cannot invent one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from edge.sight import finders, lattice, modules, pixels, pose, symbol_patterns, zxing
from edge.sight.boxes import Box
from edge.sight.frame import Corners, Luma, Symbol
from edge.sight.pixels import Matrix

_BENT_SIZE_MAX = 85  # modules: larger symbols take more time than they are worth


@dataclass(frozen=True, slots=True)
class Attempt:
    """A part of a picture, and what is known of it."""

    luma: Luma  # the whole picture, uint8, height x width
    box: Box
    located: tuple[Corners, ...] = ()  # symbols in the box that zxing-cpp placed and did not read
    sizes: tuple[int, ...] = ()  # modules a side of each; 0: unknown


@dataclass(frozen=True, slots=True)
class Rescue:
    """One way to read."""

    name: str
    run: Callable[[Attempt], tuple[Symbol, ...]]
    cost: float  # on one region, in units of `cascade.frame_s`
    needs: Literal["zbar", "located", ""] = ""
    most: int = 2  # on how many regions of one picture it is tried


def bent(attempt: Attempt) -> tuple[Symbol, ...]:
    """What is located, laid flat along the lattice of its modules."""
    read = []
    for corners, size in zip(attempt.located, attempt.sizes, strict=True):
        if 0 < size <= _BENT_SIZE_MAX:
            to_pixels = pixels.homography(size, np.array(corners, np.float32))
            laid, row, column = lattice.unbent(attempt.luma, to_pixels, size)
            grid = modules.taught(laid, size, row, column)
            symbols = zxing.read(symbol_patterns.picture(grid), bare=True).symbols
            read += [Symbol(one.data, corners) for one in symbols]
    return tuple(read)


def blurred(attempt: Attempt) -> tuple[Symbol, ...]:
    """A symbol whose finder patterns alone are seen, by a filter that undoes its blur."""
    part = pixels.cut(attempt.luma, attempt.box)
    for triple in finders.triples(finders.find(part), most=2):
        found_pose = pose.find(part, triple)
        if found_pose is None:
            continue
        flat = lattice.flat(part, found_pose.to_pixels, found_pose.size)
        grid = modules.taught(-flat if triple.light else flat, found_pose.size)
        if read := zxing.read(symbol_patterns.picture(grid), bare=True).symbols:
            return (
                Symbol(read[0].data, _outline(found_pose.to_pixels, found_pose.size, attempt.box)),
            )
    return ()


def _again(binarizer: zxing.Binarizer, scale: float, attempt: Attempt) -> tuple[Symbol, ...]:
    """zxing-cpp on the part at `scale` of its size."""
    part = pixels.cut(attempt.luma, attempt.box)
    result = zxing.read(pixels.scaled(part, scale), binarizer, smaller=False)
    return _placed(result.symbols, scale, attempt.box)


def sharpened(attempt: Attempt) -> tuple[Symbol, ...]:
    """zxing-cpp on the part made 500 pixels long, with its details strong again."""
    part = pixels.cut(attempt.luma, attempt.box)
    scale = 500 / max(part.shape)
    seen = pixels.sharpened(pixels.scaled(part, scale), 3.0, 1.4)
    return _placed(zxing.read(seen, smaller=False).symbols, scale, attempt.box)


def _zbar(longest: int, window: int, attempt: Attempt) -> tuple[Symbol, ...]:
    """zbar on the part made `longest` pixels long, at most three times as long, and black and
    white by the mean of the `window` around.
    """
    from edge.sight import zbar

    part = pixels.cut(attempt.luma, attempt.box)
    scale = min(3.0, longest / max(part.shape))
    seen = pixels.thresholded(pixels.scaled(part, scale), window)
    return _placed(zbar.read(seen), scale, attempt.box)


def _zbar_alone(light: bool, scale: float, attempt: Attempt) -> tuple[Symbol, ...]:
    """zbar on the part as it is, or a light symbol on dark."""
    from edge.sight import zbar

    part = pixels.cut(attempt.luma, attempt.box)
    seen = pixels.scaled(part, scale)
    return _placed(zbar.read(255 - seen if light else seen), scale, attempt.box)


def _placed(symbols: Sequence[Symbol], scale: float, box: Box) -> tuple[Symbol, ...]:
    """`symbols` with their corners in pixels of the frame."""
    left, top, _, _ = box
    return tuple(
        Symbol(
            s.data, tuple((left + round(x / scale), top + round(y / scale)) for x, y in s.corners)
        )
        for s in symbols
    )


def _outline(to_pixels: Matrix, size: int, box: Box) -> Corners:
    ends = np.array([(0, 0, 1), (size, 0, 1), (size, size, 1), (0, size, 1)], float)
    x, y, depth = to_pixels @ ends.T
    return tuple(
        (box[0] + round(right), box[1] + round(down))
        for right, down in zip(x / depth, y / depth, strict=True)
    )


RESCUES: tuple[Rescue, ...] = (
    Rescue("global", partial(_again, "global", 1.0), 0.3),
    Rescue("larger", partial(_again, "local", 1.5), 1.3),
    Rescue("bent", bent, 6.0, "located"),
    Rescue("zbar, small", partial(_zbar, 160, 51), 1.1, "zbar"),
    Rescue("zbar", partial(_zbar, 360, 21), 3.2, "zbar"),
    Rescue("blurred", blurred, 12.0, most=1),
)
"""In the order in which they are tried."""

LIVE: tuple[Rescue, ...] = (
    Rescue("sharpened", sharpened, 2.3),
    *RESCUES,
)
"""What is tried on a stream. The first reads next to nothing that the taught filter does not read
as well, but half of that in a quarter of its time, which a picture has and a frame has not."""

ALONE: tuple[Rescue, ...] = (
    Rescue("zbar", partial(_zbar_alone, False, 1.0), 10.0, "zbar"),
    Rescue("zbar, half", partial(_zbar_alone, False, 0.5), 3.0, "zbar"),
    Rescue("zbar, light on dark", partial(_zbar_alone, True, 1.0), 10.0, "zbar"),
)
"""What reads where zbar is the only decoder that is wanted, on the whole picture."""
