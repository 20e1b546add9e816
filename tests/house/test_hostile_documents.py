"""Every reader of documents, messages and files meets the same hostile bytes: each answers with its
own error, in one line, whatever is deep, long or no text, in a field it knows or passes over.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from edge.adapters.storage import clock_slots
from edge.adapters.system_clock import _span
from edge.wire import envelope, keys, report, repository, rules, status, trust, unit
from edge.wire.decode import DOCUMENT_LEN_MAX, MESSAGE_LEN_MAX
from edge.wire.foreign_formats import FORMATS
from server_stub.estate import Estate, EstateError
from tests.edge.wire.test_status import NAME as LIST
from tests.edge.wire.test_status import signed as signed_list

KEY = keys.private_key(b"hostile".ljust(32))
DEPTHS = (33, 1000, 5000, 100_000)

Reader = Callable[[bytes], object]

# Reader, its error, a field that it knows and the most bytes that it takes.
JSON: dict[str, tuple[Reader, type[ValueError], str, int]] = {
    "state": (report.decode_state, report.ReportError, "online", MESSAGE_LEN_MAX),
    "health": (report.decode_health, report.ReportError, "version", MESSAGE_LEN_MAX),
    "counts": (report.decode_counts, report.ReportError, "cells", MESSAGE_LEN_MAX),
    "ask": (report.decode_time_request, report.ReportError, "nonce", MESSAGE_LEN_MAX),
    "ack, signed": (
        lambda data: report.verify_ack(
            envelope.sign(data, report.ACK_KIND, KEY), KEY.public
        ),
        report.ReportError,
        "digest",
        MESSAGE_LEN_MAX,
    ),
    "answer, signed": (
        lambda data: report.verify_time_answer(
            envelope.sign(data, report.ANSWER_KIND, KEY), KEY.public
        ),
        report.ReportError,
        "nonce",
        MESSAGE_LEN_MAX,
    ),
    "ack": (
        lambda data: report.verify_ack(data, KEY.public),
        report.ReportError,
        "payload",
        DOCUMENT_LEN_MAX,
    ),
    "answer": (
        lambda data: report.verify_time_answer(data, KEY.public),
        report.ReportError,
        "payload",
        DOCUMENT_LEN_MAX,
    ),
    "issuers": (trust.document, trust.TrustError, "issuers", DOCUMENT_LEN_MAX),
    "rules": (rules.parse, trust.TrustError, "grants", rules.LEN_MAX),
}  # fmt: skip

FOREIGN = {"hc1": ("rows", "keys")}
"""By a foreign format: a field of its terms, and one of its key list."""

JSON |= {
    f"{name} {FOREIGN[name][n]}": (
        lambda data, read=read: read(data, "eu"),
        trust.TrustError,
        FOREIGN[name][n],
        DOCUMENT_LEN_MAX,
    )
    for name, readers in FORMATS.items()
    for n, read in enumerate((readers.terms, readers.keys))
}


def deep(names: list[str]) -> Iterator[bytes]:
    """Deep JSON in the field of each name, and alone."""
    for levels in DEPTHS:
        for opens, inside, closes in ((b"[", b"0", b"]"), (b'{"x":', b"0", b"}")):
            for whole in (opens * levels, opens * levels + inside + closes * levels):
                yield whole
                for name in names:
                    yield b'{"%b":%b}' % (name.encode(), whole)
                    yield b'{"%b":%b' % (name.encode(), whole)


def torn(names: list[str]) -> Iterator[bytes]:
    for name in [name.encode() for name in names]:
        for value in (
            b"NaN", b"-Infinity", b"1e400", b"9" * 400, b"9" * 5000, b'"\xff"', b'"\xed\xa0\x80"',
            b'"\\ud800"', b'"', b"", b"0,", b'{"":', b"\0",
        ):  # fmt: skip
            yield b'{"%b":%b}' % (name, value)
    yield from (
        b"",
        b" ",
        b"\xff",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b"{}{}",
        b"null",
        b"7",
    )


@pytest.mark.parametrize("name", JSON)
def test_json(name: str) -> None:
    read, error, known, len_max = JSON[name]
    names = [known, "not_a_field"]
    for data in (*deep(names), *torn(names)):
        refused(read, data, error)
    for data in (b'"%b"' % (b"a" * len_max), b"[" * (len_max + 1), b" " * (len_max + 1)):
        refused(read, data, error)


def refused(read: Callable[[Any], object], value: object, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        read(value)
    assert type(caught.value) is error
    assert str(caught.value).isprintable(), "one line"
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize("name", JSON)
def test_an_unknown_name_stays_in_its_line(name: str) -> None:
    read, error, _, len_max = JSON[name]
    long = "a\n2027-01-01 the door opened\x1b[2J".ljust(len_max // 2, "b")
    refused(read, json.dumps({long: 1}).encode(), error)


def test_what_is_kept_over_a_restart_counts_as_torn() -> None:
    """The clock's slots and its last sync: nobody reads an error at a door."""
    for data in (*deep(["number"]), *torn(["number"])):
        data = data[: clock_slots.SLOT_LEN - 17]
        slot = data.ljust(clock_slots.SLOT_LEN - 18) + b"\n"
        content = b"%b %b" % (clock_slots._checksum(slot.rstrip()), slot)
        assert clock_slots._decode(content) is None
    for data in (*deep(["earliest_s", "not_a_field"]), *torn(["earliest_s", "not_a_field"])):
        assert _span(data) is None


