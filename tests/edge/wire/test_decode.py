"""Whatever the bytes are, a value of the declared type or one DecodeError: bounded, in one line."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest
import tomli_w
from hypothesis import example, given
from hypothesis import strategies as st

from edge.wire import cbor
from edge.wire.decode import (
    DEPTH_MAX,
    INTEGERS,
    TOML_LEN_MAX,
    DecodeError,
    decode_cbor,
    decode_json,
    decode_toml,
    read_bytes,
    read_json,
    read_toml,
)
from edge.wire.eu_documents import EuDuration, EuRow, EuTerms
from edge.wire.trust import IssuerEntry, Issuers

BOM = b"\xef\xbb\xbf"


class KnownFields(msgspec.Struct):
    """`x` is a known field, every other name is unknown and passed over."""

    x: Any = None
    number: int = 0
    real: float = 0.0


Strict = dict[str, int]


def refused(read: Callable[[], object], why: str = ".") -> None:
    """`why`: a pattern; any sentence unless it is given."""
    assert re.search(why, sentence(read))


def sentence(read: Callable[[], object]) -> str:
    """What the error says, in one line of bounded length."""
    with pytest.raises(DecodeError) as caught:
        read()
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) <= 450
    return said


def depth(value: object) -> int:
    """How many lists and dicts lie in one another; for values that are not deep."""
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


NESTS = {
    "lists": (b"[", b"0", b"]"),
    "objects": (b'{"x":', b"0", b"}"),
    "both": (b'[{"y":', b"0", b"}]"),
    "spaced": (b' [ \n{ "]" : ', b'"}"', b" } ] "),
}


@pytest.mark.parametrize("levels", [40, 1000, 5000, 100_000])
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize("field", [b"x", b"unknown", b"number"])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_json(levels: int, nest: str, field: bytes, closed: bool) -> None:
    opens, inside, closes = NESTS[nest]
    data = b'{"%b":' % field + opens * levels + (inside + closes * levels + b"}") * closed
    for kind in (KnownFields, Strict, dict[str, Any], dict[str, msgspec.Raw], msgspec.Raw, object):
        refused(lambda kind=kind: decode_json(data, kind), rf"^JSON nested deeper than {DEPTH_MAX}")
    at = int(re.findall(r"byte (\d+)", sentence(lambda: decode_json(data, KnownFields)))[0])
    opened = [n for n, byte in enumerate(data[: at + 9]) if byte in b"[{"]
    assert at == opened[DEPTH_MAX]  # neither "]" nor "}" in a string is among them


@pytest.mark.parametrize("nest", ["lists", "objects"])
def test_the_deepest_json(nest: str) -> None:
    opens, inside, closes = NESTS[nest]
    data = opens * DEPTH_MAX + inside + closes * DEPTH_MAX
    assert depth(decode_json(data, object)) == DEPTH_MAX
    refused(lambda: decode_json(opens + data + closes, object), "deeper")


def test_the_deepest_document_of_ours() -> None:
    row = EuRow("vaccination", "green", ("840539006",), ends=EuDuration(days=1))
    terms = msgspec.Raw(msgspec.json.encode(EuTerms((row,))))
    document = Issuers(1, 1, [IssuerEntry("eu", [], 1, format="hc1", terms=terms)])
    assert depth(json.loads(msgspec.json.encode(document))) == 7


def test_many_that_are_not_deep() -> None:
    flat = [{"[": "]", "\\": ['\\"[{']}] * 5000
    assert decode_json(json.dumps(flat).encode(), object) == flat


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.sampled_from('[]{}\\",:a\n\u00e9')),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.sampled_from('[{"\\}]a')), inner, max_size=4)
    ),
)


@given(JSON, st.integers(0, DEPTH_MAX + 3), st.booleans())
def test_json_within_the_bound_is_read_and_beyond_it_is_not(
    value: object, around: int, ascii_only: bool
) -> None:
    for _ in range(around):
        value = {"x": value} if around % 2 else [value, "]"]
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    if depth(value) <= DEPTH_MAX:
        assert decode_json(data, object) == value
    else:
        refused(lambda: decode_json(data, object), "deeper")


PIECES = st.sampled_from(
    [b"[", b"]", b"{", b"}", b'"', b"\\", b",", b":", b"x", b'"x":', b"0", b"1e999", b"NaN", b"-",
     b"9" * 400, b"\xff", b"\xed\xa0\x80", b"\0", b"\n", b"=", b"#", b"'''", b'"""', b"a.b", b"[[",
     b"nan", b"inf", b"2027-13-41", b"\x81" * 50, b"\xa1\0" * 50, b"\xc0", b"\x9f",
     b"\x5b", b"[" * 50, b"{a=" * 50, b"a." * 50, b"[" * 5000, b"a.b" * 2000, BOM]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=3), max_size=30).map(b"".join))
