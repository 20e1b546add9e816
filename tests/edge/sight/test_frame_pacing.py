"""Which frames are decoded, and when the next one is looked for: tried with times handed in."""

import numpy as np
import pytest

from edge.sight.frame import Luma
from edge.sight.frame_pacing import (
    AFTER_MOTION,
    AGAIN_S,
    IDLE_POLL_S,
    POLL_S,
    SPOILT_S,
    UNREAD_AGAIN_S,
    FrameArrivals,
    FramePacing,
)

EMPTY: Luma = np.full((180, 320), 90, np.uint8)


def moved(column: int) -> Luma:
    frame = EMPTY.copy()
    frame[60:120, column : column + 60] = 220
    return frame


def settled() -> tuple[FramePacing, float]:
    """A pacing whose scene has been still for so long that nothing is left to decode."""
    pacing, at_s = FramePacing(), 100.0
    while pacing.take(EMPTY, at_s):
        pacing.note_decoding()
        pacing.note_read(False, at_s)
        at_s += 0.066
    return pacing, at_s


def test_the_first_frame_is_decoded() -> None:
    assert FramePacing().take(EMPTY, 0.0)


def test_a_frame_that_moved_is_decoded_and_some_after_it() -> None:
    pacing, at_s = settled()
    decoded = []
    for number in range(AFTER_MOTION + 3):
        decoded.append(pacing.take(moved(40), at_s + number / 1000))
        if decoded[-1]:
            pacing.note_decoding()
            pacing.note_read(False, at_s + number / 1000)
    assert decoded == [True] * AFTER_MOTION + [False] * 3


@pytest.mark.parametrize(("unread", "again_s"), [(False, AGAIN_S), (True, UNREAD_AGAIN_S)])
def test_a_still_scene_is_decoded_again(unread: bool, again_s: float) -> None:
    pacing, at_s = settled()
    pacing.note_read(unread, at_s)
    assert not pacing.take(EMPTY, at_s + again_s - 0.01)
    assert pacing.take(EMPTY, at_s + again_s)


def test_what_killed_the_decoder_waits_twice_as_long_each_time() -> None:
    pacing, at_s = settled()
    for deaths in (1, 2, 3):
        pacing.note_spoilt(deaths, at_s)
        wait_s = SPOILT_S * 2 ** (deaths - 1)
        assert not pacing.take(EMPTY, at_s + wait_s - 0.01)
        assert pacing.take(EMPTY, at_s + wait_s)


def test_motion_ends_that_wait() -> None:
    pacing, at_s = settled()
    pacing.note_spoilt(3, at_s)
    assert pacing.take(moved(200), at_s + 0.1)


def test_the_next_look_comes_shortly_before_the_next_frame() -> None:
    arrivals = FrameArrivals()
    for number in range(60):
        arrivals.note(number * 0.1, number * 0.1)
    assert 0.06 < arrivals.pause_s(5.9) < 0.1


def test_where_no_frames_come_looks_are_rare_and_never_endless() -> None:
    arrivals = FrameArrivals()
    arrivals.note(1.0, 1.0)
    assert arrivals.pause_s(100.0) == IDLE_POLL_S
    assert arrivals.pause_s(1.0) >= POLL_S
