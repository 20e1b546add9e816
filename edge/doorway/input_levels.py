"""What a door's inputs say, whichever are wired (`edge/wire/door_inputs.py` lists them)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.wire.door_inputs import Input


@dataclass(frozen=True, slots=True)
class InputLevels:
    """What a door says now. Each level has held for 20 ms at least.

    A press that began and ended since the last call is reported once.
    """

    levels: Mapping[Input, bool] = field(default_factory=dict)  # of those that are wired
    latched: bool | None = None  # the controller holds itself shut until re-armed from inside

    def level(self, name: Input) -> bool | None:
        """Whether the input says yes; None: it is not wired."""
        return self.levels.get(name)
