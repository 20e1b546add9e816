"""The issuer: signs codes over HTTP for records that were unlocked, and serves the wallet page.

    POST /v1/activate  {"secret": …, "token": …, "key": …}        -> {"token": …}
    POST /v1/code      Authorization: Bearer TOKEN, {"key": …}    -> a code, see `IssuedCode`
                       the same with "party": true                -> one for all it speaks for

The phone makes its token (32 random bytes, base64url) and keeps it before it asks: a secret
unlocks one token only, and that one again, so an answer may get lost. Without a token in the
request the issuer makes one, and its answer must arrive.

`key` is the phone's own Ed25519 key: base64 of its 32 raw bytes. A phone that has one gets
**holder codes**: they live for hours, for they work only with proofs that the phone makes itself.
A phone without one sends no key and gets **bearer codes** of minutes. The first key that a token
brings is the record's: from then on it gets no other key's code and no bearer code, until
`menshen-server replace` makes a new secret.

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
TELL_EVERY_S = 60.0  # how often the log says that the store fails

StatusOf = Callable[[HolderRecord, int], StatusEntry | None]
"""Where the revocation bit is of a code for this holder that expires at that Unix second.

May raise SQLAlchemyError or RevocationError: then nothing is signed.
"""


class IssuerError(ValueError):
    """The issuer cannot start; one sentence that says what is wrong and what to do."""


class ColourTurn(msgspec.Struct):
    """`colour` from `at_s` on: Unix seconds UTC."""

    colour: str
    at_s: int


class IssuedCode(msgspec.Struct):
    """What a phone gets: the code, when it was signed and until when it works."""

    text: str
    iat_s: int  # Unix seconds UTC; the issuer's clock as it answers
    exp_s: int  # Unix seconds UTC, exclusive
    colour: str
    again_s: int  # a phone with a network asks again after this long: a colour may have changed
    party: int  # how many people the record's party code is for; 1: it speaks for nobody else
    turns: ColourTurn | None = None  # what the colour turns to by itself, perhaps after `exp_s`


class Problem(msgspec.Struct):
    """Why not. `error` is for programs, `say` for people."""

    error: str
    say: str


class _Activation(msgspec.Struct):
    secret: str
    token: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}(?!\n)$")] | None = None
    key: str | None = None


class _CodeRequest(msgspec.Struct):
    key: str | None = None
    party: bool = False


_ANSWER = msgspec.json.Encoder()
_NO_TOKEN = Problem("token", "This phone is not unlocked here; ask for a new activation secret.")
_WINDOW = Problem("window", "This issuer's key is not in use at this time; ask who runs it.")
_BODY = Problem(
    "body",
    'Send JSON as {"secret": "XXXX-XXXX-XXXX-XXXX", "token": 43 letters of base64url, "key": the '
    "32 bytes of the phone's Ed25519 key as base64}; the last two may be left out.",
)
_KEY_BODY = Problem(
    "body",
    'Send nothing, or JSON as {"key": the 32 bytes of the phone\'s Ed25519 key as base64, "party": '
    "true for the code of all it speaks for}; each may be left out.",
)
_NO_PARTY = Problem("party", "This record speaks for nobody else; ask who enrolled you.")
_OTHER_KEY = Problem(
    "key",
    "This record belongs to a key that this phone does not have; ask for a new activation secret.",
)
_STORE = Problem("store", "The issuer's store fails, and nothing was changed; try again later.")
_REFUSED = {
    Refusal.UNKNOWN: Problem("unknown", "No record has this activation secret."),
    Refusal.USED: Problem("used", "This activation secret was used already."),
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
    """One issuer's key over one store."""

    def __init__(
        self,
        said: IssuerFile,
        key: keys.PrivateKey,
        engine: sa.Engine,
        life_s: int = LIFE_S,
        holder_life_s: int | None = None,
        status: StatusOf | None = None,
    ) -> None:
        """`status`: asked for each holder code. Raises IssuerError when doors would refuse all."""
        now_s = int(time.time())
        if holder_life_s is None:
            holder_life_s = min(HOLDER_LIFE_S, said.longest_life_s)
        for option, value in (("--life-s", life_s), ("--holder-life-s", holder_life_s)):
            if not 1 <= value <= said.longest_life_s:
                raise IssuerError(
                    f"codes of issuer {said.name} may live 1 to {said.longest_life_s} seconds, "
                    f"not {value}; name another {option}"
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
        self._holder_life_s = holder_life_s
        self._status = status
        self._reading: Connection | None = None
        self._tell_from_s = 0.0  # by the monotonic clock

    def code(
        self, token: str, now_s: int, key: bytes | None = None, party: bool = False
    ) -> IssuedCode | Problem:
        """Sign a code for who holds `token`: a holder code if it brings its 32-byte `key`.

        `party`: one for the holder and all whom the record speaks for.
        """
        if not self._said.from_s <= now_s < self._said.until_s:
            return _WINDOW
        try:
            holder = self._holder(token, now_s)
            if holder and holder.key is None and key is not None:
                holder = self._bound(token, now_s, key)
            if holder is None:
                return _NO_TOKEN
            if holder.key != key:
                return _OTHER_KEY
            if party:
                holder = self._together(holder, token, now_s)
                if holder is None:
                    return _NO_PARTY
            exp_s = now_s + (self._life_s if key is None else self._holder_life_s)
            status = self._status(holder, exp_s) if self._status and key is not None else None
        except (sa.exc.SQLAlchemyError, RevocationError) as error:
            return self._failed(error)
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
        known = records.holder(self._reader(), self._said.name, token, now_s)
        if known:
            return known
        with store.writing(self._engine) as connection:  # a new day, or nobody
            records.renew_day(connection, self._said.name, token, now_s)
            return records.holder(connection, self._said.name, token, now_s)

    def _together(self, holder: HolderRecord, token: str, now_s: int) -> HolderRecord | None:
        if holder.party == 1:
            return None
        if holder.party_sub:
            return parties.party_holder(self._reader(), holder)
        with store.writing(self._engine) as connection:  # the first party code of its day
            parties.renew_day(connection, holder.record)
            known = records.holder(connection, self._said.name, token, now_s)
            return parties.party_holder(connection, known) if known else None

    def _bound(self, token: str, now_s: int, key: bytes) -> HolderRecord | None:
        with store.writing(self._engine) as connection:  # unlocked before it had a key
            records.bind(connection, self._said.name, token, key)
            return records.holder(connection, self._said.name, token, now_s)

    def activate(self, secret: str, token: str, key: bytes | None = None) -> Problem | None:
        """Unlock a record for `token` and the phone's 32-byte `key`; None: it is unlocked."""
        try:
            with store.writing(self._engine) as connection:
                refusal = records.activate(connection, self._said.name, secret, token, key)
        except sa.exc.SQLAlchemyError as error:
            return self._failed(error)
        return _REFUSED[refusal] if refusal else None

    def _reader(self) -> Connection:
        if self._reading is None:
            self._reading = store.open_reader(self._engine)
        return self._reading

    def _failed(self, error: sa.exc.SQLAlchemyError | RevocationError) -> Problem:
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        now_s = time.monotonic()
        if now_s >= self._tell_from_s:  # not for each person who asks
            why = "no entry of a status list could be taken"
            if isinstance(error, sa.exc.SQLAlchemyError):
                why = store.reason(error)
            _log.error("the store fails (%.200s); who asks is told", why)
            self._tell_from_s = now_s + TELL_EVERY_S
        return _STORE


def web(issuer: Issuer, pages: Sequence[BaseRoute] | None = None) -> Starlette:
    """The issuer as an ASGI application; `pages`: the wallet's, unless others are served."""
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
    """Serve and renew the status lists until told to end.

    Raises EstateError, IssuerError, ListsError, PortError.
    """
    said, key = estate.issuer(name)
    status = revocation.Statuses(engine)
    served = web(Issuer(said, key, engine, life_s, holder_life_s, status))
    renewal = status_lists.Renewal(estate, name, engine)
    renewal.start()
    try:
        serving.serve_web(served, "issuer", host, port)
    finally:
        renewal.stop()


class _CodeEndpoint:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            wanted = decode_json(await _body(receive) or b"{}", _CodeRequest, BODY_LEN_MAX)
            key = _key(wanted.key)
        except ValueError:  # DecodeError, KeyFileError, or a body that is too long
            await _send_problem(send, _KEY_BODY)
            return
        answer = self._issuer.code(_bearer(scope), int(time.time()), key, wanted.party)
        if isinstance(answer, Problem):
            await _send_problem(send, answer)
            return
        await _send_json(send, 200, answer)


class _ActivateEndpoint:
    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            wanted = decode_json(await _body(receive), _Activation, BODY_LEN_MAX)
            key = _key(wanted.key)
        except ValueError:  # DecodeError, KeyFileError, or a body that is too long
            await _send_problem(send, _BODY)
            return
        token = wanted.token or records.new_token()
        problem = self._issuer.activate(wanted.secret, token, key)
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
    """Raises KeyFileError, a ValueError, when `text` is no 32 bytes of base64."""
    return None if text is None else keys.public_from_text(text)


async def _body(receive: Receive) -> bytes:
    """The request's body. Raises ValueError when it is longer than any that we read."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if len(body) > BODY_LEN_MAX or message["type"] != "http.request":
            raise ValueError("the body is too long, or was never finished")
        if not message.get("more_body", False):
            return body


async def _send_problem(send: Send, problem: Problem) -> None:
    await _send_json(send, _STATUS[problem.error], problem)


async def _send_json(send: Send, status: int, value: object) -> None:
    await assets.send_response(
        send, status, _ANSWER.encode(value), b"application/json", b"no-store"
    )
