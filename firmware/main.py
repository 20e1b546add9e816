"""Run by MicroPython from power-on, and never left: its prompt is behind this file.

Frozen, so that no main.py on the flash takes its place.
"""

import micropython

micropython.kbd_intr(-1)  # Ctrl-C is a letter; MicroPython allows it anew before it runs this file

try:
    from loop import run

    run()
finally:
    while True:  # until the watchdog resets the chip
        pass
