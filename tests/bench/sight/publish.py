"""The figures in tests/bench/README.md: a table between two marks, and two plots beside it."""

import time
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from tests.bench.sight.rows import Row, Section

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- bench-sight: begin -->", "<!-- bench-sight: end -->"
PLOTS = {"hardships.png": "sight.png", "categories.png": "sight-photographs.png"}
COLUMNS = ("menshen", "zxing-cpp", "pyzbar", "OpenCV", "zxing-cpp, pyzbar")
LEFT_OUT = ("by what is hard",)  # sections that the plots show better
COLOURS = 96  # of a plot in the repository, so that it stays small


def markdown(made: Iterable[Section]) -> str:
    """The table, with the day on which it was measured."""
    lines = [f"| {time.strftime('%Y-%m-%d')} | {' | '.join(COLUMNS)} | bound |", "|---" * 7 + "|"]
    for section in made:
        if any(words in section.title for words in LEFT_OUT):
            continue
        lines.append(f"| **{section.title}** | | | | | | |")
        lines += [_line(row) for row in section.rows]
    return "\n".join(lines) + "\n"


def into(readme: str, table: str) -> str:
    """`readme` with `table` between the marks. Raises ValueError where they are not."""
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise ValueError(f"{README} needs one {BEGIN} and one {END}: the table stands between")
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}{END}{after}"


def publish(made: Iterable[Section], plots: Path) -> None:
    """Write the table into tests/bench/README.md and the plots, made small, beside it."""
    README.write_text(into(README.read_text(), markdown(made)))
    for name, to in PLOTS.items():
        if (plots / name).exists():
            smaller = Image.open(plots / name).convert("RGB").quantize(COLOURS, dither=0)
            smaller.save(README.with_name(to), optimize=True)


def value(row: Row, name: str) -> str:
    """One cell; empty where that reader was not measured."""
    number = row.values.get(name)
    if number is None:
        return ""
    if number != number:  # nothing was read
        return "–"
    digits = {"%": 1, "points": 1, "x": 2, "s": 2, "ms": 2}.get(row.unit, 2 if number % 1 else 0)
    return f"{number:.{digits}f}"


def bound(row: Row) -> str:
    """What is asked of ours, in words."""
    goal = f"goal {row.goal:g}" if row.goal is not None else ""
    if row.sense is None or row.bound is None:
        return goal
    return f"{row.sense} {row.bound:.3g} {goal}".rstrip()


def _line(row: Row) -> str:
    mark = {True: " ✓", False: " ✗", None: ""}[row.within]
    unit = "" if row.unit == "count" else f", {'×' if row.unit == 'x' else row.unit}"
    cells = [value(row, name) for name in COLUMNS]
    return f"| {row.says.strip()}{unit} | {' | '.join(cells)} | {bound(row)}{mark} |"
