"""Bytes into values: JSON, TOML and CBOR, each with bounds. The one user of these readers.

What is read is bounded in bytes and in depth before a library sees it. The libraries recurse, one
call a level, and after about a thousand Python raises RecursionError, which is no ValueError;
tomllib also takes memory by the square of the number of parts in a dotted name.

`decode_json` and `decode_cbor` read what a program wrote, `decode_toml` a file of the package,
`read_json` and `read_toml` a file that people edit: with or without a byte order mark, no name
twice in one object, and errors that name line and column.

Not here: the door code (code.py and holder.py by cbor.py, one form for each code), the EU
certificate (eu_certificate.py, which never builds what it does not need), and TUF metadata:
repository.py and the unit's client bound the bytes; python-tuf reads them and has its own errors.
"""

import codecs
import json
import math
import re
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from edge.wire import cbor

DOCUMENT_LEN_MAX = 4 * 1024 * 1024
"""Bytes of a document, and so of the message that carries it (trust.md)."""
MESSAGE_LEN_MAX = 16 * 1024
"""Bytes of a message over MQTT; the largest of today, `counts`, has 2,048."""
TOML_LEN_MAX = 256 * 1024
"""Bytes of a TOML file; the largest that is read here, hardware/wiring.toml, has under 10,000."""
DEPTH_MAX = 32
"""Arrays, objects and dotted names in one another; issuers.json with a mapping in it has 7."""
INTEGERS = range(-(2**63), 2**64)
"""The integers that JSON may hold here: what msgspec can write again."""
_SENTENCE_LEN_MAX = 400  # an unknown name in a document may be as long as the document

_T = TypeVar("_T")


class DecodeError(ValueError):
    """These bytes cannot be read; a clause for people, to follow the name of what was read."""


def decode_json(data: bytes, kind: type[_T], len_max: int = DOCUMENT_LEN_MAX) -> _T:
    """The value of `data`, of type `kind`. Raises DecodeError."""
    _check_len(data, len_max)
    _check_utf8(data)
    _check_json_depth(data)
    try:
        return msgspec.json.decode(data, type=kind)
    except ValueError as error:
        raise DecodeError(_plain(str(error))) from None


def decode_toml(data: bytes, kind: type[_T], len_max: int = TOML_LEN_MAX) -> _T:
    """The value of `data`, of type `kind`; `nan` and `inf` are refused. Raises DecodeError."""
    _check_len(data, len_max)
    _check_utf8(data)
    _check_toml_depth(data)
    try:
        content = tomllib.loads(data.decode("utf-8"), parse_float=_finite)
        return msgspec.convert(content, kind, builtin_types=(datetime, date, time), str_keys=True)
    except (tomllib.TOMLDecodeError, msgspec.MsgspecError, DecodeError) as error:
        raise DecodeError(_plain(str(error))) from None
    except ValueError:  # of int(): more than 4,300 digits
        raise DecodeError("a number has thousands of digits; write a smaller one") from None


def decode_cbor(data: bytes, len_max: int = DOCUMENT_LEN_MAX) -> Any:
    """The one item that fills `data`, plain (cbor.py) and in its shortest form.

    The order of a map's keys is free. A key named twice and anything behind the item are refused.
    Raises DecodeError.
    """
    _check_len(data, len_max)
    if cbor.plain(data) and cbor.depth(data) > DEPTH_MAX:
        raise _too_deep("CBOR")
    try:
        value = cbor.decode(data)
    except cbor.NotPlain as error:
        raise DecodeError(f"the bytes {error}") from None
    if cbor.encode(value) != data:
        raise DecodeError("the bytes are not in their shortest form")
    return value


def read_json(path: Path, kind: type[_T], len_max: int = DOCUMENT_LEN_MAX) -> _T:
    """The value of a JSON file that people edit. Raises OSError, DecodeError."""
    data = read_bytes(path, len_max)
    try:
        value = decode_json(data, kind, len_max)
        json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_int=_integer, parse_float=str
        )
    except DecodeError as error:
        raise DecodeError(_with_line(str(error), data)) from None
    return value


