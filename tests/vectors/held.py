"""The cases of holder codes: a code for a phone, inside what that phone signs every few seconds."""

import struct
from typing import Any

from tests.vectors.cases import case, good
from tests.vectors.parts import (
    AHEAD_S,
    BACK_S,
    CLOCK_ERROR_S,
    DAY_S,
    DOOR,
    GREEN,
    HERE,
    HOLDER_AAD,
    IDENTITY,
    KEYS,
    KID,
    LIFE_S_MAX,
    NOW_S,
    PUBLIC,
    RED,
    SUB,
    YELLOW,
    L,
    bstr,
    cbor,
    cnf,
    cose,
    holder_protected,
    joined,
    payload,
    proof,
    protected,
    text,
    to_sign,
    wrapped,
)

WARD = "ward/ward-1"


def inner(key: str = "city", phone: str = "phone", /, **claims: Any) -> bytes:
    """The issuer's code for a phone."""
    return cose(payload(cnf=cnf(phone), **claims), key)


def held(
    name: str,
    why: str,
    expect: str,
    key: str = "city",
    /,
    shown_s: int = NOW_S - 2,
    at: str | None = None,
    phone: str = "phone",
    **claims: Any,
) -> None:
    """Well formed and well signed by both; `at` is the door that the phone names."""
    more = {k: claims.pop(k) for k in ("now_s", "clock", "door") if k in claims}
    said = {"sub": SUB, "exp": NOW_S + 300, "iat": NOW_S - 60, "colour": GREEN, **claims}
    what = text(wrapped(inner(key, phone, **said), proof(shown_s, at), phone))
    shown = said | {"cnf": PUBLIC[phone].hex()}
    holder = {"key": phone, "iat": shown_s} | ({} if at is None else {"door": at})
    case(name, why, expect, what, **more, claims=shown, key=key, holder=holder)


def torn(name: str, why: str, raw: bytes) -> None:
    case(f"holder-{name}", why, "refused:malformed", text(raw))


def unproven(name: str, why: str, raw: bytes) -> None:
    case(f"holder-{name}", why, "refused:bad-proof", text(raw))


def genuine_holders() -> None:
    held("holder-green", "the plain holder code, shown two seconds ago", "genuine:green")
    held("holder-yellow", "what yellow means is the site's rule", "genuine:yellow", colour=YELLOW)
    held("holder-red", "what red means is the site's rule", "genuine:red", colour=RED)
    held("holder-door-named", "the phone has read this door's label", "genuine:green", at=DOOR)
    held("holder-other-phone", "each code has its own phone", "genuine:green", phone="other-phone")
    held(
        "holder-with-every-claim",
        "the claims of the code inside count as ever",
        "genuine:yellow",
        at=DOOR,
        colour=YELLOW,
        aud=[HERE, "lab"],
        scope="staff:acme slow",
        nbf=NOW_S - 30,
        party=2,
        turns=[GREEN, NOW_S + 60],
    )
    held("holder-status-clear", "not taken back", "genuine:green", status=[4, "city/1"])
    held("holder-of-the-office", "an issuer for some groups", "genuine:green", "office")
    held(
        "holder-turned-to-green",
        "its observation has ended",
        "genuine:green",
        colour=YELLOW,
        turns=[GREEN, NOW_S - 30],
    )
    case(
        "holder-issuer-alg-eddsa",
        "the issuer's own alg may be -8, as it may be bare",
        "genuine:green",
        text(wrapped(cose(payload(cnf=cnf()), header=protected(KID["city"], -8)))),
    )
    held(
        "holder-at-ward",
        "a site that wants the door named, and it is",
        "genuine:green",
        at=WARD,
        door="ward-1",
    )
    early, late = NOW_S - CLOCK_ERROR_S, NOW_S + CLOCK_ERROR_S
    held("holder-time-oldest", "certainly in the window", "genuine:green", shown_s=late - BACK_S)
    held("holder-time-newest", "certainly in the window", "genuine:green", shown_s=early + AHEAD_S)
    held(
        "holder-before-its-code",
        "the phone's clock is behind the issuer's: no matter",
        "genuine:green",
        shown_s=NOW_S - 50,
        iat=NOW_S - 1,
    )


