"""The pictures and frames of a run, each shown to every reader, by as many processes as cores.

A task is small and made from its numbers and the seed alone, so it does not matter which process
does it; each reader does its part of a task in the same process, one after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from tests import scenes
from tests.bench.sight import photos, shown
from tests.bench.sight.judge import alone
from tests.bench.sight.photos import Photo
from tests.bench.sight.race import RaceRead, after, race, timed
from tests.bench.sight.readers import READERS, Reader, Sight, stream
from tests.bench.sight.said import among, plain
from tests.bench.sight.visits import FRAMES, FRAMES_A_SECOND, Attended, attend
from tests.scenes import Luma
from tests.scenes.sweep import HARDSHIPS, easy

SMALL = (320, 180)  # the camera's low-resolution stream
EMPTY_FRAMES = 12  # of a stream in which people pass
EMPTY = ("hall", "clutter", "quiet")
RESTING_FRAMES = 45  # three seconds in which nothing moves
SETTLED = 15  # of them, in which a unit still looks again because something may have moved
RESTING = ("hall", "code", "usb")
"""An empty hall; a code held up all the while; the hall, by a camera that gives no small frames."""
PEERS_EVERY = 10  # a resting frame is like the one before: peers are timed on some of them


class Task(NamedTuple):
    """What to show: `kind` names a function below, the rest are its numbers."""

    kind: str
    group: int  # QR version, hardship
    level: int
    number: int
    weight: int  # in pictures, for the progress bar


@dataclass(slots=True)
class DecoderResult:
    """What the readers made of one picture, or of one stream of frames."""

    kind: str
    group: str
    category: str
    name: str
    known: bool = True  # what it says
    read: dict[str, bool] = field(default_factory=dict)
    cpu_s: dict[str, list[float]] = field(default_factory=dict)  # of each frame
    wrong: list[tuple[str, str]] = field(default_factory=list)  # reader, text that is not there
    alone: list[tuple[str, str]] = field(default_factory=list)  # reader, text nobody can judge
    attended: dict[str, Attended] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What all tasks share."""

    seed: int
    folder: Path | None = None
    photos: tuple[Photo, ...] = ()
    readers: Sequence[Reader] = READERS


