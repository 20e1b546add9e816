"""`python -m tests.demo.broken`: the demo's doors, each broken in its own way.

`north` opens for phones that were taken back although it has the list that names them, `south`
counts some decisions not at all, `island` counts some twice. The demo must name all three.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge.judge.ports import TrustSource
from edge.judge.verdict import RevocationList, TrustState
from edge.loop import Ports
from edge.report.ports import CountStore
from tests.demo.door import main

EVERY = 3  # decisions


class BlindList:
    """A status list on which nobody is revoked."""

    def __init__(self, listed: RevocationList) -> None:
        self.iat_s, self.exp_s = listed.iat_s, listed.exp_s

    def revoked(self, bit: int) -> bool:
        return False


class BlindTrust:
    """Brings newer documents with blind lists."""

    def __init__(self, trust: TrustSource) -> None:
        self._trust = trust

    def latest(self) -> TrustState | None:
        newer = self._trust.latest()
        if newer is None:
            return None
        return replace(newer, lists={name: BlindList(each) for name, each in newer.lists.items()})


class MiscountingStore:
    """Counts every third decision `times` times."""

    def __init__(self, store: CountStore, times: int) -> None:
        self._store, self._times, self._decisions = store, times, 0

    def count(self, cell: Any) -> None:
        self._decisions += 1
        for _ in range(1 if self._decisions % EVERY else self._times):
            self._store.count(cell)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _blind(world: Ports) -> Ports:
    assert world.trust is not None
    return replace(world, trust=BlindTrust(world.trust))


FAULTS: dict[str, Callable[[Ports], Ports]] = {
    "north": _blind,
    "south": lambda world: replace(world, store=MiscountingStore(world.store, 0)),
    "island": lambda world: replace(world, store=MiscountingStore(world.store, 2)),
}

if __name__ == "__main__":
    main(FAULTS[Path(sys.argv[-1]).parent.name])
