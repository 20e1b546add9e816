"""Barcode imagers: the framing of each make, and a port that comes and goes, over a pty."""

import errno
import logging
import os
import pty
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import msgspec
import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from edge.adapters.camera import imager
from edge.adapters.camera.imager import SHOWN_MAX, Imager, _sentence
from edge.adapters.camera.imager_framing import SILENT_S, Framing
from edge.parts import CameraLost
from edge.sight.frame import Sighting
from edge.wire import unit
from edge.wire.code import TEXT_LEN_MAX, Code, Colour, encode
from edge.wire.unit import CameraConfig
from tests.conftest import CITY, related, write_unit
from tests.edge.wire.test_unit_config import PINS, wanted, write
from tests.runtime import runtime

BASE45 = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
CODE = b"DC1:" + BASE45 + b" 6BF%*A+$. "  # every letter, and blanks at its end
OTHER = b"DC1:SOMEBODY ELSE"

SENT = {  # as it leaves the imager, by make and setting
    "suffix CR (Opticon's default)": CODE + b"\r",
    "suffix LF": CODE + b"\n",
    "suffix CR LF (Datalogic's default)": CODE + b"\r\n",
    "suffix tab": CODE + b"\t",
    "suffix DEL": CODE + b"\x7f",
    "STX and ETX (GM69-S)": b"\x02" + CODE + b"\x03",
    "STX, ETX and CR LF": b"\x02" + CODE + b"\x03\r\n",
    "STX and CR": b"\x02" + CODE + b"\r",
    "no suffix at all (Honeywell's default)": CODE,
    "AIM identifier, model 2 (Honeywell, Zebra, Opticon)": b"]Q1" + CODE + b"\r",
    "AIM identifier, model 1": b"]Q0" + CODE + b"\r\n",
    "AIM identifier with ECI, no suffix": b"]Q2" + CODE,
    "AIM identifier between STX and ETX": b"\x02]Q1" + CODE + b"\x03",
}


def begun() -> Framing:
    """One that has heard silence, so what comes next is a beginning."""
    framing = Framing()
    assert framing.end_text() == []
    return framing


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_each_make_s_framing_gives_the_code_and_nothing_else(sent: bytes) -> None:
    framing = begun()
    assert framing.feed(sent) + framing.end_text() == [CODE]
    piecewise = begun()
    texts = [text for byte in sent for text in piecewise.feed(bytes([byte]))]
    assert texts + piecewise.end_text() == [CODE]


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_two_scans_in_one_read_are_two(sent: bytes) -> None:
    ended = sent if sent[-1] < 32 else sent + b"\r"
    framing = begun()
    texts = framing.feed(ended + ended.replace(CODE, OTHER))
    assert texts + framing.end_text() == [CODE, OTHER]


def test_nothing_that_could_belong_to_a_code_is_taken_away() -> None:
    for text in (
        b" DC1:A ",
        b"dc1:a",
        b"P01DC1:A",
        b"sDC1:A",
        b"]C1DC1:A",
        b"]Q7DC1:A",
        b"DC1:]Q1",
    ):
        assert begun().feed(text + b"\r") == [text]


@given(st.text(alphabet=BASE45.decode(), min_size=1, max_size=200))
def test_any_base45_comes_through_as_it_was(text: str) -> None:
    framing = begun()
    assert framing.feed(text.encode() + b"\r\n") + framing.end_text() == [text.encode()]


@given(st.binary(max_size=400), st.lists(st.integers(1, 60), max_size=12))
def test_rubbish_in_any_pieces_never_holds_up_what_follows(rubbish: bytes, cuts: list[int]) -> None:
    framing, at, texts = begun(), 0, []
    for cut in [*cuts, len(rubbish)]:
        texts += framing.feed(rubbish[at : at + cut])
        at += cut
    texts += framing.feed(rubbish[at:])
    texts += framing.end_text()
    whole = begun()
    assert texts == whole.feed(rubbish) + whole.end_text(), "the pieces made a difference"
    assert all(text and min(text) >= 32 and 127 not in text for text in texts)
    assert framing.feed(CODE + b"\r") == [CODE]


def test_half_a_text_at_start_up_is_none() -> None:
    framing = Framing()
    assert framing.feed(CODE[9:] + b"\r") == []
    assert framing.feed(CODE + b"\r") == [CODE]
    framing = Framing()
    assert framing.feed(CODE[9:]) == []
    assert framing.end_text() == []
    assert framing.feed(CODE) == []
    assert framing.end_text() == [CODE]


def test_a_text_that_another_one_breaks_off_is_none() -> None:
    framing = begun()
    assert framing.feed(b"\x02" + CODE[:20] + b"\x02" + CODE + b"\x03") == [CODE]


