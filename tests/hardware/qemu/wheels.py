"""The lines of requirements.lock that a unit needs, with what those need in turn; and lgpio.

`python -m tests.hardware.qemu.wheels` prints them for pip, hashes and all.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]

LGPIO = """\
lgpio==0.2.2.0 \\
    --hash=sha256:a2f71fb95b149d8ac82c7c6bae70f054f6dc42a006ad35c90c7d8e54921fbcf4
"""


def main() -> None:
    """Print the requirements, sorted by name."""
    locked = _locked((ROOT / "requirements.lock").read_text())
    for name in sorted(_needed()):
        print(locked[name], end="")
    print(LGPIO, end="")


def _locked(lock: str) -> dict[str, str]:
    """Each package's own lines, by its name."""
    starts = list(re.finditer(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE))
    ends = [start.start() for start in starts[1:]] + [len(lock)]
    return {
        canonicalize_name(start[1]): lock[start.start() : end]
        for start, end in zip(starts, ends, strict=True)
    }


def _needed() -> set[str]:
    """What pyproject.toml names for a unit, and what that requires, by what is installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["unit"]]
    waiting = [Requirement(line) for line in named]
    found: set[str] = set()
    while waiting:
        name = canonicalize_name(waiting.pop().name)
        if name in found:
            continue
        found.add(name)
        for line in metadata.requires(name) or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement)
    return found


if __name__ == "__main__":
    main()
