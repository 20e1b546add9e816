"""The cases: what is tried, why, and what a verifier must say of it.

What each expects is written by the law (edge/wire/README.md), never read off the verifier.
"""

import base64
import hashlib
import struct
from typing import Any

from tests.vectors.parts import (
    CLOCK_ERROR_S,
    DAY_S,
    GREEN,
    HERE,
    IDENTITY,
    KEYS,
    KID,
    LABEL,
    LIFE_S_MAX,
    NOW_S,
    PUBLIC,
    RED,
    SEEDS,
    SUB,
    YELLOW,
    L,
    bstr,
    cbor,
    cose,
    joined,
    kid_of,
    pairs,
    payload,
    protected,
    text,
)

CASES: dict[str, dict[str, Any]] = {}


def case(name: str, why: str, expect: str, what: str | bytes, **more: Any) -> None:
    """One file. `more`: now_s, clock, door, repeat, claims, key, holder."""
    assert name not in CASES, name
    shown = {"text": what} if isinstance(what, str) else {"base64": base64.b64encode(what).decode()}
    CASES[name] = {"why": why, "expect": expect, "now_s": NOW_S, **more, **shown}


def good(name: str, why: str, expect: str, key: str = "city", /, **claims: Any) -> None:
    """Well formed and well signed, whatever the verdict; what is no claim goes to the file."""
    more = {k: claims.pop(k) for k in ("now_s", "clock", "door") if k in claims}
    said = {"sub": SUB, "exp": NOW_S + 300, "iat": NOW_S - 60, "colour": GREEN, **claims}
    shown = {k: v.hex() if type(v) is bytes else v for k, v in said.items()}
    if "cnf" in said:
        said["cnf"] = {1: {1: 1, -1: 6, -2: said["cnf"]}}
    what = text(cose(payload(**said), key))
    case(name, why, expect, what, **more, claims=shown, key=key)


def torn(name: str, why: str, content: bytes) -> None:
    """Claims that no door code has, well signed: nothing but the claims is wrong."""
    case(name, why, "refused:malformed", text(cose(content)))


def wrong_cose(name: str, why: str, raw: bytes) -> None:
    case(name, why, "refused:malformed", text(raw))


def forged(name: str, why: str, raw: bytes) -> None:
    case(name, why, "refused:bad-signature", text(raw))


def wrong_text(name: str, why: str, what: str | bytes, **more: Any) -> None:
    case(name, why, "refused:malformed", what, **more)


def foreign(name: str, why: str, what: str | bytes, **more: Any) -> None:
    case(name, why, "not-a-door-code", what, **more)


def genuine_codes() -> None:
    good("green", "the plain code, nearly every code there is", "genuine:green")
    good("yellow", "genuine: what yellow means is the site's rule", "genuine:yellow", colour=YELLOW)
    good("red", "genuine: what red means is the site's rule", "genuine:red", colour=RED)
    good(
        "sub-all-letters", "- and _ are letters of a day handle", "genuine:green", sub="-_-_-_-_-_8"
    )
    good("aud-one-this-door", "one door group is written as a text", "genuine:green", aud=HERE)
    good(
        "aud-four-this-door-last",
        "one of its groups is this door's",
        "genuine:green",
        aud=["lab", "a/b.c_d-e", "x" * 32, HERE],
    )
    good(
        "scope-one-grant",
        "grants do not change what the verifier says",
        "genuine:green",
        scope="staff:acme",
    )
    good(
        "scope-four-grants",
        "the most that there may be",
        "genuine:green",
        scope="staff:acme slow " + "x" * 32 + " a.b_c-d",
    )
    good("party-nine", "the largest party", "genuine:green", party=9)
    good("party-two", "the smallest party that is written", "genuine:green", party=2)
    good("long", "a payload above 255 bytes has a head of three", "genuine:green",
         aud=[HERE, "b" * 32, "c" * 32, "d" * 32], scope=" ".join(c * 32 for c in "efgh"),
         nbf=NOW_S - 30, party=3, turns=[YELLOW, NOW_S + 100])  # fmt: skip
    good("nbf-past", "valid since 30 s", "genuine:green", nbf=NOW_S - 30)
    good(
        "turn-to-green-past",
        "its observation has ended",
        "genuine:green",
        colour=YELLOW,
        turns=[GREEN, NOW_S - 30],
    )
    good(
        "turn-to-green-to-come",
        "its observation has not ended",
        "genuine:yellow",
        colour=YELLOW,
        turns=[GREEN, NOW_S + 30],
    )
    good(
        "turn-to-green-now",
        "the moment is inside the clock's interval: the worse colour",
        "genuine:yellow",
        colour=YELLOW,
        turns=[GREEN, NOW_S],
    )
    good(
        "turn-to-green-at-earliest",
        "certainly turned",
        "genuine:green",
        colour=YELLOW,
        turns=[GREEN, NOW_S - CLOCK_ERROR_S],
    )
    good("turn-to-red-past", "a turn may be for the worse", "genuine:red", turns=[RED, NOW_S - 30])
    good("turn-to-red-to-come", "not yet", "genuine:green", turns=[RED, NOW_S + 30])
    good(
        "turn-to-red-at-latest",
        "perhaps turned: the worse colour",
        "genuine:red",
        turns=[RED, NOW_S + CLOCK_ERROR_S],
    )
    good(
        "issuer-for-this-group",
        "an issuer for some groups, this door's among them",
        "genuine:green",
        "office",
    )
    good(
        "life-longest",
        "exactly as long as its issuer may",
        "genuine:green",
        iat=NOW_S - 60,
        exp=NOW_S - 60 + LIFE_S_MAX,
    )
    good(
        "key-window-first-second",
        "a window begins with its first second",
        "genuine:green",
        iat=NOW_S - 3600,
    )
    good(
        "key-old-last-second",
        "the old key's last second; the code is still current",
        "genuine:green",
        "city-old",
        iat=NOW_S - 3601,
    )
    good(
        "kid-collides",
        "another trusted key has the same kid: both are tried",
        "genuine:green",
        "twin",
    )
    content, header = payload(), protected(KID["city"], -8)
    case(
        "alg-eddsa",
        "alg -8 (EdDSA) is read, never written",
        "genuine:green",
        text(cose(content, header=header)),
    )


