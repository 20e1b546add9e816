"""Which entry of a status list a code names, and which entries are set.

An entry is drawn at random, so it tells neither order nor number. A phone's codes of one day share
one entry, as they share their day handle; its party codes share another; a sheet of paper has its
own. What is stored beside the record's name is the entry, whether it is a party's, the day of a
phone's codes, and the day from which the entry is free.
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
MARGIN_DAYS = 2  # how long an entry rests after its last code has expired
DAY_S = 86400
_DRAWS = 8  # before the next list is tried: all taken in a list half full is one in 256
_LISTS_MAX = 1000


class RevocationError(ValueError):
    """Nothing can be taken back, or no entry be given; one sentence that says what is wrong."""


class ListPosition(NamedTuple):
    """Entry `bit` of list `number`, of the issuer that is meant."""

    number: int
    bit: int

    def __str__(self) -> str:
        return f"{self.number}/{self.bit}"

    def status(self, issuer: str) -> StatusEntry:
        """As a code names it."""
        return StatusEntry(self.bit, list_name(issuer, self.number))


def list_name(issuer: str, number: int) -> str:
    """What codes call the list, and what the list calls itself."""
    return f"{issuer}/{number}"


def known_status(
    connection: Connection, record: str, life_s: int, now_s: int, party: bool = False
) -> StatusEntry | None:
    """The entry that a phone's codes of today, or its party codes, name; None: ask `assign_status`.

    Read the colour that the code will say before, never after: a change of colour sets the entry.
    """
    day, until_day = now_s // DAY_S, _until_day(now_s // DAY_S, life_s)
    asked = {"record": record, "party": party, "day": day, "until_day": until_day}
    row = connection.execute(_KNOWN, asked).first()
    return ListPosition(row.list, row.bit).status(row.issuer) if row else None


_KNOWN = sa.select(status_bits.c.issuer, status_bits.c.list, status_bits.c.bit).where(
    status_bits.c.record == sa.bindparam("record"),
    status_bits.c.day == sa.bindparam("day"),
    status_bits.c.party == sa.bindparam("party"),
    status_bits.c.until_day >= sa.bindparam("until_day"),
    status_bits.c.revoked.is_(False),
)


def assign_status(
    connection: Connection, record: str, courses: tuple[ColourCourse, ...], life_s: int, now_s: int
) -> StatusEntry:
    """The entry for a phone's code of `life_s` seconds from now, which says what `courses` say.

    These are the record's own and, for a party code, those whom it speaks for.
    If they are others by now, the entry is set from the beginning: a code that says what is no
    longer true is born taken back. To be called in `store.writing`. Raises RevocationError.
    """
    party = len(courses) > 1
    issuer, current = _held(connection, record, party)
    day = now_s // DAY_S
    known = known_status(connection, record, life_s, now_s, party)
    if known and current == courses:
        return known
    until_day, revoked = _until_day(day, life_s), current != courses
    return _draw(connection, issuer, record, day, until_day, revoked, party).status(issuer)


class CodeHolder(Protocol):
    """For whom a code is signed, read from the store before it is."""

    @property
    def record(self) -> str:
        """The record's name."""

    @property
    def courses(self) -> tuple[ColourCourse, ...]:
        """What the code's colour comes from: the holder's own first, then a party's others."""


