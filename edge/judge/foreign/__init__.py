"""Foreign code formats: each module in this package recognises one, and is discovered at import.

A module has `FORMAT` (the `format` of its issuers in issuers.json), `PREFIX` (how its texts begin)
and `recogniser(issuers)`. No other file of `edge/judge` changes for a new format.
Source: edge/wire/foreign.md, section 1. To add a format: adding-a-format.md.
"""

import importlib
import logging
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.judge.verdict import Recogniser
from edge.wire.code import PREFIX as DC1_PREFIX
from edge.wire.trust import DC1, IssuerEntry

log = logging.getLogger("menshen")


@dataclass(frozen=True, slots=True)
class ForeignIssuer:
    """An issuer of a foreign format, and its verified key list, not parsed yet."""

    issuer: IssuerEntry
    keys: bytes | None  # keys/<issuer>.json; None: the unit has none


class Format(Protocol):
    """The interface of a module of this package."""

    FORMAT: str
    PREFIX: bytes

    def recogniser(self, issuers: Sequence[ForeignIssuer]) -> Recogniser:
        """A recogniser for the codes of `issuers`, all of this format.

        An issuer whose documents cannot be read is left out, with one line in the log.
        """


def formats() -> dict[str, Format]:
    """The formats that the modules of this package recognise, by name.

    Raises AssertionError if two modules have one name, or prefixes that overlap.
    """
    by_name: dict[str, Format] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if not all(hasattr(module, name) for name in ("FORMAT", "PREFIX", "recogniser")):
            continue
        prefixes = [DC1_PREFIX, *(other.PREFIX for other in by_name.values())]
        if module.FORMAT in (DC1, *by_name) or any(_overlap(module.PREFIX, p) for p in prefixes):
            raise AssertionError(f"{info.name} has the format or the prefix of another module")
        by_name[module.FORMAT] = module
    return by_name


def recognisers(
    issuers: Iterable[IssuerEntry], documents: Mapping[str, bytes]
) -> tuple[Recogniser, ...]:
    """One recogniser for each foreign format among `issuers`; issuers of our format are skipped.

    `documents`: verified trust documents by target path. A format that this version does not know
    is left out with one line in the log: a newer document must not stop an older unit.
    """
    by_name = formats()
    issuers_by_format: dict[str, list[ForeignIssuer]] = {}
    for issuer in issuers:
        if issuer.format == DC1:
            continue
        if issuer.format not in by_name:
            log.warning(
                "issuer %s signs codes of format %s, which this version does not recognise",
                issuer.name,
                issuer.format,
            )
            continue
        keys = documents.get(f"keys/{issuer.name}.json")
        if keys is None:
            log.warning("issuer %s has no key list: its codes are not recognised", issuer.name)
        issuers_by_format.setdefault(issuer.format, []).append(ForeignIssuer(issuer, keys))
    return tuple(by_name[name].recogniser(some) for name, some in issuers_by_format.items())


def _overlap(a: bytes, b: bytes) -> bool:
    return a.startswith(b) or b.startswith(a)
