"""Privacy by twins: the same day twice, with the same units and other people.

Two streets of one seed have the same arrivals, troubles and unit keys; handles, scopes and issuer
keys are others. Whatever leaves the unit or stays on it must be the same, byte for byte: the
traffic with its times, every line of every log, every file. Then one leak of each kind is planted,
and must be found. SQLite's database is compared as bytes; its WAL, whose salts are random, by size.

What twins cannot find is what does not depend on who comes but on when: that nothing moves with a
single passage is tests/edge/test_street.py's matter.
"""

import base64
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from edge.wire import code, holder, report
from tests.world import Street, Troubles

pytestmark = pytest.mark.slow  # left out of make test-quick

HOUR_S = 3600
SEED = 42
TROUBLES = {"power_cuts": 0.3, "broker_outages": 0.3, "camera_losses": 0.5, "door_losses": 0.3}
TROUBLES |= {"forced": 0.1, "propped": 0.2}


@dataclass(slots=True)
class Traces:
    """All that a street leaves behind."""

    traffic: list[tuple[float, str, bytes]] = field(default_factory=list)
    logs: list[tuple[str, str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    sizes: list[dict[str, int]] = field(default_factory=list)  # every half-hour

    def all_bytes(self) -> bytes:
        lines = "\n".join(" ".join(line) for line in self.logs).encode()
        names = "\n".join(self.files).encode()
        payloads = b"\n".join(payload.rstrip() for _, _, payload in self.traffic)
        return b"\n".join((payloads, lines, names, *self.files.values()))


@dataclass(slots=True)
class Lived:
    """A street that has run, and its traces."""

    street: Street
    traces: Traces


Leak = Callable[[Street, bytes], None]


def lived(
    people: int, hours: float, folder: Path, caplog: pytest.LogCaptureFixture, leak: Leak | None
) -> Lived:
    """The street of `people`; `leak` is called with the subject of each decision."""
    caplog.clear()
    caplog.set_level(logging.DEBUG)
    per_hour = 120 if hours > 1 else 600
    troubles = Troubles(**TROUBLES)
    street = Street(
        SEED, folder, people=people, per_hour=per_hour, troubles=troubles, exits=per_hour
    )
    if leak is not None:
        _plant(street, leak)
    traces = Traces()
    for _ in range(int(hours * 2)):
        street.run(HOUR_S / 2)
        traces.sizes.append({p.name: p.stat().st_size for p in sorted(folder.rglob("*"))})
    street.store.close()
    traces.traffic = [(m.at_s, m.leaf, m.payload) for m in street.centre.messages]
    traces.logs = [(r.levelname, r.name, r.getMessage()) for r in caplog.records]
    traces.files = {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*"))
    }
    return Lived(street, traces)


def _plant(street: Street, leak: Leak) -> None:
    boot, told = street.boot, street.told

    def leaky(verdict: object, decision: object) -> None:
        told(verdict, decision)  # type: ignore[arg-type]
        leak(street, getattr(verdict, "subject", b""))

    def boot_leaky() -> None:
        boot()
        street.loop._on_decision = leaky

    street.boot = boot_leaky  # type: ignore[method-assign]
    street.loop._on_decision = leaky


def differing(ours: Traces, theirs: Traces) -> set[str]:
    """Which kinds of trace tell the twins apart."""
    kinds = ("traffic", "logs", "files", "sizes")
    return {kind for kind in kinds if getattr(ours, kind) != getattr(theirs, kind)}


def marks(street: Street) -> set[bytes]:
    """What would name one of its people or their codes, in the forms that it might leak in."""
    found: set[bytes] = set()
    for visit in street.visits:
        raw = code.unwrap(visit.text)
        if not isinstance(raw, bytes):
            continue
        held = holder.read(raw)
        signed = held.inner if isinstance(held, holder.HolderCode) else code.read(raw)
        if not isinstance(signed, code.SignedCode):
            continue
        said = signed.code
        raws = [signed.signature[:16], visit.text[4:40], said.sub.encode()]
        raws += [base64.urlsafe_b64decode(said.sub + "="), signed.kid]
        raws += [said.scope.encode()] if said.scope else []
        raws += [said.cnf[:16]] if said.cnf else []
        for each in raws:
            found |= {each, each.hex().encode(), base64.b64encode(each).rstrip(b"=")}
    return found


def told_of(street: Street, traces: Traces) -> list[bytes]:
    """The marks of its people that are in its traces."""
    everything = traces.all_bytes()
    begins = {everything[at : at + 6] for at in range(len(everything))}
    return [mark for mark in marks(street) if mark[:6] in begins and mark in everything]


def test_a_day_of_other_people_leaves_the_same_traces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = lived(1, 24, tmp_path / "a", caplog, None)
    theirs = lived(2, 24, tmp_path / "b", caplog, None)
    # They are twins: the same times and kinds, and nobody's code is anybody's of the other.
    first, second = ours.street, theirs.street
    assert [(v.kind, v.from_s) for v in first.visits] == [(v.kind, v.from_s) for v in second.visits]
    codes = [{v.text for v in s.visits if v.kind != "poster"} for s in (first, second)]
    assert len(codes[0]) > 1000
    assert codes[0].isdisjoint(codes[1])
    assert first.decisions == second.decisions
    assert first.boots > 3
    assert first.leaf
    assert first.leaf.forced
    # And what they leave is the same.
    assert differing(ours.traces, theirs.traces) == set()
    assert len(ours.traces.traffic) > 2000
    assert ours.traces.logs
    assert "counts.db" in ours.traces.files
    told = told_of(first, ours.traces)
    assert not told, f"{len(told)} marks of people are in the traces, as {told[:3]}"


# -- leaks, one of each kind -----------------------------------------------------------------------


def handle_in_a_log(street: Street, subject: bytes) -> None:
    logging.getLogger("menshen").info("opened for %s", subject.decode(errors="replace"))


def hash_in_a_debug_line(street: Street, subject: bytes) -> None:
    logging.getLogger("menshen.replay").debug("mark %s", hashlib.sha256(subject).hexdigest()[:8])


def last_seen_in_a_file(street: Street, subject: bytes) -> None:
    with (street.folder / "last").open("ab") as file:
        file.write(hashlib.sha256(subject).digest()[:4] + b"%d\n" % int(street.wall_s))


def file_named_for_a_person(street: Street, subject: bytes) -> None:
    (street.folder / hashlib.sha256(subject).hexdigest()[:6]).touch()


def row_in_the_store(street: Street, subject: bytes) -> None:
    row = street.store._row
    street.store._row = replace(row, probed=row.probed + subject[-1])


def count_of_a_person_in_health(street: Street, subject: bytes) -> None:
    """Who came last, by a number in the list of all, and how often."""
    counts: dict[bytes, int] = street.__dict__.setdefault("came", {})
    counts[subject] = counts.get(subject, 0) + 1
    said = b',"who":%d,"came":%d}' % (sorted(counts).index(subject), counts[subject])
    _reshape_health(street, lambda payload: payload.rstrip()[:-1] + said)


def size_of_a_message(street: Street, subject: bytes) -> None:
    _reshape_health(street, lambda payload: payload + b" " * (subject[-1] % 8))


def time_of_a_message(street: Street, subject: bytes) -> None:
    street.loop._reporter._health_due_s += (subject[-1] % 8) / 4


def message_for_some(street: Street, subject: bytes) -> None:
    if subject[-1] % 2 and street.centre.up:
        last = next((m for m in reversed(street.centre.messages) if m.leaf == "health"), None)
        if last:
            street.centre.publish("health", last.payload)


def chance_that_knows_who(street: Street, subject: bytes) -> None:
    """The thresholds and jitter that hide people, drawn from the people."""
    street.loop._reporter._rng.seed(subject)


def _reshape_health(street: Street, how: Callable[[bytes], bytes]) -> None:
    """From now on each health message goes through `how`, the last one given."""
    street.__dict__["shape"] = how
    publish = type(street.centre).publish

    def shaped(leaf: report.Leaf, payload: bytes) -> None:
        publish(
            street.centre, leaf, street.__dict__["shape"](payload) if leaf == "health" else payload
        )

    street.centre.publish = shaped  # type: ignore[method-assign,assignment]


LEAKS = {  # a leak, and the trace that must tell it
    handle_in_a_log: "logs",
    hash_in_a_debug_line: "logs",
    last_seen_in_a_file: "files",
    file_named_for_a_person: "files",
    row_in_the_store: "files",
    count_of_a_person_in_health: "traffic",
    size_of_a_message: "traffic",
    time_of_a_message: "traffic",
    message_for_some: "traffic",
    chance_that_knows_who: "traffic",
}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_planted_leak_is_found(
    leak: Leak, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = lived(1, 0.5, tmp_path / "a", caplog, leak)
    theirs = lived(2, 0.5, tmp_path / "b", caplog, leak)
    assert LEAKS[leak] in differing(ours.traces, theirs.traces)


def test_a_planted_handle_is_seen_as_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The search for marks finds one without the help of a twin."""
    found = lived(1, 0.5, tmp_path, caplog, handle_in_a_log)
    assert told_of(found.street, found.traces)
