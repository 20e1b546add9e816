"""What an estate says, signed: the roots, and the repository of trust documents for doors.

`publish` compares what the estate says with what is signed, signs what differs or runs out soon
with the keys that are there, and then lets the online keys say what is current. Two of the three
holders' folders must be there for what only holders sign. Source: edge/wire/trust.md.
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
"""How long a signature holds. What is signed offline bounds how long a thief of the online keys
may keep doors from news; issuers are the shortest, because their keys change every month."""
RENEWED = 3  # what has less than a third of its life left is signed anew

Files = dict[str, bytes]


class _Dated(msgspec.Struct):
    """Of a site's signed rules, of whichever version: when they were signed."""

    signed_s: trust.Seconds


def begin(estate: Path) -> list[TrackedFolder]:
    """The holders' folders, the online keys and the first root; within `estate.changing`."""
    first = places.roots(estate) / "1.root.json"
    server = TrackedFolder(places.server(estate))
    if not first.exists():
        made = [_holder(estate, number) for number in range(1, HOLDERS + 1)]
        online = [server.signing_key(kind).public for kind in ("snapshot", "timestamp")]
        data = _sign_root(estate, 1, range(1, HOLDERS + 1), online, range(1, HOLDERS + 1))
        roots = TrackedFolder(first.parent)
        roots.create_once(first.name, lambda: data)
        return [*made, roots, server]
    roots = TrackedFolder(first.parent)
    roots.kept_names.append(first.name)
    _online(estate, _roots(estate)[-1])
    server.kept_names += ["snapshot.key", "timestamp.key"]
    return [roots, server]


def rotate(estate: Path, retire: int | None = None, online: bool = False) -> list[TrackedFolder]:
    """Sign the next root: another holder in place of number `retire`, or new `online` keys, or,
    when it runs out within months, the same once more.

    The old keys stay where they are; the newest root names them no more. Raises ProvisioningError.
    """
    with places.changing(estate), _sound(estate):
        chain = _roots(estate)
        if retire is None and not online and not _due(chain[-1]):
            return [TrackedFolder(places.roots(estate), kept_names=[f"{len(chain)}.root.json"])]
        before = _numbers(estate, chain[-1])
        made: list[TrackedFolder] = []
        after = before
        if retire is not None:
            if retire not in before:
                raise ProvisioningError(
                    f"number {retire} is none of the holders now; they are "
                    f"{', '.join(map(str, before))}"
                )
            ever = {n for root in chain for n in _numbers(estate, root)}
            made.append(_holder(estate, max(ever) + 1))
            after = [*(n for n in before if n != retire), max(ever) + 1]
        server = TrackedFolder(places.server(estate))
        known = [_role(chain[-1], kind).keys[0] for kind in ("snapshot", "timestamp")]
        if online:
            known = [_next_online(server, kind, chain) for kind in ("snapshot", "timestamp")]
        data = _sign_root(estate, len(chain) + 1, after, known, [*before, *after])
        if not wire.verified(chain[-1], "root", data):
            raise ProvisioningError(_too_few("root", before))
        roots = TrackedFolder(places.roots(estate))
        roots.create_once(f"{len(chain) + 1}.root.json", lambda: data)
    return [*made, *([server] if online else []), roots]


def publish(estate: Path) -> list[TrackedFolder]:
    """Bring the repository up to date with the estate, and the cards with it.

    Returns the repository and the cards. Raises ProvisioningError.
    """
    with places.changing(estate), _sound(estate):
        known = read(estate)
        chain = _roots(estate)
        if _due(chain[-1]):
            raise ProvisioningError(
                f"the newest root runs out; sign the next one: menshen-provision root {estate}"
            )
        added = {
            wire.metadata_file("root", number): data for number, data in enumerate(chain, start=1)
        }
        signing = _Signing(estate, chain[-1], known | added)
        signing.all()
        new_root = any(known.get(file) != data for file, data in added.items())
        return _write(estate, known, signing.known, renew=new_root)


def refresh(estate: Path) -> list[TrackedFolder]:
    """A new timestamp, so that nobody can hold back what is newer. Raises ProvisioningError."""
    with places.changing(estate), _sound(estate):
        known = read(estate)
        if TIMESTAMP not in known:
            raise ProvisioningError(f"nothing is published yet; run: {_publish(estate)}")
        return _write(estate, known, dict(known), renew=True)[:1]


def read(estate: Path) -> Files:
    """The files of the repository by name; none if nothing was published."""
    folder = places.repository(estate)
    found = sorted(p for kind in ("metadata", "targets") for p in (folder / kind).rglob("*"))
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in found
        if p.is_file() and not p.name.startswith(".")
    }


