"""What PiCamera, StallRecovery and CameraScanner give on the real picamera2; run through seams.py.

`probe FOLDER PICTURES CODES`: looks until it has seen so many different ones of both, writes
FOLDER/frames.npz, and prints one JSON document.
"""

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from edge.adapters.camera.camera_scanner import CameraScanner
from edge.adapters.camera.picamera import PiCamera
from edge.adapters.camera.stall_recovery import StallRecovery
from edge.parts import CameraLost
from edge.sight.frame import Frame
from edge.wire.unit import CameraConfig

STALL = Path(os.environ["MENSHEN_STALL"])
PATIENCE_S = 60.0
FRAMES_MIN = 30


class CameraProbe(PiCamera):
    """Notes what is asked of it."""

    def __init__(self, camera: CameraConfig) -> None:
        super().__init__(camera)
        self.asked: list[str] = []

    def open(self) -> None:
        self.asked.append("open")
        super().open()

    def restart(self) -> None:
        self.asked.append("restart")
        super().restart()

    def close(self) -> None:
        self.asked.append("close")
        super().close()


def until(true: Callable[[], bool]) -> None:
    """Wait for it."""
    last_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < last_s, "it never came"
        time.sleep(0.005)


def next_of(camera: StallRecovery) -> Frame:
    """The next frame, however long the camera is lost before it."""
    last_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < last_s:
        camera.wait(0.1)
        with suppress(CameraLost):
            frame = camera.latest()
            if frame is not None:
                return frame
    raise AssertionError("no frame came")


def lost(camera: StallRecovery) -> bool:
    try:
        camera.latest()
    except CameraLost:
        return True
    return False


def frames(camera: StallRecovery, folder: Path, pictures: int) -> dict[str, Any]:
    """The arrays of each frame that is new, until there are `pictures`; what came with them."""
    lumas: dict[bytes, tuple[Any, Any]] = {}
    ages_s, exposures, owned, seen_s = [], set(), False, []
    last_s = time.monotonic() + PATIENCE_S
    while len(lumas) < pictures or len(seen_s) < FRAMES_MIN:
        assert time.monotonic() < last_s, f"{len(lumas)} different pictures of {pictures}"
        frame = next_of(camera)
        ages_s.append(time.monotonic() - frame.seen_s)
        seen_s.append(frame.seen_s)
        exposures.add(str(frame.exposure))
        owned |= frame.luma.flags.owndata
        lumas.setdefault(frame.luma.tobytes(), (frame.luma.copy(), frame.small.copy()))
    both = {}
    for n, (luma, small) in enumerate(lumas.values()):
        both |= {f"luma{n}": luma, f"small{n}": small}
    np.savez(folder / "frames.npz", **both)
    return {
        "oldest_s": max(ages_s),
        "youngest_s": min(ages_s),
        "in_order": seen_s == sorted(set(seen_s)),
        "exposures": sorted(exposures),
        "copied": bool(owned),
    }


def read(codes: int) -> list[str]:
    """The texts of all pictures, by the unit's own eyes."""
    texts: set[str] = set()
    eyes = CameraScanner(StallRecovery(PiCamera(CameraConfig())), "both")
    last_s = time.monotonic() + PATIENCE_S
    while len(texts) < codes and time.monotonic() < last_s:
        eyes.wait(0.5)
        sighting = eyes.latest()
        texts |= {symbol.data.decode() for symbol in sighting.symbols} if sighting else set()
    eyes.close()
    return sorted(texts)


def stalls(camera: StallRecovery, told: CameraProbe) -> list[list[str]]:
    """What was asked of the driver until frames came again, by how many starts that took.

    The last stall lasts until whoever asks has been told that the camera is lost.
    """
    said = []
    for starts in (1, 2, 3):
        told.asked.clear()
        STALL.with_suffix(".part").write_text(str(starts))
        STALL.with_suffix(".part").rename(STALL)
        until(lambda: "restart" in told.asked)
        if starts == 3:
            until(lambda: lost(camera))
        next_of(camera)
        said.append(told.asked.copy())
    return said


def held() -> tuple[int, int, int]:
    """Open files, mapped buffers, threads."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text().count("dma-buf")
    return len(list(Path("/proc/self/fd").iterdir())), maps, threading.active_count()


def reopened() -> dict[str, list[tuple[int, int, int]]]:
    """What is held with the camera open, and after it was closed, several times."""
    said: dict[str, list[tuple[int, int, int]]] = {"open": [], "closed": []}
    for _ in range(4):
        camera = StallRecovery(PiCamera(CameraConfig()))
        next_of(camera)
        next_of(camera)
        said["open"].append(held())
        camera.close()
        said["closed"].append(held())
    return said


def main() -> None:
    folder, pictures, codes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    told = CameraProbe(CameraConfig())
    camera = StallRecovery(told)
    device = told._device.camera_configuration()
    said: dict[str, Any] = {
        "configuration": {name: device[name]["size"] for name in ("main", "lores")},
        "format": device["main"]["format"],
        "allocator": type(told._device.allocator).__name__,
        "raw": device["raw"],
        "picamera2": str(sys.modules["picamera2"].__file__),
    }
    said["frames"] = frames(camera, folder, pictures)
    dropped = camera.dropped + 5
    until(lambda: camera.dropped > dropped)  # nobody takes them, and they come on
    said["stalls"] = stalls(camera, told)
    camera.close()
    said["reopened"] = reopened()
    said["read"] = read(codes)
    said["left"] = held()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
