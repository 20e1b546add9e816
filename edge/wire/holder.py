"""The holder code: the phone's own signature around the issuer's code. README.md, section 9.

    DC1: Base45( COSE_Sign1, protected {alg: Ed25519, kcwt: the issuer's COSE_Sign1},
                 external_aad "menshen-holder-1", payload {the door if it is known, iat} )

The issuer's code inside stands in plain sight; it has `cnf`, and so is worth nothing bare.
"""

import re
from dataclasses import dataclass

from edge.wire import cbor, code
from edge.wire.code import AUD, IAT, TIME_S_MAX, CodeSigner, Malformed, SignedCode

EXTERNAL_AAD = b"menshen-holder-1"

# {1: -19, 13: ...}: alg is Ed25519 and nothing else, kcwt is RFC 9528's label for a CWT.
_PROTECTED = b"\xa2\x01\x32\x0d"
_ARRAY = b"\x84"
_TIME_ONLY = b"\xa1\x06\x1a"  # {6: a number of four bytes}; one below 65536 has a shorter form
_LONG, _LONGER = 0x58, 0x59  # heads of byte strings above 23 and above 255 bytes
_EXTERNAL_AAD = code.byte_string_head(len(EXTERNAL_AAD)) + EXTERNAL_AAD

_NAME = r"[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?"
_DOOR = re.compile(f"{_NAME}/{_NAME}")


@dataclass(frozen=True, slots=True)
class HolderCode:
    """A decoded holder code with what the holder's signature covers; nothing is verified yet."""

    inner: SignedCode  # the issuer's code; its `cnf` is the holder's key
    iat_s: int  # Unix seconds by the phone's clock
    door: str | None  # "<site>/<unit>", where the phone has read the door's label
    message: bytes  # the Sig_structure of RFC 9052 section 4.4
    signature: bytes  # 64 bytes, Ed25519


def read(raw: bytes) -> HolderCode | Malformed | None:
    """Read a holder's COSE_Sign1; None: it is not wrapped by a holder.

    Never raises, whatever `raw` holds. Source: README.md, section 9.
    """
    head_len = {_LONG: 3, _LONGER: 4}.get(raw[1]) if len(raw) > 4 and raw[:1] == _ARRAY else None
    if head_len is None or not raw.startswith(_PROTECTED, head_len):
        return None
    end = head_len + int.from_bytes(raw[2:head_len], "big")
    if (
        raw[1:head_len] != code.byte_string_head(end - head_len)
        or raw[end : end + 1] != code.UNPROTECTED
        or raw[-66:-64] != code.SIGNATURE_HEAD
    ):
        return Malformed("it is not a holder's COSE_Sign1")
    body = raw[end + 1 : -66]
    payload = _payload(body)
    if payload is None:
        return Malformed("its holder's payload is not a time and a door in their one form")
    inner = code.read(raw[head_len + len(_PROTECTED) : end])
    if isinstance(inner, Malformed):
        return inner
    if inner.code.cnf is None:
        return Malformed("a holder signed around a code that names no holder")
    message = b"".join((code.SIG_STRUCTURE_HEAD, raw[1:end], _EXTERNAL_AAD, body))
    return HolderCode(inner, *payload, message, raw[-64:])


def encode(bare: str, iat_s: int, door: str | None, holder: CodeSigner) -> str:
    """Wrap the issuer's code `bare` as a phone does and return the text of its QR symbol.

    Raises ValueError for what `read` would refuse.
    """
    inner = code.unwrap(bare.encode())
    if not isinstance(inner, bytes):
        raise ValueError("what a holder signs must be a door code")
    payload = _claims(iat_s, door)
    protected = _PROTECTED + inner
    body = code.byte_string_head(len(payload)) + payload
    head = code.byte_string_head(len(protected)) + protected
    signature = holder.sign(b"".join((code.SIG_STRUCTURE_HEAD, head, _EXTERNAL_AAD, body)))
    raw = b"".join((_ARRAY, head, code.UNPROTECTED, body, code.SIGNATURE_HEAD, signature))
    wrong = read(raw)
    if not isinstance(wrong, HolderCode):
        why = wrong.why if wrong else "the code in it is too short"
        raise ValueError(f"this holder code cannot be written: {why}")
    return code.wrap(raw)


def _payload(body: bytes) -> tuple[int, str | None] | None:
    payload = code.byte_string(body)
    if payload is None:
        return None
    if len(payload) == 7 and payload.startswith(_TIME_ONLY) and payload[3:5] != b"\0\0":
        return int.from_bytes(payload[3:], "big"), None  # the usual one, at a look
    try:
        value = cbor.decode(payload)
    except cbor.NotPlain:
        return None
    if type(value) is not dict:
        return None
    iat_s, door = value.get(IAT), value.get(AUD)
    if type(iat_s) is not int or not 0 <= iat_s <= TIME_S_MAX:
        return None
    if AUD in value and (type(door) is not str or not _DOOR.fullmatch(door)):
        return None
    return (iat_s, door) if _claims(iat_s, door) == payload else None


def _claims(iat_s: int, door: str | None) -> bytes:
    """The payload in its one form, whatever order a map had when it was read."""
    return cbor.encode({IAT: iat_s} if door is None else {AUD: door, IAT: iat_s})
