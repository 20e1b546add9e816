"""`make soak`: many frames with many different symbols through the real decoder's process.

Both processes must hold the same memory at the end as when they had found their size. Frames are
small (360 x 480), so that 100,000 of them take minutes and not hours. Of eight, one holds nothing,
one nothing but noise, one a torn symbol; no two are alike.
"""

import argparse
import os
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import zxingcpp

from edge.adapters.camera.camera_scanner import CameraScanner
from edge.sight.frame import Luma, Sighting
from edge.sight.tracks import KEPT_S
from tests.lens import Lens

MIB = 2**20
FLAT_LEN = 5 * MIB
FRAMES_PER_S = 15
SETTLED = 0.1  # of the frames: until then caches fill
ALPHABET = list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 $%*+-./:")


@dataclass
class Soaked:
    """What became of the frames, and bytes in RAM as they were measured."""

    frames: int = 0
    read: int = 0  # torn ones among them
    missed: int = 0  # shown, and not read
    wrong: int = 0  # read, and not what was shown within the last half second
    processes: int = 1
    unit: list[int] = field(default_factory=list)
    decoder: list[int] = field(default_factory=list)

    @property
    def flat(self) -> bool:
        """Whether neither process ended with more than it had when it had settled."""
        return max(_grown(self.unit), _grown(self.decoder)) <= FLAT_LEN

    def __str__(self) -> str:
        return (
            f"{self.frames} frames, {self.read} read, {self.missed} missed, {self.wrong} wrong, "
            f"{self.processes} decoders; the unit grew by {_grown(self.unit) / MIB:.1f} MiB to "
            f"{self.unit[-1] / MIB:.1f}, the decoder by {_grown(self.decoder) / MIB:.1f} MiB to "
            f"{self.decoder[-1] / MIB:.1f}"
        )


def soak(frames: int, seed: int) -> Soaked:
    """Show `frames` frames as fast as they are decoded, from `seed`."""
    rng, lens = np.random.default_rng(seed), Lens()
    eyes = CameraScanner(lens, "both", deadline_s=10)  # it runs beside other work
    soaked = Soaked()
    pids = set()
    lately: deque[str | None] = deque(maxlen=1 + int(KEPT_S * FRAMES_PER_S))
    try:
        for number in range(frames):
            luma, said, whole = frame(number, rng)
            lately.append(said)
            lens.shows(luma, number / FRAMES_PER_S)
            told = _sighted(eyes)
            assert told.seen_s == number / FRAMES_PER_S, "the newest"
            soaked.frames += 1
            texts = [symbol.data.decode() for symbol in told.symbols]
            soaked.read += said is not None and said in texts
            soaked.missed += whole and not texts
            soaked.wrong += any(text not in lately for text in texts)
            if number % max(1, frames // 200) == 0 or number == frames - 1:
                process = eyes._supervisor._decoder._process
                assert process is not None
                pids.add(process.pid)
                soaked.unit.append(_rss_len(os.getpid()))
                soaked.decoder.append(_rss_len(process.pid))
    finally:
        eyes.close()
    soaked.processes = len(pids)
    return soaked


def frame(number: int, rng: np.random.Generator) -> tuple[Luma, str | None, bool]:
    """A frame unlike all others, what it says, and whether all of that is to be seen."""
    luma = np.full((360, 480), 60 + number % 120, np.uint8)
    kind = number % 8
    if kind == 0:
        return luma, None, False
    if kind == 1:
        return rng.integers(0, 256, luma.shape, np.uint8), None, False
    said = "".join(rng.choice(ALPHABET, int(rng.integers(20, 200))))
    made = zxingcpp.create_barcode(said, zxingcpp.BarcodeFormat.QRCode)
    code = np.asarray(made.to_image())
    code = np.pad(np.kron(code, np.ones((4, 4), np.uint8)), 16, constant_values=255)
    y, x = (
        int(rng.integers(0, room - side + 1))
        for room, side in zip(luma.shape, code.shape, strict=True)
    )
    if kind == 2:  # torn: more than its error correction mends, most times
        half = len(code) // 2
        code[half - 20 : half + 40, half - 20 : half + 40] = rng.integers(
            0, 256, (60, 60), np.uint8
        )
    luma[y : y + len(code), x : x + len(code)] = code
    return luma, said, kind != 2


def _sighted(eyes: CameraScanner) -> Sighting:
    end_s = time.monotonic() + 30
    while (told := eyes.latest()) is None:
        assert time.monotonic() < end_s, "nothing was sighted"
        eyes.wait(1.0)
    return told


def _rss_len(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _grown(lens: list[int]) -> int:
    """From the time it had settled to the end, by the medians of a tenth each."""
    part = max(1, int(len(lens) * SETTLED))
    return int(np.median(lens[-part:]) - np.median(lens[part : 2 * part]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    start_s = time.monotonic()
    soaked = soak(given.frames, given.seed)
    print(f"{soaked}, in {time.monotonic() - start_s:.0f} s")
    if soaked.wrong or not soaked.flat:
        parser.exit(1, "the memory of a process was not flat, or a symbol was read wrongly\n")


if __name__ == "__main__":
    main()
