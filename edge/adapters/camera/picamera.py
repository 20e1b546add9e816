"""The Pi's camera through picamera2, set up for codes and not for pictures.

The shutter is short first, then gain is added: this is libcamera's own exposure control, with its
stages replaced in the camera's tuning (as picamera2's `examples/tuning_file.py` does). Denoising
and sharpening are off, because both destroy modules of a code. Flicker avoidance is off, because it
needs exposures of whole 10 ms. The picture is the Y plane of a YUV420 stream, read in the driver's
memory without a copy and without conversion.

A lens that can focus (Camera Module 3: 4.74 mm at F1.8) and is set to distance s blurs a point at
distance d by 2.6 mm * |d - s| / s, measured at d. Set to 0.22 m it blurs by half a millimetre, one
module, at 0.18 and 0.26 m. So autofocus follows near objects; a fixed focus is for doors where
codes are always shown at one distance.

picamera2 comes with Raspberry Pi OS (python3-picamera2) or the extra `pi`.
"""

import gc
import time
from contextlib import ExitStack, suppress
from typing import Any

from edge.adapters.camera.stall_recovery import TAKE_S, LentFrame
from edge.parts import CameraLost
from edge.sight.frame import Exposure, Frame, Luma
from edge.wire.unit import CameraConfig

BUFFERS = 6
"""One in use, one queued, one in transfer, and three for the sensor to fill."""

OLD_S = 5.0
"""A timestamp that is older than this comes from another clock."""


