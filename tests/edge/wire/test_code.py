"""The signed code: written, read, and hurt. Nothing that differs may be read as the same code."""

import string
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.clock.issuer_floors import IssuerFloors
from edge.clock.time_interval import Interval, Now
from edge.judge.verdict import Genuine, Place, TrustState, Unsure, verify
from edge.wire import cbor, code, holder, keys
from edge.wire.code import Code, Colour, ColourChange, Malformed, SignedCode, StatusEntry
from edge.wire.trust import IssuerEntry, IssuerKey, Issuers, Trust
from tests.vectors.door import case

NOW_S = 1_800_000_000
SIGNER = keys.private_key(bytes(range(32)))
LISTED = IssuerKey(keys.public_to_text(SIGNER.public), 0, code.TIME_S_MAX, offline=True)
TRUST = Trust(Issuers(1, 0, [IssuerEntry("city", [LISTED], code.TIME_S_MAX)]))
PLACE = Place(frozenset({"campus/north"}))
NOW = Interval(NOW_S - 5, NOW_S + 5, "system")

PLAIN = Code(colour=Colour.GREEN, sub="AAECAwQFBgc", iat_s=NOW_S - 60, exp_s=NOW_S + 300)
FULL = replace(
    PLAIN,
    colour=Colour.YELLOW,
    nbf_s=NOW_S - 30,
    aud=("campus/north", "lab"),
    scope="staff:acme slow",
    party=3,
    turns=ColourChange(Colour.GREEN, NOW_S + 100),
    status=StatusEntry(123456, "city/2027"),
    cnf=bytes(range(32)),
)

subs = st.builds(
    lambda begin, end: begin + end,
    st.text(string.ascii_letters + string.digits + "-_", min_size=10, max_size=10),
    st.sampled_from("AEIMQUYcgkosw048"),
)
names = st.from_regex(code._NAME, fullmatch=True)


@st.composite
def codes(draw: st.DrawFn) -> Code:
    """Any code inside the bounds of README.md, section 4."""
    iat_s = draw(st.integers(0, code.TIME_S_MAX - 2))
    exp_s = draw(st.integers(iat_s + 2, code.TIME_S_MAX))
    inside = st.integers(iat_s + 1, exp_s - 1)
    colours = st.sampled_from(Colour)
    return Code(
        colour=draw(colours),
        sub=draw(subs),
        iat_s=iat_s,
        exp_s=exp_s,
        nbf_s=draw(st.none() | inside),
        aud=tuple(draw(st.lists(names, max_size=4))),
        scope=draw(st.none() | st.from_regex(code._SCOPE, fullmatch=True)),
        party=draw(st.integers(1, 9)),
        turns=draw(st.none() | st.builds(ColourChange, colours, inside)),
        status=draw(st.none() | st.builds(StatusEntry, st.integers(0, code.TIME_S_MAX), names)),
        cnf=draw(st.none() | st.binary(min_size=32, max_size=32)),
    )


@given(codes())
@settings(max_examples=300)
def test_what_is_written_is_read(said: Code) -> None:
    text = code.encode(said, SIGNER).encode()
    signed = code.decode(text)
    assert isinstance(signed, SignedCode)
    assert signed.code == said
    assert signed.kid == SIGNER.kid
    assert keys.verify(SIGNER.public, signed.message, signed.signature)
    assert len(text) <= code.TEXT_LEN_MAX


OUT_OF_BOUNDS = [
    {"colour": 0},
    {"colour": 4},
    {"sub": ""},
    {"sub": "AAECAwQFBg"},
    {"sub": "AAECAwQFBgd"},
    {"sub": "AAECAwQFBgc\n"},
    {"iat_s": -1},
    {"iat_s": NOW_S + 300},
    {"exp_s": 2**32},
    {"exp_s": NOW_S - 60},
    {"exp_s": float(NOW_S)},
    {"exp_s": True},
    {"nbf_s": NOW_S - 60},
    {"nbf_s": NOW_S + 300},
    {"aud": ("a", "b", "c", "d", "e")},
    {"aud": ("",)},
    {"aud": ("Campus",)},
    {"aud": ("campus\n",)},
    {"aud": (7,)},
    {"scope": ""},
    {"scope": "a  b"},
    {"scope": "a b c d e"},
    {"scope": "a\n"},
    {"party": 0},
    {"party": 10},
    {"party": 2.0},
    {"turns": ColourChange(Colour.RED, NOW_S - 60)},
    {"turns": ColourChange(Colour.RED, NOW_S + 300)},
    {"turns": ColourChange(4, NOW_S)},
    {"status": StatusEntry(-1, "city")},
    {"status": StatusEntry(2**32, "city")},
    {"status": StatusEntry(1, "City")},
    {"cnf": b""},
    {"cnf": bytes(31)},
    {"cnf": bytes(33)},
]


