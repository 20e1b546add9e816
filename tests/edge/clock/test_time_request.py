"""Questions for the time: only the answer to the open one counts, and it holds the true time."""

import base64
import itertools
import json
import random
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import BUILT_S
from edge.adapters import system_clock
from edge.adapters.storage import clock_slots
from edge.clock import time_interval
from edge.clock.time_interval import NEVER_S, Interval, Now
from edge.clock.time_request import AGAIN_S, ANSWER_S_MAX, EVERY_S, JITTER, TimeRequester
from edge.wire import envelope, keys, report, unit
from server_stub.collecting.time_answers import TimeAnswerer
from tests import ROOT

TIME_KEY = keys.private_key(b"time".ljust(32))
OTHER_KEY = keys.private_key(b"other".ljust(32))
T_S = BUILT_S + 10**6


def now(monotonic_s: float) -> Now:
    return Now(Interval(BUILT_S, NEVER_S, "build"), monotonic_s)


def asking(seed: int = 1) -> TimeRequester:
    return TimeRequester("campus", "north-1", 7, TIME_KEY.public, random.Random(seed))


def asked(by: TimeRequester, monotonic_s: float = 100.0) -> report.TimeRequest:
    message = by.take_request(True, now(monotonic_s))
    assert message is not None
    return report.decode_time_request(message)


def answer(ask: report.TimeRequest, key: keys.PrivateKey = TIME_KEY, **more: Any) -> bytes:
    said = {
        "site": "campus",
        "unit": "north-1",
        "nonce": ask.nonce,
        "time_ms": T_S * 1000,
        "error_ms": 500,
    }
    return report.sign_time_answer(report.TimeAnswer(**said | more), key)


def test_an_answer_is_worth_half_its_way_to_either_side() -> None:
    unit = asking()
    sync = unit.take_answer(answer(asked(unit)), now(100.4))
    assert sync is not None
    assert sync.time_s == pytest.approx(T_S + 0.2)
    assert sync.error_s == pytest.approx(0.5 + 0.2 + 0.001)
    assert sync.monotonic_s == 100.4


@given(st.floats(0, ANSWER_S_MAX), st.floats(0, 1), st.floats(-0.5, 0.5), st.integers(0, 999))
def test_the_true_time_lies_within_the_sync(
    trip_s: float, written: float, off_s: float, ms: int
) -> None:
    """Wherever on its way it was written, by a clock that is off by no more than it says."""
    unit = asking()
    ask = asked(unit)
    true_s = T_S + ms / 1000 + trip_s  # when it arrives
    time_ms = int((true_s - trip_s * (1 - written) + off_s) * 1000)
    sync = unit.take_answer(answer(ask, time_ms=time_ms), now(100.0 + trip_s))
    assert sync is not None
    assert abs(sync.time_s - true_s) <= sync.error_s + 1e-6


def test_an_answer_counts_once() -> None:
    unit = asking()
    given_ = answer(asked(unit))
    assert unit.take_answer(given_, now(100.1)) is not None
    assert unit.take_answer(given_, now(100.2)) is None
    asked(unit, 100.0 + 2 * EVERY_S)
    assert unit.take_answer(given_, now(100.1 + 2 * EVERY_S)) is None  # nor for the next question


def test_an_answer_that_was_held_back_is_none() -> None:
    for seconds in (ANSWER_S_MAX + 0.01, 3600.0, 10.0**7, -1.0):
        unit = asking()
        given_ = answer(asked(unit))
        assert unit.take_answer(given_, now(100.0 + seconds)) is None


def test_a_unit_that_has_not_asked_takes_no_answer() -> None:
    unit = asking()
    ask = report.TimeRequest(session=7, nonce="0" * 32)
    assert unit.take_answer(answer(ask), now(100.0)) is None


@pytest.mark.parametrize(
    "more", [{"site": "harbour"}, {"unit": "north-2"}, {"nonce": "0" * 32}], ids=str
)
def test_an_answer_to_another_is_none(more: dict[str, str]) -> None:
    unit = asking()
    ask = asked(unit)
    assert unit.take_answer(answer(ask, **more), now(100.1)) is None
    assert unit.take_answer(answer(ask), now(100.2)) is not None  # and the true one still counts


def test_an_answer_of_the_next_version_leaves_the_question_open() -> None:
    unit = asking()
    ask = asked(unit)
    fields = json.loads(envelope.verify(answer(ask), report.ANSWER_KIND, TIME_KEY.public))
    for more, kind in (
        ({"leap": "soon"}, report.ANSWER_KIND),
        ({}, report.ANSWER_KIND.replace(".1+", ".2+")),
    ):
        later = envelope.sign(json.dumps(fields | more).encode(), kind, TIME_KEY)
        with pytest.raises(report.ReportError):
            unit.take_answer(later, now(100.1))
    assert unit.take_answer(answer(ask), now(100.2)) is not None