@example(b'{"x":' + b"[" * 5000)
@example(b"x = " + b"[" * 5000)
@example(b"x" + b".a" * 5000 + b" = 1")
def test_any_bytes_give_a_value_or_the_one_error(data: bytes) -> None:
    for read in (decode_json, decode_toml):
        for kind in (KnownFields, Strict, object):
            bounded(lambda read=read, kind=kind: read(data, kind))
    bounded(lambda: decode_cbor(data))


@given(JSON, st.data())
def test_hurt_json_gives_a_value_or_the_one_error(value: object, draw: st.DataObject) -> None:
    data = json.dumps({"x": value, "unknown": value}).encode()
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(data)))
        until = draw.draw(st.integers(at, min(len(data), at + 5)))
        data = data[:at] + draw.draw(PIECES) + data[until:]
    for kind in (KnownFields, Strict, object):
        bounded(lambda kind=kind: decode_json(data, kind))


def bounded(read: Callable[[], object]) -> None:
    try:
        read()
    except DecodeError as error:
        assert str(error).isprintable()
        assert len(str(error)) <= 450


NUMBERS = {
    b'{"real": NaN}': "invalid character",
    b'{"real": Infinity}': "invalid character",
    b'{"real": 1e400}': "out of range",
    b'{"number": 1e400}': "out of range|Expected `int`",
    b'{"number": %b}' % (b"9" * 5000): "out of range",
    b'{"x": %b}' % (b"9" * 5000): "out of range",
}


@pytest.mark.parametrize("data", NUMBERS)
def test_json_that_is_no_number(data: bytes) -> None:
    refused(lambda: decode_json(data, KnownFields), NUMBERS[data])


@pytest.mark.parametrize(
    "data",
    [b'{"x": "\xff"}', b'{"unknown": "\xff"}', b'{"\xff": 1}', b'{"unknown": "\xed\xa0\x80"}'],
)
def test_json_that_is_not_utf8(data: bytes) -> None:
    at = min(data.find(b) for b in (b"\xff", b"\xed") if b in data)
    refused(lambda: decode_json(data, KnownFields), rf"not UTF-8 \(byte {at}\)")


def test_half_a_surrogate_pair() -> None:
    refused(lambda: decode_json(b'{"x": "\\ud800"}', KnownFields))


def test_length_to_the_byte() -> None:
    data = b'{"x": 1}'
    assert decode_json(data, KnownFields, len(data)).x == 1
    refused(lambda: decode_json(data, KnownFields, len(data) - 1), "larger than 7 bytes")
    assert decode_toml(b"x = 1", KnownFields, 5).x == 1
    refused(lambda: decode_toml(b"x = 1", KnownFields, 4), "larger than 4 bytes")
    refused(lambda: decode_toml(b"#" * (TOML_LEN_MAX + 1), KnownFields), "larger than")
    assert decode_cbor(b"\x81\x00", 2) == [0]
    refused(lambda: decode_cbor(b"\x81\x00", 1), "larger than 1 bytes")


def test_an_unknown_name_forges_no_line_of_a_log() -> None:
    class Closed(msgspec.Struct, forbid_unknown_fields=True):
        x: int = 0

    name = "a\n2027-01-01T00:00:00 the door opened\x1b[2J" + "b" * 100_000
    refused(lambda: decode_json(json.dumps({name: 1}).encode(), Closed), r"unknown field `a\?2027")


DEEP_TOML = {
    "lists": "x = " + "[" * 5000,
    "closed lists": "x = " + "[" * 5000 + "]" * 5000,
    "tables": "x = " + "{a = " * 5000,
    "a dotted name": "x" + ".a" * 4000 + " = 1",
    "a quoted dotted name": "x" + ' . "a.b"' * 4000 + " = 1",
    "a dotted table": "[x" + ".a" * 4000 + "]",
    "a dotted list of tables": "[[x" + ".a" * 4000 + "]]",
    "a dotted name in a table": "x = {a" + ".a" * 4000 + " = 1}",
    "behind a string": 'y = """ " "" \\""" # """ # "\nx = ' + "[" * 5000,
    "behind a literal": "y = ''' ' '' \\'''\nx = " + "[" * 5000,
    "behind a comment": "# \"\"\" '''\nx = " + "[" * 5000,
}


