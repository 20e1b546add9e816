"""Log lines over USB: the start and the faults. Never who passed, or when.

Uses micropython-lib's `logging` if it is frozen in (manifest.py), else prints plain lines. While it
serves a door, USB is disabled (boot.py) and only the last fault is stored (store.py).
"""

try:
    import logging
except ImportError:
    logging = None

if logging is not None:
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("controller").setLevel(logging.INFO)


def info(text: str) -> None:
    """Log one line about normal operation."""
    if logging is None:
        print(text)
    else:
        logging.getLogger("controller").info(text)


def error(text: str) -> None:
    """Log one line about a fault."""
    if logging is None:
        print("error: " + text)
    else:
        logging.getLogger("controller").error(text)
