"""A site's rules at a running door: the real loop, the real disk, a simulated street."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.doorway.door_signals import Signal
from edge.wire import rules
from edge.wire.rules import DoorRules, GrantRule, SiteRules
from tests.world import SITE, UNLOCK_MS, Street, ledger


def street(folder: Path, here: DoorRules, scope: str) -> Street:
    """A street of green codes with this `scope` before a door with these rules."""
    made = Street(3, folder, kinds={"green": (1, "green")}, per_hour=900)
    made.people.scopes = [scope] * len(made.people.scopes)
    made.loop._trust_state = replace(made.loop._trust_state, rules=here)
    return made


def site(**fields: Any) -> DoorRules:
    return rules.for_door(SiteRules(site=SITE, version=1, signed_s=0, **fields), (SITE,))


def test_a_suspended_company_is_counted_and_shut_out(tmp_path: Path) -> None:
    closed = street(tmp_path, site(suspended=["acme"]), "staff:acme").run(1800)
    assert not closed.pulses
    assert ledger(closed).by_category["not-now"] == ledger(closed).decided > 50
    assert {signal for _, signal in closed.actions} == {Signal.REFUSED}


def test_a_site_that_asks_for_holders_lets_no_bearer_code_in(tmp_path: Path) -> None:
    strict = street(tmp_path, site(holder=rules.HolderTerms(required=True)), "staff:acme").run(600)
    assert not strict.pulses
    assert ledger(strict).by_category["not-genuine"] == ledger(strict).decided > 10


def test_a_site_chooses_when_documents_are_too_old(tmp_path: Path) -> None:
    """The street's documents are an hour old when it begins."""
    young = street(tmp_path / "young", site(), "staff:acme").run(600)
    assert len(young.pulses) > 10
    ages = rules.DocumentAges(stale_h=1, old_h=1, expired_h=1)
    old = street(tmp_path / "old", site(ages=ages), "staff:acme").run(600)
    assert not old.pulses
    assert ledger(old).by_category["unsure-trust"] == ledger(old).decided > 10


def test_a_grant_that_the_door_asks_for_opens(tmp_path: Path) -> None:
    asks = site(visitors="never", grants=[GrantRule(grants=["staff:acme"])])
    let_in = street(tmp_path / "acme", asks, "staff:acme").run(600)
    assert len(let_in.pulses) == ledger(let_in).by_category["green"] > 10
    kept_out = street(tmp_path / "bolt", asks, "staff:bolt").run(600)
    assert not kept_out.pulses
    assert ledger(kept_out).by_category["not-here"] == ledger(kept_out).decided > 10


@pytest.mark.parametrize(("slow_ms", "pulse_ms"), [(9000, 9000), (100, UNLOCK_MS)])
def test_slow_lengthens_a_pulse_and_never_shortens_it(
    tmp_path: Path, slow_ms: int, pulse_ms: int
) -> None:
    slow = street(tmp_path, site(slow_ms=slow_ms), "slow")
    if pulse_ms != UNLOCK_MS:
        with pytest.raises(AssertionError, match=f"a pulse of {pulse_ms} ms"):
            slow.run(600)
    else:
        slow.run(600)
    assert {unlock_ms for _, unlock_ms in slow.pulses} == {pulse_ms}
