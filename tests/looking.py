"""Eyes for tests of `look`: frames from a list, read by zxing-cpp at once."""

from collections.abc import Iterable, Sequence
from itertools import count

import numpy as np
import zxingcpp

from edge.look.frame_tap import Tee
from edge.look.watch import LookView, Watch
from edge.sight.frame import Corners, Exposure, Frame, Luma, Sighting, Symbol
from tests import scenes

RATE = 15.0
QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
TEXT = "DC1:" + "6BF0XK9-T2M7/QW:E4$" * 10  # version 8; nobody signed it

PLAIN = scenes.Look(
    device="phone",
    x=640.0,
    y=330.0,
    side=300.0,
    roll=5.0,
    yaw=10.0,
    pitch=5.0,
    white=205,
    black=40,
    defocus=0.7,
    motion=0.0,
    motion_angle=0.0,
    glare=0.0,
    glare_at=(0.0, 0.0),
    noise=5,
)
"""Nothing wrong with it."""


class Listed:
    """A camera that gives `lumas`, one a call."""

    dropped = 3

    def __init__(
        self,
        lumas: Iterable[Luma],
        exposure: Exposure | None = None,
        at_s: Iterable[float] | None = None,
    ) -> None:
        at_s = (100 + n / RATE for n in count()) if at_s is None else at_s
        self._frames = [
            Frame(luma, seen_s, exposure=exposure)
            for luma, seen_s in zip(lumas, at_s, strict=False)
        ]
        self.closed = False

    def latest(self) -> Frame | None:
        return self._frames.pop(0) if self._frames else None

    def close(self) -> None:
        self.closed = True


class Zxing:
    """Reads each frame where it is asked."""

    def __init__(self, tee: Tee) -> None:
        self._tee = tee

    def latest(self) -> Sighting | None:
        frame = self._tee.latest()
        if frame is None:
            return None
        found = zxingcpp.read_barcodes(frame.luma, formats=QR, return_errors=True)
        return Sighting(
            frame.seen_s,
            tuple(Symbol(f.bytes, corners(f)) for f in found if f.valid),
            tuple(corners(f) for f in found if not f.valid),
            steps=(("zxing-cpp", 1.5), ("sharpened", 2.5)),
        )

    def wait(self, seconds: float) -> None:
        pass

    def close(self) -> None:
        self._tee.close()


def corners(found: zxingcpp.Barcode) -> Corners:
    p = found.position
    return tuple((c.x, c.y) for c in (p.top_left, p.top_right, p.bottom_right, p.bottom_left))


def view(*lumas: Luma, exposure: Exposure | None = None, at_s: Sequence[float] = ()) -> LookView:
    """What is told after all of `lumas`, seen at these seconds."""
    at_s = at_s or [100 + n / RATE for n in range(len(lumas))]
    tee = Tee(Listed(lumas, exposure, at_s))
    watch = Watch(tee, Zxing(tee))
    told = None
    for now_s in at_s:
        watch.take()
        told = watch.view(now_s)
    assert told is not None
    return told


def texts(luma: Luma) -> Sequence[bytes]:
    """What can be read in a picture, by whoever sees it."""
    return [f.bytes for f in zxingcpp.read_barcodes(luma, formats=QR)]


def rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng((2026, *seed))
