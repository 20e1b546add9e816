"""A figure with its bound, and the race that makes one: peers in turn, round by round."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `unit` x is a ratio of two things measured in the same rounds."""

    key: str  # its name in the JSON
    says: str
    value: float
    unit: Literal["x", "us", "ms", "s", "MiB"]
    bound: float | None = None  # `value` should not be above; None: it is there to compare with

    @property
    def within(self) -> bool | None:
        return None if self.bound is None else self.value <= self.bound


Rounds = dict[str, list[float]]


def race(contenders: Mapping[str, Callable[[], object]], rounds: int, calls: int) -> Rounds:
    """Time `calls` calls of each contender per round; seconds a call, one number a round.

    All take part in every round and each round begins with another one, so that what else the
    machine does falls on all of them alike.
    """
    names = list(contenders)
    times: Rounds = {name: [] for name in names}
    for number in range(-1, rounds):  # the first one warms up
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            call = contenders[name]
            start = time.perf_counter()
            for _ in range(calls):
                call()
            if number >= 0:
                times[name].append((time.perf_counter() - start) / calls)
    return times


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median over the rounds of ours divided by theirs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def median(times: Sequence[float]) -> float:
    return statistics.median(times)
