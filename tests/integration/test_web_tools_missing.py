"""Reports that some periods lack: refused, listed or switched on later. What was not read is not nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.clock import FixedClock
from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from matokit_pipelines.warehouse.refresh import Home, build_and_publish, extract
from tests.replay import Replay, recording
from tests.web_kits import asked, figures, kit_of, settings_at
from tests.web_replay import questions, web_replay

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
READ_ONCE = {"date": "2026-11-12"}  # a day that is not read again
ACROSS = {"period": "range", "date": "2026-11-14,2026-11-19"}
REFUSED = recording("error.unknown-module")["body"]


@dataclass
class Scene:
    """A shop whose Matomo answers some questions otherwise, the moment, and the kit of a home that reads it."""

    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    otherwise: dict[str, Any] = field(default_factory=dict)
    server: Replay = field(init=False)
    home: Home = field(init=False)
    kit: Kit = field(init=False)

    def answer(self, method: str, params: Mapping[str, str]) -> Any:
        if method == "Goals.get" and params.get("idGoal") == "2":
            return recording("Goals.get.idGoal1")["body"]
        return self.otherwise.get(method)

    def read(self) -> None:
        assert extract(self.home)[0].error is None
        build_and_publish(self.home)
        self.clock.advance(timedelta(seconds=1))  # then the server looks for a new snapshot

    def next_day(self) -> None:
        self.clock.advance(timedelta(days=1))
        self.read()

    def asks(self, endpoint: str, **arguments: Any) -> bool:
        before = len(questions(self.server))
        asked(self.kit, endpoint, **arguments)
        return len(questions(self.server)) > before


@contextmanager
def scene_of(folder: Path, **otherwise: Any) -> Iterator[Scene]:
    scene = Scene(otherwise=otherwise)
    scene.server = web_replay(scene.answer)
    with scene.server.serving() as server:
        loaded = settings_at(folder, server.url, site="2", first="2026-11-09")
        scene.home = Home.of(loaded, scene.clock)
        scene.read()
        with kit_of(loaded, scene.clock) as kit:
            scene.kit = kit
            yield scene


EVENTS = {"Events.getCategory": REFUSED, "Events.getAction": REFUSED}


def test_a_refused_report_is_not_one_without_rows(tmp_path: Path) -> None:
    with scene_of(tmp_path, **EVENTS) as scene:
        for endpoint in ("get-event-categories", "get-events"):
            for span in (READ_ONCE, ACROSS):
                with pytest.raises(Problem, match="not enabled"):
                    asked(scene.kit, endpoint, **span)
        assert not scene.asks("get-most-popular-urls", **READ_ONCE)


def test_days_before_a_plugin_was_on_are_no_zeros(tmp_path: Path) -> None:
    with scene_of(tmp_path, **EVENTS) as scene:
        scene.otherwise.clear()
        scene.next_day()
        recent = {"date": "2026-11-19"}
        assert not scene.asks("get-event-categories", **recent)
        assert scene.asks("get-event-categories", **ACROSS)
        ours = asked(scene.kit, "get-event-categories", **ACROSS)
        assert figures(ours) == figures(asked(scene.kit, "get-event-categories", **ACROSS, fresh=True))
        assert scene.asks("get-event-categories", **recent, compare="previous") is False


def test_page_views_of_some_days_only_have_no_sum(tmp_path: Path) -> None:
    with scene_of(tmp_path, **{"Actions.get": REFUSED}) as scene:
        assert not scene.asks("get-key-numbers", **ACROSS)
        scene.otherwise.clear()
        scene.next_day()
        assert scene.asks("get-key-numbers", **ACROSS)
        assert not scene.asks("get-key-numbers", **READ_ONCE)


def test_a_goal_that_was_listed_later_is_not_one_without_conversions(tmp_path: Path) -> None:
    both = recording("Goals.getGoals")["body"]
    with scene_of(tmp_path, **{"Goals.getGoals": [goal for goal in both if str(goal["idgoal"]) == "1"]}) as scene:
        assert not scene.asks("get-goal-conversions", **ACROSS)
        scene.otherwise.clear()
        scene.next_day()
        for arguments in ({}, {"goalId": "2"}):
            assert not scene.asks("get-goal-conversions", date="2026-11-19", **arguments)
            for span in (READ_ONCE, ACROSS):
                ours, live = (
                    asked(scene.kit, "get-goal-conversions", **span, **arguments, fresh=fresh)
                    for fresh in (False, True)
                )
                assert figures(ours) == figures(live)
                assert "2" in {row["id"] for row in ours}
        assert not scene.asks("get-goal-conversions", **ACROSS, goalId="1")


def test_orders_of_when_there_was_ecommerce_stay(tmp_path: Path) -> None:
    shop = recording("SitesManager.getSiteFromId.ecommerce")["body"]
    with scene_of(tmp_path) as scene:
        before = asked(scene.kit, "get-ecommerce-overview", **READ_ONCE)
        assert before["nb_conversions"] > 0
        scene.otherwise["SitesManager.getSiteFromId"] = {**shop, "ecommerce": 0}
        for _ in range(2):
            scene.next_day()
        after = asked(scene.kit, "get-ecommerce-overview", **READ_ONCE)
        assert "off" in after.pop("note")
        assert figures(after) == figures(before)
        (order,) = asked(scene.kit, "get-goal-conversions", **READ_ONCE, goalId="ecommerceOrder")
        assert (order["nb_conversions"], order["revenue"]) == (after["nb_conversions"], after["revenue"])
        assert asked(scene.kit, "get-ecommerce-overview", date="2026-11-21")["nb_conversions"] == 0
        across = {"date": "2026-11-12,2026-11-21"}
        series = asked(scene.kit, "get-ecommerce-revenue", **across)["series"]
        assert (series[0]["revenue"], series[-1]["revenue"]) == (before["revenue"], 0)
