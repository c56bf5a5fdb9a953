"""Paging over HTTP against the simulated service: every event once, whatever the page size and whatever breaks."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import MatomoSimulator
from matokit_pipelines.sources.http import HttpLimits, HttpSession
from matokit_pipelines.sources.matomo import MatomoClient
from matokit_pipelines.warehouse.connection import in_memory
from matokit_pipelines.warehouse.matomo_pages import PageReader
from matokit_pipelines.windows import each_day, local_date, zone_named
from tests.simulated import simulator, small_truth, stored

TRUTH = small_truth()
ZONE = zone_named(TRUTH.zone)
DIMENSIONS = {"os": 1, "architecture": 2, "commit": 3}
COLUMNS = ("event_ts", "category", "action", "name", "value", "os_raw", "architecture_raw", "commit_raw")


def client_of(server: MatomoSimulator, page_size: int) -> MatomoClient:
    limits = HttpLimits(attempts=10, first_wait=0, longest_wait=0)
    return MatomoClient(
        HttpSession("installers", server.url, FixedClock(TRUTH.end), limits), "1", lambda: server.token,
        page_size=page_size,
    )  # fmt: skip


def read(server: MatomoSimulator, page_size: int, *, by_days: bool) -> dict[str, tuple[Any, ...]]:
    client, con = client_of(server, page_size), in_memory(TRUTH.end)
    reader = PageReader(con, ZONE, DIMENSIONS)
    if by_days:
        for day in each_day(local_date(TRUTH.start, ZONE), local_date(TRUTH.end, ZONE) - timedelta(days=1)):
            for page in client.visits_of_day(day, ZONE):
                reader.read([page])
    else:
        for page in client.visits_since(TRUTH.start):
            reader.read([page])
    client.close()
    assert (reader.arrived.quarantined, reader.arrived.broken) == ([], 0)
    rows = con.execute(f"select event_id, {', '.join(COLUMNS)} from received").fetchall()
    con.close()
    return {row[0]: row[1:] for row in rows}


faults = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1_000),
        "dropped": st.sampled_from([0.0, 0.1]),
        "half": st.sampled_from([0.0, 0.1]),
        "sqlstate": st.sampled_from([0.0, 0.1]),
        "maintenance": st.sampled_from([0.0, 0.1]),
        "page_repeats": st.sampled_from([0.0, 0.2]),
        "memory_visits": st.one_of(st.none(), st.integers(3, 40)),
    }
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(page_size=st.integers(1, 30), broken=faults, by_days=st.booleans())
def test_every_event_comes_once(page_size: int, broken: dict[str, Any], by_days: bool) -> None:
    with simulator(TRUTH, **broken) as server:
        found = Counter(read(server, page_size, by_days=by_days).values())
    expected = stored(TRUTH.events)
    if by_days:  # today is not closed
        closed = {row for row in expected if local_date(row[0], ZONE) < local_date(TRUTH.end, ZONE)}
        expected = Counter({row: count for row, count in expected.items() if row in closed})
    assert found == expected


@pytest.mark.parametrize("page_size", [1, 2, 3])
def test_more_visits_in_one_second_than_a_page_holds(page_size: int) -> None:
    """Machines that start together: the page grows until it holds the whole second."""
    together = TRUTH.events.filter(TRUTH.events["category"].is_not_null()).head(8)
    same = together.with_columns(
        event_ts=together["event_ts"].min(), visitor_id=together["visitor_id"] + together["name"].hash().cast(str)
    )
    with MatomoSimulator(same, zone=TRUTH.zone, now=lambda: TRUTH.end) as server:
        found = read(server, page_size, by_days=False)
    assert Counter(found.values()) == stored(same)
