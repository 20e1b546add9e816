"""Who reads: the decoders alone, two of them in turn, and this project's own sight.

A reader is stateless (one picture) or a stream (frames of a door, in their order). Each returns
the bytes of what it read; what it costs is counted by whoever calls it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import cv2
import zxingcpp
from pyzbar import pyzbar

from edge.adapters.camera.decoder_supervisor import BUDGET_S
from edge.sight import cascade, change_gate, live_reading
from edge.sight.camera_health import ViewHealth
from edge.sight.frame_pacing import FramePacing
from tests.scenes import Luma

SLOWER = 5  # the door's processor beside this one, roughly
PICTURE_S = 0.040  # the budget of a full cascade for one picture, on this machine

Read = Callable[[Luma], list[bytes]]

QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


class FrameStream(Protocol):
    """Sees the frames of one door."""

    def look(self, luma: Luma, small: Luma | None, seen_s: float) -> list[bytes]:
        """What is read in this frame; `small`: the same, small, where the camera gives that."""


@dataclass(frozen=True, slots=True)
class Reader:
    """One contender. `after`: it is tried where that one read nothing, and costs both."""

    name: str
    read: Read | None  # None: it is two others, one after the other
    stream: Callable[[bool], FrameStream] | None = None  # None: frame by frame, as pictures
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
    """One symbol of a picture: it reads more so than when it looks for several."""
    try:
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(luma)
    except (cv2.error, UnicodeDecodeError):  # it raises on some pictures
        return []
    return [text.encode("utf-8", "surrogateescape")] if text else []


def ours(luma: Luma) -> list[bytes]:
    """A picture, as `menshen-edge check` reads it."""
    return [s.data for s in cascade.read(luma, "both", PICTURE_S).symbols]


class Sight:
    """Frames, as a unit sees them (`edge/sight/frame_pacing.py`, its rule and its constants): the
    gate and camera health on the small frame, then the frame itself where it may show news.

    `gated`: False looks at each frame, and pays for the gate all the same.
    """

    def __init__(self, gated: bool) -> None:
        self._gated = gated
        self._pacing = FramePacing()
        self._view = ViewHealth()
        self._live = live_reading.Live("both", BUDGET_S / SLOWER, clock=time.thread_time)
        self._last: list[bytes] = []
        self.suspected = False  # whether the frame looked at last seemed to hold a symbol

    def look(self, luma: Luma, small: Luma | None, seen_s: float) -> list[bytes]:
        small = change_gate.small_of(luma) if small is None else small
        self._view.take_frame(small, None, seen_s)
        if self._pacing.take(small, seen_s) or not self._gated:
            self._pacing.note_decoding()
            found = self._live.look(luma, seen_s)
            self._last = [symbol.data for symbol in found.symbols]
            tried = {name for name, _ in found.steps} - {"zxing-cpp", "regions"}
            self.suspected = bool(found.symbols or found.unread or tried)
            self._pacing.note_read(bool(found.unread), seen_s)
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
READERS = (OURS, *PEERS)


def stream(reader: Reader, gated: bool = True) -> FrameStream:
    """A new door for `reader`."""
    if reader.stream is not None:
        return reader.stream(gated)
    assert reader.read is not None
    return Pictures(reader.read)
