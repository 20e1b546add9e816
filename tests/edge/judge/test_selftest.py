"""Known answers: right here, wrong with a verifier that is broken, and then the door is shut."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge.doorway.door_signals import Signal
from edge.judge import selftest
from edge.wire import report
from tests import ROOT
from tests.world import Street, StreetVisit

BROKEN = {  # what a card with a changed file would do: the file, what it says, what it says then
    "any signature will do": (
        "edge/wire/keys.py",
        "    except CryptoError:\n        return False",
        "    except CryptoError:\n        return True",
    ),
    "nothing expires": ("edge/judge/verdict.py", "exp_s <= time.earliest_s", "False"),
    "a holder's code passes bare": ("edge/judge/verdict.py", "if claims.cnf is not None or", "if"),
    "any phone signs": ("edge/judge/verdict.py", "cnf is None or not", "cnf is None and"),
    "every door is meant": ("edge/judge/verdict.py", "if holder_code.door == place", "if place"),
}  # fmt: skip


def test_every_answer_is_right_here() -> None:
    answers = selftest.run_cases()
    assert [a.case.name for a in answers if not a.is_right] == []
    kinds = [case.expected.partition(":")[0] for case in selftest.CASES]
    assert kinds.count("genuine") >= 3
    assert kinds.count("refused") >= 10


@pytest.mark.system
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_verifier_is_noticed(name: str, tmp_path: Path) -> None:
    file, says, instead = BROKEN[name]
    shutil.copytree(ROOT / "edge", tmp_path / "edge")
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert text.count(says) == 1, f"{file} does not say {says!r} once"
    (tmp_path / file).write_text(text.replace(says, instead), encoding="utf-8")
    ask = "from edge.judge import selftest; print(selftest.failure_sentence())"
    said = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "the self-test failed: the case" in said
    assert "this door stays shut" in said


def show(street: Street) -> int:
    before = len(street.pulses)
    text = street.people.text("green", len(street.visits), int(street.wall_s))
    street.visit = StreetVisit("green", text, street.monotonic_s, street.monotonic_s + 3)
    street.visits.append(street.visit)
    street.run(8)
    street.visit, street.next_visit_s = None, float("inf")
    street.run(6)
    return len(street.pulses) - before


def test_a_door_with_wrong_answers_serves_nobody_and_says_so(tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    said: list[str | None] = ["the self-test failed"]
    street.self_test = lambda: said[0]
    street.power_cut()
    street.next_visit_s = float("inf")
    assert show(street) == 0
    assert {signal for _, signal in street.actions} == {Signal.NOT_READY}
    assert street.decisions == []
    street.run(130)
    told = [m.payload for m in street.centre.messages if m.leaf == "health"][-1]
    assert report.decode_health(told).verifier == "wrong"
    said[0] = None
    assert show(street) == 1


def test_it_is_repeated_once_a_day(tmp_path: Path) -> None:
    street = Street(1, tmp_path)
    asked: list[float] = []
    street.self_test = lambda: asked.append(street.monotonic_s)
    street.power_cut()
    street.next_visit_s = float("inf")
    street.run(1)
    for _ in range(3):
        street.monotonic_s += selftest.AGAIN_S / 2
        street.wall_s += selftest.AGAIN_S / 2
        street.run(1)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= selftest.AGAIN_S
