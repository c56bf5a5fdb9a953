"""What a reading of one window proves, against a server whose counts and pages are wrong for a moment.

Belongs here: single windows, read over HTTP into a warehouse. Does not belong here: which windows are due (passes).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import Assumptions, PiwikProFaults, PiwikProSimulator
from matokit_pipelines.warehouse.piwik_pro_planning import Step
from matokit_pipelines.warehouse.piwik_pro_windows import Kept, WindowReader
from matokit_pipelines.warehouse.refresh import piwik_pro_client_for
from matokit_pipelines.windows import Window
from tests.contract.piwik_pro_asking import log
from tests.piwik_pro import ZONE, home_of

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = NOON + timedelta(days=1)
WHOLE = Window(NOON, NOON + timedelta(hours=4))
QUARTER = timedelta(minutes=15)
HALVES = [Window(WHOLE.start, NOON + timedelta(hours=2)), Window(NOON + timedelta(hours=2), WHOLE.end)]


def sent(number: int, window: Window = WHOLE) -> pl.DataFrame:
    """So many events spread over a window, each of a machine of its own."""
    apart = (window.end - window.start) / (number + 1)
    return log(*({"event_ts": window.start + apart * n, "visitor_id": f"{n:016x}"} for n in range(number)))


def read(
    folder: Path, events: pl.DataFrame, page: int, faults: PiwikProFaults, readings: Sequence[Window]
) -> tuple[list[Kept], list[tuple[int, int]]]:
    """Read windows one after the other. Gives the last reading, and (stored, of these vanished) after each."""
    clock, shown = FixedClock(NOW), []
    kept: list[Kept] = []
    assumed = Assumptions(rate_limit=False)
    with PiwikProSimulator(events, zone=ZONE, now=clock.now, faults=faults, assumed=assumed) as server:
        home = home_of(folder, server, clock, NOON, source=f"page_size = {page}")
        [source] = home.loaded.settings.sources
        client = piwik_pro_client_for(home.loaded, source, clock)
        for window in readings:
            with home.warehouse.writer() as connection:
                reader = WindowReader(
                    connection, client, source, zone=ZoneInfo(ZONE), project_zone=ZONE, dimensions={}, mapping="{}",
                    folder=folder, clock=clock, progress=lambda label, done, total: None,
                )  # fmt: skip
                kept = list(reader.read([Step("look_back", window)]))
                counted = "select count(*), count(vanished_at) from raw.piwik_pro_events"
                shown.append(connection.execute(counted).fetchall()[0])
        client.close()
    return kept, shown


def test_a_full_page_is_no_proof_though_as_many_rows_are_announced(tmp_path: Path) -> None:
    """The count is three too low, so just what a page holds: the other three are not taken for gone."""
    _, shown = read(tmp_path, sent(43), 40, PiwikProFaults(moving_count_once=True), [*HALVES, WHOLE])
    assert shown[-1] == (43, 0)


@pytest.mark.parametrize("number", [43, 83])
def test_more_events_in_one_second_than_pages_announced(tmp_path: Path, number: int) -> None:
    second = Window(NOON, NOON + timedelta(seconds=1))
    kept, shown = read(tmp_path, sent(number, second), 40, PiwikProFaults(moving_count_once=True), [second])
    assert shown == [(number, 0)]
    assert all(part.is_proven for part in kept)


def test_rows_are_gone_only_when_a_second_reading_lacks_them_too(tmp_path: Path) -> None:
    """An empty page that announces nothing looks like a window whose rows were taken out."""
    faults = PiwikProFaults(seed=1, moving_count_once=True, short_page=0.5)
    quarters = [Window(WHOLE.start + QUARTER * n, WHOLE.start + QUARTER * (n + 1)) for n in range(16)]
    _, shown = read(tmp_path, sent(40), 100, faults, [WHOLE, *quarters])
    assert set(shown) == {(40, 0)}


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    number=st.integers(4, 100),
    page=st.sampled_from([10, 20, 40]),
    low=st.booleans(),
    short=st.sampled_from([0.0, 0.2]),
    repeated=st.sampled_from([0.0, 0.2]),
    seconds=st.sampled_from([1, 7, 3_600, 4 * 3_600]),
    seed=st.integers(0, 1_000),
)
def test_what_is_proven_is_whole(
    number: int, page: int, low: bool, short: float, repeated: float, seconds: int, seed: int
) -> None:
    window = Window(NOON, NOON + timedelta(seconds=seconds))
    faults = PiwikProFaults(seed=seed, moving_count_once=low, short_page=short, repeated_rows=repeated)
    with tempfile.TemporaryDirectory() as folder:
        kept, shown = read(Path(folder), sent(number, window), page, faults, [window])
    # a count that is three too low and a page that ends early may both say "nothing" of one or two rows at the same
    # time: no reading can tell that from a window without events, only the next one
    both_say_nothing = low and short and any(part.landed.received == 0 for part in kept)
    if all(part.is_proven for part in kept) and not both_say_nothing:
        assert shown == [(number, 0)]
