"""What several tests share: keys, a trusted city, a unit's file; and who may start a process."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from pyzbar import pyzbar  # noqa: F401 -- finding its library starts processes: not within a test

from edge.adapters.storage.clock_slots import Slots
from edge.clock.time_interval import Relation, StoredClock
from edge.wire import keys, trust, unit
from tests.realm import Realm

# A busy machine is slow, not wrong; a failure prints what repeats it.
settings.register_profile("menshen", deadline=None, print_blob=True)
settings.load_profile("menshen")

_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"}
_unmarked: list[str] = []  # the test that runs, where it is not marked `system`


def _refuse_processes(event: str, _: object) -> None:
    """An audit hook (sys.addaudithook): `make test-quick` leaves out what is marked, so what
    starts a process must be.
    """
    if _unmarked and event in _STARTS:
        raise AssertionError(f"{_unmarked[0]} starts a process; mark it pytest.mark.system")


sys.addaudithook(_refuse_processes)


_LONGEST = (  # of `--durations`: what begins last ends last
    "tests/demo/test_forms.py",
    "tests/system/test_kill.py",
    "tests/edge/adapters/door/test_osdp_door.py",
    "tests/server_stub/wallet/test_wallet.py",
    "tests/edge/test_twins.py",
    "tests/system/test_end_to_end.py",
    "tests/edge/test_commands.py",
    "tests/house/test_broken.py",
    "tests/server_stub/collecting/test_trust_publisher.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left alone with one at the end."""
    rank = {file: number for number, file in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    marked = item.get_closest_marker("system") or item.get_closest_marker("hardware")
    _unmarked[:] = [] if marked else [item.nodeid]
    yield
    _unmarked.clear()


os.environ["COLUMNS"] = "100"  # tables are as wide wherever the tests run

CITY = keys.private_key(b"city".ljust(32))


def issuers(at_s: int) -> trust.Issuers:
    """A site `campus` that recognises the city, its key in use around `at_s`."""
    key = trust.IssuerKey(
        public=keys.public_to_text(CITY.public), from_s=at_s - 86400, until_s=at_s + 86400
    )
    city = trust.IssuerEntry(name="city", keys=[key], longest_life_s=86400)
    return trust.Issuers(version=1, signed_s=at_s, issuers=[city])


def write_unit(folder: Path, at_s: int, **changes: object) -> Path:
    """A card in `folder`: unit.toml and trust/; `changes` replace the file's keys."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "frames").mkdir(exist_ok=True)
    rules = {"site": "campus", "version": 1, "signed_s": at_s}
    Realm(at_s, issuers(at_s), rules=msgspec.json.encode(rules)).write(folder / "trust")
    config: dict[str, object] = {
        "name": "north-1",
        "site": "campus",
        "groups": ["campus", "campus/north-1"],
        "camera": {"kind": "pictures", "source": "frames"},
        "door": {
            "kind": "direct",
            "unlock_ms": 300,
            "pins": {"green": 23, "red": 24, "buzzer": 25, "relay": 17},
        },
    }
    config.update(changes)
    path = folder / "unit.toml"
    path.write_bytes(msgspec.toml.encode(config))
    return path


def related(unit_toml: Path, at_s: int) -> Path:
    """Give that unit an RTC which a sync has related to `at_s`; it stands still, so for some
    seconds only (`tests.campus.BatteryClock` is one that runs).
    """
    card = unit_toml.parent
    (card / "rtc").write_text("1000\n")
    (card / "state").mkdir()
    Slots(card / "state").save(
        StoredClock(at_s - 60, 60, Relation(1000, (at_s - 1000) * 1000, 1000, 1000))
    )
    with unit_toml.open("a") as file:
        file.write('\n[clock]\nrtc = "rtc"\n')
    return unit_toml


@pytest.fixture
def pins() -> unit.DoorPins:
    return unit.DoorPins(green=23, red=24, buzzer=25, relay=17)
