"""A camera's frames through the decoder's process: what the way there costs, and a still scene."""

import threading
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from edge.adapters.camera.camera_scanner import CameraScanner
from edge.adapters.camera.decoder_supervisor import BUDGET_S
from edge.sight.change_gate import small_of
from edge.sight.frame import Luma, Sighting
from edge.sight.live_reading import Live
from tests import scenes
from tests.bench.check import text
from tests.bench.figure import Figure, median, ratio
from tests.bench.frames import legible, zxing
from tests.lens import Lens

SEED = 11
FRAMES_PER_S = 15
DIFFERENT = 30  # frames of a still scene, again and again


def figures(rounds: int, frames: int, at_s: int) -> list[Figure]:
    """Wall time of the way; processor time of stillness, both processes together."""
    rng = np.random.default_rng(SEED)
    lens = Lens()
    eyes, live = CameraScanner(lens, "both"), Live("both", BUDGET_S)
    try:
        lens.shows(scenes.empty(rng))
        _sighting(eyes)
        here, there = [], []
        for _ in range(rounds):
            luma = legible(text(at_s, scope="staff:acme"), rng)
            here.append(_timed(lambda luma=luma: live.look(luma, time.monotonic())))
            there.append(_timed(lambda luma=luma: (lens.shows(luma), _sighting(eyes))))
            _sighting_ends(eyes)
        pixels = list(scenes.resting(rng, DIFFERENT))
        still = _still(eyes, lens, pixels, None, frames)
        smalls = [_averaged(luma) for luma in pixels]
        fed = _still(eyes, lens, pixels, smalls, frames)
    finally:
        eyes.close()
    return [
        Figure("sighted_ms", "a legible frame to its sighting", median(there) * 1e3, "ms"),
        Figure(
            "sighted_by_here", "  to the sighting / decoded in process", ratio(there, here), "x"
        ),
        Figure("still_by_zxing", "a still scene / zxing-cpp", still, "x", 0.25),
        Figure("still_small_by_zxing", "  by a camera with a small stream", fed, "x", 0.25),
    ]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _sighting(eyes: CameraScanner) -> Sighting:
    end_s = time.monotonic() + 30
    while (told := eyes.latest()) is None:
        assert time.monotonic() < end_s, "nothing was sighted"
        eyes.wait(1.0)
    return told


def _sighting_ends(eyes: CameraScanner) -> None:
    """Nothing is under way any more."""
    time.sleep(0.01)
    eyes.latest()


def _still(
    eyes: CameraScanner, lens: Lens, pixels: list[Luma], smalls: list[Luma] | None, frames: int
) -> float:
    """Processor time of a frame in which nothing moves, as part of what it costs to take each
    frame as soon as it comes and read it with zxing-cpp, in the same rhythm: a processor that
    has slept is slow at first.
    """
    peer, peer_lens = DecoderPeer(), Lens()
    thread = threading.Thread(target=peer.run, args=(peer_lens,), daemon=True)
    thread.start()
    show = cycle(zip(pixels, smalls or [None] * len(pixels), strict=True))

    def run(count: int) -> None:
        next_s = time.monotonic()
        for luma, small in islice(show, count):
            for shown in (lens, peer_lens):
                shown.shows(luma, small=small)
                next_s += 0.5 / FRAMES_PER_S
                time.sleep(max(0.0, next_s - time.monotonic()))
            _sighting(eyes)

    run(2 * FRAMES_PER_S)  # it comes to rest
    before_s = _cpu_s(eyes), _thread_s(thread)
    run(frames)
    after_s = _cpu_s(eyes), _thread_s(thread)
    peer.ended = True
    thread.join()
    return (after_s[0] - before_s[0]) / (after_s[1] - before_s[1])


class DecoderPeer:
    """Every frame through zxing-cpp, and nothing else."""

    ended = False

    def run(self, lens: Lens) -> None:
        while not self.ended:
            lens.wait(0.1)
            frame = lens.latest()
            if frame is not None:
                zxing(frame.luma)


def _cpu_s(eyes: CameraScanner) -> float:
    """Of the thread that feeds the decoder, and of the decoder's process."""
    process = eyes._supervisor._decoder._process
    assert process is not None
    tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
    return _thread_s(eyes._thread) + sum(_scheduled_s(task) for task in tasks)


def _thread_s(thread: threading.Thread) -> float:
    return _scheduled_s(Path(f"/proc/self/task/{thread.native_id}"))


def _scheduled_s(task: Path) -> float:
    return int((task / "schedstat").read_text().split()[0]) / 1e9


def _averaged(luma: Luma) -> Luma:
    """As a camera gives its low resolution: the mean of 4 x 4 pixels."""
    height, width = luma.shape[0] // 4, luma.shape[1] // 4
    means = luma.reshape(height, 4, width, 4).mean((1, 3))
    small: Luma = means.astype(np.uint8)
    assert small.shape == small_of(luma).shape
    return small
