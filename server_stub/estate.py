"""The central side's view of an estate: the keys and certificates that `menshen-provision` made."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from edge.wire import keys
from edge.wire.decode import DecodeError, read_toml
from edge.wire.trust import Name, Seconds

_T = TypeVar("_T")


class EstateError(ValueError):
    """A file of the estate is missing or bad; one sentence says which, and what to do."""


class _Key(msgspec.Struct, frozen=True):
    stem: Annotated[str, msgspec.Meta(pattern=r"^issuer(-[0-9]+)?(?!\n)$")]
    from_s: Seconds
    until_s: Seconds


class _IssuerToml(msgspec.Struct, frozen=True):
    """issuers/<name>/issuer.toml: only the fields that the central side needs."""

    name: Name
    longest_life_s: Seconds
    keys: list[_Key] = []


class IssuerFile(msgspec.Struct, frozen=True):
    """An issuer and one of its keys: how long its codes may live, and when the key may sign."""

    name: str
    longest_life_s: int
    from_s: int
    until_s: int


class SiteFile(msgspec.Struct, frozen=True):
    """sites/<name>/site.toml: only the fields that the central side needs."""

    name: Name
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Estate:
    """Paths and files of one estate. Each file is read when a method asks for it."""

    root: Path

    @property
    def authority(self) -> Path:
        """The CA certificate that signs those of the broker, the collector and the units."""
        return self._file("authority/ca.pem")

    def certificate(self, name: str) -> tuple[Path, Path]:
        """The certificate and key of `broker` or `collector`, checked to match.

        Raises EstateError.
        """
        pair = self._file(f"server/{name}.pem"), self._file(f"server/{name}.key")
        try:
            certificate = x509.load_pem_x509_certificate(pair[0].read_bytes())
            private = serialization.load_pem_private_key(pair[1].read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise EstateError(
                f"cannot read the {name}'s certificate {pair[0]} or its key ({error}); "
                "restore both from your backup"
            ) from None
        if private.public_key() != certificate.public_key():
            raise EstateError(
                f"the key {pair[1]} does not belong to the certificate {pair[0]}; "
                "restore both from your backup"
            )
        return pair

    def collector_sign_key(self) -> keys.PrivateKey:
        """The key that signs acknowledgements. Raises EstateError."""
        return self._private_key("server/collector-sign.key")

    def time_key(self) -> keys.PrivateKey:
        """The key that signs answers to time requests. Raises EstateError."""
        return self._private_key("server/time.key")

    def issuer(self, name: str) -> tuple[IssuerFile, keys.PrivateKey]:
        """An issuer and its current key, or its newest key if none is current.

        Raises EstateError.
        """
        config = self._toml(f"issuers/{name}/issuer.toml", _IssuerToml)
        if not config.keys:
            raise EstateError(
                f"issuer {name!r} is foreign and has no signing key here; name an issuer of this "
                "estate"
            )
        now_s = time.time()
        current = [key for key in config.keys if key.from_s <= now_s < key.until_s]
        key = max(current or config.keys, key=lambda k: k.from_s)
        issuer_file = IssuerFile(config.name, config.longest_life_s, key.from_s, key.until_s)
        return issuer_file, self._private_key(f"issuers/{name}/{key.stem}.key")

    def online(self) -> tuple[list[keys.PrivateKey], list[keys.PrivateKey]]:
        """Every snapshot key and every timestamp key; the newest root names those in use.

        Raises EstateError.
        """
        pairs = [self._private_keys(f"server/{kind}*.key") for kind in ("snapshot", "timestamp")]
        if not all(pairs):
            raise EstateError(
                f"{self.root / 'server'} has no snapshot and timestamp keys; make them with: "
                f"menshen-provision authority {self.root}"
            )
        return pairs[0], pairs[1]

    def status_lists(self) -> dict[str, dict[str, Path]]:
        """The status lists on the disk: the paths of `<list>.cwt` by issuer and list name."""
        paths: dict[str, dict[str, Path]] = {}
        for path in sorted(self.root.glob("issuers/*/status/*.cwt")):
            paths.setdefault(path.parents[1].name, {})[path.stem] = path
        return paths

    @property
    def repository(self) -> Path:
        """The signed trust documents: metadata/ and targets/."""
        return self.root / "repository"

    def status_key(self, issuer: str) -> keys.PrivateKey:
        """The key that signs an issuer's status lists. Raises EstateError."""
        return self._private_key(f"issuers/{issuer}/status.key")

    def status_folder(self, issuer: str) -> Path:
        """The folder of an issuer's status lists, one file <list>.cwt for each."""
        return self.root / "issuers" / issuer / "status"

    def site(self, name: str) -> SiteFile | None:
        """A site's settings, or None if this estate has no such site. Raises EstateError."""
        if not (self.root / "sites" / name).is_dir():
            return None
        return self._toml(f"sites/{name}/site.toml", SiteFile)

    def _private_keys(self, pattern: str) -> list[keys.PrivateKey]:
        paths = sorted(self.root.glob(pattern))
        return [self._private_key(path.relative_to(self.root).as_posix()) for path in paths]

    def _file(self, name: str) -> Path:
        path = (self.root / name).resolve()
        if not path.is_file():
            raise EstateError(
                f"{path} is missing; make it with menshen-provision, or name the right folder"
            )
        return path

    def _text(self, name: str) -> str:
        path = self._file(name)
        try:
            return path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise EstateError(f"cannot read {path}: {error}") from None

    def _toml(self, name: str, kind: type[_T]) -> _T:
        path = self._file(name)
        try:
            return read_toml(path, kind)
        except OSError as error:
            raise EstateError(f"cannot read {path}: {error}") from None
        except DecodeError as error:
            raise EstateError(f"{path} is not valid: {error}") from None

    def _private_key(self, name: str) -> keys.PrivateKey:
        try:
            return keys.private_from_pem(self._text(name))
        except keys.KeyFileError as error:
            raise EstateError(f"{self.root / name}: {error}") from None
