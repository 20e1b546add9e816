"""The lock's circuit for each kind of lock: which contacts cut its power, without software.

Terminals are those of the board (hardware/circuit/, page "Lock, fire contact, exit button").
"""

from collections.abc import Callable
from typing import NamedTuple

from hardware.drawings.svg import SvgSheet

RED, GREEN, GREY = "#b00020", "#1b6e3c", "#666666"
_TOP, _BOTTOM = 240.0, 430.0


class _Lock(NamedTuple):
    title: str
    description: str
    events: tuple[tuple[str, str], ...]


FAIL_SAFE = _Lock(
    "Fail-safe: a lock that holds by current (power to lock)",
    "A magnet, a holding strike, a turnstile whose arm drops. All contacts are in series:\n"
    "if one opens, a wire is cut or the supply is lost, the door is released.",
    (
        (
            "Fire alarm",
            "The fire contact opens: the lock has no current in any case. Free.",
        ),
        ("Exit button", "Its own contact opens the circuit. Free, with or without any computer."),
        ("An opening", "The relay is on for one pulse and its contact opens. Free for that long."),
        ("Mains lost", "The battery holds the lock; when it is empty the door is free."),
        ("All supply lost, a wire cut, F2 blown", "Free."),
        (
            "Program dead, kernel hung",
            "The relay turns off within 11.5 s: shut, and the exit works.",
        ),
        (
            "Relay contact welded (stays closed)",
            "Codes do not open; the exit button and the fire contact do.",
        ),
    ),
)

FAIL_SECURE = _Lock(
    "Fail-secure: a lock that opens by current (power to unlock)",
    "A strike or bolt that stays shut without current. Only for a door whose handle or bar on the\n"
    "inside always opens it mechanically: a fire alarm does not unlock it.",
    (
        ("Fire alarm", "The fire contact opens: no current, so the door stays shut from outside."),
        ("Way out", "The handle or bar, mechanically. It needs no current, no button, no program."),
        (
            "Exit button",
            "For convenience only: it bypasses the relay, but not the fire contact.",
        ),
        ("An opening", "The relay is on for one pulse and its contact closes. Free for that long."),
        ("All supply lost, a wire cut, F2 blown", "Shut from outside; the handle opens."),
        (
            "Program dead, kernel hung",
            "The relay turns off within 11.5 s: shut; the handle opens.",
        ),
        (
            "Relay contact welded (stays closed)",
            "Open to everybody, and nothing here corrects that: see README.",
        ),
    ),
)


def fail_safe() -> str:
    """Return the SVG of the lock that holds by current."""
    sheet = _sheet(FAIL_SAFE)
    x = _feed(sheet)
    x = _run(sheet, x, 60)
    x = _contact(sheet, x, "K1 (1-4)", "relay: opens\nfor a pulse", GREEN, closed=True)
    x = _run(sheet, x, 60)
    x = _contact(sheet, x, "J8", "exit button:\nopens when pressed", GREEN, closed=True)
    _load(sheet, x, "J7")
    return sheet.svg()


def fail_secure() -> str:
    """Return the SVG of the lock that opens by current."""
    sheet = _sheet(FAIL_SECURE)
    x = _feed(sheet)
    x = _run(sheet, x, 60)
    sheet.circle(x, _TOP, 4, fill="#1a1a1a")
    after = _contact(sheet, x + 40, "K1 (1-3)", "relay: closes\nfor a pulse", GREEN, closed=False)
    sheet.line((x, _TOP), (x + 40, _TOP))
    up = _TOP - 85
    sheet.line((x, _TOP), (x, up), (x + 40, up))
    _contact(sheet, x + 40, "J9", "", GREEN, closed=False, y=up)
    sheet.text(after + 45, up + 5, "exit button: closes when pressed", 13, colour=GREEN)
    sheet.line((after, up), (after + 30, up), (after + 30, _TOP), (after, _TOP))
    sheet.circle(after + 30, _TOP, 4, fill="#1a1a1a")
    _load(sheet, after + 30, "J6")
    return sheet.svg()


DRAWINGS: dict[str, Callable[[], str]] = {"fail-safe": fail_safe, "fail-secure": fail_secure}


