"""`make demo`: three doors, a broker, an issuer, a collector and the operators' page, for real.

Each door runs `menshen-edge` over camera frames, one of them without any broker. In the middle
phones are taken back and a company is suspended: two doors learn it from the broker, the third
from a stick. At the end the books are read from the disks: what was decided must be where it
belongs, and what was said must fit who was there, or the exit code is 1.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import segno
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from edge.adapters.camera.pictures import SUFFIXES, PictureError, read
from provisioning import issuers, repository, sites
from server_stub import store as stores
from server_stub.estate import Estate
from server_stub.issuing import revocation, status_lists
from tests.campus import Books, Campus, Door, end
from tests.centre import ISSUER, SITE, Program
from tests.demo import people
from tests.keeper import ONE_SHOT_MS, KeeperLost, ledger

WIRED, ALONE = ("north", "south"), ("island",)
UNLOCK_MS = 400
LATE_S = 1.5  # a decision this long after a visit may still belong to it
GREEN_PIN, RED_PIN = "green", "red"
NEWS_S = 15.0  # from when on there is news; sooner where the demo is short
NEWS_TAKES_S = 10.0  # a collector that looks, a broker, a door that looks twice
TAKEN_S = 0.5  # from the log's line until the loop has it
TERMS = Path(__file__).parents[2] / "provisioning" / "examples" / "eu-mapping.json"


class DemoError(Exception):
    """The demo cannot go on; one sentence."""


@dataclass
class Watched:
    """One door as the demo sees it from outside."""

    door: Door
    process: subprocess.Popen[str]
    street: subprocess.Popen[str] | None
    pins: tuple[int, int]  # green, red
    reason: str = ""
    decisions: list[tuple[float, str]] = field(default_factory=list)  # (monotonic s, category)
    visits: list[dict[str, Any]] = field(default_factory=list)
    unread: int = 0
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    took: list[tuple[float, int]] = field(default_factory=list)  # (monotonic s, version)
    passed: set[int] = field(default_factory=set)  # the numbers of visits that it let in
    said: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind of visit, category

    def knows_s(self, version: int) -> float | None:
        """Since when it believes that version, or a newer one."""
        return next((at_s for at_s, taken in self.took if taken >= version), None)

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

    def __init__(self, campus: Campus, console: Console, seed: int) -> None:
        self.campus = campus
        self.console = console
        self.seed = seed
        self.watched: list[Watched] = []
        self.events: deque[Text] = deque(maxlen=14)
        self.lines: Queue[tuple[Watched, str, float, str]] = Queue()
        self.page = self.wallet = ""
        self.programs: list[Program] = []
        self.taken_back: list[str] = []  # records
        self.news_s = float("inf")  # when there was news, monotonic
        self.news_version: int | None = None  # of the trust documents that bring it
        self.stick = campus.folder / f"{ALONE[0]}-stick"
        self.ended_s = float("inf")

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
        issuers.foreign(campus.estate, "eu", "hc1", TERMS, key_list)
        repository.publish(campus.estate)
        for door in campus.doors.values():
            card = shutil.copytree(door.card / "trust", campus.folder / f"{door.name}-trust")
            door.edit(trust=str(card), trust_stick=str(campus.folder / f"{door.name}-stick"))

    def start_door(self, door: Door, street: bool, number: int) -> None:
        """The unit, and who comes by."""
        process = _popen(door.command("--show"))
        walkers = self._street(door, number) if street else None
        pins = door.pins()
        watched = Watched(door, process, walkers, (pins[GREEN_PIN], pins[RED_PIN]))
        self.watched.append(watched)
        for source in (process, walkers):
            if source is not None:
                what = "door" if source is process else "street"
                threading.Thread(
                    target=self._hear, args=(watched, what, source), daemon=True
                ).start()

    def _street(self, door: Door, number: int) -> subprocess.Popen[str]:
        street = _popen([sys.executable, "-m", "tests.demo.street"], stdin=subprocess.PIPE)
        assert street.stdin
        enrolled = people.enrol(self.campus.store_url)
        self.taken_back += enrolled.records["taken back"]
        said = {
            "seed": self.seed * 100 + number,
            "issuer": self.wallet,
            "secrets": enrolled.secrets,
            "city": str(self.campus.estate / "issuers" / ISSUER / "issuer.key"),
            "frames": str(door.frames),
            "poster": number == 1,
        }
        street.stdin.write(json.dumps(said) + "\n")
        street.stdin.flush()
        return street

    def _hear(self, watched: Watched, what: str, source: subprocess.Popen[str]) -> None:
        assert source.stdout
        for line in source.stdout:
            self.lines.put((watched, what, time.monotonic(), line.rstrip()))

    def _started(self, program: Program) -> str:
        self.programs.append(program)
        try:
            return program.wait_for("ready")
        except AssertionError as error:
            raise DemoError(str(error)) from None

    def hear(self) -> None:
        """Take what doors and streets have said since the last call."""
        while True:
            try:
                watched, what, at_s, line = self.lines.get_nowait()
            except Empty:
                break
            if what == "street":
                self._heard_street(watched, line)
            else:
                self._heard_door(watched, at_s, line)
        for watched in self.watched:
            self._settle(watched)

    def _heard_street(self, watched: Watched, line: str) -> None:
        try:
            visit = json.loads(line)
        except ValueError:
            self._tell(watched, Text(line, "red"))
            return
        if "kind" in visit:
            watched.visits.append(visit)

    def _heard_door(self, watched: Watched, at_s: float, line: str) -> None:
        category, colon, reason = line.partition(": ")
        if not colon or category == "menshen-edge":
            taken = re.search(r"took version (\d+)", line)
            if taken:
                watched.took.append((at_s, int(taken[1])))
            said = line.removeprefix("menshen-edge: ").replace(f"{self.campus.folder}/", "")
            self._tell(watched, Text(said, "dim"))
            return
        watched.decisions.append((at_s, category))
        watched.reason = reason
        light = watched.light()
        light.pad_right(17 - len(light.plain))
        self._tell(watched, Text.assemble(light, reason))

    def _settle(self, watched: Watched) -> None:
        """Match what the door said with who was there; both come late, by their own pipes."""
        settled_s = time.monotonic() - LATE_S
        while watched.decisions and watched.decisions[0][0] < settled_s:
            at_s, category = watched.decisions.pop(0)
            near = [v for v in watched.visits if v["from_s"] < at_s < v["until_s"] + LATE_S]
            fitting = [v for v in near if category in self._due(watched, v, at_s)]
            if fitting:
                visit = fitting[-1]
                visit["answered"] = True
                watched.said[visit["kind"], category] += 1
                if category == "green":
                    watched.passed.add(visit["number"])
            else:
                there = " or ".join(v["kind"] for v in near) or "nobody"
                watched.wrong.append(f"it said {category!r} while {there} was there")
        while watched.visits and watched.visits[0]["until_s"] + 2 * LATE_S < settled_s:
            visit = watched.visits.pop(0)
            watched.answered += "answered" in visit
            watched.unread += "answered" not in visit
            if "answered" not in visit:
                self._tell(watched, Text(f"{visit['kind']}: a code stayed unread", "dim italic"))

    def _due(self, watched: Watched, visit: dict[str, Any], at_s: float) -> set[str]:
        """What the door may say to this visit at `at_s`."""
        if visit["kind"] == people.AGAIN:
            return {"used"} if visit["first"] in watched.passed else {"used", "green"}
        _, before, after = people.KINDS[visit["kind"]]
        if not after or at_s < self.news_s:
            return {before}
        known_s = self._knows_s(watched)
        return {after} if known_s is not None and at_s > known_s + TAKEN_S else {before, after}

    def _knows_s(self, watched: Watched) -> float | None:
        """Since when the door knows the news."""
        return None if self.news_version is None else watched.knows_s(self.news_version)

    def make_news(self) -> None:
        """The issuer takes phones back, the site suspends a company, somebody brings a stick."""
        estate, now_s = self.campus.estate, int(time.time())
        self.news_s = time.monotonic()
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
        self.news_version = int(timestamp["signed"]["version"])
        passing.rename(self.stick)
        self._say(
            Text(
                f"news   {len(self.taken_back)} phones are taken back, company {people.COMPANY} "
                "is suspended; by broker, and by stick",
                "bold magenta",
            )
        )

    def _tell(self, watched: Watched, what: Text) -> None:
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
            known_s = self._knows_s(watched)
            table.add_row(
                name,
                watched.light(),
                f"{watched.door.closings()}",
                str(watched.answered),
                str(watched.unread),
                f"after {known_s - self.news_s:.0f} s" if known_s is not None else "—",
                watched.reason,
            )
        return Group(table, Panel(Group(*self.events), title="as it happens", height=16))

    def run(self, seconds: float | None, most: Callable[[], bool]) -> None:
        """Show it until the time is over, somebody presses Ctrl-C, or a door ends by itself."""
        begun_s = time.monotonic()
        end_s = begun_s + seconds if seconds is not None else float("inf")
        news_s = begun_s + min(NEWS_S, (seconds or NEWS_S) / 4)
        news: threading.Thread | None = None
        with self._shown() as update:
            while time.monotonic() < end_s and most():
                self.hear()
                if news is None and self.taken_back and time.monotonic() >= news_s:
                    news = threading.Thread(target=self.make_news, daemon=True)
                    news.start()
                update()
                for watched in self.watched:
                    if watched.process.poll() is not None:
                        self.hear()
                        raise DemoError(
                            f"the door {watched.door.name} ended by itself with exit code "
                            f"{watched.process.returncode}: {self.events[-1].plain}"
                        )
                time.sleep(0.1)

    @contextmanager
    def _shown(self) -> Iterator[Callable[[], None]]:
        if not self.console.is_terminal:
            yield lambda: None
            return
        with Live(self.picture(), console=self.console, refresh_per_second=8) as live:
            yield lambda: live.update(self.picture())

    def stop(self) -> None:
        """The street first, then the doors; the collector has a moment for what is under way."""
        self.ended_s = time.monotonic()
        for watched in self.watched:
            if watched.street is not None:
                end(watched.street)
        time.sleep(1)
        for watched in self.watched:
            end(watched.process)
        time.sleep(3 * LATE_S)
        self.hear()
        for program in reversed(self.programs):
            program.end()

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
                *map(str, (watched.answered, watched.unread, books.decided, books.stored)),
                *map(str, (books.unacknowledged, books.open, closed)),
            )
            good &= self._holds(watched, books, closed)
        self.console.print(table)
        if self.taken_back:
            self.console.print(self._answers())
            good &= self._followed()
        return good

    def _answers(self) -> Table:
        """What was said to whom."""
        said: Counter[tuple[str, str]] = Counter()
        for watched in self.watched:
            said += watched.said
        table = Table(title="what the doors said", box=None, pad_edge=False)
        for name in ("who came", "said"):
            table.add_column(name)
        for kind in (*people.KINDS, people.AGAIN):
            told = [f"{category} {n}" for (k, category), n in sorted(said.items()) if k == kind]
            table.add_row(kind, ", ".join(told) or "—")
        return table

    def _followed(self) -> bool:
        """Whether the news has reached every door, where there was time for it."""
        good = True
        for watched in self.watched:
            name = watched.door.name
            known_s = self._knows_s(watched)
            if known_s is not None:
                how = "by stick" if name in ALONE else "by broker"
                took_s = known_s - self.news_s
                self.console.print(f"{name}: the news came {how} after {took_s:.1f} s")
            elif self.ended_s - self.news_s > NEWS_TAKES_S:
                self.console.print(f"{name}: WRONG: the news never came", style="bold red")
                good = False
        return good

    def _holds(self, watched: Watched, books: Books, closed: int) -> bool:
        wrong = list(watched.wrong)
        if not books.balanced:
            wrong.append("decided is not stored + unacknowledged + open")
        if books.green != closed:
            wrong.append(f"{books.green} openings were counted and the relay closed {closed} times")
        if any(watched.door.link.state().levels.values()):
            wrong.append("a pin was left high")
        # A starved machine ends a pulse late; what the one-shot had to end is another matter.
        too_long = [
            m.for_ms for m in ledger(watched.door.ledger) if (m.for_ms or 0) > ONE_SHOT_MS / 2
        ]
        if too_long:
            wrong.append(f"the relay was closed for {max(filter(None, too_long)):.0f} ms")
        for what in wrong:
            self.console.print(f"{watched.door.name}: WRONG: {what}", style="bold red")
        return not wrong


def _address(ready: str) -> str:
    """The address in a program's `ready` line."""
    return ready.rpartition(" at ")[2]


