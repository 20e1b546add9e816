"""Others' judgement: python-cwt and cryptography, both ways."""

from dataclasses import replace
from typing import Any

import cbor2
import cwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wire import code, holder, keys
from tests.edge.wire.test_code import FULL, PLAIN, SIGNER, codes


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
    assert isinstance(signed, code.SignedCode)
    assert signed.code == said
    assert keys.verify(SIGNER.public, signed.message, signed.signature)
    if alg == -19:
        assert written.removeprefix(b"\xd2") == raw_of(code.encode(said, SIGNER))


@pytest.mark.parametrize("alg", [-19, -8])
def test_python_cwt_refuses_what_we_refuse(alg: int) -> None:
    raw = raw_of(code.encode(PLAIN, SIGNER))
    forged = raw[:-1] + bytes((raw[-1] ^ 1,))
    signed = code.decode(text_of(forged))
    assert isinstance(signed, code.SignedCode)
    assert not keys.verify(SIGNER.public, signed.message, signed.signature)
    with pytest.raises(cwt.VerifyError):
        cwt.COSE.new(verify_kid=True).decode(tagged(forged), public(alg))


def test_python_cwt_takes_ours_for_a_cwt() -> None:
    """The same token through its CWT layer, which checks `exp` against its own clock."""
    said = code.Code(colour=code.Colour.RED, sub=PLAIN.sub, iat_s=1, exp_s=code.TIME_S_MAX)
    raw = raw_of(code.encode(said, SIGNER))
    assert cwt.decode(tagged(raw), public()) == claims_of(said)


# -- holder codes: the phone's COSE_Sign1 around the issuer's --------------------------------------

PHONE = keys.private_key(b"phone".ljust(32))
KCWT = 13
doors = st.none() | st.from_regex(holder._DOOR, fullmatch=True)
times = st.integers(0, code.TIME_S_MAX)


def phone_key(public: bool) -> cwt.COSEKey:
    pem = keys.public_to_pem(PHONE.public) if public else keys.private_to_pem(PHONE)
    return cwt.COSEKey.from_pem(pem, alg=-19)


def payload_of(iat_s: int, door: str | None) -> dict[int, Any]:
    return {6: iat_s} if door is None else {3: door, 6: iat_s}


@given(codes(), times, doors)
@settings(max_examples=100)
def test_python_cwt_reads_the_holder_codes_we_write(
    said: code.Code, iat_s: int, door: str | None
) -> None:
    bare = code.encode(replace(said, cnf=PHONE.public), SIGNER)
    raw = raw_of(holder.encode(bare, iat_s, door, PHONE))
    cose = cwt.COSE.new()
    header, unprotected, payload = cose.decode_with_headers(
        tagged(raw), phone_key(public=True), external_aad=b"menshen-holder-1"
    )
    assert set(header) == {1, KCWT}
    assert (header[1], unprotected) == (-19, {})
    assert cbor2.loads(payload) == payload_of(iat_s, door)
    assert cbor2.dumps(header[KCWT]) == raw_of(bare), "kcwt is the issuer's whole COSE_Sign1"
    inner = cwt.COSE.new(verify_kid=True).decode(tagged(cbor2.dumps(header[KCWT])), public())
    assert cbor2.loads(inner) == claims_of(replace(said, cnf=PHONE.public))


@given(codes(), times, doors)
@settings(max_examples=100)
def test_we_read_the_holder_codes_python_cwt_writes(
    said: code.Code, iat_s: int, door: str | None
) -> None:
    said = replace(said, cnf=PHONE.public)
    issued = cwt.COSE.new().encode_and_sign(
        cbor2.dumps(claims_of(said)),
        cose_key(keys.private_to_pem(SIGNER), -19),
        protected={1: -19, 4: SIGNER.kid},
        unprotected={},
    )
    written = cwt.COSE.new().encode_and_sign(
        cbor2.dumps(payload_of(iat_s, door)),
        phone_key(public=False),
        protected={1: -19, KCWT: cbor2.loads(issued).value},
        unprotected={},
        external_aad=b"menshen-holder-1",
    )
    raw = written.removeprefix(b"\xd2")
    held = holder.read(raw)
    assert isinstance(held, holder.HolderCode)
    assert (held.inner.code, held.iat_s, held.door) == (said, iat_s, door)
    assert keys.verify(PHONE.public, held.message, held.signature)
    assert keys.verify(SIGNER.public, held.inner.message, held.inner.signature)
    assert text_of(raw).decode() == holder.encode(code.encode(said, SIGNER), iat_s, door, PHONE)


@pytest.mark.parametrize("aad", [b"", b"menshen-holder-2", b"menshen-holder-1\0"])
def test_neither_takes_a_proof_made_for_something_else(aad: bytes) -> None:
    bare = code.encode(replace(PLAIN, cnf=PHONE.public), SIGNER)
    written = cwt.COSE.new().encode_and_sign(
        cbor2.dumps({6: PLAIN.iat_s}),
        phone_key(public=False),
        protected={1: -19, KCWT: cbor2.loads(raw_of(bare))},
        unprotected={},
        external_aad=aad,
    )
    held = holder.read(written.removeprefix(b"\xd2"))
    assert isinstance(held, holder.HolderCode)
    assert not keys.verify(PHONE.public, held.message, held.signature)
    with pytest.raises(cwt.VerifyError):
        cwt.COSE.new().decode(written, phone_key(public=True), external_aad=b"menshen-holder-1")


# -- cryptography ----------------------------------------------------------------------------------


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
