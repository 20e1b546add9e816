"""The EU certificate: 182 published files, the mapping, and what happens to a hurt one."""

import base64
import dataclasses
import inspect
import json
import re
import ssl
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clock.time_interval import NEVER_S, Interval
from edge.judge import verdict as verdict_file
from edge.judge.foreign import ForeignIssuer, eu_certificate
from edge.judge.verdict import Genuine, Recogniser, Refused, Unsure, Verdict, judge_foreign
from edge.wire import eu_certificate as wire_certificate
from edge.wire import eu_documents as documents
from edge.wire.code import Colour, base45_decode, base45_encode
from edge.wire.eu_documents import (
    EVIDENCE,
    EuDuration,
    EuKey,
    EuKeyList,
    EuRow,
    EuTerms,
    read_keys,
    read_terms,
)
from provisioning import foreign
from tests import ROOT, eudcc
from tests.eudcc import (
    COVID,
    ENDS_S,
    ISSUED_S,
    PLACE,
    RECOVERY,
    TEST,
    VACCINATION,
    Published,
    at,
    cose,
    issuer,
    judged,
    key,
    pack,
    payload,
    published,
    recogniser,
    text,
    wrap,
)

MAPPING = ROOT / "provisioning" / "examples" / "eu-mapping.json"
EXAMPLE = read_terms(MAPPING.read_bytes(), "eu").rows
DAY_S, HOUR_S = 86400, 3600


def said(verdict: Verdict | None) -> str:
    """As tests/vectors has it: `genuine:green`, `refused:expired`, `unsure:…`."""
    if verdict is None:
        return "not-ours"
    if isinstance(verdict, Genuine):
        return f"genuine:{verdict.colour.name.lower()}"
    kind = "refused" if isinstance(verdict, Refused) else "unsure"
    return f"{kind}:{verdict.reason.name.lower().replace('_', '-')}"


# -- the EU's own test data -----------------------------------------------------------------------

GREEN = {"genuine:green"}
MALFORMED = {"refused:malformed"}
EXPECTED = {  # what must be said when this one is false; all true: green
    "UNPREFIX": {"not-ours"},
    "B45DECODE": MALFORMED,
    "COMPRESSION": MALFORMED,
    "DECODE": MALFORMED,
    "SCHEMAVALIDATION": MALFORMED,
    "VERIFY": {"refused:malformed", "refused:bad-signature", "unsure:unknown-issuer"},
    "KEYUSAGE": {"refused:bad-signature"},
    "EXPIRATIONCHECK": {"refused:expired", "refused:not-yet", "refused:key-window"},
}
NOT_ASKED = {  # of the picture, of the writer, of the JSON beside it; or a slip of the pen
    "PICTUREDECODE", "ENCODE", "VALIDJSON", "VALIDOBJECT", "EXPTECTEDEXPIRED", "RESULTS",
}  # fmt: skip

_VALUE_SETS = (
    "the word is in none of the EU's value sets; what the mapping does not ask is not read"
)
_EARLY = "it contradicts itself: its clock is before its own iat"
_MIDNIGHT = "its clock is a second after local midnight of its day, which begins at 00:00 UTC here"
_P384 = "signed with P-384; the specification has P-256 and nothing else"
DEVIATIONS = {
    "BG_4": ("refused:key-window", "it contradicts itself: issued before its key's certificate"),
    "ES_1003": ("refused:expired", "its recovery ended (du) before its clock; only exp is checked"),
    "ES_1502": ("refused:expired", "its recovery ended (du) before its clock; only exp is checked"),
    **{f"ES_{n}": ("refused:not-yet", _EARLY) for n in (1101, 1102, 1103, 2101, 2102, 2103)},
    **{f"FR_{n}_ok": ("refused:not-yet", _EARLY) for n in ("recovery", "test_pcr", "vaccin")},
    **{f"ES_{n}": ("unsure:unknown-issuer", _P384) for n in (401, 402, 403)},
    **{f"SK_{n}": ("refused:not-yet", _MIDNIGHT) for n in (1, 2, 4, 5, 6)},
    "SK_3": ("refused:malformed", "two vaccinations; schema 1.3.0 has exactly one entry"),
    **{
        f"PL_{version}_{n}": ("genuine:green", _VALUE_SETS)
        for version in ("1.0.0", "1.2.1", "1.3.0")
        for n in (7, 8, 9)
    },
}
"""Files of which another thing is said here than they expect, and why."""

APPROVED = {"EU/1/20/1528", "EU/1/20/1507", "EU/1/21/1529", "EU/1/20/1525", "EU/1/21/1618"}
TOLD = {
    "genuine:green": 65,
    "refused:expired": 26,
    "refused:not-yet": 11,
    "refused:no-evidence": 32,
}  # what the shipped mapping says of those that the widest takes, each at its clock


@pytest.fixture(scope="module")
def keys() -> EuKeyList:
    """The key of every published certificate."""
    found: dict[bytes, EuKey] = {}
    left_out: set[str] = set()
    for file in published():
        if file.certificate in found:
            continue
        try:
            found[file.certificate] = foreign.key_entry(file.certificate, illegible=EVIDENCE)
        except foreign.CertificateError as error:
            assert "unsupported key" in str(error)
            left_out.add(file.name)
    assert left_out == {"ES_401", "ES_402", "ES_403"}
    return EuKeyList(tuple(found.values()))


def judged_by(door: Recogniser, text: bytes, time: Interval) -> Verdict:
    return judge_foreign(door.read(text), PLACE, time)


@pytest.fixture(scope="module")
def eu(keys: EuKeyList) -> Recogniser:
    return recogniser(keys)


