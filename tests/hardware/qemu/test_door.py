"""The direct door on the kernel's own driver of a Pi 3B's pins, in two boots: one where the kernel
takes a dead program's outputs back (dtparam=strict_gpiod), one where it keeps them, as Raspberry Pi
OS does unless told otherwise.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.wire.code import Colour
from edge.wire.unit import UNLOCK_MS_MAX
from tests.hardware.qemu.card import HELD_S, LEVELS, UNIT_TOML, UNLOCK_MS, Card, install
from tests.hardware.qemu.machine import Pi
from tests.hardware.qemu.pins import Function
from tests.hardware.qemu.unit import QemuUnit

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(900)]

SOON_S = 90.0
"""The most between a cause and what comes of it on a busy machine; elsewhere it is a second."""
BLINK_S = 1.0
"""The red light of an answer lasts longer than this, and one blink does not."""
START_UNSURE_S = 5.0
"""Codes made sooner after the start may have been used before it, as far as the unit's time tells;
it knows the time to 3 s each way."""
FREE = {"KILL": 4, "TERM": 18}  # pins that no door uses
LOOPS = frozenset({"contact", "fire", "tamper"})  # closed to ground at rest: hardware/pins.toml
OUTPUTS = ("relay", "green", "red", "buzzer")


@dataclass(frozen=True)
class Boots:
    """The same card in two kernels."""

    strict: QemuUnit
    keeping: QemuUnit


@pytest.fixture(scope="module")
def boots() -> Iterator[Boots]:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="menshen-pi-")))
        card = Card(folder, "north-1")
        contents = folder / "contents"
        install(contents)
        shutil.copytree(card.path, contents / Path(UNIT_TOML).parent.relative_to("/"))
        started = []
        for keeps in "ny":
            (work := folder / keeps).mkdir()
            option = f"pinctrl_bcm2835.persist_gpio_outputs={keeps}"
            started.append(opened.enter_context(Pi(contents, work, option)))
        for pi in started:
            pi.ready()
        yield Boots(*(QemuUnit(pi, card) for pi in started))


@pytest.fixture
def strict(boots: Boots) -> QemuUnit:
    return boots.strict


@pytest.fixture
def keeping(boots: Boots) -> QemuUnit:
    return boots.keeping


@pytest.fixture
def wired(boots: Boots) -> dict[str, int]:
    """The pins of the card, by what they are for."""
    return boots.strict.card.pins


def test_the_driver_is_the_pis_own_and_tells_no_edges_here(strict: QemuUnit) -> None:
    pi = strict.pi
    pi.run("chip.py >/run/chip 2>&1 & chip=$!")
    pi.run("soon 60 'grep \"^pinctrl-bcm2835 54$\" /run/chip' || { cat /run/chip; false; }", 120)
    pi.pins.drive(4, True)
    pi.run("wait $chip")
    before, after, edges = pi.run("cat /run/chip").splitlines()[1].split()
    assert (before, after) == ("0", "1"), "a level from outside is read"
    assert edges == "0", "QEMU tells edges now: the turn sensors can be proven here"
    pi.pins.drive(4, False)


def killed_while_it_holds(pi: Pi, pin: int, signal: str) -> None:
    """A program that drives `pin` high by gpiozero dies of `signal`."""
    assert not pi.pins.driven_high(pin)
    pi.run(f"held.py {pin} >/run/held 2>&1 & held=$!")
    pi.run("soon 60 'test -s /run/held'", 120)
    assert pi.run("cat /run/held") == "LGPIOFactory 3B\n"
    assert pi.pins.driven_high(pin)
    pi.run(f"kill -{signal} $held; wait $held; true")


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_strict_kernel_takes_a_dead_programs_output_back(strict: QemuUnit, signal: str) -> None:
    killed_while_it_holds(strict.pi, FREE[signal], signal)
    assert strict.pi.pins.function(FREE[signal]) == Function.INPUT


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_the_trap_a_keeping_kernel_leaves_it_driven_high(keeping: QemuUnit, signal: str) -> None:
    killed_while_it_holds(keeping.pi, FREE[signal], signal)
    time.sleep(1)
    assert keeping.pi.pins.driven_high(FREE[signal])


def test_a_pin_that_gpiozero_closes_is_held_by_nothing_inside(
    strict: QemuUnit, keeping: QemuUnit
) -> None:
    """So a resistor outside pulls the relay's pin down (hardware/README.md)."""
    for unit in (strict, keeping):
        unit.pi.run("held.py 21 close")
        assert unit.pi.pins.function(21) == Function.INPUT


