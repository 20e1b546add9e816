"""The demo's judgement, fed with right and wrong answers: no delay accuses, no fault passes."""

from itertools import permutations

import pytest

from tests.campus import Books
from tests.demo import people
from tests.demo.judging import (
    CHANGED,
    YOUNG_S,
    Answer,
    JudgedVisit,
    News,
    audit,
    follows,
    judge,
    mark,
)
from tests.keeper import Moved

NO_NEWS, UNDER_WAY, PUBLISHED = News(), News(begun=True), News(begun=True, version=7)


def visit(kind: str, code: str = "A") -> JudgedVisit:
    return JudgedVisit(kind, code, 1000.0)


def answer(category: str, code: str = "A", version: int = 0, at_s: float = 1001.0) -> Answer:
    return Answer(category, "because", (code,), version, at_s)


@pytest.mark.parametrize("kind", people.KINDS)
@pytest.mark.parametrize("news", [NO_NEWS, UNDER_WAY, PUBLISHED], ids=["none", "begun", "out"])
def test_the_right_answer_to_each_kind_is_no_accusation_and_any_other_is_one(
    kind: str, news: News
) -> None:
    _, before, after = people.KINDS[kind]
    right = {before} | ({after} if after and news.begun else set())
    categories = {category for _, *both in people.KINDS.values() for category in both if category}
    for category in categories | {"used"}:
        wrong = judge([visit(kind)], [answer(category)], news).wrong
        assert bool(wrong) == (category not in right), (category, wrong)


@pytest.mark.parametrize("kind", sorted(CHANGED))
def test_a_door_that_has_the_news_and_opens_all_the_same_is_wrong(kind: str) -> None:
    after = people.KINDS[kind][2]
    for version in (7, 8):
        (wrong,) = judge([visit(kind)], [answer("green", version=version)], PUBLISHED).wrong
        assert wrong == f"it answered 'green' to {kind!r}; {after} is right"
        assert not judge([visit(kind)], [answer(after, version=version)], PUBLISHED).wrong
    assert not judge([visit(kind)], [answer("green", version=6)], PUBLISHED).wrong


def test_who_unlocks_after_the_news_has_a_code_that_opens() -> None:
    assert not judge([visit("green")], [answer("green", version=7)], PUBLISHED).wrong


def test_no_order_of_lines_and_no_delay_changes_whose_answer_it_is() -> None:
    """Six people; the door answers four of them, in its order, whenever the lines come."""
    kinds = ["green", "taken back", "red", "green", "expired", "of acme"]
    visits = [visit(kind, f"code {n}") for n, kind in enumerate(kinds)]
    answers = [
        answer("green", "code 0"),
        answer("green", "code 1"),
        answer("green", "code 3"),
        answer("not-now", "code 5", version=7),
    ]
    for shown in permutations(visits):
        judgement = judge(shown, answers, PUBLISHED)
        assert not judgement.wrong
        assert (judgement.answered, judgement.unread) == (4, 2)
    for seen in range(len(visits) + 1):  # lines of the street that have come so far
        assert not judge(visits[:seen], answers, PUBLISHED, ended=False).wrong


def test_what_nobody_has_shown_is_no_answer_once_all_lines_have_come() -> None:
    visits, answers = [visit("red")], [answer("green", "B")]
    assert judge(visits, answers, NO_NEWS, ended=False).wrong == []
    assert judge(visits, answers, NO_NEWS).wrong == ["it answered 'green' where no code was shown"]
    assert judge([], [Answer("red", "", (), 0, 1001.0)], NO_NEWS).wrong


def test_a_code_opens_once() -> None:
    twice = [visit("green"), visit(people.AGAIN)]
    assert not judge(twice, [answer("green"), answer("used")], NO_NEWS).wrong
    assert not judge(twice, [answer("green")], NO_NEWS).wrong
    unread_first = judge(twice, [answer("green")], NO_NEWS)
    assert (unread_first.answered, unread_first.unread) == (1, 1)
    (wrong,) = judge(twice, [answer("green"), answer("green")], NO_NEWS).wrong
    assert wrong == "it answered 'green' to 'green', whose code had passed; used is right"
    assert judge([visit("green")], [answer("green"), answer("green")], NO_NEWS).wrong
    assert judge(twice, [answer("used")], NO_NEWS).wrong, "nobody has passed with it"
    assert judge([visit("red")], [answer("used")], NO_NEWS).wrong


