"""The count store in SQLite: integers and categories, nothing about a person.

WAL with synchronous=FULL: when a call has returned, its change is on the disk. One process at a
time has the file.

A file that is damaged, or that has less than its witness remembers, is set aside. The rows whose
checksums are right are taken over into a new installation; what is missing is reported
(`take_loss`), never silent.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edge import files
from edge.adapters.storage import counts_tables, wal_check, witness
from edge.adapters.storage.counts_tables import (
    FILE,
    SALVAGE_LEN_MAX,
    StoreContent,
    StoreDamaged,
    StoredCell,
    UnitRow,
)
from edge.adapters.storage.witness import RENEWALS_MAX, Witness
from edge.parts import StoreLost
from edge.report.ports import StoreLoss
from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report
from edge.wire.report import Category

ASIDE = f"{FILE}.damaged-"
"""Begins the name of a file that was set aside; powered-on seconds end it."""
ASIDES_MAX = 2
ASIDE_S_MAX = 30 * 86_400
"""A file that was set aside holds open cells below k, so it is deleted after 30 days."""
PROBES_PER_WITNESS = 15
"""A probe a minute: the witness is written every quarter-hour."""
_NEW = f"{FILE}.new"


def make_folder(state: Path) -> None:
    """Make the state folder where it is missing. Raises StoreLost."""
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreLost(
            f"the state folder {state} cannot be used ({error}); "
            "make it writable for this unit's user"
        ) from None


class DiskCountStore:
    """The store of one unit in `folder`. Raises StoreLost, here and in every method."""

    def __init__(
        self,
        folder: Path,
        unit: str,
        rng: random.Random,
        powered_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`unit`: whose counts, as `campus/north-1`; `rng` names the installation of a new file.
        `powered_s`: this unit's powered-on seconds, by which a day of damage is measured.
        """
        self._unit_name = unit
        self._rng = rng
        self._powered_s = powered_s
        self._folder = folder
        self._path = folder / FILE
        self._loss: StoreLoss | None = None
        self._damage = ""  # found while it ran; mended at the next probe
        self._probes = 0
        make_folder(folder)
        self._db, self._row = self._open()

    @property
    def installation(self) -> str:
        """Made with a new file; numbers of cells restart only under a new one."""
        return self._row.installation

    @property
    def session(self) -> int:
        """One more at every start."""
        return self._row.session

    def take_loss(self) -> StoreLoss | None:
        """What was lost since the last call; None: nothing."""
        loss, self._loss = self._loss, None
        return loss

    def cells(self) -> dict[Category, OpenCell]:
        """The open cells."""
        with self._reporting():
            return {cell.category: cell for cell in counts_tables.read_open(self._db)}

    def begin(self, cells: list[OpenCell]) -> None:
        """Open the cells that are not there yet."""
        present = self.cells()
        with self._change(self._row):
            for cell in cells:
                if cell.category not in present:
                    counts_tables.put_open(self._db, cell)

    def probe(self) -> None:
        """One small durable change. A damage that was found meanwhile is mended now."""
        if self._damage:
            self._mend()
        with self._change(replace(self._row, probed=self._row.probed + 1)):
            pass
        self._probes += 1
        if self._probes % PROBES_PER_WITNESS == 0:
            self._write_witness()

    def count(self, cell: OpenCell) -> None:
        """One decision more, durable when this returns."""
        with self._change(replace(self._row, decided=self._row.decided + 1)):
            counts_tables.put_open(self._db, cell)

    def close_cells(self, closed: list[ClosedCell]) -> None:
        """Number the cells and open the next ones, all or none."""
        first = self._row.next_number
        with self._change(replace(self._row, next_number=first + len(closed))):
            for number, each in enumerate(closed, first):
                cell = each.cell
                counts_tables.put_closed(
                    self._db,
                    StoredCell(number, cell.category, cell.from_s, each.until_s, cell.count),
                )
                counts_tables.put_open(self._db, each.next)
        self._write_witness()

    def unacknowledged(self, most: int) -> list[report.Cell]:
        """The oldest closed cells."""
        with self._reporting():
            rows = self._db.execute(
                "SELECT number, category, from_s, until_s, count FROM closed_cell "
                "ORDER BY number LIMIT ?",
                (most,),
            ).fetchall()
        names = ("number", "category", "from_s", "until_s", "count")
        return [report.Cell(**dict(zip(names, row, strict=True))) for row in rows]

    def acknowledge(self, ack: report.Ack) -> bool:
        """Forget cells `ack.first` to `ack.last`, if the last one is the one that was stored."""
        if ack.installation != self.installation or ack.first > ack.last:
            return False
        mine = next(
            (c for c in self.unacknowledged(report.CELLS_MAX) if c.number == ack.last), None
        )
        if mine is None:
            return self._was_acknowledged(ack.last)
        if report.digest(mine) != ack.digest:
            return False
        between = "number BETWEEN ? AND ?"
        with self._reporting():
            (freed,) = self._db.execute(
                f"SELECT sum(count) FROM closed_cell WHERE {between}",  # noqa: S608
                (ack.first, ack.last),
            ).fetchone()
        with self._change(replace(self._row, acknowledged=self._row.acknowledged + freed)):
            self._db.execute(
                f"DELETE FROM closed_cell WHERE {between}",  # noqa: S608
                (ack.first, ack.last),
            )
        self._write_witness()
        return True

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def _was_acknowledged(self, number: int) -> bool:
        """Whether a cell was acknowledged before: a repeat changes nothing and is no error.

        One that this file never numbered was: the file has lost it, and is damaged.
        """
        if number >= self._row.next_number:
            self._damage = f"the collector has cell {number}, which it has not"
            return False
        oldest = next(iter(self.unacknowledged(1)), None)
        return number < (oldest.number if oldest else self._row.next_number)

    def _open(self) -> tuple[counts_tables.Connection, UnitRow]:
        """Open the file and begin a session; a damaged one is renewed first."""
        try:
            try:
                db, row = self._open_healthy()
            except (counts_tables.Error, StoreDamaged, UnicodeDecodeError) as error:
                if not counts_tables.is_damage(error):
                    raise
                self._renew(_clause(error))
                db, row = self._open_healthy()
        except (OSError, counts_tables.Error, StoreDamaged, UnicodeDecodeError) as error:
            raise StoreLost(self._sentence(error)) from None
        self._drop_old_asides()
        return db, row

    def _open_healthy(self) -> tuple[counts_tables.Connection, UnitRow]:
        """Raises StoreDamaged, counts_tables.Error, UnicodeDecodeError, OSError, StoreLost."""
        before = witness.read(self._folder)
        is_new = not self._path.exists() or self._path.stat().st_size == 0
        if is_new and before is not None:
            raise StoreDamaged("it is missing or empty")
        lost = wal_check.check(self._path.with_name(f"{FILE}-wal")).lost
        if lost:
            raise StoreDamaged(f"its log has lost {lost} changes")
        db = counts_tables.connect(self._path)
        try:
            self._check_version(db)
            row = self._read(db, before)
            row = replace(row, session=row.session + 1)
            with counts_tables.transaction(db):
                counts_tables.put_unit(db, row)
        except BaseException:
            db.close()
            raise
        return db, row

    def _check_version(self, db: counts_tables.Connection) -> None:
        version = counts_tables.version(db)
        if version == 0:
            installation = self._rng.randbytes(8).hex()
            row = UnitRow(self._unit_name, installation, 0, 1, 0, 0, 0)
            counts_tables.make(db, StoreContent(row, (), ()))
        elif version == 1:
            counts_tables.add_checksums(db)
        elif version != counts_tables.VERSION:
            raise StoreLost(
                f"{self._path} was written by another version of Menshen ({version}); "
                "install that version, or move the file away to begin a new installation"
            )

    def _read(self, db: counts_tables.Connection, before: Witness | None) -> UnitRow:
        """The unit's row of a healthy file that is ours and has all that its witness has."""
        row = counts_tables.read(db).unit
        assert row is not None  # noqa: S101 -- or it had raised StoreDamaged
        if row.unit != self._unit_name:  # a copied card would be counted twice, under two names
            raise StoreLost(
                f"{self._path} holds the counts of {row.unit}, and this is {self._unit_name}; "
                "name another folder as `state`, and leave that one to its unit"
            )
        if before is not None and (
            before.installation != row.installation
            or before.decided > row.decided
            or before.next_number > row.next_number
        ):
            raise StoreDamaged("it has less than was counted")
        return row

    def _renew(self, reason: str) -> None:
        """Set the file aside and begin a new installation with what can be saved of it."""
        before = witness.read(self._folder)
        powered_s = int(self._powered_s())
        renewed_s = before.renewals(powered_s) if before else []
        if len(renewed_s) >= RENEWALS_MAX:
            raise StoreLost(
                f"{self._path} was damaged {RENEWALS_MAX + 1} times within a day ({reason}); "
                "replace this unit's card"
            )
        saved = StoreContent(None, (), ())
        with suppress(counts_tables.Error, UnicodeDecodeError):
            saved = counts_tables.salvage(self._path)
        if saved.unit is not None and saved.unit.unit != self._unit_name:
            saved = StoreContent(None, (), ())
        content = _renewed(saved, before, self._unit_name, self._rng.randbytes(8).hex())
        new = self._path.with_name(_NEW)
        for leftover in self._folder.glob(f"{_NEW}*"):
            leftover.unlink()
        counts_tables.make_file(new, content)
        self._set_aside(powered_s)
        assert content.unit is not None  # noqa: S101 -- _renewed made it
        self._put_witness(content.unit, 0, [*renewed_s, powered_s])
        for name in (f"{FILE}-wal", f"{FILE}-shm"):
            self._path.with_name(name).unlink(missing_ok=True)
        new.replace(self._path)
        files.sync(self._folder)
        self._loss = StoreLoss(reason, _missing(saved, before, content))

    def _set_aside(self, powered_s: int) -> None:
        """Copy the file and its log beside it, to look into the damage."""
        aside = self._path.with_name(f"{ASIDE}{powered_s}")
        for suffix in ("", "-wal"):
            source = self._path.with_name(f"{FILE}{suffix}")
            if source.exists() and source.stat().st_size <= SALVAGE_LEN_MAX:
                shutil.copyfile(source, aside.with_name(f"{aside.name}{suffix}"))

    def _drop_old_asides(self) -> None:
        """Keep the last two files that were set aside, and none for longer than 30 days."""
        powered_s = self._powered_s()
        asides: dict[int, list[Path]] = {}
        for path in self._folder.glob(f"{ASIDE}*"):
            number = path.name.removeprefix(ASIDE).removesuffix("-wal").removesuffix("-shm")
            if number.isdecimal():
                asides.setdefault(int(number), []).append(path)
        for place, at_s in enumerate(sorted(asides, reverse=True)):
            if place >= ASIDES_MAX or abs(powered_s - at_s) > ASIDE_S_MAX:
                for path in asides[at_s]:
                    with suppress(OSError):
                        path.unlink()

    def _mend(self) -> None:
        """Renew a file whose damage was found while it ran."""
        reason, self._damage = self._damage, ""
        self._db.close()
        try:
            self._renew(reason)
        except (OSError, counts_tables.Error) as error:
            raise StoreLost(self._sentence(error)) from None
        finally:
            self._db, self._row = self._open()

    def _write_witness(self) -> None:
        before = witness.read(self._folder)
        oldest = next(iter(self.unacknowledged(1)), None)
        last = (oldest.number if oldest else self._row.next_number) - 1
        try:
            self._put_witness(self._row, last, before.renewed_s if before else [])
        except OSError as error:
            raise StoreLost(self._sentence(error)) from None

    def _put_witness(self, row: UnitRow, acknowledged_number: int, renewed_s: list[int]) -> None:
        content = Witness(
            installation=row.installation,
            next_number=row.next_number,
            decided=row.decided,
            acknowledged=row.acknowledged,
            acknowledged_number=acknowledged_number,
            renewed_s=renewed_s[-RENEWALS_MAX:],
        )
        witness.write(self._folder, content)

    @contextmanager
    def _change(self, row: UnitRow) -> Iterator[None]:
        """A transaction that also makes `row` the unit's; durable when it ends."""
        with self._reporting(), counts_tables.transaction(self._db):
            yield
            counts_tables.put_unit(self._db, row)
        self._row = row

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Errors of the file come out as StoreLost."""
        try:
            yield
        except (counts_tables.Error, StoreDamaged, UnicodeDecodeError) as error:
            if counts_tables.is_damage(error):
                self._damage = _clause(error)
            raise StoreLost(self._sentence(error)) from None

    def _sentence(self, error: Exception) -> str:
        reason = _clause(error)
        if isinstance(error, OSError):
            return f"the state folder {self._folder} cannot be used ({reason}); free some space"
        if counts_tables.is_damage(error):
            return f"{self._path} is damaged ({reason}); it is renewed at the next probe"
        if "full" in reason or "disk I/O" in reason:
            return f"the disk of {self._path} is full or failing ({reason}); free some space"
        if "locked" in reason:
            return f"{self._path} is in use by another menshen-edge; stop that one first"
        return f"{self._path} cannot be written ({reason}); check the disk and its rights"


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What witness and file together know of an installation."""

    decided: int
    acknowledged: int
    acknowledged_number: int


