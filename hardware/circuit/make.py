"""Draws the board: `python -m hardware.circuit.make` writes the KiCad files to this folder.

README.md has the reason for each part, parts.csv its type. Coordinates are grid steps of 2.54 mm
(sheet.py).
"""

import csv
import json
from pathlib import Path

from hardware.circuit.sheet import LIBRARY, SchematicSheet, library

HERE = Path(__file__).parent
PROJECT = "board"

HEADER = (
    *("+3V3", "GND", "relay", "GND", "green", "red", "buzzer", "illuminator", "turn", "turn_out"),
    *("contact", "exit_button", "fire", "help_button", "tamper", "GND"),
    *("uart_tx", "uart_rx", "rs485_de", "GND"),
)
"""J1, pins 1 to 20: names in hardware/pins.toml."""

INPUTS = ("contact", "fire", "tamper", "exit_button", "help_button", "turn", "turn_out")
OUTPUTS = ("green", "red", "buzzer", "illuminator")


def values() -> dict[str, str]:
    """Return the value of each reference, from parts.csv."""
    with (HERE / "parts.csv").open(encoding="utf-8", newline="") as file:
        return {
            reference: row["value"]
            for row in csv.DictReader(file)
            for reference in row["references"].split()
        }


def relay(s: SchematicSheet) -> None:
    """Draw the page from the pin to the coil."""
    s.section(
        "1  From the pin",
        *(6, 10, 52, 34),
        "An open or floating pin lights no LED: R1 pulls it down, and\nthe LED needs milliamperes.",
    )
    s.net("relay", (10, 22), "left", everywhere=True)
    r1 = s.part("R1", "R", 15, 26)
    s.wire((10, 22), (15, 22), r1["1"])
    s.rail("GND", r1["2"])
    r2 = s.part("R2", "R", 21, 22, 90)
    u1 = s.part("U1", "OPTO", 30, 23)
    s.wire((15, 22), r2["1"])
    s.wire(r2["2"], u1["1"])
    s.rail("GND", (27, 28))
    s.wire(u1["2"], (27, 28))
    s.rail("GND_DOOR", (33, 28))
    s.wire(u1["3"], (33, 28))
    r3 = s.part("R3", "R", 35, 18)
    s.rail("+5V", r3["1"])
    u2a = s.part("U2", "74HC14", 42, 22, unit=1)
    s.wire(u1["4"], u2a["1"])
    s.wire(r3["2"], (35, 22))
    s.wire(u2a["2"], (47, 22))
    s.net("PULSE", (47, 22))

    s.section(
        "2  Held",
        *(54, 10, 106, 34),
        "HELD rises with PULSE and falls when PULSE has been low for 0.06 to 0.18 s.\n"
        "So a flicker of the pin does not restart the time.",
    )
    s.net("PULSE", (60, 22), "left")
    r4 = s.part("R4", "R", 63, 22, 90)
    d1 = s.part("D1", "D", 68, 22, 180)
    s.wire((60, 22), r4["1"])
    s.wire(r4["2"], d1["2"])
    c1 = s.part("C1", "C", 72, 26)
    r5 = s.part("R5", "R", 77, 26)
    u2b = s.part("U2", "74HC14", 84, 22, unit=2)
    u2c = s.part("U2", "74HC14", 93, 22, unit=3)
    s.wire(d1["1"], u2b["3"])
    s.wire((72, 22), c1["1"])
    s.wire((77, 22), r5["1"])
    s.rail("GND_DOOR", c1["2"])
    s.rail("GND_DOOR", r5["2"])
    s.net("STORE", (78, 22))
    s.wire(u2b["4"], u2c["5"])
    s.wire(u2c["6"], (99, 22))
    s.net("HELD", (99, 22))

    s.section(
        "3  The limit",
        *(108, 10, 159, 41),
        "TIME_UP rises 10.9 s (10.4 to 11.5) after HELD rose, and falls with HELD.\n"
        "t = 2^21 x R6 / 50k x 1 us; R7, R8 choose the 2^21.",
    )
    u3 = s.part("U3", "LTC6994-1", 126, 24)
    s.net("HELD", (114, 22), "left")
    s.wire((114, 22), u3["1"])
    r6 = s.part("R6", "R", 116, 30)
    s.wire(u3["3"], (116, 26), r6["1"])
    s.rail("GND_DOOR", r6["2"])
    s.rail("+5V", u3["5"])
    s.rail("GND_DOOR", (124, 30))
    s.wire(u3["2"], (124, 30))
    r7 = s.part("R7", "R", 137, 29)
    r8 = s.part("R8", "R", 137, 35)
    s.rail("+5V", r7["1"])
    s.wire(r7["2"], r8["1"])
    s.wire(u3["4"], (128, 32), (137, 32))
    s.rail("GND_DOOR", r8["2"])
    u2d = s.part("U2", "74HC14", 146, 22, unit=4)
    s.wire(u3["6"], u2d["9"])
    s.net("TIME_UP", (133, 22))
    s.wire(u2d["8"], (151, 22))
    s.net("TIME_LEFT", (151, 22))

    s.section(
        "4  Supply monitor",
        *(6, 43, 52, 78),
        "Low below 4.38 V and for 0.14 to 0.56 s after.",
    )
    u4 = s.part("U4", "MAX809", 24, 58)
    s.rail("+5V", u4["3"])
    s.rail("GND_DOOR", u4["1"])
    s.wire(u4["2"], (35, 58))
    s.net("POWER_OK", (35, 58))

    s.section(
        "5  Done",
        *(54, 43, 106, 78),
        "Set at the end of the time and while the supply is not good; cleared only when\n"
        "HELD is low. Setting has priority: a pin that is high at power-up opens nothing.",
    )
    u5a = s.part("U5", "74HC10", 80, 58, unit=1)
    u5b = s.part("U5", "74HC10", 80, 72, unit=2)
    for name, pin in (("POWER_OK", u5a["1"]), ("TIME_LEFT", u5a["2"]), ("HELD", u5b["5"])):
        s.wire((68, pin[1]), pin)
        s.net(name, (68, pin[1]), "left")
    s.wire(u5a["12"], (86, 58), (86, 65), (73, 65), (73, 70), u5b["3"])
    s.wire((73, 70), (73, 72), u5b["4"])
    s.wire(u5b["6"], (86, 72), (86, 67), (70, 67), (70, 60), u5a["13"])
    s.net("ARMED", (86, 72))
    u2e = s.part("U2", "74HC14", 93, 58, unit=5)
    s.wire((86, 58), u2e["11"])
    s.net("DONE", (86.5, 58))
    s.wire(u2e["10"], (98, 58))
    s.net("NOT_DONE", (98, 58))

    s.section(
        "6  The relay",
        *(108, 43, 159, 78),
        "On while PULSE and NOT_DONE and POWER_OK. R10 holds Q1 off when the logic\n"
        "has no supply. D2 takes the coil's current when Q1 turns off.",
    )
    u5c = s.part("U5", "74HC10", 122, 64, unit=3)
    for name, pin in (("PULSE", u5c["9"]), ("NOT_DONE", u5c["10"]), ("POWER_OK", u5c["11"])):
        s.wire((116, pin[1]), pin)
        s.net(name, (116, pin[1]), "left")
    u2f = s.part("U2", "74HC14", 130, 64, unit=6)
    s.wire(u5c["8"], u2f["13"])
    r9 = s.part("R9", "R", 137, 64, 90)
    s.wire(u2f["12"], r9["1"])
    s.net("RUN", (133, 64))
    r10 = s.part("R10", "R", 141, 69)
    q1 = s.part("Q1", "NMOS", 146, 64)
    s.wire(r9["2"], q1["1"])
    s.wire((141, 64), r10["1"])
    s.rail("GND_DOOR", r10["2"])
    s.rail("GND_DOOR", (147, 71))
    s.wire(q1["2"], (147, 71))
    k1 = s.part("K1", "RELAY", 141, 54)
    d2 = s.part("D2", "D", 144, 54, 270)
    s.part("R11", "R", 151, 52)
    d3 = s.part("D3", "LED", 151, 56, 90)
    s.rail("+12V", (141, 50))
    s.wire((141, 50), (151, 50))
    s.wire((141, 50), k1["2"])
    s.wire((144, 50), d2["1"])
    s.wire(k1["5"], (141, 60), (144, 60))
    s.wire(d2["2"], (144, 60), (147, 60))
    s.wire(d3["1"], (151, 60), (147, 60), q1["3"])
    s.net("COIL", (148, 60))

    s.section("7  Supply of the logic", 6, 80, 106, 101, "100 nF at each of U2 to U5.")
    for x, reference, unit, vcc, gnd in ((16, "U2", 7, "14", "7"), (30, "U5", 4, "14", "7")):
        u = s.part(
            reference, reference.replace("U2", "74HC14").replace("U5", "74HC10"), x, 91, 0, unit
        )
        s.rail("+5V", u[vcc])
        s.rail("GND_DOOR", u[gnd])
    for x, reference in ((48, "C2"), (60, "C3"), (72, "C4"), (84, "C5")):
        c = s.part(reference, "C", x, 91)
        s.rail("+5V", c["1"])
        s.rail("GND_DOOR", c["2"])


