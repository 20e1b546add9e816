"""The Debian 13 in a folder: what runs in it, and what it leaves behind."""

from pathlib import Path

import pytest

from tests.hardware import trixie

pytestmark = pytest.mark.hardware


def test_it_is_debian_13_and_sees_a_folder_of_the_host(tmp_path: Path) -> None:
    trixie.has("micropython")
    (tmp_path / "here").write_text("from the host")
    ran = trixie.run(
        "sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME; id -u; cat /run/menshen-bound/here",
        binds={tmp_path: "/run/menshen-bound"},
    )  # fmt: skip
    assert ran.stdout.splitlines() == ["trixie", "0", "from the host"], ran.stderr


def test_nothing_stays_mounted_and_nothing_of_the_caller_comes_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trixie.has("micropython")
    monkeypatch.setenv("MENSHEN_SECRET", "of the caller")
    ran = trixie.run("env", binds={tmp_path: "/run/menshen-bound"})
    assert ran.returncode == 0, ran.stderr
    assert "of the caller" not in ran.stdout
    assert str(trixie.FOLDER) not in Path("/proc/mounts").read_text()


def test_a_command_that_fails_says_so() -> None:
    trixie.has("micropython")
    assert trixie.run("sh", "-c", "exit 7").returncode == 7