def _bounds(saved: StoreContent, before: Witness | None) -> _Bounds:
    row = saved.unit
    same = before if before and (row is None or row.installation == before.installation) else None
    return _Bounds(
        max(row.decided if row else 0, same.decided if same else 0),
        max(row.acknowledged if row else 0, same.acknowledged if same else 0),
        same.acknowledged_number if same else 0,
    )


def _renewed(
    saved: StoreContent, before: Witness | None, unit: str, installation: str
) -> StoreContent:
    """The content of the new installation: every saved row that cannot be counted twice.

    A file may be an old copy. Cells that were acknowledged since are left out; and where a cell was
    closed since, any open one may be that cell, so all of them are left out.
    """
    row, bounds = saved.unit, _bounds(saved, before)
    is_older = before is not None and (row is None or row.next_number < before.next_number)
    is_strange = before is not None and row is not None and row.installation != before.installation
    opens = () if is_older or is_strange else saved.open_cells
    closeds = tuple(
        replace(cell, number=number)
        for number, cell in enumerate(
            (
                c
                for c in saved.closed_cells
                if c.number > bounds.acknowledged_number and not is_strange
            ),
            1,
        )
    )
    content = StoreContent(None, opens, closeds)
    session = row.session if row else 0
    new = UnitRow(unit, installation, session, len(closeds) + 1, content.waiting, 0, 0)
    return StoreContent(new, opens, closeds)


def _missing(saved: StoreContent, before: Witness | None, content: StoreContent) -> int | None:
    """How many decisions were lost at least; None: nobody knows."""
    if saved.unit is None and before is None:
        return None
    bounds = _bounds(saved, before)
    return max(0, bounds.decided - bounds.acknowledged - content.waiting)


def _clause(error: Exception) -> str:
    """The reason in `error`, in one line."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "a text in it is not UTF-8"
    return " ".join(str(error).split())[:200]
