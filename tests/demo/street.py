"""`python -m tests.demo.street`: what one door's camera sees, one process a door.

Reads one JSON line from its standard input, puts rendered frames before the camera at their time,
and prints one JSON line for each visit before its first frame, with a mark of the code
(`judging.py`). Each further line of its input names a kind of visit that comes next. Nothing of a
code goes any other way.
"""

import json
import signal
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np

from edge.wire import keys
from tests import scenes
from tests.campus import put_frame
from tests.demo.judging import mark
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
    order = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rng = np.random.default_rng(order["seed"])
    city = keys.private_from_pem(Path(order["city"]).read_text())
    crowd = Crowd(order["issuer"], order["secrets"], city, rng)
    eyes = Eyes(Path(order["frames"]))
    hall = scenes.poster(POSTER, rng) if order["poster"] else None
    wanted: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(wanted,), daemon=True).start()
    print(json.dumps({"here": True}), flush=True)
    while True:
        visit = crowd.next(_taken(wanted))
        key = bytes.fromhex(order["key"])
        line = {"kind": visit.kind, "mark": mark(key, visit.text.encode()), "made_s": visit.made_s}
        print(json.dumps(line), flush=True)
        for frame in scenes.visit(visit.text, rng, VISIT_FRAMES, hall):
            eyes.see(frame)
        for _ in range(int(rng.integers(2, 5))):
            eyes.see(scenes.empty(rng, hall))


def _listen(wanted: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        wanted.put(line.strip())


def _taken(wanted: SimpleQueue[str]) -> str | None:
    try:
        return wanted.get_nowait()
    except Empty:
        return None


if __name__ == "__main__":
    main()