def test_all_the_files_are_there() -> None:
    assert len(published()) == 182
    assert len({file.name for file in published()}) == 182
    assert DEVIATIONS.keys() <= {file.name for file in published()}
    asked = {name for file in published() for name in file.expected}
    assert asked == EXPECTED.keys() | NOT_ASKED


@pytest.mark.parametrize("file", published(), ids=lambda file: file.name)
def test_a_published_certificate(file: Published, eu: Recogniser) -> None:
    verdict = None
    if file.text.startswith(eu_certificate.PREFIX):
        verdict = judged_by(eu, file.text, at(file.at_s))
    false = [name for name, value in file.expected.items() if not value and name in EXPECTED]
    want = set.intersection(*(EXPECTED[name] for name in false)) if false else GREEN
    if file.name in DEVIATIONS:
        instead, why = DEVIATIONS[file.name]
        assert said(verdict) == instead, why
        assert instead not in want, "it is as the file expects: take it off the list"
    else:
        assert said(verdict) in want


def test_published_payloads_as_cbor2_reads_them() -> None:
    """Our own reader of CBOR against the library, over every payload there is."""
    compared = 0
    for file in published():
        try:
            parts = cbor2.loads(zlib.decompress(base45_decode(file.text[4:]) or b""))
        except (zlib.error, cbor2.CBORDecodeError):
            continue
        while isinstance(parts, cbor2.CBORTag):
            parts = parts.value
        if not isinstance(parts, list) or file.name == "common_CBO1":
            continue
        theirs = json.loads(json.dumps(cbor2.loads(parts[2]), default=lambda date: None))
        ours = json.loads(json.dumps(wire_certificate._cbor(parts[2])))
        for entry in (ours["-260"]["1"].get("t") or []) if b"\xc0" in parts[2] else []:
            entry["sc"] = theirs["-260"]["1"]["t"][0]["sc"]  # a tagged date: theirs is an object
        assert ours == theirs
        compared += 1
    assert compared == 182 - 6  # B1, Z1, Z2, CBO1, CBO2 are broken, H3 has no prefix


def test_the_shipped_mapping_over_the_published_files(keys: EuKeyList, eu: Recogniser) -> None:
    """Its verdicts, against the same rules in other words over what another library reads."""
    shipped = recogniser(keys, EXAMPLE)
    told = Counter[str]()
    for file in published():
        if not isinstance(judged_by(eu, file.text, at(file.at_s)), Genuine):
            continue
        parts = cbor2.loads(zlib.decompress(base45_decode(file.text[4:]) or b""))
        while isinstance(parts, cbor2.CBORTag):
            parts = parts.value
        want = by_hand(cbor2.loads(parts[2])[-260][1], datetime.fromtimestamp(file.at_s, UTC))
        got = said(judged_by(shipped, file.text, at(file.at_s)))
        assert got == want, file.name
        told[got] += 1
    assert told == TOLD


def by_hand(statement: dict[str, Any], when: datetime) -> str:
    """The shipped mapping, written a second time and with dates instead of seconds."""
    for entry in statement.get("v") or []:
        days = (when.date() - date.fromisoformat(entry["dt"][:10])).days
        if entry["tg"] != COVID or entry["mp"] not in APPROVED or entry["dn"] < entry["sd"]:
            return "refused:no-evidence"
        if entry["dn"] > entry["sd"] or entry["dn"] >= 3 or 14 <= days <= 270:
            return "genuine:green"
        return "refused:not-yet" if days < 14 else "refused:expired"
    for entry in statement.get("r") or []:
        days = (when.date() - date.fromisoformat(entry["fr"][:10])).days
        if not date.fromisoformat(entry["df"][:10]) <= when.date() or days < 11:
            return "refused:not-yet"
        until = date.fromisoformat(entry["du"][:10])
        return "genuine:green" if days <= 180 and when.date() <= until else "refused:expired"
    for entry in statement.get("t") or []:
        taken = entry["sc"]
        if isinstance(taken, str):
            taken = datetime.fromisoformat(taken)
        if entry["tg"] != COVID or entry["tr"] != "260415000":
            return "refused:no-evidence"
        hours = 72 if entry["tt"] == "LP6464-4" else 24
        return "genuine:green" if when < taken + timedelta(hours=hours) else "refused:expired"
    raise AssertionError("no entry")


# -- the mapping ----------------------------------------------------------------------------------


def day(text: str) -> int:
    return int(datetime.fromisoformat(f"{text}T00:00:00+00:00").timestamp())


