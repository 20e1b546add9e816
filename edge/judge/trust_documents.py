"""Reads verified trust documents into a `TrustState`. An adapter verifies them beforehand.

If the issuers or the site's rules cannot be read (their schema may be newer than this program), the
whole bundle is rejected, and the unit keeps the generation that it has. A document that one issuer
alone signs (a status list) is left out if it cannot be read, so that no issuer can block updates
for every door of a city. That issuer's codes that name the list are then unsure.
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
"""Bytes of entries of all status lists together: 256 million codes, a third of a unit's memory."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The verified trust documents of one generation, not parsed yet."""

    documents: Mapping[str, bytes]  # by target path: "issuers.json", "site/campus.json"
    keys: Mapping[str, tuple[bytes, ...]]  # by target path: raw keys of the role that signed it
    version: int  # of the timestamp metadata
    signed_s: int  # Unix seconds UTC, of the timestamp: no newer documents existed then
    until_s: int  # Unix seconds UTC, the first expiry among the offline roles
    accepted_s: float  # Now.powered_s when this unit accepted it


def read(bundle: Bundle, site: str, groups: frozenset[str]) -> TrustState:
    """The trust state of the door in `groups` of `site`.

    Raises TrustError with one sentence for a document that is missing or cannot be read.
    """
    issuers = trust.document(_document(bundle, ISSUERS))
    site_rules = rules.read(_document(bundle, f"site/{site}.json"), site)
    return TrustState(
        Trust(issuers),
        rules=rules.for_door(site_rules, groups),
        lists=_lists(bundle),
        foreign=recognisers(issuers.issuers, bundle.documents),
        version=bundle.version,
        signed_s=bundle.signed_s,
        until_s=bundle.until_s,
        accepted_s=bundle.accepted_s,
    )


def _lists(bundle: Bundle) -> dict[tuple[str, str], StatusList]:
    """The status lists by issuer and name. If they are too large together, the lists of the issuer
    with the most bytes are left out first.
    """
    by_issuer: dict[str, list[StatusList]] = {}
    for path, data in bundle.documents.items():
        if not path.startswith("status/"):
            continue
        name = path.removeprefix("status/").removesuffix(".cwt")
        issuer = name.partition("/")[0]
        try:
            by_issuer.setdefault(issuer, []).append(status.read(data, bundle.keys[path], name))
        except TrustError as error:
            log.warning("%s; codes that name this list are unsure", error)
            continue
        while sum(map(_len, by_issuer.values())) > LISTS_LEN_MAX:
            largest = max(by_issuer, key=lambda each: _len(by_issuer[each]))
            log.warning(
                "the status lists have more than %d bytes; the largest, those of %r, are left out",
                LISTS_LEN_MAX,
                largest,
            )
            by_issuer[largest] = []
    return {(issuer, one.name): one for issuer, lists in by_issuer.items() for one in lists}


def _len(lists: list[StatusList]) -> int:
    return sum(len(one.entries) for one in lists)


def _document(bundle: Bundle, path: str) -> bytes:
    try:
        return bundle.documents[path]
    except KeyError:
        raise TrustError(
            f"the trust documents lack {path}; publish them again with menshen-provision"
        ) from None
