"""Marks: keyed hashes by which something is known again and nobody can be named."""

import hashlib
from typing import TypeVar

T = TypeVar("T")


def enter(kept: dict[bytes, T], mark: bytes, value: T, most: int) -> None:
    """Put `value` last; the first goes when there are too many."""
    kept.pop(mark, None)
    while len(kept) >= most:
        del kept[next(iter(kept))]
    kept[mark] = value


def mark_of(key: bytes, what: bytes, subject: bytes) -> bytes:
    """One key, and what differs by its use has nothing in common."""
    return hashlib.blake2b(subject, key=key, digest_size=16, person=what).digest()
