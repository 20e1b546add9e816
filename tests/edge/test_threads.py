"""The unit's threads: a thread that dies or hangs is reported by the next check."""

import threading

import pytest

from edge.threads import STALLED_S, Progress, ThreadFailed, Threads


class SteppedClock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def test_a_thread_that_ticks_is_well_however_long_it_runs() -> None:
    clock = SteppedClock()
    threads = Threads(clock)
    ticked, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def run(progress: Progress) -> None:
        for _ in range(5):
            go_on.acquire()
            progress.tick()
            ticked.release()

    thread = threads.start("worker", run)
    for _ in range(5):
        clock.at_s += STALLED_S - 1
        go_on.release()
        ticked.acquire()
        threads.check()
    thread.join()
    clock.at_s += 1000  # it has returned, and nothing is expected of it any more
    threads.check()


def test_a_thread_that_hangs_is_named() -> None:
    clock = SteppedClock()
    threads = Threads(clock)
    ends = threading.Event()
    thread = threads.start("worker", lambda _: ends.wait() and None)
    clock.at_s += STALLED_S
    threads.check()
    clock.at_s += 0.1
    with pytest.raises(ThreadFailed, match=r"^the thread worker hangs$"):
        threads.check()
    ends.set()
    thread.join()


def test_a_call_may_take_as_long_as_it_was_allowed() -> None:
    clock = SteppedClock()
    threads = Threads(clock)
    inside, ends = threading.Event(), threading.Event()

    def run(progress: Progress) -> None:
        with progress.allow(60):
            inside.set()
            ends.wait()

    thread = threads.start("uplink", run)
    inside.wait()
    clock.at_s += 60
    threads.check()
    clock.at_s += 0.1
    with pytest.raises(ThreadFailed, match="the thread uplink hangs"):
        threads.check()
    ends.set()
    thread.join()


def test_after_an_allowed_call_the_usual_bound_holds() -> None:
    clock = SteppedClock()
    progress = Progress("uplink", clock)
    with progress.allow(60):
        clock.at_s += 59
    assert progress.overdue_s(clock.at_s + STALLED_S) == 0
    assert progress.overdue_s(clock.at_s + STALLED_S + 1) == 1


@pytest.mark.parametrize("error", [ValueError("no number"), SystemExit(3), KeyboardInterrupt()])
def test_whatever_a_thread_raises_is_reported_with_its_cause(error: BaseException) -> None:
    threads = Threads()

    def run(_: Progress) -> None:
        raise error

    threads.start("worker", run).join()
    for _ in range(2):  # it stays so
        with pytest.raises(ThreadFailed, match="the thread worker failed") as caught:
            threads.check()
        assert caught.value.__cause__ is error


def test_the_first_failure_is_kept() -> None:
    threads = Threads()
    threads.note_failure("uplink", ValueError("first"))
    threads.note_failure("door", ValueError("second"))
    with pytest.raises(ThreadFailed, match="the thread uplink failed: ValueError: first"):
        threads.check()


def test_a_thread_carries_its_name() -> None:
    threads = Threads()
    names: list[str] = []
    threads.start("door", lambda _: names.append(threading.current_thread().name)).join()
    assert names == ["door"]
