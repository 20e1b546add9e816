"""One code, from the text of its symbol to a verdict, beside what others need for less."""

import base64
import json
import time

import cwt
import pyseto
from nacl.bindings import crypto_sign_open

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Now, interval
from edge.judge.verdict import Genuine, Place, TrustState, verify
from edge.wire import code, holder, keys
from edge.wire.code import Code, Colour
from edge.wire.trust import Trust
from tests.bench.figure import Figure, median, race, ratio
from tests.conftest import CITY, issuers


def sub(number: int) -> str:
    """A day handle of its own for each number."""
    return base64.urlsafe_b64encode(number.to_bytes(8, "big")).rstrip(b"=").decode()


def text(at_s: int, signer: keys.PrivateKey = CITY, **claims: object) -> str:
    """A green code of `signer`, issued at `at_s` for an hour."""
    said = {"colour": Colour.GREEN, "sub": sub(0), "iat_s": at_s, "exp_s": at_s + 3600} | claims
    return code.encode(Code(**said), signer)  # type: ignore[arg-type]


def paseto(at_s: int) -> tuple[str, pyseto.KeyInterface]:
    """The same claims as a PASETO v4.public token, and the key that opens it."""
    claims = {"sub": sub(0), "iat": at_s, "exp": at_s + 3600, "colour": 1}
    private = pyseto.Key.new(version=4, purpose="public", key=keys.private_to_pem(CITY))
    public = pyseto.Key.new(version=4, purpose="public", key=keys.public_to_pem(CITY.public))
    return pyseto.encode(private, json.dumps(claims).encode()).decode(), public


def figures(rounds: int) -> list[Figure]:
    """Text to verdict against libsodium's bare verify of the same bytes, python-cwt and pyseto.

    python-cwt is given the bytes and checks the COSE_Sign1 alone; pyseto opens a PASETO v4 token
    of the same claims. Neither decodes Base45 nor judges.
    """
    at_s = int(time.time())
    symbol = text(at_s).encode()
    believed = TrustState(Trust(issuers(at_s)), signed_s=at_s)
    place, now, floors = Place(frozenset({"campus"})), Now(interval(at_s + 10), 0), IssuerFloors()
    signed = code.decode(symbol)
    assert isinstance(signed, code.SignedCode)
    bare = signed.signature + signed.message
    raw = code.base45_decode(symbol.removeprefix(code.PREFIX))
    assert raw is not None
    cose = cwt.COSE.new()
    key = cwt.COSEKey.from_pem(keys.public_to_pem(CITY.public), alg=-19, kid=CITY.kid)
    token, paseto_key = paseto(at_s)
    phone = keys.private_key(bytes(range(32)))
    held = holder.encode(text(at_s, cnf=phone.public), at_s + 9, None, phone).encode()
    tag = b"\xd2"  # COSE_Sign1 of RFC 9052: python-cwt wants it, the code's prefix says it

    assert isinstance(verify(symbol, believed, place, now, floors), Genuine)
    assert isinstance(verify(held, believed, place, now, floors), Genuine)
    assert sub(0).encode() in bytes(pyseto.decode(paseto_key, token).payload)
    assert cose.decode(tag + raw, key) in signed.message
    times = race(
        {
            "check": lambda: verify(symbol, believed, place, now, floors),
            "libsodium": lambda: crypto_sign_open(bare, CITY.public),
            "holder": lambda: verify(held, believed, place, now, floors),
            "python-cwt": lambda: cose.decode(tag + raw, key),
            "pyseto": lambda: pyseto.decode(paseto_key, token),
        },
        rounds=rounds,
        calls=200,
    )
    ours, bare_times, theirs = times["check"], times["libsodium"], times["python-cwt"]
    both, other = times["holder"], times["pyseto"]
    return [
        Figure("check_us", "one code, text to verdict", median(ours) * 1e6, "us"),
        Figure("libsodium_us", "libsodium's verify alone", median(bare_times) * 1e6, "us"),
        Figure("holder_us", "one holder code, text to verdict", median(both) * 1e6, "us"),
        Figure("pyseto_us", "pyseto, a token of the same claims", median(other) * 1e6, "us"),
        Figure("cwt_us", "python-cwt, its COSE_Sign1 only", median(theirs) * 1e6, "us"),
        Figure(
            "check_by_libsodium", "  text to verdict / libsodium", ratio(ours, bare_times), "x", 1.6
        ),
        Figure(
            "holder_by_libsodium", "  holder code / libsodium", ratio(both, bare_times), "x", 3.3
        ),
        Figure("pyseto_by_libsodium", "  pyseto / libsodium", ratio(other, bare_times), "x"),
        Figure("cwt_by_libsodium", "  python-cwt / libsodium", ratio(theirs, bare_times), "x"),
    ]
