"""Messages: one size, one schema, and an acknowledgement that only the collector can write."""

import base64
import json
from typing import Any, get_args

import msgspec
import pytest

from edge.wire import envelope, keys, report

COLLECTOR = keys.private_key(bytes(32))
INSTALLATION = "0123456789abcdef"
ACK = report.Ack(
    site="campus", unit="north-1", installation=INSTALLATION, first=1, last=3, digest="00"
)
HEALTH = report.HealthReport(
    session=7,
    version="0.1.0",
    uptime_h=26,
    trust_version=1,
    trust_age_d=0,
    trust="fresh",
    clock="system",
    camera="ok",
    door="ok",
    store="ok",
    verifier="ok",
    queue="ok",
)


def cell(number: int, **more: Any) -> report.Cell:
    said = {"category": "green", "from_s": 900, "until_s": 1800, "count": 12, **more}
    return report.Cell(number=number, **said)


def counts(*cells: report.Cell) -> report.CountsReport:
    return report.CountsReport(installation=INSTALLATION, cells=list(cells))


LARGEST = [
    cell(2**53 - 8 + n, category="unsure-status", from_s=2**32 - 1, until_s=2**32 - 1, count=2**53)
    for n in range(report.CELLS_MAX)
]


@pytest.mark.parametrize("cells", [[], [cell(1)], [cell(1), cell(2)], LARGEST], ids=len)
def test_counts_have_one_size_whatever_they_say(cells: list[report.Cell]) -> None:
    data = report.encode(counts(*cells))
    assert len(data) == report.COUNTS_LEN
    assert report.decode_counts(data) == counts(*cells)


@pytest.mark.parametrize("session", [1, 2**53])
@pytest.mark.parametrize("queue", ["ok", "full"])
def test_health_has_one_size_whatever_it_says(session: int, queue: Any) -> None:
    said = msgspec.structs.replace(
        HEALTH,
        session=session,
        queue=queue,
        uptime_h=10**6,
        trust_age_d=10**5,
        alarms=list(report.ALARMS),
    )
    data = report.encode(said)
    assert len(data) == report.HEALTH_LEN
    assert report.decode_health(data) == said


def test_the_fullest_health_fits() -> None:
    """Every field at its longest, every alarm at once."""
    full = report.HealthReport(
        session=2**53, version="x" * 32, uptime_h=2**32 - 1, trust_version=2**32 - 1,
        trust_age_d=2**32 - 1, trust="expired", clock="system", rtc="unrelated",
        camera="unfocused", door="lost", alarms=list(report.ALARMS), store="full",
        verifier="wrong", queue="full",
    )  # fmt: skip
    assert report.decode_health(report.encode(full)) == full


def test_a_unit_of_before_tells_no_alarms() -> None:
    said = msgspec.json.decode(report.encode(HEALTH))
    del said["alarms"]
    assert report.decode_health(msgspec.json.encode(said)) == HEALTH


@pytest.mark.parametrize(
    "alarms",
    [
        "fire",
        [None],
        ["fire"] * (report.ALARMS_MAX + 1),
        [""],
        ["Fire"],
        ["a b"],
        ["x" * 17],
        ["x\n"],
    ],
)
def test_alarms_that_no_version_writes_are_refused(alarms: Any) -> None:
    said = msgspec.json.decode(report.encode(HEALTH)) | {"alarms": alarms}
    with pytest.raises(report.ReportError, match="not of its schema"):
        report.decode_health(msgspec.json.encode(said))


def test_a_unit_that_has_just_begun() -> None:
    said = msgspec.structs.replace(HEALTH, session=1, uptime_h=0, trust_version=0, trust_age_d=0)
    assert report.decode_health(report.encode(said)) == said


def test_what_does_not_fit_is_not_cut() -> None:
    said = msgspec.structs.replace(HEALTH, version="x" * 500)
    with pytest.raises(report.ReportError, match="too long"):
        report.encode(said)


def test_birth_and_will() -> None:
    for online in (True, False):
        said = report.StateReport(online=online, session=7, installation=INSTALLATION)
        assert report.decode_state(report.encode(said)) == said


@pytest.mark.parametrize("numbers", [(1, 3), (2, 1), (1, 1), (1, 2, 4)], ids=str)
def test_a_gap_in_the_numbers_is_told(numbers: tuple[int, ...]) -> None:
    with pytest.raises(report.ReportError, match="gap"):
        report.decode_counts(report.encode(counts(*map(cell, numbers))))


def test_a_cell_that_ends_before_it_begins_is_told() -> None:
    with pytest.raises(report.ReportError, match="ends before it begins"):
        report.decode_counts(report.encode(counts(cell(1, until_s=899))))


CELL = {"number": 1, "category": "green", "from_s": 1, "until_s": 2, "count": 10}


