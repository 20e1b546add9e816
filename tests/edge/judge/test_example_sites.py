"""The five example sites, each on a day of its own: real codes, real verdicts, real rules.

Every line of a story is one code before one door: when (the site's wall clock), which door, who,
and what happens. `opens` alone is an opening counted by its colour.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.judge.site_decision import Decision, decide
from edge.judge.verdict import Place, TrustState, verify
from edge.wire import code, holder, keys, rules, trust
from edge.wire.code import Code, Colour, StatusEntry
from edge.wire.timetable import certainly
from tests import ROOT

EXAMPLES = ROOT / "provisioning" / "examples" / "sites"
NAMES = ("city", "acme", "bolt", "cobalt", "delta", "hospital", "clinic", "shop")
ISSUERS = {name: keys.private_key(name.encode().ljust(32)) for name in (*NAMES, "nobody")}
PHONE = keys.private_key(b"phone".ljust(32))


@dataclass(frozen=True)
class Who:
    """A person, as far as a code says: its issuer, grants and colour."""

    scope: str | None = None
    issuer: str = "city"
    colour: Colour = Colour.GREEN
    claims: dict[str, Any] = field(default_factory=dict)
    labelled: str | None = None  # the door whose label the phone has scanned
    phone: bool = False
    lives_s: int = 300

    def shows(self, at_s: int) -> bytes:
        claims = dict(self.claims) | ({"cnf": PHONE.public} if self.phone else {})
        said = Code(
            colour=self.colour,
            sub="AAAAAAAAAAA",
            iat_s=at_s - 60,
            exp_s=at_s - 60 + self.lives_s,
            scope=self.scope,
            **claims,
        )
        text = code.encode(said, ISSUERS[self.issuer])
        return (holder.encode(text, at_s, self.labelled, PHONE) if self.phone else text).encode()


class ExampleSite:
    """One site: its file, its doors, and how many are inside each."""

    def __init__(self, name: str, doors: dict[str, list[str]], people: dict[str, Who]) -> None:
        self.site = rules.read((EXAMPLES / f"{name}.json").read_bytes(), name)
        self.doors = doors
        self.people = people
        self.inside = Counter[str]()

    def at_s(self, when: str) -> int:
        return int(
            datetime.fromisoformat(when).replace(tzinfo=ZoneInfo(self.site.zone)).timestamp()
        )

    def meets(
        self, when: str, door: str, who: str, *, trust_age_s: int = 0, clock: bool = True
    ) -> Decision:
        """What the door does. Without `clock` it knows that it is not earlier, and no more."""
        at_s = self.at_s(when)
        groups = frozenset(self.doors[door])
        here = rules.for_door(self.site, groups)
        issuers = [
            trust.IssuerEntry(
                name=name,
                keys=[
                    trust.IssuerKey(
                        public=keys.public_to_text(ISSUERS[name].public),
                        from_s=at_s - 86_400,
                        until_s=at_s + 86_400,
                    )
                ],
                longest_life_s=7 * 86_400,
            )
            for name in NAMES
        ]
        believed = TrustState(
            trust.Trust(trust.Issuers(version=1, signed_s=at_s, issuers=issuers)),
            rules=here,
            signed_s=at_s - trust_age_s,
        )
        interval = Interval(at_s, at_s if clock else NEVER_S, "system")
        now = Now(interval, 0.0)
        place = Place(groups, self.site.site, door)
        verdict = verify(self.people[who].shows(at_s), believed, place, now, IssuerFloors())
        assert verdict is not None
        return decide(verdict, here, now, self.inside[door])

    def day(self, story: str) -> None:
        """Every line happens as it says; who came in stays inside until the story lets them go."""
        day = ""
        for line in filter(None, map(str.strip, story.splitlines())):
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}.*", line):
                day = line[:10]
                weekday = datetime.fromisoformat(day).strftime("%A")
                assert weekday in line, f"{day} is a {weekday}"
                continue
            clock, door, who, happens = re.split(r"  +", line)
            if happens.endswith(" leave"):
                self.inside[door] -= int(happens.removesuffix(" leave"))
                continue
            decision = self.meets(f"{day} {clock}", door, who)
            self.inside[door] += decision.people
            said = ("opens" if decision.opens else "shut") + f", {decision.category}"
            if decision.opens and decision.category == self.people[who].colour.name.lower():
                said = "opens slowly" if decision.at_least_ms else "opens"
            assert said == happens, f"{day} {line}: {said}, {decision.why}"


def home() -> ExampleSite:
    return ExampleSite(
        "home",
        {"gate": ["home", "home/gate"], "playroom": ["home", "home/playroom"]},
        {
            "a resident": Who("resident"),
            "a resident under observation": Who("resident", colour=Colour.YELLOW),
            "a resident with a red code": Who("resident", colour=Colour.RED),
            "the carer": Who("carer"),
            "the courier": Who("courier"),
            "a guest": Who(),
            "a resident, says a shop": Who("resident", issuer="shop"),
        },
    )


def test_a_day_at_home() -> None:
    home().day(
        """
        2027-03-01, a Monday
        05:30  gate      the carer                     opens
        06:59  gate      a guest                       shut, not-here
        07:00  gate      a guest                       opens
        08:00  gate      the courier                   opens
        08:01  playroom  the courier                   shut, not-here
        15:00  playroom  a resident                    opens
        15:01  playroom  a resident under observation  shut, yellow
        15:02  gate      a resident under observation  opens
        15:03  gate      a resident with a red code    shut, red
        20:59  gate      the courier                   opens
        21:00  gate      the courier                   shut, not-here
        22:00  gate      a guest                       shut, not-here
        23:50  gate      a resident, says a shop       shut, not-here
        23:55  gate      a resident                    opens
        2027-03-07, a Sunday
        03:00  gate      a resident                    opens
        """
    )


def test_nobody_is_shut_out_of_home_because_a_clock_has_stopped() -> None:
    told = home()
    after_the_cut = "2027-03-01 23:00"
    for who in ("a resident", "a resident under observation", "a guest"):
        gate = told.meets(after_the_cut, "gate", who, clock=False)
        assert (gate.opens, gate.category) == (True, "unsure-time"), who
    assert not told.meets(after_the_cut, "gate", "a resident with a red code", clock=False).opens
    playroom = told.meets(after_the_cut, "playroom", "a resident", clock=False)
    assert (playroom.opens, playroom.category) == (False, "unsure-time")


def office_park() -> ExampleSite:
    machines = "office-park/machines"
    return ExampleSite(
        "office-park",
        {
            "tower-a": ["office-park", "office-park/tower-a"],
            "tower-b": ["office-park", "office-park/tower-b"],
            "machines": ["office-park", machines],
        },
        {
            "Ada of acme": Who("staff:acme", issuer="acme"),
            "Ben of bolt": Who("staff:bolt"),
            "Coe of cobalt": Who("staff:cobalt"),
            "Dee of delta": Who("staff:delta"),
            "a visitor": Who(),
            "a visitor whom delta sends": Who(issuer="delta"),
            "a cleaner": Who("cleaning"),
            "a guard": Who("guard"),
            "a guard, says acme": Who("guard", issuer="acme"),
            "the engineer on paper": Who("keys:machines"),
            "the engineer": Who("keys:machines", phone=True),
            "the engineer at the label": Who("keys:machines", phone=True, labelled=machines),
            "the engineer at another label": Who(
                "keys:machines", phone=True, labelled="office-park/tower-a"
            ),
            "Ada at the label": Who("staff:acme", phone=True, labelled=machines),
        },
    )


def test_a_day_at_the_office_park() -> None:
    office_park().day(
        """
        2027-03-01, a Monday
        07:29  tower-a   Ada of acme                    shut, not-now
        07:30  tower-a   Ada of acme                    opens
        07:30  tower-b   Ada of acme                    shut, not-now
        08:29  tower-a   Ben of bolt                    opens
        08:30  tower-a   Ben of bolt                    shut, not-now
        08:30  tower-a   Coe of cobalt                  opens
        08:31  tower-b   Coe of cobalt                  opens
        08:32  tower-a   Dee of delta                   shut, not-now
        09:29  tower-a   a visitor                      shut, not-now
        09:30  tower-a   a visitor                      opens
        09:31  tower-b   Ada of acme                    opens
        09:32  tower-b   a visitor whom delta sends     shut, not-now
        10:00  machines  the engineer on paper          shut, not-genuine
        10:01  machines  the engineer                   shut, not-here
        10:02  machines  the engineer at another label  shut, not-here
        10:03  machines  the engineer at the label      opens
        10:04  machines  Ada at the label               shut, not-here
        11:30  tower-a   Ben of bolt                    opens
        17:00  tower-a   a visitor                      shut, not-now
        19:59  tower-a   a cleaner                      shut, not-now
        20:00  tower-a   a cleaner                      opens
        23:00  tower-a   a guard, says acme             shut, not-now
        23:01  tower-b   a guard                        opens
        2027-03-02, a Tuesday
        03:59  tower-b   a cleaner                      opens
        04:00  tower-b   a cleaner                      shut, not-now
        """
    )


def test_the_office_park_in_the_spring_festival() -> None:
    office_park().day(
        """
        2027-02-05, a Friday on which the park is closed
        03:59  tower-a  a cleaner        opens
        07:30  tower-a  Ada of acme      shut, not-now
        10:00  tower-a  a visitor        shut, not-now
        10:01  tower-a  a guard          opens
        20:00  tower-a  a cleaner        shut, not-now
        2027-02-12, a Friday
        07:30  tower-a  Ada of acme      opens
        """
    )


def test_one_change_suspends_a_company_and_one_lets_it_in_again() -> None:
    told = office_park()
    monday = "2027-03-01 "
    assert not told.meets(monday + "08:45", "tower-a", "Dee of delta").opens
    assert told.meets(monday + "08:15", "tower-a", "Ada of acme").opens
    told.site = msgspec.structs.replace(told.site, suspended=["acme"])
    assert told.meets(monday + "08:45", "tower-a", "Dee of delta").opens
    assert not told.meets(monday + "08:15", "tower-a", "Ada of acme").opens
    assert told.meets(monday + "08:15", "tower-a", "Ben of bolt").opens


def test_five_seconds_of_doubt_at_the_office_park() -> None:
    """A door that knows the time to 10 s is unsure for 10 s, and asks for help."""
    told = office_park()
    here = rules.for_door(told.site, told.doors["tower-a"])
    opens_s = told.at_s("2027-03-01 07:30")
    asked = here.when("staff:acme", "acme")
    answers = [certainly(asked, opens_s + n - 5, opens_s + n + 5) for n in range(-20, 21)]
    assert answers == [False] * 15 + [None] * 10 + [True] * 16


def service_hall() -> ExampleSite:
    return ExampleSite(
        "service-hall",
        {
            "hall": ["service-hall", "service-hall/hall"],
            "staff": ["service-hall", "service-hall/staff"],
        },
        {
            "a clerk": Who("staff"),
            "a citizen": Who(),
            "a citizen under observation": Who(colour=Colour.YELLOW),
            "one with an appointment": Who("appointment"),
            "one in a wheelchair": Who("slow"),
            "a family of three": Who(claims={"party": 3}),
            "a class of nine": Who(claims={"party": 9}),
        },
    )


def test_a_day_at_the_service_hall() -> None:
    service_hall().day(
        """
        2027-03-01, a Monday
        07:29  staff  a clerk                      shut, not-now
        07:30  staff  a clerk                      opens
        07:31  staff  one with an appointment      shut, not-here
        08:00  hall   one with an appointment      opens
        08:01  hall   a citizen                    shut, not-now
        09:00  hall   a citizen                    opens
        09:01  hall   one in a wheelchair          opens slowly
        09:02  hall   a citizen under observation  shut, yellow
        09:03  hall   a class of nine              opens
        09:04  hall   a class of nine              opens
        09:05  hall   a class of nine              opens
        09:06  hall   a family of three            opens
        09:07  hall   a class of nine              shut, full
        09:08  hall   a family of three            opens
        09:09  hall   a family of three            opens
        09:10  hall   a citizen                    opens
        09:11  hall   a citizen                    shut, full
        09:12  hall   one with an appointment      shut, full
        09:13  staff  a clerk                      opens
        09:14  hall   nobody                       5 leave
        09:15  hall   a family of three            opens
        12:00  hall   a citizen                    shut, not-now
        12:30  hall   nobody                       38 leave
        13:30  hall   a citizen                    opens
        17:00  hall   one with an appointment      opens
        17:01  hall   a citizen                    shut, not-now
        2027-03-06, a Saturday
        11:59  hall   a citizen                    opens
        12:00  hall   a citizen                    shut, not-now
        2027-10-01, a Friday on which it is closed
        10:00  hall   a citizen                    shut, not-now
        """
    )


def hospital() -> ExampleSite:
    def door(*groups: str) -> list[str]:
        return ["hospital", *(f"hospital/{group}" for group in groups)]

    return ExampleSite(
        "hospital",
        {
            "main": door("main"),
            "night": door("night"),
            "emergency": door("emergency"),
            "ward-3": door("ward", "ward/3"),
            "intensive": door("ward", "ward/intensive"),
        },
        {
            "a doctor": Who("staff:hospital", issuer="hospital"),
            "a doctor, says the city": Who("staff:hospital"),
            "a night nurse": Who("night-shift", issuer="hospital"),
            "a patient": Who("patient", issuer="hospital"),
            "a visitor": Who(),
            "a visitor of ward 3": Who("visit:ward-3", issuer="hospital"),
            "a mother": Who("visit:intensive slow", issuer="hospital"),
            "somebody ill": Who(colour=Colour.RED),
            "somebody on paper": Who(
                claims={"status": StatusEntry(7, "city/2027")}, lives_s=86_400
            ),
            "a patient with a card": Who("patient", issuer="hospital", lives_s=6 * 86_400),
            "a stranger's code": Who(issuer="nobody"),
        },
    )


def test_a_day_at_the_hospital() -> None:
    hospital().day(
        """
        2027-03-24, a Wednesday
        03:00  night      a patient                opens
        03:01  night      a visitor                shut, not-here
        03:02  night      a mother                 opens slowly
        03:03  intensive  a mother                 opens slowly
        03:04  ward-3     a mother                 shut, not-here
        03:05  emergency  a visitor                opens
        07:00  main       a visitor                opens
        07:01  ward-3     a visitor                shut, not-here
        07:02  ward-3     a doctor                 opens
        07:03  ward-3     a doctor, says the city  shut, not-here
        08:00  ward-3     a patient                shut, not-here
        14:59  main       a visitor of ward 3      shut, not-now
        15:00  main       a visitor of ward 3      opens
        15:01  ward-3     a visitor of ward 3      opens
        15:02  intensive  a visitor of ward 3      shut, not-here
        16:00  main       somebody ill             shut, red
        16:01  emergency  somebody ill             opens
        16:02  main       somebody on paper        shut, unsure-status
        16:03  emergency  somebody on paper        opens, unsure-status
        16:04  emergency  a stranger's code        shut, unsure-issuer
        18:00  main       a visitor                shut, not-now
        2027-03-26, Good Friday: no outpatients
        10:00  main       a visitor                shut, not-now
        10:01  main       a patient                opens
        10:02  emergency  somebody ill             opens
        15:00  ward-3     a visitor of ward 3      opens
        """
    )


def test_the_night_in_which_the_clocks_go_forward_at_the_hospital() -> None:
    hospital().day(
        """
        2027-03-27, a Saturday
        20:59  ward-3  a night nurse  shut, not-now
        21:00  ward-3  a night nurse  opens
        2027-03-28, a Sunday of 23 hours: 02:00 is 03:00
        01:59  ward-3  a night nurse  opens
        03:00  ward-3  a night nurse  opens
        06:59  night   a night nurse  opens
        07:00  night   a night nurse  shut, not-now
        """
    )


def test_a_patients_card_at_a_hospital_that_has_heard_nothing_for_eight_days() -> None:
    """Old trust documents make a long-lived code unsure; this site lets it in all the same."""
    told, eight_days_s = hospital(), 8 * 86_400
    card = told.meets("2027-03-24 10:00", "main", "a patient with a card", trust_age_s=eight_days_s)
    assert (card.opens, card.category) == (True, "unsure-trust")
    assert told.meets("2027-03-24 10:00", "main", "a patient", trust_age_s=eight_days_s).opens
    unsure = rules.UnsureRules()
    told.site = msgspec.structs.replace(told.site, unsure=unsure)
    card = told.meets("2027-03-24 10:00", "main", "a patient with a card", trust_age_s=eight_days_s)
    assert not card.opens


def fever_clinic() -> ExampleSite:
    return ExampleSite(
        "fever-clinic",
        {
            "entrance": ["fever-clinic", "fever-clinic/entrance"],
            "staff": ["fever-clinic", "fever-clinic/staff"],
        },
        {
            "somebody well": Who(),
            "somebody under observation": Who(colour=Colour.YELLOW),
            "somebody ill": Who(colour=Colour.RED),
            "an ill family": Who(colour=Colour.RED, claims={"party": 6}),
            "a nurse": Who("staff:clinic", issuer="clinic"),
            "a nurse who is ill": Who("staff:clinic", issuer="clinic", colour=Colour.RED),
            "an old picture": Who(lives_s=30),
            "a stranger's code": Who(issuer="nobody"),
        },
    )


def test_a_day_at_the_fever_clinic() -> None:
    fever_clinic().day(
        """
        2027-03-01, a Monday
        03:00  entrance  somebody ill                opens
        03:01  entrance  somebody under observation  opens
        03:02  entrance  somebody well               opens
        03:03  entrance  an old picture              shut, expired
        03:04  entrance  a stranger's code           shut, unsure-issuer
        03:05  staff     somebody well               shut, not-here
        03:06  staff     somebody ill                shut, red
        03:07  staff     a nurse who is ill          shut, red
        03:08  staff     a nurse                     opens
        03:09  entrance  an ill family               opens
        03:10  entrance  somebody ill                opens
        03:11  entrance  somebody ill                opens
        03:12  entrance  somebody ill                opens
        03:12  entrance  somebody ill                shut, full
        03:13  entrance  a nurse                     shut, full
        03:14  staff     a nurse                     opens
        03:15  entrance  nobody                      2 leave
        03:16  entrance  somebody ill                opens
        """
    )


def test_the_fever_clinic_does_not_wait_for_a_clock() -> None:
    told = fever_clinic()
    entrance = told.meets("2027-03-01 03:00", "entrance", "somebody ill", clock=False)
    assert (entrance.opens, entrance.category) == (True, "unsure-time")
    assert not told.meets("2027-03-01 03:00", "staff", "a nurse", clock=False).opens


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_example_has_a_day_here(path: Path) -> None:
    story = f"test_a_day_at_{'' if path.stem == 'home' else 'the_'}{path.stem.replace('-', '_')}"
    assert story in globals()


HURT = ["null", "0", "-1", "[]", "{}", '""', '"open"', '"24:00"', '"UTC"', '["a"]', "1e9", "true"]


@given(st.sampled_from(sorted(EXAMPLES.glob("*.json"))), st.data())
def test_a_hurt_document_is_rules_or_a_sentence(path: Path, data: st.DataObject) -> None:
    """One value of an example becomes something else, or a piece is cut out of it."""
    text = path.read_text(encoding="utf-8")
    if data.draw(st.booleans()):
        values = list(re.finditer(r'"[^"]*"(?!:)|\d+|true|false|null', text))
        found = data.draw(st.sampled_from(values))
        text = text[: found.start()] + data.draw(st.sampled_from(HURT)) + text[found.end() :]
    else:
        at = data.draw(st.integers(0, len(text)))
        text = text[:at] + text[at + data.draw(st.integers(1, 40)) :]
    try:
        site = rules.parse(text.encode())
    except trust.TrustError as error:
        assert "\n" not in str(error)
        return
    groups = [*{group for entry in site.doors for group in entry.groups}, "x"]
    for group in groups:
        here = rules.for_door(site, [group])
        assert certainly(here.when("staff:acme", "city"), 0, 60) in (True, False, None)
