"""atheris (libFuzzer), guided by which lines an input reaches: codes to verdicts (target.py), and
documents to values (documents.py).
"""

import re
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

FOLDER = Path(".cache") / "fuzz"
LEN_MAX = 1601  # the longest text and the byte before it
_LINE = re.compile(r"#(\d+)\s.*cov: (\d+)")
_DONE = re.compile(r"stat::number_of_executed_units:\s*(\d+)")


def run(seconds: float, console: Console, target: str = "target") -> bool:
    """Search for `seconds`; whether nothing was found. What was found lies in .cache/fuzz.

    `target`: a module of this package.
    """
    # What earlier runs have reached stays in it.
    folder = FOLDER / ("corpus" if target == "target" else f"corpus-{target}")
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", f"tests.fuzz.{target}", str(folder),
        f"-max_total_time={max(seconds, 1):.0f}", f"-max_len={LEN_MAX}", "-timeout=10",
        "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={FOLDER}/found-",
    ]  # fmt: skip
    began_s, said, units, covered = time.monotonic(), [], 0, 0
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    with Progress(
        TextColumn(f"atheris, {target}"), BarColumn(), TimeRemainingColumn(),
        TextColumn("{task.fields[units]} inputs, {task.fields[covered]} edges"), console=console,
    ) as progress:  # fmt: skip
        task = progress.add_task("", total=seconds, units=0, covered=0)
        for line in process.stdout:
            said = [*said[-60:], line.rstrip()]
            if match := _LINE.match(line):
                units, covered = int(match[1]), max(covered, int(match[2]))
            if match := _DONE.search(line):
                units = int(match[1])
            done_s = min(time.monotonic() - began_s, seconds)
            progress.update(task, completed=done_s, units=units, covered=covered)
    good = process.wait() == 0
    took_s = time.monotonic() - began_s
    if not good:
        console.print("\n".join(said), style="red", markup=False, highlight=False)
        console.print(f"What was found lies in {FOLDER}/found-*.", style="red", highlight=False)
    console.print(
        f"atheris, {target}: {units} inputs in {took_s:.0f} s ({units / took_s:.0f} a second), "
        f"{covered} edges reached, {'nothing' if good else 'SOMETHING'} found.",
        highlight=False,
    )
    return good
