"""Every file of tests/vectors/codes through the verifier, and back through issuer and phone."""

import json

import msgspec
import pytest

from edge.judge import verdict
from edge.wire import code, holder, keys
from tests import ROOT
from tests.vectors import make
from tests.vectors.door import NAMES, TRUST, WORLD, DoorVector, case, told

FOLDER = ROOT / "tests" / "vectors"
CASES = {name: case(name) for name in NAMES}
REFUSED = frozenset(
    list(verdict.Reason)[: list(verdict.Reason).index(verdict.Reason.UNKNOWN_ISSUER)]
)
AT_A_DOOR_THAT_REMEMBERS = {"USED", "JUST_STARTED"}  # tests/edge/passing/test_anti_passback.py
OF_FOREIGN_FORMATS = {"NO_EVIDENCE"}  # tests/edge/judge/test_eu_certificate.py


def name_of(reason: verdict.Reason) -> str:
    kind = "refused" if reason in REFUSED else "unsure"
    return f"{kind}:{reason.name.lower().replace('_', '-')}"


EXPECTS = (
    {"not-a-door-code"}
    | {f"genuine:{colour.name.lower()}" for colour in code.Colour}
    | {name_of(reason) for reason in verdict.Reason}
)


def seed_of(name: str) -> keys.PrivateKey:
    return keys.private_key(bytes.fromhex(WORLD["seeds"][name]))


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_is_the_expected_one(name: str) -> None:
    assert told(CASES[name].judged()) == CASES[name].expect


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].claims])
def test_the_issuer_writes_the_same_text(name: str) -> None:
    wanted = CASES[name]
    text = code.encode(wanted.code(), seed_of(wanted.key))
    if wanted.holder:  # and the phone
        shown = wanted.holder
        text = holder.encode(text, shown["iat"], shown.get("door"), seed_of(shown["key"]))
    assert text == wanted.text


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].claims])
def test_the_claims_are_read_back(name: str) -> None:
    wanted = CASES[name]
    raw = code.unwrap(wanted.data())
    assert isinstance(raw, bytes)
    if wanted.holder:
        held = holder.read(raw)
        assert isinstance(held, holder.HolderCode)
        assert (held.iat_s, held.door) == (wanted.holder["iat"], wanted.holder.get("door"))
        assert held.inner.code == wanted.code()
        return
    signed = code.read(raw)
    assert isinstance(signed, code.SignedCode)
    assert signed.code == wanted.code()


def test_the_folder_is_what_make_writes() -> None:
    wanted = make.files()
    found = {path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("codes/*")}
    assert found | {"world.json"} == set(wanted)
    for path, content in wanted.items():
        assert (FOLDER / path).read_bytes() == content.encode(), f"run python -m {make.__name__}"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_expects_what_a_verdict_can_be(name: str) -> None:
    assert CASES[name].expect in EXPECTS
    assert CASES[name].why


def test_refusals_outnumber_grants_three_to_one() -> None:
    for held in (False, True):  # among bearer codes, and among holder codes
        kinds = [
            wanted.expect.partition(":")[0]
            for name, wanted in CASES.items()
            if name.startswith("holder-") is held
        ]
        assert kinds.count("refused") >= 3 * kinds.count("genuine") >= 30
        assert kinds.count("unsure") >= 5


def test_each_reason_has_a_file() -> None:
    found = {wanted.expect for wanted in CASES.values()}
    elsewhere = {
        name_of(verdict.Reason[name]) for name in AT_A_DOOR_THAT_REMEMBERS | OF_FOREIGN_FORMATS
    }
    assert EXPECTS - found == elsewhere


def test_no_case_is_told_twice() -> None:
    seen: dict[tuple[bytes, int, str, str], str] = {}
    for name, found in CASES.items():
        what = (found.data(), found.now_s, found.clock, found.door)
        assert what not in seen, f"{name} and {seen[what]} are the same"
        seen[what] = name


def test_two_trusted_keys_share_a_kid() -> None:
    found = TRUST.keys(seed_of("twin").kid)
    assert [key.terms.issuer for key in found] == ["namesake", "twin"]
    assert found[0].public != found[1].public


def test_a_file_with_an_unknown_field_fails() -> None:
    content = json.loads((FOLDER / "codes" / "green.json").read_text()) | {"expects": "green"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(content).encode(), type=DoorVector)
