"""OSDP's secure channel, the device's end. Source: SIA OSDP 2.2, Annex D; AES-128 throughout.

The panel sends 8 random bytes (CHLNG); the device answers with 8 bytes and a cryptogram (CCRYPT);
the panel proves that it has the key (SCRYPT); then both have the session's keys. From then on each
frame carries a MAC that is chained to the frame before it, so a frame fails after one was lost,
and a repeated or recorded frame fails. One `Session` is one chain and is never reused.
"""

from cryptolib import aes

_ECB = 1

DEFAULT_KEY = b"0123456789:;<=>?"  # SCBK-D, which is public


def is_usable_key(key):
    """Whether `key` has 16 bytes, is not the default key, and its bytes are not all equal."""
    if key is None or len(key) != 16 or key == DEFAULT_KEY:
        return False
    return key != key[:1] * 16


def equal(a, b):
    """Compare in constant time."""
    if len(a) != len(b):
        return False
    difference = 0
    for n in range(len(a)):
        difference |= a[n] ^ b[n]
    return difference == 0


def unique_challenge(key, starts, challenges, noise):
    """Return 8 bytes for a challenge, unpredictable and never used before.

    This holds even if `noise`, 8 random bytes, never changes: a Pico takes them from one bit of its
    ring oscillator, which an attacker may lock from outside. `starts` counts modulo 2**24,
    `challenges` modulo 2**30, which takes a flood of frames weeks.
    """
    counters = (starts & 0xFFFFFF).to_bytes(3, "big") + (challenges & 0x3FFFFFFF).to_bytes(4, "big")
    block = b"\x02" + counters + noise  # blocks for session keys begin with 01
    return aes(key, _ECB).encrypt(block)[:8]


class Session:
    """One session: `rnd_a` is the panel's 8 random bytes, `rnd_b` the device's."""

    def __init__(self, key, rnd_a, rnd_b):
        scbk = aes(key, _ECB)
        enc = scbk.encrypt(b"\x01\x82" + rnd_a[:6] + bytes(8))
        self._enc = aes(enc, _ECB)
        self._dec = aes(enc, _ECB)  # one object works in one direction
        self._mac1 = aes(scbk.encrypt(b"\x01\x01" + rnd_a[:6] + bytes(8)), _ECB)
        self._mac2 = aes(scbk.encrypt(b"\x01\x02" + rnd_a[:6] + bytes(8)), _ECB)
        self.cryptogram = self._enc.encrypt(rnd_a + rnd_b)
        self._expected = self._enc.encrypt(rnd_b + rnd_a)
        self._c_mac = bytes(16)
        self._r_mac = bytes(16)

    def check_proof(self, cryptogram):
        """Check the panel's cryptogram; return R-MAC-I, None if it is wrong."""
        if not equal(cryptogram, self._expected):
            return None
        self._r_mac = self._mac2.encrypt(self._mac1.encrypt(bytes(cryptogram)))
        return self._r_mac

    def verify(self, signed, mac):
        """Whether a command's MAC is right; only then the chain advances."""
        c_mac = self._chain(signed, self._r_mac)
        if not equal(mac, c_mac[:4]):
            return False
        self._c_mac = c_mac
        return True

    def sign(self, signed):
        """Return the 4 bytes of a reply's MAC and advance the chain."""
        self._r_mac = self._chain(signed, self._c_mac)
        return self._r_mac[:4]

    def decrypt(self, data):
        """Return a verified command's data, None if the padding is wrong."""
        if not data or len(data) % 16:
            return None
        plain = bytearray()
        before = _inverted(self._r_mac)
        for at in range(0, len(data), 16):
            block = bytes(data[at : at + 16])
            plain += _xor(self._dec.decrypt(block), before)
            before = block
        end = len(plain)
        while end and plain[end - 1] == 0:
            end -= 1
        if not end or plain[end - 1] != 0x80 or len(plain) - end >= 16:
            return None
        return bytes(plain[: end - 1])

    def encrypt(self, data):
        """Return a reply's data, padded and encrypted."""
        data = data + b"\x80" + bytes(15 - len(data) % 16)
        code = b""
        before = _inverted(self._c_mac)
        for at in range(0, len(data), 16):
            before = self._enc.encrypt(_xor(data[at : at + 16], before))
            code += before
        return code

    def _chain(self, signed, before):
        """CBC-MAC: all blocks but the last with S-MAC1, the last with S-MAC2."""
        if len(signed) % 16:
            signed = signed + b"\x80" + bytes(15 - len(signed) % 16)
        last = len(signed) - 16
        for at in range(0, last, 16):
            before = self._mac1.encrypt(_xor(signed[at : at + 16], before))
        return self._mac2.encrypt(_xor(signed[last:], before))


def _xor(a, b):
    mixed = bytearray(16)
    for n in range(16):
        mixed[n] = a[n] ^ b[n]
    return mixed


def _inverted(block):
    return bytes(byte ^ 0xFF for byte in block)
