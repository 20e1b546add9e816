"""A unit and what is one version newer than its program: the centre's words, its own store."""

import json
import logging
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from edge.report.tally import ClosedCell, OpenCell
from edge.wire import envelope, report
from tests.world import START_S, Street, Troubles

HOUR_S = 3600


def unacknowledged(street: Street) -> list[report.Cell]:
    return street.store.unacknowledged(report.CELLS_MAX)


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        (report.ACK_KIND, {"only": "green"}, "unknown field `only`"),
        (report.ACK_KIND.replace(".1+", ".2+"), {}, "another kind"),
    ],
    ids=["field", "type"],
)
def test_an_acknowledgement_of_the_next_version_frees_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, more: dict[str, Any], why: str
) -> None:
    street = Street(4, tmp_path, per_hour=900, troubles=Troubles(lost_acks=1.0)).run(HOUR_S)
    cells = unacknowledged(street)
    assert cells
    ack = report.Ack(
        site="campus",
        unit="north-1",
        installation=street.store.installation,
        first=cells[0].number,
        last=cells[-1].number,
        digest=report.digest(cells[-1]),
    )
    later = json.dumps(msgspec.structs.asdict(ack) | more).encode()
    signed = envelope.sign(later, kind, street.centre.key)
    with caplog.at_level(logging.WARNING, "menshen"):
        street.centre.acks.append((street.monotonic_s, signed))
        street.run(10)
    assert why in caplog.text
    assert unacknowledged(street) == cells
    present = report.sign_ack(ack, street.centre.key)
    street.centre.acks.append((street.monotonic_s, present))
    street.run(10)
    assert cells[0] not in unacknowledged(street)


def test_a_unit_that_went_back_a_version_sends_what_the_later_one_counted(tmp_path: Path) -> None:
    """Its store holds cells of categories that its program does not know, open and closed."""
    street = Street(5, tmp_path, per_hour=60)
    from_s = START_S - 2 * HOUR_S
    lift, call = (
        OpenCell(cast(report.Category, word), from_s, 30, 25, 15) for word in ("lift", "call")
    )
    street.store.begin([lift, call])
    until_s = START_S - HOUR_S
    fresh = OpenCell(lift.category, until_s, 0, 0, 15)
    street.store.close_cells([ClosedCell(lift, until_s, fresh)])
    street.restart()
    street.run(HOUR_S)
    sent = {cell.category: cell for cell in street.centre.cells.values()}
    assert (sent["lift"].from_s, sent["lift"].until_s, sent["lift"].count) == (from_s, until_s, 30)
    assert (sent["call"].from_s, sent["call"].count) == (from_s, 30)
    assert street.store.cells()[call.category].count == 0
    assert unacknowledged(street) == []
    assert street.decisions, "the door went on"