def time_codes() -> None:
    early, late = NOW_S - CLOCK_ERROR_S, NOW_S + CLOCK_ERROR_S
    good("exp-long-past", "yesterday's", "refused:expired", iat=NOW_S - 1000, exp=NOW_S - 600)
    good("exp-at-earliest", "exp is exclusive", "refused:expired", exp=early)
    good("exp-after-earliest", "perhaps expired", "unsure:time-unknown", exp=early + 1)
    good("exp-now", "perhaps expired", "unsure:time-unknown", exp=NOW_S)
    good("exp-at-latest", "perhaps expired", "unsure:time-unknown", exp=late)
    good("exp-after-latest", "certainly current", "genuine:green", exp=late + 1)
    good(
        "iat-at-latest",
        "an issuer's clock may be a little ahead of ours",
        "genuine:green",
        iat=late,
    )
    good(
        "iat-after-latest",
        "issued in what is certainly the future",
        "refused:not-yet",
        iat=late + 1,
    )
    good("nbf-at-earliest", "certainly valid", "genuine:green", nbf=early)
    good("nbf-after-earliest", "perhaps not valid yet", "unsure:time-unknown", nbf=early + 1)
    good("nbf-at-latest", "perhaps not valid yet", "unsure:time-unknown", nbf=late)
    good("nbf-after-latest", "certainly not valid yet", "refused:not-yet", nbf=late + 1)
    good(
        "clock-unset",
        "without a time every code may have expired",
        "unsure:time-unknown",
        now_s=NOW_S - DAY_S,
        clock="unset",
    )
    good(
        "clock-unset-expired",
        "exp is before the earliest time that can be",
        "refused:expired",
        now_s=NOW_S + DAY_S,
        clock="unset",
    )
    good(
        "clock-unset-not-here",
        "for other doors at any time",
        "refused:not-here",
        now_s=NOW_S - DAY_S,
        clock="unset",
        aud="lab",
    )
    good(
        "clock-unset-turn-red-to-come",
        "a turn for the worse may have come as well",
        "unsure:time-unknown",
        now_s=NOW_S - DAY_S,
        clock="unset",
        turns=[RED, NOW_S + 30],
    )


def place_and_issuer_codes() -> None:
    good("aud-other-group", "for another door of the site", "refused:not-here", aud="campus/east")
    good(
        "aud-prefix-of-group",
        "names are equal or not: no hierarchy",
        "refused:not-here",
        aud="campus",
    )
    good(
        "aud-longer-than-group",
        "names are equal or not: no hierarchy",
        "refused:not-here",
        aud=HERE + "/1",
    )
    good(
        "aud-four-other-groups",
        "none of them is this door's",
        "refused:not-here",
        aud=["a", "b", "c", "d"],
    )
    good(
        "issuer-for-other-groups",
        "its issuer signs for the hospital",
        "refused:not-here",
        "hospital",
    )
    good(
        "issuer-for-other-groups-says-here",
        "what the code says of itself does not widen it",
        "refused:not-here",
        "hospital",
        aud=HERE,
    )
    good(
        "issuer-unknown",
        "signed well, by nobody this door knows",
        "unsure:unknown-issuer",
        "stranger",
    )
    good(
        "issuer-unknown-expired",
        "nothing is believed before the signature is, not even exp",
        "unsure:unknown-issuer",
        "stranger",
        iat=NOW_S - 1000,
        exp=NOW_S - 600,
    )
    good(
        "key-window-before",
        "issued before the key was in use",
        "refused:key-window",
        iat=NOW_S - 3601,
    )
    good(
        "key-window-end",
        "a window ends before its last second",
        "refused:key-window",
        "city-old",
        iat=NOW_S - 3600,
    )
    good("key-window-after", "the old key still signs", "refused:key-window", "city-old")
    good(
        "life-too-long",
        "one second longer than its issuer may",
        "refused:life-too-long",
        iat=NOW_S - 60,
        exp=NOW_S - 59 + LIFE_S_MAX,
    )
    good(
        "cnf-bare",
        "a holder's code without the phone's own signature",
        "refused:proof-missing",
        cnf=PUBLIC["stranger"],
    )
    good(
        "cnf-bare-expired",
        "the missing proof is said first",
        "refused:proof-missing",
        cnf=PUBLIC["stranger"],
        iat=NOW_S - 1000,
        exp=NOW_S - 600,
    )
    good(
        "status-no-list",
        "this door has no list",
        "unsure:status-unknown",
        status=[1234, "city/2027"],
    )
    good(
        "status-bit-largest",
        "the largest index",
        "unsure:status-unknown",
        status=[2**32 - 1, "city/2027"],
    )
    good(
        "status-expired",
        "refused outranks unsure",
        "refused:expired",
        status=[1234, "city/2027"],
        exp=NOW_S - CLOCK_ERROR_S,
    )
    good(
        "status-not-here",
        "refused outranks unsure",
        "refused:not-here",
        status=[1234, "city/2027"],
        aud="lab",
    )

    good("colour-of-a-green-issuer", "the one colour it may say", "genuine:green", "shop")
    good(
        "colour-not-allowed",
        "its issuer may say green only",
        "refused:colour-not-allowed",
        "shop",
        colour=YELLOW,
    )
    good(
        "colour-not-allowed-red",
        "its issuer may say green only, and nothing worse either",
        "refused:colour-not-allowed",
        "shop",
        colour=RED,
    )
    good(
        "colour-not-allowed-after-its-turn",
        "its issuer may not even announce another colour",
        "refused:colour-not-allowed",
        "shop",
        turns=[YELLOW, NOW_S + 100],
    )
    good(
        "colour-not-allowed-before-its-turn",
        "yellow until half a minute ago, by an issuer that may say green only",
        "refused:colour-not-allowed",
        "shop",
        colour=YELLOW,
        turns=[GREEN, NOW_S - 30],
    )
    good("issuer-for-this-site", "an issuer for two sites, this one too", "genuine:green", "shop",
         scope="staff:shop")  # fmt: skip
    good(
        "issuer-for-another-site",
        "its issuer signs for the harbour",
        "refused:not-here",
        "harbour",
    )
    good(
        "issuer-for-another-site-says-here",
        "what the code says of itself does not widen it",
        "refused:not-here",
        "harbour",
        aud=HERE,
    )


