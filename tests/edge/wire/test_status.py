"""Status lists: the draft's own examples, ours both ways, and everything that must be refused."""

import contextlib
import io
import random
import re
import tracemalloc
import zlib
from typing import Any

import cbor2
import cwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire import keys, status
from edge.wire.trust import TrustError
from tests import ROOT

SHARED = ROOT.parent / "shared" / "vectors" / "status-list"
draft = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the draft's examples are not in ../shared/vectors/status-list"
)

KEY = keys.private_key(b"status".ljust(32))
OTHER = keys.private_key(b"another".ljust(32))
NAME = "city/1"
IAT_S = 1_800_000_000


def example(name: str) -> bytes:
    """The bytes that one of the draft's example files shows in hex."""
    text = (SHARED / f"{name}.md").read_text().rpartition("encoded:")[2]
    return bytes.fromhex(re.sub(r"\s", "", text))


def claims(**changes: object) -> dict[int, object]:
    """A good list's claims; `None` leaves a claim out."""
    said: dict[str, object] = {
        "sub": NAME,
        "iat": IAT_S,
        "status_list": {"bits": 1, "lst": zlib.compress(b"\xb9\xa3", 9)},
    } | changes
    labels = {"iss": 1, "sub": 2, "exp": 4, "nbf": 5, "iat": 6, "status_list": 65533, "ttl": 65534}
    return {labels[key]: value for key, value in said.items() if value is not None}


def signed(
    payload: bytes | dict[int, Any],
    header: dict[int, object] | None = None,
    unprotected: dict[int, object] | None = None,
    signer: keys.PrivateKey = KEY,
    tag: bytes = b"\xd2",
) -> bytes:
    """What a careless writer might sign."""
    payload = cbor2.dumps(payload) if isinstance(payload, dict) else payload
    protected = cbor2.dumps({1: -19, 4: KEY.kid, 16: status.TYPE} if header is None else header)
    signature = signer.sign(cbor2.dumps(["Signature1", protected, b"", payload]))
    return tag + cbor2.dumps([protected, unprotected or {}, payload, signature])


def listed(structure: object) -> status.StatusList:
    """A list with this StatusList structure of the draft, signed by us."""
    return status.read(signed(claims(status_list=structure)), [KEY.public], NAME)


def set_entries(found: status.StatusList) -> set[int]:
    per = 8 // found.width
    filled = [at for at, byte in enumerate(found.entries) if byte]
    return {n for at in filled for n in range(at * per, (at + 1) * per) if found.revoked(n)}


# The draft's examples


ONE_BIT = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]  # section 4.1
TWO_BITS = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]  # the appendix on two bits


@draft
@pytest.mark.parametrize(
    ("name", "statuses"), [("encoding", ONE_BIT), ("encoding2", TWO_BITS)], ids=["1 bit", "2 bits"]
)
def test_the_drafts_short_lists(name: str, statuses: list[int]) -> None:
    structure = cbor2.loads(example(f"status_list_{name}_cbor"))
    found = listed(structure)
    assert [found.revoked(n) for n in range(len(statuses))] == [bool(s) for s in statuses]
    assert found.revoked(len(statuses)) is None


LONG = {0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345}
LONG_4 = {
    0, 1993, 35460, 459495, 595669, 754353, 845645, 923232, 924445, 934534, 1000345, 1004534,
    1030203, 1030204, 1030205,
}  # fmt: skip
SOME_OF_LONG_8 = {52451, 576778, 513575, 468106, 292632, 214947, 152133, 19535}


@draft
def test_the_drafts_long_lists_of_a_million() -> None:
    for name, width, wanted in (
        ("encoding1_long", 1, LONG),
        ("encoding2_long", 2, LONG),
        ("encoding4", 4, LONG_4),
    ):
        found = listed(cbor2.loads(example(f"status_list_{name}_cbor")))
        assert found.width == width
        assert set_entries(found) == wanted
        assert found.revoked(2**20 - 1) is False
        assert found.revoked(2**20) is None
    eight = listed(cbor2.loads(example("status_list_encoding8_cbor")))
    assert set_entries(eight) >= SOME_OF_LONG_8
    assert eight.revoked(233478) is False  # its number 0
    assert len(set_entries(eight)) == 255


