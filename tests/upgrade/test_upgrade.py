"""What an earlier version made goes on with this one: estate, store, card and wallets.

Each folder beside this file is a version (README.md). Two stories: the centre is upgraded first,
as the manual says; and a unit is, with the centre out of its reach. They use the real commands.
"""

import base64
import json
import re
import shutil
import sqlite3
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib import request

import pytest
from cryptography import x509
from playwright.sync_api import BrowserContext, Page, expect

from edge import BUILT_S
from edge.wire.rules import DocumentAges
from tests.campus import BatteryClock
from tests.centre import CentreClient, Program, free_port
from tests.controller import Cable, ControllerProcess
from tests.upgrade.make import (
    BEARER_ORIGIN,
    DECIDED,
    HOLDER_ORIGIN,
    PROFILE,
    KeptUnit,
    browser,
    command,
    edit,
    post,
    read_screen,
    running,
    schemas,
    wait,
)

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

VERSIONS = sorted(path.parent for path in Path(__file__).parent.glob("*/facts.json"))
SENT = ("state", "health", "counts", "ask")


class Rtc(BatteryClock):
    """A unit's battery clock, so many seconds behind true time."""

    def __init__(self, path: Path, behind_s: int) -> None:
        self.BEHIND_S = behind_s
        super().__init__(path)


class Kept:
    """A copy of what one version made, in `folder`, and the programs of this one on it."""

    def __init__(self, version: Path, folder: Path) -> None:
        self.version, self.folder = version, folder
        for name in ("estate", "card", "centre.db"):
            copy = shutil.copytree if (version / name).is_dir() else shutil.copy
            copy(version / name, folder / name)
        for path in folder.rglob("*.key"):
            path.chmod(0o600)  # as it was made; git does not keep that
        (folder / "profile").mkdir()
        for name in PROFILE:
            shutil.copytree(version / "profile" / name, folder / "profile" / "Default" / name)
        self.estate, self.card, self.db = folder / "estate", folder / "card", folder / "centre.db"
        self.store = ("--store", f"sqlite:///{self.db}")
        self.facts: dict[str, Any] = json.loads((version / "facts.json").read_text())
        self.messages: list[dict[str, str]] = json.loads((version / "messages.json").read_text())
        self.site, self.issuer = self.facts["site"], self.facts["issuer"]
        self.unit, self.gate = self.facts["unit"], self.facts["gate"]
        self.broker_port = free_port()
        self.opened = ExitStack()
        self._renew_certificates()
        edit(self.card, broker={"port": self.broker_port})

    def program(self, *arguments: object) -> Program:
        program = Program(*arguments)
        self.opened.callback(program.kill)
        program.wait_for("ready")
        return program

    def broker(self) -> Program:
        where = ("--state", self.folder / "broker", "--port", self.broker_port)
        return self.program("broker", self.estate, *where)

    def collector(self) -> Program:
        where = ("--broker-port", self.broker_port, "--look-s", 0.3)
        return self.program("collector", self.estate, *self.store, *where)

    def client(self, folder: Path, name: str) -> CentreClient:
        """Connected to the broker with the certificate `name` in `folder`."""
        pair = (folder / f"{name}.pem", folder / f"{name}.key")
        client = CentreClient(self.broker_port, self.estate / "authority" / "ca.pem", pair)
        assert client.start()
        self.opened.callback(client.stop)
        return client

    def card_of(self, unit: str) -> Path:
        """The card of a unit as it lies in the estate."""
        return self.estate / "sites" / self.site / "units" / unit

    def rows(self, query: str) -> list[Any]:
        return rows(self.db, query)

    @property
    def unacknowledged(self) -> list[dict[str, Any]]:
        """The cells that the unit had closed and nobody had acknowledged."""
        counts = [m["payload"] for m in self.messages if m["leaf"] == "counts"]
        return list(json.loads(counts[-1])["cells"])

    @property
    def signed_s(self) -> int:
        """When the documents that the unit believed were signed."""
        health = [m["payload"] for m in self.messages if m["leaf"] == "health"]
        return int(json.loads(health[-1])["trust_version"])

    @property
    def counts(self) -> Path:
        return self.card / "state" / "counts.db"

    @property
    def counts_before(self) -> Path:
        return self.version / "card" / "state" / "counts.db"

    def repeat(self) -> None:
        """The steps that made this estate, once more."""
        estate, site = self.estate, self.site
        command("provisioning", "authority", estate)
        command("provisioning", "issuer", estate, self.issuer)
        command("provisioning", "site", estate, site, "--demo")
        for name in (self.unit, self.gate):
            config = tomllib.loads((self.card_of(name) / "unit.toml").read_text())
            order = ["--camera-kind", "pictures", "--camera-source", "frames"]
            order += ["--broker-port", config["broker"]["port"]]
            if name == self.gate:
                order += ["--controller", config["door"]["port"]]
            command("provisioning", "unit", estate, site, name, *order)

    def _renew_certificates(self) -> None:
        """Certificates live for five years. Later an operator moves them away and repeats the
        steps that made them, and so does this test.
        """
        pairs = [*self.estate.glob("server/*.pem"), *self.estate.glob("sites/*/units/*/unit.pem")]
        ended = [path for path in pairs if not_after(path) < datetime.now(UTC)]
        for path in ended:
            path.unlink()
            path.with_suffix(".key").unlink()
        if ended:
            self.repeat()
            for name in ("unit.pem", "unit.key"):
                shutil.copy(self.card_of(self.unit) / name, self.card)


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda path: str(path.name))
def kept(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kept]:
    """For the story in which the centre is upgraded first; its tests follow each other."""
    kept = Kept(request.param, tmp_path_factory.mktemp("centre-first"))
    with kept.opened:
        yield kept


