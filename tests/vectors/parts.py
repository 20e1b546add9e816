"""What every case is put together from: keys, the door's world, and the bytes of a code.

A second hand: it shares no line with `edge`, signs with `cryptography`, and writes every byte by
itself, so that each can be put wrong. Source: edge/wire/README.md, sections 2 to 5.
"""

import base64
import hashlib
import zlib
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NOW_S = 1_800_000_000  # 2027-01-15 08:00 UTC
CLOCK_ERROR_S = 5
DAY_S = 86_400
HERE = "campus/north"
LIFE_S_MAX = DAY_S
SIGNED_S = NOW_S - 3600  # when the documents of the world were signed
BACK_S, AHEAD_S = 90, 60  # how far from ours a holder's time may be

L = 2**252 + 27742317777372353535851937790883648493  # the order of Ed25519's group
IDENTITY = b"\x01" + bytes(31)  # a point of order one

LABEL = {
    "sub": 2, "aud": 3, "exp": 4, "nbf": 5, "iat": 6, "cnf": 8, "scope": 9, "status": 65535,
    "colour": -65537, "party": -65538, "turns": -65539,
}  # fmt: skip
GREEN, YELLOW, RED = 1, 2, 3
SUB = "AAECAwQFBgc"  # the bytes 0 to 7


def seed(name: str) -> bytes:
    return hashlib.sha256(f"menshen vectors {name}".encode()).digest()


# Found by trying: the kid of this seed's key is also the kid of these 32 bytes (2^47 pairs).
TWIN_SEED = hashlib.sha256(b"menshen collision seed 1337847").digest()
TWIN_OTHER = hashlib.sha256(b"menshen collision key 25827809").digest()

SEEDS = {
    "city": seed("city"),  # for every door group of the site
    "city-old": seed("city-old"),  # the city's key before this one
    "office": seed("office"),  # for this door's group among others
    "hospital": seed("hospital"),  # for other groups only
    "twin": TWIN_SEED,
    "shop": seed("shop"),  # may say green only
    "harbour": seed("harbour"),  # for another site
    "stranger": seed("stranger"),  # no issuer at all
    "city-status": seed("city-status"),  # signs the city's status lists, and nothing else
    "phone": seed("phone"),  # a holder's
    "other-phone": seed("other-phone"),  # another holder's
}
KEYS = {name: Ed25519PrivateKey.from_private_bytes(s) for name, s in SEEDS.items()}
PUBLIC = {name: key.public_key().public_bytes_raw() for name, key in KEYS.items()}


def kid_of(public: bytes) -> bytes:
    return hashlib.sha256(public).digest()[:6]


KID = {name: kid_of(public) for name, public in PUBLIC.items()}


DOORS = {  # `heard_s`: when it was last said that these documents are the newest
    "north-1": {"site": "campus", "unit": "north-1", "groups": [HERE], "heard_s": SIGNED_S},
    # Its site wants a holder code, and one that names this very door.
    "ward-1": {"site": "ward", "unit": "ward-1", "groups": [HERE], "heard_s": SIGNED_S},
    # Nothing new has reached these two for eight days, and for 31; an hour is a long life here.
    "cellar-1": {
        "site": "cellar",
        "unit": "cellar-1",
        "groups": [HERE],
        "heard_s": NOW_S - DAY_S * 8,
    },
    "attic-1": {
        "site": "cellar",
        "unit": "attic-1",
        "groups": [HERE],
        "heard_s": NOW_S - DAY_S * 31,
    },
}