def test_who_passed_is_taken_back_while_the_code_is_still_in_view() -> None:
    answers = [answer("green"), answer("revoked", version=7)]
    assert not judge([visit("taken back")], answers, PUBLISHED).wrong
    again = [answer("green"), answer("green", version=7)]
    assert len(judge([visit("taken back")], again, PUBLISHED).wrong) == 1


def test_the_poster_beside_a_code_is_not_in_the_way() -> None:
    seen = Answer("red", "because", ("poster", "A"), 0, 1001.0)
    judgement = judge([visit("red")], [seen], NO_NEWS)
    assert (judgement.answered, judgement.wrong) == (1, [])


def test_an_old_code_is_not_judged_and_a_young_one_is() -> None:
    """A machine that slept: the door refuses its proof by age, and is right."""
    late = judge([visit("green")], [answer("proof-old", at_s=1000 + YOUNG_S + 1)], NO_NEWS)
    assert (late.wrong, late.too_late) == ([], 1)
    young = judge([visit("green")], [answer("proof-old", at_s=1000 + YOUNG_S)], NO_NEWS)
    assert (len(young.wrong), young.too_late) == (1, 0)


def test_unread_are_those_that_the_door_has_passed_over() -> None:
    visits = [visit("red", code) for code in "ABCD"]
    so_far = judge(visits, [answer("red", "B")], NO_NEWS, ended=False)
    assert (so_far.answered, so_far.unread) == (1, 1)
    assert judge(visits, [answer("red", "B")], NO_NEWS).unread == 3


def test_the_news_is_followed_when_both_kinds_were_answered_since() -> None:
    visits = [visit("taken back", "A"), visit("of acme", "B"), visit("green", "C")]
    answers = [answer("green", "A"), answer("green", "C", version=7)]
    assert follows(visits, answers, PUBLISHED) == set()
    answers.append(answer("revoked", "A", version=7))
    assert follows(visits, answers, UNDER_WAY) == set()
    assert follows(visits, answers, PUBLISHED) == {"taken back"}
    answers.append(answer("not-now", "B", version=8))
    assert follows(visits, answers, PUBLISHED) == CHANGED == {"taken back", "of acme"}


ANSWERS = [answer("green", "A"), answer("red", "B"), answer("green", "C")]
BOOKS = Books(decided=3, stored=2, unacknowledged=0, open=1, green=2)
MOVES = [
    Moved("closed", 1.0, 1, None, "pin high"),
    Moved("opened", 401.0, 1, 400.0, "pin low"),
    Moved("closed", 2000.0, 2, None, "pin high"),
    Moved("opened", 6000.0, 2, 4000.0, "pin low"),  # a busy machine's
]


def test_books_that_agree_are_no_accusation() -> None:
    assert audit(BOOKS, ANSWERS, MOVES, pins_high=False) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stored": 1}, "it counted 3, and 1 stored + 0 unacknowledged + 1 open is another number"),
        ({"stored": 3}, "it counted 3, and 3 stored"),
        ({"decided": 2, "stored": 1}, "it answered 3 times and counted 2"),
        ({"decided": 4, "open": 2}, "it answered 3 times and counted 4"),
        ({"green": 1}, "it answered green 2 times and counted 1"),
    ],
)
def test_a_lost_or_double_count_is_an_accusation(change: dict[str, int], sentence: str) -> None:
    (wrong,) = audit(Books(**(vars(BOOKS) | change)), ANSWERS, MOVES, pins_high=False)
    assert wrong.startswith(sentence)


def test_a_relay_that_does_otherwise_than_the_answers_is_an_accusation() -> None:
    assert audit(BOOKS, ANSWERS, MOVES[:2], pins_high=False) == [
        "it answered green 2 times and the relay closed 1 times"
    ]
    assert audit(BOOKS, ANSWERS, MOVES, pins_high=True) == ["a pin was left high"]
    stuck = [*MOVES[:3], Moved("opened", 7000.0, 2, 5000.0, "one-shot")]
    (wrong,) = audit(BOOKS, ANSWERS, stuck, pins_high=False)
    assert "one-shot" in wrong


def test_a_mark_is_of_one_run_and_one_code() -> None:
    marks = {mark(key, code) for key in (b"one", b"two") for code in (b"DC1:A", b"DC1:B")}
    assert len(marks) == 4
    assert mark(b"one", b"DC1:A") == mark(b"one", b"DC1:A")
