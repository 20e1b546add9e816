"""The collector over a real broker: each cell stored once, acknowledged only when it is."""

import base64
import hashlib
import json
import logging
import random
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from edge.wire import keys, report
from server_stub import store
from server_stub.collecting.collector import LOGGED_LEN_MAX, AlarmLog, ReceivedMessage, Sorter
from server_stub.estate import Estate
from tests import centre
from tests.centre import SITE, CentreClient, Program, running, unit_client

A, B = centre.UNITS
INSTALLATION = "00112233445566aa"
HEALTH = report.HealthReport(
    session=4,
    version="0.1.0",
    uptime_h=7,
    trust_version=3,
    trust_age_d=2,
    trust="fresh",
    clock="system",
    camera="lost",
    door="ok",
    store="ok",
    verifier="ok",
    queue="late",
)


def cell(number: int, count: int = 12) -> report.Cell:
    return report.Cell(
        number=number,
        category="green",
        from_s=900 * number,
        until_s=900 * number + 900,
        count=count,
    )


def payload(*cells: report.Cell) -> bytes:
    return report.encode(report.CountsReport(installation=INSTALLATION, cells=list(cells)))


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return centre.make_estate(tmp_path_factory.mktemp("estate"))


class World:
    """A broker, a store, and a collector that comes and goes."""

    def __init__(self, estate: Path, folder: Path) -> None:
        self.estate = estate
        self.port = centre.free_port()
        self.url = f"sqlite:///{folder}/menshen.db"
        self.state = folder / "broker"
        self.broker = self.start_broker()
        self.collector = self.start_collector()

    def start_broker(self) -> Program:
        program = Program("broker", self.estate, "--state", self.state, "--port", self.port)
        program.wait_for("ready")
        return program

    def start_collector(self) -> Program:
        return Program("collector", self.estate, "--store", self.url, "--broker-port", self.port)

    def rows(self) -> list[sa.Row[tuple[object, ...]]]:
        engine = sa.create_engine(self.url)
        with engine.connect() as connection:
            return list(connection.execute(sa.select(store.cells).order_by(store.cells.c.number)))

    def unit_row(self, unit: str) -> sa.Row[tuple[object, ...]] | None:
        engine = sa.create_engine(self.url)
        with engine.connect() as connection:
            return connection.execute(
                sa.select(store.units).where(store.units.c.unit == unit)
            ).one_or_none()

    def wait_unit(self, unit: str, online: bool | None) -> sa.Row[tuple[object, ...]]:
        for _ in range(200):
            row = self.unit_row(unit)
            if row is not None and row.online is online:
                return row
            time.sleep(0.05)
        raise AssertionError(f"{unit} never became online={online}: {row}")


@pytest.fixture
def world(estate: Path, tmp_path: Path) -> Iterator[World]:
    world = World(estate, tmp_path)
    yield world
    world.collector.kill()
    world.broker.kill()


class ReportingUnit:
    """What a unit does about its cells: sends the oldest until an ack that it believes."""

    def __init__(self, world: World, cells: list[report.Cell]) -> None:
        public = (world.estate / "server" / "collector-sign.pub").read_text()
        self.trusted = keys.public_from_pem(public)
        self.cells = {c.number: c for c in cells}
        self.acked: list[int] = []
        self.client: CentreClient = unit_client(
            world.estate, A, world.port, f"{SITE}/{A}", clean_session=False
        )
        assert self.client.start()
        assert self.client.subscribe(report.topic(SITE, A, "ack"))

    def send(self) -> None:
        oldest = [self.cells[n] for n in sorted(self.cells)[: report.CELLS_MAX]]
        self.client.mqtt.publish(report.topic(SITE, A, "counts"), payload(*oldest), 1)

    def hear(self, seconds: float) -> report.Ack | None:
        """Take one ack; it must be signed, for us, and name the very cell that we have."""
        try:
            message = self.client.next(seconds)
        except Empty:
            return None
        ack = report.verify_ack(message.payload, self.trusted)
        assert (ack.site, ack.unit, ack.installation) == (SITE, A, INSTALLATION)
        if ack.last in self.cells:
            assert ack.digest == report.digest(self.cells[ack.last])
        for number in [n for n in self.cells if ack.first <= n <= ack.last]:
            del self.cells[number]
            self.acked.append(number)
        return ack


