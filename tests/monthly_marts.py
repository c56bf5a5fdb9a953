"""Marts for tests of the monthly report, counted in plain Python from made-up tries and put into a database in memory.

The tables have the columns of the product's models; that the product's own SQL fills them alike is held by one test.
Not here: what the report makes of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.warehouse.snapshots import Manifest, Snapshot

ZONE = ZoneInfo("Europe/Copenhagen")
MONTH = date(2026, 10, 1)
LAST = date(2026, 10, 31)
FIRST = date(2026, 10, 2)
NOW = datetime(2026, 11, 2, 7, 5, tzinfo=UTC)
KNOWN_FROM = date(2026, 1, 1)
HOSTILE = "</script><!channel>=1+1"
Row = dict[str, Any]


@dataclass(frozen=True)
class Try:
    """One counted production event, and the machine that sent it."""

    day: date
    machine: str = "m"
    failed: bool = False
    component: str = "python_install"
    os_family: str = "macOS"
    os_release: str = "macOS 15.1"
    architecture: str = "arm64"
    error_type: str | None = None
    place: int = 0  # its order within the day

    @property
    def system(self) -> tuple[str, str, str]:
        return self.os_family, self.os_release, self.architecture

    @property
    def key(self) -> tuple[str, ...]:
        return (self.machine, *self.system)


def tries(count: int, failed: int = 0, *, day: date = LAST, name: str = "m", **rest: Any) -> list[Try]:
    """`count` machines that try once on a day, of which the first `failed` fail."""
    return [Try(day, f"{name}{n}", n < failed, **rest) for n in range(count)]


def three_months(old_release: str = "macOS 12.7", old: int = 15, others: int = 985) -> list[Try]:
    """In each of the last three months one day with so many installations of an old release and of another."""
    events = []
    for one in (date(2026, 8, 1), date(2026, 9, 1), MONTH):
        day = _last_day(one)
        events += [Try(day, f"o{n}", os_release=old_release) for n in range(old)]
        events += [Try(day, f"n{n}", os_release="macOS 15.1") for n in range(others)]
    return events


@contextmanager
def snapshot_of(
    events: Iterable[Try],
    *,
    month: date = MONTH,
    known_from: date | None = KNOWN_FROM,
    watermark: datetime | None = NOW - timedelta(minutes=15),
    last_error: str | None = None,
) -> Iterator[Snapshot]:
    """An open snapshot of these events; `system_monthly` holds `month` alone, as all other months are unused."""
    known = sorted(events, key=lambda one: (one.day, one.place))
    last_day = watermark.astimezone(ZONE).date() - timedelta(days=1) if watermark else None
    tables = {
        "segment_daily": list(_segments(known)),
        "system_monthly": list(_monthly(known, month)) if last_day and last_day >= _last_day(month) else [],
        "os_first_seen": list(_first_seen(known)),
        "component_weekly": list(_weekly(known)),
        "error_system_window": list(_errors(known, last_day)) if last_day else [],
        "success_rate_daily": list(_days(known)),
        "data_quality_daily": list(_landed(known)),
        "project_day": [{"last_complete_day": last_day, "first_known_day": known_from}],
        "extraction_status": [_status(known_from, watermark, last_error)],
        "extraction_days": [],
        "extraction_gaps": [],
    }
    connection = duckdb.connect()
    try:
        connection.execute("set timezone = 'UTC'")
        connection.execute((resources.path("sql") / "macros.sql").read_text(encoding="utf-8"))
        for name, rows in tables.items():
            _create(connection, name, rows)
        manifest = Manifest(7, NOW - timedelta(minutes=10), "0.4.0", "1", str(ZONE), watermark, {})
        yield Snapshot(connection, manifest, Path("marts-7.duckdb"))
    finally:
        connection.close()


COLUMNS = {
    "segment_daily": "event_date date, environment varchar, os_family varchar, os_release varchar,"
    " architecture varchar, events bigint, successes bigint, failures bigint, installations bigint",
    "system_monthly": "month date, part varchar, environment varchar, component varchar, os_family varchar,"
    " os_release varchar, architecture varchar, events bigint, successes bigint, failures bigint, machines bigint,"
    " machines_failing bigint, units bigint, unit_failures bigint",
    "os_first_seen": "environment varchar, os_family varchar, os_release varchar, first_seen timestamptz,"
    " first_date date",
    "component_weekly": "week_start date, environment varchar, architecture varchar, component varchar, events bigint,"
    " largest_machine_events bigint",
    "error_system_window": "window_days integer, environment varchar, component varchar, error_type varchar,"
    " os_family varchar, os_release varchar, architecture varchar, failures bigint",
    "success_rate_daily": "event_date date, environment varchar, events bigint, successes bigint, failures bigint,"
    " installations bigint, machines bigint, inferred_events bigint, ambiguous_events bigint",
    "data_quality_daily": "event_date date, source varchar, left_out_reason varchar, landed bigint",
    "project_day": "last_complete_day date, first_known_day date",
    "extraction_status": "source varchar, mirror_of varchar, zone varchar, watermark timestamptz,"
    " proven_from timestamptz, windows_incomplete bigint, truncated bigint, quarantined bigint,"
    " open_differences bigint, last_error varchar",
    "extraction_days": "source varchar, site_date date, truncated bigint, verdict varchar",
    "extraction_gaps": "source varchar, window_start timestamptz, window_end timestamptz, announced bigint,"
    " received bigint",
}


def _create(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Row]) -> None:
    connection.execute(f"create table {name} ({COLUMNS[name]})")
    if rows:
        connection.register("given", pl.DataFrame(rows, infer_schema_length=None).to_arrow())
        connection.execute(f"insert into {name} by name select * from given")
        connection.unregister("given")


def _rates(events: Sequence[Try]) -> Row:
    failures = sum(one.failed for one in events)
    return {"events": len(events), "successes": len(events) - failures, "failures": failures}


def _named(system: tuple[str, str, str]) -> Row:
    return dict(zip(("os_family", "os_release", "architecture"), system, strict=True))


def _segments(events: Sequence[Try]) -> Iterator[Row]:
    groups: dict[tuple[Any, ...], list[Try]] = defaultdict(list)
    for one in events:
        groups[one.day, one.system].append(one)
    for (day, system), group in groups.items():
        row = {"event_date": day, "environment": "production"} | _named(system) | _rates(group)
        yield row | {"installations": len({one.key for one in group})}


def _monthly(events: Sequence[Try], month: date) -> Iterator[Row]:
    last = _last_day(month)
    for part, until in (("last", last), ("before", last - timedelta(days=30))):
        within = [one for one in events if until - timedelta(days=29) <= one.day <= until]
        for whole in (False, True):
            groups: dict[tuple[Any, ...], list[Try]] = defaultdict(list)
            for one in within:
                groups["all" if whole else one.component, one.system].append(one)
            for (component, system), group in groups.items():
                row = {"month": month, "part": part, "environment": "production", "component": component}
                yield row | _named(system) | _rates(group) | _people(group)


def _people(group: Sequence[Try]) -> Row:
    first: dict[tuple[str, ...], bool] = {}
    for one in group:
        first.setdefault((*one.key, one.component), one.failed)
    return {
        "machines": len({one.key for one in group}),
        "machines_failing": len({one.key for one in group if one.failed}),
        "units": len(first),
        "unit_failures": sum(first.values()),
    }


def _first_seen(events: Sequence[Try]) -> Iterator[Row]:
    seen: dict[tuple[str, str], date] = {}
    for one in events:
        seen.setdefault((one.os_family, one.os_release), one.day)
    for (family, release), day in seen.items():
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE)
        row = {"environment": "production", "os_family": family, "os_release": release}
        yield row | {"first_seen": noon, "first_date": day}


def _weekly(events: Sequence[Try]) -> Iterator[Row]:
    weeks: dict[date, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for one in events:
        weeks[one.day - timedelta(days=one.day.weekday())][one.key] += 1
    for monday, machines in weeks.items():
        row = {"week_start": monday, "environment": "production", "architecture": "all", "component": "all"}
        yield row | {"events": machines.total(), "largest_machine_events": max(machines.values())}


def _errors(events: Sequence[Try], last_day: date) -> Iterator[Row]:
    within = [one for one in events if one.failed and last_day - timedelta(days=29) <= one.day <= last_day]
    found = Counter((one.component, one.error_type or "not_reported", one.system) for one in within)
    for (component, error_type, system), failures in found.items():
        row = {"window_days": 30, "environment": "production", "component": component, "error_type": error_type}
        yield row | _named(system) | {"failures": failures}


def _days(events: Sequence[Try]) -> Iterator[Row]:
    days: dict[date, list[Try]] = defaultdict(list)
    for one in events:
        days[one.day].append(one)
    for day, group in days.items():
        machines = len({one.key for one in group})
        row = {"event_date": day, "environment": "production", **_rates(group), "installations": machines}
        yield row | {"machines": machines, "inferred_events": 0, "ambiguous_events": 0}


def _landed(events: Sequence[Try]) -> Iterator[Row]:
    for day, landed in Counter(one.day for one in events).items():
        yield {"event_date": day, "source": "installers", "left_out_reason": None, "landed": landed}


def _status(known_from: date | None, watermark: datetime | None, last_error: str | None) -> Row:
    proven = datetime(known_from.year, known_from.month, known_from.day, tzinfo=ZONE) if known_from else None
    nothing = dict.fromkeys(("windows_incomplete", "truncated", "quarantined", "open_differences"), 0)
    row = {"source": "installers", "mirror_of": None, "zone": str(ZONE), "watermark": watermark}
    return row | {"proven_from": proven, **nothing, "last_error": last_error}


def _last_day(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
