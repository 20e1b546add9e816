"""A reader that says which rule is broken: edge/wire/README.md, section by section.

A second hand: it shares no line with `edge`, reads CBOR byte by byte, and stops at the first rule
that does not hold.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
LABELS = {
    2: "sub", 3: "aud", 4: "exp", 5: "nbf", 6: "iat", 8: "cnf", 9: "scope", 65535: "status",
    -65537: "colour", -65538: "party", -65539: "turns",
}  # fmt: skip
NAME = re.compile(r"[a-z0-9]([a-z0-9/._-]{0,61}[a-z0-9])?")
PART = r"[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?"
DOOR = re.compile(f"{PART}/{PART}")
SUB = re.compile(r"[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]")
SCOPE = re.compile(r"[a-z0-9:._-]{1,32}( [a-z0-9:._-]{1,32}){0,3}")
HOLDER_AAD = b"menshen-holder-1"
SMALL = {  # y of the points of small order (their sign left out), and of 0 and 1 above the prime
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    *((2**255 - 19 + n).to_bytes(32, "little") for n in (-1, 0, 1)),
}


class BrokenRule(Exception):
    """A rule does not hold: where it stands, and which it is."""

    def __init__(self, section: int, rule: str) -> None:
        super().__init__(f"section {section}: {rule}")
        self.section, self.rule = section, rule


def must(holds: bool, section: int, rule: str) -> None:
    if not holds:
        raise BrokenRule(section, rule)


@dataclass(frozen=True, slots=True)
class Issued:
    """An issuer's COSE_Sign1, its signature verified."""

    raw: bytes
    claims: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A holder's COSE_Sign1 around it, its signature verified."""

    inner: Issued
    iat: int
    door: str | None


def issued(text: str, public: bytes) -> Issued:
    """Read an issuer's code that `public` (32 bytes) must have signed. Raises BrokenRule."""
    return _issued(_unwrapped(text), public)


def held(text: str, issuer: bytes) -> Held:
    """Read a holder code around a code of `issuer`. Raises BrokenRule."""
    raw = _unwrapped(text)
    header, content, signature = _sign1(raw, 9)
    at = _Cbor(header, 9)
    must(at.head(5) == 2, 9, "the protected header is a map of two: alg and kcwt")
    must(at.item() == 1 and at.item() == -19, 9, "the holder's alg (1) is -19, Ed25519, alone")
    must(at.item() == 13, 9, "the second header is kcwt (13)")
    begin = at.at
    must(header[begin : begin + 1] == b"\x84", 9, "kcwt is the issuer's array itself, in no string")
    at.item()
    must(at.at == len(header), 9, "nothing follows kcwt in the protected header")
    inner = _issued(header[begin:], issuer)
    must("cnf" in inner.claims, 9, "the code inside names its holder (cnf)")
    said = _map(content, 9)
    must(said.keys() <= {3, 6}, 9, "a holder says a time (6) and perhaps a door (3), nothing else")
    must(_is_time(said.get(6)), 9, "iat (6) is there, an integer from 0 to 2^32 - 1")
    door = said.get(3)
    named = 3 not in said or (type(door) is str and DOOR.fullmatch(door) is not None)
    must(named, 9, "aud (3) is one door, <site>/<unit>")
    _verify(inner.claims["cnf"], header, HOLDER_AAD, content, signature, 9)
    return Held(inner, said[6], door)


def _unwrapped(text: str) -> bytes:
    must(text.startswith("DC1:"), 2, "a text begins with DC1:, in upper case")
    must(len(text) <= 1540, 2, "a text has at most 1540 characters")
    raw, body = bytearray(), text[4:]
    must(len(body) % 3 != 1, 2, "no Base45 text has a length of 3 n + 1")
    for at in range(0, len(body), 3):
        piece, number = body[at : at + 3], 0
        for letter in reversed(piece):
            must(letter in LETTERS, 2, f"{letter!r} is no letter of Base45")
            number = 45 * number + LETTERS.index(letter)
        must(number < 256 ** (len(piece) - 1), 2, f"{piece!r} is above what its bytes can hold")
        raw += number.to_bytes(len(piece) - 1, "big")
    return bytes(raw)


