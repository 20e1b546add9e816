"""The memory that outlives a restart of the program."""

from typing import Protocol


class RestartMemory(Protocol):
    """What outlives a restart of the program and not a power cut: marks of who passed."""

    def load(self) -> bytes | None:
        """What was saved last in this boot of the computer; None after a power cut."""

    def save(self, data: bytes) -> None:
        """Keep `data` in the place of what was there. Raises StoreLost."""
