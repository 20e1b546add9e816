"""The tree is the architecture: a new arrow between its parts fails here. Source: ARCHITECTURE.md.

Read from the sources with `ast`, so an import inside a function or a type check counts as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSES = ("edge", "provisioning", "server_stub", "firmware", "hardware")

STAGES = {
    "age",
    "asking",
    "clock",
    "verdict",
    "decision",
    "replay",
    "selftest",
    "door",
    "tally",
    "health",
}
STAGES |= {"passage", "inside", "lane"}  # who passes
STAGES |= {"inputs", "doorway"}  # what the door says
STAGES |= {"presented"}  # what is shown
STAGES |= {"view"}  # how well the camera sees

# What may import what. A part may import itself only where it is named.
ARROWS = {
    "edge": set(),  # edge/__init__.py: one constant
    "edge.extras": set(),
    "edge.wire": {"edge.wire"},
    "a stage": {"edge", "edge.wire", "a stage"},
    "edge.foreign": {"edge.wire", "edge.verdict", "edge.clock", "edge.foreign"},
    "edge.belief": {"edge.wire", "a stage", "edge.foreign"},
    "edge.ports": {"edge.wire", "a stage"},
    "edge.loop": {"edge.wire", "a stage", "edge.ports"},
    "edge.trial": {"edge.wire", "a stage", "edge.ports"},
    "edge.sight": {"edge.ports", "edge.wire", "edge.sight"},
    "edge.look": {"edge.ports", "edge.wire", "a stage", "edge.look"},
    "edge.adapters": {
        "edge",
        "edge.wire",
        "a stage",
        "edge.ports",
        "edge.belief",
        "edge.sight",
        "edge.adapters",
        "edge.extras",
    },
    "edge.__main__": {
        "edge",
        "edge.extras",
        "edge.wire",
        "a stage",
        "edge.ports",
        "edge.belief",
        "edge.loop",
        "edge.trial",
        "edge.look",
        "edge.sight",
        "edge.adapters",
    },
    "provisioning": {"provisioning", "edge.wire", "edge.extras", "hardware"},
    "server_stub": {"server_stub", "edge.wire", "edge.extras"},
    "firmware": {"firmware"},
    "hardware": {"hardware"},
}

# Each is imported by one file of a house: to change it is to change that file.
ONCE = {
    "picamera2", "libcamera", "pyzbar", "zxingcpp", "cv2", "PIL", "gpiozero", "lgpio", "serial",
    "linuxpy", "osdp",
    "paho", "aiomqtt", "httpx", "requests", "uvicorn", "ssl", "sqlite3", "nacl", "cbor2",
}  # fmt: skip

# A stage is given what it needs: it never asks the world for it.
WORLD = ONCE | {"time", "datetime", "os", "pathlib", "socket", "subprocess", "threading", "asyncio"}

# Foreign formats neither; but their dates are texts, and one of them is not signed with Ed25519.
FOREIGN_WORLD = (WORLD - {"datetime"}) | {"cryptography"}
FOREIGN_OWN = {("edge/foreign/hc1.py", "cryptography")}


def wrong_arrows(root: Path) -> list[str]:
    """One sentence for each import below `root` that ARROWS, ONCE and WORLD do not allow."""
    files = {name: path for house in HOUSES for name, path in modules(root, house)}
    told: list[str] = []
    users: dict[tuple[str, str], set[str]] = {}
    for name, path in files.items():
        part, shown = part_of(name), path.relative_to(root).as_posix()
        if part not in ARROWS:
            told.append(f"{shown} has no place in the drawing")
            continue
        for target in imports(path, name, files):
            top = target.partition(".")[0]
            if top in (*HOUSES, "tests") and not {part_of(target), target} & ARROWS[part]:
                told.append(f"{shown} imports {target}")
            if part == "a stage" and top in WORLD:
                told.append(f"{shown} imports {target}")
            if part == "edge.foreign" and top in FOREIGN_WORLD and (shown, top) not in FOREIGN_OWN:
                told.append(f"{shown} imports {target}")
            house = name.partition(".")[0]
            if top in ONCE and f"{house}.{top}" not in files:  # firmware has an osdp of its own
                users.setdefault((house, top), set()).add(shown)
    for (_, library), by in users.items():
        if len(by) > 1:
            told.append(f"{library} is imported by {' and '.join(sorted(by))}")
    return told


def part_of(module: str) -> str:
    """The part of the drawing that a module belongs to; itself when it has none."""
    house, _, rest = module.partition(".")
    if house != "edge" or not rest:
        return house
    first = rest.partition(".")[0]
    return "a stage" if first in STAGES else f"edge.{first}"


def modules(root: Path, house: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((root / house).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path, name: str, files: dict[str, Path]) -> Iterator[str]:
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:  # a name in a package may be a module of it
                inner = f"{source}.{alias.name}"
                yield inner if inner in files else source
        elif isinstance(node, ast.Call) and node.args and called(node.func):
            first = node.args[0]
            if own_module(first):
                continue
            assert isinstance(first, ast.Constant), f"{path}: an import that cannot be read"
            yield str(first.value)


def own_module(name: ast.expr) -> bool:
    """Whether this is f"{__name__}.…": a module of the package that says it, whichever it is."""
    if not isinstance(name, ast.JoinedStr) or len(name.values) < 2:
        return False
    begins, dot = name.values[:2]
    said = (
        begins.value.id
        if isinstance(begins, ast.FormattedValue) and isinstance(begins.value, ast.Name)
        else ""
    )
    return said == "__name__" and isinstance(dot, ast.Constant) and str(dot.value).startswith(".")


def called(function: ast.expr) -> bool:
    """Whether this is `importlib.import_module`, `import_module` or `__import__`."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def test_every_arrow_is_drawn() -> None:
    assert wrong_arrows(ROOT) == []