def test_where_the_kernel_keeps_outputs_the_unit_refuses_and_says_why(
    keeping: QemuUnit, wired: dict[str, int]
) -> None:
    pi = keeping.pi
    log = pi.run(f"menshen-edge run {UNIT_TOML} --seconds 20", 240)
    assert log.count("persist_gpio_outputs=Y") == 1, log  # it is tried again, and logged once
    assert "dtparam=strict_gpiod" in log
    for name in OUTPUTS:
        assert pi.pins.function(wired[name]) == Function.INPUT, name
        assert pi.pins.edges(wired[name]) == [], name


def rest(unit: QemuUnit, wired: dict[str, int]) -> None:
    """The wires of a quiet door; QEMU has no pulls, so both levels come from outside."""
    for name in LEVELS:
        unit.pi.pins.drive(wired[name], name not in LOOPS)


def test_an_installer_sees_each_input_each_light_and_a_pulse(
    strict: QemuUnit, wired: dict[str, int]
) -> None:
    pi, pins = strict.pi, strict.pi.pins
    rest(strict, wired)
    pi.run(f"menshen-edge try --relay --seconds 300 {UNIT_TOML} >/run/tried 2>&1 & tried=$!")

    def told(line: str) -> None:
        """Wait until it is the last line."""
        last = f"tail -n 1 /run/tried | grep -q '{line}'"
        pi.run(f'soon 90 "{last}" || {{ cat /run/tried; false; }}', 180)

    told("  lid switch: lid shut (open the lid and shut it)")
    for name, yes, no in (
        ("contact", "door contact: open", "door contact: shut"),
        ("exit_button", "exit button: pressed", "exit button: not pressed"),
        ("fire", "fire contact: ALARM", "fire contact: at rest"),
        ("help_button", "help button: pressed", "help button: not pressed"),
    ):
        pins.drive(wired[name], name in LOOPS)
        told(f"  {yes}$")
        pins.drive(wired[name], name not in LOOPS)
        told(f"  {no}$")
    pins.drive(wired["tamper"], True)  # the last: what is seen of it ends the inputs' part
    pi.run("soon 90 'grep -q \"  lid switch: lid open$\" /run/tried'", 180)
    pins.drive(wired["tamper"], False)
    pi.run("wait $tried", 180)
    assert pi.run("tail -n 1 /run/tried") == "Every input that is wired was seen to move.\n"
    moved = {name: [edge.high for edge in pins.edges(wired[name])] for name in OUTPUTS}
    assert moved["relay"] == [True, False]
    on, off = pins.edges(wired["relay"])
    assert UNLOCK_MS / 1000 - 0.2 < off.at_s - on.at_s < UNLOCK_MS_MAX / 1000
    assert moved["red"] == [True, False]
    assert moved["green"] == [True, False] * 2, "by itself, and with the relay"
    assert moved["buzzer"] == [True, False] * 2
    for name in OUTPUTS:
        assert pins.function(wired[name]) == Function.INPUT, name


def answer_in_red(unit: QemuUnit, pin: int, shown_s: float) -> tuple[float, float]:
    """From when until when the red light was on for the answer.

    On a busy machine decoding takes so long that the unit first blinks *closer, hold still*.
    """
    pins, from_s = unit.pi.pins, shown_s
    for _ in range(20):
        red = pins.wait(pin, True, from_s, SOON_S)
        assert red, unit.story()
        dark = pins.wait(pin, False, red.at_s, SOON_S)
        assert dark, unit.story()
        if dark.at_s - red.at_s > BLINK_S:
            return red.at_s, dark.at_s
        from_s = dark.at_s
    raise AssertionError(f"it only blinks\n{unit.story()}")


