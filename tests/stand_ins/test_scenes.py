"""The door scenes are the same for a seed, as hard as they say, and show nothing else."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests import scenes
from tests.scenes import __main__ as measured
from tests.scenes import clutter, empty, sweep

pytestmark = pytest.mark.slow  # left out of make test-quick

SEED = 1


def rng(*more: int) -> np.random.Generator:
    return np.random.default_rng((SEED, *more))


def test_one_seed_gives_the_same_pictures() -> None:
    said = measured.text(8, rng())
    for make in (
        lambda r: [scenes.still(said, r)],
        lambda r: list(scenes.visit(said, r, 4)),
        lambda r: [scenes.empty(r), scenes.poster(said, r), scenes.two((said, "DC1:A"), r)],
    ):
        once, again, other = make(rng(7)), make(rng(7)), make(rng(8))
        assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))
        assert not any(np.array_equal(a, b) for a, b in zip(once, other, strict=True))
        assert all(f.shape == (720, 1280) and f.dtype == np.uint8 for f in once)


@pytest.mark.parametrize(("version", "least", "most"), [(8, 0.40, 0.66), (12, 0.27, 0.52)])
def test_zxing_reads_single_frames_about_as_often_as_real_doors(
    version: int, least: float, most: float
) -> None:
    assert least <= measured.stills_read(measured.zxing, version, SEED, 120) <= most


def test_pyzbar_reads_about_half_of_what_zxing_reads() -> None:
    assert 0.13 <= measured.stills_read(measured.zbar, 8, SEED, 60) <= 0.40


def test_most_visits_have_a_frame_that_is_read_and_some_have_none() -> None:
    assert 0.6 <= measured.visits_read(measured.zxing, 8, SEED, 40) <= 0.95


def test_frames_of_a_visit_differ_in_sharpness() -> None:
    """Frame by frame the code is read or not; a visit of equal frames would be all or nothing."""
    mixed = 0
    for i in range(12):
        said = measured.text(8, rng(i))
        read = [bool(measured.zxing(luma)) for luma in scenes.visit(said, rng(i, 1))]
        mixed += 0 < sum(read) < len(read)
        assert not read[0]  # still coming in
    assert mixed >= 4


def test_nothing_is_ever_read_that_was_not_rendered() -> None:
    for i in range(20):
        generator = rng(i, 2)
        said, poster = measured.text(8, generator), f"https://example.org/{i}"
        behind = scenes.poster(poster, generator)
        frames = [scenes.empty(generator), behind, *scenes.visit(said, generator, 4, behind)]
        read = [{*measured.zxing(luma)} for luma in frames]
        assert read[0] == set()
        assert read[1] <= {poster.encode()}
        assert all(found <= {said.encode(), poster.encode()} for found in read[2:])


def test_a_poster_can_be_read_behind_a_visit_and_two_codes_can_be_read_at_once() -> None:
    posters = pairs = 0
    for i in range(16):
        generator = rng(i, 3)
        first, second = (measured.text(8, generator) for _ in range(2))
        behind = scenes.poster("https://example.org/menu", generator)
        posters += b"https://example.org/menu" in measured.zxing(scenes.empty(generator, behind))
        pairs += len(measured.zxing(scenes.two((first, second), generator))) == 2
    assert posters >= 8
    assert pairs >= 2


@pytest.mark.parametrize("hardship", sweep.HARDSHIPS, ids=lambda hardship: hardship.name)
def test_each_hardship_begins_where_it_is_read_and_ends_where_it_is_not(
    hardship: sweep.Hardship,
) -> None:
    def reads(level: float) -> int:
        count = 0
        for i in range(4):
            generator = rng(i, 5)
            said = measured.text(8, generator)
            look = hardship.worsen(sweep.easy(said, generator), level)
            count += said.encode() in measured.zxing(scenes.still(said, generator, look))
        return count

    assert reads(hardship.levels[0]) == 4
    assert reads(hardship.levels[-1]) <= 2


def test_dark_mode_is_a_negative_and_pyzbar_reads_none() -> None:
    for i in range(4):
        generator = rng(i, 6)
        said = measured.text(8, generator)
        look = replace(sweep.easy(said, generator), inverted=True)
        luma = scenes.still(said, generator, look)
        assert measured.zxing(luma) == [said.encode()]
        assert measured.zbar(luma) == []
        assert measured.zbar(255 - luma) == [said.encode()]


def test_a_resting_scene_changes_by_its_noise_alone() -> None:
    frames = [f.astype(int) for f in scenes.resting(rng(7), 3, measured.text(8, rng(7)))]
    for one, other in ((0, 1), (1, 2)):
        difference = frames[one] - frames[other]
        assert difference.std() > 1
        assert abs(difference.mean()) < 0.2


def test_clutter_is_full_of_edges_and_holds_no_symbol() -> None:
    def edges(luma: scenes.Luma) -> float:
        soft = cv2.GaussianBlur(luma, (0, 0), 2).astype(float)
        return float(np.mean(np.abs(np.diff(soft)) > 8))

    halls, cluttered = ([make(rng(i, 8)) for i in range(12)] for make in (empty, clutter))
    assert not any(measured.zxing(luma) or measured.zbar(luma) for luma in cluttered)
    assert np.mean([*map(edges, cluttered)]) > 4 * np.mean([*map(edges, halls)])
