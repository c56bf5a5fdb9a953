"""Published snapshots for tests of reports: made-up installer events through the real models, and seeded weeks.

Events are given as they stand in `staging.installer_events`; everything after that is the product's own SQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.clock import FixedClock
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.connection import Warehouse
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.warehouse.snapshots import Manifest, publish
from matokit_pipelines.warehouse.steps import STEPS
from matokit_pipelines.windows import Window

ZONE = ZoneInfo("Europe/Copenhagen")
MONDAY = date(2026, 11, 9)
NOW = datetime(2026, 11, 16, 6, 30, tzinfo=UTC)
HOSTILE = "</script><!channel>=1+1"
STAGING = ("events_daily", "machine_days", "commit_baselines", "commit_comparison")
MARTS = (
    "success_rate_daily",
    "component_weekly",
    "error_daily",
    "os_daily",
    "os_weekly",
    "os_first_seen",
    "architecture_daily",
    "commit_daily",
    "component_commit",
    "commit_performance",
    "commit_regression",
    "commit_regression_components",
    "data_quality_daily",
    "extraction_status",
    "extraction_days",
    "extraction_gaps",
)


@dataclass(frozen=True)
class Event:
    """One row of `staging.installer_events`, as far as reports look at it."""

    event_ts: datetime
    component: str = "python_install"
    outcome: str = "success"
    machine_key: str | None = "machine-1"
    environment: str = "production"
    error_type: str | None = None
    architecture: str = "arm64"
    os_family: str = "macos"
    os_release: str = "macOS 14.2"
    commit_sha: str | None = "a1b2c3d"
    confidence: str = "certain"
    form: str = "enhanced"
    left_out_reason: str | None = None
    is_run_start: bool = False


@dataclass(frozen=True)
class Source:
    """What the ledger says of one source."""

    watermark: datetime | None = datetime(2026, 11, 16, 6, 15, tzinfo=UTC)
    proven_from: datetime | None = datetime(2026, 1, 1, tzinfo=UTC)
    name: str = "installers"
    last_error: str | None = None
    zone: str = str(ZONE)
    truncated: Sequence[tuple[date, int]] = ()  # (day of a visit's last action, actions withheld)
    differing_days: Sequence[date] = ()
    gaps: Sequence[tuple[datetime, int]] = ()  # (start of an hour that does not add up, rows announced of 7 received)
    mirror_of: str | None = None


def at(day: date, hour: float = 12.0) -> datetime:
    """An hour of a local day (wall clock) in UTC."""
    return (datetime.combine(day, datetime.min.time(), ZONE) + timedelta(hours=hour)).astimezone(UTC)


def publish_events(
    home: Path, events: Iterable[Event] | pl.DataFrame, sources: Sequence[Source] = (Source(),)
) -> Manifest:
    """Derive and publish these events in `home`."""
    rows = events if isinstance(events, pl.DataFrame) else _frame(events)
    warehouse = Warehouse(home, FixedClock(NOW))
    with warehouse.writer() as con:
        con.execute((resources.path("sql") / "macros.sql").read_text(encoding="utf-8"))
        con.register("given", rows.to_arrow())
        con.execute(
            """
            create table staging.installer_events as
            select given.*, cast(timezone('Europe/Copenhagen', event_ts) as date) as event_date,
                   left_out_reason is null as counted, false as is_contract_drift, 'installers' as source,
                   '1' as site_id, cast(row_number() over () as varchar) as event_id
            from given
            """
        )
        con.unregister("given")
        _ledger(con, sources)
        con.execute(
            "insert into ledger.touched_commits"
            " select distinct commit_sha from staging.installer_events where commit_sha is not null"
        )
        con.execute("begin transaction")
        days = {"first_day": date(2020, 1, 1), "last_day": date(2030, 1, 1)}
        for layer, tables in (("staging", STAGING), ("marts", MARTS)):
            if layer == "marts":
                con.execute(
                    "insert into ledger.touched_commits select distinct commit_sha from staging.events_daily "
                    "where commit_sha is not null"
                )
            for table in tables:
                query = (resources.path("sql") / layer / table / "query.sql").read_text(encoding="utf-8")
                con.execute(f"create table {layer}.{table} as {query}", days if "$first_day" in query else None)
                if table in STEPS:
                    _through_step(con, layer, table)
            _whole_numbers(con, layer, tables)
        con.execute("commit")
    return publish(warehouse, code_version="0.1.0", rule_version="1", project_zone=str(ZONE))


def _through_step(con: duckdb.DuckDBPyConnection, layer: str, table: str) -> None:
    """The rows of a model's query as its step leaves them."""
    _whole_numbers(con, layer, [table])
    counts: pl.DataFrame = con.sql(f"from {layer}.{table}").pl()
    con.register("stepped", STEPS[table](counts).to_arrow())
    con.execute(f"create or replace table {layer}.{table} as from stepped")
    con.unregister("stepped")


def _whole_numbers(con: duckdb.DuckDBPyConnection, layer: str, tables: Sequence[str]) -> None:
    """Sums as the models declare them: bigint, not the wider integer that DuckDB makes of a sum."""
    for table, column in con.execute(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name = ? and list_contains(?, table_name) and data_type = 'HUGEINT'",
        [layer, list(tables)],
    ).fetchall():
        con.execute(f"alter table {layer}.{table} alter column {column} type bigint")


