"""The issuer's records. A secret unlocks a record once; after that the phone's token names it.

A record does not tell who a person is, when they came or where they went. It holds hashes, a colour
and its scheduled change, the handles of one day, and the public key that the phone made for it.
"""

import base64
import datetime
import hashlib
import math
import re
import secrets
from dataclasses import dataclass
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edge.wire import code, keys
from edge.wire.code import Code, Colour, ColourChange
from server_stub.issuing import colour_changes, revocation
from server_stub.issuing.colour_changes import ColourCourse
from server_stub.store import parties, records

DAY_S = 86400
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's Base32: no look-alike letters
_ALIKE = str.maketrans("OIL", "011")
_SECRET_LEN = 16  # letters of 5 bits: 80 bits, too many to guess over a network
_SECRET = re.compile(rf"[{_LETTERS}]{{{_SECRET_LEN}}}")


class RecordError(ValueError):
    """The record cannot be made or found; one sentence says why."""


class Refusal(Enum):
    """Why a secret did not unlock a record."""

    UNKNOWN = "unknown"
    USED = "used"
    OTHER_KEY = "key"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new record and its activation secret, which exists only here: the store has its hash."""

    record: str
    secret: str  # XXXX-XXXX-XXXX-XXXX


@dataclass(frozen=True, slots=True)
class HolderRecord:
    """The content of today's code for one token: its own code, or its party code."""

    record: str
    courses: tuple[ColourCourse, ...]  # its own first, then those of a party's other members
    sub: str  # day handle, 11 characters
    aud: tuple[str, ...]
    scope: str | None
    key: bytes | None  # the phone's public Ed25519 key, 32 bytes; None: it never sent one
    party: int = 1  # how many people the party code is for; 1: the record has no party
    party_sub: str | None = None  # today's handle of its party codes; None: not drawn yet


def enrol(
    connection: Connection,
    issuer: str,
    colour: Colour,
    aud: tuple[str, ...] = (),
    scope: str | None = None,
) -> Enrolment:
    """Make a record. Raises RecordError when no code could hold `aud` or `scope`."""
    trial = Code(colour=colour, sub=handle(), iat_s=0, exp_s=1, aud=aud, scope=scope)
    try:
        code.encode(trial, keys.private_key())
    except ValueError as error:
        raise RecordError(f"no record was made: {error}") from None
    letters = _letters()
    record = secrets.token_hex(6)
    connection.execute(
        records.insert().values(
            record=record,
            issuer=issuer,
            colour=int(colour),
            aud=list(aud),
            scope=scope,
            secret_hash=_hash(letters),
        )
    )
    return Enrolment(record, _in_fours(letters))


def replace(connection: Connection, record: str) -> Enrolment:
    """Make a new activation secret for a record whose phone is lost. Raises RecordError.

    The old phone gets no further codes, and its holder codes are revoked; sheets of paper stay
    valid. The day handle stays too, so that a new phone does not give a second passage.
    """
    letters = _letters()
    result = connection.execute(
        records.update()
        .where(records.c.record == record)
        .values(secret_hash=_hash(letters), token_hash=None, holder_key=None)
    )
    if not result.rowcount:
        raise _no_record(record)
    revocation.revoke_phone(connection, record)
    return Enrolment(record, _in_fours(letters))


def recolour(
    connection: Connection,
    record: str,
    colour: Colour,
    now_s: int,
    turn: ColourChange | None = None,
) -> None:
    """Set the record's `colour`, until `turn`; codes show it from the next renewal.

    If that is a change, the record's codes with an entry in a status list are revoked. If the new
    course is worse than the old one, party codes that include this record are revoked too.
    Raises RecordError.
    """
    c, new = records.c, ColourCourse(colour, turn)
    query = sa.select(c.colour, c.turn_colour, c.turn_s).where(c.record == record)
    row = connection.execute(query.with_for_update()).first()
    if row is None:
        raise _no_record(record)
    old = revocation.course_from_row(row)
    if old.since(now_s) == new:
        return
    connection.execute(
        records.update()
        .where(c.record == record)
        .values(
            colour=int(colour),
            turn_colour=int(turn.colour) if turn else None,
            turn_s=turn.at_s if turn else None,
        )
    )
    revocation.revoke(connection, record)
    if colour_changes.worse(new, old, now_s):
        revocation.revoke_parties_of(connection, record)


def parse_turn(
    colour: Colour, until: str | None, then: Colour | None, now_s: int
) -> ColourChange | None:
    """Parse a colour change as typed: `until` like 2026-12-01T00:00Z, `then` is green if None.

    Raises RecordError.
    """
    if until is None:
        if then:
            raise RecordError("--then needs a time; give it with --until")
        return None
    try:
        moment = datetime.datetime.fromisoformat(until)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RecordError(
            f"{until[:60]!r} is not a time; write it with its zone, for example 2026-12-01T00:00Z"
        )
    turn = ColourChange(then or Colour.GREEN, math.ceil(moment.timestamp()))
    if not now_s < turn.at_s <= code.TIME_S_MAX:
        raise RecordError(f"{until} is not in the future; give a later time, up to the year 2106")
    if turn.colour == colour:
        raise RecordError(
            f"the colour would change from {colour.name.lower()} to {colour.name.lower()}; choose "
            f"another colour with --then, or leave out --until"
        )
    return turn


