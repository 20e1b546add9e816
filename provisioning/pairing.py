"""Stores a unit's key in its controller, over USB. The other end is `firmware/pairing.py`.

Each message is one line of ASCII that ends with LF. The controller answers only while its pairing
jumper is fitted:

    > menshen?                              < menshen-controller 1 SERIAL VERSION CHECK|none
    > pair KEY ADDRESS BAUD LATCH           < paired CHECK, or: refused WHY

CHECK is the key's check value: the first 3 bytes of AES-128 of 16 zero bytes, in hexadecimal.
"""

import re
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from edge.wire import pair_key as pair_keys
from edge.wire import unit as wire
from provisioning.files import ProvisioningError
from provisioning.units import UNIT

LATCHES = ("none", "tamper", "link", "both")
ANSWER_S = 3.0
LINE_LEN_MAX = 200

_CONTROLLER = re.compile(
    r"menshen-controller 1 (?P<serial>[0-9a-f]{1,32}) (?P<version>[!-~]{1,32}) "
    r"(?P<check>[0-9a-f]{6}|none)"
)
_PAIRED = re.compile(r"paired (?P<check>[0-9a-f]{6})")
_REFUSED = re.compile(r"refused (?P<why>[ -~]{1,160})")


@dataclass(frozen=True, slots=True)
class PairingResult:
    """The result of pairing a controller with a unit."""

    unit: str
    serial: str  # of the controller
    version: str  # of its firmware
    before: str  # check value of its previous key, or none
    check: str  # check value of its key now

    @property
    def sentence(self) -> str:
        """The result as text for people."""
        if self.before == self.check:
            history = "It had this key already."
        elif self.before == "none":
            history = "It had no key."
        else:
            history = "It had another key, which is gone: that key's unit can no longer use it."
        return (
            f"The controller {self.serial} (firmware {self.version}) has the key of unit "
            f"{self.unit}, check value {self.check}. {history}"
        )


def check_value(key: bytes) -> str:
    """A short value that differs between keys and reveals nothing of the key."""
    encryptor = Cipher(AES(key), modes.ECB()).encryptor()  # noqa: S305 -- one block, of zeros
    return (encryptor.update(bytes(16)) + encryptor.finalize())[:3].hex()


def pair(card: Path, port: str, latch: str) -> PairingResult:
    """Store the key of `card` in the controller at `port`. Raises ProvisioningError."""
    if latch not in LATCHES:
        raise ProvisioningError(
            f"{latch[:60]!r} is not a value of --latch; choose {', '.join(LATCHES[:-1])} or "
            f"{LATCHES[-1]}"
        )
    try:
        unit = wire.read(card / UNIT)
        if not isinstance(unit.door, wire.ControllerDoor):
            raise ProvisioningError(
                f"unit {unit.site}/{unit.name} has no controller and drives its door itself; make "
                "a unit with a controller with: menshen-provision unit … --controller PORT"
            )
        key = pair_keys.read(Path(unit.door.key))
    except wire.ConfigError as error:
        raise ProvisioningError(str(error)) from None
    with _UsbLine(port) as line:
        controller = line.ask("menshen?", _CONTROLLER, _NO_CONTROLLER)
        settings = f"{pair_keys.to_text(key)} {unit.door.address} {unit.door.baud} {latch}"
        paired = line.ask(f"pair {settings}", _PAIRED, _NO_REPLY)
    check = check_value(key)
    if paired["check"] != check:
        raise ProvisioningError(
            f"the controller at {port} has stored a wrong key (check value {paired['check']}, not "
            f"{check}); repeat the step, with another cable if it fails again"
        )
    return PairingResult(
        f"{unit.site}/{unit.name}",
        controller["serial"],
        controller["version"],
        controller["check"],
        check,
    )


class _UsbLine:
    """The controller's serial port over USB. Every method raises ProvisioningError."""

    def __init__(self, port: str) -> None:
        import serial  # of the extra `provisioning`

        self._name = port
        try:
            self._port = serial.Serial(
                port, 115200, timeout=0.1, write_timeout=ANSWER_S, exclusive=True
            )
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            why = {
                2: "there is no such port; name the controller's from `ls /dev/serial/by-id/*`",
                11: "another program uses it; stop that program first",
                13: "this user may not open it; add the user to the group dialout, or use sudo",
            }.get(number or 0, "it is not a serial port; name the controller's, like /dev/ttyACM0")
            raise ProvisioningError(f"{port} cannot be opened: {why}") from None

    def __enter__(self) -> "_UsbLine":
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def ask(self, line: str, pattern: re.Pattern[str], no_reply: str) -> dict[str, str]:
        """Send `line` and return the groups of the first reply line that matches `pattern`.

        Other lines are skipped. `no_reply`: the error's text if none matches within ANSWER_S.
        """
        try:
            self._port.reset_input_buffer()
            self._port.write(f"{line}\n".encode("ascii"))
            deadline_s = time.monotonic() + ANSWER_S
            buffer = b""
            while time.monotonic() < deadline_s:
                buffer = (buffer + self._port.read(LINE_LEN_MAX))[-4 * LINE_LEN_MAX :]
                *lines, buffer = buffer.split(b"\n")
                for text in (reply.decode("ascii", "replace").strip() for reply in lines):
                    if match := pattern.fullmatch(text):
                        return match.groupdict()
                    if refusal := _REFUSED.fullmatch(text):
                        raise ProvisioningError(
                            f"the controller at {self._name} refused: {refusal['why']}"
                        )
        except (OSError, termios.error) as error:
            raise ProvisioningError(
                f"the controller at {self._name} has gone ({error}); plug it in and repeat the step"
            ) from None
        raise ProvisioningError(no_reply.format(port=self._name))


_NO_CONTROLLER = (
    "no controller in pairing mode answers at {port}; switch it off, fit its pairing jumper, "
    "switch it on (both lights then blink in turn), and repeat the step"
)
_NO_REPLY = (
    "the controller at {port} did not confirm that it has stored the key; leave it plugged in and "
    "repeat the step"
)
