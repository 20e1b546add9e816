"""A stream of frames: turns, budget, regions followed, posters, the sharpest frame, memory."""

import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import cv2
import numpy as np
import pytest

from edge.sight import boxes, cascade, tracks, zxing
from edge.sight.frame import Luma, Symbol
from edge.sight.live_reading import Live
from edge.sight.rescues import Attempt, Rescue
from edge.sight.tracks import CodeRegion, Tracks
from tests import scenes
from tests.edge.sight.test_decoders import TEXT
from tests.edge.sight.test_decoders import symbol as rendered
from tests.scenes.__main__ import text

FRAME_S = 1 / 15
GRAIN = np.random.default_rng(1).integers(0, 12, (480, 800), np.uint8)  # a sensor's sigma of 3
SAID = b"DC1:SAID"


class ReadingClock:
    """Time passes only where a rescue says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Tried:
    """A rescue that takes `took_s`, keeps what it was tried on, and reads when it is told to."""

    def __init__(
        self, name: str, clock: ReadingClock, took_s: float = 0.005, says_s: float | None = None
    ) -> None:
        self.clock, self.took_s, self.reads = clock, took_s, False
        self.seen: list[Luma] = []
        says_s = took_s if says_s is None else says_s
        self.rescue = Rescue(name, self.run, says_s / cascade.frame_s())

    def run(self, attempt: Attempt) -> tuple[Symbol, ...]:
        left, top, right, bottom = attempt.box
        self.seen.append(attempt.luma[top:bottom, left:right].copy())
        self.clock.now_s += self.took_s
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        return (Symbol(SAID, corners),) if self.reads else ()


def pattern(seed: int = 1, side: int = 40, module: int = 5) -> Luma:
    """As finely patterned as a symbol, and none."""
    dark = np.random.default_rng(seed).integers(0, 2, (side, side), np.uint8)
    return np.kron(dark * 200, np.ones((module, module), np.uint8)) + 20


def torn() -> Luma:
    """A symbol that can be located and not read."""
    luma = rendered(TEXT)
    middle = len(luma) // 2
    luma[middle - 40 : middle + 40, middle - 40 : middle + 40] = 0
    return luma


def frame(*placed: tuple[Luma, int, int], noise: int = 0) -> Luma:
    """A grey wall, and on it pictures at their left and top; `noise` seeds some of it."""
    luma = np.full((480, 800), 128, np.uint8)
    for picture, left, top in placed:
        luma[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    if noise:
        luma += np.roll(GRAIN, 7919 * noise)
    return luma


def shaken(i: int) -> int:
    """Where a hand holds something in frame `i`, in pixels off its place."""
    return int(np.random.default_rng(abs(i) + 1000 * (i < 0)).integers(-20, 20))


def rescued(steps: tuple[tuple[str, float], ...]) -> list[str]:
    """The rescues that were tried."""
    return [name for name, _ in steps if name != "regions" and not name.startswith("zxing-cpp")]


def test_rescues_take_turns_and_none_is_tried_twice_in_a_frame() -> None:
    clock = ReadingClock()
    all_tried = [Tried(name, clock) for name in "abcde"]
    live = Live("both", 0.012, [t.rescue for t in all_tried], clock)
    for i in range(20):
        result = live.look(frame((pattern(), 300 + shaken(i), 100)), i * FRAME_S)
        names = rescued(result.steps)
        assert len(names) == len(set(names)) >= 1
    counts = [len(t.seen) for t in all_tried]
    assert max(counts) - min(counts) <= 1
    assert sum(counts) >= 36


def test_a_rescue_that_takes_longer_than_it_says_is_not_begun_again_and_the_others_are() -> None:
    clock = ReadingClock()
    slow, quick = Tried("slow", clock, 0.050, says_s=0.001), Tried("quick", clock, 0.002)
    live = Live("both", 0.020, [slow.rescue, quick.rescue], clock)
    took = []
    for i in range(300):
        before_s = clock.now_s
        live.look(frame((pattern(), 300 + shaken(i), 100)), i * FRAME_S)
        took.append(clock.now_s - before_s)
    over = [i for i, s in enumerate(took) if s > 0.020]
    assert 0 in over
    assert len(over) <= 8  # and it is given another chance
    assert max(over) > 0
    assert len(quick.seen) >= 250


def test_a_rescue_that_was_slow_once_comes_back() -> None:
    clock = ReadingClock()
    once = Tried("once slow", clock, 0.050, says_s=0.001)
    live = Live("both", 0.020, [once.rescue], clock)
    for i in range(200):
        live.look(frame((pattern(), 300 + shaken(i), 100)), i * FRAME_S)
        once.took_s = 0.002
    assert len(once.seen) > 50


def test_what_a_rescue_takes_is_known_of_new_regions_too() -> None:
    clock = ReadingClock()
    slow = Tried("slow", clock, 0.050, says_s=0.001)
    live = Live("both", 0.020, [slow.rescue], clock)
    for i in range(12):
        live.look(frame((pattern(i), 20 + 280 * (i % 3), 100)), float(i))
    assert len(slow.seen) <= 3


class Slowed(ReadingClock):
    """This thread's own time, and what rescues add to it."""

    def __call__(self) -> float:
        return self.now_s + time.thread_time()


