"""Sites: each has a key that signs its rules, the rules, and the defaults of its units."""

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

DEMO_PERIOD_S = 5  # a demonstration does not wait a quarter of an hour
DEMO_REPORT_S = 2

RULES = "rules.json"


class SiteConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """site.toml. Its rules are in rules.json."""

    name: Name
    demo: bool = False
    period_s: Annotated[int, msgspec.Meta(ge=1, le=86400)] = PERIOD_S_MIN
    report_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = CountsConfig().report_s

    def counts(self) -> CountsConfig:
        """What its units' configurations say of counting."""
        return CountsConfig(report_s=self.report_s)


def create_site(
    estate: Path,
    name: str,
    demo: bool = False,
    period_s: int | None = None,
    report_s: int | None = None,
    like: str | None = None,
) -> TrackedFolder:
    """Make a site with rules to begin with: those of the example `like`, or green may pass.

    A demo site may close its cells in seconds; k stays as it is. Raises ProvisioningError.
    """
    wanted = _wanted(name, demo, period_s, report_s)
    rules = _text(_template(wanted, like))
    text = toml(msgspec.to_builtins(wanted))
    with places.changing(estate):
        path = places.site(estate, name)
        folder = TrackedFolder(path)
        for derived in ("site.pub", "site.toml", RULES):
            folder.require_key(derived, "site.key")
        if (path / "site.toml").exists() and _read(path) != wanted:
            raise ProvisioningError(
                f"{path} is there with other settings than these; it was kept as it is; "
                f"see {path / 'site.toml'}"
            )
        folder.signing_key("site")
        folder.create_once(RULES, lambda: rules)
        folder.create_once("site.toml", lambda: text)
    return folder


def change_rules(estate: Path, name: str, file: Path) -> TrackedFolder:
    """Take the site's rules from `file`; they are signed by the next publication.

    Raises ProvisioningError.
    """
    said = _understood(file, name)
    with places.changing(estate):
        folder = TrackedFolder(_existing(estate, name))
        folder.renew(RULES, _text(said))
    return folder


def read(estate: Path, name: str) -> SiteConfig:
    """What site.toml says. Raises ProvisioningError."""
    return _read(_existing(estate, name))


def rules(estate: Path, name: str) -> wire.SiteRules:
    """The site's rules as people wrote them. Raises ProvisioningError."""
    return _understood(_existing(estate, name) / RULES, name)


def units(estate: Path, name: str) -> list[str]:
    """The names of the site's units."""
    return places.names(places.site(estate, name) / "units")


def _wanted(name: str, demo: bool, period_s: int | None, report_s: int | None) -> SiteConfig:
    places.checked(name, "site")
    period = period_s or (DEMO_PERIOD_S if demo else PERIOD_S_MIN)
    report = report_s or (DEMO_REPORT_S if demo else CountsConfig().report_s)
    if not demo and period < PERIOD_S_MIN:
        raise ProvisioningError(
            f"cells of {period} s are for a demo site only; others take {PERIOD_S_MIN} s or more"
        )
    try:
        return msgspec.convert(
            {"name": name, "demo": demo, "period_s": period, "report_s": report}, SiteConfig
        )
    except msgspec.ValidationError as error:
        raise ProvisioningError(f"this cannot be a site's setting: {error}") from None


def _template(site: SiteConfig, like: str | None) -> wire.SiteRules:
    begun = (
        examples.template(like, site.name)
        if like
        else wire.SiteRules(site=site.name, version=1, signed_s=0)
    )
    counts = msgspec.structs.replace(begun.counts, period_s=site.period_s, demo=site.demo)
    return msgspec.structs.replace(begun, counts=counts)


def _understood(path: Path, name: str) -> wire.SiteRules:
    """A file of rules; who signs them gives them their version and date."""
    try:
        said = read_json(path, dict[str, Any], wire.LEN_MAX)
        dated = {"site": name, **said, "version": 1, "signed_s": 0}
        return wire.read(msgspec.json.encode(dated), name)
    except OSError as error:
        raise ProvisioningError(f"{path} cannot be read ({error.strerror})") from None
    except (DecodeError, TrustError) as error:
        raise ProvisioningError(f"{path}: {error}") from None


def _text(said: wire.SiteRules) -> bytes:
    try:
        return wire.encode(said) + b"\n"
    except TrustError as error:
        raise ProvisioningError(f"these rules cannot be a site's: {error}") from None


def _existing(estate: Path, name: str) -> Path:
    """The folder of a site that was made to the end. Raises ProvisioningError."""
    path = places.site(estate, name)
    for needed in ("site.key", "site.pub", "site.toml", RULES):
        if not (path / needed).exists():
            lack = (
                f"site {name!r} of {estate} has no {needed}"
                if path.exists()
                else (f"{estate} has no site {name!r}")
            )
            raise ProvisioningError(f"{lack}; run: menshen-provision site {estate} {name}")
    return path


def _read(site: Path) -> SiteConfig:
    path = site / "site.toml"
    try:
        return read_toml(path, SiteConfig)
    except DecodeError as error:
        raise ProvisioningError(f"{path} is not a site's description: {error}") from None
