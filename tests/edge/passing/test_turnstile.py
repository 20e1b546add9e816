"""What happened after an opening: stories of turns, and of those who try to make two of one."""

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.clock.time_interval import Interval, Now
from edge.judge.verdict import Genuine, Proof, Reason
from edge.passing.answered_codes import GONE_S, AnsweredCodes
from edge.passing.anti_passback import PassbackLimits
from edge.passing.lane import Lane, Sensors
from edge.passing.turnstile import LATCH_S, LATE_S, TURNLESS_MAX, SavedPassage, TurnstilePassage
from edge.wire.code import Code, Colour
from edge.wire.rules import HolderTerms

START_S = 1_800_000_000
TICK_S = 0.25
PULSE_S = 3.0 + 0.25  # unlock_ms of 3000, and the relay's rest
LIMITS = PassbackLimits(300, HolderTerms())
ONE_WAY = Sensors(turn=True)
BOTH = Sensors(turn=True, turn_out=True)


class Lock:
    """A lane, its relay and its arms, driven as the loop does it."""

    def __init__(self, sensors: Sensors = ONE_WAY) -> None:
        self.s = 1000.0
        self.sensors = sensors
        self.memory: bytes | None = None
        self.pulses: list[float] = []
        self.resting_from_s = 0.0
        self.came = self.left = 0  # turns not yet read
        self.start()
        self.wait(400)  # a power cut long ago

    @property
    def now(self) -> Now:
        unix_s = START_S + int(self.s)
        return Now(Interval(unix_s - 1, unix_s + 1, "system"), self.s)

    def start(self) -> None:
        """The program starts: what is in the file is all that it knows."""
        self.lane = Lane(b"k" * 32, self.now, self.sensors, self.memory)
        self.view = AnsweredCodes(b"v" * 32)

    def tick(self) -> None:
        self.s += TICK_S
        turned = (self.came, self.left) if self.sensors.turn else (0, 0)
        self.came = self.left = 0
        moved = self.lane.tick(turned, self.s >= self.resting_from_s, LIMITS, self.now)
        if moved.changed:
            self.memory = self.lane.to_save()
        if moved.pulse:
            self.pulse()

    def pulse(self) -> None:
        assert self.s >= self.resting_from_s, "a pulse into a pulse"
        self.pulses.append(self.s)
        self.resting_from_s = self.s + PULSE_S

    def wait(self, seconds: float) -> None:
        until_s = self.s + seconds
        while self.s < until_s:
            self.tick()

    def turn(self, people: int = 1) -> None:
        self.came += people
        self.tick()

    def show(self, who: str = "a", party: int = 1) -> bool:
        """Hold up a bearer code for one look; whether it opened."""
        iat_s = START_S + int(self.s) - 60
        code = Code(colour=Colour.GREEN, sub=who, iat_s=iat_s, exp_s=iat_s + 3600, party=party)
        return self.look(Genuine(code, Colour.GREEN, b"city/" + who.encode(), "city"))

    def look(self, verdict: Genuine) -> bool:
        self.tick()
        judged = self.lane.judge(verdict, LIMITS, self.now)
        opens = isinstance(judged, Genuine)
        outcome = "green" if opens else Reason.USED.value
        if self.view.keep_in_view(verdict.subject, outcome, self.s):
            return False
        if self.s < self.resting_from_s or (opens and self.lane.is_busy):
            return False
        if not isinstance(judged, Genuine):
            self.view.note_answered(verdict.subject, outcome, self.s)
            return False
        opening = self.lane.plan_opening(verdict, judged.code.party, LIMITS, self.now)
        self.memory = self.lane.to_save(opening)
        self.lane.commit(opening)
        self.view.note_opened(verdict.subject, outcome, self.s)
        self.pulse()
        return True

    def pass_through(self, who: str) -> None:
        """Somebody honest: shows a code and goes."""
        assert self.show(who)
        self.wait(1)
        self.turn()
        self.wait(PULSE_S)

    def nobody_goes(self, who: str, party: int = 1) -> None:
        assert self.show(who, party), f"{who} was not let in"
        self.wait(PULSE_S + LATCH_S + GONE_S)


@pytest.fixture
def lock() -> Lock:
    """A lane whose sensor has been seen turning."""
    lock = Lock()
    lock.pass_through("first")
    return lock


# One person.


def test_who_turned_has_used_the_code(lock: Lock) -> None:
    lock.pass_through("a")
    lock.wait(20)
    assert not lock.show("a")


def test_an_opening_nobody_walked_through_is_given_back_once(lock: Lock) -> None:
    lock.nobody_goes("a")
    lock.nobody_goes("a")
    assert not lock.show("a")
    assert len(lock.pulses) == 1 + 2


