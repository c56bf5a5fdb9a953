"""Figures in the published shape, periods added up, and figures beside those before."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matokit_pipelines.toolserver.web.aggregating import merged
from matokit_pipelines.toolserver.web.comparing import changes, with_previous, with_previous_row
from matokit_pipelines.toolserver.web.dates import span_of
from matokit_pipelines.toolserver.web.shaping import key_numbers, number, rate, rounded, shape, share
from tests.replay import recording
from tests.unit.test_web_tools_dates import TODAY


@pytest.mark.parametrize(
    ("sent", "known"),
    [(3, 3), ("3", 3), ("3.0", 3), (3.5, 3.5), ("0.0050", 0.005), (" 7 ", 7), (0, 0), ("0", 0), (None, None),
     (True, None), ("", None), ("n/a", None), ("NaN", None), (float("inf"), None), ("1e400", None), ([], None)],
)  # fmt: skip
def test_numbers(sent: Any, known: Any) -> None:
    assert number(sent) == known
    assert type(number(sent)) is type(known)


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        ("37%", "37%"),
        (0.37, "37%"),
        (37, "37%"),
        ("0.3746", "37.46%"),
        (0, "0%"),
        (1, "100%"),
        ("", None),
        (None, None),
    ],
)
def test_rates(sent: Any, known: str | None) -> None:
    assert rate(sent) == known


def test_a_share_is_rounded_as_matomo_does() -> None:
    assert (share(30, 81), share(64, 849, 2), share(1, 8), share(1, 0), share(0, 5)) == (
        "37%", "7.54%", "13%", None, "0%"
    )  # fmt: skip
    assert (rounded(0.5, 0), rounded(1.5, 0), rounded(-0.5, 0), rounded(2.675, 2)) == (1, 2, -1, 2.68)


@given(st.text(max_size=20) | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.integers()))
def test_no_value_breaks_a_number(value: Any) -> None:
    found = number(value)
    assert found is None or math.isfinite(found)
    assert rate(value) is None or str(rate(value)).endswith("%")


def test_known_fields_come_first_and_what_says_nothing_is_left_out() -> None:
    raw = {
        "goals": {"idgoal=1": {}},
        "revenue": "12.50",
        "nb_visits": "3",
        "label": 7,
        "nb_actions": "x",
        "segment": "a",
    }
    shaped = shape(raw, ("label", "nb_visits", "nb_actions", "revenue"), "EUR")
    assert list(shaped.items()) == [
        ("label", "7"), ("nb_visits", 3), ("revenue", 12.5), ("currency", "EUR"), ("goals", {"idgoal=1": {}}),
        ("segment", "a"),
    ]  # fmt: skip
    raw = {"nb_visits": 0, "nb_users": "", "bounce_rate": None, "odd": float("nan"), "more": False, "kept": 0}
    assert key_numbers(raw, ("nb_visits", "nb_users", "bounce_rate")) == {"nb_visits": 0, "kept": 0}


def test_days_of_a_real_matomo_add_up_to_its_range() -> None:
    days = list(recording("VisitsSummary.get.day-multi")["body"].values())
    whole = recording("VisitsSummary.get.range")["body"]
    ours = merged(days, "day")
    assert {key: ours[key] for key in whole} == whole
    assert ours["sum_daily_nb_uniq_visitors"] == sum(day["nb_uniq_visitors"] for day in days)
    assert "nb_uniq_visitors" not in ours


def test_rows_of_a_real_matomo_add_up() -> None:
    by_day = recording("Actions.getPageUrls.flat-multi")["body"]
    rows = [row for day in by_day.values() for row in day if row["label"] == "/products"]
    assert len(rows) == 2
    ours = merged(rows, "day")
    assert ours["nb_hits"] == sum(row["nb_hits"] for row in rows)
    assert ours["entry_nb_visits"] == sum(int(row["entry_nb_visits"]) for row in rows)
    assert ours["sum_daily_entry_nb_uniq_visitors"] == sum(row["entry_nb_uniq_visitors"] for row in rows)
    assert ours["bounce_rate"] == share(ours["entry_bounce_count"], ours["entry_nb_visits"])
    assert ours["max_time_server"] == max(float(row["max_time_server"]) for row in rows)
    assert ours["min_time_server"] == min(float(row["min_time_server"]) for row in rows)
    assert ours["url"] == rows[0]["url"]
    goal = ours["goals"]["idgoal=1"]
    assert goal["nb_conversions"] == sum(row["goals"]["idgoal=1"]["nb_conversions"] for row in rows)
    assert not [key for key in goal if "rate" in key or "_per_" in key]


def test_what_is_made_of_nothing_is_left_out() -> None:
    ours = merged([{"nb_visits": 0, "bounce_count": 0, "bounce_rate": "0%", "avg_time_on_site": 0}] * 2, "day")
    assert ours == {"nb_visits": 0, "bounce_count": 0}


COUNTS = st.integers(0, 1000)
DAY = st.builds(
    lambda visits, actions, longest, seconds, money: {
        "nb_visits": visits, "bounce_count": visits // 3, "nb_actions": actions, "max_actions": longest,
        "sum_visit_length": seconds, "revenue": money, "bounce_rate": "1%", "nb_actions_per_visit": 1,
    },
    COUNTS, COUNTS, COUNTS, COUNTS, st.floats(0, 1e6),
)  # fmt: skip


@given(st.lists(DAY, min_size=1, max_size=12))
def test_sums_greatest_and_rates(days: list[dict[str, Any]]) -> None:
    ours = merged(days, "day")
    visits = sum(day["nb_visits"] for day in days)
    assert ours["nb_visits"] == visits
    assert ours["max_actions"] == max(day["max_actions"] for day in days)
    assert math.isclose(ours["revenue"], sum(day["revenue"] for day in days), abs_tol=1e-6)
    assert ours.get("bounce_rate") == share(sum(day["bounce_count"] for day in days), visits)
    assert ("nb_actions_per_visit" in ours) == (visits > 0)


@given(st.lists(DAY, min_size=2, max_size=6), st.data())
def test_adding_up_in_steps_is_adding_up_at_once(days: list[dict[str, Any]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(days) - 1))
    steps = merged([merged(days[:cut], "day"), merged(days[cut:], "day")], "day")
    whole = merged(days, "day")
    assert steps.pop("revenue") == pytest.approx(whole.pop("revenue"), abs=1e-6)
    assert steps == whole


def test_changes_of_rates_are_percentage_points() -> None:
    now, before = {"nb_visits": 5, "bounce_rate": "45%", "note": "x"}, {"nb_visits": 8, "bounce_rate": "40.5%"}
    assert changes(now, before, now) == {"nb_visits": -3, "bounce_rate": 4.5}
    assert changes({"nb_visits": 5}, {}, ["nb_visits"]) == {"nb_visits": None}


def test_what_is_not_known_is_not_compared() -> None:
    span = span_of("day", "yesterday", TODAY)
    known = {"nb_visits": 5, "as_of": None}
    beside = with_previous(known, {"nb_visits": None, "note": "Not known.", "as_of": None}, span)
    assert (beside["previous"], beside["change"]) == (None, None)
    beside = with_previous(known, {"nb_visits": 0, "as_of": None}, span)
    assert (beside["previous"], beside["change"]) == ({"date": "2026-11-18", "nb_visits": 0}, {"nb_visits": 5})
    assert "note" not in beside
    current = with_previous(known, {"nb_visits": 1, "as_of": None}, span_of("day", "today", TODAY))
    assert "not over" in current["note"]


def test_a_row_that_was_not_there_before() -> None:
    row = {"label": "/new", "nb_visits": 4, "bounce_rate": "25%", "as_of": None}
    new = with_previous_row(row, None, ("nb_visits", "bounce_rate"), is_whole=True)
    assert new["previous"] == {"nb_visits": 0, "bounce_rate": None}
    assert new["change"] == {"nb_visits": 4, "bounce_rate": None}
    unsure = with_previous_row(row, None, ("nb_visits",), is_whole=False)
    assert (unsure["previous"], unsure["change"]) == (None, None)
