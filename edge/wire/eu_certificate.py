"""The EU digital certificate, from the text of its symbol to its claims.

`HC1:`, Base45, zlib, COSE_Sign1, CWT. It names a person: of its text only what a verdict needs is
kept, and a name never. Nothing here decides trust; see `edge.judge.foreign.eu_certificate`. The law
is foreign.md, section 3.
"""

import base64
import hashlib
import math
import re
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from edge.wire.code import TIME_S_MAX, base45_decode
from edge.wire.eu_documents import Evidence

PREFIX = b"HC1:"

TEXT_LEN_MAX = 4296  # characters of a QR symbol, version 40-L, alphanumeric: ISO/IEC 18004 table 7
COSE_LEN_MAX = 8192  # bytes after decompression; the longest published one has 755
DEPTH_MAX = 12  # of what is in one another; published ones have 7
CI_LEN_MAX = 256  # bytes; the schema ends at 80 characters

ES256, PS256 = -7, -37  # RFC 9053 section 2.1, RFC 8230 section 2
_ALG, _CONTENT_TYPE, _KID = 1, 3, 4  # header labels, RFC 9052 section 3.1
_EXP, _IAT, _HCERT = 4, 6, -260  # claims; the others are not looked at
_COSE_SIGN1, _CWT, _DATE = 18, 61, 0  # the only tags read
_KINDS: dict[str, Evidence] = {"v": "vaccination", "t": "test", "r": "recovery"}
_DAY_S = 86400

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d|[+-]\d\d)")


class TornCertificate(ValueError):
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


def decode(text: bytes) -> Certificate:
    """Read the text of a symbol. Raises TornCertificate. Source: foreign.md, section 3."""
    if not text.startswith(PREFIX):
        raise TornCertificate("it is of another format")
    if len(text) > TEXT_LEN_MAX:
        raise TornCertificate("it is longer than any symbol")
    packed = base45_decode(text.removeprefix(PREFIX))
    if packed is None:
        raise TornCertificate("its letters are not Base45")
    data = _unpacked(packed)
    if data[:2] == bytes((0xD8, _CWT)):  # the CWT tag of RFC 8392 section 6, where written
        data = data[2:]
    if data[:1] == bytes((0xC0 | _COSE_SIGN1,)):
        data = data[1:]
    parts = _cbor(data)
    if type(parts) is not list or [type(part) for part in parts] != [bytes, dict, bytes, bytes]:
        raise TornCertificate("it is no COSE_Sign1")
    protected, unprotected, payload, signature = parts
    header = _cbor(protected) if protected else {}
    if type(header) is not dict or not header.keys() <= {_ALG, _CONTENT_TYPE, _KID}:
        raise TornCertificate("its protected header has what a certificate does not")
    if not unprotected.keys() <= {_ALG, _KID}:
        raise TornCertificate("its unprotected header has what a certificate does not")
    kid = header.get(_KID, unprotected.get(_KID))
    algorithm = header.get(_ALG, unprotected.get(_ALG))
    if type(kid) is not bytes or type(algorithm) is not int:
        raise TornCertificate("it names no key or no algorithm")
    claims = _cbor(payload)
    if type(claims) is not dict:
        raise TornCertificate("its payload is no map of claims")
    iat_s, exp_s = _seconds(claims.get(_IAT)), _seconds(claims.get(_EXP))
    if iat_s > exp_s:
        raise TornCertificate("it ends before it was issued")
    hcert = claims.get(_HCERT)
    statement = hcert.get(1) if type(hcert) is dict else None
    if type(statement) is not dict:
        raise TornCertificate("it holds no certificate of the EU's first kind")
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
        raise TornCertificate("its compression is broken") from None
    if len(data) > COSE_LEN_MAX:
        raise TornCertificate("it unpacks to more than a certificate can be")
    if not stream.eof or stream.unused_data:
        raise TornCertificate("its compressed stream is cut, or something follows it")
    return data


