"""The course of a colour: what it is, and what it turns to at a moment, for one person or several.

A party's colour is the worst of all its people's at each moment, so it is green only if all are.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from edge.wire.code import TIME_S_MAX, Colour, ColourChange


class ColourCourse(NamedTuple):
    """`colour`, until `turn` says another."""

    colour: Colour
    turn: ColourChange | None = None

    def at(self, now_s: int) -> Colour:
        """The colour at `now_s`, Unix seconds UTC."""
        return self.turn.colour if self.turn and self.turn.at_s <= now_s else self.colour

    def since(self, now_s: int) -> "ColourCourse":
        """What is left of it from `now_s` on: a turn that is done is the colour."""
        return ColourCourse(self.at(now_s)) if self.turn and self.turn.at_s <= now_s else self


def worst(courses: Iterable[ColourCourse], from_s: int, until_s: int = TIME_S_MAX) -> ColourCourse:
    """The worst of all at each moment from `from_s` until before `until_s`, Unix seconds UTC.

    A code can say one turn. What would need two has no turn, and the worst colour of all that time.
    """
    them = list(courses)
    turns_s = {each.turn.at_s for each in them if each.turn}
    if not turns_s:  # nearly always
        return ColourCourse(max([each.colour for each in them]))
    moments = [from_s, *sorted(at_s for at_s in turns_s if from_s < at_s < until_s)]
    steps = [ColourChange(max(each.at(at_s) for each in them), at_s) for at_s in moments]
    turns = [after for before, after in pairwise(steps) if after.colour != before.colour]
    if len(turns) > 1:
        return ColourCourse(max(step.colour for step in steps))
    return ColourCourse(steps[0].colour, turns[0] if turns else None)


def worse(new: ColourCourse, old: ColourCourse, now_s: int) -> bool:
    """Whether `new` is worse than `old` at some moment from `now_s` on."""
    moments = [now_s, *(c.turn.at_s for c in (new, old) if c.turn and c.turn.at_s > now_s)]
    return any(new.at(at_s) > old.at(at_s) for at_s in moments)
