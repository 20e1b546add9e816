"""A damaged count store: what is lost is reported, what is saved is counted once."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge.adapters.storage import counts, counts_tables, witness
from edge.adapters.storage.counts import ASIDE, ASIDE_S_MAX, DiskCountStore
from edge.adapters.storage.counts_tables import FILE
from edge.parts import StoreLost
from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report

UNIT = "campus/north"
NAMES = (FILE, f"{FILE}-wal")


class CountedUnit:
    """A store that is driven as the loop drives one, and what was counted in it."""

    def __init__(self, folder: Path, seed: int = 1, powered_s: float = 1000.0) -> None:
        self.folder = folder
        self.powered_s = powered_s
        self.store = DiskCountStore(folder, UNIT, random.Random(seed), lambda: self.powered_s)
        self.store.begin([OpenCell("green", 0, 0, 0, 10), OpenCell("red", 0, 0, 0, 10)])
        self.cells = self.store.cells()
        self.acknowledged: list[report.Cell] = []

    def count(self, category: report.Category, times: int = 1) -> None:
        for _ in range(times):
            cell = self.cells[category]
            cell = replace(cell, count=cell.count + 1, distinct=cell.distinct + 1)
            self.store.count(cell)
            self.cells[category] = cell

    def close_cell(self, category: report.Category, until_s: int) -> None:
        cell = self.cells[category]
        following = OpenCell(category, until_s, 0, 0, 10)
        self.store.close_cells([ClosedCell(cell, until_s, following)])
        self.cells[category] = following

    def acknowledge(self, count: int) -> None:
        cells = self.store.unacknowledged(count)
        last = cells[-1]
        assert self.store.acknowledge(
            report.Ack(
                site="campus",
                unit="north",
                installation=self.store.installation,
                first=cells[0].number,
                last=last.number,
                digest=report.digest(last),
            )
        )
        self.acknowledged += cells

    def killed(self, folder: Path) -> Path:
        """The files as SIGKILL leaves them now, in `folder`."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return folder


def lived(folder: Path) -> CountedUnit:
    """A unit with two acknowledged cells, one that waits, and two that are open."""
    unit = CountedUnit(folder)
    unit.count("green", 12)
    unit.close_cell("green", 900)
    unit.count("red", 11)
    unit.close_cell("red", 1800)
    unit.acknowledge(2)
    unit.count("green", 13)
    unit.close_cell("green", 2700)
    unit.count("green", 4)
    unit.count("red", 2)
    return unit


def reopened(folder: Path, seed: int = 9) -> DiskCountStore:
    return DiskCountStore(folder, UNIT, random.Random(seed), lambda: 2000.0)


def waiting(store: DiskCountStore) -> list[tuple[str, int, int]]:
    """What is in the store's cells, without the numbers: (category, from, count)."""
    closed = [(c.category, c.from_s, c.count) for c in store.unacknowledged(99)]
    return sorted([*closed, *((c.category, c.from_s, c.count) for c in store.cells().values())])


def test_a_killed_unit_has_lost_nothing(tmp_path: Path) -> None:
    unit = lived(tmp_path / "a")
    store = reopened(unit.killed(tmp_path / "b"))
    assert store.take_loss() is None
    assert store.installation == unit.store.installation
    assert waiting(store) == waiting(unit.store)


@pytest.mark.parametrize(("name", "renewals_min"), list(zip(NAMES, (8, 100), strict=True)))
def test_a_flipped_bit_is_never_silent(tmp_path: Path, name: str, renewals_min: int) -> None:
    """Never: it opens, has fewer than were acknowledged or witnessed, and says nothing."""
    unit = lived(tmp_path / "a")
    whole = (unit.killed(tmp_path / "whole") / name).read_bytes()
    expected, sent = waiting(unit.store), {(c.category, c.from_s) for c in unit.acknowledged}
    rng = random.Random(14)
    renewals = 0
    for _ in range(250):
        folder = unit.killed(tmp_path / "b")
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (folder / name).write_bytes(data)
        try:
            store = reopened(folder)
        except StoreLost:
            continue
        loss = store.take_loss()
        left = waiting(store)
        store.close()
        assert not {(c, at_s) for c, at_s, _ in left} & sent, "a sent cell would be counted twice"
        if loss is None:
            last_alone = [row for row in expected if row not in left]
            missing = sum(n for *_, n in expected) - sum(n for *_, n in left)
            assert missing <= 1, f"silent: {last_alone}"  # the last change may have been torn
        else:
            renewals += 1
            assert loss.missing is not None
            assert sum(n for *_, n in left) + loss.missing >= sum(n for *_, n in expected) - 6
    assert renewals > renewals_min


