"""The schematic's own symbols, so that KiCad's libraries need not be installed.

Coordinates are grid steps of 2.54 mm, y upwards, as in KiCad's libraries. Pin numbers are those of
the parts in parts.csv; README.md names the datasheets.
"""

from dataclasses import dataclass

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SymbolPin:
    """A connection point. `turn` points from it to the body: 0 right, 90 up, 180, 270."""

    number: str
    name: str
    kind: str  # KiCad's electrical type: passive, input, output, power_in, ...
    at: Point
    turn: int
    length: float = 1


@dataclass(frozen=True, slots=True)
class SymbolUnit:
    """One body of a part, as a gate or a coil. Most parts have one unit."""

    pins: tuple[SymbolPin, ...]
    lines: tuple[tuple[Point, ...], ...] = ()
    boxes: tuple[tuple[Point, Point], ...] = ()
    circles: tuple[tuple[Point, float], ...] = ()
    arcs: tuple[tuple[Point, Point, Point], ...] = ()
    texts: tuple[tuple[str, Point], ...] = ()


@dataclass(frozen=True, slots=True)
class CircuitSymbol:
    letter: str  # first letter of a reference: R, C, U
    units: tuple[SymbolUnit, ...]
    names: bool = False  # show the pins' names
    numbers: bool = True
    power: bool = False


def _two(kind: str = "passive") -> tuple[SymbolPin, SymbolPin]:
    return SymbolPin("1", "", kind, (0, 2), 270), SymbolPin("2", "", kind, (0, -2), 90)


def _cathode() -> tuple[SymbolPin, SymbolPin]:
    return SymbolPin("1", "K", "passive", (-2, 0), 0), SymbolPin("2", "A", "passive", (2, 0), 180)


_TRIANGLE = ((1, 1), (1, -1), (-1, 0), (1, 1))  # a diode's, K on the left
_DIODE = (_TRIANGLE, ((-1, 1), (-1, -1)), ((-1, 0), (1, 0)))


def _box(
    width: float,
    height: float,
    left: tuple[tuple[str, str, str, float], ...] = (),
    right: tuple[tuple[str, str, str, float], ...] = (),
    top: tuple[tuple[str, str, str, float], ...] = (),
    bottom: tuple[tuple[str, str, str, float], ...] = (),
) -> SymbolUnit:
    """Return a box, `width` and `height` from its middle. Pins: (number, name, kind, position)."""
    pins = [SymbolPin(n, name, kind, (-width - 2, y), 0, 2) for n, name, kind, y in left]
    pins += [SymbolPin(n, name, kind, (width + 2, y), 180, 2) for n, name, kind, y in right]
    pins += [SymbolPin(n, name, kind, (x, height + 2), 270, 2) for n, name, kind, x in top]
    pins += [SymbolPin(n, name, kind, (x, -height - 2), 90, 2) for n, name, kind, x in bottom]
    return SymbolUnit(tuple(pins), boxes=(((-width, height), (width, -height)),))


def _inverter(number_in: str, number_out: str) -> SymbolUnit:
    return SymbolUnit(
        (
            SymbolPin(number_in, "", "input", (-3, 0), 0),
            SymbolPin(number_out, "", "output", (3, 0), 180),
        ),
        lines=(
            ((-2, 1.6), (-2, -1.6), (1.4, 0), (-2, 1.6)),
            ((-1.6, -0.4), (-1.0, -0.4), (-1.0, 0.4), (-0.4, 0.4)),  # the sign of a Schmitt trigger
            ((-1.3, -0.4), (-1.3, 0.4), (-1.0, 0.4)),
        ),
        circles=(((1.7, 0), 0.3),),
    )


def _nand(a: str, b: str, c: str, out: str) -> SymbolUnit:
    return SymbolUnit(
        (
            SymbolPin(a, "", "input", (-4, 2), 0),
            SymbolPin(b, "", "input", (-4, 0), 0),
            SymbolPin(c, "", "input", (-4, -2), 0),
            SymbolPin(out, "", "output", (4, 0), 180),
        ),
        lines=(((0, 2.4), (-3, 2.4), (-3, -2.4), (0, -2.4)),),
        arcs=(((0, 2.4), (2.4, 0), (0, -2.4)),),
        circles=(((2.7, 0), 0.3),),
    )


