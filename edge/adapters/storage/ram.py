"""Memory that outlives the program and not the power: one file in a folder that is only RAM.

systemd makes the folder (`RuntimeDirectory` in menshen-edge.service) and keeps it over a restart
of the program. The boot's id goes in front: Linux's monotonic clock goes on from one program to
the next within a boot, and a file of another boot is nobody's.
"""

import logging
import os
import re
import stat
from pathlib import Path

from edge import files
from edge.parts import StoreLost

log = logging.getLogger("menshen")

PASSED = "passed"
SYNC = "sync"
LEN_MAX = 4 * 1024 * 1024  # bytes; what the stages bound is far below

_SENTENCES = {  # what each holds, and what follows when it cannot be written
    PASSED: ("who passed", "who passed could not be remembered, so nobody passes"),
    SYNC: ("the last sync", "a restart of the program will not know the time"),
}

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOUNTS = Path("/proc/self/mountinfo")
SWAPS = Path("/proc/swaps")
RAM_ONLY = frozenset({"tmpfs", "ramfs"})


class RamFile:
    """One file of a unit's memory in `folder`. Raises StoreLost, here and in `save`."""

    def __init__(
        self,
        folder: Path,
        boot_id: Path = BOOT_ID,
        mounts: Path = MOUNTS,
        swaps: Path = SWAPS,
        file: str = PASSED,
    ) -> None:
        """`boot_id`, `mounts`, `swaps`: Linux's own files (proc(5))."""
        self._path = folder / file
        self._what, self._then = _SENTENCES[file]
        try:
            kind = file_system(folder, mounts.read_text("utf-8", "surrogateescape"))
            self._boot = boot_id.read_bytes().strip() + b"\n"
            if file == PASSED:
                self._swaps_to_disk(swaps)
        except OSError as error:
            raise StoreLost(
                f"the runtime folder {folder} cannot be used ({error.strerror}); start the unit "
                "as the service menshen-edge, which makes /run/menshen"
            ) from None
        if kind not in RAM_ONLY:
            raise StoreLost(
                f"the runtime folder {folder} is on {kind}, which would keep who passed beyond a "
                "power cut; name one in RAM (tmpfs), as /run/menshen"
            )

    def load(self) -> bytes | None:
        """What was saved last in this boot; None when there is nothing that can be trusted."""
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("%s cannot be read (%s); %s is forgotten", self._path, error, self._what)
            return None
        with os.fdopen(file, "rb") as opened:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
                log.warning(
                    "%s is not this unit's own file; %s is forgotten", self._path, self._what
                )
                return None
            data = opened.read(LEN_MAX + 1)
        if len(data) > LEN_MAX or not data.startswith(self._boot):
            return None
        return data[len(self._boot) :]

    def save(self, data: bytes) -> None:
        """Put `data` in the place of what was there, whole or not at all."""
        try:
            files.replace(self._path, self._boot + data, mode=0o600, durable=False)
        except OSError as error:
            raise StoreLost(
                f"{self._path} cannot be written ({error.strerror}); {self._then}: "
                "make room in the runtime folder"
            ) from None

    @staticmethod
    def _swaps_to_disk(swaps: Path) -> None:
        """RAM that is swapped out is on the card: say so."""
        used = [line.split()[0] for line in swaps.read_text().splitlines()[1:] if line.strip()]
        on_disk = [name for name in used if not re.fullmatch(r"/(dev/)?zram\d+", name)]
        if on_disk:
            log.warning(
                "this computer swaps to %s, where what the unit forgets may stay; turn swap off",
                on_disk[0],
            )


class ProcessMemory:
    """No folder in RAM: a restart of the program forgets, as a power cut does."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    def load(self) -> bytes | None:
        """What this process has saved."""
        return self._data

    def save(self, data: bytes) -> None:
        """Keep it."""
        self._data = data


def file_system(folder: Path, mountinfo: str) -> str:
    """The type of the file system that `folder` is on. Raises OSError when there is no such folder.

    `mountinfo`: the lines of /proc/self/mountinfo (proc(5)); of two mounts on one point the later
    lies on top.
    """
    inside = folder.resolve(strict=True)
    if not inside.is_dir():
        raise NotADirectoryError(20, "it is no folder", str(folder))
    kind, depth = "an unknown file system", -1
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if inside.is_relative_to(point) and len(point.parts) >= depth:
            kind, depth = after.split(" ")[0], len(point.parts)
    return kind
