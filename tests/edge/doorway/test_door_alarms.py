"""The doorway alone, tick by tick; then in the street, where nobody's passage may be an alarm."""

import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.doorway import door_signals
from edge.doorway.door_alarms import (
    ALARM_HOLD_S,
    EXIT_S,
    GRACE_S,
    OPEN_S,
    REMIND_S,
    SHUT_S,
    AlarmChange,
    DoorAlarms,
)
from edge.doorway.door_signals import Signal
from edge.doorway.input_levels import InputLevels
from edge.parts import DoorLost
from edge.wire import report
from edge.wire.door_inputs import INPUTS
from tests.levels import QUIET, but, says
from tests.world import HELD_S, TICK_S, UNLOCK_MS, Message, Street, StreetVisit, Troubles, ledger

SHUT = but(QUIET, latched=False)
CAUSE: dict[report.Alarm, str] = {"latched": "latched"}
CAUSE |= {row.alarm: name for name, row in INPUTS.items() if row.alarm}
OPEN = but(SHUT, contact=True)
TICK = 0.1


class WatchedAlarms:
    """A doorway that is asked every tick."""

    def __init__(self, first: InputLevels | None = SHUT, held_s: float = 30) -> None:
        self.doorway = DoorAlarms(held_s)
        self.ticks = 0
        self.alarms: tuple[report.Alarm, ...] = ()
        self.reminders: list[float] = []
        if first:
            self.for_s(EXIT_S + 1, first)

    @property
    def at_s(self) -> float:
        return self.ticks * TICK

    def for_s(self, seconds: float, inputs: InputLevels | None) -> "WatchedAlarms":
        """Ask for so long; the alarms are those at its end."""
        for _ in range(round(seconds / TICK)):
            self.tick(inputs)
        return self

    def tick(self, inputs: InputLevels | None) -> AlarmChange:
        self.ticks += 1
        said = self.doorway.tick(inputs, self.at_s)
        self.alarms = said.alarms
        if said.reminder_due:
            self.reminders.append(self.at_s)
            self.doorway.note_reminded(self.at_s)
        return said

    def pulse(self, seconds: float = 3) -> None:
        self.doorway.note_released(self.at_s + seconds)


def test_a_door_that_nobody_released_is_forced_and_told_for_a_minute() -> None:
    door_ = WatchedAlarms().for_s(OPEN_S, OPEN)
    assert door_.alarms == ()
    assert door_.for_s(2 * TICK, OPEN).alarms == ("forced",)
    assert door_.for_s(5, SHUT).for_s(ALARM_HOLD_S - 6, SHUT).alarms == ("forced",)
    assert door_.for_s(2, SHUT).alarms == ()


@pytest.mark.parametrize("late_s", [0.0, 1.0, 3.0, 3 + GRACE_S - 2 * TICK])
def test_who_was_let_through_forces_nothing(late_s: float) -> None:
    door_ = WatchedAlarms()
    door_.pulse(3)
    assert door_.for_s(late_s, SHUT).for_s(10, OPEN).for_s(30, SHUT).alarms == ()
    assert door_.for_s(2, OPEN).alarms == ("forced",), "one release, one opening"


def test_a_pulse_that_is_over_excuses_nothing() -> None:
    door_ = WatchedAlarms()
    door_.pulse(3)
    assert door_.for_s(3 + GRACE_S + TICK, SHUT).for_s(1, OPEN).alarms == ("forced",)


@pytest.mark.parametrize("late_s", [0.0, 1.0, EXIT_S - 2 * TICK])
def test_a_request_to_exit_excuses_an_opening(late_s: float) -> None:
    door_ = WatchedAlarms().for_s(TICK, but(SHUT, exit_button=True))
    assert door_.for_s(late_s, SHUT).for_s(10, OPEN).alarms == ()


def test_a_request_to_exit_that_comes_a_moment_after_the_opening_excuses_it_too() -> None:
    """Two contacts of one movement: a handle's own switch may follow the leaf."""
    door_ = WatchedAlarms().for_s(OPEN_S - TICK, OPEN).for_s(TICK, but(OPEN, exit_button=True))
    assert door_.for_s(10, OPEN).alarms == ()
    late = WatchedAlarms().for_s(2, OPEN).for_s(TICK, but(OPEN, exit_button=True))
    assert late.alarms == ("forced",), "what was told is not taken back"


def test_an_exit_long_ago_excuses_nothing() -> None:
    door_ = WatchedAlarms().for_s(TICK, but(SHUT, exit_button=True)).for_s(EXIT_S + TICK, SHUT)
    assert door_.for_s(1, OPEN).alarms == ("forced",)


