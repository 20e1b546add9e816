"""The wiring drawings in WireViz's form, from `wiring.toml` (door) and `pins.toml` (pins).

WireViz (wireviz.org, its syntax page) draws connectors as tables and cables between them. Here each
part is a connector, and only wired pins are shown.
"""

from importlib import resources
from typing import Any, Literal

import msgspec
import yaml

from edge.wire.decode import decode_toml
from hardware import pins

Drawing = Literal["direct", "controlled"]
DRAWINGS: dict[Drawing, str] = {
    "direct": "A door that the Pi drives itself, inside a locked housing",
    "controlled": "A door with a controller on the secure side",
}

BOARD = "A1"
RIBBON = "W7"


class WiringError(ValueError):
    """The data of a drawing is wrong; the message says where."""


class _WiringTable(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    drawings: list[Drawing] = msgspec.field(default_factory=lambda: list(DRAWINGS), name="in")


class _Part(_WiringTable, forbid_unknown_fields=True, kw_only=True):
    type: str
    subtype: str = ""
    notes: str = ""
    pins: list[str] = []
    fixed: dict[str, int] = {}  # for a Pi or Pico: pins with a fixed function, and their positions
    labels: dict[str, str] = {}  # for the board: the text at each terminal


class _Host(_WiringTable, forbid_unknown_fields=True, kw_only=True):
    """The computer that the board's J1 connects to."""

    grounds: list[int]
    supply: int = msgspec.field(name="3V3")


class _Cable(_WiringTable, forbid_unknown_fields=True, kw_only=True):
    name: str
    type: str
    length_m: float
    wires: list[str]


class _Board(msgspec.Struct, forbid_unknown_fields=True):
    header: list[str]
    ribbon: list[str]


class WiringFile(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of wiring.toml."""

    board: _Board
    hosts: dict[str, _Host]
    parts: dict[str, _Part]
    cables: list[_Cable]


class _Wire(msgspec.Struct, frozen=True):
    start: tuple[str, str]  # part, pin
    colour: str
    end: tuple[str, str]


def read() -> WiringFile:
    """Read the shipped wiring.toml."""
    text = resources.files("hardware").joinpath("wiring.toml").read_bytes()
    return decode_toml(text, WiringFile)


def text(drawing: Drawing) -> str:
    """Return the drawing's YAML, the same at each call. Raises WiringError."""
    head = f"# {DRAWINGS[drawing]}. Made from wiring.toml and pins.toml: make drawings\n"
    body: str = yaml.safe_dump(harness(drawing, read()), sort_keys=False, allow_unicode=True)
    return head + body


def harness(drawing: Drawing, file: WiringFile) -> dict[str, Any]:
    """Return the drawing as WireViz's input. Raises WiringError."""
    cables = [(c, [_wire(w) for w in c.wires]) for c in file.cables if drawing in c.drawings]
    for host, wiring in file.hosts.items():
        if drawing in wiring.drawings:
            cables.insert(0, (_ribbon(wiring.drawings), _ribbon_wires(host, wiring, file.board)))
    wired_parts = _wired_pins(drawing, file, cables)
    return {
        "metadata": {"title": DRAWINGS[drawing]},
        "options": {"fontname": "DejaVu Sans", "bgcolor_connector": "WH", "color_mode": "FULL"},
        "tweak": {"append": ["ranksep=0.5", "nodesep=0.15"]},
        "connectors": {
            name: _connector(name, file.parts[name], wired) for name, wired in wired_parts
        },
        "cables": {cable.name: _cable(cable, wires) for cable, wires in cables},
        "connections": [step for cable, wires in cables for step in _steps(file, cable, wires)],
    }


def _wire(text: str) -> _Wire:
    """Parse "P1.V+ RD A1.J2.1": pin names may contain spaces and dots, a colour is two capitals."""
    for colour in (word for word in text.split() if len(word) == 2 and word.isupper()):
        start, _, end = text.partition(f" {colour} ")
        if "." in start and "." in end:
            return _Wire(_end(start), colour, _end(end))
    raise WiringError(f"wiring.toml: {text!r} is not a wire; write PART.PIN COLOUR PART.PIN")


def _end(end: str) -> tuple[str, str]:
    part, _, pin = end.partition(".")
    return part, pin


def _ribbon(drawings: list[Drawing]) -> _Cable:
    return _Cable(name=RIBBON, type="rainbow ribbon", length_m=0.2, wires=[], drawings=drawings)


def _ribbon_wires(host: str, wiring: _Host, board: _Board) -> list[_Wire]:
    """Return the wires of J1 that the host has; each ground has its own wire."""
    grounds = iter(wiring.grounds)
    positions = _numbers(host)
    wires = []
    for place, name in enumerate(board.header, 1):
        pin = name
        if name == "GND":
            pin = f"GND {next(grounds)}"
        elif name != "3V3" and name not in positions:
            continue
        colour = board.ribbon[(place - 1) % len(board.ribbon)]
        wires.append(_Wire((host, pin), colour, (BOARD, f"J1.{place}")))
    return wires


def _numbers(host: str) -> dict[str, int]:
    """Map each name in pins.toml to its position on the host's header."""
    file = pins.read()
    if host == "X2":
        return {n: pins.PICO[p.gp] for n, p in file.controller.items() if p.gp in pins.PICO}
    return {name: pins.HEADER[pin.bcm] for name, pin in file.pins.items()}


def _wired_pins(
    drawing: Drawing, file: WiringFile, cables: list[tuple[_Cable, list[_Wire]]]
) -> list[tuple[str, list[str]]]:
    """Return each part of the drawing with its wired pins. Raises WiringError."""
    wired: dict[str, list[str]] = {
        n: [] for n, part in file.parts.items() if drawing in part.drawings
    }
    cable_of: dict[tuple[str, str], str] = {}
    for cable, wires in cables:
        for wire in wires:
            for part, pin in (wire.start, wire.end):
                if part not in wired:
                    raise WiringError(
                        f"wiring.toml: {cable.name} goes to {part}, which is not in this drawing"
                    )
                names = file.parts[part].pins
                if names and pin not in names:
                    raise WiringError(f"wiring.toml: {cable.name}: {part} has no pin {pin}")
                other = cable_of.setdefault((part, pin), cable.name)
                if other != cable.name and (part, pin) not in _SHARED:
                    raise WiringError(
                        f"wiring.toml: {part}.{pin} has wires of {other} and {cable.name}"
                    )
                if pin not in wired[part]:
                    wired[part].append(pin)
    return [(name, names) for name, names in wired.items() if names]


_SHARED = {("P1", "V+"), ("P1", "V-"), ("P2", "Vo+"), ("P2", "Vo-")}
"""Terminals that accept more than one wire."""


def _connector(name: str, part: _Part, wired: list[str]) -> dict[str, Any]:
    table: dict[str, Any] = {"type": part.type}
    if part.pins:
        names = [pin for pin in part.pins if pin in wired]
        table["pins"] = [_number(pin) for pin in names]
    elif name == BOARD:
        names = sorted(wired, key=_terminal)
        header = read().board.header
        table["pins"] = names
        table["pinlabels"] = [
            header[int(p.removeprefix("J1.")) - 1] if p.startswith("J1.") else part.labels[p]
            for p in names
        ]
    else:
        places = {pin: _place(name, part, pin) for pin in wired}
        names = sorted(wired, key=places.__getitem__)
        table["pins"] = [places[pin] for pin in names]
        table["pinlabels"] = [_label(name, part, pin) for pin in names]
    table["show_pincount"] = False
    notes = [note for note in (part.subtype, part.notes) if note]
    if notes:
        table["notes"] = "\n".join(notes)
    return table


def _terminal(pin: str) -> tuple[int, int]:
    block, _, number = pin.removeprefix("J").partition(".")
    return int(block), int(number)


def _place(name: str, part: _Part, pin: str) -> int:
    """Return a pin's position on a Pi's or Pico's header."""
    if pin.startswith("GND "):
        return int(pin.removeprefix("GND "))
    if pin == "3V3":
        return read().hosts[name].supply
    if pin in part.fixed:
        return part.fixed[pin]
    try:
        return _numbers(name)[pin]
    except KeyError:
        raise WiringError(f"wiring.toml: {name}.{pin} is not in pins.toml") from None


def _label(name: str, part: _Part, pin: str) -> str:
    if pin.startswith("GND"):
        return "GND"
    if pin.startswith("3V3"):
        return "3V3"
    if pin in part.fixed:
        return pin
    file = pins.read()
    if name == "X2":
        return f"{pin} (GP{file.controller[pin].gp})"
    return f"{pin} (BCM {file.pins[pin].bcm})"


def _cable(cable: _Cable, wires: list[_Wire]) -> dict[str, Any]:
    return {
        "category": "bundle" if cable.name == RIBBON else None,
        "type": cable.type,
        "length": cable.length_m,
        "colors": [wire.colour for wire in wires],
        "show_wirecount": False,
        "show_wirenumbers": False,
    }


def _steps(file: WiringFile, cable: _Cable, wires: list[_Wire]) -> list[list[dict[str, list[Any]]]]:
    """Return one connection set for each pair of parts that a cable joins."""
    steps: list[list[dict[str, list[Any]]]] = []
    pairs: dict[tuple[str, str], list[tuple[int, _Wire]]] = {}
    for number, wire in enumerate(wires, 1):
        pairs.setdefault((wire.start[0], wire.end[0]), []).append((number, wire))
    for (start, end), pair in pairs.items():
        steps.append(
            [
                {start: [_at(file, wire.start) for _, wire in pair]},
                {cable.name: [number for number, _ in pair]},
                {end: [_at(file, wire.end) for _, wire in pair]},
            ]
        )
    return steps


def _at(file: WiringFile, end: tuple[str, str]) -> str | int:
    name, pin = end
    part = file.parts[name]
    return _number(pin) if part.pins or name == BOARD else _place(name, part, pin)


def _number(pin: str) -> str | int:
    """Return a pin of digits as a number, as WireViz requires."""
    return int(pin) if pin.isdecimal() else pin
