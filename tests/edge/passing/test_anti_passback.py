"""The same code twice, a proof twice, and what a power cut makes of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.judge.verdict import Genuine, IssueDate, Proof, Reason, Refused, Unsure, Verdict
from edge.passing import anti_passback
from edge.passing.answered_codes import GONE_S, AnsweredCodes
from edge.passing.anti_passback import MARGIN_S, PASSES_MAX, AntiPassback, PassbackLimits
from edge.passing.marks import mark_of
from edge.passing.phone_clock import CLOCK_S, PHONES_MAX, PhoneClocks
from edge.wire.code import Code, Colour
from edge.wire.rules import HolderTerms

KEY = b"k" * 32
LIMITS = PassbackLimits(300, HolderTerms())  # a proof's window: -90 s, +60 s
WINDOW_S = 90 + 60 + MARGIN_S
START_S = 1_800_000_000  # Unix seconds at monotonic 0
PHONE, OTHER_PHONE = b"p" * 32, b"q" * 32


def at(s: float, error_s: int = 2, latest_s: int | None = None) -> Now:
    """`s` seconds after monotonic 0, by a clock that is that sure of itself."""
    unix_s = START_S + int(s)
    latest_s = unix_s + error_s if latest_s is None else latest_s
    return Now(Interval(unix_s - error_s, latest_s, "system"), s)


def bearer(who: str = "a", issued: float = -60, party: int = 1) -> Genuine:
    """A code that was issued `issued` seconds after monotonic 0."""
    iat_s = START_S + int(issued)
    code = Code(colour=Colour.GREEN, sub=who * 11, iat_s=iat_s, exp_s=iat_s + 3600, party=party)
    return Genuine(code, Colour.GREEN, b"city/" + who.encode(), "city", None, None)


def held(made: float, who: str = "a", phone: bytes = PHONE) -> Genuine:
    return replace(bearer(who), proof=Proof(phone, START_S + int(made)))


def awake(started: float = -1000) -> AntiPassback:
    """A memory that began long before what the test does."""
    return AntiPassback(anti_passback.no_passes(KEY, at(started)))


def open_for(
    passed: AntiPassback, verdict: Verdict, s: float, limits: PassbackLimits = LIMITS
) -> bool:
    """As the loop does it at a door without a sensor: whether it opened."""
    judged = passed.judge(verdict, limits, at(s))
    if not isinstance(judged, Genuine):
        return False
    assert isinstance(verdict, Genuine | Unsure)
    passed.note_opened(verdict, judged.code.party, False, limits, at(s))
    return True


def why(judged: Verdict) -> Reason | None:
    return None if isinstance(judged, Genuine) else judged.reason


# Passback.


def test_a_code_opens_once_within_passback_time() -> None:
    passed = awake()
    assert open_for(passed, bearer(), 0)
    assert why(passed.judge(bearer(), LIMITS, at(299.9))) is Reason.USED
    assert open_for(passed, bearer(), 300)
    assert not open_for(passed, bearer(), 599)


def test_a_renewed_code_for_a_friend_is_the_same_code() -> None:
    """The phone renews, the first screenshot goes to a friend: issuer and day handle are one."""
    passed = awake()
    assert open_for(passed, bearer(issued=-60), 0)
    assert not open_for(passed, bearer(issued=30), 40)
    assert open_for(passed, bearer("b"), 40), "somebody else"


def test_what_is_used_is_refused_with_all_that_the_verdict_said() -> None:
    passed = awake()
    issue_date = IssueDate(b"i" * 32, START_S, START_S + 9)
    verdict = replace(bearer(), issue_date=issue_date)
    assert open_for(passed, verdict, 0)
    assert passed.judge(verdict, LIMITS, at(1)) == Refused(Reason.USED, b"city/a", issue_date)


def test_the_site_may_do_without() -> None:
    passed, off = awake(), PassbackLimits(0, HolderTerms())
    assert all(open_for(passed, bearer(), s, off) for s in range(5))
    assert passed.to_save().passes == {}


def test_a_longer_time_by_a_new_rule_counts_for_who_has_passed_before_it() -> None:
    passed = awake()
    assert open_for(passed, bearer(), 0)
    assert not open_for(passed, bearer(), 500, PassbackLimits(600, HolderTerms()))


def test_refused_stays_refused_and_unsure_unsure() -> None:
    passed = awake()
    for verdict in (Refused(Reason.REVOKED, b"city/a"), Unsure(Reason.TIME_UNKNOWN, b"city/a")):
        assert passed.judge(verdict, LIMITS, at(0)) is verdict


def test_who_was_let_in_unsure_is_let_in_once() -> None:
    """A site may open when it is not sure; that is no way around passback."""
    passed = awake()
    doubtful = Unsure(Reason.STATUS_UNKNOWN, b"city/a", None, bearer())
    passed.note_opened(doubtful, 1, False, LIMITS, at(0))
    assert why(passed.judge(doubtful, LIMITS, at(10))) is Reason.USED
    assert why(passed.judge(bearer(), LIMITS, at(10))) is Reason.USED
    assert passed.judge(doubtful, LIMITS, at(301)) == doubtful


def test_a_proof_that_opened_when_unsure_is_used() -> None:
    passed = awake()
    doubtful = Unsure(
        Reason.TRUST_OLD, b"city/a", None, Unsure(Reason.STATUS_OLD, b"city/a", None, held(0))
    )
    passed.note_opened(doubtful, 1, False, OFF, at(0))
    for again in (doubtful, held(0)):
        assert why(passed.judge(again, OFF, at(1))) is Reason.USED


def test_our_own_doubt_lies_below_the_others() -> None:
    """A site that opens for one kind of not knowing does not open for two of them."""
    passed = awake(started=0)
    doubtful = Unsure(Reason.STATUS_UNKNOWN, b"city/a", None, bearer(party=3))
    judged = passed.judge(doubtful, LIMITS, at(20))
    started = Unsure(Reason.JUST_STARTED, b"city/a", None, bearer(party=3))
    assert judged == replace(doubtful, otherwise=started)
    passed.note_opened(judged, 3, True, LIMITS, at(20))
    judged = passed.judge(doubtful, LIMITS, at(40))
    assert judged == replace(doubtful, otherwise=replace(started, otherwise=bearer(party=2)))


def test_a_doubt_that_nobody_can_lift_stays_as_it_is() -> None:
    passed = awake(started=0)
    stranger = Unsure(Reason.UNKNOWN_ISSUER, b"kid-a")
    assert passed.judge(stranger, LIMITS, at(20)) is stranger


def test_nothing_but_openings_takes_room() -> None:
    """A thousand strangers' codes flush nobody's passback."""
    passed = awake()
    assert open_for(passed, bearer(), 0)
    for number in range(1000):
        passed.judge(Refused(Reason.BAD_SIGNATURE, b"%d" % number), LIMITS, at(1))
        passed.judge(Unsure(Reason.UNKNOWN_ISSUER, b"%d" % number), LIMITS, at(1))
        passed.judge(bearer(str(number)), LIMITS, at(1))
    assert len(passed.to_save().passes) == 1
    assert not open_for(passed, bearer(), 2)


def test_when_full_the_oldest_opening_goes() -> None:
    """What that takes: PASSES_MAX people through one lane within one passback time."""
    passed, day = awake(), PassbackLimits(86400, HolderTerms())
    saved = passed.to_save()
    for number in range(PASSES_MAX):
        saved.passes[number.to_bytes(16)] = anti_passback.PassRecord(number / 100)
    passed = AntiPassback(saved)
    passed.note_opened(bearer(), 1, False, day, at(100))
    kept = passed.to_save().passes
    assert len(kept) == PASSES_MAX
    assert (0).to_bytes(16) not in kept
    assert (1).to_bytes(16) in kept
    assert PASSES_MAX / (30 * 60) > 4.5, "hours of a lane at its fastest"


def test_marks_go_when_their_time_is_over() -> None:
    passed = awake()
    open_for(passed, held(0), 0)
    assert not passed.forget(LIMITS, at(WINDOW_S - 0.1))
    assert passed.forget(LIMITS, at(WINDOW_S))
    assert not passed.to_save().proofs
    assert passed.forget(LIMITS, at(300))
    assert not passed.to_save().passes


def test_no_subject_and_no_phone_is_in_what_is_saved() -> None:
    passed = awake()
    open_for(passed, held(0), 0)
    saved = repr(passed.to_save())
    for secret in ("city", "aaaa", "pppp"):
        assert secret not in saved
    other = AntiPassback(anti_passback.no_passes(b"j" * 32, at(0)))
    assert other.mark(b"city/a") != passed.mark(b"city/a")


# Proofs of holders.

OFF = PassbackLimits(0, HolderTerms())


def test_a_proof_opens_once_and_an_older_one_never_after_it() -> None:
    passed = awake()
    assert open_for(passed, held(10), 10, OFF)
    assert why(passed.judge(held(10), OFF, at(11))) is Reason.USED
    assert why(passed.judge(held(9), OFF, at(11))) is Reason.USED
    assert open_for(passed, held(11), 12, OFF)
    assert open_for(passed, held(10, phone=OTHER_PHONE), 12, OFF)


def test_a_used_proof_is_kept_as_long_as_it_is_fresh() -> None:
    """Signed by a phone 60 s ahead, it is within its window for another 150 s."""
    passed = awake()
    proof = held(60)
    assert open_for(passed, proof, 0, OFF)
    assert why(passed.judge(proof, OFF, at(150))) is Reason.USED
    assert why(passed.judge(proof, OFF, at(WINDOW_S - 0.1))) is Reason.USED


@pytest.mark.parametrize(("behind_s", "latest_s"), [(7200, NEVER_S), (7200, 7200), (0, NEVER_S)])
def test_a_proof_used_while_the_time_was_unsure_stays_used(behind_s: int, latest_s: int) -> None:
    """A site may open when unsure of the time; a picture must not open again for as long as the
    door cannot say that it is old.
    """
    passed, proof = awake(), held(0)

    def hazy(s: float) -> Now:
        earliest_s = START_S + int(s) - behind_s
        return Now(Interval(earliest_s, min(NEVER_S, earliest_s + behind_s + latest_s), "floor"), s)

    passed.note_opened(Unsure(Reason.TIME_UNKNOWN, b"city/a", None, proof), 1, False, OFF, hazy(0))
    for s in range(0, behind_s + WINDOW_S, 30):
        passed.forget(OFF, hazy(s))
        assert why(passed.judge(proof, OFF, hazy(s))) is Reason.USED or (
            proof.proof and proof.proof.iat_s < hazy(s).interval.earliest_s - 90
        )


def test_a_new_proof_does_not_undo_passback() -> None:
    passed = awake()
    assert open_for(passed, held(0), 0)
    assert why(passed.judge(held(20), LIMITS, at(20))) is Reason.USED
    assert open_for(passed, held(300), 300)


# After a power cut.


def test_an_older_bearer_code_is_unsure_until_passback_time_has_run() -> None:
    passed = awake(started=0)
    older, newer = bearer("a", issued=-1), bearer("b", issued=10)
    assert why(passed.judge(older, LIMITS, at(20))) is Reason.JUST_STARTED
    assert open_for(passed, newer, 20)
    assert why(passed.judge(older, LIMITS, at(299.9))) is Reason.JUST_STARTED
    assert open_for(passed, older, 300)


def test_a_code_renewed_after_a_power_cut_is_new_to_the_door() -> None:
    """What remains, and threats.md says so: who had passed is forgotten with the power."""
    assert open_for(awake(), bearer(issued=-60), -20)
    assert open_for(awake(started=0), bearer(issued=10), 20)


def test_the_error_of_the_clock_counts_against_the_code() -> None:
    passed = awake(started=0)
    assert why(passed.judge(bearer(issued=2), LIMITS, at(20, error_s=2))) is Reason.JUST_STARTED
    assert why(passed.judge(bearer(issued=3), LIMITS, at(20, error_s=2))) is None
    assert why(passed.judge(bearer(issued=3), LIMITS, at(20, error_s=9))) is Reason.JUST_STARTED


def test_without_a_bound_on_time_every_bearer_code_is_unsure_until_time_is_known() -> None:
    passed = awake(started=0)
    newer = bearer(issued=10)
    unbounded = at(20, latest_s=NEVER_S)
    assert why(passed.judge(newer, LIMITS, unbounded)) is Reason.JUST_STARTED
    assert why(passed.judge(newer, LIMITS, at(21))) is None, "a sync tells when we started"
    assert why(passed.judge(newer, LIMITS, at(300, latest_s=NEVER_S))) is None


def test_a_proof_from_before_the_start_is_unsure_until_its_window_has_run() -> None:
    """A phone may be 60 s ahead: its proof of 50 s after the start may be from before it."""
    passed = awake(started=0)
    assert why(passed.judge(held(-5), LIMITS, at(5))) is Reason.JUST_STARTED
    assert why(passed.judge(held(50), LIMITS, at(5))) is Reason.JUST_STARTED
    assert why(passed.judge(held(63), LIMITS, at(63))) is None
    old = PassbackLimits(300, HolderTerms(back_s=600, ahead_s=60))
    assert why(passed.judge(held(0), old, at(600))) is Reason.JUST_STARTED
    assert why(passed.judge(held(0), old, at(600 + 60 + MARGIN_S))) is None


def test_the_life_of_the_code_in_it_does_not_matter_for_a_proof() -> None:
    passed = awake(started=0)
    assert bearer().code.iat_s < START_S
    assert open_for(passed, held(100), 100)


def test_without_passback_only_proofs_have_a_before() -> None:
    passed = awake(started=0)
    assert why(passed.judge(bearer(issued=-60), OFF, at(1))) is None
    assert why(passed.judge(held(-1), OFF, at(1))) is Reason.JUST_STARTED


def test_used_outranks_unsure() -> None:
    passed = awake(started=0)
    passed.note_opened(bearer(), 1, False, LIMITS, at(1))  # the site opens when it is not sure
    assert why(passed.judge(bearer(), LIMITS, at(2))) is Reason.USED


def test_a_restart_of_the_program_is_no_hole() -> None:
    passed = awake()
    assert open_for(passed, held(0), 0)
    again = AntiPassback(passed.to_save())
    assert why(again.judge(held(0), LIMITS, at(5))) is Reason.USED
    assert open_for(again, bearer("b"), 5), "and nobody else has to wait"
    assert again.to_save().key == KEY


def test_a_restart_soon_after_a_power_cut_still_knows_of_it() -> None:
    passed = AntiPassback(awake(started=0).to_save())
    assert why(passed.judge(bearer(), LIMITS, at(20))) is Reason.JUST_STARTED
    assert why(passed.judge(bearer(), LIMITS, at(300))) is None


# Parties and giving back.


def test_a_party_keeps_its_turns_and_comes_back_with_as_many() -> None:
    passed = awake()
    four = bearer(party=4)
    passed.note_opened(four, 4, True, LIMITS, at(0))
    passed.spend_turn(passed.mark(four.subject), at(3))
    judged = passed.judge(four, LIMITS, at(20))
    assert isinstance(judged, Genuine)
    assert judged.code.party == 2
    passed.note_opened(four, 2, True, LIMITS, at(20))
    passed.spend_turn(passed.mark(four.subject), at(23))
    assert why(passed.judge(four, LIMITS, at(30))) is Reason.USED
    passed.spend_turn(passed.mark(four.subject), at(31))
    assert why(passed.judge(four, LIMITS, at(323.5))) is None, "no turn below none"


def test_a_renewed_code_for_more_people_brings_no_more_turns() -> None:
    passed = awake()
    passed.note_opened(bearer(party=2), 2, True, LIMITS, at(0))
    judged = passed.judge(bearer(party=9), LIMITS, at(10))
    assert isinstance(judged, Genuine)
    assert judged.code.party == 1


def test_without_a_sensor_a_pulse_is_for_the_whole_party() -> None:
    passed = awake()
    passed.note_opened(bearer(party=4), 4, False, LIMITS, at(0))
    assert why(passed.judge(bearer(party=4), LIMITS, at(10))) is Reason.USED


def test_a_turn_is_given_back_once() -> None:
    passed = awake()
    mark = passed.mark(b"city/a")
    assert open_for(passed, bearer(), 0)
    assert passed.may_give_back(mark)
    passed.give_back(mark)
    assert not passed.may_give_back(mark)
    assert open_for(passed, bearer(), 10)
    passed.give_back(mark)
    assert not open_for(passed, bearer(), 20)
    assert open_for(passed, bearer(), 310), "passback time from the last opening"
    assert passed.may_give_back(mark), "and all is new"


def test_a_given_back_turn_wants_a_fresh_proof() -> None:
    passed = awake()
    assert open_for(passed, held(0), 0)
    passed.give_back(passed.mark(b"city/a"))
    assert why(passed.judge(held(0), LIMITS, at(10))) is Reason.USED
    assert open_for(passed, held(10), 10)


# A picture, or a phone whose clock is wrong.


def stale(made: float, phone: bytes = PHONE) -> Refused:
    return Refused(Reason.PROOF_OLD, b"city/a", None, Proof(phone, START_S + int(made)))


def test_a_picture_is_a_picture_however_long_it_is_shown() -> None:
    phones = PhoneClocks(KEY)
    for s in range(0, 60, 3):
        assert why(phones.judge(stale(-500), at(s))) is Reason.PROOF_OLD


def test_a_phone_that_goes_on_is_told_that_its_clock_is_wrong() -> None:
    phones = PhoneClocks(KEY)
    assert why(phones.judge(stale(-500), at(0))) is Reason.PROOF_OLD
    assert why(phones.judge(stale(-500), at(4))) is Reason.PROOF_OLD
    assert why(phones.judge(stale(-495), at(5))) is Reason.PHONE_CLOCK
    for s in range(6, 90):  # and again and again, as long as it is shown
        assert why(phones.judge(stale(-500 + s // 5 * 5), at(s))) is Reason.PHONE_CLOCK


@pytest.mark.parametrize(
    ("then", "made", "phone"),
    [
        (CLOCK_S + 0.1, -495, PHONE),  # too late
        (5, -495, OTHER_PHONE),
        (5, -505, PHONE),  # an older one
        (5, -300, PHONE),  # newer by more than the time between: two pictures
    ],
)
def test_two_pictures_are_no_living_phone(then: float, made: float, phone: bytes) -> None:
    phones = PhoneClocks(KEY)
    phones.judge(stale(-500), at(0))
    assert why(phones.judge(stale(made, phone), at(then))) is Reason.PROOF_OLD


def test_other_verdicts_are_left_alone() -> None:
    phones = PhoneClocks(KEY)
    for verdict in (bearer(), held(0), Refused(Reason.REVOKED, b"x"), stale(0)):
        assert phones.judge(verdict, at(0)) is verdict
    unsigned = Refused(Reason.PROOF_OLD, b"x")
    assert phones.judge(unsigned, at(0)) is unsigned


def test_old_pictures_of_many_phones_take_bounded_room() -> None:
    phones = PhoneClocks(KEY)
    for number in range(10 * PHONES_MAX):
        phones.judge(stale(-500, number.to_bytes(32)), at(0))
        phones.judge(stale(-498, number.to_bytes(32)), at(1))
    assert len(phones._first) <= PHONES_MAX
    assert len(phones._slow_until_s) <= PHONES_MAX


# Still in view.


def test_the_code_that_opened_is_met_with_silence_while_it_is_held_up() -> None:
    view = AnsweredCodes(KEY)
    view.note_opened(b"a", "green", 0.0)
    for s in range(1, 400):  # past passback time too: a code taped to the glass opens once
        assert view.keep_in_view(b"a", Reason.USED.value if s < 300 else "green", s)
    assert not view.keep_in_view(b"a", "green", 399 + GONE_S + 0.1)


def test_who_comes_back_with_a_used_code_is_told() -> None:
    view = AnsweredCodes(KEY)
    view.note_opened(b"a", "green", 0.0)
    assert not view.keep_in_view(b"a", Reason.USED.value, GONE_S + 0.1)


def test_an_outcome_is_told_once_however_it_swings() -> None:
    """A list that comes and goes must not make a held code blink from one signal to the next."""
    view = AnsweredCodes(KEY)
    view.note_answered(b"a", "green", 0.0)
    assert not view.keep_in_view(b"a", "unsure-status", 1.0)
    view.note_answered(b"a", "unsure-status", 1.0)
    for s, outcome in zip(range(2, 12), ("green", "unsure-status") * 5, strict=True):
        assert view.keep_in_view(b"a", outcome, s)


# And together.

STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),  # who
        st.floats(0, 200),  # seconds since the step before
        st.sampled_from(["bearer", "fresh", "replayed"]),
        st.integers(-60, 60),  # what is wrong with the phone's clock
        st.booleans(),  # a restart of the program before it
    ),
    max_size=40,
)


@given(STEPS, st.sampled_from([0, 60, 300]))
def test_no_code_opens_twice_in_its_time_and_no_proof_ever(
    steps: list[tuple[str, float, str, int, bool]], passback_s: int
) -> None:
    limits = PassbackLimits(passback_s, HolderTerms())
    passed, s = awake(), 0.0
    opened: dict[str, float] = {}
    proofs: set[tuple[str, int]] = set()
    shown: dict[str, Genuine] = {}
    for who, later_s, kind, skew_s, restart in steps:
        s += later_s
        if restart:
            passed = AntiPassback(passed.to_save())
        phone = who.encode() * 32
        fresh = held(s + skew_s, who, phone)
        verdict = {"bearer": bearer(who), "fresh": fresh, "replayed": shown.get(who, fresh)}[kind]
        proof = verdict.proof
        if proof and not -90 <= proof.iat_s - START_S - s <= 60:
            continue  # the verdict before has refused it
        if not open_for(passed, verdict, s, limits):
            continue
        assert s - opened.get(who, float("-inf")) >= passback_s, "twice within passback time"
        opened[who] = s
        if proof:
            assert (who, proof.iat_s) not in proofs, "a proof that worked twice"
            proofs.add((who, proof.iat_s))
            shown[who] = verdict


@given(
    st.floats(-200, 0), st.floats(0.1, 400), st.integers(-60, 60), st.booleans(), st.integers(0, 9)
)
def test_what_opened_before_a_power_cut_does_not_open_after_it(
    used: float, again: float, skew_s: int, bearer_code: bool, error_s: int
) -> None:
    """The memory is gone at 0. What it held must not open within the time it would have held."""
    verdict = bearer(issued=used - 1) if bearer_code else held(used + skew_s)
    if not bearer_code:
        fresh = -90 <= verdict.proof.iat_s - START_S - again <= 60
        if not fresh:
            return
    elif again - used >= LIMITS.passback_s:
        return
    passed = awake(started=0)
    assert passed.judge(verdict, LIMITS, at(again, error_s)) != verdict


def test_marks_of_different_uses_have_nothing_in_common() -> None:
    said = b"s" * 32
    uses = (b"view", b"code", b"proof", b"phone")
    marks = {mark_of(KEY, what, said) for what in uses}
    assert len(marks) == len(uses)
    assert all(len(mark) == 16 for mark in marks)
