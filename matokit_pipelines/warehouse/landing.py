"""Landing as a diff: of what a reading gave, only new, changed and vanished rows are written to a raw table.

An unchanged row is not touched, so reading the same window again writes nothing and touches no day. The caller fills
the temp table `received` (one row an event id, columns as in the raw table) and holds the transaction. Not here: how
pages become rows (matomo_landing.py, piwik_pro_landing.py), which windows to read (the passes), what is known of a
source between passes (ledger.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import duckdb

from matokit_pipelines.sources.quarantine import Quarantined


@dataclass(frozen=True)
class SourceKey:
    """Which source and which of its sites."""

    source: str
    site_id: str

    @property
    def names(self) -> dict[str, Any]:
        """As parameters of a statement."""
        return {"source": self.source, "site_id": self.site_id}


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
    truncated: int = 0
    newly_truncated: int = 0


@dataclass(frozen=True)
class RawTable:
    """A raw table as landing sees it.

    `columns`: what a reading gives of a row, event_id first; `content`: those of which another value is a change.
    `near`: a condition on the raw table that holds for the stored row of every received id, so that the diff does not
    look at the whole history; with `along`, a column, it has the parameters $least and $greatest, the least and
    greatest of that column among the received rows (as parameters they let whole parts of the table be skipped
    unread). `gone`: a condition that holds for the stored rows a reading must have given, with the
    parameters $gone_start and $gone_end and those of the caller.
    """

    name: str
    columns: tuple[str, ...]
    content: tuple[str, ...]
    near: str
    gone: str
    along: str | None = None


@dataclass(frozen=True)
class Written:
    """How many distinct rows were received, and how many were new, changed and gone."""

    landed: int
    inserted: int
    changed: int
    vanished: int


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


_FRESH = "select event_id from received where event_id not in (select event_id from stored)"
_MINE = "source = $source and site_id = $site_id"


def write_difference(
    connection: duckdb.DuckDBPyConnection,
    table: RawTable,
    key: SourceKey,
    *,
    gone: dict[str, Any] | None,
    project_zone: str,
    now: datetime,
) -> Written:
    """Bring `table` to what the temp table `received` says; leaves the temp tables `stored` and `changed`.

    `stored`: the received ids that were known, with the columns of which another value is no change. `gone`: the
    parameters of `table.gone`; stored rows of that kind that were not received are marked as vanished. None when the
    reading was not whole, is no proof of absence, or comes in parts (then write_vanished at its end).
    """
    near = key.names | _bounds(connection, table)
    kept = [column for column in table.columns if column not in (*table.content, "event_id")]
    connection.execute(
        f"create or replace temp table stored as select {', '.join(['event_id', 'event_ts', *kept])} from {table.name} "
        f"where {_MINE} and {table.near} and event_id in (select event_id from received)",
        near,
    )
    landed, known, first, last = connection.execute(
        "select (select count(*) from received), count(*), min(event_ts), max(event_ts) from stored"
    ).fetchall()[0]
    connection.execute(
        "create or replace temp table changed (event_id varchar, event_ts_before timestamptz, landed_at timestamptz)"
    )
    if known:  # columns are many: they are read only where a known row lies
        differs = " or ".join(f"r.{column} is distinct from s.{column}" for column in table.content)
        connection.execute(
            "insert into changed select r.event_id, s.event_ts, s.landed_at from received r join ("
            f"select event_id, {', '.join(table.content)}, landed_at, vanished_at from {table.name} "
            f"where {_MINE} and {table.near} and event_ts >= $first and event_ts <= $last"
            f") s using (event_id) where s.vanished_at is not null or {differs}",
            near | {"first": first, "last": last},
        )
    inserted = landed - known
    changed = connection.execute("select count(*) from changed").fetchall()[0][0]
    if changed:
        _write(connection, table, key, project_zone, now)
    elif inserted:
        _write_new(connection, table, key, project_zone, now, some_known=known > 0)
    vanished = write_vanished(connection, table, key, gone=gone, project_zone=project_zone, now=now) if gone else 0
    return Written(landed, inserted, changed, vanished)


def write_vanished(
    connection: duckdb.DuckDBPyConnection,
    table: RawTable,
    key: SourceKey,
    *,
    gone: dict[str, Any],
    project_zone: str,
    now: datetime,
) -> int:
    """Mark the stored rows that a reading must have given and that are not in the temp table `received`; how many.

    `gone`: the parameters of `table.gone`. Of `received` only the event ids count.
    """
    connection.execute(
        f"create or replace temp table vanished as select event_id, event_ts from {_not_received(table)}",
        key.names | gone,
    )
    vanished: int = connection.execute("select count(*) from vanished").fetchall()[0][0]
    if vanished:
        _touch(connection, "select event_ts from vanished", project_zone, now)
        connection.execute(
            f"update {table.name} set vanished_at = $now, changed_at = $now "
            f"where {_MINE} and event_id in (select event_id from vanished)",
            key.names | {"now": now},
        )
    return vanished


def ids_not_received(
    connection: duckdb.DuckDBPyConnection, table: RawTable, key: SourceKey, gone: dict[str, Any]
) -> list[str]:
    """The ids of the rows that `write_vanished` would mark, in order."""
    query = f"select event_id from {_not_received(table)} order by event_id"
    return [row[0] for row in connection.execute(query, key.names | gone).fetchall()]


def touched_days(connection: duckdb.DuckDBPyConnection) -> list[date]:
    """Days in the project's zone that landings touched and no build has derived yet, in order."""
    rows = connection.execute("select distinct event_date from ledger.touched_days order by 1").fetchall()
    return [row[0] for row in rows]


