"""The central store: cells, the units' state, the issuer's records. SQLite, or any SQLAlchemy URL.

The schema is made by the migrations beside this file; `open_store` brings it up to date.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import alembic.command
import alembic.config
import alembic.util
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from edge.wire import report

_KEYS_AT_ONCE = 1000  # times four columns stays below SQLite's 32,766 variables
_WRITES = {"menshen_writes": True}
_ALONE = {"menshen_alone": True}
_UPGRADE_LOCK = 0x6D656E73  # any number of our own, for PostgreSQL's advisory lock

metadata = sa.MetaData()

cells = sa.Table(
    "cells",
    metadata,
    sa.Column("site", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("installation", sa.String(16), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("category", sa.String(16), nullable=False),
    sa.Column("from_s", sa.BigInteger, nullable=False),
    sa.Column("until_s", sa.BigInteger, nullable=False, index=True),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("unknown", sa.JSON(none_as_null=True)),  # fields of a later version, as they came
)
"""One anonymous cell, never changed after it was stored. `category` is a word of any version."""

units = sa.Table(
    "units",
    metadata,
    sa.Column("site", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("first_s", sa.BigInteger, nullable=False),  # when it was first heard of
    sa.Column("online", sa.Boolean),
    sa.Column("session", sa.BigInteger),
    sa.Column("installation", sa.String(16)),
    sa.Column("state_s", sa.BigInteger),  # since when `online` is as it is, by our own clock
    sa.Column("health", sa.JSON),
    sa.Column("health_s", sa.BigInteger),
    sa.Column("unknown", sa.JSON(none_as_null=True)),  # by leaf, of state and counts
)
"""What a unit last said of itself. Times are Unix seconds UTC.

`health` and `unknown` also hold the words and fields of a later version, as they came.
"""

records = sa.Table(
    "records",
    metadata,
    sa.Column("record", sa.String(16), primary_key=True),
    sa.Column("issuer", sa.String(32), nullable=False),
    sa.Column("colour", sa.SmallInteger, nullable=False),
    sa.Column("aud", sa.JSON, nullable=False),
    sa.Column("scope", sa.String(140)),
    sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, unique=True),
    sa.Column("token_hash", sa.LargeBinary(32), unique=True),
    sa.Column("day", sa.Integer),  # days since 1970 UTC, of `sub`
    sa.Column("sub", sa.String(11)),
    sa.Column("holder_key", sa.LargeBinary(32)),  # public, made by the phone for this record
    sa.Column("turn_colour", sa.SmallInteger),  # what `colour` turns to by itself
    sa.Column("turn_s", sa.BigInteger),  # and when: Unix seconds UTC
    sa.Column("party_sub", sa.String(11)),  # of the same `day`; none: no party code was asked for
)
"""For whom an issuer signs. No name, no door, no time but a colour's: hashes, handles, a key."""

parties = sa.Table(
    "parties",
    metadata,
    sa.Column("record", sa.String(16), primary_key=True),
    sa.Column("member", sa.String(16), primary_key=True, index=True),
)
"""Whom a record speaks for besides itself: other records of its issuer."""

