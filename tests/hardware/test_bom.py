"""bom.csv names every part of the board's schematic, and every part of the wiring drawings."""

import csv
import io
import re
from pathlib import Path

import pytest

from hardware.circuit import make
from hardware.drawings import bom, wiring

HARDWARE = Path(bom.__file__).parents[1]
TABLE = list(csv.DictReader(io.StringIO((HARDWARE / "bom.csv").read_text("utf-8")), strict=True))

DRAWN = {
    "A1": "the board",
    "B1": "battery",
    "G1": "clock",
    "H1": "green light",
    "H2": "red light",
    "H3": "buzzer",
    "H4": "illuminator",
    "JP9": "the jumper is a lead",
    "K9": "fire panel's relay",
    "P1": "supply with charger",
    "P2": "converter to 5 V",
    "P3": "converter to 5 V",
    "Q9": "photorelay",
    "S1": "exit button",
    "S2": "door contact",
    "S3": "lid switch",
    "S4": "help button",
    "S5": "the turnstile's own",
    "S6": "the turnstile's own",
    "S7": "re-arm button",
    "U1": "USB to RS-485",
    "V1": "Schottky diode",
    "X1": "computer",
    "X2": "controller",
    "X3": "computer",
    "X4": "computer",
    "Y1": "lock",
}
"""Parts of wiring.toml to their lines in the list."""

NO_LINE = {"the board", "the jumper is a lead", "the turnstile's own"}


def schematic() -> set[str]:
    """The references of the board, from the KiCad sheets themselves."""
    found = set()
    for sheet in (HARDWARE / "circuit").glob("*.kicad_sch"):
        found |= set(re.findall(r'\(reference "([A-Z]+\d+)"\)', sheet.read_text("utf-8")))
    assert len(found) > 100
    return found


def test_the_list_is_todays() -> None:
    assert (HARDWARE / "bom.csv").read_text("utf-8") == bom.text(), "run: make drawings"


def test_every_reference_of_the_schematic_is_in_the_list_once() -> None:
    listed = [reference for row in TABLE for reference in row["references"].split()]
    assert sorted(listed) == sorted(schematic())


def test_the_board_has_as_many_of_each_as_it_has_references() -> None:
    for row in TABLE:
        if row["references"]:
            count = len(row["references"].split())
            assert row["direct"] == row["controlled"] == str(count), row["part"]


def test_every_part_of_the_drawings_is_in_the_list() -> None:
    lines = {row["part"]: row for row in TABLE}
    parts = wiring.read().parts
    assert set(DRAWN) == set(parts)
    for name, line in DRAWN.items():
        if line not in NO_LINE:
            for drawing in parts[name].drawings:
                assert int(lines[line][drawing]) > 0, (name, drawing)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["part"])
def test_each_line_can_be_bought_from_two_and_says_why(row: dict[str, str]) -> None:
    assert row["maker"]
    assert row["number"]
    assert row["for"]
    assert row["source"]
    assert row["second_number"], "a second source, or - and why there is none"
    assert int(row["direct"]) + int(row["controlled"]) > 0


def test_the_drawings_name_the_boards_terminals_as_the_board_does() -> None:
    assert [name.removeprefix("+") for name in make.HEADER] == wiring.read().board.header
    for block, name in enumerate(make.INPUTS, 11):
        label = wiring.read().parts["A1"].labels[f"J{block}.1"]
        assert label.split(",")[0].replace(" ", "_") in name, f"J{block}"
    for block, name in enumerate(make.OUTPUTS, 21):
        assert wiring.read().parts["A1"].labels[f"J{block}.2"] == name
