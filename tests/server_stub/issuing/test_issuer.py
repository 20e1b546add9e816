"""The issuer: a secret works once, a token gets codes that a door accepts, nothing leaks."""

import base64
import io
import json
import re
import socket
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from httpx import Response
from starlette.testclient import TestClient

from edge.clock import time_interval
from edge.clock.issuer_floors import IssuerFloors
from edge.judge import verdict
from edge.wire import code, keys
from edge.wire.code import Code, Colour
from server_stub import store
from server_stub.estate import Estate
from server_stub.issuing import issuer, records, revocation
from server_stub.wallet import assets
from tests import centre
from tests.centre import ISSUER, SITE, Program, running

DAY_S = 86400
PLACE = verdict.Place(frozenset({SITE, f"{SITE}/north-1"}))


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return centre.make_estate(tmp_path_factory.mktemp("estate"))


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return store.open_store(f"sqlite:///{tmp_path}/menshen.db")


@pytest.fixture
def signing(estate: Path, engine: sa.Engine) -> issuer.Issuer:
    return issuer.Issuer(*Estate(estate).issuer(ISSUER), engine)


@pytest.fixture
def web(signing: issuer.Issuer) -> Iterator[TestClient]:
    with TestClient(issuer.web(signing)) as client:
        yield client


def enrol(engine: sa.Engine, colour: Colour = Colour.GREEN, **more: object) -> records.Enrolment:
    with store.writing(engine) as connection:
        return records.enrol(connection, ISSUER, colour, **more)  # type: ignore[arg-type]


def token_of(web: TestClient, made: records.Enrolment) -> str:
    answer = web.post("/v1/activate", json={"secret": made.secret})
    assert answer.status_code == 200
    return str(answer.json()["token"])


