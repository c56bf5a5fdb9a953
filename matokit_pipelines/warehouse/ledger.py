"""What is known of each source between passes: windows read and how they were proven, watermark, refusals.

The watermark is the end of what is proven without a gap, never the newest event seen, so a quiet night moves on.
Not here: reading (extraction.py), rows (landing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import duckdb

from matokit_pipelines.errors import SettingsError
from matokit_pipelines.warehouse.landing import Landed, SourceKey
from matokit_pipelines.windows import Window, gap_free_end, joined

Tier = Literal["recent", "history", "hourly", "look_back", "reconcile", "asked", "probe"]
Proof = Literal["drained", "count", "none"]
Status = Literal["complete", "complete_with_loss", "incomplete"]
MATOMO_LAG = timedelta(minutes=10)  # an event may reach Matomo's log some minutes after it happened
GIVE_UP_AFTER_READS = 5
GIVE_UP_AFTER = timedelta(hours=6)


@dataclass(frozen=True)
class SourceState:
    """A source as the ledger knows it. Instants in UTC; None = not yet."""

    kind: str
    zone: str
    url: str
    site_id: str
    watermark: datetime | None
    refused_credentials: str | None
    refused_at: datetime | None


@dataclass(frozen=True)
class Reconciled:
    """One closed day of a site: the source's own count beside ours."""

    day: date
    reported: int | None
    extracted: int
    truncated: int
    verdict: str
    reads: int
    checked_at: datetime


def state(connection: duckdb.DuckDBPyConnection, name: str) -> SourceState | None:
    """What is known of the source, None before its first pass."""
    rows = connection.execute(
        "select kind, zone, url, site_id, watermark, refused_credentials, refused_at "
        "from ledger.sources where source = ?",
        [name],
    ).fetchall()
    if not rows:
        return None
    kind, zone, url, site_id, watermark, refused, refused_at = rows[0]
    return SourceState(kind, zone, url, site_id, _utc(watermark), refused, _utc(refused_at))


def introduce(
    connection: duckdb.DuckDBPyConnection, key: SourceKey, kind: str, zone: str, url: str, mirror_of: str | None = None
) -> None:
    """Meet a source for the first time, or hold it against what it was: rows of two sites must never mix."""
    _meet(connection, key, kind, zone, url)
    connection.execute(
        "update ledger.sources set mirror_of = $mirror where source = $source and mirror_of is distinct from $mirror",
        {"mirror": mirror_of, "source": key.source},
    )


def _meet(connection: duckdb.DuckDBPyConnection, key: SourceKey, kind: str, zone: str, url: str) -> None:
    known = state(connection, key.source)
    if known is None:
        connection.execute(
            "insert into ledger.sources (source, kind, site_id, zone, url) values (?, ?, ?, ?, ?)",
            [key.source, kind, key.site_id, zone, url],
        )
        return
    if first_reading(connection, key.source) is None:  # refused until now, so its zone was not known
        connection.execute(
            "update ledger.sources set kind = ?, site_id = ?, zone = ?, url = ? where source = ?",
            [kind, key.site_id, zone, url, key.source],
        )
        return
    was = (("kind", known.kind, kind), ("site", known.site_id, key.site_id), ("time zone", known.zone, zone))
    for what, before, after in was:
        if before != after:
            raise SettingsError(
                f"Source {key.source} was read from {what} {before} until now and would be from {after}; "
                "give the new one another name, or start a new home."
            )
    if known.url != url:
        connection.execute("update ledger.sources set url = ? where source = ?", [url, key.source])


def project_zone(connection: duckdb.DuckDBPyConnection, zone: str, *, full: bool = False) -> None:
    """Fix the zone that days are cut in, or hold the setting against it. `full` moves a home to a new zone."""
    rows = connection.execute("select zone from ledger.project").fetchall()
    if not rows:
        connection.execute("insert into ledger.project values (?)", [zone])
    elif rows[0][0] != zone and full:
        connection.execute("update ledger.project set zone = ?", [zone])
    elif rows[0][0] != zone:
        raise SettingsError(
            f"This home cuts its days in {rows[0][0]}, but project.timezone says {zone}; "
            "put it back, or run `matokit build --full` to derive everything anew."
        )


