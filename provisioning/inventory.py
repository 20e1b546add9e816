"""What an estate holds, as tables for people."""

import datetime
from pathlib import Path

from rich.table import Table

from edge.wire import keys, trust
from edge.wire import unit as wire
from provisioning import authority, files, issuers, sites
from provisioning import estate as places
from provisioning.files import ProvisioningError
from provisioning.units import UNIT


def show(estate: Path) -> tuple[list[Table], list[str]]:
    """Tables of issuers, sites and units, and a sentence for each thing that cannot be used.

    Raises ProvisioningError if there is no estate.
    """
    if not estate.is_dir():
        raise ProvisioningError(
            f"{estate} is not a folder; begin with: menshen-provision authority {estate}"
        )
    wrong: list[str] = []
    try:
        authority.Authority(estate)
        title = f"Broker: {', '.join(authority.broker_hosts(estate))}"
    except ProvisioningError as error:
        title = "Broker: none"
        wrong.append(str(error))
    return [_issuers(estate, wrong), _sites(estate, wrong), _units(estate, wrong, title)], wrong


def _issuers(estate: Path, wrong: list[str]) -> Table:
    table = Table("issuer", "kid", "key from", "until", "now", "life", title="Issuers")
    for name in places.names(estate / "issuers"):
        try:
            found = issuers.read(estate, name)
            public = files.public_key(places.issuer(estate, name) / "issuer.pub")
        except (ProvisioningError, OSError) as error:
            wrong.append(str(error))
            table.add_row(name, "", "", "", "cannot be used", "")
            continue
        table.add_row(
            name,
            keys.kid(public).hex(),
            _day(found.from_s),
            _day(found.until_s),
            _window(found),
            f"{found.longest_life_s / 3600:g} h",
        )
    return table


def _sites(estate: Path, wrong: list[str]) -> Table:
    table = Table("site", "believes", "version", "signed", "units", "counts", title="Sites")
    for name in places.names(estate / "sites"):
        try:
            settings, document = sites.read(estate, name), sites.document(estate, name)
        except (ProvisioningError, OSError) as error:
            wrong.append(str(error))
            table.add_row(name, "cannot be used", "", "", "", "")
            continue
        table.add_row(
            name,
            ", ".join(issuer.name for issuer in document.issuers),
            str(document.version),
            _day(document.signed_s),
            str(len(sites.units(estate, name))),
            f"{settings.k} in {settings.period_s} s" + (", demo" if settings.demo else ""),
        )
    return table


def _units(estate: Path, wrong: list[str], title: str) -> Table:
    table = Table(
        "site", "unit", "groups", "camera", "broker", "believes", title=f"Units ({title})"
    )
    for site in places.names(estate / "sites"):
        for name in sites.units(estate, site):
            card = places.card(estate, site, name)
            try:
                found = wire.read(card / UNIT)
                public = keys.public_from_text(found.trust_key)
                document = trust.open_document((card / sites.ISSUERS).read_bytes(), public)
            except (wire.ConfigError, trust.TrustError, OSError) as error:
                why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
                wrong.append(f"unit {name!r} of {site!r} cannot be used: {why}")
                table.add_row(site, name, "", "", "", "cannot be used")
                continue
            table.add_row(
                site,
                name,
                " ".join(found.groups),
                found.camera.kind,
                f"{found.broker.host}:{found.broker.port}" if found.broker else "none",
                f"version {document.version}",
            )
    return table


def _window(found: issuers.Issuer) -> str:
    now_s = places.now_s()
    if now_s < found.from_s:
        return "not yet"
    if now_s >= found.until_s:
        return "ended"
    return f"{(found.until_s - now_s) // issuers.DAY_S} days"


def _day(at_s: int) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%d")
