"""Others' judgement: python-cwt, cryptography, and vectors that nobody here wrote."""

import base64
import json
from pathlib import Path
from typing import Any

import cbor2
import cwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wire import cbor, code, keys
from tests.test_code import FULL, PLAIN, SIGNER, codes

VECTORS = Path(__file__).parent / "vectors"
OUTSIDE = Path(__file__).parents[1].parent / "shared" / "vectors"

WYCHEPROOF = json.loads((VECTORS / "ed25519" / "wycheproof-ed25519.json").read_text())
BASE45 = json.loads((VECTORS / "base45" / "strings.json").read_text())
COSE_TAG = 18


def cose_key(pem: str, alg: int) -> cwt.COSEKey:
    return cwt.COSEKey.from_pem(pem, alg=alg, kid=SIGNER.kid)


def public(alg: int = -19) -> cwt.COSEKey:
    return cose_key(keys.public_to_pem(SIGNER.public), alg)


def raw_of(text: str) -> bytes:
    raw = code.base45_decode(text.removeprefix("DC1:").encode())
    assert raw is not None
    return raw


def text_of(raw: bytes) -> bytes:
    return b"DC1:" + code.base45_encode(raw)


def tagged(raw: bytes) -> bytes:
    return b"\xd2" + raw


# -- python-cwt: COSE and CWT by another hand ------------------------------------------------------


@given(codes())
@settings(max_examples=100)
def test_python_cwt_reads_what_we_write(said: code.Code) -> None:
    raw = raw_of(code.encode(said, SIGNER))
    header, unprotected, payload = cwt.COSE.new(verify_kid=True).decode_with_headers(
        tagged(raw), public()
    )
    assert (header, unprotected) == ({1: -19, 4: SIGNER.kid}, {})
    assert cbor2.loads(payload) == claims_of(said)


def claims_of(said: code.Code) -> dict[int, Any]:
    """RFC 8392's claims, written out again by hand."""
    aud = said.aud[0] if len(said.aud) == 1 else list(said.aud)
    claims = {
        2: said.sub,
        3: aud or None,
        4: said.exp_s,
        5: said.nbf_s,
        6: said.iat_s,
        8: None if said.cnf is None else {1: {1: 1, -1: 6, -2: said.cnf}},
        9: said.scope,
        65535: None if said.status is None else [said.status.bit, said.status.listed],
        -65537: said.colour.value,
        -65538: None if said.party == 1 else said.party,
        -65539: None if said.turns is None else [said.turns.colour.value, said.turns.at_s],
    }
    return {label: value for label, value in claims.items() if value is not None}


@pytest.mark.parametrize("alg", [-19, -8])
@pytest.mark.parametrize("said", [PLAIN, FULL], ids=["plain", "full"])
def test_we_read_what_python_cwt_writes(said: code.Code, alg: int) -> None:
    signer = cose_key(keys.private_to_pem(SIGNER), alg)
    payload = cbor2.dumps(claims_of(said))
    written = cwt.COSE.new().encode_and_sign(
        payload, signer, protected={1: alg, 4: SIGNER.kid}, unprotected={}
    )
    signed = code.decode(text_of(written.removeprefix(b"\xd2")))
    assert isinstance(signed, code.Signed)
    assert signed.code == said
    assert keys.verify(SIGNER.public, signed.message, signed.signature)
    if alg == -19:
        assert written.removeprefix(b"\xd2") == raw_of(code.encode(said, SIGNER))


@pytest.mark.parametrize("alg", [-19, -8])
def test_python_cwt_refuses_what_we_refuse(alg: int) -> None:
    raw = raw_of(code.encode(PLAIN, SIGNER))
    forged = raw[:-1] + bytes((raw[-1] ^ 1,))
    signed = code.decode(text_of(forged))
    assert isinstance(signed, code.Signed)
    assert not keys.verify(SIGNER.public, signed.message, signed.signature)
    with pytest.raises(cwt.VerifyError):
        cwt.COSE.new(verify_kid=True).decode(tagged(forged), public(alg))


def test_python_cwt_takes_ours_for_a_cwt() -> None:
    """The same token through its CWT layer, which checks `exp` against its own clock."""
    said = code.Code(colour=code.Colour.RED, sub=PLAIN.sub, iat_s=1, exp_s=code.TIME_S_MAX)
    raw = raw_of(code.encode(said, SIGNER))
    assert cwt.decode(tagged(raw), public()) == claims_of(said)


@given(st.binary(max_size=300))
@settings(max_examples=200)
def test_cryptography_agrees_about_signatures(message: bytes) -> None:
    signature = SIGNER.sign(message)
    other = Ed25519PublicKey.from_public_bytes(SIGNER.public)
    other.verify(signature, message)
    with pytest.raises(InvalidSignature):
        other.verify(signature, message + b"\0")
    assert keys.verify(SIGNER.public, message, signature)
    assert not keys.verify(SIGNER.public, message + b"\0", signature)


# -- vectors that nobody here wrote ----------------------------------------------------------------

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


@pytest.mark.parametrize(("data", "text"), BASE45["good"])
def test_rfc_9285_both_ways(data: str, text: str) -> None:
    assert code.base45_encode(bytes.fromhex(data)) == text.encode()
    assert code.base45_decode(text.encode()) == bytes.fromhex(data)


@pytest.mark.parametrize("text", BASE45["bad"])
def test_rfc_9285_bad(text: str) -> None:
    assert code.base45_decode(text.encode()) is None


def cose_example(name: str) -> tuple[dict[str, Any], list[Any], bytes]:
    """The example, its COSE_Sign1, and the Sig_structure rebuilt from that (RFC 9052, 4.4)."""
    content = json.loads((VECTORS / "cose" / f"{name}.json").read_text())
    parts = cbor2.loads(bytes.fromhex(content["output"]["cbor"])).value
    message = cbor2.dumps(["Signature1", parts[0], b"", parts[2]])
    assert message == bytes.fromhex(content["intermediates"]["ToBeSign_hex"])
    return content["input"]["sign0"]["key"], parts, message


def test_the_cose_example_with_ed25519() -> None:
    key, parts, message = cose_example("eddsa-sig-01")
    raw_key = bytes.fromhex(key["x_hex"])
    assert keys.private_key(bytes.fromhex(key["d_hex"])).public == raw_key
    assert keys.verify(raw_key, message, parts[3])
    assert not keys.verify(raw_key, message + b"\0", parts[3])


def test_the_cose_example_with_ed448_is_refused() -> None:
    key, parts, message = cose_example("eddsa-sig-02")
    raw_key = bytes.fromhex(key["x_hex"])
    assert len(raw_key) == 57
    assert not keys.verify(raw_key, message, parts[3])
    assert not keys.verify(raw_key[:32], message, parts[3][:64])


@pytest.mark.parametrize("name", ["eddsa-sig-01", "eddsa-sig-02"])
def test_a_cose_sign1_of_another_profile_is_malformed(name: str) -> None:
    content = json.loads((VECTORS / "cose" / f"{name}.json").read_text())
    raw = bytes.fromhex(content["output"]["cbor"])
    assert isinstance(code.decode(text_of(raw)), code.Malformed)
    assert isinstance(code.decode(text_of(raw[1:])), code.Malformed)


def appendix_a() -> list[dict[str, Any]]:
    path = OUTSIDE / "cbor" / "appendix_a.json"
    if not path.exists():
        pytest.skip("cbor/test-vectors states no licence, so it is not copied; not found outside")
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
