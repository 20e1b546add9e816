"""The command: look until the time is over, tell it on a terminal, a page, or as JSON."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from edge.look import terminal
from edge.look.frame_tap import Tee
from edge.look.page import Jpeg, Page, PageError
from edge.look.watch import LookView, Watch
from edge.look.words import WORDS, say
from edge.sight.ports import Scanner
from edge.words import Language

PERIOD_S = 0.2
"""As often as a hand on a lens ring can follow; each view costs some 20 ms of one core."""

TOLD_EVERY_S = 1.0  # in lines, for machines and for what is no terminal

LOCALHOST = "127.0.0.1"


def look(
    tee: Tee, eyes: Scanner, jpeg: Jpeg, seconds: float, page_at: str | None, as_json: bool
) -> None:
    """Look through `eyes`, whose camera is `tee`, for `seconds` or until somebody ends it.

    Raises CameraLost, PageError.
    """
    language = _language()
    watch = Watch(tee, eyes)
    with ExitStack() as opened:
        page = Page(*_address(page_at), jpeg) if page_at is not None else None
        if page is not None:
            opened.callback(page.close)
        teller: _Teller
        if not as_json and Console().is_terminal and not Console().is_dumb_terminal:
            teller = opened.enter_context(_screen(page, language))
        else:
            teller = _Lines(page, language, as_json)
        opened.enter_context(_ended_by_hand())
        _until(time.monotonic() + seconds, watch, eyes, page, teller)


def _until(end_s: float, watch: Watch, eyes: Scanner, page: Page | None, teller: "_Teller") -> None:
    due_s = time.monotonic()
    while (now_s := time.monotonic()) < end_s:
        watch.take()
        if now_s < due_s:
            eyes.wait(min(due_s, end_s) - now_s)
            continue
        due_s = now_s + PERIOD_S
        view = watch.view(now_s)
        if view is not None and page is not None:
            page.show(view, end_s - now_s)
        teller.tell(view, end_s - now_s, now_s)


class _Teller(Protocol):
    def tell(self, view: LookView | None, left_s: float, now_s: float) -> None:
        """Show `view`; None: no picture yet."""


class _Lines:
    """One line a second on standard output; links go to standard error."""

    def __init__(self, page: Page | None, language: Language, as_json: bool) -> None:
        self._page, self._language, self._as_json = page, language, as_json
        self._due_s = 0.0
        self._link = ""

    def tell(self, view: LookView | None, left_s: float, now_s: float) -> None:
        if self._page is not None and self._page.link != self._link:
            self._link = self._page.link
            print(f"{say(self._language, 'page')} {self._link}", file=sys.stderr, flush=True)
        if view is None or now_s < self._due_s:
            return
        self._due_s = now_s + TOLD_EVERY_S
        text = (
            json.dumps(view.plain(), ensure_ascii=False)
            if self._as_json
            else terminal.line(view, self._language)
        )
        print(text, flush=True)


class _Screen:
    """The whole terminal, as it was again at the end: no picture stays in its history."""

    def __init__(self, live: Live, page: Page | None, language: Language) -> None:
        self._live, self._page, self._language = live, page, language

    def tell(self, view: LookView | None, left_s: float, now_s: float) -> None:
        language, size = self._language, self._live.console.size
        foot = Text(style="dim")
        foot.append(say(language, "ends", time=f"{left_s // 60:.0f}:{left_s % 60:02.0f}"))
        foot.append(" · " + say(language, "by-hand"))
        if self._page is not None:
            foot.append(f"\n{say(language, 'page')} ").append(self._page.link, "not dim bold")
        shown: RenderableType = Group(Text(say(language, "waiting")), foot)
        if view is not None:
            shown = terminal.screen(view, foot, language, size.width, size.height)
        self._live.update(shown, refresh=True)


@contextmanager
def _screen(page: Page | None, language: Language) -> Iterator[_Screen]:
    with Live(screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        yield _Screen(live, page, language)


@contextmanager
def _ended_by_hand() -> Iterator[None]:
    """Ctrl-C is how it is meant to end; a lost terminal and a stop end it as cleanly."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _address(address: str) -> tuple[str, int]:
    """`[HOST:]PORT`. Raises PageError."""
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdecimal() and int(port) < 65536):
        raise PageError(f"--page {address!r} is not [HOST:]PORT; write 8000 or 0.0.0.0:8000")
    return host.strip("[]") or LOCALHOST, int(port)


def _language() -> Language:
    locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG")
    return WORDS.choose(locale or "")
