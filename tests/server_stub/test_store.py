"""The central store: each cell once, conflicts told, wills of the past ignored."""

import random
import subprocess
import sys
from pathlib import Path

import alembic.command
import alembic.config
import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from edge.wire import report
from server_stub import store

UNIT = store.UnitKey("campus", "north-1")
INSTALLATION = "00112233445566aa"
HEALTH = report.HealthReport(
    session=1,
    version="0.1.0",
    uptime_h=1,
    trust_version=3,
    trust_age_d=2,
    trust="fresh",
    clock="system",
    camera="ok",
    door="ok",
    store="ok",
    verifier="ok",
    queue="ok",
)


DIGEST_OF_CELL_1 = "6c39dd4c61a5e97f979d0bb47917e747c2b87e580cfaa3e808f04a6c819493a9"


@pytest.fixture
def engine(tmp_path: Path) -> sa.Engine:
    return store.open_store(f"sqlite:///{tmp_path}/menshen.db")


def cell(number: int, count: int = 12) -> report.Cell:
    return report.Cell(
        number=number,
        category="green",
        from_s=900 * number,
        until_s=900 * number + 900,
        count=count,
    )


def counts(*numbers: int, installation: str = INSTALLATION) -> store.Report:
    cells = [cell(n) for n in numbers]
    return store.Report(UNIT, report.CountsReport(installation=installation, cells=cells))


def add(engine: sa.Engine, *reports: store.Report) -> list[store.StoredCells]:
    with store.writing(engine) as connection:
        return store.add_cells(connection, reports)


def numbers(engine: sa.Engine) -> list[tuple[str, int]]:
    with engine.connect() as connection:
        rows = connection.execute(sa.select(store.cells.c.installation, store.cells.c.number))
        return sorted((row.installation, row.number) for row in rows)


def test_the_migrations_make_the_schema_that_the_code_uses(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, store.metadata) == []


def test_a_commit_is_durable(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_kept_connection_sees_what_is_committed_and_holds_nothing(engine: sa.Engine) -> None:
    seen = sa.select(sa.func.count()).select_from(store.cells)
    with store.open_reader(engine) as kept:
        for n in range(1, 4):
            add(engine, counts(n))
            assert kept.execute(seen).scalar() == n
        with engine.connect() as other:
            busy, *_ = other.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        assert not busy  # no old snapshot keeps the log from being emptied


def test_repeats_change_nothing_and_are_answered_alike(engine: sa.Engine) -> None:
    first = add(engine, counts(1, 2, 3))
    again = add(engine, counts(1, 2, 3), counts(2, 3, 4), counts(2, 3, 4))
    assert [k.last and k.last.number for k in first + again] == [3, 3, 4, 4]
    assert numbers(engine) == [(INSTALLATION, n) for n in (1, 2, 3, 4)]


def test_any_order_of_deliveries_stores_each_cell_once(engine: sa.Engine) -> None:
    draw = random.Random(5)
    for _ in range(60):
        start = draw.randint(1, 20)
        batch = [counts(*range(start, start + draw.randint(1, 8))) for _ in range(3)]
        add(engine, *batch)
    stored = numbers(engine)
    assert len(stored) == len(set(stored))
    with engine.connect() as connection:
        for row in connection.execute(sa.select(store.cells)):
            assert row.digest == report.digest(cell(row.number))


def test_a_new_installation_starts_again_at_one(engine: sa.Engine) -> None:
    other = "ffffffffffffffff"
    add(engine, counts(1), counts(1, installation=other))
    assert numbers(engine) == [(INSTALLATION, 1), (other, 1)]


@pytest.mark.parametrize("before", [True, False], ids=["stored", "same-batch"])
def test_other_content_under_the_same_key_is_a_conflict(engine: sa.Engine, before: bool) -> None:
    honest = counts(1, 2, 3)
    forged = store.Report(
        UNIT, report.CountsReport(installation=INSTALLATION, cells=[cell(2), cell(3, 99), cell(4)])
    )
    if before:
        add(engine, honest)
        kept = add(engine, forged)[0]
    else:
        kept = add(engine, honest, forged)[1]
    assert kept.conflict == cell(3, 99)
    assert kept.last == cell(2)
    assert numbers(engine) == [(INSTALLATION, n) for n in (1, 2, 3)]
    with engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.sum(store.cells.c.count))).scalar() == 36


