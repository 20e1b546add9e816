"""Serves the wallet's files under one common version, so that a phone never mixes two versions.

    /                     the page; it loads the files below by their version
    /v/VERSION/wallet.js  and the other files, the page too: an address never changes its content
    /worker.js            the service worker: caches all of them for use without a network

VERSION is the start of a SHA-256 over all files: when one changes, a phone fetches all again.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Route

from edge import words
from edge.words import Words
from server_stub import templates

_HERE = Path(__file__).parent
_FILES = {
    "wallet.css": "wallet.css",
    "wallet.js": "wallet.js",
    "proof.js": "proof.js",
    "vault.js": "vault.js",
    "qrcode.mjs": "qrcode-generator/qrcode.mjs",
}
_PAGE, _WORKER = "index.html", "worker.js"
_MEDIA = {
    ".html": b"text/html; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
}
_VERSION_LEN = 16
_REVALIDATE = b"no-cache"
_IMMUTABLE = b"public, max-age=31536000, immutable"

# `trusted-types menshen`: the page needs it for one URL, that of its service worker.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types menshen"
)
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", _POLICY.encode()),
)
"""Headers of every response of the issuer."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def routes(folder: Path = _HERE, texts: Words | None = None) -> list[BaseRoute]:
    """The wallet's routes, with the texts of `edge/words.toml` or `texts`. Reads the files once."""
    texts = texts or words.section("wallet")
    files = {name: (folder / path).read_bytes() for name, path in _FILES.items()}
    files["words.js"] = texts.script()
    page, worker = (folder / _PAGE).read_bytes(), (folder / _WORKER).read_bytes()
    version = _version([page, worker, *files.values()])
    template = templates.environment(folder).get_template(_PAGE)
    page = template.render(version=version, no_script=texts.in_each("no-script")).encode()
    files[_PAGE] = page
    cached_paths = [f"/v/{version}/{name}" for name in files]
    worker = worker.replace(b'"{version}"', json.dumps(version).encode())
    worker = worker.replace(b'["{cached_paths}"]', json.dumps(cached_paths).encode())
    assets = [
        _Asset("/", page, ".html", _REVALIDATE),
        _Asset("/worker.js", worker, ".js", _REVALIDATE),
    ]
    assets += [
        _Asset(f"/v/{version}/{name}", body, Path(name).suffix, _IMMUTABLE)
        for name, body in files.items()
    ]
    return [Route(asset.path, asset, methods=["GET"]) for asset in assets]


def _version(bodies: list[bytes]) -> str:
    digests = b"".join(hashlib.sha256(body).digest() for body in bodies)
    return hashlib.sha256(digests).hexdigest()[:_VERSION_LEN]


@dataclass(frozen=True, slots=True)
class _Asset:
    path: str
    body: bytes
    suffix: str
    cache: bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_response(send, 200, self.body, _MEDIA[self.suffix], self.cache)


async def send_response(send: Send, status: int, body: bytes, media: bytes, cache: bytes) -> None:
    """Send one complete HTTP response."""
    headers = [
        (b"content-type", media),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", cache),
        *SECURITY_HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