def published(estate: Path, site: str) -> tuple[int, int] | None:
    """When the site's rules were signed, and until when that holds; None: not yet.

    Raises ProvisioningError.
    """
    known = read(estate)
    data = wire.newest(known, f"site/{site}")
    with _sound(estate):
        document = _document(known, f"site/{site}", wire.site(site))
        if data is None or document is None:
            return None
        return decode_json(document, _Dated).signed_s, wire.read(data).until_s


def card_files(estate: Path, site: str) -> Files:
    """What the doors of `site` need. Raises ProvisioningError unless it is published."""
    return _for_cards(estate, site, read(estate))


def update_card(card: TrackedFolder, wanted: Mapping[str, bytes]) -> None:
    """Renew the folder `trust` of a card; what is not wanted any more goes last."""
    folder = card.path / "trust"
    was_there = (folder / "root.json").exists()
    changed = False
    for name in sorted(wanted, key=wire.order):
        path = folder / name
        if not path.exists() or path.read_bytes() != wanted[name]:
            TrackedFolder(path.parent).renew(path.name, wanted[name])
            changed = True
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        if path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
            changed = True
    state = card.kept_names if not changed else card.renewed_names if was_there else card.created_names
    state.append("trust")


@dataclass
class _Signing:
    """One publication: `known` grows by what is signed."""

    estate: Path
    root: bytes
    known: Files

    def all(self) -> None:
        """Sign what is due. Raises ProvisioningError."""
        estate = self.estate
        believed = issuers.all_trusted(estate)
        names = places.names(estate / "sites")
        numbers = _numbers(estate, self.root)
        roles = {"issuers": Role(THRESHOLD, _publics(estate, "issuers", numbers))}
        for issuer in believed:
            folder = places.issuer(estate, issuer.name)
            kinds = ("status",) if issuer.format == trust.DC1 else ("status", "keys")
            for kind in kinds:
                public = files.public_key(folder / f"{kind}.pub")
                roles[f"{kind}/{issuer.name}"] = Role(1, (public,))
        for name in names:
            public = files.public_key(places.site(estate, name) / "site.pub")
            roles[f"site/{name}"] = Role(1, (public,))
        self._targets(roles, numbers)
        self._issuers([issuers.trust_entry(estate, issuer) for issuer in believed], numbers)
        for name in names:
            self._rules(name)
        for issuer in believed:
            if issuer.format != trust.DC1:
                self._key_list(issuer.name)
            else:
                self._status_lists(issuer.name)

    def _targets(self, roles: dict[str, Role], numbers: Sequence[int]) -> None:
        old = wire.newest(self.known, "targets")
        same = old is not None and dict(wire.read(old).roles) == roles
        if same and self._holds("targets", self.root, "targets", numbers):
            return
        version, until_s = self._next("targets", "targets")
        signers = _signers(self.estate, "targets", numbers)
        file = wire.metadata_file("targets", version)
        self.known[file] = wire.sign_targets(version, until_s, roles, signers)

    def _issuers(self, believed: list[trust.IssuerEntry], numbers: Sequence[int]) -> None:
        before = _document(self.known, "issuers", wire.ISSUERS)
        try:
            same = before is not None and trust.document(before).issuers == believed
        except trust.TrustError:
            same = False
        if same and self._holds("issuers", self._above, "issuers", numbers):
            return
        version, until_s = self._next("issuers", "issuers")
        document = trust.Issuers(version, places.now_s(), believed)
        data = msgspec.json.encode(document)
        try:
            trust.Trust(trust.document(data))
        except trust.TrustError as error:
            raise ProvisioningError(f"no door would take this: {error}") from None
        signers = _signers(self.estate, "issuers", numbers)
        self._sign("issuers", version, until_s, {wire.ISSUERS: data}, signers)

    def _rules(self, name: str) -> None:
        said = sites.rules(self.estate, name)
        path, role = wire.site(name), f"site/{name}"
        before = _document(self.known, role, path)
        if before is not None and self._holds(role, self._above, "site"):
            old = msgspec.structs.replace(rules.read(before, name), version=1, signed_s=0)
            if old == said:
                return
        version, until_s = self._next(role, "site")
        now_s = places.now_s()
        data = rules.encode(msgspec.structs.replace(said, version=version, signed_s=now_s))
        key = files.signing_key(places.site(self.estate, name) / "site.key")
        self._sign(role, version, until_s, {path: data}, [key])

    def _key_list(self, issuer: str) -> None:
        folder, role = places.issuer(self.estate, issuer), f"keys/{issuer}"
        path = wire.foreign_keys(issuer)
        data = (folder / "keys.json").read_bytes()
        if _document(self.known, role, path) == data and self._holds(role, self._above, "keys"):
            return
        version, until_s = self._next(role, "keys")
        self._sign(role, version, until_s, {path: data}, [files.signing_key(folder / "keys.key")])

    def _status_lists(self, issuer: str) -> None:
        """The lists that the issuer's server has made, where they and their key are here: a card
        or a stick is all that a door without a network gets. Else the server brings them.
        """
        folder, role = places.issuer(self.estate, issuer), f"status/{issuer}"
        if not (folder / "status.key").exists():
            return
        key = files.signing_key(folder / "status.key")
        metadata = wire.newest(self.known, role)
        before = {p: _document(self.known, role, p) for p in _listed(metadata)}
        documents = {path: data for path, data in before.items() if data is not None}
        for file in sorted((folder / "status").glob("*.cwt")):
            name, data = f"{issuer}/{file.stem}", file.read_bytes()
            path = wire.status_list(issuer, file.stem)
            if _iat_s(data, key, name) > _iat_s(before.get(path), key, name):
                documents[path] = data  # never an old copy: it would give back what was taken
        if not documents or (documents == before and self._holds(role, self._above, "status")):
            return
        version, until_s = self._next(role, "status")
        self._sign(role, version, until_s, documents, [key])

    @property
    def _above(self) -> bytes:
        return self.known[wire.metadata_file("targets", self._version("targets"))]

    def _version(self, role: str) -> int:
        return max(wire.versions(self.known).get(role, [0]))

    def _next(self, role: str, kind: str) -> tuple[int, int]:
        """Unix seconds as versions rise also where the repository was lost."""
        now_s = places.now_s()
        return max(now_s, self._version(role) + 1), now_s + LIFE_S[kind]

    def _holds(self, role: str, above: bytes, kind: str, numbers: Sequence[int] = ()) -> bool:
        """Whether the newest metadata of `role` is signed by who may, and for long enough.

        Where holders `numbers` sign and are not there, long enough is until now: they need not
        come for a site's new rules.
        """
        data = wire.newest(self.known, role)
        if data is None or not wire.verified(above, role, data):
            return False
        here = not numbers or len(_present(self.estate, kind, numbers)) >= THRESHOLD
        return wire.read(data).until_s > places.now_s() + here * LIFE_S[kind] // RENEWED

    def _sign(
        self,
        role: str,
        version: int,
        until_s: int,
        documents: Mapping[str, bytes],
        signers: Sequence[PrivateKey],
    ) -> None:
        data = wire.sign_documents(version, until_s, documents, signers)
        self.known |= {wire.metadata_file(role, version): data, **wire.document_files(documents)}