def status_codes() -> None:
    """Codes that may have been taken back, and lists that may be too old to deny it."""
    good("status-clear", "its entry is zero", "genuine:green", status=[4, "city/1"])
    good("status-clear-last", "the last entry but one", "genuine:green", status=[2006, "city/1"])
    good("status-clear-of-two-bits", "entries of two bits", "genuine:green",
         status=[3, "city/of-two-bits"])  # fmt: skip
    good("status-revoked", "its entry is set", "refused:revoked", status=[5, "city/1"])
    good("status-revoked-last", "the last entry", "refused:revoked", status=[2007, "city/1"])
    good("status-revoked-red", "colours do not matter", "refused:revoked", status=[5, "city/1"],
         colour=RED)  # fmt: skip
    for entry, value in ((4, "invalid"), (5, "suspended"), (6, "what the issuer likes")):
        good(f"status-revoked-{entry}-of-two-bits", f"{value}: all but zero counts as set",
             "refused:revoked", status=[entry, "city/of-two-bits"])  # fmt: skip
    good("status-revoked-in-an-old-list", "a set bit counts however old its list is",
         "refused:revoked", status=[5, "city/old"])  # fmt: skip
    good("status-revoked-in-an-ended-list", "a set bit counts however old its list is",
         "refused:revoked", status=[5, "city/ended"])  # fmt: skip
    good("status-revoked-and-trust-expired", "refused outranks unsure", "refused:revoked",
         door="attic-1", status=[5, "city/1"])  # fmt: skip
    good("status-revoked-and-perhaps-expired", "refused outranks unsure", "refused:revoked",
         status=[5, "city/1"], exp=NOW_S)  # fmt: skip
    good("status-revoked-and-expired", "what is said first is that it has expired",
         "refused:expired", status=[5, "city/1"], exp=NOW_S - CLOCK_ERROR_S)  # fmt: skip
    good("status-old", "a clear bit in a list of three days", "unsure:status-old",
         status=[4, "city/old"])  # fmt: skip
    good("status-ended", "a clear bit in a list that has ended", "unsure:status-old",
         status=[4, "city/ended"])  # fmt: skip
    good("status-perhaps-ended", "a list that may have ended", "unsure:status-old",
         status=[4, "city/ending"])  # fmt: skip
    good("status-ends-at-latest", "a list that may have just ended", "unsure:status-old",
         status=[4, "city/ends-at-latest"])  # fmt: skip
    good("status-just-old", "two days to the second: old from there on", "unsure:status-old",
         status=[4, "city/just-old"])  # fmt: skip
    good("status-not-yet-old", "a second less", "genuine:green", status=[4, "city/not-yet-old"])
    good("status-beyond-the-list", "the list does not go so far", "unsure:status-unknown",
         status=[2008, "city/1"])  # fmt: skip
    good("status-of-another-issuer", "the office's list says nothing of the city's codes",
         "unsure:status-unknown", status=[5, "office/1"])  # fmt: skip
    good("status-of-its-own-issuer", "the same entry, of the office's own code",
         "refused:revoked", "office", status=[5, "office/1"])  # fmt: skip
    good("status-shorter-name", "lists are called by their whole name", "unsure:status-unknown",
         status=[5, "1"])  # fmt: skip


