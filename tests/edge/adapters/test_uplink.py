"""The unit's way to the centre, against the real broker: down, refused, back again."""

import logging
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from edge import BUILT_S
from edge.adapters.mqtt import MqttUplink
from edge.clock.time_interval import NEVER_S, Interval
from edge.threads import ThreadFailed, Threads
from edge.wire import report, unit
from tests.campus import Campus
from tests.centre import collector_client
from tests.rogue import RogueBroker, damaged

pytestmark = pytest.mark.system
UNKNOWN = Interval(BUILT_S, NEVER_S, "build")


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    with Campus(tmp_path, ["north"]) as campus:
        yield campus


def uplink(
    campus: Campus,
    session: int = 1,
    keepalive_s: int = 60,
    trust: Callable[[str, bytes], None] = lambda file, data: None,
    threads: Threads | None = None,
) -> MqttUplink:
    config = unit.read(campus.doors["north"].card / "unit.toml")
    assert config.broker
    broker = msgspec.structs.replace(config.broker, keepalive_s=keepalive_s)
    return MqttUplink(config, broker, lambda: ("0" * 16, session), lambda: UNKNOWN, trust, threads)


def wait(condition: Callable[[], object], most_s: float = 15) -> None:
    until_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < until_s, "it did not happen"
        time.sleep(0.05)


def test_birth_reports_and_will(campus: Campus) -> None:
    campus.broker().wait_for("ready")
    centre = collector_client(campus.estate, campus.broker_port)
    assert centre.start()
    assert centre.subscribe("menshen/1/+/+/state")
    assert centre.subscribe("menshen/1/+/+/counts")
    line = uplink(campus, session=7)
    wait(line.connected)
    assert report.decode_state(centre.next().payload).online
    line.send("counts", report.encode(report.CountsReport(installation="0" * 16, cells=[])))
    assert len(centre.next().payload) == report.COUNTS_LEN
    line.close()
    gone = report.decode_state(centre.next().payload)
    assert (gone.online, gone.session) == (False, 7)
    centre.stop()


def test_acknowledgements_come_down(campus: Campus) -> None:
    campus.broker().wait_for("ready")
    line = uplink(campus)
    wait(line.connected)
    centre = collector_client(campus.estate, campus.broker_port)
    assert centre.start()
    time.sleep(0.3)  # the unit's subscription is under way
    centre.publish("menshen/1/campus/north/ack", b"signed")
    found: list[tuple[str, bytes]] = []
    wait(lambda: found.extend(line.take_received()) or found)
    assert found == [("ack", b"signed")]
    line.close()
    centre.stop()


def test_a_broker_that_is_down_is_told_once_and_found_again(
    campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "menshen"):
        line = uplink(campus)
        wait(lambda: "counts wait here" in caplog.text)
        assert "does not answer ([Errno 111] Connection refused)" in caplog.text
        line.send("health", b"dropped while there is no connection")
        assert not line.connected()
        time.sleep(2.5)
        assert caplog.text.count("does not answer") == 1
        broker = campus.broker()
        broker.wait_for("ready")
        wait(line.connected)
        broker.kill()
        wait(lambda: not line.connected())
        assert "is lost; counts wait here" in caplog.text
        campus.broker().wait_for("ready")
        wait(line.connected, 30)
    line.close()


