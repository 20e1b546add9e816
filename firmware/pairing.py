"""Giving the controller its key: the lines that are spoken over USB while the jumper is fitted.

    > menshen?                        < menshen-controller 1 SERIAL VERSION CHECK|none
    > pair KEYHEX ADDRESS BAUD LATCH  < paired CHECK
    > fault?                          < fault none, or what went wrong last
    > anything else                   < refused and one sentence of why

One ASCII line each, ended by LF. CHECK is the first 3 bytes of AES-128-ECB(key, 16 zero bytes), in
hex: it shows that both ends have the same key and shows nothing of the key. `paired` is said only
after the settings lie on the flash and were read back. No hardware here, so tests run it.
"""

from store import KEY_LEN, Settings, Store, TornSettings

TYPE_CHECKING = False
if TYPE_CHECKING:  # MicroPython has no typing and reads no annotation
    from collections.abc import Callable

NAME = "menshen-controller 1"
LINE_LEN_MAX = 80
CHECK_LEN = 3


class Pairing:
    """What to answer."""

    def __init__(
        self,
        serial: str,
        version: str,
        store: Store,
        encrypt: "Callable[[bytes, bytes], bytes]",
        broken: str = "",
    ) -> None:
        """`encrypt(key, block)`: AES-128 in ECB mode, of one block. `serial`: hex.

        `broken`: what failed its known answer, if anything did: then no key is taken.
        """
        self._serial = serial
        self._version = version
        self._store = store
        self._encrypt = encrypt
        self._broken = broken
        self._line = b""
        self._too_long = False

    def receive(self, some: bytes) -> bytes:
        """Take what came over USB, in whatever pieces; return the answers, each with its LF."""
        answers = b""
        for byte in some:
            if byte == 0x0A:
                line, too_long = self._line, self._too_long
                self._line, self._too_long = b"", False
                text = "refused the line is too long" if too_long else self.answer(line)
                answers += text.encode() + b"\n"
            elif len(self._line) < LINE_LEN_MAX:
                self._line += bytes([byte])
            else:
                self._too_long = True
        return answers

    def answer(self, line: bytes) -> str:
        """The answer to one line, which came without its LF."""
        for byte in line:
            if not (0x20 <= byte < 0x7F or byte == 0x0D):
                return "refused the line is not plain ASCII"
        words = str(line, "ascii").split()
        if words == ["menshen?"]:
            return self._who()
        if words == ["fault?"]:
            return "fault " + (self._store.fault() or "none")
        if words[:1] == ["pair"]:
            try:
                return "paired " + self._pair(words[1:])
            except TornSettings as why:
                return "refused the flash does not keep it: " + str(why)
            except ValueError as why:
                return "refused " + str(why)
            except OSError as why:
                return "refused the flash cannot be written (error " + str(why.args[0]) + ")"
        return "refused this is none of: menshen?, fault?, pair KEYHEX ADDRESS BAUD LATCH"

    def _who(self) -> str:
        try:
            settings = self._store.settings()
        except (TornSettings, OSError):
            settings = None  # `fault?` says why
        check = "none" if settings is None else self._check(settings.key)
        return " ".join((NAME, self._serial, self._version, check))

    def _pair(self, words: list[str]) -> str:
        if len(words) != 4:
            raise ValueError("pair needs a key, an address, a baud and a latch")
        if self._broken:
            raise ValueError("this controller is broken: " + self._broken)
        key, address, baud, latch = words
        if len(key) != 2 * KEY_LEN or not _made_of(key, "0123456789abcdefABCDEF"):
            raise ValueError("the key is not 32 hex digits")
        if not _made_of(address + baud, "0123456789") or len(address + baud) > 9:
            raise ValueError("the address or the baud is not a number")
        settings = Settings(bytes.fromhex(key), int(address), int(baud), latch)
        self._store.keep(settings)
        self._store.keep_fault("")
        return self._check(settings.key)

    def _check(self, key: bytes) -> str:
        return self._encrypt(key, bytes(16))[:CHECK_LEN].hex()


def _made_of(text: str, characters: str) -> bool:
    return all(each in characters for each in text)
