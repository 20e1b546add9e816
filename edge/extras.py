"""Which extra brings a library that is not installed: one sentence, the same for all commands.

The extras are read from the metadata that pip installs with the package (pyproject.toml makes it).
"""

import re
import sys
from importlib import metadata, util

_PACKAGE = "menshen"
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"""\bextra\s*==\s*["']([A-Za-z0-9._-]+)["']""")


def sentence(error: ModuleNotFoundError, own: str) -> str | None:
    """What is missing and how to install it; None if no extra would help.

    `own` is the extra of the command that runs.
    """
    module = (error.name or "").partition(".")[0]
    if not module or module in sys.stdlib_module_names or _installed(module):
        return None
    extra = of(module, own)
    return f'{module} is not installed; install it with: pip install "{_PACKAGE}[{extra}]"'


def of(module: str, own: str) -> str:
    """The extra that brings `module`: one that names it, or else `own`.

    An extra names the distribution. If that has another name than its module, the extra itself has
    the module's name.
    """
    name = _canonical(module)
    naming = [extra for extra, names in _extras().items() if name in names or name == extra]
    return naming[0] if naming and own not in naming else own


def _extras() -> dict[str, set[str]]:
    """Each extra with the distributions that it adds; empty if the package is not installed."""
    try:
        lines = metadata.requires(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        lines = []
    extras: dict[str, set[str]] = {}
    for line in lines:
        extra, name = _EXTRA.search(line), _NAME.match(line)
        if extra and name:
            extras.setdefault(_canonical(extra[1]), set()).add(_canonical(name[0]))
    return extras


def _installed(module: str) -> bool:
    """Whether the module is there and only a part of it is missing: no extra would help."""
    try:
        return util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
