"""CONTRIBUTING.md and SECURITY.md: what they name is there, and they stay short."""

import re

import pytest

from tests import ROOT

LINES_MAX = {"CONTRIBUTING.md": 110, "SECURITY.md": 60}
PATH = r"`((?:\.ci|\.github|bench|edge|firmware|fuzz|server_stub|tests)/[\w./-]*)`"


@pytest.fixture(params=LINES_MAX)
def page(request: pytest.FixtureRequest) -> str:
    text = (ROOT / request.param).read_text("utf-8")
    assert len(text.splitlines()) <= LINES_MAX[request.param]
    return text


def test_every_file_and_folder_that_a_page_names_is_there(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)", page)
    assert len(links) >= 4
    for name in (*links, *re.findall(PATH, page)):
        assert (ROOT / name).exists() or (ROOT / "tests" / name).exists(), name


def test_every_target_that_a_page_makes_exists(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = re.findall(r"(?:`|^    )make ([a-z][a-z-]*)", page, re.MULTILINE)
    assert named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_that_a_page_names_exists(page: str) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for command in re.findall(r"`(menshen-[a-z]+) --version`", page):
        assert f"\n{command} = " in project
