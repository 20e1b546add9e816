"""The central database: cells, units' state, issuers' records. SQLite, or any SQLAlchemy URL.

The migrations beside this file create the schema; `open_store` brings it up to date.
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
_AUTOCOMMIT = {"menshen_autocommit": True}
_UPGRADE_LOCK = 0x6D656E73  # the id of PostgreSQL's advisory lock; any number does

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
    sa.Column("unknown", sa.JSON(none_as_null=True)),  # fields of a later version, as received
)
"""One anonymous cell, never changed once stored. `category` may be a word of a later version."""

units = sa.Table(
    "units",
    metadata,
    sa.Column("site", sa.String(32), primary_key=True),
    sa.Column("unit", sa.String(32), primary_key=True),
    sa.Column("first_s", sa.BigInteger, nullable=False),  # when its first message came
    sa.Column("online", sa.Boolean),
    sa.Column("session", sa.BigInteger),
    sa.Column("connection", sa.BigInteger),  # within the session
    sa.Column("installation", sa.String(16)),
    sa.Column("state_s", sa.BigInteger),  # since when `online` has this value, by our own clock
    sa.Column("health", sa.JSON),
    sa.Column("health_s", sa.BigInteger),
    sa.Column("unknown", sa.JSON(none_as_null=True)),  # by leaf, of state and counts
)
"""The last state and health that each unit reported. Times are Unix seconds UTC.

`health` and `unknown` also hold the words and fields of a later version, as received.
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
    sa.Column("turn_colour", sa.SmallInteger),  # the colour that `colour` changes to by itself
    sa.Column("turn_s", sa.BigInteger),  # and when: Unix seconds UTC
    sa.Column("party_sub", sa.String(11)),  # of the same `day`; null: no party code requested yet
)
"""The people for whom an issuer signs: hashes, day handles, a key. No name, no door, and no time
but that of a colour change."""

parties = sa.Table(
    "parties",
    metadata,
    sa.Column("record", sa.String(16), primary_key=True),
    sa.Column("member", sa.String(16), primary_key=True, index=True),
)
"""The other members of a record's party: records of the same issuer."""

status_bits = sa.Table(
    "status_bits",
    metadata,
    sa.Column("issuer", sa.String(32), primary_key=True),
    sa.Column("list", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bit", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("record", sa.String(16), nullable=False),
    sa.Column("day", sa.Integer),  # days since 1970 UTC, of a phone's codes; null: paper
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
"""The status list entries that some code names; every other entry of a list is free."""


class StoreError(ValueError):
    """The database cannot be used; one sentence says why and what to do."""


class UnitKey(NamedTuple):
    """Site and unit name: the key of a unit."""

    site: str
    unit: str


@dataclass(frozen=True, slots=True)
class Report:
    """One counts message of one unit, with at least one cell."""

    unit: UnitKey
    counts: report.CountsReport


@dataclass(frozen=True, slots=True)
class StoredCells:
    """The result of storing one report: cells up to `last` are stored, `conflict` is not.

    `missing`: the first and last number of earlier cells that this store does not have.
    """

    last: report.Cell | None
    conflict: report.Cell | None
    missing: tuple[int, int] | None = None


def open_store(url: str) -> Engine:
    """Connect and bring the schema up to date. Raises StoreError."""
    try:  # hide parameters: a logged error would otherwise show somebody's handle
        engine = sa.create_engine(url, hide_parameters=True)
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"{url.rpartition('@')[2]!r} is not a database URL ({error}); "
            f"write it like sqlite:///menshen.db"
        ) from None
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_connect)
        sa.event.listen(engine, "begin", _sqlite_begin)
    try:
        _upgrade(engine)
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(
            f"cannot open the store {engine.url!r}: {reason(error)}; check that its folder "
            f"exists, is writable and has free space, and that no other program locks it"
        ) from None
    except alembic.util.CommandError as error:
        raise StoreError(
            f"the store {engine.url!r} was written by a newer version ({error}); run that version "
            f"or a later one, or name another store"
        ) from None
    return engine


@contextmanager
def changing(url: str) -> Iterator[Connection]:
    """Open the store for one transaction, committed as a whole or not at all. Raises StoreError."""
    engine = open_store(url)
    try:
        with writing(engine) as connection:
            yield connection
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(
            f"database error in {engine.url!r} ({reason(error)}), nothing was changed; free disk "
            f"space or stop the program that locks it, and try again"
        ) from None


def writing(engine: Engine) -> AbstractContextManager[Connection]:
    """A read-write transaction; it is durable when the block ends without an error."""
    return engine.execution_options(**_WRITES).begin()


def open_reader(engine: Engine) -> Connection:
    """A long-lived connection in autocommit: each statement sees all that is committed by then.

    Without a transaction a look-up costs less than half. Close the connection after an error.
    """
    if engine.dialect.name == "sqlite":
        return engine.connect().execution_options(**_AUTOCOMMIT)
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")


