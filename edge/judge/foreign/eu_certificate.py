"""The EU digital certificate (`HC1:`): who signed it, and which of our colours its evidence gives.

ES256 or PS256 by a key of the issuer's list; the mapping is the issuer's terms. What it says is
read in `edge.wire.eu_certificate`. Source: edge/wire/foreign.md, sections 3 to 6.
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
    """A key of an issuer's list, opened."""

    terms: KeyTerms
    rows: tuple[EuRow, ...]
    algorithm: int
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    evidence: frozenset[Evidence]

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether it made this signature."""
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
    """The certificates of `issuers`.

    An issuer whose terms or key list are not understood is left out with one line in the log, and
    so is a key that an issuer before it claims: none may keep the others from news.
    """
    owner: dict[tuple[str, str], str] = {}
    found: dict[bytes, tuple[EuTrustedKey, ...]] = {}
    for foreign in issuers:
        try:
            terms = eu_documents.read_terms(bytes(foreign.issuer.terms), foreign.issuer.name)
            if foreign.keys is None:
                continue
            listed = eu_documents.read_keys(foreign.keys, foreign.issuer.name).keys
            opened = [_opened(entry, foreign.issuer, terms.rows) for entry in listed]
        except TrustError as error:
            log.warning("%s; none of its codes is recognised", error)
            continue
        for entry, key in zip(listed, opened, strict=True):
            first = owner.setdefault((entry.kid, entry.public), foreign.issuer.name)
            if first != foreign.issuer.name:
                log.warning(
                    "keys/%s.json names the key %s, which is one of %r already; that one's counts",
                    foreign.issuer.name,
                    entry.kid,
                    first,
                )
                continue
            kid = eu_documents.raw(entry.kid)
            found[kid] = (*found.get(kid, ()), key)
    return _Hc1(found)


def _opened(
    entry: eu_documents.EuKey, issuer: IssuerEntry, rows: tuple[EuRow, ...]
) -> EuTrustedKey:
    wrong = TrustError(
        f"keys/{issuer.name}.json: the key {entry.kid} is no {entry.algorithm} key "
        "(P-256 for ES256, RSA of 2048 to 4096 bits for PS256)"
    )
    try:
        public = serialization.load_der_public_key(eu_documents.raw(entry.public))
    except (ValueError, UnsupportedAlgorithm):
        raise wrong from None
    if entry.algorithm == "ES256":
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise wrong
    elif not isinstance(public, rsa.RSAPublicKey) or not 2048 <= public.key_size <= 4096:
        raise wrong
    return EuTrustedKey(
        key_terms(issuer, entry.from_s, entry.until_s),
        rows,
        _ALGORITHM[entry.algorithm],
        public,
        frozenset(entry.evidence),
    )


class _Hc1:
    """Every key of every issuer of this format, by kid."""

    prefix = PREFIX

    def __init__(self, keys: dict[bytes, tuple[EuTrustedKey, ...]]) -> None:
        self._keys = keys

    def read(self, text: bytes) -> Statement | UnreadStatement:
        """Read one text that begins with `HC1:`. Never raises, whatever it holds."""
        try:
            certificate = eu_certificate.decode(text)
        except TornCertificate:
            return UnreadStatement(Reason.MALFORMED, hashlib.sha256(text).digest())
        claimed = certificate.kid + certificate.sub.encode()
        candidates = self._keys.get(certificate.kid, ())
        if not candidates:
            return UnreadStatement(Reason.UNKNOWN_ISSUER, claimed)
        for key in candidates:  # kids may collide
            if key.algorithm == certificate.algorithm and key.signed(
                certificate.message, certificate.signature
            ):
                return _statement(certificate, key)
        return UnreadStatement(Reason.BAD_SIGNATURE, claimed)


def _statement(certificate: Certificate, key: EuTrustedKey) -> Statement | UnreadStatement:
    fact, iat_s, exp_s = certificate.fact, certificate.iat_s, certificate.exp_s
    if fact.evidence not in key.evidence:  # a test laboratory's key signs no vaccination
        subject = f"{key.terms.issuer}/{certificate.sub}".encode()
        return UnreadStatement(Reason.BAD_SIGNATURE, subject)
    meanings = tuple(_meaning(fact, row) for row in key.rows if _fits(fact, row))
    return Statement(key.terms, certificate.sub, iat_s, exp_s + 1, exp_s - iat_s, meanings)


def _meaning(fact: Fact, row: EuRow) -> Meaning:
    ends_s = TIME_S_MAX if row.ends is None else fact.at_s + row.ends.seconds
    return Meaning(
        Colour[row.colour.upper()],
        max(fact.at_s + row.starts.seconds, fact.from_s),
        min(ends_s, fact.until_s),
    )


def _fits(fact: Fact, row: EuRow) -> bool:
    if fact.evidence != row.evidence or fact.disease not in row.diseases:
        return False
    if fact.evidence == "vaccination":
        if row.products and fact.product not in row.products:
            return False
        if row.doses == "complete":
            return fact.doses >= fact.series
        # 2/1 after a single dose, 3/3 after two: the EU's marks of a booster since February 2022.
        return row.doses == "any" or fact.doses > fact.series or fact.doses >= 3
    if fact.evidence == "test":
        return fact.result in row.results and (not row.kinds or fact.kind in row.kinds)
    return True