def test_a_rescue_that_does_not_fit_beside_the_whole_frame_gets_every_second_one() -> None:
    """Real decoding of a large frame takes its time; the rescue takes nearly all of the budget."""
    clock = Slowed()
    large = cv2.resize(frame(), (2400, 1440))
    large[:, ::8] = large[:, 1::8] = large[:, 2::8] = 0  # edges everywhere, in one direction
    start_s = time.thread_time()
    for _ in range(3):
        zxing.read(large)
    whole_s = (time.thread_time() - start_s) / 3
    dear = Tried("dear", clock, 4 * whole_s)
    live = Live("both", 4.7 * whole_s, [dear.rescue], clock)
    whole = []
    for i in range(8):
        luma = large.copy()
        luma[600:800, 1000 + 3 * i : 1200 + 3 * i] = pattern()
        names = [name for name, _ in live.look(luma, i * FRAME_S).steps]
        whole.append("zxing-cpp" in names)
        assert ("dear" in names) <= ("zxing-cpp" not in names)
    assert len(dear.seen) >= 2
    assert all(one or other for one, other in pairwise(whole))


def test_what_a_rescue_read_is_read_by_it_first_in_the_next_frame() -> None:
    clock = ReadingClock()
    all_tried = [Tried(name, clock, 0.001) for name in "abcd"]
    live = Live("both", 0.020, [t.rescue for t in all_tried], clock)
    all_tried[2].reads = True
    for i in range(4):
        result = live.look(frame((pattern(), 300 + shaken(i), 100)), i * FRAME_S)
        assert [s.data for s in result.symbols] == [SAID]
        assert rescued(result.steps) == (["a", "b", "c"] if i == 0 else ["c"])
    elsewhere = live.look(frame((pattern(2), 20, 260)), 4 * FRAME_S)
    assert rescued(elsewhere.steps) == ["a", "b", "c"]


def test_the_corners_of_what_was_rescued_are_in_the_frame() -> None:
    clock = ReadingClock()
    reads = Tried("reads", clock)
    reads.reads = True
    live = Live("both", 0.020, [reads.rescue], clock)
    (found,) = live.look(frame((pattern(), 300, 100)), 0.0).symbols
    box = boxes.around(found.corners)
    assert boxes.shared(box, (300, 100, 500, 300)) == 200 * 200
    assert boxes.area(box) < 3 * 200 * 200


def test_a_region_is_followed_where_it_moves_and_a_jump_is_another_one() -> None:
    luma, regions = frame(), Tracks()
    (first,) = regions.follow(luma, [CodeRegion((100, 100, 300, 300))], 0.0)
    for i in range(1, 10):
        moved = (100 + 40 * i, 100, 300 + 40 * i, 300)
        other = (20, 20, 60, 60)
        seen = regions.follow(luma, [CodeRegion(other), CodeRegion(moved)], i * FRAME_S)
        assert seen[1] is first
        assert first.place.box == moved
    (jumped,) = regions.follow(luma, [CodeRegion((20, 100, 220, 300))], 10 * FRAME_S)
    assert jumped is not first


