"""Twenty-five questions of a newcomer (questions.md) and the files that answer them by their names.

Whether a name answers its question is for a reader to judge; that each question has its file, and
each file is there, is for this test.
"""

import re

from tests import ROOT

QUESTIONS = (ROOT / "tests" / "house" / "questions.md").read_text("utf-8")

ANSWERS = {
    1: ("edge/passing/anti_passback.py",),
    2: ("edge/passing/occupancy.py",),
    3: ("edge/passing/turnstile.py",),
    4: ("edge/adapters/camera/stall_recovery.py",),
    5: ("edge/sight/camera_health.py",),
    6: ("edge/adapters/camera/decoder_supervisor.py",),
    7: ("edge/sight/presented_code.py",),
    8: ("edge/doorway/door_signals.py",),
    9: ("edge/doorway/door_alarms.py",),
    10: ("edge/wire/door_inputs.py",),
    11: ("edge/judge/verdict.py",),
    12: ("edge/judge/site_decision.py",),
    13: ("edge/judge/foreign/eu_certificate.py",),
    14: ("edge/judge/document_age.py",),
    15: ("edge/clock/time_request.py",),
    16: ("edge/clock/time_interval.py",),
    17: ("edge/report/failures.py",),
    18: ("edge/report/reporter.py",),
    19: ("edge/report/health.py",),
    20: ("edge/report/tally.py",),
    21: ("edge/adapters/storage/counts.py",),
    22: ("edge/adapters/trust/sources.py",),
    23: ("edge/adapters/door/gpio_door.py",),
    24: ("server_stub/collecting/collector.py", "server_stub/collecting/time_answers.py"),
    25: ("server_stub/issuing/revocation.py", "server_stub/issuing/status_lists.py"),
}


def test_each_question_has_its_file() -> None:
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", QUESTIONS, re.MULTILINE)]
    assert numbers == list(ANSWERS) == list(range(1, 26))
    for number, files in ANSWERS.items():
        for file in files:
            assert (ROOT / file).is_file(), f"question {number}: {file} is not there"
