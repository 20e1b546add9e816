"""Signs an estate's settings: the roots, and the repository of trust documents for doors.

`publish` compares the estate with the signed documents, signs those that differ or expire soon,
and then signs with the online keys which documents are current. Documents that only holders sign
need the folders of two of the three holders. Source: edge/wire/trust.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.wire import repository as wire
from edge.wire import rules, status, trust
from edge.wire.decode import DecodeError, decode_json
from edge.wire.keys import PrivateKey
from edge.wire.repository import THRESHOLD, TIMESTAMP, BrokenRepository, OnlineKeys, Role
from provisioning import estate as places
from provisioning import files, issuers, sites
from provisioning.files import ProvisioningError, TrackedFolder

HOLDERS = 3
KINDS = ("root", "targets", "issuers")
DAY_S = 86400
ROOT_S = 730 * DAY_S
LIFE_S = {
    "targets": 365 * DAY_S,
    "issuers": 90 * DAY_S,
    "site": 365 * DAY_S,
    "keys": 90 * DAY_S,
    "status": 30 * DAY_S,
}
"""How long a signature is valid. The offline signatures bound how long a thief of the online keys
can withhold newer documents from doors. Issuers have a short life because their keys change
monthly."""
RENEW_AT = 3  # a signature is renewed when less than 1/RENEW_AT of its life is left

Files = dict[str, bytes]


class _Dated(msgspec.Struct):
    """When a site's rules were signed. Reads rules of any version."""

    signed_s: trust.Seconds


def begin(estate: Path) -> list[TrackedFolder]:
    """Make the holders' folders, the online keys and the first root.

    Call it within `estate.changing`.
    """
    first = places.roots(estate) / "1.root.json"
    server = TrackedFolder(places.server(estate))
    if not first.exists():
        holders = [_holder(estate, number) for number in range(1, HOLDERS + 1)]
        online = [server.signing_key(kind).public for kind in ("snapshot", "timestamp")]
        data = _sign_root(estate, 1, range(1, HOLDERS + 1), online, range(1, HOLDERS + 1))
        roots = TrackedFolder(first.parent)
        roots.create_once(first.name, lambda: data)
        return [*holders, roots, server]
    roots = TrackedFolder(first.parent)
    roots.kept_names.append(first.name)
    _online_keys(estate, _roots(estate)[-1])
    server.kept_names += ["snapshot.key", "timestamp.key"]
    return [roots, server]


def rotate(estate: Path, retire: int | None = None, online: bool = False) -> list[TrackedFolder]:
    """Sign the next root: with a new holder instead of number `retire`, or with new `online` keys.

    With neither, the root is only renewed, if it expires within months. The old keys' files stay,
    but the newest root does not name them. Raises ProvisioningError.
    """
    with places.changing(estate), _repository_errors(estate):
        chain = _roots(estate)
        if retire is None and not online and not _expires_soon(chain[-1]):
            return [TrackedFolder(places.roots(estate), kept_names=[f"{len(chain)}.root.json"])]
        before = _numbers(estate, chain[-1])
        new_holders: list[TrackedFolder] = []
        after = before
        if retire is not None:
            if retire not in before:
                raise ProvisioningError(
                    f"{retire} is not the number of a present holder; they are "
                    f"{', '.join(map(str, before))}"
                )
            number = 1 + max(n for root in chain for n in _numbers(estate, root))
            new_holders.append(_holder(estate, number))
            after = [*(n for n in before if n != retire), number]
        server = TrackedFolder(places.server(estate))
        publics = [_role(chain[-1], kind).keys[0] for kind in ("snapshot", "timestamp")]
        if online:
            publics = [_make_online_key(server, kind, chain) for kind in ("snapshot", "timestamp")]
        data = _sign_root(estate, len(chain) + 1, after, publics, [*before, *after])
        if not wire.verified(chain[-1], "root", data):
            raise ProvisioningError(_too_few("root", before))
        roots = TrackedFolder(places.roots(estate))
        roots.create_once(f"{len(chain) + 1}.root.json", lambda: data)
    return [*new_holders, *([server] if online else []), roots]


