"""Pages of Matomo's visit log into the temp table `received`: many at once by DuckDB, or visit by visit in Python.

DuckDB reads a page in which each piece is as Matomo writes it and no time is ambiguous. Any other page goes through
sources/matomo_visits.py, which says what a visit means: both ways give the same rows. Not here: what is then written
(matomo_landing.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]

from matokit_pipelines.sources.matomo_pages import BrokenPage, Page
from matokit_pipelines.sources.matomo_visits import (
    DIMENSION_COLUMNS,
    WALL_BLOCK,
    Reading,
    TruncatedVisit,
    block_starts,
    read_visits,
)
from matokit_pipelines.sources.quarantine import Quarantined

# Column of raw.matomo_events: its types in SQL and in a frame.
_SCHEMA: dict[str, tuple[str, pl.DataType | type[pl.DataType]]] = {
    "event_id": ("varchar", pl.String),
    "visit_id": ("bigint", pl.Int64),
    "visitor_id": ("varchar", pl.String),
    "event_ts": ("timestamptz", pl.Datetime("us", "UTC")),
    "fold_ambiguous": ("boolean", pl.Boolean),
    "category": ("varchar", pl.String),
    "action": ("varchar", pl.String),
    "name": ("varchar", pl.String),
    "value": ("double", pl.Float64),
    **dict.fromkeys(DIMENSION_COLUMNS.values(), ("varchar", pl.String)),
    "visit_first_ts": ("timestamptz", pl.Datetime("us", "UTC")),
    "visit_last_ts": ("timestamptz", pl.Datetime("us", "UTC")),
}
COLUMNS = tuple(_SCHEMA)
_TEXTS = {"category": "eventCategory", "action": "eventAction", "name": "eventName"}
_DAY = 86_400
_BLOCKS_A_DAY = _DAY // WALL_BLOCK
_VISIT_NUMBERS = ("idVisit", "firstActionTimestamp", "lastActionTimestamp", "truncatedActionsCount")
_LAST_SECOND = 253_402_300_799  # of the year 9999
_IS_NUMBER = r"regexp_full_match(eventValue, '-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?')"

# Beside the columns of the raw table: where a row came from (page of the reading, visit in the page, action in the
# visit), how many actions of its visit are withheld, and two marks that are true of every row that stays.
_MAKE_EMPTY = f"""
create or replace temp table received (
    {", ".join(f"{column} {kind}" for column, (kind, _) in _SCHEMA.items())},
    page bigint, place bigint, number bigint, missing bigint, is_event boolean, plain boolean
)
"""
# One row an action; a visit without actions is one row without a type. Numbers are taken as text and texts as JSON, so
# that each can be told from what only looks like it. A page that is no JSON gives no visit. A wall-clock time that is
# shown twice is decided by its whole visit: nothing with one is plain.
_READ = """
insert into received by name
with pages as (
    select page, try(from_json(body, $shape)) as visits from pages_frame
),
visits as (
    select page, unnest(range(len(visits))) as place, unnest(visits, max_depth := 2) from pages
),
actions as (
    select
        page, place,
        try_cast(idVisit as bigint) as visit_id,
        visitorId ->> '$' as visitor_id,
        try(to_timestamp(try_cast(firstActionTimestamp as bigint))) as visit_first_ts,
        try(to_timestamp(try_cast(lastActionTimestamp as bigint))) as visit_last_ts,
        coalesce(try_cast(truncatedActionsCount as bigint), 0) as missing,
        len(actionDetails) > 0 as has_actions,
        {plain_visit} as plain_visit,
        unnest(range(greatest(len(actionDetails), 1))) as number,
        unnest(case when len(actionDetails) > 0 then actionDetails else [null] end, max_depth := 2)
    from visits
),
numbers as (
    select *, try_cast("timestamp" as bigint) as wall, try_cast(nullif(eventValue, '') as double) as value from actions
),
timed as (
    select *, {shift} as shift from numbers
)
select
    page, place, number, visit_id, visitor_id, visit_first_ts, visit_last_ts, missing,
    pageId as event_id,
    to_timestamp(wall - shift) as event_ts,
    false as fold_ambiguous,
    {texts},
    value + 0.0 as value,  -- zero has no sign
    "type" is not distinct from '"event"' as is_event,
    coalesce({plain}, false) as plain
