"""The simulated Piwik PRO adds up, and shows the last hour: `query` and the real-time store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from tests.contract.piwik_pro_asking import (
    ALWAYS,
    END,
    FILTERED,
    NAME,
    NOON,
    Asking,
    both,
    free,
    log,
    minutes,
    only,
    truth,
)


def test_metrics_by_day_and_hour_match_the_truth() -> None:
    with Asking(now=END + timedelta(hours=1)) as ask:
        local = truth().events.with_columns(
            wall=pl.col("event_ts").dt.convert_time_zone("Europe/Copenhagen").dt.replace_time_zone(None)
        )
        for change, form in (("to_date", "%Y-%m-%d"), ("to_start_of_hour", "%Y-%m-%dT%H:00:00")):
            columns = [{"column_id": "timestamp", "transformation_id": change}, "events", "custom_events", "visitors"]
            rows = ask.rows("query", columns=columns)
            wanted = local.group_by(key=pl.col("wall").dt.strftime(form)).agg(
                pl.len(), pl.col("category").count(), pl.col("visitor_id").n_unique()
            )
            assert {tuple(row.values()) for row in rows} == set(wanted.rows())
            assert next(iter(rows[0])) == f"timestamp__{change}"


def test_a_query_orders_filters_and_pages() -> None:
    with Asking() as ask:
        columns = ["custom_event_category", "events"]
        rows = ask.rows("query", columns=columns)
        counts = [row["events"] for row in rows]
        assert counts == sorted(counts, reverse=True)  # by the first metric, greatest first
        rising = ask.rows("query", columns=columns, order_by=[[1, "asc"], [0, "asc"]])
        assert [row["events"] for row in rising] == sorted(counts)
        large = both({"column_id": "events", "condition": {"operator": "gte", "value": counts[2]}})
        assert len(ask.rows("query", columns=columns, metric_filters=large)) == 3
        assert (
            ask.rows("query", columns=columns, offset=1, limit=1, **{k: ALWAYS[k] for k in ("date_from", "date_to")})
            == rows[1:2]
        )
        assert ask.count("query", columns=columns) == len(rows)
        icase = both(only("custom_event_category", "icontains", "installer_c"))
        assert {row["custom_event_category"] for row in ask.rows("query", columns=columns, filters=icase)} == {
            "Installer_CI"
        }


def test_metrics_of_transformed_dimensions() -> None:
    with Asking(FILTERED) as ask:
        changes = ["min", "max", "average", "median", "sum"]
        columns = [{"column_id": "custom_event_value", "transformation_id": change} for change in changes]
        columns.append({"column_id": "custom_event_name", "transformation_id": "unique_count"})
        (row,) = ask.rows("query", columns=[*columns, "unique_custom_events"])
        assert row == {
            "custom_event_value__min": 0.0,
            "custom_event_value__max": 73.5,
            "custom_event_value__average": pytest.approx(24.83, abs=0.01),
            "custom_event_value__median": 1.0,
            "custom_event_value__sum": 74.5,
            "custom_event_name__unique_count": 4,
            "unique_custom_events": 4,
        }


@pytest.mark.parametrize(
    "body",
    [
        {"columns": ["event_id", "events"]},
        {"columns": ["session_id"]},
        {"columns": ["nothing"]},
        {"columns": []},
        {"columns": [{"column_id": "events", "transformation_id": "sum"}]},
        {"columns": ["events"], "order_by": [[1, "asc"]]},
        {"columns": ["events"], "order_by": [[0, "up"]]},
        {"columns": ["events"], "options": {"sampling": 0}},
        {"columns": ["events"], "metric_filters": both(only("custom_event_name", "eq", "x"))},
    ],
)
def test_queries_that_cannot_be(body: dict[str, Any]) -> None:
    with Asking() as ask:
        answer = ask.post("query", **(ALWAYS | body))
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["detail"]


def test_results_of_queries_are_kept_for_ten_minutes() -> None:
    events = minutes("a", "b", step=40)
    with Asking(events, now=NOON + timedelta(minutes=65)) as ask:
        assert ask.rows("query", columns=["events"]) == [{"events": 1}]
        ask.now = NOON + timedelta(minutes=74)
        assert ask.count() == 2
        assert ask.rows("query", columns=["events"]) == [{"events": 1}]
        ask.now = NOON + timedelta(minutes=75)
        assert ask.rows("query", columns=["events"]) == [{"events": 2}]
    with Asking(events, now=NOON + timedelta(minutes=65), assumed=free(query_cache_s=0)) as ask:
        assert ask.rows("query", columns=["events"]) == [{"events": 1}]
        ask.now = NOON + timedelta(minutes=74)
        assert ask.rows("query", columns=["events"]) == [{"events": 2}]


def test_a_sampled_site_gives_estimates_unless_told_not_to() -> None:
    with Asking(assumed=free(site_sampling=0.3, query_meta_columns=False)) as ask:
        whole = ask.count()
        value = ask.post("query", columns=["events"], **ALWAYS).json()
        assert value["meta"] == {"count": 1}
        assert value["data"][0][0] != whole
        assert 0.6 < value["data"][0][0] / whole < 1.4
        exact = ask.post("query", columns=["events"], options={"sampling": 1}, **ALWAYS).json()
        assert exact["data"] == [[whole]]


RECENT = {"date_from": "2026-11-22 01:00:00", "date_to": "2026-11-22 02:00:00"}


def recent(count: int) -> pl.DataFrame:
    times = (END - timedelta(seconds=4_000) + timedelta(seconds=n) for n in range(0, 4_000, 4_000 // count))
    return log(*({"event_ts": ts, "name": f"{ts:%H:%M:%S}", "visitor_id": f"{n:016x}"} for n, ts in enumerate(times)))


def test_the_real_time_store_holds_the_last_hour_up_to_two_minutes_late() -> None:
    with Asking(recent(1_000)) as ask:
        rows = ask.rows("real-time-events", columns=["event_id", *NAME], **RECENT, limit=100_000)
        got = {row["custom_event_name"] for row in rows}
        assert list(rows[0]) == ["timestamp", "event_id", "custom_event_name"]
        assert min(got) > "00:00:00"
        hour = [name for name in recent(1_000)["name"].to_list() if "00:00:00" < name < "01:00:00"]
        assert {name for name in hour if name <= "00:58:00"} <= got
        fresh = [name for name in hour if name > "00:58:00"]
        assert 0.2 < len(got & set(fresh)) / len(fresh) < 0.8
        assert ask.count(**RECENT) < len(got)
        raw = {row["custom_event_name"]: row["event_id"] for row in ask.rows(columns=NAME)}
        assert all(row["event_id"] == raw.get(row["custom_event_name"], row["event_id"]) for row in rows)
        assert set(raw) & got


def test_the_real_time_store_takes_date_times_only_and_knows_no_sessions() -> None:
    with Asking() as ask:
        for body in (
            {"date_from": "2026-11-22", "date_to": "2026-11-22"},
            {"relative_date": "today"},
            RECENT | {"columns": ["session_id"]},
            RECENT | {"columns": ["event_index"]},
        ):
            assert ask.post("real-time-events", **({"columns": NAME} | body)).status_code == 400


def test_readings_of_the_real_time_store() -> None:
    columns = ["event_id", *NAME]
    with Asking(recent(500), real_time_missing=0.3, assumed=free(real_time_ids_equal=False)) as ask:
        rows = ask.rows("real-time-events", columns=columns, **RECENT, limit=100_000)
        assert 0.55 < len(rows) / 450 < 0.8
        raw = {row["custom_event_name"]: row["event_id"] for row in ask.rows(columns=NAME)}
        assert not {row["event_id"] for row in rows} & set(raw.values())
    with Asking(recent(100), assumed=free(real_time_identifiers=True)) as ask:
        assert list(ask.rows("real-time-events", columns=[], **RECENT)[0]) == ["timestamp", "visitor_id"]
    with Asking(recent(100), assumed=free(real_time=False)) as ask:
        assert ask.post("real-time-events", **RECENT).status_code == 403