def world() -> dict[str, Any]:
    """What the doors believe, by the paths of the documents, and which doors there are."""

    def issuer(name: str, *keys: tuple[bytes, int, int], **terms: Any) -> Any:
        listed = [{"public": base64_of(p), "from_s": a, "until_s": b} for p, a, b in keys]
        return {"name": name, "keys": listed, "longest_life_s": LIFE_S_MAX, **terms}

    def site(name: str, **rules: Any) -> Any:
        return {"site": name, "version": 1, "signed_s": SIGNED_S, **rules}

    begin_s, change_s, end_s = NOW_S - 30 * DAY_S, NOW_S - 3600, NOW_S + 3600
    now = (begin_s, end_s)
    issuers = [
        issuer("city", (PUBLIC["city-old"], begin_s, change_s), (PUBLIC["city"], change_s, end_s)),
        issuer("office", (PUBLIC["office"], *now), groups=[HERE, "campus/east"]),
        issuer("hospital", (PUBLIC["hospital"], *now), groups=["hospital/main"]),
        issuer("shop", (PUBLIC["shop"], *now), sites=["campus", "ward"], colours=["green"]),
        issuer("harbour", (PUBLIC["harbour"], *now), sites=["harbour"]),
        issuer("namesake", (TWIN_OTHER, *now)),
        issuer("twin", (PUBLIC["twin"], *now)),
        issuer("weak", (IDENTITY, *now)),
    ]
    return {
        "why": "What some doors believe. The seeds are published: never trust these keys.",
        "clock_error_s": CLOCK_ERROR_S,
        "doors": DOORS,
        "seeds": {name: s.hex() for name, s in SEEDS.items()},
        "documents": {
            "issuers.json": {"version": 1, "signed_s": SIGNED_S, "issuers": issuers},
            "site/campus.json": site("campus"),
            "site/cellar.json": site("cellar", ages={"long_life_s": 3600}),
            "site/ward.json": site("ward", holder={"required": True, "door_named": True}),
            **{f"status/{name}.cwt": status_list(name, **said) for name, said in LISTS.items()},
        },
        "keys": {f"status/{name}.cwt": [base64_of(PUBLIC["city-status"])] for name in LISTS},
    }


LISTS: dict[str, dict[str, Any]] = {  # `set`: entry -> what it is, of `count` entries
    "city/1": {"set": {5: 1, 2007: 1}},
    "city/of-two-bits": {"set": {4: 1, 5: 2, 6: 3}, "bits": 2},
    "city/old": {"set": {5: 1}, "iat": NOW_S - 3 * DAY_S},
    "city/ended": {"set": {5: 1}, "exp": NOW_S - 60},
    "city/ending": {"set": {}, "exp": NOW_S},
    "city/ends-at-latest": {"set": {}, "exp": NOW_S + CLOCK_ERROR_S},
    "city/just-old": {"set": {}, "iat": NOW_S - CLOCK_ERROR_S - 2 * DAY_S},
    "city/not-yet-old": {"set": {}, "iat": NOW_S - CLOCK_ERROR_S - 2 * DAY_S + 1},
    "office/1": {"set": {5: 1}},
}


