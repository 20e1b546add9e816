"""The wounds: each takes what was valid and leaves something that no door may believe.

Three depths. *Signed* wounds break the form and then sign again with the real key, so that the
signature hides nothing: an issuer's or a phone's hand slips. *Raw* wounds hurt the COSE_Sign1
under a signature that was made before. *Text* wounds hurt the symbol's characters.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tests.fuzz.seeds import SEEDS, Entries, Seed
from tests.vectors.parts import (
    HOLDER_AAD,
    IDENTITY,
    KEYS,
    KID,
    NOW_S,
    PUBLIC,
    L,
    base45,
    bstr,
    cbor,
    cnf,
    cose,
    head,
    holder_protected,
    joined,
    kid_of,
    protected,
    to_sign,
    wrapped,
)

Rng = random.Random

LETTERS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
SPACES = (b" ", b"\n", b"\r\n", b"\t", b"\0", b"\xc2\xa0", b"\xef\xbb\xbf", b"\x0b", b"\x1d")
PREFIXES = (b"dc1:", b"Dc1:", b"DC1", b"DC2:", b"HC1:", b"", b"DC1::", b"DC1:DC1:", b" DC1:")
ALGS = (-8, -7, -35, -53, -257, 0, 1, 5, -19 - 2**32, 19)
TAGS = (b"\xd2", b"\xd8\x3d", b"\xd9\xd9\xf7", b"\xc1", b"\xc2", b"\xd8\x18", b"\xd8\x1c")
TEXTS = [seed.text() for seed in SEEDS]
RAWS = [seed.raw() for seed in SEEDS]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One hurt code and how it came about."""

    text: bytes
    seed: str
    wounds: tuple[str, ...]


def mutant(rng: Rng) -> Mutant:
    """One to four wounds on one of the seeds; the same `rng` gives the same mutant."""
    which = rng.randrange(len(SEEDS))
    seed, raw, wounds = SEEDS[which], RAWS[which], []
    dice = rng.random()
    if dice < 0.35:
        deep = rng.choice(SIGNED_HELD if seed.held and rng.random() < 0.7 else SIGNED)
        raw = deep(seed, rng)
        wounds.append(deep.__name__)
    if 0.35 <= dice < 0.7 or rng.random() < 0.1:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            wound = rng.choice(RAW)
            raw = wound(raw, rng)
            wounds.append(wound.__name__)
    text = b"DC1:" + base45(raw).encode() if wounds else TEXTS[which]
    if not wounds or rng.random() < 0.05:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            hurt = rng.choice(TEXT)
            text = hurt(text, rng)
            wounds.append(hurt.__name__)
    return Mutant(text, seed.name, tuple(wounds))


# -- signed again ----------------------------------------------------------------------------------


def issued(seed: Seed, payload: bytes, header: bytes | None = None) -> bytes:
    """`payload` as the issuer would sign it, and as the phone would show that."""
    header = protected(KID[seed.key], seed.alg) if header is None else header
    inner = cose(payload, seed.key, header=header)
    return shown(seed, inner)


def shown(seed: Seed, inner: bytes) -> bytes:
    return wrapped(inner, joined(list(seed.said)), seed.phone) if seed.held else inner


