"""The repository of trust documents (TUF, theupdateframework.github.io/specification, 1.0):
what its roles and files are called, and how each file is signed. Source: edge/wire/trust.md.

A repository is a mapping from a file's name, as `metadata/timestamp.json`, to its bytes. Here it
is signed, for provisioning and server alike; the unit verifies with
`edge/adapters/trust/client.py`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.metadata import Role as TufRole
from tuf.api.serialization.json import JSONSerializer

from edge.wire import report
from edge.wire.decode import DOCUMENT_LEN_MAX
from edge.wire.keys import PrivateKey

TOPIC = f"{report.ROOT}/trust"
"""A file's topic is this, `/` and the file's name; retained, empty when the file is gone."""
FILE_LEN_MAX = DOCUMENT_LEN_MAX
"""No file is larger, so none needs a larger MQTT message."""
FILES_MAX = 32_768
TOTAL_LEN_MAX = 64 * 1024 * 1024
LISTS_MAX = 64
"""So many documents may one role sign."""

ISSUERS = "issuers.json"
TIMESTAMP = "metadata/timestamp.json"
SIGNED_S = "signed_s"
"""The timestamp's own field: when it was signed. A document's age counts from here, because the
offline keys do not sign every day."""

THRESHOLD = 2  # of three: root, targets and issuers
TOP = ("root", "targets", "snapshot", "timestamp")


class BrokenRepository(ValueError):
    """These files are no sound repository; one sentence for people."""


@dataclass(frozen=True, slots=True)
class Role:
    """Who may sign: `threshold` of `keys` (32 raw bytes each)."""

    threshold: int
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """One metadata file, read; whether its signatures hold is `verified`'s to say."""

    version: int
    until_s: int
    signed_s: int  # of a timestamp; 0 for all others
    roles: Mapping[str, Role]  # to which a root or the targets role delegates
    documents: Mapping[str, str]  # target path -> SHA-256, of a role that signs documents


def site(name: str) -> str:
    """The document of a site."""
    return f"site/{name}.json"


def foreign_keys(issuer: str) -> str:
    """The key list of a foreign issuer."""
    return f"keys/{issuer}.json"


def status_list(issuer: str, name: str) -> str:
    """One status list of an issuer."""
    return f"status/{issuer}/{name}.cwt"


def role_of(path: str) -> str:
    """The only role that may sign the document at `path`."""
    if path == ISSUERS:
        return "issuers"
    kind, _, rest = path.partition("/")
    return f"{kind}/{rest.partition('/')[0].removesuffix('.json')}"


def paths_of(role: str) -> str:
    """The pattern of the only paths that `role` may sign: the other way round."""
    if role == "issuers":
        return ISSUERS
    return f"{role}/*.cwt" if role.startswith("status/") else f"{role}.json"


def metadata_file(role: str, version: int | None = None) -> str:
    """The file of a role's metadata; only the timestamp's has no version."""
    stem = quote(role, "")
    return f"metadata/{stem}.json" if version is None else f"metadata/{version}.{stem}.json"


def document_file(path: str, sha256: str) -> str:
    """The file of a document, named for its content as well (consistent snapshots)."""
    folder, slash, name = path.rpartition("/")
    return f"targets/{folder}{slash}{sha256}.{name}"


def topic(file: str) -> str:
    """Where a file is retained at the broker."""
    return f"{TOPIC}/{file}"


def file_of(topic: str) -> str | None:
    """The file that is retained at `topic`; None: another topic, or a name that is no file's."""
    top, _, file = topic.partition(f"{TOPIC}/")
    kind = file.partition("/")[0]
    if top or kind not in ("metadata", "targets") or len(file) > 255:
        return None
    return None if any(part in ("", ".", "..") for part in file.split("/")) else file


