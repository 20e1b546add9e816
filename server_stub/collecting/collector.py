"""Stores the units' messages from the broker, and acknowledges them only after the commit.

The MQTT network thread fills a queue; the loop in this file empties it in batches, one commit per
batch. After the commit each message is acknowledged twice: to the broker, which may then delete the
message, and by a signed `Ack` to the unit, which may then delete its cells. A repeated message is
not stored again, but acknowledged again, so the program may be killed at any point.
"""

import logging
import queue
import random
import signal
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import paho.mqtt.client as mqtt
import sqlalchemy as sa
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from edge.backoff import Backoff
from edge.wire import keys, report, repository
from edge.wire.rules import K_MIN
from edge.wire.trust import Name
from server_stub import serving, store
from server_stub.collecting import trust_publisher
from server_stub.collecting.time_answers import ERROR_MS, TimeAnswerer
from server_stub.estate import Estate, EstateError

CLIENT = "collector"  # fixed, so that the broker queues messages while we are offline
QUEUE_LEN_MAX = 20_000  # messages; further ones are dropped, and their units resend them
BATCH_LEN_MAX = 500  # messages in one commit
LOGGED_LEN_MAX = 10_000  # alarms remembered, to log each only once
RETRY_S, RETRY_S_MAX = 1.0, 30.0
RETRY_JITTER = 0.25
KEEPALIVE_S = 30
LEAVES = ("state", "health", "counts")
ASK = "ask"

_NEW_INSTALLATION = (
    "Stop the unit's program, move its state/counts.db* away and start it again: that begins a "
    "new installation, and the moved files keep the counts that were not sent."
)

_log = logging.getLogger("menshen.collector")


class CollectorError(ValueError):
    """The collector cannot start; one sentence says why and what to do."""


class ReceivedMessage(NamedTuple):
    """One message as received. `mid` is valid in the connection with the number `connection`."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    connection: int


class RefusedMessage(ValueError):
    """A message that no unit of this estate sends; the text is a clause that says why."""


class BelowK(RefusedMessage):
    """A cell of fewer than k people. The unit resends it until an operator resolves the alarm."""

    def __init__(self, unit: store.UnitKey, installation: str, number: int, k_min: int) -> None:
        self.place = (*unit, installation)
        super().__init__(
            f"unit {unit.site}/{unit.unit} sends cell {number} of installation {installation}, "
            f"which counts fewer than {k_min} people: it is not stored, and all later counts of "
            f"the unit wait behind it. Was the site a demo when it counted them? "
            f"{_NEW_INSTALLATION}"
        )


class AlarmLog:
    """Logs the alarms that an operator must resolve, each once, although units repeat messages."""

    def __init__(self) -> None:
        self._logged_alarms: set[tuple[object, ...]] = set()

    def log_once(self, alarm: tuple[object, ...], sentence: str, *values: object) -> None:
        """Log `sentence`, formatted with `values`, unless `alarm` was logged already."""
        if alarm in self._logged_alarms:
            return
        if len(self._logged_alarms) >= LOGGED_LEN_MAX:
            self._logged_alarms.clear()  # logging twice is better than never
        self._logged_alarms.add(alarm)
        _log.error(f"ALARM: {sentence}", *values)


@dataclass(slots=True)
class Batch:
    """The content of one commit."""

    reports: list[store.Report] = field(default_factory=list)
    states: dict[store.UnitKey, list[report.StateReport]] = field(default_factory=dict)
    healths: dict[store.UnitKey, report.HealthReport] = field(default_factory=dict)
    counts: dict[store.UnitKey, report.CountsReport] = field(default_factory=dict)  # the last ones


class Sorter:
    """Sorts our units' messages by kind. Any other message is dropped, counted and logged."""

    def __init__(self, estate: Estate, alarms: AlarmLog) -> None:
        self._estate = estate
        self._alarms = alarms
        self._k_min: dict[str, int] = {}
        self.dropped: Counter[str] = Counter()  # by topic's leaf, or "other"

    def batch(self, messages: list[ReceivedMessage]) -> Batch:
        """Sort `messages` into a batch. Never raises, whatever they hold."""
        batch = Batch()
        for message in messages:
            try:
                self._put(batch, message)
            except BelowK as error:
                self._count(message)
                self._alarms.log_once(("k", *error.place), "%s", error)
            except Exception as error:  # a message that ends the program would return at each start
                self._drop(message, error)
        return batch

    def _put(self, batch: Batch, message: ReceivedMessage) -> None:
        address = report.address(message.topic)
        if address is None or not _has_valid_names(address):
            raise RefusedMessage("its topic does not name a unit")
        k_min = self._site_k_min(address.site)
        unit = store.UnitKey(address.site, address.unit)
        if address.leaf == "state":
            state = report.decode_state(message.payload)
            batch.states.setdefault(unit, []).append(state)
        elif address.leaf == "health":
            batch.healths[unit] = report.decode_health(message.payload)
        elif address.leaf == "counts":
            counts = report.decode_counts(message.payload)
            small = next((cell for cell in counts.cells if cell.count < k_min), None)
            if small:
                raise BelowK(unit, counts.installation, small.number, k_min)
            batch.states.setdefault(unit, [])  # adds the unit if it is new
            batch.counts[unit] = counts
            if counts.cells:
                batch.reports.append(store.Report(unit, counts))
        else:
            raise RefusedMessage("units do not send to this topic")

    def _site_k_min(self, name: str) -> int:
        if name not in self._k_min:
            try:
                site = self._estate.site(name)
            except EstateError as error:
                raise RefusedMessage(str(error)) from None
            if site is None:
                raise RefusedMessage("this estate has no such site")
            self._k_min[name] = 1 if site.demo else K_MIN
        return self._k_min[name]

    def _count(self, message: ReceivedMessage) -> None:
        leaf = message.topic.rpartition("/")[2]
        self.dropped[leaf if leaf in LEAVES else "other"] += 1

    def _drop(self, message: ReceivedMessage, error: Exception) -> None:
        self._count(message)
        _log.warning(
            "dropped a message at %.120r: %.200s (%d dropped so far)",
            message.topic,
            "".join(c if c.isprintable() else "?" for c in str(error)),  # it may quote the message
            self.dropped.total(),
        )


