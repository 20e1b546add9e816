"""The trust documents of a unit on its disk: two generations, each whole or not there.

A generation is a folder with a number: `metadata` as python-tuf keeps it, `targets`, and the file
`accepted`. The next one is made beside them, brought to the disk and then renamed to its number:
the rename is the switch, and the highest number is the one in use. The one before it stays.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge import files

_PASSING = ".next-"


class Generations:
    """The generations in `folder`. Methods raise OSError."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest_first(self) -> list[Path]:
        """What there is; none where nothing was ever accepted."""
        if not self._folder.is_dir():
            return []
        numbered = [p for p in self._folder.iterdir() if p.name.isdecimal() and p.is_dir()]
        return sorted(numbered, key=lambda p: int(p.name), reverse=True)

    @contextmanager
    def next(self, base: Path | None) -> Iterator[Path]:
        """A folder to make the next generation in, begun as `base`; gone unless it was taken."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for left in self._folder.glob(f"{_PASSING}*"):  # by a program that was killed
            shutil.rmtree(left, ignore_errors=True)
        passing = Path(tempfile.mkdtemp(prefix=_PASSING, dir=self._folder))
        try:
            copy(base, passing)
            yield passing
        finally:
            shutil.rmtree(passing, ignore_errors=True)

    def take(self, passing: Path, before: Path | None) -> Path:
        """Make `passing` the one in use: on the disk first, then under its number.

        Of the others only `before`, the one that was in use, is kept.
        """
        for folder, _, names in os.walk(passing, topdown=False):
            for path in (Path(folder, name) for name in names):
                if not path.is_symlink() and path.stat().st_nlink == 1:  # others are there already
                    files.sync(path)
            files.sync(Path(folder))
        there = self.newest_first()
        taken = self._folder / f"{int(there[0].name) + 1 if there else 1:08d}"
        passing.rename(taken)
        files.sync(self._folder)
        for old in self.newest_first():
            if old not in (taken, before):
                shutil.rmtree(old, ignore_errors=True)
        return taken


def copy(generation: Path | None, to: Path) -> None:
    """Begin `to` as `generation`. Files are linked where the disk can do that: python-tuf replaces
    files and never writes into one, and `edge.adapters.trust.client` keeps to that as well.
    """
    for name in ("metadata", "targets"):
        (to / name).mkdir(parents=True, exist_ok=True)
    for path in sorted(generation.rglob("*")) if generation else ():
        if path.is_symlink() or not path.is_file():
            continue  # python-tuf's link to its newest root: made again at each start
        new = to / path.relative_to(generation or path)
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, new)
        except OSError:  # another disk, or one without links
            shutil.copyfile(path, new)
