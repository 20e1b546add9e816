"""Keep what this version makes, for the tests of later versions. README.md says how to run it.

Everything is made by the real commands and programs: an estate, a unit's card after the unit has
run, the central store, two wallets as Chromium keeps them, and the messages that the unit sent.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib import request

import msgspec
import tomli_w
import zxingcpp
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

from edge.wire import eu_documents, report
from provisioning import foreign
from tests import eudcc
from tests.campus import BatteryClock, end, put_frame, symbol
from tests.centre import CentreClient, Program, free_port
from tests.keeper import keeper
from tests.runtime import runtime

SITE, ISSUER, NORTH, GATE = "campus", "city", "north", "gate"
COMPANY = "beta"
YEARS_S = 19 * 365 * 86400
"""How long sheets of paper work: a little less than the authority's certificate."""

RULES = {"counts": {"k": 2, "period_s": 5, "demo": True}}
CROWD = 3
"""As many different codes close a cell: k and half of it, rounded down, at most."""

SLOT_S = 65
"""A unit that ends after so long writes the other one of its two clock slots."""

DECIDED = ": (opens|stays shut), "
WALL = symbol("HTTPS://EXAMPLE.ORG/NO-DOOR-CODE")

HOLDER_ORIGIN = "http://wallet.localhost/"
"""Chromium lets a page of this name have a key: it counts as secure, as https:// does."""
BEARER_ORIGIN = "http://wallet.test/"
"""And this one not."""

PROFILE = ("Local Storage", "IndexedDB", "Service Worker")
"""What of a browser's profile holds what pages keep."""


class KeptUnit(threading.Thread):
    """A running door on kept pins, and each line that it prints."""

    def __init__(self, card: Path, folder: Path, pins: Path) -> None:
        """`folder`: the runtime folder; `pins`: the socket of the keeper."""
        super().__init__(daemon=True)
        self.frames = card / "frames"
        self.frames.mkdir(exist_ok=True)
        self.lines: list[str] = []
        self._number = 0
        on_pins = [sys.executable, "-m", "tests.keeper.door", str(pins), "--"]
        self.process = subprocess.Popen(
            [*on_pins, "run", str(card / "unit.toml"), "--show"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"RUNTIME_DIRECTORY": str(folder)},
        )
        self.start()

    def run(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def shows(
        self, text: str | Callable[[], str], wanted: str = DECIDED, most_s: float = 30
    ) -> str:
        """Hold a code up until the unit answers with `wanted`, a regular expression."""
        until_s, before = time.monotonic() + most_s, len(self.lines)
        while time.monotonic() < until_s:
            self._frame(symbol(text if isinstance(text, str) else text()))
            time.sleep(0.1)
            found = [line for line in self.lines[before:] if re.search(wanted, line)]
            if found:
                self._frame(WALL)
                return found[0]
        raise AssertionError(f"never {wanted!r}; it printed {self.lines}")

    def prints(self, wanted: str, most_s: float = 30) -> None:
        """Wait for a line with `wanted` in it; nobody is at the door."""
        until_s = time.monotonic() + most_s
        while not any(wanted in line for line in self.lines):
            assert time.monotonic() < until_s, f"never {wanted!r}; it printed {self.lines}"
            self._frame(WALL)
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as systemd does."""
        assert end(self.process) == 0, self.lines
        self.join(10)
        assert not any("Traceback" in line for line in self.lines), self.lines

    def _frame(self, picture: Any) -> None:
        self._number += 1
        put_frame(self.frames, self._number, picture)


@contextmanager
def running(card: Path, folder: Path) -> Iterator[KeptUnit]:
    """The unit of `card` with pins and a runtime folder of its own; `folder` is for the pins."""
    with keeper(folder / "pins", folder / "relay"), runtime() as ram:
        unit = KeptUnit(card, ram, folder / "pins")
        try:
            yield unit
            unit.stop()
        finally:
            unit.process.kill()


@contextmanager
def browser(profile: Path, port: int) -> Iterator[BrowserContext]:
    """Chromium with this profile; both wallets' names lead to the issuer at `port`."""
    hosts = [origin.split("/")[2] for origin in (HOLDER_ORIGIN, BEARER_ORIGIN)]
    names = ", ".join(f"MAP {host} 127.0.0.1:{port}" for host in hosts)
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile),
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync",
                  f"--host-resolver-rules={names}"],
            locale="en-GB",
            viewport={"width": 390, "height": 844},
            device_scale_factor=2,
        )  # fmt: skip
        yield context
        context.close()


