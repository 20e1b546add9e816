"""The unit's way to the centre, against the real broker: down, refused, back again."""

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge import BUILT_S
from edge.adapters.mqtt import MqttUplink
from edge.clock.time_interval import NEVER_S, Interval
from edge.wire import report, unit
from tests.campus import Campus
from tests.centre import collector_client

pytestmark = pytest.mark.system
UNKNOWN = Interval(BUILT_S, NEVER_S, "build")


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    with Campus(tmp_path, ["north"]) as campus:
        yield campus


def uplink(campus: Campus, session: int = 1) -> MqttUplink:
    config = unit.read(campus.doors["north"].card / "unit.toml")
    assert config.broker
    return MqttUplink(config, config.broker, "0" * 16, session, lambda: UNKNOWN, print)


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
        assert "is gone; counts wait here" in caplog.text
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
            wait(lambda: "counts wait here" in caplog.text)
            assert "it refuses this unit's certificate" in caplog.text
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
            assert "shows a certificate that this unit does not believe" in caplog.text
            assert not line.connected()
        line.close()
