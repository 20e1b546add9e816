"""Codes taken back: from the store to a signed list to a door that refuses them."""

import itertools
import re
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
import zxingcpp
from PIL import Image

from edge.clock import time_interval
from edge.clock.issuer_floors import IssuerFloors
from edge.judge import trust_documents, verdict
from edge.judge.verdict import Genuine, Reason, Refused, Unsure
from edge.wire import code, holder, keys, rules, status, trust
from edge.wire.code import Colour, StatusEntry
from server_stub import store
from server_stub.estate import Estate, EstateError
from server_stub.issuing import issuer, paper, records, revocation, status_lists
from server_stub.issuing.colour_changes import ColourCourse
from server_stub.issuing.revocation import COUNT, DAY_S, ListPosition
from tests import centre
from tests.centre import ISSUER, SITE, Program, running

NOW_S = int(time.time()) + 60  # the estate is made after this line is read
HOUR_S = 3600
GREEN, RED = (ColourCourse(Colour.GREEN),), (ColourCourse(Colour.RED),)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return centre.make_estate(tmp_path_factory.mktemp("estate"))


@pytest.fixture
def estate(made: Path) -> Iterator[Estate]:
    yield Estate(made)
    for path in Estate(made).status_folder(ISSUER).glob("*"):
        path.unlink()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/menshen.db"


@pytest.fixture
def engine(url: str) -> sa.Engine:
    return store.open_store(url)


def enrol(engine: sa.Engine, colour: Colour = Colour.GREEN, issuer: str = ISSUER) -> str:
    with store.writing(engine) as connection:
        return records.enrol(connection, issuer, colour, (SITE,)).record


def entry_for(
    engine: sa.Engine, record: str, life_s: int = HOUR_S, now_s: int = NOW_S
) -> StatusEntry:
    with store.writing(engine) as connection:
        return revocation.assign_status(connection, record, GREEN, life_s, now_s)


def sheet_for(
    engine: sa.Engine, record: str, life_s: int = HOUR_S, now_s: int = NOW_S
) -> ListPosition:
    with store.writing(engine) as connection:
        return revocation.draw_paper_entry(connection, record, life_s, now_s)


def known(engine: sa.Engine, record: str, life_s: int = HOUR_S, now_s: int = NOW_S) -> object:
    with engine.connect() as connection:
        return revocation.todays_status(connection, record, life_s, now_s)


def revoke(engine: sa.Engine, record: str, only: ListPosition | None = None) -> int:
    with store.writing(engine) as connection:
        if only:
            return revocation.revoke_sheet(connection, record, only)
        return revocation.revoke(connection, record)


def recolour(
    engine: sa.Engine, record: str, colour: Colour, turn: code.ColourChange | None = None
) -> None:
    with store.writing(engine) as connection:
        records.recolour(connection, record, colour, NOW_S, turn)


def set_entries(engine: sa.Engine, issuer: str = ISSUER) -> dict[int, list[int]]:
    with engine.connect() as connection:
        return revocation.set_entries(connection, issuer)


def listed(estate: Estate, number: str = "1") -> status.StatusList:
    data = (estate.status_folder(ISSUER) / f"{number}.cwt").read_bytes()
    return status.read(data, [estate.status_key(ISSUER).public], f"{ISSUER}/{number}")


# Entries


def test_a_phones_codes_of_a_day_share_an_entry_and_paper_has_its_own(engine: sa.Engine) -> None:
    record, other = enrol(engine), enrol(engine)
    start_s = NOW_S // DAY_S * DAY_S
    entry = entry_for(engine, record, now_s=start_s)
    assert known(engine, record, now_s=start_s + DAY_S - 1) == entry
    assert entry_for(engine, record, now_s=start_s + DAY_S - 1) == entry
    assert known(engine, record, now_s=start_s + DAY_S) is None
    assert known(engine, other) is None
    sheets = {sheet_for(engine, record).status(ISSUER) for _ in range(3)}
    tomorrow = entry_for(engine, record, now_s=start_s + DAY_S)
    assert len({entry, tomorrow, entry_for(engine, other), *sheets}) == 6


