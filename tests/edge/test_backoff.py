"""Back-off: each wait twice the one before, up to its bound, and short again after a success."""

import random

from edge.backoff import Backoff


def test_waits_double_up_to_the_bound() -> None:
    backoff = Backoff(0.5, 3.0)
    assert [backoff.take_wait_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_success_makes_the_next_wait_short() -> None:
    backoff = Backoff(0.5, 3.0)
    backoff.take_wait_s()
    backoff.take_wait_s()
    backoff.reset()
    assert backoff.take_wait_s() == 0.5


def test_jitter_spreads_waits_on_both_sides_and_no_further() -> None:
    backoff = Backoff(10.0, 10.0, 0.1, random.Random(4))
    waits = [backoff.take_wait_s() for _ in range(200)]
    assert min(waits) < 9.5 < 10.5 < max(waits)
    assert all(9.0 <= wait <= 11.0 for wait in waits)
