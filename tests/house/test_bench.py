"""The bench runs and says all it should; how fast anything is, is nobody's assertion."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figure import Figure, race, ratio

RATIOS = {
    "check_by_libsodium",
    "cwt_by_libsodium",
    "pyseto_by_libsodium",
    "holder_by_libsodium",
    "hc1_by_es256",
    "hc1_keys",
    "many_by_few",
    "frame_code_by_zxing",
    "frame_code_by_zbar",
    "frame_empty_by_zxing",
    "frame_empty_by_zbar",
    "sighted_by_here",
    "still_by_zxing",
    "still_small_by_zxing",
    "pin_by_peer",
    "help_by_python",
}
BOUNDED = {
    "check_by_libsodium": 1.6,
    "holder_by_libsodium": 3.3,
    "hc1_keys": 1.1,
    "many_by_few": 1.1,
    "frame_empty_by_zxing": 1.25,
    "still_by_zxing": 0.25,
    "still_small_by_zxing": 0.25,
    "pin_by_peer": 1,
    "pin_p95_slow_ms": 300,
    "first_decision_s": 2,
    "memory_mib": 100,
    "resident_mib": 100,
}


@pytest.mark.system
def test_the_bench_writes_every_figure_with_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", "tests.bench", "--quick", "--json", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "text to verdict / libsodium" in ran.stdout
    figures = json.loads(file.read_text())["figures"]
    assert {key for key, figure in figures.items() if figure["unit"] == "x"} == RATIOS
    assert {k: f["bound"] for k, f in figures.items() if f["bound"] is not None} == BOUNDED
    assert all(figure["value"] > 0 for figure in figures.values())


def test_everybody_runs_in_every_round_and_none_always_first() -> None:
    ran: list[str] = []
    times = race({name: lambda name=name: ran.append(name) for name in "abc"}, rounds=3, calls=2)  # type: ignore[misc]
    assert {name: len(of) for name, of in times.items()} == {"a": 3, "b": 3, "c": 3}
    rounds = ["".join(ran[i : i + 6 : 2]) for i in range(0, len(ran), 6)]
    assert rounds == ["cab", "abc", "bca", "cab"]


def test_a_ratio_is_taken_round_by_round_and_a_bound_is_a_most() -> None:
    assert ratio([2, 20, 6], [1, 10, 2]) == 2
    assert Figure("a", "a", 1.6, "x", 1.6).within is True
    assert Figure("a", "a", 1.7, "x", 1.6).within is False
    assert Figure("a", "a", 1.7, "x").within is None
