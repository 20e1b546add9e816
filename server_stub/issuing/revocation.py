"""Revocation: which entry of a status list a code names, and which entries are set.

Entries are drawn at random, so an entry tells neither the order nor the number of codes. A phone's
codes of one day share one entry, as they share their day handle; its party codes share another;
each sheet of paper has its own. The store keeps, with the record's name: the entry, whether it
belongs to party codes, the day of a phone's codes, and the day from which the entry is free.
"""

import re
import secrets
import time
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from edge.wire.code import Colour, ColourChange, StatusEntry
from server_stub import store
from server_stub.issuing.colour_changes import ColourCourse
from server_stub.store import parties, records, status_bits

COUNT = 2**20  # entries of one list, whether used or not
MARGIN_DAYS = 2  # how long an entry stays reserved after its last code has expired
DAY_S = 86400
_DRAWS = 8  # tries per list; in a half-full list all of them hit used entries once in 256
_LISTS_MAX = 1000


class RevocationError(ValueError):
    """Nothing can be revoked, or no entry is free; one sentence says why."""


class ListPosition(NamedTuple):
    """Entry `bit` of an issuer's list `number`."""

    number: int
    bit: int

    def __str__(self) -> str:
        return f"{self.number}/{self.bit}"

    def status(self, issuer: str) -> StatusEntry:
        """The entry as a code names it."""
        return StatusEntry(self.bit, list_name(issuer, self.number))


def list_name(issuer: str, number: int) -> str:
    """The name of a list in codes and in the list itself."""
    return f"{issuer}/{number}"


def todays_status(
    connection: Connection, record: str, life_s: int, now_s: int, party: bool = False
) -> StatusEntry | None:
    """Today's entry of a phone's codes, or of its party codes; None: call `assign_status`.

    Read the code's colour before calling this, never after: a change of colour sets the entry.
    """
    day, until_day = now_s // DAY_S, _until_day(now_s // DAY_S, life_s)
    values = {"record": record, "party": party, "day": day, "until_day": until_day}
    row = connection.execute(_TODAYS_ENTRY, values).first()
    return ListPosition(row.list, row.bit).status(row.issuer) if row else None


_TODAYS_ENTRY = sa.select(status_bits.c.issuer, status_bits.c.list, status_bits.c.bit).where(
    status_bits.c.record == sa.bindparam("record"),
    status_bits.c.day == sa.bindparam("day"),
    status_bits.c.party == sa.bindparam("party"),
    status_bits.c.until_day >= sa.bindparam("until_day"),
    status_bits.c.revoked.is_(False),
)


def assign_status(
    connection: Connection, record: str, courses: tuple[ColourCourse, ...], life_s: int, now_s: int
) -> StatusEntry:
    """The entry for a phone's code that is valid for `life_s` seconds; drawn if there is none.

    `courses`: the colour courses that the code was made from, the record's own first, then those of
    the party's other members. If they have changed meanwhile, the entry is drawn as set, so that a
    code with an outdated colour is revoked from the start. Call it in `store.writing`.
    Raises RevocationError.
    """
    party = len(courses) > 1
    issuer, current = _lock_record(connection, record, party)
    day = now_s // DAY_S
    status = todays_status(connection, record, life_s, now_s, party)
    if status and current == courses:
        return status
    until_day, revoked = _until_day(day, life_s), current != courses
    return _draw(connection, issuer, record, day, until_day, revoked, party).status(issuer)


class CodeHolder(Protocol):
    """The record for which a code is signed, as read from the store."""

    @property
    def record(self) -> str:
        """The record's name."""

    @property
    def courses(self) -> tuple[ColourCourse, ...]:
        """The colour courses of the code: the holder's own first, then a party's other members."""


