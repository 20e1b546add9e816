"""A second foreign format is one new file: here one is dropped in and judged end to end."""

import base64
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

import edge.judge.foreign
from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Interval, Now
from edge.judge import trust_documents
from edge.judge.foreign import formats, recognisers
from edge.judge.site_decision import decide
from edge.judge.verdict import (
    Genuine,
    Place,
    Reason,
    Refused,
    TrustState,
    Unsure,
    verify,
)
from edge.wire import eu_documents, keys, trust
from edge.wire.code import Colour
from edge.wire.eu_documents import EuKeyList
from edge.wire.foreign_formats import FORMATS, ForeignFormat
from edge.wire.rules import HolderTerms, SiteRules, encode
from edge.wire.trust import IssuerEntry, Issuers, Trust, TrustError
from provisioning import foreign, issuers
from provisioning import issuers as issuer_folders
from provisioning.files import ProvisioningError
from tests import ROOT, eudcc

TOY = '''
"""A toy: `TOY:` and JSON, signed with Ed25519."""

import base64
import json

from edge.judge.verdict import Meaning, Reason, Statement, UnreadStatement
from edge.wire import keys
from edge.wire.code import TIME_S_MAX, Colour
from edge.wire.trust import key_terms

FORMAT = "toy"
PREFIX = b"TOY:"


class Toy:
    prefix = PREFIX

    def __init__(self, known):
        self.known = known

    def read(self, text):
        try:
            said = json.loads(text[4:])
            body, signature = said["body"], base64.b64decode(said["signature"])
        except (ValueError, KeyError):
            return UnreadStatement(Reason.MALFORMED, text)
        for issuer, public in self.known:
            if keys.verify(public, json.dumps(body).encode(), signature):
                colour = Colour[json.loads(bytes(issuer.terms))[body["badge"]].upper()]
                return Statement(
                    key_terms(issuer, 0, TIME_S_MAX),
                    body["who"],
                    body["since"],
                    body["until"],
                    body["until"] - body["since"],
                    (Meaning(colour, body["since"], body["until"]),),
                )
        return UnreadStatement(Reason.UNKNOWN_ISSUER, body["who"].encode())


def recogniser(issuers):
    return Toy([(f.issuer, keys.public_from_text(json.loads(f.keys))) for f in issuers])
'''

