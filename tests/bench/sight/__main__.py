"""`python -m tests.bench.sight`: reading rates, costs and false reads of all readers, side by side.

Every reader sees the same pictures and frames in one run; costs are CPU time of the process. Eleven
minutes of it: five to six on two quiet cores. The exit code is 1 where a bound is missed, 2 where
the run was asked for in a way that cannot be.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.sight import fetch, photos, plots, publish, work
from tests.bench.sight.photos import PhotosWrong
from tests.bench.sight.pool import measure
from tests.bench.sight.publish import bound, value
from tests.bench.sight.readers import OURS, READERS, Reader
from tests.bench.sight.rows import Row, Section, missed, sections
from tests.bench.sight.work import DecoderResult, Run, Task

COUNT, SEED = 200, 1


def main(
    arguments: Sequence[str] | None = None,
    readers: Sequence[Reader] = READERS,
    plan: Callable[[int, Run], list[Task]] = work.tasks,
) -> int:
    """The command; its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["fetch"]:
        return fetch.main(words[1:])
    parser = _arguments()
    given = parser.parse_args(words)
    if given.publish and not given.plots:
        parser.error("--publish wants --plots: the pictures are taken from there")
    console, told = _console(), Console(stderr=True, soft_wrap=True)
    folder = photos.folder(given.photos)
    try:
        pictures = tuple(photos.load(folder))
    except PhotosWrong as error:
        if given.photos:
            told.print(str(error), style="red")
            return 2
        told.print(f"{error}; tests/bench/sight/README.md says how to get them. The rest is done.")
        pictures = ()
    run = Run(given.seed, folder, pictures, readers)
    start = time.perf_counter()
    seen = measure(plan(given.count, run), run, given.jobs, told)
    made = sections(seen)
    for section in made:
        console.print(table(section))
    for note in (note for section in made for row in section.rows for note in row.notes):
        console.print(note, highlight=False, markup=False)
    bad = missed(made)
    for row in bad:
        console.print(f"missed: {row.key}, {value(row, OURS.name)}, not {bound(row)}", style="red")
    console.print(
        f"{len(seen)} pictures and streams in {time.perf_counter() - start:.0f} s; "
        + (f"[red]{len(bad)} bounds missed[/]" if bad else "[green]every bound holds[/]")
        + ("" if pictures else "; no photographs, so their bounds were not tried")
    )
    if given.plots:
        plots.draw(seen, given.plots)
        (given.plots / "table.md").write_text(publish.markdown(made))
        if given.publish:
            publish.publish(made, given.plots)
        console.print(f"plots are in {given.plots}", highlight=False)
    if given.json:
        given.json.write_text(json.dumps(document(made, seen, given), indent=1) + "\n")
    return 1 if bad else 0


def _console() -> Console:
    """The terminal; wide enough for the table where the words go into a file."""
    console = Console()
    return console if console.is_terminal else Console(width=150)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sight", description=__doc__)
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="with truth.json")
    parser.add_argument("--count", type=_positive, default=COUNT, help="visits of each code")
    parser.add_argument("--seed", type=int, default=SEED, help="of the door scenes")
    parser.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw the figures into it")
    parser.add_argument(
        "--publish",
        action="store_true",
        help="and put them into tests/bench/README.md; wants --plots",
    )
    parser.add_argument("--json", type=_writable, metavar="FILE", help="write the figures here too")
    return parser


def table(section: Section) -> Table:
    """One section, a column for each reader."""
    drawn = Table(title=section.title, title_justify="left")
    drawn.add_column("what", min_width=37)
    names = [reader.name for reader in READERS]
    for name in names:
        drawn.add_column(name, justify="right", style="bold" if name == OURS.name else "")
    drawn.add_column("bound")
    for row in section.rows:
        drawn.add_row(row.says, *(value(row, name) for name in names), _bound(row))
    return drawn


def _bound(row: Row) -> str:
    mark = {True: " [green]✓[/]", False: " [red]✗[/]", None: ""}[row.within]
    return bound(row) + mark


def document(
    made: list[Section], seen: list[DecoderResult], given: argparse.Namespace
) -> dict[str, object]:
    """What `--json` writes: every figure, and what each reader made of each photograph."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "decoders": {
            name: version(name) for name in ("zxing-cpp", "pyzbar", "opencv-python-headless")
        },
        "seed": given.seed,
        "count": given.count,
        "figures": {row.key: row.document() for section in made for row in section.rows},
        "photographs": {
            s.name: {name: bool(read) for name, read in s.read.items()}
            for s in seen
            if s.kind == "photo"
        },
        "sweeps": _sweeps(seen),
    }


def _sweeps(seen: list[DecoderResult]) -> dict[str, dict[str, dict[str, float]]]:
    """Hardship, reader, level: the share that is read."""
    told: dict[str, dict[str, dict[str, list[bool]]]] = {}
    for s in (s for s in seen if s.kind == "sweep"):
        for name, read in s.read.items():
            told.setdefault(s.group, {}).setdefault(name, {}).setdefault(s.category, []).append(
                read
            )
    return {
        hardship: {
            name: {level: sum(reads) / len(reads) for level, reads in levels.items()}
            for name, levels in readers.items()
        }
        for hardship, readers in told.items()
    }


def _positive(given: str) -> int:
    number = int(given)
    if number < 1:
        raise argparse.ArgumentTypeError("give a number from 1 on")
    return number


def _writable(given: str) -> Path:
    path = Path(given)
    if not path.resolve().parent.is_dir():
        raise argparse.ArgumentTypeError(f"{path.parent} is not a folder; make it first")
    return path


if __name__ == "__main__":
    sys.exit(main())
