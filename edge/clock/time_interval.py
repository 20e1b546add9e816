"""What time it is: an interval that holds the true time, and where it comes from.

Nobody sets a clock here. `Reckoning` starts from what is known (an authenticated sync, a battery
RTC that a sync has related to true time, the floor that outlives power cuts, the build's
date) and adds the monotonic time passed, with its drift. Rules: edge/wire/time.md.
"""

import math
from dataclasses import dataclass, replace

from edge import BUILT_S
from edge.wire.report import ClockSource, RtcState

NEVER_S = 2**62
"""An unbounded `latest_s`: this unit cannot say how late it may be."""

DRIFT_PPM = 100.0
"""How far the monotonic clock may run fast or slow. A Pi counts a plain quartz: ±30 ppm as cut and
±30 ppm over its temperatures are usual figures, the rest is ageing and margin. NTP allows ordinary
hosts 15 ppm while it corrects them (RFC 5905, PHI); nothing corrects ours."""

RTC_READ_S = 0.1
"""How long reading the RTC may take; `adapters/rtc.py` throws a slower reading away."""

RTC_JUMP_S = 2.0
"""More than its drift and the grain of its seconds (one at each end) is a jump."""

SETTLED_S = 300.0
"""From so long after power-on a relation may be kept. An RTC whose battery is dead begins anew with
the power: a program that starts sooner then reads less than was kept, and knows it is broken."""

SYSTEM_ERROR_S = 5.0
"""How far a system clock may be off that its owner vouches for: chrony stays well below 1 s."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The true time is in [earliest_s, latest_s]: Unix seconds UTC."""

    earliest_s: int
    latest_s: int
    source: ClockSource


@dataclass(frozen=True, slots=True)
class Now:
    """One reading a tick, handed down to every stage."""

    interval: Interval
    monotonic_s: float  # seconds since any fixed point; goes on where the interval steps
    powered_s: float = 0.0  # seconds that this unit has run, over all starts
    rtc: RtcState = "none"


@dataclass(frozen=True, slots=True)
class Sync:
    """A trusted source: the true time was `time_s` ± `error_s`."""

    time_s: float  # Unix seconds UTC
    error_s: float
    monotonic_s: float  # when it was so


@dataclass(frozen=True, slots=True)
class RtcReading:
    """What the RTC showed: whole seconds by its own count, whatever date that is."""

    rtc_s: int
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class Relation:
    """When the RTC showed `rtc_s`, true time was `offset_ms` ± `error_ms` after that.

    So the RTC is a counter that nobody needs to set, and its date alone is never trusted.
    """

    rtc_s: int
    offset_ms: int
    error_ms: int
    seen_s: int  # its newest reading while it was trusted

    def span(self, reading: RtcReading, ppm: float) -> "TimeSpan":
        """The true time when the RTC showed `reading`; it may have drifted by `ppm` meanwhile."""
        middle_s = reading.rtc_s + self.offset_ms / 1000 + 0.5  # within the second it shows
        error_s = self.error_ms / 1000 + 0.5 + RTC_READ_S
        error_s += abs(reading.rtc_s - self.rtc_s) * ppm * 1e-6
        return TimeSpan(middle_s - error_s, middle_s + error_s, reading.monotonic_s)


@dataclass(frozen=True, slots=True)
class StoredClock:
    """What outlives a power cut: nothing in it moves with a passage."""

    floor_s: int = 0  # the true time was certainly this or later
    powered_s: int = 0  # seconds that this unit has run, over all starts
    relation: Relation | None = None


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """At `monotonic_s` the true time lay in [earliest_s, latest_s]: fractions of seconds."""

    earliest_s: float
    latest_s: float  # may be infinite
    monotonic_s: float

    def at(self, monotonic_s: float) -> "TimeSpan":
        """The same at another moment: moved on, and wider by the drift."""
        passed_s = monotonic_s - self.monotonic_s
        drift_s = abs(passed_s) * DRIFT_PPM * 1e-6
        return TimeSpan(
            self.earliest_s + passed_s - drift_s, self.latest_s + passed_s + drift_s, monotonic_s
        )

    def narrowed(self, other: "TimeSpan") -> "TimeSpan | None":
        """What both allow, at the moment of `other`; None: they contradict each other."""
        mine = self.at(other.monotonic_s)
        earliest_s = max(mine.earliest_s, other.earliest_s)
        latest_s = min(mine.latest_s, other.latest_s)
        return TimeSpan(earliest_s, latest_s, other.monotonic_s) if earliest_s <= latest_s else None


