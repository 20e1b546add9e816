"""The eyes over a camera: the decoder's process dies, hangs and leaks, and the loop hears nothing;
the newest frame wins; a frame stays in memory.
"""

import contextlib
import fcntl
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from edge.adapters.camera import camera_scanner as adapter
from edge.adapters.camera import decoder_process as process
from edge.adapters.camera import decoder_supervisor
from edge.adapters.camera.camera_scanner import CameraScanner
from edge.adapters.camera.decoder_process import Decoder, DecoderLost
from edge.parts import CameraLost
from edge.sight import decoder_messages, frame_pacing
from edge.sight.frame import Frame, Luma, Sighting
from edge.sight.ports import Scanner
from tests.campus import symbol
from tests.harmed import BY_NAME, SECRET
from tests.lens import Lens
from tests.soak import soak

pytestmark = pytest.mark.system  # real processes

HARMED = (sys.executable, "-P", "-B", "-m", "tests.harmed")
DEADLINE_S = 0.5
SOON_S = 20.0  # the machine may be busy


def picture(text: str, fault: str | None = None, move: int = 0) -> Luma:
    """A symbol held before a wall; the first pixel calls `fault` in a harmed decoder.

    Two of 60 neighbours of `move` are different scenes.
    """
    code, (down, right) = symbol(text), np.divmod(move % 60, 10)
    luma = np.full((360, 480), 200, np.uint8)
    y, x = 64 + 12 * int(down), 64 + 12 * int(right)
    luma[y : y + code.shape[0], x : x + code.shape[1]] = code
    luma[0, 0] = BY_NAME[fault] if fault else 0
    return luma


@contextlib.contextmanager
def opened(lens: Lens, **how: object) -> Iterator[CameraScanner]:
    eyes = CameraScanner(lens, "both", **{"deadline_s": DEADLINE_S, "program": HARMED} | how)
    try:
        yield eyes
    finally:
        eyes.close()


def until(there: Callable[[], object], within_s: float = SOON_S) -> None:
    end_s = time.monotonic() + within_s
    while not there():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.005)


def sighted(eyes: CameraScanner, within_s: float = SOON_S) -> Sighting:
    """The next sighting, as the loop takes it: it may never hear of a failure."""
    end_s = time.monotonic() + within_s
    while (told := eyes.latest()) is None:
        assert time.monotonic() < end_s, "nothing was sighted"
        eyes.wait(0.05)
    return told


def texts(told: Sighting) -> list[str]:
    return [symbol.data.decode() for symbol in told.symbols]


def read(lens: Lens, eyes: CameraScanner, text: str) -> Sighting:
    """Hold `text` up, in frames that are never alike, until it is read."""
    end_s = time.monotonic() + SOON_S
    for move in count():
        assert time.monotonic() < end_s, f"{text} was not read"
        lens.shows(picture(text, move=move))
        eyes.wait(0.2)
        told = eyes.latest()
        if told is not None and texts(told) == [text]:
            until(lambda: lens.empty)
            time.sleep(0.05)
            eyes.latest()  # of a frame that was shown meanwhile
            return told
    raise AssertionError


def child(eyes: CameraScanner) -> int:
    running = eyes._supervisor._decoder._process
    assert running is not None
    return running.pid


def test_what_is_held_up_is_sighted_with_its_place_and_steps() -> None:
    lens = Lens()
    with opened(lens, program=process.PROGRAM) as eyes:
        port: Scanner = eyes
        assert port.latest() is None
        lens.shows(picture("DC1:HELLO"), 12.5)
        told = sighted(eyes)
        assert texts(told) == ["DC1:HELLO"]
        assert (told.seen_s, told.size) == (12.5, (480, 360))
        assert told.symbols[0].corners[0] == pytest.approx((80, 80), abs=3)
        assert told.steps[0][0] == "zxing-cpp"
        assert told.steps[0][1] > 0
        assert port.latest() is None
    assert lens.closed


def test_a_still_scene_is_told_again_and_decoded_once_a_second() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        scene, rng = picture("DC1:STILL").astype(np.int16), np.random.default_rng(1)
        told: list[Sighting] = []
        for number in range(60):  # four seconds at 15 frames a second
            noise = rng.integers(-6, 7, scene.shape)
            lens.shows(np.clip(scene + noise, 0, 255).astype(np.uint8), number / 15)
            told.append(sighted(eyes))
    assert {tuple(texts(t)) for t in told} == {("DC1:STILL",)}
    assert [t.seen_s for t in told] == [number / 15 for number in range(60)]
    decoded = [number for number, t in enumerate(told) if t.steps]
    first = frame_pacing.AFTER_MOTION
    assert decoded[:first] == list(range(first)), "it had just come"
    assert len(decoded) - first == 3, "then once a second"
    assert eyes.decoded == len(decoded)


