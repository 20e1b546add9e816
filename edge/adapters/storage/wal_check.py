"""Whether an SQLite write-ahead log has lost transactions that were durable.

SQLite replays a log up to the first frame whose checksum is wrong and drops the rest without a
word: it cannot tell a bad bit from a write that a power cut tore. This can, because a torn write is
the last one: where two transactions or more ended behind the wrong frame, the earlier of them had
reached the disk.

Source: SQLite's file format, section 4, <https://www.sqlite.org/fileformat2.html#walformat>.
"""

import struct
from pathlib import Path
from typing import NamedTuple

HEADER_LEN = 32
FRAME_HEADER_LEN = 24
MAGICS = {0x377F0682: "<", 0x377F0683: ">"}
"""Each magic number with the order of the bytes in its checksums."""
LOG_LEN_MAX = 64 * 1024 * 1024
"""A longer log is not read whole; ours has a hundred kB (counts.py)."""


class WalState(NamedTuple):
    """What a log holds."""

    replayed: int  # transactions that SQLite takes from it
    lost: int  # at least so many durable transactions that it drops


EMPTY = WalState(0, 0)


def check(path: Path) -> WalState:
    """The state of the log `path`, as `counts.db-wal`. Raises OSError.

    A log that is missing, empty or shorter than its header holds nothing. One whose header is
    wrong is dropped whole by SQLite: every transaction whose end is found in it counts as lost.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LOG_LEN_MAX)
    except FileNotFoundError:
        return EMPTY
    if len(data) < HEADER_LEN:
        return EMPTY
    magic, _, page_len = struct.unpack(">III", data[:12])
    salts = data[16:24]
    order = MAGICS.get(magic)
    sums = _checksum(data[:24], (0, 0), order or ">")
    is_valid = order is not None and sums == struct.unpack(">II", data[24:HEADER_LEN])
    if not is_valid and not _is_page_len(page_len):
        page_len = _likely_page_len(data)
    frame_len = FRAME_HEADER_LEN + page_len
    replayed = ends_behind = 0
    for at in range(HEADER_LEN, len(data) - frame_len + 1, frame_len):
        head, page = data[at : at + FRAME_HEADER_LEN], data[at + FRAME_HEADER_LEN : at + frame_len]
        number, size = struct.unpack(">II", head[:8])
        if is_valid:
            sums = _checksum(page, _checksum(head[:8], sums, order or ">"), order or ">")
            is_valid = (
                number > 0 and head[8:16] == salts and sums == struct.unpack(">II", head[16:])
            )
            if is_valid:
                replayed += size > 0  # a transaction's last frame has the size of the database
                continue
        # A log is overwritten from its beginning with new salts: frames of before have others.
        ends_behind += size > 0 and head[8:16] == salts
    return WalState(replayed, max(0, ends_behind - 1))


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def _is_page_len(length: int) -> bool:
    return 512 <= length <= 65_536 and length & (length - 1) == 0


def _likely_page_len(data: bytes) -> int:
    """The page length by which the frames repeat the header's salts; 4096 where none fits."""
    for length in (4096, 1024, 512, 2048, 8192, 16_384, 32_768, 65_536):
        at = HEADER_LEN + FRAME_HEADER_LEN + length
        if data[at + 8 : at + 16] == data[16:24]:
            return length
    return 4096
