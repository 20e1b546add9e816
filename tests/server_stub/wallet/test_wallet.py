"""The wallet in a real Chromium: keys, holder codes off the screen, no network, door labels."""

import base64
import contextlib
import hashlib
import io
import itertools
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
import sqlalchemy as sa
import zxingcpp
from nacl.signing import VerifyKey
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from edge import words
from edge.clock import time_interval
from edge.clock.issuer_floors import IssuerFloors
from edge.judge import verdict
from edge.judge.verdict import Genuine, Reason, Refused
from edge.wire import code, holder, keys, trust
from edge.wire.code import Colour
from edge.wire.rules import PLAIN, HolderTerms
from server_stub import store
from server_stub.estate import Estate
from server_stub.issuing import issuer, parties, records
from server_stub.wallet import assets
from tests import centre
from tests.centre import ISSUER, Program, running
from tests.chromium import ChromiumWatch, chromium, pictures
from tests.served import served

PHONE = {"width": 390, "height": 844}
VENDORED = Path(assets.__file__).parent / "qrcode-generator"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium("--host-resolver-rules=MAP wallet.test 127.0.0.1") as browser:
        yield browser


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return centre.make_estate(tmp_path_factory.mktemp("estate"))


@dataclass
class WalletView:
    """What an independent reader finds in a holder code: cbor2 and PyNaCl, no code of ours."""

    text: str
    inner: code.Code  # of the issuer
    bare: str  # the text of the issuer's code inside
    iat_s: int  # of the phone
    door: str | None

    @property
    def at(self) -> tuple[int, str | None]:
        return self.iat_s, self.door


def shown(page: Page) -> str:
    """The text of the QR symbol on the screen, by its picture.

    zxing-cpp misses about one perfect picture in four hundred of this size: the next one counts.
    """
    for _ in range(8):
        picture = Image.open(io.BytesIO(page.screenshot()))
        found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
        if found:
            break
        page.wait_for_timeout(1000)
    assert len(found) == 1, "there is not one symbol on the screen"
    return found[0].bytes.decode()


def seen(page: Page) -> WalletView:
    """The holder code on the screen, its signature verified."""
    text = shown(page)
    assert text.startswith("DC1:")
    raw = code.base45_decode(text[4:].encode())
    assert raw is not None
    protected, unprotected, payload, signature = cbor2.loads(raw)
    assert unprotected == {}
    header, claims = cbor2.loads(protected), cbor2.loads(payload)
    assert header.keys() == {1, 13}
    assert header[1] == -19
    inner = cbor2.dumps(header[13])
    assert protected.endswith(inner)  # as the issuer wrote it
    said = cbor2.loads(header[13][2])
    structure = cbor2.dumps(["Signature1", protected, b"menshen-holder-1", payload])
    VerifyKey(said[8][1][-2]).verify(structure, signature)
    bare = "DC1:" + code.base45_encode(inner).decode()
    signed = code.decode(bare.encode())
    assert isinstance(signed, code.SignedCode)
    # and the unit's own reader finds the same
    held = holder.read(raw)
    assert isinstance(held, holder.HolderCode)
    assert (held.inner.code, held.iat_s, held.door) == (signed.code, claims[6], claims.get(3))
    return WalletView(text, signed.code, bare, claims[6], claims.get(3))


def at_door(
    estate: Path, text: str, unit: str = "north-1", later_s: int = 0, **terms: Any
) -> Reason | Colour:
    """What a door that knows the time says of `text`, `later_s` seconds from now."""
    said, key = Estate(estate).issuer(ISSUER)
    now_s = int(time.time()) + later_s
    known = trust.IssuerKey(
        public=keys.public_to_text(key.public), from_s=said.from_s, until_s=said.until_s
    )
    city = trust.IssuerEntry(name=ISSUER, keys=[known], longest_life_s=said.longest_life_s)
    document = trust.Issuers(version=1, signed_s=now_s, issuers=[city])
    answer = verdict.verify(
        text.encode(),
        verdict.TrustState(
            trust.Trust(document),
            rules=replace(PLAIN, holder=HolderTerms(**terms)),
            signed_s=now_s,
        ),
        verdict.Place(frozenset({centre.SITE}), centre.SITE, unit),
        time_interval.Now(time_interval.Interval(now_s, now_s, "system"), 0),
        IssuerFloors(),
    )
    assert isinstance(answer, (Genuine, Refused)), answer
    return answer.colour if isinstance(answer, Genuine) else answer.reason


