"""Windows and filters of the simulated Piwik PRO: whose clock, which ends, which operators."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.contract.piwik_pro_asking import (
    ALWAYS,
    END,
    FILTERED,
    Asking,
    at,
    both,
    log,
    minutes,
    only,
    truth,
)


def names(ask: Asking, since: str, until: str) -> list[str]:
    return ask.names(date_from=since, date_to=until, limit=100_000)


def test_dates_include_both_days_and_date_times_exclude_their_end() -> None:
    walls = ["18 23:59:59", "19 00:00:00", "20 00:00:00", "20 23:59:59", "21 00:00:00"]
    events = log(*({"event_ts": at(f"2026-11-{wall}", "Europe/Copenhagen"), "name": wall} for wall in walls))
    with Asking(events) as ask:
        assert names(ask, "2026-11-19", "2026-11-20") == ["19 00:00:00", "20 00:00:00", "20 23:59:59"]
        assert names(ask, "2026-11-19 00:00:00", "2026-11-20 00:00:00") == ["19 00:00:00"]
        assert names(ask, "2026-11-19T00:00:00", "2026-11-20T00:00:01") == ["19 00:00:00", "20 00:00:00"]
        assert names(ask, "2026-11-20 00:00:00", "2026-11-20 00:00:00") == []


def test_times_are_the_site_s_wherever_it_is() -> None:
    events = minutes("x", start=at("2026-11-20 04:30:00"))
    for zone, wall in (("UTC", "20T04:30"), ("America/New_York", "19T23:30"), ("Asia/Kolkata", "20T10:00")):
        with Asking(events, zone=zone) as ask:
            assert ask.rows()[0]["timestamp"] == f"2026-11-{wall}:00"


def test_both_passes_of_the_repeated_hour_look_the_same() -> None:
    passes = [at("2026-10-25 00:30:00"), at("2026-10-25 01:30:00"), at("2026-10-25 02:30:00")]
    events = log(*({"event_ts": ts, "name": str(n), "visitor_id": f"{n:016x}"} for n, ts in enumerate(passes)))
    with Asking(events) as ask:
        assert names(ask, "2026-10-25 02:00:00", "2026-10-25 03:00:00") == ["0", "1"]
        assert names(ask, "2026-10-25 03:00:00", "2026-10-25 04:00:00") == ["2"]
        assert names(ask, "2026-10-25", "2026-10-25") == ["0", "1", "2"]
        stamps = [row["timestamp"] for row in ask.rows(date_from="2026-10-25", date_to="2026-10-25")]
        assert Counter(stamps) == {"2026-10-25T02:30:00": 2, "2026-10-25T03:30:00": 1}


def test_the_hour_that_spring_skips_is_empty() -> None:
    events = log(
        {"event_ts": at("2026-03-29 00:59:59"), "name": "a"}, {"event_ts": at("2026-03-29 01:00:00"), "name": "b"}
    )
    with Asking(events) as ask:
        assert names(ask, "2026-03-29 01:00:00", "2026-03-29 02:00:00") == ["a"]
        assert names(ask, "2026-03-29 02:00:00", "2026-03-29 03:00:00") == []
        assert names(ask, "2026-03-29 03:00:00", "2026-03-29 04:00:00") == ["b"]


def test_relative_dates_are_the_site_s_days() -> None:
    # At 23:30 UTC it is already the 22nd in Copenhagen, a Sunday.
    days = ["2025-06-01", "2026-10-31", "2026-11-09", "2026-11-15", "2026-11-16", "2026-11-20", "2026-11-21"]
    events = log(*({"event_ts": at(f"{day} 11:00:00"), "name": day[2:]} for day in days))
    with Asking(events, now=at("2026-11-21 23:30:00")) as ask:
        wanted = {
            "today": [],
            "yesterday": ["26-11-21"],
            "last_week": ["26-11-09", "26-11-15"],
            "last_month": ["26-10-31"],
            "last_year": ["25-06-01"],
            "last_2_days": ["26-11-20", "26-11-21"],
        }
        assert {text: ask.names(relative_date=text) for text in wanted} == wanted


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        (only("custom_event_name", "eq", "vscode"), "vscode"),
        (only("custom_event_name", "neq", "vscode"), "Python_Verify odd python_install"),
        (only("custom_event_name", "starts_with", "python"), "python_install"),
        (only("custom_event_name", "ends_with", "y"), "Python_Verify"),
        (only("custom_event_name", "matches", "^[pP]ython_"), "Python_Verify python_install"),
        (only("custom_event_name", "not_matches", "^[pP]ython_"), "odd vscode"),
        (only("custom_event_name", "eq", "python_verify", transformation_id="lower"), "Python_Verify"),
        (only("custom_event_value", "eq", 1), "python_install"),
        (only("custom_event_value", "neq", 1), "Python_Verify vscode"),
        (only("custom_event_value", "gt", 1), "vscode"),
        (only("custom_event_value", "gte", 1), "python_install vscode"),
        (only("custom_event_value", "lt", 1), "Python_Verify"),
        (only("custom_event_value", "lte", 1), "Python_Verify python_install"),
        (only("event_type", "eq", 5), "Python_Verify odd python_install vscode"),
        (only("event_type", "neq", 5), ""),
        (only("event_type", "eq", 1), ""),
        (only("operating_system", "empty", None), "Python_Verify odd python_install vscode"),
        (only("operating_system", "not_empty", None), ""),
        (
            both(only("custom_event_name", "eq", "odd"), only("custom_event_value", "gt", 70), operator="or"),
            "odd vscode",
        ),
        (
            both(both(only("custom_event_value", "gt", 0)), both(only("custom_event_value", "lt", 2))),
            "python_install",
        ),
        (both(), "Python_Verify odd python_install vscode"),
    ],
)
def test_operators(condition: dict[str, Any], found: str) -> None:
    with Asking(FILTERED) as ask:
        assert " ".join(ask.names(filters=both(condition), **ALWAYS)) == found


def test_page_views_and_foreign_events_share_the_site() -> None:
    with Asking() as ask:
        wanted = Counter(1 if category is None else 5 for category in truth().events["category"].to_list())
        counted = {kind: ask.count(filters=both(only("event_type", "eq", kind))) for kind in (1, 5, 17, 18)}
        assert counted == {1: wanted[1], 5: wanted[5], 17: 0, 18: 0}
        assert wanted[1] > 0


def test_everything_that_was_sent_is_there_once_nothing_moves() -> None:
    with Asking(now=END + timedelta(hours=1)) as ask:
        texts = {"category": "category", "action": "action", "name": "name"}
        got = Counter(
            (row["timestamp"], *(row[f"custom_event_{name}"] for name in texts), row["custom_event_value"],
             *(row[f"event_custom_dimension_{slot}"] for slot in (1, 2, 3)))
            for row in ask.rows()
        )  # fmt: skip
        local = pl.col("event_ts").dt.convert_time_zone("Europe/Copenhagen").dt.strftime("%Y-%m-%dT%H:%M:%S")
        value = pl.when(pl.col("value") >= 0).then("value")
        filled = [pl.col(name).fill_null("") for name in ("category", "action", "name")]
        dimensions = [pl.col(f"dimension{number}").fill_null("") for number in (1, 2, 3)]
        assert got == Counter(truth().events.select(local, *filled, value, *dimensions).rows())
