"""The EU digital certificate (`HC1:`): who signed it, and which of our colours its evidence gives.

The signature is ES256 or PS256, by a key of the issuer's list. The issuer's terms map evidence to
colours. `edge.wire.eu_certificate` reads the claims. Source: edge/wire/foreign.md, sections 3 to 6.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge.judge.foreign import ForeignIssuer
from edge.judge.verdict import Meaning, Reason, Recogniser, Statement, UnreadStatement
from edge.wire import eu_certificate, eu_documents
from edge.wire.code import TIME_S_MAX, Colour
from edge.wire.eu_certificate import Certificate, Fact, TornCertificate
from edge.wire.eu_documents import EuRow, Evidence
from edge.wire.trust import IssuerEntry, KeyTerms, TrustError, key_terms

log = logging.getLogger("menshen")

FORMAT = eu_documents.FORMAT
PREFIX = eu_certificate.PREFIX
_ALGORITHM = {"ES256": eu_certificate.ES256, "PS256": eu_certificate.PS256}


@dataclass(frozen=True, slots=True)
class EuTrustedKey:
    """A key of an issuer's list, parsed."""

    terms: KeyTerms
    rows: tuple[EuRow, ...]
    algorithm: int
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    evidence: frozenset[Evidence]

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether `signature` is a valid signature of `message` by this key."""
        try:
            if isinstance(self.public, ec.EllipticCurvePublicKey):
                if len(signature) != 64:
                    return False
                r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
                der = encode_dss_signature(r, s)
                self.public.verify(der, message, ec.ECDSA(hashes.SHA256()))
            else:
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256().digest_size)
                self.public.verify(signature, message, pss, hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def recogniser(issuers: Sequence[ForeignIssuer]) -> Recogniser:
    """A recogniser for the certificates of `issuers`.

    An issuer whose terms or key list cannot be read is left out, with one line in the log. So is a
    key that an earlier issuer lists as well. No issuer can block the others.
    """
    owners: dict[tuple[str, str], str] = {}
    by_kid: dict[bytes, tuple[EuTrustedKey, ...]] = {}
    for foreign in issuers:
        try:
            terms = eu_documents.read_terms(bytes(foreign.issuer.terms), foreign.issuer.name)
            if foreign.keys is None:
                continue
            entries = eu_documents.read_keys(foreign.keys, foreign.issuer.name).keys
            keys = [_trusted_key(entry, foreign.issuer, terms.rows) for entry in entries]
        except TrustError as error:
            log.warning("%s; the codes of this issuer are not recognised", error)
            continue
        for entry, key in zip(entries, keys, strict=True):
            owner = owners.setdefault((entry.kid, entry.public), foreign.issuer.name)
            if owner != foreign.issuer.name:
                log.warning(
                    "keys/%s.json lists the key %s, which is one of %r already; that one counts",
                    foreign.issuer.name,
                    entry.kid,
                    owner,
                )
                continue
            kid = eu_documents.raw(entry.kid)
            by_kid[kid] = (*by_kid.get(kid, ()), key)
    return _Hc1(by_kid)


def _trusted_key(
    entry: eu_documents.EuKey, issuer: IssuerEntry, rows: tuple[EuRow, ...]
) -> EuTrustedKey:
    error = TrustError(
        f"keys/{issuer.name}.json: the key {entry.kid} is not a valid {entry.algorithm} key "
        "(P-256 for ES256, RSA of 2048 to 4096 bits for PS256)"
    )
    try:
        public = serialization.load_der_public_key(eu_documents.raw(entry.public))
    except (ValueError, UnsupportedAlgorithm):
        raise error from None
    if entry.algorithm == "ES256":
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise error
    elif not isinstance(public, rsa.RSAPublicKey) or not 2048 <= public.key_size <= 4096:
        raise error
    return EuTrustedKey(
        key_terms(issuer, entry.from_s, entry.until_s),
        rows,
        _ALGORITHM[entry.algorithm],
        public,
        frozenset(entry.evidence),
    )


class _Hc1:
    """The recogniser of this format, with the keys of all its issuers."""

    prefix = PREFIX

    def __init__(self, by_kid: dict[bytes, tuple[EuTrustedKey, ...]]) -> None:
        self._by_kid = by_kid

    def read(self, text: bytes) -> Statement | UnreadStatement:
        """Read one text that begins with `HC1:`. Never raises, whatever it contains."""
        try:
            certificate = eu_certificate.decode(text)
        except TornCertificate:
            return UnreadStatement(Reason.MALFORMED, hashlib.sha256(text).digest())
        unverified_subject = certificate.kid + certificate.sub.encode()
        candidates = self._by_kid.get(certificate.kid, ())
        if not candidates:
            return UnreadStatement(Reason.UNKNOWN_ISSUER, unverified_subject)
        for key in candidates:  # kids may collide
            if key.algorithm == certificate.algorithm and key.verify(
                certificate.message, certificate.signature
            ):
                return _statement(certificate, key)
        return UnreadStatement(Reason.BAD_SIGNATURE, unverified_subject)


def _statement(certificate: Certificate, key: EuTrustedKey) -> Statement | UnreadStatement:
    fact, iat_s, exp_s = certificate.fact, certificate.iat_s, certificate.exp_s
    if fact.evidence not in key.evidence:  # as a test laboratory's key on a vaccination
        subject = f"{key.terms.issuer}/{certificate.sub}".encode()
        return UnreadStatement(Reason.BAD_SIGNATURE, subject)
    meanings = tuple(_meaning(fact, row) for row in key.rows if _matches(fact, row))
    return Statement(key.terms, certificate.sub, iat_s, exp_s + 1, exp_s - iat_s, meanings)


def _meaning(fact: Fact, row: EuRow) -> Meaning:
    ends_s = TIME_S_MAX if row.ends is None else fact.at_s + row.ends.seconds
    return Meaning(
        Colour[row.colour.upper()],
        max(fact.at_s + row.starts.seconds, fact.from_s),
        min(ends_s, fact.until_s),
    )


def _matches(fact: Fact, row: EuRow) -> bool:
    if fact.evidence != row.evidence or fact.disease not in row.diseases:
        return False
    if fact.evidence == "vaccination":
        if row.products and fact.product not in row.products:
            return False
        if row.doses == "complete":
            return fact.doses >= fact.series
        # The EU marks a booster since February 2022 as 2/1 after a single dose, as 3/3 after two.
        return row.doses == "any" or fact.doses > fact.series or fact.doses >= 3
    if fact.evidence == "test":
        return fact.result in row.results and (not row.kinds or fact.kind in row.kinds)
    return True