def read_screen(page: Page) -> str:
    """The text of the symbol that a wallet shows."""
    for _ in range(8):  # zxing-cpp misses a perfect picture now and then: the next one counts
        picture = Path(tempfile.mkdtemp()) / "screen.png"
        page.screenshot(path=picture)
        found = zxingcpp.read_barcodes(Image.open(picture))
        shutil.rmtree(picture.parent)
        if found:
            return str(found[0].bytes.decode())
        page.wait_for_timeout(500)
    raise AssertionError("there is no symbol on the screen")


def command(house: str, *arguments: object) -> str:
    """What `python -m house …` prints."""
    ran = subprocess.run(
        [sys.executable, "-m", house, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def post(url: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    """The issuer's answer to what a phone asks."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    asked = request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
    with request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        return dict(json.load(answer))


def edit(card: Path, **tables: Any) -> None:
    """Change a card's unit.toml, as an installer does with an editor."""
    path = card / "unit.toml"
    config = tomllib.loads(path.read_text())
    for name, change in tables.items():
        config[name] = config.get(name, {}) | change
    path.write_text(tomli_w.dumps(config))


def wait(condition: Callable[[], Any], what: str, most_s: float = 30) -> None:
    until_s = time.monotonic() + most_s
    while not condition():
        assert time.monotonic() < until_s, f"never: {what}"
        time.sleep(0.05)


class Maker:
    """One estate in `work`, and what runs of it."""

    def __init__(self, work: Path) -> None:
        self.work, self.estate = work, work / "estate"
        self.store = ("--store", f"sqlite:///{work}/centre.db")
        self.broker_port = free_port()
        self.facts: dict[str, Any] = {"site": SITE, "issuer": ISSUER, "unit": NORTH, "gate": GATE}

    def provision(self, *arguments: object) -> str:
        return command("provisioning", *arguments)

    def server(self, *arguments: object) -> str:
        return command("server_stub", *arguments, *self.store)

    def enrol(self, *more: str) -> tuple[str, str]:
        """A record and its secret."""
        lines = self.server("enrol", self.estate, ISSUER, *more).splitlines()
        words = dict(line.split(maxsplit=1) for line in lines)
        return words["record"], words["secret"]

    def make_estate(self) -> None:
        """Authority, issuer, site, a foreign issuer, sheets of paper, two cards."""
        estate, now_s = self.estate, int(time.time())
        self.provision("authority", estate)
        self.provision("issuer", estate, ISSUER, "--longest-life-s", YEARS_S)
        self.provision("site", estate, SITE, "--demo")
        (self.work / "rules.json").write_text(json.dumps(RULES))
        self.provision("site-rules", estate, SITE, self.work / "rules.json")
        signer = eudcc.key(from_s=now_s - 86400, until_s=now_s + YEARS_S)
        (self.work / "keys.json").write_bytes(
            foreign.encode_key_list(eu_documents.EuKeyList((signer,)))
        )
        (self.work / "terms.json").write_bytes(
            msgspec.json.encode(eu_documents.EuTerms(eudcc.ANYTHING))
        )
        files = ("--terms", self.work / "terms.json", "--keys", self.work / "keys.json")
        life = ("--longest-life-s", YEARS_S + 3600)  # it was signed an hour ago
        self.provision("recognise", estate, "eu", "--format", "hc1", *files, *life)
        certificate = eudcc.text("v", eudcc.VACCINATION, iat=now_s - 3600, exp=now_s + YEARS_S)
        self.facts["certificate"] = certificate.decode()
        self.make_papers()
        self.provision("publish", estate)
        table = f"name,camera_kind,camera_source,broker_port,controller\n" \
            f"{NORTH},pictures,frames,{self.broker_port},\n" \
            f"{GATE},pictures,frames,{self.broker_port},/dev/ttyAMA0\n"  # fmt: skip
        (self.work / "units.csv").write_text(table)
        self.provision("units", estate, SITE, self.work / "units.csv")

    def make_papers(self) -> None:
        """Two sheets of paper, one of them taken back; and one of a company, suspended later."""
        record, _ = self.enrol()
        employee, _ = self.enrol("--scope", f"staff:{COMPANY}")
        for name, whose in (("sheet", record), ("lost_sheet", record), ("suspended", employee)):
            out = self.work / f"{name}.svg"
            hours = ("--hours", YEARS_S // 3600)
            lines = self.server("paper", self.estate, ISSUER, whose, "--out", out, *hours)
            number = re.search(r"number +(\S+)", lines)
            assert number
            picture = out.with_suffix(".png")
            subprocess.run(["rsvg-convert", "--zoom=4", "-o", picture, out], check=True)
            (found,) = zxingcpp.read_barcodes(Image.open(picture))
            self.facts[name] = {"number": number[1], "text": found.bytes.decode()}
        self.server("revoke", record, "--number", self.facts["lost_sheet"]["number"])
        self.server("status-list", self.estate, ISSUER)

    def make_records(self, url: str, port: int) -> None:
        """A party, a colour that turns, a secret not used yet, and the two wallets."""
        speaker, secret = self.enrol("--scope", "staff:acme")
        members = [self.enrol("--scope", "staff:acme")[0] for _ in range(2)]
        self.server("party", speaker, *members)
        coloured, bearer_secret = self.enrol()
        until = time.strftime("%Y-%m-%dT00:00Z", time.gmtime(int(time.time()) + YEARS_S))
        self.server("colour", coloured, "yellow", "--until", until)
        waiting, waiting_secret = self.enrol()
        self.facts["party"] = {"record": speaker, "members": members}
        self.facts["coloured"] = {"record": coloured, "until": until}
        self.facts["waiting"] = {"record": waiting, "secret": waiting_secret}
        profile = self.work / "profile"
        with browser(profile, port) as context:
            page = context.new_page()
            page.goto(f"{HOLDER_ORIGIN}#{secret}")
            expect(page.locator("#colour")).to_contain_text("Green")
            expect(page.get_by_role("switch", name="For 3 people")).to_be_visible()
            page.evaluate("navigator.serviceWorker.ready")
            page.wait_for_function("navigator.serviceWorker.controller !== null")
            self.facts["holder_token"] = page.evaluate("localStorage.getItem('menshen-token')")
            page.goto(f"{BEARER_ORIGIN}#{bearer_secret}")
            expect(page.locator("#colour")).to_contain_text("Yellow")
            self.facts["bearer_token"] = page.evaluate("localStorage.getItem('menshen-token')")
            page.goto("about:blank")
            page.wait_for_timeout(1000)
        for token in ("holder_token", "bearer_token"):
            assert self.facts[token]

    def run_unit(self, card: Path, url: str, collector: Program) -> list[dict[str, str]]:
        """Let north serve people with the collector there, and after a power cut without it.

        What it sent then: the broker has one client `collector` at a time, and now it is ours.
        """
        clock = BatteryClock(card / "rtc")
        clock.start()
        try:
            with running(card, self.work) as unit:
                wait(lambda: (card / "state" / "clock-a").exists(), "a synced clock")
                self.crowd(unit, url)
                wait(self.stored, "a cell in the store")
                self.publish_again()
                unit.prints("took version")
            assert collector.end() == 0
            server = self.estate / "server"
            pair = (server / "collector.pem", server / "collector.key")
            listener = CentreClient(self.broker_port, self.estate / "authority" / "ca.pem", pair)
            assert listener.start()
            for leaf in ("state", "health", "counts", "ask"):
                assert listener.subscribe(f"menshen/1/+/+/{leaf}")
            with running(card, self.work) as unit:
                unit.prints("connected")
                self.crowd(unit, url)
                heard = hear(listener, "counts", '"number"')
                unit.shows(self.passer(url), "green: opens")  # one more, in an open cell
                time.sleep(SLOT_S)
            heard += hear(listener, "state", '"online":false')
            listener.stop()
        finally:
            clock.stop()
        self.facts["until_s"] = int(time.time())
        self.facts["rtc_behind_s"] = BatteryClock.BEHIND_S
        return kept_messages(heard)

    def publish_again(self) -> None:
        """Newer rules for a unit that runs: its second generation of trust documents."""
        (self.work / "rules.json").write_text(json.dumps(RULES | {"suspended": [COMPANY]}))
        self.provision("site-rules", self.estate, SITE, self.work / "rules.json")
        self.provision("publish", self.estate)

    def crowd(self, unit: KeptUnit, url: str) -> None:
        for _ in range(CROWD):
            assert "opens" in unit.shows(self.passer(url))

    def passer(self, url: str) -> str:
        """The code of somebody new, who has a phone without a key."""
        _, secret = self.enrol()
        token = post(f"{url}v1/activate", {"secret": secret})["token"]
        return str(post(f"{url}v1/code", {}, token)["text"])

    def stored(self) -> bool:
        with closing(sqlite3.connect(self.work / "centre.db", timeout=5)) as store:
            return bool(store.execute("SELECT count(*) FROM cells").fetchone()[0])


def hear(listener: CentreClient, leaf: str, words: str) -> list[tuple[str, str]]:
    """The leaves and payloads of messages, up to the first at `leaf` that holds `words`."""
    heard = []
    while True:
        message = listener.next(30)
        heard.append((message.topic.rpartition("/")[2], message.payload.decode()))
        if heard[-1][0] == leaf and words in heard[-1][1]:
            return heard


def kept_messages(heard: list[tuple[str, str]]) -> list[dict[str, str]]:
    """The first and the last one of each kind, and every state; in the order of their sending."""
    last = {leaf: number for number, (leaf, _) in enumerate(heard)}
    first = {leaf: number for number, (leaf, _) in reversed(list(enumerate(heard)))}
    return [
        {"leaf": leaf, "payload": payload}
        for number, (leaf, payload) in enumerate(heard)
        if leaf == "state" or number in (first[leaf], last[leaf])
    ]


def schemas() -> dict[str, Any]:
    """What this version's centre and units read: JSON Schema of each message."""
    kinds = {
        "state": report.StateReport,
        "health": report.HealthReport,
        "counts": report.CountsReport,
        "ask": report.TimeRequest,
        "ack": report.Ack,
        "answer": report.TimeAnswer,
    }
    found, parts = msgspec.json.schema_components(kinds.values(), ref_template="{name}")
    for part in parts.values():  # on the wire a field that is unknown stands beside the others
        if part["properties"].pop("unknown", None) is not None:
            part["additionalProperties"] = True
    return {"kinds": dict(zip(kinds, found, strict=True)), "parts": parts}


def make(out: Path, work: Path) -> None:
    """All of it, into the folder `out`."""
    maker = Maker(work)
    maker.make_estate()
    programs = []

    def started(*arguments: object) -> Program:
        programs.append(Program(*arguments))
        programs[-1].wait_for("ready")
        return programs[-1]

    try:
        estate = maker.estate
        port = ("--port", maker.broker_port)
        started("broker", estate, "--state", work / "broker", *port)
        where = ("--broker-port", maker.broker_port)
        collector = started("collector", estate, *maker.store, *where, "--look-s", 0.3)
        issuer = started("issuer", estate, ISSUER, *maker.store, "--port", 0)
        url = issuer.said[-1].rpartition(" at ")[2]
        maker.make_records(url, int(url.rstrip("/").rpartition(":")[2]))
        card = shutil.copytree(estate / "sites" / SITE / "units" / NORTH, work / "card")
        edit(card, door={"unlock_ms": 300}, clock={"rtc": "rtc"}, counts={"report_s": 1})
        messages = maker.run_unit(card, url, collector)
        issuer.end()
    finally:
        for program in programs:
            program.kill()
    keep(out, maker, messages)


def keep(out: Path, maker: Maker, messages: list[dict[str, str]]) -> None:
    """Copy what outlives the programs."""
    work = maker.work
    shutil.copytree(maker.estate, out / "estate")
    shutil.copytree(work / "card", out / "card", ignore=shutil.ignore_patterns("frames"))
    with closing(sqlite3.connect(work / "centre.db")) as store:  # one file, without its log
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(work / "centre.db", out)
    for name in PROFILE:
        passing = shutil.ignore_patterns("LOG", "LOG.old", "LOCK")  # a diary, and a mark of use
        shutil.copytree(work / "profile" / "Default" / name, out / "profile" / name, ignore=passing)
    write(out / "messages.json", messages)
    write(out / "schemas.json", schemas())
    write(out / "facts.json", maker.facts)


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def main() -> None:
    match sys.argv[1:]:
        case [folder] if not Path(folder).exists():
            with tempfile.TemporaryDirectory() as work:
                make(Path(folder), Path(work))
        case [folder]:
            refuse(f"{folder} is there already and was kept; name a new folder")
        case _:
            refuse("name one new folder for what is made, as tests/upgrade/0.2.0")


def refuse(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
