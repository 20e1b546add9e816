"""What is frozen into the controller's MicroPython, and what of micropython-lib it needs.

For MicroPython's build: FROZEN_MANIFEST=firmware/manifest.py; with the option `test` also what the
tests need. `require` names packages of micropython-lib.
"""

options.defaults(test=False)  # noqa: F821 -- the build gives these names

module("guard.py", opt=3)  # noqa: F821
require("logging")  # noqa: F821 -- for the loop that calls the guard (README.md)
if options.test:  # noqa: F821
    require("unittest")  # noqa: F821
