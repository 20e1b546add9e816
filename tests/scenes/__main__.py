"""`python -m tests.scenes`: how often the decoders read these scenes, and pictures to look at."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import zxingcpp
from pyzbar import pyzbar

from tests import scenes
from tests.scenes.look import Rng

QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
LENGTHS = {8: 200, 12: 390}  # characters that need this QR version at EC level M


def text(version: int, rng: Rng) -> str:
    """As long as a door code of this QR version, and as dense; nobody signed it."""
    return "DC1:" + "".join(rng.choice(list(ALPHABET), LENGTHS[version] - 4))


def zxing(luma: scenes.Luma) -> list[bytes]:
    return [r.bytes for r in zxingcpp.read_barcodes(luma, formats=QR)]


def zbar(luma: scenes.Luma) -> list[bytes]:
    return [r.data for r in pyzbar.decode(luma, symbols=[pyzbar.ZBarSymbol.QRCODE])]


def twice(luma: scenes.Luma) -> list[bytes]:
    """zxing-cpp on the picture at twice its size."""
    return zxing(cv2.resize(luma, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))


def opencv(luma: scenes.Luma) -> list[bytes]:
    try:
        text, _, _ = cv2.QRCodeDetector().detectAndDecode(luma)
    except cv2.error:  # it raises on some pictures
        return []
    return [text.encode()]


Read = Callable[[scenes.Luma], list[bytes]]


def stills_read(read: Read, version: int, seed: int, count: int) -> float:
    """The share of single frames that `read` reads."""
    seen = 0
    for i in range(count):
        rng = np.random.default_rng((seed, version, i))
        said = text(version, rng)
        seen += said.encode() in read(scenes.still(said, rng))
    return seen / count


def visits_read(read: Read, version: int, seed: int, count: int) -> float:
    """The share of twelve-frame visits of which `read` reads at least one frame."""
    seen = 0
    for i in range(count):
        rng = np.random.default_rng((seed, version, i, 12))
        said = text(version, rng)
        seen += any(said.encode() in read(luma) for luma in scenes.visit(said, rng))
    return seen / count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.scenes", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400, help="stills; a quarter of it visits")
    parser.add_argument("--save", type=Path, help="write some pictures into this folder instead")
    given = parser.parse_args()
    if given.save:
        _save(given.save, given.seed)
        return
    for version in LENGTHS:
        for name, read in (("zxing-cpp", zxing), ("pyzbar", zbar)):
            still = stills_read(read, version, given.seed, given.count)
            visit = visits_read(read, version, given.seed, given.count // 4)
            print(
                f"version {version:2} {name:9}: stills {still:.1%}, visits {visit:.1%}", flush=True
            )
        for name, read in (("zxing-cpp at twice the size", twice), ("OpenCV", opencv)):
            still = stills_read(read, version, given.seed, given.count)
            print(f"version {version:2} {name}: stills {still:.1%}", flush=True)
    _time(given.seed)


def _time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    said = text(8, rng)
    list(scenes.visit(said, rng, 40))
    start = time.perf_counter()
    for _ in range(20):
        list(scenes.visit(said, rng))
    print(f"a frame of a visit takes {(time.perf_counter() - start) / 240 * 1000:.1f} ms")


def _save(folder: Path, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    said, url = text(8, rng), "https://example.org/menu"
    pictures = {f"still-{i}": scenes.still(said, rng) for i in range(6)}
    pictures |= {f"visit-{i:02}": f for i, f in enumerate(scenes.visit(said, rng))}
    pictures |= {"empty": scenes.empty(rng), "two": scenes.two((said, text(12, rng)), rng)}
    pictures["poster"] = scenes.still(said, rng, behind=scenes.poster(url, rng))
    for name, luma in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), luma)


if __name__ == "__main__":
    main()
