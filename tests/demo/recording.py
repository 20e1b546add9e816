"""`python -m tests.demo.recording OUT.webp`: the recording in README.md, made from a real run.

One door of the demo, with its broker and issuer, looks at a rendered street: a phone with a green
code, a phone with a red one, a screenshot of the first. Each picture shows the frame that the
camera got, and the levels of lights and relay that the door's pins had after it (`tests.keeper`).
The words are the door's own decision. Nothing is written if the door was wrong (`judging.py`).
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

from tests import scenes
from tests.campus import Campus
from tests.demo import people
from tests.demo.__main__ import WIRED, Demo, DemoError, WatchedDoor, folders
from tests.demo.judging import Answer, JudgedVisit, mark
from tests.scenes import Look
from tests.scenes.camera import noisy
from tests.scenes.look import Rng

FRAMES_PER_S = 10
UNLOCK_MS = 1800
COMES, HELD, LEAVES, EMPTY = 4, 12, 4, 9
"""Frames of one visit."""

HEAD = "A simulated street, the real verifier"
FOOT = "Rendered camera frames. Lights and relay are mock pins; the leaf follows the relay."
WAITS = "The door waits for a code."
SIZE = (800, 452)
SHARP = 2  # drawn so much larger, then made small

BACK, FRONT, DIM, OFF = (247, 246, 242), (28, 30, 34), (105, 108, 114), (208, 206, 200)
GREEN, RED = (20, 150, 70), (205, 40, 40)
QUALITY = 60
LAMPS = {"green": (590, 124), "red": (714, 124)}  # their centres
ACROSS = (600, 279)  # a place on the leaf while it is shut
SEED, NOISE = 3, 2

Ink = tuple[int, int, int]


@dataclass(frozen=True)
class Act:
    """One visit: what the line below the camera's picture says, and what is held up."""

    says: str
    kind: str  # of `people.KINDS`, or `people.AGAIN`
    look: Look


@dataclass(frozen=True)
class Moment:
    """One frame, and the door after it."""

    luma: scenes.Luma
    act: int  # counts from 0; -1 before the first
    green: bool
    red: bool
    relay_closed: bool
    answer: Answer | None  # to this act's code


_HELD = Look(
    device="phone", x=640, y=330, side=330, roll=-4, yaw=6, pitch=6, white=225, black=25,
    defocus=0.7, motion=0.0, motion_angle=0.0, glare=0.0, glare_at=(0.0, 0.0), noise=NOISE,
)  # fmt: skip
ACTS = (
    Act("A phone shows a green code.", "green", _HELD),
    Act("A phone shows a red code.", "red", replace(_HELD, x=560, roll=5, yaw=-8)),
    Act("A screenshot of the first phone's code.", people.AGAIN, replace(_HELD, x=720, roll=2)),
)


def caption(answer: Answer | None) -> str:
    """The door's decision in its own words."""
    return WAITS if answer is None else f"The door {answer.why.replace(', ', ': ', 1)}."


def colour(answer: Answer | None) -> Ink:
    """Of the caption: green where the door opened, red where it stayed shut."""
    if answer is None:
        return DIM
    return GREEN if answer.why.startswith("opens") else RED


def record() -> list[Moment]:
    """Run the door before the three visits. Raises DemoError where it was wrong."""
    with folders() as (folder, memory), Campus(folder, WIRED[:1], (), memory) as campus:
        door = campus.doors[WIRED[0]]
        door.edit(
            door={"unlock_ms": UNLOCK_MS},
            counts={"report_s": 1},
            camera={"frames_per_s": float(FRAMES_PER_S)},
        )
        demo = Demo(campus, Console(stderr=True, highlight=False), seed=1)
        demo.start_centre()
        demo.commission()
        try:
            watched = demo.start_door(door)
            while not watched.has_time:
                demo.hear()
                time.sleep(0.1)
            moments = list(_moments(demo, watched))
            demo.stop()
        finally:
            demo.kill()
        good = demo.summary() and not watched.judgement.wrong
        if not good or len(watched.answers) != len(ACTS):
            raise DemoError(
                f"the door answered {len(watched.answers)} times to {len(ACTS)} codes; wrong: "
                f"{'; '.join(watched.judgement.wrong) or 'nothing'}. Nothing is written; try again"
            )
        return moments


def _moments(demo: Demo, watched: WatchedDoor) -> Iterator[Moment]:
    rng = np.random.default_rng(SEED)
    hall = scenes.hall(rng)
    secrets = people.enrol(demo.campus.store_url).secrets
    crowd = people.Crowd(demo.wallet, secrets, demo.campus.city, rng)
    next_s = time.monotonic()

    def see(frame: scenes.Luma, act: int, shown: str) -> Moment:
        """Hold `frame` before the camera for its time; then the door's pins, and its answer."""
        nonlocal next_s
        watched.door.show(frame)
        next_s += 1 / FRAMES_PER_S
        time.sleep(max(0.0, next_s - time.monotonic()))
        demo.hear()
        state = watched.door.link.state()
        green, red = (state.levels.get(pin, False) for pin in watched.pins)
        answer = watched.answers[act] if 0 <= act < len(watched.answers) else None
        if answer is not None and shown not in answer.marks:
            raise DemoError("the door answered a code that was not shown then; try again")
        return Moment(frame, act, green, red, state.relay_closed, answer)

    for _ in range(EMPTY):
        yield see(_still(hall, rng), -1, "")
    texts: dict[str, people.DemoVisit] = {}
    for number, act in enumerate(ACTS):
        print(act.says, file=sys.stderr)
        visit = texts["green"] if act.kind == people.AGAIN else crowd.next(act.kind)
        texts[act.kind] = visit
        shown = mark(bytes.fromhex(demo.key), visit.text.encode())
        watched.visits.append(JudgedVisit(act.kind, shown, visit.made_s))
        for look in _looks(act.look, rng):
            yield see(scenes.still(visit.text, rng, look, hall), number, shown)
        for _ in range(EMPTY):
            yield see(_still(hall, rng), number, shown)