def publish(estate: Path) -> list[TrackedFolder]:
    """Bring the repository and the cards up to date with the estate.

    Returns the repository's folder and the cards. Raises ProvisioningError.
    """
    with places.changing(estate), _repository_errors(estate):
        before = read(estate)
        chain = _roots(estate)
        if _expires_soon(chain[-1]):
            raise ProvisioningError(
                f"the newest root expires soon; sign the next one: menshen-provision root {estate}"
            )
        root_files = {
            wire.metadata_file("root", number): data for number, data in enumerate(chain, start=1)
        }
        publication = _Publication(estate, chain[-1], before | root_files)
        publication.sign()
        has_new_root = any(before.get(file) != data for file, data in root_files.items())
        return _write(estate, before, publication.files, renew=has_new_root)


def refresh(estate: Path) -> list[TrackedFolder]:
    """Sign a new timestamp: nobody can withhold newer documents. Raises ProvisioningError."""
    with places.changing(estate), _repository_errors(estate):
        before = read(estate)
        if TIMESTAMP not in before:
            raise ProvisioningError(f"nothing is published yet; run: {_publish_command(estate)}")
        return _write(estate, before, dict(before), renew=True)[:1]


def read(estate: Path) -> Files:
    """The contents of the repository's files by name; empty if nothing was published."""
    folder = places.repository(estate)
    paths = sorted(p for kind in ("metadata", "targets") for p in (folder / kind).rglob("*"))
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in paths
        if p.is_file() and not p.name.startswith(".")
    }


def published(estate: Path, site: str) -> tuple[int, int] | None:
    """When the site's rules were signed, and until when the signature is valid; None: not signed.

    Raises ProvisioningError.
    """
    contents = read(estate)
    data = wire.newest(contents, f"site/{site}")
    with _repository_errors(estate):
        document = _document(contents, f"site/{site}", wire.site(site))
        if data is None or document is None:
            return None
        return decode_json(document, _Dated).signed_s, wire.read(data).until_s


def card_files(estate: Path, site: str) -> Files:
    """The trust documents for a card of `site`. Raises ProvisioningError if it is not published."""
    return _card_files(estate, site, read(estate))


def update_card(card: TrackedFolder, contents: Mapping[str, bytes]) -> None:
    """Renew a card's folder `trust`; outdated files are deleted last."""
    folder = card.path / "trust"
    existed = (folder / "root.json").exists()
    has_changes = False
    for name in sorted(contents, key=wire.order):
        path = folder / name
        if not path.exists() or path.read_bytes() != contents[name]:
            TrackedFolder(path.parent).renew(path.name, contents[name])
            has_changes = True
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        if path.relative_to(folder).as_posix() not in contents:
            path.unlink()
            has_changes = True
    if not has_changes:
        card.kept_names.append("trust")
    elif existed:
        card.renewed_names.append("trust")
    else:
        card.created_names.append("trust")


