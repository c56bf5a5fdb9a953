"""Landing as a diff, held against a plain dictionary under random sequences of readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.sources.matomo_visits import Reading, TruncatedVisit
from matokit_pipelines.sources.quarantine import Quarantined
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.landing import Landed, SourceKey, touched_days, transaction
from matokit_pipelines.warehouse.matomo_landing import Place, WindowLanding
from matokit_pipelines.warehouse.matomo_pages import Arrived, make_empty, put_rows
from matokit_pipelines.windows import Window, local_date

KEY = SourceKey("installers", "1")
OTHER = SourceKey("others", "1")
ZONE = ZoneInfo("Europe/Copenhagen")
START = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the night on which clocks go back follows
NAMES = ["python_install", "vscode_install", None]


def hours(count: int) -> datetime:
    return START + timedelta(hours=count)


@dataclass
class Visit:
    """A visit of the simulated site: `events` are event id -> (hour, name, value)."""

    first: int
    last: int
    events: dict[int, tuple[int, str | None, float | None]] = field(default_factory=dict)
    missing: int = 0


def rows_of(number: int, visit: Visit) -> list[dict[str, Any]]:
    """The rows that reading the visit gives; a visit that is cut off gives its first half only."""
    shown = sorted(visit.events)[: (len(visit.events) + 1) // 2] if visit.missing else sorted(visit.events)
    return [
        {
            "event_id": str(event_id),
            "visit_id": number,
            "visitor_id": "ab",
            "event_ts": hours(visit.events[event_id][0]),
            "fold_ambiguous": False,
            "name": visit.events[event_id][1],
            "value": visit.events[event_id][2],
            "visit_first_ts": hours(visit.first),
            "visit_last_ts": hours(visit.last),
        }
        for event_id in shown
    ]


def read(visits: Iterable[tuple[int, Visit]], repeated: int, odd: int) -> Reading:
    reading = Reading()
    for number, visit in sorted(visits, key=lambda pair: pair[1].last):
        reading.rows += rows_of(number, visit)
        if visit.missing:
            reading.truncated.append(TruncatedVisit(number, hours(visit.last), visit.missing))
    reading.rows += reading.rows[:repeated]
    reading.quarantined += [Quarantined("no readable time", "{}")] * odd
    return reading


def land(
    con: duckdb.DuckDBPyConnection,
    key: SourceKey,
    reading: Reading,
    *,
    gone: Window | None,
    now: datetime,
    parts: int = 1,
) -> Landed:
    """Land a reading, its rows in as many parts."""
    landing = WindowLanding(Place(con, key, ZONE.key, ZONE.key))
    size = max(1, -(-len(reading.rows) // parts))
    for number in range(parts):
        rows = reading.rows[number * size : (number + 1) * size]
        make_empty(con)
        put_rows(con, rows, page=number)
        last = number == parts - 1
        landing.add(
            Arrived(len(rows), reading.quarantined if last else [], reading.truncated if last else []), now
        )  # fmt: skip
    return landing.finish(gone, now)


changes = st.one_of(
    st.tuples(st.just("event"), st.integers(1, 4), st.integers(1, 12), st.integers(0, 60), st.sampled_from(NAMES),
              st.sampled_from([0.0, 1.0, None])),
    st.tuples(st.just("drop event"), st.integers(1, 12)),
    st.tuples(st.just("drop visit"), st.integers(1, 4)),
    st.tuples(st.just("cut off"), st.integers(1, 4), st.integers(0, 3)),
    st.tuples(st.just("extend"), st.integers(1, 4), st.integers(0, 60)),
)  # fmt: skip
readings = st.tuples(
    st.lists(changes, min_size=1, max_size=5), st.integers(0, 60), st.integers(0, 60), st.booleans(),
    st.integers(0, 3), st.integers(0, 2), st.integers(1, 3),
)  # fmt: skip


def change(site: dict[int, Visit], what: tuple[Any, ...]) -> None:
    kind, number = what[0], what[1]
    if kind == "event":
        _, number, event_id, hour, name, value = what
        for other in site.values():
            other.events.pop(event_id, None)
        number = event_id % 4 + 1  # an event belongs to one visit for ever
        visit = site.setdefault(number, Visit(hour, hour))
        visit.events[event_id] = (hour, name, value)
        visit.last = max(visit.last, hour)
    elif kind == "drop event":
        for visit in site.values():
            visit.events.pop(number, None)
    elif kind == "drop visit":
        site.pop(number, None)
    elif number in site and kind == "cut off":
        site[number].missing = what[2]
    elif number in site:
        site[number].last = max(site[number].last, what[2])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(readings, min_size=1, max_size=6))
def test_landing_does_what_a_dictionary_would(history: list[tuple[Any, ...]]) -> None:
    con = in_memory(START)
    site: dict[int, Visit] = {}
    stored: dict[str, dict[str, Any]] = {}
    for step, (changed, one, two, whole, repeated, odd, parts) in enumerate(history):
        for what in changed:
            change(site, what)
        window = Window(hours(min(one, two)), hours(max(one, two)))
        seen = [(number, visit) for number, visit in site.items() if hours(visit.last) in window]
        reading = read(seen, repeated, odd)
        before = {key: dict(row) for key, row in stored.items()}
        with transaction(con):
            landed = land(con, KEY, reading, gone=window if whole else None, now=hours(100 + step), parts=parts)
        cut = {number for number, visit in seen if visit.missing}
        expect(stored, reading, window if whole else None, cut)
        compare(con, stored, before, landed, reading)
        con.execute("delete from ledger.touched_days")
    con.close()


def expect(stored: dict[str, dict[str, Any]], reading: Reading, gone: Window | None, cut: set[int]) -> None:
    """The dictionary's way: what was received replaces, what should have been and was not is gone.

    Not where a row could not be read: it may be one that is stored.
    """
    gone = None if reading.quarantined else gone
    received = {row["event_id"]: row for row in reading.rows}
    for key, row in stored.items():
        if gone and row["visit_last_ts"] in gone and key not in received and row["visit_id"] not in cut:
            row["vanished"] = True
    stored.update({key: {**row, "vanished": False} for key, row in received.items()})


def compare(
    con: duckdb.DuckDBPyConnection,
    stored: dict[str, dict[str, Any]],
    before: dict[str, dict[str, Any]],
    landed: Landed,
    reading: Reading,
) -> None:
    keys = ("event_id", "visit_id", "event_ts", "name", "value", "visit_first_ts", "visit_last_ts", "vanished")
    found = con.execute(
        "select event_id, visit_id, event_ts, name, value, visit_first_ts, visit_last_ts, vanished_at is not null "
        "from raw.matomo_events order by event_id"
    ).fetchall()
    assert found == [tuple(row[key] for key in keys) for _, row in sorted(stored.items())]
    content = ("event_ts", "name", "value", "visit_id")
    new = {key for key in stored if key not in before}
    gone = {key for key in stored if stored[key]["vanished"] and not before.get(key, {}).get("vanished", False)}
    other = {
        key
        for key in stored
        if key in before and not stored[key]["vanished"]
        and (before[key]["vanished"] or any(before[key][c] != stored[key][c] for c in content))
    }  # fmt: skip
    assert (landed.inserted, landed.changed, landed.vanished) == (len(new), len(other), len(gone))
    assert landed.received == reading.received == landed.duplicates + landed.quarantined + landed.landed
    days: set[date] = {local_date(stored[key]["event_ts"], ZONE) for key in new | other | gone}
    days |= {local_date(before[key]["event_ts"], ZONE) for key in other | gone}
    assert touched_days(con) == sorted(days)


def one_visit(last: int, **events: float | None) -> Reading:
    visit = Visit(0, last, {int(key[1:]): (number, "n", value) for number, (key, value) in enumerate(events.items())})
    return read([(1, visit)], 0, 0)


def put(con: duckdb.DuckDBPyConnection, reading: Reading, gone: Window | None = None, key: SourceKey = KEY) -> Landed:
    with transaction(con):
        return land(con, key, reading, gone=gone, now=hours(99))


def test_same_reading_again_writes_no_row_and_touches_no_day() -> None:
    con = in_memory(START)
    put(con, one_visit(3, e1=0.0, e2=None))
    before = con.execute("select * from raw.matomo_events order by event_id").fetchall()
    con.execute("delete from ledger.touched_days")
    landed = put(con, one_visit(3, e1=0.0, e2=None), Window(hours(0), hours(5)))
    assert (landed.inserted, landed.changed, landed.vanished, landed.landed) == (0, 0, 0, 2)
    assert con.execute("select * from raw.matomo_events order by event_id").fetchall() == before
    assert touched_days(con) == []


def test_zero_that_becomes_missing_is_a_change() -> None:
    con = in_memory(START)
    put(con, one_visit(3, e1=0.0))
    assert put(con, one_visit(3, e1=None)).changed == 1
    assert con.execute("select value from raw.matomo_events").fetchall() == [(None,)]


def test_sources_do_not_see_each_others_rows() -> None:
    con = in_memory(START)
    put(con, one_visit(3, e1=1.0, e2=1.0))
    put(con, one_visit(3, e1=0.0), key=OTHER)
    landed = put(con, one_visit(3, e1=0.0), Window(hours(0), hours(9)), key=OTHER)
    assert landed.vanished == 0
    counts = "select source, count(*), count(vanished_at), max(value) from raw.matomo_events group by 1 order by 1"
    assert con.execute(counts).fetchall() == [("installers", 2, 0, 1.0), ("others", 1, 0, 0.0)]


def test_visit_that_went_on_past_a_window_is_not_gone_from_it() -> None:
    """A server may be set up not to split visits at midnight: the slice of the first day then lacks the visit."""
    con = in_memory(START)
    put(con, one_visit(3, e1=1.0))
    put(con, one_visit(30, e1=1.0, e2=1.0))
    assert put(con, Reading(), Window(hours(0), hours(12))).vanished == 0


def test_same_broken_piece_is_kept_once() -> None:
    con = in_memory(START)
    for _ in range(2):
        assert put(con, read([], 0, 3)).quarantined == 3
    assert con.execute("select count(*) from raw.quarantine").fetchall() == [(1,)]


def test_landing_that_breaks_leaves_nothing() -> None:
    con = in_memory(START)

    def break_off() -> None:
        with transaction(con):
            land(con, KEY, one_visit(3, e1=1.0), gone=None, now=hours(99))
            con.execute("select cast('power cut' as integer)").fetchall()

    with pytest.raises(duckdb.ConversionException):
        break_off()
    assert con.execute("select count(*) from raw.matomo_events").fetchall() == [(0,)]
    assert touched_days(con) == []


def test_change_of_time_touches_the_old_and_the_new_day() -> None:
    con = in_memory(START)
    put(con, read([(1, Visit(0, 0, {1: (0, "n", 1.0)}))], 0, 0))
    con.execute("delete from ledger.touched_days")
    put(con, read([(1, Visit(0, 40, {1: (40, "n", 1.0)}))], 0, 0))
    assert touched_days(con) == [date(2026, 10, 24), date(2026, 10, 26)]


def test_rows_of_a_visit_that_is_cut_off_now_are_not_gone() -> None:
    con = in_memory(START)
    put(con, one_visit(3, e1=1.0, e2=1.0))
    cut = Visit(0, 3, {1: (0, "n", 1.0), 2: (1, "n", 1.0)}, missing=1)
    landed = put(con, read([(1, cut)], 0, 0), Window(hours(0), hours(9)))
    assert (landed.landed, landed.vanished, landed.newly_truncated) == (1, 0, 1)


def test_event_that_comes_back_counts_again() -> None:
    con = in_memory(START)
    put(con, one_visit(3, e1=1.0, e2=1.0))
    assert put(con, one_visit(3, e1=1.0), Window(hours(0), hours(9))).vanished == 1
    con.execute("delete from ledger.touched_days")
    assert put(con, one_visit(3, e1=1.0, e2=1.0), Window(hours(0), hours(9))).changed == 1
    assert con.execute("select count(*) from raw.matomo_events where vanished_at is not null").fetchall() == [(0,)]
    assert touched_days(con) == [date(2026, 10, 24)]
