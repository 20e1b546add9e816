"""Codes of other people: each module here recognises one foreign format, and is found by itself.

A module offers `FORMAT` (what an issuer's `format` says in issuers.json), `PREFIX` (how its text
begins) and `recogniser(issuers)`. A second format is one new file here and no change elsewhere.
Source: edge/wire/foreign.md, section 1.
"""

import importlib
import logging
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.judge.verdict import Recogniser
from edge.wire.code import PREFIX as OURS
from edge.wire.trust import DC1, IssuerEntry

log = logging.getLogger("menshen")


@dataclass(frozen=True, slots=True)
class ForeignIssuer:
    """An issuer whose codes are not ours, and its verified key list, not yet understood."""

    issuer: IssuerEntry
    keys: bytes | None  # keys/<issuer>.json; None: it has not come


class Format(Protocol):
    """What a module of this package offers."""

    FORMAT: str
    PREFIX: bytes

    def recogniser(self, issuers: Sequence[ForeignIssuer]) -> Recogniser:
        """Recognise the codes of `issuers`, all of this format.

        Who is not understood among them is left out with one line in the log.
        """


def formats() -> dict[str, Format]:
    """Every format that a module of this package recognises, by its name."""
    found: dict[str, Format] = {}
    for module in pkgutil.iter_modules(__path__):
        offered = importlib.import_module(f"{__name__}.{module.name}")
        if not all(hasattr(offered, name) for name in ("FORMAT", "PREFIX", "recogniser")):
            continue
        taken = [OURS, *(other.PREFIX for other in found.values())]
        if offered.FORMAT in (DC1, *found) or any(_overlap(offered.PREFIX, p) for p in taken):
            raise AssertionError(f"{module.name} recognises what another recognises already")
        found[offered.FORMAT] = offered
    return found


def recognisers(
    issuers: Iterable[IssuerEntry], documents: Mapping[str, bytes]
) -> tuple[Recogniser, ...]:
    """One recogniser a format that occurs among `issuers`; those of our own format are passed by.

    `documents`: verified trust documents by target path. A format that this version does not know
    is left out with one line in the log: a newer document must not stop an older unit.
    """
    known = formats()
    wanted: dict[str, list[ForeignIssuer]] = {}
    for issuer in issuers:
        if issuer.format == DC1:
            continue
        if issuer.format not in known:
            log.warning(
                "issuer %s signs codes of format %s, which this version does not recognise",
                issuer.name,
                issuer.format,
            )
            continue
        keys = documents.get(f"keys/{issuer.name}.json")
        if keys is None:
            log.warning("issuer %s has no key list: none of its codes is recognised", issuer.name)
        wanted.setdefault(issuer.format, []).append(ForeignIssuer(issuer, keys))
    return tuple(known[name].recogniser(these) for name, these in wanted.items())


def _overlap(a: bytes, b: bytes) -> bool:
    return a.startswith(b) or b.startswith(a)
