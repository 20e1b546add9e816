"""What time it is, for a unit that asks: signed over its nonce by a key that signs nothing else.

It answers at once and keeps nothing, so the collector's network thread can do it. The time is this
machine's, which must be kept by NTP (chrony, better with NTS): `error_ms` says how well.
"""

import time

from edge.wire import keys, report

ERROR_MS = 1000
"""Generous for a machine that NTP keeps: chrony stays within some milliseconds of its servers."""


class TimeAnswerer:
    """Answers questions in the name of one time key."""

    def __init__(self, time_key: keys.PrivateKey, error_ms: int = ERROR_MS) -> None:
        self._key = time_key
        self._error_ms = error_ms

    def answer(self, topic: str, payload: bytes) -> tuple[str, bytes]:
        """The topic and payload to send back. Raises ReportError."""
        asked = report.decode_time_request(payload)
        asker = report.address(topic)
        if asker is None or asker.leaf != "ask":
            raise report.ReportError("a question for the time came on a topic that is not a unit's")
        said = report.TimeAnswer(
            site=asker.site,
            unit=asker.unit,
            nonce=asked.nonce,
            time_ms=time.time_ns() // 1_000_000,
            error_ms=self._error_ms,
        )
        return report.topic(asker.site, asker.unit, "answer"), report.sign_time_answer(
            said, self._key
        )
