"""The firmware's pairing at the end of two pipes: `usb.py FIRMWARE TESTS FLASH`."""

import sys

firmware, tests, flash = sys.argv[1:]
sys.path[:0] = [firmware, tests]

from cryptolib import aes  # noqa: E402
from pairing import Pairing  # noqa: E402
from store import Store  # noqa: E402

pairing = Pairing(
    "e6614103e7", "0.1.0", Store(flash), lambda key, block: aes(key, 1).encrypt(block)
)
for line in sys.stdin:
    sys.stdout.write(pairing.receive(line.encode()).decode())
    sys.stdout.flush()
