"""When counts, health and the question for the time are sent, and what comes back.

Counts and health go at fixed times, whatever there is to say, so that no message moves with a
passage; a change of the alarms is the stated exception and goes at once
(`edge/doorway/door_alarms.py`).
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from edge.clock.ports import Clock
from edge.clock.time_interval import Now
from edge.clock.time_request import TimeRequester
from edge.judge.verdict import TrustState
from edge.parts import Part, Trouble
from edge.report import health
from edge.report.ports import CountStore, Uplink
from edge.wire import report

log = logging.getLogger("menshen")

HEALTH_S = 60.0
HEALTH_JITTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who reports, how often, and whose signatures it accepts."""

    site: str
    unit: str
    report_s: float  # seconds between two messages of counts
    collector_key: bytes  # 32 bytes, Ed25519: signs acknowledgements
    time_key: bytes  # 32 bytes, Ed25519: signs the time; empty: nobody is asked


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """What a health message reports of this tick."""

    failed: frozenset[Part]  # at the last probe
    trouble: Trouble | None  # at the last probe
    alarms: tuple[report.Alarm, ...]
    trust_state: TrustState


class Reporter:
    """One unit's messages."""

    def __init__(
        self,
        uplink: Uplink,
        store: CountStore,
        clock: Clock,
        identity: Identity,
        rng: random.Random,
        now: Now,
        on_sync: Callable[[], None],
    ) -> None:
        """`on_sync` is called when an answer has set the clock."""
        self._uplink, self._store, self._clock = uplink, store, clock
        self._identity = identity
        self._rng = rng
        self._on_sync = on_sync
        self._request = TimeRequester(
            identity.site, identity.unit, store.session, identity.time_key, rng
        )
        self._started_s = self._counts_due_s = self._health_due_s = now.monotonic_s
        self._alarms_sent: tuple[report.Alarm, ...] = ()

    def tick(self, status: UnitStatus, now: Now) -> None:
        """Take what has come down, and send what is due at `now`. Raises StoreLost."""
        for leaf, payload in self._uplink.take_received():
            match leaf:
                case "ack":
                    self._take_ack(payload)
                case "answer":
                    self._take_answer(payload)
                case _:
                    assert_never(leaf)
        connected = self._uplink.connected()
        request = self._request.take_request(connected, now) if self._identity.time_key else None
        if request is not None:
            self._uplink.send("ask", request)
        if not connected:
            return
        if now.monotonic_s >= self._counts_due_s:
            self._counts_due_s = _next(self._counts_due_s, self._identity.report_s, now)
            cells = self._store.unacknowledged(report.CELLS_MAX)
            counts = report.CountsReport(installation=self._store.installation, cells=cells)
            self._uplink.send("counts", report.encode(counts))
        due = now.monotonic_s >= self._health_due_s
        if due:
            jitter_s = self._rng.uniform(-HEALTH_JITTER_S, HEALTH_JITTER_S)
            self._health_due_s = _next(self._health_due_s, HEALTH_S, now) + jitter_s
        if due or status.alarms != self._alarms_sent:
            self._alarms_sent = status.alarms
            self._uplink.send("health", report.encode(self._health(status, now)))

    def _health(self, status: UnitStatus, now: Now) -> report.HealthReport:
        return health.message(
            status.failed,
            next(iter(self._store.unacknowledged(1)), None),
            self._store.session,
            status.trust_state,
            self._started_s,
            now,
            status.trouble,
            status.alarms,
        )

    def _take_ack(self, payload: bytes) -> None:
        try:
            ack = report.verify_ack(payload, self._identity.collector_key)
        except report.ReportError as error:
            log.warning("%s", error)
            return
        if not self._store.acknowledge(ack):
            log.warning("an acknowledgement does not fit what this unit keeps; its cells stay")

    def _take_answer(self, payload: bytes) -> None:
        try:
            # The answer came in this tick: a reading from before it would not hold its time.
            sync = self._request.take_answer(payload, self._clock.read())
        except report.ReportError as error:
            log.warning("%s", error)
            return
        if sync is not None:
            self._clock.note_sync(sync)
            self._on_sync()


def _next(due_s: float, every_s: float, now: Now) -> float:
    """The next time on the grid: a tick that took long must not move the messages after it."""
    return due_s + every_s * ((now.monotonic_s - due_s) // every_s + 1)