def until(page: Page, wanted: Callable[[WalletView], bool], seconds: float = 8) -> WalletView:
    """The first holder code on the screen that is as wanted."""
    end_s = time.monotonic() + seconds
    while True:
        found = seen(page)
        if wanted(found):
            return found
        assert time.monotonic() < end_s, found
        page.wait_for_timeout(100)


class WalletOffice:
    """An issuer with its store, which may be ended and started again at the same address."""

    def __init__(self, estate: Path, folder: Path, life_s: int, holder_life_s: int = 43200) -> None:
        self.engine = store.open_store(f"sqlite:///{folder}/menshen.db")
        signing = issuer.Issuer(*Estate(estate).issuer(ISSUER), self.engine, life_s, holder_life_s)
        self._web, self._port = issuer.web(signing), centre.free_port()
        self._running = contextlib.ExitStack()
        self.url = f"http://127.0.0.1:{self._port}/"
        self.start()

    def start(self) -> None:
        self._running.enter_context(served(self._web, self._port))

    def kill(self) -> None:
        self._running.close()

    def enrol(self) -> records.Enrolment:
        with store.writing(self.engine) as connection:
            return records.enrol(connection, ISSUER, Colour.GREEN)

    def address(self) -> str:
        return f"{self.url}#{self.enrol().secret}"


@pytest.fixture
def place(estate: Path, tmp_path: Path) -> Iterator[WalletOffice]:
    place = WalletOffice(estate, tmp_path, life_s=6)
    yield place
    place.kill()


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(
        locale="en-GB",
        viewport=PHONE,  # type: ignore[arg-type]
        device_scale_factor=2,
        color_scheme="light",
    )
    yield context
    context.close()


def opened(phone: BrowserContext, address: str) -> Page:
    page = phone.new_page()
    page.goto(address)
    expect(page.locator("#symbol")).to_be_visible()
    return page


def kept_offline(page: Page) -> None:
    """Wait until the service worker has everything."""
    page.evaluate("navigator.serviceWorker.ready")
    page.wait_for_function("navigator.serviceWorker.controller !== null")


@pytest.mark.system
def test_from_the_commands_to_the_screen(
    estate: Path, phone: BrowserContext, tmp_path: Path
) -> None:
    where = ["--store", f"sqlite:///{tmp_path}/menshen.db"]
    lives = ["--life-s", 60, "--holder-life-s", 3600]
    with running("issuer", estate, ISSUER, *where, "--port", 0, *lives) as program:
        url = program.said[-1].split(" at ")[1]
        enrolling = Program("enrol", estate, ISSUER, *where, "--url", url)
        page = opened(phone, enrolling.wait_for("page").split()[-1])
        first = seen(page)
        assert first.inner.exp_s - first.inner.iat_s == 3600
        assert first.inner.status  # what lives for hours can be taken back
        assert first.inner.status.listed == f"{ISSUER}/1"
        record = enrolling.said[0].split()[-1]
        replacing = Program("replace", record, *where, "--url", url)
        address = replacing.wait_for("page").split()[-1]
        page.goto("about:blank")
        page.goto(url)
        expect(page.locator("#trouble")).to_contain_text("not unlocked any more")
        expect(page.locator("#card")).to_be_hidden()
        again = seen(opened(phone, address))
        assert again.inner.cnf != first.inner.cnf
        assert len(program.said) == 1  # no line for any request