def entry(kind: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return kind | changed


ONE, TWO, THREE = {"dn": 1, "sd": 1}, {"dn": 2, "sd": 2}, {"dn": 3, "sd": 3}
TAKEN_S = day("2022-01-01") + 6 * HOUR_S
MAPPED = [
    # vaccination on 2021-12-01: from day 14, up to and with day 270
    ("v", entry(VACCINATION), day("2022-01-02"), "genuine:green"),
    ("v", entry(VACCINATION, dt="2021-12-19"), day("2022-01-02") - 1, "refused:not-yet"),
    ("v", entry(VACCINATION, dt="2021-12-19"), day("2022-01-02"), "genuine:green"),
    ("v", entry(VACCINATION), day("2021-12-01") + 271 * DAY_S - 1, "genuine:green"),
    ("v", entry(VACCINATION), day("2021-12-01") + 271 * DAY_S, "refused:expired"),
    ("v", entry(VACCINATION, dn=1), day("2022-01-02"), "refused:no-evidence"),
    ("v", entry(VACCINATION, **ONE), day("2022-01-02"), "genuine:green"),
    ("v", entry(VACCINATION, mp="EU/1/20/1525", **ONE), day("2022-01-02"), "genuine:green"),
    # a booster: at once, and no end but the certificate's own
    ("v", entry(VACCINATION, dt="2022-01-01", **THREE), day("2022-01-02"), "genuine:green"),
    ("v", entry(VACCINATION, dt="2022-01-01", dn=2, sd=1), day("2022-01-02"), "genuine:green"),
    ("v", entry(VACCINATION, **THREE), ENDS_S, "genuine:green"),
    ("v", entry(VACCINATION, **THREE), ENDS_S + 1, "refused:expired"),
    ("v", entry(VACCINATION, **TWO), ENDS_S + 1, "refused:expired"),
    ("v", entry(VACCINATION, mp="Sputnik-V"), day("2022-01-02"), "refused:no-evidence"),
    ("v", entry(VACCINATION, tg="6142004"), day("2022-01-02"), "refused:no-evidence"),
    # a test taken on 2022-01-01 at 06:00
    ("t", entry(TEST), TAKEN_S + 72 * HOUR_S - 1, "genuine:green"),
    ("t", entry(TEST), TAKEN_S + 72 * HOUR_S, "refused:expired"),
    ("t", entry(TEST, tt="LP217198-3"), TAKEN_S + 24 * HOUR_S - 1, "genuine:green"),
    ("t", entry(TEST, tt="LP217198-3"), TAKEN_S + 24 * HOUR_S, "refused:expired"),
    ("t", entry(TEST, sc="2022-01-01T07:00:00+01:00"), TAKEN_S, "genuine:green"),
    ("t", entry(TEST, sc="2022-01-01T07:00:00+01:00"), TAKEN_S - 1, "refused:not-yet"),
    ("t", entry(TEST, tr="260373001"), TAKEN_S, "refused:no-evidence"),
    ("t", entry(TEST, tr="260415000 "), TAKEN_S, "refused:no-evidence"),
    ("t", entry(TEST, tt="LP0-0"), TAKEN_S, "refused:no-evidence"),
    # recovery, first positive on 2021-12-10: from day 11, up to and with day 180, within df and du
    ("r", entry(RECOVERY, fr="2021-12-22", df="2021-12-22"), day("2022-01-02"), "genuine:green"),
    ("r", entry(RECOVERY, fr="2021-12-23", df="2021-12-23"), day("2022-01-02"), "refused:not-yet"),
    ("r", entry(RECOVERY, df="2022-01-03"), day("2022-01-02"), "refused:not-yet"),
    ("r", entry(RECOVERY, du="2022-01-01"), day("2022-01-02") - 1, "genuine:green"),
    ("r", entry(RECOVERY, du="2022-01-01"), day("2022-01-02"), "refused:expired"),
    ("r", entry(RECOVERY, du="2023-01-01"), day("2021-12-10") + 181 * DAY_S - 1, "genuine:green"),
    ("r", entry(RECOVERY, du="2023-01-01"), day("2021-12-10") + 181 * DAY_S, "refused:expired"),
]


@pytest.mark.parametrize(("kind", "fact", "at_s", "want"), MAPPED)
def test_the_shipped_mapping(kind: str, fact: dict[str, Any], at_s: int, want: str) -> None:
    assert said(judged(text(kind, fact), at_s, rows=EXAMPLE)) == want


def test_the_first_row_that_fits_and_is_current_gives_the_colour() -> None:
    week = EuRow("test", "yellow", (COVID,), results=("260415000",), ends=EuDuration(days=7))
    rows = (EXAMPLE[3], week, EuRow("test", "red", (COVID,), results=("260373001",)))
    symbol, positive = text("t", TEST), text("t", entry(TEST, tr="260373001"))
    assert said(judged(symbol, TAKEN_S + 71 * HOUR_S, rows=rows)) == "genuine:green"
    assert said(judged(symbol, TAKEN_S + 72 * HOUR_S, rows=rows)) == "genuine:yellow"
    assert said(judged(symbol, TAKEN_S + 7 * DAY_S, rows=rows)) == "refused:expired"
    assert said(judged(positive, TAKEN_S, rows=rows)) == "genuine:red"
    later = EuRow("test", "green", (COVID,), results=("260415000",), starts=EuDuration(days=30))
    both = (EXAMPLE[3], later, EXAMPLE[3])
    assert said(judged(symbol, TAKEN_S + 7 * DAY_S, rows=both)) == "refused:not-yet"


# -- time, place, keys ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fact", "ends_s"),
    [
        ("v", VACCINATION, day("2021-12-01") + 271 * DAY_S),
        ("v", VACCINATION | THREE, ENDS_S + 1),
        ("t", TEST, TAKEN_S + 72 * HOUR_S),
        ("r", RECOVERY, day("2021-12-10") + 181 * DAY_S),
    ],
)
def test_where_the_clock_is_unsure_the_verdict_is(
    kind: str, fact: dict[str, Any], ends_s: int
) -> None:
    symbol = text(kind, fact)
    door = recogniser(EuKeyList((key(),)), EXAMPLE)

    def told(earliest_s: int, latest_s: int) -> str:
        return said(judged_by(door, symbol, Interval(earliest_s, latest_s, "system")))

    assert told(ends_s - 10, ends_s - 1) == "genuine:green"
    assert told(ends_s - 10, ends_s) == "unsure:time-unknown"
    assert told(ends_s - 1, NEVER_S) == "unsure:time-unknown"
    assert told(ends_s, NEVER_S) == "refused:expired"


def test_an_evidence_that_may_not_have_begun_is_unsure() -> None:
    symbol = text("t", entry(TEST, sc="2022-01-01T00:00:10Z"))
    assert said(judged(symbol, ISSUED_S + 9, 5)) == "unsure:time-unknown"
    assert said(judged(symbol, ISSUED_S + 15, 5)) == "genuine:green"
    assert said(judged(symbol, ISSUED_S + 4, 5)) == "refused:not-yet"


