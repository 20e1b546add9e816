"""The pages: each is in the map, links and commands are there, the two READMEs say the same."""

import ast
import builtins
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import edge.__main__ as edge
import provisioning.__main__ as provision
import server_stub.__main__ as server
from tests import ROOT

COMMANDS = {
    f"menshen-{name}": dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    for name, app in (("edge", edge.app), ("provision", provision.app), ("server", server.app))
}
MADE = {"build", "dist", "node_modules"}  # what no commit holds
LINES_MAX = 120  # of README.md: five minutes


def pages() -> Iterator[str]:
    """Every page of the repository, without what is hidden or made."""
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [each for each in folders if not each.startswith(".") and each not in MADE]
        pages_here = (Path(folder, file) for file in files if file.endswith(".md"))
        yield from (page.relative_to(ROOT).as_posix() for page in pages_here)


def prose(text: str) -> str:
    """A page without its blocks of code: fenced, or indented by four after an empty line."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<=\n\n)(?: {4}.*\n|\n)+", "", text)


def links(page: str) -> set[str]:
    """The targets of a page's relative links and pictures."""
    text = prose((ROOT / page).read_text("utf-8"))
    text = re.sub(r"`[^`\n]*`", "", re.sub(r"\[`", "[", re.sub(r"`\]", "]", text)))
    targets = re.findall(r"\]\(([^()\s]+)\)", text) + re.findall(r'(?:src|href)="([^"]+)"', text)
    return {target for target in targets if not re.match(r"[a-z]+:", target)}


def anchors(path: Path) -> set[str]:
    """The fragments of a page's headings, as public forges make them."""
    made: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(path.read_text("utf-8")), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
        twice = sum(re.fullmatch(rf"{re.escape(slug)}(-\d+)?", each) is not None for each in made)
        made.add(f"{slug}-{twice}" if twice else slug)
    return made


def broken(page: str) -> list[str]:
    """Its links that lead nowhere."""
    wrong = []
    for target in sorted(links(page)):
        file, _, fragment = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        if not path.exists() or (fragment and fragment not in anchors(path)):
            wrong.append(target)
    return wrong


PAGES = sorted(pages())


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_an_anchor(page: str) -> None:
    assert not broken(page), f"{page} links what is not there"


def test_every_page_is_in_the_map() -> None:
    assert len(PAGES) > 30
    assert (
        set(PAGES) - {"PAGES.md"} - {link.partition("#")[0] for link in links("PAGES.md")} == set()
    )


@pytest.mark.parametrize(
    ("page", "other"), [("README.md", "README.zh.md"), ("README.zh.md", "README.md")]
)
def test_readme_links_the_other_language_and_the_map_first(page: str, other: str) -> None:
    first = re.findall(r"\]\(([\w.]+\.md)\)", (ROOT / page).read_text("utf-8"))
    assert first[:2] == [other, "PAGES.md"]


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_readme_is_read_in_five_minutes(page: str) -> None:
    assert len((ROOT / page).read_text("utf-8").splitlines()) <= LINES_MAX


def test_both_readmes_link_the_same_pages_and_each_other() -> None:
    english, chinese = links("README.md"), links("README.zh.md")
    assert english - {"README.zh.md"} == chinese - {"README.md"}
    assert "README.zh.md" in english
    assert "README.md" in chinese


def test_both_readmes_name_the_same_commands() -> None:
    english, chinese = (commands((ROOT / page).read_text("utf-8"))
                        for page in ("README.md", "README.zh.md"))  # fmt: skip
    assert english == chinese
    assert {"make demo", "make test"} <= english


def commands(text: str) -> set[str]:
    """What stands in blocks of code, without its comments, and `make …` in the text."""
    blocks = re.findall(r"^ {4}(\S.*?)(?: +#.*)?$", text, re.MULTILINE)
    named = re.findall(r"`((?:make|pip|menshen-\w+)\b[^`]*)`", text)
    return {*blocks, *(" ".join(each.split()) for each in named)}


@pytest.mark.parametrize("page", ["provisioning/README.md", "server_stub/README.md"])
def test_every_command_of_a_guide_is_there_with_its_options(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    lines = [line for line in commands(text) if re.match(r"(/\S+/)?menshen-\w+ \w", line)]
    assert len(lines) >= 8
    for line in lines:
        program, name, *words = shlex.split(line)
        command = COMMANDS[Path(program).name].get(name)
        assert command, f"{page}: {line}"
        options = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}, line