def test_a_broker_that_refuses_the_certificate_is_told(
    campus: Campus, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """The same name from a foreign authority: TLS ends the connection, the unit goes on."""
    with Campus(tmp_path_factory.mktemp("foreign"), ["north"]) as foreign:
        campus.broker().wait_for("ready")
        card, other = campus.doors["north"].card, foreign.doors["north"].card
        for name in ("unit.pem", "unit.key"):
            (card / name).write_bytes((other / name).read_bytes())
        with caplog.at_level(logging.WARNING, "menshen"):
            line = uplink(campus)
            # On a busy machine a reset may overtake the alert; a later try has it.
            wait(lambda: "refuses this unit's certificate" in caplog.text, 60)
            assert not line.connected()
        line.close()


def test_a_foreign_broker_gets_nothing(
    campus: Campus, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker of another authority at the same address: the unit does not talk to it."""
    with Campus(tmp_path_factory.mktemp("foreign"), ["north"]) as foreign:
        foreign.broker_port = campus.broker_port
        broker = foreign.broker()
        broker.wait_for("ready")
        with caplog.at_level(logging.WARNING, "menshen"):
            line = uplink(campus)
            wait(lambda: "counts wait here" in caplog.text)
            assert "shows a certificate that this unit does not trust" in caplog.text
            assert not line.connected()
        line.close()


def test_a_rogue_broker_cannot_keep_a_unit_from_the_honest_one(
    campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    """Packets that are not MQTT, then the honest broker at the same address."""
    rogue = RogueBroker(campus.estate, campus.broker_port, damaged(20, seed=5))
    threads = Threads()
    with caplog.at_level(logging.WARNING, "menshen"):
        line = uplink(campus, threads=threads)
        assert rogue.done.wait(300)
        rogue.close()
        threads.check()
        campus.broker().wait_for("ready")
        wait(line.connected, 90)
    threads.check()
    assert rogue.connections > 3, "nothing ended a connection, so nothing was shown"
    assert "sends data that is not MQTT (UnicodeDecodeError); counts wait here" in caplog.text
    line.close()


def test_a_broker_that_hangs_in_the_handshake_is_left(
    campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    """It accepts and says nothing: no answer in time, and nothing about a certificate."""
    hangs = socket.create_server(("127.0.0.1", campus.broker_port))
    with caplog.at_level(logging.WARNING, "menshen"):
        line = uplink(campus)
        wait(lambda: "counts wait here" in caplog.text, 30)
        assert "does not answer in time" in caplog.text
        assert "certificate" not in caplog.text
        hangs.close()
        campus.broker().wait_for("ready")
        wait(line.connected, 60)
    line.close()


def test_a_broker_that_never_answers_connect_is_left(
    campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    silent = RogueBroker(campus.estate, campus.broker_port, [b""] * 1000, connack=b"")
    with caplog.at_level(logging.WARNING, "menshen"):
        line = uplink(campus)
        wait(lambda: "counts wait here" in caplog.text, 30)
    assert "does not answer in time" in caplog.text
    assert "certificate" not in caplog.text
    assert not line.connected()
    silent.close()
    line.close()


def test_after_a_broker_froze_its_state_says_online(campus: Campus) -> None:
    """Frozen for longer than the broker's patience (1.5 keepalives): the old connection's will may
    come after the new birth, and what is retained in the end is a birth.
    """
    broker = campus.broker()
    broker.wait_for("ready")
    line = uplink(campus, session=7, keepalive_s=5)
    wait(line.connected)
    broker.process.send_signal(signal.SIGSTOP)
    time.sleep(11)
    broker.process.send_signal(signal.SIGCONT)
    wait(lambda: not line.connected(), 30)
    wait(line.connected, 60)
    time.sleep(2 * 5 + 2)
    centre = collector_client(campus.estate, campus.broker_port)
    assert centre.start()
    assert centre.subscribe("menshen/1/+/+/state")
    state = report.decode_state(centre.next().payload)
    assert (state.online, state.session) == (True, 7)
    assert state.connection > 1
    centre.stop()
    line.close()


def test_an_error_in_our_own_callback_is_reported_by_the_threads(campus: Campus) -> None:
    """paho would log it at most, and its thread would end; here the program ends."""

    def broken(file: str, data: bytes) -> None:
        raise KeyError(file)

    campus.broker().wait_for("ready")
    threads = Threads()
    line = uplink(campus, trust=broken, threads=threads)
    wait(line.connected)
    centre = collector_client(campus.estate, campus.broker_port)
    assert centre.start()

    def failed() -> bool:
        centre.publish("menshen/1/trust/metadata/timestamp.json", b"{}")
        try:
            threads.check()
        except ThreadFailed as error:
            assert "uplink failed: CallbackFailed" in str(error)
            return True
        return False

    wait(failed)
    centre.stop()