def _popen(command: list[str], **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )


def with_street(seconds: float | None, console: Console, seed: int) -> bool:
    """Three doors on a rendered street."""
    with _folders() as (folder, memory), Campus(folder, WIRED, ALONE, memory) as campus:
        for number, door in enumerate(campus.doors.values()):
            door.edit(
                door={"unlock_ms": UNLOCK_MS},
                counts={"report_s": 1},
                camera={"frames_per_s": 15.0},
                decoder="both" if number == 1 else "zxing-cpp",
            )
        demo = Demo(campus, console, seed)
        console.print("Starting broker, collector, issuer and operators' page …")
        demo.start_centre()
        demo.commission()
        console.print(f"Operators' page: {demo.page}    wallet: {demo.wallet}")
        for number, door in enumerate(campus.doors.values()):
            demo.start_door(door, street=True, number=number)
        with suppress(KeyboardInterrupt):
            demo.run(seconds, lambda: True)
        demo.stop()
        good = demo.summary()
        answered = sum(watched.answered for watched in demo.watched)
        if not answered:
            console.print("WRONG: no door has answered anybody", style="bold red")
        return good and answered > 0


def with_camera(camera: str, seconds: float | None, console: Console) -> bool:
    """One door that looks at pictures, or through a webcam at a real phone."""
    with _folders() as (folder, memory), Campus(folder, WIRED[:1], (), memory) as campus:
        door = campus.doors[WIRED[0]]
        device = camera.startswith("/dev/")
        change: dict[str, Any] = {"frames_per_s": 15.0}
        pictures = [] if device else _pictures(Path(camera))
        if device:
            change |= {"kind": "webcam", "source": camera}
        door.edit(door={"unlock_ms": UNLOCK_MS}, counts={"report_s": 1}, camera=change)
        demo = Demo(campus, console, seed=0)
        demo.start_centre("0.0.0.0" if device else "127.0.0.1")  # noqa: S104 -- a phone must reach it
        console.print(f"Operators' page: {demo.page}")
        if device:
            _show_wallet(demo, console)
        demo.start_door(door, street=False, number=0)
        turn = _Turn(door, pictures, console)
        with suppress(KeyboardInterrupt):
            demo.run(seconds, turn.on if pictures else lambda: True)
        demo.stop()
        return demo.summary()