status_bits = sa.Table(
    "status_bits",
    metadata,
    sa.Column("issuer", sa.String(32), primary_key=True),
    sa.Column("list", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bit", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("record", sa.String(16), nullable=False),
    sa.Column("day", sa.Integer),  # days since 1970 UTC, of a phone's codes; none: paper
    sa.Column("until_day", sa.Integer, nullable=False, index=True),  # free again from that day on
    sa.Column("revoked", sa.Boolean, nullable=False),
    sa.Column("party", sa.Boolean, nullable=False, server_default=sa.false()),  # of party codes
    sa.Index("ix_status_bits_record", "record", "day"),
    sa.Index(
        "ix_status_bits_revoked",
        "issuer",
        "list",
        "bit",
        sqlite_where=sa.text("revoked"),
        postgresql_where=sa.text("revoked"),
    ),
)
"""The entries of status lists that some code names; every other entry of a list is free."""


class StoreError(ValueError):
    """The store cannot be used; one sentence that says what is wrong and what to do."""


class UnitKey(NamedTuple):
    """Which unit."""

    site: str
    unit: str


@dataclass(frozen=True, slots=True)
class Report:
    """One counts message of one unit, with at least one cell."""

    unit: UnitKey
    counts: report.CountsReport


@dataclass(frozen=True, slots=True)
class StoredCells:
    """What became of one report: `last` is stored with all before it, `conflict` is not.

    `missing`: the first and the last number of what the unit sent earlier and is not here.
    """

    last: report.Cell | None
    conflict: report.Cell | None
    missing: tuple[int, int] | None = None


def open_store(url: str) -> Engine:
    """Connect and bring the schema up to date. Raises StoreError."""
    try:  # without parameters: an error that is logged would name somebody's handle
        engine = sa.create_engine(url, hide_parameters=True)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"{url.rpartition('@')[2]!r} is no store ({error}); name one as sqlite:///menshen.db"
        ) from None
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_connect)
        sa.event.listen(engine, "begin", _sqlite_begin)
    try:
        _upgrade(engine)
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(
            f"the store {engine.url!r} cannot be opened: {reason(error)}; "
            f"check that its folder exists, can be written and has room, and end what holds it"
        ) from None
    except alembic.util.CommandError as error:
        raise StoreError(
            f"the store {engine.url!r} was written by a newer version ({error}); run that version "
            f"or a later one, or name another store"
        ) from None
    return engine


@contextmanager
def changing(url: str) -> Iterator[Connection]:
    """A store opened for one change, which is all there or not at all. Raises StoreError."""
    engine = open_store(url)
    try:
        with writing(engine) as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(
            f"the store {engine.url!r} fails ({reason(error)}) and nothing was changed; free its "
            f"disk or end what holds it, and try again"
        ) from None