def _issued(raw: bytes, public: bytes) -> Issued:
    header, content, signature = _sign1(raw, 3)
    said = _map(header, 3)
    must(said.get(1) != -8, 3, "a writer does not write alg -8 (EdDSA)")
    must(said.get(1) == -19, 3, "alg (1) is -19, Ed25519")
    must(said.keys() == {1, 4}, 3, "the protected header holds alg (1) and kid (4) alone")
    kid = hashlib.sha256(public).digest()[:6]
    must(said[4] == kid, 3, "kid (4) is the first 6 bytes of SHA-256 over the public key")
    claims = _claims(_map(content, 5))
    _verify(public, header, b"", content, signature, 3)
    return Issued(raw, claims)


def _sign1(raw: bytes, section: int) -> tuple[bytes, bytes, bytes]:
    must(raw[:1] != b"\xd2", section, "the COSE_Sign1 is untagged")
    at = _Cbor(raw, section)
    must(at.head(4) == 4, section, "a COSE_Sign1 is an array of four")
    parts = [at.item() for _ in range(4)]
    must(at.at == len(raw), 5, "nothing follows the signature")
    header, unprotected, content, signature = parts
    must(type(header) is bytes, section, "the protected header is a byte string")
    must(unprotected == {}, section, "the unprotected header is empty")
    must(type(content) is bytes, section, "the payload is a byte string")
    whole = type(signature) is bytes and len(signature) == 64
    must(whole, section, "the signature is a byte string of 64")
    return header, content, signature


def _verify(
    public: bytes, header: bytes, aad: bytes, content: bytes, signature: bytes, section: int
) -> None:
    for point in (public, signature[:32]):  # OpenSSL would take them
        y = point[:31] + bytes((point[31] & 0x7F,))
        must(y not in SMALL, section, "neither key nor R is a point of small order")
    signed = b"\x84\x6aSignature1" + b"".join(map(_bstr, (header, aad, content)))
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except InvalidSignature:
        raise BrokenRule(
            section, "the signature is that of the Sig_structure by this key"
        ) from None


def _bstr(data: bytes) -> bytes:
    size = len(data)
    if size < 24:
        return bytes((0x40 + size,)) + data
    return (b"\x58" + bytes((size,)) if size < 256 else b"\x59" + size.to_bytes(2, "big")) + data


def _map(data: bytes, section: int) -> dict[Any, Any]:
    must(data[:1] != b"", section, "there is a map, not nothing")
    at = _Cbor(data, section)
    value = at.item()
    must(type(value) is dict, section, "it is a map")
    must(at.at == len(data), 5, "nothing follows the map")
    return dict(value)


def _claims(said: dict[Any, Any]) -> dict[str, Any]:
    unknown = [label for label in said if label not in LABELS]
    must(not unknown, 4, f"{unknown[:1]} is no claim of the table")
    claims = {LABELS[label]: value for label, value in said.items()}
    for name in ("sub", "exp", "iat", "colour"):
        must(name in claims, 4, f"{name} is required")
    sub, iat, exp = claims["sub"], claims["iat"], claims["exp"]
    must(type(sub) is str and SUB.fullmatch(sub) is not None, 4, "sub is 8 bytes of base64url")
    for name in ("iat", "exp", "nbf"):
        must(_is_time(claims.get(name, 0)), 4, f"{name} is an integer from 0 to 2^32 - 1")
    must(iat < exp, 4, "exp is above iat")
    must(_is_colour(claims["colour"]), 4, "the colour is 1, 2 or 3")
    must(iat < claims.get("nbf", exp - 1) < exp or "nbf" not in claims, 4, "iat < nbf < exp")
    for name, holds, rule in (
        ("aud", _is_aud, "aud is one name, or a list of 2 to 4"),
        ("scope", _is_scope, "scope is 1 to 4 grants with one blank between"),
        ("status", _is_status, "status is [bit, name of a list]"),
        ("party", _is_party, "a party is 2 to 9, and one of 1 is not written"),
        ("cnf", _is_cnf, "cnf is {1: {1: 1, -1: 6, -2: 32 bytes}}"),
    ):
        must(name not in claims or holds(claims[name]), 4, rule)
    if "cnf" in claims:
        claims["cnf"] = claims["cnf"][1][-2]
    turns = claims.get("turns", [1, iat + 1])
    pair = type(turns) is list and len(turns) == 2 and _is_colour(turns[0]) and _is_time(turns[1])
    must(pair, 4, "turns is [colour, time]")
    must("turns" not in claims or iat < turns[1] < exp, 4, "iat < the time of turns < exp")
    return claims


