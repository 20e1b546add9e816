"""Tasks done by several processes, with a progress bar."""

import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import cv2
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tests.bench.sight import work
from tests.bench.sight.work import DecoderResult, Run, Task

CHUNK = 12  # tasks that a process takes at a time

_run: Run  # of a process


def measure(tasks: list[Task], run: Run, jobs: int, told: Console) -> list[DecoderResult]:
    """Do `tasks` in `jobs` processes and sort what they saw, whoever did what."""
    tasks = tasks.copy()
    random.Random(run.seed).shuffle(tasks)  # light and heavy ones mixed: the bar tells the truth
    bar = Progress(
        TextColumn("measuring"), BarColumn(), TimeRemainingColumn(), console=told, transient=True
    )
    done = []
    with bar:
        whole = bar.add_task("", total=sum(task.weight for task in tasks))
        for task, seen in _done(tasks, run, jobs):
            done.append((task, seen))
            bar.advance(whole, task.weight)
    return [seen for _, seen in sorted(done, key=lambda pair: pair[0])]


def _done(tasks: list[Task], run: Run, jobs: int) -> Iterator[tuple[Task, DecoderResult]]:
    if jobs == 1:
        _start(run)
        yield from ((task, work.do(task, run)) for task in tasks)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start, (run,)) as pool:
        yield from zip(tasks, pool.map(_do, tasks, chunksize=CHUNK), strict=True)


def _start(run: Run) -> None:
    global _run
    _run = run
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # each ECI it cannot read


def _do(task: Task) -> DecoderResult:
    return work.do(task, _run)
