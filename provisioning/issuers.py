"""Issuers: who signs codes, with which key, in which time, and how long a code may live."""

import datetime
from pathlib import Path

import msgspec
import tomli_w

from edge.wire import keys, trust
from edge.wire.trust import Name, Seconds
from provisioning import estate as places
from provisioning import files
from provisioning.files import Folder, ProvisioningError

KEY_DAYS = 35
"""How long the key of an issuer that is online may sign; none may sign longer."""
LONGEST_LIFE_S = 24 * 3600
DAY_S = 24 * 3600


class Issuer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """issuer.toml. A code's `iat` lies in [from_s, until_s): Unix seconds UTC."""

    name: Name
    longest_life_s: Seconds
    from_s: Seconds
    until_s: Seconds


def issuer(
    estate: Path,
    name: str,
    longest_life_s: int | None = None,
    days: int | None = None,
    from_s: int | None = None,
) -> Folder:
    """Make an issuer whose key may sign for `days` from `from_s` on (now, unless said).

    None stands for the usual value, or for what is there. Raises ProvisioningError.
    """
    if days is not None and not 1 <= days <= KEY_DAYS:
        raise ProvisioningError(f"a key may sign for 1 to {KEY_DAYS} days, not for {days}")
    if longest_life_s is not None and not 1 <= longest_life_s <= 2**31:
        raise ProvisioningError(
            f"a code cannot live {longest_life_s} seconds; say how long the longest may live"
        )
    if from_s is not None and not 0 <= from_s <= 2**32 - 1 - KEY_DAYS * DAY_S:
        raise ProvisioningError(f"a key cannot begin at {from_s}; give Unix seconds")
    with places.changing(estate):
        path = places.issuer(estate, name)
        if (path / "issuer.toml").exists():
            _agree(path, read(estate, name), longest_life_s, days, from_s)
        folder = Folder(path)
        folder.signing_key("issuer")
        folder.signing_key("status")
        start_s = places.now_s() if from_s is None else from_s
        wanted = Issuer(
            name=name,
            longest_life_s=longest_life_s or LONGEST_LIFE_S,
            from_s=start_s,
            until_s=start_s + (days or KEY_DAYS) * DAY_S,
        )
        folder.once("issuer.toml", lambda: tomli_w.dumps(msgspec.to_builtins(wanted)).encode())
    return folder


def read(estate: Path, name: str) -> Issuer:
    """What issuer.toml says. Raises ProvisioningError."""
    path = places.issuer(estate, name) / "issuer.toml"
    if not path.exists():
        known = ", ".join(places.names(estate / "issuers")) or "none yet"
        raise ProvisioningError(
            f"{estate} has no issuer {name!r} (it has {known}); "
            f"run: menshen-provision issuer {estate} {name}"
        )
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=Issuer)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProvisioningError(f"{path} is not an issuer's description: {error}") from None
    if found.name != name or found.until_s <= found.from_s:
        raise ProvisioningError(
            f"{path} does not describe issuer {name!r} with a window that ends after it begins"
        )
    return found


def trusted(estate: Path, name: str) -> trust.Issuer:
    """The issuer as a site's doors will know it. Raises ProvisioningError."""
    found = read(estate, name)
    public = files.public_key(places.issuer(estate, name) / "issuer.pub")
    key = trust.IssuerKey(keys.public_to_text(public), found.from_s, found.until_s)
    return trust.Issuer(name, [key], found.longest_life_s)


def _agree(
    path: Path, there: Issuer, longest_life_s: int | None, days: int | None, from_s: int | None
) -> None:
    if longest_life_s not in (None, there.longest_life_s):
        raise ProvisioningError(
            f"{path} is there with a longest life of {there.longest_life_s} s, not "
            f"{longest_life_s}; it was kept as it is"
        )
    if days is not None and days * DAY_S != there.until_s - there.from_s:
        raise ProvisioningError(
            f"{path} is there with a key for {(there.until_s - there.from_s) / DAY_S:g} days, "
            f"not {days}; it was kept as it is"
        )
    if from_s not in (None, there.from_s):
        began = datetime.datetime.fromtimestamp(there.from_s, datetime.UTC)
        raise ProvisioningError(
            f"{path} is there with a key that begins at {began:%Y-%m-%d %H:%M} UTC; "
            f"it was kept as it is"
        )
