"""The relay board: KiCad's own rules check, and ngspice on the netlist that KiCad exports."""

import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.adapters.door.gpio_door import REST_S
from edge.wire.unit import UNLOCK_MS_MAX
from firmware import guard
from hardware.circuit import kicad, make, simulate
from hardware.circuit.simulate import CircuitCase, Netlist, Wave, run, square
from tests.hardware import trixie

HERE = Path(make.__file__).parent
README = HERE / "README.md"

# LTC6994 (699412fb), Features: error up to 2.3 % for delays above 512 us; 1 % is kept for the
# supply. R6 is a 1 % part of 100 ppm/K, 45 K from room temperature.
TIMER = 0.023 + 0.01
R6 = 0.01 + 45 * 100e-6
# 74HC14 at 4.5 V (74HC1G14, table 7): VT+ 1.7 to 3.15 V, VT- 0.9 to 2.0 V, as parts of the supply.
THRESHOLDS = ((1.7 / 4.5, 0.9 / 4.5), (3.15 / 4.5, 2.0 / 4.5), (2.36 / 4.5, 1.53 / 4.5))
# G5LE datasheet: pulls in at 75 % of 33.3 mA at the latest, lets go at 10 % at the latest.
PULLS_IN_MA, LETS_GO_MA = 25.0, 3.3


# The drawing, without KiCad.


def test_the_files_are_what_make_draws(tmp_path: Path) -> None:
    make.main(tmp_path)
    for drawn in tmp_path.iterdir():
        assert drawn.read_text() == (HERE / drawn.name).read_text(), drawn.name


def test_each_part_can_be_bought_from_two_makers_and_the_one_that_cannot_says_so() -> None:
    lines = [line.split(",") for line in (HERE / "parts.csv").read_text().splitlines()]
    assert lines[0] == ["references", "value", "part", "maker", "second_source", "package"]
    references = [r for line in lines[1:] for r in line[0].split()]
    assert len(references) == len(set(references))
    alone = []
    for names, value, part, maker, second, package in lines[1:]:
        assert names and value and part and maker and second and package
        if "no second maker" in second:
            alone.append(names)
    assert alone == ["U3"]
    assert "U3" in README.read_text()


def test_the_header_has_the_names_of_the_pins() -> None:
    pins = msgspec.toml.decode((HERE.parent / "pins.toml").read_bytes())
    link = {"uart_tx", "uart_rx", "rs485_de"}
    on_the_pico_alone = {"rearm", "pairing", "heartbeat"}
    assert set(make.HEADER) - {"+3V3", "GND"} == set(pins["pins"]) | link
    assert set(pins["pins"]) | link | on_the_pico_alone >= set(pins["controller"])


def test_the_limit_is_longer_than_any_pulse_asked_for_and_its_worst_case_is_on_the_page() -> None:
    value = make.values()
    r6, r7, r8 = (simulate.number(value[r]) for r in ("R6", "R7", "R8"))
    code = 16 * r8 / (r7 + r8)
    low = 16 * r8 * 0.98 / (r7 + r8 * 0.98)  # both resistors at the worst ends of 1 %
    high = 16 * r8 * 1.02 / (r7 + r8 * 1.02)
    assert 7 < low < code < high < 8
    nominal = 8 ** int(code) * 1e-6 * r6 / 50e3
    shortest, longest = nominal * (1 - TIMER) * (1 - R6), nominal * (1 + TIMER) * (1 + R6)
    assert shortest > 1.02 * max(UNLOCK_MS_MAX, guard.PULSE_MS_MAX) / 1000
    assert f"{shortest:.1f} to {longest:.1f} s" in README.read_text()
    assert (round(shortest, 1), round(longest, 1)) == (10.4, 11.5)


# KiCad.


@pytest.fixture(scope="module")
def drawing() -> Iterator[Path]:
    trixie.has("kicad")
    with kicad.working_copy() as folder:
        yield folder


