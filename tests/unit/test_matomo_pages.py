"""Pages read by DuckDB hold what reading visit by visit finds: rows, quarantine and truncation, whatever they hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.sources.matomo_pages import BrokenPage, Page, page_in
from matokit_pipelines.sources.matomo_visits import Reading, read_visits
from matokit_pipelines.warehouse import matomo_pages
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.matomo_pages import COLUMNS, Arrived, PageReader

CHANGES = {  # the instant at which clocks go back, and one at which they go forward
    "Europe/Copenhagen": (datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 3, 8, 7, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    "Asia/Kathmandu": (datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "Etc/GMT-14": (datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)),
}
DIMENSIONS = {"os": 1, "architecture": 2, "commit": 12}
NOON = datetime(2026, 11, 14, 12, tzinfo=UTC)
ROWS = f"select {', '.join(COLUMNS)} from received order by page, place, number"


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = in_memory(NOON)
    yield connection
    connection.close()


def wall(instant: datetime, zone: ZoneInfo) -> int:
    return int(instant.astimezone(zone).replace(tzinfo=UTC).timestamp())


def visit_at(zone: ZoneInfo, *instants: datetime, number: int = 1, **more: Any) -> dict[str, Any]:
    """A visit as Matomo writes it, with an event at each instant."""
    actions = [
        {
            "type": "event", "pageId": number * 100 + place, "eventCategory": "Installer", "eventAction": "Install",
            "timestamp": wall(instant, zone), "eventName": "python", "eventValue": 1, "dimension1": "macOS",
            "dimension2": None, "dimension12": "",
        }
        for place, instant in enumerate(instants)
    ]  # fmt: skip
    return {
        "idVisit": number, "visitorId": "00ff", "actionDetails": actions, "events": len(actions),
        "lastActionTimestamp": int(instants[-1].timestamp()), "firstActionTimestamp": int(instants[0].timestamp()),
    } | more  # fmt: skip


def written(visits: list[Any], *, escaped: bool = True) -> bytes:
    """A page as PHP writes it: without white space, other alphabets escaped."""
    text = json.dumps(visits, separators=(",", ":"), ensure_ascii=escaped)
    return text.encode("utf-8", errors="surrogatepass")


def by_pages(con: duckdb.DuckDBPyConnection, zone: ZoneInfo, *pages: Page) -> tuple[list[tuple[Any, ...]], Arrived]:
    reader = PageReader(con, zone, DIMENSIONS)
    reader.read(pages)
    return con.execute(ROWS).fetchall(), reader.arrived


def by_visits(zone: ZoneInfo, *pages: Page) -> Reading:
    reading = Reading()
    for page in pages:
        read_visits(page.visits(), zone, DIMENSIONS, reading)
    return reading


def same(con: duckdb.DuckDBPyConnection, zone: ZoneInfo, *bodies: bytes) -> None:
    """Both ways give the same."""
    pages = [page_in(body) for body in bodies]
    expected = by_visits(zone, *pages)
    rows, arrived = by_pages(con, zone, *pages)
    assert [dict(zip(COLUMNS, row, strict=True)) for row in rows] == [
        dict.fromkeys(COLUMNS) | row for row in expected.rows
    ]
    assert [str(row[COLUMNS.index("value")]) for row in rows] == [str(row["value"]) for row in expected.rows]
    assert arrived.rows == len(expected.rows)
    assert arrived.broken == sum(len(page) != len(page.visits()) for page in pages)
    assert arrived.quarantined == expected.quarantined
    assert arrived.truncated == expected.truncated


texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "null", "true", "12", "1e5", '"', "\\", '\\"', '{"idVisit":', '"lastActionTimestamp":5,', "},{", "[", "]",
         "\x00", "a\x00b", "\n\t", "🎉", "æøå", "﻿", "'", "${x}", "\ud83d", "\udc00 half", "1.50", "x" * 300]
    ),
)  # fmt: skip
odd = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.integers(), st.integers(2**62, 2**65), texts,
    st.floats(allow_nan=False),
    st.sampled_from([-0.0, 1e22, 5e-324, 0.1, 12.346, " 12", "12 ", "1_0", "007", "-0", "1e400", "1.", ".5", "+3",
                     "infinity", [], {}, [1], {"a": 1}, [[]], {"type": "event"}, "١٢"]),
)  # fmt: skip
keys = st.sampled_from(
    ["type", "pageId", "timestamp", "eventCategory", "eventAction", "eventName", "eventValue", "dimension1",
     "dimension2", "dimension12", "dimension7", "subtitle", "lastActionTimestamp", "idVisit"]
)  # fmt: skip
visit_keys = st.sampled_from(
    ["idVisit", "visitorId", "actionDetails", "lastActionTimestamp", "firstActionTimestamp", "truncatedActionsCount",
     "events", "other"]
)  # fmt: skip
oddly = st.one_of(odd, odd, st.just(...))  # ... stands for a key that is not there


@st.composite
def odd_visits(draw: st.DrawFn, zone: ZoneInfo, start: datetime, *, plain: bool) -> list[Any]:
    """Visits in the order of their ends, some of them as no server writes them unless `plain`."""
    visits: list[Any] = []
    end = start
    for number in range(1, draw(st.integers(1, 4)) + 1):
        steps = sorted(draw(st.lists(st.integers(0, 5_000), min_size=1, max_size=4)))
        instants = [end + timedelta(seconds=step) for step in steps]
        end = instants[-1]
        visit = visit_at(zone, *instants, number=number)
        for action in visit["actionDetails"]:
            action.update(draw(st.fixed_dictionaries({}, optional=_plain_changes)))
        if draw(st.integers(0, 5)) == 0:
            visit["truncatedActionsCount"] = draw(st.sampled_from([0, 3, 150]))
        visits.append(visit)
    if not plain:
        for _ in range(draw(st.integers(0, 3))):
            _spoil(draw, visits)
    return visits


_plain_changes: dict[str, st.SearchStrategy[Any]] = {
    "eventName": texts.filter(lambda text: text.isprintable()),
    "eventValue": st.one_of(st.sampled_from([0, -1, 37.5, "12.346", 123456789012, "", None]), st.floats(-1e9, 1e9)),
    "dimension1": st.one_of(st.none(), st.text('abc ✓"\\', max_size=5)),
    "pageId": st.sampled_from([7, 8, "9", 2**53 + 1]),
    "type": st.sampled_from(["event", "action", "goal"]),
}


def _spoil(draw: st.DrawFn, visits: list[Any]) -> None:
    place = draw(st.integers(0, len(visits) - 1))
    visit = visits[place]
    kind = draw(st.sampled_from(["action", "action", "action", "visit", "element", "whole", "none"]))
    if kind == "whole" or not isinstance(visit, dict):
        visits[place] = draw(odd)
    elif kind == "visit":
        _put(visit, draw(visit_keys), draw(oddly))
    elif kind == "none":
        visit["actionDetails"] = []
    elif isinstance(actions := visit.get("actionDetails"), list) and actions:
        chosen = draw(st.integers(0, len(actions) - 1))
        if kind == "element" or not isinstance(actions[chosen], dict):
            actions[chosen] = draw(odd)
        else:
            _put(actions[chosen], draw(keys), draw(oddly))


def _put(piece: dict[str, Any], key: str, value: Any) -> None:
    if value is ...:
        piece.pop(key, None)
    else:
        piece[key] = value


@st.composite
def pages(draw: st.DrawFn, *, plain: bool) -> tuple[ZoneInfo, list[bytes]]:
    name = draw(st.sampled_from(sorted(CHANGES)))
    zone = ZoneInfo(name)
    start = draw(st.sampled_from([NOON, *CHANGES[name]])) + timedelta(seconds=draw(st.integers(-9_000, 9_000)))
    many = draw(st.lists(odd_visits(zone, start, plain=plain), min_size=1, max_size=3))
    return zone, [written(visits, escaped=draw(st.booleans())) for visits in many]


@pytest.mark.slow
@settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(pages(plain=True))
def test_pages_as_a_server_writes_them(con: duckdb.DuckDBPyConnection, made: tuple[ZoneInfo, list[bytes]]) -> None:
    same(con, made[0], *filter(_is_utf8, made[1]))


@pytest.mark.slow
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(pages(plain=False))
def test_pages_as_no_server_writes_them(con: duckdb.DuckDBPyConnection, made: tuple[ZoneInfo, list[bytes]]) -> None:
    same(con, made[0], *filter(_is_utf8, made[1]))


def _is_utf8(body: bytes) -> bool:
    """Whether JSON can be in it: halves of characters are possible escaped only."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_plain_pages_are_not_read_visit_by_visit(
    con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes reading quick is that Python sees no visit; a change that sends all pages the slow way is noticed."""
    zone = ZoneInfo("Europe/Copenhagen")
    body = written([visit_at(zone, NOON, number=n, truncatedActionsCount=n % 2) for n in range(1, 6)])
    monkeypatch.setattr(matomo_pages, "read_visits", None)
    rows, arrived = by_pages(con, zone, page_in(body), page_in(body))
    assert (len(rows), len(arrived.truncated)) == (10, 6)


def test_a_full_part_in_one_transaction_keeps_its_rows(con: duckdb.DuckDBPyConnection) -> None:
    """DuckDB 2.0 loses big inserts into a table that an empty `create table as` made in the same transaction."""
    zone = ZoneInfo("UTC")
    body = written([visit_at(zone, *[NOON] * 500, number=n) for n in range(1, 126)])
    con.execute("begin")
    reader = PageReader(con, zone, DIMENSIONS)
    reader.read([page_in(body), page_in(body)])
    con.execute("commit")
    assert con.execute("select count(*), count(name), sum(value) from received").fetchall() == [
        (125_000, 125_000, 125_000)
    ]


@pytest.mark.parametrize(
    "body",
    [b"[]", b" [ ]", b"[{}]", b"[5]", b"[null]", b'[{"idVisit":1}]', b'[{"a":1,"lastActionTimestamp":5},{"a":2}]',
     b'[{"lastActionTimestamp":5,"idVisit":1},{"idVisit":2}]', b'\xef\xbb\xbf[{"idVisit":1,"lastActionTimestamp":2}]',
     b'[{"idVisit":1,"lastActionTimestamp":2.5}]', b'[{"idVisit":1,"lastActionTimestamp":"2"}]',
     b'[{"idVisit":1,"lastActionTimestamp":2},null,{"idVisit":2,"lastActionTimestamp":2}]',
     b'[{"idVisit":1,"actionDetails":[{"idVisit":2,"lastActionTimestamp":3}]}]'],
)  # fmt: skip
def test_pages_in_another_frame_are_parsed(body: bytes) -> None:
    page = page_in(body)
    assert not page.uniform
    assert len(page) == len(json.loads(body))


@given(st.integers(1, 400))
def test_a_page_that_broke_off_is_no_page(length: int) -> None:
    body = written([visit_at(ZoneInfo("UTC"), NOON, NOON, number=n) for n in (1, 2)])
    with pytest.raises(ValueError, match="char"):
        page_in(body[: min(length, len(body) - 1)])


def test_what_is_broken_within_a_right_frame_is_told(con: duckdb.DuckDBPyConnection) -> None:
    zone = ZoneInfo("UTC")
    good = written([visit_at(zone, NOON, number=n) for n in (1, 2)])
    bad = good.replace(b'"eventCategory":"Installer"', b'"eventCategory":"Inst\nller', 1)
    page = page_in(bad)
    assert page.uniform
    with pytest.raises(BrokenPage):
        page.visits()
    rows, arrived = by_pages(con, zone, page, page_in(good))
    assert (len(rows), arrived.broken) == (2, 1)


def test_objects_that_are_no_visits_are_told(con: duckdb.DuckDBPyConnection) -> None:
    """Such a page may have looked like the last one; what it holds is kept."""
    zone = ZoneInfo("UTC")
    page = page_in(written([visit_at(zone, NOON, number=1), {}, visit_at(zone, NOON, number=2)]))
    rows, arrived = by_pages(con, zone, page)
    assert (len(page), len(rows), len(arrived.quarantined), arrived.broken) == (2, 2, 1, 1)


def test_an_answer_that_is_no_list_is_given_as_it_is() -> None:
    assert page_in(b'{"result":"error","message":"x"}') == {"result": "error", "message": "x"}
