"""Each form of `make demo` that README.md names, and doors that are wrong."""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.campus import symbol
from tests.demo.__main__ import PATIENCE_S
from tests.demo.people import unlock

pytestmark = [pytest.mark.system, pytest.mark.timeout(4 * PATIENCE_S)]

HOUSE = Path(__file__).parents[2]
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
ENV |= {"COLUMNS": "200"}
CODE = "DC1:NOBODY SIGNED THIS"


def make_demo(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "demo", *words], cwd=HOUSE, env=ENV, capture_output=True, text=True, check=False
    )


def sentence(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence of a run that was refused before anything was started."""
    assert done.returncode == 2, done
    line, from_make = done.stderr.strip().splitlines()
    assert from_make.startswith("make: ***")
    assert "ready" not in done.stdout
    assert "page" not in done.stdout
    return line


def test_readme_names_no_other_forms() -> None:
    readme = (HOUSE / "README.md").read_text()
    forms = set(re.findall(r"make demo(?: [A-Z]+=[^\s`]+)?", readme))
    assert forms == {
        "make demo",
        "make demo SECONDS=20",
        "make demo CAMERA=photos/",
        "make demo CAMERA=/dev/video0",
    }


def test_twenty_seconds_end_by_themselves_and_the_doors_follow_the_news() -> None:
    done = make_demo("SECONDS=20")
    assert done.returncode == 0, done
    assert "WRONG" not in done.stdout
    for door, how in (("north", "broker"), ("south", "broker"), ("island", "stick")):
        assert f"{door}: the news came by {how} after " in done.stdout
    answers = done.stdout.partition("what the doors answered")[2]
    for kind, category in (("taken back", "revoked"), ("of acme", "not-now")):
        found = re.search(rf"^{kind} .*{category} (\d+)", answers, re.MULTILINE)
        assert found, answers
        assert int(found[1]) >= 3, "each door has answered one"


def test_without_seconds_it_runs_until_ctrl_c() -> None:
    with running() as (demo, lines):
        wait_for(lines, "company acme is suspended", demo)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(PATIENCE_S) == 0, lines
    assert any("read from the disks" in line for line in lines)


def test_a_wrong_door_is_named_whatever_is_wrong_with_it() -> None:
    """`tests/demo/broken.py` says what each door does."""
    program = (
        "import sys; from rich.console import Console; from tests.demo.__main__ import with_street;"
        "sys.exit(not with_street(1, Console(), 1, 'tests.demo.broken'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=HOUSE,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    wrong = [line for line in done.stdout.splitlines() if "WRONG" in line]
    assert "north: WRONG: it answered 'green' to 'taken back'; revoked is right" in wrong
    assert any(re.match(r"south: WRONG: it answered (\d+) times and counted ", w) for w in wrong)
    assert any(re.match(r"island: WRONG: it counted \d+, and ", w) for w in wrong)
    assert not any("north: WRONG: it counted" in w or "'not-now'" in w for w in wrong)


def test_a_folder_of_pictures_is_judged_picture_by_picture(tmp_path: Path) -> None:
    photos = tmp_path / "my photos"
    photos.mkdir()
    for name, text in (("a-code", CODE), ("b-again", CODE), ("c-poster", "HTTPS://EXAMPLE.ORG")):
        Image.fromarray(symbol(text)).save(photos / f"{name}.png")
    Image.fromarray(np.full((480, 640), 90, np.uint8)).save(photos / "d-nothing.jpg")
    done = make_demo(f"CAMERA={photos}/")
    assert done.returncode == 0, done
    assert "WRONG" not in done.stdout
    rows = done.stdout.partition("what the door says")[2].splitlines()
    answers = dict(row.split(maxsplit=1) for row in rows[2:] if row)
    assert answers["a-code.png"].startswith("not-genuine: stays shut, it is damaged or not a door")
    # A machine that takes seconds between two looks lets the first leave the door's view.
    again = ("nothing more: it answers a code once", answers["a-code.png"])
    assert answers["b-again.png"].startswith(again)
    assert answers["c-poster.png"].strip() == "nothing: a QR symbol that is no door code"
    assert answers["d-nothing.jpg"].startswith("nothing: no QR symbol could be read")


@pytest.mark.parametrize("seconds", ["-5", "0", "ten", "nan", "1e999", "-5x", "5 6"])
def test_seconds_that_are_none_are_refused_in_one_sentence(seconds: str) -> None:
    refused = f"SECONDS={seconds} is not a number of seconds above 0; write for example SECONDS=20"
    assert sentence(make_demo(f"SECONDS={seconds}")).startswith(refused)


def test_a_camera_that_is_not_there_is_one_sentence() -> None:
    refused = sentence(make_demo("CAMERA=/dev/video63"))
    assert refused.startswith("there is no camera /dev/video63: plug one in")


def test_pictures_that_are_none_are_one_sentence(tmp_path: Path) -> None:
    assert sentence(make_demo(f"CAMERA={tmp_path}")).startswith(f"{tmp_path} holds no picture;")
    (tmp_path / "torn.png").write_text("no picture")
    assert "torn.png is not a picture" in sentence(make_demo(f"CAMERA={tmp_path}"))


@contextmanager
def running(*words: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command that `make demo` runs, without make, which Ctrl-C would end first; its lines."""
    recipe = subprocess.run(
        ["make", "--dry-run", "demo", *words],
        cwd=HOUSE,
        env=ENV,
        capture_output=True,
        text=True,
        check=True,
    )
    command = shlex.split(recipe.stdout.splitlines()[-1])
    demo = subprocess.Popen(
        command,
        cwd=HOUSE,
        env=ENV | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []

    def read() -> None:
        assert demo.stdout
        lines.extend(line.rstrip() for line in demo.stdout)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield demo, lines
    finally:
        demo.terminate()
        demo.wait(PATIENCE_S)
        reader.join()


def wait_for(lines: list[str], words: str, demo: subprocess.Popen[str]) -> str:
    """The first line with `words`; a demo that ends before fails the test."""
    while True:
        ended = demo.poll() is not None
        if line := next((line for line in lines if words in line), None):
            return line
        assert not ended, lines
        time.sleep(0.05)


class UsbCamera:
    """What a stand-in camera (`tests/demo/usb`) sees, fifteen times a second."""

    def __init__(self, folder: Path) -> None:
        self.device = folder / "video0"
        os.mkfifo(self.device)
        self._frame = folder / "frame.luma"
        self.see(symbol("HTTPS://EXAMPLE.ORG"))

    def see(self, picture: npt.NDArray[np.uint8]) -> None:
        luma = np.full((720, 1280), 200, np.uint8)
        height, width = picture.shape
        top, left = (720 - height) // 2, (1280 - width) // 2
        luma[top : top + height, left : left + width] = picture
        passing = self._frame.with_suffix(".next")
        passing.write_bytes(luma.tobytes())
        passing.rename(self._frame)

    @contextmanager
    def plugged_in(self) -> Iterator[None]:
        unplugged = threading.Event()
        end = os.open(self.device, os.O_RDWR | os.O_NONBLOCK)

        def give() -> None:
            while not unplugged.wait(1 / 15):
                with suppress(BlockingIOError):  # nobody takes them
                    os.write(end, b"f")

        giver = threading.Thread(target=give)
        giver.start()
        try:
            yield
        finally:
            unplugged.set()
            giver.join()
            os.close(end)


def test_a_webcam_sees_a_phone_that_the_demo_has_unlocked() -> None:
    """The camera is a stand-in at linuxpy's surface; the phone asks the issuer that is printed."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        camera = UsbCamera(Path(folder))
        with (
            camera.plugged_in(),
            running(
                f"CAMERA={camera.device}", PYTHONPATH=str(HOUSE / "tests" / "demo" / "usb")
            ) as (demo, lines),
        ):
            url = wait_for(lines, "/#", demo).partition("http://")[2]
            wait_for(lines, "connected to the broker", demo)
            address, secret = url.split("/#")
            wallet = f"http://127.0.0.1:{address.rpartition(':')[2]}/"
            (phone,) = unlock(wallet, [secret])
            camera.see(symbol(phone.code()))
            wait_for(lines, "opens, genuine, current and green", demo)
            camera.see(symbol(phone.code()[:-9]))
            wait_for(lines, "stays shut, it is damaged or not a door code", demo)
            demo.send_signal(signal.SIGINT)
            assert demo.wait(PATIENCE_S) == 0, lines
    assert not any("WRONG" in line for line in lines)
    (row,) = (line for line in lines if "│ north" in line)
    _, answered, _, decided, *_ = (cell.strip() for cell in row.strip("│").split("│"))
    assert int(answered) == int(decided) >= 2
