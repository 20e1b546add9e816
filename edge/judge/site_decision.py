"""Decision: does this door open for a verdict, for how many people, with which signal, and why?"""

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from edge.clock.time_interval import Now
from edge.doorway.door_signals import Signal
from edge.judge.verdict import Genuine, Reason, Refused, Verdict
from edge.wire.code import Colour
from edge.wire.report import Category
from edge.wire.rules import SLOW, Choice, DoorRules, UnsureRules
from edge.wire.timetable import certainly

UnsureKind = Literal["time", "status", "trust", "start"]
"""The kinds of doubt for which a site may choose to open (`edge.wire.rules.UnsureRules`)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the door does, and the category that is counted."""

    opens: bool
    people: int  # how many may pass; 0 if it stays shut
    signal: Signal
    category: Category
    why: str  # a clause for people, as "it has expired"
    at_least_ms: int = 0  # least length of the pulse; a longer usual pulse stays


def decide(verdict: Verdict, rules: DoorRules, now: Now, inside: int = 0) -> Decision:
    """Apply the site's rules to `verdict`; `inside`: how many people are inside already.

    A genuine code opens if its colour, company, grants, the hour and the occupancy all allow it.
    For an unsure code the door stays shut, unless the site's rule for that kind of doubt is *open*
    and the code would open without the doubt. Source: edge/wire/rules.md, section 8.
    """
    decision = _decide(verdict, rules, now, inside)
    merged = rules.counts.merged
    if decision.category in merged:
        return replace(decision, category=merged[decision.category])
    return decision


def _decide(verdict: Verdict, rules: DoorRules, now: Now, inside: int) -> Decision:
    if isinstance(verdict, Genuine):
        return _decide_genuine(verdict, rules, now, inside)
    why = verdict.reason.value
    if isinstance(verdict, Refused):
        category, signal = _REFUSED[verdict.reason]
        return _shut(signal, category, why)
    category, rule = _UNSURE[verdict.reason]
    if verdict.otherwise is None or rule is None or _choice(rules.unsure, rule) == "shut":
        return _shut(Signal.HELP, category, why)
    decision = _decide(verdict.otherwise, rules, now, inside)
    return replace(decision, category=category, why=why) if decision.opens else decision


def _decide_genuine(verdict: Genuine, rules: DoorRules, now: Now, inside: int) -> Decision:
    """The checks are in this order because refusing outranks doubt, and doubt outranks opening."""
    claims, colour = verdict.code, _COLOUR_CATEGORY[verdict.colour]
    if verdict.colour not in rules.opens:
        why = f"it is {colour}, and {colour} does not open this door"
        return _shut(_SHUT_SIGNAL[verdict.colour], colour, why)
    if rules.suspends(claims.scope, verdict.issuer):
        return _shut(Signal.REFUSED, "not-now", "its company is suspended")
    tables = rules.when(claims.scope, verdict.issuer)
    if not tables:
        return _shut(Signal.REFUSED, "not-here", "it does not have a grant that this door requires")
    in_hours = certainly(tables, now.interval.earliest_s, now.interval.latest_s)
    if in_hours is False:
        return _shut(Signal.REFUSED, "not-now", "it opens this door at other hours only")
    if rules.inside_max is not None and inside + claims.party > rules.inside_max:
        return _shut(Signal.FULL, "full", "there is no room inside; please wait")

    category, why = colour, f"genuine, current and {colour}"
    if in_hours is None:
        category, why = "unsure-time", "this door is not sure enough of the time of day"
        if rules.unsure.time == "shut":
            return _shut(Signal.HELP, category, why)
    slow = claims.scope is not None and SLOW in claims.scope.split(" ")
    return Decision(True, claims.party, Signal.OPEN, category, why, rules.slow_ms if slow else 0)


def _choice(unsure: UnsureRules, kind: UnsureKind) -> Choice:
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


_COLOUR_CATEGORY: dict[Colour, Category] = {
    Colour.GREEN: "green",
    Colour.YELLOW: "yellow",
    Colour.RED: "red",
}
_SHUT_SIGNAL = {
    Colour.GREEN: Signal.REFUSED,
    Colour.YELLOW: Signal.HELP,
    Colour.RED: Signal.REFUSED,
}

_REFUSED: dict[
    Reason, tuple[Category, Signal]
] = {  # the counted category, and the signal that is shown
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
# The counted category of an unsure code, and the site's rule for it; None: the door stays shut.
_UNSURE: dict[Reason, tuple[Category, UnsureKind | None]] = {
    Reason.UNKNOWN_ISSUER: ("unsure-issuer", None),  # anybody could have signed it
    Reason.TIME_UNKNOWN: ("unsure-time", "time"),
    Reason.STATUS_UNKNOWN: ("unsure-status", "status"),
    Reason.STATUS_OLD: ("unsure-status", "status"),
    Reason.TRUST_OLD: ("unsure-trust", "trust"),
    Reason.TRUST_EXPIRED: ("unsure-trust", None),  # no site may open for it
    Reason.JUST_STARTED: ("unsure-start", "start"),
}

if _REFUSED.keys() | _UNSURE.keys() != set(Reason) or _REFUSED.keys() & _UNSURE.keys():
    raise AssertionError("each reason must be in exactly one of the tables _REFUSED and _UNSURE")
