"""The page of `look`: who may see it, what it holds, and how Chromium shows it."""

import base64
import http.client
import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from edge.adapters.camera.pictures import to_jpeg
from edge.look import page as pages
from edge.look.page import Page, PageError
from edge.look.watch import LookView
from edge.sight.frame import Exposure, Luma
from tests import scenes
from tests.chromium import ChromiumWatch, chromium, pictures
from tests.looking import PLAIN, TEXT, rng, texts, view

ANY = "0.0.0.0"  # noqa: S104 -- its link is what is tried


@pytest.fixture(scope="module")
def seen() -> LookView:
    return view(scenes.still(TEXT, rng(1), PLAIN), exposure=Exposure(2000, 2.5, 2.9))


@contextmanager
def served(shown: LookView | None, host: str = "127.0.0.1") -> Iterator[Page]:
    page = Page(host, 0, to_jpeg)
    if shown is not None:
        page.show(shown, 872.0)
    try:
        yield page
    finally:
        page.close()


def get(page: Page, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    told = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return told


def now(page: Page, after: int = 0, **headers: str) -> Any:
    status, _, body = get(page, f"/now.json?after={after}", **headers)
    assert status == 200
    return json.loads(body)


def picture(data_url: str) -> Luma:
    head, _, data = data_url.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_figures_come_with_their_own_picture(seen: LookView) -> None:
    with served(seen) as page:
        told = now(page)
    assert told["size"] == [1280, 720]
    assert told["regions"][0]["corners"] == [list(c) for c in seen.figures.regions[0].corners]
    assert told["sharpness"] == seen.figures.sharpness
    assert told["left_s"] == 872.0
    assert [a["key"] for a in told["advice"]] == ["ready"]
    small = picture(told["picture"])
    assert small.shape == (360, 640)
    assert np.abs(small.astype(int) - seen.luma[::2, ::2]).mean() < 8
    detail = picture(told["detail"])
    assert detail.shape == (pages.DETAIL_SIDE, pages.DETAIL_SIDE)


def test_an_answer_waits_for_a_newer_view(seen: LookView, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(seen) as page:
        assert now(page)["number"] == 1
        page.show(seen, 5.0)
        began_s = time.monotonic()
        assert now(page, after=1)["left_s"] == 5.0
        assert time.monotonic() - began_s < pages.WAIT_S
        monkeypatch.setattr(pages, "WAIT_S", 0.1)
        assert now(page, after=2)["number"] == 2
        assert now(page, after=10**30)["number"] == 2
    with served(None) as page:
        assert now(page) == {"number": 0}


def test_no_answer_holds_what_a_code_says(seen: LookView) -> None:
    with served(seen) as page:
        bodies = [get(page, path)[2] for path in (*pages.FILES, "/words.js", "/now.json?after=0")]
    assert texts(scenes.still(TEXT, rng(1), PLAIN)) == [TEXT.encode()]
    assert not any(TEXT[4:12].encode() in body for body in bodies)
    told = json.loads(bodies[-1])
    for shown in (picture(told["picture"]), picture(told["detail"])):
        larger = np.kron(shown, np.ones((3, 3), np.uint8))
        assert texts(shown) == texts(larger) == []


def test_on_this_machine_only_its_own_names_are_answered(seen: LookView) -> None:
    with served(seen) as page:
        assert page.link == f"http://127.0.0.1:{page.port}/"
        for name in ("127.0.0.1:1", "localhost", "localhost:9000", "[::1]:8000"):
            assert get(page, "/", Host=name)[0] == 200
        for name in ("rebound.example", "127.0.0.1.example:80", "", "10.0.0.7"):
            status, _, body = get(page, "/now.json", Host=name)
            assert status == 403
            assert b"number" not in body


def test_elsewhere_a_link_admits_one_device_and_is_renewed(seen: LookView) -> None:
    with served(seen, ANY) as page:
        for path in ("/", "/look.js", "/words.js", "/now.json", "/?token=", "/?token=x"):
            assert get(page, path)[0] == 403
        assert get(page, "/now.json", Cookie="look=x")[0] == 403
        assert get(page, "/now.json", Cookie='look="')[0] == 403
        link = page.link
        _, _, query = link.partition("/?")
        status, headers, _ = get(page, f"/?{query}")
        assert (status, headers["Location"]) == (303, "/")
        assert {"HttpOnly", "SameSite=Lax"} <= set(headers["Set-Cookie"].split("; "))
        cookie = headers["Set-Cookie"].partition(";")[0]
        assert now(page, Cookie=cookie)["number"] == 1
        assert get(page, "/", Cookie=cookie)[0] == 200
        assert get(page, f"/?{query}")[0] == 403, "a link works once"
        assert page.link != link
        _, _, query = page.link.partition("/?")
        assert get(page, f"/?{query}")[0] == 303, "the next device"


def test_nothing_is_asked_of_others_nor_kept_by_the_browser(seen: LookView) -> None:
    with served(seen) as page:
        for path in (*pages.FILES, "/now.json", "/nothing"):
            status, headers, _ = get(page, path)
            assert status == (404 if path == "/nothing" else 200)
            assert headers["Cache-Control"] == "no-store"
            assert headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_port_in_use_is_one_sentence() -> None:
    with served(None) as page, pytest.raises(PageError, match=f"port {page.port} .*name another"):
        Page("127.0.0.1", page.port, to_jpeg)
    with pytest.raises(PageError, match=r"cannot listen on 203\.0\.113\.9, port 0"):
        Page("203.0.113.9", 0, to_jpeg)


# In Chromium.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def focusing() -> LookView:
    """Somebody has turned the ring past the sharpest and back."""
    blurs = [*np.linspace(4.0, 0.7, 16), *np.linspace(0.8, 2.2, 7), *np.linspace(2.0, 0.7, 6)]
    look = replace(PLAIN, side=330.0)
    frames = [scenes.still(TEXT, rng(2, n), replace(look, defocus=b)) for n, b in enumerate(blurs)]
    frames += [frames[-1]] * 30
    at_s = [*np.arange(29) * 2.0, *58 + np.arange(30) / 15]
    return view(*frames, exposure=Exposure(2000, 2.5, 2.9), at_s=at_s)


@pytest.mark.system
@pytest.mark.system
def test_the_box_is_drawn_on_the_code(browser: Browser, seen: LookView) -> None:
    with served(seen) as page:
        tab = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-GB")
        watch = ChromiumWatch(tab, page.link)
        tab.goto(page.link)
        expect(tab.locator("#advice li")).to_have_text("●Ready: a code of this size is read well.")
        frame = tab.locator("#picture").bounding_box()
        assert frame is not None
        drawn = tab.locator("#boxes polygon.door").evaluate(
            "box => [...box.points].map(p => p.matrixTransform(box.getScreenCTM()))"
            ".map(p => [p.x, p.y])"
        )
        scale = frame["width"] / 1280
        assert frame["height"] == pytest.approx(720 * scale, abs=1)
        corners = np.array(seen.figures.regions[0].corners) * scale + (frame["x"], frame["y"])
        assert np.array(drawn) == pytest.approx(corners, abs=1)
        tab.get_by_role("button", name="中文").click()
        expect(tab.locator("#advice li")).to_contain_text("可以使用")
        assert tab.locator("html").get_attribute("lang") == "zh-CN"
        assert watch.foreign == []
        assert watch.complaints == []
        tab.close()


@pytest.mark.system
def test_the_page_says_when_look_has_ended(browser: Browser, seen: LookView) -> None:
    with served(seen) as page:
        tab = browser.new_page(locale="en-GB")
        tab.goto(page.link)
        expect(tab.locator("#advice li")).to_be_visible()
        expect(tab.locator("#gone")).to_be_hidden()
    expect(tab.locator("#gone")).to_be_visible(timeout=10_000)
    tab.close()


@pytest.mark.system
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "locale"), [(390, "zh-CN"), (1280, "en-GB")])
def test_the_page_fits_and_is_legible(
    browser: Browser, focusing: LookView, tmp_path: Path, scheme: Any, width: int, locale: str
) -> None:
    with served(focusing) as page:
        tab = browser.new_page(
            viewport={"width": width, "height": 820}, color_scheme=scheme, locale=locale
        )
        tab.goto(page.link)
        expect(tab.locator("#boxes polygon")).to_have_count(1)
        expect(tab.locator("#sharpness")).to_have_text(str(focusing.figures.sharpness))
        points = tab.locator("#minute polyline").get_attribute("points") or ""
        assert len(points.split()) == len(focusing.minute)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        shown = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, shown[4:-1].split(","))) < 380) == (scheme == "dark")
        name = "look.png" if (width, scheme) == (1280, "light") else f"look-{width}-{scheme}.png"
        tab.screenshot(path=pictures(tmp_path) / name, full_page=width < 500)
        tab.close()