def test_what_is_certainly_refused_is_not_unsure() -> None:
    symbol = text("t", entry(TEST, tr="260373001"))
    door = recogniser(EuKeyList((key(),)), EXAMPLE)
    unset = Interval(ISSUED_S, NEVER_S, "floor")
    assert said(judged_by(door, symbol, unset)) == "refused:no-evidence"


def test_an_issue_a_little_ahead_of_our_clock_is_taken_and_one_after_it_not() -> None:
    symbol = text("v", VACCINATION, iat=ISSUED_S + 3 * DAY_S)
    assert said(judged(symbol, ISSUED_S + 3 * DAY_S - 5, 5)) == "genuine:green"
    assert said(judged(symbol, ISSUED_S + 3 * DAY_S - 6, 5)) == "refused:not-yet"


def test_a_genuine_one_as_our_code() -> None:
    verdict = judged(text("t", TEST), TAKEN_S, rows=EXAMPLE)
    assert isinstance(verdict, Genuine)
    assert verdict.code.colour is verdict.colour is Colour.GREEN
    assert (verdict.code.iat_s, verdict.code.exp_s) == (ISSUED_S, TAKEN_S + 72 * HOUR_S)
    assert verdict.subject == f"eu/{verdict.code.sub}".encode()
    assert (verdict.issuer, verdict.proof, verdict.issue_date) == ("eu", None, None)


def test_the_subject_is_the_certificate_whoever_wraps_it() -> None:
    claims = payload("v", VACCINATION)
    again = payload("v", VACCINATION, iat=ISSUED_S + 60)  # issued anew, the same identifier
    other = payload("v", entry(VACCINATION, ci="URN:UVCI:01:AT:OTHER#1"))
    symbols = [wrap(cose(claims)), wrap(cose(claims), level=1), wrap(cose(claims), tag=None)]
    symbols += [wrap(cose(again)), wrap(cose(other))]
    subjects = [judged(symbol, day("2022-01-02")).subject for symbol in symbols]
    assert len(set(symbols)) == 5
    assert len(set(subjects[:4])) == 1
    assert subjects[4] != subjects[0]


@pytest.mark.parametrize(
    ("more", "want"),
    [
        ({}, "genuine:green"),
        ({"sites": ["campus"]}, "genuine:green"),
        ({"sites": ["port"]}, "refused:not-here"),
        ({"groups": ["campus/north", "port"]}, "genuine:green"),
        ({"groups": ["campus"]}, "refused:not-here"),
        ({"colours": ("yellow", "red")}, "refused:colour-not-allowed"),
        ({"longest_life_s": 365 * DAY_S}, "genuine:green"),
        ({"longest_life_s": 365 * DAY_S - 1}, "refused:life-too-long"),
        ({"key": key(evidence=("vaccination",))}, "genuine:green"),
        ({"key": key(evidence=("test", "recovery"))}, "refused:bad-signature"),
        ({"key": key(from_s=ISSUED_S + 1)}, "refused:key-window"),
        ({"key": key(until_s=ISSUED_S)}, "refused:key-window"),
        ({"key": key(until_s=ISSUED_S + DAY_S)}, "refused:expired"),
        ({"key": key(kid=bytes(8))}, "unsure:unknown-issuer"),
    ],
)
def test_what_an_issuer_and_its_key_may(more: dict[str, Any], want: str) -> None:
    assert said(judged(text("v", VACCINATION), day("2022-01-02"), **more)) == want


def test_kids_collide_and_every_key_is_tried() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    two = EuKeyList((key(public=eudcc.spki(other)), key()))
    symbols = [wrap(cose(payload("v", VACCINATION), signer=s)) for s in (eudcc.SIGNER, other)]
    door = recogniser(two)
    for symbol in symbols:
        assert said(judged_by(door, symbol, at(day("2022-01-02")))) == "genuine:green"
    stranger = wrap(cose(payload("v", VACCINATION), signer=ec.generate_private_key(ec.SECP256R1())))
    assert said(judged_by(door, stranger, at(day("2022-01-02")))) == "refused:bad-signature"


def test_two_issuers_of_one_format_keep_to_their_own_terms() -> None:
    alone = ec.generate_private_key(ec.SECP256R1())
    strict = ForeignIssuer(issuer(EXAMPLE), foreign.encode_key_list(EuKeyList((key(),))))
    own = EuKeyList((key(kid=b"othersid", public=eudcc.spki(alone)),))
    wide = ForeignIssuer(issuer(name="islands"), foreign.encode_key_list(own))
    silent = ForeignIssuer(issuer(name="far"), None)
    door = eu_certificate.recogniser([strict, wide, silent])
    positive = payload("t", entry(TEST, tr="260373001"))
    ours = wrap(cose(positive))
    theirs = wrap(cose(positive, {1: -7, 4: b"othersid"}, signer=alone))
    assert said(judged_by(door, ours, at(TAKEN_S))) == "refused:no-evidence"
    verdict = judged_by(door, theirs, at(TAKEN_S))
    assert isinstance(verdict, Genuine)
    assert verdict.issuer == "islands"
    assert verdict.subject.startswith(b"islands/")


# -- one sentence for what is wrong with a document ------------------------------------------------


