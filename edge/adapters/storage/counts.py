"""What must outlive a power cut, in SQLite: integers and categories, nothing of anybody.

WAL with synchronous=FULL: a call that returned is on the disk. One process at a time has the file.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from edge.parts import StoreLost
from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report
from edge.wire.report import Category

FILE = "counts.db"
_VERSION = 1
_SCHEMA = """
CREATE TABLE unit (
  unit TEXT NOT NULL, installation TEXT NOT NULL,
  session INTEGER NOT NULL, next_number INTEGER NOT NULL,
  decided INTEGER NOT NULL, acknowledged INTEGER NOT NULL, probed INTEGER NOT NULL
) STRICT;
CREATE TABLE open_cell (
  category TEXT PRIMARY KEY, from_s INTEGER NOT NULL, count INTEGER NOT NULL,
  distinct_codes INTEGER NOT NULL, threshold INTEGER NOT NULL
) STRICT;
CREATE TABLE closed_cell (
  number INTEGER PRIMARY KEY, category TEXT NOT NULL, from_s INTEGER NOT NULL,
  until_s INTEGER NOT NULL, count INTEGER NOT NULL
) STRICT;
"""


class DiskCountStore:
    """The store of one unit in `folder`. Raises StoreLost, here and in every method."""

    def __init__(self, folder: Path, unit: str, rng: random.Random) -> None:
        """`unit`: whose counts, as `campus/north-1`; `rng` names the installation of a new file."""
        self._unit = unit
        self._rng = rng
        self._path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                self._path, isolation_level=None, timeout=2, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise StoreLost(
                f"the state folder {folder} cannot be used ({error}); "
                "make it writable for this unit's user"
            ) from None
        try:
            self._open()
        except StoreLost:
            self._db.close()
            raise

    def cells(self) -> dict[Category, OpenCell]:
        """The open cells."""
        with self._reporting():
            rows = self._db.execute(
                "SELECT category, from_s, count, distinct_codes, threshold FROM open_cell"
            ).fetchall()
        return {row[0]: OpenCell(*row) for row in rows}

    def begin(self, cells: list[OpenCell]) -> None:
        """Open the cells that are not there yet."""
        with self._reporting(), self._durable():
            open_cells = self.cells()
            for cell in cells:
                if cell.category not in open_cells:
                    self._put(cell)

    def probe(self) -> None:
        """One small durable change."""
        with self._reporting(), self._durable():
            self._db.execute("UPDATE unit SET probed = probed + 1")

    def count(self, cell: OpenCell) -> None:
        """One decision more, durable when this returns."""
        with self._reporting(), self._durable():
            self._put(cell)
            self._db.execute("UPDATE unit SET decided = decided + 1")

    def close_cells(self, closed: list[ClosedCell]) -> None:
        """Number the cells and open the next ones, all or none."""
        with self._reporting(), self._durable():
            for each in closed:
                self._db.execute(
                    "INSERT INTO closed_cell SELECT next_number, ?, ?, ?, ? FROM unit",
                    (each.cell.category, each.cell.from_s, each.until_s, each.cell.count),
                )
                self._db.execute("UPDATE unit SET next_number = next_number + 1")
                self._put(each.next)

    def unacknowledged(self, most: int) -> list[report.Cell]:
        """The oldest closed cells."""
        with self._reporting():
            rows = self._db.execute(
                "SELECT number, category, from_s, until_s, count FROM closed_cell "
                "ORDER BY number LIMIT ?",
                (most,),
            ).fetchall()
        return [
            report.Cell(
                number=number,
                category=cast(Category, category),
                from_s=from_s,
                until_s=until_s,
                count=count,
            )
            for number, category, from_s, until_s, count in rows
        ]

    def acknowledge(self, ack: report.Ack) -> bool:
        """Forget cells `ack.first` to `ack.last`, if the last one is the one that was stored."""
        if ack.installation != self.installation or ack.first > ack.last:
            return False
        mine = next(
            (c for c in self.unacknowledged(report.CELLS_MAX) if c.number == ack.last), None
        )
        if mine is None:
            return self._long_gone(ack.last)
        if report.digest(mine) != ack.digest:
            return False
        with self._reporting(), self._durable():
            where = "FROM closed_cell WHERE number BETWEEN ? AND ?"
            self._db.execute(
                f"UPDATE unit SET acknowledged = acknowledged + (SELECT sum(count) {where})",  # noqa: S608
                (ack.first, ack.last),
            )
            self._db.execute(f"DELETE {where}", (ack.first, ack.last))
        return True

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def _long_gone(self, number: int) -> bool:
        """Whether a cell was acknowledged before: a repeat changes nothing and is no error."""
        with self._reporting():
            row = self._db.execute("SELECT next_number FROM unit").fetchone()
        oldest = next(iter(self.unacknowledged(1)), None)
        return number < (oldest.number if oldest else int(row[0]))

    def _put(self, cell: OpenCell) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO open_cell VALUES (?, ?, ?, ?, ?)",
            (cell.category, cell.from_s, cell.count, cell.distinct, cell.threshold),
        )

    def _open(self) -> None:
        with self._reporting():
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._prepare()
            self._mine()
            with self._durable():
                self._db.execute("UPDATE unit SET session = session + 1")
            row = self._db.execute("SELECT installation, session FROM unit").fetchone()
        self.installation: str = row[0]
        self.session: int = row[1]

    def _mine(self) -> None:
        """A file that came with a copied card would be counted twice, under two names."""
        (unit,) = self._db.execute("SELECT unit FROM unit").fetchone()
        if unit != self._unit:
            raise StoreLost(
                f"{self._path} holds the counts of {unit}, and this is {self._unit}; "
                "name another folder as `state`, and leave that one to its unit"
            )

    def _prepare(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == _VERSION:
            return
        if version != 0:
            raise StoreLost(
                f"{self._path} was written by another version of Menshen ({version}); "
                "install that version, or move the file away to begin a new installation"
            )
        with self._durable():
            for statement in _SCHEMA.split(";")[:-1]:
                self._db.execute(statement)
            self._db.execute(
                "INSERT INTO unit VALUES (?, ?, 0, 1, 0, 0, 0)",
                (self._unit, self._rng.randbytes(8).hex()),
            )
            self._db.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _durable(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreLost(self._sentence(error)) from None

    def _sentence(self, error: sqlite3.Error) -> str:
        message = str(error)
        if "full" in message or "disk I/O" in message:
            return f"the disk of {self._path} is full or failing ({message}); free some space"
        if "locked" in message:
            return f"{self._path} is in use by another menshen-edge; stop that one first"
        if "malformed" in message or "not a database" in message:
            return f"{self._path} is damaged ({message}); keep a copy and move the file away"
        return f"{self._path} cannot be written ({message}); check the disk and its rights"
