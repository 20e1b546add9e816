"""Occupancy: how many people are inside, if one unit sees both directions of the only entrance.

The door needs this number for its signal *full, please wait*. It is kept in memory and never leaves
the unit, because it changes with each passage. After a power cut it starts at 0, although people
may be inside; it is correct again when the last of them has left. Two people in one turn count as
one. If the exit sensor's cable is cut, the number only rises: the door then stays shut, and the
site is never overfull.
"""

INSIDE_MAX = 1_000_000


class Occupancy:
    """The occupancy that one unit counts."""

    def __init__(self, people: int = 0) -> None:
        """`people`: the number that a file in RAM kept over a restart of the program."""
        self._people = people

    @property
    def people(self) -> int:
        """People inside. Never below 0: somebody who leaves at 0 came in before the power cut."""
        return self._people

    def add_turns(self, turns_in: int, turns_out: int) -> bool:
        """Add the turns since the last call. Returns whether the number changed."""
        before = self._people
        self._people = min(max(0, before + turns_in - turns_out), INSIDE_MAX)
        return self._people != before