def lock(s: SchematicSheet) -> None:
    """Draw the lock's circuit: no software, no logic, only contacts in series."""
    s.section(
        "The lock",
        *(5, 8, 112, 62),
        "From the supply through the fuse and the fire contact, which always cuts everything "
        "after it. Then the relay's contact.\n"
        "Nothing here is connected to the logic: the relay isolates. 12 or 24 V; "
        "F2 is for 0.6 A, and 3 A at most with other cables.",
    )
    j4 = s.part("J4", "SCREWS2R", 9, 31)
    f2 = s.part("F2", "FUSE", 18, 30, 90)
    j5 = s.part("J5", "SCREWS2D", 29, 22)
    k1 = s.part("K1", "RELAY", 57, 30, unit=2)
    s.wire(j4["1"], f2["1"])
    s.wire(f2["2"], (28, 30), j5["1"])
    s.wire(j5["2"], (30, 30), k1["1"])
    s.net("LOCK_FUSED", (21, 30))
    s.net("LOCK_FED", (33, 30))
    s.text("supply\nof the\nlock", 6, 34.5)
    s.text("fire contact:\nclosed at rest", 32, 16.5)
    # The lock that opens by current: NO, with the exit button beside the relay's contact.
    j9 = s.part("J9", "SCREWS2D", 57, 14)
    s.wire((45, 30), (45, 17), j9["1"])
    s.wire(j9["2"], (69, 17), (69, 28))
    r12 = s.part("R12", "R", 53, 22, 90)
    c6 = s.part("C6", "C", 60, 22, 90)
    s.wire((49, 30), (49, 22), r12["1"])
    s.wire(r12["2"], c6["1"])
    s.wire(c6["2"], (65, 22), (65, 28))
    j6 = s.part("J6", "SCREWS2", 98, 29)
    s.wire(k1["3"], j6["1"])
    s.net("OPENER", (72, 28))
    s.text("exit button that closes", 60.5, 12.2)
    s.text("lock that opens\nby current", 100, 27.5)
    # The lock that holds by current: NC, with the exit button in series.
    r13 = s.part("R13", "R", 53, 38, 90)
    c7 = s.part("C7", "C", 60, 38, 90)
    s.wire((49, 30), (49, 38), r13["1"])
    s.wire(r13["2"], c7["1"])
    s.wire(c7["2"], (65, 38), (65, 32))
    j8 = s.part("J8", "SCREWS2U", 73, 42)
    s.wire(k1["4"], (72, 32), j8["1"])
    s.wire(j8["2"], (74, 36), (80, 36), (80, 46))
    s.net("HOLDER_1", (66, 32))
    j7 = s.part("J7", "SCREWS2", 98, 47)
    s.wire((80, 46), j7["1"])
    s.net("HOLDER", (82, 46))
    s.text("exit button that opens;\nno button: a wire", 66.5, 45)
    s.text("lock that holds\nby current", 100, 45.5)
    d4 = s.part("D4", "D_TVS_BOTH", 87, 32, 270)
    s.wire((87, 28), d4["1"])
    d5 = s.part("D5", "D_TVS_BOTH", 87, 50, 270)
    s.wire((87, 46), d5["1"])
    s.wire(j4["2"], (14, 32), (14, 57), (93, 57), (93, 30), j6["2"])
    s.wire(j7["2"], (93, 48))
    s.wire(d4["2"], (87, 36), (93, 36))
    s.wire(d5["2"], (87, 54), (93, 54))
    s.net("LOCK_RETURN", (20, 57))
    s.text(
        "R12 C6 and R13 C7 suppress the spark at the contact, D4 and D5 limit the voltage of "
        "the lock's coil to 53 V,\n"
        "so a lock that holds releases at once; a plain diode would delay it. "
        "Fit one lock, not both.",
        *(20, 59, 1.3),
    )