def test_a_green_code_pulses_the_relay_and_a_refused_one_does_not(
    strict: QemuUnit, wired: dict[str, int]
) -> None:
    pins = strict.pi.pins
    rest(strict, wired)
    started_s = time.monotonic()
    strict.start()
    assert {pins.function(wired[name]) for name in OUTPUTS} == {Function.OUTPUT}
    assert pins.edges(wired["relay"], started_s) == [], "a glitch at the start"
    time.sleep(START_UNSURE_S)

    for forged, colour in ((True, Colour.GREEN), (False, Colour.RED)):
        shown_s = strict.show(strict.card.picture(colour, forged))
        red_s, dark_s = answer_in_red(strict, wired["red"], shown_s)
        assert 1.8 < dark_s - red_s < UNLOCK_MS_MAX / 1000
        green = [edge for edge in pins.edges(wired["green"], red_s) if edge.at_s <= dark_s]
        assert green == [], strict.story()
    assert pins.edges(wired["relay"], started_s) == []

    shown_s = strict.show(strict.card.picture())
    on = pins.wait(wired["relay"], True, shown_s, SOON_S)
    assert on, strict.story()
    assert pins.wait(wired["green"], True, shown_s, SOON_S)
    assert pins.wait(wired["buzzer"], True, shown_s, SOON_S)
    off = pins.wait(wired["relay"], False, on.at_s, SOON_S)
    assert off, strict.story()
    assert UNLOCK_MS / 1000 - 0.2 < off.at_s - on.at_s < UNLOCK_MS_MAX / 1000
    assert pins.wait(wired["green"], False, on.at_s, SOON_S)
    assert pins.edges(wired["red"], on.at_s) == [], strict.story()
    print(f"picture to relay {on.at_s - shown_s:.2f} s, pulse {off.at_s - on.at_s:.3f} s")
    said = re.findall(r"^[\w-]+: (opens|stays shut)", strict.said(), re.MULTILINE)
    assert said == ["stays shut", "stays shut", "opens"], strict.story()


@pytest.fixture
def running(strict: QemuUnit, wired: dict[str, int]) -> QemuUnit:
    """As the test before has left it; a unit that is started where it has not."""
    if not strict.runs:
        rest(strict, wired)
        strict.start()
    return strict


def test_the_running_unit_sees_contact_exit_and_fire(
    running: QemuUnit, wired: dict[str, int]
) -> None:
    """A door that stands open for HELD_S is reminded of by the buzzer; that time begins anew when
    the exit button is pressed, and does not run while there is fire.
    """
    pins = running.pi.pins
    reminded_s = HELD_S - 0.2  # its time and the host's are two

    def reminds(since_s: float) -> float:
        buzzed = pins.wait(wired["buzzer"], True, since_s, SOON_S)
        assert buzzed, running.story()
        return buzzed.at_s

    opened_s = time.monotonic()
    pins.drive(wired["contact"], True)
    assert reminds(opened_s) - opened_s > reminded_s
    pins.drive(wired["contact"], False)
    time.sleep(3)  # long enough to be shut, and not bounced back

    opened_s = time.monotonic()
    pins.drive(wired["contact"], True)
    time.sleep(HELD_S - 2)
    pins.drive(wired["exit_button"], False)
    time.sleep(0.5)
    pressed_s = time.monotonic()
    pins.drive(wired["exit_button"], True)
    assert reminds(opened_s) - pressed_s > reminded_s - 0.5
    pins.drive(wired["contact"], False)
    time.sleep(3)

    fire_s = time.monotonic()
    pins.drive(wired["fire"], True)
    pins.drive(wired["contact"], True)
    time.sleep(2 * HELD_S)
    out_s = time.monotonic()
    pins.drive(wired["fire"], False)
    assert reminds(fire_s) - out_s > reminded_s
    rest(running, wired)
    assert pins.edges(wired["relay"], opened_s) == []


def in_mid_pulse(unit: QemuUnit, relay: int) -> float:
    """Show a green code and return, with the host's monotonic second, when its pulse has begun."""
    until_s = unit.show(unit.card.picture()) + SOON_S
    while not unit.pi.pins.driven_high(relay):
        assert time.monotonic() < until_s, unit.story()
        time.sleep(0.02)
    return time.monotonic()


def test_killed_in_mid_pulse_the_relay_pin_is_an_input_again(
    running: QemuUnit, wired: dict[str, int]
) -> None:
    pins = running.pi.pins
    on_s = in_mid_pulse(running, wired["relay"])
    running.kill("KILL")
    running.ended(code=137)
    assert pins.edges(wired["relay"], on_s) == [], "the pulse had ended by itself: too slow"
    for name in OUTPUTS:
        assert pins.function(wired[name]) == Function.INPUT, name

    # The code whose pulse this death has cut short is still held up at the next start.
    running.start()
    running.pi.run("soon 60 'grep -q ^used: /run/unit' || { cat /run/unit; false; }", 120)
    assert not pins.driven_high(wired["relay"])


def test_ended_in_mid_pulse_the_relay_goes_low_first(
    running: QemuUnit, wired: dict[str, int]
) -> None:
    pins = running.pi.pins
    on_s = in_mid_pulse(running, wired["relay"])
    running.kill("TERM")
    running.ended(code=0)
    off = pins.wait(wired["relay"], False, on_s, 0)
    assert off, running.story()
    assert off.at_s - on_s < UNLOCK_MS / 1000, "the pulse had ended by itself: too slow"
    for name in OUTPUTS:
        assert pins.function(wired[name]) == Function.INPUT, name
        assert not pins.level(wired[name]), name
