"""The operators' page, as Chromium shows it over a real server and a real store."""

import datetime
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jinja2
import pytest
import sqlalchemy as sa
from playwright.sync_api import Browser, expect

from edge.wire import report
from server_stub import store
from server_stub.operating import markup, overview
from server_stub.operating import page as pages
from server_stub.operating.overview import HourlyCounts, NoCountReason
from tests.centre import running
from tests.chromium import ChromiumWatch, chromium, pictures

HOUR_S = 3600
NOW_S = 1_900_000_000 // HOUR_S * HOUR_S + 1800  # half past some hour


# What the page says, without a browser.


def health(**more: object) -> report.HealthReport:
    usual = {
        "session": 1,
        "version": "0.1.0",
        "uptime_h": 31,
        "trust_version": 3,
        "trust_age_d": 2,
        "trust": "fresh",
        "clock": "system",
        "camera": "ok",
        "door": "ok",
        "store": "ok",
        "verifier": "ok",
        "queue": "ok",
    }
    return report.HealthReport(**(usual | more))  # type: ignore[arg-type]


class Filler:
    """Puts doors and cells into a store as the collector does."""

    def __init__(self, url: str) -> None:
        self.engine = store.open_store(url)
        self._number = 0

    def door(
        self,
        unit: store.UnitKey,
        online: bool | None,
        first_s: int,
        state_s: int,
        health_s: int | None = None,
        **more: object,
    ) -> None:
        with store.writing(self.engine) as connection:
            store.add_units(connection, {unit: []}, {}, first_s)
            if online is not None:
                state = report.StateReport(online=online, session=1, installation="0" * 16)
                store.add_units(connection, {unit: [state]}, {}, state_s)
            if health_s is not None:
                store.add_units(connection, {}, {unit: health(**more)}, health_s)

    def cell(
        self, unit: store.UnitKey, category: str, from_s: int, until_s: int, count: int
    ) -> None:
        self._number += 1
        cell = report.Cell(
            number=self._number,
            category=category,  # type: ignore[arg-type]
            from_s=from_s,
            until_s=until_s,
            count=count,
        )
        counts = report.CountsReport(installation="0" * 16, cells=[cell])
        with store.writing(self.engine) as connection:
            store.add_cells(connection, [store.Report(unit, counts)])

    def read(self, now_s: int = NOW_S) -> tuple[list[overview.DoorState], overview.HourlyCounts]:
        with self.engine.connect() as connection:
            doors = overview.doors(connection, now_s)
            return doors, overview.hours(connection, doors, now_s, 0)


A, B, C = (store.UnitKey("campus", name) for name in ("gate", "hall", "lab"))


@pytest.fixture
def filler(tmp_path: Path) -> Filler:
    return Filler(f"sqlite:///{tmp_path}/menshen.db")


def test_a_cell_is_shown_at_the_hour_it_ended_in(filler: Filler) -> None:
    hour_s = NOW_S // HOUR_S * HOUR_S
    filler.door(A, True, NOW_S - 90000, NOW_S - 90000, NOW_S - 30)
    filler.cell(A, "red", hour_s - 3 * HOUR_S + 600, hour_s - 900, 11)  # over three hours
    filler.cell(A, "green", hour_s - 900, hour_s, 40)  # ends with the hour, exclusive
    filler.cell(A, "green", hour_s, hour_s + 900, 25)
    filler.cell(A, "green", hour_s + 900, hour_s + 1500, 15)
    _, hours = filler.read()
    row = [hours.entries[hour_s - n * HOUR_S, "red"] for n in range(4)]
    assert [e.count for e in row] == [0, 11, 0, 0]
    assert [e.missing for e in row] == [
        {NoCountReason.CELL_OPEN: 1},
        {},
        {NoCountReason.COUNTED_LATER: 1},
        {NoCountReason.COUNTED_LATER: 1},
    ]
    assert (row[1].from_s, row[1].until_s) == (hour_s - 3 * HOUR_S + 600, hour_s - 900)
    assert hours.entries[hour_s - HOUR_S, "green"].count == 40
    now = hours.entries[hour_s, "green"]
    assert (now.count, now.cells) == (40, 2)