DAMAGES: dict[str, Callable[[Path], object]] = {
    "zeros": lambda f: (f / FILE).write_bytes(bytes((f / FILE).stat().st_size)),
    "half": lambda f: (f / FILE).write_bytes(
        (f / FILE).read_bytes()[: (f / FILE).stat().st_size // 2]
    ),
    "empty": lambda f: [(f / name).write_bytes(b"") for name in NAMES],
    "missing": lambda f: [(f / name).unlink() for name in NAMES],
    "not-a-database": lambda f: (f / FILE).write_bytes(b"not a database at all" * 300),
    "no-table": lambda f: edit(f, "DROP TABLE unit"),
    "no-unit": lambda f: edit(f, "DELETE FROM unit"),
    "a-row-more": lambda f: edit(f, "INSERT INTO unit SELECT * FROM unit"),
    "a-changed-count": lambda f: edit(f, "UPDATE open_cell SET count = count + 5"),
    "a-lost-cell": lambda f: edit(f, "DELETE FROM closed_cell"),
    "a-lower-number": lambda f: edit(f, "UPDATE unit SET next_number = 2"),
}


def edit(folder: Path, statement: str) -> None:
    db = sqlite3.connect(folder / FILE)
    with db:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_reported_and_the_door_can_count_again(tmp_path: Path, damage: str) -> None:
    unit = lived(tmp_path / "a")
    folder = unit.killed(tmp_path / "b")
    DAMAGES[damage](folder)
    store = reopened(folder)
    loss = store.take_loss()
    assert loss is not None
    assert store.take_loss() is None, "each loss is taken once"
    assert store.installation != unit.store.installation
    total = sum(n for *_, n in waiting(store))
    assert loss.missing == 13 + 4 + 2 - total or loss.missing == 13 - total, damage
    store.begin([OpenCell("yellow", 0, 0, 0, 10)])
    store.count(OpenCell("yellow", 0, 1, 1, 10))
    store.close()
    again = reopened(folder)
    assert again.take_loss() is None
    assert again.cells()["yellow"].count == 1
    again.close()


def test_a_log_that_vanished_costs_at_most_what_came_since_the_witness(tmp_path: Path) -> None:
    unit = lived(tmp_path / "a")
    folder = unit.killed(tmp_path / "b")
    (folder / NAMES[1]).unlink()
    store = reopened(folder)
    if store.take_loss() is None:
        lost = sum(n for *_, n in waiting(unit.store)) - sum(n for *_, n in waiting(store))
        assert lost <= 4 + 2
    store.close()


def test_what_is_whole_is_taken_over(tmp_path: Path) -> None:
    """One row of the open cells is damaged: the other one and the closed cell are saved."""
    unit = lived(tmp_path / "a")
    folder = unit.killed(tmp_path / "b")
    edit(folder, "UPDATE open_cell SET count = 99 WHERE category = 'red'")
    store = reopened(folder)
    assert store.take_loss() == ("a row of open_cell has a wrong checksum", 2)
    assert waiting(store) == [("green", 900, 13), ("green", 2700, 4)]
    assert [c.number for c in store.unacknowledged(9)] == [1], "numbers restart"
    store.close()


def test_an_old_copy_is_not_counted_twice(tmp_path: Path) -> None:
    """A card that was restored: its cells have been sent since."""
    unit = CountedUnit(tmp_path / "a")
    unit.count("green", 12)
    unit.close_cell("green", 900)
    copy = unit.killed(tmp_path / "old")
    unit.acknowledge(1)
    unit.count("red", 10)
    unit.close_cell("red", 900)
    unit.acknowledge(1)
    unit.store.close()
    for name in NAMES:
        if (copy / name).exists():
            shutil.copy(copy / name, tmp_path / "a" / name)
    store = reopened(tmp_path / "a")
    assert store.take_loss() == ("it has less than was counted", 0)
    assert waiting(store) == []
    store.close()


def test_the_collector_remembers_what_the_disk_has_lost(tmp_path: Path) -> None:
    """File and witness are old; an acknowledgement names a cell that was never numbered here."""
    unit = lived(tmp_path / "a")
    old = unit.killed(tmp_path / "b")
    unit.count("red", 9)
    unit.close_cell("red", 3600)
    last = unit.store.unacknowledged(9)[-1]
    ack = report.Ack(
        site="campus",
        unit="north",
        installation=unit.store.installation,
        first=3,
        last=last.number,
        digest=report.digest(last),
    )
    store = reopened(old)
    before = store.installation
    assert not store.acknowledge(ack)
    store.probe()
    assert store.installation != before
    loss = store.take_loss()
    assert loss is not None
    assert loss.reason == "the collector has cell 4, which it has not"
    store.close()


def test_damage_that_is_met_while_it_runs_is_mended_at_the_next_probe(tmp_path: Path) -> None:
    unit = lived(tmp_path / "a")
    before = unit.store.installation
    unit.store._db.execute("UPDATE open_cell SET count = 99 WHERE category = 'red'")
    with pytest.raises(StoreLost, match="is damaged"):
        unit.store.cells()
    assert unit.store.installation == before
    unit.store.probe()
    assert unit.store.installation != before
    assert unit.store.take_loss() is not None
    assert set(unit.store.cells()) == {"green"}
    unit.store.close()


def test_five_damages_within_a_day_are_a_lost_store(tmp_path: Path) -> None:
    folder = lived(tmp_path / "a").killed(tmp_path / "b")
    for day, at_s in ((0, 1000.0), (1, 1000.0 + 86_400)):
        for n in range(witness.RENEWALS_MAX):
            (folder / FILE).write_bytes(b"x" * 5000)
            store = DiskCountStore(folder, UNIT, random.Random(n), lambda at_s=at_s: at_s)  # type: ignore[misc]
            assert store.take_loss() is not None, (day, n)
            store.close()
        (folder / FILE).write_bytes(b"x" * 5000)
        with pytest.raises(
            StoreLost, match=r"damaged 5 times within a day.*replace this unit's card"
        ):
            DiskCountStore(folder, UNIT, random.Random(5), lambda at_s=at_s: at_s)  # type: ignore[misc]
        assert (folder / FILE).read_bytes() == b"x" * 5000


def test_what_was_set_aside_is_kept_for_a_while(tmp_path: Path) -> None:
    folder = lived(tmp_path / "a").killed(tmp_path / "b")

    def asides() -> list[str]:
        return sorted(path.name for path in folder.glob(f"{ASIDE}*"))

    for at_s in (1000, 2000, 3000):
        (folder / FILE).write_bytes(b"%d" % at_s * 2000)
        DiskCountStore(folder, UNIT, random.Random(at_s), lambda at_s=at_s: at_s).close()  # type: ignore[misc]
    assert asides() == [f"{ASIDE}2000", f"{ASIDE}3000"]
    assert (folder / f"{ASIDE}3000").read_bytes().startswith(b"3000")
    DiskCountStore(folder, UNIT, random.Random(1), lambda: 2001.0 + ASIDE_S_MAX).close()
    assert asides() == [f"{ASIDE}3000"]


def test_no_room_to_renew_is_one_sentence_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = lived(tmp_path / "a").killed(tmp_path / "b")
    (folder / NAMES[1]).unlink()
    (folder / FILE).write_bytes(b"x" * 5000)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(counts.shutil, "copyfile", full)
    with pytest.raises(StoreLost, match=r"No space left on device.*free some space"):
        reopened(folder)
    monkeypatch.undo()
    assert (folder / FILE).read_bytes() == b"x" * 5000
    store = reopened(folder)
    assert store.take_loss() is not None
    store.close()


def test_a_new_unit_has_no_witness_and_reports_no_loss(tmp_path: Path) -> None:
    store = reopened(tmp_path)
    assert store.take_loss() is None
    assert witness.read(tmp_path) is None
    for _ in range(counts.PROBES_PER_WITNESS):
        store.probe()
    assert witness.read(tmp_path) is not None
    store.close()


def test_a_torn_witness_is_no_witness(tmp_path: Path) -> None:
    unit = lived(tmp_path / "a")
    unit.store.close()
    for data in (b"", b"{", b'{"witness":{}}', b"\xff" * 10, b"[" * 5000):
        (tmp_path / "a" / witness.FILE).write_bytes(data)
        store = reopened(tmp_path / "a")
        assert store.take_loss() is None
        store.close()


def test_a_file_of_version_1_gets_its_checksums(tmp_path: Path) -> None:
    unit = lived(tmp_path / "a")
    expected = waiting(unit.store)
    unit.store.close()
    db = sqlite3.connect(tmp_path / "a" / FILE)
    with db:
        for table in ("unit", "open_cell", "closed_cell"):
            db.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        db.execute("PRAGMA user_version = 1")
    db.close()
    (tmp_path / "a" / witness.FILE).unlink()
    store = reopened(tmp_path / "a")
    assert store.take_loss() is None
    assert waiting(store) == expected
    assert counts_tables.version(store._db) == counts_tables.VERSION
    store.close()