def _not_received(table: RawTable) -> str:
    """What is stored, was not received and meets the condition `table.gone`, in words that follow "from"."""
    return (
        f"{table.name} where {_MINE} and vanished_at is null and {table.gone} "
        "and event_id not in (select event_id from received)"
    )


def _bounds(connection: duckdb.DuckDBPyConnection, table: RawTable) -> dict[str, Any]:
    """The parameters of `table.near`."""
    if table.along is None:
        return {}
    found = connection.execute(f"select min({table.along}), max({table.along}) from received").fetchall()[0]
    return dict(zip(("least", "greatest"), found, strict=True))


def _write_new(
    connection: duckdb.DuckDBPyConnection,
    table: RawTable,
    key: SourceKey,
    zone: str,
    now: datetime,
    *,
    some_known: bool,
) -> None:
    """Insert what was received and is not stored; nothing that is stored has changed."""
    new = "received where event_id not in (select event_id from stored)" if some_known else "received"
    _touch(connection, f"select event_ts from {new}", zone, now)
    connection.execute(
        f"insert into {_target(table)} select $source, $site_id, {', '.join(table.columns)}, "
        f"$now::timestamptz, $now::timestamptz, null from {new} order by event_ts, event_id",
        key.names | {"now": now},
    )


def _write(connection: duckdb.DuckDBPyConnection, table: RawTable, key: SourceKey, zone: str, now: datetime) -> None:
    _touch(
        connection,
        f"select event_ts from received where event_id in ({_FRESH} union all select event_id from changed) "
        "union all select event_ts_before from changed",
        zone,
        now,
    )
    connection.execute(
        f"delete from {table.name} where {_MINE} and event_id in (select event_id from changed)", key.names
    )
    columns = ", ".join(f"r.{column}" for column in table.columns)
    connection.execute(
        f"insert into {_target(table)} select $source, $site_id, {columns}, "
        "coalesce(c.landed_at, $now::timestamptz), $now::timestamptz, null "
        "from received r left join changed c using (event_id) "
        f"where r.event_id in ({_FRESH} union all select event_id from changed) order by r.event_ts, r.event_id",
        key.names | {"now": now},
    )


def _target(table: RawTable) -> str:
    return f"{table.name} (source, site_id, {', '.join(table.columns)}, landed_at, changed_at, vanished_at)"


def _touch(connection: duckdb.DuckDBPyConnection, instants: str, zone: str, now: datetime) -> None:
    """Note the days in `zone` on which the event_ts that the query `instants` gives fall."""
    connection.execute(
        "insert into ledger.touched_days "
        f"select distinct cast(timezone($zone, touched.event_ts) as date), $now::timestamptz from ({instants}) touched",
        {"zone": zone, "now": now},
    )


def put_in_quarantine(
    connection: duckdb.DuckDBPyConnection, key: SourceKey, pieces: Sequence[Quarantined], now: datetime
) -> None:
    """Keep what could not become a raw row, each distinct piece once."""
    known: dict[str, Quarantined] = {
        hashlib.sha256(f"{piece.reason}\0{piece.payload}".encode()).hexdigest()[:32]: piece for piece in pieces
    }
    for fingerprint, piece in sorted(known.items()):
        connection.execute(
            "insert into raw.quarantine select $source, $site_id, $fingerprint, $reason, $payload, $now "
            f"where not exists (from raw.quarantine where {_MINE} and fingerprint = $fingerprint)",
            key.names | {"fingerprint": fingerprint, "reason": piece.reason, "payload": piece.payload, "now": now},
        )