# What the pages of contributors, and of those who build a reader, name.

ADDING = [page for page in PAGES if Path(page).name.startswith("adding-")]
MAP = (ROOT / "PAGES.md").read_text("utf-8").partition("## The contributor")[2]
OF_BUILDERS = [page for page in PAGES if f"({page})" in MAP]
MADE_UP = re.compile(r"mains_fault|club|VOID|check_void|MAINS|[A-Z]\d+(\.\d)?$")
"""What the three pages add as an example, and terminals of the board."""
ELSEWHERE = {"msgspec.Struct", "log.warning", *dir(builtins)}


def paths(text: str) -> set[str]:
    """The files and folders of the repository that a page names; not links, not other projects'."""
    text = re.sub(r"\]\([^)]*\)|.*https?://.*", "", prose(text))
    houses = "edge|firmware|hardware|provisioning|server_stub|tests"
    found = re.findall(rf"(?<![\w./-])(?:{houses})/[\w./-]*[\w/]", text)
    return {path for path in found if not MADE_UP.search(path)}


def names(text: str) -> set[str]:
    """The functions, classes and constants that a page names: `Door.read_inputs`, `read(text)`."""
    marked = re.findall(r"(?<!`)`([A-Za-z_][\w.]*)(\([^`]*\))?`(?!`)", prose(text))
    found = {name for name, call in marked if call or re.search(r"_|[A-Z](?!.*\.md$)", name)}
    return {name for name in found - ELSEWHERE if "/" not in name and not MADE_UP.search(name)}


def defined(path: Path) -> set[str]:
    """Every name that a Python file, or those of a folder, defines, parameters among them."""
    found: set[str] = set()
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
    return found


@pytest.mark.parametrize("page", OF_BUILDERS)
def test_every_path_on_a_builders_page_is_there(page: str) -> None:
    assert set(ADDING) < set(OF_BUILDERS)
    gone = [path for path in paths((ROOT / page).read_text("utf-8")) if not (ROOT / path).exists()]
    assert not gone, f"{page} names what is not there"


@pytest.mark.parametrize("page", ADDING)
def test_every_name_on_an_adding_page_is_defined_in_a_file_that_the_page_names(page: str) -> None:
    assert len(ADDING) >= 3
    text = (ROOT / page).read_text("utf-8")
    files = [ROOT / path for path in paths(text) if path.endswith((".py", "/"))]
    known = set().union(*map(defined, files))
    named = names(text)
    assert len(named) > 10
    gone = {name for name in named if not set(name.split(".")) <= known}
    assert not gone, f"{page} names what none of its files defines"
    assert len(text.splitlines()) <= 95


def test_a_path_and_a_name_that_are_gone_are_noticed() -> None:
    text = "`edge/loop.py`, `Loop.tick` and `edge/gone.py`: `gone()`, `Gone.x`, `word`, `x = 1`."
    assert paths(text) == {"edge/loop.py", "edge/gone.py"}
    assert names(text) == {"Loop.tick", "gone", "Gone.x"}
    assert {"Loop", "tick"} <= defined(ROOT / "edge/loop.py")
    assert not {"gone", "Gone"} & defined(ROOT / "edge/loop.py")


def test_a_link_that_leads_nowhere_and_an_anchor_that_is_gone_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.house.test_pages.ROOT", tmp_path)
    (tmp_path / "a.md").write_text(
        "# A page\n\n## What it is, in `short`\n\n[b](b.md) [b](b.md#here) [c](c.md) "
        "[a](#what-it-is-in-short) [a](#gone)\n\n    [code](d.md)\n\n![p](p.png) [out](https://x.y)\n"
    )
    (tmp_path / "b.md").write_text("# There\n")
    assert broken("a.md") == ["#gone", "b.md#here", "c.md", "p.png"]


def test_the_glossary_has_at_most_40_terms_and_each_once() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "GLOSSARY.md").read_text("utf-8"), re.MULTILINE)
    terms = [row for row in rows if row not in ("term", "---")]
    assert 30 <= len(terms) <= 40
    assert len(set(terms)) == len(terms)