def tasks(count: int, run: Run) -> list[Task]:
    """A run's tasks: `count` visits and as many stills of each code, the rest in proportion."""
    made = [Task("photo", 0, 0, i, 1) for i in range(len(run.photos))]
    few, some = max(1, count // 20), max(1, count // 4)
    for version in shown.KINDS:
        made += [Task("still", version, 0, i, 1) for i in range(count)]
        made += [Task("visit", version, 0, i, 6) for i in range(count)]
        made += [Task("dark", version, 0, i, 1) for i in range(some)]
    for scene in range(len(EMPTY)):
        made += [Task("empty", scene, 0, i, EMPTY_FRAMES) for i in range(few)]
    for scene in range(len(RESTING)):
        made += [Task("rest", scene, 0, i, 4) for i in range(few)]
    for hardship, worse in enumerate(HARDSHIPS):
        for level in range(len(worse.levels)):
            made += [Task("sweep", hardship, level, i, 1) for i in range(max(1, round(count / 12)))]
    return made


def do(task: Task, run: Run) -> DecoderResult:
    """Show one task to the readers."""
    return _DO[task.kind](task, run)


def _photo(task: Task, run: Run) -> DecoderResult:
    photo = run.photos[task.number]
    assert run.folder is not None
    luma = photos.luma(run.folder / photo.file)
    seen = DecoderResult("photo", photo.corpus, photo.category, photo.file, known=bool(photo.texts))
    taken = race(luma, run.readers, task.number)
    known = frozenset(
        plain(text) for p in run.photos if p.corpus == photo.corpus for text in p.texts
    )
    _judged(seen, taken, photo.texts)
    others = {data for t in taken.values() for data in t.said if not among(data, photo.texts)}
    wrong = set(alone(luma, others, known))
    for name, t in taken.items():
        told = seen.wrong if photo.texts else seen.alone
        told += [(name, _shown(data)) for data in t.said if data in wrong]
    return seen


def _still(task: Task, run: Run) -> DecoderResult:
    rng = _rng(run, task)
    text = shown.code(task.group, task.number)
    seen = DecoderResult("still", str(task.group), "", f"{task.group}-{task.number}")
    return _scene(seen, scenes.still(text, rng), text, task, run)


def _dark(task: Task, run: Run) -> DecoderResult:
    """Dark mode, and nothing else that is hard."""
    rng = _rng(run, task)
    text = shown.code(task.group, task.number)
    hardship = HARDSHIPS[-1]
    look = hardship.worsen(easy(text, rng), hardship.levels[0])
    assert look.inverted
    seen = DecoderResult("dark", str(task.group), "", f"{task.group}-{task.number}")
    return _scene(seen, scenes.still(text, rng, look), text, task, run)


def _sweep(task: Task, run: Run) -> DecoderResult:
    rng = np.random.default_rng((run.seed, 4, task.number))  # at every level the same person
    hardship = HARDSHIPS[task.group]
    text = shown.code(8, task.number)
    look = hardship.worsen(easy(text, rng), hardship.levels[task.level])
    seen = DecoderResult(
        "sweep", hardship.name, f"{hardship.levels[task.level]:g}", str(task.number)
    )
    return _scene(seen, scenes.still(text, rng, look), text, task, run)


def _scene(seen: DecoderResult, luma: Luma, text: str, task: Task, run: Run) -> DecoderResult:
    taken = race(luma, run.readers, task.number)
    _judged(seen, taken, [text])
    for name, t in taken.items():
        seen.wrong += [(name, _shown(data)) for data in t.said if data != text.encode()]
    return seen


def _empty(task: Task, run: Run) -> DecoderResult:
    """People pass before a hall or before clutter and show nothing; every frame is looked at.

    `quiet`: of those before a hall the frames alone in which nothing was located or suspected.
    """
    rng = _rng(run, task)
    scene = EMPTY[task.group]
    behind = scenes.cluttered(rng) if scene == "clutter" else None
    seen = DecoderResult("empty", scene, "", str(task.number))
    frames = list(scenes.passing(rng, EMPTY_FRAMES, behind))
    smalls = [_small(luma) for luma in frames]
    suspected = set()
    costs: dict[str, list[RaceRead]] = {}
    for reader in _turned(run, task):
        door = stream(reader, gated=False)
        for i, (luma, small) in enumerate(zip(frames, smalls, strict=True)):
            taken = timed(door.look, luma, small, i / FRAMES_A_SECOND)
            costs.setdefault(reader.name, []).append(taken)
            if isinstance(door, Sight) and door.suspected:
                suspected.add(i)
            seen.wrong += [(reader.name, _shown(data)) for data in taken.said]
    counted = [i for i in range(EMPTY_FRAMES) if scene != "quiet" or i not in suspected]
    for at, i in enumerate(counted):
        for name, each in costs.items():
            _cost(seen, name, each[i])
        _both(seen, run, at)
    return seen


def _turned(run: Run, task: Task) -> list[Reader]:
    """Who reads alone, each in its turn the first to see a stream; it sees all of it in a row, as
    at a door, where no other decoder takes the caches between two frames."""
    alone = [r for r in run.readers if r.read is not None]
    shift = task.number % len(alone)
    return alone[shift:] + alone[:shift]


def _both(seen: DecoderResult, run: Run, frame: int) -> None:
    """Where nothing is shown, two decoders one after the other cost both."""
    for r in run.readers:
        if r.read is None:
            both = seen.cpu_s[r.first][frame] + seen.cpu_s[r.after][frame]
            seen.cpu_s.setdefault(r.name, []).append(both)


def _rest(task: Task, run: Run) -> DecoderResult:
    """A scene at rest, noise alone."""
    rng = _rng(run, task)
    scene = RESTING[task.group]
    text = shown.code(8, task.number) if scene == "code" else None
    seen = DecoderResult("rest", scene, "", str(task.number))
    frames = list(scenes.resting(rng, RESTING_FRAMES, text))
    smalls = [None if scene == "usb" else _small(luma) for luma in frames]
    for reader in _turned(run, task):
        door = stream(reader)
        for i, (luma, small) in enumerate(zip(frames, smalls, strict=True)):
            if reader.stream is None and i % PEERS_EVERY > 1:
                continue
            taken = timed(door.look, luma, small, i / FRAMES_A_SECOND)
            if i >= SETTLED and (reader.stream is not None or i % PEERS_EVERY == 1):
                _cost(seen, reader.name, taken)
    return seen


def _visit(task: Task, run: Run) -> DecoderResult:
    rng = _rng(run, task)
    text = shown.code(task.group, task.number)
    behind = scenes.hall(rng)
    before = scenes.empty(rng, behind)
    frames = list(scenes.visit(text, rng, FRAMES, behind))
    smalls = [_small(luma) for luma in frames]
    seen = DecoderResult("visit", str(task.group), "", f"{task.group}-{task.number}")
    known: dict[tuple[str, int], RaceRead] = {}  # a stateless reader's, so that each looks once

    def picture(reader: Reader, i: int) -> RaceRead:
        if (reader.name, i) not in known:
            assert reader.read is not None
            known[reader.name, i] = timed(reader.read, frames[i])
        return known[reader.name, i]

    def looker(reader: Reader) -> Callable[[int], RaceRead]:
        if reader.stream is not None:
            door = stream(reader)
            door.look(before, _small(before), -1 / FRAMES_A_SECOND)  # it has seen the hall
            return lambda i: timed(door.look, frames[i], smalls[i], i / FRAMES_A_SECOND)
        if reader.read is not None:
            return lambda i: picture(reader, i)
        first, second = named[reader.first], named[reader.after]
        return lambda i: after(picture(first, i), lambda: picture(second, i))

    named = {r.name: r for r in run.readers}
    shift = task.number % len(run.readers)
    for reader in [*run.readers[shift:], *run.readers[:shift]]:
        attended = attend(text.encode(), looker(reader))
        seen.attended[reader.name] = attended
        seen.read[reader.name] = attended.read_s is not None
        seen.cpu_s[reader.name] = [attended.cpu_s]
        seen.wrong += [(reader.name, _shown(data)) for data in attended.wrong]
    return seen


_DO: dict[str, Callable[[Task, Run], DecoderResult]] = {
    "photo": _photo,
    "still": _still,
    "dark": _dark,
    "sweep": _sweep,
    "empty": _empty,
    "rest": _rest,
    "visit": _visit,
}


def _judged(seen: DecoderResult, taken: dict[str, RaceRead], texts: Sequence[str]) -> None:
    for name, t in taken.items():
        seen.read[name] = any(among(data, texts) for data in t.said)
        _cost(seen, name, t)


def _cost(seen: DecoderResult, name: str, taken: RaceRead) -> None:
    seen.cpu_s.setdefault(name, []).append(taken.cpu_s)


def _rng(run: Run, task: Task) -> np.random.Generator:
    kind = list(_DO).index(task.kind)
    return np.random.default_rng((run.seed, kind, task.group, task.level, task.number))


def _small(luma: Luma) -> Luma:
    """The frame as the camera's own hardware makes it small: nobody's cost."""
    return cv2.resize(luma, SMALL, interpolation=cv2.INTER_AREA)


def _shown(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
