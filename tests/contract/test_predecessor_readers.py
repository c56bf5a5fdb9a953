"""Every recorded answer of the predecessor's readers beside ours, with the recorded upstream answers behind both.

Where ours differs, the case names the differences; no other is allowed, and each listed one is shown here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from matokit_pipelines.toolserver.kit import Kit
from matokit_pipelines.toolserver.problems import Problem
from tests.opal_differences import DIFFERENCES, part, part_in_document
from tests.replay import TOKEN, Replay
from tests.web_kits import asked, kit_of, settings_at
from tests.web_replay import body_of, questions, web_replay

OPAL = Path(__file__).parents[1] / "fixtures" / "opal"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # the recorded last7 ends on that day
DAYS = [f"2026-11-{day}" for day in range(14, 21)]
AS_OF = "2026-11-20T12:00:00Z"
VIEWS = {"nb_pageviews": 995, "nb_uniq_pageviews": 809}
ADDED: Mapping[str, set[str]] = {  # difference -> the keys it adds
    "as_of": {"as_of"},
    "currency": {"currency"},
    "rates": {"bounce_rate"},
    "historical_views": set(VIEWS),
    "event_parts": {"action"},
    "ecommerce_visits": {"nb_visits", "revenue_per_visit"},
    "totals_rate": {"conversion_rate"},
}
SHOWN: set[str] = {"totals_rate"}


def shows(*names: str) -> Callable[[Any], Any]:
    """The test shows these differences."""
    SHOWN.update(names)
    return lambda test: test


def recorded(tool: str, case: str) -> dict[str, Any]:
    """One recorded case: request, response, upstream."""
    found = json.loads((OPAL / f"predecessor-{tool}.json").read_text(encoding="utf-8"))
    one: dict[str, Any] = next(entry for entry in found["cases"] if entry["case"].startswith(case))
    return one


def body(tool: str, case: str) -> Any:
    """What the predecessor answered."""
    return recorded(tool, case)["response"]["body"]


def theirs(tool: str, case: str) -> tuple[dict[str, Any], Any]:
    """The parameters of a recorded call, and its answer."""
    one = recorded(tool, case)
    return one["request"]["body"]["parameters"], one["response"]["body"]


def without(row: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


ROWS = {
    "Actions.getPageUrls": body("get-most-popular-urls", "limit 3"),
    "Actions.getEntryPageUrls": body("get-entry-pages", "limit 2"),
    "Referrers.getReferrerType": body("get-traffic-channels", "all"),
    "Referrers.getCampaigns": body("get-campaigns", "defaults"),
    "Events.getAction": body("get-events", "with filters"),
    "Events.getCategory": body("get-event-categories", "defaults"),
    "DevicesDetection.getType": body("get-device-types", "defaults"),
}
HISTORY: dict[str, Any] = {row["date"]: without(row, "date") if row["nb_visits"] else [] for row in
           body("get-key-numbers-historical", "defaults only")}  # fmt: skip
SERIES = {row["label"]: without(row, "label") for row in body("get-ecommerce-revenue", "last7 with series")["series"]}
MONTHLY = {"2": {"nb_conversions": 18, "nb_visits_converted": 18},
           "ecommerceOrder": {"nb_conversions": 48, "nb_visits_converted": 32, "revenue": 16420}}  # fmt: skip


def upstream(method: str, params: Mapping[str, str]) -> Any:
    """What the predecessor was given, by question; what it never asked is as on a plain site."""
    several = "," in params.get("date", "") and params.get("period") != "range"
    if method == "VisitsSummary.get":
        return HISTORY if several else without(body("get-key-numbers", "defaults only"), *VIEWS)
    if method == "Actions.get":
        return {day: VIEWS if figures else [] for day, figures in HISTORY.items()} if several else VIEWS
    if method == "Goals.get" and several:
        return {day: SERIES.get(day, []) for day in DAYS}
    if method == "Goals.get" and (params["idGoal"] == "2" or params["period"] == "month"):
        return MONTHLY[params["idGoal"]]
    if method == "Goals.get":
        return body("get-ecommerce-overview", "single day")
    if method == "Goals.getGoals":
        return [{"idgoal": 2, "name": "Newsletter Signup", "match_attribute": "manually"}]
    if method == "SitesManager.getSiteFromId":
        return {"idsite": 1, "name": "Stub", "timezone": "UTC", "currency": "EUR", "ecommerce": 1}
    if method == "Live.getLastVisitsDetails":
        return []
    if method == "Referrers.getAll":
        return body_of(method, params)
    limit = int(params["filter_limit"])
    return ROWS[method][: limit if limit > 0 else None]


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with web_replay(upstream).serving() as replay:
        yield replay


@pytest.fixture(scope="module")
def kit(server: Replay, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    with kit_of(settings_at(tmp_path_factory.mktemp("home"), server.url), NOW) as made:
        yield made


def assert_same(ours: Any, recorded_answer: Any, differences: set[str]) -> None:
    """Every field of theirs with its value, type and place; beside them only what the differences add."""
    allowed = set().union(*(ADDED[name] for name in differences))
    seen: set[str] = set()
    pairs = [(ours, recorded_answer)] if isinstance(ours, dict) else list(zip(ours, recorded_answer, strict=True))
    for mine, other in pairs:
        assert {key: mine.get(key) for key in other} == other
        assert [key for key in mine if key in other] == list(other)
        assert {key: type(mine[key]) for key in other} == {key: type(value) for key, value in other.items()}
        seen |= set(mine) - set(other)
    assert seen == allowed


KEPT = [
    ("get-key-numbers", "defaults only", {"as_of"}),
    ("get-key-numbers", "explicit", {"as_of"}),
    ("get-key-numbers", "same call again", {"as_of"}),
    ("get-most-popular-urls", "limit 3", {"as_of"}),
    ("get-most-popular-urls", "same call again", {"as_of"}),
    ("get-most-popular-urls", "limit as string", {"as_of"}),
    ("get-entry-pages", "limit 2", {"as_of"}),
    ("get-campaigns", "defaults", {"as_of", "currency"}),
    ("get-device-types", "defaults", {"as_of", "rates"}),
    ("get-traffic-channels", "all", {"as_of", "currency", "rates"}),
    ("get-traffic-channels", "alias search", {"as_of", "currency", "rates"}),
    ("get-traffic-channels", "alias social", {"as_of", "currency", "rates"}),
    ("get-event-categories", "defaults", {"as_of"}),
    ("get-events", "limit 1", {"as_of", "event_parts"}),
    ("get-ecommerce-overview", "single day", {"as_of", "currency", "ecommerce_visits"}),
    ("get-goal-conversions", "goalType manually", {"as_of"}),
]


@shows("as_of", "currency", "rates", "event_parts", "ecommerce_visits", "tables")
@pytest.mark.parametrize(("tool", "case", "differences"), KEPT, ids=[f"{tool}-{case}" for tool, case, _ in KEPT])
def test_what_is_kept(kit: Kit, tool: str, case: str, differences: set[str]) -> None:
    arguments, answer = theirs(tool, case)
    assert_same(asked(kit, tool, **arguments), answer, differences)


@shows("historical_views")
def test_the_series_has_page_views_too(kit: Kit) -> None:
    arguments, answer = theirs("get-key-numbers-historical", "defaults only")
    ours = asked(kit, "get-key-numbers-historical", **arguments)
    assert_same(ours, answer, {"as_of", "historical_views"})
    assert [without(row, "as_of") for row in ours if not row["nb_visits"]] == [{"date": "2026-11-16", "nb_visits": 0}]


@shows("historical_single", "dates")
def test_a_single_date_is_one_row(kit: Kit, server: Replay) -> None:
    arguments, _ = theirs("get-key-numbers-historical", "single date")
    (row,) = asked(kit, "get-key-numbers-historical", **arguments)
    assert without(row, "as_of") == {"date": "2026-11-19", **body("get-key-numbers", "defaults only")}
    dates = [params["date"] for _, params in questions(server) if "date" in params]
    assert not [date for date in dates if re.search("[a-z]", date)]


@shows("key_numbers_span", "unique_sums")
def test_several_periods_are_one_set_of_figures(kit: Kit) -> None:
    arguments, _ = theirs("get-key-numbers", "multi-period")
    ours = asked(kit, "get-key-numbers", **arguments)
    days = [figures for figures in HISTORY.values() if figures]
    assert ours["nb_visits"] == sum(day["nb_visits"] for day in days) == 2059
    assert ours["nb_pageviews"] == 6 * VIEWS["nb_pageviews"]
    assert ours["max_actions"] == 38
    assert ours["bounce_rate"] == "46%"  # 948 of 2059
    assert ours["nb_actions_per_visit"] == 3.5
    assert ours["avg_time_on_site"] == 178
    assert "nb_uniq_visitors" not in ours
    assert ours["sum_daily_nb_uniq_visitors"] == sum(day["nb_uniq_visitors"] for day in days)


@shows("span_of_rows")
def test_rows_of_several_periods_are_one_list(kit: Kit, server: Replay) -> None:
    arguments, _ = theirs("get-most-popular-urls", "multi-period")
    ours = asked(kit, "get-most-popular-urls", **arguments)
    assert_same(ours, ROWS["Actions.getPageUrls"], {"as_of"})
    method, params = questions(server)[-1]
    assert (method, params["period"], params["date"]) == ("Actions.getPageUrls", "range", "2026-11-14,2026-11-20")


@shows("entry_order")
def test_entry_pages_are_ranked_by_entries(kit: Kit, server: Replay) -> None:
    asked(kit, "get-entry-pages")
    assert questions(server)[-1][1]["filter_sort_column"] == "entry_nb_visits"


@shows("referrers_by_name")
def test_referrers_by_name(kit: Kit, server: Replay) -> None:
    arguments, _ = theirs("get-top-referrers", "defaults")
    ours = asked(kit, "get-top-referrers", **arguments)
    assert list(ours[0])[:4] == list(theirs("get-top-referrers", "defaults")[1][0])[:4]
    assert [row["referrer_type"] for row in ours] == [row["referer_type"] for row in ours]
    assert "news.example.net" in [row["label"] for row in ours]
    arguments, _ = theirs("get-top-referrers", "limit 2")
    asked(kit, "get-top-referrers", **arguments)
    assert questions(server)[-1][1]["filter_limit"] == "2"


@shows("channel_unknown", "channel_number", "bad_argument")
def test_an_unknown_channel_is_refused(kit: Kit) -> None:
    arguments, answer = theirs("get-traffic-channels", "unknown type")
    assert answer == []
    with pytest.raises(Problem) as refusal:
        asked(kit, "get-traffic-channels", **arguments)
    assert refusal.value.status == 400
    assert "social" in refusal.value.guidance
    (social,) = asked(kit, "get-traffic-channels", **{**arguments, "channelType": "social", "limit": 1})
    assert social["referrer_type"] == 7


@shows("overview_span")
def test_the_overview_of_several_periods_is_of_all_of_them(kit: Kit) -> None:
    arguments, answer = theirs("get-ecommerce-overview", "multi-period")
    ours = asked(kit, "get-ecommerce-overview", **arguments)
    assert answer["revenue"] == 600.5
    assert ours["revenue"] == 3622
    assert (ours["nb_conversions"], ours["nb_visits"], ours["conversion_rate"]) == (43, 2059, "2.09%")
    assert (ours["avg_order_revenue"], ours["revenue_per_visit"]) == (84.23, 1.76)


@shows("totals_per_visit", "series_empty", "series_false", "series_single")
def test_totals_and_series(kit: Kit) -> None:
    arguments, answer = theirs("get-ecommerce-revenue", "last7 with series")
    ours = asked(kit, "get-ecommerce-revenue", **arguments)
    assert_same(ours["totals"], answer["totals"], {"currency", "ecommerce_visits", "totals_rate"})
    assert ours["totals"]["revenue_per_visit"] == 1.76
    days = [row for row in ours["series"] if row["label"] != "2026-11-16"]
    assert_same(days, answer["series"], {"currency", "ecommerce_visits"})
    empty = ours["series"][2]
    assert empty == {"label": "2026-11-16", "nb_conversions": 0, "revenue": 0, "currency": "EUR"}

    plain = asked(kit, "get-ecommerce-revenue", **{**arguments, "includeSeries": None})
    assert plain == ours
    arguments, _ = theirs("get-ecommerce-revenue", "last7 without series flag")
    assert list(asked(kit, "get-ecommerce-revenue", **arguments)) == ["totals", "as_of"]

    arguments, answer = theirs("get-ecommerce-revenue", "single day")
    single = asked(kit, "get-ecommerce-revenue", **arguments)
    assert list(single) == ["totals", "as_of"]
    assert_same(single["totals"], answer["totals"], {"currency", "ecommerce_visits", "totals_rate"})
    (one,) = asked(kit, "get-ecommerce-revenue", **{**arguments, "includeSeries": "true"})["series"]
    assert one["label"] == "2026-11-19"


@shows("goals_each", "goal_filter", "goal_order_label")
def test_goals_one_by_one(kit: Kit) -> None:
    arguments, _ = theirs("get-goal-conversions", "single-summary")
    ours = asked(kit, "get-goal-conversions", **arguments)
    assert [(row["id"], row["nb_conversions"]) for row in ours] == [("2", 18), ("ecommerceOrder", 4)]

    arguments, answer = theirs("get-goal-conversions", "list-shaped")
    ours = asked(kit, "get-goal-conversions", **arguments)
    assert ours[0]["label"] == "Ecommerce Order"
    assert_same([{**ours[0], "label": "Orders"}, ours[1]], answer, {"as_of", "currency"})

    arguments, answer = theirs("get-goal-conversions", "goalType filter")
    assert [row["id"] for row in asked(kit, "get-goal-conversions", **arguments)] == [row["id"] for row in answer]
    arguments, _ = theirs("get-goal-conversions", "goalId passed")
    assert [row["id"] for row in asked(kit, "get-goal-conversions", **arguments)] == ["2"]
    with pytest.raises(Problem, match="no goal 7"):
        asked(kit, "get-goal-conversions", **{**arguments, "goalId": "7"})


@shows("events_filters", "event_categories")
def test_events_are_chosen_by_two_of_three(kit: Kit, server: Replay) -> None:
    arguments, _ = theirs("get-events", "with filters")
    with pytest.raises(Problem) as refusal:
        asked(kit, "get-events", **arguments)
    assert refusal.value.status == 400
    (row,) = asked(kit, "get-events", **without(arguments, "category", "name"))
    assert row["label"] == "play"
    asked(kit, "get-event-categories")
    assert "flat" not in questions(server)[-1][1]


@shows("limit", "bad_argument", "dates")
@pytest.mark.parametrize(
    "wrong",
    [{"limit": 0}, {"limit": -1}, {"limit": "ten"}, {"date": "soon"}, {"date": "2030-01-01"}, {"siteId": "banana"},
     {"period": "fortnight"}, {"date": "2026-11-12,2026-11-11"}, {"date": "2026-02-30"}],
)  # fmt: skip
def test_what_cannot_be_is_refused(kit: Kit, wrong: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refusal:
        asked(kit, "get-most-popular-urls", **wrong)
    assert refusal.value.status == 400
    assert refusal.value.guidance


@shows("labels")
def test_a_label_that_came_as_a_number_is_text(tmp_path: Path) -> None:
    def numbered(method: str, params: Mapping[str, str]) -> Any:
        return [{"label": 2026, "nb_visits": "3", "bounce_rate": 0.5}] if method.startswith("Actions") else None

    with web_replay(numbered).serving() as replay, kit_of(settings_at(tmp_path, replay.url), NOW) as kit:
        (row,) = asked(kit, "get-entry-pages", date="yesterday")
    assert (row["label"], row["nb_visits"], row["bounce_rate"]) == ("2026", 3, "50%")


@shows("token")
def test_the_token_travels_in_the_body_only(kit: Kit, server: Replay) -> None:
    asked(kit, "get-key-numbers")
    assert server.tokens == {TOKEN}
    assert not any(TOKEN in address for address in server.addresses)


@shows("compare")
def test_beside_the_span_before(kit: Kit) -> None:
    ours = asked(kit, "get-key-numbers", date="yesterday", compare="previous")
    assert ours["previous"]["date"] == "2026-11-18"
    assert ours["change"]["nb_visits"] == 0
    rows = asked(kit, "get-campaigns", date="yesterday", compare="previous")
    assert rows[0]["change"] == {"nb_visits": 0, "nb_actions": 0, "nb_visits_converted": 0, "revenue": 0}


@shows("not_archived")
def test_a_zero_that_may_mean_not_archived_is_not_known(tmp_path: Path) -> None:
    def not_archived(method: str, params: Mapping[str, str]) -> Any:
        if method == "Live.getLastVisitsDetails":
            return [{"idVisit": 1, "lastActionTimestamp": NOW.timestamp() - 86_400}]
        return {"nb_visits": 0} if method == "VisitsSummary.get" else [] if method.startswith("Referrers") else None

    with web_replay(not_archived).serving() as replay, kit_of(settings_at(tmp_path, replay.url), NOW) as kit:
        ours = asked(kit, "get-key-numbers", date="yesterday")
        assert ours["nb_visits"] is None
        assert "2026-11-19" in ours["note"]
        (row,) = asked(kit, "get-key-numbers-historical", date="yesterday")
        assert (row["date"], row["nb_visits"]) == ("2026-11-19", None)
        with pytest.raises(Problem) as refusal:
            asked(kit, "get-campaigns", date="yesterday")
        assert refusal.value.status == 503


def test_every_difference_is_shown() -> None:
    assert SHOWN - {"totals_rate"} == set(DIFFERENCES)


def test_the_list_of_differences_stands_in_the_guide() -> None:
    """Make it anew with: python -m tests.opal_differences."""
    assert part_in_document() == part()


def test_every_recorded_call_of_a_reader_is_replayed() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    for file in OPAL.glob("predecessor-get-*.json"):
        tool = file.stem.removeprefix("predecessor-")
        if tool == "get-health-status":
            continue
        for one in json.loads(file.read_text(encoding="utf-8"))["cases"]:
            named = [case for case in re.findall(rf'"{tool}", "([^"]+)"', source) if one["case"].startswith(case)]
            assert named, f"{tool}: {one['case']}"
