"""Deterministic CBOR (RFC 8949 section 4.2.1), its plain part only. The one user of cbor2."""

from typing import Any

import cbor2


class NotPlain(ValueError):
    """CBOR that nothing of ours holds, or no CBOR at all; the message follows a plural."""


def encode(value: Any) -> bytes:
    """`value` of integers, bytes, text, lists and dicts, keys in the order of their encoding.

    The caller gives dictionaries in that order; `tests/edge/wire/test_code.py` checks the claims.
    """
    return cbor2.dumps(value)


def decode(data: bytes) -> Any:
    """The value of `data`, which must be plain. Raises NotPlain.

    Trailing bytes and a key named twice are not noticed: compare with `encode`.
    """
    if not plain(data):
        raise NotPlain("hold CBOR that no door code uses")
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, TypeError):
        raise NotPlain("are not CBOR") from None


def plain(data: bytes) -> bool:
    """Whether `data` holds only integers, strings, arrays and maps of definite length.

    Looked at before cbor2 is: it would build dates, expressions and more out of tags.
    """
    at, end = 0, len(data)
    while at < end:
        head = data[at]
        major, length = head >> 5, head & 31
        if major > 5 or length > 27:
            return False
        at += 1
        if length > 23:
            size = 1 << (length - 24)
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if major in (2, 3):
            at += length
        elif major in (4, 5) and length > 16:
            return False
    return at == end


def depth(data: bytes) -> int:
    """How many arrays and maps lie in one another in `data`, which must be plain."""
    at, deepest = 0, 0
    missing: list[int] = []  # of each open array or map: how many items are still to come
    while at < len(data):
        while missing and missing[-1] == 0:
            missing.pop()
        if missing:
            missing[-1] -= 1
        major, length = data[at] >> 5, data[at] & 31
        at += 1
        if length > 23:
            size = 1 << (length - 24)
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        if major in (2, 3):
            at += length
        elif major in (4, 5):
            missing.append(length if major == 4 else 2 * length)
            deepest = max(deepest, len(missing))
    return deepest