@pytest.mark.system
def test_the_wallet(place: WalletOffice, phone: BrowserContext, tmp_path: Path) -> None:
    made = place.enrol()
    page = phone.new_page()
    watch = ChromiumWatch(page, place.url)
    page.goto(f"{place.url}#{made.secret}")
    expect(page.locator("#colour")).to_contain_text("Green")
    expect(page).to_have_url(place.url)  # the secret is gone from the address
    expect(page.locator("#note")).to_contain_text("No network is needed until then")
    first = seen(page)
    now_s = time.time()
    assert abs(first.iat_s - now_s) < 8
    assert first.door is None
    assert first.inner.colour == Colour.GREEN
    assert first.inner.exp_s - first.inner.iat_s == issuer.HOLDER_LIFE_S
    assert len(first.text) == 363
    assert page.locator("#symbol").evaluate("e => e.width") == 17 + 4 * 11 + 8  # version 11
    folder = pictures(tmp_path)
    page.screenshot(path=folder / "wallet.png")

    # a new one every few seconds, around the same code or a renewed one
    proofs = [first]
    while len(proofs) < 3:
        last = proofs[-1].text
        proofs.append(until(page, lambda found, last=last: found.text != last))  # type: ignore[misc]
    steps = [b.iat_s - a.iat_s for a, b in itertools.pairwise(proofs)]
    assert all(1 <= step <= 6 for step in steps), steps

    # a change of colour arrives while there is a network, hours before the code expires
    with store.writing(place.engine) as connection:
        records.recolour(connection, made.record, Colour.YELLOW, int(time.time()))
    expect(page.locator("#colour")).to_contain_text("Yellow", timeout=15_000)
    assert until(page, lambda found: found.inner.colour == Colour.YELLOW).inner.cnf
    page.screenshot(path=folder / "wallet-yellow.png")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("#colour")).to_contain_text("黄码")
    page.emulate_media(color_scheme="dark")
    seen(page)  # dark on white in any theme
    page.screenshot(path=folder / "wallet-dark.png")
    page.reload()
    expect(page.locator("#colour")).to_contain_text("黄码")  # token and language are kept
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert watch.complaints == []
    assert watch.foreign == []

    # what the browser keeps by name: nothing of the person, and no code
    names = page.evaluate("Object.entries(localStorage)")
    assert {name for name, _ in names} == {"menshen-token", "menshen-asked", "menshen-language"}
    assert not [value for _, value in names if re.search("yellow|green|DC1:", value)]


@pytest.mark.system
def test_a_door_judges_what_the_phone_shows(
    estate: Path, place: WalletOffice, phone: BrowserContext
) -> None:
    page = opened(phone, place.address())
    proof = seen(page)
    assert at_door(estate, proof.text) == Colour.GREEN
    assert at_door(estate, proof.text, later_s=60) == Colour.GREEN
    assert at_door(estate, proof.text, later_s=110) == Reason.PROOF_OLD  # a screenshot
    assert at_door(estate, proof.bare) == Reason.PROOF_MISSING  # the wrapper taken off
    assert at_door(estate, proof.text, door_named=True) == Reason.DOOR_NOT_NAMED
    page.evaluate("location.hash = 'd=campus/north-1'")
    named = until(page, lambda found: found.door is not None)
    assert at_door(estate, named.text, door_named=True) == Colour.GREEN
    assert at_door(estate, named.text, unit="north-2") == Reason.OTHER_DOOR

    # a clock that is set wrong where no network tells the page of it
    phone.set_offline(True)
    page.evaluate("() => { const real = Date.now; Date.now = () => real.call(Date) + 200_000; }")
    wrong = until(page, lambda found: found.iat_s > time.time() + 100)
    assert at_door(estate, wrong.text) == Reason.PHONE_CLOCK
    phone.set_offline(False)  # measured anew
    right = until(page, lambda found: found.iat_s < time.time() + 5)
    assert at_door(estate, right.text) == Colour.GREEN


