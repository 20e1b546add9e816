"""What the clock knows across power cuts: two small files written in turn.

A write that is cut off spoils the older of the two and leaves the newer. Each is one sector: a
checksum, and JSON filled up with blanks, overwritten in place. Source: edge/wire/time.md.
"""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec

from edge import files
from edge.clock.time_interval import Relation, StoredClock
from edge.wire.decode import DecodeError, decode_json
from edge.wire.trust import Seconds

NAMES = ("clock-a", "clock-b")
SLOT_LEN = 512  # bytes: a sector, the least that a disk writes

_Integer = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Relation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rtc_s: _Count
    offset_ms: _Integer
    error_ms: _Count
    seen_s: _Count


class _Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: _Count
    floor_s: Seconds
    powered_s: Seconds
    relation: _Relation | None


class SlotsLost(Exception):
    """The slots cannot be written; one sentence."""


class Slots:
    """Two files in `folder`, which must be there."""

    def __init__(self, folder: Path) -> None:
        self._paths = [folder / name for name in NAMES]
        slots = [_read(path) for path in self._paths]
        numbers = [-1 if slot is None else slot.number for slot in slots]
        newest = max(range(len(slots)), key=numbers.__getitem__)
        self._number = numbers[newest]
        self._next = 1 - newest if self._number >= 0 else 0
        self._newest = slots[newest]
        self.torn = [
            str(path)
            for path, slot in zip(self._paths, slots, strict=True)
            if slot is None and path.exists()
        ]

    def load(self) -> StoredClock:
        """The newest whole slot, as it was at the start; nothing known where there is none."""
        slot = self._newest
        if slot is None:
            return StoredClock()
        stored = slot.relation
        relation = Relation(**msgspec.structs.asdict(stored)) if stored else None
        return StoredClock(slot.floor_s, slot.powered_s, relation)

    def save(self, kept: StoredClock) -> None:
        """Durable when this returns. Raises SlotsLost; the newer slot stays what it was."""
        relation = _Relation(**asdict(kept.relation)) if kept.relation else None
        slot = _Slot(self._number + 1, kept.floor_s, kept.powered_s, relation)
        path = self._paths[self._next]
        try:
            _write(path, _encode(slot))
        except OSError as error:
            raise SlotsLost(
                f"{path} cannot be written ({error.strerror}): after a power cut this unit will "
                "know less of the time; free some space or make it writable"
            ) from None
        self._number += 1
        self._next = 1 - self._next


def _encode(slot: _Slot) -> bytes:
    data = msgspec.json.encode(slot)
    return b"%s %s" % (_checksum(data), data.ljust(SLOT_LEN - 18) + b"\n")


def _checksum(data: bytes) -> bytes:
    """It finds torn writes; it is no protection against a person who can write the card."""
    return hashlib.sha256(data).hexdigest()[:16].encode()


def _read(path: Path) -> _Slot | None:
    """The slot in a file; None: not there, torn, or nothing of ours."""
    try:
        with path.open("rb") as file:
            content = file.read(SLOT_LEN + 1)
    except OSError:
        return None
    return _decode(content)


def _decode(content: bytes) -> _Slot | None:
    checksum, _, data = content.partition(b" ")
    if len(content) != SLOT_LEN or checksum != _checksum(data.rstrip()):
        return None
    try:
        return decode_json(data, _Slot, SLOT_LEN)
    except DecodeError:
        return None


def _write(path: Path, data: bytes) -> None:
    """In place, so that no other block of the disk moves."""
    new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.ftruncate(handle, SLOT_LEN)
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        files.sync(path.parent)
