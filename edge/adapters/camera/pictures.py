"""Pictures as eyes: single files for `check`, a folder that something fills for `run`."""

import logging
import time
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from edge.parts import CameraLost
from edge.sight.frame import Frame, Luma

log = logging.getLogger("menshen")

PICTURE_LEN_MAX = 64 * 1024 * 1024  # bytes of one file
PIXELS_MAX = 50_000_000
CAMERA_PIXELS_MAX = 4096 * 3072  # the most that unit.toml asks a camera for
FORMATS = ("PNG", "JPEG", "PPM", "BMP", "WEBP", "TIFF")
"""Told by content; some of the others that Pillow knows start programs of their own."""
JPEG_QUALITY = 75
SUFFIXES = frozenset({".pgm", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})


class PictureError(ValueError):
    """A file that is no picture; one sentence for people."""


def read(path: Path) -> Luma:
    """The luma of a picture file: uint8, height x width. Raises PictureError."""
    try:
        if path.exists() and not path.is_file():
            raise PictureError(f"{path} is not a file, so it is not a picture")
        if path.stat().st_size > PICTURE_LEN_MAX:
            raise PictureError(f"{path} is larger than any picture this reads (64 MiB)")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height > PIXELS_MAX:
                    raise PictureError(f"{path} has more than 50 million pixels; make it smaller")
                return np.asarray(picture.convert("L"))
    except UnidentifiedImageError:
        raise PictureError(f"{path} is not a picture (JPEG, PNG, PGM …)") from None
    except OSError as error:
        why = error.strerror or str(error) or "torn"
        raise PictureError(f"{path} cannot be read as a picture ({why})") from None
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"{path} is a torn picture ({error})") from None


def from_jpeg(data: bytes) -> Luma:
    """The luma of a JPEG, as a USB camera sends one a frame. Raises PictureError.

    `draft` leaves the colours undecoded.
    """
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as picture:
            if picture.width * picture.height > CAMERA_PIXELS_MAX:
                raise PictureError("a JPEG has more pixels than any camera was asked for")
            picture.draft("L", picture.size)
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"a JPEG is torn ({error})") from None


def to_jpeg(luma: Luma) -> bytes:
    """`luma` as a JPEG in memory, a tenth of its bytes."""
    file = BytesIO()
    Image.fromarray(luma).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


class PictureFolder:
    """The newest picture by name; older ones are dropped and counted. Raises CameraLost.

    Whoever fills the folder renames finished files into it, with names that rise.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = ""
        self.dropped = 0
        self._names()

    def latest(self) -> Frame | None:
        """The newest picture not yet taken."""
        names = [name for name in self._names() if name > self._last]
        if not names:
            return None
        self._last = max(names)
        self.dropped += len(names) - 1
        try:
            return Frame(read(self._folder / self._last), time.monotonic())
        except PictureError as error:
            log.warning("%s; it was passed over", error)
            return None

    def close(self) -> None:
        """Nothing to close."""

    def _names(self) -> list[str]:
        try:
            return [p.name for p in self._folder.iterdir() if p.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise CameraLost(
                f"the picture folder {self._folder} cannot be read ({error.strerror}); "
                "make it, or name another as camera.source"
            ) from None