class Reckoning:
    """The time of one unit from its start on. What contradicts comes back as a sentence to tell."""

    def __init__(
        self,
        kept: StoredClock,
        rtc: RtcReading | None,
        monotonic_s: float,
        rtc_ppm: float,
        sync: TimeSpan | None = None,
    ) -> None:
        """`monotonic_s` and what every method takes as such are seconds since power-on.

        `sync`: what a program before this one knew in this boot, when it was last synced.
        """
        self.rtc: RtcState = "none"
        self.fault: str | None = None  # what was wrong at the start
        self._kept = kept
        self._ppm = rtc_ppm
        self._start_s = monotonic_s
        self._relation = kept.relation
        self._first: RtcReading | None = rtc  # the RTC is held against monotonic time from here
        self._source: ClockSource = "floor" if kept.floor_s > BUILT_S else "build"
        self._span = TimeSpan(max(BUILT_S, kept.floor_s), math.inf, monotonic_s)
        if sync is not None and sync.monotonic_s <= monotonic_s and sync.latest_s >= BUILT_S:
            now = sync.at(monotonic_s)  # a sync wins over a floor
            self._span = now.narrowed(self._span) or now
            self._source = "sync"
        if rtc is not None:
            self.rtc = "unrelated" if self._relation is None else "ok"
            self.fault = self._ask_rtc(rtc)

    def at(self, monotonic_s: float) -> Interval:
        """The interval now."""
        now = self._span.at(monotonic_s)
        latest_s = NEVER_S if math.isinf(now.latest_s) else math.ceil(now.latest_s)
        return Interval(math.floor(now.earliest_s), latest_s, self._source)

    @property
    def sync(self) -> TimeSpan | None:
        """What is known since the last authenticated sync, for the next program of this boot."""
        return self._span if self._source == "sync" else None

    def powered_s(self, monotonic_s: float) -> float:
        """Seconds that this unit has run, over all starts."""
        return self._kept.powered_s + monotonic_s - self._start_s

    def to_store(self, monotonic_s: float) -> StoredClock:
        """What to write down now, against a power cut."""
        relation = self._relation
        if relation is not None and monotonic_s < SETTLED_S:
            relation = self._kept.relation
        earliest_s = max(BUILT_S, self.at(monotonic_s).earliest_s)
        return StoredClock(earliest_s, int(self.powered_s(monotonic_s)), relation)

    def take_rtc(self, rtc: RtcReading | None) -> str | None:
        """Hold the RTC against the monotonic clock, and let it narrow the interval.

        It drifts less: a unit without a network is better off with it after some days.
        """
        if rtc is None:
            self.rtc = "broken" if self.rtc == "broken" else "none"
            return None
        if self._first is None:
            self._first = rtc
        passed_s = rtc.monotonic_s - self._first.monotonic_s
        tolerated_s = RTC_JUMP_S + RTC_READ_S + passed_s * (DRIFT_PPM + self._ppm) * 1e-6
        if abs(rtc.rtc_s - self._first.rtc_s - passed_s) > tolerated_s:
            self._first = rtc
            return self._broken("it jumped") if self._relation is not None else None
        if self.rtc == "none":
            self.rtc = "unrelated" if self._relation is None else "ok"
        return self._ask_rtc(rtc)

    def take_sync(self, sync: Sync, rtc: RtcReading | None, by: ClockSource = "sync") -> str | None:
        """Take an authenticated sync: it wins over all but the build's date.

        `by` "system": a system clock that its owner vouches for; it gives way to a signed answer.
        """
        span = TimeSpan(sync.time_s - sync.error_s, sync.time_s + sync.error_s, sync.monotonic_s)
        if span.latest_s < BUILT_S:
            return f"a time before this version was built is not accepted ({sync.time_s:.0f})"
        both = self._span.narrowed(span)
        notice = None
        if both is None:
            mine = self._span.at(sync.monotonic_s)
            ahead = sync.time_s > mine.latest_s
            off_s = span.earliest_s - mine.latest_s if ahead else mine.earliest_s - span.latest_s
            notice = f"this unit's time was {off_s:.0f} s {'behind' if ahead else 'ahead'}"
            if by == "system" and self._source == "sync":
                return f"{notice} of the system's clock, which does not count against a signed time"
            both = TimeSpan(max(BUILT_S, span.earliest_s), span.latest_s, span.monotonic_s)
            notice = f"{notice}; it has been put right"
        self._span = both
        self._source = "sync" if self._source == "sync" else by
        if rtc is not None:
            self._relate(rtc)
        return notice

    def _relate(self, rtc: RtcReading) -> None:
        """Write down what true time was when the RTC showed `rtc`."""
        now = self._span.at(rtc.monotonic_s)
        middle_s, error_s = (now.earliest_s + now.latest_s) / 2, now.latest_s - now.earliest_s
        error_ms = math.ceil(500 * error_s + 1000 * (0.5 + RTC_READ_S)) + 1  # 1: rounding
        offset_ms = round(1000 * (middle_s - rtc.rtc_s - 0.5))
        self._relation = Relation(rtc.rtc_s, offset_ms, error_ms, rtc.rtc_s)
        self._first = rtc
        self.rtc = "ok"

    def _ask_rtc(self, rtc: RtcReading) -> str | None:
        if self._relation is None:
            return None
        if rtc.rtc_s < self._relation.seen_s:
            return self._broken("it went back; is its battery empty")
        self._relation = replace(self._relation, seen_s=rtc.rtc_s)
        narrowed = self._span.narrowed(self._relation.span(rtc, self._ppm))
        if narrowed is None:
            return self._broken("it contradicts what this unit knows of the time")
        self._span = narrowed
        if self._source in ("floor", "build"):
            self._source = "rtc"
        return None

    def _broken(self, why: str) -> str:
        self._relation = None
        self.rtc = "broken"
        return f"the RTC is not trusted until the next sync: {why}"


def interval(system_s: float) -> Interval:
    """What a system clock is worth that its owner vouches for, as at a desk (`menshen-edge check`).

    Doors do not use it. A clock before our own build is no clock.
    """
    if system_s < BUILT_S:
        return Interval(BUILT_S, NEVER_S, "build")
    at_s = int(system_s)
    return Interval(at_s - int(SYSTEM_ERROR_S), at_s + int(SYSTEM_ERROR_S), "system")