def listed(**changed: Any) -> bytes:
    return json.dumps({"keys": [msgspec.to_builtins(key()) | changed]}).encode()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no hc1 key list"),
        (b"\xff", "no hc1 key list"),
        (b'{"keys": [{}]}', "no hc1 key list"),
        (listed(extra=1), "no hc1 key list"),
        (listed(algorithm="none"), "no hc1 key list"),
        (listed(evidence=[]), "no hc1 key list"),
        (listed(evidence=["visa"]), "no hc1 key list"),
        (listed(country="at"), "no hc1 key list"),
        (listed(kid="AAAA"), "is not 8 bytes"),
        (listed(kid="not base64"), "is not 8 bytes"),
        (listed(public="*"), "is not base64"),
        (listed(until_s=0), "ends before it begins"),
        (json.dumps({"keys": [msgspec.to_builtins(key())] * 2}).encode(), "twice"),
        (json.dumps({"keys": [msgspec.to_builtins(key())] * 4001}).encode(), "<= 4000"),
        (listed(public="AAAA"), "is not a valid ES256 key"),
        (listed(algorithm="PS256"), "is not a valid PS256 key"),
        (
            listed(public=eudcc.spki(ec.generate_private_key(ec.SECP384R1()))),
            "is not a valid ES256 key",
        ),
    ],
)
def test_a_wrong_key_list_is_one_sentence_and_harms_no_neighbour(
    data: bytes, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = ForeignIssuer(issuer(name="islands"), foreign.encode_key_list(EuKeyList((key(),))))
    door = eu_certificate.recogniser([ForeignIssuer(issuer(), data), good])
    (line,) = caplog.messages
    assert re.search(told, line)
    assert "eu.json" in line
    assert "\n" not in line
    verdict = judge_foreign(
        door.read(wrap(cose(payload("v", entry(VACCINATION))))), PLACE, at(day("2022-01-02"))
    )
    assert isinstance(verdict, Genuine)


def row(**said: Any) -> bytes:
    first = {"evidence": "vaccination", "colour": "green", "diseases": [COVID]} | said
    return json.dumps({"rows": [first]}).encode()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{}", "no hc1 mapping"),
        (b'{"rows": []}', "no hc1 mapping"),
        (row(colour="blue"), "no hc1 mapping"),
        (row(until={"days": 1}), "no hc1 mapping"),
        (row(diseases=[]), "row 1 .* names no disease"),
        (row(starts={"days": 2}, ends={"hours": 48}), "row 1 .* ends before it starts"),
        (row(results=["260415000"]), "row 1 .* asks about tests"),
        (row(evidence="recovery", doses="any"), "row 1 .* asks about vaccines"),
        (row(evidence="test"), "row 1 .* names no test result"),
        (row(evidence="test", results=["1"], products=["x"]), "row 1 .* asks about vaccines"),
    ],
)
def test_wrong_terms_are_one_sentence_and_harm_no_neighbour(
    data: bytes, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = ForeignIssuer(
        issuer(terms=msgspec.Raw(data)), foreign.encode_key_list(EuKeyList((key(),)))
    )
    good = ForeignIssuer(issuer(name="islands"), wrong.keys)
    door = eu_certificate.recogniser([wrong, good])
    (line,) = caplog.messages
    assert re.search(told, line)
    assert "'eu'" in line
    assert "\n" not in line
    verdict = judge_foreign(
        door.read(wrap(cose(payload("v", entry(VACCINATION))))), PLACE, at(day("2022-01-02"))
    )
    assert isinstance(verdict, Genuine)
    assert verdict.issuer == "islands"


def test_documents_come_back_as_they_were_written() -> None:
    document = EuKeyList((key(), key(kid=b"othersid", evidence=("test",))))
    assert read_keys(foreign.encode_key_list(document), "eu") == document
    assert read_terms(msgspec.json.encode(EuTerms(EXAMPLE)), "eu").rows == EXAMPLE


def test_a_published_certificate_says_what_its_key_may_sign() -> None:
    der = {file.name: file.certificate for file in published()}
    assert foreign.key_entry(der["PL_1.3.0_4"]).evidence == ("test",)
    assert foreign.key_entry(der["PL_1.3.0_1"]).evidence == ("vaccination",)
    assert foreign.key_entry(der["common_CO14"]).evidence == (
        "recovery",
    )  # with the arc 0 too many
    assert foreign.key_entry(der["DK_1"]).evidence == EVIDENCE  # it names none
    assert foreign.key_entry(der["common_CO1"]).algorithm == "PS256"
    assert foreign.key_entry(der["PL_1.3.0_4"]).country == "PL"
    both = foreign.key_list([der["PL_1.3.0_4"], der["DK_1"], der["PL_1.3.0_4"]])
    assert [entry.country for entry in both.keys] == ["DK", "PL"]
    for name, told in (
        ("ES_401", "unsupported key"),
        ("FI_1", "give its evidence with --illegible"),
    ):
        with pytest.raises(foreign.CertificateError, match=told):
            foreign.key_entry(der[name])
    assert foreign.key_entry(der["FI_1"], illegible=("test",)).evidence == ("test",)
    assert foreign.key_entry(der["PL_1.3.0_1"], illegible=("test",)).evidence == ("vaccination",)
    with pytest.raises(foreign.CertificateError, match="cannot be read"):
        foreign.key_entry(b"no certificate")


def provision(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "provisioning", "foreign", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.system
def test_the_command_makes_a_key_list_of_published_certificates(tmp_path: Path) -> None:
    der = {file.name: file.certificate for file in published()}
    out, poland, denmark, finland = (tmp_path / n for n in ("eu.json", "pl", "dk.pem", "fi.txt"))
    poland.write_bytes(der["PL_1.3.0_4"])
    denmark.write_text(ssl.DER_cert_to_PEM_cert(der["DK_1"]))
    finland.write_bytes(base64.b64encode(der["FI_1"]))
    told = provision(out, poland, finland)
    assert told.returncode == 2
    assert "with --illegible" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    assert not out.exists()
    arguments = (out, poland, denmark, finland, "--illegible", "test", "--illegible", "recovery")
    told = provision(*arguments)
    assert told.returncode == 0, told.stderr
    assert "3 keys" in told.stdout
    written = read_keys(out.read_bytes(), "eu").keys
    assert [(k.country, k.evidence) for k in written] == [
        ("DK", EVIDENCE),
        ("FI", ("test", "recovery")),
        ("PL", ("test",)),
    ]
    assert provision(*arguments).returncode == 0
    assert "must be one of vaccination" in provision(out, poland, "--illegible", "visa").stderr
    told = provision(out, poland)
    assert told.returncode == 2
    assert "it was kept" in told.stderr
    assert len(read_keys(out.read_bytes(), "eu").keys) == 3
    (tmp_path / "words").write_text("no certificate at all")
    for wrong, why in (
        (tmp_path / "words", "does not hold a certificate"),
        (tmp_path / "gone", "gone"),
    ):
        told = provision(tmp_path / "new.json", wrong)
        assert (told.returncode, len(told.stderr.splitlines())) == (2, 1)
        assert why in told.stderr


# -- names ----------------------------------------------------------------------------------------

PERSONAL = ("Musterfrau", "MUSTERFRAU", "Gabriele", "GABRIELE", "1998", "UVCI")


def everything(value: object) -> str:
    """Each field of a verdict, however deep, as text."""
    if dataclasses.is_dataclass(value):
        return " ".join(everything(getattr(value, f.name)) for f in dataclasses.fields(value))
    if isinstance(value, bytes):
        return value.decode("latin-1") + value.hex()
    return repr(value)


def test_no_verdict_and_no_repr_holds_a_name(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    parts = cose(payload("v", VACCINATION))
    stored = pack(cbor2.dumps(cbor2.CBORTag(18, parts)), level=0)  # the name in plain letters
    torn = b"HC1:" + base45_encode(zlib.compress(parts[2], 0))
    strange = wrap([parts[0], parts[1], parts[2] + b"\x00", parts[3]], level=0)
    kinds = set()
    for symbol in (stored, torn, strange):
        assert b"Musterfrau" in (base45_decode(symbol[4:]) or b"")
        for at_s in (day("2022-01-02"), ENDS_S + 1, 0):
            for keyed in (key(), key(kid=bytes(8)), key(evidence=("test",))):
                verdict = judged(symbol, at_s, key=keyed)
                kinds.add(said(verdict))
                for name in PERSONAL:
                    assert name not in everything(verdict)
                    assert name.encode().hex() not in everything(verdict)
                    assert name not in repr(verdict)
    assert len(kinds) >= 5
    assert not any(name in repr(wire_certificate.decode(stored)) for name in PERSONAL)
    assert caplog.text == ""


def test_why_a_text_is_torn_does_not_quote_it() -> None:
    for changed in ({"dt": "Musterfrau"}, {"dn": "Musterfrau"}, {"ci": ""}, {"tg": 1998}):
        with pytest.raises(wire_certificate.TornCertificate) as error:
            wire_certificate.decode(text("v", entry(VACCINATION, **changed)))
        assert not any(name in str(error.value) for name in PERSONAL)


# -- a hurt one -----------------------------------------------------------------------------------

GENUINE = text("v", VACCINATION)
WHOLE = wire_certificate.decode(GENUINE)
RAW = zlib.decompress(base45_decode(GENUINE[4:]) or b"")
DOOR = recogniser(EuKeyList((key(), key(kid=bytes(8), evidence=("test",)))))
ALPHABET = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"


def check(symbol: bytes) -> None:
    """Nothing raises, and what is accepted is the certificate that was signed."""
    verdict = judged_by(DOOR, symbol, at(day("2022-01-02")))
    assert isinstance(verdict, Genuine | Refused | Unsure)
    if isinstance(verdict, Genuine):
        assert wire_certificate.decode(symbol).message == WHOLE.message
        assert verdict.subject == f"eu/{WHOLE.sub}".encode()


@st.composite
def hurt(draw: st.DrawFn, data: bytes, alphabet: bytes = bytes(range(256))) -> bytes:
    """`data` with a few flips, cuts, splices and additions."""
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.integers(0, len(data)))
        piece = bytes(draw(st.lists(st.sampled_from(alphabet), max_size=4)))
        gone = draw(st.integers(0, 4))
        data = data[:where] + piece + data[where + gone :]
    return data


def test_the_genuine_one_is() -> None:
    assert said(judged_by(DOOR, GENUINE, at(day("2022-01-02")))) == "genuine:green"


@given(hurt(GENUINE[4:], ALPHABET))
@settings(max_examples=300)
def test_hurt_letters(letters: bytes) -> None:
    check(b"HC1:" + letters)


@given(hurt(base45_decode(GENUINE[4:]) or b""))
@settings(max_examples=300)
def test_hurt_compression(packed: bytes) -> None:
    check(b"HC1:" + base45_encode(packed))


@given(hurt(RAW), st.integers(0, 9))
@settings(max_examples=500)
def test_hurt_cose(data: bytes, level: int) -> None:
    check(pack(data, level))


@given(st.binary(max_size=300))
def test_any_bytes_at_every_depth(data: bytes) -> None:
    check(b"HC1:" + data)
    check(b"HC1:" + base45_encode(data))
    check(pack(data))
    check(wrap([data, {}, data, bytes(64)]))
    check(wrap(cose(data)))


CBOR = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats() | st.binary()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.integers(-300, 10) | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(CBOR, st.sampled_from([4, 6, -260]), st.sampled_from("vtr"))
@settings(max_examples=300)
def test_any_claims_even_signed_ones(value: Any, claim: int, kind: str) -> None:
    """A foreign issuer's blunder must not stop a door either."""
    claims = cbor2.loads(payload("v", VACCINATION))
    check_signed(cbor2.dumps(value))
    check_signed(cbor2.dumps(claims | {claim: value}))
    check_signed(cbor2.dumps(claims | {-260: {1: value}}))
    check_signed(cbor2.dumps(claims | {-260: {1: {kind: [value]}}}))


@given(CBOR, st.sampled_from(sorted({*VACCINATION, *TEST, *RECOVERY})), st.sampled_from("vtr"))
@settings(max_examples=300)
def test_any_entry_even_signed(value: Any, name: str, kind: str) -> None:
    check_signed(payload(kind, {"v": VACCINATION, "t": TEST, "r": RECOVERY}[kind] | {name: value}))


def check_signed(claims: bytes) -> None:
    verdict = judged_by(DOOR, wrap(cose(claims)), at(day("2022-01-02")))
    assert isinstance(verdict, Genuine | Refused | Unsure)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys((1, 2, 3, 4, 13, 33), CBOR)),
    st.fixed_dictionaries({}, optional=dict.fromkeys((1, 2, 3, 4, 13, 33), CBOR)),
)
@settings(max_examples=300)
def test_any_header(protected: dict[int, Any], unprotected: dict[int, Any]) -> None:
    parts = cose(payload("v", VACCINATION))
    check(wrap([parts[0], unprotected, *parts[2:]]))
    check(wrap([cbor2.dumps(protected), *parts[1:]]))
    signed = wrap(cose(payload("v", VACCINATION), protected, unprotected))
    assert isinstance(judged_by(DOOR, signed, at(0)), Refused | Unsure)


