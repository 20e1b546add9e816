"""One picture before all readers, and what each took: process CPU time, others' work left out.

The readers take turns at being first, so that a warm cache and the machine's other work fall on
all of them alike.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench.sight.readers import Reader
from tests.scenes import Luma


@dataclass(frozen=True, slots=True)
class RaceRead:
    """What one reader made of one picture."""

    said: tuple[bytes, ...]
    cpu_s: float


def timed(read: Callable[..., list[bytes]], *given: object) -> RaceRead:
    """Call `read`."""
    start = time.process_time()
    said = read(*given)
    return RaceRead(tuple(said), time.process_time() - start)


def race(luma: Luma, readers: Sequence[Reader], turn: int) -> dict[str, RaceRead]:
    """What each of `readers` takes for `luma`; `turn` says who begins."""
    alone = [r for r in readers if r.read is not None]
    shift = turn % len(alone)
    taken = {}
    for reader in alone[shift:] + alone[:shift]:
        assert reader.read is not None
        taken[reader.name] = timed(reader.read, luma)
    for reader in readers:
        if reader.read is None:
            taken[reader.name] = after(
                taken[reader.first], partial(taken.__getitem__, reader.after)
            )
    return taken


def after(first: RaceRead, then: Callable[[], RaceRead]) -> RaceRead:
    """`first`, and `then` where that read nothing: the cost of both."""
    if first.said:
        return first
    second = then()
    return RaceRead(second.said, first.cpu_s + second.cpu_s)
