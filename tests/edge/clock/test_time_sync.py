"""The time from the real broker and collector for a unit that has none; certificates and dates."""

import base64
import ctypes
import datetime
import itertools
import logging
import os
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from edge import BUILT_S
from edge.adapters import broker_tls, kernel_clock
from edge.adapters.mqtt import MqttUplink
from edge.adapters.rtc import SysfsRtc
from edge.adapters.storage.clock_slots import Slots
from edge.adapters.storage.ram import SYNC, RamFile
from edge.adapters.system_clock import SystemClock
from edge.clock.time_interval import NEVER_S, Interval, Relation, RtcReading, StoredClock, Sync
from edge.wire import unit
from edge.wire.code import Code, Colour, encode
from tests.campus import BatteryClock, Campus, CampusDoor, end, symbol
from tests.edge.adapters.test_uplink import wait
from tests.runtime import runtime

pytestmark = pytest.mark.system
YEAR_S = 365 * 86400
NOW_S = BUILT_S + 10**6
UNKNOWN = Interval(BUILT_S, NEVER_S, "build")


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Campus]:
    with Campus(tmp_path, ["north"]) as campus:
        yield campus


def dated(campus: Campus, from_s: float, until_s: float) -> None:
    """Give the broker a certificate of its own authority and key with other dates."""
    server, authority = campus.estate / "server", campus.estate / "authority"
    old = x509.load_pem_x509_certificate((server / "broker.pem").read_bytes())
    signer = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    builder = x509.CertificateBuilder(
        issuer_name=old.issuer,
        subject_name=old.subject,
        public_key=old.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime.datetime.fromtimestamp(from_s, datetime.UTC),
        not_valid_after=datetime.datetime.fromtimestamp(until_s, datetime.UTC),
        extensions=list(old.extensions),
    )
    new = builder.sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    (server / "broker.pem").write_bytes(new.public_bytes(serialization.Encoding.PEM))


def uplink(campus: Campus, known: Callable[[], Interval]) -> MqttUplink:
    config = unit.read(campus.doors["north"].card / "unit.toml")
    assert config.broker
    return MqttUplink(config, config.broker, lambda: ("0" * 16, 1), known, print)


def told(at_s: float, source: str = "sync") -> Interval:
    return Interval(int(at_s) - 2, int(at_s) + 2, source)  # type: ignore[arg-type]


OUT_OF_DATE = {
    "expired long ago": (-20 * YEAR_S, -10 * YEAR_S, "has expired"),
    "expired an hour ago": (-YEAR_S, -3600, "has expired"),
    "not valid for decades": (30 * YEAR_S, 40 * YEAR_S, "is not valid yet"),
}


