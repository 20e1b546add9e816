"""Marks: keyed hashes that recognise a subject again and name nobody."""

import hashlib
from typing import TypeVar

T = TypeVar("T")


def enter(entries: dict[bytes, T], mark: bytes, value: T, most: int) -> None:
    """Put `value` at the end of `entries`; with more than `most`, the first entries are dropped."""
    entries.pop(mark, None)
    while len(entries) >= most:
        del entries[next(iter(entries))]
    entries[mark] = value


def mark_of(key: bytes, purpose: bytes, subject: bytes) -> bytes:
    """The mark of `subject`, 16 bytes. Marks of different purposes cannot be linked.

    `key`: 16 to 64 random bytes; `purpose`: 16 bytes at most.
    """
    return hashlib.blake2b(subject, key=key, digest_size=16, person=purpose).digest()