from timed
"""
_CHECK = "select page, max(place) + 1, bool_and(plain) from received where page >= $first group by page"
_CUT_OFF = """
select page, place, visit_id, visit_last_ts, missing from received
where page >= $first and number = 0 and missing > 0 and plain
"""
_KEEP = """
delete from received where page >= $first and (not is_event or page not in (select unnest($taken::bigint[])))
"""
_Placed = tuple[int, int, TruncatedVisit]


@dataclass
class Arrived:
    """What pages held beside the rows.

    `rows`: how many are in `received`, copies of one event included; `broken`: pages that are half a document
    within, or hold more than visits, so that nobody knows whether the page after them was asked for.
    """

    rows: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    truncated: list[TruncatedVisit] = field(default_factory=list)
    broken: int = 0


class PageReader:
    """Reads the pages of one site, over one connection. `dimensions`: meaning -> Matomo's id of the dimension.

    `arrived`: what `read` found since `start`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, zone: ZoneInfo, dimensions: Mapping[str, int]) -> None:
        self._connection = connection
        self._zone = zone
        self._dimensions = dimensions
        self._pages = 0
        self._texts = _TEXTS | {
            DIMENSION_COLUMNS[meaning]: f"dimension{number}" for meaning, number in dimensions.items()
        }
        self.start()

    def start(self) -> None:
        """Empty the temp table `received` and forget what was read."""
        make_empty(self._connection)
        self.arrived = Arrived()

    def read(self, pages: Sequence[Page]) -> None:
        """Append the events of these pages to the temp table `received`, copies of one event included."""
        numbered = dict(enumerate(pages, self._pages))
        self._pages += len(pages)
        taken, cut_off = self._read_together({number: page for number, page in numbered.items() if page.uniform})
        for number in sorted(numbered.keys() - taken):
            reading = self._read_slowly(numbered[number])
            put_rows(self._connection, reading.rows, page=number)
            self.arrived.quarantined += reading.quarantined
            cut_off += [(number, place, visit) for place, visit in enumerate(reading.truncated)]
        self.arrived.truncated += [visit for _, _, visit in sorted(cut_off, key=lambda placed: placed[:2])]
        self.arrived.rows = self._connection.execute("select count(*) from received").fetchall()[0][0]

    def _read_slowly(self, page: Page) -> Reading:
        reading = Reading()
        try:
            visits = page.visits()
            read_visits(visits, self._zone, self._dimensions, reading)
            self.arrived.broken += len(visits) != len(page)
        except BrokenPage:
            self.arrived.broken += 1
        return reading

    def _read_together(self, pages: Mapping[int, Page]) -> tuple[set[int], list[_Placed]]:
        """Which of the pages DuckDB could read, their events being in `received`, and their visits that are cut off."""
        if not pages:
            return set(), []
        with _registered(self._connection, "pages_frame", _frame(pages)):
            self._connection.execute(
                _statement(self._texts, _shift(pages.values(), self._zone)), {"shape": _shape(self._texts)}
            )
        first = {"first": min(pages)}
        checked = self._connection.execute(_CHECK, first).fetchall()
        taken = {page for page, visits, plain in checked if plain and visits == len(pages[page])}
        cut_off = self._connection.execute(_CUT_OFF, first).fetchall()
        self._connection.execute(_KEEP, first | {"taken": sorted(taken)})
        return taken, [
            (page, place, TruncatedVisit(visit_id, last.astimezone(UTC), missing))
            for page, place, visit_id, last, missing in cut_off
            if page in taken
        ]


