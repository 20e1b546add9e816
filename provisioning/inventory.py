"""What an estate holds, as tables for people."""

import datetime
from pathlib import Path

from rich.table import Table

from edge.wire import keys
from edge.wire import repository as signed
from edge.wire import unit as wire
from edge.wire.trust import DC1
from provisioning import authority, files, issuers, repository, sites
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
    table = Table("issuer", "kid", "key from", "until", "now", "life", "sites", title="Issuers")
    for name in places.names(estate / "issuers"):
        folder = places.issuer(estate, name)
        try:
            found = issuers.read(estate, name)
            publics = [files.public_key(folder / f"{key.stem}.pub") for key in found.keys]
        except (ProvisioningError, OSError) as error:
            wrong.append(str(error))
            table.add_row(name, "", "", "", "cannot be used", "", "")
            continue
        where = " ".join(found.sites) or "all"
        life = f"{found.longest_life_s / 3600:g} h"
        if found.format != DC1 or found.withdrawn:
            now = "withdrawn" if found.withdrawn else f"foreign, {found.format}"
            table.add_row(name, "", "", "", now, life, where)
            continue
        for key, public in zip(found.keys, publics, strict=True):
            window = (_day(key.from_s), _day(key.until_s), _window(key))
            table.add_row(name, keys.kid(public).hex(), *window, life, where)
    return table


def _sites(estate: Path, wrong: list[str]) -> Table:
    table = Table("site", "rules signed", "until", "units", "counts", title="Sites")
    for name in places.names(estate / "sites"):
        try:
            sites.read(estate, name)
            counts = sites.rules(estate, name).counts
            published = repository.published(estate, name)
        except (ProvisioningError, OSError) as error:
            wrong.append(str(error))
            table.add_row(name, "cannot be used", "", "", "")
            continue
        table.add_row(
            name,
            *(map(_day, published) if published else ("not published", "")),
            str(len(sites.units(estate, name))),
            f"{counts.k} in {counts.period_s} s" + (", demo" if counts.demo else ""),
        )
    return table


def _units(estate: Path, wrong: list[str], title: str) -> Table:
    table = Table(
        "site", "unit", "groups", "camera", "broker", "believes as of", title=f"Units ({title})"
    )
    for site in places.names(estate / "sites"):
        for name in sites.units(estate, site):
            card = places.card(estate, site, name)
            try:
                found = wire.read(card / UNIT)
                signed_s = signed.read((card / "trust" / signed.TIMESTAMP).read_bytes()).signed_s
            except (wire.ConfigError, signed.BrokenRepository, OSError) as error:
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
                _day(signed_s),
            )
    return table


def _window(key: issuers.IssuerKeyDates) -> str:
    now_s = places.now_s()
    if now_s < key.from_s:
        return "not yet"
    if now_s >= key.until_s:
        return "ended"
    return f"{(key.until_s - now_s) // issuers.DAY_S} days"


def _day(at_s: int) -> str:
    return datetime.datetime.fromtimestamp(at_s, datetime.UTC).strftime("%Y-%m-%d")
