"""The check of a write-ahead log, against SQLite's own reading of the same bytes."""

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge.adapters.storage import wal_check
from edge.adapters.storage.wal_check import EMPTY, FRAME_HEADER_LEN, HEADER_LEN

COUNT = 40


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """The files as a program leaves them that is killed: COUNT rows, all of them in the log."""
    path, copy = tmp_path / "live" / "counts.db", tmp_path / "killed"
    path.parent.mkdir()
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
    for n in range(COUNT):
        db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 100))
    shutil.copytree(path.parent, copy)
    db.close()
    assert (copy / "counts.db-wal").stat().st_size > COUNT * 4096
    return copy / "counts.db"


def wal(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def rows(path: Path, folder: Path) -> int:
    """How many rows SQLite reads from a copy of `path` and its log; -1: it cannot."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(path.parent, folder)
    db = sqlite3.connect(folder / path.name)
    try:
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])
    except sqlite3.DatabaseError:
        return -1
    finally:
        db.close()


def test_a_whole_log_has_lost_nothing(killed: Path) -> None:
    state = wal_check.check(wal(killed))
    assert state.lost == 0
    assert state.replayed >= COUNT


def test_no_log_holds_nothing(tmp_path: Path) -> None:
    assert wal_check.check(tmp_path / "counts.db-wal") == EMPTY
    (tmp_path / "counts.db-wal").write_bytes(b"")
    assert wal_check.check(tmp_path / "counts.db-wal") == EMPTY
    (tmp_path / "counts.db-wal").write_bytes(b"\x37\x7f\x06\x82")
    assert wal_check.check(tmp_path / "counts.db-wal") == EMPTY


def test_what_sqlite_drops_silently_is_counted(killed: Path, tmp_path: Path) -> None:
    """One flipped bit anywhere: what SQLite loses is lost here too, but for the last transaction,
    which a power cut may have torn.
    """
    whole = wal(killed).read_bytes()
    rng = random.Random(3)
    silent = noticed = 0
    for _ in range(120):
        at = rng.randrange(len(whole))
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.randrange(8)
        wal(killed).write_bytes(flipped)
        left = rows(killed, tmp_path / "copy")
        lost = wal_check.check(wal(killed)).lost
        if left in (COUNT, -1):
            continue
        missing = COUNT - left
        assert lost >= missing - 1, f"byte {at}: SQLite has lost {missing}, found {lost}"
        silent += lost == 0
        noticed += lost > 0
    assert noticed > 80
    assert silent <= 6  # flips in the last transaction alone


@pytest.mark.parametrize("cut", [1, 100, 4096, 5000, 3 * 4120 + 7])
def test_a_torn_end_is_no_loss(killed: Path, cut: int) -> None:
    """What a power cut leaves: the log is shorter, and nothing is behind the tear."""
    whole = wal(killed).read_bytes()
    wal(killed).write_bytes(whole[:-cut])
    assert wal_check.check(wal(killed)).lost == 0


def test_a_last_transaction_whose_frames_came_out_of_order_is_no_loss(killed: Path) -> None:
    """Its last frame reached the disk and the one before did not: it was never durable."""
    whole = bytearray(wal(killed).read_bytes())
    frame_len = FRAME_HEADER_LEN + 4096
    last = HEADER_LEN + (len(whole) - HEADER_LEN) // frame_len * frame_len - frame_len
    whole[last - frame_len : last] = bytes(frame_len)
    wal(killed).write_bytes(whole)
    assert wal_check.check(wal(killed)).lost == 0


def test_frames_of_an_older_log_count_nothing(tmp_path: Path) -> None:
    """A log that was checkpointed is written from its beginning again, over older frames."""
    path = tmp_path / "counts.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
    for n in range(COUNT):
        db.execute("INSERT INTO t VALUES (?, ?)", (n, "x" * 100))
    db.execute("PRAGMA wal_checkpoint(RESTART)")
    db.execute("INSERT INTO t VALUES (?, ?)", (COUNT, "y"))
    log = wal(path).read_bytes()
    db.close()
    copy = tmp_path / "copy-wal"
    copy.write_bytes(log)
    state = wal_check.check(copy)
    assert state.lost == 0
    assert state.replayed == 1