def read_toml(path: Path, kind: type[_T], len_max: int = TOML_LEN_MAX) -> _T:
    """The value of a TOML file. Raises OSError, DecodeError."""
    data = read_bytes(path, len_max)
    try:
        return decode_toml(data, kind, len_max)
    except DecodeError as error:
        raise DecodeError(_with_line(str(error), data)) from None


def read_bytes(path: Path, len_max: int = DOCUMENT_LEN_MAX) -> bytes:
    """What a file holds, without the byte order mark that some editors write before UTF-8.

    At most `len_max` bytes are read. Raises OSError, DecodeError.
    """
    with path.open("rb") as file:
        data = file.read(len_max + 1)
    _check_len(data, len_max)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DecodeError("the text is UTF-16; save it as UTF-8")
    return data.removeprefix(codecs.BOM_UTF8)


def _check_len(data: bytes, len_max: int) -> None:
    if len(data) > len_max:
        raise DecodeError(f"larger than {len_max} bytes; shorten it")


def _check_utf8(data: bytes) -> None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DecodeError(f"the text is not UTF-8 (byte {error.start}); save it as UTF-8") from None


# A string counts as one token, whatever is in it; where its end is missing it takes the rest, so
# each byte is looked at once. Up to the first error a parser sees the same strings.
_JSON_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?+|([\[{])|([\]}])', re.DOTALL)
_TOML_TOKEN = re.compile(
    rb"#[^\n]*+"
    rb'|"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+(?:""")?+'
    rb"|'''[^']*+(?:'(?!'')[^']*+)*+(?:''')?+"
    rb'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?+'
    rb"|'[^'\n]*+'?+"
    rb"|([\[{])|([\]}])|(\.)|([=,\n])",
    re.DOTALL,
)


def _check_json_depth(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:  # nearly every message
        return
    depth = 0
    for token in _JSON_TOKEN.finditer(data):
        if token.lastindex == 1:
            depth += 1
            if depth > DEPTH_MAX:
                raise _too_deep("JSON", token.start())
        elif token.lastindex == 2:
            depth -= 1


def _check_toml_depth(data: bytes) -> None:
    depth = dots = 0
    for token in _TOML_TOKEN.finditer(data):
        if token.lastindex == 3:
            dots += 1
        elif token.lastindex:
            dots = 0
            depth += {1: 1, 2: -1}.get(token.lastindex, 0)
        if depth + dots > DEPTH_MAX:
            raise _too_deep("TOML", token.start())


def _too_deep(format: str, at: int | None = None) -> DecodeError:
    place = "" if at is None else f" (byte {at})"
    return DecodeError(f"{format} nested deeper than {DEPTH_MAX} levels{place}; use fewer levels")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise DecodeError(f"{text[:40]} is no finite number; write one in digits")
    return number


def _integer(text: str) -> None:
    # By length first: Python refuses to convert more than 4,300 digits.
    if len(text) > 20 or int(text) not in INTEGERS:
        raise DecodeError(f"the number {text[:24]} has more than 64 bits; write a smaller one")


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise DecodeError(_plain(f"one object has {name[:80]!r} twice; keep one of them"))
        names.add(name)


def _plain(sentence: str) -> str:
    """In one line and of bounded length, whatever names the document holds."""
    letters = sentence[:_SENTENCE_LEN_MAX]
    return "".join(letter if letter.isprintable() else "?" for letter in letters)


def _with_line(sentence: str, data: bytes) -> str:
    """`sentence` with line and column, as an editor counts them, in place of a byte's number."""

    def place(byte: re.Match[str]) -> str:
        *lines, last = data[: int(byte[1])].split(b"\n")
        return f"(line {len(lines) + 1}, column {len(last.decode('utf-8', 'replace')) + 1})"

    return re.sub(r"\(byte (\d+)\)", place, sentence)
