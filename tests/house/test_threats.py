"""The page of threats: what it calls stopped, a test stops; every test that it names is there."""

import ast
import re

import pytest

from tests import ROOT

TESTS = ROOT / "tests"
PAGE = TESTS.parent / "edge" / "wire" / "threats.md"
ROWS = [
    [cell.strip() for cell in line.strip("| \n").split(" | ")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| they", "| what |"))
]
NAMED = re.compile(r"`([a-z_/]+\.py)::(test_\w+)`")


def names_in(name: str) -> set[str]:
    """The tests of a file that are expected to pass."""
    tree = ast.parse((TESTS / name).read_text(encoding="utf-8"))
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {t.name for t in tests if not any("xfail" in ast.unparse(d) for d in t.decorator_list)}


@pytest.mark.parametrize("named", sorted(set(NAMED.findall(PAGE.read_text()))), ids="::".join)
def test_a_test_that_is_named_is_there(named: tuple[str, str]) -> None:
    file, test = named
    assert test in names_in(file), f"threats.md names {file}::{test}, which is not there, or fails"


def test_what_is_stopped_names_the_test() -> None:
    assert len(ROWS) >= 40
    stopped = [row for row in ROWS if "**stopped**" in row[-1]]
    assert len(stopped) >= 20
    for row in stopped:
        assert NAMED.search(row[-1]), f"stopped, it says, and names no test: {row[0]}"


def test_every_row_says_what_is_so() -> None:
    for row in ROWS:
        assert len(row) == 3, row
        assert re.search(
            r"\*\*(stopped|lessened|open)\*\*|`[a-z_/]*test_|by the roles|two are", row[-1]
        ), row


def test_it_is_honest() -> None:
    """A page on which everything is stopped would be a page of advertisement."""
    kinds = [re.search(r"\*\*(stopped|lessened|open)\*\*", row[-1]) for row in ROWS]
    words = [kind[1] for kind in kinds if kind]
    assert words.count("open") >= 8
    assert words.count("lessened") >= 8