@pytest.mark.parametrize(
    "more",
    [
        {"number": 0},
        {"number": 2**53 + 1},
        {"number": "1"},
        {"count": 0},
        {"count": -1},
        {"count": 1.5},
        {"category": "Blue"},
        {"category": ""},
        {"category": "b" * 17},
        {"from_s": -1},
        {"until_s": 2**32},
        {"share": 1.5},
        {"who": {"name": "Li"}},
    ],
    ids=str,
)
def test_a_cell_out_of_its_schema_is_told(more: dict[str, Any]) -> None:
    said = {"installation": INSTALLATION, "cells": [CELL | more]}
    with pytest.raises(report.ReportError, match="not of its schema"):
        report.decode_counts(json.dumps(said).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" " * report.COUNTS_LEN,
        b"{}",
        b"null",
        b"\xff",
        b"[" * 100_000,
        report.encode(counts(cell(1)))[:60],
        report.encode(counts(cell(1))).rstrip() * 2,
        json.dumps({"installation": INSTALLATION, "cells": [CELL] * 9}).encode(),
        json.dumps({"installation": "0123456789ABCDEF", "cells": []}).encode(),
        json.dumps({"installation": INSTALLATION + "\n", "cells": []}).encode(),
    ],
    ids=range(11),
)
def test_what_is_no_counts_message(data: bytes) -> None:
    for decode in (report.decode_counts, report.decode_health, report.decode_state):
        with pytest.raises(report.ReportError, match="not of its schema"):
            decode(data)


def test_topics_both_ways() -> None:
    for leaf in get_args(report.Leaf):
        topic = report.topic("campus", "north-1", leaf)
        assert report.address(topic) == report.Address("campus", "north-1", leaf)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "menshen/1/campus/north-1",
        "menshen/1/campus/north-1/counts/more",
        "menshen/2/campus/north-1/counts",
        "other/1/campus/north-1/counts",
        "menshen/1//north-1/counts",
        "menshen/1/campus//counts",
        "menshen/1/campus/north-1/",
        "menshen/1/campus/north-1/open",
        "menshen/1/campus/+/counts",
        "menshen/1/#/north-1/counts",
        "menshen/1/Campus/north-1/counts",
        "menshen/1/campus/north-1\n/counts",
        "$SYS/broker/clients/connected/1",
    ],
)
def test_what_is_no_topic_of_ours(topic: str) -> None:
    assert report.address(topic) is None


@pytest.mark.parametrize("first", [1, 3])
def test_the_collectors_acknowledgement(first: int) -> None:
    said = msgspec.structs.replace(ACK, first=first)
    assert report.verify_ack(report.sign_ack(said, COLLECTOR), COLLECTOR.public) == said


def refused(data: bytes, why: str) -> None:
    with pytest.raises(report.ReportError, match=why):
        report.verify_ack(data, COLLECTOR.public)


def test_nobody_else_can_acknowledge() -> None:
    other = keys.private_key(bytes(31) + b"\1")
    refused(report.sign_ack(ACK, other), "not accepted.*not signed by the key")


def test_a_changed_acknowledgement_is_not_believed() -> None:
    content = json.loads(report.sign_ack(ACK, COLLECTOR))
    payload = base64.b64decode(content["payload"]).replace(b'"last":3', b'"last":9')
    hurt = content | {"payload": base64.b64encode(payload).decode()}
    refused(json.dumps(hurt).encode(), "not signed by the key")


def test_a_torn_acknowledgement_is_not_believed() -> None:
    signed = report.sign_ack(ACK, COLLECTOR)
    for at in range(len(signed)):
        refused(signed[:at], "not accepted")


def test_another_document_of_the_collector_is_no_acknowledgement() -> None:
    payload = base64.b64decode(json.loads(report.sign_ack(ACK, COLLECTOR))["payload"])
    refused(envelope.sign(payload, "application/json", COLLECTOR), "another kind")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"first": 4}, "ends before it begins"),
        ({"first": 0}, "not of its schema"),
        ({"unit": "North"}, "not of its schema"),
        ({"open": True}, "not of its schema"),
    ],
    ids=str,
)
def test_a_signed_acknowledgement_must_make_sense(more: dict[str, Any], why: str) -> None:
    said = msgspec.structs.asdict(ACK) | more
    refused(envelope.sign(json.dumps(said).encode(), report.ACK_KIND, COLLECTOR), why)


def test_the_digest_moves_with_every_field() -> None:
    digests = {
        report.digest(c)
        for c in (
            cell(1),
            cell(2),
            cell(1, category="red"),
            cell(1, from_s=901),
            cell(1, until_s=1801),
            cell(1, count=13),
        )
    }
    assert len(digests) == 6


def test_no_field_could_hold_a_person() -> None:
    """The only texts that leave a unit are of closed sets, its own names and its version."""
    assert set(report.content(cell(1))) == {
        "number",
        "category",
        "from_s",
        "until_s",
        "count",
    }
    assert set(report.content(counts())) == {"installation", "cells"}
    birth = report.StateReport(online=True, session=7, installation=INSTALLATION)
    assert set(report.content(birth)) == {"online", "session", "connection", "installation"}