EXAMPLES = ROOT / "provisioning" / "examples"
SIGNER = keys.private_key(bytes(range(32)))
AT_S = eudcc.ISSUED_S + 86400
PLACE = Place(groups=frozenset({"campus/north"}), site="campus", unit="north-1")
TERMS = b'{"gold": "green", "tin": "yellow"}'
TOY_ISSUER = IssuerEntry("club", [], 30 * 86400, format="toy", terms=TERMS)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One new file in the package, and nothing else."""
    (tmp_path / "toy.py").write_text(TOY)
    monkeypatch.setattr(
        edge.judge.foreign, "__path__", [*edge.judge.foreign.__path__, str(tmp_path)]
    )
    yield
    sys.modules.pop("edge.judge.foreign.toy", None)


def toy_text(badge: str = "gold", until: int = AT_S + 60, since: int = AT_S - 86400) -> bytes:
    body = {"who": "member 7", "badge": badge, "since": since, "until": until}
    signature = SIGNER.sign(json.dumps(body).encode())
    return (
        b"TOY:"
        + json.dumps({"body": body, "signature": base64.b64encode(signature).decode()}).encode()
    )


def believed(issuers: list[IssuerEntry], documents: dict[str, bytes]) -> TrustState:
    """As edge.judge.trust_documents puts it together from verified documents."""
    told = Trust(Issuers(1, AT_S - 3600, issuers))
    found = recognisers(told.foreign, documents)
    return TrustState(trust=told, foreign=found, signed_s=AT_S - 3600)


def judge(text: bytes, beliefs: TrustState, at_s: int = AT_S) -> object:
    now = Now(Interval(at_s - 5, at_s + 5, "system"), 0.0)
    return verify(text, beliefs, PLACE, now, IssuerFloors())


CLUB_KEYS = {"keys/club.json": json.dumps(keys.public_to_text(SIGNER.public)).encode()}


def test_without_the_file_it_is_none_of_our_business(caplog: pytest.LogCaptureFixture) -> None:
    beliefs = believed([TOY_ISSUER], CLUB_KEYS)
    assert judge(toy_text(), beliefs) is None
    assert [r.getMessage() for r in caplog.records] == [
        "issuer club signs codes of format toy, which this version does not recognise"
    ]


@pytest.mark.usefixtures("toy")
def test_one_new_file_is_a_second_format() -> None:
    beliefs = believed([eudcc.issuer(), TOY_ISSUER], CLUB_KEYS | EU_KEYS)
    verdict = judge(toy_text(), beliefs)
    assert isinstance(verdict, Genuine)
    assert (verdict.colour, verdict.issuer) == (Colour.GREEN, "club")
    yellow = judge(toy_text("tin"), beliefs)
    assert isinstance(yellow, Genuine)
    assert yellow.colour is Colour.YELLOW
    late = judge(toy_text(until=AT_S - 60), beliefs)
    assert isinstance(late, Refused)
    assert late.reason is Reason.EXPIRED
    forged = judge(toy_text().replace(b"member 7", b"member 8"), beliefs)
    assert isinstance(forged, Unsure)
    assert isinstance(judge(eudcc.text("v", eudcc.VACCINATION), beliefs), Genuine)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("limits", "shown", "reason"),
    [
        ({"longest_life_s": 3600}, {}, Reason.LIFE_TOO_LONG),
        ({"sites": ["harbour"]}, {}, Reason.NOT_HERE),
        ({"groups": ["campus/south"]}, {}, Reason.NOT_HERE),
        ({"colours": ["red"]}, {}, Reason.COLOUR_NOT_ALLOWED),
        ({}, {"since": AT_S + 3600, "until": AT_S + 7200}, Reason.NOT_YET),
    ],
)
def test_what_binds_every_issuer_binds_a_new_format_without_a_line_of_its_own(
    limits: dict[str, Any], shown: dict[str, int], reason: Reason
) -> None:
    bound = msgspec.structs.replace(TOY_ISSUER, **limits)
    verdict = judge(toy_text(**shown), believed([bound], CLUB_KEYS))
    assert isinstance(verdict, Refused)
    assert verdict.reason is reason


@pytest.mark.usefixtures("toy")
def test_formats_are_found_by_themselves() -> None:
    assert formats().keys() == {*FORMATS, "toy"}


def test_both_tables_have_the_same_formats_with_the_same_prefixes() -> None:
    recognised = {name: each.PREFIX for name, each in formats().items()}
    assert recognised == {name: readers.prefix for name, readers in FORMATS.items()}
    assert "hc1" in recognised


def toy_terms(data: bytes, issuer: str) -> object:
    try:
        return {badge: Colour[name.upper()] for badge, name in json.loads(data).items()}
    except (ValueError, KeyError):
        raise TrustError(f"the terms of issuer {issuer!r} are no toy's") from None


def toy_keys(data: bytes, issuer: str) -> object:
    return keys.public_from_text(json.loads(data))


@pytest.mark.usefixtures("toy")
def test_the_pages_words_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recogniser, its readers, one line in the table; then the whole way from an estate."""
    monkeypatch.setitem(FORMATS, "toy", ForeignFormat(b"TOY:", toy_terms, toy_keys))
    terms, key_list = tmp_path / "terms.json", tmp_path / "keys.json"
    terms.write_bytes(TERMS)
    key_list.write_bytes(CLUB_KEYS["keys/club.json"])
    issuers.recognise_issuer(tmp_path / "estate", "club", "toy", terms, key_list)
    there = issuers.read(tmp_path / "estate", "club")
    assert there.format == "toy"
    terms.write_text('{"gold": "blue"}')
    with pytest.raises(ProvisioningError, match="doors would reject it"):
        issuers.recognise_issuer(tmp_path / "estate", "club", "toy", terms, key_list)
    assert isinstance(judge(toy_text(), believed([TOY_ISSUER], CLUB_KEYS)), Genuine)


