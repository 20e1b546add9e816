"""`python -m tests.keeper.door SOCKET -- run unit.toml`: the unit's own command on kept pins.

Nothing of the product is replaced: gpiozero is told which pins there are, as it is on a Pi.
"""

import sys

import gpiozero

from tests.keeper.pins import KeptFactory


def main() -> object:
    match sys.argv[1:]:
        case [path, "--", *command]:
            gpiozero.Device.pin_factory = KeptFactory(path)
            sys.argv = ["menshen-edge", *command]
            from edge.__main__ import main as edge_main  # after the pins: as late as on a Pi

            return edge_main()
    sys.exit("usage: python -m tests.keeper.door SOCKET -- run UNIT.TOML")


if __name__ == "__main__":
    sys.exit(main())
