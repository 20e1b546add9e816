"""The main job as its users do it, with the real commands and programs from estate to relay.

One town for all stories, in their order: `north` has a network, `island` has none and gets its
news on a stick. A key of the test stands for the browser's; `edge.wire.holder` makes its proofs.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib import request

import msgspec
import pytest

from edge.passing.answered_codes import GONE_S
from edge.wire import code, eu_documents, holder, keys, status
from edge.wire.code import Code, Colour
from provisioning import foreign
from tests import eudcc
from tests.campus import Campus, CampusDoor, end, symbol
from tests.centre import ISSUER, SITE, Program

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

BACK_S = 6  # how old a proof may be: nobody here waits for a minute and a half
DECIDED = ": (opens|stays shut), "
WALL = symbol("HTTPS://EXAMPLE.ORG/NO-DOOR-CODE")
RULES: dict[str, Any] = {
    "holder": {"back_s": BACK_S, "ahead_s": 30},
    "counts": {"k": 2, "period_s": 5, "demo": True},
}


@dataclass
class TownUnit(threading.Thread):
    """A running door, and each line that it says; words to wait for are regular expressions."""

    door: CampusDoor
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.process = subprocess.Popen(
            self.door.command("--show"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.start()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())

    def hears(self, word: str, after: int = 0, most_s: float = 30) -> str:
        """The first line that `word` is found in, of those after the first `after`."""
        until_s = time.monotonic() + most_s
        while time.monotonic() < until_s:
            found = [line for line in self.said[after:] if re.search(word, line)]
            if found:
                return found[0]
            time.sleep(0.02)
        raise AssertionError(f"{self.door.name} never said {word!r}; it said {self.said}")

    def shown(self, text: str | Callable[[], str], word: str = DECIDED) -> str:
        """What it says to a code, once that has `word` in it; the wall is bare after.

        The code is held up until something happens; a phone makes a new one meanwhile.
        """
        before = len(self.said)
        for _ in range(200):
            self.door.show(symbol(text if isinstance(text, str) else text()))
            with suppress(AssertionError):
                line = self.hears(word, before, 0.15)
                self.door.show(WALL)
                return line
        raise AssertionError(f"{self.door.name} never said {word!r}; it said {self.said}")

    def bare(self, seconds: float) -> None:
        """Nobody is there; a camera goes on looking."""
        for _ in range(int(seconds * 10)):
            self.door.show(WALL)
            time.sleep(0.1)

    def until(self, code: Callable[[], str], word: str, most_s: float = 40) -> str:
        """Show new codes until the answer has `word`: the news is on its way."""
        until_s = time.monotonic() + most_s
        while word not in (line := self.shown(code)):
            assert time.monotonic() < until_s, f"never {word!r}; it said {self.said}"
            self.bare(0.5)
        return line


@dataclass(frozen=True)
class TownPhone:
    """A browser with a key of its own that was unlocked at the issuer."""

    record: str
    key: keys.PrivateKey
    text: str  # what the issuer signed

    def proof(self, off_s: int = 0, door: str | None = None) -> str:
        """The code on its display now."""
        return holder.encode(self.text, int(time.time()) + off_s, door, self.key)


class Town:
    """What runs, and its people's hands."""

    def __init__(self, campus: Campus, stick: Path) -> None:
        self.campus, self.stick = campus, stick
        self.wallet = ""
        self.broker: Program | None = None
        self.units: dict[str, TownUnit] = {}

    def provision(self, *arguments: object) -> str:
        return self._command("provisioning", *arguments)

    def server(self, *arguments: object) -> str:
        return self._command("server_stub", *arguments)

    def _command(self, house: str, *arguments: object) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", house, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    @property
    def store(self) -> tuple[str, str]:
        return ("--store", self.campus.store_url)

    def enrol(self, *more: str) -> tuple[str, str]:
        """A record and its secret."""
        said = self.server("enrol", self.campus.estate, ISSUER, *self.store, *more)
        words = dict(line.split(maxsplit=1) for line in said.splitlines())
        return words["record"], words["secret"]

    def activated(self, *more: str) -> TownPhone:
        record, secret = self.enrol(*more)
        key = keys.private_key()
        public = keys.public_to_text(key.public)
        token = self._post("v1/activate", {"secret": secret, "key": public})["token"]
        answer = self._post("v1/code", {"key": public}, token)
        return TownPhone(record, key, str(answer["text"]))

    def _post(self, path: str, body: dict[str, str], token: str = "") -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        asked = request.Request(self.wallet + path, json.dumps(body).encode(), headers)  # noqa: S310
        with request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return dict(json.load(answer))

    def rules(self, **more: Any) -> None:
        """The site changes its rules, and publishes."""
        file = self.campus.folder / "new-rules.json"
        file.write_text(json.dumps(RULES | more))
        self.provision("site-rules", self.campus.estate, SITE, file)
        self.provision("publish", self.campus.estate)

    def copy_to_stick(self) -> None:
        """As `publish` says: copy the repository onto a stick."""
        passing = self.stick.with_suffix(".new")
        shutil.copytree(self.campus.estate / "repository", passing)
        shutil.rmtree(self.stick, ignore_errors=True)
        passing.rename(self.stick)

    @property
    def status_key(self) -> bytes:
        """What doors believe this issuer's lists by."""
        pem = (self.campus.estate / "issuers" / ISSUER / "status.key").read_text()
        return keys.private_from_pem(pem).public

    def bearer(self, colour: Colour = Colour.GREEN, scope: str | None = None) -> str:
        """A code of minutes of somebody new."""
        now_s = int(time.time())
        sub = base64.urlsafe_b64encode(os.urandom(8))[:11].decode()
        said = Code(colour=colour, sub=sub, iat_s=now_s - 5, exp_s=now_s + 600, scope=scope)
        return code.encode(said, self.campus.city)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with Campus(folder, ["north"], ["island"], rules=RULES) as campus:
        town = Town(campus, folder / "stick")
        for name, door in campus.doors.items():
            card = shutil.copytree(door.card / "trust", folder / f"{name}-trust")  # at the door
            door.edit(door={"unlock_ms": 200}, trust=str(card), trust_stick=str(town.stick))
        town.broker = campus.broker()
        town.broker.wait_for("ready")
        campus.collector(look_s=0.3).wait_for("ready")
        town.units = {name: TownUnit(door) for name, door in campus.doors.items()}
        yield town
        for unit in town.units.values():
            assert end(unit.process) == 0
            assert not any("Traceback" in line for line in unit.said)


