"""A unit with a controller: its card, its key, the controller that is given the key over USB."""

import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.wire import pair_key as pair_keys
from edge.wire import unit as wire
from edge.wire.unit import ControllerDoor
from provisioning import authority, issuers, pairing, repository, sites, units
from provisioning.files import ProvisioningError
from provisioning.units import UnitOrder
from tests.controller import ROOT, Cable

pytestmark = pytest.mark.system  # real processes

PORT = "/dev/serial0"


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pairing") / "estate"
    authority.create_authority(root)
    issuers.create_issuer(root, "city")
    sites.create_site(root, "campus")
    repository.publish(root)
    return root


@pytest.fixture
def card(campus: Path, request: pytest.FixtureRequest) -> Path:
    """The card of a unit with a controller, a new one for each test."""
    name = f"door-{abs(hash(request.node.nodeid)) % 10**9}"
    return units.create_card(
        campus, "campus", UnitOrder(name=name, controller=PORT, broker=False)
    ).path


def run(*words: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def door(card: Path) -> ControllerDoor:
    found = wire.read(card / "unit.toml").door
    assert isinstance(found, ControllerDoor)
    return found


# The card.


def test_a_card_for_a_controller(campus: Path) -> None:
    words = ["--controller", PORT, "--controller-baud", "57600", "--wired", "turn"]
    words += ["--wired", "tamper", "--wired", "illuminator", "--no-broker"]
    told = run("unit", campus, "campus", "north", *words)
    assert "controller.key" in told
    assert re.search(r"Next: fit the controller's pairing jumper.*menshen-provision pair", told)
    card = campus / "sites/campus/units/north"
    found = door(card)
    assert (found.port, found.baud, found.address) == (PORT, 57600, 0)
    assert found.inputs == ["turn", "tamper"]
    assert found.illuminator == 13
    assert Path(found.key) == card / "controller.key"
    assert stat.S_IMODE((card / "controller.key").stat().st_mode) == 0o600
    key = pair_keys.read(card / "controller.key")
    assert "Already there, kept" in run("unit", campus, "campus", "north", *words)
    assert pair_keys.read(card / "controller.key") == key
    assert "another door" in run("unit", campus, "campus", "north", "--no-broker", code=2)


def test_each_pair_has_its_own_key(campus: Path, tmp_path: Path) -> None:
    table = tmp_path / "units.csv"
    rows = [f"w-{n},{PORT},9600,contact fire,no" for n in range(5)]
    table.write_text(
        "name,controller,controller_baud,wired,broker\n" + "\n".join([*rows, "d-1,,,turn,no"])
    )
    told = run("units", campus, "campus", table)
    assert "Made 6 cards" in told
    assert "menshen-provision pair UNIT_FOLDER" in told
    cards = campus / "sites/campus/units"
    assert len({pair_keys.read(cards / f"w-{n}" / "controller.key") for n in range(5)}) == 5
    assert door(cards / "w-3").inputs == ["contact", "fire"]
    assert door(cards / "w-3").baud == 9600
    assert isinstance(wire.read(cards / "d-1/unit.toml").door, wire.DirectDoor)
    assert not (cards / "d-1/controller.key").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--controller", "ttyAMA0"], "is no serial port; name the controller's"),
        (["--controller", PORT, "--controller-baud", "1200"], "has invalid controller settings"),
        (["--controller", PORT, "--wired", "lift"], "'lift' cannot be wired"),
        (["--controller", PORT, "--wired", "turn_out"], "turn_out is wired and turn is not"),
        (
            ["--controller", "/dev/a", "--camera-kind", "imager", "--camera-source", "/dev/a"],
            "each needs a serial port of its own",
        ),
    ],
)
def test_what_cannot_be_is_told_and_nothing_made(campus: Path, words: list[str], told: str) -> None:
    said = run("unit", campus, "campus", "never", "--no-broker", *words, code=2)
    assert told in said
    assert said.count("\n") == 1
    assert not (campus / "sites/campus/units/never").exists()


def test_a_table_with_a_wrong_baud(campus: Path, tmp_path: Path) -> None:
    table = tmp_path / "units.csv"
    table.write_text(f"name,controller,controller_baud\nx,{PORT},fast\n")
    said = run("units", campus, "campus", table, code=2)
    assert "line 2: controller_baud 'fast' is not a number; nothing was made" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "but its controller.key is missing: restore it"),
        ("7e" * 16, "all its bytes are alike"),
        (pair_keys.DEFAULT.hex(), "default key"),
        ("torn", "has not the 32 hexadecimal digits"),
    ],
)
def test_a_key_that_is_no_good_is_told_and_not_replaced(
    campus: Path, card: Path, text: str | None, told: str
) -> None:
    key = card / "controller.key"
    key.unlink()
    if text is not None:
        key.write_text(text)
    order = UnitOrder(name=card.name, controller=PORT, broker=False)
    with pytest.raises(ProvisioningError, match=told):
        units.create_card(campus, "campus", order)
    assert key.exists() == (text is not None)


# The pairing.


