"""One code for several people: from the records to a door that lets them all in, or none."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from edge.clock import time_interval
from edge.clock.issuer_floors import IssuerFloors
from edge.judge import trust_documents, verdict
from edge.judge.site_decision import Decision, decide
from edge.judge.verdict import Genuine, Reason, Refused
from edge.wire import code, holder, keys, rules
from edge.wire.code import Code, Colour, ColourChange
from server_stub import store
from server_stub.estate import Estate
from server_stub.issuing import issuer, parties, records, revocation, status_lists
from server_stub.issuing.colour_changes import ColourCourse
from tests import centre
from tests.centre import ISSUER, SITE, Program

DAY_S = 86400
GREEN, YELLOW, RED = Colour


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return centre.make_estate(tmp_path_factory.mktemp("estate"))


@pytest.fixture
def estate(made: Path) -> Iterator[Estate]:
    yield Estate(made)
    for path in Estate(made).status_folder(ISSUER).glob("*"):
        path.unlink()


@dataclass
class PartyOffice:
    """An issuer, its store, and one phone with a key, whose record may speak for others."""

    estate: Estate
    engine: sa.Engine
    signing: issuer.Issuer
    now_s: int  # an hour at least before midnight, so that a day is a day
    record: str = ""
    token: str = ""
    phone: keys.PrivateKey | None = None

    def enrol(self, colour: Colour = GREEN, **more: object) -> records.Enrolment:
        with store.writing(self.engine) as connection:
            return records.enrol(connection, ISSUER, colour, **more)  # type: ignore[arg-type]

    def speaks(self, *members: str) -> None:
        with store.writing(self.engine) as connection:
            parties.set_members(connection, self.record, members)

    def recolour(self, record: str, colour: Colour, turn: ColourChange | None = None) -> None:
        with store.writing(self.engine) as connection:
            records.recolour(connection, record, colour, self.now_s, turn)

    def answer(self, party: bool = True, later_s: int = 0) -> issuer.IssuedCode:
        public = self.phone.public if self.phone else None
        said = self.signing.code(self.token, self.now_s + later_s, public, party)
        assert isinstance(said, issuer.IssuedCode), said
        return said

    def code(self, party: bool = True, later_s: int = 0) -> Code:
        signed = code.decode(self.answer(party, later_s).text.encode())
        assert isinstance(signed, code.SignedCode)
        return signed.code

    def taken_back(self) -> set[int]:
        with self.engine.connect() as connection:
            return set(revocation.set_entries(connection, ISSUER)[1])


def unlocked(place: PartyOffice, key: bool = True, **more: object) -> PartyOffice:
    made = place.enrol(**more)  # type: ignore[arg-type]
    place.record, place.token = made.record, records.new_token()
    place.phone = keys.private_key() if key else None
    public = place.phone.public if place.phone else None
    assert place.signing.activate(made.secret, place.token, public) is None
    return place


@pytest.fixture
def place(estate: Estate, tmp_path: Path) -> PartyOffice:
    engine = store.open_store(f"sqlite:///{tmp_path}/menshen.db")
    said, key = estate.issuer(ISSUER)
    signing = issuer.Issuer(said, key, engine, status=revocation.Statuses(engine))
    return PartyOffice(estate, engine, signing, int(time.time()))


def test_a_family_has_one_code_and_each_their_own(place: PartyOffice) -> None:
    unlocked(place)
    assert place.answer(party=False).party == 1
    place.speaks(place.enrol().record, place.enrol().record)
    own, party = place.code(party=False), place.code()
    assert place.phone
    assert (own.party, party.party) == (1, 3)
    assert own.sub != party.sub
    assert own.cnf == party.cnf == place.phone.public
    assert own.status
    assert party.status
    assert own.status != party.status
    assert party.exp_s - party.iat_s == issuer.HOLDER_LIFE_S
    assert party.turns is None
    assert place.answer(party=False).party == place.answer().party == 3
    again = place.code()  # one handle and one entry for the day
    assert (again.sub, again.status) == (party.sub, party.status)
    tomorrow = place.code(later_s=DAY_S)
    assert tomorrow.sub not in (own.sub, party.sub)
    assert place.code(party=False, later_s=DAY_S).sub not in (tomorrow.sub, own.sub, party.sub)


@pytest.mark.parametrize("colours", [(GREEN, GREEN), (GREEN, YELLOW), (YELLOW, RED), (RED, GREEN)])
@pytest.mark.parametrize("own", list(Colour))
def test_it_is_green_only_if_all_are(
    place: PartyOffice, own: Colour, colours: tuple[Colour, Colour]
) -> None:
    unlocked(place, colour=own)
    place.speaks(*(place.enrol(colour).record for colour in colours))
    assert place.code().colour == max(own, *colours)
    assert place.answer().colour == max(own, *colours).name.lower()
    assert place.code(party=False).colour == own


def test_it_turns_when_all_have_turned_and_not_before(place: PartyOffice) -> None:
    unlocked(place, key=False)
    first, second = place.enrol().record, place.enrol().record
    place.speaks(first, second)
    early_s, late_s = place.now_s + 100, place.now_s + 300
    place.recolour(first, YELLOW, ColourChange(GREEN, late_s))
    assert place.code().turns == ColourChange(GREEN, late_s)
    place.recolour(second, YELLOW, ColourChange(GREEN, early_s))
    assert (place.code().colour, place.code().turns) == (YELLOW, ColourChange(GREEN, late_s))
    place.recolour(
        second, RED, ColourChange(GREEN, early_s)
    )  # red, then yellow, then green: two turns
    assert (place.code().colour, place.code().turns) == (RED, None)
    after = place.code(later_s=100)  # one is left
    assert (after.colour, after.turns) == (YELLOW, ColourChange(GREEN, late_s))
    assert place.code(later_s=300).colour == GREEN
    place.recolour(second, YELLOW)
    assert (place.code().colour, place.code().turns) == (YELLOW, None)


def test_who_speaks_for_nobody_gets_no_party_code(place: PartyOffice) -> None:
    unlocked(place)
    assert place.phone
    wanted = {"key": keys.public_to_text(place.phone.public), "party": True}
    bearer = {"authorization": f"Bearer {place.token}"}
    with TestClient(issuer.web(place.signing)) as web:

        def status() -> tuple[int, str | None]:
            answer = web.post("/v1/code", headers=bearer, json=wanted)
            return answer.status_code, answer.json().get("error")

        assert status() == (409, "party")
        place.speaks(place.enrol().record)
        assert status() == (200, None)
        place.speaks()
        assert status() == (409, "party")
        for torn in (b'{"party": 1}', b'{"party": "yes"}', b'{"party": null}'):
            answer = web.post("/v1/code", headers=bearer, content=torn)
            assert (answer.status_code, answer.json()["error"]) == (400, "body")


def test_it_opens_no_door_that_one_of_them_may_not_use(place: PartyOffice) -> None:
    unlocked(place, aud=("north", "south", "west"), scope="family:li staff:acme")
    other = place.enrol(aud=("west", "south"), scope="slow family:li")
    place.speaks(other.record, place.enrol(scope="family:li").record)
    assert place.code().aud == ("south", "west")
    assert place.code().scope == "family:li slow"  # the pulse must last for all
    place.speaks(place.enrol(scope="staff:acme a b slow").record)
    assert place.code().scope == "staff:acme slow"
    place.speaks(place.enrol().record)
    assert place.code().scope is None
    far = place.enrol(aud=("east",)).record
    with pytest.raises(parties.PartyError, match="no door group is common"):
        place.speaks(far)
    assert place.code().party == 2  # nothing was changed


def test_the_usual_code_costs_no_query_more_and_a_partys_one(place: PartyOffice) -> None:
    unlocked(place, key=False)
    place.speaks(place.enrol().record)
    place.code()
    asked: list[str] = []
    sa.event.listen(place.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    place.code(party=False)
    assert len(asked) == 1
    place.code()
    assert len(asked) == 3


# Taken back


@pytest.mark.parametrize("whose", ["a member's", "the speaker's"])
def test_who_becomes_worse_takes_the_party_code_back(place: PartyOffice, whose: str) -> None:
    unlocked(place)
    member = place.enrol(YELLOW).record
    place.speaks(member)
    own, party = place.code(party=False).status, place.code().status
    assert own
    assert party
    place.recolour(member, GREEN)  # better: the old code only says too little
    assert place.taken_back() == set()
    place.recolour(member if whose == "a member's" else place.record, RED)
    both = {own.bit, party.bit}
    assert place.taken_back() == ({party.bit} if whose == "a member's" else both)
    after = place.code()
    assert after.colour == RED
    assert after.status
    assert after.status.bit not in both


def test_a_later_turn_is_worse(place: PartyOffice) -> None:
    unlocked(place)
    member = place.enrol(YELLOW).record
    place.speaks(member)
    place.recolour(member, YELLOW, ColourChange(GREEN, place.now_s + 600))
    party = place.code().status
    assert party
    place.recolour(member, YELLOW, ColourChange(GREEN, place.now_s + 300))
    assert place.taken_back() == set()
    place.recolour(member, YELLOW, ColourChange(GREEN, place.now_s + 900))
    assert place.taken_back() == {party.bit}


def test_a_party_of_others_takes_the_old_code_back(place: PartyOffice) -> None:
    unlocked(place)
    first, second = place.enrol().record, place.enrol().record
    place.speaks(first, second)
    own, party = place.code(party=False).status, place.code().status
    assert party
    place.speaks(second, first)  # the same people
    assert place.code().status == party
    place.speaks(first)
    assert place.taken_back() == {party.bit}
    assert place.code().party == 2
    assert place.code(party=False).status == own
    place.recolour(second, RED)  # is of this party no more
    assert place.taken_back() == {party.bit}


@pytest.mark.parametrize("change", ["colour", "turn", "people"])
def test_a_party_code_of_old_colours_is_born_taken_back(place: PartyOffice, change: str) -> None:
    """Who read the colours before a change may still sign them; no door believes it for long."""
    unlocked(place)
    member = place.enrol().record
    place.speaks(member)
    said = (ColourCourse(GREEN), ColourCourse(GREEN))  # as it was read
    if change == "people":
        place.speaks(member, place.enrol().record)
    else:
        turn = ColourChange(YELLOW, place.now_s + 60) if change == "turn" else None
        place.recolour(member, GREEN if turn else RED, turn)
    with store.writing(place.engine) as connection:
        entry = revocation.assign_status(connection, place.record, said, 3600, place.now_s)
    assert place.taken_back() == {entry.bit}
    fresh = place.code().status
    assert fresh
    assert fresh.bit != entry.bit


def test_a_lost_phones_party_code_is_taken_back(place: PartyOffice) -> None:
    unlocked(place)
    place.speaks(place.enrol().record)
    entries = {place.code(party=party).status for party in (False, True)}
    with store.writing(place.engine) as connection:
        records.replace(connection, place.record)
    assert place.taken_back() == {entry.bit for entry in entries if entry}


# At a door


def at_door(place: PartyOffice, text: str, now_s: int) -> tuple[verdict.Verdict | None, Decision]:
    """What a door says and does that was brought the issuer's folder as it is."""
    (issuers,) = (place.estate.root / "repository" / "targets").glob("*.issuers.json")
    here = rules.SiteRules(site=SITE, version=1, signed_s=place.now_s)
    brought = place.estate.status_folder(ISSUER).glob("*.cwt")
    of_lists = {f"status/{ISSUER}/{path.name}": path.read_bytes() for path in brought}
    documents = {"issuers.json": issuers.read_bytes(), f"site/{SITE}.json": rules.encode(here)}
    bundle = trust_documents.Bundle(
        documents | of_lists,
        dict.fromkeys(of_lists, (place.estate.status_key(ISSUER).public,)),
        version=1,
        signed_s=place.now_s,
        until_s=time_interval.NEVER_S,
        accepted_s=0.0,
    )
    where = verdict.Place(frozenset({SITE}), SITE, "north-1")
    now = time_interval.Now(time_interval.Interval(now_s, now_s, "system"), 0)
    believed = trust_documents.read(bundle, SITE, where.groups)
    said = verdict.verify(text.encode(), believed, where, now, IssuerFloors())
    assert said is not None
    return said, decide(said, rules.for_door(here, where.groups), now)


