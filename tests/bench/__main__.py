"""`python -m tests.bench`: the figures as a table, and as JSON with `--json FILE`.

Each ratio compares things measured in the same rounds of the same run; a bound is shown beside
what it bounds. The exit code says that it ran, not that it was fast: other work on the machine
shows in every figure.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import check, door, eyes, foreign, frames, many, unit
from tests.bench.figure import Figure


def measure(quick: bool, console: Console) -> Iterable[tuple[str, list[Figure]]]:
    """Yield each group of figures as soon as it is there; `quick` proves only that it runs."""
    at_s = int(time.time())
    groups = (
        ("one code", lambda: check.figures(rounds=2 if quick else 40)),
        ("one foreign code", lambda: foreign.figures(rounds=2 if quick else 40)),
        ("a city", lambda: many.figures(rounds=2 if quick else 40)),
        ("one frame", lambda: frames.figures(1 if quick else 12, 2 if quick else 12, at_s)),
        ("the eyes", lambda: eyes.figures(2 if quick else 60, 4 if quick else 300, at_s)),
        ("to the relay", lambda: door.figures(3 if quick else 40, at_s)),
        ("a unit's process", lambda: unit.figures(1 if quick else 7, 4 if quick else 150)),
    )
    for name, figures in groups:
        with console.status(f"measuring {name} …"):
            found = figures()
        yield name, found


def table(groups: Iterable[tuple[str, list[Figure]]]) -> Table:
    """Rows of what, value, bound."""
    drawn = Table(title="menshen, side by side in one run")
    drawn.add_column("what")
    drawn.add_column("measured", justify="right")
    drawn.add_column("bound", justify="right")
    for _, figures in groups:
        for figure in figures:
            drawn.add_row(figure.says, _value(figure.value, figure.unit), _bound(figure))
        drawn.add_section()
    return drawn


def document(figures: Iterable[Figure], quick: bool) -> dict[str, object]:
    """What `--json` writes."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "quick": quick,
        "figures": {f.key: asdict(f) | {"within": f.within} for f in figures},
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--quick", action="store_true", help="tiny rounds, no use as figures")
    given = parser.parse_args()
    if given.json and not given.json.resolve().parent.is_dir():
        parser.error(f"{given.json.parent} is not a folder; make it first")
    console = Console()
    groups = list(measure(given.quick, Console(stderr=True)))
    console.print(table(groups))
    if given.quick:
        console.print("Tiny rounds: these figures show only that the bench runs.")
    if given.json:
        found = document((f for _, figures in groups for f in figures), given.quick)
        given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def _value(value: float, unit: str) -> str:
    digits = 2 if unit in ("x", "s") or value < 10 else 1
    return f"{value:.{digits}f} {'×' if unit == 'x' else 'µs' if unit == 'us' else unit}"


def _bound(figure: Figure) -> str:
    if figure.bound is None:
        return ""
    mark = "[green]✓[/]" if figure.within else "[red]✗ above[/]"
    return f"≤ {figure.bound:g} {mark}"


if __name__ == "__main__":
    main()