@pytest.mark.parametrize("wrong", OUT_OF_BOUNDS, ids=str)
def test_what_cannot_be_read_is_not_written(wrong: dict[str, object]) -> None:
    said = replace(PLAIN, **wrong)
    with pytest.raises(ValueError, match="this code cannot be written"):
        code.encode(said, SIGNER)
    assert isinstance(code.claims_decode(code.claims_encode(said)), Malformed)


LARGEST = Code(
    colour=Colour.RED,
    sub=PLAIN.sub,
    iat_s=NOW_S,
    exp_s=code.TIME_S_MAX,
    nbf_s=NOW_S + 1,
    aud=("x" * 32,) * code.AUD_MAX,
    scope=" ".join(["x" * 32] * 4),
    party=code.PARTY_MAX,
    turns=ColourChange(Colour.GREEN, code.TIME_S_MAX - 1),
    status=StatusEntry(code.TIME_S_MAX, "x" * 32),
    cnf=bytes(32),
)


def test_the_largest_code_fits() -> None:
    text = code.encode(LARGEST, SIGNER).encode()
    signed = code.decode(text)
    assert isinstance(signed, SignedCode)
    assert signed.code == LARGEST
    raw = code.base45_decode(text[4:])
    assert raw is not None
    assert len(raw) <= code.CODE_LEN_MAX


def test_every_length_of_payload_is_written_and_read() -> None:
    """Its head has two bytes up to 255, then three."""
    lengths = set()
    for one in (18, 29):
        for extra in range(1, 33):
            doors = ("x" * 32, "x" * one, "x" * extra)
            said = replace(PLAIN, aud=doors, scope=LARGEST.scope)
            lengths.add(len(code.claims_encode(said)))
            signed = code.decode(code.encode(said, SIGNER).encode())
            assert isinstance(signed, SignedCode)
            assert signed.code == said
    assert {254, 255, 256, 257} <= lengths, sorted(lengths)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("text-10-mb", "longer than any door code"),
        ("text-1541-characters", "longer than any door code"),
        ("text-lower-case", "letters are not Base45"),
        ("cose-tagged", "not a COSE_Sign1 of this kind"),
        ("text-prefix-only", "not a COSE_Sign1 of this kind"),
        ("cose-payload-length-too-small", "payload has a wrong length"),
        ("exp-tag-date", "CBOR that no door code uses"),
        ("exp-float", "CBOR that no door code uses"),
        ("aud-tag-regex", "CBOR that no door code uses"),
        ("aud-tag-shared", "CBOR that no door code uses"),
        ("aud-indefinite-list", "CBOR that no door code uses"),
        ("exp-reserved-head", "CBOR that no door code uses"),
        ("payload-list-bomb", "CBOR that no door code uses"),
        ("payload-length-bomb", "CBOR that no door code uses"),
        ("claims-seventeen", "CBOR that no door code uses"),
        ("payload-deep", "claims are not CBOR"),
        ("sub-not-utf8", "claims are not CBOR"),
        ("payload-list", "claims are not a map"),
        ("sub-short", "day handle"),
        ("exp-at-iat", "times (iat, exp)"),
        ("colour-four", "colour is none of"),
        ("nbf-at-exp", "start (nbf)"),
        ("aud-empty", "doors (aud)"),
        ("scope-empty", "grants (scope)"),
        ("party-ten", "party"),
        ("turns-one", "turn is not a colour and a time"),
        ("turns-at-exp", "turn is not between"),
        ("status-map", "status"),
        ("cnf-short-key", "holder key (cnf)"),
        ("cnf-with-alg", "holder key (cnf)"),
        ("order-colour-first", "one deterministic form"),
        ("duplicate-key-same", "one deterministic form"),
        ("claim-unknown-iss", "one deterministic form"),
        ("payload-trailing-byte", "one deterministic form"),
        ("party-one-written", "one deterministic form"),
    ],
)
def test_what_is_wrong_is_said(name: str, why: str) -> None:
    said = code.decode(case(name).data())
    assert isinstance(said, Malformed)
    assert why in said.why


