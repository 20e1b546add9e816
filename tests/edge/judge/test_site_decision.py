"""What a door does about a verdict, rule by rule. What a verdict is, other tests say."""

from dataclasses import replace
from typing import Any

import pytest

from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.doorway.door_signals import Signal
from edge.judge.site_decision import Decision, decide
from edge.judge.verdict import Genuine, Reason, Refused, Unsure, Verdict
from edge.wire import report, rules
from edge.wire.code import Code, Colour
from edge.wire.rules import PLAIN, DoorRules, GrantRule, OpeningHours, SiteRules

NINE_S = 1_803_891_600  # 2027-03-01 09:00 UTC, a Monday
CODE = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=NINE_S - 60, exp_s=NINE_S + 240)


def genuine(colour: Colour = Colour.GREEN, issuer: str = "city", **claims: Any) -> Genuine:
    return Genuine(replace(CODE, **claims), colour, b"city/x", issuer)


def at(earliest_s: int = NINE_S, latest_s: int | None = None) -> Now:
    latest_s = earliest_s if latest_s is None else latest_s
    return Now(Interval(earliest_s, latest_s, "system"), 0.0)


def site(**fields: Any) -> DoorRules:
    return rules.for_door(SiteRules(site="park", version=1, signed_s=0, **fields), ("park",))


def shut(decision: Decision) -> bool:
    return not decision.opens and decision.people == 0 and decision.at_least_ms == 0


MORNING = [OpeningHours(from_="08:00", until="09:30")]
EARLY = [OpeningHours(from_="06:00", until="09:00")]
STAFF = [GrantRule(grants=["staff:acme"], hours=MORNING)]