def _is_time(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**32


def _is_colour(value: object) -> bool:
    return type(value) is int and 1 <= value <= 3


def _is_name(value: object) -> bool:
    return type(value) is str and NAME.fullmatch(value) is not None


def _is_aud(value: object) -> bool:
    if type(value) is list:
        return 2 <= len(value) <= 4 and all(map(_is_name, value))
    return _is_name(value)


def _is_scope(value: object) -> bool:
    return type(value) is str and SCOPE.fullmatch(value) is not None


def _is_status(value: object) -> bool:
    return type(value) is list and len(value) == 2 and _is_time(value[0]) and _is_name(value[1])


def _is_party(value: object) -> bool:
    return type(value) is int and 2 <= value <= 9


def _is_cnf(value: object) -> bool:
    key = value.get(1) if type(value) is dict and len(value) == 1 else None
    if type(key) is not dict or len(key) != 3 or type(key.get(-2)) is not bytes:
        return False
    return [key.get(1), key.get(-1), len(key[-2])] == [1, 6, 32]


class _Cbor:
    """Items of deterministic CBOR, one after the other."""

    def __init__(self, data: bytes, section: int) -> None:
        self.data, self.section, self.at = data, section, 0

    def head(self, major: int) -> int:
        """The length of an array (4) or a map (5) that begins here."""
        must(self.data[self.at : self.at + 1] != b"", self.section, "it is not cut off")
        found, low = self.data[self.at] >> 5, self.data[self.at] & 31
        kind = {4: "an array", 5: "a map"}[major]
        must(found == major, self.section, f"there is {kind}")
        return self._length(low)

    def item(self, depth: int = 0) -> Any:
        must(self.at < len(self.data), self.section, "it is not cut off")
        must(depth < 8, 5, "nothing is nested so deep")
        major, low = self.data[self.at] >> 5, self.data[self.at] & 31
        must(major != 6, 5, "no tags")
        must(major != 7, 5, "no floats, true, false, null or other simple values")
        length = self._length(low)
        if major < 2:
            return length if major == 0 else -1 - length
        if major < 4:
            data = self.data[self.at : self.at + length]
            must(len(data) == length, self.section, "it is not cut off")
            self.at += length
            return data if major == 2 else self._text(data)
        if major == 4:
            must(length <= 16, 5, "no list is so long")
            return [self.item(depth + 1) for _ in range(length)]
        return self._map(length, depth)

    def _map(self, length: int, depth: int) -> dict[Any, Any]:
        must(length <= 16, 5, "no map is so long")
        found: dict[Any, Any] = {}
        last = b""
        for _ in range(length):
            begin = self.at
            key = self.item(depth + 1)
            written = self.data[begin : self.at]
            must(type(key) in (int, str), 5, "labels are integers")
            must(key not in found, 5, f"no key twice, as {key!r} is")
            must(written > last, 5, "keys are in the order of their bytes")
            last = written
            found[key] = self.item(depth + 1)
        return found

    def _length(self, low: int) -> int:
        self.at += 1
        must(low != 31, 5, "no indefinite lengths")
        must(low < 28, 5, "no head that CBOR reserves")
        if low < 24:
            return low
        size = 1 << (low - 24)
        length = int.from_bytes(self.data[self.at : self.at + size], "big")
        self.at += size
        shortest = length >= (24 if size == 1 else 256 ** (size // 2))
        must(shortest, 5, "integers and lengths are in their shortest form")
        return length

    def _text(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise BrokenRule(4, "text is UTF-8") from None
