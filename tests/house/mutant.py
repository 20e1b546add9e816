"""A test run over a house in which one line of one module says something else.

A parent that has loaded the heavy libraries forks a process for each run (multiprocessing's
forkserver), so that a run costs its tests and not pytest's start. Modules of this project are not
loaded in the parent: each run imports them, the broken one from a changed copy of its source.
"""

import importlib.util
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from tests import ROOT

PRELOADED = (
    "_pytest.config",
    "_pytest.main",
    "cbor2",
    "cryptography.hazmat.primitives.serialization",
    "gpiozero",
    "hypothesis.strategies",
    "msgspec",
    "nacl.signing",
    "numpy",
    "pytest",
    "tuf.ngclient",
)
SECONDS_MAX = 240.0
"""A run that hangs is ended after this long. Nothing is concluded from how long a run takes."""


@dataclass(frozen=True)
class Change:
    """One place in the source: `file` says `line` once; the run reads `other` there."""

    file: str  # from the project's root, as edge/loop.py
    line: str
    other: str

    @property
    def module(self) -> str:
        """The module's dotted name."""
        return self.file.removesuffix(".py").replace("/", ".")

    def apply(self, source: str) -> str:
        """The changed source. Raises AssertionError where `line` does not stand there once."""
        assert source.count(self.line) == 1, f"{self.file} does not say this once any more"
        return source.replace(self.line, self.other)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: pytest's exit code (None: it was ended because it hung), what it printed."""

    code: int | None
    output: str


def run(change: Change | None, tests: Sequence[str], output: Path) -> Outcome:
    """Run `tests` (paths and ids below tests/) over the changed house; None: as it is."""
    if change is not None:
        change.apply((ROOT / change.file).read_text("utf-8"))
    forked = _context().Process(target=_child, args=(change, tuple(tests), str(output)))
    forked.start()
    forked.join(SECONDS_MAX)
    code = forked.exitcode
    if code is None:
        forked.kill()
        forked.join()
    return Outcome(code, output.read_text("utf-8", "replace") if output.exists() else "")


def _context() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


class _Loader(SourceFileLoader):
    """Compiles the changed source, and never reads or writes a .pyc file."""

    def __init__(self, change: Change) -> None:
        super().__init__(change.module, str(ROOT / change.file))
        self._change = change

    def get_code(self, fullname: str) -> CodeType:
        source = self._change.apply((ROOT / self._change.file).read_text("utf-8"))
        return compile(source, self.path, "exec", dont_inherit=True)


class _Finder(MetaPathFinder):
    def __init__(self, change: Change) -> None:
        self._change = change

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._change.module:
            return None
        return importlib.util.spec_from_file_location(fullname, loader=_Loader(self._change))


def _child(change: Change | None, tests: Sequence[str], output: str) -> None:
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in [n for n in sys.modules if n.partition(".")[0] in ("edge", "firmware", "hardware")]:
        del sys.modules[name]
    if change is not None:
        sys.meta_path.insert(0, _Finder(change))
    os.environ.pop("PYTEST_XDIST_WORKER", None)
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    code = pytest.main([*options, *(f"tests/{test}" for test in tests)])
    if change is not None:
        module = sys.modules.get(change.module)
        if module is not None and not isinstance(module.__loader__, _Loader):
            code = 70  # the run read the unchanged module: it proves nothing
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code))
