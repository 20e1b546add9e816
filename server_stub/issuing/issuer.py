"""The issuer: signs codes over HTTP for unlocked records, and serves the wallet page.

    POST /v1/activate  {"secret": …, "token": …, "key": …}        -> {"token": …}
    POST /v1/code      Authorization: Bearer TOKEN, {"key": …}    -> a code, see `IssuedCode`
                       the same with "party": true                -> the code of the whole party

The phone makes its token (32 random bytes, base64url) and stores it before the request. A secret
unlocks one token only, but that token any number of times, so a lost reply does no harm. If the
request has no token, the issuer makes one; that reply must arrive.

`key` is the phone's public Ed25519 key: base64 of its 32 raw bytes. A phone with a key gets
**holder codes**, which are valid for hours because they work only with proofs that the phone makes.
A phone without a key sends none and gets **bearer codes**, valid for minutes. The first key that
a token sends becomes the record's key: from then on the record gets no code for another key and no
bearer code, until `menshen-server replace` makes a new secret.

A refusal is {"error": word, "say": sentence}. The signing path is plain ASGI.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route

from edge.wire import code, keys
from edge.wire.code import Code, ColourChange, StatusEntry
from edge.wire.decode import decode_json
from server_stub import serving, store
from server_stub.estate import Estate, IssuerFile
from server_stub.issuing import colour_changes, parties, records, revocation, status_lists
from server_stub.issuing.records import HolderRecord, Refusal
from server_stub.issuing.revocation import RevocationError
from server_stub.wallet import assets
from server_stub.wallet.assets import Receive, Scope, Send

LIFE_S = 600
HOLDER_LIFE_S = 12 * 3600
BODY_LEN_MAX = 1024
LOG_EVERY_S = 60.0  # how often a database error is logged

StatusOf = Callable[[HolderRecord, int], StatusEntry | None]
"""Returns the status list entry of a code, from its holder and its expiry in Unix seconds.

