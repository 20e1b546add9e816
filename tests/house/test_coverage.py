"""The table of `make coverage` and its floor: .ci/coverage_rooms.py over a small project."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

pytestmark = pytest.mark.system
SCRIPT = ROOT / ".ci" / "coverage_rooms.py"
FILES = {
    "edge/__init__.py": "A = 1\n",
    "edge/judge/__init__.py": "",
    "edge/judge/verdict.py": "def verify(x):\n    if x:\n        return 1\n    return 2\n",
    "edge/judge/never_imported.py": "B = 1\nC = 2\n",
    "main.py": "import edge.judge.verdict\nedge.judge.verdict.verify(True)\n",
}
ROWS = [  # lines that can run, lines that did
    ["edge", "1", "1", "100.0", "%"],
    ["edge/judge", "6", "3", "50.0", "%"],
    ["all", "7", "4", "57.1", "%"],
]


def measured(folder: Path, floor: str) -> subprocess.CompletedProcess[str]:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".cache").mkdir()
    (folder / "pyproject.toml").write_text(
        '[tool.coverage.run]\nsource = ["edge"]\ndata_file = ".cache/coverage"\n'
        f"[tool.coverage.report]\nfail_under = {floor}\n"
    )
    run = [sys.executable, "-m", "coverage", "run", "main.py"]
    subprocess.run(run, cwd=folder, check=True, timeout=60)
    return subprocess.run(
        [sys.executable, SCRIPT], cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_the_table_counts_each_room_and_files_that_nothing_imports(tmp_path: Path) -> None:
    done = measured(tmp_path, "57.1")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = (line.split() for line in done.stdout.splitlines()[:4])
    assert head == ["room", "lines", "run", "share"]
    assert rows == ROWS


def test_under_the_floor_it_fails_with_the_table_and_one_sentence(tmp_path: Path) -> None:
    done = measured(tmp_path, "57.2")
    assert done.returncode == 1
    assert [line.split() for line in done.stdout.splitlines()[1:]] == ROWS
    assert done.stderr == "Coverage is 57.1 %, below the floor of 57.2 %.\n"
