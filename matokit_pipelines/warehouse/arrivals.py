"""What landed since somebody last looked, by the time of the events: which evaluations late events touch.

Not here: landing (landing.py), what is evaluated again (alerts/evaluator.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from matokit_pipelines.warehouse.touched import RAW_EVENTS


@dataclass(frozen=True)
class Arrivals:
    """landed_to: when the newest row of the time looked at landed, changed or vanished; earliest: time of the first
    event that did so since; complete_to: the product's watermark; is_derived: all that landed is derived. In UTC."""

    landed_to: datetime | None
    earliest: datetime | None
    complete_to: datetime | None
    is_derived: bool


def arrivals(connection: duckdb.DuckDBPyConnection, *, since: datetime | None, after: datetime | None) -> Arrivals:
    """What landed, changed or vanished after `since` (None: nothing is asked), of events at or after `after`."""
    newest: list[datetime] = []
    earliest: list[datetime] = []
    for table in RAW_EVENTS:
        last, first = connection.execute(
            f"select max(changed_at), min(event_ts) filter (where changed_at > $since) from {table} "
            "where event_ts >= coalesce($after, event_ts)",
            {"since": since, "after": after},
        ).fetchall()[0]
        newest += [last] if last else []
        earliest += [first] if first else []
    waiting = connection.execute("select 1 from ledger.touched_days limit 1").fetchall()
    landed_to = max([*newest, *([since] if since else [])], default=None)
    return Arrivals(_utc(landed_to), _utc(min(earliest, default=None)), product_watermark(connection), not waiting)


def product_watermark(connection: duckdb.DuckDBPyConnection) -> datetime | None:
    """Up to when the sources that count are complete together, UTC."""
    return _utc(connection.execute("select watermark from ledger.product_watermark").fetchall()[0][0])


def _utc(instant: datetime | None) -> datetime | None:
    return instant.astimezone(UTC) if instant else None