class Firmware:
    """What answers at the other end: each line goes through `answer`."""

    def __init__(self, cable: Cable, answer: Callable[[str], str]) -> None:
        self.heard: list[str] = []
        self._cable, self._answer = cable, answer
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended = True
        self._thread.join(5)

    def _run(self) -> None:
        came = b""
        while not self._ended:
            came += self._cable.read(0.02)
            *lines, came = came.split(b"\n")
            for line in lines:
                self.heard.append(line.decode())
                self._cable.write(self._answer(line.decode()).encode())


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    cable = Cable(tmp_path / "usb")
    yield cable
    cable.unplug()


@pytest.fixture
def real(cable: Cable, tmp_path: Path) -> Iterator[Firmware]:
    """`firmware/pairing.py` itself, in a process of its own."""
    flash = tmp_path / "flash"
    flash.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-B", ROOT / "tests/controller/usb.py", ROOT / "firmware",
         ROOT / "tests/firmware", f"{flash}/"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    said, answers = process.stdin, process.stdout

    def answer(line: str) -> str:
        said.write(line + "\n")
        return answers.readline()

    firmware = Firmware(cable, answer)
    yield firmware
    firmware.close()
    said.close()
    process.wait(10)
    answers.close()


def test_the_real_controller_is_paired(cable: Cable, real: Firmware, card: Path) -> None:
    told = run("pair", card, "--port", cable.path, "--latch", "both")
    key = pair_keys.read(card / "controller.key")
    assert f"check value {pairing.check_value(key)}. It had no key." in told
    assert "Next: remove the jumper" in told
    assert key.hex() not in told
    stored = (cable.path.parent / "flash" / "controller.json").read_text()
    assert key.hex() in stored
    assert '"latch": "both"' in stored
    assert "It had this key already." in run("pair", card, "--port", cable.path)


def test_a_controller_that_belonged_to_another_unit(
    cable: Cable, real: Firmware, card: Path
) -> None:
    first = pairing.pair(card, str(cable.path), "none")
    (card / "controller.key").write_text(pair_keys.to_text(pair_keys.new_key()))
    second = pairing.pair(card, str(cable.path), "none")
    assert second.before == first.check
    assert "It had another key, which is gone" in second.sentence


def ready(check: str = "none") -> str:
    return f"menshen-controller 1 e6614103e7 0.1.0 {check}\n"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda line: "", "no controller in pairing mode answers"),
        (lambda line: "MicroPython v1.25\r\n>>> \r\n", "no controller in pairing mode"),
        (lambda line: "menshen-controller 2 00 9 none\n", "no controller in pairing mode"),
        (lambda line: ready() if "?" in line else "", "did not confirm that it has stored the key"),
        (
            lambda line: ready() if "?" in line else "refused the flash cannot be written\n",
            "refused: the flash cannot be written",
        ),
        (lambda line: ready() if "?" in line else "paired 000000\n", "has stored a wrong key"),
        (lambda line: "\x00\xff" * 3000, "no controller in pairing mode"),
    ],
)
def test_what_goes_wrong_is_one_sentence(
    cable: Cable,
    card: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[str], str],
    told: str,
) -> None:
    monkeypatch.setattr(pairing, "ANSWER_S", 0.5)
    firmware = Firmware(cable, answer)
    try:
        with pytest.raises(ProvisioningError, match=told):
            pairing.pair(card, str(cable.path), "none")
    finally:
        firmware.close()


def test_what_it_says_before_is_passed_over(cable: Cable, card: Path) -> None:
    key = pair_keys.read(card / "controller.key")
    check = pairing.check_value(key)
    answers = {"?": "\r\nMPY: soft reboot\r\n" + ready(), "p": f"paired {check}\r\n"}
    firmware = Firmware(cable, lambda line: answers["?" if "?" in line else "p"])
    assert pairing.pair(card, str(cable.path), "link").serial == "e6614103e7"
    firmware.close()
    assert firmware.heard == ["menshen?", f"pair {key.hex()} 0 115200 link"]


def test_wrong_words_are_one_sentence_and_code_2(campus: Path, card: Path, cable: Cable) -> None:
    direct = units.create_card(campus, "campus", UnitOrder(name="direct", broker=False)).path
    wrong: tuple[tuple[list[str | Path], str], ...] = (
        ([card, "--port", "/dev/none"], "/dev/none cannot be opened: there is no such port"),
        ([card, "--port", "/etc/hostname"], "it is not a serial port"),
        ([card, "--port", cable.path, "--latch", "sometimes"], "choose none, tamper, link or both"),
        ([direct, "--port", cable.path], "has no controller and drives its door itself"),
        ([campus / "nowhere", "--port", cable.path], "unit.toml cannot be read"),
    )
    for words, told in wrong:
        said = run("pair", *words, code=2)
        assert told in said
        assert said.count("\n") == 1
    (card / "controller.key").chmod(0o644)
    assert "can be read by others" in run("pair", card, "--port", cable.path, code=2)


def test_the_check_value_is_that_of_aes() -> None:
    """FIPS 197, appendix C.1's key; AES of a zero block by an independent implementation."""
    ran = subprocess.run(
        ["openssl", "enc", "-aes-128-ecb", "-nopad", "-K", bytes(range(16)).hex()],
        input=bytes(16), capture_output=True, check=True, env=os.environ,
    )  # fmt: skip
    assert pairing.check_value(bytes(range(16))) == ran.stdout[:3].hex()
