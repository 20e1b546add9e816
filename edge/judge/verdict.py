"""Verdict: is this code genuine, here and now? The only file that decides trust."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from typing import Literal, NamedTuple, Protocol

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Interval, Now
from edge.judge import document_age
from edge.judge.document_age import HOUR_S, AgeStep
from edge.wire import code, holder, keys
from edge.wire.code import Code, Colour, Malformed, SignedCode
from edge.wire.holder import HolderCode
from edge.wire.rules import PLAIN, DocumentAges, DoorRules, HolderTerms
from edge.wire.trust import KeyTerms, Trust, TrustedKey


class Reason(Enum):
    """Why a code is refused or unsure; the value is the clause that people read."""

    MALFORMED = "it is damaged or not a door code"
    BAD_SIGNATURE = "its signature is wrong"
    KEY_WINDOW = "its issuer's key was not in use at its issue date"
    LIFE_TOO_LONG = "it is valid for longer than its issuer may allow"
    COLOUR_NOT_ALLOWED = "its issuer may not sign this colour"
    PROOF_MISSING = "it lacks the signature of the phone that it belongs to"
    BAD_PROOF = "it is signed by another phone than the one that it belongs to"
    PROOF_OLD = "it is a picture of an older code; show the code on the phone itself"
    PHONE_CLOCK = "the phone's clock is wrong"
    OTHER_DOOR = "the phone signed it for another door"
    DOOR_NOT_NAMED = "this site requires that the phone scans the door's label first"
    EXPIRED = "it has expired"
    NOT_YET = "it is not valid yet"
    NOT_HERE = "it is for other doors"
    REVOKED = "it has been revoked"
    USED = "it has just been used here"
    NO_EVIDENCE = "it contains no evidence that this door recognises"
    UNKNOWN_ISSUER = "this door does not know its issuer"
    TIME_UNKNOWN = "this door is not sure enough of the time"
    STATUS_UNKNOWN = "this door has no status list that tells whether it was revoked"
    STATUS_OLD = "this door's status list is too old"
    TRUST_OLD = "this door's trust documents are too old for a long-lived code"
    TRUST_EXPIRED = "this door's trust documents have expired"
    JUST_STARTED = "this door has just started and cannot tell whether it was used before"


_LIST_AHEAD_S = 60
"""How far an issuer's clock may be ahead when it signs a status list."""


class IssueDate(NamedTuple):
    """The signed issue date of a code: it may raise the key's floor of time."""

    key: bytes  # 32 bytes
    iat_s: int  # Unix seconds UTC
    until_s: int  # Unix seconds UTC, end of the key's window


class Proof(NamedTuple):
    """A holder's own signature over a code: it opens once."""

    holder: bytes  # the holder's key, 32 bytes
    iat_s: int  # Unix seconds by the phone's clock


@dataclass(frozen=True, slots=True)
class Genuine:
    """A current code of a recognised issuer, for this door. `decide` says whether it opens."""

    code: Code
    colour: Colour  # at `now`, after any change that the code announces
    subject: bytes  # issuer and day handle; used in memory only, to notice a repeat
    issuer: str = ""
    proof: Proof | None = None  # of a holder code
    issue_date: IssueDate | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The code certainly does not count here."""

    reason: Reason
    subject: bytes
    issue_date: IssueDate | None = None
    proof: Proof | None = None  # verified; a second one tells a wrong clock from an old picture


@dataclass(frozen=True, slots=True)
class Unsure:
    """This door cannot tell. That is not a refusal."""

    reason: Reason
    subject: bytes
    issue_date: IssueDate | None = None
    otherwise: "Genuine | Unsure | None" = None  # the verdict without this doubt; None: none


Verdict = Genuine | Refused | Unsure


@dataclass(frozen=True, slots=True)
class Place:
    """Where this door is: its site and unit, and the groups that a code's `aud` may name."""

    groups: frozenset[str]
    site: str = ""
    unit: str = ""

    @property
    def door(self) -> str:
        """The text on the door's label, which a holder signs: "<site>/<unit>"."""
        return f"{self.site}/{self.unit}"


class RevocationList(Protocol):
    """A verified status list."""

    @property
    def iat_s(self) -> int:
        """When it was signed, Unix seconds UTC."""

    @property
    def exp_s(self) -> int | None:
        """When it expires, Unix seconds UTC; None: never."""

    def revoked(self, bit: int) -> bool | None:
        """Whether the bit is set; None: the list has no such bit."""


class Meaning(NamedTuple):
    """A colour that a foreign code stands for, and when: Unix seconds UTC."""

    colour: Colour
    starts_s: int
    ends_s: int  # exclusive


