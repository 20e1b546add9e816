"""The table of words: every text in every language, every text that is used, none that is not."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import jinja2
import pytest
from jinja2 import nodes

from edge import parts, words
from edge.look import figures
from edge.wire import report
from server_stub.operating import overview
from tests import ROOT
from tests.conftest import write_unit

TABLE = words.table()
LANGUAGES = tuple(TABLE["common"]["language"])
PLACES = {
    "look": "edge/look",
    "operators": "server_stub/operating",
    "paper": "server_stub/issuing",
    "wallet": "server_stub/wallet",
}
"""The files that say the words of a section."""


# The table by itself.


def faults(table: Any) -> list[str]:
    """One sentence for each thing that is wrong with `table`."""
    languages = list(table["common"]["language"])
    wrong = [f"{one}: write a language in small letters" for one in languages if one.lower() != one]
    for section, entries in table.items():
        for key, entry in entries.items():
            name = f"{section}.{key}"
            if not re.fullmatch("[a-z][a-z0-9-]*", key):
                wrong.append(f"{name}: write a key in small letters, digits and hyphens")
            if section != "common" and key in table["common"]:
                wrong.append(f"{name}: is in common as well")
            wrong += [f"{name}: no {one}" for one in languages if not entry.get(one)]
            wrong += [f"{name}: {one} is no language of this table" for one in entry
                      if one not in languages]  # fmt: skip
            first = sorted(words.SLOT.findall(entry.get(languages[0], "")))
            for one, text in entry.items():
                if sorted(words.SLOT.findall(text)) != first:
                    wrong.append(f"{name}: {one} has other places than {languages[0]}")
                if "{" in words.SLOT.sub("", text) or "}" in words.SLOT.sub("", text):
                    wrong.append(f"{name}: {one} has a brace that is no place")
    return wrong


def test_every_text_is_there_in_every_language_with_the_same_places() -> None:
    assert faults(TABLE) == []
    assert set(LANGUAGES) >= {"en", "zh"}
    assert set(TABLE) == {"common", *PLACES}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ('[look]\na.en = "A"', "look.a: no zh"),
        ('[look]\na.en = "A"\na.zh = ""', "look.a: no zh"),
        ('[look]\na.en = "A"\na.zh = "甲"\na.fr = "A"', "look.a: fr is no language of this table"),
        ('[look]\na.en = "A {n}"\na.zh = "甲"', "look.a: zh has other places than en"),
        ('[look]\na.en = "A {n}"\na.zh = "甲 {m}"', "look.a: zh has other places than en"),
        ('[look]\na.en = "A {n:.1f}"\na.zh = "甲 {n:.1f}"', "look.a: en has a brace"),
        ('[look]\na.en = "A"\na.zh = "甲 {"', "look.a: zh has a brace"),
        ('[look]\nA_.en = "A"\nA_.zh = "甲"', "look.A_: write a key in small letters"),
        ('[look]\ntag.en = "A"\ntag.zh = "甲"', "look.tag: is in common as well"),
    ],
)  # fmt: skip
def test_a_broken_entry_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    common = 'language.en = "English"\nlanguage.zh = "中文"\ntag.en = "en"\ntag.zh = "zh-CN"'
    path = tmp_path / "words.toml"
    path.write_text(f"[common]\n{common}\n{line}\n", encoding="utf-8")
    assert any(fault.startswith(sentence) for fault in faults(words.table(path)))


# The table and its readers.


def the(*types: Any) -> set[str]:
    """The values of these Literals."""
    return {str(value) for one in types for value in get_args(one)}


def files(section: str, suffix: str) -> Iterator[str]:
    """The content of each file of `section` whose name ends so."""
    for path in sorted((ROOT / PLACES[section]).rglob(f"*{suffix}")):
        yield path.read_text("utf-8")


def calls(section: str, *names: str) -> Iterator[ast.Call]:
    """The calls of functions `names` in the Python files of `section`."""
    for content in files(section, ".py"):
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
                if name in names:
                    yield node


def constants(node: ast.expr) -> set[str]:
    """The texts that this expression may be, where it says so itself."""
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def advice_keys() -> set[str]:
    """Of every Advice that is made."""
    keys: set[str] = set()
    for call in calls("look", "Advice", "replace"):
        if getattr(call.func, "id", "") == "Advice":
            keys |= constants(call.args[0])
        keys |= {k for word in call.keywords if word.arg == "key" for k in constants(word.value)}
    return keys | the(parts.Trouble)


FAMILIES = {
    "look": the(figures.Kind) | {f"advice-{key}" for key in advice_keys()},
    "operators": set(report.CATEGORIES)
    | {f"alarm-{alarm}" for alarm in report.ALARMS}
    | the(overview.Status)
    | {f"why-{status}" for status in the(overview.Status) - {"online", "offline"}}
    | {f"tally-{part}" for part in ("online", "not", "problem")}
    | {why.value for why in overview.NoCountReason}
    | {part for part in overview.PARTS if part != "rtc" or "rtc" in the(report.ClockSource)}
    | {value for part in overview.PARTS for value in report.KNOWN_WORDS[part]} - {"none"}
    | {"login-local", "login-open"},
    "paper": set(),
    "wallet": {f"{colour}{part}" for colour in overview.COLOURS for part in ("", "-means", "-do")}
    | {f"bearer-{why}" for why in re.findall(r'why: "(\w+)"', "".join(files("wallet", "vault.js")))}
    | {"used", "unknown", "key"},
}  # fmt: skip
"""Keys that a program puts together, or is sent: of reports, of the issuer's errors."""


