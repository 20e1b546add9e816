"""OSDP's frames, as bytes. Source: SIA OSDP 2.2, section 5.9; osdp.md has our choices.

    [FF] 53 address length(2) control [block] id data... [MAC(4)] CRC(2)

Little-endian. `control` is the sequence number (bits 0 and 1), 4 (a CRC-16 instead of a checksum)
and 8 (a security block follows: its first byte is its length, its second its type). Frames here
are untrusted; `secure.py` authenticates them.
"""

from array import array

LEN_MAX = 128  # every device must accept this much; our longest frame has 53
LEN_MIN = 8  # header, id and CRC
GAP_MS = 100  # after a longer pause within a frame, the frame is dropped
BAD_CRC_MAX = 2  # for one `data`: frames with a bad CRC that are searched for a frame inside

POLL, ID, CAP, LSTAT, ISTAT, OSTAT, RSTAT = 0x60, 0x61, 0x62, 0x64, 0x65, 0x66, 0x67
OUT, LED, BUZ, COMSET, KEYSET, CHLNG, SCRYPT = 0x68, 0x69, 0x6A, 0x6E, 0x75, 0x76, 0x77
ACK, NAK, PDID, PDCAP, LSTATR, ISTATR, OSTATR = 0x40, 0x41, 0x45, 0x46, 0x48, 0x49, 0x4A
RSTATR, COM, CCRYPT, RMAC_I = 0x4B, 0x54, 0x76, 0x78

SCS_11, SCS_12, SCS_13, SCS_14 = 0x11, 0x12, 0x13, 0x14  # the handshake
SCS_15, SCS_16, SCS_17, SCS_18 = 0x15, 0x16, 0x17, 0x18  # in session: MAC; MAC and encrypted data

NAK_LENGTH, NAK_UNKNOWN, NAK_SEQUENCE, NAK_INSECURE = 2, 3, 4, 6

_SOM = 0x53
_MARK = b"\xff"
_REPLY = 0x80  # bit of the address: the frame goes from a device to its panel
_SEQUENCE, _CRC, _BLOCK = 0x03, 0x04, 0x08


def _table():
    entries = array("H", bytes(512))
    for n in range(256):
        crc = n << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        entries[n] = crc & 0xFFFF
    return entries


_TABLE = _table()


def crc16(data):
    """Return OSDP's CRC-16: polynomial 0x1021, start 0x1D0F (Annex C)."""
    crc = 0x1D0F
    table = _TABLE
    for byte in data:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ byte]
    return crc


class OsdpFrame:
    """A complete frame from a panel with a valid CRC; UNTRUSTED."""

    def __init__(self, raw):
        self.raw = raw  # bytes from 0x53 to the CRC
        self.address = raw[1]
        self.sequence = raw[4] & _SEQUENCE
        self.block = 0  # the security block's type; 0: none
        self.selector = 1  # third byte of a handshake block; 0 requests the default key
        start = 5
        if raw[4] & _BLOCK:
            start += raw[5]
            self.block = raw[6]
            if raw[5] > 2:
                self.selector = raw[7]
        end = len(raw) - 2
        if self.block >= SCS_15:
            end -= 4
        self.id = raw[start]
        self.data = raw[start + 1 : end]
        self.signed = raw[:end]  # the bytes that the MAC covers
        self.mac = raw[end:-2]  # 4 bytes, or empty


class Stream:
    """Finds frames in the bytes of the line and skips everything else."""

    def __init__(self, now_ms, ticks_diff):
        self._buffer = b""
        self._received_ms = now_ms
        self._ticks_diff = ticks_diff

    def clear(self):
        """Drop all bytes that were not yielded as frames."""
        self._buffer = b""

    def frames(self, data, now_ms):
        """Yield the frames that `data` completes. Everything else is dropped silently."""
        if self._buffer and not 0 <= self._ticks_diff(now_ms, self._received_ms) <= GAP_MS:
            self._buffer = b""
        if data:
            self._received_ms = now_ms
        bad_crcs = 0
        for at in range(0, len(data), LEN_MAX):
            self._buffer += bytes(data[at : at + LEN_MAX])
            while True:
                start = self._buffer.find(b"\x53")
                if start < 0:
                    self._buffer = b""
                    break
                if start:
                    self._buffer = self._buffer[start:]
                if len(self._buffer) < 5:
                    break
                length = self._buffer[2] | self._buffer[3] << 8
                if not LEN_MIN <= length <= LEN_MAX:
                    self._buffer = self._buffer[1:]
                    continue
                if len(self._buffer) < length:
                    break
                raw = self._buffer[:length]
                if raw[4] & _CRC and crc16(raw[:-2]) == raw[-2] | raw[-1] << 8:
                    self._buffer = self._buffer[length:]
                    if _is_consistent(raw):
                        yield OsdpFrame(raw)
                    continue
                bad_crcs += 1
                if bad_crcs > BAD_CRC_MAX:  # bounds the time spent on one `data`
                    self._buffer = b""
                    break
                self._buffer = self._buffer[1:]


def _is_consistent(raw):
    """Whether a frame comes from a panel and its parts fit its length."""
    if raw[1] & _REPLY:
        return False
    if not raw[4] & _BLOCK:
        return True
    size = raw[5]
    mac_len = 4 if raw[6] >= SCS_15 else 0
    return size >= 2 and 5 + size + 1 + mac_len + 2 <= len(raw)


def reply(address, sequence, code, data=b"", block=b"", sign=None):
    """Return a reply's bytes after a mark byte. `sign` returns the MAC of its argument."""
    size = 5 + len(block) + 1 + len(data) + (4 if sign else 0) + 2
    control = sequence | _CRC | (_BLOCK if block else 0)
    head = bytes((_SOM, address | _REPLY, size & 0xFF, size >> 8, control))
    body = head + block + bytes((code,)) + data
    if sign:
        body += sign(body)
    return _MARK + body + crc16(body).to_bytes(2, "little")
