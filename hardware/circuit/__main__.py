"""Regenerate schematic, pages and simulation: `python -m hardware.circuit`, or `make circuit`."""

import subprocess
import sys
from pathlib import Path

from hardware.circuit import kicad, make, picture
from hardware.circuit.simulate import Netlist

HERE = Path(__file__).parent


def main() -> int:
    make.main()
    with kicad.working_copy() as folder:
        if violations := kicad.violations(folder):
            print("\n".join(violations), file=sys.stderr)
            return 2
        for name, svg in kicad.pages(folder).items():
            file = HERE / f"{name}.svg"
            file.write_text(svg, encoding="utf-8")
            subprocess.run(
                ["rsvg-convert", "--width", "1800", "--output", file.with_suffix(".png"), file],
                check=True,
            )
        picture.draw(Netlist(kicad.netlist(folder)), HERE / "simulation.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