class PiCamera:
    """A `CameraDriver` (`stall_recovery.py`)."""

    def __init__(self, camera: CameraConfig) -> None:
        """Raises CameraLost if picamera2 is missing or unusable."""
        try:
            import libcamera
            import picamera2
        except ImportError:
            raise CameraLost(
                "picamera2 is not installed; on Raspberry Pi OS: apt install python3-picamera2, "
                "and make the virtual environment with --system-site-packages"
            ) from None
        except ValueError as error:  # its compiled parts were built for another numpy
            raise CameraLost(
                f"picamera2 does not fit this numpy ({error}); to use the system's numpy, run "
                "pip uninstall numpy in the virtual environment"
            ) from None
        self._libcamera: Any = libcamera
        self._picamera2: Any = picamera2
        self._camera = camera
        self._device: Any = None
        self._job: Any = None  # picamera2's job for the next frame, if that has not come yet

    def open(self) -> None:
        """Open, configure and start. Raises CameraLost."""
        try:
            self._device = self._picamera2.Picamera2(tuning=self._tuning())
            self._device.configure(self._configuration())
            self._device.set_controls(self._controls())
            self._device.start()
        except Exception as error:  # libcamera's errors come in many classes
            self.close()
            raise CameraLost(
                f"no camera answers ({_first_line(error)}); check the ribbon cable and "
                "`rpicam-hello --list-cameras`"
            ) from None

    def restart(self) -> None:
        """Stop and start, with the same buffers. Raises CameraLost."""
        try:
            self._cancel_job()
            self._device.stop()
            self._device.start()
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None

    def take(self) -> LentFrame | None:
        """The next frame; None: none came within TAKE_S. Raises CameraLost.

        The job for a late frame is kept for the next call, because an abandoned one loses a buffer.
        """
        try:
            if self._job is None:
                self._job = self._device.capture_request(wait=False)
            request = self._job.get_result(timeout=TAKE_S)
        except TimeoutError:
            return None
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None
        self._job = None
        return self._lend(request)

    def close(self) -> None:
        """Give the camera back."""
        device, self._device = self._device, None
        if device is None:
            return
        with suppress(Exception):  # no error matters: the camera is not used after this
            self._job = None
            device.cancel_all_and_flush()
            device.close()
        del device
        gc.collect()  # its objects refer to each other in cycles that keep the buffers

    def _lend(self, request: Any) -> LentFrame:
        """The two Y planes of `request`, which is released when the frame is given back."""
        resources = ExitStack()
        resources.callback(request.release)
        try:
            luma = self._luma(request, "main", resources)
            small = self._luma(request, "lores", resources)
            metadata = request.get_metadata()
        except Exception as error:  # as above
            _release(resources)
            raise CameraLost(_failed(error)) from None
        frame = Frame(luma, _seen_s(metadata), small, _exposure(metadata))
        return LentFrame(frame, lambda: _release(resources))

    def _luma(self, request: Any, name: str, resources: ExitStack) -> Luma:
        """The Y plane of the stream `name`: it comes first, each row padded to the stride."""
        mapped = resources.enter_context(self._picamera2.MappedArray(request, name, write=False))
        width, height = request.config[name]["size"]
        plane: Luma = mapped.array[:height, :width]
        return plane

    def _cancel_job(self) -> None:
        """Cancel the job for a frame that has not come, as picamera2 needs before a stop."""
        if self._job is not None:
            self._device.cancel_all_and_flush()
            self._job = None

    def _configuration(self) -> Any:
        """Luma over the whole range of a byte (sYCC); no raw stream, because nothing reads it."""
        config = self._camera
        return self._device.create_video_configuration(
            main={"size": (config.width, config.height), "format": "YUV420"},
            lores={"size": (config.small_width, config.small_height), "format": "YUV420"},
            raw=None,
            colour_space=self._libcamera.ColorSpace.Sycc(),
            buffer_count=BUFFERS,
            queue=False,  # the next frame, never one that has waited
            display=None,
            encode=None,
            controls={"FrameRate": config.frames_per_s},
        )

    def _controls(self) -> dict[str, Any]:
        """The settings for codes that this camera supports: a fixed lens has no autofocus."""
        controls = self._libcamera.controls
        settings = {
            "AeExposureMode": controls.AeExposureModeEnum.Short,
            "AeConstraintMode": controls.AeConstraintModeEnum.Highlight,  # no overexposed screens
            "NoiseReductionMode": controls.draft.NoiseReductionModeEnum.Off,
            "Sharpness": 0.0,
        }
        if self._camera.focus_m is None:
            settings |= {
                "AfMode": controls.AfModeEnum.Continuous,
                "AfRange": controls.AfRangeEnum.Macro,
                "AfSpeed": controls.AfSpeedEnum.Fast,
            }
        else:
            settings |= {
                "AfMode": controls.AfModeEnum.Manual,
                "LensPosition": 1 / self._camera.focus_m,  # dioptres
            }
        return {k: value for k, value in settings.items() if k in self._device.camera_controls}

    def _tuning(self) -> Any:
        """This camera's tuning with our exposure stages; None if libcamera has no tuning for it."""
        device = self._picamera2.Picamera2
        model = device.global_camera_info()[0]["Model"]
        try:
            tuning = device.load_tuning_file(f"{model}.json")
            control = device.find_tuning_algo(tuning, "rpi.agc")
        except (RuntimeError, LookupError, StopIteration):
            return None  # not a camera of Raspberry Pi's
        stages = {
            "shutter": [100, self._camera.shutter_us_max],
            "gain": [1.0, self._camera.gain_max],
        }
        for channel in control.get("channels", [control]):
            channel["exposure_modes"] = dict.fromkeys(channel["exposure_modes"], stages)
        return tuning


def _seen_s(metadata: dict[str, Any]) -> float:
    """When the sensor began the frame, on Python's monotonic clock.

    libcamera documents SensorTimestamp as time since boot, but V4L2 takes it from CLOCK_MONOTONIC
    (libcamera's bug 254). Both are the same on a machine that never sleeps. If the timestamp cannot
    be right, the result is the present time.
    """
    now_s = time.monotonic()
    seen_s = float(metadata.get("SensorTimestamp", 0)) / 1e9
    return seen_s if now_s - OLD_S <= seen_s <= now_s else now_s


def _exposure(metadata: dict[str, Any]) -> Exposure | None:
    if "ExposureTime" not in metadata:
        return None
    gain = float(metadata.get("AnalogueGain", 1.0)) * float(metadata.get("DigitalGain", 1.0))
    lens = metadata.get("LensPosition")
    return Exposure(int(metadata["ExposureTime"]), gain, None if lens is None else float(lens))


def _release(resources: ExitStack) -> None:
    with suppress(Exception):  # the camera may be closed already, and its memory freed
        resources.close()


def _failed(error: BaseException) -> str:
    return f"the camera failed ({_first_line(error)}); check its cable"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
