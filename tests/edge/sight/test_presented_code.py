"""What is presented: people before posters, the large and new first, and who hears *unreadable*."""

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from edge.sight import presented_code
from edge.sight.presented_code import (
    AGAIN_S,
    GONE_S,
    HELD_S,
    NEW_S,
    PLACES_MAX,
    READ_S,
    WALL_KEPT_S,
    WALL_S,
    PresentedCodes,
)

SIZE = (1280, 720)
FRAME_S = 1 / 15
MIDDLE = (640, 360)
ASIDE = (250, 160)  # where the poster hangs

Corners = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SeenSymbol:
    """As `edge.sight.frame.Symbol`."""

    data: bytes
    corners: Corners


def square(middle: tuple[float, float], side: float = 200) -> Corners:
    x, y, half = middle[0], middle[1], side / 2
    ends = ((x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half))
    return tuple((round(a), round(b)) for a, b in ends)


def shown(what: str, middle: tuple[float, float] = MIDDLE, side: float = 200) -> SeenSymbol:
    return SeenSymbol(what.encode(), square(middle, side))


class PresentingDoor:
    """A camera at fifteen frames a second before `PresentedCodes`."""

    def __init__(self) -> None:
        self.presented = PresentedCodes(b"k" * 32)
        self.at_s = 1000.0
        self.told: list[float] = []  # when *unreadable* was said

    def see(
        self, symbols: Iterable[SeenSymbol] = (), unread: Sequence[Corners] = (), asked: bool = True
    ) -> list[str]:
        """One frame."""
        self.at_s += FRAME_S
        found = self.presented.look(tuple(symbols), unread, SIZE, self.at_s)
        if asked and self.presented.take_unreadable(self.at_s):
            self.told.append(self.at_s)
        return [symbol.data.decode() for symbol in found]

    def watch(
        self, seconds: float, symbols: Iterable[SeenSymbol] = (), unread: Sequence[Corners] = ()
    ) -> list[list[str]]:
        kept = tuple(symbols)
        return [self.see(kept, unread) for _ in range(round(seconds / FRAME_S))]


def test_the_larger_and_more_central_is_the_first() -> None:
    large, small = shown("large", (500, 360), 260), shown("small", (800, 360), 120)
    assert PresentingDoor().see([small, large]) == ["large", "small"]
    central, outer = shown("central", MIDDLE), shown("outer", (1150, 620))
    assert PresentingDoor().see([outer, central]) == ["central", "outer"]


def test_two_phones_side_by_side_both_have_their_turn() -> None:
    """The order alone: what was answered the loop passes over, and the other is next."""
    door = PresentingDoor()
    left, right = shown("left", (500, 360), 190), shown("right", (800, 360), 180)
    orders = door.watch(2, [right, left])
    assert all(order == ["left", "right"] for order in orders)


def test_the_one_that_is_new_is_before_the_one_that_waits() -> None:
    door = PresentingDoor()
    waits = shown("waits", (480, 360), 200)
    door.watch(10, [waits])
    assert door.see([waits, shown("new", (800, 360), 170)]) == ["new", "waits"]


def test_an_imager_has_no_corners_and_all_it_reads_is_presented() -> None:
    door = PresentedCodes(b"k" * 32)
    text = SeenSymbol(b"DC1:", ())
    for second in range(200):
        assert door.look([text], (), (0, 0), float(second)) == (text,)
        assert not door.take_unreadable(float(second))


@pytest.mark.parametrize("what", ["HTTPS://EXAMPLE.ORG/1", "DC1:a genuine code glued to the wall"])
def test_a_poster_becomes_part_of_the_wall_and_stays_it(what: str) -> None:
    door = PresentingDoor()
    poster = shown(what, ASIDE, 90)
    seen = door.watch(WALL_S + 1, [poster])
    assert seen[0] == [what]
    assert seen[-1] == []
    held = [bool(order) for order in seen]
    assert held == sorted(held, reverse=True), "it came and went"
    assert sum(held) * FRAME_S == pytest.approx(WALL_S, abs=0.2)
    assert not any(door.watch(600, [poster]))


def test_a_phone_before_a_poster_is_presented_and_the_poster_stays_wall() -> None:
    door = PresentingDoor()
    poster = shown("poster", MIDDLE, 150)
    door.watch(WALL_S + 1, [poster])
    phone = shown("phone", MIDDLE, 260)  # before it, and nearer
    assert all(order == ["phone"] for order in door.watch(8, [phone]))
    assert not any(door.watch(5, [poster]))
    beside = shown("phone", (900, 400), 220)
    assert all(order == ["phone"] for order in door.watch(8, [poster, beside]))