def age_codes() -> None:
    """What a door believes was last confirmed some time ago: the site says what then."""
    hour = {"exp": NOW_S - 60 + 3600}
    good("trust-old", "old documents still do for a code of an hour", "genuine:green",
         door="cellar-1", **hour)  # fmt: skip
    good("trust-old-long-life", "an hour and a second is long there", "unsure:trust-old",
         door="cellar-1", exp=NOW_S - 59 + 3600)  # fmt: skip
    good("trust-old-long-life-expired", "refused outranks unsure", "refused:expired", "office",
         door="cellar-1", iat=NOW_S - 80_000, exp=NOW_S - 60)  # fmt: skip
    good("trust-old-and-perhaps-expired", "how old the documents are is said first",
         "unsure:trust-old", "office", door="cellar-1",
         iat=NOW_S - 80_000, exp=NOW_S)  # fmt: skip
    good("trust-expired", "too old for any code", "unsure:trust-expired", door="attic-1", **hour)
    good("trust-expired-red", "too old for any code", "unsure:trust-expired", door="attic-1",
         colour=RED)  # fmt: skip
    good("trust-expired-not-here", "refused outranks unsure", "refused:not-here", door="attic-1",
         aud="lab")  # fmt: skip


def torn_claims() -> None:
    for name in ("sub", "exp", "iat", "colour"):
        torn(f"{name}-missing", f"{name} is required", payload(**{name: None}))

    wrong: dict[str, tuple[str, Any]] = {
        "sub-bytes": ("a day handle is text", cbor(b"12345678")),
        "sub-number": ("a day handle is text", 12345),
        "sub-empty": ("a day handle has 11 characters", ""),
        "sub-short": ("a day handle has 11 characters", SUB[:-1]),
        "sub-long": ("a day handle has 11 characters", SUB + "A"),
        "sub-padded": ("base64url without padding", SUB + "="),
        "sub-line-feed": ("a line feed at the end is a character too", SUB + "\n"),
        "sub-loose-bits": ("the last character's two low bits are zero", SUB[:-1] + "d"),
        "sub-plus": ("base64url has - where base64 has +", "+" + SUB[1:]),
        "sub-not-utf8": ("text is UTF-8", b"\x6b" + b"\xff" * 11),
        "exp-text": ("a time is an integer", "1800000300"),
        "exp-float": ("a time is an integer", cbor(float(NOW_S + 300))),
        "exp-half-float": ("a time is an integer", b"\xf9\x7b\xff"),
        "exp-true": ("a time is an integer", b"\xf5"),
        "exp-null": ("a time is an integer", b"\xf6"),
        "exp-above-32-bits": ("a time is below 2^32", 2**32),
        "exp-64-bits": ("a time is below 2^32", 2**64 - 1),
        "exp-at-iat": ("exp is after iat", NOW_S - 60),
        "exp-before-iat": ("exp is after iat", NOW_S - 61),
        "exp-tag-bignum": ("no tags: a bignum", b"\xc2\x44" + struct.pack(">I", NOW_S + 300)),
        "exp-tag-date": ("no tags: a date", b"\xc1" + cbor(NOW_S + 300)),
        "exp-tag-date-text": ("no tags: a date as text", b"\xc0" + cbor("2027-01-15T08:05:00Z")),
        "exp-longer-than-needed": ("integers are shortest", b"\x1b" + struct.pack(">Q", NOW_S + 9)),
        "exp-reserved-head": ("CBOR reserves this head", b"\x1c"),
        "iat-text": ("a time is an integer", "1799999940"),
        "iat-negative": ("a time is not negative", -1),
        "iat-negative-32-bits": ("a time is not negative", -(2**31)),
        "iat-float": ("a time is an integer", cbor(float(NOW_S - 60))),
        "colour-zero": ("colours are 1, 2, 3", 0),
        "colour-four": ("colours are 1, 2, 3", 4),
        "colour-negative": ("colours are 1, 2, 3", -1),
        "colour-text": ("a colour is an integer", "green"),
        "colour-true": ("true is not 1", b"\xf5"),
        "colour-float": ("1.0 is not 1", b"\xf9\x3c\x00"),
        "colour-longer-than-needed": ("integers are shortest", b"\x18\x01"),
        "nbf-at-iat": ("nbf is after iat, or not written", NOW_S - 60),
        "nbf-before-iat": ("nbf is after iat", NOW_S - 61),
        "nbf-at-exp": ("nbf is before exp", NOW_S + 300),
        "nbf-text": ("a time is an integer", "1799999970"),
        "nbf-null": ("an absent claim is not written", b"\xf6"),
        "aud-number": ("a door group is text", 7),
        "aud-bytes": ("a door group is text", cbor(HERE.encode())),
        "aud-empty": ("a door group has a name", ""),
        "aud-empty-list": ("an absent claim is not written", []),
        "aud-list-of-one": ("one door group is written as a text", [HERE]),
        "aud-list-of-five": ("four door groups at most", [HERE, "a", "b", "c", "d"]),
        "aud-list-with-number": ("a door group is text", [HERE, 7]),
        "aud-nested-list": ("a door group is text", [HERE, ["a"]]),
        "aud-upper-case": ("names are lower-case", "Campus/north"),
        "aud-ends-with-slash": ("names end with a letter or digit", "campus/"),
        "aud-64-characters": ("63 characters at most", "a" * 64),
        "aud-line-feed": ("a line feed at the end is a character too", HERE + "\n"),
        "aud-other-script": ("names are ASCII", "校园"),
        "aud-indefinite-text": ("no indefinite lengths", b"\x7f\x66campus\x66/north\xff"),
        "aud-indefinite-list": ("no indefinite lengths", b"\x9f" + cbor(HERE) + b"\x61a\xff"),
        "aud-length-longer-than-needed": ("lengths are shortest", b"\x78\x0ccampus/north"),
        "aud-tag-regex": ("no tags: a regular expression", b"\xd8\x23" + cbor(".*")),
        "aud-tag-shared": ("no tags: a value that holds itself", b"\xd8\x1c\x81\xd8\x1d\x00"),
        "scope-empty": ("a grant has a name", ""),
        "scope-five-grants": ("four grants at most", "a b c d e"),
        "scope-two-blanks": ("one blank between grants", "a  b"),
        "scope-blank-at-end": ("one blank between grants", "a "),
        "scope-upper-case": ("grants are lower-case", "Staff"),
        "scope-33-characters": ("32 characters at most", "a" * 33),
        "scope-list": ("grants are one text", ["staff", "slow"]),
        "scope-line-feed": ("a line feed at the end is a character too", "staff\n"),
        "party-zero": ("1 to 9 people", 0),
        "party-one-written": ("a party of one is not written", 1),
        "party-ten": ("1 to 9 people", 10),
        "party-negative": ("1 to 9 people", -2),
        "party-text": ("a number", "2"),
        "party-true": ("true is not a number of people", b"\xf5"),
        "party-float": ("people are whole", b"\xf9\x40\x00"),
        "turns-text": ("a colour and a time", "green"),
        "turns-one": ("a colour and a time", [GREEN]),
        "turns-three": ("a colour and a time", [GREEN, NOW_S, 0]),
        "turns-map": ("a list", {GREEN: NOW_S}),
        "turns-colour-four": ("colours are 1, 2, 3", [4, NOW_S]),
        "turns-colour-text": ("colours are 1, 2, 3", ["green", NOW_S]),
        "turns-colour-list": ("colours are 1, 2, 3", [[GREEN], NOW_S]),
        "turns-colour-true": ("true is not 1", b"\x82\xf5" + cbor(NOW_S)),
        "turns-at-iat": ("a turn is after iat", [RED, NOW_S - 60]),
        "turns-at-exp": ("a turn is before exp", [RED, NOW_S + 300]),
        "turns-time-text": ("a time is an integer", [RED, "now"]),
        "status-map": ("the list's own form is not used here",
                       {"status_list": {"idx": 1, "uri": "city"}}),
        "status-number": ("an index and a list", 5),
        "status-one": ("an index and a list", [5]),
        "status-three": ("an index and a list", [5, "city", 1]),
        "status-negative": ("an index is not negative", [-1, "city"]),
        "status-above-32-bits": ("an index is below 2^32", [2**32, "city"]),
        "status-swapped": ("the index comes first", ["city", 5]),
        "status-list-upper-case": ("names are lower-case", [5, "City"]),
        "cnf-bytes": ("a COSE_Key under 1", b"\x58\x20" + PUBLIC["stranger"]),
        "cnf-text": ("a COSE_Key under 1", "k"),
        "cnf-list": ("a COSE_Key under 1", [{1: 1, -1: 6, -2: PUBLIC["stranger"]}]),
        "cnf-key-text": ("a COSE_Key under 1", {1: "key"}),
        "cnf-empty": ("a COSE_Key under 1", {}),
        "cnf-kid": ("the key itself, not its name", {3: KID["stranger"]}),
        "cnf-short-key": ("32 bytes", {1: {1: 1, -1: 6, -2: PUBLIC["stranger"][:31]}}),
        "cnf-long-key": ("32 bytes", {1: {1: 1, -1: 6, -2: PUBLIC["stranger"] + b"\0"}}),
        "cnf-x25519": ("a signing key (crv 6)", {1: {1: 1, -1: 4, -2: PUBLIC["stranger"]}}),
        "cnf-ec2": ("kty 1", {1: {1: 2, -1: 6, -2: PUBLIC["stranger"]}}),
        "cnf-with-alg": ("nothing but kty, crv, x",
                         {1: {1: 1, 3: -19, -1: 6, -2: PUBLIC["stranger"]}}),
        "cnf-private-key": ("nothing but kty, crv, x",
                            {1: {1: 1, -1: 6, -2: PUBLIC["stranger"], -4: SEEDS["stranger"]}}),
        "cnf-wrong-order": ("deterministic order",
                            b"\xa1\x01\xa3\x20\x06\x01\x01\x21" + bstr(PUBLIC["stranger"])),
    }  # fmt: skip
    for name, (why, value) in wrong.items():
        torn(name, why, payload(**{name.split("-")[0]: value}))


