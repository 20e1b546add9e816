"""Pictures instead of a camera: single files for `check`, a folder for `run`."""

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
"""Recognised by content. Pillow's other formats are off, because some of them start programs."""
JPEG_QUALITY = 75
SUFFIXES = frozenset({".pgm", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"})


class PictureError(ValueError):
    """The data cannot be read as a picture; one sentence for people."""


def read(path: Path) -> Luma:
    """The luma of a picture file: uint8, height x width. Raises PictureError."""
    try:
        if path.exists() and not path.is_file():
            raise PictureError(f"{path} is not a file, so it is not a picture")
        if path.stat().st_size > PICTURE_LEN_MAX:
            raise PictureError(f"{path} is larger than 64 MiB; make the picture smaller")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height > PIXELS_MAX:
                    raise PictureError(f"{path} has more than 50 million pixels; make it smaller")
                return np.asarray(picture.convert("L"))
    except UnidentifiedImageError:
        raise PictureError(f"{path} is not a picture (JPEG, PNG, PGM …)") from None
    except OSError as error:
        reason = error.strerror or str(error) or "damaged"
        raise PictureError(f"{path} cannot be read as a picture ({reason})") from None
    except (ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, PictureError):
            raise
        raise PictureError(f"{path} is a damaged picture ({error})") from None


def from_jpeg(data: bytes) -> Luma:
    """The luma of a JPEG, which is how some USB cameras send each frame. Raises PictureError.

    Colours are not decoded (`draft`).
    """
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as picture:
            if picture.width * picture.height > CAMERA_PIXELS_MAX:
                raise PictureError("a JPEG has more pixels than unit.toml can ask a camera for")
            picture.draft("L", picture.size)
            return np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"a JPEG is damaged ({error})") from None


def to_jpeg(luma: Luma) -> bytes:
    """`luma` as a JPEG in memory, a tenth of the size."""
    file = BytesIO()
    Image.fromarray(luma).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


class PictureFolder:
    """The port `FrameSource` over a folder; the newest picture is the last one by name.

    Another program fills the folder: it renames finished files into it, each with a later name.
    """

    def __init__(self, folder: Path) -> None:
        """Raises CameraLost if the folder cannot be read."""
        self._folder = folder
        self._last = ""
        self.dropped = 0
        self._names()

    def latest(self) -> Frame | None:
        """The newest picture not yet taken; None: nothing new. Older ones are dropped and counted.

        Raises CameraLost.
        """
        names = [name for name in self._names() if name > self._last]
        if not names:
            return None
        self._last = max(names)
        self.dropped += len(names) - 1
        try:
            return Frame(read(self._folder / self._last), time.monotonic())
        except PictureError as error:
            log.warning("%s; it was skipped", error)
            return None

    def close(self) -> None:
        """Nothing to close."""

    def _names(self) -> list[str]:
        try:
            return [p.name for p in self._folder.iterdir() if p.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise CameraLost(
                f"the picture folder {self._folder} cannot be read ({error.strerror}); "
                "create it, or set camera.source to another folder"
            ) from None
