"""Files on the controller's flash: settings with the key, latch, count of starts, last fault.

Uses only `os` and `open`, so it runs in every test. A new file is written beside the old one, read
back, and then replaces it in one step: after a power cut either the old or the new file is there.
A damaged file is reported, never guessed. Source: firmware/flashing.md.
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
ADDRESS_MAX = 126  # 127 is the broadcast address
KEY_LEN = 16
DEFAULT_KEY = bytes(range(0x30, 0x40))  # SCBK-D, printed in the standard


class TornSettings(ValueError):
    """A stored file is damaged."""


class Settings:
    """The settings of a paired controller: `key` (16 bytes), `address`, `baud`, `latch`."""

    def __init__(self, key: bytes, address: int, baud: int, latch: str) -> None:
        """Raises: ValueError, with a sentence for the installer, if a setting is invalid."""
        if len(key) != KEY_LEN:
            raise ValueError("the key does not have 16 bytes")
        if key == DEFAULT_KEY:
            raise ValueError("this is the default key, which is public; use a random key")
        if key == key[:1] * KEY_LEN:
            raise ValueError("all bytes of the key are equal; use a random key")
        if not 0 <= address <= ADDRESS_MAX:
            raise ValueError("the address must be 0 to 126")
        if baud not in BAUDS:
            raise ValueError("the baud must be one of " + ", ".join(str(baud) for baud in BAUDS))
        if latch not in LATCHES:
            raise ValueError("the latch must be one of " + ", ".join(LATCHES))
        self.key = key
        self.address = address
        self.baud = baud
        self.latch = latch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self._fields() == other._fields()

    def _fields(self) -> tuple[bytes, int, int, str]:
        return (self.key, self.address, self.baud, self.latch)


class Store:
    """The files in `folder`, which ends in a slash; on the controller the flash's root."""

    def __init__(self, folder: str = "/") -> None:
        self._folder = folder

    def settings(self) -> Settings | None:
        """Return the settings, None if it was never paired. Raises: TornSettings."""
        text = self._read(CONFIGURATION)
        if text is None:
            return None
        try:
            fields = json.loads(text)
            if fields["sum"] == _sum(fields):
                key = bytes.fromhex(fields["key"])
                return Settings(key, fields["address"], fields["baud"], fields["latch"])
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise TornSettings(CONFIGURATION + " is damaged")

    def save(self, settings: Settings) -> None:
        """Store `settings` durably and read them back. Raises: OSError, TornSettings."""
        fields: dict[str, object] = {
            "key": settings.key.hex(),
            "address": settings.address,
            "baud": settings.baud,
            "latch": settings.latch,
        }
        fields["sum"] = _sum(fields)
        self._write(CONFIGURATION, json.dumps(fields))
        if self.settings() != settings:
            raise TornSettings("the stored settings differ when read back")

    def is_latched(self) -> bool:
        """Whether the latch is on; True also if the file cannot be read."""
        try:
            return self._read(LATCHED) is not None
        except (OSError, TornSettings):
            return True

    def save_latch(self, latched: bool) -> None:
        """Store the latch's state durably. Raises: OSError, TornSettings."""
        if latched:
            self._write(LATCHED, "1")
        elif self._read(LATCHED) is not None:
            os.remove(self._folder + LATCHED)

    def count_start(self) -> int:
        """Count this start durably; return a number below 2**24, different at each start.
        Raises: OSError, TornSettings.
        """
        try:
            starts = (int(self._read(STARTS) or "0") + 1) & 0xFFFFFF
        except (ValueError, OSError):  # TornSettings is one; then only the random bytes differ
            starts = 1
        self._write(STARTS, str(starts))
        return starts

    def fault(self) -> str:
        """Return the last fault in one line, empty if there is none."""
        try:
            return self._read(FAULT) or ""
        except (OSError, TornSettings):
            return "the fault file is damaged"

    def save_fault(self, text: str) -> None:
        """Store a fault for the installer; the same fault is not written twice. Raises: OSError."""
        line = " ".join(text.split())[:FAULT_CHARACTERS_MAX]
        if line == self.fault():
            return
        if line:
            self._write(FAULT, line)
        else:
            os.remove(self._folder + FAULT)

    def _read(self, name: str) -> str | None:
        """Return the file's text, None if there is no file. Raises: OSError, TornSettings."""
        if name not in os.listdir(self._folder):
            return None
        with open(self._folder + name, "rb") as file:
            data = file.read()
        try:
            return str(data, "utf-8")
        except ValueError:  # UnicodeError is one
            pass
        raise TornSettings(name + " is damaged")

    def _write(self, name: str, text: str) -> None:
        """Replace a file. In littlefs closing makes a file durable and renaming is atomic."""
        part = name + ".new"
        with open(self._folder + part, "wb") as file:
            file.write(text.encode())
        if self._read(part) != text:
            raise TornSettings(name + " was not written correctly")
        os.rename(self._folder + part, self._folder + name)


def _sum(fields: dict[str, object]) -> int:
    """Return a checksum of all fields. It detects damage, not an attacker's change."""
    text = "".join(str(fields[name]) + ";" for name in ("key", "address", "baud", "latch"))
    total = 1
    for byte in text.encode():
        total = (total * 31 + byte) % 0x3FFFFFF  # the product stays a small int
    return total