def _supply(vcc: str, gnd: str) -> SymbolUnit:
    return _box(
        2,
        2,
        top=((vcc, "VCC", "power_in", 0),),
        bottom=((gnd, "GND", "power_in", 0),),
    )


def _screws(count: int, side: str) -> CircuitSymbol:
    """Return a screw terminal; its pins are on this `side`."""
    pins: list[SymbolPin] = []
    circles: list[tuple[Point, float]] = []
    for i in range(count):
        along = count - 1 - 2 * i
        if side == "left":
            pins.append(SymbolPin(str(i + 1), "", "passive", (-3, along), 0, 2))
            circles.append(((-0.3, along), 0.5))
        elif side == "right":
            pins.append(SymbolPin(str(i + 1), "", "passive", (3, along), 180, 2))
            circles.append(((0.3, along), 0.5))
        elif side == "up":
            pins.append(SymbolPin(str(i + 1), "", "passive", (-along, 3), 270, 2))
            circles.append(((-along, 0.3), 0.5))
        else:
            pins.append(SymbolPin(str(i + 1), "", "passive", (-along, -3), 90, 2))
            circles.append(((-along, -0.3), 0.5))
    wide, high = (1, count) if side in ("left", "right") else (count, 1)
    return CircuitSymbol(
        "J",
        (SymbolUnit(tuple(pins), boxes=(((-wide, high), (wide, -high)),), circles=tuple(circles)),),
    )


def _rail(name: str) -> CircuitSymbol:
    """A supply or a ground: wires that end in the same name are one net."""
    if name.startswith("GND"):
        bars = [((-0.8, -0.6), (0.8, -0.6))]
        if name == "GND":
            bars += [((-0.5, -0.85), (0.5, -0.85)), ((-0.2, -1.1), (0.2, -1.1))]
        else:  # another ground, with another symbol
            bars += [((-0.8, -0.6), (0, -1.3)), ((0, -1.3), (0.8, -0.6))]
        lines = (((0, 0), (0, -0.6)), *bars)
        return CircuitSymbol(
            "#PWR",
            (SymbolUnit((SymbolPin("1", name, "power_in", (0, 0), 270, 0),), lines=lines),),
            numbers=False,
            power=True,
        )
    lines = (((0, 0), (0, 0.7)), ((-0.6, 0.7), (0.6, 0.7)))
    return CircuitSymbol(
        "#PWR",
        (SymbolUnit((SymbolPin("1", name, "power_in", (0, 0), 90, 0),), lines=lines),),
        numbers=False,
        power=True,
    )


RAILS = ("+3V3", "+5V", "+12V", "+12V_LAMPS", "GND", "GND_DOOR")

