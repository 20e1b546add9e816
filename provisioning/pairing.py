"""Giving a unit's key to its controller, over USB: the other end is `firmware/pairing.py`.

One line of ASCII each, ended by LF, while the controller's pairing jumper is fitted:

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
class Paired:
    """What was done."""

    unit: str
    serial: str  # of the controller
    version: str  # of its firmware
    before: str  # check value of the key that it had, or none
    check: str

    @property
    def sentence(self) -> str:
        """It, for people."""
        if self.before == self.check:
            had = "It had this key already."
        elif self.before == "none":
            had = "It had no key."
        else:
            had = "It had another key, which is gone: the unit of that one can no longer use it."
        return (
            f"The controller {self.serial} (firmware {self.version}) has the key of unit "
            f"{self.unit}, check value {self.check}. {had}"
        )


def check_value(key: bytes) -> str:
    """Tells keys apart and none of the key."""
    encryptor = Cipher(AES(key), modes.ECB()).encryptor()  # noqa: S305 -- one block, of zeros
    return (encryptor.update(bytes(16)) + encryptor.finalize())[:3].hex()


def pair(card: Path, port: str, latch: str) -> Paired:
    """Give the key of `card` to the controller at `port`. Raises ProvisioningError."""
    if latch not in LATCHES:
        raise ProvisioningError(
            f"{latch[:60]!r} is nothing to latch on; say {', '.join(LATCHES[:-1])} or {LATCHES[-1]}"
        )
    try:
        unit = wire.read(card / UNIT)
        if not isinstance(unit.door, wire.ControllerDoor):
            raise ProvisioningError(
                f"unit {unit.site}/{unit.name} drives its door itself and has no controller; make "
                "a unit that has one with: menshen-provision unit … --controller PORT"
            )
        key = pair_keys.read(Path(unit.door.key))
    except wire.ConfigError as error:
        raise ProvisioningError(str(error)) from None
    with _UsbLine(port) as line:
        found = line.ask("menshen?", _CONTROLLER, _NOBODY)
        wanted = f"{pair_keys.to_text(key)} {unit.door.address} {unit.door.baud} {latch}"
        paired = line.ask(f"pair {wanted}", _PAIRED, _SILENT)
    check = check_value(key)
    if paired["check"] != check:
        raise ProvisioningError(
            f"the controller at {port} has stored another key than it was given (check value "
            f"{paired['check']} and not {check}); repeat the step, with another cable if need be"
        )
    return Paired(
        f"{unit.site}/{unit.name}", found["serial"], found["version"], found["check"], check
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
                11: "another program uses it; stop that one first",
                13: "this user may not open it; add it to the group dialout, or use sudo",
            }.get(number or 0, "it is no serial port; name the controller's, as /dev/ttyACM0")
            raise ProvisioningError(f"{port} cannot be opened: {why}") from None

    def __enter__(self) -> "_UsbLine":
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def ask(self, line: str, wanted: re.Pattern[str], silent: str) -> dict[str, str]:
        """Say `line`; the groups of `wanted` in the answer, other lines before it passed over.
        `silent`: what is told where there is none.
        """
        try:
            self._port.reset_input_buffer()
            self._port.write(f"{line}\n".encode("ascii"))
            until_s = time.monotonic() + ANSWER_S
            came = b""
            while time.monotonic() < until_s:
                came = (came + self._port.read(LINE_LEN_MAX))[-4 * LINE_LEN_MAX :]
                *whole, came = came.split(b"\n")
                for text in (said.decode("ascii", "replace").strip() for said in whole):
                    if found := wanted.fullmatch(text):
                        return found.groupdict()
                    if refused := _REFUSED.fullmatch(text):
                        raise ProvisioningError(
                            f"the controller at {self._name} refused: {refused['why']}"
                        )
        except (OSError, termios.error) as error:
            raise ProvisioningError(
                f"the controller at {self._name} has gone ({error}); plug it in and repeat the step"
            ) from None
        raise ProvisioningError(silent.format(port=self._name))


_NOBODY = (
    "no controller that wants to be paired answers at {port}; switch it off, fit its pairing "
    "jumper, switch it on (both lights then blink in turn), and repeat the step"
)
_SILENT = (
    "the controller at {port} did not say whether it has stored the key; leave it plugged in and "
    "repeat the step"
)
