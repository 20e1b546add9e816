"""The uplink: paho-mqtt over TLS with the unit's own certificate, one connection after the other.

Our own thread drives paho (`Client.loop`), because the one that paho starts ends quietly at the
first packet that it cannot parse. Whatever the broker sends, the connection is closed and opened
again; whatever our own callbacks raise ends the program.

What cannot be sent is dropped here: cells stay in the store until the collector has acknowledged
them, so they are simply sent again.
"""

import logging
import random
import threading
import time as clock
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, get_args

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.adapters import broker_tls
from edge.clock.time_interval import Interval
from edge.threads import TICK_S, Progress, Threads
from edge.wire import report, repository
from edge.wire.unit import BrokerConfig, UnitConfig

log = logging.getLogger("menshen")

RECEIVED_MAX = 64
QUEUED_MAX = 16
RECONNECT_S_MAX = 60.0
CONNECT_S = 5.0
"""For TCP, then for TLS, then for the broker's answer to CONNECT, each."""
OPEN_S_MAX = 60.0
"""For all of a connection's begin: a name server that does not answer takes the longest."""
LOOP_S = 0.2
"""The longest that a message waits in our queue for paho."""
GOODBYE_S = 1.0
_TRUST = f"{repository.TOPIC}/#"
DOWN: tuple[report.DownLeaf, ...] = get_args(report.DownLeaf)


class CallbackFailed(Exception):
    """One of our callbacks raised: a bug of ours, and nothing that the broker may cause."""


