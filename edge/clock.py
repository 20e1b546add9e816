"""What time it is: an interval that holds the true time, and where it comes from.

No stage asks the system clock. Now the interval is the system's time with an error, or, before
the build's own date, everything from that date on. Floors, RTC and authenticated sync will narrow
it here (and nowhere else).
"""

from dataclasses import dataclass
from typing import Literal

from edge import BUILT_S

NEVER_S = 2**62
"""An unbounded `latest_s`: this unit cannot say how late it may be."""

SYSTEM_ERROR_S = 5
"""How far a clock kept by NTP may be off, generously: chrony and timesyncd stay below 1 s."""

Source = Literal["system", "unset"]


@dataclass(frozen=True, slots=True)
class Interval:
    """The true time lies in [earliest_s, latest_s]: Unix seconds UTC."""

    earliest_s: int
    latest_s: int
    source: Source


@dataclass(frozen=True, slots=True)
class Now:
    """One reading a tick, handed down to every stage."""

    interval: Interval
    monotonic_s: float  # seconds since any fixed point; goes on where the interval steps


def interval(system_s: float) -> Interval:
    """What the system's time is worth. A clock before our own build is no clock."""
    if system_s < BUILT_S:
        return Interval(BUILT_S, NEVER_S, "unset")
    at_s = int(system_s)
    return Interval(at_s - SYSTEM_ERROR_S, at_s + SYSTEM_ERROR_S, "system")
