"""How well the camera sees: each trouble from rendered scenes, and an illuminator at rest.

Exposure, lamp and people are simulated second by second, as the sensor's own control answers them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain, pairwise, repeat
from typing import NamedTuple, get_args

import cv2
import numpy as np
import pytest

from edge.parts import Trouble
from edge.sight import camera_health
from edge.sight.camera_health import Illuminator, ViewHealth
from tests.scenes import HEIGHT, WIDTH, Luma, still
from tests.scenes.hall import hall

RNG = np.random.default_rng(4)
HALL = hall(np.random.default_rng(1)).astype(np.float32)
Y, X = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]


def small(scene: np.ndarray, noise: float = 8.0) -> Luma:
    """`scene` (720 x 1280, or already small) as the low-resolution stream shows it: each of its
    pixels is a mean of 16, so a quarter of the noise is left.
    """
    if scene.shape[1] == WIDTH:
        scene = cv2.resize(scene.astype(np.float32), (320, 180), interpolation=cv2.INTER_AREA)
    seen = scene + RNG.normal(0, noise / 4, scene.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)


def blurred(sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(HALL, (0, 0), sigma)


WELL = [small(HALL) for _ in range(3)]
HELD = [small(still("DC1:" + "A" * 171, np.random.default_rng(n)), 0) for n in range(3)]
JACKET = small(18 + 5 * X)  # somebody stands before the lens
TAPE = small(140 * (1 - 0.14 * (X * X + Y * Y)))
HAND = small(24 + 8 * X + 4 * np.sin(3 * Y + 2 * X))
BLACK = small(0 * X + 2, 4)
NIGHT = small(HALL * 0.08 + 2)
HAZE = small(HALL * 0.25 + 95)
SOFT = small(blurred(12))

SCENES: list[tuple[str, Luma, Trouble]] = [
    ("night with some light left", NIGHT, "dark"),
    ("tape that lets light through", TAPE, "covered"),
    ("a hand", HAND, "covered"),
    ("tape that lets none through", BLACK, "covered"),
    ("haze", HAZE, "dirty"),
    ("a lens far out of focus", SOFT, "unfocused"),
]
IDS = [what for what, _, _ in SCENES]


def told(
    pictures: Iterator[Luma], seconds: int, seen: ViewHealth | None = None
) -> list[Trouble | None]:
    """What is told after each of `seconds` seconds, one picture a second."""
    seen = ViewHealth() if seen is None else seen
    start_s = max(0.0, seen._next_s)
    said = []
    for second, picture in zip(range(seconds), pictures, strict=False):
        seen.take_frame(picture, None, start_s + second)
        said.append(seen.trouble)
    return said


def well() -> Iterator[Luma]:
    """A hall, a code held up now and then."""
    while True:
        yield from WELL * 4
        yield from HELD


@pytest.mark.parametrize("lit", [1.0, 0.75, 1.8])
@pytest.mark.parametrize("number", range(4))
def test_a_hall_is_no_trouble(number: int, lit: float) -> None:
    behind = hall(np.random.default_rng(number)).astype(np.float32)
    picture = small(behind * lit + 3)
    assert told(repeat(picture), 200) == [None] * 200


@pytest.mark.parametrize(("what", "picture", "trouble"), SCENES, ids=IDS)
def test_each_trouble_is_told_after_minutes_and_taken_back_after_minutes(
    what: str, picture: Luma, trouble: Trouble
) -> None:
    seen = ViewHealth()
    assert set(told(well(), 185, seen)) == {None}
    begins = told(repeat(picture), 185, seen)
    assert 120 <= begins.index(trouble) <= 180, what
    assert set(begins) == {None, trouble}, "nothing else was told on the way"
    ends = told(well(), 185, seen)
    assert 120 <= ends.index(None) <= 180
    assert set(ends) == {trouble, None}


def test_every_trouble_has_a_scene() -> None:
    assert {trouble for _, _, trouble in SCENES} == set(get_args(Trouble))


def test_night_that_falls_slowly_is_dark_and_not_covered() -> None:
    seen = ViewHealth()
    told(well(), 200, seen)
    light = small(HALL, 0).astype(np.float32)
    falling = (small(light * share, 4) for share in np.geomspace(1, 0.001, 300))
    told(falling, 300, seen)
    assert seen.trouble == "dark"
    told(repeat(BLACK), 300, seen)
    assert seen.trouble == "dark", "it never was anything else"


def test_a_unit_that_starts_in_darkness_says_dark() -> None:
    assert told(repeat(BLACK), 200)[-1] == "dark"


@pytest.mark.parametrize("picture", [JACKET, HAND, BLACK, TAPE, SOFT, HAZE])
def test_one_passing_person_moves_nothing(picture: Luma) -> None:
    """Fifteen seconds before the lens, whatever the camera makes of it."""
    seen = ViewHealth()
    told(well(), 185, seen)
    said = told(chain(repeat(picture, 15), well()), 20, seen)
    assert set(said) == {None}


@pytest.mark.parametrize(("what", "picture", "trouble"), SCENES, ids=IDS)
def test_one_passing_person_ends_no_trouble(what: str, picture: Luma, trouble: Trouble) -> None:
    seen = ViewHealth()
    told(well(), 10, seen)
    told(repeat(picture), 185, seen)
    for passing in (HELD, WELL, [JACKET], [TAPE]):
        said = told(chain((passing * 15)[:15], repeat(picture)), 40, seen)
        assert set(said) == {trouble}, what


def test_one_trouble_after_another_is_told_as_the_other() -> None:
    seen = ViewHealth()
    told(repeat(HAZE), 200, seen)
    said = told(repeat(TAPE), 200, seen)
    assert (said[0], said[-1]) == ("dirty", "covered")


def test_a_scene_between_two_troubles_is_still_told() -> None:
    """Neither is there nine times of ten, and no code can be read in either."""
    seen = ViewHealth()
    both = chain.from_iterable(repeat((HAZE, HAZE, TAPE), 100))
    assert told(both, 300, seen)[-1] == "dirty"


def test_what_was_told_stays_until_another_is_plain() -> None:
    seen = ViewHealth()
    told(chain.from_iterable(repeat((HAZE, HAZE, TAPE), 100)), 300, seen)
    turned = told(chain.from_iterable(repeat((TAPE, TAPE, HAZE), 100)), 300, seen)
    assert set(turned) == {"dirty"}


def test_noise_is_no_structure() -> None:
    """As where a USB camera's picture was thinned and not averaged, in low light."""
    tape = 120 - 15 * (X * X + Y * Y)
    pictures = [small(tape, 40) for _ in range(5)]
    assert told(chain.from_iterable(repeat(pictures)), 200)[-1] == "covered"


