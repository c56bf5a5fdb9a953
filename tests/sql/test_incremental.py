"""Incremental equals full, row by row, whatever the history: late, changed and vanished rows, changed settings."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines import resources
from matokit_pipelines.warehouse.build import BuildOptions, build
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.models import load_models
from matokit_pipelines.windows import local_date
from tests.often import times

pytestmark = pytest.mark.slow

SQL = resources.path("sql")
ZONE = ZoneInfo("Europe/Copenhagen")
START = datetime(2026, 10, 24, tzinfo=UTC)  # the repeated hour of autumn lies on the second day

events = st.fixed_dictionaries(
    {
        "event_id": st.integers(1, 10).map(str),
        "event_ts": st.integers(0, 4 * 24 * 2).map(lambda half_hours: START + timedelta(minutes=30 * half_hours)),
        "category": st.sampled_from(["Installer", "Installer", "Installer_CI", "AUTOINSTALLS", "Newsletter"]),
        "name": st.sampled_from(
            ["python_install", "python_install", "vscode_install", "python_install_network_error", "orchestrator_start"]
        ),
        "value": st.sampled_from([0.0, 0.0, 1.0, 1.0, 6.0, 30.0, None]),
        "commit_raw": st.sampled_from(["abc1234", "def5678", "0123abc", ""]),
        "visitor_id": st.sampled_from(["ann", "bob", None]),
        "os_raw": st.sampled_from(["macOS14.2.1", "Linux Ubuntu 22.04"]),
        "sender_event_id_raw": st.sampled_from([None, None, "s1"]),
    }
)
steps = st.fixed_dictionaries(
    {
        "landed": st.lists(events, max_size=6, unique_by=lambda event: event["event_id"]),
        "vanished": st.sets(st.integers(1, 10).map(str), max_size=2),
        "zero_value": st.sampled_from(["failure", "failure", "success", "unknown"]),
        "auto": st.sampled_from(["unknown", "unknown", "production"]),
        # beyond the end of the month, so that it becomes complete in some
        "watermark": st.integers(0, 10 * 24 * 2).map(lambda half_hours: START + timedelta(minutes=30 * half_hours)),
    }
)
short_histories = st.lists(steps, min_size=2, max_size=2)
long_histories = st.lists(steps, min_size=3, max_size=4)


def touch(con, now, *instants):
    for instant in instants:
        con.execute("insert into ledger.touched_days values (?, ?)", [local_date(instant, ZONE), now])


def take_step(con, land, now, step):
    """Land rows as landing does: the days of the old and of the new version of each row are touched."""
    for event in step["landed"]:
        old = con.execute("select event_ts from raw.matomo_events where event_id = ?", [event["event_id"]]).fetchall()
        con.execute("delete from raw.matomo_events where event_id = ?", [event["event_id"]])
        land(con, "raw.matomo_events", [event])
        touch(con, now, event["event_ts"], *(row[0] for row in old))
    for event_id in sorted(step["vanished"]):
        gone = con.execute(
            "select event_ts from raw.matomo_events where event_id = ? and vanished_at is null", [event_id]
        ).fetchall()
        con.execute(
            "update raw.matomo_events set vanished_at = ? where event_id = ? and vanished_at is null", [now, event_id]
        )
        touch(con, now, *(row[0] for row in gone))
    con.execute("delete from ledger.sources")
    land(con, "ledger.sources", [{"watermark": step["watermark"]}])


def contents(con):
    tables = con.execute(
        "select schema_name || '.' || table_name from duckdb_tables() where schema_name in ('staging', 'marts')"
    ).fetchall()
    return {name: con.execute(f"select * from {name} order by all").fetchall() for (name,) in sorted(tables)}


def follow(land, now, history, root):
    con = in_memory(now)
    try:
        con.execute("set threads = 1")
        for step in history:
            take_step(con, land, now, step)
            options = BuildOptions(zero_value=step["zero_value"], environments={"AUTOINSTALLS": step["auto"]})
            build(con, options=options, now=now, sql_root=root)
        incremental = contents(con)
        build(con, options=options, now=now, full=True, sql_root=root)
        full = contents(con)
    finally:
        con.close()
    assert incremental.keys() == full.keys()
    for table, rows in full.items():
        assert incremental[table] == rows, table


@pytest.fixture(scope="module")
def staging_only(tmp_path_factory) -> Path:
    """The models of staging alone: marts follow from them in full, and many histories fit into the time."""
    root = tmp_path_factory.mktemp("sql")
    shutil.copytree(SQL / "staging", root / "staging")
    shutil.copytree(SQL / "seeds", root / "seeds")
    shutil.copy(SQL / "macros.sql", root)
    (root / "marts").mkdir()
    return root


KINDLY = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]}


@settings(max_examples=12, **KINDLY)
@given(history=short_histories)
def test_staging_of_any_history_equals_a_full_build(land, now, staging_only, history):
    follow(land, now, history, staging_only)


@pytest.mark.parametrize("quarter", range(4))  # each with random histories of its own, so that machines share the work
@settings(max_examples=times(15, 50), **KINDLY)
@given(history=long_histories)
def test_all_tables_of_any_history_equal_a_full_build(land, now, quarter, history):
    follow(land, now, history, SQL)


def test_a_late_duration_changes_how_older_zeros_are_read(con, land, now):
    zero = {"event_id": "1", "event_ts": START, "value": 0.0}
    take_step(con, land, now, {"landed": [zero], "vanished": (), "watermark": START})
    first = build(con, options=BuildOptions(), now=now)
    outcome = "select outcome, duration_s from staging.installer_events where event_id = '1'"
    assert con.execute(outcome).fetchall() == [("failure", None)]
    later = {"event_id": "2", "event_ts": START + timedelta(days=3), "value": 30.0}
    take_step(con, land, now, {"landed": [later], "vanished": (), "watermark": START})
    second = build(con, options=BuildOptions(), now=now)
    assert con.execute(outcome).fetchall() == [("success", 0.0)]
    assert first.rebuilt
    assert not second.rebuilt
    assert second.days == (START.date(), (START + timedelta(days=3)).date())
    take_step(con, land, now, {"landed": [], "vanished": {"2"}, "watermark": START})
    build(con, options=BuildOptions(), now=now)
    assert con.execute(outcome).fetchall() == [("failure", None)]


def test_vanished_events_are_read_alike_whatever_comes_to_be_known_later(con, land, now):
    gone = [{"event_id": str(n), "event_ts": START, "value": float(n)} for n in (0, 1)]
    take_step(con, land, now, {"landed": gone, "vanished": {"0", "1"}, "watermark": START})
    build(con, options=BuildOptions(), now=now)
    later = [{"event_id": str(n), "event_ts": START + timedelta(days=9), "value": 30.0} for n in (2, 3)]
    take_step(con, land, now, {"landed": later, "vanished": (), "watermark": START})
    build(con, options=BuildOptions(), now=now)
    incremental = contents(con)
    build(con, options=BuildOptions(), now=now, full=True)
    for table, rows in contents(con).items():
        assert incremental[table] == rows, table


def test_a_second_build_writes_nothing(con, land, now):
    take_step(con, land, now, {"landed": [{"event_id": "1", "event_ts": START}], "vanished": (), "watermark": START})
    assert build(con, options=BuildOptions(), now=now).changed
    again = build(con, options=BuildOptions(), now=now + timedelta(minutes=5))
    assert not again.changed
    assert (again.days, again.rows, again.rebuilt, again.checks) == ((), {}, (), ())


def test_only_what_a_setting_reaches_is_rebuilt(con, land, now):
    take_step(con, land, now, {"landed": [{"event_id": "1", "event_ts": START}], "vanished": (), "watermark": START})
    build(con, options=BuildOptions(), now=now)
    result = build(con, options=BuildOptions(environments={"Setup": "ci"}), now=now)
    assert "staging.installer_events" in result.rebuilt
    assert "marts.success_rate_daily" in result.rebuilt
    assert "marts.extraction_status" not in result.rebuilt
    assert "staging.product_day" not in result.rebuilt


def test_a_moved_watermark_moves_the_windows_and_nothing_else(con, land, now):
    landed = {"event_id": "1", "event_ts": START}
    take_step(con, land, now, {"landed": [landed], "vanished": (), "watermark": START + timedelta(days=1)})
    build(con, options=BuildOptions(), now=now)
    last = "select distinct last_date from marts.component_window"
    assert con.execute(last).fetchall() == [(START.date(),)]
    con.execute("update ledger.sources set watermark = ?", [START + timedelta(days=2)])
    result = build(con, options=BuildOptions(), now=now)
    assert con.execute(last).fetchall() == [((START + timedelta(days=1)).date(),)]
    assert set(result.rows) >= {"marts.extraction_status", "staging.product_day", "marts.component_window"}
    by_day = {name for name, model in load_models(SQL).items() if model.file.materialisation == "incremental"}
    assert not set(result.rows) & by_day
    assert result.changed


def test_what_is_found_missing_later_reaches_its_day_without_a_touched_one(con, land, now):
    land(con, "raw.matomo_events", [{"event_id": "1", "event_ts": START}])
    land(con, "ledger.sources", [{}])
    build(con, options=BuildOptions(), now=now)
    known = "select site_date, truncated, verdict from marts.extraction_days"

    land(con, "ledger.truncated_visits", [{"visit_id": 1, "site_date": START.date(), "truncated": 2}])
    cut_off = build(con, options=BuildOptions(), now=now)
    assert con.execute(known).fetchall() == [(START.date(), 2, None)]
    assert set(cut_off.rows) == {"marts.extraction_status", "marts.extraction_days"}

    land(con, "ledger.reconciliation", [{"site_date": START.date(), "verdict": "truncated"}])
    compared = build(con, options=BuildOptions(), now=now)
    assert con.execute(known).fetchall() == [(START.date(), 2, "truncated")]
    assert set(compared.rows) == {"marts.extraction_days"}
    assert cut_off.changed
    assert compared.changed
    assert not build(con, options=BuildOptions(), now=now).changed

    con.execute("delete from ledger.truncated_visits")  # the server gives the visit whole again
    build(con, options=BuildOptions(), now=now)
    assert con.execute(known).fetchall() == [(START.date(), 0, "truncated")]


def test_a_predecessor_counts_beside_a_commit_that_fell_silent(con, land, now):
    """The comparison lasts 24 hours, whether or not the new commit has an event on its second day."""
    day = timedelta(days=1)
    old = [{"commit_raw": "aaaaaaa", "event_ts": START + n * timedelta(hours=1), "value": 1.0} for n in range(20)]
    beside = [{"commit_raw": "aaaaaaa", "event_ts": START + 2 * day + timedelta(hours=8), "value": 0.0}]
    new = [{"commit_raw": "bbbbbbb", "event_ts": START + day + timedelta(hours=20), "value": 1.0}]
    rows = [{"event_id": str(n), **row} for n, row in enumerate([*old, *beside, *new])]
    land(con, "raw.matomo_events", rows)
    land(con, "ledger.sources", [{"watermark": START + 2 * day + timedelta(hours=7)}])
    build(con, options=BuildOptions(), now=now)
    con.execute("update ledger.sources set watermark = ?", [START + 3 * day])
    build(con, options=BuildOptions(), now=now)
    known = "select predecessor_events, predecessor_successes from marts.commit_regression where commit_sha = 'bbbbbbb'"
    assert con.execute(known).fetchall() == [(21, 20)]


def test_a_late_try_is_the_first_of_the_windows_that_hold_it(con, land, now):
    rows = [
        {"event_id": "1", "event_ts": START + timedelta(days=40), "value": 1.0},
        {"event_id": "2", "event_ts": START + timedelta(days=80), "value": 1.0},
    ]
    land(con, "raw.matomo_events", rows)
    land(con, "ledger.sources", [{"watermark": START + timedelta(days=85)}])
    build(con, options=BuildOptions(), now=now)
    late = {"event_id": "3", "event_ts": START + timedelta(days=10), "value": 0.0}
    take_step(con, land, now, {"landed": [late], "vanished": (), "watermark": START + timedelta(days=85)})
    build(con, options=BuildOptions(), now=now)
    units = "select window_days, units, unit_failures from marts.component_window where component = 'all'"
    of_all = f"{units} and architecture = 'all' order by 1"
    assert con.execute(of_all).fetchall() == [(7, 1, 0), (30, 1, 0), (90, 1, 1)]
    incremental = contents(con)
    build(con, options=BuildOptions(), now=now, full=True)
    assert contents(con) == incremental


def months_told(con):
    return con.execute("select distinct month, part from marts.system_monthly order by all").fetchall()


def test_a_month_is_there_while_it_is_complete_and_follows_late_events(con, land, now):
    day, watermark = timedelta(days=1), datetime(2026, 11, 1, 12, tzinfo=UTC)  # October is complete
    rows = [{"event_id": str(n), "event_ts": START - n * 8 * day, "visitor_id": str(n % 3)} for n in range(12)]
    take_step(con, land, now, {"landed": rows, "vanished": (), "watermark": watermark - day})
    build(con, options=BuildOptions(), now=now)
    assert max(months_told(con)) == (date(2026, 9, 1), "last")
    late = [{"event_id": "12", "event_ts": datetime(2026, 8, 1, 12, tzinfo=UTC), "visitor_id": "1", "value": 0.0}]
    steps = [
        {"landed": [], "vanished": (), "watermark": watermark},
        {"landed": late, "vanished": (), "watermark": watermark},
        {"landed": [], "vanished": {"3"}, "watermark": watermark},
        {"landed": [], "vanished": (), "watermark": watermark - 40 * day},
        {"landed": [], "vanished": (), "watermark": None},
        {"landed": [], "vanished": (), "watermark": watermark + 100 * day},
    ]
    last_months = [date(2026, 10, 1)] * 3 + [date(2026, 8, 1), None, date(2026, 11, 1)]
    for step, month in zip(steps, last_months, strict=True):
        take_step(con, land, now, step)
        build(con, options=BuildOptions(), now=now)
        assert max((found for found, _ in months_told(con)), default=None) == month
        incremental = contents(con)
        build(con, options=BuildOptions(), now=now, full=True)
        assert contents(con) == incremental


def test_the_running_month_costs_no_month(con, land, now):
    rows = [{"event_id": str(n), "event_ts": START + timedelta(days=n)} for n in range(3)]
    take_step(con, land, now, {"landed": rows, "vanished": (), "watermark": START + timedelta(days=2)})
    build(con, options=BuildOptions(), now=now)
    again = {"event_id": "3", "event_ts": START + timedelta(days=3)}
    take_step(con, land, now, {"landed": [again], "vanished": (), "watermark": START + timedelta(days=3)})
    result = build(con, options=BuildOptions(), now=now)
    assert "marts.system_daily" in result.rows
    assert "marts.system_monthly" not in result.rows


def test_scattered_days_are_derived_in_one_run_and_equal_a_full_build(con, land, now):
    rows = [{"event_id": str(n), "event_ts": START + timedelta(days=2 * n)} for n in range(60)]
    land(con, "raw.matomo_events", rows)
    build(con, options=BuildOptions(), now=now)
    before = contents(con)
    for row in rows:
        touch(con, now, row["event_ts"])
    result = build(con, options=BuildOptions(), now=now)
    assert len(result.days) == 60
    assert contents(con) == before


def test_days_asked_for_are_derived_beside_the_touched_ones(con, land, now):
    rows = [{"event_id": str(n), "event_ts": START + timedelta(days=n)} for n in range(4)]
    land(con, "raw.matomo_events", rows)
    build(con, options=BuildOptions(), now=now)
    touch(con, now, rows[0]["event_ts"])
    result = build(con, options=BuildOptions(), now=now, days=[local_date(rows[3]["event_ts"], ZONE)])
    assert result.days == (local_date(rows[0]["event_ts"], ZONE), local_date(rows[3]["event_ts"], ZONE))
    assert con.execute("select count(*) from ledger.touched_days").fetchall() == [(0,)]


def test_another_zone_moves_every_event_to_its_day(con, land, now):
    land(con, "raw.matomo_events", [{"event_id": "1", "event_ts": datetime(2026, 11, 18, 23, 30, tzinfo=UTC)}])
    options = BuildOptions()
    day = "select event_date from marts.success_rate_daily"
    build(con, options=options, now=now)
    assert [str(row[0]) for row in con.execute(day).fetchall()] == ["2026-11-19"]
    build(con, options=replace(options, project_zone="America/New_York"), now=now)
    assert [str(row[0]) for row in con.execute(day).fetchall()] == ["2026-11-18"]


def scans_of_raw(plan):
    found = [plan["extra_info"]] if "matomo_events" in str(plan.get("extra_info", {}).get("Table", "")) else []
    for child in plan.get("children", []):
        found += scans_of_raw(child)
    return found


@pytest.mark.parametrize("model", ["zero_evidence_daily", "installer_events"])
def test_the_filter_of_a_day_reaches_the_raw_table(con, land, now, model):
    land(con, "raw.matomo_events", [{"event_id": str(n), "event_ts": START + timedelta(days=n)} for n in range(5)])
    build(con, options=BuildOptions(), now=now)
    query = (SQL / "staging" / model / "query.sql").read_text(encoding="utf-8")
    window = {"start_ts": START + timedelta(days=1), "end_ts": START + timedelta(days=2)}
    plan = json.loads(con.execute(f"explain (format json) {query}", window).fetchall()[0][1])
    scans = [scan for part in plan for scan in scans_of_raw(part)]
    assert scans
    for scan in scans:
        assert "event_ts >=" in str(scan["Filters"])
        assert "event_ts <" in str(scan["Filters"])
