"""Holder codes: what a phone signs works once, here and now; what it did not sign does not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.judge.verdict import (
    Genuine,
    Place,
    Proof,
    Reason,
    Refused,
    TrustState,
    Unsure,
    Verdict,
    verify,
)
from edge.wire import code, holder, keys
from edge.wire.code import Code, Colour
from edge.wire.rules import PLAIN, HolderTerms
from edge.wire.trust import Trust
from tests.conftest import CITY, issuers

NOW_S = 1_800_000_000
PHONE = keys.private_key(b"phone".ljust(32))
FRIEND = keys.private_key(b"friend".ljust(32))
PLACE = Place(frozenset({"campus"}), "campus", "north-1")
SAID = Code(
    colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=NOW_S, exp_s=NOW_S + 3600, cnf=PHONE.public
)
BARE = code.encode(SAID, CITY)


def shown(text: str, at_s: int, terms: HolderTerms | None = None, error_s: int = 0) -> Verdict:
    believed = TrustState(
        Trust(issuers(NOW_S)), rules=replace(PLAIN, holder=terms or HolderTerms()), signed_s=NOW_S
    )
    now = Now(Interval(at_s - error_s, at_s + error_s, "system"), 0)
    said = verify(text.encode(), believed, PLACE, now, IssuerFloors())
    assert said is not None
    return said


def why(said: Verdict) -> Reason | None:
    return None if isinstance(said, Genuine) else said.reason


def held(iat_s: int, door: str | None = None, phone: keys.PrivateKey = PHONE) -> str:
    return holder.encode(BARE, iat_s, door, phone)


def test_a_fresh_one_is_genuine_and_carries_its_proof() -> None:
    said = shown(held(NOW_S + 100), NOW_S + 103)
    assert isinstance(said, Genuine)
    assert said.proof == Proof(PHONE.public, NOW_S + 100)
    assert said.subject == b"city/AAAAAAAAAAA"


def test_it_is_worth_nothing_bare() -> None:
    assert why(shown(BARE, NOW_S + 1)) is Reason.PROOF_MISSING


def test_another_phone_cannot_wrap_it() -> None:
    assert why(shown(held(NOW_S, phone=FRIEND), NOW_S)) is Reason.BAD_PROOF


@pytest.mark.parametrize(
    ("phone_s", "reason"),
    [
        (NOW_S + 910, None),
        (NOW_S + 909, Reason.PROOF_OLD),
        (NOW_S + 1060, None),
        (NOW_S + 1061, Reason.PHONE_CLOCK),
        (NOW_S - 91, Reason.PHONE_CLOCK),  # before its code was issued: no picture is so old
    ],
)
def test_the_window_is_asymmetric(phone_s: int, reason: Reason | None) -> None:
    assert why(shown(held(phone_s), NOW_S + 1000)) is reason


def test_the_window_is_the_sites() -> None:
    wide = HolderTerms(back_s=600, ahead_s=600)
    assert why(shown(held(NOW_S + 400), NOW_S + 1000, wide)) is None
    assert why(shown(held(NOW_S + 1600), NOW_S + 1000, wide)) is None


def test_an_unsure_door_says_so_and_does_not_blame_the_phone() -> None:
    said = shown(held(NOW_S + 915), NOW_S + 1000, error_s=20)  # 65 to 105 s old
    assert isinstance(said, Unsure)
    assert said.reason is Reason.TIME_UNKNOWN
    believed = TrustState(Trust(issuers(NOW_S)), signed_s=NOW_S)
    blind = Now(Interval(NOW_S, NEVER_S, "floor"), 0)
    assert why(verify(held(NOW_S).encode(), believed, PLACE, blind, IssuerFloors()) or said) is (
        Reason.TIME_UNKNOWN
    )


def test_a_code_made_for_a_door_opens_that_one() -> None:
    assert why(shown(held(NOW_S, "campus/north-1"), NOW_S)) is None
    assert why(shown(held(NOW_S, "campus/north-2"), NOW_S)) is Reason.OTHER_DOOR
    assert why(shown(held(NOW_S, "harbour/north-1"), NOW_S)) is Reason.OTHER_DOOR


def test_a_site_may_ask_for_the_door_and_for_holders_only() -> None:
    named, only = HolderTerms(door_named=True), HolderTerms(required=True)
    assert why(shown(held(NOW_S), NOW_S, named)) is Reason.DOOR_NOT_NAMED
    assert why(shown(held(NOW_S, "campus/north-1"), NOW_S, named)) is None
    bearer = code.encode(replace(SAID, cnf=None), CITY)
    assert why(shown(bearer, NOW_S)) is None
    assert why(shown(bearer, NOW_S, only)) is Reason.PROOF_MISSING
    assert why(shown(bearer, NOW_S, named)) is None, "only a holder can name a door"


def test_a_holders_clock_moves_no_floor() -> None:
    floors = IssuerFloors()
    believed = TrustState(
        Trust(issuers(NOW_S)),
        rules=replace(PLAIN, holder=HolderTerms(ahead_s=10**6)),
        signed_s=NOW_S,
    )
    now = Now(Interval(NOW_S, NOW_S, "system"), 0)
    said = verify(held(NOW_S + 10**5).encode(), believed, PLACE, now, floors)
    assert isinstance(said, Genuine)
    assert said.issue_date is not None
    assert said.issue_date.iat_s == NOW_S


@given(st.integers(0, len(held(NOW_S)) - 5), st.sampled_from("0123456789ABCDEFGHIJ $%*+-./:"))
def test_a_changed_letter_never_opens(at: int, letter: str) -> None:
    text = held(NOW_S)
    hurt = text[: 4 + at] + letter + text[5 + at :]
    said = shown(hurt, NOW_S)
    assert hurt == text or isinstance(said, Refused | Unsure)


@given(st.binary(max_size=400))
def test_reading_never_raises(raw: bytes) -> None:
    holder.read(raw)
    holder.read(b"\x84\x58" + raw)
    whole = code.unwrap(held(NOW_S).encode())
    assert isinstance(whole, bytes)
    holder.read(whole[: len(raw)] + raw)


@pytest.mark.parametrize(
    ("bare", "iat_s", "door", "told"),
    [
        (code.encode(replace(SAID, cnf=None), CITY), 1, None, "names no holder"),
        (held(NOW_S), 1, None, "not a COSE_Sign1 of this kind"),  # a wrapper in a wrapper
        (BARE, -1, None, "a time and a door"),
        (BARE, 2**32, None, "a time and a door"),
        (BARE, 1, "campus", "a time and a door"),
        (BARE, 1, "campus/north/1", "a time and a door"),
        (BARE, 1, "campus/north-1\n", "a time and a door"),
        ("HELLO", 1, None, "must be a door code"),
    ],
)
def test_what_cannot_be_read_is_not_written(
    bare: str, iat_s: int, door: str | None, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        holder.encode(bare, iat_s, door, PHONE)
