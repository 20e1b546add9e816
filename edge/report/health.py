"""The health message of a unit. Nothing in it changes with one person's passage, except the alarms,
which an ordinary passage does not raise (`edge/doorway/door_alarms.py`).
"""

from collections.abc import Container, Sequence
from importlib.metadata import version

from edge.clock.time_interval import Now
from edge.judge.document_age import AgeStep, age_s
from edge.judge.verdict import TrustState
from edge.parts import Part, Trouble
from edge.wire import report

LATE_S = 3600
"""From this age on, a cell that is not acknowledged makes the queue late."""

_STEPS: dict[AgeStep, report.TrustAge] = {
    AgeStep.FRESH: "fresh",
    AgeStep.STALE: "stale",
    AgeStep.OLD: "old",
    AgeStep.EXPIRED: "expired",
}


def message(
    failed_parts: Container[Part],
    oldest: report.Cell | None,
    session: int,
    trust_state: TrustState,
    started_s: float,
    now: Now,
    trouble: Trouble | None = None,
    alarms: Sequence[report.Alarm] = (),
) -> report.HealthReport:
    """The health message at `now`.

    `failed_parts`: the parts that do not work; `oldest`: the first cell not yet acknowledged;
    `started_s`: the start of the program, monotonic; `trouble`: what keeps a working camera from
    seeing; `alarms`: the door's alarms.
    """
    at_s = now.interval.earliest_s
    is_late = oldest is not None and at_s - oldest.until_s > LATE_S
    return report.HealthReport(
        session=session,
        version=version("menshen"),
        uptime_h=int((now.monotonic_s - started_s) // 3600),
        trust_version=trust_state.version,
        trust_age_d=age_s(trust_state.signed_s, trust_state.accepted_s, now) // 86400,
        trust="expired" if "trust" in failed_parts else _STEPS[trust_state.step(now)],
        clock=now.interval.source,
        rtc=now.rtc,
        camera="lost" if "camera" in failed_parts else trouble or "ok",
        door="lost" if "door" in failed_parts else "ok",
        alarms=list(alarms),
        store="full" if "store" in failed_parts else "ok",
        verifier="wrong" if "verifier" in failed_parts else "ok",
        queue="full" if "store" in failed_parts else "late" if is_late else "ok",
    )
