"""The store: durable, whole, exclusive; and one sentence when it cannot be."""

import random
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.adapters.storage.counts import FILE, DiskCountStore
from edge.parts import StoreLost
from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report

CELL = OpenCell("green", 900, 12, 11, 10)
ONE = OpenCell("green", 900, 1, 1, 10)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DiskCountStore]:
    store = DiskCountStore(tmp_path, "campus/north", random.Random(1))
    yield store
    store.close()


def closed(cell: OpenCell, until_s: int) -> ClosedCell:
    return ClosedCell(cell, until_s, replace(cell, from_s=until_s, count=0, distinct=0))


def ack(store: DiskCountStore, cells: list[report.Cell], **changes: object) -> report.Ack:
    said = {
        "site": "campus",
        "unit": "north-1",
        "installation": store.installation,
        "first": cells[0].number,
        "last": cells[-1].number,
        "digest": report.digest(cells[-1]),
    }
    return report.Ack(**{**said, **changes})  # type: ignore[arg-type]


def totals(store: DiskCountStore) -> tuple[int, int]:
    return store._db.execute("SELECT decided, acknowledged FROM unit").fetchone()


def test_what_was_counted_is_there_again(tmp_path: Path) -> None:
    store = DiskCountStore(tmp_path, "campus/north", random.Random(1))
    store.count(ONE)
    installation, session = store.installation, store.session
    store.close()
    again = DiskCountStore(tmp_path, "campus/north", random.Random(2))
    assert again.cells() == {"green": ONE}
    assert (again.installation, again.session) == (installation, session + 1)
    again.close()


def test_cells_are_numbered_and_replaced(store: DiskCountStore) -> None:
    store.count(CELL)
    store.close_cells([closed(CELL, 1800), closed(replace(CELL, category="red"), 1800)])
    first, second = store.unacknowledged(8)
    assert (first.number, first.category, first.count) == (1, "green", 12)
    assert (second.number, second.category) == (2, "red")
    assert store.cells()["green"].count == 0
    assert store.cells()["green"].from_s == 1800


def test_an_acknowledgement_frees_exactly_its_cells(store: DiskCountStore) -> None:
    store.close_cells([closed(CELL, 1800), closed(CELL, 2700), closed(CELL, 3600)])
    cells = store.unacknowledged(8)
    assert store.acknowledge(ack(store, cells[:2]))
    assert [c.number for c in store.unacknowledged(8)] == [3]
    assert totals(store) == (0, 24)
    assert store.acknowledge(ack(store, cells[:2])), "a repeat is no error"
    assert totals(store) == (0, 24)


@pytest.mark.parametrize(
    "change", [{"digest": "0" * 64}, {"installation": "f" * 16}, {"first": 3}, {"last": 9}]
)
def test_an_acknowledgement_that_does_not_fit_frees_nothing(
    change: dict[str, object], store: DiskCountStore
) -> None:
    store.close_cells([closed(CELL, 1800), closed(CELL, 2700)])
    assert not store.acknowledge(ack(store, store.unacknowledged(8), **change))
    assert len(store.unacknowledged(8)) == 2


@pytest.mark.system
def test_a_second_program_is_told(store: DiskCountStore, tmp_path: Path) -> None:
    program = (
        "import random; from pathlib import Path\n"
        "from edge.adapters.storage.counts import DiskCountStore\n"
        f"DiskCountStore(Path({str(tmp_path)!r}), 'campus/north', random.Random())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "in use by another menshen-edge" in other.stderr


def test_full_disk_is_one_sentence_and_loses_nothing(store: DiskCountStore, tmp_path: Path) -> None:
    store.count(CELL)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in tmp_path.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        with pytest.raises(StoreLost, match="full or failing"):
            for n in range(200):
                store.count(replace(CELL, count=13 + n))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = store.cells()["green"].count
    store.count(replace(CELL, count=kept + 1))
    assert store.cells()["green"].count == kept + 1
    assert totals(store)[0] == kept + 1 - 12 + 1


def test_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / FILE)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()
    with pytest.raises(StoreLost, match="another version"):
        DiskCountStore(tmp_path, "campus/north", random.Random())


def test_unusable_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreLost, match="cannot be used"):
        DiskCountStore(tmp_path / "file" / "state", "campus/north", random.Random())


def test_the_counts_of_another_unit_are_left_alone(store: DiskCountStore, tmp_path: Path) -> None:
    """A card that was copied with its state would be counted twice, under two names."""
    store.count(ONE)
    store.close()
    with pytest.raises(StoreLost, match="holds the counts of campus/north, and this is campus/s"):
        DiskCountStore(tmp_path, "campus/south", random.Random())
    again = DiskCountStore(tmp_path, "campus/north", random.Random())
    assert again.cells()["green"] == ONE
    again.close()


def test_cells_begin_once(store: DiskCountStore) -> None:
    store.count(CELL)
    store.begin([replace(CELL, from_s=5, count=0), OpenCell("red", 5, 0, 0, 12)])
    assert store.cells() == {"green": CELL, "red": OpenCell("red", 5, 0, 0, 12)}


def test_a_probe_is_a_durable_change(store: DiskCountStore) -> None:
    store.probe()
    assert store._db.execute("SELECT probed FROM unit").fetchone() == (1,)
