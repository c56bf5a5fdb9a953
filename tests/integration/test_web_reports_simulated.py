"""Web reports of the simulated download site, held to its truth: sums, late counting, events beside them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import polars as pl
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import Faults, MatomoSimulator, Truth, WebTruth, generate
from matokit_pipelines.warehouse import refresh
from matokit_pipelines.warehouse.probe import probe
from matokit_pipelines.warehouse.refresh import Home
from tests.replay import rows_of, utc
from tests.web_replay import web_home

pytestmark = pytest.mark.slow

NOW = utc(2026, 11, 22, 15)
ZONE = "Europe/Copenhagen"
ALL = "[web_reports]\ndays = 60\nrows = 500\nfirst_time_periods = 100"
BOTH = """
[[sources]]
name = "installers"
kind = "matomo"
url = "{url}"
site_id = "1"
start_date = 2026-11-08
"""


@cache
def web() -> WebTruth:
    return WebTruth.generate(days=40, visits_per_day=60, seed=5, end=NOW, zone=ZONE)


@cache
def installers() -> Truth:
    return generate(days=14, events_per_day=120, seed=5, end=NOW, zone=ZONE)


def visits_by_day() -> dict[date, int]:
    counts = web().visits.group_by("day").len()
    return dict(counts.select("day", "len").iter_rows())


def home_of(folder: Path, server: MatomoSimulator, clock: FixedClock, settings: str = ALL) -> Home:
    return web_home(folder, server.url, now=clock, token=server.token, settings=settings, zone=ZONE)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """The whole site, read and derived."""
    with MatomoSimulator(installers(), now=lambda: NOW, web=web()) as server:
        made = home_of(tmp_path_factory.mktemp("site"), server, FixedClock(NOW))
        [result] = refresh.extract(made)
        assert result.error is None
        refresh.build_and_publish(made)
        yield made


def test_every_day_is_that_of_the_truth_also_the_one_without_a_visit(home: Home) -> None:
    found = dict(rows_of(home, "select period_start, nb_visits from marts.web_visits where period = 'day'"))
    assert found.pop(web().empty_day) == 0
    assert found == visits_by_day()
    states = rows_of(home, "select distinct state from marts.web_periods where period_start <> current_date")
    assert {state for (state,) in states} == {"final", "provisional"}


ADDITIVE = [
    ("web_visits", ("nb_visits", "nb_actions", "sum_visit_length", "bounce_count", "nb_visits_converted"), ""),
    ("web_actions", ("nb_pageviews",), ""),
    ("web_page_urls", ("nb_hits", "sum_time_spent"), "label"),
    ("web_entry_pages", ("entry_nb_visits", "entry_bounce_count"), "label"),
    ("web_referrer_types", ("nb_visits", "nb_actions"), "referrer_type"),
    ("web_referrers", ("nb_visits",), "label, referrer_type"),
    ("web_campaigns", ("nb_visits", "revenue"), "label"),
    ("web_device_types", ("nb_visits", "sum_visit_length"), "label"),
    ("web_event_categories", ("nb_events", "sum_event_value"), "label"),
    ("web_events", ("nb_events",), "pair, label"),
    ("web_goals", ("nb_conversions", "revenue"), "goal_id"),
    ("web_ecommerce", ("nb_conversions", "revenue", "items", "revenue_tax"), ""),
]


@pytest.mark.parametrize(("table", "figures", "by"), ADDITIVE)
@pytest.mark.parametrize("period", ["week", "month"])
def test_the_days_of_a_week_or_month_add_up_to_it(
    home: Home, table: str, figures: tuple[str, ...], by: str, period: str
) -> None:
    sums = ", ".join(f"sum({figure}) as {figure}" for figure in figures)
    keys = f"period_start{', ' + by if by else ''}"
    wanted = f"select {keys}, {sums} from marts.{table} where period = '{period}' group by all having {figures[0]} > 0"
    start = f"cast(date_trunc('{period}', period_start) as date) as period_start"
    days = f"select {start}{', ' + by if by else ''}, {sums} from marts.{table} where period = 'day'"
    with home.warehouse.reader() as connection:
        of_period: pl.DataFrame = connection.sql(f"{wanted} order by all").pl()
        of_days: pl.DataFrame = connection.sql(f"{days} group by all having {figures[0]} > 0 order by all").pl()
    assert of_period.height == of_days.height > 0
    keyed = [column for column in of_period.columns if column not in figures]
    assert of_period.select(keyed).equals(of_days.select(keyed))
    for figure in figures:
        assert of_period[figure].to_list() == pytest.approx(of_days[figure].to_list(), abs=0.02)


def test_unique_visitors_are_told_by_period_and_never_more_than_their_days(home: Home) -> None:
    rows = rows_of(
        home,
        "select nb_uniq_visitors, (select sum(d.nb_uniq_visitors) from marts.web_visits d where d.period = 'day' and "
        "d.period_start between w.period_start and w.period_start + 6) from marts.web_visits w where period = 'week'",
    )
    assert rows
    assert all(0 < week <= days for week, days in rows)
    assert any(week < days for week, days in rows)


def test_a_server_that_counts_late_is_unknown_first_and_right_in_the_end(tmp_path: Path) -> None:
    clock = FixedClock(NOW)
    settings = "[web_reports]\ndays = 20\nweeks = 0\nmonths = 0\nfirst_time_periods = 30"
    with MatomoSimulator(installers(), now=clock.now, web=web(), faults=Faults(not_archived=1)) as server:
        home = home_of(tmp_path, server, clock, settings)
        refresh.extract(home)
        refresh.build_and_publish(home)
        unknown = rows_of(home, "select count(*) from marts.web_periods where state = 'unknown'")[0][0]
        assert unknown == 19
        assert rows_of(home, "select count(*) from marts.web_page_urls") == [(0,)]
        for _ in range(6):
            clock.advance(timedelta(hours=5))
            if probe(home).is_due:
                refresh.extract(home)
                refresh.build_and_publish(home)
    found = dict(rows_of(home, "select period_start, nb_visits from marts.web_visits where nb_visits > 0"))
    kept_from = clock.now().date() - timedelta(days=19)
    expected = {day: visits for day, visits in visits_by_day().items() if kept_from <= day < NOW.date()}
    assert {day: visits for day, visits in found.items() if day < NOW.date()} == expected
    assert rows_of(home, "select count(*) from marts.web_periods where state = 'unknown'") == [(0,)]


def test_reports_beside_events_move_nothing_of_the_events(tmp_path: Path) -> None:
    with MatomoSimulator(installers(), now=lambda: NOW, web=web()) as server:
        few = "[web_reports]\ndays = 2\nweeks = 0\nmonths = 1"
        both = web_home(
            tmp_path, server.url, now=NOW, token=server.token, settings=few, zone=ZONE,
            source='provides = ["web_reports"]' + BOTH.format(url=server.url),
            further={"MATOKIT_INSTALLERS_TOKEN": server.token},
        )  # fmt: skip
        events, reports = refresh.extract(both)
        assert (events.source, events.what, reports.source, reports.what) == (
            "installers", "events", "shop", "web reports",
        )  # fmt: skip
        assert events.error is reports.error is None
        built = refresh.build_and_publish(both)
        assert built.manifest
        assert built.manifest.watermark == events.watermark
        [only] = refresh.extract(both, only="shop")
        assert (only.source, only.requests) == ("shop", 0)
    assert rows_of(both, "select source from ledger.sources") == [("installers",)]
    counted = rows_of(both, "select sum(events) from marts.sent_events_daily")[0][0]
    assert counted == installers().events.filter(pl.col("category").is_not_null()).height


def test_one_source_may_give_both(tmp_path: Path) -> None:
    with MatomoSimulator(installers(), now=lambda: NOW, web=web()) as server:
        home = web_home(
            tmp_path, server.url, now=NOW, token=server.token, zone=ZONE, site="1",
            settings="[web_reports]\ndays = 2\nweeks = 0\nmonths = 0",
            source='provides = ["installer_events", "web_reports"]\nstart_date = 2026-11-09',
        )  # fmt: skip
        results = refresh.extract(home)
        refresh.build_and_publish(home)
    assert [(result.source, result.what, result.error) for result in results] == [
        ("shop", "events", None), ("shop", "web reports", None),
    ]  # fmt: skip
    # Matomo's count of a category and ours of what was extracted are the same, by all parts of an event
    same = rows_of(
        home,
        "select r.label, r.nb_events, sum(e.events) from marts.web_event_categories r join marts.sent_events_daily e "
        "on e.event_date = r.period_start and e.category = r.label where r.period_start = date '2026-11-21' "
        "group by all",
    )
    assert same
    assert all(reported == extracted for _, reported, extracted in same)
