"""Commands inside the Debian 13 of .ci/trixie."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "menshen" / "trixie"


def has(name: str) -> None:
    """Fail, and say what to do, unless the packages of `.ci/trixie-NAME` are in the folder."""
    listed = hashlib.sha256((ROOT / ".ci" / f"trixie-{name}").read_bytes()).hexdigest()[:16]
    if not (FOLDER / f"made-{name}-{listed}").exists():
        pytest.fail(f"what .ci/trixie-{name} lists is missing; run: make .cache/trixie-{name}")


def command(*words: str | Path, binds: dict[Path, str] | None = None) -> list[str]:
    """How to run `words` inside; `binds` says which folders of the host appear where."""
    places = [w for host, inside in (binds or {}).items() for w in ("--bind", str(host), inside)]
    return [str(ROOT / ".ci" / "in-trixie"), *places, *map(str, words)]


def run(
    *words: str | Path, binds: dict[Path, str] | None = None, timeout_s: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run `words` inside as root, to their end."""
    return subprocess.run(
        command(*words, binds=binds), capture_output=True, text=True, timeout=timeout_s
    )
