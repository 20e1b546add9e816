"""An OSDP control panel of our own, for tests: it can be inside a session and lie there.

Written from the standard and apart from firmware/; libosdp is the peer that nobody here wrote
(tests/firmware/pty). Runs in CPython and in MicroPython, over whatever `cryptolib` there is.
"""

from cryptolib import aes

try:
    from binascii import crc_hqx
except ImportError:  # MicroPython

    def crc_hqx(data, crc):
        for byte in data:
            crc ^= byte << 8
            for _ in range(8):
                crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
        return crc


POLL, ID, CAP, LSTAT, ISTAT, OSTAT, RSTAT = 0x60, 0x61, 0x62, 0x64, 0x65, 0x66, 0x67
OUT, LED, BUZ, COMSET, KEYSET, CHLNG, SCRYPT = 0x68, 0x69, 0x6A, 0x6E, 0x75, 0x76, 0x77
ACK, NAK, PDID, PDCAP, LSTATR, ISTATR, OSTATR = 0x40, 0x41, 0x45, 0x46, 0x48, 0x49, 0x4A
RSTATR, COM, CCRYPT, RMAC_I = 0x4B, 0x54, 0x76, 0x78


DEFAULT_KEY = bytes(range(0x30, 0x40))


class Wrong(Exception):
    """The device answered what the standard does not allow."""


class Reply:
    """A device's answer, checked."""

    def __init__(self, sequence, block, code, data):
        self.sequence = sequence
        self.block = block  # type of the security block, 0: none
        self.code = code
        self.data = data

    def __repr__(self):
        return f"<{self.code:02x} {bytes(self.data)} block {self.block:02x} number {self.sequence}>"


def mixed(a, b):
    return bytes(x ^ y for x, y in zip(a, b))  # noqa: B905 -- MicroPython has no strict


def padded(data, always):
    if len(data) % 16 or always:
        data += b"\x80"
        data += bytes(-len(data) % 16)
    return data


def cbc(cipher, data, before):
    """Return all blocks."""
    out = b""
    for at in range(0, len(data), 16):
        before = cipher.encrypt(mixed(data[at : at + 16], before))
        out += before
    return out


