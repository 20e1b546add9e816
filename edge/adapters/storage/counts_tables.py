"""counts.db: its tables, a checksum in each row, and what can be saved from a damaged file.

SQLite finds a page that is no page; a changed number in a good page it does not. So each row
carries a checksum over its values, and a row that fails it counts as damage.
"""

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, cast

from edge.report.tally import OpenCell
from edge.wire.report import Category

FILE = "counts.db"
VERSION = 2
"""Version 1 had no checksums."""
SALVAGE_LEN_MAX = 20 * 1024 * 1024
"""Bytes of a file that is looked into; ours has a hundred kB."""
CHECKPOINT_PAGES = 16
"""The log is brought into the database after so many pages: a short log has little to lose."""

_SCHEMA = """
CREATE TABLE unit (
  unit TEXT NOT NULL, installation TEXT NOT NULL,
  session INTEGER NOT NULL, next_number INTEGER NOT NULL,
  decided INTEGER NOT NULL, acknowledged INTEGER NOT NULL, probed INTEGER NOT NULL,
  checksum TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE open_cell (
  category TEXT PRIMARY KEY, from_s INTEGER NOT NULL, count INTEGER NOT NULL,
  distinct_codes INTEGER NOT NULL, threshold INTEGER NOT NULL,
  checksum TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE closed_cell (
  number INTEGER PRIMARY KEY, category TEXT NOT NULL, from_s INTEGER NOT NULL,
  until_s INTEGER NOT NULL, count INTEGER NOT NULL,
  checksum TEXT NOT NULL DEFAULT ''
) STRICT;
"""
_TABLES = {
    "unit": "unit, installation, session, next_number, decided, acknowledged, probed",
    "open_cell": "category, from_s, count, distinct_codes, threshold",
    "closed_cell": "number, category, from_s, until_s, count",
}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


Connection = sqlite3.Connection
Error = sqlite3.Error


class StoreDamaged(Exception):
    """The file does not hold what was written; a clause that says what was found."""


@dataclass(frozen=True, slots=True)
class UnitRow:
    """The one row of table `unit`."""

    unit: str  # whose counts, as `campus/north-1`
    installation: str
    session: int
    next_number: int
    decided: int  # decisions since the installation began
    acknowledged: int  # of those, in cells that the collector has acknowledged
    probed: int


@dataclass(frozen=True, slots=True)
class StoredCell:
    """A closed cell that waits for its acknowledgement."""

    number: int
    category: Category
    from_s: int
    until_s: int
    count: int


@dataclass(frozen=True, slots=True)
class StoreContent:
    """All that a file holds; `unit` is None where that row is damaged."""

    unit: UnitRow | None
    open_cells: tuple[OpenCell, ...]
    closed_cells: tuple[StoredCell, ...]

    @property
    def waiting(self) -> int:
        """Decisions in cells that are not acknowledged."""
        return sum(c.count for c in self.open_cells) + sum(c.count for c in self.closed_cells)


EMPTY = StoreContent(None, (), ())


