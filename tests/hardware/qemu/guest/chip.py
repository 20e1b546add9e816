#!/usr/bin/python3
"""What lgpio says of the chip behind /dev/gpiochip0, and whether the kernel tells it edges.

Edges are asked for on pin 4; whoever reads the first line drives it from outside.
"""

import time

import lgpio

chip = lgpio.gpiochip_open(0)
_, lines, name, label = lgpio.gpio_get_chip_info(chip)
edges = []
lgpio.gpio_claim_alert(chip, 4, lgpio.BOTH_EDGES)
lgpio.callback(chip, 4, lgpio.BOTH_EDGES, lambda *edge: edges.append(edge))
before = lgpio.gpio_read(chip, 4)
print(label, lines, flush=True)
until_s = time.monotonic() + 60
while lgpio.gpio_read(chip, 4) == before and time.monotonic() < until_s:
    time.sleep(0.05)
time.sleep(1)
print(before, lgpio.gpio_read(chip, 4), len(edges), flush=True)
