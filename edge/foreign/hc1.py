"""The EU digital certificate (`HC1:`): from the text of its symbol to a verdict with our colour.

Base45, zlib, COSE_Sign1, CWT; ES256 or PS256 by a key of the issuer's list. It names a person: of
its text only what a verdict needs is kept, and a name never. Source: edge/wire/foreign.md.
"""

import base64
import hashlib
import math
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from edge.clock import Interval
from edge.foreign import Foreign
from edge.verdict import Genuine, Place, Reason, Recogniser, Refused, Unsure, Verdict
from edge.wire import hc1
from edge.wire.code import TIME_S_MAX, Code, Colour, base45_decode
from edge.wire.hc1 import Evidence, Row
from edge.wire.trust import Issuer, TrustError

FORMAT = hc1.FORMAT
PREFIX = b"HC1:"

TEXT_LEN_MAX = 4296  # characters of a QR symbol, version 40-L, alphanumeric: ISO/IEC 18004 table 7
COSE_LEN_MAX = 8192  # bytes after decompression; the longest published one has 633
DEPTH_MAX = 12  # arrays and maps in one another; a certificate has 5
CI_LEN_MAX = 256  # bytes; the schema ends at 80 characters

_ALGORITHM = {"ES256": -7, "PS256": -37}  # RFC 9053 section 2.1, RFC 8230 section 2
_ALG, _CONTENT_TYPE, _KID = 1, 3, 4  # header labels, RFC 9052 section 3.1
_EXP, _IAT, _HCERT = 4, 6, -260  # claims; the others are not looked at
_COSE_SIGN1, _CWT, _DATE = 18, 61, 0  # the only tags read
_KINDS: dict[str, Evidence] = {"v": "vaccination", "t": "test", "r": "recovery"}
_DAY_S = 86400

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d|[+-]\d\d)")


class _Torn(ValueError):
    """The text is no certificate; the message is a clause for people, without its content."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What one certificate proves, in the EU's own words; no name, no birth date."""

    evidence: Evidence
    disease: str  # tg
    at_s: int  # dt or fr: 00:00 UTC of that day; sc: the moment. Unix seconds
    product: str = ""  # mp
    doses: int = 0  # dn
    series: int = 0  # sd
    kind: str = ""  # tt
    result: str = ""  # tr
    from_s: int = 0  # df of a recovery
    until_s: int = TIME_S_MAX  # the end of the day du of a recovery


@dataclass(frozen=True, slots=True)
class Certificate:
    """A well-formed but UNTRUSTED certificate, with what its signature covers."""

    kid: bytes  # may collide, and names a key only
    algorithm: int
    message: bytes  # the Sig_structure of RFC 9052 section 4.4
    signature: bytes
    iat_s: int  # Unix seconds UTC
    exp_s: int  # the last second, as HCERT has it; RFC 8392 would have it the first one no longer
    sub: str  # made from its identifier `ci`: the same whatever wraps it
    fact: Fact

    def __repr__(self) -> str:
        return f"Certificate({self.fact.evidence})"  # `message` holds a name


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """A key of an issuer's list, opened."""

    issuer: Issuer
    rows: tuple[Row, ...]
    algorithm: int
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    from_s: int
    until_s: int
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


def recogniser(issuers: Sequence[Foreign]) -> Recogniser:
    """The certificates of `issuers`. Raises TrustError for terms or keys not understood."""
    found: dict[bytes, tuple[TrustedKey, ...]] = {}
    for foreign in issuers:
        terms = hc1.read_terms(bytes(foreign.issuer.terms), foreign.issuer.name)
        if foreign.keys is None:
            continue
        for entry in hc1.read_keys(foreign.keys, foreign.issuer.name).keys:
            kid = hc1.raw(entry.kid)
            key = _opened(entry, foreign.issuer, terms.rows)
            found[kid] = (*found.get(kid, ()), key)
    return _Hc1(found)