def test_what_wraps_it_may_change_and_what_is_signed_not() -> None:
    """HC1 is not canonical: these are other texts of the same certificate, and still that one."""
    parts = cose(payload("v", VACCINATION))
    tagged = cbor2.dumps(cbor2.CBORTag(18, parts))
    same = [pack(tagged, level) for level in range(10)]
    same += [pack(b"\xd8\x3d" + tagged), wrap(parts, tag=None)]
    same += [wrap([parts[0], {4: b"another!"}, *parts[2:]])]
    for symbol in same:
        assert said(judged_by(DOOR, symbol, at(day("2022-01-02")))) == "genuine:green"
        check(symbol)


def as_double(claims: bytes, value: str) -> bytes:
    """`claims` with `exp` as a double, which cbor2 would shorten."""
    return claims.replace(cbor2.dumps(ENDS_S), b"\xfb" + struct.pack(">d", float(value)), 1)


@pytest.mark.parametrize(
    "symbol",
    [
        wrap([*cose(payload("v", VACCINATION)), 0]),
        wrap(cose(payload("v", VACCINATION)), tag=98),
        wrap(cose(payload("v", VACCINATION)), tag=17),
        pack(b"\xd2" + RAW),
        pack(RAW + b"\x00"),
        GENUINE + b"00",
        GENUINE[:-3],
        GENUINE.lower(),
        b"HC1:" + GENUINE,
        b"HC1:" + base45_encode(zlib.compress(RAW) + zlib.compress(RAW)),
        b"HC1:" + base45_encode(zlib.compress(RAW)[2:-4]),
        pack(RAW.replace(b"\xa0\x59", b"\xa2\x04\x41\x00\x04\x41\x00\x59")),
        pack(RAW.replace(b"\x84\x4d", b"\x9f\x4d", 1) + b"\xff"),
        wrap(cose(payload("v", VACCINATION), unprotected={33: b""})),
        wrap(cose(as_double(payload("v", VACCINATION), "nan"))),
        wrap(cose(as_double(payload("v", VACCINATION), "inf"))),
        wrap(cose(payload("v", VACCINATION), {1: -7, 4: eudcc.KID, 2: [33]})),
        wrap(cose(payload("v", VACCINATION), {4: eudcc.KID})),
        wrap(cose(payload("v", VACCINATION), {1: -7})),
        wrap(cose(payload("v", VACCINATION, exp=ISSUED_S - 1))),
        wrap(cose(payload("v", VACCINATION, exp="2022-12-31"))),
        wrap(cose(payload("v", VACCINATION, exp=float("nan")))),
        wrap(cose(payload("v", VACCINATION, iat=True))),
        wrap(cose(payload("v", VACCINATION) + b"\x00")),
        wrap(cose(cbor2.dumps({4: ENDS_S, 6: ISSUED_S, -260: {1: {"v": [VACCINATION] * 2}}}))),
        wrap(cose(cbor2.dumps({4: ENDS_S, 6: ISSUED_S, -260: {1: {"v": [], "t": None}}}))),
        wrap(cose(cbor2.dumps({4: ENDS_S, 6: ISSUED_S, -260: {2: {"v": [VACCINATION]}}}))),
        text("v", entry(VACCINATION, dt="2021-02-30")),
        text("v", entry(VACCINATION, dn=True)),
        text("v", entry(VACCINATION, dn=0)),
        text("v", {k: v for k, v in VACCINATION.items() if k != "ci"}),
        text("t", entry(TEST, sc="2022-01-01T06:00:00")),
        text("t", entry(TEST, sc="2022-01-01")),
    ],
)
def test_torn(symbol: bytes) -> None:
    assert said(judged_by(DOOR, symbol, at(day("2022-01-02")))) == "refused:malformed"


