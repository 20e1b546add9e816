"""Status lists: which of an issuer's codes were revoked. The specification is status.md beside it.

A Token Status List in CWT form (draft-ietf-oauth-status-list), exact: one entry for each code
that has a `status`, zero for a good one. A look-up costs the same however many are set.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

from edge.wire import cbor, keys
from edge.wire.decode import DecodeError, decode_cbor
from edge.wire.trust import TrustError

LIST_LEN_MAX = 2 * 1024 * 1024  # bytes of entries: 16 million of one bit
FILE_LEN_MAX = LIST_LEN_MAX + 64 * 1024  # zlib adds 5 bytes to 16 KiB that it cannot shrink
TIME_S_MAX = 2**32 - 1
TYPE = "application/statuslist+cwt"

# COSE header parameters and CWT claims, by their registered numbers.
_ALG, _KID, _TYP = 1, 4, 16
_ED25519, _EDDSA = -19, -8
_SUB, _EXP, _IAT, _LIST, _TTL = 2, 4, 6, 65533, 65534
_CLAIMS = {_SUB, _EXP, _IAT, _LIST, _TTL}
_TAG = b"\xd2"  # 18, COSE_Sign1: as the draft's examples have it


class ListSigner(Protocol):
    """An Ed25519 key and its name."""

    @property
    def kid(self) -> bytes:
        """Six bytes that name the key."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `message`."""