def test_what_is_too_long_is_dropped_to_its_end() -> None:
    longest = b"DC1:" + b"A" * (TEXT_LEN_MAX - 4)
    framing = begun()
    assert framing.feed(b"]Q1" + longest + b"\r") == [longest]
    for _ in range(50):
        assert framing.feed(b"DC1:" + b"A" * 1000) == []
    assert framing._text is None, "it is kept"
    assert framing.feed(CODE + b"\r" + OTHER + b"\r") == [OTHER]
    framing.feed(b"A" * 5000)
    assert framing.end_text() == []
    assert framing.feed(CODE + b"\r") == [CODE]


class Wire:
    """An imager's cable: a pty behind a link, as /dev/serial/by-id/… is one."""

    def __init__(self, folder: Path) -> None:
        self.link = folder / "usb-Maker_Imager-if00"
        self._ends: tuple[int, int] | None = None

    def plug(self) -> None:
        self._ends = master, slave = pty.openpty()
        self.link.symlink_to(os.ttyname(slave))
        os.set_blocking(master, False)

    def unplug(self) -> None:
        if self._ends:
            self.link.unlink()
            for end in self._ends:
                os.close(end)
        self._ends = None

    def send(self, data: bytes) -> None:
        assert self._ends
        os.write(self._ends[0], data)

    def heard(self) -> bytes:
        """What came back to the imager."""
        assert self._ends
        try:
            return os.read(self._ends[0], 1000)
        except BlockingIOError:
            return b""

    def camera(self) -> CameraConfig:
        return CameraConfig(kind="imager", source=str(self.link), baud=115200)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path)
    yield made
    made.unplug()


@pytest.fixture
def eyes(wire: Wire) -> Iterator[Imager]:
    """Listening, and past the silence before the first text."""
    wire.plug()
    opened = Imager(wire.camera())
    until(opened, lambda sighting: sighting is not None)
    time.sleep(2.5 * SILENT_S)
    yield opened
    opened.close()
    assert not opened._thread.is_alive()


def until(eyes: Imager, wanted: Any, seconds: float = 5.0) -> Sighting:
    """The first sighting that is `wanted`."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        sighting = eyes.latest()
        if sighting is not None and wanted(sighting):
            return sighting
        eyes.wait(0.02)
    raise AssertionError("it was not seen")


def texts(sighting: Sighting) -> list[bytes]:
    return [symbol.data for symbol in sighting.symbols]


def lost(eyes: Imager, seconds: float = 5.0) -> str:
    """What it says once it is lost."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            eyes.latest()
        except CameraLost as failure:
            return str(failure)
        eyes.wait(0.02)
    raise AssertionError("it was not lost")


