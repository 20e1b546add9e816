"""The interfaces of the count store and of the connection to the broker. No call blocks."""

from typing import NamedTuple, Protocol

from edge.report.tally import ClosedCell, OpenCell
from edge.wire import report


class StoreLoss(NamedTuple):
    """A damaged store was renewed."""

    reason: str  # a clause that says what was found
    missing: int | None  # decisions that are lost at least; None: nobody knows. Never sent

    def sentence(self, k: int) -> str:
        """What an operator may read of it: fewer than `k` decisions, or a power of ten."""
        if self.missing is None:
            extent = "nobody knows how many decisions are missing"
        elif self.missing == 0:
            extent = "no decision is missing"
        elif self.missing < k:
            extent = f"fewer than {k} decisions are missing"
        else:
            extent = f"fewer than {10 ** len(str(max(self.missing, k)))} decisions are missing"
        return (
            f"the counts were damaged ({self.reason}): the file was set aside, and a new "
            f"installation has begun; {extent}"
        )


class CountStore(Protocol):
    """Counts that survive a power cut: integers only. A change is durable when its call returns.

    Each method raises StoreLost.
    """

    @property
    def installation(self) -> str:
        """Made with a new store; it changes when a damaged one is renewed."""

    @property
    def session(self) -> int:
        """One more at every start."""

    def take_loss(self) -> StoreLoss | None:
        """What was lost since the last call; None: nothing."""

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
