"""The content of an estate, as tables for people."""

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
    """Tables of issuers, sites and units, and one sentence for each unusable part.

    Raises ProvisioningError if there is no estate.
    """
    if not estate.is_dir():
        raise ProvisioningError(
            f"{estate} is not a folder; start with: menshen-provision authority {estate}"
        )
    problems: list[str] = []
    try:
        authority.Authority(estate)
        title = f"Broker: {', '.join(authority.broker_hosts(estate))}"
    except ProvisioningError as error:
        title = "Broker: none"
        problems.append(str(error))
    return [
        _issuers(estate, problems),
        _sites(estate, problems),
        _units(estate, problems, title),
    ], problems


def _issuers(estate: Path, problems: list[str]) -> Table:
    table = Table("issuer", "kid", "key from", "until", "now", "life", "sites", title="Issuers")
    for name in places.names(estate / "issuers"):
        folder = places.issuer(estate, name)
        try:
            config = issuers.read(estate, name)
            publics = [files.public_key(folder / f"{key.stem}.pub") for key in config.keys]
        except (ProvisioningError, OSError) as error:
            problems.append(str(error))
            table.add_row(name, "", "", "", "cannot be used", "", "")
            continue
        site_names = " ".join(config.sites) or "all"
        life = f"{config.longest_life_s / 3600:g} h"
        if config.format != DC1 or config.withdrawn:
            state = "withdrawn" if config.withdrawn else f"foreign, {config.format}"
            table.add_row(name, "", "", "", state, life, site_names)
            continue
        for key, public in zip(config.keys, publics, strict=True):
            window = (_day(key.from_s), _day(key.until_s), _window(key))
            table.add_row(name, keys.kid(public).hex(), *window, life, site_names)
    return table


def _sites(estate: Path, problems: list[str]) -> Table:
    table = Table("site", "rules signed", "until", "units", "counts", title="Sites")
    for name in places.names(estate / "sites"):
        try:
            sites.read(estate, name)
            counts = sites.rules(estate, name).counts
            published = repository.published(estate, name)
        except (ProvisioningError, OSError) as error:
            problems.append(str(error))
            table.add_row(name, "cannot be used", "", "", "")
            continue
        table.add_row(
            name,
            *(map(_day, published) if published else ("not published", "")),
            str(len(sites.units(estate, name))),
            f"{counts.k} in {counts.period_s} s" + (", demo" if counts.demo else ""),
        )
    return table


def _units(estate: Path, problems: list[str], title: str) -> Table:
    table = Table(
        "site", "unit", "groups", "camera", "broker", "trust as of", title=f"Units ({title})"
    )
    for site in places.names(estate / "sites"):
        for name in sites.units(estate, site):
            card = places.card(estate, site, name)
            try:
                config = wire.read(card / UNIT)
                signed_s = signed.read((card / "trust" / signed.TIMESTAMP).read_bytes()).signed_s
            except (wire.ConfigError, signed.BrokenRepository, OSError) as error:
                why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
                problems.append(f"unit {name!r} of {site!r} cannot be used: {why}")
                table.add_row(site, name, "", "", "", "cannot be used")
                continue
            table.add_row(
                site,
                name,
                " ".join(config.groups),
                config.camera.kind,
                f"{config.broker.host}:{config.broker.port}" if config.broker else "none",
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
