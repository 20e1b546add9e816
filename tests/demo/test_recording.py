"""The recording in README.md: its words and its drawing follow the door, and it stays small."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge.clock.time_interval import Interval, Now
from edge.judge.site_decision import Decision, decide
from edge.judge.verdict import Genuine, Reason, Refused, Verdict
from edge.wire.code import Code, Colour
from edge.wire.rules import PLAIN
from tests.demo import recording
from tests.demo.door import in_words
from tests.demo.judging import Answer
from tests.demo.recording import Moment

NOW = Now(Interval(1_803_891_600, 1_803_891_600, "system"), 0.0)
CODE = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=1_803_891_540, exp_s=1_803_891_840)
RECORDING = Path(recording.__file__).with_name("door.webp")
NOBODY = Moment(np.zeros((720, 1280), np.uint8), 0, False, False, False, None)


def decided(verdict: Verdict) -> Decision:
    """By the rules of a site that has set none."""
    return decide(verdict, PLAIN, NOW)


def answered(decision: Decision) -> Answer:
    """As the demo's door says it."""
    return Answer(decision.category, in_words(decision), (), 0, 0.0)


@pytest.mark.parametrize(
    "verdict",
    [
        *(Genuine(replace(CODE, colour=colour), colour, b"", "city") for colour in Colour),
        *(Refused(reason, b"") for reason in (Reason.USED, Reason.EXPIRED, Reason.BAD_SIGNATURE)),
    ],
    ids=str,
)
def test_the_caption_is_what_the_door_decided(verdict: Verdict) -> None:
    decision = decided(verdict)
    answer = answered(decision)
    words = recording.caption(answer)
    assert words.startswith("The door opens: " if decision.opens else "The door stays shut: ")
    assert decision.why in words
    ink = recording.GREEN if decision.opens else recording.RED
    assert recording.colour(answer) == ink


def test_both_kinds_of_decision_are_among_them() -> None:
    assert decided(Genuine(CODE, Colour.GREEN, b"", "city")).opens
    assert not decided(Refused(Reason.USED, b"")).opens


@pytest.mark.parametrize(("green", "red", "closed"), [*product((False, True), repeat=3)])
def test_lamps_and_gate_are_drawn_from_the_pins_alone(green: bool, red: bool, closed: bool) -> None:
    moment = replace(NOBODY, green=green, red=red, relay_closed=closed)
    picture = recording.draw(moment)
    assert picture.getpixel(recording.LAMPS["green"]) == (
        recording.GREEN if green else recording.OFF
    )
    assert picture.getpixel(recording.LAMPS["red"]) == (recording.RED if red else recording.OFF)
    across = picture.getpixel(recording.ACROSS)
    assert across == (recording.BACK if closed else recording.RED)


def test_the_recording_in_the_repository_is_small_and_moves() -> None:
    assert RECORDING.stat().st_size < 1_500_000
    with Image.open(RECORDING) as film:
        assert film.size == recording.SIZE
        lasts_ms = 0
        for number in range(getattr(film, "n_frames", 1)):
            film.seek(number)
            film.load()
            lasts_ms += int(film.info["duration"])
    assert 6_000 <= lasts_ms <= 10_000