def test_what_is_not_published_is_never_a_nought(filler: Filler) -> None:
    for unit in (A, B):
        filler.door(unit, True, NOW_S - 90000, NOW_S - 90000, NOW_S - 30)
    filler.cell(A, "green", NOW_S - 900, NOW_S, 12)
    doors, hours = filler.read()
    for language, held in (("en", "held, fewer than k"), ("zh", "还未满 k")):
        table = markup.hours_table(hours, len(doors), language, NOW_S)
        cells = [re.sub("<[^>]+>", " ", c) for c in re.findall(r"<td>(.*?)</td>", table)]
        assert len(cells) == 24 * 3
        assert not [c for c in cells if re.search(r"\b0\b", c.split(":")[0])]
        assert sum(held in c for c in cells) == len(cells)
        assert sum("12" in c.split() for c in cells) == 1


def test_an_unheard_door_is_not_said_to_hold(filler: Filler) -> None:
    hour_s = NOW_S // HOUR_S * HOUR_S
    filler.door(A, False, NOW_S - 90000, NOW_S - 2 * HOUR_S)
    filler.door(B, True, NOW_S - HOUR_S, NOW_S - HOUR_S, NOW_S - 10)
    _, hours = filler.read()
    missing = [hours.entries[hour_s - n * HOUR_S, "green"].missing for n in range(4)]
    assert missing == [
        {NoCountReason.NO_MESSAGE: 1, NoCountReason.CELL_OPEN: 1},
        {NoCountReason.NO_MESSAGE: 1, NoCountReason.CELL_OPEN: 1},
        {NoCountReason.NO_MESSAGE: 1, NoCountReason.NOT_INSTALLED: 1},
        {NoCountReason.CELL_OPEN: 1, NoCountReason.NOT_INSTALLED: 1},
    ]


@pytest.mark.parametrize(
    ("online", "health_s", "more", "status", "problems"),
    [
        (True, NOW_S - 60, {}, "online", ()),
        (True, NOW_S - 400, {}, "silent", ()),
        (False, NOW_S - 60, {}, "offline", ()),
        (None, NOW_S - 60, {}, "unknown", ()),
        (True, NOW_S, {"camera": "lost", "queue": "full"}, "online", ("camera-lost", "queue-full")),
        (True, NOW_S, {"camera": "unfocused"}, "online", ("camera-unfocused",)),
        (
            True,
            NOW_S,
            {"alarms": ["forced", "help"], "camera": "dark"},
            "online",
            ("alarm-forced", "alarm-help", "camera-dark"),
        ),
        (
            True,
            NOW_S,
            {"clock": "floor", "rtc": "broken", "trust": "old"},
            "online",
            ("clock-floor", "rtc-broken", "trust-old"),
        ),
    ],
)
def test_how_a_door_is(
    filler: Filler,
    online: bool | None,
    health_s: int,
    more: dict[str, object],
    status: str,
    problems: tuple[str, ...],
) -> None:
    filler.door(A, online, NOW_S - 9000, NOW_S - 9000, health_s, **more)
    (door,), _ = filler.read()
    assert (door.status, door.problems) == (status, problems)


def test_a_door_with_an_alarm_stands_before_all_others(filler: Filler) -> None:
    day_s = NOW_S - 90000
    filler.door(A, False, day_s, day_s)  # needs somebody, but cries out nothing
    filler.door(B, True, day_s, day_s, NOW_S - 20, camera="lost")
    filler.door(C, True, day_s, day_s, NOW_S - 20, alarms=["fire", "held"])
    doors, _ = filler.read()
    assert [door.unit for door in doors] == ["lab", "gate", "hall"]
    for language, said in (
        ("en", ("fire alarm", "door held open")),
        ("zh", ("火警", "门敞开过久")),
    ):
        shown = markup.door_list(doors, "", language, NOW_S)
        assert all(shown.count(word) == 1 for word in said)
        assert shown.count('class="alarms"') == 1
        assert "<b>2</b>" in markup.tally(doors, language)


def test_a_unit_of_before_the_alarms_is_shown_as_ever(filler: Filler) -> None:
    filler.door(A, True, NOW_S - 9000, NOW_S - 9000, NOW_S)
    old = {k: v for k, v in report.content(health()).items() if k != "alarms"}
    with filler.engine.begin() as connection:
        connection.execute(sa.update(store.units).values(health=old))
    doors, _ = filler.read()
    assert (doors[0].problems, doors[0].alarms) == ((), ())
    assert "alarms" not in markup.door_list(doors, "", "en", NOW_S)


