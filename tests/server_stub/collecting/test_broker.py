"""A real Mosquitto with the configuration that we ship: who may come in, write and read."""

import os
import pwd
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest

from edge.wire import report
from provisioning import authority
from server_stub.collecting import broker
from server_stub.estate import Estate
from tests import centre
from tests.centre import SITE, CentreClient, Program, collector_client, running, unit_client

pytestmark = pytest.mark.system
A, B = centre.UNITS


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return centre.make_estate(tmp_path_factory.mktemp("estate"))


@pytest.fixture(scope="module")
def port(estate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port, state = centre.free_port(), tmp_path_factory.mktemp("broker")
    with running("broker", estate, "--state", state, "--port", port):
        yield port


@pytest.fixture
def collector(estate: Path, port: int) -> Iterator[CentreClient]:
    client = collector_client(estate, port)
    assert client.start()
    yield client
    client.stop()


@pytest.fixture
def unit_a(estate: Path, port: int) -> Iterator[CentreClient]:
    client = unit_client(estate, A, port)
    assert client.start()
    yield client
    client.stop()


@pytest.fixture
def unit_b(estate: Path, port: int) -> Iterator[CentreClient]:
    client = unit_client(estate, B, port, name=f"{SITE}/{B}")
    assert client.start()
    yield client
    client.stop()


def test_a_unit_writes_its_own_branch_and_only_that(
    collector: CentreClient, unit_a: CentreClient
) -> None:
    for leaf in ("state", "health", "counts", "ask", "answer"):
        assert collector.subscribe(f"menshen/1/+/+/{leaf}")
    others = [
        *(report.topic(SITE, B, leaf) for leaf in ("state", "health", "counts", "ack", "ask")),
        *(report.topic(SITE, unit, "answer") for unit in (A, B)),
        *(report.topic("elsewhere", A, leaf) for leaf in ("state", "counts")),
        f"menshen/1/{SITE}/{A}/deeper/counts",
        f"menshen/1/{A}/counts",
    ]
    for topic in others:
        unit_a.publish(topic)
    own = [report.topic(SITE, A, leaf) for leaf in ("state", "health", "counts", "ask")]
    for topic in own:
        unit_a.publish(topic)
    assert [collector.next().topic for _ in own] == own  # in order: the others would be before
    with pytest.raises(Empty):
        collector.next(0.2)


@pytest.mark.parametrize("leaf", ["ack", "answer"])
def test_a_unit_reads_its_own_orders_and_only_those(
    leaf: report.Leaf, collector: CentreClient, unit_a: CentreClient, unit_b: CentreClient
) -> None:
    own, others = report.topic(SITE, A, leaf), report.topic(SITE, B, leaf)
    for topic in (own, others, f"menshen/1/+/+/{leaf}", "#", report.topic(SITE, B, "counts")):
        unit_a.subscribe(topic)  # Mosquitto grants and then delivers nothing
    unit_b.publish(report.topic(SITE, B, "counts"))
    collector.publish(others, b"for b")
    collector.publish(own, b"for a")
    while (message := unit_a.next()).payload != b"for a":
        pytest.fail(f"{message.topic} reached unit a")
    assert message.topic == own


def test_a_unit_cannot_write_its_own_ack(unit_a: CentreClient, collector: CentreClient) -> None:
    own = report.topic(SITE, A, "ack")
    unit_a.subscribe(own)
    unit_a.publish(own, b"forged")
    collector.publish(own, b"true")
    assert unit_a.next().payload == b"true"


def test_a_unit_cannot_leave_a_will_for_another(
    estate: Path, port: int, collector: CentreClient
) -> None:
    assert collector.subscribe("menshen/1/+/+/state")
    for victim in (B, A):
        client = unit_client(estate, A, port)
        client.mqtt.will_set(report.topic(SITE, victim, "state"), b"will", 1)
        client.start()
        sock = client.mqtt.socket()
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
        client.stop()
    assert collector.next().topic == report.topic(SITE, A, "state")


def test_nobody_takes_over_anothers_session_by_its_name(
    estate: Path, port: int, unit_b: CentreClient
) -> None:
    for name in (f"{SITE}/{B}", "collector"):
        thief = unit_client(estate, A, port, name=name)
        assert thief.start()
        assert not unit_b.lost.wait(0.3)
        thief.stop()


def test_the_collector_writes_nothing_but_acks(
    collector: CentreClient, unit_b: CentreClient
) -> None:
    assert collector.subscribe("menshen/1/+/+/counts")
    collector.publish(report.topic(SITE, A, "counts"), b"own invention")
    unit_b.publish(report.topic(SITE, B, "counts"), b"honest")
    assert collector.next().payload == b"honest"


def test_no_certificate_no_entry(estate: Path, port: int) -> None:
    assert not CentreClient(port, estate / "authority" / "ca.pem", None).start(5)


def test_a_foreign_authority_is_refused(estate: Path, port: int, tmp_path: Path) -> None:
    foreign = centre.make_estate(tmp_path / "foreign")
    card = foreign / "sites" / SITE / "units" / A
    pair = (card / "unit.pem", card / "unit.key")
    assert not CentreClient(port, estate / "authority" / "ca.pem", pair).start(5)


def test_plain_mqtt_gets_nothing(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.sendall(bytes.fromhex("100c00044d5154540402003c0000"))  # CONNECT
        plain.settimeout(5)
        try:
            answer = plain.recv(64)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"\x20")  # no CONNACK


def refused(program: Program) -> str:
    assert program.process.wait(20) == 2
    program.kill()
    assert len(program.said) == 1, program.said
    return program.said[0]


def test_a_port_in_use_is_told(estate: Path, port: int, tmp_path: Path) -> None:
    said = refused(Program("broker", estate, "--state", tmp_path, "--port", port))
    assert f"port {port}" in said


def test_missing_certificates_are_told(tmp_path: Path) -> None:
    said = refused(Program("broker", tmp_path / "none", "--state", tmp_path))
    assert "broker.pem is missing" in said


def test_a_missing_mosquitto_is_told(tmp_path: Path) -> None:
    with pytest.raises(broker.BrokerError, match="apt install mosquitto"):
        broker.find_mosquitto(str(tmp_path))


@pytest.mark.parametrize("torn", ["broker.pem", "broker.key", "swapped"])
def test_a_torn_or_wrong_certificate_is_one_sentence(torn: str, tmp_path: Path) -> None:
    authority.create_authority(tmp_path / "estate")
    server = tmp_path / "estate" / "server"
    if torn == "swapped":
        (server / "broker.key").write_bytes((server / "collector.key").read_bytes())
    else:
        (server / torn).write_bytes((server / torn).read_bytes()[:200])
    command = [sys.executable, "-m", "server_stub", "broker", str(tmp_path / "estate")]
    ran = subprocess.run(
        [*command, "--state", str(tmp_path / "state")], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 2
    (line,) = ran.stderr.strip().splitlines()
    assert "restore both from your backup" in line


# -- what it prints, and who it is -----------------------------------------------------------------


def started(estate: Path, state: Path) -> Program:
    program = Program("broker", estate, "--state", state, "--port", centre.free_port())
    program.wait_for("ready")
    return program


def test_it_prints_that_it_is_ready_and_nothing_to_overlook(estate: Path, tmp_path: Path) -> None:
    program = started(estate, tmp_path / "state")
    assert program.end() == 0
    program.kill()  # and all that it has printed is read
    assert len(program.said) == 1, program.said


def test_a_warning_that_means_something_is_printed(estate: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "mosquitto.db").touch()
    program = started(estate, state)
    program.end()
    program.kill()
    assert any("Persistence file is empty" in line for line in program.said), program.said


def account() -> pwd.struct_passwd:
    """What Debian's package makes; it matters to root alone."""
    if os.geteuid() != 0:
        pytest.skip("only root can change to another account")
    return pwd.getpwnam("mosquitto")


def test_started_as_root_it_is_not_root(estate: Path, tmp_path: Path) -> None:
    uid, state = account().pw_uid, tmp_path / "state"
    program = started(estate, state)
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    program.end()
    assert re.search(rf"^Uid:\s+{uid}\s+{uid}\s", status, re.MULTILINE)
    key = (state / "broker-key.pem").stat()
    assert (key.st_uid, key.st_mode & 0o777) == (uid, 0o600)


def test_a_store_that_it_left_as_root_is_taken_over(estate: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    started(estate, state).end()
    store = state / "mosquitto.db"
    owner = account()
    for path in (state, store):
        os.chown(path, 0, 0)
    program = started(estate, state)
    assert program.end() == 0
    assert store.stat().st_uid == owner.pw_uid
    assert not any("Error" in line for line in program.said), program.said


def test_it_writes_through_no_link_in_its_folder(estate: Path, tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    state.mkdir()
    other.write_text("kept")
    for name in ("mosquitto.acl", "mosquitto.conf", "broker-key.pem", "mosquitto.db"):
        (state / name).symlink_to(other)
    broker.write_config(Estate(estate), state, "127.0.0.1", 1)
    assert other.read_text() == "kept"
    assert other.stat().st_uid == os.geteuid()
    assert not (state / "mosquitto.acl").is_symlink()


def test_an_estate_that_is_named_from_here_is_found_from_there(
    estate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mosquitto runs in the folder of its state."""
    monkeypatch.chdir(estate.parent)
    program = started(Path(estate.name), tmp_path / "state")
    assert program.end() == 0
