"""Where newer trust documents come from."""

from typing import Protocol

from edge.judge.verdict import TrustState


class TrustSource(Protocol):
    """What keeps the documents that a unit believes, and brings newer ones."""

    def latest(self) -> TrustState | None:
        """What is newer than what was asked for last; None: nothing. Never waits, never raises."""
