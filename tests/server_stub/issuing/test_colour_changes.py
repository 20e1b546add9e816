"""The worst of several colours through time, against a look at every single second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire.code import Colour, ColourChange
from server_stub.issuing import colour_changes
from server_stub.issuing.colour_changes import ColourCourse

GREEN, YELLOW, RED = Colour
Course, Change = ColourCourse, ColourChange
COLOURS = st.sampled_from(Colour)
COURSES = st.builds(
    ColourCourse, COLOURS, st.none() | st.builds(ColourChange, COLOURS, st.integers(-5, 25))
)


@given(st.lists(COURSES, min_size=1, max_size=5), st.integers(1, 20))
def test_a_partys_colour_is_the_worst_at_every_second(
    them: list[ColourCourse], until_s: int
) -> None:
    said = colour_changes.worst(them, 0, until_s)
    truth = [max(each.at(now_s) for each in them) for now_s in range(until_s)]
    changes = [n for n in range(1, until_s) if truth[n] != truth[n - 1]]
    if len(changes) > 1:  # no code can say it
        assert said == ColourCourse(max(truth))
    else:
        assert [said.at(now_s) for now_s in range(until_s)] == truth
        assert (said.turn.at_s if said.turn else None) == (changes[0] if changes else None)


@given(COURSES, COURSES, st.integers(0, 20))
def test_worse_is_worse_at_some_second_from_now_on(
    new: ColourCourse, old: ColourCourse, now_s: int
) -> None:
    truth = any(new.at(at_s) > old.at(at_s) for at_s in range(now_s, 40))
    assert colour_changes.worse(new, old, now_s) is truth
    left = old.since(now_s)
    assert [left.at(at_s) for at_s in range(now_s, 40)] == [old.at(a) for a in range(now_s, 40)]
    assert left.turn is None or left.turn.at_s > now_s


@pytest.mark.parametrize(
    ("them", "said"),
    [
        ([Course(GREEN), Course(YELLOW, Change(GREEN, 9))], Course(YELLOW, Change(GREEN, 9))),
        ([Course(RED), Course(YELLOW, Change(GREEN, 9))], Course(RED)),
        ([Course(YELLOW), Course(RED, Change(GREEN, 9))], Course(RED, Change(YELLOW, 9))),
        ([Course(YELLOW, Change(GREEN, 3)), Course(YELLOW, Change(GREEN, 9))],
         Course(YELLOW, Change(GREEN, 9))),
        ([Course(RED, Change(GREEN, 3)), Course(YELLOW, Change(GREEN, 9))], Course(RED)),
        ([Course(GREEN, Change(RED, 5)), Course(YELLOW, Change(GREEN, 5))],
         Course(YELLOW, Change(RED, 5))),
        ([Course(YELLOW, Change(GREEN, 10))], Course(YELLOW)),  # after the end
        ([Course(YELLOW, Change(GREEN, 0))], Course(GREEN)),  # done
    ],
)  # fmt: skip
def test_cases_by_hand(them: list[ColourCourse], said: ColourCourse) -> None:
    assert colour_changes.worst(them, 0, 10) == said
