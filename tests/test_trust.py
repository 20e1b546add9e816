"""The issuers file: believed only when the site's key signed it, whole, for this site."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wire import envelope, keys, trust
from edge.wire.code import Colour

SITE = keys.private_key(bytes(32))
OTHER = keys.private_key(bytes(31) + b"\1")
CITY = keys.private_key(bytes(31) + b"\2")
OFFICE = keys.private_key(bytes(31) + b"\3")


def listed(key: keys.PrivateKey) -> trust.IssuerKey:
    return trust.IssuerKey(keys.public_to_text(key.public), 100, 200)


DOCUMENT = trust.Issuers(
    version=3,
    signed_s=1_800_000_000,
    issuers=[
        trust.Issuer("city", [listed(CITY)], 86_400),
        trust.Issuer("office", [listed(OFFICE)], 3600, ["campus/north", "campus/east"]),
    ],
)
SIGNED = trust.sign(DOCUMENT, SITE)


def signed_json(content: Any, kind: str = trust.KIND, key: keys.PrivateKey = SITE) -> bytes:
    return envelope.sign(json.dumps(content).encode(), kind, key)


def refused(data: bytes, why: str) -> None:
    with pytest.raises(trust.TrustError, match=why) as caught:
        trust.read(data, SITE.public)
    assert "\n" not in str(caught.value)


def changed(path: list[Any], value: Any) -> bytes:
    """DOCUMENT with one value changed, signed well."""
    content = at = msgspec.to_builtins(DOCUMENT)
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return signed_json(content)


def test_what_is_signed_is_read() -> None:
    assert trust.open_document(SIGNED, SITE.public) == DOCUMENT
    read = trust.read(SIGNED, SITE.public)
    assert (read.version, read.signed_s) == (3, 1_800_000_000)
    assert read.keys(CITY.kid) == (
        trust.TrustedKey(
            "city", CITY.public, 100, 200, 86_400, frozenset(), frozenset(), frozenset(Colour)
        ),
    )
    assert read.keys(OFFICE.kid)[0].groups == {"campus/north", "campus/east"}
    assert read.keys(OTHER.kid) == ()


def test_an_envelope_is_dsse() -> None:
    """Verified here by the letter of DSSE 1.0.2, without our own encoding of what is signed."""
    content = json.loads(SIGNED)
    payload, kind = base64.b64decode(content["payload"]), content["payloadType"].encode()
    message = b" ".join(
        [b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload]
    )
    signature = base64.b64decode(content["signatures"][0]["sig"])
    assert keys.verify(SITE.public, message, signature)
    assert content["signatures"][0]["keyid"] == SITE.kid.hex()


def test_who_signed_decides() -> None:
    refused(trust.sign(DOCUMENT, OTHER), "not signed by the key")
    content = json.loads(SIGNED)
    others = json.loads(trust.sign(DOCUMENT, OTHER))["signatures"]
    both = content | {"signatures": others + content["signatures"]}
    trust.read(json.dumps(both).encode(), SITE.public)
    for signatures in ([], others, [{"keyid": SITE.kid.hex(), "sig": ""}]):
        refused(json.dumps(content | {"signatures": signatures}).encode(), "not signed by the key")


def test_only_sixteen_signatures_are_tried() -> None:
    content = json.loads(SIGNED)
    many = json.loads(trust.sign(DOCUMENT, OTHER))["signatures"] * 16
    refused(
        json.dumps(content | {"signatures": many + content["signatures"]}).encode(), "not signed"
    )


def test_a_document_of_another_kind_does_not_pass() -> None:
    payload = msgspec.to_builtins(DOCUMENT)
    refused(signed_json(payload, "application/vnd.menshen.ack.1+json"), "another kind")
    relabelled = json.loads(signed_json(payload, "text/plain")) | {"payloadType": trust.KIND}
    refused(json.dumps(relabelled).encode(), "not signed by the key")


def test_a_changed_payload_does_not_pass() -> None:
    content = json.loads(SIGNED)
    payload = base64.b64decode(content["payload"]).replace(b"86400", b"99999")
    hurt = content | {"payload": base64.b64encode(payload).decode()}
    refused(json.dumps(hurt).encode(), "not signed by the key")


@given(st.integers(0, len(SIGNED) - 1), st.binary(max_size=3))
@settings(max_examples=300)
def test_a_torn_file_is_told(at: int, instead: bytes) -> None:
    hurt = SIGNED[:at] + instead
    with pytest.raises(trust.TrustError, match="cannot be believed"):
        trust.read(hurt, SITE.public)


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
@settings(max_examples=300)
def test_a_flipped_byte_changes_nothing_that_is_believed(at: int, mask: int) -> None:
    """The keyid, JSON's white space and base64's spare bits are not signed; all else must fail."""
    hurt = SIGNED[:at] + bytes((SIGNED[at] ^ mask,)) + SIGNED[at + 1 :]
    try:
        assert trust.open_document(hurt, SITE.public) == DOCUMENT
    except trust.TrustError:
        return
    payloads = [base64.b64decode(json.loads(data)["payload"]) for data in (hurt, SIGNED)]
    assert payloads[0] == payloads[1]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"payload":1}', b"[" * 100_000, bytes(100)],
    ids=repr,
)
def test_what_is_no_envelope(data: bytes) -> None:
    refused(data, "torn, or no signed document")


def test_the_largest_file() -> None:
    trust.read(SIGNED.ljust(4 * 1024 * 1024), SITE.public)
    refused(SIGNED.ljust(4 * 1024 * 1024 + 1), "larger than any such document")


ISSUER = ["issuers", 0]
KEY = [*ISSUER, "keys", 0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["colour"], "red"),
        ([*ISSUER, "colour"], "red"),
        ([*KEY, "use"], "sig"),
        (["issuers", 0, "sites"], ["Campus"]),
        (["issuers", 0, "sites"], ["campus/north"]),
        (["issuers", 0, "sites"], ["campus\n"]),
        (["issuers", 0, "sites"], ["+"]),
        (["issuers", 0, "colours"], ["blue"]),
        (["issuers", 0, "format"], "HC1"),
        (["version"], 0),
        (["version"], "3"),
        (["version"], 3.5),
        (["signed_s"], -1),
        (["issuers"], None),
        ([*ISSUER, "name"], ""),
        ([*ISSUER, "name"], "city\n"),
        ([*ISSUER, "name"], "a" * 32),
        ([*ISSUER, "longest_life_s"], -1),
        ([*ISSUER, "longest_life_s"], 2**32),
        ([*ISSUER, "groups"], ["Campus"]),
        ([*ISSUER, "groups"], ["campus/"]),
        ([*ISSUER, "groups"], ["campus/north\n"]),
        ([*ISSUER, "groups"], ["a"] * 65),
        ([*ISSUER, "keys"], [msgspec.to_builtins(listed(CITY))] * 17),
        ([*KEY, "from_s"], -1),
        ([*KEY, "until_s"], 2**32),
        ([*KEY, "public"], "AAAA"),
        ([*KEY, "public"], keys.public_to_text(CITY.public)[:-1]),
    ],
    ids=str,
)
def test_what_is_signed_but_out_of_bounds(path: list[Any], value: Any) -> None:
    refused(changed(path, value), "signed but not understood")


def test_the_bounds_themselves_are_inside() -> None:
    for path, value in (
        (["version"], 2**32 - 1),
        ([*ISSUER, "longest_life_s"], 2**32 - 1),
        ([*KEY, "from_s"], 0),
        ([*KEY, "until_s"], 100 + trust.KEY_WINDOW_S_MAX),
        ([*ISSUER, "name"], "a" + "-" * 29 + "z"),
        ([*ISSUER, "groups"], ["a"] * 64),
    ):
        trust.read(changed(path, value), SITE.public)


def test_a_missing_field_is_told() -> None:
    content = msgspec.to_builtins(DOCUMENT)
    del content["issuers"][0]["longest_life_s"]
    refused(signed_json(content), "signed but not understood.*longest_life_s")


def test_nothing_is_named_twice() -> None:
    refused(changed(["issuers", 1, "name"], "city"), "names issuer 'city' twice")
    office_key = msgspec.to_builtins(DOCUMENT.issuers[1].keys[0])
    refused(changed(KEY, office_key), "twice, the second time for 'office'")
    city_key = msgspec.to_builtins(DOCUMENT.issuers[0].keys[0])
    refused(changed([*ISSUER, "keys"], [city_key, city_key]), "twice")


def test_four_thousand_issuers_and_no_more() -> None:
    def many(count: int) -> bytes:
        issuers = [
            trust.Issuer(
                f"company-{n}",
                [trust.IssuerKey(keys.public_to_text(n.to_bytes(32, "big")), 0, 1)],
                60,
                ["campus/north"],
            )
            for n in range(count)
        ]
        return trust.sign(msgspec.structs.replace(DOCUMENT, issuers=issuers), SITE)

    data = many(trust.ISSUERS_MAX)
    assert len(data) < envelope.ENVELOPE_LEN_MAX
    read = trust.read(data, SITE.public)
    assert read.keys(keys.kid((3999).to_bytes(32, "big")))[0].issuer == "company-3999"
    refused(many(trust.ISSUERS_MAX + 1), "signed but not understood")


def test_an_online_key_signs_for_35_days_at_most() -> None:
    def document(days: int, offline: bool = False) -> trust.Issuers:
        key = trust.IssuerKey(keys.public_to_text(CITY.public), 0, days * 86400, offline)
        return trust.Issuers(1, 0, [trust.Issuer("city", [key], 60)])

    trust.Trust(document(35))
    trust.Trust(document(36, offline=True))
    with pytest.raises(trust.TrustError, match="36 days; 35 is the most"):
        trust.Trust(document(36))


def test_a_foreign_issuer_has_no_keys_of_our_format() -> None:
    foreign = trust.Issuer("eu", [], 60, format="hc1", terms=msgspec.Raw(b'{"rows":[]}'))
    read = trust.Trust(trust.Issuers(1, 0, [foreign]))
    assert [issuer.name for issuer in read.foreign] == ["eu"]
    mixed = trust.Issuer("eu", [listed(CITY)], 60, format="hc1")
    with pytest.raises(trust.TrustError, match=r"belong in keys/eu\.json"):
        trust.Trust(trust.Issuers(1, 0, [mixed]))
