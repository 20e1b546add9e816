"""The issuers document: understood whole or not at all. Who signed it:
tests/edge/adapters/trust/test_tuf.py.
"""

import json
from typing import Any

import msgspec
import pytest

from edge.wire import keys, repository, trust
from edge.wire.code import Colour

OTHER = keys.private_key(bytes(31) + b"\1")
CITY = keys.private_key(bytes(31) + b"\2")
OFFICE = keys.private_key(bytes(31) + b"\3")


def listed(key: keys.PrivateKey) -> trust.IssuerKey:
    return trust.IssuerKey(keys.public_to_text(key.public), 100, 200)


DOCUMENT = trust.Issuers(
    version=3,
    signed_s=1_800_000_000,
    issuers=[
        trust.IssuerEntry("city", [listed(CITY)], 86_400),
        trust.IssuerEntry("office", [listed(OFFICE)], 3600, ["campus/north", "campus/east"]),
    ],
)


def read(data: bytes) -> trust.Trust:
    return trust.Trust(trust.document(data))


def refused(data: bytes, why: str) -> None:
    with pytest.raises(trust.TrustError, match=why) as caught:
        read(data)
    assert "\n" not in str(caught.value)


def changed(path: list[Any], value: Any) -> bytes:
    """DOCUMENT with one value changed."""
    content = at = msgspec.to_builtins(DOCUMENT)
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(content).encode()


def test_what_is_said_is_read() -> None:
    data = msgspec.json.encode(DOCUMENT)
    assert trust.document(data) == DOCUMENT
    known = read(data)
    assert (known.version, known.signed_s) == (3, 1_800_000_000)
    assert known.keys(CITY.kid) == (
        trust.TrustedKey(
            CITY.public,
            trust.KeyTerms("city", 100, 200, 86_400, frozenset(), frozenset(), frozenset(Colour)),
        ),
    )
    assert known.keys(OFFICE.kid)[0].terms.groups == {"campus/north", "campus/east"}
    assert known.keys(OTHER.kid) == ()


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
        read(changed(path, value))


def test_a_missing_field_is_told() -> None:
    content = msgspec.to_builtins(DOCUMENT)
    del content["issuers"][0]["longest_life_s"]
    refused(json.dumps(content).encode(), "signed but not understood.*longest_life_s")


def test_nothing_is_named_twice() -> None:
    refused(changed(["issuers", 1, "name"], "city"), "names issuer 'city' twice")
    office_key = msgspec.to_builtins(DOCUMENT.issuers[1].keys[0])
    refused(changed(KEY, office_key), "twice, the second time for 'office'")
    city_key = msgspec.to_builtins(DOCUMENT.issuers[0].keys[0])
    refused(changed([*ISSUER, "keys"], [city_key, city_key]), "twice")


def test_four_thousand_issuers_and_no_more() -> None:
    def many(count: int) -> bytes:
        issuers = [
            trust.IssuerEntry(
                f"company-{n}",
                [trust.IssuerKey(keys.public_to_text(n.to_bytes(32, "big")), 0, 1)],
                60,
                ["campus/north"],
            )
            for n in range(count)
        ]
        return msgspec.json.encode(msgspec.structs.replace(DOCUMENT, issuers=issuers))

    data = many(trust.ISSUERS_MAX)
    assert len(data) < repository.FILE_LEN_MAX
    known = read(data)
    assert known.keys(keys.kid((3999).to_bytes(32, "big")))[0].terms.issuer == "company-3999"
    refused(many(trust.ISSUERS_MAX + 1), "signed but not understood")


def test_an_online_key_signs_for_35_days_at_most() -> None:
    def document(days: int, offline: bool = False) -> trust.Issuers:
        key = trust.IssuerKey(keys.public_to_text(CITY.public), 0, days * 86400, offline)
        return trust.Issuers(1, 0, [trust.IssuerEntry("city", [key], 60)])

    trust.Trust(document(35))
    trust.Trust(document(36, offline=True))
    with pytest.raises(trust.TrustError, match="36 days; 35 is the most"):
        trust.Trust(document(36))


def test_a_foreign_issuer_has_no_keys_of_our_format() -> None:
    foreign = trust.IssuerEntry("eu", [], 60, format="hc1", terms=msgspec.Raw(b'{"rows":[]}'))
    read = trust.Trust(trust.Issuers(1, 0, [foreign]))
    assert [issuer.name for issuer in read.foreign] == ["eu"]
    mixed = trust.IssuerEntry("eu", [listed(CITY)], 60, format="hc1")
    with pytest.raises(trust.TrustError, match=r"belong in keys/eu\.json"):
        trust.Trust(trust.Issuers(1, 0, [mixed]))
