"""The same question answered from the tables and by the live Matomo: the answers agree, and agree with the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.simulator import MatomoSimulator, generate
from matokit_pipelines.simulator.matomo_web import WebTruth
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from matokit_pipelines.warehouse.snapshots import publish
from tests.web_kits import TOOLS, asked, figures, kit_of, settings_at

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ZONE = "Europe/Copenhagen"
WEB = WebTruth.generate(days=40, visits_per_day=60, seed=3, end=NOW, zone=ZONE)
# A sum over days leaves out what Matomo keeps for itself: numbers of subtables, rates that have no parts in the answer.
NOT_SUMMED = ("idsubdatatable", "conversion_rate_", "avg_order_revenue_", "_page_rate", "_entry_rate", "_per_entry")
MAIN = ("entry_nb_visits", "nb_events", "nb_conversions")
SPANS: list[dict[str, Any]] = [
    {"date": "today"},
    {"date": "yesterday"},
    {"period": "week", "date": "2026-11-12"},
    {"period": "month", "date": "2026-11"},
    {"date": "last7"},
    {"date": "last7", "compare": "previous", "limit": 3},
    {"period": "range", "date": "2026-11-01,2026-11-10"},
    {"period": "week", "date": "last2"},
]


@dataclass
class Scene:
    """A simulated Matomo, and the kit of a home that has read it."""

    simulator: MatomoSimulator
    home: Home
    kit: Kit

    def both(self, endpoint: str, **arguments: Any) -> tuple[Any, Any]:
        """The answer of the tables, which asks Matomo nothing, and the live one."""
        before = self.simulator.requests.total
        tables = asked(self.kit, endpoint, **arguments)
        assert self.simulator.requests.total == before
        live = asked(self.kit, endpoint, **arguments, fresh=True)
        assert self.simulator.requests.total > before
        return figures(tables), figures(live)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    events = generate(days=3, events_per_day=10, seed=1, end=NOW)
    with MatomoSimulator(events, now=lambda: NOW, web=WEB) as simulator:
        folder = tmp_path_factory.mktemp("home")
        loaded = settings_at(folder, simulator.url, site="2", token=simulator.token, zone=ZONE)
        home = Home.of(loaded, FixedClock(NOW))
        while extract(home)[0].windows:
            pass
        build_and_publish(home)
        with kit_of(loaded, NOW) as kit:
            yield Scene(simulator, home, kit)


def by_label(rows: list[dict[str, Any]], label: str) -> dict[str, Any] | None:
    """The row of that label; None for one that fell out of the list among equals."""
    return next((row for row in rows if row["label"] == label), None)


def near(ours: Any, theirs: Any, path: str = "") -> None:
    """Equal but for the last digits of money and of means, which Matomo rounds before they are added up."""
    if isinstance(ours, list):
        assert len(ours) == len(theirs), path
        for one, other in zip(ours, theirs, strict=True):
            main = next((key for key in MAIN if key in one), "nb_visits")
            assert one.get(main) == other.get(main), path
            # rows of one rank stand in order of their labels here, and as they come there
            same = other if other.get("label") == one.get("label") else by_label(theirs, one["label"])
            if main == "entry_nb_visits" and same:
                same = {key: value for key, value in same.items() if key in one}
            near(one, same or one, f"{path}/{one.get('label')}")
    elif isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in {*ours, *theirs}:
            if any(part in key for part in NOT_SUMMED) or (key.startswith("sum_daily") and key not in theirs):
                continue
            if key == "avg_event_value" and theirs.get(key) == 0:
                continue  # a mean of nothing
            near(ours.get(key), theirs.get(key), f"{path}/{key}")
    elif (isinstance(ours, str) and isinstance(theirs, str)) or ours is None or theirs is None:
        assert ours == theirs, path
    else:
        slack = 0.011 if "avg_" in path else 1e-6
        assert abs(float(ours) - float(theirs)) <= slack * max(1.0, abs(float(theirs)) / 100), path


@pytest.mark.parametrize("endpoint", TOOLS)
def test_one_period_is_answered_alike(scene: Scene, endpoint: str) -> None:
    for span in SPANS[:4]:
        tables, live = scene.both(endpoint, **span)
        assert tables == live, span


@pytest.mark.parametrize("endpoint", TOOLS)
def test_several_periods_are_answered_alike(scene: Scene, endpoint: str) -> None:
    for span in SPANS[4:]:
        near(*scene.both(endpoint, **span), path=f"{span}")


def test_visits_are_those_of_the_truth(scene: Scene) -> None:
    by_day = dict(WEB.visits.group_by("day").agg(pl.len()).iter_rows())
    rows = asked(scene.kit, "get-key-numbers-historical", date="previous30")
    assert [row["nb_visits"] for row in rows] == [by_day.get(date.fromisoformat(row["date"]), 0) for row in rows]
    empty = WEB.empty_day.isoformat()
    (row,) = [row for row in figures(rows) if row["date"] == empty]
    assert row == {"date": empty, "nb_visits": 0}
    whole = asked(scene.kit, "get-key-numbers", date="previous30")
    assert whole["nb_visits"] == sum(row["nb_visits"] for row in rows)


def test_what_the_tables_do_not_hold_is_asked_live(scene: Scene) -> None:
    asking: list[dict[str, Any]] = [{"segment": "deviceType==smartphone"}, {"fresh": True}, {"date": "2026-09-01"}]
    for arguments in [*asking, {"period": "year"}]:
        before = scene.simulator.requests.total
        asked(scene.kit, "get-key-numbers", **arguments)
        assert scene.simulator.requests.total > before, arguments


def test_events_by_each_two_of_three(scene: Scene) -> None:
    (row, *_) = asked(scene.kit, "get-events", period="month", date="2026-11")
    assert row["label"] == f"{row['action']} - {row['name']}"
    for given in ({"action": row["action"].upper()}, {"name": row["name"]}):
        tables, live = scene.both("get-events", period="month", date="2026-11", **given)
        assert tables == live
        assert tables
    (category, *_) = asked(scene.kit, "get-event-categories", period="month", date="2026-11")
    for more in ({}, {"action": row["action"]}, {"name": row["name"]}):
        near(*scene.both("get-events", date="last7", category=category["label"], **more))


def test_rows_beside_those_before(scene: Scene) -> None:
    span = {"period": "range", "date": "2026-11-01,2026-11-10"}
    rows = asked(scene.kit, "get-most-popular-urls", **span, compare="previous")
    before = asked(scene.kit, "get-most-popular-urls", period="range", date="2026-10-22,2026-10-31", limit=1000)
    earlier = {row["label"]: row for row in before}
    for row in rows:
        there = earlier.get(row["label"], {"nb_hits": 0, "nb_visits": 0})
        assert row["previous"] == {key: there[key] for key in ("nb_hits", "nb_visits")}
        assert row["change"]["nb_visits"] == row["nb_visits"] - there["nb_visits"]


def test_the_day_is_that_of_the_site(scene: Scene) -> None:
    late = datetime(2026, 11, 19, 23, 30, tzinfo=UTC)  # the next day has begun in Copenhagen
    with kit_of(scene.kit.loaded, late) as kit:
        (row,) = asked(kit, "get-key-numbers-historical", date="today")
        assert row["date"] == (late + timedelta(hours=1)).date().isoformat() == "2026-11-20"


def test_a_new_snapshot_is_seen_at_once(scene: Scene) -> None:
    before = asked(scene.kit, "get-key-numbers", date="yesterday")["nb_visits"]
    with scene.home.warehouse.writer() as connection:
        connection.execute("update marts.web_visits set nb_visits = nb_visits + 7 where period = 'day'")
    publish(scene.home.warehouse, code_version="0", rule_version="0", project_zone=ZONE)
    scene.kit.clock.sleep(1)
    assert asked(scene.kit, "get-key-numbers", date="yesterday")["nb_visits"] == before + 7
