"""The tick: newest frame, symbols, verdict, decision, durable count, door. The same loop runs on a
Pi, in the demo and in the simulated street; only the ports differ.

This file is the order of things. Each step is another file's: `edge/report/failures.py` keeps what
does not work, `edge/report/reporter.py` sends, `edge/doorway/input_watch.py` reads the inputs.
"""

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
from edge.parts import DoorLost, Part, StoreLost, Trouble, VerifierWrong, WorldFailure
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

PROBE_S = 60.0  # how often disk and pins are tried, whoever comes by
BLIND_S = 1.0  # longer between two looks, and what was in view is given that time

_SENSOR_FAULT = (
    "the turn sensor has seen nobody at several openings in a row; check its cable. "
    "Until it turns, nothing is given back and nobody waits for a turn"
)
_SENSORS_WELL = "the turn sensors serve again"
_INSIDE_UNSEEN = (
    "the site limits how many people are inside and this unit does not see both directions; "
    "wire turn and turn_out, or take inside_max from this door's rules"
)
_TROUBLES: dict[Trouble, str] = {
    "dark": "the camera sees too little light; check the illuminator and the lamp over the door",
    "covered": "the camera is covered; see what is before its lens",
    "dirty": "the camera sees through a veil; clean its lens and its window",
    "unfocused": "nothing the camera sees is sharp; set its focus with `menshen-edge look`",
}
_SEES_WELL = "the camera sees well again"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSettings:
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
class Ports:
    """The ports, together."""

    clock: Clock
    scanner: Scanner
    door: Door
    store: CountStore
    uplink: Uplink | None
    memory: RestartMemory
    trust: TrustSource | None = None


