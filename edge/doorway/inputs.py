"""What a door says by its inputs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a door says now; None: not wired. Each level has held for 20 ms at least.

    A press that began and ended since the last call is told once.
    """

    open: bool | None = None  # the door contact: the leaf stands open
    exit: bool | None = None  # the exit button, which opens by its own wiring, is pressed
    fire: bool | None = None  # the fire contact, which acts by its own wiring
    help: bool | None = None  # the help button is pressed
    tamper: bool | None = None  # the lid of the unit's or the controller's housing is open
    latched: bool | None = None  # the controller holds itself shut until re-armed from inside