def connect(path: Path) -> Connection:
    """Open or make `path`, for this program alone. Raises sqlite3.Error."""
    db = sqlite3.connect(path, isolation_level=None, timeout=2, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    except sqlite3.Error:
        db.close()
        raise
    return db


@contextmanager
def transaction(db: Connection) -> Iterator[None]:
    """All changes inside, or none; durable when it ends. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def make_file(path: Path, content: StoreContent) -> None:
    """Make a new file with `content`, durable and closed. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        make(db, content)


def version(db: Connection) -> int:
    """The file's version; 0: it is new."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def make(db: Connection, content: StoreContent) -> None:
    """Make the tables of a new file, with `content`."""
    assert content.unit is not None  # noqa: S101 -- a file belongs to a unit
    with transaction(db):
        for statement in _SCHEMA.split(";")[:-1]:
            db.execute(statement)
        put_unit(db, content.unit)
        for cell in content.open_cells:
            put_open(db, cell)
        for closed in content.closed_cells:
            put_closed(db, closed)
        db.execute(f"PRAGMA user_version = {VERSION}")


def add_checksums(db: Connection) -> None:
    """Make a file of version 1 one of version 2."""
    with transaction(db):
        for table, columns in _TABLES.items():
            db.execute(f"ALTER TABLE {table} ADD COLUMN checksum TEXT NOT NULL DEFAULT ''")
            for rowid, *values in db.execute(f"SELECT rowid, {columns} FROM {table}").fetchall():  # noqa: S608
                db.execute(
                    f"UPDATE {table} SET checksum = ? WHERE rowid = ?",  # noqa: S608
                    (checksum(table, values), rowid),
                )
        db.execute(f"PRAGMA user_version = {VERSION}")


def put_unit(db: Connection, row: UnitRow) -> None:
    """Write the unit's row in place of the one before."""
    db.execute("DELETE FROM unit")
    _insert(db, "unit", astuple(row))


def put_open(db: Connection, cell: OpenCell) -> None:
    """Write an open cell in place of the one of its category."""
    _insert(db, "open_cell", astuple(cell))


def put_closed(db: Connection, cell: StoredCell) -> None:
    """Write a closed cell."""
    _insert(db, "closed_cell", astuple(cell))


def read(db: Connection) -> StoreContent:
    """All that a healthy file holds. Raises StoreDamaged, sqlite3.Error."""
    wrong = [row[0] for row in db.execute("PRAGMA quick_check(1)") if row[0] != "ok"]
    if wrong:
        raise StoreDamaged(f"SQLite finds {' '.join(str(wrong[0]).split())[:100]}")
    units = [UnitRow(*values) for values in _rows(db, "unit", strict=True)]
    if len(units) != 1:
        raise StoreDamaged(f"it has {len(units)} rows about its unit")
    opens = tuple(OpenCell(*values) for values in _rows(db, "open_cell", strict=True))
    closeds = tuple(StoredCell(*values) for values in _rows(db, "closed_cell", strict=True))
    if any(cell.number >= units[0].next_number for cell in closeds):
        raise StoreDamaged("a cell has a number that was never given")
    content = StoreContent(units[0], opens, closeds)
    if units[0].decided != units[0].acknowledged + content.waiting:
        raise StoreDamaged("its cells do not add up to its decisions")
    return content


def read_open(db: Connection) -> list[OpenCell]:
    """The open cells. Raises StoreDamaged, sqlite3.Error."""
    return [OpenCell(*values) for values in _rows(db, "open_cell", strict=True)]


def salvage(path: Path) -> StoreContent:
    """The rows of a damaged file whose checksums are right. Changes nothing; raises OSError.

    It reads a copy, so that the file and its log stay as they were found.
    """
    if not path.exists() or path.stat().st_size > SALVAGE_LEN_MAX:
        return EMPTY
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".salvage-") as folder:
        copy = Path(folder) / path.name
        for name in (path.name, f"{path.name}-wal"):
            if path.with_name(name).exists():
                shutil.copyfile(path.with_name(name), copy.with_name(name))
        with closing(sqlite3.connect(copy, isolation_level=None)) as db:
            units = [UnitRow(*values) for values in _rows(db, "unit", strict=False)]
            opens = [OpenCell(*values) for values in _rows(db, "open_cell", strict=False)]
            closeds = [StoredCell(*values) for values in _rows(db, "closed_cell", strict=False)]
    return StoreContent(units[0] if len(units) == 1 else None, tuple(opens), tuple(closeds))


def checksum(table: str, values: Sequence[object]) -> str:
    """16 hex digits over a row's values."""
    text = json.dumps([table, *values], ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def is_damage(error: Exception) -> bool:
    """Whether `error` says that the file is damaged, and not that the disk or a lock stops us."""
    if isinstance(error, StoreDamaged | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # of the Python module: a value that it cannot convert
        return isinstance(error, sqlite3.Error)
    if code & 0xFF == sqlite3.SQLITE_ERROR:
        return "no such" in str(error) or "malformed" in str(error) or "has no column" in str(error)
    return code & 0xFF in _DAMAGED


def _insert(db: Connection, table: str, values: Sequence[object]) -> None:
    places = ", ".join("?" * (len(values) + 1))
    db.execute(
        f"INSERT OR REPLACE INTO {table} ({_TABLES[table]}, checksum) VALUES ({places})",  # noqa: S608
        (*values, checksum(table, values)),
    )


def _rows(db: Connection, table: str, strict: bool) -> Iterator[tuple[Any, ...]]:
    """The rows of `table` with a right checksum. `strict`: a wrong one raises StoreDamaged, and
    errors come out; otherwise what cannot be read is left out.
    """
    try:
        cursor = db.execute(f"SELECT {_TABLES[table]}, checksum FROM {table}")  # noqa: S608
        while (row := cursor.fetchone()) is not None:
            *values, stored = row
            if stored == checksum(table, values):
                yield tuple(cast("list[Any]", values))
            elif strict:
                raise StoreDamaged(f"a row of {table} has a wrong checksum")
    except (sqlite3.Error, UnicodeDecodeError):
        if strict:
            raise