def _write(estate: Path, before: Files, known: Files, renew: bool) -> list[TrackedFolder]:
    """The timestamp last, and only then away with what is of no use any more; then the cards."""
    online = _online(estate, _roots(estate)[-1])
    known |= wire.published(known, online, places.now_s(), renew)
    current = wire.current(known)
    folder = TrackedFolder(places.repository(estate))
    for name in sorted(current, key=wire.order):
        if before.get(name) != known[name]:
            path = folder.path / name
            TrackedFolder(path.parent).renew(path.name, known[name])
            (folder.renewed_names if name in before else folder.created_names).append(name)
    for name in before.keys() - current:
        (folder.path / name).unlink()
    if not folder.created_names and not folder.renewed_names:
        folder.kept_names.append("metadata")
    cards = []
    for site in places.names(estate / "sites"):
        wanted = _for_cards(estate, site, known)
        for unit in sites.units(estate, site):
            cards.append(TrackedFolder(places.card(estate, site, unit)))
            update_card(cards[-1], wanted)
    return [folder, *cards]


def _for_cards(estate: Path, site: str, known: Files) -> Files:
    root, rules = wire.newest(known, "root"), wire.newest(known, f"site/{site}")
    with _sound(estate):
        document = _document(known, "issuers", wire.ISSUERS)
        if root is None or rules is None or document is None:
            raise ProvisioningError(f"site {site!r} is not published; run: {_publish(estate)}")
        believed = trust.document(document).issuers
        names = [i.name for i in believed if not i.sites or site in i.sites]
        return {**wire.of_site(known, site, names), "root.json": root}


@contextmanager
def _sound(estate: Path) -> Iterator[None]:
    try:
        yield
    except (BrokenRepository, trust.TrustError, DecodeError, KeyError) as error:
        raise ProvisioningError(
            f"{places.repository(estate)}: {error}; bring it back from your backup, or move it "
            f"away and run: {_publish(estate)}"
        ) from None