def test_where_no_exit_button_is_wired_nothing_is_forced() -> None:
    """Every ordinary way out, by the handle, would be an alarm at the moment of a passage."""
    blind = but(OPEN, exit_button=None)
    door_ = WatchedAlarms(but(SHUT, exit_button=None)).for_s(20, blind)
    assert door_.alarms == ()
    assert door_.for_s(20, blind).alarms == ("held",)


def test_a_door_that_is_open_from_the_start_was_forced_by_nobody() -> None:
    door_ = WatchedAlarms(None).for_s(29, OPEN)
    assert door_.alarms == ()
    assert door_.for_s(3, OPEN).alarms == ("held",)


def test_a_door_that_could_not_be_asked_may_be_open() -> None:
    """A request to exit may have gone unseen meanwhile."""
    door_ = WatchedAlarms().for_s(3, None)
    assert door_.for_s(10, OPEN).alarms == ()
    assert door_.for_s(5, SHUT).for_s(2, OPEN).alarms == ("forced",)


def test_who_left_while_the_door_could_not_be_asked_forces_nothing() -> None:
    """They pressed the button, and open a moment after the unit sees the door again."""
    for door_ in (WatchedAlarms().for_s(3, None), WatchedAlarms(None)):
        assert door_.for_s(4, SHUT).for_s(5, OPEN).alarms == ()


def test_a_contact_that_has_said_nothing_yet_may_be_open() -> None:
    """A controller's first status comes after its link."""
    door_ = WatchedAlarms(None).for_s(20, but(SHUT, contact=None))
    assert door_.for_s(5, OPEN).alarms == ()


def test_alarms_stay_while_the_door_cannot_be_asked() -> None:
    door_ = WatchedAlarms().for_s(2, but(SHUT, tamper=True)).for_s(600, None)
    assert door_.alarms == ("tamper",)
    assert door_.for_s(ALARM_HOLD_S + 1, SHUT).alarms == ()


def test_a_contact_that_bounces_forces_nothing() -> None:
    door_ = WatchedAlarms()
    for _ in range(100):
        door_.for_s(OPEN_S - TICK, OPEN).for_s(SHUT_S + TICK, SHUT)
        assert door_.alarms == ()


def test_a_leaf_that_falls_shut_and_bounces_back_is_one_opening() -> None:
    door_ = WatchedAlarms()
    door_.pulse(3)
    door_.for_s(8, OPEN)
    for _ in range(5):
        door_.for_s(SHUT_S - TICK, SHUT).for_s(OPEN_S + TICK, OPEN)
    assert door_.for_s(100, SHUT).alarms == ()


def test_a_door_that_stands_open_is_held_and_the_buzzer_reminds() -> None:
    door_ = WatchedAlarms(held_s=30)
    door_.pulse(3)
    opened_s = door_.at_s
    door_.for_s(33 - TICK, OPEN)
    assert door_.alarms == ()
    assert not door_.reminders
    door_.for_s(3 * REMIND_S, OPEN)
    assert door_.alarms == ("held",)
    assert [round(at_s - opened_s, 1) for at_s in door_.reminders[:3]] == [33.1, 43.1, 53.1]
    count = len(door_.reminders)
    door_.for_s(ALARM_HOLD_S - 1, SHUT)
    assert door_.alarms == ("held",)
    assert len(door_.reminders) <= count + 1, "it is shut, and the buzzer goes on"
    assert door_.for_s(2, SHUT).alarms == ()


def test_a_queue_that_walks_through_an_open_door_holds_nothing() -> None:
    door_ = WatchedAlarms(held_s=30)
    for _ in range(20):
        door_.pulse(3)
        door_.for_s(20, OPEN)
    for _ in range(20):
        door_.for_s(1, but(OPEN, exit_button=True)).for_s(20, OPEN)
    assert door_.alarms == ()


def test_a_button_that_is_taped_down_hides_no_door_that_is_held() -> None:
    door_ = WatchedAlarms(held_s=30).for_s(40, but(OPEN, exit_button=True))
    assert door_.alarms == ("held",)


def test_during_a_fire_the_door_may_stand_open_and_the_buzzer_is_quiet() -> None:
    burning = but(OPEN, fire=True)
    door_ = WatchedAlarms(held_s=30).for_s(1, but(SHUT, fire=True)).for_s(600, burning)
    assert door_.alarms == ("fire",)
    assert not door_.reminders
    door_.for_s(29, OPEN)
    assert not door_.reminders
    held = WatchedAlarms(held_s=30).for_s(45, OPEN)
    count = len(held.reminders)
    assert count
    held.for_s(60, burning)
    assert len(held.reminders) == count


@pytest.mark.parametrize("alarm", [*CAUSE])
def test_what_an_input_says_is_told_while_it_says_so_and_a_minute_longer(
    alarm: report.Alarm,
) -> None:
    door_ = WatchedAlarms()
    assert door_.tick(but(SHUT, **{CAUSE[alarm]: True})).alarms == (alarm,)
    assert door_.for_s(ALARM_HOLD_S - TICK, SHUT).alarms == (alarm,)
    assert door_.for_s(2 * TICK, SHUT).alarms == ()


