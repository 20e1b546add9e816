"""The lock's own circuit, once for each kind of lock: what cuts its power, with no software in it.

Terminals are those of the board (hardware/circuit/, page "Lock, fire contact, exit button").
"""

from collections.abc import Callable
from typing import NamedTuple

from hardware.drawings.svg import SvgSheet

RED, GREEN, GREY = "#b00020", "#1b6e3c", "#666666"
_TOP, _BOTTOM = 240.0, 430.0


class _Lock(NamedTuple):
    title: str
    says: str
    then: tuple[tuple[str, str], ...]


FAIL_SAFE = _Lock(
    "Fail-safe: a lock that holds by current (power to lock)",
    "A magnet, a holding strike, a turnstile whose arm drops. Every contact is in series:\n"
    "whatever opens, is cut or loses its supply, lets the door go.",
    (
        (
            "Fire alarm",
            "The fire contact opens: the lock has no current, whatever else is true. Free.",
        ),
        ("Exit button", "Its own contact opens the circuit. Free, with or without any computer."),
        ("An opening", "The relay is on for one pulse and its contact opens. Free for that long."),
        ("Mains lost", "The battery holds the lock; when it is empty the door is free."),
        ("All supply lost, a wire cut, F2 blown", "Free."),
        (
            "Program dead, kernel hung",
            "The relay falls back within 11.5 s: shut, and the exit works.",
        ),
        (
            "Relay contact welded (stays closed)",
            "Codes open nothing; exit button and fire contact do.",
        ),
    ),
)

FAIL_SECURE = _Lock(
    "Fail-secure: a lock that opens by current (power to unlock)",
    "A strike or bolt that stays shut without current. Only for a door whose handle or bar on the\n"
    "inside opens it mechanically, at all times: here a fire alarm opens nothing.",
    (
        ("Fire alarm", "The fire contact opens: no current, so the door stays shut from outside."),
        ("Way out", "The handle or bar, mechanically. It needs no current, no button, no program."),
        (
            "Exit button",
            "A comfort only: it gives the lock current past the relay, not past the fire.",
        ),
        ("An opening", "The relay is on for one pulse and its contact closes. Free for that long."),
        ("All supply lost, a wire cut, F2 blown", "Shut from outside; the handle opens."),
        (
            "Program dead, kernel hung",
            "The relay falls back within 11.5 s: shut; the handle opens.",
        ),
        (
            "Relay contact welded (stays closed)",
            "Open to everybody. Nothing here undoes that: see README.",
        ),
    ),
)


def fail_safe() -> str:
    """The SVG of the lock that holds by current."""
    sheet = _sheet(FAIL_SAFE)
    x = _feed(sheet)
    x = _run(sheet, x, 60)
    x = _contact(sheet, x, "K1 (1-4)", "relay: opens\nfor a pulse", GREEN, closed=True)
    x = _run(sheet, x, 60)
    x = _contact(sheet, x, "J8", "exit button:\nopens when pressed", GREEN, closed=True)
    _load(sheet, x, "J7")
    return sheet.svg()


def fail_secure() -> str:
    """The SVG of the lock that opens by current."""
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
    sheet = SvgSheet(1180, 510 + 30 * len(lock.then) + 60, lock.title)
    sheet.text(30, 42, lock.title, 24, bold=True)
    sheet.text(30, 72, lock.says, 15)
    y = 500.0
    sheet.text(30, y, "What happens", 16, bold=True)
    for when, then in lock.then:
        y += 30
        sheet.line((30, y - 20), (1150, y - 20), width=0.7, colour=GREY)
        sheet.text(34, y, when, 14, bold=True)
        sheet.text(390, y, then, 14)
    sheet.text(
        30,
        y + 36,
        "Drawn at rest: shut, no alarm, nobody presses. Which kind a door must have is decided by\n"
        "the building's owner with a locksmith, and by the local authority: README, Life safety.",
        13,
        colour=GREY,
    )
    return sheet


def _feed(sheet: SvgSheet) -> float:
    """From the supply through fuse and fire contact; the x where it goes on."""
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
    sheet: SvgSheet, x: float, where: str, said: str, colour: str, closed: bool, y: float = _TOP
) -> float:
    """A contact of 60 from `x`; the x behind it."""
    sheet.line((x - 35, y), (x + 8, y)) if closed else sheet.line((x, y), (x + 8, y))
    sheet.circle(x + 12, y, 4, stroke=colour)
    sheet.circle(x + 58, y, 4, stroke=colour)
    if closed:  # one that opens: the arm rests on its contact
        sheet.line((x + 14, y - 4), (x + 62, y - 12), width=3, colour=colour)
        sheet.line((x + 58, y - 4), (x + 58, y - 18), width=2, colour=colour)
    else:  # one that closes: the arm stands off
        sheet.line((x + 15, y - 3), (x + 54, y - 26), width=3, colour=colour)
    sheet.line((x + 62, y), (x + 70, y))
    sheet.text(x + 35, y - 34, where, 12, "middle", GREY)
    sheet.text(x + 35, y + 30, said, 13, "middle", colour)
    return x + 70


def _load(sheet: SvgSheet, x: float, where: str) -> None:
    """The lock, with what takes its coil's energy, and the way back to the supply."""
    end = 1060.0
    sheet.line((x, _TOP), (end, _TOP), (end, _TOP + 50))
    sheet.text(end - 60, _TOP - 12, where, 12, "middle", GREY)
    sheet.box(end - 45, _TOP + 50, 90, 90)
    sheet.text(end, _TOP + 102, "LOCK", 18, "middle", bold=True)
    sheet.line((end, _TOP + 140), (end, _BOTTOM), (160, _BOTTOM))
    side = end - 130
    sheet.line((side, _TOP), (side, _TOP + 70))
    sheet.box(side - 16, _TOP + 70, 32, 48)
    sheet.line((side, _TOP + 118), (side, _BOTTOM))
    sheet.text(side - 24, _TOP + 92, "TVS for the\ncoil's energy", 12, "end", GREY)