@pytest.fixture(scope="module")
def nets(drawing: Path) -> Netlist:
    if not shutil.which("ngspice"):
        pytest.fail("ngspice is missing; run: make .cache/apt-circuit")
    return Netlist(kicad.netlist(drawing))


@pytest.mark.hardware
def test_the_rules_check_finds_nothing_and_nothing_is_excluded(drawing: Path) -> None:
    assert kicad.violations(drawing) == []
    assert "exclu" not in (HERE / "board.kicad_pro").read_text()
    assert "severit" not in (HERE / "board.kicad_pro").read_text()


@pytest.mark.hardware
def test_the_rules_check_would_find_a_wire_that_is_missing() -> None:
    trixie.has("kicad")
    with kicad.working_copy() as folder:
        page = folder / "relay.kicad_sch"
        wires = re.findall(r"^\(wire .*$", page.read_text(), re.M)
        page.write_text(page.read_text().replace(wires[0] + "\n", "", 1))
        assert any("not connected" in line for line in kicad.violations(folder))


@pytest.mark.hardware
def test_the_pages_are_those_that_kicad_draws(drawing: Path) -> None:
    for name, svg in kicad.pages(drawing).items():
        assert svg == (HERE / f"{name}.svg").read_text(), f"{name}.svg is old; run: make circuit"
        png = (HERE / f"{name}.png").read_bytes()
        assert png.startswith(b"\x89PNG") and len(png) > 50_000


def _reaches(nets: Netlist, start: str, without: set[str]) -> set[str]:
    """The nets that a current from `start` might get to, through any part that is not `without`."""
    pins: dict[str, list[str]] = {}
    for (ref, _), net in nets.net.items():
        if ref not in without:
            pins.setdefault(ref, []).append(net)
    found, new = {start}, [start]
    while new:
        net = new.pop()
        for joined in pins.values():
            if net in joined:
                new += [n for n in joined if n not in found]
                found |= set(joined)
    return found


@pytest.mark.hardware
def test_no_way_from_the_locks_supply_to_a_lock_goes_past_the_fire_contact(nets: Netlist) -> None:
    supply = nets.net["J4", "1"]
    locks = {nets.net[j, "1"] for j in ("J6", "J7")}
    minus = {"J4"}  # the supply itself
    assert locks <= _reaches(nets, supply, minus)
    assert not locks & _reaches(nets, supply, minus | {"J5"})
    assert not locks & _reaches(nets, supply, minus | {"F2"})


@pytest.mark.hardware
def test_three_sides_that_only_light_and_magnetism_join(nets: Netlist) -> None:
    optos = {ref for ref, value in nets.value.items() if value == "LTV-817C"}
    apart = optos | {"K1"}
    computer = _reaches(nets, "GND", apart)
    door = _reaches(nets, "GND_DOOR", apart)
    lock = _reaches(nets, nets.net["J4", "1"], apart | {"J4"})
    assert {"+3V3", "relay", "contact"} <= computer
    assert {"+12V", "+5V"} <= door
    assert not computer & door and not computer & lock and not door & lock


@pytest.mark.hardware
def test_where_bring_up_measures_the_logics_supply_it_is(nets: Netlist) -> None:
    found = re.search(r"legs of (C\d+) of the board", (HERE.parent / "bring-up.md").read_text())
    assert found
    assert {nets.net[found[1], "1"], nets.net[found[1], "2"]} == {"+5V", "GND_DOOR"}


@pytest.mark.hardware
def test_the_lamps_have_a_fuse_that_goes_before_the_boards(nets: Netlist) -> None:
    """A shorted lamp must not take inputs and relay with it: quick and smaller before slow."""
    lamps = {nets.net[f"J2{i}", "1"] for i in range(1, 5)}
    assert lamps == {"+12V_LAMPS"}
    joined = {ref: {n for (r, _), n in nets.net.items() if r == ref} for ref in nets.value}
    assert [r for r, found in joined.items() if {"+12V", "+12V_LAMPS"} <= found] == ["F3"]
    assert nets.value["F3"].endswith("A F") and nets.value["F1"].endswith("A T")
    assert 1.5 * float(nets.value["F3"][:-3]) < float(nets.value["F1"][:-3])


