"""The simulated truth: the model's rates, determinism, forms with one clear reading, and the planted incidents."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matokit_pipelines.simulator import Truth, generate, incidents, machines
from matokit_pipelines.simulator.sending import ERROR_TYPES, SCHEMA, visitors

END = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
ZONE = "Europe/Copenhagen"
FORMS = {"basic", "enhanced", "ambiguous", "code", "marker", "first_version", "test", "invalid"}
ENVIRONMENTS = {"production", "test", "development", "ci", "staging", "unknown"}
OUTCOMES = {"success", "failure", "partial", "started", "finished", "cancelled", "unknown"}


@cache
def truth() -> Truth:
    return generate(days=60, events_per_day=400, seed=1, end=END)


@cache
def plain() -> Truth:
    return generate(days=30, events_per_day=8_000, seed=2, end=END, incidents=False, eras=False)


@cache
def large() -> Truth:
    return generate(days=40, events_per_day=5_000, seed=3, end=END, eras=False)


def rate(events: pl.DataFrame) -> float:
    counted = events.filter("counted")
    return counted.filter(pl.col("outcome") == "success").height / counted.height


def test_the_same_arguments_give_the_same_truth() -> None:
    again = generate(days=60, events_per_day=400, seed=1, end=END)
    assert again.events.equals(truth().events)
    assert again.incidents == truth().incidents
    assert not generate(days=60, events_per_day=400, seed=2, end=END).events.equals(truth().events)


def test_the_model_has_the_success_volume_and_mix_asked_for() -> None:
    events = plain().events
    assert rate(events) == pytest.approx(0.966, abs=0.003)
    assert events.height / 30 == pytest.approx(8_000, rel=0.03)
    assert events.filter("counted").height / events["machine"].n_unique() == pytest.approx(8.6, abs=0.15)
    by_machine = events.unique("machine")
    shares = {row[0]: row[1] / by_machine.height for row in by_machine.group_by("architecture").len().rows()}
    assert shares["x86_64"] == pytest.approx(0.28, abs=0.02)
    environment = {row[0]: row[1] / by_machine.height for row in by_machine.group_by("environment").len().rows()}
    assert environment["ci"] == pytest.approx(0.15, abs=0.02)
    assert environment["test"] == pytest.approx(0.03, abs=0.01)


@pytest.mark.parametrize("step", machines.STEPS, ids=lambda step: step.name)
def test_first_tries_succeed_as_often_as_the_model_says(step: machines.Step) -> None:
    spread = np.random.default_rng(8).normal(0, np.hypot(0.8, 1.2), 400_000)
    chance = 1 / (1 + np.exp(-(machines.base_logit(step.success) + spread)))
    assert float(chance.mean()) == pytest.approx(step.success, abs=0.001)


def test_hours_and_weekdays_are_those_of_the_zone() -> None:
    local = plain().events["event_ts"].dt.convert_time_zone(ZONE)
    by_hour = local.dt.hour().value_counts().sort("event_ts")["count"].to_numpy()
    assert by_hour[9:15].mean() > 10 * by_hour[0:5].mean()
    by_day = local.dt.weekday().value_counts().sort("event_ts")["count"].to_numpy()
    assert by_day[:5].mean() > 2.5 * by_day[5:].mean()


def test_events_are_whole_seconds_in_order_inside_the_window() -> None:
    when = truth().events["event_ts"]
    assert when.is_sorted()
    assert (when.dt.microsecond() == 0).all()
    assert truth().start <= when.min() <= when.max() < truth().end
    assert truth().events.schema == pl.Schema(SCHEMA)


def test_the_vocabulary_is_that_of_the_contract() -> None:
    scoped = truth().events.filter("in_scope")
    assert set(scoped["environment"]) == ENVIRONMENTS
    assert set(scoped["outcome"]) == OUTCOMES
    assert set(scoped["form"]) == FORMS
    assert set(scoped["error_type"].drop_nulls()) <= set(ERROR_TYPES.values())
    assert set(scoped["architecture"]) <= {"arm64", "x86_64", "x86", "unknown"}
    assert scoped["commit_sha"].drop_nulls().str.contains("^[0-9a-f]{7}$").all()
    assert scoped["component"].drop_nulls().str.contains("^[a-z0-9_-]+$").all()


def test_counted_rows_are_successes_and_failures_of_real_components() -> None:
    wanted = (
        pl.col("in_scope") & pl.col("outcome").is_in(["success", "failure"]) & ~pl.col("form").is_in(["marker", "test"])
    )
    events = truth().events
    assert events.select(counted=wanted.fill_null(False))["counted"].equals(events["counted"])


def test_a_bare_zero_has_one_reading_under_the_documented_policy() -> None:
    scoped = truth().events.filter(pl.col("in_scope") & pl.col("form").is_in(["enhanced", "ambiguous"]))
    key = ["environment", "commit_sha", "component"]
    strong = pl.col("error_type").is_not_null() | (pl.col("value") >= 2)
    long = pl.col("value").filter(pl.col("value") >= 2)
    scoped = scoped.with_columns(
        evidence=strong.any().over(key),
        wider=strong.any().over(key[:2]),
        ones=((pl.col("value") == 1) & pl.col("error_type").is_null()).mean().over(key),
        usual=long.median().over(key),
    )
    zeros = scoped.filter((pl.col("value") == 0) & pl.col("error_type").is_null())
    assert zeros.filter(pl.col("outcome") == "success").height > 20
    # Success exactly where the component's commit shows durations; no commit mixes the two functions.
    assert zeros.select((pl.col("outcome") == "success") == pl.col("evidence")).to_series().all()
    assert zeros.select(pl.col("wider") == pl.col("evidence")).to_series().all()
    mixed = zeros.filter(pl.col("evidence") & (pl.col("ones") > 0.05) & (pl.col("usual") >= 5))
    assert mixed.is_empty()
    ones = scoped.filter((pl.col("value") == 1) & pl.col("error_type").is_null())
    assert (ones["outcome"] == "success").all()
    assert (ones["evidence"] == ones["duration_s"].is_not_null()).all()


def test_every_machine_has_a_visitor_id_of_its_own() -> None:
    pairs = truth().events.select("machine", "visitor_id").unique()
    assert pairs.height == pairs["machine"].n_unique() == pairs["visitor_id"].n_unique()
    assert pairs["visitor_id"].str.contains("^[0-9a-f]{16}$").all()


@given(st.sets(st.integers(0, 2**40), min_size=2, max_size=50), st.integers(0, 2**63))
def test_visitor_ids_never_collide(numbers: set[int], seed: int) -> None:
    assert len(set(visitors(np.array(sorted(numbers), dtype=np.int64), seed))) == len(numbers)


def test_all_eras_are_there_and_small() -> None:
    events, main = truth().events, generate(days=60, events_per_day=400, seed=1, end=END, eras=False).events
    odd = events.height - main.height
    assert 200 < odd < 0.06 * events.height
    for pattern in ("^[01][.][0-9][.][0-9]$", "messa", "^unknown$", "^test001$", "^$"):
        assert events["dimension3"].str.contains(pattern).any(), pattern
    categories = set(events["category"].drop_nulls())
    assert categories >= {"AUTOINSTALLS", "Installations", "Installer_Lab", "Installer_DEV", "Download python event"}
    names = set(events["name"].drop_nulls())
    assert names >= {"connection_test", "Log", "Python installation", "overall_installation_failure"}
    assert any(name.startswith("Log_") for name in names)
    assert events.filter(pl.col("category").is_null() & pl.col("url").is_not_null()).height > 0
    lies = events.filter((pl.col("form") == "marker") & (pl.col("outcome") == "failure"))
    assert set(lies["value"]) == {1.0}
    assert events.filter(pl.col("value") < 0).select(pl.col("outcome") == "unknown").to_series().all()
    assert events.filter(pl.col("in_scope") & pl.col("value").is_null() & (pl.col("form") == "basic")).height > 0
    assert {None, ""} <= set(events["dimension1"]) | set(events["dimension3"])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3 * 365 * 24).map(lambda hours: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(hours=hours)))
def test_at_least_three_incidents_lie_in_the_last_complete_week(end: datetime) -> None:
    planted = incidents.plan(end - timedelta(days=60), end, ZONE)
    assert {i.kind for i in planted} == {
        "burst",
        "commit",
        "rollback",
        "new_os",
        "outage",
        "architecture",
        "silence",
        "component",
    }
    monday = incidents.last_week(end, ZONE)
    assert monday.weekday() == 0
    over = datetime.combine(monday + timedelta(days=7), datetime.min.time(), ZoneInfo(ZONE))
    assert timedelta(0) <= end - over < timedelta(days=7, hours=1)
    week = [i for i in planted if monday <= i.start.astimezone(ZoneInfo(ZONE)).date() <= monday + timedelta(days=6)]
    assert len(week) >= 3


@settings(max_examples=25, deadline=None)
@given(
    days=st.integers(3, 40),
    volume=st.sampled_from([1, 5, 50, 200.5]),
    seed=st.integers(0, 1_000),
    hours=st.integers(0, 400),
    zone=st.sampled_from([ZONE, "UTC", "America/New_York"]),
)
def test_any_size_end_and_zone_generates(days: int, volume: float, seed: int, hours: int, zone: str) -> None:
    made = generate(days=days, events_per_day=volume, seed=seed, end=END - timedelta(hours=hours), zone=zone)
    assert all(made.start <= i.start < i.end <= made.end for i in made.incidents)
    assert made.incidents
    assert made.events["event_ts"].is_between(made.start, made.end, closed="left").all()
    for silence in (i for i in made.incidents if i.kind == "silence"):
        assert not made.events["event_ts"].is_between(silence.start, silence.end, closed="left").any()


@pytest.mark.parametrize(("days", "volume"), [(2, 10), (5, 0), (5, -1)])
def test_too_little_to_simulate_is_refused(days: int, volume: float) -> None:
    with pytest.raises(ValueError, match="at least 3 days"):
        generate(days=days, events_per_day=volume, seed=1, end=END)
    with pytest.raises(ValueError, match="time zone"):
        generate(days=5, events_per_day=1, seed=1, end=datetime(2026, 1, 1))  # noqa: DTZ001


def incident(kind: str) -> incidents.Incident:
    found = incidents.of_kind(large().incidents, kind)
    assert found is not None
    return found


def during(planted: incidents.Incident) -> pl.DataFrame:
    return large().events.filter((pl.col("event_ts") >= planted.start) & (pl.col("event_ts") < planted.end))


def on(day: str) -> pl.DataFrame:
    local = pl.col("event_ts").dt.convert_time_zone(ZONE).dt.date()
    return large().events.filter(local == date.fromisoformat(day))


def test_the_component_breaks() -> None:
    planted = incident("component")
    broken = pl.col("component") == planted.subject
    before = large().events.filter(broken & (pl.col("event_ts") < incident("commit").start))
    assert rate(before) > 0.90
    assert rate(during(planted).filter(broken)) < 0.72
    gap = incident("architecture")
    others = during(planted).filter(~broken & ~pl.col("event_ts").is_between(gap.start, gap.end))
    assert rate(others) > 0.95


def test_the_bad_commit_is_twenty_points_worse_and_rolled_back() -> None:
    planted, back = incident("commit"), incident("rollback")
    commit = pl.col("commit_sha")
    bad, good = (large().events.filter(commit == sha) for sha in (planted.subject, planted.expectation["predecessor"]))
    assert rate(good) - rate(bad) == pytest.approx(0.20, abs=0.03)
    assert (back.expectation["from"], back.expectation["to"]) == (planted.subject, planted.expectation["predecessor"])
    leader = on(back.expectation["days"][0])["commit_sha"].drop_nulls().mode().to_list()
    assert leader == [back.subject]
    assert on(planted.expectation["days"][1])["commit_sha"].drop_nulls().mode().to_list() == [planted.subject]


def test_the_architecture_falls_for_a_day() -> None:
    planted = incident("architecture")
    x86 = pl.col("architecture") == "x86_64"
    assert rate(during(planted).filter(~x86)) - rate(during(planted).filter(x86)) > 0.14
    assert planted.expectation["days"] == [str(planted.start.astimezone(ZoneInfo(ZONE)).date())]


def test_the_outage_silence_and_burst_show() -> None:
    outage, silence, burst = incident("outage"), incident("silence"), incident("burst")
    assert rate(during(outage)) < 0.70
    assert during(silence).is_empty()
    assert silence.end - silence.start == timedelta(hours=18)
    (day,) = burst.expectation["days"]
    week_before = str(date.fromisoformat(day) - timedelta(days=7))
    assert on(day).height == pytest.approx(4 * on(week_before).height, rel=0.25)


def test_the_new_version_is_first_seen_in_production_on_its_day() -> None:
    planted = incident("new_os")
    new = large().events.filter((pl.col("os_release") == planted.subject) & (pl.col("environment") == "production"))
    (day,) = planted.expectation["days"]
    assert str(new["event_ts"].dt.convert_time_zone(ZONE).dt.date().min()) == day


def test_expectations_say_where_to_look_and_how_much_was_touched() -> None:
    for planted in large().incidents:
        assert {"table", "column", "days", "direction", "environment", "events"} <= planted.expectation.keys()
        assert (planted.expectation["events"] > 0) == (planted.kind != "silence")


def test_a_million_events_take_seconds() -> None:
    began = time.perf_counter()
    made = generate(days=3, events_per_day=333_000, seed=1, end=END)
    assert made.events.height > 900_000
    assert time.perf_counter() - began < 20
