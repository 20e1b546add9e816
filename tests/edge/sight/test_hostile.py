"""A phone beside what is hung up to blind the decoder."""

from collections.abc import Callable

import numpy as np
import pytest

from edge.sight.frame import Luma
from edge.sight.live_reading import Live
from tests.campus import symbol

SHOWN = "DC1:" + "HONEST" * 6


def sheet_of_codes() -> Luma:
    """A hundred small symbols over half of the frame."""
    luma = np.full((720, 1280), 200, np.uint8)
    for number in range(100):
        code = symbol(f"X{number}", 2)
        side = code.shape[0]
        y, x = 5 + number // 10 * (side + 6), 5 + number % 10 * (side + 6)
        luma[y : y + side, x : x + side] = code
    return luma


def sheet_of_finders() -> Luma:
    """The corner pattern of a QR symbol some 200 times; zxing-cpp alone sees nothing else then."""
    rng = np.random.default_rng(1)
    finder = np.full((9, 9), 255, np.uint8)
    finder[1:8, 1:8], finder[2:7, 2:7], finder[3:6, 3:6] = 0, 255, 0
    finder = np.kron(finder, np.ones((6, 6), np.uint8))
    luma = np.full((720, 1280), 130, np.uint8)
    for y in range(0, 660, 54):
        for x in range(0, 750, 54):
            down, right = rng.integers(0, 4, 2)
            luma[y + down : y + down + 54, x + right : x + right + 54] = finder
    return luma


@pytest.mark.parametrize("sheet", [sheet_of_codes, sheet_of_finders])
def test_a_phone_beside_a_sheet_made_to_blind_is_read(
    sheet: Callable[[], Luma],
) -> None:
    wall, code = sheet(), symbol(SHOWN, 4)
    live = Live("both", 0.5)  # the machine may be busy
    for number in range(30):
        luma, (y, x) = wall.copy(), (200 + number % 5, 850 + number % 9)
        luma[y : y + code.shape[0], x : x + code.shape[1]] = code
        if SHOWN.encode() in [s.data for s in live.look(luma, number / 15).symbols]:
            return
    pytest.fail("it was not read in two seconds")
