"""Frames without a code whose textures look like one to a decoder: what costs it most.

Print, tiles, a striped shirt, leaves, a rack of parcels and a screen full of windows, before a
hall. Black beside white beside black in even steps is what a finder pattern is made of.
"""

from functools import lru_cache

import cv2
import numpy as np

from tests.scenes.camera import noisy
from tests.scenes.hall import Luma, hall
from tests.scenes.look import HEIGHT, WIDTH, Rng

PATCHES = 24


def clutter(rng: Rng) -> Luma:
    """One frame, uint8, 720x1280: two to five such things, tilted, and no symbol."""
    return noisy(cluttered(rng), int(rng.integers(2, 13)), rng)


def cluttered(rng: Rng) -> Luma:
    """The same without the sensor's noise; give it as `behind`."""
    frame = hall(rng).copy()
    for _ in range(rng.integers(2, 6)):
        _hang(frame, _patch(int(rng.integers(PATCHES))), rng)
    return cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.5, 1.4))


def _hang(frame: Luma, patch: Luma, rng: Rng) -> None:
    side = rng.uniform(160, 430)
    at = np.array([rng.uniform(0, WIDTH - side), rng.uniform(0, HEIGHT - side * 0.7)])
    flat = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    corners = (at + (flat + rng.normal(0, 0.07, (4, 2))) * side).astype(np.float32)
    high, wide = patch.shape
    to = cv2.getPerspectiveTransform(flat * np.float32((wide, high)), corners)
    cv2.warpPerspective(
        patch,
        to,
        (WIDTH, HEIGHT),
        dst=frame,
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


@lru_cache(maxsize=PATCHES)
def _patch(number: int) -> Luma:
    rng = np.random.default_rng((77, number))
    drawn = (_print, _tiles, _stripes, _leaves, _parcels, _windows)[number % 6](rng)
    light, dark = rng.uniform(150, 245), rng.uniform(10, 90)
    return np.clip(dark + drawn * (light - dark), 0, 255).astype(np.uint8)


def _print(rng: Rng) -> Luma:
    page = np.ones((480, 480), np.float32)
    size = int(rng.integers(4, 12))
    for y in range(12, 470, size * 2):
        x = 12
        while x < 460:
            if rng.random() < 0.85:
                wide = int(rng.integers(1, max(2, size)))
                high = int(rng.integers(size // 2, size + 1))
                page[y : y + high, x : x + wide] = 0
                x += wide
            x += int(rng.integers(1, max(2, size // 2)))
    return page


def _tiles(rng: Rng) -> Luma:
    steps = int(rng.integers(12, 40))
    board = np.indices((steps, steps)).sum(0) % 2
    lost = rng.random((steps, steps)) < 0.15
    return cv2.resize((board ^ lost).astype(np.float32), (480, 480), interpolation=0)


def _stripes(rng: Rng) -> Luma:
    turns = rng.uniform(18, 70)
    x = np.linspace(0, 2 * np.pi, 480)
    across = np.sign(np.sin(x * turns))[None, :]
    down = np.sign(np.sin(x * turns * rng.uniform(0.2, 1)))[:, None]
    return ((across + down * rng.integers(0, 2)) > 0).astype(np.float32)


def _leaves(rng: Rng) -> Luma:
    noise = rng.normal(0, 1, (480, 480)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), rng.uniform(1.5, 5))
    return (soft > 0).astype(np.float32)


def _parcels(rng: Rng) -> Luma:
    shelf = np.full((480, 480), 0.3, np.float32)
    for _ in range(70):
        x, y = rng.integers(0, 440, 2)
        wide, high = rng.integers(20, 90, 2)
        cv2.rectangle(shelf, (int(x), int(y)), (int(x + wide), int(y + high)), rng.uniform(), -1)
        cv2.rectangle(shelf, (int(x), int(y)), (int(x + wide), int(y + high)), 0.0, 2)
        for bar in range(0, int(wide) - 14, int(rng.integers(3, 7))):  # a linear barcode
            shelf[y + 4 : y + 12, x + 6 + bar : x + 7 + bar] = 0
    return shelf


def _windows(rng: Rng) -> Luma:
    screen = np.full((480, 480), 0.1, np.float32)
    for _ in range(12):  # squares in squares: nearly finder patterns
        x, y = (int(v) for v in rng.integers(0, 400, 2))
        side = int(rng.integers(21, 120))
        for step, shade in ((0, 1.0), (1, 0.0), (2, 1.0)):
            inner = side * step // 6
            cv2.rectangle(
                screen, (x + inner, y + inner), (x + side - inner, y + side - inner), shade, -1
            )
    return screen