@pytest.mark.parametrize("dates", OUT_OF_DATE.values(), ids=OUT_OF_DATE)
def test_dates_are_not_asked_for_until_the_time_is_known(
    dates: tuple[float, float, str], campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    """Let in while the time is unknown, dropped as soon as a sync tells it, and not let in again.

    OpenSSL knows this machine's true date and would refuse: that it connects shows that the flag
    works, as it must where the date says 1970.
    """
    from_s, until_s, why = dates
    dated(campus, time.time() + from_s, time.time() + until_s)
    campus.broker().wait_for("ready")
    known = [UNKNOWN]
    with caplog.at_level(logging.WARNING, "menshen"):
        line = uplink(campus, lambda: known[0])
        wait(line.connected)
        for source in ("floor", "rtc"):  # these may have run ahead: only a sync can say so
            known[0] = told(time.time(), source)
            assert line.connected()
        known[0] = told(time.time())
        assert not line.connected()
        wait(lambda: why in caplog.text)
        assert "refuses this unit's certificate" not in caplog.text
        time.sleep(2.5)  # it tries again, and ends it before a word is said
        assert not line.connected()
        assert caplog.text.count(why) == 1
        assert "\n" not in caplog.records[-1].getMessage()
        known[0] = UNKNOWN
        wait(line.connected, 30)
    line.close()


def test_a_certificate_whose_dates_may_be_good_stays(campus: Campus) -> None:
    now_s = time.time()
    dated(campus, now_s - 3600, now_s + 3600)
    campus.broker().wait_for("ready")
    known = [UNKNOWN]
    line = uplink(campus, lambda: known[0])
    wait(line.connected)
    for known[0] in (
        told(now_s),
        Interval(int(now_s), int(now_s + 10**6), "sync"),
        Interval(int(now_s - 10**6), int(now_s), "sync"),
        told(now_s + 3600),
        told(now_s - 3600),
    ):
        assert line.connected()
    line.close()


def test_an_authority_out_of_date_counts_like_its_certificates(
    campus: Campus, caplog: pytest.LogCaptureFixture
) -> None:
    campus.broker().wait_for("ready")
    known = [told(time.time())]
    line = uplink(campus, lambda: known[0])
    wait(line.connected)
    with caplog.at_level(logging.WARNING, "menshen"):
        known[0] = told(time.time() + 21 * YEAR_S)  # it was made for twenty
        assert not line.connected()
        wait(lambda: "has expired" in caplog.text)
    line.close()


def test_a_broker_of_another_authority_is_never_let_in(
    campus: Campus, tmp_path_factory: pytest.TempPathFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Not asking for dates is all that was given up."""
    with Campus(tmp_path_factory.mktemp("foreign"), ["north"]) as foreign:
        foreign.broker_port = campus.broker_port
        foreign.broker().wait_for("ready")
        with caplog.at_level(logging.WARNING, "menshen"):
            line = uplink(campus, lambda: UNKNOWN)
            wait(lambda: "shows a certificate that this unit does not trust" in caplog.text)
            assert not line.connected()
        line.close()


def test_a_certificate_by_way_of_another_authority_fails_that_try_and_no_thread() -> None:
    """paho's thread outlives an OSError and nothing else; the unit would never connect again."""

    class OldCertificate:
        def getpeercert(self) -> dict[str, Any]:
            return {"issuer": ((("commonName", "between"),),)}

    with pytest.raises(OSError, match="not signed directly by our authority"):
        broker_tls.dates_of(OldCertificate(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))  # type: ignore[arg-type]


class Said(threading.Thread):
    """What a door prints, line by line."""

    def __init__(self, door: CampusDoor) -> None:
        super().__init__(daemon=True)
        self.lines: Queue[str] = Queue()
        self.process = subprocess.Popen(
            door.command("--show"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.start()

    def run(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.put(line.rstrip())

    def wait_for(self, word: str, most_s: float = 60) -> str:
        until_s = time.monotonic() + most_s
        while word not in (line := self.lines.get(timeout=until_s - time.monotonic())):
            assert "Traceback" not in line
        return line


def show(campus: Campus, door: CampusDoor) -> None:
    """A green code of somebody else each time."""
    now_s = int(time.time())
    sub = base64.urlsafe_b64encode(os.urandom(8))[:11].decode()
    code = Code(colour=Colour.GREEN, sub=sub, iat_s=now_s - 5, exp_s=now_s + 600)
    door.show(symbol(encode(code, campus.city)))


def test_a_unit_without_the_time_finds_it_and_serves(campus: Campus) -> None:
    """No RTC, no slots: unsure before the collector runs, open after its answer."""
    door = campus.doors["north"]
    said = Said(door)
    try:
        time.sleep(1.5)
        show(campus, door)
        said.wait_for("unsure-time")
        for program in (campus.broker(), campus.collector()):
            program.wait_for("ready")
        said.wait_for("connected to the broker")
        until_s = time.monotonic() + 40
        for _ in range(100):
            show(campus, door)
            if "green: opens" in said.lines.get(timeout=until_s - time.monotonic()):
                break
            time.sleep(0.5)
        assert door.closings() >= 1
    finally:
        assert end(said.process) == 0


def test_a_unit_brings_its_rtc_through_a_power_cut(campus: Campus, tmp_path: Path) -> None:
    """The real adapters: a relation from the disk gives both ends without any network."""
    battery = BatteryClock(tmp_path / "rtc")
    battery.start()
    state = tmp_path / "state"
    state.mkdir()
    Slots(state).save(StoredClock(int(time.time()) - 900, 4000, battery.relation()))
    clock = SystemClock(Slots(state), SysfsRtc(battery.path), 10.0)
    now = clock.read()
    assert (now.interval.source, now.rtc) == ("rtc", "ok")
    assert now.interval.earliest_s <= time.time() <= now.interval.latest_s
    assert now.interval.latest_s - now.interval.earliest_s < 10
    assert 4000 <= now.powered_s < 4010
    battery.stop()


def test_a_missing_or_silent_rtc_is_none(tmp_path: Path) -> None:
    for name, content in {
        "empty": b"",
        "words": b"no time",
        "less": b"-5",
        "huge": b"9" * 30,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert SysfsRtc(tmp_path / name).read() is None
    for name in ("none", "."):
        assert SysfsRtc(tmp_path / name).read() is None
    (tmp_path / "rtc").write_text("946684900\n")
    reading = SysfsRtc(tmp_path / "rtc").read()
    assert reading is not None
    assert reading.rtc_s == 946684900


def test_a_slow_read_of_the_rtc_is_repeated_but_not_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge.adapters import rtc

    class SlowFile:
        """A device whose reads take `reads_s`, on a clock of the test's own."""

        def __init__(self, *reads_s: float) -> None:
            self.now_s = 100.0
            self.reads_s = list(reads_s)

        def read_bytes(self) -> bytes:
            self.now_s += self.reads_s.pop(0)
            return b"946684900\n"

    def reading(file: SlowFile) -> RtcReading | None:
        monkeypatch.setattr(rtc, "_now_s", lambda: file.now_s)
        return SysfsRtc(cast(Path, file)).read()

    assert reading(SlowFile(0.05)) == RtcReading(946684900, 100.05)
    assert reading(SlowFile(0.15, 0.15, 0.05)) == RtcReading(946684900, pytest.approx(100.35))
    assert reading(SlowFile(*[0.15] * 5)) is None
    stuck = SlowFile(0.6, 0.6, 0.05)
    assert reading(stuck) is None
    assert stuck.reads_s == [0.05]


def test_writes_are_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day of a unit that is synced hourly, and a unit that dies at every start."""
    from edge.adapters import system_clock

    moment = [1000.0]
    monkeypatch.setattr(system_clock, "monotonic_s", lambda: moment[0])
    saved: list[float] = []
    real = Slots.save
    monkeypatch.setattr(
        Slots, "save", lambda self, kept: saved.append(moment[0]) or real(self, kept)
    )
    clock = SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0)
    for step in range(86400 // 5):
        moment[0] = 1000.0 + 5 * step
        clock.read()
        if step % 720 == 0:
            clock.note_sync(Sync(BUILT_S + 10**6 + 5.0 * step, 0.5, moment[0]))
    apart = [b - a for a, b in itertools.pairwise(saved)]
    assert len(saved) <= 86400 / 300 + 2
    assert min(apart) >= 300
    saved.clear()
    for start in range(50):
        moment[0] = 90_000.0 + 4 * start
        again = SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0)
        again.read()
        again.note_sync(Sync(BUILT_S + 10**6 + moment[0], 0.5, moment[0]))
        again.close()
    assert len(saved) <= 1


def test_a_sync_through_the_real_clock_is_kept(tmp_path: Path) -> None:
    clock = SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0)
    assert clock.interval() == Interval(BUILT_S, NEVER_S, "build")
    now = clock.read()
    clock.note_sync(Sync(BUILT_S + 10.0**7, 0.5, now.monotonic_s))
    assert clock.interval().source == "sync"
    after = SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0)
    assert after.interval().source == "floor"
    assert after.interval().earliest_s >= BUILT_S + 10**7 - 1
    assert Slots(tmp_path).load().relation is None


def test_a_restart_goes_on_knowing_the_time_and_a_power_cut_forgets(tmp_path: Path) -> None:
    """The real files of this boot; without RTC and network."""

    def started() -> SystemClock:
        memory = RamFile(runtime_folder, file=SYNC)
        return SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0, memory=memory)

    with runtime() as runtime_folder:
        first = started()
        assert first.interval() == UNKNOWN
        first.note_sync(Sync(BUILT_S + 10.0**7, 0.5, first.read().monotonic_s))
        again = started().interval()
        assert again.source == "sync"
        assert abs(again.earliest_s - BUILT_S - 10**7) <= 2
        assert again.latest_s - again.earliest_s <= 3
        for torn in (b"", b"{}", b"[]", b'{"earliest_s":2,"latest_s":1,"monotonic_s":0}', b"\xff"):
            RamFile(runtime_folder, file=SYNC).save(torn)
            assert started().interval().source == "floor"
    with runtime() as runtime_folder:  # RAM is empty
        assert started().interval().latest_s == NEVER_S


def test_a_runtime_folder_that_is_full_is_told_and_the_time_still_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with runtime() as folder:
        memory = RamFile(folder, file=SYNC)
        clock = SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0, memory=memory)
        (folder / ".sync.passing").mkdir()
        for _ in range(2):
            clock.note_sync(Sync(BUILT_S + 10.0**7, 0.5, clock.read().monotonic_s))
        assert clock.interval().source == "sync"
        (folder / ".sync.passing").rmdir()
    assert caplog.text.count("a restart of the program will not know the time") == 1


class Libc:
    """What adjtimex(2) says: a state, and the most that the clock may be off."""

    def __init__(self, state: int, error_us: int) -> None:
        self._state, self._error_us = state, error_us

    def adjtimex(self, said: Any) -> int:
        assert said._obj.modes == 0  # it only asks
        said._obj.maxerror = self._error_us
        return self._state


TIME_OK, TIME_ERROR = 0, 5


@pytest.mark.parametrize(
    ("state", "error_us", "system", "expected_s"),
    [
        (TIME_OK, 20_000, True, 5),
        (TIME_OK, 9_000_000, True, 9),
        (TIME_ERROR, 20_000, True, None),  # chrony has not heard from its servers yet
        (-1, 0, True, None),
        (TIME_OK, 20_000, False, None),  # nobody vouches for it
    ],
)
def test_the_systems_clock_counts_where_it_is_vouched_for_and_synchronised(
    state: int,
    error_us: int,
    system: bool,
    expected_s: int | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Libc(state, error_us))
    known = SystemClock(Slots(tmp_path), SysfsRtc(tmp_path / "none"), 10.0, system).interval()
    if expected_s is None:
        assert known == UNKNOWN
        return
    assert known.source == "system"
    assert known.earliest_s <= time.time() <= known.latest_s
    assert 2 * expected_s <= known.latest_s - known.earliest_s <= 2 * expected_s + 2


def test_the_kernels_structure_is_read_where_linux_puts_it() -> None:
    """include/uapi/linux/timex.h: an int, then longs."""
    long = ctypes.sizeof(ctypes.c_long)
    assert kernel_clock._Timex.maxerror.offset == 3 * long
    assert ctypes.sizeof(kernel_clock._Timex) >= 208
    said = kernel_clock._Timex()
    assert ctypes.CDLL(None).adjtimex(ctypes.byref(said)) in range(TIME_ERROR + 1)
    assert 0 <= said.maxerror <= 16_000_000  # the kernel's own cap, 16 s


def test_an_rtc_found_broken_is_not_believed_by_the_next_start(tmp_path: Path) -> None:
    """It jumps ahead, and the power goes before the usual time to write."""
    shown = tmp_path / "rtc"
    shown.write_text("1000\n")
    Slots(tmp_path).save(
        StoredClock(NOW_S - 60, 60, Relation(1000, (NOW_S - 1000) * 1000, 500, 1000))
    )
    clock = SystemClock(Slots(tmp_path), SysfsRtc(shown), 10.0)
    assert clock.interval().source == "rtc"
    shown.write_text("90000\n")
    clock._look_due_s = 0.0  # ten seconds have passed
    assert clock.read().rtc == "broken"
    after = SystemClock(Slots(tmp_path), SysfsRtc(shown), 10.0)
    assert after.interval().latest_s == NEVER_S
    assert after.interval().earliest_s < NOW_S + 60
