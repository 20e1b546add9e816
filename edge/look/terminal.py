"""The view in a terminal: the picture in half-block characters, the figures beside it.

Greys are the 24 of the 256-colour palette: every terminal has them, and over ssh they are half as
many bytes as true colours.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from rich.cells import cell_len
from rich.color import Color
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edge.look.figures import Figures, Region
from edge.look.shrink import shrink
from edge.look.watch import LookView
from edge.look.words import say, sentence
from edge.sight.frame import Luma
from edge.words import Language

FIGURES_WIDTH = 46  # columns; the picture has the rest
BESIDE = FIGURES_WIDTH + 36  # columns from which on both fit beside each other
FIGURES_ROWS = 15  # what they need where the picture stands above them

_BLACK, _GREYS = 232, 24  # the palette's greys, dark to light
_COLOURS = {"door": 46, "other": 45, "unread": 214}  # of the palette: green, blue, orange
_MEASURED = 226  # yellow, dashed
_MARKS = {"good": ("●", "bold green"), "hint": ("▲", "yellow"), "bad": ("■", "bold red")}
_BAR = 20

_Palette = npt.NDArray[np.int_]  # rows x columns of colour numbers


def screen(
    view: LookView, foot: Text, language: Language, columns: int, rows: int
) -> RenderableType:
    """The whole screen, within `columns` x `rows` of characters."""
    beside = columns >= BESIDE
    group = Group(*_advice(view, language), Text(), *_figures(view, language), Text(), foot)
    if not beside:
        return Group(Picture(view, max(4, rows - FIGURES_ROWS)), group)
    both = Table.grid(padding=(0, 2, 0, 0))
    both.add_column(width=columns - FIGURES_WIDTH - 2)
    both.add_column(width=FIGURES_WIDTH)
    both.add_row(Picture(view, rows - 1), group)
    return both


def line(view: LookView, language: Language) -> str:
    """The same in one line, for what is no terminal."""
    figures = view.figures
    parts = [
        f"{say(language, 'sharpness')} {'-' if figures.sharpness is None else figures.sharpness}",
        f"{say(language, 'light')} {figures.frame_mean:.0f}",
        *(_described(region, language) for region in figures.regions),
        *(sentence(advice, language) for advice in view.advice),
    ]
    return " · ".join(parts)


class Picture:
    """The frame as large as there is room, two pixels to a character, the regions drawn in."""

    def __init__(self, view: LookView, rows: int) -> None:
        self._view = view
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        luma = self._view.luma
        columns, rows = _fit(luma, options.max_width, self._rows)
        greys = shrink(luma, 2 * rows, columns)
        palette = _BLACK + (greys * (_GREYS / 256)).astype(np.int_)
        numbers = _draw(palette, self._view.figures)
        for row in range(rows):
            for column, (upper, lower) in enumerate(palette[2 * row : 2 * row + 2].T.tolist()):
                number = numbers.get((row, column))
                yield Segment(number or "▀", _style(upper, lower, number is not None))
            yield Segment.line()


def _fit(luma: Luma, columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows of characters for `luma`: half a character is a square."""
    height, width = luma.shape
    scale = min(columns / width, 2 * rows / height)
    return max(1, int(width * scale)), max(1, int(height * scale / 2))


@lru_cache(maxsize=4096)
def _style(upper: int, lower: int, number: bool) -> Style:
    if number:
        return Style(color=Color.from_ansi(16), bgcolor=Color.from_ansi(upper), bold=True)
    return Style(color=Color.from_ansi(upper), bgcolor=Color.from_ansi(lower))