class Statuses:
    """Looks up the entry for each code of a phone, with one connection for many codes."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reader: Connection | None = None

    def __call__(self, holder: CodeHolder, exp_s: int) -> StatusEntry:
        """The entry for a code that is signed now and expires at `exp_s`, Unix seconds UTC.

        Raises SQLAlchemyError on a database error, and RevocationError. It can be called again
        after either.
        """
        now_s = int(time.time())
        life_s, party = exp_s - now_s, len(holder.courses) > 1
        if self._reader is None:
            self._reader = store.open_reader(self._engine)
        try:
            status = todays_status(self._reader, holder.record, life_s, now_s, party)
        except sa.exc.SQLAlchemyError:
            self._reader.close()
            self._reader = None
            raise
        if status:
            return status
        with store.writing(self._engine) as connection:  # the first code of its day
            return assign_status(connection, holder.record, holder.courses, life_s, now_s)


def draw_paper_entry(connection: Connection, record: str, life_s: int, now_s: int) -> ListPosition:
    """Draw an entry for one sheet of paper. Call it in `store.writing`. Raises RevocationError."""
    issuer, _ = _lock_record(connection, record)
    return _draw(connection, issuer, record, None, _until_day(now_s // DAY_S, life_s), False)


def parse_entry(number: str) -> ListPosition:
    """Parse the number printed on a sheet of paper, like `1/123456`. Raises RevocationError."""
    match = re.fullmatch(r"([1-9]\d{0,3})/(\d{1,9})", number.strip(), re.ASCII)
    if not match:
        raise RevocationError(
            f"{number[:60]!r} is not the number of a sheet; type it as printed, like 1/123456"
        )
    return ListPosition(int(match[1]), int(match[2]))


def revoke(connection: Connection, record: str) -> int:
    """Set every entry of `record`. Returns how many were not set before.

    An entry is never unset: when the record is green again, its codes get another entry.
    Raises RevocationError when there is no such record.
    """
    _lock_record(connection, record)
    return _set(connection, status_bits.c.record == record)


def revoke_phone(connection: Connection, record: str) -> int:
    """Like `revoke`, for the codes of a lost phone only: sheets of paper stay valid."""
    _lock_record(connection, record)
    c = status_bits.c
    return _set(connection, (c.record == record) & c.day.is_not(None))


def revoke_party(connection: Connection, record: str) -> int:
    """Set the entries of the record's party codes, because the party's members changed."""
    c = status_bits.c
    return _set(connection, (c.record == record) & c.party)


def revoke_parties_of(connection: Connection, member: str) -> int:
    """Set the entries of every party code that includes `member`."""
    c = status_bits.c
    owners = sa.select(parties.c.record).where(parties.c.member == member)
    return _set(connection, c.record.in_(owners) & c.party)


def revoke_sheet(connection: Connection, record: str, entry: ListPosition) -> int:
    """Set the entry of one lost sheet. Raises RevocationError when `record` has no such sheet."""
    c = status_bits.c
    is_sheet = (c.record == record) & (c.list == entry.number) & (c.bit == entry.bit)
    if connection.execute(sa.select(c.bit).where(is_sheet)).first() is None:
        raise RevocationError(
            f"record {record[:60]!r} has no sheet with the number {entry}; leave out --number "
            f"to revoke all codes of the record"
        )
    return _set(connection, is_sheet)


def free(connection: Connection, now_s: int) -> int:
    """Delete the entries whose codes expired more than MARGIN_DAYS ago. Returns how many."""
    return connection.execute(
        status_bits.delete().where(status_bits.c.until_day <= now_s // DAY_S)
    ).rowcount


def set_entries(connection: Connection, issuer: str) -> dict[int, list[int]]:
    """The set entries of each list of `issuer`, for list 1 to the last one in use."""
    c = status_bits.c
    last = connection.execute(sa.select(sa.func.max(c.list)).where(c.issuer == issuer)).scalar()
    entries: dict[int, list[int]] = {number: [] for number in range(1, (last or 1) + 1)}
    # The condition is spelled like the index's: otherwise SQLite would not use the index.
    query = sa.select(c.list, c.bit).where(c.issuer == issuer, sa.text("revoked"))
    for row in connection.execute(query):
        entries[row.list].append(row.bit)
    return entries


def _until_day(day: int, life_s: int) -> int:
    """The day from which an entry is free again, if codes made on `day` live `life_s` seconds."""
    last_exp_s = (day + 1) * DAY_S + life_s
    return -(-last_exp_s // DAY_S) + MARGIN_DAYS


def course_from_row(row: sa.Row[*tuple[Any, ...]]) -> ColourCourse:
    """The colour course in a row of `records`."""
    turn = None if row.turn_s is None else ColourChange(Colour(row.turn_colour), row.turn_s)
    return ColourCourse(Colour(row.colour), turn)


def _lock_record(
    connection: Connection, record: str, party: bool = False
) -> tuple[str, tuple[ColourCourse, ...]]:
    """Issuer and courses of `record` and, with `party`, of the other members.

    The rows stay locked until the transaction ends.
    """
    c = records.c
    query = sa.select(c.issuer, c.colour, c.turn_colour, c.turn_s).with_for_update()
    own = connection.execute(query.where(c.record == record)).first()
    if own is None:
        raise RevocationError(f"there is no record {record[:60]!r}; enrol prints a record's name")
    if not party:
        return own.issuer, (course_from_row(own),)
    members = sa.select(parties.c.member).where(parties.c.record == record)
    others = connection.execute(query.where(c.record.in_(members)).order_by(c.record))
    return own.issuer, (course_from_row(own), *(course_from_row(row) for row in others))


def _set(connection: Connection, which: sa.ColumnElement[bool]) -> int:
    return connection.execute(
        status_bits.update().where(which, status_bits.c.revoked.is_(False)).values(revoked=True)
    ).rowcount


def _draw(
    connection: Connection,
    issuer: str,
    record: str,
    day: int | None,
    until_day: int,
    revoked: bool,
    party: bool = False,
) -> ListPosition:
    """Take a random free entry, of the first list that does not seem full."""
    for number in range(1, _LISTS_MAX + 1):
        for _ in range(_DRAWS):
            bit = secrets.randbelow(COUNT)
            try:
                with connection.begin_nested():
                    connection.execute(
                        status_bits.insert().values(
                            issuer=issuer,
                            list=number,
                            bit=bit,
                            record=record,
                            day=day,
                            until_day=until_day,
                            revoked=revoked,
                            party=party,
                        )
                    )
            except sa.exc.IntegrityError:  # this entry is in use
                continue
            return ListPosition(number, bit)
    raise RevocationError("all status lists are full; issue codes with a shorter life")
