"""The key that a unit shares with its controller, and with nobody else: 16 bytes of AES.

In the file and in the pairing messages it is 32 hexadecimal digits.
"""

import re
import secrets
import stat
from pathlib import Path

from edge.wire.unit import ConfigError

KEY_LEN = 16

DEFAULT = b"0123456789:;<=>?"
"""SCBK-D, the key that everybody knows (SIA OSDP 2.2, annex D): never a pair's own."""

_DIGITS = re.compile(r"[0-9A-Fa-f]{32}")


class PairKeyError(ValueError):
    """It cannot be a pair's key; the message gives the reason."""


def new_key() -> bytes:
    """A new key from the system's random source."""
    while True:
        key = secrets.token_bytes(KEY_LEN)
        if _weak(key) is None:
            return key


def to_text(key: bytes) -> str:
    """As the file and the controller have it."""
    return key.hex()


def from_text(text: str) -> bytes:
    """Raises PairKeyError when `text` is no pair's key."""
    if not _DIGITS.fullmatch(text):
        raise PairKeyError(f"it has not the {2 * KEY_LEN} hexadecimal digits of one")
    key = bytes.fromhex(text)
    weak = _weak(key)
    if weak is not None:
        raise PairKeyError(weak)
    return key


def read(path: Path) -> bytes:
    """The key in the file `path`, which its owner alone may read. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = file.read(1024).decode("ascii", "replace")
    except OSError as error:
        raise ConfigError(
            f"the controller's key {path} cannot be read ({error.strerror}); bring the whole card "
            "to the unit, and let the user that runs it own the file"
        ) from None
    if mode & 0o077:
        raise ConfigError(
            f"the controller's key {path} can be read by others than its owner; chmod 600 {path}, "
            "and make a new pair if anybody else could have read it"
        )
    try:
        return from_text(text.strip())
    except PairKeyError as error:
        raise ConfigError(
            f"{path} is no controller's key: {error}; bring it back from the unit's card, or make "
            "a new one and pair the controller with it"
        ) from None


def _weak(key: bytes) -> str | None:
    if key == DEFAULT:
        return "it is the default key, which everybody knows"
    if len(set(key)) == 1:
        return "all its bytes are alike"
    return None
