"""What `menshen-provision` makes, is believed by those it is for, and never overwrites."""

import os
import re
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import create_connection, create_server

import msgspec
import pytest

from edge.adapters.trust import sources, tuf_trust
from edge.clock import time_interval
from edge.judge.trust_documents import Bundle
from edge.wire import keys, report, rules, trust
from edge.wire import repository as signing
from edge.wire import unit as wire
from edge.wire.unit import CameraConfig
from provisioning import __main__ as command
from provisioning import authority, batch, files, issuers, repository, sites, units
from provisioning import estate as places
from provisioning import rules as examples
from provisioning.files import ProvisioningError, TrackedFolder
from provisioning.units import UnitOrder
from tests import ROOT


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """Authority, issuers `hospital` (for campus) and `police`, site `campus`; published."""
    root = tmp_path / "estate"
    authority.create_authority(root)
    issuers.create_issuer(root, "hospital", sites=["campus"])
    issuers.create_issuer(root, "police", days=10, longest_life_s=3600)
    sites.create_site(root, "campus")
    repository.publish(root)
    return root


def run(*words: str | Path, code: int = 0) -> str:
    """The command in a process of its own; its output, after its exit code was found right."""
    done = subprocess.run(
        [sys.executable, "-m", "provisioning", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_card_comes_back_through_the_units_own_reader(estate: Path) -> None:
    order = UnitOrder(
        name="north-1",
        groups=["campus/north"],
        camera=CameraConfig(kind="pictures", source="frames", frames_per_s=7.5),
        wired=["turn", "tamper"],
        broker_host="127.0.0.1",
        broker_port=18883,
    )
    planned = units.plan(estate, sites.read(estate, "campus"), order)
    card = units.create_card(estate, "campus", order).path
    found = wire.read(card / "unit.toml")
    assert planned.broker is not None
    replace = msgspec.structs.replace
    assert found == replace(
        planned,
        trust=str(card / "trust"),
        state=str(card / "state"),
        camera=replace(planned.camera, source=str(card / "frames")),
        broker=replace(
            planned.broker,
            ca=str(card / "ca.pem"),
            certificate=str(card / "unit.pem"),
            key=str(card / "unit.key"),
        ),
    )
    assert found.groups == ["campus/north"]
    assert found.door.pins.tamper is not None
    assert found.door.pins.fire is None


def test_what_is_left_out_takes_its_usual_value(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    found = wire.read(card / "unit.toml")
    assert found.groups == ["campus", "campus/north-1"]
    assert found.counts == wire.CountsConfig()
    assert found.camera == CameraConfig()
    assert found.broker is not None
    assert (found.broker.host, found.broker.port) == ("localhost", 8883)


def believed(card: Path) -> Bundle:
    """What the unit of a card would begin with, through its own client."""
    found = wire.read(card / "unit.toml")
    return tuf_trust.load(Path(found.trust), Path(found.state), found.site, lambda bundle: bundle)


def test_a_unit_believes_the_issuers_of_its_site(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    known = trust.Trust(trust.document(believed(card).documents["issuers.json"]))
    key = files.signing_key(estate / "issuers" / "hospital" / "issuer.key")
    (trusted,) = known.keys(key.kid)
    assert trusted.terms.issuer == "hospital"
    assert trusted.public == key.public
    assert trusted.terms.sites == {"campus"}
    assert trusted.terms.until_s - trusted.terms.from_s == 35 * 86400
    assert trusted.terms.from_s <= time.time() < trusted.terms.until_s
    police = files.signing_key(estate / "issuers" / "police" / "issuer.key")
    assert known.keys(police.kid)[0].terms.sites == frozenset()


def test_a_unit_believes_the_collectors_acknowledgement(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    found = wire.read(card / "unit.toml")
    assert found.broker is not None
    ack = report.Ack(
        site="campus", unit="north-1", installation="0" * 16, first=1, last=2, digest="d"
    )
    collector = files.signing_key(estate / "server" / "collector-sign.key")
    signed = report.sign_ack(ack, collector)
    assert report.verify_ack(signed, keys.public_from_text(found.broker.collector_key)) == ack


def test_broker_and_unit_shake_hands_and_a_stranger_does_not(estate: Path, tmp_path: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    assert _handshake(estate, card) == "campus/north-1"
    stranger = tmp_path / "stranger"
    authority.create_authority(stranger)
    issuers.create_issuer(stranger, "hospital")
    sites.create_site(stranger, "campus")
    repository.publish(stranger)
    other = units.create_card(stranger, "campus", UnitOrder(name="north-1")).path
    (other / "ca.pem").write_bytes((card / "ca.pem").read_bytes())  # it accepts our broker
    with pytest.raises(OSError, match=r"(?i)alert|reset|closed|eof"):
        _handshake(estate, other)


def test_a_units_certificate_is_no_brokers(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate|purpose"):
        _handshake(estate, card, broker=card / "unit")


def _handshake(estate: Path, card: Path, broker: Path | None = None) -> str:
    """Mutual TLS over loopback; the name by which the broker's side knows the unit."""
    stem = broker or estate / "server" / "broker"
    theirs = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=str(estate / "authority" / "ca.pem")
    )
    theirs.verify_mode = ssl.CERT_REQUIRED
    theirs.verify_flags |= ssl.VERIFY_X509_STRICT
    theirs.load_cert_chain(f"{stem}.pem", f"{stem}.key")
    ours = ssl.create_default_context(cafile=str(card / "ca.pem"))
    ours.verify_flags |= ssl.VERIFY_X509_STRICT
    ours.load_cert_chain(card / "unit.pem", card / "unit.key")
    known: list[str] = []

    with create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            try:
                peer, _ = listener.accept()
                peer.settimeout(20)
                with peer, theirs.wrap_socket(peer, server_side=True) as stream:
                    subject = stream.getpeercert()
                    assert subject is not None
                    known.append(dict(pair[0] for pair in subject["subject"])["commonName"])
                    stream.sendall(b"!")
            except OSError:
                pass  # the client's side tells

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                create_connection(listener.getsockname(), 20) as raw,
                ours.wrap_socket(raw, server_hostname="localhost") as stream,
            ):
                if stream.recv(1) != b"!":
                    raise ConnectionResetError("closed by the broker")
        finally:
            thread.join(20)
    return known[0]


def test_a_card_opens_no_other_door(estate: Path) -> None:
    first = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    units.create_card(estate, "campus", UnitOrder(name="north-2"))
    on_card = [p.read_bytes() for p in first.rglob("*") if p.is_file()]
    secret = [p for p in estate.rglob("*.key") if p.parent != first]
    assert len(secret) == 22
    for path in secret:
        body = path.read_bytes().splitlines()[1]
        assert not any(body in data for data in on_card), path
    assert sorted(p.name for p in first.iterdir()) == [
        "ca.pem",
        "config.txt.add",
        "trust",
        "unit.key",
        "unit.pem",
        "unit.toml",
    ]


def test_private_keys_are_for_their_owner_alone(estate: Path) -> None:
    units.create_card(estate, "campus", UnitOrder(name="north-1"))
    private = list(estate.rglob("*.key"))
    assert len(private) == 22
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path.parent


STEPS: dict[str, Callable[[Path], object]] = {
    "authority": lambda e: authority.create_authority(e, ["localhost", "127.0.0.1"]),
    "issuer": lambda e: issuers.create_issuer(e, "police", days=10, longest_life_s=3600),
    "issuer for one site": lambda e: issuers.create_issuer(e, "hospital", sites=["campus"]),
    "site": lambda e: sites.create_site(e, "campus"),
    "publish": repository.publish,
    "root": repository.rotate,
    "unit": lambda e: units.create_card(e, "campus", UnitOrder(name="north-1")),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_repeated_step_changes_nothing(estate: Path, step: str) -> None:
    STEPS["unit"](estate)
    before = contents(estate)
    done = STEPS[step](estate)
    assert contents(estate) == before
    for folder in done if isinstance(done, list) else [done]:
        assert isinstance(folder, TrackedFolder)
        assert folder.kept_names
        assert not folder.created_names
        assert not folder.renewed_names


DIFFERING: dict[str, tuple[Callable[[Path], object], str]] = {
    "other hosts": (
        lambda e: authority.create_authority(e, ["door.example"]),
        "is for localhost, 127",
    ),
    "longer life": (
        lambda e: issuers.create_issuer(e, "police", longest_life_s=7200),
        "3600 s, not 7200",
    ),
    "longer window": (lambda e: issuers.create_issuer(e, "police", days=20), "for 10 days, not 20"),
    "later window": (
        lambda e: issuers.create_issuer(e, "police", from_s=2_000_000_000),
        "that begins at",
    ),
    "other sites": (
        lambda e: issuers.create_issuer(e, "hospital", sites=["home"]),
        "campus, not home",
    ),
    "fewer colours": (
        lambda e: issuers.create_issuer(e, "police", colours=["red"]),
        "red, not red",
    ),
    "a demo": (lambda e: sites.create_site(e, "campus", demo=True), "other settings"),
    "other groups": (
        lambda e: units.create_card(
            e, "campus", UnitOrder(name="north-1", groups=["campus/south"])
        ),
        "another groups",
    ),
    "no broker": (
        lambda e: units.create_card(e, "campus", UnitOrder(name="north-1", broker=False)),
        "another broker",
    ),
}


@pytest.mark.parametrize("case", DIFFERING)
def test_a_step_that_would_differ_is_refused_and_keeps_all(estate: Path, case: str) -> None:
    STEPS["unit"](estate)
    before = contents(estate)
    step, sentence = DIFFERING[case]
    with pytest.raises(ProvisioningError, match=sentence):
        step(estate)
    assert contents(estate) == before


ORDER = [
    *(("authority", f"authority/{n}") for n in ("ca.key", "ca.pem")),
    *(("authority", f"server/{n}") for n in ("broker.key", "broker.pem", "collector.key")),
    *(("issuer", f"issuers/police/{n}") for n in ("issuer.key", "issuer.pub", "issuer.toml")),
    *(("issuer", f"issuers/police/{n}") for n in ("status.key", "status.pub")),
    *(("site", f"sites/campus/{n}") for n in ("site.key", "site.pub", "site.toml", "rules.json")),
    *(("authority", f"authority/holders/3/{kind}.key") for kind in ("root", "targets", "issuers")),
    *(("authority", f"server/{n}.key") for n in ("snapshot", "timestamp")),
    ("authority", "authority/roots/1.root.json"),
    *(("publish", f"repository/metadata/{n}") for n in ("1.root.json", "timestamp.json")),
    *(
        ("unit", f"sites/campus/units/north-1/{n}")
        for n in ("unit.key", "unit.pem", "ca.pem", "trust/metadata/timestamp.json", "unit.toml")
    ),
]


@pytest.mark.parametrize(("step", "last"), ORDER)
def test_a_step_cut_off_anywhere_is_finished_by_repeating_it(
    estate: Path, monkeypatch: pytest.MonkeyPatch, step: str, last: str
) -> None:
    """Cut the power (the process's view of it) right after `last` came to its place."""
    root = estate.parent / "again"
    steps = [STEPS[name] for name in ("authority", "issuer", "site", "publish", "unit")]
    issuers.create_issuer(root, "hospital", sites=["campus"])

    class PowerGone(BaseException):
        pass

    for make in steps:
        if make is not STEPS[step]:
            make(root)
            continue
        synced = os.fsync

        def fsync(handle: int, synced: Callable[[int], None] = synced) -> None:
            synced(handle)
            if (root / last).exists():
                raise PowerGone

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(PowerGone):
                make(root)
        half = contents(root)
        make(root)
        kept = {name: data for name, data in half.items() if "repository/" not in name}
        assert kept.items() <= contents(root).items()
    assert _unsigned(root) >= _unsigned(estate)
    card = root / "sites/campus/units/north-1"
    assert wire.read(card / "unit.toml").name == "north-1"
    assert believed(card).documents.keys() == {"issuers.json", "site/campus.json"}
    assert not list(root.rglob(".*"))


def _unsigned(root: Path) -> set[str]:
    """The names that hold no version or hash: those of the others differ from run to run."""
    return {name for name in contents(root) if not re.search(r"/([0-9a-f]{64}|[0-9]{10})\.", name)}


LOST = [
    ("authority", "authority/ca.key", "ca.key is missing"),
    ("authority", "server/collector-sign.key", "collector-sign.key is missing"),
    ("authority", "server/time.key", "time.key is missing"),
    ("issuer", "issuers/police/issuer.key", "issuer.key is missing"),
    ("site", "sites/campus/site.key", "site.key is missing"),
    ("unit", "sites/campus/units/north-1/unit.key", "unit.key is missing"),
    ("unit", "authority/ca.pem", "has no ca.pem"),
    ("unit", "server/broker.pem", "no broker certificate"),
    ("unit", "repository/metadata/timestamp.json", "no metadata/timestamp.json"),
    ("unit", "repository/metadata/1.root.json", "is not published"),
    ("publish", "sites/campus/rules.json", "has no rules.json"),
    ("publish", "server/timestamp.key", "the timestamp key that the newest root names is missing"),
    ("publish", "authority/roots/1.root.json", "has no root of trust"),
    ("publish", "authority/holders/2/root.pub", "a holder's folder is missing"),
]


@pytest.mark.parametrize(("step", "lost", "sentence"), LOST)
def test_a_lost_key_is_told_and_never_made_anew(
    estate: Path, step: str, lost: str, sentence: str
) -> None:
    STEPS["unit"](estate)
    (estate / lost).unlink()
    before = contents(estate)
    with pytest.raises(ProvisioningError, match=sentence):
        STEPS[step](estate)
    assert contents(estate) == before


TORN = [
    ("authority", "authority/ca.pem", "not a certificate"),
    ("authority", "authority/ca.key", "not an EC private key"),
    ("issuer", "issuers/police/issuer.key", "not an Ed25519 private key"),
    ("issuer", "issuers/police/issuer.toml", "not a valid issuer configuration"),
    ("site", "sites/campus/site.toml", "not a valid site configuration"),
    ("publish", "sites/campus/rules.json", "rules.json: "),
    ("publish", "sites/campus/site.pub", "not an Ed25519 public key"),
    ("publish", "authority/roots/1.root.json", "is damaged or altered"),
    ("publish", "repository/metadata/timestamp.json", "is no trust metadata"),
    ("unit", "sites/campus/units/north-1/unit.toml", "not a valid unit configuration"),
]


@pytest.mark.parametrize(("step", "torn", "sentence"), TORN)
def test_a_torn_file_is_told_and_kept(estate: Path, step: str, torn: str, sentence: str) -> None:
    STEPS["unit"](estate)
    path = estate / torn
    path.write_bytes(path.read_bytes()[:40] + b"\xff")
    before = contents(estate)
    with pytest.raises(ProvisioningError, match=sentence):
        STEPS[step](estate)
    assert contents(estate) == before


def test_another_authoritys_certificate_is_told(estate: Path, tmp_path: Path) -> None:
    STEPS["unit"](estate)
    authority.create_authority(tmp_path / "other")
    for name in ("ca.pem", "ca.key"):
        (estate / "authority" / name).write_bytes(
            (tmp_path / "other" / "authority" / name).read_bytes()
        )
    with pytest.raises(ProvisioningError, match="not from this estate's authority"):
        STEPS["unit"](estate)


def test_a_publication_reaches_every_card_and_the_stick(estate: Path) -> None:
    cards = units.create_cards(estate, "campus", [UnitOrder(name=f"north-{n}") for n in range(3)])

    def on_cards() -> set[tuple[str, ...]]:
        documents = [believed(card.path).documents["issuers.json"] for card in cards]
        return {tuple(i.name for i in trust.document(d).issuers) for d in documents}

    before = believed(cards[0].path)
    assert on_cards() == {("hospital", "police")}
    issuers.withdraw(estate, "hospital")
    assert on_cards() == {("hospital", "police")}
    folder, *renewed = repository.publish(estate)
    assert on_cards() == {("police",)}
    assert all("trust" in card.renewed_names for card in renewed)
    assert believed(cards[0].path).version > before.version
    unit = tuf_trust.TufTrust(
        cards[0].path / "trust", estate / "s", "campus", lambda b: b, lambda: _now(time.time())
    )
    assert unit.latest()
    repository.refresh(estate)
    assert unit.refresh(sources.TrustFolder(folder.path, "the stick"))


def _now(at_s: float) -> time_interval.Now:
    return time_interval.Now(time_interval.interval(at_s), 0.0)


def test_new_rules_need_no_holder(estate: Path, tmp_path: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    for path in (estate / "authority" / "holders").rglob("*.key"):
        path.unlink()  # at home with their people
    changed = tmp_path / "rules.json"
    changed.write_text('{"opens": ["green", "yellow"], "zone": "Asia/Shanghai"}')
    sites.change_rules(estate, "campus", changed)
    signed = repository.publish(estate)[0]
    metadata = [
        n for n in (*signed.created_names, *signed.renewed_names) if n.startswith("metadata/")
    ]
    assert sorted(re.sub(r"\d{10}\.", "", n) for n in metadata) == [
        "metadata/site%2Fcampus.json",
        "metadata/snapshot.json",
        "metadata/timestamp.json",
    ]
    said = rules.read(believed(card).documents["site/campus.json"], "campus")
    assert said.opens == ("green", "yellow")
    assert said.signed_s >= time.time() - 60
    issuers.create_issuer(estate, "clinic")
    with pytest.raises(ProvisioningError, match="2 holders must sign this"):
        repository.publish(estate)
    changed.write_text('{"opens": ["blue"]}')
    with pytest.raises(ProvisioningError, match="blue"):
        sites.change_rules(estate, "campus", changed)
    changed.write_text('{"site": "home"}')
    with pytest.raises(ProvisioningError, match="'home'"):
        sites.change_rules(estate, "campus", changed)


def test_two_holders_are_enough_and_one_is_not(estate: Path) -> None:
    issuers.create_issuer(estate, "clinic")
    away = list((estate / "authority/holders/1").glob("*.key"))
    for path in away:
        path.rename(path.with_suffix(".away"))
    repository.publish(estate)
    issuers.withdraw(estate, "clinic")
    for path in (estate / "authority/holders/3").glob("*.key"):
        path.unlink()
    before = contents(estate)
    with pytest.raises(ProvisioningError, match=r"targets\.key of two of the holders 1, 2, 3"):
        repository.publish(estate)
    assert contents(estate) == before


def test_a_holder_hands_over_and_the_online_keys_are_replaced(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    unit = tuf_trust.TufTrust(
        card / "trust", estate / "s", "campus", lambda b: b, lambda: _now(time.time())
    )
    repository.rotate(estate, retire=1)
    repository.rotate(estate, retire=2, online=True)
    assert len(list((estate / "authority" / "roots").iterdir())) == 3
    assert {p.name for p in (estate / "authority" / "holders").iterdir()} == set("12345")
    with pytest.raises(ProvisioningError, match="they are 3, 4, 5"):
        repository.rotate(estate, retire=1)
    for number in "12":
        shutil.rmtree(estate / "authority" / "holders" / number)
    (estate / "server" / "snapshot.key").unlink()
    folder = repository.publish(estate)[0]
    bundle = unit.latest()
    assert unit.refresh(sources.TrustFolder(folder.path, "the stick"))
    newer = unit.latest()
    assert bundle is not None
    assert newer is not None
    assert newer.documents["site/campus.json"] == bundle.documents["site/campus.json"]
    holders = [estate / "authority" / "holders" / n / "issuers.pub" for n in "345"]
    assert set(newer.keys["issuers.json"]) == {files.public_key(p) for p in holders}


def test_what_runs_out_is_signed_again(estate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stems(days: int) -> set[str]:
        later_s = int(time.time()) + days * 86400
        with monkeypatch.context() as patch:
            patch.setattr(places, "now_s", lambda: later_s)
            folder = repository.publish(estate)[0]
        changed = [
            n for n in (*folder.created_names, *folder.renewed_names) if n.startswith("metadata/")
        ]
        return {re.sub(r"\d{10}\.", "", n.removeprefix("metadata/")) for n in changed}

    assert stems(10) == set()
    assert stems(61) == {"issuers.json", "snapshot.json", "timestamp.json"}
    with pytest.raises(ProvisioningError, match="the newest root expires soon"):
        stems(600)


def test_a_next_key_follows_the_last(estate: Path) -> None:
    first = issuers.read(estate, "police").keys[0]
    folder = issuers.create_next_key(estate, "police", days=20)
    assert folder.created_names == ["issuer-2.key", "issuer-2.pub"]
    second = issuers.read(estate, "police").keys[1]
    assert (second.from_s, second.until_s) == (first.until_s, first.until_s + 20 * 86400)
    with pytest.raises(ProvisioningError, match="has its next key already: issuer-2 begins"):
        issuers.create_next_key(estate, "police")
    repository.publish(estate)
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    known = trust.Trust(trust.document(believed(card).documents["issuers.json"]))
    public = files.public_key(estate / "issuers/police/issuer-2.pub")
    assert known.keys(keys.kid(public))[0].terms.from_s == first.until_s
    with pytest.raises(ProvisioningError, match="1 to 35 days, not for 36; a key that is kept"):
        issuers.create_issuer(estate, "archive", days=36)
    issuers.create_issuer(estate, "archive", days=300, offline=True)
    repository.publish(estate)


MAPPING = ROOT / "provisioning" / "examples" / "eu-mapping.json"


def test_a_format_that_no_door_recognises_is_refused_and_nothing_is_made(
    estate: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "keys.json"
    listed.write_text('{"keys": []}')
    with pytest.raises(ProvisioningError, match=r"the format 'hcl'; choose .* hc1"):
        issuers.recognise_issuer(estate, "islands", "hcl", MAPPING, listed)
    assert not (estate / "issuers" / "islands").exists()


def test_a_foreign_issuer_and_its_keys(estate: Path, tmp_path: Path) -> None:
    terms, listed = tmp_path / "terms.json", tmp_path / "keys.json"
    terms.write_bytes(MAPPING.read_bytes())
    listed.write_text('{"keys": []}')
    for _ in range(2):
        issuers.recognise_issuer(estate, "eu", "hc1", terms, listed)
    repository.publish(estate)
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    bundle = believed(card)
    assert bundle.documents["keys/eu.json"] == b'{"keys":[]}'
    public = files.public_key(estate / "issuers/eu/keys.pub")
    assert bundle.keys["keys/eu.json"] == (public,)
    (eu,) = (i for i in trust.document(bundle.documents["issuers.json"]).issuers if i.name == "eu")
    assert (eu.format, eu.keys) == ("hc1", [])
    assert msgspec.json.decode(eu.terms) == msgspec.json.decode(MAPPING.read_bytes())
    key = {"kid": "AAAAAAAAAAA=", "algorithm": "ES256", "public": "AAAA", "from_s": 0, "until_s": 9}
    listed.write_bytes(msgspec.json.encode({"keys": [key]}))
    with pytest.raises(ProvisioningError, match="key 1 of the list of 'eu' is not a public key"):
        issuers.recognise_issuer(estate, "eu", "hc1", terms, listed)
    listed.write_text("torn")
    with pytest.raises(ProvisioningError, match=r"keys\.json is not valid"):
        issuers.recognise_issuer(estate, "eu", "hc1", terms, listed)
    with pytest.raises(ProvisioningError, match="is foreign"):
        issuers.create_next_key(estate, "eu")


def test_a_lost_repository_rises_all_the_same(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    before = believed(card)
    shutil.rmtree(estate / "repository")
    with pytest.raises(ProvisioningError, match="is not published"):
        units.create_card(estate, "campus", UnitOrder(name="north-2"))
    repository.publish(estate)
    assert believed(card).version >= before.version


def test_a_card_left_behind_is_brought_up_to_date(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    old = contents(card)
    issuers.withdraw(estate, "police")
    repository.publish(estate)
    new = contents(card)
    shutil.rmtree(card / "trust")
    for name, data in old.items():
        (card / name).parent.mkdir(parents=True, exist_ok=True)
        (card / name).write_bytes(data)
    assert units.create_card(estate, "campus", UnitOrder(name="north-1")).renewed_names == ["trust"]
    assert contents(card) == new


def test_a_card_holds_what_its_site_needs_and_no_more(estate: Path) -> None:
    issuers.create_issuer(estate, "harbour-city", sites=["harbour"])
    sites.create_site(estate, "harbour")
    repository.publish(estate)
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    assert not [name for name in contents(card) if "harbour" in name]
    assert believed(card).documents.keys() == {"issuers.json", "site/campus.json"}
    assert sum(map(len, contents(card / "trust").values())) < 20_000


@pytest.mark.parametrize("like", examples.example_names())
def test_a_site_may_begin_like_an_example(estate: Path, like: str) -> None:
    sites.create_site(estate, "mine", like=like)
    repository.publish(estate)
    card = units.create_card(estate, "mine", UnitOrder(name="gate")).path
    said = rules.read(believed(card).documents["site/mine.json"], "mine")
    assert said.grants == examples.template(like, "mine").grants


def test_a_demo_site_may_be_quick_and_k_stays(estate: Path) -> None:
    sites.create_site(estate, "fair", demo=True)
    repository.publish(estate)
    card = units.create_card(estate, "fair", UnitOrder(name="gate", broker=False)).path
    assert wire.read(card / "unit.toml").counts.report_s < 60
    counts = rules.read(believed(card).documents["site/fair.json"], "fair").counts
    assert counts.demo
    assert counts.k == 10
    assert counts.period_s < 900
    with pytest.raises(ProvisioningError, match="for a demo site only"):
        sites.create_site(estate, "home", period_s=60)


def test_a_unit_without_a_broker_has_no_certificate(estate: Path) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="door", broker=False))
    assert sorted(card.created_names) == ["config.txt.add", "trust", "unit.toml"]
    assert wire.read(card.path / "unit.toml").broker is None


WRONG_ORDERS = {
    "bad name": (UnitOrder(name="North 1"), "cannot be the name of this unit"),
    "a way out": (UnitOrder(name="../x"), "cannot be the name of this unit"),
    "bad group": (UnitOrder(name="a", groups=["North!"]), "is not a valid door group"),
    "too many groups": (UnitOrder(name="a", groups=[f"g{n}" for n in range(17)]), "groups"),
    "a folder left out": (
        UnitOrder(name="a", camera=CameraConfig(kind="pictures")),
        "needs camera.source",
    ),
    "nothing to wire": (UnitOrder(name="a", wired=["lift"]), "'lift' cannot be wired"),
    "another broker": (UnitOrder(name="a", broker_host="b.example"), "is for localhost"),
    "no port": (UnitOrder(name="a", broker_port=0), "port"),
}


@pytest.mark.parametrize("case", WRONG_ORDERS)
def test_a_wrong_order_is_told_and_nothing_made(estate: Path, case: str) -> None:
    before = contents(estate)
    order, sentence = WRONG_ORDERS[case]
    with pytest.raises(ProvisioningError, match=sentence):
        units.create_cards(estate, "campus", [UnitOrder(name="good"), order])
    assert contents(estate) == before


def test_the_longest_names_fit_a_certificate_and_a_group(estate: Path) -> None:
    site, name = "s" * 31, "u" * 31
    sites.create_site(estate, site)
    repository.publish(estate)
    card = units.create_card(estate, site, UnitOrder(name=name)).path
    assert wire.read(card / "unit.toml").groups == [site, f"{site}/{name}"]
    with pytest.raises(ProvisioningError, match="use 1 to 31 small letters"):
        units.create_card(estate, site, UnitOrder(name="u" * 32))


@pytest.mark.system
def test_fifty_units_from_a_table(estate: Path, tmp_path: Path) -> None:
    table = tmp_path / "units.csv"
    rows = [f"door-{n},campus campus/{n % 3},turn contact" for n in range(50)]
    table.write_text("\ufeffname,groups,wired\r\n" + "\r\n".join(rows) + "\r\n", "utf-8")
    told = run("units", estate, "campus", table)
    assert "Made 50 cards" in told
    assert len(list((estate / "sites/campus/units").iterdir())) == 50
    assert wire.read(estate / "sites/campus/units/door-7/unit.toml").groups == [
        "campus",
        "campus/1",
    ]
    table.write_text("name,groups,wired\n" + "\n".join([*rows, "door-50,,"]) + "\n")
    again = run("units", estate, "campus", table)
    assert "Made 1 card " in again
    assert "kept: 50 cards" in again


WRONG_TABLES = {
    "bad name": ("name\ngood\nNot Good\n", "line 3: 'Not Good' cannot be the name of this unit"),
    "twice": ("name\na\nb\na\n", "line 4: unit 'a' is already on line 2"),
    "unknown column": ("name,colour\na,red\n", "line 1: 'colour' is not a column"),
    "no name": ("groups\ncampus\n", "line 1: it needs one column `name`"),
    "semicolons": ("name;groups\na;b\n", "line 1: 'name;groups' is not a column"),
    "field left out": ("name,groups\na\n", "line 2: it does not have as many fields"),
    "field too many": ("name,groups\na,b,c\n", "line 2: it does not have as many fields"),
    "open quote": ('name\n"a\n', "line 2: unexpected end of data"),
    "camera": ("name,camera_kind\na,lens\n", "line 2: 'lens' is not a kind of camera"),
    "port": ("name,broker_port\na,99999\n", "line 2: broker_port '99999'"),
    "broker": ("name,broker\na,perhaps\n", "line 2: broker is 'perhaps'"),
    "empty": ("", "line 1: it needs one column `name`"),
    "no units": ("name\n", "has 0 units"),
    "group": ("name,groups\na,campus\nb,No!\n", "line 3: 'No!' is not a valid door group"),
    "wired": ("name,wired\na,lift\n", "line 2: 'lift' cannot be wired"),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
def test_a_wrong_table_is_told_by_its_line_and_nothing_made(
    estate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    text, sentence = WRONG_TABLES[case]
    table = tmp_path / "units.csv"
    table.write_text(text)
    before = contents(estate)
    assert _main("units", estate, "campus", table) == 2
    assert sentence in capsys.readouterr().err
    assert contents(estate) == before


def test_a_table_that_is_no_text_or_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProvisioningError, match="cannot be read"):
        batch.read(tmp_path / "none.csv")
    (tmp_path / "x.csv").write_bytes(b"name\n\xff\xfe\n")
    with pytest.raises(ProvisioningError, match="not text in UTF-8"):
        batch.read(tmp_path / "x.csv")


WRONG_COMMANDS = {
    "unknown issuer": (["withdraw", "ESTATE", "clinic"], "has no issuer 'clinic'"),
    "no such colour": (["issuer", "ESTATE", "clinic", "--colour", "blue"], "'blue'"),
    "no such example": (["site", "ESTATE", "home", "--like", "castle"], "no example site"),
    "no rules": (["site-rules", "ESTATE", "campus", "ESTATE/none"], "none cannot be read"),
    "no holder": (["root", "ESTATE", "--retire", "7"], "7 is not the number of a present holder"),
    "nothing begun": (["publish", "ESTATE/none"], "has no root of trust"),
    "unpublished": (["refresh", "ESTATE/none"], "nothing is published yet"),
    "unknown site": (["unit", "ESTATE", "home", "a"], "has no site 'home'"),
    "bad issuer": (["issuer", "ESTATE", "Clinic"], "cannot be the name of this issuer"),
    "window": (["issuer", "ESTATE", "clinic", "--days", "36"], "1 to 35 days, not for 36"),
    "host": (["authority", "ESTATE/x", "--host", "a b"], "not a host name"),
    "camera": (["unit", "ESTATE", "campus", "a", "--camera-kind", "lens"], "not a kind of camera"),
    "no estate": (["show", "ESTATE/none"], "is not a folder"),
    "under a file": (
        ["authority", "ESTATE/authority/ca.pem/x"],
        "is a file, not a folder",
    ),
    "unwritable": (["issuer", "/proc/menshen", "clinic"], "/proc/menshen: No such file"),
}


@pytest.mark.parametrize("case", WRONG_COMMANDS)
def test_a_wrong_command_gets_one_sentence_and_code_2(
    estate: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    words, sentence = WRONG_COMMANDS[case]
    before = contents(estate)
    assert _main(*(w.replace("ESTATE", str(estate)) for w in words)) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
    assert contents(estate) == before


def _main(*words: str | Path) -> int:
    """The command in this process; its exit code."""
    before = sys.argv
    sys.argv = ["menshen-provision", *map(str, words)]
    try:
        command.main()
    except SystemExit as end:
        return int(end.code or 0)
    finally:
        sys.argv = before
    return 0


def test_files_that_windows_saved_are_read(estate: Path, tmp_path: Path) -> None:
    """With a byte order mark and its line ends."""
    saved = tmp_path / "saved"
    for text in ('{"unlok": 1}', '{"holder": {"required": true}}'):
        saved.write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n")
        assert _main("site-rules", estate, "campus", saved) == (2 if "unlok" in text else 0)
    assert sites.rules(estate, "campus").holder.required
    saved.write_bytes(b"\xef\xbb\xbfname,wired\r\nnorth-9,turn\r\n")
    assert [order.name for order in batch.read(saved)] == ["north-9"]
    mapping, listed = tmp_path / "mapping.json", tmp_path / "keys.json"
    mapping.write_bytes(b"\xef\xbb\xbf" + MAPPING.read_bytes().replace(b"\n", b"\r\n"))
    listed.write_bytes(b'\xef\xbb\xbf{"keys": []}\r\n')
    made = issuers.recognise_issuer(estate, "eu", "hc1", mapping, listed).path
    assert (made / "keys.json").read_bytes() == b'{"keys":[]}'
    assert msgspec.json.decode((made / "terms.json").read_bytes()) == msgspec.json.decode(
        MAPPING.read_bytes()
    )
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path / "unit.toml"
    card.write_bytes(b"\xef\xbb\xbf" + card.read_bytes().replace(b"\n", b"\r\n"))
    assert wire.read(card).name == "north-1"
    assert _main("unit", estate, "campus", "north-1") == 0


HOSTILE = {
    "deep": b'{"x":' + b"[" * 5000,
    "deeper": b'{"holder":' + b'{"x":' * 100_000,
    "twice": b'{"rows": [], "rows": []}',
    "long number": b'{"x": ' + b"9" * 400 + b"}",
    "not UTF-8": b'{"x": "\xff"}',
    "UTF-16": '{"x": 1}'.encode("utf-16"),
    "no end": b" " * (5 * 1024 * 1024),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_get_one_sentence_and_code_2(
    estate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    file, keys_ = tmp_path / "file", tmp_path / "keys.json"
    file.write_bytes(HOSTILE[case])
    keys_.write_text('{"keys": []}')
    before = contents(estate)
    foreign = ("recognise", estate, "eu", "--format", "hc1")
    for words in (
        ("rules", file),
        ("site-rules", estate, "campus", file),
        ("units", estate, "campus", file),
        (*foreign, "--terms", file, "--keys", keys_),
        (*foreign, "--terms", MAPPING, "--keys", file),
    ):
        assert _main(*words) == 2, words
        said = capsys.readouterr().err
        assert said.startswith(str(file)), words
        assert said.count("\n") == 1, words
        assert contents(estate) == before


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x" + ".a" * 4000 + " = 1", "x = nan"])
def test_hostile_tables_get_one_sentence_and_code_2(
    estate: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    card = units.create_card(estate, "campus", UnitOrder(name="north-1")).path
    for file, words in (
        (card / "unit.toml", ("unit", estate, "campus", "north-1")),
        (estate / "sites/campus/site.toml", ("unit", estate, "campus", "north-2")),
        (estate / "issuers/police/issuer.toml", ("publish", estate)),
    ):
        good = file.read_bytes()
        file.write_text(text)
        assert _main(*words) == 2, words
        said = capsys.readouterr().err
        assert said.startswith(str(file)), words
        assert said.count("\n") == 1, words
        file.write_bytes(good)


@pytest.mark.system
def test_the_whole_way_by_command(tmp_path: Path) -> None:
    root = tmp_path / "estate"
    assert "Next: " in run("authority", root, "--host", "broker.example", "--host", "10.0.0.5")
    assert f"site {root} SITE" in run("issuer", root, "hospital", "--days", "7")
    assert "units.csv" in run("site", root, "campus", "--like", "office-park")
    assert "is not published" in run("unit", root, "campus", "north-1", code=2)
    assert "metadata/timestamp.json" in run("publish", root)
    assert "Nothing has changed" in run("publish", root)
    assert "metadata/timestamp.json" in run("refresh", root)
    assert "menshen-edge run" in run("unit", root, "campus", "north-1", "--broker-host", "10.0.0.5")
    assert "Already there, kept" in run("issuer", root, "hospital")
    shown = run("show", root)
    for word in ("hospital", "6 days", "campus", "north-1", "10.0.0.5:8883"):
        assert word in shown
    (root / "sites/campus/units/north-1/trust/metadata/timestamp.json").unlink()
    assert "unit 'north-1' of 'campus' cannot be used" in run("show", root, code=2)
    (root / "issuers/hospital/issuer.toml").unlink()
    assert "has no issuer 'hospital'" in run("show", root, code=2)


COMMANDS = ("authority", "issuer", "issuer-key", "recognise", "withdraw", "site", "site-rules")
COMMANDS += ("publish", "refresh", "root", "unit", "units", "show", "rules")


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main("--help") == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert name in said
        assert _main(name, "--help") == 0
        assert ("FILE" if name == "rules" else "ESTATE") in capsys.readouterr().out


def test_two_at_once_never_sign_the_same_version(estate: Path) -> None:
    before = repository.read(estate)["metadata/timestamp.json"]
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(repository.refresh, estate) for _ in range(8)]:
            done.result()
    after = repository.read(estate)["metadata/timestamp.json"]
    assert signing.read(after).version >= signing.read(before).version + 8


@pytest.mark.system
def test_what_a_killed_step_left_half_written_is_cleared_away(estate: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of the second write, for real, and the step again."""
    root = tmp_path / "again"
    killed = """
import os, signal, sys
from pathlib import Path
from provisioning import issuers
synced, left = os.fsync, 3
def fsync(handle):
    global left
    left -= 1 if Path(f"/proc/self/fd/{handle}").resolve().is_file() else 0
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    synced(handle)
os.fsync = fsync
issuers.create_issuer(Path(sys.argv[1]), "clinic")
"""
    done = subprocess.run([sys.executable, "-c", killed, str(root)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    folder = root / "issuers" / "clinic"
    names = {p.name for p in folder.iterdir()}
    assert {"issuer.key", "issuer.pub"} < names
    assert len(names) == 3
    key = (folder / "issuer.key").read_bytes()
    issuers.create_issuer(root, "clinic")
    keys_of = {f"{stem}.{end}" for stem in ("issuer", "status") for end in ("key", "pub")}
    assert {p.name for p in folder.iterdir()} == {*keys_of, "issuer.toml"}
    assert (folder / "issuer.key").read_bytes() == key
