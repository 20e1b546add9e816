"""Is a text that the truth does not name in the picture? Other decoders are asked, hard.

A text is alone when no second family of decoders finds it in the picture, also not in the picture
made larger, smaller, evened out or negative, and no other picture of the same collection is known
to say it (they photograph one symbol many times). zxing-cpp, zbar and OpenCV are three families:
none is made of another.

Alone in a picture whose text is known, it is false. Where nobody has ever read the picture, nobody
can say: it is shown apart, and is no read either.
"""

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import zxingcpp

from tests.bench.sight.readers import QR, Read, opencv, zbar
from tests.bench.sight.said import meanings
from tests.scenes import Luma


def alone(luma: Luma, said: Iterable[bytes], known: frozenset[str]) -> list[bytes]:
    """Those of `said` that nobody else finds; `known`: texts of the collection's other pictures."""
    open_ = [data for data in dict.fromkeys(said) if meanings(data).isdisjoint(known)]
    if not open_:
        return []
    families = [_everything(luma, reads) for reads in ((_zxing, _zxing_global), (zbar,), (opencv,))]
    return [
        data
        for data in open_
        if sum(not meanings(data).isdisjoint(family) for family in families) < 2
    ]


def _everything(luma: Luma, reads: Iterable[Read]) -> frozenset[str]:
    found: set[str] = set()
    for variant in _variants(luma):
        for read in reads:
            for data in read(variant):
                found |= meanings(data)
    return frozenset(found)


def _variants(luma: Luma) -> Iterator[Luma]:
    yield luma
    yield 255 - luma
    even = cv2.createCLAHE(3.0, (8, 8)).apply(luma)
    yield even
    soft = cv2.GaussianBlur(luma, (0, 0), 1.2)
    yield soft
    yield cv2.adaptiveThreshold(soft, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 51, 5)
    for scale, by in ((0.5, cv2.INTER_AREA), (0.7, cv2.INTER_AREA), (2.0, cv2.INTER_CUBIC)):
        yield cv2.resize(luma, None, fx=scale, fy=scale, interpolation=by)
        yield cv2.resize(even, None, fx=scale, fy=scale, interpolation=by)
    yield np.rot90(luma).copy()


def _by(binarizer: zxingcpp.Binarizer) -> Callable[[Luma], list[bytes]]:
    def read(luma: Luma) -> list[bytes]:
        found = zxingcpp.read_barcodes(luma, formats=QR, binarizer=binarizer)
        return [barcode.bytes for barcode in found]

    return read


_zxing, _zxing_global = (
    _by(b) for b in (zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram)
)
