"""A hand that comes in, holds and leaves: one look that moves and sharpens from frame to frame."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tests.scenes.look import HEIGHT, WIDTH, Look, Rng, draw

COMES, LEAVES = 0.25, 0.17  # shares of a visit


def looks(rng: Rng, frames: int) -> Iterator[Look]:
    """Yield what each frame of one visit sees.

    Distance, light and angle belong to the person and stay; focus and shake change. While coming
    and leaving the device moves between its place and a point outside the lower or a side edge.
    """
    held = draw(rng)
    outside = [
        (rng.uniform(300, 980), HEIGHT + 1.1 * held.side),
        (-0.8 * held.side, rng.uniform(360, 800)),
        (WIDTH + 0.8 * held.side, rng.uniform(360, 800)),
    ][rng.choice(3, p=(0.6, 0.2, 0.2))]
    comes, leaves = max(1, round(frames * COMES)), max(1, round(frames * LEAVES))
    hunting = rng.uniform(0.2, 1.6)  # the lens looks for its focus once something comes near
    for i in range(frames):
        coming = max(0.0, 1 - (i + 0.6) / comes)
        leaving = max(0.0, (i + 0.6 - (frames - leaves)) / leaves)
        away = max(coming, leaving) ** 1.5
        calm = np.exp(-max(0, i - comes + 1) / 2.5)
        x, y = held.x + rng.normal(0, 5), held.y + rng.normal(0, 5)
        yield replace(
            held,
            x=x + (outside[0] - x) * away,
            y=y + (outside[1] - y) * away,
            side=held.side * (1 + rng.normal(0, 0.012) - 0.15 * away),
            roll=held.roll + rng.normal(0, 1.2) + 25 * away * np.sign(held.roll),
            yaw=held.yaw + rng.normal(0, 2),
            pitch=held.pitch + rng.normal(0, 2),
            defocus=held.defocus * rng.uniform(0.8, 1.25) + hunting * calm,
            motion=held.motion * rng.gamma(1.3, 1 / 1.3) + 30 * away,
            motion_angle=rng.uniform(0, 180),
            glare=held.glare * rng.uniform(0.7, 1.1),
            glare_at=(
                held.glare_at[0] + rng.normal(0, 0.04),
                held.glare_at[1] + rng.normal(0, 0.04),
            ),
        )