def inputs(s: SchematicSheet) -> None:
    """Draw the door's switches, each with an optocoupler."""
    s.text(
        "Each input is a loop from 12 V through the LED, the resistor, the cable and the switch. "
        "Closed: the pin is low. Open, cut, or no 12 V: the pin is high.",
        *(7, 9, 1.8),
    )
    for i, name in enumerate(INPUTS, 1):
        x, y = (8, 24 + 24 * (i - 1)) if i <= 4 else (64, 24 + 24 * (i - 5))
        s.section(name, x - 1, y - 11, x + 50, y + 10)
        j = s.part(f"J1{i}", "SCREWS2R", x + 3, y + 1)
        r = s.part(f"R2{i}", "R", x + 12, y, 90)
        u = s.part(f"U1{i}", "OPTO", x + 27, y - 1)
        d = s.part(f"D1{i}", "D", x + 19, y - 2, 270)
        s.wire(j["1"], r["1"])
        s.wire(r["2"], u["2"])
        s.rail("GND_DOOR", (x + 8, y + 4))
        s.wire(j["2"], (x + 8, y + 2), (x + 8, y + 4))
        s.wire(d["1"], (x + 24, y - 4), u["1"])
        s.rail("+12V", d["1"])
        pull = s.part(f"R3{i}", "R", x + 35, y - 6)
        s.rail("+3V3", pull["1"])
        s.wire(u["4"], (x + 40, y - 2))
        s.wire(pull["2"], (x + 35, y - 2))
        s.net(name, (x + 40, y - 2), everywhere=True)
        s.rail("GND", (x + 30, y + 4))
        s.wire(u["3"], (x + 30, y + 4))