def test_a_region_outlasts_some_frames_without_it_and_is_then_forgotten() -> None:
    luma, regions, here = frame(), Tracks(), CodeRegion((100, 100, 300, 300))
    (first,) = regions.follow(luma, [here], 0.0)
    assert regions.follow(luma, [], 0.2) == []
    assert regions.follow(luma, [here], 0.4) == [first]
    assert regions.follow(luma, [here], 0.4 + tracks.KEPT_S + 0.1) != [first]


def test_a_poster_is_tried_less_and_less_and_does_not_hold_up_what_is_new() -> None:
    clock = ReadingClock()
    tried = Tried("a", clock, 0.005)
    live = Live("both", 0.007, [tried.rescue], clock)
    wall = (pattern(), 500, 100)
    when = []
    for i in range(300):
        before = len(tried.seen)
        live.look(frame(wall, noise=i + 1), i / 5)
        when += [i / 5] * (len(tried.seen) - before)
    assert len(when) <= tracks.PATIENCE + 12
    assert sum(s > 40 for s in when) <= 3
    held = pattern(7, 30)
    result = live.look(frame(wall, (held, 60, 200), noise=2000), 60.0)
    assert rescued(result.steps) == ["a"]
    assert abs(tried.seen[-1].shape[0] - 150) < 100  # the smaller one


def test_what_a_hand_holds_is_tried_for_as_long_as_it_is_held() -> None:
    clock = ReadingClock()
    tried = Tried("a", clock, 0.005)
    live = Live("both", 0.007, [tried.rescue], clock)
    for i in range(10 * 15):
        live.look(frame((pattern(), 300 + shaken(i), 100 + shaken(-i)), noise=i + 1), i * FRAME_S)
    assert len(tried.seen) >= 0.7 * 10 * 15


def test_the_larger_of_two_regions_gets_more_tries_and_the_smaller_some() -> None:
    clock = ReadingClock()
    tried = Tried("a", clock, 0.005)
    live = Live("both", 0.007, [tried.rescue], clock)
    for i in range(40):
        by = shaken(i)
        live.look(frame((pattern(), 450 + by, 100), (pattern(3, 20), 60 + by, 300)), i * FRAME_S)
    small = sum(seen.shape[0] < 170 for seen in tried.seen)
    assert 4 <= small <= len(tried.seen) // 3


def test_a_rescue_sees_the_sharpest_of_the_last_frames() -> None:
    clock = ReadingClock()
    first, second = Tried("first", clock), Tried("second", clock)
    live = Live("both", 0.007, [first.rescue, second.rescue], clock)  # one a frame
    sharp = frame((pattern(), 300, 100))
    live.look(sharp, 0.0)
    live.look(cv2.GaussianBlur(sharp, (0, 0), 2.5), FRAME_S)
    assert len(first.seen) == len(second.seen) == 1
    assert abs(second.seen[0].std() - first.seen[0].std()) < 1


def test_who_has_left_is_not_read_from_an_old_frame() -> None:
    clock = ReadingClock()
    all_tried = [Tried(name, clock) for name in "abcdefghijklmnop"]
    live = Live("both", 0.007, [t.rescue for t in all_tried], clock)  # one a frame
    sharp = frame((pattern(), 300, 100))
    live.look(sharp, 0.0)
    faint = cv2.GaussianBlur(sharp, (0, 0), 2.5)
    for i in range(1, 16):
        live.look(faint, i * FRAME_S)
    seen = [t.seen[0].std() for t in all_tried]
    late = int(tracks.KEPT_S / FRAME_S) + 2
    assert min(seen[:4]) > max(seen[late:]) + 5


def test_news_does_not_wait_for_a_rescue_of_something_else() -> None:
    clock = ReadingClock()
    tried = Tried("a", clock)
    live = Live("both", 0.020, [tried.rescue], clock)
    for other in (pattern(), torn()):
        luma = frame((rendered(TEXT), 20, 20), (other, 480, 150))
        for at_s, names in ((0.0, []), (FRAME_S, ["a"]), (5.0, []), (5.0 + FRAME_S, ["a"])):
            result = live.look(luma, at_s)
            assert [s.data for s in result.symbols] == [TEXT]
            assert rescued(result.steps) == names
        live = Live("both", 0.020, [tried.rescue], clock)


