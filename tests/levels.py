"""What a door's inputs say, written shortly: `says(contact=True)`, `but(said, fire=True)`."""

from edge.doorway.input_levels import InputLevels
from edge.wire.door_inputs import INPUTS, Input

LEVELS: tuple[Input, ...] = tuple(name for name, row in INPUTS.items() if not row.turns)


def says(latched: bool | None = None, **levels: bool | None) -> InputLevels:
    """By the inputs' names; None, or left out: not wired."""
    assert set(levels) <= set(LEVELS), levels
    return InputLevels({n: levels[n] for n in LEVELS if levels.get(n) is not None}, latched)  # type: ignore[misc]


def but(said: InputLevels, **changed: bool | None) -> InputLevels:
    """The same with some of it changed; None: not wired."""
    latched = changed.pop("latched", said.latched)
    return says(latched, **{**said.levels, **changed})


QUIET = says(**dict.fromkeys(LEVELS, False))
