"""People inside: a figure for the door alone."""

from hypothesis import given
from hypothesis import strategies as st

from edge.passing.occupancy import INSIDE_MAX, Occupancy

MOVES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=50)


def test_turns_in_and_out_are_counted() -> None:
    hall = Occupancy()
    assert hall.add_turns(2, 0)
    assert hall.add_turns(1, 1) is False
    assert hall.add_turns(0, 0) is False
    assert hall.people == 2


def test_who_leaves_after_a_power_cut_owes_nothing() -> None:
    """Three were inside when the power went: the figure begins at 0 and is right at the end."""
    hall = Occupancy()
    assert hall.add_turns(0, 2) is False
    hall.add_turns(1, 0)
    hall.add_turns(0, 1)
    hall.add_turns(0, 1)
    assert hall.people == 0
    hall.add_turns(1, 0)
    assert hall.people == 1


@given(MOVES)
def test_from_an_empty_house_it_is_exact(moves: list[tuple[int, int]]) -> None:
    """As long as nobody leaves who has not come, it is who came less who left."""
    hall, true = Occupancy(), 0
    for came, left in moves:
        left = min(left, true + came)
        true += came - left
        hall.add_turns(came, left)
    assert hall.people == true


@given(st.integers(0, 20), MOVES)
def test_after_a_power_cut_it_is_never_more_than_true(inside: int, moves: list) -> None:
    """It may say too few, so nobody is kept out by people who are not there."""
    hall, true = Occupancy(), inside
    for came, left in moves:
        left = min(left, true + came)
        true += came - left
        hall.add_turns(came, left)
        assert 0 <= hall.people <= true
        if true == 0:
            assert hall.people == 0, "an empty house is empty"


def test_a_sensor_gone_mad_stays_within_what_a_file_may_hold() -> None:
    hall = Occupancy(INSIDE_MAX)
    hall.add_turns(5, 0)
    assert hall.people == INSIDE_MAX