def rows(path: Path, query: str) -> list[Any]:
    """What an SQLite file answers; `path` may be kept read-only."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as database:
        return database.execute(query).fetchall()


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def not_after(path: Path) -> datetime:
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc


def lost_rows(before: Path, after: Path) -> list[str]:
    """Every row of `before` whose old columns are not in `after` as they were."""
    tables = [name for (name,) in rows(before, "SELECT name FROM sqlite_master WHERE type='table'")]
    lost = []
    for table in tables:
        if table == "alembic_version":
            continue
        columns = ", ".join(f'"{row[1]}"' for row in rows(before, f"PRAGMA table_info({table})"))
        query = f"SELECT {columns} FROM {table}"  # noqa: S608
        there = rows(after, query)
        lost += [f"{table}: {row}" for row in rows(before, query) if row not in there]
    return lost


def wrong_in(value: Any, schema: dict[str, Any], parts: dict[str, Any]) -> list[str]:
    """How `value` breaks `schema`, by the words of JSON Schema that msgspec writes."""
    if "$ref" in schema:
        return wrong_in(value, parts[schema["$ref"]], parts)
    unknown = schema.keys() - READ - {"title", "description", "default"}
    assert not unknown, f"this test does not know {unknown} of JSON Schema"
    wrong = [
        f"{value!r} against {word} {schema[word]}"
        for word, right in RIGHT.items()
        if word in schema and not right(value, schema[word])
    ]
    if isinstance(value, dict):
        named = schema["properties"]
        wrong += [f"{name} is missing" for name in schema["required"] if name not in value]
        if not schema.get("additionalProperties", False):
            wrong += [f"{name} is unknown" for name in value.keys() - named.keys()]
        for name in value.keys() & named.keys():
            wrong += wrong_in(value[name], named[name], parts)
    if isinstance(value, list):
        wrong += [line for item in value for line in wrong_in(item, schema["items"], parts)]
    return wrong


def test_a_version_whose_reports_can_grow_takes_a_new_field_and_one_that_signs_does_not() -> None:
    today = schemas()
    for leaf, message in (
        ("ask", {"session": 1, "nonce": "0" * 32}),
        ("ack", {"unit": "campus/north", "installation": "0" * 16, "upto": 1, "digest": "0" * 64}),
    ):
        closed = wrong_in({**message, "new": 1}, today["kinds"][leaf], today["parts"])
        assert ("new is unknown" in closed) == (leaf == "ack")


TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
RIGHT = {
    "type": lambda value, name: type(value) is TYPES[name],
    "enum": lambda value, words: value in words,
    "minimum": lambda value, least: value >= least,
    "maximum": lambda value, most: value <= most,
    "pattern": lambda value, pattern: re.search(pattern, value),
    "maxLength": lambda value, most: len(value) <= most,
    "maxItems": lambda value, most: len(value) <= most,
}
READ = {*RIGHT, "$ref", "properties", "required", "additionalProperties", "items"}


def stored(kept: Kept, number: int) -> list[Any]:
    """The unit's cell `number` as the centre has it."""
    query = f"SELECT category, from_s, until_s, count FROM cells WHERE number = {number}"  # noqa: S608
    return kept.rows(query)