@pytest.mark.parametrize("clash", ['FORMAT = "hc1"', 'PREFIX = b"HC1"', 'PREFIX = b"DC1:2"'])
def test_two_modules_for_one_thing_are_a_fault_of_ours(
    clash: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "twin.py").write_text(TOY + clash)
    monkeypatch.setattr(
        edge.judge.foreign, "__path__", [*edge.judge.foreign.__path__, str(tmp_path)]
    )
    monkeypatch.delitem(sys.modules, "edge.judge.foreign.twin", raising=False)
    with pytest.raises(AssertionError, match="twin has the format or the prefix of another"):
        formats()
    sys.modules.pop("edge.judge.foreign.twin", None)


def test_a_module_without_the_names_is_no_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "parts.py").write_text('FORMAT = "half"')
    monkeypatch.setattr(
        edge.judge.foreign, "__path__", [*edge.judge.foreign.__path__, str(tmp_path)]
    )
    assert formats().keys() == FORMATS.keys()
    sys.modules.pop("edge.judge.foreign.parts", None)


EU_KEYS = {"keys/eu.json": foreign.encode_key_list(EuKeyList((eudcc.key(),)))}


def test_the_eu_certificate_end_to_end() -> None:
    beliefs = believed([eudcc.issuer()], EU_KEYS)
    verdict = judge(eudcc.text("v", eudcc.VACCINATION), beliefs)
    assert isinstance(verdict, Genuine)
    assert verdict.issuer == "eu"
    assert judge(b"HC2:", beliefs) is None
    assert judge(b"HC1:", beliefs) == Refused(Reason.MALFORMED, eudcc.digest(b"HC1:"))


def test_an_issuer_without_its_key_list_recognises_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beliefs = believed([eudcc.issuer()], {})
    verdict = judge(eudcc.text("v", eudcc.VACCINATION), beliefs)
    assert isinstance(verdict, Unsure)
    assert verdict.reason is Reason.UNKNOWN_ISSUER
    assert [r.levelno for r in caplog.records] == [logging.WARNING]
    assert "issuer eu has no key list" in caplog.text


def test_a_key_list_not_understood_is_told(caplog: pytest.LogCaptureFixture) -> None:
    verdict = judge(eudcc.text("v", eudcc.VACCINATION), believed([eudcc.issuer()], BROKEN))
    assert isinstance(verdict, Unsure)
    assert "keys/eu.json is no hc1 key list" in caplog.text


BROKEN = {"keys/eu.json": b"{}"}


def test_a_key_of_another_issuer_stays_that_ones(caplog: pytest.LogCaptureFixture) -> None:
    """Any issuer may write its neighbour's key into its own list; it gains and stops nothing."""
    both = EU_KEYS | {"keys/us.json": EU_KEYS["keys/eu.json"]}
    beliefs = believed([eudcc.issuer(), eudcc.issuer(name="us")], both)
    verdict = judge(eudcc.text("v", eudcc.VACCINATION), beliefs)
    assert isinstance(verdict, Genuine)
    assert verdict.issuer == "eu"
    assert "is one of 'eu' already" in caplog.text


def test_our_own_issuers_are_passed_by(caplog: pytest.LogCaptureFixture) -> None:
    own = IssuerEntry("city", [], 86400)
    assert own.format == trust.DC1 != eu_documents.FORMAT
    assert recognisers([own], {}) == ()
    assert caplog.text == ""


def test_time_and_trust_unsure_at_once_are_both_told() -> None:
    """A site that opens when it knows one of them must still ask about the other."""
    beliefs = believed([eudcc.issuer()], EU_KEYS)
    last_s = eudcc.ENDS_S - 2
    symbol = eudcc.text("v", eudcc.VACCINATION)
    verdict = judge(symbol, replace(beliefs, signed_s=last_s), last_s)
    assert isinstance(verdict, Unsure)
    assert verdict.reason is Reason.TIME_UNKNOWN
    assert isinstance(verdict.otherwise, Genuine)
    assert verdict.otherwise.colour is Colour.GREEN
    old = judge(symbol, replace(beliefs, signed_s=last_s - 8 * 86400), last_s)
    assert isinstance(old, Unsure)
    assert old.reason is Reason.TRUST_OLD
    assert old.otherwise == verdict
    unknown = judge(symbol, replace(believed([eudcc.issuer()], {}), signed_s=0), last_s)
    assert isinstance(unknown, Unsure)
    assert unknown.reason is Reason.UNKNOWN_ISSUER


