"""The clock that the loop needs."""

from typing import Protocol

from edge.clock.time_interval import Now, Sync


class Clock(Protocol):
    """Time."""

    def read(self) -> Now:
        """One reading; the loop takes one a tick."""

    def note_sync(self, sync: Sync) -> None:
        """Take an authenticated sync; what it contradicts is logged."""