def test_cells_that_are_missing_before_a_report_are_told(engine: sa.Engine) -> None:
    other = "ffffffffffffffff"
    said = [
        counts(1, 2),
        counts(3, 4),  # in the same commit as those before it
        counts(6),  # 5 is not here
        counts(6, 7),
        counts(3, 4),
        counts(12, 13),
        counts(9),  # late, but more than it is here: nothing new is missing
        counts(40, installation=other),
    ]
    missing = [None, None, (5, 5), None, None, (8, 11), None, (1, 39)]
    assert [k.missing for k in add(engine, *said)] == missing
    assert [k.last for k in add(engine, *said)] == [r.counts.cells[-1] for r in said]
    assert [k.missing for k in add(engine, counts(14), counts(17))] == [None, (15, 16)]
    assert (INSTALLATION, 17) in numbers(engine)


def state(
    online: bool, session: int, installation: str = INSTALLATION, connection: int = 0
) -> report.StateReport:
    return report.StateReport(
        online=online, session=session, connection=connection, installation=installation
    )


@pytest.mark.parametrize(
    ("said", "online", "since_s"),
    [
        ([state(True, 1)], True, 0),
        ([state(True, 1), state(False, 1)], False, 1),
        ([state(True, 2), state(False, 1)], True, 0),
        ([state(True, 2), state(True, 1)], True, 0),
        ([state(False, 1), state(False, 1)], False, 0),
        ([state(True, 9), state(True, 1, "b" * 16)], True, 1),
        ([state(True, 1, "b" * 16), state(False, 9)], True, 0),
        ([state(True, 7, connection=2), state(False, 7, connection=1)], True, 0),
        ([state(True, 7, connection=2), state(False, 7, connection=2)], False, 1),
        ([state(True, 7, connection=2), state(False, 7)], True, 0),
        ([state(True, 7, connection=9), state(True, 8, connection=1)], True, 1),
        ([state(True, 7), state(True, 7, connection=1), state(False, 7)], True, 1),
    ],
    ids=[
        "birth",
        "will",
        "late-will",
        "late-birth",
        "retained-again",
        "replaced",
        "old-unit",
        "late-will-of-a-connection",
        "will-of-this-connection",
        "will-without-a-number",
        "next-session",
        "upgraded-unit",
    ],
)
@pytest.mark.parametrize("together", [True, False], ids=["one-batch", "batches"])
def test_which_state_counts(
    engine: sa.Engine, said: list[report.StateReport], online: bool, since_s: int, together: bool
) -> None:
    for now_s, batch in enumerate([said] if together else [[one] for one in said]):
        with store.writing(engine) as connection:
            store.add_units(connection, {UNIT: batch}, {}, now_s)
    with engine.connect() as connection:
        row = connection.execute(sa.select(store.units)).one()
    assert row.online is online
    assert row.state_s == (0 if together else since_s)


def test_health_is_kept_whole(engine: sa.Engine) -> None:
    with store.writing(engine) as connection:
        store.add_units(connection, {}, {UNIT: HEALTH}, 77)
    with engine.connect() as connection:
        row = connection.execute(sa.select(store.units)).one()
    assert report.HealthReport(**row.health) == HEALTH
    assert (row.health_s, row.first_s, row.online) == (77, 77, None)


def test_what_a_later_version_reports_is_kept_while_it_reports_it(engine: sa.Engine) -> None:
    def keep(now_s: int, **fields: report.Value) -> tuple[object, object]:
        birth = report.StateReport(
            online=True, session=1, installation=INSTALLATION, unknown=fields
        )
        empty = report.CountsReport(installation=INSTALLATION, cells=[], unknown=fields)
        health = msgspec.structs.replace(HEALTH, unknown=fields)
        with store.writing(engine) as connection:
            store.add_units(connection, {UNIT: [birth]}, {UNIT: health}, now_s, {UNIT: empty})
            row = connection.execute(sa.select(store.units)).one()
        assert (row.online, row.state_s, row.health_s) == (True, 1, now_s)
        return row.unknown, row.health

    plain = report.content(HEALTH)
    assert keep(1) == (None, plain)
    new: dict[str, report.Value] = {"lamp": "dim", "zones": ["north", 3]}
    assert keep(2, **new) == ({"state": new, "counts": new}, plain | new)
    assert keep(3, lamp="off") == (
        {"state": {"lamp": "off"}, "counts": {"lamp": "off"}},
        plain | {"lamp": "off"},
    )
    assert keep(4) == (None, plain)