def test_a_queue_hides_the_poster_and_it_is_wall_again_at_once() -> None:
    door = PresentingDoor()
    poster = shown("poster", ASIDE, 90)
    door.watch(WALL_S + 1, [poster])
    door.watch(WALL_KEPT_S - 10)
    assert not any(door.watch(2, [poster]))


def test_what_was_long_out_of_view_may_come_again() -> None:
    door = PresentingDoor()
    code = shown("DC1:", ASIDE, 90)
    door.watch(WALL_S + 1, [code])
    door.watch(WALL_KEPT_S + 1)
    assert door.see([code]) == ["DC1:"]


def test_a_poster_that_people_keep_hiding_is_wall_by_the_time_that_it_was_seen() -> None:
    door = PresentingDoor()
    poster = shown("poster", ASIDE, 90)
    door.watch(12, [poster])
    for _ in range(20):
        door.watch(5, [shown("phone", MIDDLE, 300)])
        door.watch(4, [poster])
    assert door.see([poster]) == []


def test_the_same_code_elsewhere_is_not_the_wall() -> None:
    """Whose paper was copied and glued up beside the door may still show it."""
    door = PresentingDoor()
    door.watch(WALL_S + 1, [shown("DC1:", ASIDE, 90)])
    seen = door.see([shown("DC1:", ASIDE, 90), shown("DC1:", MIDDLE, 220)])
    assert seen == ["DC1:"]


def test_a_phone_held_very_still_for_twenty_seconds_is_a_person() -> None:
    """Twenty seconds without one pixel of movement: nothing here takes it for a poster."""
    door = PresentingDoor()
    assert all(order == ["phone"] for order in door.watch(20, [shown("phone")]))
    assert all(order == ["phone"] for order in door.watch(WALL_S - 21, [shown("phone")]))


def test_a_hand_sways_and_is_never_the_wall() -> None:
    door, hand = PresentingDoor(), random.Random(4)
    x, y = MIDDLE
    for _ in range(round(3 * WALL_S / FRAME_S)):
        x += hand.gauss(0, 3) + (MIDDLE[0] - x) * 0.01  # some centimetres within seconds
        y += hand.gauss(0, 3) + (MIDDLE[1] - y) * 0.01
        assert door.see([shown("phone", (x, y))]) == ["phone"]


def test_codes_laid_one_after_the_other_into_the_same_cradle_are_all_presented() -> None:
    """The place alone makes no wall: it is the same symbol in the same place."""
    door = PresentingDoor()
    for person in range(40):
        door.watch(0.2, unread=[square(MIDDLE)])
        assert all(f"{person}" in order for order in door.watch(3, [shown(f"{person}")]))
        door.watch(1)


def test_a_code_shown_again_and_again_is_wall_by_the_time_it_was_seen_alone() -> None:
    door = PresentingDoor()
    for _ in range(5):
        assert all(order == ["phone"] for order in door.watch(10, [shown("phone")]))
        door.watch(15)


def test_what_is_carried_to_the_wall_and_glued_there_becomes_part_of_it() -> None:
    door = PresentingDoor()
    for frame in range(30):
        door.see([shown("poster", (700 - 15 * frame, 400 - 8 * frame), 120)])
    door.watch(WALL_S + 1, [shown("poster", ASIDE, 120)])
    assert door.see([shown("poster", ASIDE, 120)]) == []


def test_two_copies_side_by_side_are_two_places() -> None:
    door = PresentingDoor()
    door.watch(WALL_S + 1, [shown("poster", (400, 360), 150), shown("poster", (560, 360), 150)])
    assert len(door.presented._places) == 2
    assert door.see([shown("poster", (400, 360), 150), shown("poster", (560, 360), 150)]) == []


