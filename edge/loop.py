"""The tick: newest frame, symbols, verdict, decision, durable count, door. The same loop runs on a
Pi, in the demo and in the simulated street; only the ports differ.

This file defines the order of the steps; other files implement them: `edge/report/failures.py`
tracks failed parts, `edge/report/reporter.py` sends, `edge/doorway/input_watch.py` reads the
inputs.
"""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.ports import Clock
from edge.clock.time_interval import Now
from edge.doorway import door_signals
from edge.doorway.door_signals import Signal
from edge.doorway.input_watch import DoorWatch
from edge.doorway.ports import Door
from edge.doorway.signal_player import Display
from edge.judge import selftest
from edge.judge.ports import TrustSource
from edge.judge.site_decision import Decision, decide
from edge.judge.verdict import Place, Refused, TrustState, Verdict, verify
from edge.parts import DoorLost, StoreLost, Trouble, VerifierWrong, WorldFailure
from edge.passing.answered_codes import AnsweredCodes
from edge.passing.anti_passback import PassbackLimits
from edge.passing.lane import Lane, Sensors
from edge.passing.phone_clock import PhoneClocks
from edge.passing.ports import RestartMemory
from edge.report.failures import Failures, Notice
from edge.report.ports import CountStore, Uplink
from edge.report.reporter import Identity, Reporter, UnitStatus
from edge.report.tally import Tally, first_cells
from edge.sight.ports import Scanner
from edge.sight.presented_code import PresentedCodes

log = logging.getLogger("menshen")

GLANCE_S = 3.0  # how often health may report a part that no passage touches
PROBE_S = 60.0  # how often disk and pins are tested, whether or not somebody comes
BLIND_S = 1.0  # a longer gap between two sightings does not count as absence of a code