def test_it_looks_once_a_second_however_many_frames_come() -> None:
    seen = ViewHealth()
    for frame in range(20 * 15 * 10):
        seen.take_frame(TAPE, None, frame / 15)
    assert seen.trouble == "covered"
    quick = ViewHealth()
    for frame in range(15 * 100):
        quick.take_frame(TAPE, None, frame / 15)
    assert quick.trouble is None, "100 s of frames are no three minutes"


def test_a_full_picture_serves_where_there_is_no_low_resolution() -> None:
    full = np.clip(HALL + RNG.normal(0, 6, HALL.shape), 0, 255).astype(np.uint8)
    assert told(repeat(full), 200)[-1] is None
    soft = np.clip(blurred(16) + RNG.normal(0, 3, HALL.shape), 0, 255).astype(np.uint8)
    assert told(repeat(soft), 200)[-1] == "unfocused"


# The illuminator.


class TakenExposure(NamedTuple):
    shutter_us: int
    gain: float


def exposed(light: float, before: float | None = None) -> tuple[float, TakenExposure]:
    """Mean luma and exposure of a scene of `light` (1 / ms), at most 1/240 s and gain 16.

    The exposure still is that of the light `before`.
    """
    wanted_ms = 1 / (light if before is None else before)
    shutter_ms = min(wanted_ms, 4.167)
    gain = min(max(wanted_ms / shutter_ms, 1.0), 16.0)
    linear = min(1.0, camera_health.GREY * light * shutter_ms * gain)
    return 255 * linear ** (1 / 2.2), TakenExposure(round(shutter_ms * 1000), gain)


