"""The firmware's `Controller` between two pipes, in MicroPython or CPython.

    line.py FOLDER... KEY ADDRESS LATCH LATCHED

The folders are where its modules are found. Lines come on standard input: `r HEX`, what came over
the serial line; `i LEVELS`, what the inputs say. To standard output go `s HEX`, what is sent, and
`o MS RELAY GREEN RED BUZZER LATCHED` at each change of the pins, MS by this program's own clock.
"""

import binascii
import os
import select
import sys
import time

TURN_MS = 5

*folders, key, address, latch, latched = sys.argv[1:]
sys.path[:0] = folders

from controller import Controller  # noqa: E402

if hasattr(time, "ticks_ms"):
    ticks_ms = time.ticks_ms
else:

    def ticks_ms():
        return time.monotonic_ns() // 1000000 % 2**30


def main():
    stdin = open(0, "rb", buffering=0)  # noqa: SIM115 -- a line, and not one byte more
    poll = select.poll()
    poll.register(stdin, select.POLLIN)
    door = Controller(
        None if key == "none" else binascii.unhexlify(key),
        int(address),
        latch,
        latched == "1",
        os.urandom,
        ticks_ms(),
        serial=b"\x01\x02\x03\x04",
    )
    levels, before = 0, None
    while True:
        if poll.poll(TURN_MS):
            line = stdin.readline()
            if not line:
                return
            if line[:1] == b"r":
                door.receive(binascii.unhexlify(line[2:].strip()), ticks_ms())
                answer = door.send()
                if answer:
                    print("s", binascii.hexlify(answer).decode())
            else:
                levels = int(line[2:])
        else:
            door.receive(b"", ticks_ms())
        pins = door.update(levels, ticks_ms())
        now = (pins.relay, pins.green, pins.red, pins.buzzer, door.latched)
        if now != before:
            before = now
            print("o", ticks_ms(), *(int(level) for level in now))
        if hasattr(sys.stdout, "flush"):
            sys.stdout.flush()


main()