def back(eyes: Imager, seconds: float = 10.0) -> Sighting:
    """The first sighting after it was lost."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            sighting = eyes.latest()
        except CameraLost:
            sighting = None
        if sighting is not None:
            return sighting
        time.sleep(0.02)
    raise AssertionError("it was not opened again")


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_a_code_comes_through_the_port(wire: Wire, eyes: Imager, sent: bytes) -> None:
    before_s = time.monotonic()
    wire.send(sent)
    sighting = until(eyes, texts)
    assert texts(sighting) == [CODE]
    assert [symbol.corners for symbol in sighting.symbols] == [()]
    assert sighting.size == (0, 0)
    assert before_s <= sighting.seen_s <= time.monotonic()


def test_a_read_ends_the_wait(wire: Wire, eyes: Imager) -> None:
    eyes.latest()
    began_s = time.monotonic()
    wire.send(CODE + b"\r")
    eyes.wait(5)
    assert time.monotonic() - began_s < 2
    assert texts(until(eyes, texts)) == [CODE]


def test_two_texts_at_once_are_both_seen_the_first_first(wire: Wire, eyes: Imager) -> None:
    wire.send(CODE + b"\r\n" + OTHER + b"\r\n")
    assert texts(until(eyes, texts)) == [CODE, OTHER]


def test_a_text_is_shown_for_a_while_and_then_forgotten(
    wire: Wire, eyes: Imager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imager, "SHOWN_S", 0.5)
    wire.send(CODE + b"\r")
    first = until(eyes, texts)
    again = until(eyes, texts)
    assert again.seen_s > first.seen_s
    gone = until(eyes, lambda sighting: not texts(sighting))
    assert 0.5 <= gone.seen_s - first.seen_s < 4
    assert eyes._shown == {}


def test_an_imager_that_repeats_what_it_sees_shows_one_code(
    wire: Wire, eyes: Imager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imager, "SHOWN_S", 0.6)
    seen: list[list[bytes]] = []
    for _ in range(6):
        wire.send(CODE + b"\r")
        end_s = time.monotonic() + 0.3
        while time.monotonic() < end_s:
            sighting = eyes.latest()
            if sighting is not None:
                seen.append(texts(sighting))
            eyes.wait(0.02)
    held = seen[seen.index([CODE]) :]
    assert all(shown == [CODE] for shown in held)


def test_that_nobody_shows_anything_is_seen_too(eyes: Imager) -> None:
    """The loop knows by it that the imager works and that who was there has left."""
    seen = []
    end_s = time.monotonic() + 1
    while time.monotonic() < end_s:
        sighting = eyes.latest()
        if sighting is not None:
            seen.append(sighting)
        time.sleep(0.01)
    assert 3 <= len(seen) <= 11
    assert all(texts(sighting) == [] for sighting in seen)
    assert max(b.seen_s - a.seen_s for a, b in pairwise(seen)) < 1


def test_only_so_many_texts_are_kept(wire: Wire, eyes: Imager) -> None:
    for number in range(3 * SHOWN_MAX):
        wire.send(b"DC1:%d\r" % number)
    last = until(eyes, lambda sighting: texts(sighting)[-1:] == [b"DC1:%d" % (3 * SHOWN_MAX - 1)])
    assert len(texts(last)) == SHOWN_MAX


def test_it_says_nothing_to_the_imager(wire: Wire, eyes: Imager) -> None:
    wire.send(CODE + b"\r")
    until(eyes, texts)
    assert wire.heard() == b"", "an echo would be taken for a command"


def test_unplugged_and_plugged_again(wire: Wire, eyes: Imager) -> None:
    wire.send(CODE + b"\r")
    until(eyes, texts)
    wire.send(CODE[:20])
    time.sleep(0.05)
    wire.unplug()
    assert re.search(r"check its plug", lost(eyes))
    with pytest.raises(CameraLost):
        eyes.latest()
    wire.plug()
    assert texts(back(eyes)) == [], "what was shown before it went is shown no more"
    time.sleep(2.5 * SILENT_S)
    wire.send(OTHER + b"\r")
    assert texts(until(eyes, texts)) == [OTHER]


def test_a_port_that_is_not_there_yet(wire: Wire) -> None:
    eyes = Imager(wire.camera())
    try:
        said = lost(eyes)
        assert str(wire.link) in said
        assert "check its plug" in said
        assert "USB-COM" in said
        wire.plug()
        assert texts(back(eyes)) == []
    finally:
        eyes.close()


def test_it_is_tried_again_ever_more_seldom(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def gone(*_: Any, **__: Any) -> Any:
        tried.append(time.monotonic())
        raise serial.SerialException(errno.ENOENT, "gone")

    monkeypatch.setattr(serial, "Serial", gone)
    monkeypatch.setattr(imager, "RETRY_S", 0.05)
    monkeypatch.setattr(imager, "RETRY_S_MAX", 0.2)
    eyes = Imager(wire.camera())
    time.sleep(1.0)
    eyes.close()
    pauses = [b - a for a, b in pairwise(tried)]
    assert 3 <= len(tried) <= 8
    assert pauses[0] < pauses[-1]


def test_a_port_in_use_is_told(wire: Wire, eyes: Imager) -> None:
    second = Imager(wire.camera())
    assert "in use by another program" in lost(second)
    second.close()
    wire.send(CODE + b"\r")
    assert texts(until(eyes, texts)) == [CODE], "the first one lost it"


def test_what_is_no_serial_port_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"DC1:A\r")
    for source in (tmp_path / "file", tmp_path):
        eyes = Imager(CameraConfig(kind="imager", source=str(source)))
        said = lost(eyes)
        eyes.close()
        assert "cannot be used as a serial port" in said
        assert "\n" not in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (serial.SerialException(errno.EACCES, "denied"), "group dialout"),
        (serial.SerialException(errno.EBUSY, "busy"), "in use"),
        (OSError(errno.EIO, "io"), "has gone"),
        (ValueError("Invalid baud rate"), "cannot be used"),
    ],
)
def test_each_failure_says_what_to_do(error: Exception, said: str) -> None:
    assert said in _sentence("/dev/ttyACM0", error)


def test_it_names_the_port_at_its_start_and_never_a_text(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    wire.plug()
    with caplog.at_level(logging.DEBUG):
        eyes = Imager(wire.camera())
        until(eyes, lambda sighting: sighting is not None)
        time.sleep(2.5 * SILENT_S)
        wire.send(CODE + b"\r")
        until(eyes, texts)
        wire.unplug()
        lost(eyes)
        wire.plug()
        back(eyes)
        eyes.close()
    assert len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert str(wire.link) in said
    assert "/dev/pts/" in said
    assert "115200 baud" in said


def test_a_flood_of_rubbish_neither_ends_it_nor_grows(wire: Wire, eyes: Imager) -> None:
    rng = random.Random(5)
    for _ in range(40):
        wire.send(rng.randbytes(512))
        eyes.latest()
        time.sleep(0.005)
    wire.send(b"\r" + CODE + b"\r")
    assert CODE in texts(until(eyes, lambda sighting: CODE in texts(sighting)))
    assert len(eyes._shown) <= SHOWN_MAX


def test_what_nobody_foresaw_is_no_silence(
    wire: Wire, eyes: Imager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that ended alone would be an imager to which nobody ever shows anything."""

    def raises(_: Framing, __: bytes) -> list[bytes]:
        raise ZeroDivisionError("our own bug")

    monkeypatch.setattr(Framing, "feed", raises)
    wire.send(CODE + b"\r")
    eyes._thread.join(5)
    with pytest.raises(ZeroDivisionError, match="our own bug"):
        eyes.latest()


