"""linuxpy's surface (0.25) for one USB camera, as far as `edge/adapters/camera/webcam.py` uses it.

The device file is a FIFO. Each byte in it is one frame, GREY, at the size that was asked for; its
luma lies in `frame.luma` beside it.
"""

import os
import time
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class PixelFormat(Enum):
    GREY = 1


class ControlID(Enum):
    EXPOSURE_AUTO = 1
    EXPOSURE_AUTO_PRIORITY = 2
    EXPOSURE_ABSOLUTE = 3
    GAIN = 4


class Device:
    """A camera whose exposure cannot be set."""

    controls: dict[ControlID, Any] = {}  # noqa: RUF012

    def __init__(self, source: str) -> None:
        self.path = Path(source)
        self._file = -1

    @property
    def info(self) -> Any:
        return SimpleNamespace(fps_intervals=lambda *_: [SimpleNamespace(max_fps=30.0)])

    def open(self) -> None:
        self._file = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def fileno(self) -> int:
        return self._file

    def close(self) -> None:
        os.close(self._file)


class VideoCapture:
    """Its frames."""

    def __init__(self, device: Device, size: int) -> None:
        self._device = device
        self._format: Any = None

    def formats(self) -> list[Any]:
        return [SimpleNamespace(pixel_format=PixelFormat.GREY)]

    def set_format(self, width: int, height: int, pixel_format: PixelFormat) -> None:
        self._format = SimpleNamespace(
            width=width, height=height, pixel_format=pixel_format, bytes_per_line=width
        )

    def get_format(self) -> Any:
        return self._format

    def set_fps(self, fps: float) -> None:
        pass

    def open(self) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def buffer(self) -> "VideoCapture":
        return self

    def raw_read(self) -> Any:
        os.read(self._device.fileno(), 1)
        luma = (self._device.path.parent / "frame.luma").read_bytes()
        return SimpleNamespace(data=luma, timestamp=time.monotonic())
