"""Hits through the tool server into the simulated Matomo: what its reports say then, also after it was away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from matokit_pipelines.clock import Clock, FixedClock
from tests.contract.matomo_web_asking import END, WEB, Asking
from tests.serving import Served, loaded_with, served

VISITOR = "0123456789abcdef"
PAGE = "https://get.example.org/pricing"
TODAY = {"period": "day", "date": "today"}


@contextmanager
def website(folder: Path, clock: Clock) -> Iterator[tuple[Asking, Served]]:
    """The Matomo and a tool server that tracks into its web site."""
    ask = Asking(now=clock.now)
    with ask.sim:
        loaded = loaded_with(
            folder, "[toolserver]\ntracking = true\n", MATOMO_BASE_URL=ask.sim.url, MATOMO_TOKEN=ask.sim.token,
            MATOMO_DEFAULT_SITE_ID=str(WEB),
        )  # fmt: skip
        with served(loaded, clock) as running:
            yield ask, running


def visits(ask: Asking) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask("Live.getLastVisitsDetails", segment=f"visitorId=={VISITOR}")
    return found


def test_a_visit_in_three_hits_is_a_visit_in_the_reports(tmp_path: Path) -> None:
    with website(tmp_path, FixedClock(END)) as (ask, running):
        before = ask("VisitsSummary.get", **TODAY), ask("Goals.get", idGoal=3, **TODAY)
        common = {"visitorId": VISITOR, "referrer": "https://www.linkedin.com/feed"}
        view = running.call("/track/pageview", {"url": PAGE, "actionName": "Prices", **common})
        assert running.call("/track/event", {"category": "Plan", "action": "picked", "value": "2.5", "url": PAGE,
                                             **common}) == {"ok": True, "status": 204}  # fmt: skip
        running.call("/track/goal", {"goalId": "3", "revenue": "10.5", "url": PAGE, **common})
        after = ask("VisitsSummary.get", **TODAY), ask("Goals.get", idGoal=3, **TODAY)
        assert after[0]["nb_visits"] == before[0]["nb_visits"] + 1
        assert after[0]["nb_actions"] == before[0]["nb_actions"] + 2
        assert round(after[1]["revenue"] - before[1]["revenue"], 6) == 10.5
        (visit,) = visits(ask)
        assert visit["referrerName"] == "LinkedIn"
        assert [row["type"] for row in visit["actionDetails"]] == ["action", "event", "goal"]
        assert visit["actionDetails"][1]["eventValue"] == 2.5
        assert ask.sim.tracked[0]["pv_id"] == view["pvId"]


def test_hits_of_an_outage_come_later_in_order_and_with_their_time(tmp_path: Path) -> None:
    clock = FixedClock(END - timedelta(hours=3))
    with website(tmp_path, clock) as (ask, running):
        ask.sim.tracking_trouble.refuse(1, 503, retry_after=900)
        for number in range(3):
            answer = running.call("/track/pageview", {"url": f"{PAGE}?n={number}", "visitorId": VISITOR})
            assert (answer["status"], answer["queued"]) == (202, True)
            clock.advance(timedelta(seconds=60))
        clock.advance(END - clock.now())
        assert ask.sim.wait_for_tracked(3, 20)
        assert [hit["url"] for hit in ask.sim.tracked] == [f"{PAGE}?n={number}" for number in range(3)]
        (visit,) = visits(ask)
        assert visit["firstActionTimestamp"] == int((END - timedelta(hours=3)).timestamp())
        assert visit["lastActionTimestamp"] - visit["firstActionTimestamp"] == 120


def test_a_lost_answer_counts_twice_without_a_key_and_once_with_one(tmp_path: Path) -> None:
    clock = FixedClock(END)
    with website(tmp_path, clock) as (ask, running):
        ask.sim.tracking_trouble.drop(1, "after")
        event = {"category": "c", "action": "a", "visitorId": VISITOR}
        lost = running.post("/track/event", {**event, "name": "keyed", "idempotencyKey": "k"})
        assert (lost.status_code, lost.json()["type"]) == (502, "network")
        clock.advance(timedelta(seconds=6))  # it is left alone for five
        ask.sim.tracking_trouble.drop(1, "after")
        assert running.call("/track/event", {**event, "name": "plain"})["status"] == 202
        clock.advance(timedelta(seconds=6))
        assert ask.sim.wait_for_tracked(3, 20)
        again = running.post("/track/event", {**event, "name": "keyed", "idempotencyKey": "k"})
        assert again.json() == lost.json()
    assert [hit["e_n"] for hit in ask.sim.tracked] == ["keyed", "plain", "plain"]
