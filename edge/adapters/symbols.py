"""QR symbols in a picture."""

import time

from edge.ports import Camera, Luma, Sighting, Symbol
from edge.sight import cascade
from edge.sight.cascade import Decoder

BUDGET_S = 0.1

__all__ = ["Decoder", "Symbols"]


class Symbols:
    """Reads one picture after the other."""

    def __init__(self, decoder: Decoder) -> None:
        """Raises ImportError with a sentence when zbar's library is missing and asked for."""
        self._decoder = decoder
        if decoder != "zxing-cpp":
            from edge.sight import zbar  # noqa: F401

    def read(self, luma: Luma) -> tuple[Symbol, ...]:
        """Every QR symbol that was decoded in `luma` (uint8, height x width)."""
        return cascade.read(luma, self._decoder, BUDGET_S).symbols


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
