"""The drawings say what their data says, and the data what the board and the pins say."""

import copy
import re
import shutil
from html import unescape
from pathlib import Path

import pytest
import yaml

from hardware import pins
from hardware.circuit import make
from hardware.drawings import bom, locks, mounting, pictures, wiring

HARDWARE = Path(mounting.__file__).parents[1]
PAGES = {**{name: draw() for name, draw in locks.DRAWINGS.items()}, "mounting": mounting.svg()}
MAKE = "it is not what its data says; run: make drawings"


def letters(svg: Path) -> list[str]:
    """Every text of an SVG, in order."""
    found = re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text("utf-8"))
    return [" ".join(unescape(text).split()) for text in found]


@pytest.mark.parametrize("name", wiring.DRAWINGS)
def test_a_harness_was_drawn_from_todays_pins(name: wiring.Drawing) -> None:
    source = wiring.text(name)
    assert (HARDWARE / f"{name}.yml").read_text("utf-8") == source, MAKE
    for suffix in (".svg", ".png"):
        assert pictures.stamp(HARDWARE / f"{name}{suffix}") == pictures.sum_of(source), MAKE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_was_drawn_from_todays_numbers(name: str) -> None:
    assert (HARDWARE / f"{name}.svg").read_text("utf-8") == PAGES[name], MAKE
    assert pictures.stamp(HARDWARE / f"{name}.png") == pictures.sum_of(PAGES[name]), MAKE


@pytest.mark.parametrize("name", wiring.DRAWINGS)
def test_a_drawing_names_every_part_every_pin_and_every_wire(name: wiring.Drawing) -> None:
    """The picture itself is read, whatever letters it was set in."""
    shown = letters(HARDWARE / f"{name}.svg")
    harness = yaml.safe_load(wiring.text(name))
    for part, said in harness["connectors"].items():
        assert part in shown
        assert said["type"] in shown
        for pin in (*said["pins"], *said.get("pinlabels", [])):
            assert str(pin) in shown, (part, pin)
    for cable in harness["cables"]:
        assert cable in shown
    ends = " | ".join(shown)
    for start, _, end in harness["connections"]:
        for side in (start, end):
            ((part, its),) = side.items()
            for pin in its:
                assert re.search(rf"\b{part}:{re.escape(str(pin))}(:| |$)", ends), (part, pin)


@pytest.mark.system
@pytest.mark.parametrize("name", wiring.DRAWINGS)
def test_wireviz_draws_it_here_too(name: wiring.Drawing, tmp_path: Path) -> None:
    if shutil.which("dot") is None:
        pytest.fail("dot is missing; run: make .cache/apt-drawings")
    pictures.write_svg(wiring.text(name), tmp_path, name)
    assert sorted(letters(tmp_path / f"{name}.svg")) == sorted(letters(HARDWARE / f"{name}.svg"))


