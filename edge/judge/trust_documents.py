"""What a unit believes: verified documents, understood. Who verified them is the adapters' matter.

The issuers and the site's rules are believed or the whole bundle is not: a newer schema leaves the
unit with the generation that it has. What one issuer alone signs (a status list) is left out where
it is not understood, so that no issuer keeps every door of a city from news: its own codes that
name that list are unsure then.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from edge.judge.foreign import recognisers
from edge.judge.verdict import TrustState
from edge.wire import rules, status, trust
from edge.wire.status import StatusList
from edge.wire.trust import Trust, TrustError

log = logging.getLogger("menshen")

ISSUERS = "issuers.json"
LISTS_LEN_MAX = 32 * 1024 * 1024
"""Bytes of entries of all status lists together, a third of a unit's memory: 256 million codes."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Verified trust documents of one generation; nothing in them has been understood yet."""

    documents: Mapping[str, bytes]  # by target path: "issuers.json", "site/campus.json"
    keys: Mapping[str, tuple[bytes, ...]]  # by target path: the raw keys of the role that signed it
    version: int  # of the timestamp metadata
    signed_s: int  # Unix seconds UTC, when the timestamp was signed: nothing newer existed then
    until_s: int  # Unix seconds UTC, the first expiry among the offline roles
    accepted_s: float  # Now.powered_s when this unit accepted it


def read(bundle: Bundle, site: str, groups: frozenset[str]) -> TrustState:
    """What the door in `groups` of `site` believes.

    Raises TrustError with one sentence for a document that is missing or not understood.
    """
    issuers = trust.document(_needed(bundle, ISSUERS))
    known = Trust(issuers)
    here = rules.for_door(rules.read(_needed(bundle, f"site/{site}.json"), site), groups)
    return TrustState(
        known,
        rules=here,
        lists=_lists(bundle),
        foreign=recognisers(issuers.issuers, bundle.documents),
        version=bundle.version,
        signed_s=bundle.signed_s,
        until_s=bundle.until_s,
        accepted_s=bundle.accepted_s,
    )


def _lists(bundle: Bundle) -> dict[tuple[str, str], StatusList]:
    """The status lists by issuer and name. What is too much goes from the largest issuer first."""
    found: dict[str, list[StatusList]] = {}
    for path, data in bundle.documents.items():
        if not path.startswith("status/"):
            continue
        name = path.removeprefix("status/").removesuffix(".cwt")
        issuer = name.partition("/")[0]
        try:
            found.setdefault(issuer, []).append(status.read(data, bundle.keys[path], name))
        except TrustError as error:
            log.warning("%s; codes that name it are unsure", error)
            continue
        while sum(map(_len, found.values())) > LISTS_LEN_MAX:
            largest = max(found, key=lambda each: _len(found[each]))
            log.warning(
                "the status lists have more than %d bytes; those of %r, the most, are left out",
                LISTS_LEN_MAX,
                largest,
            )
            found[largest] = []
    return {(issuer, one.name): one for issuer, lists in found.items() for one in lists}


def _len(lists: list[StatusList]) -> int:
    return sum(len(one.entries) for one in lists)


def _needed(bundle: Bundle, path: str) -> bytes:
    try:
        return bundle.documents[path]
    except KeyError:
        raise TrustError(
            f"the trust documents lack {path}; publish them again with menshen-provision"
        ) from None
