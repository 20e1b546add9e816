"""Photographs that nobody here took: a folder of pictures with a `truth.json`.

`truth.json` is a list of {"file", "corpus", "category", "texts"}. The pictures stay outside the
repository; tests/bench/sight/README.md says how anyone gets them.
"""

import os
from pathlib import Path

import cv2
import msgspec

from tests.scenes import HEIGHT, WIDTH, Luma

USUAL = Path(__file__).parents[4] / "shared" / "photos"
SCREENS = ("boofcv", "monitor")  # corpus and category of the photographed screens


class PhotosWrong(Exception):
    """The folder cannot be used; the message says why and what to do."""


class Photo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One picture and what it says; `texts` may be empty: nobody has read it."""

    file: str
    corpus: str
    category: str
    texts: list[str]


def folder(given: Path | None) -> Path:
    """The folder of --photos, of MENSHEN_PHOTOS, or the usual one."""
    return given or Path(os.environ.get("MENSHEN_PHOTOS") or USUAL)


def load(path: Path) -> list[Photo]:
    """What `path` holds. Raises PhotosWrong."""
    truth = path / "truth.json"
    try:
        listed = msgspec.json.decode(truth.read_bytes(), type=list[Photo])
    except OSError:
        raise PhotosWrong(f"no photographs: {truth} is not there") from None
    except msgspec.DecodeError as error:
        raise PhotosWrong(f"{truth} is not a list of photographs: {error}") from None
    photos = [msgspec.structs.replace(p, texts=[t for t in p.texts if t.strip()]) for p in listed]
    lost = [photo.file for photo in photos if not (path / photo.file).is_file()]
    if lost:
        raise PhotosWrong(f"{truth} names {lost[0]}, and {len(lost)} files are not in its folder")
    return photos


def luma(path: Path) -> Luma:
    """The picture in grey, fitted into 1280x720 and never enlarged. Raises PhotosWrong."""
    found = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise PhotosWrong(f"{path} is not a picture that OpenCV reads")
    return fitted(found)


def fitted(luma: Luma) -> Luma:
    high, wide = luma.shape
    scale = min(WIDTH / wide, HEIGHT / high)
    if scale >= 1:
        return luma
    size = (max(1, round(wide * scale)), max(1, round(high * scale)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)
