"""The interfaces of the count store and of the connection to the broker. No call blocks."""

from typing import Protocol

from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report


class CountStore(Protocol):
    """Counts that survive a power cut: integers only. A change is durable when its call returns.

    Each method raises StoreLost.
    """

    installation: str
    session: int  # one more at each start

    def cells(self) -> dict[report.Category, OpenCell]:
        """The open cells."""

    def begin(self, cells: list[OpenCell]) -> None:
        """Store those of `cells` whose category has no open cell yet."""

    def probe(self) -> None:
        """Make one small durable change, to test whether the disk still works."""

    def count(self, cell: OpenCell) -> None:
        """Store `cell`, with one more decision, in place of the open cell of its category."""

    def close_cells(self, closed: list[ClosedCell]) -> None:
        """Number the closed cells, keep them until they are acknowledged, open the next ones."""

    def unacknowledged(self, most: int) -> list[report.Cell]:
        """The oldest closed cells, at most `most`, in the order of their numbers."""

    def acknowledge(self, ack: report.Ack) -> bool:
        """Delete the cells that the collector has stored; False if `ack` does not match the stored
        cells.
        """


class Uplink(Protocol):
    """The connection to the broker; it may be down for days."""

    def send(self, leaf: report.Leaf, payload: bytes) -> None:
        """Send a message. While there is no connection it is dropped; see `connected`.

        `ask` is sent at most once: an answer to a late one would be useless.
        """

    def take_received(self) -> list[tuple[report.DownLeaf, bytes]]:
        """The messages received since the last call; the queue is bounded and drops the oldest."""

    def connected(self) -> bool:
        """Whether this unit is connected to the broker now."""

    def close(self) -> None:
        """Disconnect."""
