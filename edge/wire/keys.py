"""Ed25519 keys (RFC 8032) and the PEM files that hold them (RFC 8410). The one user of PyNaCl."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from nacl.bindings import crypto_sign_open
from nacl.exceptions import CryptoError
from nacl.signing import SigningKey

KEY_LEN = 32
SIGNATURE_LEN = 64
KID_LEN = 6

# RFC 8410 section 7 and 10.3: everything in such a file before the 32 bytes of the key.
_PRIVATE_DER = bytes.fromhex("302e020100300506032b657004220420")
_PUBLIC_DER = bytes.fromhex("302a300506032b6570032100")


class KeyFileError(ValueError):
    """A key file does not hold what it should; the message is one sentence for people."""


def kid(public: bytes) -> bytes:
    """Six bytes that name a key: the start of SHA-256 over its 32 raw bytes. They may collide."""
    return hashlib.sha256(public).digest()[:KID_LEN]


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the 64-byte `signature` of `message` was made by `public`; libsodium is strict."""
    if len(public) != KEY_LEN or len(signature) != SIGNATURE_LEN:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except CryptoError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A signing key; its repr shows the public name only."""

    _key: SigningKey
    public: bytes  # 32 bytes
    kid: bytes  # 6 bytes

    def __repr__(self) -> str:
        return f"PrivateKey(kid={self.kid.hex()})"

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message`."""
        return self._key.sign(message).signature


def private_key(seed: bytes | None = None) -> PrivateKey:
    """The key of a 32-byte `seed`, or a new one from the system's random source."""
    key = SigningKey.generate() if seed is None else SigningKey(seed)
    public = bytes(key.verify_key)
    return PrivateKey(key, public, kid(public))


def private_to_pem(key: PrivateKey) -> str:
    """PKCS #8, unencrypted: the file that holds it must be readable by its owner alone."""
    return _pem("PRIVATE KEY", _PRIVATE_DER + bytes(key._key))


def private_from_pem(text: str) -> PrivateKey:
    """Raises KeyFileError when `text` is not an unencrypted Ed25519 private key."""
    return private_key(_from_pem(text, "PRIVATE KEY", _PRIVATE_DER))


def public_to_pem(public: bytes) -> str:
    """SubjectPublicKeyInfo of 32 raw bytes."""
    return _pem("PUBLIC KEY", _PUBLIC_DER + public)


def public_from_pem(text: str) -> bytes:
    """Raises KeyFileError when `text` is not an Ed25519 public key."""
    return _from_pem(text, "PUBLIC KEY", _PUBLIC_DER)


def public_to_text(public: bytes) -> str:
    """32 raw bytes as base64, as documents and configurations hold them."""
    return base64.b64encode(public).decode("ascii")


def public_from_text(text: str) -> bytes:
    """Raises KeyFileError when `text` is not 32 bytes of base64."""
    try:
        public = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        public = b""
    if len(public) != KEY_LEN:
        raise KeyFileError(f"{text[:60]!r} is not a public key: 32 bytes of base64 were expected")
    return public


def _pem(label: str, der: bytes) -> str:
    body = base64.b64encode(der).decode("ascii")
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


def _from_pem(text: str, label: str, prefix: bytes) -> bytes:
    lines = text.strip().splitlines()
    wrong = KeyFileError(f"this is not an Ed25519 {label.lower()} in PEM form (RFC 8410)")
    if len(lines) < 3 or lines[0] != f"-----BEGIN {label}-----":
        raise wrong
    if lines[-1] != f"-----END {label}-----":
        raise wrong
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise wrong from None
    if not der.startswith(prefix) or len(der) != len(prefix) + KEY_LEN:
        raise wrong
    return der[len(prefix) :]
