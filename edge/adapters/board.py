"""Which board this is: a card taken from another door must not open this one.

A card is bound to the board that its `unit.toml` names, else to the first one that it runs on. What
a card's thief can copy, he can also change: what stops him is that a unit's card holds nothing that
opens another door, and that the centre sees one name twice (edge/wire/threats.md).
"""

import logging
from pathlib import Path

from edge import files
from edge.wire.unit import ConfigError

SERIAL = Path("/proc/device-tree/serial-number")
"""16 hexadecimal digits and a NUL on a Raspberry Pi (device tree, `serial-number`)."""

log = logging.getLogger("menshen")

FILE = "board"


def serial(path: Path = SERIAL) -> str | None:
    """The board's own number; None: this machine has none."""
    try:
        number = path.read_bytes().rstrip(b"\0\n").decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return number if number.isalnum() and len(number) <= 32 else None


def bind(state: Path, named: str | None, here: str | None) -> bool:
    """Hold the card to this board; whether it was bound now, by its first start.

    `named`: the board in unit.toml; `here`: this board's number. Raises ConfigError when the card
    belongs to another, or cannot be bound.
    """
    file = state / FILE
    try:
        bound = named or (file.read_text("ascii").strip() if file.exists() else None)
        if bound is None and here is not None:
            state.mkdir(parents=True, exist_ok=True)
            files.replace(file, f"{here}\n".encode("ascii"))
            return True
    except UnicodeDecodeError:
        raise ConfigError(
            f"{file} does not hold a board's number; say that this is its board: "
            "menshen-edge rebind"
        ) from None
    except OSError as error:  # a disk that is lost must not keep the unit from starting
        log.warning("%s cannot be used (%s): this card is not bound to this board", file, error)
        return False
    if bound is not None and bound != here:
        raise ConfigError(
            f"this card belongs to the board {bound}, and this is {here or 'a machine without one'}"
            "; put it back, or, if the board was replaced, run: menshen-edge rebind"
        )
    return False


def rebind(state: Path, named: str | None, here: str | None) -> None:
    """The board was replaced: the card belongs to this one from now on. Raises ConfigError."""
    if here is None:
        raise ConfigError("this machine has no serial number, so no card can be bound to it")
    if named is not None and named != here:
        raise ConfigError(
            f"unit.toml itself names the board {named}; write {here} there, or take the line out"
        )
    try:
        state.mkdir(parents=True, exist_ok=True)
        files.replace(state / FILE, f"{here}\n".encode("ascii"))
    except OSError as error:
        raise ConfigError(f"{state / FILE} cannot be written ({error.strerror})") from None