def test_a_door_lets_all_of_them_in_until_one_is_worse(place: PartyOffice) -> None:
    unlocked(place)
    assert place.phone
    members = [place.enrol().record for _ in range(3)]
    place.speaks(*members)
    status_lists.publish(place.estate, ISSUER, place.engine, place.now_s)
    phone, answer = place.phone, place.answer()
    shown = holder.encode(answer.text, place.now_s, None, phone)
    said, decision = at_door(place, shown, place.now_s)
    assert isinstance(said, Genuine)
    assert (decision.opens, decision.people, decision.category) == (True, 4, "green")
    place.recolour(members[1], YELLOW, ColourChange(GREEN, place.now_s + 600))
    status_lists.publish(place.estate, ISSUER, place.engine, place.now_s)
    said, decision = at_door(place, shown, place.now_s)
    assert isinstance(said, Refused)
    assert said.reason is Reason.REVOKED
    assert not decision.opens
    # the next code is yellow, and becomes green by itself
    text = place.answer().text
    for later_s, colour, people in ((0, YELLOW, 0), (599, YELLOW, 0), (600, GREEN, 4)):
        now_s = place.now_s + later_s
        said, decision = at_door(place, holder.encode(text, now_s, None, phone), now_s)
        assert isinstance(said, Genuine)
        assert (said.colour, decision.people) == (colour, people)


