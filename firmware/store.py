"""What the controller keeps on its flash: key and settings, the latch, its starts, the last fault.

Only what `os` and `open` can do, so it runs in every test. A file is written beside the old one,
read back, and then takes its place in one step: after a power cut there is the old one or the new
one. What cannot be read is told, never guessed. Source: firmware/flashing.md.
"""

import json
import os

CONFIGURATION = "controller.json"
LATCHED = "latched"
STARTS = "starts"
FAULT = "fault"
FAULT_CHARACTERS_MAX = 120

BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200)  # edge/wire/unit.py, Controlled.baud
LATCHES = ("none", "tamper", "link", "both")
ADDRESS_MAX = 126  # 127 speaks to everybody
KEY_LEN = 16
DEFAULT_KEY = bytes(range(0x30, 0x40))  # SCBK-D, printed in the standard


class TornSettings(ValueError):
    """A stored file is not what was written."""


class Settings:
    """What a paired controller knows: `key` (16 bytes), `address`, `baud`, `latch`."""

    def __init__(self, key: bytes, address: int, baud: int, latch: str) -> None:
        """Raises: ValueError, with one sentence for an installer, where a setting is no good."""
        if len(key) != KEY_LEN:
            raise ValueError("the key is not 16 bytes")
        if key == DEFAULT_KEY:
            raise ValueError("this is the default key, which everybody knows")
        if key == key[:1] * KEY_LEN:
            raise ValueError("all bytes of the key are alike, so it is not a random one")
        if not 0 <= address <= ADDRESS_MAX:
            raise ValueError("the address is not 0 to 126")
        if baud not in BAUDS:
            raise ValueError("the baud is none of " + ", ".join(str(each) for each in BAUDS))
        if latch not in LATCHES:
            raise ValueError("the latch is none of " + ", ".join(LATCHES))
        self.key = key
        self.address = address
        self.baud = baud
        self.latch = latch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._all() == other._all()

    def _all(self) -> tuple[bytes, int, int, str]:
        return (self.key, self.address, self.baud, self.latch)


class Store:
    """The files in `folder`, which ends in a slash; on the controller its flash's root."""

    def __init__(self, folder: str = "/") -> None:
        self._folder = folder

    def settings(self) -> Settings | None:
        """What was paired, None where nothing ever was. Raises: Torn."""
        text = self._read(CONFIGURATION)
        if text is None:
            return None
        try:
            stored = json.loads(text)
            if stored["sum"] == _sum(stored):
                key = bytes.fromhex(stored["key"])
                return Settings(key, stored["address"], stored["baud"], stored["latch"])
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise TornSettings(CONFIGURATION + " is damaged")

    def keep(self, settings: Settings) -> None:
        """Store `settings` durably, and read them back. Raises: OSError, Torn."""
        stored: dict[str, object] = {
            "key": settings.key.hex(),
            "address": settings.address,
            "baud": settings.baud,
            "latch": settings.latch,
        }
        stored["sum"] = _sum(stored)
        self._write(CONFIGURATION, json.dumps(stored))
        if self.settings() != settings:
            raise TornSettings("what was stored reads differently")

    def latched(self) -> bool:
        """Whether it latched itself shut; True also where that cannot be read."""
        try:
            return self._read(LATCHED) is not None
        except (OSError, TornSettings):
            return True

    def latch(self, latched: bool) -> None:
        """Remember it over a power cut. Raises: OSError, Torn."""
        if latched:
            self._write(LATCHED, "1")
        elif self._read(LATCHED) is not None:
            os.remove(self._folder + LATCHED)

    def started(self) -> int:
        """Count this start durably; another number than at the starts before, below 2**24.
        Raises: OSError, Torn.
        """
        try:
            starts = (int(self._read(STARTS) or "0") + 1) & 0xFFFFFF
        except (ValueError, OSError):  # Torn is one; the random bytes alone then tell starts apart
            starts = 1
        self._write(STARTS, str(starts))
        return starts

    def fault(self) -> str:
        """What went wrong last, one line; empty where nothing did."""
        try:
            return self._read(FAULT) or ""
        except (OSError, TornSettings):
            return "the file of faults is damaged"

    def keep_fault(self, text: str) -> None:
        """Remember it for who comes to look; the same again spares the flash. Raises: OSError."""
        line = " ".join(text.split())[:FAULT_CHARACTERS_MAX]
        if line == self.fault():
            return
        if line:
            self._write(FAULT, line)
        else:
            os.remove(self._folder + FAULT)

    def _read(self, name: str) -> str | None:
        """What the file says, None where there is none. Raises: OSError, Torn."""
        if name not in os.listdir(self._folder):
            return None
        with open(self._folder + name, "rb") as file:
            stored = file.read()
        try:
            return str(stored, "utf-8")
        except ValueError:  # UnicodeError is one
            pass
        raise TornSettings(name + " is damaged")

    def _write(self, name: str, text: str) -> None:
        """Closing a file makes it durable there (littlefs), renaming one replaces in one step."""
        part = name + ".new"
        with open(self._folder + part, "wb") as file:
            file.write(text.encode())
        if self._read(part) != text:
            raise TornSettings(name + " could not be written")
        os.rename(self._folder + part, self._folder + name)


def _sum(stored: dict[str, object]) -> int:
    """A sum over every character of every field: damage, not malice, is what it finds."""
    text = "".join(str(stored[name]) + ";" for name in ("key", "address", "baud", "latch"))
    total = 1
    for byte in text.encode():
        total = (total * 31 + byte) % 0x3FFFFFF  # the product stays a small int
    return total
