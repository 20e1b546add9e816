"""One picture, read as well as the time allows: zxing-cpp first, then the rescues."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from edge.sight import textures, zxing
from edge.sight.boxes import Box, area, around, meet, shared, union
from edge.sight.frame import Corners, Luma, Symbol
from edge.sight.rescues import ALONE, RESCUES, Attempt

Decoder = Literal["zxing-cpp", "pyzbar", "both"]

REGIONS_MAX = 2


@dataclass(frozen=True, slots=True)
class CascadeResult:
    """What was seen in one picture."""

    symbols: tuple[Symbol, ...] = ()
    unread: tuple[Corners, ...] = ()  # where something looks like a QR symbol and was not read
    steps: tuple[tuple[str, float], ...] = ()  # each decoder and rescue in order, with its ms


def read(
    luma: Luma, decoder: Decoder, budget_s: float, clock: Callable[[], float] = time.perf_counter
) -> CascadeResult:
    """Read `luma` (uint8, height x width), with rescues until all is read or `budget_s` is gone.

    A rescue that would likely end after the budget is not begun. After a first symbol was read, the
    rescues try only the others that zxing-cpp located.
    Raises ImportError with a sentence if zbar's library is needed and missing.
    """
    if decoder != "zxing-cpp":
        from edge.sight import zbar  # noqa: F401 -- raise at the first picture, not at the first miss
    start = clock()
    symbols: list[Symbol] = []
    steps: list[tuple[str, float]] = []
    result = zxing.ZxingResult()
    if decoder == "pyzbar":
        high, wide = luma.shape
        attempts = [Attempt(luma, (0, 0, wide, high))]
    else:
        result = zxing.read(luma)
        symbols += result.symbols
        steps.append(("zxing-cpp", (clock() - start) * 1e3))
        attempts = regions(luma, result)
    for rescue in ALONE if decoder == "pyzbar" else RESCUES:
        if rescue.needs == "zbar" and decoder == "zxing-cpp":
            continue
        begun, tried = clock(), False
        for attempt in attempts[: rescue.most]:
            if rescue.needs == "located" and not attempt.located:
                continue
            if clock() - start + rescue.cost * frame_s() > budget_s:
                continue
            tried = True
            if read := rescue.run(attempt):
                for symbol in read:
                    if not _again(symbol, symbols):
                        symbols.append(symbol)
                attempts = [other for other in attempts if other is not attempt and other.located]
        if tried:
            steps.append((rescue.name, (clock() - begun) * 1e3))
    return CascadeResult(tuple(symbols), _unread(result, symbols), tuple(steps))


@lru_cache(maxsize=1)
def frame_s() -> float:
    """What zxing-cpp takes for a frame of 1280 x 720 that shows nothing: the unit of costs."""
    empty = np.full((720, 1280), 128, np.uint8)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        zxing.read(empty)
        times.append(time.perf_counter() - start)
    return min(times)


def regions(luma: Luma, result: zxing.ZxingResult) -> list[Attempt]:
    """Where to try rescues: around what zxing-cpp located, then where the picture is patterned.

    If it read something, only around the other symbols that it located.
    """
    merged: list[Box] = []
    for box in map(around, _unread(result, result.symbols)):
        _merge(box, merged)
    if not result.symbols:
        patterned = textures.find(luma)
        for box in patterned[:1]:
            _merge(box, merged)
        merged += [box for box in patterned[1:] if not any(_within(box, m) for m in merged)]
    attempts = []
    high, wide = luma.shape
    for left, top, right, bottom in merged[:REGIONS_MAX]:
        more = max(right - left, bottom - top) // 8 + 12
        box = (
            max(0, left - more),
            max(0, top - more),
            min(wide, right + more),
            min(high, bottom + more),
        )
        inside = [
            (corners, size)
            for corners, size in zip(result.located, result.sizes, strict=True)
            if shared(around(corners), box) > 0.5 * area(around(corners))
        ]
        attempts.append(
            Attempt(luma, box, tuple(c for c, _ in inside), tuple(size for _, size in inside))
        )
    return attempts


def _again(symbol: Symbol, symbols: Sequence[Symbol]) -> bool:
    """Whether one of `symbols` is this one: two regions may share a place."""
    return any(
        other.data == symbol.data and shared(around(other.corners), around(symbol.corners)) > 0
        for other in symbols
    )


def _merge(box: Box, into: list[Box]) -> None:
    """Add `box`, or let the first one grow by it with which it shares much."""
    for at, other in enumerate(into):
        if meet(box, other):
            into[at] = union(box, other)
            return
    into.append(box)


def _within(box: Box, other: Box) -> bool:
    return shared(box, other) > 0.7 * area(box)


def _unread(result: zxing.ZxingResult, symbols: Sequence[Symbol]) -> tuple[Corners, ...]:
    """What zxing-cpp located where none of `symbols` is."""
    read = [around(symbol.corners) for symbol in symbols]
    return tuple(
        corners for corners in result.located if not any(meet(around(corners), box) for box in read)
    )