@pytest.mark.parametrize("alike", [False, True], ids=["many codes", "one code many times"])
def test_a_wall_full_of_codes_is_wall(alike: bool) -> None:
    """As many as zxing-cpp reads in one frame, on a sheet that may have been made for this."""
    door = PresentingDoor()
    sheet = [
        shown("same" if alike else f"{number}", (40 + number % 16 * 80, 22 + number // 16 * 45), 36)
        for number in range(255)
    ]
    for number in range(round(WALL_S) + 5):
        door.at_s = 1000.0 + number
        seen = door.see(sheet)
    assert seen == []
    assert door.see([*sheet, shown("phone")]) == ["phone"]


def test_a_wall_full_of_codes_holds_the_door_up_for_less_than_a_frame() -> None:
    door, took_s = PresentingDoor(), []
    sheet = [shown(f"{n}", (40 + n % 16 * 80, 22 + n // 16 * 45), 36) for n in range(255)]
    torn = [square((43 + n % 16 * 80, 26 + n // 16 * 45), 30) for n in range(255)]
    for _ in range(10):
        began_s = time.thread_time()
        door.see(sheet, torn)
        door.see((), torn)
        took_s.append(time.thread_time() - began_s)
    assert min(took_s) < FRAME_S, "each with each, it would be a second"


def jittered(corners: Corners, rng: random.Random, pixels: int) -> Corners:
    def off() -> int:
        return rng.randint(-pixels, pixels)

    return tuple((x + off(), y + off()) for x, y in corners)


def test_corners_that_jitter_and_slip_are_the_same_poster() -> None:
    door, rng = PresentingDoor(), random.Random(1)
    for _ in range(round((WALL_S + 20) / FRAME_S)):
        slip = rng.random() < 0.01
        door.see([SeenSymbol(b"poster", jittered(square(ASIDE, 90), rng, 40 if slip else 3))])
    for _ in range(60):
        assert door.see([SeenSymbol(b"poster", jittered(square(ASIDE, 90), rng, 3))]) == []


def test_a_shaken_camera_does_not_make_the_wall_new() -> None:
    door, rng = PresentingDoor(), random.Random(2)
    door.watch(WALL_S + 1, [shown("DC1:", ASIDE, 120)])
    for _ in range(30):
        x, y = ASIDE[0] + rng.randint(-30, 30), ASIDE[1] + rng.randint(-30, 30)
        assert door.see([shown("DC1:", (x, y), 120)]) == []


@pytest.mark.parametrize("located", [True, False])
def test_a_decoder_that_misses_every_second_frame(located: bool) -> None:
    """A phone is presented whenever it is read and never unreadable; a poster becomes wall."""
    door = PresentingDoor()
    place = square(MIDDLE)
    for _ in range(round(20 / FRAME_S)):
        assert door.see([shown("phone")]) == ["phone"]
        assert door.see([], [place] if located else []) == []
    assert door.told == []
    for _ in range(round(WALL_S / FRAME_S)):
        door.see([shown("poster", ASIDE, 150)])
        door.see([], [square(ASIDE, 150)] if located else [])
    assert door.see([shown("poster", ASIDE, 150)]) == []


def test_unreadable_is_said_once_it_was_held_up_and_again_after_some_seconds() -> None:
    door = PresentingDoor()
    door.watch(3)
    came_s = door.at_s
    door.watch(NEW_S + 20, unread=[square(MIDDLE)])
    first, *later = door.told
    assert 0.6 <= first - came_s <= 1.0
    assert first - came_s == pytest.approx(HELD_S, abs=0.15)
    assert len(later) == 3, "said forever of something that is only there"
    assert all(b - a >= AGAIN_S for a, b in zip(door.told, later, strict=False))


def test_unreadable_is_said_of_a_hand_that_moves() -> None:
    door = PresentingDoor()
    for frame in range(30):
        door.see([], [square((540 + 6 * frame, 360 - 2 * frame), 180 + frame)])
    assert len(door.told) == 1


def test_the_next_person_hears_unreadable_too() -> None:
    door = PresentingDoor()
    for _ in range(3):
        door.watch(1.5, unread=[square(MIDDLE)])
        door.watch(GONE_S + 0.5)
    assert len(door.told) == 3


@pytest.mark.parametrize(
    "region",
    [square(MIDDLE, 40), square((1230, 360), 90), square((640, 40), 70)],
    ids=["too small", "at the edge", "at the top"],
)
def test_what_is_far_away_is_not_meant(region: Corners) -> None:
    door = PresentingDoor()
    door.watch(30, unread=[region])
    assert door.told == []


def test_who_comes_before_something_that_was_there_is_heard() -> None:
    """As large again, or elsewhere: it is not what has been there for half a minute."""
    door = PresentingDoor()
    door.watch(30, unread=[square(MIDDLE, 80)])
    door.told.clear()
    door.watch(1.5, unread=[square(MIDDLE, 200)])
    assert len(door.told) == 1
    door.watch(30, unread=[square((450, 360), 200)])
    door.told.clear()
    door.watch(1.5, unread=[square((850, 360), 200)])
    assert len(door.told) == 1


def test_two_who_cannot_be_read_are_not_answered_in_one_breath() -> None:
    door = PresentingDoor()
    door.watch(1, unread=[square((450, 360))])
    door.watch(4, unread=[square((450, 360)), square((850, 360))])
    assert len(door.told) == 2
    assert door.told[1] - door.told[0] >= presented_code.APART_S


def test_nobody_is_told_after_they_left() -> None:
    door = PresentingDoor()
    for _ in range(30):
        door.see([], [square(MIDDLE)], asked=False)
    door.watch(2)
    assert door.told == []


def test_one_or_two_sightings_are_a_slip() -> None:
    door = PresentedCodes(b"k" * 32)
    told = []
    for second in (0.0, 0.9, 1.8):
        door.look((), [square(MIDDLE)], SIZE, second)
        told.append(door.take_unreadable(second))
    assert told == [False, False, True]


def test_what_flashes_by_is_not_meant() -> None:
    door = PresentingDoor()
    for _ in range(10):
        door.watch(0.5, unread=[square(MIDDLE)])
        door.watch(GONE_S + 1)
    assert door.told == []


def test_an_unreadable_poster_is_wall_whoever_walks_before_it() -> None:
    door, rng = PresentingDoor(), random.Random(3)
    for _ in range(round((WALL_S + 1) / FRAME_S)):
        door.see([], [jittered(square(MIDDLE, 160), rng, 8)])
    door.told.clear()
    for _ in range(10):
        door.watch(20)
        door.watch(20, unread=[square(MIDDLE, 160)])
    assert door.told == []
    assert door.see([shown("DC1:", MIDDLE, 260)]) == ["DC1:"]
    assert door.see([shown("DC1:", (660, 380), 240)]) == ["DC1:"]


def test_a_code_that_could_not_be_read_for_long_is_still_wall_once_it_is() -> None:
    door = PresentingDoor()
    door.watch(WALL_S + 1, unread=[square(ASIDE, 90)])
    assert door.see([shown("DC1:", ASIDE, 90)]) == []


def test_nothing_is_unreadable_while_a_code_is_being_answered() -> None:
    door = PresentingDoor()
    beside = square((900, 360))
    door.watch(10, [shown("phone", (400, 360))], [beside])
    assert door.told == []
    door.presented.note_answered(door.at_s + 4)
    left_s = door.at_s
    door.watch(5, unread=[beside])
    assert len(door.told) == 1
    assert door.told[0] - left_s >= 4


def test_a_wall_that_can_be_read_hides_nobody_who_cannot() -> None:
    door = PresentingDoor()
    poster = shown("poster", ASIDE, 90)
    door.watch(WALL_S + 1, [poster])
    door.watch(1.5, [poster], [square(MIDDLE)])
    assert len(door.told) == 1


def test_who_was_just_answered_is_not_told_that_the_phone_is_dark_now() -> None:
    door = PresentingDoor()
    door.watch(1, [shown("phone")])
    door.watch(READ_S, unread=[square(MIDDLE)])
    assert door.told == []


def test_a_region_within_a_code_that_was_read_is_that_code() -> None:
    door = PresentingDoor()
    for _ in range(60):
        door.see([shown("poster", ASIDE, 300)], [square(ASIDE, 120)])
    assert len(door.presented._places) == 1


def test_a_camera_that_was_lost_for_long_forgets_no_wall() -> None:
    door = PresentingDoor()
    poster = shown("DC1:", ASIDE, 90)
    door.watch(WALL_S + 1, [poster])
    door.at_s += 3600
    assert not any(door.watch(2, [poster]))


def test_what_it_keeps_is_bounded_and_names_nobody() -> None:
    door = PresentingDoor()
    poster = shown("poster", ASIDE, 90)
    door.watch(WALL_S + 1, [poster])
    for frame in range(10):
        door.see([shown(f"handle-{frame}-{n}", (40 + 60 * n, 500), 40) for n in range(20)])
    assert len(door.presented._places) <= PLACES_MAX
    assert door.see([poster]) == [], "the crowd has pushed the wall out"
    kept = repr(door.presented._places).encode()
    assert b"handle" not in kept
    assert b"poster" not in kept
    door.watch(GONE_S + 1)
    assert len(door.presented._places) == 1, "visitors are remembered after they left"


def test_corners_of_any_shape_do_no_harm() -> None:
    door = PresentedCodes(b"k" * 32)
    odd: list[Corners] = [((5, 5),), ((5, 5), (5, 5)), ((0, 0), (9, 0), (9, 9)), ((-9, -9),) * 7]
    for number, corners in enumerate(odd * 3):
        symbol = SeenSymbol(b"x", corners)
        assert door.look([symbol], [*odd, ()], SIZE, number * FRAME_S) == (symbol,)
        assert door.look([symbol], odd, (0, 0), number * FRAME_S) == (symbol,)


def test_the_wall_is_three_times_the_longest_that_anybody_holds_a_phone() -> None:
    assert presented_code.WALL_S >= 3 * 20
