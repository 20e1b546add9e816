"""Key files: what we write `cryptography` reads, and the other way round."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x25519

from edge.wire import keys

SEED = bytes(range(32))
OURS = keys.private_key(SEED)
THEIRS = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)


def private_pem(key: Any, password: bytes | None = None) -> str:
    hidden = pem.BestAvailableEncryption(password) if password else pem.NoEncryption()
    return str(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, hidden), "ascii")


def public_pem(key: Any) -> str:
    form = pem.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_bytes(pem.Encoding.PEM, form), "ascii")


def test_the_same_seed_is_the_same_key() -> None:
    assert OURS.public == THEIRS.public_key().public_bytes_raw()
    assert OURS.sign(b"message") == THEIRS.sign(b"message")


def test_files_are_the_same_on_both_sides() -> None:
    assert keys.private_to_pem(OURS) == private_pem(THEIRS)
    assert keys.public_to_pem(OURS.public) == public_pem(THEIRS.public_key())


def test_they_read_ours() -> None:
    read = pem.load_pem_private_key(keys.private_to_pem(OURS).encode(), None)
    assert isinstance(read, ed25519.Ed25519PrivateKey)
    assert read.private_bytes_raw() == SEED
    public = pem.load_pem_public_key(keys.public_to_pem(OURS.public).encode())
    assert isinstance(public, ed25519.Ed25519PublicKey)
    assert public.public_bytes_raw() == OURS.public


def test_we_read_theirs() -> None:
    assert keys.private_from_pem(private_pem(THEIRS)).public == OURS.public
    assert keys.private_from_pem(private_pem(THEIRS)).sign(b"m") == THEIRS.sign(b"m")
    assert keys.public_from_pem(public_pem(THEIRS.public_key())) == OURS.public


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_white_space_around_a_file_does_no_harm(line_end: str) -> None:
    text = "\n" + keys.private_to_pem(OURS).replace("\n", line_end) + "\n\n"
    assert keys.private_from_pem(text).public == OURS.public


WRONG_PRIVATE = {
    "empty": "",
    "words": "not a key",
    "public": public_pem(THEIRS.public_key()),
    "encrypted": private_pem(THEIRS, b"secret"),
    "x25519": private_pem(x25519.X25519PrivateKey.from_private_bytes(SEED)),
    "ed448": private_pem(ed448.Ed448PrivateKey.from_private_bytes(bytes(57))),
    "p256": private_pem(ec.derive_private_key(7, ec.SECP256R1())),
    "cut": private_pem(THEIRS)[:-40],
    "no end": private_pem(THEIRS).rsplit("-----END")[0],
    "other begin": private_pem(THEIRS).replace("BEGIN PRIVATE", "BEGIN PUBLIC"),
    "other end": private_pem(THEIRS).replace("END PRIVATE", "END PUBLIC"),
    "torn base64": private_pem(THEIRS).replace("MC4", "M*4"),
    "one byte less": keys._pem("PRIVATE KEY", keys._PRIVATE_DER + SEED[:-1]),
    "one byte more": keys._pem("PRIVATE KEY", keys._PRIVATE_DER + SEED + b"\0"),
    "two keys": private_pem(THEIRS) + private_pem(THEIRS),
}
WRONG_PUBLIC = {
    "empty": "",
    "private": private_pem(THEIRS),
    "x25519": public_pem(x25519.X25519PrivateKey.from_private_bytes(SEED).public_key()),
    "p256": public_pem(ec.derive_private_key(7, ec.SECP256R1()).public_key()),
    "one byte less": keys._pem("PUBLIC KEY", keys._PUBLIC_DER + SEED[:-1]),
    "base64 alone": keys.public_to_text(OURS.public),
}


@pytest.mark.parametrize("text", WRONG_PRIVATE.values(), ids=WRONG_PRIVATE)
def test_what_is_no_private_key(text: str) -> None:
    with pytest.raises(keys.KeyFileError, match="not an Ed25519 private key in PEM form"):
        keys.private_from_pem(text)


@pytest.mark.parametrize("text", WRONG_PUBLIC.values(), ids=WRONG_PUBLIC)
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(keys.KeyFileError, match="not an Ed25519 public key in PEM form"):
        keys.public_from_pem(text)


def test_public_keys_as_text() -> None:
    assert keys.public_from_text(keys.public_to_text(OURS.public)) == OURS.public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AAAA",
        "*" * 44,
        base64.b64encode(bytes(31)).decode(),
        base64.b64encode(SEED * 2).decode(),
    ],
)
def test_what_is_no_public_key_as_text(text: str) -> None:
    with pytest.raises(keys.KeyFileError, match="32 bytes of base64 were expected"):
        keys.public_from_text(text)


def test_a_new_key_is_new() -> None:
    assert keys.private_key().public != keys.private_key().public


def test_a_private_key_does_not_show_itself() -> None:
    assert repr(OURS) == str(OURS) == f"PrivateKey(kid={OURS.kid.hex()})"
    secret = SEED.hex()
    assert secret not in repr(OURS)
    assert secret not in f"{[OURS]}"


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_verifies_nothing(length: int) -> None:
    """libsodium would read 32 bytes from wherever it is pointed to."""
    assert not keys.verify((OURS.public * 2)[:length], b"m", OURS.sign(b"m"))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_none(length: int) -> None:
    signature = (OURS.sign(b"m") + b"m")[:length]
    assert not keys.verify(OURS.public, b"m" if length < 65 else b"", signature)
