"""What doors believe on its way: from the estate over a real broker into a unit."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from edge.adapters.mqtt import MqttUplink
from edge.adapters.trust import sources, tuf_trust
from edge.adapters.trust.sources import TrustFolder
from edge.adapters.trust.tuf_trust import TufTrust
from edge.clock.time_interval import Now, interval
from edge.judge.trust_documents import Bundle
from edge.wire import repository as signing
from edge.wire import rules, status
from edge.wire import unit as wire
from provisioning import issuers, repository, sites
from server_stub import store
from server_stub.collecting import trust_publisher
from server_stub.collecting.collector import Collector
from server_stub.estate import Estate
from tests import centre
from tests.centre import ISSUER, SITE, collector_client, running, unit_client

A = centre.UNITS[0]
STATUS = f"status/{ISSUER}/1.cwt"


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    return centre.make_estate(tmp_path / "estate")


def put_list(estate: Path, data: bytes) -> None:
    """What the issuer's server writes; its content is the unit's to understand."""
    path = estate / "issuers" / ISSUER / "status" / "1.cwt"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def put_rules(estate: Path, passback_s: int) -> None:
    file = estate / "new.json"
    file.write_text(f'{{"passback_s": {passback_s}}}')
    sites.change_rules(estate, SITE, file)
    repository.publish(estate)


def card(estate: Path) -> wire.UnitConfig:
    return wire.read(estate / "sites" / SITE / "units" / A / "unit.toml")


def a_unit(estate: Path, state: Path) -> TufTrust[Bundle]:
    return TufTrust(
        Path(card(estate).trust),
        state,
        SITE,
        lambda bundle: bundle,
        lambda: Now(interval(time.time()), 0.0),
    )


def until(true: Callable[[], bool], seconds: float = 20) -> None:
    end_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.02)


@contextmanager
def collecting(estate: Path, folder: Path, port: int) -> Iterator[None]:
    engine = store.open_store(f"sqlite:///{folder}/centre.db")
    publisher = trust_publisher.Publisher(Estate(estate), look_s=0.1)
    collector = Collector(Estate(estate), engine, "localhost", port, publisher)
    thread = threading.Thread(target=collector.run)
    thread.start()
    try:
        yield
    finally:
        collector.stop()
        thread.join(20)
        engine.dispose()


class Online:
    """A unit with its card, connected to the broker at `port`, and what it has taken so far."""

    def __init__(self, estate: Path, state: Path, port: int) -> None:
        configuration = card(estate)
        assert configuration.broker is not None
        broker = msgspec.structs.replace(configuration.broker, port=port)
        self.trust = a_unit(estate, state)
        self.trust.start()
        self.uplink = MqttUplink(
            configuration,
            broker,
            lambda: ("0" * 16, 1),
            lambda: interval(time.time()),
            self.trust.inbox.put,
        )
        self.seen: Bundle | None = None

    def has(self, passback_s: int, listed: bytes) -> bool:
        """Whether it believes in these rules and this list by now."""
        self.seen = self.trust.latest() or self.seen
        if self.seen is None:
            return False
        said = rules.read(self.seen.documents[f"site/{SITE}.json"], SITE)
        return said.passback_s == passback_s and self.seen.documents.get(STATUS) == listed

    def close(self) -> None:
        self.uplink.close()
        self.trust.close()


@pytest.mark.system
def test_new_rules_and_lists_reach_a_unit_over_the_broker(
    estate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over a broker that has lost all that it retained."""
    monkeypatch.setattr(tuf_trust, "LOOK_S", 0.1)
    port = centre.free_port()
    unit = Online(estate, tmp_path / "state", port)
    with collecting(estate, tmp_path, port):
        for passback_s, listed in ((100, b"one"), (200, b"two")):
            state = tmp_path / listed.decode()
            with running("broker", estate, "--state", state, "--port", port):
                put_list(estate, listed)
                put_rules(estate, passback_s)
                until(lambda p=passback_s, d=listed: unit.has(p, d), 90)  # type: ignore[misc]
    unit.close()
    assert unit.seen is not None
    assert unit.seen.keys[STATUS] == (Estate(estate).status_key(ISSUER).public,)