def test_a_status_list() -> None:
    def read(data: bytes) -> object:
        return status.read(data, [KEY.public], LIST)

    for levels in DEPTHS:
        for opens in (b"\x81", b"\xa1\x00", b"\x84\x00"):
            for inside in (b"", b"\x00"):
                nested = opens * levels + inside
                refused(read, nested, trust.TrustError)
                refused(read, b"\xd2" + nested, trust.TrustError)
                refused(read, signed_list(nested, signer=KEY), trust.TrustError)
                refused(read, signed_list({65533: 1}, signer=KEY) + nested, trust.TrustError)
    refused(read, cbor2.dumps(bytes(status.FILE_LEN_MAX)), trust.TrustError)


def test_tuf_metadata() -> None:
    """python-tuf reads it, and raises its own errors for what is deep; the bytes are bounded."""
    good = repository.sign_documents(1, 2_000_000_000, {}, [KEY])
    assert repository.read(good).version == 1
    for data in (*deep(["signed", "signatures", "not_a_field"]), *torn(["signed", "not_a_field"])):
        refused(repository.read, data, repository.BrokenRepository)
        assert not repository.verified(data, "targets", data)
        assert not repository.verified(good, "targets", data)
    long = good.ljust(repository.FILE_LEN_MAX + 1)
    refused(repository.read, long, repository.BrokenRepository)
    assert repository.read(long[:-1]).version == 1


TOML = [
    "{name} = " + "[" * 5000,
    "{name} = " + "[" * 5000 + "]" * 5000,
    "{name} = " + "{a=" * 5000,
    "{name}" + ".a" * 4000 + " = 1",
    "[{name}" + ".a" * 4000 + "]",
    "{name} = nan",
    "{name} = " + "9" * 5000,
    '{name} = "',
    "{name} = 1\n{name} = 2",
    "{name} = 2027-13-41",
    "#" * 300_000,
]


@pytest.mark.parametrize("text", TOML, ids=lambda text: text[:24])
@pytest.mark.parametrize("name", ["name", "not_a_field"])
def test_toml(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "sites" / "campus").mkdir(parents=True)
    (tmp_path / "issuers" / "city").mkdir(parents=True)
    files = ("unit.toml", "sites/campus/site.toml", "issuers/city/issuer.toml")
    for file in files:
        (tmp_path / file).write_text(text.replace("{name}", name))
    refused(unit.read, tmp_path / "unit.toml", unit.ConfigError)
    estate = Estate(tmp_path)
    refused(estate.site, "campus", EstateError)
    refused(estate.issuer, "city", EstateError)


def test_a_unit_toml_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    text = (
        'name = "north-1"\nsite = "campus"\ngroups = ["campus"]\n'
        'door = {kind = "direct", pins = {green = 23, red = 24, buzzer = 25, relay = 17}}\n'
    )
    path = tmp_path / "unit.toml"
    for mark in ("", "\ufeff"):
        for end in ("\n", "\r\n"):
            path.write_text(mark + text.replace("\n", end), "utf-8", newline="")
            assert unit.read(path).name == "north-1"
    path.write_text(text, "utf-16")
    refused(unit.read, path, unit.ConfigError)
    with pytest.raises(unit.ConfigError, match=re.escape(f"{path} ") + ".*save it as UTF-8"):
        unit.read(path)