def refused_holders() -> None:
    early, late = NOW_S - CLOCK_ERROR_S, NOW_S + CLOCK_ERROR_S
    old = "refused:proof-old"
    held("holder-time-old", "certainly before the window", old, shown_s=early - BACK_S - 1)
    held("holder-time-screenshot", "two minutes old", old, shown_s=NOW_S - 120)
    held("holder-time-yesterday", "a picture of yesterday, of a code that lives a day", old,
         "office", shown_s=NOW_S - 70_000, iat=NOW_S - 80_000)  # fmt: skip
    unsure = "unsure:time-unknown"
    held("holder-time-perhaps-old", "the window's edge", unsure, shown_s=early - BACK_S)
    held("holder-time-perhaps-old-still", "the window's edge", unsure, shown_s=late - BACK_S - 1)
    held("holder-time-perhaps-ahead", "the window's edge", unsure, shown_s=early + AHEAD_S + 1)
    held("holder-time-perhaps-ahead-still", "the window's edge", unsure, shown_s=late + AHEAD_S)
    held("holder-time-90-s-before-its-code", "a phone may be so much behind; the rest is unsure",
         unsure, shown_s=NOW_S - 91, iat=NOW_S - 1)  # fmt: skip
    held("holder-clock-unset", "without a time every proof may be old", unsure,
         now_s=NOW_S - DAY_S, clock="unset")  # fmt: skip
    clock = "refused:phone-clock"
    held("holder-time-zero", "the phone's clock has never been set", clock, shown_s=0)
    held("holder-time-before-its-code", "signed 91 s before the code was issued", clock,
         shown_s=NOW_S - 92, iat=NOW_S - 1)  # fmt: skip
    held("holder-time-ahead", "a second after the window", clock, shown_s=late + AHEAD_S + 1)
    held("holder-time-tomorrow", "the phone is a day ahead", clock, shown_s=NOW_S + DAY_S)
    held("holder-time-largest", "the last time there is", clock, shown_s=2**32 - 1)

    other = "refused:other-door"
    held("holder-other-door", "made for the next door", other, at="campus/north-2")
    held("holder-other-site", "made for a door of another site", other, at="lab/north-1")
    held("holder-same-unit-of-ward", "shown at another site's door", other, at=WARD)
    held("holder-ward-other-door", "made for the next door", other, at="ward/ward-2", door="ward-1")
    held(
        "holder-ward-no-door",
        "a site that wants the door named, and it is not",
        "refused:door-not-named",
        door="ward-1",
    )
    good(
        "holder-ward-bearer",
        "a site that takes holder codes only",
        "refused:proof-missing",
        door="ward-1",
    )
    good(
        "holder-ward-stripped",
        "bare it is nothing, wherever",
        "refused:proof-missing",
        cnf=PUBLIC["phone"],
        door="ward-1",
    )

    held("holder-inner-expired", "proof is fresh, code is not", "refused:expired",
         iat=NOW_S - 1000, exp=NOW_S - 600)  # fmt: skip
    held(
        "holder-inner-not-yet",
        "begins later",
        "refused:not-yet",
        nbf=late + 1,
    )
    held("holder-inner-not-here", "for other groups", "refused:not-here", aud="campus/east")
    held("holder-inner-other-issuer-group", "for the hospital", "refused:not-here", "hospital")
    held("holder-inner-other-site", "for the harbour", "refused:not-here", "harbour")
    held("holder-inner-colour", "green only", "refused:colour-not-allowed", "shop", colour=RED)
    held("holder-inner-key-window", "the old key", "refused:key-window", "city-old")
    held(
        "holder-inner-life",
        "one second longer than its issuer may",
        "refused:life-too-long",
        exp=NOW_S - 59 + LIFE_S_MAX,
    )
    held(
        "holder-inner-unknown-issuer",
        "both sign well, and nobody here knows the issuer",
        "unsure:unknown-issuer",
        "stranger",
    )
    held("holder-inner-perhaps-expired", "perhaps expired", "unsure:time-unknown", exp=NOW_S)
    held("holder-inner-revoked", "taken back", "refused:revoked", status=[5, "city/1"])
    held("holder-inner-status-old", "a list of three days", "unsure:status-old",
         status=[4, "city/old"])  # fmt: skip
    good(
        "holder-stripped",
        "the phone's signature is taken off",
        "refused:proof-missing",
        cnf=PUBLIC["phone"],
    )


