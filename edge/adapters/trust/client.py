"""python-tuf's client (TUF specification 1.0, section 5): verifies what a source has.

The only file of the unit that imports python-tuf. Source: edge/wire/trust.md.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tuf.api import exceptions as wrong
from tuf.api.metadata import TargetFile, Targets
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from edge.adapters.trust.sources import DocumentSource
from edge.judge.trust_documents import Bundle
from edge.wire import repository, trust
from edge.wire.repository import FILE_LEN_MAX, LISTS_MAX, TOTAL_LEN_MAX
from edge.wire.trust import TrustError

log = logging.getLogger("menshen")
logging.getLogger("tuf").setLevel(logging.ERROR)  # what it has to say comes as exceptions

CONFIG = UpdaterConfig(
    max_root_rotations=256,
    root_max_length=65_536,
    timestamp_max_length=16_384,
    snapshot_max_length=FILE_LEN_MAX,
    targets_max_length=FILE_LEN_MAX,
)


class OlderDocuments(TrustError):
    """A repository that is older than what the unit has, and changes nothing."""


class IncompleteDocuments(TrustError):
    """A repository that lacks a file which this unit needs."""


def failure(name: str, error: Exception) -> TrustError:
    """What `error`, met while the source `name` was read, is for people: one sentence."""
    sentence = f"{name}: {why(error)}"
    if isinstance(error, wrong.BadVersionNumberError):
        return OlderDocuments(sentence)
    if isinstance(error, wrong.DownloadHTTPError):
        return IncompleteDocuments(sentence)
    return TrustError(sentence)


_SENTENCES: Sequence[tuple[type[Exception], str]] = (
    (wrong.BadVersionNumberError, "it is older than what this unit has, or parts do not belong "
     "together"),
    (wrong.ExpiredMetadataError, "it has expired; bring a fresh one"),
    (wrong.UnsignedMetadataError, "it is not signed by those who may"),
    (wrong.DownloadLengthMismatchError, "a file is longer than it may be"),
    (wrong.LengthOrHashMismatchError, "a file was altered"),
    (wrong.DownloadHTTPError, "it is not complete"),
)  # fmt: skip


def why(error: Exception) -> str:
    """One sentence, in words for the person who holds the stick."""
    detail = " ".join(str(error).split())[:200]
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'} cannot be used ({error.strerror})"
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return f"{sentence} ({detail})"
    return detail or type(error).__name__


def bounded(file: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > FILE_LEN_MAX:
            raise wrong.DownloadLengthMismatchError(f"{file} does not end")
        yield piece


class Client(Updater):
    """python-tuf's client, with our own time and without its search through all delegations.

    Both need what python-tuf keeps to itself. It asks the system for the time, which a door does
    not trust: `_trusted_set.reference_time` is our clock's `earliest` instead. And it looks for
    a document at every delegation in turn, four thousand times four thousand with as many
    issuers: here the role of a path is known by its name. tests/edge/adapters/trust/test_tuf.py
    notices if either has no effect any more.
    """

    def __init__(self, passing: Path, root: bytes, source: DocumentSource, earliest_s: int) -> None:
        folders = str(passing / "metadata"), str(passing / "targets")
        super().__init__(
            folders[0],
            "metadata",
            folders[1],
            "targets",
            _Fetcher(source),
            CONFIG,
            bootstrap=root,
        )
        self._metadata, self.needed = passing / "metadata", set[Path]()
        self._at(earliest_s)
        self._documents: dict[str, bytes] = {}
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._total_len = 0

    def bundle(self, site: str, accepted_s: float) -> Bundle:
        """Refresh, and everything that a door of `site` needs. Raises what is wrong."""
        self.refresh()
        needed = [self._take("issuers"), self._take(f"site/{site}")]
        for path in (repository.ISSUERS, repository.site(site)):
            if path not in self._documents:
                raise wrong.RepositoryError(f"the repository has no {path}")
        offline = [self._trusted_set.root, self._trusted_set.targets, *filter(None, needed)]
        timestamp = self._trusted_set.timestamp
        for role in ("timestamp", "snapshot", "targets"):
            self._needs(role)
        # An issuer that forgets its list must not keep its neighbours from news: the age of a
        # status list is written in the list itself and judged by its reader.
        self._at(0)
        for issuer in trust.document(self._documents[repository.ISSUERS]).issuers:
            if not issuer.sites or site in issuer.sites:
                for role in (f"status/{issuer.name}", f"keys/{issuer.name}"):
                    try:
                        self._take(role)
                    except _TooMuch as error:  # nor must one that signs too much
                        log.warning("%s, which is too much: they are left out", error)
        if timestamp.version >= 2**32:
            raise wrong.RepositoryError("the timestamp's version is no time")
        return Bundle(
            documents=self._documents,
            keys=self._keys,
            version=timestamp.version,
            signed_s=_signed_s(timestamp.unrecognized_fields),
            until_s=min(int(signed.expires.timestamp()) for signed in offline),
            accepted_s=accepted_s,
        )

    def _at(self, earliest_s: int) -> None:
        self._trusted_set.reference_time = datetime.fromtimestamp(earliest_s, UTC)

    def _take(self, role: str) -> Targets | None:
        """The role's metadata and its documents; None where the repository does not have it."""
        delegations = self._trusted_set.targets.delegations
        handed = (delegations.roles or {}).get(role) if delegations else None
        if delegations is None or handed is None:
            return None
        if f"{role}.json" not in self._trusted_set.snapshot.meta:
            return None
        targets = self._load_targets(role, Targets.type)
        self._needs(role)
        own = [info for path, info in targets.targets.items() if handed.is_delegated_path(path)]
        length = sum(info.length for info in own)
        if length > FILE_LEN_MAX or self._total_len + length > TOTAL_LEN_MAX:
            raise _TooMuch(f"{role} has {length} bytes of documents")
        if len(own) > LISTS_MAX:
            raise _TooMuch(f"{role} has {len(own)} documents; {LISTS_MAX} at most")
        self._total_len += length
        held = [delegations.keys[keyid] for keyid in handed.keyids]
        publics = tuple(bytes.fromhex(k.keyval["public"]) for k in held if k.keytype == "ed25519")
        for info in own:
            self._documents[info.path] = self._document(info)
            self._keys[info.path] = publics
        return targets

    def _document(self, info: TargetFile) -> bytes:
        path = Path(self._generate_target_file_path(info))
        if self.find_cached_target(info) is None:
            path.unlink(missing_ok=True)  # never write into a file of the generation before
            self.download_target(info)
        self.needed.add(path)
        return path.read_bytes()

    def _needs(self, role: str) -> None:
        self.needed.add(self._metadata / Path(repository.metadata_file(role)).name)


class _Fetcher(FetcherInterface):
    """Files by their names; what is not there is an HTTP 404 to python-tuf."""

    def __init__(self, source: DocumentSource) -> None:
        self._source = source

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return bounded(url, self._source.open(url))
        except FileNotFoundError:
            raise wrong.DownloadHTTPError(f"{url} is missing", 404) from None


class _TooMuch(wrong.DownloadLengthMismatchError):
    """What a role signs is more than a unit takes."""


def _signed_s(fields: Mapping[str, object]) -> int:
    signed_s = fields.get(repository.SIGNED_S)
    if type(signed_s) is not int or not 0 <= signed_s < 2**32:
        raise wrong.RepositoryError("the timestamp does not say when it was signed")
    return signed_s
