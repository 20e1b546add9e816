"""Writes KiCad 9 schematics: places symbols, draws wires, writes S-expressions.

Coordinates are grid steps of 2.54 mm from the top left corner, y downwards.
"""

import uuid
from itertools import pairwise
from pathlib import Path

from hardware.circuit.symbols import SYMBOLS, CircuitSymbol, Point, SymbolUnit

STEP_MM = 2.54
_NAMES = uuid.UUID(
    "6f9b0a52-6f0e-4a55-9a3e-2f3f6cbb6d11"
)  # so that the same drawing has the same file
LIBRARY = "menshen"


def _mm(value: float) -> str:
    return f"{round(value * STEP_MM, 3):g}"


def _text(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _id(*parts: object) -> str:
    return str(uuid.uuid5(_NAMES, "/".join(map(str, parts))))


def _effects(
    justify: str = "", hide: bool = False, size_mm: float = 1.27, bold: bool = False
) -> str:
    font = f"(font (size {size_mm:g} {size_mm:g}){' (bold yes)' if bold else ''})"
    side = f" (justify {justify})" if justify else ""
    return f"(effects {font}{side}{' (hide yes)' if hide else ''})"


def _stroke(width_mm: float = 0.2, kind: str = "default") -> str:
    return f"(stroke (width {width_mm:g}) (type {kind}))"


def _unit(unit: SymbolUnit) -> list[str]:
    out = []
    for (x1, y1), (x2, y2) in unit.boxes:
        out.append(
            f"(rectangle (start {_mm(x1)} {_mm(y1)}) (end {_mm(x2)} {_mm(y2)}) "
            f"{_stroke()} (fill (type background)))"
        )
    for line in unit.lines:
        points = " ".join(f"(xy {_mm(x)} {_mm(y)})" for x, y in line)
        out.append(f"(polyline (pts {points}) {_stroke()} (fill (type none)))")
    for (x, y), radius in unit.circles:
        out.append(
            f"(circle (center {_mm(x)} {_mm(y)}) (radius {_mm(radius)}) {_stroke()}"
            " (fill (type none)))"
        )
    for start, mid, end in unit.arcs:
        out.append(
            f"(arc (start {_mm(start[0])} {_mm(start[1])}) (mid {_mm(mid[0])} {_mm(mid[1])}) "
            f"(end {_mm(end[0])} {_mm(end[1])}) {_stroke()} (fill (type none)))"
        )
    for text, (x, y) in unit.texts:
        out.append(f"(text {_text(text)} (at {_mm(x)} {_mm(y)} 0) {_effects(size_mm=1)})")
    for pin in unit.pins:
        out.append(
            f"(pin {pin.kind} line (at {_mm(pin.at[0])} {_mm(pin.at[1])} {pin.turn}) "
            f"(length {_mm(pin.length)}) (name {_text(pin.name)} {_effects()}) "
            f"(number {_text(pin.number)} {_effects(size_mm=1)}))"
        )
    return out


def symbol(name: str, definition: CircuitSymbol, prefix: str = "") -> str:
    """Return the S-expression of one symbol, for the library or (with `prefix`) for a sheet."""
    hide_names = "" if definition.names else " (hide yes)"
    numbers = "" if definition.numbers else " (pin_numbers (hide yes))"
    power = " (power)" if definition.power else ""
    lines = [
        f"(symbol {_text(prefix + name)}{power}{numbers} (pin_names (offset 0.5){hide_names})"
        " (exclude_from_sim no) (in_bom yes) (on_board yes)",
        f'  (property "Reference" {_text(definition.letter)} (at 0 0 0)'
        f" {_effects(hide=definition.power)})",
        f'  (property "Value" {_text(name)} (at 0 0 0) {_effects()})',
        f'  (property "Footprint" "" (at 0 0 0) {_effects(hide=True)})',
        f'  (property "Datasheet" "" (at 0 0 0) {_effects(hide=True)})',
    ]
    for number, unit in enumerate(definition.units, 1):
        lines.append(f"  (symbol {_text(f'{name}_{number}_1')}")
        lines += [f"    {line}" for line in _unit(unit)]
        lines.append("  )")
    lines.append(")")
    return "\n".join(lines)


def library() -> str:
    """Return the library file with all symbols."""
    lines = ['(kicad_symbol_lib (version 20241209) (generator "menshen") (generator_version "9.0")']
    for name, definition in SYMBOLS.items():
        lines += [f"  {line}" for line in symbol(name, definition).splitlines()]
    lines.append(")")
    return "\n".join(lines) + "\n"


class SchematicSheet:
    """One page. `path` is its place below the root, for the references of its parts."""

    def __init__(
        self, project: str, name: str, title: str, paper: str, path: str, values: dict[str, str]
    ) -> None:
        self.name, self.title, self.paper = name, title, paper
        self.id = _id(name)
        self._project, self._path, self._values = project, path, values
        self._kinds: dict[str, CircuitSymbol] = {}
        self._items: list[str] = []
        self._wires: list[tuple[Point, Point]] = []
        self._ends: list[Point] = []  # positions of pins
        self._rails = 0
        self.references: set[str] = set()

    def part(
        self, reference: str, kind: str, x: float, y: float, turn: int = 0, unit: int = 1
    ) -> dict[str, Point]:
        """Place a part, turned left by `turn` degrees; return where its pins are, by number."""
        definition = SYMBOLS[kind]
        self._kinds[kind] = definition
        value = kind if definition.power else self._values[reference]
        self.references.add(reference)
        body = definition.units[unit - 1]
        pins = {pin.number: self._place(pin.at, x, y, turn) for pin in body.pins}
        self._ends += pins.values()
        key = (self.name, reference, unit)
        lines = [
            f"(symbol (lib_id {_text(f'{LIBRARY}:{kind}')}) (at {_mm(x)} {_mm(y)} {turn})"
            f" (unit {unit}) (exclude_from_sim no) (in_bom {'no' if definition.power else 'yes'})"
            " (on_board yes) (dnp no)"
            f' (uuid "{_id(*key)}")',
        ]
        if definition.power:
            above = not kind.startswith("GND")
            lines.append(self._field("Reference", reference, (x, y), 0, "", hide=True))
            is_visible = kind != "PWR_FLAG"
            lines.append(
                self._field(
                    "Value", value, (x, y + (-1.2 if above else 1.9)), 0, "", hide=not is_visible
                )
            )
        else:
            lines += self._fields(reference, value, kind, unit, x, y, turn)
        for pin in pins:
            lines.append(f'  (pin {_text(pin)} (uuid "{_id(*key, pin)}"))')
        lines.append(
            f"  (instances (project {_text(self._project)} (path {_text(self._path)}"
            f" (reference {_text(reference)}) (unit {unit})))))"
        )
        self._items.append("\n".join(lines))
        return pins

    def _place(self, at: Point, x: float, y: float, turn: int) -> Point:
        px, py = at
        px, py = {0: (px, py), 90: (-py, px), 180: (-px, -py), 270: (py, -px)}[turn]
        return x + px, y - py

    def _field(
        self, name: str, text: str, at: Point, turn: int, justify: str, hide: bool = False
    ) -> str:
        return (
            f"  (property {_text(name)} {_text(text)} (at {_mm(at[0])} {_mm(at[1])} {turn})"
            f" {_effects(justify, hide)})"
        )

    def _fields(
        self, reference: str, value: str, kind: str, unit: int, x: float, y: float, turn: int
    ) -> list[str]:
        flat = turn in (90, 270)
        upright = kind in ("R", "C", "C_POLAR", "FUSE", "JUMPER", "RELAY")
        if kind == "RELAY":
            places = ((x - 1.6, y - 0.5), (x - 1.6, y + 0.5)), "right"
            if unit == 2:
                places = ((x - 1, y + 3.4), (x - 1, y + 4.4)), ""
        elif kind == "NMOS":
            places = ((x + 1.6, y - 0.5), (x + 1.6, y + 0.5)), "left"
        elif upright and not flat:
            places = ((x + 0.8, y - 0.5), (x + 0.8, y + 0.5)), "left"
        elif upright:
            places = ((x, y - 1.1), (x, y + 1.3)), ""
        elif kind.startswith("D") or kind == "LED":
            if flat:
                places = ((x + 1.6, y - 0.5), (x + 1.6, y + 0.5)), "right" if turn == 90 else "left"
            else:
                places = ((x, y - 1.7), (x, y + 1.9)), ""
        else:
            top = max((b[0][1] for u in SYMBOLS[kind].units for b in u.boxes), default=2.4)
            places = ((x, y - top - 0.6), (x, y + top + 0.8)), ""
            if kind in ("74HC14", "74HC10"):
                top = 2.4 if kind == "74HC14" else 3
                places = ((x - 0.5, y - top), (x - 0.5, y + top)), ""
                if unit == len(SYMBOLS[kind].units):
                    places = ((x + 2.4, y - 0.5), (x + 2.4, y + 0.5)), "left"
            if kind == "78L05":
                places = ((x, y - top - 1.4), (x, y - top - 0.5)), ""
            if kind in ("LTC6994-1", "RS485", "MAX809"):
                places = ((x + 0.6, y - top - 1.6), (x + 0.6, y - top - 0.6)), "left"
            if kind in ("SCREWS2U", "SCREWS2D"):
                places = ((x + 2.6, y - 0.5), (x + 2.6, y + 0.5)), "left"
            if kind == "SM712":
                places = ((x + 2.4, y - 0.5), (x + 2.4, y + 0.5)), "left"
        (first, second), justify = places
        angle = 90 if flat else 0
        return [
            self._field("Reference", reference, first, angle, justify),
            self._field("Value", value, second, angle, justify),
            self._field("Footprint", "", (x, y), 0, "", hide=True),
            self._field("Datasheet", "", (x, y), 0, "", hide=True),
        ]

    def wire(self, *points: Point) -> None:
        """Draw a wire through the points; a diagonal step goes across first, then up or down."""
        for a, b in pairwise(points):
            corner = (b[0], a[1])
            for start, end in ((a, corner), (corner, b)):
                if start != end:
                    self._wires.append((start, end))

    def rail(self, name: str, at: Point) -> None:
        """End a wire in a supply, a ground or PWR_FLAG (which marks a net that has a supply)."""
        self._rails += 1
        letter = "#FLG" if name == "PWR_FLAG" else "#PWR"
        self.part(f"{letter}{self.name[0].upper()}{self._rails:03d}", name, *at)

    def net(self, name: str, at: Point, side: str = "right", everywhere: bool = False) -> None:
        """Name a net; the text is on this `side` of `at`. `everywhere`: on all sheets."""
        turn = {"right": 0, "left": 180}[side]
        justify = {"right": "left", "left": "right"}[side]
        word, shape = ("global_label", " (shape passive)") if everywhere else ("label", "")
        bottom = "" if everywhere else " bottom"
        extra = ""
        if everywhere:
            extra = (
                '\n  (property "Intersheetrefs" "${INTERSHEET_REFS}"'
                f" (at {_mm(at[0])} {_mm(at[1])} 0) {_effects(justify, hide=True)})"
            )
        self._items.append(
            f"({word} {_text(name)}{shape} (at {_mm(at[0])} {_mm(at[1])} {turn})"
            f' {_effects(justify + bottom)} (uuid "{_id(self.name, word, name, *at)}"){extra})'
        )

    def text(self, text: str, x: float, y: float, size_mm: float = 1.5, bold: bool = False) -> None:
        self._items.append(
            f"(text {_text(text)} (exclude_from_sim no) (at {_mm(x)} {_mm(y)} 0)"
            f" {_effects('left top', size_mm=size_mm, bold=bold)}"
            f' (uuid "{_id(self.name, text, x, y)}"))'
        )

    def section(
        self, heading: str, x1: float, y1: float, x2: float, y2: float, note: str = ""
    ) -> None:
        """Draw a dashed frame with a heading, and a note under it."""
        self._items.append(
            f"(rectangle (start {_mm(x1)} {_mm(y1)}) (end {_mm(x2)} {_mm(y2)})"
            f' {_stroke(0.15, "dash")} (fill (type none)) (uuid "{_id(self.name, heading)}"))'
        )
        self.text(heading, x1 + 0.6, y1 + 0.5, 2, bold=True)
        if note:
            self.text(note, x1 + 0.6, y1 + 1.7, 1.3)

    def child(
        self, sheet: "SchematicSheet", page: int, x: float, y: float, width: float, height: float
    ) -> None:
        """Add a page below this one."""
        self._items.append(
            f"(sheet (at {_mm(x)} {_mm(y)}) (size {_mm(width)} {_mm(height)})"
            f" (exclude_from_sim no) (in_bom yes) (on_board yes) (dnp no)"
            f" {_stroke()} (fill (color 0 0 0 0.0000))"
            f' (uuid "{sheet.id}")'
            f'\n  (property "Sheetname" {_text(sheet.title)} (at {_mm(x)} {_mm(y - 0.3)} 0)'
            f" {_effects('left bottom', size_mm=1.8)})"
            f'\n  (property "Sheetfile" {_text(sheet.name + ".kicad_sch")}'
            f" (at {_mm(x)} {_mm(y + height + 0.3)} 0) {_effects('left top')})"
            f"\n  (instances (project {_text(self._project)} (path {_text(self._path)}"
            f' (page "{page}")))))'
        )

    def _junctions(self) -> list[Point]:
        """Return the points where three or more ends meet, or one meets the middle of a wire."""
        ends = [p for wire in self._wires for p in wire] + self._ends
        junctions = []
        for point in dict.fromkeys(ends):
            through = sum(_inside(point, wire) for wire in self._wires)
            if ends.count(point) + 2 * through > 2:
                junctions.append(point)
        return junctions

    def _pieces(self, junctions: list[Point]) -> list[tuple[Point, Point]]:
        """Return the wires cut at every junction: KiCad joins ends, never the middle of a wire."""
        pieces = []
        for wire in self._wires:
            start, end = wire
            cuts = [p for p in junctions if _inside(p, wire)]
            cuts.sort(key=lambda p: abs(p[0] - start[0]) + abs(p[1] - start[1]))
            path = [start, *cuts, end]
            pieces += list(pairwise(path))
        return list(dict.fromkeys(pieces))

    def write(self, to: Path) -> None:
        lines = [
            '(kicad_sch (version 20250114) (generator "menshen") (generator_version "9.0")',
            f'(uuid "{_id(self.name, "page") if self._path.count("/") > 1 else self.id}")',
            f'(paper "{self.paper}")',
            f"(title_block (title {_text('Menshen, door interface: ' + self.title)})"
            ' (rev "1") (comment 1 "drawn by hardware/circuit/make.py; values from parts.csv"))',
            "(lib_symbols",
        ]
        for kind, definition in sorted(self._kinds.items()):
            lines.append(symbol(kind, definition, f"{LIBRARY}:"))
        lines.append(")")
        junctions = self._junctions()
        for x, y in junctions:
            lines.append(
                f"(junction (at {_mm(x)} {_mm(y)}) (diameter 0) (color 0 0 0 0)"
                f' (uuid "{_id(self.name, "junction", x, y)}"))'
            )
        for start, end in self._pieces(junctions):
            lines.append(
                f"(wire (pts (xy {_mm(start[0])} {_mm(start[1])}) (xy {_mm(end[0])} {_mm(end[1])}))"
                f' {_stroke(0)} (uuid "{_id(self.name, "wire", *start, *end)}"))'
            )
        lines += self._items
        if self._path.count("/") == 1:
            lines.append('(sheet_instances (path "/" (page "1")))')
        lines += ["(embedded_fonts no)", ")"]
        (to / f"{self.name}.kicad_sch").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _inside(point: Point, wire: tuple[Point, Point]) -> bool:
    (x1, y1), (x2, y2) = wire
    if point in wire:
        return False
    if x1 == x2 == point[0]:
        return min(y1, y2) < point[1] < max(y1, y2)
    return y1 == y2 == point[1] and min(x1, x2) < point[0] < max(x1, x2)
