"""The Pi's camera through picamera2, set up for codes and not for pictures.

A short shutter first, then gain: libcamera's own exposure control, with its stages replaced in the
camera's tuning (as picamera2's `examples/tuning_file.py` does). No denoising and no sharpening:
both eat modules. No flicker avoidance: it needs exposures of whole 10 ms. The picture is the Y
plane of a YUV420 stream, read where the driver put it, without a copy and without conversion.

A lens that can focus (Camera Module 3: 4.74 mm at F1.8) blurs a point at distance d by
2.6 mm * |d - s| / s there when it is held at s: half a millimetre, a module, at 0.18 and 0.26 m for
0.22 m. So it follows what is near; a fixed distance is for doors whose codes come at one distance.

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
"""One in use, one queued, one in transfer, three for the sensor."""

OLD_S = 5.0
"""A timestamp further back than this is of another clock."""


class PiCamera:
    """A Driver (`newest.py`)."""

    def __init__(self, camera: CameraConfig) -> None:
        """Raises CameraLost when there is no picamera2."""
        try:
            import libcamera
            import picamera2
        except ImportError:
            raise CameraLost(
                "picamera2 is not installed; on Raspberry Pi OS: apt install python3-picamera2, "
                "and make the virtual environment with --system-site-packages"
            ) from None
        except ValueError as error:  # its compiled parts were made for another numpy
            raise CameraLost(
                f"picamera2 does not fit this numpy ({error}); use the one of the system: "
                "pip uninstall numpy in the virtual environment"
            ) from None
        self._libcamera: Any = libcamera
        self._picamera2: Any = picamera2
        self._camera = camera
        self._device: Any = None
        self._job: Any = None  # a request that was asked for and has not come

    def open(self) -> None:
        """Open, configure and start."""
        try:
            self._device = self._picamera2.Picamera2(tuning=self._tuning())
            self._device.configure(self._configuration())
            self._device.set_controls(self._controls())
            self._device.start()
        except Exception as error:  # libcamera's errors come through in many classes
            self.close()
            raise CameraLost(
                f"no camera answers ({_sentence(error)}); check the ribbon cable and "
                "`rpicam-hello --list-cameras`"
            ) from None

    def restart(self) -> None:
        """Stop and start, with the same buffers."""
        try:
            self._forget_job()
            self._device.stop()
            self._device.start()
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None

    def take(self) -> LentFrame | None:
        """The next frame. One that is late stays asked for: a request given up would be lost."""
        try:
            if self._job is None:
                self._job = self._device.capture_request(wait=False)
            request = self._job.get_result(timeout=TAKE_S)
        except TimeoutError:
            return None
        except Exception as error:  # as above
            raise CameraLost(_failed(error)) from None
        self._job = None
        return self._lent(request)

    def close(self) -> None:
        """Give the camera back."""
        device, self._device = self._device, None
        if device is None:
            return
        with suppress(Exception):  # whatever it raises, the device is released
            self._job = None
            device.cancel_all_and_flush()
            device.close()
        del device
        gc.collect()  # its objects point at each other, and hold on to the buffers

    def _lent(self, request: Any) -> LentFrame:
        """The two Y planes of a request; it is kept until they are released."""
        held = ExitStack()
        held.callback(request.release)
        try:
            luma = self._luma(request, "main", held)
            small = self._luma(request, "lores", held)
            metadata = request.get_metadata()
        except Exception as error:  # as above
            _give_back(held)
            raise CameraLost(_failed(error)) from None
        frame = Frame(luma, _seen_s(metadata), small, _exposure(metadata))
        return LentFrame(frame, lambda: _give_back(held))

    def _luma(self, request: Any, name: str, held: ExitStack) -> Luma:
        """The Y plane of one stream: its rows come first, each padded to the stride."""
        mapped = held.enter_context(self._picamera2.MappedArray(request, name, write=False))
        width, height = request.config[name]["size"]
        plane: Luma = mapped.array[:height, :width]
        return plane

    def _forget_job(self) -> None:
        """What was asked for and never came is given up, as it must be before a stop."""
        if self._job is not None:
            self._device.cancel_all_and_flush()
            self._job = None

    def _configuration(self) -> Any:
        """Luma over the whole range of a byte (sYCC), and no raw stream: nobody reads it."""
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
        """Of what codes want, what this camera has: a fixed lens has no autofocus."""
        named = self._libcamera.controls
        settings = {
            "AeExposureMode": named.AeExposureModeEnum.Short,
            "AeConstraintMode": named.AeConstraintModeEnum.Highlight,  # a screen, not blown out
            "NoiseReductionMode": named.draft.NoiseReductionModeEnum.Off,
            "Sharpness": 0.0,
        }
        if self._camera.focus_m is None:
            settings |= {
                "AfMode": named.AfModeEnum.Continuous,
                "AfRange": named.AfRangeEnum.Macro,
                "AfSpeed": named.AfSpeedEnum.Fast,
            }
        else:
            settings |= {
                "AfMode": named.AfModeEnum.Manual,
                "LensPosition": 1 / self._camera.focus_m,  # dioptres
            }
        return {k: value for k, value in settings.items() if k in self._device.camera_controls}

    def _tuning(self) -> Any:
        """This camera's tuning with our stages of exposure; None if it has no tuning file."""
        device = self._picamera2.Picamera2
        model = device.global_camera_info()[0]["Model"]
        try:
            tuning = device.load_tuning_file(f"{model}.json")
            control = device.find_tuning_algo(tuning, "rpi.agc")
        except (RuntimeError, LookupError, StopIteration):
            return None  # a camera that is not Raspberry Pi's
        stages = {
            "shutter": [100, self._camera.shutter_us_max],
            "gain": [1.0, self._camera.gain_max],
        }
        for channel in control.get("channels", [control]):
            channel["exposure_modes"] = dict.fromkeys(channel["exposure_modes"], stages)
        return tuning


def _seen_s(metadata: dict[str, Any]) -> float:
    """When the sensor began the frame, on Python's monotonic clock.

    libcamera calls SensorTimestamp time since boot, and V4L2 takes it from CLOCK_MONOTONIC
    (libcamera's bug 254): the same on a machine that never sleeps. What does not fit is not taken.
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


def _give_back(held: ExitStack) -> None:
    with suppress(Exception):  # the camera was closed meanwhile, and its memory with it
        held.close()


def _failed(error: BaseException) -> str:
    return f"the camera failed ({_sentence(error)}); check its cable"


def _sentence(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