def note_window(
    connection: duckdb.DuckDBPyConnection,
    key: SourceKey,
    window: Window,
    landed: Landed,
    *,
    tier: Tier,
    zone: str,
    proof: Proof,
    status: Status,
    detail: str | None,
    started: datetime,
    finished: datetime,
    dimensions: str,
    expected: int | None = None,
) -> None:
    """One reading into the ledger; call in the transaction that landed it.

    `dimensions`: which dimension carried what; `expected`: what a count announced.
    """
    connection.execute(
        "insert into ledger.windows (source, site_id, tier, window_start, window_end, zone, expected, received, "
        "duplicates, quarantined, landed, inserted, changed, vanished, truncated, proof, status, detail, started_at, "
        "finished_at, dimensions) "
        "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [key.source, key.site_id, tier, window.start, window.end, zone, expected, landed.received, landed.duplicates,
         landed.quarantined, landed.landed, landed.inserted, landed.changed, landed.vanished, landed.truncated,
         proof, status, detail, started, finished, dimensions],
    )  # fmt: skip


# Readings of another meaning of the dimensions do not count where $dimensions asks; a home of an earlier version need
# not say.
_SAME_MEANING = "($dimensions is null or dimensions is null or dimensions = $dimensions)"


def proven_windows(
    connection: duckdb.DuckDBPyConnection, name: str, now: datetime, dimensions: str | None = None
) -> list[Window]:
    """The stretches of the source that were read whole by `now`, neighbours joined, by start.

    A reading dated later was made by a clock that ran ahead, and proves nothing. With `dimensions` only readings count
    in which they carried the same.
    """
    rows = connection.execute(
        "select window_start, window_end from ledger.windows where source = $source and status <> 'incomplete' "
        f"and started_at <= $now and {_SAME_MEANING} order by 1, 2",
        {"source": name, "now": now, "dimensions": dimensions},
    ).fetchall()
    return joined(Window(start, end) for start, end in rows)


