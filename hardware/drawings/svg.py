"""A small writer for SVG drawings: the same calls give the same bytes on every machine."""

from html import escape

FONT = "DejaVu Sans, sans-serif"
INK = "#1a1a1a"


class SvgSheet:
    """One page, `width` x `height` in its own units, x to the right and y downwards."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.title = title
        self._size = (width, height)
        self._parts: list[str] = []

    def line(
        self, *points: tuple[float, float], width: float = 2, colour: str = INK, dash: str = ""
    ) -> None:
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" '
            f'stroke-width="{_n(width)}"{dashed}/>'
        )

    def area(self, *points: tuple[float, float], fill: str, opacity: float = 1) -> None:
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._parts.append(f'<polygon points="{path}" fill="{fill}" fill-opacity="{_n(opacity)}"/>')

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str = "none",
        stroke: str = INK,
        thick: float = 2,
        round_: float = 0,
    ) -> None:
        self._parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" '
            f'rx="{_n(round_)}" fill="{fill}" stroke="{stroke}" stroke-width="{_n(thick)}"/>'
        )

    def circle(
        self,
        x: float,
        y: float,
        radius: float,
        fill: str = "none",
        stroke: str = INK,
        thick: float = 2,
    ) -> None:
        self._parts.append(
            f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{_n(thick)}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 14,
        anchor: str = "start",
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        """Draw the lines of `text` one below the other; `y` is the baseline of the first."""
        weight = ' font-weight="bold"' if bold else ""
        for i, line in enumerate(text.split("\n")):
            self._parts.append(
                f'<text x="{_n(x)}" y="{_n(y + i * size * 1.25)}" font-size="{_n(size)}" '
                f'text-anchor="{anchor}" fill="{colour}"{weight}>{escape(line)}</text>'
            )

    def arrow(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: str = INK,
        width: float = 1.2,
    ) -> None:
        """Draw a dimension: a line with an arrowhead at both ends."""
        self.line(start, end, width=width, colour=colour)
        length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
        ux, uy = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        for (x, y), way in ((start, 1), (end, -1)):
            back = (x + way * ux * 9, y + way * uy * 9)
            self.area(
                (x, y),
                (back[0] - uy * 3.5, back[1] + ux * 3.5),
                (back[0] + uy * 3.5, back[1] - ux * 3.5),
                fill=colour,
            )

    def svg(self) -> str:
        """Return the whole file."""
        width, height = self._size
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_n(width)}" height="{_n(height)}" '
            f'viewBox="0 0 {_n(width)} {_n(height)}" font-family="{FONT}">'
        )
        background = f'<rect width="{_n(width)}" height="{_n(height)}" fill="white"/>'
        title = f"<title>{escape(self.title)}</title>"
        return "\n".join((head, title, background, *self._parts, "</svg>", ""))


def _n(value: float) -> str:
    """Format with at most two decimals, and never -0."""
    return f"{round(value, 2) + 0:g}"
