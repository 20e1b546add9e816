"""The uplink: paho-mqtt over TLS with the unit's own certificate. It reconnects by itself.

Our own thread drives paho (`Client.loop`), because paho's thread ends without notice at the first
packet that it cannot parse. A bad packet from the broker only closes the connection, which is then
opened again. An exception in our own callbacks ends the program.

A message that cannot be sent is dropped here: cells stay in the store until the collector
acknowledges them, so they are sent again.
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
"""The timeout of each step: TCP, TLS, and the broker's answer to CONNECT."""
OPEN_S_MAX = 60.0
"""The timeout for opening a connection. A name server that does not answer takes the longest."""
LOOP_S = 0.2
"""The longest time that a message waits in our queue for paho."""
GOODBYE_S = 1.0  # how long `close` waits for the broker to acknowledge that the unit is offline
_COUNTS_WAIT = "counts wait here"  # on the unit, until it is connected
_TRUST = f"{repository.TOPIC}/#"
DOWN: tuple[report.DownLeaf, ...] = get_args(report.DownLeaf)


class CallbackFailed(Exception):
    """One of our callbacks raised: our own bug, which no broker can cause."""


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
        """`identity` returns the store's installation and session; the unit reconnects when it
        changes. `time` returns the unit's time. Both are called by several threads. The uplink's
        thread calls `trust` with the file name and content of each trust document that comes.
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
        self._connection = 0  # the number of the present connection, or of the last one
        self._dates: broker_tls.CertificateDates | None = None  # of the broker's certificate
        self._fault = ""  # why this unit ends the connection itself
        self._failures = 0  # connections in a row that the broker did not accept
        self._logged = ""  # the last sentence

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
        """Send with QoS 1 (`ask`: 0). Without a connection it is dropped. Any thread may call."""
        if self._connected:
            self._waiting.append((leaf, payload))

    def take_received(self) -> list[tuple[report.DownLeaf, bytes]]:
        """The messages from the centre since the last call, as (leaf, payload), oldest first."""
        return [self._received.popleft() for _ in range(len(self._received))]

    def request_trust_documents(self) -> None:
        """Ask the broker for all retained trust documents again; any thread may call it."""
        self._subscribe_again = True

    def connected(self) -> bool:
        """Whether the unit is connected. Ends a connection whose certificate is out of date."""
        dates = self._dates
        if self._connected and dates is not None:
            fault = dates.fault(self._time())
            if fault:
                self._fault = self._broker_sentence(fault)
                self._connected = False
        return self._connected

    def close(self) -> None:
        """Report that this unit goes offline, and disconnect."""
        self._closed.set()
        self._thread.join(timeout=2 * GOODBYE_S + CONNECT_S)

    def _run(self, progress: Progress) -> None:
        """Connect and reconnect until `close`."""
        while not self._closed.is_set():
            if self._open(progress):
                self._serve(progress)
            self._wait(progress)

    def _open(self, progress: Progress) -> bool:
        """Connect. Returns False if that failed; the reason is logged."""
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
                f"{self._fault or self._broker_sentence(broker_tls.reason(error))}; {_COUNTS_WAIT}"
            )
            self._close_socket()
            return False
        return True

    def _serve(self, progress: Progress) -> None:
        """Drive the connection until it ends, and log the reason."""
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
            except Exception as error:  # a bad packet makes paho's parser raise anything
                reason = f"sends data that is not MQTT ({type(error).__name__})"
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
                # The broker may have noticed only now that the connection before is dead. Its will
                # ("offline") has then replaced the "online" of this connection.
                is_reborn = True
                self._publish_state(online=True)
        if self._closed.is_set():
            self._say_goodbye()
        else:
            self._log_change(
                f"{self._fault or self._end_sentence(connection, reason)}; {_COUNTS_WAIT}"
            )
        self._connected = False
        self._close_socket()

    def _broker_sentence(self, clause: str) -> str:
        return f"the broker {self._address} {clause}"

    def _end_sentence(self, connection: object, reason: str) -> str:
        """Why the connection has ended. `reason`: a clause about the broker, if it is known."""
        alert = connection.alert if isinstance(connection, broker_tls.BrokerSocket) else ""
        if reason:
            return self._broker_sentence(reason)
        if self._connected:
            return f"the connection to the broker {self._address} is lost"
        if alert:
            return self._broker_sentence(
                f"refuses this unit's certificate ({alert}); "
                "copy the certificate again from the unit's card"
            )
        return self._broker_sentence("ended the connection before it answered")

    def _wait(self, progress: Progress) -> None:
        """Wait a random time before the next attempt, with a bound that doubles each time.

        When a broker restarts, its hundred thousand units must not connect all at once.
        """
        self._failures = min(self._failures + 1, 6)
        delay_s = random.uniform(0.5, min(RECONNECT_S_MAX, 2.0**self._failures))  # noqa: S311
        deadline_s = clock.monotonic() + delay_s
        while (wait_s := deadline_s - clock.monotonic()) > 0:
            progress.tick()
            if self._closed.wait(min(wait_s, TICK_S / 2)):
                return

    def _say_goodbye(self) -> None:
        """Publish that this unit is offline, and wait up to GOODBYE_S for the acknowledgement."""
        if not self._connected:
            return
        message = self._publish_state(online=False)
        deadline_s = clock.monotonic() + GOODBYE_S
        with suppress(Exception):  # if this fails, the broker publishes the will: the same message
            while not message.is_published() and clock.monotonic() < deadline_s:
                if self._client.loop(LOOP_S) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return
            self._client.disconnect()
            self._client.loop(0.0)

    def _close_socket(self) -> None:
        """Close the socket if there is one; paho opens another."""
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
        """Log `sentence` unless the last one was the same: a broker down for a week is one line."""
        if sentence != self._logged:
            self._logged = sentence
            log.warning("%s", sentence)

    def _on_socket_open(self, _client: paho.Client, _data: Any, connection: Any) -> None:
        """Check the certificate's dates: TLS is set up, and nothing was sent yet."""
        self._dates = broker_tls.dates_of(connection, self._context)
        fault = self._dates.fault(self._time())
        if fault:
            self._fault = self._broker_sentence(fault)
            raise broker_tls.BrokerRefused(self._fault)  # paho then counts this attempt as failed

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, code: ReasonCode, _p: Properties | None
    ) -> None:
        if code.is_failure:
            self._fault = self._broker_sentence(f"refuses this unit ({code})")
            return
        # QoS 0 for trust documents: each subscription brings the retained ones again, so the broker
        # need not queue them for a unit that is offline for weeks.
        own_topics = (self._topic("ack"), 1), (self._topic("answer"), 0)
        client.subscribe([*own_topics, (_TRUST, 0)])
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
    """`callback` with its exceptions turned into CallbackFailed, except those in `passes`."""

    def call(*arguments: Any) -> None:
        try:
            callback(*arguments)
        except passes:
            raise
        except Exception as error:
            raise CallbackFailed(str(error)) from error

    return call