def code_of(web: TestClient, token: str) -> dict[str, object]:
    answer = web.post("/v1/code", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def judged(estate: Path, text: str) -> object:
    believed = centre.believed(estate)
    return verdict.verify(
        text.encode(),
        verdict.TrustState(believed, until_s=time_interval.NEVER_S, signed_s=int(time.time())),
        PLACE,
        time_interval.Now(time_interval.interval(time.time()), 0),
        IssuerFloors(),
    )


def test_a_door_of_the_site_believes_the_code(
    estate: Path, engine: sa.Engine, web: TestClient
) -> None:
    said = code_of(web, token_of(web, enrol(engine, aud=(SITE,), scope="staff:acme slow")))
    answer = judged(estate, str(said["text"]))
    assert isinstance(answer, verdict.Genuine)
    assert (answer.colour, answer.code.aud) == (Colour.GREEN, (SITE,))
    assert answer.code.scope == "staff:acme slow"
    assert answer.code.exp_s - answer.code.iat_s == issuer.LIFE_S
    assert said["exp_s"] == answer.code.exp_s
    assert abs(answer.code.iat_s - time.time()) < 5


def test_a_secret_works_once(engine: sa.Engine, web: TestClient) -> None:
    made = enrol(engine)
    sloppy = made.secret.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert web.post("/v1/activate", json={"secret": sloppy}).status_code == 200
    again = web.post("/v1/activate", json={"secret": made.secret})
    assert (again.status_code, again.json()["error"]) == (409, "used")


TOKENS = [base64.urlsafe_b64encode(bytes([n]) * 32).decode().rstrip("=") for n in range(3)]


def test_a_lost_answer_is_asked_for_again(engine: sa.Engine, web: TestClient) -> None:
    made = enrol(engine)
    wanted = {"secret": made.secret, "token": TOKENS[0]}
    for _ in range(3):
        answer = web.post("/v1/activate", json=wanted)
        assert (answer.status_code, answer.json()) == (200, {"token": TOKENS[0]})
        assert code_of(web, TOKENS[0])["colour"] == "green"
    for other in ({**wanted, "token": TOKENS[1]}, {"secret": made.secret}):
        refused = web.post("/v1/activate", json=other)
        assert (refused.status_code, refused.json()["error"]) == (409, "used")
    assert web.post("/v1/code", headers={"authorization": f"Bearer {TOKENS[1]}"}).status_code == 401


def test_one_token_speaks_for_one_record(engine: sa.Engine, web: TestClient) -> None:
    first, second = enrol(engine), enrol(engine, Colour.RED)
    assert web.post("/v1/activate", json={"secret": first.secret, "token": TOKENS[0]}).is_success
    again = web.post("/v1/activate", json={"secret": second.secret, "token": TOKENS[0]})
    assert (again.status_code, again.json()["error"]) == (409, "used")
    assert code_of(web, TOKENS[0])["colour"] == "green"
    assert web.post("/v1/activate", json={"secret": second.secret, "token": TOKENS[1]}).is_success


@pytest.mark.system
def test_who_hangs_up_before_the_answer_is_not_locked_out(estate: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/menshen.db"
    made = enrol(store.open_store(url))
    wanted = {"secret": made.secret, "token": TOKENS[0]}
    body = json.dumps(wanted).encode()
    with running("issuer", estate, ISSUER, "--store", url, "--port", 0) as program:
        at = program.said[-1].split(" at ")[1]
        address = urllib.parse.urlsplit(at)
        with socket.create_connection((address.hostname, address.port)) as phone:
            phone.sendall(
                b"POST /v1/activate HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            assert phone.recv(1)  # done, and the rest is lost
        assert ask(f"{at}v1/activate", wanted)["token"] == TOKENS[0]
        assert ask(f"{at}v1/code", token=TOKENS[0])["colour"] == "green"


def test_the_day_handle_stays_the_day_and_changes_after(
    engine: sa.Engine, signing: issuer.Issuer, web: TestClient
) -> None:
    token = token_of(web, enrol(engine))
    start_s = int(time.time()) // DAY_S * DAY_S + DAY_S

    def handle(now_s: int) -> str:
        answer = signing.code(token, now_s)
        assert isinstance(answer, issuer.IssuedCode)
        signed = code.decode(answer.text.encode())
        assert isinstance(signed, code.SignedCode)
        return signed.code.sub

    first = {handle(start_s + offset) for offset in (0, 600, 43200, DAY_S - 1)}
    second = {handle(start_s + DAY_S + offset) for offset in (0, 600)}
    assert (len(first), len(second)) == (1, 1)
    assert first != second


def test_two_records_share_nothing(engine: sa.Engine, web: TestClient) -> None:
    texts = [str(code_of(web, token_of(web, enrol(engine)))["text"]) for _ in range(2)]
    subs = [code.decode(text.encode()).code.sub for text in texts]  # type: ignore[union-attr]
    assert subs[0] != subs[1]


@pytest.mark.parametrize("colour", list(Colour))
def test_a_change_of_colour_is_in_the_next_code(
    engine: sa.Engine, web: TestClient, colour: Colour
) -> None:
    made = enrol(engine, Colour.YELLOW)
    token = token_of(web, made)
    with store.writing(engine) as connection:
        records.recolour(connection, made.record, colour, int(time.time()))
    assert code_of(web, token)["colour"] == colour.name.lower()


@pytest.mark.parametrize(
    ("path", "headers", "body", "status", "error"),
    [
        ("/v1/code", {}, b"", 401, "token"),
        ("/v1/code", {"authorization": "Bearer x"}, b"", 401, "token"),
        ("/v1/code", {"authorization": b"Bearer \xff\xfe"}, b"", 401, "token"),
        ("/v1/code", {"authorization": "Basic eDp5"}, b"", 401, "token"),
        ("/v1/activate", {}, b"", 400, "body"),
        ("/v1/activate", {}, b"\xff{", 400, "body"),
        ("/v1/activate", {}, b'{"secret": 7}', 400, "body"),
        ("/v1/activate", {}, b'{"secret": "' + b"A" * 100_000 + b'"}', 400, "body"),
        ("/v1/activate", {}, b'{"secret": "0000-0000-0000-0000", "token": ""}', 400, "body"),
        (
            "/v1/activate",
            {},
            b'{"secret": "0000-0000-0000-0000", "token": "' + b"A" * 42 + b'"}',
            400,
            "body",
        ),
        (
            "/v1/activate",
            {},
            b'{"secret": "0000-0000-0000-0000", "token": "' + b"A" * 43 + b'\\n"}',
            400,
            "body",
        ),
        ("/v1/activate", {}, b'{"secret": "\xff"}', 400, "body"),
        ("/v1/activate", {}, b'{"x":' + b"[" * 1018, 400, "body"),
        ("/v1/activate", {}, b'{"secret": "", "x": "\xff"}', 400, "body"),
        ("/v1/code", {"authorization": "Bearer x"}, b'{"x":' + b"[" * 1018, 400, "body"),
        ("/v1/code", {"authorization": "Bearer x"}, b'{"key":' + b'{"a":' * 203, 400, "body"),
        ("/v1/code", {"authorization": "Bearer x"}, b"[" * 1024, 400, "body"),
        ("/v1/code", {"authorization": "Bearer x"}, b'{"party": NaN}', 400, "body"),
        ("/v1/activate", {}, b'{"secret": ""}', 404, "unknown"),
        ("/v1/activate", {}, b'{"secret": "0000-0000-0000-0000"}', 404, "unknown"),
        ("/v1/activate", {}, '{"secret": "ſſſſ-密码"}'.encode(), 404, "unknown"),
    ],
)
def test_what_is_refused_is_said(
    web: TestClient, path: str, headers: dict[str, str], body: bytes, status: int, error: str
) -> None:
    answer = web.post(path, headers=headers, content=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["say"].endswith(".")


def test_another_issuers_secret_unlocks_nothing_here(engine: sa.Engine, web: TestClient) -> None:
    with store.writing(engine) as connection:
        made = records.enrol(connection, "company", Colour.GREEN)
    assert web.post("/v1/activate", json={"secret": made.secret}).status_code == 404


def test_outside_its_keys_window_nothing_is_signed(
    estate: Path, engine: sa.Engine, signing: issuer.Issuer, web: TestClient
) -> None:
    said, _ = Estate(estate).issuer(ISSUER)
    token = token_of(web, enrol(engine))
    for now_s in (said.from_s - 1, said.until_s):
        answer = signing.code(token, now_s)
        assert isinstance(answer, issuer.Problem)
        assert answer.error == "window"
    assert isinstance(signing.code(token, said.until_s - 1), issuer.IssuedCode)


@pytest.mark.parametrize("life_s", [0, -1, 10**9])
@pytest.mark.parametrize("option", ["life_s", "holder_life_s"])
def test_a_life_that_doors_refuse_is_not_begun(
    estate: Path, engine: sa.Engine, option: str, life_s: int
) -> None:
    with pytest.raises(issuer.IssuerError, match="--" + option.replace("_", "-")):
        issuer.Issuer(*Estate(estate).issuer(ISSUER), engine, **{option: life_s})


# Turning codes: a colour that becomes another by itself.


def turned(engine: sa.Engine, record: str, turn: code.ColourChange | None) -> None:
    with store.writing(engine) as connection:
        records.recolour(connection, record, Colour.YELLOW, int(time.time()), turn)


def test_a_code_turns_by_itself_if_it_lives_to_see_it(
    estate: Path, engine: sa.Engine, signing: issuer.Issuer, web: TestClient
) -> None:
    made = enrol(engine)
    token, now_s = token_of(web, made), int(time.time())
    turn = code.ColourChange(Colour.GREEN, now_s + 2 * issuer.LIFE_S)
    turned(engine, made.record, turn)

    def at(now_s: int) -> tuple[issuer.IssuedCode, Code]:
        answer = signing.code(token, now_s)
        assert isinstance(answer, issuer.IssuedCode)
        signed = code.decode(answer.text.encode())
        assert isinstance(signed, code.SignedCode)
        return answer, signed.code

    for at_s, colour, turns in (
        (now_s, Colour.YELLOW, None),
        (turn.at_s - issuer.LIFE_S, Colour.YELLOW, None),  # its end is the moment: not written
        (turn.at_s - issuer.LIFE_S + 1, Colour.YELLOW, turn),
        (turn.at_s - 1, Colour.YELLOW, turn),
        (turn.at_s, Colour.GREEN, None),
        (turn.at_s + DAY_S, Colour.GREEN, None),
    ):
        answer, said = at(at_s)
        assert (said.colour, said.turns) == (colour, turns)
        assert answer.colour == colour.name.lower()
        if colour is Colour.YELLOW:  # the person is told from when, however far
            assert answer.turns == issuer.ColourTurn("green", turn.at_s)
        else:
            assert answer.turns is None
    text = at(turn.at_s - 1)[0].text
    for later_s, colour in ((-1, Colour.YELLOW), (0, Colour.GREEN)):
        here = time_interval.Interval(turn.at_s + later_s, turn.at_s + later_s, "system")
        believed = verdict.TrustState(
            centre.believed(estate), until_s=time_interval.NEVER_S, signed_s=int(time.time())
        )
        door = verdict.verify(
            text.encode(), believed, PLACE, time_interval.Now(here, 0), IssuerFloors()
        )
        assert isinstance(door, verdict.Genuine)
        assert door.colour is colour


@pytest.mark.parametrize(
    ("until", "then", "word"),
    [
        ("tomorrow", None, "is not a time"),
        ("2096-12-01T00:00", None, "is not a time"),  # of which zone?
        ("2096-12-01", None, "is not a time"),
        ("2096-13-01T00:00Z", None, "is not a time"),
        ("2020-12-01T00:00Z", None, "is not in the future"),
        ("0001-01-01T00:00+23:59", None, "is not in the future"),
        ("9999-12-31T23:59-23:59", None, "is not in the future"),
        ("2096-12-01T00:00Z", Colour.YELLOW, "from yellow to yellow"),
        (None, Colour.GREEN, "give it with --until"),
    ],
)
def test_a_turn_that_cannot_be_is_one_sentence(
    until: str | None, then: Colour | None, word: str
) -> None:
    with pytest.raises(records.RecordError, match=word) as caught:
        records.parse_turn(Colour.YELLOW, until, then, int(time.time()))
    assert "\n" not in str(caught.value)


def test_a_turn_is_read_as_it_is_typed() -> None:
    said = [("2026-12-01T00:00Z", None), ("2026-12-01T08:00+08:00", Colour.GREEN)]
    for until, then in said:
        assert records.parse_turn(Colour.RED, until, then, 0) == code.ColourChange(
            Colour.GREEN, 1796083200
        )
    assert records.parse_turn(Colour.RED, None, None, 0) is None


# Holder codes: for a phone that has a key.

KEYS = [keys.private_key(bytes([n]) * 32) for n in range(3)]


def key_text(n: int) -> str:
    return keys.public_to_text(KEYS[n].public)


def asked(web: TestClient, token: str, n: int | None) -> Response:
    body = {} if n is None else {"key": key_text(n)}
    return web.post("/v1/code", headers={"authorization": f"Bearer {token}"}, json=body)


def claims(answer: Response) -> Code:
    assert answer.status_code == 200, answer.text
    signed = code.decode(answer.json()["text"].encode())
    assert isinstance(signed, code.SignedCode)
    return signed.code


def test_a_phone_with_a_key_gets_a_code_of_hours_for_that_key(
    estate: Path, engine: sa.Engine, web: TestClient
) -> None:
    wanted = {"secret": enrol(engine).secret, "token": TOKENS[0], "key": key_text(0)}
    assert web.post("/v1/activate", json=wanted).status_code == 200
    answer = asked(web, TOKENS[0], 0)
    found = claims(answer)
    assert found.cnf == KEYS[0].public
    assert found.exp_s - found.iat_s == issuer.HOLDER_LIFE_S == 12 * 3600
    assert found.status is None
    assert answer.json()["again_s"] == issuer.LIFE_S // 2  # a change of colour is soon seen
    assert len(answer.json()["text"]) < 300
    bare = judged(estate, answer.json()["text"])
    assert isinstance(bare, verdict.Refused)  # worth nothing without the phone's proof
    assert web.post("/v1/activate", json=wanted).status_code == 200  # a lost answer


def test_the_first_key_stays_and_no_weaker_code_is_signed(
    engine: sa.Engine, web: TestClient
) -> None:
    made = enrol(engine)
    wanted = {"secret": made.secret, "token": TOKENS[0]}
    assert web.post("/v1/activate", json=wanted).is_success
    assert claims(asked(web, TOKENS[0], None)).cnf is None  # a phone without WebCrypto Ed25519
    assert claims(asked(web, TOKENS[0], 1)).cnf == KEYS[1].public  # it has got one
    for n in (None, 0, 2):
        refused = asked(web, TOKENS[0], n)
        assert (refused.status_code, refused.json()["error"]) == (409, "key")
    again = web.post("/v1/activate", json={**wanted, "key": key_text(0)})
    assert (again.status_code, again.json()["error"]) == (409, "key")
    assert claims(asked(web, TOKENS[0], 1)).cnf == KEYS[1].public


def test_a_lost_phone_is_replaced_and_gets_nothing_more(engine: sa.Engine, web: TestClient) -> None:
    made = enrol(engine)
    first = {"secret": made.secret, "token": TOKENS[0], "key": key_text(0)}
    assert web.post("/v1/activate", json=first).is_success
    handle = claims(asked(web, TOKENS[0], 0)).sub
    with store.writing(engine) as connection:
        again = records.replace(connection, made.record)
        with pytest.raises(records.RecordError, match="no record"):
            records.replace(connection, "nobody")
    assert again.record == made.record
    assert asked(web, TOKENS[0], 0).status_code == 401
    assert web.post("/v1/activate", json=first).status_code == 404
    second = {"secret": again.secret, "token": TOKENS[1], "key": key_text(1)}
    assert web.post("/v1/activate", json=second).is_success
    found = claims(asked(web, TOKENS[1], 1))
    assert found.cnf == KEYS[1].public
    assert found.sub == handle  # a new phone is no second passage
    assert asked(web, TOKENS[1], 0).status_code == 409


def test_a_lost_phones_code_is_taken_back_and_the_new_ones_is_not(
    estate: Path, engine: sa.Engine
) -> None:
    status = revocation.Statuses(engine)
    signing = issuer.Issuer(*Estate(estate).issuer(ISSUER), engine, status=status)
    made = enrol(engine)
    with TestClient(issuer.web(signing)) as web:
        lost = claims(asked(web, token_of(web, made), 0)).status
        with store.writing(engine) as connection:
            again = records.replace(connection, made.record)
        found = claims(asked(web, token_of(web, again), 1)).status
    with engine.connect() as connection:
        taken_back = revocation.set_entries(connection, ISSUER)[1]
    assert lost
    assert found
    assert taken_back == [lost.bit] != [found.bit]


def test_no_free_entry_is_no_code(estate: Path, engine: sa.Engine) -> None:
    def full(holder: records.HolderRecord, exp_s: int) -> code.StatusEntry:
        raise revocation.RevocationError("all status lists are full; let codes live shorter")

    signing = issuer.Issuer(*Estate(estate).issuer(ISSUER), engine, status=full)
    with TestClient(issuer.web(signing)) as web:
        token = token_of(web, enrol(engine))
        answer = asked(web, token, 0)
        assert (answer.status_code, answer.json()["error"]) == (503, "store")


def test_no_code_outlives_what_its_issuer_may_sign(estate: Path, engine: sa.Engine) -> None:
    said, key = Estate(estate).issuer(ISSUER)
    short = issuer.Issuer(msgspec.structs.replace(said, longest_life_s=3600), key, engine)
    with TestClient(issuer.web(short)) as web:
        found = claims(asked(web, token_of(web, enrol(engine)), 0))
    assert found.exp_s - found.iat_s == 3600


def test_a_holder_code_says_where_its_revocation_bit_is(estate: Path, engine: sa.Engine) -> None:
    told: list[tuple[str, int]] = []

    def status(holder: records.HolderRecord, exp_s: int) -> code.StatusEntry:
        told.append((holder.record, exp_s))
        return code.StatusEntry(7, "city/2027")

    signing = issuer.Issuer(*Estate(estate).issuer(ISSUER), engine, status=status)
    made, plain = enrol(engine), enrol(engine)
    with TestClient(issuer.web(signing)) as web:
        found = claims(asked(web, token_of(web, made), 0))
        assert claims(asked(web, token_of(web, plain), None)).status is None  # of minutes
    assert found.status == code.StatusEntry(7, "city/2027")
    assert told == [(made.record, found.exp_s)]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"key": 7}',
        b'{"key": ""}',
        b'{"key": "AAAA"}',
        b'{"key": "' + b"A" * 43 + b'"}',
        b'{"key": "' + b"_" * 43 + b'="}',
        b'{"key": "' + "密".encode() * 44 + b'"}',
        b'{"key": "' + b"A" * 2000 + b'"}',
    ],
)
def test_a_key_that_is_none_is_said(engine: sa.Engine, web: TestClient, body: bytes) -> None:
    made = enrol(engine)
    token = token_of(web, made)
    answer = web.post("/v1/code", headers={"authorization": f"Bearer {token}"}, content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "body")
    assert answer.json()["say"].endswith(".")
    if b'"key": "' in body:
        key = body[body.index(b'"key"') :]
        whole = b'{"secret": "' + made.secret.encode() + b'", ' + key
        answer = web.post("/v1/activate", content=whole)
        assert (answer.status_code, answer.json()["error"]) == (400, "body")
    assert claims(asked(web, token, 0)).cnf == KEYS[0].public  # nothing was bound


def test_a_store_of_the_time_before_keys_is_brought_up_to_date(
    estate: Path, tmp_path: Path
) -> None:
    path = tmp_path / "old.db"
    made = enrol(store.open_store(f"sqlite:///{path}"))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE parties")
        connection.execute("ALTER TABLE status_bits DROP COLUMN party")
        for table in ("cells", "units"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN unknown")
        connection.execute("ALTER TABLE units DROP COLUMN connection")
        for name in ("holder_key", "turn_colour", "turn_s", "party_sub"):
            connection.execute(f"ALTER TABLE records DROP COLUMN {name}")
        connection.execute("UPDATE alembic_version SET version_num = '0003'")
    signing = issuer.Issuer(*Estate(estate).issuer(ISSUER), store.open_store(f"sqlite:///{path}"))
    with TestClient(issuer.web(signing)) as web:
        token = token_of(web, made)
        assert claims(asked(web, token, 0)).cnf == KEYS[0].public


def test_secrets_and_tokens_are_stored_as_hashes_only(
    tmp_path: Path, engine: sa.Engine, web: TestClient
) -> None:
    made, phone = enrol(engine), enrol(engine)
    token = token_of(web, made)
    web.post("/v1/activate", json={"secret": phone.secret, "token": TOKENS[2]})
    code_of(web, token)
    with sqlite3.connect(tmp_path / "menshen.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stored = (tmp_path / "menshen.db").read_bytes()
    assert made.record.encode() in stored  # the search can find
    for secret in (made.secret, made.secret.replace("-", ""), token, TOKENS[2]):
        assert secret.encode() not in stored


BROKEN = "CREATE TRIGGER broken BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'broken'); END"


@pytest.mark.system
def test_a_failing_store_is_said_without_anybodys_handle(estate: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/menshen.db"
    engine = store.open_store(url)
    yesterday, today = enrol(engine), enrol(engine)
    with running("issuer", estate, ISSUER, "--store", url, "--port", 0) as program:
        at = program.said[-1].split(" at ")[1]
        token = str(ask(f"{at}v1/activate", {"secret": yesterday.secret})["token"])
        ask(f"{at}v1/code", token=token)
        with engine.begin() as connection:
            (handle,) = connection.execute(sa.select(store.records.c.sub).where(_ACTIVE)).one()
            connection.execute(store.records.update().values(day=1))
            connection.execute(sa.text(BROKEN))
        for path, body, bearer in (
            ("v1/code", None, token),
            ("v1/activate", {"secret": today.secret}, ""),
            ("v1/code", None, token),
        ):
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(f"{at}{path}", body, bearer)
            assert caught.value.code == 503
            said = json.loads(caught.value.read())
            assert said["error"] == "store"
            assert said["say"].endswith(".")
            assert handle not in str(said)
        assert "database error (broken)" in program.wait_for("database error")
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TRIGGER broken"))
        assert ask(f"{at}v1/code", token=token)["colour"] == "green"
    log = "\n".join(program.said)
    assert len(program.said) == 2, log  # not one line for each request
    assert handle not in log
    assert not re.search(r"'[\w-]{11}'|parameters|Traceback|UPDATE", log)


_ACTIVE = store.records.c.sub.is_not(None)


def test_an_error_of_the_database_names_no_values(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(BROKEN))
    enrol(engine)
    with pytest.raises(sa.exc.SQLAlchemyError) as caught, store.writing(engine) as connection:
        connection.execute(store.records.update().values(sub="AAAAhandle-"))
    assert "AAAAhandle-" not in str(caught.value)


PATHS = [route.path for route in assets.routes()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", PATHS, ids=[path.rpartition("/")[2] or "/" for path in PATHS])
def test_the_wallet_page_may_speak_to_its_own_server_only(web: TestClient, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    commands = re.sub(r"^\s*//.*|http://www.w3.org/2000/svg", "", answer.text, flags=re.MULTILINE)
    assert not re.search(r"(https?:)?//[a-z]+\.", commands)


@pytest.mark.parametrize(
    "more", [{"aud": ("North Gate",)}, {"aud": tuple("abcde")}, {"scope": "two  blanks"}]
)
def test_a_record_that_no_code_could_say_is_not_made(
    engine: sa.Engine, more: dict[str, object]
) -> None:
    with pytest.raises(records.RecordError):
        enrol(engine, **more)
    with engine.connect() as connection:
        assert connection.execute(sa.select(store.records)).all() == []


def ask(url: str, body: object = None, token: str = "") -> dict[str, object]:
    request = urllib.request.Request(  # noqa: S310 -- loopback
        url, json.dumps(body).encode() if body else b"", {"authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return dict(json.load(io.TextIOWrapper(answer)))


@pytest.mark.system
def test_the_commands_from_enrolment_to_a_red_code(estate: Path, tmp_path: Path) -> None:
    place = ["--store", f"sqlite:///{tmp_path}/menshen.db"]
    with running("issuer", estate, ISSUER, *place, "--port", 0) as program:
        url = program.said[-1].split(" at ")[1]
        enrolling = Program("enrol", estate, ISSUER, *place, "--url", url)
        page = enrolling.wait_for("page").split()[-1]
        record = enrolling.said[0].split()[-1]
        assert enrolling.process.wait(20) == 0
        assert page.startswith(f"{url}#")
        token = str(ask(f"{url}v1/activate", {"secret": page.split("#")[1]})["token"])
        said = ask(f"{url}v1/code", token=token)
        assert isinstance(judged(estate, str(said["text"])), verdict.Genuine)
        assert Program("colour", record, "red", *place).process.wait(20) == 0
        assert ask(f"{url}v1/code", token=token)["colour"] == "red"
        until = ["--until", "2096-12-01T00:00Z"]
        turning = Program("colour", record, "yellow", *until, *place)
        assert "yellow from its next renewal, and green" in turning.wait_for("record")
        said = ask(f"{url}v1/code", token=token)
        assert (said["colour"], said["turns"]) == (
            "yellow",
            {"colour": "green", "at_s": 4005158400},
        )
        assert len(program.said) == 1  # no line for any request


@pytest.mark.system
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["issuer", "ESTATE", "nobody", "--store", "STORE"], "issuer.toml is missing"),
        (["issuer", "ESTATE", ISSUER, "--store", "STORE", "--life-s", "0"], "--life-s"),
        (["issuer", "ESTATE", ISSUER, "--store", "STORE", "--host", "192.0.2.1"], "192.0.2.1"),
        (["enrol", "ESTATE", "nobody", "--store", "STORE"], "issuer.toml is missing"),
        (["enrol", "ESTATE", ISSUER, "--store", "STORE", "--aud", "A B"], "no record was made"),
        (
            ["issuer", "ESTATE", ISSUER, "--store", "STORE", "--holder-life-s", "0"],
            "--holder-life-s",
        ),
        (["colour", "nobody", "red", "--store", "STORE"], "no record"),
        (["replace", "nobody", "--store", "STORE"], "no record"),
        (["colour", "x", "red", "--until", "soon", "--store", "STORE"], "is not a time"),
        (["colour", "x", "red", "--then", "green", "--store", "STORE"], "--until"),
    ],
)
def test_bad_input_gets_one_sentence(
    estate: Path, tmp_path: Path, arguments: list[str], word: str
) -> None:
    values = {"ESTATE": str(estate), "STORE": f"sqlite:///{tmp_path}/x.db"}
    program = Program(*[values.get(a, a) for a in arguments])
    assert program.process.wait(20) == 2
    program.kill()
    assert len(program.said) == 1, program.said
    assert word in program.said[0]


@pytest.mark.system
@pytest.mark.parametrize("command", ["enrol", "colour"])
@pytest.mark.parametrize("failing", ["full", "broken", "newer"])
def test_a_store_that_fails_is_one_sentence_and_nothing_is_changed(
    estate: Path, tmp_path: Path, command: str, failing: str
) -> None:
    path = tmp_path / "menshen.db"
    url = f"sqlite:///{path}"
    made = enrol(store.open_store(url))
    before = sqlite3.connect(path).execute("SELECT * FROM records").fetchall()
    holding = sqlite3.connect(path, isolation_level=None)
    holding.execute("SELECT * FROM records").fetchall()  # keeps the write-ahead log
    word, prefix = "nothing was changed", []
    if failing == "full":
        full_kib = (tmp_path / "menshen.db-wal").stat().st_size // 1024
        prefix = ["bash", "-c", f'ulimit -f {full_kib}; exec "$@"', "bash"]
    elif failing == "broken":
        for n, event in enumerate(("INSERT", "UPDATE")):
            holding.execute(BROKEN.replace("broken", f"b{n}").replace("UPDATE", event))
    else:
        holding.execute("UPDATE alembic_version SET version_num = '9999'")
        word = "newer version"
    arguments = {"enrol": [estate, ISSUER], "colour": [made.record, "red"]}[command]
    program = Program(command, *arguments, "--store", url, prefix=prefix)
    assert program.process.wait(30) == 2
    program.kill()
    assert len(program.said) == 1, program.said
    assert word in program.said[0]
    assert sqlite3.connect(path).execute("SELECT * FROM records").fetchall() == before
    holding.close()