def activate(
    connection: Connection, issuer: str, secret: str, token: str, key: bytes | None = None
) -> Refusal | None:
    """Unlock a record for the phone that made `token` and `key`. Returns None on success.

    The same secret with the same token unlocks again, because the first reply may get lost.
    """
    letters = re.sub(r"[\s-]", "", secret).upper().translate(_ALIKE)
    if not _SECRET.fullmatch(letters):
        return Refusal.UNKNOWN
    c, token_hash = records.c, _hash(token)
    has_secret = (c.secret_hash == _hash(letters)) & (c.issuer == issuer)
    row = connection.execute(sa.select(c.token_hash).where(has_secret)).first()
    if row is None:
        return Refusal.UNKNOWN
    if row.token_hash == token_hash:
        return None if key is None else bind(connection, issuer, token, key)
    owner = connection.execute(sa.select(c.record).where(c.token_hash == token_hash)).first()
    if owner or row.token_hash is not None:
        return Refusal.USED
    result = connection.execute(
        records.update()
        .where(has_secret, c.token_hash.is_(None))
        .values(token_hash=token_hash, holder_key=key)
    )
    return None if result.rowcount else Refusal.USED


def bind(connection: Connection, issuer: str, token: str, key: bytes) -> Refusal | None:
    """Store the phone's 32-byte `key` in the record of `token`. Returns None on success.

    The first key stays: only a new activation (`replace`) allows another one.
    """
    c = records.c
    has_token = (c.token_hash == _hash(token)) & (c.issuer == issuer)
    connection.execute(
        records.update().where(has_token, c.holder_key.is_(None)).values(holder_key=key)
    )
    row = connection.execute(sa.select(c.holder_key).where(has_token)).first()
    if row is None:
        return Refusal.UNKNOWN
    return None if row.holder_key == key else Refusal.OTHER_KEY


def new_token() -> str:
    """The token that a phone stores and sends to get codes: 32 random bytes as base64url."""
    return secrets.token_urlsafe(32)


def holder(connection: Connection, issuer: str, token: str, now_s: int) -> HolderRecord | None:
    """The record of `token`; None if there is none, or it has no handle for today (`renew_day`)."""
    row = connection.execute(_BY_TOKEN, {"token": _hash(token), "issuer": issuer}).first()
    if row is None or row.day != now_s // DAY_S:
        return None
    return _holder_from_row(row)


def renew_day(connection: Connection, issuer: str, token: str, now_s: int) -> None:
    """Draw today's handle for the token's record, if it exists and has none yet."""
    day = now_s // DAY_S
    c = records.c
    connection.execute(
        records.update()
        .where(c.token_hash == _hash(token), c.issuer == issuer)
        .where(c.day.is_(None) | (c.day != day))
        .values(day=day, sub=handle(), party_sub=None)
    )


def prepare_paper(connection: Connection, record: str, issuer: str, now_s: int) -> HolderRecord:
    """The content of a sheet of paper; draws today's handle if needed. Needs no token.

    Raises RecordError.
    """
    day = now_s // DAY_S
    c = records.c
    is_record = (c.record == record) & (c.issuer == issuer)
    connection.execute(
        records.update()
        .where(is_record, c.day.is_(None) | (c.day != day))
        .values(day=day, sub=handle(), party_sub=None)
    )
    row = connection.execute(sa.select(*_HOLDER_COLUMNS).where(is_record)).first()
    if row is None:
        raise RecordError(
            f"issuer {issuer} has no record {record[:60]!r}; enrol prints a record's name"
        )
    return _holder_from_row(row)


def _holder_from_row(row: sa.Row[Any]) -> HolderRecord:
    return HolderRecord(
        row.record,
        (revocation.course_from_row(row),),
        row.sub,
        tuple(row.aud),
        row.scope,
        row.holder_key,
        1 + row.others,
        row.party_sub,
    )


_NAMES = ("record", "colour", "turn_colour", "turn_s", "aud", "scope", "day", "sub", "party_sub",
          "holder_key")  # fmt: skip
_OTHERS = sa.select(sa.func.count()).where(parties.c.record == records.c.record).scalar_subquery()
_HOLDER_COLUMNS = [*(records.c[name] for name in _NAMES), _OTHERS.label("others")]
_BY_TOKEN = sa.select(*_HOLDER_COLUMNS).where(
    records.c.token_hash == sa.bindparam("token"),
    records.c.issuer == sa.bindparam("issuer"),
)


def _letters() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LEN))


def _in_fours(letters: str) -> str:
    return "-".join(letters[i : i + 4] for i in range(0, _SECRET_LEN, 4))


def _no_record(record: str) -> RecordError:
    return RecordError(f"there is no record {record[:60]!r}; enrol prints a record's name")


def _hash(text: str) -> bytes:
    """A plain hash is enough, because secrets and tokens are random and long."""
    return hashlib.sha256(text.encode()).digest()


def handle() -> str:
    """A new day handle: 8 random bytes as base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(8)).rstrip(b"=").decode("ascii")