class MqttUplink:
    """The port Uplink. Raises ConfigError for unusable certificates."""

    def __init__(
        self,
        unit: UnitConfig,
        broker: BrokerConfig,
        identity: Callable[[], tuple[str, int]],
        time: Callable[[], Interval],
        trust: Callable[[str, bytes], None],
        threads: Threads | None = None,
    ) -> None:
        """`identity` is the store's installation and session; when it changes, the unit connects
        again under the new one. `time` is what this unit knows of the time. Any thread may call
        both. `trust` is given
        each trust document's file as it comes, by the uplink's thread.
        """
        self._time = time
        self._trust = trust
        self._site, self._unit = unit.site, unit.name
        self._identity = identity
        self._connected_as = identity()
        self._address = f"{broker.host}:{broker.port}"
        self._keepalive_s = broker.keepalive_s

        self._received: deque[tuple[report.DownLeaf, bytes]] = deque(maxlen=RECEIVED_MAX)
        self._waiting: deque[tuple[report.Leaf, bytes]] = deque(maxlen=QUEUED_MAX)
        self._subscribe_again = False
        self._connected = False
        self._connection = 0  # the number of the one that is open, or was last
        self._dates: broker_tls.CertificateDates | None = None  # of the broker's certificate
        self._fault = ""  # why we must end this connection
        self._failures = 0  # connections in a row that the broker did not accept
        self._sentence = ""  # the last one logged

        self._context = broker_tls.make_context(broker)
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{unit.site}/{unit.name}", clean_session=False
        )
        self._client.tls_set_context(self._context)
        self._client.connect_timeout = CONNECT_S
        self._client.max_queued_messages_set(QUEUED_MAX)
        self._client.on_socket_open = _guarded(self._on_socket_open, passes=broker_tls.TLS_ERROR)
        self._client.on_connect = _guarded(self._on_connect)
        self._client.on_message = _guarded(self._on_message, passes=UnicodeDecodeError)
        self._client.connect_async(broker.host, broker.port, broker.keepalive_s)
        self._closed = threading.Event()
        self._thread = (threads or Threads()).start("uplink", self._run)

    def send(self, leaf: report.Leaf, payload: bytes) -> None:
        """QoS 1 (`ask`: 0), or nothing while there is no connection. Any thread may."""
        if self._connected:
            self._waiting.append((leaf, payload))

    def take_received(self) -> list[tuple[report.DownLeaf, bytes]]:
        """What came down since the last call."""
        return [self._received.popleft() for _ in range(len(self._received))]

    def request_trust_documents(self) -> None:
        """Ask for all retained trust documents once more; any thread may."""
        self._subscribe_again = True

    def connected(self) -> bool:
        """Whether the broker has us now: not where its certificate is certainly out of date."""
        dates = self._dates
        if self._connected and dates is not None:
            fault = dates.fault(self._time())
            if fault:
                self._fault = f"the broker {self._address} {fault}"
                self._connected = False
        return self._connected

    def close(self) -> None:
        """Say that this unit goes offline, and go."""
        self._closed.set()
        self._thread.join(timeout=2 * GOODBYE_S + CONNECT_S)

    def _run(self, progress: Progress) -> None:
        """One connection after the other, until `close`."""
        while not self._closed.is_set():
            if self._open(progress):
                self._serve(progress)
            self._wait(progress)

    def _open(self, progress: Progress) -> bool:
        """Connect; False: it failed, and the log has the reason."""
        self._connection += 1
        self._fault, self._dates = "", None
        self._connected_as = self._identity()
        self._waiting.clear()
        self._client.will_set(self._topic("state"), self._state(online=False), qos=1, retain=True)
        try:
            with progress.allow(OPEN_S_MAX):
                self._client.reconnect()
        except (OSError, ValueError) as error:
            self._log_change(
                f"{self._fault or self._because(broker_tls.reason(error))}; counts wait here"
            )
            self._hang_up()
            return False
        return True

    def _serve(self, progress: Progress) -> None:
        """Drive the connection until it ends, and log why it did."""
        opened_s = clock.monotonic()
        connection = self._client.socket()
        is_reborn = False
        reason = ""
        while not self._closed.is_set() and not self._fault:
            progress.tick()
            try:
                code = self._client.loop(LOOP_S)
            except CallbackFailed:
                raise
            except Exception as error:  # paho's parser raises whatever a bad packet makes it
                reason = f"sends what is not MQTT ({type(error).__name__})"
                break
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break
            open_s = clock.monotonic() - opened_s
            if not self._connected and not self._fault and open_s > CONNECT_S:
                reason = "does not answer in time"
                break
            if self._connected:
                self._publish_waiting()
                if self._identity() != self._connected_as:
                    reason = "gets a new connection, because the store was renewed"
                    break
            if self._connected and not is_reborn and open_s > 2 * self._keepalive_s:
                # The broker may have learnt only now that the connection before is dead, and its
                # will has replaced our birth.
                is_reborn = True
                self._publish_state(online=True)
        if self._closed.is_set():
            self._say_goodbye()
        else:
            self._log_change(f"{self._fault or self._ended(connection, reason)}; counts wait here")
        self._connected = False
        self._hang_up()

    def _because(self, clause: str) -> str:
        return f"the broker {self._address} {clause}"

    def _ended(self, connection: object, reason: str) -> str:
        """Why the broker's side ended the connection, as a sentence."""
        alert = connection.alert if isinstance(connection, broker_tls.BrokerSocket) else ""
        if reason:
            return f"the broker {self._address} {reason}"
        if self._connected:
            return f"the broker {self._address} is gone"
        if alert:
            return (
                f"the broker {self._address} refuses this unit's certificate ({alert}); "
                "copy that again from the card"
            )
        return f"the broker {self._address} ended the connection before it answered"

    def _wait(self, progress: Progress) -> None:
        """Wait for a random time within twice the last one's bound: when a broker starts again,
        its hundred thousand units must not come at once.
        """
        self._failures = min(self._failures + 1, 6)
        delay_s = random.uniform(0.5, min(RECONNECT_S_MAX, 2.0**self._failures))  # noqa: S311
        until_s = clock.monotonic() + delay_s
        while (left_s := until_s - clock.monotonic()) > 0:
            progress.tick()
            if self._closed.wait(min(left_s, TICK_S / 2)):
                return

    def _say_goodbye(self) -> None:
        """Publish that this unit is offline, and wait a moment for the broker to have it."""
        if not self._connected:
            return
        message = self._publish_state(online=False)
        until_s = clock.monotonic() + GOODBYE_S
        with suppress(Exception):  # whatever the broker does now, the will has the same effect
            while not message.is_published() and clock.monotonic() < until_s:
                if self._client.loop(LOOP_S) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
            self._client.disconnect()
            self._client.loop(0.0)

    def _hang_up(self) -> None:
        """Close the socket, if there is one; paho opens another."""
        connection = self._client.socket()
        if connection is not None:
            with suppress(OSError):
                connection.close()

    def _publish_waiting(self) -> None:
        if self._subscribe_again:
            self._subscribe_again = False
            self._client.subscribe(_TRUST, qos=0)
        while self._waiting:
            leaf, payload = self._waiting.popleft()
            self._client.publish(self._topic(leaf), payload, qos=0 if leaf == "ask" else 1)

    def _publish_state(self, online: bool) -> paho.MQTTMessageInfo:
        return self._client.publish(
            self._topic("state"), self._state(online=online), qos=1, retain=True
        )

    def _state(self, online: bool) -> bytes:
        return report.encode(
            report.StateReport(
                online=online,
                session=self._connected_as[1],
                connection=self._connection,
                installation=self._connected_as[0],
            )
        )

    def _topic(self, leaf: report.Leaf) -> str:
        return report.topic(self._site, self._unit, leaf)

    def _log_change(self, sentence: str) -> None:
        """Each change once: a broker that is down for a week is one line."""
        if sentence != self._sentence:
            self._sentence = sentence
            log.warning("%s", sentence)

    def _on_socket_open(self, _client: paho.Client, _data: Any, connection: Any) -> None:
        """TLS is up and nothing was sent: the moment to check the certificate's dates."""
        self._dates = broker_tls.dates_of(connection, self._context)
        fault = self._dates.fault(self._time())
        if fault:
            self._fault = f"the broker {self._address} {fault}"
            raise broker_tls.BrokerRefused(self._fault)  # for paho: this connection has failed

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            self._fault = f"the broker {self._address} refuses this unit ({code})"
            return
        # Retained documents come again with each subscription: none need wait for a unit that is
        # away for weeks, so the broker is not asked to keep them (QoS 0).
        here = (self._topic("ack"), 1), (self._topic("answer"), 0)
        client.subscribe([*here, (_TRUST, 0)])
        self._publish_state(online=True)
        self._connected = True
        self._failures = 0
        self._log_change(f"connected to the broker {self._address}")

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        topic = message.topic  # raises UnicodeDecodeError, which ends the connection
        file = repository.file_of(topic)
        if file is not None:
            self._trust(file, bytes(message.payload))
            return
        address = report.address(topic)
        if address is not None and address.leaf in DOWN:
            self._received.append((address.leaf, bytes(message.payload)))


def _guarded(callback: Callable[..., None], passes: type[Exception] | tuple[()] = ()) -> Any:
    """`callback`, but for what `passes` its exceptions come out as CallbackFailed."""

    def call(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except passes:
            raise
        except Exception as error:
            raise CallbackFailed(str(error)) from error

    return call
