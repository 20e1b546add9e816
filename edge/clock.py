"""What time it is: an interval that holds the true time, and where it comes from.

No stage asks the system clock. Now the interval is the system's time with an error, or, before
the build's own date, everything from that date on. Floors, RTC and authenticated sync will narrow
it here (and nowhere else).
"""

from dataclasses import dataclass, replace
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
    powered_s: float = 0.0  # powered-on seconds over all starts of this unit


class Floors:
    """What issuers' keys have signed says of the time, each for its own codes and nothing else.

    In memory only: on a disk, the newest code of an issuer would say when somebody was here.
    """

    def __init__(self) -> None:
        self._floor_s: dict[bytes, int] = {}

    def raised(self, key: bytes, iat_s: int, until_s: int, now: Interval) -> None:
        """`key` has signed at `iat_s`, within its window; what lies after `now` moves nothing."""
        if iat_s <= now.latest_s:
            self._floor_s[key] = max(self._floor_s.get(key, 0), min(iat_s, until_s))

    def of(self, key: bytes, now: Interval) -> Interval:
        """`now` for the codes of this issuer key."""
        floor_s = self._floor_s.get(key, 0)
        return (
            now
            if floor_s <= now.earliest_s
            else replace(now, earliest_s=min(floor_s, now.latest_s))
        )

    def synced(self, now: Interval) -> None:
        """An authenticated sync lowers what lies above it."""
        self._floor_s = {k: s for k, s in self._floor_s.items() if s <= now.latest_s}


def interval(system_s: float) -> Interval:
    """What the system's time is worth. A clock before our own build is no clock."""
    if system_s < BUILT_S:
        return Interval(BUILT_S, NEVER_S, "unset")
    at_s = int(system_s)
    return Interval(at_s - SYSTEM_ERROR_S, at_s + SYSTEM_ERROR_S, "system")
