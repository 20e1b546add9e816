"""The layout of an estate: one folder that holds all keys and settings of an operator's sites.

authority/   ca.pem, ca.key                  signs the certificates of broker, collector and units
             roots/1.root.json, ...          the roots of trust, each signed by two holders
             holders/1, 2, 3                 one folder per person, kept apart: two of them sign
                 root.pub, .key              the roots
                 targets.pub, .key           which site and issuer has which key
                 issuers.pub, .key           which issuers the doors trust, and for what
server/      broker.pem, .key                the broker's certificate
             collector.pem, .key             the collector's certificate
             collector-sign.pub, .key        signs acknowledgements
             time.pub, .key                  signs the time for units that ask
             snapshot.pub, .key              sign which documents are current, and nothing else
             timestamp.pub, .key
issuers/ISSUER/   issuer.pub, .key, .toml    signs codes; issuer-2 and so on are its next keys
                  status.pub, .key           signs which of its codes are revoked
                  status/LIST.cwt            those lists, written by menshen-server
                  keys.pub, .key, .json      of a foreign issuer: signs the list of its keys
sites/SITE/       site.pub, .key, .toml      signs the site's rules
                  rules.json                 the rules; unsigned, edited by people
sites/SITE/units/UNIT/   the unit's card: what it needs, and nothing that opens another door
repository/  metadata/, targets/             all of it signed, for the broker and for USB sticks
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from edge.files import locked
from edge.wire.trust import Name
from provisioning import files
from provisioning.files import ProvisioningError


def authority(estate: Path) -> Path:
    """The authority's folder."""
    return estate / "authority"


def holders(estate: Path) -> Path:
    """The folder of the holders' folders."""
    return authority(estate) / "holders"


def roots(estate: Path) -> Path:
    """The folder of every root that was ever signed."""
    return authority(estate) / "roots"


def repository(estate: Path) -> Path:
    """The folder of the published documents."""
    return estate / "repository"


def server(estate: Path) -> Path:
    """The folder for the broker's and the collector's machine."""
    return estate / "server"


def issuer(estate: Path, name: str) -> Path:
    """One issuer's folder. Raises ProvisioningError for an invalid name."""
    return estate / "issuers" / checked(name, "issuer")


def site(estate: Path, name: str) -> Path:
    """One site's folder. Raises ProvisioningError for an invalid name."""
    if name == "trust":  # menshen/1/trust is the broker's topic for trust documents
        raise ProvisioningError("'trust' cannot be the name of a site; choose another")
    return estate / "sites" / checked(name, "site")


def card(estate: Path, site_name: str, unit: str) -> Path:
    """One unit's card. Raises ProvisioningError for an invalid name."""
    return site(estate, site_name) / "units" / checked(unit, "unit")


def names(folder: Path) -> list[str]:
    """The names of the folders in a folder of the estate; empty if it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def checked(name: str, what: Literal["issuer", "site", "unit"]) -> str:
    """`name`, if it is valid for an issuer, site or unit. Raises ProvisioningError."""
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise ProvisioningError(
            f"{name[:60]!r} cannot be the name of this {what}: use 1 to 31 small letters, digits "
            f"and hyphens, beginning and ending with a letter or digit"
        ) from None


def now_s() -> int:
    """Unix seconds UTC by this machine's clock, the only clock of provisioning."""
    return int(time.time())


@contextmanager
def changing(estate: Path) -> Iterator[None]:
    """Lock the estate's folder for a change; create the folder if it does not exist."""
    files.folder(estate)
    with locked(estate):
        yield
