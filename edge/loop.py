"""The tick: newest frame, symbols, verdict, decision, durable count, door. The same loop runs on a
Pi, in the demo and in the simulated street; only the ports differ.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.clock.issuer_floors import Floors
from edge.clock.ports import Clock
from edge.clock.reckoning import Now
from edge.clock.time_request import Asking
from edge.doorway import signals
from edge.doorway.alarms import Doorway
from edge.doorway.inputs import Inputs
from edge.doorway.ports import Door
from edge.doorway.signals import DoorAction, Signal
from edge.judge import selftest
from edge.judge.decision import Decision, decide
from edge.judge.ports import TrustSource
from edge.judge.verdict import Believed, Place, Refused, Verdict, verify
from edge.parts import (
    DoorLost,
    Part,
    StoreLost,
    Trouble,
    VerifierWrong,
    WorldFailure,
)
from edge.passing.anti_passback import Limits
from edge.passing.in_view import InView
from edge.passing.lane import Lane, Sensors
from edge.passing.phone_clock import Phones
from edge.passing.ports import Memory
from edge.report import health
from edge.report.ports import Store, Uplink
from edge.report.tally import Tally, first_cells
from edge.sight.ports import Eyes
from edge.sight.presented import Presented
from edge.wire import report

log = logging.getLogger("menshen")

PROBE_S = 60.0  # how often disk and pins are tried, whoever comes by
HEALTH_S = 60.0
HEALTH_JITTER_S = 5.0
BLIND_S = 1.0  # longer between two looks, and what was in view is given that time

_PROBED_PARTS: tuple[Part, ...] = ("store", "door")
"""They fail and work again while somebody passes: so even the log hears of it at probes alone."""

_SENSOR_FAULT = (
    "the turn sensor has seen nobody at several openings in a row; check its cable. "
    "Until it turns, nothing is given back and nobody waits for a turn"
)
_TROUBLES: dict[Trouble, str] = {
    "dark": "the camera sees too little light; check the illuminator and the lamp over the door",
    "covered": "the camera is covered; see what is before its lens",
    "dirty": "the camera sees through a veil; clean its lens and its window",
    "unfocused": "nothing the camera sees is sharp; set its focus with `menshen-edge look`",
}
_SEES_WELL = "the camera sees well again"
_ALARMS: dict[report.Alarm, str] = {
    "fire": "fire: the fire contact says alarm",
    "tamper": "tamper: a housing is open",
    "latched": "latched: the controller holds itself shut; see why, then re-arm it from inside",
    "forced": "door forced open: nobody had released it",
    "held": "door held open: nobody has shut it",
    "help": "help: somebody asks for it at the door",
}
_SENSORS_WELL = "the turn sensors serve again"
_INSIDE_UNSEEN = (
    "the site limits how many people are inside and this unit does not see both directions; "
    "wire turn and turn_out, or take inside_max from this door's rules"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the loop needs of the unit's own configuration; the rest is in the site's rules."""

    unlock_ms: int
    report_s: float
    held_s: float = 30.0
    collector_key: bytes = b""  # 32 bytes; empty: no way to the centre
    site: str = ""
    unit: str = ""
    time_key: bytes = b""  # 32 bytes; empty: nobody is asked for the time
    sensors: Sensors = field(default_factory=Sensors)


@dataclass(frozen=True, slots=True)
class World:
    """The ports, together."""

    clock: Clock
    eyes: Eyes
    door: Door
    store: Store
    uplink: Uplink | None
    memory: Memory
    trust: TrustSource | None = None


