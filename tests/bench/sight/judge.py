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

from tests.bench.sight.readers import QR, opencv, zbar
from tests.bench.sight.said import likely, meanings
from tests.scenes import Luma


def alone(luma: Luma, said: Iterable[bytes], known: frozenset[str]) -> list[bytes]:
    """Those of `said` that nobody else finds; `known`: texts of the collection's other pictures."""
    open_ = [data for data in dict.fromkeys(said) if meanings(data).isdisjoint(known)]
    if not open_:
        return []
    families = witnesses(luma)
    return [data for data in open_ if _finders(data, families) < 2]


def agreed(luma: Luma) -> list[str]:
    """What a picture without a known text says: what two families find, or the only text found."""
    families = witnesses(luma)
    said = list(dict.fromkeys(data for family in families for data in family))
    texts = {likely(data) for data in said if _finders(data, families) >= 2}
    alone = {likely(data) for data in said}
    return sorted(texts or (alone if len(alone) == 1 else ()))


def witnesses(luma: Luma) -> list[list[bytes]]:
    """What each family of decoders finds in `luma` and what is made of it."""
    families: list[list[bytes]] = [[] for _ in FAMILIES]
    for variant in _variants(luma):
        for family, reads in zip(families, FAMILIES, strict=True):
            for read in reads:
                family += [data for data in read(variant) if data.strip()]
    return families


def _finders(data: bytes, families: Iterable[list[bytes]]) -> int:
    return sum(
        any(not meanings(data).isdisjoint(meanings(other)) for other in family)
        for family in families
    )


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

FAMILIES = ((_zxing, _zxing_global), (zbar,), (opencv,))
