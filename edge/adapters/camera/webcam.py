"""A USB camera through Linux's own interface (V4L2), by linuxpy.

Luma is sliced out of what the camera sends; of a JPEG only the luma is decoded. Exposure is ours
where the camera lets us: a short shutter first, then gain. Left to itself it would expose for up to
a whole frame.
"""

import logging
import select
import time
from contextlib import suppress
from typing import Any

import numpy as np
from linuxpy.video import device as v4l2

from edge.adapters.camera.pictures import PictureError, from_jpeg
from edge.adapters.camera.stall_recovery import TAKE_S, LentFrame, thinned
from edge.parts import CameraLost
from edge.sight.frame import Exposure, Frame, Luma
from edge.wire.unit import CameraConfig

logging.getLogger("linuxpy").setLevel(logging.WARNING)  # it logs every buffer

BUFFERS = 3

_FORMATS: dict[str, tuple[int, int]] = {
    "GREY": (0, 1),
    "NV12": (0, 1),
    "YUV420": (0, 1),
    "YUYV": (0, 2),
    "UYVY": (1, 2),
}
"""Names in linuxpy of formats whose luma comes first: the byte of a row it begins at, and every
how many it goes on."""

_MANUAL, _APERTURE = 1, 3  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY
_UNIT_US = 100  # of V4L2_CID_EXPOSURE_ABSOLUTE

STEER_S = 0.3  # an exposure shows two or three frames after it was set
DARK, GREY, BRIGHT = 80, 110, 150  # mean luma: below and above, it is steered towards the middle
GAIN_OF_RANGE = 16.0  # what the gain of a USB camera, which has no unit, is taken to reach


class Webcam:
    """A Driver (`newest.py`)."""

    def __init__(self, camera: CameraConfig) -> None:
        """`camera.source`: a device file."""
        self._camera = camera
        self._device: Any = None
        self._capture: Any = None
        self._format: Any = None
        self._exposing: ExposureControl | None = None

    def open(self) -> None:
        """Open, choose a format and start."""
        source = self._camera.source
        try:
            self._device = v4l2.Device(source)
            self._device.open()
            self._capture = v4l2.VideoCapture(self._device, size=BUFFERS)
            self._choose()
            self._exposing = ExposureControl.of(self._device, self._camera)
            self._capture.open()
        except Exception as error:  # linuxpy's, the kernel's, and what a foreign device answers
            self.close()
            raise CameraLost(
                f"no camera answers at {source} ({_sentence(error)}); check its plug and "
                "`ls /dev/video*`"
            ) from None

    def restart(self) -> None:
        """Stop and start, with new buffers."""
        try:
            self._capture.close()
            self._capture.open()
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None

    def take(self) -> LentFrame | None:
        """The newest frame that is there, or the next; a torn one is passed over."""
        try:
            if not _ready(self._device, TAKE_S):
                return None
            taken = self._capture.buffer.raw_read()
            while _ready(self._device, 0):
                taken = self._capture.buffer.raw_read()
        except BlockingIOError:
            return None
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None
        luma = self._luma(taken.data)
        if luma is None:
            return None
        small = thinned(luma, self._camera.small_width)
        seen_s = _seen_s(taken.timestamp)
        exposure = self._exposing.follow(float(small.mean()), seen_s) if self._exposing else None
        return LentFrame(Frame(luma, seen_s, small, exposure), lambda: None)

    def close(self) -> None:
        """Give the camera back."""
        device, self._device = self._device, None
        capture, self._capture = self._capture, None
        if capture is not None:
            with suppress(Exception):  # whatever it raises, the device is released
                capture.close()
        if device is not None:
            with suppress(Exception):  # as above
                device.close()

    def _choose(self) -> None:
        """The format that costs least at the size and pace that are wanted."""
        config = self._camera
        offered = [form.pixel_format for form in self._capture.formats()]
        plain = [form for form in offered if form.name in _FORMATS]
        plain.sort(key=lambda form: list(_FORMATS).index(form.name))
        quick = [form for form in plain if self._pace(form) >= config.frames_per_s]
        packed = [form for form in offered if form.name in ("MJPEG", "JPEG")]
        chosen = next(iter([*quick, *packed, *plain]), None)
        if chosen is None:
            raise ValueError("it offers no format that this reads: YUYV, NV12, grey or JPEG")
        self._capture.set_format(config.width, config.height, chosen)
        with suppress(OSError):  # some have one pace only
            self._capture.set_fps(config.frames_per_s)
        self._format = self._capture.get_format()

    def _pace(self, pixel_format: Any) -> float:
        """Frames a second that the camera offers in this format at the size that is wanted."""
        config = self._camera
        paces = self._device.info.fps_intervals(pixel_format, config.width, config.height)
        return max((float(pace.max_fps) for pace in paces), default=0.0)

    def _luma(self, data: bytes) -> Luma | None:
        shape = self._format
        if shape.pixel_format.name not in _FORMATS:
            try:
                return from_jpeg(data)
            except PictureError:
                return None
        first, every = _FORMATS[shape.pixel_format.name]
        stride = shape.bytes_per_line or shape.width * every
        if len(data) < stride * shape.height:
            return None
        rows = np.frombuffer(data, np.uint8, stride * shape.height).reshape(shape.height, stride)
        return rows[:, first : shape.width * every : every]


