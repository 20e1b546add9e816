"""The direct door on the kernel's own driver of a Pi 3B's pins, in two boots: one where the kernel
takes a dead program's outputs back (dtparam=strict_gpiod), one where it keeps them, as Raspberry Pi
OS does unless told otherwise.
"""

import re
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w

from edge.wire.code import Colour
from edge.wire.unit import UNLOCK_MS_MAX
from tests.hardware.qemu.card import Card, install
from tests.hardware.qemu.machine import Pi
from tests.hardware.qemu.pins import Function
from tests.hardware.qemu.unit import Unit

pytestmark = [pytest.mark.hardware, pytest.mark.timeout(900)]

UNLOCK_MS = 6000
"""Long, so that a busy machine kills in mid-pulse too."""
SEEN_S = 60.0
"""The most between a picture before the camera and the relay; on an idle machine it takes 1 s."""
FREE = {"KILL": 4, "TERM": 18}  # pins that no door uses


@dataclass(frozen=True)
class Boots:
    """The same card in two kernels."""

    strict: Unit
    keeping: Unit


@pytest.fixture(scope="module")
def boots() -> Iterator[Boots]:
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="menshen-pi-")))
        card = Card(folder, "north-1")
        config = tomllib.loads((card.path / "unit.toml").read_text())
        config["door"]["unlock_ms"] = UNLOCK_MS
        (card.path / "unit.toml").write_text(tomli_w.dumps(config))
        contents = folder / "contents"
        install(contents)
        shutil.copytree(card.path, contents / "etc" / "menshen")
        started = []
        for keeps in "ny":
            (work := folder / keeps).mkdir()
            option = f"pinctrl_bcm2835.persist_gpio_outputs={keeps}"
            started.append(opened.enter_context(Pi(contents, work, option)))
        for pi in started:
            pi.ready()
        yield Boots(*(Unit(pi, card) for pi in started))


@pytest.fixture
def strict(boots: Boots) -> Unit:
    return boots.strict


@pytest.fixture
def keeping(boots: Boots) -> Unit:
    return boots.keeping


@pytest.fixture(scope="module")
def wired(boots: Boots) -> dict[str, int]:
    """The pins of the card, by what they are for."""
    pins: dict[str, int] = tomllib.loads((boots.strict.card.path / "unit.toml").read_text())["door"]["pins"]
    return pins


def killed_while_it_holds(pi: Pi, pin: int, signal: str) -> None:
    """A program that drives `pin` high by gpiozero dies of `signal`."""
    assert not pi.pins.driven_high(pin)
    pi.run(f"held {pin} >/run/held 2>&1 & held=$!")
    pi.run("soon 60 'test -s /run/held'", 120)
    assert pi.run("cat /run/held") == "LGPIOFactory 3B\n"
    assert pi.pins.driven_high(pin)
    pi.run(f"kill -{signal} $held; wait $held; true")


def test_the_driver_is_the_pis_own_and_tells_no_edges_here(strict: Unit) -> None:
    pi = strict.pi
    pi.run("chip >/run/chip 2>&1 & chip=$!")
    pi.run("soon 60 'grep \"^pinctrl-bcm2835 54$\" /run/chip' || cat /run/chip", 120)
    pi.pins.drive(4, True)
    pi.run("wait $chip")
    level_before, level_after, edges = pi.run("cat /run/chip").splitlines()[1].split()
    assert (level_before, level_after) == ("0", "1"), "a level from outside is read"
    assert edges == "0", "QEMU raises edges now: the README and these tests can say more"
    pi.pins.drive(4, False)


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_strict_kernel_takes_a_dead_programs_output_back(strict: Unit, signal: str) -> None:
    killed_while_it_holds(strict.pi, FREE[signal], signal)
    assert strict.pi.pins.function(FREE[signal]) == Function.INPUT


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_the_trap_a_keeping_kernel_leaves_it_driven_high(keeping: Unit, signal: str) -> None:
    killed_while_it_holds(keeping.pi, FREE[signal], signal)
    time.sleep(1)
    assert keeping.pi.pins.driven_high(FREE[signal])


def test_where_the_kernel_keeps_outputs_the_unit_refuses_and_says_why(
    keeping: Unit, wired: dict[str, int]
) -> None:
    pi = keeping.pi
    started_s = time.monotonic()
    said = pi.run("menshen-edge run /etc/menshen/unit.toml", 180, code=2)
    assert len(said.splitlines()) == 1, said
    assert "persist_gpio_outputs=Y" in said
    assert "dtparam=strict_gpiod" in said
    assert pi.pins.function(wired["relay"]) == Function.INPUT
    assert pi.pins.edges(wired["relay"], started_s) == []