def test_it_is_not_given_back_before_relay_and_latch_are_at_rest(lock: Lock) -> None:
    assert lock.show("a")
    lock.wait(PULSE_S + LATCH_S - 2 * TICK_S)
    assert not lock.show("a")
    lock.wait(GONE_S + LATCH_S)
    assert lock.show("a")


def test_a_slow_walker_is_seen_until_the_latch_is_at_rest(lock: Lock) -> None:
    assert lock.show("a")
    lock.wait(PULSE_S + LATCH_S - 2 * TICK_S)
    lock.turn()
    lock.wait(20)
    assert not lock.show("a")


def test_a_turn_after_giving_back_takes_it_away_again(lock: Lock) -> None:
    """A turnstile that waits longer than ours: first the code again, or first the turn."""
    lock.nobody_goes("a")
    lock.turn()
    lock.wait(5)
    assert not lock.show("a")


def test_a_much_later_turn_is_somebody_elses(lock: Lock) -> None:
    lock.nobody_goes("a")
    lock.wait(LATE_S)
    lock.turn()
    assert lock.show("a")


def test_the_next_person_waits_until_the_turn_is_seen(lock: Lock) -> None:
    """Else one turn would stand for two openings, and somebody for nobody."""
    assert lock.show("a")
    lock.wait(PULSE_S)
    assert not lock.show("b")
    lock.turn()
    assert lock.show("b")


def test_giving_back_waits_for_a_sensor_that_was_seen_turning() -> None:
    lock = Lock()
    lock.nobody_goes("a")
    assert not lock.show("a")


def test_a_given_back_turn_wants_a_fresh_proof(lock: Lock) -> None:
    def held(iat_s: int) -> Genuine:
        code = Code(colour=Colour.GREEN, sub="a", iat_s=START_S, exp_s=START_S + 9999)
        return Genuine(code, Colour.GREEN, b"city/a", "city", Proof(b"p" * 32, iat_s))

    first = held(START_S + int(lock.s))
    assert lock.look(first)
    lock.wait(PULSE_S + LATCH_S + GONE_S)
    assert not lock.look(first), "the used proof never again"
    lock.wait(GONE_S + 1)
    assert lock.look(held(START_S + int(lock.s)))


# Parties.


def test_a_party_gets_a_pulse_a_turn_one_after_the_other(lock: Lock) -> None:
    before = len(lock.pulses)
    assert lock.show("family", party=4)
    for _ in range(4):
        lock.wait(1)
        lock.turn()
        lock.wait(PULSE_S)
    lock.wait(30)
    assert len(lock.pulses) - before == 4
    assert not lock.show("family", party=4)


def test_nobody_else_is_let_into_a_party(lock: Lock) -> None:
    assert lock.show("family", party=2)
    lock.wait(PULSE_S)
    assert not lock.show("b")
    lock.turn()
    lock.wait(PULSE_S)
    assert not lock.show("b")
    lock.turn()
    lock.wait(PULSE_S)
    assert lock.show("b")


def test_who_of_a_party_does_not_come_keeps_the_turn(lock: Lock) -> None:
    before = len(lock.pulses)
    assert lock.show("family", party=3)
    lock.turn()
    lock.wait(PULSE_S + PULSE_S + LATCH_S + GONE_S)  # the second does not come
    lock.wait(60)
    assert lock.show("family", party=3)
    lock.turn()
    lock.wait(PULSE_S + 1)
    lock.turn()
    lock.wait(30)
    assert len(lock.pulses) - before == 3 + 1  # the one that nobody took, once more
    assert not lock.show("family", party=3)


def test_a_party_that_never_comes_has_one_turn_more_and_no_other(lock: Lock) -> None:
    before = len(lock.pulses)
    opened = 0
    for _ in range(20):
        opened += lock.show("family", party=3)
        lock.wait(PULSE_S + LATCH_S + GONE_S)
    assert opened == len(lock.pulses) - before == 3 + 1


def test_a_late_turn_that_was_not_given_back_takes_nothing(lock: Lock) -> None:
    before = len(lock.pulses)
    lock.nobody_goes("family", 3)
    lock.nobody_goes("family", 3)  # given back once, so this turn is gone
    lock.turn()
    for _ in range(5):
        lock.show("family", 3)
        lock.wait(PULSE_S + LATCH_S + GONE_S)
    assert len(lock.pulses) - before == 3 + 1


def test_two_of_a_party_in_one_pulse_have_both_had_their_turn(lock: Lock) -> None:
    before = len(lock.pulses)
    assert lock.show("family", party=3)
    lock.turn(2)
    lock.wait(PULSE_S)
    lock.turn()
    lock.wait(30)
    assert len(lock.pulses) - before == 2
    assert not lock.show("family", party=3)


