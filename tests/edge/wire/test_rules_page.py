"""edge/wire/rules.md is the law: its tables are compared, its example is read and tried."""

import json
import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from edge.clock.time_interval import Interval, Now
from edge.judge.site_decision import decide
from edge.judge.verdict import Genuine
from edge.wire import rules, timetable
from edge.wire.code import Code, Colour
from tests import ROOT

PAGE = (ROOT / "edge" / "wire" / "rules.md").read_text(encoding="utf-8")


def section(number: int) -> str:
    found = re.search(rf"^## {number}\. .*?(?=^## |\Z)", PAGE, re.M | re.S)
    assert found, f"no section {number}"
    return found[0]


def fields(text: str) -> dict[str, str]:
    """The rows of a table of fields: name and default, as written."""
    return dict(re.findall(r"^\| `([a-z_]+)` \| ([^|]*?) *\|", text, re.M))


def part(number: int, begins: str) -> str:
    """The first table of a section behind a line that begins so."""
    text = section(number).partition(f"\n{begins}")[2]
    return text[text.index("\n| ") : text.index("\n\n", text.index("\n| "))]


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (section(2)[: section(2).index("`holder`:")], rules.SiteRules),
        (part(2, "`holder`:"), rules.HolderTerms),
        (part(2, "`ages`,"), rules.DocumentAges),
        (part(2, "`counts`:"), rules.CountingRules),
        (section(5), rules.GrantRule),
    ],
    ids=["site", "holder", "ages", "counts", "grants"],
)
def test_each_field_is_told_with_its_default(table: str, kind: Any) -> None:
    told = fields(table)
    assert list(told) == list(kind.__struct_encode_fields__)
    for field in msgspec.structs.fields(kind):
        default = told[field.encode_name]
        if field.required:
            assert default == ""
        elif default and not default.startswith("all "):
            assert default.strip("`") == json.dumps(msgspec.to_builtins(value(field)))


def value(field: msgspec.structs.FieldInfo) -> Any:
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def test_the_fields_of_unsure_and_of_doors() -> None:
    kinds = re.findall(r"^\| `([a-z]+)` \| ", section(7), re.M)
    assert kinds == list(rules.UnsureRules.__struct_fields__)
    said = section(3).partition("any of ")[2].partition(". It applies")[0]
    assert ["groups", *re.findall(r"`([a-z_]+)`", said)] == list(
        rules.DoorOverrides.__struct_fields__
    )


def test_the_bounds_are_the_programs() -> None:
    assert f"at most {rules.LEN_MAX >> 20} MiB" in section(1)
    assert f"1 to {rules.GRANTS_MAX} words" in section(5)
    assert f"at most {rules.CLOSED_MAX} |" in section(2)
    assert f"below {rules.K_MIN} only with `demo`" in section(2)
    assert f"below {rules.PERIOD_S_MIN} only with `demo`" in section(2)
    assert timetable.WIDEST_S == 8 * 86_400
    assert "more than eight days" in section(4)


def example() -> rules.SiteRules:
    found = re.findall(r"^```json site\n(.*?)\n```$", section(9), re.M | re.S)
    assert len(found) == 1
    said = json.loads(found[0])
    assert list(said) == list(rules.SiteRules.__struct_fields__)  # complete, in the page's order
    return rules.read(found[0].encode(), "park")


def test_the_example_says_every_field_there_is() -> None:
    site = example()
    whole = msgspec.to_builtins(site)
    assert set(whole["unsure"]) == set(rules.UnsureRules.__struct_fields__)
    assert set(whole["grants"][0]) == set(rules.GrantRule.__struct_fields__)


@pytest.mark.parametrize(
    ("table", "groups"),
    [(0, ("park", "park/north")), (1, ("park", "park/store"))],
    ids=["north", "store"],
)
def test_the_example_does_what_its_tables_say(table: int, groups: tuple[str, ...]) -> None:
    tables = section(9).partition("At its north door")[2].split("And at its store:")
    rows = re.findall(
        r"^\| (\d\d:\d\d) \| (\w+) \| (?:`([^`]+)`)? ?\| (.+?) \|$", tables[table], re.M
    )
    assert len(rows) == tables[table].count("\n| ") - 1, "a row is not read"
    site = example()
    door = rules.for_door(site, groups)
    for clock, issuer, scope, does in rows:
        at = datetime.fromisoformat(f"2027-03-05 {clock}").replace(tzinfo=ZoneInfo(site.zone))
        at_s = int(at.timestamp())
        said = Code(
            colour=Colour.GREEN, sub="A" * 11, iat_s=at_s, exp_s=at_s + 300, scope=scope or None
        )
        now = Now(Interval(at_s, at_s, "system"), 0.0)
        decision = decide(Genuine(said, Colour.GREEN, b"", issuer), door, now)
        told = "opens" if decision.opens else f"refuses, `{decision.category}`"
        assert told == does, (clock, issuer, scope)
