"""What a unit believes arrives whole, in order and signed by those who may, or not at all."""

import itertools
import logging
import os
import shutil
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.adapters.trust import sources, tuf_trust
from edge.adapters.trust.client import OlderDocuments
from edge.adapters.trust.sources import TrustFolder, TrustInbox
from edge.adapters.trust.tuf_trust import TufTrust
from edge.clock.time_interval import Interval, Now
from edge.judge.trust_documents import Bundle
from edge.wire import repository, trust
from edge.wire.trust import TrustError
from tests.conftest import issuers
from tests.realm import DAY_S, Realm, key, three

NOW_S = 1_790_000_000  # another time than the system's: nothing here may depend on that


@dataclass
class At:
    """The unit's clock."""

    earliest_s: int = NOW_S
    powered_s: float = 0.0

    def __call__(self) -> Now:
        return Now(Interval(self.earliest_s, self.earliest_s + 9, "system"), 0.0, self.powered_s)


@dataclass
class TrustFolders:
    """A unit's disk, with a card made at NOW_S."""

    folder: Path
    realm: Realm
    at: At = field(default_factory=At)

    @property
    def card(self) -> Path:
        return self.folder / "card"

    def unit(self, accept: Callable[[Bundle], Bundle] = lambda bundle: bundle) -> TufTrust[Bundle]:
        return TufTrust(self.card, self.folder / "state", "campus", accept, self.at)

    def stick(self) -> TrustFolder:
        """The realm as it is now, on a stick."""
        return TrustFolder(self.realm.write(self.folder / "stick"), "the stick")

    def generations(self) -> list[Path]:
        return sorted((self.folder / "state" / "trust").iterdir())


@pytest.fixture
def place(tmp_path: Path) -> TrustFolders:
    realm = Realm(NOW_S, issuers(NOW_S))
    realm.write(tmp_path / "card")
    return TrustFolders(tmp_path, realm)


def taken(unit: TufTrust[Bundle]) -> Bundle:
    bundle = unit.latest()
    assert bundle is not None
    return bundle


def refused(unit: TufTrust[Bundle], stick: sources.DocumentSource, sentence: str) -> None:
    """`stick` is refused with `sentence`, and the unit believes what it believed, also later."""
    unit.latest()
    with pytest.raises(TrustError, match=sentence) as told:
        unit.refresh(stick)
    assert "\n" not in str(told.value)
    assert unit.latest() is None


def test_a_unit_begins_with_its_card_and_is_told_once(place: TrustFolders) -> None:
    place.at.powered_s = 7.5
    unit = place.unit()
    bundle = taken(unit)
    assert unit.latest() is None
    assert bundle.documents.keys() == {"issuers.json", "site/campus.json"}
    assert trust.document(bundle.documents["issuers.json"]) == issuers(NOW_S)
    assert bundle.keys["site/campus.json"] == (place.realm.owners["site/campus"].public,)
    assert set(bundle.keys["issuers.json"]) == {k.public for k in three("issuers")}
    assert (bundle.version, bundle.signed_s) == (NOW_S, NOW_S)
    assert bundle.until_s == NOW_S + 90 * DAY_S  # the issuers role's, the first of the offline ones
    assert bundle.accepted_s == 7.5


