"""Merging old readings changes no answer about what was read, held against random histories of readings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.connection import Warehouse, in_memory
from matokit_pipelines.warehouse.housekeeping import merge_readings, tidy_warehouse
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.warehouse.piwik_pro_pass import ALL_TIERS
from matokit_pipelines.warehouse.piwik_pro_planning import LAG
from matokit_pipelines.windows import Window
from tests.replay import home_at

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=100)
TIERS = get_args(ledger.Tier)
HOUR = timedelta(hours=1)


def note(
    connection: duckdb.DuckDBPyConnection,
    window: Window,
    started: datetime,
    *,
    source: str = "installers",
    tier: Any = "recent",
    status: Any = "complete",
    dimensions: str = "{}",
) -> None:
    rows = int((window.end - window.start) / HOUR) + 1
    ledger.note_window(
        connection, SourceKey(source, "1"), window, Landed(rows + 1, 1, 0, rows, 1, 0, 0), tier=tier, zone="UTC",
        proof="none" if status == "incomplete" else "count", status=status, detail=None, started=started,
        finished=started, dimensions=dimensions, expected=rows,
    )  # fmt: skip


def answers(connection: duckdb.DuckDBPyConnection, source: str) -> dict[str, Any]:
    """All that anything asks of old readings."""
    found: dict[str, Any] = {
        "first": ledger.first_reading(connection, source),
        "last_dimensions": ledger.last_dimensions(connection, source),
        "largest": ledger.largest_recent_count(connection, source),
        "since": connection.execute(
            "select min(window_start) from ledger.windows where source = ? and tier <> 'asked'", [source]
        ).fetchall(),
        "troubled": ledger.troubled_windows(connection, source, NOW),
        "sums": connection.execute(
            "select status, sum(received), sum(duplicates), sum(quarantined), sum(landed), sum(inserted) "
            "from ledger.windows where source = ? group by status order by status",
            [source],
        ).fetchall(),
        "gaps": connection.execute(
            "select window_start, window_end, count(*), min(started_at), max(started_at) from ledger.windows "
            "where source = ? and status = 'incomplete' group by all order by all",
            [source],
        ).fetchall(),
    }
    for tier in TIERS:
        if tier not in ("probe", "history"):  # merged readings are called history; nobody asks when the last one was
            found[tier] = ledger.last_reading(connection, source, (tier,), NOW)
    for dimensions in (None, "{}", '{"os": 1}'):
        found[f"proven {dimensions}"] = ledger.proven_windows(connection, source, NOW, dimensions)
        for lag in (timedelta(0), HOUR, LAG):
            found[f"covered {dimensions} {lag}"] = ledger.covered_windows(connection, source, NOW, lag, dimensions)
        for tiers in (ALL_TIERS, ("history", "asked")):
            found[f"given up {dimensions} {tiers}"] = ledger.given_up_windows(
                connection, source, NOW, tiers, dimensions
            )
    return found


@st.composite
def readings(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A reader's life, shortened: passes that go up to their own moment, looks back, things asked for, trouble."""
    found = []
    at = LONG_AGO
    for _ in range(draw(st.integers(5, 60))):
        at += draw(st.sampled_from([timedelta(minutes=5), timedelta(minutes=20), HOUR, 5 * HOUR, timedelta(days=3)]))
        tier = draw(st.sampled_from(["recent", "recent", "probe", "probe", "look_back", "history", "asked", "hourly"]))
        length = draw(st.sampled_from([6, 6, 6, 1, 24])) * HOUR
        end = at if tier in ("recent", "probe") else at - draw(st.integers(0, 30)) * HOUR
        found.append(
            {
                "window": Window(end - length, end),
                "started": at,
                "source": draw(st.sampled_from(["installers", "installers", "lab"])),
                "tier": tier,
                "status": draw(st.sampled_from(["complete"] * 8 + ["complete_with_loss", "incomplete"])),
                "dimensions": draw(st.sampled_from(["{}"] * 6 + ['{"os": 1}'])),
            }
        )
        if found[-1]["status"] == "incomplete":  # read in vain again and again, perhaps until it was given up
            for again in range(draw(st.sampled_from([0, 1, 5]))):
                found.append({**found[-1], "started": at + (again + 1) * timedelta(minutes=7)})
    return found


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(readings())
def test_no_answer_changes(life: list[dict[str, Any]]) -> None:
    connection = in_memory(NOW)
    for reading in life:
        note(connection, reading["window"], **{k: v for k, v in reading.items() if k != "window"})
    before = {source: answers(connection, source) for source in ("installers", "lab")}
    count = connection.execute("select count(*) from ledger.windows").fetchall()[0][0]
    fewer = merge_readings(connection, NOW)
    assert connection.execute("select count(*) from ledger.windows").fetchall()[0][0] == count - fewer
    assert {source: answers(connection, source) for source in ("installers", "lab")} == before
    merge_readings(connection, NOW)
    assert {source: answers(connection, source) for source in ("installers", "lab")} == before
    connection.close()


def test_three_months_of_readings_every_five_minutes_become_few() -> None:
    connection = in_memory(NOW)
    connection.execute(
        "insert into ledger.windows (source, site_id, tier, window_start, window_end, zone, received, duplicates, "
        "quarantined, landed, inserted, changed, vanished, truncated, proof, status, started_at, finished_at, "
        "dimensions) select 'installers', '1', case when n % 3 = 0 then 'recent' else 'probe' end, "
        "moment - interval 6 hours, moment, 'UTC', 4, 1, 0, 3, 0, 0, 0, 0, 'count', 'complete', moment, moment, '{}' "
        "from (select n, $now::timestamptz - to_minutes(5 * n) as moment from range(120 * 288) as t(n))",
        {"now": NOW},
    )
    covered = ledger.covered_windows(connection, "installers", NOW, LAG)
    merge_readings(connection, NOW)
    assert ledger.covered_windows(connection, "installers", NOW, LAG) == covered
    left = dict(connection.execute("select tier, count(*) from ledger.windows group by tier").fetchall())
    assert left["probe"] < 3 * 288, "two days of probes"
    assert left["recent"] < 91 * 96 + 100, "ninety days of passes"
    assert left["history"] < 100
    assert connection.execute("select sum(received) from ledger.windows").fetchall() == [(4 * 120 * 288,)]
    connection.close()


def test_files_of_killed_processes_go_and_a_home_without_a_warehouse_is_left_alone(tmp_path: Path) -> None:
    home = home_at(tmp_path, "http://127.0.0.1:9", now=FixedClock(NOW))
    assert tidy_warehouse(home).files == 0
    assert not home.warehouse.path.exists()
    with Warehouse(home.loaded.home, home.clock).writer():
        pass
    for name in (
        "tmp/pages-x/1.json",
        "tmp/duckdb_temp_storage-0.tmp",
        "serving/.tmp-7-99.duckdb",
        "serving/marts-1.duckdb",
    ):
        path = home.loaded.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    assert tidy_warehouse(home).files == 3
    assert [path.name for path in (home.loaded.home / "serving").iterdir()] == ["marts-1.duckdb"]
    assert list((home.loaded.home / "tmp").iterdir()) == []