@dataclass
class _Publication:
    """Signs what is due. `files`: the repository's files by name, including the newly signed."""

    estate: Path
    root: bytes
    files: Files

    def sign(self) -> None:
        """Sign what differs from the estate or expires soon. Raises ProvisioningError."""
        estate = self.estate
        trusted = issuers.all_trusted(estate)
        names = places.names(estate / "sites")
        numbers = _numbers(estate, self.root)
        roles = {"issuers": Role(THRESHOLD, _publics(estate, "issuers", numbers))}
        for issuer in trusted:
            folder = places.issuer(estate, issuer.name)
            kinds = ("status",) if issuer.format == trust.DC1 else ("status", "keys")
            for kind in kinds:
                public = files.public_key(folder / f"{kind}.pub")
                roles[f"{kind}/{issuer.name}"] = Role(1, (public,))
        for name in names:
            public = files.public_key(places.site(estate, name) / "site.pub")
            roles[f"site/{name}"] = Role(1, (public,))
        self._targets(roles, numbers)
        self._issuers([issuers.trust_entry(estate, issuer) for issuer in trusted], numbers)
        for name in names:
            self._rules(name)
        for issuer in trusted:
            if issuer.format != trust.DC1:
                self._key_list(issuer.name)
            else:
                self._status_lists(issuer.name)

    def _targets(self, roles: dict[str, Role], numbers: Sequence[int]) -> None:
        old = wire.newest(self.files, "targets")
        is_same = old is not None and dict(wire.read(old).roles) == roles
        if is_same and self._is_valid("targets", self.root, "targets", numbers):
            return
        version, until_s = self._next("targets", "targets")
        signers = _signers(self.estate, "targets", numbers)
        file = wire.metadata_file("targets", version)
        self.files[file] = wire.sign_targets(version, until_s, roles, signers)

    def _issuers(self, entries: list[trust.IssuerEntry], numbers: Sequence[int]) -> None:
        before = _document(self.files, "issuers", wire.ISSUERS)
        try:
            is_same = before is not None and trust.document(before).issuers == entries
        except trust.TrustError:
            is_same = False
        if is_same and self._is_valid("issuers", self._newest_targets, "issuers", numbers):
            return
        version, until_s = self._next("issuers", "issuers")
        document = trust.Issuers(version, places.now_s(), entries)
        data = msgspec.json.encode(document)
        try:
            trust.Trust(trust.document(data))
        except trust.TrustError as error:
            raise ProvisioningError(f"doors would reject these issuers: {error}") from None
        signers = _signers(self.estate, "issuers", numbers)
        self._sign("issuers", version, until_s, {wire.ISSUERS: data}, signers)

    def _rules(self, name: str) -> None:
        site_rules = sites.rules(self.estate, name)
        path, role = wire.site(name), f"site/{name}"
        before = _document(self.files, role, path)
        if before is not None and self._is_valid(role, self._newest_targets, "site"):
            old = msgspec.structs.replace(rules.read(before, name), version=1, signed_s=0)
            if old == site_rules:
                return
        version, until_s = self._next(role, "site")
        now_s = places.now_s()
        data = rules.encode(msgspec.structs.replace(site_rules, version=version, signed_s=now_s))
        key = files.signing_key(places.site(self.estate, name) / "site.key")
        self._sign(role, version, until_s, {path: data}, [key])

    def _key_list(self, issuer: str) -> None:
        folder, role = places.issuer(self.estate, issuer), f"keys/{issuer}"
        path = wire.foreign_keys(issuer)
        data = (folder / "keys.json").read_bytes()
        is_same = _document(self.files, role, path) == data
        if is_same and self._is_valid(role, self._newest_targets, "keys"):
            return
        version, until_s = self._next(role, "keys")
        self._sign(role, version, until_s, {path: data}, [files.signing_key(folder / "keys.key")])

    def _status_lists(self, issuer: str) -> None:
        """Sign the issuer's status lists, if they and their key are in this estate.

        A door without a network gets them only by its card or a USB stick. All other doors get them
        from the server.
        """
        folder, role = places.issuer(self.estate, issuer), f"status/{issuer}"
        if not (folder / "status.key").exists():
            return
        key = files.signing_key(folder / "status.key")
        metadata = wire.newest(self.files, role)
        before = {p: _document(self.files, role, p) for p in _document_paths(metadata)}
        documents = {path: data for path, data in before.items() if data is not None}
        for file in sorted((folder / "status").glob("*.cwt")):
            name, data = f"{issuer}/{file.stem}", file.read_bytes()
            path = wire.status_list(issuer, file.stem)
            if _iat_s(data, key, name) > _iat_s(before.get(path), key, name):
                documents[path] = data  # never an older copy: it would undo revocations
        is_same = documents == before
        if not documents or (is_same and self._is_valid(role, self._newest_targets, "status")):
            return
        version, until_s = self._next(role, "status")
        self._sign(role, version, until_s, documents, [key])

    @property
    def _newest_targets(self) -> bytes:
        return self.files[wire.metadata_file("targets", self._version("targets"))]

    def _version(self, role: str) -> int:
        return max(wire.versions(self.files).get(role, [0]))

    def _next(self, role: str, kind: str) -> tuple[int, int]:
        """The next version of `role`, and until when its signature is valid (Unix seconds).

        Versions are Unix seconds too, so that they rise even after the repository was lost.
        """
        now_s = places.now_s()
        return max(now_s, self._version(role) + 1), now_s + LIFE_S[kind]

    def _is_valid(self, role: str, parent: bytes, kind: str, numbers: Sequence[int] = ()) -> bool:
        """Whether the newest metadata of `role` is signed as `parent` requires, for long enough.

        If the holders `numbers` sign it and their keys are not here, it is long enough until it
        expires: the holders need not come when only a site's rules have changed.
        """
        data = wire.newest(self.files, role)
        if data is None or not wire.verified(parent, role, data):
            return False
        can_renew = not numbers or len(_present(self.estate, kind, numbers)) >= THRESHOLD
        margin_s = LIFE_S[kind] // RENEW_AT if can_renew else 0
        return wire.read(data).until_s > places.now_s() + margin_s

    def _sign(
        self,
        role: str,
        version: int,
        until_s: int,
        documents: Mapping[str, bytes],
        signers: Sequence[PrivateKey],
    ) -> None:
        data = wire.sign_documents(version, until_s, documents, signers)
        self.files |= {wire.metadata_file(role, version): data, **wire.document_files(documents)}