def _fact(statement: dict[Any, Any]) -> tuple[Fact, bytes]:
    """The one entry of a certificate, and its identifier. Schema 1.3.0: exactly one."""
    entries = [(kind, entry) for kind in _KINDS for entry in _list(statement.get(kind))]
    if len(entries) != 1 or type(entries[0][1]) is not dict:
        raise TornCertificate("it does not hold exactly one vaccination, test or recovery")
    kind, entry = entries[0]
    identifier = _text(entry, "ci").encode("utf-8", "surrogatepass")
    if not 0 < len(identifier) <= CI_LEN_MAX:
        raise TornCertificate("it has no identifier")
    evidence, disease = _KINDS[kind], _text(entry, "tg")
    if kind == "v":
        doses, series = _small(entry, "dn"), _small(entry, "sd")
        product = _text(entry, "mp")
        fact = Fact(evidence, disease, _day(entry, "dt"), product, doses, series)
    elif kind == "t":
        taken_s = _moment(_text(entry, "sc"))
        fact = Fact(evidence, disease, taken_s, kind=_text(entry, "tt"), result=_text(entry, "tr"))
    else:
        until_s = _day(entry, "du") + _DAY_S
        first_s, from_s = _day(entry, "fr"), _day(entry, "df")
        fact = Fact(evidence, disease, first_s, from_s=from_s, until_s=until_s)
    return fact, identifier


def _list(value: object) -> list[Any]:
    if value is None:  # some write null for what they do not have
        return []
    if type(value) is not list:
        raise TornCertificate("it holds something else than lists of entries")
    return value


def _text(entry: dict[Any, Any], name: str) -> str:
    value = entry.get(name)
    if type(value) is not str:
        raise TornCertificate(f"its {name} is no text")
    return value


def _small(entry: dict[Any, Any], name: str) -> int:
    value = entry.get(name)
    if type(value) is not int or not 1 <= value <= 99:
        raise TornCertificate(f"its {name} is no number of doses")
    return value


def _day(entry: dict[Any, Any], name: str) -> int:
    """00:00 UTC of a date; some issuers write a time of day behind it, which is ignored."""
    day = _text(entry, name)[:10]
    if not _DAY.fullmatch(day):
        raise TornCertificate(f"its {name} is no date")
    return _moment(f"{day}T00:00:00Z")


def _moment(text: str) -> int:
    """Unix seconds of RFC 3339, fractions cut off."""
    if not _MOMENT.fullmatch(text):
        raise TornCertificate("its time has no form that is known")
    try:
        at_s = math.floor(datetime.fromisoformat(text).astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise TornCertificate("its time is none") from None
    return _seconds(at_s)


def _seconds(value: object) -> int:
    """A NumericDate (RFC 8392 section 2): an integer or, as some write it, a float."""
    if type(value) is float and math.isfinite(value):
        value = math.floor(value)
    if type(value) is not int or not 0 <= value <= TIME_S_MAX:
        raise TornCertificate("its times (iat, exp) are missing or out of bounds")
    return value


def _byte_string(data: bytes) -> bytes:
    """The head of RFC 8949 section 3, as the Sig_structure has it: the shortest, and `data`."""
    length = len(data)
    if length < 24:
        return bytes((0x40 | length,)) + data
    return (b"\x58" + length.to_bytes(1) if length < 256 else b"\x59" + length.to_bytes(2)) + data


def _cbor(data: bytes) -> Any:
    """One item of CBOR (RFC 8949) that fills `data`. Raises TornCertificate.

    Read here and not by a library: of two equal keys a library keeps one in silence, and of tags
    it builds what nobody asked for. No certificate published is canonical CBOR, so the comparison
    that settles this for our own codes (`edge.wire.code`) cannot be made.
    """
    try:
        value, end = _item(data, 0, DEPTH_MAX)
    except (IndexError, UnicodeDecodeError):
        raise TornCertificate("its CBOR is torn") from None
    if end != len(data):
        raise TornCertificate("its CBOR is torn, or something follows it")
    return value


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """The item at `at`, and where it ends: beyond `data` (or IndexError) if it is cut."""
    major, length = data[at] >> 5, data[at] & 31
    at += 1
    if length > 27 or depth == 0:
        raise TornCertificate("its CBOR has what no certificate has")  # indefinite lengths among it
    if length > 23:
        size = 1 << (length - 24)
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
                raise TornCertificate("a key of its CBOR occurs twice, or is none")
            pairs[key], at = _item(data, at, depth - 1)
        return pairs, at
    if major == 6:
        value, at = _item(data, at, depth - 1)
        if length != _DATE or type(value) is not str:  # Sweden writes its dates so
            raise TornCertificate("its CBOR has a tag that no certificate has")
        return value, at
    if length != 22:
        raise TornCertificate("its CBOR has a simple value that no certificate has")
    return None, at


def _simple(head: bytes) -> float:
    if len(head) != 8:
        raise TornCertificate("its CBOR has a short float or a simple value")
    return float(struct.unpack(">d", head)[0])
