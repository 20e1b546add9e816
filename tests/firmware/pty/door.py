"""The firmware with simulated pins, in MicroPython on Unix. Started by harness.py:

    door.py FIRMWARE KEY LATCH LATCHED CLOCK LINE

LINE is the descriptor of the line, a pseudo-terminal; 0 gives the pins' commands, 1 takes their
history; none of them blocks. Commands, one a line:

    levels N    the inputs' bits (firmware/inputs.py)
    at N        the clock, where CLOCK is `driven`; answered by `at N`

History, one a line: `out MS RELAY GREEN RED BUZZER` at each change (the heartbeat left out),
`latched 0` or `latched 1`, `linked 0` or `linked 1`; MS are those of the controller's clock.
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


def now_ms():
    return (at_ms if DRIVEN else time.ticks_ms()) & 0x3FFFFFFF


def write(data):
    while data:
        n = line.write(data)
        data = data[n or 0 :]


controller = Controller(
    bytes.fromhex(key) if key != "none" else None, 0, latch, latched == "1", os.urandom, now_ms()
)
poll = select.poll()
poll.register(line, select.POLLIN)
poll.register(commands, select.POLLIN)
levels = 0
was = was_latched = was_linked = None
held = b""
while True:
    came = poll.poll(-1 if DRIVEN else 2)
    for file, event in came:
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
        elif event & select.POLLIN:
            data = line.read(256)
            if data:
                controller.receive(data, now_ms())
                answer = controller.send()
                if answer:
                    write(answer)
    now = now_ms()
    out = controller.turn(levels, now)
    pins = (int(out.relay), int(out.green), int(out.red), int(out.buzzer))
    if pins != was:
        was = pins
        print("out", now, *pins)
    if controller.latched != was_latched:
        was_latched = controller.latched
        print("latched", int(was_latched))
    linked = controller.linked(now)
    if linked != was_linked:
        was_linked = linked
        print("linked", int(linked))
    if DRIVEN and any(file is commands for file, _ in came):
        print("at", now)
