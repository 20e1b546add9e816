"""`make demo`: three doors, a broker, an issuer, a collector and the operators' page, for real.

Each door runs `menshen-edge` over camera frames, one of them without any broker. In the middle
phones are taken back and a company is suspended: two doors learn it from the broker, the third
from a stick. At the end the books are read from the disks: what was decided must be where it
belongs, and each answer must fit the code it was given to (`judging.py`), or the exit code is 1.

A slow or busy machine only makes it last longer: it waits for what must happen and judges no delay.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import numpy as np
import segno
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge.adapters.camera.pictures import SUFFIXES, PictureError, read
from edge.parts import WorldFailure
from edge.sight.frame import Luma
from provisioning import issuers, repository, sites
from server_stub import store as stores
from server_stub.estate import Estate
from server_stub.issuing import revocation, status_lists
from tests.campus import Books, Campus, CampusDoor, end
from tests.centre import ISSUER, SITE, Program
from tests.demo import people
from tests.demo.door import KEY
from tests.demo.judging import CHANGED, Answer, JudgedVisit, Judgement, News, audit, follows, judge
from tests.keeper import KeeperLost, ledger

WIRED, ALONE = ("north", "south"), ("island",)
UNLOCK_MS = 400
GREEN_PIN, RED_PIN = "green", "red"
NEWS_S = 15.0  # from when on there is news; sooner where the demo is short
PATIENCE_S = 300.0
"""How long the demo waits for one thing to happen before it gives up: no judgement of a door."""
TERMS = Path(__file__).parents[2] / "provisioning" / "examples" / "eu-mapping.json"


class DemoError(Exception):
    """The demo cannot go on; one sentence."""


@dataclass(frozen=True)
class DemoLook:
    """One look of a door at what is before its camera."""

    marks: tuple[str, ...]  # of the symbols that it reads
    unread: int  # places that look like a symbol and are not read


@dataclass
class WatchedDoor:
    """One door as the demo sees it from outside."""

    door: CampusDoor
    process: subprocess.Popen[str]
    street: subprocess.Popen[str] | None
    pins: tuple[int, int]  # green, red
    readers: list[threading.Thread] = field(default_factory=list)
    has_time: bool = False  # surely
    street_ready: bool = False
    last_line: str = ""  # of its log
    reason: str = ""
    visits: list[JudgedVisit] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    looks: list[DemoLook] = field(default_factory=list)
    versions: list[tuple[float, int]] = field(default_factory=list)  # (monotonic s, version)
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def ready(self) -> bool:
        """Whether it has begun: its street walks and it has answered, or it looks at pictures."""
        begun = self.street_ready and bool(self.answers) if self.street else bool(self.looks)
        return begun and self.has_time

    def has_since_s(self, news: News) -> float | None:
        """Since when its loop has the news; None: not yet."""
        wanted = news.version
        if wanted is None:
            return None
        return next((at_s for at_s, version in self.versions if version >= wanted), None)

    def owes(self, news: News) -> list[str]:
        """The kinds of visit that it has not answered since it has the news."""
        return sorted(CHANGED - follows(self.visits, self.answers, news))

    def light(self) -> Text:
        """What hangs at the door, from the hardware."""
        try:
            levels = self.door.link.state().levels
        except KeeperLost:
            return Text("?", "dim")
        green, red = (levels.get(pin, False) for pin in self.pins)
        if green and red:
            return Text("◐ green and red", "yellow")
        if green:
            return Text("● green", "green")
        return Text("■ red", "red") if red else Text("○ dark", "dim")


class Demo:
    """What runs, what was seen, and the page's address."""

    def __init__(
        self, campus: Campus, console: Console, seed: int, program: str = "tests.demo.door"
    ) -> None:
        """`program`: the module that is each door."""
        self.campus = campus
        self.console = console
        self.seed = seed
        self.program = program
        self.key = os.urandom(16).hex()  # of the marks
        self.watched: list[WatchedDoor] = []
        self.events: deque[Text] = deque(maxlen=14)
        self.lines: Queue[tuple[WatchedDoor, bool, float, str]] = Queue()  # True: from a street
        self.page = self.wallet = ""
        self.programs: list[Program] = []
        self.taken_back: list[str] = []  # records
        self.news = News()
        self.news_s = float("inf")  # when it was made, monotonic
        self.stick = campus.folder / f"{ALONE[0]}-stick"
        self.gave_up = ""  # a sentence

    def start_centre(self, host: str = "127.0.0.1") -> None:
        """Broker, issuer, collector and page, each once the one before has said `ready`."""
        campus, store = self.campus, ("--store", self.campus.store_url)
        self._started(campus.broker())
        self._started(campus.collector(look_s=0.5))
        issuer = ("issuer", campus.estate, ISSUER, *store, "--host", host, "--port", 0)
        self.wallet = _address(self._started(campus.program(*issuer)))
        page = ("page", *store, "--port", 0)
        self.page = _address(self._started(campus.program(*page)))

    def commission(self) -> None:
        """Publish what there is now, lists and foreign keys too, and carry the cards to the doors.

        A card stays at its door: what is published later comes by broker or stick.
        """
        campus = self.campus
        key_list = campus.folder / "eu-keys.json"
        key_list.write_bytes(people.eu_keys())
        issuers.recognise_issuer(campus.estate, "eu", "hc1", TERMS, key_list)
        repository.publish(campus.estate)
        for door in campus.doors.values():
            card = shutil.copytree(door.card / "trust", campus.folder / f"{door.name}-trust")
            door.edit(trust=str(card), trust_stick=str(campus.folder / f"{door.name}-stick"))

    def start_door(self, door: CampusDoor, *options: str) -> WatchedDoor:
        """The unit; one without a broker has the time from its RTC."""
        process = _popen(
            door.command(*options, program=self.program), env=os.environ | {KEY: self.key}
        )
        pins = door.pins()
        watched = WatchedDoor(door, process, None, (pins[GREEN_PIN], pins[RED_PIN]))
        watched.has_time = door.name in ALONE
        self.watched.append(watched)
        self._listen(watched, process)
        return watched

    def _listen(self, watched: WatchedDoor, source: subprocess.Popen[str]) -> None:
        reader = threading.Thread(target=self._read, args=(watched, source), daemon=True)
        reader.start()
        watched.readers.append(reader)

    def _start_street(self, watched: WatchedDoor, number: int) -> None:
        """Who comes by at that door."""
        door = watched.door
        street = _popen([sys.executable, "-m", "tests.demo.street"], stdin=subprocess.PIPE)
        watched.street = street
        self._listen(watched, street)
        enrolled = people.enrol(self.campus.store_url)
        self.taken_back += enrolled.records["taken back"]
        order = {
            "seed": self.seed * 100 + number,
            "issuer": self.wallet,
            "secrets": enrolled.secrets,
            "city": str(self.campus.estate / "issuers" / ISSUER / "issuer.key"),
            "frames": str(door.frames),
            "poster": number == 1,
            "key": self.key,
        }
        _write(street, json.dumps(order))

    def _read(self, watched: WatchedDoor, source: subprocess.Popen[str]) -> None:
        assert source.stdout
        for line in source.stdout:
            self.lines.put((watched, source is watched.street, time.monotonic(), line.rstrip()))

    def _started(self, program: Program) -> str:
        self.programs.append(program)
        try:
            return program.wait_for("ready", PATIENCE_S)
        except AssertionError as error:
            raise DemoError(str(error)) from None

    def hear(self) -> None:
        """Take the lines of doors and streets since the last call."""
        changed: list[WatchedDoor] = []
        while True:
            try:
                watched, from_street, at_s, line = self.lines.get_nowait()
            except Empty:
                break
            if from_street:
                self._hear_street(watched, line)
            else:
                self._hear_door(watched, at_s, line)
            changed += [watched] * (watched not in changed)
        for watched in changed:
            watched.judgement = judge(watched.visits, watched.answers, self.news, ended=False)

    def _hear_street(self, watched: WatchedDoor, line: str) -> None:
        try:
            fields = json.loads(line)
        except ValueError:
            watched.last_line = line
            self._tell(watched, Text(line, "red"))
            return
        if "kind" not in fields:
            watched.street_ready = True
            return
        watched.visits.append(JudgedVisit(**fields))
        if watched.has_since_s(self.news) is not None:
            self._ask(watched)

    def _ask(self, watched: WatchedDoor) -> None:
        """Have somebody come by to whom the news makes a difference, until it has answered them."""
        owed = watched.owes(self.news)
        if owed and watched.street:
            with suppress(BrokenPipeError):  # a street that has ended: `run` notices
                _write(watched.street, owed[len(watched.visits) % len(owed)])

    def _hear_door(self, watched: WatchedDoor, at_s: float, line: str) -> None:
        if not line.startswith("{"):
            line = line.removeprefix("menshen-edge: ").replace(f"{self.campus.folder}/", "")
            watched.last_line = line
            self._tell(watched, Text(line, "dim"))
            return
        fields = json.loads(line)
        if "seen_s" in fields:
            watched.looks.append(DemoLook(tuple(fields["marks"]), fields["unread"]))
        elif "synced" in fields:
            watched.has_time = True
        elif "version" in fields:
            watched.versions.append((at_s, fields["version"]))
        else:
            version = watched.versions[-1][1] if watched.versions else 0
            marks = tuple(fields.pop("marks"))
            answer = Answer(**fields, marks=marks, version=version)
            watched.answers.append(answer)
            watched.reason = answer.why
            light = watched.light()
            light.pad_right(17 - len(light.plain))
            self._tell(watched, Text.assemble(light, answer.why))

    def make_news(self) -> None:
        """The issuer takes phones back, the site suspends a company, somebody brings a stick."""
        estate, now_s = self.campus.estate, int(time.time())
        self.news_s = time.monotonic()
        self.news = News(begun=True)
        for record in self.taken_back:
            with stores.changing(self.campus.store_url) as connection:
                revocation.revoke(connection, record)
        status_lists.publish(
            Estate(estate), ISSUER, stores.open_store(self.campus.store_url), now_s
        )
        said = json.loads((estate / "sites" / SITE / sites.RULES).read_text())
        news = self.campus.folder / "news.json"
        news.write_text(json.dumps(said | {"suspended": [people.COMPANY]}))
        sites.change_rules(estate, SITE, news)
        repository.publish(estate)
        passing = self.stick.with_suffix(".new")
        shutil.copytree(estate / "repository", passing)
        timestamp = json.loads((passing / "metadata" / "timestamp.json").read_text())
        self.news = News(begun=True, version=int(timestamp["signed"]["version"]))
        passing.rename(self.stick)
        self._say(
            Text(
                f"news   {len(self.taken_back)} phones are taken back, company {people.COMPANY} "
                "is suspended; by broker, and by stick",
                "bold magenta",
            )
        )

    def _tell(self, watched: WatchedDoor, what: Text) -> None:
        self._say(Text.assemble((f"{watched.door.name:7}", "bold"), what))

    def _say(self, line: Text) -> None:
        self.events.append(line)
        if not self.console.is_terminal:
            self.console.print(line)

    def picture(self) -> Group:
        """The terminal's picture."""
        table = Table(expand=True, title=f"operators' page: {self.page}", title_justify="left")
        for name in ("door", "light", "relay", "answered", "unread", "news"):
            table.add_column(name)
        table.add_column("says", ratio=1, no_wrap=True, overflow="ellipsis")
        for watched in self.watched:
            name = watched.door.name + (" (stick)" if watched.door.name in ALONE else "")
            has_s = watched.has_since_s(self.news)
            table.add_row(
                name,
                watched.light(),
                f"{watched.door.closings()}",
                str(watched.judgement.answered if watched.street else len(watched.answers)),
                str(watched.judgement.unread) if watched.street else "—",
                f"after {has_s - self.news_s:.0f} s" if has_s is not None else "—",
                watched.reason,
            )
        return Group(table, Panel(Group(*self.events), title="as it happens", height=16))

    def run(
        self, seconds: float | None, more: Callable[[], bool] = lambda: True, streets: bool = False
    ) -> None:
        """Show it for `seconds` from when all doors have begun, as long as there is `more` to show.

        `streets`: people come by, and it lasts until the news has come everywhere. Raises DemoError
        when a part ends by itself, and KeyboardInterrupt.
        """
        with self._shown() as update, ThreadPoolExecutor(1) as publisher:
            # A door that is not sure of the time rightly opens to nobody.
            self._wait_for(lambda watched: watched.has_time, update)
            for number, watched in enumerate(self.watched if streets else ()):
                self._start_street(watched, number)
            self._wait_for(lambda watched: watched.ready, update, more)
            begun_s = time.monotonic()
            end_s = begun_s + (float("inf") if seconds is None else seconds)
            news_s = begun_s + min(NEWS_S, (seconds or NEWS_S) / 4)
            news: Future[None] | None = None
            while more() and (time.monotonic() < end_s or self._waits_for_news(end_s)):
                self._look_around(update)
                if news is None and self.taken_back and time.monotonic() >= news_s:
                    news = publisher.submit(self.make_news)
                if news is not None and news.done():
                    news.result()

    def _wait_for(
        self,
        holds: Callable[[WatchedDoor], bool],
        update: Callable[[], None],
        more: Callable[[], bool] = lambda: True,
    ) -> None:
        """Return when it `holds` for every door. Raises DemoError."""
        give_up_s = time.monotonic() + PATIENCE_S
        while late := [watched.door.name for watched in self.watched if not holds(watched)]:
            more()
            self._look_around(update)
            if time.monotonic() > give_up_s:
                raise DemoError(
                    f"nothing has come from {' and '.join(late)} for {PATIENCE_S:.0f} s; "
                    "try again when this machine is less busy"
                )

    def _look_around(self, update: Callable[[], None]) -> None:
        self.hear()
        update()
        for watched in self.watched:
            for what, process in (("door", watched.process), ("street of", watched.street)):
                if process is not None and process.poll() is not None:
                    for reader in watched.readers:
                        reader.join(1)  # its last words
                    self.hear()
                    raise DemoError(
                        f"the {what} {watched.door.name} ended by itself with exit code "
                        f"{process.returncode}: {watched.last_line}"
                    )
        time.sleep(0.1)

    def _waits_for_news(self, end_s: float) -> bool:
        """Whether the demo goes on because the news has not come everywhere, or was not needed."""
        if not self.taken_back:
            return False
        late = [watched for watched in self.watched if watched.owes(self.news)]
        if late and time.monotonic() > end_s + PATIENCE_S:
            names = " and ".join(watched.door.name for watched in late)
            self.gave_up = (
                f"nobody to whom the news makes a difference was read at {names} for "
                f"{PATIENCE_S:.0f} s; try again when this machine is less busy"
            )
            return False
        return bool(late)

    @contextmanager
    def _shown(self) -> Iterator[Callable[[], None]]:
        if not self.console.is_terminal:
            yield lambda: None
            return
        with Live(self.picture(), console=self.console, refresh_per_second=8) as live:
            yield lambda: live.update(self.picture())

    def stop(self) -> None:
        """The street first, then the doors; the collector has a moment for what is under way."""
        for watched in self.watched:
            if watched.street is not None:
                end(watched.street, PATIENCE_S)
        time.sleep(1)
        for watched in self.watched:
            end(watched.process, PATIENCE_S)
            for reader in watched.readers:
                reader.join()
        self.hear()
        for watched in self.watched:
            watched.judgement = judge(watched.visits, watched.answers, self.news)
        for program in reversed(self.programs):
            with suppress(subprocess.TimeoutExpired):  # it was killed; its books are on the disk
                program.end()

    def kill(self) -> None:
        """Leave nothing running, whatever happened."""
        for watched in self.watched:
            for process in filter(None, (watched.process, watched.street)):
                process.kill()
                process.wait()

    def summary(self) -> bool:
        """Print the books and whether they balance."""
        table = Table(title="read from the disks")
        for name in ("door", "answered", "unread", "decided", "stored", "unacked"):
            table.add_column(name, justify="left" if name == "door" else "right")
        table.add_column("held open", justify="right")
        table.add_column("relay closed", justify="right")
        good = True
        for watched in self.watched:
            books = self.campus.books(watched.door)
            closed = watched.door.closings()
            table.add_row(
                watched.door.name,
                str(watched.judgement.answered if watched.street else len(watched.answers)),
                str(watched.judgement.unread) if watched.street else "—",
                *map(str, (books.decided, books.stored)),
                *map(str, (books.unacknowledged, books.open, closed)),
            )
            good &= self._holds(watched, books)
        self.console.print(table)
        if self.taken_back:
            self.console.print(self._answers())
            good &= self._followed()
        if self.gave_up and good:
            raise DemoError(self.gave_up)
        return good

    def _answers(self) -> Table:
        """What was answered to whom."""
        counts: Counter[tuple[str, str]] = Counter()
        for watched in self.watched:
            counts += watched.judgement.counts
        table = Table(title="what the doors answered", box=None, pad_edge=False)
        for name in ("who came", "answers"):
            table.add_column(name)
        for kind in (*people.KINDS, people.AGAIN):
            each = [f"{category} {n}" for (k, category), n in sorted(counts.items()) if k == kind]
            table.add_row(kind, ", ".join(each) or "—")
        return table

    def _followed(self) -> bool:
        """Print when the news came to each door; whether it came everywhere, given the time."""
        good = True
        for watched in self.watched:
            name = watched.door.name
            has_s = watched.has_since_s(self.news)
            if has_s is not None:
                how = "by stick" if name in ALONE else "by broker"
                took_s = has_s - self.news_s
                self.console.print(f"{name}: the news came {how} after {took_s:.1f} s")
            elif self.gave_up:
                self.console.print(f"{name}: WRONG: the news never came", style="bold red")
                good = False
        return good

    def _holds(self, watched: WatchedDoor, books: Books) -> bool:
        high = any(watched.door.link.state().levels.values())
        wrong = audit(books, watched.answers, ledger(watched.door.ledger), high)
        if watched.street:
            wrong = watched.judgement.wrong + wrong
        for sentence in wrong:
            self.console.print(f"{watched.door.name}: WRONG: {sentence}", style="bold red")
        if watched.judgement.too_late:
            self.console.print(
                f"{watched.door.name}: {watched.judgement.too_late} answers came so late that "
                "they are not judged"
            )
        return not wrong