def make_empty(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the temp table `received`, without rows.

    From its columns: DuckDB 2.0 loses 122,879 rows and more that are inserted, in one transaction, into a table made by
    a `create table as` that gave no row.
    """
    connection.execute(_MAKE_EMPTY)


def put_rows(connection: duckdb.DuckDBPyConnection, rows: Sequence[dict[str, Any]], *, page: int) -> None:
    """Append rows of one page, keyed like the columns of raw.matomo_events, to the temp table `received`."""
    types = {column: kind for column, (_, kind) in _SCHEMA.items()}
    frame = pl.DataFrame(rows, schema=types, orient="row").with_columns(
        page=pl.lit(page, pl.Int64), place=pl.lit(0, pl.Int64), number=pl.int_range(pl.len(), dtype=pl.Int64),
        missing=pl.lit(0, pl.Int64), is_event=pl.lit(True), plain=pl.lit(True),
    )  # fmt: skip
    with _registered(connection, "rows_frame", frame):
        connection.execute("insert into received by name select * from rows_frame")


@contextmanager
def _registered(connection: duckdb.DuckDBPyConnection, name: str, frame: pa.Table | pl.DataFrame) -> Iterator[None]:
    connection.register(name, frame)
    try:
        yield
    finally:
        connection.unregister(name)


def _frame(pages: Mapping[int, Page]) -> pa.Table:
    """Number and body of each page, one page a batch, so that threads share them; the bytes are not copied.

    DuckDB takes the bodies for UTF-8 unseen; its JSON reader refuses what is none.
    """
    batches = []
    for number, page in pages.items():
        ends = pa.array([0, len(page.body)], pa.int64()).buffers()[1]
        body = pa.LargeStringArray.from_buffers(1, ends, pa.py_buffer(page.body))
        batches.append(pa.record_batch([pa.array([number], pa.int64()), body], names=["page", "body"]))
    return pa.Table.from_batches(batches)


def _shift(pages: Iterable[Page], zone: ZoneInfo) -> str:
    """How many seconds the wall-clock time `wall` is ahead of UTC, as an expression; null where a clock shows it twice.

    It knows the time from two days before each visit's end to a day after; an action beyond is read by its visit, like
    all that is not plain. Mostly one stretch of time with one distance.
    """
    days = {end // _DAY for page in pages for end in page.ends if end is not None}
    near = sorted({day + more for day in days for more in (-2, -1, 0, 1)})
    stretches: list[tuple[int, int, int]] = []  # first second, second after the last, distance
    for block in (block for day in near for block in range(day * _BLOCKS_A_DAY, (day + 1) * _BLOCKS_A_DAY)):
        start = block * WALL_BLOCK
        with suppress(OverflowError, ValueError):
            instants = block_starts(block, zone)
            if len(instants) == 1:
                ahead = start - int(instants[0].timestamp())
                if stretches and stretches[-1][1:] == (start, ahead):
                    start = stretches.pop()[0]
                stretches.append((start, (block + 1) * WALL_BLOCK, ahead))
    choices = " ".join(f"when wall >= {start} and wall < {end} then {ahead}" for start, end, ahead in stretches)
    return f"case {choices} end" if choices else "null::bigint"


def _shape(texts: Mapping[str, str]) -> str:
    """What is read of a page's visits, for from_json. `texts`: column -> key of an action."""
    action = dict.fromkeys(("pageId", "timestamp", "eventValue"), "VARCHAR")
    action |= dict.fromkeys(("type", *texts.values()), "JSON")
    visit: dict[str, Any] = dict.fromkeys(_VISIT_NUMBERS, "VARCHAR")
    return json.dumps([visit | {"visitorId": "JSON", "actionDetails": [action]}])


def _statement(texts: Mapping[str, str], shift: str) -> str:
    """The statement that reads pages. `texts`: column -> key of an action."""
    visit = [
        "actionDetails is not null",
        _is_whole("idVisit"),
        _is_second("firstActionTimestamp"),
        _is_second("lastActionTimestamp"),
        f"(truncatedActionsCount is null or {_is_whole('truncatedActionsCount')})",
        _is_text("visitorId"),
    ]
    action = [
        "plain_visit",
        '(not has_actions or "type" is not null)',  # what is no object has no type either
        '("timestamp" is null or (cast(wall as varchar) = "timestamp" and shift is not null))',
    ]
    event = [
        "wall is not null",
        _is_whole("pageId"),
        f"(coalesce(eventValue, '') = '' or ({_IS_NUMBER} and isfinite(value)))",
        *map(_is_text, texts.values()),
    ]
    return _READ.format(
        shift=shift,
        texts=",\n    ".join(f"{key} ->> '$' as {column}" for column, key in texts.items()),
        plain_visit=" and ".join(visit),
        plain=f'{" and ".join(action)} and ("type" is distinct from \'"event"\' or ({" and ".join(event)}))',
    )


def _is_whole(key: str) -> str:
    """A whole number of 63 bits, written in the one way that text and number share."""
    return f'cast(try_cast("{key}" as bigint) as varchar) = "{key}"'


def _is_second(key: str) -> str:
    return f'({_is_whole(key)} and try_cast("{key}" as bigint) between 0 and {_LAST_SECOND})'


def _is_text(key: str) -> str:
    """Text, or nothing."""
    return f"({key} is null or starts_with({key}, '\"'))"
