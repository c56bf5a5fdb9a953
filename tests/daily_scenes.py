"""Mornings for tests of the daily component health report: made-up events in memory, read as the product reads them.

Events are given as they stand in `staging.installer_events`; the tables that the report reads beside them are made by
the product's own SQL. Not here: what must hold of a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

import polars as pl

from matokit_pipelines import resources
from matokit_pipelines.alert_settings import AlertSettings
from matokit_pipelines.reports.daily.numbers import daily_numbers
from matokit_pipelines.reports.daily.shapes import DailyNumbers, Standing
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.health_reading import HealthReading
from matokit_pipelines.warehouse.schemas import ensure_schemas
from tests import weekly_marts
from tests.weekly_marts import ZONE, Event, Source

DAY = date(2026, 11, 20)  # a Friday; its report is made at 07:00 in Copenhagen
END = datetime(2026, 11, 20, 6, tzinfo=UTC)
START = END - timedelta(days=1)
NOW = END + timedelta(minutes=2)
MARTS = ("extraction_status", "extraction_days", "extraction_gaps")


def reading_of(events: Iterable[Event] | pl.DataFrame, sources: Sequence[Source] = (Source(),)) -> HealthReading:
    """These events in memory, with what the ledger says of their sources."""
    rows = events if isinstance(events, pl.DataFrame) else weekly_marts._frame(events)
    con = in_memory(NOW)
    ensure_schemas(con)
    con.execute((resources.path("sql") / "macros.sql").read_text(encoding="utf-8"))
    con.register("given", rows.to_arrow())
    con.execute(
        "create table staging.installer_events as select given.*, "
        "cast(timezone('Europe/Copenhagen', event_ts) as date) as event_date, left_out_reason is null as counted, "
        "'installers' as source, '1' as site_id, cast(row_number() over () as varchar) as event_id from given"
    )
    con.unregister("given")
    weekly_marts._ledger(con, sources)
    days = {"first_day": date(2020, 1, 1), "last_day": date(2030, 1, 1)}
    for layer, tables in (("staging", weekly_marts.STAGING), ("marts", MARTS)):
        for table in tables:
            query = (resources.path("sql") / layer / table / "query.sql").read_text(encoding="utf-8")
            con.execute(f"create table {layer}.{table} as {query}", days if "$first_day" in query else None)
            weekly_marts._whole_numbers(con, layer, [table])
    return HealthReading(con)


def morning(
    events: Iterable[Event] | pl.DataFrame,
    *,
    day: date = DAY,
    watermark: datetime | None = END + timedelta(hours=1),
    settings: AlertSettings | None = None,
    standing: Standing | None = None,
    sources: Sequence[Source] | None = None,
) -> DailyNumbers:
    """The numbers of a morning; the source is complete to `watermark`."""
    known = (Source(watermark=watermark),) if sources is None else sources
    reading = reading_of(events, known)
    try:
        return daily_numbers(reading, day, NOW, watermark, settings or AlertSettings(), ZONE, standing or Standing())
    finally:
        reading.connection.close()


def tries(
    component: str,
    n: int,
    failed: int = 0,
    *,
    start: datetime = START,
    span: timedelta = timedelta(hours=20),
    machine: str = "{component}-{place}",
    **more: object,
) -> list[Event]:
    """`n` events of a component, evenly from `start` on, the last `failed` of them failures, each on a machine of its
    own."""
    found = []
    for place in range(n):
        outcome = "failure" if place >= n - failed else "success"
        name = machine.format(component=component, place=f"{start:%m%d%H}-{place}")
        found.append(Event(start + place * span / n, component, outcome, name, **more))  # type: ignore[arg-type]
    return found


def history(
    component: str, per_day: int, failed_every: int = 0, *, days: int = 28, end: datetime = START
) -> list[Event]:
    """`days` days before `end` with `per_day` events each; every `failed_every`th fails, none where that is 0."""
    found: list[Event] = []
    for back in range(days, 0, -1):
        for place in range(per_day):
            number = len(found) + 1
            outcome = "failure" if failed_every and number % failed_every == 0 else "success"
            at = end - timedelta(days=back) + place * timedelta(hours=22) / per_day
            found.append(Event(at, component, outcome, f"{component}-{back}-{place}"))
    return found
