"""The issuer's records: for whom it signs, unlocked once by a secret, known after by a token.

Nothing here says who somebody is, when they came or where they went: hashes, a colour and when it
turns, the handles of one day, and the public key that the phone made for this.
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
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's Base32: nothing to confuse
_ALIKE = str.maketrans("OIL", "011")
_SECRET_LEN = 16  # letters of 5 bits: 80 bits, which nobody guesses over a network
_SECRET = re.compile(rf"[{_LETTERS}]{{{_SECRET_LEN}}}")


class RecordError(ValueError):
    """The record cannot be made or found; one sentence that says what is wrong."""


class Refusal(Enum):
    """Why a secret unlocks nothing."""

    UNKNOWN = "unknown"
    USED = "used"
    OTHER_KEY = "key"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A new record. `secret` is here once and nowhere else: only its hash is stored."""

    record: str
    secret: str  # as XXXX-XXXX-XXXX-XXXX


@dataclass(frozen=True, slots=True)
class HolderRecord:
    """What a code will say for one token today: its own code, or its party code."""

    record: str
    courses: tuple[ColourCourse, ...]  # its own first, then those whom a party code speaks for
    sub: str  # day handle, 11 characters
    aud: tuple[str, ...]
    scope: str | None
    key: bytes | None  # the phone's Ed25519 key, 32 bytes; None: it never showed one
    party: int = 1  # how many people its party code is for; 1: it speaks for nobody else
    party_sub: str | None = None  # today's handle of its party codes; None: it has none yet


def enrol(
    connection: Connection,
    issuer: str,
    colour: Colour,
    aud: tuple[str, ...] = (),
    scope: str | None = None,
) -> Enrolment:
    """Make a record. Raises RecordError when no code could say `aud` or `scope`."""
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
    """A new activation secret for a record whose phone is lost. Raises RecordError.

    The old phone gets no further code, and its codes of hours are taken back; sheets of paper stay.
    The day handle stays too: a new phone is no second passage.
    """
    letters = _letters()
    changed = connection.execute(
        records.update()
        .where(records.c.record == record)
        .values(secret_hash=_hash(letters), token_hash=None, holder_key=None)
    )
    if not changed.rowcount:
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
    """From its next renewal on the record's code has `colour`, until `turn`. Raises RecordError.

    Codes with an entry in a status list that say otherwise are taken back; and where the new course
    is worse than the old one, so are the party codes that speak for this record.
    """
    c, new = records.c, ColourCourse(colour, turn)
    mine = sa.select(c.colour, c.turn_colour, c.turn_s).where(c.record == record)
    known = connection.execute(mine.with_for_update()).first()
    if known is None:
        raise _no_record(record)
    old = revocation.course_from_row(known)
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
    """What `colour` turns to, as typed: `until` as 2026-12-01T00:00Z, `then` green if None.

    Raises RecordError.
    """
    if until is None:
        if then:
            raise RecordError("nobody knows when it turns; name the moment with --until")
        return None
    try:
        moment = datetime.datetime.fromisoformat(until)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RecordError(
            f"{until[:60]!r} is no moment; write it with its zone, as 2026-12-01T00:00Z"
        )
    turn = ColourChange(then or Colour.GREEN, math.ceil(moment.timestamp()))
    if not now_s < turn.at_s <= code.TIME_S_MAX:
        raise RecordError(f"{until} is not in the time to come; name a later moment, up to 2106")
    if turn.colour == colour:
        raise RecordError(
            f"{colour.name.lower()} would turn to {colour.name.lower()}; name another colour with "
            f"--then, or leave --until out"
        )
    return turn


def activate(
    connection: Connection, issuer: str, secret: str, token: str, key: bytes | None = None
) -> Refusal | None:
    """Unlock a record for the phone that made `token` and `key`; None: it is unlocked.

    The same secret with the same token unlocks again, for an answer may get lost on its way.
    """
    letters = re.sub(r"[\s-]", "", secret).upper().translate(_ALIKE)
    if not _SECRET.fullmatch(letters):
        return Refusal.UNKNOWN
    c, wanted = records.c, _hash(token)
    mine = (c.secret_hash == _hash(letters)) & (c.issuer == issuer)
    known = connection.execute(sa.select(c.token_hash).where(mine)).first()
    if known is None:
        return Refusal.UNKNOWN
    if known.token_hash == wanted:
        return None if key is None else bind(connection, issuer, token, key)
    taken = connection.execute(sa.select(c.record).where(c.token_hash == wanted)).first()
    if taken or known.token_hash is not None:
        return Refusal.USED
    unlocked = connection.execute(
        records.update()
        .where(mine, c.token_hash.is_(None))
        .values(token_hash=wanted, holder_key=key)
    )
    return None if unlocked.rowcount else Refusal.USED


def bind(connection: Connection, issuer: str, token: str, key: bytes) -> Refusal | None:
    """Keep the 32-byte `key` of the phone that holds `token`; None: it is the record's key now.

    The first key stays: another one comes only with a new activation (`replace`).
    """
    c = records.c
    mine = (c.token_hash == _hash(token)) & (c.issuer == issuer)
    connection.execute(records.update().where(mine, c.holder_key.is_(None)).values(holder_key=key))
    known = connection.execute(sa.select(c.holder_key).where(mine)).first()
    if known is None:
        return Refusal.UNKNOWN
    return None if known.holder_key == key else Refusal.OTHER_KEY


def new_token() -> str:
    """What a phone keeps and shows to get codes: 32 random bytes as base64url."""
    return secrets.token_urlsafe(32)


def holder(connection: Connection, issuer: str, token: str, now_s: int) -> HolderRecord | None:
    """For whom `token` speaks; None: nobody, or nobody with a handle for today (`renew_day`)."""
    row = connection.execute(_BY_TOKEN, {"token": _hash(token), "issuer": issuer}).first()
    if row is None or row.day != now_s // DAY_S:
        return None
    return _holder(row)


def renew_day(connection: Connection, issuer: str, token: str, now_s: int) -> None:
    """Give the token's record a handle for today, if it exists and has none yet."""
    day = now_s // DAY_S
    c = records.c
    connection.execute(
        records.update()
        .where(c.token_hash == _hash(token), c.issuer == issuer)
        .where(c.day.is_(None) | (c.day != day))
        .values(day=day, sub=handle(), party_sub=None)
    )


def prepare_paper(connection: Connection, record: str, issuer: str, now_s: int) -> HolderRecord:
    """What a sheet of paper will say, with today's handle; needs no token. Raises RecordError."""
    day = now_s // DAY_S
    c = records.c
    mine = (c.record == record) & (c.issuer == issuer)
    connection.execute(
        records.update()
        .where(mine, c.day.is_(None) | (c.day != day))
        .values(day=day, sub=handle(), party_sub=None)
    )
    row = connection.execute(sa.select(*_SAID).where(mine)).first()
    if row is None:
        raise RecordError(
            f"issuer {issuer} has no record {record[:60]!r}; enrol prints a record's name"
        )
    return _holder(row)


def _holder(row: sa.Row[Any]) -> HolderRecord:
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
_SAID = [*(records.c[name] for name in _NAMES), _OTHERS.label("others")]
_BY_TOKEN = sa.select(*_SAID).where(
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
    """A plain hash is enough: what is hashed is random and long."""
    return hashlib.sha256(text.encode()).digest()


def handle() -> str:
    """A new day handle: 8 random bytes as base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(8)).rstrip(b"=").decode("ascii")
