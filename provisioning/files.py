"""Files that are made once and never overwritten, whole or not at all, whatever is cut off.

A private key is written first and all else is derived from it, so a step that was cut off is
finished by repeating it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge import files
from edge.wire import keys


class ProvisioningError(Exception):
    """The step cannot be done; one sentence that says what is wrong and what to do."""


def toml(table: dict[str, Any]) -> bytes:
    """`table` as TOML, to be made before anything is written: the library may not be installed."""
    import tomli_w  # of the extra `provisioning`

    return tomli_w.dumps(table).encode()


@dataclass
class TrackedFolder:
    """A folder of the estate and what one step did in it: the names `made`, `kept`, `renewed`.

    To be used within `estate.changing`.
    """

    path: Path
    created_names: list[str] = field(default_factory=list)
    kept_names: list[str] = field(default_factory=list)
    renewed_names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        folder(self.path)
        for left in self.path.glob(f".*{files.PASSING}"):  # by a step that was killed while writing
            left.unlink()

    def create_once(self, name: str, make: Callable[[], bytes], private: bool = False) -> bytes:
        """The bytes of `name`: as they are, or else made now. Never overwrites."""
        path = self.path / name
        if path.exists():
            self.kept_names.append(name)
            return path.read_bytes()
        data = make()
        files.create(path, data, 0o600 if private else 0o644)
        self.created_names.append(name)
        return data

    def require_same(self, name: str, data: bytes) -> None:
        """Like `once`, where only `data` will do. Raises ProvisioningError if it is another."""
        if self.create_once(name, lambda: data) != data:
            raise ProvisioningError(
                f"{self.path / name} is there and differs from what this step would write; "
                f"it was kept as it is"
            )

    def renew(self, name: str, data: bytes) -> None:
        """Replace a document whose newer version takes the place of the older; never a key."""
        path = self.path / name
        if path.exists() and path.read_bytes() == data:
            self.kept_names.append(name)
            return
        (self.renewed_names if path.exists() else self.created_names).append(name)
        files.replace(path, data)

    def require_key(self, name: str, key: str) -> None:
        """Raises ProvisioningError if `name` is there and the `key` that it belongs to is not."""
        if (self.path / name).exists() and not (self.path / key).exists():
            raise ProvisioningError(
                f"{self.path} has {name} but its key {key} is missing: bring {key} back from your "
                f"backup, or move {name} away if you mean to start anew"
            )

    def signing_key(self, stem: str) -> keys.PrivateKey:
        """The Ed25519 key `stem`.key with `stem`.pub beside it, made if it is not there."""
        self.require_key(f"{stem}.pub", f"{stem}.key")
        pem = self.create_once(
            f"{stem}.key", lambda: keys.private_to_pem(keys.private_key()).encode(), private=True
        )
        key = _private(self.path / f"{stem}.key", pem)
        self.require_same(f"{stem}.pub", keys.public_to_pem(key.public).encode())
        return key


def folder(path: Path) -> None:
    """Make `path` for its owner alone, and its parents, unless it is there."""
    if path.is_dir():
        return
    if path.exists():
        raise ProvisioningError(f"{path} is a file where a folder is needed; name another folder")
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
        raise ProvisioningError(f"{path}: {error}; bring it back from your backup") from None


def _private(path: Path, pem: bytes) -> keys.PrivateKey:
    try:
        return keys.private_from_pem(pem.decode("ascii", "replace"))
    except keys.KeyFileError as error:
        raise ProvisioningError(f"{path}: {error}; bring it back from your backup") from None
