"""Renders the drawings with WireViz and rsvg-convert, and stamps each with its source's hash.

Text is measured differently on each machine, so pictures are never compared with each other. Tests
compare the hash in the stamp with that of the data.
"""

import hashlib
import subprocess
from pathlib import Path

from PIL import Image, PngImagePlugin
from wireviz import wireviz

_STAMP = "drawn-from"
_WIDTH_MAX = 2400


def sum_of(source: str) -> str:
    """Return the hash that a stamp holds for this source."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def write_harness(source: str, folder: Path, name: str) -> None:
    """Write `name`.yml, .svg and .png in `folder`: WireViz's drawing of the YAML `source`."""
    (folder / f"{name}.yml").write_text(source, encoding="utf-8")
    write_svg(source, folder, name)
    _png(folder, name, source)


def write_svg(source: str, folder: Path, name: str) -> None:
    """Write `name`.svg in `folder`: WireViz's drawing of the YAML `source`, with a stamp."""
    wireviz.parse(source, output_formats=("svg",), output_dir=folder, output_name=name)
    path = folder / f"{name}.svg"
    text = path.read_text("utf-8")
    head, svg, rest = text.partition("<svg")
    path.write_text(f"{head}<!-- {_STAMP} {sum_of(source)} -->\n{svg}{rest}", encoding="utf-8")


def write_page(svg: str, folder: Path, name: str) -> None:
    """Write `name`.svg and .png in `folder`: a drawing of this package."""
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    _png(folder, name, svg)


def stamp(path: Path) -> str:
    """Return the hash in the stamp of an .svg or .png, "" if it has none."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return str(image.info.get(_STAMP, ""))
    _, mark, rest = path.read_text("utf-8").partition(f"<!-- {_STAMP} ")
    return rest.split(" ", 1)[0] if mark else ""


def _png(folder: Path, name: str, source: str) -> None:
    path = folder / f"{name}.png"
    svg = folder / f"{name}.svg"
    subprocess.run(["rsvg-convert", "--zoom", "2", svg, "-o", path], check=True)
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((_WIDTH_MAX, _WIDTH_MAX * 2), Image.Resampling.LANCZOS)
        metadata = PngImagePlugin.PngInfo()
        metadata.add_text(_STAMP, sum_of(source))
        reduced = small.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True, pnginfo=metadata)
