"""The firmware with simulated pins, in MicroPython on Unix. Started by harness.py:

    door.py FIRMWARE KEY LATCH LATCHED CLOCK LINE

LINE is the descriptor of the line, a pseudo-terminal; 0 gives the pins' commands, 1 takes their
history; none of them blocks. Commands, one a line:

    levels N    the inputs' bits (firmware/inputs.py)
    at N        the clock, where CLOCK is `driven`; answered by `at N`

History, one a line: `out MS RELAY GREEN RED BUZZER` at each change (the heartbeat left out),
`latched 0` or `latched 1`, `linked 0` or `linked 1`; MS are those of the controller's clock.
`stalled MS`: two turns were so far apart, and what was due in between is late by as much.
"""

import os
import select
import sys
import time

firmware, key, latch, latched, clock, descriptor = sys.argv[1:]
sys.path.insert(0, firmware)

from controller import Controller  # noqa: E402 -- found only now

DRIVEN = clock == "driven"
line = open(int(descriptor), "r+b", buffering=0)  # noqa: PTH123, SIM115 -- MicroPython
commands = open(0, "rb", buffering=0)  # noqa: SIM115
at_ms = 0
STALLED_MS = 50  # between two turns: this machine let the process wait, which a Pico never does


def now_ms():
    return (at_ms if DRIVEN else time.ticks_ms()) & 0x3FFFFFFF


def write(data):
    while data:
        n = line.write(data)
        data = data[n or 0 :]


controller = Controller(
    bytes.fromhex(key) if key != "none" else None, 0, latch, latched == "1", os.urandom, now_ms()
)
levels = 0
turned_ms = now_ms()
was = [None, None, None]


def turn():
    """One turn of the loop; tell what changed."""
    global turned_ms
    now = now_ms()
    stalled = (now - turned_ms) & 0x3FFFFFFF
    turned_ms = now
    if stalled > STALLED_MS and not DRIVEN:
        print("stalled", stalled)
    out = controller.update(levels, now)
    pins = (int(out.relay), int(out.green), int(out.red), int(out.buzzer))
    news = (pins, int(controller.latched), int(controller.linked(now)))
    if pins != was[0]:
        print("out", now, *pins)
    if news[1] != was[1]:
        print("latched", news[1])
    if news[2] != was[2]:
        print("linked", news[2])
    was[:] = news


poll = select.poll()
poll.register(line, select.POLLIN)
poll.register(commands, select.POLLIN)
held = b""
turn()
while True:
    for file, event in poll.poll(-1 if DRIVEN else 2):
        if file is commands:
            data = commands.read(4096)
            if data == b"":
                sys.exit()
            held += data or b""
            *whole, held = held.split(b"\n")
            for text in whole:
                word, value = text.split()
                if word == b"levels":
                    levels = int(value)
                elif word == b"at":
                    at_ms = int(value)
                turn()
                if word == b"at":
                    print("at", at_ms)
        elif event & select.POLLIN:
            data = line.read(256)
            if data:
                controller.receive(data, now_ms())
                answer = controller.send()
                turn()  # the pin before the answer: who hears it finds it so
                if answer:
                    write(answer)
    turn()