def _write(estate: Path, before: Files, contents: Files, renew: bool) -> list[TrackedFolder]:
    """Write the repository, the timestamp last; delete outdated files; then renew the cards."""
    online_keys = _online_keys(estate, _roots(estate)[-1])
    contents |= wire.published(contents, online_keys, places.now_s(), renew)
    current = wire.current(contents)
    folder = TrackedFolder(places.repository(estate))
    for name in sorted(current, key=wire.order):
        if before.get(name) != contents[name]:
            path = folder.path / name
            TrackedFolder(path.parent).renew(path.name, contents[name])
            (folder.renewed_names if name in before else folder.created_names).append(name)
    for name in before.keys() - current:
        (folder.path / name).unlink()
    if not folder.created_names and not folder.renewed_names:
        folder.kept_names.append("metadata")
    cards = []
    for site in places.names(estate / "sites"):
        trust_files = _card_files(estate, site, contents)
        for unit in sites.units(estate, site):
            cards.append(TrackedFolder(places.card(estate, site, unit)))
            update_card(cards[-1], trust_files)
    return [folder, *cards]


def _card_files(estate: Path, site: str, contents: Files) -> Files:
    root, rules = wire.newest(contents, "root"), wire.newest(contents, f"site/{site}")
    with _repository_errors(estate):
        document = _document(contents, "issuers", wire.ISSUERS)
        if root is None or rules is None or document is None:
            raise ProvisioningError(
                f"site {site!r} is not published; run: {_publish_command(estate)}"
            )
        trusted = trust.document(document).issuers
        names = [i.name for i in trusted if not i.sites or site in i.sites]
        return {**wire.of_site(contents, site, names), "root.json": root}


@contextmanager
def _repository_errors(estate: Path) -> Iterator[None]:
    """Turn errors from a damaged repository into a ProvisioningError."""
    try:
        yield
    except (BrokenRepository, trust.TrustError, DecodeError, KeyError) as error:
        raise ProvisioningError(
            f"{places.repository(estate)}: {error}; restore it from your backup, or move it "
            f"away and run: {_publish_command(estate)}"
        ) from None


def _document(contents: Files, role: str, path: str) -> bytes | None:
    """The document at `path` that the newest metadata of `role` names."""
    data = wire.newest(contents, role)
    sha256 = wire.read(data).documents.get(path) if data else None
    return contents.get(wire.document_file(path, sha256)) if sha256 else None


def _document_paths(metadata: bytes | None) -> list[str]:
    return sorted(wire.read(metadata).documents) if metadata else []


def _iat_s(data: bytes | None, key: PrivateKey, name: str) -> int:
    """When a status list was signed; -1: there is none, or another key signed it."""
    try:
        return -1 if data is None else status.read(data, [key.public], name).iat_s
    except trust.TrustError:
        return -1


def _publish_command(estate: Path) -> str:
    return f"menshen-provision publish {estate}"


def _holder(estate: Path, number: int) -> TrackedFolder:
    folder = TrackedFolder(places.holders(estate) / str(number))
    for kind in KINDS:
        folder.signing_key(kind)
    return folder


def _sign_root(
    estate: Path,
    version: int,
    numbers: Sequence[int],
    online: Sequence[bytes],
    signing: Sequence[int],
) -> bytes:
    roles = {
        "root": Role(THRESHOLD, _publics(estate, "root", numbers)),
        "targets": Role(THRESHOLD, _publics(estate, "targets", numbers)),
        "snapshot": Role(1, (online[0],)),
        "timestamp": Role(1, (online[1],)),
    }
    signers = _present(estate, "root", sorted(set(signing)))
    data = wire.sign_root(version, places.now_s() + ROOT_S, roles, signers)
    if not wire.verified(data, "root", data):
        raise ProvisioningError(_too_few("root", numbers))
    return data


