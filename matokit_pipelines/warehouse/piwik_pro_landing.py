"""Pages of Piwik PRO into `raw.piwik_pro_events`: rows split by DuckDB's own reader, wall clocks made into instants.

The rows never become Python values, but on pages which that reader refuses. Not here: the diff (landing.py), fetching
pages (piwik_pro_windows.py), what a page announces (sources/piwik_pro_pages.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from matokit_pipelines.sources.matomo_visits import DIMENSION_COLUMNS
from matokit_pipelines.sources.piwik_pro_pages import Page, slow_rows
from matokit_pipelines.sources.quarantine import PAYLOAD_LENGTH, Quarantined
from matokit_pipelines.warehouse.landing import (
    Landed,
    RawTable,
    SourceKey,
    ids_not_received,
    put_in_quarantine,
    write_difference,
)
from matokit_pipelines.windows import OffsetChange, Window, offset_changes

# column of the raw table -> column of the source; dimensions come on top
COLUMNS = {
    "event_id": "event_id",
    "session_id": "session_id",
    "event_index": "event_index",
    "visitor_id": "visitor_id",
    "site_time": "timestamp",
    "category": "custom_event_category",
    "action": "custom_event_action",
    "name": "custom_event_name",
    "value": "custom_event_value",
}
BY_ITSELF = frozenset({"event_id", "session_id", "visitor_id", "timestamp"})  # answered without being asked for
_LANDED = (
    "event_id", "session_id", "event_index", "visitor_id", "site_time", "event_ts", "fold_ambiguous", "category",
    "action", "name", "value", *DIMENSION_COLUMNS.values(),
)  # fmt: skip
# Rebuilding a session gives its events another session id and index, and nothing else; that is no change.
_PLACE_IN_SESSION = ("session_id", "event_index")
EVENTS = RawTable(
    name="raw.piwik_pro_events",
    columns=_LANDED,
    content=tuple(column for column in _LANDED if column not in ("event_id", *_PLACE_IN_SESSION)),
    # an event keeps its time; the day on each side covers the repeated hour and a zone that was corrected
    along="event_ts",
    near="event_ts >= $least::timestamptz - interval 26 hours "
    "and event_ts <= $greatest::timestamptz + interval 26 hours",
    gone="event_ts >= $gone_start and event_ts < $gone_end and event_id not in (select unnest($unread::varchar[]))",
)
_WALL = "try_strptime(site_time, ['%Y-%m-%dT%H:%M:%S', '%Y-%m-%d %H:%M:%S', '%Y-%m-%dT%H:%M:%S.%f'])"
_ID = re.compile(r"\d{4,20}")
_NEWEST_COPY = """
qualify row_number() over (
    partition by event_id
    order by try_cast(session_id as ubigint) desc nulls last, session_id desc, event_index desc nulls last,
             event_ts, category, action, name, value
) = 1
"""


@dataclass(frozen=True)
class StoredPage:
    """A page on disk. As `Page`, but for its rows, which are in `file`."""

    file: Path
    columns: tuple[str, ...]
    count: int
    exact_frame: bool

    @classmethod
    def keep(cls, page: Page, file: Path) -> StoredPage:
        """Put a page on disk."""
        file.write_bytes(page.rows)
        return cls(file, page.columns, page.count, page.exact_frame)


@dataclass(frozen=True)
class ReadRows:
    """What pages held: rows given, distinct copies of events among those that could be read, rows whose time lies
    outside the window, and rows that could not be read."""

    received: int
    copies: int
    outside: int
    quarantined: list[Quarantined] = field(default_factory=list)

    @property
    def unread_ids(self) -> list[str] | None:
        """What may be the ids of rows that could not be read; None when one of them does not show any."""
        found = [_ids_in(piece.payload) for piece in self.quarantined]
        return [event_id for ids in found for event_id in ids] if all(found) else None


def _ids_in(payload: str) -> list[str]:
    """What may be the event id of a row that could not be read; nothing when it shows none."""
    try:
        shown = json.loads(payload)
    except ValueError:  # a long one is cut short
        return []
    parts = [shown.get("event_id")] if isinstance(shown, dict) else shown if isinstance(shown, list) else []
    return [str(part) for part in parts if isinstance(part, str | int) and _ID.fullmatch(str(part))]


def read_pages(
    connection: duckdb.DuckDBPyConnection,
    pages: Sequence[StoredPage],
    dimensions: Mapping[str, str],
    window: Window,
    zone: ZoneInfo,
) -> ReadRows:
    """Make the temp table `received` (one row an event) out of pages. `dimensions`: meaning -> column of the source."""
    quarantined: list[Quarantined] = []
    changes = offset_changes(window, zone)
    first = _instant(_offsets_by_wall_clock(changes, zone, window))
    connection.execute("drop table if exists read_rows")
    for page in pages:
        quarantined += _read(connection, page, dimensions, first)
    if not pages:
        _make_empty(connection)
    _find_instants(connection, changes)
    rows, events, outside = connection.execute(
        "select count(*), count(distinct event_id), "
        "count(*) filter (event_ts < $start or event_ts >= $end) from timed_rows",
        {"start": window.start, "end": window.end},
    ).fetchall()[0]
    copies = rows
    if events == rows:
        _rename(connection, "timed_rows", "received")
    else:
        connection.execute(
            f"create or replace temp table received as select {', '.join(_LANDED)} from timed_rows {_NEWEST_COPY}"
        )
    if events < rows and len(pages) > 1:
        copies = connection.execute(
            "select count(*) from (select distinct event_id, session_id, event_index from timed_rows)"
        ).fetchall()[0][0]
    return ReadRows(rows + len(quarantined), copies, outside, quarantined)


def land(
    connection: duckdb.DuckDBPyConnection,
    key: SourceKey,
    reading: ReadRows,
    *,
    gone: Window | None,
    project_zone: str,
    now: datetime,
) -> Landed:
    """Write what differs between the temp table `received` and what is stored; call inside a transaction.

    `gone`: stored rows of this window that were not received are marked as vanished; None when the reading was not
    whole or is no proof of absence. A row that cannot be read any more may be one that is stored: it is not gone.
    """
    absent = _absent(reading, gone) if gone else None
    written = write_difference(connection, EVENTS, key, gone=absent, project_zone=project_zone, now=now)
    put_in_quarantine(connection, key, reading.quarantined, now)
    return Landed(
        received=reading.received,
        duplicates=reading.received - len(reading.quarantined) - written.landed,
        quarantined=len(reading.quarantined),
        landed=written.landed,
        inserted=written.inserted,
        changed=written.changed,
        vanished=written.vanished,
    )


def lacking(connection: duckdb.DuckDBPyConnection, key: SourceKey, reading: ReadRows, window: Window) -> list[str]:
    """The ids of stored rows of `window` that the temp table `received` lacks, which `land` would mark; in order."""
    absent = _absent(reading, window)
    return ids_not_received(connection, EVENTS, key, absent) if absent else []


def _absent(reading: ReadRows, window: Window) -> dict[str, Any] | None:
    """The parameters of `EVENTS.gone`; None when a row that could not be read may be any of those stored."""
    unread = reading.unread_ids
    return None if unread is None else {"gone_start": window.start, "gone_end": window.end, "unread": unread}


def land_provisional(
    connection: duckdb.DuckDBPyConnection, key: SourceKey, *, before: datetime | None, now: datetime
) -> int:
    """Add what `received` holds to the provisional rows, and drop those before `before`, which raw data hold by now.

    Gives the number of provisional rows. Call inside a transaction.
    """
    columns = [column for column in _LANDED if column not in _PLACE_IN_SESSION]
    mine = "source = $source and site_id = $site_id"
    connection.execute(
        f"insert into raw.piwik_pro_provisional (source, site_id, {', '.join(columns)}, seen_at) "
        f"select $source, $site_id, {', '.join(columns)}, $now from received "
        f"where event_id not in (select event_id from raw.piwik_pro_provisional where {mine})",
        key.names | {"now": now},
    )
    connection.execute(
        f"delete from raw.piwik_pro_provisional where {mine} and event_ts < coalesce($before, event_ts)",
        key.names | {"before": before},
    )
    rows = connection.execute(f"select count(*) from raw.piwik_pro_provisional where {mine}", key.names).fetchall()
    return int(rows[0][0])


def _make_empty(connection: duckdb.DuckDBPyConnection) -> None:
    kinds = {"event_index": "integer", "value": "double", "event_ts": "timestamptz", "fold_ambiguous": "boolean"}
    columns = ", ".join(f"{name} {kinds.get(name, 'varchar')}" for name in _LANDED) + ", wall timestamp"
    connection.execute(f"create or replace temp table read_rows ({columns})")


def _rename(connection: duckdb.DuckDBPyConnection, table: str, name: str) -> None:
    """Call a temp table otherwise: a page has many columns, and each copy of it costs as much as the diff."""
    connection.execute(f"drop table if exists {name}")
    connection.execute(f"alter table {table} rename to {name}")


def _read(
    connection: duckdb.DuckDBPyConnection, page: StoredPage, dimensions: Mapping[str, str], first: str
) -> list[Quarantined]:
    """Append the readable rows of a page to the temp table `read_rows`; gives what cannot become a row.

    `first`: the instant that the wall clock of a row shows, the first of two.
    """
    try:
        return _split(connection, page, dimensions, first)
    except duckdb.Error as error:
        if not isinstance(error, duckdb.InvalidInputException | duckdb.ConversionException):
            raise
        body = page.file.read_bytes()
        if page.exact_frame:
            body = b'{"data":' + body + b',"meta":' + json.dumps(_meta(page)).encode() + b"}"
        rows, odd = slow_rows(body)
        page.file.write_text(json.dumps(rows), encoding="utf-8")
        return odd + _split(connection, StoredPage(page.file, page.columns, page.count, True), dimensions, first)


def _meta(page: StoredPage) -> dict[str, object]:
    return {"columns": list(page.columns), "count": page.count}


def _split(
    connection: duckdb.DuckDBPyConnection, page: StoredPage, dimensions: Mapping[str, str], first: str
) -> list[Quarantined]:
    size = max(1 << 24, page.file.stat().st_size + 1)
    # the array form: each row is a record of its own; the whole-page form: one record holds all rows
    rows = (
        f"select json from read_json($file, format='array', records=false, columns={{json: 'VARCHAR[]'}}, "
        f"maximum_object_size={size})"
        if page.exact_frame
        else f"select unnest(data) as json from read_json($file, format='unstructured', "
        f"columns={{data: 'VARCHAR[][]'}}, maximum_object_size={size})"
    )
    wanted = COLUMNS | {DIMENSION_COLUMNS[meaning]: column for meaning, column in dimensions.items()}
    place = {name: page.columns.index(column) + 1 for name, column in wanted.items() if column in page.columns}
    texts = [name for name in (*COLUMNS, *DIMENSION_COLUMNS.values()) if name not in ("event_index", "value")]
    picked = ", ".join(
        f"json[{place[name]}] as {name}" if name in place else f"null::varchar as {name}" for name in texts
    )
    index = f"try_cast(json[{place['event_index']}] as integer)" if "event_index" in place else "null::integer"
    value = f"json[{place['value']}]" if "value" in place else "null::varchar"
    width = len(page.columns)
    connection.execute(
        f"create or replace temp table page_rows as select *, {_WALL} as wall, "
        f"{first} as event_ts, false as fold_ambiguous, "
        "coalesce(event_id, '') <> '' and wall is not null and row_width = $width "
        "and (value_text is null or value is not null) as is_readable "
        f"from (select {picked}, {index} as event_index, {value} as value_text, "
        f"try_cast(value_text as double) + 0.0 as value, len(json) as row_width from ({rows}))",
        {"width": width, "file": str(page.file)},
    )
    odd = connection.execute(
        "select case when row_width is null then 'not a row' when row_width <> $width then "
        "'a row of ' || row_width || ' values where ' || $width || ' are announced' "
        "when coalesce(event_id, '') = '' then 'no event id' when wall is null then 'no readable time' "
        "else 'value is not a number' end, event_id, site_time, category, action, name, value_text "
        "from page_rows where not coalesce(is_readable, false)",
        {"width": width},
    ).fetchall()
    if connection.execute("select 1 from duckdb_tables() where table_name = 'read_rows'").fetchall():
        connection.execute("insert into read_rows by name select * from page_rows where is_readable")
    elif odd:
        connection.execute("create temp table read_rows as select * from page_rows where is_readable")
    else:
        _rename(connection, "page_rows", "read_rows")
    return [Quarantined(reason, _payload(kept)) for reason, *kept in odd]


def _payload(kept: Sequence[str | None]) -> str:
    names = ("event_id", "timestamp", "category", "action", "name", "value")
    return json.dumps(dict(zip(names, kept, strict=True)), sort_keys=True)[:PAYLOAD_LENGTH]


def _find_instants(connection: duckdb.DuckDBPyConnection, changes: Sequence[OffsetChange]) -> None:
    """Make the temp table `timed_rows` out of `read_rows`, whose `event_ts` is the first of two instants.

    The repeated hour of autumn: within a session events follow each other, so a wall clock that runs back shows which
    of two instants is meant; where no other event tells, the first one is taken and the row is marked.
    """
    repeated = [change for change in changes if change.repeated]
    twice = " or ".join(
        f"(wall >= {_literal(_wall(c, c.after))} and wall < {_literal(_wall(c, c.before))})" for c in repeated
    )
    if not repeated or not connection.execute(f"select 1 from read_rows where {twice} limit 1").fetchall():
        _rename(connection, "read_rows", "timed_rows")
        return
    later = "case " + " ".join(
        f"when wall >= {_literal(_wall(c, c.after))} and wall < {_literal(_wall(c, c.before))} "
        f"then {_microseconds(c.after)}"
        for c in repeated
    )
    second = _instant(f"{later} end")
    following = "over (partition by session_id order by event_index rows between 1 following and unbounded following)"
    preceding = "over (partition by session_id order by event_index rows between unbounded preceding and 1 preceding)"
    connection.execute(
        f"""
        create or replace temp table timed_rows as
        with placed as (
            select *, event_index is not null and coalesce(session_id, '') <> '' as is_placed
            from read_rows where {twice}
        ),
        seen as (
            select *, coalesce(is_placed and min(wall) {following} < wall, false) as runs_back_later,
                   coalesce(is_placed and max(wall) {preceding} > wall, false) as ran_back_before
            from placed
        ),
        decided as (
            select * exclude (is_placed, runs_back_later, ran_back_before),
                   runs_back_later or coalesce(is_placed and bool_or(runs_back_later) {following}, false) as is_first,
                   ran_back_before or coalesce(is_placed and bool_or(ran_back_before) {preceding}, false) as is_second
            from seen
        )
        select * exclude (is_first, is_second, event_ts, fold_ambiguous),
               case when is_second and not is_first then {second} else event_ts end as event_ts,
               is_first = is_second as fold_ambiguous
        from decided
        union all by name
        select * from read_rows where not ({twice})
        """
    )


def _offsets_by_wall_clock(changes: Sequence[OffsetChange], zone: ZoneInfo, window: Window) -> str:
    """Microseconds east of UTC for a wall clock; the offset before a change where a wall clock shows twice or never."""
    base = changes[0].before if changes else window.start.astimezone(zone).utcoffset() or timedelta()
    if not changes:
        return _microseconds(base)
    cases = [
        f"when wall < {_literal(max(_wall(c, c.before), _wall(c, c.after)))} then {_microseconds(c.before)}"
        for c in changes
    ]
    return f"case {' '.join(cases)} else {_microseconds(changes[-1].after)} end"


def _instant(offset: str) -> str:
    return f"make_timestamptz(epoch_us(wall) - ({offset}))"


def _wall(change: OffsetChange, offset: timedelta) -> datetime:
    return change.at.replace(tzinfo=None) + offset


def _literal(wall: datetime) -> str:
    return f"timestamp '{wall:%Y-%m-%d %H:%M:%S}'"


def _microseconds(offset: timedelta) -> str:
    return str(offset // timedelta(microseconds=1))
