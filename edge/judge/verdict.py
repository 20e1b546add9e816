"""Is this code true, here and now? The one place that decides trust."""

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
    """Why a code is not simply genuine; the value is the clause that people read."""

    MALFORMED = "it is torn or not a door code"
    BAD_SIGNATURE = "its signature is wrong"
    KEY_WINDOW = "its issuer's key was not in use when it says it was issued"
    LIFE_TOO_LONG = "it lives longer than its issuer may let it"
    COLOUR_NOT_ALLOWED = "its issuer may not say this colour"
    PROOF_MISSING = "no phone that it belongs to has signed it"
    BAD_PROOF = "another phone has signed it than the one it belongs to"
    PROOF_OLD = "it is a picture of an older code; show the code on the phone itself"
    PHONE_CLOCK = "the phone's clock is wrong"
    OTHER_DOOR = "the phone has signed it for another door"
    DOOR_NOT_NAMED = "this site wants the door's own label to be scanned first"
    EXPIRED = "it has expired"
    NOT_YET = "it is not valid yet"
    NOT_HERE = "it is for other doors"
    REVOKED = "it has been revoked"
    USED = "it has just been used here"
    NO_EVIDENCE = "it shows nothing that is recognised here"
    UNKNOWN_ISSUER = "nobody this door knows has issued it"
    TIME_UNKNOWN = "this door is not sure enough of the time"
    STATUS_UNKNOWN = "this door has no list that says whether it was revoked"
    STATUS_OLD = "this door's list of revoked codes is too old"
    TRUST_OLD = "what this door believes is too old for a code that lives so long"
    TRUST_EXPIRED = "what this door believes has expired"
    JUST_STARTED = "this door has just started and cannot say whether it was used"


_LIST_AHEAD_S = 60
"""How far an issuer's clock may be ahead when it signs a status list."""


class IssueDate(NamedTuple):
    """A time that an issuer's key has signed: it may raise that key's floor."""

    key: bytes  # 32 bytes
    iat_s: int  # Unix seconds UTC
    until_s: int  # where the key's window ends


class Proof(NamedTuple):
    """A holder's own signature, which works once."""

    holder: bytes  # the holder's key, 32 bytes
    iat_s: int  # Unix seconds by the phone's clock


@dataclass(frozen=True, slots=True)
class Genuine:
    """A current code of a recognised issuer, for this door. Whether it opens is decided later."""

    code: Code
    colour: Colour  # at `now`: turns are done
    subject: bytes  # (issuer, day handle): to notice a repeat, in memory only
    issuer: str = ""
    proof: Proof | None = None  # of a holder code
    issue_date: IssueDate | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not."""

    reason: Reason
    subject: bytes
    issue_date: IssueDate | None = None
    proof: Proof | None = None  # a holder's, verified: a second one tells a clock from a picture


@dataclass(frozen=True, slots=True)
class Unsure:
    """Not known, which is not refused."""

    reason: Reason
    subject: bytes
    issue_date: IssueDate | None = None
    otherwise: "Genuine | Unsure | None" = None  # if that were known; None: nobody can say


Verdict = Genuine | Refused | Unsure


@dataclass(frozen=True, slots=True)
class Place:
    """Where this door is: its name, and the groups that a code's `aud` may name."""

    groups: frozenset[str]
    site: str = ""
    unit: str = ""

    @property
    def door(self) -> str:
        """What the door's label says and a holder signs: "<site>/<unit>"."""
        return f"{self.site}/{self.unit}"


class RevocationList(Protocol):
    """A status list, verified."""

    @property
    def iat_s(self) -> int:
        """When it was signed, Unix seconds UTC."""

    @property
    def exp_s(self) -> int | None:
        """From when on it says nothing, Unix seconds UTC."""

    def revoked(self, bit: int) -> bool | None:
        """Whether the bit is set; None: the list does not go so far."""


class Meaning(NamedTuple):
    """A colour that a foreign code stands for, and when: Unix seconds UTC."""

    colour: Colour
    starts_s: int
    ends_s: int  # the first second no longer


