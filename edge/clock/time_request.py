"""Asking the centre for the time: a new nonce each time, one question open, ten seconds for it.

The answer's signature covers the nonce, so no old answer and no other unit's answer passes.
Rules: edge/wire/time.md.
"""

import random
from dataclasses import dataclass

from edge.backoff import Backoff
from edge.clock.time_interval import Now, Sync
from edge.wire import report

ANSWER_S_MAX = 10.0
"""A later answer would say little: the round trip is part of its error."""

EVERY_S = 3600.0
AGAIN_S = 15.0  # after a question without an answer; doubles up to EVERY_S
JITTER = 0.1  # of each wait: a city's units do not ask in step


@dataclass(frozen=True, slots=True)
class _PendingRequest:
    nonce: str
    asked_s: float  # monotonic


class TimeRequester:
    """One unit's questions. `rng` must be the system's: who foresees a nonce can ask before."""

    def __init__(
        self, site: str, unit: str, session: int, time_key: bytes, rng: random.Random
    ) -> None:
        self._site, self._unit, self._session = site, unit, session
        self._time_key = time_key
        self._rng = rng
        self._open: _PendingRequest | None = None
        self._was_connected = False
        self._due_s = float("-inf")
        self._backoff = Backoff(AGAIN_S, EVERY_S, JITTER, rng)

    def take_request(self, connected: bool, now: Now) -> bytes | None:
        """What to send as `ask` now, at each connection and about hourly; None: nothing yet."""
        reconnected = connected and not self._was_connected
        self._was_connected = connected
        if reconnected:
            self._backoff.reset()
        waiting = self._open and now.monotonic_s - self._open.asked_s <= ANSWER_S_MAX
        if not connected or waiting or (now.monotonic_s < self._due_s and not reconnected):
            return None
        self._open = _PendingRequest(self._rng.randbytes(16).hex(), now.monotonic_s)
        self._due_s = now.monotonic_s + self._backoff.take_wait_s()
        return report.encode(report.TimeRequest(session=self._session, nonce=self._open.nonce))

    def take_answer(self, payload: bytes, now: Now) -> Sync | None:
        """The sync that an `answer` is worth; None: it answers no open question.

        `now` must be read after `payload` was taken: what arrives in the middle of a tick was
        written after the tick began. Raises ReportError.
        """
        answer = report.verify_time_answer(payload, self._time_key)
        asked = self._open
        if asked is None or (answer.site, answer.unit) != (self._site, self._unit):
            return None
        trip_s = now.monotonic_s - asked.asked_s
        if answer.nonce != asked.nonce or not 0 <= trip_s <= ANSWER_S_MAX:
            return None
        self._open = None
        self._backoff.reset()
        self._due_s = now.monotonic_s + self._backoff.jittered(EVERY_S)
        # It was written between question and answer: half the round trip to either side.
        time_s = answer.time_ms / 1000 + trip_s / 2
        return Sync(time_s, answer.error_ms / 1000 + 0.001 + trip_s / 2, now.monotonic_s)
