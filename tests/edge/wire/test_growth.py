"""Messages of the next version in the present reader: what is known is used, the rest is kept."""

import hashlib
import json
import os
import subprocess
import sys
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire import envelope, keys, report

CENTRE = keys.private_key(bytes(32))
INSTALLATION = "0123456789abcdef"
NONCE = "00112233445566778899aabbccddeeff"
CELL = {"number": 41, "category": "green", "from_s": 900, "until_s": 1800, "count": 12}
PRESENT: dict[str, dict[str, Any]] = {
    "state": {"online": True, "session": 7, "connection": 3, "installation": INSTALLATION},
    "health": {
        "session": 7,
        "version": "0.1.0",
        "uptime_h": 26,
        "trust_version": 1,
        "trust_age_d": 0,
        "trust": "fresh",
        "clock": "sync",
        "rtc": "ok",
        "camera": "ok",
        "door": "ok",
        "alarms": ["fire", "held"],
        "store": "ok",
        "verifier": "ok",
        "queue": "ok",
    },
    "counts": {"installation": INSTALLATION, "cells": [CELL]},
    "ask": {"session": 7, "nonce": NONCE},
}
DECODE: dict[str, Any] = {
    "state": report.decode_state,
    "health": report.decode_health,
    "counts": report.decode_counts,
    "ask": report.decode_time_request,
}
NEW: dict[str, Any] = {
    "lamp": "dim",
    "zones": ["north", 3, None, True],
    "drift_ppm": -12,
    "covered_since": None,
    "unknown": "a field of this very name",
}


def wire(fields: dict[str, Any]) -> bytes:
    """As a unit writes it."""
    return json.dumps(fields, separators=(",", ":")).encode()


def test_every_open_message_is_here() -> None:
    """With every field that it has, so that no new one is forgotten below."""
    for leaf, fields in PRESENT.items():
        assert list(report.content(DECODE[leaf](wire(fields)))) == list(fields)
    kinds = {type(DECODE[leaf](wire(fields))) for leaf, fields in PRESENT.items()}
    assert set(report._Report.__subclasses__()) == kinds | {report.Cell}
    assert list(CELL) == list(report.content(report.Cell(**CELL)))  # type: ignore[arg-type]


@pytest.mark.parametrize("leaf", PRESENT)
def test_the_present_version_is_read_without_anything_unknown(leaf: str) -> None:
    message = DECODE[leaf](wire(PRESENT[leaf]))
    assert message.unknown == {}
    assert report.encode(message).rstrip() == wire(PRESENT[leaf])


@pytest.mark.parametrize("leaf", PRESENT)
@pytest.mark.parametrize("first", [False, True], ids=["behind", "before"])
def test_fields_of_the_next_version_are_kept_as_they_came(leaf: str, first: bool) -> None:
    fields = NEW | PRESENT[leaf] if first else PRESENT[leaf] | NEW
    message = DECODE[leaf](wire(fields))
    assert message.unknown == NEW
    assert list(message.unknown) == list(NEW)
    assert report.content(message) == fields
    present = DECODE[leaf](wire(PRESENT[leaf]))
    assert msgspec.structs.replace(message, unknown={}) == present


@pytest.mark.parametrize("field", sorted(PRESENT["health"].keys() & report.KNOWN_WORDS.keys()))
def test_a_word_of_the_next_version_moves_no_other_field(field: str) -> None:
    value = ["fire", "call", "held"] if field == "alarms" else "smeared"
    fields = PRESENT["health"] | {field: value}
    health = report.decode_health(wire(fields))
    assert report.content(health) == fields
    assert getattr(health, field) == value


def test_a_fire_beside_an_unknown_alarm_is_a_fire() -> None:
    health = report.decode_health(wire(PRESENT["health"] | {"alarms": ["fire", "call"]}))
    assert health.alarms == ["fire", "call"]
    assert [alarm in report.ALARMS for alarm in health.alarms] == [True, False]


