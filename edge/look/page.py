"""The view as a page on the local network: its files, its words, and figures as JSON.

Figures come with their own picture, so that the boxes fit it. On another address than this
machine's own the page needs the token of its link: it works once and sets a cookie, and a new
link is printed for the next device. Nothing is written, and no other host is contacted.
"""

import base64
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import numpy as np

from edge.look.shrink import shrink
from edge.look.watch import LookView
from edge.look.words import WORDS
from edge.sight.frame import Luma
from edge.wire.unit import ConfigError

Jpeg = Callable[[Luma], bytes]

WIDTH_MAX = 800  # pixels of the picture
DETAIL_SIDE = 160  # pixels of the frame in the detail, each shown as a square
WAIT_S = 2.0  # for a newer view, before the last one is sent again
IDLE_S = 10.0  # of a connection

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
COOKIE = "look"

FILES = {
    "/": ("look.html", "text/html"),
    "/look.css": ("look.css", "text/css"),
    "/look.js": ("look.js", "text/javascript"),
}

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

REFUSED = "".join(f"{line}\n" for line in WORDS.in_each("refused"))


class PageError(ConfigError):
    """The page cannot be served; one sentence with the reason and what to do."""


class PageResponse(NamedTuple):
    """Of one request."""

    status: HTTPStatus
    kind: str  # media type
    body: bytes
    more: dict[str, str]  # headers


class Page:
    """Serves the newest view, in its own threads, until it is closed. Raises PageError."""

    def __init__(self, host: str, port: int, jpeg: Jpeg) -> None:
        self._jpeg = jpeg
        self._changed = threading.Condition()
        self._view: LookView | None = None
        self._left_s = 0.0
        self._number = 0
        self._closed = False
        self._encoding = threading.Lock()
        self._encoded: tuple[int, bytes] = (0, b"{}")
        self._cookie = secrets.token_urlsafe(24)
        self._token = secrets.token_urlsafe(12)
        self._host = host
        self._local = _is_local(host)
        try:
            self._server = _PageServer(host, port, self)
        except OSError as error:
            raise PageError(
                f"the page cannot listen on {host}, port {port} ({error.strerror or error}); "
                "name another: --page [HOST:]PORT"
            ) from None
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    @property
    def link(self) -> str:
        """Where a browser finds the page; another one after each use of a token."""
        name = f"[{self._host}]" if ":" in self._host else self._host
        if self._local:
            return f"http://{name}:{self.port}/"
        if self._host in ("0.0.0.0", "::"):  # noqa: S104 -- the installer has named it
            name = _own_name()
        return f"http://{name}:{self.port}/?token={self._token}"

    def show(self, view: LookView, left_s: float) -> None:
        """This is the newest; look ends in `left_s` seconds."""
        with self._changed:
            self._view, self._left_s = view, left_s
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """No more answers, on connections that are still open either; the picture is forgotten."""
        with self._changed:
            self._closed, self._view = True, None
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, target: str, host: str, cookies: str) -> PageResponse:
        """Of a GET for `target` with these headers."""
        asked = urlsplit(target)
        query = parse_qs(asked.query)
        if self._closed:
            return PageResponse(HTTPStatus.GONE, "text/plain", b"look has ended\n", {})
        if self._local:
            if _name(host) not in LOCAL_NAMES:  # another site's name that points here
                return _refused()
        elif token := query.get("token", [""])[0]:
            return self._admit(token)
        elif not self._knows(cookies):
            return _refused()
        if asked.path in FILES:
            file, kind = FILES[asked.path]
            return _ok(f"{kind}; charset=utf-8", (files("edge.look") / file).read_bytes())
        if asked.path == "/words.js":
            return _ok("text/javascript; charset=utf-8", WORDS.script())
        if asked.path == "/now.json":
            after = query.get("after", ["0"])[0]
            return _ok("application/json", self._now(int(after) if after.isdecimal() else 0))
        return PageResponse(HTTPStatus.NOT_FOUND, "text/plain", b"no such page\n", {})

    def _admit(self, token: str) -> PageResponse:
        with self._changed:
            if not hmac.compare_digest(token.encode(), self._token.encode()):
                return _refused()
            self._token = secrets.token_urlsafe(12)
        cookie = f"{COOKIE}={self._cookie}; HttpOnly; SameSite=Lax; Path=/"
        more = {"Location": "/", "Set-Cookie": cookie}
        return PageResponse(HTTPStatus.SEE_OTHER, "text/plain", b"", more)

    def _knows(self, cookies: str) -> bool:
        try:
            cookie = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and hmac.compare_digest(
            cookie.value.encode(), self._cookie.encode()
        )

    def _now(self, after: int) -> bytes:
        """The newest view as JSON, its pictures in it; waits for one newer than `after`."""
        with self._changed:
            self._changed.wait_for(lambda: self._number > after or self._closed, WAIT_S)
            number, view, left_s = self._number, self._view, self._left_s
        if view is None:
            return b'{"number": 0}'
        with self._encoding:  # once, for however many look
            if self._encoded[0] != number:
                self._encoded = number, _json(number, view, left_s, self._jpeg)
            return self._encoded[1]


def _json(number: int, view: LookView, left_s: float, jpeg: Jpeg) -> bytes:
    height, width = view.luma.shape
    step = -(-width // WIDTH_MAX)
    picture = view.luma
    if step > 1:
        picture = shrink(view.luma, height // step, width // step).astype(np.uint8)
    fields = view.plain() | {
        "number": number,
        "left_s": left_s,
        "minute": view.minute,
        "picture": _data_url(picture, jpeg),
        "detail": _data_url(_detail(view), jpeg),
    }
    return json.dumps(fields).encode()


def _detail(view: LookView) -> Luma:
    """A corner of the symbol, else the middle, pixel by pixel."""
    height, width = view.luma.shape
    left, top, right, bottom = view.figures.measured
    x, y = (left + right) / 2, (top + bottom) / 2
    if view.figures.regions:
        corner = view.figures.regions[0].corners[0]
        x, y = (3 * corner[0] + x) / 4, (3 * corner[1] + y) / 4
    left = min(max(0, int(x) - DETAIL_SIDE // 2), max(0, width - DETAIL_SIDE))
    top = min(max(0, int(y) - DETAIL_SIDE // 2), max(0, height - DETAIL_SIDE))
    return view.luma[top : top + DETAIL_SIDE, left : left + DETAIL_SIDE]


def _data_url(luma: Luma, jpeg: Jpeg) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(luma)).decode()


def _ok(kind: str, body: bytes) -> PageResponse:
    return PageResponse(HTTPStatus.OK, kind, body, {})


def _refused() -> PageResponse:
    return PageResponse(HTTPStatus.FORBIDDEN, "text/plain; charset=utf-8", REFUSED.encode(), {})


def _name(host: str) -> str:
    """A Host header without its port."""
    return host[: host.rfind("]") + 1] if "]" in host else host.partition(":")[0]


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_name() -> str:
    """This machine's address on its network; nothing is sent to find it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody
            address: str = probe.getsockname()[0]
            return address
    except OSError:
        return f"{socket.gethostname()}.local"


class _PageServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int, page: Page) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.page = page
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _PageServer
    timeout = IDLE_S
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "look", ""

    def do_GET(self) -> None:
        headers = self.headers
        answer = self.server.page.answer(
            self.path, headers.get("Host", ""), headers.get("Cookie", "")
        )
        self.send_response(answer.status)
        fields = {"Content-Type": answer.kind, "Content-Length": str(len(answer.body))}
        for name, value in (fields | HEADERS | answer.more).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """The token is in what would be logged."""
