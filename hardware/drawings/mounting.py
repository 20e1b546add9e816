"""The mounting drawing: a door from the front and from the side, to scale, from `mounting.toml`."""

from importlib import resources
from math import cos, radians, sin

import msgspec

from edge.wire.decode import decode_toml
from hardware.drawings.svg import SvgSheet

MM = 0.36
"""Page units for one millimetre at the door."""

BLUE, RED, GREEN, GREY, PALE = "#1f4e8c", "#b00020", "#1b6e3c", "#666666", "#d9d9d9"
_FLOOR = 930.0
_DOOR_LEFT = 210.0
_WALL = 1110.0  # the wall's outer face in the view from the side
HOUSING = {"width": 110.0, "height": 176.0, "above_lens": 38.0, "light_x": 22.0}
"""The printed housing, millimetres: enclosure/housing.scad (a test compares them)."""


class Number(msgspec.Struct, forbid_unknown_fields=True):
    """One number with its meaning, the range that its sources allow, and the reason for it."""

    mm: float
    within: tuple[float, float]
    of: str
    source: list[str]
    why: str = ""


Group = dict[str, Number]


class MountingFile(msgspec.Struct, forbid_unknown_fields=True):
    """The contents of mounting.toml."""

    sources: dict[str, str]
    door: Group
    camera: Group
    lights: Group
    illuminator: Group
    help: Group
    exit: Group
    corner: Group
    floor: Group
    seated: Group

    def numbers(self) -> list[Number]:
        """Return all numbers in the order of the file."""
        groups = (getattr(self, name) for name in self.__struct_fields__ if name != "sources")
        return [number for group in groups for number in group.values()]


def read() -> MountingFile:
    """Read the shipped mounting.toml."""
    text = resources.files("hardware").joinpath("mounting.toml").read_bytes()
    return decode_toml(text, MountingFile)


def svg() -> str:
    """Return the drawing."""
    file = read()
    sheet = SvgSheet(1790, 1010 + 21 * len(file.sources) + 60, "Where things are at a door")
    sheet.text(30, 40, "Where things are at a door", 24, bold=True)
    sheet.text(
        30, 66, "Millimetres above the finished floor; to scale. The local authority decides.", 15
    )
    _front(sheet, file)
    _side(sheet, file)
    _sources(sheet, file)
    return sheet.svg()


def view_heights_mm(file: MountingFile, at_mm: float) -> tuple[float, float]:
    """Return the lowest and highest point in the lens's view at `at_mm` from the wall, in mm above
    the floor.
    """
    height, tilt = file.camera["height"].mm, file.camera["tilt_degrees"].mm
    half = file.camera["view_degrees"].mm / 2
    reach = at_mm - file.camera["depth"].mm
    low, high = radians(tilt - half), radians(tilt + half)
    return height + reach * sin(low) / cos(low), height + reach * sin(high) / cos(high)


def _y(mm: float) -> float:
    return _FLOOR - mm * MM