def torn_cbor() -> None:
    plain = pairs()
    torn(
        "claim-unknown-iss",
        "a claim of CWT that no door code has",
        joined([(cbor(1), cbor("city")), *plain]),
    )
    torn(
        "claim-unknown-cti",
        "a claim of CWT that no door code has",
        joined([*plain[:3], (cbor(7), bstr(b"id")), *plain[3:]]),
    )
    torn(
        "claim-unknown-private",
        "a private claim that is not defined",
        joined([*plain, (cbor(-65540), cbor(1))]),
    )
    torn("claim-text-label", "labels are integers", joined([*plain, (cbor("name"), cbor("Wang"))]))
    torn("claim-bytes-label", "labels are integers", joined([*plain, (bstr(b"a"), cbor(1))]))
    torn("claim-list-label", "labels are integers", joined([*plain, (cbor([1]), cbor(1))]))
    torn("claim-map-label", "labels are integers", joined([*plain, (cbor({1: 1}), cbor(1))]))
    torn(
        "claims-seventeen",
        "more claims than there are",
        joined([(cbor(n), cbor(0)) for n in range(17)]),
    )
    torn("duplicate-key-same", "a key twice, with one value", joined([*plain, plain[-1]]))
    torn(
        "duplicate-key-red-then-green",
        "readers differ in which value wins",
        joined([*plain[:3], (cbor(LABEL["colour"]), cbor(RED)), plain[3]]),
    )
    torn(
        "duplicate-key-green-then-red",
        "readers differ in which value wins",
        joined([*plain, (cbor(LABEL["colour"]), cbor(RED))]),
    )
    torn("order-colour-first", "keys in the order of their bytes", joined([plain[3], *plain[:3]]))
    torn(
        "order-iat-before-exp",
        "keys in the order of their bytes",
        joined([plain[0], plain[2], plain[1], plain[3]]),
    )
    torn(
        "label-longer-than-needed",
        "integers are shortest",
        joined([(b"\x18\x02", plain[0][1]), *plain[1:]]),
    )
    torn("map-length-longer-than-needed", "lengths are shortest", b"\xb8\x04" + payload()[1:])
    torn("map-indefinite", "no indefinite lengths", b"\xbf" + payload()[1:] + b"\xff")
    torn("map-length-too-small", "a claim behind the map", b"\xa3" + payload()[1:])
    torn("map-length-too-large", "a claim is missing at the end", b"\xa5" + payload()[1:])
    torn("payload-trailing-byte", "nothing after the claims", payload() + b"\x00")
    torn("payload-trailing-map", "nothing after the claims", payload() + payload(colour=RED))
    torn("payload-truncated", "the last claim has no value", payload()[:-1])
    torn("payload-empty", "no claims at all", b"")
    torn("payload-list", "claims are a map", cbor([SUB, NOW_S + 300, NOW_S - 60, GREEN]))
    torn("payload-text", "claims are a map", cbor("green"))
    torn("payload-tagged-cwt", "no tags: CWT", b"\xd8\x3d" + payload())
    torn("payload-self-described", "no tags: self-described CBOR", b"\xd9\xd9\xf7" + payload())
    torn("payload-deep", "900 lists in each other", b"\x81" * 900 + b"\x00")
    torn(
        "payload-length-bomb",
        "a text of 2^63 bytes is announced",
        joined([(cbor(2), b"\x7b\x80" + bytes(7)), *plain[1:]]),
    )
    torn(
        "payload-list-bomb",
        "a list of 2^32 - 1 items is announced",
        joined([plain[0], (cbor(3), b"\x9a\xff\xff\xff\xff"), *plain[1:]]),
    )