def covered_windows(
    connection: duckdb.DuckDBPyConnection, name: str, now: datetime, lag: timedelta, dimensions: str | None = None
) -> list[Window]:
    """What readings by `now` prove for good: a reading tells of what happened `lag` before it began, not of more.

    With `dimensions` only readings count in which they carried the same.
    """
    rows = connection.execute(
        "select window_start, least(window_end, started_at - to_microseconds($lag)) as safe_end from ledger.windows "
        "where source = $source and status <> 'incomplete' and started_at <= $now and safe_end > window_start "
        f"and {_SAME_MEANING} order by 1, 2",
        {"source": name, "now": now, "lag": lag // timedelta(microseconds=1), "dimensions": dimensions},
    ).fetchall()
    return joined(Window(start, end) for start, end in rows)


def read_since_night(connection: duckdb.DuckDBPyConnection, name: str, night: datetime, now: datetime) -> list[Window]:
    """The stretches that were read, whole or in vain, by passes since `night`."""
    rows = connection.execute(
        "select window_start, window_end from ledger.windows where source = ? and started_at between ? and ? "
        "order by 1, 2",
        [name, night, now],
    ).fetchall()
    return joined(Window(start, end) for start, end in rows)


def troubled_windows(connection: duckdb.DuckDBPyConnection, name: str, now: datetime) -> list[Window]:
    """Windows of which the last reading was incomplete, and that no later reading of a larger window holds."""
    rows = connection.execute(
        "select distinct w.window_start, w.window_end from ledger.windows w "
        "where w.source = $source and w.status = 'incomplete' and w.started_at <= $now and not exists ("
        "from ledger.windows l where l.source = $source and l.started_at <= $now and l.window_id > w.window_id "
        "and l.window_start <= w.window_start and l.window_end >= w.window_end and (l.status <> 'incomplete' "
        "or l.window_start < w.window_start or l.window_end > w.window_end)) order by 1, 2",
        {"source": name, "now": now},
    ).fetchall()
    return [Window(start, end) for start, end in rows]


def last_counts(connection: duckdb.DuckDBPyConnection, name: str, window: Window) -> tuple[int, int] | None:
    """(rows announced, distinct events landed) when exactly this window was last read whole."""
    rows = connection.execute(
        "select expected, landed from ledger.windows where source = ? and window_start = ? and window_end = ? "
        "and proof = 'count' order by window_id desc limit 1",
        [name, window.start, window.end],
    ).fetchall()
    return (rows[0][0], rows[0][1]) if rows else None


def largest_recent_count(connection: duckdb.DuckDBPyConnection, name: str) -> int | None:
    """The most rows that one of the last ten readings of recent windows announced; None before the first."""
    rows = connection.execute(
        "select max(expected) from (select expected from ledger.windows where source = ? and tier = 'recent' "
        "and proof = 'count' order by window_id desc limit 10)",
        [name],
    ).fetchall()
    return None if rows[0][0] is None else int(rows[0][0])


def probed_at(connection: duckdb.DuckDBPyConnection, name: str) -> datetime | None:
    """When the counts of the older windows of the look-back were last asked."""
    return _moment(connection, name, "probed_at")


def note_probed(connection: duckdb.DuckDBPyConnection, name: str, now: datetime) -> None:
    """Keep when the counts of the look-back were asked."""
    connection.execute("update ledger.sources set probed_at = ? where source = ?", [now, name])


def looked_back_at(connection: duckdb.DuckDBPyConnection, name: str) -> datetime | None:
    """When the whole look-back was last read to its end: a pass that was killed in the middle of it does not count."""
    return _moment(connection, name, "looked_back_at")


def note_looked_back(connection: duckdb.DuckDBPyConnection, name: str, now: datetime) -> None:
    """Keep when the look-back was read to its end."""
    connection.execute("update ledger.sources set looked_back_at = ? where source = ?", [now, name])


def _moment(connection: duckdb.DuckDBPyConnection, name: str, column: str) -> datetime | None:
    rows = connection.execute(f"select {column} from ledger.sources where source = ?", [name]).fetchall()
    return _utc(rows[0][0]) if rows else None


def note_real_time(connection: duckdb.DuckDBPyConnection, name: str, sentence: str | None) -> None:
    """Keep why there are no real-time data; None when there are."""
    connection.execute("update ledger.sources set real_time_note = ? where source = ?", [sentence, name])


def given_up_windows(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    now: datetime,
    tiers: Sequence[Tier] = ("history", "asked"),
    dimensions: str | None = None,
) -> list[Window]:
    """Windows that were read in vain five times, or again after six hours: marked incomplete, and passed by.

    One bad day must not silence everything after it.
    """
    rows = connection.execute(
        "select window_start, window_end from ledger.windows where source = $source and list_contains($tiers, tier) "
        f"and started_at <= $now and {_SAME_MEANING} group by all having count(*) filter (status <> 'incomplete') = 0 "
        "and (count(*) >= $reads or max(epoch(started_at)) - min(epoch(started_at)) >= $seconds) order by 1, 2",
        {
            "source": name,
            "tiers": list(tiers),
            "now": now,
            "dimensions": dimensions,
            "reads": GIVE_UP_AFTER_READS,
            "seconds": GIVE_UP_AFTER.total_seconds(),
        },
    ).fetchall()
    return [Window(start, end) for start, end in rows]


def last_reading(
    connection: duckdb.DuckDBPyConnection, name: str, tiers: Sequence[Tier], now: datetime
) -> datetime | None:
    """When a whole reading of one of the tiers last began."""
    rows = connection.execute(
        "select max(started_at) from ledger.windows where source = ? and list_contains(?, tier) "
        "and status <> 'incomplete' and started_at <= ?",
        [name, list(tiers), now],
    ).fetchall()
    return _utc(rows[0][0])


def read_since(connection: duckdb.DuckDBPyConnection, key: SourceKey, otherwise: datetime) -> datetime:
    """From when on a source without a start_date is read: fixed by its first pass, `otherwise` for that one."""
    known = _moment(connection, key.source, "read_since")
    if known:
        return known
    # a home of an earlier version does not say it, but for its earliest window
    rows = connection.execute(
        "select min(window_start) from ledger.windows where source = ? and tier <> 'asked'", [key.source]
    ).fetchall()
    since = _utc(rows[0][0]) or otherwise
    connection.execute("update ledger.sources set read_since = ? where source = ?", [since, key.source])
    return since


def note_pass(
    connection: duckdb.DuckDBPyConnection,
    key: SourceKey,
    started: datetime,
    finished: datetime,
    requests: int,
    bytes_received: int,
) -> None:
    """Keep what a pass asked of the source; what is older than a week goes."""
    connection.execute(
        "delete from ledger.passes where source = ? and finished_at < ?", [key.source, finished - timedelta(days=7)]
    )
    connection.execute(
        "insert into ledger.passes values (?, ?, ?, ?, ?, ?)",
        [key.source, key.site_id, started, finished, requests, bytes_received],
    )


def first_reading(connection: duckdb.DuckDBPyConnection, name: str) -> datetime | None:
    """When the source was first read."""
    rows = connection.execute("select min(started_at) from ledger.windows where source = ?", [name]).fetchall()
    return _utc(rows[0][0])


def advance(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    passed: Sequence[Window],
    *,
    since: datetime,
    read_at: datetime,
    lag: timedelta,
    final_before: datetime,
) -> None:
    """Move the watermark to min(end of the gap-free range of `passed` since `since`, `read_at` - lag).

    `passed`: what is proven or given up.
    """
    proven_to = gap_free_end(passed, since)
    watermark = min(proven_to, read_at - lag)
    connection.execute(
        "update ledger.sources set proven_from = $since, proven_to = $proven, "
        "watermark = case when watermark > $read then $watermark else greatest(watermark, $watermark) end, "
        "final_before = $final, last_read_at = $read, "
        "last_error = null, last_error_at = null, refused_credentials = null, refused_at = null where source = $name",
        {"since": since, "proven": proven_to, "watermark": watermark, "final": min(final_before, watermark),
         "read": read_at, "name": name},
    )  # fmt: skip


def note_error(connection: duckdb.DuckDBPyConnection, name: str, sentence: str, now: datetime) -> None:
    """Keep why a source could not be read, for `status` and the pages."""
    connection.execute(
        "update ledger.sources set last_error = ?, last_error_at = ? where source = ?", [sentence, now, name]
    )


def last_error(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Why the source could not be read when it was last asked; None when it could."""
    rows = connection.execute("select last_error from ledger.sources where source = ?", [name]).fetchall()
    return rows[0][0] if rows else None


def last_dimensions(connection: duckdb.DuckDBPyConnection, name: str) -> str | None:
    """Which dimension carried what when the source was last read."""
    rows = connection.execute(
        "select dimensions from ledger.windows where source = ? and dimensions is not null "
        "order by window_id desc limit 1",
        [name],
    ).fetchall()
    return rows[0][0] if rows else None


def note_refusal(connection: duckdb.DuckDBPyConnection, name: str, credentials: str, now: datetime) -> None:
    """Keep the fingerprint of refused credentials, so that they are not tried again for a while."""
    connection.execute(
        "update ledger.sources set refused_credentials = ?, refused_at = ? where source = ?", [credentials, now, name]
    )


def reconciled(connection: duckdb.DuckDBPyConnection, name: str) -> dict[date, Reconciled]:
    """The days of the source that were held against its own report."""
    rows = connection.execute(
        "select site_date, reported, extracted, truncated, verdict, reads, checked_at from ledger.reconciliation "
        "where source = ?",
        [name],
    ).fetchall()
    return {
        day: Reconciled(day, reported, extracted, truncated, verdict, reads, at.astimezone(UTC))
        for day, reported, extracted, truncated, verdict, reads, at in rows
    }


def note_reconciled(connection: duckdb.DuckDBPyConnection, key: SourceKey, entry: Reconciled) -> None:
    """Store (again) what a day's comparison gave."""
    connection.execute(
        "delete from ledger.reconciliation where source = ? and site_id = ? and site_date = ?",
        [key.source, key.site_id, entry.day],
    )
    connection.execute(
        "insert into ledger.reconciliation values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [key.source, key.site_id, entry.day, entry.reported, entry.extracted, entry.truncated, entry.verdict,
         entry.reads, entry.checked_at],
    )  # fmt: skip


def confirm_window(connection: duckdb.DuckDBPyConnection, key: SourceKey, window: Window, reported: int) -> None:
    """Note that the source's own report confirms a closed day: the stronger proof beside a drained reading."""
    connection.execute(
        "update ledger.windows set expected = ?, proof = 'report' where source = ? and site_id = ? "
        "and window_start = ? and window_end = ? and status <> 'incomplete' and proof <> 'report'",
        [reported, key.source, key.site_id, window.start, window.end],
    )


def stored_in(connection: duckdb.DuckDBPyConnection, key: SourceKey, table: str, window: Window) -> int:
    """How many events of the raw table `table` have a time in `window`; what vanished is not counted."""
    rows = connection.execute(
        f"select count(*) from {table} where source = $source and site_id = $site_id "
        "and vanished_at is null and event_ts >= $start and event_ts < $end",
        key.names | {"start": window.start, "end": window.end},
    ).fetchall()
    return int(rows[0][0])


def extracted_on(connection: duckdb.DuckDBPyConnection, key: SourceKey, window: Window, day: date) -> tuple[int, int]:
    """Of a Matomo source `(events landed with a time in `window`, actions known to be cut off on site-day `day`)`."""
    names = key.names
    events = stored_in(connection, key, "raw.matomo_events", window)
    cut = connection.execute(
        "select coalesce(sum(truncated), 0) from ledger.truncated_visits "
        "where source = $source and site_id = $site_id and site_date = $day",
        names | {"day": day},
    ).fetchall()[0][0]
    return events, int(cut)


def _utc(value: datetime | None) -> datetime | None:
    return value.astimezone(UTC) if value else None
