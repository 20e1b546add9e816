"""`python -m tests.keeper.door SOCKET -- run unit.toml`: the unit's own command on kept pins.

Nothing of the product is replaced: gpiozero is only told which pins there are.
"""

import sys

import gpiozero

from tests.keeper import KeeperLost
from tests.keeper.pins import KeptFactory


def main() -> None:
    match sys.argv[1:]:
        case [path, "--", *command]:
            try:
                gpiozero.Device.pin_factory = KeptFactory(path)
            except KeeperLost as error:
                sys.exit(f"{error}; start one: python -m tests.keeper {path} LEDGER")
            sys.argv = ["menshen-edge", *command]
            from edge.__main__ import main as edge_main  # after the pins: as late as on a Pi

            edge_main()
        case _:
            sys.exit("usage: python -m tests.keeper.door SOCKET -- run UNIT.TOML")


if __name__ == "__main__":
    main()