# The command


@pytest.mark.system
def test_the_command_from_a_family_to_nobody(place: PartyOffice, tmp_path: Path) -> None:
    unlocked(place)
    others = [place.enrol().record for _ in range(8)]
    where = ["--store", f"sqlite:///{tmp_path}/menshen.db"]
    speaking = Program("party", place.record, *others, *where)
    assert speaking.process.wait(20) == 0
    assert "a code for 9 people" in speaking.wait_for("record")
    assert place.code().party == 9
    ending = Program("party", place.record, *where)
    assert ending.process.wait(20) == 0
    assert "has no party" in ending.wait_for("record")
    assert place.answer(party=False).party == 1


@pytest.mark.parametrize(
    ("members", "word"),
    [
        (["nobody"], "no record 'nobody'"),
        (["itself"], "name each record once"),
        (["a", "a"], "name each record once"),
        (list("abcdefghi"), "at most 9 people"),
        (["theirs"], "name records of one issuer"),
    ],
)
def test_a_party_that_cannot_be_is_one_sentence(
    place: PartyOffice, members: list[str], word: str
) -> None:
    unlocked(place)
    with store.writing(place.engine) as connection:
        theirs = records.enrol(connection, "company", GREEN).record
    named = {"itself": place.record, "theirs": theirs}
    with pytest.raises(parties.PartyError, match=word) as caught:
        place.speaks(*(named.get(member, member) for member in members))
    assert "\n" not in str(caught.value)
    with place.engine.connect() as connection:
        assert connection.execute(sa.select(store.parties)).all() == []


@pytest.mark.system
def test_the_command_says_what_is_wrong_and_leaves(place: PartyOffice, tmp_path: Path) -> None:
    where = ["--store", f"sqlite:///{tmp_path}/menshen.db"]
    program = Program("party", "nobody", place.enrol().record, *where)
    assert program.process.wait(20) == 2
    program.kill()
    assert len(program.said) == 1, program.said
    assert "no record 'nobody'" in program.said[0]