@dataclass(frozen=True, slots=True)
class Statement:
    """What a foreign code says in our terms, after its signature was found right."""

    terms: KeyTerms  # of the key that signed it
    sub: str  # what tells one holder's code from another's
    iat_s: int
    exp_s: int  # the first second no longer
    life_s: int  # as its issuer counts it
    meanings: tuple[Meaning, ...]  # the first that is current counts; none: no evidence


@dataclass(frozen=True, slots=True)
class UnreadStatement:
    """Why a foreign code says nothing: torn, of an unknown issuer, or wrongly signed."""

    reason: Literal[Reason.MALFORMED, Reason.UNKNOWN_ISSUER, Reason.BAD_SIGNATURE]
    subject: bytes


class Recogniser(Protocol):
    """A foreign format. It reads and checks the signature; the verdict is made here."""

    @property
    def prefix(self) -> bytes:
        """What its texts begin with."""

    def read(self, text: bytes) -> Statement | UnreadStatement:
        """What `text` says; never raises, whatever it holds."""


@dataclass(frozen=True, slots=True)
class TrustState:
    """All that a unit believes, understood: made of verified documents by
    `edge.judge.trust_documents`.
    """

    trust: Trust
    _: KW_ONLY
    rules: DoorRules = PLAIN
    lists: Mapping[tuple[str, str], RevocationList] = field(default_factory=dict)  # by issuer, list
    foreign: tuple[Recogniser, ...] = ()
    version: int = 0
    signed_s: int = 0  # when it was last said that nothing newer exists
    until_s: int = 2**62  # when the first of the documents expires
    accepted_s: float = 0.0  # powered-on seconds at which this unit took them

    def step(self, now: Now) -> AgeStep:
        """How old it is, in the site's steps."""
        return document_age.step(self.signed_s, self.until_s, self.accepted_s, self.rules.ages, now)


def verify(
    text: bytes, trust_state: TrustState, place: Place, now: Now, floors: IssuerFloors
) -> Verdict | None:
    """Judge the bytes of one QR symbol at `now`; None: not a door code, none of our business.

    Nothing inside the code is trust_state before its signature is. Never raises, whatever `text`
    holds. Source: edge/wire/README.md, section 6.
    """
    raw = code.unwrap(text)
    if raw is None:
        return _foreign(text, trust_state, place, now)
    if isinstance(raw, Malformed):
        return _torn(text)
    held = holder.read(raw)
    signed = code.read(raw) if held is None else held
    if isinstance(signed, Malformed) or isinstance(held, Malformed):
        return _torn(text)
    if isinstance(signed, HolderCode):
        signed = signed.inner
    claimed = signed.kid + signed.code.sub.encode()  # the same through a day's renewals
    candidates = trust_state.trust.keys(signed.kid)
    if not candidates:
        return Unsure(Reason.UNKNOWN_ISSUER, claimed)
    key = _signed_by(signed, candidates)
    if key is None:
        return Refused(Reason.BAD_SIGNATURE, claimed)
    said = signed.code
    terms = key.terms
    subject = f"{terms.issuer}/{said.sub}".encode()
    if outside := _in_window(said.iat_s, terms):
        return Refused(outside, subject)
    issue_date = IssueDate(key.public, said.iat_s, terms.until_s)
    proof = None
    if held is not None:
        if said.cnf is None or not keys.verify(said.cnf, held.message, held.signature):
            return Refused(Reason.BAD_PROOF, subject, issue_date)
        proof = Proof(said.cnf, held.iat_s)
    time = floors.of(key.public, now)
    certain = (
        _allowed(said, terms, place)
        or _proven(said, held, trust_state.rules.holder, place)
        or _in_time(said.iat_s if said.nbf_s is None else said.nbf_s, said.exp_s, time)
        or (proof and _fresh(said, proof, trust_state.rules.holder, time))
    )
    if certain:
        return Refused(certain, subject, issue_date, proof)
    listed = _listed(said, terms, trust_state, now)
    if listed is Reason.REVOKED:
        return Refused(listed, subject, issue_date)
    verdict: Genuine | Unsure = Genuine(
        said, _colour(said, time, trust_state.rules.opens), subject, terms.issuer, proof, issue_date
    )
    for unsure in (  # the last one found is what people are told
        listed,
        _time_known(said, proof, trust_state.rules.holder, time),
        _trusted(said, trust_state.step(now), trust_state.rules.ages),
    ):
        if unsure:
            verdict = Unsure(unsure, subject, issue_date, verdict)
    return verdict