def test_the_walk_sees_the_tree() -> None:
    seen = {name for house in HOUSES for name, _ in modules(ROOT, house)}
    assert {"edge", "edge.verdict", "edge.wire.code", "edge.loop", "edge.__main__"} <= seen
    files = dict(modules(ROOT, "edge"))
    found = set(imports(files["edge.verdict"], "edge.verdict", files))
    assert {"edge.wire.code", "edge.wire.keys", "edge.clock"} <= found


SOUND = {
    "edge/__init__.py": "BUILT_S = 0",
    "edge/clock.py": "from edge import BUILT_S",
    "edge/door.py": "import random\nfrom edge.wire.unit import UNLOCK_MS_MAX",
    "edge/verdict.py": "from edge import clock\nfrom edge.wire import code, keys",
    "edge/ports.py": "import numpy\nfrom edge.door import DoorAction",
    "edge/loop.py": "from edge import ports, verdict",
    "edge/__main__.py": "import time\nfrom edge.adapters import gpio\nimport edge.loop",
    "edge/adapters/__init__.py": "",
    "edge/adapters/gpio.py": "import gpiozero\nfrom edge.ports import DoorLost",
    "edge/adapters/disk.py": "import sqlite3",
    "edge/foreign/__init__.py": "import importlib\nimportlib.import_module(f'{__name__}.{1}')",
    "edge/foreign/hc1.py": "import cryptography\nfrom datetime import UTC\nimport edge.verdict",
    "edge/wire/__init__.py": "",
    "edge/wire/code.py": "import cbor2",
    "edge/wire/keys.py": "from nacl.signing import SigningKey",
    "edge/wire/unit.py": "from . import keys\nfrom .keys import kid",
    "provisioning/__init__.py": "",
    "provisioning/units.py": "import provisioning\nfrom edge.wire import unit",
    "server_stub/__init__.py": "",
    "server_stub/store.py": "import sqlite3",
    "firmware/guard.py": "import time",
}


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def test_a_sound_tree_has_no_wrong_arrow(tmp_path: Path) -> None:
    assert wrong_arrows(tree(tmp_path, SOUND)) == []


