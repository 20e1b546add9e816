"""QR symbols by zxing-cpp. Bytes only: a decoder's text is a guess."""

from dataclasses import dataclass
from typing import Any, Literal

import zxingcpp

from edge.sight.frame import Corners, Luma, Symbol

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
"""One format: all of them cost nine times as much for no gain. Micro and rectangular symbols come
with it and are dropped: the smallest has only a checksum, and print is sometimes read as one.
"""

_BINARIZERS = {
    "local": zxingcpp.Binarizer.LocalAverage,
    "global": zxingcpp.Binarizer.GlobalHistogram,
    "fixed": zxingcpp.Binarizer.FixedThreshold,  # dark is below 127
}

_SIDE_MIN = 20  # pixels

Binarizer = Literal["local", "global", "fixed"]


@dataclass(frozen=True, slots=True)
class ZxingResult:
    """What zxing-cpp read and located in one picture."""

    symbols: tuple[Symbol, ...] = ()
    located: tuple[Corners, ...] = ()  # a symbol is there, and its error correction gave up
    sizes: tuple[int, ...] = ()  # modules a side of each that is located; 0: unknown


def read(
    luma: Luma, binarizer: Binarizer = "local", *, bare: bool = False, smaller: bool = True
) -> ZxingResult:
    """Every QR symbol in `luma` (uint8, height x width), also a light one on dark.

    `bare`: the picture holds a symbol, upright, and nothing else. `smaller`: look at the picture
    at half its size and less too.
    """
    barcodes = [
        barcode
        for barcode in zxingcpp.read_barcodes(
            luma,
            formats=_QR,
            binarizer=_BINARIZERS[binarizer],
            is_pure=bare,
            try_downscale=smaller,
            return_errors=True,
        )
        if barcode.format == zxingcpp.BarcodeFormat.QRCode
    ]
    unread = [barcode for barcode in barcodes if not barcode.valid and _placed(barcode.position)]
    return ZxingResult(
        tuple(Symbol(b.bytes, _corners(b.position)) for b in barcodes if b.valid),
        tuple(_corners(b.position) for b in unread),
        tuple(_size(b) for b in unread),
    )


def _placed(position: Any) -> bool:
    """Whether it is as large as a symbol: some errors come from nowhere, at 0, 0."""
    (left, top), _, (right, bottom), _ = _corners(position)
    return abs(right - left) + abs(bottom - top) > _SIDE_MIN


def _size(barcode: Any) -> int:
    version = str((barcode.extra or {}).get("Version", ""))
    return 17 + 4 * int(version) if version.isdigit() else 0


def _corners(position: Any) -> Corners:
    points = (position.top_left, position.top_right, position.bottom_right, position.bottom_left)
    return tuple((p.x, p.y) for p in points)
