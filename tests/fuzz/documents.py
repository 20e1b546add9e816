"""What atheris drives: bytes -> JSON, TOML or CBOR. `python -m tests.fuzz.documents CORPUS ...`.

The first byte says which. A value of the type that is asked for, or DecodeError in one line; and
with so few calls in one another that what slips through the check of depth is found at once.
"""

import sys
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["tomllib", "edge.wire.decode", "edge.wire.cbor"]):
    import tomllib  # noqa: F401  # pure Python, so that the search sees which lines it reaches

    from edge.wire import decode

import msgspec

CALLS_MAX = 400  # a parser that is ten levels deep for each of DEPTH_MAX needs fewer
SENTENCE_LEN_MAX = 450


class FuzzedDocument(msgspec.Struct):
    x: Any = None
    number: int = 0


READERS = (
    decode.decode_json,
    decode.decode_toml,
    lambda data, kind: decode.decode_cbor(data),
)

SEEDS = (
    b'\0{"x": [{"y": "a\\"[b"}, 1.5e3, null, true], "number": 7, "z": "\\u00e9"}',
    b"\0" + b"[" * decode.DEPTH_MAX + b"]" * decode.DEPTH_MAX,
    b"\0" + b'{"x":' * (decode.DEPTH_MAX + 1),
    b'\1x = "a"\n[t."q.r".s]\ny = [1.5, {a = 1, b.c = \'x\'}]\n[[l]]\n',
    b'\1d = 2027-01-02T03:04:05Z # "\nt = 07:32:00.5\nx = [ # [\n]\n',
    b'\1z = """a\n"" \\""" b"""\ns = \'\'\'\n\'\'\'\n',
    b"\1x = " + b"[" * (decode.DEPTH_MAX + 1),
    b"\1x" + b".a" * decode.DEPTH_MAX + b" = 1",
    b"\1x = " + b"{a = " * 9 + b"1" + b"}" * 9,
    b"\2\xa2\x01\x82\x41\x00\x61a\x02\xa1\x00\x20",
    b"\2" + b"\x81" * decode.DEPTH_MAX + b"\0",
    # Without the check of depth each of these is found at once.
    b"\0" + b"[" * 700 + b"]" * 700,
    b"\1x = " + b"[" * 500 + b"]" * 500,
    b"\1x" + b".a" * 500 + b" = 1",
    b"\2" + b"\x81" * 900 + b"\0",
)


def one(data: bytes) -> None:
    """Raises whatever a reader raises but DecodeError, and AssertionError for what is too deep."""
    if not data:
        return
    read = READERS[data[0] % len(READERS)]
    for kind in (object, FuzzedDocument):
        try:
            value = read(data[1:], kind)
        except decode.DecodeError as error:
            assert str(error).isprintable(), "not one line"
            assert len(str(error)) <= SENTENCE_LEN_MAX, "too long for a line"
            continue
        if kind is object:
            # In TOML a name, the brackets of its value and the names in those count apart.
            assert depth(value) <= 3 * decode.DEPTH_MAX + 2, "too deep"


def depth(value: object) -> int:
    """How many lists and dicts lie in one another."""
    levels, there = 0, [value]
    while there := [each for each in there if isinstance(each, (list, dict))]:
        levels += 1
        there = [
            inner for each in there for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return levels


if __name__ == "__main__":
    for number, seed in enumerate(SEEDS):
        (Path(sys.argv[1]) / f"seed-{number}").write_bytes(seed)
    sys.setrecursionlimit(CALLS_MAX)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
