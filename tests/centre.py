"""A small estate and the real programs of the central side, for tests that need them running."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edge.wire import trust
from provisioning import authority, issuers, repository, sites, units

SITE = "campus"
UNITS = ("north-1", "north-2")
ISSUER = "city"


def make_estate(path: Path) -> Path:
    """An authority, an issuer, a site and two units."""
    authority.create_authority(path)
    issuers.create_issuer(
        path, ISSUER, from_s=int(time.time()) - 3600
    )  # what is collected may run late
    sites.create_site(path, SITE)
    repository.publish(path)
    units.create_cards(path, SITE, [units.UnitOrder(name=name) for name in UNITS])
    return path


def believed(estate: Path) -> trust.Trust:
    """Whom the doors believe: what is published now."""
    (document,) = (estate / "repository" / "targets").glob("*.issuers.json")
    return trust.Trust(trust.document(document.read_bytes()))


def free_port() -> int:
    """A port that nobody serves now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One `python -m server_stub …`, with what it said."""

    def __init__(
        self,
        *arguments: object,
        env: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """`prefix`: what runs it, as a tracer."""
        self.said: list[str] = []
        self._lines: Queue[str] = Queue()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "server_stub", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | (env or {}),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            self._lines.put(line.rstrip())

    def wait_for(self, word: str, seconds: float = 30) -> str:
        """The first line not yet waited for that holds `word`."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            try:
                line = self._lines.get(timeout=0.1)
            except Empty:
                if self.process.poll() is not None and self._lines.empty():
                    break
                continue
            if word in line:
                return line
        raise AssertionError(f"no line with {word!r} from it; it said: {self.said}")

    def kill(self) -> None:
        """SIGKILL, now."""
        self.process.kill()
        self.process.wait()
        self._reader.join(5)

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def running(*arguments: object, env: dict[str, str] | None = None) -> Iterator[Program]:
    """A program that has said `ready`, ended afterwards."""
    program = Program(*arguments, env=env)
    try:
        program.wait_for("ready")
        yield program
    finally:
        program.kill()


class CentreClient:
    """An MQTT client that may hold a certificate and keeps what it gets."""

    def __init__(
        self, port: int, ca: Path, pair: tuple[Path, Path] | None, name: str = "", **options: Any
    ) -> None:
        self.got: Queue[mqtt.MQTTMessage] = Queue()
        self.connected = threading.Event()
        self.lost = threading.Event()
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, name, **options)
        certificate, key = map(str, pair) if pair else (None, None)
        self.mqtt.tls_set(str(ca), certificate, key, cert_reqs=ssl.CERT_REQUIRED)
        self.mqtt.on_connect = self._on_connect
        self.mqtt.on_disconnect = lambda *_: self.lost.set()
        self.mqtt.on_message = lambda _c, _d, message: self.got.put(message)
        self._port = port

    def _on_connect(self, _c: Any, _d: Any, _f: Any, code: Any, _p: Any) -> None:
        if not code.is_failure:
            self.connected.set()

    def start(self, seconds: float = 10) -> bool:
        """Whether the broker let it in."""
        try:
            self.mqtt.connect("localhost", self._port, 30)
        except (OSError, ssl.SSLError):
            return False
        self.mqtt.loop_start()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not self.connected.is_set() and not self.lost.is_set():
            time.sleep(0.01)
        return self.connected.is_set()

    def stop(self) -> None:
        """Leave."""
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def subscribe(self, topic: str) -> bool:
        """Whether the broker grants it."""
        granted: Queue[bool] = Queue()
        self.mqtt.on_subscribe = lambda _c, _d, _m, codes, _p: granted.put(not codes[0].is_failure)
        self.mqtt.subscribe(topic, 1)
        return granted.get(timeout=10)

    def publish(self, topic: str, payload: bytes = b"x", retain: bool = False) -> None:
        """Send at QoS 1 and wait until the broker has taken it (or thrown it away)."""
        self.mqtt.publish(topic, payload, 1, retain).wait_for_publish(10)

    def next(self, seconds: float = 10) -> mqtt.MQTTMessage:
        """The next message."""
        return self.got.get(timeout=seconds)


def unit_client(estate: Path, unit: str, port: int, name: str = "", **options: Any) -> CentreClient:
    """A client with the certificate of a unit's card."""
    card = estate / "sites" / SITE / "units" / unit
    return CentreClient(
        port, card / "ca.pem", (card / "unit.pem", card / "unit.key"), name, **options
    )


def collector_client(estate: Path, port: int) -> CentreClient:
    """A client with the collector's certificate."""
    server = estate / "server"
    pair = (server / "collector.pem", server / "collector.key")
    return CentreClient(port, estate / "authority" / "ca.pem", pair)
