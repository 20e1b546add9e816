"""What is held up: a phone or a piece of paper that shows a symbol, flat and sharp.

Drawn at twice the size that the frame needs, so that one linear warp into it does not alias.
"""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import segno

from tests.scenes.look import Look

QUIET = 4  # modules, ISO/IEC 18004


class Flat(NamedTuple):
    """A picture of the device and where in it the symbol with its quiet zone sits."""

    luma: npt.NDArray[np.uint8]
    centre: tuple[float, float]
    side: float


def flat(text: str, look: Look) -> Flat:
    """Draw the device of `look` with `text` on it."""
    dark = symbol(text)
    module = max(2, int(np.ceil(2 * look.side / len(dark))))
    drawn = _phone if look.device == "phone" else _paper
    thing = drawn(text, module, look.white, look.black)
    if look.inverted:
        thing = thing._replace(luma=_inverted(thing.luma, look))
    if look.cracks:
        thing = thing._replace(luma=_cracked(thing, module, look))
    return thing


@lru_cache(maxsize=64)
def symbol(text: str) -> npt.NDArray[np.bool_]:
    """The modules of `text` at EC level M with the quiet zone; True is dark."""
    made = segno.make_qr(text, error="m", boost_error=False)
    return np.array([list(row) for row in made.matrix_iter(border=QUIET)], bool)


@lru_cache(maxsize=8)
def _phone(text: str, module: int, white: int, black: int) -> Flat:
    """A black slab, on its screen a title, the symbol on white, and a few lines below."""
    side = module * len(symbol(text))
    wide, high = int(side * 1.16), int(side * 2.3)
    grey = int(black + (white - black) * 0.9)
    luma = np.full((high, wide), max(black - 8, 4), np.uint8)
    edge = int(side * 0.03)
    luma[edge * 2 : -edge * 2, edge:-edge] = grey
    top, left = int(high * 0.26), (wide - side) // 2
    band = int(black + (white - black) * 0.45)
    luma[edge * 2 : top - edge * 2, edge:-edge] = band
    _lines(luma, (int(side * 0.2), int(high * 0.1)), side * 0.6, 2, side * 0.045, white)
    _symbol(luma, text, module, (top, left), white, black)
    below = (int(side * 0.16), top + side + edge * 3)
    _lines(luma, below, side * 0.8, 5, side * 0.035, int(grey * 0.5 + black * 0.5))
    return Flat(luma, (left + side / 2, top + side / 2), side)


@lru_cache(maxsize=8)
def _paper(text: str, module: int, white: int, black: int) -> Flat:
    """A sheet with a heading, the symbol and print around it."""
    side = module * len(symbol(text))
    wide, high = int(side * 1.5), int(side * 2.0)
    luma = np.full((high, wide), white, np.uint8)
    top, left = int(high * 0.3), (wide - side) // 2
    ink = int(black + (white - black) * 0.15)
    _lines(luma, (int(side * 0.2), int(high * 0.08)), side * 1.1, 3, side * 0.05, ink)
    _symbol(luma, text, module, (top, left), white, black)
    _lines(luma, (int(side * 0.2), top + side + module * 3), side * 1.1, 4, side * 0.035, ink)
    return Flat(luma, (left + side / 2, top + side / 2), side)


def _symbol(
    luma: npt.NDArray[np.uint8], text: str, module: int, at: tuple[int, int], white: int, black: int
) -> None:
    dark = symbol(text)
    small = np.where(dark, black, white).astype(np.uint8)
    side = module * len(dark)
    big = cv2.resize(small, (side, side), interpolation=cv2.INTER_NEAREST)
    luma[at[0] : at[0] + side, at[1] : at[1] + side] = big


def _inverted(luma: npt.NDArray[np.uint8], look: Look) -> npt.NDArray[np.uint8]:
    """Dark mode: light is dark on the screen, and the phone's rim stays as it was."""
    swapped = np.clip(look.white + look.black - luma.astype(np.int16), 4, 250).astype(np.uint8)
    rim = max(2, int(luma.shape[1] * 0.026))
    swapped[:, :rim] = swapped[:, -rim:] = luma[:, :1]
    swapped[: rim * 2] = swapped[-rim * 2 :] = luma[:1]
    return swapped


def _cracked(thing: Flat, module: int, look: Look) -> npt.NDArray[np.uint8]:
    """Broken glass: bent rays from one blow near the symbol, a dark and a glinting edge each.

    Rings join the rays near the blow, where splinters are missing.
    """
    rng = np.random.default_rng((41, look.cracked_at))
    luma = thing.luma.copy()
    hit = np.array(thing.centre) + thing.side * rng.uniform(-0.35, 0.35, 2)
    angles = np.linspace(0, 2 * np.pi, look.cracks, endpoint=False) + rng.normal(
        0, 0.25, look.cracks
    )
    glint, shade = min(look.white + 30, 255), max(look.black - 15, 2)
    rays = []
    for angle in angles:
        at, ray = hit, [hit]
        for _ in range(7):
            angle += rng.normal(0, 0.16)
            at = at + thing.side * rng.uniform(0.07, 0.2) * np.array([np.cos(angle), np.sin(angle)])
            ray.append(at)
        rays.append(ray)
        wide = max(1, round(module * rng.uniform(0.08, 0.35)))
        points = np.array(ray).round().astype(np.int32)
        cv2.polylines(luma, [points + wide], False, glint, wide, cv2.LINE_AA)
        cv2.polylines(luma, [points], False, shade, wide, cv2.LINE_AA)
    for ring in (1, 2):
        points = np.array([ray[ring] for ray in rays]).round().astype(np.int32)
        cv2.polylines(luma, [points], True, shade, max(1, module // 5), cv2.LINE_AA)
    splinter = np.array([hit, rays[0][1], rays[-1][1]]).round().astype(np.int32)
    cv2.fillConvexPoly(luma, splinter, glint, cv2.LINE_AA)
    return luma


def _lines(
    luma: npt.NDArray[np.uint8],
    at: tuple[int, int],
    wide: float,
    count: int,
    size: float,
    shade: int,
) -> None:
    """Words too small to read: bars of uneven length."""
    rng = np.random.default_rng(count)
    x, y = at
    for _ in range(count):
        start, end = float(x), x + wide * rng.uniform(0.6, 1)
        while start < end:
            word = size * rng.uniform(1, 4)
            luma[y : y + max(2, int(size * 0.6)), int(start) : int(min(start + word, end))] = shade
            start += word + size * 0.5
        y += int(size * 1.5)