SYMBOLS: dict[str, CircuitSymbol] = {
    "R": CircuitSymbol("R", (SymbolUnit(_two(), boxes=(((-0.4, 1), (0.4, -1)),)),), numbers=False),
    "C": CircuitSymbol(
        "C",
        (
            SymbolUnit(
                (
                    SymbolPin("1", "", "passive", (0, 2), 270, 1.7),
                    SymbolPin("2", "", "passive", (0, -2), 90, 1.7),
                ),
                lines=(((-0.8, 0.3), (0.8, 0.3)), ((-0.8, -0.3), (0.8, -0.3))),
            ),
        ),
        numbers=False,
    ),
    "C_POLAR": CircuitSymbol(
        "C",
        (
            SymbolUnit(
                (
                    SymbolPin("1", "", "passive", (0, 2), 270, 1.7),
                    SymbolPin("2", "", "passive", (0, -2), 90, 1.7),
                ),
                lines=(
                    ((-0.8, -0.3), (0.8, -0.3)),
                    ((-1.1, 0.9), (-0.5, 0.9)),
                    ((-0.8, 1.2), (-0.8, 0.6)),
                ),
                boxes=(((-0.8, 0.5), (0.8, 0.2)),),
            ),
        ),
        numbers=False,
    ),
    "FUSE": CircuitSymbol(
        "F",
        (SymbolUnit(_two(), boxes=(((-0.4, 1), (0.4, -1)),), lines=(((0, 1), (0, -1)),)),),
        numbers=False,
    ),
    "D": CircuitSymbol("D", (SymbolUnit(_cathode(), lines=_DIODE),), numbers=False),
    "D_SCHOTTKY": CircuitSymbol(
        "D",
        (
            SymbolUnit(
                _cathode(),
                lines=(
                    _TRIANGLE,
                    ((-0.6, 0.7), (-0.6, 1), (-1, 1), (-1, -1), (-1.4, -1), (-1.4, -0.7)),
                    ((-1, 0), (1, 0)),
                ),
            ),
        ),
        numbers=False,
    ),
    "D_TVS": CircuitSymbol(
        "D",
        (
            SymbolUnit(
                _cathode(),
                lines=(
                    _TRIANGLE,
                    ((-0.7, 1.3), (-1, 1), (-1, -1), (-1.3, -1.3)),
                    ((-1, 0), (1, 0)),
                ),
            ),
        ),
        numbers=False,
    ),
    "D_TVS_BOTH": CircuitSymbol(
        "D",
        (
            SymbolUnit(
                (
                    SymbolPin("1", "", "passive", (-2, 0), 0),
                    SymbolPin("2", "", "passive", (2, 0), 180),
                ),
                lines=(
                    ((-1, 0.9), (-1, -0.9), (0, 0), (-1, 0.9)),
                    ((1, 0.9), (1, -0.9), (0, 0), (1, 0.9)),
                    ((0.3, 1.2), (0, 0.9), (0, -0.9), (-0.3, -1.2)),
                ),
            ),
        ),
        numbers=False,
    ),
    "LED": CircuitSymbol(
        "D",
        (
            SymbolUnit(
                _cathode(),
                lines=(*_DIODE, ((-0.2, 1.2), (-0.9, 1.9)), ((0.5, 1.2), (-0.2, 1.9))),
                texts=(),
            ),
        ),
        numbers=False,
    ),
    "OPTO": CircuitSymbol(
        "U",
        (
            SymbolUnit(
                (
                    SymbolPin("1", "", "passive", (-3, 1), 0),
                    SymbolPin("2", "", "passive", (-3, -1), 0),
                    SymbolPin("4", "", "passive", (3, 1), 180),
                    SymbolPin("3", "", "passive", (3, -1), 180),
                ),
                boxes=(((-2, 2), (2, -2)),),
                lines=(
                    ((-2, 1), (-1.2, 1), (-1.2, -1), (-2, -1)),
                    ((-1.6, 0.3), (-0.8, 0.3), (-1.2, -0.3), (-1.6, 0.3)),
                    ((-1.6, -0.3), (-0.8, -0.3)),
                    ((-0.5, 0.3), (0.1, 0.3)),
                    ((-0.1, 0.5), (0.1, 0.3), (-0.1, 0.1)),
                    ((-0.5, -0.2), (0.1, -0.2)),
                    ((-0.1, 0.0), (0.1, -0.2), (-0.1, -0.4)),
                    ((0.7, 0.8), (0.7, -0.8)),
                    ((2, 1), (1.4, 1), (0.7, 0.4)),
                    ((2, -1), (1.4, -1), (0.7, -0.4)),
                    ((1.15, -0.4), (1.2, -0.83), (0.8, -0.8)),
                ),
            ),
        ),
    ),
    "NMOS": CircuitSymbol(
        "Q",
        (
            SymbolUnit(
                (
                    SymbolPin("1", "G", "input", (-3, 0), 0, 2),
                    SymbolPin("3", "D", "passive", (1, 2), 270),
                    SymbolPin("2", "S", "passive", (1, -2), 90),
                ),
                lines=(
                    ((-1, 1), (-1, -1)),
                    ((-0.6, 1.2), (-0.6, 0.5)),
                    ((-0.6, 0.35), (-0.6, -0.35)),
                    ((-0.6, -0.5), (-0.6, -1.2)),
                    ((-0.6, 0.85), (1, 0.85), (1, 1)),
                    ((-0.6, -0.85), (1, -0.85), (1, -1)),
                    ((-0.6, 0), (1, 0), (1, -0.85)),
                    ((-0.1, 0.3), (-0.6, 0), (-0.1, -0.3)),
                ),
            ),
        ),
        numbers=False,
    ),
    "RELAY": CircuitSymbol(
        "K",
        (
            SymbolUnit(
                (
                    SymbolPin("2", "", "passive", (0, 2), 270),
                    SymbolPin("5", "", "passive", (0, -2), 90),
                ),
                boxes=(((-1.2, 1), (1.2, -1)),),
                lines=(((-1.2, -0.7), (1.2, 0.7)),),
            ),
            SymbolUnit(
                (
                    SymbolPin("1", "COM", "passive", (-4, 0), 0, 2),
                    SymbolPin("3", "NO", "passive", (4, 2), 180, 2),
                    SymbolPin("4", "NC", "passive", (4, -2), 180, 2),
                ),
                lines=(
                    ((-2, 0), (2.2, -1.4)),
                    ((2, -2), (1.6, -1.6), (1.6, -0.9)),
                    ((2, 2), (1.6, 1.6), (1.6, 0.9)),
                ),
                texts=(("NO", (0.4, 1.6)), ("NC", (-0.4, -1.8))),
            ),
        ),
    ),
    "74HC14": CircuitSymbol(
        "U",
        (
            _inverter("1", "2"),
            _inverter("3", "4"),
            _inverter("5", "6"),
            _inverter("9", "8"),
            _inverter("11", "10"),
            _inverter("13", "12"),
            _supply("14", "7"),
        ),
    ),
    "74HC10": CircuitSymbol(
        "U",
        (
            _nand("1", "2", "13", "12"),
            _nand("3", "4", "5", "6"),
            _nand("9", "10", "11", "8"),
            _supply("14", "7"),
        ),
    ),
    "LTC6994-1": CircuitSymbol(
        "U",
        (
            _box(
                4,
                3,
                left=(("1", "IN", "input", 2), ("3", "SET", "passive", -2)),
                right=(("6", "OUT", "output", 2),),
                top=(("5", "V+", "power_in", 0),),
                bottom=(("2", "GND", "power_in", -2), ("4", "DIV", "input", 2)),
            ),
        ),
        names=True,
    ),
    "MAX809": CircuitSymbol(
        "U",
        (
            _box(
                4,
                2,
                right=(("2", "~{RESET}", "output", 0),),
                top=(("3", "VCC", "power_in", 0),),
                bottom=(("1", "GND", "power_in", 0),),
            ),
        ),
        names=True,
    ),
    "78L05": CircuitSymbol(
        "U",
        (
            _box(
                3,
                2,
                left=(("3", "IN", "power_in", 0),),
                right=(("1", "OUT", "power_out", 0),),
                bottom=(("2", "GND", "power_in", 0),),
            ),
        ),
        names=True,
    ),
    "RS485": CircuitSymbol(
        "U",
        (
            _box(
                4,
                4,
                left=(
                    ("1", "RO", "output", 3),
                    ("2", "~{RE}", "input", 1),
                    ("3", "DE", "input", -1),
                    ("4", "DI", "input", -3),
                ),
                right=(("6", "A", "bidirectional", 1), ("7", "B", "bidirectional", -1)),
                top=(("8", "VCC", "power_in", 0),),
                bottom=(("5", "GND", "power_in", 0),),
            ),
        ),
        names=True,
    ),
    "SM712": CircuitSymbol(
        "D",
        (
            _box(
                2,
                2,
                top=(("1", "A", "passive", -1), ("2", "B", "passive", 1)),
                bottom=(("3", "GND", "passive", 0),),
            ),
        ),
        names=True,
    ),
    "JUMPER": CircuitSymbol(
        "JP",
        (
            SymbolUnit(
                _two(),
                circles=(((0, 0.7), 0.3), ((0, -0.7), 0.3)),
                lines=(((0.7, 0.7), (0.7, -0.7)),),
            ),
        ),
        numbers=False,
    ),
    "HEADER20": CircuitSymbol(
        "J",
        (
            _box(
                3,
                20,
                left=tuple((str(i + 1), str(i + 1), "passive", 19 - 2 * i) for i in range(20)),
            ),
        ),
    ),
    "SCREWS2": _screws(2, "left"),
    "SCREWS2R": _screws(2, "right"),
    "SCREWS2U": _screws(2, "up"),
    "SCREWS2D": _screws(2, "down"),
    "SCREWS3": _screws(3, "left"),
    "PWR_FLAG": CircuitSymbol(
        "#FLG",
        (
            SymbolUnit(
                (SymbolPin("1", "pwr", "power_out", (0, 0), 90, 0),),
                lines=(((0, 0), (0, 0.5), (-0.4, 0.8), (0, 1.1), (0.4, 0.8), (0, 0.5)),),
            ),
        ),
        numbers=False,
        power=True,
    ),
    **{name: _rail(name) for name in RAILS},
}
