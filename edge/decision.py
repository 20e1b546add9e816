"""What this door does about a verdict: open or not, for how many, with which signal."""

from dataclasses import dataclass

from edge.door import Signal
from edge.verdict import Genuine, Reason, Refused, Verdict
from edge.wire.code import Colour
from edge.wire.report import Category


@dataclass(frozen=True, slots=True)
class Rules:
    """The site's rules for this door. Now: which colours open it; hours and grants come here."""

    opens: frozenset[Colour]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens, and as what it is counted."""

    opens: bool
    people: int  # how many may pass; 0 when it does not open
    signal: Signal
    category: Category


def decide(verdict: Verdict, rules: Rules) -> Decision:
    """Only a genuine code of a colour that the site opens for opens; not knowing stays shut."""
    if isinstance(verdict, Genuine):
        opens = verdict.colour in rules.opens
        people = verdict.code.party if opens else 0
        signal = Signal.OPEN if opens else _SHUT[verdict.colour]
        return Decision(opens, people, signal, _COLOUR[verdict.colour])
    if isinstance(verdict, Refused):
        category = _REFUSED.get(verdict.reason, "not-genuine")
        signal = Signal.REFRESH if verdict.reason in _REFRESH else Signal.REFUSED
        return Decision(False, 0, signal, category)
    return Decision(False, 0, Signal.HELP, _UNSURE[verdict.reason])


_COLOUR: dict[Colour, Category] = {
    Colour.GREEN: "green",
    Colour.YELLOW: "yellow",
    Colour.RED: "red",
}
_SHUT = {Colour.GREEN: Signal.REFUSED, Colour.YELLOW: Signal.HELP, Colour.RED: Signal.REFUSED}
_REFUSED: dict[Reason, Category] = {
    Reason.EXPIRED: "expired",
    Reason.NOT_YET: "not-yet",
    Reason.NOT_HERE: "not-here",
    Reason.OTHER_DOOR: "not-here",
    Reason.DOOR_NOT_NAMED: "not-here",
    Reason.REVOKED: "revoked",
    Reason.USED: "used",
    Reason.PROOF_OLD: "proof-old",
    Reason.PHONE_CLOCK: "phone-clock",
    Reason.NO_EVIDENCE: "not-recognised",
}
_REFRESH = {Reason.EXPIRED, Reason.PROOF_OLD, Reason.PHONE_CLOCK, Reason.DOOR_NOT_NAMED}
_UNSURE: dict[Reason, Category] = {
    Reason.UNKNOWN_ISSUER: "unsure-issuer",
    Reason.TIME_UNKNOWN: "unsure-time",
    Reason.STATUS_UNKNOWN: "unsure-status",
    Reason.STATUS_OLD: "unsure-status",
    Reason.TRUST_OLD: "unsure-trust",
    Reason.TRUST_EXPIRED: "unsure-trust",
    Reason.JUST_STARTED: "unsure-start",
}
