"""Passes over a simulated Piwik PRO: what they ask, what ends them early, and that the next one goes on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.errors import RequestsSpent, SettingsError
from matokit_pipelines.simulator import Assumptions, PiwikProFaults, PiwikProSimulator, Truth, generate
from matokit_pipelines.simulator.piwik_pro_answers import page
from matokit_pipelines.simulator.wire import Answer, Request
from matokit_pipelines.warehouse import ledger, refresh
from matokit_pipelines.warehouse.passes import PassResult
from matokit_pipelines.warehouse.refresh import Home
from tests.piwik_pro import home_of, is_stored, must_be_stored

pytestmark = pytest.mark.slow

END = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)
TRUTH = generate(days=5, events_per_day=120, seed=5, end=END)


def simulator(clock: FixedClock, truth: Truth = TRUTH, **faults: Any) -> PiwikProSimulator:
    return PiwikProSimulator(
        truth, now=clock.now, faults=PiwikProFaults(**faults), assumed=Assumptions(rate_limit=False, query_cache_s=0)
    )


def one(home: Home) -> PassResult:
    [result] = refresh.extract(home)
    return result


def rows(home: Home, sql: str) -> list[Any]:
    with home.warehouse.reader() as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("when", ["first", "night", "dimensions"])
def test_a_pass_that_runs_out_of_requests_is_gone_on_with(tmp_path: Path, when: str) -> None:
    """Whatever made so much to read: each pass lands more, what is new first, and the last one is whole."""
    clock = FixedClock(TRUTH.start + timedelta(days=4))
    small, few = "page_size = 12", "requests = 20"
    with simulator(clock) as server:
        home = home_of(tmp_path, server, clock, TRUTH.start, source=small, http="" if when != "first" else few)
        if when != "first":
            assert one(home).error is None
            clock.advance(timedelta(days=1))
            other = "dimensions = { os = 1, architecture = 2 }" if when == "dimensions" else ""
            home = home_of(tmp_path, server, clock, TRUTH.start, source=f"{small}\n{other}", http=few)
        for number in range(40):
            result = one(home)
            if result.error is None:
                break
            assert isinstance(result.error, RequestsSpent)
            assert result.requests == 20
            if when == "night" and number == 3:
                state = rows(home, "select watermark from ledger.sources")[0][0]
                assert state > clock.now() - timedelta(hours=3), "what is new comes first"
            clock.advance(timedelta(minutes=5))
        assert result.error is None
        assert number > 2
        missing = must_be_stored(TRUTH, server, clock.now() - timedelta(hours=1)) - is_stored(home)
        assert (missing == Counter()) == (when != "dimensions")
        if when == "dimensions":
            assert rows(home, "select count(commit_raw) from raw.piwik_pro_events") == [(0,)]


def test_a_quiet_site_costs_a_handful_of_requests_a_pass(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock) as server:
        home = home_of(tmp_path, server, clock, TRUTH.start)
        one(home)
        for _ in range(3):
            clock.advance(timedelta(minutes=5))
            server.requests.counts.clear()
            assert one(home).requests == 4
            assert server.requests.counts["/api/analytics/v1/events"] == 1
        assert rows(home, "select count(*), sum(requests)::bigint > 12 from ledger.passes") == [(4, True)]


def test_counts_that_never_settle_do_not_cost_more_and_more(tmp_path: Path) -> None:
    """Every count lies for good: windows are given up, each pass asks about as much as the one before."""
    clock = FixedClock(END - timedelta(days=1))
    with simulator(clock, lying_count=((TRUTH.start, END + timedelta(days=9)),)) as server:
        home = home_of(tmp_path, server, clock, END - timedelta(days=2))
        asked = []
        for _ in range(40):
            result = one(home)
            assert result.error is None
            assert result.unproven
            asked.append(result.requests)
            clock.advance(timedelta(minutes=5))
        assert max(asked[-15:]) <= 60, "what a minute allows"
        found, sent = is_stored(home), must_be_stored(TRUTH, server, clock.now() - timedelta(hours=1))
        since = datetime(2026, 11, 16, tzinfo=UTC)
        assert Counter({row: n for row, n in sent.items() if row[0] >= since}) - found == Counter()


def test_one_window_that_never_adds_up_holds_up_nothing_and_is_named(tmp_path: Path) -> None:
    clock = FixedClock(END)
    lying = END - timedelta(hours=40)
    with simulator(clock, lying_count=((lying, lying + timedelta(minutes=10)),)) as server:
        home = home_of(tmp_path, server, clock, TRUTH.start)
        for _ in range(6):
            one(home)
            clock.advance(timedelta(minutes=5))
        assert is_stored(home) == must_be_stored(TRUTH, server, clock.now() - timedelta(minutes=5))
        watermark = rows(home, "select watermark from ledger.sources")[0][0]
        assert watermark == clock.now() - timedelta(minutes=5) - timedelta(minutes=150)
        refresh.build_and_publish(home)
        [gap] = rows(home, "select window_start, window_end, readings from marts.extraction_gaps")
        assert gap[0] <= lying < gap[1]
        assert gap[1] - gap[0] <= timedelta(hours=1)


def test_another_zone_or_site_under_the_same_name_is_refused(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock) as server:
        one(home_of(tmp_path, server, clock, TRUTH.start))
    with PiwikProSimulator(TRUTH, now=clock.now, zone="Asia/Tokyo") as moved:
        result = one(home_of(tmp_path, moved, clock, TRUTH.start))
    assert isinstance(result.error, SettingsError)
    assert "Asia/Tokyo" in str(result.error)


def test_months_that_vanish_at_the_source_stay(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock) as server:
        home = home_of(tmp_path, server, clock, TRUTH.start)
        one(home)
        before = is_stored(home)
    later = FixedClock(datetime(2027, 2, 3, 12, tzinfo=UTC))
    with simulator(later, retention_days=30) as server:
        home = home_of(tmp_path, server, later, TRUTH.start, source="retention_days = 30")
        refresh.extract(home, days=(TRUTH.start.date(), END.date()))
        assert is_stored(home) == before


def test_nothing_personal_is_asked_for(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock) as server:
        one(home_of(tmp_path, server, clock, TRUTH.start, source="real_time = true"))
        asked = str(list(server.requests.recent))
    assert "custom_event_name" in asked
    for personal in ("ipv4", "location_", "user_id", "cookie_id"):
        assert personal not in asked


def test_real_time_rows_stay_apart_until_raw_data_hold_them(tmp_path: Path) -> None:
    truth = generate(days=3, events_per_day=2_000, seed=5, end=END + timedelta(hours=4))
    clock = FixedClock(END)
    with simulator(clock, truth) as server:
        home = home_of(tmp_path, server, clock, END - timedelta(hours=30), source="real_time = true")
        one(home)
        count = "select count(*), min(event_ts) from raw.piwik_pro_provisional"
        first = rows(home, count)
        assert first[0][0] > 0
        assert first[0][1] >= END - timedelta(hours=1)
        assert rows(home, "select max(event_ts) from raw.piwik_pro_events")[0][0] < END
        clock.advance(timedelta(hours=4))
        one(home)
        assert rows(home, count)[0][1] >= clock.now() - timedelta(minutes=150)
    with home.warehouse.reader() as connection:
        assert ledger.state(connection, "installers") is not None


def test_a_start_that_is_still_to_come_is_refused_and_moves_nothing(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock) as server:
        one(home_of(tmp_path, server, clock, TRUTH.start))
        clock.advance(timedelta(hours=1))
        late = home_of(tmp_path, server, clock, END + timedelta(days=30))
        result = one(late)
        assert isinstance(result.error, SettingsError)
        assert "still to come" in str(result.error)
        assert rows(late, "select watermark from ledger.sources") == [(END - timedelta(minutes=150),)]


def test_two_meanings_of_one_column_are_refused(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock) as server:
        result = one(home_of(tmp_path, server, clock, TRUTH.start, source="slots = { duration = 1 }"))
    assert isinstance(result.error, SettingsError)
    assert "duration and os from one column, event_custom_dimension_1" in str(result.error)


class WithLoginPage(PiwikProSimulator):
    """Answers every request for raw data with a page, as a proxy does that wants a person to log in."""

    def answer(self, request: Request) -> tuple[Answer, str | None]:
        answer, fault = super().answer(request)
        return (page(200, "Sign in"), None) if request.path.rstrip("/").endswith("/events") else (answer, fault)


def test_a_server_that_answers_nonsense_to_everything_gives_nothing_up(tmp_path: Path) -> None:
    clock = FixedClock(END)
    quiet = Assumptions(rate_limit=False)
    with WithLoginPage(TRUTH, now=clock.now, assumed=quiet) as broken:
        for _ in range(7):
            home = home_of(tmp_path, broken, clock, TRUTH.start)
            result = one(home)
            assert result.error is not None
            assert "a page instead of data" in str(result.error)
            assert (result.unproven, result.requests < 20) == (0, True)
            clock.advance(timedelta(hours=2))
    assert rows(home, "select count(*) from ledger.windows") == [(0,)]
    with simulator(clock) as server:
        home = home_of(tmp_path, server, clock, TRUTH.start)
        assert one(home).error is None
        assert is_stored(home) == must_be_stored(TRUTH, server, clock.now())


def test_what_was_given_up_is_tried_again_once_a_night(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with simulator(clock, lying_count=((TRUTH.start, TRUTH.start + timedelta(hours=1)),)) as server:
        home = home_of(tmp_path, server, clock, TRUTH.start)
        for _ in range(6):
            one(home)
            clock.advance(timedelta(minutes=5))
    gaps = "select count(*) from ledger.windows where status = 'incomplete'"
    tried = rows(home, gaps)[0][0]
    assert tried >= 5
    with simulator(clock) as server:  # which counts right by now
        home = home_of(tmp_path, server, clock, TRUTH.start)
        one(home)
        with home.warehouse.reader() as connection:
            assert ledger.troubled_windows(connection, "installers", clock.now()) != []
        clock.advance(timedelta(days=1))
        one(home)
        with home.warehouse.reader() as connection:
            assert ledger.troubled_windows(connection, "installers", clock.now()) == []
    assert rows(home, gaps) == [(tried,)]