def misread(kept: Kept, leaf: str, payload: bytes) -> list[str]:
    """What the program of the version before would refuse in a message of this one."""
    schemas = json.loads((kept.version / "schemas.json").read_text())
    return wrong_in(json.loads(payload), schemas["kinds"][leaf], schemas["parts"])


def signed(payload: bytes) -> bytes:
    """What an envelope of the centre holds."""
    return base64.b64decode(json.loads(payload)["payload"])


# The centre first.


def test_the_estate_is_kept_and_published(kept: Kept) -> None:
    before = files_in(kept.estate)
    kept.repeat()
    assert files_in(kept.estate) == before
    # What an operator does in any month; a root and a key that have ended are followed by new ones.
    command("provisioning", "root", kept.estate)
    command("provisioning", "issuer-key", kept.estate, kept.issuer)
    command("provisioning", "publish", kept.estate)
    published = files_in(kept.estate)
    for name in (kept.unit, kept.gate):
        timestamp = kept.card_of(name) / "trust" / "metadata" / "timestamp.json"
        assert published[timestamp] != before[timestamp]
    shown = command("provisioning", "show", kept.estate)
    for name in (kept.issuer, "eu", kept.site, kept.unit, kept.gate):
        assert re.search(rf"\b{name}\b", shown)
    assert "cannot be used" not in shown


def test_the_store_is_migrated_and_nothing_in_it_is_lost(kept: Kept) -> None:
    before = kept.version / "centre.db"
    for table in ("cells", "units", "records", "parties", "status_bits"):
        assert rows(before, f"SELECT * FROM {table}"), table  # noqa: S608
    kept.broker()
    kept.collector()
    assert lost_rows(before, kept.db) == []


def test_a_unit_not_yet_upgraded_is_heard_and_answered(kept: Kept) -> None:
    """It sends what the version before sent, with the certificate of its card; and once more a
    cell that the old centre stored, for that acknowledgement may have been lost.
    """
    unit = kept.client(kept.card, "unit")
    topic = f"menshen/1/{kept.site}/{kept.unit}"
    for leaf in ("ack", "answer"):
        assert unit.subscribe(f"{topic}/{leaf}")
    repeated, digest = stored_before(kept)
    unit.publish(f"{topic}/counts", json.dumps(repeated).encode())
    sent: dict[str, Any] = {}
    for message in kept.messages:
        sent[message["leaf"]] = json.loads(message["payload"])
        unit.publish(f"{topic}/{message['leaf']}", message["payload"].encode())
    (cell,) = kept.unacknowledged
    acks: dict[int, Any] = {}
    answer: dict[str, Any] = {}
    while cell["number"] not in acks or not answer:
        got = unit.next()
        leaf, document = got.topic.rpartition("/")[2], signed(got.payload)
        assert misread(kept, leaf, document) == []
        if leaf == "ack":
            acks[json.loads(document)["last"]] = json.loads(document)
        else:
            answer = json.loads(document)
    unit.stop()
    assert acks[repeated["cells"][0]["number"]]["digest"] == digest
    assert answer["nonce"] == sent["ask"]["nonce"]
    whole = (cell["category"], cell["from_s"], cell["until_s"], cell["count"])
    assert stored(kept, cell["number"]) == [whole]
    wait(lambda: kept.rows("SELECT online FROM units") == [(0,)], "its farewell")
    ((health,),) = kept.rows("SELECT health FROM units")
    assert sent["health"].items() <= json.loads(health).items()


def stored_before(kept: Kept) -> tuple[dict[str, Any], str]:
    """The message of the one cell that the old centre has stored, and the digest it stored."""
    query = "SELECT installation, number, category, from_s, until_s, count, digest FROM cells"
    ((installation, *values, digest),) = rows(kept.version / "centre.db", query)
    names = ("number", "category", "from_s", "until_s", "count")
    cell = dict(zip(names, values, strict=True))
    return {"installation": installation, "cells": [cell]}, digest