def night(
    ambient: Callable[[int], float], lamp: Callable[[int], float], seconds: int, tells: bool = True
) -> list[int]:
    """When the illuminator changed, in seconds; `lamp`: the light it gives when it is lit.

    The exposure follows the light within two seconds.
    """
    lit = Illuminator()
    changes = []
    lights = deque([ambient(0)], maxlen=3)
    for second in range(seconds):
        was = lit.on
        lights.append(ambient(second) + lamp(second) * was)
        mean, taken = exposed(lights[-1], lights[0])
        lit.take_light(mean, taken if tells else None, float(second))
        if lit.on != was:
            changes.append(second)
    return changes


HOUR_S = 3600


def day(second: int) -> float:
    """Light over a day that begins at noon: 1 at noon, 1/1000 at midnight, by halves."""
    return float(10 ** (-1.5 + 1.5 * np.cos(2 * np.pi * second / (24 * HOUR_S))))


@pytest.mark.parametrize("lamp", [0.0, 0.02, 0.3, 3.0])
def test_it_is_lit_at_dusk_and_let_go_in_the_morning_once(lamp: float) -> None:
    """Though the scene is bright as soon as it is lit: brighter than by day, even."""
    dusk, dawn = night(day, lambda _: lamp, 24 * HOUR_S)
    assert 3 * HOUR_S < dusk < 12 * HOUR_S < dawn < 21 * HOUR_S
    assert day(dusk) < day(dawn), "it is let go in more light than it was lit in"


@pytest.mark.parametrize("tells", [True, False])
def test_it_does_not_flicker_whatever_stands_before_it(tells: bool) -> None:
    """People who throw its light back, two minutes each, all night; no hour has many changes."""

    def lamp(second: int) -> float:
        return 2.0 if second % 300 < 120 else 0.05

    changes = night(lambda _: 0.005, lamp, 12 * HOUR_S, tells)
    assert len(changes) <= 20
    assert all(after - before >= 3 for before, after in pairwise(changes))
    last_hours = [second for second in changes if second > 4 * HOUR_S]
    assert len(last_hours) <= 8


@pytest.mark.parametrize("lamp", [0.02, 0.3])
def test_where_the_camera_tells_no_exposure_it_blinks_hardly_more_than_hourly(lamp: float) -> None:
    """What a lamp adds cannot be told from a picture that exposes itself: it tries and waits."""
    changes = night(day, lambda _: lamp, 24 * HOUR_S, tells=False)
    assert len(changes) <= 2 * (7 + 12)
    assert len(changes) % 2 == 0, "by noon it was let go"
    lit_s = changes[0]
    doubling_s = sum(
        camera_health.BRIGHT_AFTER_S * 2**n for n in range(camera_health.RELAPSES_MAX + 1)
    )
    later = [second for second in changes if second > lit_s + doubling_s + 60]
    assert len(later) <= 2 * 12
    at_noon = [second for second in changes if not 3 * HOUR_S < second < 22 * HOUR_S]
    assert at_noon == []


def test_a_hand_close_to_the_lens_is_no_nightfall() -> None:
    assert night(lambda second: 0.005 if second % 10 < 3 else 0.3, lambda _: 1.0, 600) == []


def test_it_is_lit_within_seconds_when_the_lights_go_out() -> None:
    (lit,) = night(lambda second: 0.3 if second < 100 else 0.005, lambda _: 0.1, 400)
    assert 100 <= lit <= 105


def test_light_between_dim_and_bright_changes_nothing() -> None:
    between = 1 / (0.5 * (camera_health.DIM_MS + camera_health.BRIGHT_MS))
    assert night(lambda _: between, lambda _: 0.1, 1000) == []


def test_the_view_asks_for_it() -> None:
    seen = ViewHealth()
    mean, taken = exposed(0.005)
    picture = np.clip(HALL * (mean / HALL.mean()), 0, 255)
    for second in range(10):
        seen.take_frame(small(picture), taken, float(second))
    assert seen.dim
    assert seen.trouble is None
