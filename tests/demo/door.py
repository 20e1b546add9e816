"""`python -m tests.demo.door SOCKET -- run unit.toml [--looks]`: the demo's door on kept pins.

The unit's own loop on its own adapters; the demo listens at three ports: clock, eyes and trust.
It prints one JSON line for each decision, with marks of the codes in that frame (`judging.py`, key
in KEY), one when the loop has the time from the centre, one when it takes newer trust documents,
and with `--looks` one for each look. They come from the loop's own thread, in its own order.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gpiozero

from edge.__main__ import main as edge_main
from edge.__main__ import serve
from edge.clock.ports import Clock
from edge.clock.time_interval import Now, Sync
from edge.judge.ports import TrustSource
from edge.judge.site_decision import Decision
from edge.judge.verdict import TrustState, Verdict
from edge.loop import Ports
from edge.sight.frame import Sighting
from edge.sight.ports import Scanner
from edge.wire import unit
from tests.demo.judging import mark
from tests.keeper import KeeperLost
from tests.keeper.pins import KeptFactory

KEY = "MENSHEN_DEMO_KEY"
"""Environment: hexadecimal, of one run of the demo."""


class HeardClock:
    """A clock that announces each sync."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self) -> Now:
        return self._clock.read()

    def note_sync(self, sync: Sync) -> None:
        self._clock.note_sync(sync)
        print_line(synced=True)


class HeardEyes:
    """Eyes that keep what was last seen."""

    def __init__(self, eyes: Scanner, key: bytes, looks: bool) -> None:
        self._eyes, self._key, self._looks = eyes, key, looks
        self._sighting = Sighting(0.0)

    @property
    def marks(self) -> list[str]:
        """Of the symbols in the frame that the loop looks at."""
        return [mark(self._key, symbol.data) for symbol in self._sighting.symbols]

    def latest(self) -> Sighting | None:
        sighting = self._eyes.latest()
        if sighting is not None:
            self._sighting = sighting
            if self._looks:
                unread = len(sighting.unread)
                print_line(seen_s=sighting.seen_s, marks=self.marks, unread=unread)
        return sighting

    def wait(self, seconds: float) -> None:
        self._eyes.wait(seconds)

    def close(self) -> None:
        self._eyes.close()


class HeardTrust:
    """A trust source whose newer documents are announced as the loop takes them."""

    def __init__(self, trust: TrustSource) -> None:
        self._trust = trust

    def latest(self) -> TrustState | None:
        newer = self._trust.latest()
        if newer is not None:
            print_line(version=newer.version)
        return newer


def in_words(decision: Decision) -> str:
    """What the door does, and why."""
    return f"{'opens' if decision.opens else 'stays shut'}, {decision.why}"


def print_line(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def run(unit_toml: Path, looks: bool, change: Callable[[Ports], Ports] = lambda w: w) -> None:
    """The door of `unit_toml` until it is stopped; `change` alters its ports first."""
    key = bytes.fromhex(os.environ[KEY])
    heard: list[HeardEyes] = []

    def around(world: Ports) -> Ports:
        world = change(world)
        heard.append(HeardEyes(world.scanner, key, looks))
        trust = None if world.trust is None else HeardTrust(world.trust)
        return replace(world, clock=HeardClock(world.clock), scanner=heard[0], trust=trust)

    def on_decision(verdict: Verdict, decision: Decision) -> None:
        print_line(
            category=decision.category,
            why=in_words(decision),
            marks=heard[0].marks,
            at_s=time.time(),
        )

    serve(unit.read(unit_toml), on_decision, around=around)


def main(change: Callable[[Ports], Ports] = lambda w: w) -> None:
    match sys.argv[1:]:
        case [path, "--", "run", unit_toml, *options] if options in ([], ["--looks"]):
            try:
                gpiozero.Device.pin_factory = KeptFactory(path)
            except KeeperLost as error:
                sys.exit(f"{error}; start one: python -m tests.keeper {path} LEDGER")
            edge_main(lambda: run(Path(unit_toml), bool(options), change))
        case _:
            sys.exit("usage: python -m tests.demo.door SOCKET -- run UNIT.TOML [--looks]")


if __name__ == "__main__":
    main()