@pytest.mark.system
def test_exactly_the_current_files_are_retained(estate: Path, tmp_path: Path) -> None:
    port = centre.free_port()

    def same() -> bool:
        client = unit_client(estate, A, port, name="x")
        assert client.start()
        client.subscribe(f"{signing.TOPIC}/#")
        time.sleep(0.3)
        found = {m.topic: m.payload for m in client.got.queue if m.retain}
        client.stop()
        wanted = trust_publisher.read_repository(estate / "repository")
        return found == {signing.topic(name): data for name, data in wanted.items()}

    with (
        running("broker", estate, "--state", tmp_path / "b", "--port", port),
        collecting(estate, tmp_path, port),
    ):
        until(same)
        before = trust_publisher.read_repository(estate / "repository").keys()
        put_rules(estate, 77)
        assert (
            before - trust_publisher.read_repository(estate / "repository").keys()
        )  # some are gone
        until(same)


@pytest.mark.system
def test_units_read_what_is_believed_and_only_the_collector_writes_it(
    estate: Path, tmp_path: Path
) -> None:
    port = centre.free_port()
    with running("broker", estate, "--state", tmp_path / "b", "--port", port):
        unit, collector = unit_client(estate, A, port), collector_client(estate, port)
        assert unit.start()
        assert collector.start()
        topic = signing.topic("targets/issuers.json")
        assert unit.subscribe(f"{signing.TOPIC}/#")
        unit.publish(topic, b"a unit's", retain=True)
        largest = b"x" * signing.FILE_LEN_MAX
        collector.publish(topic, largest, retain=True)
        assert unit.next().payload == largest
        unit.stop()
        collector.stop()


# Below: without a broker.


def test_a_timestamp_is_renewed_and_nothing_else(estate: Path) -> None:
    before = trust_publisher.read_repository(estate / "repository")
    now_s = int(time.time())
    assert trust_publisher.renew(Estate(estate), now_s + 60, every_s=3600) == before
    later = trust_publisher.renew(Estate(estate), now_s + 3700, every_s=3600)
    assert {name for name in later if later[name] != before.get(name)} == {signing.TIMESTAMP}
    assert signing.read(later[signing.TIMESTAMP]).signed_s == now_s + 3700
    assert trust_publisher.read_repository(estate / "repository") == later
    much_later = trust_publisher.renew(Estate(estate), now_s + 320 * 86400)
    changed = {name for name in much_later if name not in before} | {signing.TIMESTAMP}
    assert len(changed) == 2  # a snapshot that runs out is signed again as well


def test_an_older_timestamp_from_another_machine_never_reaches_doors(estate: Path) -> None:
    """Somebody copies the repository of the offline machine over the server's."""
    offline = trust_publisher.read_repository(estate / "repository")
    now_s = int(time.time())
    given = trust_publisher.renew(Estate(estate), now_s + 100, every_s=10)
    version = signing.read(given[signing.TIMESTAMP]).version
    (estate / "repository" / signing.TIMESTAMP).write_bytes(offline[signing.TIMESTAMP])
    current = trust_publisher.renew(Estate(estate), now_s + 101, above=version)
    assert signing.read(current[signing.TIMESTAMP]).version > version


def test_a_list_is_signed_by_its_issuer_and_only_when_it_changed(
    estate: Path, tmp_path: Path
) -> None:
    put_list(estate, b"first")
    first = trust_publisher.renew(Estate(estate), int(time.time()))
    assert trust_publisher.renew(Estate(estate), int(time.time())) == first
    unit = a_unit(estate, tmp_path / "state")
    assert unit.refresh(sources.TrustFolder(estate / "repository", "the stick"))
    unit.latest()
    put_list(estate, b"second")
    second = trust_publisher.renew(Estate(estate), int(time.time()))
    assert unit.refresh(sources.TrustFolder(estate / "repository", "the stick"))
    bundle = unit.latest()
    assert bundle is not None
    assert bundle.documents[STATUS] == b"second"
    assert not [name for name in second if name in first.keys() - second.keys()]
    repository.publish(estate)  # provisioning keeps what the server has signed
    assert b"second" in repository.read(estate).values()