def _draw(palette: _Palette, figures: Figures) -> dict[tuple[int, int], str]:
    """Draw the regions into `palette`; return their numbers by (row, column) of characters."""
    width, height = figures.size
    scale = np.array([palette.shape[1] / width, palette.shape[0] / height])
    left, top, right, bottom = figures.measured
    frame = np.array([(left, top), (right, top), (right, bottom), (left, bottom)])
    if not figures.regions:
        _outline(palette, frame * scale, _MEASURED, dashed=True)
    numbers = {}
    for number, region in reversed(list(enumerate(figures.regions[:9], 1))):
        corners = np.array(region.corners) * scale
        _outline(palette, corners, _COLOURS[region.kind])
        column, row = corners[corners.sum(1).argmin()].astype(int)
        row, column = max(0, min(row // 2, palette.shape[0] // 2 - 1)), max(0, column)
        column = min(column, palette.shape[1] - 1)
        palette[2 * row : 2 * row + 2, column] = _COLOURS[region.kind]
        numbers[row, column] = str(number)
    return numbers


def _outline(
    palette: _Palette, corners: npt.NDArray[np.float64], colour: int, dashed: bool = False
) -> None:
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        points = int(np.abs(other - one).max()) + 2
        x, y = (one + np.linspace(0, 1, points)[:, None] * (other - one)).T
        columns = np.clip(x, 0, palette.shape[1] - 1).astype(np.intp)
        rows = np.clip(y, 0, palette.shape[0] - 1).astype(np.intp)
        shown = (columns + rows) % 4 < 2 if dashed else np.full(points, True)
        palette[rows[shown], columns[shown]] = colour


def _figures(view: LookView, language: Language) -> Iterator[RenderableType]:
    figures = view.figures
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    frames = say(language, "a-second", n=f"{view.frames_per_s:.1f}")
    if view.dropped is not None:
        frames += " · " + say(language, "dropped", n=view.dropped)
    table.add_row(say(language, "frames"), frames)
    if view.decode_ms is not None:
        took = Text(say(language, "ms", n=f"{view.decode_ms:.1f}"))
        if view.still:
            took.append(f" · {say(language, 'still')}", "dim")
        table.add_row(say(language, "decoding"), took)
        steps = [f"{name} {ms:.1f}" for name, ms in view.steps]
        table.add_row("", Text(", ".join(steps), "dim", overflow="fold", no_wrap=False))
    table.add_row(say(language, "sharpness"), _bar(figures.sharpness, view.best, language))
    if figures.edge_px is None:
        table.add_row("", Text(say(language, "no-edges"), "dim"))
    else:
        table.add_row("", Text(say(language, "edges", px=f"{figures.edge_px:.1f}"), "dim"))
    light = say(language, "mean", n=f"{figures.frame_mean:.0f}")
    light += " · " + say(language, "clipped", n=f"{100 * figures.light.clipped:.0f}")
    table.add_row(say(language, "light"), light)
    exposure = _exposure(figures, language)
    if exposure:
        table.add_row(say(language, "exposure"), exposure)
    yield table
    yield Text()
    if not figures.regions:
        yield Text(say(language, "none-in-view"), "dim")
    table = Table.grid(padding=(0, 1, 0, 0))
    for number, region in enumerate(figures.regions[:9], 1):
        mark = Text(f" {number} ", Style(color="black", bgcolor=_colour(region), bold=True))
        table.add_row(mark, _described(region, language))
    if view.read_share is not None:
        table.add_row("", say(language, "share", n=f"{100 * view.read_share:.0f}"))
    yield table


def _bar(sharp: int | None, best: int | None, language: Language) -> Text:
    filled = round((sharp or 0) * _BAR / 100)
    at = None if best is None else min(_BAR - 1, round(best * _BAR / 100))
    bar = Text()
    for cell in range(_BAR):
        if cell == at and cell >= filled:
            bar.append("│", "yellow")
        else:
            bar.append("█" if cell < filled else "░", "green" if cell < filled else "dim")
    bar.append(f" {'-' if sharp is None else sharp}", "bold")
    if best is not None:
        bar.append(f" {say(language, 'best', n=best)}", "yellow")
    return bar


def _exposure(figures: Figures, language: Language) -> str:
    exposure = figures.exposure
    if exposure is None:
        return ""
    shutter = round(1_000_000 / max(exposure.shutter_us, 1))
    text = say(language, "shutter", n=shutter, gain=f"{exposure.gain:.1f}")
    if exposure.lens_dioptres is not None:
        near = exposure.lens_dioptres > 0.05
        text += " · " + (
            say(language, "lens", m=f"{1 / exposure.lens_dioptres:.2f}")
            if near
            else say(language, "lens-far")
        )
    return text


def _described(region: Region, language: Language) -> str:
    size = (
        say(language, "side", px=f"{region.side_px:.0f}")
        if region.module_px is None
        else say(language, "module", px=f"{region.module_px:.1f}")
    )
    text = f"{say(language, region.kind)}: {size}"
    if region.tilt_degrees >= 10:
        text += ", " + say(language, "tilt", degrees=f"{region.tilt_degrees:.0f}")
    return text


def _colour(region: Region) -> Color:
    return Color.from_ansi(_COLOURS[region.kind])


def _advice(view: LookView, language: Language) -> Iterator[RenderableType]:
    for advice in view.advice[:3]:
        mark, style = _MARKS[advice.level]
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=cell_len(mark))
        row.add_column()
        row.add_row(Text(mark, style), Text(sentence(advice, language), style))
        yield row