def test_what_this_version_does_not_know_is_shown_as_unknown(filler: Filler) -> None:
    new: report.Fields = {"lamp": "dim", "zones": ["north", 3, None]}
    alarms = ["fire", "call"]
    filler.door(A, True, NOW_S - 9000, NOW_S - 9000, NOW_S, alarms=alarms, camera="smeared",
                trust="sealed", unknown=new)  # fmt: skip
    filler.door(B, True, NOW_S - 9000, NOW_S - 9000, NOW_S)
    filler.door(C, True, NOW_S - 9000, NOW_S - 9000, NOW_S, queue="online", alarms=["fire"])
    with store.writing(filler.engine) as connection:
        lift: report.Fields = {"lift": True}
        counts = report.CountsReport(installation="0" * 16, cells=[], unknown=lift)
        store.add_units(connection, {}, {}, NOW_S, {A: counts})
    filler.cell(A, "title", NOW_S - 900, NOW_S, 12)  # this table of words has such a key
    doors, hours = filler.read()
    gate, lab, hall = doors
    assert gate.problems == ("alarm-fire", "alarm-call", "camera-smeared", "trust-sealed")
    assert (lab.problems, hall.problems) == (("alarm-fire", "queue-online"), ())
    assert hours.categories[-1] == "title"
    for language, unknown, fire, ok in (
        ("en", "unknown to this version: ", "fire alarm", "ok"),
        ("zh", "此版本未知：", "火警", "正常"),
    ):
        shown = markup.door_list([gate], "", language, NOW_S)
        assert f'<li><i aria-hidden="true">!</i> {fire}</li>' in shown
        assert f'<li><i aria-hidden="true">!</i> {unknown}call</li>' in shown
        assert f'<dd><i aria-hidden="true">!</i> {unknown}smeared</dd>' in shown
        assert f'<dd><i aria-hidden="true">!</i> {unknown}sealed, ' in shown
        assert f'<dd><i aria-hidden="true">✓</i> {ok}</dd>' in shown
        for fields in ("lamp dim", "zones north, 3, null", "lift true"):
            assert f'<p class="why">{unknown}{fields}</p>' in shown
        assert f"{unknown}online</dd>" in markup.door_list([lab], "", language, NOW_S)
        assert unknown not in markup.door_list([hall], "", language, NOW_S)
        assert f"{unknown}title</th>" in markup.hours_table(hours, 3, language, NOW_S)
        chart = pages.chart_options(pages.Reading(NOW_S, doors, hours, 3), language)
        assert f"{unknown}title" in [series["name"] for series in chart["series"]]


HOSTILE = "<img src=x onerror='alert(1)'>&\""


def test_what_others_have_written_is_text_and_never_markup(filler: Filler) -> None:
    filler.door(A, True, NOW_S - 9000, NOW_S - 9000, NOW_S, camera="lost")
    filler.cell(A, "green", NOW_S - 900, NOW_S, 12)
    (door,), hours = filler.read()
    assert door.health is not None
    hostile = replace(
        door,
        site=HOSTILE,
        unit=HOSTILE,
        alarms=(HOSTILE,),
        health=dict.fromkeys(door.health, HOSTILE),
    )
    shown = markup.door_list([hostile], "", "en", NOW_S)
    parts = len(overview.PARTS) - 1  # trust shows its age instead
    assert shown.count("&lt;img src=x onerror=") == 3 + parts + 2 + 1 + 1
    column = HourlyCounts(hours.starts_s, (HOSTILE,), {
        (start_s, HOSTILE): hours.entries[start_s, "green"] for start_s in hours.starts_s
    })  # fmt: skip
    chart = pages.chart_options(pages.Reading(NOW_S, [hostile], column, 1), "en")
    tips = [d["tooltip"]["formatter"] for d in chart["series"][0]["data"] if "tooltip" in d]
    assert len(tips) == 1
    for part in (
        shown,
        markup.hours_table(column, 1, "en", NOW_S),
        markup.text("p", HOSTILE, HOSTILE),
        *tips,
    ):
        assert "&lt;img" in part
        assert "<img" not in part
        assert HOSTILE.rpartition(">")[2] not in part


def test_a_place_of_a_template_that_gets_nothing_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        markup._TEMPLATES.from_string("{{ nobody }}").render()


