"""MicroPython runs this file after power-on. It never returns, so there is never a prompt.

It is frozen, so a main.py on the flash cannot replace it.
"""

import micropython

micropython.kbd_intr(-1)  # Ctrl-C is plain data; MicroPython enables it before it runs this file

try:
    from loop import run

    run()
finally:
    while True:  # until the watchdog resets the chip
        pass
