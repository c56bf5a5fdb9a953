"""The readers on recorded answers of a real Matomo, beside what the predecessor made of the same answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.toolserver.problems import Problem
from tests.replay import Answer, Replay, recording, verbatim
from tests.web_kits import asked, figures, kit_of, settings_at

OPAL = Path(__file__).parents[1] / "fixtures" / "opal"
REAL = json.loads((OPAL / "predecessor-on-real-answers.json").read_text(encoding="utf-8"))["cases"]
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)  # the recorded last7 ends on that day
FACTS = recording("SitesManager.getSiteFromId.ecommerce")["body"]
MORE = {"as_of", "currency", "bounce_rate", "nb_visits", "revenue_per_visit", "conversion_rate", "action", "name"}
# what ours differs in is shown by test_predecessor_readers.py; these are the kept ones
KEPT = [
    case
    for case in REAL
    if case["response"]["status"] == 200
    and case["case"] == "one period"
    and case["request"]["path"] not in ("/tools/get-top-referrers", "/tools/get-event-categories")
]


def upstream(case: Mapping[str, Any]) -> dict[str, Any]:
    """Method -> recorded body of a case."""
    return {one["method"]: recording(one["recording"].removeprefix("matomo/"))["body"] for one in case["upstream"]}


def serving(bodies: Mapping[str, Any]) -> Replay:
    """A server that answers these methods, alone and in a bulk; the site is the recorded shop, never without visits."""
    known = {"SitesManager.getSiteFromId": FACTS, "SitesManager.getSitesIdWithAtLeastViewAccess": [1],
             "VisitsSummary.get": {"nb_visits": 849}, **bodies}  # fmt: skip

    def body(method: str) -> Any:
        return known.get(method, {"result": "error", "message": "The plugin is not enabled."})

    def answer(method: str, params: dict[str, str]) -> Answer:
        found = body(method)
        if method == "API.getBulkRequest":
            asked_for = [params[f"urls[{number}]"] for number in range(len(params)) if f"urls[{number}]" in params]
            found = [body(question.partition("method=")[2].partition("&")[0]) for question in asked_for]
        return 200, "application/json; charset=utf-8", json.dumps(found).encode()

    return Replay(instead=answer)


@pytest.mark.parametrize("case", KEPT, ids=[case["request"]["path"] for case in KEPT])
def test_one_period(case: Mapping[str, Any], tmp_path: Path) -> None:
    with serving(upstream(case)).serving() as server, kit_of(settings_at(tmp_path, server.url), NOW) as kit:
        ours = figures(asked(kit, case["request"]["path"], **case["request"]["parameters"]))
    theirs = case["response"]["body"]
    if isinstance(theirs, list):
        assert len(ours) >= len(theirs) - 1  # the recording cuts lists short and says so in its last entry
        pairs = list(zip(ours, (row for row in theirs if isinstance(row, dict)), strict=False))
        assert pairs
    elif "totals" in theirs:
        pairs = [(ours["totals"], theirs["totals"])]
    else:
        pairs = [(ours, theirs)]
    for mine, other in pairs:
        assert {key: mine.get(key) for key in other} == other
        assert set(mine) - set(other) <= MORE
        assert [key for key in mine if key in other] == list(other)


def test_the_series_of_seven_days(tmp_path: Path) -> None:
    (case,) = [one for one in REAL if one["case"] == "last7"]
    with serving(upstream(case)).serving() as server, kit_of(settings_at(tmp_path, server.url), NOW) as kit:
        ours = figures(asked(kit, "get-key-numbers-historical", **case["request"]["parameters"]))
        sums = figures(asked(kit, "get-key-numbers", **case["request"]["parameters"]))
    theirs = [row for row in case["response"]["body"] if isinstance(row, dict)]
    assert ours[: len(theirs)] == theirs
    assert len(ours) == 7
    # what Matomo itself says of the same seven days as one range
    whole = recording("VisitsSummary.get.range-last7")["body"]
    assert {key: sums.get(key) for key in whole} == whole
    assert "nb_uniq_visitors" not in sums


def test_weeks_and_a_month_without_data(tmp_path: Path) -> None:
    weeks = recording("VisitsSummary.get.week-multi")["body"]
    with (
        serving({"VisitsSummary.get": weeks}).serving() as server,
        kit_of(settings_at(tmp_path, server.url), NOW) as kit,
    ):
        rows = asked(kit, "get-key-numbers-historical", period="week", date="2026-11-11,2026-11-20")
        whole = asked(kit, "get-key-numbers", period="week", date="2026-11-11,2026-11-20")
    assert [row["date"] for row in rows] == list(weeks)
    assert (whole["nb_visits"], whole["sum_weekly_nb_uniq_visitors"]) == (894, 797)

    months = recording("VisitsSummary.get.month-multi")["body"]
    bodies = {"VisitsSummary.get": months, "Live.getLastVisitsDetails": []}
    with serving(bodies).serving() as server, kit_of(settings_at(tmp_path, server.url), NOW) as kit:
        rows = asked(kit, "get-key-numbers-historical", period="month", date="2026-10-01,2026-11-30")
    assert figures(rows)[0] == {"date": "2026-10", "nb_visits": 0}
    assert rows[1]["nb_uniq_visitors"] == 750


def test_each_goal_of_the_shop(tmp_path: Path) -> None:
    def answer(method: str, params: dict[str, str]) -> Answer:
        one = {
            "1": "Goals.get.idGoal1", "2": "Goals.get.empty", "ecommerceOrder": "Goals.get.ecommerceOrder",
            "ecommerceAbandonedCart": "Goals.get.ecommerceAbandonedCart",
        }  # fmt: skip
        bodies = {"SitesManager.getSiteFromId": FACTS, "Goals.getGoals": recording("Goals.getGoals")["body"]}
        found: Any = bodies.get(method)
        if method == "API.getBulkRequest":
            found = [
                next((recording(file)["body"] for goal, file in one.items() if f"idGoal={goal}&" in f"{url}&"),
                     {"nb_visits": 849})
                for url in params.values() if url.startswith("method=")
            ]  # fmt: skip
        return 200, "application/json", json.dumps(found).encode()

    with Replay(instead=answer).serving() as server, kit_of(settings_at(tmp_path, server.url), NOW) as kit:
        span = {"period": "range", "date": "2026-11-11,2026-11-20"}
        rows = figures(asked(kit, "get-goal-conversions", **span))
        (cart,) = figures(asked(kit, "get-goal-conversions", **span, goalType="ecommerce_cart"))
    assert rows[0] == {"id": "1", "label": "Newsletter sign-up", "type": "url", "nb_conversions": 69,
                       "nb_visits_converted": 69, "revenue": 345, "currency": "EUR"}  # fmt: skip
    assert [(row["id"], row["nb_conversions"]) for row in rows] == [("1", 69), ("ecommerceOrder", 64), ("2", 0)]
    assert (cart["label"], cart["type"], cart["revenue"]) == ("Abandoned Cart", "ecommerce_cart", 17811.55)


def test_referrers_by_name_and_categories_alone(tmp_path: Path) -> None:
    bodies = {name: recording(name)["body"] for name in ("Referrers.getAll", "Events.getCategory")}
    span = {"period": "range", "date": "2026-11-11,2026-11-20"}
    with serving(bodies).serving() as server, kit_of(settings_at(tmp_path, server.url), NOW) as kit:
        referrers = asked(kit, "get-top-referrers", **span)
        categories = asked(kit, "get-event-categories", **span)
    assert referrers[0]["label"] == "Keyword not defined"
    assert {row["referrer_type"] for row in referrers} <= {2, 3, 6, 7}
    assert [row["label"] for row in categories] == [row["label"] for row in bodies["Events.getCategory"]]


@pytest.mark.parametrize(
    ("name", "status"),
    [("error.no-access-to-site", 403), ("error.unknown-site", 400), ("error.invalid-period", 400),
     ("error.invalid-segment", 400)],
)  # fmt: skip
def test_refusals(name: str, status: int, tmp_path: Path) -> None:
    version = verbatim("API.getMatomoVersion.view-token")

    def answer(method: str, params: dict[str, str]) -> Answer:
        if method == "SitesManager.getSiteFromId":
            return 200, "application/json", json.dumps(FACTS).encode()
        if method in ("API.getMatomoVersion", "SitesManager.getSitesIdWithAtLeastViewAccess"):
            return version if method == "API.getMatomoVersion" else (200, "application/json", b"[1]")
        return verbatim(name)

    with (
        Replay(instead=answer).serving() as server,
        kit_of(settings_at(tmp_path, server.url), NOW) as kit,
        pytest.raises(Problem) as refusal,
    ):
        asked(kit, "get-campaigns", segment="nope==1", siteId=2)
    assert refusal.value.status == status
    assert refusal.value.guidance