class Use(NamedTuple):
    """A key as a file has it; `values` that it is given, None where the file does not show."""

    key: str
    values: frozenset[str] | None


def uses(section: str) -> Iterator[Use]:
    """Every key that a file of `section` names in a call or in HTML."""
    for call in calls(section, "say", "in_each"):
        names = {word.arg for word in call.keywords}
        values = None if None in names else frozenset(filter(None, names))
        at = 0 if getattr(call.func, "attr", "") == "in_each" else 1
        yield from (Use(key, values) for key in constants(call.args[at]))
    for content in files(section, ".html"):
        yield from (
            Use(key, frozenset()) for key in re.findall(r'data-say(?:-alt)?="([^"]*)"', content)
        )
    for folder in (ROOT / PLACES[section]).glob("templates"):
        for path in sorted(folder.iterdir()):
            yield from uses_in_template(path.read_text("utf-8"))
    for content in files(section, ".js"):
        yield from uses_in_script(content)


def uses_in_template(content: str) -> Iterator[Use]:
    for call in jinja2.Environment(autoescape=True).parse(content).find_all(nodes.Call):
        if getattr(call.node, "name", "") == "say" and isinstance(call.args[0], nodes.Const):
            yield Use(call.args[0].value, frozenset(word.key for word in call.kwargs))


def uses_in_script(content: str) -> Iterator[Use]:
    found = re.findall(r'\b(say|complain|tryAgain)\(\s*"([^"]*)"(.)', content)
    for function, key, after in found:  # complain and tryAgain say it later, with values
        yield Use(key, frozenset() if (function, after) == ("say", ")") else None)
    for key in re.findall(r'\bsayIn\(.*, "([^"]*)"\)', content):
        yield Use(key, frozenset())


@pytest.mark.parametrize("section", PLACES)
def test_every_key_that_a_program_names_is_in_the_table(section: str) -> None:
    used = {use.key for use in uses(section)} | FAMILIES[section]
    assert len(used) > (0 if section == "paper" else 30)
    assert used - TABLE[section].keys() - TABLE["common"].keys() == set()


@pytest.mark.parametrize("section", PLACES)
def test_every_text_of_the_table_is_used(section: str) -> None:
    content = "".join(text for suffix in (".py", ".js", ".html") for text in files(section, suffix))
    quoted = set(re.findall(r"[\"'`]([a-z][a-z0-9-]*)[\"'`]", content))
    assert TABLE[section].keys() - quoted - FAMILIES[section] == set()


@pytest.mark.parametrize("section", PLACES)
def test_every_place_of_a_text_is_given_its_value(section: str) -> None:
    entries = TABLE["common"] | TABLE[section]
    for use in uses(section):
        if use.values is not None:
            assert use.values >= set(words.SLOT.findall(entries[use.key]["en"])), use