def status_list(
    name: str, set: dict[int, int], bits: int = 1, iat: int = SIGNED_S, exp: int | None = None
) -> Any:
    """A Token Status List (status.md) of 2008 entries, as a document of the world."""
    entries = bytearray(2008 * bits // 8)
    for entry, value in set.items():
        entries[entry * bits // 8] |= value << entry * bits % 8
    claims: dict[int, Any] = {2: name} | ({} if exp is None else {4: exp}) | {6: iat}
    size = len(entries)  # one stored block: each zlib would compress it to other bytes
    block = b"\x01" + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little")
    packed = b"\x78\x01" + block + bytes(entries) + zlib.adler32(entries).to_bytes(4, "big")
    claims[65533] = {"lst": packed, "bits": bits}
    header = cbor({1: -19, 4: KID["city-status"], 16: "application/statuslist+cwt"})
    return {"base64": base64_of(b"\xd2" + cose(cbor(claims), "city-status", header=header))}


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def head(major: int, n: int) -> bytes:
    """A CBOR head in its shortest form."""
    if n < 24:
        return bytes((major << 5 | n,))
    size = 1 if n < 256 else 2 if n < 65536 else 4
    return bytes((major << 5 | {1: 24, 2: 25, 4: 26}[size],)) + n.to_bytes(size, "big")


def bstr(data: bytes) -> bytes:
    return head(2, len(data)) + data


def cbor(value: Any) -> bytes:
    return cbor2.dumps(value)


def pairs(**claims: Any) -> list[tuple[bytes, bytes]]:
    """The plain code's claims with `claims` over them, as CBOR in the order of their labels.

    A value of bytes is taken for CBOR already; None leaves the claim out.
    """
    named = {"sub": SUB, "exp": NOW_S + 300, "iat": NOW_S - 60, "colour": GREEN, **claims}
    return [
        (cbor(LABEL[name]), named[name] if type(named[name]) is bytes else cbor(named[name]))
        for name in LABEL
        if named.get(name) is not None
    ]


def joined(entries: list[tuple[bytes, bytes]]) -> bytes:
    return head(5, len(entries)) + b"".join(k + v for k, v in entries)


def payload(**claims: Any) -> bytes:
    return joined(pairs(**claims))


def protected(kid: bytes, alg: int = -19) -> bytes:
    return b"\xa2\x01" + cbor(alg) + b"\x04" + bstr(kid)


def to_sign(header: bytes, content: bytes, aad: bytes = b"", context: str = "Signature1") -> bytes:
    return b"\x84" + cbor(context) + bstr(header) + bstr(aad) + bstr(content)


def cose(
    content: bytes,
    key: str = "city",
    *,
    header: bytes | None = None,
    unprotected: bytes = b"\xa0",
    signature: bytes | None = None,
    aad: bytes = b"",
    context: str = "Signature1",
) -> bytes:
    """An untagged COSE_Sign1."""
    header = protected(KID[key]) if header is None else header
    if signature is None:
        signature = KEYS[key].sign(to_sign(header, content, aad, context))
    return b"\x84" + bstr(header) + unprotected + bstr(content) + bstr(signature)


HOLDER_AAD = b"menshen-holder-1"
DOOR = "campus/north-1"  # what this door's label says


def cnf(key: str = "phone") -> Any:
    return {1: {1: 1, -1: 6, -2: PUBLIC[key]}}


def proof(iat: Any = NOW_S - 2, door: Any = None) -> bytes:
    """What the phone says: when, and at which door. A value of bytes is taken for CBOR already."""
    said = [(3, door), (6, iat)]
    return joined([(cbor(k), v if type(v) is bytes else cbor(v)) for k, v in said if v is not None])


def holder_protected(inner: bytes, alg: int = -19) -> bytes:
    """alg, and kcwt (13): the issuer's whole COSE_Sign1, an array, in no byte string."""
    return b"\xa2\x01" + cbor(alg) + b"\x0d" + inner


def wrapped(
    inner: bytes,
    content: bytes | None = None,
    key: str = "phone",
    *,
    header: bytes | None = None,
    unprotected: bytes = b"\xa0",
    signature: bytes | None = None,
    aad: bytes = HOLDER_AAD,
    context: str = "Signature1",
) -> bytes:
    """A holder code: the phone's COSE_Sign1 around the issuer's."""
    content = proof() if content is None else content
    header = holder_protected(inner) if header is None else header
    if signature is None:
        signature = KEYS[key].sign(to_sign(header, content, aad, context))
    return b"\x84" + bstr(header) + unprotected + bstr(content) + bstr(signature)


def base45(data: bytes) -> str:
    letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
    text = ""
    for at in range(0, len(data), 2):
        piece = data[at : at + 2]
        n = int.from_bytes(piece, "big")
        for _ in range(len(piece) + 1):
            n, digit = divmod(n, 45)
            text += letters[digit]
    return text


def text(raw: bytes) -> str:
    return "DC1:" + base45(raw)
