"""Generate drawings and tables: `make drawings`, or `python -m hardware.drawings`."""

import shutil
import sys
from pathlib import Path

from edge.wire.decode import DecodeError
from hardware import pins
from hardware.drawings import bom, firmware, locks, mounting, pictures, wiring

HARDWARE = Path(__file__).parents[1]


def main() -> int:
    """Write drawings, bom.csv and firmware/pins.py; return 2 on a broken rule or missing tool."""
    try:
        problems = list(pins.violations(pins.read()))
        wiring.read()
        mounting.read()
    except DecodeError as error:
        print(f"pins.toml, wiring.toml or mounting.toml cannot be read: {error}", file=sys.stderr)
        return 2
    for tool in ("dot", "rsvg-convert"):
        if shutil.which(tool) is None:
            problems.append(f"{tool} is missing; run: make .cache/apt-drawings")
    try:
        harnesses = {name: wiring.text(name) for name in wiring.DRAWINGS}
    except wiring.WiringError as error:
        problems.append(str(error))
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    for name, source in harnesses.items():
        pictures.write_harness(source, HARDWARE, name)
    for page, draw in locks.DRAWINGS.items():
        pictures.write_page(draw(), HARDWARE, page)
    pictures.write_page(mounting.svg(), HARDWARE, "mounting")
    (HARDWARE / "bom.csv").write_text(bom.text(), encoding="utf-8")
    (HARDWARE.parent / "firmware" / "pins.py").write_text(firmware.source(), encoding="utf-8")
    print("Wrote the drawings and bom.csv in hardware/, and firmware/pins.py.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