class Loop:
    """One unit. `tick` never raises for what the world does to it."""

    def __init__(
        self,
        world: World,
        believed: Believed,
        place: Place,
        settings: Settings,
        rng: random.Random,
        told: Callable[[Verdict, Decision], None] | None = None,
        known_answers: Callable[[], str | None] = selftest.wrong,
    ) -> None:
        """`told` is called for each decision: for a screen at the door, never for a file.
        `known_answers` says in one sentence what the verifier judges wrongly.

        Raises StoreLost when what was counted before cannot be read.
        """
        self._world = world
        self._believed = believed
        self._floors = Floors()
        self._place = place
        self._settings = settings
        self._rng = rng
        self._told = told
        self._known_answers = known_answers
        self._examined_s = float("-inf")
        self._asking = Asking(
            settings.site, settings.unit, world.store.session, settings.time_key, rng
        )
        self._in_view = InView(rng.randbytes(32))
        self._phones = Phones(rng.randbytes(32))
        self._presented = Presented(rng.randbytes(32))
        now = world.clock.read()
        self._lane = Lane(rng.randbytes(32), now, settings.sensors, world.memory.load())
        self._unlock_ms = settings.unlock_ms  # of the last opening: a party's pulses are alike
        self._sensors_wrong: str | None = None  # as it was when last tried
        self._doorway = Doorway(settings.held_s)
        self._inputs: Inputs | None = None  # of this tick; None: the door cannot be asked
        self._alarms: tuple[report.Alarm, ...] = ()
        self._alarms_sent: tuple[report.Alarm, ...] = ()
        self._remind = False  # the buzzer asks to shut the door
        self._shown_until_s = float("-inf")  # till when a signal is shown
        self._lit = False
        self._trouble: Trouble | None = None  # as the last sighting told
        self._trouble_told: Trouble | None = None
        counts = believed.rules.counts
        world.store.begin(first_cells(now, counts.period_s, counts.k, rng))
        self._tally = Tally(world.store.cells(), counts.period_s, counts.k, rng)
        self._failures: dict[Part, str] = {}  # what does not work now, and the sentence
        self._untold: dict[Part, str] = {}
        self._said: dict[Part, str] = {}
        self._failed_since_s: dict[Part, float] = {}
        self._not_ready_again_s = float("-inf")
        self._probed: frozenset[Part] = frozenset()  # what did not work when last tried
        self._started_s = self._looked_s = now.monotonic_s
        self._probe_due_s = self._counts_due_s = self._health_due_s = now.monotonic_s

    def tick(self) -> None:
        """One turn. It takes what is there and waits for nothing."""
        now = self._world.clock.read()
        for step in (
            self._examine,
            self._take,
            self._hear,
            self._pass,
            self._look,
            self._close_cells,
            self._probe,
            self._report,
        ):
            try:
                step(now)
            except WorldFailure as failure:
                self._failed(failure, now)
        if not self._serves and now.monotonic_s >= self._not_ready_again_s:
            self._not_ready_again_s = now.monotonic_s + signals.NOT_READY_EVERY_S
            self._try_to_show(Signal.NOT_READY, now)
        elif self._remind and now.monotonic_s >= self._shown_until_s:
            self._doorway.reminded(now.monotonic_s)
            self._try_to_show(Signal.SHUT_ME, now)

    @property
    def _serves(self) -> bool:
        return not self._failures and not self._latched

    @property
    def _latched(self) -> bool:
        """The controller holds itself shut, or what the door says is not known: nothing opens."""
        return self._inputs is None or bool(self._inputs.latched)

    def _rests(self) -> bool:
        """Whether the relay may be pulsed. It works if its inputs do: `_hear` came before."""
        resting = self._world.door.resting()
        if self._inputs is not None:
            self._works("door")
        return resting

    def _show(self, action: DoorAction, now: Now) -> None:
        """Play it, in place of what is played. Raises DoorLost."""
        self._shown_until_s = now.monotonic_s + action.lasts_ms / 1000
        self._world.door.apply(action)

    def _examine(self, now: Now) -> None:
        """Known answers before the door serves and once a day; while they are wrong it is shut."""
        if now.monotonic_s < self._examined_s + selftest.AGAIN_S:
            return
        wrong = self._known_answers()
        if wrong is not None:
            raise VerifierWrong(wrong)
        self._examined_s = now.monotonic_s
        self._works("verifier")

    def _take(self, now: Now) -> None:
        """Newer trust documents, verified and understood by whoever brings them."""
        newer = self._world.trust.latest() if self._world.trust else None
        if newer is not None:
            self._believed = newer
            counts = newer.rules.counts
            self._tally.follow(counts.period_s, counts.k, now)

    def _hear(self, now: Now) -> None:
        """What the door says; an alarm that begins or ends is told at once."""
        self._inputs = None
        try:
            self._inputs = self._world.door.inputs()
        finally:
            heard = self._doorway.tick(self._inputs, now.monotonic_s)
            self._remind = heard.remind
            before, self._alarms = self._alarms, heard.alarms
            for alarm in report.ALARMS:
                if alarm in heard.alarms and alarm not in before:
                    log.warning("%s", _ALARMS[alarm])
                if alarm in before and alarm not in heard.alarms:
                    log.warning("%s is over", alarm)

    def _pass(self, now: Now) -> None:
        """Who has turned, whom nobody saw go, and whether the next of a party may."""
        if not self._settings.sensors.turn:
            if "door" in self._failures:  # not ready is shown for no longer than it is so
                self._rests()
            return
        resting = self._rests()
        moved = self._lane.tick(self._world.door.turned(), resting, self._limits, now)
        if moved.changed:
            self._world.memory.save(self._lane.saved())
        if moved.pulse and "verifier" not in self._failures and not self._latched:
            self._doorway.released(now.monotonic_s + self._unlock_ms / 1000)
            self._show(signals.action(Signal.OPEN, self._unlock_ms), now)

    def _look(self, now: Now) -> None:
        if "verifier" in self._failures:
            return
        sighting = self._world.eyes.latest()
        if sighting is None:
            return
        self._works("camera")
        unseen_s = now.monotonic_s - self._looked_s
        if unseen_s > BLIND_S:
            self._in_view.excuse(unseen_s)
        self._looked_s = now.monotonic_s
        self._trouble = sighting.trouble
        if sighting.dim != self._lit:
            self._world.door.illuminate(sighting.dim)
            self._lit = sighting.dim
        if self._latched:  # nobody is judged, so nobody is counted
            return
        presented = self._presented.look(
            sighting.symbols, sighting.unread, sighting.size, sighting.seen_s
        )
        for symbol in presented:
            verdict = verify(symbol.data, self._believed, self._place, now, self._floors)
            if verdict is None:  # a poster, a ticket: none of our business
                continue
            if verdict.dated is not None:
                self._floors.raised(*verdict.dated, now)
            verdict = self._phones.judge(self._lane.judge(verdict, self._limits, now), now)
            decision = decide(verdict, self._believed.rules, now, self._lane.inside)
            if self._in_view.still(verdict.subject, decision.why, now.monotonic_s):
                continue
            if not self._world.door.resting():  # one after the other
                continue
            if decision.opens and self._lane.busy:
                continue
            self._works("door")
            lasts_ms = self._act(verdict, decision, now)
            self._presented.answered(sighting.seen_s + lasts_ms / 1000)
            return  # what else is in view has its turn in the next frame
        busy = self._lane.busy or not self._world.door.resting()
        if not busy and self._presented.unreadable(sighting.seen_s):
            self._show(signals.action(Signal.UNREADABLE), now)

    def _act(self, verdict: Verdict, decision: Decision, now: Now) -> int:
        """Remember, count durably, then move: a crash between is an opening with its passage
        unknown, and the code that had it is used. Returns for how many ms the lights tell it.
        """
        opening = None
        if decision.opens and not isinstance(verdict, Refused):
            opening = self._lane.opening(verdict, decision.people, self._limits, now)
            self._world.memory.save(self._lane.saved(opening))
        cell = self._tally.count(decision.category, verdict.subject, now)
        self._world.store.count(cell)
        self._works("store")
        self._tally.keep(cell)
        if opening is None:
            self._in_view.answered(verdict.subject, decision.why, now.monotonic_s)
            action = signals.action(decision.signal)
        else:
            self._in_view.opened(verdict.subject, decision.why, now.monotonic_s)
            self._lane.keep(opening)
            self._unlock_ms = max(self._settings.unlock_ms, decision.at_least_ms)
            action = signals.action(decision.signal, self._unlock_ms)
            self._doorway.released(now.monotonic_s + self._unlock_ms / 1000)
        self._show(action, now)
        if self._told is not None:
            self._told(verdict, decision)
        return action.lasts_ms

    def _close_cells(self, now: Now) -> None:
        closed = self._tally.close(now)
        if closed:
            self._world.store.close_cells(closed)
        self._tally.keep_closed(closed, now)

    def _report(self, now: Now) -> None:
        """Counts and health at fixed times, whatever there is to say; an alarm at once."""
        store, uplink = self._world.store, self._world.uplink
        if uplink is None:
            return
        for leaf, payload in uplink.received():
            if leaf == "ack":
                self._acknowledged(payload)
            elif leaf == "answer":
                self._answered(payload)
        connected = uplink.connected()
        question = self._asking.message(connected, now) if self._settings.time_key else None
        if question is not None:
            uplink.send("ask", question)
        if not connected:
            return
        if now.monotonic_s >= self._counts_due_s:
            # On a grid: a tick that took long must not move the messages after it.
            late_s = now.monotonic_s - self._counts_due_s
            self._counts_due_s += self._settings.report_s * (late_s // self._settings.report_s + 1)
            cells = store.unacknowledged(report.CELLS_MAX)
            counts = report.Counts(installation=store.installation, cells=cells)
            uplink.send("counts", report.encode(counts))
        due = now.monotonic_s >= self._health_due_s
        if due:
            late_s = now.monotonic_s - self._health_due_s
            jitter_s = self._rng.uniform(-HEALTH_JITTER_S, HEALTH_JITTER_S)
            self._health_due_s += HEALTH_S * (late_s // HEALTH_S + 1) + jitter_s
        if due or self._alarms != self._alarms_sent:
            self._alarms_sent = self._alarms
            oldest = next(iter(store.unacknowledged(1)), None)
            said = health.message(
                self._probed,
                oldest,
                store.session,
                self._believed,
                self._started_s,
                now,
                self._trouble_told,
                self._alarms,
            )
            uplink.send("health", report.encode(said))

    def _probe(self, now: Now) -> None:
        """Try disk and door at fixed times, and let health say only that: what fails while
        somebody passes must not be told in the moment of that passage.
        """
        if now.monotonic_s < self._probe_due_s:
            return
        self._probe_due_s += PROBE_S * ((now.monotonic_s - self._probe_due_s) // PROBE_S + 1)
        try:
            self._lane.forget(self._limits, now)
            self._world.memory.save(self._lane.saved())
            self._world.store.probe()
            self._works("store")
        except StoreLost as failure:
            self._failed(failure, now)
        try:
            self._rests()
        except DoorLost as failure:
            self._failed(failure, now)
        self._tell_sensors()
        self._tell_trouble()
        for part in _PROBED_PARTS:
            self._tell(part)
        self._probed = frozenset(self._failures)

    def _tell_sensors(self) -> None:
        """At fixed times too: a fault shows itself while somebody passes."""
        sensors, limit = self._settings.sensors, self._believed.rules.inside_max
        wrong = _SENSOR_FAULT if self._lane.sensor_fault else None
        if limit is not None and not (sensors.turn and sensors.turn_out):
            wrong = _INSIDE_UNSEEN
        if wrong != self._sensors_wrong:
            self._sensors_wrong = wrong
            log.warning("%s", wrong or _SENSORS_WELL)

    def _tell_trouble(self) -> None:
        """At fixed times too, though it lasts longer than anybody stands before the camera."""
        if self._trouble != self._trouble_told:
            self._trouble_told = self._trouble
            log.warning("%s", _TROUBLES[self._trouble] if self._trouble else _SEES_WELL)

    @property
    def _limits(self) -> Limits:
        return Limits(self._believed.rules.passback_s, self._believed.holder)

    def _acknowledged(self, payload: bytes) -> None:
        try:
            ack = report.verify_ack(payload, self._settings.collector_key)
        except report.ReportError as error:
            log.warning("%s", error)
            return
        if not self._world.store.acknowledged(ack):
            log.warning("an acknowledgement does not fit what this unit keeps; its cells stay")

    def _answered(self, payload: bytes) -> None:
        try:
            # The answer came in this tick: a reading from before it would not hold its time.
            sync = self._asking.answered(payload, self._world.clock.read())
        except report.ReportError as error:
            log.warning("%s", error)
            return
        if sync is not None:
            self._world.clock.synced(sync)
            self._floors.synced(self._world.clock.read())

    def _failed(self, failure: WorldFailure, now: Now) -> None:
        """Say it once; *not ready* is shown until that part has worked again."""
        self._failed_since_s.setdefault(failure.part, now.monotonic_s)
        self._failures[failure.part] = self._untold[failure.part] = str(failure)
        if failure.part not in _PROBED_PARTS:
            self._tell(failure.part)

    def _works(self, part: Part) -> None:
        self._failed_since_s.pop(part, None)
        self._failures.pop(part, None)
        if part not in _PROBED_PARTS:
            self._tell(part)

    def _tell(self, part: Part) -> None:
        """Say what has failed since this part was last spoken of, or that it works again."""
        wrong = self._untold.pop(part, None)
        if wrong is not None and wrong != self._said.get(part):
            self._said[part] = wrong
            log.error("%s", wrong)
        if part not in self._failures and self._said.pop(part, None) is not None:
            log.warning("the %s works again", part)

    def _try_to_show(self, signal: Signal, now: Now) -> None:
        try:
            self._show(signals.action(signal), now)
        except DoorLost as failure:
            self._failed(failure, now)

    def lost_for_s(self, part: Part, now: Now) -> float:
        """For how long `part` has not worked; 0 when it does."""
        since_s = self._failed_since_s.get(part)
        return 0.0 if since_s is None else now.monotonic_s - since_s
