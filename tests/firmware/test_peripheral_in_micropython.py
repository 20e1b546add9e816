"""The controller's tests in MicroPython's own interpreter; and they notice a broken line."""

# ruff: noqa: E501 -- a table of source lines

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.system  # real processes

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FIRMWARE = ROOT / "firmware"
INTERPRETER = ROOT / ".cache" / "micropython-js"
MODULES = ("test_frames", "test_secure", "test_controller")
FILES = (
    "guard",
    "frames",
    "secure",
    "backoff",
    "inputs",
    "lights",
    "latch",
    "peripheral",
    "controller",
)


def run(firmware: Path, module: str) -> subprocess.CompletedProcess[str]:
    """The tests of `module` in MicroPython, on the firmware in this folder."""
    node = shutil.which("node")
    if node is None or not (INTERPRETER / "micropython.mjs").exists():
        pytest.fail("MicroPython's interpreter is missing; run: make .cache/micropython")
    files = [*(firmware / f"{name}.py" for name in FILES), HERE / "panel.py", HERE / f"{module}.py"]
    return subprocess.run(
        [node, HERE / "run.mjs", INTERPRETER, module, *files],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def run_in_cpython(firmware: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """One class of tests in CPython, which is quicker."""
    return subprocess.run(
        [sys.executable, "-m", "unittest", "-f", tests],
        env={**os.environ, "PYTHONPATH": f"{firmware}{os.pathsep}{HERE}"},
        cwd=firmware,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("module", MODULES)
def test_in_micropython(module: str) -> None:
    done = run(FIRMWARE, module)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.search(r"Ran (\d+) tests", done.stdout)
    assert ran is not None
    written = re.findall(r"^    def test_", (HERE / f"{module}.py").read_text(), re.MULTILINE)
    assert int(ran[1]) == len(written)
    assert "MicroPython 1." in done.stdout
    assert "skipped" not in done.stdout


SESSION, RELAY, LINE, HOSTILE, INPUTS, LATCH, LIGHTS = (
    f"test_controller.{name}Test"
    for name in ("Session", "Relay", "Line", "Hostile", "Inputs", "Latch", "Lights")
)
STREAM, CHANNEL = "test_frames.StreamTest", "test_secure.SessionTest"

BROKEN = {  # which file, which line, how it is broken, which tests notice
    "another polynomial": ("frames", "(crc << 1) ^ 0x1021", "(crc << 1) ^ 0x1081", "test_frames.CrcTest"),
    "any CRC": ("frames", "and crc16(raw[:-2]) == raw[-2] | raw[-1] << 8", "", STREAM),
    "a check sum": ("frames", "if raw[4] & _CRC and", "if", STREAM),
    "too long a frame": ("frames", "LEN_MIN <= length <= LEN_MAX", "LEN_MIN <= length", STREAM),
    "too short a frame": ("frames", "LEN_MIN <= length <=", "0 <= length <=", STREAM),
    "a gap in a frame": ("frames", "<= GAP_MS:", "<= 10 * GAP_MS:", STREAM),
    "no look inside": ("frames", "                self._buffer = self._buffer[1:]\n\n", "                self._buffer = b''\n\n", STREAM),
    "a search without end": ("frames", "if bad_crcs > BAD_CRC_MAX:", "if False:", STREAM),
    "a device's own answer": ("frames", "if raw[1] & _REPLY:", "if False:", STREAM),
    "a block that does not fit": ("frames", "size >= 2 and 5 + size", "5 + 0 * size", STREAM),
    "any key": ("secure", "key is None or len(key) != 16 or", "", "test_secure.KeyTest"),
    "the default key": ("secure", " or key == DEFAULT_KEY", "", "test_secure.KeyTest"),
    "the default key is configured": ("peripheral", "key if is_usable_key(key) else None", "key", SESSION),
    "the default key is asked for": ("peripheral", " or frame.selector == 0", "", SESSION),
    "any cryptogram": ("secure", "if not equal(cryptogram, self._expected):", "if False:", CHANNEL),
    "the device's own cryptogram": ("secure", "equal(cryptogram, self._expected)", "equal(cryptogram, self.cryptogram)", CHANNEL),
    "any MAC": ("secure", "if not equal(mac, c_mac[:4]):", "if False:", HOSTILE),
    "half a MAC": ("secure", "if not equal(mac, c_mac[:4]):", "if not equal(mac[:2], c_mac[:2]):", HOSTILE),
    "no chain": ("secure", "self._chain(signed, self._r_mac)", "self._chain(signed, bytes(16))", CHANNEL),
    "a wrong MAC goes into the chain": ("secure", "        if not equal(mac, c_mac[:4]):\n", "        self._r_mac = c_mac\n        if not equal(mac, c_mac[:4]):\n", CHANNEL),
    "any padding": ("secure", "plain[end - 1] != 0x80", "False", CHANNEL),
    "a block of padding": ("secure", " or len(plain) - end >= 16", "", CHANNEL),
    "the same random bytes": ("peripheral", "rnd_b = unique_challenge(", "rnd_b = bytes(8) and unique_challenge(bytes(16), 0, 0, bytes(8)) or (", HOSTILE),
    "challenges are not counted": ("peripheral", "self._challenges += 1", "pass", HOSTILE),
    "starts are not counted": ("peripheral", "self._starts = starts", "self._starts = 0", HOSTILE),
    "only what is counted": ("secure", "counters + noise", "counters + bytes(8)", "test_secure.FreshTest"),
    "a challenge tells a session's key": ("secure", 'b"\\x02" + counters', 'b"\\x01" + counters', "test_secure.FreshTest"),
    "a door for all addresses": ("peripheral", "if frame.address == self._address:", "if True:", SESSION),
    "a session without a proof": ("peripheral", "self._valid_ms = now_ms\n            data", "self._proven = True\n            data", SESSION),
    "a session of anybody": ("peripheral", "        if not self._proven:\n            self._reply_unsecured", "        if self._session is None:\n            self._reply_unsecured", SESSION),
    "a frame is carried out again": ("peripheral", "elif frame.raw == self._last_frame:", "elif False:", LINE),
    "number 0 keeps the session": ("peripheral", "if frame.sequence == 0:\n            self._end(now_ms)", "if frame.sequence == 0:\n            pass", LINE),
    "any number": ("peripheral", "is_next = frame.sequence == self._sequence % 3 + 1", "is_next = True", LINE),
    "a late frame ends the session": ("peripheral", "if not is_valid and not is_next:", "if False:", LINE),
    "a flood is kept for later": ("peripheral", "                self._stream.clear()\n", "", LINE),
    "a flood is answered": ("peripheral", "if count == FRAMES_MAX:", "if False:", LINE),
    "a session without end": ("peripheral", "< SESSION_MS:", "< 100 * SESSION_MS:", SESSION),
    "plain frames are served in a session": ("peripheral", "elif self._proven:", "elif False:", LINE),
    "a status query is refused": ("peripheral", "if frame.id in _STATUS:\n", "if False:\n", HOSTILE),
    "no failure counts": ("peripheral", "self._backoff.note_failure(now_ms)", "pass", HOSTILE),
    "no back-off": ("peripheral", "if self._backoff.is_waiting(now_ms):", "if False:", HOSTILE),
    "the back-off does not grow": ("backoff", "min(self._next_wait_ms * 2, WAIT_MS_MAX)", "WAIT_MS_MIN", HOSTILE),
    "the back-off grows on": ("backoff", "min(self._next_wait_ms * 2, WAIT_MS_MAX)", "self._next_wait_ms * 2", HOSTILE),
    "failures add up for ever": ("backoff", "> FAILURES_MS:", "> 100 * FAILURES_MS:", HOSTILE),
    "the back-off never shortens": ("backoff", "if quiet_ms >= QUIET_MS:", "if False:", HOSTILE),
    "on for ever": ("controller", "elif code == 5 and", "elif code in (2, 4, 5) and", RELAY),
    "a pulse that was held back": ("controller", "and not late ", "", RELAY),
    "off is not heard": ("controller", "if code in (1, 6):", "if False:", RELAY),
    "any output": ("controller", "if output != 0:", "if False:", RELAY),
    "a pulse outlives its session": ("controller", "        self._guard.end_pulse(now_ms)\n        self._report_pending", "        self._report_pending", RELAY),
    "repeats keep the link": ("peripheral", "            self._reply = self._last_reply  #", "            self._door.note_frame(now_ms)\n            self._reply = self._last_reply  #", LINE),
    "opens while latched": ("controller", " and not self._latch.on", "", LATCH),
    "a latch lets a pulse go on": ("controller", "        if latched:\n            self._guard.end_pulse(now_ms)\n", "", LATCH),
    "no latch by tamper": ("latch", "if self._tamper and tampered:", "if False:", LATCH),
    "no latch by the link": ("latch", "if self._link and self._had_session and", "if False and", LATCH),
    "a latch before any session": ("latch", "self._link and self._had_session and", "self._link and", LATCH),
    "re-armed at a touch": ("latch", "< REARM_MS:", "< 10:", LATCH),
    "re-armed by a stuck button": ("latch", "            self._released = False\n        elif self._released", "            pass\n        elif self._released", LATCH),
    "re-armed by a button stuck at power-on": ("latch", "self._released = False  #", "self._released = True  #", LATCH),
    "not stored": ("latch", "self.on = bool(on)", "self.on = False", LATCH),
    "bounce is told": ("inputs", "stable_ms >= DEBOUNCE_MS:", "stable_ms >= 0:", INPUTS),
    "only the newest change": ("inputs", "if len(self._changes) >= CHANGES_MAX:", "if self._changes:", INPUTS),
    "changes without end": ("inputs", "if len(self._changes) >= CHANGES_MAX:", "if False:", INPUTS),
    "a change is told for ever": ("controller", "            self._inputs.drop_oldest()\n", "", INPUTS),
    "a change is lost with its answer": ("controller", "self._report_pending = True", "self._report_pending = False\n        self._inputs.drop_oldest()", INPUTS),
    "a query runs ahead of the polls": ("controller", "return self._next_change() or self.status(code, now_ms)", "return self.status(code, now_ms)", INPUTS),
    "a new session hears nothing": ("controller", "        self._inputs.report_all()\n", "", INPUTS),
    "lights outlive the link": ("lights", "            self._light.stop()\n            self._buzzer.stop()\n            colour", "            colour", LIGHTS),
    "no red flash": ("lights", "RED if elapsed_ms < FLASH_MS else 0", "0", LIGHTS),
    "a light for ever": ("lights", "elif code == 2 and length_ms:", "elif code == 2:\n                length_ms = length_ms or 10**6", LIGHTS),
}  # fmt: skip
MICROPYTHON = {"any CRC": "test_frames", "half a MAC": "test_secure"}
"""Those that are tried there too, the quick ones; the others need only CPython."""


def broken(case: str, folder: Path) -> str:
    """Put a firmware with this line broken into `folder`; return which tests should notice."""
    name, line, other, tests = BROKEN[case]
    for file in FILES:
        shutil.copy(FIRMWARE / f"{file}.py", folder)
    text = (folder / f"{name}.py").read_text()
    assert text.count(line) == 1, f"{line!r} is not in {name}.py once"
    (folder / f"{name}.py").write_text(text.replace(line, other))
    return tests


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_line_is_noticed(tmp_path: Path, case: str) -> None:
    done = run_in_cpython(tmp_path, broken(case, tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL" in done.stderr or "ERROR" in done.stderr


@pytest.mark.parametrize("case", MICROPYTHON)
def test_a_broken_line_is_noticed_in_micropython(tmp_path: Path, case: str) -> None:
    broken(case, tmp_path)
    assert run(tmp_path, MICROPYTHON[case]).returncode == 1


def test_every_class_of_tests_passes_on_the_whole_firmware(tmp_path: Path) -> None:
    """Or a broken line would prove nothing."""
    for file in FILES:
        shutil.copy(FIRMWARE / f"{file}.py", tmp_path)
    for module in MODULES:
        done = run_in_cpython(tmp_path, module)
        assert done.returncode == 0, done.stderr