def test_a_list_by_another_key_is_left_out_and_told(
    estate: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put_list(estate, b"first")
    folder = estate / "issuers" / ISSUER
    issuers.create_issuer(estate, "clinic")
    (folder / "status.key").write_bytes((estate / "issuers/clinic/status.key").read_bytes())
    current = trust_publisher.renew(Estate(estate), int(time.time()))
    assert not [name for name in current if "status" in name]
    assert "doors do not trust the status key" in caplog.text


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing published": (
        lambda e: (e / "repository" / signing.TIMESTAMP).unlink(),
        "nothing is published",
    ),
    "no online keys": (
        lambda e: [p.unlink() for p in (e / "server").glob("timestamp*")],
        "no snapshot and timestamp keys",
    ),
    "other online keys": (
        lambda e: (
            repository.rotate(e, online=True)
            and repository.publish(e)
            and [p.unlink() for p in (e / "server").glob("snapshot-2*")]
        ),
        "does not have the snapshot key that the newest root names",
    ),
    "torn": (
        lambda e: (e / "repository" / signing.TIMESTAMP).write_bytes(b"{"),
        "this is no trust metadata",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_published_is_one_sentence_once(
    estate: Path, case: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, sentence = WRONG[case]
    spoil(estate)
    monkeypatch.setattr(trust_publisher, "RETRY_S", 0.02)
    publisher = trust_publisher.Publisher(Estate(estate), look_s=0.02)
    publisher.note_connected()
    publisher.start()
    until(lambda: bool(caplog.records))
    time.sleep(0.1)
    publisher.stop()
    (record,) = caplog.records
    assert sentence in record.getMessage()
    assert record.getMessage().endswith("; doors keep their present documents")
    assert publisher.take_due() == []


def test_the_broker_is_told_what_it_lacks_in_order(estate: Path) -> None:
    publisher = trust_publisher.Publisher(Estate(estate), look_s=0.02)
    publisher.start()
    until(lambda: bool(publisher._current))
    assert publisher.take_due() == []  # not connected
    publisher.note_connected()
    current = trust_publisher.read_repository(estate / "repository")
    rooted = signing.metadata_file("root", 1)
    publisher.note_retained(signing.topic(rooted), current[rooted])
    publisher.note_retained(signing.topic("targets/old.json"), b"old")
    publisher.note_retained(signing.topic("targets/older.json"), b"older")
    publisher.note_retained(signing.topic("targets/older.json"), b"")
    assert publisher.take_due() == []  # what it retains is still coming
    until(lambda: time.monotonic() > publisher._settled_s)
    told = publisher.take_due()
    publisher.stop()
    assert {t for t, _ in told[:-1]} == {signing.topic(n) for n in current.keys() - {rooted}}
    assert told[-2][0] == signing.topic(signing.TIMESTAMP)
    assert told[-1] == (signing.topic("targets/old.json"), b"")
    kinds = [topic.split("/")[3] for topic, _ in told[:-1]]
    assert kinds == sorted(kinds, reverse=True)  # documents first, then what names them
    assert publisher.take_due() == []


def test_a_card_and_a_stick_have_the_lists_that_there_are(estate: Path, tmp_path: Path) -> None:
    """A door without a network gets its lists no other way; no server has run on this estate."""
    key = Estate(estate).status_key(ISSUER)

    def listed(bit: int, at_s: int) -> bytes:
        return status.write([bit], 100, f"{ISSUER}/1", at_s, key)

    now_s = int(time.time())
    put_list(estate, listed(1, now_s - 60))
    repository.publish(estate)
    unit = a_unit(estate, tmp_path / "first")
    first = unit.latest()
    assert first is not None
    assert first.documents[STATUS] == listed(1, now_s - 60)

    put_list(estate, listed(2, now_s))
    repository.publish(estate)
    stick = TrustFolder(estate / "repository", "the stick")
    assert unit.refresh(stick)
    newer = unit.latest()
    assert newer is not None
    assert newer.documents[STATUS] == listed(2, now_s)

    put_list(estate, listed(1, now_s - 60))  # from a backup: it would give back what was taken
    put_rules(estate, 7)
    assert unit.refresh(stick)
    last = unit.latest()
    assert last is not None
    assert last.documents[STATUS] == listed(2, now_s)


def test_lists_whose_key_is_elsewhere_are_left_to_the_server(estate: Path) -> None:
    put_list(estate, b"anything")
    before = sorted((estate / "repository").rglob("*"))
    (estate / "issuers" / ISSUER / "status.key").unlink()
    repository.publish(estate)
    assert sorted((estate / "repository").rglob("*")) == before
