"""One reading of a source into its raw table, as a diff: only new, changed and vanished rows are written.

An unchanged row is not touched, so reading the same window again writes nothing and touches no day. Landing, its
counts and the touched days are one transaction. Not here: which windows to read (extraction.py), what is known of a
source between passes (ledger.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime

import duckdb
import polars as pl

from matokit_pipelines.sources.matomo_visits import DIMENSION_COLUMNS, Reading, TruncatedVisit
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
_COLUMNS = ", ".join(_SCHEMA)
# A live visit moves its own end all the time; that alone is no change of its events, and no day is touched by it.
_CONTENT = [column for column in _SCHEMA if column not in ("event_id", "visit_first_ts", "visit_last_ts")]

_RECEIVED = f"""
create or replace temp table received as
select {_COLUMNS} from received_frame
qualify row_number() over (partition by event_id order by visit_last_ts desc, ordinal desc) = 1
"""
# A visit keeps its id, so its range finds the stored rows without a look at the whole history.
_STORED = f"""
create or replace temp table stored as
select {_COLUMNS}, landed_at, vanished_at from raw.matomo_events
where source = $source and site_id = $site_id
  and visit_id between (select min(visit_id) from received) and (select max(visit_id) from received)
  and event_id in (select event_id from received)
"""
_CHANGED = f"""
create or replace temp table changed as
select r.event_id, s.event_ts as event_ts_before, s.landed_at from received r join stored s using (event_id)
where s.vanished_at is not null or {" or ".join(f"r.{c} is distinct from s.{c}" for c in _CONTENT)}
"""
_VANISHED = """
create or replace temp table vanished as
select event_id, event_ts from raw.matomo_events
where source = $source and site_id = $site_id and vanished_at is null
  and visit_last_ts >= $gone_start and visit_last_ts < $gone_end
  and event_id not in (select event_id from received)
  and visit_id not in (select unnest($truncated_visits::bigint[]))
"""
# The bounds are kept true all the same: by the visit's end it is known in which windows it must be received.
_MOVED = """
create or replace temp table moved as
select r.event_id, r.visit_first_ts, r.visit_last_ts from received r join stored s using (event_id)
where (r.visit_first_ts <> s.visit_first_ts or r.visit_last_ts <> s.visit_last_ts)
  and r.event_id not in (select event_id from changed)
"""
_FRESH = "select event_id from received where event_id not in (select event_id from stored)"
_TOUCH = f"""
insert into ledger.touched_days
select distinct cast(timezone($zone, touched.event_ts) as date), $now::timestamptz from (
    select event_ts from received where event_id in ({_FRESH} union all select event_id from changed)
    union all select event_ts_before from changed
    union all select event_ts from vanished
) as touched
"""
_INSERT = f"""
insert into raw.matomo_events (source, site_id, {_COLUMNS}, landed_at, changed_at, vanished_at)
select $source, $site_id, {", ".join(f"r.{c}" for c in _SCHEMA)},
       coalesce(c.landed_at, $now::timestamptz), $now::timestamptz, null
from received r left join changed c using (event_id)
where r.event_id in ({_FRESH} union all select event_id from changed)
order by r.event_ts, r.event_id
"""


@dataclass(frozen=True)
class SourceKey:
    """Which source and which of its sites."""

    source: str
    site_id: str


@dataclass(frozen=True)
class Landed:
    """What a landing did. `received = duplicates + quarantined + landed`; the next three say what was written.

    `truncated`: actions that the server withholds in the visits read; `newly_truncated`: those nobody knew of yet.
    """

    received: int
    duplicates: int
    quarantined: int
    landed: int
    inserted: int
    changed: int
    vanished: int
    truncated: int
    newly_truncated: int


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit on the way out, roll back on an error."""
    connection.execute("begin")
    try:
        yield
        connection.execute("commit")
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed on a full disk has rolled back already
            connection.execute("rollback")
        raise


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
    names = {"source": key.source, "site_id": key.site_id}
    _receive(connection, reading)
    connection.execute(_STORED, names)
    connection.execute(_CHANGED)
    connection.execute(_MOVED)
    span = (gone.start, gone.end) if gone else (now, now)
    cut = [visit.visit_id for visit in reading.truncated]
    connection.execute(_VANISHED, names | {"gone_start": span[0], "gone_end": span[1], "truncated_visits": cut})
    landed, inserted, changed, vanished = connection.execute(
        f"select (select count(*) from received), (select count(*) from ({_FRESH})), "
        "(select count(*) from changed), (select count(*) from vanished)"
    ).fetchall()[0]
    if inserted or changed or vanished:
        _write(connection, names, project_zone, now)
    connection.execute(
        "update raw.matomo_events set visit_first_ts = moved.visit_first_ts, visit_last_ts = moved.visit_last_ts "
        "from moved where source = $source and site_id = $site_id and matomo_events.event_id = moved.event_id",
        names,
    )
    _quarantine(connection, key, reading, now)
    cut_off = {visit.visit_id: visit for visit in reading.truncated}
    return Landed(
        received=reading.received,
        duplicates=len(reading.rows) - landed,
        quarantined=len(reading.quarantined),
        landed=landed,
        inserted=inserted,
        changed=changed,
        vanished=vanished,
        truncated=sum(visit.missing for visit in cut_off.values()),
        newly_truncated=_note_truncated(connection, key, cut_off.values(), site_zone, now),
    )


def touched_days(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """Days in the project's zone that landings touched and no build has derived yet, in order."""
    rows = connection.execute("select distinct event_date from ledger.touched_days order by 1").fetchall()
    return [row[0] for row in rows]


def _receive(connection: duckdb.DuckDBPyConnection, reading: Reading) -> None:
    frame = pl.DataFrame(reading.rows, schema=_SCHEMA, orient="row").with_row_index("ordinal")
    connection.register("received_frame", frame)
    try:
        connection.execute(_RECEIVED)
    finally:
        connection.unregister("received_frame")


def _write(connection: duckdb.DuckDBPyConnection, names: dict[str, str], zone: str, now: datetime) -> None:
    connection.execute(_TOUCH, {"zone": zone, "now": now})
    mine = "source = $source and site_id = $site_id"
    connection.execute(
        f"delete from raw.matomo_events where {mine} and event_id in (select event_id from changed)",
        names,
    )
    connection.execute(_INSERT, names | {"now": now})
    connection.execute(
        f"update raw.matomo_events set vanished_at = $now, changed_at = $now where {mine} "
        "and event_id in (select event_id from vanished)",
        names | {"now": now},
    )


def _quarantine(connection: duckdb.DuckDBPyConnection, key: SourceKey, reading: Reading, now: datetime) -> None:
    pieces = {
        hashlib.sha256(f"{piece.reason}\0{piece.payload}".encode()).hexdigest()[:32]: piece
        for piece in reading.quarantined
    }
    for fingerprint, piece in sorted(pieces.items()):
        connection.execute(
            "insert into raw.quarantine select $source, $site_id, $fingerprint, $reason, $payload, $now "
            "where not exists (from raw.quarantine where source = $source and site_id = $site_id "
            "and fingerprint = $fingerprint)",
            {
                "source": key.source,
                "site_id": key.site_id,
                "fingerprint": fingerprint,
                "reason": piece.reason,
                "payload": piece.payload,
                "now": now,
            },
        )


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
