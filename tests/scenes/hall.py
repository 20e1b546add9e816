"""What is behind: halls as a door camera sees them, out of focus, with people in them.

A hall is a luma picture without noise. A few are made once and kept; making one takes 20 ms.
"""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from tests.scenes.look import HEIGHT, WIDTH, Rng

Luma = npt.NDArray[np.uint8]

HALLS = 16


def hall(rng: Rng) -> Luma:
    """One of the halls, not to be written to."""
    return _hall(int(rng.integers(HALLS)))


@lru_cache(maxsize=HALLS)
def _hall(number: int) -> Luma:
    rng = np.random.default_rng((2026, number))
    picture = _room(rng)
    for _ in range(rng.integers(0, 4)):
        _person(picture, rng)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(1.6, 3.5))
    picture = np.clip(picture * _vignette() * rng.uniform(0.5, 1.1), 0, 255).astype(np.uint8)
    picture.flags.writeable = False
    return picture


def _room(rng: Rng) -> npt.NDArray[np.float32]:
    """Back wall, ceiling, floor and side walls in one-point perspective, with what hangs there."""
    centre = np.array([rng.uniform(420, 860), rng.uniform(250, 400)])
    half = np.array([rng.uniform(130, 330), rng.uniform(90, 190)])
    near = [np.array(p) for p in ((0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT))]
    far = [centre + half * s for s in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    picture = np.full((HEIGHT, WIDTH), rng.uniform(120, 190), np.float32)
    for i, shade in enumerate(rng.uniform((150, 90, 50, 90), (215, 170, 120, 170))):
        j = (i + 1) % 4
        _fill(picture, (near[i], near[j], far[j], far[i]), shade)
    for i in (1, 3):  # doors and frames along both side walls
        top, bottom = (i, (i + 1) % 4) if i == 1 else (0, 3)
        at = rng.uniform(0.05, 0.2)
        while at < 0.85:
            wide = rng.uniform(0.08, 0.18)
            corners = [_on(near[k], far[k], t) for k, t in _door(top, bottom, at, at + wide)]
            corners[0][1] += 0.25 * (corners[3][1] - corners[0][1])
            corners[1][1] += 0.25 * (corners[2][1] - corners[1][1])
            _fill(picture, corners, rng.uniform(40, 200))
            cv2.polylines(picture, [_points(corners)], True, rng.uniform(30, 120), 3, cv2.LINE_AA)
            at += wide + rng.uniform(0.08, 0.3)
    for t in np.arange(rng.uniform(0.05, 0.2), 0.95, rng.uniform(0.15, 0.3)):  # ceiling lamps
        left, right = _on(near[0], far[0], t), _on(near[1], far[1], t)
        ends = (_on(left, right, 0.4), _on(left, right, 0.6))
        cv2.line(picture, *(tuple(map(int, e)) for e in ends), 250.0, int(22 * (1 - t)) + 2)
    for t in np.arange(0.08, 1, 0.13):  # joints of the floor
        ends = (_on(near[3], far[3], t), _on(near[2], far[2], t))
        cv2.line(picture, *(tuple(map(int, e)) for e in ends), rng.uniform(50, 90), 2)
    for _ in range(rng.integers(0, 4)):  # notices on the back wall
        at, size = centre + half * rng.uniform(-0.8, 0.5, 2), half * rng.uniform(0.15, 0.35)
        _fill(
            picture, (at, at + size * (1, 0), at + size, at + size * (0, 1)), rng.uniform(90, 240)
        )
    fall = np.linspace(rng.uniform(0.7, 1.1), rng.uniform(0.7, 1.1), WIDTH, dtype=np.float32)
    return picture * fall


def _person(picture: npt.NDArray[np.float32], rng: Rng) -> None:
    """Somebody in the queue."""
    tall, x = rng.uniform(120, 520), rng.uniform(60, WIDTH - 60)
    top = rng.uniform(HEIGHT * 0.25, HEIGHT * 0.5)
    person(picture, x, top, tall, rng.uniform(20, 150), rng.uniform(90, 180))


def person(
    picture: npt.NDArray[np.float32] | Luma,
    x: float,
    top: float,
    tall: float,
    cloth: float,
    skin: float,
) -> None:
    """Head and shoulders, as one stands in the queue or at the door; drawn in place."""
    head = (int(tall * 0.11), int(tall * 0.14))
    shoulders = (int(x), int(top + tall * 0.62))
    cv2.ellipse(picture, shoulders, (int(tall * 0.27), int(tall * 0.4)), 0, 180, 360, cloth, -1)
    left, right = (int(x + s * tall * 0.27) for s in (-1, 1))
    cv2.rectangle(picture, (left, shoulders[1]), (right, HEIGHT), cloth, -1)
    cv2.ellipse(picture, (int(x), int(top + tall * 0.14)), head, 0, 0, 360, skin, -1)
    cv2.ellipse(picture, (int(x), int(top + tall * 0.08)), head, 0, 180, 360, cloth * 0.5, -1)


@lru_cache(maxsize=1)
def _vignette() -> npt.NDArray[np.float32]:
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    return (1 - 0.28 * (x * x + y * y) / 2).astype(np.float32)


def _door(top: int, bottom: int, a: float, b: float) -> tuple[tuple[int, float], ...]:
    return ((top, a), (top, b), (bottom, b), (bottom, a))


def _on(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], t: float
) -> npt.NDArray[np.float64]:
    return a + (b - a) * t


def _points(corners: object) -> npt.NDArray[np.int32]:
    return np.asarray(corners, np.float64).round().astype(np.int32)


def _fill(picture: npt.NDArray[np.float32], corners: object, shade: float) -> None:
    cv2.fillConvexPoly(picture, _points(corners), float(shade), cv2.LINE_AA)
