"""The memory that survives a restart of the program."""

from typing import Protocol


class RestartMemory(Protocol):
    """Survives a restart of the program, but not a power cut; holds the marks of used codes."""

    def load(self) -> bytes | None:
        """The data saved last since the computer booted; None after a power cut."""

    def save(self, data: bytes) -> None:
        """Save `data` in place of the data before. Raises StoreLost."""