@draft
def test_we_pack_as_the_draft_does() -> None:
    for name, count, bits in (
        ("encoding", 16, {n for n, s in enumerate(ONE_BIT) if s}),
        ("encoding1_long", 2**20, LONG),
    ):
        theirs = cbor2.loads(example(f"status_list_{name}_cbor"))["lst"]
        ours = status.write(bits, count, NAME, IAT_S, KEY)
        assert zlib.decompress(theirs) == status.read(ours, [KEY.public], NAME).entries
        assert theirs in ours


@draft
def test_the_drafts_token_is_ours_but_for_its_key() -> None:
    """It is signed with ES256; with its claims, its header and an Ed25519 key we read it."""
    data = example("status_list_cwt")
    with pytest.raises(TrustError, match="not signed with Ed25519"):
        status.read(data, [KEY.public], "https://example.com/statuslists/1")
    protected, unprotected, payload, _ = cbor2.loads(data[1:])
    header = cbor2.loads(protected) | {1: -19}
    again = signed(payload, header, unprotected)
    found = status.read(again, [KEY.public], "https://example.com/statuslists/1")
    assert (found.iat_s, found.exp_s) == (1686920170, 2291720170)
    assert [found.revoked(n) for n in range(16)] == [bool(s) for s in ONE_BIT]


# Ours, both ways


def test_what_is_written_is_read_again() -> None:
    bits = {0, 1, 9, 4095}
    data = status.write(bits, 4096, NAME, IAT_S, KEY, exp_s=IAT_S + 9, ttl_s=300)
    assert data == status.write(sorted(bits), 4096, NAME, IAT_S, KEY, exp_s=IAT_S + 9, ttl_s=300)
    found = status.read(data, [OTHER.public, KEY.public], NAME)
    assert (found.name, found.iat_s, found.exp_s) == (NAME, IAT_S, IAT_S + 9)
    assert set_entries(found) == bits
    assert found.revoked(4096) is None
    assert found.revoked(-1) is None


@given(st.integers(1, 300), st.data())
def test_every_entry_is_what_was_written(count: int, data: st.DataObject) -> None:
    bits = data.draw(st.sets(st.integers(0, count - 1)))
    found = status.read(status.write(bits, count, NAME, IAT_S, KEY), [KEY.public], NAME)
    assert set_entries(found) == bits


def test_another_library_reads_what_we_write() -> None:
    data = status.write({3}, 64, NAME, IAT_S, KEY)
    key = cwt.COSEKey.from_pem(keys.public_to_pem(KEY.public), alg=-19, kid=KEY.kid)
    protected, _, payload = cwt.COSE.new().decode_with_headers(data, key)
    assert protected == {1: -19, 4: KEY.kid, 16: "application/statuslist+cwt"}
    said = cbor2.loads(payload)
    assert said[2] == NAME
    assert zlib.decompress(said[65533]["lst"]) == b"\x08" + bytes(7)


def test_we_read_what_another_library_writes() -> None:
    key = cwt.COSEKey.from_pem(keys.private_to_pem(KEY), alg=-19, kid=KEY.kid)
    data = cwt.COSE.new().encode(
        cbor2.dumps(claims()),
        key,
        protected={1: -19, 16: "application/statuslist+cwt"},
        unprotected={4: KEY.kid},
    )
    assert set_entries(status.read(data, [KEY.public], NAME)) == {0, 3, 4, 5, 7, 8, 9, 13, 15}


def test_a_million_codes_with_one_in_a_thousand_revoked_are_a_small_file() -> None:
    bits = random.Random(1).sample(range(10**6), 1000)
    data = status.write(bits, 10**6, NAME, IAT_S, KEY)
    assert 2300 < len(data) < 2400  # status.md says 2.4 kB
    assert set_entries(status.read(data, [KEY.public], NAME)) == set(bits)


