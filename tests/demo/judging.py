"""Whether a door was right: its answers against what was shown, its books against its answers.

An answer belongs to a visit when its code is the one that was shown. No clock decides which: a busy
machine delays the door, the street and their pipes by any amount, and in no fixed order.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.campus import Books
from tests.demo.people import AGAIN, KINDS
from tests.keeper import Moved

YOUNG_S = 60.0
"""An answer to an older code is not judged: a machine that slept may rightly refuse its age."""


def mark(key: bytes, text: bytes) -> str:
    """What stands for `text` between the demo's own processes; `key` belongs to one run."""
    return hashlib.blake2b(text, key=key, digest_size=16).hexdigest()


@dataclass(frozen=True)
class JudgedVisit:
    """Somebody held a code before a door."""

    kind: str
    mark: str
    made_s: float  # Unix seconds UTC, when the code was made


@dataclass(frozen=True)
class Answer:
    """A decision, in the order in which its door made them."""

    category: str
    why: str
    marks: tuple[str, ...]  # of the codes in the frame that it is about
    version: int  # of the trust documents that the door held; 0: those of its card
    at_s: float  # Unix seconds UTC


@dataclass(frozen=True)
class News:
    """What was published while the doors ran."""

    begun: bool = False  # parts of it may have reached a door
    version: int | None = None  # of the trust documents that hold all of it


@dataclass
class Judgement:
    """What became of one door's visits."""

    answered: int = 0
    unread: int = 0
    too_late: int = 0  # answers to codes that were no longer young
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind, category
    wrong: list[str] = field(default_factory=list)  # sentences


def judge(
    visits: Sequence[JudgedVisit], answers: Iterable[Answer], news: News, ended: bool = True
) -> Judgement:
    """Match `answers` with `visits`, both of one door.

    `ended`: nothing more will come. Until then an answer without a visit may be earlier than its
    visit's line, and only what was passed over counts as unread.
    """
    shown: dict[str, list[int]] = {}
    for number, visit in enumerate(visits):
        shown.setdefault(visit.mark, []).append(number)
    judgement = Judgement()
    passed: set[str] = set()
    answered: set[int] = set()
    for answer in answers:
        marks = [each for each in answer.marks if each in shown]
        if not marks:
            if ended:
                judgement.wrong.append(f"it answered {answer.category!r} where no code was shown")
            continue
        first = visits[shown[marks[0]][0]]
        right = set[str]().union(
            *(_right(visits[shown[each][0]].kind, each in passed, answer, news) for each in marks)
        )
        kind = AGAIN if answer.category == "used" else first.kind
        judgement.counts[kind, answer.category] += 1
        answered.add(next((n for n in shown[marks[0]] if n not in answered), shown[marks[0]][-1]))
        if answer.at_s - first.made_s > YOUNG_S:
            judgement.too_late += 1
        elif answer.category not in right:
            judgement.wrong.append(
                f"it answered {answer.category!r} to {first.kind!r}"
                f"{', whose code had passed' if marks[0] in passed else ''}; "
                f"{' or '.join(sorted(right))} is right"
            )
        if answer.category == "green":
            passed.update(marks)
    judgement.answered = len(answered)
    over = len(visits) if ended else max(answered, default=0)
    judgement.unread = sum(number not in answered for number in range(over))
    return judgement


def follows(visits: Iterable[JudgedVisit], answers: Iterable[Answer], news: News) -> set[str]:
    """The kinds whose answer the news changes and that this door has answered since it had it."""
    if news.version is None:
        return set()
    kinds = {visit.mark: visit.kind for visit in visits}
    since = (answer for answer in answers if answer.version >= (news.version or 0))
    return {kinds[each] for answer in since for each in answer.marks if each in kinds} & CHANGED


CHANGED = {kind for kind, (_, _, after) in KINDS.items() if after}
"""The kinds of visit that a door answers otherwise after the news."""


def _right(kind: str, passed: bool, answer: Answer, news: News) -> set[str]:
    """The right answers to a code of `kind`."""
    _, before, after = KINDS[kind]
    right = {before}
    if after and news.begun:
        right.add(after)
        if news.version is not None and answer.version >= news.version:
            right.discard(before)
    if passed:  # the same code once more
        right = right - {"green"} | {"used"}
    return right


def audit(
    books: Books, answers: Sequence[Answer], moves: Sequence[Moved], pins_high: bool
) -> list[str]:
    """What is wrong with the books and the relay of a door that has ended, in sentences."""
    wrong = []
    if not books.balanced:
        wrong.append(
            f"it counted {books.decided}, and {books.stored} stored + {books.unacknowledged} "
            f"unacknowledged + {books.open} open is another number"
        )
    if books.decided != len(answers):
        wrong.append(f"it answered {len(answers)} times and counted {books.decided}")
    green = sum(answer.category == "green" for answer in answers)
    if books.green != green:
        wrong.append(f"it answered green {green} times and counted {books.green}")
    closings = sum(move.relay == "closed" for move in moves)
    if green != closings:
        wrong.append(f"it answered green {green} times and the relay closed {closings} times")
    if pins_high:
        wrong.append("a pin was left high")
    # A busy machine ends a pulse late; the hardware ends the one that nobody else ends.
    one_shots = sum(move.why == "one-shot" for move in moves)
    if one_shots:
        wrong.append(f"the relay stayed closed until its one-shot ended it, {one_shots} times")
    return wrong
