"""A repository of trust documents in memory with all of its keys, made step by step, also wrongly.

`provisioning` and `server_stub` make the real ones; here a test is the attacker as well.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from edge.wire import keys, repository, trust
from edge.wire.keys import PrivateKey
from edge.wire.repository import OnlineKeys, Role

DAY_S = 86400


def key(name: str) -> PrivateKey:
    """The same key for the same name, at every run."""
    return keys.private_key(name.encode().ljust(32))


def three(name: str) -> list[PrivateKey]:
    return [key(f"{name}-{n}") for n in (1, 2, 3)]


def two_of(several: Sequence[PrivateKey]) -> Role:
    return Role(2, tuple(k.public for k in several))


def one(single: PrivateKey) -> Role:
    return Role(1, (single.public,))


def _signed(signed: Snapshot | Timestamp, signer: PrivateKey) -> bytes:
    """By the library's own signer."""
    metadata: Metadata[Snapshot | Timestamp] = Metadata(signed)
    private = load_pem_private_key(keys.private_to_pem(signer).encode(), None)
    metadata.sign(CryptoSigner(private))  # type: ignore[arg-type]
    return metadata.to_bytes()


class Realm:
    """One estate's repository, published at `now_s` with `document` and the site's `rules`."""

    def __init__(
        self,
        now_s: int,
        document: trust.Issuers,
        site: str = "campus",
        rules: bytes = b'{"site":"campus"}',
    ) -> None:
        self.site = site
        self.files: dict[str, bytes] = {}
        self.root_keys, self.targets_keys = three("root"), three("targets")
        self.issuers_keys = three("issuers")
        self.online = OnlineKeys(key("snapshot"), key("timestamp"))
        self.owners = {f"site/{site}": key(f"site {site}")}
        for issuer in document.issuers:
            self.owners[f"status/{issuer.name}"] = key(f"status {issuer.name}")
        self.root(now_s)
        self.targets(now_s)
        self.issuers(document, now_s)
        self.rules(rules, now_s)
        self.publish(now_s)

    def root(self, now_s: int, signers: Sequence[PrivateKey] = (), version: int = 0) -> None:
        """The next root, signed by all three holders unless said otherwise."""
        version = version or 1 + max(repository.versions(self.files).get("root", [0]))
        roles = {
            "root": two_of(self.root_keys),
            "targets": two_of(self.targets_keys),
            "snapshot": one(self.online.snapshot),
            "timestamp": one(self.online.timestamp),
        }
        data = repository.sign_root(version, now_s + 730 * DAY_S, roles, signers or self.root_keys)
        self.files[repository.metadata_file("root", version)] = data

    def targets(self, now_s: int, signers: Sequence[PrivateKey] = ()) -> None:
        roles = {"issuers": two_of(self.issuers_keys)}
        roles |= {role: one(owner) for role, owner in self.owners.items()}
        data = repository.sign_targets(
            now_s, now_s + 365 * DAY_S, roles, signers or self.targets_keys[:2]
        )
        self.files[repository.metadata_file("targets", now_s)] = data

    def issuers(
        self, document: trust.Issuers, now_s: int, signers: Sequence[PrivateKey] = ()
    ) -> None:
        documents = {repository.ISSUERS: msgspec.json.encode(document)}
        signers = signers or self.issuers_keys[1:]
        self.documents("issuers", documents, now_s, now_s + 90 * DAY_S, signers)

    def rules(self, rules: bytes, now_s: int) -> None:
        documents = {repository.site(self.site): rules}
        self.documents(f"site/{self.site}", documents, now_s, now_s + 365 * DAY_S)

    def status(self, issuer: str, data: bytes, now_s: int, until_s: int = 0) -> None:
        documents = {repository.status_list(issuer, "0"): data}
        self.documents(f"status/{issuer}", documents, now_s, until_s or now_s + 30 * DAY_S)

    def documents(
        self,
        role: str,
        documents: dict[str, bytes],
        version: int,
        until_s: int,
        signers: Sequence[PrivateKey] = (),
    ) -> None:
        """Metadata of any role with any documents, by any keys."""
        data = repository.sign_documents(
            version, until_s, documents, signers or [self.owners[role]]
        )
        self.files[repository.metadata_file(role, version)] = data
        self.files |= repository.document_files(documents)

    def publish(self, now_s: int) -> None:
        self.files |= repository.published(self.files, self.online, now_s, renew=True)

    def publish_unseen(self, now_s: int) -> None:
        """As a thief of the online keys does: whatever the roles have signed."""
        meta = {}
        for role, versions in repository.versions(self.files).items():
            if role in ("root", "snapshot", "timestamp"):
                continue
            data = self.files[repository.metadata_file(role, max(versions))]
            meta[f"{role}.json"] = MetaFile(
                max(versions), len(data), {"sha256": hashlib.sha256(data).hexdigest()}
            )
        until = datetime.fromtimestamp(now_s + DAY_S, UTC)
        snapshot = _signed(Snapshot(now_s, None, until, meta), self.online.snapshot)
        self.files[repository.metadata_file("snapshot", now_s)] = snapshot
        named = MetaFile(now_s, len(snapshot), {"sha256": hashlib.sha256(snapshot).hexdigest()})
        timestamp = Timestamp(now_s, None, until, named, {"signed_s": now_s})
        self.files[repository.TIMESTAMP] = _signed(timestamp, self.online.timestamp)

    def write(self, folder: Path) -> Path:
        """As a folder, with the first root to begin with; what lay there before is gone."""
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for name in repository.current(self.files):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.files[name])
        (folder / "root.json").write_bytes(self.files["metadata/1.root.json"])
        return folder
