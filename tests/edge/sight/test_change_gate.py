"""The change gate: noise, light and flicker do not open it; a code that changes does, at once.

Frames at low resolution as a camera gives them (the mean of 4 x 4 pixels) and as they are made
where it gives none (every fourth pixel, with all of its noise).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import count, islice

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.sight.change_gate import ChangeGate, small_of
from tests import scenes
from tests.scenes import camera
from tests.scenes.hall import hall
from tests.scenes.look import Look, draw

Luma = npt.NDArray[np.uint8]
Rng = np.random.Generator

AGAIN = 15  # frames, after which a scene is decoded though nothing has moved


def averaged(luma: Luma) -> Luma:
    """As a camera's own low resolution."""
    small = cv2.resize(luma, (320, 180), interpolation=cv2.INTER_AREA)
    assert small.dtype == np.uint8
    return small


SMALLS = pytest.mark.parametrize("small", [small_of, averaged])


def noisy(picture: npt.NDArray[np.generic], sigma: float, rng: Rng) -> Luma:
    """`picture` with Gaussian noise of `sigma` levels."""
    return np.clip(picture + rng.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)


def opened(gate: ChangeGate, smalls: Iterable[Luma]) -> list[bool]:
    """Whether each frame moved; decoded are those and one a second."""
    told = []
    for number, small in enumerate(smalls):
        told.append(gate.take_frame(small))
        if told[-1] or number % AGAIN == 0:
            gate.note_decoded()
    return told


def held(rng: Rng, side: float, contrast: int) -> Look:
    """A phone held still and sharp."""
    return replace(
        draw(rng), side=side, white=40 + contrast, black=40, motion=0.0, defocus=0.8, glare=0.0,
        noise=0, x=640.0, y=360.0,
    )  # fmt: skip


def shown(text: str, look: Look, behind: Luma) -> Luma:
    frame = behind.copy()
    camera.put(frame, text, look)
    return frame


def texts(rng: Rng) -> Iterator[str]:
    while True:
        yield "DC1:" + "".join(rng.choice(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), 196))


@pytest.mark.parametrize("sigma", [0, 1, 4, 8, 12])
def test_a_still_scene_with_noise_never_passes(sigma: int) -> None:
    """200 frames at full noise: 176,000 blocks."""
    rng = np.random.default_rng(sigma)
    behind = small_of(hall(rng))
    told = opened(ChangeGate(), (noisy(behind, sigma, rng) for _ in range(200)))
    assert told == [True] + [False] * 199


def test_noise_that_grows_with_the_light_never_passes() -> None:
    """Photons are counted: a bright wall has more noise than the floor."""
    rng = np.random.default_rng(1)
    behind = small_of(hall(rng)).astype(np.float64)
    frames = (behind + rng.normal(0, 0.75, behind.shape) * np.sqrt(behind) for _ in count())
    told = opened(ChangeGate(), (np.clip(f, 0, 255).astype(np.uint8) for f in islice(frames, 400)))
    assert sum(told[30:]) == 0, "two seconds to learn it"


@SMALLS
@pytest.mark.parametrize(("side", "contrast", "sigma"), [(110, 140, 6), (150, 80, 4), (200, 80, 8)])
def test_a_code_that_changes_its_modules_passes_at_once(
    small: Callable[[Luma], Luma], side: float, contrast: int, sigma: int
) -> None:
    """A wallet renews its code and the phone is held still: small, far away, and noisy."""
    rng = np.random.default_rng(2)
    for old, new in islice(zip(texts(rng), texts(rng), strict=True), 4):
        look, behind = held(rng, side, contrast), hall(rng)
        gate = ChangeGate()
        before, after = (shown(text, look, behind) for text in (old, new))
        assert sum(opened(gate, (small(camera.noisy(before, sigma, rng)) for _ in range(20)))) == 1
        assert gate.take_frame(small(camera.noisy(after, sigma, rng)))


