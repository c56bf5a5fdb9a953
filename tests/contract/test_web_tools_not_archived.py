"""Days that a Matomo has not archived yet: it reports zeros, and no answer makes traffic out of that, or none of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import Faults, MatomoSimulator, generate
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests.web_kits import asked, kit_of, settings_at

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONE = "Europe/Copenhagen"
WEB = WebTruth.generate(days=10, visits_per_day=40, seed=5, end=NOW, zone=ZONE)
VISITS: dict[date, int] = dict(WEB.visits.group_by("day").agg(pl.len()).iter_rows())
LATE = 2  # days after which a day is archived
OLD = NOW.date() - timedelta(days=LATE + 2)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    events = generate(days=3, events_per_day=10, seed=1, end=NOW)
    faults = Faults(archived_after_seconds=LATE * 86_400)
    with MatomoSimulator(events, now=lambda: NOW, web=WEB, faults=faults) as simulator:
        folder = tmp_path_factory.mktemp("home")
        loaded = settings_at(folder, simulator.url, site="2", token=simulator.token, zone=ZONE)
        home = Home.of(loaded, FixedClock(NOW))
        for _ in range(4):
            extract(home)
        build_and_publish(home)
        with kit_of(loaded, NOW) as made:
            yield made


def test_the_tables_know_that_they_do_not_know(kit: Kit) -> None:
    states = kit.snapshots.rows("select period_start, state from web_periods where period = 'day'")
    by_day = {row["period_start"]: row["state"] for row in states}
    assert by_day[OLD] == "final"
    assert by_day[NOW.date() - timedelta(days=1)] == "unknown"


def test_figures_are_null_and_say_why(kit: Kit) -> None:
    for fresh in (False, True):
        ours = asked(kit, "get-key-numbers", date="yesterday", fresh=fresh)
        assert ours["nb_visits"] is None
        assert "2026-11-19" in ours["note"]
        whole = asked(kit, "get-key-numbers", date="last7", fresh=fresh)
        assert whole["nb_visits"] is None
    revenue = asked(kit, "get-ecommerce-revenue", date="last7")
    assert revenue["totals"] == {"revenue": None, "nb_conversions": None}
    assert revenue["note"]


def test_the_series_holds_what_is_known(kit: Kit) -> None:
    rows = {row["date"]: row["nb_visits"] for row in asked(kit, "get-key-numbers-historical", date="last7")}
    for text, visits in rows.items():
        day = date.fromisoformat(text)
        if day <= OLD:
            assert visits == VISITS.get(day, 0)
        else:
            assert visits in (None, VISITS.get(day, 0))
    assert rows["2026-11-19"] is None


@pytest.mark.parametrize("endpoint", ["get-most-popular-urls", "get-campaigns", "get-events", "get-goal-conversions"])
def test_a_list_is_refused_for_now(kit: Kit, endpoint: str) -> None:
    with pytest.raises(Problem) as refusal:
        asked(kit, endpoint, date="yesterday")
    assert refusal.value.status == 503
    assert "archiv" in refusal.value.guidance
    assert asked(kit, endpoint, date=OLD.isoformat()) is not None


def test_nothing_comparable_is_null(kit: Kit) -> None:
    ours = asked(kit, "get-key-numbers", date="yesterday", compare="previous")
    assert (ours["previous"], ours["change"]) == (None, None)
