"""The modules frozen into the controller's MicroPython, and the packages of micropython-lib.

For MicroPython's build: FROZEN_MANIFEST=firmware/manifest.py. `require` names packages of
micropython-lib. `logging=False` leaves that package out if it is not available (log.py works
without it), and `test=True` adds the tests' package.
"""

options.defaults(test=False, logging=True)  # noqa: F821 -- the build defines these names

freeze("$(PORT_DIR)/modules", ("_boot.py", "rp2.py"))  # noqa: F821 -- they mount the flash

module("backoff.py")  # noqa: F821
module("board.py")  # noqa: F821
module("boot.py")  # noqa: F821
module("controller.py")  # noqa: F821
module("frames.py")  # noqa: F821
module("guard.py", opt=3)  # noqa: F821
module("inputs.py")  # noqa: F821
module("latch.py")  # noqa: F821
module("lights.py")  # noqa: F821
module("log.py")  # noqa: F821
module("loop.py")  # noqa: F821
module("main.py")  # noqa: F821
module("pairing.py")  # noqa: F821
module("peripheral.py")  # noqa: F821
module("pins.py")  # noqa: F821
module("secure.py")  # noqa: F821
module("selftest.py")  # noqa: F821
module("store.py")  # noqa: F821
module("version.py")  # noqa: F821

if options.logging:  # noqa: F821
    require("logging")  # noqa: F821
if options.test:  # noqa: F821
    require("unittest")  # noqa: F821