@pytest.mark.parametrize("case", DEEP_TOML)
def test_deep_toml(case: str) -> None:
    for kind in (KnownFields, Strict, object):
        refused(
            lambda kind=kind: decode_toml(DEEP_TOML[case].encode(), kind),
            rf"^TOML nested deeper than {DEPTH_MAX} levels \(byte \d+\)",
        )


HOLDS = "[{." * 20  # more brackets and dots than the bound
# One line of TOML each, @ stands for the line's number.
LINES = [
    "[t@.\"a.b\".'c.d']", "[[l@]]", "x@ = 1.5", "x@.y.z = 1", "x@ = [1.5, 2.5, [3.5]]",
    f'x@ = "{HOLDS}"', f"x@ = '{HOLDS}'", f"# {HOLDS}",
    f'x@ = """{HOLDS}"""', f"x@ = '''{HOLDS}'''",
    r'x@ = "\"[" # "', r'x@ = "\\"', r"x@ = '\'", 'x@ = """\n"" " \\""" [ """""',
    "x@ = '''\n'' ' [ '''''", "x@ = {a = 1, b = [{c = 2}]}", 'x@ = ""', "x@ = ''",
    'x@ = """"""', "x@ = [\n # ] \n 1,\n]", "x@ = 2027-01-02T03:04:05.6Z", "x@ = 0x10_00", "",
]  # fmt: skip


@given(st.lists(st.sampled_from(LINES), max_size=40))
def test_toml_that_is_not_deep_is_read_as_tomllib_reads_it(lines: list[str]) -> None:
    text = "\n".join(line.replace("@", str(n)) for n, line in enumerate(lines))
    assert decode_toml(text.encode(), object) == tomllib.loads(text)


@given(
    st.dictionaries(st.text(max_size=3), JSON.filter(lambda v: "None" not in repr(v)), max_size=3),
    st.integers(0, DEPTH_MAX + 8),
)
def test_toml_within_the_bound_is_read(table: dict[str, Any], around: int) -> None:
    for _ in range(around):
        table = {"x": table}
    data = tomli_w.dumps(table).encode()
    if depth(table) < DEPTH_MAX:
        assert decode_toml(data, object) == table
    else:
        bounded(lambda: decode_toml(data, object))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("real = nan", "nan is no finite number"),
        ("real = -inf", "-inf is no finite number"),
        ("unknown = [nan]", "nan is no finite number"),
        ("real = 1e999", "1e999 is no finite number"),
        ("number = " + "9" * 5000, "thousands of digits"),
        ("x = 1\nx = 2", "Cannot overwrite a value"),
        ("x = 2027-13-41", "line 1"),
        ('x = "\\ud800"', "Unicode scalar"),
        ("number = 'a'", "Expected `int`, got `str` - at `\\$.number`"),
    ],
)
def test_wrong_toml(line: str, why: str) -> None:
    refused(lambda: decode_toml(line.encode(), KnownFields), why)


def test_toml_that_is_not_utf8() -> None:
    refused(lambda: decode_toml(b'x = "\xff"', KnownFields), r"not UTF-8 \(byte 5\)")


@pytest.mark.parametrize("levels", [33, 1000, 5000, 100_000])
@pytest.mark.parametrize("opens", [b"\x81", b"\xa1\x00", b"\x82\x00", b"\x98\x01", b"\xa1\x81"])
@pytest.mark.parametrize("closed", [True, False])
def test_deep_cbor(levels: int, opens: bytes, closed: bool) -> None:
    refused(lambda: decode_cbor(opens * levels + b"\x00" * closed), "CBOR nested deeper than 32")


PLAIN = st.recursive(
    st.integers(-(2**64), 2**64 - 1) | st.binary(max_size=300) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=16)
        | st.dictionaries(st.integers(0, 2**32) | st.text(max_size=3), inner, max_size=16)
    ),
)


@given(PLAIN, st.integers(0, DEPTH_MAX + 2))
def test_plain_cbor_is_read(value: object, around: int) -> None:
    for _ in range(around):
        value = [b"\x81\xa1", value, 1] if around % 2 else {1: value, 2: []}
    data = cbor2.dumps(value)
    assert cbor.plain(data)
    assert cbor.depth(data) == depth(value)
    if depth(value) <= DEPTH_MAX:
        assert decode_cbor(data) == value
    else:
        refused(lambda: decode_cbor(data), "deeper")