class Loop:
    """One unit. `tick` never raises for what the world does to it."""

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
        """`on_decision` is called for each decision: for a screen at the door, never for a file.
        `self_test` says in one sentence what the verifier judges wrongly.

        Raises StoreLost when what was counted before cannot be read.
        """
        self._world = world
        self._trust_state = trust_state
        self._place = place
        self._settings = settings
        self._on_decision = on_decision
        self._self_test = self_test
        self._examined_s = float("-inf")
        now = world.clock.read()

        self._floors = IssuerFloors()
        self._in_view = AnsweredCodes(rng.randbytes(32))
        self._phones = PhoneClocks(rng.randbytes(32))
        self._presented = PresentedCodes(rng.randbytes(32))
        self._lane = Lane(rng.randbytes(32), now, settings.sensors, world.memory.load())
        self._unlock_ms = settings.unlock_ms  # of the last opening: a party's pulses are alike
        self._looked_s = now.monotonic_s
        self._trouble: Trouble | None = None  # as the last sighting has it
        self._trouble_probed: Trouble | None = None  # as the last probe had it

        self._watch = DoorWatch(world.door, settings.held_s)
        self._display = Display(world.door)

        counts = trust_state.rules.counts
        world.store.begin(first_cells(now, counts.period_s, counts.k, rng))
        self._tally = Tally(world.store.cells(), counts.period_s, counts.k, rng)
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
        self._sensor_notice = Notice(_SENSORS_WELL)
        self._camera_notice = Notice(_SEES_WELL)
        self._probe_due_s = now.monotonic_s

    def tick(self) -> None:
        """One turn. It takes what is there and waits for nothing."""
        now = self._world.clock.read()
        for step in (
            self._examine,
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

    def lost_for_s(self, part: Part, now: Now) -> float:
        """For how many seconds `part` has not worked; 0 when it does."""
        return self._failures.lost_for_s(part, now.monotonic_s)

    def _show_state(self, now: Now) -> None:
        """*Not ready* while something does not work, else the reminder to shut the door."""
        at_s = now.monotonic_s
        serves = not self._failures and not self._watch.latched
        if not serves and self._display.is_not_ready_due(at_s):
            self._display.show_not_ready(at_s)
        elif self._watch.remind and not self._display.is_busy(at_s):
            self._watch.note_reminded(at_s)
            self._display.show(door_signals.action(Signal.SHUT_ME), at_s)

    def _is_relay_resting(self) -> bool:
        """Whether the relay may be pulsed. It works if its inputs do: `_read_door` came before."""
        resting = self._world.door.settle()
        if self._watch.readable:
            self._failures.clear("door")
        return resting

    def _examine(self, now: Now) -> None:
        """Known answers before the door serves and once a day; while they are wrong it is shut."""
        if now.monotonic_s < self._examined_s + selftest.AGAIN_S:
            return
        wrong = self._self_test()
        if wrong is not None:
            raise VerifierWrong(wrong)
        self._examined_s = now.monotonic_s
        self._failures.clear("verifier")

    def _take_trust(self, now: Now) -> None:
        """Newer trust documents, verified and understood by their source."""
        newer = self._world.trust.latest() if self._world.trust else None
        if newer is not None:
            self._trust_state = newer
            counts = newer.rules.counts
            self._tally.follow(counts.period_s, counts.k, now)

    def _read_door(self, now: Now) -> None:
        self._watch.read(now.monotonic_s)

    def _follow_turns(self, now: Now) -> None:
        """Turns since the last tick: who passed, who did not, whether the next of a party may."""
        if not self._settings.sensors.turn:
            if "door" in self._failures:  # not ready is shown for no longer than it is so
                self._is_relay_resting()
            return
        resting = self._is_relay_resting()
        moved = self._lane.tick(self._world.door.take_turns(), resting, self._limits, now)
        if moved.changed:
            self._world.memory.save(self._lane.to_save())
        if moved.pulse and "verifier" not in self._failures and not self._watch.latched:
            self._watch.note_released(now.monotonic_s + self._unlock_ms / 1000)
            self._display.show(door_signals.action(Signal.OPEN, self._unlock_ms), now.monotonic_s)

    def _look(self, now: Now) -> None:
        if "verifier" in self._failures:
            return
        sighting = self._world.scanner.latest()
        if sighting is None:
            return
        self._failures.clear("camera")
        unseen_s = now.monotonic_s - self._looked_s
        if unseen_s > BLIND_S:
            self._in_view.skip_time(unseen_s)
        self._looked_s = now.monotonic_s
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
                return  # what else is in view has its turn in the next frame
        busy = self._lane.is_busy or not self._world.door.settle()
        if not busy and self._presented.take_unreadable(sighting.seen_s):
            self._display.show(door_signals.action(Signal.UNREADABLE), now.monotonic_s)

    def _answer(self, text: bytes, now: Now) -> int | None:
        """Judge one text and answer it. Returns for how many ms the lights show the answer; None:
        no answer now, because it is no door code, was answered already, or must wait.
        """
        verdict = verify(text, self._trust_state, self._place, now, self._floors)
        if verdict is None:  # a poster, a ticket: none of our business
            return None
        if verdict.issue_date is not None:
            self._floors.raise_to(*verdict.issue_date, now)
        verdict = self._phones.judge(self._lane.judge(verdict, self._limits, now), now)
        decision = decide(verdict, self._trust_state.rules, now, self._lane.inside)
        if self._in_view.keep_in_view(verdict.subject, decision.why, now.monotonic_s):
            return None
        if not self._world.door.settle():  # one after the other
            return None
        if decision.opens and self._lane.is_busy:
            return None
        self._failures.clear("door")
        return self._act(verdict, decision, now)

    def _act(self, verdict: Verdict, decision: Decision, now: Now) -> int:
        """Remember, count durably, then move: a crash between is an opening with its passage
        unknown, and the code that had it is used. Returns for how many ms the lights show it.
        """
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
        closed = self._tally.close(now)
        if closed:
            self._world.store.close_cells(closed)
        self._tally.keep_closed(closed, now)

    def _probe(self, now: Now) -> None:
        """Try disk and door at fixed times, and let health say only that: what fails while
        somebody passes must not be reported in the moment of that passage.
        """
        if now.monotonic_s < self._probe_due_s:
            return
        self._probe_due_s += PROBE_S * ((now.monotonic_s - self._probe_due_s) // PROBE_S + 1)
        try:
            self._lane.forget(self._limits, now)
            self._world.memory.save(self._lane.to_save())
            self._world.store.probe()
            self._failures.clear("store")
        except StoreLost as failure:
            self._failures.note(failure, now.monotonic_s)
        try:
            self._is_relay_resting()
        except DoorLost as failure:
            self._failures.note(failure, now.monotonic_s)
        self._sensor_notice.update(self._sensor_fault())
        self._trouble_probed = self._trouble
        self._camera_notice.update(_TROUBLES[self._trouble] if self._trouble else None)
        self._failures.note_probe()

    def _sensor_fault(self) -> str | None:
        sensors, limit = self._settings.sensors, self._trust_state.rules.inside_max
        if limit is not None and not (sensors.turn and sensors.turn_out):
            return _INSIDE_UNSEEN
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
