"""Issuers: who signs codes, with which keys and when, where, in which colours, for how long."""

import base64
import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from edge.wire import eu_documents, keys, trust
from edge.wire.decode import DecodeError, read_json, read_toml
from edge.wire.foreign_formats import FORMATS
from edge.wire.trust import COLOURS, DC1, ColourName, Group, Name, Seconds
from provisioning import estate as places
from provisioning import files
from provisioning.files import ProvisioningError, TrackedFolder, toml

DAY_S = 24 * 3600
KEY_DAYS = trust.KEY_WINDOW_S_MAX // DAY_S
"""How long the key of an issuer that is online may sign; none may sign longer."""
OFFLINE_DAYS_MAX = 10 * 365
LONGEST_LIFE_S = 24 * 3600
FOREIGN_LIFE_S = 2 * 365 * 24 * 3600
"""EU certificates are signed for a year or more; how long their evidence counts is in the terms."""
KEYS_KEPT = 8  # what older ones signed is long expired
AHEAD_DAYS_MAX = 90  # a next key is made at most so long before it begins


class IssuerKeyDates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A code's `iat` lies in [from_s, until_s): Unix seconds UTC."""

    stem: Annotated[str, msgspec.Meta(pattern=r"^issuer(-[1-9][0-9]{0,3})?(?!\n)$")]
    from_s: Seconds
    until_s: Seconds
    offline: bool = False


class IssuerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """issuer.toml. No `sites`: at every site; no `groups`: at every door."""

    name: Name
    longest_life_s: Seconds
    sites: list[Name] = []
    groups: list[Group] = []
    colours: tuple[ColourName, ...] = COLOURS
    format: Name = DC1  # of a foreign issuer another; its mapping is in terms.json
    withdrawn: bool = False
    keys: list[IssuerKeyDates] = []


def create_issuer(
    estate: Path,
    name: str,
    longest_life_s: int | None = None,
    days: int | None = None,
    from_s: int | None = None,
    *,
    sites: Sequence[str] = (),
    groups: Sequence[str] = (),
    colours: Sequence[str] = (),
    offline: bool = False,
) -> TrackedFolder:
    """Make an issuer whose key may sign for `days` from `from_s` on (now, unless said).

    None stands for the usual value, or for what is there. Raises ProvisioningError.
    """
    _check_days(days, offline)
    if longest_life_s is not None and not 1 <= longest_life_s <= 2**31:
        raise ProvisioningError(
            f"a code cannot live {longest_life_s} seconds; say how long the longest may live"
        )
    _check_start(from_s)
    with places.changing(estate):
        path = places.issuer(estate, name)
        bounds = {"sites": sites, "groups": groups, "colours": colours}
        said: dict[str, Any] = {k: list(v) for k, v in bounds.items() if v}
        if longest_life_s is not None:
            said["longest_life_s"] = longest_life_s
        if (path / "issuer.toml").exists():
            _agree(path, read(estate, name), said, days, from_s)
        start_s = places.now_s() if from_s is None else from_s
        key = IssuerKeyDates(
            stem="issuer",
            from_s=start_s,
            until_s=start_s + (days or KEY_DAYS) * DAY_S,
            offline=offline,
        )
        wanted = _issuer({"name": name, "longest_life_s": LONGEST_LIFE_S} | said, [key])
        text = _toml(wanted)
        folder = TrackedFolder(path)
        folder.signing_key("issuer")
        folder.signing_key("status")
        folder.create_once("issuer.toml", lambda: text)
    return folder


