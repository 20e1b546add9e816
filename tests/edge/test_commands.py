"""`menshen-edge` as its users run it: what it says, and how it ends when something is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from edge import BUILT_S
from edge.adapters.storage import ram
from edge.wire.code import Code, Colour, encode
from tests.campus import put_frame, symbol
from tests.conftest import CITY, related, write_unit
from tests.keeper import keeper
from tests.runtime import runtime, within

pytestmark = pytest.mark.system  # real processes

NOW_S = BUILT_S + 10**6


def edge(*arguments: object, pins: str = "mock") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"GPIOZERO_PIN_FACTORY": pins},
    )


def one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    *before, line = done.stderr.strip().splitlines()
    assert all(told.startswith("menshen-edge: ") for told in before), "only log lines before it"
    return line


def picture(path: Path, text: str) -> Path:
    Image.fromarray(symbol(text)).save(path)
    return path


def code(colour: Colour = Colour.GREEN, at_s: int = NOW_S, **claims: object) -> str:
    said = Code(colour=colour, sub="AAAAAAAAAAA", iat_s=at_s, exp_s=at_s + 600, **claims)
    return encode(said, CITY)


def test_check_says_what_a_door_would_do(tmp_path: Path) -> None:
    unit = write_unit(tmp_path / "card", NOW_S)
    shown = {
        "green": code(),
        "red": code(Colour.RED),
        "expired": code(at_s=NOW_S - 3600),
        "elsewhere": code(aud=("harbour",)),
        "cut": code()[:-9],
        "poster": "HTTPS://EXAMPLE.ORG",
    }
    paths = [picture(tmp_path / f"{name}.png", text) for name, text in shown.items()]
    done = edge("check", *paths, "--unit", unit, "--at", NOW_S + 60, "--json")
    assert done.returncode == 0, done.stderr
    said = {Path(p["picture"]).stem: p["symbols"][0] for p in json.loads(done.stdout)}
    assert {name: each["opens"] for name, each in said.items()} == {
        "green": True,
        "red": False,
        "expired": False,
        "elsewhere": False,
        "cut": False,
        "poster": False,
    }
    assert said["green"]["people"] == 1
    assert said["red"]["verdict"] == "genuine"
    assert said["expired"]["counted_as"] == "expired"
    assert "refresh" in said["expired"]["signal"]
    assert "other doors" in said["elsewhere"]["reason"]
    assert said["cut"]["verdict"] == "refused"
    assert said["poster"]["verdict"] == "not a door code"
    assert "AAAAAAAAAAA" not in done.stdout, "a day handle was printed"

    words = edge("check", *paths, "--unit", unit, "--at", NOW_S + 60).stdout
    assert "● opens, for genuine: genuine, current and green" in words
    assert "the door ignores it" in words


def test_check_without_a_unit_says_that_nothing_can_open(tmp_path: Path) -> None:
    done = edge("check", picture(tmp_path / "p.png", code()))
    assert done.returncode == 0
    assert "No unit was named" in done.stdout
    assert "this door does not know its issuer" in done.stdout


def test_check_goes_on_after_a_foreign_file(tmp_path: Path) -> None:
    unit = write_unit(tmp_path / "card", NOW_S)
    good = picture(tmp_path / "good.png", code())
    done = edge("check", unit, good, "--unit", unit, "--at", str(NOW_S))
    assert done.returncode == 2
    assert "is not a picture" in done.stdout
    assert "opens" in done.stdout


@pytest.mark.parametrize("at", ["nan", "inf", "-1", "1e99"])
def test_a_time_that_is_none_is_one_sentence(at: str, tmp_path: Path) -> None:
    assert "is not between 1970 and 2106" in one_sentence(edge("check", tmp_path, f"--at={at}"))


def test_a_name_with_markup_is_printed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a[").mkdir()
    shown = [picture(tmp_path / name, code()) for name in ("a[/red].png", "[bold].png")]
    done = edge("check", *shown, tmp_path / "[none].png")
    assert done.returncode == 2
    assert not done.stderr
    for name in ("a[/red].png", "[bold].png", "[none].png"):
        assert name in done.stdout


def test_check_before_the_build_is_unsure(tmp_path: Path) -> None:
    unit = write_unit(tmp_path / "card", NOW_S)
    shown = picture(tmp_path / "p.png", code())
    done = edge("check", shown, "--unit", unit, "--at", "2001-01-01", "--json")
    (said,) = json.loads(done.stdout)[0]["symbols"]
    assert (said["verdict"], said["counted_as"]) == ("unsure", "unsure-time")


def test_a_door_opens_by_its_own_command(tmp_path: Path) -> None:
    """`run` on mock pins: a green code before the camera opens, once, and is counted."""
    now_s = int(time.time())
    unit = related(write_unit(tmp_path, now_s), now_s)
    picture(tmp_path / "frames" / "1.png", code(at_s=int(time.time())))
    (tmp_path / "frames" / "1.png").rename(tmp_path / "1.png")
    with runtime() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge", "run", str(unit), "--show", "--seconds", "6"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock", "RUNTIME_DIRECTORY": str(folder)},
        )
        time.sleep(2)
        for number in range(20):
            frame = tmp_path / "frames" / f"{number:03d}.png"
            frame.write_bytes((tmp_path / "1.png").read_bytes())
            time.sleep(0.05)
        said, _ = process.communicate(timeout=30)
    assert said.splitlines() == ["green: opens, genuine, current and green"]


def test_no_process_of_a_unit_leaves_a_core(tmp_path: Path) -> None:
    """Not even where this computer would keep them: they would hold frames."""
    unit = write_unit(tmp_path, int(time.time()))
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'ulimit -c unlimited; exec "$0" -m edge run "$1"', sys.executable, unit],
        env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock"},
    )
    try:
        tasks, children = Path(f"/proc/{process.pid}/task"), list[str]()
        end_s = time.monotonic() + 20
        while not children:
            assert time.monotonic() < end_s, "the decoder was not started"
            time.sleep(0.05)
            children = [c for t in tasks.iterdir() for c in (t / "children").read_text().split()]
        limits = [Path(f"/proc/{pid}/limits").read_text() for pid in (process.pid, children[0])]
    finally:
        process.kill()
        process.wait()
    for said in limits:
        assert re.search(r"^Max core file size +0 +0 ", said, re.MULTILINE)


def test_a_killed_door_knows_who_has_passed_and_after_a_power_cut_that_it_does_not(
    tmp_path: Path,
) -> None:
    """The same code before three programs; before the third the RAM is new."""
    now_s = int(time.time())
    unit = related(write_unit(tmp_path, now_s), now_s)
    said = []
    with runtime() as folder:
        for cut in (False, False, True):
            if cut:
                (folder / ram.PASSED).unlink()
            process = subprocess.Popen(
                [sys.executable, "-m", "edge", "run", str(unit), "--show"],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock", "RUNTIME_DIRECTORY": str(folder)},
            )
            assert process.stdout
            showing = threading.Thread(target=keep_showing, args=(tmp_path, process, now_s))
            showing.start()
            said.append(process.stdout.readline().split(":")[0])
            process.kill()
            process.wait(10)
            showing.join()
    assert said == ["green", "used", "unsure-start"]


def keep_showing(folder: Path, process: subprocess.Popen[str], issued_s: int) -> None:
    for number in range(1, 1000):
        put_frame(folder / "frames", number, symbol(code(at_s=issued_s)))
        time.sleep(0.05)
        if process.poll() is not None:
            return


def test_a_door_that_can_never_know_the_time_says_so(tmp_path: Path) -> None:
    unit = write_unit(tmp_path, int(time.time()))
    picture(tmp_path / "frames" / "1.png", code(at_s=int(time.time())))
    done = edge("run", unit, "--show", "--seconds", "3")
    assert done.returncode == 0
    assert "fit an RTC" in done.stderr
    assert done.stdout.startswith("unsure-time: stays shut")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_in_mid_pulse_brings_all_to_rest(number: int, tmp_path: Path) -> None:
    now_s = int(time.time())
    pins = {"green": 23, "red": 24, "buzzer": 25, "relay": 17}
    door = {"kind": "direct", "unlock_ms": 5000, "pins": pins}
    unit = related(write_unit(tmp_path, now_s, door=door), now_s)
    with keeper(tmp_path / "pins", tmp_path / "ledger") as link, runtime() as folder:
        command = [sys.executable, "-m", "tests.keeper.door", str(tmp_path / "pins"), "--"]
        command = [*within(folder), *command, "run", str(unit)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + 20
        for number_of in range(1, 400):
            put_frame(tmp_path / "frames", number_of, symbol(code(at_s=now_s)))
            if link.state().relay_closed or time.monotonic() > until_s:
                break
            time.sleep(0.05)
        assert link.state().relay_closed
        process.send_signal(number)
        assert process.wait(10) == 0
        assert not any(link.state().levels.values())
        assert not link.state().relay_closed


def test_no_pins_no_camera_no_trust_are_one_sentence_each(tmp_path: Path) -> None:
    """The unit starts without them, and its log says what is lost and what to do."""

    def log(unit: Path, pins: str = "mock") -> str:
        done = edge("run", unit, "--seconds", "3", pins=pins)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr

    now_s = int(time.time())
    unit = write_unit(tmp_path / "a", now_s)
    assert "run on a Raspberry Pi" in log(unit, pins="native")
    nowhere = {"kind": "pictures", "source": "none"}
    unit = related(write_unit(tmp_path / "b", now_s, camera=nowhere), now_s)
    assert "picture folder" in log(unit)
    unit = related(write_unit(tmp_path / "c", now_s, camera={"kind": "picamera"}), now_s)
    assert "camera" in log(unit)
    unit = write_unit(tmp_path / "d", now_s)
    (tmp_path / "d" / "trust" / "metadata" / "timestamp.json").write_bytes(b"{}")
    assert "cannot be trusted" in log(unit)
    (tmp_path / "d" / "trust" / "root.json").unlink()
    assert "copy the folder again from the card" in log(unit)


def test_damaged_counts_are_set_aside_and_the_door_serves(tmp_path: Path) -> None:
    unit = related(write_unit(tmp_path, int(time.time())), int(time.time()))
    (tmp_path / "state" / "counts.db").write_bytes(b"x" * 5000)
    done = edge("run", unit, "--seconds", "1")
    assert done.returncode == 0, done.stderr
    assert "the counts were damaged" in done.stderr
    assert "nobody knows how many decisions are missing" in done.stderr
    assert [p for p in (tmp_path / "state").glob("counts.db.damaged-*") if p.stat().st_size == 5000]


def test_a_full_disk_at_the_start_is_one_sentence(tmp_path: Path) -> None:
    unit = write_unit(tmp_path, int(time.time()))
    command = f"ulimit -f 0; exec {sys.executable} -m edge run {unit} --seconds 3"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "full or failing" in done.stderr


def test_a_wrong_configuration_is_one_sentence(tmp_path: Path) -> None:
    pins = {"green": 23, "red": 24, "buzzer": 25, "relay": 23}
    unit = write_unit(tmp_path / "a", NOW_S, door={"kind": "direct", "pins": pins})
    assert "pin 23 is used twice" in one_sentence(edge("run", unit))
    unit = write_unit(tmp_path / "b", NOW_S, unlok_ms=3)
    assert "unlok_ms" in one_sentence(edge("run", unit))
    (tmp_path / "b" / "unit.toml").write_text("name = ")
    assert "not a unit's configuration" in one_sentence(edge("run", unit))
    for deep in ("x = " + "[" * 5000, "x" + ".a" * 4000 + " = 1", "door = " + "{a=" * 5000):
        (tmp_path / "b" / "unit.toml").write_text(deep)
        assert "nested deeper than 32 levels (line 1, " in one_sentence(edge("run", unit))
    assert "cannot be read" in one_sentence(edge("run", tmp_path / "none.toml"))
    unit = write_unit(tmp_path / "c", NOW_S)
    assert "is not a time" in one_sentence(edge("check", unit, "--at", "noon"))


def test_unusable_certificates_are_one_sentence(tmp_path: Path) -> None:
    broker = {
        "host": "localhost",
        "ca": "ca.pem",
        "certificate": "unit.pem",
        "key": "unit.key",
        "collector_key": "A" * 43 + "=",
        "time_key": "A" * 43 + "=",
    }
    unit = write_unit(tmp_path, int(time.time()), broker=broker)
    assert "certificates of this unit cannot be used" in one_sentence(edge("run", unit))


@pytest.mark.parametrize("command", [(), ("run",), ("check",)])
def test_help_explains_itself(command: tuple[str, ...]) -> None:
    done = edge(*command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 8


def test_check_says_what_looks_like_a_symbol_and_cannot_be_read(tmp_path: Path) -> None:
    whole = picture(tmp_path / "whole.png", code())
    with Image.open(whole) as opened:
        torn = opened.convert("L")
    side = torn.width
    torn.paste(255, (side // 3, side // 3, side * 2 // 3, side * 2 // 3))
    torn.save(tmp_path / "torn.png")
    assert "cannot be read" in edge("check", tmp_path / "torn.png").stdout
    (said,) = json.loads(edge("check", tmp_path / "torn.png", "--json").stdout)
    assert said["symbols"] == []
    assert said["unread"]
    assert "cannot be read" not in edge("check", whole).stdout
