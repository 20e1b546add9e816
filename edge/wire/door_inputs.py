"""The inputs that can be wired to a door: the one list from which the others are made or checked.

To add an input, add it here; tests/house/test_inputs.py then names what is missing elsewhere.
edge/doorway/adding-an-input.md leads through it.
"""

from typing import Literal, NamedTuple, get_args

from edge.wire.report import Alarm

Input = Literal["contact", "exit_button", "fire", "help_button", "turn", "turn_out", "tamper"]
"""By the names of hardware/pins.toml and unit.toml."""


class InputRow(NamedTuple):
    """What is so of one input, however the door is driven."""

    place: int  # in a controller's input status report (firmware/osdp.md), which is its bit there
    rests_closed: bool  # a loop that is closed at rest, so that a cut cable reads as yes
    turns: bool = False  # each closing is a turn of the turnstile; else its level is read
    alarm: Alarm | None = None  # raised while the input is yes


INPUTS: dict[Input, InputRow] = {
    "contact": InputRow(0, True),
    "exit_button": InputRow(1, False),
    "fire": InputRow(2, True, alarm="fire"),
    "help_button": InputRow(3, False, alarm="help"),
    "turn": InputRow(4, False, turns=True),
    "turn_out": InputRow(5, False, turns=True),
    "tamper": InputRow(7, True, alarm="tamper"),
}
LATCHED_PLACE = 6
"""Of the controller's own latch, which is no input, in the same report."""

REPORT_LEN = 1 + max(LATCHED_PLACE, *(row.place for row in INPUTS.values()))

if set(INPUTS) != set(get_args(Input)):  # mypy checks that no other is in it, not that all are
    raise AssertionError(f"INPUTS lacks {set(get_args(Input)) - set(INPUTS)}")
