"""Print the result of `make coverage` by folder; exit code 1 below the floor.

The floor is `fail_under` in pyproject.toml. It applies to the total, not to each folder.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path, PurePosixPath

from coverage import Coverage

REPORT = Path(".cache/coverage.json")


def room(path: PurePosixPath) -> str:
    """Return a file's second-level folder, or the top-level folder for files directly in it."""
    return "/".join(path.parts[: min(2, len(path.parts) - 1)])


def table(summaries: dict[str, tuple[int, int]]) -> tuple[str, float]:
    """Return a table of the folders and the total, and the total's share in percent.

    `summaries`: for each file the number of lines, and the number of lines that were run.
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
    coverage = Coverage(config_file="pyproject.toml")
    coverage.load()
    floor = float(coverage.get_option("report:fail_under"))  # type: ignore[arg-type]
    coverage.json_report(outfile=str(REPORT))
    files = json.loads(REPORT.read_text())["files"]
    text, total = table(
        {
            name: (file["summary"]["num_statements"], file["summary"]["covered_lines"])
            for name, file in files.items()
        }
    )
    print(text)
    if total < floor:
        print(f"Coverage is {total:.1f} %, below the floor of {floor:g} %.", file=sys.stderr)
        sys.exit(1)
    print(f"The floor is {floor:g} %. Lines that run only in other processes are not counted.")


if __name__ == "__main__":
    main()