@pytest.mark.system
def test_each_cell_is_stored_once_though_the_collector_is_killed(world: World) -> None:
    draw = random.Random(1)
    every = [cell(n, 10 + n % 7) for n in range(1, 401)]
    unit = ReportingUnit(world, every)
    world.collector.wait_for("ready")
    kills, kill_at = 0, 30
    end_s = time.monotonic() + 60
    while unit.cells and time.monotonic() < end_s:
        for _ in range(draw.randint(1, 3)):  # repeats, also of what is acknowledged already
            unit.send()
        while unit.hear(0.05):
            pass
        stored_and_known = set(unit.acked)
        if len(stored_and_known) >= kill_at:
            time.sleep(draw.random() * 0.02)  # anywhere in its work
            world.collector.kill()
            assert stored_and_known <= {row.number for row in world.rows()}
            kills, kill_at = kills + 1, kill_at + draw.randint(60, 120)
            unit.send()
            world.collector = world.start_collector()
    assert not unit.cells
    assert kills >= 3
    rows = world.rows()
    assert [row.number for row in rows] == [c.number for c in every]
    assert [row.digest for row in rows] == [report.digest(c) for c in every]
    unit.client.stop()


@pytest.mark.system
def test_what_was_sent_while_the_collector_was_away_arrives(world: World) -> None:
    world.collector.wait_for("ready")
    world.collector.kill()
    unit = ReportingUnit(world, [cell(1), cell(2)])
    unit.client.publish(report.topic(SITE, A, "counts"), payload(cell(1), cell(2)))  # once only
    world.collector = world.start_collector()
    ack = unit.hear(15)
    assert ack is not None
    assert (ack.first, ack.last) == (1, 2)
    unit.client.stop()


@pytest.mark.system
def test_it_survives_the_loss_of_the_broker(world: World) -> None:
    world.collector.wait_for("ready")
    world.broker.kill()
    world.collector.wait_for("is gone")
    world.broker = world.start_broker()
    world.collector.wait_for("is back")
    unit = ReportingUnit(world, [cell(1)])
    unit.send()
    assert unit.hear(10)
    unit.client.stop()
    assert world.collector.end() == 0


@pytest.mark.system
def test_it_waits_for_a_broker_that_is_not_there_yet(estate: Path, tmp_path: Path) -> None:
    url, port = f"sqlite:///{tmp_path}/menshen.db", centre.free_port()
    program = Program("collector", estate, "--store", url, "--broker-port", port)
    program.wait_for("cannot be reached")
    assert program.end() == 0


