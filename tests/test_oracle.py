"""Others' judgement: python-cwt and cryptography, both ways."""

from typing import Any

import cbor2
import cwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wire import code, keys
from tests.test_code import FULL, PLAIN, SIGNER, codes


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
