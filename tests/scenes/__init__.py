"""Door scenes: pictures of a code held before a door camera, rendered from the code's text.

A phone or a sheet of paper in a hand, before a hall with people in it: size, tilt, focus, shake,
glare, contrast, noise, dark mode and moire are drawn from one spread (`look.py`), everything from
the caller's `rng`, so one seed gives the same pictures. Luma, uint8, 720 x 1280; 15 ms a frame.
`sweep.py` makes one of them worse at a time.

How hard they are, measured by `python -m tests.scenes --seed 1 --count 600` (2026-11-22; 600 stills
and 150 visits of 12 frames each; "read" is the very text; QR only; zxing-cpp 3.1, zbar 0.23,
OpenCV 5.0); in brackets what other door scenes were read at, towards which the spread was chosen:

| | zxing-cpp | at twice the size | pyzbar | OpenCV | visits, zxing-cpp | visits, pyzbar |
|---|---|---|---|---|---|---|
| version 8 (200 characters) | 57 % (53) | 66 % (65) | 28 % (26) | 12 % (19) | 68 % (68) | 39 % |
| version 12 (390 characters) | 39 % (38) | 51 % (53) | 19 % (23) | 4 % (7) | 51 % (87) | 19 % |

A visit is read when any of its frames is; there are no brackets where those visits were seen by a
slower processor. A finer code is read in fewer visits here, and was in more of them there: one
spread cannot give both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2

from tests.scenes.camera import noisy, put
from tests.scenes.clutter import clutter, cluttered
from tests.scenes.hall import Luma, hall, person
from tests.scenes.look import HEIGHT, WIDTH, Look, Rng, draw
from tests.scenes.visit import looks

__all__ = [
    "HEIGHT", "WIDTH", "Look", "Luma", "clutter", "cluttered", "draw", "empty", "hall", "passing",
    "poster", "resting", "still", "two", "visit",
]  # fmt: skip


def empty(rng: Rng, behind: Luma | None = None) -> Luma:
    """A frame in which nobody holds anything up."""
    return noisy(hall(rng) if behind is None else behind, int(rng.integers(2, 11)), rng)


def still(text: str, rng: Rng, look: Look | None = None, behind: Luma | None = None) -> Luma:
    """One frame, uint8, 720x1280, of `text` held before `behind` (a hall unless given)."""
    look = draw(rng) if look is None else look
    frame = (hall(rng) if behind is None else behind).copy()
    put(frame, text, look)
    if look.light < 1:
        frame = cv2.convertScaleAbs(frame, alpha=look.light)
    return noisy(frame, look.noise, rng)


def visit(text: str, rng: Rng, frames: int = 12, behind: Luma | None = None) -> Iterator[Luma]:
    """The frames of one person: a hand that comes in, holds with a shake, and leaves."""
    behind = hall(rng) if behind is None else behind
    for look in looks(rng, frames):
        yield still(text, rng, look, behind)


def passing(rng: Rng, frames: int, behind: Luma | None = None) -> Iterator[Luma]:
    """Somebody walks through the picture and shows nothing."""
    behind = hall(rng) if behind is None else behind
    tall, top = rng.uniform(250, 600), rng.uniform(HEIGHT * 0.2, HEIGHT * 0.4)
    cloth, skin = rng.uniform(20, 150), rng.uniform(90, 180)
    noise, start, step = int(rng.integers(2, 11)), rng.uniform(0, WIDTH / 2), rng.uniform(15, 45)
    for i in range(frames):
        frame = behind.copy()
        person(frame, start + i * step, top + 4 * (i % 3), tall, cloth, skin)
        yield noisy(frame, noise, rng)


def resting(rng: Rng, frames: int, text: str | None = None) -> Iterator[Luma]:
    """Nothing moves and nobody acts: one scene, with other noise of the sensor in each frame."""
    scene, look = hall(rng).copy(), draw(rng)
    if text is not None:
        put(scene, text, look)
    for _ in range(frames):
        yield noisy(scene, look.noise, rng)


def poster(text: str, rng: Rng, behind: Luma | None = None) -> Luma:
    """A hall with `text` (a foreign URL, say) on a poster at its side; give it as `behind`."""
    walled = (hall(rng) if behind is None else behind).copy()
    left = rng.random() < 0.5
    look = Look(
        device="poster",
        x=float(rng.uniform(110, 170) if left else WIDTH - rng.uniform(110, 170)),
        y=float(rng.uniform(200, 330)),
        side=float(rng.uniform(135, 175)),
        roll=float(rng.normal(0, 1)),
        yaw=float(rng.uniform(5, 25)) * (-1 if left else 1),
        pitch=0.0,
        white=int(rng.integers(170, 220)),
        black=int(rng.integers(30, 60)),
        defocus=float(rng.uniform(0.6, 0.9)),
        motion=0.0,
        motion_angle=0.0,
        glare=0.0,
        glare_at=(0.0, 0.0),
        noise=3,
    )
    put(walled, text, look)
    return walled


def two(texts: Sequence[str], rng: Rng, behind: Luma | None = None) -> Luma:
    """One frame with two codes beside each other, of two people or of two devices."""
    frame = (hall(rng) if behind is None else behind).copy()
    first, second = (draw(rng) for _ in range(2))
    for text, look, x in zip(texts, (first, second), (WIDTH * 0.27, WIDTH * 0.73), strict=True):
        beside = replace(look, x=x + float(rng.normal(0, 20)), side=min(look.side, 300))
        put(frame, text, beside)
    return noisy(frame, first.noise, rng)