def torn_cose() -> None:
    content, kid = payload(), KID["city"]
    plain = cose(content)
    signature = plain[-64:]
    wrong_cose("cose-tagged", "the prefix names the type: no tag 18", b"\xd2" + plain)
    wrong_cose(
        "cose-tagged-cwt", "the prefix names the type: no tags 61, 18", b"\xd8\x3d\xd2" + plain
    )
    wrong_cose("cose-five-parts", "an array of four", b"\x85" + plain[1:] + b"\x00")
    wrong_cose("cose-three-parts", "an array of four", b"\x83" + plain[1:-66])
    wrong_cose("cose-indefinite-array", "no indefinite lengths", b"\x9f" + plain[1:] + b"\xff")
    wrong_cose("cose-trailing-byte", "nothing after the signature", plain + b"\x00")
    wrong_cose(
        "cose-payload-detached",
        "the payload is inside",
        b"\x84" + bstr(protected(kid)) + b"\xa0\xf6" + bstr(signature),
    )
    wrong_cose(
        "cose-payload-text",
        "the payload is a byte string",
        b"\x84" + bstr(protected(kid)) + b"\xa0\x78" + plain[15:],
    )
    wrong_cose(
        "cose-payload-length-longer-than-needed",
        "lengths are shortest",
        plain[:14] + b"\x59\x00" + plain[15:],
    )
    wrong_cose(
        "cose-payload-length-too-small",
        "bytes between payload and signature",
        plain[:15] + bytes((plain[15] - 1,)) + plain[16:],
    )
    wrong_cose(
        "cose-payload-indefinite",
        "no indefinite lengths",
        plain[:14] + b"\x5f" + plain[14:-66] + b"\xff" + plain[-66:],
    )
    wrong_cose(
        "cose-signature-length-longer-than-needed",
        "lengths are shortest",
        plain[:-66] + b"\x59\x00\x40" + signature,
    )
    wrong_cose("cose-signature-63-bytes", "64 bytes", plain[:-66] + bstr(signature[:-1]))
    wrong_cose("cose-signature-65-bytes", "64 bytes", plain[:-66] + bstr(signature + b"\0"))
    wrong_cose("cose-signature-empty", "64 bytes", plain[:-66] + b"\x40")
    wrong_cose("cose-too-long", "1024 bytes at most", cose(payload(scope="a" * 900)))
    wrong_cose(
        "unprotected-kid",
        "the unprotected header is empty",
        cose(content, unprotected=b"\xa1\x04" + bstr(kid)),
    )
    wrong_cose(
        "unprotected-alg",
        "the unprotected header is empty",
        cose(content, unprotected=b"\xa1\x01\x32"),
    )
    wrong_cose(
        "unprotected-indefinite", "no indefinite lengths", cose(content, unprotected=b"\xbf\xff")
    )
    wrong_cose("unprotected-missing", "an array of four", cose(content, unprotected=b""))
    for name, why, header in (
        ("alg-absent", "alg is required", b"\xa1\x04" + bstr(kid)),
        ("alg-es256", "alg -7 is another signature", protected(kid, -7)),
        ("alg-ed448", "alg -53 is another signature", protected(kid, -53)),
        ("alg-none", "alg 0 is reserved", protected(kid, 0)),
        ("alg-text", "alg is an integer", b"\xa2\x01" + cbor("EdDSA") + b"\x04" + bstr(kid)),
        ("alg-longer-than-needed", "integers are shortest",
         b"\xa2\x01\x38\x12\x04" + bstr(kid)),
        ("kid-absent", "kid is required", b"\xa1\x01\x32"),
        ("kid-8-bytes", "6 bytes", protected(kid + b"\0\0")),
        ("kid-5-bytes", "6 bytes", protected(kid[:5])),
        ("kid-empty", "6 bytes", protected(b"")),
        ("kid-text", "a byte string", b"\xa2\x01\x32\x04" + cbor("city-1")),
        ("protected-empty", "alg and kid are required", b""),
        ("protected-empty-map", "alg and kid are required", b"\xa0"),
        ("protected-wrong-order", "keys in the order of their bytes",
         b"\xa2\x04" + bstr(kid) + b"\x01\x32"),
        ("protected-content-type", "nothing but alg and kid",
         b"\xa3\x01\x32\x03\x18\x3d\x04" + bstr(kid)),
        ("protected-crit", "nothing but alg and kid",
         b"\xa3\x01\x32\x02\x81\x04\x04" + bstr(kid)),
        ("protected-trailing-byte", "nothing after the header", protected(kid) + b"\0"),
        ("protected-duplicate-alg", "a key twice",
         b"\xa3\x01\x32\x01\x26\x04" + bstr(kid)),
    ):  # fmt: skip
        wrong_cose(name, why, cose(content, header=header))
    wrong_cose(
        "protected-not-wrapped",
        "the protected header is a byte string",
        b"\x84" + protected(kid) + b"\xa0" + bstr(content) + bstr(signature),
    )


