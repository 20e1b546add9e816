"""A million mutants against the verifier: none believed, none that makes it raise.

A block is a thousand mutants of one number, so a finding is met again by its block alone.
"""

import base64
import random
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context

from edge.clock.time_interval import Interval
from edge.judge.verdict import Genuine, Verdict
from tests.fuzz import wounds
from tests.fuzz.wounds import Mutant
from tests.vectors.door import judge, told
from tests.vectors.parts import CLOCK_ERROR_S, NOW_S

BLOCK = 1000
FOUND_MAX = 20
ORIGINALS = frozenset(wounds.TEXTS)
NOW = Interval(NOW_S - CLOCK_ERROR_S, NOW_S + CLOCK_ERROR_S, "system")


@dataclass(frozen=True, slots=True)
class Finding:
    """A mutant that was believed, or that made the verifier raise."""

    block: int
    mutant: Mutant
    says: str

    def __str__(self) -> str:
        text = base64.b64encode(self.mutant.text).decode()
        how = ", ".join(self.mutant.wounds)
        return f"block {self.block}: {self.mutant.seed}, {how}: {self.says}\n  base64 {text}"


@dataclass(slots=True)
class MutantTally:
    """What became of the mutants."""

    mutants: int = 0
    unhurt: int = 0  # the wounds cancelled out: an original again, and genuine
    verdicts: Counter[str] = field(default_factory=Counter)
    wounds: Counter[str] = field(default_factory=Counter)
    found: list[Finding] = field(default_factory=list)

    def add(self, other: "MutantTally") -> None:
        self.mutants += other.mutants
        self.unhurt += other.unhurt
        self.verdicts += other.verdicts
        self.wounds += other.wounds
        self.found += other.found[: FOUND_MAX - len(self.found)]


Verify = Callable[[bytes], Verdict | None]


def ours(text: bytes) -> Verdict | None:
    """The verifier that is tried."""
    return judge(text, NOW)


def wrong(mutant: Mutant, tally: MutantTally, verify: Verify = ours) -> str | None:
    """What is wrong with what the verifier says of it; None: all is well."""
    tally.mutants += 1
    try:
        said = verify(mutant.text)
    except Exception:  # the very thing that is looked for
        return "raises " + traceback.format_exc(limit=-2).strip()
    tally.verdicts[told(said)] += 1
    if mutant.text in ORIGINALS:
        tally.unhurt += 1
        return None if isinstance(said, Genuine) else f"an original is {told(said)}"
    return "is believed" if isinstance(said, Genuine) else None


def block(number: int, verify: Verify = ours) -> MutantTally:
    """A thousand mutants, the same ones each time."""
    rng, tally = random.Random(f"mutants {number}"), MutantTally()
    for _ in range(BLOCK):
        mutant = wounds.mutant(rng)
        tally.wounds.update(mutant.wounds)
        why = wrong(mutant, tally, verify)
        if why is not None and len(tally.found) < FOUND_MAX:
            tally.found.append(Finding(number, mutant, why))
    return tally


def blocks(first: int, count: int, jobs: int) -> Iterator[MutantTally]:
    """`count` blocks from number `first` on, as they are done, in `jobs` processes."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("forkserver")) as pool:
        waiting = [pool.submit(block, number) for number in range(first, first + count)]
        for done in as_completed(waiting):
            yield done.result()