def test_unit_toml_names_the_port_and_its_speed(tmp_path: Path) -> None:
    camera = {"kind": "imager", "source": "/dev/serial/by-id/usb-A", "baud": 57600}
    read = unit.read(write(tmp_path, wanted(camera=camera)))
    assert (read.camera.source, read.camera.baud) == ("/dev/serial/by-id/usb-A", 57600)


@pytest.mark.parametrize(
    ("camera", "pins", "said"),
    [
        ({}, {}, "needs camera.source"),
        ({"source": "ttyACM0"}, {}, "is no serial port; name the imager's from"),
        ({"source": "/dev/input/event3"}, {}, "is a keyboard.*USB-COM"),
        ({"source": "/dev/hidraw0"}, {}, "is a keyboard"),
        ({"source": "/dev/ttyACM0", "baud": 12345}, {}, "baud"),
        ({"source": "/dev/serial0"}, {"turn": 15}, "pin 15 is used twice, for turn and for"),
        ({"source": "/dev/ttyAMA0"}, {"red": 14}, "pin 14 is used twice, for red and for"),
    ],
)
def test_what_cannot_be_is_told(
    tmp_path: Path, camera: dict[str, Any], pins: dict[str, int], said: str
) -> None:
    content = wanted(
        camera={"kind": "imager", **camera}, door={"kind": "direct", "pins": PINS | pins}
    )
    path = write(tmp_path, content)
    with pytest.raises(unit.ConfigError, match=said):
        unit.read(path)


def test_the_pi_s_own_port_needs_two_pins_and_usb_none(tmp_path: Path) -> None:
    for source, pins in (("/dev/ttyACM0", PINS | {"turn": 15}), ("/dev/serial0", PINS)):
        door = {"kind": "direct", "pins": pins}
        content = wanted(camera={"kind": "imager", "source": source}, door=door)
        assert unit.read(write(tmp_path, content)).camera.source == source


def test_a_camera_has_no_use_for_a_speed_and_takes_it(tmp_path: Path) -> None:
    assert msgspec.convert({"kind": "picamera"}, CameraConfig).baud == 9600


@pytest.mark.system
def test_a_door_opens_for_what_an_imager_reads(wire: Wire, tmp_path: Path) -> None:
    """The whole program: a genuine code, rubbish, a cable pulled and put back, the next code."""
    now_s = int(time.time())
    camera = {"kind": "imager", "source": str(wire.link)}
    path = related(write_unit(tmp_path / "card", now_s, camera=camera), now_s)
    wire.plug()
    with (
        runtime() as folder,
        subprocess.Popen(
            [sys.executable, "-m", "edge", "run", path, "--show", "--seconds", "60"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock", "RUNTIME_DIRECTORY": str(folder)},
        ) as process,
    ):
        assert process.stdout
        assert process.stderr
        try:
            said_until(process.stderr, f"listening to the imager at {wire.link}")
            time.sleep(2.5 * SILENT_S)
            wire.send(b"\xff\xfe\x00noise\r]Q1" + issued("AAAAAAAAAAA") + b"\r\n")
            assert said_until(process.stdout, ":") == "green: opens, genuine, current and green\n"
            wire.unplug()
            said_until(process.stderr, "has gone; check its plug")
            wire.plug()
            said_until(process.stderr, "the camera works again")
            time.sleep(2.5 * SILENT_S)
            wire.send(issued("BBBBBBBBBBA"))
            assert said_until(process.stdout, ":") == "green: opens, genuine, current and green\n"
        finally:
            process.terminate()
        assert process.wait(10) == 0


def issued(sub: str) -> bytes:
    """A green code of now."""
    now_s = int(time.time())
    return encode(Code(colour=Colour.GREEN, sub=sub, iat_s=now_s, exp_s=now_s + 600), CITY).encode()


def said_until(stream: IO[str], wanted: str) -> str:
    """The first line with `wanted`."""
    for line in stream:
        if wanted in line:
            return line
    raise AssertionError(f"it ended without saying {wanted!r}")
