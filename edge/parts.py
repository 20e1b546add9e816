"""The parts of a unit that can fail, and the errors by which adapters report it.

A failing world is an exception from here, caught once in the loop: signal *not ready*, the relay
at rest.
"""

from typing import Literal

Part = Literal["camera", "door", "store", "trust", "verifier"]
"""What of a unit's world can fail."""

Trouble = Literal["dark", "covered", "dirty", "unfocused"]
"""What keeps a working camera from seeing codes; each must last for minutes before it is reported.
"""


class WorldFailure(Exception):  # the ones below name what failed
    """A device or service failed; the message is one sentence for people."""

    part: Part


class CameraLost(WorldFailure):
    """No camera, or it stopped giving frames."""

    part = "camera"


class DoorLost(WorldFailure):
    """The pins are gone."""

    part = "door"


class StoreLost(WorldFailure):
    """The disk is full, read-only or gone: nothing can be counted, so nothing may open."""

    part = "store"


class TrustLost(WorldFailure):
    """No trust documents can be read: nobody can be judged."""

    part = "trust"


class VerifierWrong(WorldFailure):
    """The self-test failed: no verdict of this machine may open a door."""

    part = "verifier"