def test_nobody_needs_a_new_secret_and_the_doors_open(kept: Kept) -> None:
    """The last test of this story: it ends with the unit's books."""
    issuer = kept.program("issuer", kept.estate, kept.issuer, *kept.store, "--port", 0)
    url, facts = issuer.said[-1].rpartition(" at ")[2], kept.facts
    with (
        north(kept) as door,
        gate(kept) as (other_door, controller),
        browser(kept.folder / "profile", int(url.rstrip("/").rpartition(":")[2])) as context,
    ):
        page = holder_wallet(context, url, facts["holder_token"])
        bearer_wallet(context, facts["bearer_token"])
        door.prints("took version")
        assert "opens" in door.shows(facts["sheet"]["text"])
        assert "revoked" in door.shows(facts["lost_sheet"]["text"])
        assert "opens" in door.shows(facts["certificate"])
        assert "opens" in door.shows(lambda: read_screen(page), "green: ")
        page.get_by_role("switch", name="For 3 people").check()
        expect(page.locator("#party-note")).to_contain_text("lets 3 people pass")
        token = post(f"{url}v1/activate", {"secret": facts["waiting"]["secret"]})["token"]
        code = post(f"{url}v1/code", {}, token)["text"]
        assert "opens" in door.shows(code)
        assert "opens" in other_door.shows(code, "green: ")
        wait(controller.pulses_ms, "a pulse of the controller's relay")
        number = kept.unacknowledged[-1]["number"] + 1
        wait(lambda: stored(kept, number), "the unit's next cell")
    turns = post(f"{url}v1/code", {}, facts["bearer_token"])["turns"]
    at_s = int(datetime.fromisoformat(facts["coloured"]["until"]).timestamp())
    assert turns == {"colour": "green", "at_s": at_s}
    check_books(kept, door)


@contextmanager
def north(kept: Kept, at_s: int | None = None) -> Iterator[KeptUnit]:
    """The unit that the version before ran; its battery clock has gone on until `at_s` or now."""
    behind_s = kept.facts["rtc_behind_s"] + (int(time.time()) - at_s if at_s else 0)
    clock = Rtc(kept.card / "rtc", behind_s)
    clock.start()
    try:
        with running(kept.card, kept.folder) as unit:
            yield unit
    finally:
        clock.stop()


@contextmanager
def gate(kept: Kept) -> Iterator[tuple[KeptUnit, ControllerProcess]]:
    """The unit with a controller, its card copied by an installer today."""
    folder = kept.folder / "gate"
    card = shutil.copytree(kept.card_of(kept.gate), folder / "card")
    cable = Cable(folder / "port")
    edit(card, broker={"port": kept.broker_port}, door={"port": str(cable.path)})
    key = tomllib.loads((card / "unit.toml").read_text())["door"]["key"]
    controller = ControllerProcess(cable, bytes.fromhex((card / key).read_text()))
    try:
        with running(card, folder) as unit:
            yield unit, controller
    finally:
        controller.close()


def holder_wallet(context: BrowserContext, url: str, token: str) -> Page:
    """The page of the phone that has a key: first as that phone has kept it, then the new one."""
    page = context.new_page()
    page.goto(HOLDER_ORIGIN)
    is_unlocked(page, "Green", token)
    with request.urlopen(url, timeout=10) as answer:  # noqa: S310
        found = re.search("/v/([0-9a-f]+)/", answer.read().decode())
    assert found
    name = f"menshen-{found[1]}"
    wait(lambda: page.evaluate(IS_NEWEST, name), "the service worker of the new page")
    page.reload()
    is_unlocked(page, "Green", token)
    assert found[0] in page.content()
    return page


IS_NEWEST = """async (name) => {
  const {active, installing, waiting} = await navigator.serviceWorker.getRegistration();
  const one = active?.state === "activated" && !installing && !waiting;
  return one && await caches.has(name);
}"""
"""Whether the page's service worker is the one that keeps the cache `name`."""


