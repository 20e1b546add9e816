"""QR symbols in a picture, by zxing-cpp and pyzbar. Bytes only: a decoder's text is a guess."""

import time
from typing import Any, Literal

import zxingcpp

from edge.ports import Camera, Luma, Sighting, Symbol

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
"""One format: all of them cost nine times as much for nothing."""

Decoder = Literal["zxing-cpp", "pyzbar", "both"]


class Symbols:
    """`both`: zxing-cpp, and pyzbar where that found nothing (it reads 15 points fewer alone)."""

    def __init__(self, decoder: Decoder) -> None:
        """Raises ImportError with a sentence when zbar's library is missing and asked for."""
        self._decoder = decoder
        self._zbar: Any = None
        if decoder != "zxing-cpp":
            try:
                from pyzbar import pyzbar
            except ImportError:
                raise ImportError(
                    "the decoder pyzbar needs zbar's library: apt install libzbar0"
                ) from None
            self._zbar = pyzbar

    def read(self, luma: Luma) -> tuple[Symbol, ...]:
        """Every QR symbol that was decoded in `luma` (uint8, height x width)."""
        found = self._by_zxing(luma) if self._decoder != "pyzbar" else ()
        return found or (self._by_zbar(luma) if self._zbar is not None else ())

    def _by_zxing(self, luma: Luma) -> tuple[Symbol, ...]:
        barcodes = zxingcpp.read_barcodes(luma, formats=_QR)
        return tuple(
            Symbol(
                b.bytes,
                (
                    (b.position.top_left.x, b.position.top_left.y),
                    (b.position.top_right.x, b.position.top_right.y),
                    (b.position.bottom_right.x, b.position.bottom_right.y),
                    (b.position.bottom_left.x, b.position.bottom_left.y),
                ),
            )
            for b in barcodes
        )

    def _by_zbar(self, luma: Luma) -> tuple[Symbol, ...]:
        height, width = luma.shape
        try:
            results = self._zbar.decode(
                (luma.tobytes(), width, height), symbols=[self._zbar.ZBarSymbol.QRCODE]
            )
        except ValueError:  # a structured-append symbol (pyzbar's issue 139)
            return ()
        return tuple(
            Symbol(r.data, tuple((p.x, p.y) for p in r.polygon))
            for r in results
            if r.type == "QRCODE"
        )


class Direct:
    """A camera and a reader in the unit's own process, until the decoder has one of its own."""

    def __init__(self, camera: Camera, reader: Symbols) -> None:
        self._camera = camera
        self._reader = reader

    def latest(self) -> Sighting | None:
        """What the newest frame shows, decoded here and now. Raises CameraLost."""
        frame = self._camera.latest()
        if frame is None:
            return None
        height, width = frame.luma.shape
        return Sighting(frame.seen_s, self._reader.read(frame.luma), size=(width, height))

    def wait(self, seconds: float) -> None:
        """Sleep: nothing is known before it is asked."""
        time.sleep(seconds)

    def close(self) -> None:
        """Give the camera back."""
        self._camera.close()
