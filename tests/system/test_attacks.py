"""Attacks, each a small story at a running door; edge/wire/threats.md says what each would gain."""

import os
import subprocess
import sys
import time
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from edge.adapters.trust.client import OlderDocuments
from edge.adapters.trust.sources import TrustFolder
from edge.adapters.trust.tuf_trust import TufTrust
from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import NEVER_S, Interval, Now, StoredClock
from edge.judge import trust_documents
from edge.judge.document_age import AgeStep
from edge.judge.trust_documents import Bundle
from edge.judge.verdict import Genuine, Place, Reason, Refused, TrustState, Unsure, verify
from edge.wire import code, holder, keys, rules
from edge.wire.code import Code, Colour
from edge.wire.trust import IssuerEntry, IssuerKey, Issuers, Trust, TrustError
from tests.conftest import write_unit
from tests.realm import Realm
from tests.vectors.door import WORLD
from tests.vectors.parts import KID, PUBLIC, cbor, cose
from tests.world import GROUPS, SITE, START_S, Street, StreetVisit

PHONE = keys.private_key(b"phone".ljust(32))
FRIEND = keys.private_key(b"friend".ljust(32))


class AttackedDoor:
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
        street.visit = StreetVisit("green", text.encode(), at_s, at_s + 6)
        street.run(6)
        street.visit, street.next_visit_s = None, float("inf")
        street.run(6)
        told = [category for _, category, _ in street.decisions[before:]]
        assert len(told) <= 1, f"one code was answered as {told}"
        return (told[0] if told else "silence"), len(street.pulses) > pulses


@pytest.fixture
def door(tmp_path: Path) -> AttackedDoor:
    return AttackedDoor(tmp_path)


@pytest.mark.parametrize("more", ["0", "00", "000", " ", "\n", "RWG", "%%"])
def test_bytes_appended_to_a_genuine_code(door: AttackedDoor, more: str) -> None:
    """With something behind it, it would be another code to whoever compares texts."""
    genuine = door.code()
    assert door.shows(genuine) == ("green", True)
    assert door.shows(genuine + more) == ("not-genuine", False)
    raw = code.base45_decode(genuine[4:].encode())
    assert raw is not None
    assert door.shows(code.wrap(raw + b"\0")) == ("not-genuine", False)


def test_the_wrapper_stripped(door: AttackedDoor) -> None:
    """The issuer's code stands in the holder's in plain sight: cut out, it is nobody's."""
    bare = door.code(cnf=PHONE.public)
    shown = holder.encode(bare, door.now_s, None, PHONE)
    raw, inner = code.unwrap(shown.encode()), code.unwrap(bare.encode())
    assert isinstance(raw, bytes)
    assert isinstance(inner, bytes)
    assert inner in raw
    assert door.shows(code.wrap(inner)) == ("not-genuine", False)
    assert door.shows(shown) == ("green", True)


def test_a_friends_code_in_ones_own_wrapper(door: AttackedDoor) -> None:
    bare = door.code(cnf=PHONE.public)
    assert door.shows(holder.encode(bare, door.now_s, None, FRIEND)) == ("not-genuine", False)
    assert door.shows(holder.encode(bare, door.now_s, None, PHONE)) == ("green", True)


def test_a_friends_key_written_into_the_code(door: AttackedDoor) -> None:
    """The thief's key in `cnf`, the issuer's signature as it was."""
    theirs = code.unwrap(door.code(cnf=FRIEND.public).encode())
    mine = code.unwrap(door.code(cnf=PHONE.public).encode())
    assert isinstance(theirs, bytes)
    assert isinstance(mine, bytes)
    forged = code.wrap(theirs[:-64] + mine[-64:])
    shown = holder.encode(forged, door.now_s, None, FRIEND)
    assert door.shows(shown) == ("not-genuine", False)


def test_a_screenshot_sent_to_a_friend(door: AttackedDoor) -> None:
    """The holder passes; the picture passes nobody after that, at once or later."""
    bare = door.code(cnf=PHONE.public)
    picture = holder.encode(bare, door.now_s, None, PHONE)
    assert door.shows(picture) == ("green", True)
    assert door.shows(picture) == ("used", False)
    door.street.run(600)
    assert door.shows(picture) == ("proof-old", False)


def test_a_screenshot_of_a_day_old_code_of_somebody_who_never_came(door: AttackedDoor) -> None:
    bare = door.code(cnf=PHONE.public, iat_s=door.now_s - 9000)
    picture = holder.encode(bare, door.now_s - 8000, None, PHONE)
    assert door.shows(picture) == ("proof-old", False)


def test_a_renewed_code_for_a_friend(door: AttackedDoor) -> None:
    """Who has passed renews the code and sends the new one to a friend who is still outside."""
    assert door.shows(door.code()) == ("green", True)
    renewed = door.code(iat_s=door.now_s, exp_s=door.now_s + 3600)
    assert door.shows(renewed) == ("used", False)
    assert door.shows(door.code(sub="AAECAwQFBg8")) == ("green", True)  # somebody else's is