def create_next_key(
    estate: Path,
    name: str,
    days: int | None = None,
    from_s: int | None = None,
    offline: bool = False,
) -> TrackedFolder:
    """Make the issuer's next key. It begins where the last one ends, unless `from_s` says when.

    Raises ProvisioningError, also while the last key has not begun: a step that is repeated by
    mistake makes no third key.
    """
    _check_days(days, offline)
    _check_start(from_s)
    with places.changing(estate):
        there = read(estate, name)
        if there.format != DC1:
            raise ProvisioningError(f"issuer {name!r} is foreign; its keys are in its keys.json")
        now_s = places.now_s()
        last = max(there.keys, key=lambda k: k.from_s)
        if last.from_s > now_s:
            began = datetime.datetime.fromtimestamp(last.from_s, datetime.UTC)
            raise ProvisioningError(
                f"issuer {name!r} has its next key already: {last.stem} begins {began:%Y-%m-%d}"
            )
        start_s = max(last.until_s, now_s) if from_s is None else from_s
        if start_s > now_s + AHEAD_DAYS_MAX * DAY_S:
            raise ProvisioningError(
                f"the next key of {name!r} would begin {(start_s - now_s) // DAY_S} days from now; "
                f"make it {AHEAD_DAYS_MAX} days before it begins at the earliest"
            )
        stem = f"issuer-{1 + max(int(k.stem.partition('-')[2] or 1) for k in there.keys)}"
        key = IssuerKeyDates(
            stem=stem,
            from_s=start_s,
            until_s=start_s + (days or KEY_DAYS) * DAY_S,
            offline=offline,
        )
        text = _toml(msgspec.structs.replace(there, keys=[*there.keys, key]))
        folder = TrackedFolder(places.issuer(estate, name))
        folder.signing_key(stem)
        folder.renew("issuer.toml", text)
    return folder


def recognise_issuer(
    estate: Path,
    name: str,
    format: str,
    terms: Path,
    key_list: Path,
    *,
    sites: Sequence[str] = (),
    longest_life_s: int = FOREIGN_LIFE_S,
) -> TrackedFolder:
    """Recognise a foreign issuer: `terms` maps its claims to ours, `key_list` holds its keys.

    Both are JSON; repeating the step renews them. What doors would not understand is refused.
    Raises ProvisioningError.
    """
    with places.changing(estate):
        path = places.issuer(estate, name)
        said = {"name": name, "longest_life_s": longest_life_s, "format": format}
        wanted = _issuer(said | {"sites": list(sites)}, [])
        if format == DC1:
            raise ProvisioningError(f"{DC1!r} is our own format; run: menshen-provision issuer")
        if format not in FORMATS:
            raise ProvisioningError(
                f"{format!r} is no format that this version recognises; it knows "
                f"{', '.join(FORMATS)}: name it with --format"
            )
        if (path / "issuer.toml").exists() and read(estate, name) != wanted:
            raise ProvisioningError(f"{path} is there with other settings; it was kept as it is")
        texts = {"terms.json": _json(terms, dict), "keys.json": _json(key_list, object)}
        _check_foreign(format, texts["terms.json"], texts["keys.json"], name)
        setting = _toml(wanted)
        folder = TrackedFolder(path)
        folder.signing_key("keys")
        folder.signing_key("status")
        for file, text in texts.items():
            folder.renew(file, text)
        folder.create_once("issuer.toml", lambda: setting)
    return folder


def withdraw(estate: Path, name: str) -> TrackedFolder:
    """Believe this issuer no more, from the next publication on. Raises ProvisioningError."""
    with places.changing(estate):
        there = read(estate, name)
        text = _toml(msgspec.structs.replace(there, withdrawn=True))
        folder = TrackedFolder(places.issuer(estate, name))
        folder.renew("issuer.toml", text)
    return folder


def read(estate: Path, name: str) -> IssuerConfig:
    """What issuer.toml says. Raises ProvisioningError."""
    path = places.issuer(estate, name) / "issuer.toml"
    if not path.exists():
        known = ", ".join(places.names(estate / "issuers")) or "none yet"
        raise ProvisioningError(
            f"{estate} has no issuer {name!r} (it has {known}); "
            f"run: menshen-provision issuer {estate} {name}"
        )
    try:
        found = read_toml(path, IssuerConfig)
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not an issuer's description: {error}") from None
    windows = all(k.from_s < k.until_s for k in found.keys)
    if found.name != name or not windows or (found.format == DC1 and not found.keys):
        raise ProvisioningError(
            f"{path} does not describe issuer {name!r} with a window that ends after it begins"
        )
    return found


def all_trusted(estate: Path) -> list[IssuerConfig]:
    """Every issuer of the estate that was not withdrawn. Raises ProvisioningError."""
    found = [read(estate, name) for name in places.names(estate / "issuers")]
    return [issuer for issuer in found if not issuer.withdrawn]


