"""How old the trust documents of this door are, in steps that the site chooses.

No channel can be trusted to deliver newer documents: an attacker may withhold updates for ever. So
the unit measures the age itself, in two ways: the time that has certainly passed since the
documents were signed, and the time for which the unit has been powered on since it accepted them.
The larger counts.
"""

from enum import IntEnum

from edge.clock.time_interval import Now
from edge.wire.rules import DocumentAges

HOUR_S = 3600


class AgeStep(IntEnum):
    """How a door treats its documents; each step includes the steps before it."""

    FRESH = 0
    STALE = 1  # the operator is warned
    OLD = 2  # long-lived codes are unsure
    EXPIRED = 3  # every code is unsure, so the door stays shut


def age_s(signed_s: int, accepted_s: float, now: Now) -> int:
    """The age in seconds: since `signed_s` (Unix seconds UTC), or powered on since `accepted_s`
    (as Now.powered_s); the larger counts.
    """
    return max(now.interval.earliest_s - signed_s, int(now.powered_s - accepted_s), 0)


def step(signed_s: int, until_s: int, accepted_s: float, ages: DocumentAges, now: Now) -> AgeStep:
    """The step at `now` of documents signed at `signed_s` that expire at `until_s`."""
    if now.interval.earliest_s >= until_s:
        return AgeStep.EXPIRED
    documents_age_s = age_s(signed_s, accepted_s, now)
    if documents_age_s >= ages.expired_h * HOUR_S:
        return AgeStep.EXPIRED
    if documents_age_s >= ages.old_h * HOUR_S:
        return AgeStep.OLD
    return AgeStep.STALE if documents_age_s >= ages.stale_h * HOUR_S else AgeStep.FRESH