def test_a_late_will_takes_no_field_away(engine: sa.Engine) -> None:
    birth = report.StateReport(
        online=True, session=2, installation=INSTALLATION, unknown={"lamp": "dim"}
    )
    with store.writing(engine) as connection:
        store.add_units(connection, {UNIT: [birth, state(False, 1)]}, {}, 1)
        row = connection.execute(sa.select(store.units)).one()
    assert (row.online, row.unknown) == (True, {"state": {"lamp": "dim"}})


def test_a_cell_keeps_its_unknown_fields_and_they_are_part_of_it(engine: sa.Engine) -> None:
    def of(unknown: report.Fields) -> store.Report:
        call = msgspec.structs.replace(cell(1), category=report.Unknown("call"), unknown=unknown)
        return store.Report(UNIT, report.CountsReport(installation=INSTALLATION, cells=[call]))

    first = of({"lift": 2})
    assert [k.last for k in add(engine, first, first)] == first.counts.cells * 2
    assert add(engine, first)[0].conflict is None
    for other in (of({"lift": 3}), of({})):
        assert add(engine, other)[0].conflict == other.counts.cells[0]
    with engine.connect() as connection:
        row = connection.execute(sa.select(store.cells)).one()
    assert (row.category, row.unknown) == ("call", {"lift": 2})


def test_a_store_of_the_version_before_is_brought_up_to_date(tmp_path: Path) -> None:
    """With its cells and units; what was acknowledged is still no conflict."""
    url = f"sqlite:///{tmp_path}/menshen.db"
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(store.__file__).with_name("migrations")))
    old = sa.create_engine(url)
    with old.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0006")
        values = msgspec.structs.asdict(cell(1)) | {"digest": DIGEST_OF_CELL_1}
        del values["unknown"]
        place = {"site": UNIT.site, "unit": UNIT.unit, "installation": INSTALLATION}
        for table, row in (("cells", place | values), ("units", place | {"first_s": 1})):
            names = ", ".join(row)
            slots = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({slots})"), row)  # noqa: S608
    old.dispose()
    engine = store.open_store(url)
    kept = add(engine, counts(1, 2))[0]
    assert (kept.conflict, kept.last) == (None, cell(2))
    with engine.connect() as connection:
        rows = connection.execute(sa.select(store.cells).order_by(store.cells.c.number)).all()
        (unit,) = connection.execute(sa.select(store.units)).all()
    assert [(row.number, row.digest, row.unknown) for row in rows] == [
        (n, report.digest(cell(n)), None) for n in (1, 2)
    ]
    assert (unit.first_s, unit.unknown, unit.health) == (1, None, None)


@pytest.mark.system
def test_several_programs_may_start_on_a_new_store_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/menshen.db"
    line = f"from server_stub import store; store.open_store({url!r})"
    starting = [subprocess.Popen([sys.executable, "-c", line]) for _ in range(3)]
    assert [program.wait(30) for program in starting] == [0, 0, 0]


@pytest.mark.parametrize("url", ["menshen.db", "nosuch://x", "sqlite:////nowhere/at/all/x.db"])
def test_a_store_that_cannot_be_used_is_told_in_one_sentence(url: str) -> None:
    with pytest.raises(store.StoreError) as caught:
        store.open_store(url)
    assert "\n" not in str(caught.value)


def test_a_store_that_is_none_is_told_without_its_password() -> None:
    with pytest.raises(store.StoreError) as caught:
        store.open_store("nosuch://menshen:hunter2@db/menshen")
    assert "hunter2" not in str(caught.value)


def test_a_store_of_a_newer_version_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/menshen.db"
    with store.writing(store.open_store(url)) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(store.StoreError, match="newer version") as caught:
        store.open_store(url)
    assert "\n" not in str(caught.value)


def test_a_change_is_whole_or_one_sentence(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/menshen.db"
    row = {"site": "campus", "unit": "north-1", "first_s": 1}
    failing = pytest.raises(store.StoreError, match="nothing was changed")
    with failing as caught, store.changing(url) as connection:
        connection.execute(store.units.insert(), row)
        connection.execute(store.units.insert(), row)
    assert "\n" not in str(caught.value)
    with store.changing(url) as connection:
        assert connection.execute(sa.select(store.units)).all() == []
        connection.execute(store.units.insert(), row)
    with store.changing(url) as connection:
        assert len(connection.execute(sa.select(store.units)).all()) == 1