def test_duplicate_keys_are_not_chosen_between() -> None:
    claims = payload("v", VACCINATION)
    twice = b"\xa5" + claims[1:] + cbor2.dumps(4) + cbor2.dumps(ENDS_S)
    assert cbor2.loads(twice)[4] == ENDS_S
    symbol = wrap(cose(twice))
    assert said(judged_by(DOOR, symbol, at(day("2022-01-02")))) == "refused:malformed"


def test_the_other_signature_of_the_same_content_is_the_same_certificate() -> None:
    """ECDSA has two signatures where it has one: (r, n - s). It is the same holder again."""
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    parts = cose(payload("v", VACCINATION))
    s = int.from_bytes(parts[3][32:], "big")
    other = wrap([*parts[:3], parts[3][:32] + (n - s).to_bytes(32, "big")])
    assert other != wrap(parts)
    check(other)
    for broken in (bytes(64), parts[3][:32] + b"\x00" + parts[3][32:], parts[3][:63], b""):
        symbol = wrap([*parts[:3], broken])
        assert said(judged_by(DOOR, symbol, at(day("2022-01-02")))) == "refused:bad-signature"


def test_the_header_must_name_the_keys_own_algorithm() -> None:
    for algorithm in (-37, -8, -35, 0):
        symbol = wrap(cose(payload("v", VACCINATION), {1: algorithm, 4: eudcc.KID}))
        assert said(judged_by(DOOR, symbol, at(day("2022-01-02")))) == "refused:bad-signature"


