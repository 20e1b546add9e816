"""A signed document: DSSE (github.com/secure-systems-lab/dsse, version 1.0.2) over Ed25519.

JSON of `payload` (base64), `payloadType` and `signatures`. What is signed is the payload's bytes
together with its type, so no canonical form of JSON is needed and no document passes for another.

securesystemslib, which python-tuf brings, has a DSSE as well. We do not use it, but a test checks
that it reads what we write and that we read what it writes. Its `verify` skips a signature whose
`keyid` is not the key's own, which its docstring says is not DSSE (its issue 416); it reads base64
leniently and checks no types; and it verifies with OpenSSL, which took 1.6 times as long here.
"""

import base64
import binascii

import msgspec

from edge.wire import keys
from edge.wire.decode import DOCUMENT_LEN_MAX, DecodeError, decode_json

ENVELOPE_LEN_MAX = DOCUMENT_LEN_MAX


class EnvelopeError(ValueError):
    """The document is torn or not signed by the expected key; one sentence for people."""


class _Signature(msgspec.Struct):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct):
    payload: str
    payloadType: str  # the name DSSE gives it
    signatures: list[_Signature]


def sign(payload: bytes, kind: str, signer: keys.PrivateKey) -> bytes:
    """Return the envelope of `payload`, a document of media type `kind`."""
    signature = signer.sign(_to_be_signed(payload, kind))
    return msgspec.json.encode(
        _Envelope(
            base64.b64encode(payload).decode("ascii"),
            kind,
            [_Signature(signer.kid.hex(), base64.b64encode(signature).decode("ascii"))],
        )
    )


def verify(data: bytes, kind: str, public: bytes) -> bytes:
    """Return the payload, after its signature by `public` and its type were found right.

    Raises EnvelopeError. Nothing of the payload is looked at before its signature.
    """
    if len(data) > ENVELOPE_LEN_MAX:
        raise EnvelopeError("it is larger than any such document")
    try:
        envelope = decode_json(data, _Envelope, ENVELOPE_LEN_MAX)
        payload = base64.b64decode(envelope.payload, validate=True)
        signatures = [base64.b64decode(s.sig, validate=True) for s in envelope.signatures[:16]]
    except (DecodeError, binascii.Error, ValueError):
        raise EnvelopeError("it is torn, or no signed document at all") from None
    if envelope.payloadType != kind:
        raise EnvelopeError(f"it is a document of another kind ({envelope.payloadType[:60]!r})")
    message = _to_be_signed(payload, kind)
    if not any(keys.verify(public, message, signature) for signature in signatures):
        raise EnvelopeError("it is not signed by the key that is trusted for it")
    return payload


def _to_be_signed(payload: bytes, kind: str) -> bytes:
    """DSSE's pre-authentication encoding."""
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