def _document(known: Files, role: str, path: str) -> bytes | None:
    """The document at `path`, as the newest metadata of `role` has it."""
    data = wire.newest(known, role)
    sha256 = wire.read(data).documents.get(path) if data else None
    return known.get(wire.document_file(path, sha256)) if sha256 else None


def _listed(metadata: bytes | None) -> list[str]:
    return sorted(wire.read(metadata).documents) if metadata else []


def _iat_s(data: bytes | None, key: PrivateKey, name: str) -> int:
    """When a status list was signed; -1: it is none of this key's."""
    try:
        return -1 if data is None else status.read(data, [key.public], name).iat_s
    except trust.TrustError:
        return -1


def _publish(estate: Path) -> str:
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
    """Every root, the first one first. Raises ProvisioningError."""
    folder = places.roots(estate)
    there = sorted(folder.glob("*.root.json"), key=lambda p: int(p.name.partition(".")[0]))
    if not there:
        raise ProvisioningError(
            f"{estate} has no root of trust; run: menshen-provision authority {estate}"
        )
    if [p.name for p in there] != [f"{n}.root.json" for n in range(1, len(there) + 1)]:
        raise ProvisioningError(f"{folder} lacks a root in its row; bring it back from your backup")
    chain = [p.read_bytes() for p in there]
    for path, before, data in zip(there, [chain[0], *chain], chain, strict=False):
        if not (wire.verified(before, "root", data) and wire.verified(data, "root", data)):
            raise ProvisioningError(f"{path} is torn or altered; bring it back from your backup")
    return chain


def _due(root: bytes) -> bool:
    return wire.read(root).until_s < places.now_s() + ROOT_S // RENEWED


def _role(root: bytes, name: str) -> Role:
    return wire.read(root).roles[name]


def _numbers(estate: Path, root: bytes) -> list[int]:
    """Which holders' keys the root names. Raises ProvisioningError."""
    named = set(_role(root, "root").keys)
    found = [
        int(name)
        for name in places.names(places.holders(estate))
        if name.isdecimal()
        and _pub(estate, "root", int(name)).exists()
        and files.public_key(_pub(estate, "root", int(name))) in named
    ]
    if len(found) < len(named):
        raise ProvisioningError(
            f"{places.holders(estate)} lacks a holder's folder; at least the .pub files of each "
            f"must be there, with the private keys of {THRESHOLD}"
        )
    return sorted(found)


def _pub(estate: Path, kind: str, number: int) -> Path:
    return places.holders(estate) / str(number) / f"{kind}.pub"


def _publics(estate: Path, kind: str, numbers: Sequence[int]) -> tuple[bytes, ...]:
    return tuple(files.public_key(_pub(estate, kind, number)) for number in numbers)


def _present(estate: Path, kind: str, numbers: Sequence[int]) -> list[PrivateKey]:
    paths = [_pub(estate, kind, number).with_suffix(".key") for number in numbers]
    return [files.signing_key(path) for path in paths if path.exists()]


def _signers(estate: Path, kind: str, numbers: Sequence[int]) -> list[PrivateKey]:
    """Two of them are enough, and no more sign. Raises ProvisioningError."""
    found = _present(estate, kind, numbers)
    if len(found) < THRESHOLD:
        raise ProvisioningError(_too_few(kind, numbers))
    return found[:THRESHOLD]


def _too_few(kind: str, numbers: Sequence[int]) -> str:
    return (
        f"{THRESHOLD} holders must sign this and their keys are not here: put {kind}.key of two "
        f"of the holders {', '.join(map(str, numbers))} into authority/holders/NUMBER"
    )


def _online(estate: Path, root: bytes) -> OnlineKeys:
    """The private keys that the root names. Raises ProvisioningError."""
    found = {}
    for kind in ("snapshot", "timestamp"):
        (public,) = _role(root, kind).keys
        for path in sorted(places.server(estate).glob(f"{kind}*.key")):
            key = files.signing_key(path)
            if key.public == public:
                found[kind] = key
        if kind not in found:
            raise ProvisioningError(
                f"{places.server(estate)} lacks the {kind} key that the newest root names; bring "
                f"it back from your backup, or sign a root with new ones: "
                f"menshen-provision root {estate} --online"
            )
    return OnlineKeys(found["snapshot"], found["timestamp"])


def _next_online(server: TrackedFolder, kind: str, chain: Sequence[bytes]) -> bytes:
    """The public part of a new key, which no root has named yet."""
    ever = {_role(root, kind).keys[0] for root in chain}
    number = 2
    while True:
        public = server.signing_key(f"{kind}-{number}").public
        if public not in ever:
            return public
        number += 1
