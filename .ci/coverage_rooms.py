"""Print what `make coverage` measured, room by room; exit code 1 under the floor.

The floor is `fail_under` in pyproject.toml. It holds for the whole, not for each room.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path, PurePosixPath

from coverage import Coverage

REPORT = Path(".cache/coverage.json")


def room(path: PurePosixPath) -> str:
    """The folder right below a house, or the house for the files beside its folders."""
    return "/".join(path.parts[: min(2, len(path.parts) - 1)])


def table(summaries: dict[str, tuple[int, int]]) -> tuple[str, float]:
    """The rooms of these files and their total; and the total's share in percent.

    `summaries`: for each file how many lines it has, and how many of them were run.
    """
    rooms: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for file, counts in summaries.items():
        for name in (room(PurePosixPath(file)), "all"):
            rooms[name] = [a + b for a, b in zip(rooms[name], counts, strict=True)]
    order = sorted(rooms, key=lambda name: (name == "all", name))
    width = max(map(len, order))
    rows = [f"{'room':{width}}  lines    run   share"]
    for name in order:
        lines, run = rooms[name]
        rows.append(f"{name:{width}}  {lines:5}  {run:5}  {share(lines, run):5.1f} %")
    return "\n".join(rows), share(*rooms["all"])


def share(lines: int, run: int) -> float:
    return 100 * run / lines if lines else 100.0


def main() -> None:
    measured = Coverage(config_file="pyproject.toml")
    measured.load()
    floor = float(measured.get_option("report:fail_under"))  # type: ignore[arg-type]
    measured.json_report(outfile=str(REPORT))
    files = json.loads(REPORT.read_text())["files"]
    text, total = table(
        {
            name: (file["summary"]["num_statements"], file["summary"]["covered_lines"])
            for name, file in files.items()
        }
    )
    print(text)
    if total < floor:
        print(f"Coverage is {total:.1f} %, under the floor of {floor:g} %.", file=sys.stderr)
        sys.exit(1)
    print(f"The floor is {floor:g} %. Lines that only other processes run are not counted as run.")


if __name__ == "__main__":
    main()
