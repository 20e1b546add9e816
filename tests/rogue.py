"""A rogue broker: it has the broker's certificate and sends what no broker should."""

import random
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

CONNACK = b"\x20\x02\x00\x00"
CONNECT_LEN_MAX = 65_536


def publish(topic: bytes, payload: bytes = b"") -> bytes:
    """A PUBLISH packet of QoS 0 (MQTT 3.1.1, section 3.3)."""
    body = len(topic).to_bytes(2, "big") + topic + payload
    assert len(body) < 128
    return bytes([0x30, len(body)]) + body


DAMAGED = (
    publish(b"\xff"),  # a topic that is not UTF-8
    publish(b"menshen/1/campus/north/\xc3\x28"),
    b"\x30\x01\x00",  # no room for the topic's length
    b"\x30\x04\xff\xff\x61\x62",  # a topic longer than the packet
    b"\x32\x03\x00\x01\x61",  # QoS 1 without a message number
    b"\x36\x05\x00\x01a\x00\x01",  # QoS 3
    b"\x00\x00",  # a reserved type
    b"\xf0\x00",
    b"\x20\x01\x00",  # a CONNACK of one byte
    b"\x40\x01\x00",  # a PUBACK of one byte
    b"\x90\x01\x00",  # a SUBACK of one byte
    b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
    b"\xd0\x05hello",  # a PINGRESP with a body
    b"\x30\x00",
)


class RogueBroker:
    """Accepts units at `port` and sends them the next of `packets`, again after each reconnection.

    A packet that the unit tolerates is followed by the next one in the same connection.
    """

    def __init__(
        self, estate: Path, port: int, packets: Sequence[bytes], connack: bytes = CONNACK
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(estate / "server/broker.pem", estate / "server/broker.key")
        self._listener = socket.create_server(("127.0.0.1", port))
        self._connack = connack
        self._left = list(packets)
        self.connections = 0
        self.done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the port to another broker."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        with suppress(OSError):
            while self._left:
                plain, _ = self._listener.accept()
                self.connections += 1
                with suppress(OSError), plain:
                    plain.settimeout(20)
                    with self._context.wrap_socket(plain, server_side=True) as connection:
                        self._serve(connection)
        self.done.set()

    def _serve(self, connection: ssl.SSLSocket) -> None:
        connection.recv(CONNECT_LEN_MAX)
        connection.sendall(self._connack)
        while self._left:
            connection.sendall(self._left.pop(0))
            connection.settimeout(0.15)
            with suppress(TimeoutError):
                while connection.recv(CONNECT_LEN_MAX):
                    pass  # what the unit says
                return  # it has closed the connection


def damaged(count: int, seed: int) -> list[bytes]:
    """`count` packets: each of DAMAGED, then random bytes behind each type's first byte."""
    rng = random.Random(seed)
    packets = list(DAMAGED)
    while len(packets) < count:
        body = rng.randbytes(rng.randrange(1, 60))
        packets.append(bytes([rng.randrange(256), len(body)]) + body)
    return packets[:count]
