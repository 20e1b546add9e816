"""Vectors that nobody here wrote: Wycheproof, the COSE working group, RFC 9285, kirei, RFC 8949.

Where they come from and under which licence: vectors/README.md.
"""

import base64
import json
from itertools import product
from typing import Any

import cbor2
import pytest

from edge.wire import cbor, code, keys
from tests import ROOT
from tests.vectors import parts

VECTORS = ROOT / "tests" / "vectors"
OUTSIDE = ROOT.parent / "shared" / "vectors"

WYCHEPROOF = json.loads((VECTORS / "ed25519" / "wycheproof-ed25519.json").read_text())
BASE45 = json.loads((VECTORS / "base45" / "strings.json").read_text())

# -- Ed25519: C2SP/wycheproof ----------------------------------------------------------------------

WYCHEPROOF_CASES = [
    pytest.param(group["publicKey"]["pk"], test, id=str(test["tcId"]))
    for group in WYCHEPROOF["testGroups"]
    for test in group["tests"]
]


def test_wycheproof_is_whole() -> None:
    assert len(WYCHEPROOF_CASES) == WYCHEPROOF["numberOfTests"] == 151


@pytest.mark.parametrize(("key", "test"), WYCHEPROOF_CASES)
def test_wycheproof(key: str, test: dict[str, Any]) -> None:
    message, signature = bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])
    wanted = {"valid": True, "invalid": False}[test["result"]]
    assert keys.verify(bytes.fromhex(key), message, signature) is wanted, test["comment"]


def test_a_wycheproof_signature_fits_its_own_message_and_key_alone() -> None:
    """So that a verifier which says yes to everything fails here too, not only case by case."""
    group = WYCHEPROOF["testGroups"][0]
    good = next(test for test in group["tests"] if test["result"] == "valid" and test["msg"])
    key, signature = bytes.fromhex(group["publicKey"]["pk"]), bytes.fromhex(good["sig"])
    message = bytes.fromhex(good["msg"])
    assert keys.verify(key, message, signature)
    assert not keys.verify(key, message + b"\0", signature)
    assert not keys.verify(parts.PUBLIC["city"], message, signature)


# -- Base45: RFC 9285 and kirei/python-base45 ------------------------------------------------------


@pytest.mark.parametrize(("data", "text"), BASE45["good"])
def test_rfc_9285_both_ways(data: str, text: str) -> None:
    assert code.base45_encode(bytes.fromhex(data)) == text.encode()
    assert code.base45_decode(text.encode()) == bytes.fromhex(data)


@pytest.mark.parametrize("text", BASE45["bad"])
def test_rfc_9285_bad(text: str) -> None:
    assert code.base45_decode(text.encode()) is None


def test_every_two_bytes_and_every_three_characters() -> None:
    """All there are, beside the vectors' own second hand: 65792 texts are good, no other."""
    wanted = {parts.base45(bytes(pair)): bytes(pair) for pair in product(range(256), repeat=2)}
    wanted |= {parts.base45(bytes((one,))): bytes((one,)) for one in range(256)}
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    for length in (1, 2, 3):
        for characters in product(letters, repeat=length):
            text = "".join(characters)
            assert code.base45_decode(text.encode()) == wanted.get(text), text
    for text, data in wanted.items():
        assert code.base45_encode(data) == text.encode()


# -- COSE_Sign1: cose-wg/Examples, eddsa-examples --------------------------------------------------


def cose_example(name: str) -> tuple[dict[str, Any], list[Any], bytes]:
    """The example, its COSE_Sign1, and the Sig_structure rebuilt from that (RFC 9052, 4.4)."""
    content = json.loads((VECTORS / "cose" / f"{name}.json").read_text())
    four = cbor2.loads(bytes.fromhex(content["output"]["cbor"])).value
    message = cbor2.dumps(["Signature1", four[0], b"", four[2]])
    assert message == bytes.fromhex(content["intermediates"]["ToBeSign_hex"])
    return content["input"]["sign0"]["key"], four, message


def test_the_cose_example_with_ed25519() -> None:
    key, four, message = cose_example("eddsa-sig-01")
    raw_key = bytes.fromhex(key["x_hex"])
    assert keys.private_key(bytes.fromhex(key["d_hex"])).public == raw_key
    assert keys.verify(raw_key, message, four[3])
    assert not keys.verify(raw_key, message + b"\0", four[3])


def test_the_cose_example_with_ed448_is_refused() -> None:
    key, four, message = cose_example("eddsa-sig-02")
    raw_key = bytes.fromhex(key["x_hex"])
    assert len(raw_key) == 57
    assert not keys.verify(raw_key, message, four[3])
    assert not keys.verify(raw_key[:32], message, four[3][:64])


@pytest.mark.parametrize("name", ["eddsa-sig-01", "eddsa-sig-02"])
def test_a_cose_sign1_of_another_profile_is_malformed(name: str) -> None:
    content = json.loads((VECTORS / "cose" / f"{name}.json").read_text())
    raw = bytes.fromhex(content["output"]["cbor"])
    for written in (raw, raw[1:]):  # with tag 18 and without
        text = code.PREFIX + code.base45_encode(written)
        assert isinstance(code.decode(text), code.Malformed)


# -- CBOR: RFC 8949 appendix A, cbor/test-vectors --------------------------------------------------


def appendix_a() -> list[dict[str, Any]]:
    path = OUTSIDE / "cbor" / "appendix_a.json"
    if not path.exists():
        pytest.skip(f"cbor/test-vectors states no licence, so it is not copied; no {path} here")
    return list(json.loads(path.read_text()))


def plain(value: object) -> bool:
    """Integers, strings, lists and maps: what a door code may be made of."""
    if isinstance(value, dict):
        return all(plain(k) and plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return type(value) in (int, str, bytes) and not (
        isinstance(value, int) and not -(2**64) <= value < 2**64
    )


def test_rfc_8949_examples_pass_or_stop_at_the_first_look() -> None:
    """What holds tags, floats, simple values or indefinite lengths never reaches the library."""
    passed = stopped = 0
    for entry in appendix_a():
        data = base64.b64decode(entry["cbor"])
        indefinite = any(head in data for head in (b"\x5f", b"\x7f", b"\x9f", b"\xbf"))
        value = cbor2.loads(data)
        small = not isinstance(value, list | dict) or len(value) <= 16
        wanted = entry["roundtrip"] and plain(value) and not indefinite and small
        assert cbor.plain(data) is wanted, entry["hex"]
        passed, stopped = passed + wanted, stopped + (not wanted)
    assert passed >= 30
    assert stopped >= 30


def test_rfc_8949_examples_are_no_claims() -> None:
    for entry in appendix_a():
        assert isinstance(code.claims_decode(base64.b64decode(entry["cbor"])), code.Malformed)
