"""The pictures of the drawings: WireViz and rsvg-convert draw them, each stamped with its source.

Letters are measured otherwise on every machine, so a picture is never compared with another: what
is compared is the data it was drawn from, by the sum in its stamp.
"""

import hashlib
import subprocess
from pathlib import Path

from PIL import Image, PngImagePlugin
from wireviz import wireviz

_STAMP = "drawn-from"
_WIDTH_MAX = 2400


def sum_of(source: str) -> str:
    """What the stamp says of a source."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def harness(source: str, folder: Path, name: str) -> None:
    """WireViz's drawing of the YAML `source`: `name`.yml, .svg and .png in `folder`."""
    (folder / f"{name}.yml").write_text(source, encoding="utf-8")
    drawn(source, folder, name)
    _png(folder, name, source)


def drawn(source: str, folder: Path, name: str) -> None:
    """WireViz's drawing of the YAML `source`, stamped: `name`.svg in `folder`."""
    wireviz.parse(source, output_formats=("svg",), output_dir=folder, output_name=name)
    path = folder / f"{name}.svg"
    made = path.read_text("utf-8")
    head, svg, rest = made.partition("<svg")
    path.write_text(f"{head}<!-- {_STAMP} {sum_of(source)} -->\n{svg}{rest}", encoding="utf-8")


def page(svg: str, folder: Path, name: str) -> None:
    """A drawing of our own: `name`.svg and .png in `folder`."""
    (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    _png(folder, name, svg)


def stamp(path: Path) -> str:
    """The sum of what an .svg or .png was drawn from; "" where there is none."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return str(image.info.get(_STAMP, ""))
    _, found, rest = path.read_text("utf-8").partition(f"<!-- {_STAMP} ")
    return rest.split(" ", 1)[0] if found else ""


def _png(folder: Path, name: str, source: str) -> None:
    path = folder / f"{name}.png"
    svg = folder / f"{name}.svg"
    subprocess.run(["rsvg-convert", "--zoom", "2", svg, "-o", path], check=True)
    with Image.open(path) as image:
        small = image.convert("RGB")
        small.thumbnail((_WIDTH_MAX, _WIDTH_MAX * 2), Image.Resampling.LANCZOS)
        said = PngImagePlugin.PngInfo()
        said.add_text(_STAMP, sum_of(source))
        few = small.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(path, optimize=True, pnginfo=said)
