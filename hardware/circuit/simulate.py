"""Simulates the board with ngspice, from the netlist that KiCad exports of the schematic.

The netlist has the connections and each part's value; models.lib has the models of the parts.
"""

import subprocess
import tempfile
import xml.etree.ElementTree as ET  # the file is our own, written by kicad-cli
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent

PAGES_LEFT_OUT = ("/Inputs/", "/Lights, sounder, illuminator/")
"""Pages without a part that affects the relay."""

PARTS_LEFT_OUT = {
    "U7",
    "C11",
    "R14",
    "R15",
    "R16",
    "R17",
    "R18",
    "JP1",
    "JP2",
    "JP3",
    "D8",
    "J3",
    "J1",
    "F3",
}

SUFFIX = {"k": 1e3, "M": 1e6, "u": 1e-6, "n": 1e-9, "p": 1e-12}
DIODES = {"1N4148": "D1N4148", "1N4007": "D1N4007", "SS34": "DSS34", "SMBJ15A": "DSMBJ15A"}

Wave = list[tuple[float, float]]
"""A voltage or a switch over time: straight lines between points (seconds, volts)."""


class Netlist:
    """The netlist of kicad-cli: each part's value and page, and the net of each of its pins."""

    def __init__(self, xml: Path) -> None:
        root = ET.parse(xml).getroot()  # noqa: S314
        self.value: dict[str, str] = {}
        self.page: dict[str, str] = {}
        for part in root.iter("comp"):
            path = part.find("sheetpath")
            self.value[part.attrib["ref"]] = part.findtext("value", "")
            self.page[part.attrib["ref"]] = "" if path is None else path.attrib["names"]
        self.net: dict[tuple[str, str], str] = {}
        for net in root.iter("net"):
            for pin in net.iter("node"):
                self.net[pin.attrib["ref"], pin.attrib["pin"]] = net.attrib["name"]

    def nodes(self, reference: str, *pins: str) -> str:
        """Return the nodes of these pins for an ngspice line."""
        return " ".join(node(self.net[reference, pin]) for pin in pins)


def node(net: str) -> str:
    """Return ngspice's name for a net. The door's ground is node 0."""
    if net == "GND_DOOR":
        return "0"
    if net == "GND":
        return "gnd_pi"  # "gnd" would be node 0 as well
    last = net.rsplit("/", 1)[-1].lower()
    return "n_" + "".join(c if c.isalnum() else "_" for c in last).strip("_")


def number(value: str) -> float:
    """Parse ohms or farads: 4k7, 261k 1%, 220n, 100."""
    word = value.split()[0]
    for letter, factor in SUFFIX.items():
        if letter in word:
            whole, part = word.split(letter)
            return float(f"{whole}.{part or 0}") * factor
    return float(word)


@dataclass(frozen=True)
class CircuitCase:
    """One run. Times in seconds; a switch is closed where its wave is 1."""

    pin: Wave
    end_s: float
    supply: Wave = field(default_factory=lambda: [(0, 0), (0.02, 12)])
    fire: Wave = field(default_factory=lambda: [(0, 1)])
    exit_closes: Wave = field(default_factory=lambda: [(0, 0)])
    exit_opens: Wave = field(default_factory=lambda: [(0, 1)])
    pin_ohm: float = 30  # source resistance at the pin; 1e12: not driven
    pull_up_ohm: float = 1e12  # a pull-up inside the chip
    without: frozenset[str] = frozenset()  # parts removed
    ctr: float = 1.0  # current gain of an aged LTV-817C
    up: float = 0.52  # the 74HC14's thresholds, as fractions of its supply
    down: float = 0.34
    timer: float = 1.0  # error factor of the LTC6994
    r6: float = 1.0  # error factor of R6
    c1: float = 1.0
    henry: float = 0.5


def _wave(wave: Wave) -> str:
    points = [f"{t:.9g} {v:.9g}" for t, v in wave]
    return "PWL(" + " ".join(points) + ")"


def square(*edges_s: float, volts: float = 3.3) -> Wave:
    """Return a wave: low, high from the first time on, low from the second, and so on."""
    wave, level = [(0.0, 0.0)], 0.0
    for edge in edges_s:
        wave += [(edge, level), (edge + 1e-6, volts - level)]
        level = volts - level
    return wave


