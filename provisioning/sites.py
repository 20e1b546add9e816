"""Sites: a key that says which issuers its doors believe, and the defaults of its units."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w

from edge.wire import trust
from edge.wire.trust import Name
from edge.wire.unit import K_MIN, PERIOD_S_MIN, Counts
from provisioning import estate as places
from provisioning import files, issuers
from provisioning.files import Folder, ProvisioningError

DEMO_PERIOD_S = 5  # a demonstration does not wait a quarter of an hour
DEMO_REPORT_S = 2

ISSUERS = "issuers.json"


class Site(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """site.toml. Its issuers are in issuers.json, signed."""

    name: Name
    demo: bool = False
    k: Annotated[int, msgspec.Meta(ge=1, le=1000)] = K_MIN
    period_s: Annotated[int, msgspec.Meta(ge=1, le=86400)] = PERIOD_S_MIN
    report_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = Counts().report_s

    def counts(self) -> Counts:
        """What its units' configurations say of counting."""
        return Counts(period_s=self.period_s, k=self.k, report_s=self.report_s, demo=self.demo)


def site(
    estate: Path,
    name: str,
    issuer_names: Sequence[str],
    demo: bool = False,
    period_s: int | None = None,
    report_s: int | None = None,
) -> Folder:
    """Make a site and sign version 1 of what its doors believe.

    A demo site may close its cells in seconds; k stays K_MIN. Raises ProvisioningError, also if
    the site is there with other issuers: `believe` changes those.
    """
    wanted = _wanted(name, demo, period_s, report_s)
    with places.changing(estate):
        path = places.site(estate, name)
        believed = _issuers(estate, issuer_names)
        folder = Folder(path)
        for derived in ("site.pub", "site.toml", ISSUERS):
            folder.not_alone(derived, "site.key")
        if (path / "site.toml").exists() and _read(path) != wanted:
            raise ProvisioningError(
                f"{path} is there with other settings than these; it was kept as it is; "
                f"see {path / 'site.toml'}"
            )
        key = folder.signing_key("site")
        if (path / ISSUERS).exists():
            _same(_open(path / ISSUERS, key.public), believed, estate, name)
        folder.once("site.toml", lambda: tomli_w.dumps(msgspec.to_builtins(wanted)).encode())
        version = _newest(estate, name, key.public) + 1
        document = trust.Issuers(version, places.now_s(), believed)
        folder.once(ISSUERS, lambda: trust.sign(document, key))
    return folder


def believe(
    estate: Path, name: str, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> list[Folder]:
    """Sign a newer version of what the site's doors believe, and put it on every card.

    It says of each issuer what `issuers/` says now. The version always rises. Returns the site's
    folder and the cards. Raises ProvisioningError.
    """
    with places.changing(estate):
        folder = Folder(_existing(estate, name))
        key = files.signing_key(folder.path / "site.key")
        now = [issuer.name for issuer in document(estate, name).issuers]
        missing = sorted(set(remove) - set(now))
        if missing:
            raise ProvisioningError(
                f"site {name!r} does not believe {missing[0]!r}; it believes {', '.join(now)}"
            )
        names = [n for n in [*now, *add] if n not in remove]
        believed = _issuers(estate, names)
        version = _newest(estate, name, key.public) + 1
        signed = trust.sign(trust.Issuers(version, places.now_s(), believed), key)
        folder.renew(ISSUERS, signed)
        cards = [Folder(places.card(estate, name, u)) for u in units(estate, name)]
        for card in cards:
            card.renew(ISSUERS, signed)
    return [folder, *cards]


def read(estate: Path, name: str) -> Site:
    """What site.toml says. Raises ProvisioningError."""
    return _read(_existing(estate, name))


def _read(site: Path) -> Site:
    path = site / "site.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Site)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ProvisioningError(f"{path} is not a site's description: {error}") from None


def document(estate: Path, name: str) -> trust.Issuers:
    """What the site's doors believe: its newest signed issuers file. Raises ProvisioningError."""
    path = _existing(estate, name)
    return _open(path / ISSUERS, files.public_key(path / "site.pub"))


def signed(estate: Path, name: str) -> bytes:
    """The file that `document` reads, for a card. Raises ProvisioningError."""
    document(estate, name)
    return (_existing(estate, name) / ISSUERS).read_bytes()


def units(estate: Path, name: str) -> list[str]:
    """The names of the site's units."""
    return places.names(places.site(estate, name) / "units")


def _wanted(name: str, demo: bool, period_s: int | None, report_s: int | None) -> Site:
    places.checked(name, "site")
    period = period_s or (DEMO_PERIOD_S if demo else PERIOD_S_MIN)
    report = report_s or (DEMO_REPORT_S if demo else Counts().report_s)
    if not demo and period < PERIOD_S_MIN:
        raise ProvisioningError(
            f"cells of {period} s are for a demo site only; others take {PERIOD_S_MIN} s or more"
        )
    try:
        return msgspec.convert(
            {"name": name, "demo": demo, "period_s": period, "report_s": report}, Site
        )
    except msgspec.ValidationError as error:
        raise ProvisioningError(f"this cannot be a site's setting: {error}") from None


def _existing(estate: Path, name: str) -> Path:
    """The folder of a site that was made to the end. Raises ProvisioningError."""
    path = places.site(estate, name)
    for needed in ("site.key", "site.pub", "site.toml", ISSUERS):
        if not (path / needed).exists():
            lack = (
                f"site {name!r} of {estate} has no {needed}"
                if path.exists()
                else (f"{estate} has no site {name!r}")
            )
            raise ProvisioningError(
                f"{lack}; run: menshen-provision site {estate} {name} --issuer ..."
            )
    return path


def _issuers(estate: Path, names: Sequence[str]) -> list[trust.Issuer]:
    if not names:
        raise ProvisioningError("a site must believe somebody; name at least one issuer")
    return [issuers.trusted(estate, name) for name in dict.fromkeys(names)]


def _same(signed: trust.Issuers, wanted: list[trust.Issuer], estate: Path, name: str) -> None:
    there = {issuer.name for issuer in signed.issuers}
    if there != {issuer.name for issuer in wanted}:
        raise ProvisioningError(
            f"site {name!r} is there and believes {', '.join(sorted(there))}; it was kept "
            f"as it is; to change that, run: menshen-provision believe {estate} {name}"
        )


def _newest(estate: Path, name: str, public: bytes) -> int:
    """The highest version that this site's key has signed, as far as the estate knows."""
    path = places.site(estate, name)
    folders = [path, *(places.card(estate, name, unit) for unit in units(estate, name))]
    found = [f / ISSUERS for f in folders if (f / ISSUERS).exists()]
    return max((_open(file, public).version for file in found), default=0)


def _open(path: Path, public: bytes) -> trust.Issuers:
    try:
        return trust.open_document(path.read_bytes(), public)
    except trust.TrustError as error:
        raise ProvisioningError(f"{path}: {error}; bring it back from your backup") from None