@SMALLS
def test_a_hand_that_comes_in_passes_in_its_first_frame(small: Callable[[Luma], Luma]) -> None:
    plain = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        behind, gate = hall(rng), ChangeGate()
        text = next(texts(rng))
        assert sum(opened(gate, (small(camera.noisy(behind, 4, rng)) for _ in range(8)))) == 1
        frames = [small(frame) for frame in scenes.visit(text, rng, behind=behind)]
        wall = small(behind).astype(int)
        there = [i for i, frame in enumerate(frames) if (np.abs(frame - wall) > 60).sum() > 100]
        if there:  # else the phone is hardly darker or brighter than the wall
            plain += 1
            first = there[0]
            assert any(opened(gate, frames[: first + 1])), f"seed {seed}: it came in frame {first}"
    assert plain >= 4


def test_a_slow_approach_passes() -> None:
    """2 mm a frame at 40 cm: half a percent."""
    rng = np.random.default_rng(5)
    look, behind, text = held(rng, 100, 150), hall(rng), next(texts(rng))
    sides = [100.0] * 20 + [100 * 1.005**i for i in range(40)]
    shots = (
        small_of(camera.noisy(shown(text, replace(look, side=s), behind), 6, rng)) for s in sides
    )
    told = opened(ChangeGate(), shots)
    assert sum(told[1:20]) == 0
    assert any(told[20:26])
    assert sum(told[20:]) > 8


LIGHTS: dict[str, Callable[[int, npt.NDArray[np.int64]], object]] = {  # the light by frame and row
    "exposure drifts": lambda i, y: 0.7 + 0.6 * min(1, i / 45),
    "exposure drifts into white": lambda i, y: 1 + 0.6 * min(1, i / 45),
    "the sun and its clouds": lambda i, y: 1 + 0.3 * np.sin(i / 150),
    "lamps beat with the frames": lambda i, y: 1 + 0.2 * np.sin(0.82 * i),
    "lamps beat with the rows": lambda i, y: 1 + 0.2 * np.sin(2 * np.pi * y / 120 + 0.82 * i),
}


@pytest.mark.parametrize("light", LIGHTS)
def test_light_and_flicker_do_not_hold_it_open(light: str) -> None:
    rng = np.random.default_rng(7)
    behind = small_of(hall(rng)).astype(np.float64)
    rows = np.arange(behind.shape[0])[:, None]
    bright = LIGHTS[light]
    told = opened(ChangeGate(), (noisy(behind * bright(i, rows), 2, rng) for i in range(400)))
    assert sum(told[:150]) < 40, "ten seconds to learn it"
    assert sum(told[150:]) == 0


def test_what_sways_for_ever_is_noise_at_last_and_a_code_beside_it_is_not() -> None:
    rng = np.random.default_rng(8)
    behind = small_of(hall(rng)).astype(np.float64)
    behind[20:60, 200:260] = cv2.GaussianBlur(rng.uniform(60, 140, (40, 60)), (0, 0), 1)

    def swaying(number: int) -> Luma:
        frame = behind.copy()
        turn = int(2 * np.sin(number / 3))
        frame[20:60, 200:260] = np.roll(frame[20:60, 200:260], turn, axis=1)
        return noisy(frame, 2, rng)

    gate = ChangeGate()
    told = opened(gate, (swaying(i) for i in range(600)))
    assert any(told[1:30]), "it was seen at first"
    assert sum(told[450:]) < 15, "a tenth of the frames"
    frame = swaying(600)
    frame[100:128, 100:128] = rng.choice([60, 200], (28, 28))
    assert gate.take_frame(frame)


def test_another_size_and_a_frame_smaller_than_a_block_pass() -> None:
    gate = ChangeGate()
    still = np.full((180, 320), 90, np.uint8)
    assert opened(gate, [still, still]) == [True, False]
    assert gate.take_frame(still[:90])
    assert ChangeGate().take_frame(still[:5, :5])


def test_frames_are_brought_to_about_320_columns() -> None:
    for width, least, most in ((1280, 320, 320), (640, 320, 320), (1600, 320, 320), (300, 300, 300),
                               (4096, 300, 340)):  # fmt: skip
        small = small_of(np.zeros((720, width), np.uint8))
        assert least <= small.shape[1] <= most
