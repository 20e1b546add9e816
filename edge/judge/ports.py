"""Where newer trust documents come from."""

from typing import Protocol

from edge.judge.verdict import TrustState


class TrustSource(Protocol):
    """Keeps the trust documents of a unit and receives newer ones."""

    def latest(self) -> TrustState | None:
        """The newest state since the last call; None: no newer one. Never waits, never raises."""