def _looks(held: Look, rng: Rng) -> Iterator[Look]:
    """A hand that comes from below, holds the device and takes it away."""
    for frame in range(COMES + HELD + LEAVES):
        coming, leaving = 1 - frame / COMES, (frame - COMES - HELD + 1) / LEAVES
        away = max(0.0, coming, leaving) ** 1.5
        yield replace(
            held,
            x=held.x + rng.normal(0, 2),
            y=held.y + rng.normal(0, 2) + away * (scenes.HEIGHT + held.side - held.y),
            roll=held.roll + rng.normal(0, 0.5),
            motion=25 * away,
            motion_angle=90,
        )


def _still(hall: scenes.Luma, rng: Rng) -> scenes.Luma:
    return noisy(hall, NOISE, rng)


# -- the drawing -----------------------------------------------------------------------------------


def draw(moment: Moment) -> Image.Image:
    """One picture: the camera's frame beside the door, and the door's words below."""
    picture = Image.new("RGB", (SIZE[0] * SHARP, SIZE[1] * SHARP), BACK)
    pen = Pen(picture)
    pen.text((16, 12), HEAD, 20)
    seen = Image.fromarray(moment.luma).resize((480 * SHARP, 270 * SHARP), Image.Resampling.BOX)
    picture.paste(seen, (16 * SHARP, 72 * SHARP))
    pen.text((16, 48), "what the door's camera sees", 15, DIM)
    pen.text((520, 48), "lights, and the gate from above", 15, DIM)
    pen.light(LAMPS["green"], "green", GREEN if moment.green else None)
    pen.light(LAMPS["red"], "red", RED if moment.red else None)
    pen.turnstile((520, 196), moment.relay_closed)
    if moment.act >= 0:
        pen.text((16, 354), f"{moment.act + 1}. {ACTS[moment.act].says}", 18)
    pen.text((16, 384), caption(moment.answer), 20, colour(moment.answer))
    pen.text((16, 424), FOOT, 14, DIM)
    return picture.resize(SIZE, Image.Resampling.LANCZOS)


class Pen:
    """Draws on a picture that is SHARP times as large as the numbers say."""

    def __init__(self, picture: Image.Image) -> None:
        self._draw = ImageDraw.Draw(picture)

    def text(
        self, at: tuple[int, int], words: str, size: int, ink: Ink = FRONT, anchor: str = "la"
    ) -> None:
        font = ImageFont.load_default(size * SHARP)
        self._draw.text((at[0] * SHARP, at[1] * SHARP), words, ink, font, anchor=anchor)

    def light(self, centre: tuple[int, int], name: str, ink: Ink | None) -> None:
        """A lamp: full of its colour while it is lit."""
        x, y = centre
        radius = 38
        box = [n * SHARP for n in (x - radius, y - radius, x + radius, y + radius)]
        self._draw.ellipse(box, fill=ink or OFF, outline=FRONT, width=2 * SHARP)
        self.text((x, y + radius + 6), name, 14, DIM, anchor="ma")

    def turnstile(self, corner: tuple[int, int], released: bool) -> None:
        """A gate from above: two posts, and a leaf that stands across the way or along it."""
        x, y = corner
        for left in (x + 20, x + 216):
            self._box((left, y + 34, left + 28, y + 130), FRONT)
        if released:
            self._box((x + 48, y + 34, x + 58, y + 130), GREEN)
            self._arrow((x + 132, y + 122), (x + 132, y + 44), GREEN)
        else:
            self._box((x + 48, y + 78, x + 216, y + 88), RED)
        words = "relay closed: the gate is free" if released else "relay open: the gate is locked"
        self.text((x + 132, y + 12), words, 14, DIM, anchor="ma")

    def _box(self, corners: tuple[int, int, int, int], ink: Ink) -> None:
        self._draw.rectangle([n * SHARP for n in corners], fill=ink)

    def _arrow(self, tail: tuple[int, int], tip: tuple[int, int], ink: Ink) -> None:
        (x, y0), (_, y1) = tail, tip
        self._box((x - 4, y1 + 18, x + 4, y0), ink)
        self._draw.polygon([n * SHARP for n in (x, y1, x - 16, y1 + 22, x + 16, y1 + 22)], fill=ink)


def write(moments: Sequence[Moment], path: Path) -> None:
    """An animated WebP that begins again, in real time."""
    first, *others = (draw(moment) for moment in moments)
    first.save(
        path, save_all=True, append_images=others, duration=1000 // FRAMES_PER_S, loop=0,
        quality=QUALITY, method=6, minimize_size=True,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.demo.recording", description=__doc__)
    parser.add_argument("out", type=Path, help="the WebP to write")
    out = parser.parse_args().out
    try:
        write(record(), out)
    except DemoError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