def _torn(text: bytes) -> Refused:
    return Refused(Reason.MALFORMED, text[: code.TEXT_LEN_MAX])


def _foreign(text: bytes, trust_state: TrustState, place: Place, now: Now) -> Verdict | None:
    for recogniser in trust_state.foreign:
        if text.startswith(recogniser.prefix):
            said = judge_foreign(recogniser.read(text), place, now.interval)
            if isinstance(said, Refused) or (isinstance(said, Unsure) and not said.otherwise):
                return said
            if trust_state.rules.holder.required:  # no phone signs one
                return Refused(Reason.PROOF_MISSING, said.subject)
            step = trust_state.step(now)
            if step >= AgeStep.OLD:  # all of them live long
                why = Reason.TRUST_EXPIRED if step is AgeStep.EXPIRED else Reason.TRUST_OLD
                return Unsure(why, said.subject, None, said)
            return said
    return None


def judge_foreign(said: Statement | UnreadStatement, place: Place, time: Interval) -> Verdict:
    """Refused outranks unsure, unsure outranks genuine: so the order of these lines."""
    if isinstance(said, UnreadStatement):
        if said.reason is Reason.UNKNOWN_ISSUER:
            return Unsure(said.reason, said.subject)
        return Refused(said.reason, said.subject)
    terms = said.terms
    subject = f"{terms.issuer}/{said.sub}".encode()
    exp_s = min(said.exp_s, terms.until_s)
    certain = (
        _in_window(said.iat_s, terms)
        or _lives(said.life_s, terms)
        or _belongs(terms, place)
        or _in_time(said.iat_s, exp_s, time)
    )
    if certain:
        return Refused(certain, subject)
    meaning = _meaning(said.meanings, time)
    if isinstance(meaning, Reason):
        return Refused(meaning, subject)
    if meaning.colour not in terms.colours:
        return Refused(Reason.COLOUR_NOT_ALLOWED, subject)
    exp_s = min(exp_s, meaning.ends_s)
    code_ = Code(colour=meaning.colour, sub=said.sub, iat_s=said.iat_s, exp_s=exp_s)
    sure = Genuine(code_, meaning.colour, subject, terms.issuer)
    if exp_s <= time.latest_s or meaning.starts_s > time.earliest_s:
        return Unsure(Reason.TIME_UNKNOWN, subject, otherwise=sure)
    return sure


def _meaning(meanings: Iterable[Meaning], time: Interval) -> Meaning | Reason:
    """The first that may be current; else why there is none.

    One that has not begun is named before one that is over: its holder need only wait.
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


def _signed_by(signed: SignedCode, candidates: Iterable[TrustedKey]) -> TrustedKey | None:
    for key in candidates:  # kids may collide
        if keys.verify(key.public, signed.message, signed.signature):
            return key
    return None


# What certainly refuses.


def _in_window(iat_s: int, terms: KeyTerms) -> Reason | None:
    """Whether the key was in use when it says that it signed."""
    return None if terms.from_s <= iat_s < terms.until_s else Reason.KEY_WINDOW


def _lives(life_s: int, terms: KeyTerms) -> Reason | None:
    """Whether the issuer may let a code live so long."""
    return Reason.LIFE_TOO_LONG if life_s > terms.longest_life_s else None


def _belongs(terms: KeyTerms, place: Place) -> Reason | None:
    """Whether the issuer's codes pass here."""
    if terms.sites and place.site not in terms.sites:
        return Reason.NOT_HERE
    if terms.groups and place.groups.isdisjoint(terms.groups):
        return Reason.NOT_HERE
    return None


