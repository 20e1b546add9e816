"""The signed code, both ways: text of a QR symbol <-> claims. The law is README.md beside it.

Everything here is strict: one code has one text. Nothing here decides trust:
`edge.judge.verdict` does.
"""

import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple, Protocol, TypeGuard

from edge.wire import cbor

PREFIX = b"DC1:"
CODE_LEN_MAX = 1024  # bytes of COSE_Sign1; the claims' own bounds end below it
TEXT_LEN_MAX = len(PREFIX) + CODE_LEN_MAX // 2 * 3
KEY_LEN = 32
PARTY_MAX = 9
AUD_MAX = 4  # door groups one code may name
TIME_S_MAX = 2**32 - 1

# CWT claims: RFC 8392 section 3.1, RFC 8747 (cnf), RFC 9200 (scope), Token Status List (status);
# below -65536 is private use (RFC 8392 section 9.1).
SUB, AUD, EXP, NBF, IAT, CNF, SCOPE, STATUS = 2, 3, 4, 5, 6, 8, 9, 65535
COLOUR, PARTY, TURNS = -65537, -65538, -65539

# The protected header, deterministic: {1: alg, 4: kid}. -19 is Ed25519 (RFC 9864), -8 is EdDSA.
_PROTECTED = b"\xa2\x01\x32\x04\x46"
_PROTECTED_EDDSA = b"\xa2\x01\x27\x04\x46"
_HEAD = b"\x84\x4b"  # an array of four; a byte string of eleven
UNPROTECTED = b"\xa0"
SIGNATURE_HEAD = b"\x58\x40"
SIG_STRUCTURE_HEAD = b"\x84\x6aSignature1"  # RFC 9052 section 4.4
_NO_EXTERNAL_AAD = b"\x40"

_ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"  # RFC 9285 table 1
_DIGIT = bytes(_ALPHABET.find(c) & 0xFF for c in range(256))  # 0xff: not in the alphabet
_PAIRS = [bytes((_ALPHABET[n % 45], _ALPHABET[n // 45])) for n in range(45 * 45)]

_SUB = re.compile(r"[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]")  # 8 bytes as base64url, no padding
_NAME = re.compile(r"[a-z0-9]([a-z0-9/._-]{0,61}[a-z0-9])?")
_SCOPE = re.compile(r"[a-z0-9:._-]{1,32}( [a-z0-9:._-]{1,32}){0,3}")

# {2: sub, 4: exp, 6: iat, perhaps 8: the holder's key, -65537: colour}, as deterministic CBOR.
_FOUR = b"\xa4"
_USUAL = re.compile(
    rb"([\xa4\xa5])\x02\x6b([A-Za-z0-9_-]{10}[AEIMQUYcgkosw048])\x04\x1a(.{4})\x06\x1a(.{4})"
    rb"(?:\x08\xa1\x01\xa3\x01\x01\x20\x06\x21\x58\x20(.{32}))?\x3a\x00\x01\x00\x00([\x01-\x03])",
    re.DOTALL,
)


class Colour(IntEnum):
    """The holder's state as the issuer states it; the site's rules decide what it opens."""

    GREEN = 1
    YELLOW = 2
    RED = 3


class ColourChange(NamedTuple):
    """`colour` from `at_s` on (Unix seconds UTC): an observation that ends by itself."""

    colour: Colour
    at_s: int


class StatusEntry(NamedTuple):
    """Where the code's revocation bit is: number `bit` in the issuer's status list `listed`."""

    bit: int
    listed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A well-formed but UNTRUSTED code; only `edge.judge.verdict` decides trust."""

    colour: Colour
    sub: str  # day handle, 11 characters, used only to notice a repeat
    iat_s: int  # Unix seconds UTC, when it was issued
    exp_s: int  # Unix seconds UTC, exclusive
    nbf_s: int | None = None  # Unix seconds UTC; None: valid as soon as issued
    aud: tuple[str, ...] = ()  # door groups; empty: any door that knows the issuer
    scope: str | None = None  # grants, separated by one blank, as "staff:acme slow"
    party: int = 1  # how many people pass, 1 to 9
    turns: ColourChange | None = None
    status: StatusEntry | None = None
    cnf: bytes | None = None  # the holder's raw Ed25519 key: never accepted without its proof


@dataclass(frozen=True, slots=True)
class SignedCode:
    """A decoded code with what its signature covers; nothing has been verified yet."""

    code: Code
    kid: bytes  # 6 bytes, names the issuer key; may collide
    message: bytes  # the Sig_structure of RFC 9052 section 4.4
    signature: bytes  # 64 bytes, Ed25519


@dataclass(frozen=True, slots=True)
class Malformed:
    """Text that claims to be a door code and is not; `why` is a clause for people."""

    why: str


class CodeSigner(Protocol):
    """What signs a code: PyNaCl's `SigningKey.sign(message).signature` behind one method."""

    @property
    def kid(self) -> bytes:
        """Six bytes that name the key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `message`."""


def decode(text: bytes) -> SignedCode | Malformed | None:
    """Read the bytes of a QR symbol.

    None: not a door code at all (a poster, a ticket). Malformed: it begins with `DC1:` and is
    damaged. Never raises, whatever `text` holds. Source: README.md, sections 2 to 5.
    """
    raw = unwrap(text)
    return read(raw) if isinstance(raw, bytes) else raw


def unwrap(text: bytes) -> bytes | Malformed | None:
    """The COSE_Sign1 in the bytes of a QR symbol; None as `decode`."""
    if not text.startswith(PREFIX):
        return None
    if len(text) > TEXT_LEN_MAX:
        return Malformed("it is longer than any door code")
    raw = base45_decode(text[len(PREFIX) :])
    return Malformed("its letters are not Base45") if raw is None else raw


def read(raw: bytes) -> SignedCode | Malformed:
    """Read an issuer's COSE_Sign1. Source: README.md, sections 3 to 5."""
    if (
        not raw.startswith(_HEAD)
        or raw[2:7] not in (_PROTECTED, _PROTECTED_EDDSA)
        or raw[13:14] != UNPROTECTED
        or raw[-66:-64] != SIGNATURE_HEAD
    ):
        return Malformed("it is not a COSE_Sign1 of this kind")
    body = raw[14:-66]
    payload = byte_string(body)
    if payload is None:
        return Malformed("its payload has a wrong length")
    code = claims_decode(payload)
    if isinstance(code, Malformed):
        return code
    message = b"".join((SIG_STRUCTURE_HEAD, raw[1:13], _NO_EXTERNAL_AAD, body))
    return SignedCode(code, raw[7:13], message, raw[-64:])


def encode(code: Code, signer: CodeSigner) -> str:
    """Sign `code` and return the text of its QR symbol: upper-case alphanumeric, EC level M.

    Raises ValueError when a claim is out of its bounds: what is written here can be read here.
    """
    payload = claims_encode(code)
    wrong = claims_decode(payload)
    if isinstance(wrong, Malformed):
        raise ValueError(f"this code cannot be written: {wrong.why}")
    protected = _PROTECTED + signer.kid
    body = byte_string_head(len(payload)) + payload
    message = b"".join((SIG_STRUCTURE_HEAD, b"\x4b", protected, _NO_EXTERNAL_AAD, body))
    signature = signer.sign(message)
    return wrap(b"".join((_HEAD, protected, UNPROTECTED, body, SIGNATURE_HEAD, signature)))


def wrap(raw: bytes) -> str:
    """The text of the QR symbol for a COSE_Sign1."""
    return (PREFIX + base45_encode(raw)).decode("ascii")


def claims_encode(code: Code) -> bytes:
    """The CWT claims of `code` as deterministic CBOR (RFC 8949 section 4.2.1)."""
    claims: dict[int, Any] = {SUB: code.sub}
    if code.aud:
        claims[AUD] = code.aud[0] if len(code.aud) == 1 else list(code.aud)
    claims[EXP] = code.exp_s
    if code.nbf_s is not None:
        claims[NBF] = code.nbf_s
    claims[IAT] = code.iat_s
    if code.cnf is not None:
        claims[CNF] = {1: {1: 1, -1: 6, -2: code.cnf}}  # COSE_Key: OKP, Ed25519, x
    if code.scope is not None:
        claims[SCOPE] = code.scope
    if code.status is not None:
        claims[STATUS] = list(code.status)
    claims[COLOUR] = int(code.colour)
    if code.party != 1:
        claims[PARTY] = code.party
    if code.turns is not None:
        claims[TURNS] = [int(code.turns.colour), code.turns.at_s]
    return cbor.encode(claims)


def claims_decode(payload: bytes) -> Code | Malformed:
    """Read CWT claims, strictly: they must be the very bytes that `claims_encode` would write.

    So order, shortest lengths, duplicate keys, unknown claims and trailing bytes are settled by
    one comparison; the claims are checked for type and bounds before it. The usual claims, those
    of nearly every code, are recognised at a look;
    `tests/edge/wire/test_code.py` compares the two ways.
    """
    return usual_claims(payload) or any_claims(payload)


def usual_claims(payload: bytes) -> Code | None:
    """The four required claims, with or without a holder's key, in their one form; else None."""
    match = _USUAL.fullmatch(payload)
    if match is None:
        return None
    head, sub, exp, iat, cnf, colour = match.groups()
    iat_s, exp_s = int.from_bytes(iat, "big"), int.from_bytes(exp, "big")
    # A number below 65536 has a shorter form than these four bytes.
    if not 65536 <= iat_s < exp_s or (head == _FOUR) is not (cnf is None):
        return None
    return Code(
        colour=_COLOURS[colour[0]], sub=sub.decode("ascii"), iat_s=iat_s, exp_s=exp_s, cnf=cnf
    )


def any_claims(payload: bytes) -> Code | Malformed:
    """As `claims_decode`, whatever claims there are."""
    try:
        claims = cbor.decode(payload)
    except cbor.NotPlain as error:
        return Malformed(f"its claims {error}")
    if type(claims) is not dict:
        return Malformed("its claims are not a map")
    code = _code(claims)
    if isinstance(code, Code) and claims_encode(code) != payload:
        return Malformed("its claims are not in their one deterministic form")
    return code


def _code(claims: dict[Any, Any]) -> Code | Malformed:
    get = claims.get
    colour, sub, iat_s, exp_s = get(COLOUR), get(SUB), get(IAT), get(EXP)
    if type(sub) is not str or not _SUB.fullmatch(sub):
        return Malformed("its day handle (sub) is not 8 bytes of base64url")
    if not (_is_time(iat_s) and _is_time(exp_s) and iat_s < exp_s):
        return Malformed("its times (iat, exp) are missing or in a wrong order")
    if type(colour) is not int or not 1 <= colour <= 3:
        return Malformed("its colour is none of green, yellow, red")
    nbf_s = get(NBF)
    if nbf_s is not None and not (_is_time(nbf_s) and iat_s < nbf_s < exp_s):
        return Malformed("its start (nbf) is not between iat and exp")
    aud = get(AUD, [])
    aud = [aud] if type(aud) is str else aud
    if type(aud) is not list or len(aud) > AUD_MAX or not all(map(_is_name, aud)):
        return Malformed("its doors (aud) are not names of door groups")
    scope = get(SCOPE)
    if scope is not None and (type(scope) is not str or not _SCOPE.fullmatch(scope)):
        return Malformed("its grants (scope) are not names separated by one blank")
    party = get(PARTY, 1)
    if type(party) is not int or not 1 <= party <= PARTY_MAX:
        return Malformed("its party is not 1 to 9 people")
    turns = get(TURNS)
    if turns is not None:
        if not _is_pair(turns) or type(turns[0]) is not int or not 1 <= turns[0] <= 3:
            return Malformed("its turn is not a colour and a time")
        if not _is_time(turns[1]) or not iat_s < turns[1] < exp_s:
            return Malformed("its turn is not between iat and exp")
        turns = ColourChange(_COLOURS[turns[0]], turns[1])
    status = get(STATUS)
    if status is not None:
        if not _is_pair(status) or not _is_time(status[0]) or not _is_name(status[1]):
            return Malformed("its status is not an index and the name of a list")
        status = StatusEntry(status[0], status[1])
    cnf = get(CNF)
    if cnf is not None:
        cnf = _holder_key(cnf)
        if cnf is None:
            return Malformed("its holder key (cnf) is not an Ed25519 key")
    return Code(
        colour=_COLOURS[colour],
        sub=sub,
        iat_s=iat_s,
        exp_s=exp_s,
        nbf_s=nbf_s,
        aud=tuple(aud),
        scope=scope,
        party=party,
        turns=turns,
        status=status,
        cnf=cnf,
    )


_COLOURS = {int(c): c for c in Colour}


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= TIME_S_MAX


def _is_pair(value: object) -> bool:
    return type(value) is list and len(value) == 2


def _is_name(value: object) -> bool:
    return type(value) is str and _NAME.fullmatch(value) is not None


def _holder_key(cnf: object) -> bytes | None:
    key = cnf.get(1) if type(cnf) is dict and len(cnf) == 1 else None
    x = key.get(-2) if type(key) is dict and len(key) == 3 else None
    return x if type(x) is bytes and len(x) == KEY_LEN else None


def byte_string_head(length: int) -> bytes:
    """The head of a byte string of at most 65535 bytes, in its shortest form."""
    if length < 24:
        return bytes((0x40 | length,))
    return struct.pack(">BB", 0x58, length) if length < 256 else struct.pack(">BH", 0x59, length)


def byte_string(body: bytes) -> bytes | None:
    """The content of one byte string that fills `body`, in its shortest form; None otherwise."""
    for head_len in (2, 1, 3):  # two is the usual one
        payload = body[head_len:]
        if body == byte_string_head(len(payload)) + payload:
            return payload
    return None


def base45_encode(data: bytes) -> bytes:
    """RFC 9285: two bytes to three characters, a last single byte to two."""
    pairs, even = _PAIRS, len(data) & ~1
    parts = []
    for n in struct.unpack(f">{even // 2}H", data[:even]):
        high, low = divmod(n, 2025)
        parts.append(pairs[low] + _ALPHABET[high : high + 1])
    if len(data) > even:
        parts.append(pairs[data[-1]])
    return b"".join(parts)


def base45_decode(text: bytes) -> bytes | None:
    """RFC 9285, canonical: None for a character, length or value that no encoder writes."""
    digits = text.translate(_DIGIT)
    if b"\xff" in digits or len(digits) % 3 == 1:
        return None
    low, mid, high = digits[0::3], digits[1::3], digits[2::3]
    try:
        data = struct.pack(
            f">{len(high)}H",
            *[a + 45 * b + 2025 * c for a, b, c in zip(low, mid, high, strict=False)],
        )
        if len(low) > len(high):
            data += struct.pack(">B", low[-1] + 45 * mid[-1])
    except struct.error:  # a value above what its bytes can hold
        return None
    return data
