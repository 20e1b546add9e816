"""An estate: one folder with all that an operator's sites are made of. What lies where.

authority/   ca.pem, ca.key                  vouches for broker, collector and units
             roots/1.root.json, ...          whom the doors trust first; each signed by two holders
             holders/1, 2, 3                 one folder a person, kept apart: two of them sign
                 root.pub, .key              the roots
                 targets.pub, .key           which site and issuer has which key
                 issuers.pub, .key           whom the doors believe, and in what
server/      broker.pem, .key                the broker's certificate
             collector.pem, .key             the collector's certificate
             collector-sign.pub, .key        signs acknowledgements
             time.pub, .key                  signs the time for units that ask
             snapshot.pub, .key              say which documents are current, and nothing else
             timestamp.pub, .key
issuers/ISSUER/   issuer.pub, .key, .toml    signs codes; issuer-2 and so on are its next keys
                  status.pub, .key           signs which of its codes are revoked
                  status/LIST.cwt            those lists, by menshen-server
                  keys.pub, .key, .json      of a foreign issuer: signs the list of its keys
sites/SITE/       site.pub, .key, .toml      signs the site's rules
                  rules.json                 the rules; unsigned, to be changed by people
sites/SITE/units/UNIT/   the unit's card: what it needs, and nothing that opens another door
repository/  metadata/, targets/             all of it signed, for the broker and for sticks
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
    """Where the authority lives."""
    return estate / "authority"


def holders(estate: Path) -> Path:
    """The folders of those who sign together."""
    return authority(estate) / "holders"


def roots(estate: Path) -> Path:
    """Every root that was ever signed."""
    return authority(estate) / "roots"


def repository(estate: Path) -> Path:
    """What is published."""
    return estate / "repository"


def server(estate: Path) -> Path:
    """What the broker's and the collector's machine needs."""
    return estate / "server"


def issuer(estate: Path, name: str) -> Path:
    """One issuer's folder. Raises ProvisioningError for a bad name."""
    return estate / "issuers" / checked(name, "issuer")


def site(estate: Path, name: str) -> Path:
    """One site's folder. Raises ProvisioningError for a bad name."""
    if name == "trust":  # menshen/1/trust is where the broker has the trust documents
        raise ProvisioningError("'trust' cannot be the name of a site; choose another")
    return estate / "sites" / checked(name, "site")


def card(estate: Path, site_name: str, unit: str) -> Path:
    """One unit's card. Raises ProvisioningError for a bad name."""
    return site(estate, site_name) / "units" / checked(unit, "unit")


def names(folder: Path) -> list[str]:
    """The things that a folder of the estate holds, by name; none if it is not there."""
    if not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def checked(name: str, what: Literal["issuer", "site", "unit"]) -> str:
    """`name` if it may name an issuer, site or unit. Raises ProvisioningError."""
    try:
        return msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise ProvisioningError(
            f"{name[:60]!r} cannot be the name of this {what}: use 1 to 31 small letters, digits "
            f"and hyphens, beginning and ending with a letter or digit"
        ) from None


def now_s() -> int:
    """Unix seconds UTC by this machine's clock, the only one that provisioning has."""
    return int(time.time())


@contextmanager
def changing(estate: Path) -> Iterator[None]:
    """Make the estate's folder if need be, and let nobody else change it meanwhile."""
    files.folder(estate)
    with locked(estate):
        yield
