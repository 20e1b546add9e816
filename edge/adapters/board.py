"""Binds a card to one board, so that a card from another door does not run on this one.

A card is bound to the board in its `unit.toml`, or else to the first board on which it runs. This
does not stop a thief, who can change what he copies. Two other things do: a unit's card contains
nothing that opens another door, and the centre sees one name twice (edge/wire/threats.md).
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
    """The board's serial number; None: this machine has none."""
    try:
        number = path.read_bytes().rstrip(b"\0\n").decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return number if number.isalnum() and len(number) <= 32 else None


def bind(state: Path, configured: str | None, present: str | None) -> bool:
    """Bind the card at its first start, and check the binding at later ones.

    `configured`: the serial number in unit.toml; `present`: that of this board. Returns whether the
    card was bound now. Raises ConfigError if the card belongs to another board or cannot be bound.
    """
    file = state / FILE
    try:
        bound = configured or (file.read_text("ascii").strip() if file.exists() else None)
        if bound is None and present is not None:
            state.mkdir(parents=True, exist_ok=True)
            files.replace(file, f"{present}\n".encode("ascii"))
            return True
    except UnicodeDecodeError:
        raise ConfigError(
            f"{file} does not hold a board's number; to bind the card to this board, run: "
            "menshen-edge rebind"
        ) from None
    except OSError as error:  # a lost disk must not keep the unit from starting
        log.warning("%s cannot be used (%s): this card is not bound to this board", file, error)
        return False
    if bound is not None and bound != present:
        this = present or "a machine without a serial number"
        raise ConfigError(
            f"this card belongs to the board {bound}, and this is {this}; put it back, or, if the "
            "board was replaced, run: menshen-edge rebind"
        )
    return False


def rebind(state: Path, configured: str | None, present: str | None) -> None:
    """Bind the card to this board after the old one was replaced. Raises ConfigError.

    The parameters are those of `bind`.
    """
    if present is None:
        raise ConfigError("this machine has no serial number, so no card can be bound to it")
    if configured is not None and configured != present:
        raise ConfigError(
            f"unit.toml names the board {configured}; write {present} there, or remove the line"
        )
    try:
        state.mkdir(parents=True, exist_ok=True)
        files.replace(state / FILE, f"{present}\n".encode("ascii"))
    except OSError as error:
        raise ConfigError(
            f"{state / FILE} cannot be written ({error.strerror}); make {state} writable"
        ) from None