def versions(files: Iterable[str]) -> dict[str, list[int]]:
    """The versions that there are of each role, rising; the timestamp has none."""
    numbers: dict[str, list[int]] = {}
    for file in files:
        version, _, stem = file.removeprefix("metadata/").partition(".")
        if file.startswith("metadata/") and version.isdecimal() and stem.endswith(".json"):
            numbers.setdefault(unquote(stem.removesuffix(".json")), []).append(int(version))
    return {role: sorted(several) for role, several in numbers.items()}


def newest(files: Mapping[str, bytes], role: str) -> bytes | None:
    """The newest metadata of `role`."""
    if role == "timestamp":
        return files.get(TIMESTAMP)
    there = versions(files).get(role)
    return files[metadata_file(role, there[-1])] if there else None


def _metadata(data: bytes) -> Metadata[Any]:
    """What python-tuf reads; of any depth, it raises its own errors. RepositoryError, Broken."""
    if len(data) > FILE_LEN_MAX:
        raise BrokenRepository(f"a file of metadata is larger than {FILE_LEN_MAX} bytes")
    return Metadata[Any].from_bytes(data)


def read(data: bytes) -> RepositoryFile:
    """Raises BrokenRepository."""
    try:
        signed: Any = _metadata(data).signed
        until_s = int(signed.expires.timestamp())
        if isinstance(signed, Root):
            roles = {name: _role(role, signed.keys) for name, role in signed.roles.items()}
            return RepositoryFile(signed.version, until_s, 0, roles, {})
        if isinstance(signed, Targets):
            delegations = signed.delegations
            handed = (delegations.roles if delegations else None) or {}
            keys = delegations.keys if delegations else {}
            roles = {name: _role(role, keys) for name, role in handed.items()}
            documents = {path: info.hashes["sha256"] for path, info in signed.targets.items()}
            return RepositoryFile(signed.version, until_s, 0, roles, documents)
        signed_s = signed.unrecognized_fields.get(SIGNED_S, 0)
        return RepositoryFile(signed.version, until_s, int(signed_s), {}, {})
    except (RepositoryError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise BrokenRepository(f"this is no trust metadata ({error})") from None


def verified(delegator: bytes, role: str, data: bytes) -> bool:
    """Whether as many of the keys that `delegator` names for `role` have signed `data`."""
    try:
        above: Any = _metadata(delegator).signed
        below = _metadata(data)
        above.verify_delegate(role, below.signed_bytes, below.signatures)
    except (RepositoryError, ValueError, KeyError, TypeError):
        return False
    return True


def sign_root(
    version: int, until_s: int, roles: Mapping[str, Role], signers: Sequence[PrivateKey]
) -> bytes:
    """`roles`: of TOP. Signed by enough keys of the root before it and of this one."""
    held = {
        name: TufRole([_key(k).keyid for k in r.keys], r.threshold) for name, r in roles.items()
    }
    keys = {_key(k).keyid: _key(k) for role in roles.values() for k in role.keys}
    return _signed(Root(version, None, _date(until_s), keys, held, True), signers)


def sign_targets(
    version: int, until_s: int, roles: Mapping[str, Role], signers: Sequence[PrivateKey]
) -> bytes:
    """The role that delegates to every other: terminating, each for its own paths only."""
    keys = {_key(k).keyid: _key(k) for role in roles.values() for k in role.keys}
    handed = {
        name: DelegatedRole(
            name, [_key(k).keyid for k in role.keys], role.threshold, True, [paths_of(name)]
        )
        for name, role in sorted(roles.items())
    }
    delegations = Delegations(keys, handed)
    return _signed(Targets(version, None, _date(until_s), {}, delegations), signers)


def sign_documents(
    version: int, until_s: int, documents: Mapping[str, bytes], signers: Sequence[PrivateKey]
) -> bytes:
    """One role's metadata over its documents, by target path."""
    listed = {path: _target(path, data) for path, data in sorted(documents.items())}
    return _signed(Targets(version, None, _date(until_s), listed), signers)


def role_files(
    role: str, version: int, until_s: int, documents: Mapping[str, bytes], signer: PrivateKey
) -> dict[str, bytes]:
    """The files of a role that one key signs: its metadata and its documents."""
    files = {metadata_file(role, version): sign_documents(version, until_s, documents, [signer])}
    return files | document_files(documents)


def document_files(documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of `documents`, by target path."""
    return {
        document_file(path, hashlib.sha256(data).hexdigest()): data
        for path, data in documents.items()
    }


@dataclass(frozen=True, slots=True)
class OnlineKeys:
    """The keys that are on the server. They say which files are current, and nothing more."""

    snapshot: PrivateKey
    timestamp: PrivateKey


SNAPSHOT_S = 365 * 86400
TIMESTAMP_S = 30 * 86400
"""A repository on a stick may be so old when it is first read: beyond that a unit has shut its
door by the usual steps of age. An attacker who withholds what is newer has no longer either."""


def published(
    files: Mapping[str, bytes], online: OnlineKeys, now_s: int, renew: bool = False
) -> dict[str, bytes]:
    """The files to add so that the newest of each role is current: snapshot and timestamp.

    None to add: all is current already, and `renew` asks for no new timestamp. Versions are Unix
    seconds, or one more than the last, so that they rise also where the last was lost.

    Raises BrokenRepository when a role is not signed by its keys, or `online` are not this root's
    keys.
    """
    root, targets = _top(files)
    there = {role: v[-1] for role, v in versions(files).items() if role not in ("root", "snapshot")}
    _all_signed(files, there, root, targets)
    old = newest(files, "snapshot")
    names = {
        f"{role}.json": _meta(version, files[metadata_file(role, version)])
        for role, version in there.items()
    }
    before: dict[str, MetaFile] = _metadata(old).signed.meta if old else {}
    names = before | names  # a unit refuses a snapshot that lacks a role which it has seen
    added: dict[str, bytes] = {}
    sound = old is not None and verified(root, "snapshot", old)
    if old is None or not sound or names != before or read(old).until_s < now_s + 2 * TIMESTAMP_S:
        version = max(now_s, read(old).version + 1 if old else 1)
        old = _signed(Snapshot(version, None, _date(now_s + SNAPSHOT_S), names), [online.snapshot])
        added[metadata_file("snapshot", version)] = old
        _own(root, "snapshot", old)
    last = files.get(TIMESTAMP)
    if added or renew or last is None or not verified(root, "timestamp", last):
        version = max(now_s, read(last).version + 1 if last else 1)
        meta = _meta(read(old).version, old)
        timestamp = Timestamp(
            version, None, _date(now_s + TIMESTAMP_S), meta, unrecognized_fields={SIGNED_S: now_s}
        )
        added[TIMESTAMP] = _signed(timestamp, [online.timestamp])
        _own(root, "timestamp", added[TIMESTAMP])
    return added


def current(files: Mapping[str, bytes]) -> set[str]:
    """The files that are of use: every root, and what the timestamp leads to.

    Raises BrokenRepository.
    """
    timestamp = files.get(TIMESTAMP)
    if timestamp is None:
        raise BrokenRepository(f"there is no {TIMESTAMP}; publish the repository first")
    kept = {TIMESTAMP} | {metadata_file("root", v) for v in versions(files).get("root", [])}
    read(timestamp)
    snapshot = metadata_file("snapshot", _metadata(timestamp).signed.snapshot_meta.version)
    if snapshot not in files:
        raise BrokenRepository(f"there is no {snapshot}; publish the repository again")
    kept.add(snapshot)
    _, targets = _top(files)
    handed = read(targets).roles
    for name, meta in _metadata(files[snapshot]).signed.meta.items():
        role = name.removesuffix(".json")
        file = metadata_file(role, meta.version)
        if file not in files or (role != "targets" and role not in handed):
            continue  # no longer delegated
        kept.add(file)
        documents = read(files[file]).documents
        kept |= {document_file(path, sha256) for path, sha256 in documents.items()}
    return kept & files.keys()


def order(file: str) -> tuple[bool, bool, str]:
    """For sorting: documents, what names them, and the timestamp last. Who has it has the rest."""
    return file == TIMESTAMP, file.startswith("metadata/"), file


def of_site(files: Mapping[str, bytes], name: str, issuers: Iterable[str]) -> dict[str, bytes]:
    """The files for the doors of site `name`, which trust `issuers`. Raises BrokenRepository."""
    lists = tuple(f"status/{issuer}" for issuer in issuers)
    roles = {*TOP, "issuers", f"site/{name}", *lists, *(f"keys/{i}" for i in issuers)}
    kept = {}
    for file in current(files):
        role = (
            role_of(_path(file))
            if file.startswith("targets/")
            else next(iter(versions([file])), "timestamp")
        )
        if role in roles:
            kept[file] = files[file]
    return kept


def _path(file: str) -> str:
    """The target path of a document's file: without the hash."""
    folder, slash, name = file.removeprefix("targets/").rpartition("/")
    return f"{folder}{slash}{name.partition('.')[2]}"


def _top(files: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    root, targets = newest(files, "root"), newest(files, "targets")
    if root is None or targets is None:
        missing = "root" if root is None else "targets"
        raise BrokenRepository(
            f"the repository has no metadata of its {missing} role; sign that first"
        )
    return root, targets


def _all_signed(
    files: Mapping[str, bytes], there: Mapping[str, int], root: bytes, targets: bytes
) -> None:
    """Raises BrokenRepository: what units would refuse is not for publishing."""
    if not verified(root, "targets", targets):
        raise BrokenRepository(
            "the newest metadata of the targets role is not signed by that role's keys"
        )
    above: Any = _metadata(targets).signed
    handed = above.delegations.roles if above.delegations else {}
    for role, version in there.items():
        if role == "targets" or role not in handed:  # no longer delegated: no unit reads it
            continue
        file = metadata_file(role, version)
        try:
            below = _metadata(files[file])
            above.verify_delegate(role, below.signed_bytes, below.signatures)
        except (RepositoryError, ValueError) as error:
            raise BrokenRepository(
                f"{file} is not signed by the keys of its role ({error})"
            ) from None
        for path, sha256 in read(files[file]).documents.items():
            document = files.get(document_file(path, sha256))
            if document is None or hashlib.sha256(document).hexdigest() != sha256:
                raise BrokenRepository(f"{file} names {path}, which is not there as it was signed")


def _own(root: bytes, role: Literal["snapshot", "timestamp"], data: bytes) -> None:
    if not verified(root, role, data):
        raise BrokenRepository(f"the server's {role} key is not the one that the newest root names")


class _Signer(Signer):
    """Our key files in the library's form."""

    def __init__(self, key: PrivateKey) -> None:
        self._private = key

    @property
    def public_key(self) -> Key:
        return _key(self._private.public)

    def sign(self, payload: bytes) -> Signature:
        return Signature(self.public_key.keyid, self._private.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> "Signer":
        raise NotImplementedError("keys come from our own files")


def _key(public: bytes) -> Key:
    return SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(public))


def _role(role: TufRole, keys: Mapping[str, Key]) -> Role:
    held = (bytes.fromhex(keys[keyid].keyval["public"]) for keyid in role.keyids)
    return Role(role.threshold, tuple(held))


def _date(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _target(path: str, data: bytes) -> TargetFile:
    return TargetFile(len(data), {"sha256": hashlib.sha256(data).hexdigest()}, path)


def _meta(version: int, data: bytes) -> MetaFile:
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def _signed(signed: Any, signers: Sequence[PrivateKey]) -> bytes:
    metadata = Metadata[Any](signed)
    for key in signers:
        metadata.sign(_Signer(key), append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))
