"""The public collections: where each lies, and how its pictures and texts are filed."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.sight.said import likely

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif"}


@dataclass(frozen=True, slots=True)
class Found:
    """One picture of a collection; `texts` is None where the collection does not tell them."""

    path: Path
    category: str
    name: str  # unlike any other of its collection
    texts: list[str] | None


@dataclass(frozen=True, slots=True)
class Collection:
    """A repository, the folders of it that are wanted, and how to walk them."""

    corpus: str
    url: str
    folders: tuple[str, ...]  # below the repository's root
    walk: Callable[[Path], Iterator[Found]]  # given one of `folders`


def _boofcv(folder: Path) -> Iterator[Found]:
    """A folder for each category; the texts beside the pictures are corners, not words."""
    for path in _pictures(folder):
        category = path.parent.name
        if category != "lots":  # fifty symbols in each picture: another contest
            yield Found(path, category, f"{category}_{path.stem}", None)


def _jsqr(folder: Path) -> Iterator[Found]:
    """A folder for each picture, with what jsQR itself made of it."""
    for path in _pictures(folder):
        told = path.with_name("output.json")
        said = json.loads(told.read_text("utf-8")) if told.is_file() else None
        text = said.get("data") if isinstance(said, dict) else None
        yield Found(path, "", path.parent.name, [text] if text else None)


def _blackbox(folder: Path) -> Iterator[Found]:
    """ZXing's way: 07.png beside 07.txt, 07.bin or, in zxing-cpp, 07.toml."""
    for path in _pictures(folder):
        yield Found(path, folder.name, f"{folder.name}_{path.stem}", _beside(path))


def _beside(path: Path) -> list[str] | None:
    text, raw, table = (path.with_suffix(suffix) for suffix in (".txt", ".bin", ".toml"))
    if text.is_file():
        return [text.read_text("utf-8", "replace")]
    if raw.is_file():
        return [likely(raw.read_bytes())]
    if table.is_file():
        return _toml(table) or None
    return None


def _toml(table: Path) -> list[str]:
    """`TextPlain`, or `TextEscaped` with <LF> for a line feed; one, or one a symbol."""
    told = tomllib.loads(table.read_text("utf-8"))
    texts = []
    for symbol in [told, *told.get("symbol", [])]:
        if "TextPlain" in symbol:
            texts.append(symbol["TextPlain"])
        elif "TextEscaped" in symbol:
            texts.append(_unescaped(symbol["TextEscaped"]))
    return texts


_NAMES = (
    "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI "
    "DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
)
_CONTROLS = {name: chr(number) for number, name in enumerate(_NAMES.split())}


def _unescaped(text: str) -> str:
    return re.sub(r"<([A-Z0-9]{2,3})>", lambda m: _CONTROLS.get(m[1], m[0]), text)


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES)


COLLECTIONS = (
    Collection(
        "boofcv",
        "https://github.com/paulmillr/qr-code-vectors",
        ("boofcv-v3/detection",),
        _boofcv,
    ),
    Collection("jsqr", "https://github.com/cozmo/jsQR", ("tests/end-to-end",), _jsqr),
    Collection(
        "zxing",
        "https://github.com/zxing/zxing",
        tuple(f"core/src/test/resources/blackbox/qrcode-{i}" for i in range(1, 7)),
        _blackbox,
    ),
    Collection(
        "zxing-cpp",
        "https://github.com/zxing-cpp/zxing-cpp",
        tuple(f"test/samples/qrcode-{i}" for i in range(1, 8)),
        _blackbox,
    ),
)