# ngspice, on that netlist.


def _on(found: dict[str, np.ndarray]) -> list[tuple[float, float]]:
    """When the relay was on: from where it surely pulls in to where it surely has let go."""
    spans: list[tuple[float, float]] = []
    start = None
    for t, current in zip(found["t"], found["coil_ma"], strict=True):
        if start is None and current > LETS_GO_MA:
            start = t
        elif start is not None and current < LETS_GO_MA:
            spans.append((start, t))
            start = None
    return [*spans, (start, math.inf)] if start is not None else spans


@pytest.mark.hardware
@pytest.mark.parametrize("worst", [-1, 1])
def test_a_pin_that_stays_high_ends_by_itself(nets: Netlist, worst: int) -> None:
    case = CircuitCase(square(0.5), 12.5, timer=1 + worst * TIMER, r6=1 + worst * R6)
    [(start, end)] = _on(run(nets, case))
    assert start == pytest.approx(0.5, abs=0.01)
    assert UNLOCK_MS_MAX / 1000 + 0.4 < end - start < 11.5


@pytest.mark.hardware
def test_a_pin_that_flickers_gets_no_new_time(nets: Netlist) -> None:
    low_s = 0.05
    edges = [t for i in range(6) for t in (0.5 + 2 * i, 2.5 + 2 * i - low_s)] + [12.5]
    spans = _on(run(nets, CircuitCase(square(*edges), 13)))
    assert len(spans) == 6
    assert spans[-1][1] - spans[0][0] < 11.5


@pytest.mark.hardware
@pytest.mark.parametrize("ctr", [0.4, 4])
def test_a_pulse_ends_with_the_pin(nets: Netlist, ctr: float) -> None:
    found = run(nets, CircuitCase(square(0.5, 1.5, 1.75, 2.25), 2.5, ctr=ctr))
    first, second = _on(found)
    assert first == pytest.approx((0.5, 1.5), abs=0.01)
    assert second == pytest.approx((1.75, 2.25), abs=0.01)
    on = (found["t"] > 0.6) & (found["t"] < 1.4)
    assert found["coil_ma"][on].min() > PULLS_IN_MA
    assert found["led_ma"].max() < 8  # what the pin gives


@pytest.mark.hardware
@pytest.mark.parametrize(("up", "down"), THRESHOLDS)
@pytest.mark.parametrize("c1", [0.9, 1.1])
def test_the_rest_that_the_program_keeps_is_long_enough(
    nets: Netlist, up: float, down: float, c1: float
) -> None:
    found = run(nets, CircuitCase(square(0.5, 0.7), 1.1, up=up, down=down, c1=c1))
    after = found["t"] > 0.7
    falls = float(found["t"][after][np.argmax(found["held"][after] < 1)]) - 0.7
    assert 0.05 < falls < 0.19
    assert falls < REST_S - 0.05 and falls < guard.REST_MS_MIN / 1000 - 0.05


POWER_UP: dict[str, Wave] = {
    "at once": [(0, 0), (0.1, 0), (0.1001, 12)],
    "slowly": [(0, 0), (1.5, 12)],
    "with a bounce": [(0, 0), (0.1, 12), (0.15, 12), (0.16, 3), (0.2, 3), (0.21, 12)],
}


@pytest.mark.hardware
@pytest.mark.parametrize("supply", POWER_UP.values(), ids=POWER_UP)
@pytest.mark.parametrize("volts", [0, 3.3], ids=["pin low", "pin high"])
def test_nothing_opens_when_the_supply_comes(nets: Netlist, supply: Wave, volts: float) -> None:
    found = run(nets, CircuitCase([(0, volts)], 2.5, supply))
    assert found["coil_ma"].max() < 0.1
    assert found["power_ok"][-1] > 4.5