_SENSOR_FAULT = (
    "the turn sensor has seen no turn after several openings in a row; check its cable. "
    "Until it sees one, no turn is given back to a code and nobody waits for a turn"
)
_SENSORS_WORK = "the turn sensors work again"
_OCCUPANCY_UNSEEN = (
    "the site limits how many people are inside, but this unit does not see both directions; "
    "wire turn and turn_out, or remove inside_max from this door's rules"
)
_TROUBLE_SENTENCES: dict[Trouble, str] = {
    "dark": "the camera gets too little light; check the illuminator and the lamp over the door",
    "covered": "the camera is covered; uncover its lens",
    "dirty": "the camera's picture is hazy; clean its lens and its window",
    "unfocused": "the camera's picture is not sharp; set its focus with `menshen-edge look`",
}
_CAMERA_SEES = "the camera sees well again"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSettings:
    """The part of unit.toml that the loop needs; all other settings are in the site's rules."""

    unlock_ms: int
    report_s: float
    held_s: float = 30.0
    collector_key: bytes = b""  # 32 bytes; empty: no broker
    site: str = ""
    unit: str = ""
    time_key: bytes = b""  # 32 bytes; empty: no time requests
    sensors: Sensors = field(default_factory=Sensors)


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of the loop."""

    clock: Clock
    scanner: Scanner
    door: Door
    store: CountStore
    uplink: Uplink | None
    memory: RestartMemory
    trust: TrustSource | None = None


class Loop:
    """One unit. `tick` raises for bugs only: a failed device is noted and shown as *not ready*."""

    def __init__(
        self,
        world: Ports,
        trust_state: TrustState,
        place: Place,
        settings: UnitSettings,
        rng: random.Random,
        on_decision: Callable[[Verdict, Decision], None] | None = None,
        self_test: Callable[[], str | None] = selftest.failure_sentence,
    ) -> None:
        """`on_decision` is called with each decision, to show it on a screen; never write it to a
        file. `self_test` returns one sentence if the verifier is wrong.

        Without a store, and without trust documents, it starts all the same and serves nobody.
        """
        self._world = world
        self._trust_state = trust_state
        self._place = place
        self._settings = settings
        self._on_decision = on_decision
        self._self_test = self_test
        self._self_test_passed_s = float("-inf")
        now = world.clock.read()

        self._floors = IssuerFloors()
        self._in_view = AnsweredCodes(rng.randbytes(32))
        self._phones = PhoneClocks(rng.randbytes(32))
        self._presented = PresentedCodes(rng.randbytes(32))
        self._lane = Lane(rng.randbytes(32), now, settings.sensors, world.memory.load())
        self._unlock_ms = settings.unlock_ms  # of the last opening: all pulses of a party are equal
        self._last_look_s = now.monotonic_s
        self._trouble: Trouble | None = None  # in the last sighting
        self._trouble_probed: Trouble | None = None  # at the last probe

        self._watch = DoorWatch(world.door, settings.held_s)
        self._display = Display(world.door)

        self._rng = rng
        self._installation = ""  # of the tally
        self._tally: Tally | None = None  # None: the store is lost
        self._reporter: Reporter | None = None
        if world.uplink is not None:
            self._reporter = Reporter(
                world.uplink,
                world.store,
                world.clock,
                _identity(settings),
                rng,
                now,
                self._note_sync,
            )

        self._failures = Failures()
        self._sensor_notice = Notice(_SENSORS_WORK)
        self._camera_notice = Notice(_CAMERA_SEES)
        self._probe_due_s = self._glance_due_s = now.monotonic_s
        try:
            self._open_tally(now)
        except StoreLost as failure:
            self._failures.note(failure, now.monotonic_s)

    def _open_tally(self, now: Now) -> None:
        """Count into the store's open cells. Raises StoreLost."""
        self._tally = None
        store, counts = self._world.store, self._trust_state.rules.counts
        store.begin(first_cells(now, counts.period_s, counts.k, self._rng))
        self._tally = Tally(store.cells(), counts.period_s, counts.k, self._rng)
        self._installation = store.installation

    def tick(self) -> None:
        """Run each step once, without waiting."""
        now = self._world.clock.read()
        for step in (
            self._run_self_test,
            self._take_trust,
            self._read_door,
            self._follow_turns,
            self._look,
            self._close_cells,
            self._probe,
            self._report,
            self._show_state,
        ):
            try:
                step(now)
            except WorldFailure as failure:
                self._failures.note(failure, now.monotonic_s)

    def _show_state(self, now: Now) -> None:
        """Show *not ready* while a part does not work; else the reminder to shut the door."""
        at_s = now.monotonic_s
        is_ready = not self._failures and not self._watch.latched
        if not is_ready and self._display.is_not_ready_due(at_s):
            self._display.show_not_ready(at_s)
        elif self._watch.reminder_due and not self._display.is_busy(at_s):
            self._watch.note_reminded(at_s)
            self._display.show(door_signals.action(Signal.SHUT_ME), at_s)

    def _settle_relay(self) -> bool:
        """Returns whether the relay may be pulsed. Clears the door's failure if the inputs could be
        read in this tick as well.
        """
        at_rest = self._world.door.settle()
        if self._watch.readable:
            self._failures.clear("door")
        return at_rest

    def _run_self_test(self, now: Now) -> None:
        """Run the self-test before the door serves and once a day; while it fails nothing opens."""
        if now.monotonic_s < self._self_test_passed_s + selftest.AGAIN_S:
            return
        failure = self._self_test()
        if failure is not None:
            raise VerifierWrong(failure)
        self._self_test_passed_s = now.monotonic_s
        self._failures.clear("verifier")

    def _take_trust(self, now: Now) -> None:
        """Take newer trust documents, which their source has verified and read."""
        newest = self._world.trust.latest() if self._world.trust else None
        if newest is not None:
            self._trust_state = newest
            counts = newest.rules.counts
            if self._tally is not None:
                self._tally.follow(counts.period_s, counts.k, now)
        self._failures.clear("trust")

    def _read_door(self, now: Now) -> None:
        self._watch.read(now.monotonic_s)

    def _follow_turns(self, now: Now) -> None:
        """Take the turns since the last tick, and let the next person of a party through."""
        if not self._settings.sensors.turn:
            if "door" in self._failures:  # clear the failure as soon as the door works
                self._settle_relay()
            return
        relay_at_rest = self._settle_relay()
        change = self._lane.tick(self._world.door.take_turns(), relay_at_rest, self._limits, now)
        if change.changed:
            self._world.memory.save(self._lane.to_save())
        if change.pulse and self._can_judge and not self._watch.latched:
            self._watch.note_released(now.monotonic_s + self._unlock_ms / 1000)
            self._display.show(door_signals.action(Signal.OPEN, self._unlock_ms), now.monotonic_s)

    @property
    def _can_judge(self) -> bool:
        return "verifier" not in self._failures and "trust" not in self._failures

    def _look(self, now: Now) -> None:
        sighting = self._world.scanner.latest()
        if sighting is None:
            return
        self._failures.clear("camera")
        if not self._can_judge:
            return
        unwatched_s = now.monotonic_s - self._last_look_s
        if unwatched_s > BLIND_S:
            self._in_view.skip_time(unwatched_s)
        self._last_look_s = now.monotonic_s
        self._trouble = sighting.trouble
        self._display.illuminate(sighting.dim)
        if self._watch.latched:  # nobody is judged, so nobody is counted
            return
        presented = self._presented.look(
            sighting.symbols, sighting.unread, sighting.size, sighting.seen_s
        )
        for symbol in presented:
            answered_ms = self._answer(symbol.data, now)
            if answered_ms is not None:
                self._presented.note_answered(sighting.seen_s + answered_ms / 1000)
                return  # other codes in view are judged in the next frame
        is_busy = self._lane.is_busy or not self._world.door.settle()
        if not is_busy and self._presented.take_unreadable(sighting.seen_s):
            self._display.show(door_signals.action(Signal.UNREADABLE), now.monotonic_s)

    def _answer(self, text: bytes, now: Now) -> int | None:
        """Judge one text and show the answer. Returns for how many ms it is shown; None: no answer
        now, because the text is not a door code, was answered already, or must wait.
        """
        verdict = verify(text, self._trust_state, self._place, now, self._floors)
        if verdict is None:  # a poster, a ticket: ignore it
            return None
        if verdict.issue_date is not None:
            self._floors.raise_to(*verdict.issue_date, now)
        verdict = self._phones.judge(self._lane.judge(verdict, self._limits, now), now)
        decision = decide(verdict, self._trust_state.rules, now, self._lane.inside)
        if self._in_view.keep_in_view(verdict.subject, decision.why, now.monotonic_s):
            return None
        if not self._world.door.settle():  # one opening after the other
            return None
        if decision.opens and self._lane.is_busy:
            return None
        self._failures.clear("door")
        return self._act(verdict, decision, now)

    def _act(self, verdict: Verdict, decision: Decision, now: Now) -> int:
        """Save the used code, count durably, then open. After a crash between these steps the code
        is used, and it is unknown whether somebody passed. Returns for how many ms the answer is
        shown.
        """
        if self._tally is None:
            raise StoreLost("nothing can be counted, so nothing opens; see the store's fault")
        opening = None
        if decision.opens and not isinstance(verdict, Refused):
            opening = self._lane.plan_opening(verdict, decision.people, self._limits, now)
            self._world.memory.save(self._lane.to_save(opening))
        cell = self._tally.count(decision.category, verdict.subject, now)
        self._world.store.count(cell)
        self._failures.clear("store")
        self._tally.keep(cell)
        if opening is None:
            self._in_view.note_answered(verdict.subject, decision.why, now.monotonic_s)
            action = door_signals.action(decision.signal)
        else:
            self._in_view.note_opened(verdict.subject, decision.why, now.monotonic_s)
            self._lane.commit(opening)
            self._unlock_ms = max(self._settings.unlock_ms, decision.at_least_ms)
            action = door_signals.action(decision.signal, self._unlock_ms)
            self._watch.note_released(now.monotonic_s + self._unlock_ms / 1000)
        self._display.show(action, now.monotonic_s)
        if self._on_decision is not None:
            self._on_decision(verdict, decision)
        return action.lasts_ms

    def _close_cells(self, now: Now) -> None:
        if self._tally is None:
            return
        closed = self._tally.close(now)
        if closed:
            self._world.store.close_cells(closed)
        self._tally.keep_closed(closed, now)

    def _probe(self, now: Now) -> None:
        """Test disk and door at fixed times. Health reports the result of these tests only: a part
        that fails while somebody passes must not be reported at the moment of that passage.
        """
        if now.monotonic_s < self._probe_due_s:
            self._glance(now)
            return
        self._probe_due_s += PROBE_S * ((now.monotonic_s - self._probe_due_s) // PROBE_S + 1)
        self._probe_store(now)
        try:
            self._settle_relay()
        except DoorLost as failure:
            self._failures.note(failure, now.monotonic_s)
        self._sensor_notice.update(self._sensor_fault())
        self._trouble_probed = self._trouble
        self._camera_notice.update(_TROUBLE_SENTENCES[self._trouble] if self._trouble else None)
        self._failures.note_probe()

    def _probe_store(self, now: Now) -> None:
        try:
            self._lane.forget(self._limits, now)
            self._world.memory.save(self._lane.to_save())
            self._world.store.probe()
            self._note_renewal(now)
            self._failures.clear("store")
        except StoreLost as failure:
            self._failures.note(failure, now.monotonic_s)

    def _glance(self, now: Now) -> None:
        """Let health report within seconds what no passage touches: camera, trust, inputs."""
        if now.monotonic_s >= self._glance_due_s:
            self._glance_due_s += GLANCE_S * (
                (now.monotonic_s - self._glance_due_s) // GLANCE_S + 1
            )
            store_probed = self._tally is None  # nothing was counted, so no passage shows
            if store_probed:
                self._probe_store(now)
            self._failures.note_glance(
                inputs_lost=not self._watch.readable, store_probed=store_probed
            )

    def _note_renewal(self, now: Now) -> None:
        """A damaged store was renewed: log how much is missing, and count into the new one."""
        loss = self._world.store.take_loss()
        if loss is not None:
            log.error("%s", loss.sentence(self._trust_state.rules.counts.k))
        if self._tally is None or self._world.store.installation != self._installation:
            self._open_tally(now)

    def _sensor_fault(self) -> str | None:
        sensors, limit = self._settings.sensors, self._trust_state.rules.inside_max
        if limit is not None and not (sensors.turn and sensors.turn_out):
            return _OCCUPANCY_UNSEEN
        return _SENSOR_FAULT if self._lane.sensor_fault else None

    def _report(self, now: Now) -> None:
        if self._reporter is None:
            return
        status = UnitStatus(
            self._failures.failed_at_probe,
            self._trouble_probed,
            self._watch.alarms,
            self._trust_state,
        )
        self._reporter.tick(status, now)

    def _note_sync(self) -> None:
        self._floors.note_sync(self._world.clock.read())

    @property
    def _limits(self) -> PassbackLimits:
        return PassbackLimits(self._trust_state.rules.passback_s, self._trust_state.rules.holder)


def _identity(settings: UnitSettings) -> Identity:
    return Identity(
        site=settings.site,
        unit=settings.unit,
        report_s=settings.report_s,
        collector_key=settings.collector_key,
        time_key=settings.time_key,
    )