def test_a_cell_of_the_next_version_has_the_digest_that_its_unit_makes() -> None:
    new = CELL | {"category": "call"} | NEW
    for cell in (CELL, CELL | {"category": "call"}, CELL | NEW, new):
        counts = report.decode_counts(wire({"installation": INSTALLATION, "cells": [cell]}))
        assert report.content(counts)["cells"] == [cell]
        assert report.digest(counts.cells[0]) == hashlib.sha256(wire(cell)).hexdigest()


def test_a_cells_unknown_fields_are_part_of_its_content() -> None:
    digests = set()
    for cell in (CELL, CELL | {"lamp": "dim"}, CELL | {"lamp": "off"}, CELL | {"lamps": "dim"}):
        counts = report.decode_counts(wire({"installation": INSTALLATION, "cells": [cell]}))
        digests.add(report.digest(counts.cells[0]))
    assert len(digests) == 4


def test_a_message_that_is_longer_than_ours_is_read() -> None:
    """The next version may need more room."""
    health = report.decode_health(wire(PRESENT["health"] | NEW).ljust(2 * report.HEALTH_LEN))
    assert health.unknown == NEW


@pytest.mark.parametrize("leaf", PRESENT)
@pytest.mark.parametrize(
    "fields",
    [
        {f"f{n}": n for n in range(report.UNKNOWN_MAX)},
        {"f" * 32: 0},
        {"f": "x" * 64},
        {"f": ""},
        {"f": [" "] * report.UNKNOWN_MAX},
        {"f": [2**53, -(2**53)]},
    ],
    ids=["many", "name", "text", "empty", "list", "integers"],
)
def test_what_is_just_within_bounds_is_kept(leaf: str, fields: dict[str, Any]) -> None:
    assert DECODE[leaf](wire(PRESENT[leaf] | fields)).unknown == fields


@pytest.mark.parametrize("leaf", [*PRESENT, "cell"])
@pytest.mark.parametrize(
    "fields",
    [
        {f"f{n}": n for n in range(report.UNKNOWN_MAX + 1)},
        {"f" * 33: 0},
        {"F": 0},
        {"": 0},
        {"f\n": 0},
        {"f": "x" * 65},
        {"f": "门"},
        {"f": "\x1b[2J"},
        {"f": 'say "x"'},
        {"f": "back\\slash"},
        {"f": "line\n"},
        {"f": ["x"] * (report.UNKNOWN_MAX + 1)},
        {"f": [["x"]]},
        {"f": {"x": 1}},
        {"f": 0.5},
        {"f": 2**53 + 1},
    ],
    ids=repr,
)
def test_what_is_out_of_bounds_is_refused_in_one_sentence(
    leaf: str, fields: dict[str, Any]
) -> None:
    hurt = {"installation": INSTALLATION, "cells": [CELL | fields]}
    if leaf != "cell":
        hurt = PRESENT[leaf] | fields
    with pytest.raises(report.ReportError, match="not of its schema") as caught:
        DECODE["counts" if leaf == "cell" else leaf](wire(hurt))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("deep", [b'{"f":' * 100_000, b'{"f":' + b"[" * 100_000, b"[" * 100_000])
@pytest.mark.parametrize("leaf", PRESENT)
def test_depth_in_an_unknown_field_is_an_error_of_ours(leaf: str, deep: bytes) -> None:
    with pytest.raises(report.ReportError, match="not of its schema"):
        DECODE[leaf](deep)