def test_without_a_sensor_an_opening_is_one_pulse() -> None:
    lock = Lock(Sensors())
    assert lock.show("family", party=4)
    lock.wait(PULSE_S)
    assert not lock.lane.is_busy
    assert lock.show("b")
    lock.wait(60)
    assert not lock.show("family", party=4)
    assert len(lock.pulses) == 2
    assert not lock.lane.sensor_fault


# Abuse.


def test_a_cut_sensor_cable_gives_back_to_four_codes_and_then_to_none(lock: Lock) -> None:
    """Everybody walks in, no turn is seen, and each lends the code to a friend."""
    lent = 0
    for person in [f"person {n}" for n in range(30)]:
        lock.nobody_goes(person)
        lent += lock.show(person)
        lock.wait(PULSE_S + LATCH_S + GONE_S)
    assert lent < TURNLESS_MAX
    assert lock.lane.sensor_fault


def test_a_sensor_at_fault_keeps_nobody_waiting_and_gives_nothing_back(lock: Lock) -> None:
    for n in range(TURNLESS_MAX):
        assert not lock.lane.sensor_fault
        lock.nobody_goes(f"person {n}")
    assert lock.lane.sensor_fault
    assert lock.show("a")
    lock.wait(PULSE_S)
    assert lock.show("b"), "as without a sensor"
    lock.wait(30)
    assert not lock.show("a")


def test_a_sensor_that_turns_again_is_believed_again(lock: Lock) -> None:
    for n in range(TURNLESS_MAX):
        lock.nobody_goes(f"person {n}")
    lock.pass_through("repairer")
    assert not lock.lane.sensor_fault
    lock.nobody_goes("a")
    assert lock.show("a")


def test_a_restart_of_the_program_forgives_no_sensor(lock: Lock) -> None:
    for n in range(TURNLESS_MAX):
        lock.nobody_goes(f"person {n}")
    lock.start()
    assert lock.lane.sensor_fault


def test_a_code_taped_to_the_glass_opens_once(lock: Lock) -> None:
    before = len(lock.pulses)
    for _ in range(int(1000 / TICK_S)):
        lock.show("taped")
    assert len(lock.pulses) - before == 1


def test_a_code_taped_up_behind_a_flap_opens_twice_in_its_time(lock: Lock) -> None:
    """Covered and shown, again and again, with nobody going: once, and once given back."""
    before = len(lock.pulses)
    for _ in range(20):
        lock.show("taped")
        lock.wait(GONE_S + 1)
    assert lock.s < 1000 + 600
    assert len(lock.pulses) - before == 2


def test_who_ducks_below_the_arm_brings_one_friend_and_no_more(lock: Lock) -> None:
    """What the sensor cannot see. The friend turns, and then the code is used."""
    lock.nobody_goes("ducks")
    lock.pass_through("ducks")
    lock.wait(20)
    assert not lock.show("ducks")


def test_ducking_one_after_the_other_ends_with_the_fault_of_the_sensor(lock: Lock) -> None:
    second = 0
    for person in [f"person {n}" for n in range(20)]:
        lock.nobody_goes(person)
        second += lock.show(person)
        lock.wait(PULSE_S + LATCH_S + GONE_S)  # ducks too
    assert second < TURNLESS_MAX


def test_two_people_in_one_turn_are_one() -> None:
    """Nothing here can see the second one; this is what is counted, and we say so."""
    lock = Lock(BOTH)
    lock.pass_through("a")
    assert lock.lane.inside == 1


def test_a_turn_without_an_opening_opens_nothing(lock: Lock) -> None:
    before = len(lock.pulses)
    for _ in range(10):
        lock.turn(3)
    assert len(lock.pulses) == before
    assert not lock.lane.is_busy


def test_a_contact_that_chatters_lets_a_party_through_and_nobody_more(lock: Lock) -> None:
    before = len(lock.pulses)
    assert lock.show("family", party=3)
    for _ in range(200):
        lock.turn(2)
    assert len(lock.pulses) - before <= 3
    assert not lock.show("family", party=3)


# Over a restart, and inside.


def test_a_restart_in_the_middle_of_a_party_keeps_the_turns_that_are_left(lock: Lock) -> None:
    assert lock.show("family", party=3)
    lock.turn()
    lock.wait(PULSE_S)
    lock.start()  # the second pulse is made, the turn is not yet seen
    lock.wait(PULSE_S + 1)
    before = len(lock.pulses)
    assert lock.show("family", party=3)
    lock.turn()
    lock.wait(60)
    assert len(lock.pulses) - before == 1
    assert not lock.show("family", party=3)


