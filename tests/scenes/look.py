"""How a held code looks in one frame: the numbers, and the spread they are drawn from."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

WIDTH, HEIGHT = 1280, 720

Rng = np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One device in front of the camera. Lengths in pixels of the frame, angles in degrees."""

    device: Literal["phone", "paper", "poster"]
    x: float  # centre of the symbol
    y: float
    side: float  # of the symbol with its quiet zone, seen straight
    roll: float
    yaw: float
    pitch: float
    white: int  # luma of a light module, 0 to 255
    black: int  # luma of a dark module
    defocus: float  # sigma of the lens's blur
    motion: float  # length of the smear while the shutter was open
    motion_angle: float
    glare: float  # luma added at the middle of a reflection
    glare_at: tuple[float, float]  # from the symbol's centre, in sides
    noise: int  # sigma of the sensor's noise
    inverted: bool = False  # dark mode: everything on the screen, light modules on dark
    moire: float = 0.0  # how deep the screen's own pixel grid beats with the sensor's; 0 to 1
    grid: float = 0.97  # pixels of the frame that one pixel of the screen takes
    cracks: int = 0  # rays from where the screen was hit
    cracked_at: int = 0  # names the crack: the same rays in each frame of a visit
    light: float = 1.0  # what the lens gets of it; the sensor's noise stays


def draw(rng: Rng) -> Look:
    """One look from the calibrated spread: see the package's docstring for what it reads at.

    Size is log-normal and wide, so a finer symbol loses some readings and not all, and a picture
    made larger gains some. Half of the phones show everything light on dark, and a third of them
    have a screen whose pixels beat with the sensor's: both divide the decoders.
    """
    phone = rng.random() < 0.75
    contrast = rng.beta(2.2, 1.3)
    black = rng.uniform(12, 60) if phone else rng.uniform(30, 80)
    white = black + 25 + contrast * (185 if phone else 125)
    bright = rng.random() < 0.25
    return Look(
        device="phone" if phone else "paper",
        x=rng.normal(WIDTH / 2, 150),
        y=rng.normal(HEIGHT / 2 - 20, 75),
        side=_spread(rng, 182, 0.42, 80, 620),
        roll=rng.normal(0, 12),
        yaw=rng.normal(0, 18),
        pitch=rng.normal(8, 15),
        white=int(min(white, 250)),
        black=int(black),
        defocus=_spread(rng, 0.75, 0.28, 0.4, 7),
        motion=_spread(rng, 1.0, 1.0, 0, 40),
        motion_angle=rng.uniform(0, 180),
        glare=rng.uniform(80, 400) if bright else 0.0,
        glare_at=(rng.uniform(-0.6, 0.6), rng.uniform(-0.6, 0.6)),
        noise=int(_spread(rng, 4, 0.5, 2, 20)),
        inverted=bool(phone and rng.random() < 0.5),
        moire=rng.uniform(0, 0.5) if phone and rng.random() < 0.35 else 0.0,
        grid=rng.uniform(0.9, 0.98),
    )


def _spread(rng: Rng, middle: float, width: float, least: float, most: float) -> float:
    return float(np.clip(rng.lognormal(np.log(middle), width), least, most))