If it raises SQLAlchemyError or RevocationError, nothing is signed.
"""


class IssuerError(ValueError):
    """The issuer cannot start; one sentence says why and what to do."""


class ColourTurn(msgspec.Struct):
    """`colour` from `at_s` on: Unix seconds UTC."""

    colour: str
    at_s: int


class IssuedCode(msgspec.Struct):
    """The reply to a phone: the code, when it was signed and when it expires."""

    text: str
    iat_s: int  # Unix seconds UTC by the issuer's clock, when it replies
    exp_s: int  # Unix seconds UTC, exclusive
    colour: str
    again_s: int  # a phone with a network renews after this time: the colour may have changed
    party: int  # how many people the record's party code is for; 1: the record has no party
    turns: ColourTurn | None = None  # the scheduled change of colour, perhaps after `exp_s`


class Problem(msgspec.Struct):
    """Why a request is refused. `error` is for programs, `say` for people."""

    error: str
    say: str


class _Activation(msgspec.Struct):
    secret: str
    token: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}(?!\n)$")] | None = None
    key: str | None = None


class _CodeRequest(msgspec.Struct):
    key: str | None = None
    party: bool = False


_ENCODER = msgspec.json.Encoder()
_NO_TOKEN = Problem("token", "This phone is not unlocked here; ask for a new activation secret.")
_WINDOW = Problem("window", "This issuer's key may not sign now; tell the operator.")
_BODY = Problem(
    "body",
    'Send JSON as {"secret": "XXXX-XXXX-XXXX-XXXX", "token": 43 letters of base64url, "key": the '
    "32 bytes of the phone's Ed25519 key as base64}; the last two may be left out.",
)
_KEY_BODY = Problem(
    "body",
    'Send nothing, or JSON as {"key": the 32 bytes of the phone\'s Ed25519 key as base64, "party": '
    "true for the party's code}; each may be left out.",
)
_NO_PARTY = Problem("party", "This record has no party; ask the office that enrolled you.")
_OTHER_KEY = Problem(
    "key",
    "This record belongs to a key that this phone does not have; ask for a new activation secret.",
)
_STORE = Problem("store", "The issuer has a database error; nothing was changed; try again later.")
_REFUSED = {
    Refusal.UNKNOWN: Problem("unknown", "No record has this activation secret; check it."),
    Refusal.USED: Problem(
        "used", "This activation secret was already used; ask for a new activation secret."
    ),
    Refusal.OTHER_KEY: _OTHER_KEY,
}
_STATUS = {
    "body": 400,
    "token": 401,
    "unknown": 404,
    "used": 409,
    "key": 409,
    "party": 409,
    "window": 503,
    "store": 503,
}

_log = logging.getLogger("menshen.issuer")


class Issuer:
    """Signs codes with one issuer's key, for the records of one store."""

    def __init__(
        self,
        issuer_file: IssuerFile,
        key: keys.PrivateKey,
        engine: sa.Engine,
        life_s: int = LIFE_S,
        holder_life_s: int | None = None,
        status: StatusOf | None = None,
    ) -> None:
        """`status`: called for each holder code.

        Raises IssuerError when doors would refuse every code.
        """
        now_s = int(time.time())
        if holder_life_s is None:
            holder_life_s = min(HOLDER_LIFE_S, issuer_file.longest_life_s)
        for option, value in (("--life-s", life_s), ("--holder-life-s", holder_life_s)):
            if not 1 <= value <= issuer_file.longest_life_s:
                raise IssuerError(
                    f"codes of issuer {issuer_file.name} may live 1 to "
                    f"{issuer_file.longest_life_s} seconds, not {value}; change {option}"
                )
        if not issuer_file.from_s <= now_s < issuer_file.until_s:
            raise IssuerError(
                f"the key of issuer {issuer_file.name} signs from {issuer_file.from_s} to "
                f"{issuer_file.until_s} and it is {now_s} now; make a new key with: "
                f"menshen-provision issuer-key"
            )
        self._issuer_file = issuer_file
        self._key = key
        self._engine = engine
        self._life_s = life_s
        self._holder_life_s = holder_life_s
        self._status = status
        self._reader: Connection | None = None
        self._next_log_s = 0.0  # by the monotonic clock

    def code(
        self, token: str, now_s: int, key: bytes | None = None, party: bool = False
    ) -> IssuedCode | Problem:
        """Sign a code for the record of `token`: a holder code if a 32-byte `key` is given.

        `party`: sign the code of the record's whole party.
        """
        if not self._issuer_file.from_s <= now_s < self._issuer_file.until_s:
            return _WINDOW
        try:
            holder = self._holder(token, now_s)
            if holder and holder.key is None and key is not None:
                holder = self._bind(token, now_s, key)
            if holder is None:
                return _NO_TOKEN
            if holder.key != key:
                return _OTHER_KEY
            if party:
                holder = self._party(holder, token, now_s)
                if holder is None:
                    return _NO_PARTY
            exp_s = now_s + (self._life_s if key is None else self._holder_life_s)
            status = self._status(holder, exp_s) if self._status and key is not None else None
        except (sa.exc.SQLAlchemyError, RevocationError) as error:
            return self._handle_store_error(error)
        course = colour_changes.worst(holder.courses, now_s, exp_s)
        signed = Code(
            colour=course.colour,
            sub=holder.sub,
            iat_s=now_s,
            exp_s=exp_s,
            aud=holder.aud,
            scope=holder.scope,
            party=len(holder.courses),
            turns=course.turn,
            cnf=key,
            status=status,
        )
        return IssuedCode(
            code.encode(signed, self._key),
            now_s,
            exp_s,
            course.colour.name.lower(),
            min(self._life_s, exp_s - now_s) // 2,
            holder.party,
            _turns(course.turn or colour_changes.worst(holder.courses, now_s).turn),
        )

    def _holder(self, token: str, now_s: int) -> HolderRecord | None:
        holder = records.holder(self._open_reader(), self._issuer_file.name, token, now_s)
        if holder:
            return holder
        with store.writing(self._engine) as connection:  # a new day, or an unknown token
            records.renew_day(connection, self._issuer_file.name, token, now_s)
            return records.holder(connection, self._issuer_file.name, token, now_s)

    def _party(self, holder: HolderRecord, token: str, now_s: int) -> HolderRecord | None:
        if holder.party == 1:
            return None
        if holder.party_sub:
            return parties.party_holder(self._open_reader(), holder)
        with store.writing(self._engine) as connection:  # the first party code of its day
            parties.renew_day(connection, holder.record)
            renewed = records.holder(connection, self._issuer_file.name, token, now_s)
            return parties.party_holder(connection, renewed) if renewed else None

    def _bind(self, token: str, now_s: int, key: bytes) -> HolderRecord | None:
        with store.writing(self._engine) as connection:  # the phone has made its key since
            records.bind(connection, self._issuer_file.name, token, key)
            return records.holder(connection, self._issuer_file.name, token, now_s)

    def activate(self, secret: str, token: str, key: bytes | None = None) -> Problem | None:
        """Unlock a record for `token` and the phone's 32-byte `key`. Returns None on success."""
        try:
            with store.writing(self._engine) as connection:
                refusal = records.activate(connection, self._issuer_file.name, secret, token, key)
        except sa.exc.SQLAlchemyError as error:
            return self._handle_store_error(error)
        return _REFUSED[refusal] if refusal else None

    def _open_reader(self) -> Connection:
        if self._reader is None:
            self._reader = store.open_reader(self._engine)
        return self._reader

    def _handle_store_error(self, error: sa.exc.SQLAlchemyError | RevocationError) -> Problem:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        now_s = time.monotonic()
        if now_s >= self._next_log_s:  # not for every request
            why = "no free entry in a status list"  # without the error: it may name a record
            if isinstance(error, sa.exc.SQLAlchemyError):
                why = store.reason(error)
            _log.error("database error (%.200s); clients get 503", why)
            self._next_log_s = now_s + LOG_EVERY_S
        return _STORE


