"""Attacks, each a small story at a running door; edge/wire/threats.md says what each would gain."""

import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge import belief
from edge.belief import Bundle
from edge.clock import NEVER_S, Floors, Interval, Now
from edge.verdict import Believed, Genuine, Place, Reason, Refused, Unsure, verify
from edge.wire import code, holder, keys
from edge.wire.code import Code, Colour
from edge.wire.trust import Issuer, IssuerKey, Issuers, Trust, TrustError
from tests.vectors.door import WORLD
from tests.vectors.parts import KID, PUBLIC, cbor, cose
from tests.world import START_S, Street, Visit

PHONE = keys.private_key(b"phone".ljust(32))
FRIEND = keys.private_key(b"friend".ljust(32))


class Door:
    """One door of the street with nobody about but who is in the story."""

    def __init__(self, folder: Path) -> None:
        self.street = Street(1, folder)
        self.street.next_visit_s = float("inf")
        self.city = self.street.people.city
        self.street.run(5)

    @property
    def now_s(self) -> int:
        return int(self.street.wall_s)

    def said(self, **changes: object) -> Code:
        """What the city says of somebody who is green, issued a minute ago."""
        plain = Code(
            colour=Colour.GREEN,
            sub="AAECAwQFBgc",
            iat_s=self.now_s - 60,
            exp_s=self.now_s + 3600,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def code(self, **changes: object) -> str:
        return code.encode(self.said(**changes), self.city)

    def shows(self, text: str) -> tuple[str, bool]:
        """Somebody holds `text` up for six seconds and leaves: (counted as, whether it opened)."""
        street = self.street
        before, pulses = len(street.decisions), len(street.pulses)
        at_s = street.monotonic_s
        street.visit = Visit("green", text.encode(), at_s, at_s + 6)
        street.run(6)
        street.visit, street.next_visit_s = None, float("inf")
        street.run(6)
        told = [category for _, category, _ in street.decisions[before:]]
        assert len(told) <= 1, f"one code was answered as {told}"
        return (told[0] if told else "silence"), len(street.pulses) > pulses


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.mark.parametrize("more", ["0", "00", "000", " ", "\n", "RWG", "%%"])
def test_bytes_appended_to_a_genuine_code(door: Door, more: str) -> None:
    """With something behind it, it would be another code to whoever compares texts."""
    genuine = door.code()
    assert door.shows(genuine) == ("green", True)
    assert door.shows(genuine + more) == ("not-genuine", False)
    raw = code.base45_decode(genuine[4:].encode())
    assert raw is not None
    assert door.shows(code.wrap(raw + b"\0")) == ("not-genuine", False)


def test_the_wrapper_stripped(door: Door) -> None:
    """The issuer's code stands in the holder's in plain sight: cut out, it is nobody's."""
    bare = door.code(cnf=PHONE.public)
    shown = holder.encode(bare, door.now_s, None, PHONE)
    raw, inner = code.unwrap(shown.encode()), code.unwrap(bare.encode())
    assert isinstance(raw, bytes)
    assert isinstance(inner, bytes)
    assert inner in raw
    assert door.shows(code.wrap(inner)) == ("not-genuine", False)
    assert door.shows(shown) == ("green", True)


def test_a_friends_code_in_ones_own_wrapper(door: Door) -> None:
    bare = door.code(cnf=PHONE.public)
    assert door.shows(holder.encode(bare, door.now_s, None, FRIEND)) == ("not-genuine", False)
    assert door.shows(holder.encode(bare, door.now_s, None, PHONE)) == ("green", True)


def test_a_friends_key_written_into_the_code(door: Door) -> None:
    """The thief's key in `cnf`, the issuer's signature as it was."""
    theirs = code.unwrap(door.code(cnf=FRIEND.public).encode())
    mine = code.unwrap(door.code(cnf=PHONE.public).encode())
    assert isinstance(theirs, bytes)
    assert isinstance(mine, bytes)
    forged = code.wrap(theirs[:-64] + mine[-64:])
    shown = holder.encode(forged, door.now_s, None, FRIEND)
    assert door.shows(shown) == ("not-genuine", False)


def test_a_screenshot_sent_to_a_friend(door: Door) -> None:
    """The holder passes; the picture passes nobody after that, at once or later."""
    bare = door.code(cnf=PHONE.public)
    picture = holder.encode(bare, door.now_s, None, PHONE)
    assert door.shows(picture) == ("green", True)
    assert door.shows(picture) == ("used", False)
    door.street.run(600)
    assert door.shows(picture) == ("proof-old", False)


def test_a_screenshot_of_a_day_old_code_of_somebody_who_never_came(door: Door) -> None:
    bare = door.code(cnf=PHONE.public, iat_s=door.now_s - 9000)
    picture = holder.encode(bare, door.now_s - 8000, None, PHONE)
    assert door.shows(picture) == ("proof-old", False)


def test_a_renewed_code_for_a_friend(door: Door) -> None:
    """Who has passed renews the code and sends the new one to a friend who is still outside."""
    assert door.shows(door.code()) == ("green", True)
    renewed = door.code(iat_s=door.now_s, exp_s=door.now_s + 3600)
    assert door.shows(renewed) == ("used", False)
    assert door.shows(door.code(sub="AAECAwQFBg8")) == ("green", True)  # somebody else's is


def test_a_code_of_another_site(door: Door) -> None:
    """A company that may sign for its own building signs a visitor into this one."""
    company = keys.private_key(b"company".ljust(32))
    window = (START_S - 86400, START_S + 30 * 86400)
    listed = IssuerKey(keys.public_to_text(company.public), *window)
    harbour = Issuer("company", [listed], 86400, sites=["harbour"])
    door.street.trust = Trust(Issuers(version=2, signed_s=START_S, issuers=[harbour]))
    door.street.restart()
    door.street.run(5)
    visitor = code.encode(door.said(), company)
    assert door.shows(visitor) == ("not-here", False)
    says_here = code.encode(door.said(aud=("campus/north-1",)), company)
    assert door.shows(says_here) == ("not-here", False)


DAY_S = 86400
NOW_S = START_S


def test_an_issuer_that_signs_ahead_dates_no_other() -> None:
    """A door without a clock learns the time from codes; one key's codes lie a month ahead."""
    liar, honest = keys.private_key(b"l" * 32), keys.private_key(b"h" * 32)
    window = (NOW_S - DAY_S, NOW_S + 34 * DAY_S)
    document = Issuers(
        version=1,
        signed_s=NOW_S,
        issuers=[
            Issuer(name, [IssuerKey(keys.public_to_text(key.public), *window)], DAY_S)
            for name, key in (("liar", liar), ("honest", honest))
        ],
    )
    believed = Believed(Trust(document), signed_s=NOW_S)
    place, floors = Place(frozenset({"campus"})), Floors()
    unset = Now(Interval(NOW_S, NEVER_S, "build"), 0)

    def judged(signer: keys.PrivateKey, iat_s: int, now: Now) -> object:
        said = Code(colour=Colour.GREEN, sub="AAECAwQFBgc", iat_s=iat_s, exp_s=iat_s + 3600)
        verdict = verify(code.encode(said, signer).encode(), believed, place, now, floors)
        if not isinstance(verdict, Genuine | Refused | Unsure):
            return None
        if verdict.dated is not None:  # as the loop does
            floors.raised(*verdict.dated, now)
        return Genuine if isinstance(verdict, Genuine) else verdict.reason

    assert judged(honest, NOW_S, unset) is Reason.TIME_UNKNOWN
    assert judged(liar, NOW_S + 90 * DAY_S, unset) is Reason.KEY_WINDOW
    assert judged(liar, NOW_S + 33 * DAY_S, unset) is Reason.TIME_UNKNOWN
    # Its own codes of today have expired for this door; nobody else's have, and nothing is older.
    assert judged(liar, NOW_S, unset) is Reason.EXPIRED
    assert judged(honest, NOW_S, unset) is Reason.TIME_UNKNOWN
    assert believed.step(unset) == 0
    # One sync heals it.
    synced = Now(Interval(NOW_S + 9, NOW_S + 11, "sync"), 10)
    floors.synced(synced)
    assert judged(liar, NOW_S, synced) is Genuine
    assert judged(honest, NOW_S, synced) is Genuine
    assert judged(liar, NOW_S + 33 * DAY_S, synced) is Reason.NOT_YET
    assert judged(liar, NOW_S, synced) is Genuine


def test_a_bomb_as_a_status_list() -> None:
    """An issuer's own key signs 300 MB in a third of a megabyte: the whole delivery is left."""
    bomb = zlib.compress(bytes(300_000_000), 9)
    claims = {2: "city/1", 6: WORLD["documents"]["issuers.json"]["signed_s"]}
    claims[65533] = {"lst": bomb, "bits": 1}  # type: ignore[assignment]
    header = cbor({1: -19, 4: KID["city-status"], 16: "application/statuslist+cwt"})
    listed = b"\xd2" + cose(cbor(claims), "city-status", header=header)
    documents = {
        "issuers.json": msgspec.json.encode(WORLD["documents"]["issuers.json"]),
        "site/campus.json": msgspec.json.encode(WORLD["documents"]["site/campus.json"]),
    }
    signers = {"status/city/1.cwt": (PUBLIC["city-status"],)}
    good = Bundle(documents, signers, 1, NOW_S, 2**62, 0.0)
    assert belief.read(good, "campus", frozenset({"campus"})).lists == {}
    with_bomb = replace(good, documents=documents | {"status/city/1.cwt": listed})
    tracemalloc.start()
    with pytest.raises(TrustError, match="unpack to more than"):
        belief.read(with_bomb, "campus", frozenset({"campus"}))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000
