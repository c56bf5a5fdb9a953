"""The client against the simulated Piwik PRO: everything is read, whatever goes wrong, at the pace allowed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import AccessRefused, CredentialsRefused, MatokitError, SourceError, SourceMissing
from matokit_pipelines.simulator import (
    OTHER_SLOTS,
    Assumptions,
    PiwikProFaults,
    PiwikProSimulator,
    Truth,
    generate,
)
from matokit_pipelines.sources.http import HttpLimits, HttpSession
from matokit_pipelines.sources.piwik_pro import RATE_LIMIT, TRANSIENT_STATUS, PiwikProClient
from matokit_pipelines.sources.piwik_pro_pages import Page, slow_rows
from matokit_pipelines.sources.piwik_pro_token import Credentials
from matokit_pipelines.windows import zone_named

END = datetime(2026, 10, 27, 12, tzinfo=UTC)  # the hour that Europe repeats lies two days back
LATER = END + timedelta(hours=4)  # every session has ended and is processed
COLUMNS = ("event_type", "event_index", "custom_event_category", "custom_event_name", "custom_event_value",
           "event_custom_dimension_1")  # fmt: skip
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@lru_cache(maxsize=1)
def truth() -> Truth:
    return generate(days=4, events_per_day=150, seed=5, end=END)


def client_of(
    server: PiwikProSimulator, clock: FixedClock, *, site: str = "", paced: bool = True, **credentials: str
) -> PiwikProClient:
    mine = {"client_id": server.client_id, "client_secret": server.client_secret, **credentials}
    session = HttpSession(
        "installers",
        server.url,
        clock,
        HttpLimits(attempts=14, budget=10**6),
        transient=TRANSIENT_STATUS,
        rate=RATE_LIMIT if paced else None,
    )
    return PiwikProClient(session, site or server.site_id, lambda: Credentials(**mine), clock)


@contextmanager
def simulated(
    faults: PiwikProFaults | None = None, assumed: Assumptions | None = None, **more: Any
) -> Iterator[tuple[PiwikProSimulator, PiwikProClient, FixedClock]]:
    clock = FixedClock(LATER)
    with PiwikProSimulator(truth(), now=clock.now, faults=faults, assumed=assumed, **more) as server:
        client = client_of(server, clock)
        try:
            yield server, client, clock
        finally:
            client.close()


def days() -> list[tuple[datetime, datetime]]:
    """The whole days in the site's wall clock that hold the truth."""
    zone = zone_named(truth().zone)
    first = truth().start.astimezone(zone).date()
    last = truth().end.astimezone(zone).date()
    starts = [datetime.combine(first + timedelta(n), datetime.min.time()) for n in range((last - first).days + 2)]
    return list(pairwise(starts))


def sent() -> Counter[tuple[Any, ...]]:
    """Wall clock, category and name of every custom event that was sent."""
    custom = truth().events.filter(pl.col("category").is_not_null())
    wall = pl.col("event_ts").dt.convert_time_zone(truth().zone).dt.strftime("%Y-%m-%dT%H:%M:%S")
    return Counter(custom.select(wall, "category", pl.col("name").fill_null("")).rows())


def rows_of(page: Page) -> list[dict[str, Any]]:
    """The rows of a page, each by the names of its columns."""
    found = json.loads(page.rows)
    return [dict(zip(page.columns, row, strict=True)) for row in (found if page.exact_frame else found["data"])]


def given(pages: list[Page]) -> Counter[tuple[Any, ...]]:
    """The same of what pages hold, each event id once."""
    found: dict[str, tuple[Any, ...]] = {}
    for page in pages:
        for row in rows_of(page):
            assert row["event_type"] == [5, "Custom event"]
            assert isinstance(row["event_id"], str)
            found[row["event_id"]] = (row["timestamp"], row["custom_event_category"], row["custom_event_name"])
    return Counter(found.values())


def test_days_hold_everything_that_was_sent() -> None:
    with simulated() as (_, client, _):
        pages = [client.events(start, end, COLUMNS) for start, end in days()]
    assert all(page.exact_frame for page in pages if page.count)
    assert given(pages) == sent()
    assert sum(page.count for page in pages) == sent().total()


