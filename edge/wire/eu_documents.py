"""The two documents behind `HC1:`: the keys that sign EU certificates, and what each kind of
evidence means.

An EU certificate has evidence and no colour. `EuTerms` (in `issuers.json`) maps one to the other;
`EuKeyList` (`keys/<issuer>.json`) is the trust list. Specification: foreign.md, sections 4 and 5.
"""

import base64
import binascii
from typing import Annotated, Literal

import msgspec

from edge.wire.decode import DecodeError, decode_json
from edge.wire.trust import ColourName, Seconds, TrustError

FORMAT = "hc1"
KEYS_MAX = 4000
ROWS_MAX = 64
KID_LEN = 8

Evidence = Literal["vaccination", "test", "recovery"]
EVIDENCE: tuple[Evidence, ...] = ("vaccination", "test", "recovery")

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
"""A word of the EU's value sets, as `840539006` (the disease) or `EU/1/20/1528` (a vaccine)."""


class EuKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One Document Signer Certificate, as far as a door needs it."""

    kid: str  # base64 of 8 bytes: the start of SHA-256 over the certificate (DER)
    algorithm: Literal["ES256", "PS256"]
    public: str  # base64 of its SubjectPublicKeyInfo (DER)
    from_s: Seconds  # a certificate's `iat` is in [from_s, until_s); none is valid after until_s
    until_s: Seconds
    evidence: Annotated[tuple[Evidence, ...], msgspec.Meta(min_length=1, max_length=3)] = EVIDENCE
    country: Annotated[str, msgspec.Meta(pattern=r"^([A-Z]{2})?(?!\n)$")] = ""  # for people


class EuKeyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`keys/<issuer>.json`: every key whose certificates this issuer's doors recognise."""

    keys: Annotated[tuple[EuKey, ...], msgspec.Meta(max_length=KEYS_MAX)]


class EuDuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A length of time after the evidence: its day or its hour, see `EuRow`."""

    days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0
    hours: Annotated[int, msgspec.Meta(ge=0, le=876000)] = 0

    @property
    def seconds(self) -> int:
        """Both together."""
        return self.days * 86400 + self.hours * 3600


class EuRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which evidence has which colour, and from when until when.

    The time runs from 00:00 UTC of the day of vaccination (`dt`) or of the first positive test
    (`fr`), or from the moment when the sample was taken (`sc`). Empty: any.
    """

    evidence: Evidence
    colour: ColourName
    diseases: tuple[Word, ...]  # `tg`
    starts: EuDuration = EuDuration()  # the first second
    ends: EuDuration | None = None  # the first second no longer; None: the certificate's own end
    products: tuple[Word, ...] = ()  # vaccination, `mp`
    doses: Literal["any", "complete", "boosted"] = "complete"  # vaccination, of `dn` and `sd`
    kinds: tuple[Word, ...] = ()  # test, `tt`
    results: tuple[Word, ...] = ()  # test, `tr`: at least one for a test


class EuTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `terms` of an issuer of format `hc1`; the first row that fits and is current counts."""

    rows: Annotated[tuple[EuRow, ...], msgspec.Meta(min_length=1, max_length=ROWS_MAX)]


def read_terms(data: bytes, issuer: str) -> EuTerms:
    """Raises TrustError, one sentence, when `data` is no mapping."""
    try:
        terms = decode_json(data, EuTerms)
    except DecodeError as error:
        raise TrustError(f"the terms of issuer {issuer!r} are no hc1 mapping: {error}") from None
    for number, row in enumerate(terms.rows, 1):
        wrong = _wrong(row)
        if wrong:
            raise TrustError(f"row {number} of the terms of issuer {issuer!r} {wrong}")
    return terms


def _wrong(row: EuRow) -> str:
    vaccination, test = row.evidence == "vaccination", row.evidence == "test"
    if not row.diseases:
        return "names no disease"
    if row.ends is not None and row.ends.seconds <= row.starts.seconds:
        return "ends before it starts"
    if not vaccination and (row.products or row.doses != "complete"):
        return f"asks about vaccines, and its evidence is {row.evidence}"
    if not test and (row.kinds or row.results):
        return f"asks about tests, and its evidence is {row.evidence}"
    if test and not row.results:
        return "names no test result: a positive test would do"
    return ""


def read_keys(data: bytes, issuer: str) -> EuKeyList:
    """Raises TrustError, one sentence, when `data` is no key list. The keys are not opened here."""
    try:
        document = decode_json(data, EuKeyList)
    except DecodeError as error:
        raise TrustError(f"keys/{issuer}.json is no hc1 key list: {error}") from None
    seen: set[tuple[str, str]] = set()
    for key in document.keys:
        if len(raw(key.kid)) != KID_LEN:
            raise TrustError(f"keys/{issuer}.json: the kid {key.kid[:40]!r} is not {KID_LEN} bytes")
        if not raw(key.public):
            raise TrustError(f"keys/{issuer}.json: the key {key.kid} is not base64")
        if key.from_s >= key.until_s:
            raise TrustError(f"keys/{issuer}.json: the key {key.kid} ends before it begins")
        if (key.kid, key.public) in seen:
            raise TrustError(f"keys/{issuer}.json names the key {key.kid} twice")
        seen.add((key.kid, key.public))
    return document


def raw(text: str) -> bytes:
    """The bytes of canonical base64; empty when it is none."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode("ascii") == text else b""