def is_unlocked(page: Page, colour: str, token: str) -> None:
    expect(page.locator("#colour")).to_contain_text(colour)
    expect(page.locator("#unlock")).to_be_hidden()
    expect(page.locator("#trouble")).to_be_empty()
    assert page.evaluate("localStorage.getItem('menshen-token')") == token


def bearer_wallet(context: BrowserContext, token: str) -> None:
    """The page of the phone that has none."""
    page = context.new_page()
    page.goto(BEARER_ORIGIN)
    is_unlocked(page, "Yellow", token)
    expect(page.locator("#turns")).to_contain_text("green", ignore_case=True)
    page.close()


def forgets(kept: Kept) -> None:
    """Wait until the unit sends its acknowledged cells no more."""
    centre = kept.client(kept.estate / "server", "collector")
    assert centre.subscribe("menshen/1/+/+/counts")
    old = [cell["number"] for cell in kept.unacknowledged]
    while any(cell["number"] in old for cell in json.loads(centre.next(30).payload)["cells"]):
        pass
    centre.stop()


def check_books(kept: Kept, door: KeptUnit) -> None:
    """Its installation and numbers go on, and each decision of both versions is in one place."""
    query = "SELECT unit, installation, session, decided FROM unit"
    (before,), (after,) = rows(kept.counts_before, query), rows(kept.counts, query)
    decided = sum(re.search(DECIDED, line) is not None for line in door.lines)
    assert after == (*before[:2], before[2] + 1, before[3] + decided)
    cells = "SELECT number, count FROM"
    where = f"WHERE unit = '{kept.unit}' AND installation = '{after[1]}'"
    centre = dict(kept.rows(f"{cells} cells {where}"))
    waiting = dict(rows(kept.counts, f"{cells} closed_cell"))
    ((opened,),) = rows(kept.counts, "SELECT sum(count) FROM open_cell")
    numbers = centre | waiting
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert sum(numbers.values()) + opened == after[3]
    assert {cell["number"] for cell in kept.unacknowledged} <= centre.keys()


# A unit first, while the centre is still of the version before.


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: str(path.name))
def test_a_unit_is_upgraded_before_the_centre(version: Path, tmp_path: Path) -> None:
    """It has been without a network; its battery clock shows a minute after its last run, or after
    the present version was built: no clock that shows an earlier time is believed.
    """
    kept = Kept(version, tmp_path)
    with kept.opened:
        kept.broker()
        centre = kept.client(kept.estate / "server", "collector")
        for leaf in SENT:
            assert centre.subscribe(f"menshen/1/+/+/{leaf}")
        at_s = max(kept.facts["until_s"], BUILT_S) + 60
        with north(kept, at_s) as door:
            age_h, ages = (at_s - kept.signed_s) / 3600, DocumentAges()
            if age_h < ages.status_h:
                assert "opens" in door.shows(kept.facts["sheet"]["text"])
                assert "revoked" in door.shows(kept.facts["lost_sheet"]["text"])
            else:  # built days later: what this unit knows is too old for codes that live long
                why = "unsure-status" if age_h < ages.old_h else "unsure-trust"
                assert why in door.shows(kept.facts["sheet"]["text"])
                assert "stays shut" in door.shows(kept.facts["lost_sheet"]["text"])
            assert "stays shut" in door.shows(kept.facts["suspended"]["text"])
            certificate = door.shows(kept.facts["certificate"])
            assert ("opens" if age_h < ages.old_h else "unsure-trust") in certificate
            heard: dict[str, Any] = {}
            while heard.keys() != set(SENT):
                message = centre.next(30)
                leaf = message.topic.rpartition("/")[2]
                heard[leaf] = json.loads(message.payload)
                # edge/wire/README.md, section 12: 0.1.0 drops a state with the new field.
                new = ["connection is unknown"] if leaf == "state" else []
                assert misread(kept, leaf, message.payload) == new
            assert heard["counts"]["cells"][:1] == kept.unacknowledged
            centre.stop()
            collector = kept.collector()  # and now the centre follows
            wait(lambda: stored(kept, kept.unacknowledged[-1]["number"]), "the waiting cell")
            assert collector.end() == 0
            assert not any("Traceback" in line for line in collector.said)
            forgets(kept)
        moved = [row for row in lost_rows(version / "centre.db", kept.db) if "units:" not in row]
        assert moved == []
        check_books(kept, door)