def test_what_is_located_and_not_read_is_told_and_what_is_read_is_not() -> None:
    hurt = torn()
    live = Live("both", 1.0, [])
    corners, *_ = live.look(frame((hurt, 300, 100)), 0.0).unread  # torn, it may look like two
    inside = (300, 100, 300 + len(hurt), 100 + len(hurt))
    assert boxes.shared(boxes.around(corners), inside) > 0.5 * len(hurt) ** 2
    healed = live.look(frame((rendered(TEXT), 300, 100)), FRAME_S)
    assert [s.data for s in healed.symbols] == [TEXT]
    assert healed.unread == ()


def test_an_empty_hall_costs_at_most_a_quarter_more_than_zxing() -> None:
    rng = np.random.default_rng(5)
    ours_s, theirs_s = [], []
    for _ in range(16):
        live, luma = Live("both", 0.015, clock=time.thread_time), scenes.empty(rng)
        live.look(luma, 0.0)
        zxing.read(luma)
        start_s = time.thread_time()
        zxing.read(luma)
        middle_s = time.thread_time()
        result = live.look(luma, FRAME_S)
        if not rescued(result.steps):  # some halls have a pattern
            theirs_s.append(middle_s - start_s)
            ours_s.append(time.thread_time() - middle_s)
    assert len(ours_s) >= 8
    assert median(o / t for o, t in zip(ours_s, theirs_s, strict=True)) < 1.25


def test_visits_are_read_more_often_than_by_zxing_on_a_slow_processor() -> None:
    """Five times slower; each frame that comes while one is looked at is dropped."""
    ours = theirs = 0
    for seed in VISITS:
        rng = np.random.default_rng((7, 12, seed))
        said = text(12, rng)
        lumas = list(scenes.visit(said, rng))
        live = Live("both", 0.075 / 5, clock=time.thread_time)
        ours += attended(
            lumas, lambda luma, at_s, live=live: live.look(luma, at_s).symbols, said.encode()
        )
        theirs += attended(lumas, lambda luma, _: zxing.read(luma).symbols, said.encode())
    assert ours >= theirs + 2


VISITS = range(12)


def attended(
    lumas: list[Luma], look: Callable[[Luma, float], tuple[Symbol, ...]], said: bytes
) -> bool:
    """Whether a visit is read before it ends. What was not shown and is read fails."""
    now_s, last, end_s = 0.0, -1, len(lumas) * FRAME_S
    while last + 1 < len(lumas) and now_s < end_s:
        i = max(last + 1, min(int(now_s / FRAME_S), len(lumas) - 1))
        last, now_s = i, max(now_s, i * FRAME_S)
        start_s = time.thread_time()
        symbols = look(lumas[i], i * FRAME_S)
        now_s += 5 * (time.thread_time() - start_s)
        assert {s.data for s in symbols} <= {said}
        if symbols:
            return now_s <= end_s
    return False


@pytest.mark.parametrize("decoder", ["zxing-cpp", "pyzbar", "both"])
def test_each_decoder_reads_a_stream_and_only_those_it_may(decoder: str) -> None:
    live = Live(decoder, 1.0)  # type: ignore[arg-type]
    names: set[str] = set()
    for i in range(6):
        shown = rendered(TEXT) if i < 3 else pattern()
        result = live.look(frame((shown, 300, 100)), i * FRAME_S)
        assert [s.data for s in result.symbols] == ([TEXT] if i < 3 else [])
        names |= {name for name, _ in result.steps}
    assert any("zxing" in name for name in names) == (decoder != "pyzbar")
    assert any("zbar" in name for name in names) == (decoder != "zxing-cpp")


@pytest.mark.slow
def test_memory_stays_flat() -> None:
    clock = ReadingClock()
    tried = Tried("a", clock, 0.001)
    live = Live("both", 0.005, [tried.rescue], clock)
    rng = np.random.default_rng(1)
    pictures = [pattern(i, 20 + i, 3) for i in range(10)]
    sizes = []
    tracemalloc.start()
    try:
        for i in range(2000):
            shown = [
                (pictures[int(rng.integers(10))], int(x), int(y))
                for x, y in rng.integers(0, (700, 380), (int(rng.integers(0, 4)), 2))
            ]
            tried.reads = bool(rng.random() < 0.2)
            live.look(frame(*shown), i * FRAME_S)
            tried.seen.clear()
            if i % 400 == 399:
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes[1:]) - sizes[0] < 1_000_000
    assert len(live._tracks) <= tracks.TRACKS_MAX
