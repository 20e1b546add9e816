"""Issuers: which keys sign codes, when, at which sites, in which colours and for how long."""

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
"""How long the key of an online issuer may sign, by default and at most."""
OFFLINE_DAYS_MAX = 10 * 365
LONGEST_LIFE_S = 24 * 3600
FOREIGN_LIFE_S = 2 * 365 * 24 * 3600
"""EU certificates are signed for a year or more; the terms say how long their evidence counts."""
KEYS_PUBLISHED = 8  # the newest keys; codes of older keys expired long ago
AHEAD_DAYS_MAX = 90  # how long before its start a next key can be made


class IssuerKeyDates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a key may sign: a code's `iat` must be in [from_s, until_s), Unix seconds UTC."""

    stem: Annotated[str, msgspec.Meta(pattern=r"^issuer(-[1-9][0-9]{0,3})?(?!\n)$")]
    from_s: Seconds
    until_s: Seconds
    offline: bool = False


class IssuerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """issuer.toml. Empty `sites`: valid at every site; empty `groups`: valid at every door."""

    name: Name
    longest_life_s: Seconds
    sites: list[Name] = []
    groups: list[Group] = []
    colours: tuple[ColourName, ...] = COLOURS
    format: Name = DC1  # a foreign issuer has another format, and its mapping in terms.json
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
    """Make an issuer whose key may sign for `days` days from `from_s` on (default: now).

    None means the default, or the existing value. Raises ProvisioningError.
    """
    _check_days(days, offline)
    if longest_life_s is not None and not 1 <= longest_life_s <= 2**31:
        raise ProvisioningError(
            f"a code cannot be valid for {longest_life_s} seconds; choose 1 to {2**31} with "
            f"--longest-life-s"
        )
    _check_start(from_s)
    with places.changing(estate):
        path = places.issuer(estate, name)
        bounds = {"sites": sites, "groups": groups, "colours": colours}
        settings: dict[str, Any] = {k: list(v) for k, v in bounds.items() if v}
        if longest_life_s is not None:
            settings["longest_life_s"] = longest_life_s
        if (path / "issuer.toml").exists():
            _check_unchanged(path, read(estate, name), settings, days, from_s)
        start_s = places.now_s() if from_s is None else from_s
        key = IssuerKeyDates(
            stem="issuer",
            from_s=start_s,
            until_s=start_s + (days or KEY_DAYS) * DAY_S,
            offline=offline,
        )
        config = _config({"name": name, "longest_life_s": LONGEST_LIFE_S} | settings, [key])
        text = _toml(config)
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
    """Make the issuer's next key. It becomes valid when the last one ends, or at `from_s`.

    Raises ProvisioningError, also while the last key is not yet valid, so that a step repeated by
    mistake does not make a third key.
    """
    _check_days(days, offline)
    _check_start(from_s)
    with places.changing(estate):
        config = read(estate, name)
        if config.format != DC1:
            raise ProvisioningError(f"issuer {name!r} is foreign; its keys are in its keys.json")
        now_s = places.now_s()
        last = max(config.keys, key=lambda k: k.from_s)
        if last.from_s > now_s:
            start = datetime.datetime.fromtimestamp(last.from_s, datetime.UTC)
            raise ProvisioningError(
                f"issuer {name!r} has its next key already: {last.stem} begins "
                f"{start:%Y-%m-%d}; nothing was made"
            )
        start_s = max(last.until_s, now_s) if from_s is None else from_s
        if start_s > now_s + AHEAD_DAYS_MAX * DAY_S:
            raise ProvisioningError(
                f"the next key of {name!r} would begin in {(start_s - now_s) // DAY_S} days; "
                f"make it at most {AHEAD_DAYS_MAX} days before that"
            )
        stem = f"issuer-{1 + max(int(k.stem.partition('-')[2] or 1) for k in config.keys)}"
        key = IssuerKeyDates(
            stem=stem,
            from_s=start_s,
            until_s=start_s + (days or KEY_DAYS) * DAY_S,
            offline=offline,
        )
        text = _toml(msgspec.structs.replace(config, keys=[*config.keys, key]))
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

    Both are JSON files; repeating the step renews them. Raises ProvisioningError, also for files
    that doors would reject.
    """
    with places.changing(estate):
        path = places.issuer(estate, name)
        settings = {"name": name, "longest_life_s": longest_life_s, "format": format}
        config = _config(settings | {"sites": list(sites)}, [])
        if format == DC1:
            raise ProvisioningError(f"{DC1!r} is our own format; run: menshen-provision issuer")
        if format not in FORMATS:
            raise ProvisioningError(
                f"this version does not support the format {format!r}; choose one with --format: "
                f"{', '.join(FORMATS)}"
            )
        if (path / "issuer.toml").exists() and read(estate, name) != config:
            raise ProvisioningError(f"{path} exists with other settings; it was kept")
        texts = {"terms.json": _json(terms, dict), "keys.json": _json(key_list, object)}
        _check_foreign(format, texts["terms.json"], texts["keys.json"], name)
        config_toml = _toml(config)
        folder = TrackedFolder(path)
        folder.signing_key("keys")
        folder.signing_key("status")
        for file, text in texts.items():
            folder.renew(file, text)
        folder.create_once("issuer.toml", lambda: config_toml)
    return folder


def withdraw(estate: Path, name: str) -> TrackedFolder:
    """Stop trusting this issuer, from the next publication on. Raises ProvisioningError."""
    with places.changing(estate):
        config = read(estate, name)
        text = _toml(msgspec.structs.replace(config, withdrawn=True))
        folder = TrackedFolder(places.issuer(estate, name))
        folder.renew("issuer.toml", text)
    return folder


def read(estate: Path, name: str) -> IssuerConfig:
    """Read issuer.toml. Raises ProvisioningError."""
    path = places.issuer(estate, name) / "issuer.toml"
    if not path.exists():
        existing = ", ".join(places.names(estate / "issuers")) or "none yet"
        raise ProvisioningError(
            f"{estate} has no issuer {name!r} (it has {existing}); "
            f"run: menshen-provision issuer {estate} {name}"
        )
    try:
        config = read_toml(path, IssuerConfig)
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not a valid issuer configuration: {error}") from None
    windows = all(k.from_s < k.until_s for k in config.keys)
    if config.name != name or not windows or (config.format == DC1 and not config.keys):
        raise ProvisioningError(
            f"{path} is not a valid configuration of issuer {name!r}: it needs that name, and a "
            f"key whose until_s is after its from_s"
        )
    return config


def all_trusted(estate: Path) -> list[IssuerConfig]:
    """Every issuer of the estate that is not withdrawn. Raises ProvisioningError."""
    every = [read(estate, name) for name in places.names(estate / "issuers")]
    return [issuer for issuer in every if not issuer.withdrawn]


def trust_entry(estate: Path, config: IssuerConfig) -> trust.IssuerEntry:
    """The issuer's entry in the trust documents. Raises ProvisioningError."""
    folder = places.issuer(estate, config.name)
    issuer_keys = [
        trust.IssuerKey(
            keys.public_to_text(files.public_key(folder / f"{key.stem}.pub")),
            key.from_s,
            key.until_s,
            key.offline,
        )
        for key in config.keys[-KEYS_PUBLISHED:]
    ]
    terms = b"{}" if config.format == DC1 else _json(folder / "terms.json", dict)
    return trust.IssuerEntry(
        config.name,
        issuer_keys,
        config.longest_life_s,
        config.groups,
        config.sites,
        config.colours,
        config.format,
        msgspec.Raw(terms),
    )