def _opened(entry: hc1.Key, issuer: Issuer, rows: tuple[Row, ...]) -> TrustedKey:
    wrong = TrustError(
        f"keys/{issuer.name}.json: the key {entry.kid} is no {entry.algorithm} key "
        "(P-256 for ES256, RSA of 2048 to 4096 bits for PS256)"
    )
    try:
        public = serialization.load_der_public_key(hc1.raw(entry.public))
    except (ValueError, UnsupportedAlgorithm):
        raise wrong from None
    if entry.algorithm == "ES256":
        if not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise wrong
    elif not isinstance(public, rsa.RSAPublicKey) or not 2048 <= public.key_size <= 4096:
        raise wrong
    return TrustedKey(
        issuer,
        rows,
        _ALGORITHM[entry.algorithm],
        public,
        entry.from_s,
        entry.until_s,
        frozenset(entry.evidence),
    )


class _Hc1:
    """Every key of every issuer of this format, by kid."""

    prefix = PREFIX

    def __init__(self, keys: dict[bytes, tuple[TrustedKey, ...]]) -> None:
        self._keys = keys

    def judge(self, text: bytes, place: Place, now: Interval) -> Verdict:
        """Judge one text that begins with `HC1:`. Never raises, whatever it holds."""
        try:
            said = decode(text)
        except _Torn:
            return Refused(Reason.MALFORMED, hashlib.sha256(text).digest(), None)
        claimed = said.kid + said.sub.encode()
        candidates = self._keys.get(said.kid, ())
        if not candidates:
            return Unsure(Reason.UNKNOWN_ISSUER, claimed, None)
        for key in candidates:  # kids may collide
            if key.algorithm == said.algorithm and key.signed(said.message, said.signature):
                return _current(said, key, place, now)
        return Refused(Reason.BAD_SIGNATURE, claimed, None)


def _current(said: Certificate, key: TrustedKey, place: Place, now: Interval) -> Verdict:
    """Refused outranks unsure, unsure outranks genuine: so the order of these lines."""
    issuer, fact = key.issuer, said.fact
    subject = f"{issuer.name}/{said.sub}".encode()
    exp_s = min(said.exp_s + 1, key.until_s)
    if fact.evidence not in key.evidence:  # a test laboratory's key signs no vaccination
        return Refused(Reason.BAD_SIGNATURE, subject, None)
    if not key.from_s <= said.iat_s < key.until_s:
        return Refused(Reason.KEY_WINDOW, subject, None)
    if said.exp_s - said.iat_s > issuer.longest_life_s:
        return Refused(Reason.LIFE_TOO_LONG, subject, None)
    if issuer.sites and place.site not in issuer.sites:
        return Refused(Reason.NOT_HERE, subject, None)
    if issuer.groups and place.groups.isdisjoint(issuer.groups):
        return Refused(Reason.NOT_HERE, subject, None)
    if exp_s <= now.earliest_s:
        return Refused(Reason.EXPIRED, subject, None)
    if said.iat_s > now.latest_s:
        return Refused(Reason.NOT_YET, subject, None)

    found = _row(fact, key.rows, now)
    if isinstance(found, Reason):
        return Refused(found, subject, None)
    row, starts_s, ends_s = found
    if row.colour not in issuer.colours:
        return Refused(Reason.COLOUR_NOT_ALLOWED, subject, None)
    exp_s = min(exp_s, ends_s)
    if exp_s <= now.latest_s or starts_s > now.earliest_s:
        return Unsure(Reason.TIME_UNKNOWN, subject, None)
    colour = Colour[row.colour.upper()]
    code = Code(colour=colour, sub=said.sub, iat_s=said.iat_s, exp_s=exp_s)
    return Genuine(code, colour, subject, issuer.name, None, None)


def _row(fact: Fact, rows: tuple[Row, ...], now: Interval) -> tuple[Row, int, int] | Reason:
    """The first row that fits and may be current, with its start and end; else why there is none.

    A row not begun is told before one that is over: its holder need only wait.
    """
    reason = Reason.NO_EVIDENCE
    for row in rows:
        if not _fits(fact, row):
            continue
        starts_s = max(fact.at_s + row.starts.seconds, fact.from_s)
        ends_s = TIME_S_MAX if row.ends is None else fact.at_s + row.ends.seconds
        ends_s = min(ends_s, fact.until_s)
        if starts_s > now.latest_s:
            reason = Reason.NOT_YET
        elif ends_s > now.earliest_s:
            return row, starts_s, ends_s
        elif reason is Reason.NO_EVIDENCE:
            reason = Reason.EXPIRED
    return reason


def _fits(fact: Fact, row: Row) -> bool:
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


