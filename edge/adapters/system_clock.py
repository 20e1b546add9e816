"""The clock of a unit, made of monotonic time, the slots, the RTC and signed answers.

The system's date is not asked unless unit.toml says so; what a kernel, systemd or fake-hwclock
sets it to at boot is therefore nobody's concern.
"""

import logging
import math
import time

import msgspec

from edge.adapters import kernel_clock
from edge.adapters.rtc import SysfsRtc
from edge.adapters.storage.clock_slots import Slots, SlotsLost
from edge.clock.time_interval import Interval, Now, Reckoning, Sync, TimeSpan
from edge.parts import StoreLost
from edge.passing.ports import RestartMemory
from edge.wire.decode import MESSAGE_LEN_MAX, DecodeError, decode_json

log = logging.getLogger("menshen")

SAVE_EVERY_S = 300.0
LOOK_EVERY_S = 10.0  # at the RTC, and at the system's clock where it counts
SAVE_APART_S = (
    60  # what must have passed for a write out of turn: a program that dies at each start
)
# must not wear out its card


def monotonic_s() -> float:
    """Seconds of the bare quartz. CLOCK_MONOTONIC and CLOCK_BOOTTIME are adjusted by the program
    that disciplines the system's clock, on Raspberry Pi OS an NTP client that trusts any server.
    RAW is not; it stops while a machine sleeps, which a Pi cannot do."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


class SystemClock:
    """The Clock port. All but `interval` and `glance` belongs to one thread."""

    def __init__(
        self,
        slots: Slots,
        rtc: SysfsRtc,
        rtc_ppm: float,
        system: bool = False,
        memory: RestartMemory | None = None,
    ) -> None:
        """`system`: the system's clock counts, because chrony with NTS keeps it; `memory`: of
        this boot, for the last sync.
        """
        self._slots = slots
        self._memory = memory
        self._rtc = rtc
        self._system = system
        now_s = monotonic_s()
        self._stored = slots.load()
        last = _span(memory.load()) if memory else None
        self._reckoning = Reckoning(self._stored, rtc.read(), now_s, rtc_ppm, last)
        self._save_due_s = now_s + SAVE_EVERY_S
        self._look_due_s = now_s + LOOK_EVERY_S
        self._logged: set[str] = set()
        if slots.torn:
            self._tell(f"a power cut has torn {' and '.join(slots.torn)}")
        self._tell(self._reckoning.fault)
        self._ask_system()

    def read(self) -> Now:
        """One reading; now and then it looks at the RTC and writes a slot."""
        now_s = monotonic_s()
        if now_s >= self._look_due_s:
            self._look_due_s = now_s + LOOK_EVERY_S
            self._tell(self._reckoning.take_rtc(self._rtc.read()))
            self._ask_system()
            now_s = monotonic_s()
            if self._reckoning.rtc == "broken" and self._stored.relation is not None:
                self._save(now_s)  # else the next start would trust that RTC again
        if now_s >= self._save_due_s:
            self._save(now_s)
        return self.glance()

    def glance(self) -> Now:
        """A reading that looks at no device and writes nothing; any thread may ask."""
        now_s, reckoning = monotonic_s(), self._reckoning
        return Now(reckoning.at(now_s), now_s, reckoning.powered_s(now_s), reckoning.rtc)

    def interval(self) -> Interval:
        """The time alone; any thread may ask."""
        return self._reckoning.at(monotonic_s())

    def note_sync(self, sync: Sync) -> None:
        """Take a signed answer, and store it at once if it changes the time by much."""
        notice = self._reckoning.take_sync(sync, self._rtc.read())
        self._tell(notice)
        self._remember()
        now_s = monotonic_s()
        stored = self._reckoning.to_store(now_s)
        related = stored.relation is not None and self._stored.relation is None
        if notice or related or stored.floor_s - self._stored.floor_s > SAVE_EVERY_S + SAVE_APART_S:
            self._save(now_s)

    def close(self) -> None:
        """Write down what is known, unless that was done just now."""
        now_s = monotonic_s()
        stored = self._reckoning.to_store(now_s)
        if stored.powered_s - self._stored.powered_s > SAVE_APART_S:
            self._save(now_s)

    def _ask_system(self) -> None:
        reading = kernel_clock.read() if self._system else None
        if reading is not None:
            self._tell(self._reckoning.take_sync(reading, self._rtc.read(), "system"))

    def _remember(self) -> None:
        """The last sync, over a restart of the program and not over a power cut."""
        span = self._reckoning.sync
        if self._memory is None or span is None:
            return
        try:
            self._memory.save(msgspec.json.encode(span))
        except StoreLost as error:
            self._tell(str(error))

    def _save(self, now_s: float) -> None:
        self._save_due_s = now_s + SAVE_EVERY_S
        self._stored = self._reckoning.to_store(now_s)
        try:
            self._slots.save(self._stored)
        except SlotsLost as error:
            self._tell(str(error))

    def _tell(self, sentence: str | None) -> None:
        """Each once: an RTC that breaks each hour is one line."""
        if sentence and sentence not in self._logged:
            self._logged.add(sentence)
            log.warning("%s", sentence)


def _span(remembered: bytes | None) -> TimeSpan | None:
    """What `_remember` wrote; None for what it did not write."""
    if remembered is None:
        return None
    try:
        span = decode_json(remembered, TimeSpan, MESSAGE_LEN_MAX)
    except DecodeError:
        return None
    ends = (span.earliest_s, span.latest_s, span.monotonic_s)
    sound = all(math.isfinite(end) for end in ends) and span.earliest_s <= span.latest_s
    return span if sound else None
