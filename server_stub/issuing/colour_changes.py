"""Colours over time: a colour and its one scheduled change, for one person or a party.

A party's colour is the worst of its members' colours at each moment: green only if all are green.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from edge.wire.code import TIME_S_MAX, Colour, ColourChange


class ColourCourse(NamedTuple):
    """`colour`, until `turn` replaces it."""

    colour: Colour
    turn: ColourChange | None = None

    def at(self, now_s: int) -> Colour:
        """The colour at `now_s`, Unix seconds UTC."""
        return self.turn.colour if self.turn and self.turn.at_s <= now_s else self.colour

    def since(self, now_s: int) -> "ColourCourse":
        """The course from `now_s` on: a turn in the past becomes the colour."""
        return ColourCourse(self.at(now_s)) if self.turn and self.turn.at_s <= now_s else self


def worst(courses: Iterable[ColourCourse], from_s: int, until_s: int = TIME_S_MAX) -> ColourCourse:
    """The worst of `courses` at each moment in [from_s, until_s), Unix seconds UTC.

    A code can hold one turn. A course that needs two gets no turn, but its worst colour throughout.
    """
    all_courses = list(courses)
    turns_s = {course.turn.at_s for course in all_courses if course.turn}
    if not turns_s:  # nearly always
        return ColourCourse(max([course.colour for course in all_courses]))
    moments = [from_s, *sorted(at_s for at_s in turns_s if from_s < at_s < until_s)]
    steps = [ColourChange(max(c.at(at_s) for c in all_courses), at_s) for at_s in moments]
    turns = [after for before, after in pairwise(steps) if after.colour != before.colour]
    if len(turns) > 1:
        return ColourCourse(max(step.colour for step in steps))
    return ColourCourse(steps[0].colour, turns[0] if turns else None)


def worse(new: ColourCourse, old: ColourCourse, now_s: int) -> bool:
    """Whether `new` is worse than `old` at some moment from `now_s` on."""
    moments = [now_s, *(c.turn.at_s for c in (new, old) if c.turn and c.turn.at_s > now_s)]
    return any(new.at(at_s) > old.at(at_s) for at_s in moments)