def decode(text: bytes) -> Certificate:
    """Read the text of a symbol. Raises _Torn. Source: foreign.md, section 3."""
    if not text.startswith(PREFIX):
        raise _Torn("it is of another format")
    if len(text) > TEXT_LEN_MAX:
        raise _Torn("it is longer than any symbol")
    packed = base45_decode(text.removeprefix(PREFIX))
    if packed is None:
        raise _Torn("its letters are not Base45")
    data = _unpacked(packed)
    if data[:2] == bytes((0xD8, _CWT)):  # the CWT tag of RFC 8392 section 6, where written
        data = data[2:]
    if data[:1] == bytes((0xC0 | _COSE_SIGN1,)):
        data = data[1:]
    parts = _cbor(data)
    if type(parts) is not list or [type(part) for part in parts] != [bytes, dict, bytes, bytes]:
        raise _Torn("it is no COSE_Sign1")
    protected, unprotected, payload, signature = parts
    header = _cbor(protected) if protected else {}
    if type(header) is not dict or not header.keys() <= {_ALG, _CONTENT_TYPE, _KID}:
        raise _Torn("its protected header has what a certificate does not")
    if not unprotected.keys() <= {_ALG, _KID}:
        raise _Torn("its unprotected header has what a certificate does not")
    kid = header.get(_KID, unprotected.get(_KID))
    algorithm = header.get(_ALG, unprotected.get(_ALG))
    if type(kid) is not bytes or type(algorithm) is not int:
        raise _Torn("it names no key or no algorithm")
    claims = _cbor(payload)
    if type(claims) is not dict:
        raise _Torn("its payload is no map of claims")
    iat_s, exp_s = _seconds(claims.get(_IAT)), _seconds(claims.get(_EXP))
    if iat_s > exp_s:
        raise _Torn("it ends before it was issued")
    hcert = claims.get(_HCERT)
    statement = hcert.get(1) if type(hcert) is dict else None
    if type(statement) is not dict:
        raise _Torn("it holds no certificate of the EU's first kind")
    fact, identifier = _fact(statement)
    sub = base64.urlsafe_b64encode(hashlib.sha256(identifier).digest()[:8]).rstrip(b"=").decode()
    message = b"".join(
        (b"\x84\x6aSignature1", _byte_string(protected), b"\x40", _byte_string(payload))
    )
    return Certificate(kid, algorithm, message, signature, iat_s, exp_s, sub, fact)


