"""Frozen, and run before anything that lies on the flash: nothing but this image is ever run.

MicroPython looks for modules on the flash first, and starts the bootloader when a computer opens
its USB port at 1200 baud. Here the frozen modules are the only ones, and USB stays dead unless the
pairing jumper is fitted: a unit outside that feeds the controller through its USB socket can give
it current and nothing else.
"""

import sys

import machine

machine.WDT(timeout=8_000)  # from here on, whatever hangs is reset; board.py makes it shorter
sys.path[:] = [".frozen"]

import board  # noqa: E402 -- only now is the path the right one

if not board.jumper():
    machine.USBDevice()  # once it is there, MicroPython starts no USB by itself
