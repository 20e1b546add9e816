"""The issuer: signs codes over HTTP for records that were unlocked, and serves the wallet page.

    POST /v1/activate  {"secret": …, "token": …}    -> {"token": …}
    POST /v1/code      Authorization: Bearer TOKEN  -> {"text", "iat_s", "exp_s", "colour", "svg"}

The phone makes its token (32 random bytes, base64url) and keeps it before it asks: a secret
unlocks one token only, and that one again, so an answer may get lost. Without a token in the
request the issuer makes one, and its answer must arrive.
`/v1/code?svg=no` leaves the picture out, for who draws it: it costs hundreds of signatures.
A refusal is {"error": word, "say": sentence}. The signing path is plain ASGI.
"""

import io
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import segno
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.applications import Starlette
from starlette.routing import Route

from edge.wire import code, keys
from edge.wire.code import Code
from server_stub import lists, records, serving, store
from server_stub.estate import Estate, IssuerFile
from server_stub.records import Refusal

LIFE_S = 600
BODY_LEN_MAX = 1024
TELL_EVERY_S = 60.0  # how often the log says that the store fails

_HERE = Path(__file__).parent
_PAGES = {
    "/": ("wallet.html", "text/html; charset=utf-8"),
    "/wallet.js": ("wallet.js", "text/javascript; charset=utf-8"),
    "/wallet.css": ("wallet.css", "text/css; charset=utf-8"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
_GUARDED = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", _POLICY.encode()),
]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class IssuerError(ValueError):
    """The issuer cannot start; one sentence that says what is wrong and what to do."""


class Answer(msgspec.Struct):
    """What a phone gets: the code, when it was signed and until when it works, its picture."""

    text: str
    iat_s: int  # Unix seconds UTC
    exp_s: int  # Unix seconds UTC, exclusive
    colour: str
    svg: str | None = None


class Problem(msgspec.Struct):
    """Why not. `error` is for programs, `say` for people."""

    error: str
    say: str


class _Activation(msgspec.Struct):
    secret: str
    token: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}(?!\n)$")] | None = None


_ANSWER, _ACTIVATION = msgspec.json.Encoder(), msgspec.json.Decoder(_Activation)
_NO_TOKEN = Problem("token", "This phone is not unlocked here; ask for a new activation secret.")
_WINDOW = Problem("window", "This issuer's key is not in use at this time; ask who runs it.")
_BODY = Problem(
    "body",
    'Send JSON as {"secret": "XXXX-XXXX-XXXX-XXXX", "token": 43 letters of base64url}.',
)
_STORE = Problem("store", "The issuer's store fails, and nothing was changed; try again later.")
_REFUSED = {
    Refusal.UNKNOWN: Problem("unknown", "No record has this activation secret."),
    Refusal.USED: Problem("used", "This activation secret was used already."),
}
_STATUS = {"body": 400, "token": 401, "unknown": 404, "used": 409, "window": 503, "store": 503}

_log = logging.getLogger("menshen.issuer")