@dataclass(frozen=True, slots=True)
class Statement:
    """The claims of a foreign code in our terms; its signature is verified."""

    terms: KeyTerms  # of the key that signed it
    sub: str  # distinguishes the codes of different holders
    iat_s: int
    exp_s: int  # exclusive
    life_s: int  # as its format counts it
    meanings: tuple[Meaning, ...]  # the first current one counts; empty: no evidence


@dataclass(frozen=True, slots=True)
class UnreadStatement:
    """Why a foreign code gives no statement: damaged, unknown issuer, or wrong signature."""

    reason: Literal[Reason.MALFORMED, Reason.UNKNOWN_ISSUER, Reason.BAD_SIGNATURE]
    subject: bytes


class Recogniser(Protocol):
    """A foreign format. It reads a code and checks its signature; this file makes the verdict."""

    @property
    def prefix(self) -> bytes:
        """How its texts begin."""

    def read(self, text: bytes) -> Statement | UnreadStatement:
        """Read `text`. Never raises, whatever it contains."""


@dataclass(frozen=True, slots=True)
class TrustState:
    """All that a unit trusts; `edge.judge.trust_documents` reads it from verified documents."""

    trust: Trust
    _: KW_ONLY
    rules: DoorRules = PLAIN
    lists: Mapping[tuple[str, str], RevocationList] = field(default_factory=dict)  # by issuer, list
    foreign: tuple[Recogniser, ...] = ()
    version: int = 0
    signed_s: int = 0  # Unix seconds UTC, of the newest signed timestamp
    until_s: int = 2**62  # Unix seconds UTC, when the first document expires
    accepted_s: float = 0.0  # Now.powered_s when this unit accepted the documents

    def step(self, now: Now) -> AgeStep:
        """How old the documents are at `now`, in the steps of the site's rules."""
        return document_age.step(self.signed_s, self.until_s, self.accepted_s, self.rules.ages, now)


def verify(
    text: bytes, trust_state: TrustState, place: Place, now: Now, floors: IssuerFloors
) -> Verdict | None:
    """Judge the bytes of one QR symbol at `now`; None: not a door code, so the door ignores it.

    No claim in the code is used before the signature is verified. Never raises, whatever `text`
    contains. Source: edge/wire/README.md, section 6.
    """
    raw = code.unwrap(text)
    if raw is None:
        return _verify_foreign(text, trust_state, place, now)
    if isinstance(raw, Malformed):
        return _malformed(text)
    holder_code = holder.read(raw)
    signed = code.read(raw) if holder_code is None else holder_code
    if isinstance(signed, Malformed) or isinstance(holder_code, Malformed):
        return _malformed(text)
    if isinstance(signed, HolderCode):
        signed = signed.inner
    # Unverified; stays the same when the code is renewed within a day.
    unverified_subject = signed.kid + signed.code.sub.encode()
    candidates = trust_state.trust.keys(signed.kid)
    if not candidates:
        return Unsure(Reason.UNKNOWN_ISSUER, unverified_subject)
    key = _signing_key(signed, candidates)
    if key is None:
        return Refused(Reason.BAD_SIGNATURE, unverified_subject)
    claims = signed.code
    terms = key.terms
    subject = f"{terms.issuer}/{claims.sub}".encode()
    if reason := _check_key_window(claims.iat_s, terms):
        return Refused(reason, subject)
    issue_date = IssueDate(key.public, claims.iat_s, terms.until_s)
    proof = None
    if holder_code is not None:
        if claims.cnf is None or not keys.verify(
            claims.cnf, holder_code.message, holder_code.signature
        ):
            return Refused(Reason.BAD_PROOF, subject, issue_date)
        proof = Proof(claims.cnf, holder_code.iat_s)
    time = floors.of(key.public, now)
    starts_s = claims.iat_s if claims.nbf_s is None else claims.nbf_s
    refusal = (
        _check_claims(claims, terms, place)
        or _check_proof(claims, holder_code, trust_state.rules.holder, place)
        or _check_validity(starts_s, claims.exp_s, time)
        or (proof and _check_proof_time(claims, proof, trust_state.rules.holder, time))
    )
    if refusal:
        return Refused(refusal, subject, issue_date, proof)
    status_reason = _check_status(claims, terms, trust_state, now)
    if status_reason is Reason.REVOKED:
        return Refused(status_reason, subject, issue_date)
    colour = _colour(claims, time, trust_state.rules.opens)
    verdict: Genuine | Unsure = Genuine(claims, colour, subject, terms.issuer, proof, issue_date)
    for doubt in (  # the last doubt is the one that the door shows
        status_reason,
        _check_clock(claims, proof, trust_state.rules.holder, time),
        _check_trust_age(claims, trust_state.step(now), trust_state.rules.ages),
    ):
        if doubt:
            verdict = Unsure(doubt, subject, issue_date, verdict)
    return verdict


