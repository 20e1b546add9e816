"""Pairing: the protocol over USB that gives the controller its key, while the jumper is fitted.

    > menshen?                        < menshen-controller 1 SERIAL VERSION CHECK|none
    > pair KEYHEX ADDRESS BAUD LATCH  < paired CHECK
    > fault?                          < fault none, or fault and the last fault
    > anything else                   < refused and one sentence with the reason

Each is one ASCII line that ends with LF. CHECK is the first 3 bytes of AES-128-ECB(key, 16 zero
bytes) in hex: it proves that both ends have the same key and does not reveal the key. The reply
`paired` comes only after the settings are on the flash and were read back. This file uses no
hardware, so tests run it.
"""

from store import KEY_LEN, Settings, Store, TornSettings

TYPE_CHECKING = False
if TYPE_CHECKING:  # MicroPython has no typing and reads no annotation
    from collections.abc import Callable

NAME = "menshen-controller 1"
LINE_LEN_MAX = 80
CHECK_LEN = 3


class Pairing:
    """Makes the replies."""

    def __init__(
        self,
        serial: str,
        version: str,
        store: Store,
        encrypt: "Callable[[bytes, bytes], bytes]",
        failure: str = "",
    ) -> None:
        """`encrypt(key, block)`: AES-128 in ECB mode, of one block. `serial`: hex.

        `failure`: the self-test's failure, empty if it passed; after a failure no key is accepted.
        """
        self._serial = serial
        self._version = version
        self._store = store
        self._encrypt = encrypt
        self._failure = failure
        self._line = b""
        self._too_long = False

    def receive(self, data: bytes) -> bytes:
        """Handle bytes from USB, in pieces of any size; return the replies, each with its LF."""
        replies = b""
        for byte in data:
            if byte == 0x0A:
                line, too_long = self._line, self._too_long
                self._line, self._too_long = b"", False
                text = "refused the line is too long" if too_long else self.reply(line)
                replies += text.encode() + b"\n"
            elif len(self._line) < LINE_LEN_MAX:
                self._line += bytes([byte])
            else:
                self._too_long = True
        return replies

    def reply(self, line: bytes) -> str:
        """Return the reply to one line, both without LF."""
        for byte in line:
            if not (0x20 <= byte < 0x7F or byte == 0x0D):
                return "refused the line is not plain ASCII"
        words = str(line, "ascii").split()
        if words == ["menshen?"]:
            return self._identity()
        if words == ["fault?"]:
            return "fault " + (self._store.fault() or "none")
        if words[:1] == ["pair"]:
            try:
                return "paired " + self._pair(words[1:])
            except TornSettings as error:
                return "refused the flash does not store the settings: " + str(error)
            except ValueError as error:
                return "refused " + str(error)
            except OSError as error:
                return "refused the flash cannot be written (error " + str(error.args[0]) + ")"
        return (
            "refused unknown command; use one of: menshen?, fault?, pair KEYHEX ADDRESS BAUD LATCH"
        )

    def _identity(self) -> str:
        try:
            settings = self._store.settings()
        except (TornSettings, OSError):
            settings = None  # `fault?` gives the reason
        check = "none" if settings is None else self._check(settings.key)
        return " ".join((NAME, self._serial, self._version, check))

    def _pair(self, words: list[str]) -> str:
        if len(words) != 4:
            raise ValueError("pair needs four values: KEYHEX ADDRESS BAUD LATCH")
        if self._failure:
            raise ValueError("this controller failed its self-test: " + self._failure)
        key, address, baud, latch = words
        if len(key) != 2 * KEY_LEN or not _consists_of(key, "0123456789abcdefABCDEF"):
            raise ValueError("the key must be 32 hex digits")
        if not _consists_of(address + baud, "0123456789") or len(address + baud) > 9:
            raise ValueError("the address and the baud must be numbers")
        settings = Settings(bytes.fromhex(key), int(address), int(baud), latch)
        self._store.save(settings)
        self._store.save_fault("")
        return self._check(settings.key)

    def _check(self, key: bytes) -> str:
        return self._encrypt(key, bytes(16))[:CHECK_LEN].hex()


def _consists_of(text: str, characters: str) -> bool:
    return all(character in characters for character in text)
