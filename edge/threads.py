"""The unit's threads, watched: each ticks while it works, and one that fails ends the program.

Every thread of the unit is started by `Threads.start`. Its function gets a `Progress` and ticks it
at least every TICK_S, also while it waits for work. The main loop calls `Threads.check` before it
feeds the watchdog, so a thread that died or hangs stops the feeding as the loop itself would.

A call that may block for longer (a camera driver, a name server) is made within
`Progress.allow(seconds)`, which says how long it may take.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TICK_S = 5.0
"""A thread ticks at least this often."""
STALLED_S = 2 * TICK_S
"""A thread that has not ticked for so long has stalled."""


class ThreadFailed(Exception):
    """A thread died or stalled: the program must end, so that its supervisor starts it again."""


class Progress:
    """One thread's progress. Only that thread calls `tick` and `allow`."""

    def __init__(self, name: str, monotonic_s: Callable[[], float]) -> None:
        self.name = name
        self._monotonic_s = monotonic_s
        self._due_s = monotonic_s() + STALLED_S
        self._allowed = False
        self.ended = False

    def tick(self) -> None:
        """The thread makes progress."""
        self._due_s = self._monotonic_s() + STALLED_S

    @contextmanager
    def allow(self, seconds: float) -> Iterator[None]:
        """A call inside may take up to `seconds` without a tick."""
        self._due_s = self._monotonic_s() + max(seconds, STALLED_S)
        try:
            yield
        finally:
            self.tick()

    def overdue_s(self, at_s: float) -> float:
        """Seconds by which the next tick is late at `at_s`, monotonic seconds; 0: it is not."""
        return 0.0 if self.ended else max(0.0, at_s - self._due_s)


class Threads:
    """The threads of one unit."""

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._running: list[Progress] = []
        self._failure: tuple[str, BaseException] | None = None

    def start(self, name: str, run: Callable[[Progress], None]) -> threading.Thread:
        """Start a daemon thread that calls `run` once.

        When `run` returns, the thread is no longer watched; when it raises, `check` raises.
        """
        progress = Progress(name, self._monotonic_s)
        with self._lock:
            self._running.append(progress)

        def guarded() -> None:
            try:
                run(progress)
            except BaseException as error:  # every kind: a thread that ends unnoticed is the fault
                self.note_failure(name, error)
            finally:
                progress.ended = True
                with self._lock:
                    self._running.remove(progress)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def note_failure(self, name: str, error: BaseException) -> None:
        """The thread `name` failed with `error`, from any thread; the first failure is kept."""
        with self._lock:
            if self._failure is None:
                self._failure = name, error

    def note_uncaught(self, uncaught: threading.ExceptHookArgs) -> None:
        """A thread that a library has started ended with an exception: `threading.excepthook`."""
        name = uncaught.thread.name if uncaught.thread else "without a name"
        self.note_failure(name, uncaught.exc_value or uncaught.exc_type())

    def check(self) -> None:
        """Raise ThreadFailed when a thread has died, from what it raised, or has stalled."""
        with self._lock:
            failure, running = self._failure, tuple(self._running)
        if failure is not None:
            name, error = failure
            raise ThreadFailed(
                f"the thread {name} failed: {type(error).__name__}: {error}"
            ) from error
        at_s = self._monotonic_s()
        for progress in running:
            if progress.overdue_s(at_s):
                raise ThreadFailed(f"the thread {progress.name} hangs")
