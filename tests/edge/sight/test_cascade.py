"""Pictures that zxing-cpp does not read, and what does; the order, the budget, no text made up."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import segno

from edge.sight import cascade, rescues, symbol_patterns, textures, zxing
from edge.sight.frame import Luma
from tests import scenes
from tests.edge.sight.test_decoders import TEXT
from tests.edge.sight.test_decoders import symbol as rendered
from tests.scenes.__main__ import text
from tests.scenes.look import draw
from tests.scenes.sweep import easy

LONG_S = 60.0


def last_step(luma: Luma, expect: bytes = TEXT) -> str:
    """What read it; "" when nothing did. Whatever else came out fails."""
    result = cascade.read(luma, "both", LONG_S)
    assert {found.data for found in result.symbols} <= {expect}
    return result.steps[-1][0] if result.symbols else ""


def darkened_above_and_below(module: int) -> Luma:
    """Printed up to the edge of something black: no quiet zone there."""
    luma = rendered(TEXT, module)
    luma[: 4 * module] = luma[-4 * module :] = 0
    return luma


CLOTH = b"DC1:" + b"CLOTH" * 20


def on_cloth() -> Luma:
    """A symbol on a shirt: each module up to one and a fifth of its size off, in one wave."""
    module = 7
    luma = np.pad(rendered(CLOTH, module, error="q"), 40, constant_values=255)
    y, x = np.indices(luma.shape, np.float32)
    wave, height = 2 * np.pi / luma.shape[1], 1.2 * module
    right, down = height * np.sin(wave * y + 0.5), height * np.sin(wave * x + 1)
    bent: Luma = cv2.remap(luma, x + right, y + down, cv2.INTER_LINEAR, borderValue=255.0)
    return bent


def scene(version: int, seed: int) -> tuple[Luma, bytes]:
    rng = np.random.default_rng((version, seed))
    said = text(version, rng)
    return scenes.still(said, rng, draw(rng)), said.encode()


@pytest.mark.parametrize("module", [4, 6, 8])
def test_pyzbar_alone_reads_a_symbol_without_a_quiet_zone(module: int) -> None:
    luma = darkened_above_and_below(module)
    assert cascade.read(luma, "zxing-cpp", LONG_S).symbols == ()
    assert last_step(luma) == "zbar"


def test_a_symbol_on_cloth_is_laid_flat() -> None:
    assert zxing.read(on_cloth()).symbols == ()
    assert last_step(on_cloth(), CLOTH) == "bent"


def moved(luma: Luma, length: int) -> Luma:
    """As a hand that moves to the right while the shutter is open."""
    smeared: Luma = cv2.blur(luma, (length, 1))
    return smeared


def noisy(luma: Luma, sigma: float) -> Luma:
    noise = np.random.default_rng(1).normal(0, sigma, luma.shape)
    return np.clip(luma * 0.6 + 40 + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("light_on_dark", [False, True])
def test_motion_of_nearly_two_modules_is_undone(light_on_dark: bool) -> None:
    luma = np.pad(rendered(TEXT, 5), 60, constant_values=255)
    luma = noisy(moved(luma, 9), 6)
    luma = 255 - luma if light_on_dark else luma
    assert zxing.read(luma).symbols == ()
    assert last_step(luma) == "blurred"


def test_door_scenes_are_read_more_often_and_never_wrongly() -> None:
    alone = ours = 0
    for seed in range(24):
        luma, said = scene(8, seed)
        alone += said in [found.data for found in zxing.read(luma).symbols]
        ours += bool(last_step(luma, said))
    assert ours >= alone + 3


@pytest.mark.parametrize("decoder", ["both", "zxing-cpp", "pyzbar"])
def test_light_on_dark_is_read(decoder: cascade.Decoder) -> None:
    for module in (3, 5, 9):
        result = cascade.read(255 - rendered(TEXT, module), decoder, LONG_S)
        assert [found.data for found in result.symbols] == [TEXT]


def test_corners_are_in_pixels_of_the_picture() -> None:
    luma = np.pad(darkened_above_and_below(6), ((200, 300), (500, 100)), constant_values=255)
    (found,) = cascade.read(luma, "both", LONG_S).symbols
    side = 6 * (len(segno.make(TEXT, micro=False).matrix))
    first = np.array((500 + 24, 200 + 24))
    outline = np.array([(0, 0), (side, 0), (side, side), (0, side)])
    assert np.abs(np.array(found.corners) - first - outline).max() <= 8


def test_what_is_read_beside_something_unread_does_not_hide_it() -> None:
    cloth, poster = on_cloth(), rendered(b"DC1:A POSTER", 5)
    luma = np.full((len(cloth), cloth.shape[1] + poster.shape[1]), 255, np.uint8)
    luma[: len(poster), : poster.shape[1]] = poster
    luma[:, poster.shape[1] :] = cloth
    assert [found.data for found in zxing.read(luma).symbols] == [b"DC1:A POSTER"]
    result = cascade.read(luma, "both", LONG_S)
    assert sorted(found.data for found in result.symbols) == [b"DC1:A POSTER", CLOTH]


def test_the_same_text_at_two_places_is_two_and_at_one_place_one() -> None:
    one = darkened_above_and_below(6)
    assert len(cascade.read(one, "both", LONG_S).symbols) == 1
    two = np.hstack([one, np.full((len(one), 300), 255, np.uint8), one])
    assert [found.data for found in cascade.read(two, "both", LONG_S).symbols] == [TEXT, TEXT]


def ticking(step_s: float) -> Callable[[], float]:
    """A clock that goes on by `step_s` each time it is read."""
    now = iter(np.arange(0, 1e6) * step_s)
    return lambda: float(next(now))


def test_the_budget_ends_the_work() -> None:
    luma = darkened_above_and_below(6)
    assert [name for name, _ in cascade.read(luma, "both", 0.0).steps] == ["zxing-cpp"]
    few, many = (cascade.read(luma, "both", 1.0, ticking(step_s)).steps for step_s in (0.2, 0.001))
    assert 1 < len(few) < len(many)
    assert [name for name, _ in few] == [name for name, _ in many][: len(few)]


def test_a_rescue_that_is_too_long_for_what_is_left_is_left_out() -> None:
    luma = darkened_above_and_below(6)
    budget_s = 6 * cascade.frame_s()
    tried = [name for name, _ in cascade.read(luma, "both", budget_s, lambda: 0.0).steps]
    costs = {rescue.name: rescue.cost for rescue in rescues.RESCUES}
    assert "larger" in tried
    assert all(costs[name] <= 6 for name in tried[1:])


def test_an_empty_hall_costs_no_rescue_and_a_held_code_does() -> None:
    rng = np.random.default_rng(4)
    for _ in range(10):
        empty = cascade.read(scenes.empty(rng), "both", LONG_S)
        assert [name for name, _ in empty.steps] == ["zxing-cpp"]
    seen = 0
    for seed in range(20):
        luma, _ = scene(8, seed)
        seen += bool(textures.find(luma))
    assert seen >= 16


def test_a_code_of_little_contrast_is_seen_and_read() -> None:
    read = 0
    for seed in range(4):
        rng = np.random.default_rng((3, seed))
        said = text(8, rng)
        look = replace(easy(said, rng), white=122, black=106)
        luma = scenes.still(said, rng, look)
        assert zxing.read(luma).symbols == ()
        read += bool(last_step(luma, said.encode()))
    assert read >= 3


def test_nothing_is_read_that_was_not_shown() -> None:
    rng = np.random.default_rng(7)
    for _ in range(4):
        noise = rng.integers(0, 2, (45, 45)).astype(np.uint8) * 255
        luma = cv2.resize(noise, (450, 450), interpolation=cv2.INTER_NEAREST)
        assert cascade.read(np.pad(luma, 40, constant_values=255), "both", LONG_S).symbols == ()
    for size in (0, 1, 3, 20):
        tiny = np.zeros((max(size, 1), size + 1), np.uint8)
        assert cascade.read(tiny, "both", LONG_S).symbols == ()


@pytest.mark.parametrize("version", [*range(1, 8), 14, 21, 28, 32, 36, 40])
def test_what_all_symbols_have_alike_is_what_an_encoder_draws(version: int) -> None:
    size = 17 + 4 * version
    same, dark = symbol_patterns.fixed_modules(size)
    for mask in (0, 5):
        made = segno.make("A", version=version, mask=mask, micro=False, error="l")
        drawn = np.array([[bool(module) for module in row] for row in made.matrix])
        assert np.array_equal(drawn[same], dark[same])
        assert [s.data for s in zxing.read(symbol_patterns.picture(drawn), bare=True).symbols] == [
            b"A"
        ]