def test_a_million_revoked_codes_take_no_more_than_their_bits() -> None:
    data = status.write(range(10**6), 2**20, NAME, IAT_S, KEY)
    tracemalloc.start()
    found = status.read(data, [KEY.public], NAME)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.revoked(10**6 - 1) is True
    assert kept < 2**20 / 8 + 8192


@pytest.mark.parametrize("bit", [-1, 8, 10**9])
def test_a_bit_outside_of_the_list_is_not_written(bit: int) -> None:
    with pytest.raises(ValueError, match="is not in a list of 8"):
        status.write({bit}, 8, NAME, IAT_S, KEY)


def test_what_cannot_be_read_is_not_written() -> None:
    with pytest.raises(ValueError, match=r"exp.*iat"):
        status.write((), 8, NAME, IAT_S, KEY, exp_s=IAT_S)
    with pytest.raises(ValueError, match="unpack to more than"):
        status.write((), 2**24 + 1, NAME, IAT_S, KEY)
    largest = status.write((), 2**24, NAME, IAT_S, KEY)
    assert status.read(largest, [KEY.public], NAME).revoked(2**24 - 1) is False


@pytest.mark.parametrize(
    "data",
    [
        signed(claims()),
        signed(claims(), tag=b""),
        signed(claims(), {1: -8, 4: KEY.kid, 16: status.TYPE}),
        signed(claims(), {1: -19, 16: status.TYPE}),
        signed(claims(), {16: status.TYPE, 1: -19}, {4: b"any"}),
        signed(dict(reversed(claims(exp=IAT_S + 1, ttl=1).items()))),
        signed(claims(status_list={"lst": zlib.compress(b"\xb9\xa3"), "bits": 1})),
        signed(
            claims(
                status_list={
                    "bits": 1,
                    "lst": zlib.compress(b"\xb9\xa3", 0),
                    "aggregation_uri": "https://example.com",
                }
            )
        ),
    ],
    ids=["tagged", "untagged", "EdDSA", "no kid", "kid unprotected", "any order", "any level",
         "with an aggregation"],
)  # fmt: skip
def test_what_other_writers_may_write_is_read(data: bytes) -> None:
    found = status.read(data, [KEY.public], NAME)
    assert set_entries(found) == {0, 3, 4, 5, 7, 8, 9, 13, 15}


# What is refused


def lst(packed: object, bits: object = 1, **more: object) -> bytes:
    return signed(claims(status_list={"bits": bits, "lst": packed} | more))


