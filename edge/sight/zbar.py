"""QR symbols by zbar, which reads some that zxing-cpp does not, and whose bytes are a guess.

zbar turns what a symbol holds into UTF-8 by guessing what it was, so only ASCII comes out of it as
it went in: anything else is left out. Door codes are ASCII.
"""

from typing import Any

from edge.sight.frame import Corners, Luma, Symbol

try:
    from pyzbar import pyzbar
except ModuleNotFoundError:
    raise
except ImportError:
    raise ImportError("the decoder pyzbar needs zbar's library: apt install libzbar0") from None

_TURNED = {"UP": 0, "RIGHT": 1, "DOWN": 2, "LEFT": 3}  # where the symbol's own top is


def read(luma: Luma) -> tuple[Symbol, ...]:
    """Every dark QR symbol on light in `luma` (uint8, height x width) that holds ASCII."""
    height, width = luma.shape
    try:
        results = pyzbar.decode((luma.tobytes(), width, height), symbols=[pyzbar.ZBarSymbol.QRCODE])
    except ValueError:  # one part of a structured-append symbol (pyzbar's issue 139)
        return ()
    return tuple(
        Symbol(r.data, _corners(r)) for r in results if r.type == "QRCODE" and r.data.isascii()
    )


def _corners(result: Any) -> Corners:
    """Clockwise from the symbol's top left: pyzbar gives a hull that begins anywhere."""
    points = [(int(p.x), int(p.y)) for p in result.polygon]
    if len(points) != 4:  # seen so steeply that two corners are one
        left, top, wide, high = result.rect
        points = [(left, top), (left + wide, top), (left + wide, top + high), (left, top + high)]
    turn = sum(
        (x2 - x1) * (y2 + y1)
        for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True)
    )
    if turn > 0:  # y points down: this way round is against the clock
        points.reverse()
    first = min(range(4), key=lambda i: sum(points[i]))
    first += _TURNED.get(str(result.orientation), 0)
    return tuple(points[(first + i) % 4] for i in range(4))