def test_what_is_no_memory_of_ours_is_a_power_cut(lock: Lock) -> None:
    lock.pass_through("a")
    good = lock.memory
    assert good is not None
    for wrong in (b"", b"\xc0", good[:-1], good + b"\0", b"\x93\x01\x02\x03"):
        lock.memory = wrong
        lock.start()
        assert not lock.show("b"), "just started: an older code is unsure"
    lock.memory = good
    lock.start()
    assert lock.show("b")
    assert not lock.show("a")


def test_an_opening_that_could_not_be_kept_did_not_happen(lock: Lock) -> None:
    """The disk refuses between `opening` and `keep`: the person may try again."""
    code = Code(colour=Colour.GREEN, sub="a", iat_s=START_S, exp_s=START_S + 9999)
    verdict = Genuine(code, Colour.GREEN, b"city/a", "city")
    lock.lane.plan_opening(verdict, 1, LIMITS, lock.now)
    assert isinstance(lock.lane.judge(verdict, LIMITS, lock.now), Genuine)
    assert not lock.lane.is_busy


def test_inside_is_who_turned_and_who_has_been_let_in() -> None:
    lock = Lock(BOTH)
    assert lock.lane.inside == 0
    assert lock.show("family", party=3)
    assert lock.lane.inside == 3, "let in, and still turning"
    lock.turn()
    assert lock.lane.inside == 3
    lock.wait(PULSE_S + PULSE_S + LATCH_S)  # the second does not come
    assert lock.lane.inside == 1
    lock.start()
    assert lock.lane.inside == 1, "the file in RAM"
    lock.left = 1
    lock.tick()
    assert lock.lane.inside == 0
    lock.memory = None
    lock.turn(2)
    lock.memory = None
    lock.start()
    assert lock.lane.inside == 0, "a power cut"


def test_inside_counts_openings_while_the_sensor_is_at_fault() -> None:
    lock = Lock(BOTH)
    for n in range(TURNLESS_MAX):
        lock.nobody_goes(f"person {n}")
    assert lock.lane.inside == 0
    assert lock.show("a")
    assert lock.lane.inside == 1


def test_one_direction_alone_says_nothing_of_who_is_inside(lock: Lock) -> None:
    lock.pass_through("a")
    assert lock.lane.inside == 0


def test_a_relay_that_is_lost_neither_gives_back_nor_ends() -> None:
    """While the door cannot say that it rests, nothing is known of the passage."""
    passage = TurnstilePassage(SavedPassage(0, True))
    passage.note_opened(b"m" * 16, 1, False)
    for s in range(100):
        assert passage.tick(0, False, float(s)) == []
    assert passage.is_busy


class AnyDay(RuleBasedStateMachine):
    """Whatever people, arms, cables and restarts do: openings are bounded by turns allowed."""

    WHO = ("a", "b", "c")

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()
        self.cut = False
        self.spells: dict[str, list[float]] = {}  # pulses since passback last ran out
        self.party: dict[str, int] = {}
        self.current = ""

    def note(self, before: int) -> None:
        for at_s in self.lock.pulses[before:]:
            who = self.current
            spell = self.spells.setdefault(who, [])
            if spell and at_s - spell[-1] >= LIMITS.passback_s:
                spell.clear()
            spell.append(at_s)

    @rule(who=st.sampled_from(WHO), party=st.integers(1, 4))
    def show(self, who: str, party: int) -> None:
        before = len(self.lock.pulses)
        party = self.party.setdefault(who, party)
        self.lock.tick()
        self.note(before)
        before = len(self.lock.pulses)
        if self.lock.show(who, party):
            assert len(self.lock.pulses) == before + 1, "a party's pulse and another opening"
            self.current = who
        self.note(before)

    @rule(seconds=st.sampled_from([0.25, 1.0, 3.5, 5.5, 12.0, 70.0]))
    def wait(self, seconds: float) -> None:
        before = len(self.lock.pulses)
        self.lock.wait(seconds)
        self.note(before)

    @rule(people=st.integers(1, 2))
    @precondition(lambda self: not self.cut)
    def turn(self, people: int) -> None:
        before = len(self.lock.pulses)
        self.lock.turn(people)
        self.note(before)

    @rule()
    def cable(self) -> None:
        self.cut = not self.cut

    @rule()
    def restart(self) -> None:
        self.lock.start()

    @invariant()
    def never_more_than_its_turns_and_one(self) -> None:
        for who, spell in self.spells.items():
            assert len(spell) <= self.party[who] + 1, f"{who}: {len(spell)} openings"

    @invariant()
    def one_pulse_at_a_time(self) -> None:
        pulses = self.lock.pulses
        assert all(b - a >= PULSE_S for a, b in pairwise(pulses))

    @invariant()
    def a_fault_gives_nothing_back(self) -> None:
        saved = self.lock.lane._passage.to_save()
        assert not (saved.turned_lately and saved.turnless >= TURNLESS_MAX)


AnyDay.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyDay = AnyDay.TestCase