def test_counts_by_hour_and_day_agree_with_the_events() -> None:
    with simulated() as (_, client, _):
        for start, end in days():
            count = client.count(start, end)
            by_hour = client.events_by("to_start_of_hour", start, end)
            assert client.events_by("to_date", start, end) == ({start: count} if count else {})
            assert sum(by_hour.values()) == count
            assert all(start <= hour < end and hour.minute == 0 for hour in by_hour)
            for hour, events in list(by_hour.items())[:2]:
                assert client.count(hour, hour + timedelta(hours=1)) == events


def test_pages_by_offset_hold_everything_where_the_order_stays() -> None:
    start, end = days()[0][0], days()[-1][1]
    with simulated(assumed=Assumptions(order="pinned")) as (_, client, _):
        total = client.count(start, end)
        pages = [client.events(start, end, COLUMNS, limit=70, offset=offset) for offset in range(0, total, 70)]
    assert len(pages) > 5
    assert {page.count for page in pages} == {total}
    assert given(pages) == sent()


def test_four_threads_read_everything_through_every_passing_fault() -> None:
    faults = PiwikProFaults(
        seed=11, dropped=0.08, half=0.08, server_error=0.08, maintenance=0.08, rate_limited=0.08,
        token_expires_early=0.08, token_serves=8,
    )  # fmt: skip
    hours = [(start + timedelta(hours=n), start + timedelta(hours=n + 1)) for start, _ in days() for n in range(24)]
    with simulated(faults) as (server, client, _):
        with ThreadPoolExecutor(4) as threads:
            pages = list(threads.map(lambda window: client.events(*window, COLUMNS), hours))
        for fault in ("dropped", "half", "server_error", "maintenance", "rate_limited", "token_expires_early"):
            assert server.struck[fault] > 0, fault
        assert client.requests_made == server.requests.total
    assert given(pages) == sent()


def test_tokens_that_end_early_are_renewed_as_often_as_they_end() -> None:
    with simulated(PiwikProFaults(seed=1, token_expires_early=0.3, token_serves=2)) as (server, client, _):
        for _ in range(30):
            client.count(*days()[1])
        assert server.requests.counts["/auth/token"] == server.struck["token_expires_early"] + 1
    assert server.struck["token_expires_early"] > 2


def test_tokens_that_run_out_are_renewed_before() -> None:
    with simulated(assumed=Assumptions(token_lifetime_s=300)) as (server, client, clock):
        for _ in range(10):
            client.count(*days()[1])
            clock.advance(timedelta(seconds=121))
        assert server.requests.counts["/auth/token"] == 5
        assert server.requests.total == 15, "no request met an expired token"


def test_pace_never_meets_the_limit() -> None:
    with simulated() as (server, client, clock):
        for _ in range(130):
            client.count(*days()[1])
        for _ in range(130):
            client.site()
        assert server.requests.total == 261
        assert server.struck["rate_limit"] == 0
        assert clock.now() - LATER == timedelta(seconds=2 * 61)


def test_threads_at_the_limit_lose_nothing() -> None:
    """Their clock jumps whenever one of them waits, so a request may arrive in another minute than it began in."""
    with simulated() as (server, client, _):
        with ThreadPoolExecutor(4) as threads:
            counts = list(threads.map(lambda _: client.count(*days()[1]), range(160)))
        assert len(set(counts)) == 1
        assert server.struck["rate_limit"] < 10
        assert server.requests.total == 161 + server.struck["rate_limit"]


def test_limit_met_all_the_same_is_waited_for() -> None:
    with simulated() as (server, _, clock):
        client = client_of(server, clock, paced=False)
        for _ in range(70):
            client.count(*days()[1])
        assert server.struck["rate_limit"] == 1
        assert clock.now() - LATER <= timedelta(seconds=61)
        client.close()


def test_site_dimensions_settings_and_list() -> None:
    with simulated(dimensions=OTHER_SLOTS) as (server, client, _):
        app = client.app()
        assert app.site.zone.key == truth().zone
        assert app.site.name == "Installer"
        found = {d.number: (d.scope, d.slot, d.active) for d in client.dimensions()}
        assert found == {d.tracking_id: (d.scope, d.slot, d.active) for d in OTHER_SLOTS}
        assert {(d.scope, d.slot) != ("event", d.number) for d in client.dimensions()} != {False}
        assert client.tracker_settings()["session_limit_exceeded_action"] == "split_and_exclude"
        assert (server.site_id, "Installer") in client.apps()


