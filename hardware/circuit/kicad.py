"""KiCad 9 on the drawing: its rules check, its netlist, its pages as SVG.

kicad-cli runs in the Debian 13 of .ci/trixie-kicad, on a copy of the drawing.
"""

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.wire.decode import read_json
from hardware.circuit.make import PAGES, PROJECT

HERE = Path(__file__).parent
INSIDE = "/run/menshen-circuit"


@contextlib.contextmanager
def copied(drawing: Path = HERE) -> Iterator[Path]:
    """A copy of the drawing's files, to be written beside."""
    with tempfile.TemporaryDirectory() as folder:
        for file in drawing.iterdir():
            if (
                file.suffix in (".kicad_sch", ".kicad_sym", ".kicad_pro")
                or file.name == "sym-lib-table"
            ):
                shutil.copy(file, folder)
        yield Path(folder)


def _cli(folder: Path, *words: str) -> None:
    """Run kicad-cli in `folder`. Raises RuntimeError with what it said."""
    done = subprocess.run(
        [
            *(str(HERE.parents[1] / ".ci" / "in-trixie"), "--bind", str(folder), INSIDE),
            *("sh", "-c", f'cd {INSIDE} && exec kicad-cli sch "$@"', "kicad-cli", *words),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"kicad-cli sch {' '.join(words)}: {done.stdout}{done.stderr}")


def violations(folder: Path) -> list[str]:
    """What the electrical rules check finds: errors, warnings and exclusions, each in a line."""
    _cli(
        folder,
        "erc",
        "--severity-all",
        "--format",
        "json",
        "--output",
        "erc.json",
        f"{PROJECT}.kicad_sch",
    )
    found = read_json(folder / "erc.json", dict[str, Any])
    return [
        f"{page['path']}: {one['severity']}: {one['description']}: "
        + "; ".join(item["description"] for item in one["items"])
        for page in found["sheets"]
        for one in page["violations"]
    ]


def netlist(folder: Path) -> Path:
    """The netlist, as KiCad's XML."""
    _cli(
        folder,
        "export",
        "netlist",
        "--format",
        "kicadxml",
        "--output",
        "board.xml",
        f"{PROJECT}.kicad_sch",
    )
    return folder / "board.xml"


def pages(folder: Path) -> dict[str, str]:
    """Each page as SVG, by its name; without the date, and with a quarter of KiCad's bytes."""
    _cli(folder, "export", "svg", "--output", "svg", f"{PROJECT}.kicad_sch")
    return {
        name: tidy((folder / "svg" / f"{PROJECT}-{title}.svg").read_text(encoding="utf-8"), title)
        for name, title, _, _ in PAGES
    }


def tidy(svg: str, title: str) -> str:
    """The same picture without the date, invisible text, and a path element for each stroke."""
    svg = re.sub(r"<title>.*?</title>", f"<title>{title}</title>", svg, flags=re.S)
    svg = re.sub(r"<desc>.*?</desc>", "", svg, flags=re.S)
    svg = re.sub(r"<text[^>]*opacity=\"0\"[^>]*>.*?</text>", "", svg, flags=re.S)
    svg = re.sub(r"\d+\.\d{4,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), svg)
    svg = re.sub(r'\s*\n\s*(?=[L"])', " ", svg)
    head, body = svg.split("<g", 1)  # the outermost group says the round ends for all
    body = re.sub(r"\s*stroke-opacity:1;\s*stroke-linecap:round; stroke-linejoin:round;", "", body)
    svg = (
        head
        + '<g stroke-linecap="round" stroke-linejoin="round"><g'
        + body.replace("</svg>", "</g></svg>")
    )
    path = r'<path d="([^"]*?)\s*"\s*/>'
    svg = re.sub(
        rf"(?:{path}\s*)+",
        lambda m: f'<path d="{_joined(re.findall(path, m[0]))}"/>\n',
        svg,
    )
    return re.sub(r"\n\s*\n+", "\n", svg)


def _joined(strokes: list[str]) -> str:
    """One path of many; a stroke that begins where the last one ended goes on from there."""
    out: list[str] = []
    last = ""
    for stroke in strokes:
        points = re.findall(r"[ML]\s*(\S+ \S+)", stroke)
        if "Z" in stroke or "A" in stroke or "C" in stroke or not points:
            out.append(" ".join(stroke.split()))
            last = ""
            continue
        rest = points[1:] if points[0] == last else points
        out.append(("L" if points[0] == last else "M") + " L".join(rest))
        last = points[-1]
    return " ".join(out)
