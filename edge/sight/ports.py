"""Scanner: what the loop needs of a camera and its decoder, or of an imager. No call waits."""

from typing import Protocol

from edge.sight.frame import Frame, Sighting


class FrameSource(Protocol):
    """A camera; `adapters/camera/camera_scanner.py` reads what it sees."""

    def latest(self) -> Frame | None:
        """The newest frame not yet taken, older ones dropped; None: nothing new.

        Raises CameraLost.
        """

    def close(self) -> None:
        """Give the device back."""


class Scanner(Protocol):
    """What is shown at the door: a camera and its decoder, or an imager."""

    def latest(self) -> Sighting | None:
        """The newest sighting not yet taken; None: nothing new. Never waits. Raises CameraLost.

        One with symbols may wait half a second for its taker, though a frame without any followed.
        """

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or at once when there is a new sighting."""

    def close(self) -> None:
        """Give the device back."""