def forged_holders() -> None:
    code, content = inner(), proof()
    whole = wrapped(code)
    first, s = whole[-64:-32], whole[-32:]
    unproven("by-another-phone", "a friend's code in one's own wrapper",
             wrapped(code, key="other-phone"))  # fmt: skip
    unproven("by-the-issuer", "the issuer's key is not the phone's", wrapped(code, key="city"))
    unproven("aad-empty", "signed as any COSE_Sign1", wrapped(code, aad=b""))
    unproven(
        "aad-other-version", "signed for something else", wrapped(code, aad=b"menshen-holder-2")
    )
    unproven("aad-longer", "signed for something else", wrapped(code, aad=HOLDER_AAD + b"\0"))
    unproven("context-signature", "a COSE_Sign's signature", wrapped(code, context="Signature"))
    unproven(
        "signature-of-the-payload",
        "the bare payload was signed",
        wrapped(code, signature=KEYS["phone"].sign(content)),
    )
    unproven(
        "signature-without-kcwt",
        "the code is not under the signature",
        wrapped(code, signature=KEYS["phone"].sign(to_sign(b"", content, HOLDER_AAD))),
    )
    unproven("signature-zeros", "64 zeros", wrapped(code, signature=bytes(64)))
    unproven(
        "signature-malleated",
        "S + L: the same point, other bytes",
        wrapped(code, signature=first + (int.from_bytes(s, "little") + L).to_bytes(32, "little")),
    )
    unproven(
        "signature-last-bit",
        "the highest bit of S",
        whole[:-1] + bytes((whole[-1] ^ 0x80,)),
    )
    unproven(
        "time-changed-after-signing",
        "a screenshot of yesterday with the time of now",
        wrapped(code, content, signature=wrapped(code, proof(NOW_S - DAY_S))[-64:]),
    )
    unproven(
        "door-changed-after-signing",
        "made for the next door",
        wrapped(
            code, proof(door=DOOR), signature=wrapped(code, proof(door="campus/north-2"))[-64:]
        ),
    )
    unproven(
        "door-added-after-signing",
        "made for no door",
        wrapped(code, proof(door=DOOR), signature=whole[-64:]),
    )
    unproven(
        "code-changed-after-signing",
        "the proof of a red code around a green one of the same phone",
        wrapped(code, signature=wrapped(inner(colour=RED))[-64:]),
    )
    unproven(
        "renewed-code-for-a-friend",
        "a new code of another phone under the friend's last proof",
        wrapped(inner("city", "other-phone"), signature=whole[-64:]),
    )
    weak = {1: {1: 1, -1: 6, -2: IDENTITY}}
    unproven(
        "key-small-order",
        "a holder's key of order one fits any message to R = 1, S = 0",
        wrapped(cose(payload(cnf=weak)), signature=IDENTITY + bytes(32)),
    )
    for name, why, raw in (
        ("cnf-changed-after-signing", "the thief's key in the holder's place",
         wrapped(cose(payload(cnf=cnf("other-phone")), signature=code[-64:]), key="other-phone")),
        ("colour-changed-after-signing", "red made green by its own holder",
         wrapped(cose(payload(cnf=cnf()), signature=inner(colour=RED)[-64:]))),
        ("issued-by-the-phone", "the phone signs itself a code in the city's name",
         wrapped(cose(payload(cnf=cnf()), "phone", header=protected(KID["city"])))),
        ("issued-with-the-holders-aad", "an issuer's code signed with the proof's external_aad",
         wrapped(cose(payload(cnf=cnf()), aad=HOLDER_AAD))),
    ):  # fmt: skip
        case(f"holder-{name}", why, "refused:bad-signature", text(raw))