def test_a_text_of_the_greatest_length_is_looked_at() -> None:
    said = code.decode(code.PREFIX.ljust(code.TEXT_LEN_MAX, b"0"))
    assert isinstance(said, Malformed)
    assert "COSE_Sign1" in said.why


TEXTS = [code.encode(said, SIGNER).encode() for said in (PLAIN, FULL)]
texts = st.sampled_from(TEXTS)
letters = st.sampled_from([bytes((c,)) for c in code._ALPHABET])


@st.composite
def hurt_texts(draw: st.DrawFn) -> bytes:
    """A valid text with one to three wounds."""
    text = draw(texts)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        to = draw(st.integers(at, min(len(text), at + 40)))
        match draw(st.sampled_from(["cut", "splice", "extend", "flip", "swap", "end", "other"])):
            case "cut":
                text = text[:at] + text[to:]
            case "splice":
                text = text[:at] + text[at:to] * 2 + text[to:]
            case "extend":
                text = text[:at] + b"".join(draw(st.lists(letters, max_size=6))) + text[at:]
            case "flip":
                text = text[:at] + draw(letters) + text[at + 1 :]
            case "swap":
                text = text[:at] + text[at : at + 2][::-1] + text[at + 2 :]
            case "end":
                text += draw(st.binary(max_size=4))
            case "other":
                text = text[:at] + draw(texts)[at:]
    return text


@st.composite
def hurt_bytes(draw: st.DrawFn) -> bytes:
    """The same one layer further in, so that Base45 does not hide the wound."""
    raw = code.base45_decode(draw(texts)[4:])
    assert raw is not None
    at = draw(st.integers(0, len(raw) - 1))
    match draw(st.sampled_from(["bit", "cut", "insert", "swap", "append"])):
        case "bit":
            raw = raw[:at] + bytes((raw[at] ^ 1 << draw(st.integers(0, 7)),)) + raw[at + 1 :]
        case "cut":
            raw = raw[:at] + raw[draw(st.integers(at, len(raw))) :]
        case "insert":
            raw = raw[:at] + draw(st.binary(max_size=4)) + raw[at:]
        case "swap":
            raw = raw[:at] + raw[at : at + 2][::-1] + raw[at + 2 :]
        case "append":
            raw += draw(st.binary(max_size=4))
    return code.PREFIX + code.base45_encode(raw)


def check_never_believed(text: bytes) -> None:
    """Refused, not ours, or (where the kid was hit) of nobody we know; never the claims."""
    if text in TEXTS:
        return
    said = verify(text, TrustState(TRUST, signed_s=NOW_S), PLACE, Now(NOW, 0), IssuerFloors())
    assert not isinstance(said, Genuine)
    assert not isinstance(said, Unsure) or said.reason.name == "UNKNOWN_ISSUER"
    signed = code.decode(text)
    if isinstance(signed, SignedCode):
        assert not keys.verify(SIGNER.public, signed.message, signed.signature)


@given(hurt_texts())
@settings(max_examples=1500)
@example(TEXTS[0] + b"\n")
@example(b" " + TEXTS[0])
@example(TEXTS[0].lower())
def test_a_hurt_text_is_never_believed(text: bytes) -> None:
    check_never_believed(text)


@given(hurt_bytes())
@settings(max_examples=1500)
def test_a_hurt_cose_is_never_believed(text: bytes) -> None:
    check_never_believed(text)


def test_each_single_bit_counts() -> None:
    raw = code.base45_decode(TEXTS[0][4:])
    assert raw is not None
    for bit in range(8 * len(raw)):
        hurt = (int.from_bytes(raw, "big") ^ 1 << bit).to_bytes(len(raw), "big")
        check_never_believed(code.PREFIX + code.base45_encode(hurt))


def test_each_cut_and_each_doubled_character_counts() -> None:
    text = TEXTS[1]
    for at in range(len(text)):
        check_never_believed(text[:at])
        check_never_believed(text[:at] + text[at + 1 :])
        check_never_believed(text[: at + 1] + text[at:])


PAYLOADS = [code.claims_encode(said) for said in (PLAIN, FULL)]


@st.composite
def hurt_payloads(draw: st.DrawFn) -> bytes:
    payload = draw(st.sampled_from(PAYLOADS))
    at = draw(st.integers(0, len(payload)))
    to = draw(st.integers(at, min(len(payload), at + 8)))
    return payload[:at] + draw(st.binary(max_size=8)) + payload[to:]


