"""A Raspberry Pi 3B in QEMU: booted with a folder as part of its memory disk, given commands over a
serial line, and ended whatever happens.
"""

import base64
import re
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.hardware import trixie
from tests.hardware.qemu.pins import QemuPins

PI = trixie.ROOT / ".cache" / "raspi3b"

START_S = 60.0  # the most until QEMU itself is there
BOOT_S = 300.0
"""The most that a boot may take on a busy machine."""
LIFE_S = 1500
"""After this long QEMU is killed by a process of its own, whatever became of the test."""
CONSOLE_LINES = 40
CHUNK = 2000  # bytes of base64 in one command; a Linux terminal's buffer holds 4,096

_READY = re.compile(rb"ready\n\Z")
_ENDED = re.compile(rb"\n=(\d+)=\n\Z")  # as `init` says it


class GuestFailed(AssertionError):
    """A command failed in the guest, or did not end; the message ends with its console."""


class Pi:
    """One boot. Use it as a context."""

    def __init__(
        self, contents: Path, work: Path, options: str, disk: Path = PI / "root.cpio"
    ) -> None:
        """`contents`: what is laid over the memory `disk`; `options`: for the kernel, as in
        cmdline.txt; `work`: an empty folder. Returns when the kernel has been started.
        """
        if not (PI / "made").exists():
            pytest.fail("the Raspberry Pi for QEMU is missing; run: make .cache/raspi3b")
        trixie.has("qemu")
        self._console = work / "console"
        self._work = work
        self._opened = ExitStack()
        self.name = str(work).strip("/").replace("/", "-")
        """By which its process is known."""
        self._hung = ""  # the command that did not end
        self._lay(contents, disk)
        try:
            listening = [self._listen(name) for name in ("qtest", "commands", "monitor")]
            qemu = self._start(options)
            self._opened.callback(self._end, qemu)
            qtest, self._commands, monitor = [self._accepted(one, qemu) for one in listening]
            self._commands.settimeout(1)
            self._opened.callback(_quit, monitor)  # before the sockets are closed
            self.pins = QemuPins(qtest)
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> "Pi":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def ready(self) -> None:
        """Wait until the guest takes commands."""
        self._answer(_READY, BOOT_S, "boot")
        (self._work / "disk.cpio").unlink()  # 300 MB, and the guest has its own

    def run(self, command: str, most_s: float = 60.0, code: int = 0) -> str:
        """What a shell command printed in the guest. Raises GuestFailed unless it ends with `code`
        within `most_s`.
        """
        if self._hung:
            raise GuestFailed(f"{command!r} was not tried: the guest hangs since {self._hung!r}")
        self._commands.sendall(command.encode() + b"\n")
        said, ended = self._answer(_ENDED, most_s, command)
        if int(ended[1]) != code:
            raise GuestFailed(
                f"{command!r} ended with {int(ended[1])}, not {code}: {said}{self.console()}"
            )
        return said

    def put(self, path: str, data: bytes) -> None:
        """A file in the guest, there from one moment to the next."""
        text = base64.b64encode(data).decode()
        for at in range(0, len(text), CHUNK):
            self.run(f"echo {text[at : at + CHUNK]} >>/tmp/put")
        folder, _, name = path.rpartition("/")
        self.run(f"base64 -d /tmp/put >{folder}/.put && mv {folder}/.put {folder}/{name}")
        self.run("rm /tmp/put")

    def console(self) -> str:
        """The last lines of the guest's console, for a failure's message."""
        try:
            lines = self._console.read_text(errors="replace").splitlines()
        except OSError:
            lines = ["(nothing)"]
        return "\nthe guest's console ended with:\n" + "\n".join(lines[-CONSOLE_LINES:])

    def _lay(self, contents: Path, over: Path) -> None:
        """The memory disk of this boot: what was made once, and `contents` over it."""
        packed = trixie.run(
            "sh", "-c", "cd /mnt/contents && find . | cpio --quiet -o -H newc >/mnt/boot/over.cpio",
            binds={contents: "/mnt/contents", self._work: "/mnt/boot"},
        )  # fmt: skip
        assert packed.returncode == 0, packed.stderr
        with (self._work / "disk.cpio").open("wb") as disk:
            for part in (over, self._work / "over.cpio"):
                with part.open("rb") as opened:
                    shutil.copyfileobj(opened, disk, 1 << 20)

    def _start(self, options: str) -> "subprocess.Popen[bytes]":
        # `ramfs`: the other memory disk that Linux has holds no more than half of what is free.
        append = f"console=ttyAMA0 rootfstype=ramfs loglevel=6 {options}"
        socket_ = "unix:/mnt/boot/"
        command = trixie.command(
            "timeout", "-s", "KILL", str(LIFE_S), "setpriv", "--pdeathsig", "KILL",
            "qemu-system-aarch64", "-name", self.name, "-M", "raspi3b",
            "-accel", "tcg,thread=multi", "-display", "none", "-no-reboot",
            "-kernel", "/mnt/pi/vmlinuz", "-dtb", "/mnt/pi/pi.dtb",
            "-initrd", "/mnt/boot/disk.cpio", "-append", append,
            "-device", "ds1338,bus=i2c-bus.1,address=0x68",
            "-serial", "file:/mnt/boot/console", "-serial", f"{socket_}commands",
            "-monitor", f"{socket_}monitor", "-qtest", f"{socket_}qtest", "-qtest-log", "none",
            binds={PI.resolve(): "/mnt/pi", self._work: "/mnt/boot"},
        )  # fmt: skip
        # The kernel ends it if this process dies without a word, be it by SIGKILL.
        with (self._work / "qemu").open("wb") as said:
            return subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip

    def _listen(self, name: str) -> socket.socket:
        """We listen and QEMU calls: nothing to wait for, and no rights of root's to need."""
        listening = socket.socket(socket.AF_UNIX)
        self._opened.callback(listening.close)
        listening.bind(str(self._work / name))
        (self._work / name).chmod(0o777)
        listening.listen(1)
        listening.settimeout(1)
        return listening

    def _accepted(self, listening: socket.socket, qemu: "subprocess.Popen[bytes]") -> socket.socket:
        until_s = time.monotonic() + START_S
        while True:
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                if qemu.poll() is None and time.monotonic() < until_s:
                    continue
                said = (self._work / "qemu").read_text(errors="replace")
                raise GuestFailed(f"QEMU did not start: {said}") from None
            self._opened.callback(connection.close)
            return connection

    def _answer(
        self, until: re.Pattern[bytes], most_s: float, what: str
    ) -> tuple[str, re.Match[bytes]]:
        """What the guest says next, and the end that it was read to. Raises GuestFailed."""
        until_s = time.monotonic() + most_s
        said = b""
        while (ended := until.search(said.replace(b"\r", b""))) is None:
            try:
                more = self._commands.recv(65536)
                why = "" if more else "QEMU has ended"
                said += more
            except TimeoutError:
                why = f"no answer within {most_s:.0f} s" if time.monotonic() > until_s else ""
            if not why and b"Kernel panic" in self._console.read_bytes():
                why = "the kernel gave up"
            if why:
                self._hung = what
                text = said.decode(errors="replace")
                raise GuestFailed(f"in the guest, {what!r}: {why}: {text}{self.console()}")
        return ended.string[: ended.start()].decode(errors="replace"), ended

    def _end(self, qemu: "subprocess.Popen[bytes]") -> None:
        try:
            qemu.wait(10)
        except subprocess.TimeoutExpired:
            qemu.kill()
            qemu.wait(10)
        for name in ("disk.cpio", "over.cpio"):
            (self._work / name).unlink(missing_ok=True)


def _quit(monitor: socket.socket) -> None:
    with suppress(OSError):  # it may be gone
        monitor.sendall(b"quit\n")