def writing(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction that may write; it is durable when the block ends without an error."""
    return engine.execution_options(**_WRITES).begin()


def open_reader(engine: Engine) -> Connection:
    """A connection to keep: each statement stands alone and sees all that is committed by then.

    Without a transaction around it a look-up costs less than half. Close it after an error.
    """
    if engine.dialect.name == "sqlite":
        return engine.connect().execution_options(**_ALONE)
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def reason(error: sa.exc.SQLAlchemyError) -> str:
    """The database's own words: their first line, for PostgreSQL's second may hold values."""
    said = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return (str(said).splitlines() or [type(said).__name__])[0].strip()


def add_cells(connection: Connection, reports: Sequence[Report]) -> list[StoredCells]:
    """Store the cells of `reports`, each once; one answer for each report, in their order.

    A cell that is stored already changes nothing. The same key with other content is a conflict:
    neither it nor what follows in its report is stored.
    """
    known = _digests(connection, [_key(r, n) for r in reports for n in _numbers(r)])
    rows = []
    answers = []
    for said in reports:
        missing = _missing(connection, said, known)
        last = conflict = None
        for cell in said.counts.cells:
            key, digest = _key(said, cell.number), report.digest(cell)
            if known.get(key, digest) != digest:
                conflict = cell
                break
            if key not in known:
                known[key] = digest
                rows.append(_row(said, cell, digest))
            last = cell
        answers.append(StoredCells(last, conflict, missing))
    if rows:
        connection.execute(cells.insert(), rows)
    return answers


def add_units(
    connection: Connection,
    states: dict[UnitKey, list[report.StateReport]],
    healths: dict[UnitKey, report.HealthReport],
    now_s: int,
    counts: Mapping[UnitKey, report.CountsReport] = MappingProxyType({}),
) -> None:
    """Keep what units said of themselves at `now_s`: Unix seconds UTC.

    A unit with no state in its list was heard of, and no more. `counts`: each unit's last ones, of
    which the unknown fields are kept here; `add_cells` keeps the cells.
    A will names its session: one of an older session says nothing about the present one.
    """
    keys = states.keys() | healths.keys() | counts.keys()
    known = {
        UnitKey(row.site, row.unit): dict(row._mapping)
        for row in connection.execute(sa.select(units).where(_unit_in(list(keys))))
    }
    fresh: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for key in sorted(keys):
        before = known.get(key)
        after = dict(before) if before else _unheard(key, now_s)
        for state in states.get(key, []):
            _apply(after, state, now_s)
        if key in healths:
            after |= {"health": report.content(healths[key]), "health_s": now_s}
        if key in counts:
            _keep_unknown(after, "counts", counts[key].unknown)
        if after != before:
            (changed if before else fresh).append(after)
    if fresh:
        connection.execute(units.insert(), fresh)
    for row in changed:
        connection.execute(
            units.update().where(units.c.site == row["site"], units.c.unit == row["unit"]), row
        )


def _apply(row: dict[str, Any], state: report.StateReport, now_s: int) -> None:
    same = row["installation"] == state.installation
    older = same and row["session"] is not None and state.session < row["session"]
    foreign_will = not state.online and not same and row["installation"] is not None
    if older or foreign_will:
        return
    _keep_unknown(row, "state", state.unknown)
    said = {
        "online": state.online,
        "session": state.session,
        "installation": state.installation,
    }
    if any(row[name] != value for name, value in said.items()):  # a retained repeat is no news
        row |= said | {"state_s": now_s}


def _keep_unknown(row: dict[str, Any], leaf: str, fields: report.Fields) -> None:
    others = {name: value for name, value in (row["unknown"] or {}).items() if name != leaf}
    row["unknown"] = others | ({leaf: fields} if fields else {}) or None


def _unheard(key: UnitKey, now_s: int) -> dict[str, Any]:
    return {c.name: None for c in units.columns} | {
        "site": key.site,
        "unit": key.unit,
        "first_s": now_s,
    }


def _unit_in(keys: Sequence[UnitKey]) -> sa.ColumnElement[bool]:
    return sa.tuple_(units.c.site, units.c.unit).in_([tuple(key) for key in keys])


def _key(said: Report, number: int) -> tuple[str, str, str, int]:
    return (*said.unit, said.counts.installation, number)


def _numbers(said: Report) -> range:
    """Of its cells and of the one before them."""
    return range(said.counts.cells[0].number - 1, said.counts.cells[-1].number + 1)


def _missing(
    connection: Connection, said: Report, known: dict[tuple[str, str, str, int], str]
) -> tuple[int, int] | None:
    """What lies between the highest number stored and the first that `said` holds."""
    first = said.counts.cells[0].number
    if first == 1 or _key(said, first) in known or _key(said, first - 1) in known:
        return None
    c = cells.c
    stored = connection.execute(
        sa.select(c.number)
        .where(c.site == said.unit.site, c.unit == said.unit.unit)
        .where(c.installation == said.counts.installation)
        .order_by(c.number.desc())
        .limit(1)
    ).scalar()
    ours = (n for *place, n in known if place == [*said.unit, said.counts.installation])
    highest = max([stored or 0, *ours])
    return (highest + 1, first - 1) if highest + 1 < first else None


def _row(said: Report, cell: report.Cell, digest: str) -> dict[str, Any]:
    return {
        "site": said.unit.site,
        "unit": said.unit.unit,
        "installation": said.counts.installation,
        "number": cell.number,
        "category": cell.category,
        "from_s": cell.from_s,
        "until_s": cell.until_s,
        "count": cell.count,
        "digest": digest,
        "unknown": cell.unknown or None,
    }


def _digests(
    connection: Connection, keys: Sequence[tuple[str, str, str, int]]
) -> dict[tuple[str, str, str, int], str]:
    c = cells.c
    found: dict[tuple[str, str, str, int], str] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        some = sa.tuple_(c.site, c.unit, c.installation, c.number).in_(
            keys[start : start + _KEYS_AT_ONCE]
        )
        for row in connection.execute(
            sa.select(c.site, c.unit, c.installation, c.number, c.digest).where(some)
        ):
            found[(row.site, row.unit, row.installation, row.number)] = row.digest
    return found


def _upgrade(engine: Engine) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with writing(engine) as connection:  # one starting program at a time
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


def _sqlite_connect(connection: Any, _record: object) -> None:
    """Durable before it is acknowledged; readers do not wait; transactions begin where we say."""
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begin(connection: Connection) -> None:
    """A writer takes its lock first, so what it has read cannot change before it writes."""
    options = connection.get_execution_options()
    if not _ALONE.keys() & options.keys():
        writes = _WRITES.keys() & options.keys()
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
