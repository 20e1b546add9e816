"""Names: a class name occurs once in the project; no variable is named by grammar alone."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT_ROOMS = ("edge", "firmware", "hardware", "provisioning", "server_stub")
PRODUCT = sorted(
    str(p.relative_to(ROOT)) for room in PRODUCT_ROOMS for p in (ROOT / room).rglob("*.py")
)
TESTS = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*.py"))
SOURCES = [path for path in PRODUCT + TESTS if not path.startswith("tests/upgrade/0")]
GRAMMAR = {"said", "told", "found", "wanted", "known"}
PLAIN_ROOMS = (
    "edge/__main__.py",
    "edge/assembly.py",
    "edge/commissioning.py",
    "edge/doorway/",
    "edge/judge/",
    "edge/loop.py",
    "edge/passing/",
    "edge/report/",
    "provisioning/",
    "server_stub/",
)
"""Rooms whose names are plain already."""


def tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text("utf-8"))


def bound(module: ast.Module) -> set[str]:
    """Every name that is assigned, defined or a parameter, underscores in front left out."""
    names: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
    return {name.lstrip("_") for name in names}


def test_a_class_name_occurs_once_in_the_project() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in SOURCES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    assert {name: at for name, at in places.items() if len(at) > 1} == {}


@pytest.mark.parametrize("path", [path for path in PRODUCT if path.startswith(PLAIN_ROOMS)])
def test_no_variable_is_named_by_grammar(path: str) -> None:
    assert bound(tree(path)) & GRAMMAR == set()


def test_the_check_sees_each_kind_of_name() -> None:
    module = ast.parse("def f(told): self._said, x = 1, 2\nfor found in x: pass\nknown: int = 1")
    assert bound(module) & GRAMMAR == {"told", "said", "found", "known"}
