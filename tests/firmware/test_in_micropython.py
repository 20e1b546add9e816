"""The firmware's tests in MicroPython's own interpreter; and they notice a broken line."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge.wire.unit import UNLOCK_MS_MAX

pytestmark = pytest.mark.system  # real processes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INTERPRETER = ROOT / ".cache" / "micropython-js"
GUARD = ROOT / "firmware" / "guard.py"


def run_in_cpython(guard: Path) -> subprocess.CompletedProcess[str]:
    """The same tests in CPython, which is quicker."""
    return subprocess.run(
        [sys.executable, "-m", "unittest", "test_guard"],
        env={**os.environ, "PYTHONPATH": f"{guard.parent}{os.pathsep}{HERE}"},
        cwd=guard.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run(guard: Path, module: str = "test_guard") -> subprocess.CompletedProcess[str]:
    """The tests of `module` in MicroPython on this copy of guard.py."""
    node = shutil.which("node")
    if node is None or not (INTERPRETER / "micropython.mjs").exists():
        pytest.fail("MicroPython's interpreter is missing; run: make .cache/micropython")
    test = HERE / f"{module}.py"
    return subprocess.run(
        [node, HERE / "run.mjs", INTERPRETER, module, guard, *([test] if test.exists() else [])],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_guard_in_micropython() -> None:
    done = run(GUARD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "MicroPython 1." in done.stdout
    ran = re.search(r"Ran (\d+) tests", done.stdout)
    assert ran is not None
    written = len(re.findall(r"^    def test_", (HERE / "test_guard.py").read_text(), re.MULTILINE))
    assert int(ran[1]) == written
    assert "skipped" not in done.stdout


BROKEN = {
    "as long as asked": ("pulse_ms if pulse_ms < PULSE_MS_MAX else PULSE_MS_MAX", "pulse_ms"),
    "on for ever": ("if pulse_ms <= 0 or not", "if not"),
    "without a link": ("if pulse_ms <= 0 or not self._linked:", "if pulse_ms <= 0:"),
    "no end of the link": (">= LINK_MS_MAX", ">= 10 * LINK_MS_MAX"),
    "a pulse outlives the link": ("if not self._linked or ticks_diff", "if ticks_diff"),
    "a pulse does not end": (">= self._pulse_ms:", ">= self._pulse_ms + 1:"),
    "a pulse is lengthened": ("if self._on or self._resting or", "if self._resting or"),
    "no rest": ("if self._on or self._resting or", "if self._on or"),
    "no rate": (" or self._pulses == 0", ""),
    "no cost": ("self._pulses -= 1", "pass"),
    "saved too fast": ("_later(self._refill_ms, PULSE_EVERY_MS)", "_later(self._refill_ms, 1)"),
    "saved without end": ("while self._pulses < PULSES_MAX and", "while"),
    "a clock that goes back": ("if went_back:", "if False:"),
    "a link at the start": ("self._linked = False  #", "self._linked = True  #"),
    "more by a restart": ("self._pulses = 1  #", "self._pulses = PULSES_MAX  #"),
    "no wrap": ("(end_ms - start_ms) & _MASK", "(end_ms - start_ms)"),
    "allocates": ("difference - _MASK - 1", "difference - 2**30"),
    "allocates at the wrap": ("(at_ms - _MASK - 1 + ms)", "(at_ms + ms)"),
    "torn": ("class Guard:", "class Guard"),
}
MICROPYTHON = ("a pulse does not end", "no wrap", "allocates", "allocates at the wrap", "torn")
"""Those that are tried there; the others need only the quicker one."""


def test_the_guard_in_cpython() -> None:
    done = run_in_cpython(GUARD)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", BROKEN)
def test_a_guard_with_a_broken_line_is_noticed(tmp_path: Path, case: str) -> None:
    line, broken = BROKEN[case]
    text = GUARD.read_text()
    assert text.count(line) == 1, f"{line!r} is not in guard.py once"
    copy = tmp_path / "guard.py"
    copy.write_text(text.replace(line, broken))
    done = (run if case in MICROPYTHON else run_in_cpython)(copy)
    assert done.returncode == 1, done.stdout + done.stderr


def test_a_run_without_tests_fails(tmp_path: Path) -> None:
    (tmp_path / "guard.py").write_text(GUARD.read_text())
    assert run(tmp_path / "guard.py", module="guard").returncode == 1


def test_guard_and_unit_allow_the_same_pulse() -> None:
    sys.path.insert(0, str(GUARD.parent))
    try:
        import guard
    finally:
        sys.path.remove(str(GUARD.parent))
    assert guard.PULSE_MS_MAX == UNLOCK_MS_MAX


@pytest.mark.parametrize(
    ("chosen", "needs"),
    [({}, ["logging"]), ({"test": True}, ["logging", "unittest"]), ({"logging": False}, [])],
)
def test_manifest_and_package_name_what_is_there(chosen: dict[str, bool], needs: list[str]) -> None:
    modules: list[str] = []
    required: list[str] = []

    class Options:
        def defaults(self, **usual: bool) -> None:
            self.__dict__.update(usual | chosen)

    manifest = ROOT / "firmware" / "manifest.py"
    names = {
        "options": Options(),
        "module": lambda name, opt=0: modules.append(name),
        "freeze": lambda folder, names: None,
        "require": required.append,
    }
    exec(compile(manifest.read_text(), manifest, "exec"), names)  # noqa: S102 -- as the build does
    assert required == needs
    package = msgspec.json.decode((ROOT / "firmware" / "package.json").read_bytes())
    files = {path.name for path in (ROOT / "firmware").glob("*.py")} - {"manifest.py"}
    assert sorted(files) == sorted(modules)
    # boot.py leaves nothing but what is frozen: on a stock image it would find nothing.
    assert sorted(files - {"boot.py"}) == sorted(target for target, _ in package["urls"])
    for _, source in package["urls"]:
        assert (ROOT / "firmware" / source).is_file()
    assert [name for name, _ in package["deps"]] == ["logging"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert package["version"] == project["version"]
