"""Writes world.json and codes/*.json: `python -m tests.vectors.make`.

The same bytes come out of every run; a test holds the folder to them.
"""

import json
from pathlib import Path
from typing import Any

from tests.vectors import cases, held
from tests.vectors.parts import world

FOLDER = Path(__file__).parent


def files() -> dict[str, str]:
    """Every file by its path below this folder."""
    written: dict[str, Any] = {"world.json": world()}
    cases.CASES.clear()
    for group in cases.GROUPS + held.GROUPS:
        group()
    written |= {f"codes/{name}.json": content for name, content in cases.CASES.items()}
    return {path: json.dumps(content, indent=1) + "\n" for path, content in written.items()}


def main() -> None:
    wanted = files()
    for old in (FOLDER / "codes").glob("*.json"):
        if f"codes/{old.name}" not in wanted:
            old.unlink()
    for path, content in wanted.items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(content, encoding="utf-8")
    print(f"{len(wanted) - 1} codes")


if __name__ == "__main__":
    main()