def test_debugger_names_the_events_that_raw_data_has() -> None:
    clock = FixedClock(END)
    with PiwikProSimulator(truth(), now=clock.now) as server:
        client = client_of(server, clock)
        seen = list(client.debug_sessions(300, limit=3))
        whole = list(client.debug_sessions(300))
        assert {session["session_id_str"] for session in seen} == {session["session_id_str"] for session in whole}
        assert len(seen) == len(whole) > 3
        clock.advance(timedelta(hours=6))
        ids = {row["event_id"] for window in days() for row in rows_of(client.events(*window, ("event_type",)))}
        debugged = {e["event_id_str"] for s in whole for e in s["events"] if e["event_type"][0] == 5}
        assert debugged
        assert debugged <= ids
        client.close()


def test_real_time_gives_the_last_hour() -> None:
    clock = FixedClock(END)
    zone = zone_named(truth().zone)
    now = END.astimezone(zone).replace(tzinfo=None)
    with PiwikProSimulator(truth(), now=clock.now) as server:
        client = client_of(server, clock)
        page = client.real_time(now - timedelta(minutes=50), now - timedelta(minutes=3), ("event_id", "event_type"))
        count = client.count(now - timedelta(minutes=25), now)
        client.close()
    since, until = END - timedelta(minutes=50), END - timedelta(minutes=3)
    custom = truth().events.filter(
        pl.col("category").is_not_null(), pl.col("event_ts") >= since, pl.col("event_ts") < until
    )
    assert page.count == custom.height > 0
    assert {"timestamp", "event_id"} <= set(page.columns)
    assert count == 0, "raw data has no session that may still go on"


def test_rows_that_are_none_are_told_apart() -> None:
    start, end = days()[0][0], days()[-1][1]
    with simulated(PiwikProFaults(odd_rows=9)) as (_, client, _):
        page = client.events(start, end, COLUMNS)
    assert not page.exact_frame, "some of the rows are objects"
    rows, odd = slow_rows(page.rows)
    assert len(rows) + len(odd) == page.count == sent().total() + 9
    assert odd


@pytest.mark.parametrize("assumed", [Assumptions(unknown_client=400), Assumptions(unknown_client=401)])
def test_wrong_credentials_are_sent_once(assumed: Assumptions) -> None:
    with simulated(assumed=assumed) as (server, _, clock):
        for wrong in ({"client_id": "nobody"}, {"client_secret": "wrong"}):
            before = server.requests.total
            client = client_of(server, clock, **wrong)
            for _ in range(3):
                with pytest.raises(CredentialsRefused, match="MATOKIT_INSTALLERS_CLIENT_SECRET"):
                    client.site()
            assert server.requests.total == before + 1
            client.close()


def test_ended_licence_is_told() -> None:
    with simulated(PiwikProFaults(no_license=True)) as (server, client, _):
        with pytest.raises(AccessRefused, match="licence"):
            client.site()
        assert server.requests.total == 1


@pytest.mark.parametrize("status", [400, 403, 404])
def test_site_that_is_none_or_may_not_be_seen(status: Any) -> None:
    with simulated(assumed=Assumptions(unknown_site=status)) as (server, _, clock):
        unknown = client_of(server, clock, site=UNKNOWN)
        stranger = client_of(server, clock, client_id=server.no_access_client_id)
        for client in (unknown, stranger):
            with pytest.raises(MatokitError) as told:
                client.count(*days()[1])
            kind = {400: SourceError, 403: AccessRefused, 404: SourceMissing}[status]
            assert type(told.value) in (kind, AccessRefused)
            assert str(told.value).endswith(".")
        with pytest.raises(MatokitError) as told:
            unknown.site()
        assert status != 404 or server.site_id in str(told.value)
        unknown.close()
        stranger.close()


def test_column_that_is_none_is_named() -> None:
    with simulated() as (_, client, _), pytest.raises(SourceError, match="no_such_column"):
        client.events(*days()[1], ("no_such_column",))


def test_day_of_twenty_five_hours_is_read_whole() -> None:
    day = date(2026, 10, 25)
    start = datetime.combine(day, datetime.min.time())
    with simulated() as (_, client, _):
        page = client.events(start, start + timedelta(days=1), COLUMNS)
        twice = client.count(start + timedelta(hours=2), start + timedelta(hours=3))
    local = truth().events.filter(pl.col("category").is_not_null()).select(
        pl.col("event_ts").dt.convert_time_zone(truth().zone).alias("at")
    ).filter(pl.col("at").dt.date() == day)  # fmt: skip
    assert page.count == local.height
    assert twice == local.filter(pl.col("at").dt.hour() == 2).height
