"""Answers a unit's time request, signed over its nonce by a key that signs nothing else.

An answer is immediate and needs no state, so the collector's network thread can send it. The time
is this machine's clock, which NTP must keep (chrony, better with NTS); `error_ms` is its error.
"""

import time

from edge.wire import keys, report

ERROR_MS = 1000
"""Generous for a machine with NTP: chrony stays within some milliseconds of its servers."""


class TimeAnswerer:
    """Signs answers to time requests with one time key."""

    def __init__(self, time_key: keys.PrivateKey, error_ms: int = ERROR_MS) -> None:
        self._key = time_key
        self._error_ms = error_ms

    def answer(self, topic: str, payload: bytes) -> tuple[str, bytes]:
        """The topic and payload of the answer. Raises ReportError."""
        request = report.decode_time_request(payload)
        address = report.address(topic)
        if address is None or address.leaf != "ask":
            raise report.ReportError("a time request came on a topic that is not a unit's")
        answer = report.TimeAnswer(
            site=address.site,
            unit=address.unit,
            nonce=request.nonce,
            time_ms=time.time_ns() // 1_000_000,
            error_ms=self._error_ms,
        )
        reply_topic = report.topic(address.site, address.unit, "answer")
        return reply_topic, report.sign_time_answer(answer, self._key)