def _config(settings: dict[str, Any], key_dates: list[IssuerKeyDates]) -> IssuerConfig:
    try:
        return msgspec.convert(settings | {"keys": msgspec.to_builtins(key_dates)}, IssuerConfig)
    except msgspec.ValidationError as error:
        raise ProvisioningError(f"invalid issuer configuration: {error}") from None


def _toml(config: IssuerConfig) -> bytes:
    return toml(msgspec.to_builtins(config))


def _json(path: Path, kind: type) -> bytes:
    """Read a JSON file and re-encode it in its shortest form. Raises ProvisioningError."""
    try:
        return msgspec.json.encode(read_json(path, kind))
    except OSError as error:
        raise ProvisioningError(f"{path} cannot be read ({error.strerror})") from None
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not valid: {error}") from None


def _check_foreign(format: str, terms: bytes, key_list: bytes, name: str) -> None:
    readers = FORMATS[format]
    try:
        readers.terms(terms, name)
        documents = readers.keys(key_list, name)
    except trust.TrustError as error:
        raise ProvisioningError(f"{error}; doors would reject it") from None
    if not isinstance(documents, eu_documents.EuKeyList):
        return
    for number, key in enumerate(documents.keys, 1):
        try:
            load_der_public_key(base64.b64decode(key.public, validate=True))
        except (ValueError, UnsupportedAlgorithm):
            raise ProvisioningError(
                f"key {number} of the list of {name!r} is not a public key; make the list again "
                "with: menshen-provision foreign"
            ) from None


def _check_days(days: int | None, offline: bool) -> None:
    days_max = OFFLINE_DAYS_MAX if offline else KEY_DAYS
    if days is not None and not 1 <= days <= days_max:
        hint = "" if offline else "; a key that is kept offline may sign longer: --offline"
        raise ProvisioningError(f"a key may sign for 1 to {days_max} days, not for {days}{hint}")


def _check_start(from_s: int | None) -> None:
    if from_s is not None and not 0 <= from_s <= 2**32 - 1 - OFFLINE_DAYS_MAX * DAY_S:
        raise ProvisioningError(f"a key cannot become valid at {from_s}; give Unix seconds")


def _check_unchanged(
    path: Path,
    config: IssuerConfig,
    settings: dict[str, Any],
    days: int | None,
    from_s: int | None,
) -> None:
    first = config.keys[0] if config.keys else None
    for name, new in settings.items():
        old = getattr(config, name)
        if (list(old) if isinstance(old, tuple) else old) != new:
            label = "a longest life of" if name == "longest_life_s" else f"the {name}"
            raise ProvisioningError(
                f"{path} exists with {label} {_setting_text(old)}, not {_setting_text(new)}; "
                f"it was kept"
            )
    if first and days is not None and days * DAY_S != first.until_s - first.from_s:
        raise ProvisioningError(
            f"{path} exists with a key for {(first.until_s - first.from_s) / DAY_S:g} days, "
            f"not {days}; it was kept"
        )
    if first and from_s not in (None, first.from_s):
        start = datetime.datetime.fromtimestamp(first.from_s, datetime.UTC)
        raise ProvisioningError(
            f"{path} exists with a key that begins at {start:%Y-%m-%d %H:%M} UTC; it was kept"
        )


def _setting_text(value: object) -> str:
    if isinstance(value, int):
        return f"{value} s"
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) and value else "(all)"