def test_a_code_of_another_site(door: AttackedDoor) -> None:
    """A company that may sign for its own building signs a visitor into this one."""
    company = keys.private_key(b"company".ljust(32))
    window = (START_S - 86400, START_S + 30 * 86400)
    listed = IssuerKey(keys.public_to_text(company.public), *window)
    harbour = IssuerEntry("company", [listed], 86400, sites=["harbour"])
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
            IssuerEntry(name, [IssuerKey(keys.public_to_text(key.public), *window)], DAY_S)
            for name, key in (("liar", liar), ("honest", honest))
        ],
    )
    believed = TrustState(Trust(document), signed_s=NOW_S)
    place, floors = Place(frozenset({"campus"})), IssuerFloors()
    unset = Now(Interval(NOW_S, NEVER_S, "build"), 0)

    def judged(signer: keys.PrivateKey, iat_s: int, now: Now) -> object:
        said = Code(colour=Colour.GREEN, sub="AAECAwQFBgc", iat_s=iat_s, exp_s=iat_s + 3600)
        verdict = verify(code.encode(said, signer).encode(), believed, place, now, floors)
        if not isinstance(verdict, Genuine | Refused | Unsure):
            return None
        if verdict.issue_date is not None:  # as the loop does
            floors.raise_to(*verdict.issue_date, now)
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
    floors.note_sync(synced)
    assert judged(liar, NOW_S, synced) is Genuine
    assert judged(honest, NOW_S, synced) is Genuine
    assert judged(liar, NOW_S + 33 * DAY_S, synced) is Reason.NOT_YET
    assert judged(liar, NOW_S, synced) is Genuine


def test_a_bomb_as_a_status_list(caplog: pytest.LogCaptureFixture) -> None:
    """An issuer's own key signs 300 MB in a third of a megabyte: that list is left out."""
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
    assert trust_documents.read(good, "campus", frozenset({"campus"})).lists == {}
    with_bomb = replace(good, documents=documents | {"status/city/1.cwt": listed})
    tracemalloc.start()
    assert trust_documents.read(with_bomb, "campus", frozenset({"campus"})).lists == {}
    assert "unpack to more than" in caplog.text
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_000_000


# The documents: a door of the street that believes what a real TUF client brings it.


class Documented(AttackedDoor):
    """A door whose documents come from `realm`; the attacker holds some of its keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "unit")
        self.folder = folder
        self.company = keys.private_key(b"company".ljust(32))  # its key will be stolen
        self.realm = Realm(START_S, self.issuers("city", "company"), rules=RULES)
        self.realm.write(folder / "card")
        self.client: TufTrust[TrustState] = TufTrust(
            folder / "card", folder / "state", SITE, self.understood, self.clock
        )
        self.street.documents = self.client
        self.street.restart()
        self.street.run(5)

    def clock(self) -> Now:
        return self.street.loop._world.clock.read()

    def understood(self, bundle: Bundle) -> TrustState:
        return trust_documents.read(bundle, SITE, GROUPS)

    def issuers(self, *names: str) -> Issuers:
        """The document that names these; offline keys, so that a year is a short time for them."""
        held = {"city": self.city.public, "company": self.company.public}
        window = (START_S - DAY_S, START_S + 3 * 365 * DAY_S)
        return Issuers(
            version=self.now_s,
            signed_s=self.now_s,
            issuers=[
                IssuerEntry(
                    name,
                    [IssuerKey(keys.public_to_text(held[name]), *window, offline=True)],
                    7 * DAY_S,
                )
                for name in names
            ],
        )

    def published(self, *names: str) -> TrustFolder:
        """The authority signs a newer document; it lies on a stick."""
        self.realm.issuers(self.issuers(*names), self.now_s)
        for role in self.realm.owners:
            if role.startswith("site/"):
                self.realm.rules(RULES, self.now_s)
        self.realm.targets(self.now_s)
        self.realm.publish(self.now_s)
        return TrustFolder(self.realm.write(self.folder / f"stick {self.now_s}"), "the stick")

    def pass_days(self, days: float) -> None:
        """Nothing happens for so long; the unit is on."""
        for _ in range(int(days * 2)):
            self.street.wall_s += DAY_S / 2
            self.street.monotonic_s += DAY_S / 2
            self.street.run(1)


RULES = rules.encode(rules.SiteRules(site=SITE, version=1, signed_s=START_S))


@pytest.fixture
def documented(tmp_path: Path) -> Documented:
    return Documented(tmp_path)


@pytest.mark.slow
def test_an_update_withheld_for_a_year(documented: Documented) -> None:
    """A company's key is stolen; who took it keeps every newer document from the door."""
    door, thief = documented, documented.company

    def stolen(life_s: int) -> str:
        said = door.said(exp_s=door.now_s + life_s, sub=f"AAECAwQF{door.now_s % 100:02d}A")
        return code.encode(said, thief)

    assert door.shows(stolen(3600)) == ("green", True)
    door.pass_days(8)
    assert door.shows(stolen(2 * DAY_S)) == ("unsure-trust", False)
    assert door.shows(stolen(3600)) == ("green", True), "the site's own numbers say thirty days"
    door.pass_days(23)
    assert door.shows(stolen(3600)) == ("unsure-trust", False)
    door.pass_days(335)
    assert door.shows(stolen(3600)) == ("unsure-trust", False)
    assert door.shows(door.code()) == ("unsure-trust", False)
    # Somebody brings what was withheld.
    assert door.client.refresh(door.published("city"))
    door.street.run(1)
    assert door.shows(stolen(3600)) == ("unsure-issuer", False)
    assert door.shows(door.code()) == ("green", True)