def _roots(estate: Path) -> list[bytes]:
    """Every root, in order. Raises ProvisioningError."""
    folder = places.roots(estate)
    paths = sorted(folder.glob("*.root.json"), key=lambda p: int(p.name.partition(".")[0]))
    if not paths:
        raise ProvisioningError(
            f"{estate} has no root of trust; run: menshen-provision authority {estate}"
        )
    if [p.name for p in paths] != [f"{n}.root.json" for n in range(1, len(paths) + 1)]:
        raise ProvisioningError(
            f"a root is missing from the sequence in {folder}; restore it from your backup"
        )
    chain = [p.read_bytes() for p in paths]
    for path, before, data in zip(paths, [chain[0], *chain], chain, strict=False):
        if not (wire.verified(before, "root", data) and wire.verified(data, "root", data)):
            raise ProvisioningError(f"{path} is damaged or altered; restore it from your backup")
    return chain


def _expires_soon(root: bytes) -> bool:
    return wire.read(root).until_s < places.now_s() + ROOT_S // RENEW_AT


def _role(root: bytes, name: str) -> Role:
    return wire.read(root).roles[name]


def _numbers(estate: Path, root: bytes) -> list[int]:
    """The numbers of the holders whose keys the root names. Raises ProvisioningError."""
    publics = set(_role(root, "root").keys)
    numbers = [
        int(name)
        for name in places.names(places.holders(estate))
        if name.isdecimal()
        and _pub(estate, "root", int(name)).exists()
        and files.public_key(_pub(estate, "root", int(name))) in publics
    ]
    if len(numbers) < len(publics):
        raise ProvisioningError(
            f"a holder's folder is missing from {places.holders(estate)}; put there at least the "
            f".pub files of each holder, and the private keys of {THRESHOLD}"
        )
    return sorted(numbers)


def _pub(estate: Path, kind: str, number: int) -> Path:
    return places.holders(estate) / str(number) / f"{kind}.pub"


def _publics(estate: Path, kind: str, numbers: Sequence[int]) -> tuple[bytes, ...]:
    return tuple(files.public_key(_pub(estate, kind, number)) for number in numbers)


def _present(estate: Path, kind: str, numbers: Sequence[int]) -> list[PrivateKey]:
    paths = [_pub(estate, kind, number).with_suffix(".key") for number in numbers]
    return [files.signing_key(path) for path in paths if path.exists()]


def _signers(estate: Path, kind: str, numbers: Sequence[int]) -> list[PrivateKey]:
    """The keys of THRESHOLD holders; more need not sign. Raises ProvisioningError."""
    private_keys = _present(estate, kind, numbers)
    if len(private_keys) < THRESHOLD:
        raise ProvisioningError(_too_few(kind, numbers))
    return private_keys[:THRESHOLD]


def _too_few(kind: str, numbers: Sequence[int]) -> str:
    return (
        f"{THRESHOLD} holders must sign this and their keys are not here: put {kind}.key of two "
        f"of the holders {', '.join(map(str, numbers))} into authority/holders/NUMBER"
    )


def _online_keys(estate: Path, root: bytes) -> OnlineKeys:
    """The private online keys that the root names. Raises ProvisioningError."""
    private_keys = {}
    for kind in ("snapshot", "timestamp"):
        (public,) = _role(root, kind).keys
        for path in sorted(places.server(estate).glob(f"{kind}*.key")):
            key = files.signing_key(path)
            if key.public == public:
                private_keys[kind] = key
        if kind not in private_keys:
            raise ProvisioningError(
                f"the {kind} key that the newest root names is missing from "
                f"{places.server(estate)}; restore it from your backup, or sign a root with new "
                f"keys: menshen-provision root {estate} --online"
            )
    return OnlineKeys(private_keys["snapshot"], private_keys["timestamp"])


def _make_online_key(server: TrackedFolder, kind: str, chain: Sequence[bytes]) -> bytes:
    """Make an online key that no root has named yet, and return its public half."""
    used = {_role(root, kind).keys[0] for root in chain}
    number = 2
    while True:
        public = server.signing_key(f"{kind}-{number}").public
        if public not in used:
            return public
        number += 1
