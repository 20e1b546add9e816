"""`bom.csv`: the parts of a door (`door.csv`) and those of its board (`circuit/parts.csv`)."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

HARDWARE = Path(__file__).parents[1]
DOOR = HARDWARE / "door.csv"
BOARD = HARDWARE / "circuit" / "parts.csv"
COLUMNS = (
    *("references", "part", "maker", "number", "second_maker", "second_number"),
    *("direct", "controlled", "for", "source"),
)


def text() -> str:
    """Return the whole list as CSV; both kinds of door have one board."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
    table.writeheader()
    table.writerows(rows(DOOR))
    table.writerows(_board())
    return out.getvalue()


def rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _board() -> Iterator[dict[str, str]]:
    for row in rows(BOARD):
        count = str(len(row["references"].split()))
        yield {
            "references": row["references"],
            "part": f"{row['value']}, {row['package']}",
            "maker": row["maker"],
            "number": row["part"],
            "second_maker": "in brackets",
            "second_number": row["second_source"],
            "direct": count,
            "controlled": count,
            "for": "the board",
            "source": "hardware/circuit/README.md",
        }
