"""How many people are inside, where one unit sees both directions of the only way in.

A figure for the door's own *full, wait*, in memory only: it never leaves the unit, since it moves
with one passage. After a power cut it begins at 0, though people may be inside; it is right again
when the last of them has left. Two in one turn count as one, and a cut exit sensor fills the house,
which keeps the door shut and never overfull.
"""

INSIDE_MAX = 1_000_000


class Occupancy:
    """The count of one unit."""

    def __init__(self, people: int = 0) -> None:
        """`people`: what a file in RAM kept over a restart of the program."""
        self._people = people

    @property
    def people(self) -> int:
        """Never below 0: who leaves an empty house was there before the power cut."""
        return self._people

    def add_turns(self, came: int, left: int) -> bool:
        """Turns in and out since the last call; whether that changed the figure."""
        before = self._people
        self._people = min(max(0, before + came - left), INSIDE_MAX)
        return self._people != before
