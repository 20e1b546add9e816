"""Documents that were verified, understood: issuers and rules or nothing, lists one by one."""

import json
from dataclasses import replace

import msgspec
import pytest
from msgspec.structs import replace as replaced

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Interval, Now
from edge.judge.document_age import AgeStep
from edge.judge.trust_documents import LISTS_LEN_MAX, Bundle, read
from edge.judge.verdict import Genuine, Place, Reason, Refused, TrustState, Unsure, Verdict, verify
from edge.wire import code, keys, rules, status
from edge.wire.code import Code, Colour, ColourChange, StatusEntry
from edge.wire.rules import PLAIN
from edge.wire.trust import Trust, TrustError
from tests import ROOT
from tests.conftest import CITY, issuers

NOW_S = 1_800_000_000
DAY_S = 86400
HERE = frozenset({"campus"})
LISTER = keys.private_key(b"status".ljust(32))
SITE = rules.SiteRules(site="campus", version=4, signed_s=NOW_S, opens=("green", "yellow"))
BUNDLE = Bundle(
    {
        "issuers.json": msgspec.json.encode(issuers(NOW_S)),
        "site/campus.json": rules.encode(SITE),
        "status/city/1.cwt": status.write([7], 1000, "city/1", NOW_S, LISTER),
    },
    {"status/city/1.cwt": (LISTER.public,)},
    version=9,
    signed_s=NOW_S,
    until_s=NOW_S + 365 * DAY_S,
    accepted_s=5000.0,
)


def with_document(path: str, data: bytes) -> Bundle:
    return replace(BUNDLE, documents={**BUNDLE.documents, path: data})


def judged(said: Code, at_s: int = NOW_S, bundle: Bundle = BUNDLE, powered_s: float = 0) -> Verdict:
    believed = read(bundle, "campus", HERE)
    now = Now(Interval(at_s, at_s, "system"), 0, powered_s)
    place = Place(HERE, "campus", "north-1")
    verdict = verify(code.encode(said, CITY).encode(), believed, place, now, IssuerFloors())
    assert verdict is not None
    return verdict


GREEN = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=NOW_S, exp_s=NOW_S + 600)


def why(verdict: Verdict) -> Reason | None:
    return None if isinstance(verdict, Genuine) else verdict.reason


def test_what_is_understood() -> None:
    believed = read(BUNDLE, "campus", HERE)
    assert believed.rules.opens == {Colour.GREEN, Colour.YELLOW}
    assert (believed.version, believed.signed_s) == (9, NOW_S)
    assert (believed.until_s, believed.accepted_s) == (NOW_S + 365 * DAY_S, 5000.0)
    assert list(believed.lists) == [("city", "city/1")]
    assert believed.trust.keys(CITY.kid)


def test_the_sites_terms_reach_the_verdict() -> None:
    said = replaced(
        SITE,
        holder=rules.HolderTerms(back_s=30, ahead_s=20, required=True, door_named=True),
        ages=rules.DocumentAges(stale_h=1, old_h=2, expired_h=3, long_life_s=4, status_h=5),
    )
    believed = read(with_document("site/campus.json", rules.encode(said)), "campus", HERE)
    terms = believed.rules.holder
    assert (terms.back_s, terms.ahead_s, terms.required, terms.door_named) == (30, 20, True, True)
    assert believed.rules.ages == said.ages
    for hours, step in enumerate((AgeStep.FRESH, AgeStep.STALE, AgeStep.OLD, AgeStep.EXPIRED)):
        at_s = NOW_S + hours * 3600
        assert believed.step(Now(Interval(at_s, at_s, "system"), 0, 5000.0)) is step


