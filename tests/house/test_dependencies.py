"""DEPENDENCIES.md: each package of pyproject.toml has its row, and no row names what is gone."""

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement

from tests import ROOT

PAGE = (ROOT / "DEPENDENCIES.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
ALIASES = {
    "tzdata": "zoneinfo",
    "pip-tools": "pip-compile",
    "pytest-xdist": "--dist",
    "pytest-cov": "--cov",
}
"""What a file says that uses a package by another name than that of its module."""


def rows(heading: str) -> dict[str, list[str]]:
    """The other cells of each row of a section's table, by the names in its first cell."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, heading
    table: dict[str, list[str]] = {}
    for line in section[1].splitlines():
        first, *others = (cell.strip() for cell in line.strip("| ").split(" | "))
        for name in re.findall(r"`([^`]+)`", first) if line.startswith("| `") else ():
            assert name not in table, f"{name} has two rows"
            table[name] = others
    return table


def wanted() -> dict[str, set[str]]:
    """Each package of pyproject.toml with its extras; "base" is none."""
    packages: dict[str, set[str]] = {}
    for extra, lines in [("base", PROJECT["dependencies"]), *EXTRAS.items()]:
        for line in lines:
            packages.setdefault(Requirement(line).name, set()).add(extra)
    return packages


PACKAGES, PROGRAMS = rows("Python packages"), rows("Programs and sources")


def test_every_package_has_its_row_with_its_extras_and_no_row_is_left_over() -> None:
    assert {name: set(cells[0].split(", ")) for name, cells in PACKAGES.items()} == wanted()


def test_every_extra_has_its_row() -> None:
    assert set(rows("Extras")) == set(EXTRAS)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_used_where_its_row_says(name: str) -> None:
    _, why, where = PACKAGES[name]
    assert why
    modules = [module for module, names in metadata.packages_distributions().items()
               if name in [each.lower().replace("_", "-") for each in names]]  # fmt: skip
    names = {name, ALIASES.get(name, name), *modules}
    text = (ROOT / where.strip("`")).read_text("utf-8")
    assert any(each in text for each in names), f"{where} names none of {names}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_in_a_list_that_make_installs_and_is_used_where_its_row_says(
    name: str,
) -> None:
    why, where = PROGRAMS[name]
    assert why
    assert (ROOT / where.strip("`")).is_file()
    lists = [*(ROOT / ".ci").glob("apt-*"), *(ROOT / ".ci").glob("trixie-*")]
    lines = [line for path in lists for line in path.read_text("utf-8").splitlines()]
    assert name in " ".join(line for line in lines if not line.startswith("#")).split()
