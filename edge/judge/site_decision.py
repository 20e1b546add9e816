"""What this door does about a verdict: open or not, for how many, with which signal, and why."""

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from edge.clock.time_interval import Now
from edge.doorway.door_signals import Signal
from edge.judge.verdict import Genuine, Reason, Refused, Verdict
from edge.wire.code import Colour
from edge.wire.report import Category
from edge.wire.rules import SLOW, Choice, DoorRules
from edge.wire.rules import UnsureRules as RuleOfUnsure
from edge.wire.timetable import certainly

UnsureKind = Literal["time", "status", "trust", "start"]
"""What a door may not know and a site may decide about (`edge.wire.rules.UnsureRules`)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens, and as what it is counted."""

    opens: bool
    people: int  # how many may pass; 0 when it does not open
    signal: Signal
    category: Category
    why: str  # a clause for people, as "it has expired"
    at_least_ms: int = 0  # the pulse is as long as this door's usual one, and at least this long


def decide(verdict: Verdict, rules: DoorRules, now: Now, inside: int = 0) -> Decision:
    """Judge `verdict` by the site's rules; `inside`: how many people are inside already.

    A genuine code opens if its colour, its company, its grants, the hour and the room inside all
    allow it. What is not known stays shut, unless the site's rule for that kind of not knowing
    opens and the code would open if it were known. Source: edge/wire/rules.md, section 8.
    """
    decision = _decide(verdict, rules, now, inside)
    merged = rules.counts.merged
    if decision.category in merged:
        return replace(decision, category=merged[decision.category])
    return decision


def _decide(verdict: Verdict, rules: DoorRules, now: Now, inside: int) -> Decision:
    if isinstance(verdict, Genuine):
        return _genuine(verdict, rules, now, inside)
    why = verdict.reason.value
    if isinstance(verdict, Refused):
        category, signal = _REFUSED[verdict.reason]
        return _shut(signal, category, why)
    category, rule = _UNSURE[verdict.reason]
    if verdict.otherwise is None or rule is None or _choice(rules.unsure, rule) == "shut":
        return _shut(Signal.HELP, category, why)
    sure = _decide(verdict.otherwise, rules, now, inside)
    return replace(sure, category=category, why=why) if sure.opens else sure


def _genuine(verdict: Genuine, rules: DoorRules, now: Now, inside: int) -> Decision:
    """Refused outranks unsure, unsure outranks open: so the order of these lines."""
    said, colour = verdict.code, _COLOUR[verdict.colour]
    if verdict.colour not in rules.opens:
        why = f"it is {colour}, and {colour} does not open this door"
        return _shut(_SHUT[verdict.colour], colour, why)
    if rules.suspends(said.scope, verdict.issuer):
        return _shut(Signal.REFUSED, "not-now", "its company is closed for now")
    tables = rules.when(said.scope, verdict.issuer)
    if not tables:
        return _shut(Signal.REFUSED, "not-here", "it does not grant what this door asks for")
    in_hours = certainly(tables, now.interval.earliest_s, now.interval.latest_s)
    if in_hours is False:
        return _shut(Signal.REFUSED, "not-now", "it may pass here at other hours")
    if rules.inside_max is not None and inside + said.party > rules.inside_max:
        return _shut(Signal.FULL, "full", "there is no room inside; please wait")

    category, why = colour, f"genuine, current and {colour}"
    if in_hours is None:
        category, why = "unsure-time", "this door is not sure enough of the hour"
        if rules.unsure.time == "shut":
            return _shut(Signal.HELP, category, why)
    slow = said.scope is not None and SLOW in said.scope.split(" ")
    return Decision(True, said.party, Signal.OPEN, category, why, rules.slow_ms if slow else 0)


def _choice(unsure: RuleOfUnsure, kind: UnsureKind) -> Choice:
    match kind:
        case "time":
            return unsure.time
        case "status":
            return unsure.status
        case "trust":
            return unsure.trust
        case "start":
            return unsure.start
        case _:
            assert_never(kind)


def _shut(signal: Signal, category: Category, why: str) -> Decision:
    return Decision(False, 0, signal, category, why)


_COLOUR: dict[Colour, Category] = {
    Colour.GREEN: "green",
    Colour.YELLOW: "yellow",
    Colour.RED: "red",
}
_SHUT = {Colour.GREEN: Signal.REFUSED, Colour.YELLOW: Signal.HELP, Colour.RED: Signal.REFUSED}

_REFUSED: dict[Reason, tuple[Category, Signal]] = {  # as what it counts, and what is shown
    Reason.MALFORMED: ("not-genuine", Signal.REFUSED),
    Reason.BAD_SIGNATURE: ("not-genuine", Signal.REFUSED),
    Reason.KEY_WINDOW: ("not-genuine", Signal.REFUSED),
    Reason.LIFE_TOO_LONG: ("not-genuine", Signal.REFUSED),
    Reason.COLOUR_NOT_ALLOWED: ("not-genuine", Signal.REFUSED),
    Reason.PROOF_MISSING: ("not-genuine", Signal.REFUSED),
    Reason.BAD_PROOF: ("not-genuine", Signal.REFUSED),
    Reason.PROOF_OLD: ("proof-old", Signal.REFRESH),
    Reason.PHONE_CLOCK: ("phone-clock", Signal.REFRESH),
    Reason.OTHER_DOOR: ("not-here", Signal.REFUSED),
    Reason.DOOR_NOT_NAMED: ("not-here", Signal.REFRESH),
    Reason.EXPIRED: ("expired", Signal.REFRESH),
    Reason.NOT_YET: ("not-yet", Signal.REFUSED),
    Reason.NOT_HERE: ("not-here", Signal.REFUSED),
    Reason.REVOKED: ("revoked", Signal.REFUSED),
    Reason.USED: ("used", Signal.REFUSED),
    Reason.NO_EVIDENCE: ("not-recognised", Signal.REFUSED),
}
# As what an unsure code counts, and which of the site's rules decides; None: it stays shut.
_UNSURE: dict[Reason, tuple[Category, UnsureKind | None]] = {
    Reason.UNKNOWN_ISSUER: ("unsure-issuer", None),  # nobody knows who signed it
    Reason.TIME_UNKNOWN: ("unsure-time", "time"),
    Reason.STATUS_UNKNOWN: ("unsure-status", "status"),
    Reason.STATUS_OLD: ("unsure-status", "status"),
    Reason.TRUST_OLD: ("unsure-trust", "trust"),
    Reason.TRUST_EXPIRED: ("unsure-trust", None),  # no site may change it
    Reason.JUST_STARTED: ("unsure-start", "start"),
}

if _REFUSED.keys() | _UNSURE.keys() != set(Reason) or _REFUSED.keys() & _UNSURE.keys():
    raise AssertionError("each reason is in one of the two tables: a new one is no forgery")
