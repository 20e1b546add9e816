"""The way to the centre: paho-mqtt over TLS with the unit's own certificate.

TLS is not asked for dates, because it would ask the system's clock. They are held against the
unit's own time here, as soon as an authenticated sync has told it (edge/wire/time.md).

paho's thread only fills a bounded queue. What cannot be sent is dropped here: cells stay in the
store until the collector has acknowledged them, so they are simply sent again.
"""

import logging
import random
import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.clock.time_interval import Interval
from edge.wire import report, repository
from edge.wire.unit import BrokerConfig, ConfigError, UnitConfig

log = logging.getLogger("menshen")

RECEIVED_MAX = 64
QUEUED_MAX = 16
_TRUST = f"{repository.TOPIC}/#"
RECONNECT_S_MAX = 60.0
DOWN: tuple[report.DownLeaf, ...] = get_args(report.DownLeaf)
NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python's `ssl` does not name."""


class MqttUplink:
    """One connection that comes back by itself. Raises ConfigError for unusable certificates."""

    def __init__(
        self,
        unit: UnitConfig,
        broker: BrokerConfig,
        installation: str,
        session: int,
        time: Callable[[], Interval],
        trust: Callable[[str, bytes], None],
    ) -> None:
        """`time` is what this unit knows of the time; any thread may call it. `trust` is given
        each trust document's file as it comes, by paho's thread.
        """
        self._time = time
        self._dates: _Dates | None = None  # of the last broker's certificate
        self._refused = ""  # why we ended the last try ourselves
        self._site, self._unit = unit.site, unit.name
        self._received: deque[tuple[report.DownLeaf, bytes]] = deque(maxlen=RECEIVED_MAX)
        self._trust = trust
        self._connected = False
        self._failures = 0
        self._logged = ""

        def state(online: bool) -> bytes:
            return report.encode(
                report.StateReport(online=online, session=session, installation=installation)
            )

        self._birth = state(True)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{unit.site}/{unit.name}", clean_session=False
        )
        self._context = _tls(broker)
        self._client.tls_set_context(self._context)
        self._client.will_set(self._topic("state"), state(False), qos=1, retain=True)
        self._goodbye = state(False)
        self._client.max_queued_messages_set(QUEUED_MAX)
        self._client.on_socket_open = self._on_socket_open
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._address = (broker.host, broker.port)
        self._where = f"{broker.host}:{broker.port}"
        self._client.connect_async(broker.host, broker.port, broker.keepalive_s)
        self._client.loop_start()

    def send(self, leaf: report.Leaf, payload: bytes) -> None:
        """QoS 1 (`ask`: 0), or nothing while there is no connection."""
        if self._connected:
            self._client.publish(self._topic(leaf), payload, qos=0 if leaf == "ask" else 1)

    def take_received(self) -> list[tuple[report.DownLeaf, bytes]]:
        """What came down since the last call."""
        return [self._received.popleft() for _ in range(len(self._received))]

    def request_trust_documents(self) -> None:
        """Ask for all retained trust documents once more; any thread may."""
        if self._connected:
            self._client.subscribe(_TRUST, qos=0)

    def connected(self) -> bool:
        """Whether the broker has us now. Ends a connection whose certificate is out of date."""
        if self._connected and self._dates is not None:
            wrong = self._dates.wrong(self._time())
            connection = self._client.socket()
            if wrong and isinstance(connection, ssl.SSLSocket):
                self._refused = f"the broker {self._where} {wrong}"
                self._connected = False
                # Below TLS, so that its thread meets an end and no garbage; it tries again later.
                with suppress(OSError):  # the broker was quicker
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        return self._connected

    def close(self) -> None:
        """Say that this unit goes offline, and go."""
        if self._connected:
            self._client.publish(
                self._topic("state"), self._goodbye, qos=1, retain=True
            ).wait_for_publish(timeout=1)
        self._client.disconnect()
        self._client.loop_stop()

    def _topic(self, leaf: report.Leaf) -> str:
        return report.topic(self._site, self._unit, leaf)

    def _say(self, sentence: str) -> None:
        """Each change once: a broker that is down for a week is one line."""
        if sentence != self._logged:
            self._logged = sentence
            log.warning("%s", sentence)

    def _on_socket_open(self, _client: paho.Client, _data: Any, connection: Any) -> None:
        """TLS stands and nothing was said yet: the moment to look at the certificate's dates."""
        self._dates = _dates(connection, self._context)
        wrong = self._dates.wrong(self._time())
        if wrong:
            connection.close()
            self._refused = f"the broker {self._where} {wrong}"
            raise ssl.SSLError(self._refused)  # for paho: this try has failed

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            self._say(f"the broker {self._where} refuses this unit ({code}); counts wait here")
            return
        # Retained documents come again with each subscription: none need wait for a unit that is
        # away for weeks, so the broker is not asked to keep them (QoS 0).
        here = (self._topic("ack"), 1), (self._topic("answer"), 0)
        client.subscribe([*here, (_TRUST, 0)])
        client.publish(self._topic("state"), self._birth, qos=1, retain=True)
        self._connected = True
        self._failures = 0
        self._say(f"connected to the broker {self._where}")

    def _on_connect_fail(self, _client: paho.Client, _data: Any) -> None:
        self._say(f"{self._refused or self._why()}; counts wait here")
        self._refused = ""
        self._wait_longer()

    def _on_disconnect(
        self, _c: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            self._wait_longer()
        if self._refused:
            self._say(f"{self._refused}; counts wait here")
            self._refused = ""
        elif code.is_failure and self._connected:
            self._say(f"the broker {self._where} is gone; counts wait here")
        elif code.is_failure:
            self._say(
                f"the broker {self._where} ended the connection before it began: it refuses this "
                "unit's certificate, copy that again from the card; counts wait here"
            )
        self._connected = False

    def _wait_longer(self) -> None:
        """The next try comes after a random time within twice the last one's bound: when a broker
        starts again, its hundred thousand units must not come at once.
        """
        self._failures = min(self._failures + 1, 6)
        delay_s = random.uniform(0.5, min(RECONNECT_S_MAX, 2.0**self._failures))  # noqa: S311
        self._client.reconnect_delay_set(delay_s, delay_s)  # type: ignore[arg-type]

    def _why(self) -> str:
        """Why there is no connection: paho does not tell, so its thread tries once itself."""
        host, port = self._address
        try:
            with (
                socket.create_connection((host, port), timeout=5) as plain,
                self._context.wrap_socket(plain, server_hostname=host),
            ):
                return f"the broker {self._where} does not answer in time"
        except ssl.SSLCertVerificationError as error:
            return (
                f"the broker {self._where} shows a certificate that this unit does not believe "
                f"({error.verify_message})"
            )
        except ssl.SSLError as error:
            return f"the broker {self._where} does not speak our TLS ({error.reason})"
        except (OSError, ValueError) as error:
            return f"the broker {self._where} does not answer ({error})"

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        file = repository.file_of(message.topic)
        if file is not None:
            self._trust(file, bytes(message.payload))
            return
        address = report.address(message.topic)
        if address is not None and address.leaf in DOWN:
            self._received.append((address.leaf, bytes(message.payload)))


@dataclass(frozen=True, slots=True)
class _Dates:
    """In which a certificate and its authority are valid: Unix seconds UTC."""

    from_s: float
    until_s: float

    def wrong(self, now: Interval) -> str:
        """Why it is certainly out of date; empty: it may be good.

        Only an authenticated time counts: a unit whose RTC or floor ran ahead must reach the
        broker, or no sync could ever put it right.
        """
        if now.source not in ("sync", "system"):
            return ""
        if self.until_s < now.earliest_s:
            return "shows a certificate that has expired; have a new one made for it"
        if self.from_s > now.latest_s:
            return "shows a certificate that is not valid yet; is the clock right where it was made"
        return ""


def _dates(connection: ssl.SSLSocket, context: ssl.SSLContext) -> _Dates:
    """Of what the broker shows, within the best authority of that name."""
    shown = connection.getpeercert() or {}
    signers = [ca for ca in context.get_ca_certs() if ca.get("subject") == shown.get("issuer")]
    chains = [[_seconds(shown), _seconds(signer)] for signer in signers]
    both = [(max(a[0], b[0]), min(a[1], b[1])) for a, b in chains]
    if not both:  # anything but an OSError would end paho's thread for good
        raise ssl.SSLError("the broker's certificate is not signed by our authority itself")
    return _Dates(*max(both, key=lambda dates: dates[1]))


def _seconds(certificate: dict[str, Any]) -> tuple[float, float]:
    return (
        ssl.cert_time_to_seconds(certificate["notBefore"]),
        ssl.cert_time_to_seconds(certificate["notAfter"]),
    )


def _tls(broker: BrokerConfig) -> ssl.SSLContext:
    """TLS 1.2 and later, our authority alone, our own certificate, no question about dates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= NO_CHECK_TIME
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(broker.ca)
        context.load_cert_chain(broker.certificate, broker.key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or str(error)
        raise ConfigError(
            f"the certificates of this unit cannot be used ({why}); "
            f"copy {broker.ca}, {broker.certificate} and {broker.key} again from its card"
        ) from None
    return context
