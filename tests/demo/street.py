"""`python -m tests.demo.street`: what one door's camera sees, one process a door.

Reads one JSON line from its standard input, puts rendered frames before the camera at their time,
and prints one JSON line for each visit as it begins. Nothing of a code goes any other way.
"""

import json
import signal
import sys
import time
from pathlib import Path

import numpy as np

from edge.wire import keys
from tests import scenes
from tests.campus import put_frame
from tests.demo.people import Crowd

FRAMES_PER_S = 15.0
VISIT_FRAMES = 20
POSTER = "HTTPS://WWW.EXAMPLE.ORG/SPRING-CONCERT-IN-THE-PARK"


class Eyes:
    """The camera's place: frames at a steady pace, whatever rendering takes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._next_s = time.monotonic()

    def see(self, luma: scenes.Luma) -> None:
        """Put `luma` before the camera when its time has come."""
        self._next_s = max(self._next_s + 1 / FRAMES_PER_S, time.monotonic() - 0.2)
        time.sleep(max(0.0, self._next_s - time.monotonic()))
        self._number += 1
        put_frame(self._folder, self._number, luma)


def main() -> None:
    said = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng = np.random.default_rng(said["seed"])
    city = keys.private_from_pem(Path(said["city"]).read_text())
    crowd = Crowd(said["issuer"], said["secrets"], city, rng)
    eyes = Eyes(Path(said["frames"]))
    hall = scenes.poster(POSTER, rng) if said["poster"] else None
    print(json.dumps({"here": True}), flush=True)
    while True:
        visit = crowd.next()
        from_s = time.monotonic()
        told = {"kind": visit.kind, "number": visit.number, "first": visit.first}
        told |= {"from_s": from_s, "until_s": from_s + VISIT_FRAMES / FRAMES_PER_S}
        print(json.dumps(told), flush=True)
        for frame in scenes.visit(visit.text, rng, VISIT_FRAMES, hall):
            eyes.see(frame)
        for _ in range(int(rng.integers(2, 5))):
            eyes.see(scenes.empty(rng, hall))


if __name__ == "__main__":
    main()