def forged_signatures() -> None:
    content, kid = payload(), KID["city"]
    plain = cose(content)
    first, s = plain[-64:-32], plain[-32:]

    def signed(signature: bytes) -> bytes:
        return cose(content, signature=signature)

    def flipped(bit: int) -> bytes:
        return (int.from_bytes(plain, "little") ^ 1 << bit).to_bytes(len(plain), "little")

    end = 8 * len(plain)
    forged("signature-first-bit", "one bit of R", flipped(end - 512))
    forged("signature-last-bit", "the highest bit of S", flipped(end - 1))
    forged("signature-middle-bit", "the lowest bit of S", flipped(end - 256))
    forged("signature-zeros", "64 zeros", signed(bytes(64)))
    forged("signature-ones", "64 bytes of ff", signed(b"\xff" * 64))
    forged(
        "signature-malleated",
        "S + L: the same point, other bytes",
        signed(first + (int.from_bytes(s, "little") + L).to_bytes(32, "little")),
    )
    forged(
        "signature-negated",
        "L - S",
        signed(first + (L - int.from_bytes(s, "little")).to_bytes(32, "little")),
    )
    forged("signature-halves-swapped", "S before R", signed(s + first))
    forged("signature-small-order-point", "R of order one, S of zero", signed(IDENTITY + bytes(32)))
    forged(
        "key-small-order",
        "a trusted key of order one fits any message to R = 1, S = 0",
        cose(content, header=protected(kid_of(IDENTITY)), signature=IDENTITY + bytes(32)),
    )
    forged(
        "signature-of-another-code",
        "the yellow code's signature on a green one",
        signed(cose(payload(colour=YELLOW))[-64:]),
    )
    forged(
        "signature-of-the-payload",
        "the bare claims were signed",
        signed(KEYS["city"].sign(content)),
    )
    forged(
        "signature-of-other-context",
        "signed as a COSE_Sign's signature",
        cose(content, context="Signature"),
    )
    forged(
        "signature-of-counter-context",
        "signed as a counter-signature",
        cose(content, context="CounterSignature"),
    )
    forged(
        "signature-with-external-aad",
        "signed with a holder's external_aad",
        cose(content, aad=b"menshen-holder-1"),
    )
    forged(
        "signature-by-stranger",
        "the city's kid, a stranger's signature",
        cose(content, "stranger", header=protected(kid)),
    )
    forged(
        "signature-by-other-issuer",
        "the city's kid, the office's signature",
        cose(content, "office", header=protected(kid)),
    )
    forged(
        "kid-of-other-issuer",
        "the office's kid, the city's signature",
        cose(content, header=protected(KID["office"])),
    )
    forged(
        "kid-collides-forged",
        "two keys have this kid and neither signed it",
        cose(content, "stranger", header=protected(KID["twin"])),
    )
    forged(
        "alg-changed-after-signing",
        "-19 made -8: the header is signed too",
        plain.replace(b"\x01\x32", b"\x01\x27", 1),
    )
    forged(
        "colour-changed-after-signing",
        "red made green",
        cose(payload(), signature=cose(payload(colour=RED))[-64:]),
    )
    forged(
        "exp-changed-after-signing",
        "five minutes made an hour",
        cose(payload(exp=NOW_S + 3600), signature=plain[-64:]),
    )
    forged(
        "sub-changed-after-signing",
        "another handle, to pass twice",
        cose(payload(sub="AAECAwQFBg8"), signature=plain[-64:]),
    )
    forged(
        "cnf-stripped",
        "a holder's code made a bearer's",
        cose(payload(), signature=cose(payload(cnf={1: {1: 1, -1: 6, -2: bytes(32)}}))[-64:]),
    )
    forged(
        "expired-and-forged",
        "a wrong signature is said before anything that it covers",
        cose(payload(exp=NOW_S - 59), "stranger", header=protected(kid)),
    )