@pytest.mark.system
def test_a_switch_shows_the_code_for_all_and_needs_no_network(
    estate: Path, place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    made, child = place.enrol(), place.enrol()
    page = phone.new_page()
    watch = ChromiumWatch(page, place.url)
    page.goto(f"{place.url}#{made.secret}")
    switch = page.get_by_role("switch", name="For 2 people")
    alone = seen(page)
    expect(switch).to_be_hidden()  # it speaks for itself
    with store.writing(place.engine) as connection:
        parties.set_members(connection, made.record, [child.record])
    expect(switch).to_be_visible(timeout=15_000)
    expect(switch).not_to_be_checked()
    assert watch.complaints == []
    kept_offline(page)
    place.kill()
    phone.set_offline(True)
    switch.check()
    expect(page.locator("#party-note")).to_contain_text("lets 2 people pass")
    both = until(page, lambda found: found.inner.party == 2)
    assert both.inner.sub != alone.inner.sub
    assert at_door(estate, both.text) == Colour.GREEN
    page.screenshot(path=pictures(tmp_path) / "wallet-party.png")
    switch.uncheck()
    assert until(page, lambda found: found.inner.party == 1).inner.sub == alone.inner.sub
    page.reload()
    switch.check()  # kept with the phone's own
    until(page, lambda found: found.inner.party == 2)

    with store.writing(place.engine) as connection:
        records.recolour(connection, child.record, Colour.YELLOW, int(time.time()))
    place.start()
    phone.set_offline(False)
    expect(page.locator("#colour")).to_contain_text("Yellow", timeout=15_000)
    page.get_by_role("button", name="中文").click()
    page.get_by_role("switch", name="2 人同行").uncheck()
    expect(page.locator("#colour")).to_contain_text("绿码")
    with store.writing(place.engine) as connection:
        parties.set_members(connection, made.record, [])
    expect(page.get_by_role("switch")).to_be_hidden(timeout=15_000)


@pytest.mark.system
def test_a_code_turns_on_the_screen_as_it_does_at_the_door(
    estate: Path, place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    made = place.enrol()

    def turning(at_s: int) -> None:
        with store.writing(place.engine) as connection:
            turn = code.ColourChange(Colour.GREEN, at_s)
            records.recolour(connection, made.record, Colour.YELLOW, int(time.time()), turn)

    turning(int(time.time()) + 9 * 86400)  # beyond the code's life: told all the same
    page = opened(phone, f"{place.url}#{made.secret}")
    expect(page.locator("#colour")).to_contain_text("Yellow")
    day = time.localtime(time.time() + 9 * 86400)
    date = f"{time.strftime('%B', day)} {day.tm_mday}"
    expect(page.locator("#turns")).to_contain_text(f"Green from {date} at")
    at_s = int(time.time()) + 18
    turning(at_s)
    clock_time = time.strftime("%H:%M", time.localtime(at_s))
    expect(page.locator("#turns")).to_have_text(f"Green from {clock_time}", timeout=10_000)
    page.screenshot(path=pictures(tmp_path) / "wallet-turning.png")
    before = seen(page)
    assert before.inner.turns == code.ColourChange(Colour.GREEN, at_s)
    assert at_door(estate, before.text) == Colour.YELLOW
    place.kill()
    phone.set_offline(True)
    expect(page.locator("#colour")).to_contain_text("Green", timeout=30_000)
    assert time.time() >= at_s - 1  # the issuer's clock is known to half a second
    expect(page.locator("#turns")).to_be_hidden()
    after = until(page, lambda found: found.iat_s > at_s)
    assert after.bare == before.bare  # the same code
    assert at_door(estate, after.text) == Colour.GREEN


@pytest.mark.system
def test_the_key_cannot_leave_the_browser(place: WalletOffice, phone: BrowserContext) -> None:
    page = opened(phone, place.address())
    proof = seen(page)
    said = page.evaluate(
        """async () => {
          const database = await new Promise((done) => {
            const request = indexedDB.open("menshen", 1);
            request.onsuccess = () => done(request.result);
          });
          const all = await new Promise((done) => {
            const request = database.transaction("wallet").objectStore("wallet").getAll();
            request.onsuccess = () => done(request.result);
          });
          const {privateKey, text} = all.find((value) => value.privateKey);
          const tried = ["pkcs8", "jwk", "raw"].map((format) =>
            crypto.subtle.exportKey(format, privateKey).then(() => "out", (error) => error.name));
          return {out: await Promise.all(tried), extractable: privateKey.extractable,
                  type: privateKey.type, text,
                  keys: all.filter((value) => value.privateKey).length};
        }"""
    )
    assert said["extractable"] is False
    assert said["type"] == "private"
    assert said["keys"] == 1
    assert "out" not in said["out"]
    assert base64.b64decode(said["text"]) == proof.inner.cnf


@pytest.mark.system
def test_it_works_without_a_network(
    place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    page = opened(phone, place.address())
    kept_offline(page)
    before = seen(page)
    place.kill()
    phone.set_offline(True)
    page.reload()
    expect(page.locator("#colour")).to_contain_text("Green")
    page.close()
    page = opened(phone, place.url)  # and in a new tab
    expect(page.locator("#note")).to_contain_text("no network now, and none is needed")
    expect(page.locator("#trouble")).to_be_hidden()  # nothing is wrong
    works_until = time.strftime("%H:%M", time.localtime(before.inner.exp_s))
    expect(page.locator("#clock")).to_contain_text(works_until)
    first = until(page, lambda found: found.iat_s > before.iat_s)
    second = until(page, lambda found: found.iat_s > first.iat_s)
    assert second.iat_s - first.iat_s >= 5
    assert first.inner.sub == before.inner.sub
    page.screenshot(path=pictures(tmp_path) / "wallet-offline.png")
    place.start()
    phone.set_offline(False)
    renewed = until(page, lambda found: found.inner.iat_s > before.inner.iat_s, 20)
    assert renewed.inner.cnf == before.inner.cnf
    expect(page.locator("#note")).to_contain_text("No network is needed until then")


@pytest.mark.system
def test_an_expired_code_says_so(estate: Path, phone: BrowserContext, tmp_path: Path) -> None:
    place = WalletOffice(estate, tmp_path, life_s=4, holder_life_s=4)
    try:
        page = opened(phone, place.address())
        kept_offline(page)
        place.kill()
        expect(page.locator("#over")).to_be_visible(timeout=15_000)
        expect(page.locator("#trouble")).to_contain_text("does not reach the issuer")
        assert not zxingcpp.read_barcodes(Image.open(io.BytesIO(page.screenshot())))
        page.screenshot(path=pictures(tmp_path) / "wallet-expired.png")
        page.reload()
        expect(page.locator("#over")).to_be_visible()
        place.start()
        expect(page.locator("#over")).to_be_hidden(timeout=30_000)
        expect(page.locator("#trouble")).to_have_text("")
        seen(page)
    finally:
        place.kill()


@pytest.mark.system
def test_the_door_of_a_label_stays_on_the_phone(
    place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    requests: list[str] = []
    phone.on(
        "request",
        lambda asked: requests.append(f"{asked.url} {asked.headers} {asked.post_data}"),
    )
    opened(phone, place.address()).close()
    page = opened(phone, f"{place.url}#d=campus/north-1")
    expect(page).to_have_url(place.url)
    expect(page.locator("#door")).to_contain_text("For door campus/north-1")
    bound = seen(page)
    assert bound.door == "campus/north-1"
    assert page.locator("#symbol").evaluate("e => e.width") == 17 + 4 * 12 + 8
    page.screenshot(path=pictures(tmp_path) / "wallet-door.png")
    until(page, lambda found: found.iat_s > bound.iat_s and found.door == bound.door)
    kept = page.evaluate(
        "JSON.stringify([Object.entries(localStorage), location.href, history.state])"
    )
    assert "north" not in kept

    # another label, while the page is open; then any door again
    page.evaluate("location.hash = 'd=campus%2Fsouth'")
    expect(page.locator("#door")).to_contain_text("campus/south")
    until(page, lambda found: found.door == "campus/south")
    page.get_by_role("button", name="Any door").click()
    until(page, lambda found: found.door is None)
    expect(page.locator("#door")).to_be_hidden()

    # what is no door changes nothing
    for wrong in ("campus", "campus/north/1", "Campus/north", "a/b c", "/", "%00/x", "%E0%A4%A"):
        page.evaluate("hash => { location.hash = `d=${hash}`; }", wrong)
    expect(page).to_have_url(place.url)
    expect(page.locator("#door")).to_be_hidden()
    assert len(requests) > 5
    assert not [asked for asked in requests if "north" in asked or "south" in asked]


@pytest.mark.system
def test_a_scanned_label_counts_for_a_short_time(
    place: WalletOffice, phone: BrowserContext
) -> None:
    opened(phone, place.address()).close()
    page = phone.new_page()
    page.clock.install()
    page.goto(f"{place.url}#d=campus/north-1")
    expect(page.locator("#door")).to_be_visible()
    page.clock.fast_forward(100_000)
    expect(page.locator("#door")).to_be_visible()
    page.clock.fast_forward(30_000)
    expect(page.locator("#door")).to_be_hidden()


@pytest.mark.system
@pytest.mark.parametrize(("off_s", "word"), [(-200, "3 minutes slow"), (7300, "2 hours fast")])
def test_a_wrong_clock_is_told_and_made_up_for(
    place: WalletOffice, phone: BrowserContext, tmp_path: Path, off_s: int, word: str
) -> None:
    phone.add_init_script(
        f"const real = Date.now; Date.now = () => real.call(Date) + {1000 * off_s};"
    )
    page = opened(phone, place.address())
    expect(page.locator("#wrong-clock")).to_contain_text(word)
    assert abs(seen(page).iat_s - time.time()) < 8  # a door would take it
    page.screenshot(path=pictures(tmp_path) / f"wallet-clock-{word[-4:]}.png")
    kept_offline(page)
    place.kill()
    page.reload()
    expect(page.locator("#wrong-clock")).to_contain_text(word)
    assert abs(seen(page).iat_s - time.time()) < 8


@pytest.mark.system
def test_a_right_clock_is_not_complained_of(place: WalletOffice, phone: BrowserContext) -> None:
    page = opened(phone, place.address())
    expect(page.locator("#wrong-clock")).to_be_hidden()


WITHOUT_ED25519 = """
const real = SubtleCrypto.prototype.generateKey;
SubtleCrypto.prototype.generateKey = function (algorithm, ...more) {
  if ((algorithm.name ?? algorithm) === "Ed25519") {
    return Promise.reject(new DOMException("Unrecognized name.", "NotSupportedError"));
  }
  return real.call(this, algorithm, ...more);
};
"""
WITHOUT_STORE = "Object.defineProperty(window, 'indexedDB', {value: undefined});"


@pytest.mark.system
@pytest.mark.parametrize("lacking", [WITHOUT_ED25519, WITHOUT_STORE], ids=["ed25519", "store"])
def test_a_browser_without_keys_gets_bearer_codes_and_says_so(
    place: WalletOffice, phone: BrowserContext, tmp_path: Path, lacking: str
) -> None:
    phone.add_init_script(lacking)
    page = opened(phone, place.address())
    watch = ChromiumWatch(page, place.url)
    expect(page.locator("#note")).to_contain_text("cannot keep a key")
    bearer(shown(page), 6)
    page.screenshot(path=pictures(tmp_path) / "wallet-bearer.png")
    page.evaluate("location.hash = 'd=campus/north-1'")  # cannot be bound to a door
    page.wait_for_timeout(1200)
    expect(page.locator("#door")).to_be_hidden()
    assert watch.complaints == []
    place.kill()
    expect(page.locator("#trouble")).to_contain_text("works until", timeout=10_000)


@pytest.mark.system
def test_a_page_without_encryption_gets_bearer_codes_and_says_so(
    place: WalletOffice, phone: BrowserContext
) -> None:
    page = opened(phone, place.address().replace("127.0.0.1", "wallet.test"))
    assert page.evaluate("window.isSecureContext") is False
    expect(page.locator("#note")).to_contain_text("https address")
    bearer(shown(page), 6)


def bearer(text: str, life_s: int) -> None:
    signed = code.decode(text.encode())
    assert isinstance(signed, code.SignedCode)
    assert signed.code.cnf is None
    assert signed.code.exp_s - signed.code.iat_s == life_s


@pytest.mark.system
def test_a_phone_that_lost_its_key_is_told_and_gets_no_weaker_code(
    place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    made = place.enrol()
    page = opened(phone, f"{place.url}#{made.secret}")
    page.goto(f"{place.url}worker.js")  # nothing of the page runs here
    page.evaluate(
        """() => new Promise((done) => {
          const request = indexedDB.deleteDatabase("menshen");
          request.onsuccess = done;
        })"""
    )
    page.goto(place.url)
    expect(page.locator("#trouble")).to_contain_text("is not in this browser")
    expect(page.locator("#card")).to_be_hidden()
    page.screenshot(path=pictures(tmp_path) / "wallet-key.png")

    # a new secret for the same record unlocks it again
    with store.writing(place.engine) as connection:
        again = records.replace(connection, made.record)
    page.locator("#secret").fill(again.secret)
    page.get_by_role("button", name="Unlock").click()
    expect(page.locator("#card")).to_be_visible()
    expect(page.locator("#trouble")).to_have_text("")
    seen(page)


@pytest.mark.system
def test_a_phone_of_the_time_before_keys_gets_one(
    place: WalletOffice, phone: BrowserContext
) -> None:
    made = place.enrol()
    token = records.new_token()
    with store.writing(place.engine) as connection:
        assert records.activate(connection, ISSUER, made.secret, token) is None
    phone.add_init_script(f"localStorage.setItem('menshen-token', '{token}')")
    page = opened(phone, place.url)
    proof = seen(page)
    with place.engine.connect() as connection:
        row = connection.execute(sa.select(store.records.c.holder_key)).one()
    assert row.holder_key == proof.inner.cnf


@pytest.mark.system
def test_a_secret_that_is_refused_costs_no_key(place: WalletOffice, phone: BrowserContext) -> None:
    page = opened(phone, place.address())
    before = seen(page)
    page.evaluate("location.hash = '0000-0000-0000-0000'")
    expect(page.locator("#trouble")).to_contain_text("not known")
    expect(page.locator("#trouble")).to_have_text("", timeout=15_000)
    assert until(page, lambda found: found.iat_s > before.iat_s).inner.cnf == before.inner.cnf


@pytest.mark.system
def test_other_phones_and_wrong_secrets(
    browser: Browser, place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    address = place.address()
    opened(phone, address)
    other = browser.new_context(locale="en-GB", viewport=PHONE).new_page()  # type: ignore[arg-type]
    other.goto(address)
    expect(other.locator("#trouble")).to_contain_text("used already")
    other.locator("#secret").fill("ABCD")
    other.get_by_role("button", name="Unlock").click()
    expect(other.locator("#trouble")).to_contain_text("not known")
    other.screenshot(path=pictures(tmp_path) / "wallet-unlock.png")
    other.context.close()


@pytest.mark.system
def test_a_lost_answer_locks_no_phone_out(
    browser: Browser, place: WalletOffice, phone: BrowserContext, tmp_path: Path
) -> None:
    address = place.address()
    page = phone.new_page()
    asked: list[str] = []

    def lose(route: Route) -> None:
        asked.append(route.request.post_data or "")
        assert route.fetch().ok  # the issuer has unlocked it
        route.abort()

    page.route("**/v1/activate", lose)
    page.goto(address)
    expect(page.locator("#trouble")).to_contain_text("not known yet whether")
    expect(page).to_have_url(place.url)
    expect(page.locator("#card")).to_be_hidden()
    page.screenshot(path=pictures(tmp_path) / "wallet-lost-answer.png")

    # a proxy's page is no answer, and neither is a store that fails
    for body, status in (("<html>log in</html>", 200), ('{"error": "store"}', 503)):
        page.unroute("**/v1/activate")
        page.route("**/v1/activate", _answering(body, status))
        page.locator("#secret").fill(address.split("#")[1])
        page.get_by_role("button", name="Unlock").click()
        expect(page.locator("#trouble")).to_contain_text("answers with a fault")
        expect(page.locator("#trouble")).to_contain_text("store" if status == 503 else "200")
    page.close()

    # opened again without the secret: it asks with what it kept, and no other phone can
    page = phone.new_page()
    page.on("request", lambda request: asked.append(request.post_data or ""))
    page.goto(place.url)
    expect(page.locator("#colour")).to_contain_text("Green")
    activations = {said for said in asked if "secret" in said}
    assert len(activations) == 1, activations  # the same token and key each time
    assert json.loads(activations.pop()).keys() == {"secret", "token", "key"}
    page.goto(address)  # the link once more
    expect(page.locator("#colour")).to_contain_text("Green")
    expect(page.locator("#trouble")).to_have_text("")
    other = browser.new_context(locale="en-GB").new_page()
    other.goto(address)
    expect(other.locator("#trouble")).to_contain_text("used already")
    other.context.close()


def _answering(body: str, status: int) -> Callable[[Route], None]:
    return lambda route: route.fulfill(body=body, status=status)


_TAKEN = """async (version) => {
  const {installing, waiting, active} = await navigator.serviceWorker.getRegistration();
  const done = !installing && !waiting && active.state === "activated";
  return done && await caches.has(`menshen-${version}`);
}"""


_HIDE = """() => {
  Object.defineProperty(document, "hidden", {value: true});
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.system
def test_a_new_page_replaces_the_kept_one_whole(
    estate: Path, phone: BrowserContext, tmp_path: Path
) -> None:
    engine = store.open_store(f"sqlite:///{tmp_path}/menshen.db")
    signing = issuer.Issuer(*Estate(estate).issuer(ISSUER), engine)
    with store.writing(engine) as connection:
        secret = records.enrol(connection, ISSUER, Colour.GREEN).secret
    port = centre.free_port()

    def titled(page: Page, title: str) -> None:
        expect(page.locator("h1")).to_have_text(title)

    with served(issuer.web(signing, assets.routes()), port) as url:
        page = opened(phone, f"{url}#{secret}")
        kept_offline(page)
        titled(page, "My door code")
    for title in ("My second code", "My third code"):
        table = tmp_path / f"{title}.toml"
        table.write_text(words.TABLE.read_text("utf-8").replace("My door code", title), "utf-8")
        pages = assets.routes(texts=words.section("wallet", table))
        version = pages[-1].path.split("/")[2]  # type: ignore[attr-defined]
        with served(issuer.web(signing, pages), port):
            page.reload()  # shows the kept one; some seconds later the browser finds the newer
            end_s = time.monotonic() + 20
            while not page.evaluate(_TAKEN, version):
                assert time.monotonic() < end_s, "the browser took no newer page"
                page.wait_for_timeout(100)
            if title == "My second code":
                page.reload()
            else:  # a page that is open for weeks takes it when nobody looks
                page.evaluate(_HIDE)
            titled(page, title)
            assert page.evaluate("caches.keys()").count(f"menshen-{version}") == 1
            assert len(page.evaluate("caches.keys()")) == 2  # and the one before
    page.reload()  # nobody serves it any more
    titled(page, "My third code")
    seen(page)


def test_every_file_of_the_page_has_one_version(estate: Path, tmp_path: Path) -> None:
    folder = Path(assets.__file__).parent
    paths = {route.path for route in assets.routes(folder)}  # type: ignore[attr-defined]
    versions = {path.split("/")[2] for path in paths if path.startswith("/v/")}
    assert len(versions) == 1
    for name in ("worker.js", "index.html", "proof.js", "qrcode-generator/qrcode.mjs"):
        changed = Path(shutil.copytree(folder, tmp_path / name.replace("/", "-")))
        (changed / name).write_bytes((changed / name).read_bytes() + b"\n")
        after = {route.path for route in assets.routes(changed)}  # type: ignore[attr-defined]
        assert not {path for path in after & paths if path.startswith("/v/")}, name


def test_the_library_is_the_one_that_is_named() -> None:
    said = (VENDORED / "README.md").read_text()
    found = hashlib.sha256((VENDORED / "qrcode.mjs").read_bytes()).hexdigest()
    assert f"| `qrcode.mjs` | `{found}` |" in said
    assert "Kazuhiko Arase" in (VENDORED / "LICENSE").read_text()


def test_a_page_without_script_says_so_in_every_language() -> None:
    page = assets.routes()[0].endpoint.body.decode()  # type: ignore[attr-defined]
    assert "<noscript>This page needs JavaScript. 本页需要 JavaScript。</noscript>" in page