def pulse(ms, output=0, code=5):
    """The data of OUT."""
    return bytes((output, code)) + (ms // 100).to_bytes(2, "little")


def colour(number, ms, on_ms=0, off_ms=0):
    """The data of LED: `number` shown for `ms`."""
    times = bytes((on_ms // 100, off_ms // 100))
    return (
        bytes((0, 0, 2)) + times + bytes((number, 0)) + (ms // 100).to_bytes(2, "little") + bytes(5)
    )


class ReferencePanel:
    """`key`: what it believes to be the pair's key. `rng(n)`: random bytes."""

    def __init__(self, key, rng, address=0):
        self.key = key
        self.rng = rng
        self.address = address
        self.sequence = -1
        self.session = None  # R-MAC, C-MAC and ciphers

    def frame(self, code, data=b"", block=b"", sequence=None, mac=b"", address=None):
        """Any bytes in the form of a frame, with the right CRC."""
        if sequence is None:
            sequence = self.next()
        size = 5 + len(block) + 1 + len(data) + len(mac) + 2
        control = sequence | 4 | (8 if block else 0)
        address = self.address if address is None else address
        body = bytes((0x53, address)) + size.to_bytes(2, "little") + bytes((control,))
        return self.crc(body + block + bytes((code,)) + data + mac)

    def crc(self, body):
        """`body` and its CRC."""
        return body + crc_hqx(body, 0x1D0F).to_bytes(2, "little")

    def next(self):
        """The sequence number that the next frame has."""
        return self.sequence % 3 + 1 if self.sequence > 0 else self.sequence + 1

    def plain(self, code, data=b"", block=b""):
        """The next frame outside a session."""
        self.sequence = self.next()
        return self.frame(code, data, block, self.sequence)

    def again(self):
        """Begin anew: the next frame has the sequence number 0."""
        self.sequence = -1
        self.session = None

    def challenge(self, selector=1):
        self.rnd_a = bytes(self.rng(8))
        return self.plain(CHLNG, self.rnd_a, bytes((3, 0x11, selector)))

    def challenged(self, reply):
        """Check CCRYPT; return SCRYPT."""
        if reply.code != CCRYPT or len(reply.data) != 32:
            raise Wrong(f"no CCRYPT: {reply}")
        rnd_b = reply.data[8:16]
        scbk = aes(self.key, 1)
        enc, mac1, mac2 = (
            scbk.encrypt(bytes(kind) + self.rnd_a[:6] + bytes(8))
            for kind in ((1, 0x82), (1, 1), (1, 2))
        )
        session = PanelSession(enc, mac1, mac2)
        if session.enc.encrypt(self.rnd_a + rnd_b) != reply.data[16:]:
            raise Wrong("another key")
        cryptogram = session.enc.encrypt(rnd_b + self.rnd_a)
        session.r_mac = session.mac2.encrypt(session.mac1.encrypt(cryptogram))
        self.session = session
        return self.plain(SCRYPT, cryptogram, bytes((3, 0x13, 1)))

    def secured(self, code, data=b"", sequence=None, wrong_mac=False):
        """The next frame of the session."""
        session = self.session
        if sequence is None:
            self.sequence = sequence = self.next()
        block = bytes((2, 0x17 if data else 0x15))
        if data:
            data = cbc(session.enc, padded(data, True), bytes(n ^ 255 for n in session.r_mac))
        size = 5 + 2 + 1 + len(data) + 6
        body = bytes((0x53, self.address)) + size.to_bytes(2, "little") + bytes((sequence | 12,))
        session.c_mac = session.chain(body + block + bytes((code,)) + data, session.r_mac)
        mac = session.c_mac[:4]
        if wrong_mac:
            mac = mixed(mac, wrong_mac)
        return self.frame(code, data, block, sequence, mac)

    def parse(self, data):
        """One reply of the device; raises Wrong where anything is."""
        if data[:1] == b"\xff":
            data = data[1:]
        if len(data) < 8 or data[0] != 0x53 or data[1] != self.address | 0x80:
            raise Wrong(f"no reply: {bytes(data)}")
        if data[2] | data[3] << 8 != len(data):
            raise Wrong("length")
        if crc_hqx(data[:-2], 0x1D0F).to_bytes(2, "little") != data[-2:]:
            raise Wrong("CRC")
        if data[4] & 0xF4 != 4:
            raise Wrong("control")
        at, block = 5, 0
        if data[4] & 8:
            at, block = 5 + data[5], data[6]
        end = len(data) - 2
        if block in (0x16, 0x18):
            end -= 4
            session = self.session
            r_mac = session.chain(data[:end], session.c_mac)
            if data[end : end + 4] != r_mac[:4]:
                raise Wrong("MAC")
            inner = data[at + 1 : end]
            if block == 0x18:
                before = bytes(n ^ 255 for n in session.c_mac)
                plain = b""
                for n in range(0, len(inner), 16):
                    plain += mixed(session.dec.decrypt(inner[n : n + 16]), before)
                    before = inner[n : n + 16]
                inner = plain[: plain.rfind(b"\x80")]
            session.r_mac = r_mac
            return Reply(data[4] & 3, block, data[at], inner)
        reply = Reply(data[4] & 3, block, data[at], data[at + 1 : end])
        if reply.code == RMAC_I and reply.data != self.session.r_mac:
            raise Wrong("R-MAC-I")
        return reply


class PanelSession:
    def __init__(self, enc, mac1, mac2):
        self.enc = aes(enc, 1)
        self.dec = aes(enc, 1)
        self.mac1 = aes(mac1, 1)
        self.mac2 = aes(mac2, 1)
        self.r_mac = self.c_mac = b""

    def chain(self, data, before):
        data = padded(data, False)
        if len(data) > 16:
            before = cbc(self.mac1, data[:-16], before)[-16:]
        return self.mac2.encrypt(mixed(data[-16:], before))