GOOD = zlib.compress(b"\xb9\xa3", 9)
BOMB = zlib.compress(bytes(2**26), 9)
NO_DICTIONARY = zlib.compressobj(zdict=b"menshen")
REFUSED = {
    "empty": (b"", "are not CBOR"),
    "a code": (b"DC1:ABC", "CBOR"),
    "another tag": (signed(claims(), tag=b"\xd8\x3d"), "hold CBOR that no"),
    "two tags": (signed(claims(), tag=b"\xd2\xd2"), "hold CBOR that no"),
    "no array": (cbor2.dumps({1: 2}), "not a COSE_Sign1"),
    "five parts": (cbor2.dumps([b"", {}, b"", b"", b""]), "not a COSE_Sign1"),
    "a list without a signature": (cbor2.dumps({"bits": 1, "lst": GOOD}), "not a COSE_Sign1"),
    "another key": (signed(claims(), signer=OTHER), "not signed by a key"),
    "another list": (signed(claims(sub="city/2")), "it is the list 'city/2'"),
    "a name of bytes": (signed(claims(sub=b"city/1")), "which list it is"),
    "no name": (signed(claims(sub=None)), "which list it is"),
    "no iat": (signed(claims(iat=None)), "when it was issued"),
    "a negative iat": (signed(claims(iat=-1)), "when it was issued"),
    "an iat after 2106": (signed(claims(iat=2**32)), "when it was issued"),
    "exp before iat": (signed(claims(exp=IAT_S)), "exp"),
    "ttl of nothing": (signed(claims(ttl=0)), "ttl"),
    "ttl as text": (signed(claims(ttl="1")), "ttl"),
    "an unknown claim": (signed(claims(nbf=IAT_S)), "claims hold what is not known"),
    "an issuer claim": (signed(claims(iss="x")), "claims hold what is not known"),
    "no list": (signed(claims(status_list=None)), "holds no entries"),
    "a list of nothing": (signed(claims(status_list={})), "holds no entries"),
    "an unknown member": (lst(GOOD, more=1), "holds no entries"),
    "an aggregation of bytes": (lst(GOOD, aggregation_uri=b"x"), "not bytes"),
    "three bits": (lst(GOOD, 3), "1, 2, 4 or 8"),
    "no bits": (lst(GOOD, 0), "1, 2, 4 or 8"),
    "bits as text": (lst(GOOD, "1"), "1, 2, 4 or 8"),
    "a list as text": (lst("eNrbuRgAAhcBXQ"), "not bytes"),
    "not zlib": (lst(b"\xb9\xa3"), "not a zlib stream"),
    "no zlib at all": (lst(b""), "cut off"),
    "raw deflate": (lst(GOOD[2:-4]), "not a zlib stream"),
    "gzip": (lst(bytes.fromhex("1f8b0800000000000203dbb9180000") + bytes(8)), "not a zlib stream"),
    "a preset dictionary": (
        lst(NO_DICTIONARY.compress(b"menshen") + NO_DICTIONARY.flush()),
        "not a zlib stream",
    ),
    "zlib cut off": (lst(GOOD[:-1]), "cut off"),
    "a wrong checksum": (lst(GOOD[:-1] + b"\x00"), "not a zlib stream"),
    "trailing bytes": (lst(GOOD + b"\x00"), "something follows"),
    "a second stream": (lst(GOOD + GOOD), "something follows"),
    "a bomb": (lst(BOMB), "unpack to more than"),
    "a bomb cut off": (lst(BOMB[:-100]), "unpack to more than"),
    "one byte too many": (lst(zlib.compress(bytes(2**21 + 1))), "unpack to more than"),
    "too long a file": (lst(bytes(2**21 + 2**16)), "larger than any"),
    "no type": (signed(claims(), {1: -19, 4: KEY.kid}), "its type is not"),
    "another type": (signed(claims(), {1: -19, 4: KEY.kid, 16: "application/cwt"}), "its type"),
    "no algorithm": (signed(claims(), {4: KEY.kid, 16: status.TYPE}), "Ed25519"),
    "ES256": (signed(claims(), {1: -7, 4: KEY.kid, 16: status.TYPE}), "Ed25519"),
    "Ed448": (signed(claims(), {1: -53, 4: KEY.kid, 16: status.TYPE}), "Ed25519"),
    "an unknown header": (
        signed(claims(), {1: -19, 2: [99], 4: KEY.kid, 16: status.TYPE, 99: 1}),
        "protected header",
    ),
    "a critical header": (
        signed(claims(), {1: -19, 2: [16], 4: KEY.kid, 16: status.TYPE}),
        "protected header",
    ),
    "an unknown unprotected header": (signed(claims(), None, {33: b""}), "unprotected header"),
    "an algorithm unprotected": (signed(claims(), {16: status.TYPE}, {1: -19}), "unprotected"),
    "two kids": (signed(claims(), None, {4: KEY.kid}), "unprotected header"),
    "a kid as text": (signed(claims(), {1: -19, 4: "a", 16: status.TYPE}), "named by bytes"),
    "a header that is no map": (signed(claims(), [1]), "protected header"),  # type: ignore[arg-type]
    "a claim twice": (
        signed(b"\xa4" + cbor2.dumps(claims())[1:] + cbor2.dumps(2) + cbor2.dumps(NAME)),
        "shortest form",
    ),
    "bits twice": (
        signed(cbor2.dumps(claims()).replace(b"\xa2\x64bits\x01", b"\xa3\x64bits\x01\x64bits\x08")),
        "shortest form",
    ),
    "a long integer": (
        signed(cbor2.dumps(claims()).replace(b"\x64bits\x01", b"\x64bits\x18\x01")),
        "shortest form",
    ),
    "an indefinite map": (
        signed(b"\xbf" + cbor2.dumps(claims())[1:] + b"\xff"),
        "hold CBOR that no",
    ),
    "something behind the claims": (signed(cbor2.dumps(claims()) + b"\x00"), "shortest form"),
    "something behind the list": (signed(claims()) + b"\x00", "shortest form"),
    "a date": (
        signed(claims(iat=cbor2.CBORTag(1, IAT_S))),
        "hold CBOR that no",
    ),
    "a float": (signed(claims(iat=1.5)), "hold CBOR that no"),
    "a truth": (signed(claims(iat=True)), "hold CBOR that no"),
    "a nested list": (b"\x81" * 100_000 + b"\x00", "CBOR"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_it_is_refused_in_one_sentence(how: str) -> None:
    data, why = REFUSED[how]
    with pytest.raises(TrustError) as told:
        status.read(data, [KEY.public], NAME)
    assert re.search(why, str(told.value)), told.value
    assert str(told.value).startswith("the status list 'city/1' cannot be trusted: ")
    assert "\n" not in str(told.value)


def test_no_key_trusts_nothing() -> None:
    with pytest.raises(TrustError, match="not signed by a key"):
        status.read(signed(claims()), [], NAME)


def test_every_cut_and_every_flipped_bit_is_refused() -> None:
    data = status.write({1, 2, 3}, 64, NAME, IAT_S, KEY, exp_s=IAT_S + 1, ttl_s=60)
    for end in range(len(data)):
        with pytest.raises(TrustError):
            status.read(data[:end], [KEY.public], NAME)
    for at in range(len(data)):
        for bit in range(8):
            hurt = bytearray(data)
            hurt[at] ^= 1 << bit
            with pytest.raises(TrustError):
                status.read(bytes(hurt), [KEY.public], NAME)


@given(st.binary(max_size=64), st.integers(0, 250), st.integers(0, 64))
def test_whatever_is_signed_never_raises_anything_else(new: bytes, at: int, cut: int) -> None:
    """A trusted key may sign nonsense: claims hurt before they are signed."""
    payload = cbor2.dumps(claims(exp=IAT_S + 1, ttl=60))
    try:
        status.read(signed(payload[:at] + new + payload[at + cut :]), [KEY.public], NAME)
    except TrustError as error:
        assert "\n" not in str(error)


def test_a_bomb_never_unpacks() -> None:
    bomb = lst(BOMB)
    tracemalloc.start()
    with pytest.raises(TrustError, match="unpack to more than 2097152 bytes"):
        status.read(bomb, [KEY.public], NAME)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * status.LIST_LEN_MAX  # zlib's buffer grows by copying


# The page


PAGE = (ROOT / "edge" / "wire" / "status.md").read_text(encoding="utf-8")


def block(info: str) -> str:
    (found,) = re.findall(rf"^```{info}\n(.*?)\n```$", PAGE, re.M | re.S)
    return str(found)


def test_the_pages_example_is_what_we_write() -> None:
    shown = bytes.fromhex("".join(line.partition("#")[0] for line in block("bytes").splitlines()))
    seed, public = re.findall(r"`h'([0-9a-f]{64})'`", PAGE)
    signer = keys.private_key(bytes.fromhex(seed))
    assert signer.public.hex() == public
    assert shown == status.write({3, 9}, 16, NAME, IAT_S, signer, ttl_s=3600)
    assert set_entries(status.read(shown, [signer.public], NAME)) == {3, 9}


def test_the_pages_sizes_are_measured() -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(block("python"), {})  # noqa: S102 -- our own page
    assert printed.getvalue().rstrip("\n") == block("output")


def test_the_pages_bounds_are_the_programs() -> None:
    assert f"at most {status.LIST_LEN_MAX >> 20} MiB: {status.LIST_LEN_MAX * 8:,} codes" in PAGE
    assert f"2 MiB and {(status.FILE_LEN_MAX - status.LIST_LEN_MAX) >> 10} KiB" in PAGE
    assert f"`{status.TYPE}`" in PAGE
