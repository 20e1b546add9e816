"""JSON, TOML and CBOR are read by one file, which bounds them: edge/wire/decode.py.

Read from the sources with `ast`, so a call inside a function or under another name counts as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

HOUSES = ("edge", "provisioning", "server_stub", "firmware", "hardware")

READER = "edge/wire/decode.py"

# What makes values of bytes or text, in each library that is installed with this project.
READS = {
    "msgspec.json.decode", "msgspec.json.Decoder", "msgspec.toml.decode", "msgspec.yaml.decode",
    "msgspec.msgpack.decode", "msgspec.msgpack.Decoder",
    "json.load", "json.loads", "json.JSONDecoder", "tomllib.load", "tomllib.loads",
    "cbor2.load", "cbor2.loads", "cbor2.CBORDecoder",
    "yaml.load", "yaml.load_all", "yaml.safe_load", "yaml.safe_load_all", "yaml.full_load",
    "yaml.unsafe_load", "plistlib.load", "plistlib.loads", "ast.literal_eval",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads",
    "tuf.api.metadata.Metadata.from_bytes", "tuf.api.metadata.Metadata.from_file",
    "tuf.api.metadata.Metadata.from_dict",
}  # fmt: skip

# The others, each with its reason.
EXCEPT = {
    ("edge/wire/cbor.py", "cbor2.loads"): "the door code's own reader: plain, and one form alone",
    ("edge/wire/repository.py", "tuf.api.metadata.Metadata.from_bytes"):
        "python-tuf reads TUF metadata; `_metadata` bounds the bytes and translates its errors",
    ("edge/words.py", "tomllib.load"): "a table of this package, which a test reads to the end",
    ("edge/sight/decoder_messages.py", "msgspec.msgpack.Decoder"):
        "between a unit's own two processes: at most ANSWER_LEN_MAX bytes of a declared type",
    ("edge/passing/lane.py", "msgspec.msgpack.decode"):
        "what this program saved in RAM in this boot; RecursionError counts as torn",
    ("firmware/store.py", "json.loads"):
        "MicroPython on the controller: its own file of at most some hundred bytes",
}  # fmt: skip


def reads(path: Path) -> Iterator[str]:
    """The full names out of READS that a file uses, called or handed on."""
    tree = ast.parse(path.read_bytes(), str(path))
    names: dict[str, str] = {}  # what a name in this file stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, (ast.Attribute, ast.Name)):
            name = full_name(node, names)
            if name in READS:
                yield name
        elif isinstance(node, ast.Call) and not node.args and called(node.func) == "json":
            yield "json() of a request or an answer"


def called(function: ast.expr) -> str:
    """The name of a method that is called."""
    return function.attr if isinstance(function, ast.Attribute) else ""


def full_name(node: ast.expr, names: dict[str, str]) -> str:
    """`json.loads` of `j.loads` after `import json as j`; empty for what is no dotted name."""
    if isinstance(node, ast.Subscript):  # Metadata[Root].from_bytes
        return full_name(node.value, names)
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        above = full_name(node.value, names)
        return f"{above}.{node.attr}" if above else ""
    return ""


def readers(root: Path) -> set[tuple[str, str]]:
    return {
        (path.relative_to(root).as_posix(), name)
        for house in HOUSES
        for path in sorted((root / house).rglob("*.py"))
        for name in reads(path)
    }


def test_one_file_reads() -> None:
    others = {(file, name) for file, name in readers(ROOT) if file != READER}
    assert others == EXCEPT.keys()


def test_the_walk_sees_the_reader() -> None:
    assert {name for file, name in readers(ROOT) if file == READER} == {
        "msgspec.json.decode",
        "json.loads",
        "tomllib.loads",
    }


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads(b'')",
        "import json as j\nj.loads(b'')",
        "from json import loads\nloads(b'')",
        "from json import loads as read\nx = [read(b'')]",
        "import msgspec\ndef f():\n    return msgspec.json.decode(b'')",
        "import msgspec.json\nmsgspec.json.Decoder(int)",
        "from msgspec import json as j\nj.decode(b'')",
        "from msgspec.toml import decode\ndecode(b'')",
        "import tomllib\nread = tomllib.load",
        "import cbor2\nmap(cbor2.loads, [])",
        "import yaml\nyaml.safe_load('')",
        "async def f(request):\n    return await request.json()",
        "from tuf.api.metadata import Metadata, Root\nMetadata[Root].from_bytes(b'')",
    ],
)
def test_another_reader_is_seen(tmp_path: Path, source: str) -> None:
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "new.py").write_text(source)
    assert [file for file, _ in readers(tmp_path)] == ["edge/new.py"]


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.dumps({})",
        "import msgspec\nmsgspec.convert({}, dict)\nmsgspec.json.encode({})",
        "from edge.wire import code\ncode.decode('')",
        "decode(b'')",
    ],
)
def test_other_calls_are_none(tmp_path: Path, source: str) -> None:
    (tmp_path / "edge").mkdir()
    (tmp_path / "edge" / "new.py").write_text(source)
    assert readers(tmp_path) == set()