def reason(error: sa.exc.SQLAlchemyError) -> str:
    """The first line of the database's error message; PostgreSQL's second may hold values."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return (str(cause).splitlines() or [type(cause).__name__])[0].strip()


def add_cells(connection: Connection, reports: Sequence[Report]) -> list[StoredCells]:
    """Store the cells of `reports`, each once. Returns one result per report, in their order.

    A cell that is already stored changes nothing. The same key with other content is a conflict:
    neither that cell nor the cells after it in its report are stored.
    """
    digests = _digests(connection, [_key(r, n) for r in reports for n in _numbers(r)])
    rows = []
    results = []
    for unit_report in reports:
        missing = _missing_numbers(connection, unit_report, digests)
        last = conflict = None
        for cell in unit_report.counts.cells:
            key, digest = _key(unit_report, cell.number), report.digest(cell)
            if digests.get(key, digest) != digest:
                conflict = cell
                break
            if key not in digests:
                digests[key] = digest
                rows.append(_row(unit_report, cell, digest))
            last = cell
        results.append(StoredCells(last, conflict, missing))
    if rows:
        connection.execute(cells.insert(), rows)
    return results


def add_units(
    connection: Connection,
    states: dict[UnitKey, list[report.StateReport]],
    healths: dict[UnitKey, report.HealthReport],
    now_s: int,
    counts: Mapping[UnitKey, report.CountsReport] = MappingProxyType({}),
) -> None:
    """Store the state and health that units reported at `now_s`: Unix seconds UTC.

    A unit with an empty list of states only sent some message. `counts`: each unit's last counts,
    of which this stores the unknown fields; `add_cells` stores the cells.
    An MQTT will names its session and connection; the will of an older one changes nothing.
    """
    keys = states.keys() | healths.keys() | counts.keys()
    before_by_key = {
        UnitKey(row.site, row.unit): dict(row._mapping)
        for row in connection.execute(sa.select(units).where(_unit_in(list(keys))))
    }
    new_rows: list[dict[str, Any]] = []
    changed_rows: list[dict[str, Any]] = []
    for key in sorted(keys):
        before = before_by_key.get(key)
        after = dict(before) if before else _new_unit(key, now_s)
        for state in states.get(key, []):
            _apply(after, state, now_s)
        if key in healths:
            after |= {"health": report.content(healths[key]), "health_s": now_s}
        if key in counts:
            _set_unknown(after, "counts", counts[key].unknown)
        if after != before:
            (changed_rows if before else new_rows).append(after)
    if new_rows:
        connection.execute(units.insert(), new_rows)
    for row in changed_rows:
        connection.execute(
            units.update().where(units.c.site == row["site"], units.c.unit == row["unit"]), row
        )


def _apply(row: dict[str, Any], state: report.StateReport, now_s: int) -> None:
    is_same = row["installation"] == state.installation
    stored = row["session"] or 0, row["connection"] or 0
    is_older = is_same and (state.session, state.connection) < stored
    is_foreign_will = not state.online and not is_same and row["installation"] is not None
    if is_older or is_foreign_will:
        return
    _set_unknown(row, "state", state.unknown)
    values = {
        "online": state.online,
        "session": state.session,
        "connection": state.connection,
        "installation": state.installation,
    }
    if any(
        row[name] != value for name, value in values.items()
    ):  # the broker repeats retained ones
        row |= values | {"state_s": now_s}


def _set_unknown(row: dict[str, Any], leaf: str, fields: report.Fields) -> None:
    others = {name: value for name, value in (row["unknown"] or {}).items() if name != leaf}
    row["unknown"] = others | ({leaf: fields} if fields else {}) or None


def _new_unit(key: UnitKey, now_s: int) -> dict[str, Any]:
    return {c.name: None for c in units.columns} | {
        "site": key.site,
        "unit": key.unit,
        "first_s": now_s,
    }


def _unit_in(keys: Sequence[UnitKey]) -> sa.ColumnElement[bool]:
    return sa.tuple_(units.c.site, units.c.unit).in_([tuple(key) for key in keys])


def _key(unit_report: Report, number: int) -> tuple[str, str, str, int]:
    return (*unit_report.unit, unit_report.counts.installation, number)


def _numbers(unit_report: Report) -> range:
    """The numbers of the report's cells, and of the cell before them."""
    first, last = unit_report.counts.cells[0], unit_report.counts.cells[-1]
    return range(first.number - 1, last.number + 1)


def _missing_numbers(
    connection: Connection, unit_report: Report, digests: dict[tuple[str, str, str, int], str]
) -> tuple[int, int] | None:
    """The numbers between the highest one stored and the first one in the report."""
    unit, counts = unit_report.unit, unit_report.counts
    first = counts.cells[0].number
    if first == 1 or any(_key(unit_report, n) in digests for n in (first, first - 1)):
        return None
    c = cells.c
    highest_stored = connection.execute(
        sa.select(c.number)
        .where(c.site == unit.site, c.unit == unit.unit)
        .where(c.installation == counts.installation)
        .order_by(c.number.desc())
        .limit(1)
    ).scalar()
    in_batch = (n for *place, n in digests if place == [*unit, counts.installation])
    highest = max([highest_stored or 0, *in_batch])
    return (highest + 1, first - 1) if highest + 1 < first else None


def _row(unit_report: Report, cell: report.Cell, digest: str) -> dict[str, Any]:
    return {
        "site": unit_report.unit.site,
        "unit": unit_report.unit.unit,
        "installation": unit_report.counts.installation,
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
    digests: dict[tuple[str, str, str, int], str] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        is_wanted = sa.tuple_(c.site, c.unit, c.installation, c.number).in_(
            keys[start : start + _KEYS_AT_ONCE]
        )
        for row in connection.execute(
            sa.select(c.site, c.unit, c.installation, c.number, c.digest).where(is_wanted)
        ):
            digests[(row.site, row.unit, row.installation, row.number)] = row.digest
    return digests


def _upgrade(engine: Engine) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with writing(engine) as connection:  # one program upgrades at a time
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")


def _sqlite_connect(connection: Any, _record: object) -> None:
    """Make commits durable, let readers not wait for writers, and begin transactions ourselves."""
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 10000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begin(connection: Connection) -> None:
    """A writer takes its lock first, so the rows that it reads cannot change before it writes."""
    options = connection.get_execution_options()
    if not _AUTOCOMMIT.keys() & options.keys():
        is_writer = _WRITES.keys() & options.keys()
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")