def _frame(events: Iterable[Event]) -> pl.DataFrame:
    text = dict.fromkeys(Event.__dataclass_fields__, pl.String)
    kinds = {**text, "event_ts": pl.Datetime("us", "UTC"), "is_run_start": pl.Boolean}
    return pl.DataFrame([asdict(event) for event in events], schema=kinds)


def _ledger(con: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    for source in sources:
        con.execute(
            "insert into ledger.sources "
            "(source, kind, site_id, zone, url, proven_from, watermark, last_error, mirror_of) "
            "values (?, 'matomo', '1', ?, 'https://matomo.example.org', ?, ?, ?, ?)",
            [source.name, source.zone, source.proven_from, source.watermark, source.last_error, source.mirror_of],
        )
        for start, announced in source.gaps:
            ledger.note_window(
                con, SourceKey(source.name, "1"), Window(start, start + timedelta(hours=1)),
                Landed(7, 0, 0, 7, 7, 0, 0), tier="recent", zone=source.zone, proof="none", status="incomplete",
                detail=None, started=NOW, finished=NOW, dimensions="{}", expected=announced,
            )  # fmt: skip
        for visit, (day, truncated) in enumerate(source.truncated, start=1):
            con.execute(
                "insert into ledger.truncated_visits values (?, '1', ?, ?, ?, ?)",
                [source.name, visit, day, truncated, NOW],
            )
        for day in source.differing_days:
            con.execute(
                "insert into ledger.reconciliation values (?, '1', ?, 10, 9, 0, 'differs', 5, ?)",
                [source.name, day, NOW],
            )


COMPONENTS = {  # name: (events a run, failure share, the most usual error)
    "python_install": (1.0, 0.03, "download_failed"),
    "python_first_year_setup": (0.95, 0.05, "pip_failed"),
    "vscode_install": (1.0, 0.015, "permission_denied"),
    "vscode_extensions_install": (0.95, 0.03, "timeout"),
    "homebrew_check": (0.6, 0.01, None),
    "homebrew_install": (0.25, 0.08, "network"),
    "latex_install": (0.3, 0.10, "disk_full"),
    "conda_download": (0.35, 0.04, "network"),
    "post_install_verification": (0.9, 0.01, None),
    "system_check": (1.0, 0.004, None),
}


def seeded_weeks(seed: int = 7, *, days: int = 60, runs_a_day: float = 40, broken: str | None = None) -> pl.DataFrame:
    """Production as it might be: office hours, growing Apple silicon, commits every few days, repeated tries.

    With `broken`, that component fails far more often from the Wednesday of the reported week on, with a new commit.
    """
    random = Random(seed)
    rows: list[Event] = []
    last = MONDAY + timedelta(days=6)
    commits = [(last - timedelta(days=age), f"{int(random.random() * 16**7):07x}") for age in (90, 50, 33, 21, 12, 4)]
    for age in reversed(range(days)):
        day = last - timedelta(days=age)
        load = runs_a_day * (0.25 if day.weekday() >= 5 else 1.0) * (0.75 + 0.5 * random.random())
        for run in range(int(load)):
            hour = 6 + 14 * (random.random() + random.random() + random.random()) / 3
            commit = next(name for first, name in reversed(commits) if at(day, hour) >= at(first, 9.5))
            rows += _run(random, day, hour, f"m{day.toordinal()}-{run}", commit, age, broken)
    return _frame(rows)


def _run(
    random: Random, day: date, hour: float, machine: str, commit: str, age: int, broken: str | None
) -> list[Event]:
    arm = random.random() < 0.66 + 0.12 * (60 - age) / 60
    fresh = age <= 4 and random.random() < 0.15
    known = ("macOS 14.2", "macOS 15.1", "Windows 11")[int(random.random() * 3)]
    release = "macOS 26.1" if fresh else known
    shared = {
        "machine_key": machine,
        "architecture": "arm64" if arm and release != "Windows 11" else "x86_64",
        "os_family": "windows" if release.startswith("Windows") else "macos",
        "os_release": release,
        "commit_sha": commit if random.random() < 0.9 else None,
    }
    start = at(day, hour)
    rows = [
        Event(start, "orchestrator", "started", form="marker", left_out_reason="marker", is_run_start=True, **shared)
    ]
    for step, (name, (share, failing, usual)) in enumerate(COMPONENTS.items(), 1):
        if random.random() >= share:
            continue
        wrong = 0.55 if name == broken and age <= 4 else failing
        for attempt in range(4):
            failed = random.random() < wrong
            error = (usual if random.random() < 0.7 else None) if failed else None
            rows.append(
                Event(
                    start + timedelta(minutes=2 * step, seconds=20 * attempt),
                    name,
                    "failure" if failed else "success",
                    error_type=error,
                    confidence="inferred" if random.random() < 0.06 else "certain",
                    **shared,
                )
            )
            if not failed or random.random() < 0.5:
                break
    return rows
