"""Reports on the simulated web site count what its truth holds, and longer periods are sums of days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from typing import Any

import polars as pl
import pytest

from matokit_pipelines.simulator import WebTruth
from tests.contract.matomo_web_asking import END, ZONE, Asking, asking, days_of, installers, web

FIRST, LAST = "2026-11-09", "2026-11-15"
RANGE = {"period": "range", "date": f"{FIRST},{LAST}", "filter_limit": -1}
DAYS = RANGE | {"period": "day"}


@pytest.fixture(scope="module")
def ask() -> Iterator[Asking]:
    with asking() as made:
        yield made


@cache
def visits() -> pl.DataFrame:
    return web().visits.filter(days_of(FIRST, LAST))


@cache
def hits() -> pl.DataFrame:
    return web().hits.join(visits().select("visit", "day", "visitor"), on="visit")


def number(value: Any) -> float:
    return float(str(value).rstrip("%"))


def figures(rows: list[dict[str, Any]], *names: str) -> dict[str, tuple[float, ...]]:
    return {str(row["label"]): tuple(number(row.get(name, 0)) for name in names) for row in rows}


def test_visits_and_visitors_of_each_day(ask: Asking) -> None:
    known = visits().group_by("day").agg(pl.len(), pl.col("visitor").n_unique(), pl.col("bounced").sum())
    wanted = {str(day): (n, people, bounced) for day, n, people, bounced in known.iter_rows()}
    answer = ask("VisitsSummary.get", **DAYS)
    assert {
        key: (row["nb_visits"], row["nb_uniq_visitors"], row["bounce_count"]) for key, row in answer.items()
    } == wanted
    assert any(n > people for n, people, _ in wanted.values()), "somebody came twice a day"


def test_a_visitor_of_a_week_or_month_counts_once_and_of_a_range_is_not_told(ask: Asking) -> None:
    week = ask("VisitsSummary.get", period="week", date=LAST)
    assert (week["nb_uniq_visitors"], week["nb_visits"]) == (visits()["visitor"].n_unique(), visits().height)
    assert week["nb_uniq_visitors"] < sum(r["nb_uniq_visitors"] for r in ask("VisitsSummary.get", **DAYS).values())
    assert not {"nb_uniq_visitors", "nb_users"} & ask("VisitsSummary.get", **RANGE).keys()
    assert not {"nb_uniq_visitors", "nb_users"} & ask("VisitsSummary.get", period="year", date=LAST).keys()


def test_visit_figures_of_the_range(ask: Asking) -> None:
    answer = ask("VisitsSummary.get", **RANGE)
    converting = hits().filter(pl.col("kind").is_in(["goal", "order"]))["visit"].n_unique()
    assert answer["nb_visits"] == visits().height
    assert answer["nb_actions"] == hits().filter(pl.col("kind").is_in(["page", "event"])).height
    assert answer["nb_visits_converted"] == converting
    assert answer["bounce_rate"] == f"{round(100 * visits()['bounced'].sum() / visits().height)}%"


def test_pages_by_address(ask: Asking) -> None:
    pages = hits().filter(pl.col("kind") == "page")
    known = pages.group_by("url").agg(pl.len(), pl.col("visit").n_unique(), pl.col("seconds").sum())
    rows = ask("Actions.getPageUrls", flat=1, **RANGE)
    assert {row["url"]: (row["nb_hits"], row["nb_visits"], row["sum_time_spent"]) for row in rows} == {
        url: tuple(rest) for url, *rest in known.iter_rows()
    }
    totals = ask("Actions.get", **RANGE)
    assert totals["nb_pageviews"] == pages.height
    assert totals["nb_uniq_pageviews"] == pages.select("url", "visit").unique().height


def test_first_pages(ask: Asking) -> None:
    pages = hits().filter(pl.col("kind") == "page").sort("ts", maintain_order=True)
    first = pages.group_by("visit", maintain_order=True).first().join(visits().select("visit", "bounced"), on="visit")
    known = first.group_by("url").agg(pl.len(), pl.col("bounced").sum())
    rows = ask("Actions.getEntryPageUrls", flat=1, **RANGE)
    assert {row["url"]: (row["entry_nb_visits"], row["entry_bounce_count"]) for row in rows} == {
        url: (n, bounced) for url, n, bounced in known.iter_rows()
    }


def test_where_visits_came_from(ask: Asking) -> None:
    rows = ask("Referrers.getReferrerType", **RANGE)
    assert {row["referrer_type"]: row["nb_visits"] for row in rows} == dict(
        visits().group_by("referrer_type").len().iter_rows()
    )
    search = pl.col("referrer_type") == 2
    name = pl.when(search).then("referrer_keyword").otherwise("referrer_name")
    known = visits().filter(pl.col("referrer_type") != 1).group_by(name.fill_null("Keyword not defined").alias("n"))
    assert figures(ask("Referrers.getAll", **RANGE), "nb_visits") == {n: (c,) for n, c in known.len().iter_rows()}
    campaigns = visits().filter(pl.col("referrer_type") == 6).group_by("referrer_name").len()
    rows = ask("Referrers.getCampaigns", **RANGE)
    assert figures(rows, "nb_visits") == {n: (c,) for n, c in campaigns.iter_rows()}
    assert [row["label"] for row in rows if not isinstance(row["label"], str)] == [2026]


def test_every_figure_of_a_referrer_type(ask: Asking) -> None:
    actions, money = pl.col("kind").is_in(["page", "event"]), pl.col("kind").is_in(["goal", "order"])
    of_visit = hits().group_by("visit").agg(
        actions=actions.sum(), length=pl.col("seconds").sum(), conversions=money.sum(),
        revenue=pl.col("revenue").filter(money).sum(),
    )  # fmt: skip
    known = of_visit.join(visits(), on="visit").group_by("referrer_type").agg(
        pl.len(), pl.col("actions").sum(), pl.col("actions").max().alias("most"), pl.col("length").sum(),
        pl.col("bounced").sum(), (pl.col("conversions") > 0).sum().alias("converted"), pl.col("conversions").sum(),
        pl.col("revenue").sum(),
    )  # fmt: skip
    names = "nb_visits nb_actions max_actions sum_visit_length bounce_count nb_visits_converted nb_conversions revenue"
    rows = ask("Referrers.getReferrerType", **RANGE)
    assert {row["referrer_type"]: [row[name] for name in names.split()] for row in rows} == {
        number: pytest.approx(rest) for number, *rest in known.iter_rows()
    }


def test_devices(ask: Asking) -> None:
    rows = ask("DevicesDetection.getType", **RANGE)
    known = {name: (n,) for name, n in visits().group_by("device").len().iter_rows()}
    assert {label: found for label, found in figures(rows, "nb_visits").items() if found[0]} == known


def test_goals_orders_and_carts(ask: Asking) -> None:
    goals = Counter(hits()["goal"].drop_nulls().to_list())
    for goal in (1, 2, 3):
        assert ask("Goals.get", idGoal=goal, **RANGE)["nb_conversions"] == goals[goal]
    for kind, word in (("order", "ecommerceOrder"), ("cart", "ecommerceAbandonedCart")):
        known, answer = hits().filter(pl.col("kind") == kind), ask("Goals.get", idGoal=word, **RANGE)
        assert (answer["nb_conversions"], answer["items"]) == (known.height, known["items"].sum())
        assert answer["revenue"] == pytest.approx(known["revenue"].sum())
        assert answer["avg_order_revenue"] == pytest.approx(known["revenue"].mean(), abs=0.005)
        if kind == "order":
            for name in ("subtotal", "tax", "shipping", "discount"):
                assert answer[f"revenue_{name}"] == pytest.approx(known[name].sum())
    whole = ask("Goals.get", **RANGE)
    converting = hits().filter(pl.col("kind").is_in(["goal", "order"]))
    assert whole["nb_conversions"] == converting.height
    assert whole["revenue"] == pytest.approx(converting["revenue"].sum())
    assert whole["conversion_rate"] == f"{round(100 * converting['visit'].n_unique() / visits().height, 2):g}%"


def test_goals_of_new_and_of_returning_visitors(ask: Asking) -> None:
    number_of = pl.int_range(pl.len()).over("visitor")
    known = web().visits.with_columns(new=number_of == 0).select("visit", "new").join(hits(), on="visit")
    answer = ask("Goals.get", idGoal="ecommerceOrder", **RANGE)
    for new, word in ((True, "new"), (False, "returning")):
        orders = known.filter((pl.col("kind") == "order") & (pl.col("new") == new))
        assert orders.height > 0
        assert answer[f"nb_conversions_{word}_visit"] == orders.height
        assert answer[f"revenue_{word}_visit"] == pytest.approx(orders["revenue"].sum())


def test_goals_in_rows_add_up_to_those_of_the_site(ask: Asking) -> None:
    for method in ("Referrers.getReferrerType", "DevicesDetection.getType"):
        total: Counter[str] = Counter()
        for row in ask(method, **RANGE):
            for name, goal in row.get("goals", {}).items():
                total[name] += goal["nb_conversions"]
        for name, count in total.items():
            assert ask("Goals.get", idGoal=name.removeprefix("idgoal="), **RANGE)["nb_conversions"] == count


def test_events_on_every_level(ask: Asking) -> None:
    events = hits().filter(pl.col("kind") == "event").with_columns(pl.col("name").fill_null("Event Name not defined"))
    for method, column in (("getCategory", "category"), ("getAction", "action"), ("getName", "name")):
        known = events.group_by(column).agg(pl.len(), pl.col("value").sum())
        rows = figures(ask(f"Events.{method}", **RANGE), "nb_events", "sum_event_value")
        assert rows == {label: pytest.approx(rest) for label, *rest in known.iter_rows()}
    pairs = events.group_by(pl.format("{} - {}", "action", "name").alias("pair")).len()
    assert figures(ask("Events.getAction", flat=1, **RANGE), "nb_events") == {p: (n,) for p, n in pairs.iter_rows()}
    expanded = ask("Events.getCategory", secondaryDimension="eventName", expanded=1, **RANGE)
    for row in expanded:
        assert sum(number(inside["nb_events"]) for inside in row["subtable"]) == number(row["nb_events"])
    names = [row["label"] for row in ask("Events.getName", **RANGE)]
    assert any(isinstance(label, int) for label in names), "a name of digits alone is a number"


ADDITIVE = {
    "Actions.getPageUrls": ("nb_hits", "nb_visits", "sum_time_spent", "exit_nb_visits"),
    "Actions.getEntryPageUrls": ("entry_nb_visits", "entry_bounce_count", "entry_sum_visit_length"),
    "Referrers.getReferrerType": ("nb_visits", "nb_actions", "sum_visit_length", "nb_conversions", "revenue"),
    "Referrers.getAll": ("nb_visits", "nb_actions", "bounce_count"),
    "Referrers.getCampaigns": ("nb_visits", "nb_visits_converted"),
    "DevicesDetection.getType": ("nb_visits", "nb_conversions"),
    "Events.getCategory": ("nb_events", "nb_visits", "sum_event_value"),
    "Events.getName": ("nb_events", "nb_events_with_value"),
}


@pytest.mark.parametrize("site", [1, 2])
@pytest.mark.parametrize("method", ADDITIVE)
def test_a_range_is_the_sum_of_its_days(ask: Asking, method: str, site: int) -> None:
    names, total = ADDITIVE[method], Counter[tuple[str, str]]()
    people: Counter[str] = Counter()
    for rows in ask(method, site, flat=1, **DAYS).values():
        for row in rows:
            people[str(row["label"])] += row.get("nb_uniq_visitors", 0)
            for name in names:
                total[str(row["label"]), name] += number(row.get(name, 0))  # type: ignore[assignment]
    for params in (RANGE, {"period": "week", "date": FIRST, "filter_limit": -1}):
        whole = ask(method, site, flat=1, **params)
        found = {(str(row["label"]), name): number(row.get(name, 0)) for row in whole for name in names}
        assert found == {key: pytest.approx(value) for key, value in total.items()}
        assert all("nb_uniq_visitors" not in row for row in whole)
        # The entry report lists whole pages, also those of days on which nobody began there.
        if method != "Actions.getEntryPageUrls":
            assert {str(row["label"]): row.get("sum_daily_nb_uniq_visitors", 0) for row in whole} == people


@pytest.mark.parametrize("method", ["Goals.get", "Referrers.getReferrerType", "Events.getCategory", "Actions.get"])
@pytest.mark.parametrize(
    ("period", "words", "keys"),
    [
        ("day", "last3", ["2026-11-20", "2026-11-21", "2026-11-22"]),
        ("day", "previous2", ["2026-11-20", "2026-11-21"]),
        ("day", "2026-11-21,2026-11-22", ["2026-11-21", "2026-11-22"]),
        ("week", "last2", ["2026-11-09,2026-11-15", "2026-11-16,2026-11-22"]),
        ("month", "previous1", ["2026-10"]),
        ("year", "last1", ["2026"]),
    ],
)
def test_dates_in_words_are_keyed_by_period(ask: Asking, method: str, period: str, words: str, keys: list[str]) -> None:
    answer = ask(method, period=period, date=words)
    assert list(answer) == keys
    for key in keys:
        first = f"{key}-01"[:10] if period in ("day", "week", "month") else f"{key}-01-01"
        assert answer[key] == ask(method, period=period, date=first[:10])


def test_words_for_one_day_and_for_a_range(ask: Asking) -> None:
    for word, day in (("today", "2026-11-22"), ("yesterday", "2026-11-21")):
        assert ask("Goals.get", period="day", date=word) == ask("Goals.get", period="day", date=day)
    for word, span in (("last7", "2026-11-16,2026-11-22"), ("previous7", "2026-11-15,2026-11-21")):
        assert ask("Goals.get", period="range", date=word) == ask("Goals.get", period="range", date=span)


def test_a_segment_and_its_complement_make_the_whole(ask: Asking) -> None:
    for column, word in (("device", "deviceType"), ("referrer_type", "referrerType")):
        names = {1: "direct", 2: "search", 3: "website", 6: "campaign", 7: "social"}
        total = 0
        for value, count in visits().group_by(column).len().iter_rows():
            answer = ask("VisitsSummary.get", segment=f"{word}=={names.get(value, str(value).lower())}", **RANGE)
            assert answer["nb_visits"] == count
            total += count
        assert total == visits().height


def test_the_segment_of_a_row_leads_to_its_visits(ask: Asking) -> None:
    row = ask("Actions.getPageUrls", flat=1, period="day", date=FIRST, filter_limit=1)[0]
    # A row's segment is encoded for use in an address as it is.
    base = f"module=API&format=json&idSite=2&method=VisitsSummary.get&period=day&date={FIRST}&segment={row['segment']}"
    assert ask.send_text(base).json()["nb_visits"] == row["nb_visits"]


def test_days_without_visits_are_empty(ask: Asking) -> None:
    empty = web().empty_day
    around = f"{empty - timedelta(days=1)},{empty + timedelta(days=1)}"
    for method in (*ADDITIVE, "VisitsSummary.get", "Actions.get", "Goals.get"):
        answer = ask(method, period="day", date=around, flat=1)
        assert answer[str(empty)] == []
        assert all(answer[str(empty + timedelta(days=step))] for step in (-1, 1))
    assert ask("Live.getLastVisitsDetails", period="day", date=str(empty), filter_limit=1) == []
    assert ask("VisitsSummary.get", period="day", date=str(empty))["nb_visits"] == 0


def test_the_visits_log_agrees_with_the_reports(ask: Asking) -> None:
    read = [
        visit
        for offset in (0, 60, 120, 180)
        for visit in ask("Live.getLastVisitsDetails", period="day", date=FIRST, filter_limit=60, filter_offset=offset)
    ]
    known = visits().filter(pl.col("day") == date.fromisoformat(FIRST))
    assert Counter(v["visitorId"] for v in read) == Counter(known["visitor"].to_list())
    assert Counter(v["referrerName"] for v in read) == Counter(known["referrer_name"].fill_null("").to_list())
    orders = ask("Goals.get", idGoal="ecommerceOrder", period="day", date=FIRST)
    assert sum(v["totalEcommerceRevenue"] for v in read) == pytest.approx(orders["revenue"])
    newest = web().hits.select(pl.col("ts").max().dt.strftime("%Y-%m-%d %H:%M:%S")).item()
    assert ask("Live.getMostRecentVisitsDateTime")["value"] == newest


def test_rows_are_sorted_cut_and_trimmed_as_asked(ask: Asking) -> None:
    asked = {"flat": 1, "period": "day", "date": FIRST}
    rows = ask("Actions.getPageUrls", filter_limit=-1, **asked)
    assert [row["nb_visits"] for row in rows] == sorted((row["nb_visits"] for row in rows), reverse=True)
    page = ask("Actions.getPageUrls", filter_limit=3, filter_offset=2, **asked)
    assert page == rows[2:5]
    by_time = ask("Actions.getPageUrls", filter_sort_column="sum_time_spent", filter_sort_order="asc", **asked)
    assert [row["sum_time_spent"] for row in by_time] == sorted(row["sum_time_spent"] for row in rows)
    few = ask("Actions.getPageUrls", showColumns="nb_hits", filter_pattern="^/shop", filter_limit=-1, **asked)
    assert {row["label"] for row in few} == {row["label"] for row in rows if row["label"].startswith("/shop")}
    assert all(row.keys() == {"label", "nb_hits", "url", "Actions_PageUrl", "segment"} for row in few)
    assert all("goals" not in row for row in ask("Actions.getPageUrls", hideColumns="goals,nb_hits", **asked))
    plain = ask("Actions.getPageUrls", format_metrics=0, filter_limit=1, **asked)[0]
    assert plain["exit_rate"] == pytest.approx(number(rows[0]["exit_rate"]) / 100, abs=0.006)


def test_an_unmarked_view_has_a_null_address(ask: Asking) -> None:
    rows = ask("Actions.getPageUrls", flat=1, period="range", date=f"{web().start:%Y-%m-%d},today", filter_limit=-1)
    unnamed = [row for row in rows if row["url"] is None]
    known = web().hits.filter((pl.col("kind") == "page") & pl.col("url").is_null()).height
    assert [(row["label"], row["nb_hits"]) for row in unnamed] == [("Page URL not defined", known)]


def test_more_than_500_pages_end_in_others() -> None:
    many = WebTruth.generate(days=40, visits_per_day=400, seed=2, end=END, zone=ZONE, error_pages=900)
    with asking(web=many) as ask:
        rows = ask("Actions.getPageUrls", flat=1, period="range", date="last41", filter_limit=-1)
    assert (len(rows), rows[-1]["label"]) == (500, "Others")
    assert "url" not in rows[-1]
    assert sum(row["nb_hits"] for row in rows) == many.hits.filter(pl.col("kind") == "page").height


def test_the_installer_site_beside_it_is_what_it_was(ask: Asking) -> None:
    with asking(web=None) as alone:
        for method in ("VisitsSummary.get", "Events.getCategory", "Events.getName"):
            assert alone(method, 1, **DAYS) == ask(method, 1, **DAYS)
        assert alone("SitesManager.getSitesIdWithAtLeastViewAccess") == [1]
        assert alone("VisitsSummary.get", 2, **DAYS)["result"] == "error"
    events = installers().events.filter(pl.col("category").is_not_null())
    rows = ask("Events.getCategory", 1, period="range", date="2026-11-01,2026-11-30", filter_limit=-1)
    assert sum(number(row["nb_events"]) for row in rows) == events.height