def torn_proofs() -> None:
    """What the phone says, in a form that it has not; the signatures are right."""
    code = inner()

    def said(name: str, why: str, content: bytes) -> None:
        torn(f"proof-{name}", why, wrapped(code, content))

    door, time = (cbor(3), cbor(DOOR)), (cbor(6), cbor(NOW_S - 2))
    said("unknown-claim", "a time and a door, nothing else", joined([time, (cbor(7), bstr(b"x"))]))
    said("exp", "a proof has no exp of its own", joined([(cbor(4), cbor(NOW_S + 60)), time]))
    said("cnf", "a proof names no key", joined([time, (cbor(8), cbor(cnf()))]))
    said("text-label", "labels are integers", joined([time, (cbor("door"), cbor(DOOR))]))
    said("no-time", "the time is required", joined([door]))
    said("empty-map", "the time is required", joined([]))
    said("empty", "the time is required", b"")
    said("list", "a map", cbor([NOW_S - 2]))
    said("time-text", "a time is an integer", proof(str(NOW_S)))
    said("time-float", "a time is an integer", proof(cbor(float(NOW_S))))
    said("time-true", "true is not a time", proof(b"\xf5"))
    said("time-null", "null is not a time", proof(b"\xf6"))
    said("time-negative", "a time is not negative", proof(-1))
    said("time-above-32-bits", "a time is below 2^32", proof(2**32))
    said("time-tag-date", "no tags: a date", proof(b"\xc1" + cbor(NOW_S)))
    said("time-longer-than-needed", "integers are shortest",
         proof(b"\x1b" + struct.pack(">Q", NOW_S)))  # fmt: skip
    said("door-bytes", "a door is text", proof(door=cbor(DOOR.encode())))
    said("door-empty", "a door has a name", proof(door=""))
    said("door-list", "one door", proof(door=[DOOR]))
    said("door-upper-case", "names are lower-case", proof(door="Campus/north-1"))
    said("door-no-site", "site and unit", proof(door="north-1"))
    said("door-three-parts", "site and unit", proof(door=DOOR + "/1"))
    said("door-line-feed", "a line feed at the end is a character too", proof(door=DOOR + "\n"))
    said("door-null", "an absent door is not written", proof(door=b"\xf6"))
    said("door-indefinite", "no indefinite lengths", proof(door=b"\x7f" + cbor(DOOR) + b"\xff"))
    said("order", "keys in the order of their bytes", joined([time, door]))
    said("duplicate-time", "a key twice, with one value", joined([time, time]))
    said("duplicate-door", "readers differ in which value wins",
         joined([(cbor(3), cbor("campus/north-2")), door, time]))  # fmt: skip
    said("label-longer-than-needed", "integers are shortest", joined([(b"\x18\x06", time[1])]))
    said("map-longer-than-needed", "lengths are shortest", b"\xb8\x01" + proof()[1:])
    said("map-indefinite", "no indefinite lengths", b"\xbf" + proof()[1:] + b"\xff")
    said("trailing-byte", "nothing after the map", proof() + b"\0")
    said("tagged", "no tags", b"\xd8\x3d" + proof())