@pytest.mark.slow
@pytest.mark.parametrize("leaf", PRESENT)
@given(
    fields=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_any_field_is_kept_or_refused_and_never_changed(leaf: str, fields: dict[str, Any]) -> None:
    new = {name: value for name, value in fields.items() if name not in PRESENT[leaf]}
    try:
        message = DECODE[leaf](json.dumps(PRESENT[leaf] | new).encode())
    except report.ReportError:
        return
    assert json.dumps(message.unknown) == json.dumps(new)


@pytest.mark.system
def test_a_program_that_has_read_messages_ends_in_order() -> None:
    """Under an allocator that checks each block it frees, so that a fault does not hide."""
    messages = {
        DECODE[leaf].__name__: wire(fields | NEW).decode() for leaf, fields in PRESENT.items()
    }
    program = f"""
from edge.wire import report
for decode, data in {messages}.items():
    getattr(report, decode)(data.encode())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONMALLOC": "debug"},
        capture_output=True,
        text=True,
        errors="replace",  # what a crash prints holds bytes of memory
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


# What this version writes stays within the bounds: so the version before could have kept it.


def test_every_word_and_field_of_this_version_could_have_been_unknown() -> None:
    for words in report.KNOWN_WORDS.values():
        for word in words:
            assert msgspec.convert(word, report.Word) == word
    fullest = PRESENT["health"] | {"version": "0" * 32, "alarms": list(report.ALARMS)}
    for leaf, fields in PRESENT.items():
        values = fullest if leaf == "health" else fields
        new = {f"new_{name}": value for name, value in values.items() if name != "cells"}
        message = DECODE[leaf](wire(PRESENT[leaf] | new))
        assert message.unknown == new
    new = {f"new_{name}": value for name, value in CELL.items()}
    counts = report.decode_counts(wire({"installation": INSTALLATION, "cells": [CELL | new]}))
    assert counts.cells[0].unknown == new


def test_the_table_of_words_has_every_field_whose_words_can_grow() -> None:
    hints = get_type_hints(report.HealthReport, include_extras=True)
    hints |= {"category": get_type_hints(report.Cell, include_extras=True)["category"]}
    grown = {name for name, hint in hints.items() if str(report.Word) in str(hint)}
    assert grown == report.KNOWN_WORDS.keys()


# The version before this one.


@pytest.mark.parametrize("absent", ["alarms", "rtc"])
def test_a_unit_of_before_has_a_default_for_what_it_does_not_say(absent: str) -> None:
    fields = {name: value for name, value in PRESENT["health"].items() if name != absent}
    health = report.decode_health(wire(fields))
    assert getattr(health, absent) == {"alarms": [], "rtc": "none"}[absent]


# What is signed is closed.

ACK = {
    "site": "campus",
    "unit": "north-1",
    "installation": INSTALLATION,
    "first": 1,
    "last": 3,
    "digest": "00",
}
ANSWER = {
    "site": "campus",
    "unit": "north-1",
    "nonce": NONCE,
    "time_ms": 1_800_000_000_000,
    "error_ms": 250,
}
SIGNED: list[Any] = [
    pytest.param(report.verify_ack, report.ACK_KIND, ACK, id="ack"),
    pytest.param(report.verify_time_answer, report.ANSWER_KIND, ANSWER, id="answer"),
]


@pytest.mark.parametrize(("verify", "kind", "fields"), SIGNED)
def test_a_signed_document_with_an_unknown_field_is_refused(
    verify: Any, kind: str, fields: dict[str, Any]
) -> None:
    present = envelope.sign(wire(fields), kind, CENTRE)
    assert msgspec.to_builtins(verify(present, CENTRE.public)) == fields
    grown = envelope.sign(wire(fields | {"only": "cameras"}), kind, CENTRE)
    with pytest.raises(report.ReportError, match="unknown field `only`"):
        verify(grown, CENTRE.public)


@pytest.mark.parametrize(("verify", "kind", "fields"), SIGNED)
def test_a_signed_document_of_the_next_type_is_refused(
    verify: Any, kind: str, fields: dict[str, Any]
) -> None:
    later = envelope.sign(wire(fields), kind.replace(".1+", ".2+"), CENTRE)
    with pytest.raises(report.ReportError, match="another kind"):
        verify(later, CENTRE.public)