def _address(ready: str) -> str:
    """The address in a program's `ready` line."""
    return ready.rpartition(" at ")[2]


def _popen(command: list[str], **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()


def with_street(
    seconds: float | None, console: Console, seed: int, program: str = "tests.demo.door"
) -> bool:
    """Three doors on a rendered street."""
    with folders() as (folder, memory), Campus(folder, WIRED, ALONE, memory) as campus:
        for number, door in enumerate(campus.doors.values()):
            door.edit(
                door={"unlock_ms": UNLOCK_MS},
                counts={"report_s": 1},
                camera={"frames_per_s": 15.0},
                decoder="both" if number == 1 else "zxing-cpp",
            )
        demo = Demo(campus, console, seed, program)
        console.print("Starting broker, collector, issuer and operators' page …")
        demo.start_centre()
        demo.commission()
        console.print(f"Operators' page: {demo.page}    wallet: {demo.wallet}")
        try:
            for door in campus.doors.values():
                demo.start_door(door)
            with suppress(KeyboardInterrupt):
                demo.run(seconds, streets=True)
            demo.stop()
        finally:
            demo.kill()
        return demo.summary()


def with_camera(camera: str, seconds: float | None, console: Console) -> bool:
    """One door that looks at pictures, or through a webcam at a real phone."""
    path = Path(camera)
    if camera.startswith("/dev/") and not path.exists():
        raise DemoError(
            f"there is no camera {camera}: plug one in, `ls /dev/video*` shows its name; "
            "or name a picture or a folder of pictures"
        )
    device = path.exists() and not path.is_dir() and not path.is_file()
    pictures, torn = ([], []) if device else _pictures(path)
    with folders() as (folder, memory), Campus(folder, WIRED[:1], (), memory) as campus:
        door = campus.doors[WIRED[0]]
        change: dict[str, Any] = {"frames_per_s": 15.0}
        if device:
            change |= {"kind": "webcam", "source": camera}
        door.edit(door={"unlock_ms": UNLOCK_MS}, counts={"report_s": 1}, camera=change)
        demo = Demo(campus, console, seed=0)
        demo.start_centre("0.0.0.0" if device else "127.0.0.1")  # noqa: S104 -- a phone must reach it
        console.print(f"Operators' page: {demo.page}")
        if device:
            _show_wallet(demo, console)
        try:
            turns = _Turns(demo.start_door(door, "--looks"), pictures, console)
            with suppress(KeyboardInterrupt):
                demo.run(seconds, turns.more if pictures else lambda: True)
            demo.stop()
        finally:
            demo.kill()
        good = demo.summary()
        if pictures:
            console.print(turns.table())
        if torn and good:
            raise DemoError(f"these files were left out: {'; '.join(torn)}")
        return good


class _Turns:
    """Holds one picture after another before the camera, with nothing in between.

    Each is held for a number of the door's own looks: a busy machine takes longer for them. The
    frames with nothing are looked at too, so that each answer is of the picture before.
    """

    LOOKS, LOOKS_BETWEEN = 15, 3  # every rescue of the decoder has its turn
    NOTHING = np.full((720, 1280), 128, np.uint8)

    def __init__(self, watched: WatchedDoor, pictures: list[Path], console: Console) -> None:
        self._watched, self._console = watched, console
        self._answered: set[str] = set()  # marks
        self._rows: list[tuple[str, str]] = []
        self._steps = self._all(pictures)

    def more(self) -> bool:
        """Hold up what is due; whether there is more."""
        return next(self._steps, False)

    def table(self) -> Table:
        """What the door says about each picture."""
        table = Table(title="what the door says", box=None, pad_edge=False)
        for name in ("picture", "answer"):
            table.add_column(name, overflow="fold")
        for name, answer in self._rows:
            table.add_row(Text(name), Text(answer))
        return table

    def _all(self, pictures: list[Path]) -> Iterator[bool]:
        yield from self._held(self.NOTHING, self.LOOKS_BETWEEN)
        for path in pictures:
            self._console.print(Text(f"before the camera: {path.name}", "dim"))
            looks, answers = len(self._watched.looks), len(self._watched.answers)
            yield from self._held(read(path), self.LOOKS)
            yield from self._held(self.NOTHING, self.LOOKS_BETWEEN)
            answer = self._answer(self._watched.looks[looks:], self._watched.answers[answers:])
            self._rows.append((path.name, answer))

    def _held(self, luma: Luma, looks: int) -> Iterator[bool]:
        until = len(self._watched.looks) + looks
        while len(self._watched.looks) < until:
            self._watched.door.show(luma)
            yield True

    def _answer(self, looks: list[DemoLook], answers: list[Answer]) -> str:
        marks = {each for look in looks for each in look.marks}
        if answers:
            self._answered |= marks
            return "; ".join(f"{answer.category}: {answer.why}" for answer in answers)
        if marks & self._answered:
            return "nothing more: it answers a code once while that stays before the camera"
        if marks:
            return "nothing: a QR symbol that is no door code"
        if any(look.unread for look in looks):
            return "nothing: something looks like a QR symbol and cannot be read; show it sharper"
        return "nothing: no QR symbol could be read; show it closer, brighter, sharper"


def _pictures(path: Path) -> tuple[list[Path], list[str]]:
    """The pictures at `path`, and a sentence for each file that is none. Raises DemoError."""
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    else:
        files = [path] if path.is_file() else []
    if not files:
        raise DemoError(
            f"{path} holds no picture; name a picture, a folder of pictures or a /dev/video device"
        )
    pictures, torn = [], []
    for file in files:
        try:
            read(file)
            pictures.append(file)
        except PictureError as error:
            torn.append(str(error))
    if not pictures:
        raise DemoError("; ".join(torn))
    return pictures, torn


def _show_wallet(demo: Demo, console: Console) -> None:
    """How a real phone gets a code: the wallet's address with a secret, as a QR symbol."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks which address faces outwards
            mine = probe.getsockname()[0]
        except OSError:
            mine = "127.0.0.1"
    secret = people.enrol(demo.campus.store_url).secrets["green, no key"][0]
    port = demo.wallet.rstrip("/").rpartition(":")[2]
    url = f"http://{mine}:{port}/#{secret}"
    console.print(f"Open this on a phone in the same network, then show its code: {url}")
    if console.is_terminal:
        segno.make(url).terminal(compact=True)


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """A folder on the disk, and one in memory for frames."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="menshen-"))
        frames = stack.enter_context(tempfile.TemporaryDirectory(prefix="menshen-", dir=memory))
        yield Path(folder), Path(frames)


def _seconds(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0 < seconds < float("inf"):
        raise DemoError(
            f"SECONDS={text} is not a number of seconds above 0; write for example SECONDS=20, "
            "or leave it out"
        )
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", default="", help="end by itself after so long")
    parser.add_argument("--camera", help="pictures, a folder of them, or a device as /dev/video0")
    parser.add_argument("--seed", type=int, default=1, help="another street")
    given = parser.parse_args()
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        seconds = _seconds(given.seconds)
        if given.camera:
            good = with_camera(given.camera, seconds, console)
        else:
            good = with_street(seconds, console, given.seed)
    except (DemoError, WorldFailure) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
