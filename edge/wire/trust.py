"""The documents that a unit believes. Now: `issuers`, one signed file a site.

The document is JSON in a signed envelope (`edge.wire.envelope`), signed by the site's key. It
names every issuer whose codes the site's doors recognise and what each may say.
"""

from dataclasses import dataclass
from typing import Annotated

import msgspec

from edge.wire import envelope, keys

KIND = "application/vnd.menshen.issuers.1+json"
ISSUERS_MAX = 4000

# `$` alone would let one line feed follow: `(?!\n)` does not.
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,29}[a-z0-9])?(?!\n)$")]
"""A site, unit or issuer: one level of an MQTT topic; two of them fit a certificate's name."""
Group = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9/._-]{0,61}[a-z0-9])?(?!\n)$")]
"""A door group, as `campus/north`: what a code's `aud` names."""
Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
"""Unix seconds UTC, or a length of time in seconds."""


class TrustError(ValueError):
    """A trust document that cannot be believed; one sentence for people."""


class IssuerKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key and the time in which a code's `iat` must lie: `from_s` <= iat < `until_s`."""

    public: str  # base64 of 32 bytes
    from_s: Seconds
    until_s: Seconds


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs codes, with which keys, for which door groups (none named: for all of the site)."""

    name: Name
    keys: Annotated[list[IssuerKey], msgspec.Meta(max_length=16)]
    longest_life_s: Seconds
    groups: Annotated[list[Group], msgspec.Meta(max_length=64)] = []


class Issuers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The document itself; a higher `version` replaces a lower one, never the other way."""

    site: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
    signed_s: Seconds
    issuers: Annotated[list[Issuer], msgspec.Meta(max_length=ISSUERS_MAX)]


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """One issuer key as a verdict needs it."""

    issuer: str
    public: bytes  # 32 bytes
    from_s: int
    until_s: int
    longest_life_s: int
    groups: frozenset[str]  # empty: every door group of the site


class Trust:
    """What a unit believes, ready for look-up by kid; the look-up does not grow with issuers.

    Raises TrustError for an issuer or a key that is named twice: which terms hold would be luck.
    """

    def __init__(self, document: Issuers) -> None:
        self.version = document.version
        self.signed_s = document.signed_s
        found: dict[bytes, tuple[TrustedKey, ...]] = {}
        names: set[str] = set()
        publics: set[bytes] = set()
        for issuer in document.issuers:
            if issuer.name in names:
                raise TrustError(f"the issuers file names issuer {issuer.name!r} twice")
            names.add(issuer.name)
            for key in issuer.keys:
                public = keys.public_from_text(key.public)
                if public in publics:
                    raise TrustError(
                        f"the issuers file names the key {key.public} twice, "
                        f"the second time for {issuer.name!r}"
                    )
                publics.add(public)
                trusted = TrustedKey(
                    issuer.name,
                    public,
                    key.from_s,
                    key.until_s,
                    issuer.longest_life_s,
                    frozenset(issuer.groups),
                )
                kid = keys.kid(public)
                found[kid] = (*found.get(kid, ()), trusted)
        self._keys = found

    def keys(self, kid: bytes) -> tuple[TrustedKey, ...]:
        """Every key that has this kid: none, one, or (kids may collide) several."""
        return self._keys.get(kid, ())


def sign(document: Issuers, site_key: keys.PrivateKey) -> bytes:
    """Return the signed file."""
    payload = msgspec.json.format(msgspec.json.encode(document), indent=1)
    return envelope.sign(payload, KIND, site_key)


def open_document(data: bytes, site_key: bytes, site: str) -> Issuers:
    """Verify and read a signed `issuers` file of `site`. Raises TrustError."""
    try:
        payload = envelope.verify(data, KIND, site_key)
        document = msgspec.json.decode(payload, type=Issuers)
    except envelope.EnvelopeError as error:
        raise TrustError(f"the issuers file cannot be believed: {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TrustError(f"the issuers file is signed but not understood: {error}") from None
    if document.site != site:
        raise TrustError(
            f"the issuers file is for site {document.site!r}, this unit is at {site!r}"
        )
    return document


def read(data: bytes, site_key: bytes, site: str) -> Trust:
    """`open_document` made ready for look-up. Raises TrustError."""
    document = open_document(data, site_key, site)
    try:
        return Trust(document)
    except keys.KeyFileError as error:
        raise TrustError(f"the issuers file is signed but not understood: {error}") from None
