"""Visits of Matomo into `raw.matomo_events`: rows of a reading as the temp table `received`, and what is cut off.

Not here: the diff (landing.py), reading rows out of visits (sources/matomo_visits.py), when to read (matomo_pass.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import duckdb
import polars as pl

from matokit_pipelines.sources.matomo_visits import DIMENSION_COLUMNS, Reading, TruncatedVisit
from matokit_pipelines.warehouse.landing import Landed, RawTable, SourceKey, put_in_quarantine, write_difference
from matokit_pipelines.windows import Window

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "event_id": pl.String,
    "visit_id": pl.Int64,
    "visitor_id": pl.String,
    "event_ts": pl.Datetime("us", "UTC"),
    "fold_ambiguous": pl.Boolean,
    "category": pl.String,
    "action": pl.String,
    "name": pl.String,
    "value": pl.Float64,
    **dict.fromkeys(DIMENSION_COLUMNS.values(), pl.String),
    "visit_first_ts": pl.Datetime("us", "UTC"),
    "visit_last_ts": pl.Datetime("us", "UTC"),
}
# A live visit moves its own end all the time; that alone is no change of its events, and no day is touched by it.
_BOUNDS = ("visit_first_ts", "visit_last_ts")
EVENTS = RawTable(
    name="raw.matomo_events",
    columns=tuple(_SCHEMA),
    content=tuple(column for column in _SCHEMA if column not in ("event_id", *_BOUNDS)),
    # a visit keeps its id, so its range finds the stored rows
    near="visit_id between (select min(visit_id) from received) and (select max(visit_id) from received)",
    gone="visit_last_ts >= $gone_start and visit_last_ts < $gone_end "
    "and visit_id not in (select unnest($truncated_visits::bigint[]))",
)
_RECEIVED = f"""
create or replace temp table received as
select {", ".join(_SCHEMA)} from received_frame
qualify row_number() over (partition by event_id order by visit_last_ts desc, ordinal desc) = 1
"""
# The bounds are kept true all the same: by the visit's end it is known in which windows it must be received.
_MOVE_BOUNDS = """
update raw.matomo_events set visit_first_ts = moved.visit_first_ts, visit_last_ts = moved.visit_last_ts
from (
    select r.event_id, r.visit_first_ts, r.visit_last_ts from received r join stored s using (event_id)
    where (r.visit_first_ts <> s.visit_first_ts or r.visit_last_ts <> s.visit_last_ts)
      and r.event_id not in (select event_id from changed)
) as moved
where source = $source and site_id = $site_id and matomo_events.event_id = moved.event_id
"""


def land(
    connection: duckdb.DuckDBPyConnection,
    key: SourceKey,
    reading: Reading,
    *,
    gone: Window | None,
    site_zone: str,
    project_zone: str,
    now: datetime,
) -> Landed:
    """Write what differs from what is stored; call inside a transaction.

    `gone`: stored rows whose visit ended in this window and that were not received are marked as vanished; None when
    the reading was not whole or is no proof of absence. Rows of truncated visits are never taken for vanished.
    """
    _receive(connection, reading)
    cut_off = {visit.visit_id: visit for visit in reading.truncated}
    absent = {"gone_start": gone.start, "gone_end": gone.end, "truncated_visits": list(cut_off)} if gone else None
    written = write_difference(connection, EVENTS, key, gone=absent, project_zone=project_zone, now=now)
    connection.execute(_MOVE_BOUNDS, key.names)
    put_in_quarantine(connection, key, reading.quarantined, now)
    return Landed(
        received=reading.received,
        duplicates=len(reading.rows) - written.landed,
        quarantined=len(reading.quarantined),
        landed=written.landed,
        inserted=written.inserted,
        changed=written.changed,
        vanished=written.vanished,
        truncated=sum(visit.missing for visit in cut_off.values()),
        newly_truncated=_note_truncated(connection, key, cut_off.values(), site_zone, now),
    )


def _receive(connection: duckdb.DuckDBPyConnection, reading: Reading) -> None:
    frame = pl.DataFrame(reading.rows, schema=_SCHEMA, orient="row").with_row_index("ordinal")
    connection.register("received_frame", frame)
    try:
        connection.execute(_RECEIVED)
    finally:
        connection.unregister("received_frame")


def _note_truncated(
    connection: duckdb.DuckDBPyConnection,
    key: SourceKey,
    visits: Iterable[TruncatedVisit],
    site_zone: str,
    now: datetime,
) -> int:
    """Keep which visits are cut off; gives how many actions are missing that were not known to be.

    A visit that comes back whole (the server's limit was raised) is forgotten. The temp table `received` is read.
    """
    visits = list(visits)
    connection.execute(
        "delete from ledger.truncated_visits where source = ? and site_id = ? "
        "and visit_id in (select visit_id from received) and not list_contains(?::bigint[], visit_id)",
        [key.source, key.site_id, [visit.visit_id for visit in visits]],
    )
    new = 0
    for visit in visits:
        values = [key.source, key.site_id, visit.visit_id]
        mine = "source = ? and site_id = ? and visit_id = ?"
        known = connection.execute(f"select truncated from ledger.truncated_visits where {mine}", values).fetchall()
        if known == [(visit.missing,)]:
            continue
        new += max(0, visit.missing - (known[0][0] if known else 0))
        connection.execute(f"delete from ledger.truncated_visits where {mine}", values)
        connection.execute(
            "insert into ledger.truncated_visits values (?, ?, ?, cast(timezone(?, ?::timestamptz) as date), ?, ?)",
            [*values, site_zone, visit.last_action, visit.missing, now],
        )
    return new