def trust_entry(estate: Path, found: IssuerConfig) -> trust.IssuerEntry:
    """The issuer as doors will know it. Raises ProvisioningError."""
    folder = places.issuer(estate, found.name)
    held = [
        trust.IssuerKey(
            keys.public_to_text(files.public_key(folder / f"{key.stem}.pub")),
            key.from_s,
            key.until_s,
            key.offline,
        )
        for key in found.keys[-KEYS_KEPT:]
    ]
    terms = b"{}" if found.format == DC1 else _json(folder / "terms.json", dict)
    return trust.IssuerEntry(
        found.name,
        held,
        found.longest_life_s,
        found.groups,
        found.sites,
        found.colours,
        found.format,
        msgspec.Raw(terms),
    )


def _issuer(said: dict[str, Any], held: list[IssuerKeyDates]) -> IssuerConfig:
    try:
        return msgspec.convert(said | {"keys": msgspec.to_builtins(held)}, IssuerConfig)
    except msgspec.ValidationError as error:
        raise ProvisioningError(f"this cannot be an issuer's setting: {error}") from None


def _toml(found: IssuerConfig) -> bytes:
    return toml(msgspec.to_builtins(found))


def _json(path: Path, kind: type) -> bytes:
    """The file in its shortest form. Raises ProvisioningError."""
    try:
        return msgspec.json.encode(read_json(path, kind))
    except OSError as error:
        raise ProvisioningError(f"{path} cannot be read ({error.strerror})") from None
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not what was expected: {error}") from None


def _check_foreign(format: str, terms: bytes, key_list: bytes, name: str) -> None:
    readers = FORMATS[format]
    try:
        readers.terms(terms, name)
        listed = readers.keys(key_list, name)
    except trust.TrustError as error:
        raise ProvisioningError(f"{error}; doors would not understand it") from None
    if not isinstance(listed, eu_documents.EuKeyList):
        return
    for number, key in enumerate(listed.keys, 1):
        try:
            load_der_public_key(base64.b64decode(key.public, validate=True))
        except (ValueError, UnsupportedAlgorithm):
            raise ProvisioningError(
                f"key {number} of the list of {name!r} is no public key; make the list again with "
                "menshen-provision foreign"
            ) from None


def _check_days(days: int | None, offline: bool) -> None:
    most = OFFLINE_DAYS_MAX if offline else KEY_DAYS
    if days is not None and not 1 <= days <= most:
        longer = "" if offline else "; a key that is kept offline may sign longer: --offline"
        raise ProvisioningError(f"a key may sign for 1 to {most} days, not for {days}{longer}")


def _check_start(from_s: int | None) -> None:
    if from_s is not None and not 0 <= from_s <= 2**32 - 1 - OFFLINE_DAYS_MAX * DAY_S:
        raise ProvisioningError(f"a key cannot begin at {from_s}; give Unix seconds")


def _agree(
    path: Path, there: IssuerConfig, said: dict[str, Any], days: int | None, from_s: int | None
) -> None:
    first = there.keys[0] if there.keys else None
    for name, wanted in said.items():
        found = getattr(there, name)
        if (list(found) if isinstance(found, tuple) else found) != wanted:
            label = "a longest life of" if name == "longest_life_s" else f"the {name}"
            raise ProvisioningError(
                f"{path} is there with {label} {_shown(found)}, not {_shown(wanted)}; "
                f"it was kept as it is"
            )
    if first and days is not None and days * DAY_S != first.until_s - first.from_s:
        raise ProvisioningError(
            f"{path} is there with a key for {(first.until_s - first.from_s) / DAY_S:g} days, "
            f"not {days}; it was kept as it is"
        )
    if first and from_s not in (None, first.from_s):
        began = datetime.datetime.fromtimestamp(first.from_s, datetime.UTC)
        raise ProvisioningError(
            f"{path} is there with a key that begins at {began:%Y-%m-%d %H:%M} UTC; "
            f"it was kept as it is"
        )


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value} s"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) and value else "(all)"
