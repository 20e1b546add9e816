"""`menshen-provision rules`: what a file says, for people; and examples as a beginning."""

import io
import sys
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from edge.wire import rules as wire
from provisioning import __main__ as command
from provisioning import rules
from provisioning.files import ProvisioningError
from tests import ROOT

EXAMPLES = ROOT / "provisioning" / "examples" / "sites"


def shown(site: wire.SiteRules, *groups: str) -> tuple[str, list[str]]:
    tables, notes = rules.show(site, groups)
    console = Console(file=io.StringIO(), width=80)
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue(), notes


def test_the_week_of_a_door() -> None:
    site = rules.read(EXAMPLES / "office-park.json")
    text, notes = shown(site, "office-park", "office-park/tower-a")
    assert "A door in office-park, office-park/tower-a" in text
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]]
        for line in text.splitlines()
        if "│" in line
    ]
    first = next(n for n, row in enumerate(rows) if row[0].startswith("staff:acme"))
    assert rows[first][2:] == ["mon-fri  07:30-08:30", "never"]
    assert rows[first + 1][2:] == ["11:30-12:30", ""]
    assert ["cleaning", "city", "mon-fri  20:00-04:00", "never"] in rows
    assert ["guard", "city", "always", "as ever"] in rows
    assert rows[-1] == ["anybody else", "any", "mon-fri  09:30-17:00", "never"]
    assert not any("keys:machines" in row[0] for row in rows)
    assert "'delta' is suspended" in notes


def test_each_door_that_the_rules_tell_apart_is_shown() -> None:
    text, _ = shown(rules.read(EXAMPLES / "hospital.json"))
    titles = [line.strip() for line in text.splitlines() if "A door in" in line]
    assert "A door in hospital" in titles
    assert "A door in hospital, hospital/emergency" in titles
    assert "A door in hospital, hospital/ward, hospital/ward/3" in titles
    assert len(titles) == len(set(titles)) == 7
    assert (
        "opens for green, yellow, red; also when unsure of time, status, trust, start"
        in " ".join(text.split())
    )


def test_runs_of_days_are_lines() -> None:
    text, _ = shown(rules.read(EXAMPLES / "service-hall.json"), "service-hall")
    assert "mon-fri  09:00-12:00" in text
    assert "sat      09:00-12:00" in text
    assert "at most 40 inside" in " ".join(text.split())


def test_what_may_not_be_meant_is_noted() -> None:
    site = wire.SiteRules(
        site="park",
        version=1,
        signed_s=0,
        grants=[wire.GrantRule(grants=["guard"])],
        suspended=["acme"],
        closed=[date(2020, 1, 1)],
    )
    _, notes = shown(site)
    assert any("any issuer may grant guard" in note for note in notes)
    assert any("'acme' is suspended, and nothing here names it" in note for note in notes)
    assert any("every closed day is in the past" in note for note in notes)


def test_thousands_of_companies_fit_a_screen() -> None:
    many = [wire.GrantRule(grants=[f"staff:c{n}" for n in range(3700)], issuers=["city"])]
    text, _ = shown(wire.SiteRules(site="park", version=1, signed_s=0, grants=many))
    assert "and 3696 more" in text
    assert len(text) < 2000
    doors = [wire.DoorOverrides(groups=[f"park/{n}"], slow_ms=9000) for n in range(40)]
    text, notes = shown(wire.SiteRules(site="park", version=1, signed_s=0, doors=doors))
    assert text.count("A door in") == rules.DOORS_SHOWN
    assert any("29 more doors" in note for note in notes)


@pytest.mark.parametrize("kind", rules.example_names())
def test_an_example_becomes_another_sites_rules(kind: str) -> None:
    site = rules.template(kind, "campus")
    assert (site.site, site.version) == ("campus", 1)
    assert wire.read(wire.encode(site), "campus") == site
    named = {g for each in site.grants for g in each.doors} | {
        g for each in site.doors for g in each.groups
    }
    assert all(group.startswith("campus/") for group in named)
    example = rules.read(EXAMPLES / f"{kind}.json")
    assert [door.requires for door in site.doors] == [door.requires for door in example.doors]


def test_an_example_that_is_not_there() -> None:
    with pytest.raises(
        ProvisioningError, match="no example site 'castle'; choose fever-clinic, home"
    ):
        rules.template("castle", "campus")
    with pytest.raises(ProvisioningError, match="'No Site' cannot be a site"):
        rules.template("home", "No Site")


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["menshen-provision", "rules", *words])
    with pytest.raises(SystemExit) as ended:
        command.main()
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.out, said.err


WRONG_FILES = {
    b'{"x":' + b"[" * 5000: "nested deeper than 32 levels (line 1, column 37)",
    b'{"grants":\n' + b'{"x":' * 100_000: "nested deeper than 32 levels (line 2, column 156)",
    b'{"site": "park", "k": ' + b"9" * 400 + b"}": "more than 64 bits",
    b'{"site": "park", "site": "park"}': "one object has 'site' twice",
    b'{"site": "p\xe4rk"}': "not UTF-8 (line 1, column 12); save it as UTF-8",
    '{"site": "park"}'.encode("utf-16"): "save it as UTF-8",
    b'{"site": NaN}': "invalid character (line 1, column 10)",
    b" " * (1024 * 1024 + 1): "larger than 1048576 bytes",
}


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(monkeypatch, capsys, str(EXAMPLES / "home.json"), "--group", "home/gate")
    assert code == 0
    assert "is valid: version 1 of home, time zone Asia/Shanghai" in out
    assert "courier" in out
    bad = tmp_path / "bad.json"
    bad.write_text('{"site": "park", "version": 1, "signed_s": 0, "zone": "Moon"}')
    code, out, err = run(monkeypatch, capsys, str(bad))
    assert (code, out) == (2, "")
    assert err.startswith(f"{bad}: the site's rules name the time zone 'Moon'")
    assert err.count("\n") == 1
    good = (EXAMPLES / "home.json").read_text("utf-8")
    bad.write_text("\ufeff" + good, "utf-8")  # as Windows saves it
    assert run(monkeypatch, capsys, str(bad))[0] == 0
    for text, why in WRONG_FILES.items():
        bad.write_bytes(text)
        code, out, err = run(monkeypatch, capsys, str(bad))
        assert (code, out) == (2, "")
        assert err.startswith(f"{bad}: ")
        assert why in err
        assert err.count("\n") == 1
    code, _, err = run(monkeypatch, capsys, str(tmp_path / "none.json"))
    assert code == 2
    assert "none.json: No such file" in err
