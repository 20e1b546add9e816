"""The tree is the architecture: a new arrow between its parts fails here. Source: ARCHITECTURE.md.

Read from the sources with `ast`, so an import inside a function or a type check counts as well.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

HOUSES = ("edge", "provisioning", "server_stub", "firmware", "hardware")

# The rooms of each house, floor by floor: a room may import rooms of the floors below its own and
# its own files, and nothing else. A file beside the rooms is a room of its own. A house without
# rooms is one room.
FLOORS = {
    "edge": (
        (
            "edge",
            "edge.wire",
            "edge.parts",
            "edge.files",
            "edge.backoff",
            "edge.threads",
            "edge.words",
            "edge.extras",
        ),  # edge/__init__.py: one constant
        ("edge.clock", "edge.doorway", "edge.sight", "edge.version"),
        ("edge.judge", "edge.look", "edge.commissioning"),
        ("edge.passing", "edge.report"),
        ("edge.loop", "edge.adapters"),
        ("edge.assembly",),
        ("edge.__main__",),
    ),
    "server_stub": (
        ("server_stub", "server_stub.estate", "server_stub.serving", "server_stub.templates"),
        ("server_stub.store", "server_stub.wallet"),
        (
            "server_stub.migrations",
            "server_stub.issuing",
            "server_stub.collecting",
            "server_stub.operating",
        ),
        ("server_stub.__main__",),
    ),
    "provisioning": (("provisioning",),),
    "firmware": (("firmware",),),
    "hardware": (("hardware",),),
}

# What a house may import of another one.
ABROAD = {
    "server_stub": {
        "edge.wire",
        "edge.files",
        "edge.backoff",
        "edge.words",
        "edge.extras",
        "edge.version",
    },
    "provisioning": {
        "edge.wire",
        "edge.files",
        "edge.words",
        "edge.extras",
        "edge.version",
        "hardware",
    },
    "hardware": {"edge.wire"},
}

# Rooms within a room that know nothing of each other: a camera knows no door.
APART = {f"edge.adapters.{name}" for name in ("camera", "door", "storage", "trust")}

# Each is imported by one file of a house: to change it is to change that file.
ONCE = {
    "picamera2", "libcamera", "pyzbar", "zxingcpp", "cv2", "PIL", "gpiozero", "lgpio", "serial",
    "linuxpy", "osdp",
    "paho", "aiomqtt", "httpx", "requests", "uvicorn", "ssl", "sqlite3", "nacl", "cbor2", "jinja2",
}  # fmt: skip

# These rooms are given what they need: they never ask the world for it.
PURE = {"edge.clock", "edge.doorway", "edge.judge", "edge.passing", "edge.report"}
WORLD = ONCE | {"time", "datetime", "os", "pathlib", "socket", "subprocess", "threading", "asyncio"}

# Dates of a foreign format are texts, and it need not be signed with Ed25519.
EXCEPT = {
    ("edge/judge/foreign/eu_certificate.py", "cryptography"),
    ("edge/judge/foreign/eu_certificate.py", "datetime"),
}


def wrong_arrows(root: Path) -> list[str]:
    """One sentence for each import below `root` that the tables above do not allow."""
    files = {name: path for house in HOUSES for name, path in modules(root, house)}
    wrong: list[str] = []
    users: dict[tuple[str, str], set[str]] = {}
    for name, path in files.items():
        house, room, shown = (
            name.partition(".")[0],
            room_of(name),
            path.relative_to(root).as_posix(),
        )
        if room not in FLOOR:
            wrong.append(f"{shown} is in no room")
            continue
        for target in imports(path, name, files):
            top = target.partition(".")[0]
            if top in (*HOUSES, "tests") and not allowed(name, target):
                wrong.append(f"{shown} imports {target}")
            if room in PURE and top in WORLD and (shown, top) not in EXCEPT:
                wrong.append(f"{shown} imports {target}")
            if top in ONCE and f"{house}.{top}" not in files:  # firmware has an osdp of its own
                users.setdefault((house, top), set()).add(shown)
    for (_, library), by in users.items():
        if len(by) > 1:
            wrong.append(f"{library} is imported by {' and '.join(sorted(by))}")
    return wrong


FLOOR = {
    room: number
    for floors in FLOORS.values()
    for number, floor in enumerate(floors)
    for room in floor
}


def room_of(module: str) -> str:
    """The room that a module belongs to: a folder of its house, or itself where it lies beside."""
    house, _, rest = module.partition(".")
    if len(FLOORS[house]) == 1 or not rest:
        return house
    return f"{house}.{rest.partition('.')[0]}"


def allowed(name: str, target: str) -> bool:
    """Whether module `name` may import `target`, a module of this project."""
    top = target.partition(".")[0]
    if top not in FLOORS:
        return False
    room, other = room_of(name), room_of(target)
    if top != name.partition(".")[0]:
        return other in ABROAD.get(name.partition(".")[0], ())
    if room != other:
        return FLOOR.get(other, 99) < FLOOR[room]
    mine, theirs = (".".join(module.split(".")[:3]) for module in (name, target))
    return not {mine, theirs} <= APART or mine == theirs


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
    assert {"edge", "edge.judge.verdict", "edge.wire.code", "edge.loop", "edge.__main__"} <= seen
    files = dict(modules(ROOT, "edge"))
    found = set(imports(files["edge.judge.verdict"], "edge.judge.verdict", files))
    assert {"edge.wire.code", "edge.wire.keys", "edge.clock.time_interval"} <= found


def test_every_room_is_there() -> None:
    there = {room_of(name) for house in HOUSES for name, _ in modules(ROOT, house)}
    assert set(FLOOR) == there
    for room in APART:
        assert (ROOT / room.replace(".", "/")).is_dir()


SOUND = {
    "edge/__init__.py": "BUILT_S = 0",
    "edge/parts.py": "import enum",
    "edge/clock/time_interval.py": "from edge import BUILT_S",
    "edge/doorway/door_signals.py": "import random\nfrom edge.wire.unit import UNLOCK_MS_MAX",
    "edge/sight/frame.py": "import numpy",
    "edge/judge/verdict.py": "from edge.clock import time_interval\n"
    "from edge.wire import code, keys",
    "edge/judge/foreign/__init__.py": "import importlib\n"
    "importlib.import_module(f'{__name__}.{1}')",
    "edge/judge/foreign/eu_certificate.py": "import cryptography\n"
    "from datetime import UTC\nimport edge.judge.verdict",
    "edge/passing/lane.py": "from edge.judge import verdict",
    "edge/loop.py": "from edge import parts\nfrom edge.judge import verdict",
    "edge/__main__.py": "import time\nfrom edge.adapters.door import gpio_door\nimport edge.loop",
    "edge/adapters/door/gpio_door.py": "import gpiozero\nfrom edge.adapters import port",
    "edge/adapters/camera/webcam.py": "from edge.sight.frame import Frame",
    "edge/adapters/port.py": "import serial\nfrom edge.adapters.storage import disk",
    "edge/adapters/storage/disk.py": "import sqlite3",
    "edge/wire/code.py": "import cbor2",
    "edge/wire/keys.py": "from nacl.signing import SigningKey",
    "edge/wire/unit.py": "from . import keys\nfrom .keys import kid",
    "provisioning/__init__.py": "",
    "provisioning/units.py": "import provisioning\nfrom edge.wire import unit",
    "server_stub/__init__.py": "",
    "server_stub/store.py": "import sqlite3",
    "server_stub/issuing/records.py": "from server_stub import store",
    "server_stub/collecting/collector.py": "from server_stub.store import x",
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
    ("file", "line", "sentence"),
    [
        ("edge/judge/verdict.py", "from edge.adapters.door import gpio_door",
         "imports edge.adapters.door.gpio_door"),
        ("edge/judge/verdict.py", "from edge.adapters.door.gpio_door import Door",
         "imports edge.adapters.door.gpio_door"),
        ("edge/judge/verdict.py", "import edge.adapters.door.gpio_door as g",
         "imports edge.adapters.door.gpio_door"),
        ("edge/judge/verdict.py", "from ..adapters.door import gpio_door",
         "imports edge.adapters.door.gpio_door"),
        ("edge/judge/verdict.py", "from edge.passing import lane", "imports edge.passing.lane"),
        ("edge/judge/verdict.py", "from ..passing import lane", "imports edge.passing.lane"),
        ("edge/judge/verdict.py", "def f():\n    import edge.loop", "imports edge.loop"),
        ("edge/judge/verdict.py", "import importlib\nimportlib.import_module('edge.loop')",
         "edge.loop"),
        ("edge/judge/verdict.py", "if 0:\n    from edge import __main__", "imports edge.__main__"),
        ("edge/judge/verdict.py", "import time", "imports time"),
        ("edge/clock/time_interval.py", "from datetime import UTC", "imports datetime"),
        ("edge/clock/time_interval.py", "from edge.doorway import door_signals",
         "imports edge.doorway.door_signals"),
        ("edge/sight/frame.py", "from edge.judge import verdict", "imports edge.judge.verdict"),
        ("edge/parts.py", "from edge.wire import code", "imports edge.wire.code"),
        ("edge/wire/code.py", "from edge.judge import verdict", "imports edge.judge.verdict"),
        ("edge/wire/code.py", "from ..clock.time_interval import Interval",
         "imports edge.clock.time_interval"),
        ("edge/wire/code.py", "from edge import BUILT_S", "imports edge"),
        ("edge/wire/code.py", "import provisioning", "imports provisioning"),
        ("edge/judge/foreign/eu_certificate.py", "from edge.passing.lane import Lane",
         "imports edge.passing.lane"),
        ("edge/judge/foreign/eu_certificate.py", "import edge.adapters.door.gpio_door",
         "imports edge.adapters.door.gpio_door"),
        ("edge/judge/foreign/eu_certificate.py", "import time", "imports time"),
        ("edge/judge/foreign/toy.py", "import datetime", "imports datetime"),
        ("edge/loop.py", "from edge.adapters.door import gpio_door",
         "imports edge.adapters.door.gpio_door"),
        ("edge/adapters/door/gpio_door.py", "from edge import loop", "imports edge.loop"),
        ("edge/adapters/door/gpio_door.py", "from edge.adapters.camera import webcam",
         "imports edge.adapters.camera.webcam"),
        ("edge/__main__.py", "import server_stub.store", "imports server_stub.store"),
        ("edge/__main__.py", "from tests import world", "imports tests"),
        ("edge/helpers.py", "", "is in no room"),
        ("edge/more/helpers.py", "", "is in no room"),
        ("provisioning/units.py", "from edge.judge import verdict", "imports edge.judge.verdict"),
        ("provisioning/units.py", "import server_stub", "imports server_stub"),
        ("provisioning/units.py", "import edge", "imports edge"),
        ("server_stub/store.py", "from edge.report.tally import Cell", "imports edge.report.tally"),
        ("server_stub/store.py", "from provisioning import units", "imports provisioning.units"),
        ("server_stub/store.py", "from server_stub.issuing import records",
         "imports server_stub.issuing.records"),
        ("server_stub/issuing/records.py", "from server_stub.collecting import collector",
         "imports server_stub.collecting.collector"),
        ("firmware/guard.py", "from edge.wire import code", "imports edge.wire.code"),
        ("firmware/guard.py", "import hardware", "imports hardware"),
        ("edge/adapters/storage/disk.py", "import gpiozero.pins", "gpiozero is imported by"),
        ("edge/wire/code.py", "import nacl.bindings", "nacl is imported by"),
        ("edge/loop.py", "def f():\n    import sqlite3", "sqlite3 is imported by"),
    ],
)  # fmt: skip
def test_a_wrong_arrow_is_told(tmp_path: Path, file: str, line: str, sentence: str) -> None:
    content = SOUND.get(file, "") + "\n" + line
    wrong = wrong_arrows(tree(tmp_path, SOUND | {file: content}))
    assert len(wrong) == 1, wrong
    assert sentence in wrong[0]
    assert file in wrong[0]


def test_an_import_that_cannot_be_read_fails(tmp_path: Path) -> None:
    for line in ("name = 'edge.loop'\n__import__(name)", "__import__(f'{__name__}')"):
        with pytest.raises(AssertionError, match="cannot be read"):
            wrong_arrows(tree(tmp_path, SOUND | {"edge/judge/verdict.py": line}))