def torn_wrappers() -> None:
    code, content = inner(), proof()
    whole = wrapped(code)
    signature = whole[-64:]
    head = holder_protected(code)

    def headed(name: str, why: str, header: bytes) -> None:
        torn(name, why, wrapped(code, header=header))

    headed("kcwt-in-a-byte-string", "the issuer's array itself", holder_protected(bstr(code)))
    headed("kcwt-tagged", "no tags: COSE_Sign1", holder_protected(b"\xd2" + code))
    headed("kcwt-tagged-cwt", "no tags: CWT", holder_protected(b"\xd8\x3d\xd2" + code))
    headed("kcwt-text", "an array", holder_protected(cbor(text(code))))
    headed("kcwt-empty", "an array of four", holder_protected(b"\x80"))
    headed("kcwt-absent", "a wrapper around nothing", b"\xa1\x01\x32")
    headed("kcwt-cut", "the issuer's signature is a byte short", holder_protected(code[:-1]))
    headed("kcwt-indefinite", "no indefinite lengths",
           holder_protected(b"\x9f" + code[1:] + b"\xff"))  # fmt: skip
    detached = b"\x84" + bstr(protected(KID["city"])) + b"\xa0\xf6" + code[-66:]
    headed("kcwt-detached", "the payload is inside", holder_protected(detached))
    headed("kcwt-twice", "a key twice", b"\xa3\x01\x32\x0d" + code + b"\x0d" + code)
    headed("kcwt-two-codes", "nothing after the issuer's code", head + code)
    headed("kcwt-claims-torn", "the code inside has no colour",
           holder_protected(cose(payload(cnf=cnf(), colour=None))))  # fmt: skip
    headed("kcwt-unprotected-header", "the code inside is as strict as it is bare",
           holder_protected(cose(payload(cnf=cnf()), unprotected=b"\xa1\x01\x32")))  # fmt: skip
    headed("header-order", "keys in the order of their bytes", b"\xa2\x0d" + code + b"\x01\x32")
    headed("header-kid", "nothing but alg and kcwt",
           b"\xa3\x01\x32\x04" + bstr(KID["phone"]) + b"\x0d" + code)  # fmt: skip
    headed("header-content-type", "nothing but alg and kcwt", b"\xa3\x01\x32\x03\x00\x0d" + code)
    headed("header-crit", "nothing but alg and kcwt", b"\xa3\x01\x32\x02\x81\x0d\x0d" + code)
    headed("header-label-longer", "integers are shortest", b"\xa2\x01\x32\x18\x0d" + code)
    headed("header-map-longer", "lengths are shortest", b"\xb8\x02" + head[1:])
    headed("header-trailing-byte", "nothing after the header", head + b"\0")
    headed("header-empty", "alg and kcwt are required", b"")
    headed("alg-eddsa", "alg -8 is not read here", holder_protected(code, -8))
    headed("alg-es256", "alg -7 is another signature", holder_protected(code, -7))
    headed("alg-absent", "alg is required", b"\xa1\x0d" + code)
    torn("unprotected-kid", "the unprotected header is empty",
         wrapped(code, unprotected=b"\xa1\x04" + bstr(KID["phone"])))  # fmt: skip
    torn("unprotected-kcwt", "kcwt is protected",
         wrapped(code, header=b"\xa1\x01\x32", unprotected=b"\xa1\x0d" + code))  # fmt: skip
    torn("tagged", "the prefix names the type: no tag 18", b"\xd2" + whole)
    torn("five-parts", "an array of four", b"\x85" + whole[1:] + b"\0")
    torn("indefinite-array", "no indefinite lengths", b"\x9f" + whole[1:] + b"\xff")
    torn("trailing-byte", "nothing after the signature", whole + b"\0")
    torn("signature-63-bytes", "64 bytes", whole[:-66] + bstr(signature[:-1]))
    torn("signature-of-the-issuer-last", "the two codes one after the other", whole + code)
    torn("header-length-longer", "lengths are shortest",
         b"\x84\x59\x00" + bytes((len(head),)) + whole[3:])  # fmt: skip
    torn("header-length-too-small", "bytes between header and payload",
         whole[:2] + bytes((whole[2] - 1,)) + whole[3:])  # fmt: skip
    torn("payload-detached", "the payload is inside",
         b"\x84" + bstr(head) + b"\xa0\xf6" + bstr(signature))  # fmt: skip
    long = b"\x58" + bytes((len(content),)) + content
    torn("payload-length-longer", "lengths are shortest",
         b"\x84" + bstr(head) + b"\xa0" + long + bstr(signature))  # fmt: skip
    torn("twice", "a wrapper in a wrapper", wrapped(whole))
    torn("twice-by-a-thief", "a wrapper in the thief's wrapper", wrapped(whole, key="other-phone"))
    torn("without-cnf", "the code inside is nobody's: any phone would do", wrapped(cose(payload())))
    torn("cut-in-half", "the first half", whole[: len(whole) // 2])
    torn("header-alone", "only the wrapper's head", whole[:7])


GROUPS = (genuine_holders, refused_holders, forged_holders, torn_proofs, torn_wrappers)
