"""One picture, read as well as the time allows: zxing-cpp first, then the rescues."""

import time
from dataclasses import dataclass
from typing import Literal

from edge.ports import Corners, Luma, Symbol
from edge.sight import zxing

Decoder = Literal["zxing-cpp", "pyzbar", "both"]


@dataclass(frozen=True, slots=True)
class Result:
    """What was seen in one picture."""

    symbols: tuple[Symbol, ...] = ()
    unread: tuple[Corners, ...] = ()  # where something looks like a QR symbol and was not read
    steps: tuple[tuple[str, float], ...] = ()  # what was tried, in this order, and the ms of each


def read(luma: Luma, decoder: Decoder, budget_s: float) -> Result:
    """Read `luma` (uint8, height x width), with rescues until one reads or `budget_s` is gone.

    Raises ImportError with a sentence when zbar's library is missing and asked for.
    """
    steps: list[tuple[str, float]] = []
    located: tuple[Corners, ...] = ()
    start = time.perf_counter()
    if decoder != "pyzbar":
        found = zxing.read(luma)
        steps.append(("zxing-cpp", (time.perf_counter() - start) * 1e3))
        if found.symbols:
            return Result(found.symbols, found.located, tuple(steps))
        located = found.located
    if decoder != "zxing-cpp" and time.perf_counter() - start < budget_s:
        from edge.sight import zbar

        begun = time.perf_counter()
        symbols = zbar.read(luma)
        steps.append(("zbar", (time.perf_counter() - begun) * 1e3))
        if symbols:
            return Result(symbols, (), tuple(steps))
    return Result((), located, tuple(steps))
