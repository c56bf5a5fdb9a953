"""Pages of Piwik PRO as rows: every instant of the repeated hour, copies of events, pages that are odd."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.sources.piwik_pro_pages import cut
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.landing import SourceKey, touched_days, transaction
from matokit_pipelines.warehouse.piwik_pro_landing import (
    ReadRows,
    StoredPage,
    land,
    land_provisional,
    read_pages,
)
from matokit_pipelines.windows import Window

KEY = SourceKey("installers", "site")
ZONE = ZoneInfo("Europe/Copenhagen")
NOW = datetime(2026, 10, 26, 12, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)
DAY = Window(datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC))
DIMENSIONS = {"os": "event_custom_dimension_4", "commit": "session_custom_dimension_1"}
COLUMNS = (
    "session_id", "event_id", "visitor_id", "timestamp", "event_index", "custom_event_category", "custom_event_action",
    "custom_event_name", "custom_event_value", "event_custom_dimension_4", "session_custom_dimension_1",
)  # fmt: skip
Row = dict[str, Any]
Reader = Callable[..., ReadRows]


def row(event: int, at: datetime, **other: Any) -> Row:
    """A row as the server gives it for an event at `at`."""
    wall = at.astimezone(ZONE).replace(tzinfo=None).isoformat()
    made: Row = dict.fromkeys(COLUMNS, "") | {
        "event_id": str(2**63 + event), "session_id": "18446744073709551000", "visitor_id": "ab" * 8,
        "timestamp": wall, "event_index": event, "custom_event_category": "Installer", "custom_event_action": "Event",
        "custom_event_name": "python_install", "custom_event_value": 1,
    }  # fmt: skip
    return made | other


def body(rows: list[Any], count: int | None = None, **frame: Any) -> bytes:
    """A page: rows as lists, or as they are when they are no rows."""
    data = [[r[column] for column in COLUMNS] if isinstance(r, dict) and set(r) == set(COLUMNS) else r for r in rows]
    meta = {"columns": list(COLUMNS), "count": len(rows) if count is None else count}
    return json.dumps({"data": data, "meta": meta}, separators=(",", ":"), **frame).encode()


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = in_memory(NOW)
    yield connection
    connection.close()


@pytest.fixture
def read(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> Reader:
    def reader(*bodies: bytes, window: Window = DAY) -> ReadRows:
        pages = [StoredPage.keep(cut(page), tmp_path / f"{n}.json") for n, page in enumerate(bodies)]
        return read_pages(con, pages, DIMENSIONS, window, ZONE)

    return reader


def put(con: duckdb.DuckDBPyConnection, reading: ReadRows, *, gone: Window | None = DAY) -> Any:
    with transaction(con):
        return land(con, KEY, reading, gone=gone, project_zone="Europe/Copenhagen", now=NOW)


def stored(con: duckdb.DuckDBPyConnection, columns: str) -> list[Any]:
    return con.execute(f"select {columns} from raw.piwik_pro_events order by event_id").fetchall()


def test_a_row_is_landed_as_it_came(con: duckdb.DuckDBPyConnection, read: Reader) -> None:
    at = datetime(2026, 10, 25, 12, 0, 1, tzinfo=UTC)
    texts = {
        "custom_event_name": 'a "],[" \\ ü \n',
        "event_custom_dimension_4": "macOS",
        "session_custom_dimension_1": "",
    }
    landed = put(con, read(body([row(1, at, **texts, custom_event_value=0), row(2, at, custom_event_value=None)])))
    assert (landed.received, landed.landed, landed.inserted) == (2, 2, 2)
    assert stored(
        con, "event_id, session_id, event_index, site_time, event_ts, fold_ambiguous, name, value, os_raw"
    ) == [
        (
            "9223372036854775809",
            "18446744073709551000",
            1,
            "2026-10-25T13:00:01",
            at,
            False,
            'a "],[" \\ ü \n',
            0.0,
            "macOS",
        ),
        (
            "9223372036854775810",
            "18446744073709551000",
            2,
            "2026-10-25T13:00:01",
            at,
            False,
            "python_install",
            None,
            "",
        ),
    ]
    assert stored(con, "architecture_raw, commit_raw")[0] == (None, "")
    assert touched_days(con) == [at.date()]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-7_200, 10_800)), min_size=1, max_size=12),
)
def test_times_of_the_repeated_hour_are_never_wrong_when_they_are_told_apart(
    con: duckdb.DuckDBPyConnection, read: Reader, events: list[tuple[int, int]]
) -> None:
    """Sessions over the change of clocks: a time that is not marked is exact, a marked one is the first of the two."""
    rows, true = [], {}
    ordered = sorted(events, key=lambda event: event[1])
    for number, (session, second) in enumerate(ordered):
        at = AUTUMN + timedelta(seconds=second)
        place = sum(1 for other, _ in ordered[:number] if other == session)
        rows.append(row(number, at, session_id=str(session + 1), event_index=place))
        true[str(2**63 + number)] = at
    read(body(rows))
    found = con.execute("select event_id, event_ts, fold_ambiguous from received").fetchall()
    assert len(found) == len(events)
    for event_id, at, is_ambiguous in found:
        if is_ambiguous:
            assert AUTUMN - timedelta(hours=1) <= at < AUTUMN
            assert at in (true[event_id], true[event_id] - timedelta(hours=1))
        else:
            assert at == true[event_id]


def test_a_session_that_runs_back_tells_both_hours_apart(con: duckdb.DuckDBPyConnection, read: Reader) -> None:
    seconds = [-3_000, -600, 300, 2_000, 4_000]  # 02:10, 02:50, 02:05, 02:33, 03:06
    rows = [row(n, AUTUMN + timedelta(seconds=second)) for n, second in enumerate(seconds)]
    read(body(rows))
    found = con.execute("select event_ts, fold_ambiguous from received order by event_id").fetchall()
    # 02:33 and what came before it in wall clock order: only those between two that run back are certain
    assert [at for at, _ in found][:3] == [AUTUMN + timedelta(seconds=second) for second in seconds[:3]]
    assert [is_ambiguous for _, is_ambiguous in found] == [False, False, False, False, False]


def test_spring_skips_an_hour(con: duckdb.DuckDBPyConnection, read: Reader) -> None:
    window = Window(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC))
    change = datetime(2026, 3, 29, 1, tzinfo=UTC)
    seconds = (-1, 0, 1)
    read(body([row(n, change + timedelta(seconds=s)) for n, s in enumerate(seconds)]), window=window)
    found = con.execute("select event_ts, fold_ambiguous from received order by event_id").fetchall()
    assert found == [(change + timedelta(seconds=s), False) for s in seconds]


def test_of_copies_the_newest_session_counts(con: duckdb.DuckDBPyConnection, read: Reader) -> None:
    at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    old, new = row(1, at, session_id="999"), row(1, at, session_id="18446744073709551615", event_index=4)
    for rows in ([old, new], [new, old]):
        landed = put(con, read(body(rows)))
        assert (landed.received, landed.duplicates, landed.landed) == (2, 1, 1)
        assert stored(con, "session_id, event_index") == [("18446744073709551615", 4)]


def test_another_session_alone_is_no_change(con: duckdb.DuckDBPyConnection, read: Reader) -> None:
    at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    put(con, read(body([row(1, at), row(2, at)])))
    con.execute("delete from ledger.touched_days")
    landed = put(con, read(body([row(1, at, session_id="5", event_index=9), row(2, at)])))
    assert (landed.inserted, landed.changed, landed.vanished) == (0, 0, 0)
    assert touched_days(con) == []
    landed = put(con, read(body([row(1, at, custom_event_value=0)])))
    assert (landed.inserted, landed.changed, landed.vanished) == (0, 1, 1)
    assert stored(con, "value, vanished_at is null") == [(0.0, True), (1.0, False)]
    back = put(con, read(body([row(1, at, custom_event_value=0), row(2, at)])))
    assert (back.inserted, back.changed, back.vanished) == (0, 1, 0)


ODD: dict[str, tuple[list[Any], int, int]] = {
    "a row that is short": ([["1", "2"]], 0, 1),
    "a row that is long": ([[*row(1, NOW).values(), "more"]], 0, 1),
    "an object with every column": ([dict(reversed(row(1, datetime(2026, 10, 25, 12, tzinfo=UTC)).items()))], 1, 0),
    "an object that lacks one": ([{"event_id": "1"}], 0, 1),
    "no rows at all": ([None, 5, "text", True], 0, 4),
    "no time": ([row(1, NOW, timestamp="yesterday"), row(2, NOW, timestamp=None), row(3, NOW, timestamp="")], 0, 3),
    "no id": ([row(1, NOW, event_id=None), row(2, NOW, event_id="")], 0, 2),
    "no number": ([row(1, NOW, custom_event_value="many")], 0, 1),
    "half a surrogate pair": ([row(1, datetime(2026, 10, 25, 12, tzinfo=UTC), custom_event_name="\ud800")], 1, 0),
}


@pytest.mark.parametrize("what", ODD)
def test_what_cannot_be_a_row_is_quarantined_and_counted(
    con: duckdb.DuckDBPyConnection, read: Reader, what: str
) -> None:
    rows, readable, odd = ODD[what]
    good = row(99, datetime(2026, 10, 25, 13, tzinfo=UTC))
    raw = body([good, *rows], ensure_ascii=True)
    if what == "an object with every column":  # json-kv
        text = json.dumps({"data": [list(good.values()), rows[0]], "meta": {"columns": list(COLUMNS), "count": 2}})
        raw = text.encode()
    landed = put(con, read(raw), gone=None)
    assert (landed.landed, landed.quarantined) == (1 + readable, odd)
    assert landed.received == landed.landed + landed.duplicates + landed.quarantined
    kept = con.execute("select count(*), count(*) filter (payload like '%abababab%') from raw.quarantine").fetchall()
    assert kept[0][1] == 0, "a visitor's id is nobody's business"
    assert (kept[0][0] > 0) == (odd > 0)


@pytest.mark.parametrize("frame", [{"indent": 1}, {"sort_keys": True}])
def test_any_other_frame_reads_the_same(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, read: Reader, frame: dict[str, Any]
) -> None:
    rows = [row(n, datetime(2026, 10, 25, 12, tzinfo=UTC)) for n in range(5)]
    read(body(rows))
    exact = con.execute("select * from received order by event_id").fetchall()
    data = {"meta": {"count": 5, "columns": list(COLUMNS)}, "data": [[r[c] for c in COLUMNS] for r in rows]}
    read(json.dumps(data, **frame).encode())
    assert con.execute("select * from received order by event_id").fetchall() == exact
    assert read(b'{"data": [], "meta": {"columns": ["event_id", "timestamp"], "count": 0}}').received == 0


def test_rows_outside_the_window_are_seen(read: Reader) -> None:
    reading = read(body([row(1, DAY.start - timedelta(seconds=1)), row(2, DAY.start), row(3, DAY.end)]))
    assert (reading.received, reading.outside) == (3, 2)


def test_several_pages_count_each_copy_once(read: Reader) -> None:
    at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    reading = read(body([row(1, at), row(2, at)], 3), body([row(2, at), row(3, at)], 3))
    assert (reading.received, reading.copies) == (4, 3)


def test_provisional_rows_stay_apart_and_go_when_raw_data_hold_them(
    con: duckdb.DuckDBPyConnection, read: Reader
) -> None:
    at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    for _ in range(2):
        read(body([row(1, at), row(2, at + timedelta(minutes=30))]))
        with transaction(con):
            assert land_provisional(con, KEY, before=None, now=NOW) == 2
    with transaction(con):
        assert land_provisional(con, KEY, before=at + timedelta(minutes=1), now=NOW) == 1
    assert stored(con, "*") == []
    assert touched_days(con) == []


@pytest.mark.parametrize(
    ("unreadable", "gone"),
    [
        ({"timestamp": "25.10.2026 13:00"}, {"3"}),  # the row shows its id, so that one is there
        ({"custom_event_value": "many"}, {"3"}),
        ({"timestamp": "25.10.2026 13:00", "event_id": None}, set()),  # it may be any of those that are stored
        ({"timestamp": "soon", "event_id": "e-2"}, set()),
    ],
)
def test_a_row_that_cannot_be_read_any_more_is_not_gone(
    con: duckdb.DuckDBPyConnection, read: Reader, unreadable: dict[str, Any], gone: set[str]
) -> None:
    at = datetime(2026, 10, 25, 12, tzinfo=UTC)
    put(con, read(body([row(1, at), row(2, at), row(3, at)])))
    put(con, read(body([row(1, at), row(2, at) | unreadable])))
    rows = con.execute("select event_id from raw.piwik_pro_events where vanished_at is not null").fetchall()
    assert {str(int(event_id) - 2**63) for (event_id,) in rows} == gone
