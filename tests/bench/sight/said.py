"""Whether a decoder's bytes are a text. Decoders give bytes; collections of pictures give texts."""

from collections.abc import Iterable

ENCODINGS = ("utf-8", "shift_jis", "gb18030", "cp1252", "latin-1")


def plain(text: str) -> str:
    """Line ends are one, and blanks around a text are none: collections differ in both."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def meanings(data: bytes) -> frozenset[str]:
    """What `data` may say: a symbol names its encoding seldom, so each usual one is tried."""
    said = set()
    for encoding in ENCODINGS:
        try:
            said.add(plain(data.decode(encoding)))
        except UnicodeDecodeError:
            continue
    return frozenset(said)


def likely(data: bytes) -> str:
    """The first of its meanings; latin-1 gives one to all bytes."""
    for encoding in ENCODINGS:
        try:
            return plain(data.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise AssertionError(data)


def among(data: bytes, texts: Iterable[str]) -> bool:
    """Whether `data` says one of `texts`."""
    return not meanings(data).isdisjoint(map(plain, texts))