def _front(sheet: SvgSheet, file: MountingFile) -> None:
    sheet.text(_DOOR_LEFT, 104, "From the front (outside)", 17, bold=True)
    door = file.door["width"].mm * MM
    top = _y(file.door["height"].mm)
    sheet.line((60, _FLOOR), (870, _FLOOR), width=3)
    sheet.box(_DOOR_LEFT - 8, top - 8, door + 16, _FLOOR - top + 8, fill="#f4f1ea", thick=1)
    sheet.box(_DOOR_LEFT, top, door, _FLOOR - top, fill="#fbfaf7", thick=2)
    sheet.circle(_DOOR_LEFT + door - 28, _y(1000), 7, stroke=GREY)
    right = _DOOR_LEFT + door
    lens_x = right + file.camera["from_door"].mm * MM
    lens, lights = file.camera["height"], file.lights["height"]
    button = file.help["height"]
    wide, high = HOUSING["width"] * MM, HOUSING["height"] * MM
    top_box = _y(lens.mm + HOUSING["above_lens"])
    sheet.box(lens_x - wide / 2, top_box, wide, high, stroke=BLUE, fill="#eef3fa", round_=3)
    for side, colour in ((-1, GREEN), (1, RED)):
        x = lens_x + side * HOUSING["light_x"] * MM
        sheet.circle(x, _y(lights.mm), 4, fill=colour, stroke=colour)
    sheet.circle(lens_x, _y(lens.mm), 3, fill="#222222")
    lamp = lens_x - file.illuminator["beside"].mm * MM
    for x in (lamp, 2 * lens_x - lamp):
        sheet.box(x - 1.5, _y(lens.mm) - 3, 3, 10, fill="#ffd54d", stroke="#8a6d00", thick=1)
    sheet.circle(lens_x, _y(button.mm), 4, fill="#2f6fd0", stroke=BLUE)
    _level(sheet, lens_x + 46, lights, "lights", lift=8)
    _level(sheet, lens_x + 46, lens, "lens")
    _level(sheet, lens_x + 46, button, "help button")
    beside = file.illuminator["beside"].mm
    sheet.line((lamp, _y(lens.mm) + 7), (lamp, _FLOOR - 235), width=0.8, colour=GREY, dash="4 4")
    sheet.text(lens_x + 8, _FLOOR - 222, f"illuminator, {beside:g} beside the lens", 12)
    sheet.arrow((right, _FLOOR - 170), (lens_x, _FLOOR - 170), BLUE)
    sheet.text((right + lens_x) / 2, _FLOOR - 178, f"{file.camera['from_door'].mm:g}", 13, "middle")
    sheet.line(
        (lens_x, _y(button.mm) + 20), (lens_x, _FLOOR - 160), width=0.8, colour=GREY, dash="4 4"
    )
    sheet.arrow((_DOOR_LEFT, _FLOOR - 30), (right, _FLOOR - 30))
    sheet.text(
        (_DOOR_LEFT + right) / 2, _FLOOR - 38, f"{file.door['width'].mm:g} clear", 13, "middle"
    )
    sheet.arrow((_DOOR_LEFT - 40, _FLOOR), (_DOOR_LEFT - 40, top))
    sheet.text(_DOOR_LEFT - 48, (top + _FLOOR) / 2, f"{file.door['height'].mm:g} clear", 13, "end")
    corner = lens_x + file.corner["beside"].mm * MM
    sheet.arrow((lens_x, _FLOOR - 110), (corner, _FLOOR - 110), BLUE)
    sheet.text((lens_x + corner) / 2, _FLOOR - 118, f"{file.corner['beside'].mm:g}", 13, "middle")
    sheet.text((lens_x + corner) / 2, _FLOOR - 92, "to the next wall", 12, "middle", GREY)
    _band(sheet, 60, 870)


def _band(sheet: SvgSheet, left: float, right: float) -> None:
    """Draw the heights for operable parts that ADA and DIN both allow."""
    low, high = 865.0, 1050.0
    sheet.area(
        (left, _y(low)),
        (right, _y(low)),
        (right, _y(high)),
        (left, _y(high)),
        fill=GREEN,
        opacity=0.12,
    )
    sheet.text(
        _DOOR_LEFT + 12, _y(high) + 22, f"reach of all: {low:g} to {high:g}", 12, colour=GREEN
    )


def _level(sheet: SvgSheet, x: float, number: Number, name: str, lift: float = 0) -> None:
    y = _y(number.mm)
    sheet.line((x - 20, y), (x + 40, y - lift), width=0.8, colour=GREY, dash="4 4")
    sheet.text(x + 46, y + 4 - lift, f"{name} {number.mm:g}", 13)


def _side(sheet: SvgSheet, file: MountingFile) -> None:
    sheet.text(
        _WALL - 40, 104, "From the side: outside to the right, inside to the left", 17, bold=True
    )
    sheet.box(_WALL - 90, 130, 90, _FLOOR - 130, fill=PALE, thick=1)
    sheet.line((_WALL - 190, _FLOOR), (1760, _FLOOR), width=3)
    _camera(sheet, file)
    _seated(sheet, file)
    out = file.exit["height"]
    sheet.box(_WALL - 96, _y(out.mm) - 12, 8, 24, fill=GREEN, stroke=GREEN)
    sheet.text(_WALL - 100, _y(out.mm) - 22, f"exit {out.mm:g}", 13, "end", GREEN)
    sheet.text(
        _WALL - 100,
        _y(out.mm) + 30,
        f"{file.exit['from_door'].mm:g} beside\nthe door",
        12,
        "end",
        GREY,
    )


