"""Every file of tests/vectors/codes through the verifier, and back through the issuer."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge import verdict
from edge.clock import NEVER_S, Floors, Interval, Now
from edge.wire import code, keys
from edge.wire.trust import Issuers, Trust
from tests.vectors import make

FOLDER = Path(__file__).parent / "vectors"
WORLD = json.loads((FOLDER / "world.json").read_text(encoding="utf-8"))
TRUST = Trust(msgspec.convert(WORLD["issuers"], Issuers))
PLACE = verdict.Place(frozenset(WORLD["groups"]))
NAMES = sorted(path.stem for path in (FOLDER / "codes").glob("*.json"))

EXPECTS = (
    {"not-a-door-code"}
    | {f"genuine:{colour.name.lower()}" for colour in code.Colour}
    | {
        f"{kind}:{reason.name.lower().replace('_', '-')}"
        for kind in ("refused", "unsure")
        for reason in verdict.Reason
    }
)


class Case(msgspec.Struct, forbid_unknown_fields=True):
    """A file. `text` (or `base64`) is followed by `repeat`; the clock's error is the world's."""

    why: str
    expect: str
    now_s: int
    text: str = ""
    base64: str = ""
    repeat: dict[str, Any] = {}
    clock: str = "set"
    claims: dict[str, Any] = {}
    key: str = ""

    def data(self) -> bytes:
        begin = self.text.encode() + base64.b64decode(self.base64, validate=True)
        return begin + self.repeat.get("text", "").encode() * self.repeat.get("times", 0)

    def now(self) -> Interval:
        if self.clock == "unset":
            return Interval(self.now_s, NEVER_S, "unset")
        error_s = WORLD["clock_error_s"]
        return Interval(self.now_s - error_s, self.now_s + error_s, "system")

    def code(self) -> code.Code:
        said = dict(self.claims)
        aud, status, turns, cnf = (said.get(name) for name in ("aud", "status", "turns", "cnf"))
        return code.Code(
            colour=code.Colour(said["colour"]),
            sub=said["sub"],
            iat_s=said["iat"],
            exp_s=said["exp"],
            nbf_s=said.get("nbf"),
            aud=(aud,) if isinstance(aud, str) else tuple(aud or ()),
            scope=said.get("scope"),
            party=said.get("party", 1),
            turns=code.Turn(code.Colour(turns[0]), turns[1]) if turns else None,
            status=code.Status(*status) if status else None,
            cnf=bytes.fromhex(cnf) if cnf else None,
        )


def case(name: str) -> Case:
    return read((FOLDER / "codes" / f"{name}.json").read_bytes())


def read(data: bytes) -> Case:
    found = msgspec.json.decode(data, type=Case)
    assert found.expect in EXPECTS, f"a file expects {found.expect!r}, which no verdict is"
    assert found.why
    return found


def judged(wanted: Case) -> verdict.Verdict | None:
    believed = verdict.Believed(TRUST, signed_s=wanted.now_s)
    return verdict.verify(wanted.data(), believed, PLACE, Now(wanted.now(), 0), Floors())


def told(said: verdict.Verdict | None) -> str:
    match said:
        case None:
            return "not-a-door-code"
        case verdict.Genuine():
            return f"genuine:{said.colour.name.lower()}"
        case verdict.Refused() | verdict.Unsure():
            kind = type(said).__name__.lower()
            return f"{kind}:{said.reason.name.lower().replace('_', '-')}"


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_is_the_expected_one(name: str) -> None:
    wanted = case(name)
    assert told(judged(wanted)) == wanted.expect


@pytest.mark.parametrize("name", [name for name in NAMES if case(name).claims])
def test_the_issuer_writes_the_same_text(name: str) -> None:
    wanted = case(name)
    signer = keys.private_key(bytes.fromhex(WORLD["seeds"][wanted.key]))
    assert code.encode(wanted.code(), signer) == wanted.text
    signed = code.decode(wanted.data())
    assert isinstance(signed, code.Signed)
    assert signed.code == wanted.code()


def test_the_folder_is_what_make_writes() -> None:
    wanted = make.files()
    found = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("codes/*")}
    assert found | {"world.json"} == set(wanted)
    for path, content in wanted.items():
        assert (FOLDER / path).read_bytes() == content.encode(), f"run python -m {make.__name__}"


def test_refusals_outnumber_grants() -> None:
    kinds = [case(name).expect.partition(":")[0] for name in NAMES]
    assert kinds.count("refused") >= 3 * kinds.count("genuine") >= 30
    assert kinds.count("unsure") >= 5


def test_no_case_is_told_twice() -> None:
    seen: dict[tuple[bytes, int, str], str] = {}
    for name in NAMES:
        found = case(name)
        what = (found.data(), found.now_s, found.clock)
        assert what not in seen, f"{name} and {seen[what]} are the same"
        seen[what] = name


def test_two_trusted_keys_share_a_kid() -> None:
    twin = keys.private_key(bytes.fromhex(WORLD["seeds"]["twin"]))
    found = TRUST.keys(twin.kid)
    assert [key.issuer for key in found] == ["namesake", "twin"]
    assert found[0].public != found[1].public


@pytest.mark.parametrize("expect", ["genuine", "genuine:blue", "refused", "refused:ugly", ""])
def test_an_unknown_expectation_fails(expect: str) -> None:
    content = json.loads((FOLDER / "codes" / "green.json").read_text()) | {"expect": expect}
    with pytest.raises(AssertionError, match="no verdict"):
        read(json.dumps(content).encode())
