"""Runs before any file on the flash and ensures that only this image's code is run.

By default MicroPython looks for modules on the flash first, and starts the bootloader when a
computer opens its USB port at 1200 baud. This file (frozen) restricts imports to frozen modules
and disables USB unless the pairing jumper is fitted. A unit outside that is connected to the
controller's USB socket can supply power and nothing else.
"""

import sys

import machine

machine.WDT(timeout=8_000)  # from here on a hang ends in a reset; board.py shortens the timeout
sys.path[:] = [".frozen"]

import board  # noqa: E402 -- needs the path set above

if not board.is_jumper_fitted():
    machine.USBDevice()  # once this object exists, MicroPython does not start USB
