"""One hardship at a time: an easy look made worse step by step, everything else held.

For curves: where each decoder gives up. The easy look is a phone straight in front of the camera
at five pixels a module (moderate focus, a little noise); each picture moves and turns it a little.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.scenes.held import symbol
from tests.scenes.look import HEIGHT, WIDTH, Look, Rng

MODULE = 5.0  # pixels of the frame


@dataclass(frozen=True, slots=True)
class Hardship:
    """What is made worse, in which unit, at which levels, and what a level does to a look."""

    name: str
    unit: str
    levels: tuple[float, ...]  # from easy to hard
    worsen: Callable[[Look, float], Look]


def easy(text: str, rng: Rng) -> Look:
    """A look that every decoder here reads."""
    return Look(
        device="phone",
        x=rng.normal(WIDTH / 2, 60),
        y=rng.normal(HEIGHT / 2, 25),
        side=MODULE * len(symbol(text)) * rng.uniform(0.95, 1.05),
        roll=rng.normal(0, 5),
        yaw=rng.normal(0, 5),
        pitch=rng.normal(0, 5),
        white=int(rng.integers(195, 225)),
        black=int(rng.integers(20, 45)),
        defocus=rng.uniform(0.7, 0.9),
        motion=0.0,
        motion_angle=rng.uniform(0, 180),
        glare=0.0,
        glare_at=(rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4)),
        noise=4,
        grid=rng.uniform(0.9, 0.98),
        cracked_at=int(rng.integers(1 << 16)),
    )


def _contrast(look: Look, steps: float) -> Look:
    middle = (look.white + look.black) / 2
    return replace(look, white=int(middle + steps / 2), black=int(middle - steps / 2))


HARDSHIPS = (
    Hardship(
        "module size",
        "pixels",
        (5, 4, 3, 2.5, 2.25, 2, 1.75, 1.5, 1.25),
        lambda look, level: replace(look, side=look.side * level / MODULE),
    ),
    Hardship(
        "tilt",
        "degrees",
        (0, 20, 30, 40, 50, 55, 60, 65, 70),
        lambda look, level: replace(look, yaw=look.yaw + level),
    ),
    Hardship(
        "defocus",
        "modules, sigma",
        (0.2, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7),
        lambda look, level: replace(look, defocus=level * MODULE),
    ),
    Hardship(
        "motion blur",
        "modules",
        (0, 0.5, 1, 1.25, 1.5, 1.75, 2, 2.5, 3),
        lambda look, level: replace(look, motion=level * MODULE),
    ),
    Hardship(
        "noise",
        "luma, sigma",
        (4, 10, 16, 22, 30, 40, 55, 75, 100),
        lambda look, level: replace(look, noise=int(level)),
    ),
    Hardship(
        "contrast",
        "luma, light less dark",
        (160, 80, 50, 35, 25, 18, 13, 9, 6),
        _contrast,
    ),
    Hardship(
        "dim light",
        "share of the light",
        (1, 0.4, 0.25, 0.2, 0.15, 0.12, 0.1, 0.07, 0.05),
        lambda look, level: replace(look, device="paper", light=level),
    ),
    Hardship(
        "glare",
        "luma added",
        (0, 60, 100, 150, 200, 300, 400, 600, 900),
        lambda look, level: replace(look, glare=level),
    ),
    Hardship(
        "moire",
        "depth of the stripes",
        (0, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85),
        lambda look, level: replace(look, moire=level),
    ),
    Hardship(
        "cracked screen",
        "cracks",
        (0, 3, 4, 5, 6, 8, 10, 14, 20),
        lambda look, level: replace(look, cracks=int(level)),
    ),
    Hardship(
        "dark mode, module size",
        "pixels",
        (5, 4, 3, 2.5, 2.25, 2, 1.75, 1.5, 1.25),
        lambda look, level: replace(look, inverted=True, side=look.side * level / MODULE),
    ),
)