def test_what_was_not_read_is_decoded_again_a_few_times_a_second() -> None:
    """A symbol with its error correction used up: located, and never read."""
    luma = picture("DC1:" + "TORN" * 20)
    torn = np.random.default_rng(1).integers(0, 2, (15, 15), np.uint8) * 255
    luma[116:176, 116:176] = np.kron(torn, np.ones((4, 4), np.uint8))
    lens = Lens()
    with opened(lens) as eyes:
        told = []
        for number in range(45):
            lens.shows(luma, number / 15)
            told.append(sighted(eyes))
    assert all(t.unread and not t.symbols for t in told), "the test's symbol is not as it should be"
    late = [t for t in told[frame_pacing.AFTER_MOTION :] if t.steps]
    assert 6 <= len(late) <= 10, "every quarter of a second"


@pytest.mark.parametrize(
    "fault", ["segfault", "spin", "stop", "kill", "complain_and_die", "exit", "raise",
              "all the memory"],
)  # fmt: skip
def test_a_decoder_that_fails_in_mid_frame_is_replaced(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop hears nothing; the next code is read; the log hears later, and not what was read."""
    lens = Lens()
    caplog.set_level(logging.DEBUG)
    with opened(lens, report_s=0.2) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        first = child(eyes)
        lens.shows(picture("DC1:DURING", fault))
        until(lambda: eyes._supervisor._failed or "failed 1 times" in caplog.text)
        read(lens, eyes, "DC1:AFTER")
        until(lambda: "failed 1 times" in caplog.text)
        again = child(eyes)
    assert (again == first) == (fault in ("raise", "all the memory")), "those go on"
    (said,) = [r.getMessage() for r in caplog.records]
    assert SECRET not in said
    expected = {
        "segfault": "SIGSEGV", "spin": "gave no answer in 0.5 s", "stop": "gave no answer",
        "kill": "SIGKILL", "complain_and_die": "SIGABRT", "exit": "status 3",
        "raise": "ValueError in", "all the memory": "MemoryError in",
    }  # fmt: skip
    assert expected[fault] in said


def test_a_decoder_killed_from_outside_between_two_frames_is_replaced() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        for number in range(3):
            read(lens, eyes, f"DC1:NUMBER{number}")
            os.kill(child(eyes), signal.SIGKILL)
        read(lens, eyes, "DC1:AFTER")


def test_a_frame_that_killed_it_is_not_offered_again() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        deadly = picture("DC1:DEADLY", "kill")
        for _ in range(3):
            lens.shows(deadly)
            until(lambda: eyes._supervisor._decoder.running and lens.empty)
            read(lens, eyes, "DC1:BETWEEN")
        assert eyes._supervisor._failed == 1


def test_a_still_scene_that_killed_it_is_left_alone_until_something_moves() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        deadly = picture("DC1:DEADLY", "kill")
        for number in range(60):  # four seconds, and no two frames alike
            deadly[1, number] = 90
            lens.shows(deadly, 100 + number / 15)
            until(lambda: lens.empty)
        until(lambda: eyes._supervisor._decoder.running)
        assert eyes._supervisor._failed == 1
        assert eyes.latest() is None, "nothing is known of this scene"
        lens.shows(picture("DC1:AFTER", move=9), 105)
        assert texts(sighted(eyes)) == ["DC1:AFTER"]


def test_what_kills_a_rescue_again_and_again_leaves_zxing_cpp_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A poster that crashes a rescue does not blind the door; after some calm all is as before."""
    monkeypatch.setattr(decoder_supervisor, "CALM_S", 2.0)
    monkeypatch.setattr(decoder_supervisor, "CAREFUL_S", 3.0)
    lens = Lens()
    with opened(lens) as eyes:
        for number in count():
            lens.shows(picture("DC1:POSTER", "rescue", move=number))
            eyes.wait(0.1)
            if eyes._supervisor._careful and (told := eyes.latest()) is not None:
                break
        assert texts(told) == ["DC1:POSTER"]
        assert eyes._supervisor._failed == decoder_supervisor.CAREFUL_DEATHS
        still = picture("DC1:STILL")
        until(lambda: lens.shows(still) or not eyes._supervisor._careful)
        read(lens, eyes, "DC1:AFTER")
        assert eyes._supervisor._failed == decoder_supervisor.CAREFUL_DEATHS


def test_a_decoder_that_dies_of_everything_is_a_failure_for_the_loop() -> None:
    lens = Lens()
    with opened(lens) as eyes, pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder_supervisor, "WAITS_S", (0.0,) * 7)
        with pytest.raises(CameraLost, match=r"dies at every frame \(it ended by SIGKILL\)"):
            for number in range(10_000):
                lens.shows(picture("DC1:DEADLY", "kill", move=number))
                eyes.wait(0.02)
                assert eyes.latest() is None
        lens.shows(picture("DC1:AFTER", move=30))
        until(lambda: eyes.decoded)
        assert texts(sighted(eyes)) == ["DC1:AFTER"]
        assert eyes.latest() is None, "it works again"


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (("/no/such/python",), "process cannot be started: No such file"),
        ((sys.executable, "-c", "raise ImportError('apt install libzbar0')"), "install libzbar0"),
        ((sys.executable, "-c", "import no_such_library"), r'pip install "menshen\[unit\]"'),
        ((sys.executable, "-c", "import os; os.abort()"), "SIGABRT"),
    ],
)
def test_a_decoder_that_cannot_be_started_is_one_sentence(
    program: tuple[str, ...], why: str
) -> None:
    lens = Lens()
    with opened(lens, program=program) as eyes, pytest.raises(CameraLost, match=why) as told:
        until(lambda: eyes.latest())
    assert "\n" not in str(told.value)