@pytest.mark.parametrize(
    ("file", "line", "told"),
    [
        ("edge/verdict.py", "from edge.adapters import gpio", "imports edge.adapters.gpio"),
        ("edge/verdict.py", "from edge.adapters.gpio import Door", "imports edge.adapters.gpio"),
        ("edge/verdict.py", "import edge.adapters.gpio as g", "imports edge.adapters.gpio"),
        ("edge/verdict.py", "from .adapters import gpio", "imports edge.adapters.gpio"),
        ("edge/verdict.py", "from . import ports", "imports edge.ports"),
        ("edge/verdict.py", "def f():\n    import edge.loop", "imports edge.loop"),
        ("edge/verdict.py", "import importlib\nimportlib.import_module('edge.loop')", "edge.loop"),
        ("edge/verdict.py", "if 0:\n    from edge import __main__", "imports edge.__main__"),
        ("edge/verdict.py", "import time", "imports time"),
        ("edge/clock.py", "from datetime import UTC", "imports datetime"),
        ("edge/wire/code.py", "from edge import verdict", "imports edge.verdict"),
        ("edge/wire/code.py", "from ..clock import Interval", "imports edge.clock"),
        ("edge/wire/code.py", "from edge import BUILT_S", "imports edge"),
        ("edge/wire/code.py", "import provisioning", "imports provisioning"),
        ("edge/verdict.py", "from edge.foreign import hc1", "imports edge.foreign.hc1"),
        ("edge/foreign/hc1.py", "from edge.replay import InView", "imports edge.replay"),
        ("edge/foreign/hc1.py", "from edge import door", "imports edge.door"),
        ("edge/foreign/hc1.py", "import edge.adapters.gpio", "imports edge.adapters.gpio"),
        ("edge/foreign/hc1.py", "import time", "imports time"),
        ("edge/foreign/toy.py", "import cryptography.x509", "imports cryptography.x509"),
        ("edge/ports.py", "from edge import loop", "imports edge.loop"),
        ("edge/ports.py", "from edge.adapters import gpio", "imports edge.adapters.gpio"),
        ("edge/loop.py", "from edge.adapters import gpio", "imports edge.adapters.gpio"),
        ("edge/adapters/gpio.py", "from edge import loop", "imports edge.loop"),
        ("edge/__main__.py", "import server_stub.store", "imports server_stub.store"),
        ("edge/__main__.py", "from tests import world", "imports tests"),
        ("edge/helpers.py", "", "has no place in the drawing"),
        ("provisioning/units.py", "from edge import verdict", "imports edge.verdict"),
        ("provisioning/units.py", "import server_stub", "imports server_stub"),
        ("provisioning/units.py", "import edge", "imports edge"),
        ("server_stub/store.py", "from edge.tally import Cell", "imports edge.tally"),
        ("server_stub/store.py", "from provisioning import units", "imports provisioning.units"),
        ("firmware/guard.py", "from edge.wire import code", "imports edge.wire.code"),
        ("firmware/guard.py", "import hardware", "imports hardware"),
        ("edge/adapters/disk.py", "import gpiozero.pins", "gpiozero is imported by"),
        ("edge/wire/code.py", "import nacl.bindings", "nacl is imported by"),
        ("edge/loop.py", "def f():\n    import sqlite3", "sqlite3 is imported by"),
    ],
)  # fmt: skip
def test_a_wrong_arrow_is_told(tmp_path: Path, file: str, line: str, told: str) -> None:
    content = SOUND.get(file, "") + "\n" + line
    wrong = wrong_arrows(tree(tmp_path, SOUND | {file: content}))
    assert len(wrong) == 1, wrong
    assert told in wrong[0]
    assert file in wrong[0]


def test_an_import_that_cannot_be_read_fails(tmp_path: Path) -> None:
    for line in ("name = 'edge.loop'\n__import__(name)", "__import__(f'{__name__}')"):
        with pytest.raises(AssertionError, match="cannot be read"):
            wrong_arrows(tree(tmp_path, SOUND | {"edge/verdict.py": line}))
