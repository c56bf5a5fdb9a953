"""Web reports that are not archived yet, that take their time at first, and that keep what they have counted."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from matokit_pipelines.simulator import Faults
from tests.contract.matomo_web_asking import END, asking

pytestmark = pytest.mark.slow

METHODS = [
    "VisitsSummary.get",
    "Actions.get",
    "Actions.getPageUrls",
    "Actions.getEntryPageUrls",
    "Referrers.getReferrerType",
    "Referrers.getAll",
    "Referrers.getCampaigns",
    "DevicesDetection.getType",
    "Goals.get",
    "Events.getCategory",
    "Events.getAction",
    "Events.getName",
]
DAY = {"period": "day", "date": "2026-11-18", "flat": 1}


def is_nothing(answer: Any) -> bool:
    if isinstance(answer, list):
        return not answer
    return all(value in (0, "0%") for value in answer.values())


@pytest.mark.parametrize("method", METHODS)
def test_a_report_not_archived_is_nothing_at_first(method: str) -> None:
    with asking(faults=Faults(not_archived=2)) as ask:
        answers = [ask(method, **DAY) for _ in range(3)]
        assert [is_nothing(answer) for answer in answers] == [True, True, False]
        assert ask.sim.struck["not_archived"] == 2
        # The visits log needs no archiving, and the other site has archives of its own.
        assert ask("Live.getLastVisitsDetails", period="day", date="2026-11-18", filter_limit=1)
        assert is_nothing(ask("VisitsSummary.get", 1, **DAY))


@pytest.mark.parametrize("method", METHODS)
def test_days_are_archived_some_time_after_their_end(method: str) -> None:
    clock = [END]
    with (
        asking(faults=Faults(archived_after_seconds=16 * 3_600), now=lambda: clock[0]) as ask,
        asking() as whole,
    ):
        # It is 16:00: yesterday is archived, to the second, and today is not.
        assert ask(method, **DAY | {"date": "2026-11-21"}) == whole(method, **DAY | {"date": "2026-11-21"})
        assert is_nothing(ask(method, **DAY | {"date": "today"}))
        until_yesterday = DAY | {"period": "range", "date": "2026-11-16,2026-11-21"}
        with_today = until_yesterday | {"date": "2026-11-16,2026-11-22"}
        assert ask(method, **with_today) == ask(method, **until_yesterday)
        clock[0] = END + timedelta(days=1)
        assert not is_nothing(ask(method, **DAY | {"date": "2026-11-22"}))


def test_the_first_request_of_a_report_and_period_takes_its_time() -> None:
    faults = Faults(first_seconds={"day": 0.05, "month": 0.4})
    with asking(faults=faults) as ask:

        def took(method: str, **params: Any) -> float:
            began = time.monotonic()
            ask(method, **params)
            return time.monotonic() - began

        ask("VisitsSummary.get", period="range", date="last31")
        month = {"period": "month", "date": "2026-11-01", "flat": 1}
        assert took("Actions.getPageUrls", **month) >= 0.4
        assert took("Actions.getPageUrls", **month) < 0.4
        # Another choice of rows is the same report, another segment is not.
        assert took("Actions.getPageUrls", filter_limit=3, **month) < 0.4
        assert took("Actions.getPageUrls", segment="deviceType==desktop", **month) >= 0.4
        assert took("VisitsSummary.get", period="day", date="2026-11-10,2026-11-17") >= 8 * 0.05
        assert ask.sim.struck["first_time"] == 2 + 8


def test_a_slow_first_time_holds_nobody_else_up() -> None:
    with asking(faults=Faults(first_seconds={"month": 1.0})) as ask, ThreadPoolExecutor(2) as pool:
        ask("VisitsSummary.get", period="range", date="last31")
        slow = pool.submit(ask, "Goals.get", period="month", date="2026-11-01")
        ask("VisitsSummary.get", period="day", date="2026-11-18")
        assert not slow.done()
        assert slow.result(timeout=10)["nb_conversions"] > 0


def test_transient_faults_strike_web_reports_too() -> None:
    with asking(faults=Faults(sqlstate=1.0, most_in_a_row=1)) as ask:
        first, second = (ask.send({"method": "Goals.get", "idSite": 2, **DAY}) for _ in range(2))
        assert (first.status_code, second.status_code) == (500, 200)
