"""Is this code true, here and now? The one place that decides trust."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from edge.clock import Interval
from edge.wire import code, keys
from edge.wire.code import Code, Colour, Malformed, Signed
from edge.wire.trust import Trust, TrustedKey


class Reason(Enum):
    """Why a code is not simply genuine; the value is the clause that people read."""

    MALFORMED = "it is torn or not a door code"
    BAD_SIGNATURE = "its signature is wrong"
    KEY_WINDOW = "its issuer's key was not in use when it says it was issued"
    LIFE_TOO_LONG = "it lives longer than its issuer may let it"
    PROOF_MISSING = "it belongs to a phone that did not sign it"
    EXPIRED = "it has expired"
    NOT_YET = "it is not valid yet"
    NOT_HERE = "it is for other doors"
    UNKNOWN_ISSUER = "nobody this door knows has issued it"
    TIME_UNKNOWN = "this door is not sure enough of the time"
    STATUS_UNKNOWN = "this door has no list that says whether it was revoked"


@dataclass(frozen=True, slots=True)
class Genuine:
    """A current code of a recognised issuer, for this door. Whether it opens is decided later."""

    code: Code
    colour: Colour  # at `now`: turns are done
    subject: bytes  # (issuer, day handle): to notice a repeat, in memory only


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not."""

    reason: Reason
    subject: bytes


@dataclass(frozen=True, slots=True)
class Unsure:
    """Not known, which is not refused."""

    reason: Reason
    subject: bytes


Verdict = Genuine | Refused | Unsure


@dataclass(frozen=True, slots=True)
class Place:
    """Where this door is: the groups that a code's `aud` may name."""

    groups: frozenset[str]


def verify(text: bytes, trust: Trust, place: Place, now: Interval) -> Verdict | None:
    """Judge the bytes of one QR symbol at `now`; None: not a door code, none of our business.

    Nothing inside the code is believed before its signature is. Never raises, whatever `text`
    holds. Source: edge/wire/README.md, section 6.
    """
    signed = code.decode(text)
    if signed is None:
        return None
    if isinstance(signed, Malformed):
        return Refused(Reason.MALFORMED, text[: code.TEXT_LEN_MAX])
    claimed = signed.kid + signed.code.sub.encode()  # the same through a day's renewals
    candidates = trust.keys(signed.kid)
    if not candidates:
        return Unsure(Reason.UNKNOWN_ISSUER, claimed)
    key = _signed_by(signed, candidates)
    if key is None:
        return Refused(Reason.BAD_SIGNATURE, claimed)
    return _current(signed.code, key, place, now)


def _signed_by(signed: Signed, candidates: Iterable[TrustedKey]) -> TrustedKey | None:
    for key in candidates:  # kids may collide
        if keys.verify(key.public, signed.message, signed.signature):
            return key
    return None


def _current(said: Code, key: TrustedKey, place: Place, now: Interval) -> Verdict:
    """Refused outranks unsure, unsure outranks genuine: so the order of these lines."""
    subject = f"{key.issuer}/{said.sub}".encode()
    start_s = said.iat_s if said.nbf_s is None else said.nbf_s
    if not key.from_s <= said.iat_s < key.until_s:
        return Refused(Reason.KEY_WINDOW, subject)
    if said.exp_s - said.iat_s > key.longest_life_s:
        return Refused(Reason.LIFE_TOO_LONG, subject)
    if said.cnf is not None:
        return Refused(Reason.PROOF_MISSING, subject)
    if said.aud and place.groups.isdisjoint(said.aud):
        return Refused(Reason.NOT_HERE, subject)
    if key.groups and place.groups.isdisjoint(key.groups):
        return Refused(Reason.NOT_HERE, subject)
    if said.exp_s <= now.earliest_s:
        return Refused(Reason.EXPIRED, subject)
    if start_s > now.latest_s:
        return Refused(Reason.NOT_YET, subject)

    if said.exp_s <= now.latest_s or (said.nbf_s is not None and said.nbf_s > now.earliest_s):
        return Unsure(Reason.TIME_UNKNOWN, subject)
    if said.status is not None:
        return Unsure(Reason.STATUS_UNKNOWN, subject)
    return Genuine(said, _colour(said, now), subject)


def _colour(said: Code, now: Interval) -> Colour:
    """The colour at `now`; where the moment of a turn is uncertain, the worse of the two."""
    if said.turns is None or said.turns.at_s > now.latest_s:
        return said.colour
    if said.turns.at_s <= now.earliest_s:
        return said.turns.colour
    return max(said.colour, said.turns.colour)