@pytest.mark.system
def test_a_full_disk_acknowledges_nothing_and_loses_nothing(world: World) -> None:
    world.collector.wait_for("ready")
    unit = ReportingUnit(world, [cell(1)])
    unit.send()
    assert unit.hear(10)  # the store works
    _, hard = resource.prlimit(world.collector.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.collector.process.pid, resource.RLIMIT_FSIZE, (1, hard))
    unit.cells = {n: cell(n) for n in range(2, 10)}
    unit.send()
    said = world.collector.wait_for("database error")
    assert "nothing is acknowledged" in said
    assert unit.hear(1.5) is None
    assert world.collector.process.poll() is None
    resource.prlimit(world.collector.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    ack = unit.hear(20)  # not sent again: the collector has kept it
    assert ack is not None
    assert (ack.first, ack.last) == (2, 9)
    assert [row.number for row in world.rows()] == list(range(1, 10))
    unit.client.stop()


@pytest.mark.system
def test_a_conflict_is_an_alarm_and_not_acknowledged(world: World) -> None:
    world.collector.wait_for("ready")
    unit = ReportingUnit(world, [cell(1), cell(2)])
    unit.send()
    assert unit.hear(10)
    unit.cells = {2: cell(2), 3: cell(3)}
    unit.client.publish(report.topic(SITE, A, "counts"), payload(cell(1, 99), cell(2)))
    unit.client.publish(report.topic(SITE, A, "counts"), payload(cell(2), cell(3)))
    said = world.collector.wait_for("ALARM")
    assert "restored from a copy" in said
    assert "state/counts.db" in said
    ack = unit.hear(10)
    assert ack is not None
    assert (ack.first, ack.last) == (2, 3)
    for _ in range(3):  # the unit cannot but say the same again
        unit.client.publish(report.topic(SITE, A, "counts"), payload(cell(1, 99), cell(2)))
    unit.client.publish(report.topic(SITE, A, "counts"), payload(cell(3), cell(4)))
    assert unit.hear(10)
    unit.client.publish(report.topic(SITE, A, "counts"), payload(cell(2, 99)))  # another cell
    assert "sends cell 2 again" in world.collector.wait_for("ALARM")
    assert alarms(world) == 2
    assert [row.count for row in world.rows()] == [12, 12, 12, 12]
    unit.client.stop()


@pytest.mark.system
def test_missing_cells_are_an_alarm_and_what_follows_is_stored(world: World) -> None:
    world.collector.wait_for("ready")
    unit = ReportingUnit(world, [cell(n) for n in range(5, 30)])  # 1 to 4 were acknowledged once
    while unit.cells:
        unit.send()
        assert unit.hear(10)
    said = world.collector.wait_for("ALARM")
    assert "cells 1 to 4 of unit" in said
    assert "restored from a copy?" in said
    assert alarms(world) == 1
    assert [row.number for row in world.rows()] == list(range(5, 30))
    unit.client.stop()


@pytest.mark.system
def test_a_cell_below_k_is_an_alarm_told_once(world: World) -> None:
    world.collector.wait_for("ready")
    unit = ReportingUnit(world, [cell(1, 9), cell(2)])
    for _ in range(3):
        unit.send()
    said = world.collector.wait_for("ALARM")
    assert "sends cell 1 of" in said
    assert "fewer than 10" in said
    unit.cells = {1: cell(1), 2: cell(2)}
    unit.send()
    assert unit.hear(10)  # it has seen the others by now
    assert alarms(world) == 1
    assert not [line for line in world.collector.said if "dropped" in line]
    unit.client.stop()


def alarms(world: World) -> int:
    return sum("ALARM" in line for line in world.collector.said)


def test_alarms_are_remembered_within_a_bound(caplog: pytest.LogCaptureFixture) -> None:
    alarms = AlarmLog()
    with caplog.at_level(logging.ERROR):
        for n in range(LOGGED_LEN_MAX):
            alarms.log_once((n,), "%d", n)
            alarms.log_once((n,), "%d", n)
        assert len(caplog.messages) == LOGGED_LEN_MAX
        alarms.log_once(("one more",), "one more")
        alarms.log_once((0,), "again")
    assert caplog.messages[-2:] == ["ALARM: one more", "ALARM: again"]


@pytest.mark.system
def test_it_knows_who_is_online_and_how_they_are(world: World) -> None:
    world.collector.wait_for("ready")
    unit = unit_client(world.estate, B, world.port)
    topic = report.topic(SITE, B, "state")
    born = report.StateReport(online=True, session=4, installation=INSTALLATION)
    died = report.StateReport(online=False, session=4, installation=INSTALLATION)
    unit.mqtt.will_set(topic, report.encode(died), 1, True)
    assert unit.start()
    unit.publish(topic, report.encode(born), retain=True)
    unit.publish(report.topic(SITE, B, "health"), report.encode(HEALTH))
    world.wait_unit(B, True)
    for _ in range(100):
        row = world.unit_row(B)
        if row is not None and row.health:
            break
        time.sleep(0.05)
    assert row is not None
    assert report.HealthReport(**row.health) == HEALTH
    unit.mqtt.socket().close()  # type: ignore[union-attr] -- the cable
    world.wait_unit(B, False)
    unit.mqtt.loop_stop()


# Messages of the next version.

NEW = {"lamp": "dim", "zones": ["north", 3]}


def later(message: Any, **fields: Any) -> bytes:
    """`message` as the next version may write it, with words and fields of its own."""
    present = json.loads(report.encode(message))
    return json.dumps(present | fields | NEW, separators=(",", ":")).encode()


BORN = report.StateReport(online=True, session=4, installation=INSTALLATION)
NO_CELLS = report.CountsReport(installation=INSTALLATION, cells=[])
LATER_CELLS: list[dict[str, Any]] = [
    report.content(cell(1)) | {"category": "call"},
    report.content(cell(2)) | {"lift": 2},
    report.content(cell(3)),
]
LATER = {
    "state": later(BORN),
    "health": later(HEALTH, alarms=["fire", "call"], camera="smeared"),
    "counts": later(NO_CELLS, cells=LATER_CELLS),
}


def test_nothing_of_the_next_versions_messages_is_dropped(
    estate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sorter = Sorter(Estate(estate), AlarmLog())
    with caplog.at_level(logging.WARNING):
        batch = sorter.batch(
            [
                ReceivedMessage(f"menshen/1/{SITE}/{A}/{leaf}", data, 1, 1, 1)
                for leaf, data in LATER.items()
            ]
        )
    assert sorter.dropped.total() == 0
    assert caplog.messages == []
    unit = store.UnitKey(SITE, A)
    assert batch.healths[unit].alarms == ["fire", "call"]
    assert batch.states[unit][0].online
    assert [report.content(c) for c in batch.reports[0].counts.cells] == LATER_CELLS
    for message in (batch.healths[unit], batch.states[unit][0], batch.counts[unit]):
        assert message.unknown == NEW


def test_k_holds_for_a_category_of_the_next_version(
    estate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    small = LATER_CELLS[0] | {"count": 9}
    data = later(NO_CELLS, cells=[small])
    with caplog.at_level(logging.WARNING):
        batch = Sorter(Estate(estate), AlarmLog()).batch(
            [ReceivedMessage(f"menshen/1/{SITE}/{A}/counts", data, 1, 1, 1)]
        )
    assert not batch.reports
    assert "fewer than 10" in caplog.text


@pytest.mark.system
def test_a_unit_of_the_next_version_loses_nothing(world: World) -> None:
    world.collector.wait_for("ready")
    unit = unit_client(world.estate, A, world.port, f"{SITE}/{A}", clean_session=False)
    assert unit.start()
    assert unit.subscribe(report.topic(SITE, A, "ack"))
    assert unit.subscribe(report.topic(SITE, A, "answer"))
    for leaf, data in LATER.items():
        unit.publish(f"menshen/1/{SITE}/{A}/{leaf}", data)
    public = (world.estate / "server" / "collector-sign.pub").read_text()
    ack = report.verify_ack(unit.next().payload, keys.public_from_pem(public))
    last = json.dumps(LATER_CELLS[-1], separators=(",", ":")).encode()
    assert (ack.first, ack.last) == (1, 3)
    assert ack.digest == hashlib.sha256(last).hexdigest()

    more = [report.content(cell(4)) | {"category": "call", "lift": 3}]
    unit.publish(f"menshen/1/{SITE}/{A}/counts", later(NO_CELLS, cells=more))
    ack = report.verify_ack(unit.next().payload, keys.public_from_pem(public))
    assert (
        ack.digest
        == hashlib.sha256(json.dumps(more[0], separators=(",", ":")).encode()).hexdigest()
    )

    nonce = "00112233445566778899aabbccddeeff"
    unit.publish(f"menshen/1/{SITE}/{A}/ask", later(report.TimeRequest(session=4, nonce=nonce)))
    answer = unit.next()
    assert answer.topic == report.topic(SITE, A, "answer")
    assert json.loads(base64.b64decode(json.loads(answer.payload)["payload"]))["nonce"] == nonce

    rows = [(row.number, row.category, row.count, row.unknown) for row in world.rows()]
    assert rows == [
        (1, "call", 12, None),
        (2, "green", 12, {"lift": 2}),
        (3, "green", 12, None),
        (4, "call", 12, {"lift": 3}),
    ]
    row = world.wait_unit(A, True)
    assert row.health == json.loads(LATER["health"])
    assert row.unknown == {"state": NEW, "counts": NEW}
    assert not [line for line in world.collector.said if "dropped" in line]
    unit.stop()


FOREIGN = {
    "not-json": (f"menshen/1/{SITE}/{A}/counts", b"\xff\x00"),
    "nothing": (f"menshen/1/{SITE}/{A}/counts", b""),
    "other-schema": (f"menshen/1/{SITE}/{A}/counts", b'{"hello": 1}'),
    "field-of-no-version": (
        f"menshen/1/{SITE}/{A}/counts",
        b'{"installation":"00112233445566aa","cells":[],"who":{"name":"Li"}}',
    ),
    "lines-for-the-log": (f"menshen/1/{SITE}/{A}/counts", b'{"a\\nALARM: b\\u001b[2J":1}'),
    "below-k": (f"menshen/1/{SITE}/{A}/counts", payload(cell(1), cell(2, 9))),
    "gap": (f"menshen/1/{SITE}/{A}/counts", payload(cell(1), cell(3))),
    "huge": (f"menshen/1/{SITE}/{A}/counts", b"[" * 1_000_000),
    "bad-utf-8": (f"menshen/1/{SITE}/{A}/health", b'{"version":"\xff"}'),
    "bad-utf-8-name": (f"menshen/1/{SITE}/{A}/state", b'{"\xff":1}'),
    "bad-utf-8-counts": (f"menshen/1/{SITE}/{A}/counts", b'{"installation":"\xc3\x28"}'),
    "deep": (f"menshen/1/{SITE}/{A}/health", b'{"x":' + b"[" * 5000),
    "deeper": (f"menshen/1/{SITE}/{A}/counts", b'{"cells":' + b"[" * 1_000_000),
    "half-a-surrogate": (f"menshen/1/{SITE}/{A}/health", b'{"version":"\\ud800"}'),
    "other-site": (f"menshen/1/elsewhere/{A}/counts", payload(cell(1))),
    "up-a-folder": (f"menshen/1/../{A}/counts", payload(cell(1))),
    "capital": (f"menshen/1/{SITE}/North/counts", payload(cell(1))),
    "own-ack": (f"menshen/1/{SITE}/{A}/ack", b"{}"),
    "short-topic": (f"menshen/1/{A}/counts", payload(cell(1))),
    "state-as-health": (
        f"menshen/1/{SITE}/{A}/health",
        b'{"online":true,"session":1,"installation":"00112233445566aa"}',
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_message_is_told_once_and_left_out(
    estate: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    topic, data = FOREIGN[name]
    honest = ReceivedMessage(f"menshen/1/{SITE}/{B}/counts", payload(cell(1)), 2, 1, 1)
    sorter = Sorter(Estate(estate), AlarmLog())
    with caplog.at_level(logging.WARNING):
        batch = sorter.batch([ReceivedMessage(topic, data, 1, 1, 1), honest])
    assert [said.unit for said in batch.reports] == [(SITE, B)]
    assert batch.states.keys() == {(SITE, B)}
    assert not batch.healths
    assert sorter.dropped.total() == 1
    assert len(caplog.messages) == 1
    assert caplog.messages[0].isprintable()
    assert len(caplog.messages[0]) < 500


VALID = {
    "state": report.encode(report.StateReport(online=True, session=1, installation=INSTALLATION)),
    "health": report.encode(HEALTH),
    "counts": payload(cell(1), cell(2)),
}


@given(
    st.sampled_from(sorted(VALID)),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4)), max_size=4),
)
def test_no_damage_to_a_message_ends_the_sorter(
    estate: Path, leaf: str, hurts: list[tuple[int, int, bytes]]
) -> None:
    data = VALID[leaf]
    for at, cut, more in hurts:
        data = data[:at] + more + data[at + cut :]
    honest = ReceivedMessage(f"menshen/1/{SITE}/{B}/counts", payload(cell(1)), 2, 1, 1)
    batch = Sorter(Estate(estate), AlarmLog()).batch(
        [ReceivedMessage(f"menshen/1/{SITE}/{A}/{leaf}", data, 1, 1, 1), honest]
    )
    assert (SITE, B) in [said.unit for said in batch.reports]


@pytest.mark.system
def test_a_message_that_is_no_text_does_not_end_it(world: World) -> None:
    world.collector.wait_for("ready")
    unit = ReportingUnit(world, [cell(1), cell(2)])
    for leaf in ("state", "health", "counts"):
        unit.client.publish(report.topic(SITE, A, leaf), b'{"version":"\xff"}')
        said = world.collector.wait_for("dropped a message")
        assert f"{A}/{leaf}" in said
    unit.send()
    assert unit.hear(10)
    world.collector.kill()  # nor when it starts again: what it dropped is not sent again
    world.collector = world.start_collector()
    unit.cells = {3: cell(3)}
    unit.send()
    while (ack := unit.hear(10)) is not None and ack.last < 3:
        pass  # the kill came before the broker had heard of the batch: it was stored once more
    assert ack is not None
    assert ack.last == 3
    assert not [line for line in world.collector.said if "dropped" in line]
    unit.client.stop()


def test_a_demo_site_may_say_less_than_k(tmp_path: Path) -> None:
    folder = tmp_path / "sites" / "fair"
    folder.mkdir(parents=True)
    (folder / "site.toml").write_text('name = "fair"\ndemo = true\n')
    small = ReceivedMessage(f"menshen/1/fair/{A}/counts", payload(cell(1, 3)), 1, 1, 1)
    assert len(Sorter(Estate(tmp_path), AlarmLog()).batch([small]).reports) == 1


def test_no_cells_need_no_acknowledgement(estate: Path) -> None:
    batch = Sorter(Estate(estate), AlarmLog()).batch(
        [ReceivedMessage(f"menshen/1/{SITE}/{A}/counts", payload(), 1, 1, 1)]
    )
    assert not batch.reports
    assert batch.states == {(SITE, A): []}  # but it was heard of


@pytest.mark.system
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere", "--store", "sqlite://"], "is missing"),
        (["ESTATE", "--store", "menshen.db"], "is not a database URL"),
        (["ESTATE", "--store", "sqlite:////no/such/folder/x.db"], "cannot open the store"),
    ],
)
def test_bad_input_gets_one_sentence(estate: Path, arguments: list[str], word: str) -> None:
    program = Program("collector", *[str(estate) if a == "ESTATE" else a for a in arguments])
    assert program.process.wait(20) == 2
    program.kill()
    assert len(program.said) == 1
    assert word in program.said[0]


@pytest.mark.system
def test_a_program_says_when_it_serves(estate: Path, tmp_path: Path) -> None:
    port = centre.free_port()
    with running("broker", estate, "--state", tmp_path, "--port", port) as program:
        assert program.said[-1] == f"ready: broker at mqtts://127.0.0.1:{port}"
