"""The camera's part: where a flat thing lands in the frame, what blurs it, and the noise."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from tests.scenes.hall import Luma
from tests.scenes.held import Flat, flat
from tests.scenes.look import HEIGHT, WIDTH, Look, Rng

DISTANCE = 4.0  # from the eye to the symbol, in sides: how strong the perspective is


def put(frame: Luma, text: str, look: Look) -> None:
    """Hold `text` into `frame`, in place. Only what the device and the hand cover is touched."""
    thing = flat(text, look)
    to_frame = _homography(thing, look)
    outline = _outline(thing, to_frame)
    held = look.device != "poster"
    reach = int(2 * look.defocus + look.motion / 2) + 2  # of the blur
    margin = reach + (int(look.side * 0.25) if held else 0)
    x0, y0 = np.maximum(outline.min(0).astype(int) - margin, 0)
    x1, y1 = np.minimum(outline.max(0).astype(int) + margin, (WIDTH, HEIGHT))
    if x0 >= x1 or y0 >= y1:
        return
    seen = frame[y0:y1, x0:x1]
    region = np.ascontiguousarray(seen)
    outline -= (x0, y0)
    touched = np.zeros_like(region)
    cv2.fillConvexPoly(touched, outline.round().astype(np.int32), 255)
    if held:
        _hand(region, outline, look)
        _hand(touched, outline, look)
    luma = _glare(thing, look) if look.glare else thing.luma
    _warp(region, luma, np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ to_frame)
    if held:
        _thumb(region, outline, look)
    blurred = _blur(region, look)
    if look.moire:
        to_region = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1]]) @ to_frame
        blurred = _beaten(blurred, outline, to_region, look.side / thing.side, look)
    near = cv2.dilate(touched, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    cv2.copyTo(blurred, near, seen)


def noisy(frame: Luma, sigma: int, rng: Rng) -> Luma:
    """`frame` as the sensor gives it: a pre-made tile of noise, somewhere else every time."""
    tile = _noise(sigma)
    y = int(rng.integers(tile.shape[0] - HEIGHT))
    x = int(rng.integers(tile.shape[1] - WIDTH))
    return cv2.add(frame, tile[y : y + HEIGHT, x : x + WIDTH], dtype=cv2.CV_8U)


@lru_cache(maxsize=16)
def _noise(sigma: int) -> npt.NDArray[np.int8]:
    rng = np.random.default_rng((715, sigma))
    return np.clip(rng.normal(0, sigma, (HEIGHT + 211, WIDTH + 307)), -127, 127).astype(np.int8)


def _homography(thing: Flat, look: Look) -> npt.NDArray[np.float64]:
    """From the device's picture to the frame: turned about the symbol's centre, seen from afar."""
    yaw, pitch, roll = np.radians((look.yaw, look.pitch, look.roll))
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    turn = (
        np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    )
    eye = DISTANCE * thing.side
    plane = np.column_stack((turn[:, 0], turn[:, 1], (0, 0, eye)))
    scale = look.side / thing.side
    project = np.array([[scale * eye, 0, look.x], [0, scale * eye, look.y], [0, 0, 1]])
    centre = np.array([[1, 0, -thing.centre[0]], [0, 1, -thing.centre[1]], [0, 0, 1]])
    return project @ plane @ centre


def _outline(thing: Flat, to_frame: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    high, wide = thing.luma.shape
    corners = np.array([[[0, 0], [wide, 0], [wide, high], [0, high]]], np.float64)
    return cv2.perspectiveTransform(corners, to_frame)[0]


def _warp(region: Luma, luma: Luma, to_region: npt.NDArray[np.float64]) -> None:
    """Linear at twice the region's size, then halved: every pixel sees the area it covers."""
    high, wide = region.shape
    twice = cv2.resize(region, (2 * wide, 2 * high), interpolation=cv2.INTER_NEAREST)
    cv2.warpPerspective(
        luma,
        np.diag((2.0, 2.0, 1.0)) @ to_region,
        (2 * wide, 2 * high),
        dst=twice,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    cv2.resize(twice, (wide, high), dst=region, interpolation=cv2.INTER_AREA)


def _hand(region: Luma, outline: npt.NDArray[np.float64], look: Look) -> None:
    """The back of a hand behind the lower half of the device, fingers showing at its sides."""
    low = outline[2:].mean(0) * 0.7 + outline[:2].mean(0) * 0.3
    across = (outline[2] - outline[3]) / 2
    shade = look.white * 0.42 + 25
    axes = (int(np.hypot(*across) * 0.95), int(look.side * 0.55))
    cv2.ellipse(region, _at(low), axes, look.roll, 0, 360, shade, -1, cv2.LINE_AA)
    thick = max(2, int(look.side * 0.13))
    for finger in range(4):
        up = (outline[1] - outline[2]) * (0.13 * finger - 0.12)
        tip = low + across * (1.09 - 0.03 * finger) + up
        darker = shade * (1 - 0.06 * finger)
        cv2.line(region, _at(low + up), _at(tip), darker, thick, cv2.LINE_AA)


def _thumb(region: Luma, outline: npt.NDArray[np.float64], look: Look) -> None:
    """A thumb over the lower edge, off the symbol."""
    tip = outline[3] * 0.88 + outline[1] * 0.12
    axes = (int(look.side * 0.19), int(look.side * 0.075))
    cv2.ellipse(
        region, _at(tip), axes, look.roll - 35, 0, 360, look.white * 0.5 + 30, -1, cv2.LINE_AA
    )


def _glare(thing: Flat, look: Look) -> Luma:
    """A lamp mirrored in the screen: a soft spot of light added to the device's picture."""
    luma = thing.luma.copy()
    spot = cv2.resize(_spot(), (int(thing.side * 0.9), int(thing.side * 0.6)))
    added = cv2.convertScaleAbs(spot, alpha=look.glare)
    x = int(thing.centre[0] + look.glare_at[0] * thing.side - added.shape[1] / 2)
    y = int(thing.centre[1] + look.glare_at[1] * thing.side - added.shape[0] / 2)
    inside = luma[max(y, 0) : y + added.shape[0], max(x, 0) : x + added.shape[1]]
    added = added[max(-y, 0) :, max(-x, 0) :][: inside.shape[0], : inside.shape[1]]
    cv2.add(inside, added, dst=inside)
    return luma


@lru_cache(maxsize=1)
def _spot() -> npt.NDArray[np.float32]:
    line = np.exp(-(np.linspace(-2.6, 2.6, 128) ** 2))
    return np.outer(line, line).astype(np.float32)


def _beaten(
    region: Luma,
    outline: npt.NDArray[np.float64],
    to_region: npt.NDArray[np.float64],
    scale: float,
    look: Look,
) -> Luma:
    """Moire: the screen's rows and columns of pixels, seen once in each pixel of the sensor.

    Both grids have nearly the same pitch, so their difference shows as wide stripes, bent by the
    tilt. Light only: what is black on the screen stays so.
    """
    high, wide = region.shape
    y, x = np.mgrid[0:high, 0:wide].astype(np.float64)
    back = np.linalg.inv(to_region)
    depth = back[2, 0] * x + back[2, 1] * y + back[2, 2]
    turns = 2 * np.pi * scale / look.grid  # a pixel of the picture, in turns of the grid
    column = np.cos((back[0, 0] * x + back[0, 1] * y + back[0, 2]) / depth * turns)
    row = np.cos((back[1, 0] * x + back[1, 1] * y + back[1, 2]) / depth * turns)
    lit = 1 - look.moire * (1 - (1 + column) * (1 + row) / 4)
    screen = np.zeros_like(region)
    cv2.fillConvexPoly(screen, outline.round().astype(np.int32), 255)
    return np.where(screen > 0, region * lit, region).astype(np.uint8)


def _blur(region: Luma, look: Look) -> Luma:
    if look.motion >= 1:
        region = cv2.filter2D(region, -1, _smear(look.motion, look.motion_angle))
    return cv2.GaussianBlur(region, (0, 0), look.defocus)


def _smear(length: float, angle: float) -> npt.NDArray[np.float32]:
    """A line of `length` pixels through the middle, its weights summing to one."""
    size = int(length) | 1
    size += 2
    kernel = np.zeros((size, size), np.float32)
    middle, shift = size / 2 - 0.5, length / 2
    dx, dy = np.cos(np.radians(angle)) * shift, np.sin(np.radians(angle)) * shift
    ends = (tuple(round((middle + s * d) * 16) for d in (dx, dy)) for s in (-1, 1))
    cv2.line(kernel, *ends, 1.0, 1, cv2.LINE_AA, 4)
    return kernel / kernel.sum()


def _at(point: npt.NDArray[np.float64]) -> tuple[int, int]:
    x, y = point.round().astype(int)
    return int(x), int(y)