def test_floats_for_times_as_some_write_them() -> None:
    for written, last_s in ((f"{ENDS_S}.9", ENDS_S), (f"{ENDS_S}.0", ENDS_S)):
        symbol = wrap(cose(as_double(payload("v", VACCINATION), written)))
        assert said(judged_by(DOOR, symbol, at(last_s))) == "genuine:green"
        assert said(judged_by(DOOR, symbol, at(last_s + 1))) == "refused:expired"


def test_a_bomb_is_bounded() -> None:
    room = (wire_certificate.TEXT_LEN_MAX - 4) // 3 * 2
    size = 2_500_000
    bomb = zlib.compress(bytes(size), 9)
    assert len(bomb) < room
    symbol = b"HC1:" + base45_encode(bomb)
    judged_by(DOOR, symbol, at(0))
    tracemalloc.start()
    verdict = judged_by(DOOR, symbol, at(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said(verdict) == "refused:malformed"
    assert peak < size / 10
    assert said(judged_by(DOOR, b"HC1:" + b"0" * 5000, at(0))) == "refused:malformed"


@pytest.mark.parametrize("head", [b"\x9b", b"\xbb", b"\x5b", b"\x7b", b"\xdb"])
def test_a_length_of_2_to_the_64_is_no_work(head: bytes) -> None:
    with pytest.raises(wire_certificate.TornCertificate):
        wire_certificate._cbor(head + b"\xff" * 8 + bytes(40))
    with pytest.raises(wire_certificate.TornCertificate):
        wire_certificate._cbor(b"\x81" * 5000 + b"\x00")


# -- the page -------------------------------------------------------------------------------------

PAGE = (Path(wire_certificate.__file__).parent / "foreign.md").read_text(encoding="utf-8")


def test_the_pages_bounds_are_the_programs() -> None:
    page = " ".join(PAGE.split())
    assert f"at most {wire_certificate.TEXT_LEN_MAX} characters" in page
    assert f"at most {wire_certificate.COSE_LEN_MAX} bytes unpacked" in page
    assert f"at most {wire_certificate.DEPTH_MAX} deep" in page
    assert f"`ci` of 1 to {wire_certificate.CI_LEN_MAX} bytes" in page
    assert f"At most {documents.KEYS_MAX:,} keys" in page
    assert f"at most {documents.ROWS_MAX} rows" in page
    assert f"{len(published())} published test files" in page
    assert f"{len(DEVIATIONS)} of them get another answer" in page
    assert f"agrees on all {sum(TOLD.values())}" in page


def test_the_pages_key_list() -> None:
    shown = re.search(r"^```json keys\n(.*?)^```$", PAGE, re.M | re.S)
    assert shown
    (entry,) = read_keys(shown[1].encode(), "eu").keys
    assert (entry.kid, entry.public) == (key().kid, key().public)
    eu_certificate.recogniser([ForeignIssuer(issuer(), shown[1].encode())])


def test_the_page_names_every_field_of_the_documents() -> None:
    for kind, number in ((EuKey, 4), (EuRow, 5)):
        section = PAGE.partition(f"\n## {number}. ")[2].partition("\n## ")[0]
        first = "".join(re.findall(r"^\| ([^|]+) \|", section, re.M))
        assert set(re.findall(r"`([a-z_]+)`", first)) == set(kind.__struct_fields__)


CHECKS = (
    "_check_key_window",
    "_check_life",
    "_check_issuer_place",
    "_check_validity",
    "_current_meaning",
)


def test_the_page_names_every_verdict() -> None:
    section = PAGE.partition("\n## 6. ")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:refused|unsure):[a-z-]+)`", section))
    common = (judge_foreign, *(getattr(verdict_file, name) for name in CHECKS))
    source = Path(eu_certificate.__file__).read_text("utf-8") + "".join(
        map(inspect.getsource, common)
    )
    used = {name.lower().replace("_", "-") for name in re.findall(r"Reason\.([A-Z_]+)", source)}
    of_every_format = {"proof-missing", "trust-old"}  # in edge.judge.verdict
    assert {name.partition(":")[2] for name in named} == used | of_every_format


def test_the_pages_periods_are_the_shipped_ones() -> None:
    spans = [(row.evidence, row.starts.seconds, row.ends and row.ends.seconds) for row in EXAMPLE]
    assert spans == [
        ("vaccination", 0, None),
        ("vaccination", 14 * DAY_S, (270 + 1) * DAY_S),
        ("recovery", 11 * DAY_S, (180 + 1) * DAY_S),
        ("test", 0, 72 * HOUR_S),
        ("test", 0, 24 * HOUR_S),
    ]
    assert {row.colour for row in EXAMPLE} == {"green"}
    assert {name for row in EXAMPLE for name in row.products} == APPROVED
    assert all(f"`{name}`" in PAGE for name in APPROVED)
