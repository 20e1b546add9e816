"""`menshen-edge look` as an installer runs it: what it prints, how it ends, what stops it."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from edge import BUILT_S
from edge.adapters import systemd
from tests import scenes
from tests.conftest import write_unit
from tests.looking import PLAIN, TEXT, rng

pytestmark = pytest.mark.system  # real processes


@pytest.fixture
def card(tmp_path: Path) -> Path:
    unit = write_unit(tmp_path / "card", BUILT_S + 10**6)
    Image.fromarray(scenes.still(TEXT, rng(1), PLAIN)).save(tmp_path / "card/frames/1.png")
    return unit


def look(*arguments: object, path: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", "look", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PATH": path or os.environ["PATH"], "LANG": "C.UTF-8"},
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("menshen-edge: ")
    return line


def test_machines_get_one_document_a_second_and_then_it_ends(card: Path) -> None:
    done = look(card, "--json", "--seconds", "2.5")
    assert (done.returncode, done.stderr) == (0, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert 2 <= len(told) <= 3
    assert [r["kind"] for r in told[0]["regions"]] == ["door"]
    assert told[0]["regions"][0]["modules"] == 49
    assert told[0]["advice"][0]["text"] == "Ready: a code of this size is read well."
    assert TEXT[4:12] not in done.stdout


def test_without_a_terminal_it_is_a_line_a_second(card: Path) -> None:
    done = look(card, "--seconds", "1")
    assert done.returncode == 0
    assert "door code, read: 5.2 px a module" in done.stdout
    assert "\x1b" not in done.stdout


def test_in_a_terminal_nothing_stays_on_the_screen(card: Path) -> None:
    """The alternate screen is left again, also when it is stopped by Ctrl-C."""
    terminal, theirs = pty.openpty()
    started = subprocess.Popen(
        [sys.executable, "-m", "edge", "look", str(card)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "LANG": "C"},
    )
    os.close(theirs)
    shown = read(terminal, b"Ready: a code")
    started.send_signal(signal.SIGINT)
    shown += read(terminal)
    os.close(terminal)
    assert started.wait(10) == 0
    assert shown.count(b"\x1b[?1049h") == shown.count(b"\x1b[?1049l") == 1
    picture, _, after = shown.partition(b"\x1b[?1049l")
    assert "▀".encode() in picture
    assert "▀".encode() not in after


def read(terminal: int, until: bytes | None = None) -> bytes:
    """What is shown until `until` was, or the program has ended."""
    shown, last_s = b"", time.monotonic() + 30
    while (until is None or until not in shown) and time.monotonic() < last_s:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
    return shown


def test_it_writes_no_file(card: Path) -> None:
    before = files(card.parent)
    assert look(card, "--seconds", "1", "--page", "0").returncode == 0
    assert files(card.parent) == before


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_link_of_a_page_is_told(card: Path) -> None:
    done = look(card, "--json", "--seconds", "1", "--page", "0.0.0.0:0")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("page: http://")
    assert "/?token=" in line


@pytest.mark.parametrize("said", ["x", "80:", ":x", "127.0.0.1:99999", "-1", "٨٠"])
def test_a_page_that_is_no_address_is_one_sentence(card: Path, said: str) -> None:
    assert "is not [HOST:]PORT; write 8000" in one_sentence(look(card, f"--page={said}"))


def test_bad_input_is_one_sentence(card: Path, tmp_path: Path) -> None:
    assert "name the unit.toml" in one_sentence(look(tmp_path / "none.toml"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_sentence(look(card, "--page", port))
        assert f"port {port} (Address already in use); name another" in said
    (card.parent / "frames/1.png").unlink()
    (card.parent / "frames").rmdir()
    assert "cannot be read" in one_sentence(look(card))


def test_an_imager_has_no_picture(tmp_path: Path) -> None:
    unit = write_unit(
        tmp_path / "card",
        BUILT_S + 10**6,
        camera={"kind": "imager", "source": str(tmp_path / "ttyACM0")},
    )
    assert "aim it by its own light" in one_sentence(look(unit))


def test_it_leaves_the_camera_to_the_units_service(card: Path, tmp_path: Path) -> None:
    said = one_sentence(
        look(card, path=f"{systemctl(tmp_path, 'activating')}:{os.environ['PATH']}")
    )
    assert "the camera is busy" in said
    assert "systemctl stop menshen-edge.service" in said


@pytest.mark.parametrize(
    ("state", "runs"),
    [("active", True), ("activating", True), ("inactive", False), ("failed", False), ("", False)],
)
def test_what_systemd_says_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, runs: bool
) -> None:
    monkeypatch.setenv("PATH", f"{systemctl(tmp_path, state)}:{os.environ['PATH']}")
    assert systemd.running() is runs
    monkeypatch.setenv("PATH", str(tmp_path))
    assert systemd.running() is False


def systemctl(folder: Path, state: str) -> Path:
    """A folder with a systemctl that says `state` of the unit's service."""
    (folder / "bin").mkdir()
    script = folder / "bin" / "systemctl"
    script.write_text(
        f'#!/bin/sh\ntest "$*" = "is-active {systemd.SERVICE}" && echo "{state}"\n'
        f'test "{state}" = active || exit 3\n'
    )
    script.chmod(0o755)
    return script.parent