def test_a_restart_makes_old_answers_worthless() -> None:
    old = answer(asked(asking(1)))
    unit = asking(2)
    asked(unit)
    assert unit.take_answer(old, now(100.1)) is None


def refused(data: bytes) -> None:
    unit = asking()
    asked(unit)
    with pytest.raises(report.ReportError):
        unit.take_answer(data, now(100.1))


def test_only_the_time_key_tells_the_time() -> None:
    ask = asked(asking())
    refused(answer(ask, OTHER_KEY))
    content = json.loads(answer(ask))
    for later_s in (1, 10**6):
        payload = json.loads(base64.b64decode(content["payload"]))
        payload["time_ms"] += later_s * 1000
        forged = base64.b64encode(json.dumps(payload).encode()).decode()
        refused(json.dumps(content | {"payload": forged}).encode())
    kinds = (report.ACK_KIND, "application/json")
    for kind in kinds:  # another document under the same key is no time
        refused(envelope.sign(base64.b64decode(content["payload"]), kind, TIME_KEY))


def test_a_torn_answer_is_told() -> None:
    whole = answer(asked(asking()))
    for at in range(len(whole)):
        refused(whole[:at])


@pytest.mark.parametrize(
    "more",
    [
        {"time_ms": -1},
        {"time_ms": 2**53},
        {"error_ms": -1},
        {"error_ms": 10**9},
        {"nonce": "0" * 31},
    ],
    ids=str,
)
def test_a_signed_answer_must_make_sense(more: dict[str, Any]) -> None:
    refused(answer(asked(asking()), **more))


def test_a_question_has_one_size_and_a_new_nonce() -> None:
    nonces = set()
    for session in (1, 2**53):
        unit = TimeRequester("campus", "north-1", session, TIME_KEY.public, random.SystemRandom())
        for times in range(20):
            message = unit.take_request(True, now(times * 2 * EVERY_S))
            assert message is not None
            assert len(message) == report.ASK_LEN
            nonces.add(report.decode_time_request(message).nonce)
    assert len(nonces) == 40


def moments(unit: TimeRequester, until_s: float, answered: bool = False) -> list[float]:
    """When it asks, connected all the time."""
    found = []
    for tick in range(int(until_s)):
        message = unit.take_request(True, now(float(tick)))
        if message is not None:
            found.append(float(tick))
            if answered:
                ask = report.decode_time_request(message)
                assert unit.take_answer(answer(ask), now(tick + 0.2)) is not None
    return found


def test_it_asks_at_once_and_about_hourly() -> None:
    found = moments(asking(), 6 * EVERY_S, answered=True)
    apart = [b - a for a, b in itertools.pairwise(found)]
    assert found[0] == 0
    assert len(apart) >= 5
    assert all((1 - JITTER) * EVERY_S <= a <= (1 + JITTER) * EVERY_S + 1 for a in apart)
    assert len(set(apart)) > 1  # not in step
    assert found != moments(asking(2), 6 * EVERY_S, answered=True)


def test_without_an_answer_it_asks_again_and_more_and_more_seldom() -> None:
    found = moments(asking(), 24 * EVERY_S)
    apart = [b - a for a, b in itertools.pairwise(found)]
    assert apart[0] <= AGAIN_S * (1 + JITTER) + 1
    assert all(a >= (1 - JITTER) * AGAIN_S - 1 for a in apart)
    assert apart[-1] > (1 - JITTER) * EVERY_S - 1
    assert len(found) < 40


def test_a_line_that_comes_and_goes_makes_no_flood() -> None:
    unit, asks = asking(), 0
    for tick in range(4 * 600):
        asks += unit.take_request(tick % 2 == 0, now(tick / 4)) is not None
    assert asks <= 600 / ANSWER_S_MAX + 1


def test_without_a_connection_it_asks_nobody() -> None:
    assert asking().take_request(False, now(0.0)) is None


# The other end.


def test_the_answerer_answers_who_asked() -> None:
    unit = asking()
    message = unit.take_request(True, now(100.0))
    assert message is not None
    topic, said = TimeAnswerer(TIME_KEY, 250).answer("menshen/1/campus/north-1/ask", message)
    assert topic == "menshen/1/campus/north-1/answer"
    assert report.verify_time_answer(said, TIME_KEY.public).error_ms == 250
    assert unit.take_answer(said, now(100.1)) is not None


