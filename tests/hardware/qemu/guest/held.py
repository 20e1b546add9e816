#!/usr/bin/python3
"""A program that knows nothing of doors: `held.py PIN` drives a pin high by gpiozero until it is
killed, `held.py PIN close` closes it at once.
"""

import sys
import time

import gpiozero

pin = gpiozero.DigitalOutputDevice(int(sys.argv[1]), initial_value=True)
print(type(pin.pin_factory).__name__, pin.pin_factory.board_info.model, flush=True)
if sys.argv[2:] == ["close"]:
    pin.close()
    sys.exit()
time.sleep(600)
