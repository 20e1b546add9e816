"""How the unit is, as the operator is told: nothing that moves with one person's passage, but the
alarms, which are no ordinary passage (`doorway.py`).
"""

from collections.abc import Container, Sequence
from importlib.metadata import version

from edge.clock.time_interval import Now
from edge.judge.document_age import AgeStep, age_s
from edge.judge.verdict import TrustState
from edge.parts import Part, Trouble
from edge.wire import report

LATE_S = 3600

_STEPS: dict[AgeStep, report.TrustAge] = {
    AgeStep.FRESH: "fresh",
    AgeStep.STALE: "stale",
    AgeStep.OLD: "old",
    AgeStep.EXPIRED: "expired",
}


def message(
    failed: Container[Part],
    oldest: report.Cell | None,
    session: int,
    trust_state: TrustState,
    started_s: float,
    now: Now,
    trouble: Trouble | None = None,
    alarms: Sequence[report.Alarm] = (),
) -> report.HealthReport:
    """The health message at `now`.

    `failed`: the parts that do not work; `oldest`: the first cell not yet acknowledged;
    `trouble`: what keeps a working camera from seeing; `alarms`: what the doorway tells.
    """
    at_s = now.interval.earliest_s
    late = oldest is not None and at_s - oldest.until_s > LATE_S
    return report.HealthReport(
        session=session,
        version=version("menshen"),
        uptime_h=int((now.monotonic_s - started_s) // 3600),
        trust_version=trust_state.version,
        trust_age_d=age_s(trust_state.signed_s, trust_state.accepted_s, now) // 86400,
        trust=_STEPS[trust_state.step(now)],
        clock=now.interval.source,
        rtc=now.rtc,
        camera="lost" if "camera" in failed else trouble or "ok",
        door="lost" if "door" in failed else "ok",
        alarms=list(alarms),
        store="full" if "store" in failed else "ok",
        verifier="wrong" if "verifier" in failed else "ok",
        queue="full" if "store" in failed else "late" if late else "ok",
    )