class Collector:
    """Moves messages from one broker to one store."""

    def __init__(
        self,
        estate: Estate,
        engine: sa.Engine,
        host: str,
        port: int,
        error_ms: int = ERROR_MS,
        publisher: trust_publisher.Publisher | None = None,
    ) -> None:
        """`error_ms`: how far this machine's clock may be off.

        Raises EstateError, CollectorError.
        """
        self._engine = engine
        self._answerer = TimeAnswerer(estate.time_key(), error_ms)
        self._key: keys.PrivateKey = estate.collector_sign_key()
        self._alarms = AlarmLog()
        self._sorter = Sorter(estate, self._alarms)
        self._trust = publisher or trust_publisher.Publisher(estate)
        self._queue: queue.Queue[ReceivedMessage] = queue.Queue(QUEUE_LEN_MAX)
        self._overflow_count = 0
        self._connection = 0
        self._stop = threading.Event()
        self._broker = f"{host} port {port}"
        self._last_warning = ""
        self._client = self._create_client(estate)
        self._client.connect_async(host, port, KEEPALIVE_S)

    def run(self) -> None:
        """Collect until `stop` is called."""
        self._client.loop_start()
        self._trust.start()
        while not self._stop.is_set():
            messages = self._take()
            if messages:
                self._store(messages)
            for topic, payload in self._trust.take_due():
                self._client.publish(topic, payload, qos=1, retain=True)
        self._trust.stop()
        self._client.disconnect()
        self._client.loop_stop()

    def stop(self) -> None:
        """End `run` after its current commit."""
        self._stop.set()

    def _take(self) -> list[ReceivedMessage]:
        """The queued messages, at most BATCH_LEN_MAX; waits up to 0.5 s for the first."""
        try:
            messages = [self._queue.get(timeout=0.5)]
        except queue.Empty:
            return []
        while len(messages) < BATCH_LEN_MAX:
            try:
                messages.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return messages

    def _store(self, messages: list[ReceivedMessage]) -> None:
        """Store, then acknowledge. On a database error retry, without acknowledging anything."""
        batch = self._sorter.batch(messages)
        backoff = Backoff(RETRY_S, RETRY_S_MAX, RETRY_JITTER, random.SystemRandom())
        while not self._stop.is_set():
            try:
                with store.writing(self._engine) as connection:
                    results = store.add_cells(connection, batch.reports)
                    now_s = int(time.time())
                    store.add_units(connection, batch.states, batch.healths, now_s, batch.counts)
            except sa.exc.SQLAlchemyError as error:
                delay_s = backoff.take_wait_s()
                _log.error(
                    "database error (%.200s): nothing is acknowledged, units keep their counts; "
                    "next try in %.0f s",
                    store.reason(error),
                    delay_s,
                )
                self._stop.wait(delay_s)
                continue
            break
        else:
            return
        for unit_report, result in zip(batch.reports, results, strict=True):
            self._acknowledge(unit_report, result)
        for message in messages:
            if message.qos and message.connection == self._connection:
                self._client.ack(message.mid, message.qos)

    def _acknowledge(self, unit_report: store.Report, result: store.StoredCells) -> None:
        unit, counts = unit_report.unit, unit_report.counts
        place = (*unit, counts.installation)
        if result.missing:
            self._alarms.log_once(
                ("missing", *place),
                "cells %d to %d of unit %s/%s, installation %s, are missing in this store: was it "
                "restored from a copy? The later cells are stored",
                *result.missing,
                *place,
            )
        if result.conflict:
            self._alarms.log_once(
                ("conflict", *place, result.conflict.number),
                "unit %s/%s, installation %s, sends cell %d again with other content; neither this "
                "cell nor later ones are stored: the unit's counts were restored from a copy. %s",
                *place,
                result.conflict.number,
                _NEW_INSTALLATION,
            )
        if result.last is None:
            return
        ack = report.Ack(
            site=unit.site,
            unit=unit.unit,
            installation=counts.installation,
            first=counts.cells[0].number,
            last=result.last.number,
            digest=report.digest(result.last),
        )
        self._client.publish(report.topic(*unit, "ack"), report.sign_ack(ack, self._key), 1)

    def _create_client(self, estate: Estate) -> mqtt.Client:
        certificate, key = estate.certificate("collector")
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, CLIENT, clean_session=False, manual_ack=True
        )
        try:
            client.tls_set(str(estate.authority), str(certificate), str(key))
        except (OSError, ssl.SSLError) as error:
            raise CollectorError(
                f"cannot use the collector's certificate ({error}); restore it from your backup, "
                f"or move it away and run: menshen-provision authority"
            ) from None
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._spread_reconnects(client)
        return client

    # The methods below run in the network thread.

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any
    ) -> None:
        if code.is_failure:
            self._warn_once(
                f"the broker at {self._broker} refuses the connection ({code}); retrying"
            )
            return
        self._connection += 1
        self._last_warning = ""
        self._trust.note_connected()
        # QoS 0 for time requests: the broker must not queue them, because a late answer is useless.
        leaves = [*((leaf, 1) for leaf in LEAVES), (ASK, 0)]
        unit_topics = [(f"{report.ROOT}/+/+/{leaf}", qos) for leaf, qos in leaves]
        client.subscribe([*unit_topics, (f"{repository.TOPIC}/#", 1)])

    def _on_subscribe(self, *_: Any) -> None:
        if self._connection == 1:
            serving.print_ready("collector", f"the broker at {self._broker}")
        else:
            _log.warning("the broker at %s is back", self._broker)

    def _on_connect_fail(self, client: mqtt.Client, _data: Any) -> None:
        self._spread_reconnects(client)
        self._warn_once(
            f"the broker at {self._broker} cannot be reached, or its certificate does not name "
            f"that host; retrying"
        )

    def _on_disconnect(
        self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any
    ) -> None:
        self._spread_reconnects(client)
        if not self._stop.is_set():
            self._warn_once(f"the broker at {self._broker} is gone ({code}); retrying")

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            if message.topic.startswith(repository.TOPIC):
                self._trust.note_retained(message.topic, bytes(message.payload))
                client.ack(message.mid, message.qos)
                return
            if message.topic.endswith(f"/{ASK}"):
                self._answer(message)
                return
            self._queue.put_nowait(
                ReceivedMessage(
                    message.topic,
                    bytes(message.payload),
                    message.mid,
                    message.qos,
                    self._connection,
                )
            )
        except queue.Full:
            self._overflow_count += 1
            self._warn_once(
                f"queue full: {self._overflow_count} messages dropped; units will resend them"
            )
        except UnicodeDecodeError:
            self._warn_once("dropped a message whose topic is not UTF-8 text")

    def _answer(self, message: mqtt.MQTTMessage) -> None:
        """Answer a time request from the network thread: after a commit it would be too late."""
        try:
            topic, answer = self._answerer.answer(message.topic, bytes(message.payload))
        except report.ReportError as error:
            self._warn_once(f"ignored a time request: {str(error)[:200]!r}")
            return
        self._client.publish(topic, answer, 0)

    def _warn_once(self, sentence: str) -> None:
        """Log a warning, unless it repeats the last one."""
        if sentence != self._last_warning:
            self._last_warning = sentence
            _log.warning("%s", sentence)

    def _spread_reconnects(self, client: mqtt.Client) -> None:
        """Draw new back-off bounds (first 1 to 3 s): clients must not all reconnect at once."""
        client.reconnect_delay_set(random.randint(1, 3), random.randint(20, 60))  # noqa: S311


def run(
    estate: Estate,
    engine: sa.Engine,
    host: str,
    port: int,
    error_ms: int = ERROR_MS,
    look_s: float = trust_publisher.LOOK_S,
) -> None:
    """Collect until SIGTERM or SIGINT. Raises EstateError, CollectorError."""
    publisher = trust_publisher.Publisher(estate, look_s=look_s)
    collector = Collector(estate, engine, host, port, error_ms, publisher)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: collector.stop())
    collector.run()


def _has_valid_names(address: report.Address) -> bool:
    try:
        msgspec.convert([address.site, address.unit], list[Name])
    except msgspec.ValidationError:
        return False
    return True
