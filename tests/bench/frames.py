"""One frame through the unit's symbol reader, beside the bare decoders."""

from collections.abc import Callable, Sequence
from itertools import cycle

import numpy as np
import zxingcpp
from pyzbar import pyzbar

from edge.sight import cascade
from tests import scenes
from tests.bench.check import text
from tests.bench.figure import Figure, median, race, ratio

SEED = 3
QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def legible(said: str, rng: np.random.Generator) -> scenes.Luma:
    """A scene of the usual spread that zxing-cpp reads."""
    while True:
        luma = scenes.still(said, rng)
        if zxing(luma):
            return luma


def zxing(luma: scenes.Luma) -> Sequence[object]:
    return zxingcpp.read_barcodes(luma, formats=QR)


def zbar(luma: scenes.Luma) -> Sequence[object]:
    return pyzbar.decode(luma, symbols=[pyzbar.ZBarSymbol.QRCODE])


def ours(luma: scenes.Luma) -> Sequence[object]:
    return cascade.read(luma, "zxing-cpp", 0.0).symbols


def figures(rounds: int, pictures: int, at_s: int) -> list[Figure]:
    """The unit's reader, set as a unit is by default, on frames with and without a code."""
    rng = np.random.default_rng(SEED)
    with_code = [legible(text(at_s, scope="staff:acme"), rng) for _ in range(pictures)]
    without = [scenes.empty(rng) for _ in range(pictures)]
    found = _raced(with_code, rounds)
    nothing = _raced(without, rounds)
    return [
        *_compared("code", "with a code that can be read", found, None),
        *_compared("empty", "with nothing in it", nothing, 1.25),
    ]


def _raced(pictures: list[scenes.Luma], rounds: int) -> dict[str, list[float]]:
    def over(read: Callable[[scenes.Luma], object]) -> Callable[[], object]:
        each = cycle(pictures)
        return lambda: read(next(each))

    readers = {"ours": ours, "zxing": zxing, "zbar": zbar}
    return race({name: over(read) for name, read in readers.items()}, rounds, len(pictures))


def _compared(
    key: str, says: str, times: dict[str, list[float]], bound: float | None
) -> list[Figure]:
    ours, peer, other = times["ours"], times["zxing"], times["zbar"]
    return [
        Figure(f"frame_{key}_ms", f"a frame {says}", median(ours) * 1e3, "ms"),
        Figure(f"frame_{key}_zxing_ms", "zxing-cpp alone", median(peer) * 1e3, "ms"),
        Figure(f"frame_{key}_zbar_ms", "pyzbar alone", median(other) * 1e3, "ms"),
        Figure(f"frame_{key}_by_zxing", "  frame / zxing-cpp", ratio(ours, peer), "x", bound),
        Figure(f"frame_{key}_by_zbar", "  frame / pyzbar", ratio(ours, other), "x"),
    ]
