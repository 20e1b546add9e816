"""What the controller says of itself: starts, links, latches, faults. Never who passed, nor when.

micropython-lib's `logging` where it is frozen in (manifest.py), plain lines where it is not. The
last lines are kept in RAM for who fits the jumper and looks (flashing.md).
"""

try:
    import logging
except ImportError:
    logging = None  # type: ignore[assignment]

LINES_MAX = 20

lines: "list[str]" = []

if logging is not None:
    logging.basicConfig(level=logging.INFO)


def say(text: str) -> None:
    """One line: something happened that is as it should be."""
    _keep(text)
    if logging is None:
        print(text)
    else:
        logging.getLogger("menshen").info(text)


def warn(text: str) -> None:
    """One line: something is wrong."""
    _keep("wrong: " + text)
    if logging is None:
        print("wrong: " + text)
    else:
        logging.getLogger("menshen").error(text)


def _keep(text: str) -> None:
    if len(lines) == LINES_MAX:
        del lines[0]
    lines.append(text)