class Issuer:
    """One issuer's key over one store."""

    def __init__(
        self, said: IssuerFile, key: keys.PrivateKey, engine: sa.Engine, life_s: int = LIFE_S
    ) -> None:
        """Raises IssuerError when its codes would be refused at every door."""
        now_s = int(time.time())
        if not 1 <= life_s <= said.longest_life_s:
            raise IssuerError(
                f"codes of issuer {said.name} may live 1 to {said.longest_life_s} seconds, not "
                f"{life_s}; name another --life-s"
            )
        if not said.from_s <= now_s < said.until_s:
            raise IssuerError(
                f"the key of issuer {said.name} is not in use at this time (it is {now_s}, the "
                f"key's window {said.from_s} to {said.until_s}); make a new key"
            )
        self._said = said
        self._key = key
        self._engine = engine
        self._life_s = life_s
        self._reading: Connection | None = None
        self._tell_from_s = 0.0  # by the monotonic clock

    def code(self, token: str, now_s: int) -> Answer | Problem:
        """Sign a code for who holds `token`."""
        if not self._said.from_s <= now_s < self._said.until_s:
            return _WINDOW
        try:
            holder = self._holder(token, now_s)
        except sa.exc.SQLAlchemyError as error:
            return self._failed(error)
        if holder is None:
            return _NO_TOKEN
        exp_s = now_s + self._life_s
        signed = Code(
            colour=holder.colour,
            sub=holder.sub,
            iat_s=now_s,
            exp_s=exp_s,
            aud=holder.aud,
            scope=holder.scope,
        )
        return Answer(code.encode(signed, self._key), now_s, exp_s, holder.colour.name.lower())

    def _holder(self, token: str, now_s: int) -> records.Holder | None:
        if self._reading is None:
            self._reading = store.reading(self._engine)
        known = records.holder(self._reading, self._said.name, token, now_s)
        if known:
            return known
        with store.writing(self._engine) as connection:  # a new day, or nobody
            records.renew_day(connection, self._said.name, token, now_s)
            return records.holder(connection, self._said.name, token, now_s)

    def activate(self, secret: str, token: str) -> Problem | None:
        """Unlock a record for `token`; None: it is unlocked."""
        try:
            with store.writing(self._engine) as connection:
                refusal = records.activate(connection, self._said.name, secret, token)
        except sa.exc.SQLAlchemyError as error:
            return self._failed(error)
        return _REFUSED[refusal] if refusal else None

    def _failed(self, error: sa.exc.SQLAlchemyError) -> Problem:
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        now_s = time.monotonic()
        if now_s >= self._tell_from_s:  # not for each person who asks
            _log.error("the store fails (%.200s); who asks is told", store.reason(error))
            self._tell_from_s = now_s + TELL_EVERY_S
        return _STORE


def web(issuer: Issuer) -> Starlette:
    """The issuer as an ASGI application."""
    pages = [Route(path, _Page(*page), methods=["GET"]) for path, page in _PAGES.items()]
    return Starlette(
        routes=[
            Route("/v1/code", _CodeEndpoint(issuer), methods=["POST"]),
            Route("/v1/activate", _ActivateEndpoint(issuer), methods=["POST"]),
            *pages,
        ]
    )


def run(
    estate: Estate, name: str, engine: sa.Engine, host: str, port: int, life_s: int = LIFE_S
) -> None:
    """Serve and renew the status lists until told to end.

    Raises EstateError, IssuerError, ListsError, PortError.
    """
    said, key = estate.issuer(name)
    served = web(Issuer(said, key, engine, life_s))
    renewal = lists.Renewal(estate, name, engine)
    renewal.start()
    try:
        serving.serve_web(served, "issuer", host, port)
    finally:
        renewal.stop()


def svg(text: str) -> str:
    """The QR symbol of a code: alphanumeric, EC level M, its quiet zone white in any theme."""
    symbol = segno.make_qr(text, error="m", mode="alphanumeric", boost_error=False)
    picture = io.BytesIO()
    symbol.save(picture, kind="svg", border=4, light="#fff", xmldecl=False, omitsize=True)
    return picture.getvalue().decode().strip()


class _CodeEndpoint:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._issuer.code(_bearer(scope), int(time.time()))
        if isinstance(answer, Problem):
            await _send_problem(send, answer)
            return
        if scope["query_string"] != b"svg=no":
            answer.svg = svg(answer.text)
        await _send_json(send, 200, answer)


class _ActivateEndpoint:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            wanted = _ACTIVATION.decode(await _body(receive))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            await _send_problem(send, _BODY)
            return
        token = wanted.token or records.new_token()
        problem = self._issuer.activate(wanted.secret, token)
        if problem:
            await _send_problem(send, problem)
            return
        await _send_json(send, 200, {"token": token})


class _Page:
    def __init__(self, name: str, media: str) -> None:
        self._body = (_HERE / name).read_bytes()
        self._media = media

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _send(send, 200, self._body, self._media, b"no-cache")


def _bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:]).decode("latin-1")
    return ""


async def _body(receive: Receive) -> bytes:
    """The request's body; empty when it is longer than any that we read."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > BODY_LEN_MAX or message["type"] != "http.request":
            return b""
        if not message.get("more_body", False):
            return body


async def _send_problem(send: Send, problem: Problem) -> None:
    await _send_json(send, _STATUS[problem.error], problem)


async def _send_json(send: Send, status: int, value: object) -> None:
    await _send(send, status, _ANSWER.encode(value), "application/json", b"no-store")


async def _send(send: Send, status: int, body: bytes, media: str, cache: bytes) -> None:
    headers = [
        (b"content-type", media.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", cache),
        *_GUARDED,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
