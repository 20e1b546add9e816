"""Sends counts, health and time requests when they are due, and takes the replies.

Counts and health are sent at fixed times, whatever they contain, so that the time of a message does
not depend on a passage. The exception is a change of the alarms, which is sent at once
(`edge/doorway/door_alarms.py`).
"""

import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

from edge.clock.ports import Clock
from edge.clock.time_interval import Now
from edge.clock.time_request import TimeRequester
from edge.judge.verdict import TrustState
from edge.parts import Part, StoreLost, Trouble
from edge.report import health
from edge.report.ports import CountStore, Uplink
from edge.wire import report

log = logging.getLogger("menshen")

HEALTH_S = 60.0
HEALTH_JITTER_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The identity of a unit towards the centre, and the keys whose signatures it accepts."""

    site: str
    unit: str
    report_s: float  # seconds between two counts messages
    collector_key: bytes  # 32 bytes, Ed25519: signs acknowledgements
    time_key: bytes  # 32 bytes, Ed25519: signs the time; empty: no time requests


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """The state of the unit in this tick, for the health message."""

    failed_parts: frozenset[Part]  # at the last probe
    trouble: Trouble | None  # at the last probe
    alarms: tuple[report.Alarm, ...]
    trust_state: TrustState


class Reporter:
    """Sends and receives the messages of one unit."""

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
        """`on_sync` is called when a time reply has set the clock."""
        self._uplink, self._store, self._clock = uplink, store, clock
        self._identity = identity
        self._rng = rng
        self._on_sync = on_sync
        self._request = TimeRequester(
            identity.site, identity.unit, store.session, identity.time_key, rng
        )
        self._started_s = self._counts_due_s = self._health_due_s = now.monotonic_s
        # What is sent at once when it changes; the rest waits for the next regular message.
        self._changeable_sent: tuple[tuple[report.Alarm, ...], frozenset[Part]] = (), frozenset()

    def tick(self, status: UnitStatus, now: Now) -> None:
        """Take the received messages, and send what is due at `now`.

        Raises StoreLost, after everything else was sent.
        """
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
        failure: StoreLost | None = None
        if now.monotonic_s >= self._counts_due_s:
            self._counts_due_s = _next(self._counts_due_s, self._identity.report_s, now)
            try:
                self._send_counts()
            except StoreLost as lost:  # the operator must hear of it by the health below
                failure = lost
        is_due = now.monotonic_s >= self._health_due_s
        if is_due:
            jitter_s = self._rng.uniform(-HEALTH_JITTER_S, HEALTH_JITTER_S)
            self._health_due_s = _next(self._health_due_s, HEALTH_S, now) + jitter_s
        changeable = status.alarms, status.failed_parts
        if is_due or changeable != self._changeable_sent:
            self._changeable_sent = changeable
            self._uplink.send("health", report.encode(self._health(status, now)))
        if failure is not None:
            raise failure

    def _send_counts(self) -> None:
        cells = self._store.unacknowledged(report.CELLS_MAX)
        counts = report.CountsReport(installation=self._store.installation, cells=cells)
        self._uplink.send("counts", report.encode(counts))

    def _health(self, status: UnitStatus, now: Now) -> report.HealthReport:
        oldest: report.Cell | None = None
        with suppress(StoreLost):
            oldest = next(iter(self._store.unacknowledged(1)), None)
        return health.message(
            status.failed_parts,
            oldest,
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
            log.warning(
                "an acknowledgement does not match the cells of this unit; the cells are kept"
            )

    def _take_answer(self, payload: bytes) -> None:
        try:
            # Read the clock again: the answer arrived after the reading of this tick.
            sync = self._request.take_answer(payload, self._clock.read())
        except report.ReportError as error:
            log.warning("%s", error)
            return
        if sync is not None:
            self._clock.note_sync(sync)
            self._on_sync()


def _next(due_s: float, every_s: float, now: Now) -> float:
    """The next time on the grid after `now`: a slow tick must not shift the messages after it."""
    return due_s + every_s * ((now.monotonic_s - due_s) // every_s + 1)
