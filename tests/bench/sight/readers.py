"""Who reads: the decoders alone, two of them in turn, and this project's own sight.

A reader is stateless (one picture) or a stream (frames of a door, in their order). Each returns
the bytes of what it read; what it costs is counted by whoever calls it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import zxingcpp
from pyzbar import pyzbar

from tests.scenes import Luma

SLOWER = 5  # the door's processor beside this one, roughly
PICTURE_S = 0.040  # the budget of a full cascade for one picture, on this machine
FRAME_S = 0.060 / SLOWER  # a frame's, in a stream: 60 ms of the door's processor

Read = Callable[[Luma], list[bytes]]

QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


class Stream(Protocol):
    """Sees the frames of one door."""

    def look(self, luma: Luma, small: Luma | None, seen_s: float) -> list[bytes]:
        """What is read in this frame; `small`: the same, small, where the camera gives that."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One contender. `after`: it is tried where that one read nothing, and costs both."""

    name: str
    read: Read | None  # None: it is two others, one after the other
    stream: Callable[[bool], Stream] | None = None  # None: frame by frame, as pictures
    first: str = ""
    after: str = ""


def zxing(luma: Luma) -> list[bytes]:
    return [found.bytes for found in zxingcpp.read_barcodes(luma, formats=QR)]


def zbar(luma: Luma) -> list[bytes]:
    try:
        return [r.data for r in pyzbar.decode(luma, symbols=[pyzbar.ZBarSymbol.QRCODE])]
    except ValueError:  # a structured-append symbol (pyzbar's issue 139)
        return []


def opencv(luma: Luma) -> list[bytes]:
    try:
        _, texts, _, _ = cv2.QRCodeDetector().detectAndDecodeMulti(luma)
    except (cv2.error, UnicodeDecodeError):  # it raises on some pictures
        return []
    return [text.encode("utf-8", "surrogateescape") for text in texts if text]


def ours(luma: Luma) -> list[bytes]:
    """A picture, as `menshen-edge check` reads it."""
    from edge.sight import cascade

    return [symbol.data for symbol in cascade.read(luma, "both", PICTURE_S).symbols]


class Sight:
    """Frames, as a unit sees them: the gate on the small stream, then the frame.

    `gated`: a frame in which nothing moved is not looked at. Without it the gate is asked (and
    paid) and not obeyed.
    """

    def __init__(self, gated: bool) -> None:
        from edge.sight import gate, live

        self._gated = gated
        self._small_of = gate.small_of
        self._gate = gate.Gate()
        self._live = live.Live("both", FRAME_S)
        self._last: list[bytes] = []

    def look(self, luma: Luma, small: Luma | None, seen_s: float) -> list[bytes]:
        if self._gate.moved(self._small_of(luma) if small is None else small) or not self._gated:
            self._last = [s.data for s in self._live.look(luma, seen_s).symbols]
            self._gate.decoded()
        return self._last


class Pictures:
    """A stateless reader, frame by frame."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def look(self, luma: Luma, small: Luma | None, seen_s: float) -> list[bytes]:
        return self._read(luma)


PEERS = (
    Reader("zxing-cpp", zxing),
    Reader("pyzbar", zbar),
    Reader("OpenCV", opencv),
    Reader("zxing-cpp, pyzbar", None, first="zxing-cpp", after="pyzbar"),
)
OURS = Reader("menshen", ours, Sight)
try:
    import edge.sight.live  # noqa: F401
except ImportError:
    READERS: tuple[Reader, ...] = PEERS  # until it is there
else:
    READERS = (OURS, *PEERS)


def stream(reader: Reader, gated: bool = True) -> Stream:
    """A new door for `reader`."""
    if reader.stream is not None:
        return reader.stream(gated)
    assert reader.read is not None
    return Pictures(reader.read)