def loose(item: bytes, rng: Rng) -> bytes:
    """One CBOR item, said in a way that is not the one."""
    major, low = item[0] >> 5, item[0] & 31
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    value = int.from_bytes(item[1 : 1 + size], "big") if size else low
    rest = item[1 + size :]
    ways = [bytes((major << 5 | 27,)) + value.to_bytes(8, "big") + rest]
    ways += [rng.choice(TAGS) + item]
    if value < 2**16 and low < 25:
        ways.append(bytes((major << 5 | 25,)) + value.to_bytes(2, "big") + rest)
    if low < 24:
        ways.append(bytes((major << 5 | 24, value)) + rest)
    if major in (2, 3):
        ways.append(bytes((major << 5 | 31,)) + item + b"\xff")
    if major in (4, 5):
        ways.append(bytes((major << 5 | 31,)) + rest + b"\xff")
    if major == 0 and value < 2**24:
        ways.append(b"\xfa" + struct.pack(">f", value))
    if major == 0:
        size = max(1, (value.bit_length() + 7) // 8)
        ways.append(b"\xc2" + bstr(value.to_bytes(size, "big")))  # a bignum
    return rng.choice(ways)


def hurt_map(entries: Entries, rng: Rng) -> bytes:
    """A map with the same facts, or one fact too many, in a form that is not the one."""
    said = list(entries)
    at = rng.randrange(len(said))
    key, value = said[at]
    match rng.randrange(12):
        case 0:
            said[at] = (loose(key, rng), value)
        case 1:
            said[at] = (key, loose(value, rng))
        case 2:
            while len(said) > 1 and tuple(said) == entries:
                rng.shuffle(said)
            if len(said) == 1:
                said.append(said[0])
        case 3:
            said.insert(rng.randrange(len(said) + 1), said[at])  # twice, the same
        case 4:
            said.insert(rng.randrange(len(said) + 1), (key, cbor(rng.randrange(4))))
        case 5:
            said.append((cbor(rng.choice((1, 7, 10, 38, 39, -65540, "x"))), cbor(1)))
        case 6:
            return joined(said) + rng.choice((b"\0", b"\xa0", b"\xff", joined(said)))
        case 7:
            return b"\xbf" + joined(said)[1:] + b"\xff"
        case 8:
            return b"\xb8" + bytes((len(said),)) + joined(said)[1:]
        case 9:
            return rng.choice(TAGS) + joined(said)
        case 10:
            return head(5, len(said) + rng.choice((-1, 1, 4))) + joined(said)[1:]
        case _:
            return joined(said)[: -rng.randrange(1, 4)]
    return joined(said)


def claims_in_another_form(seed: Seed, rng: Rng) -> bytes:
    return issued(seed, hurt_map(seed.claims, rng))


def claim_of_a_wrong_kind(seed: Seed, rng: Rng) -> bytes:
    said = list(seed.claims)
    at = rng.randrange(len(said))
    kinds = (None, True, 1.5, -1, 2**64 - 1, "", b"", [], {}, "A" * 70, [[]], 2**32)
    said[at] = (said[at][0], cbor(rng.choice(kinds)))
    return issued(seed, joined(said))


def claim_missing(seed: Seed, rng: Rng) -> bytes:
    """One of the four that every code has."""
    gone = cbor(rng.choice((2, 4, 6, -65537)))
    return issued(seed, joined([entry for entry in seed.claims if entry[0] != gone]))


def header_in_another_form(seed: Seed, rng: Rng) -> bytes:
    entries = ((b"\x01", cbor(seed.alg)), (b"\x04", bstr(KID[seed.key])))
    return issued(seed, joined(list(seed.claims)), hurt_map(entries, rng))


def alg_of_another_kind(seed: Seed, rng: Rng) -> bytes:
    wrong = [alg for alg in ALGS if alg != -8]
    return issued(seed, joined(list(seed.claims)), protected(KID[seed.key], rng.choice(wrong)))


def unprotected_header(seed: Seed, rng: Rng) -> bytes:
    more = rng.choice((b"\xa1\x04" + bstr(KID[seed.key]), b"\xa1\x01\x32", b"\xbf\xff", b"\xb8\0"))
    return shown(seed, cose(joined(list(seed.claims)), seed.key, unprotected=more))


def signed_in_another_context(seed: Seed, rng: Rng) -> bytes:
    payload = joined(list(seed.claims))
    match rng.randrange(3):
        case 0:
            return shown(seed, cose(payload, seed.key, aad=HOLDER_AAD))
        case 1:
            return shown(seed, cose(payload, seed.key, aad=rng.randbytes(rng.randrange(1, 20))))
        case _:
            return shown(seed, cose(payload, seed.key, context="Signature"))


def signed_by_another(seed: Seed, rng: Rng) -> bytes:
    """The issuer's kid over a signature of somebody else's."""
    other = rng.choice([name for name in KEYS if name != seed.key])
    header = protected(KID[seed.key], seed.alg)
    return shown(seed, cose(joined(list(seed.claims)), other, header=header))


def signed_by_a_key_of_small_order(seed: Seed, rng: Rng) -> bytes:
    signature = rng.choice((IDENTITY, bytes(32))) + bytes(32)
    header = protected(kid_of(IDENTITY))
    return shown(seed, cose(joined(list(seed.claims)), header=header, signature=signature))


SIGNED: tuple[Callable[[Seed, Rng], bytes], ...] = (
    claims_in_another_form,
    claims_in_another_form,
    claims_in_another_form,
    claim_of_a_wrong_kind,
    claim_missing,
    header_in_another_form,
    alg_of_another_kind,
    unprotected_header,
    signed_in_another_context,
    signed_by_another,
    signed_by_a_key_of_small_order,
)

# -- the phone's own hand, or a thief's ------------------------------------------------------------


def proof_in_another_form(seed: Seed, rng: Rng) -> bytes:
    return wrapped(seed.inner(), hurt_map(seed.said, rng), seed.phone)


def proof_of_a_wrong_kind(seed: Seed, rng: Rng) -> bytes:
    kinds = (None, True, 1.5, -1, 2**64 - 1, "", b"", [], {}, "campus/North-1", 2**32)
    label = rng.choice((3, 6))
    said = [(3, cbor(rng.choice(kinds)))] if label == 3 else []
    said.append((6, cbor(NOW_S - 2) if label == 3 else cbor(rng.choice(kinds))))
    return wrapped(seed.inner(), joined([(cbor(k), v) for k, v in said]), seed.phone)


def proof_for_another_door(seed: Seed, rng: Rng) -> bytes:
    door = rng.choice(("campus/north-2", "campus", "lab/north-1", "campus/north-1/1", "a"))
    said = [(cbor(3), cbor(door)), (cbor(6), cbor(NOW_S - 2))]
    return wrapped(seed.inner(), joined(said), seed.phone)


def proof_of_another_time(seed: Seed, rng: Rng) -> bytes:
    off_s = rng.choice((-86400, -3600, -200, -120, 90, 200, 3600, 86400)) + rng.randrange(-9, 9)
    said = (*seed.said[:-1], (cbor(6), cbor(NOW_S + off_s)))
    return wrapped(seed.inner(), joined(list(said)), seed.phone)


def wrapper_stripped(seed: Seed, rng: Rng) -> bytes:
    return seed.inner()


def wrapped_for_another_phone(seed: Seed, rng: Rng) -> bytes:
    """A screenshot's thief puts his own proof around the code of his friend."""
    other = rng.choice([name for name in KEYS if name != seed.phone])
    return wrapped(seed.inner(), joined(list(seed.said)), other)


def wrapped_with_another_aad(seed: Seed, rng: Rng) -> bytes:
    aad = rng.choice(
        (b"", b"menshen-holder-2", b"menshen-holder-1\0", b"menshen-holder", rng.randbytes(16))
    )
    return wrapped(seed.inner(), joined(list(seed.said)), seed.phone, aad=aad)


def wrapped_in_another_context(seed: Seed, rng: Rng) -> bytes:
    context = rng.choice(("Signature", "CounterSignature", "signature1", "MAC0"))
    return wrapped(seed.inner(), joined(list(seed.said)), seed.phone, context=context)


def wrapped_with_another_alg(seed: Seed, rng: Rng) -> bytes:
    header = holder_protected(seed.inner(), rng.choice(ALGS))
    return wrapped(seed.inner(), joined(list(seed.said)), seed.phone, header=header)


def wrapped_in_another_form(seed: Seed, rng: Rng) -> bytes:
    entries = ((b"\x01", b"\x32"), (b"\x0d", seed.inner()))
    header = hurt_map(entries, rng)
    return wrapped(seed.inner(), joined(list(seed.said)), seed.phone, header=header)


def kcwt_in_a_byte_string(seed: Seed, rng: Rng) -> bytes:
    inner = seed.inner()
    kcwt = rng.choice((bstr(inner), b"\xd2" + inner, b"\xd8\x3d\xd2" + inner, b"\xd8\x18" + inner))
    header = holder_protected(kcwt)
    return wrapped(inner, joined(list(seed.said)), seed.phone, header=header)


def wrapper_with_more(seed: Seed, rng: Rng) -> bytes:
    more = rng.choice((b"\xa1\x04" + bstr(KID["phone"]), b"\xa1\x01\x32", b"\xbf\xff", b"\xf6"))
    return wrapped(seed.inner(), joined(list(seed.said)), seed.phone, unprotected=more)


def wrapped_twice(seed: Seed, rng: Rng) -> bytes:
    outer = rng.choice((seed.phone, "stranger", "city"))
    return wrapped(seed.raw(), joined(list(seed.said)), outer)


def wrapped_around_a_bearer_code(seed: Seed, rng: Rng) -> bytes:
    """A phone that no `cnf` names signs for a code that needs none."""
    claims = [entry for entry in seed.claims if entry[0] != cbor(8)]
    inner = cose(joined(claims), seed.key, header=protected(KID[seed.key], seed.alg))
    return wrapped(inner, joined(list(seed.said)), seed.phone)


def cnf_changed_after_signing(seed: Seed, rng: Rng) -> bytes:
    """The thief's key in the place of the holder's, under the issuer's old signature."""
    thief = rng.choice(
        [name for name in ("phone", "other-phone", "stranger") if name != seed.phone]
    )
    claims = [(k, cbor(cnf(thief)) if k == cbor(8) else v) for k, v in seed.claims]
    header = protected(KID[seed.key], seed.alg)
    inner = cose(joined(claims), seed.key, header=header, signature=seed.inner()[-64:])
    return wrapped(inner, joined(list(seed.said)), thief)


def proof_signed_bare(seed: Seed, rng: Rng) -> bytes:
    """Only the payload is signed, not the structure around it."""
    content = joined(list(seed.said))
    what = rng.choice((content, to_sign(b"", content, HOLDER_AAD), holder_protected(b"") + content))
    return wrapped(seed.inner(), content, signature=KEYS[seed.phone].sign(what))


def proof_changed_after_signing(seed: Seed, rng: Rng) -> bytes:
    """A screenshot of a minute ago with the time of now."""
    old = wrapped(seed.inner(), joined(list(seed.said)), seed.phone)
    said = (*seed.said[:-1], (cbor(6), cbor(NOW_S - 1 - rng.randrange(2) - 3 * rng.randrange(9))))
    if said == seed.said:
        said = (*seed.said[:-1], (cbor(6), cbor(NOW_S)))
    return wrapped(seed.inner(), joined(list(said)), signature=old[-64:])


def proof_of_another_code(seed: Seed, rng: Rng) -> bytes:
    """One phone's proof over one code, put around another code of the same phone."""
    other = cose(joined([*seed.claims[:1], *seed.claims[1:]]), "office")
    return wrapped(other, joined(list(seed.said)), signature=seed.raw()[-64:])


SIGNED_HELD: tuple[Callable[[Seed, Rng], bytes], ...] = (
    proof_in_another_form,
    proof_in_another_form,
    proof_of_a_wrong_kind,
    proof_for_another_door,
    proof_of_another_time,
    wrapper_stripped,
    wrapped_for_another_phone,
    wrapped_with_another_aad,
    wrapped_in_another_context,
    wrapped_with_another_alg,
    wrapped_in_another_form,
    kcwt_in_a_byte_string,
    wrapper_with_more,
    wrapped_twice,
    wrapped_around_a_bearer_code,
    cnf_changed_after_signing,
    proof_signed_bare,
    proof_changed_after_signing,
    proof_of_another_code,
)

# -- under a signature made before -----------------------------------------------------------------


def bit_flipped(raw: bytes, rng: Rng) -> bytes:
    if not raw:
        return raw
    at = rng.randrange(len(raw))
    return raw[:at] + bytes((raw[at] ^ 1 << rng.randrange(8),)) + raw[at + 1 :]


def byte_replaced(raw: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.randbytes(1) + raw[at + 1 :]


def bytes_cut(raw: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + raw[at + rng.randrange(1, 40) :]


def bytes_put_in(raw: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.randbytes(rng.randrange(1, 9)) + raw[at:]


def bytes_appended(raw: bytes, rng: Rng) -> bytes:
    return raw + rng.choice((b"\0", b"\xff", rng.randbytes(rng.randrange(1, 30)), raw))


def spliced_with_another(raw: bytes, rng: Rng) -> bytes:
    other = rng.choice(RAWS)
    at = rng.randrange(min(len(raw), len(other)) + 1)
    return raw[:at] + other[at:]


def signature_of_another(raw: bytes, rng: Rng) -> bytes:
    return raw[:-64] + rng.choice(RAWS)[-64:]


def signature_shifted(raw: bytes, rng: Rng) -> bytes:
    """S + L and L - S: other bytes for a careless verifier's same signature."""
    s = int.from_bytes(raw[-32:], "little")
    other = s + L if rng.random() < 0.5 else (L - s) % L
    return raw[:-32] + (other % 2**256).to_bytes(32, "little")


def signature_of_nothing(raw: bytes, rng: Rng) -> bytes:
    return raw[:-64] + rng.choice((bytes(64), b"\xff" * 64, IDENTITY + bytes(32)))


def kid_of_another(raw: bytes, rng: Rng) -> bytes:
    kids = [*KID.values(), kid_of(IDENTITY), kid_of(PUBLIC["phone"])]
    old = next((kid for kid in kids if kid in raw), None)
    return raw if old is None else raw.replace(old, rng.choice(kids), 1)


def alg_replaced(raw: bytes, rng: Rng) -> bytes:
    at = raw.find(b"\x01\x32") if rng.random() < 0.5 else raw.rfind(b"\x01\x32")
    return raw if at < 0 else raw[:at] + b"\x01" + cbor(rng.choice(ALGS)) + raw[at + 2 :]


def tagged(raw: bytes, rng: Rng) -> bytes:
    return rng.choice(TAGS) + raw


def array_in_another_form(raw: bytes, rng: Rng) -> bytes:
    return rng.choice(
        (b"\x9f" + raw[1:] + b"\xff", b"\x98\x04" + raw[1:], b"\x85" + raw[1:] + b"\0", raw[1:])
    )


def cut_out_of_its_wrapper(raw: bytes, rng: Rng) -> bytes:
    at = raw.find(b"\x84", 1)
    return raw if at < 0 else raw[at : -rng.randrange(60, 100)]


RAW: tuple[Callable[[bytes, Rng], bytes], ...] = (
    bit_flipped,
    bit_flipped,
    byte_replaced,
    bytes_cut,
    bytes_put_in,
    bytes_appended,
    spliced_with_another,
    spliced_with_another,
    signature_of_another,
    signature_shifted,
    signature_of_nothing,
    kid_of_another,
    alg_replaced,
    tagged,
    array_in_another_form,
    cut_out_of_its_wrapper,
)

# -- the characters --------------------------------------------------------------------------------


def letter_replaced(text: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(text) + 1)
    return text[:at] + bytes((rng.choice(LETTERS),)) + text[at + 1 :]


def character_replaced(text: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.randbytes(1) + text[at + 1 :]


def letters_swapped(text: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at : at + 2][::-1] + text[at + 2 :]


def text_cut(text: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at + rng.randrange(1, 60) :]


def text_cut_off(text: bytes, rng: Rng) -> bytes:
    return text[: rng.randrange(len(text) + 1)]


def text_doubled(text: bytes, rng: Rng) -> bytes:
    at = rng.randrange(len(text) + 1)
    to = at + rng.randrange(1, 90)
    return text[:to] + text[at:to] + text[to:]


def text_extended(text: bytes, rng: Rng) -> bytes:
    more = bytes(rng.choices(LETTERS, k=rng.choice((1, 2, 3, 6, 90, 1500))))
    return text + more if rng.random() < 0.7 else more + text


def texts_spliced(text: bytes, rng: Rng) -> bytes:
    other = rng.choice(TEXTS)
    at = rng.randrange(min(len(text), len(other)) + 1)
    return text[:at] + other[at:]


def two_texts(text: bytes, rng: Rng) -> bytes:
    return text + rng.choice((b"", b"\n", b" ")) + rng.choice(TEXTS)


def lower_case(text: bytes, rng: Rng) -> bytes:
    if rng.random() < 0.5:
        return text[:4] + text[4:].lower()
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at : at + 3].lower() + text[at + 3 :]


def white_space(text: bytes, rng: Rng) -> bytes:
    space = rng.choice(SPACES)
    return rng.choice((space + text, text + space, text[:4] + space + text[4:], text + space * 9))


def prefix_replaced(text: bytes, rng: Rng) -> bytes:
    return rng.choice(PREFIXES) + text[4:]


def other_script(text: bytes, rng: Rng) -> bytes:
    """Full-width digits and letters look the same to people, and to a careless normaliser."""
    at = rng.randrange(len(text) + 1)
    wide = "".join(chr(c + 0xFEE0) if 33 <= c <= 126 else chr(c) for c in text[at : at + 3])
    return text[:at] + wide.encode() + text[at + 3 :]


TEXT: tuple[Callable[[bytes, Rng], bytes], ...] = (
    letter_replaced,
    letter_replaced,
    character_replaced,
    letters_swapped,
    text_cut,
    text_cut_off,
    text_doubled,
    text_extended,
    texts_spliced,
    two_texts,
    lower_case,
    white_space,
    prefix_replaced,
    other_script,
)