def test_a_lost_camera_reaches_the_loop_and_so_does_its_return() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        lens.failure = CameraLost("check its cable")
        with pytest.raises(CameraLost, match="check its cable"):
            until(lambda: eyes.latest() and False)
        lens.failure = None
        read(lens, eyes, "DC1:AFTER")


def test_a_camera_that_hangs_is_lost_and_keeps_nobody_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`StallRecovery` gives a frame's memory back to libcamera when the next is taken."""
    monkeypatch.setattr(adapter, "HANGS_S", 0.3)
    monkeypatch.setattr(adapter, "CLOSE_S", 0.5)
    ends = threading.Event()

    class HangingLens(Lens):
        def latest(self) -> Frame | None:
            if self.failure is not None:
                ends.wait(SOON_S)
            return super().latest()

    lens = HangingLens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        lens.failure = CameraLost("never said")
        with pytest.raises(CameraLost, match="hangs"):
            until(lambda: eyes.latest() and False)
        began_s = time.monotonic()
        eyes.close()
        assert time.monotonic() - began_s < 10
        assert lens.closed
        ends.set()
        eyes._thread.join(SOON_S)


def test_our_own_bug_ends_the_program() -> None:
    lens = Lens()
    with opened(lens) as eyes, pytest.raises(ZeroDivisionError):
        lens.failure = ZeroDivisionError()
        until(lambda: eyes.latest() and False)


def test_the_loop_never_waits_whatever_the_decoder_does() -> None:
    """`latest` in all of its moments: at work, hung, dying, being started."""
    lens = Lens()
    slowest_s = 0.0
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        for number, fault in enumerate(("slow", "spin", "kill", "stop", "segfault")):
            lens.shows(picture("DC1:DURING", fault, move=number))
            end_s = time.monotonic() + 0.8
            while time.monotonic() < end_s:
                before_s = time.thread_time()
                began_s = time.monotonic()
                eyes.latest()
                took_s = time.monotonic() - began_s
                if time.thread_time() - before_s < 0.01:  # it was not our turn on the processor
                    slowest_s = max(slowest_s, took_s)
                time.sleep(0.001)
        read(lens, eyes, "DC1:AFTER")
    assert slowest_s < 0.25, "half of the decoder's deadline"


def test_the_newest_frame_wins_under_load_and_the_rest_are_counted() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        before, dropped = eyes.decoded, lens.dropped
        for number in range(100):  # one each 10 ms; the decoder takes 200 ms
            lens.shows(picture("DC1:LOAD", "slow", move=number), 1000 + number)
            time.sleep(0.01)
        until(lambda: lens.empty)
        last = 0.0
        while last < 1099:
            told = sighted(eyes)
            assert told.seen_s > last, "an older frame after a newer one"
            last = told.seen_s
        decoded, dropped = eyes.decoded - before, lens.dropped - dropped
    assert decoded + dropped == 100
    assert decoded < 30


def test_what_was_read_waits_for_the_loop_though_a_frame_follows_in_which_nothing_was() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        lens.shows(picture("DC1:ONCE", move=9), 50.0)
        eyes.wait(SOON_S)
        lens.shows(np.full((360, 480), 60, np.uint8), 50.2)
        until(lambda: eyes.dropped == 1)
        assert texts(sighted(eyes)) == ["DC1:ONCE"]
        lens.shows(np.full((360, 480), 90, np.uint8), 50.4)
        assert sighted(eyes).symbols == ()


