"""The envelope of acknowledgements and answers: opened only when its signer signed it, whole."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib import dsse
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from edge.wire import envelope, keys

SIGNER = keys.private_key(bytes(32))
OTHER = keys.private_key(bytes(31) + b"\1")
KIND = "application/vnd.menshen.test.1+json"
PAYLOAD = b'{"count":37,"of":"campus"}'
SIGNED = envelope.sign(PAYLOAD, KIND, SIGNER)


def opened(data: bytes) -> bytes:
    return envelope.verify(data, KIND, SIGNER.public)


def refused(data: bytes, why: str) -> None:
    with pytest.raises(envelope.EnvelopeError, match=why) as caught:
        opened(data)
    assert "\n" not in str(caught.value)


def test_what_is_signed_is_opened() -> None:
    assert opened(SIGNED) == PAYLOAD


def test_an_envelope_is_dsse() -> None:
    """Verified here by the letter of DSSE 1.0.2, without our own encoding of what is signed."""
    content = json.loads(SIGNED)
    payload, kind = base64.b64decode(content["payload"]), content["payloadType"].encode()
    message = b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    )
    signature = base64.b64decode(content["signatures"][0]["sig"])
    assert keys.verify(SIGNER.public, message, signature)
    assert content["signatures"][0]["keyid"] == SIGNER.kid.hex()


def test_securesystemslib_reads_what_we_write() -> None:
    theirs = dsse.Envelope.from_dict(json.loads(SIGNED))
    key = SSlibKey(SIGNER.kid.hex(), "ed25519", "ed25519", {"public": SIGNER.public.hex()})
    assert theirs.payload == PAYLOAD
    assert list(theirs.verify([key], 1)) == [SIGNER.kid.hex()]
    altered = dsse.Envelope.from_dict(json.loads(SIGNED))
    altered.payload += b" "
    with pytest.raises(VerificationError):
        altered.verify([key], 1)


def test_we_read_what_securesystemslib_writes() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    theirs = dsse.Envelope(PAYLOAD, KIND, {})
    theirs.sign(CryptoSigner(private))
    assert opened(json.dumps(theirs.to_dict()).encode()) == PAYLOAD


def test_who_signed_decides() -> None:
    refused(envelope.sign(PAYLOAD, KIND, OTHER), "not signed by the key")
    content = json.loads(SIGNED)
    others = json.loads(envelope.sign(PAYLOAD, KIND, OTHER))["signatures"]
    both = content | {"signatures": others + content["signatures"]}
    opened(json.dumps(both).encode())
    for signatures in ([], others, [{"keyid": SIGNER.kid.hex(), "sig": ""}]):
        refused(json.dumps(content | {"signatures": signatures}).encode(), "not signed by the key")


def test_only_sixteen_signatures_are_tried() -> None:
    content = json.loads(SIGNED)
    many = json.loads(envelope.sign(PAYLOAD, KIND, OTHER))["signatures"] * 16
    refused(
        json.dumps(content | {"signatures": many + content["signatures"]}).encode(), "not signed"
    )


def test_a_document_of_another_kind_does_not_pass() -> None:
    refused(envelope.sign(PAYLOAD, "application/vnd.menshen.ack.1+json", SIGNER), "another kind")
    relabelled = json.loads(envelope.sign(PAYLOAD, "text/plain", SIGNER)) | {"payloadType": KIND}
    refused(json.dumps(relabelled).encode(), "not signed by the key")


def test_a_changed_payload_does_not_pass() -> None:
    content = json.loads(SIGNED)
    payload = base64.b64decode(content["payload"]).replace(b"37", b"99")
    hurt = content | {"payload": base64.b64encode(payload).decode()}
    refused(json.dumps(hurt).encode(), "not signed by the key")


@given(st.integers(0, len(SIGNED) - 1), st.binary(max_size=3))
@settings(max_examples=300)
def test_a_torn_file_is_told(at: int, instead: bytes) -> None:
    hurt = SIGNED[:at] + instead
    with pytest.raises(envelope.EnvelopeError):
        opened(hurt)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_flipped_byte_changes_nothing_that_is_believed(at: int, mask: int) -> None:
    """The keyid, JSON's white space and base64's spare bits are not signed; all else must fail."""
    hurt = SIGNED[:at] + bytes((SIGNED[at] ^ mask,)) + SIGNED[at + 1 :]
    try:
        assert opened(hurt) == PAYLOAD
    except envelope.EnvelopeError:
        return
    payloads = [base64.b64decode(json.loads(data)["payload"]) for data in (hurt, SIGNED)]
    assert payloads[0] == payloads[1]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"payload":1}', b"[" * 100_000, bytes(100)],
    ids=repr,
)
def test_what_is_no_envelope(data: bytes) -> None:
    refused(data, "torn, or no signed document")


def test_the_largest_file() -> None:
    opened(SIGNED.ljust(4 * 1024 * 1024))
    refused(SIGNED.ljust(4 * 1024 * 1024 + 1), "larger than any such document")