LINES = {  # rules.md, section 8: line by line
    "its colour does not open": (genuine(Colour.RED), site(), 0, Signal.REFUSED, "red"),
    "yellow asks for help": (genuine(Colour.YELLOW), site(), 0, Signal.HELP, "yellow"),
    "green need not open": (genuine(), site(opens=("red",)), 0, Signal.REFUSED, "green"),
    "its company is suspended": (
        genuine(scope="staff:acme"), site(suspended=["acme"]), 0, Signal.REFUSED, "not-now"
    ),
    "its issuer is suspended": (
        genuine(issuer="acme"), site(suspended=["acme"]), 0, Signal.REFUSED, "not-now"
    ),
    "no visitors": (genuine(), site(visitors="never"), 0, Signal.REFUSED, "not-here"),
    "lacks a required grant": (
        genuine(scope="x"), site(grants=STAFF, requires=["staff:acme"]), 0, Signal.REFUSED,
        "not-here",
    ),
    "at another hour": (genuine(), site(visitors=EARLY), 0, Signal.REFUSED, "not-now"),
    "its hour, not a visitor's": (
        genuine(scope="staff:acme"), site(visitors=EARLY, grants=STAFF), 0, Signal.OPEN, "green"
    ),
    "a visitor's hour, not its own": (
        genuine(scope="staff:acme"),
        site(grants=[GrantRule(grants=["staff:acme"], hours=EARLY)]), 0, Signal.REFUSED, "not-now",
    ),
    "full": (genuine(), site(inside_max=30), 30, Signal.FULL, "full"),
    "room for one": (genuine(), site(inside_max=30), 29, Signal.OPEN, "green"),
    "no room for two": (genuine(party=2), site(inside_max=30), 29, Signal.FULL, "full"),
    "colour before company": (
        genuine(Colour.RED, scope="a:acme"), site(suspended=["acme"]), 0, Signal.REFUSED, "red"
    ),
    "hour before room": (
        genuine(), site(visitors=EARLY, inside_max=1), 1, Signal.REFUSED, "not-now"
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_table(line: str) -> None:
    verdict, door, inside, signal, category = LINES[line]
    decision = decide(verdict, door, at(), inside)
    assert (decision.signal, decision.category) == (signal, category)
    assert decision.opens == (signal is Signal.OPEN)
    assert decision.opens or shut(decision)


def test_every_reason_is_decided_and_alone_opens_nothing() -> None:
    everything = replace(PLAIN, opens=frozenset(Colour), unsure=open_all())
    for reason in Reason:
        verdict: Verdict = Refused(reason, b"")
        if reason in REASONS_UNSURE:
            verdict = Unsure(reason, b"")
        decision = decide(verdict, everything, at())
        assert shut(decision)
        assert decision.category in report.CATEGORIES
        assert decision.category.startswith("unsure-") == (reason in REASONS_UNSURE)
        assert decision.why == reason.value


REASONS_UNSURE = {
    Reason.UNKNOWN_ISSUER: "unsure-issuer",
    Reason.TIME_UNKNOWN: "unsure-time",
    Reason.STATUS_UNKNOWN: "unsure-status",
    Reason.STATUS_OLD: "unsure-status",
    Reason.TRUST_OLD: "unsure-trust",
    Reason.TRUST_EXPIRED: "unsure-trust",
    Reason.JUST_STARTED: "unsure-start",
}


def open_all() -> rules.UnsureRules:
    """What no document may say of an issuer: not even then does a door open."""
    return rules.UnsureRules(issuer="open", time="open", status="open", trust="open", start="open")


@pytest.mark.parametrize("reason", REASONS_UNSURE)
def test_unsure_is_shut_unless_the_rule_of_its_kind_opens(reason: Reason) -> None:
    verdict = Unsure(reason, b"city/x", None, genuine(party=2))
    category = REASONS_UNSURE[reason]
    kind = category.removeprefix("unsure-")
    careful = decide(verdict, site(), at())
    assert shut(careful)
    assert (careful.signal, careful.category) == (Signal.HELP, category)
    others = {k: "open" for k in ("time", "status", "trust", "start") if k != kind}
    assert shut(decide(verdict, site(unsure=rules.UnsureRules(**others)), at()))  # type: ignore[arg-type]
    willing = decide(verdict, site(unsure=open_all()), at())
    never = (Reason.UNKNOWN_ISSUER, Reason.TRUST_EXPIRED)
    assert willing.opens == (reason not in never)
    assert willing.category == category  # counted as unsure all the same
    assert willing.people == (2 if willing.opens else 0)


def test_an_unsure_code_opens_for_nobody_who_would_be_refused() -> None:
    willing = {"unsure": open_all(), "suspended": ["acme"], "inside_max": 5}
    for otherwise, inside, category in [
        (genuine(Colour.RED), 0, "red"),
        (genuine(scope="staff:acme"), 0, "not-now"),
        (genuine(), 5, "full"),
    ]:
        verdict = Unsure(Reason.STATUS_OLD, b"city/x", None, otherwise)
        decision = decide(verdict, site(**willing), at(), inside)
        assert shut(decision)
        assert decision.category == category


def test_who_is_unsure_for_two_reasons_needs_both_rules() -> None:
    inner = Unsure(Reason.STATUS_UNKNOWN, b"city/x", None, genuine())
    verdict = Unsure(Reason.TIME_UNKNOWN, b"city/x", None, inner)
    assert shut(decide(verdict, site(unsure=rules.UnsureRules(time="open")), at()))
    assert shut(decide(verdict, site(unsure=rules.UnsureRules(status="open")), at()))
    both = decide(verdict, site(unsure=rules.UnsureRules(time="open", status="open")), at())
    assert both.opens
    assert both.category == "unsure-time"


def test_hours_that_are_not_certain_are_the_rule_of_time() -> None:
    around_nine = at(NINE_S - 5, NINE_S + 5)
    never_set = at(NINE_S - 3600, NEVER_S)
    for now in (around_nine, never_set):
        careful = decide(genuine(), site(visitors=EARLY), now)
        assert shut(careful)
        assert (careful.signal, careful.category) == (Signal.HELP, "unsure-time")
        willing = decide(
            genuine(), site(visitors=EARLY, unsure=rules.UnsureRules(time="open")), now
        )
        assert willing.opens
        assert willing.category == "unsure-time"
    assert decide(genuine(), site(), never_set).opens  # at all hours: no hour to be unsure of
    full = site(visitors=EARLY, unsure=rules.UnsureRules(time="open"), inside_max=3)
    assert decide(genuine(), full, around_nine, inside=3).category == "full"


def test_slow_lengthens_the_pulse_and_opens_nothing() -> None:
    door = site(slow_ms=9000, visitors="never", grants=[GrantRule(grants=["staff:acme"])])
    assert decide(genuine(scope="staff:acme slow"), door, at()).at_least_ms == 9000
    assert decide(genuine(scope="staff:acme"), door, at()).at_least_ms == 0
    assert decide(genuine(scope="staff:acme slower"), door, at()).at_least_ms == 0
    assert shut(decide(genuine(scope="slow"), door, at()))


def test_rare_categories_are_counted_as_the_site_merges_them() -> None:
    merged = site(counts=rules.CountingRules(merged={"not-yet": "expired", "unsure-time": "green"}))
    decision = decide(Refused(Reason.NOT_YET, b""), merged, at())
    assert (decision.category, decision.why) == ("expired", Reason.NOT_YET.value)
    assert decide(Unsure(Reason.TIME_UNKNOWN, b""), merged, at()).category == "green"


@pytest.mark.parametrize(
    "reason", [Reason.EXPIRED, Reason.PROOF_OLD, Reason.PHONE_CLOCK, Reason.DOOR_NOT_NAMED]
)
def test_what_the_phone_can_put_right_is_told(reason: Reason) -> None:
    assert decide(Refused(reason, b""), PLAIN, at()).signal is Signal.REFRESH
