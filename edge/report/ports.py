"""The disk and the way to the centre, as the loop needs them. No call waits."""

from typing import Protocol

from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report


class CountStore(Protocol):
    """What must outlive a power cut: integers only. Every change is durable when its call returns.

    Each method raises StoreLost.
    """

    installation: str
    session: int  # one more at every start

    def cells(self) -> dict[report.Category, OpenCell]:
        """The open cells."""

    def begin(self, cells: list[OpenCell]) -> None:
        """Keep those of `cells` whose category has no open cell yet."""

    def probe(self) -> None:
        """One small durable change: whether the disk still takes one."""

    def count(self, cell: OpenCell) -> None:
        """One decision more: keep `cell`, which replaces the open one of its category."""

    def close_cells(self, closed: list[ClosedCell]) -> None:
        """Number what leaves the open cells and keep it until it is acknowledged."""

    def unacknowledged(self, most: int) -> list[report.Cell]:
        """The oldest closed cells, rising by number."""

    def acknowledge(self, ack: report.Ack) -> bool:
        """Forget what the collector has stored; False when `ack` does not fit what is kept."""


class Uplink(Protocol):
    """The way to the centre; may be down for days."""

    def send(self, leaf: report.Leaf, payload: bytes) -> None:
        """Hand over a message; what cannot be sent now is dropped and told by `connected`.

        `ask` is sent at most once: a late one would be answered in vain.
        """

    def take_received(self) -> list[tuple[report.DownLeaf, bytes]]:
        """What came down since the last call; a bounded queue, the oldest dropped."""

    def connected(self) -> bool:
        """Whether the broker has us now."""

    def close(self) -> None:
        """Say goodbye."""