def test_a_newer_stick_is_taken_whole_and_outlives_a_restart(place: TrustFolders) -> None:
    unit = place.unit()
    first = taken(unit)
    place.realm.status("city", b"a list", NOW_S + 50)
    place.realm.rules(b'{"site":"campus","k":12}', NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    place.at.powered_s = 321.0
    assert unit.refresh(place.stick())
    second = taken(unit)
    assert second.version == NOW_S + 100 > first.version
    assert second.documents["status/city/0.cwt"] == b"a list"
    assert second.documents["site/campus.json"] == b'{"site":"campus","k":12}'
    assert second.keys["status/city/0.cwt"] == (place.realm.owners["status/city"].public,)
    place.at.powered_s = 0.0
    assert taken(place.unit()) == second
    assert [p.name for p in place.generations()] == ["00000001", "00000002"]
    place.realm.publish(NOW_S + 200)
    assert unit.refresh(place.stick())
    assert [p.name for p in place.generations()] == ["00000002", "00000003"]


def test_the_same_stick_again_is_nothing_new(place: TrustFolders) -> None:
    unit = place.unit()
    place.realm.publish(NOW_S + 100)
    assert unit.refresh(place.stick())
    assert not unit.refresh(place.stick())
    assert len(place.generations()) == 2


def test_check_reads_what_the_unit_would_and_writes_nothing(place: TrustFolders) -> None:
    state = place.folder / "state"
    before = tuf_trust.load(place.card, state, "campus", lambda bundle: bundle)
    assert not state.exists()
    unit = place.unit()
    assert taken(unit).documents == before.documents
    place.realm.publish(NOW_S + 100)
    unit.refresh(place.stick())
    found = {p: p.stat().st_mtime_ns for p in state.rglob("*")}
    assert tuf_trust.load(place.card, state, "campus", lambda bundle: bundle).version == NOW_S + 100
    assert found == {p: p.stat().st_mtime_ns for p in state.rglob("*")}


# What the specification calls attacks, section 1.5.2.


def test_rollback_an_old_stick_changes_nothing_and_says_so(place: TrustFolders) -> None:
    unit = place.unit()
    old = place.folder / "old"
    place.realm.publish(NOW_S + 50)
    place.realm.write(old)
    place.realm.publish(NOW_S + 100)
    unit.refresh(place.stick())
    refused(unit, TrustFolder(old, "the stick"), "the stick: it is older than what this unit has")
    with pytest.raises(OlderDocuments):
        unit.refresh(TrustFolder(old, "the stick"))
    refused(place.unit(), TrustFolder(old, "the stick"), "older")  # after a restart as well


def test_rollback_of_one_document_by_the_online_keys(place: TrustFolders) -> None:
    """A thief of both online keys brings back the issuers document of yesterday."""
    old_line = repository.newest(place.realm.files, "issuers")
    place.realm.issuers(issuers(NOW_S), NOW_S + 50)
    place.realm.publish(NOW_S + 60)
    unit = place.unit()
    unit.refresh(place.stick())
    files = dict(place.realm.files)
    newest = repository.metadata_file("issuers", NOW_S + 50)
    del files[newest], files[repository.metadata_file("snapshot", NOW_S + 60)]
    assert repository.newest(files, "issuers") == old_line
    del files[repository.TIMESTAMP]
    place.realm.files = files | repository.published(files, place.realm.online, NOW_S + 100)
    refused(unit, place.stick(), "older|do not belong together")


def test_freeze_expired_by_our_own_clock_and_no_others(place: TrustFolders) -> None:
    """python-tuf asks the system for the time; here `earliest` decides, in both directions."""
    unit = place.unit()
    place.realm.publish(NOW_S + 100)
    stick = place.stick()
    expires_s = NOW_S + 100 + repository.TIMESTAMP_S
    place.at.earliest_s = expires_s
    refused(unit, stick, "it has expired; bring a fresh one .timestamp")
    place.at.earliest_s = expires_s - 1
    assert unit.refresh(stick)
    far = Realm(int(time.time()) - 20 * 365 * DAY_S, issuers(NOW_S))  # expired by the system's
    far.write(place.folder / "far")
    other = TrustFolders(place.folder / "other", far, At(int(time.time()) - 20 * 365 * DAY_S))
    far.write(other.card)
    then = other.unit()
    far.publish(other.at.earliest_s + 100)
    assert then.refresh(other.stick())


def test_freeze_the_offline_roles_end_it(place: TrustFolders) -> None:
    """The online keys sign on for ever; what they refer to does not."""
    unit = place.unit()
    later_s = NOW_S + 91 * DAY_S
    place.realm.publish(later_s)
    place.at.earliest_s = later_s
    refused(unit, place.stick(), "expired; bring a fresh one .New issuers")


def test_what_is_kept_is_never_expired_at_a_start(place: TrustFolders) -> None:
    first = taken(place.unit())
    place.at.earliest_s = NOW_S + 3000 * DAY_S
    assert taken(place.unit()) == first


def test_a_card_that_lay_in_a_drawer_begins_all_the_same(place: TrustFolders) -> None:
    place.at.earliest_s = NOW_S + 3000 * DAY_S
    assert taken(place.unit()).signed_s == NOW_S  # its age is judged by the steps of age


@pytest.mark.parametrize("role", ["snapshot", "targets", "issuers", "site/campus"])
def test_mix_and_match_parts_of_two_publications(place: TrustFolders, role: str) -> None:
    unit = place.unit()
    old = {r: place.realm.files[repository.metadata_file(r, NOW_S)] for r in (role,)}
    place.realm.targets(NOW_S + 50)
    place.realm.issuers(issuers(NOW_S), NOW_S + 50)
    place.realm.rules(b"{}", NOW_S + 50)
    place.realm.publish(NOW_S + 50)
    place.realm.files[repository.metadata_file(role, NOW_S + 50)] = old[role]
    refused(unit, place.stick(), "altered|longer than it may be")


def test_fast_forward_and_the_way_back(place: TrustFolders) -> None:
    """A thief of the online keys signs far ahead; a new root with new keys heals it (5.3.11)."""
    unit = place.unit()
    honest = place.realm.files.copy()
    far_s = 2**32 - 1
    place.realm.publish(far_s)
    assert unit.refresh(place.stick())
    assert taken(unit).version == far_s
    place.realm.publish(2**32)
    refused(unit, place.stick(), "is no time")
    place.realm.files = dict(honest)
    place.realm.publish(NOW_S + 100)
    refused(unit, place.stick(), "older than what this unit has")
    stolen = place.realm.online
    place.realm.online = repository.OnlineKeys(key("snapshot 2"), key("timestamp 2"))
    place.realm.root(NOW_S + 150)
    place.realm.publish(NOW_S + 200)
    assert unit.refresh(place.stick())
    assert taken(unit).version == NOW_S + 200
    with pytest.raises(
        repository.BrokenRepository, match="is not the one that the newest root names"
    ):
        repository.published(place.realm.files, stolen, NOW_S + 300, renew=True)
    place.realm.files[repository.TIMESTAMP] = _timestamp_by(stolen, honest)
    refused(unit, place.stick(), "not signed by those who may")


def _timestamp_by(online: repository.OnlineKeys, files: dict[str, bytes]) -> bytes:
    """The newest timestamp that those keys can sign over files of their time."""
    added = repository.published(files, online, NOW_S + 400, renew=True)
    return added[repository.TIMESTAMP]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", ["device", "pipe", "folder", "huge", "too long", "claims"])
def test_endless_data_ends(place: TrustFolders, what: str) -> None:
    unit = place.unit()
    place.realm.publish(NOW_S + 100)
    place.at.earliest_s = NOW_S + 100
    stick = place.stick()
    path = place.folder / "stick" / repository.TIMESTAMP
    path.unlink()
    if what == "device":
        path.symlink_to("/dev/zero")
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif what == "too long":
        path.write_bytes(place.realm.files[repository.TIMESTAMP] + b" " * 16_384)
    else:
        place.realm.documents(
            "site/campus",
            {repository.site("campus"): b"x" * (repository.FILE_LEN_MAX + 1)},
            NOW_S + 150,
            NOW_S + DAY_S,
        )
        place.realm.publish(NOW_S + 200)
        stick = place.stick()
    refused(unit, stick, "longer than it may be|not complete|cannot be used")


def test_a_look_at_a_stick_takes_no_more_than_a_look(tmp_path: Path) -> None:
    """Every two seconds, before anything is verified: a timestamp of a terabyte ends a unit."""
    (tmp_path / "metadata").mkdir()
    with (tmp_path / repository.TIMESTAMP).open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    tracemalloc.start()
    TrustFolder(tmp_path, "the stick").mark()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1024 * 1024


@pytest.mark.parametrize("lists", [[b"x"] * 65, [b"x" * (repository.FILE_LEN_MAX // 2)] * 3])
def test_what_one_issuer_signs_too_much_is_left_out_and_keeps_no_neighbour_from_news(
    place: TrustFolders, lists: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    unit = place.unit()
    taken(unit)
    named = {repository.status_list("city", str(n)): data for n, data in enumerate(lists)}
    place.realm.documents("status/city", named, NOW_S + 50, NOW_S + DAY_S)
    place.realm.rules(b'{"site":"campus","k":12}', NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    assert unit.refresh(place.stick())
    second = taken(unit)
    assert second.documents.keys() == {"issuers.json", "site/campus.json"}
    assert b"12" in second.documents["site/campus.json"]
    assert "status/city has" in caplog.text
    assert taken(place.unit()) == second


@pytest.mark.parametrize("signers", [["root-1"], ["root-1", "stranger"], ["root-1", "root-1"]])
def test_a_root_signed_by_one_of_two_is_refused(place: TrustFolders, signers: list[str]) -> None:
    unit = place.unit()
    place.realm.root_keys = [key("root-1"), key("root-4"), key("root-5")]
    place.realm.root(NOW_S + 50, [*map(key, signers), key("root-4")])
    place.realm.publish(NOW_S + 100)
    refused(unit, place.stick(), "not signed by those who may")


@pytest.mark.parametrize(
    ("role", "thieves"),
    [
        ("issuers", ["issuers-1"]),
        ("issuers", ["snapshot", "timestamp"]),
        ("issuers", ["site campus", "status city"]),
        ("issuers", ["root-1", "root-2", "targets-1", "targets-2"]),
        ("site/campus", ["site harbour"]),
        ("site/campus", ["issuers-1", "issuers-2"]),
        ("status/city", ["status police"]),
    ],
)
def test_a_role_signed_by_other_keys_is_refused(
    place: TrustFolders, role: str, thieves: list[str]
) -> None:
    unit = place.unit()
    document = {
        "issuers": repository.ISSUERS,
        "site/campus": repository.site("campus"),
        "status/city": repository.status_list("city", "0"),
    }[role]
    signers = [key(name) for name in thieves]
    place.realm.documents(role, {document: b"{}"}, NOW_S + 50, NOW_S + DAY_S, signers)
    with pytest.raises(repository.BrokenRepository, match="not signed by the keys of its role"):
        place.realm.publish(NOW_S + 100)  # nobody honest publishes it
    place.realm.publish_unseen(NOW_S + 100)  # a thief of the online keys does
    refused(unit, place.stick(), "not signed by those who may")


def test_a_role_signs_its_own_paths_alone(place: TrustFolders) -> None:
    """An issuer lists a document of everybody's in its own role: nobody asks it for that."""
    unit = place.unit()
    first = taken(unit)
    lists = {"issuers.json": b"{}", "site/campus.json": b"{}", "status/police/0.cwt": b"x"}
    place.realm.documents(
        "status/city", {**lists, "status/city/0.cwt": b"own"}, NOW_S + 50, NOW_S + DAY_S
    )
    place.realm.publish(NOW_S + 100)
    assert unit.refresh(place.stick())
    assert taken(unit).documents == {**first.documents, "status/city/0.cwt": b"own"}


@pytest.mark.slow
def test_every_altered_cut_or_missing_file_is_refused_or_not_needed(place: TrustFolders) -> None:
    """The outcome is the whole new publication or the old one, whatever is done to a file."""
    place.realm.status("city", b"a list", NOW_S + 50)
    place.realm.issuers(issuers(NOW_S), NOW_S + 50)
    place.realm.rules(b'{"k":1}', NOW_S + 50)
    place.realm.root(NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    sound = {p: p.read_bytes() for p in (place.folder / "card").rglob("*") if p.is_file()}
    assert sound
    stick = place.stick()
    whole = taken(_fresh(place, stick))
    unneeded = {"root.json", "1.root.json"}
    for name in sorted(repository.current(place.realm.files)):
        data = place.realm.files[name]
        path = place.folder / "stick" / name
        middle = len(data) // 2
        altered = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        for damage in (None, b"", data[:middle], altered, b"{}", b"[" * 9000):
            path.unlink() if damage is None else path.write_bytes(damage)
            unit = place.unit()
            unit.latest()
            try:
                assert unit.refresh(stick)
            except TrustError:
                assert unit.latest() is None
                assert path.name not in unneeded
            else:
                assert taken(unit).documents == whole.documents
            shutil.rmtree(place.folder / "state")
            path.write_bytes(data)


def _fresh(place: TrustFolders, stick: TrustFolder) -> TufTrust[Bundle]:
    unit = place.unit()
    unit.latest()
    assert unit.refresh(stick)
    shutil.rmtree(place.folder / "state")
    return unit


def test_roots_change_hands_while_a_unit_is_away_for_years(place: TrustFolders) -> None:
    """Every holder is replaced, one a year; a stick brings the unit the whole chain."""
    unit = place.unit()
    realm = place.realm
    for year in range(1, 5):
        at_s = NOW_S + year * 365 * DAY_S
        before = realm.root_keys
        realm.root_keys = [*before[1:], key(f"root-{3 + year}")]
        realm.targets_keys = [*realm.targets_keys[1:], key(f"targets-{3 + year}")]
        realm.root(at_s, [*before[1:], realm.root_keys[-1]])
    assert not set(realm.root_keys) & set(three("root"))
    realm.targets(at_s)
    realm.issuers(issuers(at_s), at_s)
    realm.rules(b"{}", at_s)
    realm.publish(at_s + 50)
    place.at.earliest_s = at_s + 60
    assert unit.refresh(place.stick())
    assert taken(unit).version == at_s + 50
    assert taken(place.unit()).version == at_s + 50
    shutil.rmtree(place.folder / "stick")
    stick = place.stick()
    (place.folder / "stick" / "metadata" / "3.root.json").unlink()  # a gap in the chain
    shutil.rmtree(place.folder / "state")
    refused(place.unit(), stick, "expired|not signed")


def test_what_is_not_understood_is_not_taken(place: TrustFolders) -> None:
    def accept(bundle: Bundle) -> Bundle:
        if b"no" in bundle.documents["site/campus.json"]:
            raise TrustError("the rules of campus are not understood")
        return bundle

    unit = place.unit(accept)
    first = taken(unit)
    place.realm.rules(b"no", NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    refused(unit, place.stick(), "the rules of campus are not understood")
    assert taken(place.unit(accept)) == first
    place.realm.issuers(trust.Issuers(1, 1, []), NOW_S + 150)
    place.realm.rules(b"yes", NOW_S + 150)
    place.realm.publish(NOW_S + 200)
    assert unit.refresh(place.stick())


def test_an_issuer_that_forgets_its_list_keeps_no_neighbour_from_news(place: TrustFolders) -> None:
    unit = place.unit()
    place.realm.status("city", b"old list", NOW_S + 10, until_s=NOW_S + 20)
    place.realm.publish(NOW_S + 100)
    place.at.earliest_s = NOW_S + 100
    assert unit.refresh(place.stick())
    assert taken(unit).documents["status/city/0.cwt"] == b"old list"  # its reader judges its age


def test_lists_of_issuers_that_sign_for_other_sites_are_not_fetched(place: TrustFolders) -> None:
    unit = place.unit()
    (city,) = issuers(NOW_S).issuers
    elsewhere = trust.IssuerEntry("harbour", [], 60, sites=["harbour"])
    place.realm.issuers(trust.Issuers(2, NOW_S, [city, elsewhere]), NOW_S + 50)
    place.realm.owners["status/harbour"] = key("status harbour")
    place.realm.targets(NOW_S + 50)
    place.realm.status("city", b"x", NOW_S + 50)
    place.realm.status("harbour", b"x", NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    asked = _Asked(place.stick())
    assert unit.refresh(asked)
    assert "status/city/0.cwt" in taken(unit).documents
    assert any("status%2Fcity" in file for file in asked.files)  # python-tuf quotes the slash
    assert not any("harbour" in file for file in asked.files)


class _Asked:
    """A source that notes what it is asked for."""

    name = "the stick"

    def __init__(self, source: sources.DocumentSource) -> None:
        self._source, self.files = source, list[str]()

    def mark(self) -> object:
        return self._source.mark()

    def open(self, file: str) -> object:  # type: ignore[override]
        self.files.append(file)
        return self._source.open(file)


def test_only_what_changed_is_fetched(place: TrustFolders) -> None:
    unit = place.unit()
    place.realm.rules(b"{}", NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    asked = _Asked(place.stick())
    assert unit.refresh(asked)
    stems = {file.split(".", 1)[1] for file in asked.files if file != repository.TIMESTAMP}
    assert stems == {"root.json", "snapshot.json", "site%2Fcampus.json", "campus.json"}


# The disk.


def test_a_torn_generation_falls_back_to_the_one_before(place: TrustFolders) -> None:
    unit = place.unit()
    first = taken(unit)
    place.realm.status("city", b"a list", NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    unit.refresh(place.stick())
    second = taken(unit)
    current = place.generations()[-1]
    for path in [p for p in current.rglob("*") if p.is_file() and p.name != "accepted"]:
        data, linked = path.read_bytes(), path.stat().st_nlink > 1
        if path.is_symlink() or linked:
            continue  # the generation before has the same file
        path.write_bytes(data[: len(data) // 2])
        healed = path.name == "1.root.json"  # by the card's
        assert taken(place.unit()) == (second if healed else first), path
        path.write_bytes(data)
    assert taken(place.unit()) == second
    (current / "accepted").write_text("torn")
    assert taken(place.unit()).accepted_s == 0.0


def test_after_a_torn_generation_the_next_one_is_taken_and_the_good_one_kept(
    place: TrustFolders,
) -> None:
    unit = place.unit()
    place.realm.publish(NOW_S + 100)
    unit.refresh(place.stick())
    good, torn = place.generations()
    (torn / "metadata" / "timestamp.json").write_bytes(b"")
    again = place.unit()
    assert taken(again).version == NOW_S
    assert again.refresh(place.stick())
    assert taken(again).version == NOW_S + 100
    assert [p.name for p in place.generations()] == [good.name, "00000003"]


def test_without_a_good_generation_the_card_begins_anew(place: TrustFolders) -> None:
    place.unit()
    (place.generations()[0] / "metadata" / "timestamp.json").write_bytes(b"")
    assert taken(place.unit()).version == NOW_S


@pytest.mark.parametrize("cut_at", range(0, 24, 3))
def test_a_power_cut_in_a_refresh_leaves_one_or_the_other(
    place: TrustFolders, cut_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = place.unit()
    first = taken(unit)
    place.realm.status("city", b"a list", NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    stick, left, synced = place.stick(), cut_at, os.fsync

    class PowerCut(BaseException):
        pass

    def fsync(handle: int) -> None:
        nonlocal left
        if left == 0:
            raise PowerCut
        left -= 1
        synced(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # nobody clears up after a cut
    cut = False
    try:
        unit.refresh(stick)
    except PowerCut:
        cut = True
    monkeypatch.undo()
    again = place.unit()
    found = taken(again)
    assert cut or found != first
    assert found == first or found.documents["status/city/0.cwt"] == b"a list"
    assert again.refresh(stick) == (found == first)
    assert not list((place.folder / "state" / "trust").glob(".next-*"))


def test_a_disk_that_takes_nothing_is_one_sentence(
    place: TrustFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = place.unit()
    place.realm.publish(NOW_S + 100)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device", "/state")

    monkeypatch.setattr(os, "fsync", full)
    refused(unit, place.stick(), "/state cannot be used .No space left on device")
    monkeypatch.undo()
    assert unit.refresh(place.stick())


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("root.json", "root.json cannot be read"),
        ("metadata/timestamp.json", "not complete .metadata/timestamp.json is missing"),
    ],
)
def test_a_card_without_trust_is_one_sentence(
    place: TrustFolders, lost: str, sentence: str
) -> None:
    (place.card / lost).unlink()
    with pytest.raises(TrustError, match=sentence):
        place.unit()
    with pytest.raises(TrustError, match=sentence):
        tuf_trust.load(place.card, place.folder / "state", "campus", lambda bundle: bundle)


def test_a_card_of_another_authority_is_refused(place: TrustFolders) -> None:
    foreign = Realm(NOW_S, issuers(NOW_S))
    foreign.root_keys = three("foreign")
    foreign.files.clear()
    foreign.root(NOW_S)
    (place.card / "root.json").write_bytes(foreign.files["metadata/1.root.json"])
    (place.card / "metadata" / "timestamp.json").unlink()
    with pytest.raises(TrustError, match="cannot be trusted"):
        place.unit()


def test_a_site_that_the_repository_does_not_know_is_refused(place: TrustFolders) -> None:
    with pytest.raises(TrustError, match=r"has no site/harbour\.json"):
        TufTrust(place.card, place.folder / "state", "harbour", lambda b: b, place.at)


# The broker's topics.


def fill(inbox: TrustInbox, files: dict[str, bytes]) -> None:
    for file, data in files.items():
        inbox.put(file, data)


def test_the_broker_brings_files_in_any_order(place: TrustFolders) -> None:
    unit = place.unit()
    place.realm.status("city", b"a list", NOW_S + 50)
    place.realm.root(NOW_S + 50)
    place.realm.publish(NOW_S + 100)
    files = {file: place.realm.files[file] for file in repository.current(place.realm.files)}
    fill(unit.inbox, {f: d for f, d in files.items() if "status" not in f})
    refused(unit, unit.inbox, "the broker: it is not complete")
    fill(unit.inbox, files)
    assert unit.refresh(unit.inbox)
    assert taken(unit).documents["status/city/0.cwt"] == b"a list"


def test_what_was_not_needed_before_is_asked_for_again(
    place: TrustFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The inbox is emptied when a generation is made; what was not needed then is gone from it."""
    monkeypatch.setattr(tuf_trust, "LOOK_S", 0.02)
    unit, realm = place.unit(), place.realm
    unit.latest()
    (city,) = issuers(NOW_S).issuers
    elsewhere = trust.IssuerEntry("harbour", [], 60, sites=["harbour"])
    realm.issuers(trust.Issuers(2, NOW_S, [city, elsewhere]), NOW_S + 50)
    realm.owners["status/harbour"] = key("status harbour")
    realm.targets(NOW_S + 50)
    realm.status("harbour", b"x", NOW_S + 50)
    realm.publish(NOW_S + 100)
    asked = []

    def again() -> None:
        asked.append(1)
        fill(unit.inbox, realm.files)

    unit.inbox.again = again
    fill(unit.inbox, realm.files)
    unit.start()
    assert "status/harbour/0.cwt" not in _soon(unit).documents
    _until(lambda: unit.inbox.mark() is None)
    before = dict(realm.files)
    here = trust.IssuerEntry("harbour", [], 60, sites=["harbour", "campus"])
    realm.issuers(trust.Issuers(3, NOW_S, [city, here]), NOW_S + 150)
    realm.publish(NOW_S + 200)
    fill(unit.inbox, {f: d for f, d in realm.files.items() if before.get(f) != d})
    assert "status/harbour/0.cwt" in _soon(unit).documents
    unit.close()
    assert asked == [1]


def test_asking_again_becomes_seldom() -> None:
    inbox, asked = TrustInbox(), list[float]()
    for now_s in range(100, 100_000, 10):
        inbox.again = lambda now_s=now_s: asked.append(now_s)  # type: ignore[misc]
        inbox.request_again(now_s)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert gaps[:3] == [60, 120, 240]
    assert max(gaps) == gaps[-1] == sources.AGAIN_S_MAX


def test_the_inbox_is_bounded_and_forgets_what_is_gone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inbox = TrustInbox()
    assert inbox.mark() is None
    inbox.put(repository.TIMESTAMP, b"t")
    before = inbox.mark()
    inbox.put("metadata/1.root.json", b"x" * (repository.FILE_LEN_MAX + 1))
    with pytest.raises(FileNotFoundError):
        inbox.open("metadata/1.root.json")
    monkeypatch.setattr(sources, "INBOX_LEN_MAX", 10)
    inbox.put("metadata/2.root.json", b"123456789")
    assert inbox.mark() != before
    inbox.put("metadata/3.root.json", b"1")
    with pytest.raises(FileNotFoundError):
        inbox.open("metadata/3.root.json")
    assert caplog.text.count("more trust documents than a unit takes") == 1
    inbox.put("metadata/2.root.json", b"")
    inbox.put("metadata/3.root.json", b"1")
    assert b"".join(inbox.open("metadata/3.root.json")) == b"1"
    inbox.clear(before)  # more has come since: nothing may be lost
    assert inbox.mark() is not None
    inbox.clear(inbox.mark())
    assert inbox.mark() is None


@pytest.mark.parametrize("torn", [None, b"another list"])
def test_a_role_whose_document_is_not_there_is_not_published(
    place: TrustFolders, torn: bytes | None
) -> None:
    """Every door would refuse the whole: one issuer's lost file would be everybody's."""
    place.realm.status("city", b"a list", NOW_S + 50)
    (file,) = (f for f in place.realm.files if f.startswith("targets/status/"))
    del place.realm.files[file]
    if torn is not None:
        place.realm.files[file] = torn
    with pytest.raises(
        repository.BrokenRepository, match=r"names status/city/0\.cwt, which is not there"
    ):
        place.realm.publish(NOW_S + 100)


def test_topics_name_files_and_nothing_else() -> None:
    file = repository.metadata_file("status/city", 7)
    assert file == "metadata/7.status%2Fcity.json"
    assert repository.file_of(repository.topic(file)) == file
    for topic in ("menshen/1/trust/x", "menshen/1/trust/metadata/../x", "menshen/1/a/b/state"):
        assert repository.file_of(topic) is None
    assert repository.file_of("menshen/1/trust/targets//x") is None


# The thread.


def test_the_thread_looks_by_itself_and_says_each_thing_once(
    place: TrustFolders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tuf_trust, "LOOK_S", 0.02)
    caplog.set_level(logging.INFO)
    stick = place.folder / "stick"
    unit = TufTrust(place.card, place.folder / "state", "campus", lambda b: b, place.at, stick)
    taken(unit)
    unit.start()
    old = place.folder / "old"
    place.realm.publish(NOW_S + 50)
    place.realm.write(old)
    place.realm.publish(NOW_S + 100)
    fill(unit.inbox, place.realm.files)
    assert _soon(unit).version == NOW_S + 100
    old.rename(stick)
    _until(lambda: "the stick" in caplog.text)
    shutil.rmtree(stick)
    time.sleep(0.1)
    place.realm.publish(NOW_S + 200)
    place.stick()
    assert _soon(unit).version == NOW_S + 200
    unit.close()
    warnings = [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]
    assert len(warnings) == 1, warnings  # the card is older by now, and nobody stands beside it
    assert "older" in warnings[0]
    assert "stay as they are" in warnings[0]
    assert "Traceback" not in caplog.text


def _soon(unit: TufTrust[Bundle]) -> Bundle:
    found: list[Bundle] = []
    _until(lambda: bool(found or ((new := unit.latest()) and found.append(new)) or found))
    return found[0]


def _until(there: Callable[[], bool], seconds: float = 10) -> None:
    end_s = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end_s
        time.sleep(0.01)