@given(PLAIN, st.data())
def test_hurt_cbor_gives_a_value_or_the_one_error(value: object, draw: st.DataObject) -> None:
    data = cbor2.dumps(value)
    at = draw.draw(st.integers(0, len(data)))
    hurt = data[:at] + draw.draw(PIECES | st.binary(max_size=2)) + data[at + 1 :]
    try:
        read = decode_cbor(hurt)
    except DecodeError as error:
        assert str(error).isprintable()
    else:
        assert cbor2.dumps(read) == hurt


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x61\xff",  # a text that is not UTF-8
        b"\x61",  # a text that is cut off
        b"\x00\x00",  # two items
        b"\xa2\x01\x02\x01\x03",  # a key twice
        b"\x18\x01",  # 1 in a longer form
        b"\xf9\x7e\x00",  # not a number
        b"\xc0\x60",  # a tag
        b"\x9f\xff",  # an open length
        b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",  # a length beyond any
    ],
)
def test_wrong_cbor(data: bytes) -> None:
    refused(lambda: decode_cbor(data))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "edited"


def test_a_byte_order_mark_is_passed_over(file: Path) -> None:
    file.write_bytes(BOM + b'{"x": 1}\r\n')
    assert read_json(file, KnownFields).x == 1
    file.write_bytes(BOM + b"x = 1\r\n")
    assert read_toml(file, KnownFields).x == 1
    assert read_bytes(file) == b"x = 1\r\n"
    refused(lambda: decode_json(BOM + b"{}", KnownFields), "malformed")  # no program writes one


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_named(file: Path, encoding: str) -> None:
    mark = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}.get(encoding, "")
    file.write_bytes((mark + '{"x": 1}').encode(encoding))
    for read in (read_json, read_toml):
        refused(lambda read=read: read(file, KnownFields), "save it as UTF-8")


def test_an_error_names_line_and_column(file: Path) -> None:
    file.write_bytes(BOM + '{"é": 1,\n "ééé": 1, }'.encode())
    refused(lambda: read_json(file, KnownFields), r"trailing comma.* \(line 2, column 12\)")
    file.write_bytes(b'{"x": 1,\n "y": "\xff"}')
    refused(lambda: read_json(file, KnownFields), r"not UTF-8 \(line 2, column 8\)")
    file.write_text('{"y":\n' + "[" * 5000)
    refused(lambda: read_json(file, KnownFields), r"deeper than 32 levels \(line 2, column 32\)")
    file.write_text("y = 1\nx = " + "[" * 5000)
    refused(lambda: read_toml(file, KnownFields), r"deeper than 32 levels \(line 2, column 37\)")
    file.write_text("x = 1\nx = 2\n")
    refused(lambda: read_toml(file, KnownFields), "line 2, column 6")


def test_a_name_twice_is_refused_in_a_file_that_people_edit(file: Path) -> None:
    for text in ('{"x": 1, "y": {}, "x": 2}', '{"y": [{"x": 1, "\\u0078": 2}]}'):
        file.write_text(text)
        refused(lambda: read_json(file, KnownFields), "one object has 'x' twice; keep one of them")
    file.write_text('{"x": [{"y": 1}, {"y": 1}], "y": {"x": 1}}')
    assert read_json(file, KnownFields).x == [{"y": 1}, {"y": 1}]


def test_integers_that_cannot_be_written_again_are_refused(file: Path) -> None:
    for number in (INTEGERS.start, INTEGERS.stop - 1, 0):
        file.write_text(f'{{"x": [{number}], "y": {number}}}')
        assert json.loads(msgspec.json.encode(read_json(file, KnownFields)))["x"] == [number]
    for text in ("18446744073709551616", "-9223372036854775809", "9" * 4000, "9" * 400):
        for name in ("x", "y"):
            file.write_text(f'{{"{name}": [{text}]}}')
            refused(lambda: read_json(file, KnownFields), "more than 64 bits")


def test_no_more_of_a_file_is_read_than_the_bound() -> None:
    refused(lambda: read_json(Path("/dev/zero"), KnownFields), "larger than 4194304 bytes")
    refused(lambda: read_toml(Path("/dev/zero"), KnownFields), "larger than 262144 bytes")


def test_a_file_that_is_not_there(file: Path) -> None:
    for read in (read_json, read_toml):
        with pytest.raises(FileNotFoundError):
            read(file, KnownFields)
        with pytest.raises(IsADirectoryError):
            read(file.parent, KnownFields)