def _malformed(text: bytes) -> Refused:
    return Refused(Reason.MALFORMED, text[: code.TEXT_LEN_MAX])


def _verify_foreign(text: bytes, trust_state: TrustState, place: Place, now: Now) -> Verdict | None:
    for recogniser in trust_state.foreign:
        if text.startswith(recogniser.prefix):
            verdict = judge_foreign(recogniser.read(text), place, now.interval)
            if isinstance(verdict, Refused):
                return verdict
            if isinstance(verdict, Unsure) and not verdict.otherwise:
                return verdict
            if trust_state.rules.holder.required:  # no foreign code has a phone's signature
                return Refused(Reason.PROOF_MISSING, verdict.subject)
            step = trust_state.step(now)
            if step >= AgeStep.OLD:  # every foreign code is long-lived
                reason = Reason.TRUST_EXPIRED if step is AgeStep.EXPIRED else Reason.TRUST_OLD
                return Unsure(reason, verdict.subject, None, verdict)
            return verdict
    return None


def judge_foreign(statement: Statement | UnreadStatement, place: Place, time: Interval) -> Verdict:
    """The verdict on a foreign code. The checks are in this order because *refused* outranks
    *unsure*, and *unsure* outranks *genuine*.
    """
    if isinstance(statement, UnreadStatement):
        if statement.reason is Reason.UNKNOWN_ISSUER:
            return Unsure(statement.reason, statement.subject)
        return Refused(statement.reason, statement.subject)
    terms = statement.terms
    subject = f"{terms.issuer}/{statement.sub}".encode()
    exp_s = min(statement.exp_s, terms.until_s)
    refusal = (
        _check_key_window(statement.iat_s, terms)
        or _check_life(statement.life_s, terms)
        or _check_issuer_place(terms, place)
        or _check_validity(statement.iat_s, exp_s, time)
    )
    if refusal:
        return Refused(refusal, subject)
    meaning = _current_meaning(statement.meanings, time)
    if isinstance(meaning, Reason):
        return Refused(meaning, subject)
    if meaning.colour not in terms.colours:
        return Refused(Reason.COLOUR_NOT_ALLOWED, subject)
    exp_s = min(exp_s, meaning.ends_s)
    claims = Code(colour=meaning.colour, sub=statement.sub, iat_s=statement.iat_s, exp_s=exp_s)
    genuine = Genuine(claims, meaning.colour, subject, terms.issuer)
    if exp_s <= time.latest_s or meaning.starts_s > time.earliest_s:
        return Unsure(Reason.TIME_UNKNOWN, subject, otherwise=genuine)
    return genuine


def _current_meaning(meanings: Iterable[Meaning], time: Interval) -> Meaning | Reason:
    """The first meaning that may be current, or the reason why there is none.

    NOT_YET outranks EXPIRED, because the holder of a code that is not valid yet need only wait.
    """
    reason = Reason.NO_EVIDENCE
    for meaning in meanings:
        if meaning.starts_s > time.latest_s:
            reason = Reason.NOT_YET
        elif meaning.ends_s > time.earliest_s:
            return meaning
        elif reason is Reason.NO_EVIDENCE:
            reason = Reason.EXPIRED
    return reason


def _signing_key(signed: SignedCode, candidates: Iterable[TrustedKey]) -> TrustedKey | None:
    for key in candidates:  # kids may collide
        if keys.verify(key.public, signed.message, signed.signature):
            return key
    return None


# Checks that refuse: each returns the reason to refuse, or None.


def _check_key_window(iat_s: int, terms: KeyTerms) -> Reason | None:
    """The key must have been in use at the time when the code says it was issued."""
    return None if terms.from_s <= iat_s < terms.until_s else Reason.KEY_WINDOW


def _check_life(life_s: int, terms: KeyTerms) -> Reason | None:
    """A code must not live longer than its issuer's longest life."""
    return Reason.LIFE_TOO_LONG if life_s > terms.longest_life_s else None


def _check_issuer_place(terms: KeyTerms, place: Place) -> Reason | None:
    """The issuer must be allowed at this site and in one of this door's groups."""
    if terms.sites and place.site not in terms.sites:
        return Reason.NOT_HERE
    if terms.groups and place.groups.isdisjoint(terms.groups):
        return Reason.NOT_HERE
    return None