def test_where_the_site_wants_a_phones_signature_a_certificate_does_not_pass() -> None:
    beliefs = believed([eudcc.issuer()], EU_KEYS)
    beliefs = replace(beliefs, rules=replace(beliefs.rules, holder=HolderTerms(required=True)))
    verdict = judge(eudcc.text("v", eudcc.VACCINATION), beliefs)
    assert isinstance(verdict, Refused)
    assert verdict.reason is Reason.PROOF_MISSING
    expired = judge(eudcc.text("v", eudcc.VACCINATION), beliefs, eudcc.ENDS_S + 60)
    assert isinstance(expired, Refused)
    assert expired.reason is Reason.EXPIRED


def test_the_shipped_mapping_in_an_issuers_document_opens_a_door() -> None:
    """From the bytes of the documents to what the door does: nothing of it is put together here."""
    mapping = (EXAMPLES / "eu-mapping.json").read_text(encoding="utf-8")
    issuers = f"""{{"version": 1, "signed_s": {AT_S}, "issuers": [{{"name": "eu", "keys": [],
        "longest_life_s": 63072000, "format": "hc1", "terms": {mapping}}}]}}"""
    site = SiteRules(site="campus", version=1, signed_s=AT_S)
    documents = {"issuers.json": issuers.encode(), "site/campus.json": encode(site)} | EU_KEYS
    beliefs = trust_documents.read(
        trust_documents.Bundle(documents, {}, 1, AT_S, 2**40, 0), "campus", PLACE.groups
    )
    door, now = beliefs.rules, Now(Interval(AT_S - 5, AT_S + 5, "system"), 0.0)
    told = {}
    for name, kind, entry in (
        ("vaccinated in December", "v", eudcc.VACCINATION),
        ("one dose of two", "v", eudcc.VACCINATION | {"dn": 1}),
        ("tested yesterday", "t", eudcc.TEST),
        ("positive", "t", eudcc.TEST | {"tr": "260373001"}),
        ("tested last year", "t", eudcc.TEST | {"sc": "2021-12-20T06:00:00Z"}),
        ("recovered", "r", eudcc.RECOVERY),
    ):
        verdict = verify(eudcc.text(kind, entry), beliefs, PLACE, now, IssuerFloors())
        assert verdict is not None
        decision = decide(verdict, door, now)
        told[name] = (decision.opens, decision.category)
    assert told == {
        "vaccinated in December": (True, "green"),
        "one dose of two": (False, "not-recognised"),
        "tested yesterday": (True, "green"),
        "positive": (False, "not-recognised"),
        "tested last year": (False, "expired"),
        "recovered": (True, "green"),
    }


def test_what_the_command_recognises_opens_a_door(tmp_path: Path) -> None:
    """A certificate lives for a year and more; the step's own bound must let it."""
    listed = tmp_path / "keys.json"
    listed.write_bytes(EU_KEYS["keys/eu.json"])
    estate = tmp_path / "estate"
    issuer_folders.recognise_issuer(estate, "eu", "hc1", EXAMPLES / "eu-mapping.json", listed)
    eu = issuer_folders.trust_entry(estate, issuer_folders.read(estate, "eu"))
    keys = {"keys/eu.json": (estate / "issuers" / "eu" / "keys.json").read_bytes()}
    assert isinstance(judge(eudcc.text("v", eudcc.VACCINATION), believed([eu], keys)), Genuine)


@pytest.mark.parametrize(
    ("terms", "keys", "told"),
    [
        (b'{"rows": []}', EU_KEYS["keys/eu.json"], "no hc1 mapping"),
        (b'{"row": {}}', EU_KEYS["keys/eu.json"], "no hc1 mapping"),
        ((EXAMPLES / "eu-mapping.json").read_bytes(), b"{}", "no hc1 key list"),
        ((EXAMPLES / "eu-mapping.json").read_bytes(), b"[" * 100_000, "is not valid"),
    ],
)
def test_the_command_refuses_what_no_door_would_understand(
    terms: bytes, keys: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / "terms.json").write_bytes(terms)
    (tmp_path / "keys.json").write_bytes(keys)
    files = tmp_path / "terms.json", tmp_path / "keys.json"
    with pytest.raises(ProvisioningError, match=told) as error:
        issuer_folders.recognise_issuer(tmp_path / "estate", "eu", "hc1", *files)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "estate" / "issuers" / "eu").exists()