@pytest.mark.hardware
def test_a_pin_that_was_high_at_power_up_opens_after_it_has_been_low(nets: Netlist) -> None:
    pin = [(0, 3.3), (1, 3.3), (1.001, 0), (1.25, 0), (1.251, 3.3)]
    [(start, _)] = _on(run(nets, CircuitCase(pin, 2)))
    assert start == pytest.approx(1.25, abs=0.01)


@pytest.mark.hardware
def test_after_a_dip_of_the_supply_a_held_pin_stays_at_rest(nets: Netlist) -> None:
    dip = [(0, 0), (0.02, 12), (1, 12), (1.01, 4), (1.1, 4), (1.11, 12)]
    [(_, end)] = _on(run(nets, CircuitCase(square(0.5), 3, dip)))
    assert end < 1.1


@pytest.mark.hardware
def test_a_supply_that_goes_leaves_the_relay_at_rest(nets: Netlist) -> None:
    gone = [(0, 0), (0.02, 12), (1, 12), (1.01, 0)]
    [(_, end)] = _on(run(nets, CircuitCase(square(0.5), 2, gone)))
    assert end < 1.15


@pytest.mark.hardware
@pytest.mark.parametrize("pull_up_ohm", [1e12, 50e3], ids=["floating", "pulled up by the chip"])
def test_a_pin_that_nobody_drives_opens_nothing(nets: Netlist, pull_up_ohm: float) -> None:
    found = run(nets, CircuitCase([(0, 0)], 1.5, pin_ohm=1e12, pull_up_ohm=pull_up_ohm))
    assert found["coil_ma"].max() < 0.1
    assert found["led_ma"].max() < 0.01
    assert found["pin"].max() < 0.6


@pytest.mark.hardware
@pytest.mark.parametrize("henry", [0.1, 0.5, 2])
def test_what_the_coil_gives_back_is_caught(nets: Netlist, henry: float) -> None:
    case = CircuitCase(square(0.5, 0.8), 1, henry=henry)
    assert run(nets, case)["drain"].max() < 14


@pytest.mark.hardware
def test_without_its_diode_the_coil_would_break_the_transistor_through(nets: Netlist) -> None:
    case = CircuitCase(square(0.5, 0.8), 1, without=frozenset({"D2"}))
    assert run(nets, case)["drain"].max() > 30


def _flows(found: dict[str, np.ndarray], lock: str, at_s: float) -> bool:
    return bool(np.interp(at_s, found["t"], found[lock]) > 0.1)


@pytest.mark.hardware
def test_pin_buttons_and_fire_contact_do_to_each_kind_of_lock_what_they_should(
    nets: Netlist,
) -> None:
    found = run(
        nets,
        CircuitCase(
            square(0.5, 1.0, 2.5, 5),
            4,
            exit_closes=[(0, 0), (1.5, 0), (1.501, 1), (2.0, 1), (2.001, 0)],
            exit_opens=[(0, 1), (1.5, 1), (1.501, 0), (2.0, 0), (2.001, 1)],
            fire=[(0, 1), (3, 1), (3.001, 0)],
        ),
    )
    opens, holds = "strike_a", "magnet_a"  # by current
    assert not _flows(found, opens, 0.45) and _flows(found, holds, 0.45)  # at rest: locked
    assert _flows(found, opens, 0.9) and not _flows(found, holds, 0.9)  # a pulse
    assert not _flows(found, opens, 1.4) and _flows(found, holds, 1.4)
    assert _flows(found, opens, 1.9) and not _flows(found, holds, 1.9)  # the exit button
    assert _flows(found, opens, 2.9)  # a pulse again
    for at_s in (3.1, 3.5, 3.9):  # fire, in mid-pulse: no lock has current
        assert not _flows(found, opens, at_s) and not _flows(found, holds, at_s)
