"""The clock's two slots: whatever a power cut leaves, the newest whole one is found."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.adapters.storage import clock_slots
from edge.adapters.storage.clock_slots import NAMES, SLOT_LEN, Slots, SlotsLost
from edge.clock.time_interval import Relation, StoredClock

FIRST = StoredClock(1_796_000_000, 300, None)
SECOND = StoredClock(1_796_000_300, 600, Relation(1000, -5_000_123, 601, 1300))
THIRD = replace(SECOND, floor_s=1_796_000_600, powered_s=900)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    assert Slots(tmp_path).load() == StoredClock()
    kept = Slots(tmp_path)
    for each in (FIRST, SECOND, THIRD):
        kept.save(each)
        assert Slots(tmp_path).load() == each
    assert {path.name for path in tmp_path.iterdir()} == set(NAMES)
    assert all(path.stat().st_size == SLOT_LEN for path in tmp_path.iterdir())
    assert not Slots(tmp_path).torn


def test_writes_alternate_also_over_restarts(tmp_path: Path) -> None:
    before: dict[str, bytes] = {}
    for number in range(6):
        Slots(tmp_path).save(replace(FIRST, powered_s=number))
        now = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        changed = {name for name in now if now[name] != before.get(name)}
        assert changed == {NAMES[number % 2]}
        before = now


def test_a_write_cut_off_at_any_byte_leaves_the_one_before(tmp_path: Path) -> None:
    """The third write goes over the first: of it only the beginning reached the disk."""
    writing = Slots(tmp_path)
    writing.save(FIRST)
    writing.save(SECOND)
    path = tmp_path / NAMES[0]
    old = path.read_bytes()
    writing.save(THIRD)
    new = path.read_bytes()
    for at in range(SLOT_LEN + 1):
        for content in (new[:at] + old[at:], new[:at], new[:at] + bytes(SLOT_LEN - at)):
            path.write_bytes(content)
            # Whole is whole: from some byte on only blanks are missing.
            expected = THIRD if content == new else SECOND
            assert Slots(tmp_path).load() == expected, at


def test_the_first_write_of_all_cut_off_leaves_nothing_known(tmp_path: Path) -> None:
    Slots(tmp_path).save(FIRST)
    path = tmp_path / NAMES[0]
    new = path.read_bytes()
    for at in range(SLOT_LEN):
        path.write_bytes(new[:at])
        found = Slots(tmp_path)
        assert found.load() == StoredClock()
        assert found.torn == [str(path)]
        found.save(SECOND)
        assert Slots(tmp_path).load() == SECOND
        (tmp_path / NAMES[1]).unlink(missing_ok=True)


@given(st.integers(0, SLOT_LEN - 1), st.integers(1, 255))
def test_a_flipped_byte_is_found(at: int, flip: int) -> None:
    data = bytearray(clock_slots._encode(clock_slots._Slot(7, 1_796_000_000, 300, None)))
    data[at] ^= flip
    read = clock_slots._decode(bytes(data))
    # Only among the blanks behind the JSON may a byte differ and the slot be whole.
    assert read is None or read == clock_slots._Slot(7, 1_796_000_000, 300, None)


@pytest.mark.parametrize("content", [b"", b"x", b"{}", b"\0" * SLOT_LEN, b"\xff" * 5000], ids=len)
def test_what_is_no_slot_is_told_and_written_over(tmp_path: Path, content: bytes) -> None:
    for name in NAMES:
        (tmp_path / name).write_bytes(content)
    found = Slots(tmp_path)
    assert found.load() == StoredClock()
    assert len(found.torn) == 2
    found.save(FIRST)
    found.save(SECOND)
    assert Slots(tmp_path).load() == SECOND
    assert not Slots(tmp_path).torn


def test_a_slot_of_another_form_with_a_right_checksum_is_wrong(tmp_path: Path) -> None:
    Slots(tmp_path).save(FIRST)
    for data in (b'{"number":9}', b'{"number":9,"floor_s":-1,"powered_s":0,"relation":null}'):
        line = clock_slots._checksum(data) + b" " + data.ljust(SLOT_LEN - 18) + b"\n"
        (tmp_path / NAMES[1]).write_bytes(line)
        assert Slots(tmp_path).load() == FIRST


@pytest.mark.system
def test_a_disk_that_fails_is_told_and_the_newer_slot_stays(tmp_path: Path) -> None:
    """A file-size limit of nothing stands for a full disk."""
    Slots(tmp_path).save(FIRST)
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "know less of the time" in said.stdout, said.stderr
    assert Slots(tmp_path).load() == FIRST


FULL = """
import resource, signal, sys
from pathlib import Path
from edge.adapters.storage.clock_slots import Slots, SlotsLost
from edge.clock.time_interval import StoredClock
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    Slots(Path(sys.argv[1])).save(StoredClock(1, 2, None))
except SlotsLost as error:
    print(error)
"""


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    kept = Slots(tmp_path / "none")
    assert kept.load() == StoredClock()
    with pytest.raises(SlotsLost, match="cannot be written"):
        kept.save(FIRST)


def test_each_write_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(handle) or real(handle))
    kept = Slots(tmp_path)
    kept.save(FIRST)
    assert len(synced) == 2  # the file and its name
    kept.save(SECOND)
    kept.save(THIRD)
    assert len(synced) == 5  # its name is there already
