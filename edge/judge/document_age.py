"""How old is what this door believes? It degrades in steps that the site has chosen.

Nobody can be trusted to bring newer documents (an update may be withheld for ever), so age is
judged here, by two clocks: how much later than its signing it certainly is, and how long this unit
has been powered on since it accepted them. The larger counts.
"""

from enum import IntEnum

from edge.clock.time_interval import Now
from edge.wire.rules import DocumentAges

HOUR_S = 3600


class AgeStep(IntEnum):
    """Each step includes the ones before it."""

    FRESH = 0
    STALE = 1  # the operator is warned
    OLD = 2  # long-lived codes are unsure
    EXPIRED = 3  # every code is unsure: the door stays shut


def age_s(signed_s: int, accepted_s: float, now: Now) -> int:
    """Seconds since `signed_s` (Unix seconds UTC), or powered on since `accepted_s`: the larger."""
    return max(now.interval.earliest_s - signed_s, int(now.powered_s - accepted_s), 0)


def step(signed_s: int, until_s: int, accepted_s: float, ages: DocumentAges, now: Now) -> AgeStep:
    """The step at `now` of documents signed at `signed_s` that expire at `until_s`."""
    if now.interval.earliest_s >= until_s:
        return AgeStep.EXPIRED
    old_s = age_s(signed_s, accepted_s, now)
    if old_s >= ages.expired_h * HOUR_S:
        return AgeStep.EXPIRED
    if old_s >= ages.old_h * HOUR_S:
        return AgeStep.OLD
    return AgeStep.STALE if old_s >= ages.stale_h * HOUR_S else AgeStep.FRESH