@pytest.fixture(scope="module")
def phone(town: Town) -> TownPhone:
    """Unlocked at an issuer that starts now, after the cards were written."""
    issuer = town.campus.program("issuer", town.campus.estate, ISSUER, *town.store, "--port", 0)
    # The doors' cards have no list yet.
    assert not list((town.campus.doors["island"].card / "trust").rglob("*.cwt"))
    town.wallet = issuer.wait_for("ready").rpartition(" at ")[2]
    return town.activated("--scope", "staff:acme")


def test_a_phone_with_its_own_key_opens_once_the_list_has_come(
    town: Town, phone: TownPhone
) -> None:
    north = town.units["north"]
    said = code.decode(phone.text.encode())
    assert isinstance(said, code.SignedCode)
    assert (said.code.cnf, said.code.status is None) == (phone.key.public, False)
    north.until(phone.proof, "opens")
    assert north.door.closings() == 1
    north.bare(GONE_S + 0.5)  # held in view after its own opening it is met with silence
    assert "used" in north.shown(phone.proof)
    assert "lacks the signature of the phone" in north.shown(phone.text)
    assert north.door.closings() == 1


def test_a_door_without_a_network_says_it_has_no_list_until_the_stick_comes(
    town: Town, phone: TownPhone
) -> None:
    island = town.units["island"]
    assert "no status list" in island.shown(phone.proof)
    assert "opens" in island.shown(town.bearer())
    town.copy_to_stick()
    island.hears("the stick")
    assert "opens" in island.until(phone.proof, "opens")


def test_a_screenshot_is_refused_later_and_a_wrong_clock_told(town: Town) -> None:
    north, other = town.units["north"], town.activated()
    picture = other.proof()
    assert "opens" in north.shown(picture)
    north.bare(BACK_S + 4)
    assert "proof-old: stays shut" in north.shown(picture)
    assert "phone-clock" in north.shown(town.activated().proof(off_s=300))
    assert "not-here" in north.shown(town.activated().proof(door=f"{SITE}/island"))
    assert "opens" in north.shown(town.activated().proof(door=f"{SITE}/north"))


