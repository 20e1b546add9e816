"""Takes the units' messages from the broker into the store, and only then acknowledges them.

The network's thread fills a queue; this file's loop empties it in batches, one commit for each.
What is committed is acknowledged twice: to the broker, which may then forget the message, and by
a signed `Ack` to the unit, which may then forget its cells. A message that comes again is stored
no second time and acknowledged again, so the program may die anywhere.
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

CLIENT = "collector"  # fixed, so the broker keeps what comes while we are away
QUEUE_LEN_MAX = 20_000  # messages; what comes above is dropped, and its unit sends it again
BATCH_LEN_MAX = 500  # messages in one commit
LOGGED_LEN_MAX = 10_000  # alarms kept in mind
RETRY_S, RETRY_S_MAX = 1.0, 30.0
RETRY_JITTER = 0.25
KEEPALIVE_S = 30
LEAVES = ("state", "health", "counts")
ASK = "ask"

_NEW_INSTALLATION = (
    "Stop the unit's program, move its state/counts.db* away and start it again: that begins a "
    "new installation, and the file keeps what was not sent."
)

_log = logging.getLogger("menshen.collector")


class CollectorError(ValueError):
    """The collector cannot start; one sentence that says what is wrong and what to do."""


class ReceivedMessage(NamedTuple):
    """One message as it came. `connection` counts our connections: `mid` belongs to one of them."""

    topic: str
    payload: bytes
    mid: int
    qos: int
    connection: int


class RefusedMessage(ValueError):
    """A message that no unit of ours sends; a clause that says why."""


class BelowK(RefusedMessage):
    """Counts that say too much of too few; the unit sends them again until somebody helps it."""

    def __init__(self, unit: store.UnitKey, installation: str, number: int, k_min: int) -> None:
        self.place = (*unit, installation)
        super().__init__(
            f"unit {unit.site}/{unit.unit} sends cell {number} of installation {installation}, "
            f"which is of fewer than {k_min}: it is not stored, and all later counts of the unit "
            f"wait behind it. Was the site a demo when they were counted? {_NEW_INSTALLATION}"
        )


class AlarmLog:
    """What a person must see to: each told once, though the unit repeats itself."""

    def __init__(self) -> None:
        self._told: set[tuple[object, ...]] = set()

    def log_once(self, what: tuple[object, ...], sentence: str, *values: object) -> None:
        """Say `sentence`, filled with `values`, unless `what` was told already."""
        if what in self._told:
            return
        if len(self._told) >= LOGGED_LEN_MAX:
            self._told.clear()  # told twice is better than never
        self._told.add(what)
        _log.error(f"ALARM: {sentence}", *values)


@dataclass(slots=True)
class Batch:
    """What one commit stores."""

    reports: list[store.Report] = field(default_factory=list)
    states: dict[store.UnitKey, list[report.StateReport]] = field(default_factory=dict)
    healths: dict[store.UnitKey, report.HealthReport] = field(default_factory=dict)
    counts: dict[store.UnitKey, report.CountsReport] = field(default_factory=dict)  # the last ones


class Sorter:
    """Tells our units' messages from others. One that is not ours is told, counted, left out."""

    def __init__(self, estate: Estate, alarms: AlarmLog) -> None:
        self._estate = estate
        self._alarms = alarms
        self._k_min: dict[str, int] = {}
        self.dropped: Counter[str] = Counter()  # by topic's leaf, or "other"

    def batch(self, messages: list[ReceivedMessage]) -> Batch:
        """Sort `messages` by what they say. Never raises, whatever is in them."""
        batch = Batch()
        for message in messages:
            try:
                self._put(batch, message)
            except BelowK as error:
                self._count(message)
                self._alarms.log_once(("k", *error.place), "%s", error)
            except Exception as error:  # one that ended us would come again at every start
                self._drop(message, error)
        return batch

    def _put(self, batch: Batch, message: ReceivedMessage) -> None:
        address = report.address(message.topic)
        if address is None or not _named(address):
            raise RefusedMessage("its topic names no unit")
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
            batch.states.setdefault(unit, [])  # it has been heard of
            batch.counts[unit] = counts
            if counts.cells:
                batch.reports.append(store.Report(unit, counts))
        else:
            raise RefusedMessage("units send nothing there")

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
    """One broker, one store."""

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
        self._full = 0
        self._connection = 0
        self._stop = threading.Event()
        self._where = f"{host} port {port}"
        self._told = ""
        self._client = self._made_client(estate)
        self._client.connect_async(host, port, KEEPALIVE_S)

    def run(self) -> None:
        """Collect until `stop`."""
        self._client.loop_start()
        self._trust.start()
        while not self._stop.is_set():
            messages = self._take()
            if messages:
                self._keep(messages)
            for topic, payload in self._trust.take_due():
                self._client.publish(topic, payload, qos=1, retain=True)
        self._trust.stop()
        self._client.disconnect()
        self._client.loop_stop()

    def stop(self) -> None:
        """End `run` after the commit it is in."""
        self._stop.set()

    def _take(self) -> list[ReceivedMessage]:
        """What has queued up; waits a little for the first."""
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

    def _keep(self, messages: list[ReceivedMessage]) -> None:
        """Store, then acknowledge. While the store fails nothing is acknowledged; tries on."""
        batch = self._sorter.batch(messages)
        backoff = Backoff(RETRY_S, RETRY_S_MAX, RETRY_JITTER, random.SystemRandom())
        while not self._stop.is_set():
            try:
                with store.writing(self._engine) as connection:
                    kept = store.add_cells(connection, batch.reports)
                    now_s = int(time.time())
                    store.add_units(connection, batch.states, batch.healths, now_s, batch.counts)
            except sa.exc.SQLAlchemyError as error:
                delay_s = backoff.take_wait_s()
                _log.error(
                    "the store fails (%.200s): nothing is acknowledged, the units keep their "
                    "counts, next try in %.0f s",
                    store.reason(error),
                    delay_s,
                )
                self._stop.wait(delay_s)
                continue
            break
        else:
            return
        for said, what in zip(batch.reports, kept, strict=True):
            self._acknowledge(said, what)
        for message in messages:
            if message.qos and message.connection == self._connection:
                self._client.ack(message.mid, message.qos)

    def _acknowledge(self, said: store.Report, kept: store.StoredCells) -> None:
        place = (*said.unit, said.counts.installation)
        if kept.missing:
            self._alarms.log_once(
                ("missing", *place),
                "cells %d to %d of unit %s/%s, installation %s, are missing here: was this store "
                "restored from a copy? What came after them is stored",
                *kept.missing,
                *place,
            )
        if kept.conflict:
            self._alarms.log_once(
                ("conflict", *place, kept.conflict.number),
                "unit %s/%s of installation %s sends cell %d again with other content; neither it "
                "nor what follows is stored: its counts were restored from a copy. %s",
                *place,
                kept.conflict.number,
                _NEW_INSTALLATION,
            )
        if kept.last is None:
            return
        ack = report.Ack(
            site=said.unit.site,
            unit=said.unit.unit,
            installation=said.counts.installation,
            first=said.counts.cells[0].number,
            last=kept.last.number,
            digest=report.digest(kept.last),
        )
        self._client.publish(report.topic(*said.unit, "ack"), report.sign_ack(ack, self._key), 1)

    def _made_client(self, estate: Estate) -> mqtt.Client:
        certificate, key = estate.certificate("collector")
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, CLIENT, clean_session=False, manual_ack=True
        )
        try:
            client.tls_set(str(estate.authority), str(certificate), str(key))
        except (OSError, ssl.SSLError) as error:
            raise CollectorError(
                f"the collector's certificate cannot be used ({error}); make it anew with "
                f"menshen-provision"
            ) from None
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._spread_reconnects(client)
        return client

    # Below: the network's thread.

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any
    ) -> None:
        if code.is_failure:
            self._tell(f"the broker at {self._where} refuses us ({code}); trying on")
            return
        self._connection += 1
        self._told = ""
        self._trust.note_connected()
        # Questions are not kept while we are away: a late answer would be none.
        wanted = [*((leaf, 1) for leaf in LEAVES), (ASK, 0)]
        theirs = [(f"{report.ROOT}/+/+/{leaf}", qos) for leaf, qos in wanted]
        client.subscribe([*theirs, (f"{repository.TOPIC}/#", 1)])

    def _on_subscribe(self, *_: Any) -> None:
        if self._connection == 1:
            serving.print_ready("collector", f"the broker at {self._where}")
        else:
            _log.warning("the broker at %s is back", self._where)

    def _on_connect_fail(self, client: mqtt.Client, _data: Any) -> None:
        self._spread_reconnects(client)
        self._tell(
            f"the broker at {self._where} cannot be reached, or its certificate is not for that "
            f"name; trying on"
        )

    def _on_disconnect(
        self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any
    ) -> None:
        self._spread_reconnects(client)
        if not self._stop.is_set():
            self._tell(f"the broker at {self._where} is gone ({code}); trying on")

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
            self._full += 1
            self._tell(f"more comes than can be stored: {self._full} messages left to come again")
        except UnicodeDecodeError:
            self._tell("dropped a message whose topic is not text")

    def _answer(self, message: mqtt.MQTTMessage) -> None:
        """At once, from the network's thread: what waits behind a commit is late."""
        try:
            topic, answer = self._answerer.answer(message.topic, bytes(message.payload))
        except report.ReportError as error:
            self._tell(f"left a question for the time unanswered: {str(error)[:200]!r}")
            return
        self._client.publish(topic, answer, 0)

    def _tell(self, sentence: str) -> None:
        """The same trouble is told once until something else happens."""
        if sentence != self._told:
            self._told = sentence
            _log.warning("%s", sentence)

    def _spread_reconnects(self, client: mqtt.Client) -> None:
        """The next delay doubles from 1 to 3 seconds: after an outage not all come at once."""
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


def _named(address: report.Address) -> bool:
    try:
        msgspec.convert([address.site, address.unit], list[Name])
    except msgspec.ValidationError:
        return False
    return True