def _unpacked(packed: bytes) -> bytes:
    """RFC 1950, one stream and nothing after it; never more than COSE_LEN_MAX bytes."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(packed, COSE_LEN_MAX + 1)
    except zlib.error:
        raise _Torn("its compression is broken") from None
    if len(data) > COSE_LEN_MAX:
        raise _Torn("it unpacks to more than a certificate can be")
    if not stream.eof or stream.unused_data:
        raise _Torn("its compressed stream is cut, or something follows it")
    return data


def _fact(statement: dict[Any, Any]) -> tuple[Fact, bytes]:
    """The one entry of a certificate, and its identifier. Schema 1.3.0: exactly one."""
    entries = [(kind, entry) for kind in _KINDS for entry in _list(statement.get(kind))]
    if len(entries) != 1 or type(entries[0][1]) is not dict:
        raise _Torn("it does not hold exactly one vaccination, test or recovery")
    kind, entry = entries[0]
    identifier = _text(entry, "ci").encode("utf-8", "surrogatepass")
    if not 0 < len(identifier) <= CI_LEN_MAX:
        raise _Torn("it has no identifier")
    evidence, disease = _KINDS[kind], _text(entry, "tg")
    if kind == "v":
        doses, series = _small(entry, "dn"), _small(entry, "sd")
        product = _text(entry, "mp")
        fact = Fact(evidence, disease, _day(entry, "dt"), product, doses, series)
    elif kind == "t":
        taken_s = _moment(_text(entry, "sc"))
        fact = Fact(evidence, disease, taken_s, kind=_text(entry, "tt"), result=_text(entry, "tr"))
    else:
        until_s = min(_day(entry, "du") + _DAY_S, TIME_S_MAX)
        first_s, from_s = _day(entry, "fr"), _day(entry, "df")
        fact = Fact(evidence, disease, first_s, from_s=from_s, until_s=until_s)
    return fact, identifier


def _list(value: object) -> list[Any]:
    if value is None:  # some write null for what they do not have
        return []
    if type(value) is not list:
        raise _Torn("it holds something else than lists of entries")
    return value


def _text(entry: dict[Any, Any], name: str) -> str:
    value = entry.get(name)
    if type(value) is not str:
        raise _Torn(f"its {name} is no text")
    return value


def _small(entry: dict[Any, Any], name: str) -> int:
    value = entry.get(name)
    if type(value) is not int or not 1 <= value <= 99:
        raise _Torn(f"its {name} is no number of doses")
    return value


def _day(entry: dict[Any, Any], name: str) -> int:
    """00:00 UTC of a date; the time of day that some wrote behind it says nothing."""
    day = _text(entry, name)[:10]
    if not _DAY.fullmatch(day):
        raise _Torn(f"its {name} is no date")
    return _moment(f"{day}T00:00:00Z")


def _moment(text: str) -> int:
    """Unix seconds of RFC 3339, fractions cut off."""
    if not _MOMENT.fullmatch(text):
        raise _Torn("its time has no form that is known")
    try:
        at_s = math.floor(datetime.fromisoformat(text).astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise _Torn("its time is none") from None
    return _seconds(at_s)


def _seconds(value: object) -> int:
    """A NumericDate (RFC 8392 section 2): an integer or, as some write it, a float."""
    if type(value) is float and math.isfinite(value):
        value = math.floor(value)
    if type(value) is not int or not 0 <= value <= TIME_S_MAX:
        raise _Torn("its times (iat, exp) are missing or out of bounds")
    return value


def _byte_string(data: bytes) -> bytes:
    """The head of RFC 8949 section 3, as the Sig_structure has it: the shortest, and `data`."""
    length = len(data)
    if length < 24:
        return bytes((0x40 | length,)) + data
    return (b"\x58" + length.to_bytes(1) if length < 256 else b"\x59" + length.to_bytes(2)) + data


def _cbor(data: bytes) -> Any:
    """One item of CBOR (RFC 8949) that fills `data`. Raises _Torn.

    Read here and not by a library: of two equal keys a library keeps one in silence, and of tags
    it builds what nobody asked for. No certificate published is canonical CBOR, so the comparison
    that settles this for our own codes (`edge.wire.code`) cannot be made.
    """
    try:
        value, end = _item(data, 0, DEPTH_MAX)
    except (IndexError, UnicodeDecodeError):
        raise _Torn("its CBOR is torn") from None
    if end != len(data):
        raise _Torn("its CBOR is torn, or something follows it")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The item that begins at `at`, and where it ends. IndexError: it is cut."""
    major, length = data[at] >> 5, data[at] & 31
    at += 1
    if length > 27 or depth == 0:
        raise _Torn("its CBOR has what no certificate has")  # indefinite lengths among it
    if length > 23:
        size = 1 << (length - 24)
        if at + size > len(data):
            raise IndexError
        head = data[at : at + size]
        at += size
        if major == 7:
            return _simple(head), at
        length = int.from_bytes(head)
    if major == 0:
        return length, at
    if major == 1:
        return -1 - length, at
    if major in (2, 3):
        if at + length > len(data):
            raise IndexError
        piece, at = data[at : at + length], at + length
        return (piece if major == 2 else piece.decode("utf-8")), at
    if major == 4:
        items = []
        for _ in range(length):  # each takes a byte at least, so this ends with `data`
            value, at = _item(data, at, depth - 1)
            items.append(value)
        return items, at
    if major == 5:
        pairs: dict[Any, Any] = {}
        for _ in range(length):
            key, at = _item(data, at, depth - 1)
            if type(key) not in (int, str) or key in pairs:
                raise _Torn("a key of its CBOR occurs twice, or is none")
            pairs[key], at = _item(data, at, depth - 1)
        return pairs, at
    if major == 6:
        value, at = _item(data, at, depth - 1)
        if length != _DATE or type(value) is not str:  # Sweden writes its dates so
            raise _Torn("its CBOR has a tag that no certificate has")
        return value, at
    if length != 22:
        raise _Torn("its CBOR has a simple value that no certificate has")
    return None, at


def _simple(head: bytes) -> float:
    if len(head) != 8:
        raise _Torn("its CBOR has a short float or a simple value")
    return float(struct.unpack(">d", head)[0])