def _check_claims(claims: Code, terms: KeyTerms, place: Place) -> Reason | None:
    """The issuer must be allowed to make these claims, and they must name this door."""
    if too_long := _check_life(claims.exp_s - claims.iat_s, terms):
        return too_long
    later_colour = claims.turns.colour if claims.turns else claims.colour
    if claims.colour not in terms.colours or later_colour not in terms.colours:
        return Reason.COLOUR_NOT_ALLOWED
    if elsewhere := _check_issuer_place(terms, place):
        return elsewhere
    if claims.aud and place.groups.isdisjoint(claims.aud):
        return Reason.NOT_HERE
    return None


def _check_proof(
    claims: Code, holder_code: HolderCode | None, terms: HolderTerms, place: Place
) -> Reason | None:
    """The holder's signature must be there where it is required, and must be for this door."""
    if holder_code is None:
        return Reason.PROOF_MISSING if claims.cnf is not None or terms.required else None
    if holder_code.door is None:
        return Reason.DOOR_NOT_NAMED if terms.door_named else None
    return None if holder_code.door == place.door else Reason.OTHER_DOOR


def _check_validity(starts_s: int, exp_s: int, time: Interval) -> Reason | None:
    """The code must not be certainly expired, nor certainly not valid yet."""
    if exp_s <= time.earliest_s:
        return Reason.EXPIRED
    return Reason.NOT_YET if starts_s > time.latest_s else None


def _check_proof_time(
    claims: Code, proof: Proof, terms: HolderTerms, time: Interval
) -> Reason | None:
    """The phone must have signed within the window: no older picture, no clock far ahead.

    A phone that signs before its code was issued has a slow clock, not an old picture.
    """
    if proof.iat_s > time.latest_s + terms.ahead_s or proof.iat_s + terms.back_s < claims.iat_s:
        return Reason.PHONE_CLOCK
    return Reason.PROOF_OLD if proof.iat_s < time.earliest_s - terms.back_s else None


def _check_status(
    claims: Code, terms: KeyTerms, trust_state: TrustState, now: Now
) -> Reason | None:
    """Look the code up in its issuer's status list. REVOKED refuses, however old the list is; the
    other reasons are doubts.
    """
    if claims.status is None:
        return None
    status_list = trust_state.lists.get((terms.issuer, claims.status.listed))
    revoked = None if status_list is None else status_list.revoked(claims.status.bit)
    if status_list is None or revoked is None:
        return Reason.STATUS_UNKNOWN
    if revoked:
        return Reason.REVOKED
    if status_list.iat_s > now.interval.latest_s + _LIST_AHEAD_S:  # it would stay fresh until then
        return Reason.STATUS_UNKNOWN
    if status_list.exp_s is not None and status_list.exp_s <= now.interval.latest_s:
        return Reason.STATUS_OLD
    age_s = document_age.age_s(status_list.iat_s, trust_state.accepted_s, now)
    return Reason.STATUS_OLD if age_s >= trust_state.rules.ages.status_h * HOUR_S else None


# Checks that doubt: each returns the reason to be unsure, or None.


def _check_trust_age(claims: Code, step: AgeStep, ages: DocumentAges) -> Reason | None:
    """The trust documents must be fresh enough for a code with this life."""
    if step < AgeStep.OLD:
        return None
    if step is AgeStep.EXPIRED:
        return Reason.TRUST_EXPIRED
    return Reason.TRUST_OLD if claims.exp_s - claims.iat_s > ages.long_life_s else None


def _check_clock(
    claims: Code, proof: Proof | None, terms: HolderTerms, time: Interval
) -> Reason | None:
    """The code and its proof must be valid at every moment of the interval `time`."""
    is_certain = claims.exp_s > time.latest_s and (
        claims.nbf_s is None or claims.nbf_s <= time.earliest_s
    )
    if proof is not None:
        is_certain = is_certain and (
            time.latest_s - terms.back_s <= proof.iat_s <= time.earliest_s + terms.ahead_s
        )
    return None if is_certain else Reason.TIME_UNKNOWN


def _colour(claims: Code, time: Interval, opens: Container[Colour]) -> Colour:
    """The colour at `time`. If it is uncertain whether the colour has changed already, the one of
    the two that does not open here; if neither or both open, the worse.
    """
    if claims.turns is None or claims.turns.at_s > time.latest_s:
        return claims.colour
    if claims.turns.at_s <= time.earliest_s:
        return claims.turns.colour
    both = (claims.colour, claims.turns.colour)
    return max(both, key=lambda colour: (colour not in opens, colour))