def test_an_entry_says_nothing_of_order(engine: sa.Engine) -> None:
    record = enrol(engine)
    bits = [sheet_for(engine, record).bit for _ in range(60)]
    assert len(set(bits)) == 60
    assert all(0 <= bit < COUNT for bit in bits)
    rising = sum(a < b for a, b in itertools.pairwise(bits))
    assert 12 < rising < 48  # 30 expected; outside is beyond any luck
    assert max(bits) - min(bits) > COUNT // 2


def test_where_a_list_is_full_the_next_one_is_used(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = enrol(engine)
    monkeypatch.setattr(revocation, "COUNT", 2)  # a list so small that it is full at once
    given = [sheet_for(engine, record) for _ in range(12)]
    assert len(set(given)) == 12
    assert {entry.number for entry in given} >= {1, 2, 3, 4, 5, 6}
    revoke(engine, record)
    found = set_entries(engine)
    assert {(n, bit) for n, bits in found.items() for bit in bits} == {
        (entry.number, entry.bit) for entry in given
    }


def test_a_code_of_an_old_colour_is_born_taken_back(engine: sa.Engine) -> None:
    """Whoever read green before the change may still sign it; no door believes it for long."""
    record = enrol(engine)
    before = entry_for(engine, record)
    recolour(engine, record, Colour.RED)
    assert known(engine, record) is None
    after = entry_for(engine, record)  # it asks for a green code
    assert after != before
    assert set(set_entries(engine)[1]) == {before.bit, after.bit}
    with store.writing(engine) as connection:
        red = revocation.assign_status(connection, record, RED, HOUR_S, NOW_S)
        assert revocation.todays_status(connection, record, HOUR_S, NOW_S) == red
    assert red.bit not in set_entries(engine)[1]
    again = entry_for(engine, record)
    assert again != red
    assert again.bit in set_entries(engine)[1]


def test_nobody_gets_no_entry(engine: sa.Engine) -> None:
    with pytest.raises(revocation.RevocationError, match="no record 'nobody'"):
        entry_for(engine, "nobody")
    with pytest.raises(revocation.RevocationError, match="no record 'nobody'"):
        sheet_for(engine, "nobody")


@dataclass
class RevokedPhone:
    """For whom the issuer signs."""

    record: str
    courses: tuple[ColourCourse, ...] = GREEN


def test_an_issuer_asks_for_each_code_and_survives_a_failure(engine: sa.Engine) -> None:
    status_of = revocation.Statuses(engine)
    phone, exp_s = RevokedPhone(enrol(engine)), int(time.time()) + 12 * HOUR_S
    entry = status_of(phone, exp_s)
    assert status_of(phone, exp_s + 1) == entry or int(time.time()) % DAY_S < 10  # midnight
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE status_bits RENAME TO gone"))
    with pytest.raises(sa.exc.SQLAlchemyError):
        status_of(phone, exp_s)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE gone RENAME TO status_bits"))
    assert status_of(phone, exp_s) == entry or int(time.time()) % DAY_S < 10
    recolour(engine, phone.record, Colour.RED)
    assert status_of(phone, exp_s) != entry
    with store.writing(engine) as connection:
        connection.execute(sa.delete(store.records))
    with pytest.raises(revocation.RevocationError):
        status_of(RevokedPhone("nobody"), exp_s)


def test_a_longer_life_gets_an_entry_that_rests_longer(engine: sa.Engine) -> None:
    record = enrol(engine)
    short, long = entry_for(engine, record), entry_for(engine, record, life_s=30 * DAY_S)
    assert short != long
    assert entry_for(engine, record, life_s=30 * DAY_S) == long
    assert revoke(engine, record) == 2


# Taking back


def test_a_change_of_colour_takes_back_all_and_is_never_undone(engine: sa.Engine) -> None:
    record, other = enrol(engine), enrol(engine)
    entries = {entry_for(engine, record), sheet_for(engine, record)}
    entry_for(engine, other)
    recolour(engine, record, Colour.GREEN)
    assert set_entries(engine) == {1: []}  # it was green before
    recolour(engine, record, Colour.RED)
    recolour(engine, record, Colour.GREEN)
    assert set(set_entries(engine)[1]) == {entry.bit for entry in entries}
    assert entry_for(engine, record) not in entries


def test_a_turn_takes_back_what_says_otherwise_and_is_itself_no_change(engine: sa.Engine) -> None:
    record, turn = enrol(engine), code.ColourChange(Colour.GREEN, NOW_S + 60)
    before = entry_for(engine, record)
    recolour(engine, record, Colour.YELLOW, turn)
    assert set_entries(engine)[1] == [before.bit]
    with store.writing(engine) as connection:
        said = (ColourCourse(Colour.YELLOW, turn),)
        entry = revocation.assign_status(connection, record, said, HOUR_S, NOW_S)
        assert entry.bit not in revocation.set_entries(connection, ISSUER)[1]
    recolour(engine, record, Colour.YELLOW, turn)  # said twice
    with store.writing(engine) as connection:  # and said again when it has turned
        records.recolour(connection, record, Colour.GREEN, turn.at_s)
    assert set_entries(engine)[1] == [before.bit]
    recolour(engine, record, Colour.YELLOW, turn._replace(at_s=NOW_S + 90))
    assert set(set_entries(engine)[1]) == {before.bit, entry.bit}


def test_one_lost_sheet_is_taken_back_alone(engine: sa.Engine) -> None:
    record = enrol(engine)
    phone, lost, kept = entry_for(engine, record), sheet_for(engine, record), None
    kept = sheet_for(engine, record)
    assert revoke(engine, record, lost) == 1
    assert revoke(engine, record, lost) == 0
    assert set_entries(engine) == {1: [lost.bit]}
    assert revoke(engine, record) == 2
    assert set(set_entries(engine)[1]) == {phone.bit, lost.bit, kept.bit}


def test_a_lost_phone_leaves_the_sheets(engine: sa.Engine) -> None:
    record = enrol(engine)
    phone, sheet = entry_for(engine, record), sheet_for(engine, record)
    with store.writing(engine) as connection:
        assert revocation.revoke_phone(connection, record) == 1
    assert set_entries(engine) == {1: [phone.bit]}
    assert entry_for(engine, record) not in (phone, sheet.status(ISSUER))
    with pytest.raises(revocation.RevocationError), store.writing(engine) as connection:
        revocation.revoke_phone(connection, "nobody")


def test_what_is_not_there_is_told(engine: sa.Engine) -> None:
    record, other = enrol(engine), enrol(engine)
    mine = sheet_for(engine, record)
    assert revoke(engine, other) == 0
    with pytest.raises(revocation.RevocationError, match="no record 'nobody'"):
        revoke(engine, "nobody")
    with pytest.raises(revocation.RevocationError, match=f"number {mine}"):
        revoke(engine, other, mine)
    assert set_entries(engine) == {1: []}


@pytest.mark.parametrize("number", ["", "7", "1/", "/7", "0/7", "1/-7", "1/7/7", "1/٧", "a/b"])
def test_a_number_that_is_none_is_told(number: str) -> None:
    with pytest.raises(revocation.RevocationError, match="is not the number of a sheet"):
        revocation.parse_entry(number)
    assert revocation.parse_entry(" 1/123456\n") == ListPosition(1, 123456)
    assert ListPosition(1, 123456).status(ISSUER) == StatusEntry(123456, f"{ISSUER}/1")


def test_the_entries_of_one_issuer_are_not_the_others(engine: sa.Engine) -> None:
    mine, theirs = enrol(engine), enrol(engine, issuer="company")
    entry_for(engine, mine)
    bit = entry_for(engine, theirs).bit
    revoke(engine, theirs)
    assert set_entries(engine) == {1: []}
    assert set_entries(engine, "company") == {1: [bit]}


def test_an_entry_is_free_again_when_its_codes_have_long_expired(engine: sa.Engine) -> None:
    record = enrol(engine)
    start_s = NOW_S // DAY_S * DAY_S
    sheet_for(engine, record, life_s=DAY_S, now_s=start_s + DAY_S - 1)
    revoke(engine, record)
    exp_s = start_s + 2 * DAY_S - 1
    with store.writing(engine) as connection:
        assert revocation.free(connection, exp_s + 2 * DAY_S) == 0
        assert revocation.free(connection, exp_s + 2 * DAY_S + 1) == 1
        assert revocation.set_entries(connection, ISSUER) == {1: []}


def test_set_entries_are_found_by_their_index(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        asked = sa.text(
            "EXPLAIN QUERY PLAN SELECT list, bit FROM status_bits "
            "WHERE status_bits.issuer = 'city' AND revoked"
        )
        plan = " ".join(row.detail for row in connection.execute(asked))
    assert "INDEX ix_status_bits_revoked" in plan


def test_no_time_but_days_is_stored(engine: sa.Engine, tmp_path: Path) -> None:
    record = enrol(engine)
    entry_for(engine, record, life_s=HOUR_S, now_s=NOW_S)
    sheet_for(engine, record)
    with sqlite3.connect(tmp_path / "menshen.db") as connection:
        rows = connection.execute("SELECT * FROM status_bits").fetchall()
        names = [column[1] for column in connection.execute("PRAGMA table_info(status_bits)")]
    assert names == ["issuer", "list", "bit", "record", "day", "until_day", "revoked", "party"]
    today = NOW_S // DAY_S
    for row in rows:
        said = dict(zip(names, row, strict=True))
        assert said["day"] in (None, today)
        assert said["until_day"] == today + 2 + revocation.MARGIN_DAYS


# Lists


def test_a_list_is_written_for_nobody_too(estate: Estate, engine: sa.Engine) -> None:
    (one,) = status_lists.publish(estate, ISSUER, engine, NOW_S)
    assert (one.set_count, one.renewed, one.path.name) == (0, True, "1.cwt")
    assert one.path.stat().st_size == one.size < 400
    found = listed(estate)
    assert (found.iat_s, found.exp_s) == (NOW_S, None)
    assert found.revoked(0) is found.revoked(COUNT - 1) is False
    assert found.revoked(COUNT) is None


def test_a_list_is_renewed_when_it_changes_and_when_it_gets_old(
    estate: Estate, engine: sa.Engine
) -> None:
    def publish(now_s: int) -> bool:
        (one,) = status_lists.publish(estate, ISSUER, engine, now_s)
        return one.renewed

    record = enrol(engine)
    entry = entry_for(engine, record)
    assert publish(NOW_S) is True
    assert publish(NOW_S + 60) is False
    assert listed(estate).iat_s == NOW_S
    revoke(engine, record)
    assert publish(NOW_S + 120) is True
    assert listed(estate).revoked(entry.bit) is True
    assert publish(NOW_S + 120 + status_lists.FRESH_S - 1) is False
    assert publish(NOW_S + 120 + status_lists.FRESH_S) is True
    assert publish(NOW_S) is True  # a clock that was ahead has been put right
    (estate.status_folder(ISSUER) / "1.cwt").write_bytes(b"torn")
    assert publish(NOW_S) is True
    assert listed(estate).revoked(entry.bit) is True
    assert [p.name for p in estate.status_folder(ISSUER).iterdir()] == ["1.cwt"]


def test_what_has_long_expired_leaves_the_list(estate: Estate, engine: sa.Engine) -> None:
    record = enrol(engine)
    entry = entry_for(engine, record)
    revoke(engine, record)
    for days, still in ((0, True), (revocation.MARGIN_DAYS + 1, True), (10, False)):
        status_lists.publish(estate, ISSUER, engine, NOW_S + days * DAY_S)
        assert listed(estate).revoked(entry.bit) is still


def test_the_codes_key_cannot_sign_a_list(estate: Estate, engine: sa.Engine) -> None:
    (one,) = status_lists.publish(estate, ISSUER, engine, NOW_S)
    _, codes_key = estate.issuer(ISSUER)
    with pytest.raises(trust.TrustError, match="not signed by a key"):
        status.read(one.path.read_bytes(), [codes_key.public], f"{ISSUER}/1")


def test_without_its_key_no_list_is_written(engine: sa.Engine, tmp_path: Path) -> None:
    with pytest.raises(EstateError, match=r"status\.key is missing; make it with menshen-prov"):
        status_lists.publish(Estate(tmp_path), ISSUER, engine, NOW_S)


def test_a_failing_store_keeps_the_list_as_it_is(estate: Estate, engine: sa.Engine) -> None:
    status_lists.publish(estate, ISSUER, engine, NOW_S)
    before = (estate.status_folder(ISSUER) / "1.cwt").read_bytes()
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE status_bits RENAME TO gone"))
    with pytest.raises(status_lists.ListsError, match="no status list was renewed"):
        status_lists.publish(estate, ISSUER, engine, NOW_S + DAY_S)
    assert (estate.status_folder(ISSUER) / "1.cwt").read_bytes() == before


def test_the_issuers_program_renews_and_survives_a_failure(
    estate: Estate, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(status_lists, "RENEW_S", 0.02)
    entry = entry_for(engine, record := enrol(engine))
    renewal = status_lists.Renewal(estate, ISSUER, engine)
    renewal.start()
    assert listed(estate).revoked(entry.bit) is False
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE status_bits RENAME TO gone"))
    until(lambda: "no status list was renewed" in caplog.text)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE gone RENAME TO status_bits"))
    revoke(engine, record)
    until(lambda: listed(estate).revoked(entry.bit) is True)
    renewal.stop()


def until(true: Callable[[], bool], seconds: float = 10) -> None:
    end_s = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.01)


# Paper


def judged(estate: Estate, text: str, now_s: int, lists_known: bool = True) -> object:
    """What a door says that was brought the issuer's folder as it is (or without its lists)."""
    (issuers,) = (estate.root / "repository" / "targets").glob("*.issuers.json")
    here = rules.SiteRules(
        site=SITE, version=1, signed_s=NOW_S, ages=rules.DocumentAges(status_h=2)
    )
    documents = {"issuers.json": issuers.read_bytes(), f"site/{SITE}.json": rules.encode(here)}
    brought = sorted(estate.status_folder(ISSUER).glob("*.cwt")) if lists_known else []
    of_lists = {f"status/{ISSUER}/{path.name}": path.read_bytes() for path in brought}
    bundle = trust_documents.Bundle(
        documents | of_lists,
        dict.fromkeys(of_lists, (estate.status_key(ISSUER).public,)),
        version=1,
        signed_s=NOW_S,
        until_s=time_interval.NEVER_S,
        accepted_s=0.0,
    )
    place = verdict.Place(frozenset({SITE}), SITE, "north-1")
    believed = trust_documents.read(bundle, SITE, place.groups)
    now = time_interval.Now(time_interval.interval(now_s), 0)
    return verdict.verify(text.encode(), believed, place, now, IssuerFloors())


def sheet(
    estate: Estate, url: str, record: str, path: Path, life_s: int = DAY_S
) -> paper.PaperSheet:
    said, key = estate.issuer(ISSUER)
    return paper.make(said, key, url, record, life_s, NOW_S, path)


def test_a_sheet_passes_until_it_is_taken_back(
    estate: Estate, engine: sa.Engine, url: str, tmp_path: Path
) -> None:
    record = enrol(engine)
    lost = sheet(estate, url, record, tmp_path / "lost.svg")
    kept = sheet(estate, url, record, tmp_path / "kept.svg")
    unlisted = judged(estate, lost.text, NOW_S, lists_known=False)
    assert isinstance(unlisted, Unsure)
    assert unlisted.reason is Reason.STATUS_UNKNOWN
    status_lists.publish(estate, ISSUER, engine, NOW_S)
    for one in (lost, kept):
        assert isinstance(judged(estate, one.text, NOW_S + 60), Genuine)
    old = judged(estate, lost.text, NOW_S + 3 * HOUR_S)
    assert isinstance(old, Unsure)
    assert old.reason is Reason.STATUS_OLD

    revoke(engine, record, lost.entry)
    assert isinstance(judged(estate, lost.text, NOW_S + 60), Genuine)  # the list must come first
    status_lists.publish(estate, ISSUER, engine, NOW_S + 60)
    for now_s in (NOW_S + 60, NOW_S + 3 * HOUR_S):  # also in a list that is old
        said = judged(estate, lost.text, now_s)
        assert isinstance(said, Refused)
        assert said.reason is Reason.REVOKED
    assert isinstance(judged(estate, kept.text, NOW_S + 60), Genuine)
    recolour(engine, record, Colour.RED)
    status_lists.publish(estate, ISSUER, engine, NOW_S + 120)
    gone = judged(estate, kept.text, NOW_S + 120)
    assert isinstance(gone, Refused)
    assert gone.reason is Reason.REVOKED


def test_a_sheet_says_what_its_record_says(
    estate: Estate, engine: sa.Engine, url: str, tmp_path: Path
) -> None:
    record = enrol(engine)
    made = sheet(estate, url, record, tmp_path / "sheet.svg")
    signed = code.decode(made.text.encode())
    assert isinstance(signed, code.SignedCode)
    assert (signed.code.colour, signed.code.aud) == (Colour.GREEN, (SITE,))
    assert (signed.code.iat_s, signed.code.exp_s) == (NOW_S, NOW_S + DAY_S)
    assert signed.code.status == made.entry.status(ISSUER)
    again = code.decode(sheet(estate, url, record, tmp_path / "2.svg").text.encode())
    assert isinstance(again, code.SignedCode)
    assert again.code.sub == signed.code.sub  # one holder, one day
    path = tmp_path / "sheet.svg"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_symbol(path.read_text()) == made.text
    assert f"city · {made.entry}" in path.read_text()
    assert record not in path.read_text()


def test_a_sheet_holds_every_language_and_no_markup_of_others() -> None:
    made = paper.PaperSheet('<b>&"', "DC1:ABC", NOW_S, revocation.ListPosition(1, 2))
    picture = paper.svg(made)
    assert "&lt;b&gt;&amp;&#34; · 1/2" in picture
    assert "<b>" not in picture
    assert "Whoever holds this sheet" in picture
    assert "持此纸者即可使用" in picture
    assert read_symbol(picture) == made.text


def read_symbol(picture: str) -> str:
    """What a decoder sees in the sheet: segno's strokes drawn, four pixels a module."""
    size = int(re.search(r'viewBox="0 0 (\d+) \1" class="segno"', picture).group(1))  # type: ignore[union-attr]
    path = re.search(r' d="(M4[^"]+)"', picture).group(1)  # type: ignore[union-attr]
    image, x, y = Image.new("L", (size, size), 255), 0.0, 0.0
    for kind, numbers in re.findall(r"([Mmh])([^Mmh]+)", path):
        values = [float(n) for n in re.findall(r"-?[\d.]+", numbers)]
        if kind == "h":
            for i in range(int(values[0])):
                image.putpixel((int(x) + i, int(y)), 0)
            x += values[0]
        else:
            x, y = (values[0], values[1]) if kind == "M" else (x + values[0], y + values[1])
    (symbol,) = zxingcpp.read_barcodes(image.resize((size * 4, size * 4)))
    return str(symbol.text)


def test_a_sheet_says_when_it_turns(
    estate: Estate, engine: sa.Engine, url: str, tmp_path: Path
) -> None:
    record, turn = enrol(engine), code.ColourChange(Colour.RED, NOW_S + HOUR_S)
    recolour(engine, record, Colour.GREEN, turn)
    signed = code.decode(sheet(estate, url, record, tmp_path / "sheet.svg").text.encode())
    assert isinstance(signed, code.SignedCode)
    assert (signed.code.colour, signed.code.turns) == (Colour.GREEN, turn)
    recolour(engine, record, Colour.YELLOW, code.ColourChange(Colour.GREEN, NOW_S + HOUR_S))
    with pytest.raises(paper.PaperError, match="is yellow"):
        sheet(estate, url, record, tmp_path / "2.svg")


REFUSED = (paper.PaperError, records.RecordError, revocation.RevocationError)


@pytest.mark.parametrize("why", ["yellow", "longer", "there", "nowhere", "nobody", "another's"])
def test_where_no_sheet_is_made_no_entry_is_taken(
    estate: Estate, engine: sa.Engine, url: str, tmp_path: Path, why: str
) -> None:
    colour = Colour.YELLOW if why == "yellow" else Colour.GREEN
    record = enrol(engine, colour, "company" if why == "another's" else ISSUER)
    path = tmp_path / ("missing/sheet.svg" if why == "nowhere" else "sheet.svg")
    if why == "there":
        path.write_text("a sheet")
    told = {
        "yellow": "is yellow",
        "longer": "choose fewer hours",
        "there": "was kept",
        "nowhere": "cannot write",
        "nobody": "no record",
        "another's": "no record",
    }[why]
    with pytest.raises(REFUSED, match=told):
        sheet(estate, url, "nobody" if why == "nobody" else record, path,
              10**8 if why == "longer" else DAY_S)  # fmt: skip
    with engine.connect() as connection:
        assert connection.execute(sa.select(store.status_bits)).all() == []
    assert not path.exists() or path.read_text() == "a sheet"


@pytest.mark.parametrize("how", ["another colour", "a lost phone"])
def test_a_phones_code_of_hours_is_taken_back(estate: Estate, engine: sa.Engine, how: str) -> None:
    said, key = estate.issuer(ISSUER)
    signing = issuer.Issuer(said, key, engine, status=revocation.Statuses(engine))
    with store.writing(engine) as connection:
        made = records.enrol(connection, ISSUER, Colour.GREEN, (SITE,))
    phone, token = keys.private_key(), records.new_token()
    assert signing.activate(made.secret, token, phone.public) is None
    now_s = int(time.time())

    def shown() -> object:
        return judged(estate, holder.encode(answer.text, now_s, None, phone), now_s)

    answer = signing.code(token, now_s, phone.public)
    assert isinstance(answer, issuer.IssuedCode)
    assert answer.exp_s - answer.iat_s == issuer.HOLDER_LIFE_S
    status_lists.publish(estate, ISSUER, engine, now_s)
    assert isinstance(shown(), Genuine)
    with store.writing(engine) as connection:
        if how == "another colour":
            records.recolour(connection, made.record, Colour.YELLOW, now_s)
        else:
            records.replace(connection, made.record)
    status_lists.publish(estate, ISSUER, engine, now_s)
    refused = shown()
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.REVOKED


# The commands


@pytest.mark.system
def test_the_commands_from_a_sheet_to_its_refusal(
    estate: Estate, engine: sa.Engine, url: str, tmp_path: Path
) -> None:
    record, place = enrol(engine), ["--store", url]
    out = tmp_path / "sheet.svg"
    making = Program("paper", estate.root, ISSUER, record, *place, "--hours", 2, "--out", out)
    number = making.wait_for("number").split()[-1]
    assert making.process.wait(20) == 0
    text = read_symbol(out.read_text())
    with running("issuer", estate.root, ISSUER, *place, "--port", 0):
        assert isinstance(judged(estate, text, int(time.time())), Genuine)
    revoking = Program("revoke", record, *place, "--number", number)
    assert "revoked: 1" in revoking.wait_for("revoked")
    listing = Program("status-list", estate.root, ISSUER, *place)
    assert "1 set" in listing.wait_for("renewed")
    assert listing.process.wait(20) == 0
    said = judged(estate, text, int(time.time()))
    assert isinstance(said, Refused)
    assert said.reason is Reason.REVOKED


@pytest.mark.system
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["paper", "ESTATE", ISSUER, "nobody", "--out", "OUT"], "no record 'nobody'"),
        (["paper", "ESTATE", ISSUER, "x", "--out", "OUT", "--hours", "999"], "choose fewer hours"),
        (["paper", "ESTATE", "nobody", "x", "--out", "OUT"], "issuer.toml is missing"),
        (["revoke", "nobody"], "no record 'nobody'"),
        (["revoke", "x", "--number", "seven"], "is not the number of a sheet"),
        (["status-list", "ESTATE", "nobody"], "status.key is missing"),
    ],
)
def test_bad_input_gets_one_sentence(
    made: Path, url: str, tmp_path: Path, arguments: list[str], word: str
) -> None:
    values = {"ESTATE": str(made), "OUT": str(tmp_path / "x.svg")}
    program = Program(*[values.get(a, a) for a in arguments], "--store", url)
    assert program.process.wait(20) == 2
    program.kill()
    assert len(program.said) == 1, program.said
    assert word in program.said[0]


def test_a_folder_that_cannot_be_used_is_told(made: Path, engine: sa.Engine) -> None:
    folder = Estate(made).status_folder("blocked")
    folder.parent.mkdir()
    (folder.parent / "status.key").write_bytes(
        (made / "issuers" / ISSUER / "status.key").read_bytes()
    )
    folder.write_text("a file where the folder should be")
    with pytest.raises(status_lists.ListsError, match="let this user write there"):
        status_lists.publish(Estate(made), "blocked", engine, NOW_S)
