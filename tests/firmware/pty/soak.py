"""Hours of polling in real time: libosdp's control panel and the firmware, over a pseudo-terminal.

    python -m tests.firmware.pty.soak --hours 1

Prints a line a minute; ends with exit code 1 as soon as the session drops, a pulse is shorter or
much longer than it should be, or an input's change is not told. Where the machine is too busy for
1.5 s, the controller refuses what was held up; that is counted.
"""

import argparse
import sys
import time
from pathlib import Path

from tests.firmware.pty.harness import KEY, Running
from tests.firmware.pty.libosdp import INPUT, ControlPanel

PULSE_MS = 500
LATE_MS_MAX = 60  # and as long as this machine let the firmware wait (door.py)
EVERY_S = 10.0


def memory_kib(pid: int) -> int:
    """What a process holds of memory, VmRSS of /proc."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def soak(hours: float) -> str:
    """Return what went wrong, "" if nothing."""
    with Running() as door, ControlPanel(door.port, KEY) as panel:
        if not panel.wait(lambda: panel.secure, 5):
            return "no session within 5 s"
        start = time.monotonic()
        next_s, rounds, longest_ms, losses = start + EVERY_S, 0, 0, door.losses
        panel.wait(lambda: False, 1)
        while time.monotonic() < start + hours * 3600:
            panel.wait(lambda: not panel.secure, next_s - time.monotonic())
            if not panel.secure:
                return f"the session dropped after {time.monotonic() - start:.0f} s"
            next_s += EVERY_S
            rounds += 1
            before, panel.told[:] = len(door.pulses()), []
            stalled_ms = door.stalled_ms
            door.levels = 1 << rounds % 6
            panel.pulse(PULSE_MS)

            def told(bit: int = rounds % 6) -> bool:
                return any(kind == INPUT and report[bit] for kind, report in panel.told)

            panel.wait(lambda before=before: len(door.pulses()) > before, 3)
            panel.wait(told, 10)  # an answer that this machine held up is said again after a second
            new = door.pulses()[before:]
            if not new and door.losses > losses:  # OUT was held up for 1.5 s, and so refused
                losses = door.losses
                continue
            stalled_ms = door.stalled_ms - stalled_ms
            if len(new) != 1 or not -5 <= new[0] - PULSE_MS <= LATE_MS_MAX + stalled_ms:
                return f"a pulse of {PULSE_MS} ms was {new}, with {stalled_ms} ms stalled"
            longest_ms = max(longest_ms, new[0])
            if not told():
                return f"input {rounds % 6} was not told: {panel.told}"
            if len(door.history) > 1000:
                del door.history[:500]
            if rounds % 6 == 0:
                at_s = time.monotonic() - start
                print(
                    f"{at_s / 60:6.1f} min: {panel.port.sent} frames sent, "
                    f"{panel.port.sent / at_s:.1f} a second, "
                    f"{rounds} pulses of {PULSE_MS} to {longest_ms} ms, "
                    f"{door.losses} silences of 1.5 s, {door.stalled_ms} ms stalled, "
                    f"firmware holds {memory_kib(door.pid)} KiB",
                    flush=True,
                )
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    hours = parser.parse_args().hours
    wrong = soak(hours)
    print(wrong or f"{hours} h in one session: no drop, each pulse whole, each change told")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