def deck(nets: Netlist, case: CircuitCase) -> list[str]:
    """Return the circuit as ngspice's lines."""
    lines = ["menshen board", f'.include "{HERE / "models.lib"}"', "Rground gnd_pi 0 1meg"]
    for ref in nets.value:
        value, kind = nets.value[ref], ref.rstrip("0123456789")
        if nets.page[ref] in PAGES_LEFT_OUT or ref in PARTS_LEFT_OUT or ref in case.without:
            continue
        if kind == "R":
            ohm = number(value) * (case.r6 if ref == "R6" else 1)
            lines.append(f"{ref} {nets.nodes(ref, '1', '2')} {ohm:.9g}")
        elif kind == "C":
            farad = number(value) * (case.c1 if ref == "C1" else 1)
            lines.append(f"{ref} {nets.nodes(ref, '1', '2')} {farad:.9g}")
        elif kind == "F":
            lines.append(f"R{ref} {nets.nodes(ref, '1', '2')} 0.05")
        elif value in DIODES:
            lines.append(f"{ref} {nets.nodes(ref, '2', '1')} {DIODES[value]}")
        elif value == "SMBJ33CA":
            lines.append(f"{ref}a {node(nets.net[ref, '1'])} {ref}m DSMBJ33")
            lines.append(f"{ref}b {node(nets.net[ref, '2'])} {ref}m DSMBJ33")
        elif value == "LED green":
            lines.append(f"{ref} {nets.nodes(ref, '2', '1')} DLEDGREEN")
        elif value == "AO3400A":
            lines.append(f"M{ref} {nets.nodes(ref, '3', '1', '2')} AO3400A")
        elif value == "LTV-817C":
            lines.append(f"X{ref} {nets.nodes(ref, '1', '2', '4', '3')} OPTO ctr={case.ctr}")
        elif value == "74HC14":
            gates = (("1", "2"), ("3", "4"), ("5", "6"), ("9", "8"), ("11", "10"), ("13", "12"))
            for gate in gates:
                pins = nets.nodes(ref, *gate, "14", "7")
                lines.append(f"X{ref}_{gate[0]} {pins} HC14 up={case.up} down={case.down}")
        elif value == "74HC10":
            for nand in (("1", "2", "13", "12"), ("3", "4", "5", "6"), ("9", "10", "11", "8")):
                lines.append(f"X{ref}_{nand[0]} {nets.nodes(ref, *nand, '14', '7')} HC10")
        elif value == "LTC6994-1":
            pins = nets.nodes(ref, "1", "2", "3", "4", "5", "6")
            lines.append(f"X{ref} {pins} LTC6994 error={case.timer}")
        elif value == "MAX809M":
            lines.append(f"X{ref} {nets.nodes(ref, '2', '3', '1')} MAX809")
        elif value == "78L05":
            lines.append(f"X{ref} {nets.nodes(ref, '3', '2', '1')} L78L05")
        elif value == "G5LE-1 DC12":
            lines.append(
                f"X{ref} {nets.nodes(ref, '2', '5', '1', '3', '4')} RELAY henry={case.henry}"
            )
        elif kind != "J":
            raise SystemExit(f"{ref} ({value}) has no model in simulate.py")
    lines += _outside(nets, case)
    return lines


def _outside(nets: Netlist, case: CircuitCase) -> list[str]:
    """Return the parts at the terminals: supplies, pin, fire panel, buttons, locks."""
    lock_plus, lock_minus = nets.nodes("J4", "1"), nets.nodes("J4", "2")
    lines = [
        f"Vsupply {nets.nodes('J2', '1', '2')} {_wave(case.supply)}",
        f"Vlock {lock_plus} {lock_minus} 12",
        f"Rfloat {lock_minus} 0 1meg",
        f"Vpin pin0 gnd_pi {_wave(case.pin)}",
        f"Rpin pin0 n_relay {case.pin_ohm:g}",
        "Vrail rail3 gnd_pi 3.3",
        f"Rpull rail3 n_relay {case.pull_up_ohm:g}",
        ".model CLOSES SW(vt=0.5 vh=0.1 ron=0.05 roff=100meg)",
        # a strike: 24 ohm and 50 mH; a magnet: 24 ohm and 0.5 H. Both are assumed.
        f"Rstrike {nets.nodes('J6', '1')} strike 24",
        f"Lstrike strike {nets.nodes('J6', '2')} 50m",
        f"Rmagnet {nets.nodes('J7', '1')} magnet 24",
        f"Lmagnet magnet {nets.nodes('J7', '2')} 500m",
    ]
    for name, screws, wave in (
        ("fire", "J5", case.fire),
        ("exit_closes", "J9", case.exit_closes),
        ("exit_opens", "J8", case.exit_opens),
    ):
        lines.append(f"V{name} {name}0 0 {_wave(wave)}")
        lines.append(f"S{name} {nets.nodes(screws, '1', '2')} {name}0 0 CLOSES")
    return lines


COLUMNS = {
    "pin": "v(n_relay,gnd_pi)",
    "pulse": "v(n_pulse)",
    "held": "v(n_held)",
    "time_up": "v(n_time_up)",
    "done": "v(n_done)",
    "armed": "v(n_armed)",
    "time_left": "v(n_time_left)",
    "power_ok": "v(n_power_ok)",
    "run": "v(n_run)",
    "drain": "v(n_coil)",
    "supply": "v(n_12v)",
    "coil_ma": "1000*i(l.xk1.lcoil)",
    "strike_a": "i(lstrike)",
    "magnet_a": "i(lmagnet)",
    "led_ma": "1000*i(v.xu1.vled)",
}


def run(nets: Netlist, case: CircuitCase, step_s: float = 2e-3) -> dict[str, np.ndarray]:
    """Simulate; columns by name, and `t` in seconds. Raises RuntimeError with its output."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        lines = [
            *deck(nets, case),
            ".options method=gear reltol=1e-3 abstol=1e-9 vntol=1e-5 gmin=1e-10 itl4=200",
            ".control",
            "set wr_singlescale",
            "set numdgt=7",
            f"tran {step_s:g} {case.end_s:g} 0 {step_s * 5:g} uic",
            *(f"let {name} = {expression}" for name, expression in COLUMNS.items()),
            f"wrdata {out} {' '.join(COLUMNS)}",
            "quit",
            ".endc",
            ".end",
        ]
        file = Path(folder) / "deck.cir"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        result = subprocess.run(
            ["ngspice", "-b", str(file)], capture_output=True, text=True, timeout=240, check=False
        )
        data = Path(f"{out}.data") if Path(f"{out}.data").exists() else out
        if not data.exists():
            raise RuntimeError(
                f"ngspice wrote no data:\n{result.stdout[-2000:]}{result.stderr[-3000:]}"
            )
        table = np.loadtxt(data)
    columns = {"t": table[:, 0]}
    columns |= {name: table[:, i] for i, name in enumerate(COLUMNS, 1)}
    if columns["t"][-1] < case.end_s * 0.999:
        raise RuntimeError(f"ngspice stopped at {columns['t'][-1]} s: {result.stderr[-2000:]}")
    return columns
