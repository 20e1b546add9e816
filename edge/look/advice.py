"""What the installer should do next, from the figures.

The bounds are where zxing-cpp alone, which reads less than the unit's whole decoder, still reads
nearly every one of the rendered door scenes (`tests/scenes`, versions 8 and 12, other hardships
mild); `tests/edge/look/test_advice.py` tries them again.
"""

from dataclasses import dataclass, replace
from typing import Literal

from edge.look.figures import Figures, Region

MODULE_PX_WELL = 4.0
"""A module of so many pixels is read through noise of sigma 20, tilted by 45 degrees, and pale."""

MODULE_PX_LEAST = 3.0
"""Read while nothing else is wrong; at 2 pixels a little noise ends it."""

BLUR_MODULES = 0.4
"""Edges of 0.4 modules: 4 pixels a module bear 1.2 pixels, 5 bear 2; half a module, nothing."""

EDGE_PX_MOST = 2.5
"""Where no module is known: more than this blurs a code of any size that a door sees."""

TILT_DEGREES = 45.0
CONTRAST = 60.0  # at 40 every twentieth is lost, at 30 with noise half of them

DARK_MEAN, DIM_MEAN = 15.0, 45.0  # luma
CLIPPED_MOST = 0.6
"""Of what is measured: a symbol is half light, so more than its light modules is white."""

LESS_SHARP = 0.85
"""Of the best of the last minute; less is a turn of the ring, not the noise of the measure."""

Level = Literal["good", "hint", "bad"]


@dataclass(frozen=True, slots=True)
class Advice:
    """One sentence: `edge/words.toml` has it in each language, with places for `values`."""

    key: str
    level: Level
    values: tuple[tuple[str, int | str], ...] = ()


_UNFOCUSED = Advice("unfocused", "bad")


def advise(figures: Figures, best: int | None) -> tuple[Advice, ...]:
    """The most urgent first, never empty; `best` is the best sharpness of the last minute."""
    focus = _focus(figures, best)
    blurred = any(advice.level == "bad" for advice in focus)  # which takes contrast too
    keys = list(dict.fromkeys([*_trouble(figures), *_light(figures, blurred), *focus]))
    first = figures.first
    if first is None:
        wrong = [advice for advice in keys if advice.level == "bad"]
        return tuple(wrong or keys or [Advice("nothing", "hint")])
    keys += _code(first)
    bad = any(advice.level == "bad" for advice in keys)
    if first.kind == "door" and not bad:
        just = first.module_px is not None and first.module_px < MODULE_PX_WELL
        keys.insert(0, Advice("ready-just" if just else "ready", "good"))
    elif first.kind == "unread" and not bad:
        keys.append(Advice("unread", "hint"))
    elif first.kind == "other":
        keys.append(Advice("other", "hint"))
    return tuple(keys)


def _trouble(figures: Figures) -> list[Advice]:
    """What the eyes have noticed over minutes, where this frame does not show the contrary."""
    trouble, edge = figures.trouble, figures.edge_px
    if trouble is None or any(region.kind != "unread" for region in figures.regions):
        return []
    if trouble == "dark" and figures.frame_mean >= DIM_MEAN:
        return []
    if trouble == "unfocused" and edge is not None and edge <= EDGE_PX_MOST:
        return []
    return [Advice(trouble, "bad")]


def _light(figures: Figures, blurred: bool) -> list[Advice]:
    first, mean = figures.first, figures.light.mean
    contrast = None if first is None or blurred else first.contrast
    if figures.light.clipped > CLIPPED_MOST:
        return [Advice("bright", "bad")]
    if mean < DARK_MEAN:
        return [Advice("dark", "bad")]
    if contrast is not None and contrast < CONTRAST:
        return [Advice("dim" if mean < DIM_MEAN else "pale", "bad")]
    if figures.dim or (first is None and mean < DIM_MEAN):
        return [Advice("dim", "hint")]
    return []


def _focus(figures: Figures, best: int | None) -> list[Advice]:
    """Without a code the place itself may be out of focus, as it is behind a camera set for near
    things: then nothing is said but that it has been better.
    """
    edge, sharp, first = figures.edge_px, figures.sharpness, figures.first
    if edge is None or sharp is None:
        return []
    less = best is not None and sharp < LESS_SHARP * best
    back = Advice("sharper", "hint", (("best", best or 0),))
    if first is not None:
        module = first.module_px
        if edge > (EDGE_PX_MOST if module is None else BLUR_MODULES * module):
            return [replace(back, key="turn-back", level="bad") if less else _UNFOCUSED]
        return [back] if less else []
    return [replace(back, key="sharper-then")] if less else []


def _code(first: Region) -> list[Advice]:
    keys = []
    if first.tilt_degrees > TILT_DEGREES:
        keys.append(Advice("tilted", "bad", (("degrees", round(first.tilt_degrees)),)))
    if first.module_px is not None and first.module_px < MODULE_PX_WELL:
        values = ("px", f"{first.module_px:.1f}"), ("nearer", _percent(first.module_px))
        small = first.module_px < MODULE_PX_LEAST
        keys.append(Advice("closer" if small else "nearer", "bad" if small else "hint", values))
    return keys


def _percent(module_px: float) -> int:
    """The share of the distance from which a module would be large enough, in steps of five."""
    return max(5, int(module_px / MODULE_PX_WELL * 20) * 5)
