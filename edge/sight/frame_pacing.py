"""Which frames are decoded, and when to look for the next one. The caller gives the times.

Frames with motion are decoded, and some after them; a still scene only now and then.
"""

from edge.sight.change_gate import ChangeGate
from edge.sight.frame import Luma

AGAIN_S = 1.0
"""A still scene is decoded this often all the same, because the gate may miss something."""
UNREAD_AGAIN_S = 0.25
"""A still scene with an unread symbol is decoded this often, so that other rescues are tried."""
AFTER_MOTION = 10
"""Frames that are decoded after the last one with motion: some rescues average several still ones.
"""
SPOILT_S = 2.0
"""A scene that killed the decoder is not decoded for so long unless something moves, and twice as
long each time."""

POLL_S = 0.003
IDLE_POLL_S = 0.03  # while no frames come
EARLY = 0.7  # the share of the usual time between two frames before which no frame is looked for
PERIOD_S_MAX = 0.2


class FramePacing:
    """The choice of frames to decode; `seen_s` is when a frame was seen, monotonic seconds."""

    def __init__(self) -> None:
        self._gate = ChangeGate()
        self._hold = 0  # frames still to decode after motion
        self._again_s = float("-inf")  # when a still scene is decoded again

    def take(self, small: Luma, seen_s: float) -> bool:
        """Take a frame into account. Returns whether to decode it.

        `small`: uint8, height x width.
        """
        if self._gate.take_frame(small):
            self._hold = AFTER_MOTION
        return bool(self._hold) or seen_s >= self._again_s

    def note_decoding(self) -> None:
        """The last frame goes to the decoder."""
        self._gate.note_decoded()
        self._hold = max(0, self._hold - 1)

    def note_read(self, unread: bool, seen_s: float) -> None:
        """The decoder has processed it; `unread`: it has a symbol that was not read."""
        self._again_s = seen_s + (UNREAD_AGAIN_S if unread else AGAIN_S)

    def note_spoilt(self, deaths: int, seen_s: float) -> None:
        """The decoder died of it, its `deaths`-th death lately."""
        self._hold = 0
        self._again_s = seen_s + SPOILT_S * 2 ** (deaths - 1)


class FrameArrivals:
    """How often frames come. Looking for one costs a tenth of the change gate's time."""

    def __init__(self) -> None:
        self._period_s = 0.0  # between frames
        self._before_s = 0.0  # when the last frame was seen
        self._expect_s = 0.0  # when the next one may come

    def note(self, seen_s: float, now_s: float) -> None:
        """A frame that was seen at `seen_s` has come at `now_s`, monotonic seconds."""
        gap_s = min(max(seen_s - self._before_s, 0.0), PERIOD_S_MAX)
        self._before_s = seen_s
        self._period_s += (gap_s - self._period_s) / 8
        self._expect_s = now_s + EARLY * min(gap_s, self._period_s)

    def pause_s(self, now_s: float) -> float:
        """Seconds until the next look for a frame."""
        late_s = now_s - self._expect_s
        return max(POLL_S, -late_s, min(IDLE_POLL_S, late_s / 8))