class Statuses:
    """The entry that each code of a phone names, for an issuer that signs many."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading: Connection | None = None

    def __call__(self, holder: CodeHolder, exp_s: int) -> StatusEntry:
        """The entry for a code that is signed now and expires at `exp_s`, Unix seconds UTC.

        Raises SQLAlchemyError when the store fails, RevocationError; and works again after it.
        """
        now_s = int(time.time())
        life_s, party = exp_s - now_s, len(holder.courses) > 1
        if self._reading is None:
            self._reading = store.open_reader(self._engine)
        try:
            known = known_status(self._reading, holder.record, life_s, now_s, party)
        except sa.exc.SQLAlchemyError:
            self._reading.close()
            self._reading = None
            raise
        if known:
            return known
        with store.writing(self._engine) as connection:  # the first of its day
            return assign_status(connection, holder.record, holder.courses, life_s, now_s)


def draw_paper_entry(connection: Connection, record: str, life_s: int, now_s: int) -> ListPosition:
    """An entry for one sheet of paper. To be called in `store.writing`. Raises RevocationError."""
    issuer, _ = _held(connection, record)
    return _draw(connection, issuer, record, None, _until_day(now_s // DAY_S, life_s), False)


def parse_entry(number: str) -> ListPosition:
    """The entry that a sheet of paper shows, as `1/123456`. Raises RevocationError."""
    found = re.fullmatch(r"([1-9]\d{0,3})/(\d{1,9})", number.strip(), re.ASCII)
    if not found:
        raise RevocationError(
            f"{number[:60]!r} is not the number of a sheet; it is printed there, as 1/123456"
        )
    return ListPosition(int(found[1]), int(found[2]))


def revoke(connection: Connection, record: str) -> int:
    """Set every entry of `record`; how many were not set before.

    An entry is never unset: who is green again gets codes with another one.
    Raises RevocationError when there is no such record.
    """
    _held(connection, record)
    return _set(connection, status_bits.c.record == record)


def revoke_phone(connection: Connection, record: str) -> int:
    """Set the entries of the codes on a lost phone; sheets of paper stay. Raises as `revoke`."""
    _held(connection, record)
    c = status_bits.c
    return _set(connection, (c.record == record) & c.day.is_not(None))


def revoke_party(connection: Connection, record: str) -> int:
    """Set the entries of the record's party codes: it speaks for others now."""
    c = status_bits.c
    return _set(connection, (c.record == record) & c.party)


def revoke_parties_of(connection: Connection, member: str) -> int:
    """Set the entries of every party code that speaks for `member`."""
    c = status_bits.c
    speakers = sa.select(parties.c.record).where(parties.c.member == member)
    return _set(connection, c.record.in_(speakers) & c.party)


def revoke_sheet(connection: Connection, record: str, entry: ListPosition) -> int:
    """Set the entry of one lost sheet. Raises RevocationError when `record` has no such sheet."""
    c = status_bits.c
    mine = (c.record == record) & (c.list == entry.number) & (c.bit == entry.bit)
    if connection.execute(sa.select(c.bit).where(mine)).first() is None:
        raise RevocationError(
            f"record {record[:60]!r} has no sheet with the number {entry}; leave the number out "
            f"to take back all that the record has"
        )
    return _set(connection, mine)


def free(connection: Connection, now_s: int) -> int:
    """Forget the entries whose codes have long expired; how many."""
    return connection.execute(
        status_bits.delete().where(status_bits.c.until_day <= now_s // DAY_S)
    ).rowcount


def set_entries(connection: Connection, issuer: str) -> dict[int, list[int]]:
    """The set entries of each list of `issuer`, from list 1 to the last one in use."""
    c = status_bits.c
    last = connection.execute(sa.select(sa.func.max(c.list)).where(c.issuer == issuer)).scalar()
    found: dict[int, list[int]] = {number: [] for number in range(1, (last or 1) + 1)}
    # The very words of the index: SQLite would not see otherwise that it fits.
    wanted = sa.select(c.list, c.bit).where(c.issuer == issuer, sa.text("revoked"))
    for row in connection.execute(wanted):
        found[row.list].append(row.bit)
    return found


def _until_day(day: int, life_s: int) -> int:
    """From when an entry is free that codes of `life_s` may name which are made on `day`."""
    last_exp_s = (day + 1) * DAY_S + life_s
    return -(-last_exp_s // DAY_S) + MARGIN_DAYS


def course_from_row(row: sa.Row[*tuple[Any, ...]]) -> ColourCourse:
    """The course that a row of `records` says."""
    turn = None if row.turn_s is None else ColourChange(Colour(row.turn_colour), row.turn_s)
    return ColourCourse(Colour(row.colour), turn)


def _held(
    connection: Connection, record: str, party: bool = False
) -> tuple[str, tuple[ColourCourse, ...]]:
    """Issuer and courses of `record`, and of its party's others; all stay so until the end."""
    c = records.c
    wanted = sa.select(c.issuer, c.colour, c.turn_colour, c.turn_s).with_for_update()
    own = connection.execute(wanted.where(c.record == record)).first()
    if own is None:
        raise RevocationError(f"there is no record {record[:60]!r}; enrol prints a record's name")
    if not party:
        return own.issuer, (course_from_row(own),)
    members = sa.select(parties.c.member).where(parties.c.record == record)
    others = connection.execute(wanted.where(c.record.in_(members)).order_by(c.record))
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
    """Take a random free entry: of the first list, unless that seems full."""
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
            except sa.exc.IntegrityError:  # somebody has it
                continue
            return ListPosition(number, bit)
    raise RevocationError("all status lists are full; let codes live shorter")