class _Turn:
    """Holds one picture after another before the camera, each for a while."""

    HELD_S = 1.5

    def __init__(self, door: Door, pictures: list[Path], console: Console) -> None:
        self._door, self._pictures, self._console = door, pictures, console
        self._next_s = time.monotonic() + 1.5  # the door is starting

    def on(self) -> bool:
        """Whether there is more to look at."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return True
        if not self._pictures:
            return False
        path = self._pictures.pop(0)
        self._next_s = now_s + self.HELD_S
        self._console.print(f"[dim]before the camera: {path.name}[/]", highlight=False)
        try:
            self._door.show(read(path))
        except PictureError as error:
            self._console.print(str(error), style="red")
        return True


def _pictures(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    else:
        found = [path] if path.is_file() else []
    if not found:
        raise DemoError(
            f"{path} holds no picture; name a picture, a folder of pictures or a /dev/video device"
        )
    return found


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
def _folders() -> Iterator[tuple[Path, Path]]:
    """A folder on the disk, and one in memory for frames."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="menshen-"))
        frames = stack.enter_context(tempfile.TemporaryDirectory(prefix="menshen-", dir=memory))
        yield Path(folder), Path(frames)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, help="end by itself after so long")
    parser.add_argument("--camera", help="pictures, a folder of them, or a device as /dev/video0")
    parser.add_argument("--seed", type=int, default=1, help="another street")
    given = parser.parse_args()
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if given.camera:
            good = with_camera(given.camera, given.seconds, console)
        else:
            good = with_street(given.seconds, console, given.seed)
    except DemoError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
