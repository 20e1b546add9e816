"""Whom a unit trusts: the `issuers` document, one for all sites.

It names every issuer whose codes the doors recognise and what each may say: with which keys and
when, where, in which colours, for how long. How it is signed and how it arrives: trust.md.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from edge.wire import keys
from edge.wire.code import Colour
from edge.wire.decode import DecodeError, decode_json

ISSUERS_MAX = 4000
KEY_WINDOW_S_MAX = 35 * 86400
"""An issuer's key that is online may sign for so long; what is stolen from it ends with it."""
DC1 = "dc1"
"""The format of an issuer that signs door codes; every other is a foreign one."""

# `$` alone would let one line feed follow: `(?!\n)` does not.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?(?!\n)$")]
"""A site, unit or issuer: one level of an MQTT topic; two of them fit a certificate's name."""
Group = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9/._-]{0,61}[a-z0-9])?(?!\n)$")]
"""A door group, as `campus/north`: what a code's `aud` names."""
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
"""Unix seconds UTC, or a length of time in seconds."""


class TrustError(ValueError):
    """A trust document that cannot be trusted; one sentence for people."""


class IssuerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key and the time in which a code's `iat` must lie: `from_s` <= iat < `until_s`."""

    public: str  # base64 of 32 bytes
    from_s: Seconds
    until_s: Seconds
    offline: bool = False  # only such a key may have a window above KEY_WINDOW_S_MAX


ColourName = Literal["green", "yellow", "red"]
COLOURS: tuple[ColourName, ...] = ("green", "yellow", "red")


class IssuerEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Who signs codes and what it may say. No `sites`: at every site; no `groups`: every door."""

    name: Name
    keys: Annotated[list[IssuerKey], msgspec.Meta(max_length=16)]
    longest_life_s: Seconds
    groups: Annotated[list[Group], msgspec.Meta(max_length=64)] = []
    sites: Annotated[list[Name], msgspec.Meta(max_length=256)] = []
    colours: Annotated[tuple[ColourName, ...], msgspec.Meta(max_length=3)] = COLOURS
    format: Name = DC1
    terms: msgspec.Raw = msgspec.Raw(b"{}")  # a foreign format's mapping, read by its recogniser


class Issuers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document itself; a higher `version` replaces a lower one, never the other way."""

    version: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    signed_s: Seconds
    issuers: Annotated[list[IssuerEntry], msgspec.Meta(max_length=ISSUERS_MAX)]


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What one key of an issuer may sign, where and when; of whatever format."""

    issuer: str
    from_s: int
    until_s: int
    longest_life_s: int
    sites: frozenset[str]  # empty: every site
    groups: frozenset[str]  # empty: every door group
    colours: frozenset[Colour]


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One issuer key of our own format."""

    public: bytes  # 32 bytes
    terms: KeyTerms


class Trust:
    """Whom a unit trusts, by kid; the time of a look-up does not grow with the number of issuers.

    Raises TrustError for an issuer or a key that is named twice (which terms hold would be luck),
    for a key that is none, and for an online key with too long a window.
    """

    def __init__(self, document: Issuers) -> None:
        self.version = document.version
        self.signed_s = document.signed_s
        self.foreign = tuple(issuer for issuer in document.issuers if issuer.format != DC1)
        by_kid: dict[bytes, tuple[TrustedKey, ...]] = {}
        names: set[str] = set()
        publics: set[bytes] = set()
        for issuer in document.issuers:
            if issuer.name in names:
                raise TrustError(f"the issuers file names issuer {issuer.name!r} twice")
            names.add(issuer.name)
            for key in issuer.keys:
                trusted = _trusted(issuer, key)
                if trusted.public in publics:
                    raise TrustError(
                        f"the issuers file names the key {key.public} twice, "
                        f"the second time for {issuer.name!r}"
                    )
                publics.add(trusted.public)
                kid = keys.kid(trusted.public)
                by_kid[kid] = (*by_kid.get(kid, ()), trusted)
        self._keys = by_kid

    def keys(self, kid: bytes) -> tuple[TrustedKey, ...]:
        """Every key that has this kid: none, one, or (kids may collide) several."""
        return self._keys.get(kid, ())


def _trusted(issuer: IssuerEntry, key: IssuerKey) -> TrustedKey:
    if key.until_s - key.from_s > KEY_WINDOW_S_MAX and not key.offline:
        raise TrustError(
            f"the issuers file lets an online key of {issuer.name!r} sign for "
            f"{(key.until_s - key.from_s) / 86400:.0f} days; "
            f"{KEY_WINDOW_S_MAX // 86400} is the most"
        )
    if issuer.format != DC1:
        raise TrustError(
            f"the issuers file gives {issuer.name!r} of format {issuer.format!r} keys of our own "
            f"format; its keys belong in keys/{issuer.name}.json"
        )
    try:
        public = keys.public_from_text(key.public)
    except keys.KeyFileError as error:
        raise TrustError(f"the issuers file is signed but not understood: {error}") from None
    return TrustedKey(public, key_terms(issuer, key.from_s, key.until_s))


def key_terms(issuer: IssuerEntry, from_s: int, until_s: int) -> KeyTerms:
    """The terms of a key of `issuer` that was in use from `from_s` until `until_s`."""
    return KeyTerms(
        issuer.name,
        from_s,
        until_s,
        issuer.longest_life_s,
        frozenset(issuer.sites),
        frozenset(issuer.groups),
        frozenset(Colour[name.upper()] for name in issuer.colours),
    )


def document(data: bytes) -> Issuers:
    """Read the bytes of issuers.json, whose signature was verified elsewhere. Raises TrustError."""
    try:
        return decode_json(data, Issuers)
    except DecodeError as error:
        raise TrustError(f"the issuers file is signed but not understood: {error}") from None
