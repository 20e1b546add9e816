"""Runs KiCad 9 on the schematic: rules check, netlist, pages as SVG.

kicad-cli runs in the Debian 13 of .ci/trixie-kicad, on a copy of the schematic.
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
def working_copy(drawing: Path = HERE) -> Iterator[Path]:
    """Yield a temporary folder with a copy of the schematic's files, for kicad-cli's output."""
    with tempfile.TemporaryDirectory() as folder:
        for file in drawing.iterdir():
            if (
                file.suffix in (".kicad_sch", ".kicad_sym", ".kicad_pro")
                or file.name == "sym-lib-table"
            ):
                shutil.copy(file, folder)
        yield Path(folder)


def _cli(folder: Path, *words: str) -> None:
    """Run kicad-cli in `folder`. Raises RuntimeError with its output."""
    result = subprocess.run(
        [
            *(str(HERE.parents[1] / ".ci" / "in-trixie"), "--bind", str(folder), INSIDE),
            *("sh", "-c", f'cd {INSIDE} && exec kicad-cli sch "$@"', "kicad-cli", *words),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"kicad-cli sch {' '.join(words)}: {result.stdout}{result.stderr}")


def violations(folder: Path) -> list[str]:
    """Run the electrical rules check; return errors, warnings and exclusions, one a line."""
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
    report = read_json(folder / "erc.json", dict[str, Any])
    return [
        f"{page['path']}: {violation['severity']}: {violation['description']}: "
        + "; ".join(item["description"] for item in violation["items"])
        for page in report["sheets"]
        for violation in page["violations"]
    ]


def netlist(folder: Path) -> Path:
    """Export the netlist as KiCad's XML; return the file."""
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
    """Return each page as SVG, by its name; without the date, a quarter of the size of KiCad's."""
    _cli(folder, "export", "svg", "--output", "svg", f"{PROJECT}.kicad_sch")
    return {
        name: tidy((folder / "svg" / f"{PROJECT}-{title}.svg").read_text(encoding="utf-8"), title)
        for name, title, _, _ in PAGES
    }


def tidy(svg: str, title: str) -> str:
    """Remove the date and invisible text, and merge strokes into few path elements."""
    svg = re.sub(r"<title>.*?</title>", f"<title>{title}</title>", svg, flags=re.S)
    svg = re.sub(r"<desc>.*?</desc>", "", svg, flags=re.S)
    svg = re.sub(r"<text[^>]*opacity=\"0\"[^>]*>.*?</text>", "", svg, flags=re.S)
    svg = re.sub(r"\d+\.\d{4,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), svg)
    svg = re.sub(r'\s*\n\s*(?=[L"])', " ", svg)
    head, body = svg.split("<g", 1)  # the outermost group sets round line ends for all
    body = re.sub(r"\s*stroke-opacity:1;\s*stroke-linecap:round; stroke-linejoin:round;", "", body)
    svg = (
        head
        + '<g stroke-linecap="round" stroke-linejoin="round"><g'
        + body.replace("</svg>", "</g></svg>")
    )
    path = r'<path d="([^"]*?)\s*"\s*/>'
    svg = re.sub(
        rf"(?:{path}\s*)+",
        lambda m: f'<path d="{_merge_strokes(re.findall(path, m[0]))}"/>\n',
        svg,
    )
    return re.sub(r"\n\s*\n+", "\n", svg)


def _merge_strokes(strokes: list[str]) -> str:
    """Merge strokes into one path; a stroke that begins where the last one ended continues it."""
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