def torn_texts() -> None:
    raw = cose(payload())
    plain = text(raw)
    wrong_text("signature-truncated", "the last three characters are cut off", plain[:-3])
    wrong_text("text-cut-in-half", "the first half", plain[: len(plain) // 2])
    wrong_text(
        "text-first-character-cut", "the body begins one character late", plain[:4] + plain[5:]
    )
    wrong_text("text-two-characters-swapped", "near the start", plain[:5] + plain[6] + plain[5]
               + plain[7:])  # fmt: skip
    wrong_text("text-prefix-only", "nothing behind the prefix", "DC1:")
    wrong_text("text-prefix-twice", "the prefix is not part of the body", "DC1:" + plain)
    wrong_text("text-twice", "two codes in one symbol", plain + plain)
    wrong_text("text-trailing-characters", "zeros behind it", plain + "000")
    wrong_text("text-trailing-blank", "a blank is a letter of Base45", plain + " ")
    wrong_text("text-trailing-line-feed", "no white space is forgiven", plain + "\n")
    wrong_text("text-trailing-nul", "a zero byte at the end", plain.encode() + b"\0")
    wrong_text("text-blank-after-prefix", "a blank is a letter of Base45", "DC1: " + plain[4:])
    wrong_text("text-lower-case", "Base45 has no lower-case letters", "DC1:" + plain[4:].lower())
    wrong_text("text-one-lower-case", "Base45 has no lower-case letters", plain[:-1] + "a")
    wrong_text("base45-foreign-character", "no underscore", plain[:20] + "_" + plain[21:])
    wrong_text("base45-not-ascii", "a letter from elsewhere", plain[:20] + "Ä" + plain[21:])
    wrong_text("base45-full-width-digit", "looks like a 1", plain[:20] + "１" + plain[21:])
    wrong_text("base45-length-3n-plus-1", "no encoder leaves one character", plain + "0")
    wrong_text("base45-above-65535", "GGW is 65536", plain[:4] + "GGW" + plain[7:])
    wrong_text("base45-largest-triplet", "::: is 91124", plain[:4] + ":::" + plain[7:])
    wrong_text("base45-pair-above-255", "U5 is 255, V5 is 256", plain[:-3] + "V5")
    wrong_text("base45-of-base45", "encoded twice", text(plain.encode()))
    wrong_text("text-base64", "base64 behind the prefix", "DC1:" + base64.b64encode(raw).decode())
    wrong_text("text-hex", "hex is Base45 too, of something else", "DC1:" + raw.hex().upper())
    wrong_text("text-zeros", "characters of a code's length, all 0", "DC1:" + "0" * 171)
    wrong_text(
        "text-10-mb", "far longer than any code", "DC1:", repeat={"text": "0", "times": 10_000_000}
    )
    wrong_text(
        "text-1541-characters",
        "one character more than the longest code",
        "DC1:",
        repeat={"text": "0", "times": 1537},
    )
    for n in range(4):
        noise = b"".join(hashlib.sha256(b"%d %d" % (n, i)).digest() for i in range(8))
        wrong_text(f"random-{n}", "random bytes, well encoded", text(noise[: 114 + n]))
        foreign(f"random-bare-{n}", "random bytes, not even a prefix", noise)
    wrong_text("random-behind-prefix", "random bytes behind the prefix", b"DC1:" + noise)

    foreign("text-empty", "an empty symbol", "")
    foreign("text-10-mb-foreign", "a very long poster", "", repeat={"text": "A", "times": 10**7})
    foreign("prefix-lower-case", "the prefix is upper-case", "dc1:" + plain[4:])
    foreign("prefix-of-another-version", "a later kind of code", "DC2:" + plain[4:])
    foreign("prefix-of-health-certificate", "the EU's certificate", "HC1:" + plain[4:])
    foreign("prefix-missing", "Base45 alone", plain[4:])
    foreign("prefix-without-colon", "three letters", "DC1" + plain[4:])
    foreign("prefix-after-blank", "nothing goes before the prefix", " " + plain)
    foreign("prefix-after-byte-order-mark", "nothing goes before the prefix", "\ufeff" + plain)
    foreign("poster", "a web address", "https://example.org/menu")
    foreign("json-web-token", "another kind of token", "eyJhbGciOiJFZERTQSJ9.e30.AA")
    foreign("cose-bare", "the signed bytes without a text", raw)


GROUPS = (
    genuine_codes,
    time_codes,
    place_and_issuer_codes,
    status_codes,
    age_codes,
    torn_claims,
    torn_cbor,
    torn_cose,
    forged_signatures,
    torn_texts,
)