def _sheet(lock: _Lock) -> SvgSheet:
    sheet = SvgSheet(1180, 510 + 30 * len(lock.events) + 60, lock.title)
    sheet.text(30, 42, lock.title, 24, bold=True)
    sheet.text(30, 72, lock.description, 15)
    y = 500.0
    sheet.text(30, y, "What happens", 16, bold=True)
    for event, effect in lock.events:
        y += 30
        sheet.line((30, y - 20), (1150, y - 20), width=0.7, colour=GREY)
        sheet.text(34, y, event, 14, bold=True)
        sheet.text(390, y, effect, 14)
    sheet.text(
        30,
        y + 36,
        "Drawn at rest: shut, no alarm, no button pressed. The building's owner with a locksmith,\n"
        "and the local authority decide which kind a door must have: README, Life safety.",
        13,
        colour=GREY,
    )
    return sheet


def _feed(sheet: SvgSheet) -> float:
    """Draw the supply, the fuse and the fire contact; return the x where the wire continues."""
    sheet.box(30, _TOP - 35, 130, _BOTTOM - _TOP + 70, thick=2)
    sheet.text(95, _TOP + 85, "Supply of\nthe lock,\nbattery\nincluded", 14, "middle")
    sheet.text(150, _TOP - 12, "+", 20, "end")
    sheet.text(150, _BOTTOM + 20, "-", 20, "end")
    sheet.line((160, _TOP), (215, _TOP))
    sheet.text(187, _TOP - 12, "J4", 12, "middle", GREY)
    sheet.box(215, _TOP - 11, 56, 22)
    sheet.line((215, _TOP), (271, _TOP))
    sheet.text(243, _TOP + 32, "fuse F2, 1 A", 13, "middle")
    x = _run(sheet, 271, 60)
    sheet.box(x - 14, _TOP - 60, 158, 148, stroke=RED, thick=1.5, round_=6)
    return _contact(
        sheet, x + 35, "J5", "fire panel: opens\nin alarm; nothing\nis past it", RED, closed=True
    )


def _run(sheet: SvgSheet, x: float, length: float) -> float:
    sheet.line((x, _TOP), (x + length, _TOP))
    return x + length


def _contact(
    sheet: SvgSheet, x: float, terminal: str, label: str, colour: str, closed: bool, y: float = _TOP
) -> float:
    """Draw a contact of 60 from `x`; return the x behind it."""
    sheet.line((x - 35, y), (x + 8, y)) if closed else sheet.line((x, y), (x + 8, y))
    sheet.circle(x + 12, y, 4, stroke=colour)
    sheet.circle(x + 58, y, 4, stroke=colour)
    if closed:  # normally closed: the arm touches its contact
        sheet.line((x + 14, y - 4), (x + 62, y - 12), width=3, colour=colour)
        sheet.line((x + 58, y - 4), (x + 58, y - 18), width=2, colour=colour)
    else:  # normally open: the arm is away from its contact
        sheet.line((x + 15, y - 3), (x + 54, y - 26), width=3, colour=colour)
    sheet.line((x + 62, y), (x + 70, y))
    sheet.text(x + 35, y - 34, terminal, 12, "middle", GREY)
    sheet.text(x + 35, y + 30, label, 13, "middle", colour)
    return x + 70


def _load(sheet: SvgSheet, x: float, terminal: str) -> None:
    """Draw the lock, the TVS for its coil's energy, and the return to the supply."""
    end = 1060.0
    sheet.line((x, _TOP), (end, _TOP), (end, _TOP + 50))
    sheet.text(end - 60, _TOP - 12, terminal, 12, "middle", GREY)
    sheet.box(end - 45, _TOP + 50, 90, 90)
    sheet.text(end, _TOP + 102, "LOCK", 18, "middle", bold=True)
    sheet.line((end, _TOP + 140), (end, _BOTTOM), (160, _BOTTOM))
    side = end - 130
    sheet.line((side, _TOP), (side, _TOP + 70))
    sheet.box(side - 16, _TOP + 70, 32, 48)
    sheet.line((side, _TOP + 118), (side, _BOTTOM))
    sheet.text(side - 24, _TOP + 92, "TVS for the\ncoil's energy", 12, "end", GREY)