def test_what_is_revoked_reaches_the_running_door(town: Town, phone: TownPhone) -> None:
    north = town.units["north"]
    town.server("revoke", phone.record, *town.store)
    town.server("status-list", town.campus.estate, ISSUER, *town.store)
    north.until(phone.proof, "revoked: stays shut")
    assert "opens" in north.shown(town.activated().proof)


def test_newer_rules_reach_the_running_door(town: Town) -> None:
    north = town.units["north"]
    assert "opens" in north.shown(town.bearer(scope="staff:beta"))
    assert "yellow: stays shut" in north.shown(town.bearer(Colour.YELLOW))
    town.rules(suspended=["beta"], opens=["green", "yellow"])
    north.until(lambda: town.bearer(Colour.YELLOW), "yellow: opens")
    assert "its company is suspended" in north.shown(town.bearer(scope="staff:beta"))
    assert "opens" in north.shown(town.bearer(scope="staff:gamma"))


def test_a_foreign_certificate_is_recognised_when_its_keys_and_mapping_came(town: Town) -> None:
    north, estate, folder = town.units["north"], town.campus.estate, town.campus.folder
    now_s = int(time.time())
    yesterday = time.strftime("%Y-%m-%d", time.gmtime(now_s - 86400))
    entry = eudcc.VACCINATION | {"dt": yesterday}
    until_s = now_s + 365 * 86400  # as the states sign them
    certificate = eudcc.text("v", entry, iat=now_s - 3600, exp=until_s).decode()
    told = len(north.said)
    for _ in range(5):
        north.door.show(symbol(certificate))
        time.sleep(0.1)
    assert len(north.said) == told  # nobody has told this door that it is a door code
    signer = eudcc.key(from_s=now_s - 86400, until_s=until_s + 86400)
    (folder / "eu-keys.json").write_bytes(
        foreign.encode_key_list(eu_documents.EuKeyList((signer,)))
    )
    (folder / "eu-terms.json").write_bytes(
        msgspec.json.encode(eu_documents.EuTerms(eudcc.ANYTHING))
    )
    files = ("--terms", folder / "eu-terms.json", "--keys", folder / "eu-keys.json")
    town.provision("recognise", estate, "eu", "--format", "hc1", *files)
    town.provision("publish", estate)
    assert "opens" in north.shown(certificate, "green: ")


def test_a_stick_brings_the_door_without_a_network_up_to_date(town: Town, phone: TownPhone) -> None:
    """Rules, the list with the revoked phone and the foreign issuer: all that the stick has."""
    island = town.units["island"]
    assert "yellow: stays shut" in island.shown(town.bearer(Colour.YELLOW))
    before = len(island.said)
    town.copy_to_stick()
    island.hears("took version", before)
    assert "yellow: opens" in island.shown(town.bearer(Colour.YELLOW))
    assert "revoked: stays shut" in island.shown(phone.proof)
    shutil.rmtree(town.stick)


def test_a_card_made_now_carries_the_lists(town: Town, phone: TownPhone) -> None:
    town.provision("unit", town.campus.estate, SITE, "late", "--no-broker")
    card = town.campus.estate / "sites" / SITE / "units" / "late"
    (listed,) = (card / "trust" / "targets" / "status" / ISSUER).iterdir()
    said = status.read(listed.read_bytes(), [town.status_key], f"{ISSUER}/1")
    signed = code.decode(phone.text.encode())
    assert isinstance(signed, code.SignedCode)
    assert signed.code.status is not None
    assert said.revoked(signed.code.status.bit)


def test_a_restart_without_broker_and_rtc_goes_on_knowing_time_and_news(
    town: Town, phone: TownPhone
) -> None:
    before = town.units["north"]
    assert end(before.process) == 0
    assert town.broker
    town.broker.kill()
    town.units["north"] = again = TownUnit(before.door)
    assert "opens" in again.shown(town.bearer)
    assert "revoked: stays shut" in again.shown(phone.proof)
    assert "its company is suspended" in again.shown(lambda: town.bearer(scope="staff:beta"))


def test_the_books_agree_with_the_relays(town: Town) -> None:
    for unit in town.units.values():
        assert end(unit.process) == 0
        books = town.campus.books(unit.door)
        assert books.balanced
        assert unit.door.closings() >= 3
        assert not any(unit.door.link.state().levels.values())
