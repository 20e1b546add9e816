"""What a unit believes: verified documents, understood. Who verified them is the adapters' matter.

A bundle is believed whole or not at all: one document that is not understood (a newer schema, a
torn list) leaves the unit with the generation that it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.age import Ages
from edge.foreign import recognisers
from edge.verdict import Believed, HolderTerms
from edge.wire import rules, status, trust
from edge.wire.rules import DoorRules
from edge.wire.trust import Trust, TrustError

ISSUERS = "issuers.json"


@dataclass(frozen=True, slots=True)
class Bundle:
    """Verified trust documents of one generation; nothing in them has been understood yet."""

    documents: Mapping[str, bytes]  # by target path: "issuers.json", "site/campus.json"
    keys: Mapping[str, tuple[bytes, ...]]  # by target path: the raw keys of the role that signed it
    version: int  # of the timestamp metadata
    signed_s: int  # Unix seconds UTC, when the timestamp was signed: nothing newer existed then
    until_s: int  # Unix seconds UTC, the first expiry among the offline roles
    accepted_s: float  # Now.powered_s when this unit accepted it


def read(bundle: Bundle, site: str, groups: frozenset[str]) -> Believed:
    """What the door in `groups` of `site` believes.

    Raises TrustError with one sentence for a document that is missing or not understood.
    """
    issuers = trust.document(_needed(bundle, ISSUERS))
    known = Trust(issuers)
    here = rules.for_door(rules.read(_needed(bundle, f"site/{site}.json"), site), groups)
    lists = {}
    for path, data in bundle.documents.items():
        if path.startswith("status/"):
            name = path.removeprefix("status/").removesuffix(".cwt")
            issuer = name.partition("/")[0]
            lists[(issuer, name)] = status.read(data, bundle.keys[path], name)
    return Believed(
        known,
        rules=here,
        holder=holder_terms(here),
        ages=ages(here),
        lists=lists,
        foreign=recognisers(issuers.issuers, bundle.documents),
        version=bundle.version,
        signed_s=bundle.signed_s,
        until_s=bundle.until_s,
        accepted_s=bundle.accepted_s,
    )


def holder_terms(here: DoorRules) -> HolderTerms:
    """What the site asks of holders, as a verdict needs it."""
    said = here.holder
    return HolderTerms(said.back_s, said.ahead_s, said.required, said.door_named)


def ages(here: DoorRules) -> Ages:
    """The steps of age that the site has chosen, in seconds."""
    said = here.ages
    return Ages(
        said.stale_h * 3600,
        said.old_h * 3600,
        said.expired_h * 3600,
        said.long_life_s,
        said.status_h * 3600,
    )


def _needed(bundle: Bundle, path: str) -> bytes:
    try:
        return bundle.documents[path]
    except KeyError:
        raise TrustError(
            f"the trust documents lack {path}; publish them again with menshen-provision"
        ) from None
