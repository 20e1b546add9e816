"""The fault table names tests and drawings that are there, and each kind of fault."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.doorway.door_signals import Signal, action
from hardware import pins
from hardware.drawings import bom, wiring
from tests import ROOT

TESTS = ROOT / "tests"
HARDWARE = TESTS.parent / "hardware"
README = (HARDWARE / "README.md").read_text("utf-8")
BRING_UP = (HARDWARE / "bring-up.md").read_text("utf-8")


def rows() -> Iterator[list[str]]:
    """The cells of each line of the fault tables."""
    _, _, faults = README.partition("\n## Faults\n")
    for line in faults.splitlines():
        if line.startswith("| ") and not line.startswith("| fault |"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


ROWS = list(rows())


def named_in(path: Path) -> set[str]:
    """The tests of a file: functions, and methods of unittest's classes."""
    found = ast.walk(ast.parse(path.read_bytes()))
    return {n.name for n in found if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_shows_a_fault_is_there(row: list[str]) -> None:
    assert len(row) == 5
    assert all(row[:4])
    shown = re.findall(r"`([^`]+)`", row[4])
    for name in shown:
        file, _, test = name.partition("::")
        if test:
            assert (TESTS / file).is_file(), f"tests/{file} is missing"
            assert test in named_in(TESTS / file), f"tests/{file} has no {test}"
        else:
            assert (HARDWARE / file).is_file(), f"hardware/{file} is missing"
    assert shown or "](bring-up.md)" in row[4], "nothing shows it"


@pytest.mark.parametrize("row", [row for row in ROWS if "**" in " ".join(row)], ids=lambda r: r[0])
def test_what_nothing_detects_is_said_and_looked_for_by_hand_or_drawn(row: list[str]) -> None:
    assert re.search(r"bring-up\.md|\.svg", row[4]), "by whom is it found then"


def test_every_kind_of_fault_has_its_line() -> None:
    """Each input both ways, each process, each supply, and what is stuck."""
    said = "\n".join(row[0] for row in ROWS)
    for thing in ("fire contact's cable", "exit button's cable", "door contact", "turn sensor",
                  "tamper switch", "help button"):  # fmt: skip
        assert f"{thing} cut" in said, thing
        assert f"{thing} shorted" in said, thing
    for fault in ("killed", "kernel hung", "mains lost", "battery dead", "13.8 V lost", "5 V lost",
                  "contact welded, fail-safe", "contact welded, fail-secure", "limit stuck",
                  "RS-485 cut, shorted or swapped", "listened to", "SD card pulled",
                  "camera unplugged", "Pico's program", "F1 blown", "F2 blown"):  # fmt: skip
        assert fault in said, fault


def test_the_tests_by_hand_that_the_table_leans_on_are_on_the_page() -> None:
    for words in ("fire test", "exit test", "limit test", "power-off test"):
        assert re.search(rf"^##+ .*{words}", BRING_UP, re.MULTILINE | re.IGNORECASE), words
        assert words in README
    assert re.search(r"^## 5\b", BRING_UP, re.MULTILINE), "step 5, named in the table"


@pytest.mark.parametrize("cut", ["green", "red", "buzzer"])
def test_what_a_person_is_told_differs_without_any_one_of_lights_and_buzzer(cut: str) -> None:
    told = set(Signal) - {Signal.NOT_READY, Signal.SHUT_ME}  # these answer no code
    left = {"green", "red", "buzzer"} - {cut}
    shown: dict[tuple[object, ...], Signal] = {}
    for signal in told:
        levels = [(s.at_ms, *(getattr(s, n) for n in sorted(left))) for s in action(signal).steps]
        seen = tuple(now for was, now in zip([(), *levels], levels, strict=False)
                     if was[1:] != now[1:])  # fmt: skip
        assert any(any(step[1:]) for step in seen), f"{signal}: nothing is left of it"
        assert shown.setdefault(seen, signal) is signal, f"{signal} is as {shown[seen]}"


def test_the_bring_up_page_shows_the_drawings() -> None:
    for drawing in ("direct", "controlled", "fail-safe", "fail-secure", "mounting"):
        assert f"![{drawing}]({drawing}.png)" in BRING_UP


def test_the_bring_up_page_names_todays_pins_and_the_boards_own_limit() -> None:
    relay = pins.read().pins["relay"].bcm
    assert re.findall(r"pinctrl set (\d+) op", BRING_UP) == [str(relay)] * 2
    header = wiring.read().board.header
    for place, name in ((1, "3V3"), (2, "GND"), (3, "relay")):
        assert header[place - 1] == name
        assert f"J1.{place}" in BRING_UP
    limit = "10.4 to 11.5 s"
    assert limit in BRING_UP
    assert limit in README
    assert limit.split()[2] in (HARDWARE / "circuit" / "make.py").read_text("utf-8")


def test_each_terminal_that_is_measured_is_the_boards() -> None:
    text = BRING_UP.partition("## 3 ")[2]
    made = {int(n) for row in bom.rows(bom.BOARD) for n in re.findall(r"J(\d+)", row["references"])}
    named = {int(n) for n in re.findall(r"\bJ(\d+)", text)}
    assert named <= made
    assert {4, 5, 7, 8, *range(11, 18)} <= named, "what is not measured is not safe"
