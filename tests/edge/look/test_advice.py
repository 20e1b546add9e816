"""What `look` tells of a frame: sharpness, light, size, tilt, and what to do next."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from rich.text import Text

from edge.look import advice, grid, terminal, words
from edge.look.advice import Advice
from edge.look.cover import covered
from edge.look.figures import measure
from edge.look.frame_tap import KEPT, Tee
from edge.look.sharpness import edge_width
from edge.look.shrink import shrink
from edge.look.watch import MINUTE_S, Watch
from edge.parts import Trouble
from edge.sight.frame import Exposure, Frame, Luma, Sighting, Symbol
from edge.words import Language
from tests import scenes
from tests.looking import PLAIN, TEXT, Listed, Zxing, rng, texts, view

BOX = (slice(180, 480), slice(490, 790))  # of PLAIN's symbol, about


def scene(seed: int = 1, text: str = TEXT, **look: object) -> Luma:
    return scenes.still(text, rng(seed), replace(PLAIN, **look))  # type: ignore[arg-type]


def keys(*lumas: Luma) -> list[str]:
    return [said.key for said in view(*lumas).advice]


# Sharpness.


@pytest.mark.parametrize("noise", [2, 8, 20])
@pytest.mark.parametrize("side", [200, 340, 560])
def test_edges_widen_with_defocus_whatever_the_noise(noise: int, side: int) -> None:
    half = side // 2
    part = slice(330 - half, 330 + half), slice(640 - half, 640 + half)
    blurs = (0.5, 0.8, 1.2, 2.0, 3.0, 4.5)
    widths = [edge_width(scene(side=side, defocus=b, noise=noise)[part]) or 99 for b in blurs]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(widths)
    assert widths[2] == pytest.approx(blurs[2], abs=0.4)  # it is the lens's own sigma


def test_light_does_not_change_how_wide_edges_are() -> None:
    bright = scene(noise=2)[BOX]
    width = edge_width(bright)
    assert edge_width(bright // 2) == pytest.approx(width, abs=0.05)
    assert edge_width(255 - bright) == pytest.approx(width, abs=0.05)


def test_noise_alone_has_no_edges() -> None:
    noise = np.clip(rng().normal(128, 12, (480, 480)), 0, 255).astype(np.uint8)
    assert edge_width(noise) is None
    assert edge_width(np.full((480, 480), 77, np.uint8)) is None
    assert edge_width(np.zeros((8, 8), np.uint8)) is None


# Modules and tilt.


@pytest.mark.parametrize(("length", "modules"), [(190, 49), (386, 65), (30, 25)])
@pytest.mark.parametrize("change", [{}, {"roll": 95.0}, {"pitch": 35.0}, {"side": 200.0}])
def test_modules_are_counted_in_the_picture(
    length: int, modules: int, change: dict[str, float]
) -> None:
    text = (TEXT * 3)[:length]
    luma = scene(text=text, **change)
    (region,) = view(luma).figures.regions
    assert region.kind == "door"
    assert region.modules == modules
    side = change.get("side", PLAIN.side) * modules / (modules + 8)
    assert region.module_px == pytest.approx(side / modules, rel=0.12)


def test_a_light_on_dark_symbol_is_counted_too() -> None:
    dark_mode = 255 - scene()
    (region,) = view(dark_mode).figures.regions
    assert region.modules == 49


def test_no_modules_where_no_symbol_is() -> None:
    luma = scenes.empty(rng(4))
    square = ((400, 200), (700, 200), (700, 500), (400, 500))
    assert grid.find(luma, square) is None
    assert grid.find(luma, ((5, 5), (5, 5), (5, 5), (5, 5))) is None


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (30, 0), (0, 40), (-35, 25)])
def test_tilt_is_told_and_a_turn_is_not(yaw: float, pitch: float) -> None:
    luma = scene(yaw=yaw, pitch=pitch, roll=20.0, side=420.0)
    (region,) = view(luma).figures.regions
    away = np.degrees(np.arccos(np.cos(np.radians(yaw)) * np.cos(np.radians(pitch))))
    assert region.tilt_degrees == pytest.approx(away, abs=8)


# Advice.


def test_ready_when_nothing_is_wrong() -> None:
    told = view(scene(), exposure=Exposure(2000, 2.5, 2.9))
    assert told.advice == (Advice("ready", "good"),)
    assert told.figures.exposure == Exposure(2000, 2.5, 2.9)
    assert told.decode_ms == 4.0
    assert told.steps == (("zxing-cpp", 1.5), ("sharpened", 2.5))
    assert told.dropped == 3


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"side": 150.0}, "closer"),
        ({"side": 200.0}, "ready-just"),
        ({"yaw": 55.0, "side": 420.0}, "tilted"),
        ({"white": 95, "black": 50}, "pale"),
        ({"white": 60, "black": 10}, "dim"),
    ],
)
def test_what_is_wrong_is_said_first(change: dict[str, float], key: str) -> None:
    assert keys(scene(noise=3, **change))[0] == key


def test_out_of_focus_is_told_of_the_code_in_modules() -> None:
    (where,) = (r.corners for r in view(scene()).figures.regions)
    for defocus, said in ((1.3, "unread"), (3.0, "unfocused")):
        blurred = Frame(scene(defocus=defocus), 1.0)
        figures = measure(blurred, Sighting(1.0, unread=(where,)))
        assert figures.regions[0].modules == 49
        assert [a.key for a in advice.advise(figures, None)] == [said]
    assert [a.key for a in advice.advise(figures, 80)] == ["turn-back"]


def test_what_is_wrong_with_the_place_is_said_without_a_code() -> None:
    empty = scenes.empty(rng(5))
    assert keys(empty) == ["nothing"]
    assert keys((empty * 0.06).astype(np.uint8)) == ["dark"]
    assert keys((empty * 0.3).astype(np.uint8)) == ["dim"]
    assert keys(np.full((720, 1280), 255, np.uint8)) == ["bright"]
    assert keys(scene(text="https://example.org/menu")) == ["other"]


def test_past_the_sharpest_the_ring_goes_back() -> None:
    sharp, blurred = scene(), scene(defocus=1.4)
    told = view(sharp, blurred)
    assert [a.key for a in told.advice] == ["ready", "sharper"]
    assert dict(told.advice[1].values) == {"best": told.best}
    assert told.best is not None
    assert told.figures.sharpness is not None
    assert told.best > told.figures.sharpness
    assert keys(scene(), scenes.empty(rng(5))) == ["sharper-then"]
    assert keys(blurred, sharp) == ["ready"]


@pytest.mark.parametrize("trouble", ["covered", "dirty", "unfocused", "dark"])
def test_what_the_eyes_say_is_handed_on_until_a_frame_shows_the_contrary(trouble: Trouble) -> None:
    def said(luma: Luma) -> set[str]:
        told = replace(view(luma).figures, trouble=trouble)
        return {a.key for a in advice.advise(told, None)}

    murky = (scenes.empty(rng(5)) * 0.3).astype(np.uint8)
    assert trouble in said(murky)
    assert trouble not in said(scene())


def test_the_eyes_want_of_light_is_told() -> None:
    frame = Frame(scenes.empty(rng(5)), 1.0)
    assert advice.advise(measure(frame, Sighting(1.0, dim=True)), None)[0].key == "dim"


def test_a_symbol_that_is_not_read_is_a_region_too() -> None:
    luma = scene()
    (where,) = (r.corners for r in view(luma).figures.regions)
    figures = measure(Frame(luma, 1.0), Sighting(1.0, unread=(where,)))
    assert [r.kind for r in figures.regions] == ["unread"]
    assert figures.regions[0].modules == 49
    assert [a.key for a in advice.advise(figures, None)] == ["unread"]


def test_a_door_code_comes_before_a_larger_poster() -> None:
    behind = scenes.poster("https://example.org/menu", rng(6))
    luma = scenes.still(TEXT, rng(6), replace(PLAIN, side=170.0), behind)
    figures = view(luma).figures
    assert [r.kind for r in figures.regions] == ["door", "other"]
    assert figures.first is figures.regions[0]


@pytest.mark.parametrize(
    ("change", "least"),
    [({"noise": 20}, 0.9), ({"yaw": 45.0}, 0.9), ({"white": 110, "black": 50}, 0.9)],
)
def test_the_bounds_are_where_codes_are_read(change: dict[str, float], least: float) -> None:
    """Of `MODULE_PX_WELL`; and below `MODULE_PX_LEAST` the same hardship ends it."""
    assert read_share(advice.MODULE_PX_WELL, **change) >= least
    assert read_share(advice.MODULE_PX_LEAST - 1, **change) <= 0.4


def test_the_bound_of_blur_is_where_codes_are_read() -> None:
    for module_px in (4.0, 5.0):
        inside = (advice.BLUR_MODULES - 0.1) * module_px
        assert read_share(module_px, defocus=inside) >= 0.9
        assert read_share(module_px, defocus=(advice.BLUR_MODULES + 0.2) * module_px) <= 0.1


def read_share(module_px: float, count: int = 20, **change: float) -> float:
    look = replace(PLAIN, side=module_px * 57, yaw=0.0, pitch=0.0, noise=6)
    look = replace(look, **change)  # type: ignore[arg-type]
    frames = (scenes.still(TEXT, rng(7, n), replace(look, roll=n - 10.0)) for n in range(count))
    return sum(TEXT.encode() in texts(frame) for frame in frames) / count


def test_every_advice_has_its_values() -> None:
    keys = {key for key in words.WORDS.keys if key.startswith("advice-")}
    assert len(keys) > 15
    values = (("px", "2.1"), ("nearer", 50), ("degrees", 50), ("best", 80))
    for language in words.WORDS.languages:
        for key in keys:
            text = words.sentence(Advice(key.removeprefix("advice-"), "hint", values), language)
            assert text != key
            assert "{" not in text


# What is kept.


def test_the_tee_hands_on_and_keeps_the_newest_copies() -> None:
    lumas = [np.full((8, 8), n, np.uint8) for n in range(KEPT + 2)]
    camera = Listed(lumas)
    tee = Tee(camera)
    given = [tee.latest() for _ in lumas]
    assert all(f is not None and f.luma is luma for f, luma in zip(given, lumas, strict=True))
    assert tee.latest() is None
    for luma in lumas:
        luma[:] = 255  # the driver takes its memory back
    kept = tee.frame(given[-2].seen_s)  # type: ignore[union-attr]
    assert kept is not None
    assert kept.luma[0, 0] == KEPT
    assert tee.frame(given[0].seen_s) is None  # type: ignore[union-attr]
    assert tee.frames_per_s == pytest.approx(15)
    tee.close()
    assert camera.closed
    assert tee.frame(given[-1].seen_s) is None  # type: ignore[union-attr]


def test_a_minute_is_remembered_and_a_new_person_is_told_of_alone() -> None:
    tee = Tee(Listed([scene(), scenes.empty(rng(5)), scene(side=160.0, noise=20)]))
    watch = Watch(tee, Zxing(tee))
    assert watch.view(100.0) is None
    shares = []
    for n in range(3):
        watch.take()
        told = watch.view(100 + n / 15)
        assert told is not None
        shares.append(told.read_share)
    assert shares[:2] == [1.0, None]
    watch.take()
    told = watch.view(100 + MINUTE_S + 2)
    assert told is not None
    assert told.minute == ()
    assert told.best is None
    assert [a.key for a in told.advice] == ["old"]


def test_nothing_told_holds_what_a_code_says() -> None:
    told = view(scene())
    said = repr(told.plain()) + repr(told.figures) + terminal.line(told, "zh")
    assert TEXT not in said
    assert TEXT[4:12] not in said


def test_a_covered_code_is_read_by_nobody() -> None:
    for n, look in enumerate(({}, {"side": 600.0}, {"yaw": 35.0}, {"x": 100.0}, {"roll": 45.0})):
        luma = scene(n, noise=2, **look)
        (found,) = (r.corners for r in view(luma).figures.regions) if texts(luma) else (None,)
        if found is None:  # half of it is out of the frame
            continue
        shown = covered(luma, [found])
        assert texts(luma)
        assert texts(shown) == []
        assert texts(255 - shown) == []
        left, top = np.min(found, axis=0)
        outside = np.ones(luma.shape, bool)
        outside[top : np.max(found, axis=0)[1], left : np.max(found, axis=0)[0]] = False
        assert (shown[outside] == luma[outside]).all()
    assert (covered(luma, [((-900, -900), (-800, -900), (-800, -800), (-900, -800))]) == luma).all()


def test_a_code_that_one_frame_misses_stays_covered() -> None:
    clear = scene()
    tee = Tee(Listed([clear] * 3, at_s=[100.0, 100.1, 109.0]))
    watch = Watch(tee, MissesAfter(Zxing(tee), 1))
    shown = []
    for now_s in (100.0, 100.1, 109.0):
        watch.take()
        told = watch.view(now_s)
        assert told is not None
        shown.append((len(told.figures.regions), texts(told.luma)))
    assert shown == [(1, []), (0, []), (0, [TEXT.encode()])], "no longer than it may have left"


class MissesAfter(Zxing):
    """A decoder that finds nothing more after so many frames."""

    def __init__(self, eyes: Zxing, frames: int) -> None:
        self._eyes, self._left = eyes, frames

    def latest(self) -> Sighting | None:
        seen = self._eyes.latest()
        self._left -= 1
        return seen if self._left >= 0 or seen is None else replace(seen, symbols=(), unread=())


# The terminal.


def printed(told: object, columns: int, rows: int, language: Language = "en") -> list[str]:
    console = Console(
        width=columns, height=rows, file=io.StringIO(), force_terminal=True, color_system="256"
    )
    with console.capture() as caught:
        console.print(terminal.screen(told, Text("the end"), language, columns, rows))  # type: ignore[arg-type]
    return caught.get().splitlines()


@pytest.mark.parametrize(("columns", "rows"), [(80, 30), (100, 30), (140, 40), (220, 60)])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_screen_fits_and_says_everything(columns: int, rows: int, language: Language) -> None:
    told = view(scene(), exposure=Exposure(2000, 2.5, 2.9))
    lines = printed(told, columns, rows, language)
    assert len(lines) <= rows
    plain = Text.from_ansi("\n".join(lines)).plain
    assert max(Text(line).cell_len for line in plain.splitlines()) <= columns
    assert words.sentence(told.advice[0], language) in plain
    assert "1/500" in plain
    assert "sharpened 2.5" in plain
    assert "the end" in plain
    assert "▀" in plain


def test_the_box_in_the_terminal_is_where_the_code_is() -> None:
    told = view(scene())
    columns, rows = 160, 45
    console = Console(width=columns, file=io.StringIO(), force_terminal=True, color_system="256")
    lines = console.render_lines(terminal.Picture(told, rows), pad=False)
    green = {
        (row, column)
        for row, line in enumerate(lines)
        for column, segment in enumerate(s for s in line if s.text != "\n")
        if segment.style is not None
        and 46 in (c.number for c in (segment.style.color, segment.style.bgcolor) if c)
    }
    assert len(lines[0]) == columns
    least, most = np.min(list(green), axis=0), np.max(list(green), axis=0)
    found = np.array(told.figures.regions[0].corners) / 8  # 1280 pixels in 160 columns
    assert least == pytest.approx(found.min(0)[::-1] * (0.5, 1), abs=1.5)
    assert most == pytest.approx(found.max(0)[::-1] * (0.5, 1), abs=1.5)


def test_a_shrunk_picture_has_the_mean_of_each_part() -> None:
    luma = rng().integers(0, 255, (60, 80), np.uint8)
    small = shrink(luma, 30, 20)
    assert small[3, 5] == pytest.approx(luma[6:8, 20:24].mean())
    assert shrink(luma, 60, 80) == pytest.approx(luma)
    assert shrink(luma, 120, 100).shape == (120, 100)


def test_an_imagers_symbol_without_a_place_is_no_region() -> None:
    figures = measure(Frame(scene(), 1.0), Sighting(1.0, (Symbol(TEXT.encode(), ()),)))
    assert figures.regions == ()