@given(hurt_payloads() | st.binary(max_size=200))
@settings(max_examples=2000)
@example(b"\xa1" * 900)
@example(b"\x81" * 900 + b"\x00")
@example(b"\x5b" + b"\xff" * 8)
def test_claims_that_are_read_have_no_other_bytes(payload: bytes) -> None:
    """An honest issuer's hand slips: whatever is read at all is what would be written."""
    said = code.claims_decode(payload)
    if isinstance(said, Code):
        assert code.claims_encode(said) == payload
        signed = code.decode(code.encode(said, SIGNER).encode())
        assert isinstance(signed, SignedCode)
        assert signed.code == said


@given(st.binary(max_size=2000))
@settings(max_examples=300)
def test_any_bytes_are_answered(data: bytes) -> None:
    assert code.decode(data) is None or data.startswith(code.PREFIX)
    said = code.decode(code.PREFIX + data)
    assert isinstance(said, Malformed)
    assert said.why


@given(st.binary(max_size=1024))
@settings(max_examples=300)
def test_base45_both_ways(data: bytes) -> None:
    assert code.base45_decode(code.base45_encode(data)) == data


@given(st.lists(letters, max_size=60).map(b"".join))
@settings(max_examples=500)
def test_base45_has_one_text_for_any_bytes(text: bytes) -> None:
    data = code.base45_decode(text)
    if data is not None:
        assert code.base45_encode(data) == text


def test_a_signature_is_what_the_signer_says() -> None:
    class Deaf:
        kid = b"123456"

        def sign(self, message: bytes) -> bytes:
            return bytes(64)

    signed = code.decode(code.encode(PLAIN, Deaf()).encode())
    assert isinstance(signed, SignedCode)
    assert (signed.kid, signed.signature) == (b"123456", bytes(64))


USUAL = [
    code.claims_encode(Code(colour=colour, sub=sub, iat_s=iat_s, exp_s=iat_s + 300, cnf=cnf))
    for colour in Colour
    for sub in ("AAAAAAAAAAA", "zz-_9876540")
    for iat_s in (NOW_S, 65536, 2**32 - 400)
    for cnf in (None, bytes(range(32)), b"\n" * 32)
]


@pytest.mark.parametrize("payload", USUAL)
def test_the_usual_claims_are_read_at_a_look(payload: bytes) -> None:
    assert code.usual_claims(payload) == code.any_claims(payload) is not None


@given(
    st.sampled_from(USUAL),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3),
    st.integers(0, 80),
    st.binary(max_size=3),
)
@settings(max_examples=2000)
def test_what_is_read_at_a_look_is_read_alike_the_long_way(
    payload: bytes, changes: list[tuple[int, int]], cut: int, more: bytes
) -> None:
    hurt = bytearray(payload)
    for at, value in changes:
        hurt[at % len(hurt)] = value
    for each in (bytes(hurt), bytes(hurt[:cut]) + more, bytes(hurt) + more):
        found = code.usual_claims(each)
        assert found is None or found == code.any_claims(each)


@pytest.mark.parametrize(
    "payload",
    [
        USUAL[0].replace(b"\x1a" + NOW_S.to_bytes(4, "big"), b"\x1a\x00\x00\xff\xff"),  # iat 65535
        USUAL[0].replace(b"\xa4", b"\xa5"),
        USUAL[1].replace(b"\xa5", b"\xa4"),
        USUAL[0][:-1] + b"\x00",
        USUAL[0][:-1] + b"\x04",
        USUAL[0] + b"\n",
    ],
)
def test_what_only_looks_usual_is_not(payload: bytes) -> None:
    assert code.usual_claims(payload) is None
    assert isinstance(code.claims_decode(payload), code.Malformed)


@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 255))
def test_a_proofs_time_is_read_alike_both_ways(iat_s: int, at: int, value: int) -> None:
    phone = keys.private_key(bytes(32))
    said = Code(colour=Colour.GREEN, sub="AAAAAAAAAAA", iat_s=1, exp_s=2, cnf=phone.public)
    raw = code.unwrap(holder.encode(code.encode(said, SIGNER), iat_s, None, phone).encode())
    assert isinstance(raw, bytes)
    held = holder.read(raw)
    assert isinstance(held, holder.HolderCode)
    assert held.iat_s == iat_s
    if iat_s >= 65536:  # seven bytes: {6: four bytes}
        changed = bytearray(raw)
        changed[-66 - 7 + at] = value
        again = holder.read(bytes(changed))
        if isinstance(again, holder.HolderCode):
            assert cbor.encode({6: again.iat_s}) == changed[-66 - 7 : -66]