def test_the_walk_sees_each_kind_of_use() -> None:
    template = (
        '{{ say("since", time=clock(1)) }}{{ say("tally-" ~ name) }}{% if say("up") %}{% endif %}'
    )
    assert list(uses_in_template(template)) == [
        Use("since", frozenset({"time"})),
        Use("up", frozenset()),
    ]
    script = 'a(say("one")); say(\n"two", {n}); sayIn(nextLanguage(l), "three"); complain("four")'
    assert [(use.key, use.values is not None) for use in uses_in_script(script)] == [
        ("one", True),
        ("two", False),
        ("four", False),
        ("three", True),
    ]
    assert Use("refused", frozenset()) in list(uses("look"))
    assert Use("ends", frozenset({"time"})) in list(uses("look"))
    assert Use("trust-of", frozenset({"version", "days"})) in list(uses("operators"))
    assert {"advice-turn-back", "advice-nearer", "advice-dirty"} <= FAMILIES["look"]


# The loader, in Python and on the phone.

SMALL = """
[common]
language.en = "English"
language.zh = "中文"
language.pt-br = "português"
[look]
count.en = "{n} of {all}"
count.zh = "共 {all}，其 {n}"
count.pt-br = "{n} de {all}"
new.en = "not translated yet"
"""


@pytest.fixture
def small(tmp_path: Path) -> words.Words:
    path = tmp_path / "words.toml"
    path.write_text(SMALL, encoding="utf-8")
    return words.section("look", path)


def test_a_language_is_one_more_column(small: words.Words) -> None:
    assert small.languages == ("en", "zh", "pt-br")
    assert small.say("pt-br", "count", n=1, all=2) == "1 de 2"
    assert small.say("zh", "count", n=1, all=2) == "共 2，其 1"
    assert small.in_each("language") == ["English", "中文", "português"]


def test_a_text_that_is_missing_ends_no_program(small: words.Words) -> None:
    assert small.say("zh", "new") == "not translated yet"
    assert small.say("zh", "never-heard-of") == "never-heard-of"
    assert small.say("en", "count", n="{all}") == "{all} of {all}"


WANTED = [
    ("", "en"),
    ("C.UTF-8", "en"),
    ("POSIX", "en"),
    ("zh_CN.UTF-8", "zh"),
    ("zh_Hant_TW@calendar=roc", "zh"),
    ("zh", "zh"),
    ("ZH-cn,en;q=0.8", "zh"),
    ("fr-FR, fr;q=0.9, zh;q=0.8, en;q=0.7", "zh"),
    ("en-GB,zh;q=0.5", "en"),
    ("pt_BR.UTF-8", "pt-br"),
    ("pt-PT", "en"),
    ("zhx", "en"),
    ("*", "en"),
]


@pytest.mark.parametrize(("wanted", "language"), WANTED)
def test_the_first_language_of_the_reader_that_is_here(
    small: words.Words, wanted: str, language: str
) -> None:
    assert small.choose(wanted) == language


@pytest.mark.system
def test_a_phone_chooses_and_says_the_same(small: words.Words, tmp_path: Path) -> None:
    (tmp_path / "words.mjs").write_bytes(small.script())
    lists = [
        [re.split("[.@;]", tag.strip())[0].replace("_", "-") for tag in wanted.split(",")]
        for wanted, _ in WANTED
    ]
    program = f"""import {{say, chooseLanguage, nextLanguage}} from "./words.mjs";
    console.log(JSON.stringify({{
      chosen: {json.dumps(lists)}.map((list) => chooseLanguage(list)),
      none: chooseLanguage([]),
      next: ["en", "zh", "pt-br"].map(nextLanguage),
      said: [say("zh", "count", {{n: 1, all: 2}}), say("pt-br", "new"), say("en", "never-heard-of"),
        say("en", "count", {{n: "{{all}}"}})],
    }}))"""
    node = shutil.which("node")
    assert node is not None, "make test brings it in"
    done = subprocess.run(
        [node, "--input-type=module", "-e", program],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert json.loads(done.stdout) == {
        "chosen": [language for _, language in WANTED],
        "none": "en",
        "next": ["zh", "pt-br", "en"],
        "said": ["共 2，其 1", "not translated yet", "never-heard-of", "{all} of {all}"],
    }


@pytest.mark.system
def test_a_running_unit_does_not_load_the_table(tmp_path: Path) -> None:
    unit = write_unit(tmp_path, int(time.time()))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "edge", "run", str(unit), "--seconds", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock"},
    )
    assert done.returncode == 0, done.stderr
    modules = set(re.findall(r"^import time:[^|]*\|[^|]*\| +([\w.]+)$", done.stderr, re.MULTILINE))
    assert {"edge.loop", "edge.doorway.door_signals"} <= modules
    assert "edge.words" not in modules
