"""Opening the warehouse: its lock, its versions, its zone, and what a person is told when it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import REFUSED, MatokitError, SettingsError, WarehouseError, WarehouseLocked
from matokit_pipelines.warehouse import ledger, migrations
from matokit_pipelines.warehouse.connection import Warehouse, in_memory
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.warehouse.ledger import GIVE_UP_AFTER_READS, MATOMO_LAG
from matokit_pipelines.windows import Window, day_window

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = SourceKey("installers", "1")
ZONE = ZoneInfo("Europe/Copenhagen")
NOTHING = Landed(0, 0, 0, 0, 0, 0, 0, 0, 0)


def warehouse(home: Path, wait: float = 0.2) -> Warehouse:
    return Warehouse(home, FixedClock(NOW), wait_seconds=wait)


def is_told(error: MatokitError, *words: str) -> None:
    said = str(error)
    assert "\n" not in said
    assert said.endswith(".")
    assert error.exit_code == REFUSED
    assert all(word in said for word in words), said


def test_lock_may_be_nested_and_is_given_back_after_an_error(tmp_path: Path) -> None:
    one, two = warehouse(tmp_path), warehouse(tmp_path)
    with one.exclusive(), one.exclusive(), one.writer() as connection:
        connection.execute("select 1").fetchall()
        with pytest.raises(WarehouseLocked) as caught, two.exclusive():
            pass
        is_told(caught.value, str(os.getpid()))
    with pytest.raises(ZeroDivisionError), one.writer():
        raise ZeroDivisionError
    with two.writer():
        pass
    assert not (tmp_path / "warehouse.holder").exists()


def test_what_was_not_committed_is_not_kept(tmp_path: Path) -> None:
    with warehouse(tmp_path).writer() as connection:
        connection.execute("begin")
        connection.execute("insert into ledger.project values ('UTC')")
    with warehouse(tmp_path).reader() as connection:
        assert connection.execute("select count(*) from ledger.project").fetchall() == [(0,)]


def test_a_writer_keeps_pages_in_the_journal_that_the_default_would_work_into_the_file_at_once(tmp_path: Path) -> None:
    rows = "select md5(n::varchar) as text from range($first::bigint, $first::bigint + 100_000) numbers(n)"

    def journal_after_pages(home: Path, threshold: str | None) -> int:
        with warehouse(home).writer() as connection:
            if threshold:
                connection.execute(f"set checkpoint_threshold = '{threshold}'")
            connection.execute("create table pages (text varchar)")
            for page in range(6):
                connection.execute(f"insert into pages {rows}", {"first": page * 100_000})
            return (home / "warehouse.duckdb.wal").stat().st_size

    assert journal_after_pages(tmp_path / "ours", None) > 16e6 > journal_after_pages(tmp_path / "default", "16MB")


def test_reader_cannot_write_and_sees_utc(tmp_path: Path) -> None:
    with warehouse(tmp_path).writer():
        pass
    with warehouse(tmp_path).reader() as connection:
        assert connection.execute("select current_setting('timezone')").fetchall() == [("UTC",)]
        with pytest.raises(duckdb.Error, match="read-only"):
            connection.execute("insert into ledger.project values ('UTC')")


def test_file_that_another_program_has_open(tmp_path: Path) -> None:
    with warehouse(tmp_path).writer():
        pass
    code = "import duckdb, sys; con = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(tmp_path / "warehouse.duckdb")]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    try:
        with pytest.raises(WarehouseLocked) as caught, warehouse(tmp_path).writer():
            pass
    finally:
        child.communicate(timeout=10)
    is_told(caught.value, "Another program")


def test_warehouse_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    newest = migrations.scripts()[-1][0]
    with warehouse(tmp_path).writer() as connection:
        connection.execute("insert into schema_version values (?, 'later', ?)", [newest + 1, NOW])
    with pytest.raises(WarehouseError) as caught, warehouse(tmp_path).writer():
        pass
    is_told(caught.value, f"version {newest + 1}", "install that version")


def test_versions_run_without_a_gap_and_once() -> None:
    assert [version for version, _, _ in migrations.scripts()] == list(range(1, len(migrations.scripts()) + 1))
    connection = in_memory(NOW)
    assert migrations.migrate(connection, NOW) == migrations.scripts()[-1][0]
    assert connection.execute("select count(*) from schema_version").fetchall() == [(len(migrations.scripts()),)]


def met() -> duckdb.DuckDBPyConnection:
    connection = in_memory(NOW)
    ledger.introduce(connection, KEY, "matomo", ZONE.key, "https://m.example.org")
    return connection


def note(
    connection: duckdb.DuckDBPyConnection, window: Window, *, status: str = "complete", started: datetime = NOW
) -> None:
    ledger.note_window(
        connection, KEY, window, NOTHING, tier="history", zone=ZONE.key,
        proof="drained" if status == "complete" else "none", status=status,  # type: ignore[arg-type]
        detail=None, started=started, finished=started, dimensions="{}",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("key", "zone", "word"), [(SourceKey("installers", "2"), ZONE.key, "site"), (KEY, "UTC", "time zone")]
)
def test_known_source_that_is_another_now_is_refused(key: SourceKey, zone: str, word: str) -> None:
    connection = met()
    note(connection, day_window(date(2026, 11, 19), ZONE))
    with pytest.raises(SettingsError, match=rf"{word}.*another name.*\.$"):
        ledger.introduce(connection, key, "matomo", zone, "https://m.example.org")


def test_source_may_move_to_another_address() -> None:
    connection = met()
    note(connection, day_window(date(2026, 11, 19), ZONE))
    ledger.introduce(connection, KEY, "matomo", ZONE.key, "https://new.example.org")
    known = ledger.state(connection, "installers")
    assert known is not None
    assert known.url == "https://new.example.org"


def test_project_zone_is_fixed_until_a_full_build() -> None:
    connection = in_memory(NOW)
    ledger.project_zone(connection, "UTC")
    with pytest.raises(SettingsError, match=r"--full"):
        ledger.project_zone(connection, "Europe/Copenhagen")
    ledger.project_zone(connection, "Europe/Copenhagen", full=True)
    ledger.project_zone(connection, "Europe/Copenhagen")


def test_watermark_stops_at_the_first_gap_keeps_the_lag_and_goes_back_only_from_the_future() -> None:
    connection = met()
    days = [day_window(date(2026, 11, day), ZONE) for day in (17, 18, 19)]

    def advanced(read_at: datetime) -> datetime | None:
        passed = ledger.proven_windows(connection, "installers", read_at)
        ledger.advance(
            connection, "installers", passed,
            since=days[0].start, read_at=read_at, lag=MATOMO_LAG, final_before=days[0].start,
        )  # fmt: skip
        known = ledger.state(connection, "installers")
        assert known is not None
        return known.watermark

    note(connection, days[0])
    note(connection, days[2])
    assert advanced(NOW) == days[0].end
    note(connection, days[1])
    assert advanced(NOW) == days[2].end
    note(connection, Window(days[2].end, NOW))
    assert advanced(NOW) == NOW - MATOMO_LAG
    assert advanced(NOW - timedelta(minutes=5)) == NOW - MATOMO_LAG
    # a watermark that is still to come was set by a clock that ran ahead: only what was read by now counts
    assert advanced(NOW - timedelta(hours=1)) == days[0].start


@pytest.mark.parametrize(
    ("hours_ago", "passed"),
    [
        ([1, 1, 1, 1], False),
        ([1] * GIVE_UP_AFTER_READS, True),
        ([90], False),  # once before a long outage is no reason
        ([6, 1], False),
        ([7, 1], True),
    ],
)
def test_bad_day_is_passed_by_after_five_reads_or_again_after_six_hours(hours_ago: list[int], passed: bool) -> None:
    connection = met()
    day = day_window(date(2026, 11, 19), ZONE)
    for hours in hours_ago:
        note(connection, day, status="incomplete", started=NOW - timedelta(hours=hours))
    assert ledger.given_up_windows(connection, "installers", NOW) == ([day] if passed else [])
    assert ledger.proven_windows(connection, "installers", NOW) == []
    note(connection, day)
    assert ledger.given_up_windows(connection, "installers", NOW) == []
    assert ledger.proven_windows(connection, "installers", NOW) == [day]


def test_a_reader_brings_an_older_file_up_to_date_first(tmp_path: Path) -> None:
    found = warehouse(tmp_path)
    old = duckdb.connect(found.path)
    old.execute("create table schema_version (version integer, name varchar, applied_at timestamptz)")
    old.close()
    with found.reader() as connection:
        assert connection.execute("select count(*) from ledger.sources").fetchall() == [(0,)]
        with pytest.raises(duckdb.Error):
            connection.execute("create table not_here (a integer)")
