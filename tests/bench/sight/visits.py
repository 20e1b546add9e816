"""One person at the door, frame by frame, on a processor five times slower.

The frames arrive at 15 a second, whoever is busy. A reader that is free takes the newest; those
that came meanwhile are dropped. It is busy for its CPU time here times five. The visit is read
when the code's text is there before its 0.8 s are over: nobody stands still for longer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.sight.race import RaceRead
from tests.bench.sight.readers import SLOWER

FRAMES = 12
FRAMES_A_SECOND = 15


@dataclass(frozen=True, slots=True)
class Attended:
    """How one reader did at one visit."""

    read_s: float | None  # after the first frame; None: not read
    looked: int  # frames
    dropped: int  # frames that came while it was busy and were not the newest any more
    cpu_s: float  # of this machine
    wrong: tuple[bytes, ...]  # what was read and was not shown


def attend(
    text: bytes, look: Callable[[int], RaceRead], frames: int = FRAMES, slower: float = SLOWER
) -> Attended:
    """Show a visit of `frames` frames to a reader; `look` takes the number of a frame."""
    end_s = frames / FRAMES_A_SECOND
    now_s, last, looked, dropped, cpu_s = 0.0, -1, 0, 0, 0.0
    wrong: list[bytes] = []
    read_s = None
    while read_s is None and last + 1 < frames and now_s < end_s:
        newest = min(int(now_s * FRAMES_A_SECOND + 1e-9), frames - 1)
        if newest == last:  # nothing new yet
            newest = last + 1
            now_s = newest / FRAMES_A_SECOND
        taken = look(newest)
        dropped += newest - last - 1
        last = newest
        looked += 1
        cpu_s += taken.cpu_s
        now_s += taken.cpu_s * slower
        wrong += [said for said in taken.said if said != text]
        if text in taken.said and now_s <= end_s:
            read_s = now_s
    if read_s is None:
        dropped += frames - 1 - last
    return Attended(read_s, looked, dropped, cpu_s, tuple(wrong))


def paired(ours: Sequence[bool], theirs: Sequence[bool]) -> tuple[float, float]:
    """The difference of two rates over the same visits, and its standard error.

    Paired: only the visits that one reads and the other does not make it uncertain.
    """
    count = len(ours)
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    mean = sum(differences) / count
    variance = sum((d - mean) ** 2 for d in differences) / (count - 1) if count > 1 else 0.0
    return mean, float((variance / count) ** 0.5)
