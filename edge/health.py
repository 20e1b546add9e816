"""How the unit is, as the operator is told: nothing that moves with one person's passage."""

from collections.abc import Container
from importlib.metadata import version
from typing import Literal

from edge.clock import Now
from edge.wire import report

LATE_S = 3600


Part = Literal["camera", "door", "store", "verifier"]
"""What of a unit's world can fail."""


def message(
    failed: Container[Part],
    oldest: report.Cell | None,
    session: int,
    trust_version: int,
    trust_signed_s: int,
    started_s: float,
    now: Now,
) -> report.Health:
    """The health message at `now`.

    `failed`: the parts that do not work; `oldest`: the first cell not yet acknowledged.
    """
    at_s = now.interval.earliest_s
    late = oldest is not None and at_s - oldest.until_s > LATE_S
    return report.Health(
        session=session,
        version=version("menshen"),
        uptime_h=int((now.monotonic_s - started_s) // 3600),
        trust_version=trust_version,
        trust_age_d=max(0, at_s - trust_signed_s) // 86400,
        clock=now.interval.source,
        rtc=now.rtc,
        camera="lost" if "camera" in failed else "ok",
        door="lost" if "door" in failed else "ok",
        store="full" if "store" in failed else "ok",
        verifier="wrong" if "verifier" in failed else "ok",
        queue="full" if "store" in failed else "late" if late else "ok",
    )
