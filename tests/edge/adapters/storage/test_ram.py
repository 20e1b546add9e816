"""The file in RAM: kept over a restart of the program, gone with the power, never on a disk."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.adapters.storage import ram
from edge.adapters.storage.ram import ProcessMemory, RamFile, file_system
from edge.parts import StoreLost
from tests import ROOT

DISK = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/mmcblk0p2 rw\n"
RUN = "25 22 0:21 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=812000k,mode=755\n"


class Computer:
    """What Linux says of one computer, as files that a test may change."""

    def __init__(self, folder: Path) -> None:
        self.runtime = folder / "run"
        self.runtime.mkdir()
        self.boot_id, self.mounts = folder / "boot_id", folder / "mountinfo"
        self.swaps = folder / "swaps"
        self.boot("6f1c")
        self.mounts.write_text(DISK + f"30 22 0:31 / {folder} rw - tmpfs tmpfs rw\n")
        self.swaps.write_text("Filename\tType\tSize\tUsed\tPriority\n")

    def boot(self, name: str) -> None:
        self.boot_id.write_text(name + "\n")

    def start(self, file: str = ram.PASSED) -> RamFile:
        return RamFile(self.runtime, self.boot_id, self.mounts, self.swaps, file)


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def test_what_was_saved_is_there_for_the_next_program(computer: Computer) -> None:
    first = computer.start()
    assert first.load() is None
    first.save(b"a")
    first.save(b"marks \n\0\xff")
    assert computer.start().load() == b"marks \n\0\xff"


def test_another_boot_has_nothing_of_this_one(computer: Computer) -> None:
    computer.start().save(b"marks")
    computer.boot("77aa")
    assert computer.start().load() is None


def test_only_the_unit_may_read_it_and_only_one_file_is_left(computer: Computer) -> None:
    before = os.umask(0)
    try:
        computer.start().save(b"marks")
    finally:
        os.umask(before)
    (file,) = computer.runtime.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_two_files_do_not_touch_each_other(computer: Computer) -> None:
    passed = computer.start()
    passed.save(b"marks")
    sync = computer.start(ram.SYNC)
    assert sync.load() is None
    sync.save(b"span")
    assert (passed.load(), sync.load()) == (b"marks", b"span")
    (computer.runtime / ".sync.passing").mkdir()
    with pytest.raises(StoreLost, match="a restart of the program will not know the time"):
        sync.save(b"newer")
    passed.save(b"other")
    assert sync.load() == b"span"
    computer.boot("77aa")
    assert computer.start(ram.SYNC).load() is None


def test_a_torn_new_file_changes_nothing(computer: Computer) -> None:
    """The power is not cut here (that forgets all): the program is killed while it writes."""
    memory = computer.start()
    memory.save(b"before")
    (computer.runtime / ".passed.passing").write_bytes(b"6f1c\naf")
    again = computer.start()
    assert again.load() == b"before"
    again.save(b"after")
    assert again.load() == b"after"


def test_a_link_laid_in_its_place_is_not_followed(computer: Computer, tmp_path: Path) -> None:
    kept = tmp_path / "kept-by-somebody"
    kept.write_bytes(b"6f1c\nold marks")
    (computer.runtime / "passed").symlink_to(kept)
    (computer.runtime / ".passed.passing").symlink_to(kept)
    memory = computer.start()
    assert memory.load() is None
    memory.save(b"marks")
    assert kept.read_bytes() == b"6f1c\nold marks"
    assert memory.load() == b"marks"


def test_a_file_without_end_is_not_read(computer: Computer) -> None:
    computer.start().save(b"0" * ram.LEN_MAX)
    assert computer.start().load() is None


def test_a_folder_on_a_disk_is_refused(computer: Computer) -> None:
    computer.mounts.write_text(DISK)
    with pytest.raises(StoreLost, match=r"is on ext4, which would keep who passed.*in RAM"):
        computer.start()


def test_no_folder_is_one_sentence(computer: Computer) -> None:
    computer.runtime.rmdir()
    with pytest.raises(StoreLost, match=r"No such file.*start the unit as the service"):
        computer.start()
    computer.runtime.write_text("")
    with pytest.raises(StoreLost, match="it is no folder"):
        computer.start()


def test_what_cannot_be_written_is_told_and_nothing_is_lost(computer: Computer) -> None:
    memory = computer.start()
    memory.save(b"before")
    (computer.runtime / ".passed.passing").mkdir()
    with pytest.raises(StoreLost, match="could not be remembered, so nobody passes"):
        memory.save(b"after")
    assert memory.load() == b"before"


def test_swap_on_a_disk_is_told(computer: Computer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        computer.swaps.write_text("Filename\n/dev/zram0 partition 1 0 100\n")
        computer.start()
        assert not caplog.records
        computer.swaps.write_text("Filename\n/var/swap file 102396 0 -2\n")
        computer.start()
    assert "swaps to /var/swap" in caplog.text


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        (DISK, "ext4"),
        (DISK + RUN, "ext4"),  # /run is beside it
        (DISK + "30 22 0:31 / {folder} rw - tmpfs tmpfs rw\n", "tmpfs"),
        (DISK + "30 22 0:31 / {folder} rw shared:9 master:1 - tmpfs tmpfs rw\n", "tmpfs"),
        # a disk that was mounted over it afterwards
        (
            DISK + "30 22 0:31 / {folder} rw - tmpfs t rw\n31 30 8:2 / {folder} rw - ext4 d rw\n",
            "ext4",
        ),
        (DISK + "30 22 0:31 / {folder}2 rw - tmpfs tmpfs rw\n", "ext4"),  # a namesake
        ("", "an unknown file system"),
        ("nonsense\n - \n", "an unknown file system"),
    ],
)
def test_the_mount_that_a_folder_is_on(tmp_path: Path, mounts: str, kind: str) -> None:
    folder = tmp_path / "with a space"
    folder.mkdir()
    named = str(folder).replace(" ", "\\040")
    assert file_system(folder, mounts.replace("{folder}", named)) == kind


def test_a_link_into_a_disk_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "ram").mkdir()
    (tmp_path / "ram" / "menshen").symlink_to(tmp_path / "disk")
    mounts = DISK + f"30 22 0:31 / {tmp_path / 'ram'} rw - tmpfs tmpfs rw\n"
    assert file_system(tmp_path / "ram" / "menshen", mounts) == "ext4"


@pytest.mark.system
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this computer has no /dev/shm")
def test_a_real_folder_in_ram_over_two_programs() -> None:
    """Linux's own mounts and boot; another process reads what this one wrote."""
    folder = Path("/dev/shm") / f"menshen-test-{os.getpid()}"
    folder.mkdir(mode=0o700)
    try:
        RamFile(folder).save(b"marks")
        program = (
            "import sys, json; from pathlib import Path\n"
            "from edge.adapters.storage.ram import RamFile\n"
            "print(json.dumps(RamFile(Path(sys.argv[1])).load().decode()))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, check=True
        )
        assert json.loads(ran.stdout) == "marks"
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_process_of_its_own_forgets_with_it() -> None:
    memory = ProcessMemory()
    assert memory.load() is None
    memory.save(b"marks")
    assert memory.load() == b"marks"
    assert ProcessMemory().load() is None


def test_systemd_makes_the_folder_and_keeps_it_over_a_restart() -> None:
    service = (ROOT / "edge" / "menshen-edge.service").read_text()
    assert "\nRuntimeDirectory=menshen\n" in service
    assert "\nRuntimeDirectoryPreserve=restart\n" in service