def test_an_update_withheld_at_a_door_whose_clock_is_stopped_too(tmp_path: Path) -> None:
    """No network and no RTC: the time that power was on still counts."""
    door = Documented(tmp_path)
    door.street.wired = door.street.has_rtc = False
    door.street.kept = StoredClock(START_S, 0)
    door.street.power_cut()
    thirty = door.street.loop._trust_state.rules.ages.expired_h // 24
    before = door.street.loop._trust_state.step(door.clock())
    for _ in range(2 * thirty + 1):
        door.street.wall_s += DAY_S / 2
        door.street.monotonic_s += DAY_S / 2
        door.street.run(1)
        door.street.kept = replace(door.street.kept, floor_s=START_S)  # the floor never moves
        door.street.power_cut()
    assert before is AgeStep.FRESH
    assert door.street.loop._trust_state.step(door.clock()) is AgeStep.EXPIRED


def test_an_old_stick(documented: Documented) -> None:
    """Removed from the list, a company brings the stick on which it was still named."""
    door = documented
    door.street.run(60)
    old = TrustFolder(door.folder / "card", "the old stick")
    theirs = code.encode(door.said(), door.company)
    assert door.client.refresh(door.published("city"))
    door.street.run(1)
    assert door.shows(theirs) == ("unsure-issuer", False)
    with pytest.raises(OlderDocuments, match="older than what this unit has"):
        door.client.refresh(old)
    door.street.restart()
    door.street.run(1)
    assert door.shows(theirs) == ("unsure-issuer", False)
    assert door.shows(door.code()) == ("green", True)


def test_a_stolen_online_key_tries_to_sign_issuers(documented: Documented) -> None:
    """Snapshot's and timestamp's keys lie on a machine in the network; they name nobody."""
    door, thief = documented, keys.private_key(b"thief".ljust(32))
    online = door.realm.online
    for number, signers in enumerate(
        ([online.snapshot], [online.timestamp], [online.snapshot, online.timestamp], [])
    ):
        door.street.run(60)
        document = door.issuers("city")
        listed = IssuerKey(keys.public_to_text(thief.public), START_S, START_S + 30 * DAY_S)
        theirs = IssuerEntry("thief", [listed], DAY_S)
        document = Issuers(document.version, document.signed_s, [*document.issuers, theirs])
        held = signers or [door.realm.issuers_keys[0], online.snapshot]  # and one holder's
        door.realm.issuers(document, door.now_s, held)
        door.realm.publish_unseen(door.now_s)
        stick = TrustFolder(door.realm.write(door.folder / f"thief {number}"), "the thief's stick")
        with pytest.raises(TrustError, match="not signed by those who may"):
            door.client.refresh(stick)
        door.street.run(1)
        assert door.shows(code.encode(door.said(), thief)) == ("unsure-issuer", False)
    assert door.shows(door.code()) == ("green", True)


# The unit itself.


@pytest.mark.system
def test_a_units_card_in_another_unit(tmp_path: Path) -> None:
    """The card knows the board that it ran on first; this machine is another, or none."""
    unit = write_unit(tmp_path, int(time.time()))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "board").write_text("10000000deadbeef\n")
    ran = subprocess.run(
        [sys.executable, "-m", "edge", "run", str(unit), "--seconds", "1"],
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"GPIOZERO_PIN_FACTORY": "mock"},
    )
    assert ran.returncode == 2
    (line,) = ran.stderr.strip().splitlines()
    assert "this card belongs to the board 10000000deadbeef" in line
    assert (tmp_path / "state" / "board").read_text() == "10000000deadbeef\n"


@pytest.mark.parametrize("rtc_turned_s", [None, -7200, -86400])
def test_the_clock_wound_back_after_a_power_cut(rtc_turned_s: int | None, tmp_path: Path) -> None:
    """The fuse, a hand at the RTC, no network: and then a picture of this morning's code."""
    door = AttackedDoor(tmp_path)
    this_morning = door.code()
    phone = holder.encode(door.code(cnf=PHONE.public), door.now_s, None, PHONE)
    door.street.run(2 * 3600)
    door.street.wired = False
    if rtc_turned_s is None:
        door.street.has_rtc = False
    else:
        door.street.rtc_ahead_s += rtc_turned_s
    door.street.power_cut()
    door.street.run(400)  # passback's own doubt is over
    assert door.shows(this_morning) == ("expired", False)
    assert door.shows(phone) == ("expired", False)
    assert door.shows(door.code()) == ("unsure-time", False), "nobody knows how late it is"
