"""The built image in the RP2040 emulator: paired over USB, asked over its UART, broken on purpose.

What the emulator cannot show: its `os.urandom` always says 2a, so random numbers are the Unix
interpreter's matter (pty/); it has no Pico 2.
"""

import os
import shutil
import subprocess
from pathlib import Path

import panel
import pins
import pytest
import selftest
import store
from pico import Pico

from tests.firmware.pty.harness import micropython

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
KEY = bytes(range(16))
CHECK = "c6a13b"  # of that key: FIPS 197's AES of 16 zero bytes begins so
ADDRESS = 5
OUTPUTS = (pins.RELAY, pins.GREEN, pins.RED, pins.BUZZER, pins.HEARTBEAT, pins.RS485_DE)


def build(place: Path, into: Path) -> Path:
    """What `make firmware` runs, in the checkout `place`, with its work in a folder of its own."""
    into.mkdir(parents=True)
    done = subprocess.run(
        [place / ".ci" / "firmware", "--into", into, "RPI_PICO"],
        env={**os.environ, "TMPDIR": str(into)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (image,) = into.glob("*.uf2")
    assert image.name in done.stdout
    return image


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("image") / "first")


@pytest.fixture(scope="module")
def paired(image: Path) -> bytes:
    """The flash of a controller that was given its key over USB, with the jumper fitted."""
    pico = at_the_jumper(image)
    assert ask(pico, "menshen?") == f"menshen-controller 1 {'ff' * 8} {version()} none"
    assert ask(pico, "fault?") == "fault none"
    assert ask(pico, f"pair {'30' * 16} 5 115200 none").startswith("refused all bytes")
    said = ask(pico, "pair 303132333435363738393a3b3c3d3e3f 5 115200 none")
    assert said == "refused this is the default key, which is public; use a random key"
    assert ask(pico, f"pair {KEY.hex()} {ADDRESS} 115200 none") == f"paired {CHECK}"
    # \x03 is a letter like any other: Ctrl-C stops nothing, and there is no prompt.
    assert ask(pico, "\x03\x03print(1)").startswith("refused the line is not plain ASCII")
    lights = [pico.edges[pin] for pin in (pins.GREEN, pins.RED)]
    pico.run(510)
    assert all({level for _, level in edges} == {False, True} for edges in lights)
    assert not (pico.driven_high(pins.GREEN) and pico.driven_high(pins.RED))
    assert not any(level for _, level in pico.edges[pins.RELAY])
    pico.say(frame_of_a_poll())
    pico.run(30)
    assert not pico.said, "the door is not served while the jumper is fitted"
    return pico.flash()


def version() -> str:
    import version as stored

    return stored.VERSION


def at_the_jumper(image: Path, flash: bytes = b"") -> Pico:
    pico = Pico(image, flash=flash)
    pico.watch(*OUTPUTS)
    pico.ground(pins.PAIRING)
    pico.power_on()
    assert pico.run(1_000, lambda: pico.usb_connected), "no USB though the jumper is fitted"
    pico.run(100)  # _boot.py has made a file system by then
    return pico


def ask(pico: Pico, line: str) -> str:
    pico.usb_said.clear()
    pico.type(line.encode() + b"\n")
    assert pico.run(2_000, lambda: pico.usb_said.endswith(b"\n")), f"no answer to {line}"
    return bytes(pico.usb_said).decode().rstrip("\n")


def serving(image: Path, flash: bytes, ms: float = 110) -> Pico:
    """A controller with that flash, powered on without the jumper; contacts at rest."""
    pico = Pico(image, flash=flash)
    pico.watch(*OUTPUTS)
    for pin in (pins.CONTACT, pins.FIRE, pins.TAMPER):
        pico.ground(pin)
    pico.power_on()
    pico.run(ms)
    return pico


def frame_of_a_poll() -> bytes:
    return panel.ReferencePanel(KEY, os.urandom, ADDRESS).plain(panel.POLL)


def exchange(pico: Pico, frame: bytes, ms: float = 100) -> bytes:
    """Put a frame on the line; return the answer, empty where none comes."""
    pico.said.clear()
    pico.say(frame)

    def whole() -> bool:
        start = pico.said.find(b"\x53")
        if start < 0 or len(pico.said) < start + 4:
            return False
        return len(pico.said) >= start + (pico.said[start + 2] | pico.said[start + 3] << 8)

    pico.run(ms, whole)
    pico.run(3)  # until the line is let go
    return bytes(pico.said)


def session(pico: Pico, key: bytes = KEY) -> panel.ReferencePanel:
    """A panel that has proved its key and seen the controller prove its own."""
    host = panel.ReferencePanel(key, os.urandom, ADDRESS)
    host.parse(exchange(pico, host.plain(panel.POLL)))
    challenged = host.parse(exchange(pico, host.challenge()))
    proof = host.challenged(challenged)
    assert host.parse(exchange(pico, proof)).code == panel.RMAC_I
    return host


def relay_moved(pico: Pico) -> bool:
    return any(level for _, level in pico.edges[pins.RELAY])


def test_the_same_bytes_from_another_folder(image: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another place"
    for name in (".ci", "firmware"):
        shutil.copytree(ROOT / name, elsewhere / name)
    shutil.copy(ROOT / "pyproject.toml", elsewhere)
    (elsewhere / ".venv").symlink_to(ROOT / ".venv")
    again = build(elsewhere, tmp_path / "second")
    assert again.read_bytes() == image.read_bytes()
    assert again.stat().st_size > 500_000


def test_it_serves_as_the_peripheral(image: Path, paired: bytes) -> None:
    pico = serving(image, paired)
    assert not pico.usb_connected, "USB is dead without the jumper"
    assert pico.edges[pins.RELAY], "the relay's pin was seen"
    assert not relay_moved(pico)
    host = panel.ReferencePanel(KEY, os.urandom, ADDRESS)
    assert host.parse(exchange(pico, host.plain(panel.POLL))).code == panel.ACK
    identified = host.parse(exchange(pico, host.plain(panel.ID, b"\0")))
    assert identified.code == panel.PDID
    assert identified.data[5:9] == b"\xff" * 4  # the end of this board's own number
    able = host.parse(exchange(pico, host.plain(panel.CAP, b"\0")))
    assert able.code == panel.PDCAP
    assert b"\x09\x01\x00" in able.data  # AES-128, no default key
    opened = exchange(pico, host.plain(panel.OUT, panel.pulse(1_000)))
    assert host.parse(opened).code == panel.NAK
    stranger = panel.ReferencePanel(KEY, os.urandom, ADDRESS + 1)
    assert exchange(pico, stranger.plain(panel.POLL)) == b""
    assert not relay_moved(pico)


def test_a_session_opens_the_door_for_as_long_as_asked(image: Path, paired: bytes) -> None:
    pico = serving(image, paired)
    # 250 ms after the start the guard gives a pulse; until then the panel polls.
    host = session(pico)
    pico.run(200)
    assert not relay_moved(pico)
    pico.edges[pins.RELAY].clear()
    answer = host.parse(exchange(pico, host.secured(panel.OUT, panel.pulse(300))))
    assert (answer.code, answer.block) == (panel.OSTATR, 0x18)
    assert answer.data == b"\x01"
    assert pico.run(400, lambda: not pico.driven_high(pins.RELAY))
    (on, high), (off, low) = pico.edges[pins.RELAY]
    assert (high, low) == (True, False)
    assert 280 <= off - on <= 320  # counted from the turn that took the command
    shown = host.parse(exchange(pico, host.secured(panel.LED, panel.colour(2, 500))))
    assert shown.code == panel.ACK
    assert pico.run(50, lambda: pico.driven_high(pins.GREEN))
    assert not pico.driven_high(pins.RED)
    # RS-485: the line is taken before the first bit of each answer and let go soon after the last.
    edges = pico.edges[pins.RS485_DE]
    taken = [at for at, level in edges if level]
    let_go = [at for at, level in edges if not level and at > taken[0]]
    assert len(taken) == len(let_go) == pico.answers
    assert pico.spoken_untaken == 0
    assert all(0 < end - pico.last_bit_before(end) < 2.5 for end in let_go)


def test_another_key_opens_nothing(image: Path, paired: bytes) -> None:
    pico = serving(image, paired)
    with pytest.raises(panel.Wrong, match="another key"):
        session(pico, key=bytes(range(1, 17)))
    assert not relay_moved(pico)


def test_no_challenge_comes_twice(image: Path, paired: bytes) -> None:
    """Where `os.urandom` always says the same: the starts and the challenges are counted."""

    def challenged(pico: Pico) -> bytes:
        host = panel.ReferencePanel(KEY, os.urandom, ADDRESS)
        host.parse(exchange(pico, host.plain(panel.POLL)))
        answer = host.parse(exchange(pico, host.challenge()))
        assert answer.code == panel.CCRYPT
        return bytes(answer.data[8:16])

    pico = serving(image, paired)
    said = [challenged(pico), challenged(pico)]
    pico = serving(image, pico.flash())
    said += [challenged(pico), challenged(pico)]
    assert len(set(said)) == 4


def test_the_latch_survives_a_power_cut(image: Path) -> None:
    pico = at_the_jumper(image)
    assert ask(pico, f"pair {KEY.hex()} {ADDRESS} 115200 tamper") == f"paired {CHECK}"
    flash = pico.flash()

    def inputs(pico: Pico) -> bytes:
        host = panel.ReferencePanel(KEY, os.urandom, ADDRESS)
        host.parse(exchange(pico, host.plain(panel.POLL)))
        return host.parse(exchange(pico, host.plain(panel.ISTAT))).data

    pico = serving(image, flash)
    assert inputs(pico) == bytes(8)
    pico.let_go(pins.TAMPER)  # the lid is opened
    pico.run(250)  # 20 ms to believe it, and the flash
    assert inputs(pico) == b"\0\0\0\0\0\0\1\1"
    pico = serving(image, pico.flash())  # the lid is shut again and the power was off
    assert inputs(pico) == b"\0\0\0\0\0\0\1\0"


FILES_AT, FILES_LEN = 0xA0000, 0x160000  # of a Pico's flash, as `picotool info` shows it
LITTLEFS = """
import sys, vfs
class Ram:
    def __init__(self): self.data = bytearray(int(sys.argv[1]))
    def readblocks(self, n, buf, at=0):
        at += n * 4096
        buf[:] = self.data[at : at + len(buf)]
    def writeblocks(self, n, buf, at=None):
        at = n * 4096 + (at or 0)
        self.data[at : at + len(buf)] = buf
    def ioctl(self, op, arg):
        return {4: len(self.data) // 4096, 5: 4096, 6: 0}.get(op)
ram = Ram()
vfs.VfsLfs2.mkfs(ram, progsize=256)
vfs.mount(vfs.VfsLfs2(ram, progsize=256), "/ram")
for n in range(3, len(sys.argv), 2):
    with open("/ram/" + sys.argv[n], "w") as file: file.write(sys.argv[n + 1])
with open(sys.argv[2], "wb") as file: file.write(ram.data)
"""


def test_a_program_on_the_flash_is_never_run(image: Path, tmp_path: Path) -> None:
    """Files that would open the door lie beside a pair's settings, which are found."""
    opens = f"import machine\nmachine.Pin({pins.RELAY}, machine.Pin.OUT, value=1)\n"
    programs = ("boot.py", "main.py", "loop.py", "guard.py", "board.py", "micropython.py")
    store.Store(f"{tmp_path}/").save(store.Settings(KEY, ADDRESS, 115_200, "none"))
    files = {"controller.json": (tmp_path / "controller.json").read_text()}
    files |= dict.fromkeys(programs, opens)
    script, made = tmp_path / "make.py", tmp_path / "files"
    script.write_text(LITTLEFS)
    pairs = [word for file in files.items() for word in file]
    command = [*micropython(), script, str(FILES_LEN), made, *pairs]
    subprocess.run(command, check=True, timeout=60)
    flash = Pico(image).flash()[:FILES_AT] + made.read_bytes()
    assert flash.count(opens.encode()) == len(programs)
    pico = serving(image, flash)
    session(pico)
    assert not relay_moved(pico)


def test_a_flash_that_lost_a_bit_of_the_settings(image: Path, paired: bytes) -> None:
    at = paired.rfind(KEY.hex().encode())
    assert at > 0
    hurt = bytearray(paired)
    hurt[at] ^= 1
    pico = serving(image, bytes(hurt))
    host = panel.ReferencePanel(KEY, os.urandom, 0)
    polled = exchange(pico, host.plain(panel.POLL))
    assert not polled or host.parse(polled).code == panel.ACK
    with pytest.raises(panel.Wrong, match=r"no CCRYPT|no reply"):
        host.challenged(host.parse(exchange(pico, host.challenge())))
    assert not relay_moved(pico)


def test_a_lost_bit_of_aes_or_the_guard_serves_no_door(image: Path, paired: bytes) -> None:
    """The known answers really are asked: AES's is changed, then a bound of the guard."""
    bound = b"\x22\x8b\x5c"  # 1500 in MicroPython's bytecode: the guard's LINK_MS_MAX
    for good in (selftest.ECB, bound):
        hurt = bytearray(paired)
        at = hurt.find(good)
        assert at > 0
        hurt[at + len(good) - 1] ^= 1
        pico = serving(image, bytes(hurt), ms=340)
        assert exchange(pico, frame_of_a_poll()) == b""
        assert {level for _, level in pico.edges[pins.RED]} == {False, True}
        assert not relay_moved(pico)
    pico = at_the_jumper(image, pico.flash())
    assert ask(pico, "fault?").startswith("fault the guard ")
    assert ask(pico, f"pair {KEY.hex()} 5 115200 none").startswith("refused this controller")


def test_a_relay_pin_shorted_to_the_supply_ends_everything(image: Path, paired: bytes) -> None:
    pico = serving(image, paired)
    assert exchange(pico, frame_of_a_poll())
    pico.chip.gpio[pins.RELAY].set_input_value(True)
    pico.run(200)
    assert exchange(pico, frame_of_a_poll()) == b""
    assert not any(pico.driven_high(pin) for pin in OUTPUTS)
    left_ms = pico.watchdog_left_ms()
    pico.run(10)
    assert pico.watchdog_left_ms() < left_ms - 9, "nobody feeds it"
    pico = at_the_jumper(image, pico.flash())
    assert (
        ask(pico, "fault?") == "fault OSError: the relay's pin does not have the level that was set"
    )


def test_the_watchdog_is_fed_by_progress_alone(image: Path, paired: bytes) -> None:
    pico = serving(image, paired)
    watchdog = pico.chip.watchdog
    assert watchdog.timer.enable
    pico.run(200)
    left_ms = pico.watchdog_left_ms()
    assert 1_900 < left_ms <= 2_000, "it was just fed, and is set to two seconds"
    pico.set_watchdog_left(100)
    pico.run(150)
    assert pico.resets == 0, "the loop goes round, so it was fed"
    pico.stop_ticks()  # milliseconds stand still: no pulse would ever end
    pico.run(10)  # the turn that has already read them
    pico.set_watchdog_left(100)
    pico.run(150, lambda: pico.resets > 0)
    assert pico.resets == 1
    assert not pico.driven_high(pins.RELAY)