@pytest.mark.parametrize("alarm", [*CAUSE])
@given(presses=st.lists(st.booleans(), min_size=100, max_size=2000))
def test_nobody_can_flood(alarm: report.Alarm, presses: list[bool]) -> None:
    """Whatever a hand does to a button, its alarm begins once a minute at most."""
    door_, began = WatchedAlarms(None), []
    for pressed in presses * 3:
        before = door_.alarms
        if door_.tick(but(SHUT, **{CAUSE[alarm]: pressed})).alarms and not before:
            began.append(door_.at_s)
    assert all(b - a >= ALARM_HOLD_S for a, b in pairwise(began))


def test_alarms_have_one_order() -> None:
    everything = but(QUIET, contact=True, fire=True, help_button=True, tamper=True, latched=True)
    door_ = WatchedAlarms().for_s(2, OPEN).for_s(2, everything)
    assert door_.alarms == ("fire", "tamper", "latched", "forced", "help")


def test_what_is_not_wired_is_no_alarm() -> None:
    door_ = WatchedAlarms(None).for_s(1000, says())
    assert door_.alarms == ()
    assert not door_.reminders


def test_the_reminder_is_sound_alone() -> None:
    reminder = door_signals.action(Signal.SHUT_ME)
    assert reminder.unlock_ms == 0
    assert not any(step.green or step.red for step in reminder.steps)
    assert sum(step.buzzer for step in reminder.steps) == 5
    assert reminder.lasts_ms < 1000


# In the street.

HOUR_S = 3600


def health(street: Street) -> list[Message]:
    return [m for m in street.centre.messages if m.leaf == "health"]


def alarms(street: Street) -> list[tuple[float, list[report.Alarm]]]:
    return [(m.at_s, report.decode_health(m.payload).alarms) for m in health(street)]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.DEBUG)
    yield caplog


def test_ordinary_passages_move_nothing_in_health_or_log(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    """A busy doorway with every input wired, and one that nobody ever goes through."""
    seen = []
    for folder, per_hour, exits in (("busy", 240.0, 240.0), ("empty", 1.0, 0.0)):
        street = Street(31, tmp_path / folder, per_hour=per_hour, exits=exits)
        if not exits:
            street.next_visit_s = float("inf")
        street.run(HOUR_S)
        assert bool(street.pulses) == bool(exits)
        at = [m.at_s for m in health(street)]
        assert all(55 <= after - before <= 65.25 for before, after in pairwise(at))
        seen.append(({m.payload for m in health(street)}, list(lines.messages)))
        lines.clear()
    assert seen[0] == seen[1]
    assert len(seen[0][0]) == 2, "before the first sync, and after it"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40, 43))
def test_a_rough_doorway_tells_each_forced_door_at_once(seed: int, tmp_path: Path) -> None:
    """And no other: `tests/world.py` holds every alarm to its cause, at each message."""
    rough = Troubles(forced=12, propped=4, restarts=2, power_cuts=1, door_losses=2)
    street = Street(seed, tmp_path, per_hour=240, troubles=rough, exits=120).run(2 * HOUR_S)
    assert street.leaf
    told = alarms(street)
    seen = 0
    for at_s in street.leaf.forced:
        seen += any(0 < told_s - at_s < 2 and "forced" in said for told_s, said in told)
    # One that comes as the unit starts, or its pins come back, is seen open and not forced.
    assert seen >= len(street.leaf.forced) - 3
    assert len(street.leaf.forced) >= 4
    assert any("held" in said for _, said in told)
    assert Signal.SHUT_ME in {signal for _, signal in street.actions}
    assert ledger(street).balanced


