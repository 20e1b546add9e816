"""A USB camera through V4L2, Linux's video interface, by linuxpy.

Luma is sliced out of the camera's data; of a JPEG only the luma is decoded. If the camera allows
it, the exposure is set here: a short shutter first, then gain. The camera's own automatic exposure
would take up to a whole frame.
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
"""linuxpy's names of the uncompressed formats, cheapest first: in a row, the byte of the first luma
value, and the step to the next one."""

_MANUAL, _APERTURE = 1, 3  # V4L2_EXPOSURE_MANUAL, V4L2_EXPOSURE_APERTURE_PRIORITY
_UNIT_US = 100  # the unit of V4L2_CID_EXPOSURE_ABSOLUTE, in microseconds

STEER_S = 0.3  # between two changes: an exposure shows two or three frames after it was set
DARK, GREY, BRIGHT = 80, 110, 150  # mean luma: below DARK and above BRIGHT it is steered to GREY
GAIN_OF_RANGE = 16.0  # assumed factor at the maximum of the gain control, which has no unit


class Webcam:
    """A `CameraDriver` (`stall_recovery.py`)."""

    def __init__(self, camera: CameraConfig) -> None:
        """`camera.source`: the device file, as `/dev/video0`."""
        self._camera = camera
        self._device: Any = None
        self._capture: Any = None
        self._format: Any = None
        self._exposure_control: ExposureControl | None = None

    def open(self) -> None:
        """Open, choose a format and start. Raises CameraLost."""
        source = self._camera.source
        try:
            self._device = v4l2.Device(source)
            self._device.open()
            self._capture = v4l2.VideoCapture(self._device, size=BUFFERS)
            self._choose_format()
            self._exposure_control = ExposureControl.of(self._device, self._camera)
            self._capture.open()
        except Exception as error:  # many classes: from linuxpy, the kernel and odd devices
            self.close()
            raise CameraLost(
                f"no camera answers at {source} ({_first_line(error)}); check its plug and "
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
        """The newest frame; None: none came, or it was damaged. Raises CameraLost."""
        try:
            if not _ready(self._device, TAKE_S):
                return None
            buffer = self._capture.buffer.raw_read()
            while _ready(self._device, 0):
                buffer = self._capture.buffer.raw_read()
        except BlockingIOError:
            return None
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None
        luma = self._luma(buffer.data)
        if luma is None:
            return None
        small = thinned(luma, self._camera.small_width)
        seen_s = _seen_s(buffer.timestamp)
        control = self._exposure_control
        exposure = control.follow(float(small.mean()), seen_s) if control else None
        return LentFrame(Frame(luma, seen_s, small, exposure), lambda: None)

    def close(self) -> None:
        """Give the camera back."""
        device, self._device = self._device, None
        capture, self._capture = self._capture, None
        if capture is not None:
            with suppress(Exception):  # no error matters: the camera is not used after this
                capture.close()
        if device is not None:
            with suppress(Exception):  # as above
                device.close()

    def _choose_format(self) -> None:
        """Set the configured size and rate in the format that costs least to read."""
        config = self._camera
        offered = [form.pixel_format for form in self._capture.formats()]
        plain = [form for form in offered if form.name in _FORMATS]
        plain.sort(key=lambda form: list(_FORMATS).index(form.name))
        fast = [form for form in plain if self._rate(form) >= config.frames_per_s]
        packed = [form for form in offered if form.name in ("MJPEG", "JPEG")]
        pixel_format = next(iter([*fast, *packed, *plain]), None)
        if pixel_format is None:
            raise ValueError("it offers none of the formats YUYV, UYVY, NV12, YUV420, grey, JPEG")
        self._capture.set_format(config.width, config.height, pixel_format)
        with suppress(OSError):  # some cameras have a single rate
            self._capture.set_fps(config.frames_per_s)
        self._format = self._capture.get_format()

    def _rate(self, pixel_format: Any) -> float:
        """Frames a second that the camera offers in this format at the configured size."""
        config = self._camera
        intervals = self._device.info.fps_intervals(pixel_format, config.width, config.height)
        return max((float(interval.max_fps) for interval in intervals), default=0.0)

    def _luma(self, data: bytes) -> Luma | None:
        """The luma of one frame's data; None: it is damaged or incomplete."""
        form = self._format
        if form.pixel_format.name not in _FORMATS:
            try:
                return from_jpeg(data)
            except PictureError:
                return None
        first, step = _FORMATS[form.pixel_format.name]
        stride = form.bytes_per_line or form.width * step
        if len(data) < stride * form.height:
            return None
        rows = np.frombuffer(data, np.uint8, stride * form.height).reshape(form.height, stride)
        return rows[:, first : form.width * step : step]


class ExposureControl:
    """Steers shutter and gain of a camera that allows it."""

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
        """The control of `device`; None: its exposure cannot be set.

        A camera that exposes by itself is asked to keep its shutter within one frame.
        """
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
        """Steer the mean luma towards GREY. Returns the exposure in force so far.

        `mean`: mean luma of the frame; `seen_s`: when it was taken.
        """
        shutter, gain = self._split()
        exposure = Exposure(round(shutter) * _UNIT_US, gain)
        if seen_s >= self._next_s and not DARK <= mean <= BRIGHT:
            self._next_s = seen_s + STEER_S
            factor = (GREY / max(mean, 1.0)) ** 2.2  # luma is not linear
            self._exposure *= min(max(factor, 0.25), 4.0)
            largest = self._longest * (self._gain_max if self._gain is not None else 1.0)
            self._exposure = min(max(self._exposure, self._shutter.minimum), largest)
            with suppress(OSError, AttributeError):  # if the camera is gone, `take` raises
                self._set()
        return exposure

    def _split(self) -> tuple[float, float]:
        """The exposure as (shutter in its units, gain): as much shutter as allowed, then gain."""
        shutter = max(self._shutter.minimum, min(self._exposure, self._longest))
        return shutter, max(1.0, self._exposure / shutter)

    def _set(self) -> None:
        shutter, gain = self._split()
        self._shutter.value = round(shutter)
        if self._gain is not None:
            share = (gain - 1) / (GAIN_OF_RANGE - 1)
            low, high = self._gain.minimum, self._gain.maximum
            self._gain.value = round(low + share * (high - low))


def _ready(device: Any, seconds: float) -> bool:
    return bool(select.select([device], [], [], seconds)[0])


def _seen_s(timestamp_s: float) -> float:
    """When the frame was taken: V4L2's timestamp if it can be of CLOCK_MONOTONIC, otherwise now."""
    now_s = time.monotonic()
    return timestamp_s if now_s - 1 <= timestamp_s <= now_s else now_s


def _failed(error: BaseException) -> str:
    return f"the camera has stopped giving frames ({_first_line(error)}); check its plug"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
