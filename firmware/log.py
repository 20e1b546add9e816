"""What the controller says of itself over USB: its start, its faults. Never who passed, or when.

micropython-lib's `logging` where it is frozen in (manifest.py), plain lines where it is not. While
it serves a door its USB is dead (boot.py): then only the last fault is kept (store.py).
"""

try:
    import logging
except ImportError:
    logging = None

if logging is not None:
    logging.basicConfig(level=logging.INFO)
    logging.getLogger("controller").setLevel(logging.INFO)


def say(text: str) -> None:
    """One line: something is as it should be."""
    if logging is None:
        print(text)
    else:
        logging.getLogger("controller").info(text)


def warn(text: str) -> None:
    """One line: something is wrong."""
    if logging is None:
        print("wrong: " + text)
    else:
        logging.getLogger("controller").error(text)