def _camera(sheet: SvgSheet, file: MountingFile) -> None:
    deep = file.camera["depth"].mm * MM
    lens, lights, button = (
        file.camera["height"].mm,
        file.lights["height"].mm,
        file.help["height"].mm,
    )
    top = _y(lens + HOUSING["above_lens"])
    sheet.box(_WALL, top, deep, HOUSING["height"] * MM, stroke=BLUE, fill="#eef3fa")
    near, far = file.camera["nearest"].mm, file.camera["farthest"].mm
    depth = file.camera["depth"].mm
    x_lens = _WALL + deep
    (low_n, high_n), (low_f, high_f) = (
        view_heights_mm(file, near + depth),
        view_heights_mm(file, far + depth),
    )
    x_near, x_far = x_lens + near * MM, x_lens + far * MM
    sheet.area(
        (x_near, _y(low_n)), (x_far, _y(low_f)), (x_far, _y(high_f)), (x_near, _y(high_n)),
        fill=BLUE, opacity=0.18,
    )  # fmt: skip
    for edge in (low_f, high_f):
        sheet.line((x_lens, _y(lens)), (x_far, _y(edge)), width=1, colour=BLUE)
    tilt = radians(file.camera["tilt_degrees"].mm)
    axis = far + 60
    sheet.line(
        (x_lens, _y(lens)),
        (x_lens + axis * cos(tilt) * MM, _y(lens + axis * sin(tilt))),
        width=1,
        colour=BLUE,
        dash="6 4",
    )
    sheet.circle(x_lens, _y(lens), 3, fill="#222222")
    sheet.circle(x_lens, _y(lights), 3, fill=GREEN, stroke=GREEN)
    sheet.circle(x_lens, _y(button), 3, fill="#2f6fd0", stroke=BLUE)
    y = _y(high_f) - 30
    sheet.arrow((x_lens, y), (x_near, y), BLUE)
    sheet.text((x_lens + x_near) / 2, y - 6, f"{near:g}", 12, "middle", BLUE)
    sheet.arrow((x_lens, y - 24), (x_far, y - 24), BLUE)
    sheet.text((x_lens + x_far) / 2, y - 30, f"{far:g}", 12, "middle", BLUE)
    sheet.text(x_far + 8, _y(high_f) + 4, f"{round(high_f / 10) * 10:g}", 13, colour=BLUE)
    sheet.text(x_far + 8, _y(low_f) + 4, f"{round(low_f / 10) * 10:g}", 13, colour=BLUE)
    sheet.text(
        x_far + 8,
        _y(lens + axis * sin(tilt)) - 34,
        f"codes are read here: {file.camera['view_degrees'].mm:g} degrees upright,\n"
        + (f"tilted up by {degrees:g}" if (degrees := file.camera["tilt_degrees"].mm) else "level"),
        13,
        colour=BLUE,
    )
    for name, mm in (("lights", lights), ("lens", lens), ("help", button)):
        sheet.text(_WALL - 4, _y(mm) + (-2 if name == "lights" else 4), f"{name} {mm:g}", 11, "end")
    sheet.arrow((_WALL, top - 20), (x_lens, top - 20))
    sheet.text(_WALL + 2, top - 26, f"{depth:g}", 12)


def _seated(sheet: SvgSheet, file: MountingFile) -> None:
    """Draw a person in a wheelchair on the clear floor, with the eye at its height."""
    long = file.floor["long"].mm * MM
    start = _WALL + 190
    sheet.box(start, _FLOOR - 6, long, 6, fill=GREEN, stroke=GREEN, thick=0)
    sheet.arrow((start, _FLOOR + 18), (start + long, _FLOOR + 18), GREEN)
    sheet.text(
        start + long / 2,
        _FLOOR + 36,
        f"clear floor {file.floor['long'].mm:g} x {file.floor['wide'].mm:g}",
        13,
        "middle",
        GREEN,
    )
    hip = start + long * 0.62
    sheet.circle(hip + 15, _y(300), 300 * MM, stroke=GREY)
    sheet.circle(start + 65, _y(90), 90 * MM, stroke=GREY)
    sheet.line((hip + 60, _y(900)), (hip + 52, _y(480)), (hip - 130, _y(480)), width=3, colour=GREY)
    sheet.line(
        (hip - 130, _y(480)), (start + 40, _y(120)), (start + 12, _y(120)), width=3, colour=GREY
    )
    eye = file.seated["eye"].mm
    head = (hip + 26, _y(eye + 10))
    sheet.circle(head[0], head[1], 105 * MM, stroke=GREY, thick=3)
    sheet.line((head[0] + 6, _y(900)), (hip + 30, _y(520)), width=10, colour=PALE)
    sheet.line(
        (head[0], _y(820)), (hip - 70, _y(760)), (_WALL + 175, _y(1040)), width=6, colour=PALE
    )
    sheet.box(_WALL + 158, _y(1100), 8, 130 * MM, fill="#333333", thick=0.5)
    sheet.line((head[0] + 40, _y(eye)), (1730, _y(eye)), width=0.8, colour=GREY, dash="4 4")
    sheet.text(1730, _y(eye) + 18, f"eye, seated {eye:g}", 13, "end", GREY)


def _sources(sheet: SvgSheet, file: MountingFile) -> None:
    y = 1000.0
    sheet.text(30, y, "Sources", 16, bold=True)
    uses = {
        name: dict.fromkeys(n.of for n in file.numbers() if name in n.source)
        for name in file.sources
    }
    for name, source in file.sources.items():
        y += 21
        sheet.text(34, y, f"{source} ({', '.join(uses[name])})", 11.5)
    sheet.text(
        30, y + 30, "Each number with its bounds and its reason: mounting.toml.", 13, colour=GREY
    )
