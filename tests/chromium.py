"""Debian's Chromium for tests, what a page asked for and complained of, and where pictures go."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium(*more: str) -> Iterator[Browser]:
    """A browser of its own, with `more` arguments; Ed25519 in WebCrypto needs none since 137."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=[*_QUIET, *more]
        )
        yield browser
        browser.close()


class ChromiumWatch:
    """What a page asked for and complained of."""

    def __init__(self, page: Page, url: str) -> None:
        self.url, self.foreign, self.complaints = url, [], []  # type: ignore[var-annotated]
        page.on("request", lambda request: self._ask(request.url))
        page.on("console", lambda said: self._complain(said.type, said.text))
        page.on("pageerror", lambda error: self._complain("error", str(error)))

    def _ask(self, url: str) -> None:
        if not url.startswith((self.url, self.url.replace("http", "ws", 1), "data:", "blob:")):
            self.foreign.append(url)

    def _complain(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)


def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: MENSHEN_PICTURES, or the test's own folder."""
    folder = Path(os.environ.get("MENSHEN_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