def test_inputs_from_outside_are_seen(strict: Unit, wired: dict[str, int]) -> None:
    """Each input by its level, as the wire has it: QEMU has no pulls, so both levels are driven."""
    pi = strict.pi
    told_as = {"contact": "open", "exit_button": "exit", "fire": "fire", "help_button": "help",
               "tamper": "tamper"}  # fmt: skip
    loops = {"contact", "fire", "tamper"}  # closed to ground at rest: hardware/pins.toml
    for name in (*told_as, "turn", "turn_out"):
        pi.pins.drive(wired[name], name not in loops)

    def says(yes: str = "") -> None:
        """Wait until it says yes of this one, and no of all others."""
        wanted = " && ".join(
            f"echo $now | grep -q {field}={field == yes}" for field in told_as.values()
        )
        pi.run(f"soon 60 'now=$(tail -n 1 /run/inputs) && {wanted}' || {{ cat /run/inputs; false; }}", 120)

    pi.run("inputs >/run/inputs 2>&1 & inputs=$!")
    try:
        says()
        for name, field in told_as.items():
            pi.pins.drive(wired[name], name in loops)
            says(field)
            pi.pins.drive(wired[name], name not in loops)
            says()
    finally:
        pi.run("kill $inputs; wait $inputs; true")


def test_a_green_code_pulses_the_relay_and_a_refused_one_does_not(
    strict: Unit, wired: dict[str, int]
) -> None:
    pins = strict.pi.pins
    started_s = time.monotonic()
    strict.start()
    assert [pins.function(wired[name]) for name in ("relay", "green", "red", "buzzer")] == [1] * 4
    assert pins.edges(wired["relay"], started_s) == [], "a glitch at the start"

    for forged, colour in ((True, Colour.GREEN), (False, Colour.RED)):
        shown_s = strict.show(strict.card.picture(colour, forged))
        red = pins.wait(wired["red"], True, shown_s, SEEN_S)
        assert red, strict.said() + strict.pi.console()
        dark = pins.wait(wired["red"], False, red.at_s, SEEN_S)
        assert dark
        assert 1.9 < dark.at_s - red.at_s < UNLOCK_MS_MAX / 1000
        assert pins.edges(wired["green"], shown_s) == []
    assert pins.edges(wired["relay"], started_s) == []

    shown_s = strict.show(strict.card.picture())
    on = pins.wait(wired["relay"], True, shown_s, SEEN_S)
    assert on, strict.said() + strict.pi.console()
    assert pins.wait(wired["green"], True, shown_s, SEEN_S)
    assert pins.wait(wired["buzzer"], True, shown_s, SEEN_S)
    off = pins.wait(wired["relay"], False, on.at_s, SEEN_S)
    assert off
    assert UNLOCK_MS / 1000 - 0.2 < off.at_s - on.at_s < UNLOCK_MS_MAX / 1000
    assert pins.wait(wired["green"], False, on.at_s, SEEN_S)
    assert pins.edges(wired["red"], shown_s) == []
    print(f"picture to relay {on.at_s - shown_s:.2f} s, pulse {off.at_s - on.at_s:.3f} s")
    said = re.findall(r"^[\w-]+: (opens|stays shut)", strict.said(), re.MULTILINE)
    assert said == ["stays shut", "stays shut", "opens"], strict.said()


def in_mid_pulse(unit: Unit, relay: int) -> float:
    """Show a green code and return, with the host's monotonic second, when its pulse has begun."""
    until_s = unit.show(unit.card.picture()) + SEEN_S
    while not unit.pi.pins.driven_high(relay):
        assert time.monotonic() < until_s, unit.said() + unit.pi.console()
        time.sleep(0.02)
    return time.monotonic()


def test_killed_in_mid_pulse_the_relay_pin_is_an_input_again(
    strict: Unit, wired: dict[str, int]
) -> None:
    pins = strict.pi.pins
    on_s = in_mid_pulse(strict, wired["relay"])
    strict.kill("KILL")
    strict.ended(code=137)
    assert pins.edges(wired["relay"], on_s) == [], "the pulse had ended by itself: too slow"
    for name in ("relay", "green", "red", "buzzer"):
        assert pins.function(wired[name]) == Function.INPUT, name


def test_ended_in_mid_pulse_the_relay_goes_low_first(strict: Unit, wired: dict[str, int]) -> None:
    """The unit starts again with the code still held up whose pulse its death cut short."""
    pins = strict.pi.pins
    strict.start()
    strict.pi.run("ps; cat /run/unit; ls -la /run/menshen; sleep 8; cat /run/unit")
    on_s = in_mid_pulse(strict, wired["relay"])
    strict.kill("TERM")
    strict.ended(code=0)
    off = pins.wait(wired["relay"], False, on_s, 0)
    assert off
    assert off.at_s - on_s < UNLOCK_MS / 1000, "the pulse had ended by itself: too slow"
    for name in ("relay", "green", "red", "buzzer"):
        assert pins.function(wired[name]) == Function.INPUT, name
        assert not pins.level(wired[name]), name
    assert 0, strict.said()+strict.pi.console()
