"""What `menshen-provision` made, as the central side reads it: keys and certificates."""

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
    """The estate lacks something; one sentence that says what is wrong and what to do."""


class _Key(msgspec.Struct, frozen=True):
    stem: Annotated[str, msgspec.Meta(pattern=r"^issuer(-[0-9]+)?(?!\n)$")]
    from_s: Seconds
    until_s: Seconds


class _IssuerToml(msgspec.Struct, frozen=True):
    """issuers/<name>/issuer.toml: only what the central side needs of it."""

    name: Name
    longest_life_s: Seconds
    keys: list[_Key] = []


class IssuerFile(msgspec.Struct, frozen=True):
    """What one of the issuer's keys may sign, and when."""

    name: str
    longest_life_s: int
    from_s: int
    until_s: int


class SiteFile(msgspec.Struct, frozen=True):
    """sites/<name>/site.toml: only what the central side needs of it."""

    name: Name
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Estate:
    """Paths and files of one estate; nothing is read before it is asked for."""

    root: Path

    @property
    def authority(self) -> Path:
        """The certificate that broker, collector and units are signed by."""
        return self._file("authority/ca.pem")

    def certificate(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of `broker` or `collector`, which fit. Raises EstateError."""
        pair = self._file(f"server/{name}.pem"), self._file(f"server/{name}.key")
        try:
            certificate = x509.load_pem_x509_certificate(pair[0].read_bytes())
            private = serialization.load_pem_private_key(pair[1].read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            raise EstateError(
                f"the {name}'s certificate {pair[0]} or its key is torn ({error}); "
                "bring them back from your backup"
            ) from None
        if private.public_key() != certificate.public_key():
            raise EstateError(
                f"the key {pair[1]} is not the one of the certificate {pair[0]}; "
                "bring them back from your backup"
            )
        return pair

    def collector_sign_key(self) -> keys.PrivateKey:
        """What acknowledgements are signed with. Raises EstateError."""
        return self._private_key("server/collector-sign.key")

    def time_key(self) -> keys.PrivateKey:
        """What answers to "what time is it" are signed with. Raises EstateError."""
        return self._private_key("server/time.key")

    def issuer(self, name: str) -> tuple[IssuerFile, keys.PrivateKey]:
        """An issuer and the key whose time it is, or else its newest. Raises EstateError."""
        said = self._toml(f"issuers/{name}/issuer.toml", _IssuerToml)
        if not said.keys:
            raise EstateError(f"issuer {name!r} has no key of its own: it is a foreign issuer")
        now_s = time.time()
        current = [key for key in said.keys if key.from_s <= now_s < key.until_s]
        key = max(current or said.keys, key=lambda k: k.from_s)
        found = IssuerFile(said.name, said.longest_life_s, key.from_s, key.until_s)
        return found, self._private_key(f"issuers/{name}/{key.stem}.key")

    def online(self) -> tuple[list[keys.PrivateKey], list[keys.PrivateKey]]:
        """Every snapshot and every timestamp key; the newest root says which are in use.

        Raises EstateError.
        """
        found = [self._stems(f"server/{kind}*.key") for kind in ("snapshot", "timestamp")]
        if not all(found):
            raise EstateError(
                f"{self.root / 'server'} has no snapshot and timestamp keys; make them with: "
                f"menshen-provision authority {self.root}"
            )
        return found[0], found[1]

    def status_lists(self) -> dict[str, dict[str, Path]]:
        """The lists that issuers have made: the paths of `<list>.cwt` by issuer and list."""
        found: dict[str, dict[str, Path]] = {}
        for path in sorted(self.root.glob("issuers/*/status/*.cwt")):
            found.setdefault(path.parents[1].name, {})[path.stem] = path
        return found

    @property
    def repository(self) -> Path:
        """The signed trust documents: metadata/ and targets/."""
        return self.root / "repository"

    def status_key(self, issuer: str) -> keys.PrivateKey:
        """What an issuer's status lists are signed with. Raises EstateError."""
        return self._private_key(f"issuers/{issuer}/status.key")

    def status_folder(self, issuer: str) -> Path:
        """Where an issuer's status lists are kept, one file <list>.cwt each."""
        return self.root / "issuers" / issuer / "status"

    def site(self, name: str) -> SiteFile | None:
        """None when this estate has no such site. Raises EstateError."""
        if not (self.root / "sites" / name).is_dir():
            return None
        return self._toml(f"sites/{name}/site.toml", SiteFile)

    def _stems(self, pattern: str) -> list[keys.PrivateKey]:
        paths = sorted(self.root.glob(pattern))
        return [self._private_key(path.relative_to(self.root).as_posix()) for path in paths]

    def _file(self, name: str) -> Path:
        path = (self.root / name).resolve()
        if not path.is_file():
            raise EstateError(
                f"{path} is missing; make it with menshen-provision, or name the estate's folder"
            )
        return path

    def _text(self, name: str) -> str:
        path = self._file(name)
        try:
            return path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise EstateError(f"{path} cannot be read: {error}") from None

    def _toml(self, name: str, kind: type[_T]) -> _T:
        path = self._file(name)
        try:
            return read_toml(path, kind)
        except OSError as error:
            raise EstateError(f"{path} cannot be read: {error}") from None
        except DecodeError as error:
            raise EstateError(f"{path} is not understood: {error}") from None

    def _private_key(self, name: str) -> keys.PrivateKey:
        try:
            return keys.private_from_pem(self._text(name))
        except keys.KeyFileError as error:
            raise EstateError(f"{self.root / name}: {error}") from None