@dataclass(frozen=True, slots=True)
class StatusList:
    """One list, verified. Its entries lie in `entries` as the draft packs them, and stay bytes."""

    name: str  # <issuer>/<list>
    iat_s: int  # Unix seconds UTC, when it was signed
    exp_s: int | None  # Unix seconds UTC, from when a clear bit no longer counts
    width: int  # bits of one entry: 1, 2, 4 or 8
    entries: bytes

    def revoked(self, bit: int) -> bool | None:
        """Whether entry `bit` is other than zero (valid); None: the list has no such entry."""
        at, place = divmod(bit, 8 // self.width)
        if not 0 <= at < len(self.entries):
            return None
        return bool(self.entries[at] >> place * self.width & (1 << self.width) - 1)


class _WrongError(ValueError):
    """What is wrong with a list; a clause for people."""


def read(data: bytes, publics: Sequence[bytes], name: str) -> StatusList:
    """Verify and read the file of list `name`, signed by one of `publics` (32 bytes each).

    Raises TrustError. Nothing of the list is unpacked before its signature is verified.
    """
    wrong = f"the status list {name!r} cannot be trusted: "
    try:
        claims = _claims(_read("claims", _verified(data, publics)))
    except _WrongError as error:
        raise TrustError(f"{wrong}{error}") from None
    if claims.name != name:
        raise TrustError(f"{wrong}it is the list {claims.name[:60]!r}")
    return claims


def write(
    set_bits: Iterable[int],
    count: int,
    name: str,
    iat_s: int,
    signer: ListSigner,
    *,
    exp_s: int | None = None,
    ttl_s: int | None = None,
) -> bytes:
    """Sign a list of `count` one-bit entries (filled up to a byte), of which `set_bits` are set.

    The same arguments give the same bytes, with one zlib. Raises ValueError when a bit is not
    below `count`, or when `read` would not take the list.
    """
    claims: dict[int, Any] = {_SUB: name}
    if exp_s is not None:
        claims[_EXP] = exp_s
    claims[_IAT] = iat_s
    claims[_LIST] = {"lst": zlib.compress(_packed(set_bits, count), 9), "bits": 1}
    if ttl_s is not None:
        claims[_TTL] = ttl_s
    payload = cbor.encode(claims)
    try:
        _claims(_read("claims", payload))
    except _WrongError as error:
        raise ValueError(f"this status list cannot be written: {error}") from None
    protected = cbor.encode({_ALG: _ED25519, _KID: signer.kid, _TYP: TYPE})
    signature = signer.sign(_message(protected, payload))
    return _TAG + cbor.encode([protected, {}, payload, signature])


def _packed(set_bits: Iterable[int], count: int) -> bytes:
    """Entry 0 is the lowest bit of the first byte: section 4.1 of the draft."""
    entries = bytearray((count + 7) // 8)
    for bit in set_bits:
        if not 0 <= bit < count:
            raise ValueError(f"entry {bit} is not in a list of {count}")
        entries[bit // 8] |= 1 << bit % 8
    return bytes(entries)


def _verified(data: bytes, publics: Sequence[bytes]) -> bytes:
    """The payload of a COSE_Sign1 (RFC 9052), tagged or not. Raises _WrongError."""
    if len(data) > FILE_LEN_MAX:
        raise _WrongError("it is larger than any status list")
    parts = _read("parts", data.removeprefix(_TAG))
    if type(parts) is not list or [type(part) for part in parts] != [bytes, dict, bytes, bytes]:
        raise _WrongError("it is not a COSE_Sign1")
    protected, unprotected, payload, signature = parts
    header = _read("headers", protected)
    if type(header) is not dict or not header.keys() <= {_ALG, _KID, _TYP}:
        raise _WrongError("its protected header holds what is not known here")
    if not unprotected.keys() <= {_KID} or (_KID in unprotected and _KID in header):
        raise _WrongError("its unprotected header holds more than the name of a key")
    kid = header.get(_KID, unprotected.get(_KID, b""))
    if type(kid) is not bytes:
        raise _WrongError("its key is not named by bytes")
    if header.get(_TYP) != TYPE:
        raise _WrongError(f"its type is not {TYPE}")
    if header.get(_ALG) not in (_ED25519, _EDDSA):
        raise _WrongError("it is not signed with Ed25519")
    message = _message(protected, payload)
    if not any(keys.verify(public, message, signature) for public in publics):
        raise _WrongError("it is not signed by a key that is trusted for it")
    return bytes(payload)


def _read(what: str, data: bytes) -> Any:
    """The one item that fills `data`, in its shortest form. Raises _WrongError."""
    try:
        return decode_cbor(data, FILE_LEN_MAX)
    except DecodeError as error:
        raise _WrongError(f"its {what} are not understood: {error}") from None


def _message(protected: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4, without external data."""
    return cbor.encode(["Signature1", protected, b"", payload])


def _claims(claims: object) -> StatusList:
    """Raises _WrongError."""
    if type(claims) is not dict or not claims.keys() <= _CLAIMS:
        raise _WrongError("its claims hold what is not known here")
    name, iat_s, exp_s, ttl_s = (claims.get(label) for label in (_SUB, _IAT, _EXP, _TTL))
    if type(name) is not str:
        raise _WrongError("it does not say which list it is (sub)")
    if not _is_time(iat_s):
        raise _WrongError("it does not say when it was issued (iat)")
    if exp_s is not None and not (_is_time(exp_s) and iat_s < exp_s):
        raise _WrongError("its end (exp) is not after its beginning (iat)")
    if ttl_s is not None and not (_is_time(ttl_s) and ttl_s > 0):
        raise _WrongError("its time to live (ttl) is not a number of seconds")
    return StatusList(name, iat_s, exp_s, *_entries(claims.get(_LIST)))


def _entries(content: object) -> tuple[int, bytes]:
    """Width and bytes of a StatusList structure, {"bits", "lst"}. Raises _WrongError."""
    if type(content) is not dict or not {"bits", "lst"} <= content.keys() <= _LIST_KEYS:
        raise _WrongError("it holds no entries (status_list), or more than is known here")
    width, packed = content["bits"], content["lst"]
    if type(width) is not int or width not in (1, 2, 4, 8):
        raise _WrongError("its entries are not of 1, 2, 4 or 8 bits")
    if type(packed) is not bytes or type(content.get("aggregation_uri", "")) is not str:
        raise _WrongError("its entries (lst) are not bytes")
    return width, _unpacked(packed)


_LIST_KEYS = {"bits", "lst", "aggregation_uri"}


def _unpacked(packed: bytes) -> bytes:
    """The zlib stream that `packed` is, never more than LIST_LEN_MAX of it. Raises _WrongError."""
    stream = zlib.decompressobj()
    try:
        entries = stream.decompress(packed, LIST_LEN_MAX + 1)
    except zlib.error:
        raise _WrongError("its entries (lst) are not a zlib stream") from None
    if len(entries) > LIST_LEN_MAX:
        raise _WrongError(f"its entries (lst) unpack to more than {LIST_LEN_MAX} bytes")
    if not stream.eof or stream.unused_data:
        raise _WrongError("its entries (lst) are cut off, or something follows them")
    return entries


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value <= TIME_S_MAX
