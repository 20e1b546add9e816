"""What has been seen over the last minute: the newest frame's figures and what went before."""

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Any

from edge.look import words
from edge.look.advice import Advice, advise
from edge.look.cover import covered
from edge.look.figures import Figures, is_door_code, measure
from edge.look.frame_tap import Tee
from edge.sight.frame import Corners, Luma, Sighting
from edge.sight.ports import Scanner

MINUTE_S = 60.0
READINGS = 20  # sightings from which the rate and speed of reading are computed
READ_S = 2.0  # for which a code that is not read again stays covered
OLD_S = 5.0  # a picture this old is not what the camera sees


@dataclass(frozen=True, slots=True)
class LookView:
    """What terminal and page show."""

    luma: Luma  # every symbol in it covered
    figures: Figures
    advice: tuple[Advice, ...]
    frames_per_s: float
    dropped: int | None  # None: this camera does not tell
    decode_ms: float | None  # the median of what was decoded lately; None: nothing yet
    steps: tuple[tuple[str, float], ...]  # of the last frame that was decoded
    still: bool  # nothing had moved, so nothing was decoded
    read_share: float | None  # of the last sightings with a symbol, how many had a door code
    best: int | None  # sharpness of the last minute
    minute: tuple[tuple[float, int], ...]  # (seconds ago, sharpness), the oldest first
    age_s: float

    def plain(self) -> dict[str, Any]:
        """For JSON: everything but the picture."""
        return self.figures.plain() | {
            "advice": [
                {
                    "key": a.key,
                    "level": a.level,
                    "values": dict(a.values),
                    "text": words.sentence(a),
                }
                for a in self.advice
            ],
            "frames_per_s": self.frames_per_s,
            "dropped": self.dropped,
            "decode_ms": self.decode_ms,
            "steps": self.steps,
            "still": self.still,
            "read_share": self.read_share,
            "best": self.best,
            "age_s": self.age_s,
        }


class Watch:
    """Looks through `eyes`, whose camera is `tee`."""

    def __init__(self, tee: Tee, eyes: Scanner) -> None:
        self._tee = tee
        self._eyes = eyes
        self._new: Sighting | None = None
        self._last: tuple[Luma, Figures] | None = None
        self._seen_s = 0.0
        self._were_read: list[Corners] = []  # lately, and where
        self._read_s = 0.0
        self._sharp: deque[tuple[float, int]] = deque()
        self._read: deque[bool] = deque(maxlen=READINGS)
        self._decoded_ms: deque[float] = deque(maxlen=READINGS)
        self._steps: tuple[tuple[str, float], ...] = ()

    def take(self) -> None:
        """Note what has been seen since the last call. Raises CameraLost."""
        sighting = self._eyes.latest()
        if sighting is None:
            return
        self._new = sighting
        if sighting.steps:
            self._steps = sighting.steps
            self._decoded_ms.append(sum(ms for _, ms in sighting.steps))
        if sighting.symbols or sighting.unread:
            self._read.append(any(is_door_code(s) for s in sighting.symbols))
        else:
            self._read.clear()  # the next person's figures start at zero

    def view(self, now_s: float) -> LookView | None:
        """The whole view at `now_s` (monotonic seconds); None: no picture yet."""
        if self._new is not None:
            self._measure(self._new)
        if self._last is None:
            return None
        while self._sharp and self._sharp[0][0] < now_s - MINUTE_S:
            self._sharp.popleft()
        luma, figures = self._last
        best = max((sharp for _, sharp in self._sharp), default=None)
        age_s = max(0.0, now_s - self._seen_s)
        return LookView(
            luma=luma,
            figures=figures,
            advice=(Advice("old", "hint"),) if age_s > OLD_S else advise(figures, best),
            frames_per_s=self._tee.frames_per_s,
            dropped=self._tee.dropped,
            decode_ms=median(self._decoded_ms) if self._decoded_ms else None,
            steps=self._steps,
            still=not figures.steps,
            read_share=sum(self._read) / len(self._read) if self._read else None,
            best=best,
            minute=tuple((now_s - at_s, sharp) for at_s, sharp in self._sharp),
            age_s=age_s,
        )

    def _measure(self, sighting: Sighting) -> None:
        self._new = None
        frame = self._tee.frame(sighting.seen_s)
        if frame is None:
            return
        figures = measure(frame, sighting)
        self._last = self._covered(frame.luma, figures, sighting.seen_s), figures
        self._seen_s = sighting.seen_s
        if figures.sharpness is not None:
            self._sharp.append((sighting.seen_s, figures.sharpness))

    def _covered(self, luma: Luma, figures: Figures, seen_s: float) -> Luma:
        """A code that is missed in one frame is where it was in the one before."""
        read = [region.corners for region in figures.regions if region.kind != "unread"]
        if read or seen_s - self._read_s > READ_S:
            self._were_read, self._read_s = read, seen_s
        unread = [region.corners for region in figures.regions if region.kind == "unread"]
        return covered(luma, self._were_read + unread)
