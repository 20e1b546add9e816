"""The printed housing: closed surfaces, the Pi's own holes, and room for what goes in."""

import re
import shutil

import numpy as np
import pytest

from hardware.drawings import mounting
from hardware.enclosure import mesh

# Raspberry Pi mechanical drawings of 3B, 4B and 5: 85 x 56, four holes 58 x 49 apart, 3.5 from the
# edges. Camera Module 3: 25 x 23.862, four holes 21 x 12.5 apart, 2 from the edges. The
# module sees 66 degrees across and 41 down (its product brief).
PI_HOLES_MM = (58.0, 49.0)
CAMERA_HOLES_MM = (21.0, 12.5)
ACROSS_DEGREES, DOWN_DEGREES = 66, 41
PUPIL_MM = 4.74 / 1.8  # focal length by F-number: hardware/README.md, The camera

FILES = {part: mesh.read(mesh.HERE / f"{part}.stl") for part in mesh.PARTS}


def number(name: str) -> float:
    """A plain number of the model."""
    found = re.search(rf"^{name} = ([\d.-]+);", mesh.MODEL.read_text(), re.M)
    assert found, name
    return float(found[1])


def circles(part: str, z: float, radius: float) -> list[tuple[float, float]]:
    """The middles of the circles of `radius` that the part has at the height `z`."""
    points = FILES[part].reshape(-1, 3)
    points = np.unique(points[np.abs(points[:, 2] - z) < 1e-3][:, :2].round(3), axis=0)
    middles = set()
    for a in points:
        near = points[np.abs(np.hypot(*(points - a).T)) < 2 * radius + 0.01]
        for b in near:
            middle = (a + b) / 2
            if abs(np.hypot(*(a - b)) - 2 * radius) < 0.01:
                on = np.abs(np.hypot(*(points - middle).T) - radius) < 0.01
                if on.sum() >= 16:
                    middles.add(tuple((middle + 0.0).round(1).tolist()))
    return sorted(middles)


@pytest.mark.parametrize("part", mesh.PARTS)
def test_a_part_is_one_piece_and_its_surface_is_closed(part: str) -> None:
    triangles = FILES[part]
    assert mesh.open_edges(triangles) == 0
    assert mesh.solids(triangles) == 1
    assert 50_000 < mesh.volume_mm3(triangles) < 250_000  # positive: the surface looks outwards


def test_a_missing_triangle_is_found() -> None:
    assert mesh.open_edges(FILES["back"][1:]) == 3


def test_the_parts_have_the_size_of_the_model() -> None:
    width, height, depth, plate = (number(n) for n in ("width", "height", "depth", "plate"))
    assert mesh.size_mm(FILES["front"]) == pytest.approx((width, height, depth - plate))
    stand = max(number("pi_stand"), number("switch_stand"), 3)
    assert mesh.size_mm(FILES["back"]) == pytest.approx((width, height, plate + stand))
    assert width <= 200 and height <= 200  # the bed of a small printer


def test_the_stands_are_where_the_pi_has_its_holes() -> None:
    z = number("plate") + number("pi_stand")
    found = circles("back", z, number("pi_screw") / 2)
    assert len(found) == 4
    xs, ys = sorted({x for x, _ in found}), sorted({y for _, y in found})
    assert (ys[1] - ys[0], xs[1] - xs[0]) == pytest.approx(PI_HOLES_MM)
    # the far pair of holes is 3.5 from the board's upper edge, its sockets look down
    upper_edge = number("pi_y") + number("pi_length") / 2
    assert upper_edge - ys[1] == pytest.approx(3.5, abs=0.06)


