"""A unit's clock, from monotonic time, the stored slots, the RTC and signed time answers.

The system's date is not used unless unit.toml says so. So it does not matter to what date the
kernel, systemd or fake-hwclock sets it at boot.
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
LOOK_EVERY_S = 10.0  # at the RTC, and at the system's clock if that is trusted
SAVE_APART_S = 60
"""A save out of turn needs more new time than this. So a program that dies at each start does
not wear out its card."""


def monotonic_s() -> float:
    """Seconds of CLOCK_MONOTONIC_RAW, the quartz without corrections.

    A program that disciplines the system's clock also changes the rate of CLOCK_MONOTONIC and
    CLOCK_BOOTTIME. On Raspberry Pi OS that is an NTP client that trusts every server. RAW is not
    changed. It stops while a machine sleeps, which a Pi cannot do.
    """
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


class SystemClock:
    """The port `Clock`. Only `interval` and `glance` may be called by other threads."""

    def __init__(
        self,
        slots: Slots,
        rtc: SysfsRtc,
        rtc_ppm: float,
        system: bool = False,
        memory: RestartMemory | None = None,
    ) -> None:
        """`system`: whether to trust the system's clock, because chrony with NTS keeps it.

        `memory`: keeps the last sync over a restart of the program, within this boot.
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
            self._warn_once(f"a power cut has damaged {' and '.join(slots.torn)}")
        self._warn_once(self._reckoning.fault)
        self._take_system_time()

    def read(self) -> Now:
        """The time now. Reads the RTC every LOOK_EVERY_S and saves every SAVE_EVERY_S."""
        now_s = monotonic_s()
        if now_s >= self._look_due_s:
            self._look_due_s = now_s + LOOK_EVERY_S
            self._warn_once(self._reckoning.take_rtc(self._rtc.read()))
            self._take_system_time()
            now_s = monotonic_s()
            if self._reckoning.rtc == "broken" and self._stored.relation is not None:
                self._save(now_s)  # otherwise the next start would trust this RTC again
        if now_s >= self._save_due_s:
            self._save(now_s)
        return self.glance()

    def glance(self) -> Now:
        """The time now, without reading a device or writing; any thread may call it."""
        now_s, reckoning = monotonic_s(), self._reckoning
        return Now(reckoning.at(now_s), now_s, reckoning.powered_s(now_s), reckoning.rtc)

    def interval(self) -> Interval:
        """The time interval now; any thread may call it."""
        return self._reckoning.at(monotonic_s())

    def note_sync(self, sync: Sync) -> None:
        """Take a signed time answer, and save at once if it changes the stored clock much."""
        notice = self._reckoning.take_sync(sync, self._rtc.read())
        self._warn_once(notice)
        self._save_sync()
        now_s = monotonic_s()
        stored = self._reckoning.to_store(now_s)
        is_first_relation = stored.relation is not None and self._stored.relation is None
        if (
            notice
            or is_first_relation
            or stored.floor_s - self._stored.floor_s > SAVE_EVERY_S + SAVE_APART_S
        ):
            self._save(now_s)

    def close(self) -> None:
        """Save the clock, unless it was saved less than SAVE_APART_S ago."""
        now_s = monotonic_s()
        stored = self._reckoning.to_store(now_s)
        if stored.powered_s - self._stored.powered_s > SAVE_APART_S:
            self._save(now_s)

    def _take_system_time(self) -> None:
        reading = kernel_clock.read() if self._system else None
        if reading is not None:
            self._warn_once(self._reckoning.take_sync(reading, self._rtc.read(), "system"))

    def _save_sync(self) -> None:
        """Save the last sync where a restart of the program keeps it and a power cut does not."""
        span = self._reckoning.sync
        if self._memory is None or span is None:
            return
        try:
            self._memory.save(msgspec.json.encode(span))
        except StoreLost as error:
            self._warn_once(str(error))

    def _save(self, now_s: float) -> None:
        self._save_due_s = now_s + SAVE_EVERY_S
        self._stored = self._reckoning.to_store(now_s)
        try:
            self._slots.save(self._stored)
        except SlotsLost as error:
            self._warn_once(str(error))

    def _warn_once(self, sentence: str | None) -> None:
        """Log each sentence once: an RTC that breaks each hour is one line."""
        if sentence and sentence not in self._logged:
            self._logged.add(sentence)
            log.warning("%s", sentence)


def _span(data: bytes | None) -> TimeSpan | None:
    """The sync in what `_save_sync` wrote; None: there is none, or it is damaged."""
    if data is None:
        return None
    try:
        span = decode_json(data, TimeSpan, MESSAGE_LEN_MAX)
    except DecodeError:
        return None
    times_s = (span.earliest_s, span.latest_s, span.monotonic_s)
    is_valid = all(map(math.isfinite, times_s)) and span.earliest_s <= span.latest_s
    return span if is_valid else None
