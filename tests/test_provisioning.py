"""What `menshen-provision` makes, is believed by those it is for, and never overwrites."""

import os
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

from edge.wire import keys, report, trust
from edge.wire import unit as wire
from edge.wire.unit import Camera
from provisioning import __main__ as command
from provisioning import authority, batch, files, issuers, sites, units
from provisioning.files import Folder, ProvisioningError
from provisioning.units import Order


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    """Authority, issuers `hospital` and `police`, site `campus` that believes the first."""
    root = tmp_path / "estate"
    authority.authority(root)
    issuers.issuer(root, "hospital")
    issuers.issuer(root, "police", days=10, longest_life_s=3600)
    sites.site(root, "campus", ["hospital"])
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
    order = Order(
        name="north-1",
        groups=["campus/north"],
        camera=Camera(kind="pictures", source="frames", frames_per_s=7.5),
        wired=["turn", "tamper"],
        broker_host="127.0.0.1",
        broker_port=18883,
    )
    planned = units.plan(estate, sites.read(estate, "campus"), order)
    card = units.unit(estate, "campus", order).path
    found = wire.read(card / "unit.toml")
    assert planned.broker is not None
    replace = msgspec.structs.replace
    assert found == replace(
        planned,
        trust=str(card / "issuers.json"),
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
    card = units.unit(estate, "campus", Order(name="north-1")).path
    found = wire.read(card / "unit.toml")
    assert found.groups == ["campus", "campus/north-1"]
    assert found.counts == wire.Counts()
    assert found.camera == Camera()
    assert found.broker is not None
    assert (found.broker.host, found.broker.port) == ("localhost", 8883)


def test_a_unit_believes_the_issuers_of_its_site(estate: Path) -> None:
    card = units.unit(estate, "campus", Order(name="north-1")).path
    found = wire.read(card / "unit.toml")
    believed = trust.read(Path(found.trust).read_bytes(), keys.public_from_text(found.trust_key))
    key = files.signing_key(estate / "issuers" / "hospital" / "issuer.key")
    (trusted,) = believed.keys(key.kid)
    assert trusted.issuer == "hospital"
    assert trusted.public == key.public
    assert trusted.until_s - trusted.from_s == 35 * 86400
    assert trusted.from_s <= time.time() < trusted.until_s
    police = files.signing_key(estate / "issuers" / "police" / "issuer.key")
    assert believed.keys(police.kid) == ()


def test_a_unit_believes_the_collectors_acknowledgement(estate: Path) -> None:
    card = units.unit(estate, "campus", Order(name="north-1")).path
    found = wire.read(card / "unit.toml")
    assert found.broker is not None
    ack = report.Ack(
        site="campus", unit="north-1", installation="0" * 16, first=1, last=2, digest="d"
    )
    collector = files.signing_key(estate / "server" / "collector-sign.key")
    signed = report.sign_ack(ack, collector)
    assert report.verify_ack(signed, keys.public_from_text(found.broker.collector_key)) == ack


def test_broker_and_unit_shake_hands_and_a_stranger_does_not(estate: Path, tmp_path: Path) -> None:
    card = units.unit(estate, "campus", Order(name="north-1")).path
    assert _handshake(estate, card) == "campus/north-1"
    stranger = tmp_path / "stranger"
    authority.authority(stranger)
    issuers.issuer(stranger, "hospital")
    sites.site(stranger, "campus", ["hospital"])
    other = units.unit(stranger, "campus", Order(name="north-1")).path
    (other / "ca.pem").write_bytes((card / "ca.pem").read_bytes())  # it accepts our broker
    with pytest.raises(OSError, match=r"(?i)alert|reset|closed|eof"):
        _handshake(estate, other)


def test_a_units_certificate_is_no_brokers(estate: Path) -> None:
    card = units.unit(estate, "campus", Order(name="north-1")).path
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
    first = units.unit(estate, "campus", Order(name="north-1")).path
    units.unit(estate, "campus", Order(name="north-2"))
    on_card = [p.read_bytes() for p in first.iterdir()]
    secret = [p for p in estate.rglob("*.key") if p.parent != first]
    assert len(secret) == 11
    for path in secret:
        body = path.read_bytes().splitlines()[1]
        assert not any(body in data for data in on_card), path
    assert sorted(p.name for p in first.iterdir()) == [
        "ca.pem",
        "issuers.json",
        "unit.key",
        "unit.pem",
        "unit.toml",
    ]


def test_private_keys_are_for_their_owner_alone(estate: Path) -> None:
    units.unit(estate, "campus", Order(name="north-1"))
    private = list(estate.rglob("*.key"))
    assert len(private) == 11
    for path in private:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path.parent


STEPS: dict[str, Callable[[Path], object]] = {
    "authority": lambda e: authority.authority(e, ["localhost", "127.0.0.1"]),
    "issuer": lambda e: issuers.issuer(e, "police", days=10, longest_life_s=3600),
    "site": lambda e: sites.site(e, "campus", ["hospital"]),
    "unit": lambda e: units.unit(e, "campus", Order(name="north-1")),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_repeated_step_changes_nothing(estate: Path, step: str) -> None:
    STEPS["unit"](estate)
    before = contents(estate)
    done = STEPS[step](estate)
    assert contents(estate) == before
    for folder in done if isinstance(done, list) else [done]:
        assert isinstance(folder, Folder)
        assert folder.kept
        assert not folder.made
        assert not folder.renewed


DIFFERING: dict[str, tuple[Callable[[Path], object], str]] = {
    "other hosts": (lambda e: authority.authority(e, ["door.example"]), "is for localhost, 127"),
    "longer life": (lambda e: issuers.issuer(e, "police", longest_life_s=7200), "3600 s, not 7200"),
    "longer window": (lambda e: issuers.issuer(e, "police", days=20), "for 10 days, not 20"),
    "later window": (lambda e: issuers.issuer(e, "police", from_s=2_000_000_000), "that begins at"),
    "other issuers": (lambda e: sites.site(e, "campus", ["police"]), "believes hospital"),
    "a demo": (lambda e: sites.site(e, "campus", ["hospital"], demo=True), "other settings"),
    "other groups": (
        lambda e: units.unit(e, "campus", Order(name="north-1", groups=["campus/south"])),
        "another groups",
    ),
    "no broker": (
        lambda e: units.unit(e, "campus", Order(name="north-1", broker=False)),
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
    *(("site", f"sites/campus/{n}") for n in ("site.key", "site.pub", "site.toml", "issuers.json")),
    *(
        ("unit", f"sites/campus/units/north-1/{n}")
        for n in ("unit.key", "unit.pem", "ca.pem", "issuers.json", "unit.toml")
    ),
]


@pytest.mark.parametrize(("step", "last"), ORDER)
def test_a_step_cut_off_anywhere_is_finished_by_repeating_it(
    estate: Path, monkeypatch: pytest.MonkeyPatch, step: str, last: str
) -> None:
    """Cut the power (the process's view of it) right after `last` came to its place."""
    root = estate.parent / "again"
    steps = [STEPS[name] for name in ("authority", "issuer", "site", "unit")]
    issuers.issuer(root, "hospital")

    class Cut(BaseException):
        pass

    for make in steps:
        if make is not STEPS[step]:
            make(root)
            continue
        synced = os.fsync

        def fsync(handle: int, synced: Callable[[int], None] = synced) -> None:
            synced(handle)
            if (root / last).exists():
                raise Cut

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            with pytest.raises(Cut):
                make(root)
        half = contents(root)
        make(root)
        assert half.items() <= contents(root).items()
    assert contents(root).keys() >= contents(estate).keys()
    assert wire.read(root / "sites/campus/units/north-1/unit.toml").name == "north-1"
    assert not list(root.rglob(".*"))


LOST = [
    ("authority", "authority/ca.key", "ca.key is missing"),
    ("authority", "server/collector-sign.key", "collector-sign.key is missing"),
    ("authority", "server/time.key", "time.key is missing"),
    ("issuer", "issuers/police/issuer.key", "issuer.key is missing"),
    ("site", "sites/campus/site.key", "site.key is missing"),
    ("unit", "sites/campus/units/north-1/unit.key", "unit.key is missing"),
    ("unit", "authority/ca.pem", "has no ca.pem"),
    ("unit", "server/broker.pem", "no broker certificate"),
    ("unit", "sites/campus/issuers.json", "has no issuers.json"),
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
    ("issuer", "issuers/police/issuer.toml", "not an issuer's description"),
    ("site", "sites/campus/site.toml", "not a site's description"),
    ("site", "sites/campus/issuers.json", "torn"),
    ("unit", "sites/campus/site.pub", "not an Ed25519 public key"),
    ("unit", "sites/campus/units/north-1/unit.toml", "not a unit's configuration"),
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
    authority.authority(tmp_path / "other")
    for name in ("ca.pem", "ca.key"):
        (estate / "authority" / name).write_bytes(
            (tmp_path / "other" / "authority" / name).read_bytes()
        )
    with pytest.raises(ProvisioningError, match="not from this estate's authority"):
        STEPS["unit"](estate)


def test_believing_more_or_fewer_rises_and_reaches_every_card(estate: Path) -> None:
    cards = units.units(estate, "campus", [Order(name=f"north-{n}") for n in range(3)])
    public = files.public_key(estate / "sites" / "campus" / "site.pub")

    def on_cards() -> set[tuple[int, tuple[str, ...]]]:
        read = [trust.open_document((c.path / "issuers.json").read_bytes(), public) for c in cards]
        return {(d.version, tuple(i.name for i in d.issuers)) for d in read}

    assert on_cards() == {(1, ("hospital",))}
    sites.believe(estate, "campus", add=["police"])
    assert on_cards() == {(2, ("hospital", "police"))}
    sites.believe(estate, "campus", remove=["hospital"])
    assert on_cards() == {(3, ("police",))}
    sites.believe(estate, "campus")
    assert on_cards() == {(4, ("police",))}
    with pytest.raises(ProvisioningError, match="name at least one issuer"):
        sites.believe(estate, "campus", remove=["police"])
    with pytest.raises(ProvisioningError, match="does not believe 'hospital'"):
        sites.believe(estate, "campus", remove=["hospital"])
    assert on_cards() == {(4, ("police",))}


def test_the_version_rises_even_when_the_sites_own_copy_was_lost(estate: Path) -> None:
    STEPS["unit"](estate)
    for _ in range(3):
        sites.believe(estate, "campus")
    (estate / "sites" / "campus" / "issuers.json").unlink()
    sites.site(estate, "campus", ["hospital"])
    assert sites.document(estate, "campus").version == 5


def test_a_card_left_behind_is_brought_up_to_date(estate: Path) -> None:
    card = units.unit(estate, "campus", Order(name="north-1")).path
    old = (card / "issuers.json").read_bytes()
    sites.believe(estate, "campus", add=["police"])
    (card / "issuers.json").write_bytes(old)
    assert units.unit(estate, "campus", Order(name="north-1")).renewed == ["issuers.json"]
    assert b"version 2" in run("show", estate).encode()


def test_a_demo_site_may_be_quick_and_k_stays(estate: Path) -> None:
    sites.site(estate, "fair", ["hospital"], demo=True)
    card = units.unit(estate, "fair", Order(name="gate", broker=False)).path
    counts = wire.read(card / "unit.toml").counts
    assert counts.demo
    assert counts.k == 10
    assert counts.period_s < 900
    with pytest.raises(ProvisioningError, match="for a demo site only"):
        sites.site(estate, "home", ["hospital"], period_s=60)


def test_a_unit_without_a_broker_needs_no_authority(tmp_path: Path) -> None:
    issuers.issuer(tmp_path / "e", "hospital")
    sites.site(tmp_path / "e", "home", ["hospital"])
    card = units.unit(tmp_path / "e", "home", Order(name="door", broker=False))
    assert sorted(card.made) == ["issuers.json", "unit.toml"]
    assert wire.read(card.path / "unit.toml").broker is None


WRONG_ORDERS = {
    "bad name": (Order(name="North 1"), "cannot be the name of this unit"),
    "a way out": (Order(name="../x"), "cannot be the name of this unit"),
    "bad group": (Order(name="a", groups=["North!"]), "cannot be a door group"),
    "too many groups": (Order(name="a", groups=[f"g{n}" for n in range(17)]), "groups"),
    "a folder left out": (Order(name="a", camera=Camera(kind="pictures")), "needs camera.source"),
    "nothing to wire": (Order(name="a", wired=["lift"]), "'lift' is nothing to wire"),
    "another broker": (Order(name="a", broker_host="b.example"), "is good for localhost"),
    "no port": (Order(name="a", broker_port=0), "port"),
}


@pytest.mark.parametrize("case", WRONG_ORDERS)
def test_a_wrong_order_is_told_and_nothing_made(estate: Path, case: str) -> None:
    before = contents(estate)
    order, sentence = WRONG_ORDERS[case]
    with pytest.raises(ProvisioningError, match=sentence):
        units.units(estate, "campus", [Order(name="good"), order])
    assert contents(estate) == before


def test_the_longest_names_fit_a_certificate_and_a_group(estate: Path) -> None:
    site, name = "s" * 31, "u" * 31
    sites.site(estate, site, ["hospital"])
    card = units.unit(estate, site, Order(name=name)).path
    assert wire.read(card / "unit.toml").groups == [site, f"{site}/{name}"]
    with pytest.raises(ProvisioningError, match="use 1 to 31 small letters"):
        units.unit(estate, site, Order(name="u" * 32))


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
    "twice": ("name\na\nb\na\n", "line 4: unit 'a' is on line 2 already"),
    "unknown column": ("name,colour\na,red\n", "line 1: 'colour' is no column"),
    "no name": ("groups\ncampus\n", "line 1: it needs one column `name`"),
    "semicolons": ("name;groups\na;b\n", "line 1: 'name;groups' is no column"),
    "field left out": ("name,groups\na\n", "line 2: it has not as many fields"),
    "field too many": ("name,groups\na,b,c\n", "line 2: it has not as many fields"),
    "open quote": ('name\n"a\n', "line 2: unexpected end of data"),
    "camera": ("name,camera_kind\na,lens\n", "line 2: 'lens' is no kind of camera"),
    "port": ("name,broker_port\na,99999\n", "line 2: broker_port '99999'"),
    "broker": ("name,broker\na,perhaps\n", "line 2: broker is 'perhaps'"),
    "empty": ("", "line 1: it needs one column `name`"),
    "no units": ("name\n", "has 0 units"),
    "group": ("name,groups\na,campus\nb,No!\n", "line 3: 'No!' cannot be a door group"),
    "wired": ("name,wired\na,lift\n", "line 2: 'lift' is nothing to wire"),
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
    "unknown issuer": (["site", "ESTATE", "home", "--issuer", "clinic"], "has no issuer 'clinic'"),
    "no issuer": (["site", "ESTATE", "home"], "name at least one issuer"),
    "unknown site": (["unit", "ESTATE", "home", "a"], "has no site 'home'"),
    "believe unknown": (["believe", "ESTATE", "campus", "--add", "clinic"], "has no issuer"),
    "bad issuer": (["issuer", "ESTATE", "Clinic"], "cannot be the name of this issuer"),
    "window": (["issuer", "ESTATE", "clinic", "--days", "36"], "1 to 35 days, not for 36"),
    "host": (["authority", "ESTATE/x", "--host", "a b"], "not a host name"),
    "camera": (["unit", "ESTATE", "campus", "a", "--camera-kind", "lens"], "no kind of camera"),
    "no estate": (["show", "ESTATE/none"], "is not a folder"),
    "under a file": (
        ["authority", "ESTATE/authority/ca.pem/x"],
        "is a file where a folder is needed",
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


def test_the_whole_way_by_command(tmp_path: Path) -> None:
    root = tmp_path / "estate"
    assert "Next: " in run("authority", root, "--host", "broker.example", "--host", "10.0.0.5")
    assert f"site {root} SITE --issuer hospital" in run("issuer", root, "hospital", "--days", "7")
    assert "units.csv" in run("site", root, "campus", "--issuer", "hospital")
    assert "menshen-edge run" in run("unit", root, "campus", "north-1", "--broker-host", "10.0.0.5")
    assert "Already there, kept" in run("issuer", root, "hospital")
    shown = run("show", root)
    for word in ("hospital", "6 days", "campus", "north-1", "10.0.0.5:8883", "version 1"):
        assert word in shown
    (root / "sites/campus/units/north-1/issuers.json").unlink()
    assert "unit 'north-1' of 'campus' cannot be used" in run("show", root, code=2)
    (root / "issuers/hospital/issuer.toml").unlink()
    assert "has no issuer 'hospital'" in run("show", root, code=2)


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert _main("--help") == 0
    said = capsys.readouterr().out
    for name in ("authority", "issuer", "site", "believe", "unit", "units", "show"):
        assert name in said
        assert _main(name, "--help") == 0
        assert "ESTATE" in capsys.readouterr().out


def test_two_at_once_never_sign_the_same_version(estate: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(sites.believe, estate, "campus") for _ in range(8)]:
            done.result()
    assert sites.document(estate, "campus").version == 9


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
issuers.issuer(Path(sys.argv[1]), "clinic")
"""
    done = subprocess.run([sys.executable, "-c", killed, str(root)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    folder = root / "issuers" / "clinic"
    names = {p.name for p in folder.iterdir()}
    assert {"issuer.key", "issuer.pub"} < names
    assert len(names) == 3
    key = (folder / "issuer.key").read_bytes()
    issuers.issuer(root, "clinic")
    keys_of = {f"{stem}.{end}" for stem in ("issuer", "status") for end in ("key", "pub")}
    assert {p.name for p in folder.iterdir()} == {*keys_of, "issuer.toml"}
    assert (folder / "issuer.key").read_bytes() == key