def test_an_alarm_is_told_at_once_and_moves_no_other_message(
    tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    calm, loud = Street(8, tmp_path / "a", exits=0), Street(8, tmp_path / "b", exits=0)
    for street in (calm, loud):
        street.next_visit_s = float("inf")
        street.run(95)
    pressed_s = loud.monotonic_s
    loud.said = but(loud.said, help_button=True)
    loud.run(TICK_S)
    loud.said = but(loud.said, help_button=False)
    loud.run(299.75)
    calm.run(300)
    extra = sorted({m.at_s for m in health(loud)} - {m.at_s for m in health(calm)})
    assert [round(at_s - pressed_s) for at_s in extra] == [0, 60]
    assert {m.at_s for m in health(calm)} < {m.at_s for m in health(loud)}
    told = [said for at_s, said in alarms(loud) if pressed_s < at_s < pressed_s + 59]
    assert told
    assert all(said == ["help"] for said in told)
    assert alarms(loud)[-1][1] == []
    assert lines.messages == [
        "help: somebody at the door pressed the help button",
        "help is over",
    ]
    assert {len(m.payload) for m in health(loud)} == {report.HEALTH_LEN}


def test_an_alarm_without_a_network_is_told_when_it_is_back(tmp_path: Path) -> None:
    street = Street(8, tmp_path, exits=0)
    street.next_visit_s = float("inf")
    street.run(10)
    street.centre.down_until_s = street.monotonic_s + 100
    street.said = but(street.said, tamper=True)
    before = len(alarms(street))
    street.run(105)
    assert [said for _, said in alarms(street)[before:]] == [["tamper"]]


def green(street: Street, seconds: float, who: int = 1) -> StreetVisit:
    text = street.people.text("green", who, int(street.wall_s))
    return StreetVisit("green", text, street.monotonic_s, street.monotonic_s + seconds, who)


@pytest.mark.parametrize("cut", [False, True])
def test_a_latched_door_and_one_that_cannot_be_asked_judge_and_count_nobody(
    cut: bool, tmp_path: Path
) -> None:
    street = Street(4, tmp_path, exits=0)
    street.next_visit_s = float("inf")
    street.run(5)
    if cut:

        def lost() -> InputLevels:
            raise DoorLost("the controller does not answer")

        says, street.read_inputs = street.read_inputs, lost  # type: ignore[method-assign]
    else:
        street.said = but(street.said, latched=True)
    street.visit = green(street, 20)
    street.run(10)
    assert not street.pulses
    assert not street.decisions
    assert ledger(street).decided == 0
    assert [signal for _, signal in street.actions] == [Signal.NOT_READY] * 4
    if cut:
        street.read_inputs = says  # type: ignore[method-assign]
    street.said = but(street.said, latched=False)
    street.run(5)
    assert len(street.pulses) == 1, "who still waits is let in once the door serves again"
    assert ledger(street).decided == 1
    told: list[Any] = [said for _, said in alarms(street)]
    assert (["latched"] in told) != cut


@pytest.mark.parametrize("turnstile", [False, True])
def test_inputs_that_cannot_be_read_are_a_lost_door_though_the_relay_rests(
    turnstile: bool, tmp_path: Path, lines: pytest.LogCaptureFixture
) -> None:
    street = Street(4, tmp_path, exits=0, turnstile=turnstile)
    street.next_visit_s = float("inf")
    street.run(5)
    says = street.read_inputs

    def lost() -> InputLevels:
        raise DoorLost("the controller does not answer")

    street.read_inputs = lost  # type: ignore[method-assign]
    street.run(200)
    street.read_inputs = says  # type: ignore[method-assign]
    street.run(130)
    told = [report.decode_health(m.payload).door for m in health(street)]
    assert told[0] == "ok"
    assert told[2:4] == ["lost"] * 2, "at each probe"
    assert told[-1] == "ok"
    assert lines.messages == ["the controller does not answer", "the door works again"]


def test_the_reminder_waits_until_a_persons_signal_is_over(tmp_path: Path) -> None:
    street = Street(4, tmp_path, exits=0)
    street.next_visit_s = float("inf")
    assert street.leaf
    street.run(5)
    street.leaf.openings.append((street.monotonic_s, street.monotonic_s + 200))
    street.leaf.forced.append(street.monotonic_s)
    street.run(HELD_S + 5)
    reminders = [at_s for at_s, signal in street.actions if signal is Signal.SHUT_ME]
    assert reminders
    street.run(REMIND_S - (street.monotonic_s - reminders[-1]) - 1)
    street.visit = green(street, 3)
    street.run(2)
    (pulse,) = street.pulses
    street.run(40)
    later = [at_s for at_s, signal in street.actions if signal is Signal.SHUT_ME]
    after = [at_s for at_s in later if at_s > pulse[0]]
    assert after[0] >= pulse[0] + UNLOCK_MS / 1000


def test_a_lost_camera_hides_no_alarm(tmp_path: Path) -> None:
    """The camera hangs outside: pulling it must not keep an opened housing unreported."""
    street = Street(8, tmp_path, exits=0)
    street.next_visit_s = float("inf")
    street.troubles.camera_losses = 0
    street.rng.random = lambda: 0.5  # type: ignore[method-assign]  # and it does not come back
    street.run(30)
    street.camera_lost = True
    lost_s = street.monotonic_s
    street.run(20)
    street.said = but(street.said, tamper=True, help_button=True)
    opened_s = street.monotonic_s
    street.run(60)
    reports = [(m.at_s, report.decode_health(m.payload)) for m in health(street)]
    assert min(at_s for at_s, r in reports if r.camera == "lost") - lost_s <= 5
    assert min(at_s for at_s, r in reports if {"tamper", "help"} <= set(r.alarms)) - opened_s <= 5