# What the browser shows.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def a_day(filler: Filler, now_s: int) -> None:
    """A day at three doors: a lively gate, a hall with a broken camera, a lab that went silent."""
    day_s = now_s - 20 * HOUR_S
    filler.door(A, True, day_s, day_s, now_s - 20)
    filler.door(B, True, day_s, day_s, now_s - 25, camera="lost", queue="late", alarms=["held"])
    filler.door(C, True, day_s, day_s, now_s - 4000)
    with store.writing(filler.engine) as connection:
        gone = report.StateReport(online=False, session=1, installation="0" * 16)
        store.add_units(connection, {C: [gone]}, {}, now_s - 3900)
    quarter = (now_s - 900) // 900 * 900
    for n in range(64):
        until_s = quarter - 900 * n
        rush = (n * 37) % 29 + (60 if (n // 4) % 6 in (1, 2) else 14)
        if (n // 4) % 9 != 7:  # hours in which nothing reached k
            filler.cell(A, "green", until_s - 900, until_s, rush)
        if n >= 5 and n % 3 == 0:
            filler.cell(B, "green", until_s - 2700, until_s, 10 + rush // 3)
        if n % 17 == 3:
            filler.cell(A, "yellow", until_s - 15300, until_s, 11 + n % 5)
        if n % 40 == 9:
            filler.cell(A, "red", until_s - 36000, until_s, 10 + n % 4)
            filler.cell(A, "expired", until_s - 36000, until_s, 12)


@pytest.mark.system
def test_the_operators_page(browser: Browser, tmp_path: Path) -> None:
    url_of_store = f"sqlite:///{tmp_path}/menshen.db"
    filler, now_s = Filler(url_of_store), int(time.time())
    a_day(filler, now_s)
    with running("page", "--store", url_of_store, "--port", 0) as program:
        url = program.said[-1].split(" at ")[1]
        page = browser.new_page(
            locale="en-GB", viewport={"width": 1180, "height": 1000}, color_scheme="light"
        )
        watch = ChromiumWatch(page, url)
        page.goto(url)
        expect(page).to_have_url(f"{url}en")
        doors = page.locator(".door")
        expect(doors).to_have_count(3)
        lab = page.locator(".door", has_text="lab")
        expect(lab).to_contain_text("offline")
        expect(lab).to_contain_text("connection lost")
        since = datetime.datetime.fromtimestamp(now_s - 3900)
        expect(lab).to_contain_text(f"{since:%H:%M}")
        hall = page.locator(".door").first
        expect(hall).to_contain_text("hall")
        expect(hall).to_contain_text("! lost")
        expect(hall.get_by_role("list", name="Alarms")).to_have_text("! door held open")
        expect(page.locator("table")).to_contain_text("held, fewer than k")
        expect(page.locator("footer")).to_contain_text("No login yet")
        expect(page.locator(".chart svg text").filter(has_text="green").first).to_be_visible()
        folder = pictures(tmp_path)
        page.screenshot(path=folder / "operators.png")
        page.screenshot(path=tmp_path / "whole.png", full_page=True)

        # one door
        page.locator(".q-select").click()
        page.get_by_role("option", name="campus/lab").click()
        expect(page.locator("table")).to_contain_text("no word from the door")
        expect(page.locator("table td b")).to_have_count(0)

        # live
        filler.cell(C, "green", now_s - 1000, now_s - 10, 4321)
        filler.door(store.UnitKey("campus", "new"), True, now_s, now_s, now_s)
        expect(page.locator("table")).to_contain_text("4,321", timeout=10_000)
        expect(doors).to_have_count(4)
        page.get_by_label("Find a door").fill("LAB")
        expect(doors).to_have_count(1)

        # the other language, in the dark, on a phone
        page.set_viewport_size({"width": 390, "height": 844})
        page.emulate_media(color_scheme="dark")
        page.get_by_role("link", name="中文").click()
        expect(page.locator("table")).to_contain_text("还未满 k")
        assert page.locator("html").get_attribute("lang") == "zh-CN"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(int(n) for n in re.findall(r"\d+", ground)) < 64
        page.screenshot(path=folder / "operators-phone.png")
        page.wait_for_timeout(500)
        assert watch.foreign == []
        assert watch.complaints == []
        page.close()


@pytest.mark.system
def test_a_broken_store_is_said_on_the_page(browser: Browser, tmp_path: Path) -> None:
    url_of_store = f"sqlite:///{tmp_path}/menshen.db"
    filler = Filler(url_of_store)
    filler.door(A, True, NOW_S, NOW_S, NOW_S)
    with running("page", "--store", url_of_store, "--port", 0) as program:
        page = browser.new_page(locale="zh-CN")
        page.goto(program.said[-1].split(" at ")[1])
        expect(page.locator(".door")).to_have_count(1)
        with filler.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE cells RENAME TO gone"))
        expect(page.locator(".warning")).to_contain_text("无法读取存储", timeout=10_000)
        expect(page.locator(".door")).to_have_count(1)
        with filler.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE gone RENAME TO cells"))
        expect(page.locator(".warning")).to_have_count(0, timeout=10_000)
        page.close()