class ExposureControl:
    """Steers shutter and gain of a camera that lets itself be steered."""

    def __init__(self, shutter: Any, gain: Any, camera: CameraConfig) -> None:
        """`shutter`, `gain`: linuxpy's controls; a camera may have no gain."""
        self._shutter, self._gain = shutter, gain
        self._longest = max(shutter.minimum, camera.shutter_us_max // _UNIT_US)
        self._gain_max = min(camera.gain_max, GAIN_OF_RANGE)
        self._exposure = self._longest * 1.0  # in units of the shutter, times gain
        self._next_s = float("-inf")
        self._set()

    @classmethod
    def of(cls, device: Any, camera: CameraConfig) -> "ExposureControl | None":
        """None: the camera exposes as it likes; its shutter is then kept within one frame."""
        controls = device.controls
        try:
            controls[v4l2.ControlID.EXPOSURE_AUTO].value = _MANUAL
            shutter = controls[v4l2.ControlID.EXPOSURE_ABSOLUTE]
        except (KeyError, AttributeError, OSError):
            with suppress(KeyError, AttributeError, OSError):
                controls[v4l2.ControlID.EXPOSURE_AUTO_PRIORITY].value = False
            return None
        gain = None
        with suppress(KeyError):
            gain = controls[v4l2.ControlID.GAIN]
        try:
            return cls(shutter, gain, camera)
        except (AttributeError, OSError, ValueError):
            with suppress(KeyError, AttributeError, OSError):
                controls[v4l2.ControlID.EXPOSURE_AUTO].value = _APERTURE
            return None

    def follow(self, mean: float, seen_s: float) -> Exposure:
        """Steer towards a middle grey from the mean luma; what that frame was taken with."""
        shutter, gain = self._parts()
        exposure = Exposure(round(shutter) * _UNIT_US, gain)
        if seen_s >= self._next_s and not DARK <= mean <= BRIGHT:
            self._next_s = seen_s + STEER_S
            factor = (GREY / max(mean, 1.0)) ** 2.2  # luma is not linear
            self._exposure *= min(max(factor, 0.25), 4.0)
            most = self._longest * (self._gain_max if self._gain is not None else 1.0)
            self._exposure = min(max(self._exposure, self._shutter.minimum), most)
            with suppress(OSError, AttributeError):  # `take` reports a camera that is gone
                self._set()
        return exposure

    def _parts(self) -> tuple[float, float]:
        """Shutter in its units and gain, the shutter first."""
        shutter = max(self._shutter.minimum, min(self._exposure, self._longest))
        return shutter, max(1.0, self._exposure / shutter)

    def _set(self) -> None:
        shutter, gain = self._parts()
        self._shutter.value = round(shutter)
        if self._gain is not None:
            share = (gain - 1) / (GAIN_OF_RANGE - 1)
            low, high = self._gain.minimum, self._gain.maximum
            self._gain.value = round(low + share * (high - low))


def _ready(device: Any, seconds: float) -> bool:
    return bool(select.select([device], [], [], seconds)[0])


def _seen_s(timestamp_s: float) -> float:
    """V4L2 stamps a frame from CLOCK_MONOTONIC; a driver that does not is not trusted."""
    now_s = time.monotonic()
    return timestamp_s if now_s - 1 <= timestamp_s <= now_s else now_s


def _failed(error: BaseException) -> str:
    return f"the camera has stopped giving frames ({_sentence(error)}); check its plug"


def _sentence(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