def test_a_leak_is_ended_between_two_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """4 MiB a frame: a new process before it has 80 MiB more, and no code is missed by it."""
    monkeypatch.setattr(process, "STEADY_READS", 16)
    lens, largest, pids = Lens(), 0, set()
    with opened(lens) as eyes:
        for number in range(80):
            lens.shows(picture(f"DC1:{number}", "leak", move=number), number / 15)
            assert texts(sighted(eyes)) == [f"DC1:{number}"]
            pids.add(child(eyes))
            largest = max(largest, rss_len(child(eyes)))
        assert eyes._supervisor._failed == 0
    assert len(pids) > 1
    assert largest < 160 * 2**20


def test_memory_is_flat_over_many_different_symbols() -> None:
    """`make soak` shows 100,000 frames."""
    soaked = soak(480, seed=1)
    assert soaked.flat, soaked
    assert soaked.processes == 1, soaked
    assert soaked.wrong == 0, soaked
    # No camera shows another scene in each frame: on a busy machine a rescue has one to itself.
    assert soaked.missed <= 15, soaked


def test_it_does_not_outlive_the_unit() -> None:
    """Not even a hung one, whose socket nobody reads."""
    script = (
        "import os, time\n"
        "from tests.edge.adapters.camera.test_camera_scanner import *\n"
        "lens = Lens()\n"
        "eyes = CameraScanner(lens, 'both', program=HARMED, deadline_s=60)\n"
        "read(lens, eyes, 'DC1:BEFORE')\n"
        "lens.shows(picture('DC1:DURING', 'spin'))\n"
        "time.sleep(0.3)\n"
        "print(child(eyes), flush=True)\n"
        "time.sleep(60)\n"
    )
    unit = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert unit.stdout is not None
    pid = int(unit.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    unit.kill()
    unit.wait()
    unit.stdout.close()
    until(lambda: not alive(pid))


def test_a_frame_is_nowhere_on_disk_when_the_decoder_crashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a core nor anything else, wherever a library likes to write."""
    monkeypatch.chdir(tmp_path)
    for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))  # as after `ulimit -c`
    needle = np.random.default_rng(1).integers(0, 256, 64, np.uint8)
    started_s = time.time()
    try:
        lens = Lens()
        with opened(lens) as eyes:
            for number, fault in enumerate(("segfault", "kill", "complain_and_die", "write")):
                shown = picture("DC1:DURING", fault, move=number)
                shown[-1, :64] = needle
                lens.shows(shown)
                until(lambda number=number: eyes._supervisor._failed == number + 1)
                read(lens, eyes, f"DC1:{number}")
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    places = [tmp_path, *map(Path, ("/dev/shm", "/var/tmp", "/var/crash", "/var/lib/systemd"))]
    holding = []
    for file in (file for place in places for file in place.rglob("*")):
        with contextlib.suppress(FileNotFoundError):  # another program's, which has removed it
            status = file.stat()
            if not file.is_file() or status.st_mtime < started_s - 1 or not status.st_size:
                continue
            if tmp_path in file.parents or needle.tobytes() in file.read_bytes():
                holding.append(file)
    assert holding == []


def test_a_frame_is_in_sealed_memory_without_a_name() -> None:
    """No file system knows it; nobody can cut it short; the decoder can only read it."""
    lens = Lens()
    with opened(lens) as eyes:
        read(lens, eyes, "DC1:BEFORE")
        memory = eyes._supervisor._decoder._memory
        assert memory is not None
        assert os.fstat(memory.fd).st_nlink == 0, "a name in a file system"
        assert str(Path(f"/proc/self/fd/{memory.fd}").readlink()).startswith("/memfd:frame")
        seals = fcntl.fcntl(memory.fd, fcntl.F_GET_SEALS)
        assert seals & fcntl.F_SEAL_SHRINK
        assert seals & fcntl.F_SEAL_GROW
        assert seals & fcntl.F_SEAL_SEAL
        with pytest.raises(PermissionError):
            decoder_messages.mmap.mmap(memory.fd, memory.length)  # to write
        with pytest.raises(PermissionError):
            os.ftruncate(memory.fd, 1)
        lens.shows(picture("DC1:SCRIBBLES", "scribble"))
        until(lambda: eyes._supervisor._failed == 1)
        assert "ValueError in" in eyes._supervisor._reason
        limits = Path(f"/proc/{child(eyes)}/limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        assert re.search(r"^Max file size +0 +0 ", limits, re.MULTILINE)
        opened_files = {str(link.readlink()) for link in Path(f"/proc/{child(eyes)}/fd").iterdir()}
        named = {name for name in opened_files if name.startswith("/")}
        assert named <= {"/dev/null", "/memfd:frame (deleted)"}


def test_no_core_is_dumped_even_where_a_pipe_would_take_it() -> None:
    """A core_pattern that is a pipe does not ask RLIMIT_CORE; what cannot be dumped belongs to
    root in /proc.
    """
    lens = Lens()
    code = (
        "import ctypes, sys\n"
        "from edge.sight import __main__ as program\n"
        "program.serve = lambda *_: sys.exit(ctypes.CDLL(None).prctl(3))\n"  # PR_GET_DUMPABLE
        "program.main()\n"
    )
    with (
        opened(lens, program=(sys.executable, "-P", "-c", code)) as eyes,
        pytest.raises(CameraLost, match="ended with status 0"),
    ):
        until(lambda: eyes.latest())


def test_complaints_do_not_stop_it_and_are_not_passed_on(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """zbar prints assertions; 500 kB of them fill every pipe."""
    lens = Lens()
    with opened(lens, report_s=0.2) as eyes:
        lens.shows(picture("DC1:DURING", "complain"))
        assert texts(sighted(eyes)) == ["DC1:DURING"]
        until(lambda: caplog.text)
    assert "500000 bytes" in caplog.text, "once for all of them"
    assert SECRET not in caplog.text + str(capfd.readouterr())


def test_frames_of_any_size_and_layout() -> None:
    lens = Lens()
    with opened(lens) as eyes:
        large = np.full((1500, 2000), 250, np.uint8)
        code = np.kron(symbol("DC1:LARGE"), np.ones((3, 3), np.uint8))
        large[100 : 100 + len(code), 100 : 100 + len(code)] = code
        for luma, text in (
            (picture("DC1:SMALL")[:300, :300], "DC1:SMALL"),
            (large, "DC1:LARGE"),
            (np.asfortranarray(picture("DC1:TURNED")), "DC1:TURNED"),
            (large[::2, ::2], "DC1:LARGE"),
        ):
            lens.shows(luma)
            told = sighted(eyes)
            assert texts(told) == [text]
            assert told.size == luma.shape[::-1]
        lens.shows(np.zeros((1, 1), np.uint8))
        assert sighted(eyes).size == (1, 1)


def test_the_unit_itself_loads_no_decoder() -> None:
    """They crash and take memory: only their own process has them."""
    code = (
        "import sys, edge.adapters.camera.camera_scanner\n"
        "print({'cv2', 'zxingcpp', 'pyzbar', 'multiprocessing'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


def test_nonsense_from_the_decoder_ends_it() -> None:
    """It reads what strangers show: it may be anything by now."""
    code = (
        "import sys, socket\n"
        "s = socket.socket(fileno=int(sys.argv[1]))\n"
        "s.send(bytes.fromhex('91ac4465636f6465725265616479'))\n"
        "s.recv(100); s.send(bytes.fromhex({!r})); s.recv(100)\n"
    )
    deep = "92ac4465636f6465725265616479" + "91" * 2000  # deeper than Python recurses
    for hurt in (
        "c1",
        "93aa52656164526573756c74c0c0",
        "91ac4465636f6465725265616479",
        "91aa526561644661696c6564",
        deep,
    ):
        decoder = Decoder("both", 5.0, (sys.executable, "-c", code.format(hurt)))
        decoder.start(0.0)
        with pytest.raises(DecoderLost, match=r"answered nonsense|out of turn"):
            decoder.read(picture("DC1:HELLO"), 0.0)
        assert not decoder.running
        decoder.close()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def rss_len(pid: int) -> int:
    statm = Path(f"/proc/{pid}/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGESIZE")


def test_memory_is_locked_where_it_may_be() -> None:
    """As under the service: with no limit, the decoder locks what it has and what it gets."""
    before = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    except ValueError:
        pytest.skip("the limit of locked memory may not be raised here")
    lens = Lens()
    try:
        with opened(lens) as eyes:
            read(lens, eyes, "DC1:LOCKED")
            status = Path(f"/proc/{child(eyes)}/status").read_text()
            locked_kib = int(re.findall(r"^VmLck:\s+(\d+) kB", status, re.MULTILINE)[0])
            assert locked_kib > 10_000
            assert rss_len(child(eyes)) < 100 * 2**20, "on fault: not all that is mapped"
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, before)
