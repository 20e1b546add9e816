"""Self-test with known answers at every start: a controller that fails it serves no door.

It detects a flash that lost a bit, or an image for another chip, before the door is in use.
"""

from cryptolib import aes
from guard import Guard

# NIST SP 800-38A, F.1.1 (ECB) and F.2.1 (CBC): AES-128, the first block.
KEY = b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c"
VECTOR = b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
PLAIN = b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a"
ECB = b"\x3a\xd7\x7b\xb4\x0d\x7a\x36\x60\xa8\x9e\xca\xf3\x24\x66\xef\x97"
CBC = b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d"

# The guard's bounds, repeated on purpose: the test must not take them from the code under test.
PULSE_MS, REST_MS, LINK_MS = 10_000, 250, 1_500
QUIET_MS = 10_000  # long enough to make more than one pulse available


def first_failure() -> str:
    """Return the first failure in a few words, empty if all tests pass."""
    return _aes() or _guard(0) or _guard(2**30 - QUIET_MS - 400)


def _aes() -> str:
    if aes(KEY, 1).encrypt(PLAIN) != ECB or aes(KEY, 1).decrypt(ECB) != PLAIN:
        return "AES gives a wrong result (ECB)"
    if aes(KEY, 2, VECTOR).encrypt(PLAIN) != CBC or aes(KEY, 2, VECTOR).decrypt(CBC) != PLAIN:
        return "AES gives a wrong result (CBC)"
    return ""


def _guard(at: int) -> str:
    """Test a guard from the time `at` on, in milliseconds."""
    guard = Guard(at)
    if guard.linked(at):
        return "the guard starts with a link"
    at += QUIET_MS
    if guard.relay_level(at) or guard.start_pulse(at, 100):
        return "the guard opens without a link"
    guard.note_frame(at)
    if guard.start_pulse(at, 0) or guard.start_pulse(at, -1) or guard.relay_level(at):
        return "the guard opens without an end"
    if guard.start_pulse(at, 1_000) != 1_000 or not guard.relay_level(at + 999):
        return "the guard does not open"
    if guard.start_pulse(at + 999, 1_000):
        return "the guard lengthens a running pulse"
    at += 1_000
    if guard.relay_level(at):
        return "the guard does not end a pulse"
    guard.note_frame(at)
    if guard.start_pulse(at, 100) or guard.start_pulse(at + REST_MS - 1, 100):
        return "the guard does not rest between pulses"
    at += REST_MS
    guard.note_frame(at)
    if guard.start_pulse(at, 2 * PULSE_MS) != PULSE_MS:
        return "the guard does not cut a long pulse"
    if not guard.relay_level(at + LINK_MS - 1) or guard.relay_level(at + LINK_MS):
        return "the guard does not notice a lost link"
    guard.note_frame(at + LINK_MS)
    if guard.relay_level(at + LINK_MS):
        return "the guard resumes a pulse after a lost link"
    return ""
