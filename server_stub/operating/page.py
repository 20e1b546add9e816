"""The operators' page: a live, read-only view of the store (NiceGUI), in English and Chinese."""

import datetime
import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI
from nicegui import Client, run, ui
from sqlalchemy.engine import Engine
from starlette.requests import Request
from starlette.responses import RedirectResponse

from server_stub import serving, store
from server_stub.operating import markup, overview
from server_stub.operating.overview import DoorState, HourlyCounts, NoCountReason
from server_stub.operating.words import WORDS, Language, say, say_word

REFRESH_S = 2.0
ALL = ""  # the option for all doors

_CSS = Path(__file__).with_name("page.css")
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E"
    "%3Cpath fill='%230b7a3e' d='M4 22V4l8-3 8 3v18h-5v-8H9v8z'/%3E%3C/svg%3E"
)
_LOOK: dict[
    str, tuple[str, str, dict[str, Any]]
] = {  # colour, legend symbol, hatching: a category differs in more than its colour
    "green": ("#0b7a3e", "circle", {"symbol": "none"}),
    "yellow": ("#e0a800", "triangle", {"symbol": "line", "rotation": 0.8, "dashArrayX": [1, 0]}),
    "red": ("#c02f2a", "rect", {"symbol": "circle", "symbolSize": 0.7}),
}
_OTHERS = ("#5b7db1", "#8d6fb3", "#4f9a94", "#a0785a", "#7d8a6a", "#6f7a99", "#9a7a8a")


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of the page, from one reading of the store."""

    now_s: int
    doors: list[DoorState]
    hours: HourlyCounts
    shown_n: int  # doors that `hours` is about


def serve(engine: Engine, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortError."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/")
    def choose(request: Request) -> RedirectResponse:
        accepted = request.headers.get("accept-language", "")
        return RedirectResponse(f"/{WORDS.choose(accepted)}", 302)

    for language in WORDS.languages:
        _add_page(engine, language, host)
    ui.run_with(app, dark=None, favicon=_ICON, tailwind=False, show_welcome_message=False)
    serving.serve_web(app, "operators' page", host, port)


def _add_page(engine: Engine, language: Language, host: str) -> None:
    pack: Any = say(language, "pack")

    @ui.page(f"/{language}", language=pack, title=say(language, "title"))
    async def page(client: Client) -> None:
        await _page(engine, language, host)


def read(engine: Engine, door_name: str, now_s: int) -> Reading:
    """Read the store. The counts are those of `door_name`, or of ALL doors."""
    offset = datetime.datetime.fromtimestamp(now_s).astimezone().utcoffset()
    offset_s = int(offset.total_seconds()) if offset else 0
    with engine.connect() as connection:
        doors = overview.doors(connection, now_s)
        shown_doors = [d for d in doors if door_name in (ALL, d.name)]
        hours = overview.hours(connection, shown_doors, now_s, offset_s)
        return Reading(now_s, doors, hours, len(shown_doors))


async def _page(engine: Engine, language: Language, host: str) -> None:
    ui.add_css(_CSS.read_text())
    open_page = OpenPage(language, host)

    async def refresh() -> None:
        try:
            reading = await run.io_bound(read, engine, open_page.door_name, int(time.time()))
        except sa.exc.SQLAlchemyError as error:
            open_page.freeze(store.reason(error))
            return
        if reading is not None:  # None while the program ends
            open_page.show(reading)

    open_page.on_choice(refresh)
    await refresh()
    ui.timer(REFRESH_S, refresh)


class OpenPage:
    """One open page: its elements, and their content."""

    def __init__(self, language: Language, host: str) -> None:
        self._language = language
        self._reading: Reading | None = None
        with ui.element("header"), ui.element("div").classes("bar"):
            self._html(markup.text("h1", say(language, "name")))
            self._news = self._html("").props('role="status"').classes("news")
            for other in WORDS.languages:
                if other != language:
                    ui.link(say(other, "language"), f"/{other}").classes("switch")
        with ui.element("div").classes("content"):
            self._warning = self._html("").props('role="alert"')
            self._tally = self._html("").classes("tally")
            with ui.element("section"):
                with ui.element("div").classes("head"):
                    self._html(markup.text("h2", say(language, "doors")))
                    self._find = ui.input(
                        say(language, "find"), on_change=lambda: self._show_doors()
                    ).props("dense outlined clearable")
                self._doors = self._html("")
            with ui.element("section"):
                with ui.element("div").classes("head"):
                    self._html(markup.text("h2", say(language, "counts")))
                    self._choice = ui.select(
                        {ALL: say(language, "all-doors")}, value=ALL, label=say(language, "show")
                    ).props("dense outlined options-dense")
                self._html(markup.text("p", say(language, "how"), "how"))
                self._chart = ui.echart({}, renderer="svg").classes("chart")
                self._table = self._html("")
        with ui.element("footer"):
            local = _is_loopback(host)
            word = "login-local" if local else "login-open"
            self._html(markup.text("p", say(language, word, host=host), word))

    @staticmethod
    def _html(content: str) -> ui.html:
        return ui.html(content, sanitize=False)  # markup.py has escaped it

    @property
    def door_name(self) -> str:
        """The name of the door whose counts are shown, or ALL."""
        return str(self._choice.value or ALL)

    def on_choice(self, refresh: Any) -> None:
        """Call `refresh` when another door is chosen."""
        self._choice.on_value_change(refresh)

    def freeze(self, why: str) -> None:
        """Show that the store cannot be read; keep the last content."""
        sentence = say(self._language, "frozen", why=why[:200])
        _set(self._warning, markup.text("p", sentence, "warning"))

    def show(self, reading: Reading) -> None:
        """Show `reading`; unchanged parts are not sent again."""
        language, self._reading = self._language, reading
        _set(self._warning, "")
        _set(self._news, markup.news(language, reading.now_s))
        _set(self._tally, markup.tally(reading.doors, language))
        self._show_doors()
        options = {ALL: say(language, "all-doors")} | {
            name: name for name in sorted(d.name for d in reading.doors)
        }
        if self._choice.options != options:
            self._choice.set_options(options)
        chart = chart_options(reading, language)
        if self._chart.options != chart:
            self._chart.options.clear()
            self._chart.options.update(chart)
            self._chart.update()
        _set(
            self._table,
            markup.hours_table(reading.hours, reading.shown_n, language, reading.now_s)
            if reading.shown_n
            else "",
        )

    def _show_doors(self) -> None:
        if self._reading:
            find = str(self._find.value or "")
            doors, now_s = self._reading.doors, self._reading.now_s
            _set(self._doors, markup.door_list(doors, find, self._language, now_s))


def chart_options(reading: Reading, language: Language) -> dict[str, Any]:
    """Stacked bars by hour, oldest first, and a hatched band for hours without counts."""
    table = reading.hours
    starts = table.starts_s[::-1]
    others = iter(_OTHERS)
    series: list[dict[str, Any]] = []
    legend = []
    for category in table.categories:
        colour, icon, decal = _LOOK.get(category) or (next(others, "#888888"), "diamond", {})
        name = say_word(language, "category", category)
        data = []
        for start_s in starts:
            entry = table.entries[start_s, category] if reading.shown_n else overview.HourCount()
            if entry.cells:
                tip = markup.tip(name, entry, language, reading.now_s)
                data.append({"value": entry.count, "tooltip": {"formatter": tip}})
            else:
                data.append({"value": None})
        style = {"color": colour} | ({"decal": {"color": "#fff8"} | decal} if decal else {})
        series.append({"name": name, "type": "bar", "stack": "n", "data": data, "itemStyle": style})
        legend.append({"name": name, "icon": icon})
    band = say(language, "band")
    empty = [_has_no_count(table, start_s) for start_s in starts]
    hatch = {"symbol": "rect", "rotation": 0.8, "dashArrayX": [1, 0], "dashArrayY": [2, 5]}
    series.append(
        {
            "name": band,
            "type": "bar",
            "yAxisIndex": 1,
            "barGap": "-100%",
            "barCategoryGap": "20%",
            "z": 1,
            "data": [{"value": 1 if e else None} for e in empty],
            "itemStyle": {"color": "#8882", "decal": hatch | {"color": "#8886"}},
            "tooltip": {"formatter": band},
        }
    )
    legend.append({"name": band, "icon": "roundRect"})
    return {
        "aria": {"enabled": True, "decal": {"show": True}},
        "animation": False,
        "tooltip": {"trigger": "item"},
        "legend": {"data": legend, "type": "scroll", "top": 0},
        "grid": {"left": 8, "right": 8, "top": 40, "bottom": 4, "containLabel": True},
        "xAxis": {
            "type": "category",
            "data": [f"{datetime.datetime.fromtimestamp(s):%H:%M}" for s in starts],
        },
        "yAxis": [
            {"type": "value", "minInterval": 1, "splitLine": {"lineStyle": {"color": "#8883"}}},
            {"type": "value", "show": False, "max": 1},
        ],
        "series": series,
    }


def _has_no_count(table: HourlyCounts, start_s: int) -> bool:
    """Whether the hour has no count although a door existed that could have one."""
    entries = [table.entries[key] for key in table.entries if key[0] == start_s]
    return not any(e.cells for e in entries) and any(
        e.missing.keys() - {NoCountReason.NOT_INSTALLED} for e in entries
    )


def _set(element: ui.html, content: str) -> None:
    if element.content != content:
        element.set_content(content)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