def far_ends(name: wiring.Drawing) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Which pins a wire joins, both ways, from the YAML that was drawn."""
    joined: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for start, _, end in yaml.safe_load((HARDWARE / f"{name}.yml").read_text("utf-8"))[
        "connections"
    ]:
        ((one, pins_),), ((other, others),) = start.items(), end.items()
        for a, b in zip(pins_, others, strict=True):
            joined.setdefault((one, str(a)), set()).add((other, str(b)))
            joined.setdefault((other, str(b)), set()).add((one, str(a)))
    return joined


@pytest.mark.parametrize(("name", "host"), [("direct", "X1"), ("controlled", "X2")])
def test_each_pin_goes_to_its_own_terminal_of_the_board(name: wiring.Drawing, host: str) -> None:
    joined = far_ends(name)
    header = wiring.read().board.header
    file = pins.read()
    places = {n: pins.HEADER[p.bcm] for n, p in file.pins.items()}
    if host == "X2":
        places = {n: pins.PICO[p.gp] for n, p in file.controller.items() if p.gp in pins.PICO}
    for number, signal in enumerate(header, 1):
        if signal in places:
            assert joined["A1", f"J1.{number}"] == {(host, str(places[signal]))}, signal
    grounds = [n for n, signal in enumerate(header, 1) if signal == "GND"]
    theirs = [joined["A1", f"J1.{n}"] for n in grounds]
    assert len(set().union(*theirs)) == len(grounds), "each ground its own wire"


@pytest.mark.parametrize("name", wiring.DRAWINGS)
def test_the_locks_current_passes_fire_contact_and_exit_button_and_no_computer(
    name: wiring.Drawing,
) -> None:
    """Life safety, in the drawing as it is: J4 in, J5 fire, J8 exit, J7 lock (hardware/circuit)."""
    joined = far_ends(name)
    assert joined["K9", "11"] == {("A1", "J5.1")}
    assert joined["K9", "12"] == {("A1", "J5.2")}
    assert joined["S1", "11"] == {("A1", "J8.1")}
    assert joined["S1", "12"] == {("A1", "J8.2")}
    assert joined["Y1", "+"] == {("A1", "J7.1")}
    assert joined["Y1", "-"] == {("A1", "J7.2")}
    assert joined["A1", "J4.1"] == {("P1", "V+")}, "behind the battery, so that it is cut as well"


OHM_MM2_PER_M = 0.0178
"""Copper at 20 degrees, IEC 60228."""
CONTACTS_OHM = 0.25
"""F2 cold, and the contacts of relay, fire panel and button."""
BATTERY_V = 12.2
"""On its way down: bring-up.md changes a battery that has less after an hour."""


def lock_loop_ohm(name: wiring.Drawing) -> float:
    """Supply, fire contact, exit button, lock and back, as drawn."""
    loop = {"A1.J4.1", "A1.J5.1", "A1.J8.1", "A1.J7.1"}
    ohm = CONTACTS_OHM
    for cable in wiring.read().cables:
        if name in cable.drawings and any(
            end in wire.split() for wire in cable.wires for end in loop
        ):
            mm2 = re.search(r"([\d.]+) mm2", cable.type)
            assert mm2, cable.name
            ohm += OHM_MM2_PER_M * 2 * cable.length_m / float(mm2[1])
            loop = {end for end in loop if not any(end in w.split() for w in cable.wires)}
    assert not loop, "a piece of the loop is not drawn"
    return ohm


@pytest.mark.parametrize("name", wiring.DRAWINGS)
def test_the_lock_gets_its_volts_through_the_cables_as_drawn(name: wiring.Drawing) -> None:
    """And its fuse is one for that current, which a short at the far end blows."""
    lock = re.search(
        r"works from ([\d.]+) V; at most ([\d.]+) A",
        next(row["number"] for row in bom.rows(bom.DOOR) if row["part"] == "lock"),
    )
    assert lock
    volts, amperes = float(lock[1]), float(lock[2])
    ohm = lock_loop_ohm(name)
    assert BATTERY_V - amperes * ohm >= volts
    fuse = float(make.values()["F2"].partition("A")[0])
    assert 1.5 * amperes <= fuse <= 2 * amperes
    assert BATTERY_V / ohm >= 5 * fuse, "a time-lag fuse at five times its current: seconds"
    for page in ("README.md", "bring-up.md"):
        said = (HARDWARE / page).read_text("utf-8")
        assert f"{ohm:.1f} V for each" in said or f"{ohm:.1f} with F2" in said, page
        assert f"{amperes:g} A" in said


@pytest.mark.parametrize("name", wiring.DRAWINGS)
def test_the_doors_side_and_the_computers_share_no_wire(name: wiring.Drawing) -> None:
    """Walk the wires from the computer: the board and the converter are where they end."""
    joined = far_ends(name)
    isolating = {
        *(("P2", "Vi+"), ("P2", "Vi-"), ("P3", "Vi+"), ("P3", "Vi-")),
        *(("Q9", "3"), ("Q9", "4")),
    }
    todo = [end for end in joined if end[0] in {"X1", "X2", "X3"}]
    seen = set(todo)
    while todo:
        for other in joined[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    assert not seen & isolating
    assert {pin for part, pin in seen if part == "A1"} <= {
        *(f"J1.{n}" for n in range(1, 21)), "J3.1", "J3.2", "J3.3",
    }  # fmt: skip
    assert not {part for part, _ in seen} & {"P1", "K9", "S1", "Y1", "H1", "H2", "H3", "H4"}


WRONG = {
    "W13: Y1 has no pin ?": ("W13", "A1.J7.1 RD Y1.?"),
    "W13 goes to Y9, which is not in this drawing": ("W13", "A1.J7.1 RD Y9.+"),
    "'A1.J7.1 Y1.+' is not a wire": ("W13", "A1.J7.1 Y1.+"),
    "A1.J8.1 has wires of W12 and W13": ("W13", "A1.J8.1 RD Y1.+"),
    "X1.lift is not in pins.toml": ("W3", "P2.Vo+ RD X1.lift"),
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_data_is_one_sentence(sentence: str) -> None:
    name, wire = WRONG[sentence]
    file = copy.deepcopy(wiring.read())
    next(cable for cable in file.cables if cable.name == name).wires[0] = wire
    with pytest.raises(wiring.WiringError, match=re.escape(sentence)):
        wiring.harness("direct", file)


@pytest.mark.parametrize("number", mounting.read().numbers(), ids=lambda n: n.of)
def test_each_height_is_within_what_its_sources_ask(number: mounting.Number) -> None:
    low, high = number.within
    assert low <= number.mm <= high
    assert number.source
    assert set(number.source) <= set(mounting.read().sources)
    assert number.why or number.source != ["own"], "our own choice has a reason"


def test_what_is_seen_holds_a_hand_that_sits_and_one_that_stands() -> None:
    """At 25 cm, where codes are mostly held: a band about the reach of all, upwards of it."""
    file = mounting.read()
    low, high = mounting.view_heights_mm(file, 250 + file.camera["depth"].mm)
    assert low < file.camera["height"].mm + 10 < high
    assert high - low > 150, "three times a phone's code"
    assert 950 < low < 1050
    assert 1100 < high < 1220


def test_every_drawing_is_a_picture_of_some_size() -> None:
    for path in HARDWARE.glob("*.png"):
        data = path.read_bytes()
        width = int.from_bytes(data[16:20], "big")
        assert 1000 < width <= 2400, path.name
        assert len(data) < 600_000, path.name