def outputs(s: SchematicSheet) -> None:
    """Draw lights, sounder and lamp."""
    s.text(
        "Each output is a lamp or a sounder for 12 V. An open pin lights no LED, so the output "
        "is off. The illuminator: 0.6 A at most.",
        *(7, 9, 1.8),
    )
    for i, name in enumerate(OUTPUTS, 1):
        x, y = 6 + 54 * ((i - 1) % 2), 25 + 26 * ((i - 1) // 2)
        s.section(name, x - 1, y - 12, x + 51, y + 12)
        s.net(name, (x + 7, y), "left", everywhere=True)
        r = s.part(f"R4{i}", "R", x + 11, y, 90)
        u = s.part(f"U2{i}", "OPTO", x + 19, y + 1)
        s.wire((x + 7, y), r["1"])
        s.wire(r["2"], u["1"])
        s.rail("GND", (x + 16, y + 5))
        s.wire(u["2"], (x + 16, y + 5))
        s.rail("+5V", (x + 22, y - 3))
        s.wire(u["4"], (x + 22, y - 3))
        pull = s.part(f"R5{i}", "R", x + 26, y + 6)
        q = s.part(f"Q1{i}", "NMOS", x + 33, y + 2)
        s.wire(u["3"], q["1"])
        s.wire((x + 26, y + 2), pull["1"])
        s.rail("GND_DOOR", pull["2"])
        s.rail("GND_DOOR", (x + 34, y + 8))
        s.wire(q["2"], (x + 34, y + 8))
        d = s.part(f"D2{i}", "D", x + 38, y - 4, 270)
        j = s.part(f"J2{i}", "SCREWS2", x + 46, y - 3)
        s.wire(q["3"], (x + 34, y - 2), j["2"])
        s.rail("+12V_LAMPS", (x + 38, y - 7))
        s.wire((x + 38, y - 7), d["1"])
        s.wire(d["1"], (x + 43, y - 6), j["1"])


def supply(s: SchematicSheet) -> None:
    """Draw the supplies, the header to the computer and the RS-485 cable."""
    s.section(
        "Supply",
        *(5, 8, 92, 40),
        "12 V from the door's supply. A surge, 24 V or a reversed supply goes through D7 and "
        "blows F1; D6 protects the rest from a reversed one.",
    )
    j2 = s.part("J2", "SCREWS2R", 9, 21)
    f1 = s.part("F1", "FUSE", 18, 20, 90)
    d6 = s.part("D6", "D_SCHOTTKY", 28, 20, 180)
    d7 = s.part("D7", "D_TVS", 23, 26, 270)
    c8 = s.part("C8", "C_POLAR", 36, 26)
    u6 = s.part("U6", "78L05", 52, 20)
    c9 = s.part("C9", "C", 45, 26)
    c10 = s.part("C10", "C", 60, 26)
    s.wire(j2["1"], f1["1"])
    s.wire(f1["2"], d6["2"])
    s.wire((23, 20), d7["1"])
    s.wire(d6["1"], u6["3"])
    s.wire((36, 20), c8["1"])
    s.wire((45, 20), c9["1"])
    s.wire(u6["1"], (68, 20))
    s.wire((60, 20), c10["1"])
    s.rail("+12V", (36, 18))
    s.wire((36, 18), (36, 20))
    s.rail("PWR_FLAG", (40, 18))
    s.wire((40, 18), (40, 20))
    s.rail("+5V", (68, 18))
    s.wire((68, 18), (68, 20))
    s.wire(j2["2"], (14, 22), (14, 33), (60, 33), c10["2"])
    for top in (d7["2"], c8["2"], u6["2"], c9["2"]):
        s.wire(top, (top[0], 33))
    s.rail("GND_DOOR", (18, 35))
    s.wire((18, 33), (18, 35))
    s.rail("PWR_FLAG", (27, 31))
    s.wire((27, 31), (27, 33))
    f3 = s.part("F3", "FUSE", 78, 22)
    s.rail("+12V", f3["1"])
    s.wire(f3["2"], (78, 28), (86, 28))
    s.rail("+12V_LAMPS", (86, 26))
    s.wire((86, 26), (86, 28))
    s.rail("PWR_FLAG", (82, 26))
    s.wire((82, 26), (82, 28))

    s.section(
        "To the Pi or the Pico",
        *(96, 8, 140, 62),
        "The names are those of hardware/pins.toml.",
    )
    j1 = s.part("J1", "HEADER20", 128, 36)
    for i, name in enumerate(HEADER, 1):
        pin = j1[str(i)]
        if name in ("GND", "+3V3"):
            continue
        s.net(name, (118, pin[1]), "left", everywhere=True)
        s.wire((118, pin[1]), pin)
    s.rail("+3V3", (121, 15))
    s.wire(j1["1"], (121, 17), (121, 15))
    s.rail("PWR_FLAG", (116, 15))
    s.wire((121, 17), (116, 17), (116, 15))
    for i in (i for i, name in enumerate(HEADER, 1) if name == "GND"):
        y = j1[str(i)][1]
        s.wire(j1[str(i)], (108, y))
    s.wire((108, 19), (108, 57))
    s.rail("GND", (108, 57))
    s.rail("PWR_FLAG", (104, 55))
    s.wire((104, 55), (108, 55))

    s.section(
        "RS-485 to the other end",
        *(5, 44, 84, 80),
        "JP1 at both ends of the cable, JP2 and JP3 at one of them: 0.24 V on an idle line. "
        "On the Pi's or Pico's side of the isolation.",
    )
    u7 = s.part("U7", "RS485", 30, 62)
    c11 = s.part("C11", "C", 10, 58)
    s.rail("+3V3", c11["1"])
    s.rail("GND", c11["2"])
    s.rail("+3V3", u7["8"])
    s.rail("GND", (30, 70))
    s.wire(u7["5"], (30, 70))
    r17 = s.part("R17", "R", 21, 55)
    s.rail("+3V3", r17["1"])
    s.wire(u7["1"], (18, 59))
    s.wire(r17["2"], (21, 59))
    s.net("uart_rx", (18, 59), "left", everywhere=True)
    s.wire(u7["2"], (22, 61), (22, 63))
    s.wire(u7["3"], (18, 63))
    s.net("rs485_de", (18, 63), "left", everywhere=True)
    r18 = s.part("R18", "R", 22, 70)
    s.wire((22, 63), r18["1"])
    s.rail("GND", r18["2"])
    s.wire(u7["4"], (18, 65))
    s.net("uart_tx", (18, 65), "left", everywhere=True)
    jp2 = s.part("JP2", "JUMPER", 44, 56)
    r15 = s.part("R15", "R", 44, 52)
    s.rail("+3V3", r15["1"])
    s.wire(r15["2"], jp2["1"])
    s.wire(u7["6"], (74, 61))
    s.wire(jp2["2"], (44, 61))
    jp3 = s.part("JP3", "JUMPER", 44, 68)
    r16 = s.part("R16", "R", 44, 72)
    s.wire(u7["7"], (74, 63))
    s.wire(jp3["1"], (44, 63))
    s.wire(jp3["2"], r16["1"])
    s.rail("GND", r16["2"])
    r14 = s.part("R14", "R", 53, 57)
    jp1 = s.part("JP1", "JUMPER", 53, 67)
    s.wire(jp1["2"], (53, 71), (50, 71), (50, 55), r14["1"])
    s.wire(r14["2"], (53, 61))
    s.wire((53, 63), jp1["1"])
    d8 = s.part("D8", "SM712", 63, 70)
    s.wire((62, 61), d8["1"])
    s.wire((64, 63), d8["2"])
    s.rail("GND", d8["3"])
    j3 = s.part("J3", "SCREWS3", 77, 63)
    s.wire((74, 61), j3["1"])
    s.wire((74, 63), j3["2"])
    s.wire(j3["3"], (72, 65), (72, 74))
    s.rail("GND", (72, 74))
    s.net("A", (66, 61))
    s.net("B", (66, 63))


PAGES = (
    ("relay", "Relay and its limit", "A3", relay),
    ("lock", "Lock, fire contact, exit button", "A4", lock),
    ("inputs", "Inputs", "A3", inputs),
    ("outputs", "Lights, sounder, illuminator", "A4", outputs),
    ("supply", "Supply, header, RS-485", "A3", supply),
)


def main(to: Path = HERE) -> None:
    """Write the schematic and its library to the folder `to`."""
    value_by_reference = values()
    root = SchematicSheet(PROJECT, PROJECT, "pages", "A4", "/", value_by_reference)
    root._path = f"/{root.id}"
    root.text(
        "The board between a Pi or a Pico and a door. README.md says how it works.", 8, 10, 2.5
    )
    references: set[str] = set()
    for number, (name, title, paper, draw) in enumerate(PAGES):
        page = SchematicSheet(PROJECT, name, title, paper, "", value_by_reference)
        page._path = f"/{root.id}/{page.id}"
        draw(page)
        page.write(to)
        references |= page.references
        root.child(page, number + 2, 10, 20 + 10 * number, 40, 5)
    root.write(to)
    parts = {reference for reference in references if not reference.startswith("#")}
    if parts != set(value_by_reference):
        raise SystemExit(
            f"parts.csv and the drawing differ in {sorted(parts ^ set(value_by_reference))}"
        )
    (to / f"{LIBRARY}.kicad_sym").write_text(library(), encoding="utf-8")
    (to / "sym-lib-table").write_text(
        f'(sym_lib_table\n  (version 7)\n  (lib (name "{LIBRARY}")(type "KiCad")'
        f'(uri "${{KIPRJMOD}}/{LIBRARY}.kicad_sym")(options "")(descr ""))\n)\n',
        encoding="utf-8",
    )
    project = {"meta": {"filename": f"{PROJECT}.kicad_pro", "version": 3}}
    (to / f"{PROJECT}.kicad_pro").write_text(json.dumps(project, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
