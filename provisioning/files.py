"""Files that are created once and never overwritten. Each is written whole or not at all.

A private key is written first and everything else is derived from it, so repeating an interrupted
step completes it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge import files
from edge.wire import keys


class ProvisioningError(Exception):
    """The step cannot be done; one sentence says why and what to do."""


def toml(table: dict[str, Any]) -> bytes:
    """`table` as TOML. Call it before writing any file, because the library may be missing."""
    import tomli_w  # of the extra `provisioning`

    return tomli_w.dumps(table).encode()


@dataclass
class TrackedFolder:
    """A folder of the estate, and the names of the files that one step created, kept or renewed.

    Use it within `estate.changing`.
    """

    path: Path
    created_names: list[str] = field(default_factory=list)
    kept_names: list[str] = field(default_factory=list)
    renewed_names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        folder(self.path)
        for leftover in self.path.glob(f".*{files.PASSING}"):  # of a step that was killed
            leftover.unlink()

    def create_once(self, name: str, make: Callable[[], bytes], private: bool = False) -> bytes:
        """The bytes of the file `name`, which is created if it does not exist. Never overwrites."""
        path = self.path / name
        if path.exists():
            self.kept_names.append(name)
            return path.read_bytes()
        data = make()
        files.create(path, data, 0o600 if private else 0o644)
        self.created_names.append(name)
        return data

    def require_same(self, name: str, data: bytes) -> None:
        """Create `name` with `data`. Raises ProvisioningError if it exists with other content."""
        if self.create_once(name, lambda: data) != data:
            raise ProvisioningError(
                f"{self.path / name} exists and differs from what this step would write; "
                f"it was kept; move it away to have it made again"
            )

    def renew(self, name: str, data: bytes) -> None:
        """Write a newer version of a document over the older one. Not for keys."""
        path = self.path / name
        if path.exists() and path.read_bytes() == data:
            self.kept_names.append(name)
            return
        (self.renewed_names if path.exists() else self.created_names).append(name)
        files.replace(path, data)

    def require_key(self, name: str, key: str) -> None:
        """Raises ProvisioningError if `name` exists without the `key` that it belongs to."""
        if (self.path / name).exists() and not (self.path / key).exists():
            raise ProvisioningError(
                f"{self.path} has {name} but its key {key} is missing: restore {key} from your "
                f"backup, or move {name} away to start with a new key"
            )

    def signing_key(self, stem: str) -> keys.PrivateKey:
        """The Ed25519 key `stem`.key; it and `stem`.pub are created if they do not exist."""
        self.require_key(f"{stem}.pub", f"{stem}.key")
        pem = self.create_once(
            f"{stem}.key", lambda: keys.private_to_pem(keys.private_key()).encode(), private=True
        )
        key = _private(self.path / f"{stem}.key", pem)
        self.require_same(f"{stem}.pub", keys.public_to_pem(key.public).encode())
        return key


def folder(path: Path) -> None:
    """Create `path` and its parents, with access for the owner only, if they do not exist."""
    if path.is_dir():
        return
    if path.exists():
        raise ProvisioningError(f"{path} is a file, not a folder; choose another folder")
    if path.parent != path:
        folder(path.parent)
    path.mkdir(mode=0o700, exist_ok=True)
    files.sync(path.parent)


def signing_key(path: Path) -> keys.PrivateKey:
    """Read an Ed25519 private key. Raises ProvisioningError."""
    return _private(path, path.read_bytes())


def public_key(path: Path) -> bytes:
    """Read an Ed25519 public key, 32 bytes. Raises ProvisioningError."""
    try:
        return keys.public_from_pem(path.read_text("ascii", "replace"))
    except keys.KeyFileError as error:
        raise ProvisioningError(f"{path}: {error}; restore it from your backup") from None


def _private(path: Path, pem: bytes) -> keys.PrivateKey:
    try:
        return keys.private_from_pem(pem.decode("ascii", "replace"))
    except keys.KeyFileError as error:
        raise ProvisioningError(f"{path}: {error}; restore it from your backup") from None