def web(issuer: Issuer, pages: Sequence[BaseRoute] | None = None) -> Starlette:
    """The issuer as an ASGI application. `pages`: routes to serve instead of the wallet's."""
    return Starlette(
        routes=[
            Route("/v1/code", _CodeEndpoint(issuer), methods=["POST"]),
            Route("/v1/activate", _ActivateEndpoint(issuer), methods=["POST"]),
            *(assets.routes() if pages is None else pages),
        ]
    )


def run(
    estate: Estate,
    name: str,
    engine: sa.Engine,
    host: str,
    port: int,
    life_s: int = LIFE_S,
    holder_life_s: int | None = None,
) -> None:
    """Serve, and renew the status lists, until SIGTERM or SIGINT.

    Raises EstateError, IssuerError, ListsError, PortError.
    """
    issuer_file, key = estate.issuer(name)
    status = revocation.Statuses(engine)
    app = web(Issuer(issuer_file, key, engine, life_s, holder_life_s, status))
    renewal = status_lists.Renewal(estate, name, engine)
    renewal.start()
    try:
        serving.serve_web(app, "issuer", host, port)
    finally:
        renewal.stop()


class _CodeEndpoint:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = decode_json(await _body(receive) or b"{}", _CodeRequest, BODY_LEN_MAX)
            key = _key(request.key)
        except ValueError:  # DecodeError, KeyFileError, or a body that is too long
            await _send_problem(send, _KEY_BODY)
            return
        result = self._issuer.code(_bearer(scope), int(time.time()), key, request.party)
        if isinstance(result, Problem):
            await _send_problem(send, result)
            return
        await _send_json(send, 200, result)


class _ActivateEndpoint:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = decode_json(await _body(receive), _Activation, BODY_LEN_MAX)
            key = _key(request.key)
        except ValueError:  # DecodeError, KeyFileError, or a body that is too long
            await _send_problem(send, _BODY)
            return
        token = request.token or records.new_token()
        problem = self._issuer.activate(request.secret, token, key)
        if problem:
            await _send_problem(send, problem)
            return
        await _send_json(send, 200, {"token": token})


def _turns(turn: ColourChange | None) -> ColourTurn | None:
    return ColourTurn(turn.colour.name.lower(), turn.at_s) if turn else None


def _bearer(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return bytes(value[7:]).decode("latin-1")
    return ""


def _key(text: str | None) -> bytes | None:
    """Raises KeyFileError, a ValueError, when `text` is not 32 bytes in base64."""
    return None if text is None else keys.public_from_text(text)


async def _body(receive: Receive) -> bytes:
    """The request's body. Raises ValueError when it is longer than BODY_LEN_MAX or incomplete."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > BODY_LEN_MAX or message["type"] != "http.request":
            raise ValueError("the body is too long or incomplete")
        if not message.get("more_body", False):
            return body


async def _send_problem(send: Send, problem: Problem) -> None:
    await _send_json(send, _STATUS[problem.error], problem)


async def _send_json(send: Send, status: int, value: object) -> None:
    await assets.send_response(
        send, status, _ENCODER.encode(value), b"application/json", b"no-store"
    )
