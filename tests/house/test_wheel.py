"""What pip installs: the wheel's files, and each command with no library but those of its extras.

Each environment here is a fresh one that sees nothing of this one's: the wheel by pip, and links to
the libraries that the wheel's own metadata names, with what those need in turn.
"""

import ast
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from edge import BUILT_S, extras
from edge.wire.code import Code, Colour, encode
from tests import ROOT
from tests.campus import symbol
from tests.conftest import CITY, write_unit

pytestmark = pytest.mark.system
OWN = {"edge": "unit", "provisioning": "provisioning", "server_stub": "server"}
COMMANDS = {
    "unit": "menshen-edge",
    "provisioning": "menshen-provision",
    "server": "menshen-server",
}
OTHER_WAYS = ("pi", "osdp", "webcam")
"""A unit's extras for other cameras and doors."""


def installs(extra: str) -> str:
    return f'is not installed; install it with: pip install "menshen[{extra}]"'


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the source."""
    source, to = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in (*OWN, "hardware"):
        shutil.copytree(
            ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", to, source)
    (built,) = to.iterdir()
    return built


def pip(*arguments: object) -> None:
    command = [sys.executable, "-m", "pip", "--isolated", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


class Environment:
    """A virtual environment of its own with the wheel and the libraries of some extras."""

    def __init__(self, folder: Path, wheel: Path, *chosen: str) -> None:
        venv.create(folder, symlinks=True)
        pip("--python", folder / "bin" / "python", "install", "--no-deps", "--no-index", wheel)
        self._bin = folder / "bin"
        self._kept = {"PATH": os.environ["PATH"], "GPIOZERO_PIN_FACTORY": "mock", "COLUMNS": "100"}
        (site,) = folder.glob("lib/python*/site-packages")
        (own,) = metadata.distributions(name="menshen", path=[str(site)])
        for name in needed(own, chosen):
            for top in tops(metadata.distribution(name)):
                if top.name == "cv2":  # looks for its parts where its file really is
                    shutil.copytree(top, site / top.name, copy_function=linked)
                elif not (site / top.name).exists():
                    (site / top.name).symlink_to(top)

    def run(self, command: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """One of the commands, or `python`."""
        line = [str(self._bin / command), *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=120, env=self._kept)

    def start(self, command: str, *arguments: object) -> subprocess.Popen[str]:
        """The same, not waited for."""
        line = [str(self._bin / command), *map(str, arguments)]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=self._kept)


def linked(source: str, to: str) -> None:
    """The same file, or a copy where the disk is another."""
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def needed(own: metadata.Distribution, chosen: tuple[str, ...]) -> set[str]:
    """The distributions that `own` requires with those extras, and what they require."""
    waiting = [(line, chosen) for line in own.requires or []]
    names: set[str] = set()
    while waiting:
        line, extras_of = waiting.pop()
        requirement = Requirement(line)
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in (*extras_of, "")
        ):
            continue
        name = canonicalize_name(requirement.name)
        if name not in names:
            names.add(name)
            inner = metadata.distribution(name).requires or []
            waiting += [(more, tuple(requirement.extras)) for more in inner]
    return names


def tops(distribution: metadata.Distribution) -> Iterator[Path]:
    """What it has put directly into its folder of packages."""
    firsts = {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}
    yield from (Path(str(distribution.locate_file(first))) for first in firsts)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> dict[str, Environment]:
    """By the extra; "" is `pip install .` alone."""
    return {
        extra: Environment(
            tmp_path_factory.mktemp("environment") / "it", wheel, *filter(None, [extra])
        )
        for extra in ("", *COMMANDS)
    }


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


# -- the wheel -------------------------------------------------------------------------------------


def test_of_hardware_only_the_pins_and_their_boot_lines_are_in_the_wheel(wheel: Path) -> None:
    files = {name for name in ZipFile(wheel).namelist() if name.startswith("hardware/")}
    assert files == {
        f"hardware/{name}" for name in ("__init__.py", "boot.py", "pins.py", "pins.toml")
    }


def test_nothing_that_a_command_reads_is_missing_from_the_wheel(wheel: Path) -> None:
    files = set(ZipFile(wheel).namelist())
    source = {
        path.relative_to(ROOT).as_posix()
        for house in OWN
        for path in (ROOT / house).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".png", ".md")
    }
    assert source <= files
    houses = {name.partition("/")[0] for name in files if ".dist-info/" not in name}
    assert houses == {*OWN, "hardware"}


# -- what each extra holds -------------------------------------------------------------------------


def imported(house: str) -> set[str]:
    """The libraries whose modules are imported anywhere in a house."""
    names: set[str] = set()
    for path in (ROOT / house).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module.partition(".")[0])
    return names - {*OWN, "hardware"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("house", OWN)
def test_every_import_is_of_the_base_or_of_the_commands_own_extras(house: str) -> None:
    own = metadata.distribution("menshen")
    ways = OTHER_WAYS if house == "edge" else ()
    base = needed(own, ())
    brought = {extra: needed(own, (extra,)) for extra in (OWN[house],)}
    brought |= {extra: declared(own, extra) for extra in ways}
    of_module = metadata.packages_distributions()
    for module in imported(house):
        if module not in of_module:  # only on a Pi
            assert module in {"lgpio", "picamera2", "libcamera"}, f"{module} is not installed here"
            continue
        names = {canonicalize_name(name) for name in of_module[module]}
        assert names & base.union(*brought.values()), f"{module} is in no extra of {house}"
        if not names & base:  # and where it is missing, the right extra is named
            assert names & brought[extras.of(module, OWN[house])], module


def declared(own: metadata.Distribution, extra: str) -> set[str]:
    """What an extra names itself; not all of that is installed here."""
    requirements = (Requirement(line) for line in own.requires or [])
    return {
        canonicalize_name(each.name)
        for each in requirements
        if each.marker and each.marker.evaluate({"extra": extra})
    }


@pytest.mark.parametrize(
    ("extra", "absent"),
    [
        ("", ("cv2", "gpiozero", "numpy", "sqlalchemy", "nicegui", "tomli_w")),
        ("server", ("cv2", "gpiozero", "numpy", "PIL", "pyzbar", "zxingcpp", "serial")),
        ("provisioning", ("cv2", "gpiozero", "numpy", "sqlalchemy", "nicegui", "paho")),
        ("unit", ("sqlalchemy", "nicegui", "uvicorn", "tomli_w", "osdp", "linuxpy")),
    ],
)
def test_no_extra_brings_what_another_command_needs(
    extra: str, absent: tuple[str, ...], places: dict[str, Environment]
) -> None:
    look = f"from importlib.util import find_spec; print([m for m in {absent} if find_spec(m)])"
    done = places[extra].run("python", "-c", look)
    assert done.stdout.strip() == "[]", done


@pytest.mark.parametrize("house", ["provisioning", "server_stub"])
def test_every_module_of_a_house_can_be_imported_with_its_extra_alone(
    house: str, places: dict[str, Environment]
) -> None:
    """`python -m` and Alembic run the others."""
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / house).rglob("*.py"))
        if path.stem not in ("__init__", "__main__") and "migrations" not in path.parts
    ]
    assert len(modules) > 10
    done = places[OWN[house]].run("python", "-c", f"import {', '.join(modules)}")
    assert done.returncode == 0, done.stderr


# -- `pip install .` alone -------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS.values())
def test_without_an_extra_every_command_explains_itself(
    command: str, places: dict[str, Environment]
) -> None:
    done = places[""].run(command, "--help")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for name in ("check", "look") if command == "menshen-edge" else ("issuer",):
        assert name in done.stdout
        inner = places[""].run(command, name, "--help")
        assert inner.returncode == 0, inner.stderr


@pytest.mark.parametrize("command", COMMANDS.values())
def test_without_an_extra_every_command_prints_its_version(
    command: str, places: dict[str, Environment], wheel: Path
) -> None:
    done = places[""].run(command, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    name, version = wheel.name.split("-")[:2]  # what pip made of pyproject.toml
    assert name == "menshen"
    built = datetime.fromtimestamp(BUILT_S, UTC).strftime("%Y-%m-%d")
    assert done.stdout == f"{command} {version} (built {built})\n"


def test_without_an_extra_a_unit_names_its_own(
    places: dict[str, Environment], tmp_path: Path
) -> None:
    unit = write_unit(tmp_path / "card", int(time.time()))
    Image.fromarray(symbol("HTTPS://EXAMPLE.ORG")).save(tmp_path / "p.png")
    for arguments in (("run", unit), ("check", tmp_path / "p.png"), ("look", unit), ("try", unit)):
        assert installs("unit") in one_sentence(places[""].run("menshen-edge", *arguments))


def test_without_an_extra_the_server_names_its_own(
    places: dict[str, Environment], tmp_path: Path
) -> None:
    store = ("--store", f"sqlite:///{tmp_path}/centre.db")
    for arguments in (
        ("broker", tmp_path, "--state", tmp_path / "state"),
        ("collector", tmp_path, *store),
        ("issuer", tmp_path, "city", *store),
        ("enrol", tmp_path, "city", *store),
        ("revoke", "record", *store),
        ("page", *store),
    ):
        said = one_sentence(places[""].run("menshen-server", *arguments))
        assert installs("server") in said
    assert list(tmp_path.iterdir()) == []


def test_without_an_extra_provisioning_does_what_it_can_and_names_its_own(
    places: dict[str, Environment], tmp_path: Path
) -> None:
    estate, base = tmp_path / "estate", places[""]
    example = ROOT / "provisioning" / "examples" / "sites" / "home.json"
    assert base.run("menshen-provision", "rules", example).returncode == 0
    assert base.run("menshen-provision", "authority", estate).returncode == 0
    for arguments in (("issuer", estate, "city"), ("site", estate, "campus")):
        assert installs("provisioning") in one_sentence(base.run("menshen-provision", *arguments))
    assert not (estate / "issuers").exists() or not list((estate / "issuers").iterdir())
    assert not (estate / "sites").exists() or not list((estate / "sites").iterdir())


# -- each command with its extra -------------------------------------------------------------------


def test_an_installers_way_from_estate_to_card_and_the_unit_that_reads_it(
    places: dict[str, Environment], tmp_path: Path
) -> None:
    estate = tmp_path / "estate"
    for arguments in (
        ("authority", estate),
        ("issuer", estate, "city"),
        ("site", estate, "campus"),
        ("publish", estate),
        ("unit", estate, "campus", "north"),
        ("unit", estate, "campus", "south", "--controller", tmp_path / "no-port"),
        (
            "unit",
            estate,
            "campus",
            "west",
            "--camera-kind",
            "webcam",
            "--camera-source",
            "/dev/video9",
        ),
    ):
        done = places["provisioning"].run("menshen-provision", *arguments)
        assert done.returncode == 0, done.stderr
    cards = estate / "sites" / "campus" / "units"
    assert (cards / "north" / "config.txt.add").read_text().startswith("# Menshen")

    unit, picture = places["unit"], tmp_path / "p.png"
    Image.fromarray(symbol("DC1:NOT-A-CODE")).save(picture)
    done = unit.run("menshen-edge", "check", picture, "--unit", cards / "north" / "unit.toml")
    assert done.returncode == 0, done.stderr
    assert "stays shut, for refused" in done.stdout

    pair = ("pair", cards / "south", "--port", tmp_path / "no-port")
    assert "there is no such port" in one_sentence(
        places["provisioning"].run("menshen-provision", *pair)
    )
    assert installs("provisioning") in one_sentence(places[""].run("menshen-provision", *pair))
    assert installs("osdp") in one_sentence(
        unit.run("menshen-edge", "run", cards / "south" / "unit.toml")
    )
    looked = unit.run("menshen-edge", "look", cards / "west" / "unit.toml")
    assert installs("webcam") in one_sentence(looked)


def test_a_door_runs_with_the_extra_of_a_unit_alone(
    places: dict[str, Environment], tmp_path: Path
) -> None:
    """Camera, decoder's process, pins, store: a code is read and judged."""
    now_s = int(time.time())
    card = write_unit(tmp_path, now_s)
    code = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=now_s, exp_s=now_s + 600)
    Image.fromarray(symbol(encode(code, CITY))).save(tmp_path / "frames" / "1.png")
    with places["unit"].start("menshen-edge", "run", card, "--show") as process:
        try:
            assert process.stdout
            decision = process.stdout.readline()
        finally:
            process.terminate()
    assert decision.startswith("unsure-time: stays shut"), decision
    assert process.returncode == 0


def test_the_store_and_an_enrolment_need_the_servers_extra_alone(
    places: dict[str, Environment], tmp_path: Path
) -> None:
    estate, store = tmp_path / "estate", ("--store", f"sqlite:///{tmp_path}/centre.db")
    for arguments in (("authority", estate), ("issuer", estate, "city")):
        assert places["provisioning"].run("menshen-provision", *arguments).returncode == 0
    done = places["server"].run("menshen-server", "enrol", estate, "city", *store)
    assert done.returncode == 0, done.stderr
    assert "secret" in done.stdout


# -- the sentence ----------------------------------------------------------------------------------


def test_what_no_extra_would_bring_is_no_missing_extra() -> None:
    for name in ("edge.no_such_part", "tests.no_such", "_sqlite3", "numpy.no_such", ""):
        assert extras.sentence(ModuleNotFoundError("", name=name), "unit") is None


def test_what_an_extras_library_needs_itself_is_brought_by_the_commands_own() -> None:
    missing = ModuleNotFoundError("", name="no_such_inner_library.part")
    assert extras.sentence(missing, "server") == f"no_such_inner_library {installs('server')}"