def test_an_answer_to_a_neighbour_with_my_nonce_is_not_mine() -> None:
    """A unit that overhears a nonce gets an answer with its own name in it."""
    unit = asking()
    message = unit.take_request(True, now(100.0))
    assert message is not None
    _, said = TimeAnswerer(TIME_KEY).answer("menshen/1/campus/north-2/ask", message)
    assert unit.take_answer(said, now(100.1)) is None


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("menshen/1/campus/north-1/ask", b""),
        ("menshen/1/campus/north-1/ask", b"{}"),
        ("menshen/1/campus/north-1/ask", b'{"session":1,"nonce":"00"}'),
        ("menshen/1/campus/north-1/ask", b"\xff" * 4096),
        ("menshen/1/Campus/north-1/ask", b'{"session":1,"nonce":"' + b"0" * 32 + b'"}'),
        ("menshen/1/campus/north-1/counts", b'{"session":1,"nonce":"' + b"0" * 32 + b'"}'),
    ],
)
def test_what_is_no_question_gets_no_answer(topic: str, payload: bytes) -> None:
    with pytest.raises(report.ReportError):
        TimeAnswerer(TIME_KEY).answer(topic, payload)


# edge/wire/time.md is the law.

PAGE = (ROOT / "edge" / "wire" / "time.md").read_text(encoding="utf-8")


def block(info: str) -> bytes:
    (found,) = re.findall(rf"^```json {info}\n(.*?)\n```$", PAGE, re.M | re.S)
    return str(found).encode()


def test_the_pages_messages_are_ours() -> None:
    assert report.encode(report.decode_time_request(block("ask"))).rstrip() == block("ask")
    signed = envelope.sign(block("answer"), report.ANSWER_KIND, TIME_KEY)
    said = report.verify_time_answer(signed, TIME_KEY.public)
    assert report.sign_time_answer(said, TIME_KEY) == signed
    assert said.nonce == report.decode_time_request(block("ask")).nonce


def test_the_pages_slot_is_ours(tmp_path: Path) -> None:
    data = block("slot")
    line = clock_slots._checksum(data) + b" " + data.ljust(clock_slots.SLOT_LEN - 18) + b"\n"
    (tmp_path / clock_slots.NAMES[0]).write_bytes(line)
    kept = clock_slots.Slots(tmp_path).load()
    assert (kept.floor_s, kept.powered_s) == (1_800_000_000, 431_700)
    assert kept.relation is not None
    clock_slots.Slots(tmp_path).save(kept)
    assert (tmp_path / clock_slots.NAMES[1]).read_bytes()[17:].rstrip() == data.replace(
        b"1441", b"1442"
    )


def test_the_pages_numbers_are_the_programs() -> None:
    said = " ".join(PAGE.split())
    assert f"taken as {time_interval.DRIFT_PPM:.0f} ppm" in said
    assert f"{time_interval.DRIFT_PPM * 86400 / 1e6:.2f} s a day" in said
    assert f"off by {time_interval.DRIFT_PPM * 3600 / 1e6:.2f} s more" in said
    assert f"widens by {2 * time_interval.DRIFT_PPM * 86400 / 1e6:.0f} s a day" in said
    assert f"`rtc_ppm` is {unit.ClockConfig().rtc_ppm:.0f} by default" in said
    assert (
        f"more than {time_interval.RTC_JUMP_S + time_interval.RTC_READ_S:.1f} s on top of" in said
    )
    assert f"{time_interval.RTC_READ_S} s of reading" in said
    assert f"Every {system_clock.LOOK_EVERY_S:.0f} s it is compared" in said
    assert f"no earlier than {time_interval.SETTLED_S:.0f} s after power-on" in said
    assert f"Written every {system_clock.SAVE_EVERY_S:.0f} s" in said
    assert (system_clock.SAVE_EVERY_S + system_clock.SAVE_APART_S) / 60 == 6
    assert f"± {time_interval.SYSTEM_ERROR_S:.0f} s or the kernel's" in said
    assert f"Each has {clock_slots.SLOT_LEN} bytes" in said
    assert f"{report.ASK_LEN} bytes, filled" in said
    assert f"again after {AGAIN_S:.0f} s" in said
    assert f"within {ANSWER_S_MAX:.0f} s of the request" in said
    assert f"about hourly (± {JITTER:.0%}".replace("%", " %") in said
    assert f"`{report.ANSWER_KIND}`" in said
    for word in (*get_args(report.ClockSource), *get_args(report.RtcState)):
        assert f"`{word}`" in PAGE.partition("## 7.")[2]
