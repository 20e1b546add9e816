"""Sites: each has its rules, a key that signs them, and the defaults of its units."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from edge.wire import rules as wire
from edge.wire.decode import DecodeError, read_json, read_toml
from edge.wire.rules import PERIOD_S_MIN
from edge.wire.trust import Name, TrustError
from edge.wire.unit import CountsConfig
from provisioning import estate as places
from provisioning import rules as examples
from provisioning.files import ProvisioningError, TrackedFolder, toml

DEMO_PERIOD_S = 5  # a demo cannot wait a quarter of an hour
DEMO_REPORT_S = 2

RULES = "rules.json"


class SiteConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """site.toml. The site's rules are in rules.json."""

    name: Name
    demo: bool = False
    period_s: Annotated[int, msgspec.Meta(ge=1, le=86400)] = PERIOD_S_MIN
    report_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = CountsConfig().report_s

    def counts(self) -> CountsConfig:
        """The counts section of its units' configurations."""
        return CountsConfig(report_s=self.report_s)


def create_site(
    estate: Path,
    name: str,
    demo: bool = False,
    period_s: int | None = None,
    report_s: int | None = None,
    like: str | None = None,
) -> TrackedFolder:
    """Make a site with the rules of the example `like`, or with rules that admit green.

    A demo site may close its cells within seconds; k is unchanged. Raises ProvisioningError.
    """
    config = _config(name, demo, period_s, report_s)
    rules = _text(_template(config, like))
    text = toml(msgspec.to_builtins(config))
    with places.changing(estate):
        path = places.site(estate, name)
        folder = TrackedFolder(path)
        for derived in ("site.pub", "site.toml", RULES):
            folder.require_key(derived, "site.key")
        if (path / "site.toml").exists() and _read(path) != config:
            raise ProvisioningError(
                f"{path} exists with other settings; it was kept; see {path / 'site.toml'}"
            )
        folder.signing_key("site")
        folder.create_once(RULES, lambda: rules)
        folder.create_once("site.toml", lambda: text)
    return folder


def change_rules(estate: Path, name: str, file: Path) -> TrackedFolder:
    """Replace the site's rules with those in `file`; the next publication signs them.

    Raises ProvisioningError.
    """
    new_rules = _read_rules(file, name)
    with places.changing(estate):
        folder = TrackedFolder(_existing_folder(estate, name))
        folder.renew(RULES, _text(new_rules))
    return folder


def read(estate: Path, name: str) -> SiteConfig:
    """Read site.toml. Raises ProvisioningError."""
    return _read(_existing_folder(estate, name))


def rules(estate: Path, name: str) -> wire.SiteRules:
    """The site's unsigned rules, as people wrote them. Raises ProvisioningError."""
    return _read_rules(_existing_folder(estate, name) / RULES, name)


def units(estate: Path, name: str) -> list[str]:
    """The names of the site's units."""
    return places.names(places.site(estate, name) / "units")


def _config(name: str, demo: bool, period_s: int | None, report_s: int | None) -> SiteConfig:
    places.checked(name, "site")
    period = period_s or (DEMO_PERIOD_S if demo else PERIOD_S_MIN)
    report = report_s or (DEMO_REPORT_S if demo else CountsConfig().report_s)
    if not demo and period < PERIOD_S_MIN:
        raise ProvisioningError(
            f"cells of {period} s are for a demo site only; use {PERIOD_S_MIN} s or more, or --demo"
        )
    try:
        return msgspec.convert(
            {"name": name, "demo": demo, "period_s": period, "report_s": report}, SiteConfig
        )
    except msgspec.ValidationError as error:
        raise ProvisioningError(f"invalid site configuration: {error}") from None


def _template(site: SiteConfig, like: str | None) -> wire.SiteRules:
    base = (
        examples.template(like, site.name)
        if like
        else wire.SiteRules(site=site.name, version=1, signed_s=0)
    )
    counts = msgspec.structs.replace(base.counts, period_s=site.period_s, demo=site.demo)
    return msgspec.structs.replace(base, counts=counts)


def _read_rules(path: Path, name: str) -> wire.SiteRules:
    """Read a file of rules. Version and date are placeholders: signing replaces them."""
    try:
        fields = read_json(path, dict[str, Any], wire.LEN_MAX)
        with_version = {"site": name, **fields, "version": 1, "signed_s": 0}
        return wire.read(msgspec.json.encode(with_version), name)
    except OSError as error:
        raise ProvisioningError(f"{path} cannot be read ({error.strerror})") from None
    except (DecodeError, TrustError) as error:
        raise ProvisioningError(f"{path}: {error}") from None


def _text(rules: wire.SiteRules) -> bytes:
    try:
        return wire.encode(rules) + b"\n"
    except TrustError as error:
        raise ProvisioningError(f"invalid site rules: {error}") from None


def _existing_folder(estate: Path, name: str) -> Path:
    """The folder of a site with all its files. Raises ProvisioningError."""
    path = places.site(estate, name)
    for file in ("site.key", "site.pub", "site.toml", RULES):
        if not (path / file).exists():
            problem = (
                f"site {name!r} of {estate} has no {file}"
                if path.exists()
                else (f"{estate} has no site {name!r}")
            )
            raise ProvisioningError(f"{problem}; run: menshen-provision site {estate} {name}")
    return path


def _read(site: Path) -> SiteConfig:
    path = site / "site.toml"
    try:
        return read_toml(path, SiteConfig)
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not a valid site configuration: {error}") from None