def _allowed(said: Code, terms: KeyTerms, place: Place) -> Reason | None:
    """Whether the issuer may say this, and here."""
    if too_long := _lives(said.exp_s - said.iat_s, terms):
        return too_long
    if said.colour not in terms.colours or (said.turns and said.turns.colour not in terms.colours):
        return Reason.COLOUR_NOT_ALLOWED
    if elsewhere := _belongs(terms, place):
        return elsewhere
    if said.aud and place.groups.isdisjoint(said.aud):
        return Reason.NOT_HERE
    return None


def _proven(said: Code, held: HolderCode | None, terms: HolderTerms, place: Place) -> Reason | None:
    """Whether the holder's signature is there where it must be, and for this door."""
    if held is None:
        return Reason.PROOF_MISSING if said.cnf is not None or terms.required else None
    if held.door is None:
        return Reason.DOOR_NOT_NAMED if terms.door_named else None
    return None if held.door == place.door else Reason.OTHER_DOOR


def _in_time(starts_s: int, exp_s: int, time: Interval) -> Reason | None:
    if exp_s <= time.earliest_s:
        return Reason.EXPIRED
    return Reason.NOT_YET if starts_s > time.latest_s else None


def _fresh(said: Code, proof: Proof, terms: HolderTerms, time: Interval) -> Reason | None:
    """Whether the phone signed within the window: no older picture, no clock far ahead.

    A phone that signs before its code was issued has a slow clock, not an old picture.
    """
    if proof.iat_s > time.latest_s + terms.ahead_s or proof.iat_s + terms.back_s < said.iat_s:
        return Reason.PHONE_CLOCK
    return Reason.PROOF_OLD if proof.iat_s < time.earliest_s - terms.back_s else None


def _listed(said: Code, terms: KeyTerms, trust_state: TrustState, now: Now) -> Reason | None:
    """Whether the issuer's status list has it: a set bit counts however old the list is."""
    if said.status is None:
        return None
    found = trust_state.lists.get((terms.issuer, said.status.listed))
    revoked = None if found is None else found.revoked(said.status.bit)
    if found is None or revoked is None:
        return Reason.STATUS_UNKNOWN
    if revoked:
        return Reason.REVOKED
    if found.iat_s > now.interval.latest_s + _LIST_AHEAD_S:  # it would be fresh till then
        return Reason.STATUS_UNKNOWN
    if found.exp_s is not None and found.exp_s <= now.interval.latest_s:
        return Reason.STATUS_OLD
    old_s = document_age.age_s(found.iat_s, trust_state.accepted_s, now)
    return Reason.STATUS_OLD if old_s >= trust_state.rules.ages.status_h * HOUR_S else None


# What is not known.


def _trusted(said: Code, step: AgeStep, ages: DocumentAges) -> Reason | None:
    if step < AgeStep.OLD:
        return None
    if step is AgeStep.EXPIRED:
        return Reason.TRUST_EXPIRED
    return Reason.TRUST_OLD if said.exp_s - said.iat_s > ages.long_life_s else None


def _time_known(
    said: Code, proof: Proof | None, terms: HolderTerms, time: Interval
) -> Reason | None:
    certain = said.exp_s > time.latest_s and (said.nbf_s is None or said.nbf_s <= time.earliest_s)
    if proof is not None:
        certain = certain and (
            time.latest_s - terms.back_s <= proof.iat_s <= time.earliest_s + terms.ahead_s
        )
    return None if certain else Reason.TIME_UNKNOWN


def _colour(said: Code, time: Interval, opens: Container[Colour]) -> Colour:
    """The colour at `time`; where the moment of a turn is uncertain, the one that does not open
    here, and of two alike the worse.
    """
    if said.turns is None or said.turns.at_s > time.latest_s:
        return said.colour
    if said.turns.at_s <= time.earliest_s:
        return said.turns.colour
    return max(said.colour, said.turns.colour, key=lambda colour: (colour not in opens, colour))