def test_a_rule_that_only_holders_pass_is_followed_however_it_was_set() -> None:
    """The terms stand in the rules alone: there is no second copy that could be more lenient."""
    bearer = code.encode(GREEN, CITY).encode()
    now = Now(Interval(NOW_S, NOW_S, "system"), 0)
    place = Place(HERE, "campus", "north-1")
    plain = TrustState(Trust(issuers(NOW_S)), signed_s=NOW_S)
    strict = replace(plain, rules=replace(PLAIN, holder=rules.HolderTerms(required=True)))
    assert isinstance(verify(bearer, plain, place, now, IssuerFloors()), Genuine)
    refused = verify(bearer, strict, place, now, IssuerFloors())
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.PROOF_MISSING


def test_a_bit_decides() -> None:
    assert why(judged(replace(GREEN, status=StatusEntry(6, "city/1")))) is None
    said = judged(replace(GREEN, status=StatusEntry(7, "city/1")))
    assert isinstance(said, Refused)
    assert said.reason is Reason.REVOKED
    for unknown in (
        StatusEntry(1001, "city/1"),
        StatusEntry(6, "city/2"),
        StatusEntry(6, "other/1"),
    ):
        assert why(judged(replace(GREEN, status=unknown))) is Reason.STATUS_UNKNOWN


def test_a_clear_bit_in_an_old_list_is_unsure_and_a_set_one_refuses() -> None:
    later_s = NOW_S + 3 * DAY_S
    later = replace(GREEN, iat_s=later_s - 60, exp_s=later_s + 600)
    bundle = replace(BUNDLE, documents=BUNDLE.documents | {
        "issuers.json": msgspec.json.encode(issuers(later_s))
    })  # fmt: skip
    clear, marked = (replace(later, status=StatusEntry(bit, "city/1")) for bit in (6, 7))
    assert why(judged(clear, later_s, bundle)) is Reason.STATUS_OLD
    assert why(judged(marked, later_s, bundle)) is Reason.REVOKED


def test_a_clear_bit_in_a_list_of_tomorrow_says_nothing_and_a_set_one_refuses() -> None:
    """Dated ahead it would stay fresh for as long as its issuer likes."""
    for ahead_s, reason in ((30, None), (3600, Reason.STATUS_UNKNOWN)):
        listed = status.write([7], 1000, "city/1", NOW_S + ahead_s, LISTER)
        bundle = with_document("status/city/1.cwt", listed)
        clear, marked = (replace(GREEN, status=StatusEntry(bit, "city/1")) for bit in (6, 7))
        assert why(judged(clear, bundle=bundle)) is reason
        assert why(judged(marked, bundle=bundle)) is Reason.REVOKED


@pytest.mark.parametrize("opens", [("green",), ("yellow",), ("yellow", "red")])
def test_a_turn_that_may_have_been_opens_nothing_by_itself(
    opens: tuple[rules.ColourName, ...],
) -> None:
    """Of the two colours that the code may have now, one does not open this door."""
    said = rules.encode(replaced(SITE, opens=opens))
    believed = read(with_document("site/campus.json", said), "campus", HERE)
    place = Place(HERE, "campus", "north-1")
    for colour, turned in ((Colour.GREEN, Colour.YELLOW), (Colour.YELLOW, Colour.GREEN)):
        turning = replace(GREEN, colour=colour, turns=ColourChange(turned, NOW_S + 50))
        text = code.encode(turning, CITY).encode()
        unsure = Now(Interval(NOW_S + 40, NOW_S + 60, "system"), 0)
        verdict = verify(text, believed, place, unsure, IssuerFloors())
        assert isinstance(verdict, Genuine)
        assert verdict.colour not in believed.rules.opens


@pytest.mark.parametrize(
    ("days", "long_lived", "reason"),
    [
        (6, True, None),
        (7, False, None),
        (7, True, Reason.TRUST_OLD),
        (30, False, Reason.TRUST_EXPIRED),
        (30, True, Reason.TRUST_EXPIRED),
    ],
)
@pytest.mark.parametrize("clock_stands", [False, True])
def test_trust_degrades_in_steps(
    days: int, long_lived: bool, reason: Reason | None, clock_stands: bool
) -> None:
    """By the clock, or, where somebody has stopped it, by the time that power was on."""
    at_s = NOW_S if clock_stands else NOW_S + days * DAY_S
    powered_s = 5000.0 + days * DAY_S if clock_stands else 0.0
    life_s = 2 * DAY_S if long_lived else 600
    said = replace(GREEN, iat_s=at_s, exp_s=at_s + life_s)
    content = json.loads(msgspec.json.encode(issuers(at_s)))
    content["issuers"][0]["longest_life_s"] = 7 * DAY_S
    bundle = with_document("issuers.json", json.dumps(content).encode())
    found = judged(said, at_s, bundle, powered_s)
    assert why(found) is reason
    assert reason is None or isinstance(found, Unsure)


