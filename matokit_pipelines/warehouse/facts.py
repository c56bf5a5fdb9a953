"""A few numbers that a run tells beside what it did, and whether all is right with a home.

Each costs next to nothing however long the history is. Not here: what `status` shows (cli/status.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import duckdb

from matokit_pipelines.settings import Kind
from matokit_pipelines.warehouse import ledger
from matokit_pipelines.warehouse.refresh import Home
from matokit_pipelines.windows import Window, day_window, each_day, joined, local_date

STALE_AFTER = timedelta(hours=6)
RAW_TABLES: dict[Kind, str] = {"matomo": "raw.matomo_events", "piwik_pro": "raw.piwik_pro_events"}


@dataclass(frozen=True)
class SourceFacts:
    """One source: up to where it is complete (UTC; None: nothing yet), windows that do not add up, its last error."""

    source: str
    watermark: datetime | None
    windows_open: int
    days_differing: int
    error: str | None


def raw_rows(home: Home, kind: Kind) -> int:
    """Rows of the raw table of a kind, those that vanished at the source included."""
    with home.warehouse.reader() as connection:
        return _count(connection, RAW_TABLES[kind])


def table_rows(home: Home, tables: Iterable[str]) -> dict[str, int]:
    """The rows of tables, by name (`layer.table`); views are not counted, that would compute them."""
    with home.warehouse.reader() as connection:
        found = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = current_database()"
        ).fetchall()
        there = {row[0] for row in found}
        return {table: _count(connection, table) for table in tables if table in there}


def days_touched_since(home: Home, moment: datetime) -> tuple[date, ...]:
    """Days in the project's zone that landings touched since `moment` and that wait to be derived, in order."""
    with home.warehouse.reader() as connection:
        rows = connection.execute(
            "select distinct event_date from ledger.touched_days where touched_at >= ? order by 1", [moment]
        ).fetchall()
    return tuple(row[0] for row in rows)


def days_read_since(home: Home, kind: Kind, moment: datetime) -> tuple[date, ...]:
    """Days in the project's zone that passes since `moment` touched, or read from end to end, in order.

    A day without an event is read like any other, and touched by none.
    """
    zone = home.loaded.settings.project.zone
    names = [source.name for source in home.loaded.settings.sources if source.kind == kind and source.has_events]
    with home.warehouse.reader() as connection:
        rows = connection.execute(
            "select window_start, window_end from ledger.windows "
            "where list_contains(?, source) and started_at >= ? and status <> 'incomplete'",
            [names, moment],
        ).fetchall()
    days = set(days_touched_since(home, moment))
    for window in joined(Window(start, end) for start, end in rows):
        first, last = local_date(window.start, zone), local_date(window.end, zone)
        days |= {day for day in each_day(first, last) if _holds(window, day_window(day, zone))}
    return tuple(sorted(days))


def _holds(window: Window, other: Window) -> bool:
    return window.start <= other.start and other.end <= window.end


def product_watermark(home: Home) -> datetime | None:
    """Up to where all sources that count are complete, UTC; None before that is known."""
    with home.warehouse.reader() as connection:
        mark: datetime | None = connection.execute("select watermark from ledger.product_watermark").fetchall()[0][0]
    return mark.astimezone(UTC) if mark else None


def source_facts(home: Home) -> list[SourceFacts]:
    """The sources of the settings that were met, by name."""
    now = home.clock.now()
    names = sorted(source.name for source in home.loaded.settings.sources if source.has_events)
    with home.warehouse.reader() as connection:
        rows = connection.execute(
            "select source, watermark, last_error from ledger.sources where list_contains(?, source) order by source",
            [names],
        ).fetchall()
        differing = dict(
            connection.execute(
                "select source, count(*) from ledger.reconciliation where verdict = 'differs' group by source"
            ).fetchall()
        )
        return [
            SourceFacts(
                source,
                mark.astimezone(UTC) if mark else None,
                len(ledger.troubled_windows(connection, source, now)),
                differing.get(source, 0),
                error,
            )
            for source, mark, error in rows
        ]


def all_right(sources: Sequence[SourceFacts], now: datetime) -> str:
    """Whether all is right, in one sentence that begins with Yes or No."""
    wrong: list[str] = []
    for facts in sources:
        if facts.error:
            wrong.append(f"source {facts.source} could not be read: {facts.error.rstrip('.')}")
        elif facts.watermark is None:
            wrong.append(f"source {facts.source} is not complete to any moment yet")
        elif now - facts.watermark > STALE_AFTER:
            wrong.append(f"source {facts.source} is complete to {facts.watermark:%Y-%m-%d %H:%M} UTC only")
        if facts.windows_open:
            wrong.append(f"{facts.windows_open:,} windows of source {facts.source} do not add up")
        if facts.days_differing:
            wrong.append(f"source {facts.source} counts more events than it gives on {facts.days_differing:,} days")
    if wrong:
        return f"No: {'; '.join(wrong)}; `matokit status` says more."
    marks = [facts.watermark for facts in sources if facts.watermark]
    if not marks:
        return "No: nothing was read yet."
    return f"Yes: everything is read, derived and checked up to {min(marks):%Y-%m-%d %H:%M} UTC."


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])