def test_the_posts_are_where_the_camera_has_its_holes_and_the_lens_is_at_the_window() -> None:
    face = (
        *(number("depth"), -number("wall"), -number("pane_thick")),
        *(number("recess"), -number("camera_lens")),
    )
    z_printed = number("depth") - sum(face)  # the front lies on its face
    found = circles("front", z_printed, number("camera_screw") / 2)
    assert len(found) == 4
    xs, ys = sorted({x for x, _ in found}), sorted({-y for _, y in found})  # turned over
    assert (xs[1] - xs[0], ys[1] - ys[0]) == pytest.approx(CAMERA_HOLES_MM)
    assert (sum(xs) / 2, ys[0]) == pytest.approx((0, number("window_y")))


def test_what_hangs_on_the_wall_is_what_the_mounting_drawing_shows() -> None:
    drawn = mounting.read()
    lens = drawn.camera["height"].mm
    assert drawn.lights["height"].mm - lens == number("light_y") - number("window_y") > 0
    assert lens - drawn.help["height"].mm == number("window_y") - number("button_y")
    assert drawn.illuminator["beside"].mm == number("lamp_x")
    assert drawn.camera["depth"].mm == number("depth")
    assert drawn.camera["tilt_degrees"].mm == 0, "the posts look straight out"
    above = number("height") / 2 - number("window_y")
    assert {
        "width": number("width"), "height": number("height"),
        "above_lens": above, "light_x": number("light_x"),
    } == mounting.HOUSING  # fmt: skip


@pytest.mark.parametrize(
    ("degrees", "name"), [(ACROSS_DEGREES, "window_wide"), (DOWN_DEGREES, "window_high")]
)
def test_the_window_hides_nothing_of_the_picture(degrees: float, name: str) -> None:
    gap = 1  # between lens and pane
    pupil_behind = 2  # of the lens's front
    away = pupil_behind + gap + number("pane_thick") + number("wall") - number("recess") - 1.2
    wanted = PUPIL_MM + 2 * away * np.tan(np.radians(degrees / 2))
    assert number(name) > wanted + 1  # and a module 0.5 mm off its place


def test_the_gasket_is_pressed_as_its_makers_ask_and_lies_under_the_rim() -> None:
    cord, deep, wide = number("cord"), number("groove_deep"), number("groove_wide")
    assert 0.15 <= (cord - deep) / cord <= 0.30
    assert np.pi * cord**2 / 4 <= 0.95 * deep * wide  # rubber is moved, not squeezed smaller
    assert number("rim") - wide >= 2 * 1.6
    assert number("plate") - deep >= 2.5


@pytest.mark.hardware
def test_the_files_are_what_the_model_makes() -> None:
    if not shutil.which("openscad"):
        pytest.fail("openscad is missing; run: make .cache/apt-enclosure")
    for part, committed in FILES.items():
        made = mesh.render(part)
        assert mesh.size_mm(made) == pytest.approx(mesh.size_mm(committed), abs=1e-3)
        assert mesh.volume_mm3(made) == pytest.approx(mesh.volume_mm3(committed), rel=1e-5)
        corners = [np.unique(m.reshape(-1, 3).round(2) + 0.0, axis=0) for m in (made, committed)]
        assert abs(len(corners[0]) - len(corners[1])) <= 0.01 * len(corners[1]), part
        for ours, theirs in (corners, corners[::-1]):
            known = {tuple((p * 50).round().tolist()) for p in theirs}
            strange = [p for p in ours if not _near(p, known)]
            assert not strange, f"{part}.stl is old; run: make enclosure"


def _near(point: np.ndarray, known: set[tuple[float, ...]]) -> bool:
    cell = (point * 50).round()
    return any(
        (cell[0] + i, cell[1] + j, cell[2] + k) in known
        for i in (0, -1, 1)
        for j in (0, -1, 1)
        for k in (0, -1, 1)
    )


@pytest.mark.hardware
def test_board_plugs_camera_lamps_and_screws_find_room() -> None:
    if not shutil.which("openscad"):
        pytest.fail("openscad is missing; run: make .cache/apt-enclosure")
    assert len(mesh.render("clash")) == 0