def test_what_has_expired_is_shut_however_fresh_its_timestamp() -> None:
    assert why(judged(GREEN, bundle=replace(BUNDLE, until_s=NOW_S))) is Reason.TRUST_EXPIRED


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("issuers.json", b"{}", "issuers file is signed but not understood"),
        ("site/campus.json", b"{}", "site's rules are not understood"),
        ("site/campus.json", rules.encode(replaced(SITE, site="harbour")), "of site 'harbour'"),
    ],
)  # fmt: skip
def test_one_document_that_is_not_understood_refuses_the_whole(
    path: str, data: bytes, told: str
) -> None:
    with pytest.raises(TrustError, match=told):
        read(with_document(path, data), "campus", HERE)


@pytest.mark.parametrize("path", ["issuers.json", "site/campus.json"])
def test_a_missing_document_is_named(path: str) -> None:
    documents = {k: v for k, v in BUNDLE.documents.items() if k != path}
    with pytest.raises(TrustError, match=f"lack {path}"):
        read(replace(BUNDLE, documents=documents), "campus", HERE)


CLEAR = replace(GREEN, status=StatusEntry(6, "city/1"))


def test_a_list_signed_by_another_role_is_not_believed(caplog: pytest.LogCaptureFixture) -> None:
    wrong = replace(BUNDLE, keys={"status/city/1.cwt": (CITY.public,)})
    assert why(judged(CLEAR, bundle=wrong)) is Reason.STATUS_UNKNOWN
    assert "not signed by a key that is trusted for it" in caplog.text


def test_an_issuers_torn_list_keeps_nobody_from_news(caplog: pytest.LogCaptureFixture) -> None:
    """One issuer of thousands could hold up the removal of every stolen key, its own first."""
    torn = with_document("status/city/1.cwt", b"")
    assert why(judged(CLEAR, bundle=torn)) is Reason.STATUS_UNKNOWN
    assert why(judged(GREEN, bundle=torn)) is None
    assert "status list 'city/1' cannot be trusted" in caplog.text


def test_all_lists_together_are_bounded_and_the_largest_issuer_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two kilobytes unpack to two megabytes, and a role may sign 64 of them."""
    full = {
        f"big/{n}": status.write([], 8 * status.LIST_LEN_MAX, f"big/{n}", NOW_S, LISTER)
        for n in range(17)
    }
    documents = {f"status/{name}.cwt": data for name, data in full.items()}
    signers = dict.fromkeys(documents, (LISTER.public,))
    documents = {**BUNDLE.documents, **documents}
    bundle = replace(BUNDLE, documents=documents, keys={**BUNDLE.keys, **signers})
    lists = read(bundle, "campus", HERE).lists
    kept = [one for one in lists.values() if isinstance(one, status.StatusList)]
    assert sum(len(one.entries) for one in kept) <= LISTS_LEN_MAX
    assert ("city", "city/1") in lists
    assert "the largest, those of 'big', are left out" in caplog.text


def test_the_shipped_examples_are_understood() -> None:
    folder = ROOT / "provisioning" / "examples" / "sites"
    files = sorted(folder.glob("*.json"))
    assert len(files) == 5
    for file in files:
        data = file.read_bytes()
        site = json.loads(data)["site"]
        documents = {**BUNDLE.documents, f"site/{site}.json": data}
        assert read(replace(BUNDLE, documents=documents), site, HERE).rules
